"""What is measured on what one agent among N gains by deviating.

From one game to tables (docs/theory, section 12).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from pma_mfg import operators
from pma_mfg.arrays import accepts
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.populations import deviators, fluctuations
from pma_mfg.regularizers import Regularizer


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

    Twice: in the game with its regularizer, and without one in the game of
    `populations.deviators.indifferent_game`, in which all actions are equally good at the equilibrium.

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
        Columns game, variant ("regularized" or "indifferent"), n_agents, gap, predicted (nan where no closed form is
        known: kinks with more than two states, and more than two states without a regularizer).
    """
    indifferent = deviators.indifferent_game(game, equilibrium, regularizer)
    smooth = game.reward_features.differentiable_at(operators.stable_population(game, equilibrium))
    constants = {"regularized": np.nan, "indifferent": np.nan}
    if game.n_states == 2:
        constants["regularized"] = fluctuations.two_state_gap_constant(game, equilibrium, regularizer)
        constants["indifferent"] = fluctuations.two_state_gap_constant(indifferent, equilibrium, None)
    elif smooth:
        constants["regularized"] = fluctuations.regularized_gap_constant(game, equilibrium, regularizer)
    rows: list[tuple[object, ...]] = []
    for n_agents in populations:
        for variant, of, h, order in (
            ("regularized", game, regularizer, 1.0),
            ("indifferent", indifferent, None, 0.5),
        ):
            gap = deviators.nash_gap(of, equilibrium, n_agents, regularizer=h)
            rows.append((name, variant, n_agents, gap, constants[variant] / n_agents**order))
        after_population()
    return pd.DataFrame(rows, columns=["game", "variant", "n_agents", "gap", "predicted"])
