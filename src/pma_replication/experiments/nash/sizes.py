"""Sizes that fit one game: what a deviator gains."""

from __future__ import annotations

import math

from pma_mfg.errors import Description
from pma_mfg.games.model import MOST_LUMPED_STATES, n_lumped_states
from pma_replication.cost import gap_applications, gap_seconds
from pma_replication.plan import (
    BUDGET,
    LADDER,
    MOST_SECONDS,
    BeyondBudget,
    Settings,
    Subject,
    duration,
    feasible_states,
    spread_over,
)

#: Fewest agents at the upper end of a range of three N in which an order may show: the next term of the gain is smaller
#: by the relative size of the fluctuations, 1 / sqrt(N), a third there.
RANGE_END = 10

#: Applications of the deviator's chain in a game in which nobody gains: no game has fewer.
LEAST_APPLICATIONS = 30

#: M_td of learning, in units of the updates from which on TD learning errs by noise alone.
UPDATES = (2.0, 8.0, 32.0)

#: Epochs, and runs: a gain varies by its own size.
N_EPOCHS, REPLICATES = 24, 24


def three_largest(n_states: int, applications: int) -> list[int]:
    """Return the three largest N of `plan.LADDER` of which the exact gaps fit into `plan.BUDGET`.

    Those that are needed to reach `RANGE_END` may take `plan.MOST_SECONDS`.
    """
    chosen = list(LADDER[:3])
    for following in LADDER[3:]:
        longer = [*chosen[1:], following]
        most = BUDGET if following > RANGE_END else MOST_SECONDS
        fits = n_lumped_states(n_states, following) <= MOST_LUMPED_STATES
        if not fits or sum(gap_seconds(n_states, n, applications) for n in longer) > most:
            break
        chosen = longer
    return chosen


def _nash(subject: Subject) -> Settings:
    subject.need_features("nash")
    if not (subject.policy > 0.0).all():
        why = "an equilibrium that leaves out an action"
        raise subject.refused("nash", why, "one that plays all: --regularizer entropy")
    n_states, applications = subject.game.n_states, LEAST_APPLICATIONS
    if three_largest(n_states, applications)[-1] >= RANGE_END:  # else counting them may take long
        applications = gap_applications(subject, LADDER)
    large = [n for n in subject.populations if n >= RANGE_END]
    while len(large) >= 3:
        chosen = spread_over(large, 8)
        if sum(gap_seconds(n_states, n_agents, applications) for n_agents in chosen) <= BUDGET:
            return {"populations": chosen}
        large.pop()
    chosen = three_largest(n_states, applications)
    if chosen[-1] < RANGE_END:
        why = (
            f"{n_states} states, with which the exact game of N agents reaches N = {chosen[-1]} in "
            f"{duration(MOST_SECONDS)}: no range in which an order in N shows"
        )
        most = feasible_states(lambda fewer: three_largest(fewer, applications)[-1] >= RANGE_END)
        allowed = f"N from {RANGE_END} on: a game with at most {most} states"
        raise BeyondBudget(subject.name, "nash", Description(why), allowed)
    return {"populations": chosen}


def _learned(subject: Subject) -> Settings:
    subject.need_populations("nash_learned")
    subject.need_learning("nash_learned")
    n_agents = max(n for n in subject.populations if n <= 10)
    updates = [math.ceil(factor * subject.settled) for factor in UPDATES]
    subject.need_time("nash_learned", REPLICATES * N_EPOCHS * sum(updates), BUDGET)
    return {
        "n_agents": n_agents,
        "updates": updates,
        "n_epochs": N_EPOCHS,
        "step_size": subject.relative_step_size,
        "n_replicates": REPLICATES,
    }


SIZES = {"nash": _nash, "nash_learned": _learned}
