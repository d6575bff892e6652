"""A process of a run does not outlive the run, and a folder has one run at a time."""

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pma_mfg import processes
from pma_mfg.errors import InputError
from pma_replication.runs import level, locks, warm

#: Starts a child that ties itself to its parent as on `platform`, prints the child's number, and waits.
PARENT = """
import os, subprocess, sys, time
child = "import sys, time; sys.platform = sys.argv[1]; from pma_mfg import processes; "
child += "processes.die_with_parent(); print('tied', flush=True); time.sleep(3600)"
environment = {**os.environ, "PMA_MFG_PARENT": sys.argv[2].replace("mine", str(os.getpid()))}
command = [sys.executable, "-c", child, sys.argv[1]]
started = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
print(started.stdout.readline().strip() or started.wait(), started.pid, flush=True)
time.sleep(3600)
"""
#: Seconds after which a test gives up. Only a fault takes so long: nothing waits for them.
PATIENCE = 600


def start(platform, parent):
    process = subprocess.Popen([sys.executable, "-c", PARENT, platform, parent], stdout=subprocess.PIPE, text=True)
    answer, child = process.stdout.readline().split()
    return process, answer, int(child)


def is_there(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:  # the dead are there until somebody asks after them
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # which it may be before it is opened, or before it is read
        return False


def assert_dies(pid):
    end = time.monotonic() + PATIENCE
    while is_there(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_there(pid)


def wait_for(process, begun):
    """Wait until it is as `begun` says, which only `process`, as long as it is there, brings about."""
    end = time.monotonic() + PATIENCE
    while not begun():
        assert process.poll() is None, "the process that is waited for has ended"
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("platform", ["linux", "another"])
def test_a_tied_process_dies_when_its_parent_is_killed(platform):
    process, answer, child = start(platform, "mine")
    assert answer == "tied"
    assert is_there(child)
    process.kill()
    process.wait()
    process.stdout.close()
    assert_dies(child)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("platform", ["linux", "another"])
def test_a_process_whose_parent_is_dead_already_does_not_go_on(platform):
    process, _, child = start(platform, "1")  # its parent is another
    assert_dies(child)
    process.kill()
    process.wait()
    process.stdout.close()


#: Starts a child that nobody ties and that speaks, on the same output, once its parent is another.
LEFT_ALONE = """
import os, subprocess, sys, time
child = "import os, time; from pma_mfg import processes; processes.die_with_parent(); parent = int(os.environ['MINE'])"
child += chr(10) + "while os.getppid() == parent: time.sleep(0.05)" + chr(10) + "print('alone', flush=True)"
subprocess.Popen([sys.executable, "-c", child], env={**os.environ, "MINE": str(os.getpid())})
print("started", flush=True)
time.sleep(3600)
"""


def test_a_process_that_nobody_tied_outlives_its_parent():
    process = subprocess.Popen([sys.executable, "-c", LEFT_ALONE], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "started\n"
    process.kill()
    process.wait()
    assert process.stdout.readline() == "alone\n"  # the end of the output, and so nothing, if it had died
    process.stdout.close()


JOB = [sys.executable, "-c", "import sys; from pma_replication.cli import main; sys.exit(main())"]

#: A game whose file never ends, once it has said which process reads it.
ENDLESS = """
import os, time
with open("part", "w") as file:
    file.write(str(os.getpid()))
os.rename("part", "begun")
time.sleep(3600)
"""


#: The process that jobs are copies of. What it has registered for its own end is not theirs to do.
SERVE = """
import atexit, os, sys
atexit.register(print, "the end of the process that is copied")
from pma_replication.runs import warm
warm.serve(sys.argv[1], '')
"""

#: One whose first copy of a job fails (the first copy is for the test that looks whether it answers), and that looks at
#: a file of the test in place of sources.
FAILING = SERVE.replace(
    "warm.serve",
    """
fork, failures = os.fork, [None, OSError(12, "no memory")]
def fails_once():
    if failures and (failure := failures.pop(0)):
        raise failure
    return fork()
os.fork = fails_once
warm._sources = lambda: {"source.py": warm._state("source.py")}
warm.serve""",
)

#: A game whose file is refused with a word on whether its process was started anew, and with that one's parent.
REFUSED = """
import os, sys
raise ValueError("anew" if "pma_replication.cli" in sys.orig_argv else "copied", os.getppid())
"""

#: A game whose file leaves a process behind, and is refused with its number.
LEAVING = """
import os, signal
if not (number := os.fork()):
    os.closerange(0, 3)
    signal.pause()
raise ValueError("left", number)
"""


def answers(process):
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(warm._address(process.name)) == 0


@pytest.fixture
def loaded(request, tmp_path, monkeypatch):
    """A process that runs `SERVE`, or the code that the test gives, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    code = getattr(request, "param", SERVE)
    for name, value in level.environment().items():  # as in a run: one that has more threads than one is not copied
        monkeypatch.setenv(name, value)
    environment = {**os.environ, processes.PARENT: str(os.getpid())}
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path.name + str(os.getpid())], env=environment)
    process.name = process.args[-1]
    try:
        wait_for(process, lambda: answers(process))
        yield process
    finally:
        process.kill()
        process.wait()


def asking(loaded):
    return {**os.environ, warm.NAME: loaded.name, processes.PARENT: str(os.getpid())}


def refused(loaded, game="refused.py"):
    command = [*JOB, "game", game, "--out", "x.py"]
    return subprocess.run(command, env=asking(loaded), capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.skipif(sys.platform != "linux", reason="jobs are copies on Linux alone")
def test_a_job_that_is_a_copy_writes_says_and_ends_as_one_that_loads_by_itself_and_dies_with_either_end(loaded):
    Path("last.py").write_text("import atexit; atexit.register(print, 'the end of the job'); raise ValueError")
    made = "game planted_smooth n_states=3 n_actions=2 discount=0.5 seed=1 strength=0.1 --out game.npz"
    for command in (made, "collect absent.parquet --out x.parquet", "collect", "game last.py --out x.py"):
        found = []
        for environment in (asking(loaded), None):
            done = subprocess.run([*JOB, *command.split()], env=environment, capture_output=True, text=True)
            content = Path("game.npz").read_bytes() if command == made else b""
            found.append((done.returncode, done.stdout, done.stderr, content))
        assert found[0] == found[1]
        assert found[0][0] == (0 if command == made else 2)

    Path("endless.py").write_text(ENDLESS)
    for killed_by_caller in (True, False):
        job = subprocess.Popen([*JOB, "game", "endless.py", "--out", "x.py"], env=asking(loaded))
        wait_for(job, Path("begun").exists)
        copy = int(Path("begun").read_text())
        assert psutil.Process(copy).ppid() == loaded.pid
        (job if killed_by_caller else loaded).kill()
        assert job.wait() == (-signal.SIGKILL if killed_by_caller else 128 + signal.SIGKILL)
        assert_dies(copy)
        Path("begun").unlink()
    # nobody is there who could be copied any more
    done = subprocess.run([*JOB, "collect"], env=asking(loaded), capture_output=True, text=True)
    assert "usage: pma-replicate collect" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="jobs are copies on Linux alone")
@pytest.mark.parametrize("loaded", [FAILING], indirect=True)
def test_a_job_that_cannot_be_copied_fails_alone_and_one_after_an_edit_loads_what_was_edited(loaded):
    Path("refused.py").write_text(REFUSED)
    failed, copied = refused(loaded), refused(loaded)
    Path("source.py").write_text("edited = True\n")
    anew = refused(loaded)
    assert (failed.returncode, failed.stderr) == (128 + signal.SIGKILL, "")
    assert f"ValueError: ('copied', {loaded.pid})" in copied.stderr
    assert f"ValueError: ('anew', {loaded.pid})" in anew.stderr
    assert copied.returncode == anew.returncode == 2


@pytest.mark.skipif(sys.platform != "linux", reason="jobs are copies on Linux alone")
@pytest.mark.parametrize("said", ["nothing", "a part"])
def test_a_job_does_not_wait_for_one_that_was_stopped_before_it_said_what_it_asks(loaded, said):
    Path("refused.py").write_text(REFUSED)
    server = psutil.Process(loaded.pid)
    with socket.socket(socket.AF_UNIX) as stopped:
        stopped.connect(warm._address(loaded.name))
        if said != "nothing":
            socket.send_fds(stopped, [b"\0["], [0, 1, 2])
        assert f"('copied', {loaded.pid})" in refused(loaded).stderr
        wait_for(loaded, lambda: len(server.children()) == 1)  # waits for what else is said
    wait_for(loaded, lambda: not server.children())


@pytest.mark.skipif(sys.platform != "linux", reason="jobs are copies on Linux alone")
def test_a_job_ends_with_the_process_that_it_copies_also_if_another_job_has_left_a_process(loaded):
    Path("endless.py").write_text(ENDLESS)
    Path("leaving.py").write_text(LEAVING)
    job = subprocess.Popen([*JOB, "game", "endless.py", "--out", "x.py"], env=asking(loaded))
    wait_for(job, Path("begun").exists)
    left = int(re.search(r"\('left', (\d+)\)", refused(loaded, "leaving.py").stderr)[1])
    try:
        loaded.kill()
        assert job.wait(PATIENCE) == 128 + signal.SIGKILL
        assert is_there(left)
    finally:
        os.kill(left, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="jobs are copies on Linux alone")
def test_a_process_with_another_thread_is_not_copied(tmp_path):
    thread = "import threading, time; threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()"
    command = [sys.executable, "-c", thread + SERVE, tmp_path.name + str(os.getpid())]
    assert subprocess.run(command, timeout=PATIENCE).returncode == 0


def test_the_sources_that_a_copy_compares_are_those_of_both_packages_and_every_edit_shows(tmp_path):
    sources = warm._sources()
    assert {processes.__file__, warm.__file__} <= set(sources)
    assert not [path for path in sources if "site-packages" in path]
    source = tmp_path / "source.py"
    states = [warm._state(source)]
    for content in ("a = 1\n", "a = 10\n"):
        source.write_text(content)
        states.append(warm._state(source))
    assert len(set(states)) == 3


LOCK = "import sys, time; from pma_replication.runs import locks; locks.lock(sys.argv[1]); "
LOCK += "print('locked', flush=True); "


def test_a_lock_keeps_others_out_and_dies_with_its_process(tmp_path):
    command = [sys.executable, "-c", LOCK + "time.sleep(3600)", str(tmp_path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "locked\n"
    with pytest.raises(BlockingIOError, match=rf"another run \(process {holder.pid}\) is going on") as refused:
        locks.lock(tmp_path)
    assert refused.value.filename == str(tmp_path)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    done = subprocess.run([sys.executable, "-c", LOCK, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout == "locked\n"


def test_a_child_of_the_holder_belongs_to_the_same_run(tmp_path):
    child = f"import subprocess; subprocess.run([sys.executable, '-c', {LOCK!r}, sys.argv[1]], check=True)"
    done = subprocess.run([sys.executable, "-c", LOCK + child, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout == "locked\nlocked\n"


def test_where_there_are_no_locks_a_line_says_so_and_the_run_goes_on(tmp_path, monkeypatch, capsys):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks.fcntl, "flock", no_locks)
    locks.lock(tmp_path)
    assert capsys.readouterr().err == (
        f"warning: {tmp_path}: no locks here (No locks available): nothing keeps a second run out, start none\n"
    )


def test_a_checkout_is_not_run_with_the_library_of_another(tmp_path):
    own = Path(processes.__file__).parents[2]
    locks.refuse_another_checkout(own)
    (tmp_path / "link").symlink_to(own)
    locks.refuse_another_checkout(tmp_path / "link")
    with pytest.raises(
        InputError, match=r"environment: got the library of .*, expected .*`make environment`"
    ) as refused:
        locks.refuse_another_checkout(tmp_path)
    assert str(own) in str(refused.value)
    assert f"PYTHONPATH={tmp_path}/src" in str(refused.value)
