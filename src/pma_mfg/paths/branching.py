"""The other branches at a branch point (docs/theory, section 19.3)."""

from __future__ import annotations

import numpy as np

from pma_mfg.paths.following import CROSSING, FARTHEST, FOUND, Follower, Node, held
from pma_mfg.paths.system import LIGHT, Bordered, Linearization, Place, inner

#: Distances from the branch point at which another branch is looked for, from the first that leads to one.
DEPARTURES = (0.05, 0.02, 0.005)

#: For each dimension that crosses, where more than one does: directions that are tried.
DIRECTIONS = 48

#: Corrections across the kernel before a direction may turn, and corrections of a point on a branch.
LIFTS, CORRECTIONS = 3, 12

#: Cosine of two directions from a branch point above which they are one.
SAME_DIRECTION = 0.999


class Kernel:
    """The kernel of the equations at a branch point, with coordinates that the path itself does not move in.

    Parameters
    ----------
    follower : Follower
        Of the path that passes the branch point.
    crossing : Node
        The branch point, with the tangent of the path.

    Attributes
    ----------
    size : int
        Dimension m of the kernel: the number of eigenvalues of J_inf that are 1 up to `CROSSING`, at least 1.
    basis : ndarray, shape (S, m)
        Directions of the mean field that span the kernel, each of length 1 in the metric of the path.
    rows : ndarray, shape (m, S)
        Left inverse of the basis.
    ahead : ndarray, shape (S,)
        Change of the mean field per log-strength along the path, 0 where the path is level in the strength.
    bordered : ndarray, shape (S + m, S + m)
        The derivative in the mean field, with the left kernel and the rows: regular.
    """

    def __init__(self, follower: Follower, crossing: Node) -> None:
        self.system, self.centre, self.linear = follower.system, crossing.place, held(crossing).linear
        linear, mean_field = self.linear, crossing.place.mean_field
        values, vectors = np.linalg.eig(np.linalg.solve(np.eye(len(linear.own)) - linear.own, linear.response))
        order = np.argsort(np.abs(values - 1.0))
        self.size = max(1, int((np.abs(values - 1.0) < CROSSING).sum()))
        chosen = vectors[:, order[: self.size]]
        basis = np.linalg.svd(np.concatenate([chosen.real, chosen.imag], axis=1))[0][:, : self.size]
        ways = [linear.direction(column, 0.0) for column in basis.T]
        lengths = np.array([[inner(mean_field, one, other) for other in ways] for one in ways])
        self.basis = np.linalg.solve(np.linalg.cholesky(lengths), basis.T).T  # of length 1 in the metric of the path
        weighted = self.basis / (mean_field + LIGHT / len(mean_field))[:, None]
        self.rows = np.linalg.solve(weighted.T @ self.basis, weighted.T)
        d_mean_field, d_log = crossing.tangent
        self.ahead = d_mean_field / d_log if abs(d_log) > 1e-8 else np.zeros(len(mean_field))
        matrix = linear.own + linear.response - np.eye(len(mean_field))
        left = np.linalg.svd(matrix)[0][:, -self.size :]
        self.bordered = np.block([[matrix, left], [self.rows, np.zeros((self.size, self.size))]])

    def coordinates(self, place: Place) -> np.ndarray:
        """Return how far a place is from the path in the kernel's directions.

        Parameters
        ----------
        place : Place

        Returns
        -------
        ndarray, shape (m,)
        """
        moved = place.log_strength - self.centre.log_strength
        return np.asarray(self.rows @ (place.mean_field - self.centre.mean_field - moved * self.ahead))

    def lifted(self, wanted: np.ndarray) -> Place:
        """Return a place with these coordinates where the equations hold but for as many as the kernel has dimensions.

        At the strength of the branch point; by Newton's method with the derivative there (Lyapunov and Schmidt).

        Parameters
        ----------
        wanted : ndarray, shape (m,)
            The coordinates.

        Returns
        -------
        Place
        """
        linear, moved = self.linear, self.basis @ wanted
        place = self.system.moved(self.centre, (moved, linear.value_slope @ moved, 0.0))
        for _ in range(LIFTS):
            gap, by_value = linear.reduced(place.gaps)
            right = np.concatenate([-gap, wanted - self.coordinates(place)])
            change = np.linalg.solve(self.bordered, right)[: len(gap)]
            place = self.system.moved(place, (change, linear.value_slope @ change + by_value, 0.0))
        return place

    def on_branch(self, wanted: np.ndarray) -> tuple[Place, tuple[np.ndarray, float]] | None:
        """Return the place on a branch as far from the branch point as the coordinates, and the row away from it.

        By Newton's method with the distance as the missing equation, from `lifted` on; None if it leads nowhere.

        Parameters
        ----------
        wanted : ndarray, shape (m,)
            Coordinates from which the branch is searched for; their length is the distance.

        Returns
        -------
        tuple of Place and tuple of ndarray and float, or None
            The place, and the row in mean field, shape (S,), and log-strength that grows with the distance.
        """
        place, distance = self.lifted(wanted), float(np.linalg.norm(wanted))
        for _ in range(CORRECTIONS):
            at = self.coordinates(place)
            outward = at / max(np.linalg.norm(at), FOUND)
            row = outward @ self.rows, -float(outward @ self.rows @ self.ahead)
            step = Bordered(Linearization(self.system, place), row).step(
                place.gaps, ahead=distance - float(np.linalg.norm(at))
            )
            if not all(np.isfinite(part).all() for part in step) or abs(step[2]) > FARTHEST:
                return None
            following = self.system.moved(place, step)
            size = following.distance(place)
            if size > distance:  # not farther than the branch point is
                share = distance / size
                following = self.system.moved(place, (share * step[0], share * step[1], share * step[2]))
            place = following
            if size <= FOUND:
                return place, row
        return None


