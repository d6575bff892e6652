"""Exact iterations side by side: mirror ascent, best response, fictitious play, mirror descent (claim C2).

Docs/theory.md, section 13. An iteration is a generator of policies, the start first. `run` follows one and says how it
ends: at a fixed point, on a cycle, or neither. The three experiments `compare`, `damping` and `basins` return tidy
tables. Cost: as `operators.policy_mirror_ascent` per iteration; fictitious play solves a decision process in each.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import softmax

from pma_mfg import equilibrium, lipschitz, operators, regularizers, seeds
from pma_mfg.arrays import accepts
from pma_mfg.checks import random_policy
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Mirror, Regularizer

Ending = Literal["converged", "cycle", "neither"]
Orbit = Iterator[np.ndarray]

METHODS = ("pma_euclidean", "pma_kl", "online_mirror_descent", "best_response", "fictitious_play")
#: An orbit has settled when this many moves in a row are at most `SETTLED_MOVE` (sup_s of the l1 norm).
SETTLED_MOVES, SETTLED_MOVE = 10, 1e-10
#: Longest period looked for. Twice as many policies are compared, so that every period is seen equally often.
LONGEST_PERIOD = 32
#: A cycle returns to itself up to this share of its own size: a slow spiral does not.
RECURRENCE = 1e-6
#: The regularized exploitability at which a method has arrived.
ACCURACY = 1e-8
#: The distance below which a settled policy is the equilibrium: it moves by `SETTLED_MOVE`, at a rate below 0.99.
ARRIVED = 1e-8
#: Step sizes among which `damping_step_size` chooses, in units of 1 / rho.
RELATIVE_STEP_SIZES = np.logspace(-2.0, 2.0, 41)
#: Perturbation of the equilibrium from which `basins` starts, and by which factor a run that leaves must exceed it.
PERTURBATION, DEPARTURE = 1e-3, 10.0


# ---------------------------------------------------------------------------------------------------- iterations


@accepts(start="policy")
def pma(
    game: Game, regularizer: Regularizer, start: np.ndarray, step_size: float, mirror: Mirror = "euclidean"
) -> Orbit:
    """Yield pi_{k+1} = Gamma_eta(pi_k), equation (6); at eta = infinity the one-step regularized best response."""
    policy = start
    while True:
        yield policy
        policy = operators.policy_mirror_ascent(game, policy, step_size, regularizer, mirror=mirror)


@accepts(start="policy")
def online_mirror_descent(game: Game, regularizer: Regularizer, start: np.ndarray, step_size: float) -> Orbit:
    """Yield pi_{k+1} proportional to pi_k exp(eta (q_k + grad h(pi_k))), the explicit KL step, equation (13.1)."""
    policy = start
    while True:
        yield policy
        q = operators.q_values(game, policy, operators.stable_population(game, policy), regularizer)
        # an entry that underflowed to zero stands for a tiny one
        positive = np.maximum(policy, np.finfo(float).tiny)
        policy = softmax(np.log(positive) + step_size * (q + regularizer.gradient(positive)), axis=1)


@accepts(start="policy")
def fictitious_play(game: Game, regularizer: Regularizer, start: np.ndarray) -> Orbit:
    """Yield the averaged policies of fictitious play, equations (13.2) and (13.3).

    Round k plays the optimal policy against the average of the mean fields so far; the averaged policy weighs the
    policies played by their populations. A state that was never visited has the policy played last.
    """
    flow = operators.stable_population(game, start)[:, None] * start  # average of mu_j(s) pi_j(a|s)
    played, rounds = start, 1
    while True:
        mean_field = flow.sum(axis=1)
        visited = mean_field[:, None] > 0.0
        yield np.where(visited, flow / np.where(visited, mean_field[:, None], 1.0), played)
        mean_field = mean_field / mean_field.sum()
        transition, reward = game.transition(mean_field), game.reward(mean_field)
        played = equilibrium.best_response(transition, reward, game.discount, regularizer)
        rounds += 1
        flow = flow + (operators.stable_population(game, played)[:, None] * played - flow) / rounds


@accepts(start="policy")
def iteration(method: str, game: Game, regularizer: Regularizer, start: np.ndarray, step_size: float) -> Orbit:
    """Return the iteration called `method`, one of `METHODS`; those without a step size ignore it.

    Raises
    ------
    InputError
        For another method.
    """
    match method:
        case "pma_euclidean":
            return pma(game, regularizer, start, step_size)
        case "pma_kl":
            return pma(game, regularizer, start, step_size, "kl")
        case "online_mirror_descent":
            return online_mirror_descent(game, regularizer, start, step_size)
        case "best_response":
            return pma(game, regularizer, start, np.inf)
        case "fictitious_play":
            return fictitious_play(game, regularizer, start)
    raise InputError("dynamics.iteration", "method", method, f"one of {', '.join(METHODS)}")


@accepts()
def step_size(
    method: str, game: Game, regularizer: Regularizer, policy: np.ndarray, share: float = 1.0
) -> tuple[float, float]:
    """Return the step size of a method, and the linear rate at an equilibrium that the theory predicts for it.

    That of PMA minimizes the spectral radius of its exact Jacobian at the equilibrium over `RELATIVE_STEP_SIZES`
    (docs/theory.md, Propositions 7.3 and 7.4); nothing is tuned to runs. Online mirror descent gets eta / (1 + eta rho)
    for PMA's eta with KL: for the entropy the same iteration (Proposition 13.1).

    Parameters
    ----------
    method : str
        One of `METHODS`.
    game : Game
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
        The equilibrium.
    share : float
        Of the minimizing step size, for PMA: less than 1 is more cautious.

    Returns
    -------
    step_size : float
        nan for fictitious play, infinity for the best response.
    rate : float
        nan where none is predicted.
    """
    if method == "fictitious_play":
        return np.nan, np.nan
    # one best response: tiny probabilities are then known to their last digits, as their logarithms must be
    policy = operators.best_response_step(game, policy, regularizer)
    if method == "best_response":
        return np.inf, lipschitz.spectral_radius(lipschitz.jacobian(game, policy, np.inf, regularizer))
    mirror: Mirror = "euclidean" if method == "pma_euclidean" else "kl"

    def radius(eta: float) -> float:
        return lipschitz.spectral_radius(lipschitz.jacobian(game, policy, eta, regularizer, mirror))

    best = min((RELATIVE_STEP_SIZES / regularizer.rho).tolist(), key=radius)
    if method == "online_mirror_descent":
        same = regularizers.kind(regularizer) == "entropy"
        return best / (1.0 + best * regularizer.rho), radius(best) if same else np.nan
    return share * best, radius(share * best)


# ---------------------------------------------------------------------------------------------------- endings


@dataclass(frozen=True)
class Outcome:
    """How an orbit ends.

    Parameters
    ----------
    ending : str
        "converged": the last `SETTLED_MOVES` moves are at most `SETTLED_MOVE`. "cycle": the last policies return after
        `period` steps, up to `RECURRENCE` of the orbit's size. "neither": still moving when stopped, be it slowly.
    period : int
        1 if converged, 0 if neither.
    amplitude : float
        Largest l1 distance between two populations of the cycle (of the last 2 `LONGEST_PERIOD` if neither).
    """

    ending: Ending
    period: int
    amplitude: float


def ending(policies: np.ndarray) -> tuple[Ending, int]:
    """Return how an orbit ends, and its period: 1 if converged, 0 if neither.

    Parameters
    ----------
    policies : ndarray, shape (K, S, A)
        Its last policies, in order; a cycle is looked for if there are 2 `LONGEST_PERIOD` or more.

    Returns
    -------
    ending : str
        As in `Outcome`.
    period : int
    """
    tail = policies[-2 * LONGEST_PERIOD :]
    moves = _distances(tail[1:], tail[:-1])
    if len(moves) >= SETTLED_MOVES and moves[-SETTLED_MOVES:].max() <= SETTLED_MOVE:
        return "converged", 1
    if len(tail) == 2 * LONGEST_PERIOD:
        size = _distances(tail, tail[-1:]).max()
        for period in range(2, LONGEST_PERIOD + 1):
            later = tail[period : period + LONGEST_PERIOD]
            if _distances(later, tail[:LONGEST_PERIOD]).max() <= RECURRENCE * size:
                return "cycle", period
    return "neither", 0


def _distances(policies: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return sup_s of the l1 norm, policy by policy, shape (K,)."""
    return np.asarray(np.abs(policies - others).sum(axis=2).max(axis=1))


