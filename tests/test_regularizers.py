"""Regularizers: values, gradients, and the exactness of the two maximizations over the simplex."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from pma_mfg import regularizers
from pma_mfg.errors import InputError
from pma_mfg.regularizers import Entropy, Quadratic

KINDS = (Entropy, Quadratic)
EPS = np.finfo(float).eps

kinds = pytest.mark.parametrize("kind", KINDS)
strengths = st.floats(-6, 4).map(lambda x: 10.0**x)
step_sizes = st.floats(-6, 8).map(lambda x: 10.0**x)
seeds = st.integers(0, 10**6)


def random_rows(seed, actions, rows=3, scale=1.0):
    """Return Q rows of a size and policies, some entries of which are tiny or zero."""
    rng = np.random.default_rng(seed)
    policy = rng.dirichlet(np.full(actions, rng.choice([0.05, 1.0, 10.0])), size=rows)
    return scale * rng.uniform(-1, 1, size=(rows, actions)), policy


# --- value, gradient, curvature, modulus


def test_values_follow_their_definition():
    u = np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])
    # one rounding per operation
    np.testing.assert_allclose(Entropy(2.0).value(u), [2.0 * 1.5 * np.log(2.0), 0.0], rtol=1e-15)
    np.testing.assert_allclose(Quadratic(2.0).value(u), [-0.375, -1.0], rtol=1e-15)


@kinds
@given(seed=seeds, actions=st.integers(1, 6))
def test_the_gradient_is_the_limit_of_differences(kind, seed, actions):
    h = kind(0.7)
    u = np.random.default_rng(seed).dirichlet(np.full(actions, 5.0), size=2) * 0.9 + 0.1 / actions
    step = 1e-6
    differences = np.stack(
        [(h.value(u + step * e) - h.value(u - step * e)) / (2 * step) for e in np.eye(actions)], axis=-1
    )
    # rounding 1e-16 / 1e-6, and step^2 times a third derivative below 1 / (0.1 / 6)^2
    np.testing.assert_allclose(h.gradient(u), differences, rtol=0, atol=1e-8)


@kinds
@given(seed=seeds, actions=st.integers(1, 6))
def test_the_curvature_is_minus_the_slope_of_the_gradient(kind, seed, actions):
    h = kind(0.7)
    u = np.random.default_rng(seed).dirichlet(np.full(actions, 5.0)) * 0.9 + 0.1 / actions
    step = 1e-6
    slopes = np.array([(h.gradient(u + step * e) - h.gradient(u - step * e)) / (2 * step) for e in np.eye(actions)])
    # separable: no mixed derivatives; the same error as above, third derivative below 2 / (0.1 / 6)^3
    np.testing.assert_allclose(-slopes, np.diag(h.curvature(u)), rtol=1e-6, atol=1e-6)


@kinds
@given(seed=seeds, actions=st.integers(2, 6), strength=strengths)
def test_rho_is_a_modulus_of_strong_concavity(kind, seed, actions, strength):
    h = kind(strength)
    rng = np.random.default_rng(seed)
    u, v = rng.dirichlet(np.full(actions, rng.choice([0.1, 1.0, 20.0])), size=(2, 20))
    t = rng.uniform(size=20)
    mixed = h.value(t[:, None] * u + (1 - t[:, None]) * v)
    gap = mixed - t * h.value(u) - (1 - t) * h.value(v)
    required = 0.5 * h.rho * t * (1 - t) * ((u - v) ** 2).sum(axis=1)
    # rounding of h, whose values are below strength * log(6)
    assert (gap >= required - 8 * EPS * strength).all()


@kinds
def test_rho_is_the_largest_modulus(kind):
    # near a vertex for the entropy, anywhere for the quadratic: h''= -rho along an edge, up to the distance
    h = kind(0.3)
    u = np.array([1 - 1e-4, 1e-4]) if kind is Quadratic else np.array([0.5, 0.5])
    direction = np.array([1.0, -1.0]) / np.sqrt(2)
    curvature = (direction**2 * h.curvature(u)).sum()
    # for the entropy the smallest curvature on two actions is 2 tau, at 1/2; tau is the bound for any number of actions
    assert curvature == pytest.approx({Quadratic: 0.3, Entropy: 0.6}[kind], rel=1e-12)


@kinds
@given(seed=seeds, actions=st.integers(1, 8), strength=strengths)
def test_values_span_exactly_the_stated_range(kind, seed, actions, strength):
    h = kind(strength)
    uniform, vertex = np.full(actions, 1 / actions), np.eye(actions)[0]
    # one rounding per operation
    assert h.value(uniform) - h.value(vertex) == pytest.approx(h.span(actions), rel=1e-12, abs=0)
    inside = h.value(np.random.default_rng(seed).dirichlet(np.full(actions, 0.5), size=50))
    assert (inside <= h.value(uniform) + 8 * EPS * strength).all()
    assert (inside >= h.value(vertex) - 8 * EPS * strength).all()


@kinds
@given(seed=seeds, actions=st.integers(1, 5), gap=st.floats(0.0, 1.5))
def test_no_distribution_above_the_floor_beats_the_gradient_span(kind, seed, actions, gap):
    h = kind(1.0)
    bound = h.gradient_span(actions, gap)
    rng = np.random.default_rng(seed)
    uniform = np.full(actions, 1 / actions)
    # along random rays from the uniform distribution, the last point above the floor
    for end in [*np.eye(actions), *rng.dirichlet(np.full(actions, 0.3), size=20)]:
        t = np.linspace(0.0, 1.0, 400)[:, None]
        points = (1 - t) * uniform + t * end
        points = points[h.value(points) >= h.value(uniform) - gap]
        if len(points):
            gradient = h.gradient(points[-1])
            assert gradient.max() - gradient.min() <= bound + 1e-9  # rounding where gap is 0 and points is uniform


@kinds
def test_the_gradient_span_is_attained_up_to_a_known_factor_for_two_actions(kind):
    h, gap = kind(1.0), 0.05
    t = np.linspace(0.5, 1.0, 200_001)
    points = np.stack([t, 1 - t], axis=1)[1:-1]
    points = points[h.value(points) >= h.value(np.array([0.5, 0.5])) - gap]
    gradient = h.gradient(points)
    observed = (gradient.max(axis=1) - gradient.min(axis=1)).max()
    # exact for both with two actions; the grid misses the end by 1 / 400 000
    assert observed == pytest.approx(h.gradient_span(2, gap), rel=1e-4)


def test_the_entropy_gradient_span_is_infinite_once_a_zero_is_admitted():
    # with three actions one probability can be zero from a gap of log 3 - log 2 on
    edge = np.log(3) - np.log(2)
    assert np.isinf(Entropy(1.0).gradient_span(3, edge + 1e-9))
    assert np.isfinite(Entropy(1.0).gradient_span(3, edge - 1e-9))


# --- the maximizations, against a 50-digit solution of the optimality conditions


def exact_step(kind, strength, q, policy, step_size):
    """Maximize <u, q> + h(u) - |u - policy|^2 / (2 eta) in 50 digits, by Newton's method in the multiplier."""
    with mpmath.workdps(50):
        tau = mpmath.mpf(strength)
        inverse = mpmath.mpf(0) if step_size == np.inf else 1 / mpmath.mpf(step_size)
        slopes = [mpmath.mpf(x) + mpmath.mpf(p) * inverse for x, p in zip(q, policy, strict=True)]

        def entry(slope):
            if kind is Quadratic:
                return max(mpmath.mpf(0), slope / (tau + inverse))
            if inverse == 0:
                return mpmath.exp(slope / tau - 1)
            # tau (log u + 1) + u / eta = slope; with w = u / (eta tau) this is w + log w = x
            x = slope / tau - 1 + mpmath.log(inverse / tau)
            w = x - mpmath.log(x) if x > 2 else mpmath.exp(x - mpmath.exp(min(x, 0)) / 2)
            for _ in range(100):
                change = w * (w + mpmath.log(w) - x) / (w + 1)
                w -= change
                if abs(change) < w * mpmath.mpf(10) ** -40:
                    return w * tau / inverse
            raise AssertionError(x)

        # the largest entry is 1 at the start; the sum is convex and decreasing, so Newton's method comes from one side
        multiplier = max(slopes) - (tau + inverse)
        for _ in range(300):
            u = [entry(slope - multiplier) for slope in slopes]
            slope_of_sum = sum(1 / ((tau / x if kind is Entropy else tau) + inverse) for x in u if x > 0)
            if abs(sum(u) - 1) < mpmath.mpf(10) ** -30:
                return np.array([float(x) for x in u])
            multiplier += (sum(u) - 1) / slope_of_sum
        raise AssertionError(sum(u))


