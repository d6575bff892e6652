"""Verdicts: one trajectory against methods with a generative model.

From tables to verdicts (docs/theory, section 12).
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from pma_replication import statistics
from pma_replication.judging import Claim, Rival, bootstrap_generator, compare, three_intervals, titled_table

#: Titles of methods in tables and figures. A method that is missing here goes by its name.
TITLES = {
    "pma": "PMA, one trajectory",
    "gmf_q": "GMF-Q",
    "fitted_q": "fitted Q",
    "fictitious_play": "fictitious play",
    "online_mirror_descent": "mirror descent",
    "two_timescale": "two timescales",
}

#: Samples at the first of `experiments.comparison.measure.checkpoints`. An exploitability that is small there was small
#: at the start.
FIRST_SAMPLES = 10

COMPARISON = (
    "Samples after which exploitability stays at or below the accuracy to the end of the budget: median of the "
    "replicates [bootstrap interval of tuning and measuring] (docs/theory, section 17.4). Exploitability is "
    "regularized. Accuracies are shares of the range of rewards, "
    "which compares games, or plain, in the units of a game's own rewards. PMA learns on one trajectory of N agents, "
    "and one transition of one agent is one sample; the others may call a simulator at any state, action and mean "
    "field, and one call is one sample. In brackets behind *not reached*: replicates that reach it. Last column: "
    "samples of PMA over those of the best other method."
)


def method_title(method: str) -> str:
    """Return what a method is called in tables and figures."""
    return TITLES.get(method, method.replace("_", " "))


def ordered(methods: pd.Series) -> list[str]:
    """Return the methods of a column, each once: those of `TITLES` in their order, then others in the column's."""
    return sorted(methods.unique(), key=lambda method: list(TITLES).index(method) if method in TITLES else len(TITLES))


def comparison_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return the samples that each method needs to each accuracy as text for readers.

    Parameters
    ----------
    table : DataFrame
        Of `experiments.comparison.measure.samples_to_accuracy`, all games together.

    Returns
    -------
    DataFrame
        Of str, a row for each game and accuracy; `COMPARISON` says what it means.
    """
    methods = ordered(table["method"])
    found = []
    for (game, unit, accuracy), rows in table.groupby(["game", "unit", "accuracy"], sort=False):
        points = rows.set_index("method")
        words = f"{accuracy:g} of the range" if unit == "range" else f"{accuracy:g} plain"
        cells = {"game": str(game).replace("_", " "), "accuracy": words}
        for method in methods:
            samples, low, high = (float(points[column][method]) for column in ("samples", "low", "high"))
            if samples <= FIRST_SAMPLES:
                cells[method_title(method)] = "from the start"
            elif math.isfinite(samples):
                interval = "" if math.isnan(low) else f" [{thousands(low)}, {thousands(high)}]"
                cells[method_title(method)] = thousands(samples) + interval
            else:
                reached = f"{points['n_reached'][method]} of {points['n_replicates'][method]}"
                cells[method_title(method)] = f"not reached ({reached})"
        cells["PMA / best other"] = f"{ratio:.2g}" if math.isfinite(ratio := over_best(points)[0]) else "–"
        found.append(cells)
    return pd.DataFrame(found)


def comparison_markdown(table: pd.DataFrame) -> str:
    """Return `comparison_cells` of the same table as Markdown."""
    return titled_table("# Samples to an accuracy", f"Written by the pipeline. {COMPARISON}", comparison_cells(table))


def thousands(samples: float) -> str:
    """Return a number of samples with two digits, in groups of three."""
    return f"{float(f'{samples:.2g}'):,.0f}" if math.isfinite(samples) else "∞"


def over_best(points: pd.DataFrame) -> tuple[float, str]:
    """Return PMA's samples over those of the best other method, which is named; nan if either is infinite."""
    samples = points["samples"].astype(float)
    others = samples.drop("pma")
    best = str(others.idxmin())
    finite = FIRST_SAMPLES < samples["pma"] < math.inf and FIRST_SAMPLES < others[best] < math.inf
    return (float(samples["pma"] / others[best]) if finite else math.nan), best


def no_generative_model(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C8 in one game (docs/theory, section 12)."""
    runs, points = rows[rows["replicate"].notna()], rows[rows["unit"] == "range"]
    first, third, last = three_intervals(runs["samples"])
    runs = runs[runs["method"] == "pma"].sort_values("replicate")
    learned, before = (runs.loc[runs["samples"] == at, "exploitability"].to_numpy() for at in (last, third))
    smallest = float(points["accuracy"].min())
    estimate = statistics.mean_interval(learned, bootstrap_generator(rows, "C8"), confidence)
    start = runs.loc[runs["samples"] == first, "exploitability"]
    at_start = bool((start <= smallest).any())
    # a start that is good enough already cannot be told from what is learned
    rival = Rival(
        f"{start.mean():.3g}, as after {first} samples", (float(start.mean()),), ((0.0, smallest),) if at_start else ()
    )
    too_small, settled = "", float(runs["settled"].iloc[0])
    refuted = compare((estimate.low, estimate.high), (0.0, smallest)) == "not confirmed"
    if refuted and at_start:
        too_small = "the policy that all start from is good enough already, so that there is nothing to learn"
    elif refuted and last < settled:
        when = f"after {settled:.2g} samples" if settled < math.inf else "never, as a state or an action is not visited"
        too_small = f"at the equilibrium TD learning settles {when}, and a run has {last:,}"
    elif refuted and third < last:
        fall = np.log(learned / before) / math.log(last / third)
        slope = statistics.mean_interval(fall, bootstrap_generator(rows, "C8 fall"), confidence)
        if not slope.low > -0.5:
            too_small = (
                f"from {third:,} samples to the end exploitability falls as samples^{slope.value:.2g}, and "
                "perhaps no more slowly than the theorem's -1/2"
            )
    told = []
    for accuracy, at in points.groupby("accuracy", sort=False):
        at = at.set_index("method")
        needed, (ratio, best) = float(at["samples"]["pma"]), over_best(at)
        others = at["samples"].drop("pma").astype(float)
        text = f"{thousands(needed)} samples" if math.isfinite(needed) else "not reached"
        if math.isfinite(ratio):
            text += f", {ratio:.2g} times those of {method_title(best)}"
        elif math.isfinite(others[best]):
            text += f"; {method_title(best)} {thousands(float(others[best]))}"
        else:
            text += "; no other method reaches it"
        told.append(f"{accuracy:g}: {text}")
    return {
        "id": "C8",
        "statement": "PMA learns the equilibrium on one trajectory, without a generative model.",
        "source": "abstract, contribution",
        "rival": rival,
        "quantity": "mean exploitability (regularized) of PMA at the end of the budget, in units of the rewards' range",
        "estimate": estimate,
        "expected": (0.0, smallest),
        "too_small": too_small,
        "how": "the policy that all start from is an equilibrium, so that nothing is tested"
        if at_start
        else f"{len(learned)} runs of {last:,} samples, tuned as all methods are"
        f"{statistics.apart(learned, estimate, smallest)}; samples to {'; to '.join(told)}",
    }
