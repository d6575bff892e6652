"""Learning in the N-agent game: conditional TD learning and centralized PMA (Algorithms 1 and 2 of the paper).

One trajectory of the N-agent game, never reset; one tagged learner. Statements and derivations are in docs/theory,
section 10; schedules in `schedules`. Samples are environment steps of the trajectory, waiting steps included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pma_mfg import operators
from pma_mfg.arrays import accepts
from pma_mfg.errors import InputError
from pma_mfg.games.functions import Game
from pma_mfg.learning import schedules
from pma_mfg.learning.schedules import Schedule, check_td
from pma_mfg.regularizers import Regularizer
from pma_mfg.simulation import exchangeable as simulation
from pma_mfg.simulation import exchangeable_kernels, random_numbers
from pma_mfg.simulation.exchangeable import Population, Tables, initial_population

if TYPE_CHECKING:
    from pma_mfg.simulation.agents import Agents

#: Takes a function that returns the arrays from which a run can be resumed, and may call it.
Save = Callable[[Callable[[], Mapping[str, np.ndarray]]], None]


@accepts()
def ctd(
    game: Game,
    policy: np.ndarray,
    n_agents: int,
    *,
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
        Called several times a second with a function that returns the arrays to resume from; `storage.Checkpoint.save`.

    Returns
    -------
    ndarray, shape (S, A), or (C, S, A) for a sequence of C numbers

    Raises
    ------
    InputError
        For numbers out of range, among them steps c / (m + m_0) above 1.
    """
    checkpoints = checked_updates(n_updates, n_waiting=n_waiting, td_scale=td_scale, td_offset=td_offset, start=start)
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
    for end in td_updates(
        game,
        policy,
        regularizer,
        moving=moving,
        done=done,
        checkpoints=checkpoints,
        n_waiting=n_waiting,
        scale=float(td_scale),
        offset=float(td_offset),
    ):
        if save is not None and end < checkpoints[-1]:
            save(lambda: {**moving, "updates": np.array(end)})  # noqa: B023 (called at once)
    return snapshots if np.ndim(n_updates) else snapshots[0]


def checked_updates(
    n_updates: int | Sequence[int], *, n_waiting: int, td_scale: float, td_offset: float, start: float
) -> np.ndarray:
    """Return the numbers of updates after which `ctd` returns an estimate, int64; raise if an argument is wrong."""
    checkpoints = np.atleast_1d(np.asarray(n_updates))
    ordered = checkpoints.size > 0 and checkpoints.dtype.kind in "iu" and (np.diff(checkpoints, prepend=0) > 0).all()
    if not ordered:
        raise InputError("learning.ctd", "n_updates", n_updates, "integers >= 1 in increasing order")
    if n_waiting < 0:
        raise InputError("learning.ctd", "n_waiting", n_waiting, "an integer >= 0")
    check_td("learning.ctd", td_scale, td_offset, start=start)
    return checkpoints.astype(np.int64)


def td_updates(
    game: Game,
    policy: np.ndarray,
    regularizer: Regularizer,
    *,
    moving: Mapping[str, np.ndarray],
    done: int,
    checkpoints: np.ndarray,
    n_waiting: int,
    scale: float,
    offset: float,
) -> Iterator[int]:
    """Make the updates of `ctd` from `done` on, in place, and yield several times a second how many are made.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    regularizer : Regularizer
    moving : mapping of str to ndarray
        The arrays of a `Population`, q (S, A) and snapshots (C, S, A).
    done : int
    checkpoints : ndarray of int64, shape (C,)
    n_waiting : int
    scale, offset : float
        c and m_0.

    Yields
    ------
    int
    """
    population = Population(moving["others"], moving["tagged"], moving["stream"])
    by_updates = np.zeros((0, game.n_actions))  # the steps count updates, not visits
    constants = (offset, checkpoints, moving["snapshots"], by_updates, by_updates)
    moved = (population.stream, population.others, population.tagged)

    def learn(tables: Tables, shared: Tables, first: int, last: int, waiting: int, factor: float) -> None:
        exchangeable_kernels.learn(
            *moved, tables, shared, float(game.discount), moving["q"], first, last, waiting, factor * scale, *constants
        )

    advance, entries = simulation.updates(
        game, policy, regularizer, population=population, n_waiting=n_waiting, learn=learn
    )
    for begin, end in simulation.chunks(done, int(checkpoints[-1]), entries * (n_waiting + 1)):
        advance(begin, end)
        yield end