def _amplitude(populations: np.ndarray) -> float:
    return float(np.abs(populations[:, None] - populations[None]).sum(axis=2).max())


@dataclass(frozen=True)
class Run:
    """What `run` saw.

    Parameters
    ----------
    history : DataFrame
        Columns iteration, exploitability (regularized), distance (to the reference, sup_s of the l1 norm), seconds (of
        the iterations so far, without the measuring).
    outcome : Outcome
    policies : ndarray, shape (K, S, A)
        The last policies, at most 2 `LONGEST_PERIOD`.
    iterations : int
    """

    history: pd.DataFrame
    outcome: Outcome
    policies: np.ndarray
    iterations: int


def two_digits(iteration: int) -> bool:
    """Whether a number has at most two significant digits: the iterations that are measured."""
    return iteration <= 100 or iteration % 10 ** (len(str(iteration)) - 2) == 0


@accepts(reference="policy")
def run(
    orbit: Orbit,
    game: Game,
    regularizer: Regularizer,
    reference: np.ndarray,
    max_iterations: int,
    measured: Callable[[int], bool] = two_digits,
) -> Run:
    """Follow an iteration until it has settled, cycles, or has taken `max_iterations`.

    Parameters
    ----------
    orbit : iterator of ndarray, shape (S, A)
        From `iteration`, say.
    game : Game
    regularizer : Regularizer
    reference : ndarray, shape (S, A)
        The equilibrium to measure distances from.
    max_iterations : int
    measured : callable
        Whether an iteration's number has a row in the history; the last one always has.

    Returns
    -------
    Run
    """
    tail: deque[np.ndarray] = deque(maxlen=2 * LONGEST_PERIOD)
    rows: list[tuple[int, float, float, float]] = []
    seconds, settled = 0.0, 0
    for k in range(max_iterations + 1):
        before = time.perf_counter()
        policy = next(orbit)
        seconds += time.perf_counter() - before
        settled = settled + 1 if tail and operators.policy_distance(policy, tail[-1]) <= SETTLED_MOVE else 0
        tail.append(policy)
        last = settled == SETTLED_MOVES or k == max_iterations
        if k > 0 and k % (2 * LONGEST_PERIOD) == 0:
            last = last or ending(np.array(tail))[0] == "cycle"
        if last or measured(k):
            exploited = equilibrium.exploitability(game, policy, regularizer)
            rows.append((k, exploited, operators.policy_distance(policy, reference), seconds))
        if last:
            break
    history = pd.DataFrame(rows, columns=["iteration", "exploitability", "distance", "seconds"])
    policies = np.array(tail)
    ends, period = ending(policies)
    shown = policies[-period:] if period else policies
    populations = np.array([operators.stable_population(game, policy) for policy in shown])
    return Run(history, Outcome(ends, period, _amplitude(populations)), policies, k)


