"""Verdicts: how many samples an accuracy costs. From tables to verdicts (docs/theory, section 12)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pma_replication import statistics
from pma_replication.judging import (
    Claim,
    Range,
    Rival,
    bootstrap_generator,
    compare,
    exactly,
    power,
    replicate_groups,
    settled,
)
from pma_replication.statistics import Estimate


def final_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows after the last epoch."""
    return rows[rows["epoch"] == rows["n_epochs"]]


def samples_slope(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C4 in one game (docs/theory, section 12)."""
    final = final_rows(rows)
    epsilons, errors = replicate_groups(final, "epsilon", "error")
    # samples without the log^2 factor K (M_mix + 1), which the claim's O~ hides
    samples = [float(final[final["epsilon"] == epsilon]["n_updates"].iloc[0]) for epsilon in epsilons]

    def slope(groups: Any, of: Callable[..., float] = statistics.log_log_slope) -> float:
        return of([1.0 / float(np.mean(group)) for group in groups], samples)

    found = partial(statistics.bootstrap, confidence=confidence, kind="smooth")
    estimate = found(errors, slope, bootstrap_generator(rows, "C4"))
    expected = (0.0, 2.0 + tolerance)
    return {
        "id": "C4",
        "statement": "Centralized learning needs at most O~(epsilon^-2) samples of one trajectory.",
        "source": "Theorem 4.3",
        "quantity": "slope of log(samples / (K (M_mix + 1))) against log(1 / achieved error)",
        "estimate": estimate,
        "expected": expected,
        "rival": Rival("1 or 4", (1.0, 4.0)),
        "too_small": settled(
            rows,
            "C4",
            estimate,
            expected=expected,
            tolerance=tolerance,
            order=-1.0,
            corrected=lambda rng, f: found(errors, partial(slope, of=f), rng),
        ),
        "how": f"{len(errors[0])} replicates at each of {len(epsilons)} accuracies from {max(epsilons)} to "
        f"{min(epsilons)}, N = {rows['n_agents'].iloc[0]:.0e}, tuned constants; at slope 2 the bound is tight",
    }


def start_of(rows: pd.DataFrame) -> float:
    """Return the largest error before anything is learned."""
    return float(rows[rows["epoch"] == 0]["error"].max())


def worst_of(epsilons: list[float], errors: list[np.ndarray], start: float) -> int:
    """Return the place of the accuracy with the largest mean error / epsilon, of those that the start does not meet."""
    asked = [i for i, epsilon in enumerate(epsilons) if epsilon < start] or range(len(epsilons))
    return max(asked, key=lambda i: float(errors[i].mean()) / epsilons[i])


def stays(start: float, epsilon: float, expected: Range) -> Rival:
    """Return the rival that nothing is learned; where the start is within epsilon, the claim cannot tell."""
    share = start / epsilon
    return Rival(f"{share:.3g}, that of the start", (share,), (expected,) if share <= expected[1] else ())


def accuracy(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C4-accuracy in one game (docs/theory, section 12)."""
    epsilons, errors = replicate_groups(final_rows(rows), "epsilon", "error")
    start = start_of(rows)
    worst = worst_of(epsilons, errors, start)
    shares = errors[worst] / epsilons[worst]
    estimate = statistics.mean_interval(shares, bootstrap_generator(rows, "C4-accuracy"), confidence)
    expected = (0.0, 1.0 + tolerance)
    too_small = ""
    if compare((estimate.low, estimate.high), expected) == "not confirmed":
        # constants that are too small give an error of a fixed multiple of epsilon; if it grows, the order is wrong
        inverse, groups = (
            [1.0 / epsilon for epsilon in epsilons],
            [e / x for e, x in zip(errors, epsilons, strict=True)],
        )
        growth = exactly(math.nan)
        if len(epsilons) > 1:
            growth = statistics.slope_interval(
                inverse, groups, bootstrap_generator(rows, "C4-accuracy growth"), confidence=confidence
            )
        if not growth.low > 0.0:
            too_small = "the tuned constants are, for error / epsilon does not grow as epsilon falls"
    return {
        "id": "C4-accuracy",
        "statement": "With K, M_mix = O(log 1/epsilon) and M_td = O(epsilon^-2), the error is below epsilon.",
        "source": "Theorem 4.3 (with tuned constants)",
        "quantity": "largest mean error / epsilon, of the epsilon that the start does not meet",
        "estimate": estimate,
        "expected": expected,
        "rival": stays(start, epsilons[worst], expected),
        "too_small": too_small,
        "how": f"worst of the accuracies, epsilon = {epsilons[worst]}; tuned constants, not the theorem's",
    }


def prescribed(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C4-prescribed in one game (docs/theory, section 12)."""
    epsilons, errors = replicate_groups(final_rows(rows), "epsilon", "error")
    start = start_of(rows)
    worst = worst_of(epsilons, errors, start)
    samples = final_rows(rows).groupby("epsilon")["samples"].first()
    costs = ", ".join(f"{samples[epsilon]:.3g} for {epsilon:g}" for epsilon in epsilons)
    shares = ", ".join(f"{group.mean() / epsilon:.3g}" for epsilon, group in zip(epsilons, errors, strict=True))
    trivial = ", ".join(f"{epsilon:g}" for epsilon in epsilons if epsilon >= start)
    return {
        "id": "C4-prescribed",
        "statement": "Run exactly as the theorem prescribes, centralized learning has an error of at most epsilon.",
        "source": "Theorem 4.3 (with the constants of Theorem 10.5 of docs/theory)",
        "quantity": "largest mean error / epsilon, of the epsilon that the start does not meet",
        "estimate": statistics.mean_interval(
            errors[worst] / epsilons[worst], bootstrap_generator(rows, "C4-prescribed"), confidence
        ),
        "expected": (0.0, 1.0 + tolerance),
        "rival": stays(start, epsilons[worst], (0.0, 1.0 + tolerance)),
        "how": f"{len(errors[0])} replicates, N = {rows['n_agents'].iloc[0]:.0e}; samples {costs}; mean error / "
        f"epsilon {shares}; the start is {start:.3g} away"
        f"{f', so that nothing need be learned for epsilon = {trivial}' if trivial else ''}",
    }


def conservative(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C4-conservative in one game (docs/theory, section 12)."""
    final = final_rows(rows)
    tuned, theorem = (final[final["schedule"] == kind] for kind in ("tuned", "theorem"))
    targets, errors = replicate_groups(tuned, "epsilon", "error")
    costs = [float(tuned[tuned["epsilon"] == target]["samples"].iloc[0]) for target in targets]
    accuracies, reached = replicate_groups(theorem, "epsilon", "error")
    epsilon, achieved = accuracies[0], float(reached[0].mean())
    prescribed = float(theorem[theorem["epsilon"] == epsilon]["samples"].iloc[0])

    def factor(groups: Any, error: float = epsilon) -> float:
        """Return the theorem's samples over those of the line through the tuned runs, samples against error."""
        line = np.polyfit(np.log([np.mean(group) for group in groups]), np.log(costs), 1)
        return prescribed / float(np.exp(np.polyval(line, math.log(error))))

    estimate = statistics.bootstrap(errors, factor, bootstrap_generator(rows, "C4-conservative"), confidence=confidence)
    expected = (1.0 - tolerance, math.inf)
    small = Rival("1, or at most 2", (1.0,), ((-math.inf, 2.0),))
    # the standard error of a factor is proportional to the factor
    of_one = Estimate(1.0, estimate.low / estimate.value, estimate.high / estimate.value)
    return {
        "id": "C4-conservative",
        "statement": "The theorem's constants ask for more samples than are needed.",
        "source": "the constants of Theorem 10.5 of docs/theory (the price of a proof)",
        "quantity": "samples that the theorem prescribes / samples at which the tuned rule has the mean error epsilon",
        "estimate": estimate,
        "expected": expected,
        "rival": replace(small, power=power(of_one, expected, small, tolerance=tolerance, confidence=confidence)),
        "how": f"epsilon = {epsilon:g}, {prescribed:.3g} samples; the tuned rule's samples on the line through "
        f"{len(targets)} accuracies; for the error that the prescribed runs had, {achieved:.3g}, the factor is "
        f"{factor(errors, achieved):.3g}",
    }
