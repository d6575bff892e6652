"""The picture of a path of equilibria: its bifurcation diagram, what regularization costs, and what is stable."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from matplotlib.figure import Figure

from pma_mfg.paths import Path, Point
from pma_mfg.plotting.look import COLOURS, WIDTH, label_decades, log_log, styled

#: Costs below are rounding errors and not drawn.
ROUNDED = 1e-12

#: Spectral radius below which it does not matter how small it is.
SMALLEST = 1e-3


@styled
def plot_path(path: Path, *, title: str = "") -> Figure:
    """Draw a path of equilibria with its branches.

    Left: the share of the state that moves most, against the strength; dashed where no step size makes PMA stable.
    Middle: the exploitability without the regularizer, and its bound. Right: the spectral radius of best response.

    Parameters
    ----------
    path : Path
    title : str
        Of the game.

    Returns
    -------
    Figure
    """
    figure = Figure(figsize=(WIDTH, 0.36 * WIDTH), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    every = [path, *path.branches]
    shares = np.array([point.mean_field for one in every for point in one.points])
    state = int(np.ptp(shares, axis=0).argmax())
    for one, colour in zip(every, [COLOURS[k % len(COLOURS)] for k in range(len(every))], strict=True):
        for unstable, group in groupby(enumerate(one.points), key=_is_unstable):
            places = [k for k, _ in group]
            # with the point before, so that the line has no gap where stability changes
            points = one.points[max(places[0] - 1, 0) : places[-1] + 1]
            left.plot(
                [point.strength for point in points],
                [point.mean_field[state] for point in points],
                color=colour,
                linestyle="--" if unstable else "-",
            )
        strengths = [point.strength for point in one.points]
        middle.plot(strengths, [max(point.exploitability(), ROUNDED) for point in one.points], color=colour)
        right.plot(strengths, [point.spectral_radius for point in one.points], color=colour)
    for marker, events in (("o", path.folds), ("s", path.branch_points)):
        left.plot(
            [one.strength for one in events], [one.mean_field[state] for one in events], marker, color="black", ms=3
        )
    strengths = [point.strength for point in path.points]
    game = path.points[0].game
    bound = [point.regularizer.span(game.n_actions) / (1.0 - game.discount) for point in path.points]
    middle.plot(strengths, bound, color="black", linestyle=(0, (4, 2)), linewidth=0.9)
    right.axhline(1.0, color="black", linestyle=(0, (4, 2)), linewidth=0.9)
    log_log(middle, r"strength $\tau$", "exploitability without regularizer")
    right.set_yscale("log")
    right.set_ylim(bottom=max(right.get_ylim()[0], SMALLEST))
    log_log(right, r"strength $\tau$", r"$r(J_\infty)$")
    left.set(
        xscale="log",
        xlabel=r"strength $\tau$",
        ylabel=f"share of state {game.state_labels[state] if game.state_labels else state}".replace("$", r"\$"),
    )
    label_decades(left.xaxis)
    middle.set_title("dashed: bound", fontsize=8)
    right.set_title("best response stable below 1", fontsize=8)
    left.set_title("dashed: no step size is stable", fontsize=8)
    if title:
        figure.suptitle(title.replace("$", r"\$"))
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _is_unstable(numbered: tuple[int, Point]) -> bool:
    return numbered[1].unstable > 0
