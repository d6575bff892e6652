"""Sizes that fit one game: what a deviator gains."""

from __future__ import annotations

import math

from pma_replication.plan import BUDGET, Settings, Subject, spread_over, step_seconds

#: M_td of learning, in units of the updates from which on TD learning errs by noise alone.
UPDATES = (2.0, 8.0, 32.0)

#: Epochs, and runs: a gain varies by its own size.
N_EPOCHS, REPLICATES = 24, 24


def _nash(subject: Subject) -> Settings:
    subject.need_populations("nash")
    if not (subject.policy > 0.0).all():
        why = "an equilibrium that leaves out an action"
        raise subject.refused("nash", why, "one that plays all: --regularizer entropy")
    large = [n for n in subject.populations if n >= 10]  # an order in N shows at large N only
    return {"populations": spread_over(large if len(large) >= 3 else subject.populations[-3:], 8)}


def _learned(subject: Subject) -> Settings:
    subject.need_populations("nash_learned")
    subject.need_learning("nash_learned")
    n_agents = max(n for n in subject.populations if n <= 10)
    updates = [math.ceil(factor * subject.settled) for factor in UPDATES]
    seconds = REPLICATES * N_EPOCHS * sum(updates) * step_seconds(subject.game)
    if seconds > BUDGET:
        raise subject.too_rare("nash_learned", seconds)
    return {
        "n_agents": n_agents,
        "updates": updates,
        "n_epochs": N_EPOCHS,
        "step_size": subject.relative_step_size,
        "n_replicates": REPLICATES,
    }


SIZES = {"nash": _nash, "nash_learned": _learned}
