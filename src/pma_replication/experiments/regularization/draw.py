"""What is drawn on what regularization costs: from tables to the numbers, and to the figure."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pma_replication.experiments.regularization.judge import at_accuracy
from pma_replication.style import (
    DASHED,
    add_legend,
    by_game,
    draw_line,
    game_looks,
    label_decades,
    line_table,
    log_log,
    make_panels,
    panel_title,
    plain_name,
    styled,
)

#: Costs below this, in units of the range of the rewards, are rounding errors and not drawn.
ROUNDING = 1e-11

#: What ends where -> the column, and how it is called.
ENDS = {
    "certificate": ("certificate_end", "certificate"),
    "best response": ("best_response_end", "best response"),
    "mirror ascent": ("pma_end", "any step of PMA"),
}


def data(regularization: pd.DataFrame, regularization_games: pd.DataFrame, annealing: pd.DataFrame) -> pd.DataFrame:
    """Return what regularization costs against the strength, where stability ends, and what annealing does to samples.

    Parameters
    ----------
    regularization, regularization_games : DataFrame
        Of `experiments.regularization.measure.cost`, for one or more games.
    annealing : DataFrame
        Of `experiments.regularization.annealing.measure`, for one or more games.

    Returns
    -------
    DataFrame
        The module's columns, strengths and costs in units of the range of the rewards. Panel "cost": of each game
        the series "measured" and "bound"; panel "share": measured over bound (claim C10-price), and "limit", what the
        limit predicts; panel "ends": of each game the strengths of `ENDS` that are known, as value, at its number as x;
        panel "annealing": of each game and accuracy that all runs from scratch reach the ratio of samples (claim
        C10-annealing) with its interval.
    """
    parts = []
    for game, rows in by_game(regularization.sort_values("strength")):
        seen = rows[rows["exploitability"] > ROUNDING]
        parts.append(line_table("cost", game, "measured", x=seen["strength"], value=seen["exploitability"]))
        parts.append(line_table("cost", game, "bound", x=rows["strength"], value=rows["bound"]))
        share = rows["exploitability"] / rows["bound"]
        parts.append(line_table("share", game, "measured", x=rows["strength"], value=share))
        limit = regularization_games.loc[regularization_games["game"] == game, "limit_share"]
        parts.append(line_table("share", game, "limit", x=[float(rows["strength"].min())], value=limit))
    for number, (game, rows) in enumerate(by_game(regularization_games)):
        for series, (column, _) in ENDS.items():
            known = rows[rows[column] > 0.0]
            parts.append(line_table("ends", game, series, x=[number] * len(known), value=known[column]))
    for game, rows in by_game(annealing):
        parts.append(_ratios(game, rows))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _ratios(game: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the ratios of samples, annealed over from scratch, with their intervals."""
    found = []
    for accuracy in sorted(set(rows["accuracy"])):
        of = at_accuracy(rows, accuracy, "figure", confidence=0.95)
        found.append(line_table("annealing", game, "measured", x=[accuracy], value=[of.value]))
        found[-1] = found[-1].assign(low=of.low, high=of.high)
    return pd.concat(found, ignore_index=True).query("low > 0")


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw what regularization costs against its strength, what ends where, and samples with annealing.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    colours, markers, styles = game_looks(data["game"])
    panels = {name: data[data["panel"] == name] for name in ("cost", "share", "ends", "annealing")}
    handles = [
        Line2D([], [], color=colours[g], linestyle=styles[g], marker=markers[g], markersize=3.0, label=plain_name(g))
        for g in colours
    ]
    title = "What regularization costs, and how little of it is enough"
    annealed = len(panels["annealing"]) > 0
    figure, axes = make_panels(3 + annealed, 2.1, 3, title=title, handles=handles, ncols=4)
    for ax, name in zip(axes, ("cost", "share"), strict=False):
        for game, rows in by_game(panels[name]):
            draw_line(ax, rows, "measured", color=colours[game], linestyle=styles[game], linewidth=1.1)
    ax, rows = axes[0], panels["cost"]
    bounds = rows[rows["series"] == "bound"].groupby("x")["value"].agg(["min", "max"])
    ends = bounds.iloc[[0, -1]]
    per_strength = (bounds["min"] / bounds.index).min(), (bounds["max"] / bounds.index).max()
    ax.fill_between(
        ends.index,
        *(ends.index * factor for factor in per_strength),
        color="0.85",
        label="bounds of all games" if len(colours) > 1 else "bound",
    )
    log_log(ax, r"strength $\tau$ / range of rewards", "exploitability / range")
    panel_title(ax, 0, "what it costs")
    add_legend(ax, None)
    ax, rows = axes[1], panels["share"]
    for game, points in by_game(rows[rows["series"] == "limit"]):
        look: dict[str, Any] = {"color": colours[game], "marker": markers[game], "linestyle": "none"}
        ax.plot(points["x"], points["value"], markerfacecolor="none", **look)
    ax.set(xscale="log", xlabel=r"strength $\tau$ / range of rewards", ylabel="cost / bound", ylim=(-0.02, None))
    panel_title(ax, 1, "the same over its bound")
    add_legend(ax, None, [Line2D([], [], label="markers: predicted by the limit", linestyle="none")])
    _ends(axes[2], panels["ends"], colours)
    if annealed:
        _annealing(axes[3], panels["annealing"], colours, markers)
    return figure


def _ends(ax: Axes, rows: pd.DataFrame, colours: dict[str, str]) -> None:
    """Draw where the certificate, best response and mirror ascent end, a row for each game."""
    shapes = dict(zip(ENDS, ("s", "o", "x"), strict=True))
    for game, points in by_game(rows):
        for series, shape in shapes.items():
            of = points[points["series"] == series]
            ax.plot(of["value"], -of["x"], marker=shape, color=colours[game], markerfacecolor="none", linestyle="none")
    ax.set(
        xscale="log",
        xlabel=r"strength $\tau$ / range of rewards",
        yticks=[],
        ylabel="games" if rows["game"].nunique() > 1 else "",
    )
    label_decades(ax.xaxis)
    panel_title(ax, 2, "stable above")
    words = [
        Line2D([], [], color="0.3", marker=shapes[s], markerfacecolor="none", linestyle="none", label=w)
        for s, (_, w) in ENDS.items()
    ]
    add_legend(ax, None, words)


def _annealing(ax: Axes, rows: pd.DataFrame, colours: dict[str, str], markers: dict[str, str]) -> None:
    """Draw the ratio of samples against the accuracy, with intervals."""
    games = by_game(rows)
    for place, (game, points) in enumerate(games):
        x = points["x"] * 1.06 ** (place - 0.5 * (len(games) - 1))  # beside each other
        ax.vlines(x, points["low"], points["high"], color=colours[game], linewidth=1.0)
        ax.plot(x, points["value"], color=colours[game], marker=markers[game], markerfacecolor="none", linestyle="none")
    ax.axhline(1.0, **DASHED)
    log_log(ax, "accuracy / range of rewards", "samples, annealed / not")
    panel_title(ax, 3, "learning with less and less of it")
    add_legend(ax, None, [Line2D([], [], label="as many", **DASHED)])
