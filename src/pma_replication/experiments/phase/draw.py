"""Figure: which strengths and step sizes contract. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

from pma_replication.style import WIDTH, by_game, cell_edges, plain_name, styled

#: Region of `experiments.phase.measure.phase_diagram` -> colour, dark to light also without colour vision.
REGIONS = {
    "certified": "#4f9bd0",
    "attracting": "#a9d0ea",
    "locally contractive": "#e6f1f8",
    "divergent": "#e69f00",
    "kink": "#bbbbbb",
    "unsolved": "#ffffff",
}

#: Contours of the spectral radius, and their line styles.
RADII: dict[float, Any] = {0.1: (0, (1, 1.5)), 0.5: (0, (4, 2)), 0.9: "solid"}


def data(phase: pd.DataFrame) -> pd.DataFrame:
    """Return the regions of the plane of strength and step size, and the spectral radius (claims C1b, C1e).

    Parameters
    ----------
    phase : DataFrame
        Of `experiments.phase.measure.phase_diagram`, for one or more games.

    Returns
    -------
    DataFrame
        Columns game, panel (regularizer and mirror map), strength, relative_step_size, region, paper (whether the
        bound of section 5.1 certifies), spectral_radius.
    """
    panel = phase["regularizer"] + ", " + phase["mirror"].map({"euclidean": "Euclidean", "kl": "KL"})
    data = phase.assign(panel=panel, paper=phase["paper_bound"] < 1.0)
    order = ["game", "panel", "strength", "relative_step_size"]
    return data[[*order, "region", "paper", "spectral_radius"]].sort_values(order, ignore_index=True)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw the regions over step size and strength, a row for each game, a column for each regularizer and mirror map.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games, panels = by_game(data), sorted(set(data["panel"]))
    left, right, above, below, between, height = 0.85, 0.1, 0.3, 1.25, 0.12, 1.05
    total = above + len(games) * height + (len(games) - 1) * between + below
    figure = Figure(figsize=(WIDTH, total))
    width = (WIDTH - left - right - (len(panels) - 1) * between) / len(panels)
    figure.subplots_adjust(
        left=left / WIDTH,
        right=1.0 - right / WIDTH,
        bottom=below / total,
        top=1.0 - above / total,
        wspace=between / width,
        hspace=between / height,
    )
    axes = figure.subplots(len(games), len(panels), sharex=True, sharey="row", squeeze=False)
    colours = ListedColormap(list(REGIONS.values()))
    for row, (game, table) in zip(axes, games, strict=True):
        row[0].set_ylabel(f"{plain_name(game, height)}\nstrength $\\tau$")
        for ax, panel in zip(row, panels, strict=True):
            _regions(ax, table[table["panel"] == panel], colours)
    for ax, panel in zip(axes[0], panels, strict=True):
        ax.set_title(panel, loc="center")
    for ax in axes[-1]:
        ax.set_xlabel(r"step size $\eta \tau$")
    regions: list[Any] = [
        Patch(facecolor=colour, edgecolor="0.5", linewidth=0.4, label=region)
        for region, colour in REGIONS.items()
        if (data["region"] == region).any()
    ]
    if data["paper"].any():
        look: dict[str, Any] = {"facecolor": REGIONS["certified"], "edgecolor": "white", "hatch": "////"}
        hatched = Patch(**look, label="certified by section 5.1 too")
        regions.insert(1 if (data["region"] == "certified").any() else 0, hatched)
    contours = [
        Line2D([], [], color="black", linewidth=0.8, linestyle=style, label=f"{radius:g}")
        for radius, style in RADII.items()
    ]
    look = {"alignment": "left", "borderaxespad": 0.0}
    figure.legend(
        handles=regions, title="region", ncols=2, loc="upper left", bbox_to_anchor=(left / WIDTH, 0.74 / total), **look
    )
    title = "spectral radius at the equilibrium"
    figure.legend(handles=contours, title=title, ncols=3, loc="upper left", bbox_to_anchor=(0.58, 0.74 / total), **look)
    return figure


def _regions(ax: Axes, table: pd.DataFrame, colours: ListedColormap) -> None:
    """Draw one plane: cells in the colour of their region, hatched where section 5.1 certifies, contours above."""
    codes = {region: code for code, region in enumerate(REGIONS)}
    table = table.assign(code=table["region"].map(codes), paper=table["paper"].astype(float))
    plane = {
        column: table.pivot_table(index="strength", columns="relative_step_size", values=column, dropna=False)
        for column in ("code", "paper", "spectral_radius")
    }
    x, y = plane["code"].columns.to_numpy(float), plane["code"].index.to_numpy(float)
    edges = (cell_edges(x), cell_edges(y))
    ax.pcolormesh(*edges, plane["code"], cmap=colours, vmin=-0.5, vmax=len(REGIONS) - 0.5, rasterized=True)
    hatched = np.ma.masked_less(plane["paper"].to_numpy(), 0.5)
    if hatched.count():
        look: dict[str, Any] = {"hatch": "////", "edgecolor": "white", "linewidth": 0.0}
        ax.pcolor(*edges, hatched, cmap=ListedColormap(["none"]), **look)
    radius = plane["spectral_radius"].to_numpy(float)
    if min(radius.shape) > 1 and np.isfinite(radius).any():
        look = {"levels": list(RADII), "linestyles": list(RADII.values()), "colors": "black", "linewidths": 0.8}
        present = [level for level in RADII if np.nanmin(radius) < level < np.nanmax(radius)]
        if present:
            look |= {"levels": present, "linestyles": [RADII[level] for level in present]}
            ax.contour(x, y, np.ma.masked_invalid(radius), **look)
    ax.set(xscale="log", yscale="log", xlim=edges[0][[0, -1]], ylim=edges[1][[0, -1]])
    ax.grid(False)
    for axis in cast("tuple[Axis, Axis]", (ax.xaxis, ax.yaxis)):
        axis.set_major_locator(LogLocator(numticks=4))
        axis.set_minor_formatter(NullFormatter())
