"""Sizes that fit one game: what a deviator gains."""

from __future__ import annotations

from pma_replication.plan import Settings, Subject, spread_over


def _nash(subject: Subject) -> Settings:
    subject.need_populations("nash")
    if not (subject.policy > 0.0).all():
        why = "an equilibrium that leaves out an action"
        raise subject.refused("nash", why, "one that plays all: --regularizer entropy")
    large = [n for n in subject.populations if n >= 10]  # an order in N shows at large N only
    return {"populations": spread_over(large if len(large) >= 3 else subject.populations[-3:], 8)}


SIZES = {"nash": _nash}
