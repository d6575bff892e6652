"""What a person sees of a run: one line, from what Snakemake writes into its log."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from pma_replication.runs import times

#: Seconds between two lines where they cannot overwrite each other, and between two states of the one that can.
PERIOD, MOMENT = 60.0, 0.5

#: A job that takes longer than in the last run is expected to take a tenth of its time more: it has not ended yet.
OVERTIME = 0.1

#: How many lines of the log of a failed job are shown.
LAST_LINES = 10


@dataclass
class Progress:
    """The state of a run, as far as its log has been read.

    Parameters
    ----------
    seconds : mapping of str to float
        What a job of each rule took in the last run; rules that are missing take no time.
    jobs : mapping of str to float
        The same of single jobs, by their names (`times.by_job`), which may be much longer than the mean of their rule.
    messages : sequence of (pattern, str)
        By which a job is known that has begun: of `times.messages`.
    now : float
        The time, in seconds, at which the next line is read.
    """

    seconds: Mapping[str, float]
    jobs: Mapping[str, float] = field(default_factory=dict)
    messages: Sequence[tuple[re.Pattern[str], str]] = ()
    now: float = 0.0
    left: Counter[str] = field(default_factory=Counter)
    total: int = 0
    done: int = 0
    cores: int = 1
    running: dict[str, str] = field(default_factory=dict)
    begun: dict[str, float] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _statistics: bool = False
    _failed: dict[str, str] = field(default_factory=dict)

    def read(self, line: str) -> list[str]:
        """Take a line of the log in, and return what a person must be told of at once: lines about a failed job."""
        told = self._end_of_failure(line)
        if line.startswith("Provided cores: "):
            self.cores = max(1, int(re.sub(r"\D", "", line) or 1))
        elif line.startswith("Job stats:"):
            # once; a summary at the end looks the same
            self._statistics = not self.total
        elif self._statistics and (count := re.fullmatch(r"(\w+) +(\d+)", line)):
            if count[1] == "total":
                self.total, self._statistics = int(count[2]), False
            else:
                self.left[count[1]] = int(count[2])
        elif begun := re.match(r"(?:local)?Job (\d+): (.*)", line):
            self.running[begun[1]] = begun[2]
            self.begun[begun[1]] = self.now
            self._begun.add(times.job_that_says(begun[2], self.messages))
        elif ended := re.match(r"Finished jobid: (\d+) \(Rule: (\w+)\)", line):
            self.running.pop(ended[1], None)
            self.left[ended[2]] -= 1
            self.done += 1
        elif failed := re.match(r"Error in (?:group|rule) (\S+):", line):
            self._failed = {"rule": failed[1]}
        elif self._failed and (detail := re.match(r" +(jobid|log): (.*?)(?: \(check log file.*)?$", line)):
            self._failed[detail[1]] = detail[2]
        return told

    def _end_of_failure(self, line: str) -> list[str]:
        """Return what is told of a failed job, once the lines about it, which are indented, are over."""
        if not self._failed or line.startswith(" ") or line.startswith("Error in "):
            return []
        failed, self._failed = self._failed, {}
        what = self.running.pop(failed.get("jobid", ""), "")
        told = [f"failed: {what or failed['rule']} (rule {failed['rule']})"]
        log = Path(failed["log"]) if "log" in failed else None
        if log is not None and log.is_file():
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            told += [f"the end of {log}:", *(f"    {text}" for text in lines[-LAST_LINES:])]
        return told

    def seconds_left(self) -> float | None:
        """Return what the jobs that are left took in the last run, less what those that run have had; None if unknown.

        They share the cores, but no job can: the longest of those that run, or are known to wait, is waited for.
        """
        waiting, running = +self.left, []
        for number, message in self.running.items():
            name = times.job_that_says(message, self.messages)
            rule = name.partition("/")[0]
            if rule in waiting:
                waiting[rule] -= 1
            expected = self.jobs.get(name, self.seconds.get(rule))
            if expected is not None:
                had = self.now - self.begun[number]
                running.append(max(expected - had, OVERTIME * had))
        every, longest = [], list(running)
        for rule, count in (+waiting).items():
            # of jobs that were run before, those that have not begun, as far as their names are known
            rest = [s for name, s in self.jobs.items() if name.partition("/")[0] == rule and name not in self._begun]
            if rest:
                every.append(count * sum(rest) / len(rest))
            elif rule in self.seconds:
                every.append(count * self.seconds[rule])
            longest += rest if count >= len(rest) else []
        if not every and not running:
            return None
        return max([(sum(every) + sum(running)) / self.cores, *longest])

    def line(self) -> str:
        """Return the state in one line."""
        if not self.total:
            return "reading the rules and what is done"
        left = self.seconds_left()
        about = "" if left is None or self.done == self.total else f", {times.words(left)} left"
        running = "; ".join(self.running.values())
        return f"{self.done} of {self.total} jobs done{about}" + (f": {running}" if running else "")


class Display:
    """Shows a run: on a terminal in one line that changes, elsewhere by a line a minute.

    Parameters
    ----------
    log : Path
        What Snakemake writes.
    progress : Progress
    stream : text file
        Where it is shown.
    """

    def __init__(self, log: Path, progress: Progress, stream: TextIO) -> None:
        self.progress, self._stream = progress, stream
        self._log, self._read, self._rest = log, 0, b""
        self._moves = stream.isatty()
        self._next = 0.0
        self.told = False

    def update(self, now: float, last: bool = False) -> None:
        """Read what is new, and show it if it is time to, which the last one always is; `now` is in seconds."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            new = log.read()
        self._read += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")  # a line may have been written in part
        if last:
            lines += [self._rest, b""]
        self.progress.now = now
        told = [text for line in lines for text in self.progress.read(line.decode(errors="replace"))]
        if told:
            self.told = True
            self._print("\n".join(told))
        if last or now >= self._next:
            self._next = now + (MOMENT if self._moves else PERIOD)
            if self._moves:
                width = shutil.get_terminal_size().columns - 1
                self._stream.write(f"\r\033[K{self.progress.line()[:width]}" + "\n" * last)
                self._stream.flush()
            else:
                self._print(self.progress.line())

    def _print(self, text: str) -> None:
        self._stream.write("\r\033[K" * self._moves + text + "\n")
        self._stream.flush()
