"""What `pma-mfg verify` runs on one game, and what it costs: what a deviator gains."""

from __future__ import annotations

from pma_mfg.commands import step_sizes
from pma_replication.cost import gap_applications, gap_seconds, gaps_seconds
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
        seconds=lambda u, s: gaps_seconds(u, s["populations"]),
    ),
    "nash_learned": Step(
        section="nash_learned",
        ticks=lambda s: len(s["updates"]) * s["n_replicates"],
        run=_learned,
        seconds=lambda u, s: (
            s["n_epochs"] * sum(s["updates"]) * u.step_of_all(s["n_agents"], s["n_replicates"])
            # a gain of each run, of one of the four kinds
            + s["n_replicates"]
            * len(s["updates"])
            * gap_seconds(u.n_states, s["n_agents"], gap_applications(u, [s["n_agents"]]) / 4.0)
        ),
    ),
}
