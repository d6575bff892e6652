"""Pseudo-arclength continuation along the path of equilibria (docs/theory, sections 19.2 and 19.3).

A predictor along the tangent, Newton's method in the plane across it, steps that adapt. Folds are passed, since the
strength is an unknown like the others; branch points are seen by the sign of a determinant or, where an even number
of eigenvalues crosses, by their count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from pma_mfg import operators, solvers
from pma_mfg.equilibrium.solution import COARSEST, policy_rounding
from pma_mfg.paths.system import LIGHT, Bordered, Linearization, Place, System, inner
from pma_mfg.regularizers import kind

#: First, largest and smallest length of a step, in the metric of the path: 1 is a factor e in the strength.
FIRST_STEP, LONGEST_STEP, SHORTEST_STEP = 0.05, 1.0, 1e-8

#: A step is halved if Newton's first correction exceeds this share of it, or if the path turns by more than the angle
#: of this cosine. A shorter step than `KINK_STEP` may turn by any acute angle: the path may have a kink there.
LARGEST_CORRECTION, SMALLEST_COSINE = 0.3, 0.9

#: Distance beyond a kink at which the equations that hold there are looked at.
BEYOND = 1e-6

#: Of a smooth game with the entropy, and of others, whose path has kinks.
KINK_STEP = (1e-4, 2e-2)

#: A Newton step with an old derivative that does not shrink by this factor is made again with a new one.
CONTRACTION = 0.2

#: By how much Newton's steps may grow in a short step along a path with kinks: one that leads across a kink does so.
ACROSS = 4.0

#: Derivatives that are tried for the last digits of a point, which may lie beyond a kink.
KINK_STEPS = 4

#: Residual above which a last step to the law of the chain is tried.
ROUNDING = 1e-13

#: Residual above which a point next to a kink is none, and that of any other point is told.
RESIDUAL = 1e-12

#: Largest correction of the log-strength.
FARTHEST = 5.0

#: Number of corrections of one point.
CORRECTIONS = 12

#: Length of a correction at which a point counts as found, before the steps with a policy of its own.
FOUND = 1e-9

#: Share of the log-strength in the direction of the path above which it is the coordinate along it.
STEEP = 0.5

#: Distance from a bound of the log-strength at which the last point is computed at the bound itself.
NEAR = 1e-2

#: Distance from 1 below which an eigenvalue at a branch point counts as crossing there.
CROSSING = 1e-4

#: Length of a step to which branch points are told from each other, and the share of the log-strength in the direction
#: of the path below which a point that is known so well is a fold.
APART, FLAT = 1e-11, 1e-6


@dataclass(frozen=True, eq=False)
class Node:
    """A point of the path with what the next step needs.

    Parameters
    ----------
    place : Place
    residual : float
        `unit_residual`.
    tangent : tuple of ndarray and float
        Direction of the path in mean field and log-strength, of length 1.
    bordered : Bordered or None
        The derivative there, with the row of the point before; None for points that lie behind, to save memory.
    unstable : int
        Number of eigenvalues of J_inf with real part above 1, see `system.Linearization.stability`.
    radius : float
        Spectral radius of J_inf.
    power : float
        The p for which the mean field moves in proportion to tau^p, as far as the last step tells.
    """

    place: Place
    residual: float
    tangent: tuple[np.ndarray, float]
    bordered: Bordered | None
    unstable: int
    radius: float
    power: float = 0.0

    def row(self) -> tuple[np.ndarray, float]:
        """Return the row that fixes the place along the path: the log-strength where that moves, or the tangent."""
        d_mean_field, d_log = self.tangent
        if abs(d_log) > STEEP:
            return np.zeros(len(d_mean_field)), float(np.sign(d_log))
        weighted = d_mean_field / (self.place.mean_field + LIGHT / len(d_mean_field))
        # mean field stands for mean field and policy: both together have what the strength leaves of the length
        return (1.0 - d_log**2) / float(weighted @ d_mean_field) * weighted, d_log


@dataclass(eq=False)
class Trace:
    """What following the path has given so far.

    Parameters
    ----------
    nodes : list of Node
    folds : list of Node
    crossings : list of Node
        Branch points.
    ended : str
        Why the path ends where it does.
    arrived : bool
        Whether it ends at the strength that was asked for.
    """

    nodes: list[Node]
    folds: list[Node] = field(default_factory=list)
    crossings: list[Node] = field(default_factory=list)
    ended: str = ""
    arrived: bool = False


def unit_residual(place: Place, reward_range: float) -> float:
    """Return the largest of the three residuals of a pair of policy and population (equation 19.5).

    The l1 norm of Gamma_pop(mu, pi) - mu; the error of the Bellman equation, relative to the size of values; and the
    move of PMA with the step size 1 / (range of the rewards).
    """
    q, policy, regularizer = place.q, place.policy, place.regularizer
    moved = operators.push_forward(place.transition, place.mean_field[:, None] * policy)
    bellman = regularizer.optimum(q) - (policy * q).sum(axis=1) - regularizer.value(policy)
    step = operators.mirror_ascent_step(q, policy, 1.0 / reward_range, regularizer=regularizer)
    return max(
        float(np.abs(moved - place.mean_field).sum()),
        float(np.abs(bellman).max()) / max(reward_range, float(np.abs(q).max())),
        operators.policy_distance(step, policy),
    )


def refined(system: System, place: Place, bordered: Bordered, *, reward_range: float) -> tuple[Place, float]:
    """Make the last of Newton's steps with the policy as an unknown of its own; return the place and its residual.

    softmax(q / tau) is known to the rounding error of q over tau; a policy that is an unknown is known to its own
    (section 19.2). Steps are made while the residual halves.
    """
    linear = bordered.linear
    best, residual = place, unit_residual(place, reward_range)
    for _ in range(6):
        mean_field, policy, value = best.mean_field, best.policy, best.value
        missing = _missing(best, linear)
        gap = system.population_gap(mean_field, policy, best.transition)[0]
        gaps = gap, (policy * best.q).sum(axis=1) + best.regularizer.value(policy) - value
        d_mean_field, d_value, d_log = bordered.step(gaps, missing)
        if not (np.isfinite(d_mean_field).all() and np.isfinite(d_value).all() and np.isfinite(d_log)):
            break
        d_q = linear.q_change(linear.target @ d_mean_field, d_value) - d_log * best.q + missing
        following = np.maximum(policy + linear.steered(d_q), 0.1 * policy)
        following /= following.sum(axis=1, keepdims=True)
        candidate = replace(system.moved(best, (d_mean_field, d_value, d_log)), policy=following)
        reached = unit_residual(candidate, reward_range)
        if not reached <= 0.5 * residual:
            break
        best, residual = candidate, reached
    if residual > ROUNDING and system.by_law:  # states that are left for good may hold what a step leaves there
        law = system.population_gap(best.mean_field, best.policy, best.transition)[2]
        candidate = replace(system.place(law, best.value, best.log_strength), policy=best.policy)
        if (reached := unit_residual(candidate, reward_range)) < residual:
            best, residual = candidate, reached
    return best, residual


def _missing(place: Place, linear: Linearization) -> np.ndarray:
    """Return what q + grad h misses to be constant over the actions taken, 0 where that is rounding."""
    slope = place.q + place.regularizer.gradient(np.maximum(place.policy, solvers.TINY))
    missing = slope - (linear.weight * slope).sum(axis=1, keepdims=True) / linear.totals
    return np.where(np.abs(missing) > 8.0 * solvers.EPSILON * np.abs(place.q).max(), missing, 0.0)


class Follower:
    """Follows the path of one system.

    Parameters
    ----------
    system : System
    reward_range : float
    """

    def __init__(self, system: System, reward_range: float) -> None:
        self.system, self.reward_range = system, reward_range
        tables = system.game.linearized(np.full(system.game.n_states, 1.0 / system.game.n_states))
        kinks = np.concatenate([tables.transition_features.kinks(), tables.reward_features.kinks()])
        self.kinked = kind(system.regularizer) != "entropy" or not np.isnan(kinks).all()
        self.kink_step = KINK_STEP[self.kinked]

    def node(self, place: Place, row: tuple[np.ndarray, float]) -> Node:
        """Return the point of a place: its last digits, its tangent on the side of the row, its eigenvalues."""
        linear = Linearization(self.system, place)
        bordered = Bordered(linear, row)
        best, residual = refined(self.system, place, bordered, reward_range=self.reward_range)
        for _ in range(KINK_STEPS):
            if residual <= ROUNDING or not self.kinked:
                break
            following = self.system.moved(place, bordered.step(place.gaps))  # the last step may have crossed a kink
            if not following.distance(place) <= BEYOND:
                break
            other = Bordered(Linearization(self.system, following), row)
            candidate, reached = refined(self.system, following, other, reward_range=self.reward_range)
            if not reached < residual:
                break
            place, linear, bordered, best, residual = following, other.linear, other, candidate, reached
        tangent = bordered.tangent()
        if not np.isfinite(tangent[0]).all() or not np.isfinite(tangent[1]):
            raise np.linalg.LinAlgError("singular")
        unstable, radius = linear.stability()
        return Node(best, residual, tangent, bordered, unstable, radius)

    def corrected(self, place: Place, bordered: Bordered, most: float = np.inf) -> Place | None:
        """Return the place on the path in the plane across the row, None if Newton's method leads nowhere.

        The first correction may be `most` long at most. The derivative at hand is used as long as steps shrink.
        """
        previous, fresh = np.inf, False
        growth = ACROSS if most == np.inf and self.kinked else 1.0
        found = max(FOUND, min(policy_rounding(place.q, place.regularizer), COARSEST))
        for _ in range(CORRECTIONS):
            step = bordered.step(place.gaps)
            if not all(np.isfinite(part).all() for part in step) or abs(step[2]) > FARTHEST:
                return None
            candidate = self.system.moved(place, step)
            size = candidate.distance(place)
            if size <= found:
                return candidate
            if size > most or (fresh and size > growth * previous):
                return None
            shrinks = size <= CONTRACTION * previous
            if shrinks or fresh:
                place, previous = candidate, size
            if not shrinks:
                previous = previous if fresh else np.inf
                bordered, fresh = Bordered(Linearization(self.system, place), bordered.row), True
        return None

    def advanced(self, node: Node, step: float, *, most: float | None = None) -> Place | None:
        """Return the place a step further along the path, None if it is not found, see `corrected`."""
        d_mean_field, d_log = node.tangent
        bordered = held(node)
        linear = bordered.linear
        d_value = linear.value_slope @ d_mean_field + d_log * linear.value_strength
        of_field = of_value = step
        if abs(d_log) > STEEP:  # values are nearly linear in the strength, the mean field in a power of it
            of_value = np.expm1(step * d_log) / d_log
            of_field = np.expm1(node.power * step * d_log) / (node.power * d_log) if node.power else step
        predicted = self.system.moved(node.place, (of_field * d_mean_field, of_value * d_value, step * d_log))
        if most is None:
            most = LARGEST_CORRECTION * step if step > self.kink_step else np.inf
        try:
            return self.corrected(predicted, bordered, most)
        except np.linalg.LinAlgError:
            return None

    def stepped(self, node: Node, step: float) -> Node | None:
        """Return the next point, None if the step is too long: not found, or the path turns too far."""
        place = self.advanced(node, step)
        if place is None or not 0.1 * step <= place.distance(node.place) <= 3.0 * step:
            return None
        try:
            following = self.node(place, node.row())
        except np.linalg.LinAlgError:
            return None
        short = self.kinked and step <= self.kink_step
        if short and following.residual > RESIDUAL:  # the path turns before it
            return None
        if short and _taken_change(node, following) and held(node).sign != held(following).sign:
            # it turns by more than a right angle (Proposition 19.4)
            d_mean_field, d_log = following.tangent
            return replace(following, tangent=(-d_mean_field, -d_log), bordered=held(following).reversed())
        before, after = (held(one).linear.direction(*one.tangent) for one in (node, following))
        centre = node.place.mean_field
        cosine = inner(centre, before, after) / np.sqrt(inner(centre, after) * inner(centre, before))
        if step > self.kink_step and cosine < SMALLEST_COSINE:
            return None
        return replace(following, power=_power(node, following))

    def located(self, node: Node, step: float, value: Callable[[Node], float], *, end: Node) -> Node:
        """Return the point within a step where a function of the point changes its sign, by regula falsi."""
        low, high, best = 0.0, step, end
        at_low, at_high = value(node), value(end)
        for turn in range(60):
            share = at_low / (at_low - at_high)
            if turn % 4 == 3 or not 0.0 < share < 1.0:
                share = 0.5
            middle = low + share * (high - low)
            place = self.advanced(node, middle, most=LARGEST_CORRECTION * step)  # as far as the step itself may be
            if place is None:
                break
            try:
                best = self.node(place, node.row())
            except np.linalg.LinAlgError:
                break
            now = value(best)
            if now == 0.0 or high - low < 1e-12 or abs(now) < 1e-12 * abs(value(end)):
                break
            if (now > 0.0) == (at_low > 0.0):
                low, at_low, at_high = middle, now, at_high * (0.5 if turn % 2 else 1.0)
            else:
                high, at_high, at_low = middle, now, at_low * (0.5 if turn % 2 else 1.0)
        return best

    def follow(
        self, node: Node, *, low: float, high: float, max_points: int, stop: Callable[[Trace], str] | None = None
    ) -> Trace:
        """Follow the path from a point to a bound of the log-strength, or as far as it can be followed."""
        trace, step, turned = Trace([node]), FIRST_STEP, False
        while len(trace.nodes) < max_points:
            ahead = node.tangent[1]
            bound = low if ahead < 0.0 else high
            left = (bound - node.place.log_strength) / ahead if ahead else np.inf
            length = min(step, left) if left > 0.0 else step
            following = self.stepped(node, length)
            if following is None:
                step = 0.5 * length
                if step < SHORTEST_STEP:
                    beyond = None if turned else self._turned(node)
                    if beyond is None:
                        trace.ended = "lost"
                        return trace
                    if beyond.tangent[1] * node.tangent[1] < 0.0:
                        trace.folds.append(node)
                    trace.nodes[-1] = node = beyond
                    step, turned = BEYOND, True
                continue
            turned = False
            self._events(trace, node, length, following)
            trace.nodes[-1] = replace(node, bordered=None)
            trace.nodes.append(following)
            node, step = following, min(2.0 * length if length == step else step, LONGEST_STEP)
            if stop is not None and (why := stop(trace)):
                trace.ended = why
                return trace
            ahead, at = node.tangent[1], node.place.log_strength
            if (ahead < 0.0 and at <= low + NEAR) or (ahead > 0.0 and at >= high - NEAR):
                self._finished(trace, low if ahead < 0.0 else high)
                trace.arrived = ahead < 0.0
                return trace
        trace.ended = "points"
        return trace

    def _turned(self, node: Node) -> Node | None:
        """Return a point at a kink with the tangent beyond it, where the path turns so far that no step leads there.

        That is the direction in which the determinant keeps its sign (Proposition 19.4); None without such a kink.
        """
        if not self.kinked:
            return None
        bordered = held(node)
        try:
            other = Bordered(Linearization(self.system, self.beyond(node)), bordered.row)
            if other.sign != bordered.sign:
                other = other.reversed()
        except (np.linalg.LinAlgError, ValueError):  # equations that hold for no masses below zero
            return None
        return replace(node, bordered=other, tangent=other.tangent(), power=0.0)

    def beyond(self, node: Node) -> Place:
        """Return the place `BEYOND` a point along its tangent, uncorrected: a mass that becomes zero is below zero."""
        linear, at = held(node).linear, node.place
        d_mean_field, d_log = BEYOND * node.tangent[0], BEYOND * node.tangent[1]
        d_value = linear.value_slope @ d_mean_field + d_log * linear.value_strength
        with np.errstate(all="ignore"):
            return self.system.place(at.mean_field + d_mean_field, at.value + d_value, at.log_strength + d_log)

    def _finished(self, trace: Trace, bound: float) -> None:
        """Add the point exactly at a bound of the log-strength."""
        node = trace.nodes[-1]
        end = self.at_strength(node.place, bound)
        if end is not None:
            trace.nodes[-1] = replace(end, tangent=node.tangent)
        trace.ended = "bound"

    def at_strength(self, place: Place, log_strength: float) -> Node | None:
        """Return the point at a log-strength next to a place; None if Newton's method leads nowhere."""
        row = (np.zeros(len(place.mean_field)), 1.0)
        try:
            bordered = Bordered(Linearization(self.system, place), row)
            step = bordered.step(place.gaps, ahead=log_strength - place.log_strength)
            found = self.corrected(self.system.moved(place, step), bordered)
            return None if found is None else self.node(replace(found, log_strength=log_strength), row)
        except np.linalg.LinAlgError:
            return None

    def _events(self, trace: Trace, node: Node, step: float, following: Node) -> None:
        """Add the fold and the branch point between two points, if there are such."""
        fold = node.tangent[1] * following.tangent[1] < 0.0
        if fold and self.kinked and step <= self.kink_step and _taken_change(node, following):
            trace.folds.append(following)  # at a kink
            return
        if fold:
            trace.folds.append(self.located(node, step, lambda one: one.tangent[1], end=following))
        change = abs(following.unstable - node.unstable) - fold if min(node.unstable, following.unstable) >= 0 else 0
        if _classes(node) != _classes(following):
            return  # the equations have changed
        found = self._separated(node, (0.0, node), (step, following)) if change >= 2 else []
        if not found and held(node).sign != held(following).sign:  # also where the search among several was lost
            reference = held(node).log_determinant

            def determinant(one: Node) -> float:
                return held(one).sign * float(np.exp(np.clip(held(one).log_determinant - reference, -700.0, 700.0)))

            found = [self.located(node, step, determinant, end=following)]
        trace.crossings += [_with_tangent(crossing, node, following) for crossing in found]

    def _separated(self, node: Node, low: tuple[float, Node], high: tuple[float, Node]) -> list[Node]:
        """Return the branch points between two distances from a point, of which the eigenvalues tell several.

        At a fold an eigenvalue is 1 as well (Proposition 19.2), and nothing branches there.
        """
        if low[1].unstable == high[1].unstable:
            return []
        if high[0] - low[0] < APART:
            if abs(high[1].tangent[1]) < FLAT:
                return []
            spectrum = held(high[1]).linear.best_response_spectrum()
            return [high[1]] if (np.abs(spectrum - 1.0) < CROSSING).any() else []
        middle = 0.5 * (low[0] + high[0])
        place = self.advanced(node, middle, most=LARGEST_CORRECTION * max(middle, self.kink_step))
        if place is None:
            return []
        try:
            between = middle, self.node(place, node.row())
        except np.linalg.LinAlgError:
            return []
        return self._separated(node, low, between) + self._separated(node, between, high)


