"""Newton's method in the policy: Gamma_eta(pi) = pi with the exact Jacobian of Gamma_eta (docs/theory, section 3.7).

A step solves (I - J) x = Gamma_eta(pi) - pi in the tangent space of the simplices, S (A - 1) unknowns: densely up to
`solvers.DIRECT_SIZE` of them, by GMRES with products above. It is kept if it halves the residual. The last step of the
search is dense up to `POLISHED_SIZE` unknowns: GMRES is stuck where J has eigenvalues of a million.
"""

from __future__ import annotations

import numpy as np

from pma_mfg import jacobian, operators, solvers
from pma_mfg.equilibrium.solution import FAILURES
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer

#: Relative residual at which GMRES stops. A Newton step cannot reduce the residual by more than this factor.
NEWTON_FORCING = 1e-4

#: Largest number of unknowns of a dense step at the end of the search: a matrix of 128 MB.
POLISHED_SIZE = 4000


def fixed_point_residual(game: Game, policy: np.ndarray, step_size: float, *, regularizer: Regularizer) -> float:
    """Return sup_s of the l1 norm of Gamma_eta(pi) - pi; infinite where the policy has no population that is found."""
    try:
        updated = operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer)
    except FAILURES:
        return np.inf
    return operators.policy_distance(updated, policy)


def newton(
    game: Game,
    policy: np.ndarray,
    step_size: float,
    *,
    regularizer: Regularizer,
    tolerance: float,
    history: list[float],
    direct_size: int = solvers.DIRECT_SIZE,
) -> tuple[np.ndarray, float]:
    """Newton's method for Gamma_eta(pi) = pi, while each step at least halves the residual; GMRES above direct_size."""
    states, actions = policy.shape
    basis = jacobian.tangent_basis(actions)
    residual = fixed_point_residual(game, policy, step_size, regularizer=regularizer)
    while tolerance < residual < np.inf and actions > 1 and game.has_derivatives():
        gap = operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer) - policy
        try:
            if states * (actions - 1) <= direct_size:
                matrix = np.eye(states * (actions - 1)) - jacobian.jacobian(
                    game, policy, step_size, regularizer=regularizer
                )
                step = np.linalg.solve(matrix, (gap @ basis.T).ravel()).reshape(states, actions - 1) @ basis
            else:
                step = _krylov_step(game, policy, step_size, regularizer, gap)
        except FAILURES:
            break
        candidate = np.maximum(policy + step, 0.1 * policy)  # stay in the simplex, off its boundary
        candidate /= candidate.sum(axis=1, keepdims=True)
        candidate_residual = fixed_point_residual(game, candidate, step_size, regularizer=regularizer)
        if not candidate_residual <= 0.5 * residual:
            break
        policy, residual = candidate, candidate_residual
        history.append(residual)
    return policy, residual


def _krylov_step(
    game: Game, policy: np.ndarray, step_size: float, regularizer: Regularizer, gap: np.ndarray
) -> np.ndarray:
    """Solve (I - J) x = gap by products with J; GMRES stays in the tangent space that gap lies in."""
    product = jacobian.jacobian_product(
        game, policy, step_size, regularizer=regularizer, tolerance=1e-2 * NEWTON_FORCING
    )

    def minus_jacobian(x: np.ndarray) -> np.ndarray:
        return np.asarray(x - product(x.reshape(policy.shape)).ravel())

    return solvers.krylov_solve(minus_jacobian, gap.ravel(), NEWTON_FORCING, max_iterations=100).reshape(policy.shape)
