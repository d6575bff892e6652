"""Verdicts: many methods on one trajectory. From tables to verdicts, and to a table for readers.

docs/theory, sections 12 and 21.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pma_replication import statistics
from pma_replication.experiments.comparison.judge import FIRST_SAMPLES, thousands
from pma_replication.experiments.comparison.medians import slower_median, stays_below, tuned_median
from pma_replication.experiments.one_trajectory.names import ordered, title
from pma_replication.judging import Claim, Rival, bootstrap_generator, titled_table
from pma_replication.statistics import Estimate

#: Claim -> the method that is said to need fewer samples, the one that needs more, the largest ratio that the claim
#: allows, that of its rival, and the statement.
COMPARED: dict[str, tuple[str, str, float, float, str]] = {
    "C8-kept": (
        "pma_kept",
        "pma",
        0.5,
        1.0,
        "PMA that keeps Q from epoch to epoch needs at most half the samples of PMA that starts each epoch anew.",
    ),
    "C8-one-loop": (
        "slow_policy",
        "pma",
        0.5,
        1.0,
        "Softmax Q-learning with a slow policy, in one loop, needs at most half the samples of PMA in epochs.",
    ),
    "C8-slow": (
        "slow_policy",
        "softmax_q_learning",
        0.5,
        1.0,
        "A policy that follows Q slowly needs at most half the samples of one that follows at once.",
    ),
    "C8-pooled": (
        "pma_pooled",
        "pma",
        0.1,
        1.0 / 3.0,
        "A critic that pools all agents' transitions needs at most a tenth of the steps of one that sees one agent's.",
    ),
}

#: What the table for readers says of itself.
TABLE = (
    "Steps of the trajectory after which exploitability stays at or below the accuracy to the end of the budget: "
    "median of the replicates [bootstrap interval of tuning and measuring] (docs/theory, section 21.4). Exploitability "
    "is regularized, accuracies are shares of the range of rewards. All methods learn on one trajectory of N agents, "
    "which is never reset, and see the transitions of one agent, a sample a step; the pooled critic sees those of all "
    "N agents, and of independent learners each sees its own. In brackets behind *not reached*: replicates that reach "
    "it."
)


def groups(rows: pd.DataFrame, accuracy: float) -> tuple[list[np.ndarray], np.ndarray]:
    """Return what a method's tuned median is drawn from anew, and the rates that are reported.

    Parameters
    ----------
    rows : DataFrame
        Of `measure.compare`, of one game and method.
    accuracy : float

    Returns
    -------
    groups : list of ndarray, each of shape (replicates,)
        One over the samples to the accuracy, of each setting; then the costs of each, if there are several.
    reported : ndarray, shape (replicates,)
        One over the samples of the runs that are reported.
    """
    rates, costs, reported = [], [], []
    for _, of_setting in rows.groupby("setting", sort=False):
        curves = of_setting.pivot(index="replicate", columns="samples", values="exploitability")
        of_run = of_setting.drop_duplicates("replicate").sort_values("replicate")
        rates.append(1.0 / stays_below(curves, accuracy))
        costs.append(of_run["cost"].to_numpy())
        reported.append(rates[-1][of_run["chosen"].to_numpy()])
    return [*rates, *costs] if len(rates) > 1 else rates, np.concatenate(reported)


def ratio(rows: pd.DataFrame, fewer: str, more: str, *, claim: str, confidence: float) -> tuple[Estimate, list[float]]:
    """Return the samples of one method over those of another with its interval, and the samples of both.

    A method that does not arrive counts as arriving at the end of the budget where it is the other one, which makes the
    ratio an upper bound; it is infinite where the method itself does not arrive, and nan if neither does. The interval
    draws runs and tuning of both methods anew.
    """
    accuracy, budget = float(rows["target"].iloc[0]), float(rows["samples"].max())
    of = [groups(rows[rows["method"] == method], accuracy) for method in (fewer, more)]
    n_first = len(of[0][0])

    def quotient(rates: np.ndarray, others: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            found = np.maximum(others, 1.0 / budget) / rates
        return np.where((rates == 0.0) & (others == 0.0), np.nan, found)

    def inverse_ratio(resampled: Sequence[np.ndarray]) -> np.ndarray:
        found = quotient(tuned_median(resampled[:n_first]), tuned_median(resampled[n_first:]))
        # neither arrives: the ratio may be anything, and counts against the claim
        return 1.0 / np.where(np.isnan(found), np.inf, found)

    middles = [slower_median(reported) for _, reported in of]
    value = float(quotient(*middles))
    inverse = statistics.bootstrap(  # one over the ratio, since quantiles interpolate between numbers
        [*of[0][0], *of[1][0]],
        inverse_ratio,
        bootstrap_generator(rows, claim),
        confidence=confidence,
        along_last=True,
    )
    with np.errstate(divide="ignore"):
        low, high = (float(end) for end in 1.0 / np.array([inverse.high, inverse.low]))
        samples = [float(1.0 / middle) for middle in middles]
    if not math.isnan(value):
        low, high = min(low, value), max(high, value)
    if middles[1] == 0.0 and middles[0] > 0.0:
        low = 0.0  # the slower method did not arrive: the ratio is known from above only
    return Estimate(value, low, high, inverse.replicates), samples


def fewer_samples(rows: pd.DataFrame, tolerance: float, confidence: float) -> list[Claim]:
    """Judge C8-kept, C8-one-loop, C8-slow and C8-pooled in one game (docs/theory, section 12)."""
    methods, budget = set(rows["method"]), int(rows["samples"].max())
    claims: list[Claim] = []
    for claim, (fewer, more, most, rival, statement) in COMPARED.items():
        if not {fewer, more} <= methods:
            continue
        estimate, samples = ratio(rows, fewer, more, claim=claim, confidence=confidence)
        too_small, start = "", rows[(rows["method"] == more) & (rows["samples"] == rows["samples"].min())]
        if (start["exploitability"] <= start["target"]).any():
            too_small = "the policy that all start from is good enough already, so that there is nothing to learn"
        elif min(samples) == math.inf:
            too_small = f"neither method arrives within {budget:,} steps"
        both = [f"{title(method)} {thousands(at)}" for method, at in zip((fewer, more), samples, strict=True)]
        nothing = Estimate(math.nan, math.nan, math.nan, estimate.replicates)
        claims.append(
            {
                "id": claim,
                "statement": statement,
                "source": "the comparison of docs/theory, section 21",
                "rival": Rival(f"{rival:.3g}", (rival,)),
                "quantity": f"samples of {title(fewer)} over those of {title(more)}, "
                "at most if the latter does not arrive",
                "estimate": nothing if too_small else estimate,
                "expected": (0.0, most),
                "too_small": too_small,
                "how": f"steps to {float(rows['target'].iloc[0]):g} of the range of rewards, of {budget:,}: "
                f"{'; '.join(both)} (∞: not reached); the interval draws runs and tuning anew",
            }
        )
    return claims


def cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return the steps that each method needs to each accuracy as text for readers.

    Parameters
    ----------
    table : DataFrame
        Of `comparison.measure.samples_to_accuracy`, all games together.

    Returns
    -------
    DataFrame
        Of str, a row for each game and accuracy; `TABLE` says what it means.
    """
    found = []
    for (game, accuracy), rows in table[table["unit"] == "range"].groupby(["game", "accuracy"], sort=False):
        points = rows.set_index("method")
        texts = {"game": str(game).replace("_", " "), "accuracy": f"{accuracy:g}"}
        for method in ordered(list(table["method"].unique())):
            if method not in points.index:
                texts[title(method)] = "–"
                continue
            samples, low, high = (float(points[column][method]) for column in ("samples", "low", "high"))
            if samples <= FIRST_SAMPLES and points["samples"].get("pma", samples) > FIRST_SAMPLES:
                texts[title(method)] = f"at most {FIRST_SAMPLES}"
            elif samples <= FIRST_SAMPLES:
                texts[title(method)] = "from the start"
            elif math.isfinite(samples):
                interval = "" if math.isnan(low) else f" [{thousands(low)}, {thousands(high)}]"
                texts[title(method)] = thousands(samples) + interval
            else:
                reached = f"{points['n_reached'][method]} of {points['n_replicates'][method]}"
                texts[title(method)] = f"not reached ({reached})"
        found.append(texts)
    return pd.DataFrame(found)


def markdown(table: pd.DataFrame) -> str:
    """Return `cells` of the same table as Markdown."""
    return titled_table("# Many methods on one trajectory", f"Written by the pipeline. {TABLE}", cells(table))
