"""`pma-replicate claims`: verdicts on the claims."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pma_mfg.commands import arguments
from pma_mfg.errors import InputError
from pma_replication.commands import reading

log = logging.getLogger("pma_mfg")

#: Tables on the pages for readers that no claim is judged by.
SHOWN = ("assumptions", "literature", "literature_equilibria", "one_trajectory_samples", "paths_equilibria")

#: Tolerance -> its default.
TOLERANCES = {"rate": 0.02, "slope": 0.05, "samples-slope": 0.2, "constant": 0.02, "independent": 0.1}


def add(commands: arguments.Commands) -> None:
    """Add the command."""
    claims = commands.add(
        "claims",
        _claims,
        "turn tables into verdicts on the paper's claims",
        group="results",
        examples=("--tables rates.parquet --out claims.json --out-markdown verdicts.md",),
    )
    claims.add_argument("--tables", required=True, nargs="+", help="the tables, by their names in the pipeline")
    claims.add_argument("--confidence", type=arguments.positive, default=0.95, help="of every interval (default 0.95)")
    for option, default in TOLERANCES.items():
        text = f"see docs/theory, section 12 (default {default})"
        claims.add_argument(f"--{option}-tolerance", type=arguments.positive, default=default, help=text)
    claims.add_argument(
        "--own", nargs="*", default=[], metavar="NAME", help="games of your own: words are about them, not the paper"
    )
    claims.add_argument("--out", required=True, type=arguments.file(".json"), help="JSON file to write")
    claims.add_argument("--out-markdown", type=arguments.MARKDOWN, help="the verdicts as a table for readers, to write")
    claims.add_argument(
        "--out-comparison", type=arguments.MARKDOWN, help="samples to each accuracy as a table for readers, to write"
    )
    claims.add_argument(
        "--out-one-trajectory",
        type=arguments.MARKDOWN,
        help="many methods on one trajectory as a table for readers, to write",
    )
    claims.add_argument(
        "--out-assumptions", type=arguments.MARKDOWN, help="the assumptions as a table for readers, to write"
    )
    claims.add_argument(
        "--out-games", type=arguments.MARKDOWN, help="the games from the literature as a table for readers, to write"
    )
    claims.add_argument(
        "--out-networked", type=arguments.MARKDOWN, help="agents that pass policies on as tables for readers, to write"
    )
    claims.add_argument(
        "--out-paths",
        type=arguments.MARKDOWN,
        help="equilibria found by paths and by starts as a table for readers, to write",
    )
    claims.add_argument(
        "--out-scaling", type=arguments.MARKDOWN, help="how samples grow with a game as a table for readers, to write"
    )


def _claims(options: argparse.Namespace) -> None:
    from pma_mfg import storage
    from pma_replication import registry, verdicts
    from pma_replication.runs import tables as parquet

    paths = {Path(path).stem: path for path in options.tables}
    if unknown := sorted(paths.keys() - (known := {*registry.judged(), *SHOWN})):
        raise InputError("pma-replicate claims", "--tables", unknown, f"files called {', '.join(sorted(known))}")
    tables = {name: parquet.read_table(path) for name, path in paths.items()}
    with reading.written_by(" ".join(options.tables), "tables that the pipeline writes"):
        records = verdicts.evaluate(
            tables,
            options.confidence,
            options.rate_tolerance,
            slope_tolerance=options.slope_tolerance,
            samples_slope_tolerance=options.samples_slope_tolerance,
            constant_tolerance=options.constant_tolerance,
            independent_tolerance=options.independent_tolerance,
            own=options.own,
        )
    storage.write_json(options.out, records)
    if options.out_markdown:
        storage.write_text(options.out_markdown, verdicts.markdown(records))
    for path, text in _pages(options, tables).items():
        storage.write_text(path, text)
    for record in records:
        estimate = "-" if record["estimate"] is None else f"{record['estimate']:.4g}"
        log.info("%-13s %-12s %-17s %s: %s", *(record[key] for key in ("verdict", "id", "game", "quantity")), estimate)


def _pages(options: argparse.Namespace, tables: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables for readers that were asked for, by their files."""
    from pma_replication.experiments.comparison import judge as comparison_judge
    from pma_replication.experiments.equilibria import judge as equilibria_judge
    from pma_replication.experiments.literature import judge as literature_judge
    from pma_replication.experiments.networked import pages as networked_pages
    from pma_replication.experiments.one_trajectory import judge as one_trajectory_judge
    from pma_replication.experiments.paths import judge as paths_judge
    from pma_replication.experiments.scaling import judge as scaling_judge

    pages = {}
    if options.out_comparison:
        pages[options.out_comparison] = "Methods are not compared in this configuration.\n"
        if "samples_to_accuracy" in tables:
            text = comparison_judge.comparison_markdown(tables["samples_to_accuracy"])
            pages[options.out_comparison] = text
    if options.out_one_trajectory:
        pages[options.out_one_trajectory] = "Methods on one trajectory are not compared in this configuration.\n"
        if "one_trajectory_samples" in tables:
            pages[options.out_one_trajectory] = one_trajectory_judge.markdown(tables["one_trajectory_samples"])
    if options.out_assumptions:
        pages[options.out_assumptions] = "No games are listed in this configuration.\n"
        if "assumptions" in tables:
            pages[options.out_assumptions] = equilibria_judge.assumptions_markdown(tables["assumptions"])
    if options.out_games:
        pages[options.out_games] = "This configuration has no games from the literature.\n"
        if "literature" in tables:
            if "literature_equilibria" not in tables:
                raise InputError("pma-replicate claims", "--tables", list(tables), "also literature_equilibria.parquet")
            pages[options.out_games] = literature_judge.games_markdown(
                tables["literature"], tables["literature_equilibria"]
            )
    if options.out_scaling:
        pages[options.out_scaling] = "How samples grow with a game is not measured in this configuration.\n"
        if "scaling" in tables:
            pages[options.out_scaling] = scaling_judge.scaling_markdown(tables["scaling"], options.confidence)
    if options.out_networked:
        pages[options.out_networked] = "No agents pass their policies on in this configuration.\n"
        if "networked" in tables:
            pages[options.out_networked] = networked_pages.markdown(tables["networked"], options.confidence)
    if options.out_paths:
        pages[options.out_paths] = "No branches of equilibria are followed in this configuration.\n"
        if "paths_equilibria" in tables:
            pages[options.out_paths] = paths_judge.paths_markdown(tables["paths_equilibria"])
    return pages
