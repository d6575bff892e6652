"""Samples after which runs stay below an accuracy, and the median of the setting that costs least.

Used by what measures and by what judges (docs/theory, section 17.4). Nothing compiled is loaded for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pma_replication import statistics


def stays_below(curves: pd.DataFrame, accuracy: float) -> np.ndarray:
    """Return the samples after which each replicate stays at or below an accuracy.

    Parameters
    ----------
    curves : DataFrame, shape (replicates, samples)
        Errors; the columns are numbers of samples, in increasing order.
    accuracy : float
        In the units of the errors.

    Returns
    -------
    ndarray, shape (replicates,)
        Infinite where the last error is above the accuracy.
    """
    samples = list(curves.columns.to_numpy(dtype=float))
    return np.array([statistics.samples_to_stay(accuracy, samples, list(curve)) for curve in curves.to_numpy()])


def tuned_median(groups: Sequence[np.ndarray]) -> np.ndarray:
    """Return the median rate of the setting with the smallest mean cost.

    Parameters
    ----------
    groups : sequence of ndarray, each of shape (..., runs)
        For each setting the rates of its runs, 1 / samples; then for each setting, in the same order, the costs of
        its runs. Of one setting the rates are enough.

    Returns
    -------
    ndarray, shape (...,)
    """
    n_settings = max(1, len(groups) // 2)
    medians = np.array([slower_median(group) for group in groups[:n_settings]])
    if len(groups) == 1:
        return np.asarray(medians[0])
    costs = np.array([group.mean(axis=-1) for group in groups[n_settings:]])
    return np.asarray(np.take_along_axis(medians, costs.argmin(axis=0)[None], axis=0)[0])


def slower_median(rates: np.ndarray) -> np.ndarray:
    """Return the median; of two in the middle the smaller rate, since a run that never arrives has no average.

    Parameters
    ----------
    rates : ndarray, shape (..., runs)
        1 / samples, 0 for a run that never arrives.

    Returns
    -------
    ndarray, shape (...,)
    """
    return np.asarray(np.sort(rates, axis=-1)[..., (rates.shape[-1] - 1) // 2])
