"""What `pma-mfg verify` runs on one game, and what it costs: what a deviator gains."""

from __future__ import annotations

from pma_replication.cost import exact_seconds
from pma_replication.experiments.nash import measure
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


STEPS = {
    "nash": Step(
        section="nash",
        ticks=lambda s: len(s["populations"]),
        run=_nash,
        seconds=lambda u, s: 2 * sum(exact_seconds(u.n_states, n) for n in s["populations"]),
    ),
}
