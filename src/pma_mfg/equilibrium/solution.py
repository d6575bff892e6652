"""An equilibrium, and the residuals by which it is checked (docs/theory.md, section 3).

(pi, mu) is a mean field Nash equilibrium if mu = Gamma_pop(mu, pi) and pi is the regularized best response to mu:
in every state max_u <q(s, .), u> + h(u) is attained by pi(s), q = Gamma_q(pi, mu). Equivalently Gamma_eta(pi) = pi at
every step size eta.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from pma_mfg import operators
from pma_mfg.arrays import accepts
from pma_mfg.equilibrium.best_responses import exploitability
from pma_mfg.equilibrium.conditions import shortcomings
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer
from pma_mfg.solvers import EPSILON

#: Step sizes at which a solution's fixed-point residual is reported, in units of 1 / rho.
RESIDUAL_STEP_SIZES = (0.1, 10.0)

#: A residual above this is no solution, however far rounding of q / rho goes.
COARSEST = 1e-7

#: What a computation at one policy may fail with, where another policy does not: that policy leads nowhere.
FAILURES = (ConvergenceError, np.linalg.LinAlgError)


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A mean field Nash equilibrium of the regularized game, and what it was checked by.

    Parameters
    ----------
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
    q : ndarray, shape (S, A)
        Gamma_q(policy, mean_field).
    residuals : dict of str to float
        ``stationarity``: l1 norm of Gamma_pop(mu, pi) - mu. ``bellman``: sup norm of max_u (<u, q> + h(u)) - V.
        ``fixed_point_small_step`` and ``fixed_point_large_step``: sup_s l1 norm of Gamma_eta(pi) - pi at the two step
        sizes `RESIDUAL_STEP_SIZES` / rho. ``exploitability``: of the policy, regularized.
    iterations : int
        PMA and Newton steps taken.
    history : list of float
        The fixed-point residual after each of them.
    warnings : list of str
        What the theory asks of the game and this one does not have: a contraction of the population, one recurrent
        class of states, one stable population (docs/theory.md, section 3.5).
    """

    policy: np.ndarray
    mean_field: np.ndarray
    q: np.ndarray
    residuals: dict[str, float]
    iterations: int
    history: list[float]
    warnings: list[str] = field(default_factory=list)

    def __eq__(self, other: object) -> bool:
        """Return whether all fields are equal, arrays entry by entry."""
        if not isinstance(other, Equilibrium):
            return NotImplemented
        return all(
            np.array_equal(mine, others) if isinstance(mine, np.ndarray) else mine == others
            for mine, others in ((getattr(self, of.name), getattr(other, of.name)) for of in fields(self))
        )

    __hash__ = None  # type: ignore[assignment]


@accepts()
def residuals(game: Game, policy: np.ndarray, mean_field: np.ndarray, regularizer: Regularizer) -> dict[str, float]:
    """Return every residual of a candidate equilibrium, by the names in `Equilibrium`.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
    regularizer : Regularizer

    Returns
    -------
    dict of str to float
    """
    q = operators.q_values(game, policy, mean_field, regularizer)
    achieved = (policy * q).sum(axis=1) + regularizer.value(policy)
    small, large = (
        operators.policy_distance(
            operators.mirror_ascent_step(q, policy, multiple / regularizer.rho, regularizer), policy
        )
        for multiple in RESIDUAL_STEP_SIZES
    )
    return {
        "stationarity": float(np.abs(operators.population_update(game, mean_field, policy) - mean_field).sum()),
        "bellman": float(np.abs(regularizer.optimum(q) - achieved).max()),
        "fixed_point_small_step": small,
        "fixed_point_large_step": large,
        "exploitability": exploitability(game, policy, regularizer, mean_field),
    }


def finished(
    game: Game, policy: np.ndarray, regularizer: Regularizer, history: list[float], mean_field: np.ndarray | None = None
) -> Equilibrium:
    """Return the equilibrium of a policy, checked; with its stable population from the uniform start by default."""
    if mean_field is None:
        mean_field = operators.stable_population(game, policy)
    return Equilibrium(
        policy=policy,
        mean_field=mean_field,
        q=operators.q_values(game, policy, mean_field, regularizer),
        residuals=residuals(game, policy, mean_field, regularizer),
        iterations=len(history) - 1,
        history=history,
        warnings=shortcomings(game, policy, mean_field),
    )


def policy_rounding(q: np.ndarray, regularizer: Regularizer) -> float:
    """Return what rounding leaves of a policy's residual: q is known to some units of its last place, over rho."""
    return 64.0 * EPSILON * float(np.abs(q).max()) / regularizer.rho
