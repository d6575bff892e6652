"""Iterative solvers for large games: fixed points and linear systems known by their action (docs/theory.md, 3.3, 3.4).

Every one measures the true residual of what it returns. Cost: a few dozen applications of the map, and vectors.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse.linalg import LinearOperator, bicgstab, gmres

from pma_mfg.errors import ConvergenceError
from pma_mfg.games.model import Table, to_dense

#: Up to this many unknowns a system is solved by dense elimination: about as fast as a Krylov method, and exact.
DIRECT_SIZE = 500
#: Steps that Anderson acceleration remembers.
WINDOW = 5
#: An accelerated step must bring the residual down to this share of its present value.
ACCEPTED = 0.999
#: Where a plain update brings the residual below this share, there is nothing to accelerate.
FAST = 0.5
EPSILON = float(np.finfo(float).eps)

Map = Callable[[np.ndarray], np.ndarray]


def anderson(update: Map, start: np.ndarray, tolerance: float, max_iterations: int) -> tuple[np.ndarray, list[float]]:
    """Iterate a map of the simplex to its fixed point with Anderson acceleration (docs/theory.md, section 3.3).

    The last `WINDOW` differences of residuals, combined by least squares, extrapolate the next iterate, which is put
    back on the simplex. It is kept only if its residual is at most `ACCEPTED` times the present one; otherwise a plain
    update is made and the memory cleared. Below the tolerance steps continue while they halve the residual.

    Parameters
    ----------
    update : callable
        From (S,) to (S,).
    start : ndarray, shape (S,)
    tolerance : float
        On the l1 norm of update(x) - x.
    max_iterations : int

    Returns
    -------
    x : ndarray, shape (S,)
        The last iterate, whether or not it reached the tolerance.
    history : list of float
        The residual of each iterate; the last one belongs to `x`.
    """
    x, updated = start, update(start)
    gap = updated - x
    history = [_l1(gap)]
    gap_changes, update_changes = np.zeros((2, WINDOW, len(x)))
    stored, plain_rate = 0, 0.0
    while len(history) <= max_iterations:
        if history[-1] <= tolerance and (len(history) < 2 or history[-1] >= 0.5 * history[-2]):
            break
        accelerated = plain_rate > FAST  # never at the first step, where nothing is stored
        for accelerate in (True, False) if accelerated else (False,):
            candidate = updated
            if accelerate:
                count = min(stored, WINDOW)
                candidate = candidate - _least_squares(gap_changes[:count], gap) @ update_changes[:count]
            candidate = np.maximum(candidate, 0.0)
            candidate = candidate / candidate.sum()
            candidate_updated = update(candidate)
            candidate_gap = candidate_updated - candidate
            residual = _l1(candidate_gap)
            if not accelerate:
                stored, plain_rate = (0 if accelerated else stored), residual / max(history[-1], 1e-300)
            elif residual <= ACCEPTED * history[-1]:
                break
        gap_changes[stored % WINDOW] = candidate_gap - gap
        update_changes[stored % WINDOW] = candidate_updated - updated
        stored += 1
        x, updated, gap = candidate, candidate_updated, candidate_gap
        history.append(residual)
    return x, history


def _least_squares(rows: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return c that minimizes ||target - c rows||_2, by normal equations: a bad solution is caught by its residual."""
    gram = rows @ rows.T
    gram[np.diag_indices_from(gram)] += 1e-14 * np.trace(gram) + 1e-300
    return np.linalg.solve(gram, rows @ target)


def _l1(x: np.ndarray) -> float:
    return float(np.abs(x).sum())


def discounted_sum(kernel: Table, discount: float, gain: np.ndarray) -> np.ndarray:
    """Return V = (I - gamma P)^{-1} g for a stochastic matrix P (docs/theory.md, section 3.4).

    By elimination up to `DIRECT_SIZE` states. For more, by BiCGSTAB on the present residual, repeated while that halves
    the residual, and by the contraction V <- g + gamma P V from there on, down to the level of rounding.

    Parameters
    ----------
    kernel : ndarray or csr_array, shape (S, S)
    discount : float
        gamma, in [0, 1).
    gain : ndarray, shape (S,)

    Returns
    -------
    ndarray, shape (S,)
        With an error of at most max|g + gamma P V - V| / (1 - gamma).

    Raises
    ------
    ConvergenceError
        If the residual is not small: entries are not finite.
    """
    size = len(gain)
    if size <= DIRECT_SIZE:
        return np.linalg.solve(np.eye(size) - discount * to_dense(kernel), gain)

    def residual_of(value: np.ndarray) -> np.ndarray:
        return np.asarray(gain + discount * (kernel @ value) - value)

    system = _operator(lambda value: value - discount * (kernel @ value), size)
    value = np.full(size, gain.mean() / (1.0 - discount))  # exact for what is the same in every state
    residual = residual_of(value)
    history = [float(np.abs(residual).max())]
    krylov = True
    while history[-1] > 8.0 * EPSILON * np.abs(value).max():
        step = residual
        if krylov:
            # in a unit of its own: SciPy takes small products of residuals for a breakdown
            unit = 2.0 ** np.floor(np.log2(history[-1]))
            step = unit * bicgstab(system, residual / unit, rtol=1e-10, atol=0.0, maxiter=200)[0]
        candidate_residual = residual_of(value + step)
        reached = float(np.abs(candidate_residual).max())
        if krylov and not reached <= 0.5 * history[-1]:
            krylov = False
        elif not reached < history[-1]:
            break  # a contraction stops falling at the level of rounding only
        else:
            value, residual = value + step, candidate_residual
            history.append(reached)
    if not history[-1] <= 1e-12 * np.abs(value).max():
        raise ConvergenceError("discounted_sum: the values of a policy were not found", history)
    return value


def krylov_solve(apply: Map, right_side: np.ndarray, tolerance: float, max_iterations: int = 500) -> np.ndarray:
    """Solve a linear system known by its action, by GMRES.

    Parameters
    ----------
    apply : callable
        From (n,) to (n,), linear.
    right_side : ndarray, shape (n,)
    tolerance : float
        On the true residual, relative to the right side, in the l2 norm.
    max_iterations : int

    Returns
    -------
    ndarray, shape (n,)

    Raises
    ------
    ConvergenceError
        If the residual of the solution is above ten times the tolerance.
    """
    scale = float(np.linalg.norm(right_side))
    if scale == 0.0:
        return np.zeros_like(right_side)
    restart = min(50, max_iterations)
    solution = gmres(
        _operator(apply, len(right_side)),
        right_side,
        rtol=tolerance,
        atol=0.0,
        restart=restart,
        maxiter=-(-max_iterations // restart),
    )[0]
    residual = float(np.linalg.norm(apply(solution) - right_side)) / scale
    if not residual <= 10.0 * tolerance:
        raise ConvergenceError(f"krylov_solve: relative residual above {tolerance:g}", [1.0, residual])
    return np.asarray(solution)


def _operator(apply: Map, size: int) -> LinearOperator:
    return LinearOperator((size, size), matvec=apply, dtype=np.float64)
