"""Figure: what a finite number of agents does to what is learned.

From tables to the numbers drawn, and to the figure.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

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
    legend_marks,
    line_table,
    log_log,
    make_panels,
    measured_points,
    panel_title,
    plain_name,
    styled,
)


def data(
    populations_bias: pd.DataFrame,
    populations_exact: pd.DataFrame,
    populations_learned: pd.DataFrame,
) -> pd.DataFrame:
    """Return what a finite population does to the mean field, to Q and to the learned policy (claim C6).

    Parameters
    ----------
    populations_bias : DataFrame
        Of `experiments.populations.measure.finite_population_bias` at several N.
    populations_exact : DataFrame
        Of `experiments.populations.measure.exact_limits`, small N.
    populations_learned : DataFrame
        Of `experiments.populations.measure.learned_policies` at several N.

    Returns
    -------
    DataFrame
        The module's columns. Panel "deviation": E ||mu_hat - mu_pi||_1; panel "bias": max_{s,a} |mean of q_error|;
        panel "policy": distance of the mean learned policy to the equilibrium. Each with the line "theory" of the
        closed form, from the exact solutions' smallest N on, and with those in the series "exact"; "bias" also with the
        slopes -1/2 and -1 to compare with. Of "policy" the line is the limit of learning, exact where that can be had.
    """
    parts = []
    for game, table in by_game(populations_bias):
        x, groups = grouped(table.drop_duplicates(["n_agents", "replicate"]), "n_agents", "deviation")
        parts.append(measured_points("deviation", game, x, groups=groups))
        predicted = table.groupby("n_agents")["predicted_deviation"].first()
        small = populations_exact[populations_exact["game"] == game].sort_values("n_agents")
        below = small[small["n_agents"] < x[0]]  # where the lines of the closed forms begin
        line = [*below["n_agents"], *x]
        parts.append(line_table("deviation", game, "exact", x=small["n_agents"], value=small["deviation"]))
        parts.append(line_table("deviation", game, "theory", x=line, value=[*below["predicted_deviation"], *predicted]))
        matrices = [
            at_n.pivot_table(index="replicate", columns=["state", "action"], values="q_error").to_numpy()
            for _, at_n in table.groupby("n_agents")
        ]
        parts.append(
            measured_points("bias", game, x, groups=matrices, summary=lambda q: float(np.abs(q.mean(axis=0)).max()))
        )
        largest = table["predicted_q_error"].abs().groupby(table["n_agents"]).max()
        parts.append(line_table("bias", game, "exact", x=small["n_agents"], value=small["q_error"]))
        parts.append(line_table("bias", game, "theory", x=line, value=[*below["predicted_q_error"], *largest]))
    measured = pd.concat(parts)
    measured = measured[(measured["panel"] == "bias") & (measured["series"] == "measured")]
    ends = np.array([measured["x"].min(), measured["x"].max()])
    for exponent in (-0.5, -1.0):  # above the data and from one point, to compare slopes by eye
        height = 2.0 * measured.loc[measured["x"] == ends[0], "value"].max()
        parts.append(line_table("bias", "", f"slope {exponent:g}", x=ends, value=height * (ends / ends[0]) ** exponent))
    for game, table in by_game(populations_learned):
        x = sorted(set(table["n_agents"].astype(float)))
        errors, limits = (
            [
                at_n.pivot_table(index="replicate", columns=["state", "action"], values=column).to_numpy()
                for _, at_n in table.groupby("n_agents")
            ]
            for column in ("policy_error", "predicted_policy_error")
        )
        shape = (-1, table["state"].nunique(), table["action"].nunique())

        def distance(drawn: np.ndarray, shape: tuple[int, ...] = shape) -> float:
            return float(np.abs(drawn.mean(axis=0)).reshape(shape[1:]).sum(axis=1).max())

        parts.append(measured_points("policy", game, x, groups=errors, summary=distance))
        small = populations_exact[populations_exact["game"] == game].sort_values("n_agents")
        parts.append(line_table("policy", game, "exact", x=small["n_agents"], value=small["policy_error"]))
        below = small[small["n_agents"] < x[0]]
        places = [*below["n_agents"], *x]
        values = [*below["policy_error"], *map(distance, limits)]
        parts.append(line_table("policy", game, "theory", x=places, value=values))
    return pd.concat(parts, ignore_index=True)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw the fluctuation of the mean field, the bias of Q and the error of the learned policy against N.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = sorted(set(data["game"]) - {""})
    colours, markers, styles = game_looks(games)
    handles: list[Line2D | tuple[Line2D, ...]] = [
        *([legend_marks(markers, label="exact")] if (data["series"] == "exact").any() else []),
        legend_marks(markers, markerfacecolor="white", label="measured"),
        Line2D([], [], color="0.3", label="closed form for large $N$, no free parameter"),
    ]
    for game in games:  # here, as there is no room for names beside the slopes
        look = {"color": colours[game], "marker": markers[game], "linestyle": styles[game]}
        handles.append(Line2D([], [], label=plain_name(game), markerfacecolor="none", **look))
    dashed = {**DASHED, "color": "0.35"}
    titles = {
        "deviation": ("fluctuation of the mean field", r"$\mathrm{E}\, \|\hat\mu - \mu_\pi\|_1$"),
        "bias": ("bias of what is learned", r"$\mathrm{max}_{s,a}\, |\mathrm{E}\, Q - \Gamma_q(\pi,\mu_\pi)|$"),
        "policy": ("bias of the learned policy", r"$\mathrm{sup}_s\, \|\mathrm{E}\, \pi_K(s) - \pi^*(s)\|_1$"),
    }
    titles = {panel: titles[panel] for panel in titles if (data["panel"] == panel).any()}
    figure, axes = make_panels(len(titles), 1.9, 2 + len(games) + 1, title=None, handles=handles, ncols=3)
    for i, (ax, (panel, (title, ylabel))) in enumerate(zip(axes, titles.items(), strict=True)):
        rows = data[data["panel"] == panel]
        for game, table in by_game(rows[rows["game"] != ""]):
            draw_line(ax, table, "theory", color=colours[game], linestyle=styles[game])
            draw_line(ax, table, "exact", color=colours[game], marker=markers[game], linestyle="none", markersize=4.5)
            draw_points(ax, table, "measured", label="", color=colours[game], marker=markers[game])
        references = []
        if panel == "bias":
            for exponent, name, look in (("-0.5", "-1/2", DOTTED), ("-1", "-1", dashed)):
                draw_line(ax, rows, f"slope {exponent}", **look)
                references.append(Line2D([], [], label=rf"proportional to $N^{{{name}}}$", **look))
        log_log(ax, "population size $N$", ylabel)
        numbers = sorted(rows.loc[rows["game"] != "", "x"].unique())
        if numbers[-1] < 3.0 * numbers[0]:  # the labels of a scale so short overlap
            ax.xaxis.set_major_locator(FixedLocator(numbers))
        panel_title(ax, i, title)
        add_legend(ax, FITTED, references)
    return figure
