"""Certified rates at which PMA reaches a computed equilibrium (docs/theory.md, section 5.4).

The distance x to the equilibrium, state by state, obeys a monotone comparison system x_{k+1} <= F(x_k, T(x_k)). Its
constants are taken at the equilibrium, and terms of second order vanish there: more is certified than by a contraction
on the whole set. The system is followed from the size of the set to almost zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from pma_mfg import operators
from pma_mfg.arrays import accepts
from pma_mfg.games.model import Features, MeanFieldGame
from pma_mfg.regularizers import Mirror, Regularizer, kind
from pma_mfg.theory import lipschitz
from pma_mfg.theory.certificates import farthest_in, l1_over_l2, q_change, steps
from pma_mfg.theory.invariant_sets import InvariantSet, invariant_set, row_spread, vertices_above, within_states
from pma_mfg.theory.lipschitz import Rows

#: From distances to the equilibrium, state by state, to a bound on sp_a(q_pi - q*), both (S,).
Change = Callable[[np.ndarray], np.ndarray]

#: `attraction` follows its comparison system until the distance has shrunk by this factor.
SHRUNK = 1e-8

#: and not at all below this pace, eta rho: some millions of steps, or steps that rounding loses.
SLOWEST = 1e-5


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
                step = steps(found, regularizer, driving, mirror, game.n_actions)[norm]
                ends[driving] = _followed(step, capped, start, min(1.0, driving * regularizer.rho))
            if (end := ends[driving]) is not None:
                step = steps(found, regularizer, step_size, mirror, game.n_actions)[norm]
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
    vertices = vertices_above(found.least_mean_field)

    def target(least: np.ndarray | None) -> Rows:
        """Rows of R + gamma P V*: rewards and transitions act on it together, and may cancel."""
        base, terms, features = lipschitz.transition_rows(game, least)
        own_base, own_terms, own_features = lipschitz.reward_rows(game, least)
        joined = (np.concatenate(pair) for pair in zip(_parts(own_features), _parts(features), strict=True))
        expected = game.discount * (terms @ value)[..., None]
        own_base = own_base + game.discount * (base @ value)[:, None]
        return own_base, np.concatenate([own_terms, expected]), Features(*joined)

    q_population = within_states(row_spread([(target(None), 1.0)], vertices), actions)
    gain_population = float(row_spread([(target(found.least), 1.0)], vertices).max())

    def change(radius: np.ndarray, loss: np.ndarray) -> np.ndarray:
        """From ||pi(s) - pi*(s)||_1 and the loss V* - T_pi V* at mu*, each (S,)."""
        population = 0.5 * float(mean_field @ (steering * radius)) / (1.0 - found.L_pop)
        return q_change(game, found, q_population, gain_population, population, float(loss.max()))

    farthest = farthest_in(found, equilibrium)
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
    scales = {"l2": (l1_over_l2(actions), 1.0), "l1": (1.0, np.sqrt(0.5))}
    starts = {"l2": np.sqrt(0.5) * farthest, "l1": farthest}
    compared: dict[str, tuple[np.ndarray, Change, Change]] = {}
    for norm in steps(found, regularizer, np.inf, mirror, actions):
        if norm == "log-span":
            start = found.q_span + slopes
            capped, free = partial(in_logarithms, cap=True), partial(in_logarithms, cap=False)
        else:
            start, (to_l1, to_l2) = starts[norm], scales[norm]
            capped, free = (partial(in_space, to_l1=to_l1, to_l2=to_l2, cap=cap) for cap in (True, False))
        compared[norm] = np.maximum(start, 1e-6), capped, free  # a set of one point has a distance of zero
    return compared


def _parts(features: Features) -> tuple[np.ndarray, ...]:
    return features.weights, features.offsets, features.links, features.parameters
