"""Checks of the operators on one game: Lipschitz ratios against bounds, PMA's rate, where it is certified (C1).

Docs/theory.md, sections 4, 5, 7 and 12. Tables are tidy, one row per observation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from pma_mfg import certificates, equilibrium, lipschitz, operators, regularizers, search, seeds
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import FunctionGame, Game, with_features
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Mirror, Regularizer
from pma_mfg.search import Inside, Point

#: Distances between which an iterate counts for the fitted rate: close enough to be linear, far above rounding.
RATE_WINDOW = (1e-11, 1e-6)
#: With fewer iterates than this in the window no rate is fitted: where the distance oscillates around its decay by a
#: factor of 1.4, n iterates pin the rate down to about log(1.4) / n, which is to be below 2 %.
RATE_ITERATES = 20
#: A run has converged when the distance to the equilibrium is below this (rounding is some 1e-14).
CONVERGED = 1e-10
MIRRORS: tuple[Mirror, ...] = ("euclidean", "kl")
REGULARIZERS = ("entropy", "quadratic")
#: Sweeps of coordinate ascent from each start; it stops before when sweeps gain nothing.
SWEEPS = 8
#: PMA is tested from nearby starts where the spectral radius is below the first or above the second number.
PROBED_RADII = (0.95, 1.05)
#: Size of the disturbance of an equilibrium that PMA is to undo: relative to each probability, and mass moved to
#: actions that may have none (the latter far above rounding, which is some 1e-12 at a deterministic equilibrium).
DISTURBANCE = (1e-3, 1e-6)


def operator_ratios(
    game: Game,
    regularizer: Regularizer,
    name: str,
    step_sizes: Sequence[float],
    n_pairs: int,
    n_ascents: int,
    seed: int,
    after_operator: Callable[[str], None] = lambda operator: None,
) -> pd.DataFrame:
    """Search for the largest Lipschitz ratio of each operator, beside its bound.

    First random pairs: half of them close to each other, half far apart; policies reach to the vertices, and lie in the
    set that the bound is one on. Then the Jacobian's norm is climbed from the best of them, and a pair is laid along
    the direction that attains it (docs/theory.md, section 7.3).

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    name : str
        The game's name in tables and seeds.
    step_sizes : sequence of float
        The eta of the mirror ascent step and of PMA.
    n_pairs : int
        Random pairs.
    n_ascents : int
        Starts of the ascent, beside the uniform point.
    seed : int
        Root seed.
    after_operator : callable
        Called with the name of each finished operator.

    Returns
    -------
    DataFrame
        Columns game, operator, mirror, within (the set of policies: "simplex", "U" of section 2.2 with the bound of
        section 5, or "W", the invariant set of the certificate), step_size (nan where it plays no role), n_pairs,
        random_ratio (the largest of random pairs), largest_ratio (of all pairs), jacobian_norm (the largest norm of a
        Jacobian found: an estimate of the Lipschitz constant, from below), jacobian_upper (an upper bound on the norm
        at that point), bound, kind (of the bound).
    """
    c = lipschitz.constants(game)
    floor = lipschitz.policy_floor(game, regularizer)
    # of functions nothing is certified
    mirrors = MIRRORS if regularizers.kind(regularizer) is not None else ("euclidean",)
    invariant = {} if isinstance(game, FunctionGame) else {m: in_invariant_set(game, regularizer, m) for m in mirrors}
    rows: list[tuple[object, ...]] = []

    def examine(
        operator: str,
        step_size: float,
        bound: float,
        random_pair: Callable[[np.random.Generator], tuple[Point, Point]],
        ratio: Callable[[Point, Point], float],
        norm: Callable[[Point], search.Norm],
        within: str = "simplex",
        inside: Inside = search.everywhere,
        mirror: Mirror = "euclidean",
        kind: str = lipschitz.weaker(*c.kind.values()),
        ratio_of_random: Callable[[Point, Point], float] | None = None,
        between: Callable[[Point, Point, float], Point] = search.between,
    ) -> None:
        bound = np.inf if kind == "estimate" else bound  # no bound at all
        rng = seeds.generator(seed, "operator_ratios", name, operator, step_size)
        pairs = [random_pair(rng) for _ in range(n_pairs)]
        ratios = [(ratio_of_random or ratio)(*pair) for pair in pairs]
        starts: list[Point] = [tuple(np.full_like(rows, 1.0 / rows.shape[1]) for rows in pairs[0][0])]
        for i in np.argsort(ratios)[::-1][:n_ascents]:
            # somewhere on the segment of a pair the norm of the Jacobian is at least the pair's ratio
            first, second = pairs[i]
            segment = [between(first, second, share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
            starts.append(max(segment, key=lambda point: norm(point)[0]))
        climbed = [search.ascend(lambda point: norm(point)[0], start, inside, SWEEPS) for start in starts]
        highest, point = max(climbed, key=lambda result: result[0])
        _, upper, direction = norm(point)
        pair = search.pair_along(point, direction, inside)
        largest = max(*ratios, ratio(*pair) if pair else 0.0)
        settings = (name, operator, mirror, within, step_size, n_pairs)
        rows.append((*settings, max(ratios), largest, highest, upper, bound, kind))
        after_operator(operator)

    def mean_field_pair(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        first, second = rng.dirichlet(np.full(game.n_states, rng.choice([0.1, 1.0])), size=2)
        return first, _near_or_far(rng, first, second)

    def policy_pair(rng: np.random.Generator, inside: Inside = search.everywhere) -> tuple[Point, Point]:
        first, second = (random_policy(game, rng, inside) for _ in range(2))
        return (first,), (_near_or_far(rng, first, second),)

    def pair_in_mean_field(rng: np.random.Generator) -> tuple[Point, Point]:
        first, second = mean_field_pair(rng)
        policy = random_policy(game, rng)
        return (first[None], policy), (second[None], policy)

    def pair_in_policy(rng: np.random.Generator) -> tuple[Point, Point]:
        (first,), (second,) = policy_pair(rng)
        mean_field = mean_field_pair(rng)[0][None]
        return (mean_field, first), (mean_field, second)

    def update_ratio(first: Point, second: Point) -> float:
        moved, other = (operators.population_update(game, point[0][0], point[1]) for point in (first, second))
        apart = np.abs(first[0] - second[0]).sum() + operators.policy_distance(first[1], second[1])
        return _ratio(np.abs(moved - other).sum(), apart)

    def stable_ratio(first: Point, second: Point) -> float:
        moved, other = (operators.stable_population(game, point[0]) for point in (first, second))
        return _ratio(np.abs(moved - other).sum(), operators.policy_distance(first[0], second[0]))

    examine(
        "population_update_in_mean_field",
        np.nan,
        c.L_pop,
        pair_in_mean_field,
        update_ratio,
        partial(search.update_in_mean_field, game),
        kind=c.kind["L_pop"],
    )
    examine(
        "population_update_in_policy",
        np.nan,
        0.5 * c.K_a,
        pair_in_policy,
        update_ratio,
        partial(search.update_in_policy, game),
        kind=c.kind["K_a"],
    )
    stable_bound = lipschitz.contraction_bound(game, regularizer, 1.0).stable_population
    examine(
        "stable_population",
        np.nan,
        stable_bound,
        policy_pair,
        stable_ratio,
        partial(search.stable_population, game),
        kind=c.kind["L_pop"],
    )
    for eta in step_sizes:
        rng = seeds.generator(seed, "operator_ratios", name, "mirror_ascent_step", eta)
        found = _mirror_step_ratios(game, regularizer, eta, n_pairs, rng)
        settings = (name, "mirror_ascent_step", "euclidean", "simplex", eta, n_pairs)
        rows.append((*settings, *found, 1.0, lipschitz.weaker()))
        after_operator("mirror_ascent_step")

        bound = lipschitz.contraction_bound(game, regularizer, eta).L_gamma
        above, equal = partial(_above, regularizer, floor), np.ones(game.n_states)
        examine(
            "policy_mirror_ascent",
            eta,
            bound,
            partial(policy_pair, inside=above),
            partial(_pma_ratio, game, regularizer, eta, "euclidean", "l2", equal, None),
            partial(search.policy_mirror_ascent, game, regularizer, eta, "euclidean", "l2", equal),
            within="U",
            inside=above,
            ratio_of_random=partial(_pma_ratio, game, regularizer, eta, "euclidean", "l2", equal, floor),
        )
        for mirror in invariant:
            game = with_features(game, "checks.operator_ratios")
            certificate = certificates.certificate(game, regularizer, eta, mirror)
            measure = (certificate.norm, certificate.weights)
            examine(
                "policy_mirror_ascent",
                eta,
                certificate.L_gamma,
                partial(policy_pair, inside=invariant[mirror]),
                partial(_pma_ratio, game, regularizer, eta, mirror, *measure, None),
                partial(search.policy_mirror_ascent, game, regularizer, eta, mirror, *measure),
                within="W",
                inside=invariant[mirror],
                mirror=mirror,
                kind=certificate.kind,
                between=search.between_logarithms if certificate.norm == "log-span" else search.between,
            )
    return pd.DataFrame(
        rows,
        columns=[
            "game",
            "operator",
            "mirror",
            "within",
            "step_size",
            "n_pairs",
            "random_ratio",
            "largest_ratio",
            "jacobian_norm",
            "jacobian_upper",
            "bound",
            "kind",
        ],
    )


def _mirror_step_ratios(
    game: Game, regularizer: Regularizer, eta: float, n_pairs: int, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Return random_ratio, largest_ratio, jacobian_norm, jacobian_upper of the step, in units of its bound.

    The Jacobian depends on the step's result u alone, and every u > 0 is the result for policy u and q = -grad h(u).
    """

    def ratio(policies: Sequence[np.ndarray], qs: Sequence[np.ndarray]) -> float:
        steps = [operators.mirror_ascent_step(q, p, eta, regularizer) for q, p in zip(qs, policies, strict=True)]
        apart = np.linalg.norm(policies[0] - policies[1], axis=1) + eta * np.linalg.norm(qs[0] - qs[1], axis=1)
        return _ratio(np.linalg.norm(steps[0] - steps[1], axis=1), apart / (1.0 + eta * regularizer.rho))

    def random_ratio() -> float:
        first, second = (random_policy(game, rng) for _ in range(2))
        second = _near_or_far(rng, first, second)
        spread = rng.choice([0.1, 1.0, 10.0]) * regularizer.rho
        first_q = spread * rng.normal(size=first.shape)
        return ratio((first, second), (first_q, _near_or_far(rng, first_q, spread * rng.normal(size=first_q.shape))))

    random = max(random_ratio() for _ in range(n_pairs))
    norm = partial(search.mirror_step, regularizer, eta)
    starts = [operators.uniform_policy(game), *(random_policy(game, rng) for _ in range(3))]
    climbed = [search.ascend(lambda point: norm(point)[0], (start,), search.everywhere, SWEEPS) for start in starts]
    highest, (u,) = max(climbed, key=lambda result: result[0])
    change = search.PAIR_DISTANCE * (1.0 / eta + regularizer.rho) * norm((u,))[2][0]
    q = -regularizer.gradient(u)
    return random, max(random, ratio((u, u), (q + 0.5 * change, q - 0.5 * change))), highest, highest


