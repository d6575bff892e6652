"""The flow mu' = Gamma_pop(mu, pi_mu) - mu by implicit Euler steps, pi_mu the best response to mu (section 3.7).

The last stage of the search, for games in which the best response to a change of the population moves it back by
thousands of times that change. Cost per step: one derivative of the best response, a dense system in S unknowns, and a
best response.
"""

from __future__ import annotations

import numpy as np

from pma_mfg import jacobian, operators
from pma_mfg.equilibrium.newton_in_population import KEPT_SHARE, newton_in_law, played, within_classes
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer

#: Largest number of steps along the flow.
FLOW_STEPS = 400

#: First and shortest length of a step, in units of the time of one population update.
FLOW_TIMES = (0.5, 1e-6)

#: A step is kept if the gap Gamma_pop(mu, pi_mu) - mu after it misses its linear prediction by less than the first of
#: these shares of the gap before it; the next step is longer if it is less than the second.
FLOW_ERRORS = (0.5, 0.2)


def implicit_flow(
    game: Game, regularizer: Regularizer, mean_field: np.ndarray, *, max_iterations: int, history: list[float]
) -> tuple[np.ndarray, float]:
    """Follow the flow in implicit Euler steps, which grow as long as they are accurate; return its end and the gap.

    Next to empty states with a logarithm of the mean field in the rewards the derivative of Gamma_pop(mu, pi_mu) has
    eigenvalues below -10^4: an explicit share of a step would have to be as small, and Newton's method is led away by
    the kinks where a policy gives up an action. Implicit steps are bound by neither, and become Newton's as they grow.
    """
    policy, updated, _ = played(game, regularizer, mean_field)
    time, shortest = FLOW_TIMES
    for _ in range(min(FLOW_STEPS, max_iterations)):
        gap = updated - mean_field
        size = float(np.abs(gap).sum())
        if operators.relative_distance(mean_field, updated) <= operators.UNSETTLED:
            break
        derivative = jacobian.best_response_derivative(game, mean_field, policy, regularizer=regularizer)
        derivative = within_classes(derivative, game, mean_field, policy=policy)
        while time >= shortest:
            change = np.linalg.solve((1.0 + 1.0 / time) * np.eye(game.n_states) - derivative, gap)
            candidate = np.maximum(mean_field + change, KEPT_SHARE * mean_field)
            candidate /= candidate.sum()
            trial = played(game, regularizer, candidate)
            missed = float(np.abs(trial[1] - candidate - change / time).sum())
            if missed <= FLOW_ERRORS[0] * size:
                break
            time *= 0.25
        else:
            break
        mean_field, (policy, updated, _) = candidate, trial
        time *= 3.0 if missed <= FLOW_ERRORS[1] * size else 1.0
        history.append(float(np.abs(updated - mean_field).sum()))
    mean_field = newton_in_law(game, regularizer, mean_field)
    return mean_field, float(np.abs(played(game, regularizer, mean_field)[1] - mean_field).sum())
