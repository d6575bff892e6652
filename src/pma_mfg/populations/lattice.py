"""Counts of exchangeable agents as points of a lattice, and the exact law of the counts after one step.

See docs/theory, section 9.6. n agents in S states have C(n + S - 1, S - 1) counts. They are ordered by the number of
agents outside state 0, so that the counts of fewer agents, with the rest in state 0, are a prefix. A row of the chain
is a sum of S independent multinomials: for S <= 3 the product of their characteristic functions on a grid and one
inverse FFT, within a window outside of which Bernstein's inequality leaves next to nothing; for S >= 4 agents are added
one by one, S C(n + S - 1, S) multiplications.
"""

from __future__ import annotations

from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from scipy import fft

from pma_mfg.arrays import contiguous
from pma_mfg.compilation import COMPLEX, CUBE, INTEGER_MATRIX, INTEGERS, MATRIX, NONE, VECTOR, kernel_cache
from pma_mfg.populations.counts import n_points as n_points  # written so, they can be imported from here too
from pma_mfg.populations.counts import points as points

#: Mass of a row that may lie outside its window, per coordinate.
WINDOW_MASS = 1e-15

#: Products in one call of `add_agents`: some tenths of a second, after which Python sees Ctrl-C.
PRODUCTS = 2**28


with kernel_cache(Path(__file__)) as kernel:

    @kernel(NONE(INTEGER_MATRIX, CUBE, INTEGER_MATRIX, INTEGERS, INTEGERS, MATRIX))
    def add_agents(counts: Any, transitions: Any, below: Any, sizes: Any, columns: Any, out: Any) -> None:
        """Write the law of the counts after one step, agents added one by one, into out, shape (B, D).

        counts (B, S), transitions (B, S, S); below (L, S - 1): the point with one agent less in state y + 1, L where
        there is none; sizes (n + 1,): how many points have at most j agents outside state 0; columns (D,): the points
        wanted.
        """
        n_states = counts.shape[1]
        n_agents = len(sizes) - 1
        law = np.empty(sizes[n_agents] + 1)
        for b in range(len(counts)):
            law[:] = 0.0
            law[0] = 1.0
            added = 0
            for s in range(n_states):
                p = transitions[b, s]
                for _ in range(counts[b, s]):
                    added += 1
                    # downwards: what lies below has not been touched yet
                    for i in range(sizes[added] - 1, -1, -1):
                        mass = p[0] * law[i]
                        for y in range(n_states - 1):
                            mass += p[y + 1] * law[below[i, y]]
                        law[i] = mass
            for d in range(len(columns)):
                out[b, d] = law[columns[d]]

    @kernel(NONE(INTEGER_MATRIX, CUBE, COMPLEX[::1], COMPLEX[::1], COMPLEX[:, :, ::1]))
    def characteristic(counts: Any, transitions: Any, first: Any, second: Any, out: Any) -> None:
        """Write prod_s (1 + p_s(1) first[i] + p_s(2) second[j])^counts[s] into out, shape (B, I, J).

        `first` and `second` hold e^(-i theta) - 1: so the mass, at 0, is exactly 1 whatever the power. With two states
        there is no first axis: state 1 goes with `second`.
        """
        n_states = counts.shape[1]
        for b in range(len(counts)):
            for i in range(len(first)):
                for j in range(len(second)):
                    value = 1.0 + 0.0j
                    for s in range(n_states):
                        base = 1.0 + transitions[b, s, n_states - 1] * second[j]
                        if n_states == 3:
                            base += transitions[b, s, 1] * first[i]
                        power = counts[b, s]
                        while power > 0:
                            if power & 1:
                                value *= base
                            base *= base
                            power >>= 1
                    out[b, i, j] = value

    @kernel(NONE(CUBE, MATRIX, VECTOR, INTEGER_MATRIX, MATRIX))
    def gather(grid: Any, means: Any, reach: Any, points: Any, out: Any) -> None:
        """Write the periodic grid's values at the points (D, S) within reach of each row's mean into out, (B, D)."""
        n_states = points.shape[1]
        width, depth = grid.shape[1], grid.shape[2]
        for b in range(len(grid)):
            for d in range(len(points)):
                inside = abs(points[d, n_states - 1] - means[b, n_states - 1]) <= reach[n_states - 1]
                i = 0
                if n_states == 3:
                    inside = inside and abs(points[d, 1] - means[b, 1]) <= reach[1]
                    i = points[d, 1] % width
                # the inverse transform leaves rounding of some 1e-18, of either sign
                out[b, d] = max(0.0, grid[b, i, points[d, n_states - 1] % depth]) if inside else 0.0


