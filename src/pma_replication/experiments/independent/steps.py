"""What `pma-mfg verify` runs on one game, and what it costs: independent learning."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from pma_mfg.commands import step_sizes
from pma_mfg.learning import schedules
from pma_replication.cost import Units
from pma_replication.experiments.independent import measure
from pma_replication.experiments.independent.sizes import games_seconds, independent_steps
from pma_replication.experiments.samples.steps import every, tuned_schedule
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _independent(sweep: str) -> Callable[[Subject, Settings, int, Advance], Tables]:
    """Return what runs one sweep of independent learning: what it varies, and the rest as configured."""

    def run(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
        count = settings["n_replicates"]
        agents = [(settings["n_agents"], count)]
        etas, n_epochs = [settings["step_size"]], settings["n_epochs"]
        if sweep == "populations":
            agents = list(zip(settings["populations"], settings["population_replicates"], strict=True))
        elif sweep == "step_sizes":
            etas, n_epochs = settings["step_sizes"], settings["step_epochs"]
        scale = schedules.td_scale(subject.game, subject.policy)
        start = schedules.td_start(subject.game, subject.regularizer)
        planned = [
            (
                float("nan"),
                schedules.Schedule(n_epochs, settings["n_updates"], settings["n_waiting"], eta, scale, scale, start),
            )
            for eta in (step_sizes.absolute(one, subject.regularizer) for one in etas)
        ]
        if sweep == "epsilons":
            planned = [(epsilon, tuned_schedule(subject, settings, epsilon)) for epsilon in settings["epsilons"]]
        found = []
        for epsilon, schedule in planned:
            runs = [measure.IndependentRuns(n, schedule, n_replicates, epsilon) for n, n_replicates in agents]
            found.append(
                measure.independent_errors(
                    subject.game,
                    subject.regularizer,
                    subject.policy,
                    name=subject.name,
                    sweep=sweep,
                    settings=runs,
                    seed=seed,
                    after_epoch=every(schedule.n_epochs, advance),
                )
            )
        table = pd.concat(found, ignore_index=True)
        if sweep == "epsilons":
            return {"independent_epsilon": measure.independent_learning_errors(table)}
        return {"independent": table}

    return run


def _games(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    game, regularizer, policy = subject.game, subject.regularizer, subject.policy
    step_size = step_sizes.absolute(settings["games"]["step_size"], regularizer)
    slowest = max(measure.rates(game, regularizer, policy, step_size=step_size))
    n_epochs = measure.epochs_to_settle(settings["start_left"], slowest)
    scale, start = schedules.td_scale(game, policy), schedules.td_start(game, regularizer)
    found = []
    for starts in settings["games"]["starts"]:
        runs = [
            measure.IndependentRuns(
                n_agents,
                schedules.Schedule(n_epochs, n_updates, settings["n_waiting"], step_size, scale, scale, start),
                settings["n_replicates"],
                unequal=starts == "unequal",
            )
            for n_agents in settings["populations"]
            for n_updates in settings["games"]["updates"]
        ]
        table = measure.independent_errors(
            game,
            regularizer,
            policy,
            name=subject.name,
            sweep=starts,
            settings=runs,
            seed=seed,
            after_epoch=every(n_epochs, advance),
        )
        found.append(measure.dividing_line(table, game, regularizer, equilibrium=policy))
    return {"independent_games": pd.concat(found, ignore_index=True)}


def _games_seconds(units: Units, settings: Settings) -> float:
    step_size = step_sizes.absolute(settings["games"]["step_size"], units.regularizer)
    slowest = max(measure.rates(units.game, units.regularizer, units.policy, step_size=step_size))
    n_epochs = measure.epochs_to_settle(settings["start_left"], min(slowest, 0.999))
    moments = 5.0 * units.update * sum(settings["games"]["updates"]) / 100
    return float(games_seconds(settings, n_epochs, units.step, agent=units.agent) + moments)


def _seconds(sweep: str, units: Units, settings: Settings) -> float:
    steps = independent_steps(settings, lambda epsilon: units.learning_steps(settings, epsilon))[sweep]
    agents = settings["n_agents"]
    if sweep == "populations":
        agents = np.average(settings["populations"], weights=settings["population_replicates"])
    per_step = units.step + agents * units.agent
    return float(steps * per_step) + 5.0 * units.update * 100


STEPS = {
    "independent_games": Step(
        section="independent_games",
        ticks=lambda s: (
            len(s["games"]["starts"]) * len(s["populations"]) * len(s["games"]["updates"]) * s["n_replicates"]
        ),
        run=_games,
        seconds=_games_seconds,
        jobs=lambda s: len(s["games"]["starts"]),
    ),
    "independent_step_sizes": Step(
        section="independent",
        ticks=lambda s: len(s["step_sizes"]) * s["n_replicates"],
        run=_independent("step_sizes"),
        seconds=partial(_seconds, "step_sizes"),
    ),
    "independent_populations": Step(
        section="independent",
        ticks=lambda s: sum(s["population_replicates"]),
        run=_independent("populations"),
        seconds=partial(_seconds, "populations"),
    ),
    "independent_epsilons": Step(
        section="independent",
        ticks=lambda s: len(s["epsilons"]) * s["n_replicates"],
        run=_independent("epsilons"),
        seconds=partial(_seconds, "epsilons"),
    ),
}
