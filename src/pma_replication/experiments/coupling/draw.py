"""Figure: mirror ascent and best response with one TD budget.

From a table to the numbers drawn, and to the figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pma_mfg import seeds
from pma_replication import statistics
from pma_replication.experiments.coupling.names import BEST_RESPONSE, BLIND, FASTEST, MIRROR_ASCENT
from pma_replication.experiments.coupling.reading import Curves, curves, samples, samples_to
from pma_replication.style import COLOURS, DOTTED, by_game, label_decades, make_panels, panel_title, plain_name, styled

#: Methods in words, and their looks; the last is drawn on top.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    FASTEST: ("mirror ascent, fastest", {"color": COLOURS[5], "marker": "v", "linestyle": "--"}),
    BEST_RESPONSE: ("best response", {"color": COLOURS[2], "marker": "s"}),
    BLIND: ("blind mirror ascent", {"color": COLOURS[1], "marker": "D", "linestyle": ":"}),
    MIRROR_ASCENT: ("mirror ascent, one step size", {"color": COLOURS[6], "marker": "o"}),
}

#: The mark of a method that never reached the accuracy is at this multiple of the largest budget.
ABOVE = 2.5

#: Three panels are the most, so that the figure is as wide as a column.
MOST_LINES = 2


def data(coupling: pd.DataFrame) -> pd.DataFrame:
    """Return the samples to the accuracy against the spectral radius of the best response (claim C4-price).

    Parameters
    ----------
    coupling : DataFrame
        Of `experiments.coupling.measure.compare`, for one or more games.

    Returns
    -------
    DataFrame
        Columns line, game, method, series ("measured", or "never" if the accuracy is never reached), x (the radius),
        value, low, high (samples, with their interval, in which runs are resampled and the updates chosen anew; nan for
        "never"), budget (the most samples of a run of the method), accuracy.
    """
    rows = []
    for game, table in by_game(coupling):
        accuracy = float(table["accuracy"].iloc[0])
        for method in sorted(set(table["method"]), key=list(METHODS).index):
            found = curves(table, method)
            budget = float(table.loc[table["method"] == method, "samples"].max())
            taken = samples(table, method)
            cost = partial(_samples, updates=list(found), accuracy=accuracy, taken=taken, never=ABOVE * budget)
            rng = seeds.generator(0, "figure", "coupling", game, method)
            found_samples = statistics.bootstrap(list(found.values()), cost, rng)
            reached = found_samples.value < ABOVE * budget
            rows.append(
                {
                    "line": table["line"].iloc[0],
                    "game": game,
                    "method": method,
                    "series": "measured" if reached else "never",
                    "x": table["best_response_radius"].iloc[0],
                    "value": found_samples.value if reached else np.nan,
                    "low": found_samples.low if reached else np.nan,
                    "high": found_samples.high if reached else np.nan,
                    "budget": budget,
                    "accuracy": accuracy,
                }
            )
    return pd.DataFrame(rows)


def _samples(
    drawn: Sequence[np.ndarray], *, updates: Sequence[int], accuracy: float, taken: Curves, never: float
) -> float:
    """Return the samples to the accuracy, or a number beyond the largest budget: no interval contains infinity."""
    return min(samples_to(accuracy, dict(zip(updates, drawn, strict=True)), taken), never)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw the samples to the accuracy against the radius, a panel for each line of several games, and one of the rest.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    sizes = data.groupby("line")["game"].nunique().sort_index(ascending=False)
    lines = [str(name) for name in sizes.index[sizes > 1]][:MOST_LINES]
    others = data[~data["line"].isin(lines)]
    handles = [Line2D([], [], label=words, **look) for words, look in reversed(METHODS.values())]
    never = Line2D([], [], color="0.3", marker="o", markerfacecolor="white", linestyle="none", label="never")
    n_panels = len(lines) + bool(len(others))
    title = "Learning from one trajectory" + (", as agents affect each other more" if lines else "")
    figure, axes = make_panels(n_panels, 2.1, 1, title=title, handles=[*handles, never], sharey=True)
    top, bottom = ABOVE * float(data["budget"].max()), float(data[["value", "low"]].min().min())
    places = {game: float(i) for i, game in enumerate(dict.fromkeys(others["game"]))}
    for i, ax in enumerate(axes):
        on_line = i < len(lines)
        rows = data[data["line"] == lines[i]] if on_line else others.assign(x=others["game"].map(places))
        for k, (method, (_, look)) in enumerate(METHODS.items()):
            of_method = rows[rows["method"] == method].sort_values("x")
            x = of_method["x"].to_numpy(float)
            # beside each other, so that no mark hides another
            x = x * 1.12 ** (k - 1.5) if on_line else x + 0.16 * (k - 1.5)
            _draw(ax, x, of_method, top, look if on_line else {**look, "linestyle": "none"})
        ax.set(yscale="log", ylim=(0.5 * bottom if bottom > 0.0 else None, 1.7 * top))
        label_decades(ax.yaxis)
        if on_line:
            ax.axvline(1.0, **DOTTED)
            ax.set(xscale="log", xlabel=r"coupling $r(J_\infty)$", xticks=sorted(set(rows["x"].round(2))))
            ax.minorticks_off()
            ax.set_xticklabels([f"{x:g}" for x in ax.get_xticks()])
            panel_title(ax, i, "through the {}", game=lines[i])
        else:
            ax.set_xticks(list(places.values()), [plain_name(game, 0.8) for game in places])
            if not lines:  # few games: the marks of one stay near its tick
                ax.set_xlim(-0.8, len(places) - 0.2)
            for label in ax.get_xticklabels():
                label.set(rotation=25, ha="right", rotation_mode="anchor")
            alone = next(iter(places)) if len(data["game"].unique()) == 1 else ""
            panel_title(ax, i, "{}" if alone else "further games" if lines else "game by game", game=alone)
    axes[0].set_ylabel(f"samples to {data['accuracy'].iloc[0]:g} of the exploitability")
    return figure


def _draw(ax: Any, x: np.ndarray, rows: pd.DataFrame, top: float, look: dict[str, Any]) -> None:
    """Draw a method: filled marks with intervals where the accuracy is reached, hollow ones at the top elsewhere."""
    reached = rows["value"].notna().to_numpy()
    marks = {"color": look["color"], "marker": look["marker"], "linestyle": "none"}
    if not reached.all():
        ax.plot(x[~reached], np.full((~reached).sum(), top), markerfacecolor="white", clip_on=False, **marks)
    if reached.any():
        height = rows["value"].to_numpy()[reached]
        ends = np.abs(rows[["low", "high"]].to_numpy()[reached].T - height)
        ax.plot(x[reached], height, **{**look, "marker": "none"})
        ax.errorbar(x[reached], height, ends, capsize=2.0, elinewidth=0.8, **marks)
