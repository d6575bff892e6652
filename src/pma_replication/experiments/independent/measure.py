"""Measurements: learners that share nothing. From one game to tables (docs/theory, section 12)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pma_mfg import jacobian, operators, seeds
from pma_mfg.arrays import accepts
from pma_mfg.errors import InputError
from pma_mfg.games.functions import Game
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning.schedules import Schedule
from pma_mfg.populations import spread
from pma_mfg.regularizers import Regularizer
from pma_mfg.simulation import agents as independents
from pma_mfg.simulation.agents import Agents
from pma_mfg.theory import lipschitz
from pma_replication import unsettled
from pma_replication.judging import UNSETTLED
from pma_replication.runs.checkpoints import Checkpoint

#: Columns that `independent_errors` measures after every epoch.
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
    unequal : bool
        Whether every agent starts with a policy of its own, whose rows are uniform on the simplex.
    """

    n_agents: int
    schedule: Schedule
    n_replicates: int
    epsilon: float = float("nan")
    unequal: bool = False


def rates(game: Game, regularizer: Regularizer, equilibrium: np.ndarray, *, step_size: float) -> tuple[float, float]:
    """Return the rates at which the mean policy and the agents' deviations from it contract (docs/theory, 10.13).

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy, interior.
    step_size : float
        eta.

    Returns
    -------
    mean : float
        Spectral radius of PMA.
    deviation : float
        1 / (1 + eta h), h the least curvature of -h at the equilibrium on directions that sum to zero.
    """
    matrix = jacobian.jacobian(game, equilibrium, step_size, regularizer=regularizer)
    basis = jacobian.tangent_basis(game.n_actions)
    least = min(np.linalg.eigvalsh((basis * entries) @ basis.T)[0] for entries in regularizer.curvature(equilibrium))
    return jacobian.spectral_radius(matrix), 1.0 / (1.0 + step_size * float(least))


def epochs_to_settle(left: float, rate: float) -> int:
    """Return the epochs after which a share `left` of the first distance remains at the slowest rate, at least one."""
    if not rate < 1.0:
        raise InputError("independent.epochs_to_settle", "rate", rate, "below 1: a step size at which PMA contracts")
    return max(1, math.ceil(math.log(left) / math.log(max(rate, 1e-12))))


def dividing_line(
    table: pd.DataFrame, game: Game, regularizer: Regularizer, *, equilibrium: np.ndarray
) -> pd.DataFrame:
    """Return a table of `independent_errors` beside what (10.13) says of its game and step size.

    Parameters
    ----------
    table : DataFrame
        With one step size.
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)

    Returns
    -------
    DataFrame
        With agent_constant, A L_{q,pi} / rho with the bound of docs/theory, section 5.1, and excess_bound, the a of
        (10.13) that it allows at the spectral radius of PMA; both may be infinite.
    """
    step_size = float(table["step_size"].iloc[0])
    constant = game.n_actions * lipschitz.contraction_bound(game, regularizer, step_size).q_policy / regularizer.rho
    relative = step_size * regularizer.rho
    drift = (1.0 + relative * constant) / (1.0 + relative)
    mean, _ = rates(game, regularizer, equilibrium, step_size=step_size)
    excess = max(0.0, 2.0 * math.log(drift) / -math.log(mean)) if 0.0 < mean < 1.0 else math.inf
    return table.assign(agent_constant=constant, excess_bound=excess)


@accepts()
def independent_errors(
    game: Game,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    *,
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
    game : Game
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
        predicted_deviation (`populations.spread.predicted_spread` after the last epoch), depends_on_population (whether
        the game's transitions do, or its rewards in another way than affinely), replicate, epoch, samples.
        Then, of the agents' distances sup_s ||pi^i - pi*||_1: error (mean), median, low and high (5 and 95 %), worst;
        spread, the mean of sup_s ||pi^i - pi_bar||_1 with pi_bar the mean policy; of pi_bar itself centre_error (its
        distance) and exploitability (regularized), and `judging.UNSETTLED` where that happened.
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
            start = None
            if runs.unequal:
                start = rng.dirichlet(np.ones(game.n_actions), size=(runs.n_agents, game.n_states))
            agents = independents.initial_agents(game, runs.n_agents, regularizer, rng=rng, start=start)
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
            schedule=schedule,
            rng=rng,
            floor=floor,
            after_epoch=measure,
            after_chunk=save,
            agents=agents,
        )
    table = pd.DataFrame(rows, columns=["setting", "replicate", "epoch", "samples", *_INDEPENDENT])
    table = table.astype(dict.fromkeys(["setting", "replicate", "epoch", "samples"], "int64"))
    fixed = []
    for runs in settings:
        predicted = spread.predicted_spread(game, regularizer, equilibrium, schedule=runs.schedule)
        lengths = (runs.schedule.n_epochs, runs.schedule.n_updates, runs.schedule.n_waiting, runs.schedule.step_size)
        depends = game.depends_on_population or bool(game.with_features("independent").reward_features.links.any())
        known = (predicted.mean, predicted.deviation, depends)
        fixed.append((name, sweep, runs.n_agents, runs.epsilon, *lengths, *known))
    columns = ["game", "sweep", "n_agents", "epsilon", "n_epochs", "n_updates", "n_waiting", "step_size"]
    columns += ["predicted_spread", "predicted_deviation", "depends_on_population"]
    chosen = pd.DataFrame(fixed, columns=columns).iloc[table["setting"]].reset_index(drop=True)
    table = pd.concat([chosen, table.drop(columns="setting")], axis=1)
    return unsettled.marked(table, unsettled.worst(game, regularizer))


def _measure_agents(game: Game, regularizer: Regularizer, equilibrium: np.ndarray, agents: Agents) -> tuple[float, ...]:
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
        unsettled.exploitability(game, centre, regularizer),
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
    columns += [UNSETTLED] if UNSETTLED in table else []
    return table[columns].assign(algorithm="independent", schedule="tuned")
