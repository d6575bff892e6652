"""The N-agent game solved exactly on the lattice of counts: what is learned.

See docs/theory, sections 9.6 and 9.7. All agents hold one policy; their counts are a Markov chain on
C(N + S - 1, S - 1) points (`populations.lattice`). Its stationary law gives the limit of TD learning and the fixed
point of centralized learning. Cost: the rows of the chain, once if they fit into `MEMORY`, else once per application,
and a dozen applications. What one agent gains by deviating is in `populations.deviators`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.special import chdtri

from pma_mfg import operators, solvers
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.populations import fluctuations, lattice
from pma_mfg.populations.counts import BLOCK, SOURCE, averaged_kernels, check_size, check_visited, unvisited
from pma_mfg.regularizers import Regularizer
from pma_mfg.theory import lipschitz

log = logging.getLogger("pma_mfg")

#: One step of a chain, from a law on its points to the next.
Step = Callable[[np.ndarray], np.ndarray]

#: Largest probability per step, under the stationary law, of leaving the lattice points that are kept.
LOST_MASS = 1e-12

#: Number of lattice points up to which all are kept.
WHOLE = 2_500

#: Bytes up to which the rows of the chain are stored; above they are computed anew at every application.
MEMORY = 3 * 2**30

#: l1 residual at which a stationary law is accepted.
RESIDUAL = 1e-13

#: Error of a stationary law above which a warning is logged.
COUNTS_ERROR = 1e-9

#: l1 change of a policy in a step of learning at which its limit is accepted.
LIMIT_TOLERANCE = 1e-10

#: Steps of the chain of counts from each of two directions, in the search for its slowest mode.
MODE_STEPS = 10


@dataclass(frozen=True)
class StationaryCounts:
    """The stationary law of the counts of N agents who hold one policy.

    What is promised is a small residual, not a small error: the l1 norm of law P - law is at most ten times `RESIDUAL`,
    and up to `LOST_MASS` per step leaves the points kept. The error may be 1 / (1 - |lambda_2|) times their sum, with
    lambda_2 the second largest eigenvalue of the chain of counts: of agents who move on their own that of the chain of
    one, of agents between two conventions one next to 1. `error` says how much that is, and where it is above
    `COUNTS_ERROR` a warning is logged. Entries below the sum are rounding.

    Parameters
    ----------
    counts : ndarray of int, shape (D, S)
        The points kept.
    probabilities : ndarray, shape (D,)
    indices : ndarray of int, shape (D,)
        Their places in the whole lattice.
    radius : float
        The squared Mahalanobis distance from the stable population within which points are kept; infinite: all are.
    lost : float
        Probability that leaves the points kept in one step.
    error : float
        What the law may be off by: where L_pop < 1 a bound on the error of the mean of every function that is
        1-Lipschitz in the mean field, else an estimate of the l1 error within the points kept (docs/theory, section
        9.6).
    """

    counts: np.ndarray
    probabilities: np.ndarray
    indices: np.ndarray
    radius: float
    lost: float
    error: float

    @property
    def mean_fields(self) -> np.ndarray:
        """The points as distributions, shape (D, S)."""
        return np.asarray(self.counts / self.counts[0].sum())

    def given_state(self, values: np.ndarray) -> np.ndarray:
        """Return E[f(mu_hat) | own state], shape (S, K), for f at the points, shape (D, K): Proposition 9.2 (i)."""
        weights = self.probabilities[:, None] * self.counts
        return np.asarray(weights.T @ values / weights.sum(axis=0)[:, None])


@accepts()
def stationary_counts(game: MeanFieldGame, policy: np.ndarray, n_agents: int) -> StationaryCounts:
    """Return the stationary law of the counts of N agents who all hold a policy (docs/theory, section 9.6).

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    n_agents : int
        N >= 2, such that S C(N + S - 2, S - 1) <= `games.model.MOST_LUMPED_STATES`.

    Returns
    -------
    StationaryCounts
        Up to a mass of `LOST_MASS` per step, and an l1 residual of `RESIDUAL`. Where that leaves an error above
        `COUNTS_ERROR`, because the counts mix slowly, a warning is logged.

    Raises
    ------
    InputError
        If there are too many states; the message says how many. If some are left for good (`never_visited`).
    ConvergenceError
        If the law does not settle.

    Notes
    -----
    The chain of the counts must have one recurrent class for the limits made of the law to be the only ones
    (docs/theory, section 9.2); that is not checked. With several classes the law found is one of many.
    """
    game = game.dense(SOURCE)
    n_agents = check_size(game, n_agents)
    law, step = _law_and_chain(game, policy, n_agents)
    law = replace(law, error=_error(game, law, step))
    if law.error > COUNTS_ERROR:
        log.warning(
            "warning: the counts of %d agents mix slowly: their stationary law may be off by %.1g (l1)",
            n_agents,
            min(law.error, 2.0),
        )
    return law


def _error(game: MeanFieldGame, law: StationaryCounts, step: Step) -> float:
    """Return `StationaryCounts.error`: residual and lost mass over what the slowest mode changes by in a step."""
    residual = float(np.abs(step(law.probabilities) - law.probabilities).sum())
    missed = max(residual, RESIDUAL) + 2.0 * law.lost  # a smaller residual is rounding
    if (L_pop := lipschitz.population_contraction(game)[0]) < 1.0:
        return missed / (1.0 - L_pop)
    # a function of the mean field, once by itself, which is there in every convention, and once under the law
    function = law.mean_fields @ np.random.default_rng(0).normal(size=game.n_states)
    directions = (function - function.mean(), law.probabilities * (function - law.probabilities @ function))
    slowness = min(
        solvers.slowest_change(step, law.probabilities, direction, iterations=MODE_STEPS) for direction in directions
    )
    return missed / max(slowness, solvers.EPSILON)


def _law_and_chain(game: MeanFieldGame, policy: np.ndarray, n_agents: int) -> tuple[StationaryCounts, Step]:
    """Return the stationary law of the counts, its error not known yet, and a step of their chain on its points."""
    check_visited(game, policy, n_agents)
    points = lattice.points(n_agents, game.n_states)
    distances, radius = distances_of(game, policy, points)
    kernels = averaged_kernels(game, policy)
    while True:
        columns = np.flatnonzero(distances <= radius)
        if len(columns) == len(points):
            radius = np.inf
        start = np.exp(-0.5 * (distances[columns] - distances.min()))
        law, lost, step = _settled_law(kernels, points, columns, start / start.sum())
        if radius == np.inf or lost <= LOST_MASS:
            return StationaryCounts(points[columns], law, columns, radius, lost, np.nan), step
        radius *= 1.3


def _settled_law(
    kernels: Callable[[np.ndarray], np.ndarray], points: np.ndarray, columns: np.ndarray, start: np.ndarray
) -> tuple[np.ndarray, float, Step]:
    """Return the stationary law of the chain restricted to some points, and what the restriction leaves out.

    Returns
    -------
    law : ndarray, shape (D,)
        Stationary for the chain given that it stays on the points.
    lost : float
        Probability of leaving the points in one step from this law.
    step : callable
        One step of the chain, without the mass that leaves.
    """
    counts = points[columns]
    fields = counts / counts[0].sum()
    blocks = row_blocks(counts, lambda part: kernels(fields[part]), lattice.Rows(points, columns))
    lost = 0.0

    def chain(law: np.ndarray) -> np.ndarray:
        moved: np.ndarray = np.zeros(len(columns))
        for part, block in blocks():
            moved += law[part] @ block
        return moved

    def step(law: np.ndarray) -> np.ndarray:
        nonlocal lost
        moved = chain(law)
        lost = max(0.0, 1.0 - float(moved.sum() / law.sum()))
        return np.asarray(moved / moved.sum())

    law, history = solvers.anderson(step, start, RESIDUAL, max_iterations=500)
    if history[-1] > 10.0 * RESIDUAL:
        raise ConvergenceError("finite_population.stationary_counts: no stationary law of the counts", history)
    return law, lost, chain


@accepts()
def learning_limit(
    game: MeanFieldGame, policy: np.ndarray, n_agents: int, *, regularizer: Regularizer | None
) -> np.ndarray:
    """Return what TD learning of `policy` in the N-agent game converges to, exactly, shape (S, A).

    The Q-function of the averaged decision process (docs/theory, sections 9.2 and 9.6).

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    n_agents : int
        N >= 2, such that S C(N + S - 2, S - 1) <= `games.model.MOST_LUMPED_STATES`.
    regularizer : Regularizer or None

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    InputError, ConvergenceError
        As `stationary_counts`. Also if the law gives some state a share below `LOST_MASS`, which may be none: what
        other agents do while one is there is not known then.
    """
    return _limit_of(game.dense(SOURCE), policy, stationary_counts(game, policy, n_agents), regularizer)


def _limit_of(
    game: MeanFieldGame, policy: np.ndarray, law: StationaryCounts, regularizer: Regularizer | None
) -> np.ndarray:
    shares = law.probabilities @ law.mean_fields
    if (lost := np.flatnonzero(~(shares > LOST_MASS))).size:
        raise unvisited(game, int(law.counts[0].sum()), lost)
    features = (game.transition_features, game.reward_features)
    averages = [law.given_state(of.values(law.mean_fields)) for of in features]
    process = fluctuations.decision_process(game, *averages)
    return operators.q_of_decision_process(*process, game.discount, policy=policy, regularizer=regularizer)


@accepts()
def deviation(game: MeanFieldGame, policy: np.ndarray, law: StationaryCounts) -> float:
    """Return E ||mu_hat - mu_pi||_1 under a stationary law of the counts."""
    stable = operators.stable_population(game, policy)
    return float(law.probabilities @ np.abs(law.mean_fields - stable).sum(axis=1))


@accepts(start="policy")
def policy_limit(
    game: MeanFieldGame,
    n_agents: int,
    regularizer: Regularizer,
    *,
    step_size: float,
    start: np.ndarray,
    tolerance: float = LIMIT_TOLERANCE,
) -> np.ndarray:
    """Return the policy at which centralized learning from N agents settles with unlimited samples, shape (S, A).

    The fixed point of pi -> Gamma_md^eta(q_N(pi), pi) with `learning_limit` (docs/theory, section 9.7).

    Parameters
    ----------
    game : MeanFieldGame
    n_agents : int
        As in `stationary_counts`.
    regularizer : Regularizer
    step_size : float
        eta; the fixed point does not depend on it, the convergence does.
    start : ndarray, shape (S, A)
        Best the equilibrium, or `populations.fluctuations.large_population_policy`.
    tolerance : float
        On sup_s of the l1 norm of the last change.

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    InputError
        As `stationary_counts`.
    ConvergenceError
        If 500 steps do not suffice. `fluctuations.expected_iterations` says how many to expect.
    """
    step = partial(operators.mirror_ascent_step, step_size=step_size, regularizer=regularizer)
    game = game.dense(SOURCE)
    n_agents = check_size(game, n_agents)
    stationary_counts(game, start, n_agents)  # which warns, once

    def learned(policy: np.ndarray) -> np.ndarray:
        return _limit_of(game, policy, _law_and_chain(game, policy, n_agents)[0], regularizer)

    source = "finite_population.policy_limit"
    return fluctuations.fixed_point_of_learning(
        step, learned, start, tolerance=tolerance, max_iterations=500, source=source
    )


def distances_of(game: MeanFieldGame, policy: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, float]:
    """Return squared Mahalanobis distances of counts from the stable population, and the radius to begin with."""
    n_agents = int(points[0].sum())
    try:
        covariance = fluctuations.stationary_covariance(game, policy)
    except InputError:  # no Gaussian limit to go by
        return np.zeros(len(points)), np.inf
    apart = points / n_agents - operators.stable_population(game, policy)
    distances = n_agents * np.einsum("dy,yz,dz->d", apart, np.linalg.pinv(covariance, hermitian=True), apart)
    # scipy.stats.chi2.isf, of which the import takes half a second of every job
    radius = float(chdtri(max(1, game.n_states - 1), LOST_MASS))
    return distances, (np.inf if len(points) <= WHOLE else 1.1 * radius)


def tables_of_state(game: MeanFieldGame, fields: np.ndarray, state: int) -> tuple[np.ndarray, np.ndarray]:
    """Return P(.|s,a,mu), shape (D, A, S), and R(s,a,mu), shape (D, A), of one state of a dense game at (D, S)."""
    phi, psi = (of.values(fields) for of in (game.transition_features, game.reward_features))
    moves = game.base_transition[state] + np.tensordot(phi, game.transition_terms[:, state], axes=1)
    return moves, game.base_reward[state] + psi @ game.reward_terms[:, state]


def row_blocks(
    starts: np.ndarray, kernels: Callable[[slice], np.ndarray], rows: lattice.Rows
) -> Callable[[], Iterator[tuple[slice, np.ndarray]]]:
    """Return a function that yields the rows of a chain block by block: stored if they fit, else computed each time."""
    size = max(1, BLOCK // (8 * len(rows.columns)))
    parts = [slice(start, min(start + size, len(starts))) for start in range(0, len(starts), size)]

    def computed() -> Iterator[tuple[slice, np.ndarray]]:
        return ((part, rows(starts[part], kernels(part))) for part in parts)

    if len(starts) * len(rows.columns) * 8 > MEMORY:
        return computed
    stored = list(computed())
    return lambda: iter(stored)
