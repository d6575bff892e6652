"""Games on disk: one ``.npz`` of plain arrays with a JSON metadata entry (tables as in docs/theory, section 1).

A sparse matrix called x is stored as its parts, x_data, x_indices, x_indptr and x_shape.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from pma_mfg.errors import Description, InputError, is_plain
from pma_mfg.games import function_checks, functions
from pma_mfg.games.features import Features
from pma_mfg.games.functions import FunctionGame, Game, load_functions
from pma_mfg.games.model import MeanFieldGame, Planted
from pma_mfg.games.recognition import examined
from pma_mfg.storage import read_arrays, regular_file, write_arrays, write_text

_TABLES = ("base_transition", "base_reward", "transition_terms", "reward_terms")

_FEATURE_FIELDS = tuple(Features.__dataclass_fields__)

_MATRIX_PARTS = ("data", "indices", "indptr", "shape")

_LABELS = ("state_labels", "action_labels")

_PLANTED = ("planted_policy", "planted_mean_field", "planted_strength")

_KINDS = "a game: an .npz file of arrays, or a .py file of Python functions"


def save(game: Game, path: str | Path, inputs: Sequence[str | Path] = ()) -> None:
    """Write a game to `path`; written atomically, with a hash of the content.

    Parameters
    ----------
    game : Game
    path : path-like
        Ending in ``.npz``, or in nothing; in ``.py`` for a game of functions that was read from such a file, whose text
        is written.
    inputs : sequence of path-like, optional
        Other files that such a text reads: the copy notes their content (`functions.copied_text`).

    Raises
    ------
    InputError
        For what is not a game, one given by functions that was not read from a file, or a path with another ending.
    """
    if not isinstance(game, MeanFieldGame | FunctionGame):  # numpy.save, say, takes the path first
        told = Description(f"a value of type {type(game).__name__}")
        raise InputError("games.save", "game", told, "a game, and then a path: save(game, path)")
    if not game.has_features:
        if Path(path).suffix != ".py" or not game.text:
            raise InputError("games.save", "path", str(path), "a path ending in .py, of a game read from such a file")
        write_text(path, functions.copied_text(game, inputs))
        return
    if Path(path).suffix not in ("", ".npz"):
        raise InputError("games.save", "path", str(path), "a path ending in .npz, of a game of arrays")
    arrays = {name: getattr(game, name) for name in _TABLES}
    arrays["discount"] = np.array(float(game.discount))
    for kind in ("transition", "reward"):
        features = getattr(game, f"{kind}_features")
        arrays |= {f"{kind}_{name}": getattr(features, name) for name in _FEATURE_FIELDS}
    if game.planted is not None:
        arrays["planted_policy"] = game.planted.policy
        arrays["planted_mean_field"] = game.planted.mean_field
        arrays["planted_strength"] = np.array(game.planted.strength)
    for name in [name for name, array in arrays.items() if isinstance(array, csr_array)]:
        matrix = arrays.pop(name)
        arrays |= {f"{name}_{part}": np.asarray(getattr(matrix, part)) for part in _MATRIX_PARTS}
    if game.layout is not None:
        arrays["layout"] = game.layout
    metadata: dict[str, Any] = {"family": game.family, "parameters": game.parameters}
    metadata |= {name: list(labels) for name in _LABELS if (labels := getattr(game, name))}
    write_arrays(path, arrays, metadata)


def from_functions(
    transition: Callable[[np.ndarray], Any],
    reward: Callable[[np.ndarray], Any],
    discount: float,
    *,
    n_states: int | None = None,
    state_labels: Sequence[str] = (),
    action_labels: Sequence[str] = (),
    layout: Any = None,
) -> Game:
    """Return the game of two functions of the mean field, checked, and with features where they are recognized.

    Parameters
    ----------
    transition : callable
        From mu, shape (S,), to P(s'|s,a,mu), shape (S, A, S).
    reward : callable
        From mu, shape (S,), to R(s,a,mu), shape (S, A).
    discount : float
        gamma, in [0, 1).
    n_states : int, optional
        S; the number of `state_labels` by default.
    state_labels, action_labels : sequence of str
        S and A names that differ, or none.
    layout : array-like, shape (S, 2), optional
        As in `MeanFieldGame`.

    Returns
    -------
    MeanFieldGame or FunctionGame
        The second, with its `reason`, if no features were recognized (`recognition.recognized`).

    Raises
    ------
    InputError
        Names the function or the argument, and what is wrong at which mean field.

    Examples
    --------
    >>> game = from_functions(lambda mu: np.full((2, 1, 2), 0.5), lambda mu: -mu[:, None], 0.9, n_states=2)
    >>> game.reward_features.weights
    array([[1., 0.],
           [0., 1.]])
    """
    labels: dict[str, Any] = {"state_labels": state_labels, "action_labels": action_labels}
    source = "games.from_functions"
    game = functions.checked(transition, reward, discount, n_states=n_states, layout=layout, source=source, **labels)
    return sound(game)


def sound(game: Game) -> Game:
    """Check the functions of a game, and return the game with features if they are recognized.

    Parameters
    ----------
    game : Game
        As it was read.

    Returns
    -------
    MeanFieldGame or FunctionGame

    Raises
    ------
    InputError
        With the first of `function_checks.problems`.
    """
    if not game.has_features and (found := function_checks.problems(game)):
        count = Description(f"{len(found)} such problem{'s' * (len(found) > 1)}")
        told = f" (see pma-mfg validate {game.source})" if game.text else ""
        raise InputError(game.source, found[0], count, f"none{told}")
    return examined(game)


def load(path: str | Path, inputs: Sequence[str | Path] | None = None) -> Game:
    """Read and validate a game: arrays from ``.npz``, which never runs code, or Python functions from ``.py``.

    A Python file is run (`functions.load_functions` says what it defines): load only files that you trust. Functions
    that are recognized (`recognition.recognized`) become a game with features.

    A file made with ``numpy.savez`` needs `discount`, `base_transition` (S, A, S) and `base_reward` (S, A); the terms
    and features of either (`transition_terms`, `transition_weights`, `transition_offsets`, `transition_links`,
    `transition_parameters`, and the same for `reward`) come together or not at all. Tables and weights may be sparse,
    in parts: `base_transition_data`, `base_transition_indices`, `base_transition_indptr`, `base_transition_shape`.

    Parameters
    ----------
    path : path-like
    inputs : sequence of path-like, optional
        All other files that a Python file may read; by default it may read what it likes.

    Returns
    -------
    MeanFieldGame or FunctionGame

    Raises
    ------
    InputError
        Names the file, the array, the value and what is allowed.
    """
    source = str(path)
    if Path(path).suffix not in (".npz", ".py"):
        regular_file(path, _KINDS)
        if not zipfile.is_zipfile(path):  # a game under another name is a game
            raise InputError(source, "file", Description("something else"), _KINDS)
    if Path(path).suffix == ".py":
        if inputs is None:
            return sound(load_functions(path))
        with functions.files_read() as read:
            game = sound(load_functions(path))
        if missing := functions.unlisted(read, inputs, source):
            wanted = ", ".join(map(str, (*inputs, *missing)))
            shown = Description(f"a file that reads {', '.join(missing)}")
            raise InputError(source, "inputs", shown, f"what it reads to be named beside it: inputs: [{wanted}]")
        return game
    loaded: list[MeanFieldGame] = []

    def build(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        loaded.append(_from_arrays(source, arrays, metadata))

    read_arrays(path, validate=build)
    return loaded[0]


class _Unchecked(MeanFieldGame):
    """A game whose tables are not checked when it is made, so that all its problems can be listed."""

    def validate(self, source: str) -> None:
        """Check nothing."""


def problems(path: str | Path) -> list[str]:
    """Return all that is wrong with the game of a file, in plain words; empty for a sound one.

    Arrays are examined first, and if nothing is wrong with them, probabilities and rewards at the mean fields of
    `function_checks.problems`.

    Parameters
    ----------
    path : path-like
        ``.npz`` or ``.py``, as in `load`.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If the file cannot be read at all.
    """
    if Path(path).suffix == ".py":
        return function_checks.problems(load_functions(path))
    source = str(path)
    found: list[str] = []

    def examine(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        given = {name.removesuffix("_indptr") for name in arrays}
        wanted = ["discount", "base_transition", "base_reward"]
        for kind in ("transition", "reward"):
            names = [f"{kind}_terms", *(f"{kind}_{name}" for name in _FEATURE_FIELDS)]
            wanted += names if given.intersection(names) else []
        missing = [name for name in wanted if name not in given]
        found.extend(f"{name}: not in the file, which needs an array of this name" for name in missing)
        if missing:
            return
        try:
            game = _from_arrays(source, arrays, metadata, kind_of_game=_Unchecked)
            found.extend(_words(error) for error in game.structural_problems(source))
        except InputError as error:
            found.append(_words(error))
        if found:
            return
        try:
            dense = game.dense(source)
        except InputError:  # a large sparse game has no tables to look at: `load` checks its features instead
            return
        as_functions = FunctionGame(
            0.0,
            dense.transition,
            dense.reward,
            n_states=dense.n_states,
            n_actions=dense.n_actions,
            state_labels=game.state_labels,
            action_labels=game.action_labels,
        )
        told = function_checks.problems(as_functions)
        found.extend(f"{words}{_single_precision(arrays)}" if " sums to " in words else words for words in told)

    try:
        read_arrays(path, validate=examine)
    except InputError as error:
        if error.field != "content_hash":
            raise
        found.append(_words(error))
    return found


def _single_precision(arrays: dict[str, np.ndarray]) -> str:
    """Return advice where row sums differ from 1 since numbers have fewer than 64 bits; else an empty text."""
    dtype = next((a.dtype for name, a in arrays.items() if name.startswith("base_transition")), np.dtype(float))
    if dtype.kind != "f" or dtype.itemsize >= 8:
        return ""
    return f" (base_transition is {dtype}: store P.astype(float), divided by P.sum(axis=-1, keepdims=True))"


def _words(error: InputError) -> str:
    """Return the message of an error without the name of the file."""
    return str(error).removeprefix(f"{error.source}: ")


def _from_arrays(
    source: str,
    arrays: dict[str, np.ndarray],
    metadata: dict[str, Any],
    *,
    kind_of_game: type[MeanFieldGame] = MeanFieldGame,
) -> MeanFieldGame:
    used: set[str] = set()

    def take(name: str) -> Any:
        if f"{name}_indptr" in arrays:
            used.update(f"{name}_{part}" for part in _MATRIX_PARTS)
            return _matrix(source, name, arrays)
        if name not in arrays:
            raise InputError(source, name, Description("nothing"), "an array of this name in the file")
        used.add(name)
        return _native(arrays[name])

    def one_number(name: str, allowed: str) -> float:
        array = take(name)
        if array.shape != () or array.dtype.kind not in "fiu":
            raise InputError(source, name, Description(f"shape {array.shape} of type {array.dtype}"), allowed)
        return float(array)

    discount = one_number("discount", "one number in [0, 1)")
    reward = take("base_reward")
    if reward.ndim != 2:
        raise InputError(source, "base_reward", Description(f"shape {reward.shape}"), "shape (S, A)")
    tables = {"base_transition": take("base_transition"), "base_reward": reward}
    features = {}
    for kind, shape in (("transition", tables["base_transition"].shape), ("reward", reward.shape)):
        names = [f"{kind}_terms", *(f"{kind}_{name}" for name in _FEATURE_FIELDS)]
        if any(name in arrays or f"{name}_indptr" in arrays for name in names):
            tables[f"{kind}_terms"] = take(names[0])
            features[kind] = Features(*(take(name) for name in names[1:]))
        else:
            sparse = kind == "transition" and isinstance(tables["base_transition"], csr_array)
            empty = csr_array((0, tables["base_transition"].nnz)) if sparse else np.zeros((0, *shape))
            tables[f"{kind}_terms"] = empty
            features[kind] = Features.none(reward.shape[0])
    planted = None
    if any(name in arrays for name in _PLANTED):
        strength = one_number("planted_strength", "one finite number > 0")
        planted = Planted(take("planted_policy"), take("planted_mean_field"), strength)
    layout = take("layout") if "layout" in arrays else None
    if unknown := sorted(arrays.keys() - used):
        known = ", ".join((*_TABLES, "discount", "layout", *_PLANTED))
        raise InputError(source, "arrays", unknown, f"none but those of a game ({known}, and the features' fields)")
    described = _described(source, metadata)
    try:
        return kind_of_game(
            discount=discount,
            transition_features=features["transition"],
            reward_features=features["reward"],
            planted=planted,
            layout=layout,
            **described,
            **tables,
        )
    except InputError as error:
        hint = _single_precision(arrays) if ": sum of P" in error.field else ""
        raise InputError(source, error.field, error.value, error.allowed + hint) from None


def _native(array: np.ndarray) -> np.ndarray:
    """Return numbers as float64 or int64, which compiled code takes; what is not a number is returned as it is."""
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # of a wider type: infinity, which is refused
            return array.astype(np.float64)
    return array.astype(np.int64) if array.dtype.kind in "iu" and array.dtype != np.uint64 else array


def _described(source: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return what the metadata says of a game, if it is of the right kind."""
    family, parameters = metadata.get("family", "custom"), metadata.get("parameters", {})
    if not is_plain(family):
        raise InputError(source, "metadata: family", family, "a text that can be printed")
    if not isinstance(parameters, dict):
        raise InputError(source, "metadata: parameters", parameters, "an object")
    labels = {name: metadata.get(name, []) for name in _LABELS}
    for name, given in labels.items():
        if not isinstance(given, list) or not all(map(is_plain, given)):
            raise InputError(source, f"metadata: {name}", given, "a list of texts that can be printed")
    return {"family": family, "parameters": parameters, **{name: tuple(given) for name, given in labels.items()}}


def _matrix(source: str, name: str, arrays: dict[str, np.ndarray]) -> csr_array:
    """Put a sparse matrix together from its parts; what it holds is checked with the game."""
    parts = {}
    for part in _MATRIX_PARTS:
        kinds = "f" if part == "data" else "iu"
        whole = f"{name}_{part}"
        if whole not in arrays:
            raise InputError(source, whole, Description("nothing"), "an array of this name in the file")
        array = parts[part] = _native(arrays[whole])
        if array.ndim != 1 or array.dtype.kind not in kinds:
            shown = Description(f"shape {array.shape} of type {array.dtype}")
            raise InputError(source, whole, shown, f"one dimension, of {'numbers' if part == 'data' else 'integers'}")
    try:
        return csr_array((parts["data"], parts["indices"], parts["indptr"]), shape=tuple(parts["shape"].tolist()))
    except (ValueError, TypeError, OverflowError, IndexError, MemoryError) as error:
        raise InputError(source, name, Description(error), "the parts of a sparse matrix") from None
