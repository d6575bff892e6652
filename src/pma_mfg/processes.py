"""One run at a time in a folder, and no process of a run that outlives it, however it ends.

A run is a chain of processes: workflow/run.py, Snakemake, and a `pma-replicate` for every job. When one is killed,
those below it go on by themselves, and would write under the feet of the next run. So each is tied to the one above it:
on Linux the kernel kills it when its parent dies, elsewhere a thread looks. (A pipe that all inherit would do as well,
but Snakemake closes what its jobs inherit.)
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

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


def _watch(parent: int) -> None:
    while True:
        _die_unless_child_of(parent)
        time.sleep(POLL_SECONDS)


def _die_unless_child_of(parent: int) -> None:
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
