"""The smoke configuration from end to end: what it writes, its numbers, and what reruns when something changes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from scipy.stats import norm, t
from tests import browser
from tests.statistical import Level
from tests.workflow.conftest import Running

from pma_mfg import storage
from pma_replication import judging, plan, registry, verdicts
from pma_replication import report as report_page
from pma_replication.runs import level as instructions
from pma_replication.runs import tables as parquet

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
RESULTS = "results/smoke"
CONFIG = "config/smoke.yaml"

#: Drawn numbers that come from linear solves: rounding, and some digits for another BLAS.
SOLVED = 1e-6
#: The stored numbers come from so many times the replicates of the smoke configuration. It matters when a new numpy
#: draws another stream; with the locked versions runs are bitwise equal.
MORE = 8
REPLICATES = 8  # of everything measured in these figures
#: Rules without draws but of starts -> the games with which they are run on another processor.
EXACT = {f"{name}_measure": "" for name in ("phase", "orbit", "dynamics", "basins", "literature")}
EXACT |= {"equilibria_solve": "", "contraction_measure": "/smooth.npz", "nash_measure": "/two_states_smooth.npz"}
#: The instructions of a processor of 2011, for what chooses them itself: OpenBLAS, numpy and the library of C.
OLD = {
    "OPENBLAS_CORETYPE": "Sandybridge",
    "NPY_DISABLE_CPU_FEATURES": " ".join(name for name in instructions.DISPATCHED if instructions.HAS.get(name, False)),
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F,-AVX512VL",
}
#: Half a unit of the last of the four digits that are printed. What is smaller than rounding has no digits.
PRINTED = {"rtol": 5e-5, "atol": 1e-12}
#: Against the theory a verdict must stand in so many runs with seeds of their own.
RUNS = 6


def numbers_behind(figure: str, folder: Path, results: str = RESULTS) -> pd.DataFrame:
    folder = folder / results / "tables"
    tables = [parquet.read_table(folder / f"{name}.parquet") for name in registry.figures()[figure]]
    return registry.draw(figure).data(*tables)


def messages(output: str) -> set[str]:
    """The jobs that a run or dry run announces, by their messages."""
    return {line.partition(": ")[2] for line in output.splitlines() if re.match(r"(local)?Job \d+: ", line)}


def refuted(folder: Path, results: str) -> set[tuple[str, str]]:
    """The claims and games whose interval excludes what the theory says.

    Which of several methods needs fewer samples, the theory does not say: toy sizes may well turn that round.
    """
    records = json.loads((folder / results / "claims.json").read_text())
    without = {claim for name in ("one_trajectory", "networked") for claim in registry.experiments()[name].claims}
    refuting = (record for record in records if record["verdict"] == "not confirmed")
    return {(record["id"], record["game"]) for record in refuting if record["id"] not in without}


def run_changed(folder: Path, run: Run, name: str, changes: dict[str, Any], *targets: str) -> str:
    """Run the smoke configuration with some changes, into a folder of its own; return that."""
    content = yaml.safe_load((folder / CONFIG).read_text()) | changes
    content |= {"results": f"results/{name}", "figures": f"results/{name}/figures"}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    files = [f"results/{name}/{target}" for target in targets]
    done = run(folder, "-m", "snakemake", *files, "--configfile", f"{name}.yaml")
    assert done.returncode == 0, done.stderr[-3000:]
    return f"results/{name}"


# Less than 40 of the verdicts rest on draws. Of eight replicates an interval of 95 % misses a true value on one side
# with probability at most 1/16 (on both 5.6 %, for laws as those of TD errors: docs/theory, section 11): (1/16)^6 for
# each in all runs.
@pytest.mark.statistical(false_alarm=3e-6, power=0.98, against="an error that one run sees with probability 0.998")
def test_no_verdict_against_the_theory_stands_when_it_is_tried_again(smoke: Path, run: Run, level: Level) -> None:
    standing, tried = refuted(smoke, RESULTS), 1
    while standing and tried < RUNS:
        standing &= refuted(smoke, run_changed(smoke, run, f"again_{tried}", {"seed": tried}, "claims.json"))
        tried += 1
    level.accept([16.0**-tried if standing else 1.0] * 40)
    level.show(0.998**RUNS)
    assert not standing


def test_every_verdict_is_complete(smoke: Path) -> None:
    records = json.loads((smoke / RESULTS / "claims.json").read_text())
    keys = {"id", "statement", "source", "game", "quantity", "estimate", "interval", "expected", "verdict", "how"}
    keys |= {"tables", "code", "own", "too_small", "standing", "nature", "settled"}
    keys |= {"rival", "rival_prediction", "rejected", "power"}
    assert all(set(record) == keys for record in records)
    # which needs a game that is learned with both schedules
    assert {record["id"] for record in records} == registry.claims().keys() - {"C4-conservative"}
    for record in records:
        infinite = (-np.inf, np.inf)
        interval, expected = (
            tuple(no_end if end is None else end for no_end, end in zip(infinite, record[key], strict=True))
            for key in ("interval", "expected")
        )
        if record["interval"] == [None, None]:
            interval = (np.nan, np.nan)
        judged = "inconclusive" if record["too_small"] else judging.compare(interval, expected)
        assert record["verdict"] == ("vacuous" if judged == "confirmed" and record["rejected"] is False else judged)
        assert record["power"] is None or 0.0 <= record["power"] <= 1.0
        assert (record["power"] is None) == (record["rejected"] is None)


def test_every_figure_is_drawn_in_both_formats(smoke: Path) -> None:
    assert (smoke / RESULTS / "figures" / "assumptions.md").read_text().startswith("# Assumptions")
    assert (smoke / RESULTS / "figures" / "findings.md").read_text().startswith("# Findings")
    compared = (smoke / RESULTS / "figures" / "samples_to_accuracy.md").read_text()
    assert compared.startswith("# Samples to an accuracy")
    assert "| rock paper scissors |" in (smoke / RESULTS / "figures" / "games.md").read_text()
    drawn = sorted(path.name for path in (smoke / RESULTS / "figures").iterdir() if path.suffix != ".md")
    assert drawn == sorted(f"{name}.{suffix}" for name in registry.figures() for suffix in ("png", "svg"))
    assert all((smoke / RESULTS / "figures" / name).stat().st_size > 10_000 for name in drawn)


def test_every_rule_has_its_times_in_benchmark_files_named_after_it(smoke: Path) -> None:
    files = (smoke / RESULTS / "benchmarks").rglob("*.tsv")
    timed = {path.relative_to(smoke / RESULTS / "benchmarks").parts[0].removesuffix(".tsv") for path in files}
    sources = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    assert timed == set(re.findall(r"^rule (\w+):", sources, re.MULTILINE))


def test_the_report_of_snakemake_has_the_caption_of_every_figure(smoke: Path, run: Run) -> None:
    done = run(smoke, "-m", "snakemake", "--configfile", CONFIG, "--report", "report.zip")
    assert done.returncode == 0, done.stderr[-3000:]
    with zipfile.ZipFile(smoke / "report.zip") as archive:
        text = "".join(archive.read(name).decode() for name in archive.namelist() if name.endswith((".html", ".js")))
    for name in registry.figures():
        assert report_page.FIGURES[name]["title"] in text, name


@pytest.fixture(scope="module")
def report(smoke: Path, run: Run) -> Path:
    """The page that `make report` writes."""
    graph = run(smoke, "-m", "snakemake", "--configfile", CONFIG, "--rulegraph")
    (smoke / "rulegraph").write_text(graph.stdout)
    done = run(smoke, "-m", "pma_replication.cli", "report", CONFIG, "--rulegraph", "rulegraph")
    assert done.returncode == 0, done.stderr
    return smoke / RESULTS / "report.html"


@pytest.mark.skipif(browser.executable() is None, reason=browser.MISSING)
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_the_report_opens_offline_and_is_readable(width: int, height: int, report: Path, tmp_path: Path) -> None:
    assert report.stat().st_size < 5e6
    seen = browser.look(report, width, height, tmp_path / "profile")
    assert {name: value for name, value in seen.faults().items() if value} == {}
    assert seen.measured["width"] == width
    assert seen.measured["images"] == len(registry.figures())
    assert seen.measured["plots"] == 2
    assert seen.measured["text"] > 50_000


@pytest.mark.parametrize("figure", ["contraction", "dynamics", "equilibria", "nash", "orbit", "phase"])
def test_numbers_behind_a_solved_figure_stay(figure: str, smoke: Path, dataframe_regression: Any) -> None:
    data = numbers_behind(figure, smoke)
    if figure == "nash":  # of runs that are drawn, the numbers are compared in no reference
        data = data[data["panel"] != "learned"].reset_index(drop=True)
    if figure in ("contraction", "dynamics"):  # a distance near rounding has no digits to compare
        data = data[data["distance"] > 1e-9].reset_index(drop=True)
    dataframe_regression.check(data, default_tolerance={"rtol": SOLVED, "atol": 1e-12})


def again(smoke: Path, folder: Path, variables: dict[str, str], games: dict[str, str]) -> list[Path]:
    """Do jobs of these rules again, for games of these names, in one process; return the tables that it wrote."""
    shutil.copytree(smoke / RESULTS / "games", folder / RESULTS / "games")
    jobs = [storage.read_json(path) for path in (smoke / ".snakemake/metadata").iterdir()]
    jobs = [job for job in jobs if job["rule"] in games and f"{RESULTS}/games" in job["shellcmd"]]
    later = {
        job["shellcmd"]: job["rule"] != "equilibria_solve" for job in jobs if games[job["rule"]] in job["shellcmd"]
    }
    program = "import shlex, sys; from pma_replication import cli\n"
    program += "sys.exit(max(cli.main(shlex.split(line)[1:]) for line in sys.stdin))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(sorted(later, key=lambda command: (later[command], command))),
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [path.relative_to(folder) for path in sorted((folder / RESULTS / "points").rglob("*.parquet"))]


def test_jobs_of_the_pipeline_use_the_instructions_of_the_level(smoke: Path, tmp_path: Path) -> None:
    """On a machine that has no others this cannot fail: with AVX-512, a third of the numbers in `orbits` changes."""
    written = again(
        smoke, tmp_path, instructions.environment(), {"equilibria_solve": "/cycling.", "orbit_measure": "/cycling."}
    )
    assert len(written) > 2
    for place in written:
        assert (tmp_path / place).read_bytes() == (smoke / place).read_bytes(), place


@pytest.mark.skipif(
    "OPENBLAS_CORETYPE" not in instructions.environment() or sys.platform != "linux",
    reason="names instructions of x86-64, on a processor that has those of the level",
)
def test_exact_parts_print_the_same_and_verdicts_stay_on_a_processor_without_the_instructions_of_the_level(
    smoke: Path, tmp_path: Path
) -> None:
    """Not bit by bit: that is what the level is for."""
    tables: dict[str, tuple[list[pd.DataFrame], list[pd.DataFrame]]] = {}
    for place in again(smoke, tmp_path, OLD, EXACT):
        here, there = (parquet.read_table(folder / place) for folder in (smoke, tmp_path))
        pd.testing.assert_frame_equal(there, here, check_exact=False, **PRINTED)
        for tables_of_one, table in zip(tables.setdefault(place.parent.name, ([], [])), (here, there), strict=True):
            tables_of_one.append(table)
    assert len(tables) > 12
    here, there = ({name: pd.concat(pair[k]) for name, pair in tables.items()} for k in (0, 1))
    assert any(not here[name].equals(there[name]) for name in tables)  # it was another processor
    judged, anew = (pd.DataFrame(verdicts.evaluate(side, **plan.TOLERANCES)) for side in (here, there))
    assert len(judged) >= 20
    columns = ["id", "game", "verdict", "estimate"]
    judged, anew = (records[columns].astype({"estimate": float}) for records in (judged, anew))
    # what tells how far a ratio is from one has no more digits than the ratio
    pd.testing.assert_frame_equal(anew, judged, check_exact=False, rtol=PRINTED["rtol"], atol=PRINTED["rtol"])


def numbers_of_more_replicates(figure: str, smoke: Path, run: Run) -> pd.DataFrame:
    """Return the numbers behind a figure from a run with `MORE` times the replicates."""
    content, changes = yaml.safe_load((smoke / CONFIG).read_text()), {}
    for section in ("populations_bias", "samples_tuned", "samples_prescribed", "populations_learned", "independent"):
        # independent learners have twice as many, so that their errors, in the same units, are smaller
        assert content[section]["n_replicates"] == (8 if section == "independent" else REPLICATES)
        changes[section] = content[section] | {"n_replicates": MORE * content[section]["n_replicates"]}
    tables = [f"tables/{name}.parquet" for name in registry.figures()[figure]]
    return numbers_behind(figure, smoke, run_changed(smoke, run, "more", changes, *tables))


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="a bias off by 3 %, a learning error by a factor of six")
@pytest.mark.parametrize("figure", ["samples", "populations"])
def test_numbers_behind_a_measured_figure_stay_within_their_error(
    figure: str, smoke: Path, run: Run, request: Any, level: Level
) -> None:
    stored = Path(__file__).parent / "reference" / f"{figure}.csv"
    if request.config.getoption("--force-regen"):
        numbers_of_more_replicates(figure, smoke, run).to_csv(stored, index=False)
    data, reference = numbers_behind(figure, smoke), pd.read_csv(stored)
    assert_same_lines(data, reference)
    measured = reference["low"].notna()
    distance, scale = in_standard_deviations(data[measured], reference[measured])
    level.accept(2.0 * t.sf(distance, MORE * REPLICATES - 1))
    # one of the numbers at least
    planted = 0.03 if figure == "populations" else 5.0
    critical = t.isf(0.5 * level.false_alarm / len(distance), MORE * REPLICATES - 1)
    level.show(norm.sf(critical - planted * scale).max())


def in_standard_deviations(data: pd.DataFrame, reference: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return how far measured points are from their reference, and how large that is.

    The unit is the standard deviation of the difference of a mean of few replicates and one of many. Averages over time
    are close to normal. Learning errors are norms of noise that is close to normal: their mean exceeds its expectation
    as rarely as a normal number with the variance of the noise in its largest direction (concentration of Lipschitz
    functions of normal numbers), which is at most the norm's mean square.
    """
    costs = reference["panel"] == "cost"  # 1 / error is the measured coordinate, on the horizontal axis
    found, mean, ends = (
        np.where(costs, 1.0 / table[column], table[other])
        for table, column, other in ((data, "x", "value"), (reference, "x", "value"), (reference, "low", "high"))
    )
    half = ends - mean
    deviation = half / t.isf(0.025, MORE * REPLICATES - 1) * np.sqrt(MORE * REPLICATES)
    norms = ~reference["panel"].isin(["deviation", "bias"])
    deviation = np.where(norms, np.sqrt(mean**2 + deviation**2), deviation)
    unit = deviation * np.sqrt(1.0 / REPLICATES + 1.0 / (MORE * REPLICATES))
    return np.abs(found - mean) / unit, mean / unit


