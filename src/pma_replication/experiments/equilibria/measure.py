"""Measurements: equilibria and assumptions. From one game to tables (docs/theory, section 12)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pma_mfg.equilibrium import Equilibrium
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer
from pma_mfg.theory.assumptions import assumptions


def table(equilibrium: Equilibrium, name: str) -> pd.DataFrame:
    """Return an equilibrium as a tidy table.

    Parameters
    ----------
    equilibrium : Equilibrium
    name : str
        The game's name.

    Returns
    -------
    DataFrame
        Columns game, state, action, probability, mean_field (of the state), q.
    """
    state, action = (index.ravel() for index in np.indices(equilibrium.policy.shape))
    return pd.DataFrame(
        {
            "game": name,
            "state": state,
            "action": action,
            "probability": equilibrium.policy.ravel(),
            "mean_field": equilibrium.mean_field[state],
            "q": equilibrium.q.ravel(),
        }
    )


def assumptions_table(game: Game, regularizer: Regularizer, name: str, *, step_size: float) -> pd.DataFrame:
    """Return the quantities that the paper assumes of a game as a tidy table.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    name : str
        The game's name.
    step_size : float
        eta, as in `theory.assumptions.assumptions`.

    Returns
    -------
    DataFrame
        Columns game, assumption, quantity, value, kind.
    """
    table = pd.DataFrame(map(vars, assumptions(game, regularizer, step_size)))
    table.insert(0, "game", name)
    return table
