"""Verdicts: learners that share nothing. From tables to verdicts (docs/theory, section 12)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from pma_replication import statistics
from pma_replication.experiments.samples.judge import final_rows
from pma_replication.judging import (
    Claim,
    Range,
    Rival,
    bootstrap_generator,
    compare,
    exactly,
    replicate_groups,
    settled,
)
from pma_replication.statistics import Estimate


def judged_at(rows: pd.DataFrame, sweep: str) -> pd.DataFrame:
    """Return the rows of one sweep after the last epoch, with the most agents of those that were run."""
    final = final_of(rows, sweep)
    largest: pd.DataFrame = final[final["n_agents"] == final["n_agents"].max()]
    return largest


def exponent(rows: pd.DataFrame, sweep: str, claim: str, *, less: float, expected: Range, **of: float) -> Claim:
    """Return what C5, C5-starts and C5-excess share: the exponent of M_td in 1 / error, less a number, and its fit.

    Parameters
    ----------
    rows : DataFrame
        Of one game.
    sweep : str
        The starts, "equal" or "unequal".
    claim : str
        For the bootstrap's generator.
    less : float
    expected : (low, high)
        Of the exponent less that number.
    **of : float
        tolerance and confidence.
    """
    final = judged_at(rows, sweep)
    updates, errors = replicate_groups(final, "n_updates", "error")
    estimate, too_small = exactly(math.nan), ""

    def slope(
        groups: Sequence[np.ndarray], by: Callable[[Sequence[float], Sequence[float]], float] = statistics.log_log_slope
    ) -> float:
        return by([1.0 / float(group.mean()) for group in groups], updates)

    if len(errors) > 1:
        confidence = of["confidence"]
        found = statistics.bootstrap(errors, slope, bootstrap_generator(rows, claim), confidence=confidence)
        too_small = settled(
            rows,
            claim,
            found,
            expected=(expected[0] + less, expected[1] + less),
            tolerance=of["tolerance"],
            order=-1.0,
            corrected=lambda rng, f: statistics.bootstrap(errors, partial(slope, by=f), rng, confidence=confidence),
        )
        estimate = found.shifted(-less)
    first, means = rows.iloc[0], ", ".join(f"{group.mean():.3g}" for group in errors)
    bound = "no bound on a" if math.isinf(first["excess_bound"]) else f"a of at most {first['excess_bound']:.2g}"
    return {
        "id": claim,
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"A L_q,pi = {first['agent_constant']:.3g} rho, which allows {bound}; {len(errors[0])} replicates of "
        f"{final['n_agents'].iloc[0]:.0f} agents, K = {final['n_epochs'].iloc[0]} epochs of M_td = "
        f"{', '.join(f'{n:.0f}' for n in updates)} end at a mean distance of {means}; the start is "
        f"{rows[(rows['sweep'] == sweep) & (rows['epoch'] == 0)]['error'].mean():.3g} away",
    }


def independent_samples(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C5 in one game (docs/theory, section 12)."""
    expected = (0.0, 2.0 + tolerance)
    return exponent(rows, "equal", "C5", less=0.0, expected=expected, tolerance=tolerance, confidence=confidence) | {
        "statement": "Half the error costs independent learners at most four times the samples of one trajectory.",
        "source": "a question about Algorithm 3, of which the paper promises a finite number of samples only",
        "rival": Rival("4", (4.0,)),
        "quantity": "slope of log M_td against log(1 / mean error of the agents)",
    }


def unequal_starts(rows: pd.DataFrame, tolerance: float, confidence: float) -> list[Claim]:
    """Judge C5-starts in one game, if it was run there (docs/theory, section 12)."""
    if not (rows["sweep"] == "unequal").any():
        return []
    expected, of = (0.0, 2.0 + tolerance), {"tolerance": tolerance, "confidence": confidence}
    found = exponent(rows, "unequal", "C5-starts", less=0.0, expected=expected, **of)
    return [
        found
        | {
            "statement": "Half the error costs at most four times the samples, too, if every agent starts with a "
            "policy of its own.",
            "source": "a question about Algorithm 3, whose agents need not start alike",
            "rival": Rival("4", (4.0,)),
            "quantity": "slope of log M_td against log(1 / mean error of the agents)",
        }
    ]


