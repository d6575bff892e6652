"""Tables on disk: Parquet files with a hash of their own content."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from pma_mfg.errors import Description, InputError
from pma_mfg.storage import CHANGED, MARK, ZEROS, regular_file, write_bytes

if TYPE_CHECKING:
    import pandas as pd

#: The key of the metadata under which a file holds its hash.
HASH = b"content_hash"


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a tidy table as Parquet (one row per observation), with the hash of the file in its metadata."""
    write_columns(path, pa.Table.from_pandas(table, preserve_index=False, nthreads=1))


def write_columns(path: str | Path, columns: pa.Table) -> None:
    """Write a table of Arrow as `write_table` writes one of pandas."""
    stream = io.BytesIO()
    with pq.ParquetWriter(stream, columns.schema) as writer:
        writer.write_table(columns)
        writer.add_key_value_metadata({HASH: MARK + ZEROS})
    before, _, after = _around_hash(stream.getvalue())
    digest = hashlib.sha256(before + ZEROS + after).hexdigest()
    write_bytes(path, before + digest.encode() + after)


def _around_hash(content: bytes) -> tuple[bytes, bytes, bytes]:
    """Return what is before the hash of a Parquet file, the hash, and what is after."""
    before, mark, after = content.rpartition(MARK)
    return before + mark, after[: len(ZEROS)], after[len(ZEROS) :]


def read_hashed_table(path: str | Path) -> bytes:
    """Return the content of a Parquet file, if it has the hash that it says."""
    content = regular_file(path, "an existing Parquet table").read_bytes()
    if not (content.startswith(b"PAR1") and content.endswith(b"PAR1")):
        raise InputError(str(path), "file", Description(f"{len(content)} bytes"), "a complete Parquet table")
    before, stored_hash, after = _around_hash(content)
    if not before:
        raise InputError(str(path), "content_hash", None, CHANGED)
    if stored_hash.decode(errors="replace") != hashlib.sha256(before + ZEROS + after).hexdigest():
        raise InputError(str(path), "content_hash", stored_hash.decode(errors="replace"), CHANGED)
    return content


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table that `write_table` wrote.

    Raises
    ------
    InputError
        If the file is missing, not a complete Parquet file, or does not match its hash.
    """
    columns = read_columns(path)
    try:
        table: pd.DataFrame = columns.to_pandas(use_threads=False)
    except Exception as error:  # whatever pyarrow and pandas raise on bytes that are no table
        raise _no_table(path, error) from None
    return table


def read_columns(path: str | Path) -> pa.Table:
    """Read a table that `write_table` wrote, as one of Arrow: pandas, which takes long to load, is not needed."""
    content = read_hashed_table(path)
    try:
        # in this thread alone: Arrow's threads now and then abort the process when it ends (apache/arrow issue 34314)
        columns = pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)
        known = columns.schema.metadata or {}
        return columns.replace_schema_metadata({key: value for key, value in known.items() if key != HASH})
    except Exception as error:
        raise _no_table(path, error) from None


def _no_table(path: str | Path, error: Exception) -> InputError:
    return InputError(str(path), "file", Description(str(error)), "a complete Parquet table")
