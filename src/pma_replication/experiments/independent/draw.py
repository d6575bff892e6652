"""Figure: learners that share nothing. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
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
    plain_name,
    styled,
    text_width,
    with_slope,
)


def data(independent: pd.DataFrame, independent_games: pd.DataFrame) -> pd.DataFrame:
    """Return how far N independent learners are from the equilibrium, and from each other (claim C5).

    Parameters
    ----------
    independent : DataFrame
        Of `experiments.independent.measure.independent_errors`, all sweeps together.
    independent_games : DataFrame
        The same of many games, with `dividing_line`.

    Returns
    -------
    DataFrame
        The module's columns and setting (N in panel "history", eta in panel "spread"). Panel "history": the median
        agent's error against samples, low and high being the 5 and 95 % quantiles over agents, and "worst", all means
        over runs. Panel "spread": distance to the mean policy against epochs, and where it is "predicted" to end.
        Panels "step", "updates", "populations": after the last epoch, against eta, M_td and N, with intervals over
        runs; "measured worst" and "measured centre" beside the mean error; lines of theory. Panel "excess": a of
        C5-excess, as value, of agents who start alike ("equal") or not ("unequal"), with its interval; x is
        A L_{q,pi} / rho, infinite where nothing bounds it.
    """
    parts = []
    for game, table in by_game(independent):
        runs = {str(sweep): rows for sweep, rows in table.groupby("sweep")}
        final = {sweep: rows[rows["epoch"] == rows["n_epochs"]] for sweep, rows in runs.items()}
        if "populations" in runs:
            sizes = sorted(set(runs["populations"]["n_agents"]))
            for size in sorted({sizes[0], sizes[len(sizes) // 2], sizes[-1]}):
                rows = runs["populations"].query("n_agents == @size and epoch > 0")
                means = rows.groupby("samples")[["median", "low", "high", "worst"]].mean()
                typical = line_table("history", game, "measured", x=means.index, value=means["median"])
                typical["low"], typical["high"] = means["low"].to_numpy(), means["high"].to_numpy()
                worst = line_table("history", game, "worst", x=means.index, value=means["worst"])
                parts += [part.assign(setting=float(size)) for part in (typical, worst)]
            parts += _final_points(game, "populations", "n_agents", final["populations"])
            first = final["populations"].drop_duplicates("n_agents").sort_values("n_agents")
            limit = first["predicted_spread"] + first["predicted_deviation"] * np.sqrt(2.0 * np.log(first["n_agents"]))
            parts.append(
                line_table("populations", game, "theory", x=first["n_agents"], value=first["predicted_spread"])
            )
            parts.append(line_table("populations", game, "theory worst", x=first["n_agents"], value=limit))
        if "step_sizes" in runs:
            for size, rows in runs["step_sizes"].groupby("step_size"):
                path = rows[rows["epoch"] > 0].groupby("epoch")[["spread"]].mean()
                parts.append(
                    line_table("spread", game, "measured", x=path.index, value=path["spread"]).assign(setting=size)
                )
                ends = [path.index[-1] / 2, path.index[-1]]
                level = [rows["predicted_spread"].iloc[0]] * 2
                parts.append(line_table("spread", game, "predicted", x=ends, value=level).assign(setting=size))
            x, groups = grouped(final["step_sizes"], "step_size", "spread")
            points = measured_points("step", game, x, groups=groups, fit=False)
            if len(x) >= 3:
                rng = seeds.generator(0, "figure", "step", game)
                points = with_slope(points, statistics.slope_interval(x[:3], groups[:3], rng))
            first = final["step_sizes"].drop_duplicates("step_size").sort_values("step_size")
            parts += [points, line_table("step", game, "theory", x=first["step_size"], value=first["predicted_spread"])]
    for game, table in by_game(independent_games):
        parts += _cost(game, table)
    data: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return data if "setting" in data else data.assign(setting=np.nan)


def _cost(game: str, table: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the error of one game against M_td, with its prediction, and the exponent of the samples less 2."""
    parts = []
    for starts, rows in table[table["epoch"] == table["n_epochs"]].groupby("sweep"):
        final = largest_population(rows)
        updates, groups = grouped(final, "n_updates", "error")
        if starts == "equal":
            parts.append(measured_points("updates", game, updates, groups=groups, fit=False))
            first = final.drop_duplicates("n_updates").sort_values("n_updates")
            parts.append(line_table("updates", game, "theory", x=first["n_updates"], value=first["predicted_spread"]))

        def excess(drawn: Sequence[np.ndarray], updates: list[float] = updates) -> float:
            return statistics.log_log_slope([1.0 / float(group.mean()) for group in drawn], updates) - 2.0

        if len(updates) < 2:
            continue
        found = statistics.bootstrap(groups, excess, seeds.generator(0, "figure", "excess", game, str(starts)))
        point = line_table("excess", game, str(starts), x=[rows["agent_constant"].iloc[0]], value=[found.value])
        parts.append(point.assign(low=found.low, high=found.high))
    return parts


