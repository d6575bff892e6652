"""What is judged on what one agent among N gains by deviating: from tables to verdicts (docs/theory, section 12)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from pma_replication import statistics
from pma_replication.judging import Claim, Rival, exactly, few_agents, settled

#: The slope of the Nash gap is taken over the upper end of the populations: the last two decades.
GAP_DECADES = 100.0


def gaps_of(rows: pd.DataFrame, variant: str) -> tuple[list[float], list[float]]:
    """Return the upper end of the populations, and the exact Nash gap in one variant at each."""
    shown = rows[(rows["variant"] == variant) & (rows["n_agents"] * GAP_DECADES >= rows["n_agents"].max())]
    return list(shown["n_agents"].astype(float)), list(shown["gap"])


def gap_slope(
    rows: pd.DataFrame, variant: str, expected: tuple[float, float], *, tolerance: float
) -> tuple[float, str, str]:
    """Return the slope of the exact Nash gap in one variant against N, the range, and why it is not judged."""
    populations, gaps = gaps_of(rows, variant)
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


def gap_bound(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C7 in one game (docs/theory, section 12)."""
    expected = (-math.inf, -0.5 + tolerance)
    slopes = {
        variant: gap_slope(rows, variant, expected, tolerance=tolerance) for variant in ("regularized", "indifferent")
    }
    each = ", ".join(f"{variant} {slope:.4f}" for variant, (slope, *_) in slopes.items())
    return {
        "id": "C7",
        "statement": "The mean field equilibrium is an O(1/sqrt(N))-Nash equilibrium of the N-agent game.",
        "source": "the approximate Nash property",
        "quantity": "larger slope of log(gain of a deviator who sees all counts) against log N, of two games",
        "estimate": exactly(float(np.max([slope for slope, *_ in slopes.values()]))),
        "expected": expected,
        "rival": Rival("-0.25", (-0.25,)),
        "too_small": next((why for *_, why in slopes.values() if why), ""),
        "how": f"exact, no sampling; {slopes['regularized'][1]}; slopes: {each}",
    }


def gap_order(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C7-order in one game (docs/theory, section 12)."""
    expected = (-1.0 - tolerance, -1.0 + tolerance)
    slope, span, too_small = gap_slope(rows, "regularized", expected, tolerance=tolerance)
    return {
        "id": "C7-order",
        "statement": "With a regularizer even a deviator who sees all counts gains O(1/N) only: the bound is loose.",
        "source": "the approximate Nash property",
        "rival": Rival("-0.5 or -2", (-0.5, -2.0)),
        "quantity": "slope of log gain against log N",
        "estimate": exactly(slope),
        "expected": expected,
        "too_small": too_small,
        "how": f"exact, no sampling; {span}",
    }


def gap_tight(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C7-tight in one game (docs/theory, section 12)."""
    expected = (-0.5 - tolerance, -0.5 + tolerance)
    slope, span, too_small = gap_slope(rows, "indifferent", expected, tolerance=tolerance)
    return {
        "id": "C7-tight",
        "statement": "Without a regularizer, where all actions are equally good, the gain is of order 1/sqrt(N), for a "
        "deviator who sees all counts.",
        "source": "the approximate Nash property (tight for deviators who see the counts)",
        "rival": Rival("-1 or -2", (-1.0, -2.0)),
        "quantity": "slope of log gain against log N",
        "estimate": exactly(slope),
        "expected": expected,
        "too_small": too_small,
        "how": f"exact, no sampling; the regularizer paid out as a reward, linearized at the equilibrium; {span}",
    }


def gap_constant(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C7-constant in one game (docs/theory, section 12)."""
    largest = rows[(rows["n_agents"] == rows["n_agents"].max()) & rows["predicted"].notna()]
    errors = (largest["gap"] / largest["predicted"] - 1.0).abs()
    too_small = ""
    if len(errors):
        variant = largest.loc[errors.idxmax(), "variant"]
        known = rows[(rows["variant"] == variant) & rows["predicted"].notna()].sort_values("n_agents")
        too_small = few_agents(list(known["n_agents"]), list(known["gap"] / known["predicted"]), tolerance)
    return {
        "id": "C7-constant",
        "statement": "The gain of a deviator has the constant of its Gaussian limit.",
        "source": "the approximate Nash property, with its constant",
        "rival": Rival("0.1", (0.1,)),
        "quantity": "largest relative error of the prediction, with and without a regularizer",
        "estimate": exactly(float(errors.max()) if len(errors) else math.nan),
        "expected": (0.0, tolerance),
        "too_small": too_small,
        "how": f"exact at N = {rows['n_agents'].max()}; no free parameter",
    }
