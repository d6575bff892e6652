"""One run at a time in a folder, and no process of a run that outlives it, however it ends.

A run is a chain of processes: workflow/run.py, Snakemake, and a `pma-mfg` for every job. When one is killed, those
below it go on by themselves, and would write under the feet of the next run. So each is tied to the one above it: on
Linux the kernel kills it when its parent dies, elsewhere a thread looks. (A pipe that all inherit would do as well, but
Snakemake closes what its jobs inherit.)
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import sys
import threading
import time
from pathlib import Path

from pma_mfg.errors import Description, InputError

#: The environment variable that names the parent to die with. Without it a process stands on its own: a command that a
#: person starts in the background goes on when the terminal is closed.
PARENT = "PMA_MFG_PARENT"
POLL_SECONDS = 0.2
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Tie this process to its parent, if the environment asks for it; the processes that it starts are not."""
    parent = int(os.environ.pop(PARENT, "0"))
    if not parent:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _die_unless_child_of(parent)  # it may have died before the call
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def refuse_another_checkout(folder: str | Path) -> None:
    """Refuse to run the pipeline of one checkout with the library of another, as the environment of a copy would.

    Parameters
    ----------
    folder : path-like
        The checkout.

    Raises
    ------
    InputError
        Names both, and what sets up an environment of its own.
    """
    library, own = Path(__file__).resolve().parent, Path(folder, "src/pma_mfg").resolve()
    if library != own:
        allowed = f"{own}: `make environment` there sets it up, PYTHONPATH={own.parent} takes it without"
        raise InputError(sys.executable, "environment", Description(f"the library of {library}"), allowed)


def _watch(parent: int) -> None:
    while True:
        _die_unless_child_of(parent)
        time.sleep(POLL_SECONDS)


def _die_unless_child_of(parent: int) -> None:
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def lock(folder: str | Path) -> None:
    """Keep other runs out of a folder for the rest of this process's life; its children count as the same run.

    Nothing has to be undone after a crash: the lock is the kernel's, and goes with the process. Where there are no
    locks, as in some network folders, a line says so.

    Raises
    ------
    BlockingIOError
        If another run holds it; names the folder and the process.
    """
    # never closed on purpose, and not inherited
    descriptor = os.open(Path(folder, "run.lock"), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # which is an OSError, too
        holder = os.pread(descriptor, 20, 0).decode().strip()
        if holder != str(os.getppid()):
            reason = f"another run (process {holder or 'unknown'}) is going on here; wait for it, or stop it"
            raise BlockingIOError(errno.EAGAIN, reason, str(folder)) from None
    except OSError as error:
        reason = f"no locks here ({error.strerror}): nothing keeps a second run out, start none"
        print(f"warning: {folder}: {reason}", file=sys.stderr)
    else:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
