"""The other branches at a branch point (docs/theory, section 19.3)."""

from __future__ import annotations

import numpy as np

from pma_mfg import solvers
from pma_mfg.paths.following import CROSSING, Follower, Node, held
from pma_mfg.paths.system import LIGHT, Bordered, Linearization, inner

#: Distances from the branch point at which another branch is looked for, from the first that leads to one.
DEPARTURES = (0.05, 0.02, 0.1, 0.005)

#: Random directions for each dimension that crosses, where more than one does.
DIRECTIONS = 6


def departures(follower: Follower, crossing: Node) -> list[Node]:
    """Return a point on each branch that leaves a branch point, with its tangent away from it.

    The directions are those in which the equations are singular; the equation across the path is replaced by a
    distance along such a direction, which the path itself never has.

    Parameters
    ----------
    follower : Follower
    crossing : Node

    Returns
    -------
    list of Node
    """
    linear = held(crossing).linear
    values, vectors = np.linalg.eig(np.linalg.solve(np.eye(len(linear.own)) - linear.own, linear.response))
    order = np.argsort(np.abs(values - 1.0))
    count = max(1, int((np.abs(values - 1.0) < CROSSING).sum()))
    basis = np.linalg.qr(np.concatenate([vectors[:, order[:count]].real, vectors[:, order[:count]].imag], axis=1))[0]
    basis = basis[:, :count].T
    directions = [*basis, *-basis]
    if count > 1:
        drawn = np.random.default_rng(0).normal(size=(DIRECTIONS * count, count)) @ basis
        directions += list(drawn)
    found: list[Node] = []
    centre = crossing.place
    d_mean_field, d_log = crossing.tangent
    weight = 1.0 / (centre.mean_field + LIGHT / len(centre.mean_field))
    for direction in directions:
        way = linear.direction(direction, 0.0)
        size = np.sqrt(max(inner(centre.mean_field, way), solvers.TINY))
        unit = direction / size
        row_field = weight * unit
        row_field = row_field / float(row_field @ unit)
        # across the path: the path's own direction is not seen by the row
        row = row_field, -float(row_field @ d_mean_field) / d_log if abs(d_log) > 1e-8 else 0.0
        for distance in DEPARTURES:
            d_value = linear.value_slope @ unit
            predicted = follower.system.moved(centre, (distance * unit, distance * d_value, 0.0))
            try:
                place = follower.corrected(predicted, Bordered(Linearization(follower.system, predicted), row))
                if place is None or not 0.2 * distance < place.distance(centre) < 5.0 * distance:
                    continue
                if all(place.distance(one.place) > 0.2 * distance for one in found):
                    found.append(follower.node(place, row))
                break
            except np.linalg.LinAlgError:
                continue
    return found
