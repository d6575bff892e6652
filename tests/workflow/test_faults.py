"""Whatever ends a run, the same command takes it up again and ends with the same bits; docs/faults.md is the list."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.workflow.conftest import PATIENCE, Running, copy_of_repository, run_in

from pma_mfg import cli
from pma_replication.runs import damage
from pma_replication.runs import tables as parquet

Run = Callable[..., Any]
TINY = """
seed: 1
results: results/tiny
figures: results/tiny/figures
games:
  own:
    file: own.npz
    regularizer: entropy
    strength: 1.0
bounds: {games: [own], step_sizes: [1.0], n_pairs: 2, n_ascents: 0}
"""
RESULTS = "results/tiny"
#: Figures, which take the longest, are drawn in the long test, and kernels compiled.
TARGETS = [f"{RESULTS}/claims.json"]
COMMAND = ["workflow/run.py", "tiny.yaml", *TARGETS]
GAME = ["generate", "affine", "n_states=3", "n_actions=2", "discount=0.5", "K_mu=0.1", "K_s=0.3", "K_a=0.2"]
GAME += ["L_mu=0.01", "L_s=0.02", "L_a=0.05"]


def make_game(folder: Path, seed: int) -> None:
    assert cli.main([*GAME, f"seed={seed}", "--out", str(folder / "own.npz")]) == 0


def prepared(folder: Path) -> Path:
    """A copy of the repository whose long steps save their state all the time."""
    source = copy_of_repository(folder) / "src/pma_replication/runs/checkpoints.py"
    text, n_changed = re.subn(r"(?m)^CHECKPOINT_SECONDS = .*$", "CHECKPOINT_SECONDS = 0.1", source.read_text())
    assert n_changed == 1
    source.write_text(text)
    return folder


def unpredicted(folder: Path) -> Path:
    """The folder, where no run predicts its time, for which it would load all kernels, and compile them in a new cache.

    What is predicted, tests/test_cost.py tests; the run of `undisturbed` predicts its time.
    """
    said = "def announcement(*_):\n    return 'its time is not predicted'\n"
    (folder / "src/pma_replication/cost.py").write_text(said)
    return folder


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a tiny configuration."""
    folder = prepared(tmp_path_factory.mktemp("undisturbed"))
    (folder / "tiny.yaml").write_text(TINY)
    make_game(folder, 1)
    done = run_in(folder, *COMMAND)
    assert done.returncode == 0, done.stderr[-3000:]
    return unpredicted(folder)


