"""What is drawn on agents that pass their policies on: from a table to the numbers, and to the figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
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
from pma_replication.style import COLOURS, by_game, make_panels, panel_title, styled

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

#: Column -> the label of its axis.
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
    found = statistics.bootstrap([values], lambda drawn: float(drawn[0].mean()), rng)
    return {"value": found.value, "low": found.low, "high": found.high}


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw returns, exploitability and disagreement against samples, a row for each game.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = list(data["game"].drop_duplicates())
    handles = [
        Line2D([], [], label=words, **look) for arm, (look, words) in LOOKS.items() if arm in set(data["series"])
    ]
    title = "Agents that pass their policies on, beside independent agents and a central learner"
    figure, axes = make_panels(3 * len(games), 1.5, 0, title=title, handles=handles, ncols=4)
    for i, (ax, (game, column)) in enumerate(zip(axes, [(g, c) for g in games for c in AXES], strict=True)):
        for arm, (look, _) in LOOKS.items():
            rows = data[(data["game"] == game) & (data["panel"] == column) & (data["series"] == arm)].sort_values("x")
            if len(rows):
                ax.plot(rows["x"], rows["value"], **look)
                if rows["low"].notna().all():
                    ax.fill_between(rows["x"], rows["low"], rows["high"], color=look["color"], alpha=0.15, linewidth=0)
        ax.set_ylabel(AXES[column])
        if i >= 3 * (len(games) - 1):
            ax.set_xlabel("samples")
        panel_title(ax, i, "{}", game=game)
    return figure
