"""A path of equilibria and its points, with what is asked of each (docs/theory, section 19.4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from pma_mfg import jacobian
from pma_mfg.equilibrium.best_responses import exploitability
from pma_mfg.games.functions import Game
from pma_mfg.paths.following import Follower, Node, Trace
from pma_mfg.paths.system import System
from pma_mfg.regularizers import Mirror, Regularizer

#: Relative width to which the largest stable step size is found.
STEP_WIDTH = 1e-6

#: Step size, in units of 1 / rho, below which no stable one is looked for.
SMALLEST_STEP = 1e-9

#: Distance of two policies (sup_s of the l1 norm) above which they count as two equilibria.
DISTINCT = 1e-6


#: Residual above which what Newton's method found at a strength is no equilibrium.
ACCURATE = 1e-9


@dataclass(frozen=True, eq=False)
class Point:
    """An equilibrium on the path.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
        With the strength of this point.
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
    residual : float
        The largest of three (equation 19.5): l1 norm of Gamma_pop(mu, pi) - mu; error of the Bellman equation, relative
        to the size of Q; move of PMA at the step size 1 / (range of the rewards).
    spectral_radius : float
        Of J_inf: best response is stable below 1.
    unstable : int
        Number of eigenvalues of J_inf with real part above 1: where it is not 0, no step size makes PMA stable
        (Proposition 7.4). Above `solvers.DIRECT_SIZE` states at most `system.LEADING` of them are counted; -1, and a
        radius of nan, where the iterative method does not come to an end.
    """

    game: Game = field(repr=False)
    regularizer: Regularizer
    policy: np.ndarray
    mean_field: np.ndarray
    residual: float
    spectral_radius: float
    unstable: int

    @property
    def strength(self) -> float:
        """The strength of the regularizer, tau."""
        return self.regularizer.strength

    def exploitability(self, *, regularized: bool = False) -> float:
        """Return what a best response gains: without the regularizer, E_0, by default."""
        regularizer = self.regularizer if regularized else None
        return exploitability(self.game, self.policy, regularizer, mean_field=self.mean_field)

    def largest_stable_step(self, mirror: Mirror = "euclidean") -> float:
        """Return the step size below which PMA is stable at this equilibrium: 0 if none, infinity if all are.

        By bisection in the spectral radius of the exact Jacobian up to 1e3 / rho (docs/theory, section 7.1), from
        1e-3 / rho or, where that is not stable, from a smaller one: there is a stable one where `unstable` is 0, and
        it is looked for down to `SMALLEST_STEP` / rho. For games that fit dense.
        """

        def stable(step_size: float) -> bool:
            matrix = jacobian.jacobian(
                self.game,
                self.policy,
                step_size,
                regularizer=self.regularizer,
                mirror=mirror,
                mean_field=self.mean_field,
            )
            return jacobian.spectral_radius(matrix) < 1.0

        low, high = 1e-3 / self.regularizer.rho, 1e3 / self.regularizer.rho
        if stable(np.inf):
            return np.inf
        if self.unstable > 0:
            return 0.0
        if stable(high):
            return np.inf
        while not stable(low):
            low, high = 0.1 * low, low
            if low * self.regularizer.rho < SMALLEST_STEP:
                return 0.0
        while high > (1.0 + STEP_WIDTH) * low:
            middle = float(np.sqrt(low * high))
            low, high = (middle, high) if stable(middle) else (low, middle)
        return low

    def certificate(self) -> float:
        """Return a proven Lipschitz constant of the best-response step: below 1 this is the only equilibrium."""
        from pma_mfg.theory import certificates

        game = self.game.with_features("paths.certificate")
        return certificates.certificate(game, self.regularizer, np.inf).L_gamma

    def gap_constant(self) -> float:
        """Return the limit of N times the Nash gap with N agents (docs/theory, section 9.8), for smooth games."""
        from pma_mfg.populations import gap_constants

        game = self.game.with_features("paths.gap_constant")
        return gap_constants.regularized_gap_constant(game, self.policy, self.regularizer)


@dataclass(eq=False)
class Path:
    """A path of equilibria, in the order in which it was followed.

    Parameters
    ----------
    points : list of Point
    folds : list of Point
        Where the strength turns: two equilibria are born or meet.
    branch_points : list of Point
        Where other branches cross.
    ended : str
        Why it ends where it does, and whether branch points are left at which no branch was followed.
    complete : bool
        Whether it ends at the smallest strength that was asked for.
    branches : list of Path
        The other branches, if they were asked for.
    """

    points: list[Point]
    folds: list[Point]
    branch_points: list[Point]
    ended: str
    complete: bool
    branches: list[Path] = field(default_factory=list)
    _trace: Trace | None = field(default=None, repr=False)
    _follower: Follower | None = field(default=None, repr=False)

    @property
    def last(self) -> Point:
        """The last point."""
        return self.points[-1]

    def crossings(self) -> list[Node]:
        """Return the branch points with their derivatives, from which `branching.departures` starts."""
        return [] if self._trace is None else self._trace.crossings

    def at(self, strength: float) -> list[Point]:
        """Return all equilibria of the path and its branches at a strength, each once.

        Where the path passes the strength, Newton's method at that strength starts between the two points around it.
        """
        found: list[Point] = []
        target = float(np.log(strength))
        for path in (self, *self.branches):
            if (follower := path._follower) is None or path._trace is None:
                continue
            nodes = path._trace.nodes
            for one, other in pairwise(nodes):
                ends = one.place.log_strength - target, other.place.log_strength - target
                if ends[0] * ends[1] > 0.0:
                    continue
                share = ends[0] / (ends[0] - ends[1]) if ends[0] != ends[1] else 0.0
                middle = (1.0 - share) * one.place.mean_field + share * other.place.mean_field
                node = follower.at_strength(follower.system.at(middle / middle.sum(), target), target)
                if node is not None and node.residual <= ACCURATE:
                    point = point_of(follower.system, node)
                    if all(np.abs(point.policy - known.policy).sum(axis=1).max() > DISTINCT for known in found):
                        found.append(point)
        return found


def point_of(system: System, node: Node) -> Point:
    """Return a point of the path as users see it."""
    place = node.place
    return Point(
        game=system.game,
        regularizer=place.regularizer,
        policy=place.policy,
        mean_field=place.mean_field,
        residual=node.residual,
        spectral_radius=node.radius,
        unstable=node.unstable,
    )
