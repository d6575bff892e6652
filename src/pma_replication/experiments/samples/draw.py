"""Figure: how many samples an accuracy costs. From tables to the numbers drawn, and to the figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pma_mfg import seeds
from pma_replication import statistics
from pma_replication.style import (
    DASHED,
    DOTTED,
    FITTED,
    by_game,
    draw_line,
    game_looks,
    grid_shape,
    grouped,
    largest_population,
    line_table,
    log_log,
    make_panels,
    panel_title,
    slope_text,
    styled,
    with_slope,
)

#: What the figure shows of each measured series, in the order of the legend: its name, and how its points look beside
#: the game's colour and marker.
MEASURED: dict[str, tuple[str, dict[str, Any]]] = {
    "measured centralized tuned": ("all samples, one policy for all agents", {}),
    "measured independent tuned": ("all samples, each agent learns alone", {"marker": "x"}),
    "measured centralized tuned per update": (
        "per epoch and transition used",
        {"markerfacecolor": "white", "linestyle": "none"},  # the line through them is the predicted one
    ),
    "measured centralized theorem": ("run as the theorem prescribes", {"color": "black"}),
}

#: From the accuracy that was aimed at to the one that was reached.
AIMED: dict[str, Any] = {"color": "0.6", "linewidth": 0.7}


def data(
    samples_schedules: pd.DataFrame,
    samples_tuned: pd.DataFrame,
    samples_prescribed: pd.DataFrame,
    independent_epsilon: pd.DataFrame,
) -> pd.DataFrame:
    """Return the samples that an accuracy costs (claim C4).

    Parameters
    ----------
    samples_schedules : DataFrame
        Of `experiments.samples.measure.theorem_schedules`.
    samples_tuned : DataFrame
        Of `experiments.samples.measure.learning_errors` at one or more epsilon, with tuned schedules; the largest
        population of each game is used.
    samples_prescribed : DataFrame
        The same with the theorem's schedules.
    independent_epsilon : DataFrame
        Of `experiments.independent.measure.independent_learning_errors`: the same of independent learners, the mean
        over agents.

    Returns
    -------
    DataFrame
        The module's columns and epsilon, the accuracy aimed at. Panel "cost": samples against 1 / (mean final error),
        with low and high on that axis, as "measured <algorithm> <schedule>"; centralized and tuned also "per update"
        (divided by K (M_mix + 1)), with a line of slope 2 through their centre as "theory"; and what the theorem
        prescribes against 1 / epsilon, as "theorem".
    """
    runs = pd.concat([samples_tuned, samples_prescribed, independent_epsilon], ignore_index=True)
    parts = []
    for game, table in by_game(runs):
        for (algorithm, kind), rows in table.groupby(["algorithm", "schedule"]):
            rows = largest_population(rows)
            final = rows[rows["epoch"] == rows["n_epochs"]]
            targets, groups = grouped(final, "epsilon", "error")
            schedule = final.groupby("epsilon")[["samples", "n_epochs", "n_waiting"]].first()
            name = f"measured {algorithm} {kind}"
            parts.append(_cost(game, name, schedule["samples"].to_numpy(float), groups).assign(epsilon=targets))
            if (algorithm, kind) == ("centralized", "tuned"):
                per_update = schedule["samples"] / (schedule["n_epochs"] * (schedule["n_waiting"] + 1))
                cost = _cost(game, f"{name} per update", per_update.to_numpy(float), groups).assign(epsilon=targets)
                parts += [cost, _through_centre("cost", game, "theory", cost["x"], cost["value"], 2.0)]
        known = samples_schedules[samples_schedules["game"] == game].sort_values("epsilon")
        if len(known):
            parts.append(line_table("cost", game, "theorem", x=1.0 / known["epsilon"], value=known["samples"]))
    return pd.concat(parts, ignore_index=True)


def _cost(game: str, series: str, samples: np.ndarray, groups: Sequence[np.ndarray]) -> pd.DataFrame:
    """Return samples against 1 / (mean error); the measured coordinate, with the interval, is the second."""
    rng = seeds.generator(0, "figure", "cost", game)

    def slope(drawn: Sequence[np.ndarray]) -> float:
        return statistics.log_log_slope([1.0 / group.mean() for group in drawn], [float(n) for n in samples])

    errors = [statistics.mean_interval(group, rng) for group in groups]
    points = line_table("cost", game, series, x=[1.0 / e.value for e in errors], value=samples)
    points["low"], points["high"] = [1.0 / e.high for e in errors], [1.0 / e.low for e in errors]
    return with_slope(points, statistics.bootstrap(groups, slope, rng, kind="smooth") if len(groups) > 1 else None)


def _through_centre(
    panel: str, game: str, series: str, x: Iterable[float], value: Iterable[float], exponent: float
) -> pd.DataFrame:
    """Return the ends of the line of a given log-log slope through the centre of the points."""
    x = np.array(list(x))
    ends = np.array([x.min(), x.max()])
    centre_x, centre_y = (np.exp(np.log(list(points)).mean()) for points in (x, value))
    return line_table(panel, game, series, x=ends, value=centre_y * (ends / centre_x) ** exponent)


@styled
def figure(data: pd.DataFrame) -> Figure:
    """Draw the samples that an accuracy costs against the error that is reached, one panel a game.

    Parameters
    ----------
    data : DataFrame
        Of `data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = by_game(data)
    colours, markers, _ = game_looks(data["game"])
    figure, axes = make_panels(len(games), 2.3, 0, handles=_handles(data, markers), ncols=2)
    for i, (ax, (game, table)) in enumerate(zip(axes, games, strict=True)):
        table = table.assign(x=1.0 / table["x"], low=1.0 / table["high"], high=1.0 / table["low"])
        draw_line(ax, table, "theory", **DOTTED)
        draw_line(ax, table, "theorem", **DASHED)
        for series, (_, look) in MEASURED.items():
            rows = table[table["series"] == series]
            if rows.empty:
                continue
            of_game = {"color": colours[game], "marker": markers[game], "linewidth": 0.7, "zorder": 3.0, **look}
            ax.hlines(rows["value"], rows["low"], rows["high"], color=of_game["color"], linewidth=1.0)
            ax.plot(rows["x"], rows["value"], **of_game)
            if series.endswith("per update"):
                ax.text(0.98, 0.03, slope_text(rows), ha="right", transform=ax.transAxes)
            else:
                ax.hlines(rows["value"], rows["epsilon"], rows["x"], zorder=1.0, **AIMED)
                ax.plot(rows["epsilon"], rows["value"], marker="|", linestyle="none", **AIMED)
        log_log(ax, "error reached, falls to the right", "samples" if i % grid_shape(len(games))[1] == 0 else "")
        ax.invert_xaxis()
        panel_title(ax, i, "{}", game=game)
    return figure


def _handles(data: pd.DataFrame, markers: dict[str, str]) -> list[Line2D]:
    """Return what the legend of all panels explains: predictions, and the series that the data have."""
    present = set(data["series"])
    marker = next(iter(markers.values()))
    grey: dict[str, Any] = {"color": "0.3", "marker": marker, "linewidth": 0.7}
    handles = {series: Line2D([], [], label=label, **(grey | look)) for series, (label, look) in MEASURED.items()}
    per_update = handles["measured centralized tuned per update"]
    per_update.set_label(f"{per_update.get_label()}, with {FITTED}")
    handles["theory"] = Line2D([], [], label="predicted for these: half the error, four times as many", **DOTTED)
    handles["theorem"] = Line2D([], [], label="the theorem's schedule for an error", **DASHED)
    order = [*list(MEASURED)[:3], "theory", "theorem", "measured centralized theorem"]
    aimed = Line2D([], [], label="from the error aimed at (tick) to the one reached", **AIMED)
    return [*(handles[series] for series in order if series in present), aimed]