def assert_same_lines(data: pd.DataFrame, reference: pd.DataFrame) -> None:
    """Compare the order of all points, and to rounding whatever is not measured."""
    assert list(data.columns) == list(reference.columns)
    assert len(data) == len(reference)
    words = [name for name in data.columns if name in ("panel", "game", "series")]
    pd.testing.assert_frame_equal(data[words].fillna("").astype(object), reference[words].fillna("").astype(object))
    measured = reference["low"].notna()
    pd.testing.assert_series_equal(measured, data["low"].notna())
    through = reference["series"].str.startswith("theory") & (reference["panel"] == "cost")
    through |= reference["series"].str.startswith("slope")
    solved = ~measured & ~through  # these lines run through the measured points, which are compared
    for column in ("x", "value"):
        np.testing.assert_allclose(data.loc[solved, column], reference.loc[solved, column], rtol=SOLVED, atol=1e-12)


def test_a_changed_number_behind_a_figure_is_noticed(smoke: Path) -> None:
    reference = numbers_behind("populations", smoke)
    assert_same_lines(reference, reference)
    data = reference.copy()
    row = data.index[(data["panel"] == "deviation") & (data["series"] == "theory")][0]
    data.loc[row, "value"] *= 1.05
    with pytest.raises(AssertionError):
        assert_same_lines(data, reference)