def start_policy(game: Game, name: str, start: int, seed: int) -> np.ndarray:
    """Draw an initial policy: flat or close to a deterministic one; not the uniform one, which a symmetry may keep."""
    return random_policy(game, seeds.generator(seed, "dynamics", name, start))


# ---------------------------------------------------------------------------------------------------- experiments

#: Of the first start, iterations whose populations `compare` reports, besides the last `LONGEST_PERIOD`.
SHOWN = 60


@accepts(reference="policy")
def compare(
    game: Game,
    regularizer: Regularizer,
    reference: np.ndarray,
    name: str,
    n_starts: int,
    max_iterations: int,
    seed: int,
    after_run: Callable[[], None] = lambda: None,
) -> dict[str, pd.DataFrame]:
    """Run every method from the same starts, each with the step size that the theory gives it.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    reference : ndarray, shape (S, A)
        The equilibrium.
    name : str
        The game's name in tables and seeds.
    n_starts : int
    max_iterations : int
    seed : int
        Root seed.
    after_run : callable
        Called after each run.

    Returns
    -------
    dict of str to DataFrame
        ``histories``: game, method, start, iteration, exploitability, distance. ``outcomes``: game, method, step_size,
        predicted_rate, start, ending, period, amplitude, iterations, distance, iterations_to_accuracy (first measured
        iteration with exploitability at most `ACCURACY`, nan if none). ``orbits``: game, method, part ("path": the
        first `SHOWN` iterations; "tail": the last `LONGEST_PERIOD`), iteration, state, mean_field, of the first start,
        and part "equilibrium", method "". ``seconds``: game, method, start, iterations, seconds, seconds_to_accuracy;
        the one that differs from run to run.
    """
    histories, outcomes, orbits, seconds = [], [], [], []
    orbits.append(_population_rows(game, reference[None], [0], name, "", "equilibrium"))
    for method in METHODS:
        eta, rate = step_size(method, game, regularizer, reference)
        for start in range(n_starts):
            initial = start_policy(game, name, start, seed)
            seen = run(iteration(method, game, regularizer, initial, eta), game, regularizer, reference, max_iterations)
            labels = {"game": name, "method": method, "start": start}
            histories.append(seen.history.drop(columns="seconds").assign(game=name, method=method, start=start))
            accurate = seen.history[seen.history["exploitability"] <= ACCURACY]
            reached = accurate.iloc[0] if len(accurate) else pd.Series({"iteration": np.nan, "seconds": np.nan})
            last = seen.history.iloc[-1]
            outcomes.append(
                labels
                | {"step_size": eta, "predicted_rate": rate}
                | vars(seen.outcome)
                | {"iterations": seen.iterations, "distance": last["distance"]}
                | {"iterations_to_accuracy": reached["iteration"]}
            )
            times = {"seconds": last["seconds"], "seconds_to_accuracy": reached["seconds"]}
            seconds.append(labels | {"iterations": seen.iterations} | times)
            if start == 0:
                path = list(islice(iteration(method, game, regularizer, initial, eta), SHOWN + 1))
                tail = seen.policies[-LONGEST_PERIOD:]
                numbers = range(seen.iterations - len(tail) + 1, seen.iterations + 1)
                orbits.append(_population_rows(game, path, range(SHOWN + 1), name, method, "path"))
                orbits.append(_population_rows(game, tail, numbers, name, method, "tail"))
            after_run()
    order = ["game", "method", "start", "iteration", "exploitability", "distance"]
    return {
        "histories": pd.concat(histories, ignore_index=True)[order],
        "outcomes": pd.DataFrame(outcomes),
        "orbits": pd.concat(orbits, ignore_index=True),
        "seconds": pd.DataFrame(seconds),
    }


