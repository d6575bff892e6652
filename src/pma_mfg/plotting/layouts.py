"""A population and a policy on the states of a game: cells of a grid, a map of places, or bars. It needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from pma_mfg.plotting.look import COLOURS, shortened, text_width

#: Action -> the glyph it is drawn with; other actions are named in full or by their number.
GLYPHS = {"up": "↑", "right": "→", "down": "↓", "left": "←", "stay": "•", "several": ""}


@dataclass(frozen=True, eq=False)
class Drawn:
    """What is drawn of each state.

    Parameters
    ----------
    places : ndarray, shape (S, 2), or None
        Column and row.
    labels : sequence of str
        Names of the states.
    shares : ndarray, shape (S,)
        The population.
    actions : sequence of str
        The most likely action in each state, or "several".
    probabilities : ndarray, shape (S,)
        Of that action: pale below 1/2.
    transient : ndarray of bool, shape (S,)
        States that are left for good: hatched.
    symbol : str
        Of the population, as mathematics.
    """

    places: np.ndarray | None
    labels: Sequence[str]
    shares: np.ndarray
    actions: Sequence[str]
    probabilities: np.ndarray
    transient: np.ndarray
    symbol: str = r"$\mu^*(s)$"


def draw(ax: Axes, cells: Drawn) -> None:
    """Draw a population and a policy as the layout allows: on a grid, on a map of places, or as bars.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    cells : Drawn
    """
    if is_grid(cells.places):
        draw_grid(ax, cells)
    elif is_map(cells.places):
        draw_map(ax, cells)
    else:
        draw_bars(ax, cells, cells.shares)


def is_grid(places: np.ndarray | None) -> bool:
    """Return whether the places of a game's states are the cells of a rectangle with more than one row."""
    if places is None or (places != np.round(places)).any() or len(set(places[:, 1])) < 2:
        return False
    return len(set(map(tuple, places))) == len(places) == len(set(places[:, 0])) * len(set(places[:, 1]))


def is_map(places: np.ndarray | None) -> bool:
    """Return whether states lie apart in the plane, and not in one row."""
    if places is None or len(set(places[:, 1])) < 2:
        return False
    return len(set(map(tuple, places))) == len(places)


def draw_grid(ax: Axes, cells: Drawn) -> float:
    """Draw a population on its grid, the most likely action in each cell that is visited for ever.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    cells : Drawn
        With places that `is_grid`.

    Returns
    -------
    float
        The size of the text, in points.
    """
    assert cells.places is not None
    (columns, at_column), (rows, at_row) = (np.unique(axis, return_inverse=True) for axis in cells.places.T)
    shares: np.ndarray = np.full((len(rows), len(columns)), np.nan)
    shares[at_row, at_column] = np.where(cells.transient, np.nan, cells.shares)
    mesh = ax.pcolormesh(columns, rows, shares, vmin=0.0, cmap="viridis", edgecolors="none")
    for column, row in cells.places[cells.transient]:
        cell = (float(column) - 0.5, float(row) - 0.5)
        ax.add_patch(Rectangle(cell, 1.0, 1.0, facecolor="0.85", edgecolor="0.6", hatch="////", linewidth=0.0))
    size = float(np.clip(70.0 / max(shares.shape), 8.0, 11.0))
    inches = 1.3 / max(shares.shape)  # of a cell, of a panel as wide as any
    bright = 0.5 * cells.shares.max()
    for s in map(int, np.flatnonzero(~cells.transient)):
        action = cells.actions[s]
        ax.text(
            float(cells.places[s, 0]),
            float(cells.places[s, 1]),
            GLYPHS.get(action, shortened(action, inches, size)),
            color="black" if cells.shares[s] > bright else "white",
            alpha=1.0 if cells.probabilities[s] >= 0.5 else 0.6,
            fontsize=size,
            ha="center",
            va="center",
        )
    ax.set_aspect("equal")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    bar(ax, mesh, cells.symbol)
    return size


def draw_small(ax: Axes, places: np.ndarray, shares: np.ma.MaskedArray, *, norm: Normalize) -> None:
    """Draw a population in colours at the places of the states, without words.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    places : ndarray, shape (S, 2)
        That `is_grid` or `is_map`.
    shares : masked array, shape (S,)
        Masked states are grey.
    norm : matplotlib.colors.Normalize
        Of the colours.
    """
    cells_touch = is_grid(places)
    half = 0.5 if cells_touch else 0.46 * _unit(places)
    shapes: list[Patch] = [
        Rectangle((x - half, y - half), 1.0, 1.0) if cells_touch else Circle((x, y), half) for x, y in places.tolist()
    ]
    colours = colormaps["viridis"].with_extremes(bad="0.85")
    cells = PatchCollection(shapes, cmap=colours, norm=norm, edgecolor="none", antialiased=not cells_touch)
    cells.set_array(shares)
    ax.add_collection(cells)
    low, high = places.min(axis=0) - 1.1 * half, places.max(axis=0) + 1.1 * half
    ax.set_aspect("equal")
    ax.grid(False)
    ax.set_axis_off()
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))


