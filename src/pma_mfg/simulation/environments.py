"""The N-agent game as an environment of arrays, for a learner of one's own, and the evaluation of policies.

States and actions are integer arrays of shape (R, N): R independent replicates of a game of N agents. There is no
object for an agent, so that a million of them cost some milliseconds a step (docs/theory, section 10.14). `environment`
makes one, `rollout` lets agents play given policies and says what they earn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from pma_mfg import seeds
from pma_mfg.arrays import accepts, contiguous, floats, probabilities
from pma_mfg.errors import Description, InputError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MOST_PAIRS, check_n_agents
from pma_mfg.regularizers import Regularizer
from pma_mfg.simulation import environment_kernels
from pma_mfg.simulation.agents import SLICE, cumulated, dense_tables, table_spans
from pma_mfg.theory import lipschitz


class Environment:
    """R independent replicates of the N-agent game; made by `environment`.

    At each step agent i in state s earns R(s, a, mu) and moves by P(.|s, a, mu), independently of the others given the
    present; mu is the empirical mean field of the agent's replicate, the agent included (docs/theory, section 1).

    Attributes
    ----------
    game : Game
    dtype : numpy.dtype
        Type of the states and actions that are returned.
    """

    def __init__(self, game: Game, shape: tuple[int, int], law: np.ndarray, seed: int, dtype: np.dtype[Any]) -> None:
        self.game, self.dtype, self._law = game, dtype, law
        self._spans = table_spans(game, "environments.environment")
        self._cumulated = _cumulated_tables(game, shape[1])
        self._states = np.zeros(shape, dtype=np.uint16)
        self._generators = np.stack(
            [seeds.generator(seed, "environment", r).integers(2**64, size=4, dtype=np.uint64) for r in range(shape[0])]
        )
        self._mean_field = np.zeros((shape[0], game.n_states))
        self.reset()

    @property
    def shape(self) -> tuple[int, int]:
        """(R, N): the number of replicates and that of the agents of each."""
        return self._states.shape[0], self._states.shape[1]

    @property
    def states(self) -> np.ndarray:
        """A copy of the present states, shape (R, N)."""
        return self._states.astype(self.dtype)

    @property
    def mean_field(self) -> np.ndarray:
        """A copy of the shares of the agents in each state at present, shape (R, S)."""
        return self._mean_field.copy()

    def reset(self) -> np.ndarray:
        """Draw the states of all agents anew, independently from the initial mean field. Random numbers go on.

        Returns
        -------
        ndarray of int, shape (R, N)
        """
        environment_kernels.place(self._states, self._generators, self._law.copy(), self._mean_field)
        return self.states

    def step(self, actions: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Move all agents at once.

        Parameters
        ----------
        actions : array_like of int, shape (R, N)
            From 0 to A - 1, of any integer type.

        Returns
        -------
        states : ndarray of int, shape (R, N)
            After the move.
        rewards : ndarray, shape (R, N)
            R(s, a, mu) of the states and the mean field before the move.
        mean_field : ndarray, shape (R, S)
            Of the states after the move.

        Raises
        ------
        InputError
            If an action is not one of 0, ..., A - 1. The message names replicate, agent and value of the first one.
        """
        rewards = self._move(self._checked(actions))
        return self.states, rewards, self.mean_field

    def draw_actions(self, policies: ArrayLike) -> np.ndarray:
        """Draw an action for every agent in its present state, with random numbers of the environment.

        Parameters
        ----------
        policies : array_like, shape (S, A) or (N, S, A)
            One policy for all agents or one for each, the same in all replicates. Rounded to multiples of 2^-31.

        Returns
        -------
        ndarray of int, shape (R, N)

        Raises
        ------
        InputError
            If a row of the policies is not a probability distribution. The message names the row and its deviation.
        """
        source = "environments.draw_actions"
        given = floats(policies, source, "policies")
        played = probabilities(self._by_agent(given, source), given.shape, source, field="policies")
        return self._draw(_thresholds(played)).astype(self.dtype)

    def _by_agent(self, policies: np.ndarray, source: str) -> np.ndarray:
        """Return policies unchanged if their shape is (S, A) or (N, S, A), or raise an `InputError`."""
        one = self.game.n_states, self.game.n_actions
        many = (self.shape[1], *one)
        if policies.shape not in (one, many):
            told = Description(f"shape {policies.shape}")
            raise InputError(source, "policies", told, f"shape {one}, or {many}: one for each agent")
        return policies

    def _draw(self, thresholds: np.ndarray) -> np.ndarray:
        actions = np.empty_like(self._states)
        environment_kernels.choose(self._states, actions, self._generators, thresholds)
        return actions

    def _move(self, actions: np.ndarray) -> np.ndarray:
        """Move all agents by actions that are checked, and return their rewards."""
        rewards = np.empty(self.shape)
        if self._cumulated:
            moving = self._states, actions, self._generators
            environment_kernels.move_few(*moving, self._cumulated, self._mean_field, rewards)
            return rewards
        for tables, first, count in self._spans(0, len(rewards), lambda r: self._mean_field[r]):
            these = slice(first, first + count)
            moved = self._states[these], actions[these], self._generators[these]
            environment_kernels.move(*moved, tables, self._mean_field[these], rewards[these])
        return rewards

    def _checked(self, given: ArrayLike) -> np.ndarray:
        """Return actions in the form that kernels take; the error names the first one that is not an action."""
        source, most = "environment.step", self.game.n_actions - 1
        try:
            actions = np.asarray(given)
        except ValueError:
            raise InputError(
                source, "actions", Description("rows of different lengths"), "an array of integers"
            ) from None
        if actions.dtype.kind not in "biu" or np.ma.is_masked(given):
            told = "masked values" if np.ma.is_masked(given) else f"values of type {actions.dtype}"
            raise InputError(source, "actions", Description(told), "an array of integers")
        if actions.shape != self.shape:
            raise InputError(source, "actions", Description(f"shape {actions.shape}"), f"shape {self.shape}")
        if actions.min() < 0 or actions.max() > most:
            r, i = np.argwhere((actions < 0) | (actions > most))[0]
            place = f"actions: replicate {r}, agent {i}"
            raise InputError(source, place, int(actions[r, i]), f"an action from 0 to {most}")
        return np.ascontiguousarray(actions, dtype=np.uint16)


