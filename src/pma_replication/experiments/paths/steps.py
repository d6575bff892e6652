"""What `pma-mfg verify` runs on one game, and what it costs: the path of equilibria as the regularizer weakens."""

from __future__ import annotations

from pma_replication.experiments.paths import learn, measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _paths(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    tables = measure.follow(subject.game, subject.regularizer, subject.name)
    advance()
    return tables


def _annealing(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of = (subject.game, subject.regularizer, subject.name)
    return {"paths_annealing": learn.measure(*of, runs=learn.runs(settings), seed=seed, after_run=advance)}


STEPS = {
    # a path has some twenty points of three Newton steps each, a random start some ten
    "paths": Step(
        section="paths",
        run=_paths,
        seconds=lambda u, s: (100 + 20 * len(s["strengths"]) * s["games"]["n_starts"]) * u.jacobian,
    ),
    "paths_annealing": Step(
        section="paths_annealing",
        ticks=lambda s: 2 * learn.runs(s).count,
        run=_annealing,
        seconds=lambda u, s: 2 * learn.runs(s).count * s["n_epochs"] * s["updates"] * u.n_states * u.n_actions * 10 * u.step,
    ),
}
