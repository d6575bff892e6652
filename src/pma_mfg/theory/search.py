"""Adversarial search: how large the Lipschitz ratio of an operator can be made, and the exact norms of its Jacobian.

See docs/theory, section 7.3. A point is a tuple of arrays whose rows are distributions: (policy,), or (mean field as
one row, policy). The Lipschitz constant of a differentiable map on a convex set is the supremum of its Jacobian's norm
there, so the search climbs that norm and then takes a pair of points along the direction that attains it. Cost: one
Jacobian per candidate, S A candidates per sweep.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pma_mfg import jacobian, operators, regularizers
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Mirror, Regularizer
from pma_mfg.theory import invariant_sets

Point = tuple[np.ndarray, ...]

#: Which rows of an array, shape (S, A), lie in a convex set that contains the uniform distribution: shape (S,).
Inside = Callable[[np.ndarray], np.ndarray]

#: A lower and an upper bound on the norm of a Jacobian at a point, and a direction that attains the lower one.
Norm = tuple[float, float, Point]

#: Smallest probability in the search, since the entropy's gradient is infinite at the boundary.
LEAST = 1e-12

#: Distance of a pair that stands for a derivative: second differences vanish by symmetry, ten digits are left.
PAIR_DISTANCE = 1e-5


def everywhere(rows: np.ndarray) -> np.ndarray:
    """Return whether rows lie in the simplex, shape (S,)."""
    return np.asarray((rows >= 0.0).all(axis=-1))


def drawn_in(start: np.ndarray, end: np.ndarray, inside: Inside, *, n_halvings: int = 50) -> np.ndarray:
    """Return, row by row, the last point of the segment from `start` (inside) to `end` that lies in a convex set.

    By bisection: the point returned is inside, and short of the last one by 2^-n_halvings of the segment.
    """
    low, high = np.zeros(len(end)), np.ones(len(end))
    low[inside(end)] = 1.0
    for _ in range(n_halvings):
        if (low == high).all():
            break
        middle = 0.5 * (low + high)
        accepted = inside(start + middle[:, None] * (end - start))
        low, high = np.where(accepted, middle, low), np.where(accepted, high, middle)
    return np.asarray(np.where(low[:, None] == 1.0, end, start + low[:, None] * (end - start)))


def between(first: Point, second: Point, share: float) -> Point:
    """Return the point at a share of the way from one point to another."""
    return tuple((1.0 - share) * x + share * y for x, y in zip(first, second, strict=True))


def between_logarithms(first: Point, second: Point, share: float) -> Point:
    """Return the point at a share of the way, straight in the logarithms of positive rows."""
    mixed = [x ** (1.0 - share) * y**share for x, y in zip(first, second, strict=True)]
    return tuple(rows / rows.sum(axis=1, keepdims=True) for rows in mixed)


def distance(first: np.ndarray, second: np.ndarray, norm: str, *, weights: np.ndarray) -> float:
    """Return the largest distance of two policies' rows divided by the weights, shape (S,).

    The norm is "l1", "l2", or "log-span": the span of log first(s) - log second(s).
    """
    if norm == "log-span":
        sizes = np.ptp(np.log(first) - np.log(second), axis=1)
    else:
        sizes = np.linalg.norm(first - second, ord=1 if norm == "l1" else 2, axis=1)
    return float((sizes / weights).max())


def block_norm(blocks: np.ndarray, exponent: int, iterations: int = 30) -> tuple[float, float, np.ndarray]:
    """Bound the induced norm of x -> max_t ||sum_s B_ts x_s||_p over max_s ||x_s||_p <= 1 (docs/theory, section 7.3).

    From below by a block power iteration: for a fixed functional v of the image the best x is known in closed form,
    and for a fixed x the best v; neither step lowers the value. From above by the sum over s of the exact norms of
    blocks, for p = 2 also by sqrt(S) times the spectral norm of a row of blocks.

    Parameters
    ----------
    blocks : ndarray, shape (T, S, m, n)
    exponent : int
        p. 2: vectors are free. 1: the x_s sum to zero, images are measured in the l1 norm.
    iterations : int

    Returns
    -------
    lower, upper : float
    direction : ndarray, shape (S, n)
        Attains `lower`, with ||x_s||_p = 1 (or 0).
    """
    _, states, _, n = blocks.shape
    if n == 0:
        return 0.0, 0.0, np.zeros((states, 0))
    if exponent == 2:
        left, values, _ = np.linalg.svd(blocks, full_matrices=False)
        functionals, block_norms = left[..., 0], values[..., 0]
        rows = blocks.transpose(0, 2, 1, 3).reshape(len(blocks), blocks.shape[2], -1)
        whole = np.sqrt(states) * np.linalg.norm(rows, ord=2, axis=(1, 2))
    else:
        differences = blocks[..., :, None] - blocks[..., None, :]  # (T, S, m, n, n)
        lengths = 0.5 * np.abs(differences).sum(axis=2).reshape(*blocks.shape[:2], -1)
        block_norms, best = lengths.max(axis=-1), lengths.argmax(axis=-1)
        flat = differences.reshape(*differences.shape[:3], -1)
        functionals = np.sign(np.take_along_axis(flat, best[..., None, None], axis=-1)[..., 0])
        whole = np.full(len(blocks), np.inf)
    upper = float(np.minimum(block_norms.sum(axis=1), whole).max())
    value = -np.inf
    for _ in range(iterations):  # functionals: (T, starts, m); one start for each block
        x = _best_direction(np.einsum("tsmn,tkm->tksn", blocks, functionals), exponent)
        images = np.einsum("tsmn,tksn->tkm", blocks, x)
        sizes = np.linalg.norm(images, ord=exponent, axis=-1)
        before, value = value, float(sizes.max())
        if value <= before * (1.0 + 1e-12):
            break
        functionals = images if exponent == 2 else np.sign(images)
    row, start = np.unravel_index(sizes.argmax(), sizes.shape)
    return float(sizes.max()), max(upper, float(sizes.max())), np.asarray(x[row, start])


def span_norm(blocks: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the norm of x -> max_t sp(sum_s B_ts x_s) over max_s sp(x_s) <= 1, exactly (docs/theory, section 7.3).

    For two entries of an image the best x_s is the indicator of where the difference of their rows is positive.

    Parameters
    ----------
    blocks : ndarray, shape (T, S, A, A)
        Blind to constants: rows sum to zero.

    Returns
    -------
    norm : float
    direction : ndarray, shape (S, A)
    """
    differences = blocks[:, :, :, None, :] - blocks[:, :, None, :, :]  # (T, S, A, A, A)
    sizes = np.maximum(differences, 0.0).sum(axis=(1, 4))
    t, a, b = np.unravel_index(sizes.argmax(), sizes.shape)
    return float(sizes[t, a, b]), np.asarray((differences[t, :, a, b] > 0.0).astype(float))