def _population_rows(
    game: Game,
    policies: Sequence[np.ndarray] | np.ndarray,
    numbers: Sequence[int] | range,
    name: str,
    method: str,
    part: str,
) -> pd.DataFrame:
    """Return the stable populations of some policies, one row per iteration and state."""
    populations = np.array([operators.stable_population(game, policy) for policy in policies])
    k, state = (index.ravel() for index in np.indices(populations.shape))
    return pd.DataFrame(
        {
            "game": name,
            "method": method,
            "part": part,
            "iteration": np.array(numbers)[k],
            "state": state,
            "mean_field": populations.ravel(),
        }
    )


def damping(
    game: Game,
    regularizer: Regularizer,
    name: str,
    strengths: Sequence[float],
    shares: Sequence[float],
    n_starts: int,
    max_iterations: int,
    seed: int,
    after_run: Callable[[], None] = lambda: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run best response and PMA while the regularizer weakens, beside the spectral radius of the best response.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
        Its kind; the strengths replace its own.
    name : str
        The game's name in tables and seeds.
    strengths : sequence of float
    shares : sequence of float
        Step sizes of PMA, in units of the one that `step_size` finds best at the equilibrium.
    n_starts : int
        The same starts at every strength.
    max_iterations : int
    seed : int
        Root seed.
    after_run : callable
        Called after each run.

    Returns
    -------
    damping : DataFrame
        Columns game, strength, method, share (1 for the best response), step_size, best_response_radius, predicted_rate
        (the method's own spectral radius), start, ending, period, amplitude, iterations, distance, arrived (converged
        to this equilibrium).
    attractors : DataFrame
        Columns game, strength, method, part, iteration, state, mean_field: where best response ends from the first
        start (part "tail"), and the equilibrium.
    """
    rows, attractors = [], []
    policy: np.ndarray | None = None
    for strength in sorted(strengths, reverse=True):
        h = regularizers.with_strength(regularizer, strength)
        try:
            policy = equilibrium.solve(game, h, policy).policy
        except ConvergenceError:
            policy = equilibrium.solve(game, h).policy
        parts = [_population_rows(game, policy[None], [0], name, "", "equilibrium")]
        radius = step_size("best_response", game, h, policy)[1]
        for method, share in [("best_response", 1.0), *((f"pma_{m}", x) for m in ("euclidean", "kl") for x in shares)]:
            eta, rate = step_size(method, game, h, policy, share)
            for start in range(n_starts):
                orbit = iteration(method, game, h, start_policy(game, name, start, seed), eta)
                seen = run(orbit, game, h, policy, max_iterations, measured=lambda k: False)
                distance = float(seen.history["distance"].iloc[-1])
                arrived = seen.outcome.ending == "converged" and distance <= ARRIVED
                rows.append(
                    {"game": name, "strength": strength, "method": method, "share": share, "step_size": eta}
                    | {"best_response_radius": radius, "predicted_rate": rate, "start": start}
                    | vars(seen.outcome)
                    | {"iterations": seen.iterations, "distance": distance, "arrived": arrived}
                )
                if method == "best_response" and start == 0:
                    tail = seen.policies[-LONGEST_PERIOD:] if seen.outcome.period == 0 else seen.policies
                    tail = tail[-seen.outcome.period :] if seen.outcome.period else tail
                    parts.append(_population_rows(game, tail, range(len(tail)), name, method, "tail"))
                after_run()
        attractors.append(pd.concat(parts).assign(strength=strength))
    order = ["game", "strength", "method", "part", "iteration", "state", "mean_field"]
    return pd.DataFrame(rows), pd.concat(attractors, ignore_index=True)[order]


@accepts(reference="policy")
def basins(
    game: Game,
    regularizer: Regularizer,
    reference: np.ndarray,
    name: str,
    step_sizes: Sequence[float],
    n_starts: int,
    max_iterations: int,
    seed: int,
    after_run: Callable[[], None] = lambda: None,
) -> dict[str, pd.DataFrame]:
    """Ask whether any step size holds PMA at an equilibrium, and which equilibrium each start reaches instead.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    reference : ndarray, shape (S, A)
        The equilibrium in question.
    name : str
        The game's name in tables and seeds.
    step_sizes : sequence of float
        The eta of PMA, both mirror maps.
    n_starts : int
        For each mirror map and step size, starts `PERTURBATION` of the way from the equilibrium to a random policy;
        and that many random starts for the search of other equilibria.
    max_iterations : int
    seed : int
        Root seed.
    after_run : callable
        Called after each step size and after each method.

    Returns
    -------
    dict of str to DataFrame
        ``departures``: game, mirror, step_size, best_response_lead (largest real part of an eigenvalue of the best
        response's Jacobian), radius (spectral radius of PMA's), start, left, iterations. ``basins``: game, method,
        step_size, start, equilibrium (its index in the next table, -1 where the run did not converge). ``several``:
        game, equilibrium, exploitability, residual (the largest of all), best_response_lead, state, mean_field. The
        first equilibrium is the reference; others are those that some run reached, so the list need not be complete.
    """
    departures, reached = [], []
    lead = _lead(game, regularizer, reference)
    for mirror in ("euclidean", "kl"):
        for eta in step_sizes:
            matrix = lipschitz.jacobian(game, reference, eta, regularizer, mirror)
            for start in range(n_starts):
                other = start_policy(game, name, start, seed)
                policy = (1.0 - PERTURBATION) * reference + PERTURBATION * other
                far = DEPARTURE * operators.policy_distance(policy, reference)
                path = islice(pma(game, regularizer, policy, eta, mirror), max_iterations + 1)
                left = next((k for k, at in enumerate(path) if operators.policy_distance(at, reference) > far), None)
                departures.append(
                    {"game": name, "mirror": mirror, "step_size": eta, "best_response_lead": lead}
                    | {"radius": lipschitz.spectral_radius(matrix), "start": start, "left": left is not None}
                    | {"iterations": max_iterations if left is None else left}
                )
            after_run()
    found = [reference]
    for method in ("pma_euclidean", "pma_kl", "best_response"):
        eta = np.inf if method == "best_response" else 1.0 / regularizer.rho
        for start in range(n_starts):
            orbit = iteration(method, game, regularizer, start_policy(game, name, start, seed), eta)
            seen = run(orbit, game, regularizer, reference, max_iterations, measured=lambda k: False)
            index = -1
            if seen.outcome.ending == "converged":
                distances = _distances(np.array(found), seen.policies[-1:])
                index = int(distances.argmin())
                if distances[index] > 1e-6:  # far above ARRIVED, far below the distance of two equilibria
                    index = len(found)
                    found.append(equilibrium.solve(game, regularizer, seen.policies[-1]).policy)
            reached.append({"game": name, "method": method, "step_size": eta, "start": start, "equilibrium": index})
        after_run()
    listed = []
    for index, policy in enumerate(found):
        mean_field = operators.stable_population(game, policy)
        residuals = equilibrium.residuals(game, policy, mean_field, regularizer)
        facts: dict[str, Any] = {"game": name, "equilibrium": index, "exploitability": residuals["exploitability"]}
        facts["residual"] = max(map(abs, residuals.values()))
        facts["best_response_lead"] = _lead(game, regularizer, policy)
        listed += [facts | {"state": s, "mean_field": share} for s, share in enumerate(mean_field)]
    return {"departures": pd.DataFrame(departures), "basins": pd.DataFrame(reached), "several": pd.DataFrame(listed)}


def _lead(game: Game, regularizer: Regularizer, policy: np.ndarray) -> float:
    """Return the largest real part of an eigenvalue of the best response's Jacobian."""
    matrix = lipschitz.jacobian(game, policy, np.inf, regularizer)
    return float(np.linalg.eigvals(matrix).real.max()) if matrix.size else 0.0