@accepts(start="policy")
def centralized(
    game: Game,
    n_agents: int,
    regularizer: Regularizer,
    *,
    schedule: Schedule,
    rng: np.random.Generator,
    start: np.ndarray | None = None,
    floor: float | None = None,
    passes: int = 0,
    strengths: Sequence[float] | None = None,
    starts: Sequence[float] | None = None,
    after_epoch: Callable[[int], None] = lambda epoch: None,
    resume: Mapping[str, np.ndarray] | None = None,
    save: Save | None = None,
) -> np.ndarray:
    """Run centralized PMA on one trajectory of the N-agent game (Algorithm 2).

    All agents hold pi_k; the tagged agent's TD estimate gives pi_{k+1} = Gamma_md^eta(Q_k, pi_k). The trajectory is
    never reset; each epoch's estimate starts from `Schedule.start`. With an infinite step size pi_{k+1} is the
    regularized best response to Q_k, whatever pi_k is (docs/theory, section 10.12).

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
        Restrict the policies to h(u) >= floor (`theory.lipschitz.policy_floor` gives the theory's).
    passes : int
        With L >= 1, Q is learned in L shuffled passes over a replay buffer of the epoch's M_td transitions, at a few
        microseconds per sample; 0 is TD learning without a buffer. (With a buffer epochs are not resumed half-way.)
    strengths : sequence of K floats, optional
        The regularizer's strength in each epoch, in place of its own: annealing (docs/theory, section 19.7).
    starts : sequence of K floats, optional
        Q_0 in each epoch, in place of the schedule's.
    after_epoch : callable
        Called with the number of each finished epoch, for a progress bar.
    resume, save : optional
        As in `ctd`.

    Returns
    -------
    ndarray, shape (K + 1, S, A)
        pi_0, ..., pi_K.

    Raises
    ------
    InputError
        If `strengths` are not K positive numbers.

    Examples
    --------
    >>> from pma_mfg import equilibrium, games, operators, regularizers, seeds
    >>> from pma_mfg.learning import schedules
    >>> game = games.make("planted_smooth", n_states=3, n_actions=2, discount=0.5, seed=1, strength=0.1)
    >>> entropy = regularizers.Entropy(0.1)
    >>> nash = equilibrium.solve(game, entropy).policy
    >>> schedule = schedules.practical_schedule(
    ...     game, entropy, nash, step_size=5.0, epsilon=0.2, td_constant=9.0, waiting_constant=0.5
    ... )
    >>> policies = centralized(game, 1000, entropy, schedule=schedule, rng=seeds.generator(0, "example"))
    >>> policies.shape == (schedule.n_epochs + 1, 3, 2)
    True
    >>> operators.policy_distance(policies[-1], nash) < 0.2
    True
    """
    _check_passes("learning.centralized", passes)
    by_epoch = schedules.by_epoch(regularizer, schedule, strengths=strengths, starts=starts)
    policies = [operators.uniform_policy(game) if start is None else start]
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
        regularizer, schedule = by_epoch[len(policies) - 1]
        inside = resume if resume is not None and "q" in resume else None
        resume = None
        if inside is None:
            # the new policy holds from now on: the action that the old one had drawn for this step was not played yet
            population.tagged[1] = random_numbers.draw(population.stream, policy[population.tagged[0]].copy())
        if passes:
            from pma_mfg.learning import replay  # whose kernels take a third of a second to load

            q = replay.learn_tagged(game, policy, regularizer, population=population, schedule=schedule, passes=passes)
        else:
            q = ctd(
                game,
                policy,
                n_agents,
                regularizer=regularizer,
                n_updates=schedule.n_updates,
                n_waiting=schedule.n_waiting,
                td_scale=schedule.td_scale,
                td_offset=schedule.td_offset,
                rng=rng,
                population=population,
                start=schedule.start,
                resume=inside,
                save=None if save is None else save_epoch,
            )
        policies.append(
            operators.mirror_ascent_step(q, policy, schedule.step_size, regularizer=regularizer, floor=floor)
        )
        after_epoch(len(policies) - 1)
        save_epoch(lambda: vars(population))
    return np.stack(policies)


