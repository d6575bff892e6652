"""Sizes that fit one game: the table of games."""

from __future__ import annotations

from pma_replication.plan import Settings, Subject


def _literature(subject: Subject) -> Settings:
    subject.need_features("literature")
    return {"n_starts": 4, "step_size": subject.relative_step_size}


SIZES = {"literature": _literature}
