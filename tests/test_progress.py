"""A person sees how far a run is, and at once which job failed and why."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path

import pytest

from pma_replication import cli, registry
from pma_replication.runs import progress, times

ROOT = Path(__file__).resolve().parents[1]
#: What Snakemake writes, but for what nobody reads here.
BEGINNING = """Building DAG of jobs...
Provided cores: 2
Job stats:
job               count
--------------  -------
bounds_measure        2
claims                1
total                 3

Select jobs to execute...
[Mon Nov 30 08:11:00 2026]
Job 2: Search own for pairs that beat a Lipschitz bound
Reason: Missing output files: results/tiny/points/bounds/own.parquet
"""
FINISHED = """[Mon Nov 30 08:11:09 2026]
Finished jobid: 2 (Rule: bounds_measure)
1 of 3 steps (33%) done
"""
FAILED = """[Mon Nov 30 08:11:09 2026]
Error in rule bounds_measure:
    message: Search own for pairs that beat a Lipschitz bound
    jobid: 2
    output: results/tiny/points/bounds/own.parquet
    log: {log} (check log file(s) for error details)
    shell:
        pma-replicate bounds measure own.npz
        (command exited with non-zero exit code)
Removing output files of failed job bounds_measure since they might be corrupted:
"""


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def display(folder: Path, stream: io.StringIO, seconds: dict[str, float]) -> progress.Display:
    (folder / "snakemake.log").write_text(BEGINNING)
    return progress.Display(folder / "snakemake.log", progress.Progress(seconds), stream)


def append(folder: Path, text: str) -> None:
    with (folder / "snakemake.log").open("a") as log:
        log.write(text)


def test_the_time_left_is_what_the_jobs_left_took_in_the_last_run_shared_among_the_cores(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks/bounds_measure"
    folder.mkdir(parents=True)
    for name, seconds in (("a", 300.0), ("b", 500.0)):
        (folder / f"{name}.tsv").write_text(f"s\th:m:s\n{seconds}\t0:00:00\n")
    (tmp_path / "benchmarks/claims.tsv").write_text("s\th:m:s\n80\t0:00:00\n")
    (folder / "damaged.tsv").write_text("s\n")
    seconds = times.means(times.of_jobs(tmp_path / "benchmarks"))
    assert seconds == {"bounds_measure": 400.0, "claims": 80.0}
    shown = display(tmp_path, io.StringIO(), seconds)
    shown.update(0.0)
    assert shown.progress.seconds_left() == (2 * 400.0 + 80.0) / 2
    append(tmp_path, FINISHED)
    shown.update(1.0)
    assert shown.progress.seconds_left() == (400.0 + 80.0) / 2


def test_a_job_tells_what_it_has_used_and_snakemake_is_believed_where_it_does_not(tmp_path: Path) -> None:
    benchmark, log = tmp_path / "benchmarks/rule/a.tsv", tmp_path / "logs/rule/a.log"
    for path in (benchmark, log):
        path.parent.mkdir(parents=True)
    benchmark.write_text("s\tmax_rss\tcpu_time\n9.0\t20.0\tNA\n")
    assert times.used(benchmark) == (pytest.approx(math.nan, nan_ok=True), 20.0)
    game = "planted_smooth n_states=3 n_actions=2 discount=0.5 seed=1 strength=0.1"
    assert cli.main(["game", *game.split(), "--out", str(tmp_path / "game.npz"), "--log", str(log)]) == 0
    seconds, memory = times.used(benchmark)
    assert seconds > 0.0
    assert memory > 20.0  # numpy alone takes more


def test_one_long_job_is_waited_for_by_its_own_time_less_what_it_has_had(tmp_path: Path) -> None:
    (tmp_path / "rules.smk").write_text(
        'rule bounds_measure:\n    benchmark:\n        f"{RESULTS}/benchmarks/bounds_measure/{{game}}.tsv"\n'
        '    message:\n        "Search {wildcards.game} for pairs that beat a Lipschitz bound"\n'
        '    shell:\n        "true"\n'
    )
    shown = display(tmp_path, io.StringIO(), {"bounds_measure": 100.0, "claims": 80.0})
    shown.progress.jobs = {"bounds_measure/own": 1000.0, "bounds_measure/other": 10.0}
    shown.progress.messages = times.messages([tmp_path / "rules.smk"])
    shown.update(50.0)
    # the other job of the rule, of which 10 s are known, and the claims run beside it on the second core meanwhile
    assert shown.progress.seconds_left() == 1000.0
    shown.update(650.0)
    assert shown.progress.seconds_left() == 400.0
    shown.update(950.0)
    assert shown.progress.seconds_left() == 100.0
    shown.update(2050.0)  # it takes longer than in the last run
    assert shown.progress.seconds_left() == 0.1 * 2000.0
    append(tmp_path, FINISHED)
    shown.update(2051.0)
    assert shown.progress.seconds_left() == (10.0 + 80.0) / 2
    shown.progress.jobs = {"bounds_measure/own": 1000.0, "bounds_measure/other": 500.0}
    assert shown.progress.seconds_left() == 500.0  # no job can be shared


def test_every_rule_says_by_what_its_jobs_are_known() -> None:
    files = sorted((ROOT / "workflow/rules").glob("*.smk"))
    known = times.messages(files)
    assert len(known) == sum(len(re.findall("^rule ", path.read_text(), re.MULTILINE)) for path in files) > 20
    for pattern, name in known:
        assert set(re.findall(r"\{(\w+)\}", name)) == set(pattern.groupindex)
        example = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"a_\1", pattern.pattern).replace("\\", "")
        assert times.job_that_says(example, known) == re.sub(r"\{(\w+)\}", r"a_\1", name)
    assert times.job_that_says("Nothing that a rule says", known) == ""


def test_off_a_terminal_there_is_a_line_a_minute_and_on_one_a_line_that_changes(tmp_path: Path) -> None:
    plain, terminal = io.StringIO(), Terminal()
    shown = [display(tmp_path, stream, {"claims": 400.0}) for stream in (plain, terminal)]
    for now in (0.0, 30.0, 59.9, 60.0):
        for each in shown:
            each.update(now)
    append(tmp_path, FINISHED)
    for each in shown:
        each.update(61.0, last=True)
    running = "0 of 3 jobs done, about 3 min left: Search own for pairs that beat a Lipschitz bound"
    assert plain.getvalue().splitlines() == [running, running, "1 of 3 jobs done, about 3 min left"]
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().count("\r") == 4  # 60.0 comes too soon after 59.9


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_failed_job_is_told_at_once_with_the_end_of_its_log(stream: type[io.StringIO], tmp_path: Path) -> None:
    log = tmp_path / "a folder with spaces/own.log"
    log.parent.mkdir()
    log.write_text("".join(f"line {i}\n" for i in range(50)))
    out = stream()
    shown = display(tmp_path, out, {})
    shown.update(0.0)
    # in two pieces, as a log is read while it is written
    text = FAILED.format(log=log)
    append(tmp_path, text[:150])
    shown.update(1.0)
    assert "failed" not in out.getvalue()
    append(tmp_path, text[150:])
    shown.update(1.1)
    assert "failed: Search own for pairs that beat a Lipschitz bound (rule bounds_measure)\n" in out.getvalue()
    assert f"the end of {log}:\n    line 40\n" in out.getvalue()
    assert "    line 49\n" in out.getvalue()
    assert shown.told
    assert shown.progress.running == {}


def test_a_failure_at_the_very_end_of_the_log_is_told_too(tmp_path: Path) -> None:
    out = io.StringIO()
    shown = display(tmp_path, out, {})
    append(tmp_path, FAILED.format(log="nowhere.log").partition("Removing")[0].rstrip("\n"))
    shown.update(0.0, last=True)
    assert "failed: Search own for pairs" in out.getvalue()


def test_times_that_are_kept_of_the_full_replication_are_those_of_claims() -> None:
    tracked = times.tracked()
    assert set(tracked["claims"]) <= set(registry.claims())
    assert all(each["jobs"] >= 1 and each["minutes"] >= 0 for each in tracked["claims"].values())


def test_a_job_that_two_files_need_counts_once() -> None:
    records = {
        "figure": {"rule": "figure", "log": ["r/logs/figure.log"], "input": ["a", "b", "source"]},
        "a": {"rule": "measure", "log": ["r/logs/measure.log"], "input": []},
        "b": {"rule": "measure", "log": ["r/logs/measure.log"], "input": []},
    }
    assert times.needed(records, ["figure", "b"]) == (2, 0.0)
