"""Continuation in the strength of the regularizer (docs/theory.md, section 3.7).

Under a strong regularizer the equilibrium is nearly uniform; it is followed down to the given strength, Newton's method
at each strength starting from the equilibrium of the last.
"""

from __future__ import annotations

import numpy as np

from pma_mfg import operators, regularizers
from pma_mfg.equilibrium.newton_in_policy import newton
from pma_mfg.equilibrium.solution import FAILURES
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer

#: at this residual.
CONTINUATION_TOLERANCE = 1e-9


def branch(game: Game, regularizer: Regularizer) -> np.ndarray | None:
    """Return the end of the branch of equilibria that `_continued` follows; None where it cannot begin."""
    try:
        return _continued(game, regularizer)
    except FAILURES:
        return None


def _continued(game: Game, regularizer: Regularizer) -> np.ndarray | None:
    """Follow the equilibrium from a strong regularizer, under which it is nearly uniform, down to the given one.

    Newton's method at each strength starts from the equilibrium of the last. The strength falls by half, or by less
    where that is too far for Newton's method; None where even a few percent are (the branch has an end, or a kink).
    """
    policy = operators.uniform_policy(game)
    q = operators.q_values(game, policy, operators.stable_population(game, policy), regularizer)
    # a strength at which policies are nearly uniform: rho exceeds what values differ by
    per_rho = regularizer.strength / regularizer.rho
    strength, factor = max(2.0 * float(np.ptp(q, axis=1).max()) * per_rho, 2.0 * regularizer.strength), 0.5
    while strength > regularizer.strength:
        lower = regularizers.with_strength(regularizer, max(regularizer.strength, factor * strength))
        try:
            candidate, residual = newton(game, policy, 1.0 / lower.rho, lower, CONTINUATION_TOLERANCE, [])
        except ConvergenceError:  # no stable population on the way
            residual = np.inf
        if residual <= CONTINUATION_TOLERANCE:
            policy, strength, factor = candidate, lower.strength, max(0.5, factor**2)
        elif (factor := factor**0.5) > 0.98:
            return None
    return policy
