"""What is drawn on the path of equilibria: from a table to the numbers, and to the figure."""

from __future__ import annotations

import itertools

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pma_replication.style import COLOURS, by_game, make_panels, panel_title, styled

#: How a branch was found -> its colour, and words.
FOUND = {
    "path": (COLOURS[6], "from a strong regularizer"),
    "branch": (COLOURS[0], "branches that cross it, and theirs"),
    "starts": (COLOURS[5], "found by random starts alone"),
}


def data(paths: pd.DataFrame) -> pd.DataFrame:
    """Return the branches of the games that have several equilibria; of all games if none has.

    Parameters
    ----------
    paths : DataFrame
        Of `experiments.paths.measure.diagram`, for one or more games.

    Returns
    -------
    DataFrame
        Columns game, state (whose share is told), branch, series (of `FOUND`), point (its number on the branch), x
        (strength in units of the range of the rewards), value (the share), unstable (whether no step size of PMA is
        stable), event (whether it is a fold or a branch point).
    """
    branches = paths.groupby("game")["branch"].nunique()
    several = paths["game"].map(branches) > 1
    chosen = paths[several] if several.any() else paths
    data = chosen.rename(columns={"strength": "x", "share": "value"})
    series = data["found"].where((data["found"] == "starts") | (data["branch"] == 0), "branch")
    data = data.assign(series=series, point=data.groupby(["game", "branch"]).cumcount(), unstable=data["unstable"] > 0)
    data = data[["game", "state", "branch", "series", "point", "x", "value", "unstable", "event"]]
    return data.sort_values(["game", "branch", "point"], ignore_index=True)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw the share of one state at every equilibrium against the strength, a panel for each game.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = by_game(data)
    seen = [FOUND[series] for series in FOUND if series in set(data["series"])]
    handles = [Line2D([], [], color=colour, label=words) for colour, words in seen]
    if data["unstable"].any():
        handles.append(Line2D([], [], color="0.3", linestyle=(0, (2, 1)), label="no step size is stable"))
    title = "Equilibria against the strength of the regularizer"
    figure, axes = make_panels(len(games), 1.9, 0, title=title, handles=handles, ncols=2)
    for i, (ax, (game, rows)) in enumerate(zip(axes, games, strict=True)):
        for _, branch in rows.groupby("branch", sort=False):
            _branch(ax, branch)
        ax.set(
            xscale="log", xlabel=r"strength $\tau$ / range of rewards", ylabel=f"share of state {rows['state'].iloc[0]}"
        )
        panel_title(ax, i, "{}", game=game)
    return figure


def _branch(ax: Axes, branch: pd.DataFrame) -> None:
    """Draw one branch, solid where a small step of PMA is stable and dashed where none is."""
    colour = FOUND[str(branch["series"].iloc[0])][0]
    x, value, unstable, event = (branch[column].to_numpy() for column in ("x", "value", "unstable", "event"))
    # each piece is as stable as the end of it that is no event
    pieces = [bool(unstable[k] if event[k + 1] else unstable[k + 1]) for k in range(len(x) - 1)]
    start = 0
    for dashed, group in itertools.groupby(pieces):
        end = start + len(list(group))
        style = (0, (2, 1)) if dashed else "solid"
        ax.plot(x[start : end + 1], value[start : end + 1], color=colour, linestyle=style, linewidth=1.1)
        start = end
