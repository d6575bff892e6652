"""How good a policy is, in the mean field and among N agents (docs/theory, section 9.10).

`audit` brings together what the other modules compute: exploitability, the nearest equilibrium and whether PMA and best
response are stable there, what one of N agents gains by deviating, and what is certified. Each number is found in the
best way that the size of the game allows, and says which that is. Cost: seconds for a game of some ten states.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pma_mfg import equilibrium, iterations, operators, seeds, solvers
from pma_mfg.arrays import accepts
from pma_mfg.equilibrium import Equilibrium
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MOST_LUMPED_STATES, check_n_agents, n_lumped_states
from pma_mfg.populations import deviators, finite_population, fluctuations, gap_constants
from pma_mfg.populations.simulated_gap import GRADIENT_STATES, simulated_gap
from pma_mfg.regularizers import Regularizer
from pma_mfg.theory import attraction, certificates, invariant_sets, lipschitz

#: How a gain was found: on the lattice of counts; by simulation, with an interval; from its limit and the first
#: correction for large N; or as the limit alone.
Route = Literal["exact", "simulated", "closed form", "limit"]

#: Largest number of states of an agent and the counts of the others with which the lattice is used, some six seconds
#: and a gigabyte. A lattice of two states is cut to a few thousand points and may have `MOST_LUMPED_STATES`; one of a
#: population that has no Gaussian limit cannot be cut, and may have `UNCUT_STATES`.
EXACT_STATES, UNCUT_STATES = 16_000, 5_000

#: Exploitability up to which a policy counts as an equilibrium, as a share of the values' range; rounding errors are
#: smaller.
NEGLIGIBLE = 1e-10

#: Largest distance of a policy to an equilibrium at which the equilibrium's constant is reported for the policy; its
#: relative error is of the order of the distance. Beside a kink sqrt(N) times the distance must be as small, since
#: fluctuations of the size 1 / sqrt(N) have to reach well beyond the kink.
CLOSE = 0.01

#: Advantage of the best action over another, as a share of the values' range, up to which the two tie.
TIE = 1e-9

#: Distance of policies (sup_s of the l1 norm) and populations (l1) up to which two equilibria are the same.
SAME = 1e-6

#: Largest (S A)^2 S^3, the cost of a certificate, with which certificates are computed and equilibria are looked for
#: from several starts: seconds. S = 16 and A = 5 have 3e7.
SMALL = 10**8

#: Populations drawn at random from which equilibria are looked for, and the concentration of their Dirichlet law.
STARTS, CONCENTRATION = 4, 0.2


#: Exceptions after which a result is reported as unknown. They come from games whose dense tables would be too large,
#: chains with several recurrent classes, and iterations that do not converge.
FAILURES = (ConvergenceError, InputError, np.linalg.LinAlgError)


@dataclass(frozen=True)
class Order:
    """What is predicted of the gain for large N: limit + constant N^(-exponent).

    Parameters
    ----------
    limit : float
        The exploitability.
    exponent : float
        Of what finitely many agents add, for a deviator who sees its own state and the counts of the others: 1/2 where
        rewards have a kink, or where actions tie and there is no regularizer; else 1. Infinite if deviating never pays
        near the stable population; nan where nothing is known, as where the population does not settle from every
        start: N agents then need not be found near the stable population that `limit` belongs to.
    constant : float
        nan where no closed form is known.
    own_state_exponent, own_state_constant : float
        The same for a deviator who sees its own state only.
    why : str
        Why an exponent or a constant is nan, in words; empty if none is.
    """

    limit: float
    exponent: float
    constant: float
    own_state_exponent: float
    own_state_constant: float
    why: str = ""


@dataclass(frozen=True)
class OwnStateGain:
    """What one of N agents gains by deviating who sees its own state only, as the agents of the paper do.

    Parameters
    ----------
    route : str
        `Route`, never "simulated".
    regularized, unregularized : float
        At most the gains of a deviator who sees the counts of the others too.
    predicted : float
        The regularized gain by `Order`; nan where its constant is not known, or the policy is not close enough to an
        equilibrium for so many agents.
    """

    route: Route
    regularized: float
    unregularized: float
    predicted: float


@dataclass(frozen=True, eq=False)
class Gain:
    """What one of N agents gains by deviating while the others keep the policy, and the populations it meets.

    Parameters
    ----------
    n_agents : int
    route : str
        `Route`. Exact and simulated gains are of a deviator who sees its own state and the counts of the others; a
        simulated one is a lower bound, which misses an amount of higher order.
    regularized, unregularized : float
        The gain, with the regularizer's h in both values and without.
    regularized_interval, unregularized_interval : tuple of float
        95 % intervals of simulated gains; of others, the value twice.
    predicted : float
        The regularized gain by `Order`; nan where its constant is not known.
    mean_field, deviations : ndarray, shape (S,)
        Mean and standard deviation of the share of the agents in each state while nobody deviates; by the Gaussian
        limit where the route is a closed form, and nan deviations where that is not known.
    why : str
        Why the route is not "exact".
    own_state : OwnStateGain
    """

    n_agents: int
    route: Route
    regularized: float
    unregularized: float
    regularized_interval: tuple[float, float]
    unregularized_interval: tuple[float, float]
    predicted: float
    mean_field: np.ndarray
    deviations: np.ndarray
    why: str
    own_state: OwnStateGain


@dataclass(frozen=True)
class Certified:
    """A sufficient condition that is computed, with what it implies.

    Parameters
    ----------
    name : str
        "population", "contraction" or "attraction".
    value : float
        The constant or rate, below 1 if the condition holds.
    holds : bool
    implies : str
        What follows if it holds.
    """

    name: str
    value: float
    holds: bool
    implies: str


@dataclass(frozen=True, eq=False)
class Audit:
    """What `audit` finds.

    Parameters
    ----------
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
        Its stable population.
    exploitability, exploitability_unregularized : float
        With the regularizer and without, exact (docs/theory, section 8).
    values_range : float
        An upper bound on what any policy could gain without the regularizer: the rewards' range over 1 - gamma; the
        extremes seen of a game of functions.
    rewards_range : float
        The regularizer's rho if all rewards are equal.
    nearest : Equilibrium or None
        The nearest equilibrium that was found, in policies; None if none was found.
    n_equilibria : int
        How many were found; there may be more.
    policy_distance, population_distance : float
        To the nearest: sup_s of the l1 norm, and the l1 norm; nan if there is none.
    best_response_radius, pma_radius : float
        Spectral radii of the Jacobians of best response, and of PMA at the step size that makes its own least, at the
        nearest equilibrium. Below 1 the iteration returns there from nearby. nan where they are not known.
    pma_step_size : float
        That step size; a smaller one at which PMA returns, if it does not at those of `iterations.RELATIVE_STEP_SIZES`.
    rho : float
        Strong concavity of the regularizer, 1 / rho the unit of step sizes.
    certified : tuple of Certified
        What could be examined; empty for games of functions and large ones.
    order, order_unregularized : Order
    gains : tuple of Gain
        One per number of agents.
    warnings : tuple of str
        What the theory asks of the game and this policy, and they lack.
    """

    policy: np.ndarray
    mean_field: np.ndarray
    exploitability: float
    exploitability_unregularized: float
    values_range: float
    rewards_range: float
    nearest: Equilibrium | None
    n_equilibria: int
    policy_distance: float
    population_distance: float
    best_response_radius: float
    pma_radius: float
    pma_step_size: float
    rho: float
    certified: tuple[Certified, ...]
    order: Order
    order_unregularized: Order
    gains: tuple[Gain, ...]
    warnings: tuple[str, ...]


@accepts()
def audit(
    game: Game,
    policy: np.ndarray,
    regularizer: Regularizer,
    *,
    n_agents: Sequence[int] = (10, 100, 10_000),
    seed: int = 0,
    after_population: Callable[[], None] = lambda: None,
) -> Audit:
    """Return how good a policy is, in the mean field and among N agents.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
        Of whatever origin.
    regularizer : Regularizer
        Of the equilibria that it is compared with.
    n_agents : sequence of int
        Each N, from 2 to 10^15, for which the gain of a deviator is found.
    seed : int
        Root seed of what is simulated.
    after_population : callable
        Called after each N.

    Returns
    -------
    Audit

    Raises
    ------
    InputError
        If the array is not a policy of the game, or some N is out of range.
    ConvergenceError
        If the policy has no stable population that can be found.

    Examples
    --------
    >>> from pma_mfg import games
    >>> from pma_mfg.regularizers import Entropy
    >>> game = games.make("planted_smooth", n_states=2, n_actions=2, discount=0.6, seed=3, strength=0.1)
    >>> found = audit(game, game.planted.policy, Entropy(0.1), n_agents=[50])
    >>> found.gains[0].route, round(found.gains[0].regularized * 50, 3), round(found.order.constant, 3)
    ('exact', 0.022, 0.021)
    """
    populations = [check_n_agents(count) for count in n_agents]
    mean_field = operators.stable_population(game, policy)
    exploitability, unregularized = (
        equilibrium.exploitability(game, policy, h, mean_field=mean_field) for h in (regularizer, None)
    )
    lowest, highest = lipschitz.reward_range(game)
    rewards_range = (highest - lowest) or float(regularizer.rho)
    values_range = rewards_range / (1.0 - game.discount)
    found = _equilibria(game, policy, regularizer, mean_field=mean_field, seed=seed)
    nearest = min(found, key=lambda each: operators.policy_distance(each.policy, policy), default=None)
    distance = np.nan if nearest is None else operators.policy_distance(nearest.policy, policy)
    radii = np.nan, np.nan, np.nan
    if nearest is not None and policy.size <= solvers.DIRECT_SIZE and game.has_derivatives():
        with contextlib.suppress(*FAILURES):
            near = iterations.Local(game, regularizer, nearest.policy)
            step_size = near.settling()
            radii = near.radius(np.inf), near.radius(step_size), step_size
    others = equilibrium.other_populations(game, policy, mean_field)
    constants = _Constants(game, policy, regularizer, mean_field, nearest, float(distance), settles=not others)
    orders = (
        _order(game, constants, limit=exploitability, values_range=values_range, regularizer=regularizer),
        _order(game, constants, limit=unregularized, values_range=values_range, regularizer=None),
    )
    gains = []
    for count in populations:
        gains.append(_gain(game, policy, count, regularizer=regularizer, constants=constants, orders=orders, seed=seed))
        after_population()
    return Audit(
        policy=policy,
        mean_field=mean_field,
        exploitability=exploitability,
        exploitability_unregularized=unregularized,
        values_range=values_range,
        rewards_range=rewards_range,
        nearest=nearest,
        n_equilibria=len(found),
        policy_distance=float(distance),
        population_distance=np.nan if nearest is None else float(np.abs(nearest.mean_field - mean_field).sum()),
        best_response_radius=radii[0],
        pma_radius=radii[1],
        pma_step_size=radii[2],
        rho=float(regularizer.rho),
        certified=tuple(_certified(game, regularizer, nearest, step_size=radii[2])),
        order=orders[0],
        order_unregularized=orders[1],
        gains=tuple(gains),
        warnings=tuple(equilibrium.shortcomings(game, policy, mean_field, others=others)),
    )


def _equilibria(
    game: Game, policy: np.ndarray, regularizer: Regularizer, *, mean_field: np.ndarray, seed: int
) -> list[Equilibrium]:
    """Return the equilibria found from the policy, the uniform one, its population and a few others, each once.

    In a large game, or one given by functions, each search is expensive, and only the one from the policy is made.
    """
    searches: list[Callable[[], Equilibrium]] = [lambda: equilibrium.solve(game, regularizer, policy)]
    if _is_small(game):
        drawn = seeds.generator(seed, "audit", "starts").dirichlet(np.full(game.n_states, CONCENTRATION), size=STARTS)
        searches.append(lambda: equilibrium.solve(game, regularizer))
        searches += [
            lambda start=start: equilibrium.from_population(game, regularizer, start)  # type: ignore[misc]
            for start in (mean_field, *drawn)
        ]
    found: list[Equilibrium] = []
    for search in searches:
        try:
            other = search()
        except FAILURES:
            continue
        if all(_apart(known, other) > SAME for known in found):
            found.append(other)
    return found


def _is_small(game: Game) -> bool:
    """Return whether certificates, and several searches for equilibria, take seconds."""
    return game.has_features and (game.n_states * game.n_actions) ** 2 * game.n_states**3 <= SMALL


def _apart(first: Equilibrium, second: Equilibrium) -> float:
    """Return how far apart two equilibria are: in mean field or in policy, whichever is more."""
    populations = float(np.abs(first.mean_field - second.mean_field).sum())
    return max(populations, operators.policy_distance(first.policy, second.policy))


def _certified(
    game: Game, regularizer: Regularizer, nearest: Equilibrium | None, *, step_size: float
) -> list[Certified]:
    """Return what the theory certifies of a small game: of the population, of PMA, and of the equilibrium found."""
    if not (game.has_features and _is_small(game)):
        return []
    L_pop = lipschitz.population_contraction(game)[0]
    implies = "every policy has one stable population, which every start reaches"
    found = [Certified("population", L_pop, L_pop < 1.0, implies)]
    if not np.isfinite(step_size):
        return found
    invariant = invariant_sets.invariant_set(game, regularizer)
    L_gamma = certificates.certificate(game, regularizer, step_size, found=invariant).L_gamma
    implies = "PMA contracts: there is one equilibrium, and every start reaches it"
    found.append(Certified("contraction", L_gamma, L_gamma < 1.0, implies))
    if nearest is not None:
        (rate,) = attraction.attraction(game, regularizer, [step_size], equilibrium=nearest.policy, found=invariant)
        implies = "PMA reaches the equilibrium found from every start, so that it is the only one"
        found.append(Certified("attraction", float(rate), bool(rate < 1.0), implies))
    return found


class _Constants:
    """The closed forms that predictions are made of, each computed when it is first asked for, nan if unknown."""

    def __init__(
        self,
        game: Game,
        policy: np.ndarray,
        regularizer: Regularizer,
        mean_field: np.ndarray,
        nearest: Equilibrium | None,
        distance: float,
        *,
        settles: bool,
    ) -> None:
        self.game, self.policy, self.regularizer, self.mean_field = game, policy, regularizer, mean_field
        self.nearest, self.distance = nearest, distance
        # at a kink of the policy's own population, or of the equilibrium's that it is next to
        places = [mean_field] + ([nearest.mean_field] if nearest is not None and distance <= CLOSE else [])
        features = game.reward_features if game.has_features else game
        self.smooth = all(features.differentiable_at(place) for place in places)
        self.covariance: np.ndarray | None = None
        self.unsettled = "" if settles else "the population does not settle from every start"
        if game.n_states > solvers.DIRECT_SIZE:
            self.unsettled = f"fluctuations are computed of at most {solvers.DIRECT_SIZE} states"
            return
        try:
            self.covariance = fluctuations.stationary_covariance(game, policy)
        except FAILURES as error:  # also of a kink in the transitions, or fluctuations that grow
            self.unsettled = self.unsettled or f"its fluctuations have no known size ({error})"

    def why(self) -> str:
        """Return why the closed forms at the nearest equilibrium are not the policy's, or empty if they are."""
        if not self.game.has_features:
            return "closed forms take a game of features, and this one is given by functions"
        if self.nearest is None:
            return "no equilibrium was found"
        if self.distance > CLOSE:
            return f"the policy is {self.distance:.2g} away from the equilibrium, closed forms hold within {CLOSE:g}"
        if not self.nearest.policy.min() > 0.0:
            return "the equilibrium never takes some action"
        return "" if self.game.n_states <= GRADIENT_STATES else f"closed forms take at most {GRADIENT_STATES} states"

    def close(self) -> Equilibrium | None:
        """Return the nearest equilibrium, if the policy is close to it and it has closed forms."""
        return None if self.why() else self.nearest

    def lacking(self) -> str:
        """Return why a constant is not known."""
        return self.why() or ("its linear system has no solution" if self.smooth else "the rewards have a kink there")

    def regularized(self) -> float:
        """Return the constant of the gain at the nearest equilibrium, if the policy is close to it."""
        if not (self.game.has_features and (nearest := self.close())):
            return np.nan
        with contextlib.suppress(*FAILURES):
            if self.smooth:
                return gap_constants.regularized_gap_constant(self.game, nearest.policy, self.regularizer)
            if self.game.n_states == 2:
                return gap_constants.two_state_gap_constant(self.game, nearest.policy, self.regularizer)
        return np.nan

    def own_state(self, regularizer: Regularizer | None) -> float:
        """Return the constant for a deviator who sees its own state only; without a regularizer if all actions tie."""
        nearest = self.close() if regularizer is not None else None
        if not self.game.has_features or (regularizer is not None and nearest is None):
            return np.nan
        policy = self.policy if nearest is None else nearest.policy
        with contextlib.suppress(*FAILURES):
            return gap_constants.own_state_gap_constant(self.game, policy, regularizer)[0]
        return np.nan

    def unregularized(self) -> float:
        """Return the constant of the unregularized gain of a policy to which all actions are equally good."""
        if not self.game.has_features or self.game.n_states != 2:
            return np.nan
        return gap_constants.two_state_gap_constant(self.game, self.policy, None)


