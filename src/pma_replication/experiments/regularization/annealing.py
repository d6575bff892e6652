"""Learning with a regularizer that weakens from epoch to epoch, against the weak one from the start.

docs/theory, section 19.7.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import operators, paths, regularizers, seeds
from pma_mfg.arrays import accepts
from pma_mfg.errors import InputError
from pma_mfg.games.functions import Game
from pma_mfg.learning import replicates, schedules
from pma_mfg.regularizers import Regularizer
from pma_replication import unsettled
from pma_replication.experiments.regularization.names import ANNEALED, SCRATCH, WAYS
from pma_replication.judging import UNSETTLED
from pma_replication.unsettled import reward_range

#: Factor of the strength from one epoch to the next.
ANNEALING = 0.5

#: The final strength is the largest of the path at which the equilibrium costs this share of the finest accuracy.
SHARE = 0.5


@dataclass(frozen=True)
class Runs:
    """How a game is learned.

    Parameters
    ----------
    accuracies : sequence of float
        Unregularized exploitabilities, in units of the range of the rewards, decreasing.
    ascent_steps : sequence of float
        eta, in units of one over the range of the rewards; each way of learning takes the one that serves it best in
        runs before, with random numbers of their own.
    n_epochs : int
        K.
    relative_updates : float
        M_td, in units of 1 / ((1 - gamma) d) with d the least visit probability under the uniform policy.
    n_agents, n_pilots, n_replicates : int
    """

    accuracies: Sequence[float]
    ascent_steps: Sequence[float]
    n_epochs: int
    relative_updates: float
    n_agents: int
    n_pilots: int
    n_replicates: int

    @property
    def count(self) -> int:
        """Runs of each way of learning, those before included."""
        return len(self.ascent_steps) * self.n_pilots + self.n_replicates


def runs(settings: Mapping[str, Any]) -> Runs:
    """Return the runs that a section of a configuration describes."""
    return Runs(**{field.name: settings[field.name] for field in fields(Runs)})


@accepts()
def final_strength(game: Game, regularizer: Regularizer, *, cost: float) -> float:
    """Return the largest strength among the path's points at which the equilibrium costs at most `cost`."""
    path = paths.equilibrium_path(game, regularizer)
    cheap = [point.strength for point in path.points if point.exploitability() <= cost]
    if not cheap:
        raise InputError("annealing", "accuracies", cost, f"more than {path.last.exploitability():.2g} costs anywhere")
    return max(cheap)


@accepts()
def measure(
    game: Game,
    regularizer: Regularizer,
    name: str,
    *,
    runs: Runs,
    seed: int,
    after_run: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Learn a game in both ways, on one trajectory each, and count samples to accuracies without a regularizer.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
        Its kind.
    name : str
        The game's name in tables and seeds.
    runs : Runs
    seed : int
        Root seed.
    after_run : callable
        Called after each run.

    Returns
    -------
    DataFrame
        Columns game, way ("annealed" or "scratch"), strength (the final one, in units of the range of the rewards),
        step_size (in units of one over it), n_updates, budget (samples of a run), replicate, accuracy, samples
        (infinity where a run does not reach it), last (exploitability at the end of the run), and
        `judging.UNSETTLED` (policies of the run) where that happened.
    """
    unit = reward_range(game)
    final = final_strength(game, regularizer, cost=SHARE * min(runs.accuracies) * unit)
    scale = schedules.td_scale(game, operators.uniform_policy(game))
    n_updates = max(1, round(runs.relative_updates * scale))
    weights = {
        ANNEALED: np.maximum(final, unit * ANNEALING ** np.arange(runs.n_epochs)),
        SCRATCH: np.full(runs.n_epochs, final),
    }

    def errors(way: str, step_size: float, rngs: Sequence[np.random.Generator]) -> list[np.ndarray]:
        schedule = schedules.Schedule(
            n_epochs=runs.n_epochs,
            n_updates=n_updates,
            n_waiting=0,
            step_size=step_size / unit,
            td_scale=scale,
            td_offset=scale,
        )
        starts = [schedules.td_start(game, regularizers.with_strength(regularizer, one)) for one in weights[way]]
        strengths = weights[way].tolist()
        policies = replicates.centralized(
            game, runs.n_agents, regularizer, schedule=schedule, rngs=rngs, strengths=strengths, starts=starts
        )
        found = []
        for of_run in policies:
            found.append(np.array(unsettled.exploitabilities(game, of_run)) / unit)
            after_run()
        return found

    rows, largest = [], unsettled.worst(game) / unit
    for way in WAYS:
        tried = []
        for step_size in runs.ascent_steps:
            rngs = [seeds.generator(seed, "annealing pilot", name, i) for i in range(runs.n_pilots)]
            found = [_epochs(seen, runs.accuracies) for seen in errors(way, step_size, rngs)]
            tried.append(float(np.log(np.minimum(found, 2.0 * runs.n_epochs)).mean()))
        best = float(runs.ascent_steps[int(np.argmin(tried))])
        rngs = [seeds.generator(seed, "annealing", name, replicate) for replicate in range(runs.n_replicates)]
        for replicate, seen in enumerate(errors(way, best, rngs)):
            epochs = _epochs(seen, runs.accuracies)
            rows += [
                {
                    "game": name,
                    "way": way,
                    "strength": final / unit,
                    "step_size": best,
                    "n_updates": n_updates,
                    "budget": runs.n_epochs * n_updates,
                    "replicate": replicate,
                    "accuracy": accuracy,
                    "samples": reached * n_updates,
                    "last": float(seen[-1]),
                    UNSETTLED: int((seen >= largest).sum()),
                }
                for accuracy, reached in zip(runs.accuracies, epochs, strict=True)
            ]
    table = pd.DataFrame(rows)
    return table if table[UNSETTLED].any() else table.drop(columns=UNSETTLED)


def _epochs(errors: np.ndarray, accuracies: Sequence[float]) -> list[float]:
    """Return the first epoch after which the error is at or below each accuracy, at least 1; infinity if none is."""
    found = []
    for accuracy in accuracies:
        below = np.flatnonzero(errors <= accuracy)
        found.append(max(1.0, float(below[0])) if len(below) else float("inf"))
    return found
