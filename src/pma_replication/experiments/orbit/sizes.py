"""Sizes that fit one game: best response and PMA as the regularizer weakens."""

from __future__ import annotations

import math

import numpy as np

from pma_mfg import equilibrium, iterations, operators, regularizers
from pma_mfg.errors import ConvergenceError
from pma_mfg.theory.lipschitz import LEAST_KL
from pma_replication.experiments.orbit.measure import ARRIVED
from pma_replication.plan import Settings, Subject, rounded

#: Step sizes in the section `orbit`, as shares of the one that is fastest near the equilibrium.
STEP_SHARES = (0.3, 1.0)


def _orbit(subject: Subject) -> Settings:
    """Return strengths from ten times the game's own down, as far as equilibria are found and PMA reaches them in time.

    It ends before an action's probability rounds to zero, too.

    Near an equilibrium the cautious step needs log(accuracy) / log(radius) iterations; all runs get three times that of
    the last strength.
    """
    strengths: list[float] = []
    longest = 200.0
    policy: np.ndarray | None = None
    for share in (10.0, 3.0, 1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01):
        strength = rounded(share * subject.regularizer.rho, 2)
        weaker = regularizers.load(subject.kind, strength)
        try:
            policy = equilibrium.planted_or_found(subject.game, weaker, policy, max_iterations=500).policy
            if operators.best_response_step(subject.game, policy, weaker).min() < LEAST_KL:  # no derivative with "kl"
                break
            step_size = iterations.step_sizes(subject.game, weaker, policy)
            radii = [step_size(method, STEP_SHARES[0])[1] for method in ("pma_euclidean", "pma_kl")]
        except ConvergenceError:  # no equilibrium that is found, or one whose policy has no population
            break
        if not (needed := math.log(ARRIVED) / math.log(min(max(*radii, 1e-6), 1.0 - 1e-9))) < 500.0:
            break
        strengths, longest = [*strengths, strength], max(longest, needed)
    if not strengths:
        why = "no equilibrium that PMA reaches at ten times this strength"
        raise subject.refused("orbit", why, "one to start from; a larger --strength")
    return {
        "games": strengths,
        "step_shares": list(STEP_SHARES),
        "n_starts": 4,
        "max_iterations": math.ceil(3.0 * longest),
    }


SIZES = {"orbit": _orbit}
