"""`pma-replicate collect`: one table of the tables of all games."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments
from pma_mfg.errors import InputError
from pma_replication.runs import outputs


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
    collect.add_argument("--out", required=True, type=outputs.TABLE, help="Parquet table to write")


def _collect(options: argparse.Namespace) -> None:
    import pyarrow as pa

    from pma_replication.judging import UNSETTLED
    from pma_replication.runs import tables as parquet

    tables = [parquet.read_columns(path) for path in options.tables]
    if any(UNSETTLED in table.column_names for table in tables):  # a column of those alone in which that happened
        tables = [
            table
            if UNSETTLED in table.column_names
            else table.append_column(UNSETTLED, pa.array([0] * table.num_rows, pa.int64()))
            for table in tables
        ]
    for path, table in zip(options.tables, tables, strict=True):
        if table.column_names != tables[0].column_names:
            raise InputError(path, "columns", table.column_names, f"those of {options.tables[0]}")
    if all(table.schema.equals(tables[0].schema, check_metadata=True) for table in tables):
        parquet.write_columns(options.out, pa.concat_tables(tables).combine_chunks())
        return
    import pandas as pd  # which finds a type for columns that are empty, or whole numbers, in some of them

    joined = pd.concat([table.to_pandas(use_threads=False) for table in tables], ignore_index=True)
    parquet.write_table(options.out, joined)
