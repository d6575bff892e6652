"""The N-agent game as a parallel environment of PettingZoo, for any library of multi-agent reinforcement learning.

See docs/theory, section 16.2. PettingZoo: J. Terry et al., *PettingZoo: Gym for multi-agent reinforcement learning*,
NeurIPS 2021.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from pma_mfg import seeds
from pma_mfg.arrays import probabilities
from pma_mfg.errors import Description, InputError
from pma_mfg.games.features import to_dense
from pma_mfg.games.functions import Game
from pma_mfg.games.model import check_n_agents

try:
    from gymnasium import spaces
    from pettingzoo import ParallelEnv
except ImportError as error:
    raise ImportError('pma_mfg.interop.pettingzoo needs PettingZoo: pip install "pma-mfg[pettingzoo]"') from error


class NAgentGame(ParallelEnv[str, Any, int]):
    """The N-agent game; made by `parallel_env`, which says what is observed, earned and drawn.

    Attributes
    ----------
    game : Game
    possible_agents, agents : list of str
        ``agent_0`` to ``agent_{N-1}``; `agents` is empty before the first reset and after the last step.
    states : ndarray of int, shape (N,)
        The agents' present states.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "mean_field_game_v0", "render_modes": [], "is_parallelizable": True}
    render_mode = None

    def __init__(self, game: Game, n_agents: int, horizon: int, initial: np.ndarray, observe_mean_field: bool) -> None:
        self.game, self.horizon, self.initial = game, horizon, initial
        self.observe_mean_field = observe_mean_field
        self.possible_agents = [f"agent_{i}" for i in range(n_agents)]
        self.agents: list[str] = []
        self.action_spaces = {agent: spaces.Discrete(game.n_actions) for agent in self.possible_agents}
        self.observation_spaces = {agent: self._observation_space() for agent in self.possible_agents}
        self.state_space = spaces.MultiDiscrete(np.full(n_agents, game.n_states))
        self.states = np.zeros(n_agents, dtype=np.int64)
        self._rng = np.random.default_rng()
        self._time = 0

    def _observation_space(self) -> Any:
        size = self.game.n_states
        return spaces.Box(0.0, 1.0, (2 * size,), np.float64) if self.observe_mean_field else spaces.Discrete(size)

    def observation_space(self, agent: str) -> Any:
        """Return the space of an agent's observations."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        """Return the space of an agent's actions."""
        return self.action_spaces[agent]

    def state(self) -> np.ndarray:
        """Return all agents' states, shape (N,), for methods that train centrally."""
        return self.states.copy()

    def mean_field(self) -> np.ndarray:
        """Return the empirical mean field, shape (S,)."""
        return np.asarray(np.bincount(self.states, minlength=self.game.n_states) / len(self.states))

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Draw the agents' states independently from the initial mean field.

        Parameters
        ----------
        seed : int, optional
            >= 0, of all that is drawn until the next seed; without one the random numbers go on.
        options : dict, optional
            Ignored.

        Returns
        -------
        tuple
            Observations and (empty) information by agent.
        """
        if seed is not None:
            if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
                raise InputError("interop.pettingzoo", "seed", seed, "an integer >= 0, or None")
            self._rng = seeds.generator(int(seed), "interop.pettingzoo")
        self.agents, self._time = self.possible_agents[:], 0
        self.states = self._rng.choice(self.game.n_states, size=len(self.agents), p=self.initial)
        return self._observations(self.mean_field()), {agent: {} for agent in self.agents}

    def step(
        self, actions: dict[str, int]
    ) -> tuple[dict[str, Any], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]]:
        """Move all agents at once.

        Parameters
        ----------
        actions : dict of str to int
            One for each of the agents.

        Returns
        -------
        tuple
            Observations, rewards R(s, a, mu) of the mean field before the move, terminations (never), truncations (all
            at the horizon) and (empty) information, each by agent.

        Raises
        ------
        InputError
            If it is not reset first, or an action is missing or out of range.
        """
        chosen, agents = self._chosen(actions), self.agents
        mean_field, rows = self.mean_field(), self.states * self.game.n_actions + chosen
        rewards = self.game.reward(mean_field)[self.states, chosen].tolist()
        self.states = _successors(self.game, mean_field, rows, self._rng)
        self._time += 1
        observations, over = self._observations(self.mean_field()), self._time >= self.horizon
        self.agents = [] if over else agents
        return (
            observations,
            dict(zip(agents, rewards, strict=True)),
            dict.fromkeys(agents, False),
            dict.fromkeys(agents, over),
            {agent: {} for agent in agents},
        )

    def _chosen(self, actions: dict[str, int]) -> np.ndarray:
        source = "interop.pettingzoo"
        if not self.agents:
            raise InputError(source, "step", Description("no agents"), "a call of reset first")
        if set(actions) != set(self.agents):
            differing = ", ".join(sorted(set(actions) ^ set(self.agents))[:3])
            raise InputError(source, "actions", Description(f"others than the agents': {differing}"), "one for each")
        for agent in self.agents:
            if not self.action_spaces[agent].contains(actions[agent]):
                raise InputError(source, agent, actions[agent], f"an action from 0 to {self.game.n_actions - 1}")
        return np.array([actions[agent] for agent in self.agents], dtype=np.int64)

    def _observations(self, mean_field: np.ndarray) -> dict[str, Any]:
        if not self.observe_mean_field:
            return dict(zip(self.agents, self.states, strict=True))
        of_state = np.column_stack([np.eye(len(mean_field)), np.tile(mean_field, (len(mean_field), 1))])
        return dict(zip(self.agents, of_state[self.states], strict=True))


def parallel_env(
    game: Game,
    n_agents: int,
    *,
    horizon: int = 100,
    mean_field: np.ndarray | None = None,
    observe_mean_field: bool = False,
) -> NAgentGame:
    """Return the N-agent game as a PettingZoo `ParallelEnv`.

    At each step agent i in state s earns R(s, a, mu) and moves by P(.|s, a, mu), independently of the others given the
    present; mu is the empirical mean field of all agents, itself included (docs/theory, section 1). The discount is
    left to the learner (`game.discount`). Nobody terminates; all are truncated at the horizon.

    Parameters
    ----------
    game : Game
    n_agents : int
        N >= 2.
    horizon : int
        Steps of an episode, >= 1.
    mean_field : ndarray, shape (S,), optional
        The law of the initial states, uniform by default.
    observe_mean_field : bool
        An agent observes its own state, ``Discrete(S)``, as in the theory; or with this ``Box(0, 1, (2 S,))``, its own
        state as a unit vector followed by the empirical mean field.

    Returns
    -------
    NAgentGame

    Raises
    ------
    InputError
        For a number of agents or a horizon out of range, or a mean field that is no probability vector.

    Examples
    --------
    >>> from pma_mfg import games
    >>> env = parallel_env(games.make("crowd_averse", n_states=3, n_actions=2, discount=0.9, seed=0), n_agents=4)
    >>> observations, _ = env.reset(seed=1)
    >>> list(observations)
    ['agent_0', 'agent_1', 'agent_2', 'agent_3']
    """
    source, size = "interop.pettingzoo.parallel_env", game.n_states
    if not isinstance(horizon, int | np.integer) or isinstance(horizon, bool) or horizon < 1:
        raise InputError(source, "horizon", horizon, "an integer >= 1")
    initial = np.full(size, 1.0 / size)
    if mean_field is not None:
        initial = np.maximum(probabilities(mean_field, (size,), source, field="mean_field"), 0.0)
    return NAgentGame(game, check_n_agents(n_agents), int(horizon), initial / initial.sum(), observe_mean_field)


def _successors(game: Game, mean_field: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw the next state of each agent, shape (N,), from the rows s A + a of P(mu), by inversion of a uniform."""
    transition = game.transition(mean_field).reshape(-1, game.n_states)  # a sparse one has this shape already
    kinds, kind_of = np.unique(rows, return_inverse=True)
    cumulative = np.cumsum(np.maximum(to_dense(transition[kinds]), 0.0), axis=1)
    cumulative /= cumulative[:, -1:]  # exactly 1 at the end, so that every uniform below 1 finds a state
    uniforms = rng.random(len(rows))
    next_states = np.empty(len(rows), dtype=np.int64)
    for kind, distribution in enumerate(cumulative):
        those = kind_of == kind
        next_states[those] = np.searchsorted(distribution, uniforms[those], side="right")
    return next_states
