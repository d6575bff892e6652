"""One run at a time in a folder, by the code of its own checkout."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from pathlib import Path

from pma_mfg.errors import Description, InputError


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
    library, own = Path(__file__).resolve().parents[1], Path(folder, "src/pma_replication").resolve()
    if library != own:
        allowed = f"{own}: `make environment` there sets it up, PYTHONPATH={own.parent} takes it without"
        raise InputError(sys.executable, "environment", Description(f"the library of {library}"), allowed)


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
