"""Measurements: many methods on one trajectory. From one game to tables (docs/theory, section 21.4)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import seeds
from pma_mfg.errors import InputError
from pma_mfg.games.model import MeanFieldGame, check_n_agents
from pma_mfg.learning import method_files
from pma_mfg.learning.generative import Learner, Task, check_entropy
from pma_mfg.learning.trajectory import METHODS
from pma_replication import statistics, unsettled
from pma_replication.experiments.comparison.measure import (
    checkpoints,
    chosen_by_others,
    combinations,
    exploitabilities,
    tuning_cost,
)
from pma_replication.unsettled import reward_range

#: Names this module in error messages.
SOURCE = "one trajectory"

#: Values to tune over, by method and setting.
Grid = Mapping[str, Sequence[float]]
Grids = Mapping[str, Grid]

#: Settings that say how far a method goes in one step.
STEP_SIZES = ("step_size", "policy_step")


def compare(
    game: MeanFieldGame,
    regularizer: Any,
    name: str,
    *,
    grids: Grids,
    files: Mapping[str, str],
    n_agents: int,
    budget: int,
    per_decade: int,
    target: float,
    n_replicates: int,
    seed: int,
    shorter: float | None = None,
    far: float = np.inf,
    after_run: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Run every setting of every method as often, and tune by one rule (docs/theory, section 21.4).

    A setting costs the mean over runs of `comparison.measure.tuning_cost`. The replicate that is reported is one of the
    setting that costs least in all other replicates: no run takes part in its own choice, and every run of every
    setting is in the table, so that intervals can draw the tuning anew as well. Where every setting of a method ends
    far away, steps of `STEP_SIZES` that are shorter by one factor are settings too, run as often; whether they are is
    decided by all runs of the grid together.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Entropy
    name : str
        The game's name in tables and seeds.
    grids : mapping of str to mapping of str to sequence of float
        For each method, of `METHODS` or of `files`, the grid of its settings.
    files : mapping of str to str
        Method -> the file with its function (`method_files`).
    n_agents : int
        N, from 2 to 10^15; few enough to be moved one by one with independent learners.
    budget : int
        Steps of a run, >= 100.
    per_decade : int
        Numbers of samples at which exploitability is measured, per factor of ten.
    target : float
        The exploitability that methods are tuned for, > 0, in units of `unsettled.reward_range`.
    n_replicates : int
        Runs of every setting.
    seed : int
        Root seed.
    shorter : float, optional
        In (0, 1), the factor.
    far : float
        A method is far away if the median run of each of its settings ends above this exploitability, in the units of
        `target`.
    after_run : callable
        Called after each run of the grids.

    Returns
    -------
    DataFrame
        Columns game, method, setting (in words), replicate, cost (of the run), chosen (whether the run is reported),
        target, samples (steps), exploitability, reward_range, and `judging.UNSETTLED` where that happened.

    Raises
    ------
    InputError
        For another regularizer, or a method's file that is wrong.
    """
    check_entropy(regularizer)
    check_n_agents(n_agents)
    unit, samples, parts = reward_range(game), checkpoints(budget, per_decade), []
    learners = {m: method_files.load(files[m]) if m in files else METHODS[m] for m in grids}

    def run(method: str, setting: Mapping[str, float], replicate: int) -> np.ndarray:
        rng = seeds.generator(seed, "one trajectory", name, method, described(setting), replicate)
        learned = learners[method](Task(game, regularizer, rng, budget, n_agents), **setting)
        if method in files:
            learned = checked(learned, game, files[method])
        return exploitabilities(learned, game, regularizer, samples=samples) / unit

    for method, grid in grids.items():
        curves: dict[str, list[np.ndarray]] = {}
        for setting in combinations(grid):
            curves[described(setting)] = []
            for replicate in range(n_replicates):
                curves[described(setting)].append(run(method, setting, replicate))
                after_run()
        if shorter and min(float(np.median([curve[-1] for curve in runs])) for runs in curves.values()) > far:
            for setting in combinations(shortened(grid, shorter)):
                if described(setting) not in curves:
                    curves[described(setting)] = [run(method, setting, r) for r in range(n_replicates)]
        costs = np.array([[_cost(curve, samples, target) for curve in runs] for runs in curves.values()])
        chosen = chosen_by_others(costs)
        for (i, words), replicate in itertools.product(enumerate(curves), range(n_replicates)):
            of_run = {"game": name, "method": method, "setting": words, "replicate": replicate}
            of_run |= {"cost": costs[i][replicate], "chosen": bool(chosen[replicate] == i), "target": target}
            of_run |= {"samples": samples, "exploitability": curves[words][replicate], "reward_range": unit}
            parts.append(pd.DataFrame(of_run))
    return unsettled.marked(pd.concat(parts, ignore_index=True), unsettled.worst(game, regularizer) / unit)


def described(setting: Mapping[str, float]) -> str:
    """Return a setting in words, by which its runs have their seeds."""
    return " ".join(f"{key}={value:.12g}" for key, value in setting.items()) or "none"


def shortened(grid: Grid, factor: float) -> Grid:
    """Return a grid whose steps of `STEP_SIZES` are multiplied by a factor."""
    return {
        key: [float(f"{x * factor:.12g}") for x in values] if key in STEP_SIZES else values
        for key, values in grid.items()
    }


def _cost(curve: np.ndarray, samples: np.ndarray, target: float) -> float:
    """Return what a run costs."""
    reached = statistics.samples_to_stay(target, list(samples), list(curve))
    return tuning_cost(reached, float(curve[-1]), target, budget=int(samples[-1]))


def checked(run: Learner, game: MeanFieldGame, source: str) -> Learner:
    """Yield what a user's learner yields, or say in one line what is wrong with it."""
    shape, before = (game.n_states, game.n_actions), 0
    place = method_files.FUNCTION
    try:
        for pair in run:
            if not (isinstance(pair, tuple) and len(pair) == 2):
                raise InputError(source, place, pair, "samples so far and a policy, yielded together")
            samples, policy = int(pair[0]), np.asarray(pair[1], dtype=float)
            if samples < before:
                raise InputError(source, place, samples, f"samples so far, at least the {before} of before")
            sound = policy.shape == shape and (policy >= 0.0).all() and np.allclose(policy.sum(axis=1), 1.0, atol=1e-9)
            if not sound:
                raise InputError(source, place, policy.tolist(), f"a policy of shape {shape}: rows that sum up to 1")
            before = samples
            yield samples, policy
    except InputError:
        raise
    except Exception as error:  # whatever a user's code raises
        raise InputError(source, place, f"{type(error).__name__}: {error}", "code that runs") from error
