"""What is judged on learners that share nothing: from tables to verdicts (docs/theory, section 12)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from pma_replication import statistics
from pma_replication.experiments.samples.judge import final_rows, samples_slope
from pma_replication.judging import Claim, Rival, bootstrap_generator, compare, exactly, replicate_groups, settled


def independent_samples(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C5 in one game (docs/theory, section 12)."""
    claim = samples_slope(rows, tolerance, confidence)
    return claim | {
        "id": "C5",
        "statement": "Independent learners need at most O~(epsilon^-2) samples of their one trajectory.",
        "source": "a question about Algorithm 3, of which the paper promises a finite number of samples only",
        "rival": Rival("2.25 or more", (2.25,)),
        "quantity": "slope of log(samples / (K (M_mix + 1))) against log(1 / mean error of the agents)",
    }


def excess_of_few(rows: pd.DataFrame, n_agents: float) -> float:
    """Return by which share the spread of so many agents exceeds that of many, for the noise of a finite population.

    The fluctuations of the mean field add a variance of order 1/N to that of every agent's estimate: the square of the
    spread is A (1 + b/N), fitted to the sweep over populations. Infinite where this says nothing, nan without a sweep.
    """
    final = final_of(rows, "populations")
    squares = final.groupby("n_agents")["spread"].mean() ** 2
    if len(squares) < 2:
        return math.nan
    slope, limit = np.polyfit(1.0 / squares.index.to_numpy(float), squares.to_numpy(), 1)
    return math.sqrt(max(1.0 + slope / (limit * n_agents), 0.0)) - 1.0 if limit > 0.0 else math.inf


def final_of(rows: pd.DataFrame, sweep: str) -> pd.DataFrame:
    """Return the rows of one sweep after the last epoch."""
    return final_rows(rows[rows["sweep"] == sweep])


def independent_updates(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C5-updates in one game (docs/theory, section 12)."""
    updates, groups = replicate_groups(final_of(rows, "updates"), "n_updates", "error")
    updates, groups = updates[-3:], groups[-3:]  # beyond the start-up of TD learning
    estimate, too_small = exactly(math.nan), ""
    expected = (-0.5 - tolerance, -0.5 + tolerance)
    if len(updates) == 3:
        estimate = statistics.slope_interval(
            updates, groups, bootstrap_generator(rows, "C5-updates"), confidence=confidence
        )
        too_small = settled(
            rows,
            "C5-updates",
            estimate,
            expected=expected,
            tolerance=tolerance,
            order=-0.5,
            corrected=lambda rng, f: statistics.slope_interval(updates, groups, rng, confidence=confidence, slope=f),
        )
    return {
        "id": "C5-updates",
        "statement": "The error of a typical independent learner is O(M_td^-1/2).",
        "source": "a rate for Algorithm 3",
        "quantity": "slope of log(mean error of the agents) against log M_td",
        "rival": Rival("-0.25 or -1", (-0.25, -1.0)),
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"the three largest M_td, {', '.join(f'{m:.0f}' for m in updates)}; bootstrap over runs",
    }


def too_few(rows: pd.DataFrame, n_agents: float, tolerance: float) -> str:
    """Return why the spread of so many agents is not compared with its limit for many, in words, or nothing."""
    excess = excess_of_few(rows, n_agents)
    if excess <= tolerance:
        return ""
    if math.isnan(excess):
        return "there is no other N to see whether so many agents are enough"
    return f"with {n_agents:g} agents the mean field's own noise adds {excess:.0%} to the spread"


def independent_spread(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C5-spread in one game (docs/theory, section 12)."""
    final = final_of(rows, "updates")
    largest = final[final["n_updates"] == final["n_updates"].max()]
    estimate, too_small = exactly(math.nan), ""
    expected = (1.0 - tolerance, 1.0 + tolerance)
    if len(largest):
        ratios = (largest["spread"] / largest["predicted_spread"]).to_numpy()
        estimate = statistics.mean_interval(ratios, bootstrap_generator(rows, "C5-spread"), confidence)
        if compare((estimate.low, estimate.high), expected) == "not confirmed":
            too_small = too_few(rows, float(largest["n_agents"].iloc[0]), tolerance)
    return {
        "id": "C5-spread",
        "statement": "Independent learners disagree by what the noise of their estimates predicts, and no more.",
        "source": "exact moments of TD learning",
        "rival": Rival("at most 0.75, or 1.25 and more", (0.75, 1.25)),
        "quantity": "measured / predicted mean distance to the mean policy",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"{len(largest)} runs of {rows['n_agents'].median():.0f} agents at the largest M_td; no free parameter",
    }


def independent_step(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C5-eta in one game (docs/theory, section 12)."""
    sizes, groups = replicate_groups(final_of(rows, "step_sizes"), "step_size", "spread")
    sizes, groups = sizes[:3], groups[:3]
    estimate, too_small = exactly(math.nan), ""
    expected = (0.5 - tolerance, 0.5 + tolerance)
    if len(sizes) == 3:
        estimate = statistics.slope_interval(sizes, groups, bootstrap_generator(rows, "C5-eta"), confidence=confidence)
        predicted = final_of(rows, "step_sizes").groupby("step_size")["predicted_spread"].mean().loc[sizes]
        limit = statistics.log_log_slope(sizes, list(predicted))
        refuted = compare((estimate.low, estimate.high), expected) == "not confirmed"
        if refuted and not expected[0] <= limit <= expected[1]:
            too_small = f"at these step sizes and epochs the prediction itself has the slope {limit:.3g}"
    return {
        "id": "C5-eta",
        "statement": "Small steps damp disagreement: the spread falls like the square root of the step size.",
        "source": "a rate for Algorithm 3",
        "rival": Rival("0 or 1", (0.0, 1.0)),
        "quantity": "slope of log(spread) against log(eta)",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"the three smallest step sizes, {', '.join(f'{size:g}' for size in sizes)}, at equal samples",
    }


def independent_worst(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C5-worst in one game (docs/theory, section 12)."""
    final = final_of(rows, "populations")
    allowed = final["predicted_deviation"] * np.sqrt(2.0 * np.log(final["n_agents"]))
    final = final.assign(share=(final["worst"] - final["error"]) / allowed)
    populations, groups = replicate_groups(final, "n_agents", "share")
    chebyshev = math.sqrt(populations[-1] / (2.0 * math.log(populations[-1]))) if populations else math.nan
    estimate, too_small = exactly(math.nan), ""
    expected = (0.0, 1.0 + tolerance)
    if populations:
        worst = max(range(len(groups)), key=lambda i: float(groups[i].mean()))
        estimate = statistics.mean_interval(groups[worst], bootstrap_generator(rows, "C5-worst"), confidence)
        if compare((estimate.low, estimate.high), expected) == "not confirmed":
            too_small = too_few(rows, populations[worst], tolerance)
    return {
        "id": "C5-worst",
        "statement": "The worst of N independent learners exceeds the typical one by O(sqrt(log N)) only.",
        "source": "a rate for Algorithm 3",
        "rival": Rival(f"{chebyshev:.3g}, sqrt(N / (2 log N)) at the largest N", (chebyshev,)),
        "quantity": "largest (worst - mean error) / (sigma sqrt(2 log N)), sigma predicted",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"N = {', '.join(f'{n:.0f}' for n in populations)}; the value at the worst of them",
    }
