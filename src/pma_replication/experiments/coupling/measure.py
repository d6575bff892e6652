"""Measurements: mirror ascent and best response with one TD budget. From one game to a table.

The algorithm, and how the samples to an accuracy are read, is in docs/theory, section 10.12.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import iterations, jacobian, operators, seeds
from pma_mfg.arrays import accepts
from pma_mfg.commands import step_sizes
from pma_mfg.errors import InputError
from pma_mfg.games.functions import Game
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import replicates, schedules
from pma_mfg.regularizers import Regularizer
from pma_replication import unsettled
from pma_replication.experiments.coupling.names import BEST_RESPONSE, BLIND, FASTEST, MIRROR_ASCENT, NOISE, TD_SCALE
from pma_replication.experiments.coupling.reading import LEARNED, elsewhere
from pma_replication.experiments.scaling.measure import policy_constant
from pma_replication.runs.checkpoints import Checkpoint
from pma_replication.runs.replicates import State, each_replicate


def runs(
    game: Game,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    *,
    updates: Sequence[int],
    n_epochs: int,
    n_waiting: int,
    step_size: float,
    split: int,
) -> list[tuple[str, int, schedules.Schedule | schedules.BlindSchedule]]:
    """Return the schedules of every method: one for each number of updates, of as many samples for all methods.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy, of which the visits give the steps of TD learning and the Jacobian the fastest step size.
    updates : sequence of int
        M_td of best response and of the fastest step.
    n_epochs, n_waiting : int
        Their K and M_mix.
    step_size : float
        eta of mirror ascent, in units of 1 / rho.
    split : int
        Mirror ascent has K times this many epochs, and M_td over this many updates.

    Returns
    -------
    list of (str, int, Schedule or BlindSchedule)
        Method, the number of updates that it is told by in tables and seeds, and schedule. Blind learning has epochs of
        its own, and is told by the number of updates with which best response takes as many samples.
    """
    scale, start = schedules.td_scale(game, equilibrium), schedules.td_start(game, regularizer)
    fastest, _ = iterations.step_size("pma_euclidean", game, regularizer, policy=equilibrium)
    chosen = {
        MIRROR_ASCENT: (step_sizes.absolute(step_size, regularizer), split),
        FASTEST: (fastest, 1),
        BEST_RESPONSE: (np.inf, 1),
    }
    planned: list[tuple[str, int, schedules.Schedule | schedules.BlindSchedule]] = []
    for method, (eta, parts) in chosen.items():
        for n_updates in (max(1, round(all_updates / parts)) for all_updates in updates):
            schedule = schedules.Schedule(
                n_epochs=n_epochs * parts,
                n_updates=n_updates,
                n_waiting=n_waiting,
                step_size=eta,
                td_scale=scale,
                td_offset=scale,
                start=start,
            )
            planned.append((method, n_updates, schedule))
    for n_updates in updates:
        budget = n_epochs * n_updates * (n_waiting + 1)
        planned.append((BLIND, n_updates, schedules.blind_schedule(game, regularizer, budget=budget)))
    return planned


@accepts()
def compare(
    game: Game,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    *,
    name: str,
    line: str,
    updates: Sequence[int],
    n_epochs: int,
    n_waiting: int,
    step_size: float,
    split: int,
    accuracy: float,
    n_agents: int,
    n_replicates: int,
    seed: int,
    after_run: Callable[[], None] = lambda: None,
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Learn with every method on one trajectory each, for every number of updates per epoch.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy.
    name : str
        The game's name in tables and seeds.
    line : str
        What the game is drawn with.
    updates, n_epochs, n_waiting, step_size, split
        Of `runs`.
    accuracy : float
        Exploitability that counts as reached, in units of the first policy's; written to the table.
    n_agents : int
    n_replicates : int
    seed : int
        Root seed.
    after_run : callable
        Called after each run.
    checkpoint : storage.Checkpoint, optional
        Where the state is kept, and taken up if there is one; to be discarded once the table is written.

    Returns
    -------
    DataFrame
        Columns game, line, best_response_radius (spectral radius of the best response's Jacobian at the equilibrium),
        accuracy, method (of `METHODS`), step_size (of blind learning the first), radius (the spectral radius with this
        step), n_agents, n_epochs, n_updates (of `runs`), n_waiting (0 in blind learning), replicate, epoch, samples
        (environment steps up to here), error (sup_s l1 distance of the policy to the equilibrium), exploitability
        (regularized), and `judging.UNSETTLED` where that happened. Where mirror ascent has no epoch with as many
        updates as TD learning starts up with (c of `schedules.td_scale`), also `names.TD_SCALE`, c; where noise
        explains that a method ends far from the equilibrium, `names.NOISE`.
    """

    def radius(step_size: float) -> float:
        matrix = jacobian.jacobian(game, equilibrium, step_size, regularizer=regularizer)
        return float(jacobian.spectral_radius(matrix))

    planned = runs(
        game,
        regularizer,
        equilibrium,
        updates=updates,
        n_epochs=n_epochs,
        n_waiting=n_waiting,
        step_size=step_size,
        split=split,
    )
    radii = {step_size: radius(step_size) for step_size in {schedule.step_size for *_, schedule in planned}}
    longest = max(len(_samples(schedule)) for *_, schedule in planned)

    def run(setting: int, numbers: range, resume: State | None, save: learning.Save | None) -> list[np.ndarray]:
        method, n_updates, schedule = planned[setting]
        rngs = [seeds.generator(seed, "coupling", name, method, n_updates, replicate) for replicate in numbers]
        if isinstance(schedule, schedules.BlindSchedule):  # begins again if it was interrupted: it takes seconds
            runs_of = replicates.blind(game, n_agents, regularizer, rngs=rngs, budget=schedule.n_samples)
            learned = [np.stack([operators.uniform_policy(game), *(e.policy for e in epochs)]) for epochs in runs_of]
        else:
            kept: dict[str, Any] = {"resume": resume, "save": save}
            learned = list(replicates.centralized(game, n_agents, regularizer, schedule=schedule, rngs=rngs, **kept))
        found = []
        for policies in learned:
            measured = np.full((2, longest), np.nan)
            measured[0, : len(policies)] = [operators.policy_distance(policy, equilibrium) for policy in policies]
            measured[1, : len(policies)] = unsettled.exploitabilities(game, policies, regularizer)
            found.append(measured)
            after_run()
        return found

    common = {"game": name, "line": line, "best_response_radius": radii[np.inf], "accuracy": accuracy}
    if max(n for way, n, _ in planned if way == MIRROR_ASCENT) < (scale := schedules.td_scale(game, equilibrium)):
        common[TD_SCALE] = scale
    parts = []
    for number, measured in enumerate(each_replicate(run, [n_replicates] * len(planned), checkpoint)):
        method, n_updates, schedule = planned[number // n_replicates]
        epochs = np.arange(len(taken := _samples(schedule)))
        columns = {
            **common,
            "method": method,
            "step_size": schedule.step_size,
            "radius": radii[schedule.step_size],
            "n_agents": n_agents,
            "n_epochs": len(taken) - 1,
            "n_updates": n_updates,
            "n_waiting": 0 if method == BLIND else n_waiting,
            "replicate": number % n_replicates,
            "epoch": epochs,
            "samples": taken,
            "error": measured[0, epochs],
            "exploitability": measured[1, epochs],
        }
        parts.append(pd.DataFrame(columns))
    table = _with_noise(pd.concat(parts, ignore_index=True), game, regularizer, equilibrium)
    return unsettled.marked(table, unsettled.worst(game, regularizer))


def _with_noise(table: pd.DataFrame, game: Game, regularizer: Regularizer, equilibrium: np.ndarray) -> pd.DataFrame:
    """Return the table with `names.NOISE` of methods that contract, end far away, and are kept there by noise alone.

    It is known where nothing waits, and of an equilibrium that plays every action.
    """
    for method in (MIRROR_ASCENT, BEST_RESPONSE):
        rows = table[table["method"] == method]
        known = equilibrium.min() > 0.0 and not rows["n_waiting"].any() and rows["radius"].iloc[0] < 1.0
        if not known or not elsewhere(table, method):
            continue
        of: dict[str, Any] = {"step_size": rows["step_size"].iloc[0], "n_epochs": rows["n_epochs"].iloc[0]}
        with contextlib.suppress(InputError, np.linalg.LinAlgError):  # then it explains nothing
            noise = policy_constant(game, regularizer, equilibrium, **of) / np.sqrt(rows["n_updates"])
            if noise.min() > LEARNED * rows.loc[rows["epoch"] == 0, "error"].mean():
                table.loc[rows.index, NOISE] = noise
    return table


def _samples(schedule: schedules.Schedule | schedules.BlindSchedule) -> np.ndarray:
    """Return the samples up to each epoch, shape (K + 1,), none at the first policy; a pilot counts as an epoch."""
    if isinstance(schedule, schedules.BlindSchedule):
        return np.cumsum([0, *schedule.n_updates])
    return np.asarray(np.arange(schedule.n_epochs + 1) * schedule.n_updates * (schedule.n_waiting + 1))
