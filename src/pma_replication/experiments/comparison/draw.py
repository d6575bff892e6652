"""Figure: one trajectory against methods with a generative model.

From tables to the numbers drawn, and to the figure.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from pma_replication.experiments.comparison.judge import method_title
from pma_replication.style import COLOURS, DOTTED, by_game, grid_shape, log_log, make_panels, panel_title, styled

#: Looks of methods. A method that is missing here is drawn dash-dotted, in a colour of its own.
LEARNERS: dict[str, dict[str, Any]] = {
    "gmf_q": {"color": COLOURS[2], "linestyle": (0, (4, 1.5)), "linewidth": 1.2},
    "fitted_q": {"color": COLOURS[4], "linestyle": (0, (1, 1)), "linewidth": 1.2},
    "fictitious_play": {"color": COLOURS[0], "linewidth": 1.2},
    "online_mirror_descent": {"color": COLOURS[6], "linewidth": 1.2},
    "two_timescale": {"color": COLOURS[1], "linestyle": (0, (5, 1, 1, 1)), "linewidth": 1.2},
    "pma": {"color": "black", "linewidth": 2.2},
}

#: Smallest exploitability that is drawn; smaller ones appear at the edge of the panel.
SHOWN = 1e-6


def data(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return exploitability against samples of PMA on one trajectory and of methods with a generative model (C8).

    Parameters
    ----------
    comparison : DataFrame
        Of `experiments.comparison.measure.compare`, for one or more games.

    Returns
    -------
    DataFrame
        Columns game, method, samples, exploitability (the median replicate), low, high (the smallest and the largest).
    """
    reported = comparison[comparison["chosen"]]
    groups = reported.groupby(["game", "method", "samples"], as_index=False)["exploitability"]
    return pd.DataFrame(groups.agg(exploitability="median", low="min", high="max"))


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw exploitability against samples, PMA on one trajectory beside methods with a generative model.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    compared = list(data["method"].unique())
    order = [method for method in LEARNERS if method in compared]
    order += [method for method in compared if method not in LEARNERS]
    return lines(data, order, LEARNERS, title=method_title, axis="samples")


def lines(
    data: pd.DataFrame,
    order: Sequence[str],
    known: Mapping[str, Mapping[str, Any]],
    *,
    title: Callable[[str], str],
    axis: str,
    ncols: int = 0,
) -> Figure:
    """Draw exploitability against samples, a panel for each game, a line with a band for each method, PMA on top.

    Parameters
    ----------
    data : DataFrame
        Of `data`.
    order : sequence of str
        The methods, as the legend has them.
    known : mapping
        Looks of methods; others are dash-dotted, each in a colour of its own.
    title : callable
        What a method is called.
    axis : str
        What samples are called.
    ncols : int
        Columns of the legend; all in one row by default.

    Returns
    -------
    Figure
    """
    games, colours = by_game(data), itertools.cycle(COLOURS)
    looks = {
        method: known.get(method) or {"color": next(colours), "linestyle": "-.", "linewidth": 1.2} for method in order
    }
    handles = [Line2D([], [], label=title(method), **look) for method, look in looks.items()]
    words = "Exploitability (regularized) in units of the range of rewards; line: median run, band: all runs"
    height = 1.7 if len(games) <= 9 else 1.4  # so that four rows fit a page
    figure, axes = make_panels(len(games), height, 0, title=words, handles=handles, ncols=ncols)
    shown = max(1e-4, float(data["exploitability"].max()))
    for i, (ax, (game, table)) in enumerate(zip(axes, games, strict=True)):
        for method in sorted(order, key=lambda method: method == "pma"):
            rows, look = table[table["method"] == method], looks[method]
            low, high, middle = (rows[column].clip(lower=SHOWN) for column in ("low", "high", "exploitability"))
            ax.fill_between(rows["samples"], low, high, color=look["color"], alpha=0.15, linewidth=0.0)
            ax.plot(rows["samples"], middle, **look)
        log_log(ax, axis, "exploitability (regularized)" if i % grid_shape(len(games))[1] == 0 else "")
        ax.set_ylim(SHOWN, 2.0 * shown)
        ax.xaxis.set_major_locator(LogLocator(numticks=6))
        ax.axhline(0.01, **DOTTED)
        panel_title(ax, i, "{}", game=game)
    return figure
