"""Measurements: exact methods side by side. From one game to tables (docs/theory, section 12)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd

from pma_mfg import operators, seeds
from pma_mfg.arrays import accepts
from pma_mfg.games.functions import Game
from pma_mfg.iterations import (
    LONGEST_PERIOD,
    METHODS,
    SETTLED_MOVE,
    SETTLED_MOVES,
    Orbit,
    Outcome,
    amplitude,
    ending,
    iteration,
    step_size,
)
from pma_mfg.regularizers import Regularizer
from pma_mfg.theory.search import random_policy
from pma_replication import unsettled

#: Regularized exploitability at which a method counts as converged.
ACCURACY = 1e-8


@dataclass(frozen=True)
class Run:
    """What `run` records of one iteration.

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
    *,
    reference: np.ndarray,
    max_iterations: int,
    measured: Callable[[int], bool] = two_digits,
) -> Run:
    """Follow an iteration until it has settled, cycles, cannot go on, or has taken `max_iterations`.

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
    settling, broken = unsettled.settling(orbit), False
    for k in range(max_iterations + 1):
        before = time.perf_counter()
        following = next(settling, None)
        if following is None:  # the population of the last policy does not settle
            broken, k = True, k - 1
            break
        policy = following
        seconds += time.perf_counter() - before
        settled = settled + 1 if tail and operators.policy_distance(policy, tail[-1]) <= SETTLED_MOVE else 0
        tail.append(policy)
        last = settled == SETTLED_MOVES or k == max_iterations
        if k > 0 and k % (2 * LONGEST_PERIOD) == 0:
            last = last or ending(np.array(tail))[0] == "cycle"
        if last or measured(k):
            rows.append((k, *_measured(game, policy, regularizer, reference), seconds))
        if last:
            break
    if broken and (not rows or rows[-1][0] < k):
        rows.append((k, *_measured(game, policy, regularizer, reference), seconds))
    history = pd.DataFrame(rows, columns=["iteration", "exploitability", "distance", "seconds"])
    policies = np.array(tail)
    ends, period = ending(policies)
    if broken:
        ends, period = "unsettled", 0
    _, populations = unsettled.populations(game, policies[-period:] if period else policies)
    return Run(history, Outcome(ends, period, amplitude(populations)), policies, k)


def _measured(game: Game, policy: np.ndarray, regularizer: Regularizer, reference: np.ndarray) -> tuple[float, float]:
    """Return the exploitability of a policy, and its distance to the reference."""
    return unsettled.exploitability(game, policy, regularizer), operators.policy_distance(policy, reference)


def start_policy(game: Game, name: str, start: int, *, seed: int) -> np.ndarray:
    """Draw an initial policy: flat or close to a deterministic one; not the uniform one, which a symmetry may keep."""
    return random_policy(game, seeds.generator(seed, "dynamics", name, start))


#: Number of iterations from the first start whose populations `compare` reports, besides the last `LONGEST_PERIOD`.
SHOWN = 60


@accepts(reference="policy")
def compare(
    game: Game,
    regularizer: Regularizer,
    reference: np.ndarray,
    *,
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
        ``histories``: game, method, start, iteration, exploitability, distance, and `judging.UNSETTLED` where that
        happened. ``outcomes``: game, method, step_size,
        predicted_rate, start, ending, period, amplitude, iterations, distance, iterations_to_accuracy (first measured
        iteration with exploitability at most `ACCURACY`, nan if none). ``orbits``: game, method, part ("path": the
        first `SHOWN` iterations; "tail": the last `LONGEST_PERIOD`), iteration, state, mean_field, of the first start,
        and part "equilibrium", method "". ``seconds``: game, method, start, iterations, seconds, seconds_to_accuracy;
        the one that differs from run to run.
    """
    histories, outcomes, orbits, seconds = [], [], [], []
    orbits.append(population_rows(game, reference[None], [0], name=name, method="", part="equilibrium"))
    for method in METHODS:
        eta, rate = step_size(method, game, regularizer, policy=reference)
        for start in range(n_starts):
            initial = start_policy(game, name, start, seed=seed)
            seen = run(
                iteration(method, game, regularizer, start=initial, step_size=eta),
                game,
                regularizer,
                reference=reference,
                max_iterations=max_iterations,
            )
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
                orbit = unsettled.settling(iteration(method, game, regularizer, start=initial, step_size=eta))
                path = list(islice(orbit, SHOWN + 1))
                tail = seen.policies[-LONGEST_PERIOD:]
                numbers = range(seen.iterations - len(tail) + 1, seen.iterations + 1)
                orbits.append(population_rows(game, path, range(len(path)), name=name, method=method, part="path"))
                orbits.append(population_rows(game, tail, numbers, name=name, method=method, part="tail"))
            after_run()
    order = ["game", "method", "start", "iteration", "exploitability", "distance"]
    history = pd.concat(histories, ignore_index=True)[order]
    return {
        "histories": unsettled.marked(history, unsettled.worst(game, regularizer)),
        "outcomes": pd.DataFrame(outcomes),
        "orbits": pd.concat(orbits, ignore_index=True),
        "seconds": pd.DataFrame(seconds),
    }


def population_rows(
    game: Game,
    policies: Sequence[np.ndarray] | np.ndarray,
    numbers: Sequence[int] | range,
    *,
    name: str,
    method: str,
    part: str,
) -> pd.DataFrame:
    """Return the stable populations of some policies that have one, one row per iteration and state."""
    settled, populations = unsettled.populations(game, policies)
    k, state = (index.ravel() for index in np.indices(populations.shape))
    return pd.DataFrame(
        {
            "game": name,
            "method": method,
            "part": part,
            "iteration": np.array(numbers)[settled][k],
            "state": state,
            "mean_field": populations.ravel(),
        }
    )
