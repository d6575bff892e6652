"""What is judged on what regularization costs, and on learning along the path: from a table to verdicts.

docs/theory, sections 19.5, 19.7 and 12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pma_replication import statistics
from pma_replication.experiments.regularization.names import SCRATCH, WAYS
from pma_replication.judging import UNSETTLED, Claim, Rival, bootstrap_generator, exactly, unsettled_words
from pma_replication.statistics import Estimate


def price_of_limit(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C10-price in one game (docs/theory, section 12)."""
    row = rows.iloc[0]
    limit = float(row["limit_share"])
    known = bool(row["complete"]) and not math.isnan(limit)
    exponent = f"{row['exponent']:.3g} [{row['exponent_low']:.3g}, {row['exponent_high']:.3g}]"
    return {
        "id": "C10-price",
        "statement": "As a regularizer weakens, its cost per unit of strength tends to that of the limit's randomness.",
        "source": "what a little regularization costs (Proposition 19.5)",
        "quantity": "unregularized exploitability at the end of the path, in units of its bound",
        "estimate": exactly(float(row["share"]) if known else math.nan),
        "expected": (limit - tolerance, limit + tolerance) if known else (-math.inf, math.inf),
        "rival": Rival("1, the bound", (1.0,)),
        "how": f"exact, no sampling; the limit draws in {row['mixed']} of {row['n_states']} states and predicts "
        f"{limit:.4g}; exponent of the cost in the strength at the end {'not seen' if 'nan' in exponent else exponent}"
        if known
        else "no limit was found",
        "too_small": "" if row["complete"] else f"the path ends early: {row['ended']}",
    }


def samples(rows: pd.DataFrame, way: str, accuracy: float) -> np.ndarray:
    """Return the samples of each run of one way of learning to an accuracy, infinity where it is not reached."""
    chosen = rows[(rows["way"] == way) & (rows["accuracy"] == accuracy)]
    return chosen.sort_values("replicate")["samples"].to_numpy(float)


def ratio(groups: Sequence[np.ndarray]) -> float:
    """Return the ratio of the geometric means of the samples of two ways of learning."""
    return float(np.exp(np.log(groups[0]).mean() - np.log(groups[1]).mean()))


def annealing(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C10-annealing in one game, at the finest accuracy that all runs of one way reach (section 12)."""
    budget = float(rows["budget"].iloc[0])
    accuracies = sorted(set(rows["accuracy"]), reverse=True)
    ratios = {accuracy: at_accuracy(rows, accuracy, "C10-annealing", confidence=confidence) for accuracy in accuracies}
    compared = [accuracy for accuracy in accuracies if not math.isnan(ratios[accuracy].value)]
    finest = compared[-1] if compared else accuracies[0]
    told = []
    for accuracy in accuracies:
        groups = [samples(rows, way, accuracy) for way in WAYS]
        means = [float(np.exp(np.log(np.minimum(group, budget)).mean())) for group in groups]
        missed = [int(np.isinf(group).sum()) for group in groups]
        words = f"{accuracy:g}: {means[0]:.3g} and {means[1]:.3g} samples"
        told.append(f"{words}, not reached by {missed[0]} and {missed[1]} runs" if any(missed) else words)
    steps = [float(rows.loc[rows["way"] == way, "step_size"].iloc[0]) for way in WAYS]
    if UNSETTLED in rows:
        of_runs = rows.drop_duplicates(["way", "replicate"])
        measured = int((of_runs["budget"] / of_runs["n_updates"] + 1.0).round().sum())
        told += [words] if (words := unsettled_words(int(of_runs[UNSETTLED].sum()), measured)) else []
    return {
        "id": "C10-annealing",
        "statement": "Lowering the strength from epoch to epoch saves no samples.",
        "source": "learning along the path (section 19.7)",
        "quantity": "samples with falling strength over those without, to the finest accuracy that is reached",
        "estimate": ratios[finest],
        "expected": (1.0 - tolerance, math.inf),
        "rival": Rival("1/2", (0.5,)),
        "too_small": too_short(rows, finest, 1.0 - tolerance) if compared else unreached(rows, finest),
        "how": f"at {finest:g} of the range of the rewards; final strength {rows['strength'].iloc[0]:.3g} of it; step "
        f"sizes {steps[0]:g} and {steps[1]:g} over it, the best of those tried for each way; {'; '.join(told)}; budget "
        f"{budget:.3g}, {rows['replicate'].nunique()} replicates",
    }


def unreached(rows: pd.DataFrame, accuracy: float) -> str:
    """Return why nothing is compared where not all runs of either way reach the coarsest accuracy."""
    ends = rows.groupby("way")["last"].max().min()
    return (
        f"neither way reaches {accuracy:g} of the range of the rewards in all {rows['replicate'].nunique()} runs of "
        f"{int(rows['budget'].iloc[0]):,} samples, and all of one end at {ends:.3g} or less: it takes longer runs "
        "(n_epochs, relative_updates), other ascent_steps, or coarser accuracies"
    )


def too_short(rows: pd.DataFrame, accuracy: float, least: float) -> str:
    """Return why no run could refute that the ratio is at least `least`, in words, or nothing.

    A run takes one epoch or more, so that the ratio is at least one over the epochs that runs from scratch take.
    """
    from_scratch = np.minimum(samples(rows, SCRATCH, accuracy), float(rows["budget"].iloc[0]))
    epochs = float(np.exp(np.log(from_scratch).mean())) / float(rows["n_updates"].iloc[0])
    if 1.0 / epochs < least:
        return ""
    return (
        f"from scratch {accuracy:g} of the range of the rewards takes {epochs:.3g} times the samples of an epoch, the "
        "fewest that any way can take: it takes finer accuracies, or shorter epochs (relative_updates)"
    )


def at_accuracy(rows: pd.DataFrame, accuracy: float, claim: str, *, confidence: float) -> Estimate:
    """Return the ratio of samples to an accuracy with its interval; nan if of neither way all runs get there.

    A run that does not get there counts with the samples it had. Where runs from scratch do not, the ratio is at most
    what is measured, and the interval begins at 0; where annealed ones do not, it is at least that, and has no end.
    """
    groups = [samples(rows, way, accuracy) for way in WAYS]
    missed = [not np.isfinite(group).all() for group in groups]
    if all(missed):
        return Estimate(math.nan, math.nan, math.nan, len(groups[1]))
    groups = [np.minimum(group, float(rows["budget"].iloc[0])) for group in groups]
    rng = bootstrap_generator(rows, f"{claim} {accuracy:g}")
    found = statistics.bootstrap(groups, ratio, rng, confidence=confidence, kind="smooth")
    low, high = 0.0 if missed[1] else found.low, math.inf if missed[0] else found.high
    return Estimate(found.value, low, high, found.replicates)
