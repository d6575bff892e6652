"""What the benchmarks of the simulators share: sides that alternate, and medians of their ratios."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

REPEATS = 7


def alternating(
    sides: Mapping[str, Callable[[int], int]],
    repeats: int = REPEATS,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Time sides in turn, so that a machine whose speed drifts does not favour one of them.

    Parameters
    ----------
    sides : mapping of str to callable
        Each takes the number of the round as seed, does its work, and returns how many steps that was.
    repeats : int
        Rounds; one more goes before them, for compilation and caches, and does not count.
    clock : callable
        Seconds; `time.process_time` where one thread works, and other jobs do on the same processor.

    Returns
    -------
    dict of str to list of float
        Microseconds per step, by side and round.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for seed in range(-1, repeats):
        for name, run in sides.items():
            start = clock()
            steps = run(max(seed, 0))
            if seed >= 0:
                times[name].append((clock() - start) / steps * 1e6)
    return times


def median_ratio(numerators: list[float], denominators: list[float]) -> float:
    """Return the median of the ratios of runs that stood next to each other."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def line(name: str, times: Mapping[str, list[float]], ours: str = "library") -> str:
    """Return one line: the median time of each side, and how many times faster ours is."""
    parts = [f"{name:>16}"]
    for side, values in times.items():
        ratio = "" if side == ours else f" ({median_ratio(values, times[ours]):.3g}x)"
        parts.append(f"{side} {statistics.median(values):.4g}{ratio}")
    return "  ".join(parts)
