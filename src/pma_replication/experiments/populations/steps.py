"""What `pma-mfg verify` runs on one game, and what it costs: what finitely many agents do."""

from __future__ import annotations

from collections.abc import Sequence

from pma_mfg.commands import step_sizes
from pma_mfg.games.functions import is_lumpable
from pma_replication.cost import Units, exact_seconds, limit_work
from pma_replication.experiments.populations import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _learned(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return {
        "populations_learned": measure.learned_policies(
            subject.game,
            subject.regularizer,
            subject.policy,
            name=subject.name,
            populations=settings["populations"],
            n_updates=settings["n_updates"],
            n_epochs=settings["n_epochs"],
            step_size=step_sizes.absolute(settings["step_size"], subject.regularizer),
            n_replicates=settings["n_replicates"],
            seed=seed,
            after_replicate=advance,
        )
    }


def _bias(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return {
        "populations_bias": measure.finite_population_bias(
            subject.need_features("populations_bias"),
            subject.regularizer,
            subject.policy,
            name=subject.name,
            populations=settings["populations"],
            n_steps=settings["n_steps"],
            n_replicates=settings["n_replicates"],
            seed=seed,
            after_replicate=advance,
        )
    }


def _exact(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    step_size = step_sizes.absolute(settings["step_size"], subject.regularizer)
    return {
        "populations_exact": measure.exact_limits(
            subject.need_features("populations_exact"),
            subject.regularizer,
            subject.policy,
            name=subject.name,
            populations=settings["populations"],
            step_size=step_size,
            after_population=advance,
        )
    }


def _agreement(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    n_steps, n_replicates = settings["n_steps"], settings["n_replicates"]
    return {
        "populations_agreement": measure.agreement(
            subject.need_features("populations_agreement"),
            subject.regularizer,
            subject.policy,
            name=subject.name,
            populations=settings["populations"],
            n_steps=n_steps,
            n_replicates=n_replicates,
            seed=seed,
            after_population=advance,
        )
    }


def _limits(units: Units, step_size: float, populations: Sequence[int]) -> float:
    """Return the seconds of the limits of the policy of some N, and of the closed form that each search starts from."""
    if not len(populations):
        return 0.0
    solutions, closed_form = limit_work(units, step_size, min(populations))
    exact = (1 + solutions) * sum(exact_seconds(units.n_states, n) for n in populations)
    return exact + len(populations) * closed_form


STEPS = {
    "populations_learned": Step(
        section="populations_learned",
        ticks=lambda s: len(s["populations"]) * s["n_replicates"],
        run=_learned,
        seconds=lambda u, s: (
            s["n_epochs"] * s["n_updates"] * sum(u.step_of_all(n, s["n_replicates"]) for n in s["populations"])
            + _limits(u, s["step_size"], [n for n in s["populations"] if is_lumpable(u.game, n, measure.EXACT_STATES)])
        ),
    ),
    "populations_bias": Step(
        section="populations_bias",
        ticks=lambda s: len(s["populations"]) * s["n_replicates"],
        run=_bias,
        seconds=lambda u, s: 1.1 * len(s["populations"]) * s["n_replicates"] * s["n_steps"] * 1.2 * u.step,
    ),
    "populations_exact": Step(
        section="populations_exact",
        ticks=lambda s: len(s["populations"]),
        run=_exact,
        # beside those of the policy's limit: of the law, and of TD learning's limit
        seconds=lambda u, s: (
            _limits(u, s["step_size"], s["populations"])
            + 2 * sum(exact_seconds(u.n_states, n) for n in s["populations"])
        ),
    ),
    "populations_agreement": Step(
        section="populations_agreement",
        ticks=lambda s: len(s["populations"]),
        run=_agreement,
        seconds=lambda u, s: sum(
            1.1 * s["n_replicates"] * s["n_steps"] * 1.2 * u.step_of(n) + exact_seconds(u.n_states, n)
            for n in s["populations"]
        ),
    ),
}
