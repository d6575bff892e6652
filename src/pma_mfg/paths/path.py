"""The path of equilibria of a game, its branches, and all equilibria at one strength (docs/theory, section 19)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import csr_array

from pma_mfg import operators, regularizers, solvers
from pma_mfg.arrays import accepts
from pma_mfg.equilibrium.newton_in_population import from_population
from pma_mfg.equilibrium.search import solve
from pma_mfg.equilibrium.solution import FAILURES
from pma_mfg.errors import Description, InputError
from pma_mfg.games.functions import Game
from pma_mfg.paths.branching import departures
from pma_mfg.paths.following import RESIDUAL, Follower, Node, Trace
from pma_mfg.paths.results import DISTINCT, Path, Point, point_of
from pma_mfg.paths.system import System
from pma_mfg.regularizers import Regularizer
from pma_mfg.theory import lipschitz

#: The strength at which a path ends by default, relative to the range of the rewards.
WEAKEST = 1e-6

#: By how much, in log-strength, a path may come back above the strength it began at.
MARGIN = 0.05

#: Number of branches that are followed before no further branch point is searched.
BRANCHES = 64

#: Distance of two branch points, in the metric of the path, below which they are one.
SAME = 1e-3

SOURCE = "equilibrium_path"


@accepts(start="policy")
def equilibrium_path(
    game: Game,
    regularizer: Regularizer,
    start: np.ndarray | None = None,
    *,
    strengths: tuple[float, float] | None = None,
    branches: bool = False,
    max_points: int = 1000,
) -> Path:
    """Follow the equilibrium from a strong regularizer to a weak one, through folds, by pseudo-arclength continuation.

    Parameters
    ----------
    game : Game
        With derivatives; all is done with matrices in S unknowns.
    regularizer : Regularizer
        Its kind; the strength is that of each point.
    start : ndarray, shape (S, A), optional
        From where the equilibrium at the high strength is searched for; uniform by default.
    strengths : tuple of two floats, optional
        (high, low). By default high is a strength at which policies are nearly uniform, low 1e-6 of the range of the
        rewards.
    branches : bool
        Follow the other branches at branch points too. For up to `solvers.DIRECT_SIZE` states. When 64 are followed no
        further branch point is searched, and `ended` says so.
    max_points : int
        Of each branch.

    Returns
    -------
    Path
        Where the path is lost on the way it ends at the last point, and `ended` says why.

    Raises
    ------
    InputError
        For strengths that are not positive or not in this order, rewards that are all the same, or a regularizer
        without a strength.
    ConvergenceError
        If no equilibrium is found at the high strength.

    Examples
    --------
    >>> from pma_mfg import games
    >>> from pma_mfg.regularizers import Entropy
    >>> path = equilibrium_path(games.make("rock_paper_scissors"), Entropy(1.0), strengths=(1.0, 1e-4))
    >>> path.complete, path.ended
    (True, 'reached the strength 0.0001')
    """
    high, low, reward_range = _bounds(game, regularizer, strengths)
    regularizer = regularizers.with_strength(regularizer, high)
    found = solve(game, regularizer, start)
    system = System(game, regularizer, found.mean_field)
    follower = Follower(system, reward_range)
    node = follower.node(system.at(found.mean_field, float(np.log(high))), (np.zeros(game.n_states), -1.0))
    bounds = float(np.log(low)), float(np.log(high)) + MARGIN
    path = _followed(follower, node, bounds, max_points)
    if branches:
        _add_branches(path, follower, bounds, max_points)
    return path


def _bounds(game: Game, regularizer: Regularizer, strengths: tuple[float, float] | None) -> tuple[float, float, float]:
    """Return both strengths and the range of the rewards, checked."""
    strength = getattr(regularizer, "strength", None)
    if not (isinstance(strength, float | int) and 0.0 < strength < np.inf):
        shown = Description(f"a {type(regularizer).__name__} with the strength {strength}")
        raise InputError(
            SOURCE, "regularizer", shown, "a regularizer with a strength > 0, in proportion to which it grows"
        )
    if not game.has_derivatives():
        raise InputError(SOURCE, "game", Description(repr(game)), "a game whose derivatives fit into memory")
    lowest, highest = _reward_range(game)
    if not highest > lowest:
        shown = Description(f"the reward {lowest:g} in every state, for every action")
        raise InputError(SOURCE, "rewards", shown, "rewards that differ: otherwise every policy is an equilibrium")
    reward_range = highest - lowest
    if strengths is None:
        policy = operators.uniform_policy(game)
        q = operators.q_values(game, policy, operators.stable_population(game, policy))
        per_rho = regularizer.strength / regularizer.rho
        high = max(2.0 * float(np.ptp(q, axis=1).max()) * per_rho, reward_range)
        return high, WEAKEST * reward_range, reward_range
    given = np.asarray(strengths, dtype=float)
    if given.shape != (2,) or not np.isfinite(given).all() or not given[0] > given[1] > 0.0:
        raise InputError(SOURCE, "strengths", strengths, "(high, low) with high > low > 0")
    return float(given[0]), float(given[1]), reward_range


def _reward_range(game: Game) -> tuple[float, float]:
    """Return bounds on the rewards: of a large sparse game, of which no dense table fits, from its features' ranges."""
    if game.has_features and isinstance(game.reward_terms, csr_array) and game.n_states > solvers.DIRECT_SIZE:
        low, high = game.reward_features.ranges()
        base, terms = game.base_reward.ravel(), game.reward_terms
        above, below = terms.maximum(0.0), terms.minimum(0.0)
        lowest, highest = base + low @ above + high @ below, base + high @ above + low @ below
        return float(lowest.min()), float(highest.max())
    return lipschitz.reward_range(game)


