"""Figure: games from the literature. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pma_mfg.plotting import layouts
from pma_replication.style import (
    COLOURS,
    PAGE,
    SINGLE,
    WIDTH,
    by_game,
    drawable,
    grid_shape,
    panel_letter,
    plain_name,
    short_heading,
    styled,
    text_width,
    wrapped,
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
    shown = [(game, table) for game, table in games if not _is_uniform(table)] or games
    left_out = [plain_name(game) for game, _ in games if game not in dict(shown)]
    n_rows, n_columns = grid_shape(len(shown))
    width = WIDTH if n_columns > 1 else SINGLE
    key = _key([table for _, table in shown])
    if left_out:
        key.append(f"Not drawn, since the population is the same everywhere: {', '.join(left_out)}.")
    fill = partial(textwrap.fill, width=110) if n_columns > 1 else partial(wrapped, inches=SINGLE - 0.5, size=8.0)
    text = "\n".join(map(fill, key))
    below = 0.2 * (text.count("\n") + 1) + 0.3
    # a page, as long as panels stay readable
    height = min(2.3, max(1.8, (PAGE * WIDTH - below) / n_rows))
    figure = Figure(figsize=(width, height * n_rows + below), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax in axes[len(shown) :]:
        ax.remove()
    for i, (game, table) in enumerate(shown):
        ax = axes[i]
        others, table = table[table["equilibrium"] > 0], table[table["equilibrium"] == 0]
        if layouts.is_grid(_cells(table).places):
            _draw_grid(ax, table, others)
        else:
            _draw_bars(ax, table, others, inches=1.5 if n_columns > 1 else 3.3)
        size = f"S = {table['states'].iloc[0]}, A = {table['actions'].iloc[0]}, τ = {table['strength'].iloc[0]:g}"
        count = f" ({1 + others['equilibrium'].nunique()} found)" if len(others) else ""
        name = plain_name(game, 1.5 - text_width(count, 8.0))
        ax.set_title(f"$\\mathbf{{{panel_letter(i)}}}$  {name}{count}\n{size}", fontsize=8)
    several = "Games from the literature: equilibrium populations"
    figure.suptitle(short_heading(several if n_columns > 1 else "Equilibrium population", n_columns))
    figure.supxlabel(text, fontsize=8.0)
    figure.draw_without_rendering()  # settles the layout, which is then kept: saving again gives the same bytes
    figure.set_layout_engine("none")
    return figure


def _key(tables: Sequence[pd.DataFrame]) -> list[str]:
    """Return what the marks mean that are drawn, in lines."""
    on_grid = any(layouts.is_grid(_cells(table[table["equilibrium"] == 0]).places) for table in tables)
    words = "Arrows and words: the most likely action (• stay)" if on_grid else "Above bars: the most likely action"
    key = [f"{words}, pale below probability 1/2, none where several are."]
    if any(table["transient"].astype(bool).any() for table in tables):
        key.append("Hatched cells: transient states, which the equilibrium leaves for good.")
    if any(table["equilibrium"].any() for table in tables):
        ring = ", a ring is where one has its largest share" if on_grid else ""
        # with the hatched cells before it, it fills a line
        key[1:] = [" ".join([*key[1:], "Red: further equilibria found;"]), f"lines are their populations{ring}."]
    return key


def _is_uniform(table: pd.DataFrame) -> bool:
    """Return whether a panel would show nothing: one equilibrium, in which all states but those left have one share."""
    shares = table.loc[~table["transient"].astype(bool), "value"]
    return not table["equilibrium"].any() and bool(np.ptp(shares) < 1e-6 * shares.max())


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


def _draw_bars(ax: Axes, table: pd.DataFrame, others: pd.DataFrame, *, inches: float) -> None:
    """Draw a population as bars, those of the other equilibria as lines."""
    ax.hlines(others["value"], others["state"] - 0.4, others["state"] + 0.4, colors=COLOURS[5], lw=1.8, zorder=3)
    highest = pd.concat([table, others]).groupby("state")["value"].max()
    layouts.draw_bars(ax, _cells(table), highest.to_numpy(float), inches=inches)
