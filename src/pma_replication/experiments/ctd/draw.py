"""Figure: the error of temporal-difference learning. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, NullFormatter

from pma_replication.experiments.ctd.judge import ROUNDED_BIAS
from pma_replication.style import (
    COLOURS,
    DASHED,
    DOTTED,
    WIDTH,
    by_game,
    cell_edges,
    draw_line,
    largest_population,
    line_table,
    panel_title,
    styled,
)

#: Outline that makes a white line or letter readable on any colour.
_OUTLINED = [withStroke(linewidth=2.5, foreground="0.25")]


def data(ctd: pd.DataFrame, moments: pd.DataFrame) -> pd.DataFrame:
    """Return the error of TD learning over M_td, N and M_mix, and the bias of waiting (claim C3).

    Parameters
    ----------
    ctd : DataFrame
        Of `experiments.ctd.measure.ctd_errors`, for one or more games.
    moments : DataFrame
        Of `experiments.ctd.measure.ctd_moments`, for the same games.

    Returns
    -------
    DataFrame
        Columns panel, game, series, x, y, value. Panels "agents" and "waiting": root mean square error ("measured",
        over entries of Q and replicates, and "predicted", exactly, with the square of the limit for N agents added)
        at x = M_td and y = N or M_mix. Panel "mixing": the bias of waiting at x = M_mix ("exact"), its line with the
        rate |lambda_2| ("eigenvalue") and one with the theory's rate L_pop ("bound").
    """
    parts = []
    for game, table in by_game(ctd):
        largest = largest_population(table)
        first = largest["n_waiting"].iloc[0]  # M_mix of the settings, in every population
        exact = moments[(moments["game"] == game) & np.isfinite(moments["n_waiting"])].astype({"n_waiting": int})
        for panel, y, rows in (
            ("agents", "n_agents", table[table["n_waiting"] == first]),
            ("waiting", "n_waiting", largest),
        ):
            mean = rows.groupby([y, "n_updates"], as_index=False)[["mean_square", "predicted_mean_square"]].mean()
            points = {"panel": panel, "game": game, "x": mean["n_updates"].astype(float), "y": mean[y].astype(float)}
            parts.append(pd.DataFrame({**points, "series": "measured", "value": np.sqrt(mean["mean_square"])}))
            known = rows.drop(columns="mean_square").merge(exact[["n_waiting", "n_updates", "mean_square"]])
            limit = known.groupby([y, "n_updates"], as_index=False)[["mean_square", "predicted_mean_square"]].mean()
            points = {"panel": panel, "game": game, "x": limit["n_updates"].astype(float), "y": limit[y].astype(float)}
            value = np.sqrt(limit["mean_square"] + limit["predicted_mean_square"])
            parts.append(pd.DataFrame({**points, "series": "predicted", "value": value}))
        last = exact[exact["n_updates"] == exact["n_updates"].max()]
        last = last[last["mixing_bias"] > ROUNDED_BIAS].sort_values("n_waiting")
        x, bias = last["n_waiting"].to_numpy(float), last["mixing_bias"].to_numpy()
        parts.append(line_table("mixing", game, "exact", x=x, value=bias))
        centre = float(np.exp(np.mean(np.log(bias) - x * np.log(last["forgetting_rate"]))))
        parts.append(line_table("mixing", game, "eigenvalue", x=x, value=centre * last["forgetting_rate"] ** x))
        parts.append(line_table("mixing", game, "bound", x=x, value=bias[0] * last["L_pop"] ** (x - x[0])))
    columns = ["panel", "game", "series", "x", "y", "value"]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw the error of TD learning over M_td, N and M_mix, and the bias of waiting, one row a game.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = by_game(data)
    surfaces = data[data["panel"] != "mixing"]
    ends = (surfaces["value"].min(), surfaces["value"].max())
    norm = LogNorm(*ends if ends[0] < ends[1] else (0.9 * ends[0], 1.1 * ends[0]))
    height, above, below, bottom = 1.45, 0.28, 0.5, 0.95
    size = (WIDTH, len(games) * (above + height + below) + bottom)
    figure = Figure(figsize=size)
    labels = {"agents": "agents $N$", "waiting": r"waiting $M_{\mathrm{mix}}$"}
    for i, (game, table) in enumerate(games):
        floor = (bottom + below + (len(games) - 1 - i) * (above + height + below)) / size[1]
        places = [(left / size[0], floor, 1.6 / size[0], height / size[1]) for left in (0.62, 2.88, 5.28)]
        axes = [figure.add_axes(place) for place in places]
        for j, (panel, label) in enumerate(labels.items()):
            _surface(axes[j], table[table["panel"] == panel], norm, label)
            panel_title(axes[j], 3 * i + j, "{}, " + (r"all $N$" if j == 0 else r"all $M_{\mathrm{mix}}$"), game=game)
        ax, rows = axes[2], table[table["panel"] == "mixing"]
        draw_line(ax, rows, "bound", **DASHED)
        draw_line(ax, rows, "eigenvalue", **DOTTED)
        draw_line(ax, rows, "exact", color=COLOURS[6], marker="o", linestyle="none", markersize=4.0)
        ax.set(
            yscale="log",
            xlabel=labels["waiting"],
            ylabel=r"$\|\mathrm{E} Q_M - \mathrm{E} Q_M^{\mathrm{iid}}\|_\infty$",
        )
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        ax.yaxis.set_minor_formatter(NullFormatter())
        panel_title(ax, 3 * i + 2, "{}: bias of waiting", game=game)
    bar = figure.add_axes((0.62 / size[0], 0.62 / size[1], 3.86 / size[0], 0.12 / size[1]))
    figure.colorbar(ScalarMappable(norm), cax=bar, orientation="horizontal")
    bar.set_xlabel("measured root mean square error of an entry of $Q$")
    figure.legend(
        handles=[
            Line2D([], [], color="white", linewidth=1.2, path_effects=_OUTLINED, label="predicted error"),
            Line2D([], [], color=COLOURS[6], marker="o", linestyle="none", markersize=4.0, label="exact bias"),
            Line2D([], [], label=r"rate $|\lambda_2|$", **DOTTED),
            Line2D([], [], label=r"theory's rate $L_{\mathrm{pop}}$", **DASHED),
        ],
        loc="lower right",
        bbox_to_anchor=(1.0, 0.0),
        ncols=1,
    )
    return figure


def _surface(ax: Axes, table: pd.DataFrame, norm: LogNorm, ylabel: str) -> None:
    """Draw measured values as cells and the predicted ones as contours, over M_td and rows of equal height."""
    measured = table[table["series"] == "measured"].pivot(index="y", columns="x", values="value")
    predicted = table[table["series"] == "predicted"].pivot(index="y", columns="x", values="value")
    updates = measured.columns.to_numpy(float)
    ax.pcolormesh(cell_edges(np.log10(updates)), np.arange(len(measured) + 1) - 0.5, measured, norm=norm)
    if min(predicted.shape) >= 2:
        rows = [list(measured.index).index(y) for y in predicted.index]
        levels = [
            level
            for level in np.outer(10.0 ** np.arange(-6, 3), [1.0, 3.0]).ravel()
            if predicted.to_numpy().min() < level < predicted.to_numpy().max()
        ]
        x = np.log10(predicted.columns.to_numpy(float))
        drawn = ax.contour(
            x, rows, np.log(predicted), np.log(levels), colors="white", linestyles="solid", linewidths=1.2
        )
        drawn.set(path_effects=_OUTLINED)
        names = {np.log(level): f"{level:g}" for level in levels}
        texts = ax.clabel(drawn, fmt=names, fontsize=8.0)
        for text in texts:
            text.set(path_effects=_OUTLINED)
    ticks = [x for x in range(16) if updates.min() <= 10.0**x <= updates.max()]
    ax.set_xticks(ticks, [rf"$10^{{{x}}}$" for x in ticks])
    ax.set_yticks(range(len(measured)), [_count(y) for y in measured.index])
    ax.set(xlabel=r"TD updates $M_{\mathrm{td}}$", ylabel=ylabel)


def _count(number: float) -> str:
    """Return a number of agents or steps in few characters."""
    power = np.log10(number) if number >= 1000 else 0.5
    return rf"$10^{{{power:.0f}}}$" if power == round(power) else f"{number:g}"
