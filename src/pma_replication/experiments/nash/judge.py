"""Verdicts: what one agent among N gains by deviating. From tables to verdicts (docs/theory, section 12)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import pandas as pd

from pma_replication import statistics
from pma_replication.judging import (
    Claim,
    Rival,
    bootstrap_generator,
    exactly,
    few_agents,
    replicate_groups,
    settled,
)

#: Factor between the largest N and the smallest one over which the slope of the Nash gap is taken, two decades.
GAP_DECADES = 100.0

#: Ratio of two gains below which the first counts as smaller by an order of magnitude.
CLOSER = 0.1

#: The game without a regularizer, in words.
INDIFFERENT = "the regularizer paid out as a reward, linearized at the equilibrium"


def gaps_of(rows: pd.DataFrame, variant: str, sees: str) -> tuple[list[float], list[float]]:
    """Return the upper end of the populations, and the exact gain in one variant and class of deviators at each."""
    of_class = rows[(rows["variant"] == variant) & (rows["sees"] == sees)]
    shown = of_class[of_class["n_agents"] * GAP_DECADES >= rows["n_agents"].max()]
    return list(shown["n_agents"].astype(float)), list(shown["gap"])


def order_of(rows: pd.DataFrame, variant: str, sees: str) -> float:
    """Return the order that theory predicts of a class of deviators: the gain falls as N to minus it."""
    return float(rows[(rows["variant"] == variant) & (rows["sees"] == sees)]["order"].iloc[0])


def gap_slope(
    rows: pd.DataFrame, variant: str, sees: str, *, expected: tuple[float, float], tolerance: float
) -> tuple[float, str, str]:
    """Return the slope of an exact gain against N, the range, and why it is not judged."""
    populations, gaps = gaps_of(rows, variant, sees)
    if len(populations) < 3:
        return math.nan, "fewer than three N", ""
    slope = statistics.log_log_slope(populations, gaps)
    # the next term is smaller by the size of the fluctuations, 1 / sqrt(N), or by more
    too_small = settled(
        rows,
        "C7",
        exactly(slope),
        expected=expected,
        tolerance=tolerance,
        order=-0.5,
        corrected=lambda _, f: exactly(f(populations, gaps)),
    )
    return slope, f"{len(populations)} N from {populations[0]:g} to {populations[-1]:g}", too_small


def of_slope(
    rows: pd.DataFrame,
    variant: str,
    sees: str,
    *,
    expected: tuple[float, float],
    rivals: Sequence[float],
    tolerance: float,
) -> Claim:
    """Return what all records on a slope of the gain have in common."""
    slope, span, too_small = gap_slope(rows, variant, sees, expected=expected, tolerance=tolerance)
    return {
        "rival": Rival(" or ".join(f"{rival:g}" for rival in rivals), tuple(rivals)),
        "quantity": "slope of log gain against log N",
        "estimate": exactly(slope),
        "expected": expected,
        "too_small": too_small,
        "how": f"exact, no sampling; {span}",
    }


def near(slope: float, tolerance: float) -> tuple[float, float]:
    """Return the range of slopes that count as equal to this one."""
    return slope - tolerance, slope + tolerance


def gap_bound(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C7 in one game (docs/theory, section 12)."""
    expected = (-math.inf, -0.5 + tolerance)
    return {
        "id": "C7",
        "statement": "The mean field equilibrium is an O(1/sqrt(N))-Nash equilibrium of the N-agent game.",
        "source": "the approximate Nash property, for deviators who see their own state, with the regularizer",
        **of_slope(rows, "regularized", "state", expected=expected, rivals=(-0.25,), tolerance=tolerance),
    }


