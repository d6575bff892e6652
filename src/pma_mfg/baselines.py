"""Methods with a generative model beside PMA on one trajectory (claim C8; docs/theory.md, section 17).

A learner is a generator of (samples so far, policy); it ends before it would use more samples than its budget. The
methods of `METHODS` but the first may ask a simulator for a transition at any (s, a, mu), one call being one sample,
those that move the population included: none is granted an exact population step. For PMA one transition of the tagged
agent on the trajectory of N agents is one sample, waiting included; the N - 1 other agents move too, and do not count.

All aim at the equilibrium of the same entropy-regularized game, and `exploitabilities` measures all by the same exact
number.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from pma_mfg import baseline_kernels, equilibrium, kernels, learning, lipschitz, operators, schedules, seeds, statistics
from pma_mfg.arrays import accepts, contiguous
from pma_mfg.errors import InputError
from pma_mfg.games.model import MeanFieldGame, Table, to_dense
from pma_mfg.regularizers import Entropy, kind
from pma_mfg.simulation import CHUNK_SECONDS, ENTRY_SECONDS, check_n_agents, initial_population

SOURCE = "baselines"
#: Steps that simulated agents take towards the stable population of a policy; averaged over the second half.
POPULATION_STEPS = 20
#: Uniform numbers held at a time.
CHUNK = 2**18
#: Settings of a method that are run in full: the best of the pilot runs, for another run of these may swap them.
CONTENDERS = 2

Learner = Iterator[tuple[int, np.ndarray]]
#: A setting of a method: the names of its arguments and their values.
Setting = Mapping[str, float]


# ---------------------------------------------------------------------------------------------------- the simulator


@accepts(transition="table", reward="table", policy="table")
def sampled_q(
    transition: Table,
    reward: np.ndarray,
    discount: float,
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
    _check_entropy(regularizer)
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
        baseline_kernels.sweeps(
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


def _check_entropy(regularizer: Entropy) -> None:
    if kind(regularizer) != "entropy":
        raise InputError(SOURCE, "regularizer", regularizer, "the entropy: the methods' policies are softmax policies")


@accepts(inner=True)
def moved(
    game: MeanFieldGame, mean_field: np.ndarray, policy: np.ndarray, n_agents: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the empirical mean field of agents drawn from mu and moved once, by n_agents calls of the simulator.

    Their next states are independent draws from Gamma_pop(mu, pi), so that one multinomial draw has the exact law.
    """
    return np.asarray(_multinomial(n_agents, operators.population_update(game, mean_field, policy), rng) / n_agents)


@accepts(inner=True)
def settled(
    game: MeanFieldGame, mean_field: np.ndarray, policy: np.ndarray, n_agents: int, rng: np.random.Generator
) -> np.ndarray:
    """Estimate the stable population of a policy by n_agents `POPULATION_STEPS` calls of the simulator.

    Agents drawn from a mean field take so many steps, each at their own empirical mean field, which is averaged over
    the second half. Counts per state have the exact law (docs/theory.md, section 9.1).
    """
    counts = rng.multinomial(n_agents, mean_field / mean_field.sum())
    total = np.zeros(game.n_states)
    for step in range(POPULATION_STEPS):
        rows = to_dense(operators.policy_kernel(game.transition(counts / n_agents), policy))
        counts = _multinomial(counts, rows, rng).sum(axis=0)
        if step >= POPULATION_STEPS // 2:
            total += counts
    return np.asarray(total / total.sum())


