"""Learning in the N-agent game: conditional TD learning and centralized PMA (Algorithms 1 and 2 of the paper).

One trajectory of the N-agent game, never reset; one tagged learner. Statements, schedules and their derivations are in
docs/theory.md, section 10. Samples are counted as environment steps of the trajectory, waiting steps included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pma_mfg import certificates, kernels, lipschitz, operators
from pma_mfg.agents import Agents
from pma_mfg.agents import independent as _independent
from pma_mfg.errors import InputError
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Entropy, Regularizer
from pma_mfg.simulation import Population, game_tables, initial_population, policy_tables

#: Least action probability that `theorem_schedule` can turn into a number of samples.
MIN_PROBABILITY = 1e-44


@dataclass(frozen=True)
class Schedule:
    """How long to learn, and with which steps.

    Parameters
    ----------
    n_epochs : int
        K, policy updates, >= 1.
    n_updates : int
        M_td, TD updates per epoch, >= 1.
    n_waiting : int
        M_mix, steps that pass before each TD update, >= 0.
    step_size : float
        eta > 0 of the mirror ascent step.
    td_scale, td_offset : float
        c > 0 and m_0 >= c: the m-th TD update (m = 0, 1, ...) has the step c / (m + m_0) <= 1.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    n_epochs: int
    n_updates: int
    n_waiting: int
    step_size: float
    td_scale: float
    td_offset: float

    def __post_init__(self) -> None:
        for name, least in (("n_epochs", 1), ("n_updates", 1), ("n_waiting", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError("Schedule", name, value, f"an integer >= {least}")
        for name in ("step_size", "td_scale"):
            if not 0.0 < getattr(self, name) < np.inf:
                raise InputError("Schedule", name, getattr(self, name), "a finite number > 0")
        if not self.td_scale <= self.td_offset < np.inf:
            raise InputError("Schedule", "td_offset", self.td_offset, f"a finite number >= td_scale = {self.td_scale}")

    @property
    def n_samples(self) -> int:
        """Environment steps of the whole run, K M_td (M_mix + 1)."""
        return self.n_epochs * self.n_updates * (self.n_waiting + 1)


def theorem_schedule(game: MeanFieldGame, regularizer: Regularizer, step_size: float, epsilon: float) -> Schedule:
    """Return the schedule that provably reaches E sup_s ||pi_K - pi*||_1 <= epsilon + O(1/sqrt(N)).

    For `centralized` with the floor of U, `lipschitz.policy_floor`. Every constant is the game's own; the derivation is
    docs/theory.md, section 10. With L = L_Gamma_eta < 1, the bound G on the range of Q, the least visit probability
    d = delta_mix p_inf and alpha = (1 - gamma) d,

        K = log(2 sqrt(2 A) / epsilon) / log(1/L),          epsilon_q = epsilon (1 - L) (1 + eta rho) / (2 eta sqrt(A)),
        M_td = 16 G^2 / (3 alpha^2 epsilon_q^2),            M_mix = log(4 G / (alpha epsilon_q)) / log(1/L_pop),
        c = m_0 = 2 / alpha.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
        The entropy: the quadratic does not keep every action's probability positive (Assumption 3).
    step_size : float
        eta > 0.
    epsilon : float
        > 0.

    Returns
    -------
    Schedule

    Raises
    ------
    InputError
        If an assumption of the theorem fails for this game; the message says which.
    """
    source = "learning.theorem_schedule"
    if not epsilon > 0.0:
        raise InputError(source, "epsilon", epsilon, "a number > 0")
    if not isinstance(regularizer, Entropy):
        raise InputError(source, "regularizer", regularizer, "the entropy (Assumption 3, persistence of excitation)")
    c = lipschitz.constants(game)
    if lipschitz.weaker(*c.kind.values()) != "exact":
        raise InputError(
            source, "game", game.family, "a game with affine features (the bias of TD learning is bounded there)"
        )
    contraction = lipschitz.contraction_bound(game, regularizer, step_size).L_gamma
    if not contraction < 1.0:
        raise InputError(source, "L_Gamma_eta", contraction, "a bound < 1 (the game's contraction is not certified)")
    if not c.L_pop < 1.0:
        raise InputError(source, "L_pop", c.L_pop, "a constant < 1 (Assumption 2, stable population)")
    least_action = certificates.least_probability(game, regularizer, step_size)
    if not least_action >= MIN_PROBABILITY:
        raise InputError(
            source, "p_inf", least_action, f"at least {MIN_PROBABILITY:g} (Assumption 3), or samples cannot be counted"
        )
    n_steps, least_state = lipschitz.mixing(game, least_action)
    if not least_state > 0.0:
        raise InputError(
            source, f"delta_mix at T_mix = {n_steps}", least_state, "a positive bound (Assumption 4, sufficient mixing)"
        )
    q_range = lipschitz.q_range(game, regularizer)
    alpha = (1.0 - game.discount) * least_state * least_action
    root_actions = np.sqrt(game.n_actions)
    epsilon_q = epsilon * (1.0 - contraction) * (1.0 + step_size * regularizer.rho) / (2.0 * step_size * root_actions)
    epsilon_q = min(epsilon_q, q_range)
    return Schedule(
        n_epochs=_at_least_one(np.log(2.0 * np.sqrt(2.0) * root_actions / epsilon) / -np.log(contraction)),
        n_updates=_at_least_one(16.0 * q_range**2 / (3.0 * alpha**2 * epsilon_q**2)),
        n_waiting=_at_least_one(np.log(4.0 * q_range / (alpha * epsilon_q)) / -np.log(c.L_pop)),
        step_size=step_size,
        td_scale=float(2.0 / alpha),
        td_offset=float(2.0 / alpha),
    )


def practical_schedule(
    game: MeanFieldGame,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    step_size: float,
    epsilon: float,
    td_constant: float,
    waiting_constant: float,
) -> Schedule:
    """Return a schedule with the theorem's dependence on epsilon and tuned constants.

    K = log(2 / epsilon) / log(1 / r) with r the spectral radius of PMA at the equilibrium, M_td = (td_constant /
    epsilon)^2, M_mix = waiting_constant log(1 / epsilon), c = m_0 = 1 / ((1 - gamma) d) with d the least visit
    probability of a state-action pair at the equilibrium (docs/theory.md, section 10).

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy.
    step_size : float
        eta > 0.
    epsilon : float
        In (0, 1).
    td_constant : float
        > 0.
    waiting_constant : float
        >= 0.

    Returns
    -------
    Schedule

    Raises
    ------
    InputError
        If PMA does not contract at the equilibrium with this step size, or a state or action is never visited there.
    """
    source = "learning.practical_schedule"
    if not 0.0 < epsilon < 1.0:
        raise InputError(source, "epsilon", epsilon, "a number in (0, 1)")
    rate = lipschitz.spectral_radius(lipschitz.jacobian(game, equilibrium, step_size, regularizer))
    if not rate < 1.0:
        raise InputError(source, "step_size", step_size, f"one at which PMA contracts (spectral radius {rate:.3f} < 1)")
    scale = td_scale(game, equilibrium)
    return Schedule(
        n_epochs=_at_least_one(np.log(2.0 / epsilon) / -np.log(max(rate, 1e-12))),
        n_updates=_at_least_one((td_constant / epsilon) ** 2),
        n_waiting=int(np.ceil(waiting_constant * np.log(1.0 / epsilon))),
        step_size=step_size,
        td_scale=scale,
        td_offset=scale,
    )


def td_scale(game: MeanFieldGame, policy: np.ndarray) -> float:
    """Return c = 1 / ((1 - gamma) d), d the least probability of a state-action pair under the policy.

    The steps c / (m + c) then shrink the slowest mode of TD learning at the rate 1/m (docs/theory.md, section 10).

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)

    Returns
    -------
    float

    Raises
    ------
    InputError
        If some state or action is never visited.
    """
    least = float((operators.stable_population(game, policy)[:, None] * policy).min())
    if not least > 0.0:
        raise InputError("learning.td_scale", "policy", least, "a policy that visits every state and action")
    return 1.0 / ((1.0 - game.discount) * least)


def _at_least_one(value: float) -> int:
    return max(1, int(np.ceil(value)))


def ctd(
    game: MeanFieldGame,
    policy: np.ndarray,
    n_agents: int,
    regularizer: Regularizer,
    n_updates: int | Sequence[int],
    n_waiting: int,
    td_scale: float,
    td_offset: float,
    rng: np.random.Generator,
    population: Population | None = None,
) -> np.ndarray:
    """Estimate the Q-function of a policy that all N agents play (Algorithm 1).

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    n_agents : int
        N, from 2 to 10^15; ignored when a population is given.
    regularizer : Regularizer
    n_updates : int or sequence of int
        M_td; for an increasing sequence, the estimate after each of these numbers of updates is returned.
    n_waiting : int
        M_mix.
    td_scale, td_offset : float
        c and m_0 of the steps c / (m + m_0).
    rng : numpy.random.Generator
    population : Population, optional
        Where the trajectory is; moved on in place. A fresh one, with states drawn uniformly, by default.

    Returns
    -------
    ndarray, shape (S, A), or (C, S, A) for a sequence of C numbers
    """
    checkpoints = np.atleast_1d(np.asarray(n_updates))
    ordered = checkpoints.size > 0 and checkpoints.dtype.kind in "iu" and (np.diff(checkpoints, prepend=0) > 0).all()
    if not ordered:
        raise InputError("learning.ctd", "n_updates", n_updates, "integers >= 1 in increasing order")
    checkpoints = checkpoints.astype(np.int64)
    if n_waiting < 0:
        raise InputError("learning.ctd", "n_waiting", n_waiting, "an integer >= 0")
    if population is None:
        population = initial_population(game, n_agents, rng)
    snapshots = np.empty((len(checkpoints), game.n_states, game.n_actions))
    q = np.zeros((game.n_states, game.n_actions))
    kernels.learn(
        rng,
        population.others,
        population.tagged,
        game_tables(game),
        policy_tables(game, policy, regularizer),
        float(game.discount),
        q,
        int(checkpoints[-1]),
        n_waiting,
        float(td_scale),
        float(td_offset),
        checkpoints,
        snapshots,
    )
    return snapshots if np.ndim(n_updates) else snapshots[0]


def centralized(
    game: MeanFieldGame,
    n_agents: int,
    regularizer: Regularizer,
    schedule: Schedule,
    rng: np.random.Generator,
    start: np.ndarray | None = None,
    floor: float | None = None,
    after_epoch: Callable[[int], None] = lambda epoch: None,
) -> np.ndarray:
    """Run centralized PMA on one trajectory of the N-agent game (Algorithm 2).

    All agents hold pi_k; the tagged agent's TD estimate gives pi_{k+1} = Gamma_md^eta(Q_k, pi_k). The trajectory is
    never reset; each epoch's estimate starts from zero.

    Parameters
    ----------
    game : MeanFieldGame
    n_agents : int
        N, from 2 to 10^15.
    regularizer : Regularizer
    schedule : Schedule
    rng : numpy.random.Generator
    start : ndarray, shape (S, A), optional
        pi_0, uniform by default.
    floor : float, optional
        Restrict the policies to h(u) >= floor (`lipschitz.policy_floor` gives the theory's).
    after_epoch : callable
        Called with the number of each finished epoch, for a progress bar.

    Returns
    -------
    ndarray, shape (K + 1, S, A)
        pi_0, ..., pi_K.
    """
    policy = operators.uniform_policy(game) if start is None else np.asarray(start, dtype=float)
    policies = [policy]
    population = initial_population(game, n_agents, rng)
    for epoch in range(schedule.n_epochs):
        # the new policy holds from now on: the action that the old one had drawn for this step was not played yet
        state = population.tagged[0]
        population.tagged[1] = rng.choice(game.n_actions, p=policy[state])
        q = ctd(
            game,
            policy,
            n_agents,
            regularizer,
            schedule.n_updates,
            schedule.n_waiting,
            schedule.td_scale,
            schedule.td_offset,
            rng,
            population,
        )
        policy = operators.mirror_ascent_step(q, policy, schedule.step_size, regularizer, floor)
        policies.append(policy)
        after_epoch(epoch + 1)
    return np.stack(policies)


def independent(
    game: MeanFieldGame,
    n_agents: int,
    regularizer: Regularizer,
    schedule: Schedule,
    rng: np.random.Generator,
    start: np.ndarray | None = None,
    floor: float | None = None,
    after_epoch: Callable[[int, Agents], None] = lambda epoch, agents: None,
    after_chunk: Callable[[Agents], None] = lambda agents: None,
    agents: Agents | None = None,
    threads: int = 1,
) -> Agents:
    """Run independent PMA on one trajectory of the N-agent game (Algorithm 3).

    Every agent has a policy and a TD estimate of its own, learns from its own path only, and makes its own mirror
    ascent step at the end of each epoch. The trajectory is never reset; each epoch's estimates start from zero.

    Parameters
    ----------
    game : MeanFieldGame
    n_agents : int
        N >= 2.
    regularizer : Regularizer
    schedule : Schedule
    rng : numpy.random.Generator
    start : ndarray, shape (S, A) or (N, S, A), optional
        First policies, uniform by default.
    floor : float, optional
        Restrict the policies to h(u) >= floor (`lipschitz.policy_floor` gives the theory's).
    after_epoch : callable
        Called with the number of each finished epoch and the agents, which hold their new policies.
    after_chunk : callable
        Called with the agents several times a minute, and after `after_epoch`: the place to save them.
    agents : Agents, optional
        Go on from here, moved on in place; `n_agents`, `rng` and `start` are then ignored. The result is bitwise that
        of a run that was not interrupted.
    threads : int
        The result is bitwise the same for any number.

    Returns
    -------
    Agents
        `Agents.policies()` are the learned policies, shape (N, S, A).
    """
    return _independent(
        game, n_agents, regularizer, schedule, rng, start, floor, after_epoch, after_chunk, agents, threads
    )
