"""What is drawn on games from the literature: from tables to the numbers drawn, and to the figure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from pma_replication.style import (
    COLOURS,
    WIDTH,
    by_game,
    drawable,
    grid_shape,
    panel_letter,
    plain_name,
    short_heading,
    shortened,
    styled,
    text_width,
)


def data(literature: pd.DataFrame, literature_states: pd.DataFrame) -> pd.DataFrame:
    """Return the equilibrium populations and the most likely action of each game from the literature.

    Parameters
    ----------
    literature, literature_states : DataFrame
        Of `experiments.literature.measure.table`, for one or more games.

    Returns
    -------
    DataFrame
        Columns game, states, actions, strength, equilibrium (its number), state, label, column, row (place; nan without
        a layout), value (the mean field), action, action_number, probability (of it), transient.
    """
    data = literature_states.merge(literature[["game", "states", "actions", "strength"]], on="game")
    data = data.rename(columns={"mean_field": "value"})
    order = ["game", "states", "actions", "strength", "equilibrium", "state", "label", "column", "row", "value"]
    data = data[[*order, "action", "action_number", "probability", "transient"]]
    return data.sort_values(["game", "equilibrium", "state"], ignore_index=True)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw each game's equilibrium: a grid as a heat map with arrows, other games as bars, a glyph per likely action.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = [
        (
            game,
            table.assign(
                label=drawable(table["label"], "state", table["state"]),
                action=drawable(table["action"], "action", table["action_number"]),
            ),
        )
        for game, table in by_game(data)
    ]
    n_rows, n_columns = grid_shape(len(games))
    width = WIDTH if n_columns > 1 else 0.6 * WIDTH
    figure = Figure(figsize=(width, 2.3 * n_rows + 0.9), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax in axes[len(games) :]:
        ax.remove()
    for i, (game, table) in enumerate(games):
        ax = axes[i]
        others, table = table[table["equilibrium"] > 0], table[table["equilibrium"] == 0]
        if _is_grid(table):
            _draw_grid(ax, table, others)
        else:
            _draw_bars(ax, table, others)
        size = f"S = {table['states'].iloc[0]}, A = {table['actions'].iloc[0]}, τ = {table['strength'].iloc[0]:g}"
        count = f" ({1 + others['equilibrium'].nunique()} found)" if len(others) else ""
        name = plain_name(game, 1.5 - text_width(count, 8.0))
        ax.set_title(f"$\\mathbf{{{panel_letter(i)}}}$  {name}{count}\n{size}", fontsize=8)
    figure.suptitle(short_heading("Games from the literature: equilibrium populations", n_columns))
    key = (
        "Arrows and words: the most likely action (• stay), pale below probability 1/2, none where several are.",
        "Hatched cells: transient states, which the equilibrium leaves for good. Red: further equilibria found;",
        "lines are their populations, a ring is where one has its largest share.",
    )
    figure.supxlabel("\n".join(short_heading(line, n_columns) for line in key), fontsize=8.0)
    figure.draw_without_rendering()  # settles the layout, which is then kept: saving again gives the same bytes
    figure.set_layout_engine("none")
    return figure


#: Action -> the glyph it is drawn with; other actions are named in full or by their number.
_GLYPHS = {"up": "↑", "right": "→", "down": "↓", "left": "←", "stay": "•", "several": ""}


def _is_grid(table: pd.DataFrame) -> bool:
    """Return whether the places of a game's states are the cells of a rectangle with more than one row."""
    place = table[["column", "row"]].to_numpy()
    if np.isnan(place).any() or (place != np.round(place)).any() or len(set(place[:, 1])) < 2:
        return False
    return len(set(map(tuple, place))) == len(place) == len(set(place[:, 0])) * len(set(place[:, 1]))