def _followed(
    follower: Follower, node: Node, bounds: tuple[float, float], max_points: int, known: Sequence[Node] = ()
) -> Path:
    """Follow the path from a point on, and say how it ends."""

    def stop(trace: Trace) -> str:
        new = trace.crossings[-1] if trace.crossings else None
        met = new is not None and any(new.place.distance(one.place) < SAME for one in known)
        return "met a branch point of a path that was followed before" if met else ""

    trace = follower.follow(node, low=bounds[0], high=bounds[1], max_points=max_points, stop=stop if known else None)
    system = follower.system
    last = trace.nodes[-1]
    words = {
        "bound": f"reached the strength {np.exp(bounds[0]):g}"
        if trace.arrived
        else f"came back to the strength {np.exp(last.place.log_strength):g}",
        "points": f"stopped after {max_points} points at the strength {np.exp(last.place.log_strength):g}",
        "lost": _lost(follower, last) if trace.ended == "lost" else "",
    }
    if (worst := max(one.residual for one in trace.nodes)) > RESIDUAL:
        words[trace.ended] = f"{words.get(trace.ended, trace.ended)}; the largest residual is {worst:.1e}"
    return Path(
        points=[point_of(system, one) for one in trace.nodes],
        folds=[point_of(system, one) for one in trace.folds],
        branch_points=[point_of(system, one) for one in trace.crossings],
        ended=words.get(trace.ended, trace.ended),
        complete=trace.arrived,
        _trace=trace,
        _follower=follower,
    )


def _lost(follower: Follower, last: Node) -> str:
    """Say why no further point may have been found."""
    place, game = last.place, follower.system.game
    reasons = []
    kernel = operators.policy_kernel(place.transition, place.policy)
    classes = operators.recurrent_classes(kernel)
    if len(classes) > max(1, follower.system.parts):
        reasons.append(f"hardly anybody moves between {operators.named_classes(classes)}")
        beyond = follower.beyond(last)
        left = operators.recurrent_classes(operators.policy_kernel(beyond.transition, beyond.policy))
        if len(left) < len(classes):
            reasons.append(
                "beyond, an action that leaves one of them is taken and none that comes back, so that the masses which "
                "they had are stationary no more"
            )
            return f"{_where(last)}: {'; '.join(reasons)}"
        if place.chain is not None and place.chain.classes < len(classes):
            reasons[0] += ", so that rounding hides what the strength does to their masses"
    if not game.linearized(place.mean_field).differentiable_at(place.mean_field):
        reasons.append("transitions or rewards have a kink there")
    if regularizers.kind(place.regularizer) != "entropy":
        reasons.append("the policy may have a kink there, where an action ceases to be taken")
    return f"{_where(last)}: {'; '.join(reasons)}" if reasons else _where(last)


def _where(last: Node) -> str:
    return f"no point was found beyond the strength {np.exp(last.place.log_strength):.6g}, however short the step"