def points_below(counts: np.ndarray) -> np.ndarray:
    """Return where the point with one agent less in state y + 1 is, shape (L, S - 1); L where that state is empty.

    Parameters
    ----------
    counts : ndarray of int, shape (L, S)
        Of `points`.
    """
    total, n_states = int(counts[0].sum()), counts.shape[1]
    # binomial[t, k] = C(t, k); a point's rank is the number of points before it
    binomial = np.array([[comb(t, k) for k in range(n_states)] for t in range(total + n_states)], dtype=np.int64)

    def rank(outside: np.ndarray) -> np.ndarray:
        left = outside.sum(axis=1)
        found = binomial[np.maximum(left + n_states - 2, 0), n_states - 1]  # of smaller total
        for y in range(n_states - 2):
            rest = n_states - 2 - y  # states after this one: those with fewer agents here come before
            found += binomial[left + rest, rest] - binomial[left - outside[:, y] + rest, rest]
            left = left - outside[:, y]
        return np.asarray(found)

    below = np.full((len(counts), n_states - 1), len(counts), dtype=np.int64)
    for y in range(n_states - 1):
        some = np.flatnonzero(counts[:, y + 1] > 0)
        outside = counts[some, 1:].copy()
        outside[:, y] -= 1
        below[some, y] = rank(outside)
    return below


class Rows:
    """Rows of the chain of counts, restricted to some of the points.

    Parameters
    ----------
    n_agents : int
        n >= 1, of the agents that move.
    counts : ndarray of int, shape (L, S)
        All counts, of `points`.
    columns : ndarray of int, shape (D,)
        The points wanted.
    """

    def __init__(self, counts: np.ndarray, columns: np.ndarray) -> None:
        self.n_agents, self.n_states = int(counts[0].sum()), counts.shape[1]
        self.columns = np.ascontiguousarray(columns, dtype=np.int64)
        self.wanted = np.ascontiguousarray(counts[self.columns])
        if self.n_states > 3:
            self.below = points_below(counts)
            self.sizes = np.array([n_points(j, self.n_states) for j in range(self.n_agents + 1)], dtype=np.int64)

    def __call__(self, starts: np.ndarray, transitions: np.ndarray) -> np.ndarray:
        """Return the law of the counts after one step from each start, shape (B, D); what lies elsewhere is missing.

        Parameters
        ----------
        starts : ndarray of int, shape (B, S)
            Counts of the agents that move.
        transitions : ndarray, shape (B, S, S)
            P_pi(y|s) for each.
        """
        out = np.zeros((len(starts), len(self.columns)))
        starts, transitions = contiguous(starts, np.int64), contiguous(transitions)
        if self.n_states == 1:
            out[:] = 1.0
        elif self.n_states > 3:
            most = max(1, PRODUCTS // (self.n_states * int(self.sizes.sum())))
            for start in range(0, len(starts), most):
                part = slice(start, start + most)
                add_agents(starts[part], transitions[part], self.below, self.sizes, self.columns, out[part])
        else:
            self._by_transform(starts, transitions, out)
        return out

    def _by_transform(self, starts: np.ndarray, transitions: np.ndarray, out: np.ndarray) -> None:
        means = np.einsum("bs,bsy->by", starts, transitions)
        variances = np.einsum("bs,bsy->by", starts, transitions * (1.0 - transitions)).max(axis=0)
        # Bernstein: P(|X - m| >= t) <= 2 exp(-t^2 / (2 (v + t/3)))
        log_mass = np.log(2.0 / WINDOW_MASS)
        reach = log_mass / 3.0 + np.sqrt(log_mass**2 / 9.0 + 2.0 * log_mass * variances)
        reach = np.minimum(reach, self.n_agents)
        widths = [fft.next_fast_len(min(int(2.0 * t) + 2, self.n_agents + 1), real=True) for t in reach[1:]]
        width, depth = (1, widths[0]) if self.n_states == 2 else widths
        # a grid that holds all counts needs no window; else what is outside wraps around, and is not read
        reach[1:] = [self.n_agents if w > self.n_agents else t for w, t in zip(widths, reach[1:], strict=True)]
        first = np.expm1(-2j * np.pi * np.arange(width) / width)
        second = np.expm1(-2j * np.pi * np.arange(depth // 2 + 1) / depth)
        block = max(1, 2**21 // (width * depth))
        for start in range(0, len(starts), block):
            part = slice(start, start + block)
            spectrum = np.empty((len(starts[part]), width, len(second)), dtype=complex)
            characteristic(starts[part], transitions[part], first, second, spectrum)
            grid = fft.irfft2(spectrum, s=(width, depth), axes=(1, 2), overwrite_x=True)
            gather(np.ascontiguousarray(grid), means[part], reach, self.wanted, out[part])
