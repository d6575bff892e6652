"""The families of games: what `make` can make, and which values their parameters may take.

A family is a function that takes only keywords and returns a `MeanFieldGame`. The decorator `family` enters it here,
with the ranges of its parameters. `make` checks the keywords of a family by name before anything
is computed, so that a configuration can be refused before any job starts.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

from pma_mfg.errors import Description, InputError, nearest
from pma_mfg.games.model import DENSE_ENTRIES, LARGEST_VALUE, MeanFieldGame

#: Largest integer that a parameter may be: up to it, integers are exact as floating-point numbers.
LARGEST_INTEGER = 10**15

#: Entries that the largest table of a game may have (160 MB; making a game takes some copies of it).
LARGEST_TABLE = DENSE_ENTRIES

Maker = TypeVar("Maker", bound=Callable[..., MeanFieldGame])


class Range(NamedTuple):
    """The values that a parameter may take.

    Parameters
    ----------
    accepts : callable
        From a value of the parameter's type to whether it is allowed.
    allowed : str
        Which values those are, in words.
    """

    accepts: Callable[[Any], bool]
    allowed: str


class Limit(NamedTuple):
    """What one parameter must satisfy together with others.

    Parameters
    ----------
    holds : callable
        From all parameters, a dict, to whether it is satisfied; not asked where the parameter is None.
    allowed : str
        What it is, in words; ``{name}`` stands for the value of a parameter.
    """

    holds: Callable[[dict[str, Any]], bool]
    allowed: str


REAL = Range(lambda x: True, "a number")
AT_LEAST_ZERO = Range(lambda x: x >= 0, "a number >= 0")
POSITIVE = Range(lambda x: x > 0, "a number > 0")
PROBABILITY = Range(lambda x: 0 <= x <= 1, "a number in [0, 1]")
BOOLEAN = Range(lambda x: True, "true or false")
COUNT = Range(lambda x: x >= 1, "an integer >= 1")
INDEX = Range(lambda x: x >= 0, "an integer >= 0")

#: Range of the parameter `floor`, which replaces smaller shares before a logarithm is taken.
FLOOR = Range(lambda x: 0 < x < 1, "a number in (0, 1)")

AT_MOST_ALL_STATES = Limit(lambda p: p["n_successors"] <= p["n_states"], "at most n_states, {n_states}")

#: Ranges of the parameters that mean the same in every family.
COMMON = {
    "n_states": COUNT,
    "n_actions": COUNT,
    "n_successors": COUNT,
    "rows": COUNT,
    "columns": COUNT,
    "size": COUNT,
    "seed": INDEX,
    "discount": Range(lambda x: 0 <= x < 1, "a number in [0, 1)"),
}

#: The parameters in `COMMON` that tell how large a game is.
SIZES = ("n_states", "n_actions", "n_successors", "rows", "columns", "size")


def table_entries(values: dict[str, Any]) -> int:
    """Return the entries of the transitions of a game, S^2 A, or 2 S A b with b successors of each state.

    Parameters
    ----------
    values : dict
        All parameters of the family. S is `n_states`, or `rows` times `columns`, or `size` squared; A is `n_actions`,
        or 5, as on a grid.

    Returns
    -------
    int
    """
    states = values.get("n_states") or values.get("rows", 1) * values.get("columns", 1) * values.get("size", 1) ** 2
    actions = values.get("n_actions") or 5
    if values.get("n_successors") is None:
        return int(states**2 * actions)
    return int(2 * states * actions * values["n_successors"])


@dataclass(frozen=True)
class Family:
    """A family of games, as `family` enters it.

    Parameters
    ----------
    function : callable
        Returns the game.
    ranges : mapping of str to Range
        One for each parameter.
    limits : mapping of str to Limit
    entries : callable
        From all parameters to the number of entries of the largest table.
    """

    function: Callable[..., MeanFieldGame]
    ranges: Mapping[str, Range]
    limits: Mapping[str, Limit]
    entries: Callable[[dict[str, Any]], int]

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The function's parameters by name."""
        return inspect.signature(self.function).parameters


#: Name of a family -> what is known of it.
FAMILIES: dict[str, Family] = {}


