"""What is drawn on agents that pass their policies on: from a table to the numbers, and to the figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pma_mfg import seeds
from pma_replication import statistics
from pma_replication.experiments.networked.arms import (
    AGREED,
    BUFFERED,
    CENTRALIZED,
    INDEPENDENT,
    NETWORKED,
    RANDOM,
)
from pma_replication.style import COLOURS, PAGE, WIDTH, by_game, label_decades, plain_name, styled

#: Arms that are drawn -> their looks, and what they are called; others are in the table only.
LOOKS: dict[str, tuple[dict[str, Any], str]] = {
    INDEPENDENT: ({"color": COLOURS[0], "linestyle": "-"}, "independent"),
    BUFFERED[INDEPENDENT]: ({"color": COLOURS[0], "linestyle": "--"}, "independent, buffer"),
    CENTRALIZED: ({"color": COLOURS[1], "linestyle": "-"}, "centralized"),
    BUFFERED[CENTRALIZED]: ({"color": COLOURS[1], "linestyle": "--"}, "centralized, buffer"),
    NETWORKED: ({"color": COLOURS[2], "linestyle": "-"}, "networked"),
    RANDOM: ({"color": COLOURS[2], "linestyle": ":"}, "networked, random scores"),
    AGREED: ({"color": COLOURS[3], "linestyle": ":"}, "one policy, drawn at random"),
}

#: Columns of the legend.
COLUMNS = 4

#: Column -> what it is called.
AXES = {"returns": "what agents earn", "exploitability": "exploitability", "disagreement": "disagreement"}


def data(networked: pd.DataFrame) -> pd.DataFrame:
    """Return what agents play against samples (claims C9).

    Parameters
    ----------
    networked : DataFrame
        Of `experiments.networked.measure.measure`, for one or more games.

    Returns
    -------
    DataFrame
        Columns panel (returns, exploitability, disagreement), game, series (the arm), x (samples), value (mean over
        runs), low, high.
    """
    parts = []
    for game, rows in by_game(networked):
        for arm in LOOKS:
            for epoch, of_epoch in rows[rows["arm"] == arm].groupby("epoch"):
                for column in AXES:
                    values = of_epoch.sort_values("replicate")[column].to_numpy()
                    point = {"panel": column, "game": game, "series": arm, "x": float(of_epoch["samples"].iloc[0])}
                    parts.append({**point, **_mean(values, game, arm, int(str(epoch)))})
    return pd.DataFrame(parts).sort_values(["panel", "game", "series", "x"], ignore_index=True)


def _mean(values: np.ndarray, game: str, arm: str, epoch: int) -> dict[str, float]:
    """Return the mean over runs with its interval; at the start all runs are the same."""
    if np.ptp(values) == 0.0:
        return dict.fromkeys(("value", "low", "high"), float(values[0]))
    rng = seeds.generator(0, "figure", "networked", game, arm, epoch)
    found = statistics.bootstrap([values], lambda drawn: drawn[0].mean(axis=-1), rng, along_last=True)
    return {"value": found.value, "low": found.low, "high": found.high}


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw returns, exploitability and disagreement against samples, a row for each game.

    Exploitability has a logarithmic axis where it falls more than tenfold.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = by_game(data)
    drawn = [Line2D([], [], label=words, **look) for arm, (look, words) in LOOKS.items() if arm in set(data["series"])]
    left, right, above, between = 0.85, 0.25, 0.6, (0.5, 0.3)  # between columns, between rows
    below = 0.62 + 0.17 * -(-len(drawn) // COLUMNS)
    height = min(1.2, (PAGE * WIDTH - above - below + between[1]) / len(games) - between[1])
    total = above + len(games) * (height + between[1]) - between[1] + below
    width = (WIDTH - left - right - (len(AXES) - 1) * between[0]) / len(AXES)
    figure = Figure(figsize=(WIDTH, total))
    figure.subplots_adjust(
        left=left / WIDTH,
        right=1.0 - right / WIDTH,
        bottom=below / total,
        top=1.0 - above / total,
        wspace=between[0] / width,
        hspace=between[1] / height,
    )
    axes = figure.subplots(len(games), len(AXES), sharex="row", squeeze=False)
    for row, (game, table) in zip(axes, games, strict=True):
        for ax, (column, title) in zip(row, AXES.items(), strict=True):
            _curves(ax, table[table["panel"] == column])
            if ax in axes[0]:
                ax.set_title(title, loc="center")
        row[0].set_ylabel(plain_name(game, height))
    for ax in axes[-1]:
        ax.set_xlabel("samples")
    title = "Agents that pass their policies on, beside independent agents and a central learner"
    figure.suptitle(title, x=0.5, y=1.0 - 0.08 / total, va="top")
    figure.legend(handles=drawn, loc="lower center", bbox_to_anchor=(0.5, 0.0), ncols=COLUMNS)
    return figure


def _curves(ax: Axes, table: pd.DataFrame) -> None:
    """Draw the means of all arms against samples, with their intervals."""
    for arm, (look, _) in LOOKS.items():
        rows = table[table["series"] == arm].sort_values("x")
        ax.plot(rows["x"], rows["value"], **look)
        if len(rows) and rows["low"].notna().all():
            ax.fill_between(rows["x"], rows["low"], rows["high"], color=look["color"], alpha=0.15, linewidth=0)
    start = table.loc[table["x"] == table["x"].min(), "value"].max()
    if (table["panel"] == "exploitability").all() and start > 10.0 * table["value"].min() > 0.0:
        ax.set_yscale("log")
        label_decades(ax.yaxis)
