"""Learning in the N-agent game: conditional TD learning and centralized PMA (Algorithms 1 and 2 of the paper).

One trajectory of the N-agent game, never reset; one tagged learner. Statements, schedules and their derivations are in
docs/theory.md, section 10. Samples are counted as environment steps of the trajectory, waiting steps included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pma_mfg import certificates, kernels, lipschitz, operators
from pma_mfg.agents import Agents
from pma_mfg.agents import independent as _independent
from pma_mfg.errors import InputError
from pma_mfg.games.functions import FunctionGame, Game
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Entropy, Regularizer
from pma_mfg.simulation import Population, Tables, function_tables, game_tables, initial_population, policy_tables

#: Takes a function that returns the arrays from which a run can be resumed, and may call it.
Save = Callable[[Callable[[], Mapping[str, np.ndarray]]], None]
#: Least action probability that `theorem_schedule` can turn into a number of samples.
MIN_PROBABILITY = 1e-44
#: Most epochs that `theorem_schedule` considers.
MAX_EPOCHS = 100_000
#: Most TD updates per epoch: counts beyond are not exact as floating-point numbers.
MAX_UPDATES = 10**15
TINY = float(np.finfo(float).tiny)


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
    start : float
        Q_0(s,a), with which every epoch's TD learning starts.

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
    start: float = 0.0

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
        if not np.isfinite(self.start):
            raise InputError("Schedule", "start", self.start, "a finite number")

    @property
    def n_samples(self) -> int:
        """Environment steps of the whole run, K M_td (M_mix + 1)."""
        return self.n_epochs * self.n_updates * (self.n_waiting + 1)


def theorem_schedule(game: MeanFieldGame, regularizer: Regularizer, step_size: float, epsilon: float) -> Schedule:
    """Return the cheapest schedule that provably reaches E sup_s ||pi_K - pi*||_1 <= epsilon + O(1/sqrt(N)).

    For `centralized` from the uniform policy, without a floor. Every constant is the game's own, the derivation
    docs/theory.md, section 10. With L, e_0 and nu of `certificates.noisy_contraction`, the range G of Q and sigma, half
    that of a target given its pair, of `certificates.noisy_set`, the least visit probability d, alpha = (1 - gamma) d,
    theta = 1 - b (1 - gamma) / 2 and free b in (0, 1], x in (0, 1) and K,

        epsilon_q = (epsilon - L^K e_0) (1 - L) / (nu (1 - L^K)),     c = 1 / (theta alpha),     m_0 = c / b,
        M_mix = log(3 G c / (x epsilon_q)) / log(1 / L_pop),          Q_0 the middle of the range of Q,
        M_td = max(c^2 (sigma^2 + 4 G^2 L_pop^M_mix), m_0 S A G^2 / 4) / ((1 - x) epsilon_q)^2 - m_0.

    The number of samples is minimized over K and grids of b and x.

    Parameters
    ----------
    game : Game
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
    if not c.L_pop < 1.0:
        raise InputError(source, "L_pop", c.L_pop, "a constant < 1 (Assumption 2, stable population)")
    noisy = certificates.noisy_set(game, regularizer)
    contraction, start, noise = certificates.noisy_contraction(game, regularizer, step_size, noisy)
    if not contraction < 1.0:
        raise InputError(source, "L_Gamma_eta", contraction, "a bound < 1 (the game's contraction is not certified)")
    least_action = float(noisy.policies.least.min())
    if not least_action >= MIN_PROBABILITY:
        raise InputError(
            source, "p_inf", least_action, f"at least {MIN_PROBABILITY:g} (Assumption 3), or samples cannot be counted"
        )
    least = float((noisy.policies.least_mean_field * noisy.policies.least).min())
    if not least > 0.0:
        raise InputError(source, "delta_mix", least, "a positive bound (Assumption 4, sufficient mixing)")
    if game.n_actions == 1:
        return Schedule(1, 1, 1, step_size, 1.0, 1.0, 0.5 * (noisy.low + noisy.high))
    alpha, q_range = (1.0 - game.discount) * least, noisy.high - noisy.low
    forgetting = max(c.L_pop, TINY)
    # the share of epsilon_q that is left to the bias of waiting, and the first TD step
    shares, first_steps = np.geomspace(1e-3, 0.5, 60)[:, None], np.linspace(0.01, 1.0, 100)
    scales = 1.0 / ((1.0 - 0.5 * first_steps * (1.0 - game.discount)) * alpha)
    offsets = scales / first_steps
    best: tuple[float, Schedule] | None = None
    powers = contraction ** np.arange(1, MAX_EPOCHS + 1)
    for n_epochs, power in enumerate(powers, start=1):
        if not (room := epsilon - power * start) > 0.0:
            continue
        accuracy = room * (1.0 - contraction) / (noise * (1.0 - power))
        biases = np.maximum(3.0 * q_range * scales / (shares * accuracy), TINY)
        waiting = np.maximum(1.0, np.ceil(np.log(biases) / -np.log(forgetting)))
        variance = 0.25 * noisy.target_span**2 + 4.0 * q_range**2 * forgetting**waiting
        constants = np.maximum(scales**2 * variance, offsets * game.n_states * game.n_actions * q_range**2 / 4.0)
        updates = np.maximum(1.0, np.ceil(constants / ((1.0 - shares) * accuracy) ** 2 - offsets))
        samples = n_epochs * updates * (waiting + 1.0)
        i, j = np.unravel_index(int(samples.argmin()), samples.shape)
        if best is None or samples[i, j] < best[0]:
            schedule = Schedule(
                n_epochs=n_epochs,
                n_updates=int(updates[i, j]),
                n_waiting=int(waiting[i, j]),
                step_size=step_size,
                td_scale=float(scales[j]),
                td_offset=float(offsets[j]),
                start=0.5 * (noisy.low + noisy.high),
            )
            best = float(samples[i, j]), schedule
        elif n_epochs * float(updates.min()) > best[0]:
            break
    if best is None:
        raise InputError(source, "L_Gamma_eta", contraction, f"a bound whose power {MAX_EPOCHS} is small enough")
    return best[1]


