"""Sizes that fit one game: mirror ascent and best response with one TD budget."""

from __future__ import annotations

import math

from pma_replication.experiments.coupling.names import METHODS
from pma_replication.plan import BUDGET, MANY_AGENTS, Settings, Subject, step_seconds

#: Epochs of best response, the step size of mirror ascent in units of 1 / rho, and by what factor mirror ascent has
#: more, and shorter, epochs.
N_EPOCHS, STEP, SPLIT = 20, 0.025, 4

#: M_td of best response, in units of the updates from which on TD learning errs by noise alone.
UPDATES = (1.0, 2.0, 4.0)

#: Number of runs, the smallest from which an interval is computed.
REPLICATES = 8


def _coupling(subject: Subject) -> Settings:
    subject.need_learning("coupling")
    updates = [math.ceil(factor * max(subject.settled, 300.0)) for factor in UPDATES]
    # replicates move side by side, but for those of blind learning, which choose their epochs by what they see
    step = (len(METHODS) - 1) * step_seconds(subject.game, REPLICATES) + step_seconds(subject.game)
    seconds = REPLICATES * N_EPOCHS * sum(updates) * step
    if seconds > BUDGET:
        raise subject.too_long("coupling", seconds)
    return {
        "games": {"line": "own", "updates": updates},
        "n_agents": MANY_AGENTS,
        "n_waiting": 0,
        "n_epochs": N_EPOCHS,
        "step_size": STEP,
        "split": SPLIT,
        "accuracy": 0.1,
        "n_replicates": REPLICATES,
    }


SIZES = {"coupling": _coupling}
