"""PLACEHOLDER of the sharp certificate, to be overwritten: it returns the bound of docs/theory.md, section 5.

Only the names, arguments and fields are settled. `invariant_set` returns a box inside U, so that the old bound holds
on it, but the box is not claimed to be invariant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from pma_mfg import lipschitz
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Entropy, Mirror, Regularizer


@dataclass(frozen=True)
class Certificate:
    """A certified Lipschitz constant of unconstrained PMA.

    Parameters
    ----------
    L_gamma : float
        On the invariant set; infinite if nothing is certified.
    norm : str
        The norm on policies, one of `search.NORMS`.
    kind : str
        Of the constants that it is made of.
    """

    L_gamma: float
    norm: str
    kind: str


@dataclass(frozen=True)
class InvariantSet:
    """W = {pi : least <= pi <= most, |pi_a - pi_b| <= difference}, each bound of shape (S,)."""

    least: np.ndarray
    most: np.ndarray
    difference: np.ndarray


def certificate(
    game: MeanFieldGame, regularizer: Regularizer, step_size: float, mirror: Mirror = "euclidean"
) -> Certificate:
    """Return the old bound for the Euclidean mirror map, and no certificate for the other."""
    bound = lipschitz.contraction_bound(game, regularizer, min(step_size, 1e300))
    return Certificate(bound.L_gamma if mirror == "euclidean" else np.inf, "sup_s ||.||_2", bound.kind)


def invariant_set(game: MeanFieldGame, regularizer: Regularizer, mirror: Mirror = "euclidean") -> InvariantSet:
    """Return a box around the uniform policy that lies in U."""
    actions, floor = game.n_actions, lipschitz.policy_floor(game, regularizer)

    def slack(width: float) -> float:
        u = 1.0 / actions + width / 2.0 * np.where(np.arange(actions) < actions // 2, 1.0, -1.0)
        u[-1] = 1.0 - u[:-1].sum()
        return float(regularizer.value(np.maximum(u, 0.0))) - floor

    widest = 1.0 / actions
    width = widest if actions == 1 or slack(widest) >= 0.0 else float(brentq(slack, 0.0, widest))
    bounds = (1.0 / actions - width / 2.0, 1.0 / actions + width / 2.0, width)
    return InvariantSet(*(np.full(game.n_states, bound) for bound in bounds))


def least_probability(game: MeanFieldGame, regularizer: Regularizer, step_size: float) -> float:
    """Return p_inf of Lemma 10.4, 0 for the quadratic regularizer."""
    if not isinstance(regularizer, Entropy):
        return 0.0
    exponent = (lipschitz.q_range(game, regularizer) + 1.0 / step_size) / regularizer.strength
    return float(1.0 / (1.0 + (game.n_actions - 1) * np.exp(min(exponent, 700.0))))
