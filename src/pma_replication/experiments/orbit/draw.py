"""Figure: best response and mirror ascent while the regularizer weakens.

From tables to the numbers drawn, and to the figure.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pma_replication.experiments.dynamics.draw import METHODS
from pma_replication.style import (
    DASHED,
    DOTTED,
    by_game,
    draw_line,
    label_decades,
    line_table,
    make_panels,
    panel_title,
    plain_name,
    styled,
)

#: Number of iterations of a population's path that are drawn.
PATH = 30


def data(orbits: pd.DataFrame, attractors: pd.DataFrame, damping: pd.DataFrame) -> pd.DataFrame:
    """Return the populations that best response and PMA visit, where best response ends, and how many runs arrive (C2).

    Parameters
    ----------
    orbits : DataFrame
        Of `experiments.dynamics.measure.compare`.
    attractors, damping : DataFrame
        Of `experiments.orbit.measure.damping`.

    Returns
    -------
    DataFrame
        The module's first columns, method, and state (the one on the vertical axis). Of the games that the first two
        tables share, or of all if there is none, those with the most strengths, each with three panels. Panel "path":
        a share of the population against the iteration; panel "plane": two shares against each other, of PMA's path and
        of the best response's tail; panel "attractor": a share in the best response's tail against the strength of the
        regularizer. The states are those that the best response moves most. Series "measured", and "theory" at the
        equilibrium (method ""). Of every game panel "arrived": the share of the runs that reach the equilibrium against
        the best response's spectral radius there, for each strength; method "best_response", "cautious" or "fastest":
        PMA with the smallest and the largest share of the locally best step, both mirror maps (state -1).
    """
    shared = set(orbits["game"]) & set(attractors["game"])
    if shared:
        counts = attractors[attractors["game"].isin(shared)].groupby("game")["strength"].nunique()
        shared = set(counts.index[counts == counts.max()])
    parts = [_arrived(damping)]
    for game, rows in by_game(orbits[orbits["game"].isin(shared)] if shared else orbits):
        best = rows[(rows["method"] == "best_response") & (rows["part"] == "tail")]
        ranges = best.groupby("state")["mean_field"].agg(np.ptp).sort_values(ascending=False, kind="stable")
        first, second = int(ranges.index[0]), int(ranges.index[min(1, len(ranges) - 1)])
        fixed = rows[rows["part"] == "equilibrium"].set_index("state")["mean_field"]
        path = rows[(rows["part"] == "path") & (rows["state"] == first)]
        for method in ("best_response", "pma_euclidean"):
            seen = path[(path["method"] == method) & (path["iteration"] <= PATH)]
            parts.append(line_table("path", game, "measured", x=seen["iteration"], value=seen["mean_field"]))
            parts[-1] = parts[-1].assign(method=method, state=first)
            of_method = rows[(rows["method"] == method)]
            shown = of_method[of_method["part"] == ("tail" if method == "best_response" else "path")]
            plane = shown.pivot_table(index="iteration", columns="state", values="mean_field")
            parts.append(line_table("plane", game, "measured", x=plane[first], value=plane[second]))
            parts[-1] = parts[-1].assign(method=method, state=second)
        lines = [
            line_table("path", game, "theory", x=[0.0, float(PATH)], value=[fixed[first]] * 2).assign(state=first),
            line_table("plane", game, "theory", x=[fixed[first]], value=[fixed[second]]).assign(state=second),
        ]
        ends = attractors[(attractors["game"] == game) & (attractors["state"] == first)]
        ends = ends.sort_values(["strength", "iteration"], kind="stable")
        tail, still = (ends[ends["part"] == part] for part in ("tail", "equilibrium"))
        if len(ends):
            bifurcation = line_table("attractor", game, "measured", x=tail["strength"], value=tail["mean_field"])
            parts.append(bifurcation.assign(method="best_response", state=first))
            lines.append(
                line_table("attractor", game, "theory", x=still["strength"], value=still["mean_field"]).assign(
                    state=first
                )
            )
        parts += [line.assign(method="") for line in lines]
    columns = ["panel", "game", "series", "method", "state", "x", "value"]
    data: pd.DataFrame = pd.concat(parts, ignore_index=True)[columns]
    return data


def _arrived(damping: pd.DataFrame) -> pd.DataFrame:
    """Return the share of the runs that reach the equilibrium, for each game, strength and kind of method."""
    shares = damping.loc[damping["method"] != "best_response", "share"]
    kinds = [("best_response", damping["method"] == "best_response")]
    kinds += [
        (kind, (damping["method"] != "best_response") & (damping["share"] == share))
        for kind, share in (("cautious", shares.min()), ("fastest", shares.max()))
    ]
    parts = []
    for kind, chosen in kinds:
        of_kind = damping[chosen].groupby(["game", "strength"], as_index=False)[["best_response_radius", "arrived"]]
        mean = of_kind.mean()
        points = {"panel": "arrived", "game": mean["game"], "series": "measured", "method": kind, "state": -1}
        parts.append(
            pd.DataFrame({**points, "x": mean["best_response_radius"], "value": mean["arrived"].astype(float)})
        )
    return pd.concat(parts, ignore_index=True)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw the populations that best response and PMA visit, a row per game, and below which runs of all games arrive.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    arrived, data = data[data["panel"] == "arrived"], data[data["panel"] != "arrived"]
    games = by_game(data)
    words, looks = {name: look[0] for name, look in METHODS.items()}, {name: look[1] for name, look in METHODS.items()}
    best = {**looks["best_response"], "marker": "o", "markersize": 3.0}
    pma = {**looks["pma_euclidean"], "marker": ".", "markersize": 4.0}
    handles = [
        Line2D([], [], label=words["best_response"], linewidth=0.7, **best),
        Line2D([], [], label=words["pma_euclidean"], **pma),
        Line2D([], [], label=r"equilibrium $\mu^*$", marker="*", markersize=7.0, **DASHED),
    ]
    title = "The population under best response and under PMA" + (
        f": {plain_name(games[0][0])}" if len(games) == 1 else ""
    )
    figure, axes = make_panels(3 * len(games) + 3, 1.9, 0, title=title, handles=handles)
    for row, (game, table) in enumerate(games):
        prefix = "{}: " if len(games) > 1 else ""
        first = int(table.loc[table["panel"] == "path", "state"].iloc[0])
        second = int(table.loc[table["panel"] == "plane", "state"].iloc[0])
        path, plane, attractor = (table[table["panel"] == panel] for panel in ("path", "plane", "attractor"))
        for ax, rows in zip(axes[3 * row : 3 * row + 2], (path, plane), strict=True):
            for method, look in (("best_response", {**best, "linewidth": 0.7}), ("pma_euclidean", pma)):
                draw_line(ax, rows[rows["method"] == method], "measured", **look)
        draw_line(axes[3 * row], path, "theory", **DASHED)
        draw_line(axes[3 * row + 1], plane, "theory", color="black", marker="*", markersize=8.0, zorder=5)
        draw_line(axes[3 * row + 2], attractor, "measured", **{**best, "linestyle": "none"})
        draw_line(axes[3 * row + 2], attractor, "theory", **DASHED)
        for ax, xlabel, state, title in (
            (axes[3 * row], "iteration $k$", first, prefix + "share of one state"),
            (axes[3 * row + 1], rf"$\mu_k(s = {first})$", second, prefix + "shares of two states"),
            (axes[3 * row + 2], "strength of the regularizer", first, prefix + "ends of best response"),
        ):
            ax.set(xlabel=xlabel, ylabel=rf"$\mu_k(s = {state})$")
            panel_title(ax, axes.index(ax), title, game=game)
        axes[3 * row + 2].set_xscale("log")
        label_decades(axes[3 * row + 2].xaxis)
    kinds = {
        "best_response": ("best response", best),
        "cautious": ("PMA, cautious step", pma),
        "fastest": ("PMA, fastest step", pma),
    }
    for ax, (kind, (label, look)) in zip(axes[3 * len(games) :], kinds.items(), strict=True):
        points = arrived[(arrived["method"] == kind) & (arrived["x"] > 0.0)]
        ax.plot(points["x"], points["value"], **{**look, "linestyle": "none", "marker": "o", "alpha": 0.5})
        ax.axvline(1.0, **DOTTED)
        ax.set(xscale="log", ylim=(-0.08, 1.08), xlabel=r"coupling $r(J_\infty)$", ylabel="share of runs that arrive")
        label_decades(ax.xaxis)
        panel_title(ax, axes.index(ax), label if arrived["game"].nunique() == 1 else f"all games: {label}")
    return figure