def _best_direction(gains: np.ndarray, exponent: int) -> np.ndarray:
    """Return the x of norm 1 with the largest <gains, x>, over the last axis; for exponent 1 among those of sum 0."""
    if exponent == 2:
        lengths = np.linalg.norm(gains, axis=-1, keepdims=True)
        return np.asarray(gains / np.where(lengths > 0.0, lengths, 1.0))
    unit = np.eye(gains.shape[-1])
    return np.asarray(0.5 * (unit[gains.argmax(axis=-1)] - unit[gains.argmin(axis=-1)]))


def ascend(value: Callable[[Point], float], start: Point, inside: Inside, *, n_sweeps: int) -> tuple[float, Point]:
    """Climb `value` by coordinate ascent: each row is moved towards each vertex, as far as the set allows.

    A move goes the share `reach` of the way, from 1 (all the way: where a map is affine in each row the largest norm
    is at vertices) down by halves whenever a sweep gains less than a thousandth.

    Parameters
    ----------
    value : callable
        Of a point.
    start : tuple of ndarray
        Inside.
    inside : callable
    n_sweeps : int

    Returns
    -------
    best : float
        At least value(start).
    point : tuple of ndarray
    """
    point, best, reach = tuple(array.copy() for array in start), value(start), 1.0
    for _ in range(n_sweeps):
        before = best
        for i, array in enumerate(start):
            count = array.shape[1]
            for s, a in np.ndindex(*array.shape):
                moved = point[i].copy()
                moved[s] = LEAST + (1.0 - count * LEAST) * np.eye(count)[a]
                moved = drawn_in(point[i], moved, inside, n_halvings=12)
                moved[s] = point[i][s] + reach * (moved[s] - point[i][s])
                candidate = (*point[:i], moved, *point[i + 1 :])
                if (reached := value(candidate)) > best:
                    best, point = reached, candidate
        if best <= 1.001 * before:
            reach *= 0.5
            if reach < 0.1:
                break
    return best, point


def pair_along(point: Point, direction: Point, inside: Inside) -> tuple[Point, Point] | None:
    """Return two points `PAIR_DISTANCE` apart along a direction, around `point` or a bit further inside; None if none.

    Parameters
    ----------
    point, direction : tuple of ndarray
        Of the same shapes; the direction's largest row has norm 1.
    inside : callable

    Returns
    -------
    tuple of two points, or None
    """
    for share in (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 0.1):
        pair = tuple(
            tuple(
                (1.0 - share) * array + share / array.shape[1] + sign * 0.5 * PAIR_DISTANCE * change
                for array, change in zip(point, direction, strict=True)
            )
            for sign in (1.0, -1.0)
        )
        if all(bool((inside(array) & everywhere(array)).all()) for end in pair for array in end):
            return pair[0], pair[1]
    return None