def test_a_killed_run_resumes_on_one_core_to_bitwise_the_same_results(smoke: Path, without: Run, run: Run) -> None:
    removed = ["populations_bias", "samples_tuned"]
    folder = without(removed)
    points = folder / RESULTS / "points"

    def written() -> list[Path]:
        return [path for name in removed for path in (points / name).glob("*.parquet")]

    # everything but figures, which would take the longest; what is killed makes no verdicts, however late it is killed
    tables, claims = [f"{RESULTS}/tables/{name}.parquet" for name in removed], f"{RESULTS}/claims.json"
    command = ["workflow/run.py", CONFIG, *tables]
    killed = Running(folder, *command, "--cores", "2")
    while killed.process.poll() is None and len(written()) < 5:
        time.sleep(0.2)
    with contextlib.suppress(psutil.NoSuchProcess):  # or it has ended by itself
        killed.process.kill()
    killed.process.wait()
    killed.assert_nothing_left()  # those below it are told of its end, and may take a while to die
    before = {path: path.stat().st_mtime_ns for path in written()}
    done = run(folder, *command, claims, "--cores", "1")  # the rest in another order
    assert done.returncode == 0, done.stderr[-3000:]
    kept = [path for path, time_written in before.items() if path.stat().st_mtime_ns == time_written]
    assert len(kept) >= len(before) - 4  # at most what the two jobs that were running had just written is lost
    for table in sorted((smoke / RESULTS / "tables").iterdir()):
        assert table.read_bytes() == (folder / RESULTS / "tables" / table.name).read_bytes(), table.name
    assert (smoke / RESULTS / "claims.json").read_bytes() == (folder / RESULTS / "claims.json").read_bytes()


