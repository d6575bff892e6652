"""How long the jobs of a run took, from the benchmark files that Snakemake writes, and of the full replication.

`python -m pma_replication.runs.times`, in a checkout with a finished full replication, keeps the latter in times.yaml.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pma_mfg import storage
from pma_replication import registry
from pma_replication.experiment import Claim

#: What is known of the full replication: seconds of a job of each rule, and of each job of a minute or more; jobs and
#: minutes of all that a claim, or a figure, needs.
TRACKED = Path(__file__).parents[1] / "times.yaml"

#: A job of the full replication is tracked from so many seconds on.
LONG = 60.0

#: The last line of the log of a job.
_USED = re.compile(r"^used ([\d.]+) s of the processor and (\d+) MB of memory\s*\Z", re.MULTILINE)

#: A rule in a file of rules, the benchmark files of its jobs, and what they say when they begin.
_RULE = re.compile(r"^rule (\w+):\n((?:[ \t].*\n|\n)*)", re.MULTILINE)
_BENCHMARK = re.compile(r'benchmark:\s+f"\{RESULTS\}/benchmarks/(.*)\.tsv"')
_MESSAGE = re.compile(r'message:\s+"(.*)"')


def by_job(benchmarks: Path) -> dict[str, float]:
    """Return the seconds of every job by the name of its benchmark file, as "rule" or "rule/job".

    What cannot be read is left out.
    """
    found = {}
    for path in sorted(benchmarks.rglob("*.tsv")):
        seconds = of_job(path)
        if seconds is not None:
            found[path.relative_to(benchmarks).with_suffix("").as_posix()] = seconds
    return found


def of_jobs(benchmarks: Path) -> dict[str, list[float]]:
    """Return the seconds of every job that has a benchmark file, by its rule; what cannot be read is left out."""
    found: dict[str, list[float]] = {}
    for name, seconds in by_job(benchmarks).items():
        found.setdefault(name.partition("/")[0], []).append(seconds)
    return found


def messages(rules: Iterable[Path]) -> list[tuple[re.Pattern[str], str]]:
    """Return what the jobs of each rule say when they begin, and what their benchmark files are called.

    Parameters
    ----------
    rules : iterable of Path
        Files of rules.

    Returns
    -------
    list of (pattern, str)
        The wildcards of a rule are groups of its pattern, and stand in braces in the name, as of `by_job`.
    """
    found = []
    for path in rules:
        for _, body in _RULE.findall(path.read_text(encoding="utf-8")):
            benchmark, message = _BENCHMARK.search(body), _MESSAGE.search(body)
            if benchmark and message:
                pattern = re.sub(r"\\\{wildcards\\\.(\w+)\\\}", r"(?P<\1>[\\w.-]+)", re.escape(message[1]))
                found.append((re.compile(pattern), benchmark[1].replace("{{", "{").replace("}}", "}")))
    return found


def job_that_says(message: str, known: Sequence[tuple[re.Pattern[str], str]]) -> str:
    """Return the name of the job that begins with a message, as of `by_job`; nothing if no rule's jobs do."""
    for pattern, name in known:
        if found := pattern.fullmatch(message):
            return name.format(**found.groupdict())
    return ""


def of_job(path: Path) -> float | None:
    """Return the seconds in a benchmark file: its first column; None if there are none."""
    try:
        return float(path.read_text(encoding="utf-8").splitlines()[1].split("\t")[0])
    except (OSError, ValueError, IndexError):
        return None


def used(path: Path) -> tuple[float, float]:
    """Return the processor seconds and the memory in MB of the job of a benchmark file; nan for what is not known.

    A job tells them at the end of its log. Snakemake, which looks at them now and then, sees only who waits for the job
    where another process does it (`runs.warm`); it is believed where the log says nothing.
    """
    log = Path("/logs/".join(str(path.with_suffix(".log")).rsplit("/benchmarks/", 1)))
    told = _USED.search(log.read_text(encoding="utf-8", errors="replace")) if log.is_file() else None
    if told:
        return float(told[1]), float(told[2])
    with path.open(encoding="utf-8") as file:
        job = next(csv.DictReader(file, delimiter="\t"), {})
    found = [job.get(name) for name in ("cpu_time", "max_rss")]
    seconds, memory = (float("nan" if text in (None, "NA", "-", "") else text) for text in found)
    return seconds, memory


