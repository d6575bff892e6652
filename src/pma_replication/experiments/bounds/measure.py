"""Measurements: how loose the Lipschitz bounds are. From one game to tables (docs/theory, section 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import operators, regularizers, seeds
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import MIRRORS, Mirror, Regularizer
from pma_mfg.theory import certificates, lipschitz, search
from pma_mfg.theory.search import Inside, Point, in_invariant_set, random_policy, rows_above
from pma_replication.judging import UNSETTLED

#: Largest number of sweeps of coordinate ascent from each start; it stops earlier when a sweep gains nothing.
SWEEPS = 8

#: Columns of `operator_ratios`.
COLUMNS = [
    *("game", "operator", "mirror", "within", "step_size", "n_pairs"),
    *("random_ratio", "largest_ratio", "jacobian_norm", "jacobian_upper", "bound", "kind"),
]


@dataclass(frozen=True)
class Operator:
    """An operator, the pairs of points at which it is compared, and the bound on its ratio.

    Parameters
    ----------
    name : str
    bound : float
    kind : str
        Of the bound, as in `theory.lipschitz`.
    random_pair : callable
        From a generator to two points.
    ratio : callable
        Of two points: how far apart their images are, over how far they are.
    norm : callable
        Of the Jacobian at a point, with an upper bound and the direction that attains it.
    step_size : float
        nan where it plays no role.
    within : str
        The name of the set of policies, and `inside` its membership.
    inside : callable
    mirror : {"euclidean", "kl"}
    ratio_of_random : callable, optional
        In place of `ratio` for random pairs.
    between : callable
        The point at a share of the way from one point to another.
    """

    name: str
    _: KW_ONLY
    bound: float
    kind: str
    random_pair: Callable[[np.random.Generator], tuple[Point, Point]]
    ratio: Callable[[Point, Point], float]
    norm: Callable[[Point], search.Norm]
    step_size: float = np.nan
    within: str = "simplex"
    inside: Inside = search.everywhere
    mirror: Mirror = "euclidean"
    ratio_of_random: Callable[[Point, Point], float] | None = None
    between: Callable[[Point, Point, float], Point] = search.between


def operator_ratios(
    game: Game,
    regularizer: Regularizer,
    name: str,
    *,
    step_sizes: Sequence[float],
    n_pairs: int,
    n_ascents: int,
    seed: int,
    after_operator: Callable[[str], None] = lambda operator: None,
) -> pd.DataFrame:
    """Search for the largest Lipschitz ratio of each operator, beside its bound.

    First random pairs: half of them close to each other, half far apart; policies reach to the vertices, and lie in the
    set that the bound is one on. Then the Jacobian's norm is climbed from the best of them, and a pair is laid along
    the direction that attains it (docs/theory, section 7.3). A policy whose population does not settle is no point of
    an operator that needs its stable population, and is left out.

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
        at that point), bound, kind (of the bound); and `judging.UNSETTLED`, how often a point was left out, where that
        happened.
    """
    c = lipschitz.constants(game)
    above = partial(rows_above, regularizer, lipschitz.policy_floor(game, regularizer))
    # certificates exist for the entropy and the quadratic, and for games with features
    mirrors = MIRRORS if regularizers.kind(regularizer) is not None else ("euclidean",)
    invariant = {m: in_invariant_set(game, regularizer, m) for m in mirrors} if game.has_features else {}
    rows: list[tuple[object, ...]] = []

    def examine(*described: Operator) -> None:
        for operator in described:
            rng = seeds.generator(seed, "operator_ratios", name, operator.name, operator.step_size)
            bound = np.inf if operator.kind == "estimate" else operator.bound  # an estimate is no bound at all
            settings = (name, operator.name, operator.mirror, operator.within, operator.step_size, n_pairs)
            left_out: list[Point] = []
            found = _ratios(_where_settled(operator, left_out), n_pairs, n_ascents, rng=rng)
            rows.append((*settings, *found, bound, operator.kind, len(left_out)))
            after_operator(operator.name)

    examine(*_of_populations(game, regularizer, c))
    examine(*_of_q_values(game, regularizer, c, above=above))
    for eta in step_sizes:
        rng = seeds.generator(seed, "operator_ratios", name, "mirror_ascent_step", eta)
        found = _mirror_step_ratios(game, regularizer, eta, n_pairs, rng)
        settings = (name, "mirror_ascent_step", "euclidean", "simplex", eta, n_pairs)
        rows.append((*settings, *found, 1.0, lipschitz.weaker(), 0))
        after_operator("mirror_ascent_step")
        examine(_of_pma(game, regularizer, eta, above=above, kind=lipschitz.weaker(*c.kind.values())))
        for mirror, inside in invariant.items():
            certified = game.with_features("bounds.operator_ratios")
            examine(_of_certified_pma(certified, regularizer, eta, mirror=mirror, inside=inside))
    table = pd.DataFrame(rows, columns=[*COLUMNS, UNSETTLED])
    return table if table[UNSETTLED].any() else table.drop(columns=UNSETTLED)


def _where_settled(operator: Operator, left_out: list[Point]) -> Operator:
    """Return an operator of which points have no ratio and no slope if their population does not settle, and note them.

    Such a population may come to rest more slowly than at any geometric rate, or cycle: (7.1) has no value there.
    """

    def ratio_of(ratio: Callable[[Point, Point], float]) -> Callable[[Point, Point], float]:
        def settled(first: Point, second: Point) -> float:
            try:
                return ratio(first, second)
            except ConvergenceError:
                left_out.append(first)
                return 0.0

        return settled

    def norm(point: Point) -> search.Norm:
        try:
            return operator.norm(point)
        except ConvergenceError:
            left_out.append(point)
            return 0.0, 0.0, tuple(np.zeros_like(rows) for rows in point)

    of_random = operator.ratio_of_random and ratio_of(operator.ratio_of_random)
    return replace(operator, ratio=ratio_of(operator.ratio), norm=norm, ratio_of_random=of_random)


def _of_populations(game: Game, regularizer: Regularizer, c: lipschitz.Constants) -> Iterator[Operator]:
    """Yield the update of the population in each argument, and the stable population of a policy."""

    def update_ratio(first: Point, second: Point) -> float:
        moved, other = (operators.population_update(game, point[0][0], point[1]) for point in (first, second))
        return _ratio(np.abs(moved - other).sum(), _apart(first, second))

    def stable_ratio(first: Point, second: Point) -> float:
        moved, other = (operators.stable_population(game, point[0]) for point in (first, second))
        return _ratio(np.abs(moved - other).sum(), operators.policy_distance(first[0], second[0]))

    yield Operator(
        "population_update_in_mean_field",
        bound=c.L_pop,
        kind=c.kind["L_pop"],
        random_pair=partial(_pair_in_mean_field, game),
        ratio=update_ratio,
        norm=partial(search.update_in_mean_field, game),
    )
    yield Operator(
        "population_update_in_policy",
        bound=0.5 * c.K_a,
        kind=c.kind["K_a"],
        random_pair=partial(_pair_in_policy, game),
        ratio=update_ratio,
        norm=partial(search.update_in_policy, game),
    )
    yield Operator(
        "stable_population",
        bound=lipschitz.contraction_bound(game, regularizer, 1.0).stable_population,
        kind=c.kind["L_pop"],
        random_pair=partial(_policy_pair, game),
        ratio=stable_ratio,
        norm=partial(search.stable_population, game),
    )


def _of_q_values(game: Game, regularizer: Regularizer, c: lipschitz.Constants, *, above: Inside) -> Iterator[Operator]:
    """Yield the evaluation of Q in each argument, for policies in U."""

    def ratio(first: Point, second: Point) -> float:
        moved, other = (
            operators.q_values(game, point[1], point[0][0], regularizer=regularizer) for point in (first, second)
        )
        return _ratio(np.abs(moved - other).max(), _apart(first, second))

    bounds = lipschitz.contraction_bound(game, regularizer, 1.0)
    for argument, bound, random_pair, norm in (
        ("mean_field", bounds.q_mean_field, _pair_in_mean_field, search.q_in_mean_field),
        ("policy", bounds.q_policy, _pair_in_policy, search.q_in_policy),
    ):
        yield Operator(
            f"q_evaluation_in_{argument}",
            bound=bound,
            kind=lipschitz.weaker(*c.kind.values()),
            random_pair=partial(random_pair, game, inside=above),
            ratio=ratio,
            norm=partial(norm, game, regularizer),
            within="U",
            inside=above,
        )


def _of_pma(game: Game, regularizer: Regularizer, eta: float, *, above: Inside, kind: str) -> Operator:
    """Return PMA for policies in U; the steps of random pairs stay in U, as those that the bound is made for."""
    norm: dict[str, Any] = {"mirror": "euclidean", "norm": "l2", "weights": np.ones(game.n_states)}
    ratio = partial(_pma_ratio, game, regularizer, eta, **norm)
    return Operator(
        "policy_mirror_ascent",
        step_size=eta,
        bound=lipschitz.contraction_bound(game, regularizer, eta).L_gamma,
        kind=kind,
        random_pair=partial(_policy_pair, game, inside=above),
        ratio=ratio,
        norm=partial(search.policy_mirror_ascent, game, regularizer=regularizer, step_size=eta, **norm),
        within="U",
        inside=above,
        ratio_of_random=partial(ratio, floor=lipschitz.policy_floor(game, regularizer)),
    )


def _of_certified_pma(
    game: MeanFieldGame, regularizer: Regularizer, eta: float, *, mirror: Mirror, inside: Inside
) -> Operator:
    """Return PMA for policies in the invariant set of its certificate, in the certificate's norm."""
    certificate = certificates.certificate(game, regularizer, eta, mirror=mirror)
    norm: dict[str, Any] = {"mirror": mirror, "norm": certificate.norm, "weights": certificate.weights}
    return Operator(
        "policy_mirror_ascent",
        step_size=eta,
        bound=certificate.L_gamma,
        kind=certificate.kind,
        random_pair=partial(_policy_pair, game, inside=inside),
        ratio=partial(_pma_ratio, game, regularizer, eta, **norm),
        norm=partial(search.policy_mirror_ascent, game, regularizer=regularizer, step_size=eta, **norm),
        within="W",
        inside=inside,
        mirror=mirror,
        between=search.between_logarithms if certificate.norm == "log-span" else search.between,
    )


