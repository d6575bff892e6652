"""What `pma-mfg verify` runs on one game, and what it costs: centralized learning over the accuracy."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pandas as pd

from pma_mfg.commands import step_sizes
from pma_mfg.errors import InputError
from pma_mfg.learning import schedules
from pma_mfg.theory import prescription
from pma_replication.cost import Units, learning_seconds
from pma_replication.experiments.samples import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def every(n: int, advance: Advance) -> Callable[[], None]:
    """Return a function that calls `advance` at every n-th call, that is, after each run of n epochs."""
    calls = itertools.count(1)
    return lambda: advance() if next(calls) % n == 0 else None


def tuned_schedule(subject: Subject, settings: Settings, epsilon: float) -> schedules.Schedule:
    """Return the practical schedule with the constants of a section."""
    constants = {name: settings[name] for name in ("td_constant", "waiting_constant")}
    step_size = step_sizes.absolute(settings["step_size"], subject.regularizer)
    of = (subject.game, subject.regularizer, subject.policy)
    return schedules.practical_schedule(*of, step_size=step_size, epsilon=epsilon, **constants)


def _tuned(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    tuned = settings["games"]
    tables = []
    for epsilon in tuned["epsilons"]:
        schedule = tuned_schedule(subject, tuned, epsilon)
        n_agents, n_replicates = settings["n_agents"], settings["n_replicates"]
        after_epoch = every(schedule.n_epochs, advance)
        tables.append(
            measure.learning_errors(
                subject.game,
                subject.regularizer,
                subject.policy,
                name=subject.name,
                n_agents=n_agents,
                epsilon=epsilon,
                schedule=schedule,
                n_replicates=n_replicates,
                seed=seed,
                after_epoch=after_epoch,
            )
        )
    return {"samples_tuned": pd.concat(tables, ignore_index=True)}


def _prescribed(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    game = subject.need_features("samples_prescribed")
    step_size = step_sizes.absolute(settings["step_size"], subject.regularizer)
    tables = []
    for epsilon in settings["games"]:
        schedule = prescription.theorem_schedule(game, subject.regularizer, step_size, epsilon=epsilon)
        after_epoch = every(schedule.n_epochs, advance)
        tables.append(
            measure.learning_errors(
                game,
                subject.regularizer,
                subject.policy,
                name=subject.name,
                n_agents=settings["n_agents"],
                epsilon=epsilon,
                schedule=schedule,
                n_replicates=settings["n_replicates"],
                seed=seed,
                after_epoch=after_epoch,
                kind="theorem",
            )
        )
    told = measure.theorem_schedules(
        game, subject.regularizer, subject.name, epsilons=settings["epsilons"], step_size=step_size
    )
    return {"samples_prescribed": pd.concat(tables, ignore_index=True), "samples_schedules": told}


def _prescribed_seconds(units: Units, settings: Settings) -> float:
    chosen = settings["games"]
    epsilons = chosen if isinstance(chosen, list) else [epsilon for of_game in chosen.values() for epsilon in of_game]
    step_size, steps = step_sizes.absolute(settings["step_size"], units.regularizer), 0.0
    game = units.game.with_features("cost")
    for epsilon in epsilons:
        try:
            steps += prescription.theorem_schedule(game, units.regularizer, step_size, epsilon=epsilon).n_samples
        except InputError:
            continue
    step = units.step_of_all(settings["n_agents"], settings["n_replicates"])
    return float(steps * step) + 0.3 * len(settings["epsilons"])


STEPS = {
    "samples_tuned": Step(
        section="samples_tuned",
        ticks=lambda s: len(s["games"]["epsilons"]) * s["n_replicates"],
        run=_tuned,
        seconds=lambda u, s: sum(
            learning_seconds(u, tuned, tuned["epsilons"], n_replicates=s["n_replicates"])
            for tuned in ([s["games"]] if "epsilons" in s["games"] else s["games"].values())
        ),
        jobs=lambda s: 4,
    ),
    "samples_prescribed": Step(
        section="samples_prescribed",
        ticks=lambda s: len(s["games"]) * s["n_replicates"],
        run=_prescribed,
        seconds=_prescribed_seconds,
        jobs=lambda s: 3,
    ),
}
