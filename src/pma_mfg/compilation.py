"""Compiled functions whose cache on disk cannot go stale or be spoilt by parallel jobs.

Compiled functions are called kernels here. What a kernel calls is compiled into it, also across modules. numba's own
cache has two hazards. Editing a helper does not invalidate the compiled code of its callers: here the cache folder is
named by a hash of the sources of all kernels and of the versions that compile them. Processes that compile at the same
time can leave a wrong index: here one process compiles or loads at a time, under a file lock. It also compiles anew for
every path of the same source: here all copies of the project share what one of them has compiled.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import hashlib
import logging
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

import numba
import numpy as np
from numba import types

# types of what kernels take and return; arrays are contiguous
FLOAT, INTEGER, UNSIGNED, COMPLEX, NONE = types.float64, types.int64, types.uint64, types.complex128, types.void

VECTOR, MATRIX, CUBE = FLOAT[::1], FLOAT[:, ::1], FLOAT[:, :, ::1]

INTEGERS, INTEGER_MATRIX = INTEGER[::1], INTEGER[:, ::1]

TUPLE: Any = types.Tuple  # which numba leaves untyped

Function = TypeVar("Function", bound=Callable[..., Any])

#: Options of all kernels. Other Python threads run meanwhile; a division by zero is inf or nan, as in numpy, since a
#: check before each division would rule out vector instructions.
SETTINGS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

#: Options of a kernel that makes no array and calls none that returns one: it does not count references to arrays that
#: its caller holds, which takes some nanoseconds for each array of each call. The compiler refuses to make or to return
#: one; what a call returned would never be freed, and a test looks for such calls. The option is numba's own for
#: code without its runtime, which it does not document.
BORROWED: dict[str, Any] = {"_nrt": False}


@functools.cache
def _sources() -> tuple[Path, ...]:
    """Return the library's modules that have kernels or what they are made of, and this one, whose settings compile."""
    modules = sorted(Path(__file__).parent.rglob("*.py"))
    texts = {module: module.read_bytes() for module in modules}
    return tuple(module for module, text in texts.items() if b"kernel_cache(" in text or b"from llvmlite" in text)


def cache_folder(source: Path) -> Path:
    """Return the cache folder of the kernels in one source file: the same for all modules of the library.

    Parameters
    ----------
    source : Path
        The module that holds them. They may call kernels of the library, but of no other module.

    Returns
    -------
    Path
        Below ``NUMBA_CACHE_DIR`` if that is set, else below the user's cache folder.
    """
    root = os.environ.get("NUMBA_CACHE_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "pma-mfg"
    )
    identity = [numba.__version__, np.__version__, sys.version, platform.machine(), platform.processor()]
    # each by its own hash, so that text which moves from one file to the next makes another folder
    sources = _sources() if source in _sources() else (*_sources(), source)
    identity += [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources]
    return Path(root) / f"kernels-{hashlib.sha256(chr(10).join(identity).encode()).hexdigest()[:16]}"


def _locked(folder: Path) -> IO[str]:
    """Return the open file of a folder's lock, which is released when that is closed, also by a crash."""
    if str(folder).startswith("~"):  # no HOME, and a user whom the system does not know
        raise OSError(errno.ENOENT, "no home folder")
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:
        lock.close()
        raise
    return lock


@functools.cache
def _tell(line: str) -> None:
    """Log a warning once, also if the kernels of several modules give reason for it."""
    logging.getLogger("pma_mfg").warning("warning: %s", line)


@contextmanager
def kernel_cache(source: Path) -> Iterator[Callable[..., Callable[[Function], Function]]]:
    """Yield the decorator ``kernel(signature)``; functions compiled within share one locked cache folder.

    With ``inline="always"`` or ``forceinline=True`` a function's code is put in place of its calls: a call with arrays
    as arguments would take a few nanoseconds. The first is done by numba for every caller anew, the second by LLVM,
    which takes a fifth less time to compile where a function has many callers; some kernels are slower with it.

    Where the folder cannot be written or locked, kernels are compiled in memory by every process, which says so.

    Parameters
    ----------
    source : Path
        The calling module's file.
    """
    folder = cache_folder(source)
    try:
        lock = _locked(folder)
        try:
            kept = _kept(source, folder)
        except OSError:
            lock.close()
            raise
    except OSError as error:
        _tell(f"{folder.parent}: {error.strerror}: kernels are compiled anew; NUMBA_CACHE_DIR names another folder")
        yield lambda signature, **more: numba.njit(signature, **SETTINGS, **more)
        return
    settings: Any = numba.config  # which sets its attributes at run time
    previous = settings.CACHE_DIR
    with lock:

        def kernel(signature: Any, **more: Any) -> Callable[[Function], Function]:
            # an explicit signature compiles at once, inside the lock
            compiled = numba.njit(signature, cache=True, **SETTINGS, **more)

            def of_any_copy(function: Function) -> Function:
                code = function.__code__
                function.__code__ = code.replace(co_filename=str(kept))  # by which numba finds what is compiled
                made: Function = compiled(function)
                return made

            return of_any_copy

        settings.CACHE_DIR = str(folder)
        try:
            yield kernel
        finally:
            settings.CACHE_DIR = previous


def _kept(source: Path, folder: Path) -> Path:
    """Return a copy of a source file in the cache folder, which is at the same path for every copy of the project."""
    kept = folder / source.parent.name / source.name
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        part = kept.with_suffix(".part")
        part.write_bytes(source.read_bytes())
        part.replace(kept)
    return kept
