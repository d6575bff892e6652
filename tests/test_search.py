"""The search stays in its set, climbs, and its norms of Jacobians are those of the operators."""

import itertools
from functools import partial

import numpy as np
import pytest
from tests.references import FAMILY_PARAMETERS, family_game, random_policy

from pma_mfg import operators
from pma_mfg.regularizers import Entropy, Quadratic
from pma_mfg.theory import search


def box(rows):
    return (rows >= 0.2).all(axis=1) & (rows <= 0.5).all(axis=1)


def test_a_point_is_drawn_to_the_edge_of_the_set_and_not_across_it():
    uniform = np.full((2, 3), 1 / 3)
    drawn = search.drawn_in(uniform, np.array([[1.0, 0.0, 0.0], [0.4, 0.3, 0.3]]), box)
    # row 0 leaves the box where its small entries reach 0.2, that is at 0.6 of 1, beyond 0.5
    np.testing.assert_allclose(drawn, [[0.5, 0.25, 0.25], [0.4, 0.3, 0.3]], rtol=0, atol=1e-12)  # 2^-50 of the way
    assert box(drawn).all()


def brute_force_norm(blocks):
    """The induced norm from max_s l1, on vectors that sum to zero, to l1: a convex function is largest at vertices."""
    _, states, _, n = blocks.shape
    vertices = [0.5 * (np.eye(n)[a] - np.eye(n)[b]) for a, b in itertools.permutations(range(n), 2)]
    choices = itertools.product(vertices, repeat=states)
    return max(np.abs(np.einsum("tsmn,sn->tm", blocks, np.array(x))).sum(axis=1).max() for x in choices)


@pytest.mark.parametrize("seed", range(10))
def test_the_norm_in_l1_is_bracketed_by_its_bounds(seed):
    blocks = np.random.default_rng(seed).normal(size=(2, 3, 4, 3))
    lower, upper, direction = search.block_norm(blocks, 1)
    exact = brute_force_norm(blocks)
    assert 0.9 * exact <= lower <= exact * (1 + 1e-14)  # a local maximum; rounding of sums
    assert exact <= upper * (1 + 1e-14)
    attained = np.abs(np.einsum("tsmn,sn->tm", blocks, direction)).sum(axis=1).max()
    assert attained == pytest.approx(lower, rel=1e-14)
    np.testing.assert_allclose(direction.sum(axis=1), 0.0, rtol=0, atol=1e-15)
    np.testing.assert_allclose(np.abs(direction).sum(axis=1), 1.0, rtol=0, atol=1e-15)


@pytest.mark.parametrize("seed", range(10))
def test_the_norm_in_l2_is_bracketed_by_its_bounds(seed):
    rng = np.random.default_rng(seed)
    blocks = rng.normal(size=(3, 3, 2, 2))
    lower, upper, direction = search.block_norm(blocks, 2)
    angles = np.linspace(0.0, 2 * np.pi, 721)
    functionals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # for a functional v of the image of row t the best x has norm sum_s ||B_ts^T v||, so a circle of v is exhaustive
    exact = np.linalg.norm(np.einsum("tsmn,km->tksn", blocks, functionals), axis=-1).sum(axis=-1).max()
    assert lower == pytest.approx(exact, rel=1e-4)  # the circle's grid: (pi / 720)^2 / 2
    assert exact <= upper
    np.testing.assert_allclose(np.linalg.norm(direction, axis=1), 1.0, rtol=0, atol=1e-14)
    attained = np.linalg.norm(np.einsum("tsmn,sn->tm", blocks, direction), axis=1).max()
    assert attained == pytest.approx(lower, rel=1e-12)


def test_both_bounds_are_exact_for_a_single_block_and_for_single_numbers():
    block = np.random.default_rng(0).normal(size=(1, 1, 4, 3))
    lower, upper, _ = search.block_norm(block, 2)
    # the power iteration stops when it gains less than 1e-12
    assert lower == pytest.approx(np.linalg.norm(block[0, 0], 2), rel=1e-10)
    assert upper == pytest.approx(lower, rel=1e-10)
    numbers = np.random.default_rng(1).normal(size=(4, 4, 1, 1))
    lower, upper, _ = search.block_norm(numbers, 2)
    assert lower == pytest.approx(np.abs(numbers).sum(axis=(1, 2, 3)).max(), rel=1e-14)
    assert upper == pytest.approx(lower, rel=1e-14)


def test_the_norm_in_spans_is_exact():
    rng = np.random.default_rng(0)
    blocks = rng.normal(size=(2, 3, 3, 3))
    blocks -= blocks.mean(axis=3, keepdims=True)
    norm, direction = search.span_norm(blocks)
    cube = [np.array(x) for x in itertools.product((0.0, 1.0), repeat=3)]
    images = [np.einsum("tsmn,sn->tm", blocks, np.array(x)) for x in itertools.product(cube, repeat=3)]
    assert norm == pytest.approx(max(np.ptp(image, axis=1).max() for image in images), rel=1e-14)
    attained = np.ptp(np.einsum("tsmn,sn->tm", blocks, direction), axis=1).max()
    assert attained == pytest.approx(norm, rel=1e-14)


WEIGHTS = np.array([1.0, 0.5, 0.8, 0.3])
NORMS = (("l1", "euclidean"), ("l2", "euclidean"), ("l2", "kl"), ("log-span", "kl"))


