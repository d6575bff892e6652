"""What judges share: a verdict compares an interval with what is expected (docs/theory, sections 11 and 12).

Confirmed if the interval lies inside, not confirmed if it lies outside, inconclusive if it straddles the border or
nothing could be tested.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from pma_mfg import seeds
from pma_replication import statistics
from pma_replication.statistics import Estimate

Verdict = Literal["confirmed", "not confirmed", "inconclusive"]

Claim = dict[str, Any]

PAPER = "Yardim, Cayci, Geist and He (ICML 2023)"

#: A bias counts as measured, and above its Monte Carlo floor, at this many standard errors.
FLOOR_STANDARD_ERRORS = 5.0


def verdict(interval: tuple[float, float], expected: tuple[float, float]) -> Verdict:
    """Compare an interval with the expected range.

    Parameters
    ----------
    interval : (low, high)
        Of the measured quantity; nan if it could not be measured.
    expected : (low, high)
        The range that the claim, with its stated tolerance, allows.

    Returns
    -------
    str
        "confirmed", "not confirmed" or "inconclusive".
    """
    if any(map(math.isnan, interval)):
        return "inconclusive"
    if expected[0] <= interval[0] and interval[1] <= expected[1]:
        return "confirmed"
    if interval[1] < expected[0] or interval[0] > expected[1]:
        return "not confirmed"
    return "inconclusive"


def three_intervals(samples: pd.Series) -> list[int]:
    """Return the first number of samples, the last, and the one nearest to a third of it."""
    checkpoints = np.unique(samples)
    third = checkpoints[np.abs(np.log(checkpoints / (checkpoints[-1] / 3.0))).argmin()]
    return [int(checkpoints[0]), int(third), int(checkpoints[-1])]


def titled_table(title: str, text: str, cells: pd.DataFrame) -> str:
    """Return a titled table as Markdown."""
    lines = [title, "", text, "", f"| {' | '.join(map(str, cells))} |", f"|{'---|' * len(cells.columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells.itertuples(index=False))]) + "\n"


#: How a number of each kind is shown.
SIGNS = {"exact": "", "upper bound": "≤ ", "lower bound": "≥ ", "estimate": "≈ "}


def exactly(value: float) -> Estimate:
    """Return a number that is known without sampling error."""
    return Estimate(value, value, value)


def bootstrap_generator(rows: pd.DataFrame, claim: str) -> np.random.Generator:
    """Return the generator of the bootstrap, whose draws depend on the claim and the game only."""
    return seeds.generator(0, "claims", claim, str(rows["game"].iloc[0]))


def replicate_groups(rows: pd.DataFrame, by: str, value: str) -> tuple[list[float], list[np.ndarray]]:
    """Return the sorted values of `by` and, for each, the replicates of `value`."""
    points = sorted(set(rows[by]))
    groups = [rows[rows[by] == x].sort_values("replicate")[value].to_numpy() for x in points]
    return [float(x) for x in points], groups


def settled(
    rows: pd.DataFrame,
    claim: str,
    estimate: Estimate,
    *,
    expected: tuple[float, float],
    tolerance: float,
    order: float,
    corrected: Callable[[np.random.Generator, Callable[[Sequence[float], Sequence[float]], float]], Estimate],
) -> str:
    """Return why a slope is not judged, in words, or nothing: the rule of docs/theory, section 11.

    Parameters
    ----------
    rows, claim
        For the generator.
    estimate, expected, tolerance
        The least-squares slope, and what is expected of it.
    order : float
        Exponent of the next term of the expansion, relative to the first.
    corrected : callable
        The estimate again, with another function of the points than their least-squares slope.
    """
    judged = verdict((estimate.low, estimate.high), expected)
    if judged == "inconclusive":
        return ""
    beside = partial(statistics.next_order_slope, order=order)
    next_order = corrected(bootstrap_generator(rows, f"{claim} next order"), beside)
    if math.isnan(next_order.value):
        return "two points are no line"
    other = verdict((next_order.low, next_order.high), expected)
    if judged == "confirmed":
        stands = other != "not confirmed"
    else:
        bend = corrected(
            bootstrap_generator(rows, f"{claim} next order"), lambda x, y: statistics.log_log_slope(x, y) - beside(x, y)
        )
        stands = other == judged and bend.low <= tolerance and bend.high >= -tolerance
    if stands:
        return ""
    return (
        f"beside a next term of relative order x^{order:g} the slope is {next_order.value:.3g} "
        f"[{next_order.low:.3g}, {next_order.high:.3g}]"
    )


def _next_order(populations: Sequence[float], ratios: Sequence[float], order: float) -> float:
    """Return the part of the last of some ratios that falls as N^-order, by the last two of them; nan for one."""
    if len(populations) < 2:
        return math.nan
    return float((ratios[-2] - ratios[-1]) / ((populations[-1] / populations[-2]) ** order - 1.0))


def few_agents(populations: Sequence[float], ratios: Sequence[float], tolerance: float) -> str:
    """Return why a measured constant is not compared with one of large N, in words, or nothing."""
    rest = _next_order(populations, ratios, 0.5)
    if abs(rest) <= tolerance:
        return ""
    if math.isnan(rest):
        return "one N cannot show what is left of smaller orders"
    return (
        f"from N = {populations[-2]:g} to {populations[-1]:g} the ratio goes from {ratios[-2]:.4g} to "
        f"{ratios[-1]:.4g}, so that smaller orders may still be {rest:.2g} of it"
    )