def means(jobs: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the mean seconds of a job of each rule."""
    return {rule: sum(seconds) / len(seconds) for rule, seconds in jobs.items()}


def tracked() -> dict[str, Any]:
    """Return what is known of the full replication."""
    found: dict[str, Any] = yaml.safe_load(TRACKED.read_text(encoding="utf-8"))
    return found


def words(seconds: float) -> str:
    """Return a time as a person says it.

    Examples
    --------
    >>> words(20.0), words(100.0), words(9000.0)
    ('less than a minute', 'about 2 min', 'about 2.5 h')
    """
    if seconds < 60.0:
        return "less than a minute"
    return f"about {seconds / 60.0:.0f} min" if seconds < 90 * 60.0 else f"about {seconds / 3600.0:.1f} h"


def targets(claim: Claim, results: str, figures: str) -> list[str]:
    """Return what Snakemake makes of a claim: its figure, and the tables that are judged and not in the figure."""
    tables = [name for name in claim.tables if name not in registry.figures()[claim.figure]]
    return [f"{figures}/{claim.figure}.png", *(f"{results}/tables/{name}.parquet" for name in tables)]


def needed(records: Mapping[str, Mapping[str, Any]], targets: Iterable[str]) -> tuple[int, float]:
    """Return how many jobs made all that some files need, and the seconds that they took together.

    Parameters
    ----------
    records : mapping
        What Snakemake recorded of each output (`recovery.records`).
    targets : iterable of str
    """
    waiting, jobs, seen = list(targets), dict[str, float](), set[str]()
    while waiting:
        path = waiting.pop()
        if path in records and path not in seen:
            record = records[path]
            for log in record["log"]:  # beside which every rule has a benchmark file of the same name
                jobs[log] = of_job(Path(log.replace("/logs/", "/benchmarks/", 1)).with_suffix(".tsv")) or 0.0
            waiting += record["input"]
        seen.add(path)
    return len(jobs), sum(jobs.values())


def _took(records: Mapping[str, Mapping[str, Any]], targets: Iterable[str]) -> dict[str, float]:
    n_jobs, seconds = needed(records, targets)
    return {"jobs": n_jobs, "minutes": round(seconds / 60.0, 1)}


def main() -> None:
    """Write times.yaml from the finished full replication in this folder."""
    from pma_replication import configuration
    from pma_replication.runs import recovery

    settings = configuration.load("config/config.yaml")
    records = recovery.records(Path(".snakemake/metadata"))
    made = configuration.tables(settings)
    wanted = {name: [f"{settings['figures']}/{name}.png"] for name in registry.drawn(made)}
    figures = {name: _took(records, files) for name, files in wanted.items()}
    claims = {
        name: _took(records, targets(claim, settings["results"], settings["figures"]))
        for name, claim in registry.claims().items()
        if set(claim.tables) <= set(made) and claim.figure
    }
    rules = {rule: round(mean, 1) for rule, mean in means(of_jobs(Path(settings["results"], "benchmarks"))).items()}
    jobs = by_job(Path(settings["results"], "benchmarks"))
    long = {name: round(seconds, 1) for name, seconds in jobs.items() if seconds >= LONG and "/" in name}
    start = "# Written by `python -m pma_replication.runs.times`: of the full replication on two busy cores.\n"
    storage.write_text(
        TRACKED, start + yaml.safe_dump({"rules": rules, "jobs": long, "claims": claims, "figures": figures})
    )


if __name__ == "__main__":
    main()
