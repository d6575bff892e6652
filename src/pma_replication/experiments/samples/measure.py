"""Measurements: how many samples an accuracy costs. From one game to tables (docs/theory, section 12)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from pma_mfg import operators, seeds
from pma_mfg.arrays import accepts
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import replicates
from pma_mfg.learning.schedules import Schedule
from pma_mfg.regularizers import Regularizer
from pma_mfg.theory import lipschitz, prescription
from pma_replication import unsettled
from pma_replication.runs.checkpoints import Checkpoint
from pma_replication.runs.replicates import State, each_replicate


def theorem_schedules(
    game: MeanFieldGame, regularizer: Regularizer, name: str, *, epsilons: Sequence[float], step_size: float
) -> pd.DataFrame:
    """Return what the theorem prescribes for each accuracy (claim C4-prescribed).

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    name : str
    epsilons : sequence of float
    step_size : float
        eta > 0.

    Returns
    -------
    DataFrame
        Columns game, epsilon, samples, and the fields of `learning.schedules.Schedule`.
    """
    prescribed = [prescription.theorem_schedule(game, regularizer, step_size, epsilon=epsilon) for epsilon in epsilons]
    rows = [
        {"game": name, "epsilon": epsilon, "samples": float(schedule.n_samples), **vars(schedule)}
        for epsilon, schedule in zip(epsilons, prescribed, strict=True)
    ]
    return pd.DataFrame(rows)


@accepts()
def learning_errors(
    game: Game,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    *,
    name: str,
    n_agents: int,
    epsilon: float,
    schedule: Schedule,
    n_replicates: int,
    seed: int,
    after_epoch: Callable[[], None] = lambda: None,
    kind: str = "tuned",
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Run centralized learning and measure the distance to the equilibrium after every epoch (claim C4).

    A tuned schedule is run over U, the theorem's as the theorem prescribes: without a floor.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy.
    name : str
        The game's name in tables and seeds.
    n_agents : int
    epsilon : float
        The accuracy that the schedule is for.
    schedule : Schedule
    n_replicates : int
    seed : int
        Root seed.
    after_epoch : callable
        Called after each epoch of each replicate.
    kind : {"tuned", "theorem"}
        Of schedule.
    checkpoint : storage.Checkpoint, optional
        Where the state is kept, and taken up if there is one; to be discarded once the table is written.

    Returns
    -------
    DataFrame
        Columns game, algorithm ("centralized"), schedule ("tuned" or "theorem"), n_agents, epsilon, n_epochs,
        n_updates, n_waiting, step_size, replicate, epoch, samples (environment steps up to here), error (sup_s l1
        distance of the policy to the equilibrium), exploitability (regularized), and `judging.UNSETTLED` where that
        happened.
    """
    floor = lipschitz.policy_floor(game, regularizer) if kind == "tuned" else None
    experiment = "learning" if kind == "tuned" else "prescribed"
    per_epoch = schedule.n_updates * (schedule.n_waiting + 1)
    fixed: tuple[object, ...] = (name, "centralized", kind, n_agents, epsilon)
    fixed += (schedule.n_epochs, schedule.n_updates, schedule.n_waiting, schedule.step_size)

    def run(setting: int, numbers: range, resume: State | None, save: learning.Save | None) -> list[np.ndarray]:
        def after(epoch: int) -> None:
            for _ in numbers:
                after_epoch()

        rngs = [seeds.generator(seed, experiment, name, n_agents, epsilon, replicate) for replicate in numbers]
        learned = replicates.centralized(
            game,
            n_agents,
            regularizer,
            schedule=schedule,
            rngs=rngs,
            floor=floor,
            after_epoch=after,
            resume=resume,
            save=save,
        )
        return [
            np.array(
                [
                    [operators.policy_distance(policy, equilibrium) for policy in policies],
                    unsettled.exploitabilities(game, policies, regularizer),
                ]
            )
            for policies in learned
        ]

    rows = []
    for replicate, measured in enumerate(each_replicate(run, [n_replicates], checkpoint)):
        for epoch, (error, gain) in enumerate(measured.T.tolist()):
            rows.append((*fixed, replicate, epoch, epoch * per_epoch, error, gain))
    columns = ["game", "algorithm", "schedule", "n_agents", "epsilon"]
    columns += ["n_epochs", "n_updates", "n_waiting", "step_size"]
    table = pd.DataFrame(rows, columns=[*columns, "replicate", "epoch", "samples", "error", "exploitability"])
    return unsettled.marked(table, unsettled.worst(game, regularizer))
