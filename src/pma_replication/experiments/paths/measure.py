"""What is measured on the path of equilibria as the regularizer weakens: from games to tables.

docs/theory, sections 19 and 12.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import games, paths, regularizers
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.paths import Path, Point
from pma_mfg.paths.path import distinct, random_equilibria
from pma_mfg.paths.system import System
from pma_mfg.regularizers import Regularizer
from pma_mfg.theory import certificates, lipschitz

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

#: Distance of policies (sup_s of the l1 norm) at which an equilibrium that was found twice is the same.
SAME = 1e-6


@accepts()
def follow(game: Game, regularizer: Regularizer, name: str) -> dict[str, pd.DataFrame]:
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
        ``paths``, a row for each point: columns game, point (its number), strength (in units of the range of the
        rewards, like all strengths), exploitability (without a regularizer, in the same units), bound (Proposition
        8.2), best_response_radius, unstable, largest_step (of PMA, in units of 1 / rho; infinity where every step is
        stable; nan above `JACOBIAN_SIZE` or where the policy has several stable populations), residual. ``paths_games``, one row: game and `facts`.
    """
    path = paths.equilibrium_path(game, regularizer)
    reward_range = _range(game)
    rows = []
    for number, point in enumerate(path.points):
        rows.append(
            {
                "game": name,
                "point": number,
                "strength": point.strength / reward_range,
                "exploitability": point.exploitability() / reward_range,
                "bound": point.regularizer.span(game.n_actions) / (1.0 - game.discount) / reward_range,
                "best_response_radius": point.spectral_radius,
                "unstable": point.unstable,
                "largest_step": _largest_step(point),
                "residual": point.residual,
            }
        )
    known = {"game": name, **facts(path, game, regularizer), "certificate_end": _certificate_end(path, game)}
    return {"paths": pd.DataFrame(rows), "paths_games": pd.DataFrame([known])}


def _largest_step(point: Point) -> float:
    """Return the largest stable step of PMA in units of 1 / rho, nan where it is not computed."""
    if point.policy.size > JACOBIAN_SIZE:
        return math.nan
    try:
        return point.largest_stable_step() * point.regularizer.rho
    except np.linalg.LinAlgError:  # nearly certain moves: more than one population is stable
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
    reward_range, last = _range(game), path.last
    strengths = np.array([point.strength for point in path.points]) / reward_range
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
        **_exponent(path.points, reward_range),
    }
    try:
        limit = paths.polish(game, last.policy, mean_field=last.mean_field)
    except ConvergenceError:
        return known | {"mixed": -1, "limit_residual": math.nan, "limit_share": math.nan}
    price = paths.price(game, limit.policy, regularizer, mean_field=limit.mean_field)
    return known | {"mixed": limit.mixed, "limit_residual": limit.residual, "limit_share": price / bound}


def _range(game: Game) -> float:
    low, high = lipschitz.reward_range(game)
    return high - low


def _first(strengths: np.ndarray, holds: np.ndarray) -> float:
    """Return the largest strength at which something holds, 0 if there is none."""
    return float(strengths[holds].max(initial=0.0))


def _exponent(points: Sequence[Point], reward_range: float) -> dict[str, float]:
    """Return the slope of log E_0 in log tau over the last points where E_0 is no rounding error, and its extremes."""
    costs = np.array([(point.strength, point.exploitability() / reward_range) for point in points])
    seen = costs[costs[:, 1] > ROUNDING][-FITTED:]
    steps = np.diff(np.log(seen), axis=0)
    moved = steps[np.abs(steps[:, 0]) > 0.1] if len(seen) > 1 else steps[:0]
    if not len(moved):
        return {"exponent": math.nan, "exponent_low": math.nan, "exponent_high": math.nan}
    slopes = moved[:, 1] / moved[:, 0]
    fitted = float(np.polyfit(*np.log(seen).T, 1)[0])
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
    return math.exp(high) / _range(game)


