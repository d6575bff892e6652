"""What `pma-mfg verify` runs on one game, and what it costs: what a deviator gains."""

from __future__ import annotations

from pma_replication.cost import exact_seconds
from pma_replication.experiments.nash import measure
from pma_replication.experiments.nash.sizes import gap_seconds
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _nash(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return {
        "nash": measure.nash_gaps(
            subject.need_features("nash"),
            subject.regularizer,
            subject.policy,
            name=subject.name,
            populations=settings["populations"],
            after_population=advance,
        )
    }


def _seconds(n_states: int, n_agents: int) -> float:
    # with few states the counts far from the stable population are left out
    return 2.0 * exact_seconds(n_states, n_agents) if n_states <= 4 else gap_seconds(n_states, n_agents)


STEPS = {
    "nash": Step(
        section="nash",
        ticks=lambda s: len(s["populations"]),
        run=_nash,
        seconds=lambda u, s: sum(_seconds(u.n_states, n) for n in s["populations"]),
    ),
}
