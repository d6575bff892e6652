"""Regularizers as a user may write them: of the protocol, and of a kind that the library does not know.

Also a file for `regularizers.load`, so it imports nothing of the tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from pma_mfg.regularizers import Entropy, Quadratic


@dataclass(frozen=True)
class Separable:
    """h(u) = sum_a phi(u_a): every member from phi, its derivative, and minus its second one, by plain root-finding."""

    strength: float

    def phi(self, x):
        raise NotImplementedError

    def slope(self, x):
        raise NotImplementedError

    def bend(self, x):
        raise NotImplementedError

    def value(self, u):
        with np.errstate(divide="ignore"):
            return self.phi(np.asarray(u)).sum(axis=-1)

    def gradient(self, u):
        with np.errstate(divide="ignore"):
            return self.slope(np.asarray(u))

    def curvature(self, u):
        with np.errstate(divide="ignore"):
            return np.where(u > 0.0, self.bend(np.asarray(u)), np.inf)

    def span(self, n_actions):
        vertex = np.eye(n_actions)[0]
        return float(self.value(np.full(n_actions, 1.0 / n_actions)) - self.value(vertex))

    def gradient_span(self, n_actions, gap):
        """By strong concavity u_a - u_b <= 2 sqrt(gap / rho), so that entries stay within as much of 1 / A."""
        apart = min(1.0, 2.0 * np.sqrt(gap / self.rho))
        least = max(0.0, 1.0 / n_actions - apart * (1.0 - 1.0 / n_actions))
        most = min(1.0, 1.0 / n_actions + apart * (1.0 - 1.0 / n_actions))
        low, high = self.gradient(np.array([most, least]))
        return float(high - low)

    def optimum(self, q):
        u = self.best_response(q)
        return (u * q).sum(axis=-1) + self.value(u)

    def best_response(self, q, floor=None):
        assert floor is None
        return self._maximum(np.asarray(q), np.zeros_like(q), 0.0)

    def proximal_step(self, q, policy, step_size, floor=None, mirror="euclidean"):
        assert floor is None
        assert mirror == "euclidean"
        return self._maximum(q + policy / step_size, np.asarray(policy), 1.0 / step_size)

    def _maximum(self, target, policy, inverse):
        """Maximize <target, u> + h(u) - inverse |u|^2 / 2 row by row: bisection in u for each multiplier."""
        shape = np.broadcast_shapes(target.shape, policy.shape)
        rows = np.broadcast_to(target, shape).reshape(-1, shape[-1])

        def entries(row, multiplier):
            low, high = np.zeros(len(row)), np.ones(len(row))
            for _ in range(60):
                middle = 0.5 * (low + high)
                up = row + self.slope(middle) - inverse * middle > multiplier
                low, high = np.where(up, middle, low), np.where(up, high, middle)
            return np.where(high < 1e-17, 0.0, 0.5 * (low + high))

        found = []
        for row in rows:
            even = self.slope(1.0 / len(row)) - inverse / len(row)  # the multiplier of a constant row, less its entry
            ends = row.min() + even - 1e-9, row.max() + even + 1e-9
            multiplier = brentq(lambda m, row=row: entries(row, m).sum() - 1.0, *ends, xtol=1e-15, rtol=1e-14)
            u = entries(row, multiplier)
            found.append(u / u.sum())
        return np.array(found).reshape(shape)


class Tsallis(Separable):
    """h = 4 tau (1 - sum_a u_a^(3/2)), with rho = 3 tau: -h'' = 3 tau / sqrt(u)."""

    @property
    def rho(self):
        return 3.0 * self.strength

    def phi(self, x):
        return -4.0 * self.strength * x**1.5

    def slope(self, x):
        return -6.0 * self.strength * np.sqrt(x)

    def bend(self, x):
        return 3.0 * self.strength / np.sqrt(x)


class Barrier(Separable):
    """h = tau sum_a log u_a, not bounded below: infinitely much is lost at the boundary."""

    @property
    def rho(self):
        return self.strength

    def phi(self, x):
        return self.strength * np.log(x)

    def slope(self, x):
        return self.strength / x

    def bend(self, x):
        return self.strength / x**2

    def span(self, n_actions):
        return float("inf")


class Faint:
    """A tenth of the quadratic: `strength` is not its modulus."""

    def __init__(self, strength):
        self.strength = strength
        self.same = Quadratic(strength / 10.0)

    def __getattr__(self, name):
        if name == "same":
            raise AttributeError(name)
        return getattr(self.same, name)


class Sharp(Entropy):
    """Derived from the entropy, but twice as much: nothing proved for its parent holds for it."""

    @property
    def rho(self):
        return 2.0 * self.strength

    def value(self, u):
        return Entropy(2.0 * self.strength).value(u)

    def gradient(self, u):
        return Entropy(2.0 * self.strength).gradient(u)

    def curvature(self, u):
        return Entropy(2.0 * self.strength).curvature(u)

    def span(self, n_actions):
        return Entropy(2.0 * self.strength).span(n_actions)

    def gradient_span(self, n_actions, gap):
        return Entropy(2.0 * self.strength).gradient_span(n_actions, gap)

    def optimum(self, q):
        return Entropy(2.0 * self.strength).optimum(q)

    def best_response(self, q, floor=None):
        return Entropy(2.0 * self.strength).best_response(q, floor)

    def proximal_step(self, q, policy, step_size, floor=None, mirror="euclidean"):
        return Entropy(2.0 * self.strength).proximal_step(q, policy, step_size, floor=floor, mirror=mirror)


class Half:
    """Lacks most of the protocol."""

    def __init__(self, strength):
        self.strength = self.rho = strength

    def value(self, u):
        return np.zeros(u.shape[:-1])