def _mean_field_pair(game: Game, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    first, second = rng.dirichlet(np.full(game.n_states, rng.choice([0.1, 1.0])), size=2)
    return first, _near_or_far(rng, first, second)


def _policy_pair(game: Game, rng: np.random.Generator, inside: Inside = search.everywhere) -> tuple[Point, Point]:
    first, second = (random_policy(game, rng, inside) for _ in range(2))
    return (first,), (_near_or_far(rng, first, second),)


def _pair_in_mean_field(
    game: Game, rng: np.random.Generator, inside: Inside = search.everywhere
) -> tuple[Point, Point]:
    """Return a mean field and a policy, and the same policy at another mean field."""
    first, second = _mean_field_pair(game, rng)
    policy = random_policy(game, rng, inside)
    return (first[None], policy), (second[None], policy)


def _pair_in_policy(game: Game, rng: np.random.Generator, inside: Inside = search.everywhere) -> tuple[Point, Point]:
    """Return a mean field and a policy, and another policy at the same mean field."""
    (first,), (second,) = _policy_pair(game, rng, inside)
    mean_field = _mean_field_pair(game, rng)[0][None]
    return (mean_field, first), (mean_field, second)


def _apart(first: Point, second: Point) -> float:
    """Return the distance of two pairs of a mean field and a policy."""
    return float(np.abs(first[0] - second[0]).sum() + operators.policy_distance(first[1], second[1]))


def _ratios(
    operator: Operator, n_pairs: int, n_ascents: int, *, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Return random_ratio, largest_ratio, jacobian_norm, jacobian_upper of an operator."""
    pairs = [operator.random_pair(rng) for _ in range(n_pairs)]
    ratios = [(operator.ratio_of_random or operator.ratio)(*pair) for pair in pairs]
    best = [pairs[i] for i in np.argsort(ratios)[::-1][:n_ascents]]
    highest, upper, pair = _climbed(operator, pairs[0][0], best)
    return max(ratios), max(*ratios, operator.ratio(*pair) if pair else 0.0), highest, upper


def _climbed(
    operator: Operator, shape: Point, pairs: Sequence[tuple[Point, Point]]
) -> tuple[float, float, tuple[Point, Point] | None]:
    """Return the largest norm of the Jacobian found, its upper bound there, and a pair along the direction of it.

    Climbs from the uniform point of this shape, and from the highest of five points between the two of each pair:
    somewhere on their segment the norm of the Jacobian is at least the pair's ratio.
    """
    norm, inside = operator.norm, operator.inside
    starts: list[Point] = [tuple(np.full_like(rows, 1.0 / rows.shape[1]) for rows in shape)]
    for first, second in pairs:
        segment = [operator.between(first, second, share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
        starts.append(max(segment, key=lambda point: norm(point)[0]))
    climbed = [search.ascend(lambda point: norm(point)[0], start, inside, n_sweeps=SWEEPS) for start in starts]
    highest, point = max(climbed, key=lambda result: result[0])
    _, upper, direction = norm(point)
    return highest, upper, search.pair_along(point, direction, inside)


def _mirror_step_ratios(
    game: Game, regularizer: Regularizer, eta: float, n_pairs: int, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Return random_ratio, largest_ratio, jacobian_norm, jacobian_upper of the step, in units of its bound.

    The Jacobian depends on the step's result u alone, and every u > 0 is the result for policy u and q = -grad h(u).
    """

    def ratio(policies: Sequence[np.ndarray], qs: Sequence[np.ndarray]) -> float:
        steps = [
            operators.mirror_ascent_step(q, p, eta, regularizer=regularizer) for q, p in zip(qs, policies, strict=True)
        ]
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
    climbed = [
        search.ascend(lambda point: norm(point)[0], (start,), search.everywhere, n_sweeps=SWEEPS) for start in starts
    ]
    highest, (u,) = max(climbed, key=lambda result: result[0])
    change = search.PAIR_DISTANCE * (1.0 / eta + regularizer.rho) * norm((u,))[2][0]
    q = -regularizer.gradient(u)
    return random, max(random, ratio((u, u), (q + 0.5 * change, q - 0.5 * change))), highest, highest


def _pma_ratio(
    game: Game,
    regularizer: Regularizer,
    eta: float,
    first: Point,
    second: Point,
    *,
    mirror: Mirror,
    norm: str,
    weights: np.ndarray,
    floor: float | None = None,
) -> float:
    """Return the ratio of PMA for a pair of policies, in a norm of `theory.search.distance`."""
    moved, other = (
        operators.policy_mirror_ascent(game, point[0], eta, regularizer=regularizer, floor=floor, mirror=mirror)
        for point in (first, second)
    )
    return _ratio(
        search.distance(moved, other, norm, weights=weights),
        search.distance(first[0], second[0], norm, weights=weights),
    )


def _ratio(moved: np.ndarray | float, apart: np.ndarray | float) -> float:
    """Return the largest moved / apart, leaving out pairs too close for their difference to have digits."""
    moved, apart = np.atleast_1d(moved), np.atleast_1d(apart)
    usable = apart > 1e-6
    return float((moved[usable] / apart[usable]).max()) if usable.any() else 0.0


def _near_or_far(rng: np.random.Generator, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return `second`, or a point close to `first` on the way there."""
    share = rng.choice([1e-3, 1.0])
    return np.asarray((1.0 - share) * first + share * second)
