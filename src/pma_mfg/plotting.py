"""The replication's figures: tables in, the numbers that are drawn, and a Figure out (claims C1, C3, C4, C6, C8).

Each figure is two pure functions. ``<name>_data`` reduces tables to exactly what is drawn: measured points with
their 95 % bootstrap intervals over replicates, and the lines of theory. ``<name>`` draws that table and computes
nothing. Intervals come from generators of their own, so that a figure is a function of its tables. Colours are
distinguishable without colour vision; a game has the same colour in all figures unless two names
of one figure compete for it. Of more games than colours each has a look of its own, by marker and line style. Labels
that the figures' font has no letters for, or that are written from right to left, are replaced by numbers, with a
warning.

The data of `samples`, `populations` and `independent` have these columns:

============================ ==================================================================================
panel, game                  where the row is drawn; a line of no game has the empty name
series                       "measured" and what starts with it are points, all others are lines
x, value                     coordinates
low, high                    interval of the measured coordinate, nan for a line
slope, slope_low, slope_high log-log slope fitted to all of the series, its interval, nan where none is fitted
============================ ==================================================================================
"""

from __future__ import annotations

import functools
import itertools
import logging
import textwrap
import unicodedata
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import matplotlib.font_manager
import matplotlib.style
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.textpath import TextPath
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation
from scipy.special import stdtrit

from pma_mfg import seeds, statistics, storage
from pma_mfg.checks import RATE_WINDOW
from pma_mfg.claims import METHODS as LEARNED
from pma_mfg.claims import ROUNDED_BIAS
from pma_mfg.dynamics import ACCURACY

