"""Sizes that fit one game: games with several equilibria."""

from __future__ import annotations

import numpy as np

from pma_mfg import jacobian
from pma_replication.plan import Settings, Subject


def _basins(subject: Subject) -> Settings:
    """Return step sizes over four decades, for a game whose best response has an eigenvalue above 1."""
    matrix = jacobian.jacobian(subject.game, subject.policy, np.inf, regularizer=subject.regularizer)
    lead = float(np.linalg.eigvals(matrix).real.max(initial=-np.inf))
    if not lead > 1.0:
        why = f"no eigenvalue of the best response above {max(lead, 0.0):.3g} at this equilibrium"
        raise subject.refused("basins", why, "one above 1: a game in which agents gather, with several equilibria")
    return {"step_sizes": [0.01, 0.1, 1.0, 10.0, 100.0], "n_starts": 8, "max_iterations": 3000}


SIZES = {"basins": _basins}
