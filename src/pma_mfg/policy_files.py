"""Policies from files, of whatever origin: `load` reads them and matches states and actions by their labels.

Four kinds: an equilibrium's ``.npz`` (`pma-mfg solve --out`, or any ``.npz`` with an array ``policy``, as Bench-MFG
writes), a ``.npy`` of shape (S, A), the JSON of `pma-mfg solve --json`, and a CSV: with a row per state and a column
per action, each with its label, in any order; or with a row per state and action, as `pma-mfg learn --out-policies`
writes; or with nothing but S rows of A numbers, as `numpy.savetxt` writes, in the game's order.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pma_mfg import arrays, storage
from pma_mfg.errors import Description, InputError, nearest
from pma_mfg.games.functions import Game

#: Suffixes of the files that `load` reads.
SUFFIXES = (".npz", ".npy", ".csv", ".json")

#: Columns of a CSV with a row for each state and action; a column `replicate` may tell several policies apart.
PAIR_COLUMNS = ("state", "action", "probability")


def labels(game: Game) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the labels of a game's states and actions; their numbers where it has none."""
    states = game.state_labels or tuple(map(str, range(game.n_states)))
    actions = game.action_labels or tuple(map(str, range(game.n_actions)))
    return tuple(states), tuple(actions)


def load(path: str | Path, game: Game, *, replicate: int | None = None) -> np.ndarray:
    """Read a policy of a game.

    Parameters
    ----------
    path : path-like
        One of `SUFFIXES`. Of a table in half or single precision, rows are divided by their sums, if these are 1 up to
        the rounding of that type.
    game : Game
    replicate : int, optional
        Whose policy to take, of a CSV with the policies of several runs.

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    InputError
        If the file is of another kind, damaged, of another shape, names other states or actions than the game, or a
        row is no distribution: which one, and by how much.
    """
    source, suffix = str(path), Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(source, "file", Description(suffix or "no suffix"), f"a policy: {', '.join(SUFFIXES)}")
    storage.regular_file(path, "an existing file with a policy")
    if suffix == ".csv":
        table = _from_csv(source, game, replicate)
    elif suffix == ".npy":
        table = storage.read_array(source)
    else:
        held: Any = storage.read_arrays(path)[0] if suffix == ".npz" else storage.read_json(path)
        if not isinstance(held, dict) or "policy" not in held:
            raise InputError(
                source, "policy", Description("nothing"), "an entry `policy`, as `pma-mfg solve` writes it"
            )
        table = held["policy"]
    if replicate is not None and suffix != ".csv":
        raise InputError(source, "replicate", replicate, f"nothing: a {suffix} file holds one policy")
    if isinstance(table, np.ndarray):
        table = arrays.normalized(table)
    try:
        return arrays.probabilities(table, (game.n_states, game.n_actions), source, field="policy")
    except InputError as error:
        row = re.match(r"policy: row (\d+)", error.field)
        if not (row and game.state_labels):
            raise
        where = f"{row[0]} (state {game.state_labels[int(row[1])]}){error.field[row.end() :]}"
        raise InputError(source, where, error.value, error.allowed) from None


