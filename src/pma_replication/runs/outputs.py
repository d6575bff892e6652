"""What a measuring step writes: its tables, and the state from which a killed job goes on."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pma_mfg.commands import arguments, inputs, output

# Modules that need pandas are imported where they are used: `--help` and a refused option never wait for them.


#: Tables are Parquet, and called so.
TABLE = arguments.file(".parquet")


def add_out(to: argparse.ArgumentParser) -> None:
    """Add --out, for the table of a step, and --json."""
    to.add_argument("--out", type=TABLE, help="Parquet table to write (without it and --json: print the table)")
    arguments.add_json(to)


def add_table(to: argparse.ArgumentParser, option: str, text: str, *, required: bool = True) -> None:
    """Add an option for a further table."""
    to.add_argument(option, required=required, type=TABLE, help=f"Parquet table {text}, to write")


def write(options: argparse.Namespace, table: Any) -> None:
    """Write a table to the file of --out; with --json print it as JSON (null: not finite), with neither as text."""
    write_to(options.out, table)
    if options.json:
        output.print(table.to_json(orient="records", indent=2, double_precision=15))
    elif not options.out:
        output.print(table.to_string(index=False))


def write_to(path: str | None, table: Any) -> None:
    """Write a table as Parquet, if there is a file for it."""
    from pma_replication.runs import tables

    if path:
        tables.write_table(path, table)


@contextmanager
def checkpoint(options: argparse.Namespace) -> Iterator[Any]:
    """Yield where a run keeps its state: beside its output, under a key of all arguments and both files' content.

    It is removed at the end, once the output is written. A run without an output file keeps none.
    """
    from pma_replication.runs import checkpoints

    if not options.out:
        yield None
        return
    key = {
        name: value
        for name, value in vars(options).items()
        if name not in ("run", "log") and not name.startswith("out")
    }
    files = {
        name: hashlib.sha256(Path(key[name]).read_bytes()).hexdigest()
        for name in ("game", "equilibrium")
        if key[name] is not None and Path(key[name]).exists()  # not so for a family's name
    }
    if (source := Path(options.regularizer.rpartition(":")[0])).is_file():
        files["regularizer_file"] = hashlib.sha256(source.read_bytes()).hexdigest()
    kept = checkpoints.Checkpoint(options.out, {**key, **files, "name": inputs.game_name(options)})
    yield kept
    kept.discard()
