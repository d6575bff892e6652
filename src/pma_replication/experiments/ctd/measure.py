"""Measurements: the error of temporal-difference learning.

From one game to tables (docs/theory, section 12).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from pma_mfg import operators, seeds
from pma_mfg.arrays import accepts
from pma_mfg.games.functions import Game, is_lumpable
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import replicates, schedules
from pma_mfg.populations import finite_population, fluctuations, spread, td_moments
from pma_mfg.regularizers import Regularizer
from pma_mfg.theory import lipschitz
from pma_replication.runs.checkpoints import Checkpoint
from pma_replication.runs.replicates import State, each_replicate

#: Most updates of the exact moments of TD learning, times the square of the number of state-action pairs: seconds of
#: work.
MOMENTS = 400_000

#: Most numbers of the second moments on each pair, (S A)^3, that `settled` keeps and moves at every update.
MOST_ON_PAIRS = 10**7

#: Waiting times whose moments are computed side by side: the fastest, as more of them fill the processor's cache.
TOGETHER = 8

#: Most states of the game of N agents for which the limit of learning is computed exactly: seconds of work.
EXACT_STATES = 20_000

#: Error that TD learning still has from its start, in units of its noise, at the smallest M_td that a slope is fitted
#: to.
START_SHARE = 0.5


@accepts()
def settled(game: Game, policy: np.ndarray, regularizer: Regularizer) -> float:
    """Return the updates M_0 from which on the error of TD learning is noise, and falls with their root.

    At least 5 c, when the steps c / (m + c) are near c / m; and so many that what is left of the start is at most
    `START_SHARE` of the noise, which bends a slope of -1/2 a little (docs/theory, section 12.1). The first falls as
    1 / M and the second as 1 / sqrt(M) from where the exact moments end. Nothing measured enters.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
        Held by all agents.
    regularizer : Regularizer

    Returns
    -------
    float
    """
    scale = schedules.td_scale(game, policy)
    updates = int(max(10, min(math.ceil(5.0 * scale), MOMENTS // policy.size**2)))
    if policy.size**3 > MOST_ON_PAIRS:  # the pairs are independent: the same moments, by (10.6)
        mean, covariance = spread.td_moments(game, policy, regularizer, n_updates=updates, scale=scale, offset=scale)
        start, square = float(np.abs(mean).max()), float((np.diagonal(covariance) + mean**2).max())
    else:
        found = td_moments.moments(
            game, policy, regularizer, n_updates=[updates], n_waiting=np.inf, td_scale=scale, td_offset=scale
        )
        start, square = float(np.abs(found.mean).max()), float(found.mean_square.max())
    noise = math.sqrt(max(square - start**2, 1e-300))
    return max(5.0 * scale, updates * (start / (START_SHARE * noise)) ** 2)


@accepts()
def ctd_errors(
    game: Game,
    regularizer: Regularizer,
    policy: np.ndarray,
    *,
    name: str,
    n_agents: int,
    n_updates: Sequence[int],
    n_waiting: Sequence[int],
    n_replicates: Sequence[int],
    seed: int,
    after_replicate: Callable[[], None] = lambda: None,
    checkpoint: Checkpoint | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure the error of TD learning of a fixed policy after growing numbers of updates (claim C3).

    The step sizes are c / (m + c) with c = 1 / ((1 - gamma) d), d the least visit probability of a state-action pair.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
        Held by all agents.
    name : str
        The game's name in tables and seeds.
    n_agents : int
    n_updates : sequence of int
        M_td, increasing.
    n_waiting : sequence of int
        M_mix.
    n_replicates : sequence of int
        Of each M_mix.
    seed : int
        Root seed.
    after_replicate : callable
        Called after each replicate.
    checkpoint : storage.Checkpoint, optional
        Where the state is kept, and taken up if there is one; to be discarded once the table is written.

    Returns
    -------
    errors : DataFrame
        Columns game, n_agents, settled (M_0 of `settled`, from which on a slope is fitted), n_waiting, replicate,
        n_updates, samples, error (sup norm of Q - Gamma_q(pi, mu_pi)),
        mean_square (of its entries), predicted_mean_square (of the entries of its limit for N agents, exact where the
        lumped chain is small enough, else the large-N closure).
    floor : DataFrame
        After the last update with the first M_mix, entry by entry: game, n_agents, n_waiting, n_updates, replicate,
        state, action, q_error (signed), predicted_q_error (of the limit for N agents).
    """
    mean_field = operators.stable_population(game, policy)
    truth = operators.q_values(game, policy, mean_field, regularizer=regularizer)
    if is_lumpable(game, n_agents, EXACT_STATES):
        predicted = finite_population.learning_limit(game, policy, n_agents, regularizer=regularizer) - truth
    else:
        predicted = fluctuations.large_population_q(game, policy, n_agents, regularizer=regularizer) - truth
    scale = schedules.td_scale(game, policy)
    runs = [(wait, i) for wait, count in zip(n_waiting, n_replicates, strict=True) for i in range(count)]

    def run(setting: int, numbers: range, resume: State | None, save: learning.Save | None) -> list[np.ndarray]:
        wait = n_waiting[setting]
        estimates = replicates.ctd(
            game,
            policy,
            n_agents,
            regularizer=regularizer,
            n_updates=n_updates,
            n_waiting=wait,
            td_scale=scale,
            td_offset=scale,
            rngs=[seeds.generator(seed, "ctd", name, n_agents, wait, replicate) for replicate in numbers],
            resume=resume,
            save=save,
        )
        for _ in numbers:
            after_replicate()
        return list(estimates - truth)

    rows, floors = [], []
    fitted_from = settled(game, policy, regularizer)
    limit = float((predicted**2).mean())
    state, action = (index.ravel() for index in np.indices(truth.shape))
    for (wait, replicate), errors in zip(runs, each_replicate(run, n_replicates, checkpoint), strict=True):
        for updates, error in zip(n_updates, errors, strict=True):
            measured = float(np.abs(error).max()), float((error**2).mean())
            rows.append((name, n_agents, fitted_from, wait, replicate, updates, updates * (wait + 1), *measured, limit))
        if wait == n_waiting[0]:
            floors.append(
                pd.DataFrame(
                    {
                        "game": name,
                        "n_agents": n_agents,
                        "n_waiting": wait,
                        "n_updates": n_updates[-1],
                        "replicate": replicate,
                        "state": state,
                        "action": action,
                        "q_error": errors[-1].ravel(),
                        "predicted_q_error": predicted.ravel(),
                    }
                )
            )
    columns = ["game", "n_agents", "settled", "n_waiting", "replicate", "n_updates", "samples", "error"]
    table = pd.DataFrame(rows, columns=[*columns, "mean_square", "predicted_mean_square"])
    return table, pd.concat(floors, ignore_index=True)


