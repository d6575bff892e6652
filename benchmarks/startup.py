"""Time how long imports and commands that compile nothing take, against an import of numpy and scipy.linalg.

Every run is a process of its own, and the sides take turns. Processor time is compared; the time on the clock is told
too, and is more on a busy machine. The first round, which writes byte code and brings files into memory, does not
count. Nothing is asserted here. With a number of rounds as argument: that many.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time

from timing import REPEATS, median_ratio

#: What others are compared with: what nearly every program of numerical Python imports.
BASELINE = "import numpy, scipy.linalg"

#: What is imported.
IMPORTS = ("scipy.sparse", "pma_mfg.games", "pma_mfg.operators", "pma_mfg.equilibrium")

#: Arguments of pma-mfg.
COMMANDS = ("--help", "games", "games garnet", "validate contraction_game")

#: What `pma-mfg` runs.
PROGRAM = "import sys; from pma_mfg.cli import main; sys.exit(main())"

#: What is timed -> the arguments of the interpreter.
SIDES = {
    BASELINE: ["-c", BASELINE],
    **{f"import {module}": ["-c", f"import {module}"] for module in IMPORTS},
    **{f"pma-mfg {arguments}": ["-c", PROGRAM, *arguments.split()] for arguments in COMMANDS},
}


def run(arguments: list[str]) -> tuple[float, float]:
    """Return the processor time and the time on the clock of one process of this interpreter, in seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, time.perf_counter() - start


def main() -> None:
    """Print a page with one line for each side."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else REPEATS
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in SIDES}
    for seed in range(-1, repeats):
        for name, arguments in SIDES.items():
            measured = run(arguments)
            if seed >= 0:
                times[name].append(measured)
    baseline = [used for used, _ in times[BASELINE]]
    print("# Imports, and commands that compile nothing\n")
    print(f"Written by `benchmarks/startup.py`: medians of {repeats} processes each, in seconds; the ratio is that of")
    print(f"processor times of neighbouring runs, to `{BASELINE}`.\n")
    print("| | processor | clock | ratio |\n|---|---|---|---|")
    for name, runs in times.items():
        used, clock = ([one[i] for one in runs] for i in range(2))
        ratio = median_ratio(used, baseline)
        print(f"| `{name}` | {statistics.median(used):.2f} | {statistics.median(clock):.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
