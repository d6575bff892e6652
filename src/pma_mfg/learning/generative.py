"""Learners for the comparison: PMA on one trajectory, and methods with a generative model (docs/theory, section 17).

A generative model is a simulator that can be called at any state, action and mean field; one call is one sample. A
learner is a generator function. It takes a `Task` and its settings, as keyword arguments, and yields after each round
how many samples it has used and the policy that it has learned; it ends before the round that the budget does not pay
for. An entry in `METHODS` lets `pma-replicate comparison measure` find it by name.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from pma_mfg import equilibrium, operators
from pma_mfg.arrays import accepts, contiguous
from pma_mfg.errors import InputError
from pma_mfg.games.features import Table, to_dense
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import generative_kernels, schedules
from pma_mfg.regularizers import Entropy, kind
from pma_mfg.simulation import random_numbers
from pma_mfg.simulation.agents import dense_tables
from pma_mfg.simulation.exchangeable import CHUNK_SECONDS, ENTRY_SECONDS, initial_population

#: Names this module in error messages.
SOURCE = "baselines"

#: Steps that simulated agents take towards the stable population of a policy. The second half is averaged.
POPULATION_STEPS = 20

#: Most random numbers that are held in memory at a time.
CHUNK = 2**18

#: What a learner yields: samples used so far, and the policy (S, A) learned from them.
Learner = Iterator[tuple[int, np.ndarray]]

#: A setting of a method: the names of its keyword arguments and their values.
Setting = Mapping[str, float]

#: What is allowed for a number of a setting, in words and as a test.
Range = tuple[str, Callable[[float], bool]]

_POSITIVE: Range = ("a number > 0", lambda x: x > 0.0)
_AT_LEAST_ONE: Range = ("a number >= 1", lambda x: x >= 1.0)
_SHARE: Range = ("a number in (0, 1]", lambda x: 0.0 < x <= 1.0)

#: Names of settings, or method.name where one method differs -> what is allowed; any finite number for other names.
ALLOWED: dict[str, Range] = {
    "step_size": _POSITIVE,
    "online_mirror_descent.step_size": _SHARE,
    "first": _AT_LEAST_ONE,
    "growth": _AT_LEAST_ONE,
    "constant": _POSITIVE,
    "share": _POSITIVE,
    "q_exponent": _SHARE,
    "mean_field_exponent": _SHARE,
    "exploration": ("a number in [0, 1]", lambda x: 0.0 <= x <= 1.0),
}


@dataclass(frozen=True)
class Task:
    """What every learner is given.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Entropy
    rng : numpy.random.Generator
    budget : int
        Most samples of a run.
    n_agents : int
        N of the trajectory that PMA learns on; methods with a generative model ignore it.
    """

    game: MeanFieldGame
    regularizer: Entropy
    rng: np.random.Generator
    budget: int
    n_agents: int

    @functools.cached_property
    def start(self) -> float:
        """Q_0(s,a) of every learner, `learning.schedules.td_start`."""
        return schedules.td_start(self.game, self.regularizer)


@accepts(transition="table", reward="table", policy="table")
def sampled_q(
    transition: Table,
    reward: np.ndarray,
    discount: float,
    *,
    regularizer: Entropy,
    policy: np.ndarray | None,
    n_sweeps: int,
    constant: float,
    start: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Estimate a Q-function of a frozen decision process by n_sweeps S A calls of its simulator, equation (17.1).

    Parameters
    ----------
    transition : ndarray, shape (S, A, S)
    reward : ndarray, shape (S, A)
    discount : float
    regularizer : Entropy
    policy : ndarray, shape (S, A), or None
        Whose Q-function; the optimal one if None.
    n_sweeps : int
        Each calls the simulator once for every pair.
    constant : float
        > 0; the steps are c / (m + c), c = constant / (1 - gamma).
    start : float
        Q_0(s,a).
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (S, A)
    """
    check_entropy(regularizer)
    size, n_actions = reward.shape
    rows = transition.reshape(size * n_actions, size)
    pairs, successors = np.nonzero(rows)
    starts = np.searchsorted(pairs, np.arange(size * n_actions + 1))
    totals = np.cumsum(rows[pairs, successors])
    cumulative = totals - np.concatenate([[0.0], totals])[starts[pairs]]
    followed = np.zeros((0, n_actions)) if policy is None else contiguous(policy)
    entropy = np.zeros(size) if policy is None else regularizer.value(policy)
    q = np.full((size, n_actions), float(start))
    most = max(1, CHUNK // q.size)
    for first in range(0, n_sweeps, most):
        generative_kernels.sweeps(
            rng.random((min(most, n_sweeps - first), q.size)),
            starts.astype(np.int64),
            successors.astype(np.int64),
            cumulative,
            contiguous(reward).ravel(),
            float(discount),
            followed,
            entropy,
            regularizer.strength,
            first,
            constant / (1.0 - discount),
            q,
        )
    return q


def check_entropy(regularizer: Entropy) -> None:
    """Refuse a regularizer whose best response is no softmax."""
    if kind(regularizer) != "entropy":
        raise InputError(SOURCE, "regularizer", regularizer, "the entropy: the methods' policies are softmax policies")


@accepts(inner=True)
def moved(
    game: MeanFieldGame, mean_field: np.ndarray, policy: np.ndarray, *, n_agents: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the empirical mean field of agents drawn from mu and moved once, by n_agents calls of the simulator.

    Their next states are independent draws from Gamma_pop(mu, pi), so that one multinomial draw has the exact law.
    """
    return np.asarray(_multinomial(n_agents, operators.population_update(game, mean_field, policy), rng) / n_agents)


@accepts(inner=True)
def settled(
    game: MeanFieldGame, mean_field: np.ndarray, policy: np.ndarray, *, n_agents: int, rng: np.random.Generator
) -> np.ndarray:
    """Estimate the stable population of a policy by n_agents `POPULATION_STEPS` calls of the simulator.

    Agents drawn from a mean field take so many steps, each at their own empirical mean field, which is averaged over
    the second half. Counts per state have the exact law (docs/theory, section 9.1).
    """
    counts, total = rng.multinomial(n_agents, mean_field / mean_field.sum()), np.zeros(game.n_states)
    if game.is_sparse:  # its terms may not fit into memory as tables
        for step in range(POPULATION_STEPS):
            rows = to_dense(operators.policy_kernel(game.transition(counts / n_agents), policy))
            counts = _multinomial(counts, rows, rng).sum(axis=0)
            if step >= POPULATION_STEPS // 2:
                total += counts
        return np.asarray(total / total.sum())
    base, terms, features = game.base_transition, game.transition_terms, game.transition_features
    generative_kernels.settle(
        rng,
        POPULATION_STEPS,
        contiguous(_distributions(operators.policy_kernel(game.transition(counts / n_agents), policy))),
        contiguous(operators.policy_kernel(base, policy)),
        contiguous(np.matmul(policy[:, None, :], terms)[:, :, 0, :]),
        (
            contiguous(to_dense(features.weights)),
            contiguous(features.offsets),
            contiguous(features.links, np.int64),
            contiguous(features.parameters),
        ),
        counts,
        total,
    )
    return np.asarray(total / total.sum())


def _distributions(rows: np.ndarray) -> np.ndarray:
    """Return rows without negative entries, divided by their sums, which rounding may leave above 1."""
    rows = np.maximum(rows, 0.0)
    return np.asarray(rows / rows.sum(axis=-1, keepdims=True))


def _multinomial(n: int | np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(rng.multinomial(n, _distributions(rows)))


def lengths(first: float, growth: float) -> Iterator[int]:
    """Yield the lengths of the rounds, ceil(first growth^k) visits of every pair."""
    length = float(first)
    while True:
        yield int(np.ceil(length))
        length *= growth


def _frozen(game: MeanFieldGame, mean_field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return to_dense(game.transition(mean_field)), game.reward(mean_field)


def _flat(game: MeanFieldGame) -> np.ndarray:
    return np.full(game.n_states, 1.0 / game.n_states)


def _learned_q(
    task: Task, mean_field: np.ndarray, policy: np.ndarray | None, n_sweeps: int, constant: float
) -> np.ndarray:
    """Return `sampled_q` at a mean field, started from `Task.start`."""
    game, regularizer = task.game, task.regularizer
    return sampled_q(
        *_frozen(game, mean_field),
        game.discount,
        regularizer=regularizer,
        policy=policy,
        n_sweeps=n_sweeps,
        constant=constant,
        start=task.start,
        rng=task.rng,
    )


def pma(task: Task, *, step_size: float, first: float, growth: float, constant: float) -> Learner:
    """Algorithm 2 on one trajectory of N agents, with epochs that grow: n_k S A updates of TD learning in epoch k.

    Parameters
    ----------
    task : Task
    step_size : float
        eta in units of 1 / tau.
    first, growth : float
        n_k = ceil(first growth^k), >= 1.
    constant : float
        The TD steps are c / (m + c), c = constant S A / (1 - gamma); no waiting.
    """
    game, regularizer, rng = task.game, task.regularizer, task.rng
    population = initial_population(game, task.n_agents, rng)
    policy, samples = operators.uniform_policy(game), 0
    scale = max(1.0, constant * policy.size / (1.0 - game.discount))
    for length in lengths(first, growth):
        samples += length * policy.size
        if samples > task.budget:
            return
        population.tagged[1] = random_numbers.draw(population.stream, policy[population.tagged[0]].copy())
        q = learning.ctd(
            game,
            policy,
            task.n_agents,
            regularizer=regularizer,
            n_updates=length * policy.size,
            n_waiting=0,
            td_scale=scale,
            td_offset=scale,
            rng=rng,
            population=population,
            start=task.start,
        )
        policy = operators.mirror_ascent_step(q, policy, step_size / regularizer.rho, regularizer=regularizer)
        yield samples, policy


def gmf_q(task: Task, *, first: float, growth: float, constant: float, share: float) -> Learner:
    """GMF-Q of Guo, Hu, Xu and Zhang (2019): Q-learning against mu_k, its softmax, one step of the population.

    Parameters
    ----------
    task : Task
    first, growth : float
        As in `pma`; n_k sweeps of Q-learning in round k.
    constant : float
        Of the steps of Q-learning, `sampled_q`.
    share : float
        Agents that are moved, per sample of Q-learning.
    """
    game, mean_field, samples = task.game, _flat(task.game), 0
    pairs = game.base_reward.size
    for length in lengths(first, growth):
        agents = int(np.ceil(share * length * pairs))
        samples += length * pairs + agents
        if samples > task.budget:
            return
        policy = task.regularizer.best_response(_learned_q(task, mean_field, None, length, constant))
        mean_field = moved(game, mean_field, policy, n_agents=agents, rng=task.rng)
        yield samples, policy


def fitted_q(task: Task, *, first: float, growth: float, share: float) -> Learner:
    """Regularized fixed-point Q-learning of Anahtarci, Kariksiz and Saldi (2023): fitted Q on a batch drawn at mu_k.

    With tables, fitted Q-iteration is value iteration in the empirical decision process; it costs no samples, and is
    run to its limit.

    Parameters
    ----------
    task : Task
    first, growth : float
        As in `pma`; n_k samples of every pair in round k.
    share : float
        Samples of the population's step, the same number from every state, per sample of the batch.
    """
    game, rng, mean_field, samples = task.game, task.rng, _flat(task.game), 0
    size, n_actions = game.base_reward.shape
    for length in lengths(first, growth):
        draws = int(np.ceil(share * length * n_actions))
        samples += length * size * n_actions + draws * size
        if samples > task.budget:
            return
        transition, reward = _frozen(game, mean_field)
        empirical = _multinomial(length, transition, rng) / length
        policy = equilibrium.best_response(empirical, reward, game.discount, regularizer=task.regularizer)
        rows = _multinomial(draws, operators.policy_kernel(transition, policy), rng) / draws
        mean_field = mean_field @ rows
        yield samples, policy


def fictitious_play(task: Task, *, first: float, growth: float, constant: float, share: float) -> Learner:
    """Fictitious play of Perrin et al. (2020), equations (13.2) and (13.3), with learned best responses.

    The policy that is yielded is the averaged one.

    Parameters
    ----------
    task : Task
    first, growth : float
        As in `pma`; n_k sweeps of Q-learning in round k.
    constant : float
        As in `gmf_q`.
    share : float
        Calls of the simulator for the population (`settled`), per sample of Q-learning.
    """
    game, rng = task.game, task.rng
    pairs, samples = game.base_reward.size, 0
    played, latest = operators.uniform_policy(game), _flat(game)
    flow: np.ndarray | None = None
    for rounds, length in enumerate(lengths(first, growth), start=1):
        agents = _settling(share, length * pairs)
        samples += agents * POPULATION_STEPS
        if flow is not None:
            samples += length * pairs
        if samples > task.budget:
            return
        if flow is None:  # the population of the first policy, the uniform one
            latest = settled(game, latest, played, n_agents=agents, rng=rng)
            flow = latest[:, None] * played
            continue
        played = task.regularizer.best_response(_learned_q(task, flow.sum(axis=1), None, length, constant))
        latest = settled(game, latest, played, n_agents=agents, rng=rng)
        flow = flow + (latest[:, None] * played - flow) / rounds
        mean_field = flow.sum(axis=1, keepdims=True)
        visited = mean_field > 0.0
        yield samples, np.where(visited, flow / np.where(visited, mean_field, 1.0), played)


def online_mirror_descent(
    task: Task, *, step_size: float, first: float, growth: float, constant: float, share: float
) -> Learner:
    """Online mirror descent of Perolat et al. (2022) for the regularized game, equation (13.1), with learned Q.

    Parameters
    ----------
    task : Task
    step_size : float
        eta in units of 1 / tau, at most 1.
    first, growth : float
        As in `pma`; n_k sweeps of policy evaluation in round k.
    constant, share : float
        As in `fictitious_play`.
    """
    check_entropy(task.regularizer)
    game, pairs, samples = task.game, task.game.base_reward.size, 0
    logits, mean_field = np.zeros(game.base_reward.shape), _flat(game)
    for length in lengths(first, growth):
        agents = _settling(share, length * pairs)
        samples += length * pairs + agents * POPULATION_STEPS
        if samples > task.budget:
            return
        policy = softmax(logits, axis=1)
        mean_field = settled(game, mean_field, policy, n_agents=agents, rng=task.rng)
        q = _learned_q(task, mean_field, policy, length, constant)
        logits = (1.0 - step_size) * logits + step_size / task.regularizer.strength * q
        yield samples, softmax(logits, axis=1)


def _settling(share: float, samples: int) -> int:
    """Return how many agents take `POPULATION_STEPS` steps for that share of samples, at least one."""
    return max(1, int(np.ceil(share * samples / POPULATION_STEPS)))


def two_timescale(
    task: Task, *, first: float, growth: float, q_exponent: float, mean_field_exponent: float, exploration: float
) -> Learner:
    """Two-timescale Q-learning of Angiuli, Fouque and Lauriere (2022): Q fast, mean field slow, one path, one loop.

    Parameters
    ----------
    task : Task
    first, growth : float
        When the policy is yielded, as in `pma`; without influence on the path.
    q_exponent, mean_field_exponent : float
        In (0, 1]: the steps are (1 + visits of the pair)^-q_exponent and (t + 2)^-mean_field_exponent. The second is to
        be the larger, for a game in place of a control problem.
    exploration : float
        Probability of a uniform action, in [0, 1]; the policy that is yielded is the softmax.
    """
    game, regularizer, rng = task.game, task.regularizer, task.rng
    check_entropy(regularizer)
    tables, mean_field, samples = dense_tables(game, SOURCE), _flat(game), 0
    q = np.full(game.base_reward.shape, task.start)
    visits, state = np.zeros(q.shape), np.array([rng.choice(game.n_states)])
    constants = (float(game.discount), float(regularizer.strength), float(exploration))
    exponents = (float(q_exponent), float(mean_field_exponent))
    # few enough transitions for one call of the kernel that Python soon sees Ctrl-C
    read = game.n_states * (2 + len(game.transition_features.links))
    most = max(1, min(CHUNK // 2, int(CHUNK_SECONDS / (ENTRY_SECONDS * read))))
    for length in lengths(first, growth):
        target = samples + length * q.size
        if target > task.budget:
            return
        while samples < target:
            uniforms = rng.random((min(most, target - samples), 2))
            generative_kernels.two_timescale(
                uniforms, tables, *constants, *exponents, samples, state, mean_field, q, visits
            )
            samples += len(uniforms)
        yield samples, regularizer.best_response(q)


#: The methods of the comparison by name.
METHODS: dict[str, Callable[..., Learner]] = {
    "pma": pma,
    "gmf_q": gmf_q,
    "fitted_q": fitted_q,
    "fictitious_play": fictitious_play,
    "online_mirror_descent": online_mirror_descent,
    "two_timescale": two_timescale,
}


def settings(method: str) -> dict[str, Range]:
    """Return the names of a method's settings, its keyword-only arguments, and what is allowed for each."""
    arguments = inspect.signature(METHODS[method]).parameters.values()
    names = [argument.name for argument in arguments if argument.kind is argument.KEYWORD_ONLY]
    anything: Range = ("a finite number", lambda x: True)
    return {name: ALLOWED.get(f"{method}.{name}", ALLOWED.get(name, anything)) for name in names}
