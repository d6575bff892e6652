"""Figure: many methods on one trajectory. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from pma_replication.experiments.comparison.draw import SHOWN
from pma_replication.experiments.comparison.draw import data as comparison_data
from pma_replication.experiments.one_trajectory.names import ordered, title
from pma_replication.style import COLOURS, DOTTED, by_game, grid_shape, log_log, make_panels, panel_title, styled

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
    games, compared = by_game(data), ordered(list(data["method"].unique()))
    colours = itertools.cycle(COLOURS)
    looks = {
        method: LOOKS.get(method) or {"color": next(colours), "linestyle": "-.", "linewidth": 1.2}
        for method in compared
    }
    handles = [Line2D([], [], label=title(method), **look) for method, look in looks.items()]
    words = "Exploitability (regularized) in units of the range of rewards; line: median run, band: all runs"
    figure, axes = make_panels(len(games), 1.7, 0, title=words, handles=handles, ncols=4)
    shown = max(1e-4, float(data["exploitability"].max()))
    for i, (ax, (game, table)) in enumerate(zip(axes, games, strict=True)):
        for method in reversed(compared):  # PMA on top
            rows, look = table[table["method"] == method], looks[method]
            low, high, middle = (rows[column].clip(lower=SHOWN) for column in ("low", "high", "exploitability"))
            ax.fill_between(rows["samples"], low, high, color=look["color"], alpha=0.12, linewidth=0.0)
            ax.plot(rows["samples"], middle, **look)
        log_log(
            ax, "steps of the trajectory", "exploitability (regularized)" if i % grid_shape(len(games))[1] == 0 else ""
        )
        ax.set_ylim(SHOWN, 2.0 * shown)
        ax.xaxis.set_major_locator(LogLocator(numticks=6))
        ax.axhline(0.01, **DOTTED)
        panel_title(ax, i, "{}", game=game)
    return figure
