"""What `pma-mfg verify` runs on one game, and what it costs: mirror ascent and best response with one TD budget."""

from __future__ import annotations

from pma_mfg.learning import schedules
from pma_replication.cost import Units
from pma_replication.experiments.coupling import measure, names
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _coupling(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    found = measure.compare(
        subject.game,
        subject.regularizer,
        subject.policy,
        name=subject.name,
        line=settings["games"]["line"],
        updates=settings["games"]["updates"],
        n_epochs=settings["n_epochs"],
        n_waiting=settings["n_waiting"],
        step_size=settings["step_size"],
        split=settings["split"],
        accuracy=settings["accuracy"],
        n_agents=settings["n_agents"],
        n_replicates=settings["n_replicates"],
        seed=seed,
        after_run=advance,
    )
    return {"coupling": found}


def _seconds(units: Units, settings: Settings) -> float:
    budgets = [settings["n_epochs"] * n * (settings["n_waiting"] + 1) for n in settings["games"]["updates"]]
    blind = sum(
        len(schedules.blind_schedule(units.game, units.regularizer, budget=budget).n_updates) for budget in budgets
    )
    measured = blind + len(budgets) * settings["n_epochs"] * (2 + settings["split"])
    n_replicates = settings["n_replicates"]
    step = len(names.METHODS) * units.step_of_all(settings["n_agents"], n_replicates)
    return float(sum(budgets) * step + n_replicates * measured * units.exploitability)


STEPS = {
    "coupling": Step(
        section="coupling",
        ticks=lambda s: len(names.METHODS) * len(s["games"]["updates"]) * s["n_replicates"],
        run=_coupling,
        seconds=_seconds,
    ),
}
