"""Learning sweeps: replicated runs of the N-agent game, one tidy table per point (claims C3, C4, C6).

Docs/theory.md, sections 9 to 12. Every replicate has its own generator, named by experiment, game, N, epsilon and its
number, so a table is bitwise the same in any order and on any number of cores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from pma_mfg import equilibrium as exact
from pma_mfg import fluctuations, learning, lipschitz, operators, seeds, simulation
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning import Schedule
from pma_mfg.regularizers import Regularizer
from pma_mfg.storage import Checkpoint


def ctd_errors(
    game: MeanFieldGame,
    regularizer: Regularizer,
    policy: np.ndarray,
    name: str,
    n_agents: int,
    n_updates: Sequence[int],
    n_waiting: int,
    n_replicates: int,
    seed: int,
    after_replicate: Callable[[], None] = lambda: None,
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Measure the error of TD learning of a fixed policy after growing numbers of updates (claim C3).

    The step sizes are c / (m + c) with c = 1 / ((1 - gamma) d), d the least visit probability of a state-action pair.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
        Held by all agents.
    name : str
        The game's name in tables and seeds.
    n_agents : int
    n_updates : sequence of int
        M_td, increasing.
    n_waiting : int
        M_mix.
    n_replicates : int
    seed : int
        Root seed.
    after_replicate : callable
        Called after each replicate.
    checkpoint : storage.Checkpoint, optional
        Where the state is kept, and taken up if there is one; to be discarded once the table is written.

    Returns
    -------
    DataFrame
        Columns game, n_agents, n_waiting, replicate, n_updates, samples, error (sup norm of Q - Gamma_q(pi, mu_pi)).
    """
    mean_field = operators.stable_population(game, policy)
    truth = operators.q_values(game, policy, mean_field, regularizer)
    scale = learning.td_scale(game, policy)

    def run(replicate: int, resume: _State | None, save: learning.Save) -> np.ndarray:
        rng = seeds.generator(seed, "ctd", name, n_agents, replicate)
        estimates = learning.ctd(
            game,
            policy,
            n_agents,
            regularizer,
            n_updates,
            n_waiting,
            scale,
            scale,
            rng,
            resume=resume,
            save=None if checkpoint is None else save,
        )
        after_replicate()
        return np.asarray(np.abs(estimates - truth).max(axis=(1, 2)))

    rows = []
    for replicate, errors in enumerate(_replicates(run, n_replicates, checkpoint)):
        for updates, error in zip(n_updates, errors.tolist(), strict=True):
            rows.append((name, n_agents, n_waiting, replicate, updates, updates * (n_waiting + 1), error))
    columns = ["game", "n_agents", "n_waiting", "replicate", "n_updates", "samples", "error"]
    return pd.DataFrame(rows, columns=columns)


