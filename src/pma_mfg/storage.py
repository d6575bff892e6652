"""Reading and writing arrays, tables and verdicts: atomic, hashed, validated.

Every file is written under a temporary name in its own folder and renamed, so a file that exists is whole. Arrays are
``.npz`` with a JSON metadata entry that holds a hash of the content; they are never unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import __version__
from pma_mfg.errors import Description, InputError

METADATA = "metadata"
#: Seconds between two checkpoints of a run: a killed job loses less than a minute, saving costs nothing that counts.
CHECKPOINT_SECONDS = 20.0
LIBRARY = Path(__file__).parent
#: What numpy, zipfile and zlib raise on a file that is damaged, cut short, or something else.
_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    AttributeError,
    TypeError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, renamed to it on success and removed on failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files private; a result is as readable as any file the user creates
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def content_hash(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> str:
    """Return the SHA-256 of named arrays (names, types, shapes, values) and of the metadata."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Write named arrays and a JSON-serializable metadata mapping as ``.npz``, with a content hash."""
    body = {**metadata, "library_version": __version__}
    entry = np.array(json.dumps({**body, "content_hash": content_hash(arrays, body)}, sort_keys=True))
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **{METADATA: entry}, **arrays)


def read_arrays(
    path: str | Path, validate: Callable[[dict[str, np.ndarray], dict[str, Any]], None] = lambda *_: None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `write_arrays` wrote, or arrays that somebody saved with ``numpy.savez``.

    Parameters
    ----------
    path : path-like
    validate : callable
        Looks at (arrays, metadata) before the hash does, so that content which is wrong in itself is named as such.

    Returns
    -------
    arrays : dict of str to ndarray
    metadata : dict
        Without the content hash, which has been checked if there is one; empty for a file without metadata.

    Raises
    ------
    InputError
        If the file is missing, cut short, not an ``.npz``, holds pickled objects, or its content does not match its
        hash.
    """
    source = str(path)
    try:
        # opened here: numpy leaves a file open that turns out to be cut short
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            entries = {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        raise InputError(source, "file", Description("nothing there"), "an existing .npz file") from None
    except _DAMAGE as error:
        raise InputError(source, "file", Description(str(error)), "a complete .npz file of plain arrays") from None
    try:
        metadata = json.loads(str(entries.pop(METADATA, "{}")))
    except ValueError as error:
        raise InputError(source, METADATA, Description(error), "a JSON object") from None
    if not isinstance(metadata, dict):
        raise InputError(source, METADATA, metadata, "a JSON object")
    stored_hash = metadata.pop("content_hash", None)
    validate(entries, metadata)
    if stored_hash is not None and stored_hash != content_hash(entries, metadata):
        raise InputError(
            source, "content_hash", stored_hash, "the hash of the file's content: it was changed or damaged"
        )
    return entries, metadata


class Checkpoint:
    """Where a long run keeps its state, so that a killed job goes on instead of starting anew.

    The file stands beside the run's output under a hidden name, and belongs to one key: a run with other arguments, on
    another game or by another version of the library's code never goes on from it.

    Parameters
    ----------
    path : path-like
        The run's output.
    key : mapping of str to anything that JSON knows
        All that determines the run.
    """

    def __init__(self, path: str | Path, key: Mapping[str, Any]) -> None:
        path = Path(path)
        self.path = path.with_name(f".{path.name}.checkpoint.npz")
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode())
        for source in sorted(LIBRARY.rglob("*.py")):
            digest.update(source.read_bytes())
        self.key = digest.hexdigest()
        self._saved = time.monotonic()

    def load(self) -> dict[str, np.ndarray] | None:
        """Return the arrays last saved under this key, or None; a damaged file counts as none."""
        try:
            arrays, metadata = read_arrays(self.path)
        except InputError:
            return None
        return arrays if metadata.get("key") == self.key else None

    def save(self, state: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Write the arrays that `state` returns, unless less than `CHECKPOINT_SECONDS` have passed since the last."""
        if time.monotonic() - self._saved >= CHECKPOINT_SECONDS:
            write_arrays(self.path, state(), {"key": self.key})
            self._saved = time.monotonic()

    def discard(self) -> None:
        """Remove the file, once the run's output is written."""
        self.path.unlink(missing_ok=True)


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a tidy table as Parquet (one row per observation)."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table that `write_table` wrote.

    Raises
    ------
    InputError
        If the file is missing or not a complete Parquet file.
    """
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise InputError(str(path), "file", Description("nothing there"), "an existing Parquet table") from None
    except (OSError, ValueError) as error:
        raise InputError(str(path), "file", Description(str(error)), "a complete Parquet table") from None


def write_text(path: str | Path, text: str) -> None:
    """Write a text file."""
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def write_json(path: str | Path, content: Any) -> None:
    """Write indented JSON; NaN and infinity, which JSON does not have, are refused."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a file that `write_json` wrote.

    Raises
    ------
    InputError
        If the file is missing or no JSON.
    """
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise InputError(str(path), "file", Description("nothing there"), "an existing JSON file") from None
    except ValueError as error:
        raise InputError(str(path), "file", Description(str(error)), "valid JSON") from None
