"""Bifurcation diagrams of games, and the paths of many generated games: from games to tables.

docs/theory, sections 19 and 12.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import games, paths, regularizers, seeds
from pma_mfg.arrays import accepts
from pma_mfg.games.functions import Game
from pma_mfg.paths import Path, Point
from pma_mfg.paths.path import distinct, random_equilibria
from pma_mfg.paths.system import System
from pma_mfg.regularizers import Regularizer
from pma_replication.experiments.regularization.measure import facts
from pma_replication.unsettled import reward_range

#: Distance of policies (sup_s of the l1 norm) at which an equilibrium that was found twice is the same.
SAME = 1e-6


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
        ``paths``, a row for each point: columns game, branch (0 is the path from a strong regularizer), found
        ("path" or "starts"), strength, unstable, event (whether it is a fold or a branch point, at which an eigenvalue
        is 1 and unstable a matter of rounding), state (whose share is told: the one in which equilibria at the
        ends of branches differ most, or, where they are one, those along the path),
        share. ``paths_equilibria``, a row for each strength: game, strength, by_path, by_starts, by_both, in_all
        (equilibria found), unstable (of them, those that no step size of PMA makes stable).
    """
    unit = reward_range(game)
    seed = int(seeds.generator(seed, "paths", name).integers(2**32))  # every game has starts of its own
    high = paths.equilibrium_path(game, regularizer, max_points=1).points[0].strength
    bounds = high, lowest * unit
    followed: list[tuple[str, Path]] = []
    rows = []
    for strength in counted(strengths, lowest):
        h = regularizers.with_strength(regularizer, strength * unit)
        first, *others = paths.equilibrium_paths(game, h, n_starts=n_starts, seed=seed, strengths=bounds)
        if not followed:
            followed.append(("path", first))
        known = distinct(point for _, path in followed for point in path.at(h.strength))
        # of an equilibrium that is new both directions, in each of which the path begins with it
        new = [other for other in others if len(distinct([*known, *other.at(h.strength)])) > len(known)]
        followed += [("starts", other) for other in new]
        known = distinct([*known, *(point for other in new for point in other.at(h.strength))])
        rows.append({"game": name, "strength": strength, **_found(game, h, first, known, n_starts=n_starts, seed=seed)})
    branches = [(found, branch) for found, path in followed for branch in (path, *path.branches)]
    spread = np.ptp([branch.last.mean_field for _, branch in branches], axis=0)
    if not spread.max() > SAME:  # one equilibrium at the end: there is only the way to it to be seen
        spread = np.ptp([point.mean_field for _, branch in branches for point in branch.points], axis=0)
    state = int(spread.argmax())
    points = [
        {
            "game": name,
            "branch": number,
            "found": found,
            "strength": point.strength / unit,
            "unstable": point.unstable,
            "event": event,
            "state": state,
            "share": point.mean_field[state],
        }
        for number, (found, branch) in enumerate(branches)
        for event, point in _with_events(branch)
    ]
    return {"paths": pd.DataFrame(points), "paths_equilibria": pd.DataFrame(rows)}


def counted(strengths: Sequence[float], lowest: float) -> list[float]:
    """Return the strengths at which equilibria are counted: those above `lowest`, or one a little above it."""
    return [strength for strength in strengths if strength > lowest] or [2.0 * lowest]


def _with_events(path: Path) -> list[tuple[bool, Point]]:
    """Return the points of a path with its folds and branch points between them, and which of them are such events."""
    points = [(False, point) for point in path.points]

    def apart(one: Point, other: Point) -> float:
        return abs(math.log(one.strength / other.strength)) + float(np.abs(one.mean_field - other.mean_field).sum())

    for event in (*path.folds, *path.branch_points):
        gaps = [
            apart(one, event) + apart(event, other) - apart(one, other)
            for (_, one), (_, other) in itertools.pairwise(points)
        ]
        if gaps:
            points.insert(1 + int(np.argmin(gaps)), (True, event))
    return points


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