def update_in_mean_field(game: Game, point: Point) -> Norm:
    """Return the l1 norm of d Gamma_pop / d mu at ((mu,), pi)."""
    matrix = operators.population_jacobian(game, point[0][0], point[1])
    lower, upper, direction = block_norm(matrix[None, None], 1)
    return lower, upper, (direction, np.zeros_like(point[1]))


def update_in_policy(game: Game, point: Point) -> Norm:
    """Return the norm of d Gamma_pop / d pi at ((mu,), pi), from sup_s ||.||_1 to l1."""
    mean_field = point[0][0]
    moved = mean_field[:, None, None] * game.transition(mean_field)
    lower, upper, direction = block_norm(moved.transpose(0, 2, 1)[None], 1)
    return lower, upper, (np.zeros_like(point[0]), direction)


def stable_population(game: Game, point: Point) -> Norm:
    """Return the norm of the derivative of the stable population at (pi,), from sup_s ||.||_1 to l1, by (7.1)."""
    mean_field = operators.stable_population(game, point[0])
    flow = operators.population_jacobian(game, mean_field, point[0])
    flow -= flow.sum(axis=0) / game.n_states
    moved = mean_field[:, None, None] * game.transition(mean_field)
    moved = moved - moved.mean(axis=1, keepdims=True)  # nothing changes on directions that sum to zero
    blocks = np.linalg.solve(np.eye(game.n_states) - flow, moved.transpose(0, 2, 1))
    lower, upper, direction = block_norm(blocks[None], 1)
    return lower, upper, (direction,)


def q_in_mean_field(game: Game, regularizer: Regularizer, point: Point) -> Norm:
    """Return the norm of d Gamma_q / d mu at ((mu,), pi), from l1 to sup_(s,a): half a span, exactly."""
    mean_field, policy = point[0][0], point[1]
    transition, value, returns = _evaluated(game, regularizer, mean_field, policy)
    linear = game.linearized(mean_field)
    d_target = np.tensordot(linear.reward_features.gradients(mean_field).T, linear.reward_terms, axes=1)
    moved = linear.transition_features.gradients(mean_field).T
    d_target = d_target + game.discount * np.tensordot(moved, linear.transition_terms @ value, axes=1)
    d_value = (policy * d_target).sum(axis=2) @ returns.T
    d_q = d_target + game.discount * np.tensordot(d_value, transition, axes=([1], [2]))
    halves = 0.5 * np.ptp(d_q, axis=0)
    entry = d_q[(slice(None), *np.unravel_index(halves.argmax(), halves.shape))]
    direction = np.zeros_like(point[0])
    direction[0, entry.argmax()] += 0.5
    direction[0, entry.argmin()] -= 0.5
    return float(halves.max()), float(halves.max()), (direction, np.zeros_like(policy))


def q_in_policy(game: Game, regularizer: Regularizer, point: Point) -> Norm:
    """Return the norm of d Gamma_q / d pi at ((mu,), pi), from sup_s ||.||_1 to sup_(s,a), exactly.

    The values change by (I - gamma P_pi)^-1 <q + grad h, d pi> (docs/theory, section 7.1).
    """
    mean_field, policy = point[0][0], point[1]
    transition, value, returns = _evaluated(game, regularizer, mean_field, policy)
    slope = game.reward(mean_field) + game.discount * transition @ value + regularizer.gradient(policy)
    visits = game.discount * transition @ returns  # of each next state from each pair, >= 0
    sums = visits @ (0.5 * np.ptp(slope, axis=1))
    direction, states = np.zeros_like(policy), np.arange(game.n_states)
    direction[states, slope.argmax(axis=1)] += 0.5
    direction[states, slope.argmin(axis=1)] -= 0.5
    return float(sums.max()), float(sums.max()), (np.zeros_like(point[0]), direction)


