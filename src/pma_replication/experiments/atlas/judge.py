"""Verdicts: many generated games. From tables to verdicts (docs/theory, section 12)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from pma_replication.experiments.bounds.judge import half_as_large
from pma_replication.experiments.populations.judge import beyond
from pma_replication.judging import Claim, Rival, exactly, not_equivalent

#: Probability with which a correct prediction of the bias in all games of a grid of the atlas is called wrong.
FALSE_ALARM = 0.01

#: Relative difference up to which bias and prediction count as equivalent; the rival is off by as much.
BIAS_MARGIN = 0.1


def atlas_bounds(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C1b-atlas in one game (docs/theory, section 12)."""
    bounds = rows[["paper_bound", "certificate", "attraction"]]
    tested = rows[np.isfinite(bounds.min(axis=1)) & rows["spectral_radius"].notna()]
    loose = []
    for name, bound in (("section 5.1", "paper_bound"), ("certificate", "certificate"), ("attraction", "attraction")):
        factors = (tested[bound] / tested["spectral_radius"])[np.isfinite(tested[bound])]
        if len(factors):
            loose.append(f"{name} {factors.median():.3g} ({len(factors)} games)")
    return {
        "id": "C1b-atlas",
        "statement": "In no generated game does the spectral radius at the equilibrium exceed a bound.",
        "source": "the bounds of sections 5.1, 5.3 and 5.4",
        "rival": half_as_large("radius"),
        "quantity": "largest spectral radius / smallest bound, over the games of a grid",
        "estimate": exactly(float((tested["spectral_radius"] / bounds.min(axis=1)).max())),
        "expected": (0.0, 1.0 + tolerance),
        "how": f"{len(tested)} of {len(rows)} games with a finite bound and a derivative at the equilibrium; median of "
        f"bound / spectral radius where finite: {', '.join(loose) or 'none'}",
    }