def _add_branches(path: Path, follower: Follower, bounds: tuple[float, float], max_points: int) -> None:
    """Follow the branches at all branch points, and at theirs."""
    known: list[Node] = []
    queue = list(path.crossings())
    while queue:
        crossing = queue.pop(0)
        if any(crossing.place.distance(one.place) < SAME for one in known):
            continue
        if len(path.branches) >= BRANCHES:
            path.ended += f"; {len(path.branches)} branches were followed, and branch points are left"
            return
        known.append(crossing)
        for node in departures(follower, crossing):
            branch = _followed(follower, node, bounds, max_points, known)
            path.branches.append(branch)
            queue += branch.crossings()


@accepts(start="policy")
def equilibrium_paths(
    game: Game,
    regularizer: Regularizer,
    start: np.ndarray | None = None,
    *,
    n_starts: int = 20,
    seed: int = 0,
    strengths: tuple[float, float] | None = None,
) -> list[Path]:
    """Return the path from a strong regularizer and those of other equilibria that random starts lead to.

    First the path of `equilibrium_path` with its branches, followed beyond the strength to a weak one, since it may
    turn and pass the strength again. Then, for each equilibrium at the strength that a random mean field leads to and
    that is on none of the paths before, its own paths in both directions, with their branches.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
        Of the strength at which random starts look for equilibria.
    start : ndarray, shape (S, A), optional
        As in `equilibrium_path`.
    n_starts : int
        Number of random mean fields.
    seed : int
    strengths : tuple of two floats, optional
        As in `equilibrium_path`; the strength of the regularizer is to be between them.

    Returns
    -------
    list of Path
    """
    high, low, reward_range = _bounds(game, regularizer, strengths)
    high = max(high, 2.0 * regularizer.strength) if strengths is None else high
    low = min(low, 0.5 * regularizer.strength) if strengths is None else low
    if not low <= regularizer.strength <= high:
        raise InputError("equilibrium_paths", "strengths", (high, low), f"two around that of {regularizer}")
    paths = [equilibrium_path(game, regularizer, start, strengths=(high, low), branches=True)]
    found = paths[0].at(regularizer.strength)
    bounds = float(np.log(low)), float(np.log(high)) + MARGIN
    for mean_field in random_equilibria(game, regularizer, n_starts=n_starts, seed=seed):
        system = System(game, regularizer, mean_field)
        follower = Follower(system, reward_range)
        at = system.at(mean_field, float(np.log(regularizer.strength)))
        if not _is_new(at.policy, found):
            continue
        for ahead in (-1.0, 1.0):
            node = follower.node(at, (np.zeros(game.n_states), ahead))
            own = _followed(follower, node, bounds, 1000)
            _add_branches(own, follower, bounds, 1000)
            found += [point for point in own.at(regularizer.strength) if _is_new(point.policy, found)]
            paths.append(own)
    return paths


def random_equilibria(game: Game, regularizer: Regularizer, *, n_starts: int, seed: int) -> list[np.ndarray]:
    """Return the mean fields of the equilibria that Newton's method finds from random mean fields, with repetitions.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    n_starts : int
    seed : int

    Returns
    -------
    list of ndarrays, each of shape (S,)
    """
    found = []
    for mean_field in np.random.default_rng(seed).dirichlet(np.full(game.n_states, 0.3), size=n_starts):
        try:
            found.append(from_population(game, regularizer, mean_field).mean_field)
        except FAILURES:
            continue
    return found


@accepts(start="policy")
def all_equilibria(
    game: Game,
    regularizer: Regularizer,
    start: np.ndarray | None = None,
    *,
    n_starts: int = 20,
    seed: int = 0,
    strengths: tuple[float, float] | None = None,
) -> list[Point]:
    """Return the equilibria at one strength that paths and random starts lead to, each once.

    Those of all `equilibrium_paths`, wherever they pass the strength. Nothing proves that these are all.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
        Of the strength at which equilibria are wanted.
    start, n_starts, seed, strengths
        As in `equilibrium_paths`.

    Returns
    -------
    list of Point
    """
    paths = equilibrium_paths(game, regularizer, start, n_starts=n_starts, seed=seed, strengths=strengths)
    return distinct(point for path in paths for point in path.at(regularizer.strength))


def distinct(points: Iterable[Point]) -> list[Point]:
    """Return points of one strength without those whose policy is that of an earlier one."""
    found: list[Point] = []
    for point in points:
        if _is_new(point.policy, found):
            found.append(point)
    return found


def _is_new(policy: np.ndarray, known: Sequence[Point]) -> bool:
    return all(np.abs(policy - one.policy).sum(axis=1).max() > DISTINCT for one in known)
