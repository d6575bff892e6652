"""Figure: many generated games. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator
from scipy.special import stdtrit

from pma_replication.style import (
    COLOURS,
    DASHED,
    DOTTED,
    add_legend,
    by_game,
    draw_line,
    game_looks,
    line_table,
    log_log,
    make_panels,
    panel_title,
    plain_name,
    styled,
)

#: Bounds of the atlas, in the order of their strength: column of the table -> words, colour, marker.
ATLAS_BOUNDS = {
    "paper_bound": ("section 5.1", COLOURS[6], "o"),
    "certificate": ("certificate", COLOURS[0], "^"),
    "attraction": ("attraction", COLOURS[1], "D"),
}

#: Look of the markers of single games.
MARKERS: dict[str, Any] = {"linestyle": "none", "markersize": 3.0, "markeredgewidth": 0.6, "markerfacecolor": "none"}


def data(atlas: pd.DataFrame) -> pd.DataFrame:
    """Return what holds in which share of many games, and measured against predicted game by game (C1, C4, C6).

    Parameters
    ----------
    atlas : DataFrame
        Of `experiments.atlas.measure.table`; a game of the table stands for a grid of games.

    Returns
    -------
    DataFrame
        The module's columns without slopes. Panel "shares": of all grids together, against the strength, the share that
        each of `ATLAS_BOUNDS` certifies (each one together with those before it), of those with a derivative the share
        that contracts at the equilibrium ("contracts"), and the share in which PMA converges from every start
        ("converges"), all without interval. Panel "rate": observed rate against spectral radius. Panel "bound":
        each bound against the spectral radius, may be infinite. Panel "bias": measured over predicted bias of Q,
        with its 95 % interval over replicates, against the predicted constant. Panel "learning": final distance to the
        equilibrium against the strength, and the accuracy asked for as the line "target". Panel "gain": exploitability
        at the end over that of the uniform policy, against the uniform policy's distance to the equilibrium.
    """
    parts = []
    certified = pd.Series(False, index=atlas.index)
    shares: dict[str, pd.Series] = {}
    for bound in ATLAS_BOUNDS:
        shares[bound] = certified = certified | (atlas[bound] < 1.0)
    shares["converges"] = (atlas["n_starts"] > 0) & (atlas["n_converged"] == atlas["n_starts"])
    shares["contracts"] = (atlas["spectral_radius"] < 1.0)[atlas["differentiable"]]
    for series, holds in shares.items():
        share = holds.groupby(atlas["strength"]).mean()
        parts.append(line_table("shares", "", series, x=share.index, value=share))
    for game, rows in by_game(atlas):
        smooth = rows[rows["spectral_radius"].notna()]
        seen = smooth[smooth["observed_rate"].notna()]
        parts.append(line_table("rate", game, "measured", x=seen["spectral_radius"], value=seen["observed_rate"]))
        parts += [
            line_table("bound", game, bound, x=smooth["spectral_radius"], value=smooth[bound]) for bound in ATLAS_BOUNDS
        ]
        known = rows[rows["bias_error"] > 0.0]
        half = known["bias_error"] * stdtrit(known["n_replicates"] - 1.0, 0.975)
        points = line_table("bias", game, "measured", x=known["predicted_bias"], value=known["bias_ratio"])
        points["low"], points["high"] = ((known["bias_ratio"] + sign * half).to_numpy() for sign in (-1.0, 1.0))
        parts.append(points)
        learned = rows[rows["learned_error"].notna()]
        parts.append(line_table("learning", game, "measured", x=learned["strength"], value=learned["learned_error"]))
        gain = learned["learned_exploitability"] / learned["start_exploitability"]
        parts.append(line_table("gain", game, "measured", x=learned["start_error"], value=gain))
    ends, target = [atlas["strength"].min(), atlas["strength"].max()], float(atlas["epsilon"].iloc[0])
    parts.append(line_table("learning", "", "target", x=ends, value=[target, target]))
    data: pd.DataFrame = pd.concat([part for part in parts if len(part)], ignore_index=True)
    return data.drop(columns=["slope", "slope_low", "slope_high"])


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw which share of many games is certified, contracts and converges, and measured against predicted numbers.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    colours, markers, _ = game_looks(data.loc[data["game"] != "", "game"])
    panels = {name: data[data["panel"] == name] for name in ("shares", "bound", "rate", "bias", "learning", "gain")}
    grids = [Line2D([], [], color=colours[g], marker=markers[g], label=plain_name(g), **MARKERS) for g in colours]
    title = "Many generated games: a marker is a game, a colour a grid of them"
    figure, axes = make_panels(6, 1.9, max(5, 1 + len(grids)), title=title)

    def scattered(ax: Axes, rows: pd.DataFrame) -> None:
        for game, points in by_game(rows[rows["series"] == "measured"]):
            ax.vlines(points["x"], points["low"], points["high"], color=colours[game], linewidth=0.5, alpha=0.5)
            ax.plot(points["x"], points["value"], color=colours[game], marker=markers[game], **MARKERS)

    _shares(axes[0], panels["shares"])
    _bounds(axes[1], panels["bound"])

    ax, rows = axes[2], panels["rate"]
    scattered(ax, rows)
    _diagonal(ax)
    ax.set(xlabel=r"spectral radius of $D\Gamma_\eta(\pi^*)$", ylabel=r"observed rate of $\pi_k \to \pi^*$")
    panel_title(ax, 2, "rate of PMA")
    add_legend(ax, None, [Line2D([], [], label="equal", **DASHED)])

    ax, rows = axes[3], panels["bias"]
    scattered(ax, rows)
    ax.axhline(1.0, **DASHED)
    ax.set(xscale="log", xlabel="predicted constant of the bias", ylabel="measured / predicted")
    ax.xaxis.set_major_locator(LogLocator(numticks=4))
    ax.xaxis.set_minor_formatter(NullFormatter())
    panel_title(ax, 3, "bias of $Q$ with $N$ agents")
    add_legend(ax, None, [*grids, Line2D([], [], label="predicted; 95 % intervals", **DASHED)])

    ax, rows = axes[4], panels["learning"]
    scattered(ax, rows)
    draw_line(ax, rows, "target", **DOTTED)
    log_log(ax, r"strength $\tau$", r"$\mathrm{sup}_s\, \|\pi_K(s) - \pi^*(s)\|_1$")
    panel_title(ax, 4, "learned on one trajectory")
    add_legend(ax, None, [Line2D([], [], label=r"accuracy asked for, $\varepsilon$", **DOTTED)])

    ax, rows = axes[5], panels["gain"]
    scattered(ax, rows)
    ax.axhline(1.0, **DASHED)
    ax.axvline(panels["learning"].loc[panels["learning"]["series"] == "target", "value"].iloc[0], **DOTTED)
    log_log(ax, "distance at the start", "exploitability (regularized),\nend / start")
    panel_title(ax, 5, "what was gained")
    add_legend(ax, None, [Line2D([], [], label="nothing", **DASHED)])
    return figure


def _shares(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw which share of the games each bound certifies, and in which PMA converges, over the strength."""
    for series, (label, colour, marker) in ATLAS_BOUNDS.items():
        label = f"certified by {label}" if series == "paper_bound" else f"or by the {label}"
        draw_line(ax, rows, series, color=colour, marker=marker, label=label)
    draw_line(ax, rows, "converges", color="0.35", marker="s", label="PMA converges")
    draw_line(ax, rows, "contracts", label="contracts, if no kink", **DASHED)
    ax.set(xscale="log", xlabel=r"strength $\tau$", ylabel="share of games", ylim=(-0.03, 1.03))
    panel_title(ax, 0, "what is certified, what holds")
    add_legend(ax, None)


