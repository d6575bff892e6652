"""What is judged on the path of equilibria: from a table to verdicts, and to a table for readers.

docs/theory, sections 19 and 12.
"""

from __future__ import annotations

import math

import pandas as pd
from scipy.special import betaincinv

from pma_replication.judging import Claim, Rival, titled_table
from pma_replication.statistics import Estimate

#: The coupling, here the spectral radius of best response at a planted equilibrium, that tells weak from strong.
STRONG = 1.0

#: What the table for readers says of itself.
TABLE = (
    "Equilibria under the entropy found by the path from a strong regularizer with all of its branches, by random "
    "mean fields, and by both (docs/theory, section 19.4); *all* has those on the paths of what random mean fields "
    "found, too. "
    "Strengths are in units of the range of the rewards."
)


def share(found: float, n: int, confidence: float) -> Estimate:
    """Return a share of n independent seeds with the interval of Clopper and Pearson, which never undercovers."""
    tail, count = 0.5 * (1.0 - confidence), found * n
    low = 0.0 if count <= 0.0 else float(betaincinv(count, n - count + 1.0, tail))
    high = 1.0 if count >= n else float(betaincinv(count + 1.0, n - count, 1.0 - tail))
    return Estimate(found, low, high, n)


def reached(rows: pd.DataFrame) -> pd.Series:
    """Return whether each path comes to its end without a fold."""
    return rows["complete"] & (rows["n_folds"] == 0)


def without_fold(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C10-fold in a grid of games (docs/theory, section 12)."""
    n_seeds = int(rows["seed"].nunique())
    return {
        "id": "C10-fold",
        "statement": "The equilibrium of a strong regularizer is followed to none without a fold in most games.",
        "source": "the path of equilibria (section 19)",
        "quantity": "share of generated games whose path comes to its end without a fold",
        "estimate": share(float(reached(rows).mean()), n_seeds, confidence),
        "expected": (1.0 - tolerance, 1.0),
        "rival": Rival("1/2", (0.5,)),
        "how": f"{len(rows)} games, {n_seeds} seeds, which count as one game each in the interval; {told(rows)}",
    }


def by_coupling(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim | list[Claim]:
    """Judge C10-coupling in a grid of games (docs/theory, section 12); nothing if all couplings are weak or strong."""
    strong = rows["coupling"] > STRONG
    if strong.all() or not strong.any():
        return []
    n_seeds = int(rows["seed"].nunique())
    high, low = (share(float(reached(part).mean()), n_seeds, confidence) for part in (rows[strong], rows[~strong]))
    difference = high.value - low.value
    below = math.hypot(high.value - high.low, low.high - low.value)  # Newcombe's interval of a difference
    above = math.hypot(high.high - high.value, low.value - low.low)
    return {
        "id": "C10-coupling",
        "statement": "A strong coupling makes folds of the path no more frequent.",
        "source": "the path of equilibria (section 19)",
        "quantity": f"share without a fold with couplings above {STRONG:g}, minus that below",
        "estimate": Estimate(difference, max(-1.0, difference - below), min(1.0, difference + above), n_seeds),
        "expected": (-tolerance, 1.0),
        "rival": Rival("-1/2", (-0.5,)),
        "how": f"{len(rows)} games, {n_seeds} seeds, which count as one game each in the interval; {told(rows)}",
    }


def told(rows: pd.DataFrame) -> str:
    """Return what happens on the paths of a grid, coupling by coupling, in words."""
    words = []
    for coupling, of in rows.groupby("coupling"):
        words.append(
            f"{coupling:g}: {int(reached(of).sum())} of {len(of)} without a fold, "
            f"{int((of['n_branch_points'] > 0).sum())} with a branch point, {int((of['unstable'] > 0).sum())} unstable "
            "somewhere"
        )
    lost = int((~rows["complete"]).sum())
    return f"coupling {'; '.join(words)}{f'; {lost} paths end early' if lost else ''}"


def paths_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return the equilibria found by paths and starts as text for readers.

    Parameters
    ----------
    table : DataFrame
        Of `measure.diagram`, ``paths_equilibria`` of all games.

    Returns
    -------
    DataFrame
        Of str, a row for each game and strength; `TABLE` says what it means.
    """
    names = {
        "by_path": "path",
        "by_starts": "starts",
        "by_both": "both",
        "in_all": "all",
        "unstable": "of them unstable",
    }
    cells = table.sort_values(["game", "strength"], ascending=[True, False]).rename(columns=names)
    cells = cells.assign(
        game=cells["game"].str.replace("_", " "), strength=[f"{strength:g}" for strength in cells["strength"]]
    )
    return cells[["game", "strength", *names.values()]].astype(str).reset_index(drop=True)


def paths_markdown(table: pd.DataFrame) -> str:
    """Return `paths_cells` of the same table as Markdown."""
    return titled_table(
        "# Equilibria found by paths and by random starts", f"Written by the pipeline. {TABLE}", paths_cells(table)
    )
