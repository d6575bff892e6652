"""Certificates that PMA contracts, far sharper than the theory's own bound (docs/theory, section 5.3).

Three things are gained on `theory.lipschitz.contraction_bound`: a set of policies that PMA never leaves, with the part
of the simplex that its populations live in (`theory.invariant_sets`); spans in place of sup norms, since a constant
added to a row of Q moves nothing; and norms weighted by state, in place of a factor A. With T(x) a bound on the change
of q from the distance x of two policies, state by state, and F a bound on the distance after a step, x -> F(x, T(x)) is
monotone and homogeneous, and every weight w gives the constant max_s F(w, T(w))(s) / w(s). `certificate` holds before
anything is solved; `theory.attraction` uses a computed equilibrium and certifies more. Cost: O((S A)^2 S^3) a game and
strength.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pma_mfg import operators
from pma_mfg.errors import InputError
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Mirror, Regularizer, kind
from pma_mfg.theory import lipschitz
from pma_mfg.theory.invariant_sets import InvariantSet, NoisySet, invariant_set, outward


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


def certificate(
    game: MeanFieldGame,
    regularizer: Regularizer,
    step_size: float,
    *,
    mirror: Mirror = "euclidean",
    found: InvariantSet | None = None,
) -> Certificate:
    """Return the sharpest Lipschitz constant that is proven for unconstrained PMA (docs/theory, Theorem 5.9).

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
    for norm, step in steps(found, regularizer, step_size, mirror=mirror, n_actions=game.n_actions).items():
        weights = np.ones(game.n_states)
        for _ in range(200):  # power iteration of a monotone homogeneous map: every weight gives a valid constant
            change = _change_between(game, found, _as_l1(weights, norm, regularizer, game.n_actions))
            if not np.isfinite(change).all():
                break
            following = step(weights, change)
            ratios = following / weights
            if (largest := float(ratios.max()) * outward(game.discount)) < best.L_gamma:
                best = Certificate(largest, norm, weights, best.kind)
            if largest <= (1.0 + 1e-9) * float(ratios.min()):
                break
            weights = np.maximum(following / following.max(), 1e-9)
    return best


def noisy_contraction(
    game: MeanFieldGame, regularizer: Regularizer, step_size: float, *, noisy: NoisySet
) -> tuple[float, float, float]:
    """Return L, the distance at the start and the weight of noise in the error of PMA with a learned Q.

    From the uniform policy, sup_s ||pi_K - pi*||_1 <= L^K start + sum_k L^(K-1-k) noise sup_s ||Q_k(s) - q_k(s)||_2,
    with q_k the true Q of pi_k (docs/theory, section 10.2).

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
    farthest = farthest_in(found, operators.uniform_policy(game))
    if best.norm == "l2":
        curvature = regularizer.strength * np.maximum(2.0, 1.0 / found.most)
        noise = 1.0 / (1.0 / step_size + curvature)
        farthest, to_l1 = np.sqrt(0.5) * farthest, l1_over_l2(actions)
    else:
        step = steps(found, regularizer, step_size, mirror="euclidean", n_actions=actions)["l1"]
        noise, to_l1 = step(np.zeros(game.n_states), np.full(game.n_states, np.sqrt(2.0))), 1.0
    scale = to_l1 * float(best.weights.max())
    return best.L_gamma, scale * float((farthest / best.weights).max()), scale * float((noise / best.weights).max())


def _kind(game: MeanFieldGame) -> str:
    return lipschitz.weaker(lipschitz.kind_of(game.transition_features), lipschitz.kind_of(game.reward_features))


def _as_l1(radius: np.ndarray, norm: str, regularizer: Regularizer, n_actions: int) -> np.ndarray:
    """Return a bound on ||pi(s) - pi'(s)||_1 from one in another norm, shape (S,), linear in the radius."""
    if norm == "log-span":
        return radius / (2.0 * regularizer.strength)
    return radius * l1_over_l2(n_actions) if norm == "l2" else radius


def l1_over_l2(n_actions: int) -> float:
    """Return max ||x||_1 / ||x||_2 over x that sums to zero; half of it is max ||x - mean||_2 / sp(x)."""
    return float(np.sqrt(n_actions - (n_actions % 2) / n_actions))


def steps(
    found: InvariantSet, regularizer: Regularizer, step_size: float, *, mirror: Mirror, n_actions: int
) -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """Return, per norm, the bound on the distance after a step from the one before and from sp_a of the change of q."""
    tau = regularizer.rho
    entropy = kind(regularizer) == "entropy"
    inverse = 0.0 if step_size == np.inf else 1.0 / step_size
    curvature = tau * np.maximum(2.0, 1.0 / found.most) if entropy else np.full(len(found.most), tau)

    def log_span(radius: np.ndarray, change: np.ndarray) -> np.ndarray:
        return np.asarray((inverse * radius + tau * change) / (inverse + tau))

    def l2(radius: np.ndarray, change: np.ndarray) -> np.ndarray:
        return np.asarray((inverse * radius + 0.5 * l1_over_l2(n_actions) * change) / (inverse + curvature))

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
    return q_change(
        game, found, found.q_population, gain_in_population=found.gain_population, population=population, gain=gain
    )


def q_change(
    game: MeanFieldGame,
    found: InvariantSet,
    in_population: np.ndarray,
    *,
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
    # where all actions have the same transitions, differences of values have no effect, however large
    steered = np.multiply(found.steering, value, out=np.zeros_like(found.steering), where=found.steering > 0.0)
    return np.asarray(direct + 0.5 * game.discount * steered)


def farthest_in(found: InvariantSet, equilibrium: np.ndarray) -> np.ndarray:
    """Return the largest ||pi(s) - pi*(s)||_1 for pi in the set, shape (S,)."""
    actions = equilibrium.shape[1]
    size = np.arange(1, actions)
    smallest_sums = np.sort(equilibrium, axis=1).cumsum(axis=1)[:, :-1]
    most = np.minimum(size * found.most[:, None], 1.0 - (actions - size) * found.least[:, None])
    return np.asarray(2.0 * (most - smallest_sums).max(axis=1, initial=0.0))
