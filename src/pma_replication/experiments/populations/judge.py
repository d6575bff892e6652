"""Verdicts: what a finite number of agents does to what is learned.

From tables to verdicts (docs/theory, section 12).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtr

from pma_replication import statistics
from pma_replication.judging import (
    FLOOR_STANDARD_ERRORS,
    Claim,
    Rival,
    bootstrap_generator,
    compare,
    exactly,
    few_agents,
    not_equivalent,
    settled,
)
from pma_replication.statistics import Estimate

#: Simulation and exact solution agree within this many standard errors.
AGREEMENT_STANDARD_ERRORS = 4.0

#: Difference between simulator and exact game, relative to what so few agents change, up to which the two count as
#: equivalent. It is the tolerance of the sharpest claim that is measured with the simulator, on constants
#: (`claims.constant_tolerance` of config/config.yaml).
AGREEMENT_MARGIN = 0.02

#: The rival of a constant: what is measured in units of it is a tenth off.
OFF_BY_A_TENTH = Rival("0.9 or 1.1", (0.9, 1.1))


def bias_groups(
    rows: pd.DataFrame, standard_errors: float, column: str = "q_error"
) -> tuple[list[int], list[np.ndarray]]:
    """Return the N whose bias is this many standard errors or more, and their errors, shape (replicates, S A)."""
    populations, groups = [], []
    for n_agents in sorted(set(rows["n_agents"])):
        group = rows[rows["n_agents"] == n_agents]
        errors = group.pivot(index="replicate", columns=["state", "action"], values=column).to_numpy()
        standard_error = errors.std(axis=0, ddof=1).max() / np.sqrt(len(errors))
        if largest_mean(errors) > standard_errors * standard_error:
            populations.append(int(n_agents))
            groups.append(errors)
    return populations, groups


def largest_mean(errors: np.ndarray) -> float:
    """Return the bias, max over (s, a) of |mean over replicates|."""
    return float(np.abs(errors.mean(axis=0)).max())


def is_kinked(rows: pd.DataFrame, column: str = "q_error") -> bool:
    """Whether the prediction has a bias of order 1/sqrt(N) rather than 1/N: its own slope, nearer to -1/2.

    Of one N, which has no slope: false. No order is judged there.
    """
    largest = rows[f"predicted_{column}"].abs().groupby(rows["n_agents"]).max()
    return len(largest) > 1 and statistics.log_log_slope(list(largest.index), list(largest)) > -0.75


def slope_of_bias(
    rows: pd.DataFrame, claim: str, column: str, *, tolerance: float, confidence: float
) -> tuple[bool, Claim]:
    """Return whether a bias is of order 1/sqrt(N), by its prediction, and what records on its slope have in common."""
    populations, groups = bias_groups(rows, FLOOR_STANDARD_ERRORS, column)
    kinked = is_kinked(rows, column)
    slope = -0.5 if kinked else -1.0
    estimate, too_small = exactly(math.nan), ""
    expected = (slope - tolerance, slope + tolerance)
    if len(populations) >= 3:
        rng = bootstrap_generator(rows, claim)
        estimate = statistics.slope_interval(populations, groups, rng, confidence=confidence, summary=largest_mean)
        too_small = settled(
            rows,
            claim,
            estimate,
            expected=expected,
            tolerance=tolerance,
            order=slope,  # smooth: c / N + O(1 / N^2); kinked: c / sqrt(N) + O(1 / N)
            corrected=lambda rng, f: statistics.slope_interval(
                populations, groups, rng, confidence=confidence, summary=largest_mean, slope=f
            ),
        )
    return kinked, {
        "rival": Rival("-1", (-1.0,)) if kinked else Rival("-0.5", (-0.5,)),
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"{len(populations)} of {rows['n_agents'].nunique()} population sizes lie above the Monte Carlo floor "
        f"of {FLOOR_STANDARD_ERRORS:g} standard errors",
    }


def order_in_words(kinked: bool) -> str:
    """Return the order of a bias and when it has it."""
    return "1/sqrt(N) when R has a kink at the equilibrium" if kinked else "1/N when R and P are smooth"


def bias_slope(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C6-smooth or C6-kinked in one game (docs/theory, section 12)."""
    kinked, found = slope_of_bias(rows, "C6-slope", "q_error", tolerance=tolerance, confidence=confidence)
    return {
        "id": "C6-kinked" if kinked else "C6-smooth",
        "statement": f"The bias of what is learned from N agents is of order {order_in_words(kinked)}.",
        "source": "Theorem 4.2 (the paper's O(1/sqrt(N)) is tight with a kink, and not without)",
        "quantity": "slope of log max_(s,a) |bias of Q| against log N",
        **found,
        "how": f"limit of TD learning by ergodic averages; {found['how']}",
    }


