"""Whole figures: a game with its equilibrium, and an audit of a policy."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pma_mfg import iterations, jacobian, operators, seeds, solvers
from pma_mfg.arrays import accepts
from pma_mfg.audit import FAILURES, Audit, Gain
from pma_mfg.equilibrium import Equilibrium
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.plotting import layouts
from pma_mfg.plotting.look import COLOURS, WIDTH, is_drawable, log_log, styled
from pma_mfg.policy_files import labels
from pma_mfg.regularizers import Regularizer

#: Steps of the population, and iterations of PMA, that are drawn at most.
LONGEST = 200

#: Distances below are rounding errors and not drawn.
ROUNDED = 1e-12

#: Distance of the uniform policy to the equilibrium below which PMA starts from another one.
NEXT_TO = 1e-6

#: Number of points up to which each is marked.
FEW = 20

#: Number of corners of the simplex from which the population's path is drawn besides the start.
CORNERS = 12

#: Largest number of states whose shares are drawn one by one, with bars for their spread.
ONE_BY_ONE = 16

#: Largest number of populations that are drawn side by side on a layout.
MANY = 4

#: Actions whose probabilities differ by less count as equally likely; rounding errors are smaller, also after division
#: by the strength of a regularizer.
TIE = 1e-9

_REFERENCE: dict[str, Any] = {"color": "black", "linewidth": 0.9, "linestyle": (0, (4, 2))}


@accepts()
def drawn(game: Game, policy: np.ndarray, mean_field: np.ndarray, *, symbol: str = r"$\mu^*(s)$") -> layouts.Drawn:
    """Return what is drawn of a population and a policy.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
    symbol : str
        As in `layouts.Drawn`.

    Returns
    -------
    layouts.Drawn
    """
    states, actions = (
        [name.replace("$", r"\$") if is_drawable(name) else str(i) for i, name in enumerate(names)]
        for names in labels(game)
    )
    likely = policy.argmax(axis=1)
    tied = (policy > policy.max(axis=1, keepdims=True) - TIE).sum(axis=1) > 1
    kernel = operators.policy_kernel(game.transition(mean_field), policy)
    recurrent = np.concatenate(operators.recurrent_classes(kernel))
    return layouts.Drawn(
        places=game.layout,
        labels=states,
        shares=mean_field,
        actions=["several" if several else actions[a] for several, a in zip(tied, likely, strict=True)],
        probabilities=policy[np.arange(len(likely)), likely],
        transient=~np.isin(np.arange(game.n_states), recurrent),
        symbol=symbol,
    )


@accepts(start="mean_field")
@styled
def plot(
    game: Game, found: Equilibrium, regularizer: Regularizer, *, start: np.ndarray | None = None, title: str = ""
) -> Figure:
    """Draw an equilibrium: population and policy, the way of the population there, and that of PMA.

    Parameters
    ----------
    game : Game
    found : Equilibrium
    regularizer : Regularizer
        Of that equilibrium.
    start : ndarray, shape (S,), optional
        The mean field from which the population's path is drawn in colour; by default all agents are in the state that
        has the smallest share in equilibrium. Paths from corners of the simplex are drawn in grey.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    cells = drawn(game, found.policy, found.mean_field)
    layouts.draw(left, cells)
    left.set_title(f"equilibrium population and policy\n({_key(cells)})", fontsize=8)
    _draw_paths(middle, game, found, start)
    _draw_pma(right, game, found, regularizer)
    if title:
        figure.suptitle(title.replace("$", r"\$"))
    return _settled(figure)


