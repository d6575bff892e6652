"""`pma-replicate figure`: one figure, drawn from its tables."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pma_mfg.commands import arguments
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
    figure.add_argument("--tables", required=True, help="folder of the tables")
    # the file itself, which is what is checked before the work: a folder may have the path without .png
    figure.add_argument("--out", required=True, type="{}.png".format, help="path to write, without .png and .svg")


def tables_of(figure: str, folder: str | Path) -> list[pd.DataFrame]:
    """Read the tables of a figure; those that it can be drawn without and that are not there have no rows."""
    from pma_replication.runs import tables as parquet

    paths = {name: Path(folder, f"{name}.parquet") for name in registry.figures()[figure]}
    return [
        registry.empty(name) if name in registry.spare() and not path.exists() else parquet.read_table(path)
        for name, path in paths.items()
    ]


def _figure(options: argparse.Namespace) -> None:
    from pma_replication import style

    tables = tables_of(options.name, options.tables)
    draw = registry.draw(options.name)
    with reading.written_by(options.tables, "tables that the pipeline writes"):
        drawn = draw.figure(draw.data(*tables))
    style.save(drawn, options.out.removesuffix(".png"))
