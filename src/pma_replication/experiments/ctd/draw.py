"""Figure: the error of temporal-difference learning. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from pma_replication.experiments.ctd.judge import ROUNDED_BIAS
from pma_replication.style import (
    DASHED,
    DOTTED,
    WIDTH,
    by_game,
    draw_line,
    grid_shape,
    largest_population,
    line_table,
    log_log,
    ordered_colours,
    panel_title,
    styled,
)

#: Looks of what is measured, and of a prediction beyond the exact one.
POINTS: dict[str, Any] = {"marker": "o", "linestyle": "none", "markersize": 3.5}
CROSSES: dict[str, Any] = {"marker": "x", "linestyle": "none", "markersize": 5.0, "markeredgewidth": 0.7}
CONTINUED = (0, (3, 1.5))

ERROR = r"Error after $M_{\mathrm{td}}$ updates: points measured, lines predicted"
MEASURED_ERROR = r"Error after $M_{\mathrm{td}}$ updates, measured"
BIAS = r"Bias of waiting only $M_{\mathrm{mix}}$ steps: points exact, dotted line predicted"


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
        at x = M_td and y = N or M_mix; from the largest M_td with exact moments on "continued", where their mean
        square falls as 1 / M_td. Panel "mixing": the bias of waiting at x = M_mix ("exact"), its line with the
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
            end = limit.loc[limit.groupby(y)["n_updates"].idxmax(), [y, "n_updates", "mean_square"]]
            later = mean.merge(end, on=y, suffixes=("", "_exact")).query("n_updates >= n_updates_exact")
            points = {"panel": panel, "game": game, "x": later["n_updates"].astype(float), "y": later[y].astype(float)}
            falling = later["mean_square_exact"] * later["n_updates_exact"] / later["n_updates"]
            value = np.sqrt(falling + later["predicted_mean_square"])
            parts.append(pd.DataFrame({**points, "series": "continued", "value": value}))
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
    """Draw the error of TD learning over M_td with its prediction, and below it the bias of waiting.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = by_game(data)
    colours = ordered_colours(data.loc[data["panel"] == "agents", "y"])
    predicted = not {"predicted", "continued"}.isdisjoint(data["series"])
    blocks = (  # what is drawn, height and distance of its panels in inches, legend, heading
        (_error, 1.15, 0.3, _error_handles(colours, set(data["series"])), ERROR if predicted else MEASURED_ERROR),
        (_bias, 0.95, 0.47, _bias_handles(), BIAS),
    )
    n_rows, n_columns = grid_shape(len(games))
    n_names = 3 if n_columns > 1 else 1
    left, right, gap, above, below, line = 0.62, 0.12, 0.62, 0.46, 0.46, 0.17
    heights = [
        above + n_rows * height + (n_rows - 1) * between + below + line * -(-len(handles) // n_names) + 0.1
        for _, height, between, handles, _ in blocks
    ]
    size = (WIDTH if n_columns > 1 else 0.6 * WIDTH, sum(heights))
    width = (size[0] - left - right - (n_columns - 1) * gap) / n_columns
    figure = Figure(figsize=size)
    for k, (draw, height, between, handles, heading) in enumerate(blocks):
        top = sum(heights[k:])
        figure.text(0.08 / size[0], (top - 0.06) / size[1], heading, va="top", fontsize=10.0)
        first: Axes | None = None
        for i, (game, table) in enumerate(games):
            row, column = divmod(i, n_columns)
            corner = left + column * (width + gap), top - above - (row + 1) * height - row * between
            place = (corner[0] / size[0], corner[1] / size[1], width / size[0], height / size[1])
            ax = figure.add_axes(place, sharex=first, sharey=first)
            first = ax if draw is _error else None  # biases have axes of their own
            draw(ax, table, colours, leftmost=column == 0, lowest=i + n_columns >= len(games))
            panel_title(ax, k * len(games) + i, "{}", game=game)
        floor = (top - heights[k] + 0.08) / size[1]
        figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, floor), ncols=n_names, borderaxespad=0.0)
    return figure


def _error(ax: Axes, table: pd.DataFrame, colours: dict[float, str], *, leftmost: bool, lowest: bool) -> None:
    """Draw measured errors as points and predicted ones as lines, over M_td."""
    for n_agents, colour in colours.items():
        rows = table[(table["panel"] == "agents") & (table["y"] == n_agents)]
        draw_line(ax, rows, "predicted", color=colour)
        draw_line(ax, rows, "continued", color=colour, linestyle=CONTINUED)
        draw_line(ax, rows, "measured", color=colour, **POINTS)
    for _, rows in table[table["panel"] == "waiting"].groupby("y"):
        draw_line(ax, rows, "measured", color=list(colours.values())[-1], **CROSSES)
    log_log(ax, r"TD updates $M_{\mathrm{td}}$" if lowest else "", "error of $Q$ (rms)" if leftmost else "")
    ax.tick_params(labelbottom=lowest)


def _bias(ax: Axes, table: pd.DataFrame, colours: dict[float, str], *, leftmost: bool, lowest: bool) -> None:
    """Draw the bias of waiting as points, and lines with the rates of the learner's chain and of the theory."""
    rows = table[table["panel"] == "mixing"]
    draw_line(ax, rows, "bound", **DASHED)
    draw_line(ax, rows, "eigenvalue", **DOTTED)
    draw_line(ax, rows, "exact", color="black", **POINTS)
    ax.set(yscale="log", ylabel="bias of $Q$" if leftmost else "")
    ax.set_xlabel(r"waiting $M_{\mathrm{mix}}$" if lowest else "")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    ax.yaxis.set_major_locator(LogLocator(numticks=5))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _error_handles(colours: dict[float, str], series: set[str]) -> list[Line2D]:
    """Return the legend of the errors: numbers of agents, and what is measured and what predicted, if anything is."""
    continued = r"predicted, continued with slope $-1/2$"
    agents = [Line2D([], [], color=colour, label=f"$N = {_count(n)}$", **POINTS) for n, colour in colours.items()]
    return [
        *agents,
        Line2D([], [], color=list(colours.values())[-1], label=r"the same, for each $M_{\mathrm{mix}}$", **CROSSES),
        *([Line2D([], [], color="0.3", label="predicted")] if "predicted" in series else []),
        *([Line2D([], [], color="0.3", linestyle=CONTINUED, label=continued)] if "continued" in series else []),
    ]


def _bias_handles() -> list[Line2D]:
    """Return the legend of the biases."""
    return [
        Line2D([], [], color="black", label="exact bias", **POINTS),
        Line2D([], [], label=r"predicted: rate $|\lambda_2|$ of the chain", **DOTTED),
        Line2D([], [], label=r"theory's bound: rate $L_{\mathrm{pop}}$", **DASHED),
    ]


def _count(number: float) -> str:
    """Return a number of agents in few characters, as mathematics."""
    power = np.log10(number) if number >= 1000 else 0.5
    return rf"10^{{{power:.0f}}}" if power == round(power) else f"{number:g}"