def _check_passes(source: str, passes: int) -> None:
    """Refuse a number of passes that is no integer >= 0; 0 means TD learning without a buffer."""
    if isinstance(passes, bool) or not isinstance(passes, int | np.integer) or passes < 0:
        raise InputError(source, "passes", passes, "an integer >= 0")


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch of `blind`.

    Parameters
    ----------
    samples : int
        Environment steps of the trajectory so far.
    policy : ndarray, shape (S, A)
        What all agents play from now on.
    step_size : float
        eta of the mirror ascent step that led to it; nan after the pilot.
    visits : ndarray, shape (S, A)
        How often the learner saw each pair in this epoch.
    """

    samples: int
    policy: np.ndarray
    step_size: float
    visits: np.ndarray


@dataclass(frozen=True)
class Exploration:
    """Steps of an exploring learner, which are not made yet; they move the arrays on in place.

    Parameters
    ----------
    policy : ndarray, shape (S, A)
        What all others play, and most of what the learner does.
    population : Population
    q, visits : ndarray, shape (S, A)
    n_updates : int
    scale : float
        c of the steps c / (visits + c).
    discount : float
    """

    policy: np.ndarray
    population: Population
    q: np.ndarray
    visits: np.ndarray
    n_updates: int
    scale: float
    discount: float


@accepts(start="policy")
def blind(
    game: Game,
    n_agents: int,
    regularizer: Regularizer,
    *,
    rng: np.random.Generator,
    budget: int | None = None,
    start: np.ndarray | None = None,
) -> Iterator[Epoch]:
    """Run centralized PMA on one trajectory with steps and epochs chosen from what the learner sees alone.

    Nothing of the game is used but S, A, gamma and the transitions and rewards of the tagged agent: no equilibrium, no
    visit probability, no range of rewards. Algorithm 2 with four changes, derived in docs/theory, section 10.11: the
    learner explores, drawing a share of its actions uniformly, and averages the Q of the next state over the policy of
    all others; the TD steps count visits of a pair in place of updates; Q is kept from epoch to epoch; eta falls
    like one over the epochs, but not while the policy goes straight on, and faster where it turns back. A state
    that was not seen in an epoch keeps its policy.

    Parameters
    ----------
    game : Game
    n_agents : int
        N, from 2 to 10^15; the exploring learner moves the mean field by 1/N at most.
    regularizer : Regularizer
    rng : numpy.random.Generator
    budget : int, optional
        Samples of the whole run; `learning.schedules.DEFAULT_BUDGET` S A / (1 - gamma) by default. What a game of
        arrays costs per sample does not depend on N; one of functions costs a call of both per sample.
    start : ndarray, shape (S, A), optional
        pi_0, uniform by default.

    Yields
    ------
    Epoch
        First the pilot, in which Q is not learned and the policy is pi_0, then one for every mirror ascent step.

    Raises
    ------
    InputError
        If the budget is too small (`learning.schedules.blind_schedule`).

    Examples
    --------
    >>> from pma_mfg import equilibrium, games, regularizers, seeds
    >>> game = games.make("crowd_averse", n_states=4, n_actions=3, discount=0.9, seed=1, coupling=4.0)
    >>> entropy = regularizers.Entropy(0.05)  # so weak that best response cycles
    >>> *_, last = blind(game, 1000, entropy, rng=seeds.generator(0, "example"), budget=50_000)
    >>> equilibrium.exploitability(game, last.policy, entropy) < 0.05
    True
    """
    for step in blind_steps(game, n_agents, regularizer, rng=rng, budget=budget, start=start):
        if isinstance(step, Epoch):
            yield step
        else:
            explore(game, regularizer, step)


def blind_steps(
    game: Game,
    n_agents: int,
    regularizer: Regularizer,
    *,
    rng: np.random.Generator,
    budget: int | None = None,
    start: np.ndarray | None = None,
) -> Iterator[Epoch | Exploration]:
    """Yield the epochs of `blind`, and before each what its learner explores: the caller makes these steps.

    So that several learners can make theirs side by side. Parameters and errors are those of `blind`.
    """
    size, n_actions = game.n_states, game.n_actions
    schedule = schedules.blind_schedule(game, regularizer, budget=budget)
    pilot, *lengths = schedule.n_updates
    policy = operators.uniform_policy(game) if start is None else np.ascontiguousarray(start, dtype=float)
    population = initial_population(game, n_agents, rng)
    q, visits = np.zeros((size, n_actions)), np.zeros((size, n_actions))
    # with the steps 1 / (visits + 1) and the discount 0, q becomes the mean reward of each pair
    yield Exploration(policy, population, q, visits, n_updates=pilot, scale=1.0, discount=0.0)
    yield Epoch(pilot, policy, np.nan, visits.copy())
    mean_reward = float((visits * q).sum() / visits.sum())
    mean_entropy = float((visits.sum(axis=1) * regularizer.value(policy)).sum() / visits.sum())
    q[...] = (mean_reward + game.discount * mean_entropy) / (1.0 - game.discount)
    visits[...] = 0.0
    samples, step_size = pilot, schedule.step_size
    last_change = np.zeros_like(policy)
    for length in lengths:
        visits *= 0.5
        before = visits.copy()
        yield Exploration(
            policy, population, q, visits, n_updates=length, scale=schedule.td_scale, discount=game.discount
        )
        samples += length
        moved = operators.mirror_ascent_step(q, policy, step_size, regularizer=regularizer)
        seen = visits - before
        change = np.where(seen.any(axis=1, keepdims=True), moved - policy, 0.0)
        policy = np.where(seen.any(axis=1, keepdims=True), moved, policy)
        yield Epoch(samples, policy, step_size, seen)
        step_size = schedules.blind_step_size(step_size, change, last_change, rho=regularizer.rho)
        last_change = change


def explore(game: Game, regularizer: Regularizer, steps: Exploration) -> None:
    """Make the steps of an exploring learner, in place. Control comes back from compiled code several times a second.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    steps : Exploration
    """
    behaviour = begin_exploring(steps)
    population, policy = steps.population, steps.policy
    none = (np.zeros(0, dtype=np.int64), np.zeros((0, *policy.shape)))
    moving = (population.stream, population.others, population.tagged)

    def learn(tables: Tables, shared: Tables, first: int, last: int, waiting: int, factor: float) -> None:
        shares = factor * steps.scale, steps.scale
        exchangeable_kernels.learn(
            *(*moving, tables, shared, steps.discount, steps.q, first, last, waiting, *shares, *none),
            *(behaviour, steps.visits),
        )

    advance, entries = simulation.updates(game, policy, regularizer, population=population, n_waiting=0, learn=learn)
    for begin, end in simulation.chunks(0, steps.n_updates, entries):
        advance(begin, end)


def begin_exploring(steps: Exploration) -> np.ndarray:
    """Return what the learner plays, shape (S, A), once its next action is drawn from it, in place."""
    share = schedules.EXPLORATION
    behaviour = np.ascontiguousarray((1.0 - share) * steps.policy + share / steps.policy.shape[1])
    population = steps.population
    population.tagged[1] = random_numbers.draw(population.stream, behaviour[population.tagged[0]].copy())
    return behaviour


@accepts(start="policies")
def independent(
    game: Game,
    n_agents: int,
    regularizer: Regularizer,
    *,
    schedule: Schedule,
    rng: np.random.Generator,
    start: np.ndarray | None = None,
    floor: float | None = None,
    passes: int = 0,
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
        With a finite step size.
    rng : numpy.random.Generator
    start : ndarray, shape (S, A) or (N, S, A), optional
        First policies, uniform by default.
    floor : float, optional
        Restrict the policies to h(u) >= floor (`theory.lipschitz.policy_floor` gives the theory's).
    passes : int
        L of a replay buffer of each agent's own transitions, as in `centralized`.
    after_epoch : callable
        Called with the number of each finished epoch and the agents, which hold their new policies.
    after_chunk : callable
        Called with the agents several times a second, and after `after_epoch`: the place to save them.
    agents : Agents, optional
        Go on from here, moved on in place; `n_agents`, `rng` and `start` are then ignored. The result is bitwise that
        of a run that was not interrupted.
    threads : int
        The result is bitwise the same for any number.

    Returns
    -------
    Agents
        `Agents.policies()` are the learned policies, shape (N, S, A).

    Raises
    ------
    InputError
        If the step size is infinite.
    """
    from pma_mfg.learning import replay  # whose kernels take a third of a second to load
    from pma_mfg.simulation import agents as simulated

    if schedule.step_size == np.inf:
        raise InputError("learning.independent", "step_size", schedule.step_size, "a finite number > 0")
    _check_passes("learning.independent", passes)
    if agents is None:
        agents = simulated.initial_agents(game, n_agents, regularizer, rng=rng, start=start)
    n_steps = schedule.n_updates * (schedule.n_waiting + 1)
    share = schedule.td_scale / (schedule.n_updates - 1 + schedule.td_offset)
    chunk = simulated.steps_per_call(game, agents)
    while agents.progress[0] < schedule.n_epochs:
        if passes:
            replay.learn(game, agents, schedule, passes=passes)
            agents.progress[1] = n_steps
        else:
            if agents.progress[1] == 0:
                agents.q[:] = schedule.start
            simulated.advance(
                game,
                agents,
                min(chunk, n_steps - int(agents.progress[1])),
                n_waiting=schedule.n_waiting,
                scale=schedule.td_scale,
                offset=schedule.td_offset,
                threads=threads,
            )
        if agents.progress[1] == n_steps:
            simulated.finish_epoch(
                game,
                agents,
                regularizer,
                step_size=schedule.step_size,
                share=0.0 if passes else share,
                floor=floor,
                threads=threads,
            )
            after_epoch(int(agents.progress[0]), agents)
        after_chunk(agents)
    return agents
