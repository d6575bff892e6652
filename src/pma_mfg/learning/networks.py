"""Networked learning: independent agents that pass their policies on, and adopt those of higher score.

After P. Benjamin and A. Abate, "Networked Communication for Decentralised Agents in Mean-Field Games"
(arXiv:2306.02766). Statements, and what of their setting is from memory, are in docs/theory, section 20.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pma_mfg import operators
from pma_mfg.arrays import accepts
from pma_mfg.errors import InputError
from pma_mfg.games.functions import Game
from pma_mfg.learning import algorithms, replay
from pma_mfg.learning.graphs import SOURCE, Graph, adopted, check_settings
from pma_mfg.learning.schedules import Schedule
from pma_mfg.populations import own_policies
from pma_mfg.regularizers import Regularizer
from pma_mfg.simulation import agent_kernels, path_kernels
from pma_mfg.simulation import agents as simulated
from pma_mfg.simulation.agents import Agents


@accepts(start="policy")
def networked(
    game: Game,
    n_agents: int,
    regularizer: Regularizer,
    *,
    schedule: Schedule,
    rng: np.random.Generator,
    graph: str | Graph,
    rounds: int,
    temperature: float | Sequence[float],
    score: str = "return",
    evaluation_steps: int = 100,
    passes: int = 0,
    failure: float = 0.0,
    population: Mapping[int, int] | None = None,
    start: np.ndarray | None = None,
    floor: float | None = None,
    after_epoch: Callable[[int, Agents, int], None] = lambda epoch, agents, samples: None,
    agents: Agents | None = None,
) -> Agents:
    """Run networked PMA on one trajectory of the N-agent game: Algorithm 3, and policies that are passed on.

    At the end of an epoch every agent has made its own mirror ascent step, and computes a score of its new policy. Then
    for some rounds each agent sends its policy with its score to those who hear it, and adopts one of those received,
    its own included, with probability proportional to exp(score / tau); the score goes with the policy. All play one
    step of the trajectory between two rounds, so that a graph of the states moves.

    Parameters
    ----------
    game : Game
    n_agents : int
        N >= 2.
    regularizer : Regularizer
    schedule : Schedule
        With a finite step size.
    rng : numpy.random.Generator
    graph : str or Graph
        "none", "complete", "ring", "radius:x" with x in (0, 1], "erdos_renyi:p" with p in [0, 1].
    rounds : int
        C. With 0 no scores are taken: this is `independent`, bit for bit.
    temperature : float or sequence of float
        tau >= 0, one for all epochs or one for each.
    score : str
        "return", the discounted regularized rewards of E own steps; "value", the exact expectation from the population
        that the agents make, known to no agent; "random", uniform in [0, 1]; "index", the agent's number.
    evaluation_steps : int
        E, for "return". They are samples as well.
    passes : int
        L of a replay buffer, as in `independent`.
    failure : float
        Probability with which an agent's mirror ascent step of an epoch fails: it keeps the policy that it had.
    population : mapping of int to int, optional
        Epoch -> how many agents there are after it. Some leave, evenly drawn, or others join with the first policy.
    start : ndarray, shape (S, A), optional
        First policy, uniform by default.
    floor : float, optional
        As in `independent`.
    after_epoch : callable
        Called with the number of each finished epoch, the agents, and the environment steps of this call so far.
    agents : Agents, optional
        Go on from here, moved on in place, between two epochs. `n_agents` is then ignored, and `start` is the policy of
        agents who join only; `n_epochs` and the temperatures count from the agents' first epoch.

    Returns
    -------
    Agents
        `Agents.policies()` are the learned policies, shape (N, S, A).

    Raises
    ------
    InputError
        For settings out of range, or a radius in a game without a layout.

    Examples
    --------
    >>> from pma_mfg import games, learning, regularizers, seeds
    >>> from pma_mfg.learning.schedules import Schedule
    >>> game = games.make("target_agreement", rows=3, columns=3)
    >>> agents = learning.networked(
    ...     game,
    ...     50,
    ...     regularizers.Entropy(0.01),
    ...     schedule=Schedule(3, 100, 0, 10.0, 5.0, 10.0),
    ...     rng=seeds.generator(0, "example"),
    ...     graph="complete",
    ...     rounds=1,
    ...     temperature=0,
    ... )
    >>> bool((agents.policies() == agents.policies()[0]).all())  # the policy with the highest return
    True
    """
    check_settings(
        rounds=rounds, temperature=temperature, score=score, evaluation_steps=evaluation_steps, failure=failure
    )
    for epoch, size in (population or {}).items():
        whole = all(isinstance(x, int | np.integer) and not isinstance(x, bool) for x in (epoch, size))
        if not (whole and 1 <= epoch <= schedule.n_epochs and size >= 2):
            allowed = f"epochs from 1 to {schedule.n_epochs}, each with a number of agents >= 2"
            raise InputError(SOURCE, "population", f"{epoch}: {size}", allowed)
    temperatures = np.asarray(temperature, dtype=float)
    if temperatures.shape not in ((), (schedule.n_epochs,)):
        raise InputError(SOURCE, "temperature", temperature, f"one number, or {schedule.n_epochs}, one for each epoch")
    temperatures = np.broadcast_to(temperatures, (schedule.n_epochs,))
    links = graph if isinstance(graph, Graph) else Graph.parse(graph)
    near, first = links.near(game), operators.uniform_policy(game) if start is None else start
    if agents is None:
        agents = simulated.initial_agents(game, n_agents, regularizer, rng=rng, start=first)
    held, samples = (agents.thresholds.copy(), agents.values.copy()), 0

    def exchange(epoch: int, agents: Agents) -> None:
        nonlocal held, samples
        samples += schedule.n_updates * (schedule.n_waiting + 1)
        if failure:
            failed = rng.random(len(agents.states)) < failure
            agents.thresholds[:, failed], agents.values[failed] = held[0][:, failed], held[1][failed]
        if rounds and links.kind != "none":
            scores, taken = scored(game, agents, regularizer, score=score, n_steps=evaluation_steps, rng=rng)
            samples += taken + rounds
            for _ in range(rounds):
                heard = links.audience(agents.states, near, rng)
                chosen = adopted(scores, heard, temperature=float(temperatures[epoch - 1]), rng=rng)
                agents.thresholds, agents.values = agents.thresholds.take(chosen, axis=1), agents.values[chosen]
                scores = scores[chosen]
                replay.kept_steps(game, agents, 1)
        if population is not None and epoch in population:
            _resize(agents, population[epoch], first, regularizer, rng=rng)
        held = agents.thresholds.copy(), agents.values.copy()
        after_epoch(epoch, agents, samples)

    return algorithms.independent(
        game,
        n_agents,
        regularizer,
        schedule=schedule,
        rng=rng,
        floor=floor,
        passes=passes,
        after_epoch=exchange,
        agents=agents,
    )


def scored(
    game: Game, agents: Agents, regularizer: Regularizer, *, score: str, n_steps: int, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Return a score of each agent's policy, shape (N,), and the environment steps that it took.

    Parameters
    ----------
    game : Game
    agents : Agents
        Moved on by "return".
    regularizer : Regularizer
    score : str
        As in `networked`.
    n_steps : int
        E.
    rng : numpy.random.Generator
    """
    n_agents = len(agents.states)
    if score == "index":
        return np.arange(n_agents, dtype=float), 0
    if score == "random":
        return rng.random(n_agents), 0
    if score == "value":
        return own_policies.evaluate(game, agents.policies(), regularizer).values, 0
    begun, _, rewards = replay.kept_steps(game, agents, n_steps)
    returns = np.zeros(n_agents)
    path_kernels.add_up(begun, rewards, agents.values, float(game.discount), returns)
    return returns, n_steps


