"""Intervals and slopes of Monte Carlo numbers: bootstrap over replicates, never over time (docs/theory, section 11)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtr, stdtrit

#: Number of bootstrap resamples; the ends of the interval are then accurate to some percent of its width.
RESAMPLES = 2000

#: Fewer replicates have no interval: with 5 normal ones a nominal 95 % covers 91 %, with 3 of them 75 %.
FEWEST_REPLICATES = 8

#: Ratio of an interval's ends from which on it is said which runs it comes from.
WIDE = 1e3

#: What is estimated: "mean" of positive numbers, or a multiple of one; "smooth", such as a slope; "any" other number,
#: such as a median or the samples to an accuracy, which may jump.
Kind = Literal["mean", "smooth", "any"]


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Parameters
    ----------
    value, low, high : float
        The ends are nan where there are too few replicates for an interval.
    replicates : float
        Of the smallest group; infinite for a number without sampling error.
    """

    value: float
    low: float
    high: float
    replicates: float = math.inf

    def shifted(self, by: float) -> Estimate:
        """Return the estimate with a number added."""
        return Estimate(self.value + by, self.low + by, self.high + by, self.replicates)


def bootstrap(
    groups: Sequence[np.ndarray],
    statistic: Callable[[Sequence[np.ndarray]], float | np.ndarray],
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    kind: Kind = "any",
    along_last: bool = False,
) -> Estimate:
    """Return a statistic of several groups of replicates with a bootstrap interval, as `interval` makes it.

    Parameters
    ----------
    groups : sequence of ndarray, each of shape (replicates, ...)
        Replicates are drawn with replacement along the first axis, within each group.
    statistic : callable
        Of a sequence like `groups`.
    rng : numpy.random.Generator
    confidence : float
        In (0, 1).
    kind : {"mean", "smooth", "any"}
    along_last : bool
        Whether the statistic also takes groups of shape (resamples, replicates), and returns its value for each
        resample: it is then called once for all of them.

    Returns
    -------
    Estimate
        Without an interval if a group has fewer than `FEWEST_REPLICATES`.
    """
    value, n = float(statistic(groups)), min(map(len, groups))
    if n < FEWEST_REPLICATES:
        return Estimate(value, math.nan, math.nan, n)
    chosen = [rng.integers(len(group), size=(RESAMPLES, len(group))) for group in groups]
    if along_last:
        draws = np.asarray(statistic([group[indices] for group, indices in zip(groups, chosen, strict=True)]))
        return interval(value, draws, n, confidence=confidence, kind=kind)
    each = [
        float(statistic([group[indices[i]] for group, indices in zip(groups, chosen, strict=True)]))
        for i in range(RESAMPLES)
    ]
    return interval(value, each, n, confidence=confidence, kind=kind)


def interval(
    value: float, draws: Sequence[float] | np.ndarray, n_replicates: int, *, confidence: float, kind: Kind
) -> Estimate:
    """Return a statistic with the interval that its bootstrap draws give.

    A plain percentile interval of n replicates is too short, by the factor sqrt((n - 1) / n) and for want of Student's
    quantile; its percentiles are moved out by both. The interval of a smooth statistic contains Student's, with the
    standard error of the draws, too; that of a mean of positive numbers contains Student's of the logarithm, with a
    standard error that allows for a heavy tail (docs/theory, section 11, which measures how often they cover).

    Parameters
    ----------
    value : float
    draws : sequence of float
        The statistic of each resample.
    n_replicates : int
        Of the smallest group, at least 2.
    confidence : float
        In (0, 1).
    kind : {"mean", "smooth", "any"}

    Returns
    -------
    Estimate
    """
    n, student = n_replicates, float(-stdtrit(n_replicates - 1, 0.5 * (1.0 - confidence)))
    tail = float(ndtr(-math.sqrt(n / (n - 1)) * student))
    low, high = map(float, np.quantile(draws, [tail, 1.0 - tail]))
    # replicates that are all the same have no error: an interval of length zero stays one
    if kind != "any" and high > low:
        logarithm = kind == "mean" and min(value, *draws) > 0.0
        error = math.sqrt(n / (n - 1)) * float(np.std(np.log(draws) if logarithm else draws, ddof=1))
        if logarithm:
            # the standard error of a mean of numbers >= 0 is at most their mean; where one replicate is orders above
            # the others, resamples without it leave no scale for the logarithm
            error = min(error, 1.0)
            # n error^2 estimates the squared coefficient of variation of one replicate
            factor = math.exp(student * error * math.sqrt(1.0 + n * n / (n - 1) * error**2))
            low, high = min(low, value / factor), max(high, value * factor)
        else:
            low, high = min(low, value - student * error), max(high, value + student * error)
    return Estimate(value, low, high, n)


def mean_interval(values: np.ndarray, rng: np.random.Generator, confidence: float = 0.95) -> Estimate:
    """Return the mean over replicates, shape (replicates,), with its interval, which knows whether all are positive."""
    values = np.asarray(values, dtype=float)
    kind: Kind = "mean" if (values > 0.0).all() else "smooth"
    return bootstrap(
        [values], lambda groups: groups[0].mean(axis=-1), rng, confidence=confidence, kind=kind, along_last=True
    )


