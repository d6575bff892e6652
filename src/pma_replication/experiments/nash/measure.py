"""Measurements: what one agent among N gains by deviating.

From one game to tables (docs/theory, section 12).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from pma_mfg import operators, seeds
from pma_mfg.arrays import accepts
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning import replicates, schedules
from pma_mfg.populations import deviators, finite_population, gap_constants
from pma_mfg.populations.deviators import Sees, indifferent_game
from pma_mfg.regularizers import Regularizer
from pma_mfg.simulation.lockstep import TOGETHER


@accepts()
def nash_gaps(
    game: MeanFieldGame,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    *,
    name: str,
    populations: Sequence[int],
    after_population: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Compute what one of N agents gains by leaving the equilibrium, exactly, beside its limit for large N (claim C7).

    For deviators who see the counts of the others and such who see their own state only, each in the game with its
    regularizer, and without one in the game of `populations.deviators.indifferent_game`, in which all actions are
    equally good at the equilibrium.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy, positive.
    name : str
    populations : sequence of int
    after_population : callable
        Called after each N.

    Returns
    -------
    DataFrame
        Columns game, variant ("regularized" or "indifferent"), sees ("counts" or "state"), n_agents, gap, order (the
        gap falls as N^-order), predicted (nan where no closed form is known).
    """
    games = {
        "regularized": (game, regularizer),
        "indifferent": (indifferent_game(game, equilibrium, regularizer), None),
    }
    limits = _limits(games, equilibrium)
    rows: list[tuple[object, ...]] = []
    for n_agents in populations:
        # both games have the same transitions, so that the others of both move by the same chain
        law = finite_population.stationary_counts(game, equilibrium, n_agents)
        among = deviators.others(game, equilibrium, law)
        for (variant, sees), (constant, order) in limits.items():
            of, h = games[variant]
            (gap,) = deviators.nash_gaps(of, equilibrium, among, regularizers=[h], sees=sees)
            predicted = constant / n_agents**order
            rows.append((name, variant, sees, n_agents, gap, order, predicted))
        after_population()
    columns = ["game", "variant", "sees", "n_agents", "gap", "order", "predicted"]
    return pd.DataFrame(rows, columns=columns)


def _limits(
    games: Mapping[str, tuple[MeanFieldGame, Regularizer | None]], policy: np.ndarray
) -> dict[tuple[str, Sees], tuple[float, float]]:
    """Return the constant of the gain, nan where none is known, and its order, for each variant and deviator."""
    found: dict[tuple[str, Sees], tuple[float, float]] = {}
    for variant, (game, h) in games.items():
        smooth = game.reward_features.differentiable_at(operators.stable_population(game, policy))
        constant = np.nan
        if game.n_states == 2:
            constant = gap_constants.two_state_gap_constant(game, policy, h)
        elif smooth and h is not None:
            constant = gap_constants.regularized_gap_constant(game, policy, h)
        found[variant, "counts"] = (constant, 0.5 if h is None else 1.0)
        found[variant, "state"] = gap_constants.own_state_gap_constant(game, policy, h)
    return found


@accepts()
def learned_gaps(
    game: MeanFieldGame,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    *,
    name: str,
    n_agents: int,
    updates: Sequence[int],
    n_epochs: int,
    step_size: float,
    n_replicates: int,
    seed: int,
    after_run: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Learn from N agents and compute what one of them then gains by deviating, exactly (claim C7-learned).

    The deviator sees its own state only, and the regularizer counts.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy.
    name : str
        The game's name in tables and seeds.
    n_agents : int
    updates : sequence of int
        M_td, updates of each epoch.
    n_epochs : int
        K.
    step_size : float
        eta.
    n_replicates : int
        Runs for each M_td.
    seed : int
        Root seed.
    after_run : callable
        Called after each run.

    Returns
    -------
    DataFrame
        Columns game, n_agents, n_updates, replicate, gap, error (distance of the policy to the mean field's
        equilibrium), equilibrium_gap (what a deviator gains there, in the same game of N agents).
    """
    gap_of = partial(deviators.nash_gap, game, n_agents=n_agents, regularizer=regularizer, sees="state")
    scale, begin = schedules.td_scale(game, equilibrium), schedules.td_start(game, regularizer)
    at_equilibrium = gap_of(policy=equilibrium)
    rows = []
    for n_updates in updates:
        schedule = schedules.Schedule(n_epochs, n_updates, 0, step_size, scale, scale, begin)
        for first in range(0, n_replicates, TOGETHER):
            group = range(first, min(first + TOGETHER, n_replicates))
            rngs = [seeds.generator(seed, "nash learned", name, n_updates, replicate) for replicate in group]
            learned = replicates.centralized(game, n_agents, regularizer, schedule=schedule, rngs=rngs)[:, -1]
            for replicate, policy in zip(group, learned, strict=True):
                error = operators.policy_distance(policy, equilibrium)
                rows.append((name, n_agents, n_updates, replicate, gap_of(policy=policy), error, at_equilibrium))
                after_run()
    columns = ["game", "n_agents", "n_updates", "replicate", "gap", "error", "equilibrium_gap"]
    return pd.DataFrame(rows, columns=columns)
