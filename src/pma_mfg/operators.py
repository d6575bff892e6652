"""The operators of the theory, one function each (docs/theory, section 3). Pure; a policy has shape (S, A).

Cost for S states, A actions: one (S, S) solve per policy evaluation, a few per stable population, and the O(S A S) sums
that build a kernel. Above `solvers.DIRECT_SIZE` states iterations take the place of solves; a sparse game costs its
number of stored transitions instead of S A S. Nothing of size (S A) x (S A) is formed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array

from pma_mfg import regularizers, solvers
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.features import Table, to_dense
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Mirror, Regularizer

#: l1 residual at which a stationary distribution is accepted: the rounding error of sums over some thousand states.
STATIONARITY_TOLERANCE = 1e-13

#: Probability below which a transition counts as impossible when recurrent classes are determined.
UNREACHABLE = 1e-12

#: Probability below which a transition that depends on the mean field may be a rounding error of zero.
ROUNDED = 4.0 * solvers.EPSILON

#: Number of accelerated updates tried for a game of functions before Newton's method, which costs 2 S calls per step.
FUNCTION_UPDATES = 300

#: Largest number of final steps from a population with a small residual to the stationary law of its own chain.
POLISHING = 50

#: Distance (l1) between a population and the stationary law of its own chain above which it is not accepted.
UNSETTLED = 1e-8


@accepts(inner=True)
def population_update(game: Game, mean_field: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Gamma_pop(mu, pi)(y) = sum_{s,a} mu(s) pi(a|s) P(y|s,a,mu), equation (1).

    Parameters
    ----------
    game : Game
    mean_field : ndarray, shape (S,)
    policy : ndarray, shape (S, A)

    Returns
    -------
    ndarray, shape (S,)
        The population after one step.
    """
    transition = game.transition(mean_field)
    if isinstance(transition, csr_array):
        return push_forward(transition, mean_field[:, None] * policy)
    return np.asarray(mean_field @ policy_kernel(transition, policy))


@accepts(policy="table")
def policy_kernel(transition: Table, policy: np.ndarray) -> Table:
    """P_pi(y|s) = sum_a pi(a|s) P(y|s,a), shape (S, S), for a transition (S, A, S), or sparse for one (S A, S)."""
    if isinstance(transition, csr_array):
        states, actions = policy.shape
        starts = np.arange(0, states * actions + 1, actions)
        average = csr_array((policy.ravel(), np.arange(states * actions), starts), shape=(states, states * actions))
        return csr_array(average @ transition)
    return np.asarray(np.matmul(policy[:, None, :], transition)[:, 0, :])


def push_forward(transition: Table, weights: np.ndarray) -> np.ndarray:
    """sum_{s,a} w(s,a) P(.|s,a), shape (S,), for weights of shape (S, A): no kernel is formed."""
    rows = transition if isinstance(transition, csr_array) else transition.reshape(weights.size, -1)
    return np.asarray(weights.ravel() @ rows)


def next_value(transition: Table, value: np.ndarray) -> np.ndarray:
    """sum_y P(y|s,a) V(y), shape (S, A), for values of shape (S,)."""
    expected = np.asarray(transition @ value)
    return expected.reshape(len(value), -1)


def flow_per_feature(game: MeanFieldGame, weights: np.ndarray) -> Table:
    """sum_{s,a} w(s,a) P_k(.|s,a), shape (K, S), for weights of shape (S, A): the mass that a unit of phi_k moves."""
    base, terms = game.base_transition, game.transition_terms
    if isinstance(base, csr_array):
        entries = np.repeat(weights.ravel(), np.diff(base.indptr))
        scatter = csr_array((entries, base.indices, np.arange(base.nnz + 1)), shape=(base.nnz, game.n_states))
        return csr_array(terms @ scatter)
    rows = terms.transpose(0, 3, 1, 2).reshape(terms.shape[0] * game.n_states, weights.size)
    return np.asarray(rows @ weights.ravel()).reshape(terms.shape[0], game.n_states)


def value_per_feature(game: MeanFieldGame, value: np.ndarray) -> Table:
    """sum_y P_k(y|s,a) V(y), shape (K, S A), for values of shape (S,)."""
    base, terms = game.base_transition, game.transition_terms
    if isinstance(base, csr_array):
        rows = np.repeat(np.arange(base.shape[0]), np.diff(base.indptr))
        gather = csr_array((value[base.indices], rows, np.arange(base.nnz + 1)), shape=(base.nnz, base.shape[0]))
        return csr_array(terms @ gather)
    return np.asarray(terms @ value).reshape(terms.shape[0], game.base_reward.size)