def _unit(places: np.ndarray) -> float:
    """Return the least distance between two places."""
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    return float(apart[apart > 0.0].min())


def bar(ax: Axes, mesh: ScalarMappable, symbol: str) -> None:
    """Draw the bar that says what colours mean."""
    bar = cast(Figure, ax.get_figure()).colorbar(mesh, ax=ax, shrink=0.85, pad=0.03)
    bar.set_label(symbol, fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=4))


def draw_map(ax: Axes, cells: Drawn) -> None:
    """Draw a population as coloured discs at the places of the states, with labels and the likely actions.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    cells : Drawn
        With places that `is_map`.
    """
    assert cells.places is not None
    places, shares = cells.places, np.ma.array(cells.shares, mask=cells.transient)
    unit = _unit(places)
    discs = PatchCollection([Circle((float(x), float(y)), 0.46 * unit) for x, y in places], cmap="viridis")
    discs.set_array(shares)
    discs.set_clim(0.0, float(cells.shares.max()))
    ax.add_collection(discs)
    for x, y in places[cells.transient]:
        disc = (float(x), float(y)), 0.46 * unit
        ax.add_patch(Circle(*disc, facecolor="0.85", edgecolor="0.6", hatch="////", linewidth=0.0))
    low, high = places.min(axis=0) - 0.6 * unit, places.max(axis=0) + 0.6 * unit
    inches = 1.6 * unit / float((high - low).max())
    bright = 0.5 * cells.shares.max()
    for s, (x, y) in enumerate(places):
        action = "" if cells.transient[s] else GLYPHS.get(cells.actions[s], cells.actions[s])
        told = "\n".join(shortened(str(word), inches, 8.0) for word in (cells.labels[s], action) if word)
        dark = not cells.transient[s] and cells.shares[s] <= bright
        ax.text(
            float(x),
            float(y),
            told,
            color="white" if dark else "black",
            alpha=1.0 if cells.probabilities[s] >= 0.5 else 0.6,
            fontsize=8.0,
            ha="center",
            va="center",
            linespacing=1.0,
        )
    ax.set_aspect("equal")
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set(xticks=[], yticks=[], xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    bar(ax, discs, cells.symbol)


def draw_bars(ax: Axes, cells: Drawn, tops: np.ndarray, *, inches: float = 1.5) -> None:
    """Draw a population as bars in the order of the states, with the most likely action on each.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    cells : Drawn
    tops : ndarray, shape (S,)
        The height above which the action is written.
    inches : float
        Width of the panel.
    """
    count = len(cells.shares)
    ax.bar(np.arange(count), cells.shares, width=0.8, color=np.where(cells.transient, "0.85", COLOURS[6]).tolist())
    for s in map(int, np.flatnonzero(cells.transient)):
        ax.axvspan(s - 0.4, s + 0.4, facecolor="0.95", hatch="////", edgecolor="0.6", lw=0)
    top = float(tops.max())
    # a panel is some 1.2 inches high; words that are wider than a bar stand upright above it
    words = {action: GLYPHS.get(action, action) for action in cells.actions}
    turned = {action for action, word in words.items() if word == action and len(word) * count >= 40}
    words |= {action: shortened(action, 0.6, 8.0) for action in turned}
    if count <= 30:
        for s, action in enumerate(cells.actions):
            ax.text(
                float(s),
                tops[s] + 0.03 * top,
                words[action],
                color="black" if cells.probabilities[s] >= 0.5 else "0.5",
                fontsize=8.0,
                ha="center",
                va="bottom",
                rotation=90.0 if action in turned else 0.0,
            )
    longest = max((text_width(words[action], 8.0) for action in turned), default=0.0)
    ax.set_ylim(0.0, max(1.5 if turned else 1.2, 1.2 / (1.2 - 0.1 - longest)) * top)
    ax.grid(False, axis="x")
    if count * 1.5 <= 8 * inches and len("".join(cells.labels)) <= 16 * inches:  # more letters than that overlap
        ax.set_xticks(np.arange(count), [shortened(label, inches / count, 8.0) for label in cells.labels], fontsize=8)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.tick_params(axis="y", labelsize=8)
    ax.set_ylabel(cells.symbol, fontsize=8)
