"""Stationary laws by subtraction-free elimination (docs/theory, section 3.2), and iterative solvers for large games.

The iterative ones, for fixed points and linear systems known by their action (3.3, 3.4), measure the true residual of
what they return. Cost: a few dozen applications of the map, and vectors. A residual does not bound the error of a
stationary law: that takes the rate at which the chain mixes as well.
"""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable

import numpy as np
import scipy
from scipy.sparse import csr_array

from pma_mfg.errors import ConvergenceError
from pma_mfg.games.features import Table, to_dense

#: Number of states that `Elimination` removes as one block, by matrix products.
BLOCK = 32

#: Largest number of unknowns for dense elimination; larger systems are solved by Krylov methods.
DIRECT_SIZE = 500

#: Number of previous steps that Anderson acceleration uses.
WINDOW = 5

#: Factor by which an accelerated step must at least reduce the residual; otherwise a plain update is made.
ACCEPTED = 0.999

#: Factor below which plain updates converge fast enough to need no acceleration.
FAST = 0.5

EPSILON = float(np.finfo(float).eps)

TINY = float(np.finfo(float).tiny)

#: Ratio of two masses in one recurrent class above which the elimination starts again from the heavier state.
LARGE = 1e200

#: What an entry of the elimination is cut at: products of two may still be added up.
LARGEST = LARGE**1.4

#: States up to which the components of a table are remembered: its pattern takes the square of them in bytes.
REMEMBERED = 256

#: Largest number of times that the elimination starts again from a heavier state.
HEADS = 10

Map = Callable[[np.ndarray], np.ndarray]


class Elimination:
    """A Markov chain whose states are eliminated without subtractions (docs/theory, section 3.2).

    The algorithm of Grassmann, Taksar and Heyman, some states at a time. It reads the off-diagonal entries only, and
    adds, multiplies and divides numbers that are not negative: every entry of the stationary law has a relative error
    of some S machine epsilons, however slowly the chain mixes. Cost: (2/3) S^3, as of an LU decomposition.

    Parameters
    ----------
    kernel : ndarray, shape (S, S)
        P(y|s); what is below zero is rounding, and counts as zero.
    edges : ndarray of bool, shape (S, S), optional
        Which entries lead from one state to another; by default those above zero. Others join no classes.
    masses : ndarray, shape (S,), optional
        Begin with the state of most mass in every class, which `deviation` wants: by default with the first.

    Attributes
    ----------
    label : ndarray of int, shape (S,)
        The number of each state's recurrent class; -1 for transient states.
    classes : int
        How many recurrent classes there are.
    """

    def __init__(
        self, kernel: np.ndarray, edges: np.ndarray | None = None, *, masses: np.ndarray | None = None
    ) -> None:
        kernel = np.maximum(kernel, 0.0)
        edges = kernel > 0.0 if edges is None else edges
        self.label, self.classes = np.zeros(len(kernel), dtype=np.int64), 1
        if not edges.all():
            self.label, self.classes = closed_components(edges)
        self._connected = not self.label.any()
        heads = np.zeros(1, dtype=np.int64)
        if masses is not None or not self._connected:
            heads = self._heaviest(np.ones(len(kernel)) if masses is None else masses)
        self._laws = np.empty(len(kernel))
        for _ in range(HEADS):
            with np.errstate(over="ignore"):
                self._eliminate(kernel, heads)
            if not (self._laws > LARGE).any():
                break
            # a state with so much more mass than the first of its class is the one to begin with
            heavy = self._heaviest(self._laws)
            heads = np.where(self._laws[heavy] > LARGE, heavy, heads)
        if self._connected:
            self._laws = self._laws / np.bincount(self.label, self._laws)
            return
        totals = np.bincount(self.label + 1, self._laws, self.classes + 1)
        totals[0] = np.inf  # transient states have no mass
        self._laws = self._laws / totals[self.label + 1]

    def _heaviest(self, weights: np.ndarray) -> np.ndarray:
        """Return the state of most weight in every class, shape (C,)."""
        if self._connected:
            return np.array([weights.argmax()])
        return np.array([np.argmax(np.where(self.label == c, weights, -1.0)) for c in range(self.classes)])

    def _eliminate(self, kernel: np.ndarray, heads: np.ndarray) -> None:
        """Keep one state of every class, eliminate the others from the end: transient states, then the rest."""
        self._in_order = self._connected and heads[0] == 0
        if self._in_order:
            chain = kernel.copy()
        else:
            place = np.where(self.label < 0, self.classes + 1, self.classes)
            place[heads] = range(self.classes)  # since place c is that of class c in `masses`
            self._order = place.argsort(kind="stable")
            chain = kernel[self._order[:, None], self._order]
        if self.classes > 1:  # what joins no classes leads nowhere
            label = self.label[self._order]
            chain[(label[:, None] >= 0) & (label[:, None] != label)] = 0.0
        self._stages: list[tuple[slice, np.ndarray, np.ndarray, np.ndarray]] = []
        stop = len(chain)
        while stop > self.classes:
            start = max(self.classes, stop - BLOCK)
            size = stop - start
            # rows [P_BA, P_BB, I], reduced to [exits, ., visits]: the law of the first state outside of the block, and
            # the expected numbers of visits to its states before; a column in between is read no more once it was
            rows = np.zeros((size, stop + size))
            rows[:, :stop] = chain[start:stop, :stop]
            rows[:, stop:].flat[:: size + 1] = 1.0
            for k in range(size - 1, -1, -1):
                row, column = rows[k], rows[:, start + k, None]
                # not the complement of the diagonal entry: the chance to leave is a sum of what leads elsewhere
                row /= max(np.add.reduce(row[: start + k]), TINY)
                np.minimum(row, LARGEST, out=row)
                passed_on = column * row
                passed_on[k] = 0.0
                rows += passed_on
            exits, visits = rows[:, :start], rows[:, stop:]
            entries = chain[:start, start:stop].copy()
            if start > self.classes:
                chain[:start, :start] += entries @ exits
            self._stages.append((slice(start, stop), entries, exits, visits))
            stop = start
        law = np.zeros(len(chain))
        law[: self.classes] = 1.0
        for block, entries, _, visits in reversed(self._stages):
            law[block] = np.minimum((law[: block.start] @ entries) @ visits, LARGEST)
        if self._in_order:
            self._laws = law
        else:
            self._laws[self._order] = law

    def masses(self, weights: np.ndarray) -> np.ndarray:
        """Return what each class gets of weights (..., S), those of transient states by their absorption, (..., C)."""
        return self._reduced(weights)[..., : self.classes]

    def _reduced(self, weights: np.ndarray) -> np.ndarray:
        if self._in_order:
            # laid out as another order of the states leaves it, which decides how products are summed up
            moved = np.array(weights, dtype=float, order="F")
        else:
            moved = np.asarray(weights[..., self._order], dtype=float)
        for block, _, exits, _ in self._stages:
            moved[..., : block.start] += moved[..., block] @ exits
        return moved

    def law(self, start: np.ndarray) -> np.ndarray:
        """Return the stationary law, shape (S,), in which every class has the mass that a start (S,) gives it."""
        law = self._laws
        if self.classes > 1:
            masses = self.masses(start)
            law = law * (masses / masses.sum())[self.label]
        return np.asarray(law / law.sum())

    def deviation(self, flows: np.ndarray) -> np.ndarray:
        """Return x with x (I - P) = f and no mass in any class, for flows f (..., S) without mass in any class."""
        x = self._reduced(flows)
        x[..., : self.classes] = 0.0
        for block, entries, _, visits in reversed(self._stages):
            x[..., block] = (x[..., block] + x[..., : block.start] @ entries) @ visits
        if self._in_order:
            return np.asarray(x - np.multiply(self.masses(x), self._laws, order="F"))
        found = np.empty_like(x)
        found[..., self._order] = x
        return np.asarray(found - self.masses(found)[..., self.label] * self._laws)


