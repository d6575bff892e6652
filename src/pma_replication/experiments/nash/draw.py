"""Figure: what one agent among N gains by deviating. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FormatStrFormatter, LogLocator

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

#: Up to this many numbers of agents, each is a tick with its label, since automatic ticks would lie between integers.
FEW = 3


def data(nash: pd.DataFrame, nash_learned: pd.DataFrame) -> pd.DataFrame:
    """Return what a deviator gains against the number of agents, and at learned policies (claim C7).

    Parameters
    ----------
    nash : DataFrame
        Of `experiments.nash.measure.nash_gaps`, for one or more games.
    nash_learned : DataFrame
        Of `experiments.nash.measure.learned_gaps`.

    Returns
    -------
    DataFrame
        The module's columns. Panels "regularized" and "indifferent": the exact gain of deviators who see their own
        state in the series "measured", of those who see the counts in "counts", the limits' lines "measured theory" and
        "counts theory" where one is known, and the lines "slope -0.5", "slope -1" and, with a regularizer, "slope -2".
        Panel "learned": the gain in the series "measured", and the line "equilibrium".
    """
    parts = []
    for panel, rows in nash.groupby("variant"):
        for game, table in by_game(rows.sort_values("n_agents")):
            for sees, of_class in table.groupby("sees"):
                series = "measured" if sees == "state" else "counts"
                parts.append(line_table(str(panel), game, series, x=of_class["n_agents"], value=of_class["gap"]))
                known = of_class[of_class["predicted"].notna()]
                limit = {"x": known["n_agents"], "value": known["predicted"]}
                parts.append(line_table(str(panel), game, f"{series} theory", **limit))
        ends = np.array([rows["n_agents"].min(), rows["n_agents"].max()], dtype=float)
        height = 2.5 * rows.loc[rows["n_agents"] == ends[0], "gap"].max()
        for exponent in (-0.5, -1.0, -2.0) if panel == "regularized" else (-0.5, -1.0):
            parts.append(
                line_table(str(panel), "", f"slope {exponent:g}", x=ends, value=height * (ends / ends[0]) ** exponent)
            )
    for game, rows in by_game(nash_learned):
        x, groups = grouped(rows, "n_updates", "gap")
        parts.append(measured_points("learned", game, x, groups=groups))
        value = float(rows["equilibrium_gap"].iloc[0])
        parts.append(line_table("learned", game, "equilibrium", x=[x[0], x[-1]], value=[value, value]))
    return pd.concat(parts, ignore_index=True)


#: How the lines are drawn that slopes are compared with, and their names.
REFERENCES = {
    "-0.5": ("-1/2", DOTTED),
    "-1": ("-1", {**DASHED, "color": "0.35"}),
    "-2": ("-2", {**DASHED, "color": "0.65"}),
}


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw what one of N agents gains by leaving the equilibrium, with a regularizer and without, or a learned policy.

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
        legend_marks(markers, markerfacecolor="white", label="sees the counts"),
        legend_marks(markers, label="sees its own state"),
        Line2D([], [], color="0.3", label="limit for large $N$, no free parameter"),
    ]
    exact = data[data["panel"] != "learned"]
    numbers = sorted(set(exact.loc[exact["series"] == "measured", "x"]))
    titles = {"regularized": "with a regularizer", "indifferent": "without", "learned": "at a learned policy"}
    titles = {panel: titles[panel] for panel in titles if (data["panel"] == panel).any()}
    figure, axes = make_panels(len(titles), 2.3, len(games) + 3, title=None, handles=handles)
    for i, (ax, (panel, title)) in enumerate(zip(axes, titles.items(), strict=True)):
        rows = data[data["panel"] == panel]
        references = []
        for game, table in by_game(rows[rows["game"] != ""]):
            points = {"color": colours[game], "marker": markers[game], "linestyle": "none"}
            line = {"color": colours[game], "linestyle": styles[game]}
            if panel == "learned":
                name = "" if i else f"{plain_name(game)}: "  # the first panel names the marks
                draw_points(ax, table, "measured", label=name, color=colours[game], marker=markers[game])
                draw_line(ax, table, "equilibrium", **line)
                continue
            for sees in ("counts", "measured"):
                draw_line(ax, table, f"{sees} theory", **line)
            draw_line(ax, table, "counts", markerfacecolor="none", **points)
            draw_line(ax, table, "measured", label=plain_name(game), **points)
        for exponent, (name, look) in REFERENCES.items():
            if (rows["series"] == f"slope {exponent}").any():
                draw_line(ax, rows, f"slope {exponent}", **look)
                bound = ", the paper's bound" if name == "-1/2" else ""
                references.append(Line2D([], [], label=rf"$N^{{{name}}}${bound}", **look))
        if panel == "learned":
            references.append(Line2D([], [], color="0.3", label="at the equilibrium"))
        xlabel = "updates per epoch" if panel == "learned" else "population size $N$"
        log_log(ax, xlabel, r"gain of a deviator, $\mathrm{E}\, [V^* - V^\pi]$")
        if panel != "learned" and len(numbers) <= FEW:
            ax.xaxis.set_major_locator(FixedLocator(numbers))
            low, high = ax.yaxis.get_view_interval()
            if high < 10.0 * low:  # over more than a decade so many labels overlap
                ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
                ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        panel_title(ax, i, title)
        add_legend(ax, FITTED if panel == "learned" else None, references)
    return figure
