"""Jobs that do not wait for imports: one process of a run has imported everything, and a copy of it is each job.

Python, numpy, pandas, and compiled kernels take a second of processor time to load, which is more than most jobs
compute. Snakemake starts `serve` once in a run. A `pma-replicate` that is started by the run asks for a copy of that
process (a fork), hands over its arguments, its folder, its variables and its output, and waits for the exit code. The
copy is tied to both: it ends when the process that it copies ends, or when the one that asks does.

Where there is no such process, because it is not ready, has ended, or the system is another than Linux, a job loads
what it needs by itself. So does a job that begins after a loaded source file of this project was edited, as Snakemake
takes its results for those of the edited file. Results are the same: a job reads and writes nothing but files.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

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
            socket.send_fds(connection, [b"\0"], [0, 1, 2])
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            code = connection.recv(1)
    return code[0] if code else KILLED


#: Source files, and what tells of an edit.
_Sources = dict[str, tuple[int, int] | None]


@dataclass
class _Job:
    """A copy that is at work: its number, the connection to who asked, and what tells of its end."""

    number: int
    connection: socket.socket
    end: int


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
    sources = _sources()
    if not _is_copyable():
        return
    jobs: dict[int, _Job] = {}  # by the numbers of both files that tell of them
    with socket.socket(socket.AF_UNIX) as listener, select.epoll() as told:
        listener.bind(_address(name))
        listener.listen(64)
        told.register(listener, select.EPOLLIN)
        while True:
            # one at a time, since what ends a job closes files, whose numbers the next job gets
            [(file, _)] = told.poll(maxevents=1)
            if file != listener.fileno():
                _end(jobs, file, told)
                continue
            if kernels and os.path.exists(kernels):
                _load_kernels()
                sources |= {path: state for path, state in _sources().items() if path not in sources}
                kernels = ""
            if (job := _begin(listener, jobs, sources)) is not None:
                jobs |= dict.fromkeys((job.connection.fileno(), job.end), job)
                told.register(job.connection, select.EPOLLHUP)  # and not what is said, which the copy reads
                told.register(job.end, select.EPOLLIN)


def _is_copyable() -> bool:
    """Return whether copies can be waited for, and this process has no thread that a copy would lack."""
    try:
        os.close(os.pidfd_open(os.getpid()))
        names = [
            (Path("/proc/self/task") / thread / "comm").read_text(encoding="utf-8")
            for thread in os.listdir("/proc/self/task")
        ]
    except (AttributeError, OSError):  # an old Linux, or a /proc that cannot be read
        return False
    # jemalloc, which comes with pyarrow, is told by the system of a copy, and does without its thread there
    return len([name for name in names if name != "jemalloc_bg_thd\n"]) == 1


def _begin(listener: socket.socket, jobs: dict[int, _Job], sources: _Sources) -> _Job | None:
    """Make a copy of this process that runs the job which asks; None, and no other job is disturbed, if that fails."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
        connection = opened.enter_context(listener.accept()[0])
        if not _is_mine(connection):
            return None
        server = os.getpid()
        if (number := os.fork()) == 0:
            try:
                # what the copy starts may live longer than this process, of whose end the others are to be told
                for other in (listener, *(job.connection for job in jobs.values())):
                    other.close()
                _run(connection, server, sources)
            finally:
                os._exit(1)  # whatever is raised, a copy does not go on as the process that is copied
        try:
            end = os.pidfd_open(number)
        except OSError:  # nobody would wait for it
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
            raise
        opened.pop_all()
        return _Job(number, connection, end)
    return None


def _run(connection: socket.socket, server: int, sources: _Sources) -> NoReturn:
    """Be the job that is asked for, or make place for it if a loaded source file is another now."""
    code = 1
    try:
        atexit._clear()  # what is registered from here on is the job's
        os.environ[processes.PARENT] = str(server)
        processes.die_with_parent()
        # here, and not in the process that is copied, since who asks may be stopped, and others would wait for it
        with connection, connection.makefile("rb") as sent:
            files = socket.recv_fds(connection, 1, 3)[1]
            request = sent.read()
        try:
            arguments, folder, variables = json.loads(request)
        except ValueError:  # who asked was killed
            sys.exit(KILLED)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, file in zip(range(3), files, strict=True):
            os.dup2(file, number)
            os.close(file)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(variables)
        if any(_state(path) != state for path, state in sources.items()):
            # the same process, so that it ends and is waited for as a copy is
            os.execv(sys.executable, [sys.executable, "-P", "-m", "pma_replication.cli", *arguments])
        sys.argv = ["pma-replicate", *arguments]
        from pma_replication import cli

        code = cli.main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)


def _end(jobs: dict[int, _Job], file: int, told: select.epoll) -> None:
    """Tell who asked that the job has ended, or end the job if who asked has."""
    job = jobs.pop(file)
    told.unregister(file)
    if file != job.end:
        os.kill(job.number, signal.SIGKILL)  # it is there until it is waited for
        return
    code = os.waitstatus_to_exitcode(os.waitpid(job.number, 0)[1])
    if jobs.pop(job.connection.fileno(), None):
        told.unregister(job.connection)
        with contextlib.suppress(OSError):
            job.connection.sendall(bytes([code if code >= 0 else 128 - code]))
    job.connection.close()
    os.close(job.end)


def _load() -> None:
    """Import `LOADED`, and what finds the steps."""
    for module in LOADED:
        importlib.import_module(module)
    from pma_replication import cli

    cli.parser()
    gc.freeze()  # collections of garbage in a copy then do not write into memory that all copies share


def _sources() -> _Sources:
    """Return the source files of this project that are loaded."""
    packages = tuple(f"{package}{os.sep}" for package in (Path(__file__).parents[1], Path(processes.__file__).parent))
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return {path: _state(path) for path in files if path and path.startswith(packages)}


def _state(path: str) -> tuple[int, int] | None:
    """Return what an edit of a file changes: its time and size; None if it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _load_kernels() -> None:
    """Import what has kernels, now that they are compiled."""
    from pma_replication import registry

    for name in registry.experiments():
        with contextlib.suppress(Exception):  # the job that needs it says what is wrong
            registry.load(name, "measure")
    gc.freeze()
