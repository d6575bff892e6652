"""What is drawn on how samples to an accuracy grow with a game: from a table to the numbers, and to the figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pma_mfg import seeds
from pma_replication import statistics
from pma_replication.experiments.scaling import judge
from pma_replication.experiments.scaling.lines import QUANTITIES
from pma_replication.style import COLOURS, by_game, draw_line, line_table, log_log, make_panels, panel_title, styled

#: Quantity -> the label of its axis, and what the panel is called.
AXES = {
    "n_states": ("number of states $S$", "states"),
    "n_actions": ("number of actions $A$", "actions"),
    "horizon": (r"horizon $1/(1-\gamma)$", "patience"),
    "inverse_action": (r"$1/\min\pi^\ast$", "a rare action"),
    "inverse_state": (r"$1/\min\mu^\ast$", "a rare state"),
}

#: Whether the games of a line are certified -> the looks of its marks, and what they are called.
LOOKS: dict[bool, tuple[dict[str, Any], str]] = {
    True: ({"color": COLOURS[5], "marker": "o"}, "certified, weakly coupled"),
    False: ({"color": COLOURS[6], "marker": "s"}, "strongly coupled"),
}


def data(scaling: pd.DataFrame) -> pd.DataFrame:
    """Return measured, exact and prescribed samples against what moves (claims C4-scaling, C4-scaling-exact).

    Parameters
    ----------
    scaling : DataFrame
        Of `experiments.scaling.measure.measure`, for one or more lines.

    Returns
    -------
    DataFrame
        The module's columns, and certified. The panel is the quantity; of each line (in the column game) the series
        "measured", with intervals over replicates, "exact" and, where the theorem prescribes something, "theorem".
    """
    parts = []
    for line, rows in by_game(scaling):
        games, at = judge.games_of(rows), judge.quantity(rows)
        proved = judge.certified(games)
        of_line = [line_table(at, line, "exact", x=games[at], value=games["exact_samples"])]
        if len(proved):
            of_line.append(line_table(at, line, "theorem", x=proved[at], value=proved["theorem_samples"]))
        for value in games["value"].tolist():
            of_game = rows[rows["value"] == value]
            samples = _measured(of_game, line, value)
            point = line_table(at, line, "measured", x=of_game[at].iloc[:1], value=[samples.value])
            of_line.append(point.assign(low=samples.low, high=samples.high))
        parts.append(pd.concat(of_line, ignore_index=True).assign(certified=len(proved) > 0))
    return pd.concat(parts, ignore_index=True).sort_values(["game", "series", "x"], ignore_index=True)


def _measured(of_game: pd.DataFrame, line: str, value: float) -> statistics.Estimate:
    """Return the samples of one game with their interval."""
    read = judge.reading(of_game)
    rng = seeds.generator(0, "figure", "scaling", line, value)
    return statistics.bootstrap(judge.replicates(of_game), lambda drawn: read(drawn)[0], rng, kind="mean")


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw samples to an accuracy against each of the quantities.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = [at for at in QUANTITIES.values() if at in set(data["panel"])]
    handles = [
        Line2D([], [], linestyle="none", markerfacecolor="none", label=f"measured, {words}", **look)
        for look, words in LOOKS.values()
    ]
    handles += [
        Line2D([], [], color="0.3", label="exact"),
        Line2D([], [], color="0.3", linestyle="--", label="theorem (our constants)"),
    ]
    title = "Samples of one trajectory to an accuracy, as games grow"
    figure, axes = make_panels(len(shown), 1.9, 0, title=title, handles=handles)
    for i, (ax, at) in enumerate(zip(axes, shown, strict=True)):
        label, name = AXES[at]
        for _, rows in by_game(data[data["panel"] == at]):
            rows = rows.sort_values("x")
            look, _ = LOOKS[bool(rows["certified"].iloc[0])]
            draw_line(ax, rows, "exact", color=look["color"])
            draw_line(ax, rows, "theorem", color=look["color"], linestyle="--")
            marks = rows[rows["series"] == "measured"]
            ends = np.abs(marks[["low", "high"]].to_numpy().T - marks["value"].to_numpy())
            ax.errorbar(marks["x"], marks["value"], ends, linestyle="none", markerfacecolor="none", **look)
        log_log(ax, label, "samples" if i % 3 == 0 else "")
        panel_title(ax, i, name)
    return figure
