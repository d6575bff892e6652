"""What `pma-mfg verify` runs on one game, and what it costs: what a deviator gains."""

from __future__ import annotations

from pma_mfg.commands import step_sizes
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
    return 4.0 * exact_seconds(n_states, n_agents) if n_states <= 4 else 2.0 * gap_seconds(n_states, n_agents)


def _learned(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return {
        "nash_learned": measure.learned_gaps(
            subject.need_features("nash_learned"),
            subject.regularizer,
            subject.policy,
            name=subject.name,
            n_agents=settings["n_agents"],
            updates=settings["updates"],
            n_epochs=settings["n_epochs"],
            step_size=step_sizes.absolute(settings["step_size"], subject.regularizer),
            n_replicates=settings["n_replicates"],
            seed=seed,
            after_run=advance,
        )
    }


STEPS = {
    "nash": Step(
        section="nash",
        ticks=lambda s: len(s["populations"]),
        run=_nash,
        # two games, and two classes of deviators
        seconds=lambda u, s: sum(_seconds(u.n_states, n) for n in s["populations"]),
    ),
    "nash_learned": Step(
        section="nash_learned",
        ticks=lambda s: len(s["updates"]) * s["n_replicates"],
        run=_learned,
        seconds=lambda u, s: (
            s["n_replicates"]
            * (
                s["n_epochs"] * sum(s["updates"]) * u.step_of(s["n_agents"])
                + len(s["updates"]) * exact_seconds(u.n_states, s["n_agents"])
            )
        ),
    ),
}
