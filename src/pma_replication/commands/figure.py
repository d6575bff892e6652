"""`pma-replicate figure`: one figure, drawn from its tables."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pma_mfg.commands import arguments
from pma_mfg.errors import InputError
from pma_replication import registry
from pma_replication.commands import reading

if TYPE_CHECKING:
    import pandas as pd


def add(commands: arguments.Commands) -> None:
    """Add the command."""
    figure = commands.add(
        "figure",
        _figure,
        "draw one figure as PNG and SVG",
        group="results",
        examples=("contraction --tables . --out contraction",),
    )
    figure.add_argument("name", choices=sorted(registry.figures()))
    figure.add_argument(
        "--tables",
        required=True,
        nargs="+",
        metavar="TABLE",
        help="its tables, by their names in the pipeline; or a folder, of which all are taken",
    )
    # the file itself, which is what is checked before the work: a folder may have the path without .png
    figure.add_argument("--out", required=True, type="{}.png".format, help="path to write, without .png and .svg")


def tables_of(figure: str, paths: Iterable[str | Path]) -> list[pd.DataFrame]:
    """Read the tables of a figure; those that it can be drawn without and that are not among the paths have no rows.

    A folder may hold tables of another configuration, so what the present one makes is named file by file.
    """
    from pma_replication.runs import tables as parquet

    known = {Path(path).stem: path for path in paths}
    needed = registry.figures()[figure]
    if missing := [f"{name}.parquet" for name in needed if name not in (known.keys() | registry.spare().keys())]:
        raise InputError("pma-replicate figure", "--tables", sorted(map(str, known.values())), f"also {missing[0]}")
    return [parquet.read_table(known[name]) if name in known else registry.empty(name) for name in needed]


def _figure(options: argparse.Namespace) -> None:
    from pma_replication import style

    given = list(map(Path, options.tables))
    if len(given) == 1 and given[0].is_dir():
        paths = [given[0] / f"{name}.parquet" for name in registry.figures()[options.name]]
        given = [path for path in paths if path.stem not in registry.spare() or path.exists()]
    tables = tables_of(options.name, given)
    draw = registry.draw(options.name)
    with reading.written_by(" ".join(options.tables), "tables that the pipeline writes"):
        drawn = draw.figure(draw.data(*tables))
    style.save(drawn, options.out.removesuffix(".png"))