def atlas_convergence(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C1d-atlas in one game (docs/theory, section 12)."""
    paper, certificate, attraction = (rows[name] < 1.0 for name in ("paper_bound", "certificate", "attraction"))
    certified = paper | certificate | attraction
    everywhere = (rows["n_starts"] > 0) & (rows["n_converged"] == rows["n_starts"])
    kept = rows["solved"] & everywhere & (rows["n_certified_converged"] == rows["n_certified"])
    smooth = rows[rows["differentiable"]]
    local = "so that no rate is predicted"
    if len(smooth):
        contract, best = (percent(smooth[radius] < 1.0) for radius in ("spectral_radius", "best_response_radius"))
        local = f"of which {contract} contract there, with best response {best}"
    return {
        "id": "C1d-atlas",
        "statement": "In every generated game with a bound below 1 an equilibrium is found, and PMA reaches it from "
        "every start.",
        "source": "the bounds of sections 5.1, 5.3 and 5.4",
        "rival": elsewhere(kept[~certified]),
        "quantity": "share of certified games of a grid in which all runs converge",
        "estimate": exactly(float(kept[certified].mean())),
        "expected": (1.0 - tolerance, 1.0),
        "how": f"{int(certified.sum())} of {len(rows)} games are certified: {percent(paper)} by section 5.1, "
        f"{percent(certificate)} by the certificate, {percent(certificate | attraction)} with the attraction to the "
        f"computed equilibrium; {len(smooth)} games have a derivative at the equilibrium found, {local}; "
        f"PMA converges from every start in {percent(everywhere)}; unsolved: {int((~rows['solved']).sum())}",
    }


def elsewhere(kept: pd.Series) -> Rival:
    """Return the rival that a certificate tells nothing: the share of uncertified games, 1 if there are none."""
    share = float(kept.mean()) if len(kept) else 1.0
    return Rival(f"{share:.3g}, the share of the {len(kept)} games that are not certified", (share,))


def percent(chosen: pd.Series) -> str:
    """Return the share of true entries in words."""
    return f"{100.0 * chosen.mean():.3g} %"


def atlas_rate(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C1c-atlas in one game (docs/theory, section 12)."""
    fitted = rows[rows["observed_rate"].notna() & (rows["spectral_radius"] < 1.0)]
    excess, other = (fitted[rate] / fitted["spectral_radius"] - 1.0 for rate in ("observed_rate", "no_game_rate"))
    how = f"{len(fitted)} of {len(rows)} games with enough iterates near a differentiable equilibrium"
    if len(fitted):
        how += (
            f"; in {percent(excess.abs() <= tolerance)} of them the rates agree to {tolerance:g}, in the others "
            "the starts may miss the slowest mode, or a complex pair of eigenvalues swing about it"
        )
    return {
        "id": "C1c-atlas",
        "statement": "In the end PMA is nowhere slower than the spectral radius of its Jacobian.",
        "source": "Proposition on the contraction of Gamma_eta (by the exact Jacobian)",
        "rival": Rival(f"{other.max():.3g}, the largest of the rate without a game", (float(other.max()),)),
        "quantity": "largest (rate of the slowest start / spectral radius - 1) over the games of a grid",
        "estimate": exactly(float(excess.max())),
        "expected": (-math.inf, tolerance),
        "how": how,
    }


def atlas_bias(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C6-atlas in one game (docs/theory, section 12)."""
    measured = rows[rows["bias_error"] > 0.0]
    estimate, highest, rival = exactly(math.nan), math.inf, Rival("nothing, without a bias to measure")
    too_small = ""
    how = f"in none of {len(rows)} games is there a bias to measure"
    if len(measured):
        freedom = int(measured["n_replicates"].iloc[0]) - 1
        highest = float(stdtrit(freedom, 1.0 - 0.5 * FALSE_ALARM / len(measured)))
        quantile = float(stdtrit(freedom, 0.5 * (1.0 + confidence)))
        ratios = measured["bias_ratio"]
        scores = (ratios - 1.0).abs() / measured["bias_error"]
        estimate = exactly(float(scores.max()))
        rival = beyond(BIAS_MARGIN / float(measured["bias_error"].min()), highest + tolerance)
        if scores.max() <= highest + tolerance:
            too_small = not_equivalent(
                ratios - 1.0,
                measured["bias_error"],
                margin=BIAS_MARGIN,
                n_replicates=freedom + 1,
                confidence=confidence,
            )
        how = (
            f"bias along the predicted one, measured / predicted, in {len(measured)} of {len(rows)} games: median "
            f"{ratios.median():.4g}, from {ratios.min():.3g} to {ratios.max():.3g}, median standard error "
            f"{measured['bias_error'].median():.2g}; {percent(scores > quantile)} of the {100 * confidence:g} % "
            "intervals miss 1; by Student's law and the union over the games a correct prediction fails with "
            f"probability {FALSE_ALARM:g} at most; equivalent within {BIAS_MARGIN:g}"
        )
    return {
        "id": "C6-atlas",
        "statement": "In every generated game the bias of what is learned has the constant of the closed form.",
        "source": "the O(1/sqrt(N)) term of Theorem 4.2, with its constant",
        "rival": rival,
        "quantity": "largest |measured / predicted - 1| / standard error over the games of a grid",
        "estimate": estimate,
        "expected": (0.0, highest + tolerance),
        "too_small": too_small,
        "how": how,
    }


def atlas_learning(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C4-atlas in one game (docs/theory, section 12)."""
    learned = rows[rows["learned_error"].notna()]
    asked = learned[learned["start_error"] > learned["epsilon"]]
    ratios = asked["learned_exploitability"] / asked["start_exploitability"]
    how = f"{len(learned)} of {len(rows)} games are learned (of the others the schedule is too long, or none exists)"
    if len(asked):
        how += (
            f", {len(asked)} of them from further away than epsilon = {asked['epsilon'].iloc[0]:g}; exploitability "
            f"(regularized) falls to {100.0 * ratios.median():.3g} % of its start (median; worst "
            f"{100.0 * ratios.max():.3g} %), and {percent(asked['learned_error'] <= asked['epsilon'])} end within "
            "epsilon of the equilibrium"
        )
    return {
        "id": "C4-atlas",
        "statement": "Where it can be afforded, one schedule for all games ends at a less exploitable policy than it "
        "starts from.",
        "source": "Theorem 4.3",
        "quantity": "share of such games of a grid, of those that start further from the equilibrium than epsilon",
        "estimate": exactly(float((ratios < 1.0).mean()) if len(ratios) else math.nan),
        "expected": (1.0 - tolerance, 1.0),
        "rival": Rival("0.5, about", (0.5,), power=1.0 - 0.5 ** len(ratios)),
        "how": how,
    }
