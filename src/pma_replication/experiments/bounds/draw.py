"""Figure: how loose the Lipschitz bounds are. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from pma_replication.style import (
    DASHED,
    DOTTED,
    WIDTH,
    by_game,
    fitting_columns,
    game_looks,
    label_decades,
    make_panels,
    panel_title,
    plain_name,
    styled,
)


def data(bounds: pd.DataFrame) -> pd.DataFrame:
    """Return the bounds on PMA's Lipschitz constant beside the largest norm of its Jacobian found (claim C1b).

    Parameters
    ----------
    bounds : DataFrame
        Of `experiments.bounds.measure.operator_ratios`, for one or more games.

    Returns
    -------
    DataFrame
        Columns panel (the bound and its mirror map), game, step_size, x (the norm), value (the bound, may be infinite).
    """
    panels = {
        ("U", "euclidean"): "bound of section 5.1",
        ("W", "euclidean"): "certificate",
        ("W", "kl"): "certificate, KL",
    }
    rows = bounds[bounds["operator"] == "policy_mirror_ascent"]
    panel = [panels[key] for key in zip(rows["within"], rows["mirror"], strict=True)]
    data = rows.assign(panel=panel, x=rows["jacobian_norm"], value=rows["bound"])
    order = ["panel", "game", "step_size"]
    return data[[*order, "x", "value"]].sort_values(order, ignore_index=True)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw each bound on PMA's Lipschitz constant against the largest norm of its Jacobian found.

    Where a bound is infinite the norm can be anything; one far beyond the others is drawn at the right edge.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels = sorted(set(data["panel"]))  # the bound of section 5.1 comes first
    colours, markers, styles = game_looks(data["game"])
    finite = data[np.isfinite(data["value"])]
    ends = np.array([0.5 * data["x"].min(), 3.0 * (data if finite.empty else finite)["x"].max()])
    highest = 10.0 ** np.ceil(np.log10(max(4.0, ends[1], *finite["value"])))
    # infinite bounds go above the line `highest`, a row for each game
    infinite = {game: highest * 10.0 ** (0.25 * (k + 1)) for k, game in enumerate(colours)}
    top = highest * 10.0 ** (0.25 * (len(colours) + 1))
    handles = [
        Line2D(
            [],
            [],
            color=colours[game],
            marker=markers[game],
            linestyle=styles[game],
            markerfacecolor="none",
            label=plain_name(game, 1.35),
        )
        for game in colours
    ]
    handles.append(Line2D([], [], label="below: a bound is refuted", **DASHED))
    if ends[0] < 1.0:
        handles.append(Line2D([], [], label="below: PMA is certified", **DOTTED))
    ncols = fitting_columns([str(handle.get_label()) for handle in handles], 4, WIDTH)
    figure, axes = make_panels(len(panels), 2.6, 2 + (len(colours) + 2) // ncols, sharey=True)
    for i, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
        for game, table in by_game(data[data["panel"] == panel]):
            value = table["value"].where(np.isfinite(table["value"]), infinite[game])
            look: dict[str, Any] = {"color": colours[game], "marker": markers[game], "linestyle": styles[game]}
            look["linewidth"] = 0.6
            ax.plot(np.minimum(table["x"], 0.9 * ends[1]), value, markerfacecolor="none", **look)
        ax.plot(ends, ends, **DASHED)
        ax.axhline(1.0, **DOTTED)
        ax.axhspan(highest, top, color="0.94", linewidth=0.0)
        ax.set(xscale="log", yscale="log", xlim=ends, ylim=(ends[0], top))
        label_decades(ax.xaxis)
        ticks, infinity = 10.0 ** np.arange(np.ceil(np.log10(ends[0])), np.log10(highest) + 0.5), np.sqrt(highest * top)
        # a label takes a twentieth of the axis: over many decades the last ones would run into that of infinity
        ticks = ticks[np.log(infinity / ticks) > 0.05 * np.log(top / ends[0])]
        labels = [*(rf"$10^{{{np.log10(tick):.0f}}}$" for tick in ticks), r"$\infty$"]
        ax.set_yticks([*ticks, infinity], labels)
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set_xlabel(r"norm of $D\Gamma_\eta(\pi)$, largest found")
        if i == 0:
            ax.set_ylabel(r"bound on the norm of $D\Gamma_\eta(\pi)$")
        panel_title(ax, i, panel)
    figure.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.0), ncols=ncols if len(panels) > 1 else 2)
    return figure
