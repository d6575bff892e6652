"""Conversion and checks of the arrays that users give: policies, mean fields, tables.

A policy is (S, A), a mean field (S,), whatever they come as: lists, data frames, integers, read-only, memory-mapped or
big-endian arrays. `accepts` puts the conversion before a function; an array of 64-bit floats passes as it is, bit by
bit. An array that is not a policy is refused; the message names the row and its deviation.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from scipy.sparse import issparse

from pma_mfg.errors import Description, InputError

Function = TypeVar("Function", bound=Callable[..., Any])

#: Largest deviation of a sum of probabilities from 1, and of an entry of a mean field below 0, that is accepted.
TOLERANCE = 1e-9

#: The type of numbers that arrays are converted to.
FLOAT = np.dtype(float)

#: Parameter names that `accepts` converts without being told, with their kinds.
KINDS = {"policy": "policy", "equilibrium": "policy", "mean_field": "mean_field", "centre": "mean_field"}


def floats(given: Any, source: str, field: str) -> np.ndarray:
    """Return real numbers as an array of 64-bit floats in the machine's byte order, which may be `given` itself.

    Parameters
    ----------
    given : array_like
    source, field : str
        For messages.

    Returns
    -------
    ndarray
        Possibly read-only, and in any memory layout.

    Raises
    ------
    InputError
        For values that are not real numbers: texts, complex numbers, masked values, rows of different lengths.
    """
    if isinstance(given, np.ndarray) and type(given) is np.ndarray and given.dtype == FLOAT:
        return given
    allowed = "an array of real numbers"
    if issparse(given) or np.ma.is_masked(given):
        raise InputError(
            source, field, Description("masked values" if not issparse(given) else "a sparse one"), allowed
        )
    try:
        array: np.ndarray = np.asarray(given)
        if array.dtype.kind not in "fiuO":
            raise InputError(source, field, Description(f"values of type {array.dtype}"), allowed)
        return array.astype(float, copy=False)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            source, field, Description(f"a value of type {type(given).__name__}"), f"{allowed}, rows of one length"
        ) from None


def contiguous(given: Any, kind: type = float) -> np.ndarray:
    """Return an array as compiled code takes it: C-contiguous and writeable, `given` itself if it is."""
    array: np.ndarray = np.ascontiguousarray(given, dtype=kind)
    return array if array.flags.writeable else array.copy()


def normalized(table: np.ndarray) -> np.ndarray:
    """Return a table of probabilities in half or single precision in double, its rows divided by their sums.

    For policies from files and other libraries, whose type was not the user's choice. A table of another type, or one
    whose rows miss 1 by more than the rounding of its type, is returned as it is.

    Parameters
    ----------
    table : ndarray

    Returns
    -------
    ndarray
    """
    if table.dtype.kind != "f" or table.dtype.itemsize >= FLOAT.itemsize or not table.ndim:
        return table
    sums = table.astype(float).sum(axis=-1, keepdims=True)
    # every entry is rounded once, and the sums that it was divided by are of the same type
    rounding = 2.0 * table.shape[-1] * float(np.finfo(table.dtype).eps)
    return table.astype(float) / sums if (np.abs(sums - 1.0) <= rounding).all() else table


def probabilities(given: Any, shape: tuple[int, ...], source: str, *, field: str) -> np.ndarray:
    """Check that the rows of an array (its last axis) are probability distributions, and return it as floats.

    Parameters
    ----------
    given : array_like
    shape : tuple of int
    source, field : str
        For messages.

    Returns
    -------
    ndarray

    Raises
    ------
    InputError
        With the row, and by how much it misses.
    """
    array = floats(given, source, field)
    if array.shape != shape:
        raise InputError(source, field, Description(f"shape {array.shape}"), f"shape {shape}")
    excess = array.sum(axis=-1) - 1.0
    least = 0.0 if array.ndim > 1 else -TOLERANCE  # logarithms of policies are taken
    if (array >= least).all() and (np.abs(excess) <= TOLERANCE).all():  # neither holds for nan
        return array
    one = "a distribution: probabilities" if array.ndim == 1 else "rows of probabilities"
    allowed = f"{one} that sum to 1, to {TOLERANCE:g}"
    negative = ~(array >= least)
    if negative.any():
        place = np.unravel_index(int(negative.argmax()), shape)
        raise InputError(source, f"{field}: {_place(place, 1)}", float(array[place]), allowed)
    worst = np.unravel_index(int(np.abs(excess).argmax()), excess.shape)
    where = f": {_place(worst, 0)}" if worst else ""
    told = Description(f"the sum {float(excess[worst] + 1.0)!r}, off by {float(excess[worst]):.2g}")
    if (kind := np.asarray(given).dtype) in (np.float16, np.float32) and np.abs(excess).max() < 1e-2:
        allowed += f"; {precision_advice(kind)}"
    raise InputError(source, f"{field}{where}", told, allowed)


def _place(indices: tuple[Any, ...], last: int) -> str:
    """Return in words where in an array a row is (last = 0), or an entry of it (1)."""
    names = ("agent", "row", "entry")[: 2 + last][-len(indices) :]
    return ", ".join(f"{name} {i}" for name, i in zip(names, indices, strict=True))


def precision_advice(kind: Any) -> str:
    """Return advice for probabilities of a type with too few digits, for the message."""
    return (
        f"these are of type {kind}, too coarse for that: x = numpy.asarray(x, dtype=float); "
        "x = x / x.sum(axis=-1, keepdims=True)"
    )


def accepts(*, inner: bool = False, **kinds: str) -> Callable[[Function], Function]:
    """Return a decorator that converts and checks the policies, mean fields and tables that a function is given.

    Parameters
    ----------
    inner : bool
        For what inner loops call: arrays of floats of the right shape pass unchecked. They may be anything; derivatives
        by differences, say, leave the simplex.
    **kinds : str
        Parameter -> "policy", "mean_field", "policies" (a policy, or one for each agent), or "table" (floats of any
        shape; a sparse matrix stays as it is). Parameters in `KINDS` are known.

    Returns
    -------
    callable
        The decorator. The function's first or second parameter is `game`, unless all are tables.
    """

    def decorate(function: Function) -> Function:
        parameters = list(inspect.signature(function).parameters)
        known = {name: kind for name, kind in KINDS.items() if name in parameters} | kinds
        places = [(parameters.index(name), name, kind) for name, kind in known.items()]
        game_at = parameters.index("game") if "game" in parameters else None
        modules = function.__module__.split(".")
        # users call what the modules of `equilibrium` define by the package's name
        module = "equilibrium" if "equilibrium" in modules else modules[-1]
        source, ndarray = f"{module}.{function.__name__}", np.ndarray

        @functools.wraps(function)
        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            policies: tuple[int, ...] | None = None
            if game_at is not None:
                game = arguments[game_at] if game_at < len(arguments) else keywords.get("game")
                policies = None if game is None else (game.n_states, game.n_actions)
            changed: list[Any] | None = None
            for place, name, kind in places:
                positional = place < len(arguments)
                given = arguments[place] if positional else keywords.get(name)
                if given is None:
                    continue
                plain = type(given) is ndarray and given.dtype == FLOAT
                if kind == "table":
                    if plain:
                        continue
                    converted = given if issparse(given) else floats(given, source, name)
                else:
                    if policies is None:
                        continue  # the call lacks an argument, as Python will say
                    shape = policies[:1] if kind == "mean_field" else policies
                    if inner and plain and given.shape == shape:
                        continue
                    if kind == "policies":
                        shape = floats(given, source, name).shape
                        if shape[-2:] != policies or len(shape) > 3:
                            told = Description(f"shape {shape}")
                            raise InputError(source, name, told, f"shape {policies}, or one per agent")
                    converted = probabilities(given, shape, source, field=name)
                if converted is given:
                    continue
                if positional:
                    changed = list(arguments) if changed is None else changed
                    changed[place] = converted
                else:
                    keywords[name] = converted
            return function(*(arguments if changed is None else changed), **keywords)

        wrapper.accepts = known  # type: ignore[attr-defined]
        return wrapper  # type: ignore[return-value]

    return decorate