def family(
    *,
    limits: Mapping[str, Limit] | None = None,
    entries: Callable[[dict[str, Any]], int] = table_entries,
    **ranges: Range,
) -> Callable[[Maker], Maker]:
    """Return the decorator that enters a function, under its name, as a family of games.

    Parameters
    ----------
    limits : mapping of str to Limit, optional
        By the name of a parameter: what it must satisfy together with others.
    entries : callable
        From all parameters, a dict, to the number of entries of the game's largest table, before it is made.
    **ranges : Range
        Parameter -> the values that it may take, for all parameters that are not in `COMMON`.

    Returns
    -------
    callable
        The decorator, which returns the function as it is.

    Raises
    ------
    TypeError
        If a parameter has no range, or a range no parameter.
    """

    def enter(function: Maker) -> Maker:
        found = Family(function, COMMON | ranges, limits or {}, entries)
        if wrong := sorted((found.parameters.keys() - found.ranges.keys()) | (ranges.keys() - found.parameters.keys())):
            raise TypeError(f"{function.__name__}: parameters and ranges differ in {', '.join(wrong)}")
        FAMILIES[function.__name__] = found
        return function

    return enter


def families() -> list[str]:
    """Return the names of all families, sorted."""
    return sorted(FAMILIES)


def _known(name: str, source: str) -> Family:
    if name not in FAMILIES:
        raise InputError(source, "family", name, f"one of {', '.join(families())}{nearest(name, FAMILIES)}")
    return FAMILIES[name]


def describe(family: str, source: str = "games.describe") -> dict[str, Any]:
    """Return what a family is, and what its parameters are.

    Parameters
    ----------
    family : str
    source : str
        Where the name came from, for the message.

    Returns
    -------
    dict
        ``summary`` (a sentence), ``description`` (the docstring) and ``parameters``: name -> ``allowed`` (in words),
        ``required`` and ``default``.

    Raises
    ------
    InputError
        For an unknown family.
    """
    found = _known(family, source)
    text = inspect.getdoc(found.function) or ""
    parameters = {
        name: {
            "allowed": found.ranges[name].allowed,
            "required": (required := parameter.default is inspect.Parameter.empty),
            "default": None if required else parameter.default,
        }
        for name, parameter in found.parameters.items()
    }
    return {"summary": text.split("\n")[0].removeprefix("Return "), "description": text, "parameters": parameters}


def check_parameters(family: str, parameters: dict[str, Any], source: str = "games.make") -> None:
    """Raise an `InputError` unless `family` exists and accepts `parameters`.

    Parameters
    ----------
    family : str
    parameters : dict
        Keywords of the family.
    source : str
        Where the parameters came from, for the message.
    """
    found = _known(family, source)
    signature = found.parameters
    for name, value in parameters.items():
        if name not in signature:
            known = f"a parameter of {family}: {', '.join(signature)}{nearest(name, signature)}"
            raise InputError(source, name, value, known)
        accepts, allowed = found.ranges[name]
        if not (_is_of_kind(value, str(signature[name].annotation)) and accepts(value)):
            large = isinstance(value, int | float) and abs(value) > (
                LARGEST_INTEGER if isinstance(value, int) else LARGEST_VALUE
            )
            limit = f", at most {LARGEST_INTEGER:.0e} if an integer, else {LARGEST_VALUE:g} in size" if large else ""
            raise InputError(source, name, value, allowed + limit)
    for name, parameter in signature.items():
        if parameter.default is inspect.Parameter.empty and name not in parameters:
            expected = f"a value ({found.ranges[name].allowed}): {family} requires it"
            raise InputError(source, name, Description("nothing"), expected)
    values = {name: parameter.default for name, parameter in signature.items()} | parameters
    for name, (holds, words) in found.limits.items():
        if values.get(name) is not None and not holds(values):
            raise InputError(source, name, values[name], words.format(**values))
    if (entries := found.entries(values)) > LARGEST_TABLE:
        sizes = {name: values[name] for name in SIZES if values.get(name) is not None}
        allowed = f"a game whose largest table has at most {LARGEST_TABLE:.0e} entries, not {float(entries):.0e}"
        raise InputError(source, ", ".join(sizes), Description(", ".join(map(str, sizes.values()))), allowed)


def _is_of_kind(value: Any, annotation: str) -> bool:
    """Return whether a value is of the type that a parameter is annotated with, and not too large to compute with."""
    match annotation.removesuffix(" | None"):
        case "bool":
            return isinstance(value, bool)
        case "str":
            return isinstance(value, str)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_INTEGER
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_VALUE


def make(family: str, **parameters: Any) -> MeanFieldGame:
    """Return the game of a family.

    Parameters
    ----------
    family : str
        One of `families()`.
    **parameters
        The family's keywords; see its docstring.

    Returns
    -------
    MeanFieldGame
        The same parameters give bitwise the same game.

    Raises
    ------
    InputError
        For an unknown family, an unknown or missing parameter, or a value out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from pma_mfg import games
    >>> game = games.make("crowd_averse", n_states=3, n_actions=2, discount=0.9, seed=0)
    >>> game.transition(np.ones(3) / 3).shape
    (3, 2, 3)
    """
    check_parameters(family, parameters)
    return replace(FAMILIES[family].function(**parameters), family=family, parameters=dict(parameters))