@accepts()
def diagram(
    game: Game,
    regularizer: Regularizer,
    name: str,
    *,
    lowest: float,
    strengths: Sequence[float],
    n_starts: int,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """Follow all branches of one game, and compare what they and random starts find.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
        Its kind.
    name : str
        The game's name in tables.
    lowest : float
        Strength at which paths end, in units of the range of the rewards, as are all strengths.
    strengths : sequence of float
        At which equilibria are counted; those below `lowest` are left out.
    n_starts : int
        Random mean fields at each of them.
    seed : int

    Returns
    -------
    dict of str to DataFrame
        ``paths_branches``, a row for each point: columns game, branch (0 is the path from a strong regularizer), found
        ("path" or "starts"), strength, unstable, state (whose share is told: the one in which equilibria differ most),
        share. ``paths_equilibria``, a row for each strength: game, strength, by_path, by_starts, by_both, in_all
        (equilibria found), unstable (of them, those that no step size of PMA makes stable).
    """
    reward_range = _range(game)
    high = paths.equilibrium_path(game, regularizer, max_points=1).points[0].strength
    bounds = high, lowest * reward_range
    followed: list[tuple[str, Path]] = []
    rows = []
    for strength in [s for s in strengths if s > lowest] or [2.0 * lowest]:
        h = regularizers.with_strength(regularizer, strength * reward_range)
        first, *others = paths.equilibrium_paths(game, h, n_starts=n_starts, seed=seed, strengths=bounds)
        if not followed:
            followed.append(("path", first))
        known = distinct(point for _, path in followed for point in path.at(h.strength))
        for other in others:
            new = distinct([*known, *other.at(h.strength)])
            if len(new) > len(known):
                followed.append(("starts", other))
            known = new
        rows.append({"game": name, "strength": strength, **_found(game, h, first, known, n_starts=n_starts, seed=seed)})
    branches = [(found, branch) for found, path in followed for branch in (path, *path.branches)]
    ends = np.array([branch.last.mean_field for _, branch in branches])
    state = int(np.ptp(ends, axis=0).argmax())
    points = [
        {
            "game": name,
            "branch": number,
            "found": found,
            "strength": point.strength / reward_range,
            "unstable": point.unstable,
            "state": state,
            "share": point.mean_field[state],
        }
        for number, (found, branch) in enumerate(branches)
        for point in branch.points
    ]
    return {"paths_branches": pd.DataFrame(points), "paths_equilibria": pd.DataFrame(rows)}


def _found(
    game: Game, regularizer: Regularizer, path: Path, known: Sequence[Point], *, n_starts: int, seed: int
) -> dict[str, int]:
    """Return how many of all known equilibria the path with its branches leads to, and how many random starts."""
    policies = [point.policy for point in known]
    by_path = {_nearest(point.policy, policies) for point in path.at(regularizer.strength)}
    by_starts = set()
    for mean_field in random_equilibria(game, regularizer, n_starts=n_starts, seed=seed):
        place = System(game, regularizer, mean_field).at(mean_field, math.log(regularizer.strength))
        by_starts.add(_nearest(place.policy, policies))
    by_starts.discard(-1)
    return {
        "by_path": len(by_path),
        "by_starts": len(by_starts),
        "by_both": len(by_path & by_starts),
        "in_all": len(known),
        "unstable": sum(point.unstable > 0 for point in known),
    }


def _nearest(policy: np.ndarray, policies: Sequence[np.ndarray]) -> int:
    """Return the number of the policy that is the same, -1 if there is none."""
    distances = [float(np.abs(policy - other).sum(axis=1).max()) for other in policies]
    return int(np.argmin(distances)) if distances and min(distances) <= SAME else -1


def generated(
    name: str,
    family: str,
    along: str,
    *,
    values: Sequence[float],
    parameters: Mapping[str, Any],
    regularizer: Regularizer,
    n_seeds: int,
    after_game: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Follow the paths of many generated games, of which one parameter, their coupling, is varied.

    Parameters
    ----------
    name : str
        What the games are called together in tables.
    family : str
    along : str
        The parameter that is the coupling.
    values : sequence of float
        Of the coupling.
    parameters : mapping
        All others but the seed.
    regularizer : Regularizer
        Its kind.
    n_seeds : int
        Seeds 0, 1, ... of each coupling.
    after_game : callable
        Called after each game.

    Returns
    -------
    DataFrame
        Columns game (the name), coupling, seed, and those of `facts`.
    """
    rows = []
    for value, seed in itertools.product(values, range(n_seeds)):
        game = games.make(family, **{**parameters, along: value, "seed": seed})
        path = paths.equilibrium_path(game, regularizer)
        rows.append({"game": name, "coupling": float(value), "seed": seed, **facts(path, game, regularizer)})
        after_game()
    return pd.DataFrame(rows)