def _bounds(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the bounds against the spectral radius, the infinite ones in a band of their own at the top."""
    finite = rows.loc[np.isfinite(rows["value"]), "value"]
    highest = 10.0 ** np.ceil(np.log10(max(10.0, *finite)))
    lowest = 0.5 * min(1.0, *finite)
    for series, (label, colour, marker) in ATLAS_BOUNDS.items():
        points = rows[rows["series"] == series]
        value = points["value"].where(np.isfinite(points["value"]), 3.0 * highest)
        count = int(np.isinf(points["value"]).sum())
        label = rf"{label} ($\infty$: {count} of {len(points)})"
        ax.plot(points["x"], value, color=colour, marker=marker, label=label, rasterized=len(points) > 100, **MARKERS)
    ax.set(yscale="log", ylim=(lowest, 10.0 * highest), ylabel="bound on the rate")
    ax.axhspan(highest, 10.0 * highest, color="0.94", linewidth=0.0)
    ax.axhline(1.0, **DOTTED)
    _diagonal(ax)
    ax.set_xlabel(r"spectral radius of $D\Gamma_\eta(\pi^*)$")
    step = max(1, int(np.ceil(np.log10(highest) / 4.0)))
    ticks = 10.0 ** np.arange(0.0, np.log10(highest) + 0.5, step)
    ax.set_yticks([*ticks, 3.0 * highest], [*(rf"$10^{{{np.log10(tick):.0f}}}$" for tick in ticks), r"$\infty$"])
    ax.yaxis.set_minor_locator(NullLocator())
    panel_title(ax, 1, "bounds")
    add_legend(ax, None, [Line2D([], [], label="below: a bound is refuted", **DASHED)])


def _diagonal(ax: Axes) -> None:
    """Draw the line of equal coordinates without changing the axes."""
    ends, limits = ax.get_xlim(), ax.get_ylim()
    line = np.linspace(max(ends[0], 1e-6), ends[1], 200)
    ax.plot(line, line, **DASHED)
    ax.set(xlim=ends, ylim=limits)