@accepts()
def environment(
    game: Game,
    n_agents: int,
    n_replicates: int = 1,
    *,
    seed: int,
    mean_field: np.ndarray | None = None,
    dtype: DTypeLike = np.int64,
) -> Environment:
    """Return the N-agent game as an environment of arrays, for a learner of one's own.

    Replicates are independent, each with a stream of random numbers named by the seed and its index: replicate r is the
    same, bit for bit, whatever the number of replicates. The discount is left to the learner (`game.discount`), and
    nothing ends: call `reset` for a new start.

    Parameters
    ----------
    game : Game
        S A at most `games.model.MOST_PAIRS`; a sparse one is made dense. The functions of a game that is given by
        functions are called once a step for each replicate.
    n_agents : int
        N >= 2.
    n_replicates : int
        R >= 1.
    seed : int
        >= 0.
    mean_field : ndarray, shape (S,), optional
        The law of the initial states, uniform by default.
    dtype : dtype
        An integer type that holds the states and the actions, for those that are returned. Small types save memory;
        mind that numbers of a pair s A + a may not fit into them.

    Returns
    -------
    Environment

    Raises
    ------
    InputError
        For numbers out of range, a mean field that is no probability vector, a type that does not hold the states, or a
        game that is too large.

    Examples
    --------
    >>> from pma_mfg import games, simulation
    >>> game = games.make("crowd_averse", n_states=3, n_actions=2, discount=0.9, seed=0)
    >>> crowd = simulation.environment(game, n_agents=1000, n_replicates=4, seed=0)
    >>> states = crowd.reset()
    >>> states, rewards, mean_field = crowd.step(states % 2)
    >>> states.shape, rewards.shape, mean_field.shape
    ((4, 1000), (4, 1000), (4, 3))
    """
    source = "environments.environment"
    size, pairs = game.n_states, game.n_states * game.n_actions
    if pairs > MOST_PAIRS:
        shown = Description(f"{size} x {game.n_actions} pairs")
        raise InputError(source, "game", shown, f"at most {MOST_PAIRS} pairs")
    shape = whole(source, "n_replicates", n_replicates, least=1), check_n_agents(n_agents)
    law = np.full(size, 1.0 / size) if mean_field is None else contiguous(mean_field)
    kind, largest = np.dtype(dtype), max(size, game.n_actions) - 1
    if kind.kind not in "iu" or np.iinfo(kind).max < largest:
        raise InputError(source, "dtype", Description(kind), f"an integer type that holds {largest}")
    return Environment(game, shape, law, whole(source, "seed", seed, least=0), kind)


def whole(source: str, name: str, number: Any, *, least: int) -> int:
    """Return an integer that is at least so large, or raise an `InputError`."""
    if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < least:
        raise InputError(source, name, number, f"an integer >= {least}")
    return int(number)


def _cumulated_tables(game: Game, n_agents: int) -> tuple[Any, ...]:
    """Return tables with the transitions cumulated over next states, which `move_few` takes; none if it is not faster.

    It moves few agents of a game whose transitions depend on the mean field.
    """
    if n_agents >= environment_kernels.FEW * game.n_states * game.n_actions or not game.has_features:
        return ()
    base, terms, *others = dense_tables(game, "environments.environment")
    if not len(terms):
        return ()
    # entries of terms are of both signs, and rounding of sums of numbers up to one is far below the bits that are drawn
    return (np.cumsum(base, axis=-1), np.cumsum(terms, axis=-1), *others)