def rounding(strength, q, policy, step_size, kind):
    """Return what a change of the slopes by a unit in the last place does to the maximizer, times a small constant.

    |du| <= |d slope| / (rho + 1 / eta), and the slopes q + policy / eta are known to eps (|q| + 1 / eta).
    """
    return 16 * EPS * (1 + (np.abs(q).max() + 1 / step_size) / (strength + 1 / step_size))


@kinds
@pytest.mark.parametrize("step_size", [1e-6, 1e-3, 0.5, 30.0, 1e4, 1e8])
@pytest.mark.parametrize("strength", [1e-6, 1e-3, 0.1, 1.0, 100.0, 1e4])
def test_the_proximal_step_is_the_maximizer_to_rounding(kind, strength, step_size):
    for seed, scale in enumerate([1e-3, 1.0, 100.0]):
        q, policy = random_rows(seed, actions=4, rows=1, scale=scale)
        found = kind(strength).proximal_step(q, policy, step_size)
        expected = exact_step(kind, strength, q[0], policy[0], step_size)
        np.testing.assert_allclose(found[0], expected, rtol=0, atol=rounding(strength, q, policy, step_size, kind))


@kinds
@pytest.mark.parametrize("strength", [1e-6, 1e-2, 1.0, 1e4])
def test_the_best_response_is_the_maximizer_to_rounding(kind, strength):
    for seed, scale in enumerate([1e-3, 1.0, 100.0]):
        q, policy = random_rows(seed, actions=5, rows=1, scale=scale)
        found = kind(strength).best_response(q)
        expected = exact_step(kind, strength, q[0], policy[0], np.inf)
        np.testing.assert_allclose(found[0], expected, rtol=0, atol=rounding(strength, q, policy, np.inf, kind))