def _multinomial(n: int | np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw counts; the rows are normalized, for rounding may leave them a sum above 1."""
    rows = np.maximum(rows, 0.0)
    return np.asarray(rng.multinomial(n, rows / rows.sum(axis=-1, keepdims=True)))


# ---------------------------------------------------------------------------------------------------- learners


def _lengths(first: float, growth: float) -> Iterator[int]:
    """Yield the lengths of the rounds, ceil(first growth^k) visits of every pair."""
    length = float(first)
    while True:
        yield int(np.ceil(length))
        length *= growth


def _frozen(game: MeanFieldGame, mean_field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return to_dense(game.transition(mean_field)), game.reward(mean_field)


def _flat(game: MeanFieldGame) -> np.ndarray:
    return np.full(game.n_states, 1.0 / game.n_states)


def pma(
    game: MeanFieldGame,
    regularizer: Entropy,
    rng: np.random.Generator,
    budget: int,
    n_agents: int,
    *,
    step_size: float,
    first: float,
    growth: float,
    constant: float,
) -> Learner:
    """Algorithm 2 on one trajectory of N agents, with epochs that grow: n_k S A updates of TD learning in epoch k.

    Parameters
    ----------
    game, regularizer, rng, budget, n_agents
        As for every learner: the budget is in samples, N is that of PMA, and the others ignore it.
    step_size : float
        eta in units of 1 / tau.
    first, growth : float
        n_k = ceil(first growth^k), >= 1.
    constant : float
        The TD steps are c / (m + c), c = constant S A / (1 - gamma); no waiting.

    Yields
    ------
    samples : int
    policy : ndarray, shape (S, A)
    """
    population = initial_population(game, n_agents, rng)
    policy, samples = operators.uniform_policy(game), 0
    scale = max(1.0, constant * policy.size / (1.0 - game.discount))
    for length in _lengths(first, growth):
        samples += length * policy.size
        if samples > budget:
            return
        population.tagged[1] = kernels.draw(population.stream, policy[population.tagged[0]].copy())
        start = schedules.td_start(game, regularizer)
        updates = length * policy.size
        q = learning.ctd(game, policy, n_agents, regularizer, updates, 0, scale, scale, rng, population, start)
        policy = operators.mirror_ascent_step(q, policy, step_size / regularizer.rho, regularizer)
        yield samples, policy


def gmf_q(
    game: MeanFieldGame,
    regularizer: Entropy,
    rng: np.random.Generator,
    budget: int,
    n_agents: int,
    *,
    first: float,
    growth: float,
    constant: float,
    share: float,
) -> Learner:
    """GMF-Q of Guo, Hu, Xu and Zhang (2019): Q-learning against mu_k, its softmax, one step of the population.

    Parameters
    ----------
    game, regularizer, rng, budget, n_agents, first, growth
        As in `pma`; n_k sweeps of Q-learning in round k.
    constant : float
        Of the steps of Q-learning, `sampled_q`.
    share : float
        Agents that are moved, per sample of Q-learning.

    Yields
    ------
    samples : int
    policy : ndarray, shape (S, A)
    """
    mean_field, samples, start = _flat(game), 0, schedules.td_start(game, regularizer)
    pairs = game.base_reward.size
    for length in _lengths(first, growth):
        agents = int(np.ceil(share * length * pairs))
        samples += length * pairs + agents
        if samples > budget:
            return
        frozen = _frozen(game, mean_field)
        q = sampled_q(*frozen, game.discount, regularizer, None, length, constant, start, rng)
        policy = regularizer.best_response(q)
        mean_field = moved(game, mean_field, policy, agents, rng)
        yield samples, policy


def fitted_q(
    game: MeanFieldGame,
    regularizer: Entropy,
    rng: np.random.Generator,
    budget: int,
    n_agents: int,
    *,
    first: float,
    growth: float,
    share: float,
) -> Learner:
    """Regularized fixed-point Q-learning of Anahtarci, Kariksiz and Saldi (2023): fitted Q on a batch drawn at mu_k.

    With tables, fitted Q-iteration is value iteration in the empirical decision process; it costs no samples, and is
    run to its limit.

    Parameters
    ----------
    game, regularizer, rng, budget, n_agents, first, growth
        As in `pma`; n_k samples of every pair in round k.
    share : float
        Samples of the population's step, the same number from every state, per sample of the batch.

    Yields
    ------
    samples : int
    policy : ndarray, shape (S, A)
    """
    mean_field, samples = _flat(game), 0
    size, n_actions = game.base_reward.shape
    for length in _lengths(first, growth):
        draws = int(np.ceil(share * length * n_actions))
        samples += length * size * n_actions + draws * size
        if samples > budget:
            return
        transition, reward = _frozen(game, mean_field)
        empirical = _multinomial(length, transition, rng) / length
        policy = equilibrium.best_response(empirical, reward, game.discount, regularizer)
        rows = _multinomial(draws, operators.policy_kernel(transition, policy), rng) / draws
        mean_field = mean_field @ rows
        yield samples, policy


def fictitious_play(
    game: MeanFieldGame,
    regularizer: Entropy,
    rng: np.random.Generator,
    budget: int,
    n_agents: int,
    *,
    first: float,
    growth: float,
    constant: float,
    share: float,
) -> Learner:
    """Fictitious play of Perrin et al. (2020), equations (13.2) and (13.3), with learned best responses.

    Parameters
    ----------
    game, regularizer, rng, budget, n_agents, first, growth
        As in `pma`; n_k sweeps of Q-learning in round k.
    constant : float
        As in `gmf_q`.
    share : float
        Calls of the simulator for the population (`settled`), per sample of Q-learning.

    Yields
    ------
    samples : int
    policy : ndarray, shape (S, A)
        The averaged one.
    """
    start, pairs = schedules.td_start(game, regularizer), game.base_reward.size
    played, latest, samples = operators.uniform_policy(game), _flat(game), 0
    flow: np.ndarray | None = None
    for rounds, length in enumerate(_lengths(first, growth), start=1):
        agents = _settling(share, length * pairs)
        samples += agents * POPULATION_STEPS
        if flow is not None:
            samples += length * pairs
        if samples > budget:
            return
        if flow is None:  # the population of the first policy, the uniform one
            latest = settled(game, latest, played, agents, rng)
            flow = latest[:, None] * played
            continue
        frozen = _frozen(game, flow.sum(axis=1))
        q = sampled_q(*frozen, game.discount, regularizer, None, length, constant, start, rng)
        played = regularizer.best_response(q)
        latest = settled(game, latest, played, agents, rng)
        flow = flow + (latest[:, None] * played - flow) / rounds
        mean_field = flow.sum(axis=1, keepdims=True)
        visited = mean_field > 0.0
        yield samples, np.where(visited, flow / np.where(visited, mean_field, 1.0), played)


def online_mirror_descent(
    game: MeanFieldGame,
    regularizer: Entropy,
    rng: np.random.Generator,
    budget: int,
    n_agents: int,
    *,
    step_size: float,
    first: float,
    growth: float,
    constant: float,
    share: float,
) -> Learner:
    """Online mirror descent of Perolat et al. (2022) for the regularized game, equation (13.1), with learned Q.

    Parameters
    ----------
    game, regularizer, rng, budget, n_agents, first, growth
        As in `pma`; n_k sweeps of policy evaluation in round k.
    step_size : float
        eta in units of 1 / tau, at most 1.
    constant, share : float
        As in `fictitious_play`.

    Yields
    ------
    samples : int
    policy : ndarray, shape (S, A)
    """
    _check_entropy(regularizer)
    start, pairs = schedules.td_start(game, regularizer), game.base_reward.size
    logits, mean_field, samples = np.zeros(game.base_reward.shape), _flat(game), 0
    for length in _lengths(first, growth):
        agents = _settling(share, length * pairs)
        samples += length * pairs + agents * POPULATION_STEPS
        if samples > budget:
            return
        policy = softmax(logits, axis=1)
        mean_field = settled(game, mean_field, policy, agents, rng)
        frozen = _frozen(game, mean_field)
        q = sampled_q(*frozen, game.discount, regularizer, policy, length, constant, start, rng)
        logits = (1.0 - step_size) * logits + step_size / regularizer.strength * q
        yield samples, softmax(logits, axis=1)


def _settling(share: float, samples: int) -> int:
    """Return how many agents take `POPULATION_STEPS` steps for that share of samples, at least one."""
    return max(1, int(np.ceil(share * samples / POPULATION_STEPS)))


def two_timescale(
    game: MeanFieldGame,
    regularizer: Entropy,
    rng: np.random.Generator,
    budget: int,
    n_agents: int,
    *,
    first: float,
    growth: float,
    q_exponent: float,
    mean_field_exponent: float,
    exploration: float,
) -> Learner:
    """Two-timescale Q-learning of Angiuli, Fouque and Lauriere (2022): Q fast, mean field slow, one path, one loop.

    Parameters
    ----------
    game, regularizer, rng, budget, n_agents
        As in `pma`.
    first, growth : float
        When the policy is read, as in `pma`; without influence on the path.
    q_exponent, mean_field_exponent : float
        In (0, 1]: the steps are (1 + visits of the pair)^-q_exponent and (t + 2)^-mean_field_exponent. The second is to
        be the larger, for a game in place of a control problem.
    exploration : float
        Probability of a uniform action, in [0, 1]; the policy that is read is the softmax.

    Yields
    ------
    samples : int
    policy : ndarray, shape (S, A)
    """
    _check_entropy(regularizer)
    tables, mean_field, samples = _dense_tables(game), _flat(game), 0
    q = np.full(game.base_reward.shape, schedules.td_start(game, regularizer))
    visits, state = np.zeros(q.shape), np.array([rng.choice(game.n_states)])
    # few enough transitions for one call of the kernel that Python soon sees Ctrl-C
    read = game.n_states * (2 + len(game.transition_features.links))
    most = max(1, min(CHUNK // 2, int(CHUNK_SECONDS / (ENTRY_SECONDS * read))))
    for length in _lengths(first, growth):
        target = samples + length * q.size
        if target > budget:
            return
        while samples < target:
            uniforms = rng.random((min(most, target - samples), 2))
            baseline_kernels.two_timescale(
                uniforms,
                tables,
                float(game.discount),
                float(regularizer.strength),
                float(exploration),
                float(q_exponent),
                float(mean_field_exponent),
                samples,
                state,
                mean_field,
                q,
                visits,
            )
            samples += len(uniforms)
        yield samples, regularizer.best_response(q)


def _dense_tables(game: MeanFieldGame) -> tuple[Any, ...]:
    """Return a game in the form that `baseline_kernels.two_timescale` takes."""
    game = game.dense(SOURCE)
    pairs, size = game.base_reward.size, game.n_states

    def features(of: Any) -> tuple[np.ndarray, ...]:
        floats = (contiguous(array) for array in (of.weights, of.offsets, of.parameters))
        weights, offsets, parameters = floats
        return weights, offsets, contiguous(of.links, np.int64), parameters

    return (
        contiguous(game.base_transition.reshape(pairs, size)),
        contiguous(game.transition_terms.reshape(-1, pairs, size)),
        features(game.transition_features),
        contiguous(game.base_reward.ravel()),
        contiguous(game.reward_terms.reshape(-1, pairs)),
        features(game.reward_features),
    )


#: The methods by name; their keyword arguments are what a setting sets.
METHODS: dict[str, Callable[..., Learner]] = {
    "pma": pma,
    "gmf_q": gmf_q,
    "fitted_q": fitted_q,
    "fictitious_play": fictitious_play,
    "online_mirror_descent": online_mirror_descent,
    "two_timescale": two_timescale,
}
#: Argument of a setting -> what is allowed.
_ALLOWED: dict[str, tuple[str, Callable[[float], bool]]] = {
    "step_size": ("a number > 0", lambda x: x > 0.0),
    "first": ("a number >= 1", lambda x: x >= 1.0),
    "growth": ("a number >= 1", lambda x: x >= 1.0),
    "constant": ("a number > 0", lambda x: x > 0.0),
    "share": ("a number > 0", lambda x: x > 0.0),
    "q_exponent": ("a number in (0, 1]", lambda x: 0.0 < x <= 1.0),
    "mean_field_exponent": ("a number in (0, 1]", lambda x: 0.0 < x <= 1.0),
    "exploration": ("a number in [0, 1]", lambda x: 0.0 <= x <= 1.0),
}


def settings(method: str, grid: Mapping[str, Sequence[float]], source: str = SOURCE) -> list[dict[str, float]]:
    """Return every combination of a grid, in the grid's order.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    grid : mapping of str to sequence of float
        For each keyword argument of the method, the values to try.
    source : str
        For messages.

    Returns
    -------
    list of dict

    Raises
    ------
    InputError
        For another method, an argument it does not have or that is missing, or a value out of range.
    """
    if method not in METHODS:
        raise InputError(source, "method", method, f"one of {', '.join(METHODS)}")
    parameters = inspect.signature(METHODS[method]).parameters.values()
    names = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    if not names:  # a method of the user's, whose settings stand among its other arguments
        allowed = "a method with settings after a * in its arguments"
        raise InputError(source, "method", method, allowed)
    if set(grid) != set(names):
        raise InputError(source, f"{method}: settings", sorted(grid), f"exactly {', '.join(names)}")
    for name, values in grid.items():
        allowed, holds = _ALLOWED.get(name, ("a finite number", np.isfinite))
        if method == "online_mirror_descent" and name == "step_size":
            allowed, holds = "a number in (0, 1]", lambda x: 0.0 < x <= 1.0
        if len(values) == 0:
            raise InputError(source, f"{method}: {name}", list(values), "at least one value")
        for value in values:
            if not (np.isfinite(value) and holds(value)):
                raise InputError(source, f"{method}: {name}", value, allowed)
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


# ---------------------------------------------------------------------------------------------------- measuring


def checkpoints(budget: int, per_decade: int) -> np.ndarray:
    """Return the numbers of samples at which exploitability is measured, from 10 to the budget, evenly in their log."""
    count = max(2, 1 + round(per_decade * np.log10(budget / 10.0)))
    return np.unique(np.round(np.geomspace(10.0, budget, count)).astype(np.int64))


def exploitabilities(learner: Learner, game: MeanFieldGame, regularizer: Entropy, samples: np.ndarray) -> np.ndarray:
    """Return the exact exploitability of what a learner has after each number of samples.

    That is E_h of its last policy yielded by then, of the uniform one before any; the population frozen at the policy's
    own stable population (`equilibrium.exploitability`).

    Parameters
    ----------
    learner : iterator of (int, ndarray)
    game : MeanFieldGame
    regularizer : Entropy
    samples : ndarray of int, increasing

    Returns
    -------
    ndarray, shape (samples,)
    """
    found = np.empty(len(samples))
    policy, measured, i = operators.uniform_policy(game), np.nan, 0
    ended = (np.iinfo(np.int64).max, policy)
    for used, learned in itertools.chain(learner, [ended]):
        while i < len(samples) and samples[i] < used:
            if np.isnan(measured):
                measured = max(equilibrium.exploitability(game, policy, regularizer), np.finfo(float).tiny)
            found[i] = measured
            i += 1
        if i == len(samples):
            break
        policy, measured = learned, np.nan
    return found


def reward_range(game: MeanFieldGame) -> float:
    """Return the largest reward minus the smallest one, over pairs and mean fields; exact, or an upper bound.

    The unit of exploitability in `compare`: the paper's rewards lie in [0, 1].
    """
    lowest, highest = lipschitz.entry_ranges(lipschitz.reward_rows(game), np.eye(game.n_states))
    return float(highest.max() - lowest.min())


def compare(
    game: MeanFieldGame,
    regularizer: Any,
    name: str,
    grids: Mapping[str, Mapping[str, Sequence[float]]],
    n_agents: int,
    budget: int,
    pilot_budget: int,
    per_decade: int,
    target: float,
    n_pilots: int,
    n_replicates: int,
    seed: int,
    after_run: Callable[[], None] = lambda: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tune every method on its grid by one rule, and measure exploitability against samples (claim C8).

    The rule (docs/theory.md, section 17.4): a setting costs the mean over runs of `tuning_cost`, the logarithm of the
    samples after which exploitability stays below `target`. The `CONTENDERS`, those that cost least in pilot runs, are
    run in full, and a replicate that is reported is one of the setting that costs least in all other replicates: no run
    takes part in its own choice. Exploitability is in units of `reward_range`.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Entropy
    name : str
        The game's name in tables and seeds.
    grids : mapping of str to mapping of str to sequence of float
        For each method, of `METHODS`, the grid of its settings.
    n_agents : int
        N of PMA's trajectory, from 2 to 10^15.
    budget, pilot_budget : int
        Samples of a run that is reported, and of one that tunes, >= 100.
    per_decade : int
        Numbers of samples at which exploitability is measured, per factor of ten.
    target : float
        The exploitability that methods are tuned for, > 0.
    n_pilots, n_replicates : int
        Pilot runs of every setting, and runs of every contender, as many as are reported.
    seed : int
        Root seed.
    after_run : callable
        Called after each run.

    Returns
    -------
    comparison : DataFrame
        Columns game, method, setting (in words), replicate, cost (of the run), chosen (whether the run is reported: one
        setting for every replicate), samples, exploitability, reward_range.
    tuning : DataFrame
        Columns game, method, setting, replicate, samples_to_target (infinite if not below it at the end),
        final_exploitability, contender.

    Raises
    ------
    InputError
        For another regularizer, or a setting out of range.
    """
    _check_entropy(regularizer)
    check_n_agents(n_agents)
    if min(budget, pilot_budget) < 100:
        raise InputError(SOURCE, "budget", min(budget, pilot_budget), "an integer >= 100")
    choices = {method: settings(method, grid) for method, grid in grids.items()}
    rows, pilots, unit = [], [], reward_range(game)
    for method, tried in choices.items():

        def run(
            setting: Setting, experiment: str, replicate: int, budget: int
        ) -> tuple[np.ndarray, np.ndarray, float, float]:
            """Return numbers of samples, exploitability after each, samples to the target and the run's cost."""
            rng = seeds.generator(seed, experiment, name, method, _words(setting), replicate)  # noqa: B023
            learner = METHODS[method](game, regularizer, rng, budget, n_agents, **setting)  # noqa: B023
            samples = checkpoints(budget, per_decade)
            curve = exploitabilities(learner, game, regularizer, samples) / unit
            after_run()
            reached = statistics.samples_to_stay(target, list(samples), list(curve))
            return samples, curve, reached, tuning_cost(reached, curve[-1], target, budget)

        tuned = [[run(setting, "comparison pilot", k, pilot_budget) for k in range(n_pilots)] for setting in tried]
        costs = np.array([[cost for *_, cost in of_setting] for of_setting in tuned])
        order = costs.mean(axis=1).argsort(kind="stable")
        kept = sorted(map(int, order[: CONTENDERS if n_replicates > 1 else 1]))
        for i, of_setting in enumerate(tuned):
            for replicate, (_, curve, reached, _) in enumerate(of_setting):
                pilots.append((name, method, _words(tried[i]), replicate, reached, float(curve[-1]), i in kept))
        full = {i: [run(tried[i], "comparison", replicate, budget) for replicate in range(n_replicates)] for i in kept}
        chosen = chosen_by_others(np.array([[cost for *_, cost in full[i]] for i in kept]))
        for i, of_setting in full.items():
            for replicate, (samples, curve, _, cost) in enumerate(of_setting):
                of_run = (name, method, _words(tried[i]), replicate, cost, kept[chosen[replicate]] == i)
                rows += [(*of_run, *point) for point in zip(samples, curve, strict=True)]
    columns = ["game", "method", "setting", "replicate"]
    comparison = pd.DataFrame(rows, columns=[*columns, "cost", "chosen", "samples", "exploitability"])
    tuning = pd.DataFrame(pilots, columns=[*columns, "samples_to_target", "final_exploitability", "contender"])
    return comparison.assign(reward_range=unit), tuning


def tuning_cost(reached: float, final: float, target: float, budget: int) -> float:
    """Return the logarithm of the samples that a run needs to the target.

    Beyond the budget it is as if the last error fell on in proportion to 1 / samples, so that the cost is a continuous
    function of where the run ends.

    Examples
    --------
    >>> [round(float(np.exp(tuning_cost(*run, target=0.1, budget=1000)))) for run in ((300.0, 0.05), (np.inf, 0.2))]
    [300, 2000]
    """
    return float(np.log(reached) if np.isfinite(reached) else np.log(budget) + np.log(final / target))


def chosen_by_others(costs: np.ndarray) -> np.ndarray:
    """Return for each replicate the setting that costs least in the mean over all other replicates.

    Parameters
    ----------
    costs : ndarray, shape (settings, replicates)
        At least two replicates, unless there is one setting only.

    Returns
    -------
    ndarray of int, shape (replicates,)
    """
    others = costs.sum(axis=1, keepdims=True) - costs
    return np.asarray(others.argmin(axis=0))


def samples_to_accuracy(
    comparison: pd.DataFrame, accuracies: Sequence[float], confidence: float = 0.95
) -> pd.DataFrame:
    """Return the samples after which each method stays below each accuracy: the median replicate, and its interval.

    The interval is a bootstrap of tuning and measuring: in every resample the setting is chosen anew, by resampled
    costs, and the median is that of resampled runs of it (docs/theory.md, section 17.4).
    Every accuracy is taken twice: in units of `reward_range`, and plain, in the units of the game's own rewards.

    Parameters
    ----------
    comparison : DataFrame
        Of `compare`.
    accuracies : sequence of float
        > 0.
    confidence : float
        Of the bootstrap interval.

    Returns
    -------
    DataFrame
        Columns game, method, unit ("range" or "plain"), accuracy, samples, low, high (infinite: above the accuracy at
        the end of the budget), n_reached, n_replicates.
    """
    rows = []
    for (game, method), runs in comparison.groupby(["game", "method"], sort=False):
        units = {"range": 1.0, "plain": float(runs["reward_range"].iloc[0])}
        settings_run = [
            table.pivot(index="replicate", columns="samples", values="exploitability")
            for _, table in runs.groupby("setting", sort=False)
        ]
        of_run = runs.drop_duplicates(["setting", "replicate"])
        costs, chosen = (
            [table[column].to_numpy() for _, table in of_run.groupby("setting", sort=False)]
            for column in ("cost", "chosen")
        )
        for (unit, size), accuracy in itertools.product(units.items(), accuracies):
            stays = [_stays(size * curves, accuracy) for curves in settings_run]
            reported = np.concatenate([of[which] for of, which in zip(stays, chosen, strict=True)])
            rng = seeds.generator(0, "samples to accuracy", str(game), str(method), unit, accuracy)
            # rates, since quantiles interpolate between numbers, and not with infinity
            rates = [1.0 / of for of in stays]
            groups = [*rates, *costs] if len(rates) > 1 else rates
            rate = statistics.bootstrap(groups, _tuned_median, rng, confidence)
            with np.errstate(divide="ignore"):
                middle, low, high = 1.0 / np.array([_slower_median(1.0 / reported), rate.high, rate.low])
            n_reached = int(np.isfinite(reported).sum())
            # what is reported belongs to its own interval, also where its runs are of settings that resamples miss
            low, high = min(low, middle), max(high, middle)
            rows.append((game, method, unit, accuracy, middle, low, high, n_reached, len(reported)))
    columns = ["game", "method", "unit", "accuracy", "samples", "low", "high", "n_reached", "n_replicates"]
    return pd.DataFrame(rows, columns=columns)


def _stays(curves: pd.DataFrame, accuracy: float) -> np.ndarray:
    """Return the samples after which each replicate stays at or below an accuracy, shape (replicates,)."""
    samples = list(curves.columns.to_numpy(dtype=float))
    return np.array([statistics.samples_to_stay(accuracy, samples, list(curve)) for curve in curves.to_numpy()])


def _tuned_median(groups: Sequence[np.ndarray]) -> float:
    """Return the median rate of the setting with the smallest mean cost; the groups are rates, then costs."""
    n_settings = max(1, len(groups) // 2)
    costs = [float(np.mean(group)) for group in groups[n_settings:]]
    return _slower_median(groups[int(np.argmin(costs)) if costs else 0])


def _slower_median(rates: np.ndarray) -> float:
    """Return the median, of an even number the lower of the two in the middle: no average with what never arrived."""
    return float(np.sort(rates)[(len(rates) - 1) // 2])


def _words(setting: Setting) -> str:
    return " ".join(f"{name}={value:g}" for name, value in setting.items())