def _order(
    game: Game, constants: _Constants, *, limit: float, values_range: float, regularizer: Regularizer | None
) -> Order:
    """Return the order of the gain with a regularizer or without (docs/theory, section 9.10)."""
    if constants.unsettled:
        return Order(limit, np.nan, np.nan, np.nan, np.nan, constants.unsettled)
    kinked = 0.5 if not constants.smooth else 1.0
    # at an equilibrium what is gained is of second order in what the population moves
    equilibrium_like = limit <= NEGLIGIBLE * values_range
    if regularizer is not None:
        constant = constants.regularized()
        if not equilibrium_like:
            known = np.isfinite(constant)
            why = "the policy is no equilibrium to rounding" if known else constants.lacking()
            return Order(limit, 1.0 if known else kinked, constant, kinked, np.nan, why)
        own = constants.own_state(regularizer)
        why = "" if np.isfinite(own + constant) else constants.lacking()
        return Order(limit, 1.0, constant, 2.0 * kinked, own, why)
    gaps = _advantages(game, constants.policy, constants.mean_field)
    tied, visited = (gaps <= TIE * values_range).sum(axis=1) > 1, constants.mean_field > 0.0
    if (tied & visited).any():
        if not (gaps[visited] <= TIE * values_range).all():
            return Order(limit, 0.5, np.nan, kinked, np.nan, "some actions are equally good, and others are not")
        constant, own = constants.unregularized(), constants.own_state(None)
        why = "" if np.isfinite(own + constant) else "the closed form takes a game of features with two states"
        return Order(limit, 0.5, constant, kinked, own, why)
    if not equilibrium_like:
        return Order(limit, kinked, np.nan, kinked, np.nan, "the policy is no equilibrium without the regularizer")
    return Order(limit, np.inf, 0.0, np.inf, 0.0)