@accepts()
def ctd_moments(
    game: Game,
    regularizer: Regularizer,
    policy: np.ndarray,
    *,
    name: str,
    n_updates: Sequence[int],
    n_waiting: Sequence[int],
    after_waiting: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Compute the error of TD learning of a fixed policy exactly, with infinitely many agents (claim C3-mixing).

    Step sizes as in `ctd_errors`.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
    name : str
    n_updates : sequence of int
        M_td, increasing.
    n_waiting : sequence of int
        M_mix; independent samples from the stationary law are added as infinity.
    after_waiting : callable
        Called after each M_mix.

    Returns
    -------
    DataFrame
        Columns game, n_waiting, n_updates, mean_error (sup norm of E Q - Gamma_q), mean_square (mean over entries of E
        (Q - Gamma_q)^2), mixing_bias (sup norm of E Q minus E Q of independent samples), excess (of mean_square over
        that of independent samples), forgetting_rate (|lambda_2| of the learner's chain), L_pop.
    """
    scale = schedules.td_scale(game, policy)
    fixed = td_moments.forgetting_rate(game, policy), lipschitz.constants(game).L_pop
    waits = [np.inf, *n_waiting]
    means: list[np.ndarray] = []
    squares: list[np.ndarray] = []
    for group in (waits[i : i + TOGETHER] for i in range(0, len(waits), TOGETHER)):
        found = td_moments.moments(
            game, policy, regularizer, n_updates=n_updates, n_waiting=group, td_scale=scale, td_offset=scale
        )
        means.extend(found.mean)
        squares.extend(found.mean_square)
        for _ in group:
            after_waiting()
    rows = []
    for waiting, mean_errors, mean_squares in zip(waits, means, squares, strict=True):
        for i, updates in enumerate(n_updates):
            mean, square = mean_errors[i], float(mean_squares[i].mean())
            bias = float(np.abs(mean - means[0][i]).max())
            excess = square - float(squares[0][i].mean())
            rows.append((name, float(waiting), updates, float(np.abs(mean).max()), square, bias, excess, *fixed))
    columns = ["game", "n_waiting", "n_updates", "mean_error", "mean_square", "mixing_bias", "excess"]
    return pd.DataFrame(rows, columns=[*columns, "forgetting_rate", "L_pop"])
