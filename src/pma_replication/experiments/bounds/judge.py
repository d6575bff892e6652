"""What is judged on how loose the Lipschitz bounds are: from tables to verdicts (docs/theory, section 12)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from pma_replication.judging import Claim, exactly
from pma_replication.statistics import Estimate


def operator_bounds(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C1a in one game (docs/theory, section 12)."""
    rows = rows[rows["within"] != "W"]
    finite = rows[np.isfinite(rows["bound"])]
    infinite = sorted(set(rows["operator"]) - set(finite["operator"]))
    worst = (finite["largest_ratio"] / finite["bound"]).max() if len(finite) else math.nan
    vacuous = f"; the bound is infinite, and nothing is tested, for {', '.join(infinite)}" if infinite else ""
    return {
        "id": "C1a",
        "statement": "Each operator is Lipschitz with its stated constant.",
        "source": "Lemmas on the operators of section 3",
        "quantity": "largest observed Lipschitz ratio / bound, over operators and step sizes",
        "estimate": exactly(float(worst)),
        "expected": (0.0, 1.0 + tolerance),
        "how": f"searched {int(rows['n_pairs'].iloc[0])} random pairs per operator and step size, near and far, and "
        f"climbed from the best; constants of the game: {', '.join(sorted(set(finite['kind'])))}{vacuous}",
    }


def largest_norm(rows: pd.DataFrame) -> tuple[Estimate, str]:
    """Return the largest norm of PMA's Jacobian next to its bound, over settings with a finite one, and how many."""
    finite = rows[np.isfinite(rows["bound"])]
    if finite.empty:
        return exactly(math.nan), f"all {len(rows)} bounds are infinite, and nothing is tested"
    norms = finite[["jacobian_norm", "jacobian_upper"]].div(finite["bound"], axis=0).max()
    low, high = (float(norm) for norm in norms)
    kinds = ", ".join(sorted(set(finite["kind"])))
    return Estimate(low, low, high), (
        f"{len(finite)} of {len(rows)} settings (mirror map, step size) with a finite bound, smallest "
        f"{finite['bound'].min():.3g}, from constants of kind: {kinds}; no counter-example in "
        f"{int(finite['n_pairs'].sum())} random pairs and in the points climbed to; the interval is that of the "
        "exact norm where it is largest"
    )


def jacobian_norm(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C1b in one game (docs/theory, section 12)."""
    estimate, how = largest_norm(rows[(rows["operator"] == "policy_mirror_ascent") & (rows["within"] == "U")])
    return {
        "id": "C1b",
        "statement": "The norm of the exact Jacobian of PMA is at most L_Gamma_eta of section 5.1, everywhere in U.",
        "source": "Proposition on the contraction of Gamma_eta",
        "quantity": "largest norm of the Jacobian found by ascent / bound, over step sizes",
        "estimate": estimate,
        "expected": (0.0, 1.0 + tolerance),
        "how": how,
    }


def certified_norm(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C1b-certificate in one game (docs/theory, section 12)."""
    estimate, how = largest_norm(rows[(rows["operator"] == "policy_mirror_ascent") & (rows["within"] == "W")])
    return {
        "id": "C1b-certificate",
        "statement": "The norm of the exact Jacobian of PMA is at most the certificate, everywhere in W.",
        "source": "Proposition on the contraction of Gamma_eta (with our sharper certificate)",
        "quantity": "largest norm of the Jacobian found by ascent / certificate, over mirror maps and step sizes",
        "estimate": estimate,
        "expected": (0.0, 1.0 + tolerance),
        "how": how,
    }


def pairs_below_norm(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C1b-search in one game (docs/theory, section 12)."""
    gains = rows["largest_ratio"] / rows["random_ratio"]
    return {
        "id": "C1b-search",
        "statement": "No pair has a larger ratio than the largest norm of a Jacobian that the search has found.",
        "source": "a check of our search, not of the paper",
        "quantity": "largest ratio of a pair / largest norm found, over operators",
        "estimate": exactly(float((rows["largest_ratio"] / rows["jacobian_norm"]).max())),
        "expected": (0.0, 1.0 + tolerance),
        "how": f"{len(rows)} settings; against random pairs alone the ascent raises the largest ratio by a factor of "
        f"{gains.median():.3g} (median), {gains.max():.3g} (largest)",
    }
