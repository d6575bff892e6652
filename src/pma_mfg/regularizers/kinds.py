"""The two regularizers of which more is proved than of others: the entropy and the quadratic.

For the entropy a step is a softmax or, with the Euclidean mirror map, the root of log u + u / scale = target -
multiplier, which the Wright omega function gives; for the quadratic it is a projection on the simplex, or that root
with the KL mirror map (docs/theory, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from pma_mfg.errors import InputError
from pma_mfg.regularizers.floors import centred, check_step, check_strength, with_floor
from pma_mfg.regularizers.protocol import Mirror, Regularizer


@dataclass(frozen=True)
class Entropy:
    """h(u) = -tau sum_a u_a log u_a: 0 <= h <= tau log A, tau-strongly concave.

    Parameters
    ----------
    strength : float
        tau > 0.

    Examples
    --------
    >>> Entropy(0.5).best_response(np.array([1.0, 0.0])).round(3)
    array([0.881, 0.119])
    """

    strength: float

    def __post_init__(self) -> None:
        check_strength("Entropy", self.strength)

    @property
    def rho(self) -> float:
        """Modulus of strong concavity, tau: -h'' = tau / u >= tau on the simplex."""
        return self.strength

    def value(self, u: np.ndarray) -> np.ndarray:
        """Return h(u), shape (...,), for u of shape (..., A)."""
        return np.asarray(self.strength * scipy.special.entr(u).sum(axis=-1))

    def gradient(self, u: np.ndarray) -> np.ndarray:
        """Return -tau (log u + 1), shape (..., A); +inf where u = 0."""
        with np.errstate(divide="ignore"):
            return np.asarray(-self.strength * (np.log(u) + 1.0))

    def curvature(self, u: np.ndarray) -> np.ndarray:
        """Return tau / u, shape (..., A); infinite where that is out of range."""
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray(self.strength / u)

    def span(self, n_actions: int) -> float:
        """Return h_max - h_min = tau log A."""
        return self.strength * float(np.log(n_actions))

    def gradient_span(self, n_actions: int, gap: float) -> float:
        """Return tau log(u_max / u_min) for the extreme entries of U = {h >= h_max - gap}; infinite if one can be 0.

        With one entry p, h is largest when the others are equal: p is in U iff tau H(p) >= h_max - gap, where
        H(p) = -p log p - (1-p) log((1-p)/(A-1)).
        """
        if n_actions == 1:
            return 0.0
        # a little more than the gap: rounding of the entropy must not make the set smaller than it is
        least = float(np.log(n_actions)) * (1.0 - 1e-15) - gap / self.strength
        if least <= np.log(n_actions - 1):
            return float("inf")

        def excess(p: float) -> float:
            entropy = scipy.special.entr(p) + scipy.special.entr(1.0 - p)
            return float(entropy + (1.0 - p) * np.log(n_actions - 1)) - least

        uniform = 1.0 / n_actions
        # brentq's own error is far below the outward shift that keeps this a bound
        smallest = scipy.optimize.brentq(excess, 0.0, uniform, xtol=1e-300, rtol=1e-14) * (1.0 - 1e-12)
        largest = scipy.optimize.brentq(excess, uniform, 1.0, xtol=1e-300, rtol=1e-14) * (1.0 + 1e-12)
        return self.strength * float(np.log(largest / smallest))

    def optimum(self, q: np.ndarray) -> np.ndarray:
        """Return max_u <u, q> + h(u) = tau logsumexp(q / tau), shape (...,)."""
        return np.asarray(self.strength * scipy.special.logsumexp(q / self.strength, axis=-1))

    def best_response(self, q: np.ndarray, floor: float | None = None) -> np.ndarray:
        """Return softmax(q / tau), shape (..., A); with a floor, softmax(q / ((1 + kappa) tau)) where it binds."""
        q = centred(q, self.strength)

        def softmax(kappa: float, q: np.ndarray) -> np.ndarray:
            return np.asarray(scipy.special.softmax(q / ((1.0 + kappa) * self.strength), axis=-1))

        return with_floor(softmax, self, floor, q)

    def proximal_step(
        self,
        q: np.ndarray,
        policy: np.ndarray,
        step_size: float,
        *,
        floor: float | None = None,
        mirror: Mirror = "euclidean",
    ) -> np.ndarray:
        """Return argmax_u <u, q> + h(u) - D(u, policy) / step_size, shape (..., A).

        Euclidean: stationarity reads tau log u + u / eta = q + policy / eta - tau - lambda, which `_log_plus_linear`
        solves. KL: the softmax of (eta q + log policy) / (1 + eta tau) (docs/theory, section 2).
        """
        check_step(self, policy, step_size, floor=floor, mirror=mirror)
        q = centred(q, self.strength + 1.0 / step_size)

        def euclidean(kappa: float, q: np.ndarray, policy: np.ndarray) -> np.ndarray:
            tau = (1.0 + kappa) * self.strength
            return _log_plus_linear(q / tau + policy / (tau * step_size), tau * step_size)

        def kl(kappa: float, q: np.ndarray, policy: np.ndarray) -> np.ndarray:
            tau = (1.0 + kappa) * self.strength
            return np.asarray(scipy.special.softmax((step_size * q + _log(policy)) / (1.0 + step_size * tau), axis=-1))

        return with_floor(kl if mirror == "kl" else euclidean, self, floor, q, policy)


@dataclass(frozen=True)
class Quadratic:
    """h(u) = -(rho/2) ||u||_2^2: -rho/2 <= h <= -rho/(2A), rho-strongly concave.

    Parameters
    ----------
    strength : float
        rho > 0.
    """

    strength: float

    def __post_init__(self) -> None:
        check_strength("Quadratic", self.strength)

    @property
    def rho(self) -> float:
        """Modulus of strong concavity, the strength itself."""
        return self.strength

    def value(self, u: np.ndarray) -> np.ndarray:
        """Return h(u), shape (...,), for u of shape (..., A)."""
        return np.asarray(-0.5 * self.strength * (u**2).sum(axis=-1))

    def gradient(self, u: np.ndarray) -> np.ndarray:
        """Return -rho u, shape (..., A)."""
        return np.asarray(-self.strength * u)

    def curvature(self, u: np.ndarray) -> np.ndarray:
        """Return rho on the support of u and infinity off it, shape (..., A): a projection does not move zeros."""
        return np.where(u > 0.0, self.strength, np.inf)

    def span(self, n_actions: int) -> float:
        """Return h_max - h_min = rho (1 - 1/A) / 2."""
        return 0.5 * self.strength * (1.0 - 1.0 / n_actions)

    def gradient_span(self, n_actions: int, gap: float) -> float:
        """Return rho min(1, 2 sqrt(gap / rho)): u_a - u_b <= sqrt(2) ||u - 1/A||_2, and h falls by rho/2 its square."""
        return self.strength * min(1.0, 2.0 * float(np.sqrt(gap / self.strength))) if n_actions > 1 else 0.0

    def optimum(self, q: np.ndarray) -> np.ndarray:
        """Return max_u <u, q> + h(u), shape (...,)."""
        u = self.best_response(q)
        return np.asarray((u * q).sum(axis=-1) + self.value(u))

    def best_response(self, q: np.ndarray, floor: float | None = None) -> np.ndarray:
        """Return sparsemax(q / rho), the projection of q / rho on the simplex, shape (..., A)."""
        q = centred(q, self.strength)
        return with_floor(lambda kappa, q: _project(q / ((1.0 + kappa) * self.strength)), self, floor, q)

    def proximal_step(
        self,
        q: np.ndarray,
        policy: np.ndarray,
        step_size: float,
        *,
        floor: float | None = None,
        mirror: Mirror = "euclidean",
    ) -> np.ndarray:
        """Return argmax_u <u, q> + h(u) - D(u, policy) / step_size, shape (..., A).

        Euclidean: the projection of (eta q + policy) / (1 + eta rho) on the simplex. KL: stationarity reads
        log u + eta rho u = log policy + eta q - lambda, which `_log_plus_linear` solves (docs/theory, section 2).
        """
        check_step(self, policy, step_size, floor=floor, mirror=mirror)
        q = centred(q, self.strength + 1.0 / step_size)

        def euclidean(kappa: float, q: np.ndarray, policy: np.ndarray) -> np.ndarray:
            return _project((step_size * q + policy) / (1.0 + step_size * (1.0 + kappa) * self.strength))

        def kl(kappa: float, q: np.ndarray, policy: np.ndarray) -> np.ndarray:
            scale = 1.0 / (step_size * (1.0 + kappa) * self.strength)
            return _log_plus_linear(_log(policy) + step_size * q, scale)

        return with_floor(kl if mirror == "kl" else euclidean, self, floor, q, policy)


_KINDS: dict[str, type[Entropy] | type[Quadratic]] = {"entropy": Entropy, "quadratic": Quadratic}


def make(name: str, strength: float) -> Entropy | Quadratic:
    """Return the regularizer called "entropy" or "quadratic".

    Raises
    ------
    InputError
        For another name, or a strength that is not a positive number.
    """
    if name not in _KINDS:
        raise InputError("regularizers.make", "regularizer", name, f"one of {', '.join(_KINDS)}")
    return _KINDS[name](strength)


def kind(regularizer: Regularizer) -> str | None:
    """Return "entropy" or "quadratic" for an `Entropy` or a `Quadratic`, None for any other class.

    What is proved for one of the two is used only there: a class derived from one of them may be another function.
    """
    return next((name for name, known in _KINDS.items() if type(regularizer) is known), None)


def _log(policy: np.ndarray) -> np.ndarray:
    """Return log policy, -inf at zero: an action that the KL divergence never takes up again."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(policy))


