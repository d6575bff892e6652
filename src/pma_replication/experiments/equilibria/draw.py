"""Figure: equilibria and assumptions. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pma_replication.style import (
    PAGE,
    SINGLE,
    WIDTH,
    by_game,
    grid_shape,
    panel_letter,
    plain_name,
    short_heading,
    styled,
    text_width,
)

#: Probabilities and shares that differ by less look the same.
SAME = 1e-3


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

    Games whose equilibria look the same share a panel, and one that is uniform in every respect has none; the text
    below says so.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels, left_out = _panels(data)
    n_rows, n_columns = grid_shape(len(panels))
    if n_rows > 4:
        n_rows, n_columns = -(-len(panels) // 4), 4
    same = [
        f"{panel_letter(i)}: also {', '.join(map(plain_name, more))}" for i, (_, more, _) in enumerate(panels) if more
    ]
    lines = [f"{'; '.join(same)}."] if same else []
    if left_out:
        lines.append(f"Not drawn, since mean field and policy are uniform: {', '.join(map(plain_name, left_out))}.")
    width = WIDTH if n_columns > 1 else SINGLE
    text = "\n".join(textwrap.fill(line, int(16 * width)) for line in lines)
    # all lengths are in inches; a page, as long as panels stay readable
    left, right, between, above, below = 0.62, 0.8, 0.45, 0.4, 0.2
    last = 0.2 * len(text.splitlines()) + 0.1
    pitch = min(2.2, max(1.2, (PAGE * WIDTH - above - below - last) / n_rows))
    size = np.array([width, above + pitch * n_rows + below + last])
    across, upwards = (width - left - right + between) / n_columns - between, 0.5 * (pitch - 0.6)
    figure = Figure(figsize=tuple(size))
    for i, (game, more, table) in enumerate(panels):
        row, column = divmod(i, n_columns)
        place = np.array([left + column * (across + between), size[1] - above - row * pitch - 0.25 - upwards])
        extent = np.array([across, upwards])
        top = figure.add_axes((*(place / size), *(extent / size)))
        bottom = figure.add_axes((*((place - [0.0, upwards + 0.1]) / size), *(extent / size)), sharex=top)
        mesh = _draw_panel(top, bottom, table)
        if i + n_columns >= len(panels):
            bottom.set_xlabel("state $s$")
        if column == 0:
            top.set_ylabel(r"$\mu^*(s)$", fontsize=8)
            bottom.set_ylabel("action $a$", fontsize=8)
        count = f" +{len(more)}" if more else ""
        name = plain_name(game, across + 0.25 - text_width(count, 8.0))
        top.set_title(f"$\\mathbf{{{panel_letter(i)}}}$  {name}{count}", fontsize=8)
    bar = figure.add_axes(((size[0] - 0.7) / size[0], 1.0 - (above + 1.7) / size[1], 0.1 / size[0], 1.4 / size[1]))
    figure.colorbar(mesh, cax=bar, label=r"$\pi^*(a\,|\,s)$")
    figure.suptitle(short_heading("Equilibria: mean field (bars) and policy (colours)", n_columns))
    if text:
        figure.text(0.5, 0.05 / size[1], text, fontsize=8.0, ha="center", va="bottom")
    return figure


def _draw_panel(top: Axes, bottom: Axes, table: pd.DataFrame) -> QuadMesh:
    """Draw one equilibrium and return the mesh of its policy."""
    mean_field = table[table["series"] == "mean field"]
    policy = table[table["series"] == "policy"].pivot_table(index="action", columns="state", values="value")
    top.bar(mean_field["state"], mean_field["value"], width=0.8, color="0.45")
    top.tick_params(labelbottom=False)
    top.grid(False, axis="x")
    edges = "0.8" if policy.shape[1] <= 25 else "none"
    mesh = bottom.pcolormesh(policy.columns, policy.index, policy, vmin=0.0, vmax=1.0, edgecolors=edges, linewidth=0.4)
    bottom.grid(False)
    top.yaxis.set_major_locator(MaxNLocator(nbins=2))
    for axis in (bottom.xaxis, bottom.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    return mesh


def _panels(data: pd.DataFrame) -> tuple[list[tuple[str, list[str], pd.DataFrame]], list[str]]:
    """Return each game that is drawn, the games that look like it, and its rows; and the games that are not drawn."""
    panels: list[tuple[str, list[str], pd.DataFrame]] = []
    left_out = []
    for game, table in by_game(data):
        by_series = table.groupby("series")["value"]
        if bool((by_series.max() - by_series.min() < SAME).all()):
            left_out.append(game)
            continue
        for _, more, other in panels:
            same = [column for column in table if column not in ("game", "value")]
            if np.array_equal(table[same].fillna(-1), other[same].fillna(-1)) and np.allclose(
                table["value"], other["value"], rtol=0.0, atol=SAME
            ):
                more.append(game)
                break
        else:
            panels.append((game, [], table))
    if not panels:  # nothing but such games: they are drawn all the same
        return [(game, [], table) for game, table in by_game(data)], []
    return panels, left_out