def departures(follower: Follower, crossing: Node) -> list[Node]:
    """Return a point on each branch found that leaves a branch point, with its tangent away from it.

    Every one of the `tried` directions is corrected to a branch. Nothing proves that these are all.

    Parameters
    ----------
    follower : Follower
        Of the path that passes the branch point.
    crossing : Node
        The branch point, with the tangent of the path.

    Returns
    -------
    list of Node
    """
    kernel = Kernel(follower, crossing)
    found, ways = [], list[np.ndarray]()
    for direction in tried(kernel.size):
        for distance in DEPARTURES:
            try:
                reached = kernel.on_branch(distance * direction)
                if reached is None or not 0.2 * distance < reached[0].distance(crossing.place) < 5.0 * distance:
                    continue
                way = kernel.coordinates(reached[0]) / distance
                if all(way @ other < SAME_DIRECTION for other in ways):
                    found.append(follower.node(*reached))
                    ways.append(way)
                break
            except np.linalg.LinAlgError:
                continue
    return found


def tried(size: int) -> np.ndarray:
    """Return directions in the kernel, each with its opposite: both, all around a circle, or axes and random ones.

    The axes of the kernel are a matter of rounding where eigenvalues are equal, and so is what directions a few
    random ones leave out; a circle is covered whatever its axes are.

    Parameters
    ----------
    size : int
        Dimension m of the kernel.

    Returns
    -------
    ndarray, shape (n, m)
        Of length 1.
    """
    if size == 2:
        angles = np.linspace(0.0, 2.0 * np.pi, DIRECTIONS * size, endpoint=False)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)
    half = np.eye(size)
    if size > 2:
        drawn = np.random.default_rng(0).normal(size=(DIRECTIONS * size // 2, size))
        half = np.concatenate([half, drawn / np.linalg.norm(drawn, axis=1, keepdims=True)])
    return np.concatenate([half, -half])