def gap_state(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C7-state in one game (docs/theory, section 12)."""
    order = order_of(rows, "regularized", "state")
    rivals, kinks = ((-0.5, -1.0), "no kink") if order == 2.0 else ((-0.5, -2.0), "a kink")
    found = of_slope(rows, "regularized", "state", expected=near(-order, tolerance), rivals=rivals, tolerance=tolerance)
    return {
        "id": "C7-state",
        "statement": "The gain of a deviator who sees its own state is of order 1/N^2 in a smooth game, and of order "
        "1/N where rewards have a kink at the equilibrium.",
        "source": "the approximate Nash property (loose with a regularizer)",
        **found,
        "how": f"{found['how']}; {kinks} at the equilibrium",
    }


def gap_order(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C7-order in one game (docs/theory, section 12)."""
    return {
        "id": "C7-order",
        "statement": "With a regularizer even a deviator who sees all counts gains O(1/N) only: the bound is loose.",
        "source": "the approximate Nash property",
        **of_slope(
            rows, "regularized", "counts", expected=near(-1.0, tolerance), rivals=(-0.5, -2.0), tolerance=tolerance
        ),
    }


def gap_tight(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C7-tight in one game (docs/theory, section 12)."""
    found = of_slope(
        rows, "indifferent", "counts", expected=near(-0.5, tolerance), rivals=(-1.0, -2.0), tolerance=tolerance
    )
    return {
        "id": "C7-tight",
        "statement": "Without a regularizer, where all actions are equally good, the gain is of order 1/sqrt(N), for a "
        "deviator who sees all counts.",
        "source": "the approximate Nash property (tight for deviators who see the counts)",
        **found,
        "how": f"{found['how']}; {INDIFFERENT}",
    }


def gap_state_free(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C7-state-free in one game (docs/theory, section 12)."""
    order = order_of(rows, "indifferent", "state")
    found = of_slope(
        rows, "indifferent", "state", expected=near(-order, tolerance), rivals=(order - 1.5,), tolerance=tolerance
    )
    return {
        "id": "C7-state-free",
        "statement": "Without a regularizer, where all actions are equally good, a deviator who sees its own state "
        "gains of order 1/N in a smooth game, and of order 1/sqrt(N) where rewards have a kink at the equilibrium.",
        "source": "the approximate Nash property (tight at a kink)",
        **found,
        "how": f"{found['how']}; {INDIFFERENT}",
    }


def gap_constant(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C7-constant in one game (docs/theory, section 12)."""
    largest = rows[(rows["n_agents"] == rows["n_agents"].max()) & rows["predicted"].notna()]
    errors = (largest["gap"] / largest["predicted"] - 1.0).abs()
    too_small = ""
    if len(errors):
        variant, sees = largest.loc[errors.idxmax(), ["variant", "sees"]]
        of_class = rows[(rows["variant"] == variant) & (rows["sees"] == sees)]
        known = of_class[of_class["predicted"].notna()].sort_values("n_agents")
        too_small = few_agents(list(known["n_agents"]), list(known["gap"] / known["predicted"]), tolerance)
    return {
        "id": "C7-constant",
        "statement": "The gain of a deviator has the constant of its Gaussian limit.",
        "source": "the approximate Nash property, with its constant",
        "rival": Rival("0.1", (0.1,)),
        "quantity": "largest relative error of the prediction, over deviators, with and without a regularizer",
        "estimate": exactly(float(errors.max()) if len(errors) else math.nan),
        "expected": (0.0, tolerance),
        "too_small": too_small,
        "how": f"exact at N = {rows['n_agents'].max()}; no free parameter",
    }


def learned_slope(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C7-learned in one game (docs/theory, section 12)."""
    updates, groups = replicate_groups(rows, "n_updates", "gap")
    expected = near(-1.0, tolerance)
    interval = partial(statistics.slope_interval, updates, groups, confidence=confidence)
    estimate = interval(bootstrap_generator(rows, "C7-learned"))
    return {
        "id": "C7-learned",
        "statement": "The gain of a deviator who sees its own state, at a policy learned from N agents, falls as one "
        "over the updates of an epoch: as the square of what noise leaves of the distance.",
        "source": "the approximate Nash property, of what is learned",
        "rival": Rival("-0.5", (-0.5,)),
        "quantity": "slope of log mean gain against log M_td",
        "estimate": estimate,
        "expected": expected,
        "too_small": settled(
            rows,
            "C7-learned",
            estimate,
            expected=expected,
            tolerance=tolerance,
            order=-0.5,  # the third order of the gain in the distance; what is left of the start falls faster
            corrected=lambda rng, f: interval(rng, slope=f),
        ),
        "how": f"{len(groups[0])} runs at each of {len(updates)} M_td from {updates[0]:g} to {updates[-1]:g}; the gain "
        f"of each exact, with N = {rows['n_agents'].iloc[0]}",
    }


def learned_ratio(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C7-learned-closer in one game (docs/theory, section 12)."""
    longest = rows[rows["n_updates"] == rows["n_updates"].max()]
    ratios = (longest["gap"] / longest["equilibrium_gap"]).to_numpy()
    return {
        "id": "C7-learned-closer",
        "statement": "A policy learned from N agents is nearer to an equilibrium of N agents than the mean field's is.",
        "source": "the approximate Nash property, of what is learned",
        "rival": Rival("1", (1.0,)),
        "quantity": "gain at the learned policy over that at the mean field's equilibrium, mean over runs",
        "estimate": statistics.mean_interval(ratios, bootstrap_generator(rows, "C7-learned-closer"), confidence),
        "expected": (0.0, CLOSER),
        "how": f"{len(ratios)} runs with M_td = {rows['n_updates'].max()} and N = {rows['n_agents'].iloc[0]}; mean "
        f"distance of the learned policy to the mean field's equilibrium {longest['error'].mean():.2g}; both gains "
        "exact, of a deviator who sees its own state",
    }
