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
Grids = Mapping[str, Mapping[str, Sequence[float]]]


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
    after_run: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Run every setting of every method as often, and tune by one rule (docs/theory, section 21.4).

    A setting costs the mean over runs of `comparison.measure.tuning_cost`. The replicate that is reported is one of the
    setting that costs least in all other replicates: no run takes part in its own choice, and every run of every
    setting is in the table, so that intervals can draw the tuning anew as well.

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
    after_run : callable
        Called after each run.

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
    for method, grid in grids.items():
        learner = method_files.load(files[method]) if method in files else METHODS[method]
        words: list[str] = []
        costs: list[list[float]] = []
        curves: list[list[np.ndarray]] = []
        for setting in combinations(grid):
            words.append(" ".join(f"{key}={value:.12g}" for key, value in setting.items()) or "none")
            curves.append([])
            for replicate in range(n_replicates):
                rng = seeds.generator(seed, "one trajectory", name, method, words[-1], replicate)
                run = learner(Task(game, regularizer, rng, budget, n_agents), **setting)
                if method in files:
                    run = checked(run, game, files[method])
                curves[-1].append(exploitabilities(run, game, regularizer, samples=samples) / unit)
                after_run()
            reached = [statistics.samples_to_stay(target, list(samples), list(curve)) for curve in curves[-1]]
            ends = zip(reached, curves[-1], strict=True)
            costs.append([tuning_cost(at, float(curve[-1]), target, budget=budget) for at, curve in ends])
        chosen = chosen_by_others(np.array(costs))
        for i, replicate in itertools.product(range(len(words)), range(n_replicates)):
            of_run = {"game": name, "method": method, "setting": words[i], "replicate": replicate}
            of_run |= {"cost": costs[i][replicate], "chosen": bool(chosen[replicate] == i), "target": target}
            of_run |= {"samples": samples, "exploitability": curves[i][replicate], "reward_range": unit}
            parts.append(pd.DataFrame(of_run))
    return unsettled.marked(pd.concat(parts, ignore_index=True), unsettled.worst(game, regularizer) / unit)


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
