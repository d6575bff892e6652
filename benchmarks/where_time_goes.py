"""Tell where the processor time of a finished run went: by rule, and outside of all rules.

Prints the page benchmarks/where_time_goes.md:

    python benchmarks/where_time_goes.py results/full run.time

The processor time of a job is what it tells itself at the end of its log; its time on the clock is in the benchmark
file that Snakemake writes. The second argument is what `bash -c 'time make replicate'` printed about the whole run;
without it the time outside of rules is not known.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pma_replication.runs import times

#: Rules that are told one by one; the others, of less time, are told together.
MOST = 20


@dataclass
class Rule:
    """What the logs and benchmark files of a rule's jobs say.

    Parameters
    ----------
    used, clock : list of float
        Seconds of each job: of the processor, and on the clock.
    """

    used: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)


def rules(benchmarks: Path) -> dict[str, Rule]:
    """Return the times of all jobs by rule, the rule that used most first."""
    found: dict[str, Rule] = {}
    for path in sorted(benchmarks.rglob("*.tsv")):
        rule = found.setdefault(path.relative_to(benchmarks).parts[0].removesuffix(".tsv"), Rule())
        seconds, _ = times.used(path)
        rule.used.append(0.0 if math.isnan(seconds) else seconds)
        rule.clock.append(times.of_job(path) or 0.0)
    return dict(sorted(found.items(), key=lambda item: -sum(item[1].used)))


def of_run(text: str) -> dict[str, float]:
    """Return the seconds that bash's `time` printed: real, user and sys."""
    found = re.findall(r"^(real|user|sys)\s+(\d+)m([\d.]+)s$", text, re.MULTILINE)
    return {name: 60.0 * int(minutes) + float(seconds) for name, minutes, seconds in found}


def page(of_rules: dict[str, Rule], whole: dict[str, float]) -> list[str]:
    """Return the lines of the page."""
    used = sum(sum(rule.used) for rule in of_rules.values())
    jobs = sum(len(rule.used) for rule in of_rules.values())
    total = whole["user"] + whole["sys"] if whole else used
    lines = ["Written by `benchmarks/where_time_goes.py` from the logs of the jobs of a full run, in seconds.", ""]
    lines += ["| | jobs | processor | share | clock |", "|---|---|---|---|---|"]

    def row(name: str, some: list[Rule]) -> str:
        seconds, clock = (sum(sum(getattr(rule, kind)) for rule in some) for kind in ("used", "clock"))
        count = sum(len(rule.used) for rule in some)
        return f"| {name} | {count} | {seconds:,.0f} | {seconds / total:.1%} | {clock:,.0f} |"

    names = list(of_rules)
    lines += [row(f"`{name}`", [of_rules[name]]) for name in names[:MOST]]
    if names[MOST:]:
        lines.append(row(f"{len(names) - MOST} other rules", [of_rules[name] for name in names[MOST:]]))
    lines.append(row("**all rules**", list(of_rules.values())))
    if whole:
        outside = total - used
        lines.append(f"| **in no rule** | | {outside:,.0f} | {outside / total:.1%} | |")
        lines.append(f"| **the whole run** | {jobs} | {total:,.0f} | 100.0% | {whole['real']:,.0f} |")
        lines += [
            "",
            f"In no rule are {outside / jobs:.2f} s a job: Snakemake itself, and of each job its shell and the",
            "start of Python.",
        ]
    return lines


def main() -> None:
    """Print the page."""
    results = Path(sys.argv[1])
    whole = of_run(Path(sys.argv[2]).read_text(encoding="utf-8")) if len(sys.argv) > 2 else {}
    print("\n".join(page(rules(results / "benchmarks"), whole)))


if __name__ == "__main__":
    main()