def _draw_grid(ax: Axes, table: pd.DataFrame, others: pd.DataFrame) -> None:
    """Draw a population on its grid, the most likely action in each cell that is visited for ever.

    A ring marks each cell that has the largest share in one of the other equilibria.
    """
    shares = table.pivot_table(index="row", columns="column", values="value")
    transient = table.pivot_table(index="row", columns="column", values="transient", aggfunc="max").astype(bool)
    mesh = ax.pcolormesh(
        shares.columns, shares.index, shares.where(~transient), vmin=0.0, cmap="viridis", edgecolors="none"
    )
    for row in cast("Iterable[Any]", table[table["transient"]].itertuples()):
        cell = (float(row.column) - 0.5, float(row.row) - 0.5)
        ax.add_patch(Rectangle(cell, 1.0, 1.0, facecolor="0.85", edgecolor="0.6", hatch="////", linewidth=0.0))
    size = float(np.clip(70.0 / max(shares.shape), 8.0, 11.0))
    inches = 1.3 / max(shares.shape)  # of a cell, of a panel as wide as any
    bright = 0.5 * shares.max().max()
    for row in cast("Iterable[Any]", table[~table["transient"]].itertuples()):
        ax.text(
            float(row.column),
            float(row.row),
            _GLYPHS.get(str(row.action), shortened(str(row.action), inches, size)),
            color="black" if row.value > bright else "white",
            alpha=1.0 if row.probability >= 0.5 else 0.6,
            fontsize=size,
            ha="center",
            va="center",
        )
    largest = others.groupby("equilibrium")["value"].transform("max")
    rings = others[others["value"] > (1.0 - 1e-6) * largest]  # all of those that share it
    ax.scatter(rings["column"], rings["row"], (0.9 * size) ** 2, "none", edgecolors=COLOURS[5], linewidths=1.4)
    ax.set_aspect("equal")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    bar = cast(Figure, ax.get_figure()).colorbar(mesh, ax=ax, shrink=0.85, pad=0.03)
    bar.set_label(r"$\mu^*(s)$", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=4))


def _draw_bars(ax: Axes, table: pd.DataFrame, others: pd.DataFrame) -> None:
    """Draw a population as bars in the order of the states, the most likely action on each, the others as lines."""
    ax.bar(table["state"], table["value"], width=0.8, color=np.where(table["transient"], "0.85", COLOURS[6]))
    for row in cast("Iterable[Any]", table[table["transient"]].itertuples()):
        ax.axvspan(
            float(row.state) - 0.4, float(row.state) + 0.4, facecolor="0.95", hatch="////", edgecolor="0.6", lw=0
        )
    ax.hlines(others["value"], others["state"] - 0.4, others["state"] + 0.4, colors=COLOURS[5], lw=1.8, zorder=3)
    highest = pd.concat([table, others]).groupby("state")["value"].max()
    top = float(highest.max())
    # a panel is some 1.5 inches wide and 1.2 high; words that are wider than a bar stand upright above it
    words = {str(action): _GLYPHS.get(str(action), str(action)) for action in table["action"]}
    turned = {action for action, word in words.items() if word == action and len(word) * len(table) >= 40}
    words |= {action: shortened(action, 0.6, 8.0) for action in turned}
    if len(table) <= 30:
        for row in cast("Iterable[Any]", table.itertuples()):
            ax.text(
                float(row.state),
                highest[row.state] + 0.03 * top,
                words[str(row.action)],
                color="black" if row.probability >= 0.5 else "0.5",
                fontsize=8.0,
                ha="center",
                va="bottom",
                rotation=90.0 if str(row.action) in turned else 0.0,
            )
    longest = max((text_width(words[action], 8.0) for action in turned), default=0.0)
    ax.set_ylim(0.0, max(1.5 if turned else 1.2, 1.2 / (1.2 - 0.1 - longest)) * top)
    ax.grid(False, axis="x")
    if len(table) <= 8 and len("".join(table["label"])) <= 24:  # more letters than that overlap
        ax.set_xticks(table["state"], [shortened(label, 1.5 / len(table), 8.0) for label in table["label"]], fontsize=8)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.tick_params(axis="y", labelsize=8)
    ax.set_ylabel(r"$\mu^*(s)$", fontsize=8)
