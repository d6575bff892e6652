"""Whether a file that the pipeline wrote still has the content that it was written with."""

from __future__ import annotations

from pathlib import Path

from pma_mfg.errors import InputError
from pma_mfg.storage import read_arrays, read_json
from pma_replication.runs.tables import read_hashed_table


def damage(path: str | Path) -> str | None:
    """Return what is wrong with an array, table or JSON file, judged by its hash; None: nothing, or another kind."""
    try:
        match Path(path).suffix:
            case ".npz":
                read_arrays(path)
            case ".parquet":
                read_hashed_table(path)
            case ".json":
                read_json(path)
    except InputError as error:
        return str(error)
    return None
