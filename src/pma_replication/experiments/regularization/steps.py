"""What `pma-mfg verify` runs on one game, and what it takes: the cost of regularization, and annealing."""

from __future__ import annotations

from pma_mfg import operators
from pma_mfg.learning import schedules
from pma_replication.cost import Units
from pma_replication.experiments.regularization import annealing, measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _regularization(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    tables = measure.cost(subject.game, subject.regularizer, subject.name)
    advance()
    return tables


def _annealing(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of = (subject.game, subject.regularizer, subject.name)
    return {"annealing": annealing.measure(*of, runs=annealing.runs(settings), seed=seed, after_run=advance)}


def _annealing_seconds(units: Units, settings: Settings) -> float:
    scale = schedules.td_scale(units.game, operators.uniform_policy(units.game))
    n_agents, pilots, runs = settings["n_agents"], settings["n_pilots"], settings["n_replicates"]
    step = len(settings["ascent_steps"]) * units.step_of_all(n_agents, pilots) + units.step_of_all(n_agents, runs)
    measured = annealing.runs(settings).count * units.exploitability
    return float(2 * settings["n_epochs"] * (settings["relative_updates"] * scale * step + measured))


STEPS = {
    # some twenty points, each with a bisection in Jacobians
    "regularization": Step(
        section="regularization", ticks=lambda s: 1, run=_regularization, seconds=lambda u, s: 500 * u.jacobian
    ),
    "annealing": Step(
        section="regularization_annealing",
        ticks=lambda s: 2 * annealing.runs(s).count,
        run=_annealing,
        seconds=_annealing_seconds,
    ),
}
