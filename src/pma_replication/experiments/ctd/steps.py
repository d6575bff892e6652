"""What `pma-mfg verify` runs on one game, and what it costs: TD learning of a fixed policy."""

from __future__ import annotations

import pandas as pd

from pma_mfg.games.model import n_lumped_states
from pma_replication.cost import Units, exact_seconds
from pma_replication.experiments.ctd import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _ctd(subject: Subject, settings: Settings, populations: list[int], seed: int, advance: Advance) -> Tables:
    """Return the error of TD learning; all M_mix in the largest population, the first in the others."""
    found = []
    for n_agents in populations:
        waiting = settings["n_waiting"][: None if n_agents == max(settings["populations"]) else 1]
        replicates = [settings["n_replicates"], *[settings["other_replicates"]] * (len(waiting) - 1)]
        found.append(
            measure.ctd_errors(
                subject.game,
                subject.regularizer,
                subject.policy,
                name=subject.name,
                n_agents=n_agents,
                n_updates=settings["n_updates"],
                n_waiting=waiting,
                n_replicates=replicates,
                seed=seed,
                after_replicate=advance,
            )
        )
    return {
        name: pd.concat(tables, ignore_index=True)
        for name, tables in zip(("ctd", "ctd_floor"), zip(*found, strict=True), strict=True)
    }


def _ctd_many(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return _ctd(subject, settings, [max(settings["populations"])], seed, advance)


def _ctd_few(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return _ctd(subject, settings, sorted(settings["populations"])[:-1], seed, advance)


def _moments(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return {
        "moments": measure.ctd_moments(
            subject.game,
            subject.regularizer,
            subject.policy,
            name=subject.name,
            n_updates=settings["exact_updates"],
            n_waiting=settings["exact_waiting"],
            after_waiting=advance,
        )
    }


def _seconds(units: Units, settings: Settings, populations: list[int]) -> float:
    first, *others = (waiting + 1 for waiting in settings["n_waiting"])
    n_steps, n_replicates = settings["n_updates"][-1], settings["n_replicates"]
    seconds = sum(first * n_steps * units.step_of_all(n, n_replicates) for n in populations)
    exact = [n for n in populations if n_lumped_states(units.n_states, n) <= measure.EXACT_STATES]
    seconds += sum(exact_seconds(units.n_states, n) for n in exact)
    if max(settings["populations"]) in populations:
        seconds += sum(others) * n_steps * units.step_of_all(max(populations), settings["other_replicates"])
    return float(seconds)


STEPS = {
    "ctd_many": Step(
        section="ctd",
        ticks=lambda s: s["n_replicates"] + s["other_replicates"] * (len(s["n_waiting"]) - 1),
        run=_ctd_many,
        seconds=lambda u, s: _seconds(u, s, [max(s["populations"])]),
    ),
    "ctd_few": Step(
        section="ctd",
        ticks=lambda s: s["n_replicates"] * (len(s["populations"]) - 1),
        run=_ctd_few,
        seconds=lambda u, s: _seconds(u, s, sorted(s["populations"])[:-1]),
        jobs=lambda s: len(s["populations"]) - 1,
    ),
    "ctd_moments": Step(
        section="ctd",
        ticks=lambda s: 1 + len(s["exact_waiting"]),
        run=_moments,
        seconds=lambda u, s: (1 + len(s["exact_waiting"])) * s["exact_updates"][-1] * u.update,
    ),
}
