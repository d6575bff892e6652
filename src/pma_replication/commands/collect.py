"""`pma-replicate collect`: one table of the tables of all games."""

from __future__ import annotations

import argparse
import math

from pma_mfg.commands import arguments
from pma_mfg.errors import InputError
from pma_replication.experiments.coupling.names import NOISE, TD_SCALE
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

    # columns that the tables of some games have -> what stands in those of the others
    some = {UNSETTLED: 0, TD_SCALE: math.nan, NOISE: math.nan}
    tables = [parquet.read_columns(path) for path in options.tables]
    for path, table in zip(options.tables, tables, strict=True):
        first, names = ([n for n in of.column_names if n not in some] for of in (tables[0], table))
        if names != first:
            raise InputError(path, "columns", table.column_names, f"those of {options.tables[0]}")
    every = list(dict.fromkeys(name for table in tables for name in table.column_names))
    for k, table in enumerate(tables):
        for name in some.keys() & (set(every) - set(table.column_names)):
            table = table.append_column(name, pa.array([some[name]] * table.num_rows))
        tables[k] = table if table.column_names == every else table.select(every)
    if all(table.schema.equals(tables[0].schema, check_metadata=True) for table in tables):
        parquet.write_columns(options.out, pa.concat_tables(tables).combine_chunks())
        return
    import pandas as pd  # which finds a type for columns that are empty, or whole numbers, in some of them

    joined = pd.concat([table.to_pandas(use_threads=False) for table in tables], ignore_index=True)
    parquet.write_table(options.out, joined)