def _thresholds(policies: np.ndarray) -> np.ndarray:
    """Return policies as kernels take them: cumulated probabilities, shape (2, 1 or N, S, A - 1)."""
    policies = policies.reshape(-1, *policies.shape[-2:])
    thresholds = np.empty((2, *policies.shape[:2], policies.shape[2] - 1), dtype=np.uint16)
    for first in range(0, len(policies), SLICE):  # copies of all of them at a time would need much memory
        thresholds[:, first : first + SLICE] = cumulated(policies[first : first + SLICE])
    return thresholds


@dataclass(frozen=True)
class Rollout:
    """What agents earned who played given policies for T steps, in R replicates of N agents each.

    Parameters
    ----------
    rewards : ndarray, shape (R, N)
        Average of each agent's rewards over the steps.
    returns : ndarray, shape (R, N)
        sum_{t < T} gamma^t r_t of each agent.
    remainder : tuple of two floats
        Bounds on what rewards from step T on would add to each of the returns: gamma^T / (1 - gamma) times the bounds
        on the rewards of `theory.lipschitz.reward_range` (of a game given by functions, the extremes seen).
    mean_field : ndarray, shape (R, T + 1, S)
        The empirical mean fields before each step, and after the last one.
    states : ndarray of int, shape (R, N)
        After the last step.
    """

    rewards: np.ndarray
    returns: np.ndarray
    remainder: tuple[float, float]
    mean_field: np.ndarray
    states: np.ndarray


@accepts(policies="policies")
def rollout(
    game: Game,
    policies: np.ndarray,
    n_steps: int,
    *,
    seed: int,
    n_agents: int | None = None,
    n_replicates: int = 1,
    mean_field: np.ndarray | None = None,
    regularizer: Regularizer | None = None,
) -> Rollout:
    """Let agents play given policies in the N-agent game, and add up what each of them earns.

    ``returns.mean(axis=0)`` estimates the expected return of every agent over T steps without bias, and
    ``returns.std(axis=0, ddof=1) / sqrt(R)`` is its standard error: replicates are independent, agents of one replicate
    are not.

    Parameters
    ----------
    game : Game
    policies : array_like, shape (S, A) or (N, S, A)
        One policy for all agents, or one for each.
    n_steps : int
        T >= 1. Some 20 / (1 - gamma) leave nothing of `Rollout.remainder` worth mentioning.
    seed : int
        >= 0. Replicate r is the same whatever the number of replicates.
    n_agents : int, optional
        N >= 2; needed with one policy for all, else the number of policies.
    n_replicates : int
        R >= 1.
    mean_field : ndarray, shape (S,), optional
        The law of the initial states, uniform by default.
    regularizer : Regularizer, optional
        With it h(pi^i(s)) is part of an agent's reward, as in the regularized values of the theory.

    Returns
    -------
    Rollout

    Raises
    ------
    InputError
        As `environment`, and if a row of the policies is not a probability distribution; the message names the row.

    Examples
    --------
    >>> from pma_mfg import games, operators, simulation
    >>> game = games.make("crowd_averse", n_states=3, n_actions=2, discount=0.9, seed=0)
    >>> policy = operators.uniform_policy(game)
    >>> played = simulation.rollout(game, policy, 50, seed=0, n_agents=10_000)
    >>> played.returns.shape, played.mean_field.shape
    ((1, 10000), (1, 51, 3))
    """
    source = "environments.rollout"
    if n_agents is None:
        if policies.ndim == 2:
            allowed = "a number of agents, or policies of shape (N, S, A)"
            raise InputError(source, "n_agents", Description("nothing"), allowed)
        n_agents = len(policies)
    n_steps = whole(source, "n_steps", n_steps, least=1)
    crowd = environment(game, n_agents, n_replicates, seed=seed, mean_field=mean_field)
    thresholds = _thresholds(crowd._by_agent(policies, source))
    bonus = None if regularizer is None else np.asarray(regularizer.value(policies)).reshape(-1, game.n_states)
    of_agent = np.arange(crowd.shape[1]) if policies.ndim == 3 else 0
    totals, returns, weight = np.zeros(crowd.shape), np.zeros(crowd.shape), 1.0
    path = [crowd.mean_field]
    for _ in range(n_steps):
        extra = 0.0 if bonus is None else bonus[of_agent, crowd._states]
        rewards = crowd._move(crowd._draw(thresholds))
        rewards += extra
        totals += rewards
        rewards *= weight
        returns += rewards
        weight *= game.discount
        path.append(crowd.mean_field)
    bounds = np.array(lipschitz.reward_range(game))
    if bonus is not None:
        bounds += bonus.min(), bonus.max()
    low, high = (weight / (1.0 - game.discount) * bounds).tolist()
    return Rollout(totals / n_steps, returns, (low, high), np.stack(path, axis=1), crowd.states)