def _log_plus_linear(target: np.ndarray, scale: float) -> np.ndarray:
    """Solve log u + u / scale = target - multiplier with sum(u) = 1 over the last axis, shape (..., A).

    u = scale omega(target - multiplier - log scale), omega the Wright omega function, and Newton's method in the
    multiplier (docs/theory, Proposition 2.1).
    """
    highest = target.max(axis=-1, keepdims=True)
    # At this multiplier the largest entry is 1, so sum(u) >= 1. sum(u) is convex and decreasing in the multiplier:
    # Newton's method started there never oversteps the root.
    multiplier = highest - 1.0 / scale
    log_scale = np.log(scale)
    u = np.empty_like(target)
    for _ in range(100):
        omega = scipy.special.wrightomega(target - multiplier - log_scale)
        u = scale * omega
        excess = u.sum(axis=-1, keepdims=True) - 1.0
        slope = (u / (1.0 + omega)).sum(axis=-1, keepdims=True)
        before, multiplier = multiplier, multiplier + np.maximum(excess / slope, 0.0)
        # where rounding keeps the sum above that, the multiplier stays
        if (excess <= 4e-16 * u.shape[-1]).all() or (multiplier == before).all():
            break
    return np.asarray(u / u.sum(axis=-1, keepdims=True))


def _project(x: np.ndarray) -> np.ndarray:
    """Return the Euclidean projection of each row on the simplex, shape (..., A), by sorting."""
    x = x - x.max(axis=-1, keepdims=True)
    descending = -np.sort(-x, axis=-1)
    ranks = np.arange(1, x.shape[-1] + 1)
    thresholds = (np.cumsum(descending, axis=-1) - 1.0) / ranks
    support = (descending > thresholds).sum(axis=-1, keepdims=True)
    u = np.maximum(x - np.take_along_axis(thresholds, support - 1, axis=-1), 0.0)
    return np.asarray(u / u.sum(axis=-1, keepdims=True))
