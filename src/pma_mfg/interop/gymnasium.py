"""The N-agent game as a vector environment of Gymnasium: every agent is a sub-environment, and there are arrays only.

See docs/theory, section 16.4. Gymnasium: M. Towers et al., *Gymnasium: a standard interface for reinforcement learning
environments*, arXiv:2407.17032.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from pma_mfg.arrays import accepts
from pma_mfg.errors import Description, InputError
from pma_mfg.games.functions import Game
from pma_mfg.simulation.environments import Environment, environment, whole

try:
    from gymnasium import spaces
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space
except ImportError as error:
    raise ImportError('pma_mfg.interop.gymnasium needs Gymnasium: pip install "pma-mfg[gymnasium]"') from error


class VectorGame(VectorEnv[Any, Any, Any]):
    """The agents of one game as sub-environments; made by `vector_env`, which says what is observed and earned.

    Attributes
    ----------
    game : Game
    num_envs : int
        N.
    crowd : pma_mfg.simulation.Environment
        The game itself; there is none before the first reset.
    """

    # no episode ends, so that there is nothing to be reset automatically
    metadata: ClassVar[dict[str, Any]] = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}
    crowd: Environment

    def __init__(self, game: Game, n_agents: int, initial: np.ndarray | None, observe_mean_field: bool) -> None:
        self.game, self.num_envs, self.initial, self.observe_mean_field = game, n_agents, initial, observe_mean_field
        size = game.n_states
        own = spaces.Box(0.0, 1.0, (2 * size,), np.float32) if observe_mean_field else spaces.Discrete(size)
        self.single_observation_space, self.single_action_space = own, spaces.Discrete(game.n_actions)
        self.observation_space = batch_space(self.single_observation_space, n_agents)
        self.action_space = batch_space(self.single_action_space, n_agents)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
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
            Observations, and (empty) information.
        """
        if seed is not None or not hasattr(self, "crowd"):
            root = (
                int(np.random.default_rng().integers(2**63))
                if seed is None
                else whole("interop.gymnasium", "seed", seed, least=0)
            )
            self.crowd = environment(self.game, self.num_envs, seed=root, mean_field=self.initial)
        return self._observations(self.crowd.reset()[0]), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Move all agents at once.

        Parameters
        ----------
        actions : array_like of int, shape (N,)

        Returns
        -------
        tuple
            Observations, rewards R(s, a, mu) of the mean field before the move, shape (N,), terminations and
            truncations (never), and (empty) information.

        Raises
        ------
        InputError
            If it is not reset first, or for what are no actions.
        """
        if not hasattr(self, "crowd"):
            raise InputError("interop.gymnasium", "step", Description("no agents"), "a call of reset first")
        states, rewards, _ = self.crowd.step(np.asarray(actions)[None])
        never = np.zeros((2, self.num_envs), dtype=bool)
        return self._observations(states[0]), rewards[0], never[0], never[1], {}

    def _observations(self, states: np.ndarray) -> np.ndarray:
        if not self.observe_mean_field:
            return states
        mean_field = self.crowd.mean_field
        size = self.game.n_states
        of_state = np.concatenate([np.eye(size), np.broadcast_to(mean_field, (size, size))], axis=1, dtype=np.float32)
        return np.asarray(of_state[states])


@accepts()
def vector_env(
    game: Game, n_agents: int, *, mean_field: np.ndarray | None = None, observe_mean_field: bool = False
) -> VectorGame:
    """Return the N-agent game as a Gymnasium `VectorEnv` with an agent in each of N sub-environments.

    For learners that train one policy on many copies of an environment: here the copies are the agents, who all play
    that policy and meet each other in the mean field. At each step agent i in state s earns R(s, a, mu) and moves by
    P(.|s, a, mu). The discount is left to the learner (`game.discount`), and no episode ends.

    Parameters
    ----------
    game : Game
    n_agents : int
        N >= 2.
    mean_field : ndarray, shape (S,), optional
        The law of the initial states, uniform by default.
    observe_mean_field : bool
        An agent observes its own state, ``Discrete(S)``, as in the theory; or with this ``Box(0, 1, (2 S,))``, its own
        state as a unit vector followed by the empirical mean field, in single precision.

    Returns
    -------
    VectorGame

    Raises
    ------
    InputError
        As `simulation.environment`.

    Examples
    --------
    >>> from pma_mfg import games
    >>> agents = vector_env(games.make("crowd_averse", n_states=3, n_actions=2, discount=0.9, seed=0), n_agents=1000)
    >>> observations, _ = agents.reset(seed=0)
    >>> observations, rewards, terminations, truncations, _ = agents.step(agents.action_space.sample())
    >>> observations.shape, rewards.shape
    ((1000,), (1000,))
    """
    environment(game, n_agents, seed=0, mean_field=mean_field)  # says what is wrong now and not at the first reset
    return VectorGame(game, int(n_agents), mean_field, observe_mean_field)
