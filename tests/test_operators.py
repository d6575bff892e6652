"""The operators against sums written out, against linear algebra, and under the symmetries they must have."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from tests.references import (
    FAMILY_PARAMETERS,
    all_games,
    family_game,
    frozen_game,
    left_eigenvector,
    one_step_population,
    random_policy,
    sparse_copy,
)

from pma_mfg import equilibrium, operators, solvers
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games import Features, FunctionGame, MeanFieldGame
from pma_mfg.jacobian import tangent_basis
from pma_mfg.regularizers import Entropy, Quadratic
from pma_mfg.theory import lipschitz

GAMES = all_games()
REGULARIZERS = [None, Entropy(0.3), Quadratic(0.5)]

every_game = pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
every_regularizer = pytest.mark.parametrize("regularizer", REGULARIZERS, ids=["none", "entropy", "quadratic"])
seeds = st.integers(0, 10**6)


# --- population


@every_game
@given(seed=seeds)
def test_the_population_update_is_the_average_of_one_step(game, seed):
    mean_field = np.random.default_rng(seed).dirichlet(np.full(game.n_states, 0.5))
    policy = random_policy(game, seed)
    updated = operators.population_update(game, mean_field, policy)
    # sums of S A terms below 1 in another order
    np.testing.assert_allclose(updated, one_step_population(game, mean_field, policy), rtol=0, atol=1e-15)
    assert updated.sum() == pytest.approx(1.0, abs=1e-14)


@every_game
@pytest.mark.parametrize("seed", range(3))
def test_the_population_jacobian_is_the_limit_of_differences_on_tangent_directions(game, seed):
    rng = np.random.default_rng(seed)
    mean_field, policy = rng.dirichlet(np.full(game.n_states, 5.0)), random_policy(game, seed)
    derivative = operators.population_jacobian(game, mean_field, policy)
    assert np.isfinite(derivative).all()
    step = 1e-6
    for direction in tangent_basis(game.n_states):
        difference = operators.population_update(game, mean_field + step * direction, policy)
        difference = (difference - operators.population_update(game, mean_field - step * direction, policy)) / (
            2 * step
        )
        # rounding 1e-16 / 1e-6 and step^2 times a third derivative below 1e2; no kink within 1e-6 for these seeds
        np.testing.assert_allclose(derivative @ direction, difference, rtol=0, atol=1e-9)


@every_game
@pytest.mark.parametrize("concentration", [0.05, 1.0, 50.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_stable_population_is_a_distribution_that_one_step_keeps(game, concentration, seed):
    policy = random_policy(game, seed, concentration)
    mean_field = operators.stable_population(game, policy)
    assert (mean_field >= 0).all()
    assert mean_field.sum() == pytest.approx(1.0, abs=1e-14)
    # the promised residual, and the rounding of the sum that checks it
    assert np.abs(one_step_population(game, mean_field, policy) - mean_field).sum() <= 1e-13 + 1e-15


@pytest.mark.parametrize("n_states", [1, 2, 10, 60])
@pytest.mark.parametrize("seed", range(3))
def test_without_a_mean_field_the_stable_population_is_the_stationary_law(n_states, seed):
    game = family_game("crowd_averse", n_states=n_states, seed=seed)
    policy = random_policy(game, seed)
    kernel = np.einsum("sa,say->sy", policy, game.base_transition)
    # both are backward stable; the chains mix within a few steps
    np.testing.assert_allclose(operators.stable_population(game, policy), left_eigenvector(kernel), rtol=0, atol=1e-13)


def test_a_slowly_mixing_chain_has_its_stable_population_found():
    # stays with probability 1 - 1e-6 and 1 - 3e-6: stationary law (3, 1) / 4
    stay = np.array([[[1 - 1e-6, 1e-6]], [[3e-6, 1 - 3e-6]]])
    game = MeanFieldGame(
        discount=0.5,
        base_transition=stay,
        base_reward=np.zeros((2, 1)),
        transition_terms=np.zeros((0, 2, 1, 2)),
        transition_features=Features.none(2),
        reward_terms=np.zeros((0, 2, 1)),
        reward_features=Features.none(2),
    )
    found = operators.stable_population(game, np.ones((2, 1)), start=np.array([0.1, 0.9]))
    # a residual of 1e-13 allows 1e-13 / 4e-6 = 2.5e-8; the last Newton step does better
    np.testing.assert_allclose(found, [0.75, 0.25], rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_stable_population_is_unique_from_every_start_when_the_theory_says_so(seed):
    game = family_game("affine", seed=seed, K_mu=0.4, K_s=0.3, K_a=0.2)
    assert lipschitz.constants(game).L_pop < 1
    policy = random_policy(game, seed)
    rng = np.random.default_rng(seed)
    starts = [*np.eye(game.n_states), *rng.dirichlet(np.full(game.n_states, 0.2), size=6)]
    found = [operators.stable_population(game, policy, start=start) for start in starts]
    # two points of residual 1e-13 are within 2e-13 / (1 - L_pop), L_pop < 0.65
    assert np.abs(np.array(found) - found[0]).sum(axis=1).max() <= 2e-13 / 0.35


def oscillating_game():
    """Return a game of two states: nearly everybody leaves the state that most agents are in.

    The share of state 0 moves to f(x), which falls from 0.9 to 0.1 between 0.36 and 0.38: a steep fixed point in
    between, and a stable cycle between 0.1 and 0.9.
    """
    weights, offsets = [[50.0, 0.0], [50.0, 0.0]], [-18.0, -19.0]
    return MeanFieldGame(
        discount=0.5,
        base_transition=np.broadcast_to([0.9, 0.1], (2, 1, 2)).copy(),
        base_reward=np.zeros((2, 1)),
        transition_terms=np.array([-0.8, 0.8])[:, None, None, None] * np.array([1.0, -1.0]) * np.ones((2, 2, 1, 2)),
        transition_features=Features.build(weights, offsets, "positive"),
        reward_terms=np.zeros((0, 2, 1)),
        reward_features=Features.none(2),
    )


def test_an_oscillating_population_is_reported_with_its_history():
    game, policy = oscillating_game(), np.ones((2, 1))
    assert operators.population_update(game, np.array([0.1, 0.9]), policy) == pytest.approx([0.9, 0.1])
    with pytest.raises(ConvergenceError, match=r"stable_population: no fixed point after \d+ iterations") as caught:
        operators.stable_population(game, policy, max_iterations=500)
    assert f" after {len(caught.value.history) - 1} iterations: " in str(caught.value)
    assert len(caught.value.history) < 500  # what has returned to the same bits goes on for ever, which is seen
    assert min(caught.value.history) > 0.1
    assert "last residuals: " in str(caught.value)
    assert "tolerance 1e-13; plain updates cycle with period 2, each moving 1.6 (" in str(caught.value)
    assert f"l1 residual {min(caught.value.history):.1e} at best" in str(caught.value)


def test_the_closed_components_of_a_pattern_are_those_of_its_sparse_matrix_and_cannot_be_written_to():
    rng = np.random.default_rng(4)
    for edges in rng.random((40, 6, 6)) < 0.2:
        label, count = solvers.closed_components(edges)
        sparse, of_sparse = solvers.closed_components(csr_array(edges))
        assert count == of_sparse
        np.testing.assert_array_equal(label, sparse)
        with pytest.raises(ValueError, match="read-only"):
            label[0] = 7
        np.testing.assert_array_equal(solvers.closed_components(edges)[0], sparse)


def test_the_patterns_of_large_tables_are_not_remembered():
    before = solvers._components_of_pattern.cache_info()
    assert solvers.closed_components(np.eye(solvers.REMEMBERED + 1, dtype=bool))[1] == solvers.REMEMBERED + 1
    assert solvers._components_of_pattern.cache_info() == before


def test_recurrent_classes_are_the_closed_components_of_the_chain():
    kernel = np.zeros((7, 7))
    kernel[0, 3] = kernel[3, 0] = kernel[5, 5] = 1.0  # a cycle and a state that is never left
    kernel[1, [1, 2]], kernel[2, [1, 0]], kernel[4, [4, 5]] = 0.5, 0.5, 0.5  # these lead into them
    kernel[6, 6], kernel[6, 0] = 1.0 - 1e-15, 1e-15  # what rounding alone can tell from staying
    for chain in (kernel, csr_array(kernel)):
        assert [states.tolist() for states in operators.recurrent_classes(chain)] == [[0, 3], [5], [6]]
    assert operators.named_classes([np.arange(9), np.array([9])]) == "2 recurrent classes: {0, 1, 2, 3, 4, 5, ...}, {9}"
    for count, end in ((6, "{4}, {5}"), (7, "{4}, {5}, ...")):
        assert operators.named_classes(np.arange(count)[:, None]).endswith(end)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda policy: policy[:, :2], r"shape \(4, 2\), expected shape \(4, 3\)"),
        (lambda policy: policy[0], r"shape \(3,\), expected shape \(4, 3\)"),
        (lambda policy: 2 * policy, "row 0: got the sum 2.0, off by 1, expected rows of probabilities that sum to 1"),
        (
            lambda policy: policy + np.array([0.9, -0.9, 0.0]),
            "row 0, entry 1: got -0.67.*expected rows of probabilities",
        ),
        (lambda policy: policy * np.nan, "row 0, entry 0: got nan, expected rows of probabilities"),
    ],
    ids=["too few actions", "one row", "not normalized", "negative", "NaN"],
)
def test_an_array_that_is_no_policy_of_the_game_is_refused(change, message):
    game = family_game("affine")
    with pytest.raises(InputError, match="stable_population: policy: .*" + message):
        operators.stable_population(game, change(random_policy(game, 0)))


# --- Q evaluation


@every_game
@every_regularizer
@pytest.mark.parametrize("discount", [0.0, 0.6, 0.99])
def test_q_values_satisfy_the_bellman_equation(game, regularizer, discount):
    game = replace(game, discount=discount)
    policy, mean_field = random_policy(game, 1), np.random.default_rng(1).dirichlet(np.ones(game.n_states))
    q = operators.q_values(game, policy, mean_field, regularizer=regularizer)
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    # sum by sum; V is (1 - gamma)^-1 at most, so its rounding is about eps / (1 - gamma)
    tolerance = 1e-14 / (1 - discount)
    for s, a in np.ndindex(game.n_states, game.n_actions):
        expected = reward[s, a]
        for y in range(game.n_states):
            h = 0.0 if regularizer is None else float(regularizer.value(policy[y]))
            expected += discount * transition[s, a, y] * (sum(policy[y] * q[y]) + h)
        assert q[s, a] == pytest.approx(expected, abs=tolerance)
    values = operators.state_values(game, policy, mean_field, regularizer=regularizer)
    h = 0.0 if regularizer is None else regularizer.value(policy)
    np.testing.assert_allclose(values, (policy * q).sum(axis=1) + h, rtol=0, atol=tolerance)


def test_q_values_are_the_discounted_sum_of_rewards():
    game = family_game("affine", discount=0.7)
    policy, mean_field, h = random_policy(game, 2), np.full(4, 0.25), Entropy(0.3)
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    gain = (policy * reward).sum(axis=1) + h.value(policy)
    value, term = np.zeros(4), gain
    for _ in range(150):  # 0.7^150 = 6e-24
        value, term = value + term, 0.7 * np.einsum("sa,say,y->s", policy, transition, term)
    # rounding of 150 terms
    np.testing.assert_allclose(
        operators.q_values(game, policy, mean_field, regularizer=h),
        reward + 0.7 * transition @ value,
        rtol=0,
        atol=1e-13,
    )


@every_game
@every_regularizer
@given(shift=st.floats(-10, 10))
@settings(max_examples=10)
def test_a_constant_added_to_rewards_shifts_q_and_moves_no_policy(game, regularizer, shift):
    shifted = replace(game, base_reward=game.base_reward + shift)
    policy = random_policy(game, 3)
    mean_field = operators.stable_population(game, policy)
    difference = operators.q_values(shifted, policy, mean_field, regularizer=regularizer)
    difference = difference - operators.q_values(game, policy, mean_field, regularizer=regularizer)
    # rounding of values up to 10 / (1 - 0.9)
    np.testing.assert_allclose(difference, shift / (1 - game.discount), rtol=0, atol=1e-12)
    if regularizer is not None:
        # the same over rho = 0.3
        np.testing.assert_allclose(
            operators.policy_mirror_ascent(shifted, policy, 2.0, regularizer=regularizer),
            operators.policy_mirror_ascent(game, policy, 2.0, regularizer=regularizer),
            rtol=0,
            atol=1e-11,
        )


# --- relabelling


def relabelled(game, states, actions):
    """Return the game whose state i is the old state states[i], and action j the old actions[j]."""

    def renamed(features):
        return replace(features, weights=features.weights[:, states])

    return replace(
        game,
        base_transition=game.base_transition[np.ix_(states, actions, states)],
        base_reward=game.base_reward[np.ix_(states, actions)],
        transition_terms=game.transition_terms[:, states][:, :, actions][:, :, :, states],
        transition_features=renamed(game.transition_features),
        reward_terms=game.reward_terms[:, states][:, :, actions],
        reward_features=renamed(game.reward_features),
        planted=None,
    )


@every_game
@every_regularizer
@pytest.mark.parametrize("seed", range(2))
def test_relabelling_states_and_actions_relabels_every_operator(game, regularizer, seed):
    rng = np.random.default_rng(seed)
    states, actions = rng.permutation(game.n_states), rng.permutation(game.n_actions)
    other = relabelled(game, states, actions)
    policy = random_policy(game, seed)
    swap = np.ix_(states, actions)
    mean_field = operators.stable_population(game, policy)
    # sums in another order, solves with permuted pivots; values below 1 / (1 - 0.9)
    tolerance = {"rtol": 0, "atol": 1e-12}
    np.testing.assert_allclose(
        operators.population_update(other, mean_field[states], policy[swap]), mean_field[states], **tolerance
    )
    np.testing.assert_allclose(operators.stable_population(other, policy[swap]), mean_field[states], **tolerance)
    np.testing.assert_allclose(
        operators.q_values(other, policy[swap], mean_field[states], regularizer=regularizer),
        operators.q_values(game, policy, mean_field, regularizer=regularizer)[swap],
        **tolerance,
    )
    if regularizer is not None:
        for step_size in (0.5, 20.0, np.inf):
            np.testing.assert_allclose(
                operators.policy_mirror_ascent(other, policy[swap], step_size, regularizer=regularizer),
                operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer)[swap],
                rtol=0,
                atol=1e-11,  # q over rho = 0.3
            )


# --- PMA


@pytest.mark.parametrize("family", ["planted_smooth", "planted_kinked"])
@pytest.mark.parametrize("step_size", [1e-6, 1e-3, 0.1, 1.0, 10.0, 1e3, 1e6, np.inf])
def test_a_planted_equilibrium_is_a_fixed_point_of_pma_at_every_step_size(family, step_size):
    for strength in (0.05, 1.0):
        game = family_game(family, strength=strength)
        updated = operators.policy_mirror_ascent(game, game.planted.policy, step_size, regularizer=Entropy(strength))
        # q is known to 1e-14 / (1 - 0.9), over rho = 0.05
        assert operators.policy_distance(updated, game.planted.policy) < 1e-11


@every_game
@pytest.mark.parametrize("regularizer", REGULARIZERS[1:], ids=["entropy", "quadratic"])
def test_pma_is_the_composition_of_its_parts_row_by_row(game, regularizer):
    policy = random_policy(game, 4)
    mean_field = operators.stable_population(game, policy)
    q = operators.q_values(game, policy, mean_field, regularizer=regularizer)
    for step_size in (0.7, np.inf):
        updated = operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer)
        for s in range(game.n_states):
            if step_size == np.inf:
                row = regularizer.best_response(q[s])
            else:
                row = regularizer.proximal_step(q[s], policy[s], step_size)
            # Newton's method stops for all rows together
            np.testing.assert_allclose(updated[s], row, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(
        operators.best_response_step(game, policy, regularizer),
        operators.policy_mirror_ascent(game, policy, np.inf, regularizer=regularizer),
    )


@pytest.mark.parametrize("step_size", [0.7, np.inf])
def test_pma_respects_its_floor(step_size):
    game, regularizer = family_game("crowd_averse"), Entropy(0.1)
    policy = operators.uniform_policy(game)
    free = operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer)
    floor = float(regularizer.value(free).mean())
    held = operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer, floor=floor)
    # the root of h(u) = floor is found to 1e-14 in the logarithm of the multiplier
    assert (regularizer.value(held) >= floor - 1e-13).all()
    assert (np.abs(held - free).max(axis=1) > 1e-6).tolist() == (regularizer.value(free) < floor).tolist()


@pytest.mark.parametrize(("n_states", "n_actions"), [(1, 1), (1, 3), (3, 1)])
@pytest.mark.parametrize("regularizer", REGULARIZERS[1:], ids=["entropy", "quadratic"])
@pytest.mark.parametrize("family", ["affine", "crowd_averse"])
def test_one_state_or_one_action_is_a_game_like_any_other(family, regularizer, n_states, n_actions):
    game = family_game(family, n_states=n_states, n_actions=n_actions)
    policy = random_policy(game, 0)
    mean_field = operators.stable_population(game, policy)
    assert mean_field.shape == (n_states,)
    for step_size in (0.5, np.inf):
        updated = operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer)
        np.testing.assert_allclose(updated.sum(axis=1), 1.0, rtol=0, atol=1e-14)  # rounding of a sum
        if n_actions == 1:
            np.testing.assert_array_equal(updated, np.ones((n_states, 1)))
    if n_states == 1:  # a bandit: the value of one action after the other
        reward = game.reward(np.ones(1))[0]
        value = ((policy[0] * reward).sum() + regularizer.value(policy[0])) / (1 - game.discount)
        q = operators.q_values(game, policy, np.ones(1), regularizer=regularizer)[0]
        np.testing.assert_allclose(q, reward + game.discount * value, rtol=1e-14)  # a few roundings


def test_the_distance_of_policies_is_the_largest_l1_distance_of_rows():
    policy = np.array([[0.5, 0.5], [1.0, 0.0]])
    other = np.array([[0.25, 0.75], [0.4, 0.6]])
    assert operators.policy_distance(policy, other) == pytest.approx(1.2, rel=1e-15)  # exact up to one rounding


@pytest.mark.parametrize("mirror", ["euclidean", "kl"])
@pytest.mark.parametrize("regularizer", [Entropy(0.2), Quadratic(1.0)], ids=str)
@pytest.mark.parametrize("family", sorted(FAMILY_PARAMETERS))
def test_an_equilibrium_is_a_fixed_point_for_both_mirror_maps(family, regularizer, mirror):
    game = family_game(family)
    policy = equilibrium.solve(game, regularizer).policy
    for step_size in (0.1, 3.0, 100.0):
        moved = operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer, mirror=mirror)
        # solved to 1e-12; at most expanded by the spectral radius, below 3 in these games
        assert operators.policy_distance(moved, policy) < 1e-10
    away = operators.policy_mirror_ascent(game, random_policy(game, 0), 3.0, regularizer=regularizer, mirror=mirror)
    assert operators.policy_distance(away, random_policy(game, 0)) > 1e-3


@pytest.mark.parametrize("mirror", ["euclidean", "kl"])
@pytest.mark.parametrize("floor", [None, 0.2])
def test_a_step_of_policy_mirror_ascent_is_a_mirror_step_along_the_q_of_the_stable_population(mirror, floor):
    game, regularizer = GAMES["crowd_averse"], Entropy(0.2)
    policy = 0.5 * (random_policy(game, 0) + operators.uniform_policy(game))
    q = operators.q_values(game, policy, operators.stable_population(game, policy), regularizer=regularizer)
    expected = regularizer.proximal_step(q, policy, 3.0, floor=floor, mirror=mirror)
    found = operators.policy_mirror_ascent(game, policy, 3.0, regularizer=regularizer, floor=floor, mirror=mirror)
    np.testing.assert_array_equal(found, expected)
    others = [
        regularizer.proximal_step(q, policy, 3.0, floor=other_floor, mirror=other_mirror)
        for other_floor, other_mirror in ((None, "euclidean"), (None, "kl"), (0.2, "euclidean"), (0.2, "kl"))
        if (other_floor, other_mirror) != (floor, mirror)
    ]
    assert not any(np.array_equal(found, other) for other in others)


# --- the population map, and the last digits of the stable population


def forms_of(game):
    """Return the game with dense and with sparse tables, without features, and as two functions."""
    still = replace(
        game,
        transition_terms=np.zeros((0, *game.base_transition.shape)),
        transition_features=Features.none(game.n_states),
    )
    functions = FunctionGame(
        game.discount, game.transition, game.reward, n_states=game.n_states, n_actions=game.n_actions
    )
    return [game, sparse_copy(game), still, sparse_copy(still), functions]


@pytest.mark.parametrize("name", ["affine", "planted_kinked", "link power"])
def test_the_population_map_of_a_policy_is_the_population_update(name):
    for seed, game in enumerate(forms_of(GAMES[name])):
        policy = random_policy(game, seed)
        update = operators.population_map(game, policy)
        for mean_field in np.random.default_rng(seed).dirichlet(np.full(game.n_states, 0.5), size=3):
            # sums of S A terms below 1 in another order
            expected = operators.population_update(game, mean_field, policy)
            np.testing.assert_allclose(update(mean_field), expected, rtol=0, atol=1e-15)


@every_game
def test_the_stable_population_is_known_to_the_rounding_of_one_step(game):
    for seed in range(4):
        policy = random_policy(game, seed)
        mean_field = operators.stable_population(game, policy)
        # l1 norm of roundings of entries that sum to 1: of the update's S A terms, and of the solve before it
        residual = np.abs(operators.population_update(game, mean_field, policy) - mean_field).sum()
        assert residual <= 8 * np.finfo(float).eps


def test_where_nobody_moves_every_population_is_stable_and_kept():
    # the system of Newton's method is singular here, exactly: quarters are not rounded
    game = frozen_game(np.repeat(np.eye(4)[:, None], 2, axis=1), np.zeros((4, 2)), 0.5)
    start = np.array([0.5, 0.25, 0.125, 0.125])
    np.testing.assert_array_equal(operators.stable_population(game, operators.uniform_policy(game), start), start)


def test_an_iteration_that_finds_no_population_in_time_is_reported_with_its_history(monkeypatch):
    monkeypatch.setattr(solvers, "DIRECT_SIZE", 0)
    game = GAMES["affine"]
    with pytest.raises(ConvergenceError, match=r"stable_population: no fixed point after 2 iterations") as caught:
        operators.stable_population(game, random_policy(game, 0), max_iterations=2)
    assert len(caught.value.history) == 3
    assert caught.value.history[-1] > operators.STATIONARITY_TOLERANCE
    # plain updates settle: no cycle, and one class only
    assert "cycle" not in str(caught.value)
    assert "recurrent" not in str(caught.value)


def test_an_error_without_a_stable_population_names_the_classes_of_the_chain():
    # two copies of a game that oscillates, without a way between them
    game = oscillating_game()
    copied = [np.kron(np.eye(2), table[:, 0])[:, None] for table in (game.base_transition, *game.transition_terms)]
    both = replace(
        game,
        base_transition=copied[0],
        base_reward=np.zeros((4, 1)),
        transition_terms=np.array(copied[1:]),
        transition_features=replace(
            game.transition_features, weights=np.hstack([game.transition_features.weights] * 2)
        ),
        reward_terms=np.zeros((0, 4, 1)),
        reward_features=Features.none(4),
    )
    with pytest.raises(ConvergenceError, match=r"has 2 recurrent classes: \{0, 1\}, \{2, 3\}"):
        operators.stable_population(both, np.ones((4, 1)), max_iterations=50)


# --- every entry of a stationary law, and the masses of classes


def crowded_pair(rate):
    """Return two states: 0 is left with rate (1 + mu(0)), 1 with the rate, so that mu(0) (1 + mu(0)) = mu(1)."""
    base = np.array([[[1.0 - rate, rate]], [[rate, 1.0 - rate]]])
    game = frozen_game(base, np.zeros((2, 1)), 0.5)
    terms = np.array([[[-rate, rate]], [[0.0, 0.0]]])[None]
    return replace(game, transition_terms=terms, transition_features=Features.build([[1.0, 0.0]], [0.0]))


@pytest.mark.parametrize("rate", [0.1, 1e-6, 1e-13, 1e-15])
def test_a_slow_crowded_chain_has_its_population_to_the_last_digits(rate):
    # the uniform start has a residual of rate / 4, which no tolerance on residuals sees
    share = np.sqrt(2.0) - 1.0
    found = operators.stable_population(crowded_pair(rate), np.ones((2, 1)))
    np.testing.assert_allclose(found, [share, 1.0 - share], rtol=1e-14)


def test_classes_keep_their_masses_where_transitions_depend_on_the_population():
    one = crowded_pair(0.2)
    copied = [np.kron(np.eye(2), table[:, 0])[:, None] for table in (one.base_transition, *one.transition_terms)]
    features = Features.build([[1.0, 0.0, 0.0, 0.0]], [0.0])
    game = replace(
        frozen_game(copied[0], np.zeros((4, 1)), 0.5),
        transition_terms=np.array(copied[1:]),
        transition_features=features,
    )
    start = np.array([0.1, 0.2, 0.0, 0.7])
    found = operators.stable_population(game, np.ones((4, 1)), start=start)
    assert found[:2].sum() == pytest.approx(0.3, rel=1e-15)
    # x (1 + x) = 0.3 - x, and in the copy y (1 + x) = 0.7 - y
    share = np.sqrt(1.3) - 1.0
    np.testing.assert_allclose(found, [share, 0.3 - share, 0.7 / (2 + share), 0.7 - 0.7 / (2 + share)], rtol=1e-14)


def test_functions_are_differentiated_only_where_updates_do_not_settle(monkeypatch):
    game = crowded_pair(0.2)
    functions = FunctionGame(0.5, game.transition, game.reward, n_states=2, n_actions=1)
    slow = crowded_pair(1e-9)
    slow = FunctionGame(0.5, slow.transition, slow.reward, n_states=2, n_actions=1)
    expected = operators.stable_population(game, np.ones((2, 1)))
    # differences are good to some 1e-10, the law of the chain to rounding
    np.testing.assert_allclose(operators.stable_population(slow, np.ones((2, 1))), expected, rtol=1e-13)

    def refuse(*_):
        raise AssertionError("costs 2 S calls")

    monkeypatch.setattr(FunctionGame, "linearized", refuse)
    np.testing.assert_allclose(operators.stable_population(functions, np.ones((2, 1))), expected, rtol=1e-14)


def test_the_error_of_an_iterated_population_is_told_from_how_slowly_the_chain_mixes():
    rate = 1e-7
    kernel = np.array([[1.0 - rate, rate], [3.0 * rate, 1.0 - 3.0 * rate]])
    for form in (kernel, csr_array(kernel)):
        # 0.01 off in both entries: the residual is 4 rate times that
        assert operators.population_error(form, np.array([0.74, 0.26])) == pytest.approx(0.02, rel=1e-6)


def test_a_population_that_rounding_of_its_own_chain_decides_is_refused_with_the_distance():
    # nobody enters the full place, and an action that is hardly ever taken leaves it: 1e-20 is lost next to 1 - 0.5 / c
    transition = np.zeros((2, 2, 2))
    transition[0, :, 1], transition[1, 0, 1], transition[1, 1, 0] = 1.0, 1.0, 1.0
    terms = np.zeros((1, 2, 2, 2))
    terms[0, 0] = [1.0, -1.0]
    game = MeanFieldGame(
        discount=0.9,
        base_transition=transition,
        base_reward=np.zeros((2, 2)),
        transition_terms=terms,
        transition_features=Features.build([[0.0, 2.0]], link="minimum"),
        reward_terms=np.zeros((0, 2, 2)),
        reward_features=Features.none(2),
    )
    policy = np.array([[0.5, 0.5], [1.0, 1e-20]])
    with pytest.raises(
        ConvergenceError, match=r"l1 residual .*, but 1 \(l1\) from the stationary law of its own chain"
    ):
        operators.stable_population(game, policy)