def practical_schedule(
    game: Game,
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
    probability of a state-action pair at the equilibrium, Q_0 the value of the middle reward with the largest h
    (docs/theory.md, section 10.6).

    Parameters
    ----------
    game : Game
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
    if not (td_constant / epsilon) ** 2 <= MAX_UPDATES:
        raise InputError(source, "epsilon", epsilon, f"one with (td_constant / epsilon)^2 <= {MAX_UPDATES:.0e} updates")
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
        start=td_start(game, regularizer),
    )


def td_start(game: Game, regularizer: Regularizer) -> float:
    """Return the value of the middle reward with the largest h at every step, a Q_0 that leaves little to learn.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer

    Returns
    -------
    float
    """
    lowest, highest = lipschitz.reward_range(game)
    h_max = float(regularizer.value(np.full(game.n_actions, 1.0 / game.n_actions)))
    middle = 0.5 * (lowest + highest)
    return (middle + game.discount * h_max) / (1.0 - game.discount)


def td_scale(game: Game, policy: np.ndarray) -> float:
    """Return c = 1 / ((1 - gamma) d), d the least probability of a state-action pair under the policy.

    The steps c / (m + c) then shrink the slowest mode of TD learning at the rate 1/m (docs/theory.md, section 10).

    Parameters
    ----------
    game : Game
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
    game: Game,
    policy: np.ndarray,
    n_agents: int,
    regularizer: Regularizer,
    n_updates: int | Sequence[int],
    n_waiting: int,
    td_scale: float,
    td_offset: float,
    rng: np.random.Generator,
    population: Population | None = None,
    start: float = 0.0,
    resume: Mapping[str, np.ndarray] | None = None,
    save: Save | None = None,
) -> np.ndarray:
    """Estimate the Q-function of a policy that all N agents play (Algorithm 1).

    Parameters
    ----------
    game : Game
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
        Draws the fresh population; not used when a population is given, which has its own stream.
    population : Population, optional
        Where the trajectory is; moved on in place. A fresh one, with states drawn uniformly, by default.
    start : float
        Q_0(s,a).
    resume : mapping of str to ndarray, optional
        What `save` was given by a call with the same arguments that did not come to its end: this call goes on from
        there, and returns bitwise what that one would have. The population is then overwritten.
    save : callable, optional
        Called every few seconds with a function that returns the arrays to resume from (`storage.Checkpoint.save`).

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
    snapshots = np.zeros((len(checkpoints), game.n_states, game.n_actions))
    q = np.full((game.n_states, game.n_actions), float(start))
    moving = {**vars(population), "q": q, "snapshots": snapshots}
    done = 0
    if resume is not None:
        for name, array in moving.items():
            array[...] = resume[name]
        done = int(resume["updates"])
    total, chunk = int(checkpoints[-1]), 1000
    constants = (float(td_offset), checkpoints, snapshots)

    def run(tables: Tables, shared: Tables, first: int, last: int, waiting: int, scale: float) -> None:
        moved = (population.stream, population.others, population.tagged)
        kernels.learn(*moved, tables, shared, float(game.discount), q, first, last, waiting, scale, *constants)

    if isinstance(game, FunctionGame):
        tables_at = function_tables(game, policy, regularizer)

        def advance(first: int, last: int) -> None:
            for m in range(first, last):
                for wait in range(
                    n_waiting + 1
                ):  # one step at a time; with the share 0 nothing is learnt while waiting
                    mean_field = population.others.astype(float)
                    mean_field[population.tagged[0]] += 1.0
                    here = tables_at(mean_field / mean_field.sum())
                    run(*here, m, m + 1, 0, float(td_scale) if wait == n_waiting else 0.0)
    else:
        shared = policy_tables(game, policy, regularizer, int(population.others.sum()) + 1)
        tables = game_tables(game)

        def advance(first: int, last: int) -> None:
            run(tables, shared, first, last, n_waiting, float(td_scale))

    while done < total:
        end = total if save is None else min(done + chunk, total)
        began = time.monotonic()
        advance(done, end)
        if time.monotonic() - began < 1.0:  # the length of a chunk has no influence on the result
            chunk *= 2
        done = end
        if save is not None and done < total:
            save(lambda: {**moving, "updates": np.array(done)})  # noqa: B023 (called at once)
    return snapshots if np.ndim(n_updates) else snapshots[0]


