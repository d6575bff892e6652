"""Measurements: what a finite number of agents does to what is learned.

From one game to tables (docs/theory, section 12).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from pma_mfg import operators, seeds
from pma_mfg.arrays import accepts
from pma_mfg.games.functions import Game, is_lumpable
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning import replicates, schedules
from pma_mfg.populations import counts, finite_population, fluctuations
from pma_mfg.regularizers import Regularizer
from pma_mfg.simulation import exchangeable as simulation

#: States of an agent and the counts of the others up to which the limit of the policy is computed exactly, in seconds.
EXACT_STATES = 5_000


@accepts()
def finite_population_bias(
    game: MeanFieldGame,
    regularizer: Regularizer,
    policy: np.ndarray,
    *,
    name: str,
    populations: Sequence[int],
    n_steps: int,
    n_replicates: int,
    seed: int,
    after_replicate: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Measure the fluctuation of the mean field and the bias of what TD learning converges to at several N (claim C6).

    The limit of TD learning is the Q of the averaged decision process. Only second moments are measured, along a
    trajectory of all agents; the mean follows from stationarity, so the relative precision does not depend on N
    (docs/theory, section 9.9).

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
        Held by all agents.
    name : str
        The game's name in tables and seeds.
    populations : sequence of int
        The N.
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

    Raises
    ------
    InputError
        If a trajectory leaves a state for good: there TD learning has no limit.
    """
    mean_field = operators.stable_population(game, policy)
    truth = operators.q_values(game, policy, mean_field, regularizer=regularizer)
    expected_deviation = fluctuations.expected_deviation(game, policy)
    state, action = (index.ravel() for index in np.indices(truth.shape))
    tables = []
    for n_agents in populations:
        predicted = fluctuations.large_population_q(game, policy, n_agents, regularizer=regularizer) - truth
        for replicate in range(n_replicates):
            rng = seeds.generator(seed, "bias", name, n_agents, replicate)
            averages = simulation.ergodic_averages(
                game, policy, n_agents, n_steps=n_steps, rng=rng, n_burn_in=n_steps // 10, centre=mean_field
            )
            if (lost := np.flatnonzero(~(averages.mean_field > 0.0))).size:
                raise counts.unvisited(game, n_agents, lost, n_steps=n_steps)
            limit = fluctuations.measured_q(game, policy, regularizer, averages=averages)
            of_run = {"game": name, "n_agents": n_agents, "replicate": replicate, "state": state, "action": action}
            of_run |= {"q_error": (limit - truth).ravel(), "predicted_q_error": predicted.ravel()}
            of_run |= {"deviation": averages.deviation, "predicted_deviation": expected_deviation / np.sqrt(n_agents)}
            tables.append(pd.DataFrame(of_run))
            after_replicate()
    return pd.concat(tables, ignore_index=True)