def _settled(figure: Figure) -> Figure:
    """Settle the layout, which is then kept: saving again gives the same bytes."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _key(cells: layouts.Drawn) -> str:
    """Return a short explanation of what stands in a cell or on a bar."""
    told = "; hatched: left for good" if cells.transient.any() else "; pale: below 1/2"
    none = any(action == "several" for action in np.array(cells.actions)[~cells.transient])
    return "most likely action" + ("; none: several tie" if none else "") + told


def _draw_paths(ax: Axes, game: Game, equilibrium: Equilibrium, start: np.ndarray | None) -> None:
    """Draw the distance of the population to its stable one, step by step, everybody keeping the policy."""
    size, target = game.n_states, equilibrium.mean_field
    update = operators.population_map(game, equilibrium.policy)

    def path(mean_field: np.ndarray) -> np.ndarray:
        distances = [float(np.abs(mean_field - target).sum())]
        while len(distances) <= LONGEST and distances[-1] > ROUNDED:
            mean_field = update(mean_field)
            mean_field = mean_field / mean_field.sum()  # rounding of the mass grows where transitions move with it
            distances.append(float(np.abs(mean_field - target).sum()))
        return np.array(distances)

    corners = np.unique(np.linspace(0, size - 1, min(size, CORNERS)).astype(int))
    paths = [path(np.eye(size)[z]) for z in corners]
    emptiest = int(np.where(target > 0.0, target, np.inf).argmin())
    chosen = path(np.eye(size)[emptiest] if start is None else start)
    for distances in paths:
        _line(ax, distances, color="0.75", linewidth=0.7)
    told = f"from state {labels(game)[0][emptiest]}" if start is None else "from the start given"
    _line(ax, chosen, color=COLOURS[6], label=told.replace("$", r"\$"))
    shown = max(len(distances) for distances in (*paths, chosen))
    if _has_rates(game):
        with contextlib.suppress(*FAILURES):
            tangent = operators.population_jacobian(game, target, equilibrium.policy)
            tangent = tangent - tangent.sum(axis=0) / size
            _reference(ax, chosen, jacobian.spectral_radius(tangent), shown)
    ax.set(xlabel="step", ylabel=r"$\|\mu_t - \mu^*\|_1$")
    _finish(ax, "the population's distance to it\n(grey: from corners)")


def _has_rates(game: Game) -> bool:
    """Return whether Jacobians are small enough to predict rates."""
    return game.n_states * game.n_actions <= solvers.DIRECT_SIZE and game.has_derivatives()


def _draw_pma(ax: Axes, game: Game, equilibrium: Equilibrium, regularizer: Regularizer) -> None:
    """Draw PMA's distance to the equilibrium, iteration by iteration, and best response's, with the predicted rate."""
    target = equilibrium.policy
    start, told_start = operators.uniform_policy(game), "the uniform policy"
    if operators.policy_distance(start, target) < NEXT_TO:
        drawn = seeds.generator(0, "plot").dirichlet(np.ones(game.n_actions), size=game.n_states)
        start, told_start = 0.9 * start + 0.1 * drawn, "near the uniform policy"
    most: float | None = None
    for method, colour, words in (
        ("pma_euclidean", COLOURS[6], "PMA"),
        ("best_response", COLOURS[2], "best response"),
    ):
        step_size, rate = 1.0 / regularizer.rho, np.nan
        if _has_rates(game):
            with contextlib.suppress(*FAILURES):
                step_size, rate = iterations.step_size(method, game, regularizer, policy=target)
        orbit = iterations.iteration(method, game, regularizer, start=start, step_size=step_size)
        distances = []
        with contextlib.suppress(ConvergenceError):  # a policy on the way without a stable population ends it
            for policy in islice(orbit, LONGEST + 1):
                distances.append(operators.policy_distance(policy, target))
                if distances[-1] <= ROUNDED:
                    break
        _line(
            ax, np.array(distances), color=colour, label=f"{words}, radius {rate:.3g}" if np.isfinite(rate) else words
        )
        if method == "pma_euclidean":
            _reference(ax, np.array(distances), rate, len(distances))
            most = 1.5 * len(distances) if len(distances) < LONGEST else None
    ax.set(
        xlabel="iteration",
        ylabel=r"$\sup_s\, \|\pi_k(s) - \pi^*(s)\|_1$",
        xlim=(None if most is None else -0.03 * most, most),
    )
    _finish(ax, f"PMA's distance to it\n(from {told_start})")


def _line(ax: Axes, values: np.ndarray, **look: Any) -> None:
    """Draw distances against their number, those that are rounding errors at the bottom; none if all are."""
    if values[0] > ROUNDED:
        marker = "." if len(values) <= FEW else None
        ax.plot(np.maximum(values, ROUNDED), marker=marker, **look)
    else:
        ax.plot([], [], **look)


def _reference(ax: Axes, values: np.ndarray, rate: float, length: int) -> None:
    """Draw the line of a geometric rate below 1 through the last value that is drawn, if values fall up to there."""
    last = int(np.flatnonzero(values > ROUNDED).max(initial=0))
    if not (0.0 < rate < 1.0 and values[last] > ROUNDED):
        return
    third = (last + 1) // 3
    if third > 0 and values[last + 1 - third : last + 1].max() >= values[third : last + 1 - third].max():
        return  # it cycles, or goes elsewhere
    steps = np.arange(length)
    line = values[last] * rate ** (steps - float(last))
    ax.plot(
        steps, np.where((line > ROUNDED) & (line < 4.0), line, np.nan), label=f"predicted rate {rate:.3g}", **_REFERENCE
    )


def _finish(ax: Axes, title: str) -> None:
    """Set a logarithmic axis of values, with room for the legend above what is drawn."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in ax.get_lines()])
    values = values[np.isfinite(values)]
    if not values.size:
        ax.text(0.5, 0.5, "there from the start", transform=ax.transAxes, ha="center", fontsize=8)
        values = np.array([ROUNDED, 1.0])
    ax.set_yscale("log")
    low, high = 0.5 * values.min(), 2.0 * values.max()
    ax.set_ylim(low, high * (high / low) ** (0.11 * len(ax.get_legend_handles_labels()[0])))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    ax.set_title(title, fontsize=8)
    ax.legend(fontsize=7.5, loc="upper right")