def held(node: Node) -> Bordered:
    """Return the derivative at a point that the path has not left behind."""
    assert node.bordered is not None
    return node.bordered


def _taken_change(node: Node, following: Node) -> bool:
    """Return whether other actions are taken at the following point: there is a kink between."""
    return not np.array_equal(node.place.policy > 0.0, following.place.policy > 0.0)


def _with_tangent(crossing: Node, node: Node, following: Node) -> Node:
    """Return a branch point with the tangent between those of two points: at it the equations have several."""
    gaps = [crossing.place.distance(one.place) for one in (node, following)]
    share = gaps[0] / max(sum(gaps), solvers.TINY)
    (d_mean_field, d_log), (to_mean_field, to_log) = node.tangent, following.tangent
    tangent = (1.0 - share) * d_mean_field + share * to_mean_field, (1.0 - share) * d_log + share * to_log
    return replace(crossing, tangent=tangent)


def _power(node: Node, following: Node) -> float:
    """Return the p between -1 and 1 for which d mu / d log(tau) went as tau^p between two points."""
    if min(abs(node.tangent[1]), abs(following.tangent[1])) <= STEEP:
        return 0.0
    slopes = [float(np.abs(d_mean_field / d_log).sum()) for d_mean_field, d_log in (node.tangent, following.tangent)]
    moved = following.place.log_strength - node.place.log_strength
    if not min(slopes) > 0.0 or moved == 0.0:
        return 0.0
    return float(np.clip(np.log(slopes[1] / slopes[0]) / moved, -1.0, 1.0))


def _classes(node: Node) -> int:
    chain = node.place.chain
    return 1 if chain is None else chain.classes
