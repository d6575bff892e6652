"""What is drawn on what one agent among N gains by deviating: from tables to the numbers drawn, and to the figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FormatStrFormatter, LogLocator

from pma_replication.style import (
    DASHED,
    DOTTED,
    add_legend,
    by_game,
    draw_line,
    game_looks,
    legend_marks,
    line_table,
    log_log,
    make_panels,
    panel_title,
    plain_name,
    styled,
)

#: Numbers of agents up to which each has a label: there are no 4.5 agents.
FEW = 3


def data(nash: pd.DataFrame) -> pd.DataFrame:
    """Return what a deviator gains against the number of agents, exactly and in the limit (claim C7).

    Parameters
    ----------
    nash : DataFrame
        Of `experiments.nash.measure.nash_gaps`, for one or more games.

    Returns
    -------
    DataFrame
        The module's columns. Panels "regularized" and "indifferent": the gain in series "measured" (exact numbers), the
        limit's line "theory" where one is known, and the line "slope -1" or "slope -0.5", in each panel both.
    """
    parts = []
    for panel, rows in nash.groupby("variant"):
        for game, table in by_game(rows.sort_values("n_agents")):
            parts.append(line_table(str(panel), game, "measured", x=table["n_agents"], value=table["gap"]))
            known = table[table["predicted"].notna()]
            parts.append(line_table(str(panel), game, "theory", x=known["n_agents"], value=known["predicted"]))
        ends = np.array([rows["n_agents"].min(), rows["n_agents"].max()], dtype=float)
        height = 2.5 * rows.loc[rows["n_agents"] == ends[0], "gap"].max()
        for exponent in (-0.5, -1.0):
            parts.append(
                line_table(str(panel), "", f"slope {exponent:g}", x=ends, value=height * (ends / ends[0]) ** exponent)
            )
    return pd.concat(parts, ignore_index=True)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw what one of N agents gains by leaving the equilibrium, with a regularizer and without.

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
        legend_marks(markers, markerfacecolor="white", label="exact"),
        Line2D([], [], color="0.3", label="limit for large $N$, no free parameter"),
    ]
    dashed = {**DASHED, "color": "0.35"}
    numbers = sorted(set(data.loc[data["series"] == "measured", "x"]))
    titles = {"regularized": "with a regularizer", "indifferent": "without, where all actions are equally good"}
    figure, axes = make_panels(2, 2.3, len(games) + 2, title=None, handles=handles)
    for i, (ax, (panel, title)) in enumerate(zip(axes, titles.items(), strict=False)):
        rows = data[data["panel"] == panel]
        for game, table in by_game(rows[rows["game"] != ""]):
            draw_line(ax, table, "theory", color=colours[game], linestyle=styles[game])
            points = {"color": colours[game], "marker": markers[game], "markerfacecolor": "none"}
            draw_line(ax, table, "measured", label=plain_name(game), linestyle="none", **points)
        references = []
        for exponent, name, look in (("-0.5", "-1/2", DOTTED), ("-1", "-1", dashed)):
            draw_line(ax, rows, f"slope {exponent}", **look)
            bound = ", the paper's bound" if name == "-1/2" else ""
            references.append(Line2D([], [], label=rf"proportional to $N^{{{name}}}${bound}", **look))
        log_log(ax, "population size $N$", r"gain of a deviator, $\mathrm{E}\, [V^* - V^\pi]$")
        if len(numbers) <= FEW:
            ax.xaxis.set_major_locator(FixedLocator(numbers))
            ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0)))
            ax.yaxis.set_major_formatter(FormatStrFormatter("%g"))
        panel_title(ax, i, title)
        add_legend(ax, None, references)
    return figure