def apart(ends: np.ndarray, estimate: Estimate, accuracy: float, *, unit: str = "") -> str:
    """Return words on runs that end orders of magnitude apart, where that makes the interval of their mean `WIDE`.

    Parameters
    ----------
    ends : ndarray, shape (replicates,)
        > 0.
    estimate : Estimate
        Of their mean.
    accuracy : float
        What they are to be below.
    unit : str
        Of the ends, after a number.

    Returns
    -------
    str
        To be put behind what is said of the runs; empty where the interval is not wide.
    """
    if not estimate.high > WIDE * estimate.low:
        return ""
    ends = np.sort(ends)
    above, below = ends[ends > accuracy], ends[ends <= accuracy]
    if not (len(above) and len(below)):
        return f"; runs end from {ends[0]:.2g} to {ends[-1]:.2g}{unit}, and no scale is known of their mean"
    return (
        f"; {len(above)} of {len(ends)} runs {'ends' if len(above) == 1 else 'end'} above {accuracy:g}{unit}, at "
        f"{above[-1]:.2g} or less, the others at {below[-1]:.2g} or less: more runs tell how often"
    )


def log_log_slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the least-squares slope of log y against log x.

    Examples
    --------
    >>> round(log_log_slope([10, 100, 1000], [0.5, 0.05, 0.005]), 9)
    -1.0
    """
    log_x, log_y = (np.log(np.asarray(values, dtype=float)) for values in (x, y))
    centred = log_x - log_x.mean()
    return float(centred @ log_y / (centred @ centred))


def next_order_slope(x: Sequence[float], y: Sequence[float], order: float) -> float:
    """Return the slope of log y against log x that is left beside a next term: y = C x^slope (1 + b x^order + ...).

    Least squares of log y = c + slope log x + b x^order; the difference to `log_log_slope` is what the next term does
    to a slope over this range (docs/theory, section 11).

    Parameters
    ----------
    x, y : sequence of float
        > 0.
    order : float
        Not 0: negative if x is large in the limit, positive if it is small.

    Returns
    -------
    float
        nan with fewer than three different x.

    Examples
    --------
    >>> x = [4.0, 16.0, 64.0]
    >>> y = [number**-1 * np.exp(3.0 * number**-0.5) for number in x]
    >>> round(log_log_slope(x, y), 3), round(next_order_slope(x, y, -0.5), 9)
    (-1.406, -1.0)
    """
    log_x, log_y = (np.log(np.asarray(values, dtype=float)) for values in (x, y))
    if len(set(log_x)) < 3:
        return float("nan")
    first, term = log_x - log_x.mean(), np.exp(order * log_x)
    term = (term - term.mean()) / np.ptp(term)
    # what is left of the first column beside the second; it is also that column's share of the slope
    left = first - (first @ term) / (term @ term) * term
    return float(left @ log_y / (left @ first))


def slope_interval(
    x: Sequence[float],
    groups: Sequence[np.ndarray],
    rng: np.random.Generator,
    *,
    confidence: float = 0.95,
    summary: Callable[[np.ndarray], float] = lambda group: float(np.mean(group)),
    paired: bool = False,
    slope: Callable[[Sequence[float], Sequence[float]], float] = log_log_slope,
) -> Estimate:
    """Return the slope of log summary(group) against log x, with a bootstrap interval over replicates.

    Parameters
    ----------
    x : sequence of float, length n
    groups : sequence of n ndarrays, each of shape (replicates, ...)
    rng : numpy.random.Generator
    confidence : float
    summary : callable
        Of one group, > 0; the mean by default.
    paired : bool
        Whether the k-th replicates of all groups come from one run, as for checkpoints: they are then drawn together.
    slope : callable
        Of x and the summaries; `log_log_slope` by default.

    Returns
    -------
    Estimate
    """
    if paired:
        runs = np.stack(groups, axis=1)
        return bootstrap(
            [runs],
            lambda drawn: slope(x, [summary(drawn[0][:, i]) for i in range(len(x))]),
            rng,
            confidence=confidence,
            kind="smooth",
        )
    return bootstrap(
        groups, lambda drawn: slope(x, [summary(group) for group in drawn]), rng, confidence=confidence, kind="smooth"
    )


def samples_to_reach(target: float, samples: Sequence[float], errors: Sequence[float]) -> float:
    """Return the samples at which the error first reaches `target`, interpolated on log-log axes.

    Parameters
    ----------
    target : float
        > 0.
    samples : sequence of float
        Increasing, > 0.
    errors : sequence of float
        The error after each, > 0.

    Returns
    -------
    float
        The first samples if the error starts below the target, infinity if it is never reached.
    """
    below = np.flatnonzero(np.asarray(errors) <= target)
    if len(below) == 0:
        return float("inf")
    i = int(below[0])
    if i == 0:
        return float(samples[0])
    share = np.log(errors[i - 1] / target) / np.log(errors[i - 1] / errors[i])
    return float(np.exp(np.log(samples[i - 1]) + share * np.log(samples[i] / samples[i - 1])))


def samples_to_stay(target: float, samples: Sequence[float], errors: Sequence[float]) -> float:
    """Return the samples after which the error stays at or below `target` to the end, interpolated on log-log axes.

    Parameters
    ----------
    target, samples, errors
        As in `samples_to_reach`.

    Returns
    -------
    float
        The first samples if the error is never above the target, infinity if the last one is.
    """
    above = np.flatnonzero(np.asarray(errors) > target)
    first = int(above[-1]) if len(above) else 0
    return samples_to_reach(target, samples[first:], errors[first:])
