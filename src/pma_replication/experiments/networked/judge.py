"""Verdicts on agents that pass their policies on (docs/theory, sections 12 and 20)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pandas as pd

from pma_replication import statistics
from pma_replication.experiments.networked.arms import (
    AGREED,
    BUFFERED,
    CENTRALIZED,
    INDEPENDENT,
    NETWORKED,
    RANDOM,
)
from pma_replication.judging import Claim, Rival, bootstrap_generator
from pma_replication.statistics import Estimate

#: First-order statements are asked where the squared error that is left is at most this share of the first one.
SMALL = 0.5

AUTHORS = "Benjamin and Abate, arXiv:2306.02766"

#: What learning is measured by, in words.
MEASURES = {"coordination": "what agents earn", "competition": "what a best response gains"}


def curves(rows: pd.DataFrame, arm: str, column: str) -> np.ndarray:
    """Return a column of an arm after each measured epoch, shape (replicates, epochs); the start is left out."""
    chosen = rows[(rows["arm"] == arm) & (rows["epoch"] > 0)]
    return np.asarray(chosen.pivot(index="replicate", columns="epoch", values=column).to_numpy(dtype=float))


def improvements(rows: pd.DataFrame, arm: str) -> np.ndarray:
    """Return by how much an arm has improved on the first policy, shape (replicates, epochs).

    In a game of coordination what agents earn more, in one of competition what a best response gains less.
    """
    column, sign = ("returns", 1.0) if rows["kind"].iloc[0] == "coordination" else ("exploitability", -1.0)
    start = float(rows.loc[rows["epoch"] == 0, column].iloc[0])
    return sign * (curves(rows, arm, column) - start)


def late(table: np.ndarray) -> np.ndarray:
    """Return the mean over the second half of the measured epochs, for each replicate."""
    return np.asarray(table[:, table.shape[1] // 2 :].mean(axis=1))


def overall(table: np.ndarray) -> np.ndarray:
    """Return the mean over all measured epochs, for each replicate: by how much, and how early."""
    return np.asarray(table.mean(axis=1))


def present(rows: pd.DataFrame, *arms: str) -> bool:
    """Whether a table has all of some arms."""
    return set(arms) <= set(rows["arm"])


def compared(
    rows: pd.DataFrame,
    claim: str,
    groups: Sequence[np.ndarray],
    *,
    statistic: Callable[..., float],
    confidence: float,
) -> Estimate:
    """Return a statistic of the means of some arms with its bootstrap interval over runs."""

    def of_means(drawn: Sequence[np.ndarray]) -> float:
        try:
            return statistic(*(float(group.mean()) for group in drawn))
        except (ZeroDivisionError, ValueError):  # an arm that changes nothing, or an exploitability of rounding
            return math.nan

    rng = bootstrap_generator(rows, claim)
    return statistics.bootstrap(groups, of_means, rng, confidence=confidence)


def told(rows: pd.DataFrame, arms: Sequence[str], groups: Sequence[np.ndarray]) -> str:
    """Return the improvements of some arms in words."""
    words = ", ".join(f"{arm} {group.mean():.3g}" for arm, group in zip(arms, groups, strict=True))
    return (
        f"improved, by {MEASURES[str(rows['kind'].iloc[0])]}: {words}; {rows['replicate'].nunique()} runs of "
        f"{rows['samples'].max():g} samples"
    )


def _share(
    rows: pd.DataFrame, tolerance: float, confidence: float, *, claim: str, arms: tuple[str, str], with_buffer: str
) -> list[Claim]:
    """Judge what independent agents learn beside a central learner."""
    if not present(rows, *arms):
        return []
    groups = [late(improvements(rows, arm)) for arm in arms]
    found = compared(rows, claim, groups, statistic=lambda alone, central: alone / central, confidence=confidence)
    settled = groups[1].mean() > 2.0 * groups[1].std(ddof=1) / math.sqrt(len(groups[1]))
    return [
        {
            "statement": f"Independent agents{with_buffer} hardly learn.",
            "source": AUTHORS,
            "quantity": "share of a central learner's improvement, over the second half of the run",
            "estimate": found,
            "expected": (-math.inf, tolerance),
            "rival": Rival("1, as a central learner", (1.0,)),
            "how": told(rows, arms, groups),
            "too_small": "" if settled else "the central learner does not improve on the first policy either",
        }
    ]


def independent_hardly(rows: pd.DataFrame, tolerance: float, confidence: float) -> list[Claim]:
    """Judge C9-independent in one game (docs/theory, section 12)."""
    arms = INDEPENDENT, CENTRALIZED
    found = _share(rows, tolerance, confidence, claim="C9-independent", arms=arms, with_buffer="")
    return [{"id": "C9-independent", **record} for record in found]


def buffered_hardly(rows: pd.DataFrame, tolerance: float, confidence: float) -> list[Claim]:
    """Judge C9-buffer in one game (docs/theory, section 12); nothing without its arms."""
    arms = BUFFERED[INDEPENDENT], BUFFERED[CENTRALIZED]
    found = _share(rows, tolerance, confidence, claim="C9-buffer", arms=arms, with_buffer=" with a buffer")
    return [{"id": "C9-buffer", **record} for record in found]


def between(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C9-between in one game (docs/theory, section 12)."""
    arms = (INDEPENDENT, NETWORKED, CENTRALIZED)
    groups = [overall(improvements(rows, arm)) for arm in arms]

    def place(alone: float, networked: float, central: float) -> float:
        return (networked - alone) / (central - alone)

    def lead(alone: float, networked: float, central: float) -> float:
        return central - alone

    apart = compared(rows, "C9-between", groups, statistic=lead, confidence=confidence)
    return {
        "id": "C9-between",
        "statement": "Networked agents learn between independent agents and a central learner.",
        "source": AUTHORS,
        "quantity": "place of the mean improvement over the run, from independent agents (0) to a central learner (1)",
        "estimate": compared(rows, "C9-between", groups, statistic=place, confidence=confidence),
        "expected": (0.0 - tolerance, 1.0 + tolerance),
        "rival": Rival("0, as independent agents", (0.0,)),
        "how": told(rows, arms, groups),
        "too_small": "independent agents and the central learner are not told apart"
        if apart.low <= 0.0 <= apart.high
        else "",
    }