@accepts()
def learned_policies(
    game: Game,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    *,
    name: str,
    populations: Sequence[int],
    n_updates: int,
    n_epochs: int,
    step_size: float,
    n_replicates: int,
    seed: int,
    after_replicate: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Learn from several N, and measure where the policy ends in the mean over noise (claim C6-learned).

    A run starts at the uniform policy. Of its K epochs the policies of the second half are averaged, and kept with
    their sign: over epochs and replicates noise averages out, and what N does to the policy stays.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy.
    name : str
        The game's name in tables and seeds.
    populations : sequence of int
        The N.
    n_updates, n_epochs : int
        M_td, and K >= 2. No step is waited for between updates.
    step_size : float
        eta.
    n_replicates : int
    seed : int
        Root seed.
    after_replicate : callable
        Called after each replicate.

    Returns
    -------
    DataFrame
        Columns game, n_agents, replicate, state, action, policy_error (signed, of the mean policy to the equilibrium),
        predicted_policy_error (of the limit of learning without noise: exact where `EXACT_STATES` allow, else for large
        N).
    """
    scale, begin = schedules.td_scale(game, equilibrium), schedules.td_start(game, regularizer)
    schedule = schedules.Schedule(n_epochs, n_updates, 0, step_size, scale, scale, begin)
    state, action = (index.ravel() for index in np.indices(equilibrium.shape))
    tables = []
    for n_agents in populations:
        limit = fluctuations.large_population_policy(
            game, n_agents, regularizer, step_size=step_size, start=equilibrium
        )
        if is_lumpable(game, n_agents, EXACT_STATES):
            limit = finite_population.policy_limit(game, n_agents, regularizer, step_size=step_size, start=limit)
        rngs = [seeds.generator(seed, "learned policy", name, n_agents, replicate) for replicate in range(n_replicates)]
        learned = replicates.centralized(game, n_agents, regularizer, schedule=schedule, rngs=rngs)
        for replicate, policies in enumerate(learned):
            of_run = {"game": name, "n_agents": n_agents, "replicate": replicate, "state": state, "action": action}
            of_run["policy_error"] = (policies[1 + n_epochs // 2 :].mean(axis=0) - equilibrium).ravel()
            of_run["predicted_policy_error"] = (limit - equilibrium).ravel()
            tables.append(pd.DataFrame(of_run))
            after_replicate()
    return pd.concat(tables, ignore_index=True)


@accepts()
def exact_limits(
    game: MeanFieldGame,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    *,
    name: str,
    populations: Sequence[int],
    step_size: float,
    after_population: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Solve the N-agent game exactly for several N: fluctuation, limit of TD learning, limit of the policy (claim C6).

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy.
    name : str
    populations : sequence of int
    step_size : float
        eta of the iteration to the policy's limit.
    after_population : callable
        Called after each N.

    Returns
    -------
    DataFrame
        Columns game, n_agents, deviation, q_error, policy_error: E ||mu_hat - mu_pi||_1, the largest error of the limit
        of TD learning, and the distance to the equilibrium of the policy at which centralized learning settles. Each
        also with the prefix predicted_, its closed form for large N.
    """
    mean_field = operators.stable_population(game, equilibrium)
    truth = operators.q_values(game, equilibrium, mean_field, regularizer=regularizer)
    scale = fluctuations.expected_deviation(game, equilibrium)
    rows = []
    for n_agents in populations:
        law = finite_population.stationary_counts(game, equilibrium, n_agents)
        errors = [finite_population.deviation(game, equilibrium, law), scale / np.sqrt(n_agents)]
        for q in (
            finite_population.learning_limit(game, equilibrium, n_agents, regularizer=regularizer),
            fluctuations.large_population_q(game, equilibrium, n_agents, regularizer=regularizer),
        ):
            errors.append(float(np.abs(q - truth).max()))
        predicted = fluctuations.large_population_policy(
            game, n_agents, regularizer, step_size=step_size, start=equilibrium
        )
        settled = finite_population.policy_limit(game, n_agents, regularizer, step_size=step_size, start=predicted)
        errors += [operators.policy_distance(policy, equilibrium) for policy in (settled, predicted)]
        rows.append((name, n_agents, *errors))
        after_population()
    columns = [
        f"{prefix}{error}" for error in ("deviation", "q_error", "policy_error") for prefix in ("", "predicted_")
    ]
    return pd.DataFrame(rows, columns=["game", "n_agents", *columns])


@accepts()
def agreement(
    game: MeanFieldGame,
    regularizer: Regularizer,
    policy: np.ndarray,
    *,
    name: str,
    populations: Sequence[int],
    n_steps: int,
    n_replicates: int,
    seed: int,
    after_population: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Compare the simulated limit of TD learning with the exact one, in one number fixed in advance for each N (C3).

    The number is the inner product of Q with a unit vector drawn from the seed, before any simulation.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
        Held by all agents.
    name : str
        The game's name in tables and seeds.
    populations : sequence of int
    n_steps : int
        Averaged steps per replicate; a tenth of it passes before.
    n_replicates : int
    seed : int
        Root seed.
    after_population : callable
        Called after each N.

    Returns
    -------
    DataFrame
        Columns game, n_agents, exact, simulated (mean over replicates), standard_error, n_replicates, mean_field_limit
        (the same number with infinitely many agents).
    """
    mean_field = operators.stable_population(game, policy)
    infinite_q = operators.q_values(game, policy, mean_field, regularizer=regularizer)
    rows = []
    for n_agents in populations:
        direction = seeds.generator(seed, "direction", name, n_agents).normal(size=policy.shape)
        direction /= np.sqrt((direction**2).sum())
        exact_q = finite_population.learning_limit(game, policy, n_agents, regularizer=regularizer)
        simulated = []
        for replicate in range(n_replicates):
            rng = seeds.generator(seed, "agreement", name, n_agents, replicate)
            averages = simulation.ergodic_averages(
                game, policy, n_agents, n_steps=n_steps, rng=rng, n_burn_in=n_steps // 10, centre=mean_field
            )
            # plain averages, so that of the identities behind the exact solution only exchangeability is used
            process = fluctuations.decision_process(game, averages.transition_features, averages.reward_features)
            q = operators.q_of_decision_process(*process, game.discount, policy=policy, regularizer=regularizer)
            simulated.append(float((direction * q).sum()))
        standard_error = float(np.std(simulated, ddof=1) / np.sqrt(n_replicates))
        mean = float(np.mean(simulated))
        exact, infinite = (float((direction * q).sum()) for q in (exact_q, infinite_q))
        rows.append((name, n_agents, exact, mean, standard_error, n_replicates, infinite))
        after_population()
    columns = ["game", "n_agents", "exact", "simulated", "standard_error", "n_replicates", "mean_field_limit"]
    return pd.DataFrame(rows, columns=columns)
