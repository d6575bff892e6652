"""Sets of policies that PMA never leaves, with bounds that hold on them (docs/theory, sections 5.2 and 10.3).

If sp_a(q(s)) <= G(s) for every policy of a set W, a step of PMA ends in W whenever W is the set of policies that such a
q can lead to. Two sets depend on each other, the policies and what their q can be; W is found by growing it until it
holds what it makes possible, and then by refining it. On W populations keep a lower bound, the floor, so that the
constants of the game are taken over part of the simplex only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Mirror, Regularizer, kind
from pma_mfg.solvers import EPSILON
from pma_mfg.theory import lipschitz
from pma_mfg.theory.lipschitz import Rows

#: In each state, (S,): smallest and largest probability of an action, and largest difference of two of them.
Bounds = tuple[np.ndarray, np.ndarray, np.ndarray]

#: Largest number of rounds in which the invariant set grows, and in which it is refined.
REFINEMENTS = 30

#: Factor by which a growing set exceeds what is needed, so that finitely many rounds suffice.
GROWTH = 1.001

#: Relative amount by which a computed bound is raised, so that rounding errors cannot make it too small.
OUTWARD = 1e-12


@dataclass(frozen=True)
class InvariantSet:
    """Set of policies that unconstrained PMA never leaves, with bounds on the game that hold for them.

    W = {pi : least(s) <= pi(a|s) <= most(s), |pi(a|s) - pi(b|s)| <= difference(s)}, for the entropy and the KL mirror
    map W = {pi : tau sp(log pi(s)) <= q_span(s)}, which lies in it. W contains the uniform policy and every
    equilibrium.

    Parameters
    ----------
    least, most, difference : ndarray, shape (S,)
        Bounds on the entries of a policy and on their differences, in [0, 1].
    q_span : ndarray, shape (S,)
        Bound on sp_a(q_pi(s)) for policies in W.
    gap : ndarray, shape (S,)
        Bound on sp_a(q_pi(s) + grad h(pi'(s))) for two policies in W.
    least_mean_field : ndarray, shape (S,)
        Lower bound on the stable populations of policies in W.
    value_span : float
        Bound on sp(V).
    steering : ndarray, shape (S,)
        K_a state by state.
    delta, L_pop : float
        As in `theory.lipschitz.Constants`, for policies in W and populations above `least_mean_field`.
    q_population : ndarray, shape (S,)
        Bound on the change of sp_a(R + gamma P V) per unit of the mean field's l1 norm, V fixed. Not computed, but
        infinite, where L_pop is not below 1: nothing is certified then.
    gain_population : float
        The same for its span over all states and the policies in W.
    """

    least: np.ndarray
    most: np.ndarray
    difference: np.ndarray
    q_span: np.ndarray
    gap: np.ndarray
    least_mean_field: np.ndarray
    value_span: float
    steering: np.ndarray
    delta: float
    L_pop: float
    q_population: np.ndarray
    gain_population: float


@dataclass(frozen=True)
class NoisySet:
    """Set of policies that PMA with a learned Q never leaves, with the range of the learned Q.

    Parameters
    ----------
    policies : InvariantSet
        The policies, with bounds on the true Q there; they satisfy the bounds for every sp_a(Q) that can be
        learned, not only for those of its `q_span`.
    low, high : float
        Every estimate, and every true Q, stays within [low, high] if it starts there.
    target_span : float
        Given the updated pair and the mean field, a TD target stays within an interval of this length.
    """

    policies: InvariantSet
    low: float
    high: float
    target_span: float


def invariant_set(game: MeanFieldGame, regularizer: Regularizer, mirror: Mirror = "euclidean") -> InvariantSet:
    """Return a set of policies that PMA does not leave, for any step size (docs/theory, section 5.2).

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
    mirror : {"euclidean", "kl"}

    Returns
    -------
    InvariantSet
    """
    game = game.dense("certificates")
    actions = game.n_actions
    bounds, floor = _first_set(game, regularizer, mirror)
    value_span = np.inf
    for _ in range(REFINEMENTS):
        previous, facts = value_span, _facts(game, regularizer, bounds, floor)
        value_span, q_span = facts.value_span, facts.q_span
        bounds = policy_set(q_span, regularizer, actions, mirror=mirror)
        floor = np.maximum(floor, _least_row_entries(facts.rows, facts.vertices))
        if value_span > (1.0 - 1e-4) * previous:
            break
    return _described(game, regularizer, bounds, floor, facts, mirror)


def noisy_set(game: MeanFieldGame, regularizer: Regularizer) -> NoisySet:
    """Return a set of policies that PMA does not leave although its Q is learned (docs/theory, section 10.3).

    Euclidean mirror map, entropy, any step size. The set and the range of Q depend on each other: it grows until it
    holds what it makes possible.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
        The entropy.

    Returns
    -------
    NoisySet
    """
    game = game.dense("certificates")
    states, actions, discount = game.n_states, game.n_actions, game.discount
    lowest, highest = lipschitz.entry_ranges(lipschitz.reward_rows(game), np.eye(states))
    reward_span = float(highest.max() - lowest.min())
    h_max, whole = float(regularizer.value(np.full(actions, 1.0 / actions))), regularizer.span(actions)
    h_span = 0.0
    for i in range(REFINEMENTS + 1):
        target_span = discount * (reward_span + h_span) / (1.0 - discount) * outward(discount)
        bounds = policy_set(np.full(states, reward_span + target_span), regularizer, actions, mirror="euclidean")
        needed = h_max - min(_lowest(regularizer, *entry, actions) for entry in zip(*bounds, strict=True))
        if needed <= h_span:
            break
        h_span = min(needed * GROWTH, whole) if i + 1 < REFINEMENTS else whole
    floor = _stationary_floor(game, bounds[0])
    return NoisySet(
        policies=_described(game, regularizer, bounds, floor, _facts(game, regularizer, bounds, floor), "euclidean"),
        low=(float(lowest.min()) + discount * (h_max - h_span)) / (1.0 - discount),
        high=(float(highest.max()) + discount * h_max) / (1.0 - discount),
        target_span=target_span,
    )


def least_probability(game: MeanFieldGame, regularizer: Regularizer, step_size: float) -> float:
    """Return p_inf of Assumption 3: pi(a|s) >= p_inf while every Q lies in `theory.lipschitz.q_range`, from uniform on.

    The better of an invariant set for sp(q) <= G, which holds the uniform policy, and of a bound on a single step from
    anywhere (docs/theory, section 10.4); with the floor of U or without.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
        The entropy. Others are known to keep something positive only if G < rho / (A - 1).
    step_size : float
        eta > 0, of the Euclidean mirror map.

    Returns
    -------
    float
        In [0, 1/A].
    """
    q_range = np.array([lipschitz.q_range(game, regularizer)])
    by_set = float(policy_set(q_range, regularizer, game.n_actions, mirror="euclidean")[0][0])
    if kind(regularizer) != "entropy":
        return by_set
    log_ratio = (float(q_range[0]) + 1.0 / step_size) / regularizer.strength
    return max(by_set, float(scipy.special.expit(-log_ratio - np.log(max(game.n_actions - 1, 1)))))


def _stationary_floor(game: MeanFieldGame, least: np.ndarray) -> np.ndarray:
    """Return a lower bound on the stable populations of policies with pi(a|s) >= least(s), shape (S,).

    A stable population is an average of rows, weighted by itself: what is known of it improves what is known of it.
    """
    floor = np.zeros(game.n_states)
    for _ in range(REFINEMENTS):
        entries = lipschitz.entry_ranges(lipschitz.transition_rows(game, least), vertices_above(floor))[0]
        step = np.maximum(entries, 0.0).reshape(game.n_states, game.n_actions, -1).min(axis=1)
        floor = np.maximum(floor, (floor @ step + (1.0 - floor.sum()) * step.min(axis=0)) * (1.0 - OUTWARD))
    return floor


def _described(
    game: MeanFieldGame, regularizer: Regularizer, bounds: Bounds, floor: np.ndarray, facts: _Facts, mirror: Mirror
) -> InvariantSet:
    """Return the `InvariantSet` of policies within `bounds` and mean fields >= `floor`."""
    states, actions, discount = game.n_states, game.n_actions, game.discount
    value_span, q_span, vertices = facts.value_span, facts.q_span, facts.vertices
    least, most, difference = bounds
    across = 0.5 * facts.apart.max(axis=(1, 3))[np.triu_indices(states, 1)]
    drift = lipschitz.steepness(facts.rows, vertices).max(axis=1)
    L_pop = float((across + drift).max(initial=0.0)) * (1.0 + OUTWARD)

    def spread(floor: np.ndarray | None) -> np.ndarray:
        # h is not bounded below on the set, or nothing is certified, since there may be several stable populations
        if not (np.isfinite(value_span) and L_pop < 1.0):
            return np.full((states * actions,) * 2, np.inf)
        transitions = (lipschitz.transition_rows(game, floor), 0.5 * discount * value_span)
        return row_spread([(lipschitz.reward_rows(game, floor), 1.0), transitions], vertices)

    return InvariantSet(
        least=least,
        most=most,
        difference=difference,
        q_span=q_span,
        gap=q_span + _gradient_spans(regularizer, least, most, difference, q_span, mirror, actions),
        least_mean_field=floor,
        value_span=value_span,
        steering=facts.steering,
        delta=facts.delta,
        L_pop=L_pop,
        q_population=within_states(spread(None), actions),
        gain_population=float(spread(least).max()),
    )


@dataclass(frozen=True)
class _Facts:
    """Bounds valid for every policy in `bounds` and every mean field >= `floor`.

    As in `InvariantSet`; `rows` are the transitions of extreme policies, `apart` their distances (S, A, S, A),
    `vertices` those of the mean fields.
    """

    q_span: np.ndarray
    value_span: float
    steering: np.ndarray
    delta: float
    rows: Rows
    apart: np.ndarray
    vertices: np.ndarray


def _facts(game: MeanFieldGame, regularizer: Regularizer, bounds: Bounds, floor: np.ndarray) -> _Facts:
    shape, vertices, least = (game.n_states, game.n_actions) * 2, vertices_above(floor), bounds[0]

    def distances(rows: Rows) -> np.ndarray:
        return lipschitz.row_distances(rows, vertices).reshape(shape)

    rows = lipschitz.transition_rows(game, least)
    apart = distances(rows)
    delta = min(1.0, 0.5 * float(apart.max()))
    steering = np.einsum("sasb->sab", distances(lipschitz.transition_rows(game))).max(axis=(1, 2))
    choice = np.einsum("sasb->sab", distances(lipschitz.reward_rows(game))).max(axis=(1, 2))
    highest = float(regularizer.value(np.full(game.n_actions, 1.0 / game.n_actions)))
    lowest = min(_lowest(regularizer, *entry, game.n_actions) for entry in zip(*bounds, strict=True))
    reward_span = float(distances(lipschitz.reward_rows(game, least)).max())
    value_span = (reward_span + highest - lowest) / (1.0 - game.discount * delta)
    # where all actions have the same transitions, differences of values have no effect, however large
    steered = np.multiply(0.5 * game.discount * steering, value_span, out=np.zeros(game.n_states), where=steering > 0.0)
    q_span = (choice + steered) * outward(game.discount)
    return _Facts(q_span, value_span, steering, delta, rows, apart, vertices)


def outward(discount: float) -> float:
    """Return the factor by which a bound is raised; it covers the rounding error of 1 / (1 - gamma delta)."""
    return 1.0 + max(OUTWARD, 8.0 * EPSILON / (1.0 - discount))


def _first_set(game: MeanFieldGame, regularizer: Regularizer, mirror: Mirror) -> tuple[Bounds, np.ndarray]:
    """Return bounds of an invariant set with the uniform policy and every equilibrium, and a floor of its mean fields.

    The smallest that is found by growing the set from the span of an optimal Q; else all policies.
    """
    states = game.n_states
    everything = (np.zeros(states), np.ones(states), np.ones(states))
    c = lipschitz.constants(game)
    optimal = c.L_s / (1.0 - 0.5 * game.discount * c.K_s)  # Proposition 2.3
    whole = _facts(game, regularizer, everything, np.zeros(states))
    if np.isfinite(whole.value_span):
        choice = whole.q_span - 0.5 * game.discount * whole.steering * whole.value_span
    else:  # h is not bounded below on the simplex
        apart = lipschitz.row_distances(lipschitz.reward_rows(game), np.eye(states))
        choice = within_states(apart, game.n_actions)
    q_span = (choice + 0.5 * game.discount * whole.steering * optimal) * (1.0 + OUTWARD)
    for _ in range(REFINEMENTS):
        bounds, floor = policy_set(q_span, regularizer, game.n_actions, mirror=mirror), np.zeros(states)
        for _ in range(3):
            floor = np.maximum(
                floor, _least_row_entries(lipschitz.transition_rows(game, bounds[0]), vertices_above(floor))
            )
        needed = _facts(game, regularizer, bounds, floor).q_span
        if (needed <= q_span).all():
            return bounds, floor
        q_span = np.maximum(q_span, needed) * GROWTH
    return everything, np.zeros(states)


def vertices_above(floor: np.ndarray) -> np.ndarray:
    """Return the vertices of {mu : mu >= floor}, shape (S, S)."""
    return np.asarray(floor + (1.0 - floor.sum()) * np.eye(len(floor)))


def _least_row_entries(rows: Rows, vertices: np.ndarray) -> np.ndarray:
    """Return lower bounds on P(y|.) over rows and mean fields, shape (S,), not below 0."""
    return np.asarray(np.maximum(lipschitz.entry_ranges(rows, vertices)[0].min(axis=0), 0.0))


def policy_set(q_span: np.ndarray, regularizer: Regularizer, n_actions: int, *, mirror: Mirror) -> Bounds:
    """Return least, most and difference of a set that a step with sp_a(q(s)) <= q_span(s) keeps, each (S,)."""
    relative = q_span / regularizer.rho
    if n_actions == 1:
        return np.ones_like(relative), np.ones_like(relative), np.zeros_like(relative)
    others = n_actions - 1
    if kind(regularizer) != "entropy":
        if mirror == "kl":  # no set is known that this step keeps
            return np.zeros_like(relative), np.ones_like(relative), np.ones_like(relative)
        difference = np.minimum(1.0, relative)
        return (
            np.maximum(0.0, (1.0 - others * difference) / n_actions),
            np.minimum(1.0, (1.0 + others * difference) / n_actions),
            difference,
        )
    difference = np.tanh(0.5 * relative)
    most = np.minimum(scipy.special.expit(relative - np.log(others)), (1.0 + others * difference) / n_actions)
    if mirror == "kl":
        return scipy.special.expit(-relative - np.log(others)), most, difference
    if n_actions == 2:
        return scipy.special.expit(-relative) * (1.0 - OUTWARD), most, difference  # 1 - most, without cancellation
    by_entries = np.array([_least_entry(span, top, n_actions) for span, top in zip(relative, most, strict=True)])
    by_difference = (1.0 - others * difference) / n_actions - 1e-15  # rounding of 1
    return np.maximum(by_entries, by_difference), most, difference


def _least_entry(relative_span: float, most: float, n_actions: int) -> float:
    """Return the x at which the other entries, in [x, most], have a mean of log(u_b / x) of at least relative_span."""

    def excess(log_x: float) -> float:
        x = float(np.exp(log_x))
        return float(np.log(_spread_out(x, most, n_actions)[:-1] / x).mean()) - relative_span

    low, high = -700.0, -float(np.log(n_actions))
    if excess(high) >= 0.0:
        return float(np.exp(high))
    if excess(low) <= 0.0:
        return 0.0
    return float(np.exp(scipy.optimize.brentq(excess, low, high, xtol=1e-13) - 1e-12))


def _spread_out(least: float, most: float, n_actions: int) -> np.ndarray:
    """Return the distribution with entries in [least, most] that majorizes all others, largest first, shape (A,)."""
    u = np.full(n_actions, least)
    left = 1.0 - n_actions * least
    for a in range(n_actions):
        u[a] += min(most - least, left)
        left = max(0.0, left - (most - least))
    return u


def _lowest(regularizer: Regularizer, least: float, most: float, difference: float, n_actions: int) -> float:
    """Return a lower bound on h over {least <= u <= most, |u_a - u_b| <= difference}: concave, so at extreme points."""
    by_entries = float(regularizer.value(_spread_out(least, most, n_actions)))
    corners = []
    for k in range(1, n_actions):
        if k * difference < 1.0:  # k entries on top, the others below by the difference
            bottom = (1.0 - k * difference) / n_actions
            corners.append(np.r_[np.full(k, bottom + difference), np.full(n_actions - k, bottom)])
    if n_actions * difference >= 1.0:
        corners.append(_spread_out(0.0, min(1.0, difference), n_actions))
    by_difference = min((float(regularizer.value(u)) for u in corners), default=by_entries)
    return max(by_entries, by_difference)


def _gradient_spans_above(
    regularizer: Regularizer, least: np.ndarray, most: np.ndarray, difference: np.ndarray, n_actions: int
) -> np.ndarray:
    """Return a bound on sp(grad h(pi(s))) for any regularizer: its own on {h >= the least value in the set}."""
    highest = float(regularizer.value(np.full(n_actions, 1.0 / n_actions)))
    spans = np.full(len(least), np.inf)
    for s, entry in enumerate(zip(least, most, difference, strict=True)):
        lowest = _lowest(regularizer, *entry, n_actions)
        gap = max(0.0, highest - lowest) + 4.0 * EPSILON * (abs(highest) + abs(lowest))  # rounding of both values
        if np.isfinite(gap):
            spans[s] = regularizer.gradient_span(n_actions, gap)
    return spans


def _gradient_spans(
    regularizer: Regularizer,
    least: np.ndarray,
    most: np.ndarray,
    difference: np.ndarray,
    q_span: np.ndarray,
    mirror: Mirror,
    n_actions: int,
) -> np.ndarray:
    """Return a bound on sp(grad h(pi(s))) over the set, shape (S,)."""
    if (known := kind(regularizer)) == "quadratic":
        return np.asarray(regularizer.strength * np.minimum(difference, most - least))
    if known is None:
        return _gradient_spans_above(regularizer, least, most, difference, n_actions)
    if mirror == "kl":
        return q_span
    with np.errstate(divide="ignore"):
        return np.asarray(regularizer.strength * np.log(np.minimum(most, least + difference) / least))


def row_spread(weighted: list[tuple[Rows, float]], vertices: np.ndarray) -> np.ndarray:
    """Return bounds on the change of the difference of two rows per unit of the mean field, weighted sums, (n, n)."""
    n, states = len(weighted[0][0][0]), vertices.shape[1]
    spread = np.zeros((n, n))
    for part in lipschitz.parts(n, max(terms.size for (_, terms, _), _ in weighted) + states**2 * n):
        total: float | np.ndarray = 0.0
        for (base, terms, features), weight in weighted:
            if weight > 0.0:
                differences = (terms[:, None] - terms[:, part, None]).swapaxes(0, 1)
                total = total + weight * lipschitz.steepness((base, differences, features), vertices)
        spread[part] = np.max(total, axis=-2, initial=0.0)
    return spread


def within_states(matrix: np.ndarray, n_actions: int) -> np.ndarray:
    """Return the largest entry of each state's own block of an (S A, S A) matrix, shape (S,)."""
    states = len(matrix) // n_actions
    blocks = np.einsum("sasb->sab", matrix.reshape(states, n_actions, states, n_actions))
    return np.asarray(blocks.max(axis=(1, 2)))
