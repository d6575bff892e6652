"""Units of predicted times (`pma_replication.cost`) with times that are given, in place of timed ones."""

from __future__ import annotations

import copy

import numpy as np

from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer
from pma_replication.cost import Units

#: Every operation that is timed.
TIMES = ("step", "step_of_few", "step_together", "few_together", "pma", "jacobian", "exploitability", "solution")
TIMES += ("update", "agent")


def given(units: Units, **seconds: float) -> Units:
    """Return units with these times in place of theirs."""
    assert set(seconds) <= set(TIMES)
    changed = copy.copy(units)
    vars(changed).update(seconds)  # where a time that was asked for is kept
    return changed


def units_of(game: Game, regularizer: Regularizer, policy: np.ndarray, **seconds: float) -> Units:
    """Return units of a game: with 1e-4 s for each operation, or the times that are given."""
    return given(Units(game, regularizer, policy), **{**dict.fromkeys(TIMES, 1e-4), **seconds})
