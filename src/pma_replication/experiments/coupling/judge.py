"""Verdicts: mirror ascent and best response with one TD budget. From a table to verdicts.

docs/theory, sections 10.12 and 12.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from pma_replication import statistics
from pma_replication.experiments.coupling.names import BEST_RESPONSE, BLIND, FASTEST, MIRROR_ASCENT, NOISE, TD_SCALE
from pma_replication.experiments.coupling.reading import (
    HOLD,
    LEARNED,
    Curves,
    curves,
    elsewhere,
    last,
    samples,
    samples_to,
)
from pma_replication.judging import Claim, Range, Rival, bootstrap_generator, compare, exactly, settled
from pma_replication.statistics import Estimate

#: A ratio of samples whose denominator is never reached, in place of infinity, of which no quantile can be taken.
NEVER = 1e9

#: Exponent of the samples with which exploitability falls at least, by Theorem 4.3.
SLOWEST = -0.5


def radius_of(rows: pd.DataFrame) -> float:
    """Return the spectral radius of the best response at the equilibrium."""
    return float(rows["best_response_radius"].iloc[0])


def least_end(groups: Sequence[np.ndarray], accuracy: float) -> float:
    """Return the smallest mean exploitability at the end over the updates per epoch, in units of the accuracy."""
    return float(min(last(group).mean() for group in groups) / accuracy)


def end_of(rows: pd.DataFrame, method: str, claim: str, *, confidence: float) -> Estimate:
    """Return `least_end` of a method, with an interval in which the updates are chosen anew."""
    accuracy, groups = float(rows["accuracy"].iloc[0]), list(curves(rows, method).values())
    rng = bootstrap_generator(rows, claim)
    return statistics.bootstrap(groups, partial(least_end, accuracy=accuracy), rng, confidence=confidence, kind="mean")


def told(rows: pd.DataFrame, method: str) -> str:
    """Return the runs of a method in words: the updates, and where each ends."""
    accuracy = float(rows["accuracy"].iloc[0])
    ends = ", ".join(f"{last(group).mean() / accuracy:.3g}" for group in curves(rows, method).values())
    of_method = rows[rows["method"] == method]
    if method == BLIND:
        runs = of_method.groupby("n_updates")[["n_epochs", "samples"]].max()
        epochs, taken = (", ".join(map(str, runs[column])) for column in ("n_epochs", "samples"))
        return f"K = {epochs} growing epochs of {taken} samples in all end at {ends} accuracies"
    updates = ", ".join(map(str, curves(rows, method)))
    return f"K = {of_method['n_epochs'].iloc[0]} epochs of M_td = {updates} end at {ends} accuracies"


def apart(rows: pd.DataFrame, method: str, estimate: Estimate) -> str:
    """Return words on runs that end orders of magnitude apart, or nothing (`statistics.apart`)."""
    accuracy = float(rows["accuracy"].iloc[0])
    ends = min((last(group) for group in curves(rows, method).values()), key=np.mean)
    return statistics.apart(ends / accuracy, estimate, 1.0, unit=" accuracies")


def unfinished(rows: pd.DataFrame, method: str, confidence: float) -> str:
    """Return why runs that miss the accuracy were too short to reach it, in words, or nothing.

    The rule is in docs/theory, section 11. Where the iteration does not contract at the equilibrium, no longer run
    would reach it; blind learning, whose steps fall, contracts in the end if the fastest step does.
    """
    of_method, accuracy = rows[rows["method"] == method], float(rows["accuracy"].iloc[0])
    with_step = rows[rows["method"] == (FASTEST if method == BLIND else method)]
    rate, n_epochs = float(with_step["radius"].iloc[0]), int(of_method["n_epochs"].max())
    if not rate < 1.0:
        return ""
    if method != BLIND and (left := rate ** (2 * n_epochs)) > accuracy:
        return (
            f"{method_words(method)}: after {n_epochs} epochs the spectral radius {rate:.3g} leaves {left:.2g} of the "
            "first exploitability"
        )
    seen = int(of_method["samples" if method == BLIND else "n_updates"].max())
    if TD_SCALE in rows and seen < (scale := float(rows[TD_SCALE].iloc[0])):
        return f"{method_words(method)}: {seen:,} updates, and TD learning leaves its start after some {scale:,.0f}"
    found = curves(rows, method)
    if elsewhere(rows, method):
        start = of_method.loc[of_method["epoch"] == 0, "error"].mean()
        noise = of_method[NOISE].min() if NOISE in rows else 0.0
        if not noise > LEARNED * start:
            return ""
        return (
            f"{method_words(method)}: with M_td = {seen:,} the noise of TD learning alone keeps policies {noise:.2g} "
            f"away from the equilibrium, and the start is {start:.2g} away"
        )
    if len(found) == 1:
        return f"{method_words(method)}: one M_td cannot show whether more samples would do"
    (fewer, before), (more, after) = list(found.items())[-2:]

    def fall(drawn: Sequence[np.ndarray]) -> float:
        return math.log(drawn[1].mean() / drawn[0].mean()) / math.log(more / fewer)

    rng = bootstrap_generator(rows, f"C4-coupled {method} fall")
    slope = statistics.bootstrap([last(before), last(after)], fall, rng, confidence=confidence, kind="smooth")
    if slope.low > SLOWEST:
        return ""
    return (
        f"{method_words(method)}: from M_td = {fewer} to {more} exploitability falls as M_td^{slope.value:.2g}, and "
        f"perhaps no more slowly than the theorem's {SLOWEST:g}"
    )


def method_words(method: str) -> str:
    """Return a method in words."""
    return {FASTEST: "mirror ascent with the fastest step", BLIND: "blind mirror ascent"}.get(
        method, method.replace("_", " ")
    )


def unless_reached(rows: pd.DataFrame, method: str, estimate: Estimate, *, expected: Range, confidence: float) -> str:
    """Return `unfinished` of a method of which it is claimed that it reaches the accuracy, and it does not."""
    refuted = compare((estimate.low, estimate.high), expected) == "not confirmed"
    return unfinished(rows, method, confidence) if refuted else ""


def mirror_ascent(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C4-coupled in one game (docs/theory, section 12)."""
    return {
        "id": "C4-coupled",
        "statement": "Mirror ascent learns the equilibrium from one trajectory, however strongly agents affect each "
        "other.",
        "source": "Theorem 4.3, outside of its contraction condition",
        **_learns(rows, MIRROR_ASCENT, "C4-coupled", tolerance, confidence),
    }


