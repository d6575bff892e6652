"""Figure: many methods on one trajectory. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from pma_replication.experiments.comparison.draw import data as comparison_data
from pma_replication.experiments.comparison.draw import lines
from pma_replication.experiments.one_trajectory.names import ordered, title
from pma_replication.style import COLOURS, styled

#: Looks of methods. A method that is missing here is drawn dash-dotted, in a colour of its own.
LOOKS: dict[str, dict[str, Any]] = {
    "softmax_sarsa": {"color": COLOURS[2], "linestyle": (0, (4, 1.5)), "linewidth": 1.2},
    "softmax_q_learning": {"color": COLOURS[4], "linestyle": (0, (1, 1)), "linewidth": 1.2},
    "slow_policy": {"color": COLOURS[0], "linewidth": 1.2},
    "actor_critic": {"color": COLOURS[6], "linestyle": (0, (5, 1, 1, 1)), "linewidth": 1.2},
    "pma_pooled": {"color": "0.45", "linewidth": 1.2},
    "pma_independent": {"color": "0.45", "linestyle": (0, (2, 1)), "linewidth": 1.2},
    "pma_networked": {"color": COLOURS[3], "linestyle": (0, (2, 1)), "linewidth": 1.2},
    "pma_buffered": {"color": COLOURS[5], "linewidth": 1.2},
    "pma_kept": {"color": COLOURS[1], "linewidth": 1.2},
    "pma": {"color": "black", "linewidth": 2.2},
}


def data(one_trajectory: pd.DataFrame) -> pd.DataFrame:
    """Return exploitability against steps of the trajectory, of each method as it is tuned.

    Parameters
    ----------
    one_trajectory : DataFrame
        Of `experiments.one_trajectory.measure.compare`, for one or more games.

    Returns
    -------
    DataFrame
        Columns game, method, samples, exploitability (the median replicate), low, high (the smallest and the largest).
    """
    return comparison_data(one_trajectory)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw exploitability against steps of one trajectory, a line for each method.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    compared = ordered(list(data["method"].unique()))
    return lines(data, compared, LOOKS, title=title, axis="steps of the trajectory", ncols=4)
