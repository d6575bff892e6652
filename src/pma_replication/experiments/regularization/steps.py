"""What `pma-mfg verify` runs on one game, and what it takes: the cost of regularization, and annealing."""

from __future__ import annotations

from pma_replication.experiments.regularization import annealing, measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _regularization(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    tables = measure.cost(subject.game, subject.regularizer, subject.name)
    advance()
    return tables


def _annealing(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of = (subject.game, subject.regularizer, subject.name)
    return {"annealing": annealing.measure(*of, runs=annealing.runs(settings), seed=seed, after_run=advance)}


STEPS = {
    # some twenty points, each with a bisection in Jacobians
    "regularization": Step(
        section="regularization", ticks=lambda s: 1, run=_regularization, seconds=lambda u, s: 500 * u.jacobian
    ),
    "annealing": Step(
        section="regularization_annealing",
        ticks=lambda s: 2 * annealing.runs(s).count,
        run=_annealing,
        # the rarest pair is taken to be ten times as rare as the mean one
        seconds=lambda u, s: (
            2
            * annealing.runs(s).count
            * s["n_epochs"]
            * (
                s["relative_updates"] * 10 * u.n_states * u.n_actions / (1.0 - u.game.discount) * u.step
                + u.exploitability
            )
        ),
    ),
}
