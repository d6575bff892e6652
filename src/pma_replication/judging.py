"""What judges share: a verdict compares an interval with what is expected, and with what a rival of the claim predicts.

Confirmed if the interval lies in the expected range and the rival is rejected, vacuous if it lies there and the rival
is not rejected, not confirmed if it lies outside, inconclusive if it straddles the border or nothing could be tested
(docs/theory, sections 11 and 12).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri, stdtrit

from pma_mfg import seeds
from pma_replication import statistics
from pma_replication.statistics import Estimate

Verdict = Literal["confirmed", "not confirmed", "vacuous", "inconclusive"]

#: The verdicts in the order in which they are reported.
VERDICTS: tuple[Verdict, ...] = ("confirmed", "not confirmed", "vacuous", "inconclusive")

#: A range of numbers, its ends included.
Range = tuple[float, float]

Claim = dict[str, Any]

PAPER = "Yardim, Cayci, Geist and He (ICML 2023)"

#: A bias counts as measured, and above its Monte Carlo floor, at this many standard errors.
FLOOR_STANDARD_ERRORS = 5.0

#: A column of tables in which a population did not settle (`pma_replication.unsettled`): under how many policies of the
#: row, 0 or 1 where a row is one policy.
UNSETTLED = "unsettled"


@dataclass(frozen=True)
class Rival:
    """What the rival of a claim predicts of the claim's estimate, from the same game or table.

    Parameters
    ----------
    prediction : str
        In words, with the number.
    values : tuple of float
        The predictions. None, or one that is nan: the rival predicts no number here, and is neither rejected nor not.
    ranges : tuple of (low, high), optional
        Intervals that meet one of these do not reject the rival. By default as `Rival.not_rejecting` makes them.
    power : float, optional
        Where it is known exactly, in [0, 1].
    """

    prediction: str
    values: tuple[float, ...] = ()
    ranges: tuple[Range, ...] = ()
    power: float | None = None

    def not_rejecting(self, expected: Range, tolerance: float) -> list[Range]:
        """Return the ranges of the estimate that do not reject the rival; none if it predicts no number.

        A rival is granted the tolerance of the claim, and all that lies further away from the claim than it does.
        """
        if not self.values or any(map(math.isnan, self.values)):
            return []
        if self.ranges:
            return list(self.ranges)
        low, high = expected
        return [
            (-math.inf if value < low else value - tolerance, math.inf if value > high else value + tolerance)
            for value in self.values
        ]


def compare(interval: Range, expected: Range) -> Verdict:
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


def meets(interval: Range, ranges: Sequence[Range]) -> bool:
    """Whether an interval and one of some ranges have a number in common."""
    return any(interval[0] <= high and low <= interval[1] for low, high in ranges)


def verdict(interval: Range, expected: Range, rival: Sequence[Range] = ()) -> Verdict:
    """Compare an interval with the expected range and with what the claim's rival predicts.

    Parameters
    ----------
    interval, expected
        As in `compare`.
    rival : sequence of (low, high)
        Of `Rival.not_rejecting`.

    Returns
    -------
    str
        As `compare` says, but "vacuous" in place of "confirmed" if the interval meets one of the rival's ranges.
    """
    found = compare(interval, expected)
    return "vacuous" if found == "confirmed" and meets(interval, rival) else found


def power(estimate: Estimate, expected: Range, rival: Rival, *, tolerance: float, confidence: float) -> float | None:
    """Return the probability, if the rival is true, that the interval lies wholly outside of what confirms the claim.

    Assumed is that the estimate is then normal around the rival's prediction, with the spread and the interval that it
    has in the data (docs/theory, section 11). Without sampling error it is 0 or 1.

    Parameters
    ----------
    estimate : Estimate
    expected : (low, high)
    rival : Rival
        Of several predictions the one with the smallest power counts.
    tolerance : float
        Of the claim.
    confidence : float
        Of the interval.

    Returns
    -------
    float or None
        None if nothing was measured or the rival predicts no number; 0 if no interval would confirm, or if this one has
        no end.
    """
    ranges = rival.not_rejecting(expected, tolerance)
    if math.isnan(estimate.value) or not ranges:
        return None
    if rival.power is not None:
        return rival.power
    confirming = _without(expected, ranges)
    if not math.isfinite(estimate.high - estimate.low):
        return 0.0  # nothing is known of the spread
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    deviation = (estimate.high - estimate.low) / (2.0 * float(ndtri(0.5 * (1.0 + confidence))))
    if not confirming:
        return 0.0
    if not deviation > 0.0:
        return float(min(not meets((value, value), confirming) for value in rival.values))
    powers = []
    for value in rival.values:
        # the probability of an estimate whose interval meets a part of what confirms; the parts are in order
        reached, end = 0.0, -math.inf
        for low, high in confirming:
            start, end = max(low - above, end), high + below  # the estimates of two parts may overlap
            reached += float(ndtr((end - value) / deviation) - ndtr((start - value) / deviation))
        powers.append(min(max(1.0 - reached, 0.0), 1.0))
    return min(powers)


def _without(whole: Range, ranges: Sequence[Range]) -> list[Range]:
    """Return what is left of a range without some others, in order; the ends that they leave are just outside them."""
    parts = [whole]
    for low, high in ranges:
        cut = []
        for start, stop in parts:
            if high < start or stop < low:
                cut.append((start, stop))
                continue
            if start < low:
                cut.append((start, math.nextafter(low, -math.inf)))
            if high < stop:
                cut.append((math.nextafter(high, math.inf), stop))
        parts = cut
    return parts


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


def not_equivalent(
    differences: pd.Series, standard_errors: pd.Series, *, margin: float, n_replicates: int, confidence: float
) -> str:
    """Return why some differences are not shown to be zero within a margin, in words, or nothing.

    All of their Student intervals must lie within the margin: a wide one then never confirms. No union over them is
    needed, since a difference beyond the margin is overlooked with probability (1 - confidence) / 2 at most, however
    many there are.

    Parameters
    ----------
    differences, standard_errors : Series
    margin : float
        In the units of the differences.
    n_replicates : int
        From which the standard errors come.
    confidence : float
        Of the intervals.
    """
    if n_replicates < statistics.FEWEST_REPLICATES:
        return f"{n_replicates} replicates, {statistics.FEWEST_REPLICATES} are needed"
    ends = differences.abs() + standard_errors * float(stdtrit(n_replicates - 1, 0.5 * (1.0 + confidence)))
    wide = int((ends > margin).sum())
    if not wide:
        return ""
    return f"{wide} of {len(ends)} intervals reach beyond the margin of {margin:g}, the widest to {ends.max():.2g}"


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
    judged = compare((estimate.low, estimate.high), expected)
    if judged == "inconclusive":
        return ""
    beside = partial(statistics.next_order_slope, order=order)
    next_order = corrected(bootstrap_generator(rows, f"{claim} next order"), beside)
    if math.isnan(next_order.value):
        return "two points are no line"
    other = compare((next_order.low, next_order.high), expected)
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


def told_unsettled(rows: pd.DataFrame) -> str:
    """Return words on the measurements in the rows of one game in which no population settled, or nothing.

    A policy that is measured several times, as at several numbers of samples or in several runs, counts each time.
    """
    if not {UNSETTLED, "exploitability"} <= set(rows.columns):
        return ""
    return unsettled_words(int(rows[UNSETTLED].sum()), int(rows["exploitability"].notna().sum()))


def unsettled_words(count: int, measured: int) -> str:
    """Return that a population did not settle in so many of some measurements, in words; nothing for none."""
    if count == 0:
        return ""
    return (
        f"in {count:,} of {measured:,} measurements of a policy its population did not settle, and it counts as more "
        "exploitable than any"
    )
