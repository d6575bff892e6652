"""One trajectory of N agents who hold one policy, as a learner sees it: the transitions of one agent, step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pma_mfg.arrays import contiguous, probabilities
from pma_mfg.errors import InputError
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning.generative import Task
from pma_mfg.learning.trajectory import trajectory_kernels
from pma_mfg.simulation import random_numbers
from pma_mfg.simulation.exchangeable import Tables, chunks, game_tables, initial_population, slot_tables


class Transitions(NamedTuple):
    """Transitions of one agent along its path.

    Parameters
    ----------
    states, actions, successors : ndarray of int64, shape (n,)
        s_t, a_t and s_{t+1}; `states[1:]` equals `successors[:-1]`.
    rewards : ndarray, shape (n,)
        R(s_t, a_t, mu_t) at the empirical mean field of all N agents.
    """

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    successors: np.ndarray


class Trajectory:
    """One trajectory of the N-agent game of a task: never reset, all agents hold the policy that is played.

    Nothing of the game can be read off but the transitions of one agent, the learner (docs/theory, section 21.1).

    Parameters
    ----------
    task : Task
        Its generator draws the first states, uniformly, and starts the stream of all later draws.

    Attributes
    ----------
    samples : int
        Steps so far: one transition of the learner each.

    Examples
    --------
    >>> from pma_mfg import games, operators, regularizers, seeds
    >>> game = games.make("planted_smooth", n_states=3, n_actions=2, discount=0.5, seed=1, strength=0.1)
    >>> task = Task(game, regularizers.Entropy(0.1), seeds.generator(0, "example"), budget=1000, n_agents=100)
    >>> path = Trajectory(task)
    >>> seen = path.play(operators.uniform_policy(game), 5)
    >>> path.samples, seen.rewards.shape, bool((seen.states[1:] == seen.successors[:-1]).all())
    (5, (5,), True)
    """

    def __init__(self, task: Task) -> None:
        self.population = initial_population(task.game, task.n_agents, task.rng)
        self.tables = game_tables(task.game)
        self.live = live_tables(task.game, self.tables)
        self.samples = 0
        self.shape = task.game.n_states, task.game.n_actions

    def start_policy(self, policy: np.ndarray) -> None:
        """Let all agents hold a policy from now on: the learner draws its next action from it."""
        tagged = self.population.tagged
        tagged[1] = random_numbers.draw(self.population.stream, policy[tagged[0]].copy())

    @property
    def moving(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What kernels move on in place."""
        return self.population.stream, self.population.others, self.population.tagged

    def play(self, policy: np.ndarray, n_steps: int) -> Transitions:
        """Let all agents play a policy for some steps, and return what the learner sees.

        Parameters
        ----------
        policy : ndarray, shape (S, A)
        n_steps : int
            >= 0.

        Returns
        -------
        Transitions

        Raises
        ------
        InputError
            For what is no policy of the game, or a number of steps that is none.
        """
        policy = contiguous(probabilities(policy, self.shape, "trajectory.play", field="policy"))
        if isinstance(n_steps, bool) or not isinstance(n_steps, int | np.integer) or n_steps < 0:
            raise InputError("trajectory.play", "n_steps", n_steps, "an integer >= 0")
        self.start_policy(policy)
        places = [np.empty(n_steps, dtype) for dtype in (np.int64, np.int64, float, np.int64)]

        def record(begin: int, end: int) -> None:
            trajectory_kernels.walk(
                *self.moving, self.tables, self.live, policy, *(place[begin:end] for place in places)
            )

        self.run(record, n_steps)
        return Transitions(*places)

    def run(self, steps: Callable[[int, int], None], n_steps: int) -> None:
        """Call a kernel for n_steps more, in parts between which Python sees Ctrl-C, and count them."""
        for begin, end in chunks(0, n_steps, len(self.live[0])):
            steps(begin, end)
        self.samples += n_steps


def live_tables(game: MeanFieldGame, tables: Tables) -> Tables:
    """Return the pattern of the transitions averaged over any policy, which kernels fill anew at every step."""
    starts, successors, *_ = tables[0]
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts)) // game.n_actions
    keys, entry = np.unique(rows * game.n_states + successors, return_inverse=True)
    order, slots, entries = slot_tables(keys // game.n_states, game.n_states)
    place = np.empty(len(keys), dtype=np.int64)
    place[entries] = np.arange(len(keys))
    return place[entry], (order, slots, contiguous(keys[entries] % game.n_states, np.int64), no_terms(len(keys)))


def no_terms(n_entries: int) -> Tables:
    """Return that features add nothing to a table, in the form that kernels take."""
    none = np.zeros(0, dtype=np.int64)
    return np.zeros((0, n_entries)), none, none, np.zeros(0)
