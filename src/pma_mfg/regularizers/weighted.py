"""Steps of any regularizer under a floor or at another strength, by weighing it (docs/theory, section 2.5).

With k h in place of h, argmax_u <u, q> + k h(u) - D(u, policy) / eta is the step of h from q / k at step size k eta:
a class that knows neither of floors nor of other strengths is asked for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import Parameter, signature

import numpy as np

from pma_mfg.errors import InputError
from pma_mfg.regularizers.floors import check_step, with_floor
from pma_mfg.regularizers.kinds import kind, make
from pma_mfg.regularizers.protocol import Mirror, Regularizer


def step(
    regularizer: Regularizer,
    q: np.ndarray,
    policy: np.ndarray,
    *,
    step_size: float,
    floor: float | None = None,
    mirror: Mirror = "euclidean",
) -> np.ndarray:
    """Return argmax_u <u, q> + h(u) - D(u, policy) / step_size over h(u) >= floor, shape (..., A), for any regularizer.

    A class of the user's need not know of floors: with k h in place of h its step is that from q / k at step size k eta
    (docs/theory, section 2.5), which is all that a floor takes.

    Parameters
    ----------
    regularizer : Regularizer
    q, policy : ndarray, shape (..., A)
    step_size : float
        eta > 0, or infinity for the best response.
    floor : float, optional
    mirror : {"euclidean", "kl"}

    Returns
    -------
    ndarray, shape (..., A)

    Raises
    ------
    InputError
        For a floor that no distribution reaches, another mirror map, or one that the class does not take or refuses.
        What else a class of the user's own raises is not caught.
    """
    if kind(regularizer) is not None:
        if step_size == np.inf:
            return regularizer.best_response(q, floor)
        return regularizer.proximal_step(q, policy, step_size, floor=floor, mirror=mirror)
    if step_size == np.inf:
        return with_floor(lambda kappa, q: regularizer.best_response(q / (1.0 + kappa)), regularizer, floor, q)
    check_step(regularizer, policy, step_size, floor=floor, mirror=mirror)

    called = f"{type(regularizer).__name__}.proximal_step"
    taken = signature(regularizer.proximal_step).parameters.values()
    if mirror != "euclidean" and not any(p.name == "mirror" or p.kind is Parameter.VAR_KEYWORD for p in taken):
        raise InputError("proximal_step", "mirror", mirror, f"euclidean: {called} takes no other mirror map")

    def weighted(kappa: float, q: np.ndarray, policy: np.ndarray) -> np.ndarray:
        k = 1.0 + kappa
        if mirror == "euclidean":
            return regularizer.proximal_step(q / k, policy, k * step_size)
        try:
            return regularizer.proximal_step(q / k, policy, k * step_size, mirror=mirror)
        except (AssertionError, NotImplementedError) as error:  # a class may say so that it knows no such map
            raised = f"{type(error).__name__}{f': {error}' if str(error) else ''}"
            allowed = f"euclidean: {called} raises {raised} with mirror={mirror!r}"
            raise InputError("proximal_step", "mirror", mirror, allowed) from error

    return with_floor(weighted, regularizer, floor, q, policy)


@dataclass(frozen=True)
class Weighted:
    """k h for a regularizer h of any kind and k = strength / its strength (docs/theory, section 2.5).

    Parameters
    ----------
    base : Regularizer
        h.
    strength : float
        > 0.
    """

    base: Regularizer
    strength: float

    @property
    def factor(self) -> float:
        """The weight k of h."""
        return self.strength / self.base.strength

    @property
    def rho(self) -> float:
        """Modulus of strong concavity, k times that of h."""
        return self.factor * self.base.rho

    def value(self, u: np.ndarray) -> np.ndarray:
        """Return k h(u), shape (...,), for u of shape (..., A)."""
        return np.asarray(self.factor * self.base.value(u))

    def gradient(self, u: np.ndarray) -> np.ndarray:
        """Return k times the gradient of h, shape (..., A)."""
        return np.asarray(self.factor * self.base.gradient(u))

    def curvature(self, u: np.ndarray) -> np.ndarray:
        """Return k times the curvature of h, shape (..., A)."""
        return np.asarray(self.factor * self.base.curvature(u))

    def span(self, n_actions: int) -> float:
        """Return k times the span of h."""
        return self.factor * self.base.span(n_actions)

    def gradient_span(self, n_actions: int, gap: float) -> float:
        """Return k times the span of the gradient of h where k h >= k h_max - gap."""
        return self.factor * self.base.gradient_span(n_actions, gap / self.factor)

    def optimum(self, q: np.ndarray) -> np.ndarray:
        """Return max_u <u, q> + k h(u) = k max_u <u, q / k> + h(u), shape (...,)."""
        return np.asarray(self.factor * self.base.optimum(q / self.factor))

    def best_response(self, q: np.ndarray, floor: float | None = None) -> np.ndarray:
        """Return the best response under h to q / k, shape (..., A)."""
        return step(
            self.base, q / self.factor, q, step_size=np.inf, floor=None if floor is None else floor / self.factor
        )

    def proximal_step(
        self,
        q: np.ndarray,
        policy: np.ndarray,
        step_size: float,
        *,
        floor: float | None = None,
        mirror: Mirror = "euclidean",
    ) -> np.ndarray:
        """Return the step under h with q / k and the step size k eta, shape (..., A)."""
        k = self.factor
        return step(
            self.base, q / k, policy, step_size=k * step_size, floor=None if floor is None else floor / k, mirror=mirror
        )


def with_strength(regularizer: Regularizer, strength: float) -> Regularizer:
    """Return the same regularizer with another strength: an `Entropy`, a `Quadratic`, or else a `Weighted`."""
    known = kind(regularizer)
    return Weighted(regularizer, strength) if known is None else make(known, strength)