def _advantages(game: Game, policy: np.ndarray, mean_field: np.ndarray) -> np.ndarray:
    """Return by how much each action falls short of the best, for one who optimizes without regularizer, (S, A)."""
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    best = equilibrium.best_response(transition, reward, game.discount)
    q = operators.q_of_decision_process(transition, reward, game.discount, policy=best, regularizer=None)
    return np.asarray(q.max(axis=1, keepdims=True) - q)


def _gain(
    game: Game,
    policy: np.ndarray,
    n_agents: int,
    *,
    regularizer: Regularizer,
    constants: _Constants,
    orders: tuple[Order, Order],
    seed: int,
) -> Gain:
    """Return the gain among N agents, by the first route that the size of the game allows."""
    order = orders[0]
    # next to a kink the constant is right only while the fluctuations are much larger than the distance to it
    near = constants.smooth or not constants.distance * np.sqrt(n_agents) > CLOSE
    predicted = order.limit + order.constant / n_agents**order.exponent if near else np.nan
    # the own-state gain at a distance errs by the order of distance / N, or distance / sqrt(N) at a kink
    steady = constants.distance * n_agents ** (0.5 * order.own_state_exponent) <= CLOSE
    own_predicted = order.limit + order.own_state_constant / n_agents**order.own_state_exponent if steady else np.nan

    def told(
        route: Route,
        values: Sequence[float],
        half_widths: Sequence[float],
        mean: np.ndarray,
        spread: np.ndarray,
        why: str,
        own: Sequence[float] | None = None,
    ) -> Gain:
        limits = (own_predicted if np.isfinite(own_predicted) else order.limit, orders[1].limit)
        own_route: Route = "exact" if own else "closed form" if np.isfinite(own_predicted) else "limit"
        gains = own or limits
        intervals = [(float(v - w), float(v + w)) for v, w in zip(values, half_widths, strict=True)]
        return Gain(
            n_agents=n_agents,
            route=route,
            regularized=float(values[0]),
            unregularized=float(values[1]),
            regularized_interval=intervals[0],
            unregularized_interval=intervals[1],
            predicted=float(predicted),
            mean_field=mean,
            deviations=spread,
            why=why,
            own_state=OwnStateGain(own_route, float(gains[0]), float(gains[1]), float(own_predicted)),
        )

    largest = MOST_LUMPED_STATES if game.n_states == 2 else EXACT_STATES
    largest = UNCUT_STATES if constants.covariance is None else largest
    size = n_lumped_states(game.n_states, n_agents)
    why = f"{size:.3g} states of an agent and the counts of the others, more than {largest}"
    try:
        if size <= largest:
            features = game.with_features("audit")
            law = finite_population.stationary_counts(features, policy, n_agents)
            among = deviators.others(features, policy, law)
            values = deviators.nash_gaps(features, policy, among, regularizers=[regularizer, None])
            mean = law.probabilities @ law.mean_fields
            spread = np.sqrt(law.probabilities @ (law.mean_fields - mean) ** 2)
            own: list[float] | None = None
            with contextlib.suppress(ConvergenceError):
                own = deviators.nash_gaps(features, policy, among, regularizers=[regularizer, None], sees="state")
            return told("exact", values, (0.0, 0.0), mean, spread, "", own)
    except FAILURES as error:
        why = str(error)
    try:
        rng, features = seeds.generator(seed, "audit", n_agents), game.with_features("audit")
        by = simulated_gap(features, policy, n_agents, regularizers=[regularizer, None], rng=rng)
        return told("simulated", by.gain.tolist(), by.half_width.tolist(), by.mean_field, by.deviations, why)
    except FAILURES as error:
        # a game without features is neither computed nor simulated, whatever its size
        why = f"{why}; not simulated: {error}" if game.has_features else str(error)
    variances = np.full(game.n_states, np.nan) if constants.covariance is None else np.diag(constants.covariance)
    spread = np.sqrt(np.maximum(variances, 0.0) / n_agents)
    known = np.isfinite(predicted)
    values = [float(predicted) if known else order.limit, orders[1].limit]
    return told("closed form" if known else "limit", values, (0.0, 0.0), constants.mean_field, spread, why)
