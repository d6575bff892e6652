"""Verdicts: the error of temporal-difference learning. From tables to verdicts (docs/theory, section 12)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from pma_replication import statistics
from pma_replication.judging import (
    FLOOR_STANDARD_ERRORS,
    Claim,
    Rival,
    bootstrap_generator,
    exactly,
    replicate_groups,
    settled,
    verdict,
)

#: The rate of the mixing bias is fitted from where its slowest mode has fallen to this share of its start; faster modes
#: have vanished by then (docs/theory, section 12.1).
LEFT_OF_MODE = 0.05

#: Mixing bias below which it is only a rounding error of Q.
ROUNDED_BIAS = 1e-11


def td_rate(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C3 in one game (docs/theory, section 12)."""
    largest = rows[rows["n_agents"] == rows["n_agents"].max()]
    waiting = largest["n_waiting"].iloc[0]  # the first M_mix of the settings
    fitted_from, measured_to = float(largest["settled"].iloc[0]), float(largest["n_updates"].max())
    largest = largest[(largest["n_waiting"] == waiting) & (largest["n_updates"] >= fitted_from)]
    updates, errors = replicate_groups(largest, "n_updates", "error")
    if len(updates) < 2:
        slope = exactly(math.nan)
    else:
        slope = statistics.slope_interval(
            updates, errors, bootstrap_generator(rows, "C3"), confidence=confidence, paired=True
        )
    expected = (-0.5 - tolerance, -0.5 + tolerance)
    told, too_small = f"fewer than two M_td from M_0 = {fitted_from:.0f} to {measured_to:.0f}", ""
    if len(updates) >= 2:
        told = (
            f"{len(errors[0])} runs, each measured at all M_td, N = {largest['n_agents'].iloc[0]:.0e}, M_mix = "
            f"{waiting}, M_td from {updates[0]:.0f} to {updates[-1]:.0f}, those from M_0 = {fitted_from:.0f} on; "
            "bootstrap over replicates"
        )
        too_small = settled(
            rows,
            "C3",
            slope,
            expected=expected,
            tolerance=tolerance,
            order=-0.5,
            corrected=lambda rng, f: statistics.slope_interval(
                updates, errors, rng, confidence=confidence, paired=True, slope=f
            ),
        )
    return {
        "id": "C3",
        "statement": "The error of conditional TD learning falls as M_td^(-1/2).",
        "source": "abstract of arXiv 2212.14449v1: O~(eps^-2) time steps, a bound; that as many are needed is ours",
        "quantity": "slope of log E||Q_M - Q||_inf against log M_td",
        "estimate": slope,
        "expected": expected,
        "rival": Rival("-0.25 or -1", (-0.25, -1.0)),
        "how": told,
        "too_small": too_small,
    }


