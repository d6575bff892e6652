"""Checks of the two functions of a game: they are called at many mean fields, and what is wrong is said in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from pma_mfg.errors import Description, InputError, one_line
from pma_mfg.games.functions import EXAMINED, FunctionGame, Game, returned, running, sample_mean_fields
from pma_mfg.games.model import LARGEST_VALUE, ROW_SUM_TOLERANCE

#: Problems of one function that are reported; further ones are left out.
SHOWN = 8


def problems(game: Game) -> list[str]:
    """Return what is wrong with a game's functions, in plain words; empty for a sound game, or one with features.

    Examined at the uniform mean field, at the vertices of the simplex and at 64 random mean fields: no proof. Each kind
    of problem is told once per function, where it is worst, and at how many of the mean fields it appears.

    Parameters
    ----------
    game : Game

    Returns
    -------
    list of str
    """
    found: list[str] = []
    if game.has_features:  # checked when it was made
        return found
    points = sample_mean_fields(game.n_states)
    sizes = {"transition": game.n_states**2 * game.n_actions, "reward": game.n_states * game.n_actions}
    for name, size in sizes.items():
        worst: dict[str, tuple[float, str, int]] = {}
        sound: np.ndarray | None = None  # the last table without a problem: if it comes again, it is not examined again
        count = min(len(points), max(32, EXAMINED // size))
        tried = points[np.linspace(0, len(points) - 1, count).astype(int)]
        for mean_field in tried:
            problems_here, sound = _problems_at(game, name, mean_field, sound)
            for kind, size_, words in problems_here:
                known = worst.get(kind, (-1.0, "", 0))
                told = (size_, words) if size_ > known[0] else known[:2]
                worst[kind] = (*told, known[2] + 1)
        for _, words, count in list(worst.values())[:SHOWN]:
            fine = f"; the other {len(tried) - count} are fine" if count < len(tried) else ""
            found.append(f"{name}: {words} (at {count} of {len(tried)} mean fields tried{fine})")
    return found


def _problems_at(
    game: FunctionGame, name: str, mean_field: np.ndarray, sound: np.ndarray | None
) -> tuple[list[tuple[str, float, str]], np.ndarray | None]:
    """Return the problems of one function at one mean field, and its table if it has none.

    A problem is its kind, its size and its description. A table that equals `sound`, the last one without problems, is
    not examined again.
    """
    where = f"at {_named(mean_field)}"
    function = game.transition_function if name == "transition" else game.reward_function
    given = mean_field.copy()
    try:
        table = returned(function, name, mean_field, source=game.source, copy=False)
        shape = (game.n_states, game.n_actions, game.n_states)[: 3 if name == "transition" else 2]
        if table.shape != shape:
            raise InputError(game.source, name, Description(f"an array of shape {table.shape}"), f"shape {shape}")
        if sound is None or not np.array_equal(table, sound):
            table, sound = table.copy(), None
        else:
            table = sound
        with running(game.source, name):
            again = function(given)
        same = np.array_equal(table, np.asarray(again, dtype=float), equal_nan=True)
    except InputError as error:
        place = "" if error.field == name else f"{error.field}: "
        return [("fails", 0.0, one_line(f"{place}{error.value}, expected {error.allowed}, {where}"))], None
    found: list[tuple[str, float, str]] = []
    if not np.array_equal(given, mean_field):
        found.append(("modifies", 0.0, f"it modifies its argument {where}: it is to work on a copy"))
    if not same:
        found.append(("random", 0.0, f"called twice, it returns two different arrays {where}: nothing may be drawn"))
    if table is not sound:
        found += _wrong_numbers(game, name, table, where, np.asarray(again).dtype)
    return found, None if found else table


def _wrong_numbers(
    game: FunctionGame, name: str, table: np.ndarray, where: str, dtype: np.dtype[Any]
) -> list[tuple[str, float, str]]:
    """Return the problems of the numbers in one table: kind, size and description of each."""
    found: list[tuple[str, float, str]] = []
    if not np.isfinite(table).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(table))[0])
        border = " (some states are empty there: mind divisions and logarithms)" if "vertex" in where else ""
        found.append(("finite", 0.0, f"{_entry(game, name, place)} = {table[place]} {where}, not finite{border}"))
        return found
    if np.abs(table).max() > LARGEST_VALUE:
        place = tuple(int(i) for i in np.unravel_index(int(np.abs(table).argmax()), table.shape))
        words = f"{_entry(game, name, place)} = {table[place]:.6g} {where}: more than {LARGEST_VALUE:g} in size"
        found.append(("large", float(np.abs(table).max()), words))
        return found
    if name == "transition":
        if table.min() < -ROW_SUM_TOLERANCE:
            place = tuple(int(i) for i in np.unravel_index(int(table.argmin()), table.shape))
            words = f"{_entry(game, name, place)} = {table[place]:.6g} {where}: a probability cannot be negative"
            found.append(("negative", -float(table.min()), words))
        excess = table.sum(axis=2) - 1.0
        if np.abs(excess).max() > ROW_SUM_TOLERANCE * max(1, game.n_states):
            s, a = (int(i) for i in np.unravel_index(int(np.abs(excess).argmax()), excess.shape))
            row = f"P(. | {_label(game.state_labels, s)}, {_label(game.action_labels, a)})"
            words = f"{row} sums to {1.0 + excess[s, a]:.9g} {where}: {excess[s, a]:+.3g} beside 1"
            if dtype.kind == "f" and dtype.itemsize < 8:
                words += f" (its numbers are {dtype}: use P = P.astype(float); P /= P.sum(axis=-1, keepdims=True))"
            found.append(("sum", float(np.abs(excess).max()), words))
    return found


def _label(labels: tuple[str, ...], i: int) -> str:
    return f"{i} '{labels[i]}'" if labels else str(i)


def _entry(game: FunctionGame, name: str, place: tuple[int, ...]) -> str:
    state, action = _label(game.state_labels, place[0]), _label(game.action_labels, place[1])
    if name == "reward":
        return f"R(state {state}, action {action})"
    return f"P(next state {_label(game.state_labels, place[2])} | state {state}, action {action})"


def _named(mean_field: np.ndarray) -> str:
    """Return a mean field in words."""
    if mean_field.max() == 1.0:
        return f"the vertex where all agents are in state {int(mean_field.argmax())}"
    if np.ptp(mean_field) == 0.0:
        return "the uniform mean field"
    shown = ", ".join(f"{x:.4g}" for x in mean_field[:8])
    return f"mean field ({shown}{', ...' if len(mean_field) > 8 else ''})"
