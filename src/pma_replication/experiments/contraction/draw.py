"""Figure: how fast exact policy mirror ascent converges.

From tables to the numbers drawn, and to the figure.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from pma_replication.experiments.contraction.measure import RATE_WINDOW
from pma_replication.style import (
    DASHED,
    add_legend,
    by_game,
    grid_shape,
    make_panels,
    ordered_colours,
    panel_title,
    styled,
)


def data(iterates: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """Return the distances of PMA to the equilibrium, and the lines that the Jacobian predicts (claim C1).

    Parameters
    ----------
    iterates, rates : DataFrame
        Of `experiments.contraction.measure.pma_convergence`, for one or more games.

    Returns
    -------
    DataFrame
        Columns game, series ("measured" or "predicted"), step_size, start, iteration, distance, rate (the
        Jacobian's spectral radius, nan where the game has a kink at its equilibrium). A prediction passes through
        the middle iterate of `experiments.contraction.measure.RATE_WINDOW` of the start that takes longest. Runs that
        do not converge are shown for as long as the longest one that does.
    """
    rates = rates.assign(rate=rates["spectral_radius"].where(rates["differentiable"]))
    parts = []
    for game, runs in rates.groupby("game"):
        converged = runs[runs["converged"]]
        horizon = (runs if converged.empty else converged)["iterations"].max()
        shown = iterates[(iterates["game"] == game) & (iterates["iteration"] <= horizon)]
        shown = shown.merge(runs[["step_size", "start", "rate"]], on=["step_size", "start"])
        parts.append(shown.assign(series="measured"))
        parts += [_prediction(curve) for _, curve in shown.groupby("step_size")]
    columns = ["game", "series", "step_size", "start", "iteration", "distance", "rate"]
    data: pd.DataFrame = pd.concat([part for part in parts if len(part)])[columns]
    return data.sort_values(["game", "step_size", "series", "start", "iteration"], ignore_index=True)


def _prediction(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the two ends of the line with the predicted rate through a measured asymptotic iterate, or no rows."""
    asymptotic = runs[runs["distance"].between(*RATE_WINDOW) & runs["rate"].between(0.0, 1.0, inclusive="neither")]
    if asymptotic.empty:
        return asymptotic
    longest = asymptotic.sort_values("iteration")["start"].iloc[-1]
    run = asymptotic[asymptotic["start"] == longest]
    middle = np.abs(np.log(run["distance"]) - np.mean(np.log(RATE_WINDOW))).idxmin()
    ends: pd.DataFrame = runs[runs["start"] == longest].iloc[[0, -1]]
    distance = run.loc[middle, "distance"] * ends["rate"] ** (ends["iteration"] - run.loc[middle, "iteration"])
    return ends.assign(series="predicted", distance=distance)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw the distance of PMA's iterates to the equilibrium, one panel per game, one colour per step size.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = by_game(data)
    n_sizes = data.groupby("game")["step_size"].nunique().max()
    handles = [
        Line2D([], [], color="0.5", label="measured, one line per start"),
        Line2D([], [], label=r"predicted by the spectral radius $r(D\Gamma_\eta(\pi^*))$", **DASHED),
    ]
    title = "Policy mirror ascent: distance to the equilibrium, measured and predicted"
    figure, axes = make_panels(len(games), 1.5, 1 + n_sizes, title=title, handles=handles, sharey=True)
    for i, (ax, (game, table)) in enumerate(zip(axes, games, strict=True)):
        colours = ordered_colours(table["step_size"])
        for eta, rows in table.groupby("step_size"):
            for _, run in rows[rows["series"] == "measured"].groupby("start"):
                ax.plot(run["iteration"], run["distance"], color=colours[eta], linewidth=0.9, alpha=0.6)
            prediction = rows[rows["series"] == "predicted"]
            ax.plot(prediction["iteration"], prediction["distance"], **DASHED)
            rate = rows["rate"].iloc[0]
            label = rf"$\eta = {eta:.3g}$" + ("" if np.isnan(rate) else f":  {rate:.3f}")
            ax.plot([], [], color=colours[eta], label=label)
        ax.set(xlabel="iteration $k$", xlim=(0.0, None), yscale="log", ylim=(0.5 * RATE_WINDOW[0], 5.0))
        ax.yaxis.set_major_locator(LogLocator(numticks=5))
        ax.yaxis.set_minor_formatter(NullFormatter())
        if i % grid_shape(len(games))[1] == 0:
            ax.set_ylabel(r"$\mathrm{sup}_s\, \|\pi_k(s) - \pi^*(s)\|_1$")
        panel_title(ax, i, "{}", game=game)
        kink = table["rate"].isna().all()
        add_legend(ax, r"kink at $\mu^*$: no prediction" if kink else "predicted rate per iteration")
    return figure
