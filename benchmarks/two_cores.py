"""Tell whether this machine's processors are cores of their own: a loop of pure arithmetic on one, and on all at once.

    python benchmarks/two_cores.py

Nothing else may run meanwhile. On cores of their own a loop takes as long beside others as alone; on two threads of one
core up to twice as long. What two threads or processes gain elsewhere is to be compared with what this prints.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time

import numba
import numpy as np

#: Steps of the loop; one is a multiplication and an addition that wait for the last one.
STEPS = 400_000_000

REPEATS = 5


@numba.njit(nogil=True)
def arithmetic(steps: int, x: float) -> float:
    """Return a number that takes so many steps of arithmetic in eight chains, and no memory."""
    a = np.full(8, x)
    b, c, d, e, f, g, h, i = a
    for _ in range(steps // 8):
        b, c, d, e = b * 0.9999 + 1.0, c * 0.9998 + 1.0, d * 0.9997 + 1.0, e * 0.9996 + 1.0
        f, g, h, i = f * 0.9995 + 1.0, g * 0.9994 + 1.0, h * 0.9993 + 1.0, i * 0.9992 + 1.0
    return b + c + d + e + f + g + h + i


def seconds(processor: int, start: float) -> float:
    """Return the seconds on the clock of one loop on a processor, which begins at a time that others share."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {processor})
    arithmetic(8, 0.5)
    time.sleep(max(0.0, start - time.time()))
    begin = time.perf_counter()
    arithmetic(STEPS, 0.5)
    return time.perf_counter() - begin


def together(pool: multiprocessing.pool.Pool, processors: list[int]) -> float:
    """Return the mean seconds of loops that run at the same time, one on each of some processors."""
    start = time.time() + 0.5
    return statistics.mean(pool.starmap(seconds, [(processor, start) for processor in processors], chunksize=1))


def main() -> None:
    """Print one line."""
    processors = (
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    )
    with multiprocessing.Pool(len(processors)) as pool:
        together(pool, processors)  # compiles
        pairs = [(together(pool, processors[:1]), together(pool, processors)) for _ in range(REPEATS)]
    slower = statistics.median(both / alone for alone, both in pairs)
    speed = len(processors) / slower
    print(
        f"a loop of arithmetic takes {slower:.2f} times as long on all {len(processors)} processors at once as on one:"
    )
    print(f"they do {speed:.2f} times the work of one, which is the most that more threads or jobs can gain here")


if __name__ == "__main__":
    main()
