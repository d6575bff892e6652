"""Figure: exact methods side by side. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from pma_mfg.iterations import METHODS as EXACT
from pma_replication.experiments.dynamics.measure import ACCURACY
from pma_replication.style import (
    ANCHOR,
    COLOURS,
    DASHED,
    ROUNDED_DISTANCE,
    add_legend,
    by_game,
    grid_shape,
    make_panels,
    panel_title,
    styled,
)

#: Looks of methods; the explicit step is drawn on top of the implicit one.
LOOKS: dict[str, dict[str, Any]] = {
    "pma_euclidean": {"color": COLOURS[6]},
    "pma_kl": {"color": COLOURS[0]},
    "online_mirror_descent": {"color": "0.15", "linestyle": "none", "marker": "+", "markersize": 5.0, "markevery": 3},
    "best_response": {"color": COLOURS[2]},
    "fictitious_play": {"color": COLOURS[4]},
}
#: Colours of methods without a look of their own.
SPARE = [colour for i, colour in enumerate(COLOURS) if i not in (0, 2, 4, 6)]
#: Methods of `iterations.METHODS` in words, and their looks.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    name: (method.words, LOOKS.get(name, {"color": SPARE[i % len(SPARE)]}))
    for i, (name, method) in enumerate(EXACT.items())
}


def data(histories: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return the distance to the equilibrium of every exact method, and what theory predicts for it (claim C2).

    Parameters
    ----------
    histories, outcomes : DataFrame
        Of `experiments.dynamics.measure.compare`, for one or more games.

    Returns
    -------
    DataFrame
        Columns game, method, series, start, iteration, distance, reached (iterations to an exploitability of
        `experiments.dynamics.measure.ACCURACY`, the slowest start's, nan if one did not get there), period (the
        longest), iterations (of the longest run). Series "measured": from the first iteration on, above rounding.
        Series "predicted", of the first start: the predicted linear rate through the measured point nearest to
        `ANCHOR`; for fictitious play k^-1 through its last point.
    """
    measured = histories[(histories["iteration"] > 0) & (histories["distance"] > ROUNDED_DISTANCE)]
    facts = outcomes.groupby(["game", "method"], as_index=False).agg(
        rate=("predicted_rate", "first"),
        reached=("iterations_to_accuracy", lambda starts: starts.max(skipna=False)),
        period=("period", "max"),
        iterations=("iterations", "max"),
    )
    measured = measured.merge(facts, on=["game", "method"], how="left").assign(series="measured")
    parts = [measured]
    for (_, method), runs in measured[measured["start"] == 0].groupby(["game", "method"]):
        nearest = runs.loc[np.log(runs["distance"] / ANCHOR).abs().idxmin()]
        k, rate = runs["iteration"], nearest["rate"]
        if method == "fictitious_play":
            nearest = runs.iloc[-1]
            line = nearest["distance"] * nearest["iteration"] / k
            parts.append(runs.assign(series="predicted", distance=line)[k >= 0.1 * nearest["iteration"]])
        elif 0.0 < rate < 1.0 and method in ("pma_euclidean", "pma_kl"):
            line = nearest["distance"] * rate ** (k - nearest["iteration"])
            parts.append(runs.assign(series="predicted", distance=line)[line < runs["distance"].max()])
    columns = ["game", "method", "series", "start", "iteration", "distance", "reached", "period", "iterations"]
    order = ["game", "method", "series", "start", "iteration"]
    return pd.concat(parts)[columns].sort_values(order, ignore_index=True)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw the distance to the equilibrium of every exact method against the iteration, one panel per game.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = by_game(data)
    handles = [
        Line2D([], [], color="0.5", label="measured, one line per start"),
        Line2D([], [], label="predicted: spectral radius of PMA, $k^{-1}$ of fictitious play", **DASHED),
    ]
    title = "Exact methods, each at the step size that the Jacobian gives it"
    height = 1.9 if len(games) <= 6 else 1.3  # so that three rows fit a page
    figure, axes = make_panels(len(games), height, 1 + len(METHODS), title=title, handles=handles, sharey=True)
    for i, (ax, (game, table)) in enumerate(zip(axes, games, strict=True)):
        measured = table[table["series"] == "measured"]
        for method, (words, look) in METHODS.items():
            runs = measured[measured["method"] == method]
            if runs.empty:
                continue
            for _, curve in runs.groupby("start"):
                ax.plot(curve["iteration"], curve["distance"], linewidth=1.0, **look)
            reached, period, iterations = runs[["reached", "period", "iterations"]].iloc[0]
            failure = f"cycle of {period:.0f}" if period > 1 else f"not in {iterations:.0f}"
            ax.plot([], [], label=f"{words}: " + (failure if np.isnan(reached) else f"{reached:.0f}"), **look)
        for _, line in table[table["series"] == "predicted"].groupby("method"):
            ax.plot(line["iteration"], line["distance"], **DASHED)
        ax.set(xlabel="iteration $k$", xscale="log", yscale="log", ylim=(ROUNDED_DISTANCE, None))
        ax.yaxis.set_major_locator(LogLocator(numticks=6))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_minor_formatter(NullFormatter())
        if i % grid_shape(len(games))[1] == 0:
            ax.set_ylabel(r"$\mathrm{sup}_s\, \|\pi_k(s) - \pi^*(s)\|_1$")
        panel_title(ax, i, "{}", game=game)
        add_legend(ax, rf"iterations to $\mathcal{{E}}_h \leq 10^{{{np.log10(ACCURACY):.0f}}}$")
    return figure
