"""Verdicts: how loose the Lipschitz bounds are. From tables to verdicts (docs/theory, section 12)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from pma_replication.judging import UNSETTLED, Claim, Rival, exactly
from pma_replication.statistics import Estimate

#: Claim -> the operator in the table, and in the statement.
OPERATORS = {
    "C1a-update-mean-field": ("population_update_in_mean_field", "Gamma_pop in the mean field"),
    "C1a-update-policy": ("population_update_in_policy", "Gamma_pop in the policy"),
    "C1a-stable": ("stable_population", "Gamma_pop^inf"),
    "C1a-q-mean-field": ("q_evaluation_in_mean_field", "Gamma_q in the mean field"),
    "C1a-q-policy": ("q_evaluation_in_policy", "Gamma_q in the policy"),
    "C1a-step": ("mirror_ascent_step", "Gamma_md^eta"),
    "C1a-ascent": ("policy_mirror_ascent", "Gamma_eta"),
}


def half_as_large(found: str = "ratio") -> Rival:
    """Return the rival of a bound, that one half as large holds: no ratio above 0.5 of the bound is then found."""
    return Rival(f"no {found} above 0.5 of the bound", (0.5,), ((-math.inf, 0.5),), power=1.0)


def left_out(rows: pd.DataFrame) -> str:
    """Return how often a policy was left out as its population does not settle, in words, or nothing."""
    count = int(rows[UNSETTLED].sum()) if UNSETTLED in rows else 0
    return f"; {count:,} times a policy was left out, whose population does not settle" if count else ""


def operator_bounds(rows: pd.DataFrame, tolerance: float, confidence: float) -> list[Claim]:
    """Judge C1a in one game, for each operator in the table (docs/theory, section 12)."""
    rows = rows[rows["within"] != "W"]
    found = []
    for claim, (operator, name) in OPERATORS.items():
        searched = rows[rows["operator"] == operator]
        if searched.empty:
            continue
        finite = searched[np.isfinite(searched["bound"])]
        worst = float((finite["largest_ratio"] / finite["bound"]).max()) if len(finite) else math.nan
        loose = f"; the bound is loose by {1.0 / worst:.3g}, or the search poor" if 0.0 < worst <= 0.5 else ""
        how = (
            f"searched {int(searched['n_pairs'].iloc[0])} random pairs per step size, near and far, and climbed from "
            f"the best; constants of the game: {', '.join(sorted(set(finite['kind'])))}{loose}"
            f"{left_out(searched)}"
        )
        found.append(
            {
                "id": claim,
                "statement": f"{name} is Lipschitz with its stated constant.",
                "source": "the lemmas on the operators, with the constants of docs/theory, sections 2 to 5",
                "quantity": "largest observed Lipschitz ratio / bound, over step sizes",
                "estimate": exactly(worst),
                "expected": (0.0, 1.0 + tolerance),
                "rival": half_as_large(),
                "how": how if len(finite) else "the bound is infinite, and nothing is tested",
            }
        )
    return found


def largest_norm(rows: pd.DataFrame) -> tuple[Estimate, str]:
    """Return the largest norm of PMA's Jacobian next to its bound, over settings with a finite one, and how many."""
    finite = rows[np.isfinite(rows["bound"])]
    if finite.empty:
        words = "the bound is" if len(rows) == 1 else f"all {len(rows)} bounds are"
        return exactly(math.nan), f"{words} infinite, and nothing is tested"
    norms = finite[["jacobian_norm", "jacobian_upper"]].div(finite["bound"], axis=0).max()
    low, high = (float(norm) for norm in norms)
    kinds = ", ".join(sorted(set(finite["kind"])))
    return Estimate(low, low, high), (
        f"{len(finite)} of {len(rows)} settings (mirror map, step size) with a finite bound, smallest "
        f"{finite['bound'].min():.3g}, from constants of kind: {kinds}; no counter-example in "
        f"{int(finite['n_pairs'].sum())} random pairs and in the points climbed to; the interval is that of the "
        f"exact norm where it is largest{left_out(finite)}"
    )


def jacobian_norm(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C1b in one game (docs/theory, section 12)."""
    estimate, how = largest_norm(rows[(rows["operator"] == "policy_mirror_ascent") & (rows["within"] == "U")])
    return {
        "id": "C1b",
        "statement": "The norm of the exact Jacobian of PMA is at most L_Gamma_eta of section 5.1, everywhere in U.",
        "source": "Proposition on the contraction of Gamma_eta (with our constants of section 5.1)",
        "quantity": "largest norm of the Jacobian found by ascent / bound, over step sizes",
        "estimate": estimate,
        "expected": (0.0, 1.0 + tolerance),
        "rival": half_as_large("norm"),
        "how": how,
    }


def certified_norm(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C1b-certificate in one game (docs/theory, section 12)."""
    estimate, how = largest_norm(rows[(rows["operator"] == "policy_mirror_ascent") & (rows["within"] == "W")])
    return {
        "id": "C1b-certificate",
        "statement": "The norm of the exact Jacobian of PMA is at most the certificate, everywhere in W.",
        "source": "the sharper certificate of section 5.3",
        "quantity": "largest norm of the Jacobian found by ascent / certificate, over mirror maps and step sizes",
        "estimate": estimate,
        "expected": (0.0, 1.0 + tolerance),
        "rival": half_as_large("norm"),
        "how": how,
    }


def pairs_below_norm(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C1b-search in one game (docs/theory, section 12)."""
    gains = rows["largest_ratio"] / rows["random_ratio"]
    return {
        "id": "C1b-search",
        "statement": "No pair has a larger ratio than the largest norm of a Jacobian that the search has found.",
        "source": "a check of the search",
        "quantity": "largest ratio of a pair / largest norm found, over operators",
        "estimate": exactly(float((rows["largest_ratio"] / rows["jacobian_norm"]).max())),
        "expected": (0.0, 1.0 + tolerance),
        "rival": Rival("above 1, by how much is not known"),
        "how": f"{len(rows)} settings; against random pairs alone the ascent raises the largest ratio by a factor of "
        f"{gains.median():.3g} (median), {gains.max():.3g} (largest)",
    }
