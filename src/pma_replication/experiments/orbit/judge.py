"""Verdicts: best response and mirror ascent while the regularizer weakens.

From tables to verdicts (docs/theory, section 12).
"""

from __future__ import annotations

import math

import pandas as pd

from pma_replication.judging import Claim, Rival, exactly
from pma_replication.statistics import Estimate


def region_of(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the rows where the best response's Jacobian has spectral radius above 1, and the region in words."""
    unstable = rows[rows["best_response_radius"] > 1.0]
    total = rows["strength"].nunique()
    if unstable.empty:
        return unstable, f"none of {total} strengths has a spectral radius of the best response above 1"
    low, high = unstable["strength"].min(), unstable["strength"].max()
    radii, count = unstable["best_response_radius"], unstable["strength"].nunique()
    if count == 1:
        return unstable, f"spectral radius of the best response {radii.min():.3g} at 1 of {total} strengths, {low:g}"
    return unstable, (
        f"spectral radius of the best response {radii.min():.3g} to {radii.max():.3g} at {count} of {total} strengths, "
        f"{low:g} to {high:g}"
    )


def share_of(rows: pd.DataFrame, column: str) -> Estimate:
    """Return the share of runs in which a column is true; nan without a run."""
    return exactly(float(rows[column].mean()) if len(rows) else math.nan)


def without_population(rows: pd.DataFrame) -> str:
    """Return words on runs that ended at a policy whose population does not settle, or nothing."""
    count = int((rows["ending"] == "unsettled").sum())
    return f"; {count} runs met a policy under which the population does not settle" if count else ""


def best_response_fails(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C2-failure in one game (docs/theory, section 12)."""
    unstable, region = region_of(rows[rows["method"] == "best_response"])
    periods = ", ".join(map(str, sorted(set(unstable.loc[unstable["ending"] == "cycle", "period"]))))
    elsewhere = rows[(rows["method"] == "best_response") & (rows["best_response_radius"] <= 1.0)]
    failing = float((~elsewhere["arrived"].astype(bool)).mean()) if len(elsewhere) else math.nan
    return {
        "id": "C2-failure",
        "statement": "Best-response iteration does not converge where its Jacobian's spectral radius exceeds 1.",
        "source": "the case for mirror ascent, by the exact Jacobian",
        "quantity": "share of best-response runs there that do not reach the equilibrium",
        "estimate": share_of(unstable.assign(failed=~unstable["arrived"]), "failed"),
        "expected": (1.0 - tolerance, 1.0),
        "rival": Rival(f"{failing:.3g}, the share that fails at the other strengths", (failing,)),
        "how": f"{region}; {(unstable['ending'] == 'cycle').sum()} of {len(unstable)} runs end on a cycle"
        f"{f', of period {periods}' if periods else ''}; at the other strengths "
        f"{elsewhere['arrived'].sum()} of {len(elsewhere)} runs converge"
        f"{without_population(rows[rows['method'] == 'best_response'])}",
    }


def damped_at(rows: pd.DataFrame, share: float) -> Claim:
    """Return what both claims on PMA at a share of the locally fastest step size have in common."""
    unstable, region = region_of(rows[rows["method"].str.startswith("pma") & (rows["share"] == share)])
    best_response = share_of(region_of(rows[rows["method"] == "best_response"])[0], "arrived").value
    counts = ", ".join(
        f"{runs['arrived'].sum()} of {len(runs)} with {str(method).removeprefix('pma_')}"
        for method, runs in unstable.groupby("method")
    )
    missed = sorted(set(unstable.loc[~unstable["arrived"], "strength"]))
    failures = f"; misses at strength {', '.join(f'{strength:g}' for strength in missed)}" if missed else ""
    endings = unstable.loc[~unstable["arrived"], "ending"]
    return {
        "quantity": "share of PMA runs there that reach the equilibrium, both mirror maps",
        "estimate": share_of(unstable, "arrived"),
        "rival": Rival(f"{best_response:.3g}, the share of best response", (best_response,)),
        "how": f"eta is {share:g} of the one with the smallest spectral radius at the equilibrium; {region}; "
        f"converged: {counts or 'nothing to test'}{failures}{without_population(unstable)}",
        "too_small": f"{len(endings)} runs neither settle nor cycle before they are stopped"
        if len(endings) and (endings == "neither").all()
        else "",
    }


def damped(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C2-cycle in one game (docs/theory, section 12)."""
    return damped_at(rows, float(rows.loc[rows["method"] != "best_response", "share"].min())) | {
        "id": "C2-cycle",
        "statement": "Where best-response iteration fails, PMA with a moderate step size converges from every start.",
        "source": "the case for mirror ascent",
        "expected": (1.0 - tolerance, 1.0),
    }


def damped_fastest(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C2-fastest in one game (docs/theory, section 12)."""
    return damped_at(rows, float(rows.loc[rows["method"] != "best_response", "share"].max())) | {
        "id": "C2-fastest",
        "statement": "So does PMA with the step size that is fastest near the equilibrium.",
        "source": "whether local stability is enough",
        "expected": (1.0 - tolerance, 1.0),
    }