#: Dry run -> the modules that are edited before it; it begins with no other edit.
EDITS = {
    "game": [],  # another configuration
    "style": ["style"],
    # the program reruns nothing, which this dry run says with the rest
    "draw": ["experiments/nash/draw", "cli"],
    "judge": ["experiments/nash/judge"],
    "measure": ["experiments/nash/measure"],
}
#: Does the dry runs one after the other. Each is a copy of a process that has loaded Snakemake and what the workflow
#: imports, which takes longer than a dry run; Snakemake reads the edited sources, and nobody imports them again.
DRY_RUNS = """
import json, os, sys
from pathlib import Path
from pma_replication import configuration, registry
from snakemake.cli import main

for name, (config, modules) in json.loads(sys.argv[1]).items():
    texts = {path: path.read_text() for path in (Path(f"src/pma_replication/{module}.py") for module in modules)}
    for source, text in texts.items():
        source.write_text(text + "\\n# an edit\\n")
    if os.fork() == 0:
        output = os.open(f"{name}.dry", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(output, 1)
        os.dup2(output, 2)
        main(["--configfile", config, "--dry-run"])
    _, status = os.wait()
    for source, text in texts.items():
        source.write_text(text)
    if status:
        sys.exit(Path(f"{name}.dry").read_text())
"""


