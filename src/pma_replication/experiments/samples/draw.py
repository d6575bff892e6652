"""Figure: how many samples an accuracy costs. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pma_mfg import seeds
from pma_replication import statistics
from pma_replication.style import (
    DASHED,
    DOTTED,
    FITTED,
    add_legend,
    by_game,
    draw_line,
    draw_points,
    game_looks,
    grouped,
    largest_population,
    line_table,
    log_log,
    make_panels,
    measured_points,
    ordered_colours,
    panel_title,
    styled,
    with_slope,
)


def data(
    samples_schedules: pd.DataFrame,
    samples_tuned: pd.DataFrame,
    samples_prescribed: pd.DataFrame,
    independent_epsilon: pd.DataFrame,
) -> pd.DataFrame:
    """Return the error of learning against samples, and the samples that an accuracy costs (claim C4).

    Parameters
    ----------
    samples_schedules : DataFrame
        Of `experiments.samples.measure.theorem_schedules`.
    samples_tuned : DataFrame
        Of `experiments.samples.measure.learning_errors` at one or more epsilon, with tuned schedules; the largest
        population of each game is used.
    samples_prescribed : DataFrame
        The same with the theorem's schedules.
    independent_epsilon : DataFrame
        Of `experiments.independent.measure.independent_learning_errors`: the same of independent learners, the mean
        over agents.

    Returns
    -------
    DataFrame
        The module's columns and epsilon. Panel "learning": error against samples for each epsilon, and epsilon itself
        as the line "target". Panel "cost": samples against 1 / (mean final error), with low and high on that axis, as
        "measured <algorithm> <schedule>"; centralized and tuned also "per update" (divided by K (M_mix + 1)), with a
        line of slope 2 through their centre; and what the theorem prescribes against 1 / epsilon, as "theorem".
    """
    runs = pd.concat([samples_tuned, samples_prescribed, independent_epsilon], ignore_index=True)
    parts = []
    for game, table in by_game(runs):
        tuned = table[(table["schedule"] == "tuned") & (table["algorithm"] == "centralized")]
        for target, curve in tuned[tuned["epoch"] > 0].groupby(tuned["epsilon"].astype(float)):
            x, groups = grouped(largest_population(curve), "samples", "error")
            parts.append(
                measured_points("learning", game, x, groups=groups, label=str(target), fit=False).assign(epsilon=target)
            )
            parts.append(
                line_table("learning", game, "target", x=[x[0], x[-1]], value=[target, target]).assign(epsilon=target)
            )
        for (algorithm, kind), rows in table.groupby(["algorithm", "schedule"]):
            rows = largest_population(rows)
            final = rows[rows["epoch"] == rows["n_epochs"]]
            targets, groups = grouped(final, "epsilon", "error")
            schedule = final.groupby("epsilon")[["samples", "n_epochs", "n_waiting"]].first()
            name = f"measured {algorithm} {kind}"
            parts.append(_cost(game, name, schedule["samples"].to_numpy(float), groups).assign(epsilon=targets))
            if (algorithm, kind) == ("centralized", "tuned"):
                per_update = schedule["samples"] / (schedule["n_epochs"] * (schedule["n_waiting"] + 1))
                cost = _cost(game, f"{name} per update", per_update.to_numpy(float), groups).assign(epsilon=targets)
                parts += [cost, _through_centre("cost", game, "theory", cost["x"], cost["value"], 2.0)]
        known = samples_schedules[samples_schedules["game"] == game].sort_values("epsilon")
        if len(known):
            parts.append(line_table("cost", game, "theorem", x=1.0 / known["epsilon"], value=known["samples"]))
    return pd.concat(parts, ignore_index=True)


def _cost(game: str, series: str, samples: np.ndarray, groups: Sequence[np.ndarray]) -> pd.DataFrame:
    """Return samples against 1 / (mean error); the measured coordinate, with the interval, is the second."""
    rng = seeds.generator(0, "figure", "cost", game)

    def slope(drawn: Sequence[np.ndarray]) -> float:
        return statistics.log_log_slope([1.0 / group.mean() for group in drawn], [float(n) for n in samples])

    errors = [statistics.mean_interval(group, rng) for group in groups]
    points = line_table("cost", game, series, x=[1.0 / e.value for e in errors], value=samples)
    points["low"], points["high"] = [1.0 / e.high for e in errors], [1.0 / e.low for e in errors]
    return with_slope(points, statistics.bootstrap(groups, slope, rng, kind="smooth") if len(groups) > 1 else None)


def _through_centre(
    panel: str, game: str, series: str, x: Iterable[float], value: Iterable[float], exponent: float
) -> pd.DataFrame:
    """Return the ends of the line of a given log-log slope through the centre of the points."""
    x = np.array(list(x))
    ends = np.array([x.min(), x.max()])
    centre_x, centre_y = (np.exp(np.log(list(points)).mean()) for points in (x, value))
    return line_table(panel, game, series, x=ends, value=centre_y * (ends / centre_x) ** exponent)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw the error of learning, and the samples that an accuracy costs.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    learning, cost = (by_game(data[data["panel"] == panel]) for panel in ("learning", "cost"))
    epsilons = ordered_colours(data["epsilon"].dropna(), reverse=True)
    colours, markers, _ = game_looks(data["game"])
    series = [table["series"].nunique() for _, table in cost]
    figure, axes = make_panels(len(learning) + len(cost), 1.9, 1 + max([2 + len(epsilons) // 2, *series]))

    for i, (ax, (game, table)) in enumerate(zip(axes, learning, strict=False)):
        shown = table["epsilon"].unique()
        for epsilon, colour in epsilons.items():
            rows = table[table["epsilon"] == epsilon]
            curve = rows[rows["series"] == "measured"]
            ax.fill_between(curve["x"], curve["low"], curve["high"], color=colour, alpha=0.25, linewidth=0)
            label = rf"$\varepsilon = {epsilon:g}$" if epsilon in shown else None
            draw_line(ax, rows, "measured", color=colour, marker=".", label=label)
            draw_line(ax, rows, "target", **{**DOTTED, "color": colour})
        log_log(ax, "samples (environment steps)", r"$\mathrm{E}\, \mathrm{sup}_s\, \|\pi_k(s) - \pi^*(s)\|_1$")
        panel_title(ax, i, "learning, {}", game=game)
        add_legend(ax, "centralized, tuned for", [Line2D([], [], label=r"target $\varepsilon$", **DOTTED)], ncols=2)

    for i, (ax, (game, table)) in enumerate(zip(axes[len(learning) :], cost, strict=True), start=len(learning)):
        draw_line(ax, table, "theory", **DOTTED)
        draw_line(ax, table, "theorem", **DASHED)
        more = [Line2D([], [], label="slope 2", **DOTTED)] if (table["series"] == "theory").any() else []
        if (table["series"] == "theorem").any():
            more.append(Line2D([], [], label=r"theorem, against $1/\varepsilon$", **DASHED))
        for name in sorted(set(table["series"]) - {"theory", "theorem"}):
            algorithm, kind, *per_update = name.removeprefix("measured ").split(maxsplit=2)
            marker = markers[game] if algorithm == "centralized" else "x"
            face = {"tuned": colours[game], "theorem": "black"}[kind] if not per_update else "white"
            label = "as prescribed" if kind == "theorem" else f"{algorithm}, tuned"
            label = r"$\div\, K(M_{\mathrm{mix}}{+}1)$" if per_update else label
            look = {"color": "black" if kind == "theorem" else colours[game], "marker": marker, "markerfacecolor": face}
            draw_points(ax, table, name, label=f"{label}: ", horizontal=True, **look)
        xlabel = r"$1 \,/\, \mathrm{E}\, \mathrm{sup}_s\, \|\pi_K(s) - \pi^*(s)\|_1$"
        log_log(ax, xlabel, "samples (environment steps)")
        ax.xaxis.labelpad = 1.0  # powers of ten are tall, and the legend is close
        panel_title(ax, i, "cost, {}", game=game)
        add_legend(ax, FITTED, more)
    return figure
