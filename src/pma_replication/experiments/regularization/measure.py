"""What regularization costs along the path of equilibria: from a game to tables.

docs/theory, sections 19.5 and 12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import paths, regularizers
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games.functions import Game
from pma_mfg.paths import Path, Point
from pma_mfg.regularizers import Regularizer
from pma_mfg.theory import certificates
from pma_replication import statistics
from pma_replication.unsettled import reward_range

#: Most states of a game whose certificate is looked for: it takes seconds for more.
CERTIFIED_STATES = 16

#: Most pairs of state and action of a game whose largest stable step is computed, with some twenty Jacobians a point.
JACOBIAN_SIZE = 80

#: Halvings of the interval of log-strengths in which the certificate ends.
HALVINGS = 12

#: Up to this many times the strength at which a path begins a certificate is looked for.
FARTHEST = 1e4

#: What regularization costs is rounding error below this, in units of the range of the rewards.
ROUNDING = 1e-10

#: Points at the weak end of the path over which the exponent of the cost is fitted.
FITTED = 4


@accepts()
def cost(game: Game, regularizer: Regularizer, name: str) -> dict[str, pd.DataFrame]:
    """Follow the path of one game to a millionth of the range of its rewards.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
        Its kind; the strengths are those of the path.
    name : str
        The game's name in tables.

    Returns
    -------
    dict of str to DataFrame
        ``regularization``, a row for each point: columns game, point (its number), strength (in units of the range of
        the rewards, like all strengths), exploitability (without a regularizer, in the same units), bound (Proposition
        8.2), best_response_radius, unstable, largest_step (of PMA, in units of 1 / rho; infinity where every step is
        stable; nan above `JACOBIAN_SIZE` or where the policy has several stable populations), gap_constant (the limit
        of N times the regularized Nash gap with N agents, in units of the range of the rewards; nan where the largest
        step is, where the rewards have a kink and where nobody is in some state), residual.
        ``regularization_games``, one row: game, `facts` and certificate_end (the smallest strength with a certificate,
        nan if there is none or it was not looked for).
    """
    path = paths.equilibrium_path(game, regularizer)
    unit = reward_range(game)
    rows = []
    for number, point in enumerate(path.points):
        rows.append(
            {
                "game": name,
                "point": number,
                "strength": point.strength / unit,
                "exploitability": point.exploitability() / unit,
                "bound": point.regularizer.span(game.n_actions) / (1.0 - game.discount) / unit,
                "best_response_radius": point.spectral_radius,
                "unstable": point.unstable,
                "largest_step": _largest_step(point),
                "gap_constant": _gap_constant(point) / unit,
                "residual": point.residual,
            }
        )
    known = {"game": name, **facts(path, game, regularizer), "certificate_end": _certificate_end(path, game)}
    return {"regularization": pd.DataFrame(rows), "regularization_games": pd.DataFrame([known])}


def _largest_step(point: Point) -> float:
    """Return the largest stable step of PMA in units of 1 / rho, nan where it is not computed."""
    if point.policy.size > JACOBIAN_SIZE:
        return math.nan
    try:
        return point.largest_stable_step() * point.regularizer.rho
    except np.linalg.LinAlgError:  # nearly certain moves: more than one population is stable
        return math.nan


def _gap_constant(point: Point) -> float:
    """Return the limit of N times the Nash gap, nan where it is not computed (docs/theory, section 9.8)."""
    if point.policy.size > JACOBIAN_SIZE or not point.game.has_features:
        return math.nan
    try:
        return point.gap_constant()
    except (InputError, ConvergenceError, np.linalg.LinAlgError):  # a kink, states without agents, several populations
        return math.nan


def facts(path: Path, game: Game, regularizer: Regularizer) -> dict[str, Any]:
    """Return what a path says of its game.

    Parameters
    ----------
    path : Path
    game : Game
    regularizer : Regularizer

    Returns
    -------
    dict
        n_states, n_actions, n_points, n_folds, n_branch_points, complete, ended, residual (the largest), unstable (of
        the path, the most eigenvalues of J_inf with real part above 1); best_response_end and pma_end, the largest
        strengths on the path, in units of the rewards' range, at which best response is not stable and at which no
        step size makes PMA stable, 0 if there are none; mixed (states in which the limit draws, -1 if no limit was
        found), limit_residual; share and limit_share, E_0 over its bound at the end of the path and in the limit;
        exponent, exponent_low, exponent_high of E_0 in the strength at the end, fitted and the extremes between points.
    """
    unit, last = reward_range(game), path.last
    strengths = np.array([point.strength for point in path.points]) / unit
    radii = np.array([point.spectral_radius for point in path.points])
    unstable = np.array([point.unstable for point in path.points])
    bound = regularizers.with_strength(regularizer, 1.0).span(game.n_actions) / (1.0 - game.discount)
    known = {
        "n_states": game.n_states,
        "n_actions": game.n_actions,
        "n_points": len(path.points),
        "n_folds": len(path.folds),
        "n_branch_points": len(path.branch_points),
        "complete": path.complete,
        "ended": path.ended,
        "residual": max(point.residual for point in path.points),
        "unstable": int(unstable.max()),
        "best_response_end": _first(strengths, radii >= 1.0),
        "pma_end": _first(strengths, unstable > 0),
        "share": last.exploitability() / last.strength / bound,
        **_exponent(path.points, unit),
    }
    try:
        limit = paths.polish(game, last.policy, mean_field=last.mean_field)
    except ConvergenceError:
        return known | {"mixed": -1, "limit_residual": math.nan, "limit_share": math.nan}
    price = paths.price(game, limit.policy, regularizer, mean_field=limit.mean_field)
    return known | {"mixed": limit.mixed, "limit_residual": limit.residual, "limit_share": price / bound}


def _first(strengths: np.ndarray, holds: np.ndarray) -> float:
    """Return the largest strength at which something holds, 0 if there is none."""
    return float(strengths[holds].max(initial=0.0))


def _exponent(points: Sequence[Point], unit: float) -> dict[str, float]:
    """Return the slope of log E_0 in log tau over the last points where E_0 is no rounding error, and its extremes."""
    costs = np.array([(point.strength, point.exploitability() / unit) for point in points])
    seen = costs[costs[:, 1] > ROUNDING][-FITTED:]
    steps = np.diff(np.log(seen), axis=0)
    moved = steps[np.abs(steps[:, 0]) > 0.1] if len(seen) > 1 else steps[:0]
    if not len(moved):
        return {"exponent": math.nan, "exponent_low": math.nan, "exponent_high": math.nan}
    slopes = moved[:, 1] / moved[:, 0]
    fitted = statistics.log_log_slope(seen[:, 0].tolist(), seen[:, 1].tolist())
    ends = min(fitted, float(slopes.min())), max(fitted, float(slopes.max()))
    return {"exponent": fitted, "exponent_low": ends[0], "exponent_high": ends[1]}


def _certificate_end(path: Path, game: Game) -> float:
    """Return the smallest strength with a certificate that there is one equilibrium; nan if unknown or there is none.

    By bisection in the log of the strength, from the end of the path to `FARTHEST` times its beginning, in units of the
    range of the rewards.
    """
    if game.n_states > CERTIFIED_STATES or not game.has_features:
        return math.nan
    regularizer, known = path.points[0].regularizer, game.with_features("paths")

    def certified(log_strength: float) -> bool:
        of_strength = regularizers.with_strength(regularizer, math.exp(log_strength))
        return certificates.certificate(known, of_strength, np.inf).L_gamma < 1.0

    low, high = math.log(path.last.strength), math.log(FARTHEST * path.points[0].strength)
    if not certified(high):
        return math.nan
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if certified(middle) else (middle, high)
    return math.exp(high) / reward_range(game)