@pytest.fixture(scope="module")
def would_do(smoke: Path, run: Run) -> dict[str, set[str]]:
    """The jobs that a run would do after each of `EDITS`, by their messages."""
    content = yaml.safe_load((smoke / CONFIG).read_text())
    content["games"]["kinked"]["parameters"]["seed"] = 2
    (smoke / "changed.yaml").write_text(yaml.safe_dump(content))
    asked = {name: ("changed.yaml" if name == "game" else CONFIG, modules) for name, modules in EDITS.items()}
    done = run(smoke, "-c", DRY_RUNS, json.dumps(asked))
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: messages((smoke / f"{name}.dry").read_text()) for name in EDITS}


def test_a_changed_game_reruns_only_what_depends_on_it(would_do: dict[str, set[str]]) -> None:
    jobs = would_do["game"]
    assert {"Make the game kinked", "Solve kinked exactly", "Average kinked"} <= jobs
    assert {"Turn the tables into verdicts", "Draw the figure populations", "Join the table populations_bias"} <= jobs
    of_games = [job for job in jobs if not job.startswith("Join the table")]  # one of them is called certified too
    assert not [job for job in of_games if "smooth" in job or "certified" in job]
    # tables and figures that hold no kinked game stay as they are
    assert not jobs & {"Join the table ctd", "Join the table samples_tuned", "Draw the figure samples"}


@pytest.mark.parametrize(
    ("edit", "rerun"),
    [
        # what has not changed reruns nothing, which these dry runs say together: none does again what another one does
        ("style", {f"Draw the figure {name}" for name in registry.figures()}),
        ("draw", {"Draw the figure nash"}),
        ("judge", {"Turn the tables into verdicts", "Write what was found"}),
    ],
)
def test_an_edit_of_a_figure_or_a_judge_reruns_no_computation(
    edit: str, rerun: set[str], would_do: dict[str, set[str]]
) -> None:
    assert would_do[edit] == rerun


def test_an_edit_of_what_is_measured_reruns_that_experiment_and_what_reads_it(would_do: dict[str, set[str]]) -> None:
    jobs = would_do["measure"]
    measured = {job for job in jobs if job.startswith("Compute what a deviator gains ")}
    assert measured
    assert jobs - measured == {
        "Join the table nash", "Join the table nash_learned", "Draw the figure nash",
        "Turn the tables into verdicts", "Write what was found",
    }  # fmt: skip


def test_a_lost_point_is_recomputed_bitwise_by_its_name_and_nothing_else_is(smoke: Path, run: Run) -> None:
    point = smoke / RESULTS / "points/populations_bias/kinked.parquet"
    before = point.read_bytes()
    point.unlink()
    done = run(smoke, "-m", "snakemake", str(point.relative_to(smoke)), "--configfile", CONFIG)
    assert done.returncode == 0, done.stderr[-3000:]
    assert point.read_bytes() == before
    assert messages(done.stdout + done.stderr) == {"Average kinked"}
