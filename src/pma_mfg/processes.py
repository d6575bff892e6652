"""Processes that end when the process which started them ends, also if that one is killed.

A run of the workflow is a chain of processes: workflow/run.py, Snakemake, and a `pma-replicate` for every job. When one
is killed, those below it would go on by themselves, and write into the files of the next run. So each is tied to the
one above it: on Linux the operating system kills it when its parent dies, elsewhere a thread looks for the parent again
and again. (A pipe that all inherit would do as well, but Snakemake closes what its jobs inherit.)
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

#: Seconds between two looks at the parent, on systems that do not tell of its end.
POLL_SECONDS = 0.2

# option of Linux's system call prctl: the signal that this process gets when its parent dies
_PR_SET_PDEATHSIG = 1


def cores() -> int:
    """Return how many cores this process may use."""
    # macOS has no such call
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def die_with_parent() -> None:
    """Tie this process to its parent, if the environment asks for it. Processes that it starts are not tied."""
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