def _pma_ratio(
    game: Game,
    regularizer: Regularizer,
    eta: float,
    mirror: Mirror,
    norm: str,
    weights: np.ndarray,
    floor: float | None,
    first: Point,
    second: Point,
) -> float:
    """Return the ratio of PMA for a pair of policies, in a norm of `search.distance`."""
    moved, other = (
        operators.policy_mirror_ascent(game, point[0], eta, regularizer, floor, mirror) for point in (first, second)
    )
    return _ratio(search.distance(moved, other, norm, weights), search.distance(first[0], second[0], norm, weights))


def _above(regularizer: Regularizer, floor: float, rows: np.ndarray) -> np.ndarray:
    """Return which rows lie in U = {u : h(u) >= floor}, shape (S,)."""
    return np.asarray(regularizer.value(rows) >= floor)


def in_invariant_set(game: MeanFieldGame, regularizer: Regularizer, mirror: Mirror) -> Inside:
    """Return the membership of rows in the certificate's invariant set W."""
    return _in_set(certificates.invariant_set(game, regularizer, mirror), regularizer, mirror)


def _in_set(bounds: certificates.InvariantSet, regularizer: Regularizer, mirror: Mirror) -> Inside:
    within_logarithms = mirror == "kl" and regularizers.kind(regularizer) == "entropy"

    def inside(rows: np.ndarray) -> np.ndarray:
        low, high = rows.min(axis=1), rows.max(axis=1)
        if within_logarithms:
            return np.asarray((low > 0.0) & (high <= low * np.exp(bounds.q_span / regularizer.strength)))
        return np.asarray((low >= bounds.least) & (high <= bounds.most) & (high - low <= bounds.difference))

    return inside


