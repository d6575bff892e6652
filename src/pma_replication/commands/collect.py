"""`pma-replicate collect`: one table of the tables of all games."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments
from pma_mfg.errors import InputError


def add(commands: arguments.Commands) -> None:
    """Add the command."""
    collect = commands.add(
        "collect",
        _collect,
        "join tables with the same columns",
        group="results",
        examples=("bias.parquet bias.parquet --out both.parquet",),
    )
    collect.add_argument("tables", nargs="+", help="Parquet tables")
    collect.add_argument("--out", required=True, help="Parquet table to write")


def _collect(options: argparse.Namespace) -> None:
    import pandas as pd

    from pma_replication.runs import tables as parquet

    tables = [parquet.read_table(path) for path in options.tables]
    for path, table in zip(options.tables, tables, strict=True):
        if list(table.columns) != list(tables[0].columns):
            raise InputError(path, "columns", list(table.columns), f"those of {options.tables[0]}")
    parquet.write_table(options.out, pd.concat(tables, ignore_index=True))