def closed_components(edges: np.ndarray | csr_array) -> tuple[np.ndarray, int]:
    """Return the number of the closed strongly connected component of each state, -1 outside of all, and their count.

    Parameters
    ----------
    edges : ndarray or csr_array of bool, shape (S, S)

    Returns
    -------
    label : ndarray of int, shape (S,)
        Components are numbered by their first state.
    count : int
    """
    if isinstance(edges, csr_array) or len(edges) > REMEMBERED:
        return _components(csr_array(edges))
    return _components_of_pattern(edges.tobytes(), len(edges))


@functools.lru_cache(maxsize=8)
def _components_of_pattern(pattern: bytes, size: int) -> tuple[np.ndarray, int]:
    """Return the `closed_components` of a table of truth values; chains of an iteration mostly have the same zeros."""
    label, count = _components(csr_array(np.frombuffer(pattern, dtype=bool).reshape(size, size)))
    label.flags.writeable = False
    return label, count


def _components(graph: csr_array) -> tuple[np.ndarray, int]:
    count, label = scipy.sparse.csgraph.connected_components(graph, directed=True, connection="strong")
    source = np.repeat(label, np.diff(graph.indptr))
    closed = np.ones(count, dtype=bool)
    closed[source[source != label[graph.indices]]] = False
    first = np.unique(label, return_index=True)[1]
    ordered = sorted(np.flatnonzero(closed), key=lambda c: int(first[c]))
    number = np.full(count, -1)
    number[ordered] = np.arange(len(ordered))
    return number[label], len(ordered)


