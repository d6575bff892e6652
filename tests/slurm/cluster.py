"""Slurm on this machine alone: a controller and one node on loopback, without systemd, accounting or cgroups.

    python tests/slurm/cluster.py make smoke PROFILE=slurm

starts it, runs the command and stops it again. Needs root, and Debian's packages slurm-wlm and munge. The processes of
a job find the configuration in /etc/slurm/slurm.conf only; a file there that is not from here is never touched.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

CONFIGURATION = Path("/etc/slurm/slurm.conf")
MARK = "# Written by tests/slurm/cluster.py of pma-mfg; removed when that cluster stops.\n"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "sinfo", "srun")
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
#: Seconds in which a daemon answers, on a busy machine.
PATIENCE = 60.0

# `other` is a partition that nothing runs in unless it is asked for. Memory is watched by a poll every second: a job
# that exceeds its own is killed. Times are checked by the controller twice a minute.
TEMPLATE = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MinJobAge=86400
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory}
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=other Nodes={host} MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Return why no cluster can be started here, or nothing."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (Debian: apt-get install slurm-wlm munge)"
    if os.geteuid() != 0:
        return "only root can start the daemons of Slurm"
    if CONFIGURATION.exists():
        if not CONFIGURATION.read_text().startswith(MARK):
            return f"{CONFIGURATION} belongs to another cluster"
        if subprocess.run(["scontrol", "ping"], capture_output=True).returncode == 0:
            return "another run of tests/slurm/cluster.py is going on"
    return ""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(*command: str, within: float = PATIENCE) -> None:
    """Wait until a command succeeds."""
    end = time.monotonic() + within
    while (done := subprocess.run(command, capture_output=True, text=True)).returncode:
        if time.monotonic() > end:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        time.sleep(0.2)


@contextlib.contextmanager
def cluster(log: Path) -> Iterator[None]:
    """Run a cluster, whose daemons write their logs into a folder; afterwards they and their configuration are gone.

    Raises
    ------
    RuntimeError
        If it cannot be started; `missing` says why.
    """
    reason = missing()
    if reason:
        raise RuntimeError(reason)
    log.mkdir(parents=True, exist_ok=True)
    host = socket.gethostname().split(".")[0]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-")))
        folder.chmod(0o755)  # srun and sbatch of any user reach munge's socket
        for name in ("state", "spool", "munge"):
            (folder / name).mkdir()

        def start(*command: str, user: str = "root") -> None:
            with (log / f"{Path(command[0]).name}.log").open("w") as output:
                daemon = subprocess.Popen(command, stdout=output, stderr=output, user=user, start_new_session=True)
            stack.callback(stop, daemon)

        # munge only runs as a user of its own; its key is new, so that nothing of the machine's own munge is touched
        account = pwd.getpwnam("munge")
        key = folder / "munge/key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        for path in (key, key.parent):
            os.chown(path, account.pw_uid, account.pw_gid)
        files = {"key-file": key, "socket": key.with_name("socket")}
        files |= {f"{name}-file": key.with_name(name) for name in ("log", "pid", "seed")}
        stack.enter_context(environment(PATH=PATH))
        start("munged", "--foreground", *(f"--{name}={path}" for name, path in files.items()), user="munge")
        answers("munge", "--no-input", f"--socket={folder}/munge/socket")

        CONFIGURATION.parent.mkdir(exist_ok=True)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        CONFIGURATION.write_text(
            MARK
            + TEMPLATE.format(
                host=host,
                folder=folder,
                controller_port=free_port(),
                node_port=free_port(),
                cpus=os.cpu_count(),
                memory=memory * 9 // 10,
            )
        )
        stack.callback(CONFIGURATION.unlink)
        start("slurmctld", "-D", "-c")
        answers("scontrol", "ping")
        start("slurmd", "-D", "-N", host)
        answers("srun", "--immediate=1", "true")
        stack.callback(cancel_jobs)
        yield


def cancel_jobs() -> None:
    """End what is still queued or running: the processes of a job survive their node's daemon."""
    subprocess.run(["scancel", "--me"], check=True)
    answers("sh", "-c", 'test -z "$(squeue --noheader)"')


def stop(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


@contextlib.contextmanager
def environment(**changes: str) -> Iterator[None]:
    before = {name: os.environ[name] for name in changes if name in os.environ}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in changes:
            del os.environ[name]
        os.environ.update(before)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python tests/slurm/cluster.py COMMAND [its arguments]")
    try:
        with tempfile.TemporaryDirectory() as logs, cluster(Path(logs)):
            sys.exit(subprocess.run(sys.argv[1:]).returncode)
    except RuntimeError as error:
        sys.exit(f"error: {error}")
