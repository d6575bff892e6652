"""How often the intervals of `statistics` cover, for the laws that occur in the tables (docs/theory, section 11).

Prints benchmarks/interval_coverage.md: `make coverage`. Draws of the bootstrap are made for all resamples at once, and
not by the statistic resample by resample as in `statistics.bootstrap`; what makes an interval of them is the same
function.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pma_mfg import seeds
from pma_replication import statistics
from pma_replication.experiments.comparison import measure, medians
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


class Tuned(NamedTuple):
    """A law of the runs of a method that is tuned: of the samples to an accuracy, and of what its settings cost.

    Parameters
    ----------
    costs : tuple of float
        The mean cost of each setting, the smallest first.
    medians : tuple of float
        The logarithm of the median samples of each setting; the first is the truth.
    deviation : float
        Of the logarithm of samples in one setting, and of the cost: both have the same normal noise.
    budget : float
        Runs that need more do not arrive.
    """

    costs: tuple[float, ...]
    medians: tuple[float, ...]
    deviation: float
    budget: float = math.inf


#: In a full run the logarithm of samples deviates by 0.3 within a setting (quartiles 0.14 and 0.56, in some games above
#: 1), and neighbouring settings cost 0.6 more or less (quartiles 0.2 and 1.1): experiment `one_trajectory`.
TUNED: dict[str, Tuned] = {
    "one setting": Tuned((0.0,), (0.0,), 0.3),
    "four settings, each 0.6 worse": Tuned((0.0, 0.6, 1.2, 1.8), (0.0, 0.6, 1.2, 1.8), 0.3),
    "the same, deviation 1": Tuned((0.0, 0.6, 1.2, 1.8), (0.0, 0.6, 1.2, 1.8), 1.0),
    "four settings that tie": Tuned((0.0,) * 4, (0.0,) * 4, 0.3),
    "two that nearly tie, samples 3 : 1": Tuned((0.0, 0.1), (0.0, -math.log(3.0)), 0.3),
    "one in three does not arrive": Tuned((0.0, 0.6), (0.0, 0.6), 1.0, math.exp(0.43)),
}


def tuned_rates(rates: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Return `comparison.medians.tuned_median` of many resamples at once; both are (..., settings, replicates)."""
    best = costs.mean(axis=-1).argmin(axis=-1)
    chosen = np.take_along_axis(rates, best[..., None, None], axis=-2)[..., 0, :]
    return np.asarray(np.sort(chosen, axis=-1)[..., (rates.shape[-1] - 1) // 2])


def drawn_tuning(rng: np.random.Generator, law: Tuned, n_replicates: int, resamples: int) -> tuple[float, np.ndarray]:
    """Return the rate that is reported of one experiment, one over its samples, and that of each resample."""
    noise = law.deviation * rng.normal(size=(len(law.costs), n_replicates))
    costs, logarithms = np.array(law.costs)[:, None] + noise, np.array(law.medians)[:, None] + noise
    rates = np.where(logarithms <= math.log(law.budget), np.exp(-logarithms), 0.0)
    which = measure.chosen_by_others(costs)
    reported = medians.slower_median(np.concatenate([rates[k][which == k] for k in range(len(rates))]))
    both = np.stack([rates, costs])
    chosen = rng.integers(n_replicates, size=(resamples, *both.shape))  # as `statistics.bootstrap`: each group alone
    drawn = np.take_along_axis(np.broadcast_to(both, chosen.shape), chosen, axis=-1)
    return reported, tuned_rates(drawn[:, 0], drawn[:, 1])


def tuned_covered(law: Tuned, n_replicates: int, *, trials: int, resamples: int) -> tuple[int, int, float]:
    """Return in how many trials the interval of a tuned median holds that of the best setting, and that of a ratio.

    Parameters
    ----------
    law : Tuned
    n_replicates, trials, resamples : int

    Returns
    -------
    alone : int
        As `comparison.measure.samples_to_accuracy` makes it.
    ratio : int
        The ratio of two methods of this law, which is 1, as `one_trajectory.judge.ratio` makes it.
    factor : float
        The median over trials of one end of the former interval over the other.
    """
    rng = seeds.generator(SEED, "coverage", "tuned", *map(str, law), n_replicates)
    truth, least, found = float(np.exp(-law.medians[0])), 1.0 / law.budget, [0, 0]
    factors = []
    for _ in range(trials):
        (reported, draws), (other, others) = (drawn_tuning(rng, law, n_replicates, resamples) for _ in range(2))
        with np.errstate(divide="ignore", invalid="ignore"):
            # one over the ratio of samples; 0 where the method does not arrive, whether or not the other one does
            quotients = np.where(draws > 0.0, draws / np.maximum(others, least), 0.0)
            quotient = reported / max(other, least) if max(other, least) > 0.0 else math.nan
        for i, (value, of) in enumerate(((reported, draws), (quotient, quotients))):
            ends = statistics.interval(value, of, n_replicates, confidence=CONFIDENCE, kind=ANY)
            low, high = min(ends.low, value), max(ends.high, value)  # extended to what is reported
            if i and other == 0.0 and reported > 0.0:
                high = math.inf  # the ratio of samples is known from above only
            found[i] += bool(low <= (truth, 1.0)[i] <= high)
            factors += [high / low if low > 0.0 else math.inf] if i == 0 else []
    return found[0], found[1], float(np.median(factors))


def tuned_table() -> str:
    """Return the table of tuned medians as Markdown."""
    error = 100.0 * math.sqrt(CONFIDENCE * (1.0 - CONFIDENCE) / TRIALS)
    lines = [
        "Samples to an accuracy of a method that is tuned (docs/theory, section 21.4): share of "
        f"{TRIALS} intervals that contain the median of the setting that costs least (standard error {error:.1f} %); "
        "in brackets of those of the ratio of two such methods that contain 1; then the median factor between the ends "
        "of the former.",
        "",
        f"| settings | {' | '.join(f'{n} replicates' for n in REPLICATES)} |",
        f"|---|{'---|' * len(REPLICATES)}",
    ]
    for name, law in TUNED.items():
        cells = []
        for n in REPLICATES:
            *both, factor = tuned_covered(law, n, trials=TRIALS, resamples=RESAMPLES)
            alone, ratio = (100.0 * k / TRIALS for k in both)
            cells.append(f"{alone:.1f} % ({ratio:.1f}), {f'{factor:.2g}' if math.isfinite(factor) else '∞'}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(f"{name}: {', '.join(cells)}", file=sys.stderr)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table())
    print(tuned_table(), end="")
