"""`pma-replicate figures`, `report`: what is made of a finished run."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
from pathlib import Path

from pma_mfg.commands import arguments
from pma_mfg.errors import Description, InputError

log = logging.getLogger("pma_mfg")


def add(commands: arguments.Commands) -> None:
    """Add these commands."""
    figures = commands.add(
        "figures",
        _figures,
        "draw all figures of a finished run again, from its tables",
        group="a finished run",
        examples=("config/example.yaml",),
    )
    figures.add_argument("config", help="the run's configuration, YAML")

    report = commands.add(
        "report",
        _report,
        "write one HTML page of a finished run: verdicts, figures, data",
        group="a finished run",
        examples=("config/example.yaml --rulegraph rulegraph.dot",),
    )
    report.add_argument("config", help="the run's configuration, YAML")
    report.add_argument("--rulegraph", required=True, help="file of what `snakemake --rulegraph` prints, - for stdin")
    report.add_argument(
        "--out",
        type=arguments.file(".html", ".htm"),
        help="HTML file to write (default: report.html in the run's results)",
    )


def _figures(options: argparse.Namespace) -> int:
    from pma_replication import configuration, registry, style
    from pma_replication.commands import figure
    from pma_replication.runs import level

    settings, fixed = configuration.finished(options.config), level.environment()
    if not fixed.items() <= os.environ.items():
        # the instructions of the run, so that pixels are the same: numpy reads what they are when it is loaded
        again = [sys.executable, "-P", "-m", "pma_replication.cli", "figures", options.config]
        return subprocess.run(again, env=os.environ | fixed, check=False).returncode
    figures, made = Path(settings["figures"]), list(configuration.tables(settings))
    tables = [Path(settings["results"], "tables", f"{table}.parquet") for table in made]
    for name in registry.drawn(made):
        draw = registry.draw(name)
        style.save(draw.figure(draw.data(*figure.tables_of(name, tables))), figures / name)
        log.info("%s", figures / f"{name}.png")
    return 0


def _report(options: argparse.Namespace) -> None:
    from pma_replication import report

    try:
        graph = sys.stdin.read() if options.rulegraph == "-" else Path(options.rulegraph).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(options.rulegraph, "file", Description(error), "what snakemake --rulegraph prints") from None
    log.info("report: %s", report.write(options.config, graph, options.out))
