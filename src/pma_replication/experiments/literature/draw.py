"""Figure: games from the literature. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pma_mfg.plotting import layouts
from pma_replication.style import (
    COLOURS,
    WIDTH,
    by_game,
    drawable,
    grid_shape,
    panel_letter,
    plain_name,
    short_heading,
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
        if layouts.is_grid(_cells(table).places):
            _draw_grid(ax, table, others)
        else:
            _draw_bars(ax, table, others)
        size = f"S = {table['states'].iloc[0]}, A = {table['actions'].iloc[0]}, τ = {table['strength'].iloc[0]:g}"
        count = f" ({1 + others['equilibrium'].nunique()} found)" if len(others) else ""
        name = plain_name(game, 1.5 - text_width(count, 8.0))
        ax.set_title(f"$\\mathbf{{{panel_letter(i)}}}$  {name}{count}\n{size}", fontsize=8)
    several = "Games from the literature: equilibrium populations"
    figure.suptitle(short_heading(several if n_columns > 1 else "Equilibrium population", n_columns))
    key = (
        "Arrows and words: the most likely action (• stay), pale below probability 1/2, none where several are.",
        "Hatched cells: transient states, which the equilibrium leaves for good. Red: further equilibria found;",
        "lines are their populations, a ring is where one has its largest share.",
    )
    figure.supxlabel("\n".join(short_heading(line, n_columns) for line in key), fontsize=8.0)
    figure.draw_without_rendering()  # settles the layout, which is then kept: saving again gives the same bytes
    figure.set_layout_engine("none")
    return figure


def _cells(table: pd.DataFrame) -> layouts.Drawn:
    """Return what is drawn of each state, of the rows of one equilibrium in the order of the states."""
    places = table[["column", "row"]].to_numpy(float)
    return layouts.Drawn(
        places=None if np.isnan(places).any() else places,
        labels=list(table["label"]),
        shares=table["value"].to_numpy(float),
        actions=list(table["action"].astype(str)),
        probabilities=table["probability"].to_numpy(float),
        transient=table["transient"].to_numpy(bool),
    )


def _draw_grid(ax: Axes, table: pd.DataFrame, others: pd.DataFrame) -> None:
    """Draw a population on its grid; a ring marks each cell with the largest share in one of the other equilibria."""
    size = layouts.draw_grid(ax, _cells(table))
    largest = others.groupby("equilibrium")["value"].transform("max")
    rings = others[others["value"] > (1.0 - 1e-6) * largest]  # all of those that share it
    ax.scatter(rings["column"], rings["row"], (0.9 * size) ** 2, "none", edgecolors=COLOURS[5], linewidths=1.4)


def _draw_bars(ax: Axes, table: pd.DataFrame, others: pd.DataFrame) -> None:
    """Draw a population as bars, those of the other equilibria as lines."""
    ax.hlines(others["value"], others["state"] - 0.4, others["state"] + 0.4, colors=COLOURS[5], lw=1.8, zorder=3)
    highest = pd.concat([table, others]).groupby("state")["value"].max()
    layouts.draw_bars(ax, _cells(table), highest.to_numpy(float))
