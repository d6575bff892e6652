"""Reading and writing arrays, tables and verdicts: atomic, hashed, validated.

Every file is written under a temporary name in its own folder and renamed, so a file that exists is whole. Arrays are
``.npz`` with a JSON metadata entry that holds a hash of the content; they are never unpickled. A Parquet table holds
the hash of the file itself, and beside JSON stands one in a file of its own, as ``sha256sum`` writes it: what was
damaged, or changed by hand, is refused.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import math
import os
import stat
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pma_mfg import __version__
from pma_mfg.errors import Description, InputError

#: Name of the array that holds the metadata of an ``.npz`` file, as JSON text.
METADATA = "metadata"

#: First part of the names of temporary files. A process that is killed leaves its own behind; the next run of the
#: pipeline removes them.
PARTIAL = ".partial."

#: Mark in the metadata of a Parquet file, followed by the file's hash. The hash is computed with `ZEROS` in its place.
MARK = b"SHA-256 of this file with zeros here: "

#: What stands where the hash belongs while it is computed.
ZEROS = b"0" * 64

#: Words on the hash that is expected of a file, for the message about one that was changed or damaged.
CHANGED = "the hash of its content: it was changed or damaged; delete it, and the next run computes it again"

#: Version of the .npy format -> function that reads its header. numpy.savez writes version 1, or 2 for long headers.
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}

#: Errors of writing that are raised again with the name of the file itself in place of the temporary one.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG, errno.EIO)


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
    temporary = path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{PARTIAL}{path.name}.", suffix=path.suffix)
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
    except OSError as error:
        if error.errno in _UNWRITABLE and error.filename in (None, str(temporary)):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write bytes to a file, which is replaced as a whole.

    Raises
    ------
    OSError
        If the disk is full or read-only; names `path`, not the temporary file.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


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
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **{METADATA: entry}, **arrays)
    write_bytes(path, stream.getvalue())


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
        raise InputError(source, "content_hash", stored_hash, CHANGED)
    return entries, metadata


def read_array(path: str | Path) -> np.ndarray:
    """Read the array that ``numpy.save`` wrote.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    ndarray

    Raises
    ------
    InputError
        If the file is missing, cut short, not an ``.npy``, or holds pickled objects.
    """
    regular_file(path, "an existing .npy file")
    try:
        with open(path, "rb") as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    except (ValueError, EOFError, OSError) as error:
        raise InputError(str(path), "file", Description(error), "a complete .npy file of plain numbers") from None


def _check_members(source: str, archive: zipfile.ZipFile) -> None:
    """Refuse an archive with other members than arrays, or too large for the memory, before it is unpacked."""
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
    """Return one array of an archive.

    Its header is compared with its size first, since numpy allocates whatever the header claims.
    """
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


def write_text(path: str | Path, text: str) -> None:
    """Write a text to a file in UTF-8, which is replaced as a whole."""
    write_bytes(path, text.encode())


def _hash_file(path: str | Path) -> Path:
    """Return the path of the file that holds the hash of a JSON file."""
    return Path(path).with_name(f".{Path(path).name}.sha256")


def write_json(path: str | Path, content: Any) -> None:
    """Write indented JSON, and its hash beside it; NaN and infinity, which JSON does not have, are refused."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    # the hash comes first: a crash between the two leaves a file that is refused rather than one that is not checked
    write_text(_hash_file(path), f"{hashlib.sha256(text.encode()).hexdigest()}  {Path(path).name}\n")
    write_text(path, text)


def read_json(path: str | Path) -> Any:
    """Read a JSON file, and compare it with its hash if `write_json` wrote it.

    Raises
    ------
    InputError
        If the file is missing, no JSON, or does not match its hash.
    """
    content = regular_file(path, "an existing JSON file").read_bytes()
    hash_file = _hash_file(path)
    stored_hash = hash_file.read_text(encoding="utf-8", errors="replace")[:64] if hash_file.exists() else None
    if stored_hash not in (None, hashlib.sha256(content).hexdigest()):
        raise InputError(str(path), "content_hash", stored_hash, CHANGED)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(str(path), "file", Description(str(error)), "valid JSON") from None
