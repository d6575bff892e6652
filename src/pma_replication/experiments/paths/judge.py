"""What is judged on the path of equilibria: from a table to verdicts, and to a table for readers.

docs/theory, sections 19 and 12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import betaincinv

from pma_replication import statistics
from pma_replication.judging import Claim, Rival, bootstrap_generator, exactly, titled_table
from pma_replication.statistics import Estimate

#: The coupling, here the spectral radius of best response at a planted equilibrium, that tells weak from strong.
STRONG = 1.0

#: What the table for readers says of itself.
TABLE = (
    "Equilibria under the entropy found by the path from a strong regularizer with all of its branches, by random mean "
    "fields, and by both (docs/theory, section 19.4); *all* has those on the paths of what random mean fields found, too. "
    "Strengths are in units of the range of the rewards."
)


def price_of_limit(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim | list[Claim]:
    """Judge C10-price in one game (docs/theory, section 12); nothing where the path does not come to its end."""
    row = rows.iloc[0]
    if not row["complete"]:
        return []
    limit = float(row["limit_share"])
    known = not math.isnan(limit)
    exponent = f"{row['exponent']:.3g} [{row['exponent_low']:.3g}, {row['exponent_high']:.3g}]"
    return {
        "id": "C10-price",
        "statement": "As the regularizer weakens, its cost per unit of strength tends to that of the limit's randomness.",
        "source": "what a little regularization costs (Proposition 19.5)",
        "quantity": "unregularized exploitability at the end of the path, in units of its bound",
        "estimate": exactly(float(row["share"]) if known else math.nan),
        "expected": (limit - tolerance, limit + tolerance) if known else (-math.inf, math.inf),
        "rival": Rival("1, the bound", (1.0,)),
        "how": f"exact, no sampling; the limit draws in {row['mixed']} of {row['n_states']} states and predicts {limit:.4g}; "
        f"exponent of the cost in the strength at the end {'not seen' if 'nan' in exponent else exponent}"
        if known
        else "no limit was found",
    }


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
            f"{coupling:g}: {int(reached(of).sum())} of {len(of)} without a fold, {int((of['n_branch_points'] > 0).sum())} "
            f"with a branch point, {int((of['unstable'] > 0).sum())} unstable somewhere"
        )
    lost = int((~rows["complete"]).sum())
    return f"coupling {'; '.join(words)}{f'; {lost} paths end early' if lost else ''}"


def samples(rows: pd.DataFrame, way: str, accuracy: float) -> np.ndarray:
    """Return the samples of each run of one way of learning to an accuracy, infinity where it is not reached."""
    chosen = rows[(rows["way"] == way) & (rows["accuracy"] == accuracy)]
    return chosen.sort_values("replicate")["samples"].to_numpy(float)


def ratio(groups: Sequence[np.ndarray]) -> float:
    """Return the ratio of the geometric means of the samples of two ways of learning."""
    return float(np.exp(np.log(groups[0]).mean() - np.log(groups[1]).mean()))


def annealing(rows: pd.DataFrame, tolerance: float, confidence: float) -> list[Claim]:
    """Judge C10-annealing in one game, at each accuracy that every run from scratch reaches (docs/theory, section 12).

    A run of the other way that does not get there counts with the samples it had, which favours it.
    """
    budget, records = float(rows["budget"].iloc[0]), []
    for accuracy in sorted(set(rows["accuracy"]), reverse=True):
        groups = [samples(rows, way, accuracy) for way in ("annealed", "scratch")]
        missed = [int(np.isinf(group).sum()) for group in groups]
        groups = [np.minimum(group, budget) for group in groups]
        found = Estimate(math.nan, math.nan, math.nan, len(groups[0]))
        if not missed[1]:
            rng = bootstrap_generator(rows, f"C10-annealing {accuracy:g}")
            found = statistics.bootstrap(groups, ratio, rng, confidence=confidence, kind="smooth")
        steps = [float(rows.loc[rows["way"] == way, "step_size"].iloc[0]) for way in ("annealed", "scratch")]
        means = [float(np.exp(np.log(group).mean())) for group in groups]
        records.append(
            {
                "id": "C10-annealing",
                "statement": "Lowering the strength from epoch to epoch saves no samples.",
                "source": "learning along the path (section 19.6)",
                "quantity": f"samples to {accuracy:g} of the rewards' range with a strength that falls, over those without",
                "estimate": found,
                "expected": (1.0 - tolerance, math.inf),
                "rival": Rival("1/2", (0.5,)),
                "how": f"final strength {rows['strength'].iloc[0]:.3g} of the range; step sizes {steps[0]:g} and {steps[1]:g} "
                f"over the range, the best of those tried for each; {means[0]:.3g} and {means[1]:.3g} samples of "
                f"{budget:.3g}; not reached by {missed[0]} and {missed[1]} of {len(groups[0])} runs",
            }
        )
    return records


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
    names = {"by_path": "path", "by_starts": "starts", "by_both": "both", "in_all": "all", "unstable": "of them unstable"}
    cells = table.sort_values(["game", "strength"], ascending=[True, False]).rename(columns=names)
    cells = cells.assign(
        game=cells["game"].str.replace("_", " "), strength=[f"{strength:g}" for strength in cells["strength"]]
    )
    return cells[["game", "strength", *names.values()]].astype(str).reset_index(drop=True)


def paths_markdown(table: pd.DataFrame) -> str:
    """Return `paths_cells` of the same table as Markdown."""
    return titled_table("# Equilibria found by paths and by random starts", f"Written by the pipeline. {TABLE}", paths_cells(table))