@styled
def plot_audit(game: Game, found: Audit, *, title: str = "") -> Figure:
    """Draw an audit: policy and population beside the nearest equilibrium, gains against N, and populations at each N.

    Parameters
    ----------
    game : Game
    found : Audit
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    ((policy, nearest), (gains, populations)) = figure.subplots(2, 2)
    cells = drawn(game, found.policy, found.mean_field, symbol=r"$\mu_\pi(s)$")
    layouts.draw(policy, cells)
    policy.set_title(f"the policy and its population\n({_key(cells)})", fontsize=8)
    if found.nearest is None:
        nearest.set_axis_off()
        nearest.set_title("no equilibrium was found", fontsize=8)
    else:
        layouts.draw(nearest, drawn(game, found.nearest.policy, found.nearest.mean_field))
        nearest.set_title(f"the nearest equilibrium found\n(distance {found.policy_distance:.2g})", fontsize=8)
    _draw_gains(gains, found)
    if layouts.is_grid(game.layout) or layouts.is_map(game.layout):
        _draw_populations_on_layout(populations, cells, found)
    else:
        _draw_populations(populations, game, found)
    if title:
        figure.suptitle(title.replace("$", r"\$"))
    return _settled(figure)


def _draw_gains(ax: Axes, found: Audit) -> None:
    """Draw the gains against N, exact ones filled, simulated ones with intervals, over the limit and the prediction."""
    gains = sorted(found.gains, key=lambda each: each.n_agents)
    counts = np.array([each.n_agents for each in gains], dtype=float)
    ends = np.array([counts.min() / 1.5, counts.max() * 1.5])
    series = (
        ("regularized", COLOURS[6], "o", found.exploitability),
        ("unregularized", COLOURS[2], "s", found.exploitability_unregularized),
    )
    words = {"regularized": "with the regularizer", "unregularized": "without it"}
    lowest, highest, floor = np.inf, 0.0, 1e-9 * max(found.values_range, 1e-300)
    for name, colour, marker, limit in series:
        values = np.array([getattr(each, name) for each in gains])
        lowest = min(lowest, *values[values > floor], limit if limit > floor else np.inf)
        highest = max(highest, *values, limit)
        ax.plot([], [], color=colour, marker=marker, linestyle="none", label=words[name])
        for each, value in zip(gains, values, strict=True):
            filled = colour if each.route == "exact" else "white"
            if value > floor:
                ax.plot(each.n_agents, value, marker=marker, color=colour, markerfacecolor=filled, linestyle="none")
            low, high = getattr(each, f"{name}_interval")
            if each.route == "simulated" and high > floor:
                ax.vlines(each.n_agents, max(low, 0.01 * max(value, floor)), high, color=colour, linewidth=1.0)
        if limit > floor:
            ax.hlines(limit, *ends, color=colour, linewidth=0.9, linestyle=(0, (1, 1.2)))
    lowest = min([lowest, *_draw_own_state(ax, gains, floor=floor)])
    order = found.order
    if np.isfinite(order.constant) and order.constant > 0.0:
        line = np.geomspace(ends[0], ends[1], 50)
        ax.plot(line, max(order.limit, 0.0) + order.constant / line**order.exponent, label="predicted", **_REFERENCE)
    ax.plot([], [], color="0.4", linewidth=0.9, linestyle=(0, (1, 1.2)), label=r"exploitability ($N = \infty$)")
    ax.set_xlim(*ends)
    if np.isfinite(lowest):
        ax.set_ylim(0.3 * lowest, 3.0 * highest)
        log_log(ax, "number of agents $N$", "gain of a deviator")
    else:
        ax.set(xscale="log", xlabel="number of agents $N$", ylabel="gain of a deviator", ylim=(-1.0, 1.0))
        ax.text(0.5, 0.5, "nobody gains anything", transform=ax.transAxes, ha="center")
    ax.set_title("what one of $N$ agents gains by deviating\n(filled: exact; hollow: not)", fontsize=8)
    ax.legend(fontsize=7.5, frameon=True, framealpha=0.9, edgecolor="none")  # a dotted line may pass behind


def _draw_own_state(ax: Axes, gains: Sequence[Gain], *, floor: float) -> list[float]:
    """Draw the regularized gains of a deviator who sees its own state only, and return them.

    Those up to a floor are left out, and those of which the limit is known only, which is drawn as a line.
    """
    look: dict[str, Any] = {"marker": "D", "color": COLOURS[0], "linestyle": "none", "markersize": 4.0}
    known = [each for each in gains if each.own_state.route != "limit" and each.own_state.regularized > floor]
    for each in known:
        filled = COLOURS[0] if each.own_state.route == "exact" else "white"
        ax.plot(each.n_agents, each.own_state.regularized, markerfacecolor=filled, **look)
    if known:
        ax.plot([], [], label="with it, seeing the own state only", **look)
    return [each.own_state.regularized for each in known]


def _draw_populations_on_layout(ax: Axes, cells: layouts.Drawn, found: Audit) -> None:
    """Draw the mean share of the agents in each state at its place, a small picture for each N, in the same colours."""
    assert cells.places is not None
    gains = sorted(found.gains, key=lambda each: each.n_agents)
    gains = [gains[i] for i in np.unique(np.linspace(0, len(gains) - 1, MANY).round().astype(int))]
    columns = int(np.ceil(np.sqrt(len(gains))))
    rows = -(-len(gains) // columns)
    norm = Normalize(0.0, max(float(found.mean_field.max()), *(float(each.mean_field.max()) for each in gains)))
    for i, each in enumerate(gains):
        row, column = divmod(i, columns)
        small = ax.inset_axes((column / columns, 1.0 - (row + 1.0) / rows, 0.95 / columns, 0.82 / rows))
        layouts.draw_small(small, cells.places, np.ma.array(each.mean_field, mask=cells.transient), norm=norm)
        spread = f"{each.deviations.mean():.1g}" if np.isfinite(each.deviations).all() else "unknown"
        small.set_title(f"$N = {each.n_agents}$: ± {spread}", fontsize=7.5, pad=2.0)
    ax.set_axis_off()
    ax.set_title("populations: mean share, ± standard deviation\n(mean over states, while nobody deviates)", fontsize=8)
    layouts.bar(ax, ScalarMappable(norm, "viridis"), "share of the agents")


def _draw_populations(ax: Axes, game: Game, found: Audit) -> None:
    """Draw mean and spread of each state's share among N agents, for each N, over the mean field."""
    size, gains = game.n_states, sorted(found.gains, key=lambda each: each.n_agents)
    states = np.arange(size)
    colours = [COLOURS[i] for i in (2, 1, 0, 3, 5, 4)]
    if size <= ONE_BY_ONE:
        ax.bar(states, found.mean_field, width=0.85, color="0.88", label=r"$N = \infty$")
    else:
        ax.plot(states, found.mean_field, color="black", linewidth=0.9, label=r"$N = \infty$")
    for i, each in enumerate(gains):
        known = bool(np.isfinite(each.deviations).all())
        colour, told = colours[i % len(colours)], f"$N = {each.n_agents}$" + ("" if known else ", spread unknown")
        spread = np.nan_to_num(each.deviations)
        if size <= ONE_BY_ONE:
            places = states + 0.6 * ((i + 1) / (len(gains) + 1) - 0.5)
            look: dict[str, Any] = {
                "color": colour,
                "linestyle": "none",
                "marker": ".",
                "elinewidth": 1.0,
                "label": told,
            }
            ax.errorbar(places, each.mean_field, spread, **look)
        else:
            low, high = np.maximum(each.mean_field - spread, 0.0), each.mean_field + spread
            ax.fill_between(states, low, high, color=colour, alpha=0.35, linewidth=0.0, label=told)
    names = labels(game)[0]
    if size <= 8 and len("".join(names)) <= 40 and all(map(is_drawable, names)):
        ax.set_xticks(states, [name.replace("$", r"\$") for name in names], fontsize=8)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    ax.grid(False, axis="x")
    edge = 0.7 if size <= ONE_BY_ONE else 0.0
    ax.set(
        xlim=(-edge, size - 1 + edge), xlabel="state", ylabel="share of the agents", ylim=(0.0, 1.25 * ax.get_ylim()[1])
    )
    ax.set_title("populations: mean and standard deviation\n(while nobody deviates)", fontsize=8)
    ax.legend(fontsize=7.5, ncols=2)
