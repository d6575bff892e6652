"""Whether the tables of a game with a finite horizon are the same at all times, which makes it a game of ours.

See docs/theory, section 16.7. Needs none of the other libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pma_mfg.arrays import TOLERANCE
from pma_mfg.errors import Description, InputError
from pma_mfg.games.functions import sample_mean_fields

#: From a time and a mean field to P, shape (S, A, S), and R, shape (S, A).
Tables = Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray]]

#: Mean fields at which all times are compared: the vertices are left out, where rewards may be huge.
POINTS = 4


def points(n_states: int) -> list[np.ndarray]:
    """Return the mean fields at which times are compared: the uniform one and some inside the simplex."""
    inside = [each for each in sample_mean_fields(n_states) if each.min() > 0.0]
    return inside[:POINTS]


def folded(
    tables: Tables,
    visits: Sequence[tuple[np.ndarray, Sequence[int]]],
    discount: float,
    *,
    source: str,
    labels: tuple[Sequence[str], Sequence[str]],
) -> bool:
    """Return whether rewards fall as discount^t, or raise an error if the tables change with time in another way.

    Parameters
    ----------
    tables : callable
    visits : sequence of (mean field, times)
        At which mean field which times are compared.
    discount : float
    source : str
        For messages.
    labels : pair of sequences of str
        Of the states and the actions, for messages.

    Returns
    -------
    bool
        False if rewards are the same at all times.

    Raises
    ------
    InputError
        With the first entry that differs, the times, and by how much.
    """
    constant: InputError | None = None
    falling: InputError | None = None
    for mean_field, times in visits:
        transition, reward = tables(times[0], mean_field)
        for time in times[1:]:
            other_transition, other_reward = tables(time, mean_field)
            where = (times[0], time, source, labels)
            if found := _difference("transition", transition, other_transition, where):
                raise found
            constant = constant or _difference("reward", reward, other_reward, where)
            falling = falling or _difference("reward", discount ** (time - times[0]) * reward, other_reward, where)
    if constant is not None and falling is not None:
        raise constant
    return constant is not None


def _difference(
    kind: str,
    first: np.ndarray,
    other: np.ndarray,
    where: tuple[int, int, str, tuple[Sequence[str], Sequence[str]]],
) -> InputError | None:
    """Return an error for the entry at which two tables differ most, or None if they are equal to rounding."""
    change = np.abs(other - first)
    if not (change > TOLERANCE * np.maximum(1.0, np.abs(first))).any():
        return None
    before, time, source, (states, actions) = where
    entry = tuple(int(i) for i in np.unravel_index(int(change.argmax()), change.shape))
    place = f"{kind} of state {states[entry[0]]}, action {actions[entry[1]]}"
    if len(entry) == 3:
        place += f", next state {states[entry[2]]}"
    told = Description(f"{other[entry]:.6g} at time {time} and {first[entry]:.6g} at time {before}")
    allowed = "the same at all times" if kind == "transition" else "the same at all times, or falling as discount^t"
    return InputError(source, place, told, f"{allowed}: a game of ours is stationary")
