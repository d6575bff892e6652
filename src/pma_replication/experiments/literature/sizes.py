"""Sizes that fit one game: the table of games."""

from __future__ import annotations

from pma_replication.plan import Settings, Subject


def _zoo(subject: Subject) -> Settings:
    subject.need_features("zoo")
    return {"n_starts": 4, "relative_step_size": 1.0}


SIZES = {"zoo": _zoo}
