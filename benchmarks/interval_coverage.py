"""How often the intervals of `statistics` cover, for the laws that occur in the tables (docs/theory, section 11).

Prints benchmarks/coverage.md: `make coverage`. Draws of the bootstrap are made for all resamples at once, and not by
the statistic resample by resample as in `statistics.bootstrap`; what makes an interval of them is the same function.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np

from pma_mfg import seeds
from pma_replication import statistics
from pma_replication.statistics import Kind

SEED, TRIALS, RESAMPLES, CONFIDENCE = 0, 2000, 1000, 0.95

REPLICATES = (8, 16, 32)

#: Percentiles alone.
ANY: Kind = "any"

Law = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def log_normal(deviation: float) -> Law:
    """Return the law of exp(Z - deviation^2 / 2), Z normal with this deviation, whose mean is 1."""
    return lambda rng, shape: np.exp(deviation * rng.normal(size=shape) - 0.5 * deviation**2)


def students(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw |T|, T of Student's law with 3 degrees of freedom, in units of its mean: it has no third moment."""
    return np.asarray(np.abs(rng.standard_t(3, size=shape)) * math.pi / (2.0 * math.sqrt(3.0)))


#: Laws with mean 1. In the tables logarithms of TD errors deviate by 0.3 to 0.4, those of exploitability by about 1.
LAWS: dict[str, Law] = {
    "normal": lambda rng, shape: 1.0 + 0.3 * rng.normal(size=shape),
    "log-normal, 0.4": log_normal(0.4),
    "log-normal, 1": log_normal(1.0),
    "|Student, 3|": students,
}


def mean(means: np.ndarray) -> np.ndarray:
    """Return the mean of one group."""
    return means[..., 0]


def ratio(means: np.ndarray) -> np.ndarray:
    """Return the ratio of two means."""
    return np.asarray(means[..., 0] / means[..., 1])


def slope(means: np.ndarray) -> np.ndarray:
    """Return the slope of the logarithms of some means over points that double."""
    x = math.log(2.0) * np.arange(means.shape[-1])
    x -= x.mean()
    return np.asarray(np.log(means) @ x / (x @ x))


#: What is estimated -> of how many groups, how, whether they are of the same runs, and as which kind.
STATISTICS: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray], bool, Kind]] = {
    "mean": (1, mean, False, "mean"),
    "ratio of two means": (2, ratio, False, "any"),
    "slope of three means": (3, slope, False, "smooth"),
    "slope of six means": (6, slope, False, "smooth"),
    "slope of six means of the same runs": (6, slope, True, "smooth"),
}


def covered(name: str, law: str, n_replicates: int, *, trials: int, resamples: int) -> tuple[int, int]:
    """Return in how many trials the interval of a statistic contains the truth, and in how many its percentiles do.

    Parameters
    ----------
    name, law : str
        Of `STATISTICS` and `LAWS`.
    n_replicates, trials, resamples : int
    """
    n_groups, statistic, paired, kind = STATISTICS[name]
    rng = seeds.generator(SEED, "coverage", name, law, n_replicates)
    truth = float(statistic(np.ones(n_groups)))
    found, plain = 0, 0
    for _ in range(trials):
        groups = LAWS[law](rng, (n_groups, n_replicates))
        if paired:  # half of the noise is common to a run
            groups = np.sqrt(np.abs(groups * LAWS[law](rng, (1, n_replicates))))
        chosen = rng.integers(n_replicates, size=(resamples, 1 if paired else n_groups, n_replicates))
        drawn = np.take_along_axis(groups[np.newaxis], np.broadcast_to(chosen, (resamples, *groups.shape)), axis=2)
        value, draws = float(statistic(groups.mean(axis=1))), statistic(drawn.mean(axis=2))
        positive: Kind = "smooth" if kind == "mean" and (groups <= 0.0).any() else kind  # as `mean_interval` does
        both = [
            statistics.interval(value, draws, n_replicates, confidence=CONFIDENCE, kind=used)
            for used in (positive, ANY)
        ]
        holds = [interval.low <= truth <= interval.high for interval in both]
        found, plain = found + holds[0], plain + holds[1]
    return found, plain


def table() -> str:
    """Return the table as Markdown."""
    error = 100.0 * math.sqrt(CONFIDENCE * (1.0 - CONFIDENCE) / TRIALS)
    lines = [
        f"Share of {TRIALS} intervals that contain the truth (standard error {error:.1f} %), {RESAMPLES} resamples, "
        f"seed {SEED}; in brackets that of the percentiles alone. Written by `make coverage`.",
        "",
        f"| estimated | law of the replicates | {' | '.join(f'{n} replicates' for n in REPLICATES)} |",
        f"|---|---|{'---|' * len(REPLICATES)}",
    ]
    for name in STATISTICS:
        for law in LAWS:
            cells = []
            for n in REPLICATES:
                found, plain = (100.0 * k / TRIALS for k in covered(name, law, n, trials=TRIALS, resamples=RESAMPLES))
                cells.append(f"{found:.1f} % ({plain:.1f})")
            lines.append(f"| {name} | {law} | {' | '.join(cells)} |")
            print(f"{name}, {law}: {', '.join(cells)}", file=sys.stderr)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