def _lead(
    rows: pd.DataFrame, confidence: float, *, claim: str, arms: tuple[str, str], words: str, source: str
) -> Claim:
    """Judge whether one arm improves more over the run than another."""
    groups = [overall(improvements(rows, arm)) for arm in arms]
    return {
        "statement": words,
        "source": source,
        "quantity": f"mean improvement over the run of the arm {arms[0]} over that of {arms[1]}, minus 1",
        "estimate": compared(
            rows, claim, groups, statistic=lambda one, other: one / other - 1.0, confidence=confidence
        ),
        "expected": (0.0, math.inf),
        "rival": Rival("0, as much", (0.0,)),
        "how": told(rows, arms, groups),
        "too_small": f"the arm {arms[1]} does not improve on the first policy" if groups[1].mean() <= 0.0 else "",
    }


def faster(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C9-faster in one game (docs/theory, section 12)."""
    words = "Networked agents learn faster than a central learner."
    arms = NETWORKED, CENTRALIZED
    return {
        "id": "C9-faster",
        **_lead(rows, confidence, claim="C9-faster", arms=arms, words=words, source=AUTHORS),
    }


def scores(rows: pd.DataFrame, tolerance: float, confidence: float) -> list[Claim]:
    """Judge C9-scores in one game (docs/theory, section 12); nothing without its arm."""
    if not present(rows, RANDOM):
        return []
    words = "Agents that adopt by returns learn faster than those that adopt by chance."
    source = "selection (Proposition 20.4)"
    found = _lead(rows, confidence, claim="C9-scores", arms=(NETWORKED, RANDOM), words=words, source=source)
    return [{"id": "C9-scores", **found}]


def agreement(rows: pd.DataFrame, tolerance: float, confidence: float) -> list[Claim]:
    """Judge C9-agreement in one game (docs/theory, section 12); nothing where no equilibrium is planted."""
    predicted = float(rows["agreement"].iloc[0])
    if math.isnan(predicted) or not present(rows, AGREED):
        return []
    groups = [late(curves(rows, arm, "exploitability")) for arm in (AGREED, INDEPENDENT)]
    found = compared(
        rows, "C9-agreement", groups, statistic=lambda one, other: math.log10(one / other), confidence=confidence
    )
    start = float(rows.loc[rows["epoch"] == 0, "distance"].iloc[0])
    left = float(late(curves(rows, INDEPENDENT, "distance")).mean())
    too_small = ""
    if math.isinf(predicted):
        too_small = "PMA is unstable with this step: nothing is predicted"
    elif left > SMALL * start:
        too_small = f"squared errors of {left:.2g}, of {start:.2g} at the start: the first order says little"
    expected = 0.0 if math.isinf(predicted) else math.log10(predicted)
    return [
        {
            "id": "C9-agreement",
            "statement": "Agreement costs what the Jacobians say.",
            "source": "what agreement costs (Proposition 20.6)",
            "quantity": "log10 of the exploitability of agents who agree over independent ones', minus the exact one",
            "estimate": found.shifted(-expected),
            "expected": (-tolerance, tolerance),
            "rival": Rival(f"{-expected:.3g}, no difference", (-expected,)),
            "how": f"exploitability {groups[0].mean():.3g} and {groups[1].mean():.3g}, log10 of the ratio "
            f"{found.value:.3g} "
            f"[{found.low:.3g}, {found.high:.3g}], exact {expected:.3g}; {rows['replicate'].nunique()} runs",
            "too_small": too_small,
        }
    ]


#: What a table of `networked_cells` means, in words.
TABLE = (
    "What agents play late in the run (second half), means over runs with 95 % intervals: what a best response gains "
    "against the population that the agents make (exploitability), what they earn, discounted (return), and the mean "
    "distance of two agents' policies (disagreement). All arms had the same samples."
)


def networked_cells(table: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Return what each arm plays late in the run, in every game, as text for readers.

    Parameters
    ----------
    table : DataFrame
        Of `measure.measure`, all games together.
    confidence : float
        Of the intervals.

    Returns
    -------
    DataFrame
        Of str, a row for each game and arm; `TABLE` says what it means.
    """
    found = []
    for game, rows in table.groupby("game", sort=False):
        for arm in rows["arm"].drop_duplicates():
            cells = {"game": str(game).replace("_", " "), "arm": str(arm).replace("_", " ")}
            for column in ("exploitability", "returns", "disagreement"):
                mean = partial(compared, rows, f"networked {arm} {column}", [late(curves(rows, arm, column))])
                value = mean(statistic=float, confidence=confidence)
                cells[column] = in_words(value)
            found.append(cells)
    return pd.DataFrame(found)


def in_words(found: Estimate) -> str:
    """Return a number with its interval, where it has one."""
    interval = "" if math.isnan(found.low) else f" [{found.low:.3g}, {found.high:.3g}]"
    return f"{found.value:.3g}{interval}".replace("-", "−")
