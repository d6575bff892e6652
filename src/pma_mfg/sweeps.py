"""Learning sweeps: replicated runs of the N-agent game, one tidy table per point (claims C3, C4, C6).

Docs/theory.md, sections 9 to 12. Every replicate has its own generator, named by experiment, game, N, epsilon and its
number, so a table is bitwise the same in any order and on any number of cores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from pma_mfg import equilibrium as exact
from pma_mfg import finite_population, fluctuations, learning, lipschitz, operators, seeds, simulation
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning import Schedule
from pma_mfg.regularizers import Regularizer


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

    Returns
    -------
    DataFrame
        Columns game, n_agents, n_waiting, replicate, n_updates, samples, error (sup norm of Q - Gamma_q(pi, mu_pi)).
    """
    mean_field = operators.stable_population(game, policy)
    truth = operators.q_values(game, policy, mean_field, regularizer)
    scale = learning.td_scale(game, policy)
    rows = []
    for replicate in range(n_replicates):
        rng = seeds.generator(seed, "ctd", name, n_agents, replicate)
        estimates = learning.ctd(game, policy, n_agents, regularizer, n_updates, n_waiting, scale, scale, rng)
        for updates, q in zip(n_updates, estimates, strict=True):
            error = float(np.abs(q - truth).max())
            rows.append((name, n_agents, n_waiting, replicate, updates, updates * (n_waiting + 1), error))
        after_replicate()
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
    rows = []
    for replicate in range(n_replicates):
        rng = seeds.generator(seed, "learning", name, n_agents, epsilon, replicate)
        policies = learning.centralized(
            game, n_agents, regularizer, schedule, rng, floor=floor, after_epoch=lambda epoch: after_epoch()
        )
        for epoch, policy in enumerate(policies):
            error = operators.policy_distance(policy, equilibrium)
            gain = exact.exploitability(game, policy, regularizer)
            rows.append((*fixed, replicate, epoch, epoch * per_epoch, error, gain))
    columns = ["game", "n_agents", "epsilon", "n_epochs", "n_updates", "n_waiting", "step_size"]
    return pd.DataFrame(rows, columns=[*columns, "replicate", "epoch", "samples", "error", "exploitability"])


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

    The limit of TD learning is the Q of the averaged decision process. Only second moments are measured, along a
    trajectory of all agents; the mean follows from stationarity, so the relative precision does not depend on N
    (docs/theory.md, section 9.9).

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
        limit = fluctuations.measured_q(game, policy, regularizer, averages)
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


def exact_limits(
    game: MeanFieldGame,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    name: str,
    populations: Sequence[int],
    step_size: float,
    after_population: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Solve the N-agent game exactly for several N: fluctuation, limit of TD learning, limit of the policy (claim C6).

    Parameters
    ----------
    game : MeanFieldGame
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
    truth = operators.q_values(game, equilibrium, mean_field, regularizer)
    scale = fluctuations.expected_deviation(game, equilibrium)
    rows = []
    for n_agents in populations:
        law = finite_population.stationary_counts(game, equilibrium, n_agents)
        errors = [finite_population.deviation(game, equilibrium, law), scale / np.sqrt(n_agents)]
        for q in (
            finite_population.learning_limit(game, equilibrium, n_agents, regularizer),
            fluctuations.large_population_q(game, equilibrium, n_agents, regularizer),
        ):
            errors.append(float(np.abs(q - truth).max()))
        predicted = fluctuations.large_population_policy(game, n_agents, regularizer, step_size, equilibrium)
        settled = finite_population.policy_limit(game, n_agents, regularizer, step_size, predicted)
        errors += [operators.policy_distance(policy, equilibrium) for policy in (settled, predicted)]
        rows.append((name, n_agents, *errors))
        after_population()
    columns = [
        f"{prefix}{error}" for error in ("deviation", "q_error", "policy_error") for prefix in ("", "predicted_")
    ]
    return pd.DataFrame(rows, columns=["game", "n_agents", *columns])


def agreement(
    game: MeanFieldGame,
    regularizer: Regularizer,
    policy: np.ndarray,
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
    game : MeanFieldGame
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
        Columns game, n_agents, exact, simulated (mean over replicates), standard_error, n_replicates.
    """
    mean_field = operators.stable_population(game, policy)
    rows = []
    for n_agents in populations:
        direction = seeds.generator(seed, "direction", name, n_agents).normal(size=policy.shape)
        direction /= np.sqrt((direction**2).sum())
        exact_q = finite_population.learning_limit(game, policy, n_agents, regularizer)
        simulated = []
        for replicate in range(n_replicates):
            rng = seeds.generator(seed, "agreement", name, n_agents, replicate)
            averages = simulation.ergodic_averages(game, policy, n_agents, n_steps, rng, n_steps // 10, mean_field)
            # the plain averages: nothing of the exact solution's identities enters but exchangeability
            process = fluctuations.decision_process(game, averages.transition_features, averages.reward_features)
            q = operators.q_of_decision_process(*process, game.discount, policy, regularizer)
            simulated.append(float((direction * q).sum()))
        standard_error = float(np.std(simulated, ddof=1) / np.sqrt(n_replicates))
        mean = float(np.mean(simulated))
        rows.append((name, n_agents, float((direction * exact_q).sum()), mean, standard_error, n_replicates))
        after_population()
    columns = ["game", "n_agents", "exact", "simulated", "standard_error", "n_replicates"]
    return pd.DataFrame(rows, columns=columns)


def nash_gaps(
    game: MeanFieldGame,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    name: str,
    populations: Sequence[int],
    after_population: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Compute what one of N agents gains by leaving the equilibrium, exactly, beside its limit for large N (claim C7).

    Twice: in the game with its regularizer, and without one in the game of `finite_population.indifferent_game`, in
    which all actions are equally good at the equilibrium.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy, positive.
    name : str
    populations : sequence of int
    after_population : callable
        Called after each N.

    Returns
    -------
    DataFrame
        Columns game, variant ("regularized" or "indifferent"), n_agents, gap, predicted (nan where no closed form is
        known: kinks with more than two states, and more than two states without a regularizer).
    """
    indifferent = finite_population.indifferent_game(game, equilibrium, regularizer)
    smooth = game.reward_features.differentiable_at(operators.stable_population(game, equilibrium))
    constants = {"regularized": np.nan, "indifferent": np.nan}
    if game.n_states == 2:
        constants["regularized"] = fluctuations.two_state_gap_constant(game, equilibrium, regularizer)
        constants["indifferent"] = fluctuations.two_state_gap_constant(indifferent, equilibrium, None)
    elif smooth:
        constants["regularized"] = fluctuations.regularized_gap_constant(game, equilibrium, regularizer)
    rows: list[tuple[object, ...]] = []
    for n_agents in populations:
        for variant, of, h, order in (
            ("regularized", game, regularizer, 1.0),
            ("indifferent", indifferent, None, 0.5),
        ):
            gap = finite_population.nash_gap(of, equilibrium, n_agents, h)
            rows.append((name, variant, n_agents, gap, constants[variant] / n_agents**order))
        after_population()
    return pd.DataFrame(rows, columns=["game", "variant", "n_agents", "gap", "predicted"])