def learning_errors(
    game: MeanFieldGame,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    name: str,
    n_agents: int,
    epsilon: float,
    schedule: Schedule,
    n_replicates: int,
    seed: int,
    after_epoch: Callable[[], None] = lambda: None,
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Run centralized learning over U and measure the distance to the equilibrium after every epoch (claim C4).

    Parameters
    ----------
    game : MeanFieldGame
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
    checkpoint : storage.Checkpoint, optional
        Where the state is kept, and taken up if there is one; to be discarded once the table is written.

    Returns
    -------
    DataFrame
        Columns game, n_agents, epsilon, n_epochs, n_updates, n_waiting, step_size, replicate, epoch, samples
        (environment steps up to here), error (sup_s l1 distance of the policy to the equilibrium), exploitability
        (regularized).
    """
    floor = lipschitz.policy_floor(game, regularizer)
    per_epoch = schedule.n_updates * (schedule.n_waiting + 1)
    fixed = (name, n_agents, epsilon, schedule.n_epochs, schedule.n_updates, schedule.n_waiting, schedule.step_size)

    def run(replicate: int, resume: _State | None, save: learning.Save) -> np.ndarray:
        rng = seeds.generator(seed, "learning", name, n_agents, epsilon, replicate)
        policies = learning.centralized(
            game,
            n_agents,
            regularizer,
            schedule,
            rng,
            floor=floor,
            after_epoch=lambda epoch: after_epoch(),
            resume=resume,
            save=None if checkpoint is None else save,
        )
        distances = [operators.policy_distance(policy, equilibrium) for policy in policies]
        return np.array([distances, [exact.exploitability(game, policy, regularizer) for policy in policies]])

    rows = []
    for replicate, measured in enumerate(_replicates(run, n_replicates, checkpoint)):
        for epoch, (error, gain) in enumerate(measured.T.tolist()):
            rows.append((*fixed, replicate, epoch, epoch * per_epoch, error, gain))
    columns = ["game", "n_agents", "epsilon", "n_epochs", "n_updates", "n_waiting", "step_size"]
    return pd.DataFrame(rows, columns=[*columns, "replicate", "epoch", "samples", "error", "exploitability"])


_State = Mapping[str, np.ndarray]


def _replicates(
    run: Callable[[int, _State | None, learning.Save], np.ndarray], n_replicates: int, checkpoint: Checkpoint | None
) -> list[np.ndarray]:
    """Return what each replicate measured; with a checkpoint, go on from the replicate and the state saved there."""
    state = None if checkpoint is None else checkpoint.load()
    finished: list[np.ndarray] = [] if state is None else list(state["finished"])

    def save(inside: Callable[[], _State]) -> None:
        if checkpoint is not None:
            checkpoint.save(lambda: {**inside(), "finished": np.array(finished)})

    while len(finished) < n_replicates:
        finished.append(run(len(finished), state if state is not None and "stream" in state else None, save))
        state = None
        save(dict)
    return finished


def finite_population_bias(
    game: MeanFieldGame,
    regularizer: Regularizer,
    policy: np.ndarray,
    name: str,
    n_agents: int,
    n_steps: int,
    n_replicates: int,
    seed: int,
    after_replicate: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Measure the fluctuation of the mean field and the bias of what TD learning converges to at N agents (claim C6).

    The limit of TD learning is the Q of the averaged decision process; its features are averaged along a trajectory of
    all agents, which leaves no noise of actions or transitions of a single learner.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
        Held by all agents.
    name : str
        The game's name in tables and seeds.
    n_agents : int
    n_steps : int
        Averaged steps per replicate; a tenth of it passes before.
    n_replicates : int
    seed : int
        Root seed.
    after_replicate : callable
        Called after each replicate.

    Returns
    -------
    DataFrame
        Columns game, n_agents, replicate, state, action, q_error (signed), predicted_q_error (large-N closed form),
        deviation (E ||mu_hat - mu_pi||_1 of the replicate), predicted_deviation (large-N closed form).
    """
    mean_field = operators.stable_population(game, policy)
    truth = operators.q_values(game, policy, mean_field, regularizer)
    predicted = fluctuations.large_population_q(game, policy, n_agents, regularizer) - truth
    predicted_deviation = fluctuations.expected_deviation(game, policy) / np.sqrt(n_agents)
    state, action = (index.ravel() for index in np.indices(truth.shape))
    tables = []
    for replicate in range(n_replicates):
        rng = seeds.generator(seed, "bias", name, n_agents, replicate)
        averages = simulation.ergodic_averages(game, policy, n_agents, n_steps, rng, n_steps // 10, mean_field)
        process = fluctuations.decision_process(game, averages.transition_features, averages.reward_features)
        limit = operators.q_of_decision_process(*process, game.discount, policy, regularizer)
        tables.append(
            pd.DataFrame(
                {
                    "game": name,
                    "n_agents": n_agents,
                    "replicate": replicate,
                    "state": state,
                    "action": action,
                    "q_error": (limit - truth).ravel(),
                    "predicted_q_error": predicted.ravel(),
                    "deviation": averages.deviation,
                    "predicted_deviation": predicted_deviation,
                }
            )
        )
        after_replicate()
    return pd.concat(tables, ignore_index=True)


def policy_limits(
    game: MeanFieldGame,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    name: str,
    populations: Sequence[int],
    step_size: float,
) -> pd.DataFrame:
    """Predict how far from the equilibrium learning ends with unlimited samples, for large N (claim C6).

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
    name : str
    populations : sequence of int
    step_size : float

    Returns
    -------
    DataFrame
        Columns game, n_agents, predicted_error.
    """
    rows = []
    for n_agents in populations:
        policy = fluctuations.large_population_policy(game, n_agents, regularizer, step_size, equilibrium)
        rows.append((name, n_agents, operators.policy_distance(policy, equilibrium)))
    return pd.DataFrame(rows, columns=["game", "n_agents", "predicted_error"])