def on_simplex(candidate: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return a point of the simplex near a candidate: negative entries become 0, and the sum becomes 1."""
    candidate = np.maximum(candidate, 0.0)
    return np.asarray(candidate / np.add.reduce(candidate))


def anderson(
    update: Map,
    start: np.ndarray,
    tolerance: float,
    *,
    max_iterations: int,
    project: Callable[[np.ndarray, np.ndarray], np.ndarray] = on_simplex,
    window: int = WINDOW,
    patience: int | None = None,
) -> tuple[np.ndarray, list[float]]:
    """Iterate a map of the simplex to its fixed point with Anderson acceleration (docs/theory, section 3.3).

    The last differences of residuals, combined by least squares, extrapolate the next iterate, which is put back on the
    simplex. It is kept only if its residual is at most `ACCEPTED` times the present one; otherwise a plain update is
    made and the memory cleared. Below the tolerance steps continue while they halve the residual.

    Parameters
    ----------
    update : callable
        From (S,) to (S,).
    start : ndarray, shape (S,)
    tolerance : float
        On the l1 norm of update(x) - x.
    max_iterations : int
    project : callable
        From a candidate and the present x to the next x; the simplex by default.
    window : int
        Differences that are remembered.
    patience : int, optional
        Give up after so many steps that together do not halve the residual.

    Returns
    -------
    x : ndarray, shape (S,)
        The last iterate, whether or not it reached the tolerance.
    history : list of float
        The residual of each iterate; the last one belongs to `x`.
    """
    x, updated = start, update(start)
    gap = updated - x
    last, before, slow = _l1(gap), 0.0, False
    history, stored = [last], 0
    gap_changes, update_changes = np.zeros((2, window, len(x)))
    # plain updates that converge fast need no differences: those of the last steps are taken when one is to be used
    recent: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=window)
    while len(history) <= max_iterations:
        if last <= tolerance and last >= 0.5 * before:
            break
        if patience is not None and len(history) > patience and not last <= 0.5 * history[-1 - patience]:
            break
        accepted = False
        if slow:
            ends = [*recent, (gap, updated)]
            for k, ((gap_before, update_before), (gap_after, update_after)) in enumerate(itertools.pairwise(ends)):
                row = (stored - len(recent) + k) % window
                gap_changes[row], update_changes[row] = gap_after - gap_before, update_after - update_before
            recent.clear()
            count = min(stored, window)
            candidate = project(updated - _least_squares(gap_changes[:count], gap) @ update_changes[:count], x)
            candidate_updated = update(candidate)
            candidate_gap = candidate_updated - candidate
            residual = _l1(candidate_gap)
            accepted = residual <= ACCEPTED * last
            stored = stored if accepted else 0
        if not accepted:
            candidate = project(updated, x)
            candidate_updated = update(candidate)
            candidate_gap = candidate_updated - candidate
            residual = _l1(candidate_gap)
            slow = residual > FAST * last
        recent.append((gap, updated))
        stored += 1
        x, updated, gap = candidate, candidate_updated, candidate_gap
        before, last = last, residual
        history.append(last)
    return x, history


def _least_squares(rows: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return c that minimizes ||target - c rows||_2, by normal equations: a bad solution is caught by its residual."""
    gram = rows @ rows.T
    gram[np.diag_indices_from(gram)] += 1e-14 * np.trace(gram) + 1e-300
    return np.linalg.solve(gram, rows @ target)


def _l1(x: np.ndarray) -> float:
    return float(np.add.reduce(np.abs(x)))


def slowest_change(apply: Map, law: np.ndarray, direction: np.ndarray, *, iterations: int) -> float:
    """Return the smallest relative change of a direction without mass in the steps of a chain, at most 1.

    With enough steps the slowest mode is left, which changes by 1 - |lambda_2| (docs/theory, section 3.3); before that
    the number is larger.

    Parameters
    ----------
    apply : callable
        One step of the chain, from (n,) to (n,).
    law : ndarray, shape (n,)
        Its stationary law, which is taken out of the direction.
    direction : ndarray, shape (n,)
    iterations : int

    Returns
    -------
    float
    """
    slowness = 1.0
    for _ in range(iterations):
        direction = direction - direction.sum() * law
        size = _l1(direction)
        if size == 0.0:
            break
        moved = apply(direction / size)
        slowness = min(slowness, _l1(moved - direction / size))
        direction = moved
    return slowness


def discounted_sum(kernel: Table, discount: float, gain: np.ndarray) -> np.ndarray:
    """Return V = (I - gamma P)^{-1} g for a stochastic matrix P (docs/theory, section 3.4).

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
            step = unit * scipy.sparse.linalg.bicgstab(system, residual / unit, rtol=1e-10, atol=0.0, maxiter=200)[0]
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


def krylov_solve(apply: Map, right_side: np.ndarray, tolerance: float, *, max_iterations: int = 500) -> np.ndarray:
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
    solution = scipy.sparse.linalg.gmres(
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


def _operator(apply: Map, size: int) -> scipy.sparse.linalg.LinearOperator:
    return scipy.sparse.linalg.LinearOperator((size, size), matvec=apply, dtype=np.float64)
