"""Rectangular grids: states are cells, numbered row by row from the bottom left; moves as in `MOVES`."""

from __future__ import annotations

import numpy as np

#: Action -> (rows, columns) that it moves by; row 0 is at the bottom.
MOVES = {"up": (1, 0), "right": (0, 1), "down": (-1, 0), "left": (0, -1), "stay": (0, 0)}


def layout(rows: int, columns: int) -> np.ndarray:
    """Return the column and row of each cell, shape (S, 2), S = rows * columns."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    return np.stack([column, row], axis=1).astype(float)


def state_labels(rows: int, columns: int) -> tuple[str, ...]:
    """Return the name of each cell, (row, column)."""
    return tuple(f"({row}, {column})" for row in range(rows) for column in range(columns))


def displaced(rows: int, columns: int, by: np.ndarray, *, walls: np.ndarray | None = None) -> np.ndarray:
    """Return the cell reached from each cell by each displacement; one that is blocked leaves the agent where it is.

    Parameters
    ----------
    rows, columns : int
    by : ndarray of int, shape (M, 2)
        Rows and columns to move by.
    walls : ndarray of bool, shape (S,), optional
        Cells that cannot be entered.

    Returns
    -------
    ndarray of int, shape (S, M)
    """
    row, column = (
        index[:, None] + step for index, step in zip(np.divmod(np.arange(rows * columns), columns), by.T, strict=True)
    )
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    target = np.where(inside, row * columns + column, 0)
    if walls is not None:
        inside &= ~walls[target]
    return np.where(inside, target, np.arange(rows * columns)[:, None])
