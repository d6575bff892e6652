"""What the steps of all regularizers share: their checks, accuracy far from zero, and the constraint h(u) >= floor.

Over U = {u : h(u) >= floor} the constraint has a multiplier kappa >= 0 with kappa (h(u) - floor) = 0, so the solution
is the free one with (1 + kappa) h in place of h (docs/theory, section 2.3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import numpy as np
import scipy

from pma_mfg.errors import InputError
from pma_mfg.regularizers.protocol import Mirror, Regularizer

#: Rows with |q| > FAR (rho + 1/eta) are centred before a step, to avoid cancellation.
FAR = 1e6


def check_strength(name: str, strength: float) -> None:
    """Raise an `InputError` for a strength that is not a finite number > 0, in the name of regularizers.`name`."""
    if not (isinstance(strength, float | int) and not isinstance(strength, bool) and 0.0 < strength < np.inf):
        raise InputError(f"regularizers.{name}", "strength", strength, "a finite number > 0")


def check_step(
    regularizer: Regularizer, policy: np.ndarray, step_size: float, *, floor: float | None, mirror: Mirror
) -> None:
    """Raise an `InputError` for a step size, a mirror map or a floor for which no step is defined."""
    if not 0.0 < step_size < np.inf:
        raise InputError(
            "proximal_step", "step_size", step_size, "a finite number > 0 (use best_response for infinity)"
        )
    if mirror not in get_args(Mirror):
        raise InputError("proximal_step", "mirror", mirror, f"one of {', '.join(get_args(Mirror))}")
    if mirror == "kl" and floor is not None and not (policy > 0.0).all():
        taken = (policy > 0.0) / (policy > 0.0).sum(axis=-1, keepdims=True)
        if (highest := float(regularizer.value(taken).min())) < floor:
            raise InputError(
                "proximal_step", "floor", floor, f"at most h_max of the actions that the policy takes, {highest}"
            )


def centred(q: np.ndarray, curvature: float) -> np.ndarray:
    """Return q with the largest entry of each row subtracted where the row is far from zero, shape (..., A).

    A step is the same for q plus a constant, but q / rho is rounded next to that constant: by more than 1e-10 where |q|
    exceeds `FAR` (rho + 1/eta). Other rows are returned bit by bit (docs/theory, section 3.6).
    """
    far = np.abs(q).max(axis=-1, keepdims=True) > FAR * curvature
    return np.asarray(q - np.where(far, q.max(axis=-1, keepdims=True), 0.0)) if far.any() else q


def with_floor(
    solve: Callable[..., np.ndarray], regularizer: Regularizer, floor: float | None, *rows: np.ndarray
) -> np.ndarray:
    """Solve row by row under h(u) >= floor, where ``solve(kappa, *rows)`` weighs h by 1 + kappa.

    The constraint's multiplier kappa >= 0 is zero where the free solution obeys the floor; elsewhere h(u_kappa)
    increases with kappa to its maximum, and kappa is the root of h(u_kappa) = floor (docs/theory, section 2).

    Raises
    ------
    InputError
        If no distribution reaches the floor.
    """
    u = solve(0.0, *rows)
    if floor is None:
        return u
    uniform = np.full(u.shape[-1], 1.0 / u.shape[-1])
    highest = float(regularizer.value(uniform))
    if floor > highest:
        raise InputError("regularizers", "floor", floor, f"at most h_max = {highest}")
    for index in np.argwhere(regularizer.value(u) < floor):
        row = tuple(index)
        parts = [np.broadcast_to(part, u.shape)[row] for part in rows]

        def shortfall(log_kappa: float, parts: list[np.ndarray] = parts) -> float:
            return float(regularizer.value(solve(np.exp(log_kappa), *parts))) - floor

        low, high = -40.0, 0.0  # e^-40 is below rounding next to 1
        while shortfall(high) < 0.0 and high < 600.0:
            high += 10.0
        if shortfall(high) <= 0.0:
            u[row] = uniform  # the floor is h_max up to rounding
        elif shortfall(low) < 0.0:
            u[row] = solve(np.exp(scipy.optimize.brentq(shortfall, low, high, xtol=1e-14)), *parts)
    return u
