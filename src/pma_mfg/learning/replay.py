"""A replay buffer for TD learning: the transitions of an epoch, learnt from in several shuffled passes.

For centralized, independent and networked learning alike (docs/theory, section 20.5). The buffer holds the transitions
of one epoch, which all come from the policy that is evaluated; Q starts afresh in every epoch.
"""

from __future__ import annotations

import numpy as np

from pma_mfg.arrays import accepts
from pma_mfg.errors import Description, InputError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MOST_PAIRS
from pma_mfg.learning.schedules import Schedule
from pma_mfg.regularizers import Regularizer
from pma_mfg.simulation import agent_kernels, path_kernels, random_numbers
from pma_mfg.simulation import agents as simulated
from pma_mfg.simulation import exchangeable as simulation
from pma_mfg.simulation.agents import Agents
from pma_mfg.simulation.exchangeable import Population, Tables


def kept_steps(
    game: Game, agents: Agents, n_kept: int, *, n_waiting: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move the agents on, and keep transitions of theirs.

    Parameters
    ----------
    game : Game
    agents : Agents
        Moved on in place by n_kept (n_waiting + 1) steps, not counted in `Agents.progress`.
    n_kept : int
        M.
    n_waiting : int
        Steps that pass before each kept transition.

    Returns
    -------
    begun, reached : ndarray of uint16, shape (M, N)
        Pairs s A + a in which the transitions begin, and those that follow them.
    rewards : ndarray, shape (M, S, A)
        R at the mean field in which they begin.
    """
    n_agents, shape = len(agents.states), agents.reward.shape
    begun, reached = np.zeros((2, n_kept, n_agents), dtype=np.uint16)
    rewards, present = np.zeros((n_kept, *shape)), np.zeros(shape)
    walkers, learners = simulated.walkers(agents), (agents.q, agents.values)
    spans, chunk = simulated.table_spans(game), simulated.steps_per_call(game, agents)

    def mean_field(step: int) -> np.ndarray:
        return np.bincount(agents.states, minlength=game.n_states) / n_agents

    n_steps = n_kept * (n_waiting + 1)
    for begin in range(0, n_steps, chunk):
        for tables, first, length in spans(begin, min(chunk, n_steps - begin), mean_field):
            path_kernels.walk(first, length, n_waiting, walkers, learners, tables, (begun, reached, rewards), present)
    # the action after the last transition is drawn here, and will not be played
    unused = np.zeros((rewards[0].size, game.n_states), dtype=np.uint64), np.zeros(game.n_states, dtype=np.int64)
    for block in range(len(agents.generators)):
        agent_kernels.learn_block(
            block, walkers, learners, unused[0], present, 0.0, 0.0, agent_kernels.RECORD, unused[1]
        )
    reached[-1] = agents.pairs
    return begun, reached, rewards


def learn(game: Game, agents: Agents, schedule: Schedule, *, passes: int) -> None:
    """Run the steps of an epoch and learn each agent's Q from its own transitions, in place.

    Parameters
    ----------
    game : Game
    agents : Agents
    schedule : Schedule
        M_td transitions are kept; the m-th update over all passes has the step c / (m + m_0).
    passes : int
        L >= 1.
    """
    begun, reached, tables = kept_steps(game, agents, schedule.n_updates, n_waiting=schedule.n_waiting)
    kept = begun, reached, tables.reshape(len(tables), -1)
    agents.q[:] = schedule.start
    learners, settings = (agents.q, agents.values), (float(game.discount), passes, *_steps(schedule))
    for first, end in simulation.chunks(0, len(agents.states), passes * schedule.n_updates):
        path_kernels.replay(*kept, agents.generators, learners, *settings, first, end)


@accepts()
def learn_tagged(
    game: Game, policy: np.ndarray, regularizer: Regularizer, *, population: Population, schedule: Schedule, passes: int
) -> np.ndarray:
    """Run the steps of an epoch in which all agents play one policy, and learn Q from the tagged agent's transitions.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    regularizer : Regularizer
    population : Population
        Moved on in place.
    schedule : Schedule
        As in `learn`.
    passes : int
        L >= 1.

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    InputError
        For a game with more pairs than a buffer numbers.
    """
    check_pairs(game, "learning.centralized")
    length = schedule.n_updates
    begun, reached = np.zeros((2, length, 1), dtype=np.uint16)
    kept = begun, reached, np.zeros(length)

    def keep(tables: Tables, shared: Tables, first: int, last: int, waiting: int, factor: float) -> None:
        # of a game given by functions, a step that is waited for is kept until the next one
        moving = population.stream, population.others, population.tagged
        path_kernels.walk_tagged(*moving, tables, shared, first, last, waiting, kept)

    advance, entries = simulation.updates(
        game, policy, regularizer, population=population, n_waiting=schedule.n_waiting, learn=keep
    )
    for first, last in simulation.chunks(0, length, entries * (schedule.n_waiting + 1)):
        advance(first, last)
    return over(
        game,
        policy,
        regularizer,
        kept=kept,
        population=population,
        schedule=schedule,
        passes=passes,
    )


def over(
    game: Game,
    policy: np.ndarray,
    regularizer: Regularizer,
    *,
    kept: tuple[np.ndarray, np.ndarray, np.ndarray],
    population: Population,
    schedule: Schedule,
    passes: int,
) -> np.ndarray:
    """Learn Q from kept transitions of one agent.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
        Which all agents played.
    regularizer : Regularizer
    kept : tuple of ndarray
        Pairs s A + a in which the transitions begin and those that follow them, uint16 of shape (M, 1), and the rewards
        of the former at the mean field in which they begin, shape (M,).
    population : Population
        Its stream draws the order, and is moved on in place.
    schedule : Schedule
        As in `learn`; `n_updates` is not read.
    passes : int
        L >= 1.

    Returns
    -------
    ndarray, shape (S, A)
    """
    begun, reached, rewards = kept
    q = np.full((1, *policy.shape), float(schedule.start))
    generators = population.stream.reshape(4, random_numbers.LANES).T.copy()[:1]
    learners, settings = (q, regularizer.value(policy)[None]), (float(game.discount), passes, *_steps(schedule))
    path_kernels.replay(begun, reached, rewards[:, None], generators, learners, *settings, 0, 1)
    population.stream.reshape(4, random_numbers.LANES)[:, 0] = generators[0]
    return np.asarray(q[0])


def check_pairs(game: Game, source: str) -> None:
    """Refuse a game with more pairs than a buffer numbers, before anything is run.

    Parameters
    ----------
    game : Game
    source : str
        Names the caller in the message.

    Raises
    ------
    InputError
    """
    n_pairs = game.n_states * game.n_actions
    if n_pairs > MOST_PAIRS:
        raise InputError(source, "game", Description(f"{n_pairs} pairs"), f"at most {MOST_PAIRS} with a buffer")


def _steps(schedule: Schedule) -> tuple[float, float]:
    return float(schedule.td_scale), float(schedule.td_offset)
