"""Files of equilibria: ``.npz`` with the policy, the population, q and the history, and JSON of what was checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pma_mfg import operators, regularizers
from pma_mfg.equilibrium.best_responses import regularizer_size
from pma_mfg.equilibrium.solution import Equilibrium, residuals
from pma_mfg.errors import Description, InputError
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer
from pma_mfg.storage import read_arrays, write_arrays

#: Residual above which a stored equilibrium is rejected; residuals that are rewards are divided by the largest value.
LARGEST_RESIDUAL = 1e-6

#: Types of the entries of an equilibrium file's metadata.
_METADATA: dict[str, Any] = {"regularizer": str, "strength": float | int, "residuals": dict, "iterations": int}

#: Shapes of the arrays of an equilibrium file; None stands for any shape.
_SHAPES: dict[str, Callable[[Game], tuple[int, ...] | None]] = {
    "policy": lambda game: (game.n_states, game.n_actions),
    "mean_field": lambda game: (game.n_states,),
    "q": lambda game: (game.n_states, game.n_actions),
    "history": lambda game: None,
}

_WRITTEN = "an equilibrium written by `pma-mfg solve`"


def save(equilibrium: Equilibrium, regularizer: Regularizer, path: str | Path) -> None:
    """Write an equilibrium and the name and strength of the regularizer it belongs to as ``.npz``.

    Of a regularizer of the user's own the file holds no code: `load` is given it again.

    Parameters
    ----------
    equilibrium : Equilibrium
    regularizer : Regularizer
    path : path-like
    """
    arrays = {name: getattr(equilibrium, name) for name in ("policy", "mean_field", "q")}
    arrays["history"] = np.asarray(equilibrium.history)
    metadata = {
        "regularizer": regularizers.name_of(regularizer),
        "strength": regularizer.strength,
        "residuals": equilibrium.residuals,
        "iterations": equilibrium.iterations,
        "warnings": equilibrium.warnings,
    }
    write_arrays(path, arrays, metadata)


def recorded_regularizer(path: str | Path) -> tuple[str, float]:
    """Return the name (`regularizers.name_of`) and the strength of the regularizer of an equilibrium's file.

    Raises
    ------
    InputError
        If the file is not one of an equilibrium.
    """
    _, metadata = read_arrays(path)
    for name in ("regularizer", "strength"):
        if name not in metadata:
            raise InputError(str(path), name, Description("nothing"), _WRITTEN)
        if not isinstance(metadata[name], _METADATA[name]):
            raise InputError(str(path), f"metadata: {name}", metadata[name], _WRITTEN)
    return metadata["regularizer"], float(metadata["strength"])


def load(path: str | Path, game: Game, regularizer: Regularizer | None = None) -> tuple[Equilibrium, Regularizer]:
    """Read an equilibrium of `game` and its regularizer.

    Parameters
    ----------
    path : path-like
    game : Game
    regularizer : Regularizer, optional
        What the equilibrium belongs to, needed if it is neither the entropy nor the quadratic; that it does is checked
        by the residuals.

    Returns
    -------
    equilibrium : Equilibrium
    regularizer : Regularizer

    Raises
    ------
    InputError
        If the file is damaged, is not an equilibrium of this game (its residuals are computed afresh), or belongs to a
        regularizer of the user's own that was not given.
    """
    source = str(path)
    arrays, metadata = read_arrays(path)
    written = _WRITTEN
    for name in (*_METADATA, *_SHAPES):
        if name not in metadata and name not in arrays:
            raise InputError(source, name, Description("nothing"), written)
    for name, kind in _METADATA.items():
        if not isinstance(metadata[name], kind):
            raise InputError(source, f"metadata: {name}", metadata[name], written)
    for name, shape in _SHAPES.items():
        wanted, array = shape(game), arrays[name]
        if array.dtype != np.float64 or (wanted is not None and array.shape != wanted) or not np.isfinite(array).all():
            shown = Description(f"shape {array.shape} of type {array.dtype}")
            raise InputError(source, name, shown, f"finite floats of 64 bits, shape {wanted or '(iterations,)'}")
    if regularizer is None:
        try:
            regularizer = regularizers.make(metadata["regularizer"], metadata["strength"])
        except InputError as error:
            allowed = f"{error.allowed}; one of your own is to be given: equilibrium.load(path, game, regularizer)"
            allowed = error.allowed if error.field == "strength" else allowed
            raise InputError(source, f"metadata: {error.field}", error.value, allowed) from None
    policy, mean_field = arrays["policy"], arrays["mean_field"]
    for name, rows in (("policy", policy), ("mean_field", mean_field)):
        if rows.min() < -LARGEST_RESIDUAL or np.abs(rows.sum(axis=-1) - 1.0).max() > LARGEST_RESIDUAL:
            raise InputError(source, name, Description("something else"), "probabilities that sum to 1")
    # residuals in units of rewards are compared with the values, not with 1
    values = np.abs(operators.q_values(game, policy, mean_field, regularizer=regularizer)).max()
    units = dict.fromkeys(("bellman", "exploitability"), max(1.0, float(values), regularizer_size(regularizer, policy)))
    again = residuals(game, policy, mean_field, regularizer=regularizer)
    worst = max(abs(value) / units.get(name, 1.0) for name, value in again.items())
    if not worst <= LARGEST_RESIDUAL:
        allowed = f"an equilibrium of this very game (residuals below {LARGEST_RESIDUAL:g})"
        raise InputError(source, "residuals", worst, allowed)
    history, warnings = arrays["history"].tolist(), metadata.get("warnings", [])
    told = metadata["residuals"], metadata["iterations"], history, warnings
    return Equilibrium(policy, mean_field, arrays["q"], *told), regularizer
