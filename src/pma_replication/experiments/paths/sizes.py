"""Sizes that fit one game: the path of equilibria, and its branches."""

from __future__ import annotations

from pma_replication.experiments.regularization.sizes import need_jacobian
from pma_replication.plan import Settings, Subject


def _paths(subject: Subject) -> Settings:
    """Return branches to a two-hundredth of the rewards."""
    need_jacobian(subject, "paths")
    return {"games": {"lowest": 0.005, "n_starts": 10}, "strengths": [0.1, 0.01]}


SIZES = {"paths": _paths}
