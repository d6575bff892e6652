"""Run the whole pipeline of one configuration: check it, resume where a former run stopped, say where the results are.

    python workflow/run.py config/config.yaml [--progress] [further options of snakemake]

With --progress, as `make` runs it, one line says how far the run is, and Snakemake writes into the results, to
logs/snakemake.log; without it Snakemake's lines are printed. One run at a time, and one command however the last one
ended: see docs/faults.md. Exit codes: 0 done; 2 a bad configuration, folders that cannot be written, or a second run;
128 + n stopped by signal n; else Snakemake's own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from pma_mfg import processes, storage
from pma_mfg.errors import InputError
from pma_replication import configuration
from pma_replication.runs import level, locks, progress, recovery, times

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / ".snakemake"
#: Command that runs Snakemake so that it ends when this process does.
SNAKEMAKE = "from pma_mfg import processes; processes.die_with_parent(); from snakemake.cli import main; main()"
#: Options used with every profile. The run has a lock of its own, since Snakemake's outlives a crash; hashes of all
#: inputs are recorded for `recover`.
OPTIONS = ("--directory", str(ROOT), "--nolock", "--rerun-incomplete", "--max-checksum-file-size", str(10**9))
#: Seconds that Snakemake and its jobs get to end by themselves. Killing them loses no more than that.
GRACE = 10


def main(path: str, *options: str) -> int:
    """Return the exit code."""
    print(f"checking {path}", flush=True)
    # paths in the configuration begin at the repository, wherever this is called from
    given = Path(path).absolute()
    config = str(given.relative_to(ROOT) if given.is_relative_to(ROOT) else given)
    os.chdir(ROOT)
    try:
        locks.refuse_another_checkout(ROOT)
        settings = configuration.load(config)
        results, figures = Path(settings["results"]), Path(settings["figures"])
        if any("file" in game for game in settings["games"].values()):
            from pma_replication import cost  # the solvers, which other runs need not load

            print(cost.announcement(settings, processes.cores()), flush=True)
        dry = not {"-n", "--dry-run", "--dryrun"}.isdisjoint(options)
        prepare(settings, dry)
        print(level.words(), flush=True)
        start = time.monotonic()
        asked = [option for option in options if option != "--progress"]
        # a dry run is asked for to be read
        log = results / "logs/snakemake.log" if "--progress" in options and not dry else None
        code = run_snakemake("--configfile", config, *OPTIONS, *asked, log=log, benchmarks=results / "benchmarks")
        if code:
            print(f"\nstopped; run the same command to resume. Logs: {results / 'logs'}", file=sys.stderr)
            return code
        claims = ROOT / results / "claims.json"
        # a run of some targets only may have made none
        verdicts = Counter(record["verdict"] for record in (storage.read_json(claims) if claims.exists() else []))
    except InputError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"\ndone in {time.monotonic() - start:.0f} s")
    counts = ", ".join(f"{n} {name}" for name, n in sorted(verdicts.items()))
    print(f"verdicts: {results / 'claims.json'} ({counts or 'none'})")
    print(f"figures:  {figures}/")
    print(f"tables:   {results / 'tables'}/    times of every step: {results / 'benchmarks'}/")
    return 0


def prepare(settings: dict, dry: bool) -> None:
    """Make sure that the run can write and is alone, and, unless it is a dry one, that it trusts sound results only.

    Raises
    ------
    OSError
        Names the folder that cannot be written, or in which another run is going on.
    """
    # the full replication writes its findings into docs/
    folders = [ROOT / os.path.normpath(settings[name]) for name in ("results", "figures")] + [ROOT / "docs"]
    for folder in (STATE, *folders[:2]):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            tempfile.TemporaryFile(dir=folder, prefix=storage.PARTIAL).close()
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(folder)) from error
    locks.lock(STATE)
    if not dry:
        brought = [game for game in settings["games"].values() if "file" in game]
        games = [ROOT / path for game in brought for path in (game["file"], *game.get("inputs", ()))]
        for problem in recovery.recover(ROOT, folders, [*(ROOT / "src").rglob("*.*"), *games]):
            print(f"computed again: {problem}", flush=True)


def shown(log: Path, benchmarks: Path) -> progress.Display:
    """Return what shows a run on this terminal: times are those of its last run here, or of the full replication."""
    last, jobs, known = times.means(times.of_jobs(benchmarks)), times.by_job(benchmarks), times.tracked()
    if benchmarks == Path("results/full/benchmarks"):
        last, jobs = known["rules"] | last, known["jobs"] | jobs
    said = times.messages((ROOT / "workflow/rules").glob("*.smk"))
    print(f"Snakemake's own log: {log}", flush=True)
    return progress.Display(log, progress.Progress(last, jobs, said), sys.stdout)


def run_snakemake(*options: str, log: Path | None, benchmarks: Path) -> int:
    """Run Snakemake in a process group of its own, stop all of it if this process is told to stop; return its code.

    With a log it writes there, and how far it is, is shown; else it prints.
    """
    # UTF-8 whatever the terminal's language, on which the files of a run must not depend
    environment = {**os.environ, "PYTHONUTF8": "1", processes.PARENT: str(os.getpid())}
    home = os.path.expanduser("~")
    if not (os.path.isdir(home) and os.access(home, os.W_OK)):
        caches = {"XDG_CACHE_HOME": str(STATE / "cache"), "MPLCONFIGDIR": str(STATE / "cache/matplotlib")}
        environment = caches | environment
        print(
            f"the home folder {home} cannot be written: caches are kept in {environment['XDG_CACHE_HOME']}", flush=True
        )
    command = [sys.executable, "-c", SNAKEMAKE, *options]
    stopped: list[tuple[int, float]] = []
    # set before the child is started, so that a signal which arrives meanwhile is passed on to it
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: stopped.append((number, time.monotonic())))
    # a process group of its own, so that a signal to this process is passed on exactly once to all of its jobs
    output = display = None
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        output = log.open("wb")
        display = shown(log, benchmarks)
    child = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
    )
    told = False
    while (code := child.poll()) is None:
        if len(stopped) > 1 or (stopped and time.monotonic() > stopped[0][1] + GRACE):
            os.killpg(child.pid, signal.SIGKILL)
        elif stopped and not told:
            os.killpg(child.pid, signal.SIGINT)
            told = True
        if display is not None:
            display.update(time.monotonic())
        time.sleep(0.1)
    if display is not None:
        display.update(time.monotonic(), last=True)
        if code and not stopped and not display.told:  # no job failed: Snakemake itself says why, at the end
            print("\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]), file=sys.stderr)
    if stopped:
        return 128 + stopped[0][0]
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold what the terminal does not know
    if len(sys.argv) < 2:
        sys.exit("usage: python workflow/run.py CONFIG [options of snakemake]")
    try:
        sys.exit(main(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
