"""Figure: equilibria and assumptions. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pma_replication.style import WIDTH, by_game, grid_shape, panel_title, short_heading, styled


def data(equilibria: pd.DataFrame) -> pd.DataFrame:
    """Return the policies and mean fields of equilibria, one row per number.

    Parameters
    ----------
    equilibria : DataFrame
        Columns game, state, action, probability (pi*(a|s)), mean_field (mu*(s)).

    Returns
    -------
    DataFrame
        Columns game, series ("mean field" or "policy"), state, action (nan for the mean field), value.
    """
    policy = equilibria.rename(columns={"probability": "value"}).assign(series="policy")
    mean_field = equilibria.drop_duplicates(["game", "state"]).rename(columns={"mean_field": "value"})
    data = pd.concat([policy, mean_field.assign(series="mean field", action=np.nan)], ignore_index=True)
    order = ["game", "series", "state", "action"]
    return data[[*order, "value"]].sort_values(order, ignore_index=True)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw the mean field (bars) over the policy (heat map) of each equilibrium, states in the same order.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = by_game(data)
    n_rows, n_columns = grid_shape(len(games))
    figure = Figure(figsize=(WIDTH if n_columns > 1 else 0.6 * WIDTH, 2.2 * n_rows + 0.4), layout="constrained")
    grid = figure.add_gridspec(2 * n_rows, n_columns)
    for i, (game, table) in enumerate(games):
        row, column = divmod(i, n_columns)
        mean_field = table[table["series"] == "mean field"]
        policy = table[table["series"] == "policy"].pivot_table(index="action", columns="state", values="value")
        top = figure.add_subplot(grid[2 * row, column])
        bottom = figure.add_subplot(grid[2 * row + 1, column], sharex=top)
        top.bar(mean_field["state"], mean_field["value"], width=0.8, color="0.45")
        top.tick_params(labelbottom=False)
        top.grid(False, axis="x")
        edges = "0.8" if policy.shape[1] <= 25 else "none"
        mesh = bottom.pcolormesh(
            policy.columns, policy.index, policy, vmin=0.0, vmax=1.0, edgecolors=edges, linewidth=0.4
        )
        bottom.grid(False)
        bottom.set_xlabel("state $s$")
        for axis in (bottom.xaxis, bottom.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        if column == 0:
            top.set_ylabel(r"$\mu^*(s)$")
            bottom.set_ylabel("action $a$")
        panel_title(top, i, "{}", game=game)
    figure.colorbar(mesh, ax=figure.axes, label=r"$\pi^*(a\,|\,s)$", shrink=0.8 / n_rows, aspect=20)
    figure.suptitle(short_heading("Equilibria: mean field (bars) and policy (colours)", n_columns))
    figure.draw_without_rendering()  # settles the layout, which is then kept: saving again gives the same bytes
    figure.set_layout_engine("none")
    return figure