def centralized(
    game: Game,
    n_agents: int,
    regularizer: Regularizer,
    schedule: Schedule,
    rng: np.random.Generator,
    start: np.ndarray | None = None,
    floor: float | None = None,
    after_epoch: Callable[[int], None] = lambda epoch: None,
    resume: Mapping[str, np.ndarray] | None = None,
    save: Save | None = None,
) -> np.ndarray:
    """Run centralized PMA on one trajectory of the N-agent game (Algorithm 2).

    All agents hold pi_k; the tagged agent's TD estimate gives pi_{k+1} = Gamma_md^eta(Q_k, pi_k). The trajectory is
    never reset; each epoch's estimate starts from `Schedule.start`.

    Parameters
    ----------
    game : Game
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
    resume, save : optional
        As in `ctd`.

    Returns
    -------
    ndarray, shape (K + 1, S, A)
        pi_0, ..., pi_K.

    Examples
    --------
    >>> from pma_mfg import equilibrium, games, operators, regularizers, seeds
    >>> game = games.make("planted_smooth", n_states=3, n_actions=2, discount=0.5, seed=1, strength=0.1)
    >>> entropy = regularizers.Entropy(0.1)
    >>> nash = equilibrium.solve(game, entropy).policy
    >>> schedule = practical_schedule(game, entropy, nash, 5.0, epsilon=0.2, td_constant=9.0, waiting_constant=0.5)
    >>> policies = centralized(game, 1000, entropy, schedule, seeds.generator(0, "example"))
    >>> policies.shape == (schedule.n_epochs + 1, 3, 2)
    True
    >>> operators.policy_distance(policies[-1], nash) < 0.2
    True
    """
    policies = [operators.uniform_policy(game) if start is None else np.ascontiguousarray(start, dtype=float)]
    population = initial_population(game, n_agents, rng)
    if resume is not None:
        policies = list(resume["policies"])
        for name, array in vars(population).items():
            array[...] = resume[name]

    def save_epoch(state: Callable[[], Mapping[str, np.ndarray]]) -> None:
        if save is not None:
            save(lambda: {**state(), "policies": np.array(policies)})

    while len(policies) <= schedule.n_epochs:
        policy = policies[-1]
        inside = resume if resume is not None and "q" in resume else None
        resume = None
        if inside is None:
            # the new policy holds from now on: the action that the old one had drawn for this step was not played yet
            population.tagged[1] = kernels.draw(population.stream, policy[population.tagged[0]].copy())
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
            schedule.start,
            inside,
            None if save is None else save_epoch,
        )
        policies.append(operators.mirror_ascent_step(q, policy, schedule.step_size, regularizer, floor))
        after_epoch(len(policies) - 1)
        save_epoch(lambda: vars(population))
    return np.stack(policies)


def independent(
    game: Game,
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
    ascent step at the end of each epoch. The trajectory is never reset; each epoch's estimates start from
    `Schedule.start`.

    Parameters
    ----------
    game : Game
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
