"""What is measured on how many samples an accuracy costs: from one game to tables (docs/theory.md, section 12)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from pma_mfg import equilibrium as exact
from pma_mfg import operators, seeds
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning.schedules import Schedule
from pma_mfg.regularizers import Regularizer
from pma_mfg.theory import lipschitz, prescription
from pma_replication.runs.checkpoints import Checkpoint
from pma_replication.runs.replicates import State, each_replicate


def theorem_schedules(
    game: MeanFieldGame, regularizer: Regularizer, name: str, epsilons: Sequence[float], step_size: float
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
    prescribed = [prescription.theorem_schedule(game, regularizer, step_size, epsilon) for epsilon in epsilons]
    rows = [
        {"game": name, "epsilon": epsilon, "samples": float(schedule.n_samples), **vars(schedule)}
        for epsilon, schedule in zip(epsilons, prescribed, strict=True)
    ]
    return pd.DataFrame(rows)


def blind_learning(
    game: Game,
    regularizer: Regularizer,
    name: str,
    n_agents: int,
    budget: int | None,
    n_replicates: int,
    seed: int,
    after_epoch: Callable[[learning.Epoch], None] = lambda epoch: None,
    every_epoch: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run `learning.algorithms.blind` and measure how exploitable its policies are, without an influence on it.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    name : str
        The game's name in tables and seeds.
    n_agents : int
    budget : int or None
        Samples of a replicate, `learning.algorithms.blind`'s by default.
    n_replicates : int
    seed : int
        Root seed.
    after_epoch : callable
        Called with each epoch of each replicate.
    every_epoch : bool
        Measure after every epoch, not only at the start and the end.

    Returns
    -------
    table : DataFrame
        Columns game, algorithm ("centralized"), schedule ("auto"), n_agents, replicate, epoch (0: the pilot), samples,
        step_size (nan for the pilot), unseen (pairs that the learner did not see in this epoch), exploitability
        (regularized; nan if the policy has no stable population).
    policies : DataFrame
        Columns game, replicate, state, action, probability: those of the end.
    """

    def measured(policy: np.ndarray) -> float:
        try:
            return exact.exploitability(game, policy, regularizer)
        except ConvergenceError:
            return np.nan

    rows, entries = [], []
    for replicate in range(n_replicates):
        fixed = (name, "centralized", "auto", n_agents, replicate)
        rng = seeds.generator(seed, "blind", name, n_agents, replicate)
        last: tuple[int, learning.Epoch] | None = None
        for number, epoch in enumerate(learning.blind(game, n_agents, regularizer, rng=rng, budget=budget)):
            after_epoch(epoch)
            last, skipped = (number, epoch), last
            if skipped is not None and (every_epoch or skipped[0] == 0):
                rows.append((*fixed, *_blind_row(*skipped), measured(skipped[1].policy)))
        if last is not None:
            rows.append((*fixed, *_blind_row(*last), measured(last[1].policy)))
            entries += [(name, replicate, s, a, p) for (s, a), p in np.ndenumerate(last[1].policy)]
    columns = ["game", "algorithm", "schedule", "n_agents", "replicate"]
    columns += ["epoch", "samples", "step_size", "unseen", "exploitability"]
    policies = pd.DataFrame(entries, columns=["game", "replicate", "state", "action", "probability"])
    return pd.DataFrame(rows, columns=columns), policies


def _blind_row(number: int, epoch: learning.Epoch) -> tuple[int, int, float, int]:
    return number, epoch.samples, epoch.step_size, int((epoch.visits == 0.0).sum())


@accepts()
def learning_errors(
    game: Game,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
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
        distance of the policy to the equilibrium), exploitability (regularized).
    """
    floor = lipschitz.policy_floor(game, regularizer) if kind == "tuned" else None
    experiment = "learning" if kind == "tuned" else "prescribed"
    per_epoch = schedule.n_updates * (schedule.n_waiting + 1)
    fixed: tuple[object, ...] = (name, "centralized", kind, n_agents, epsilon)
    fixed += (schedule.n_epochs, schedule.n_updates, schedule.n_waiting, schedule.step_size)

    def run(replicate: int, resume: State | None, save: learning.Save) -> np.ndarray:
        rng = seeds.generator(seed, experiment, name, n_agents, epsilon, replicate)
        policies = learning.centralized(
            game,
            n_agents,
            regularizer,
            schedule=schedule,
            rng=rng,
            floor=floor,
            after_epoch=lambda epoch: after_epoch(),
            resume=resume,
            save=None if checkpoint is None else save,
        )
        distances = [operators.policy_distance(policy, equilibrium) for policy in policies]
        return np.array([distances, [exact.exploitability(game, policy, regularizer) for policy in policies]])

    rows = []
    for replicate, measured in enumerate(each_replicate(run, n_replicates, checkpoint)):
        for epoch, (error, gain) in enumerate(measured.T.tolist()):
            rows.append((*fixed, replicate, epoch, epoch * per_epoch, error, gain))
    columns = ["game", "algorithm", "schedule", "n_agents", "epsilon"]
    columns += ["n_epochs", "n_updates", "n_waiting", "step_size"]
    return pd.DataFrame(rows, columns=[*columns, "replicate", "epoch", "samples", "error", "exploitability"])