def _ratio(moved: np.ndarray | float, apart: np.ndarray | float) -> float:
    """Return the largest moved / apart, leaving out pairs too close for their difference to have digits."""
    moved, apart = np.atleast_1d(moved), np.atleast_1d(apart)
    usable = apart > 1e-6
    return float((moved[usable] / apart[usable]).max()) if usable.any() else 0.0


def _near_or_far(rng: np.random.Generator, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return `second`, or a point close to `first` on the way there."""
    share = rng.choice([1e-3, 1.0])
    return np.asarray((1.0 - share) * first + share * second)


def random_policy(game: Game, rng: np.random.Generator, inside: Inside = search.everywhere) -> np.ndarray:
    """Draw a policy, flat or close to a deterministic one, drawn into a convex set of policies, shape (S, A)."""
    policy = rng.dirichlet(np.full(game.n_actions, rng.choice([0.1, 1.0])), size=game.n_states)
    policy = np.maximum(policy, search.LEAST)  # a Dirichlet draw can underflow to zero
    policy /= policy.sum(axis=1, keepdims=True)
    return search.drawn_in(operators.uniform_policy(game), policy, inside)


@accepts()
def pma_convergence(
    game: Game,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    name: str,
    step_sizes: Sequence[float],
    n_starts: int,
    max_iterations: int,
    seed: int,
    after_run: Callable[[], None] = lambda: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run exact PMA from several starts and compare its rate with the Jacobian's spectral radius.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        The policy to measure distances from.
    name : str
        The game's name in tables and seeds.
    step_sizes : sequence of float
    n_starts : int
        The uniform policy and n_starts - 1 random ones in U, the same for every step size.
    max_iterations : int
    seed : int
        Root seed.
    after_run : callable
        Called after each run.

    Returns
    -------
    iterates : DataFrame
        Columns game, step_size, start, iteration, distance (sup_s of the l1 norm).
    rates : DataFrame
        Columns game, step_size, start, converged, iterations, observed_rate (nan where too few iterates lie in
        `RATE_WINDOW`), spectral_radius, bound (L_Gamma_eta), differentiable.
    """
    floor = lipschitz.policy_floor(game, regularizer)
    mean_field = operators.stable_population(game, equilibrium)
    differentiable = game.differentiable_at(mean_field)
    iterates, rates = [], []
    inside = partial(_above, regularizer, floor)
    for step_size in step_sizes:
        matrix = lipschitz.jacobian(game, equilibrium, step_size, regularizer)
        radius = lipschitz.spectral_radius(matrix)
        bound = lipschitz.contraction_bound(game, regularizer, step_size).L_gamma
        for start in range(n_starts):
            rng = seeds.generator(seed, "pma_convergence", name, start)
            policy = operators.uniform_policy(game) if start == 0 else random_policy(game, rng, inside)
            distances = [operators.policy_distance(policy, equilibrium)]
            while len(distances) <= max_iterations and distances[-1] > RATE_WINDOW[0]:
                policy = operators.policy_mirror_ascent(game, policy, step_size, regularizer, floor)
                distances.append(operators.policy_distance(policy, equilibrium))
            iterates += [(name, step_size, start, k, distance) for k, distance in enumerate(distances)]
            converged = distances[-1] <= CONVERGED
            rate = _fitted_rate(np.array(distances))
            rates.append((name, step_size, start, converged, len(distances) - 1, rate, radius, bound, differentiable))
            after_run()
    return (
        pd.DataFrame(iterates, columns=["game", "step_size", "start", "iteration", "distance"]),
        pd.DataFrame(
            rates,
            columns=[
                "game",
                "step_size",
                "start",
                "converged",
                "iterations",
                "observed_rate",
                "spectral_radius",
                "bound",
                "differentiable",
            ],
        ),
    )


@accepts()
def certified_convergence(
    game: Game,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    name: str,
    step_sizes: Sequence[float],
    n_starts: int,
    max_iterations: int,
    seed: int,
    found: Mapping[Mirror, certificates.InvariantSet] | None = None,
) -> pd.DataFrame:
    """Run exact PMA, without a floor, from starts in the certificates' invariant set wherever one is below 1.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        The policy to measure distances from.
    name : str
        The game's name in tables and seeds.
    step_sizes : sequence of float
    n_starts : int
        The uniform policy and n_starts - 1 random ones in W.
    max_iterations : int
    seed : int
        Root seed.
    found : mapping of mirror map to InvariantSet, optional
        Of this game and regularizer, if they are at hand; other mirror maps are then left out.

    Returns
    -------
    DataFrame
        Columns game, mirror, step_size, certificate, attraction, kind, n_starts (0 where nothing is certified),
        n_converged. Empty for a game given by functions.
    """
    rows: list[tuple[object, ...]] = []
    columns = ["game", "mirror", "step_size", "certificate", "attraction", "kind", "n_starts", "n_converged"]
    if isinstance(game, FunctionGame):
        return pd.DataFrame(rows, columns=columns)
    if found is None:
        found = {mirror: certificates.invariant_set(game, regularizer, mirror) for mirror in MIRRORS}
    for mirror, bounds in found.items():
        inside = _in_set(bounds, regularizer, mirror)
        rng = seeds.generator(seed, "certified_convergence", name, mirror)
        starts = [operators.uniform_policy(game), *(random_policy(game, rng, inside) for _ in range(n_starts - 1))]
        rates = certificates.attraction(game, regularizer, step_sizes, equilibrium, mirror, bounds)
        for eta, rate in zip(step_sizes, rates, strict=True):
            certificate = certificates.certificate(game, regularizer, eta, mirror, bounds)
            certified = starts if min(certificate.L_gamma, rate) < 1.0 else []
            n_converged = 0
            for policy in certified:
                for _ in range(max_iterations):
                    if operators.policy_distance(policy, equilibrium) <= CONVERGED:
                        break
                    policy = operators.policy_mirror_ascent(game, policy, eta, regularizer, mirror=mirror)
                n_converged += operators.policy_distance(policy, equilibrium) <= CONVERGED
            bound = (certificate.L_gamma, rate, certificate.kind)
            rows.append((name, mirror, eta, *bound, len(certified), n_converged))
    return pd.DataFrame(rows, columns=columns)


def _fitted_rate(distances: np.ndarray) -> float:
    """Return exp of the least-squares slope of log distance over the iterates in `RATE_WINDOW`."""
    k = np.flatnonzero((distances >= RATE_WINDOW[0]) & (distances <= RATE_WINDOW[1]))
    return float(np.exp(np.polyfit(k, np.log(distances[k]), 1)[0])) if len(k) >= RATE_ITERATES else float("nan")


# ----------------------------------------------------------------------------------------- the plane of (strength, eta)


@accepts()
def spectral_radii(
    game: Game,
    policy: np.ndarray,
    regularizer: Regularizer,
    step_sizes: Sequence[float],
    mirror: Mirror = "euclidean",
    mean_field: np.ndarray | None = None,
) -> np.ndarray:
    """Return the spectral radius of PMA's Jacobian at an equilibrium for many step sizes, from one Jacobian.

    By docs/theory.md, Proposition 7.7: J_eta = I - D (I - J_inf) on the directions that keep the support, with D from
    the curvatures; with "kl" an action off the support fades at the rate (7.7).

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
        An equilibrium.
    regularizer : Regularizer
    step_sizes : sequence of float
    mirror : {"euclidean", "kl"}
    mean_field : ndarray, shape (S,), optional
        Its stable population, as in `lipschitz.jacobian`.

    Returns
    -------
    ndarray, shape (len(step_sizes),)
    """
    states, actions = policy.shape
    if mean_field is None:
        mean_field = operators.stable_population(game, policy)
    q = operators.q_values(game, policy, mean_field, regularizer)
    policy = regularizer.best_response(q)  # the equilibrium again, with the zeros of its support exact
    support = policy > 0.0
    face = np.zeros((int(support.sum()) - states, states, actions))
    filled = 0
    for s, row in enumerate(support):
        count = int(row.sum()) - 1
        face[filled : filled + count, s, row] = lipschitz.tangent_basis(count + 1)
        filled += count
    to_face = (face @ lipschitz.tangent_basis(actions).T).reshape(len(face), states * (actions - 1))
    identity = np.eye(len(face))
    best_response = to_face @ lipschitz.jacobian(game, policy, np.inf, regularizer, mean_field=mean_field) @ to_face.T
    curvature = np.where(support, regularizer.curvature(policy), 1.0)
    metric = 1.0 / np.where(support, policy, 1.0) if mirror == "kl" else np.ones_like(policy)
    radii = []
    for eta in step_sizes:
        weights = np.where(support, 1.0 / (curvature + metric / eta), 0.0)
        shares = curvature * weights
        scaled = face * shares
        means = (face * shares).sum(axis=2)[:, :, None] * (weights / weights.sum(axis=1, keepdims=True))
        damping = np.einsum("isa,jsa->ij", face, scaled - means)
        radius = lipschitz.spectral_radius(identity - damping @ (identity - best_response))
        if mirror == "kl" and not support.all():
            slope = q + regularizer.gradient(np.where(support, policy, 0.0))
            level = np.where(support, slope, -np.inf).max(axis=1, keepdims=True)
            radius = max(radius, float(np.exp(eta * (slope - level)[~support].max())))
        radii.append(radius)
    return np.array(radii)


def phase_diagram(
    game: MeanFieldGame,
    name: str,
    strengths: Sequence[float],
    relative_step_sizes: Sequence[float],
    n_probes: int,
    seed: int,
    after_strength: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Return where PMA is certified, locally contractive or divergent, over (strength, eta); docs/theory.md, 7.4.

    For both regularizers and both mirror maps. One equilibrium is followed from large strengths to small ones.

    Parameters
    ----------
    game : Game
    name : str
        The game's name in tables and seeds.
    strengths : sequence of float
        Weights of the regularizer.
    relative_step_sizes : sequence of float
        eta in units of 1 / strength.
    n_probes : int
        Points of each region, regularizer and mirror map at which PMA itself is run from nearby.
    seed : int
        Root seed.
    after_strength : callable
        Called after each strength.

    Returns
    -------
    DataFrame
        Columns game, regularizer, mirror, strength, relative_step_size, differentiable (no kink at the equilibrium),
        spectral_radius (nan without an equilibrium or at a kink), paper_bound (of section 5; infinite with "kl", for
        which it is not made), certificate, attraction (the certified rate towards this equilibrium), region
        ("certified" where the certificate is below 1, else "attracting" where the attraction is, else "locally
        contractive" or "divergent" by the spectral radius, "kink", or "unsolved" where no equilibrium was found),
        returned (1 or 0: whether PMA came back from nearby; nan where it was not run).
    """
    columns = ["regularizer", "mirror", "strength", "relative_step_size", "differentiable", "spectral_radius"]
    columns += ["paper_bound", "certificate", "attraction", "region"]
    rows, solved = [], {}
    for kind in REGULARIZERS:
        start: np.ndarray | None = None
        for strength in sorted(map(float, strengths), reverse=True):
            regularizer = regularizers.make(kind, strength)
            steps = [relative / strength for relative in relative_step_sizes]
            try:
                found = equilibrium.solve(game, regularizer, start, max_iterations=500)
            except ConvergenceError:
                differentiable = True
                radii = {mirror: np.full(len(steps), np.nan) for mirror in MIRRORS}
            else:
                start = solved[kind, strength] = found.policy
                differentiable = game.differentiable_at(found.mean_field)
                radii = {
                    mirror: spectral_radii(game, found.policy, regularizer, steps, mirror)
                    if differentiable
                    else np.full(len(steps), np.nan)
                    for mirror in MIRRORS
                }
            theta = lipschitz.contraction_bound(game, regularizer, 1.0).L_theta
            for mirror in MIRRORS:
                found_set = certificates.invariant_set(game, regularizer, mirror)
                attraction = np.full(len(steps), np.inf)
                if (kind, strength) in solved:
                    attraction = certificates.attraction(
                        game, regularizer, steps, solved[kind, strength], mirror, found_set
                    )
                for i, (relative, eta) in enumerate(zip(relative_step_sizes, steps, strict=True)):
                    radius, rate = float(radii[mirror][i]), float(attraction[i])
                    paper = (1.0 + eta * theta) / (1.0 + relative) if mirror == "euclidean" else np.inf
                    certified = certificates.certificate(game, regularizer, eta, mirror, found_set).L_gamma
                    missing = "unsolved" if (kind, strength) not in solved else "kink"
                    region = _region(certified, rate, radius, missing)
                    point = (kind, mirror, strength, relative, differentiable)
                    rows.append((*point, radius, paper, certified, rate, region))
            after_strength()
    table = pd.DataFrame(rows, columns=columns)
    table["returned"] = np.nan
    rng = seeds.generator(seed, "phase_diagram", name)
    for _, group in table.groupby(["regularizer", "mirror", "region"], sort=True):
        decided = group[(group["spectral_radius"] < PROBED_RADII[0]) | (group["spectral_radius"] > PROBED_RADII[1])]
        for i in rng.permutation(decided.index)[:n_probes]:
            point = table.loc[i]
            regularizer = regularizers.make(point["regularizer"], point["strength"])
            eta = point["relative_step_size"] / point["strength"]
            policy = solved[point["regularizer"], point["strength"]]
            returned = _returns(game, regularizer, policy, eta, point["mirror"], point["spectral_radius"], rng)
            table.loc[i, "returned"] = float(returned)
    table.insert(0, "game", name)
    return table


def _region(certificate: float, attraction: float, radius: float, missing: str) -> str:
    """Return the strongest statement that holds; `missing` where there is no spectral radius."""
    if certificate < 1.0:
        return "certified"
    if attraction < 1.0:
        return "attracting"
    if np.isnan(radius):
        return missing
    return "locally contractive" if radius < 1.0 else "divergent"


def _returns(
    game: Game,
    regularizer: Regularizer,
    policy: np.ndarray,
    eta: float,
    mirror: Mirror,
    radius: float,
    rng: np.random.Generator,
) -> bool:
    """Return whether PMA comes back to an equilibrium after a disturbance of size `DISTURBANCE`.

    It has come back at a hundredth of the first distance, for which the spectral radius predicts log(100) / log(1/r)
    steps; four times as many are made, and fifty.
    """
    disturbed = policy * np.exp(DISTURBANCE[0] * rng.normal(size=policy.shape)) + DISTURBANCE[1]
    disturbed /= disturbed.sum(axis=1, keepdims=True)
    first = operators.policy_distance(disturbed, policy)
    for _ in range(50 + int(4.0 * np.log(100.0) / abs(np.log(max(radius, 1e-3))))):
        disturbed = operators.policy_mirror_ascent(game, disturbed, eta, regularizer, mirror=mirror)
        if operators.policy_distance(disturbed, policy) <= 0.01 * first:
            return True
    return False


def certified_strengths(game: MeanFieldGame, name: str, relative_step_size: float = 1.0) -> pd.DataFrame:
    """Return the smallest regularization that each bound certifies, and how far from trivial the game then is.

    Parameters
    ----------
    game : Game
    name : str
        The game's name in the table.
    relative_step_size : float
        eta in units of 1 / strength.

    Returns
    -------
    DataFrame
        Columns game, regularizer, mirror, bound ("paper", section 5.1, for the Euclidean mirror map, "certificate",
        section 5.3, or "attraction" to the equilibrium that is solved for, section 5.4),
        relative_step_size, smallest_strength (infinite if none is found), distance_from_uniform (sup_s l1 distance of
        the equilibrium from the uniform policy at that strength, nan if none).
    """

    def paper(kind: str, mirror: Mirror, strength: float) -> bool:
        eta = relative_step_size / strength
        return lipschitz.contraction_bound(game, regularizers.make(kind, strength), eta).L_gamma < 1.0

    def certificate(kind: str, mirror: Mirror, strength: float) -> bool:
        eta = relative_step_size / strength
        return certificates.certificate(game, regularizers.make(kind, strength), eta, mirror).L_gamma < 1.0

    def attraction(kind: str, mirror: Mirror, strength: float) -> bool:
        regularizer, eta = regularizers.make(kind, strength), relative_step_size / strength
        try:
            found = equilibrium.solve(game, regularizer, max_iterations=500)
        except ConvergenceError:
            return False
        return bool(certificates.attraction(game, regularizer, [eta], found.policy, mirror)[0] < 1.0)

    bounds: list[tuple[str, Mirror, Callable[[str, Mirror, float], bool]]] = [("paper", "euclidean", paper)]
    bounds += [(f.__name__, mirror, f) for f in (certificate, attraction) for mirror in MIRRORS]
    rows: list[tuple[object, ...]] = []
    for kind in REGULARIZERS:
        for bound, mirror, certifies in bounds:
            smallest = smallest_certified(partial(certifies, kind, mirror))
            distance = np.nan
            if smallest < np.inf:
                found = equilibrium.solve(game, regularizers.make(kind, smallest))
                distance = operators.policy_distance(found.policy, operators.uniform_policy(game))
            rows.append((name, kind, mirror, bound, relative_step_size, smallest, distance))
    columns = ["game", "regularizer", "mirror", "bound", "relative_step_size", "smallest_strength"]
    return pd.DataFrame(rows, columns=[*columns, "distance_from_uniform"])


def smallest_certified(certifies: Callable[[float], bool], low: float = 1e-6, high: float = 1e7) -> float:
    """Return the end of the certified strengths that reaches down from `high`, to one percent.

    Walks down by factors of 10, then bisects between the last strength that is certified and the first that is not; so
    an island of certified strengths further down is not found, and a gap narrower than a factor of 10 can be missed.

    Parameters
    ----------
    certifies : callable
        Of a strength.
    low, high : float
        Where to stop, and where to start.

    Returns
    -------
    float
        Infinite if `high` is not certified; at most `low` if everything is.
    """
    if not certifies(high):
        return np.inf
    inside = high
    while certifies(inside / 10.0):
        inside /= 10.0
        if inside <= low:
            return inside
    outside = inside / 10.0
    while inside > 1.01 * outside:
        middle = float(np.sqrt(inside * outside))
        inside, outside = (middle, outside) if certifies(middle) else (inside, middle)
    return inside


# --------------------------------------------------------------------------------------------------- the assumptions


def assumptions(game: Game, regularizer: Regularizer, name: str, step_size: float) -> pd.DataFrame:
    """Return the quantities that the paper assumes of a game, each with what kind of number it is.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    name : str
        The game's name in the table.
    step_size : float
        eta, on which the least probability p_inf may depend.

    Returns
    -------
    DataFrame
        Columns game, assumption (its number, 0 for what follows from the six constants), quantity, value, kind
        ("exact", "upper bound", "lower bound" or "estimate").
    """
    c = lipschitz.constants(game)
    p_inf, T_mix, delta_mix = 0.0, 1, 0.0  # what is known of a game given by functions
    if not isinstance(game, FunctionGame):
        p_inf = certificates.least_probability(game, regularizer, step_size)
        T_mix, delta_mix = lipschitz.mixing(game, p_inf)
    rows: list[tuple[object, ...]]
    rows = [
        (1, constant, getattr(c, constant), c.kind[constant])
        for constant in ("K_mu", "K_s", "K_a", "L_mu", "L_s", "L_a")
    ]
    rows += [(2, constant, getattr(c, constant), c.kind[constant]) for constant in ("delta", "L_pop")]
    rows += [(0, "L_h", c.L_h, c.kind["L_h"]), (3, "p_inf", p_inf, "lower bound")]
    known: str = "estimate" if isinstance(game, FunctionGame) else "exact"
    rows += [(4, "T_mix", float(T_mix), known), (4, "delta_mix", delta_mix, "lower bound")]
    table = pd.DataFrame(rows, columns=["assumption", "quantity", "value", "kind"])
    table.insert(0, "game", name)
    return table


def assumptions_in_words(table: pd.DataFrame) -> list[str]:
    """Say which of the paper's assumptions are shown to hold, one line each (docs/theory.md, section 4).

    Parameters
    ----------
    table : DataFrame
        Of `assumptions`, for one game, indexed by quantity.

    Returns
    -------
    list of str
    """
    value, estimated = table["value"], bool((table["kind"] == "estimate").any())
    not_shown = "not shown (estimates prove nothing)" if estimated else "not shown"
    finite = bool(np.isfinite(value[["K_mu", "K_s", "K_a", "L_mu", "L_s", "L_a"]]).all())
    lines = (
        ("1, Lipschitz transitions and rewards", finite and not estimated),
        ("2, a contracting population (L_pop < 1)", value["L_pop"] < 1.0 and not estimated),
        ("3, every action keeps a probability p_inf > 0", value["p_inf"] > 0.0),
        ("4, mixing within T_mix steps (delta_mix > 0)", value["delta_mix"] > 0.0),
    )
    return [f"assumption {words}: {'met' if met else not_shown}" for words, met in lines]
