"""The same second moments of the mean field from shorter trajectories (docs/theory, section 9.9).

In the stationary law a step leaves the mean of x x^T, x = mu_hat - mu_pi, as it is. So the average of x x^T less that
of its conditional mean after the next step, which is known exactly, has mean zero for every N: a control variate. Under
the inverse of the Lyapunov operator it takes away the fluctuations of the average but for a share of their variance of
order 1 / N. Averages of what is nearly quadratic in x, or has a kink at mu_pi, are controlled by second moments.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

from pma_mfg import operators
from pma_mfg.arrays import accepts
from pma_mfg.errors import Description, InputError
from pma_mfg.games.features import Features
from pma_mfg.games.model import MeanFieldGame, check_n_agents
from pma_mfg.populations import fluctuations
from pma_mfg.populations.gaussian_averages import deviations_of, kink_shares, second_derivatives
from pma_mfg.simulation.exchangeable import ErgodicAverages

SOURCE = "control_variates"


@accepts()
def controlled(game: MeanFieldGame, policy: np.ndarray, n_agents: int, *, averages: ErgodicAverages) -> ErgodicAverages:
    """Return averages with the same expectation and a smaller variance: deviation, second moments, remainders.

    Exactly the same expectation in the stationary law, for every N and every game with features. `mean_field` and the
    features given the own state are left as they are; `fluctuations.measured_q` does not read them.

    Parameters
    ----------
    game : MeanFieldGame
        With features.
    policy : ndarray, shape (S, A)
        The policy that everybody played.
    n_agents : int
        N of the trajectory, from 2 to 10^15.
    averages : ErgodicAverages
        With `next_moments`, centred at the stable population.

    Returns
    -------
    ErgodicAverages

    Raises
    ------
    InputError
        For a number of agents out of range, without `next_moments`, or as `fluctuations.stationary_covariance`.
    """
    game, n_agents = game.dense(SOURCE), check_n_agents(n_agents)
    if averages.next_moments.shape != averages.second_moments.shape:
        raise InputError(SOURCE, "averages", Description("without next_moments"), "ergodic averages with next_moments")
    centre = operators.stable_population(game, policy)
    covariance = fluctuations.stationary_covariance(game, policy)
    jacobian = fluctuations.tangent_jacobian(game, centre, policy)
    change = solve_discrete_lyapunov(jacobian, averages.next_moments - averages.second_moments)

    def remainders(measured: np.ndarray, features: Features) -> np.ndarray:
        # mu(s) r_k is mu_pi(s) r_k but for a higher order
        sizes = np.einsum("kz,zy,ky->k", features.weights, change, features.weights)
        return measured + np.outer(centre, _slopes(features, centre, covariance / n_agents) * sizes)

    return replace(
        averages,
        deviation=averages.deviation + float((_kink_slopes(np.diag(covariance) / n_agents) * np.diag(change)).sum()),
        second_moments=averages.second_moments + change,
        transition_remainders=remainders(averages.transition_remainders, game.transition_features),
        reward_remainders=remainders(averages.reward_remainders, game.reward_features),
    )


def _slopes(features: Features, centre: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return by how much the mean remainder of each feature grows with the variance of its argument, (K,)."""
    kinked = kink_shares(features, centre) * _kink_slopes(deviations_of(features, covariance) ** 2)
    return np.asarray(0.5 * second_derivatives(features, centre) + kinked)


def _kink_slopes(variances: np.ndarray) -> np.ndarray:
    """Return the slope of |z| in the regression on z^2, z normal: sqrt(2 / pi) / (2 sigma); zero where z is."""
    return np.asarray(np.sqrt(0.5 / np.pi) / np.sqrt(np.where(variances > 0.0, variances, np.inf)))