@pytest.fixture
def finished(undisturbed: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to be spoilt."""
    return shutil.copytree(undisturbed, tmp_path / "run", symlinks=True)


def results(folder: Path, name: str = RESULTS) -> dict[str, bytes]:
    """The content of all results that do not depend on the time of day."""
    found = [path for path in (folder / name).rglob("*") if path.is_file()]
    kept = [path for path in found if not {"logs", "benchmarks"} & set(path.relative_to(folder / name).parts)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def spoil(folder: Path) -> dict[str, bytes]:
    """Remove some results, from a point to the verdicts, and return what was there before."""
    before = results(folder)
    for name in ("points/bounds/own.parquet", "tables/bounds.parquet", "claims.json"):
        (folder / RESULTS / name).unlink()
    return before


def jobs(log: str) -> dict[str, str]:
    """The jobs that a run announced, by number."""
    return dict(re.findall(r"^(?:local)?Job (\d+): (.*)$", log, re.MULTILINE))


def finished_jobs(log: str) -> set[str]:
    """The jobs that Snakemake has reported as finished, and so recorded."""
    numbers = re.findall(r"^Finished jobid: (\d+) ", log, re.MULTILINE)
    return {jobs(log)[number] for number in numbers if number in jobs(log)}


#: Ways to end a run: whom a signal is sent to, which one, and the exit code of run.py if it is told.
ENDS = [
    ("everything", signal.SIGKILL, -signal.SIGKILL),
    ("run.py", signal.SIGKILL, -signal.SIGKILL),
    ("Snakemake", signal.SIGKILL, 128 + signal.SIGKILL),
    ("the terminal's group", signal.SIGINT, 128 + signal.SIGINT),
    ("run.py", signal.SIGTERM, 128 + signal.SIGTERM),
    ("a job", signal.SIGKILL, 1),
]


def addressed(run: Running, whom: str) -> list[psutil.Process]:
    """The processes that a signal is for; none while the one that is meant is not there."""
    match whom:
        case "Snakemake":
            return run.snakemake()
        case "a job":
            return run.jobs()
        case "everything":
            return [run.process, *run.below()] if run.snakemake() else []
    return [run.process] if run.snakemake() else []  # Snakemake is in another group


def end(run: Running, whom: str, number: signal.Signals, rng: random.Random) -> None:
    """Send a signal to the run and all below it at once, to its head, to Snakemake, or to one job, and wait."""
    chosen = addressed(run, whom)
    for process in rng.sample(chosen, 1) if whom == "a job" and chosen else chosen:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    run.process.wait(timeout=PATIENCE)
    run.assert_nothing_left()


@pytest.mark.parametrize(
    ("config", "name", "targets", "n_ends"),
    [
        pytest.param("tiny.yaml", RESULTS, TARGETS, len(ENDS), id="tiny"),
        pytest.param("config/smoke.yaml", "results/smoke", [], 30, id="smoke", marks=pytest.mark.long),
    ],
)
def test_a_run_that_is_ended_at_random_moments_ends_with_the_same_bits_and_repeats_no_finished_job(
    config: str, name: str, targets: list[str], n_ends: int, undisturbed: Path, tmp_path: Path
) -> None:
    command = ["workflow/run.py", config, *targets]
    reference, start = undisturbed, time.monotonic()
    if config != "tiny.yaml":
        reference = prepared(tmp_path / "reference")
        done = run_in(reference, *command)
        assert done.returncode == 0, done.stderr[-3000:]
        print(f"\n{time.monotonic() - start:.0f} s undisturbed")
    expected = results(reference, name)
    folder = unpredicted(prepared(tmp_path / "ended"))
    for file in ("tiny.yaml", "own.npz"):
        shutil.copy(undisturbed / file, folder)
    rng, n_ended, done_before, returncode = random.Random(20), 0, set[str](), None
    while n_ended < n_ends or returncode != 0:
        if returncode == 0:  # all was done before the next end: once more from the beginning
            shutil.rmtree(folder / "results")
            shutil.rmtree(folder / ".snakemake")
            done_before.clear()
        # where no kernels are compiled yet: that may be interrupted too
        run = Running(folder, *command, NUMBA_CACHE_DIR=str(folder / "kernels"))
        whom, number, code = ENDS[n_ended % len(ENDS)]
        # a random while after a random number of jobs: the sequence does not depend on the machine's speed
        n_jobs, pause = rng.randrange(12 if n_ends > 10 else 3), rng.uniform(0, 3 if n_ends > 10 else 1)
        while run.process.poll() is None and (
            run.log.read_text().count("Finished jobid") < n_jobs or not addressed(run, whom)
        ):
            time.sleep(0.02)
        if n_ended < n_ends:
            time.sleep(pause if whom != "a job" else 0)
            end(run, whom, number, rng)
        returncode = run.process.wait(timeout=PATIENCE)
        log = run.log.read_text()
        if n_ended < n_ends and returncode and "(100%) done" not in log:  # else the run had ended by itself before
            assert returncode == code, log[-3000:]
            n_ended += 1
        announced = set(jobs(log).values())
        assert not announced & done_before, log[-3000:]
        done_before |= finished_jobs(log)
        lost = announced - done_before
        assert len(lost) <= (os.cpu_count() or 1)
        if returncode:
            moment = f"{number.name} to {whom}, {n_jobs} jobs and {pause:.1f} s later"
            print(f"{moment}: {len(announced)} begun, lost {sorted(lost)}")
        for path in (folder / name).rglob("[!.]*"):
            assert damage.damage(path) is None
        if returncode == 0:
            assert results(folder, name) == expected


def replace(file: Path, old: str, new: str) -> None:
    """Change a source of a copy of the repository."""
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def held(folder: Path, *command: str) -> Running:
    """Start a run that has taken the lock, and goes on when the file `hold` is removed."""
    lock = '    locks.lock(".snakemake")\n'
    wait = '    Path("locked").touch()\n    while Path("hold").exists():\n        __import__("time").sleep(0.05)\n'
    replace(folder / "workflow/rules/common.smk", lock, lock + wait)
    (folder / "hold").touch()
    run = Running(folder, *command)
    run.wait_for((folder / "locked").exists)
    return run


def test_a_second_run_in_the_folder_is_refused_and_the_first_goes_on_undisturbed(finished: Path) -> None:
    expected = spoil(finished)
    first = held(finished, *COMMAND)
    again, by_hand = [
        run_in(finished, *command)
        for command in (COMMAND, ["-m", "snakemake", "--configfile", "tiny.yaml", "--forcerun", "equilibria_solve"])
    ]
    (finished / "hold").unlink()
    refused = f"another run (process {first.process.pid}) is going on here; wait for it, or stop it"
    assert again.returncode == 2
    assert again.stderr == f"error: {finished / '.snakemake'}: {refused}\n"
    assert by_hand.returncode == 1
    assert refused in by_hand.stderr
    assert first.process.wait(timeout=PATIENCE) == 0, first.log.read_text()[-3000:]
    assert results(finished) == expected


def test_a_run_is_refused_while_snakemake_runs_by_hand(finished: Path) -> None:
    spoil(finished)
    begin = "    processes.die_with_parent()\n"
    replace(finished / "src/pma_mfg/command_line.py", begin, f"{begin}    __import__('time').sleep({PATIENCE})\n")
    first = held(finished, "-m", "snakemake", *TARGETS, "--configfile", "tiny.yaml")
    again = run_in(finished, *COMMAND)
    assert again.returncode == 2
    assert f"another run (process {first.process.pid}) is going on here" in again.stderr
    (finished / "hold").unlink()
    first.wait_for(first.jobs)
    first.process.kill()
    first.process.wait()
    first.assert_nothing_left()  # jobs die with Snakemake, too


#: A shell that begins when its parent, whom it saw, has died.
LATE = """#!/bin/sh
parent=$PPID
touch begun
while kill -0 $parent 2>/dev/null; do sleep 0.05; done
exec /bin/bash "$@"
"""


def test_a_job_whose_snakemake_is_killed_before_it_begins_does_not_begin(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(finished)
    shell = tmp_path / "bin/bash"
    shell.parent.mkdir()
    shell.write_text(LATE)
    shell.chmod(0o755)
    monkeypatch.setenv("PATH", str(shell.parent), prepend=os.pathsep)
    run = Running(finished, "-m", "snakemake", *TARGETS, "--configfile", "tiny.yaml")
    run.wait_for((finished / "begun").exists)
    run.process.kill()
    run.process.wait()
    run.assert_nothing_left()
    assert not (finished / RESULTS / "points/bounds/own.parquet").exists()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_what_is_damaged_or_changed_by_hand_is_named_and_computed_again(finished: Path) -> None:
    expected = results(finished)
    points = finished / RESULTS / "points"
    table = points / "assumptions/own.parquet"
    before = table.stat()
    flip(table)
    os.utime(table, ns=(before.st_atime_ns, before.st_mtime_ns))  # a disk that fails leaves no trace in the time
    game, equilibrium = finished / RESULTS / "games/own.npz", finished / RESULTS / "equilibria/own.npz"
    flip(game)
    equilibrium.write_bytes(equilibrium.read_bytes()[:-100])
    verdicts = finished / RESULTS / "claims.json"
    verdicts.write_text(verdicts.read_text().replace('"confirmed"', '"not confirmed"'))
    flattered = parquet.read_table(points / "bounds/own.parquet")
    flattered.loc[0, "largest_ratio"] += 1e-9
    parquet.write_table(points / "bounds/own.parquet", flattered)  # with a right hash
    page = finished / RESULTS / "figures/verdicts.md"
    page.write_text(page.read_text().replace("confirmed", "refuted"))
    done = run_in(finished, *COMMAND)
    assert done.returncode == 0, done.stderr[-3000:]
    changed = [table, game, equilibrium, verdicts, points / "bounds/own.parquet", page]
    named = re.findall(r"^computed again: (\S+): ", done.stdout, re.MULTILINE)
    assert sorted(named) == sorted(map(str, changed))
    assert results(finished) == expected


def test_a_step_refuses_a_damaged_file_by_name_and_says_how_to_mend_it(finished: Path) -> None:
    table = finished / RESULTS / "points/bounds/own.parquet"
    flip(table)
    done = run_in(finished, "-m", "pma_replication.cli", "collect", str(table), "--out", "joined.parquet")
    assert done.returncode == 2
    assert done.stderr.startswith(f"pma-replicate: error: {table}: content_hash: got ")
    assert "changed or damaged; delete it, and the next run computes it again" in done.stderr
    assert not (finished / "joined.parquet").exists()


def rerun(folder: Path) -> set[str]:
    """Run it again, and return the jobs that it did."""
    done = run_in(folder, *COMMAND)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return set(jobs(done.stdout + done.stderr).values())


def test_a_clock_set_back_neither_hides_a_change_nor_reruns_for_ever(finished: Path, undisturbed: Path) -> None:
    tomorrow = int(time.time()) + 86400  # by the clock of today, when all of it was made
    for path in [*finished.rglob("*.py"), *(finished / RESULTS).rglob("*.*"), finished / "own.npz"]:
        os.utime(path, (tomorrow, tomorrow))
    for path in (finished / ".snakemake/metadata").rglob("*"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"endtime": float(tomorrow)}))
    assert rerun(finished) == set()
    make_game(finished, 2)
    os.utime(finished / "own.npz", (5.0, 5.0))  # the edit is older than all that depends on it
    assert {"Make the game own", "Solve own exactly", "Turn the tables into verdicts"} <= rerun(finished)
    assert results(finished) != results(undisturbed)


needs_mounts = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None, reason="needs root on Linux to mount"
)


@pytest.fixture
def small_disk(finished: Path) -> Iterator[Path]:
    """The results of the finished run on a disk of their own, which is nearly full."""
    disk, kept = finished / RESULTS, finished / "kept"
    disk.rename(kept)
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mount is not allowed here: {mounted.stderr.decode().strip()}")
    try:
        shutil.copytree(kept, disk, dirs_exist_ok=True)
        shutil.rmtree(kept)
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@needs_mounts
def test_a_full_disk_is_named_in_one_line_and_the_run_resumes_after_room_was_made(
    small_disk: Path, finished: Path
) -> None:
    expected = spoil(finished)
    free = shutil.disk_usage(small_disk).free
    (small_disk / "ballast").write_bytes(bytes(free))
    done = run_in(finished, *COMMAND)
    assert done.returncode not in (0, -9)
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if "No space left on device" in line]
    assert lines
    assert all(RESULTS in line for line in lines)
    (small_disk / "ballast").unlink()
    done = run_in(finished, *COMMAND)
    assert done.returncode == 0, done.stderr[-3000:]
    assert results(finished) == expected


def refused(folder: Path) -> str:
    """What is said of a results folder that cannot be written, and of the figures in it."""
    places = (("results", RESULTS, folder), ("figures", f"{RESULTS}/figures", folder / "figures"))
    lines = [
        f"error: tiny.yaml: {key}: got {given!r}, expected a folder that can be written, which {there} is not"
        for key, given, there in places
    ]
    return "\n".join([*lines, "error: tiny.yaml: 2 problems", ""])


@needs_mounts
def test_a_read_only_results_folder_is_named_in_one_line_before_any_job(small_disk: Path, finished: Path) -> None:
    before = results(finished)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = run_in(finished, *COMMAND)
    assert done.returncode == 2
    assert done.stderr == refused(small_disk)
    assert results(finished) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root; the read-only disk stands for it")
def test_a_results_folder_without_permission_is_named_in_one_line_before_any_job(finished: Path) -> None:
    folder = finished / RESULTS
    folder.chmod(0o555)
    try:
        done = run_in(finished, *COMMAND)
    finally:
        folder.chmod(0o755)
    assert done.returncode == 2
    assert done.stderr == refused(folder)