@accepts(inner=True)
def population_jacobian(game: Game, mean_field: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """J(y, z) = d Gamma_pop(mu, pi)(y) / d mu(z); acts on directions that sum to zero.

    Parameters
    ----------
    game : Game
    mean_field : ndarray, shape (S,)
    policy : ndarray, shape (S, A)

    Returns
    -------
    ndarray, shape (S, S)
    """
    game = game.linearized(mean_field)
    flow = to_dense(flow_per_feature(game, mean_field[:, None] * policy))
    gradients = to_dense(game.transition_features.gradients(mean_field))
    return np.asarray(to_dense(policy_kernel(game.transition(mean_field), policy)).T + flow.T @ gradients)


@accepts(inner=True)
def population_map(game: Game, policy: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return mu -> Gamma_pop(mu, pi) for one policy, with what does not depend on mu averaged over it in advance."""
    if not game.has_features:
        return lambda mean_field: population_update(game, mean_field, policy)
    base, terms, features = game.base_transition, game.transition_terms, game.transition_features
    if len(features.links) == 0:
        kernel = policy_kernel(base, policy)
        return lambda mean_field: np.asarray(mean_field @ kernel)
    if isinstance(terms, csr_array):
        return lambda mean_field: population_update(game, mean_field, policy)
    averaged = policy_kernel(base, policy), np.array([policy_kernel(term, policy) for term in terms])
    return lambda mean_field: np.asarray(
        mean_field @ averaged[0] + features.values(mean_field) @ (mean_field @ averaged[1])
    )


@accepts(start="mean_field")
def stable_population(
    game: Game, policy: np.ndarray, start: np.ndarray | None = None, *, max_iterations: int = 10_000
) -> np.ndarray:
    """Gamma_pop^inf(pi): the mean field that the policy keeps, mu = Gamma_pop(mu, pi), equation (2).

    Where transitions do not depend on the mean field: the stationary law of the policy's chain by elimination without
    subtractions, every entry to some S machine epsilons of itself. Else Newton's method, safeguarded by plain updates
    (a step is kept only if it stays in the simplex and halves the residual), and at the end mu is the stationary law of
    its own chain P(mu), by the same elimination (section 3.2). A game of functions gets accelerated plain updates
    first, since its derivatives are expensive.

    Above `solvers.DIRECT_SIZE` states: Anderson acceleration of the plain updates (section 3.3), which promises an l1
    residual of 1e-13 and no more. The error may be 1 / (1 - |lambda_2|) times that, with lambda_2 the second largest
    eigenvalue of the chain; `equilibrium.shortcomings` warns where that is much.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    start : ndarray, shape (S,), optional
        Where to start; uniform by default. Where the chain of the policy has several recurrent classes every one keeps
        the mass that the start gives it: its own, and that of transient states by their chances to end in it.
    max_iterations : int

    Returns
    -------
    ndarray, shape (S,)

    Raises
    ------
    ConvergenceError
        If the l1 residual stays above 1e-13, for example when the population oscillates, as soon as it returns to the
        same bits; says what was found.
    InputError
        If the policy is not one of this game.

    Examples
    --------
    >>> from pma_mfg import games
    >>> game = games.make("coordination", n_states=4, discount=0.9, attraction=1.0)
    >>> stable_population(game, uniform_policy(game)).round(3)
    array([0.25, 0.25, 0.25, 0.25])
    """
    size = game.n_states
    mean_field = np.full(size, 1.0 / size) if start is None else start
    if size > solvers.DIRECT_SIZE:
        update = population_map(game, policy)
        mean_field, history = solvers.anderson(
            update, mean_field, STATIONARITY_TOLERANCE, max_iterations=max_iterations
        )
        if history[-1] <= STATIONARITY_TOLERANCE:
            return mean_field
        raise _no_stable_population(game, policy, mean_field, history)
    chain, updated = policy_chain(game, mean_field, policy)
    if not game.has_features:
        law = chain.law(mean_field)
        if np.array_equal(game.transition(law), game.transition(mean_field)):
            return law
        iterations = min(FUNCTION_UPDATES, max_iterations)
        mean_field, _ = solvers.anderson(
            population_map(game, policy), mean_field, STATIONARITY_TOLERANCE, max_iterations=iterations
        )
        chain, updated = policy_chain(game, mean_field, policy)
    elif not game.depends_on_population:
        return chain.law(mean_field)
    history, seen, next_kept = [float(np.abs(updated - mean_field).sum())], mean_field, 1
    for iteration in range(1, max_iterations + 1):
        if history[-1] <= STATIONARITY_TOLERANCE:
            break
        candidate = _newton_step(game, policy, mean_field, chain)
        accepted = False
        if candidate is not None:
            candidate_chain, candidate_update = policy_chain(game, candidate, policy)
            residual = float(np.add.reduce(np.abs(candidate_update - candidate)))
            accepted = residual <= 0.5 * history[-1]
        if accepted and candidate is not None:
            mean_field, chain, updated = candidate, candidate_chain, candidate_update
        else:
            # renormalized: where the rows of a term do not sum to zero, the total mass off the simplex is unstable
            mean_field = updated / updated.sum()
            chain, updated = policy_chain(game, mean_field, policy)
            residual = float(np.abs(updated - mean_field).sum())
        history.append(residual)
        if (mean_field == seen).all():  # the same bits as before, so that all would repeat for ever
            break
        if iteration == next_kept:
            seen, next_kept = mean_field, 2 * next_kept
    if history[-1] <= STATIONARITY_TOLERANCE:
        mean_field, distance = _law_of_its_chain(game, policy, mean_field, chain)
        if distance <= UNSETTLED:
            return mean_field
        history.append(distance)
    raise _no_stable_population(game, policy, mean_field, history)


def policy_chain(
    game: Game, mean_field: np.ndarray, policy: np.ndarray, *, heaviest_first: bool = False
) -> tuple[solvers.Elimination, np.ndarray]:
    """Return the chain of a policy at a mean field, eliminated, and the population after one step of it.

    Where transitions depend on the mean field, those that may be rounding of zero join no classes of states.
    """
    transition = game.transition(mean_field)
    kernel = policy_kernel(transition, policy)
    updated = np.asarray(mean_field @ kernel)
    kernel = to_dense(kernel)
    edges = kernel > 0.0
    if game.depends_on_population and not kernel.min() >= UNREACHABLE and (kernel[edges] < UNREACHABLE).any():
        real = (to_dense(transition) > ROUNDED).reshape(*policy.shape, -1)
        edges &= (real & (policy > 0.0)[:, :, None]).any(axis=1)
    return solvers.Elimination(kernel, edges, masses=mean_field if heaviest_first else None), updated


def _law_of_its_chain(
    game: Game, policy: np.ndarray, mean_field: np.ndarray, chain: solvers.Elimination
) -> tuple[np.ndarray, float]:
    """Return the mean field that is the stationary law of its own chain, next to one of small residual.

    A residual does not see the error: here Newton's steps, or plain ones where those do not help, bring down the
    distance to the law itself, relative to each entry, for as long as that at least halves. Also the distance, l1.
    """
    law = chain.law(mean_field)
    for _ in range(POLISHING):
        distance = relative_distance(mean_field, law)
        if distance <= 4.0 * solvers.EPSILON:
            break
        for newton in (False, True):
            candidate = _newton_step(game, policy, mean_field, chain) if newton else law
            if candidate is None:
                continue
            candidate_chain = policy_chain(game, candidate, policy)[0]
            candidate_law = candidate_chain.law(candidate)
            if relative_distance(candidate, candidate_law) <= 0.5 * distance:
                mean_field, chain, law = candidate, candidate_chain, candidate_law
                break
        else:
            break
    return law, float(np.abs(law - mean_field).sum())


def relative_distance(mean_field: np.ndarray, law: np.ndarray) -> float:
    """Return the largest distance of two entries, relative to the larger of them."""
    some = np.maximum(mean_field, law) > 0.0
    return float((np.abs(law - mean_field)[some] / np.maximum(mean_field, law)[some]).max())


def _no_stable_population(
    game: Game, policy: np.ndarray, mean_field: np.ndarray, history: list[float]
) -> ConvergenceError:
    """Return the error of an iteration that failed, with what plain updates do from where it ended."""
    update = population_map(game, policy)
    visited = []
    for _ in range(100):
        mean_field = update(mean_field)
        mean_field = mean_field / mean_field.sum()
        visited.append(mean_field)
    distances = np.abs(np.array(visited[-13:-1])[::-1] - mean_field).sum(axis=1)
    found = f"l1 residual {min(history):.1e} at best, tolerance {STATIONARITY_TOLERANCE:g}"
    if min(history) <= STATIONARITY_TOLERANCE:
        found = (
            f"l1 residual {min(history):.1e}, but {history[-1]:.2g} (l1) from the stationary law of its own chain, "
            "which rounding decides"
        )
    if distances[0] > 1e-6 and distances.min() <= 1e-6:
        period = 1 + int(np.argmax(distances <= 1e-6))
        found += f"; plain updates cycle with period {period}, each moving {distances[0]:.2g}"
    classes = recurrent_classes(policy_kernel(game.transition(mean_field), policy))
    if len(classes) > 1:
        found += f"; the chain of the policy has {named_classes(classes)}"
    return ConvergenceError(f"stable_population: no fixed point after {len(history) - 1} iterations: {found}", history)


def population_error(kernel: Table, mean_field: np.ndarray, iterations: int = 60) -> float:
    """Estimate how far a mean field is from the stationary law of a chain, in the l1 norm.

    The residual over 1 - |lambda|, where lambda is the chain's slowest mode as power iteration on the tangent space
    sees it: 1 - |lambda| is taken from the smallest relative change in a step. From below where no mode has come out
    yet.

    Parameters
    ----------
    kernel : ndarray or csr_array, shape (S, S)
    mean_field : ndarray, shape (S,)
    iterations : int

    Returns
    -------
    float
    """
    residual = float(np.abs(mean_field @ kernel - mean_field).sum()) + solvers.EPSILON
    direction = np.random.default_rng(0).normal(size=len(mean_field)) * (mean_field > 0.0)
    slowness = solvers.slowest_change(lambda x: np.asarray(x @ kernel), mean_field, direction, iterations=iterations)
    return residual / max(slowness, solvers.EPSILON)


def recurrent_classes(kernel: Table) -> list[np.ndarray]:
    """Return the recurrent classes of a stochastic matrix (S, S): its closed strongly connected components.

    Transitions below `UNREACHABLE` do not count.

    Parameters
    ----------
    kernel : ndarray or csr_array, shape (S, S)

    Returns
    -------
    list of ndarray of int
        The states of each class, in order; the classes by their first state.
    """
    label, count = solvers.closed_components(kernel > UNREACHABLE)
    return [np.flatnonzero(label == c) for c in range(count)]


def named_classes(classes: list[np.ndarray], shown: int = 6) -> str:
    """Return a few words on recurrent classes, for a message."""
    names = [
        "{" + ", ".join(str(s) for s in states[:shown]) + (", ..." if len(states) > shown else "") + "}"
        for states in classes[:shown]
    ]
    return f"{len(classes)} recurrent classes: {', '.join(names)}{', ...' if len(classes) > shown else ''}"


def _newton_step(
    game: Game, policy: np.ndarray, mean_field: np.ndarray, chain: solvers.Elimination
) -> np.ndarray | None:
    """Newton's step for mu = mu P(mu), which is one towards the law of the chain P(mu) (docs/theory, section 3.2).

    With G = mu + D(mu P - mu) that law, D the deviation operator of the chain, and W the flow that each feature moves:
    x = G - mu + D(W y), where y = grad(phi) x are the changes of the features. None where there is no such step.
    """
    law = chain.law(mean_field)
    linear = game.linearized(mean_field)
    moved = chain.deviation(to_dense(flow_per_feature(linear, mean_field[:, None] * policy)))
    slopes = to_dense(linear.transition_features.gradients(mean_field))
    try:
        changes = np.linalg.solve(np.eye(len(moved)) - slopes @ moved.T, slopes @ (law - mean_field))
    except np.linalg.LinAlgError:
        return None
    candidate = law + changes @ moved
    if not (candidate >= -1e-9).all():
        return None
    candidate = np.maximum(candidate, 0.0)
    return np.asarray(candidate / candidate.sum())


@accepts(inner=True)
def state_values(
    game: Game, policy: np.ndarray, mean_field: np.ndarray, *, regularizer: Regularizer | None = None
) -> np.ndarray:
    """V = (I - gamma P_pi)^{-1} (R_pi + h(pi)), shape (S,), equation (3); without a regularizer h = 0.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
    regularizer : Regularizer, optional

    Returns
    -------
    ndarray, shape (S,)
    """
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    return _evaluate(transition, reward, game.discount, policy, regularizer)


def _evaluate(
    transition: Table, reward: np.ndarray, discount: float, policy: np.ndarray, regularizer: Regularizer | None
) -> np.ndarray:
    gain = (policy * reward).sum(axis=1)
    if regularizer is not None:
        gain = gain + regularizer.value(policy)
    return solvers.discounted_sum(policy_kernel(transition, policy), discount, gain)


@accepts(inner=True)
def q_values(
    game: Game, policy: np.ndarray, mean_field: np.ndarray, *, regularizer: Regularizer | None = None
) -> np.ndarray:
    """Gamma_q(pi, mu)(s,a) = R(s,a,mu) + gamma sum_y P(y|s,a,mu) V(y), shape (S, A), equation (4).

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
    regularizer : Regularizer, optional
        None means h = 0.

    Returns
    -------
    ndarray, shape (S, A)
        Without h at the first step, which is the same for every action.
    """
    return q_of_decision_process(
        game.transition(mean_field), game.reward(mean_field), game.discount, policy=policy, regularizer=regularizer
    )


@accepts(reward="table", policy="table", transition="table")
def q_of_decision_process(
    transition: Table, reward: np.ndarray, discount: float, *, policy: np.ndarray, regularizer: Regularizer | None
) -> np.ndarray:
    """Q of a policy in the decision process of a frozen transition and reward.

    Parameters
    ----------
    transition : ndarray, shape (S, A, S), or csr_array, shape (S A, S)
    reward : ndarray, shape (S, A)
    discount : float
        gamma, in [0, 1).
    policy : ndarray, shape (S, A)
    regularizer : Regularizer or None
        None means h = 0.

    Returns
    -------
    ndarray, shape (S, A)
    """
    value = _evaluate(transition, reward, discount, policy, regularizer)
    # in this order, although it copies the table: the results of every small game depend on it in their last bits
    return np.asarray(reward + next_value(discount * transition, value))


@accepts(q="table", policy="table")
def mirror_ascent_step(
    q: np.ndarray,
    policy: np.ndarray,
    step_size: float,
    *,
    regularizer: Regularizer,
    floor: float | None = None,
    mirror: Mirror = "euclidean",
) -> np.ndarray:
    """Gamma_md^eta(q, pi)(s) = argmax_u <u, q(s,.)> + h(u) - D(u, pi(s)) / eta, shape (S, A), equation (5).

    Parameters
    ----------
    q : ndarray, shape (S, A)
    policy : ndarray, shape (S, A)
    step_size : float
        eta > 0; infinity gives the best-response step.
    regularizer : Regularizer
    floor : float, optional
        Restrict u to h(u) >= floor; the theory's set U has floor h_max - L_h.
    mirror : {"euclidean", "kl"}
        The divergence D: half the squared Euclidean distance, as in the paper, or Kullback and Leibler's.

    Returns
    -------
    ndarray, shape (S, A)

    Examples
    --------
    >>> from pma_mfg.regularizers import Quadratic
    >>> mirror_ascent_step(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]), step_size=0.5, regularizer=Quadratic(0.5))
    array([[0.7, 0.3]])
    """
    return regularizers.step(regularizer, q, policy, step_size=step_size, floor=floor, mirror=mirror)


@accepts(inner=True)
def policy_mirror_ascent(
    game: Game,
    policy: np.ndarray,
    step_size: float,
    *,
    regularizer: Regularizer,
    floor: float | None = None,
    mirror: Mirror = "euclidean",
) -> np.ndarray:
    """Gamma_eta(pi) = Gamma_md^eta(Gamma_q(pi, Gamma_pop^inf(pi)), pi), shape (S, A), equation (6).

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    step_size : float
        eta > 0, or infinity.
    regularizer : Regularizer
    floor : float, optional
        As in `mirror_ascent_step`.
    mirror : {"euclidean", "kl"}
        As in `mirror_ascent_step`.

    Returns
    -------
    ndarray, shape (S, A)
        The next policy. Its fixed points are the mean field Nash equilibria, for every eta.
    """
    mean_field = stable_population(game, policy)
    q = q_values(game, policy, mean_field, regularizer=regularizer)
    return mirror_ascent_step(q, policy, step_size, regularizer=regularizer, floor=floor, mirror=mirror)


@accepts(inner=True)
def best_response_step(game: Game, policy: np.ndarray, regularizer: Regularizer) -> np.ndarray:
    """BR_h(pi) = argmax_u <u, Gamma_q(pi, mu_pi)(s,.)> + h(u): Gamma_eta in the limit of large eta.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    regularizer : Regularizer

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    ConvergenceError
        As `policy_mirror_ascent`.
    """
    return policy_mirror_ascent(game, policy, np.inf, regularizer=regularizer)


def uniform_policy(game: Game) -> np.ndarray:
    """Return the policy that draws every action with the same probability, shape (S, A)."""
    return np.full((game.n_states, game.n_actions), 1.0 / game.n_actions)


@accepts(policy="table", other="table")
def policy_distance(policy: np.ndarray, other: np.ndarray) -> float:
    """sup_s ||pi(s) - pi'(s)||_1, the theory's norm on policies."""
    return float(np.abs(policy - other).sum(axis=-1).max())
