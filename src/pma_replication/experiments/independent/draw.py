"""What is drawn on learners that share nothing: from tables to the numbers drawn, and to the figure."""

from __future__ import annotations

from typing import Any

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
    line_table,
    log_log,
    make_panels,
    measured_points,
    ordered_colours,
    panel_title,
    styled,
    with_slope,
)


def data(independent: pd.DataFrame) -> pd.DataFrame:
    """Return how far N independent learners are from the equilibrium, and from each other (claim C5).

    Parameters
    ----------
    independent : DataFrame
        Of `experiments.independent.measure.independent_errors`, all sweeps together.

    Returns
    -------
    DataFrame
        The module's columns and setting (N in panel "history", eta in panel "spread"). Panel "history": the median
        agent's error against samples, low and high being the 5 and 95 % quantiles over agents, and "worst", all means
        over runs. Panel "spread": distance to the mean policy against epochs, and where it is "predicted" to end.
        Panels "step", "updates", "populations": after the last epoch, against eta, M_td and N, with intervals over
        runs; "measured worst" and "measured centre" beside the mean error; lines of theory.
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
        if "updates" in runs:
            parts += _final_points(game, "updates", "n_updates", final["updates"], 3)
            first = final["updates"].drop_duplicates("n_updates").sort_values("n_updates")
            parts.append(line_table("updates", game, "theory", x=first["n_updates"], value=first["predicted_spread"]))
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
    data: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return data if "setting" in data else data.assign(setting=np.nan)


def _final_points(game: str, panel: str, by: str, final: pd.DataFrame, fitted: int = 0) -> list[pd.DataFrame]:
    """Return the mean, the worst and the mean policy's error after the last epoch, fitted over the last points."""
    parts = []
    for series, column in (("measured", "error"), ("measured worst", "worst"), ("measured centre", "centre_error")):
        x, groups = grouped(final, by, column)
        points = measured_points(panel, game, x, groups=groups, label=column, fit=False).assign(series=series)
        if column == "error" and fitted and len(x) >= fitted:
            rng = seeds.generator(0, "figure", panel, game)
            points = with_slope(points, statistics.slope_interval(x[-fitted:], groups[-fitted:], rng))
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
    figure, axes = make_panels(5, 1.9, 6)
    panels = {name: data[data["panel"] == name] for name in ("history", "populations", "updates", "spread", "step")}
    distance, samples = r"$\mathrm{sup}_s\, \|\pi^i(s) - \pi^*(s)\|_1$", "samples (environment steps)"
    apart = r"mean of $\mathrm{sup}_s\, \|\pi^i(s) - \bar\pi(s)\|_1$"

    ax, rows = axes[0], panels["history"]
    looks = ordered_colours(rows["setting"].dropna())
    for (_, size), curve in rows.groupby(["game", "setting"]):
        band = curve[curve["series"] == "measured"]
        ax.fill_between(band["x"], band["low"], band["high"], color=looks[size], alpha=0.2, linewidth=0)
        draw_line(ax, curve, "measured", color=looks[size], marker=".", label=f"$N = {size:g}$")
        draw_line(ax, curve, "worst", color=looks[size], linestyle=(0, (4, 2)))
    log_log(ax, samples, distance)
    panel_title(ax, 0, "agents and samples")
    kinds = [("median agent", {"color": "0.3", "marker": "."}), ("worst agent", {**DASHED, "color": "0.3"})]
    kinds.append(("band: 5 to 95 % of agents", {"color": "0.3", "alpha": 0.2, "linewidth": 5}))
    add_legend(ax, None, [Line2D([], [], label=label, **look) for label, look in kinds])

    for i, (panel, xlabel, title) in enumerate(
        (
            ("populations", "agents $N$", "typical and worst"),
            ("updates", r"TD updates $M_{\mathrm{td}}$", "TD updates"),
        ),
        start=1,
    ):
        ax = axes[i]
        for game, table in by_game(panels[panel]):
            draw_line(ax, table, "theory", **DOTTED)
            draw_line(ax, table, "theory worst", **{**DASHED, "color": "0.35"})
            look: dict[str, Any] = {"color": colours[game], "marker": markers[game]}
            draw_points(ax, table, "measured", label="mean: " if panel == "updates" else "mean of agents", **look)
            draw_points(ax, table, "measured worst", label="worst agent", **{**look, "marker": "_"})
            draw_points(ax, table, "measured centre", label="mean policy", **{**look, "marker": "x"})
        log_log(ax, xlabel, distance)
        panel_title(ax, i, title)
        lines = [Line2D([], [], label="predicted noise of an agent", **DOTTED)]
        if panel == "populations":
            lines.append(Line2D([], [], label=r"and $\sigma\sqrt{2\, \log N}$ more", **{**DASHED, "color": "0.35"}))
        add_legend(ax, FITTED if panel == "updates" else None, lines)

    ax, rows = axes[3], panels["spread"]
    looks = ordered_colours(rows["setting"].dropna())
    for (_, size), curve in rows.groupby(["game", "setting"]):
        draw_line(ax, curve, "measured", color=looks[size], label=rf"$\eta = {size:g}$")
        draw_line(ax, curve, "predicted", **{**DOTTED, "color": looks[size]})
    log_log(ax, "epoch $k$", apart)
    panel_title(ax, 3, "disagreement")
    add_legend(ax, None, [Line2D([], [], label="predicted end", **DOTTED)], ncols=2)

    ax = axes[4]
    for game, table in by_game(panels["step"]):
        draw_line(ax, table, "theory", color=colours[game], linestyle=styles[game])
        draw_points(ax, table, "measured", label="", color=colours[game], marker=markers[game])
    log_log(ax, r"step size $\eta$", apart)
    panel_title(ax, 4, "disagreement and steps")
    add_legend(ax, FITTED, [Line2D([], [], color="0.3", label="predicted, no free parameter")])
    return figure
