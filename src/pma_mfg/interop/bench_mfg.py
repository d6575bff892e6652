"""Policies of Bench-MFG, as policies of a game.

See docs/theory, section 16.5. Bench-MFG (`bench-mfg-suite`) has stationary policies without labels, as arrays of numpy
or JAX; nothing of it is imported here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pma_mfg.arrays import floats, normalized, probabilities
from pma_mfg.errors import Description, InputError
from pma_mfg.games.functions import Game


def stationary_policy(policy: Any, game: Game, *, environment: Any = None) -> np.ndarray:
    """Return a policy of Bench-MFG as a policy of a game, (S, A).

    Parameters
    ----------
    policy : array_like
        What a solver of Bench-MFG returns: shape (S, A), or (S A,) as its particles are. In single precision, which is
        JAX's default, rows are divided by their sums, if these are 1 up to the rounding of that type.
    game : Game
        States and actions are matched by their numbers, as Bench-MFG has no labels.
    environment : benchmfg.envs.mfg_model_class.MFGStationary, optional
        That the policy was made for; it must have as many states and actions as the game.

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    InputError
        If the numbers of states and actions differ, or a row is no distribution: which one, and by how much.
    """
    source, one = "interop.bench_mfg.stationary_policy", (game.n_states, game.n_actions)
    if environment is not None and (environment.N_states, environment.N_actions) != one:
        told = Description(f"{environment.N_states} states and {environment.N_actions} actions")
        raise InputError(source, "environment", told, f"{one[0]} and {one[1]}, as the game has")
    given = np.asarray(policy) if hasattr(policy, "__array__") else floats(policy, source, "policy")
    if given.shape == (one[0] * one[1],):
        given = given.reshape(one)
    return probabilities(normalized(given), one, source, field="policy")
