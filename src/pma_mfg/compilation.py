"""Compiled functions whose cache on disk cannot go stale or be spoilt by parallel jobs.

numba's own cache has two hazards. Editing a helper does not invalidate the compiled code of its callers: here the cache
folder is named by a hash of the kernels' source and of the versions that compile it. Processes that compile at the same
time can leave a wrong index: here one process compiles or loads at a time, under a file lock.
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

Function = TypeVar("Function", bound=Callable[..., Any])

#: A division by zero is inf or nan, as in numpy: a check before each division would rule out vector instructions.
SETTINGS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


def cache_folder(source: Path) -> Path:
    """Return the cache folder of the kernels in one source file.

    Parameters
    ----------
    source : Path
        The module that holds them, all of them: a kernel calls no compiled function of another module.

    Returns
    -------
    Path
        Below ``NUMBA_CACHE_DIR`` if that is set, else below the user's cache folder.
    """
    root = os.environ.get("NUMBA_CACHE_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "pma-mfg"
    )
    identity = [numba.__version__, np.__version__, sys.version, platform.machine(), platform.processor()]
    digest = hashlib.sha256(source.read_bytes() + "\n".join(identity).encode()).hexdigest()
    return Path(root) / f"kernels-{digest[:16]}"


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
    """Say something once, however many modules have kernels."""
    logging.getLogger("pma_mfg").warning("warning: %s", line)


@contextmanager
def kernel_cache(source: Path) -> Iterator[Callable[[Any], Callable[[Function], Function]]]:
    """Yield the decorator ``kernel(signature)``; functions compiled within share one locked cache folder.

    Where the folder cannot be written or locked, kernels are compiled in memory by every process, which says so.

    Parameters
    ----------
    source : Path
        The calling module's file.
    """
    folder = cache_folder(source)
    try:
        lock = _locked(folder)
    except OSError as error:
        _tell(f"{folder.parent}: {error.strerror}: kernels are compiled anew; NUMBA_CACHE_DIR names another folder")
        yield lambda signature: numba.njit(signature, **SETTINGS)
        return
    settings: Any = numba.config  # which sets its attributes at run time
    previous = settings.CACHE_DIR
    with lock:
        settings.CACHE_DIR = str(folder)
        try:
            # an explicit signature compiles at once, inside the lock
            yield lambda signature: numba.njit(signature, cache=True, **SETTINGS)
        finally:
            settings.CACHE_DIR = previous