def _final_points(game: str, panel: str, by: str, final: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the mean, the worst and the mean policy's error after the last epoch."""
    parts = []
    for series, column in (("measured", "error"), ("measured worst", "worst"), ("measured centre", "centre_error")):
        x, groups = grouped(final, by, column)
        points = measured_points(panel, game, x, groups=groups, label=column, fit=False).assign(series=series)
        parts.append(points)
    return parts


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw the errors of independent learners and their disagreement.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    colours, markers, styles = game_looks(data["game"])
    panels = {
        name: data[data["panel"] == name] for name in ("history", "populations", "updates", "spread", "step", "excess")
    }
    swept, learned = sorted(set(panels["history"]["game"])), sorted(set(panels["excess"]["game"]))
    figure, axes = make_panels(4 + 2 * len(swept), max(1.6, 0.13 * len(learned)), 4 + len(swept))
    distance, samples = r"$\mathrm{sup}_s\, \|\pi^i(s) - \pi^*(s)\|_1$", "samples (environment steps)"
    apart = r"mean of $\mathrm{sup}_s\, \|\pi^i(s) - \bar\pi(s)\|_1$"

    ax = axes[0]
    for game, table in by_game(panels["updates"]):
        draw_line(ax, table, "theory", **DOTTED)
        draw_points(ax, table, "measured", label="_", color=colours[game], marker=markers[game])
    log_log(ax, r"TD updates $M_{\mathrm{td}}$", distance)
    panel_title(ax, 0, "mean error, by game")
    mark: dict[str, Any] = {"marker": _mark(learned, markers), "markerfacecolor": "none", "linestyle": "none"}
    marks = Line2D([], [], label="a game, named in b", color="0.3", **mark)
    add_legend(ax, None, [marks, Line2D([], [], label="predicted noise", **DOTTED)])
    _forest(axes[1], panels["excess"], colours, markers)
    panel_title(axes[1], 1, "excess exponent $a$")

    ax = axes[2]
    for game, table in by_game(panels["populations"]):
        draw_line(ax, table, "theory", **DOTTED)
        draw_line(ax, table, "theory worst", **{**DASHED, "color": "0.35"})
        look: dict[str, Any] = {"color": colours[game], "marker": markers[game]}
        draw_points(ax, table, "measured", label=f"mean, {plain_name(game, 0.9)}", **look)
        draw_points(ax, table, "measured worst", label="_", **{**look, "marker": "_"})
        draw_points(ax, table, "measured centre", label="_", **{**look, "marker": "x"})
    log_log(ax, "agents $N$", distance)
    panel_title(ax, 2, "typical and worst")
    grey: dict[str, Any] = {"color": "0.3", "linestyle": "none"}
    lines = [Line2D([], [], label=label, marker=mark, **grey) for label, mark in (("worst", "_"), ("mean policy", "x"))]
    lines.append(Line2D([], [], label="predicted noise of an agent", **DOTTED))
    lines.append(Line2D([], [], label=r"and $\sigma\sqrt{2\, \log N}$ more", **{**DASHED, "color": "0.35"}))
    add_legend(ax, None, lines)

    for i, game in enumerate(swept, start=3):
        _history(axes[i], panels["history"].query("game == @game"))
        log_log(axes[i], samples, distance)
        panel_title(axes[i], i, "error, {}", game=game)
        kinds = [("median agent", {"color": "0.3", "marker": "."}), ("worst agent", {**DASHED, "color": "0.3"})]
        kinds.append(("band: 5 to 95 % of agents", {"color": "0.3", "alpha": 0.2, "linewidth": 5}))
        add_legend(axes[i], None, [Line2D([], [], label=label, **look) for label, look in kinds])

    for i, game in enumerate(swept, start=3 + len(swept)):
        rows = panels["spread"].query("game == @game")
        looks = ordered_colours(rows["setting"].dropna())
        for size, curve in rows.groupby("setting"):
            draw_line(axes[i], curve, "measured", color=looks[size], label=rf"$\eta = {size:g}$")
            draw_line(axes[i], curve, "predicted", **{**DOTTED, "color": looks[size]})
        log_log(axes[i], "epoch $k$", apart)
        panel_title(axes[i], i, "disagreement, {}", game=game)
        add_legend(axes[i], None, [Line2D([], [], label="predicted end", **DOTTED)], ncols=2)

    ax = axes[3 + 2 * len(swept)]
    for game, table in by_game(panels["step"]):
        draw_line(ax, table, "theory", color=colours[game], linestyle=styles[game])
        label = f"{plain_name(game, 0.6)}: "
        draw_points(ax, table, "measured", label=label, color=colours[game], marker=markers[game])
    log_log(ax, r"step size $\eta$", apart)
    panel_title(ax, 3 + 2 * len(swept), "disagreement and steps")
    add_legend(ax, FITTED, [Line2D([], [], color="0.3", label="predicted, no free parameter")])
    return figure


def _history(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw the errors of the median and of the worst agent against samples, for each N."""
    looks = ordered_colours(rows["setting"].dropna())
    for size, curve in rows.groupby("setting"):
        band = curve[curve["series"] == "measured"]
        ax.fill_between(band["x"], band["low"], band["high"], color=looks[size], alpha=0.2, linewidth=0)
        draw_line(ax, curve, "measured", color=looks[size], marker=".", label=f"$N = {size:g}$")
        draw_line(ax, curve, "worst", color=looks[size], linestyle=(0, (4, 2)))


def _mark(games: list[str], markers: dict[str, str]) -> str:
    """Return the marker that stands for any game in a legend: its own if there is one only."""
    return markers[games[0]] if len(games) == 1 else "o"


def _forest(ax: Axes, rows: pd.DataFrame, colours: dict[str, str], markers: dict[str, str]) -> None:
    """Draw the excess exponent of every game in a line of its own, those of the least A L_{q,pi} / rho on top."""
    constants = rows.groupby("game")["x"].first().sort_values(kind="stable")
    places = {str(game): float(i) for i, game in enumerate(constants.index)}
    for game, table in by_game(rows):
        for series, shift, face in (("equal", -0.15, colours[game]), ("unequal", 0.25, "none")):
            point = table[table["series"] == series]
            ax.hlines([places[game] + shift] * len(point), point["low"], point["high"], color=colours[game])
            look: dict[str, Any] = {
                "marker": markers[game],
                "markerfacecolor": face,
                "linestyle": "none",
                "color": colours[game],
            }
            ax.plot(point["value"], [places[game] + shift] * len(point), **look)
    ax.axvline(0.0, **DOTTED)
    ax.axvline(0.25, **{**DASHED, "color": "0.35"})
    below = int((constants < 1.0).sum())
    if 0 < below < len(constants):
        ax.axhline(below - 0.5, color="0.6", linewidth=0.8)
    names = [plain_name(game, 1.3) for game in places]
    ax.set_yticks(list(places.values()), names)
    box, inch = ax.get_position(), 1.0 / cast(Figure, ax.get_figure()).get_figwidth()
    left = inch * max([0.0, *(text_width(name, 9.0) - 0.6 for name in names)])  # what does not fit between panels
    ax.set_position((box.x0 + left, box.y0, box.width - left, box.height))
    ax.set(ylim=(len(places) - 0.4, -0.6), xlabel=r"$a$ in $\varepsilon^{-2-a}$")
    handles = [
        Line2D([], [], label=r"none, $a = 0$", **DOTTED),
        Line2D([], [], label="rival", **{**DASHED, "color": "0.35"}),
    ]
    mark: dict[str, Any] = {"color": "0.3", "marker": _mark(list(places), markers), "linestyle": "none"}
    handles += [Line2D([], [], label="equal starts", **mark)]
    handles += [Line2D([], [], label="unequal starts", markerfacecolor="none", **mark)]
    if 0 < below < len(constants):
        handles.append(Line2D([], [], label=r"above: $A\, L_{q,\pi} < \rho$", color="0.6", linewidth=0.8))
    add_legend(ax, None, handles)