def independent_excess(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C5-excess in one game (docs/theory, section 12)."""
    expected, of = (-2.0, tolerance), {"tolerance": tolerance, "confidence": confidence}
    return exponent(rows, "equal", "C5-excess", less=2.0, expected=expected, **of) | {
        "statement": "Independent learners need O(epsilon^-2) samples, not O(epsilon^(-2-a)) with a > 0.",
        "source": "the question whether a in the form O(epsilon^(-2-a)) of a guarantee for Algorithm 3 is ever real",
        "rival": Rival("a of 0.25 or more", (0.25,)),
        "quantity": "a, the slope of log M_td against log(1 / mean error of the agents) less 2",
    }


def noise_of_few(rows: pd.DataFrame) -> float:
    """Return b, where the square of the spread of N agents is A (1 - 1/N) (1 + b/N), fitted to runs that differ in N.

    The fluctuations of the mean field add a variance of order 1/N to that of every agent's estimate, and the agents'
    own mean takes 1/N of it away. Infinite where this says nothing, nan with one N.

    Parameters
    ----------
    rows : DataFrame
        After the last epoch.
    """
    squares = rows.groupby("n_agents")["spread"].mean() ** 2
    squares /= 1.0 - 1.0 / squares.index.to_numpy(float)
    if len(squares) < 2:
        return math.nan
    slope, limit = np.polyfit(1.0 / squares.index.to_numpy(float), squares.to_numpy(), 1)
    return float(slope / limit) if limit > 0.0 else math.inf


def excess_of_few(rows: pd.DataFrame, n_agents: float) -> float:
    """Return by which share the spread of so many agents exceeds that of many, by `noise_of_few`."""
    noise = noise_of_few(rows)
    return math.sqrt(max(1.0 + noise / n_agents, 0.0)) - 1.0 if not math.isnan(noise) else noise


def ratio_of_many(rows: pd.DataFrame, rng: np.random.Generator, confidence: float) -> Estimate:
    """Return the spread over the predicted one for infinitely many agents: sqrt(A) of `noise_of_few`.

    Where transitions are free of the mean field and rewards affine in it, what the square leaves out is of order
    b / N^2 relative to A (docs/theory, section 10.10). The ends are moved outwards by half of what b / N^2 adds to the
    fit's limit: b / (N_1 N_2) with two N, and more with several.
    """
    numbers, groups = replicate_groups(rows, "n_agents", "spread")
    shares = 1.0 / np.array(numbers)
    fit: np.ndarray = np.linalg.pinv(np.stack([np.ones(len(numbers)), shares], axis=1))[0]
    weights = fit / (1.0 - shares)
    predicted = float(rows["predicted_spread"].mean())

    def ratio(groups: Sequence[np.ndarray]) -> float:
        squares = np.array([group.mean() ** 2 for group in groups])
        return math.sqrt(max(float(weights @ squares), 0.0)) / predicted

    found = statistics.bootstrap(groups, ratio, rng, confidence=confidence, kind="smooth")
    left_out = 0.5 * found.value * abs(noise_of_few(rows) * float(fit @ shares**2))
    return replace(found, low=found.low - left_out, high=found.high + left_out)


def final_of(rows: pd.DataFrame, sweep: str) -> pd.DataFrame:
    """Return the rows of one sweep after the last epoch."""
    return final_rows(rows[rows["sweep"] == sweep])


def independent_updates(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C5-updates in one game (docs/theory, section 12)."""
    updates, groups = replicate_groups(judged_at(rows, "equal"), "n_updates", "error")
    updates, groups = updates[-3:], groups[-3:]  # beyond the start-up of TD learning
    estimate, too_small = exactly(math.nan), ""
    expected = (-0.5 - tolerance, -0.5 + tolerance)
    if len(groups) > 2:
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
    told = f"with {n_agents:g} agents the mean field's own noise adds {excess:.0%} to the spread"
    if math.isinf(excess):
        return told
    enough = float(f"{noise_of_few(rows) / ((1.0 + tolerance) ** 2 - 1.0):.2g}")
    return f"{told}; with {enough:,.0f}, and {enough / n_agents:.2g} times the work, it would be {tolerance:.0%}"


def independent_spread(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C5-spread in one game (docs/theory, section 12)."""
    final = final_of(rows, "equal")
    longest = final[final["n_updates"] == final["n_updates"].max()]
    largest = longest[longest["n_agents"] == longest["n_agents"].max()]
    n_agents = float(largest["n_agents"].max())
    estimate, too_small, told = exactly(math.nan), "", ""
    expected = (1.0 - tolerance, 1.0 + tolerance)
    ratios = (largest["spread"] / largest["predicted_spread"]).to_numpy() / math.sqrt(1.0 - 1.0 / n_agents)
    if len(ratios):
        estimate = statistics.mean_interval(ratios, bootstrap_generator(rows, "C5-spread"), confidence)
        if compare((estimate.low, estimate.high), expected) == "not confirmed":
            too_small = too_few(longest, n_agents, tolerance)
        if too_small and longest["n_agents"].nunique() > 1:
            many = ratio_of_many(longest, bootstrap_generator(rows, "C5-spread limit"), confidence)
            limit = f"{many.value:.3g} [{many.low:.3g}, {many.high:.3g}]"
            told = f"; fitted to all N, the ratio for N to infinity is {limit}"
            if not longest["depends_on_population"].any() and math.isfinite(noise_of_few(longest)):
                estimate = many
                told = f"; {too_small}, so that the ratio is that for N to infinity, fitted to all N"
                too_small = ""
    return {
        "id": "C5-spread",
        "statement": "Independent learners disagree by what the noise of their estimates predicts, and no more.",
        "source": "exact moments of TD learning",
        "rival": Rival("at most 0.75, or 1.25 and more", (0.75, 1.25)),
        "quantity": "measured / predicted mean distance to the mean policy",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"{len(largest)} runs of {n_agents:.0f} agents at M_td = {longest['n_updates'].max():.0f}, where the "
        f"prediction is {largest['predicted_spread'].mean():.3g}; no free parameter, and no Jacobian{told}",
    }


def independent_step(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C5-eta in one game (docs/theory, section 12)."""
    sizes, groups = replicate_groups(final_of(rows, "step_sizes"), "step_size", "spread")
    sizes, groups = sizes[:3], groups[:3]
    estimate, too_small = exactly(math.nan), ""
    expected = (0.5 - tolerance, 0.5 + tolerance)
    if len(groups) > 2:
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
    # the prediction is one of many agents: at those N of which it holds, or at all if that is not known of any
    many = [i for i, n in enumerate(populations) if excess_of_few(final, n) <= tolerance] or range(len(populations))
    chebyshev = math.sqrt(populations[-1] / (2.0 * math.log(populations[-1]))) if populations else math.nan
    estimate, too_small = exactly(math.nan), ""
    expected = (0.0, 1.0 + tolerance)
    if groups:
        worst = max(many, key=lambda i: float(groups[i].mean()))
        estimate = statistics.mean_interval(groups[worst], bootstrap_generator(rows, "C5-worst"), confidence)
        if compare((estimate.low, estimate.high), expected) == "not confirmed":
            too_small = too_few(final, populations[worst], tolerance)
    shares = ", ".join(f"{n:.0f} ({group.mean():.2f})" for n, group in zip(populations, groups, strict=True)) or "none"
    return {
        "id": "C5-worst",
        "statement": "The worst of N independent learners exceeds the typical one by O(sqrt(log N)) only.",
        "source": "a rate for Algorithm 3",
        "rival": Rival(f"{chebyshev:.3g}, sqrt(N / (2 log N)) at the largest N", (chebyshev,)),
        "quantity": "largest (worst - mean error) / (sigma sqrt(2 log N)), sigma predicted",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"N (and the share there) = {shares}; the value at the worst N of "
        f"{', '.join(f'{populations[i]:.0f}' for i in many)}, where the mean field is that of many",
    }
