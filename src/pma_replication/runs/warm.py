"""Jobs that do not wait for imports: one process of a run has imported everything, and a copy of it is each job.

Python, numpy, pandas, and compiled kernels take a second of processor time to load, which is more than most jobs
compute. Snakemake starts `serve` once in a run. A `pma-replicate` that is started by the run asks for a copy of that
process (a fork), hands over its arguments, its folder, its variables and its output, and waits for the exit code. The
copy is tied to both: it ends when the process that it copies ends, or when the one that asks does.

Where there is no such process, because it is not ready, has ended, or the system is another than Linux, nothing else
happens than that a job loads what it needs by itself. Results are the same: a job reads and writes nothing but files.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pma_mfg import processes

#: The environment variable with the name of the process to be copied, by which it is asked.
NAME = "PMA_REPLICATE_WARM"

#: What most jobs import, but for what has kernels.
LOADED = ("numba", "scipy.optimize", "scipy.sparse.linalg", "pma_replication.style", "pma_replication.runs.tables")

#: Exit code of a job whose process was killed, as a shell tells it.
KILLED = 128 + signal.SIGKILL


def ask(arguments: Sequence[str]) -> int | None:
    """Return the exit code of a job that a copy of the loaded process has run; None if there is no such process."""
    name = os.environ.pop(NAME, None)
    if name is None:
        return None
    processes.die_with_parent()
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(_address(name))
        except OSError:
            return None
        if not _is_mine(connection):
            return None
        # the job, in the same group of processes, is interrupted too, and says so
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        request = json.dumps([list(arguments), os.getcwd(), dict(os.environ)]).encode()
        code = b""
        with contextlib.suppress(ConnectionError):
            socket.send_fds(connection, [len(request).to_bytes(8, "big")], [0, 1, 2])
            connection.sendall(request)
            code = connection.recv(1)
    return code[0] if code else KILLED


@dataclass
class _Job:
    """A copy that is at work: its number, the connection to who asked, and what tells of its end."""

    number: int
    connection: socket.socket
    end: int
    is_over: bool = False


def _address(name: str) -> bytes:
    """Return where a process listens: Linux keeps such an address without a file, as long as the process lives."""
    return b"\0pma-replicate." + name.encode()


def _is_mine(connection: socket.socket) -> bool:
    """Return whether the process at the other end belongs to the same user."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", found)[1] == os.getuid())


def serve(name: str, kernels: str) -> None:
    """Load what jobs load, and be copied for each job that asks, until the parent ends.

    Parameters
    ----------
    name : str
        By which it is asked; no other process has it.
    kernels : str
        A file that is there once kernels are compiled: they are loaded before the first job that asks after that.
    """
    processes.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # jobs and Snakemake end by themselves, and this process with them
    _load()
    if not _is_copyable():
        return
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as waited_for:
        listener.bind(_address(name))
        listener.listen(64)
        waited_for.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in waited_for.select():
                if key.fileobj is listener:
                    if kernels and os.path.exists(kernels):
                        _load_kernels()
                        kernels = ""
                    _begin(listener, waited_for)
                elif not key.data.is_over:
                    _end(key.data, key.fileobj, waited_for)


def _is_copyable() -> bool:
    """Return whether copies can be waited for, and this process has no thread that a copy would lack."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):  # an old Linux
        return False
    names = [(Path("/proc/self/task") / thread / "comm").read_text() for thread in os.listdir("/proc/self/task")]
    # jemalloc, which comes with pyarrow, is told by the system of a copy, and does without its thread there
    return len([name for name in names if name != "jemalloc_bg_thd\n"]) == 1


def _begin(listener: socket.socket, waited_for: selectors.BaseSelector) -> None:
    """Make a copy of this process that runs the job which asks, and wait for the end of it and of who asks."""
    connection, _ = listener.accept()
    if not _is_mine(connection):
        connection.close()
        return
    size, files, _, _ = socket.recv_fds(connection, 8, 3)
    with connection.makefile("rb") as sent:
        request = sent.read(int.from_bytes(size, "big"))
    if len(files) < 3 or len(request) < int.from_bytes(size, "big"):  # who asked was killed
        connection.close()
        return
    server = os.getpid()
    if (number := os.fork()) == 0:
        listener.close()
        _run(json.loads(request), files, server)
    for file in files:
        os.close(file)
    job = _Job(number, connection, os.pidfd_open(number))
    for waiting in (job.connection, job.end):
        waited_for.register(waiting, selectors.EVENT_READ, job)


def _run(request: list[Any], files: list[int], server: int) -> NoReturn:
    """Be the job."""
    code = 1
    try:
        arguments, folder, variables = request
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update({**variables, processes.PARENT: str(server)})
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["pma-replicate", *arguments]
        from pma_replication import cli

        code = cli.main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)


def _end(job: _Job, told: object, waited_for: selectors.BaseSelector) -> None:
    """Tell who asked that the job has ended, or end the job if who asked has."""
    if told is job.connection:
        waited_for.unregister(job.connection)
        os.kill(job.number, signal.SIGKILL)  # it is there until it is waited for
        return
    job.is_over = True
    code = os.waitstatus_to_exitcode(os.waitpid(job.number, 0)[1])
    with contextlib.suppress(OSError, KeyError):
        waited_for.unregister(job.connection)
        job.connection.sendall(bytes([code if code >= 0 else 128 - code]))
    waited_for.unregister(job.end)
    job.connection.close()
    os.close(job.end)


def _load() -> None:
    """Import `LOADED`, and what finds the steps."""
    for module in LOADED:
        importlib.import_module(module)
    from pma_replication import cli

    cli.parser()
    gc.freeze()  # a copy then leaves these pages to be shared


def _load_kernels() -> None:
    """Import what has kernels, now that they are compiled."""
    from pma_replication import registry

    for name in registry.experiments():
        with contextlib.suppress(Exception):  # the job that needs it says what is wrong
            registry.load(name, "measure")
    gc.freeze()