def regularizer_of(path: str | Path) -> tuple[str, float] | None:
    """Return name and strength of the regularizer that an ``.npz`` or JSON file says its policy belongs to, if it does.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    tuple of str and float, or None
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".npz", ".json"):
        return None
    told = storage.read_arrays(path)[1] if suffix == ".npz" else storage.read_json(path)
    name, strength = (told.get(key) for key in ("regularizer", "strength")) if isinstance(told, dict) else (None, None)
    if isinstance(name, str) and isinstance(strength, float | int) and 0.0 < strength < np.inf:
        return name, float(strength)
    return None


def _from_csv(source: str, game: Game, replicate: int | None) -> np.ndarray:
    """Return the table of a CSV with labels, in the game's order."""
    try:
        text = Path(source).read_text(encoding="utf-8-sig")
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if any(map(str.strip, row))]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(source, "file", Description(error), "comma-separated values in UTF-8") from None
    if not rows:
        raise InputError(source, "file", Description("no line"), "a line of action labels, then a line per state")
    names = [cell.strip() for cell in rows[0]]
    if set(PAIR_COLUMNS) <= set(names):
        return _from_pairs(source, game, [dict(zip(names, row, strict=False)) for row in rows[1:]], replicate)
    if replicate is not None:
        raise InputError(source, "replicate", replicate, "nothing: this file holds one policy")
    states, actions = labels(game)
    if [len(row) for row in rows] == [len(actions)] * len(states):  # with labels there is one more of each
        return np.array(
            [
                [_probability(source, f"state {s}, action {a}", cell) for a, cell in zip(actions, row, strict=True)]
                for s, row in zip(states, rows, strict=True)
            ]
        )
    header, body = [cell.strip() for cell in rows[0][1:]], rows[1:]
    columns = _order(source, "action", header, actions)
    lines = _order(source, "state", [row[0].strip() for row in body], states)
    table = np.empty((len(states), len(actions)))
    for s, line in enumerate(lines):
        cells = body[line][1:]
        if len(cells) != len(header):
            shown = Description(f"{len(cells)} values")
            raise InputError(source, f"state {states[s]}", shown, f"{len(header)}, one per action of the first line")
        for a, column in enumerate(columns):
            table[s, a] = _probability(source, f"state {states[s]}, action {actions[a]}", cells[column])
    return table


def _probability(source: str, where: str, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise InputError(source, where, cell, "a probability") from None


def _from_pairs(source: str, game: Game, rows: list[dict[str, str]], replicate: int | None) -> np.ndarray:
    """Return the table of a CSV with a row for each state and action, of one replicate, in the game's order."""
    runs = list(dict.fromkeys(row.get("replicate", "0").strip() for row in rows))
    if replicate is None and len(runs) > 1:
        told = Description(f"policies of {len(runs)} replicates")
        raise InputError(source, "replicate", told, f"which one to take: {', '.join(runs[:12])}")
    chosen = runs[0] if replicate is None and runs else str(replicate)
    if chosen not in runs:
        raise InputError(source, "replicate", replicate, f"one of the file's: {', '.join(runs[:12])}")
    table = np.full((game.n_states, game.n_actions), np.nan)
    for row in rows:
        if row.get("replicate", "0").strip() != chosen:
            continue
        place = tuple(
            _number(source, kind, (row.get(kind) or "").strip(), known)
            for kind, known in zip(("state", "action"), labels(game), strict=True)
        )
        where = f"state {row['state'].strip()}, action {row['action'].strip()}"
        if not np.isnan(table[place]):
            raise InputError(source, where, Description("two rows"), "one row")
        table[place] = _probability(source, where, row.get("probability") or "")
    if np.isnan(table).any():
        s, a = np.argwhere(np.isnan(table))[0]
        names = labels(game)
        raise InputError(source, f"state {names[0][s]}, action {names[1][a]}", Description("no row"), "one row")
    return table


def _number(source: str, kind: str, given: str, known: tuple[str, ...]) -> int:
    """Return the number of a state or an action that a file names by its label or its number."""
    if given in known:
        return known.index(given)
    if re.fullmatch(r"\d+", given) and int(given) < len(known):
        return int(given)
    shown = f"{', '.join(known[:12])}{', ...' if len(known) > 12 else ''}"
    raise InputError(source, kind, given, f"one of the game's, or a number below {len(known)}: {shown}")


def _order(source: str, kind: str, given: Sequence[str], expected: tuple[str, ...]) -> list[int]:
    """Return the place of each expected label among the given ones.

    Raises
    ------
    InputError
        For a label that is unknown, missing, or there twice.
    """
    allowed = f"each {kind} of the game once: {', '.join(expected[:12])}{', ...' if len(expected) > 12 else ''}"
    for i, label in enumerate(given):
        if label not in expected:
            raise InputError(source, f"{kind} label", label, f"{allowed}{nearest(label, expected)}")
        if label in given[:i]:
            raise InputError(source, f"{kind} label", Description(f"'{label}' twice"), allowed)
    if missing := [label for label in expected if label not in given]:
        raise InputError(source, f"{kind} label", Description(f"no '{missing[0]}'"), allowed)
    return [given.index(label) for label in expected]