def _evaluated(
    game: Game, regularizer: Regularizer, mean_field: np.ndarray, policy: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the transition probabilities, the values of the states, and (I - gamma P_pi)^-1."""
    transition = game.transition(mean_field)
    value = operators.state_values(game, policy, mean_field, regularizer=regularizer)
    kernel = operators.policy_kernel(transition, policy)
    return transition, value, np.linalg.inv(np.eye(game.n_states) - game.discount * kernel)


def mirror_step(regularizer: Regularizer, step_size: float, point: Point) -> Norm:
    """Return the norm of the mirror ascent step in q, in units of eta / (1 + eta rho), at the step's result (u,).

    By (7.4) du = (diag(w) - w w^T / sum w) dq with 1/w = -h'' + 1/eta, row by row.
    """
    weights = 1.0 / (regularizer.curvature(point[0]) + 1.0 / step_size)
    outer = weights[:, :, None] * weights[:, None, :] / weights.sum(axis=1)[:, None, None]
    values, vectors = np.linalg.eigh(weights[:, :, None] * np.eye(weights.shape[1]) - outer)
    steepest = int(values[:, -1].argmax())
    norm = float(values[steepest, -1] * (1.0 + step_size * regularizer.rho) / step_size)
    direction = np.zeros_like(point[0])
    direction[steepest] = vectors[steepest, :, -1]
    return norm, norm, (direction,)


def policy_mirror_ascent(
    game: Game,
    point: Point,
    regularizer: Regularizer,
    *,
    step_size: float,
    mirror: Mirror,
    norm: str,
    weights: np.ndarray,
) -> Norm:
    """Return the norm of the Jacobian of Gamma_eta at (pi,), induced by a norm of `distance` on both sides."""
    (policy,) = point
    states, actions = policy.shape
    scale = weights / weights[:, None]
    if norm == "log-span":  # in logarithms throughout: a change of u would have no digits where u is tiny
        to_policy = policy[:, :, None] * (np.eye(actions) - policy[:, None, :])  # from a change of log pi to that of pi
        d_policy = np.zeros((states, actions, states, actions))
        d_policy[np.arange(states), :, np.arange(states), :] = to_policy.transpose(0, 2, 1)
        q, d_q = jacobian.q_derivative(game, policy, regularizer, d_policy=d_policy.reshape(-1, states, actions))
        updated = operators.mirror_ascent_step(q, policy, step_size, regularizer=regularizer, mirror=mirror)
        updated = np.maximum(updated, np.finfo(float).tiny)
        d_q = d_q.reshape(states, actions, states, actions).transpose(2, 0, 3, 1)
        # (1 + eta u (-h''(u))) d log u = d log pi + eta dq - lambda, with sum_a du_a = 0
        push = np.eye(states)[:, :, None, None] * np.eye(actions) + step_size * d_q
        share = 1.0 / (1.0 + step_size * updated * regularizer.curvature(updated))
        mean = np.einsum("ta,tsab->tsb", updated * share, push) / (updated * share).sum(axis=1)[:, None, None]
        moved = share[:, None, :, None] * (push - mean[:, :, None, :])
        size, logarithms = span_norm(moved * scale[:, :, None, None])
        direction = (to_policy @ logarithms[:, :, None])[:, :, 0]
        return size, size, (direction * weights[:, None],)
    basis = jacobian.tangent_basis(actions)
    matrix = jacobian.jacobian(game, policy, step_size, regularizer=regularizer, mirror=mirror)
    blocks = matrix.reshape(states, actions - 1, states, actions - 1).transpose(0, 2, 1, 3)
    blocks = blocks * scale[:, :, None, None]
    if norm == "l1":
        lower, upper, direction = block_norm(basis.T @ blocks @ basis, 1)
    else:
        lower, upper, coordinates = block_norm(blocks, 2)
        direction = coordinates @ basis
    return lower, upper, (direction * weights[:, None],)


def rows_above(regularizer: Regularizer, floor: float, rows: np.ndarray) -> np.ndarray:
    """Return which rows lie in U = {u : h(u) >= floor}, shape (S,)."""
    return np.asarray(regularizer.value(rows) >= floor)


def in_invariant_set(game: MeanFieldGame, regularizer: Regularizer, mirror: Mirror) -> Inside:
    """Return the membership of rows in the certificate's invariant set W."""
    return in_set(invariant_sets.invariant_set(game, regularizer, mirror), regularizer, mirror)


def in_set(bounds: invariant_sets.InvariantSet, regularizer: Regularizer, mirror: Mirror) -> Inside:
    """Return the test whether rows of a policy lie in an invariant set."""
    within_logarithms = mirror == "kl" and regularizers.kind(regularizer) == "entropy"

    def inside(rows: np.ndarray) -> np.ndarray:
        low, high = rows.min(axis=1), rows.max(axis=1)
        if within_logarithms:
            return np.asarray((low > 0.0) & (high <= low * np.exp(bounds.q_span / regularizer.strength)))
        return np.asarray((low >= bounds.least) & (high <= bounds.most) & (high - low <= bounds.difference))

    return inside


def random_policy(game: Game, rng: np.random.Generator, inside: Inside = everywhere) -> np.ndarray:
    """Draw a policy, flat or close to a deterministic one, drawn into a convex set of policies, shape (S, A)."""
    policy = rng.dirichlet(np.full(game.n_actions, rng.choice([0.1, 1.0])), size=game.n_states)
    policy = np.maximum(policy, LEAST)  # a Dirichlet draw can underflow to zero
    policy /= policy.sum(axis=1, keepdims=True)
    return drawn_in(operators.uniform_policy(game), policy, inside)