log = logging.getLogger("pma_mfg")
STYLE = Path(__file__).with_name("pma_mfg.mplstyle")
#: Width of a page in inches.
WIDTH = 7.0
#: Seaborn's colour-blind safe palette without its light colours, in the order that `_game_looks` counts.
COLOURS = tuple(seaborn.color_palette("colorblind").as_hex()[i] for i in (2, 4, 1, 9, 7, 3, 0))
MARKERS = ("^", "D", "v", "<", ">", "s", "o")
#: Line styles of the first seven games of a figure, of the next seven, and so on.
STYLES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (4, 1.5, 1, 1.5)), (0, (2, 1)))
#: Names of games and labels get at most so many inches in a legend.
NAME_WIDTH = 1.5
_DOTTED: dict[str, Any] = {"color": "0.35", "linewidth": 0.9, "linestyle": (0, (1, 1.2))}
_DASHED: dict[str, Any] = {"color": "black", "linewidth": 0.8, "linestyle": (0, (4, 2))}
#: A white line or letter on any colour.
_OUTLINED = [withStroke(linewidth=2.5, foreground="0.25")]
#: Distances to an equilibrium below this are rounding, and not drawn; a predicted line goes through the point nearest
#: to the second number.
ROUNDED_DISTANCE, ANCHOR = 1e-11, 1e-6
#: Iterations of a population's path that are drawn.
PATH = 30
#: Methods of `dynamics.METHODS` in words, and their looks: the explicit step is drawn over the implicit one.
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "pma_euclidean": ("PMA, Euclidean", {"color": COLOURS[6]}),
    "pma_kl": ("PMA, KL", {"color": COLOURS[0]}),
    "online_mirror_descent": (
        "online mirror descent",
        {"color": "0.15", "linestyle": "none", "marker": "+", "markersize": 5.0, "markevery": 3},
    ),
    "best_response": ("best response", {"color": COLOURS[2]}),
    "fictitious_play": ("fictitious play", {"color": COLOURS[4]}),
}
#: Methods of `baselines.METHODS` and their looks.
LEARNERS: dict[str, dict[str, Any]] = {
    "gmf_q": {"color": COLOURS[2], "linestyle": (0, (4, 1.5)), "linewidth": 1.2},
    "fitted_q": {"color": COLOURS[4], "linestyle": (0, (1, 1)), "linewidth": 1.2},
    "fictitious_play": {"color": COLOURS[0], "linewidth": 1.2},
    "online_mirror_descent": {"color": COLOURS[6], "linewidth": 1.2},
    "two_timescale": {"color": COLOURS[1], "linestyle": (0, (5, 1, 1, 1)), "linewidth": 1.2},
    "pma": {"color": "black", "linewidth": 2.2},
}
#: Exploitability below this is drawn at the edge of the panel.
SHOWN = 1e-6
#: Region of `checks.phase_diagram` -> colour, dark to light also without colour vision.
REGIONS = {
    "certified": "#4f9bd0",
    "attracting": "#a9d0ea",
    "locally contractive": "#e6f1f8",
    "divergent": "#e69f00",
    "kink": "#bbbbbb",
    "unsolved": "#ffffff",
}
#: Contours of the spectral radius, and their line styles.
RADII: dict[float, Any] = {0.1: (0, (1, 1.5)), 0.5: (0, (4, 2)), 0.9: "solid"}
_FITTED = "fitted slope [95 % interval]"
_styled = matplotlib.style.context(STYLE, after_reset=True)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as ``path.png`` and ``path.svg``, each atomically and byte-identical between runs.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path-like
        Without suffix.
    """
    for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
        with (
            storage.atomic_path(f"{path}{suffix}") as temporary,
            matplotlib.style.context(STYLE, after_reset=True),
        ):
            figure.savefig(temporary, metadata=cast(dict[str, Any], metadata))


# ---------------------------------------------------------------------------------------------------- data


def contraction_data(iterates: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """Return the distances of PMA to the equilibrium, and the lines that the Jacobian predicts (claim C1).

    Parameters
    ----------
    iterates, rates : DataFrame
        Of `checks.pma_convergence`, for one or more games.

    Returns
    -------
    DataFrame
        Columns game, series ("measured" or "predicted"), step_size, start, iteration, distance, rate (the
        Jacobian's spectral radius, nan where the game has a kink at its equilibrium). A prediction passes through
        the middle iterate of `checks.RATE_WINDOW` of the start that takes longest. Runs that do not converge are
        shown for as long as the longest one that does.
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


def ctd_data(ctd: pd.DataFrame, moments: pd.DataFrame) -> pd.DataFrame:
    """Return the error of TD learning over M_td, N and M_mix, and the bias of waiting (claim C3).

    Parameters
    ----------
    ctd : DataFrame
        Of `sweeps.ctd_errors`, for one or more games.
    moments : DataFrame
        Of `sweeps.ctd_moments`, for the same games.

    Returns
    -------
    DataFrame
        Columns panel, game, series, x, y, value. Panels "agents" and "waiting": root mean square error ("measured",
        over entries of Q and replicates, and "predicted", exactly, with the square of the limit for N agents added)
        at x = M_td and y = N or M_mix. Panel "mixing": the bias of waiting at x = M_mix ("exact"), its line with the
        rate |lambda_2| ("eigenvalue") and one with the theory's rate L_pop ("bound").
    """
    parts = []
    for game, table in _by_game(ctd):
        largest = _largest_population(table)
        first = largest.groupby("n_waiting")["replicate"].nunique().idxmax()
        exact = moments[(moments["game"] == game) & np.isfinite(moments["n_waiting"])].astype({"n_waiting": int})
        for panel, y, rows in (
            ("agents", "n_agents", table[table["n_waiting"] == first]),
            ("waiting", "n_waiting", largest),
        ):
            mean = rows.groupby([y, "n_updates"], as_index=False)[["mean_square", "predicted_mean_square"]].mean()
            points = {"panel": panel, "game": game, "x": mean["n_updates"].astype(float), "y": mean[y].astype(float)}
            parts.append(pd.DataFrame({**points, "series": "measured", "value": np.sqrt(mean["mean_square"])}))
            known = rows.drop(columns="mean_square").merge(exact[["n_waiting", "n_updates", "mean_square"]])
            limit = known.groupby([y, "n_updates"], as_index=False)[["mean_square", "predicted_mean_square"]].mean()
            points = {"panel": panel, "game": game, "x": limit["n_updates"].astype(float), "y": limit[y].astype(float)}
            value = np.sqrt(limit["mean_square"] + limit["predicted_mean_square"])
            parts.append(pd.DataFrame({**points, "series": "predicted", "value": value}))
        last = exact[exact["n_updates"] == exact["n_updates"].max()]
        last = last[last["mixing_bias"] > ROUNDED_BIAS].sort_values("n_waiting")
        x, bias = last["n_waiting"].to_numpy(float), last["mixing_bias"].to_numpy()
        parts.append(_line("mixing", game, "exact", x, bias))
        centre = float(np.exp(np.mean(np.log(bias) - x * np.log(last["forgetting_rate"]))))
        parts.append(_line("mixing", game, "eigenvalue", x, centre * last["forgetting_rate"] ** x))
        parts.append(_line("mixing", game, "bound", x, bias[0] * last["L_pop"] ** (x - x[0])))
    columns = ["panel", "game", "series", "x", "y", "value"]
    return pd.concat(parts, ignore_index=True).reindex(columns=columns)


def samples_data(
    schedules: pd.DataFrame, epsilon: pd.DataFrame, prescribed: pd.DataFrame, independent_epsilon: pd.DataFrame
) -> pd.DataFrame:
    """Return the error of learning against samples, and the samples that an accuracy costs (claim C4).

    Parameters
    ----------
    schedules : DataFrame
        Of `sweeps.theorem_schedules`.
    epsilon : DataFrame
        Of `sweeps.learning_errors` at one or more epsilon, with tuned schedules; the largest population of each game is
        used.
    prescribed : DataFrame
        The same with the theorem's schedules.
    independent_epsilon : DataFrame
        Of `sweeps.independent_learning_errors`: the same of independent learners, the mean over agents.

    Returns
    -------
    DataFrame
        The module's columns and epsilon. Panel "learning": error against samples for each epsilon, and epsilon itself
        as the line "target". Panel "cost": samples against 1 / (mean final error), with low and high on that axis, as
        "measured <algorithm> <schedule>"; centralized and tuned also "per update" (divided by K (M_mix + 1)), with a
        line of slope 2 through their centre; and what the theorem prescribes against 1 / epsilon, as "theorem".
    """
    runs = pd.concat([epsilon, prescribed, independent_epsilon], ignore_index=True)
    parts = []
    for game, table in _by_game(runs):
        tuned = table[(table["schedule"] == "tuned") & (table["algorithm"] == "centralized")]
        for target, curve in tuned[tuned["epoch"] > 0].groupby(tuned["epsilon"].astype(float)):
            x, groups = _groups(_largest_population(curve), "samples", "error")
            parts.append(_measured("learning", game, x, groups, str(target), fit=False).assign(epsilon=target))
            parts.append(_line("learning", game, "target", [x[0], x[-1]], [target, target]).assign(epsilon=target))
        for (algorithm, kind), rows in table.groupby(["algorithm", "schedule"]):
            rows = _largest_population(rows)
            final = rows[rows["epoch"] == rows["n_epochs"]]
            targets, groups = _groups(final, "epsilon", "error")
            schedule = final.groupby("epsilon")[["samples", "n_epochs", "n_waiting"]].first()
            name = f"measured {algorithm} {kind}"
            parts.append(_cost(game, name, schedule["samples"].to_numpy(float), groups).assign(epsilon=targets))
            if (algorithm, kind) == ("centralized", "tuned"):
                per_update = schedule["samples"] / (schedule["n_epochs"] * (schedule["n_waiting"] + 1))
                cost = _cost(game, f"{name} per update", per_update.to_numpy(float), groups).assign(epsilon=targets)
                parts += [cost, _through_centre("cost", game, "theory", cost["x"], cost["value"], 2.0)]
        known = schedules[schedules["game"] == game].sort_values("epsilon")
        if len(known):
            parts.append(_line("cost", game, "theorem", 1.0 / known["epsilon"], known["samples"]))
    return pd.concat(parts, ignore_index=True)


def _cost(game: str, series: str, samples: np.ndarray, groups: Sequence[np.ndarray]) -> pd.DataFrame:
    """Return samples against 1 / (mean error); the measured coordinate, with the interval, is the second."""
    rng = seeds.generator(0, "figure", "cost", game)

    def slope(drawn: Sequence[np.ndarray]) -> float:
        return statistics.log_log_slope([1.0 / group.mean() for group in drawn], [float(n) for n in samples])

    errors = [statistics.mean_interval(group, rng) for group in groups]
    points = _line("cost", game, series, [1.0 / e.value for e in errors], samples)
    points["low"], points["high"] = [1.0 / e.high for e in errors], [1.0 / e.low for e in errors]
    return _with_slope(points, statistics.bootstrap(groups, slope, rng) if len(groups) > 1 else None)


def populations_data(
    bias: pd.DataFrame, exact: pd.DataFrame, population: pd.DataFrame, limits: pd.DataFrame
) -> pd.DataFrame:
    """Return what a finite population does to the mean field, to Q and to the learned policy (claim C6).

    Parameters
    ----------
    bias : DataFrame
        Of `sweeps.finite_population_bias` at several N.
    exact : DataFrame
        Of `sweeps.exact_limits`, small N.
    population : DataFrame
        Of `sweeps.learning_errors` at several N and one epsilon for each game.
    limits : DataFrame
        Of `sweeps.policy_limits`.

    Returns
    -------
    DataFrame
        The module's columns. Panel "deviation": E ||mu_hat - mu_pi||_1; panel "bias": max_{s,a} |mean of q_error|;
        panel "policy": distance of the last policy to the equilibrium. Each with the line "theory" of the closed
        form, from the exact solutions' smallest N on, and with those in the series "exact"; "bias" also with the slopes
        -1/2 and -1 to compare with, "policy" with the line "noise" at epsilon.
    """
    parts = []
    for game, table in _by_game(bias):
        x, groups = _groups(table.drop_duplicates(["n_agents", "replicate"]), "n_agents", "deviation")
        parts.append(_measured("deviation", game, x, groups))
        predicted = table.groupby("n_agents")["predicted_deviation"].first()
        small = exact[exact["game"] == game].sort_values("n_agents")
        below = small[small["n_agents"] < x[0]]  # where the lines of the closed forms begin
        line = [*below["n_agents"], *x]
        parts.append(_line("deviation", game, "exact", small["n_agents"], small["deviation"]))
        parts.append(_line("deviation", game, "theory", line, [*below["predicted_deviation"], *predicted]))
        matrices = [
            at_n.pivot_table(index="replicate", columns=["state", "action"], values="q_error").to_numpy()
            for _, at_n in table.groupby("n_agents")
        ]
        parts.append(_measured("bias", game, x, matrices, summary=lambda q: float(np.abs(q.mean(axis=0)).max())))
        largest = table["predicted_q_error"].abs().groupby(table["n_agents"]).max()
        parts.append(_line("bias", game, "exact", small["n_agents"], small["q_error"]))
        parts.append(_line("bias", game, "theory", line, [*below["predicted_q_error"], *largest]))
    measured = pd.concat(parts)
    measured = measured[(measured["panel"] == "bias") & (measured["series"] == "measured")]
    ends = np.array([measured["x"].min(), measured["x"].max()])
    for exponent in (-0.5, -1.0):  # above the data and from one point, to compare slopes by eye
        height = 2.0 * measured.loc[measured["x"] == ends[0], "value"].max()
        parts.append(_line("bias", "", f"slope {exponent:g}", ends, height * (ends / ends[0]) ** exponent))
    for game, table in _by_game(population):
        x, groups = _groups(table[table["epoch"] == table["n_epochs"]], "n_agents", "error")
        parts.append(_measured("policy", game, x, groups, fit=False))
        limit = limits[limits["game"] == game].sort_values("n_agents")
        small = exact[exact["game"] == game].sort_values("n_agents")
        below = small[small["n_agents"] < limit["n_agents"].min()]
        parts.append(_line("policy", game, "exact", small["n_agents"], small["policy_error"]))
        places = [*below["n_agents"], *limit["n_agents"]]
        errors = [*below["predicted_policy_error"], *limit["predicted_error"]]
        parts.append(_line("policy", game, "theory", places, errors))
    ends = np.array([population["n_agents"].min(), population["n_agents"].max()])
    for target in sorted(population["epsilon"].unique()):
        parts.append(_line("policy", "", "noise", ends, [target, target]))
    return pd.concat(parts, ignore_index=True)


def nash_data(nash: pd.DataFrame) -> pd.DataFrame:
    """Return what a deviator gains against the number of agents, exactly and in the limit (claim C7).

    Parameters
    ----------
    nash : DataFrame
        Of `sweeps.nash_gaps`, for one or more games.

    Returns
    -------
    DataFrame
        The module's columns. Panels "regularized" and "indifferent": the gain in series "measured" (exact numbers), the
        limit's line "theory" where one is known, and the line "slope -1" or "slope -0.5", in each panel both.
    """
    parts = []
    for panel, rows in nash.groupby("variant"):
        for game, table in _by_game(rows.sort_values("n_agents")):
            parts.append(_line(str(panel), game, "measured", table["n_agents"], table["gap"]))
            known = table[table["predicted"].notna()]
            parts.append(_line(str(panel), game, "theory", known["n_agents"], known["predicted"]))
        ends = np.array([rows["n_agents"].min(), rows["n_agents"].max()], dtype=float)
        height = 2.5 * rows.loc[rows["n_agents"] == ends[0], "gap"].max()
        for exponent in (-0.5, -1.0):
            parts.append(_line(str(panel), "", f"slope {exponent:g}", ends, height * (ends / ends[0]) ** exponent))
    return pd.concat(parts, ignore_index=True)


def dynamics_data(histories: pd.DataFrame, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return the distance to the equilibrium of every exact method, and what theory predicts for it (claim C2).

    Parameters
    ----------
    histories, outcomes : DataFrame
        Of `dynamics.compare`, for one or more games.

    Returns
    -------
    DataFrame
        Columns game, method, series, start, iteration, distance, reached (iterations to an exploitability of
        `dynamics.ACCURACY`, the slowest start's, nan if one did not get there), period (the longest), iterations (of
        the longest run). Series "measured": from the first iteration on, above rounding. Series "predicted", of the
        first start: the predicted linear rate through the measured point nearest to `ANCHOR`; for fictitious play k^-1
        through its last point.
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


def orbit_data(orbits: pd.DataFrame, attractors: pd.DataFrame) -> pd.DataFrame:
    """Return the populations that best response and PMA visit, and where best response ends as h weakens (claim C2).

    Parameters
    ----------
    orbits : DataFrame
        Of `dynamics.compare`.
    attractors : DataFrame
        Of `dynamics.damping`.

    Returns
    -------
    DataFrame
        The module's first columns, method, and state (the one on the vertical axis), for each game that both tables
        have, or for all if there is none. Panel "path": a share of the population against the iteration; panel
        "plane": two shares against each other, of PMA's path and of the best response's tail; panel "attractor": a
        share in the best response's tail against the strength of the regularizer. The states are those that the best
        response moves most. Series "measured", and "theory" at the equilibrium (method "").
    """
    shared = set(orbits["game"]) & set(attractors["game"])
    parts = []
    for game, rows in _by_game(orbits[orbits["game"].isin(shared)] if shared else orbits):
        best = rows[(rows["method"] == "best_response") & (rows["part"] == "tail")]
        ranges = best.groupby("state")["mean_field"].agg(np.ptp).sort_values(ascending=False, kind="stable")
        first, second = int(ranges.index[0]), int(ranges.index[min(1, len(ranges) - 1)])
        fixed = rows[rows["part"] == "equilibrium"].set_index("state")["mean_field"]
        path = rows[(rows["part"] == "path") & (rows["state"] == first)]
        for method in ("best_response", "pma_euclidean"):
            seen = path[(path["method"] == method) & (path["iteration"] <= PATH)]
            parts.append(_line("path", game, "measured", seen["iteration"], seen["mean_field"]))
            parts[-1] = parts[-1].assign(method=method, state=first)
            of_method = rows[(rows["method"] == method)]
            shown = of_method[of_method["part"] == ("tail" if method == "best_response" else "path")]
            plane = shown.pivot_table(index="iteration", columns="state", values="mean_field")
            parts.append(_line("plane", game, "measured", plane[first], plane[second]))
            parts[-1] = parts[-1].assign(method=method, state=second)
        lines = [
            _line("path", game, "theory", [0.0, float(PATH)], [fixed[first]] * 2).assign(state=first),
            _line("plane", game, "theory", [fixed[first]], [fixed[second]]).assign(state=second),
        ]
        ends = attractors[(attractors["game"] == game) & (attractors["state"] == first)]
        ends = ends.sort_values(["strength", "iteration"], kind="stable")
        tail, still = (ends[ends["part"] == part] for part in ("tail", "equilibrium"))
        if len(ends):
            bifurcation = _line("attractor", game, "measured", tail["strength"], tail["mean_field"])
            parts.append(bifurcation.assign(method="best_response", state=first))
            lines.append(_line("attractor", game, "theory", still["strength"], still["mean_field"]).assign(state=first))
        parts += [line.assign(method="") for line in lines]
    columns = ["panel", "game", "series", "method", "state", "x", "value"]
    data: pd.DataFrame = pd.concat(parts, ignore_index=True)[columns]
    return data


def equilibria_data(equilibria: pd.DataFrame) -> pd.DataFrame:
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


def gallery_data(zoo: pd.DataFrame, zoo_states: pd.DataFrame) -> pd.DataFrame:
    """Return the equilibrium populations and the most likely action of each game from the literature.

    Parameters
    ----------
    zoo, zoo_states : DataFrame
        Of `survey.survey`, for one or more games.

    Returns
    -------
    DataFrame
        Columns game, states, actions, strength, equilibrium (its number), state, label, column, row (place; nan without
        a layout), value (the mean field), action, action_number, probability (of it), transient.
    """
    data = zoo_states.merge(zoo[["game", "states", "actions", "strength"]], on="game")
    data = data.rename(columns={"mean_field": "value"})
    order = ["game", "states", "actions", "strength", "equilibrium", "state", "label", "column", "row", "value"]
    data = data[[*order, "action", "action_number", "probability", "transient"]]
    return data.sort_values(["game", "equilibrium", "state"], ignore_index=True)


def phase_data(phase: pd.DataFrame) -> pd.DataFrame:
    """Return the regions of the plane of strength and step size, and the spectral radius (claims C1b, C1e).

    Parameters
    ----------
    phase : DataFrame
        Of `checks.phase_diagram`, for one or more games.

    Returns
    -------
    DataFrame
        Columns game, panel (regularizer and mirror map), strength, relative_step_size, region, paper (whether the
        bound of section 5.1 certifies), spectral_radius.
    """
    panel = phase["regularizer"] + ", " + phase["mirror"].map({"euclidean": "Euclidean", "kl": "KL"})
    data = phase.assign(panel=panel, paper=phase["paper_bound"] < 1.0)
    order = ["game", "panel", "strength", "relative_step_size"]
    return data[[*order, "region", "paper", "spectral_radius"]].sort_values(order, ignore_index=True)


def bounds_data(ratios: pd.DataFrame) -> pd.DataFrame:
    """Return the bounds on PMA's Lipschitz constant beside the largest norm of its Jacobian found (claim C1b).

    Parameters
    ----------
    ratios : DataFrame
        Of `checks.operator_ratios`, for one or more games.

    Returns
    -------
    DataFrame
        Columns panel (the bound and its mirror map), game, step_size, x (the norm), value (the bound, may be infinite).
    """
    panels = {
        ("U", "euclidean"): "bound of section 5.1",
        ("W", "euclidean"): "certificate",
        ("W", "kl"): "certificate, KL",
    }
    rows = ratios[ratios["operator"] == "policy_mirror_ascent"]
    panel = [panels[key] for key in zip(rows["within"], rows["mirror"], strict=True)]
    data = rows.assign(panel=panel, x=rows["jacobian_norm"], value=rows["bound"])
    order = ["panel", "game", "step_size"]
    return data[[*order, "x", "value"]].sort_values(order, ignore_index=True)


#: Bounds of the atlas, in the order of their strength: column of the table -> words, colour, marker.
ATLAS_BOUNDS = {
    "paper_bound": ("section 5.1", COLOURS[6], "o"),
    "certificate": ("certificate", COLOURS[0], "^"),
    "attraction": ("attraction", COLOURS[1], "D"),
}


def atlas_data(atlas: pd.DataFrame) -> pd.DataFrame:
    """Return what holds in which share of many games, and measured against predicted game by game (C1, C4, C6).

    Parameters
    ----------
    atlas : DataFrame
        Of `atlas.table`; a game of the table stands for a grid of games.

    Returns
    -------
    DataFrame
        The module's columns without slopes. Panel "shares": of all grids together, against the strength, the share that
        each of `ATLAS_BOUNDS` certifies (each one together with those before it), of those with a derivative the share
        that contracts at the equilibrium ("contracts"), and the share in which PMA converges from every start
        ("converges"), all without interval. Panel "rate": observed rate against spectral radius. Panel "bound":
        each bound against the spectral radius, may be infinite. Panel "bias": measured over predicted bias of Q,
        with its 95 % interval over replicates, against the predicted constant. Panel "learning": final distance to the
        equilibrium against the strength, and the accuracy asked for as the line "target". Panel "gain": exploitability
        at the end over that of the uniform policy, against the uniform policy's distance to the equilibrium.
    """
    parts = []
    certified = pd.Series(False, index=atlas.index)
    shares: dict[str, pd.Series] = {}
    for bound in ATLAS_BOUNDS:
        shares[bound] = certified = certified | (atlas[bound] < 1.0)
    shares["converges"] = (atlas["n_starts"] > 0) & (atlas["n_converged"] == atlas["n_starts"])
    shares["contracts"] = (atlas["spectral_radius"] < 1.0)[atlas["differentiable"]]
    for series, holds in shares.items():
        share = holds.groupby(atlas["strength"]).mean()
        parts.append(_line("shares", "", series, share.index, share))
    for game, rows in _by_game(atlas):
        smooth = rows[rows["spectral_radius"].notna()]
        seen = smooth[smooth["observed_rate"].notna()]
        parts.append(_line("rate", game, "measured", seen["spectral_radius"], seen["observed_rate"]))
        parts += [_line("bound", game, bound, smooth["spectral_radius"], smooth[bound]) for bound in ATLAS_BOUNDS]
        known = rows[rows["bias_error"] > 0.0]
        half = known["bias_error"] * stdtrit(known["n_replicates"] - 1.0, 0.975)
        points = _line("bias", game, "measured", known["predicted_bias"], known["bias_ratio"])
        points["low"], points["high"] = ((known["bias_ratio"] + sign * half).to_numpy() for sign in (-1.0, 1.0))
        parts.append(points)
        learned = rows[rows["learned_error"].notna()]
        parts.append(_line("learning", game, "measured", learned["strength"], learned["learned_error"]))
        gain = learned["learned_exploitability"] / learned["start_exploitability"]
        parts.append(_line("gain", game, "measured", learned["start_error"], gain))
    ends, target = [atlas["strength"].min(), atlas["strength"].max()], float(atlas["epsilon"].iloc[0])
    parts.append(_line("learning", "", "target", ends, [target, target]))
    data: pd.DataFrame = pd.concat([part for part in parts if len(part)], ignore_index=True)
    return data.drop(columns=["slope", "slope_low", "slope_high"])


def independent_data(independent: pd.DataFrame) -> pd.DataFrame:
    """Return how far N independent learners are from the equilibrium, and from each other (claim C5).

    Parameters
    ----------
    independent : DataFrame
        Of `sweeps.independent_errors`, all sweeps together.

    Returns
    -------
    DataFrame
        The module's columns and setting (N in panel "history", eta in panel "spread"). Panel "history": the median
        agent's error against samples, low and high being the 5 and 95 % quantiles over agents, and "worst", all means
        over runs. Panel "spread": distance to the mean policy against epochs, and where it is "predicted" to end.
        Panels "step", "updates", "populations": after the last epoch, against eta, M_td and N, with intervals over
        runs; "measured worst" and "measured centre" beside the mean error; lines of theory.
    """
    parts = []
    for game, table in _by_game(independent):
        runs = {str(sweep): rows for sweep, rows in table.groupby("sweep")}
        final = {sweep: rows[rows["epoch"] == rows["n_epochs"]] for sweep, rows in runs.items()}
        if "populations" in runs:
            sizes = sorted(set(runs["populations"]["n_agents"]))
            for size in sorted({sizes[0], sizes[len(sizes) // 2], sizes[-1]}):
                rows = runs["populations"].query("n_agents == @size and epoch > 0")
                means = rows.groupby("samples")[["median", "low", "high", "worst"]].mean()
                typical = _line("history", game, "measured", means.index, means["median"])
                typical["low"], typical["high"] = means["low"].to_numpy(), means["high"].to_numpy()
                worst = _line("history", game, "worst", means.index, means["worst"])
                parts += [part.assign(setting=float(size)) for part in (typical, worst)]
            parts += _final_points(game, "populations", "n_agents", final["populations"])
            first = final["populations"].drop_duplicates("n_agents").sort_values("n_agents")
            limit = first["predicted_spread"] + first["predicted_deviation"] * np.sqrt(2.0 * np.log(first["n_agents"]))
            parts.append(_line("populations", game, "theory", first["n_agents"], first["predicted_spread"]))
            parts.append(_line("populations", game, "theory worst", first["n_agents"], limit))
        if "updates" in runs:
            parts += _final_points(game, "updates", "n_updates", final["updates"], 3)
            first = final["updates"].drop_duplicates("n_updates").sort_values("n_updates")
            parts.append(_line("updates", game, "theory", first["n_updates"], first["predicted_spread"]))
        if "step_sizes" in runs:
            for size, rows in runs["step_sizes"].groupby("step_size"):
                path = rows[rows["epoch"] > 0].groupby("epoch")[["spread"]].mean()
                parts.append(_line("spread", game, "measured", path.index, path["spread"]).assign(setting=size))
                ends = [path.index[-1] / 2, path.index[-1]]
                level = [rows["predicted_spread"].iloc[0]] * 2
                parts.append(_line("spread", game, "predicted", ends, level).assign(setting=size))
            x, groups = _groups(final["step_sizes"], "step_size", "spread")
            points = _measured("step", game, x, groups, fit=False)
            if len(x) >= 3:
                rng = seeds.generator(0, "figure", "step", game)
                points = _with_slope(points, statistics.slope_interval(x[:3], groups[:3], rng))
            first = final["step_sizes"].drop_duplicates("step_size").sort_values("step_size")
            parts += [points, _line("step", game, "theory", first["step_size"], first["predicted_spread"])]
    data: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return data if "setting" in data else data.assign(setting=np.nan)


def comparison_data(comparison: pd.DataFrame) -> pd.DataFrame:
    """Return exploitability against samples of PMA on one trajectory and of methods with a generative model (C8).

    Parameters
    ----------
    comparison : DataFrame
        Of `baselines.compare`, for one or more games.

    Returns
    -------
    DataFrame
        Columns game, method, samples, exploitability (the median replicate), low, high (the smallest and the largest).
    """
    reported = comparison[comparison["chosen"]]
    groups = reported.groupby(["game", "method", "samples"], as_index=False)["exploitability"]
    return pd.DataFrame(groups.agg(exploitability="median", low="min", high="max"))


def _final_points(game: str, panel: str, by: str, final: pd.DataFrame, fitted: int = 0) -> list[pd.DataFrame]:
    """Return the mean, the worst and the mean policy's error after the last epoch, fitted over the last points."""
    parts = []
    for series, column in (("measured", "error"), ("measured worst", "worst"), ("measured centre", "centre_error")):
        x, groups = _groups(final, by, column)
        points = _measured(panel, game, x, groups, column, fit=False).assign(series=series)
        if column == "error" and fitted and len(x) >= fitted:
            rng = seeds.generator(0, "figure", panel, game)
            points = _with_slope(points, statistics.slope_interval(x[-fitted:], groups[-fitted:], rng))
        parts.append(points)
    return parts


def _by_game(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the games in order of their names, with their rows."""
    return [(str(game), rows) for game, rows in table.groupby("game", sort=True)]


def _largest_population(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each game's largest population."""
    return table[table["n_agents"] == table.groupby("game")["n_agents"].transform("max")]


def _groups(table: pd.DataFrame, by: str, column: str) -> tuple[list[float], list[np.ndarray]]:
    """Return the values of `by` in order, and for each one the replicates of `column`."""
    groups = [(float(x), rows[column].to_numpy(float)) for x, rows in table.groupby(table[by].astype(float))]
    return [x for x, _ in groups], [values for _, values in groups]


def _measured(
    panel: str,
    game: str,
    x: Sequence[float],
    groups: Sequence[np.ndarray],
    label: str = "",
    fit: bool = True,
    paired: bool = False,
    summary: Callable[[np.ndarray], float] = lambda group: float(group.mean()),
) -> pd.DataFrame:
    """Return points with intervals over replicates, and with their fitted slope if there are two of them or more."""
    rng = seeds.generator(0, "figure", panel, game, label)
    estimates = [statistics.bootstrap([group], lambda drawn: summary(drawn[0]), rng) for group in groups]
    points = _line(panel, game, "measured", x, [estimate.value for estimate in estimates])
    points["low"], points["high"] = [e.low for e in estimates], [e.high for e in estimates]
    fitted = statistics.slope_interval(x, groups, rng, summary=summary, paired=paired) if fit and len(x) > 1 else None
    return _with_slope(points, fitted)


def _with_slope(points: pd.DataFrame, slope: statistics.Estimate | None) -> pd.DataFrame:
    """Return the points with the slope of their series beside each."""
    value, low, high = (slope.value, slope.low, slope.high) if slope else (np.nan, np.nan, np.nan)
    return points.assign(slope=value, slope_low=low, slope_high=high)


def _line(panel: str, game: str, series: str, x: Iterable[float], value: Iterable[float]) -> pd.DataFrame:
    """Return the vertices of a line as rows of the module's table."""
    columns = {"x": np.array(list(x), dtype=float), "value": np.array(list(value), dtype=float)}
    nothing = dict.fromkeys(["low", "high", "slope", "slope_low", "slope_high"], np.nan)
    return pd.DataFrame({"panel": panel, "game": game, "series": series, **columns, **nothing})


def _through_centre(
    panel: str, game: str, series: str, x: Iterable[float], value: Iterable[float], exponent: float
) -> pd.DataFrame:
    """Return the ends of the line of a given log-log slope through the centre of the points."""
    x = np.array(list(x))
    ends = np.array([x.min(), x.max()])
    centre_x, centre_y = (np.exp(np.log(list(points)).mean()) for points in (x, value))
    return _line(panel, game, series, ends, centre_y * (ends / centre_x) ** exponent)


# ---------------------------------------------------------------------------------------------------- drawing


@_styled
def contraction(data: pd.DataFrame) -> Figure:
    """Draw the distance of PMA's iterates to the equilibrium, one panel per game, one colour per step size.

    Parameters
    ----------
    data : DataFrame
        Of `contraction_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = _by_game(data)
    n_sizes = data.groupby("game")["step_size"].nunique().max()
    handles = [
        Line2D([], [], color="0.5", label="measured, one line per start"),
        Line2D([], [], label=r"predicted by the spectral radius $r(D\Gamma_\eta(\pi^*))$", **_DASHED),
    ]
    title = "Policy mirror ascent: distance to the equilibrium, measured and predicted"
    figure, axes = _panels(len(games), 1.5, 1 + n_sizes, title, handles, sharey=True)
    for i, (ax, (game, table)) in enumerate(zip(axes, games, strict=True)):
        colours = _ordered_colours(table["step_size"])
        for eta, rows in table.groupby("step_size"):
            for _, run in rows[rows["series"] == "measured"].groupby("start"):
                ax.plot(run["iteration"], run["distance"], color=colours[eta], linewidth=0.9, alpha=0.6)
            prediction = rows[rows["series"] == "predicted"]
            ax.plot(prediction["iteration"], prediction["distance"], **_DASHED)
            rate = rows["rate"].iloc[0]
            label = rf"$\eta = {eta:.3g}$" + ("" if np.isnan(rate) else f":  {rate:.3f}")
            ax.plot([], [], color=colours[eta], label=label)
        ax.set(xlabel="iteration $k$", xlim=(0.0, None), yscale="log", ylim=(0.5 * RATE_WINDOW[0], 5.0))
        ax.yaxis.set_major_locator(LogLocator(numticks=5))
        ax.yaxis.set_minor_formatter(NullFormatter())
        if i % _shape(len(games))[1] == 0:
            ax.set_ylabel(r"$\mathrm{sup}_s\, \|\pi_k(s) - \pi^*(s)\|_1$")
        _title(ax, i, "{}", game)
        kink = table["rate"].isna().all()
        _legend(ax, r"kink at $\mu^*$: no prediction" if kink else "predicted rate per iteration")
    return figure


@_styled
def dynamics(data: pd.DataFrame) -> Figure:
    """Draw the distance to the equilibrium of every exact method against the iteration, one panel per game.

    Parameters
    ----------
    data : DataFrame
        Of `dynamics_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = _by_game(data)
    handles = [
        Line2D([], [], color="0.5", label="measured, one line per start"),
        Line2D([], [], label="predicted: spectral radius of PMA, $k^{-1}$ of fictitious play", **_DASHED),
    ]
    title = "Exact methods, each at the step size that the Jacobian gives it"
    figure, axes = _panels(len(games), 1.9, 1 + len(METHODS), title, handles, sharey=True)
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
            ax.plot(line["iteration"], line["distance"], **_DASHED)
        ax.set(xlabel="iteration $k$", xscale="log", yscale="log", ylim=(ROUNDED_DISTANCE, None))
        ax.yaxis.set_major_locator(LogLocator(numticks=6))
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_minor_formatter(NullFormatter())
        if i % _shape(len(games))[1] == 0:
            ax.set_ylabel(r"$\mathrm{sup}_s\, \|\pi_k(s) - \pi^*(s)\|_1$")
        _title(ax, i, "{}", game)
        _legend(ax, rf"iterations to $\mathcal{{E}}_h \leq 10^{{{np.log10(ACCURACY):.0f}}}$")
    return figure


@_styled
def orbit(data: pd.DataFrame) -> Figure:
    """Draw the populations that best response and PMA visit, and the best response's as h weakens, a row per game.

    Parameters
    ----------
    data : DataFrame
        Of `orbit_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = _by_game(data)
    words, looks = {name: look[0] for name, look in METHODS.items()}, {name: look[1] for name, look in METHODS.items()}
    best = {**looks["best_response"], "marker": "o", "markersize": 3.0}
    pma = {**looks["pma_euclidean"], "marker": ".", "markersize": 4.0}
    handles = [
        Line2D([], [], label=words["best_response"], linewidth=0.7, **best),
        Line2D([], [], label=words["pma_euclidean"], **pma),
        Line2D([], [], label=r"equilibrium $\mu^*$", marker="*", markersize=7.0, **_DASHED),
    ]
    title = "The population under best response and under PMA" + (f": {_plain(games[0][0])}" if len(games) == 1 else "")
    figure, axes = _panels(3 * len(games), 1.9, 0, title, handles)
    for row, (game, table) in enumerate(games):
        prefix = "{}: " if len(games) > 1 else ""
        first = int(table.loc[table["panel"] == "path", "state"].iloc[0])
        second = int(table.loc[table["panel"] == "plane", "state"].iloc[0])
        path, plane, attractor = (table[table["panel"] == panel] for panel in ("path", "plane", "attractor"))
        for ax, rows in zip(axes[3 * row : 3 * row + 2], (path, plane), strict=True):
            for method, look in (("best_response", {**best, "linewidth": 0.7}), ("pma_euclidean", pma)):
                _draw(ax, rows[rows["method"] == method], "measured", **look)
        _draw(axes[3 * row], path, "theory", **_DASHED)
        _draw(axes[3 * row + 1], plane, "theory", color="black", marker="*", markersize=8.0, zorder=5)
        _draw(axes[3 * row + 2], attractor, "measured", **{**best, "linestyle": "none"})
        _draw(axes[3 * row + 2], attractor, "theory", **_DASHED)
        for ax, xlabel, state, title in (
            (axes[3 * row], "iteration $k$", first, prefix + "share of one state"),
            (axes[3 * row + 1], rf"$\mu_k(s = {first})$", second, prefix + "shares of two states"),
            (axes[3 * row + 2], "strength of the regularizer", first, prefix + "where best response ends"),
        ):
            ax.set(xlabel=xlabel, ylabel=rf"$\mu_k(s = {state})$")
            _title(ax, axes.index(ax), title, game)
        axes[3 * row + 2].set_xscale("log")
        _label_decades(axes[3 * row + 2].xaxis)
    return figure


@_styled
def ctd(data: pd.DataFrame) -> Figure:
    """Draw the error of TD learning over M_td, N and M_mix, and the bias of waiting, one row a game.

    Parameters
    ----------
    data : DataFrame
        Of `ctd_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = _by_game(data)
    surfaces = data[data["panel"] != "mixing"]
    ends = (surfaces["value"].min(), surfaces["value"].max())
    norm = LogNorm(*ends if ends[0] < ends[1] else (0.9 * ends[0], 1.1 * ends[0]))
    height, above, below, bottom = 1.45, 0.28, 0.5, 0.95
    size = (WIDTH, len(games) * (above + height + below) + bottom)
    figure = Figure(figsize=size)
    labels = {"agents": "agents $N$", "waiting": r"waiting $M_{\mathrm{mix}}$"}
    for i, (game, table) in enumerate(games):
        floor = (bottom + below + (len(games) - 1 - i) * (above + height + below)) / size[1]
        places = [(left / size[0], floor, 1.6 / size[0], height / size[1]) for left in (0.62, 2.88, 5.28)]
        axes = [figure.add_axes(place) for place in places]
        for j, (panel, label) in enumerate(labels.items()):
            _surface(axes[j], table[table["panel"] == panel], norm, label)
            _title(axes[j], 3 * i + j, "{}, " + (r"all $N$" if j == 0 else r"all $M_{\mathrm{mix}}$"), game)
        ax, rows = axes[2], table[table["panel"] == "mixing"]
        _draw(ax, rows, "bound", **_DASHED)
        _draw(ax, rows, "eigenvalue", **_DOTTED)
        _draw(ax, rows, "exact", color=COLOURS[6], marker="o", linestyle="none", markersize=4.0)
        ax.set(
            yscale="log",
            xlabel=labels["waiting"],
            ylabel=r"$\|\mathrm{E} Q_M - \mathrm{E} Q_M^{\mathrm{iid}}\|_\infty$",
        )
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        ax.yaxis.set_minor_formatter(NullFormatter())
        _title(ax, 3 * i + 2, "{}: bias of waiting", game)
    bar = figure.add_axes((0.62 / size[0], 0.62 / size[1], 3.86 / size[0], 0.12 / size[1]))
    figure.colorbar(ScalarMappable(norm), cax=bar, orientation="horizontal")
    bar.set_xlabel("measured root mean square error of an entry of $Q$")
    figure.legend(
        handles=[
            Line2D([], [], color="white", linewidth=1.2, path_effects=_OUTLINED, label="predicted error"),
            Line2D([], [], color=COLOURS[6], marker="o", linestyle="none", markersize=4.0, label="exact bias"),
            Line2D([], [], label=r"rate $|\lambda_2|$", **_DOTTED),
            Line2D([], [], label=r"theory's rate $L_{\mathrm{pop}}$", **_DASHED),
        ],
        loc="lower right",
        bbox_to_anchor=(1.0, 0.0),
        ncols=1,
    )
    return figure


def _surface(ax: Axes, table: pd.DataFrame, norm: LogNorm, ylabel: str) -> None:
    """Draw measured values as cells and the predicted ones as contours, over M_td and rows of equal height."""
    measured = table[table["series"] == "measured"].pivot(index="y", columns="x", values="value")
    predicted = table[table["series"] == "predicted"].pivot(index="y", columns="x", values="value")
    updates = measured.columns.to_numpy(float)
    ax.pcolormesh(_edges(np.log10(updates)), np.arange(len(measured) + 1) - 0.5, measured, norm=norm)
    if min(predicted.shape) >= 2:
        rows = [list(measured.index).index(y) for y in predicted.index]
        levels = [
            level
            for level in np.outer(10.0 ** np.arange(-6, 3), [1.0, 3.0]).ravel()
            if predicted.to_numpy().min() < level < predicted.to_numpy().max()
        ]
        x = np.log10(predicted.columns.to_numpy(float))
        drawn = ax.contour(
            x, rows, np.log(predicted), np.log(levels), colors="white", linestyles="solid", linewidths=1.2
        )
        drawn.set(path_effects=_OUTLINED)
        names = {np.log(level): f"{level:g}" for level in levels}
        texts = ax.clabel(drawn, fmt=names, fontsize=8.0)
        for text in texts:
            text.set(path_effects=_OUTLINED)
    ticks = [x for x in range(16) if updates.min() <= 10.0**x <= updates.max()]
    ax.set_xticks(ticks, [rf"$10^{{{x}}}$" for x in ticks])
    ax.set_yticks(range(len(measured)), [_count(y) for y in measured.index])
    ax.set(xlabel=r"TD updates $M_{\mathrm{td}}$", ylabel=ylabel)


def _count(number: float) -> str:
    """Return a number of agents or steps in few characters."""
    power = np.log10(number) if number >= 1000 else 0.5
    return rf"$10^{{{power:.0f}}}$" if power == round(power) else f"{number:g}"


@_styled
def samples(data: pd.DataFrame) -> Figure:
    """Draw the error of learning, and the samples that an accuracy costs.

    Parameters
    ----------
    data : DataFrame
        Of `samples_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    learning, cost = (_by_game(data[data["panel"] == panel]) for panel in ("learning", "cost"))
    epsilons = _ordered_colours(data["epsilon"].dropna(), reverse=True)
    colours, markers, _ = _game_looks(data["game"])
    series = [table["series"].nunique() for _, table in cost]
    figure, axes = _panels(len(learning) + len(cost), 1.9, 1 + max([2 + len(epsilons) // 2, *series]))

    for i, (ax, (game, table)) in enumerate(zip(axes, learning, strict=False)):
        shown = table["epsilon"].unique()
        for epsilon, colour in epsilons.items():
            rows = table[table["epsilon"] == epsilon]
            curve = rows[rows["series"] == "measured"]
            ax.fill_between(curve["x"], curve["low"], curve["high"], color=colour, alpha=0.25, linewidth=0)
            label = rf"$\varepsilon = {epsilon:g}$" if epsilon in shown else None
            _draw(ax, rows, "measured", color=colour, marker=".", label=label)
            _draw(ax, rows, "target", **{**_DOTTED, "color": colour})
        _log_log(ax, "samples (environment steps)", r"$\mathrm{E}\, \mathrm{sup}_s\, \|\pi_k(s) - \pi^*(s)\|_1$")
        _title(ax, i, "learning, {}", game)
        _legend(ax, "centralized, tuned for", [Line2D([], [], label=r"target $\varepsilon$", **_DOTTED)], 2)

    for i, (ax, (game, table)) in enumerate(zip(axes[len(learning) :], cost, strict=True), start=len(learning)):
        _draw(ax, table, "theory", **_DOTTED)
        _draw(ax, table, "theorem", **_DASHED)
        more = [Line2D([], [], label="slope 2", **_DOTTED)] if (table["series"] == "theory").any() else []
        if (table["series"] == "theorem").any():
            more.append(Line2D([], [], label=r"theorem, against $1/\varepsilon$", **_DASHED))
        for name in sorted(set(table["series"]) - {"theory", "theorem"}):
            algorithm, kind, *per_update = name.removeprefix("measured ").split(maxsplit=2)
            marker = markers[game] if algorithm == "centralized" else "x"
            face = {"tuned": colours[game], "theorem": "black"}[kind] if not per_update else "white"
            label = "as prescribed" if kind == "theorem" else f"{algorithm}, tuned"
            label = r"$\div\, K(M_{\mathrm{mix}}{+}1)$" if per_update else label
            look = {"color": "black" if kind == "theorem" else colours[game], "marker": marker, "markerfacecolor": face}
            _draw_points(ax, table, name, f"{label}: ", horizontal=True, **look)
        xlabel = r"$1 \,/\, \mathrm{E}\, \mathrm{sup}_s\, \|\pi_K(s) - \pi^*(s)\|_1$"
        _log_log(ax, xlabel, "samples (environment steps)")
        ax.xaxis.labelpad = 1.0  # powers of ten are tall, and the legend is close
        _title(ax, i, "cost, {}", game)
        _legend(ax, _FITTED, more)
    return figure


@_styled
def populations(data: pd.DataFrame) -> Figure:
    """Draw the fluctuation of the mean field, the bias of Q and the error of the learned policy against N.

    Parameters
    ----------
    data : DataFrame
        Of `populations_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = sorted(set(data["game"]) - {""})
    colours, markers, styles = _game_looks(games)
    handles: list[Line2D | tuple[Line2D, ...]] = [
        _marks(markers, label="exact"),
        _marks(markers, markerfacecolor="white", label="measured"),
        Line2D([], [], color="0.3", label="closed form for large $N$, no free parameter"),
    ]
    dashed = {**_DASHED, "color": "0.35"}
    titles = {
        "deviation": ("fluctuation of the mean field", r"$\mathrm{E}\, \|\hat\mu - \mu_\pi\|_1$"),
        "bias": ("bias of what is learned", r"$\mathrm{max}_{s,a}\, |\mathrm{E}\, Q - \Gamma_q(\pi,\mu_\pi)|$"),
        "policy": ("error of the learned policy", r"$\mathrm{E}\, \mathrm{sup}_s\, \|\pi_K(s) - \pi^*(s)\|_1$"),
    }
    titles = {panel: titles[panel] for panel in titles if (data["panel"] == panel).any()}
    figure, axes = _panels(len(titles), 1.9, 2 + len(games) + 1, None, handles)
    for i, (ax, (panel, (title, ylabel))) in enumerate(zip(axes, titles.items(), strict=True)):
        rows = data[data["panel"] == panel]
        for game, table in _by_game(rows[rows["game"] != ""]):
            _draw(ax, table, "theory", color=colours[game], linestyle=styles[game])
            label = f"{_plain(game, 0.6)}: " if panel != "policy" else _plain(game)
            _draw(ax, table, "exact", color=colours[game], marker=markers[game], linestyle="none", markersize=4.5)
            _draw_points(ax, table, "measured", label, color=colours[game], marker=markers[game])
        references = []
        if panel == "bias":
            for exponent, name, look in (("-0.5", "-1/2", _DOTTED), ("-1", "-1", dashed)):
                _draw(ax, rows, f"slope {exponent}", **look)
                references.append(Line2D([], [], label=rf"proportional to $N^{{{name}}}$", **look))
        if panel == "policy":
            for _, floor in rows[rows["series"] == "noise"].groupby("value"):
                _draw(ax, floor, "noise", **_DOTTED)
            references.append(Line2D([], [], label=r"noise floor of learning:", **_DOTTED))
            references.append(Line2D([], [], label=r"sampling error $\varepsilon$", linestyle="none"))
        _log_log(ax, "population size $N$", ylabel)
        _title(ax, i, title)
        _legend(ax, None if panel == "policy" else _FITTED, references)
    return figure


@_styled
def nash(data: pd.DataFrame) -> Figure:
    """Draw what one of N agents gains by leaving the equilibrium, with a regularizer and without.

    Parameters
    ----------
    data : DataFrame
        Of `nash_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = sorted(set(data["game"]) - {""})
    colours, markers, styles = _game_looks(games)
    handles: list[Line2D | tuple[Line2D, ...]] = [
        _marks(markers, markerfacecolor="white", label="exact"),
        Line2D([], [], color="0.3", label="limit for large $N$, no free parameter"),
    ]
    dashed = {**_DASHED, "color": "0.35"}
    titles = {"regularized": "with a regularizer", "indifferent": "without, where all actions are equally good"}
    figure, axes = _panels(2, 2.3, len(games) + 2, None, handles)
    for i, (ax, (panel, title)) in enumerate(zip(axes, titles.items(), strict=False)):
        rows = data[data["panel"] == panel]
        for game, table in _by_game(rows[rows["game"] != ""]):
            _draw(ax, table, "theory", color=colours[game], linestyle=styles[game])
            points = {"color": colours[game], "marker": markers[game], "markerfacecolor": "none"}
            _draw(ax, table, "measured", label=_plain(game), linestyle="none", **points)
        references = []
        for exponent, name, look in (("-0.5", "-1/2", _DOTTED), ("-1", "-1", dashed)):
            _draw(ax, rows, f"slope {exponent}", **look)
            bound = ", the paper's bound" if name == "-1/2" else ""
            references.append(Line2D([], [], label=rf"proportional to $N^{{{name}}}${bound}", **look))
        _log_log(ax, "population size $N$", r"gain of a deviator, $\mathrm{E}\, [V^* - V^\pi]$")
        _title(ax, i, title)
        _legend(ax, None, references)
    return figure


@_styled
def independent(data: pd.DataFrame) -> Figure:
    """Draw the errors of independent learners and their disagreement.

    Parameters
    ----------
    data : DataFrame
        Of `independent_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    colours, markers, styles = _game_looks(data["game"])
    figure, axes = _panels(5, 1.9, 6)
    panels = {name: data[data["panel"] == name] for name in ("history", "populations", "updates", "spread", "step")}
    distance, samples = r"$\mathrm{sup}_s\, \|\pi^i(s) - \pi^*(s)\|_1$", "samples (environment steps)"
    apart = r"mean of $\mathrm{sup}_s\, \|\pi^i(s) - \bar\pi(s)\|_1$"

    ax, rows = axes[0], panels["history"]
    looks = _ordered_colours(rows["setting"].dropna())
    for (_, size), curve in rows.groupby(["game", "setting"]):
        band = curve[curve["series"] == "measured"]
        ax.fill_between(band["x"], band["low"], band["high"], color=looks[size], alpha=0.2, linewidth=0)
        _draw(ax, curve, "measured", color=looks[size], marker=".", label=f"$N = {size:g}$")
        _draw(ax, curve, "worst", color=looks[size], linestyle=(0, (4, 2)))
    _log_log(ax, samples, distance)
    _title(ax, 0, "agents and samples")
    kinds = [("median agent", {"color": "0.3", "marker": "."}), ("worst agent", {**_DASHED, "color": "0.3"})]
    kinds.append(("band: 5 to 95 % of agents", {"color": "0.3", "alpha": 0.2, "linewidth": 5}))
    _legend(ax, None, [Line2D([], [], label=label, **look) for label, look in kinds])

    for i, (panel, xlabel, title) in enumerate(
        (
            ("populations", "agents $N$", "typical and worst"),
            ("updates", r"TD updates $M_{\mathrm{td}}$", "TD updates"),
        ),
        start=1,
    ):
        ax = axes[i]
        for game, table in _by_game(panels[panel]):
            _draw(ax, table, "theory", **_DOTTED)
            _draw(ax, table, "theory worst", **{**_DASHED, "color": "0.35"})
            look: dict[str, Any] = {"color": colours[game], "marker": markers[game]}
            _draw_points(ax, table, "measured", "mean: " if panel == "updates" else "mean of agents", **look)
            _draw_points(ax, table, "measured worst", "worst agent", **{**look, "marker": "_"})
            _draw_points(ax, table, "measured centre", "mean policy", **{**look, "marker": "x"})
        _log_log(ax, xlabel, distance)
        _title(ax, i, title)
        lines = [Line2D([], [], label="predicted noise of an agent", **_DOTTED)]
        if panel == "populations":
            lines.append(Line2D([], [], label=r"and $\sigma\sqrt{2\, \log N}$ more", **{**_DASHED, "color": "0.35"}))
        _legend(ax, _FITTED if panel == "updates" else None, lines)

    ax, rows = axes[3], panels["spread"]
    looks = _ordered_colours(rows["setting"].dropna())
    for (_, size), curve in rows.groupby(["game", "setting"]):
        _draw(ax, curve, "measured", color=looks[size], label=rf"$\eta = {size:g}$")
        _draw(ax, curve, "predicted", **{**_DOTTED, "color": looks[size]})
    _log_log(ax, "epoch $k$", apart)
    _title(ax, 3, "disagreement")
    _legend(ax, None, [Line2D([], [], label="predicted end", **_DOTTED)], 2)

    ax = axes[4]
    for game, table in _by_game(panels["step"]):
        _draw(ax, table, "theory", color=colours[game], linestyle=styles[game])
        _draw_points(ax, table, "measured", "", color=colours[game], marker=markers[game])
    _log_log(ax, r"step size $\eta$", apart)
    _title(ax, 4, "disagreement and steps")
    _legend(ax, _FITTED, [Line2D([], [], color="0.3", label="predicted, no free parameter")])
    return figure


@_styled
def equilibria(data: pd.DataFrame) -> Figure:
    """Draw the mean field (bars) over the policy (heat map) of each equilibrium, states in the same order.

    Parameters
    ----------
    data : DataFrame
        Of `equilibria_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = _by_game(data)
    n_rows, n_columns = _shape(len(games))
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
        _title(top, i, "{}", game)
    figure.colorbar(mesh, ax=figure.axes, label=r"$\pi^*(a\,|\,s)$", shrink=0.8 / n_rows, aspect=20)
    figure.suptitle(_heading("Equilibria: mean field (bars) and policy (colours)", n_columns))
    figure.draw_without_rendering()  # settles the layout, which is then kept: saving again gives the same bytes
    figure.set_layout_engine("none")
    return figure


@_styled
def gallery(data: pd.DataFrame) -> Figure:
    """Draw each game's equilibrium: a grid as a heat map with arrows, other games as bars, a glyph per likely action.

    Parameters
    ----------
    data : DataFrame
        Of `gallery_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = [
        (
            game,
            table.assign(
                label=_drawable(table["label"], "state", table["state"]),
                action=_drawable(table["action"], "action", table["action_number"]),
            ),
        )
        for game, table in _by_game(data)
    ]
    n_rows, n_columns = _shape(len(games))
    width = WIDTH if n_columns > 1 else 0.6 * WIDTH
    figure = Figure(figsize=(width, 2.3 * n_rows + 0.9), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax in axes[len(games) :]:
        ax.remove()
    for i, (game, table) in enumerate(games):
        ax = axes[i]
        others, table = table[table["equilibrium"] > 0], table[table["equilibrium"] == 0]
        if _is_grid(table):
            _draw_grid(ax, table, others)
        else:
            _draw_bars(ax, table, others)
        size = f"S = {table['states'].iloc[0]}, A = {table['actions'].iloc[0]}, τ = {table['strength'].iloc[0]:g}"
        count = f" ({1 + others['equilibrium'].nunique()} found)" if len(others) else ""
        name = _plain(game, 1.5 - _width(count, 8.0))
        ax.set_title(f"$\\mathbf{{{_letter(i)}}}$  {name}{count}\n{size}", fontsize=8)
    figure.suptitle(_heading("Games from the literature: equilibrium populations", n_columns))
    key = (
        "Arrows and words: the most likely action (• stay), pale below probability 1/2, none where several are.",
        "Hatched cells: transient states, which the equilibrium leaves for good. Red: further equilibria found;",
        "lines are their populations, a ring is where one has its largest share.",
    )
    figure.supxlabel("\n".join(_heading(line, n_columns) for line in key), fontsize=8.0)
    figure.draw_without_rendering()  # settles the layout, which is then kept: saving again gives the same bytes
    figure.set_layout_engine("none")
    return figure


#: Action -> the glyph it is drawn with; other actions are named in full or by their number.
_GLYPHS = {"up": "↑", "right": "→", "down": "↓", "left": "←", "stay": "•", "several": ""}


def _is_grid(table: pd.DataFrame) -> bool:
    """Return whether the places of a game's states are the cells of a rectangle with more than one row."""
    place = table[["column", "row"]].to_numpy()
    if np.isnan(place).any() or (place != np.round(place)).any() or len(set(place[:, 1])) < 2:
        return False
    return len(set(map(tuple, place))) == len(place) == len(set(place[:, 0])) * len(set(place[:, 1]))


def _draw_grid(ax: Axes, table: pd.DataFrame, others: pd.DataFrame) -> None:
    """Draw a population on its grid, the most likely action in each cell that is visited for ever.

    A ring marks each cell that has the largest share in one of the other equilibria.
    """
    shares = table.pivot_table(index="row", columns="column", values="value")
    transient = table.pivot_table(index="row", columns="column", values="transient", aggfunc="max").astype(bool)
    mesh = ax.pcolormesh(
        shares.columns, shares.index, shares.where(~transient), vmin=0.0, cmap="viridis", edgecolors="none"
    )
    for row in cast("Iterable[Any]", table[table["transient"]].itertuples()):
        cell = (float(row.column) - 0.5, float(row.row) - 0.5)
        ax.add_patch(Rectangle(cell, 1.0, 1.0, facecolor="0.85", edgecolor="0.6", hatch="////", linewidth=0.0))
    size = float(np.clip(70.0 / max(shares.shape), 8.0, 11.0))
    inches = 1.3 / max(shares.shape)  # of a cell, of a panel as wide as any
    bright = 0.5 * shares.max().max()
    for row in cast("Iterable[Any]", table[~table["transient"]].itertuples()):
        ax.text(
            float(row.column),
            float(row.row),
            _GLYPHS.get(str(row.action), _shortened(str(row.action), inches, size)),
            color="black" if row.value > bright else "white",
            alpha=1.0 if row.probability >= 0.5 else 0.6,
            fontsize=size,
            ha="center",
            va="center",
        )
    largest = others.groupby("equilibrium")["value"].transform("max")
    rings = others[others["value"] > (1.0 - 1e-6) * largest]  # all of those that share it
    ax.scatter(rings["column"], rings["row"], (0.9 * size) ** 2, "none", edgecolors=COLOURS[5], linewidths=1.4)
    ax.set_aspect("equal")
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    bar = cast(Figure, ax.get_figure()).colorbar(mesh, ax=ax, shrink=0.85, pad=0.03)
    bar.set_label(r"$\mu^*(s)$", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    bar.ax.yaxis.set_major_locator(MaxNLocator(nbins=4))


def _draw_bars(ax: Axes, table: pd.DataFrame, others: pd.DataFrame) -> None:
    """Draw a population as bars in the order of the states, the most likely action on each, the others as lines."""
    ax.bar(table["state"], table["value"], width=0.8, color=np.where(table["transient"], "0.85", COLOURS[6]))
    for row in cast("Iterable[Any]", table[table["transient"]].itertuples()):
        ax.axvspan(
            float(row.state) - 0.4, float(row.state) + 0.4, facecolor="0.95", hatch="////", edgecolor="0.6", lw=0
        )
    ax.hlines(others["value"], others["state"] - 0.4, others["state"] + 0.4, colors=COLOURS[5], lw=1.8, zorder=3)
    highest = pd.concat([table, others]).groupby("state")["value"].max()
    top = float(highest.max())
    # a panel is some 1.5 inches wide and 1.2 high; words that are wider than a bar stand upright above it
    words = {str(action): _GLYPHS.get(str(action), str(action)) for action in table["action"]}
    turned = {action for action, word in words.items() if word == action and len(word) * len(table) >= 40}
    words |= {action: _shortened(action, 0.6, 8.0) for action in turned}
    if len(table) <= 30:
        for row in cast("Iterable[Any]", table.itertuples()):
            ax.text(
                float(row.state),
                highest[row.state] + 0.03 * top,
                words[str(row.action)],
                color="black" if row.probability >= 0.5 else "0.5",
                fontsize=8.0,
                ha="center",
                va="bottom",
                rotation=90.0 if str(row.action) in turned else 0.0,
            )
    longest = max((_width(words[action], 8.0) for action in turned), default=0.0)
    ax.set_ylim(0.0, max(1.5 if turned else 1.2, 1.2 / (1.2 - 0.1 - longest)) * top)
    ax.grid(False, axis="x")
    if len(table) <= 8 and len("".join(table["label"])) <= 24:  # more letters than that overlap
        ax.set_xticks(
            table["state"], [_shortened(label, 1.5 / len(table), 8.0) for label in table["label"]], fontsize=8
        )
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4))
    ax.tick_params(axis="y", labelsize=8)
    ax.set_ylabel(r"$\mu^*(s)$", fontsize=8)


@_styled
def phase(data: pd.DataFrame) -> Figure:
    """Draw the regions over step size and strength, a row for each game, a column for each regularizer and mirror map.

    Parameters
    ----------
    data : DataFrame
        Of `phase_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games, panels = _by_game(data), sorted(set(data["panel"]))
    left, right, above, below, between, height = 0.85, 0.1, 0.3, 1.25, 0.12, 1.05
    total = above + len(games) * height + (len(games) - 1) * between + below
    figure = Figure(figsize=(WIDTH, total))
    width = (WIDTH - left - right - (len(panels) - 1) * between) / len(panels)
    figure.subplots_adjust(
        left=left / WIDTH,
        right=1.0 - right / WIDTH,
        bottom=below / total,
        top=1.0 - above / total,
        wspace=between / width,
        hspace=between / height,
    )
    axes = figure.subplots(len(games), len(panels), sharex=True, sharey="row", squeeze=False)
    colours = ListedColormap(list(REGIONS.values()))
    for row, (game, table) in zip(axes, games, strict=True):
        row[0].set_ylabel(f"{_plain(game, height)}\nstrength $\\tau$")
        for ax, panel in zip(row, panels, strict=True):
            _regions(ax, table[table["panel"] == panel], colours)
    for ax, panel in zip(axes[0], panels, strict=True):
        ax.set_title(panel, loc="center")
    for ax in axes[-1]:
        ax.set_xlabel(r"step size $\eta \tau$")
    regions: list[Any] = [
        Patch(facecolor=colour, edgecolor="0.5", linewidth=0.4, label=region)
        for region, colour in REGIONS.items()
        if (data["region"] == region).any()
    ]
    hatched = Patch(
        facecolor=REGIONS["certified"], edgecolor="white", hatch="////", label="certified by section 5.1 too"
    )
    regions.insert(1 if (data["region"] == "certified").any() else 0, hatched)
    contours = [
        Line2D([], [], color="black", linewidth=0.8, linestyle=style, label=f"{radius:g}")
        for radius, style in RADII.items()
    ]
    look: dict[str, Any] = {"alignment": "left", "borderaxespad": 0.0}
    figure.legend(
        handles=regions, title="region", ncols=2, loc="upper left", bbox_to_anchor=(left / WIDTH, 0.74 / total), **look
    )
    title = "spectral radius at the equilibrium"
    figure.legend(handles=contours, title=title, ncols=3, loc="upper left", bbox_to_anchor=(0.58, 0.74 / total), **look)
    return figure


def _regions(ax: Axes, table: pd.DataFrame, colours: ListedColormap) -> None:
    """Draw one plane: cells in the colour of their region, hatched where section 5.1 certifies, contours above."""
    codes = {region: code for code, region in enumerate(REGIONS)}
    table = table.assign(code=table["region"].map(codes), paper=table["paper"].astype(float))
    plane = {
        column: table.pivot_table(index="strength", columns="relative_step_size", values=column, dropna=False)
        for column in ("code", "paper", "spectral_radius")
    }
    x, y = plane["code"].columns.to_numpy(float), plane["code"].index.to_numpy(float)
    edges = (_edges(x), _edges(y))
    ax.pcolormesh(*edges, plane["code"], cmap=colours, vmin=-0.5, vmax=len(REGIONS) - 0.5, rasterized=True)
    hatched = np.ma.masked_less(plane["paper"].to_numpy(), 0.5)
    if hatched.count():
        look: dict[str, Any] = {"hatch": "////", "edgecolor": "white", "linewidth": 0.0}
        ax.pcolor(*edges, hatched, cmap=ListedColormap(["none"]), **look)
    radius = plane["spectral_radius"].to_numpy(float)
    if min(radius.shape) > 1 and np.isfinite(radius).any():
        look = {"levels": list(RADII), "linestyles": list(RADII.values()), "colors": "black", "linewidths": 0.8}
        present = [level for level in RADII if np.nanmin(radius) < level < np.nanmax(radius)]
        if present:
            look |= {"levels": present, "linestyles": [RADII[level] for level in present]}
            ax.contour(x, y, np.ma.masked_invalid(radius), **look)
    ax.set(xscale="log", yscale="log", xlim=edges[0][[0, -1]], ylim=edges[1][[0, -1]])
    ax.grid(False)
    for axis in cast("tuple[Axis, Axis]", (ax.xaxis, ax.yaxis)):
        axis.set_major_locator(LogLocator(numticks=4))
        axis.set_minor_formatter(NullFormatter())


def _edges(centres: np.ndarray) -> np.ndarray:
    """Return the edges of cells around points of a logarithmic grid."""
    if len(centres) == 1:
        return np.array([centres[0] / 2.0, centres[0] * 2.0])
    middles = np.sqrt(centres[:-1] * centres[1:])
    return np.concatenate([[centres[0] ** 2 / middles[0]], middles, [centres[-1] ** 2 / middles[-1]]])


@_styled
def bounds(data: pd.DataFrame) -> Figure:
    """Draw each bound on PMA's Lipschitz constant against the largest norm of its Jacobian found.

    Where a bound is infinite the norm can be anything; one far beyond the others is drawn at the right edge.

    Parameters
    ----------
    data : DataFrame
        Of `bounds_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels = sorted(set(data["panel"]))  # the bound of section 5.1 comes first
    colours, markers, styles = _game_looks(data["game"])
    finite = data[np.isfinite(data["value"])]
    ends = np.array([0.5 * data["x"].min(), 3.0 * (data if finite.empty else finite)["x"].max()])
    highest = 10.0 ** np.ceil(np.log10(max(4.0, ends[1], *finite["value"])))
    # infinite bounds go above the line `highest`, a row for each game
    infinite = {game: highest * 10.0 ** (0.25 * (k + 1)) for k, game in enumerate(colours)}
    top = highest * 10.0 ** (0.25 * (len(colours) + 1))
    figure, axes = _panels(len(panels), 2.6, 2 + (len(colours) + 2) // 4, sharey=True)
    for i, (ax, panel) in enumerate(zip(axes, panels, strict=True)):
        for game, table in _by_game(data[data["panel"] == panel]):
            value = table["value"].where(np.isfinite(table["value"]), infinite[game])
            look: dict[str, Any] = {"color": colours[game], "marker": markers[game], "linestyle": styles[game]}
            look["linewidth"] = 0.6
            ax.plot(np.minimum(table["x"], 0.9 * ends[1]), value, markerfacecolor="none", **look)
        ax.plot(ends, ends, **_DASHED)
        ax.axhline(1.0, **_DOTTED)
        ax.axhspan(highest, top, color="0.94", linewidth=0.0)
        ax.set(xscale="log", yscale="log", xlim=ends, ylim=(ends[0], top))
        ticks = 10.0 ** np.arange(np.ceil(np.log10(ends[0])), np.log10(highest) + 0.5)
        labels = [*(rf"$10^{{{np.log10(tick):.0f}}}$" for tick in ticks), r"$\infty$"]
        ax.set_yticks([*ticks, np.sqrt(highest * top)], labels)
        ax.yaxis.set_minor_locator(NullLocator())
        ax.set_xlabel(r"norm of $D\Gamma_\eta(\pi)$, largest found")
        if i == 0:
            ax.set_ylabel(r"bound on the norm of $D\Gamma_\eta(\pi)$")
        _title(ax, i, panel)
    handles = [
        Line2D(
            [],
            [],
            color=colours[game],
            marker=markers[game],
            linestyle=styles[game],
            markerfacecolor="none",
            label=_plain(game, 1.1),
        )
        for game in colours
    ]
    handles.append(Line2D([], [], label="below: a bound is refuted", **_DASHED))
    handles.append(Line2D([], [], label="below: PMA is certified", **_DOTTED))
    figure.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.0), ncols=4 if len(panels) > 1 else 2)
    return figure


def _shape(n: int) -> tuple[int, int]:
    """Return rows and columns for n panels."""
    n_columns = {1: 1, 2: 2, 4: 2}.get(n, 3)
    return -(-n // n_columns), n_columns


def _panels(
    n: int,
    height: float,
    n_lines: int,
    title: str | None = None,
    handles: Sequence[Line2D | tuple[Line2D, ...]] = (),
    sharey: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Return a figure and n axes of `height` inches, each with room for a legend of `n_lines` below it.

    Every length is fixed in inches here, so that neither a long legend nor a wide tick label squeezes the panels.
    """
    n_rows, n_columns = _shape(n)
    left, between, right, above, line = 0.62, 0.4 if sharey else 0.78, 0.12, 0.25, 0.16
    below = 0.55 + line * n_lines
    n_shown = len(handles) if n_columns > 1 else 1
    title = _heading(title, n_columns) if title else None
    top = above + (0.3 + line * title.count("\n") if title else 0.0)
    bottom = below + (0.35 + line * (len(handles) // n_shown - 1) if handles else 0.0)
    size = (
        WIDTH if n_columns > 1 else 0.6 * WIDTH,
        top + n_rows * height + (n_rows - 1) * (above + below) + bottom,
    )
    width = (size[0] - left - right - (n_columns - 1) * between) / n_columns
    figure = Figure(figsize=size)
    figure.subplots_adjust(
        left=left / size[0],
        right=1.0 - right / size[0],
        bottom=bottom / size[1],
        top=1.0 - top / size[1],
        wspace=between / width,
        hspace=(above + below) / height,
    )
    axes = figure.subplots(n_rows, n_columns, sharey=sharey, squeeze=False).ravel()
    for ax in axes[n:]:
        ax.remove()
    if title:
        figure.suptitle(title, x=0.5, y=1.0 - 0.08 / size[1], va="top")
    if handles:
        names = [str((handle[0] if isinstance(handle, tuple) else handle).get_label()) for handle in handles]
        of_tuples: dict[type, Any] = {tuple: HandlerTuple(ndivide=None, pad=0.5)}
        figure.legend(
            handles=list(handles),
            labels=names,
            handler_map=of_tuples,
            loc="lower center",
            bbox_to_anchor=(0.5, 0.0),
            ncols=n_shown,
        )
    return figure, list(axes[:n])


def _heading(title: str, n_columns: int) -> str:
    """Return a figure's title, on several lines where a single panel makes it narrow."""
    return title if n_columns > 1 else textwrap.fill(title, 45)


def _title(ax: Axes, i: int, text: str, game: str = "") -> None:
    """Label a panel with its letter and say what it shows; `text` may have a place {} for the name of a game."""
    figure = cast(Figure, ax.get_figure())
    inches = ax.get_position().width * figure.get_figwidth() + 0.03
    letter = rf"$\mathbf{{{_letter(i)}}}$   "
    name = _plain(game, max(0.3, inches - _width(letter, 9.0) - 0.1 - _width(text.replace("{}", ""), 9.0)))
    ax.set_title(letter + text.replace("{}", name))


def _letter(i: int) -> str:
    """Return a to z, then aa, ab and so on."""
    return (_letter(i // 26 - 1) if i >= 26 else "") + chr(ord("a") + i % 26)


def _legend(ax: Axes, title: str | None, more: Sequence[Line2D] = (), ncols: int = 1) -> None:
    """Put the legend below the axis label, where it covers nothing."""
    figure = cast(Figure, ax.get_figure())
    below = ax.transAxes + ScaledTranslation(-0.45, -0.44, figure.dpi_scale_trans)
    ax.legend(
        handles=[*ax.get_legend_handles_labels()[0], *more],
        title=title,
        ncols=ncols,
        loc="upper left",
        alignment="left",
        bbox_to_anchor=(0.0, 0.0),
        bbox_transform=below,
        borderaxespad=0.0,
    )


def _draw(ax: Axes, table: pd.DataFrame, series: str, **look: Any) -> None:
    """Draw one series as a line."""
    rows = table[table["series"] == series]
    ax.plot(rows["x"], rows["value"], **look)


def _draw_points(ax: Axes, table: pd.DataFrame, series: str, label: str, horizontal: bool = False, **look: Any) -> None:
    """Draw one series as markers with intervals, hollow unless the look says otherwise, its slope in the legend."""
    rows = table[table["series"] == series]
    bars, centres = (ax.hlines, rows["value"]) if horizontal else (ax.vlines, rows["x"])
    bars(centres, rows["low"], rows["high"], color=look["color"], linewidth=1.0)
    look = {"markerfacecolor": "none", "linestyle": "none", **look}
    ax.plot(rows["x"], rows["value"], label=label + _slope(rows), **look)


def _slope(points: pd.DataFrame) -> str:
    """Return the fitted slope of a series and its interval, with the digits that the interval's width allows."""
    value, low, high = (float(points[column].iloc[0]) for column in ("slope", "slope_low", "slope_high"))
    if np.isnan(value):
        return ""
    digits = 3 if high - low < 0.01 else 2
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]".replace("-", "−")


def _log_log(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Set logarithmic axes with their labels."""
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    for axis in cast("tuple[Axis, Axis]", (ax.xaxis, ax.yaxis)):
        _label_decades(axis)


def _label_decades(axis: Axis) -> None:
    """Label a logarithmic axis; between the powers of ten as well where it has less than two decades."""
    low, high = axis.get_view_interval()
    if high < 100.0 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}" if x < 1000.0 else f"{x / 1000.0:g}k"))
    axis.set_minor_formatter(NullFormatter())


def _plain(game: str, inches: float = NAME_WIDTH) -> str:
    """Return a game's name as words, shortened to a width."""
    return _shortened(game.replace("_", " "), inches)


@functools.lru_cache(maxsize=4096)
def _width(text: str, size: float) -> float:
    """Return the width of text in the figures' font, in inches; mathematics between dollar signs as such."""
    properties = matplotlib.font_manager.FontProperties(family=_family(), size=size)
    ink = text.strip()
    return float(TextPath((0.0, 0.0), ink, prop=properties).get_extents().x1) / 72.0 if ink else 0.0


@functools.cache
def _family() -> str:
    return str(matplotlib.rc_params_from_file(STYLE, use_default_template=False)["font.family"][0])


@functools.cache
def _letters() -> frozenset[int]:
    """Return the code points for which the figures' font has glyphs."""
    path = matplotlib.font_manager.findfont(matplotlib.font_manager.FontProperties(family=_family()))
    return frozenset(matplotlib.font_manager.get_font(path).get_charmap())


def _shortened(text: str, inches: float, size: float = 9.0) -> str:
    """Return text that is no wider than that many inches, with an ellipsis in place of its end."""
    if _width(text, size) <= inches:
        return text
    kept = len(text)
    while kept > 0 and _width(text[:kept].rstrip() + "…", size) > inches:
        kept -= 1
    return text[:kept].rstrip() + "…" if kept else ""


def _is_drawable(text: str) -> bool:
    """Whether the figures' font has a glyph for every letter, and none is written from right to left."""
    return all(
        ord(letter) in _letters() and unicodedata.bidirectional(letter) not in ("R", "AL", "AN") for letter in text
    )


def _drawable(labels: pd.Series, kind: str, numbers: pd.Series) -> pd.Series:
    """Return labels as they can be drawn: another one is its number, and one line warns of all of them."""
    labels = labels.astype(str)
    lost = ~labels.map(_is_drawable)
    if lost.any():
        several = f" and {labels[lost].nunique() - 1} more" if labels[lost].nunique() > 1 else ""
        log.warning(
            "labels of %ss: the figures' font cannot draw %r%s: %s",
            kind,
            labels[lost].iloc[0],
            several,
            f"drawn as {kind} {numbers[lost].iloc[0]}{' and so on' if several else ''}",
        )
    # a dollar sign would begin mathematics
    return labels.str.replace("$", r"\$", regex=False).where(~lost, kind + " " + numbers.astype(str))


def _game_looks(games: Iterable[str]) -> tuple[dict[str, str], dict[str, str], dict[str, Any]]:
    """Return a colour, a marker and a line style for each game, by its name's checksum; the next free one if taken.

    Of seven games or fewer no two share a colour, of 28 or fewer neither a marker in one colour nor a line in one.
    """
    n = len(COLOURS)
    taken: dict[str, int] = {}
    for game in sorted(set(games)):
        first = zlib.crc32(game.encode())
        slots = (n * (k // n) + (first + k) % n for k in itertools.count())
        taken[game] = next(i for i in slots if i not in taken.values())
    return (
        {game: COLOURS[i % n] for game, i in taken.items()},
        {game: MARKERS[(i + i // n) % len(MARKERS)] for game, i in taken.items()},
        {game: STYLES[i // n % len(STYLES)] for game, i in taken.items()},
    )


def _marks(markers: dict[str, str], **look: Any) -> tuple[Line2D, ...]:
    """Return a handle of a legend that shows the markers of the games, of the first three if they are more."""
    few = list(markers.values())[:3]
    return tuple(Line2D([], [], color="0.3", marker=marker, linestyle="none", **look) for marker in few)


def _ordered_colours(values: Iterable[float], reverse: bool = False) -> dict[Any, str]:
    """Return a colour for each distinct value, dark to light in their order."""
    ordered = sorted(set(values), reverse=reverse)
    return dict(zip(ordered, seaborn.color_palette("viridis", len(ordered)).as_hex(), strict=True))


@_styled
def comparison(data: pd.DataFrame) -> Figure:
    """Draw exploitability against samples, PMA on one trajectory beside methods with a generative model.

    Parameters
    ----------
    data : DataFrame
        Of `comparison_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    games = _by_game(data)
    methods = [method for method in LEARNERS if method in set(data["method"])]
    handles = [Line2D([], [], label=LEARNED[method], **LEARNERS[method]) for method in methods]
    title = "Exploitability (regularized) in units of the range of rewards; line: median run, band: all runs"
    figure, axes = _panels(len(games), 1.7, 0, title, handles)
    shown = max(1e-4, float(data["exploitability"].max()))
    for i, (ax, (game, table)) in enumerate(zip(axes, games, strict=True)):
        for method in methods:
            rows = table[table["method"] == method]
            low, high, middle = (rows[column].clip(lower=SHOWN) for column in ("low", "high", "exploitability"))
            colour = LEARNERS[method]["color"]
            ax.fill_between(rows["samples"], low, high, color=colour, alpha=0.15, linewidth=0.0)
            ax.plot(rows["samples"], middle, **LEARNERS[method])
        _log_log(ax, "samples", "exploitability (regularized)" if i % _shape(len(games))[1] == 0 else "")
        ax.set_ylim(SHOWN, 2.0 * shown)
        ax.xaxis.set_major_locator(LogLocator(numticks=6))
        ax.axhline(0.01, **_DOTTED)
        _title(ax, i, "{}", game)
    return figure


@_styled
def atlas(data: pd.DataFrame) -> Figure:
    """Draw which share of many games is certified, contracts and converges, and measured against predicted numbers.

    Parameters
    ----------
    data : DataFrame
        Of `atlas_data`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    colours, markers, _ = _game_looks(data.loc[data["game"] != "", "game"])
    panels = {name: data[data["panel"] == name] for name in ("shares", "bound", "rate", "bias", "learning", "gain")}
    small: dict[str, Any] = {"linestyle": "none", "markersize": 3.0, "markeredgewidth": 0.6, "markerfacecolor": "none"}
    grids = [Line2D([], [], color=colours[g], marker=markers[g], label=_plain(g), **small) for g in colours]
    title = "Many generated games: a marker is a game, a colour a grid of them"
    figure, axes = _panels(6, 1.9, max(5, 1 + len(grids)), title)

    def scattered(ax: Axes, rows: pd.DataFrame) -> None:
        for game, points in _by_game(rows[rows["series"] == "measured"]):
            ax.vlines(points["x"], points["low"], points["high"], color=colours[game], linewidth=0.5, alpha=0.5)
            ax.plot(points["x"], points["value"], color=colours[game], marker=markers[game], **small)

    ax, rows = axes[0], panels["shares"]
    for series, (label, colour, marker) in ATLAS_BOUNDS.items():
        label = f"certified by {label}" if series == "paper_bound" else f"or by the {label}"
        _draw(ax, rows, series, color=colour, marker=marker, label=label)
    _draw(ax, rows, "converges", color="0.35", marker="s", label="PMA converges")
    _draw(ax, rows, "contracts", label="contracts, if no kink", **_DASHED)
    ax.set(xscale="log", xlabel=r"strength $\tau$", ylabel="share of games", ylim=(-0.03, 1.03))
    _title(ax, 0, "what is certified, what holds")
    _legend(ax, None)

    ax, rows = axes[1], panels["bound"]
    finite = rows.loc[np.isfinite(rows["value"]), "value"]
    highest = 10.0 ** np.ceil(np.log10(max(10.0, *finite)))
    lowest = 0.5 * min(1.0, *finite)
    for series, (label, colour, marker) in ATLAS_BOUNDS.items():
        points = rows[rows["series"] == series]
        value = points["value"].where(np.isfinite(points["value"]), 3.0 * highest)
        count = int(np.isinf(points["value"]).sum())
        label = rf"{label} ($\infty$: {count} of {len(points)})"
        ax.plot(points["x"], value, color=colour, marker=marker, label=label, rasterized=len(points) > 100, **small)
    ax.set(yscale="log", ylim=(lowest, 10.0 * highest), ylabel="bound on the rate")
    ax.axhspan(highest, 10.0 * highest, color="0.94", linewidth=0.0)
    ax.axhline(1.0, **_DOTTED)
    _diagonal(ax)
    ax.set_xlabel(r"spectral radius of $D\Gamma_\eta(\pi^*)$")
    step = max(1, int(np.ceil(np.log10(highest) / 4.0)))
    ticks = 10.0 ** np.arange(0.0, np.log10(highest) + 0.5, step)
    ax.set_yticks([*ticks, 3.0 * highest], [*(rf"$10^{{{np.log10(tick):.0f}}}$" for tick in ticks), r"$\infty$"])
    ax.yaxis.set_minor_locator(NullLocator())
    _title(ax, 1, "bounds")
    _legend(ax, None, [Line2D([], [], label="below: a bound is refuted", **_DASHED)])

    ax, rows = axes[2], panels["rate"]
    scattered(ax, rows)
    _diagonal(ax)
    ax.set(xlabel=r"spectral radius of $D\Gamma_\eta(\pi^*)$", ylabel=r"observed rate of $\pi_k \to \pi^*$")
    _title(ax, 2, "rate of PMA")
    _legend(ax, None, [Line2D([], [], label="equal", **_DASHED)])

    ax, rows = axes[3], panels["bias"]
    scattered(ax, rows)
    ax.axhline(1.0, **_DASHED)
    ax.set(xscale="log", xlabel="predicted constant of the bias", ylabel="measured / predicted")
    ax.xaxis.set_major_locator(LogLocator(numticks=4))
    ax.xaxis.set_minor_formatter(NullFormatter())
    _title(ax, 3, "bias of $Q$ with $N$ agents")
    _legend(ax, None, [*grids, Line2D([], [], label="predicted; 95 % intervals", **_DASHED)])

    ax, rows = axes[4], panels["learning"]
    scattered(ax, rows)
    _draw(ax, rows, "target", **_DOTTED)
    _log_log(ax, r"strength $\tau$", r"$\mathrm{sup}_s\, \|\pi_K(s) - \pi^*(s)\|_1$")
    _title(ax, 4, "learned on one trajectory")
    _legend(ax, None, [Line2D([], [], label=r"accuracy asked for, $\varepsilon$", **_DOTTED)])

    ax, rows = axes[5], panels["gain"]
    scattered(ax, rows)
    ax.axhline(1.0, **_DASHED)
    ax.axvline(panels["learning"].loc[panels["learning"]["series"] == "target", "value"].iloc[0], **_DOTTED)
    _log_log(ax, "distance at the start", "exploitability (regularized),\nend / start")
    _title(ax, 5, "what was gained")
    _legend(ax, None, [Line2D([], [], label="nothing", **_DASHED)])
    return figure


def _diagonal(ax: Axes) -> None:
    """Draw the line of equal coordinates without changing the axes."""
    ends, limits = ax.get_xlim(), ax.get_ylim()
    line = np.linspace(max(ends[0], 1e-6), ends[1], 200)
    ax.plot(line, line, **_DASHED)
    ax.set(xlim=ends, ylim=limits)


#: Figure name -> names of its input tables, its data function (of the tables in that order), its drawing function.
FIGURES: dict[str, tuple[tuple[str, ...], Callable[..., pd.DataFrame], Callable[[pd.DataFrame], Figure]]] = {
    "contraction": (("iterates", "rates"), contraction_data, contraction),
    "dynamics": (("histories", "outcomes"), dynamics_data, dynamics),
    "orbit": (("orbits", "attractors"), orbit_data, orbit),
    "samples": (("schedules", "epsilon", "prescribed", "independent_epsilon"), samples_data, samples),
    "ctd": (("ctd", "moments"), ctd_data, ctd),
    "comparison": (("comparison",), comparison_data, comparison),
    "nash": (("nash",), nash_data, nash),
    "populations": (("bias", "exact", "population", "limits"), populations_data, populations),
    "equilibria": (("equilibria",), equilibria_data, equilibria),
    "independent": (("independent",), independent_data, independent),
    "phase": (("phase",), phase_data, phase),
    "bounds": (("ratios",), bounds_data, bounds),
    "gallery": (("zoo", "zoo_states"), gallery_data, gallery),
    "atlas": (("atlas",), atlas_data, atlas),
}


def drawn(tables: Iterable[str]) -> list[str]:
    """Return the names of the figures that can be drawn from tables of these names."""
    return [name for name, (needed, _, _) in FIGURES.items() if set(needed) <= set(tables)]
