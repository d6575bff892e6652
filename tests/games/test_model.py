"""A game is data: features, their ranges, slopes and constants, and what validation refuses."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.references import CURVED_LINKS, all_games, congested_ring, curved_game, family_game, sparse_copy

from pma_mfg.errors import InputError
from pma_mfg.games import LINKS, Features, MeanFieldGame
from pma_mfg.regularizers import Entropy
from pma_mfg.simulation import agents
from pma_mfg.theory import lipschitz

GAMES = all_games()
# what each link is, written independently of the library: x, parameter -> g(x)
LINK_FORMULAS = {
    "identity": lambda x, p: x,
    "absolute": lambda x, p: x if x > 0 else -x,
    "log": lambda x, p: np.log(x + p),
    "minimum": lambda x, p: x if x < 1 else 1.0,
    "positive": lambda x, p: x if x > 0 else 0.0,
    "power": lambda x, p: x**p if x > 0 else 0.0,
    "floored_log": lambda x, p: np.log(x) if x > p else np.log(p),
    "reciprocal": lambda x, p: 1.0 / (x + p),
    "exponential": lambda x, p: np.exp(x),
}


def features_of(link, seed, count=3, size=4):
    """Return features whose arguments are admissible, and on both sides of a kink where the link has one."""
    rng = np.random.default_rng(seed)
    weights, parameter = rng.uniform(-1.5, 1.5, size=(count, size)), 0.0
    if link in ("log", "power", "floored_log", "reciprocal"):
        weights, parameter = np.abs(weights) + 0.05, rng.uniform(0.1, 2.5)
    return Features.build(weights, rng.uniform(0.0, 0.2, size=count), link, parameter=parameter)


def plain_values(features, mean_field):
    return np.array(
        [
            LINK_FORMULAS[LINKS[link]](sum(w * m for w, m in zip(row, mean_field, strict=True)) + b, p)
            for row, b, link, p in zip(
                features.weights, features.offsets, features.links, features.parameters, strict=True
            )
        ]
    )


@pytest.mark.parametrize("link", LINKS)
@given(seed=st.integers(0, 10**6))
def test_feature_values_follow_the_formula_of_their_link(link, seed):
    features = features_of(link, seed)
    for mean_field in np.random.default_rng(seed).dirichlet(np.ones(4), size=3):
        # rounding of a 4-term sum near 1, and of one elementary function
        np.testing.assert_allclose(features.values(mean_field), plain_values(features, mean_field), rtol=0, atol=2e-15)


def test_feature_values_of_many_mean_fields_are_those_of_each():
    parts = [features_of(link, seed) for seed, link in enumerate(("log", "absolute", "identity"))]
    features = Features(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in Features.__dataclass_fields__)
    )
    mean_fields = np.random.default_rng(0).dirichlet(np.ones(4), size=(2, 5))
    stacked = features.values(mean_fields)
    assert stacked.shape == (2, 5, 9)
    for i in np.ndindex(2, 5):
        # one matrix product instead of a matrix-vector product: sums in another order
        np.testing.assert_allclose(stacked[i], features.values(mean_fields[i]), rtol=0, atol=2e-15)


@pytest.mark.parametrize("link", LINKS)
@given(seed=st.integers(0, 10**6))
def test_feature_gradients_are_finite_differences_away_from_kinks(link, seed):
    features = features_of(link, seed)
    mean_field = np.random.default_rng(seed).dirichlet(np.full(4, 3.0))
    step = 1e-6
    arguments = features.arguments(mean_field)
    kinks = {"absolute": 0.0, "positive": 0.0, "minimum": 1.0}
    away = np.abs(arguments - kinks.get(link, -1.0)) > 1e-4
    differences = np.array(
        [
            (plain_values(features, mean_field + step * e) - plain_values(features, mean_field - step * e)) / (2 * step)
            for e in np.eye(4)
        ]
    ).T
    # rounding 1e-16 / 1e-6, and step^2 times a third derivative below 1e4 (log at 0.15)
    np.testing.assert_allclose(features.gradients(mean_field)[away], differences[away], rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(("link", "offset"), [("absolute", 0.0), ("positive", 0.0), ("minimum", 1.0)])
def test_at_a_kink_the_gradient_is_the_mean_of_both_sides(link, offset):
    features = Features.build([[1.0, -1.0, 0.0]], offset, link)
    at_kink = np.array([0.25, 0.25, 0.5])
    step = 1e-6 * np.array([1.0, -1.0, 0.0])
    sides = [features.gradients(at_kink + sign * step) for sign in (1, -1)]
    np.testing.assert_array_equal(features.gradients(at_kink), 0.5 * (sides[0] + sides[1]))
    assert np.abs(sides[0] - sides[1]).max() >= 1.0


@pytest.mark.parametrize("link", LINKS)
@given(seed=st.integers(0, 10**6))
def test_no_mean_field_leaves_the_range_of_a_feature(link, seed):
    features = features_of(link, seed)
    low, high = features.ranges()
    mean_fields = np.vstack([np.eye(4), np.random.default_rng(seed).dirichlet(np.full(4, 0.5), size=200)])
    values = features.values(mean_fields)
    # rounding of a sum of four terms
    assert (values >= low - 1e-14).all()
    assert (values <= high + 1e-14).all()


def test_the_range_of_an_absolute_value_reaches_its_kink():
    low, high = Features.build([[-1.0, 2.0]], 0.0, "absolute").ranges()
    assert (low.tolist(), high.tolist()) == ([0.0], [2.0])


@pytest.mark.parametrize("link", LINKS)
@given(seed=st.integers(0, 10**6))
def test_no_pair_of_arguments_beats_the_lipschitz_constant_of_a_link(link, seed):
    features = features_of(link, seed, count=1)
    arguments = features.arguments(np.eye(4))[:, 0]
    low, high = arguments.min(), arguments.max()
    short = 1e-6 * (high - low)
    x = np.concatenate([np.linspace(low, high, 200), [low + short, high - short]])
    if link == "floored_log" and low < (floor := features.parameters[0]) < high - short:
        x = np.append(x, [floor, floor + short])
    x = np.sort(x)[:, None]
    slopes = np.abs(np.diff(features.link_values(x)[:, 0]) / np.diff(x[:, 0]))
    constant = features.link_lipschitz()[0]
    # rounding 1e-16 over a spacing of 1e-6
    assert slopes.max() <= constant * (1 + 1e-9) + 1e-9
    # attained at an end of the range, or next to the floor: over 1e-6 of it a slope changes by less than 1e-4 of itself
    assert slopes.max() >= (1 - 1e-4) * constant


@pytest.mark.parametrize("name", GAMES)
@given(seed=st.integers(0, 10**6))
def test_transition_and_reward_are_the_weighted_sums_of_tables(name, seed):
    game = GAMES[name]
    mean_field = np.random.default_rng(seed).dirichlet(np.full(game.n_states, 0.5))
    transition, reward = game.base_transition.copy(), game.base_reward.copy()
    for phi, term in zip(plain_values(game.transition_features, mean_field), game.transition_terms, strict=True):
        transition = transition + phi * term
    for phi, term in zip(plain_values(game.reward_features, mean_field), game.reward_terms, strict=True):
        reward = reward + phi * term
    # a handful of terms below 3, summed in another order
    np.testing.assert_allclose(game.transition(mean_field), transition, rtol=0, atol=1e-14)
    np.testing.assert_allclose(game.reward(mean_field), reward, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", GAMES)
def test_transitions_are_probabilities_at_every_mean_field(name):
    game = GAMES[name]
    for mean_field in np.random.default_rng(5).dirichlet(np.full(game.n_states, 0.4), size=100):
        transition = game.transition(mean_field)
        assert transition.min() >= 0.0
        # rounding of sums of a few terms
        np.testing.assert_allclose(transition.sum(axis=2), 1.0, rtol=0, atol=1e-14)


def changed(array, index, value):
    copy = array.copy()
    copy[index] = value
    return copy


BASE = family_game("affine")
SHIFT = 0.1 * np.array([1.0, -1.0, 0.0, 0.0])
BAD_GAMES = {
    "negative probability": (
        {"base_transition": changed(BASE.base_transition, (1, 2), BASE.base_transition[1, 2] + 12 * SHIFT)},
        r"transition: P\(next=1\|state=1, action=2\) at mean field \[.*\]: got -.* expected a probability >= 0",
    ),
    "row that does not sum to one": (
        {"base_transition": changed(BASE.base_transition, (3, 0, 1), BASE.base_transition[3, 0, 1] + 1e-9)},
        r"transition: sum of P\(\.\|state=3, action=0\) at mean field \[.*\]: got 1\.00000000.* sum to 1",
    ),
    "NaN reward": (
        {"base_reward": changed(BASE.base_reward, (2, 1), np.nan)},
        r"base_reward\[2, 1\]: got nan, expected a finite number",
    ),
    "infinite transition": (
        {"base_transition": changed(BASE.base_transition, (0, 1, 2), np.inf)},
        r"base_transition\[0, 1, 2\]: got inf",
    ),
    "NaN term": (
        {"transition_terms": changed(BASE.transition_terms, (1, 0, 2, 3), np.nan)},
        r"transition_terms\[1, 0, 2, 3\]: got nan",
    ),
    "NaN reward term": (
        {"reward_terms": changed(BASE.reward_terms, (1, 0, 2), np.nan)},
        r"reward_terms\[1, 0, 2\]: got nan",
    ),
    "transition of another size": (
        {"base_transition": BASE.base_transition[:, :2]},
        r"base_transition: got shape \(4, 2, 4\), expected shape \(4, 3, 4\)",
    ),
    "terms of another number": (
        {"transition_terms": BASE.transition_terms[:3]},
        r"transition_terms: got shape \(3, 4, 3, 4\), expected shape \(4, 4, 3, 4\)",
    ),
    "reward without actions": ({"base_reward": BASE.base_reward[:, :0]}, r"base_reward: got \(4, 0\), expected shape"),
    "flat reward": ({"base_reward": BASE.base_reward.ravel()}, r"base_reward: got \(12,\), expected shape \(S, A\)"),
    "true rewards": (
        {"base_reward": np.ones((4, 3), dtype=bool)},
        "base_reward: got values of type bool, expected an array of floating-point numbers",
    ),
    "a label twice": (
        {"state_labels": ("a", "b", "c", "b")},
        "state_labels: got 'b' twice, expected names that differ",
    ),
    "weights of another size": (
        {"reward_features": replace(BASE.reward_features, weights=np.eye(4, 5))},
        r"reward_features\.weights: got shape \(4, 5\)",
    ),
    "offsets of another size": (
        {"reward_features": replace(BASE.reward_features, offsets=np.zeros(3))},
        r"reward_features\.offsets: got shape \(3,\)",
    ),
    "NaN weight": (
        {"reward_features": replace(BASE.reward_features, weights=changed(np.eye(4), (2, 3), np.nan))},
        r"reward_features\.weights\[2, 3\]: got nan",
    ),
    "unknown link": (
        {"transition_features": replace(BASE.transition_features, links=np.array([0, 0, 9, 0]))},
        r"transition_features\.links: got \[0, 0, 9, 0\], expected a list of integers from 0 to 8",
    ),
    "links that are not integers": (
        {"transition_features": replace(BASE.transition_features, links=np.zeros(4))},
        r"transition_features\.links: .* integers from 0 to 8",
    ),
    "pole on the simplex": (
        {"reward_features": Features.build(2.0 * np.eye(4), 0.0, "reciprocal", parameter=-1.0)},
        "reward_features: got a value that is not finite",
    ),
    "logarithm of zero": (
        {"reward_features": Features.build(np.eye(4), 0.0, "log", parameter=0.0)},
        "reward_features: got a value that is not finite",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD_GAMES.values(), ids=BAD_GAMES)
def test_a_bad_table_is_refused_with_its_name_and_place(changes, message):
    with pytest.raises(InputError, match=r"^game 'affine': " + message):
        replace(BASE, **changes)


@pytest.mark.parametrize("discount", [1.0, -1e-9, 2, np.nan, np.inf, "0.9", None])
def test_a_discount_outside_the_half_open_unit_interval_is_refused(discount):
    with pytest.raises(InputError, match=r"discount: got .* expected a number in \[0, 1\)"):
        replace(BASE, discount=discount)


def test_a_negative_probability_inside_the_simplex_is_found():
    # |mu(0) - mu(1)| is 1 on both vertices, and 0 between them
    with pytest.raises(InputError, match=r"a probability >= 0"):
        MeanFieldGame(
            discount=0.5,
            base_transition=np.broadcast_to([-0.2, 1.2], (2, 1, 2)).copy(),
            base_reward=np.zeros((2, 1)),
            transition_terms=np.broadcast_to([0.5, -0.5], (1, 2, 1, 2)).copy(),
            transition_features=Features.build([[1.0, -1.0]], 0.0, "absolute"),
            reward_terms=np.zeros((0, 2, 1)),
            reward_features=Features.none(2),
        )


@pytest.mark.parametrize("link", CURVED_LINKS)
def test_games_with_curved_links_truly_depend_on_the_mean_field(link):
    game = curved_game(link)
    at_vertices = [game.transition(e) for e in np.eye(game.n_states)]
    assert np.abs(at_vertices[0] - at_vertices[1]).max() > 1e-3
    # and not affinely: the value between two vertices is not the mean of theirs
    middle = np.array([[0.5, 0.5, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0.5, 0.5], [0.5, 0, 0, 0.5]])
    curved = [game.reward(m) - m @ np.array([game.reward(e) for e in np.eye(4)]).swapaxes(0, 1) for m in middle]
    assert np.abs(curved).max() > 1e-3


# --- sparse games


@pytest.mark.parametrize("name", GAMES)
def test_a_sparse_game_made_dense_is_the_dense_game(name):
    game = GAMES[name]
    again = sparse_copy(game).dense("test")
    assert game.dense("test") is game
    for table in ("base_transition", "base_reward", "transition_terms", "reward_terms"):
        np.testing.assert_array_equal(getattr(again, table), getattr(game, table))
    for features in ("transition_features", "reward_features"):
        np.testing.assert_array_equal(getattr(again, features).weights, getattr(game, features).weights)


def test_a_sparse_game_too_large_to_be_dense_says_so_where_tables_are_needed():
    game = family_game("crowd_averse", n_states=6000, n_successors=2)
    for compute in (lipschitz.constants, lambda game: lipschitz.q_range(game, Entropy(1.0)), agents.dense_tables):
        with pytest.raises(InputError, match=r"game: got a sparse game with 2\.5e\+08 of them, expected a game whose"):
            compute(game)


@pytest.mark.parametrize("name", GAMES)
def test_ranges_alone_never_accept_what_the_vertices_refuse(name):
    # more and more of the first term, until some probability is negative or the row sums are off
    game = GAMES[name]
    if len(game.transition_features.links) == 0:
        return
    refused = 0
    for scale in (1.0, 2.0, 5.0, 20.0, 100.0):
        terms = game.transition_terms * np.r_[scale, np.ones(len(game.transition_terms) - 1)][:, None, None, None]
        vertices = game.transition_features.values(np.eye(game.n_states))
        lowest = min((game.base_transition + np.tensordot(phi, terms, axes=1)).min() for phi in vertices)
        if lowest >= -1e-9:
            continue
        refused += 1
        changed = replace(game)
        object.__setattr__(changed, "transition_terms", terms)  # past the check, which sparse_copy makes
        for check in (sparse_copy, lambda game: game.validate("test")):
            with pytest.raises(InputError, match="a probability >= 0"):
                check(changed)
    assert refused > 0


def test_a_large_game_with_a_feature_for_every_state_is_checked_without_its_vertices():
    game = congested_ring(3000)
    broken = game.transition_terms.copy()
    broken.data[broken.data < 0] *= 5.0
    with pytest.raises(InputError, match=r"transition: .*at mean field number 0, starting \[1\.0, 0\.0"):
        replace(game, transition_terms=broken)
