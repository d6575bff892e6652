"""Sizes that fit one game: the search for pairs that beat a Lipschitz bound."""

from __future__ import annotations

from pma_replication.plan import Settings, Subject


def _bounds(subject: Subject) -> Settings:
    return {"step_sizes": [1.0], "n_pairs": 100, "n_ascents": 1}


SIZES = {"bounds": _bounds}