def mixing(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C3-mixing in one game (docs/theory, section 12)."""
    last = rows[(rows["n_updates"] == rows["n_updates"].max()) & np.isfinite(rows["n_waiting"])]
    rate, bound = float(rows["forgetting_rate"].iloc[0]), float(rows["L_pop"].iloc[0])
    gone = (last["n_waiting"] >= 1) & (rate ** last["n_waiting"] <= LEFT_OF_MODE)
    fitted = last[gone & (last["mixing_bias"] >= ROUNDED_BIAS)]
    measured, late = math.nan, math.nan
    if len(fitted) >= 3 and 0.0 < rate < 1.0:
        fitted = fitted.sort_values("n_waiting")
        measured = float(np.polyfit(fitted["n_waiting"], np.log(fitted["mixing_bias"]), 1)[0])
        late = float(np.polyfit(fitted["n_waiting"].iloc[-2:], np.log(fitted["mixing_bias"].iloc[-2:]), 1)[0])
    other = math.log(bound) / math.log(rate) if 0.0 < rate < 1.0 and bound > 0.0 else math.nan
    bent = abs(late - measured) > tolerance * abs(math.log(rate)) if 0.0 < rate < 1.0 else False
    values = last.set_index("n_waiting")["mixing_bias"]
    return {
        "id": "C3-mixing",
        "statement": "The bias from waiting M_mix steps only falls geometrically, at the rate of the learner's chain.",
        "source": "Theorem 4.2 (its term in M_mix, with the exact rate)",
        "quantity": "slope of log ||E Q_M - E Q_M of independent samples||_inf against M_mix / log |lambda_2|",
        "estimate": exactly(measured / math.log(rate) if math.isfinite(measured) else math.nan),
        "expected": (1.0 - tolerance, 1.0 + tolerance),
        "rival": Rival(f"{other:.3g}, log L_pop / log |lambda_2|", (other,)),
        "how": f"exact moments at M_td = {int(last['n_updates'].iloc[0])}, infinitely many agents, {len(fitted)} "
        f"M_mix from {fitted['n_waiting'].min():.0f} to {fitted['n_waiting'].max():.0f}; fitted rate "
        f"{math.exp(measured):.4g}, |lambda_2| = {rate:.4g}, the theory's L_pop = {bound:.4g}; without waiting the "
        f"bias is {values.iloc[0]:.3g}, and the root mean square error {math.sqrt(last['mean_square'].iloc[0]):.3g}",
        "too_small": f"between the last two M_mix the rate is {math.exp(late):.3g}, the slope not yet constant"
        if bent and abs(measured / math.log(rate) - 1.0) > tolerance
        else "",
    }


def floor_shares(rows: pd.DataFrame) -> tuple[list[int], list[np.ndarray], list[float]]:
    """Return N, each replicate's error along the predicted one in units of it, and the predicted one's l2 norm."""
    populations, shares, norms = [], [], []
    for n_agents in sorted(set(rows["n_agents"])):
        group = rows[rows["n_agents"] == n_agents]
        squares = float((group[group["replicate"] == group["replicate"].iloc[0]]["predicted_q_error"] ** 2).sum())
        products = (group["q_error"] * group["predicted_q_error"]).groupby(group["replicate"]).sum()
        populations.append(int(n_agents))
        shares.append(products.to_numpy() / squares)
        norms.append(math.sqrt(squares))
    return populations, shares, norms


def left_of_start(rows: pd.DataFrame, moments: pd.DataFrame) -> float:
    """Return what the start of learning leaves in the mean error after the last update; 0 where moments are not known.

    Without noise and fluctuations the error is what is left of the start, and falls as 1 / M_td at least.
    """
    exact = moments[moments["n_waiting"] == rows["n_waiting"].iloc[0]].sort_values("n_updates").tail(1)
    return float((exact["mean_error"] * exact["n_updates"]).sum()) / int(rows["n_updates"].max())


def floor_reached(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C3-floor in one game (docs/theory, section 12)."""
    rows, moments = rows[rows["replicate"].notna()], rows[rows["replicate"].isna()]
    populations, shares, _ = floor_shares(rows)
    estimate = statistics.mean_interval(shares[0], bootstrap_generator(rows, "C3-floor"), confidence)
    expected = (1.0 - tolerance, 1.0 + tolerance)
    left = left_of_start(rows, moments)
    largest = float(rows[rows["n_agents"] == populations[0]]["predicted_q_error"].abs().max())
    refuted = verdict((estimate.low, estimate.high), expected) == "not confirmed"
    return {
        "id": "C3-floor",
        "statement": "With many updates the error of TD learning in a small population tends to its predicted limit.",
        "source": "Theorem 4.2 (its term in N, with the limit itself)",
        "quantity": "mean error of Q along the predicted one / predicted",
        "estimate": estimate,
        "expected": expected,
        "rival": Rival("0, at most 0.9, or 1.1 and more", (0.0, 0.9, 1.1), ((-math.inf, 0.9), (1.1, math.inf))),
        "how": f"N = {populations[0]}, M_td = {int(rows['n_updates'].max())}, {len(shares[0])} runs; largest predicted "
        f"error of an entry {largest:.3g}; no free parameter",
        "too_small": f"of the start of learning up to {left:.2g} is left after so many updates"
        if refuted and left > tolerance * largest
        else "",
    }


def other_order(predicted: float) -> Rival:
    """Return the rival of a floor's slope in N: of the orders 1/N and 1/sqrt(N) the one that is not predicted."""
    if math.isnan(predicted):
        return Rival("the other order: nothing is known of it here")
    other = -1.0 if predicted > -0.75 else -0.5
    return Rival(f"{other - predicted:.3g}, the slope {other:g} minus the predicted one", (other - predicted,))


def floor_rate(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C3-floor-rate in one game (docs/theory, section 12)."""
    rows, moments = rows[rows["replicate"].notna()], rows[rows["replicate"].isna()]
    points = [
        point
        for point in zip(*floor_shares(rows), strict=True)
        if point[1].mean() > FLOOR_STANDARD_ERRORS * point[1].std(ddof=1) / math.sqrt(len(point[1]))
    ]
    estimate, predicted, populations = exactly(math.nan), math.nan, [float(point[0]) for point in points]
    if len(points) >= 2:
        predicted = statistics.log_log_slope(populations, [point[2] for point in points])
        groups = [share * norm for _, share, norm in points]
        rng = bootstrap_generator(rows, "C3-floor-rate")
        slope = statistics.slope_interval(populations, groups, rng, confidence=confidence)
        estimate = slope.shifted(-predicted)
    too_small = ""
    if verdict((estimate.low, estimate.high), (-tolerance, tolerance)) == "not confirmed":
        floor = float(rows[rows["n_agents"] == populations[-1]]["predicted_q_error"].abs().max())
        left = left_of_start(rows, moments)
        # so much does what is left at the last N turn the line through the first
        if math.log1p(left / floor) > tolerance * math.log(populations[-1] / populations[0]):
            too_small = f"of the start of learning up to {left:.2g} is left, the last floor is {floor:.2g}"
    return {
        "id": "C3-floor-rate",
        "statement": "The floor of the TD error falls with N as the predicted limit does.",
        "source": "Theorem 4.2 (its term in N, with the limit itself)",
        "quantity": "slope of log floor against log N, minus that of the predicted floor",
        "estimate": estimate,
        "expected": (-tolerance, tolerance),
        "rival": other_order(predicted),
        "how": f"N = {', '.join(f'{n:g}' for n in populations) or 'none'}, where the floor exceeds "
        f"{FLOOR_STANDARD_ERRORS:g} standard errors; predicted slope {predicted:.4g}",
        "too_small": too_small,
    }