def scipy_step(h, q, policy, step_size, floor=None):
    """Maximize the same objective by a generic optimizer that knows nothing of its structure."""
    inverse = 0.0 if step_size == np.inf else 1 / step_size
    # a variable per action, squared and normalized by the constraint alone; the start is inside
    constraints = [{"type": "eq", "fun": lambda u: u.sum() - 1}]
    if floor is not None:
        constraints.append({"type": "ineq", "fun": lambda u: float(h.value(u)) - floor})
    result = minimize(
        lambda u: -(u @ q + float(h.value(u)) - 0.5 * inverse * ((u - policy) ** 2).sum()),
        np.full(len(q), 1 / len(q)),
        jac=lambda u: -(q + h.gradient(u) - inverse * (u - policy)),
        bounds=[(1e-12, 1)] * len(q),
        constraints=constraints,
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return result.x


@kinds
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step_size", [0.1, 3.0, np.inf])
def test_the_steps_agree_with_a_generic_optimizer(kind, step_size, seed):
    h = kind(0.4)
    q, policy = random_rows(seed, actions=4, rows=1)
    step = h.best_response(q) if step_size == np.inf else h.proximal_step(q, policy, step_size)
    # SLSQP stops at objective changes of 1e-15, that is at distances of about sqrt(1e-15 / rho) and often much closer
    np.testing.assert_allclose(step[0], scipy_step(h, q[0], policy[0], step_size), rtol=0, atol=2e-6)


@kinds
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step_size", [0.3, 5.0, np.inf])
def test_the_steps_under_a_floor_agree_with_a_generic_optimizer(kind, step_size, seed):
    h = kind(0.4)
    q, policy = random_rows(seed, actions=4, rows=1, scale=3.0)

    def solve(floor):
        return h.best_response(q, floor) if step_size == np.inf else h.proximal_step(q, policy, step_size, floor=floor)

    free = solve(None)
    top = float(h.value(np.full(4, 0.25)))
    loose = float(h.value(free[0])) - 0.01
    tight = 0.5 * (top + float(h.value(free[0])))
    np.testing.assert_array_equal(solve(loose), free)
    bound = solve(tight)
    # the root of h(u) = floor is found to 1e-14 in log kappa
    assert h.value(bound[0]) == pytest.approx(tight, abs=1e-12)
    assert np.abs(bound - free).max() > 1e-3
    # as above; the constraint is met to about 1e-8
    np.testing.assert_allclose(bound[0], scipy_step(h, q[0], policy[0], step_size, tight), rtol=0, atol=5e-6)


@kinds
@given(seed=seeds, actions=st.integers(2, 6), strength=strengths, step_size=step_sizes, share=st.floats(0.0, 1.0))
def test_no_step_falls_below_its_floor(kind, seed, actions, strength, step_size, share):
    h = kind(strength)
    q, policy = random_rows(seed, actions)
    top = float(h.value(np.full(actions, 1 / actions)))
    floor = top - share * h.span(actions)
    for u in (h.proximal_step(q, policy, step_size, floor=floor), h.best_response(q, floor)):
        # h is known to some eps of its largest value, and the multiplier to 1e-14
        assert (h.value(u) >= floor - 1e-12 * strength).all()
        np.testing.assert_allclose(u.sum(axis=1), 1.0, rtol=0, atol=1e-12)  # rounding of a sum


@kinds
def test_a_floor_at_the_maximum_gives_the_uniform_policy_and_one_above_it_is_refused(kind):
    h = kind(0.4)
    q, policy = random_rows(1, actions=4)
    top = float(h.value(np.full(4, 0.25)))
    # h is flat at its maximum: a policy at distance 1e-7 has the same value in double precision
    np.testing.assert_allclose(h.best_response(q, top), 0.25, rtol=0, atol=2e-7)
    np.testing.assert_allclose(h.proximal_step(q, policy, 2.0, floor=top), 0.25, rtol=0, atol=2e-7)
    with pytest.raises(InputError, match=r"floor: got .* expected at most h_max"):
        h.best_response(q, top + 1e-6)


@kinds
def test_rows_under_a_floor_are_solved_one_by_one(kind):
    h = kind(0.4)
    q, policy = random_rows(3, actions=3, rows=6, scale=2.0)
    floor = float(np.median(h.value(h.best_response(q))))
    together = h.proximal_step(q.reshape(2, 3, 3), policy.reshape(2, 3, 3), 50.0, floor=floor).reshape(6, 3)
    for row in range(6):
        alone = h.proximal_step(q[row], policy[row], 50.0, floor=floor)
        # Newton's method stops for all rows together: a last iteration more or less
        np.testing.assert_allclose(together[row], alone, rtol=0, atol=1e-13)


@kinds
@given(seed=seeds, actions=st.integers(1, 8), strength=strengths, step_size=step_sizes, scale=st.floats(-3, 3))
def test_every_step_stays_on_the_simplex(kind, seed, actions, strength, step_size, scale):
    h = kind(strength)
    q, policy = random_rows(seed, actions, scale=10.0**scale)
    for u in (h.proximal_step(q, policy, step_size), h.best_response(q)):
        assert (u >= 0).all()
        np.testing.assert_allclose(u.sum(axis=1), 1.0, rtol=0, atol=1e-12)  # rounding of a sum


@kinds
@given(seed=seeds, actions=st.integers(1, 8), strength=strengths, step_size=step_sizes)
def test_mirror_step_is_nonexpansive_in_policy_and_q(kind, seed, actions, strength, step_size):
    h = kind(strength)
    (q, policy), (other_q, other_policy) = (random_rows(seed + i, actions) for i in (0, 1))
    moved = h.proximal_step(q, policy, step_size) - h.proximal_step(other_q, other_policy, step_size)
    bound = (np.linalg.norm(policy - other_policy, axis=1) + step_size * np.linalg.norm(q - other_q, axis=1)) / (
        1 + step_size * h.rho
    )
    slack = 2 * rounding(strength, np.ones(1), policy, step_size, kind)
    assert (np.linalg.norm(moved, axis=1) <= bound + slack).all()


@kinds
@given(seed=seeds, actions=st.integers(1, 6), shift=st.floats(-100, 100))
def test_a_constant_added_to_q_moves_no_step(kind, seed, actions, shift):
    h = kind(0.5)
    q, policy = random_rows(seed, actions)
    # q + shift is known to eps * 100, over rho = 0.5
    for step in (lambda q: h.best_response(q), lambda q: h.proximal_step(q, policy, 3.0)):
        np.testing.assert_allclose(step(q + shift), step(q), rtol=0, atol=1e-12)


@kinds
@pytest.mark.parametrize("seed", range(3))
def test_proximal_steps_tend_to_the_best_response(kind, seed):
    h = kind(0.3)
    q, policy = random_rows(seed, actions=4)
    distances = [
        np.abs(h.proximal_step(q, policy, step_size) - h.best_response(q)).max() for step_size in (1e2, 1e4, 1e6, 1e8)
    ]
    # |du| <= |policy - u| / (1 + eta rho): the distance falls as 1 / eta
    for step_size, distance in zip((1e2, 1e4, 1e6, 1e8), distances, strict=True):
        assert distance <= np.sqrt(2) / (1 + step_size * h.rho) + 1e-14


@kinds
@pytest.mark.parametrize("seed", range(3))
def test_proximal_steps_tend_to_the_policy_as_the_step_size_falls(kind, seed):
    h = kind(0.3)
    rng = np.random.default_rng(seed)
    q, policy = rng.uniform(size=(3, 4)), rng.dirichlet(np.full(4, 20.0), size=3)
    slope = q + h.gradient(policy)
    slope = slope - slope.mean(axis=1, keepdims=True)
    step = (h.proximal_step(q, policy, 1e-6) - policy) / 1e-6
    # first order in eta, and rounding 1e-16 / 1e-6
    np.testing.assert_allclose(step, slope, rtol=0, atol=1e-4)


def test_best_responses_are_softmax_and_sparsemax():
    q = np.array([[1.0, 0.0, -3.0]])
    # one rounding per operation
    np.testing.assert_allclose(
        Entropy(0.5).best_response(q), np.exp([[2.0, 0.0, -6.0]]) / np.exp([2.0, 0.0, -6.0]).sum(), rtol=1e-14
    )
    np.testing.assert_allclose(Quadratic(2.0).best_response(q), [[0.75, 0.25, 0.0]], rtol=1e-14)
    np.testing.assert_array_equal(Quadratic(0.5).best_response(q), [[1.0, 0.0, 0.0]])


@kinds
@given(seed=seeds, actions=st.integers(1, 6), strength=strengths)
def test_the_optimum_is_the_value_of_the_best_response(kind, seed, actions, strength):
    h = kind(strength)
    q, others = random_rows(seed, actions, rows=20)
    u = h.best_response(q)
    # rounding of sums below 1 + strength log(6)
    slack = 16 * EPS * (1 + strength)
    np.testing.assert_allclose(h.optimum(q), (u * q).sum(axis=1) + h.value(u), rtol=0, atol=slack)
    assert (h.optimum(q) >= (others * q).sum(axis=1) + h.value(others) - slack).all()


# --- the KL mirror map


def kl_slopes(h, q, policy, step_size, u):
    """Return the gradient of <u, q> + h(u) - KL(u, policy) / eta where both are positive, shape (A,)."""
    return q + h.gradient(u) - (np.log(u / policy) + 1.0) / step_size


@kinds
@pytest.mark.parametrize("step_size", [1e-3, 0.5, 30.0, 1e5])
@pytest.mark.parametrize("strength", [1e-3, 0.1, 1.0, 100.0])
def test_the_kl_step_meets_the_optimality_conditions_to_rounding(kind, strength, step_size):
    h = kind(strength)
    for seed, scale in enumerate([1e-3, 1.0, 30.0]):
        rng = np.random.default_rng(seed)
        policy = rng.dirichlet(np.full(4, 0.3), size=5) + 1e-12
        policy /= policy.sum(axis=1, keepdims=True)
        q = scale * rng.uniform(-1, 1, size=(5, 4))
        u = h.proximal_step(q, policy, step_size, mirror="kl")
        np.testing.assert_allclose(u.sum(axis=1), 1.0, rtol=0, atol=1e-14)  # rounding of a sum
        for row in range(5):
            seen = u[row] > 1e-200  # below, log u has no digits left to test
            slopes = kl_slopes(h, q[row][seen], policy[row][seen], step_size, u[row][seen])
            # a slope is known to some eps of its largest term; log u is at most 500 there
            size = (
                scale + strength * (1 + np.abs(np.log(u[row][seen])).max()) + 60 * (1 + scale * step_size) / step_size
            )
            assert np.ptp(slopes) <= 64 * EPS * size


@kinds
@pytest.mark.parametrize("floor_share", [None, 0.5])
@pytest.mark.parametrize("step_size", [0.1, 3.0, 40.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_kl_step_agrees_with_a_generic_optimizer(kind, seed, step_size, floor_share):
    h = kind(0.4)
    rng = np.random.default_rng(seed)
    q, policy = 3.0 * rng.uniform(-1, 1, size=4), rng.dirichlet(np.full(4, 1.0))
    free = h.proximal_step(q, policy, step_size, mirror="kl")
    top, reached = float(h.value(np.full(4, 0.25))), float(h.value(free))
    floor = None if floor_share is None else floor_share * top + (1 - floor_share) * reached
    found = h.proximal_step(q, policy, step_size, floor=floor, mirror="kl")
    constraints = [{"type": "eq", "fun": lambda u: u.sum() - 1}]
    if floor is not None:
        constraints.append({"type": "ineq", "fun": lambda u: float(h.value(u)) - floor})
        assert h.value(found) == pytest.approx(floor, abs=1e-12)  # the root is found to 1e-14 in log kappa
        assert np.abs(found - free).max() > 1e-3
    result = minimize(
        lambda u: -(u @ q + float(h.value(u)) - (u * np.log(u / policy)).sum() / step_size),
        np.full(4, 0.25),
        jac=lambda u: -kl_slopes(h, q, policy, step_size, u),
        bounds=[(1e-12, 1)] * 4,
        constraints=constraints,
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    # as for the Euclidean step; under a floor the constraint is met to about 1e-8
    np.testing.assert_allclose(found, result.x, rtol=0, atol=5e-6)


def test_the_kl_step_of_the_entropy_is_a_geometric_mean_of_policy_and_best_response():
    q, policy = random_rows(0, actions=4)
    for step_size in (0.1, 5.0, 100.0):
        share = step_size * 0.3 / (1 + step_size * 0.3)
        expected = policy ** (1 - share) * Entropy(0.3).best_response(q) ** share
        found = Entropy(0.3).proximal_step(q, policy, step_size, mirror="kl")
        # a power and a softmax: some roundings
        np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), rtol=1e-12)


@kinds
@pytest.mark.parametrize("seed", range(3))
def test_kl_steps_tend_to_the_best_response_and_to_the_policy(kind, seed):
    h = kind(0.7)
    rng = np.random.default_rng(seed)
    q, policy = 0.3 * rng.uniform(size=(3, 4)), rng.dirichlet(np.full(4, 20.0), size=3)
    spread = np.ptp(np.log(policy / h.best_response(q)), axis=1).max()  # the best response is interior: q is small
    for step_size in (1e2, 1e4, 1e6):
        distance = np.abs(h.proximal_step(q, policy, step_size, mirror="kl") - h.best_response(q)).max()
        # Lemma 2.2 with 1/eta times the slope of the divergence as a change of q: some spread / (eta rho)
        assert distance <= spread / (step_size * h.rho)
    slope = q + h.gradient(policy)
    slope = policy * (slope - (policy * slope).sum(axis=1, keepdims=True))  # the replicator direction
    step = (h.proximal_step(q, policy, 1e-6, mirror="kl") - policy) / 1e-6
    # first order in eta, and rounding 1e-16 / 1e-6
    np.testing.assert_allclose(step, slope, rtol=0, atol=1e-5)


@kinds
@given(seed=seeds, actions=st.integers(2, 6), strength=strengths, step_size=step_sizes)
def test_a_kl_step_stays_on_the_simplex_and_keeps_zeros_at_zero(kind, seed, actions, strength, step_size):
    q, policy = random_rows(seed, actions)
    policy[0] = np.eye(actions)[0]
    policy[1, 0], policy[1] = 0.0, policy[1] / policy[1].sum()
    policy[1] /= policy[1].sum() if policy[1].sum() > 0 else 1.0
    if policy[1].sum() == 0:
        policy[1] = np.eye(actions)[1]
    u = kind(strength).proximal_step(q, policy, step_size, mirror="kl")
    assert (u >= 0).all()
    assert (u[policy == 0] == 0).all()
    np.testing.assert_allclose(u.sum(axis=1), 1.0, rtol=0, atol=1e-12)  # rounding of a sum
    np.testing.assert_array_equal(u[0], np.eye(actions)[0])


@kinds
@given(seed=seeds, actions=st.integers(1, 8), strength=strengths, step_size=st.floats(-4, 4).map(lambda x: 10.0**x))
def test_the_kl_step_is_nonexpansive_in_log_coordinates(kind, seed, actions, strength, step_size):
    h = kind(strength)
    rng = np.random.default_rng(seed)
    policies = rng.dirichlet(np.full(actions, rng.choice([1.0, 10.0])), size=2) + 1e-6
    policies /= policies.sum(axis=1, keepdims=True)
    qs = rng.uniform(-1, 1, size=(2, actions)) / step_size
    steps = h.proximal_step(qs, policies, step_size, mirror="kl")
    if (steps < 1e-200).any():
        return  # logarithms of underflowed entries
    moved = np.ptp(np.log(steps[0] / steps[1]))
    apart = np.ptp(np.log(policies[0] / policies[1]) + step_size * (qs[0] - qs[1]))
    # rounding of logarithms, whose arguments are known to some eps of 1 + eta rho
    slack = 64 * EPS * (30 + step_size * strength)
    if kind is Entropy:  # an equality
        assert moved == pytest.approx(apart / (1 + step_size * strength), rel=1e-9, abs=slack)
    assert moved <= apart + slack


@kinds
def test_a_floor_out_of_reach_of_the_kl_divergence_is_refused(kind):
    h = kind(0.4)
    with pytest.raises(InputError, match=r"floor: got .* expected at most h_max of the actions that the policy takes"):
        h.proximal_step(
            np.zeros(3), np.array([1.0, 0.0, 0.0]), 1.0, floor=float(h.value(np.array([0.5, 0.5, 0.0]))), mirror="kl"
        )
    within = h.proximal_step(
        np.array([9.0, 0.0, 0.0]),
        np.array([0.5, 0.5, 0.0]),
        1.0,
        floor=float(h.value(np.array([0.8, 0.2, 0.0]))),
        mirror="kl",
    )
    np.testing.assert_allclose(
        within, [0.8, 0.2, 0.0], rtol=0, atol=1e-9
    )  # the root of the floor, to 1e-14 in log kappa


@kinds
def test_an_unknown_mirror_map_is_refused(kind):
    with pytest.raises(InputError, match=r"mirror: got 'bregman', expected one of euclidean, kl"):
        kind(1.0).proximal_step(np.zeros(2), np.full(2, 0.5), 1.0, mirror="bregman")


# --- input


@kinds
@pytest.mark.parametrize("strength", [0.0, -1.0, np.nan, np.inf, True, "0.1", None])
def test_a_strength_that_is_not_a_positive_number_is_refused(kind, strength):
    with pytest.raises(InputError, match=rf"^regularizers\.{kind.__name__}: strength: got .* a finite number > 0"):
        kind(strength)


@kinds
@pytest.mark.parametrize("step_size", [0.0, -1.0, np.nan, np.inf])
def test_a_step_size_that_is_not_a_positive_number_is_refused(kind, step_size):
    with pytest.raises(InputError, match=r"step_size: got .* a finite number > 0"):
        kind(1.0).proximal_step(np.zeros(2), np.full(2, 0.5), step_size)


def test_regularizers_are_made_by_name():
    assert regularizers.make("entropy", 0.1) == Entropy(0.1)
    assert regularizers.make("quadratic", 2) == Quadratic(2)
    with pytest.raises(InputError, match="regularizer: got 'tsallis', expected one of entropy, quadratic"):
        regularizers.make("tsallis", 0.1)


def test_the_gradient_span_of_the_entropy_is_not_below_its_exact_value():
    # with two actions the extreme entries are p and 1 - p, where the entropy of p is log 2 - gap: in 50 digits
    for gap in np.geomspace(1e-4, 0.6, 15):
        with mpmath.workdps(50):
            level = mpmath.log(2) - mpmath.mpf(gap)
            low, high = mpmath.mpf(0), mpmath.mpf(1) / 2
            for _ in range(120):
                p = (low + high) / 2
                above = -p * mpmath.log(p) - (1 - p) * mpmath.log(1 - p) > level
                low, high = (low, p) if above else (p, high)
            exact = float(mpmath.log((1 - low) / low))
        # both entries are moved outwards by 1e-12 of themselves, more than the errors of their computation, some 1e-14
        assert 1e-12 < Entropy(1.0).gradient_span(2, gap) - exact < 3e-12


@pytest.mark.parametrize("mirror", ["euclidean", "kl"])
@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("regularizer", [Entropy(0.2), Quadratic(1.0)], ids=str)
def test_rows_of_a_batch_do_not_meet(regularizer, bound, mirror):
    floor = float(regularizer.value(np.array([0.5, 0.5, 0.0]))) - 0.05 * regularizer.span(3) if bound else None
    # as many rows as actions, so that no mistake in the axes is noticed by its shape
    q = np.array([[1e9, 1e9 - 1.0, 0.0], [0.3, 0.1, 0.2], [-5e9, -5e9, -5e9 + 1.0]])
    policy = np.array([[0.6, 0.4, 0.0], [0.2, 0.3, 0.5], [1 / 3, 1 / 3, 1 / 3]])
    for step in (
        lambda q, policy: regularizer.proximal_step(q, policy, 2.0, floor=floor, mirror=mirror),
        lambda q, policy: regularizer.best_response(q, floor),
    ):
        alone = np.array([step(*row) for row in zip(q, policy, strict=True)])
        # the iterations of all rows end with the slowest
        np.testing.assert_allclose(step(q, policy), alone, rtol=0, atol=1e-14)


def test_a_policy_that_takes_too_few_actions_for_the_floor_is_refused_whatever_the_others_take():
    regularizer, policy = Entropy(0.2), np.array([[0.6, 0.4, 0.0], [0.2, 0.3, 0.5], [0.0, 1.0, 0.0]])
    two = 0.2 * np.log(2.0)
    regularizer.proximal_step(np.zeros((2, 3)), policy[:2], 1.0, floor=two * 0.99, mirror="kl")
    with pytest.raises(InputError, match=r"floor: got .* the actions that the policy takes, 0\.138"):
        regularizer.proximal_step(np.zeros((2, 3)), policy[:2], 1.0, floor=two * 1.01, mirror="kl")
    with pytest.raises(InputError, match=r"floor: got 0\.1, .* the actions that the policy takes, -?0\.0"):
        regularizer.proximal_step(np.zeros((3, 3)), policy, 1.0, floor=0.1, mirror="kl")
