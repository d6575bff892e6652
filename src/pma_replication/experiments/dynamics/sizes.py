"""Sizes that fit one game: exact methods side by side."""

from __future__ import annotations

from pma_replication.plan import Settings, Subject


def _dynamics(subject: Subject) -> Settings:
    return {"n_starts": 2, "max_iterations": 500}


SIZES = {"dynamics": _dynamics}
