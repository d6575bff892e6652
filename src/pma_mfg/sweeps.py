"""Learning sweeps: replicated runs of the N-agent game, one tidy table per point (claims C3, C4, C6).

Docs/theory.md, sections 9 to 12. Every replicate has its own generator, named by experiment, game, N, epsilon and its
number, so a table is bitwise the same in any order and on any number of cores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pma_mfg import agents as independents
from pma_mfg import equilibrium as exact
from pma_mfg import fluctuations, learning, lipschitz, operators, seeds, simulation, spread
from pma_mfg.agents import Agents
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


#: What `independent_errors` measures after every epoch.
_INDEPENDENT = ("error", "median", "low", "high", "worst", "spread", "centre_error", "exploitability")


@dataclass(frozen=True)
class IndependentRuns:
    """Runs of independent learning with one setting.

    Parameters
    ----------
    n_agents : int
    schedule : Schedule
    n_replicates : int
    epsilon : float
        The accuracy that the schedule is for; nan for none.
    """

    n_agents: int
    schedule: Schedule
    n_replicates: int
    epsilon: float = float("nan")


def independent_errors(
    game: MeanFieldGame,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    name: str,
    sweep: str,
    settings: Sequence[IndependentRuns],
    seed: int,
    after_epoch: Callable[[], None] = lambda: None,
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Run independent learning over U and measure all agents after every epoch (claim C5).

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy.
    name : str
        The game's name in tables and seeds.
    sweep : str
        What the runs are for, in table and seeds.
    settings : sequence of IndependentRuns
    seed : int
        Root seed.
    after_epoch : callable
        Called after each epoch of each replicate.
    checkpoint : Checkpoint, optional
        Where to go on from, and to save to.

    Returns
    -------
    DataFrame
        Columns game, sweep, n_agents, epsilon, n_epochs, n_updates, n_waiting, step_size, predicted_spread,
        predicted_deviation (`spread.predicted_spread` after the last epoch), replicate, epoch, samples. Then, of the
        agents' distances sup_s ||pi^i - pi*||_1: error (mean), median, low and high (5 and 95 %), worst; spread, the
        mean of sup_s ||pi^i - pi_bar||_1 with pi_bar the mean policy; of pi_bar itself centre_error (its distance)
        and exploitability (regularized).
    """
    floor = lipschitz.policy_floor(game, regularizer)
    rows: list[list[float]] = []  # number of the setting, replicate, epoch, samples, measurements
    resumed: Agents | None = None
    first = (0, 0)
    if checkpoint is not None and (saved := checkpoint.load()) is not None:
        rows, resumed = saved["rows"].tolist(), Agents.restored(saved)
        first = (int(rows[-1][0]), int(rows[-1][1]))
    for work in ((i, replicate) for i, runs in enumerate(settings) for replicate in range(runs.n_replicates)):
        if work < first:
            continue
        runs, replicate = settings[work[0]], work[1]
        schedule = runs.schedule
        per_epoch = schedule.n_updates * (schedule.n_waiting + 1)
        coordinates = (runs.n_agents, schedule.n_epochs, schedule.n_updates, schedule.step_size, replicate)
        rng = seeds.generator(seed, "independent", sweep, name, *coordinates)
        agents, resumed = resumed, None
        if agents is None:
            agents = independents.initial_agents(game, runs.n_agents, regularizer, rng)
            rows.append([*work, 0, 0, *_measure_agents(game, regularizer, equilibrium, agents)])

        def measure(epoch: int, agents: Agents, work: tuple[int, int] = work, per_epoch: int = per_epoch) -> None:
            found = _measure_agents(game, regularizer, equilibrium, agents)
            rows.append([*work, epoch, epoch * per_epoch, *found])
            after_epoch()

        def save(agents: Agents) -> None:
            if checkpoint is not None:
                checkpoint.save(lambda: {**agents.arrays(), "rows": np.array(rows)})

        learning.independent(
            game,
            runs.n_agents,
            regularizer,
            schedule,
            rng,
            floor=floor,
            after_epoch=measure,
            after_chunk=save,
            agents=agents,
        )
    table = pd.DataFrame(rows, columns=["setting", "replicate", "epoch", "samples", *_INDEPENDENT])
    table = table.astype(dict.fromkeys(["setting", "replicate", "epoch", "samples"], "int64"))
    fixed = []
    for runs in settings:
        predicted = spread.predicted_spread(game, regularizer, equilibrium, runs.schedule)
        lengths = (runs.schedule.n_epochs, runs.schedule.n_updates, runs.schedule.n_waiting, runs.schedule.step_size)
        fixed.append((name, sweep, runs.n_agents, runs.epsilon, *lengths, predicted.mean, predicted.deviation))
    columns = ["game", "sweep", "n_agents", "epsilon", "n_epochs", "n_updates", "n_waiting", "step_size"]
    columns += ["predicted_spread", "predicted_deviation"]
    chosen = pd.DataFrame(fixed, columns=columns).iloc[table["setting"]].reset_index(drop=True)
    return pd.concat([chosen, table.drop(columns="setting")], axis=1)


def _measure_agents(
    game: MeanFieldGame, regularizer: Regularizer, equilibrium: np.ndarray, agents: Agents
) -> tuple[float, ...]:
    """Return the numbers `_INDEPENDENT`; policies are expanded slice by slice."""
    n_agents = len(agents.states)
    starts = range(0, n_agents, independents.SLICE)
    centre, distances = np.zeros_like(equilibrium), np.empty(n_agents)
    for first in starts:
        policies = agents.policies(first, first + independents.SLICE)
        centre += policies.sum(axis=0) / n_agents
        distances[first : first + independents.SLICE] = np.abs(policies - equilibrium).sum(axis=2).max(axis=1)
    apart = 0.0
    for first in starts:
        policies = agents.policies(first, first + independents.SLICE)
        apart += float(np.abs(policies - centre).sum(axis=2).max(axis=1).sum()) / n_agents
    low, median, high = np.quantile(distances, [0.05, 0.5, 0.95])
    centre /= centre.sum(axis=1, keepdims=True)
    return (
        float(distances.mean()),
        float(median),
        float(low),
        float(high),
        float(distances.max()),
        apart,
        operators.policy_distance(centre, equilibrium),
        exact.exploitability(game, centre, regularizer),
    )


def independent_learning_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of `independent_errors` in the columns of `learning_errors`, with algorithm and schedule.

    The error is the mean over agents of the agent's, the exploitability that of the mean policy.

    Parameters
    ----------
    table : DataFrame

    Returns
    -------
    DataFrame
    """
    columns = ["game", "n_agents", "epsilon", "n_epochs", "n_updates", "n_waiting", "step_size"]
    columns += ["replicate", "epoch", "samples", "error", "exploitability"]
    return table[columns].assign(algorithm="independent", schedule="tuned")
