"""Exploitability of policies that learners pass by, some of which may have no population that settles.

There the population cycles, or takes longer than `operators.stable_population` waits, and the exploitability does not
exist. It then counts as a number above all that there can be, so that a run that ends there has learned nothing; tables
in which that happened, and only those, have a column that says where, and verdicts on them say how often.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from pma_mfg import equilibrium, operators, solvers
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer
from pma_mfg.theory import lipschitz
from pma_replication.judging import UNSETTLED

#: What is added to the largest exploitability, relatively, so that rounding takes no policy for one of those.
MARGIN = 1e-9

#: Iterations after which a population counts as one that does not settle. Newton's method takes tens; a population that
#: wanders without repeating itself would take seconds to be given up after those of `operators.stable_population`.
PATIENCE = 300


def reward_range(game: Game) -> float:
    """Return the largest reward minus the smallest one, over pairs and mean fields; exact, or an upper bound.

    The unit of exploitability and of strengths in tables: the paper's rewards lie in [0, 1]. Of a game given by
    functions it is that of the rewards seen.
    """
    low, high = lipschitz.reward_range(game)
    return high - low


@accepts()
def population(game: Game, policy: np.ndarray) -> np.ndarray:
    """Return `operators.stable_population` of a policy, or say after `PATIENCE` iterations that it does not settle."""
    if game.n_states > solvers.DIRECT_SIZE:  # found by another method, whose iterations are cheap
        return operators.stable_population(game, policy)
    return operators.stable_population(game, policy, max_iterations=PATIENCE)


@accepts()
def worst(game: Game, regularizer: Regularizer | None = None) -> float:
    """Return what counts as the exploitability of a policy whose population does not settle.

    (max R - min R + max h - min h) / (1 - gamma), which no exploitability exceeds, and `MARGIN` of it.
    """
    span = 0.0 if regularizer is None else regularizer.span(game.n_actions)
    return (1.0 + MARGIN) * max(reward_range(game) + span, np.finfo(float).tiny) / (1.0 - game.discount)


@accepts()
def exploitability(game: Game, policy: np.ndarray, regularizer: Regularizer | None = None) -> float:
    """Return the exact exploitability of a policy, `worst` if its population does not settle."""
    try:
        return equilibrium.exploitability(game, policy, regularizer, mean_field=population(game, policy))
    except ConvergenceError:
        return worst(game, regularizer)


def exploitabilities(game: Game, policies: Iterable[np.ndarray], regularizer: Regularizer | None = None) -> list[float]:
    """Return `exploitability` of each policy."""
    return [exploitability(game, policy, regularizer) for policy in policies]


def settling(orbit: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the policies of an exact iteration, up to one whose population does not settle, where it ends."""
    with contextlib.suppress(ConvergenceError):
        yield from orbit


def populations(game: Game, policies: Iterable[np.ndarray]) -> tuple[list[int], np.ndarray]:
    """Return which of some policies have a population that settles, and these populations, one a row."""
    numbers, found = [], []
    for number, policy in enumerate(policies):
        with contextlib.suppress(ConvergenceError):
            found.append(population(game, policy))
            numbers.append(number)
    return numbers, np.array(found).reshape(-1, game.n_states)


def marked(table: pd.DataFrame, largest: float) -> pd.DataFrame:
    """Return a table with the column `judging.UNSETTLED` if an exploitability in it is that of `worst`, else as it is.

    Parameters
    ----------
    table : DataFrame
        With a column exploitability, a row for each policy.
    largest : float
        `worst`, in the same units.
    """
    found = table["exploitability"] >= largest
    return table.assign(**{UNSETTLED: found.astype("int64")}) if found.any() else table
