"""How the samples to an accuracy are read off the runs of `measure.compare` (docs/theory, section 10.12)."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Exploitability, or distance, for each number of updates per epoch: arrays of shape (replicates, K + 1).
Curves = dict[int, np.ndarray]

#: Share of the first exploitability above which the end of a run counts as not learned yet; no slope is fitted to such
#: ends.
LEARNED = 0.5

#: An accuracy counts as reached if it is kept over at least as many epochs, the last ones of a run.
HOLD = 10


def curves(rows: pd.DataFrame, method: str, column: str = "exploitability") -> Curves:
    """Return a column of one game and method: for each number of updates an array of shape (replicates, K + 1).

    The exploitability is in units of the first policy's.
    """
    of_method = rows[rows["method"] == method]
    found = {}
    for n_updates in sorted(set(of_method["n_updates"].tolist())):
        runs = of_method[of_method["n_updates"] == n_updates]
        table = runs.pivot(index="replicate", columns="epoch", values=column).to_numpy()
        found[n_updates] = table / table[:, :1] if column == "exploitability" else table
    return found


def last(group: np.ndarray) -> np.ndarray:
    """Return the mean of each run over its last `HOLD` epochs, shape (replicates,), from (replicates, K + 1)."""
    return np.asarray(group[:, -HOLD:].mean(axis=1))


def elsewhere(rows: pd.DataFrame, method: str) -> str:
    """Return words on runs that all end far from this equilibrium, as at another one of the game, or nothing."""
    found = curves(rows, method, "error").values()
    ends, start = [float(last(group).mean()) for group in found], max(float(group[:, 0].mean()) for group in found)
    if min(ends) <= LEARNED * start:
        return ""
    return f"; all end {min(ends):.3g} or more away from this equilibrium, where the start is {start:.3g} away"


def samples(rows: pd.DataFrame, method: str) -> Curves:
    """Return the samples up to each epoch of one game and method, shape (K + 1,), for each number of updates."""
    of_method = rows[rows["method"] == method]
    first = of_method[of_method["replicate"] == of_method["replicate"].min()].sort_values("epoch")
    return {int(n_updates): of_run["samples"].to_numpy(float) for n_updates, of_run in first.groupby("n_updates")}


def samples_to(accuracy: float, found: Curves, taken: Curves) -> float:
    """Return the least samples after which an accuracy is kept (docs/theory, section 10.12); infinity if it never is.

    Parameters
    ----------
    accuracy : float
    found, taken : dict of int to ndarray
        Of `curves` and of `samples`.

    Returns
    -------
    float
    """
    least = np.inf
    for n_updates, group in found.items():
        mean = group.mean(axis=0)
        n = len(mean)
        rest = np.cumsum(mean[::-1])[::-1] / np.arange(n, 0, -1)  # the mean from each epoch on
        kept = np.flatnonzero(np.maximum(rest, mean)[1 : n - HOLD + 1] <= accuracy)
        if len(kept):
            least = min(least, float(taken[n_updates][1 + kept[0]]))
    return least