def examined(operator, game, regularizer):
    """Return an operator, the norms of its image and of its argument as distances, and the norm of its Jacobian."""

    def l1(first, second, weights=1.0):
        return search.distance(np.atleast_2d(first), np.atleast_2d(second), "l1", weights=weights)

    match operator:
        case "mean field" | "policy":
            norm = search.update_in_mean_field if operator == "mean field" else search.update_in_policy
            return lambda x: operators.population_update(game, x[0][0], x[1]), l1, l1, partial(norm, game)
        case "q in mean field" | "q in policy":
            norm = search.q_in_mean_field if operator == "q in mean field" else search.q_in_policy
            return (
                lambda x: operators.q_values(game, x[1], x[0][0], regularizer=regularizer),
                lambda first, second: np.abs(first - second).max(),
                l1,
                partial(norm, game, regularizer),
            )
        case "stable":
            norm = partial(search.stable_population, game)
            return lambda x: operators.stable_population(game, x[0]), l1, l1, norm
    step = partial(operators.policy_mirror_ascent, game, step_size=2.0, regularizer=regularizer, mirror=operator[1])
    norm = partial(
        search.policy_mirror_ascent,
        game,
        regularizer=regularizer,
        step_size=2.0,
        mirror=operator[1],
        norm=operator[0],
        weights=WEIGHTS,
    )
    distance = partial(search.distance, norm=operator[0], weights=WEIGHTS)
    return lambda x: step(x[0]), distance, distance, norm


@pytest.mark.parametrize("regularizer", [Entropy(0.4), Quadratic(3.0)], ids=str)
@pytest.mark.parametrize("operator", ["mean field", "policy", "q in mean field", "q in policy", "stable", *NORMS])
@pytest.mark.parametrize("family", FAMILY_PARAMETERS)
def test_the_direction_attains_the_norm_and_no_other_beats_its_upper_bound(family, operator, regularizer):
    game = family_game(family)
    policy = 0.8 * random_policy(game, 1) + 0.2 / game.n_actions
    mean_field = 0.8 * np.random.default_rng(2).dirichlet(np.ones(game.n_states)) + 0.2 / game.n_states
    two = operator in ("mean field", "policy", "q in mean field", "q in policy")
    point = (mean_field[None], policy) if two else (policy,)
    varied = 1 if operator in ("policy", "q in policy") else 0
    image, image_distance, distance, norm = examined(operator, game, regularizer)
    lower, upper, direction = norm(point)
    assert lower <= upper

    def ratio(direction):
        ends = [tuple(x + sign * 1e-5 * dx for x, dx in zip(point, direction, strict=True)) for sign in (1, -1)]
        return image_distance(*map(image, ends)) / distance(ends[0][varied], ends[1][varied])

    # second differences 1e-10 times a third derivative below 1e3; rounding 1e-14 / 1e-5
    assert ratio(direction) == pytest.approx(lower, rel=1e-6, abs=1e-8)
    rng = np.random.default_rng(3)
    for _ in range(30):
        change = rng.normal(size=point[varied].shape)
        change = 0.3 * change / np.abs(change).max()
        other = [np.zeros_like(x) for x in point]
        other[varied] = change - change.mean(axis=1, keepdims=True)
        assert ratio(tuple(other)) <= upper * (1 + 1e-6) + 1e-8


def test_points_between_are_straight_in_the_logarithms():
    first, second = (np.random.default_rng(seed).dirichlet(np.ones(3), size=2) for seed in (0, 1))
    (middle,) = search.between_logarithms((first,), (second,), 0.25)
    parts = [search.distance(*pair, norm="log-span", weights=np.ones(2)) for pair in ((first, middle), (first, second))]
    assert parts[0] == pytest.approx(0.25 * parts[1], rel=1e-12)
    np.testing.assert_allclose(middle.sum(axis=1), 1.0, rtol=0, atol=1e-15)


def test_ascent_finds_the_vertex_at_which_a_multiaffine_function_is_largest():
    weights = np.random.default_rng(0).uniform(size=(3, 4))
    value = lambda point: float((point[0] * weights).sum(axis=1).prod())  # noqa: E731
    best, (found,) = search.ascend(value, (np.full((3, 4), 0.25),), search.everywhere, n_sweeps=8)
    assert best == pytest.approx(weights.max(axis=1).prod(), rel=1e-10)  # vertices are kept LEAST away from the faces
    np.testing.assert_array_equal(found.argmax(axis=1), weights.argmax(axis=1))


def test_ascent_stays_in_its_set_and_gets_to_its_edge():
    value = lambda point: float(point[0][:, 0].sum())  # noqa: E731
    best, (found,) = search.ascend(value, (np.full((2, 3), 1 / 3),), box, n_sweeps=20)
    assert box(found).all()
    assert best == pytest.approx(1.0, abs=1e-2)  # both rows at the edge 0.5, up to the shortest reach


def test_a_pair_lies_in_the_set_at_its_distance():
    point = (np.array([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4]]),)  # on the edge of the box
    direction = (np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 0.0]]) / np.sqrt(2.0),)
    first, second = search.pair_along(point, direction, box)
    assert box(first[0]).all()
    assert box(second[0]).all()
    distance = np.linalg.norm(first[0] - second[0], axis=1).max()
    assert distance == pytest.approx(search.PAIR_DISTANCE, rel=1e-9)  # rounding 1e-16 / 1e-5
    corner = (np.full((2, 3), 1 / 3),)
    assert search.pair_along(corner, direction, lambda rows: np.zeros(len(rows), dtype=bool)) is None
