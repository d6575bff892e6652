"""Certificates that PMA contracts, far sharper than the theory's own bound (docs/theory.md, sections 5.2 to 5.4).

Three things are gained on `theory.lipschitz.contraction_bound`: a set of policies that PMA never leaves, with the part
of the simplex that its populations live in; spans in place of sup norms, since a constant added to a row of Q moves
nothing; and norms weighted by state, in place of a factor A. `certificate` holds before anything is solved;
`attraction` uses a computed equilibrium and certifies more. Cost: O((S A)^2 S^3) a game and strength.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from pma_mfg import operators
from pma_mfg.arrays import accepts
from pma_mfg.errors import InputError
from pma_mfg.games.features import Features
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Mirror, Regularizer, kind
from pma_mfg.solvers import EPSILON
from pma_mfg.theory import lipschitz
from pma_mfg.theory.lipschitz import Rows

#: From distances to the equilibrium, state by state, to a bound on sp_a(q_pi - q*), both (S,).
Change = Callable[[np.ndarray], np.ndarray]

#: Least and largest probability of an action and largest difference of two, each (S,).
Bounds = tuple[np.ndarray, np.ndarray, np.ndarray]

#: Rounds of growing and of refining the invariant set; later rounds gain next to nothing.
REFINEMENTS = 30

#: A growing set overshoots what it needs by this factor, to arrive in finitely many rounds.
GROWTH = 1.001

#: A computed bound is raised by this, relative: far more than rounding (`_outward`), far less than anyone can see.
OUTWARD = 1e-12

#: `attraction` follows its comparison system until the distance has shrunk by this factor.
SHRUNK = 1e-8

#: and not at all below this pace, eta rho: some millions of steps, or steps that rounding loses.
SLOWEST = 1e-5


@dataclass(frozen=True)
class InvariantSet:
    """Policies that unconstrained PMA never leaves, and what is certain about the game while they are held.

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
        Bound on the change of sp_a(R + gamma P V) per unit of the mean field's l1 norm, V fixed.
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
    """Policies that PMA does not leave although its Q is learned, and the range of what is learned.

    Parameters
    ----------
    policies : InvariantSet
        The policies, with what is certain of the true Q there; they satisfy the bounds for every sp_a(Q) that can be
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


@dataclass(frozen=True)
class Certificate:
    """A Lipschitz constant of unconstrained PMA on `InvariantSet`, in a norm that `weights` completes.

    Parameters
    ----------
    L_gamma : float
        Below 1 PMA contracts: one equilibrium, reached from every start in W at this rate. Infinite if nothing is
        known.
    norm : str
        "l2" or "l1": max_s ||x(s)|| / weights(s); "log-span": max_s tau sp(log pi(s) - log pi'(s)) / weights(s).
    weights : ndarray, shape (S,)
    kind : str
        Of the game's constants that it is computed from; the certificate itself is an upper bound.
    """

    L_gamma: float
    norm: str
    weights: np.ndarray
    kind: str


def invariant_set(game: MeanFieldGame, regularizer: Regularizer, mirror: Mirror = "euclidean") -> InvariantSet:
    """Return a set of policies that PMA does not leave, for any step size (docs/theory.md, section 5.2).

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
        bounds = _policy_set(q_span, regularizer, actions, mirror)
        floor = np.maximum(floor, _least_row_entries(facts.rows, facts.vertices))
        if value_span > (1.0 - 1e-4) * previous:
            break
    return _described(game, regularizer, bounds, floor, facts, mirror)


def noisy_set(game: MeanFieldGame, regularizer: Regularizer) -> NoisySet:
    """Return a set of policies that PMA does not leave although its Q is learned (docs/theory.md, section 10.3).

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
        target_span = discount * (reward_span + h_span) / (1.0 - discount) * _outward(discount)
        bounds = _policy_set(np.full(states, reward_span + target_span), regularizer, actions, "euclidean")
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


def _stationary_floor(game: MeanFieldGame, least: np.ndarray) -> np.ndarray:
    """Return a lower bound on the stable populations of policies with pi(a|s) >= least(s), shape (S,).

    A stable population is an average of rows, weighted by itself: what is known of it improves what is known of it.
    """
    floor = np.zeros(game.n_states)
    for _ in range(REFINEMENTS):
        entries = lipschitz.entry_ranges(lipschitz.transition_rows(game, least), _vertices(floor))[0]
        step = np.maximum(entries, 0.0).reshape(game.n_states, game.n_actions, -1).min(axis=1)
        floor = np.maximum(floor, (floor @ step + (1.0 - floor.sum()) * step.min(axis=0)) * (1.0 - OUTWARD))
    return floor


def _described(
    game: MeanFieldGame, regularizer: Regularizer, bounds: Bounds, floor: np.ndarray, facts: _Facts, mirror: Mirror
) -> InvariantSet:
    """Return what is certain of a set of policies, from its facts."""
    states, actions, discount = game.n_states, game.n_actions, game.discount
    value_span, q_span, vertices = facts.value_span, facts.q_span, facts.vertices
    least, most, difference = bounds
    across = 0.5 * facts.apart.max(axis=(1, 3))[np.triu_indices(states, 1)]
    drift = lipschitz.steepness(facts.rows, vertices).max(axis=1)

    def spread(floor: np.ndarray | None) -> np.ndarray:
        if not np.isfinite(value_span):  # h is not bounded below on the set
            return np.full((states * actions,) * 2, np.inf)
        transitions = (lipschitz.transition_rows(game, floor), 0.5 * discount * value_span)
        return _row_spread([(lipschitz.reward_rows(game, floor), 1.0), transitions], vertices)

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
        L_pop=float((across + drift).max(initial=0.0)) * (1.0 + OUTWARD),
        q_population=_within_states(spread(None), actions),
        gain_population=float(spread(least).max()),
    )


@dataclass(frozen=True)
class _Facts:
    """What is certain while policies are within bounds and mean fields above a floor.

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
    shape, vertices, least = (game.n_states, game.n_actions) * 2, _vertices(floor), bounds[0]

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
    # nothing is steered where no action differs from another, however much values do
    steered = np.multiply(0.5 * game.discount * steering, value_span, out=np.zeros(game.n_states), where=steering > 0.0)
    q_span = (choice + steered) * _outward(game.discount)
    return _Facts(q_span, value_span, steering, delta, rows, apart, vertices)


def _outward(discount: float) -> float:
    """Return the factor by which a bound is raised: 1 - gamma delta is known to some EPS, its inverse to less."""
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
        choice = _within_states(apart, game.n_actions)
    q_span = (choice + 0.5 * game.discount * whole.steering * optimal) * (1.0 + OUTWARD)
    for _ in range(REFINEMENTS):
        bounds, floor = _policy_set(q_span, regularizer, game.n_actions, mirror), np.zeros(states)
        for _ in range(3):
            floor = np.maximum(floor, _least_row_entries(lipschitz.transition_rows(game, bounds[0]), _vertices(floor)))
        needed = _facts(game, regularizer, bounds, floor).q_span
        if (needed <= q_span).all():
            return bounds, floor
        q_span = np.maximum(q_span, needed) * GROWTH
    return everything, np.zeros(states)


def _vertices(floor: np.ndarray) -> np.ndarray:
    """Return the vertices of {mu : mu >= floor}, shape (S, S)."""
    return np.asarray(floor + (1.0 - floor.sum()) * np.eye(len(floor)))


def _least_row_entries(rows: Rows, vertices: np.ndarray) -> np.ndarray:
    """Return lower bounds on P(y|.) over rows and mean fields, shape (S,), not below 0."""
    return np.asarray(np.maximum(lipschitz.entry_ranges(rows, vertices)[0].min(axis=0), 0.0))


def _policy_set(q_span: np.ndarray, regularizer: Regularizer, n_actions: int, mirror: Mirror) -> Bounds:
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
    most = np.minimum(expit(relative - np.log(others)), (1.0 + others * difference) / n_actions)
    if mirror == "kl":
        return expit(-relative - np.log(others)), most, difference
    if n_actions == 2:
        return expit(-relative) * (1.0 - OUTWARD), most, difference  # 1 - most, without cancellation
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
    return float(np.exp(brentq(excess, low, high, xtol=1e-13) - 1e-12))


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


def least_probability(game: MeanFieldGame, regularizer: Regularizer, step_size: float) -> float:
    """Return p_inf of Assumption 3: pi(a|s) >= p_inf while every Q lies in `theory.lipschitz.q_range`, from uniform on.

    The better of an invariant set for sp(q) <= G, which holds the uniform policy, and of a bound on a single step from
    anywhere (docs/theory.md, section 10.4); with the floor of U or without.

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
    by_set = float(_policy_set(q_range, regularizer, game.n_actions, "euclidean")[0][0])
    if kind(regularizer) != "entropy":
        return by_set
    log_ratio = (float(q_range[0]) + 1.0 / step_size) / regularizer.strength
    return max(by_set, float(expit(-log_ratio - np.log(max(game.n_actions - 1, 1)))))


def certificate(
    game: MeanFieldGame,
    regularizer: Regularizer,
    step_size: float,
    mirror: Mirror = "euclidean",
    found: InvariantSet | None = None,
) -> Certificate:
    """Return the sharpest Lipschitz constant that is proven for unconstrained PMA (docs/theory.md, Theorem 5.9).

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
    step_size : float
        eta > 0, or infinity for the best-response step.
    mirror : {"euclidean", "kl"}
        With the KL mirror map a certificate is known for the entropy only.
    found : InvariantSet, optional
        Of this game, regularizer and mirror map, if it is at hand: it is the same for every step size.

    Returns
    -------
    Certificate
    """
    found = invariant_set(game, regularizer, mirror) if found is None else found
    best = Certificate(np.inf, "l1", np.ones(game.n_states), _kind(game))
    if not found.L_pop < 1.0:  # there may be several stable populations
        return best
    if game.n_actions == 1:
        return Certificate(0.0, best.norm, best.weights, best.kind)
    for norm, step in _steps(found, regularizer, step_size, mirror, game.n_actions).items():
        weights = np.ones(game.n_states)
        for _ in range(200):  # power iteration of a monotone homogeneous map: every weight gives a valid constant
            change = _change_between(game, found, _as_l1(weights, norm, regularizer, game.n_actions))
            if not np.isfinite(change).all():
                break
            following = step(weights, change)
            ratios = following / weights
            if (largest := float(ratios.max()) * _outward(game.discount)) < best.L_gamma:
                best = Certificate(largest, norm, weights, best.kind)
            if largest <= (1.0 + 1e-9) * float(ratios.min()):
                break
            weights = np.maximum(following / following.max(), 1e-9)
    return best


def noisy_contraction(
    game: MeanFieldGame, regularizer: Regularizer, step_size: float, noisy: NoisySet
) -> tuple[float, float, float]:
    """Return L, the distance at the start and the weight of noise in the error of PMA with a learned Q.

    From the uniform policy, sup_s ||pi_K - pi*||_1 <= L^K start + sum_k L^(K-1-k) noise sup_s ||Q_k(s) - q_k(s)||_2,
    with q_k the true Q of pi_k (docs/theory.md, section 10.2).

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
        The entropy.
    step_size : float
        eta > 0, or infinity for the best-response step; of the Euclidean mirror map.
    noisy : NoisySet

    Returns
    -------
    L, start, noise : float
        L is infinite if nothing is certified.

    Raises
    ------
    InputError
        For another regularizer.
    """
    if kind(regularizer) != "entropy":
        allowed = "the entropy: for others nothing is proved of noise"
        raise InputError("certificates.noisy_contraction", "regularizer", regularizer, allowed)
    found, actions = noisy.policies, game.n_actions
    if actions == 1:
        return 0.0, 0.0, 0.0  # there is one policy
    best = certificate(game, regularizer, step_size, found=found)
    # two policies whose l1 distance is x are x / sqrt(2) apart, at most; two Q's with l2 distance x differ in span by
    # sqrt(2) x, at most
    farthest = _farthest(found, operators.uniform_policy(game))
    if best.norm == "l2":
        curvature = regularizer.strength * np.maximum(2.0, 1.0 / found.most)
        noise = 1.0 / (1.0 / step_size + curvature)
        farthest, to_l1 = np.sqrt(0.5) * farthest, _l1_over_l2(actions)
    else:
        step = _steps(found, regularizer, step_size, "euclidean", actions)["l1"]
        noise, to_l1 = step(np.zeros(game.n_states), np.full(game.n_states, np.sqrt(2.0))), 1.0
    scale = to_l1 * float(best.weights.max())
    return best.L_gamma, scale * float((farthest / best.weights).max()), scale * float((noise / best.weights).max())


def _kind(game: MeanFieldGame) -> str:
    return lipschitz.weaker(*lipschitz.constants(game).kind.values())


def _as_l1(radius: np.ndarray, norm: str, regularizer: Regularizer, n_actions: int) -> np.ndarray:
    """Return a bound on ||pi(s) - pi'(s)||_1 from one in another norm, shape (S,), linear in the radius."""
    if norm == "log-span":
        return radius / (2.0 * regularizer.strength)
    return radius * _l1_over_l2(n_actions) if norm == "l2" else radius


def _l1_over_l2(n_actions: int) -> float:
    """Return max ||x||_1 / ||x||_2 over x that sums to zero; half of it is max ||x - mean||_2 / sp(x)."""
    return float(np.sqrt(n_actions - (n_actions % 2) / n_actions))


def _steps(
    found: InvariantSet, regularizer: Regularizer, step_size: float, mirror: Mirror, n_actions: int
) -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """Return, per norm, the bound on the distance after a step from the one before and from sp_a of the change of q."""
    tau = regularizer.rho
    entropy = kind(regularizer) == "entropy"
    inverse = 0.0 if step_size == np.inf else 1.0 / step_size
    curvature = tau * np.maximum(2.0, 1.0 / found.most) if entropy else np.full(len(found.most), tau)

    def log_span(radius: np.ndarray, change: np.ndarray) -> np.ndarray:
        return np.asarray((inverse * radius + tau * change) / (inverse + tau))

    def l2(radius: np.ndarray, change: np.ndarray) -> np.ndarray:
        return np.asarray((inverse * radius + 0.5 * _l1_over_l2(n_actions) * change) / (inverse + curvature))

    def l1(radius: np.ndarray, change: np.ndarray) -> np.ndarray:
        if inverse == 0.0:
            return change / (2.0 * tau)
        if not np.isfinite(change).all():
            return np.full_like(change, np.inf)
        # sup over the largest entry x of (radius + half) f(x) + half f((1-x) / (A-1)), f(x) = x / (eta tau + x)
        scale, half, others = tau / inverse, 0.5 * change / inverse, n_actions - 1
        root = np.sqrt(half / (radius + half))
        largest = np.clip((scale * (1.0 - root) + 1.0 / others) / (root + 1.0 / others), 1.0 / n_actions, found.most)
        rest = (1.0 - largest) / others
        return np.asarray((radius + half) * largest / (scale + largest) + half * others * rest / (scale + rest))

    if mirror == "kl":
        return {"log-span": log_span} if entropy else {}
    return {"l2": l2, "l1": l1} if entropy else {"l2": l2}


def _change_between(game: MeanFieldGame, found: InvariantSet, radius: np.ndarray) -> np.ndarray:
    """Return T(x) of Lemma 5.7, a bound on sp_a(q_pi(s) - q_pi'(s)) from ||pi(s) - pi'(s)||_1, shape (S,)."""
    moved = 0.5 * found.steering * radius
    floor = found.least_mean_field
    population = float(floor @ moved + (1.0 - floor.sum()) * moved.max()) / (1.0 - found.L_pop)
    gain = float((found.gap * radius).max())
    return _q_change(game, found, found.q_population, found.gain_population, population, gain)


def _q_change(
    game: MeanFieldGame,
    found: InvariantSet,
    in_population: np.ndarray,
    gain_in_population: float,
    population: float,
    gain: float,
) -> np.ndarray:
    """Return a bound on sp_a of the change of q, shape (S,), from the population's move and the span of the gain.

    The gain is <pi - pi', q> + h(pi) - h(pi') at one mean field, state by state.
    """
    # a population that does not move changes nothing, however steep the game
    direct = in_population * population if population > 0.0 else np.zeros_like(in_population)
    through_gain = gain_in_population * population if population > 0.0 else 0.0
    value = (gain + through_gain) / (1.0 - game.discount * found.delta)
    # nothing is steered where no action differs from another, however much values do
    steered = np.multiply(found.steering, value, out=np.zeros_like(found.steering), where=found.steering > 0.0)
    return np.asarray(direct + 0.5 * game.discount * steered)


def _row_spread(weighted: list[tuple[Rows, float]], vertices: np.ndarray) -> np.ndarray:
    """Return bounds on the change of the difference of two rows per unit of the mean field, weighted sums, (n, n)."""
    n = len(weighted[0][0][0])
    spread = np.zeros((n, n))
    for i in range(n):
        total = sum(
            weight * lipschitz.steepness((base, terms - terms[:, [i]], features), vertices)
            for (base, terms, features), weight in weighted
            if weight > 0.0
        )
        spread[i] = np.max(total, axis=0, initial=0.0)
    return spread


def _within_states(matrix: np.ndarray, n_actions: int) -> np.ndarray:
    """Return the largest entry of each state's own block of an (S A, S A) matrix, shape (S,)."""
    states = len(matrix) // n_actions
    blocks = np.einsum("sasb->sab", matrix.reshape(states, n_actions, states, n_actions))
    return np.asarray(blocks.max(axis=(1, 2)))


@accepts()
def attraction(
    game: MeanFieldGame,
    regularizer: Regularizer,
    step_sizes: Sequence[float],
    equilibrium: np.ndarray,
    mirror: Mirror = "euclidean",
    found: InvariantSet | None = None,
) -> np.ndarray:
    """Return certified rates at which PMA reaches this equilibrium from every start in the invariant set.

    The distance to the equilibrium obeys a monotone comparison system, whose constants are taken at the equilibrium and
    whose quadratic terms vanish there; it is followed from the size of the set to almost zero (docs/theory.md, Theorem
    5.11). A finite result implies that the equilibrium is the only one.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
    step_sizes : sequence of float
        eta > 0, or infinity.
    equilibrium : ndarray, shape (S, A)
        Computed to rounding (`equilibrium.residuals`); not checked here.
    mirror : {"euclidean", "kl"}
    found : InvariantSet, optional
        As in `certificate`.

    Returns
    -------
    ndarray, shape (len(step_sizes),)
        Asymptotic rates below 1; infinite where nothing is certified.
    """
    game = game.dense("certificates")
    rates = np.full(len(step_sizes), np.inf)
    found = invariant_set(game, regularizer, mirror) if found is None else found
    if not found.L_pop < 1.0 or (kind(regularizer) is None and not np.isfinite(found.gap).all()):
        return rates
    if game.n_actions == 1:
        return np.zeros_like(rates)
    for norm, (start, capped, change) in _comparison(game, regularizer, found, equilibrium, mirror).items():
        ends: dict[float, np.ndarray | None] = {}
        for i, step_size in enumerate(step_sizes):
            # whether the distance goes to zero is a matter of fixed points, which only for l1 depend on the step size
            driving = step_size if norm == "l1" else np.inf
            if driving not in ends:
                step = _steps(found, regularizer, driving, mirror, game.n_actions)[norm]
                ends[driving] = _followed(step, capped, start, min(1.0, driving * regularizer.rho))
            if (end := ends[driving]) is not None:
                step = _steps(found, regularizer, step_size, mirror, game.n_actions)[norm]
                rates[i] = min(rates[i], _rate_within(step, change, end))
    return np.where(rates < 1.0, rates, np.inf)


def _rate_within(step: Callable[[np.ndarray, np.ndarray], np.ndarray], change: Change, end: np.ndarray) -> float:
    """Return L with F(w) <= L w for some w >= end, where F = step(., change(.)) obeys F(t w) <= t F(w) for t <= 1."""
    weights = end
    for _ in range(100):
        following = step(weights, change(weights))
        if not np.isfinite(following).all() or following.max() == 0.0:
            break
        weights = np.maximum(following / following.max(), 1e-3) * end.max()
    weights = weights * float((end / weights).max())
    return float((step(weights, change(weights)) / weights).max())


def _followed(
    step: Callable[[np.ndarray, np.ndarray], np.ndarray],
    change: Change,
    distance: np.ndarray,
    pace: float,
) -> np.ndarray | None:
    """Iterate the comparison system until it has shrunk by `SHRUNK`; None if it stops on the way, shape (S,)."""
    if pace < SLOWEST:
        return None
    smallest = SHRUNK * float(distance.max())
    while distance.max() > smallest:
        following = np.minimum(distance, step(distance, change(distance)))
        if not ((following < (1.0 - 1e-3 * pace) * distance) & (distance > 0.1 * smallest)).any():
            return None
        distance = np.maximum(following, 0.1 * smallest)
    return distance


def _comparison(
    game: MeanFieldGame, regularizer: Regularizer, found: InvariantSet, equilibrium: np.ndarray, mirror: Mirror
) -> dict[str, tuple[np.ndarray, Change, Change]]:
    """Return, per norm, the largest distances to the equilibrium in the set, (S,), and two bounds on sp_a(q_pi - q*).

    The first bound knows that no distance is larger than the set; the second grows at least in proportion.
    """
    tau, actions = regularizer.rho, game.n_actions
    mean_field = operators.stable_population(game, equilibrium)
    value = operators.state_values(game, equilibrium, mean_field, regularizer)
    q = operators.q_values(game, equilibrium, mean_field, regularizer)
    transition = game.transition(mean_field)
    steering = np.abs(transition[:, :, None] - transition[:, None]).sum(axis=-1).max(axis=(1, 2))
    vertices = _vertices(found.least_mean_field)

    def target(least: np.ndarray | None) -> Rows:
        """Rows of R + gamma P V*: rewards and transitions act on it together, and may cancel."""
        base, terms, features = lipschitz.transition_rows(game, least)
        own_base, own_terms, own_features = lipschitz.reward_rows(game, least)
        joined = (np.concatenate(pair) for pair in zip(_parts(own_features), _parts(features), strict=True))
        expected = game.discount * (terms @ value)[..., None]
        own_base = own_base + game.discount * (base @ value)[:, None]
        return own_base, np.concatenate([own_terms, expected]), Features(*joined)

    q_population = _within_states(_row_spread([(target(None), 1.0)], vertices), actions)
    gain_population = float(_row_spread([(target(found.least), 1.0)], vertices).max())

    def change(radius: np.ndarray, loss: np.ndarray) -> np.ndarray:
        """From ||pi(s) - pi*(s)||_1 and the loss V* - T_pi V* at mu*, each (S,)."""
        population = 0.5 * float(mean_field @ (steering * radius)) / (1.0 - found.L_pop)
        return _q_change(game, found, q_population, gain_population, population, float(loss.max()))

    farthest = _farthest(found, equilibrium)
    known = kind(regularizer)
    # the span of grad h at the equilibrium, even where a probability underflows; and what of it q does not balance
    slopes = np.ptp(q, axis=1)
    unbalanced = np.ptp(q + regularizer.gradient(equilibrium), axis=1) if known == "quadratic" else np.zeros(len(q))
    # h is concave: the loss is at most <pi* - pi, q* + grad h(pi)>
    spans = found.gap - found.q_span + slopes

    def in_space(distance: np.ndarray, to_l1: float, to_l2: float, cap: bool) -> np.ndarray:
        radius = np.minimum(to_l1 * distance, farthest) if cap else to_l1 * distance
        squared = (to_l2 * distance) ** 2
        if known == "entropy":  # tau KL(pi, pi*): by the span of its gradient, or by the chi-square distance
            with np.errstate(divide="ignore", over="ignore"):  # infinite where a probability underflows
                loss = np.minimum(0.5 * radius * spans, tau * squared / equilibrium.min(axis=1))
        elif known == "quadratic":
            loss = 0.5 * radius * unbalanced + 0.5 * tau * squared
        else:
            loss = 0.5 * radius * spans
        return change(radius, loss)

    def in_logarithms(distance: np.ndarray, cap: bool) -> np.ndarray:
        radius = 2.0 * np.tanh(distance / (4.0 * tau)) if cap else distance / (2.0 * tau)
        return change(radius, distance**2 / (8.0 * tau))

    # of two entries that differ by as much, an l1 distance of x is an l2 distance of x / sqrt(2), at most
    scales = {"l2": (_l1_over_l2(actions), 1.0), "l1": (1.0, np.sqrt(0.5))}
    starts = {"l2": np.sqrt(0.5) * farthest, "l1": farthest}
    compared: dict[str, tuple[np.ndarray, Change, Change]] = {}
    for norm in _steps(found, regularizer, np.inf, mirror, actions):
        if norm == "log-span":
            start = found.q_span + slopes
            capped, free = partial(in_logarithms, cap=True), partial(in_logarithms, cap=False)
        else:
            start, (to_l1, to_l2) = starts[norm], scales[norm]
            capped, free = (partial(in_space, to_l1=to_l1, to_l2=to_l2, cap=cap) for cap in (True, False))
        compared[norm] = np.maximum(start, 1e-6), capped, free  # a set of one point has a distance of zero
    return compared


def _farthest(found: InvariantSet, equilibrium: np.ndarray) -> np.ndarray:
    """Return the largest ||pi(s) - pi*(s)||_1 for pi in the set, shape (S,)."""
    actions = equilibrium.shape[1]
    size = np.arange(1, actions)
    smallest_sums = np.sort(equilibrium, axis=1).cumsum(axis=1)[:, :-1]
    most = np.minimum(size * found.most[:, None], 1.0 - (actions - size) * found.least[:, None])
    return np.asarray(2.0 * (most - smallest_sums).max(axis=1, initial=0.0))


def _parts(features: Features) -> tuple[np.ndarray, ...]:
    return features.weights, features.offsets, features.links, features.parameters