def _resize(
    agents: Agents, n_agents: int, policy: np.ndarray, regularizer: Regularizer, *, rng: np.random.Generator
) -> None:
    """Let agents leave, evenly drawn, or others join with a policy, in states drawn uniformly, in place.

    Parameters
    ----------
    agents : Agents
    n_agents : int
        N from now on, >= 2.
    policy : ndarray, shape (S, A)
    regularizer : Regularizer
    rng : numpy.random.Generator
    """
    before = len(agents.states)
    more = max(0, int(n_agents) - before)
    stay = np.sort(rng.permutation(before)[:n_agents])
    limits = simulated.cumulated(policy[np.newaxis])
    agents.states = np.concatenate(
        [agents.states[stay], rng.integers(len(policy), size=more, dtype=agents.states.dtype)]
    )
    agents.thresholds = np.concatenate([agents.thresholds[:, stay], np.repeat(limits, more, axis=1)], axis=1)
    agents.pairs, agents.q = np.zeros(n_agents, dtype=np.uint16), np.zeros((n_agents, *policy.shape))
    agents.values = np.asarray(regularizer.value(agents.policies()))
    n_blocks = -(-int(n_agents) // agent_kernels.BLOCK)
    fresh = rng.integers(2**64, size=(max(0, n_blocks - len(agents.generators)), 4), dtype=np.uint64)
    agents.generators = np.concatenate([agents.generators[:n_blocks], fresh])