def blind(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C4-blind in one game (docs/theory, section 12)."""
    return {
        "id": "C4-blind",
        "statement": "Mirror ascent learns the equilibrium with a schedule from the simulator alone, on the same "
        "samples.",
        "source": "whether step size, c and M_td can be had without the equilibrium",
        **_learns(rows, BLIND, "C4-blind", tolerance, confidence),
    }


def _learns(rows: pd.DataFrame, method: str, claim: str, tolerance: float, confidence: float) -> Claim:
    """Return what the claims have in common that a method reaches the accuracy."""
    accuracy, found, taken = float(rows["accuracy"].iloc[0]), curves(rows, method), samples(rows, method)
    costs = ", ".join(f"{samples_to(k * accuracy, found, taken):.3g}" for k in (4, 2, 1))
    n_replicates = rows["replicate"].nunique()
    estimate, expected = end_of(rows, method, claim, confidence=confidence), (0.0, 1.0 + tolerance)
    return {
        "quantity": f"mean exploitability over the last {HOLD} epochs / accuracy, least over M_td",
        "estimate": estimate,
        "expected": expected,
        "too_small": unless_reached(rows, method, estimate, expected=expected, confidence=confidence),
        "rival": Rival(f"{1.0 / accuracy:.3g}, that of the start", (1.0 / accuracy,)),
        "how": f"spectral radius of the best response {radius_of(rows):.3g}; accuracy {accuracy:g} of the uniform "
        f"policy's exploitability; {n_replicates} replicates, N = {rows['n_agents'].iloc[0]:.0e}; "
        f"{told(rows, method)}{elsewhere(rows, method)}{apart(rows, method, estimate)}; "
        f"samples to 4, 2 and 1 accuracies {costs}",
    }


def slope(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C4-coupled-slope in one game (docs/theory, section 12)."""
    found = curves(rows, FASTEST, "error")
    learned = {n: last(group) for n, group in found.items() if last(group).mean() <= LEARNED * group[:, 0].mean()}
    updates, ends = [float(n) for n in learned], list(learned.values())
    estimate, expected, too_small = exactly(math.nan), (0.0, 2.0 + tolerance), ""

    def fitted(
        groups: Sequence[np.ndarray], of: Callable[[Sequence[float], Sequence[float]], float] = statistics.log_log_slope
    ) -> float:
        return of([1.0 / float(group.mean()) for group in groups], updates)

    if len(updates) > 1:
        interval = partial(statistics.bootstrap, confidence=confidence, kind="smooth")
        estimate = interval(ends, fitted, bootstrap_generator(rows, "C4-coupled-slope"))
        too_small = settled(
            rows,
            "C4-coupled-slope",
            estimate,
            expected=expected,
            tolerance=tolerance,
            order=-1.0,
            corrected=lambda rng, f: interval(ends, partial(fitted, of=f), rng),
        )
    distances = ", ".join(f"{end.mean():.3g}" for end in ends)
    fitted_to = ", ".join(f"{n:g}" for n in updates) or "none"
    return {
        "id": "C4-coupled-slope",
        "statement": "However strongly agents affect each other, half the error costs at most four times the samples.",
        "source": "Theorem 4.3, outside of its contraction condition",
        "quantity": "slope of log M_td against log(1 / mean distance over the last epochs)",
        "estimate": estimate,
        "expected": expected,
        "rival": Rival("4", (4.0,)),
        "too_small": too_small,
        "how": f"spectral radius of the best response {radius_of(rows):.3g}; the fastest step, with which noise is "
        f"seen soonest; M_td that end below half the first distance: {fitted_to} of {len(found)}"
        f"{f', at distances {distances}' if ends else ''}",
    }


def best_response(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C4-best-response in one game (docs/theory, section 12)."""
    stable = radius_of(rows) < 1.0
    reaches = "reaches it" if stable else "does not reach it"
    accuracy = float(rows["accuracy"].iloc[0])
    rival = Rival(f"{1.0 / accuracy:.3g}, that of the start", (1.0 / accuracy,))
    if not stable:
        learned = least_end(list(curves(rows, MIRROR_ASCENT).values()), accuracy)
        rival = Rival(f"{learned:.3g}, what mirror ascent reaches", (learned,))
    estimate = end_of(rows, BEST_RESPONSE, "C4-best-response", confidence=confidence)
    expected = (0.0, 1.0 + tolerance) if stable else (1.0 - tolerance, math.inf)
    too_small = ""
    if stable:
        too_small = unless_reached(rows, BEST_RESPONSE, estimate, expected=expected, confidence=confidence)
    return {
        "id": "C4-best-response",
        "statement": "Best response with the same regularizer and TD budget reaches the accuracy just where its "
        "Jacobian's spectral radius is below 1.",
        "source": "whether mirror ascent is needed",
        "quantity": f"mean exploitability over the last {HOLD} epochs / accuracy, least over M_td",
        "estimate": estimate,
        "expected": expected,
        "rival": rival,
        "too_small": too_small,
        "how": f"spectral radius {radius_of(rows):.3g}: the claim is that best response {reaches}; "
        f"{told(rows, BEST_RESPONSE)}",
    }


def price(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C4-price in one game (docs/theory, section 12)."""
    accuracy = float(rows["accuracy"].iloc[0])
    found = {method: curves(rows, method) for method in (MIRROR_ASCENT, FASTEST, BEST_RESPONSE)}
    taken = {method: samples(rows, method) for method in found}
    keys = [(method, n_updates) for method, of_method in found.items() for n_updates in of_method]

    def costs(drawn: Sequence[np.ndarray]) -> dict[str, float]:
        """Return the samples of every method."""
        parts: dict[str, Curves] = {method: {} for method in found}
        for (method, n_updates), group in zip(keys, drawn, strict=True):
            parts[method][n_updates] = group
        return {method: samples_to(accuracy, part, taken[method]) for method, part in parts.items()}

    def ratio(drawn: Sequence[np.ndarray]) -> float:
        needed = costs(drawn)
        ours, rivals = min(needed[MIRROR_ASCENT], needed[FASTEST]), needed[BEST_RESPONSE]
        if math.isinf(rivals):
            return 1.0 if math.isinf(ours) else 0.0  # where neither gets there, neither is favoured
        return min(ours / rivals, NEVER)

    groups = [found[method][n_updates] for method, n_updates in keys]
    stable, told_costs = radius_of(rows) < 1.0, costs(groups)
    estimate = exactly(math.nan)
    if not all(map(math.isinf, told_costs.values())):
        estimate = statistics.bootstrap(groups, ratio, bootstrap_generator(rows, "C4-price"), confidence=confidence)
    expected = (1.0 - tolerance, math.inf) if stable else (0.0, 1.0 - tolerance)
    too_small = ""
    if compare((estimate.low, estimate.high), expected) == "not confirmed":
        # the methods that would have to arrive sooner for the claim to hold
        late = [method for method in found if (method == BEST_RESPONSE) == stable and math.isinf(told_costs[method])]
        too_small = "; ".join(filter(None, (unfinished(rows, method, confidence) for method in late)))
    counts = ", ".join(
        f"{method.replace('_', ' ')} {'never' if math.isinf(n) else f'{n:.3g}'}" for method, n in told_costs.items()
    )
    return {
        "id": "C4-price",
        "statement": "Mirror ascent saves more than half of the samples where best response is unstable, and not "
        "elsewhere.",
        "source": "what mirror ascent buys",
        "quantity": "samples to the accuracy, mirror ascent with the better of its two steps / best response",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "rival": (
            Rival("0: best response never gets there", (0.0,)) if stable else Rival("1: nothing is saved", (1.0,))
        ),
        "how": f"spectral radius of the best response {radius_of(rows):.3g}; samples: {counts}; 0: best response never",
    }
