"""`pma-replicate figure`: one figure, drawn from its tables."""

from __future__ import annotations

import argparse
from pathlib import Path

from pma_mfg.commands import arguments
from pma_mfg.errors import InputError
from pma_replication.runs import outputs


def add(commands: arguments.Commands) -> None:
    """Add the command."""
    figure = commands.add(
        "figure",
        _figure,
        "draw one figure as PNG and SVG",
        group="results",
        examples=("contraction --tables . --out contraction",),
    )
    figure.add_argument("name", help="the figure")
    figure.add_argument("--tables", required=True, help="folder of the tables")
    figure.add_argument("--out", required=True, help="path to write, without .png and .svg")


def _figure(options: argparse.Namespace) -> None:
    from pma_replication import catalogue, style
    from pma_replication.runs import tables as parquet

    if options.name not in catalogue.FIGURES:
        raise InputError("pma-replicate figure", "name", options.name, f"one of {', '.join(sorted(catalogue.FIGURES))}")
    names, data, draw = catalogue.FIGURES[options.name]
    tables = [parquet.read_table(Path(options.tables, f"{name}.parquet")) for name in names]
    with outputs.written_by(options.tables, "tables that the pipeline writes"):
        drawn = draw(data(*tables))
    style.save(drawn, options.out)
