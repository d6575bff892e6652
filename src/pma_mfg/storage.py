"""Reading and writing arrays, tables and verdicts: atomic, hashed, validated.

Every file is written under a temporary name in its own folder and renamed, so a file that exists is whole. Arrays are
``.npz`` with a JSON metadata entry that holds a hash of the content; they are never unpickled.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
import tempfile
import time
import zipfile
from collections import Counter
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
#: What reads the header of each version of the .npy format; numpy.savez writes version 1, or 2 if the header is long.
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def regular_file(path: str | Path, allowed: str) -> Path:
    """Return the path of a file that can be read, and refuse folders, devices and pipes, which may never end.

    Parameters
    ----------
    path : path-like
    allowed : str
        What is expected there, for the message.

    Raises
    ------
    InputError
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            path.open("rb").close()
            return path
        found = "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
    except FileNotFoundError:
        found = "nothing there"
    except (OSError, ValueError) as error:  # the latter for a path with a null character
        found = (error.strerror if isinstance(error, OSError) else None) or str(error)
    raise InputError(str(path), "file", Description(found), allowed)


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
    regular_file(path, "an existing .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(source, archive)
            entries = {name.removesuffix(".npy"): _member(archive, name) for name in archive.namelist()}
    except InputError:
        raise
    except Exception as error:  # whatever zipfile, zlib and numpy raise on bytes that are no archive of arrays
        shown = Description(str(error) or type(error).__name__)
        raise InputError(source, "file", shown, "a complete .npz file of plain arrays") from None
    try:
        metadata = json.loads(str(entries.pop(METADATA, "{}")))
    except (ValueError, RecursionError) as error:
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


def _check_members(source: str, archive: zipfile.ZipFile) -> None:
    """Refuse an archive before anything of it is unpacked: by its members' names, and by what they would take."""
    members = archive.infolist()
    count = Counter(archive.namelist())
    for member in members:
        name = member.filename
        if not name.endswith(".npy") or count[name] > 1:
            raise InputError(source, "file", name, "members NAME.npy, each once, as numpy.savez writes them")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(source, name, Description("another compression"), "one that numpy.savez writes")
    size, memory = sum(member.file_size for member in members), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > memory // 2:
        allowed = f"at most half of this machine's memory, {memory // 2} bytes"
        raise InputError(source, "file", Description(f"{size} bytes when unpacked"), allowed)


def _member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Return one array, after a look at its header: numpy would make room for whatever shape that claims."""
    with archive.open(name) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"{name}: version {version} of the .npy format")
        shape, _, dtype = _HEADERS[version](stream)
        held = archive.getinfo(name).file_size - stream.tell()
    if dtype.hasobject:
        raise ValueError(f"{name}: Python objects, which are pickled")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != held:
        raise ValueError(f"{name}: shape {shape} of type {dtype} in {held} bytes")
    with archive.open(name) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


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
    regular_file(path, "an existing Parquet table")
    try:
        return pd.read_parquet(path)
    except Exception as error:  # whatever pyarrow and pandas raise on bytes that are no table
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
    regular_file(path, "an existing JSON file")
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(str(path), "file", Description(str(error)), "valid JSON") from None