def learned_slope(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C6-learned in one game (docs/theory, section 12)."""
    kinked, found = slope_of_bias(rows, "C6-learned", "policy_error", tolerance=tolerance, confidence=confidence)
    return {
        "id": "C6-learned",
        "statement": "The policy learned from N agents ends off the equilibrium by 1/N when R and P are smooth, and by "
        "1/sqrt(N) when R has a kink at the equilibrium.",
        "source": "Theorem 4.3 (its O(1/sqrt(N)) is tight with a kink, and not without)",
        "quantity": "slope of log max_(s,a) |mean policy - equilibrium| against log N",
        **found,
        "how": f"{'a kink' if kinked else 'smooth'}; mean over the second half of each run, and over runs; "
        f"{found['how']}",
    }


def learned_limit(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C6-learned-limit in one game (docs/theory, section 12)."""
    groups, predictions = [], []
    for _, group in rows.groupby("n_agents"):
        table = group.pivot(index="replicate", columns=["state", "action"])
        groups.append(table["policy_error"].to_numpy())
        predictions.append(table["predicted_policy_error"].to_numpy()[0])
    # each projection is in units of its own prediction, so that every N has the same weight
    estimate = _projected(rows, groups, [of / (of @ of) / len(predictions) for of in predictions], confidence)
    expected, too_small = (1.0 - tolerance, 1.0 + tolerance), ""
    if compare((estimate.low, estimate.high), expected) == "not confirmed":
        # what too few epochs or updates leave of the start, and of noise, does not depend on N
        apart = np.array(predictions) - np.mean(predictions, axis=0)
        beside, size = exactly(math.nan), float((apart**2).sum())
        if size > 0.0:
            beside = _projected(rows, groups, list(apart / size), confidence)
        if math.isnan(beside.value):
            too_small = "one N cannot show what is the same for all N, as what is left of the start or of noise"
        elif compare((beside.low, beside.high), expected) != "not confirmed":
            too_small = (
                "beside a rest that is the same for all N, as of the start or of noise, the ratio is "
                f"{beside.value:.3g} [{beside.low:.3g}, {beside.high:.3g}]"
            )
    return {
        "id": "C6-learned-limit",
        "statement": "The policy learned from N agents ends at the fixed point of learning in the game of N agents.",
        "source": "Theorem 4.3, its O(1/sqrt(N)) term with the constant",
        "rival": Rival("0, 0.8 or 1.2", (0.0, 0.8, 1.2)),
        "quantity": "measured over predicted distance from the equilibrium, projected on the prediction, mean over N",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"{len(groups[0])} runs at each of {len(groups)} N from {rows['n_agents'].min()} to "
        f"{rows['n_agents'].max()}; mean over the second half of each run; no free parameter",
    }


def _projected(
    rows: pd.DataFrame, groups: Sequence[np.ndarray], weights: Sequence[np.ndarray], confidence: float
) -> Estimate:
    """Return the sum over N of the mean errors' projections on weights, one vector for each N."""
    return statistics.bootstrap(
        groups,
        lambda drawn: float(sum(errors.mean(axis=0) @ of for errors, of in zip(drawn, weights, strict=True))),
        bootstrap_generator(rows, "C6-learned-limit"),
        confidence=confidence,
    )


def deviation_constant(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C6-deviation in one game (docs/theory, section 12)."""
    largest = rows[rows["n_agents"] == rows["n_agents"].max()].drop_duplicates("replicate")
    ratios = (largest["deviation"] / largest["predicted_deviation"]).to_numpy()
    means = rows.assign(ratio=rows["deviation"] / rows["predicted_deviation"]).groupby("n_agents")["ratio"].mean()
    estimate = statistics.mean_interval(ratios, bootstrap_generator(rows, "C6-deviation"), confidence)
    expected = (1.0 - tolerance, 1.0 + tolerance)
    refuted = compare((estimate.low, estimate.high), expected) == "not confirmed"
    return {
        "id": "C6-deviation",
        "statement": "sqrt(N) E||mu_hat - mu_pi||_1 tends to the constant of the discrete Lyapunov equation.",
        "source": "the mean-field error O(1/sqrt(N)), with its constant",
        "rival": OFF_BY_A_TENTH,
        "quantity": "measured / predicted",
        "estimate": estimate,
        "expected": expected,
        "too_small": few_agents(list(means.index), list(means), tolerance) if refuted else "",
        "how": f"{len(ratios)} trajectories at N = {int(largest['n_agents'].iloc[0])}; no free parameter",
    }


def bias_constant(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    # the largest N at which the Monte Carlo error leaves room for a verdict: a quarter of the tolerance
    """Judge C6-constant in one game (docs/theory, section 12)."""
    populations, groups = bias_groups(rows, 4.0 / tolerance)
    estimate, too_small = exactly(math.nan), ""
    expected = (1.0 - tolerance, 1.0 + tolerance)
    if populations:
        limits = rows["predicted_q_error"].abs().groupby(rows["n_agents"]).max()
        predicted = float(limits[populations[-1]])
        rng = bootstrap_generator(rows, "C6-constant")
        estimate = statistics.bootstrap(
            groups[-1:], lambda drawn: largest_mean(drawn[0]) / predicted, rng, confidence=confidence, kind="smooth"
        )
        if compare((estimate.low, estimate.high), expected) == "not confirmed":
            ratios = [largest_mean(group) / float(limits[n]) for n, group in zip(populations, groups, strict=True)]
            too_small = few_agents(populations, ratios, tolerance)
    return {
        "id": "C6-constant",
        "statement": "The bias of what is learned from N agents has the constant of the Gaussian closed form.",
        "source": "the O(1/sqrt(N)) term of Theorem 4.2, with its constant",
        "rival": OFF_BY_A_TENTH,
        "quantity": "measured / predicted bias",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"at N = {populations[-1]}, the largest measured well enough; no free parameter"
        if populations
        else "at no N is the bias measured well enough",
    }


def beyond(standard_errors: float, allowed: float) -> Rival:
    """Return the rival that lies so many standard errors away, with the same allowance for noise as the claim."""
    prediction = f"{standard_errors:.3g} standard errors"
    return Rival(prediction, (standard_errors,), ((standard_errors - allowed, math.inf),))


def agreement(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C3-exact in one game (docs/theory, section 12)."""
    scores = ((rows["simulated"] - rows["exact"]) / rows["standard_error"]).abs()
    others = ((rows["mean_field_limit"] - rows["exact"]) / rows["standard_error"]).abs()
    alarm = sum(2.0 * stdtr(n - 1, -AGREEMENT_STANDARD_ERRORS) for n in rows["n_replicates"])
    scale, too_small = float((rows["mean_field_limit"] - rows["exact"]).abs().max()), ""
    if scores.max() <= AGREEMENT_STANDARD_ERRORS + tolerance and scale > 0.0:
        too_small = not_equivalent(
            (rows["simulated"] - rows["exact"]) / scale,
            rows["standard_error"] / scale,
            margin=AGREEMENT_MARGIN,
            n_replicates=int(rows["n_replicates"].min()),
            confidence=confidence,
        )
    return {
        "id": "C3-exact",
        "statement": "The simulated limit of conditional TD learning is the one of the exact N-agent game.",
        "source": "a check of the simulation against the exact N-agent game",
        "quantity": "largest |simulated - exact| / standard error, over N",
        "estimate": exactly(float(scores.max())),
        "expected": (0.0, AGREEMENT_STANDARD_ERRORS + tolerance),
        "rival": beyond(float(others.max()), AGREEMENT_STANDARD_ERRORS + tolerance),
        "too_small": too_small,
        "how": f"one projection of Q per N, drawn before the simulation; N = {', '.join(map(str, rows['n_agents']))}; "
        f"{rows['n_replicates'].min()} replicates; equivalent within {AGREEMENT_MARGIN:g} of the largest distance from "
        f"the exact limit to that of infinitely many agents, {scale:.3g}; a correct simulation fails with probability "
        f"{alarm:.1g} at most, by "
        "Student's law and the union over N",
    }
