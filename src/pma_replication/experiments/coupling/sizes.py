"""Sizes that fit one game: mirror ascent and best response with one TD budget."""

from __future__ import annotations

import math

from pma_replication.experiments.coupling.names import METHODS
from pma_replication.plan import MANY_AGENTS, MOST_SECONDS, Settings, Subject, step_seconds

#: Fewest epochs of best response, the largest step size of mirror ascent in units of 1 / rho, and by what factor mirror
#: ascent has more, and shorter, epochs.
N_EPOCHS, STEP, SPLIT = 20, 0.025, 4

#: Exploitability that counts as reached, of the first policy's, and the share of it that the start may still be at the
#: end of the epochs of mirror ascent.
ACCURACY, LEFT = 0.1, 0.25

#: M_td of best response, in units of the updates from which on TD learning errs by noise alone; the first ones alone
#: where all take too long.
UPDATES, FEWEST = (1.0, 2.0, 4.0), 2

#: Number of runs, the smallest from which an interval is computed.
REPLICATES = 8


def _coupling(subject: Subject) -> Settings:
    """Return the sizes at which C4-coupled, C4-blind, C4-coupled-slope, C4-best-response and C4-price can be decided.

    M_td is once, twice and four times the updates M_0 from which on TD learning errs by noise alone, which knows the
    discount and how rarely a pair is seen; once and twice where all three take longer than `plan.MOST_SECONDS`. Mirror
    ascent takes a small step, whatever the coupling; its epochs are so many that of the start no more than a quarter of
    the accuracy is left by the spectral radius with this step, the exploitability being of the order of the squared
    distance. Best response, the fastest step and blind learning have the same samples.
    """
    subject.need_learning("coupling")
    step = min(STEP, subject.relative_step_size)
    rate = subject.rate_at(step)
    if not rate < 1.0:
        why = f"a spectral radius of PMA of {rate:.3g} at this equilibrium with a step of {step:g} / rho"
        raise subject.refused("coupling", why, "one below 1, without which a small step does not learn it")
    share = math.sqrt(LEFT * ACCURACY)
    n_epochs = max(N_EPOCHS, math.ceil(math.log(share) / math.log(max(rate, 1e-6)) / SPLIT))
    updates = [math.ceil(factor * max(subject.settled, 300.0)) for factor in UPDATES]
    per_update = REPLICATES * len(METHODS) * n_epochs
    if per_update * sum(updates) * step_seconds(subject.game, REPLICATES) > MOST_SECONDS:
        updates = updates[:FEWEST]
    subject.need_time("coupling", per_update * sum(updates), n_replicates=REPLICATES)
    return {
        "games": {"line": "own", "updates": updates},
        "n_agents": MANY_AGENTS,
        "n_waiting": 0,
        "n_epochs": n_epochs,
        "step_size": step,
        "split": SPLIT,
        "accuracy": ACCURACY,
        "n_replicates": REPLICATES,
    }


SIZES = {"coupling": _coupling}
