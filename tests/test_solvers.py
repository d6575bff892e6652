"""Iterative solvers find what elimination finds, say how well, and the operators built on them serve large games."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import scipy
from scipy.sparse import block_diag, csr_array
from tests.references import all_games, congested_ring, family_game, left_eigenvector, random_policy, sparse_copy

from pma_mfg import equilibrium, games, jacobian, operators, solvers
from pma_mfg.errors import ConvergenceError
from pma_mfg.regularizers import Entropy, Quadratic

GAMES = all_games()
REGULARIZERS = [Entropy(0.3), Quadratic(0.5)]

every_game = pytest.mark.parametrize("game", GAMES.values(), ids=GAMES)
every_regularizer = pytest.mark.parametrize("regularizer", REGULARIZERS, ids=str)


@pytest.fixture
def iterative(monkeypatch):
    """Take the path of large games at every size."""
    monkeypatch.setattr(solvers, "DIRECT_SIZE", 0)


def random_kernel(size, seed, laziness=0.0):
    rows = np.random.default_rng(seed).dirichlet(np.full(size, 0.5), size=size)
    return laziness * np.eye(size) + (1.0 - laziness) * rows


def sparse_crowd(n_states, **changes):
    parameters = {"n_actions": 3, "discount": 0.9, "seed": 0, "coupling": n_states / 2, "n_successors": 10}
    return games.make("crowd_averse", n_states=n_states, **(parameters | changes))


# --- Anderson acceleration


def counted(kernel):
    """Return the update of a chain, and a list that grows by one at every call."""
    calls = []
    return lambda x: (calls.append(1), x @ kernel)[1], calls


@pytest.mark.parametrize("laziness", [0.0, 0.9, 0.99])
@pytest.mark.parametrize("size", [1, 2, 3, 20, 100])
def test_anderson_finds_the_stationary_law(size, laziness):
    kernel = random_kernel(size, size, laziness)
    found, history = solvers.anderson(lambda x: x @ kernel, np.full(size, 1 / size), 1e-13, max_iterations=1000)
    assert history[-1] <= 1e-13
    assert history[-1] == pytest.approx(np.abs(found @ kernel - found).sum(), abs=1e-15)
    # a residual of 1e-13 over the share 1 - laziness that moves, on chains that mix within a few of their moves
    np.testing.assert_allclose(found, left_eigenvector(kernel), rtol=0, atol=1e-12 / (1 - laziness))


def test_anderson_needs_fewer_updates_than_the_plain_iteration_where_that_is_slow():
    kernel = random_kernel(200, 0, laziness=0.98)
    update, calls = counted(kernel)
    solvers.anderson(update, np.full(200, 1 / 200), 1e-13, max_iterations=10_000)
    x, plain = np.full(200, 1 / 200), 0
    while np.abs(x @ kernel - x).sum() > 1e-13:
        x, plain = x @ kernel, plain + 1
    assert plain > 15 * len(calls)  # work, not time: both cost one update per step


def test_where_plain_updates_are_fast_anderson_makes_no_others():
    kernel = random_kernel(2000, 1)  # second eigenvalue about 1 / sqrt(2000)
    update, calls = counted(kernel)
    _, history = solvers.anderson(update, np.eye(2000)[0], 1e-13, max_iterations=100)
    assert len(calls) == len(history)  # no candidate was computed in vain
    assert history[-1] <= 1e-13


@pytest.mark.parametrize("seed", range(5))
def test_the_residuals_of_a_contraction_fall_at_every_step(seed):
    # nearly decoupled blocks and a drift: accelerated steps overshoot here, and are refused
    rng = np.random.default_rng(seed)
    size = 40
    kernel, forward, states = np.zeros((size, size)), rng.uniform(0.2, 0.8, size=size), np.arange(size)
    kernel[states, states] = 0.45
    kernel[states, (states + 1) % size], kernel[states, states - 1] = 0.5 * forward, 0.5 * (1 - forward)
    kernel += 0.05 / size  # Doeblin: the update contracts by 0.95 in l1
    _, history = solvers.anderson(lambda x: x @ kernel, np.eye(size)[0], 1e-13, max_iterations=1000)
    history = np.array(history)
    above_rounding = history[:-1] > 1e-13
    assert (history[1:] <= solvers.ACCEPTED * history[:-1] * (1 + 1e-12))[above_rounding].all()


def test_anderson_stays_on_the_simplex():
    game = sparse_copy(GAMES["affine"])
    visited = []

    def update(x):
        visited.append(x)
        return operators.population_update(game, x, operators.uniform_policy(game))

    solvers.anderson(update, np.eye(4)[0], 1e-13, max_iterations=1000)
    assert min(x.min() for x in visited) >= 0.0
    assert max(abs(x.sum() - 1.0) for x in visited) <= 1e-15 * 4


@every_game
@pytest.mark.parametrize("seed", range(3))
def test_anderson_and_newton_reach_the_same_stable_population(game, seed, monkeypatch):
    policy = random_policy(game, seed)
    newton = operators.stable_population(game, policy)
    monkeypatch.setattr(solvers, "DIRECT_SIZE", 0)
    # both have residuals of 1e-13 on chains that mix within a few steps
    for same_game in (game, sparse_copy(game)):
        np.testing.assert_allclose(operators.stable_population(same_game, policy), newton, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_states", [10, 2000])
def test_the_stable_population_of_a_congested_ring_is_the_limit_of_plain_updates(n_states):
    game = congested_ring(n_states)
    policy = random_policy(game, 0)
    mean_field = operators.stable_population(game, policy)
    kernel = operators.policy_kernel(game.transition(mean_field), policy)
    assert np.abs(mean_field @ kernel - mean_field).sum() <= 1e-13 + 1e-15
    plain = np.full(n_states, 1 / n_states)
    for _ in range(2000):
        plain = operators.population_update(game, plain, policy)
        plain /= plain.sum()
    np.testing.assert_allclose(mean_field, plain, rtol=0, atol=1e-12)  # residuals of 1e-13; a tenth jumps at each step
    assert np.ptp(mean_field) > 0.1 / n_states


# --- policy evaluation


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("laziness", [0.0, 0.99])
@pytest.mark.parametrize("sparse", [False, True])
def test_the_discounted_sum_is_that_of_elimination(discount, laziness, sparse, iterative):
    kernel = random_kernel(60, 3, laziness)
    gain = np.random.default_rng(1).uniform(-1.0, 2.0, size=60)
    expected = np.linalg.solve(np.eye(60) - discount * kernel, gain)
    found = solvers.discounted_sum(csr_array(kernel) if sparse else kernel, discount, gain)
    residual = np.abs(gain + discount * kernel @ found - found).max()
    # rounding of the largest value, and the bound of section 3.4
    assert residual <= 1e-14 * np.abs(found).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=(residual + 1e-15 * np.abs(found).max()) / (1 - discount))


def test_where_the_krylov_method_fails_the_contraction_takes_over(iterative, monkeypatch):
    monkeypatch.setattr(
        scipy.sparse.linalg, "bicgstab", lambda system, right_side, **options: (np.full_like(right_side, 1e3), 1)
    )
    kernel, gain = random_kernel(30, 0), np.random.default_rng(0).normal(size=30)
    found = solvers.discounted_sum(kernel, 0.9, gain)
    expected = np.linalg.solve(np.eye(30) - 0.9 * kernel, gain)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)  # rounding of values up to 10, over 1 - 0.9


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_values_that_do_not_exist_are_refused(iterative):
    with pytest.raises(ConvergenceError, match="the values of a policy were not found"):
        solvers.discounted_sum(random_kernel(5, 0), 0.9, np.array([1.0, np.nan, 0.0, 0.0, 0.0]))


# --- linear systems known by their action


def test_a_system_is_solved_from_its_products():
    matrix = np.eye(50) - 0.5 * random_kernel(50, 2)
    right_side = np.random.default_rng(3).normal(size=50)
    found = solvers.krylov_solve(lambda x: matrix @ x, right_side, 1e-12)
    assert np.linalg.norm(matrix @ found - right_side) <= 1e-11 * np.linalg.norm(right_side)
    np.testing.assert_array_equal(solvers.krylov_solve(lambda x: matrix @ x, np.zeros(50), 1e-12), 0.0)


def test_an_unsolved_system_is_reported_with_its_residual():
    shift = np.roll(np.eye(50), 1, axis=1)  # GMRES gains nothing on a shift before step 50
    with pytest.raises(ConvergenceError, match="relative residual above"):
        solvers.krylov_solve(lambda x: shift @ x, np.eye(50)[0], 1e-6, max_iterations=20)


# --- the same operators, sparse or dense, by iteration or elimination


@every_game
@every_regularizer
@pytest.mark.parametrize("path", ["direct", "iterative"])
def test_sparse_tables_change_no_operator(game, regularizer, path, monkeypatch):
    rng = np.random.default_rng(0)
    policy, mean_field = random_policy(game, 5), rng.dirichlet(np.ones(game.n_states))
    value, weights = rng.normal(size=game.n_states), rng.normal(size=(game.n_states, game.n_actions))
    size, sparse = game.n_states, sparse_copy(game)
    assert sparse.is_sparse
    assert not game.is_sparse
    pairs = size * game.n_actions
    transition = game.transition(mean_field)

    def results(of):
        kind = of.transition(mean_field)
        return {
            "reward": of.reward(mean_field),
            "push_forward": operators.push_forward(kind, weights),
            "next_value": operators.next_value(kind, value),
            "population_update": operators.population_update(of, mean_field, policy),
            "population_map": operators.population_map(of, policy)(mean_field),
            "population_jacobian": operators.population_jacobian(of, mean_field, policy),
            "stable_population": operators.stable_population(of, policy),
            "q_values": operators.q_values(of, policy, mean_field, regularizer=regularizer),
            "policy_mirror_ascent": operators.policy_mirror_ascent(of, policy, 2.0, regularizer=regularizer),
            "exploitability": equilibrium.exploitability(of, policy, regularizer),
        }

    np.testing.assert_allclose(
        sparse.transition(mean_field).toarray(), transition.reshape(pairs, size), rtol=0, atol=1e-15
    )
    np.testing.assert_allclose(
        operators.policy_kernel(sparse.transition(mean_field), policy).toarray(),
        operators.policy_kernel(transition, policy),
        rtol=0,
        atol=1e-15,
    )
    expected = results(game)
    if path == "iterative":
        monkeypatch.setattr(solvers, "DIRECT_SIZE", 0)
    for name, found in results(sparse).items():
        # residuals of 1e-13 of the mean field, and values up to 10 over rho = 0.3
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=1e-11 if path == "iterative" else 1e-12)


@every_game
@every_regularizer
def test_the_iterative_path_reaches_the_same_equilibrium(game, regularizer, monkeypatch):
    expected = equilibrium.solve(game, regularizer)
    monkeypatch.setattr(solvers, "DIRECT_SIZE", 0)
    for same_game in (game, sparse_copy(game)):
        found = equilibrium.solve(same_game, regularizer)
        assert found.residuals["stationarity"] <= 1e-13
        np.testing.assert_allclose(found.policy, expected.policy, rtol=0, atol=1e-10)  # both solved to some 1e-12
        np.testing.assert_allclose(found.mean_field, expected.mean_field, rtol=0, atol=1e-10)


# --- products with the Jacobian


@every_game
@every_regularizer
@pytest.mark.parametrize("step_size", [0.3, 20.0, np.inf])
def test_products_with_the_jacobian_are_those_of_the_matrix(game, regularizer, step_size, monkeypatch):
    policy = random_policy(game, 6)
    basis = jacobian.tangent_basis(game.n_actions)
    matrix = jacobian.jacobian(game, policy, step_size, regularizer=regularizer)
    coordinates = np.random.default_rng(6).normal(size=(game.n_states, game.n_actions - 1))
    expected = (matrix @ coordinates.ravel()).reshape(coordinates.shape) @ basis
    for size in (500, 0):
        monkeypatch.setattr(solvers, "DIRECT_SIZE", size)
        for same_game in (game, sparse_copy(game)):
            product = jacobian.jacobian_product(same_game, policy, step_size, regularizer=regularizer)
            # the relative tolerance 1e-12 of the system in the mean field, derivatives up to 1 / (rho (1 - gamma))
            np.testing.assert_allclose(product(coordinates @ basis), expected, rtol=0, atol=1e-9)


def test_products_with_the_jacobian_are_limits_of_differences_in_a_large_game():
    game, regularizer = congested_ring(1000), Entropy(0.3)
    policy = random_policy(game, 7)
    direction = np.random.default_rng(7).normal(size=policy.shape)
    direction -= direction.mean(axis=1, keepdims=True)
    step = 1e-6
    ends = [
        operators.policy_mirror_ascent(game, policy + sign * step * direction, 3.0, regularizer=regularizer)
        for sign in (1, -1)
    ]
    product = jacobian.jacobian_product(game, policy, 3.0, regularizer=regularizer)(direction)
    # populations known to 1e-13, times S = 1000 in the features, over 1e-6
    np.testing.assert_allclose(product, (ends[0] - ends[1]) / (2 * step), rtol=0, atol=3e-4 * np.abs(product).max())


# --- large games


@pytest.mark.parametrize("regularizer", [Entropy(0.1), Quadratic(0.3)], ids=str)
def test_a_large_sparse_game_is_solved(regularizer):
    game = sparse_crowd(2000)
    found = equilibrium.solve(game, regularizer)
    mean_field, policy = found.mean_field, found.policy
    kernel = csr_array((policy.ravel(), np.arange(6000), np.arange(0, 6001, 3)), shape=(2000, 6000))
    kernel = kernel @ game.base_transition
    assert np.abs(mean_field @ kernel - mean_field).sum() <= 1e-13
    # value iteration, written out: the policy is the regularized best response to the values it reaches
    reward = game.base_reward - 1000.0 * mean_field[:, None]
    value = np.zeros(2000)
    for _ in range(400):  # 0.9^400 = 5e-19
        q = reward + 0.9 * (game.base_transition @ value).reshape(2000, 3)
        value = regularizer.optimum(q)
    assert operators.policy_distance(policy, regularizer.best_response(q)) <= 1e-11
    assert max(abs(residual) for residual in found.residuals.values()) <= 1e-11


def test_best_responses_alone_do_not_solve_that_game():
    game, policy = sparse_crowd(2000), None
    policy = operators.uniform_policy(game)
    for _ in range(20):
        last, policy = policy, operators.best_response_step(game, policy, Entropy(0.1))
    assert operators.policy_distance(policy, last) > 0.1


def test_a_large_dense_game_is_solved_by_the_same_functions():
    rng = np.random.default_rng(0)
    size = 600
    crowd = sparse_crowd(size)
    rows = 0.9 * crowd.base_transition.toarray().reshape(size, 3, size)
    rows += 0.1 * rng.dirichlet(np.ones(size), size=(size, 3))
    game = games.MeanFieldGame(
        discount=0.9,
        base_transition=rows,
        base_reward=crowd.base_reward,
        transition_terms=np.zeros((0, *rows.shape)),
        transition_features=games.Features.none(size),
        reward_terms=crowd.reward_terms,
        reward_features=crowd.reward_features,
    )
    found = equilibrium.solve(game, Entropy(0.2))
    assert max(abs(residual) for residual in found.residuals.values()) <= 1e-11


def test_a_game_with_transitions_that_depend_on_a_thousand_features_is_solved():
    found = equilibrium.solve(congested_ring(1000), Entropy(0.3))
    assert max(abs(residual) for residual in found.residuals.values()) <= 1e-10


def test_the_recurrent_classes_of_a_large_game_are_named():
    part = sparse_crowd(260, discount=0.5).base_transition
    transition = csr_array(block_diag([part, part]))
    game = games.MeanFieldGame(
        discount=0.5,
        base_transition=transition,
        base_reward=np.random.default_rng(0).uniform(size=(520, 3)),
        transition_terms=csr_array((0, transition.nnz)),
        transition_features=games.Features.none(520),
        reward_terms=np.zeros((0, 520, 3)),
        reward_features=games.Features.none(520),
    )
    found = equilibrium.solve(game, Entropy(1.0))
    assert "2 recurrent classes: {0, 1, 2, 3, 4, 5, ...}, {260, 261, 262, 263, 264, 265, ...}" in found.warnings[1]
    # updates keep what each class holds, and so does what accelerates them
    assert found.mean_field[:260].sum() == pytest.approx(0.5, abs=1e-12)


def test_no_table_of_a_sparse_game_grows_faster_than_its_transitions():
    game = family_game("crowd_averse", n_states=500, n_successors=4)
    assert game.base_transition.nnz == 500 * 3 * 4
    assert game.reward_terms.nnz == 500 * 3
    assert game.reward_features.weights.nnz == 500
    assert game.reward_features.gradients(np.full(500, 1 / 500)).nnz == 500


# --- how many steps, and when to stop


def test_anderson_makes_the_steps_it_is_given_and_returns_the_last_iterate_with_its_residual():
    kernel = random_kernel(50, 4, laziness=0.99)
    for steps in (0, 1, 7):
        found, history = solvers.anderson(lambda x: x @ kernel, np.eye(50)[0], 0.0, max_iterations=steps)
        assert len(history) == steps + 1
        assert history[-1] == np.abs(found @ kernel - found).sum()


def test_anderson_makes_no_step_from_a_fixed_point():
    update, calls = counted(np.array([[0.5, 0.5], [0.5, 0.5]]))
    found, history = solvers.anderson(update, np.array([0.5, 0.5]), 1e-13, max_iterations=1000)
    assert found.tolist() == [0.5, 0.5]
    assert history == [0.0]
    assert len(calls) == 1


@pytest.mark.parametrize("tolerance", [1e-2, 1e-13])
def test_below_its_tolerance_anderson_goes_on_while_residuals_halve(tolerance):
    # the second eigenvalue is 0.2: from 1e-2 on residuals fall fivefold, down to rounding
    kernel = 0.2 * np.eye(5) + 0.8 * np.random.default_rng(0).dirichlet(np.ones(5))
    _, history = solvers.anderson(lambda x: x @ kernel, np.eye(5)[0], tolerance, max_iterations=1000)
    assert history[-1] <= 1e-15  # sums of five terms below 1
    assert history[-1] >= 0.5 * history[-2]
    reached = np.flatnonzero(np.array(history) <= tolerance)[0]
    assert all(after < 0.5 * before for before, after in itertools.pairwise(history[reached:-1]))


def test_a_gain_that_is_the_same_in_every_state_needs_no_krylov_step(iterative, monkeypatch):
    monkeypatch.setattr(scipy.sparse.linalg, "bicgstab", None)  # not to be called
    found = solvers.discounted_sum(random_kernel(40, 0), 0.9, np.full(40, 0.3))
    np.testing.assert_allclose(found, 3.0, rtol=1e-14)  # rounding of a sum of 40 terms


def test_up_to_the_direct_size_a_system_is_eliminated_and_above_it_solved_by_products(iterative, monkeypatch):
    kernel, gain = random_kernel(40, 0), np.random.default_rng(0).normal(size=40)
    expected = solvers.discounted_sum(kernel, 0.9, gain)
    for size, direct in ((39, False), (40, True)):
        monkeypatch.setattr(solvers, "DIRECT_SIZE", size)
        with monkeypatch.context() as patched:
            patched.setattr(*((scipy.sparse.linalg, "bicgstab", None) if direct else (np.linalg, "solve", None)))
            np.testing.assert_allclose(solvers.discounted_sum(kernel, 0.9, gain), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("max_iterations", [7, 50, 130])
def test_gmres_stops_after_the_iterations_it_is_given(max_iterations):
    # on a cyclic shift GMRES makes no progress before the last of n steps
    calls = []

    def shift(x):
        calls.append(1)
        return np.roll(x, 1)

    with pytest.raises(ConvergenceError, match=r"krylov_solve: relative residual above 1e-06") as caught:
        solvers.krylov_solve(shift, np.eye(400)[0], 1e-6, max_iterations=max_iterations)
    assert caught.value.history == [1.0, pytest.approx(1.0, rel=1e-12)]
    # whole restarts of 50 or fewer, and a residual for each of them and for the result
    restarts = int(np.ceil(max_iterations / 50))
    assert max_iterations <= len(calls) <= restarts * min(50, max_iterations) + 2 * restarts + 2


def test_an_accelerated_step_across_a_kink_that_gains_nothing_is_refused():
    # the share of state 0 moves to f(x), of slope 0.9 above 1/2 and -0.9 below: seen from above, the fixed point seems
    # to be at 0.45, where the residual is 0.09, not at 0.497
    calls = []

    def update(x):
        calls.append(1)
        moved = 0.495 + 0.9 * abs(x[0] - 0.5)
        return np.array([moved, 1.0 - moved])

    found, history = solvers.anderson(update, np.array([0.9, 0.1]), 1e-13, max_iterations=1000)
    assert found[0] == pytest.approx(0.945 / 1.9, abs=1e-13)
    assert len(calls) > len(history)
    above_rounding = np.array(history[:-1]) > 1e-13
    assert (np.array(history[1:]) <= solvers.ACCEPTED * np.array(history[:-1]))[above_rounding].all()


# --- what survived a test of mutations (docs/mutation.md)


def kinked(slope_below):
    """Return a map of two shares that is V-shaped in the first one, at (1/2, 0.48), of slope 0.6 above."""

    def update(x):
        moved = 0.48 + (0.6 if x[0] > 0.5 else slope_below) * (x[0] - 0.5)
        return np.array([moved, 1.0 - moved])

    return update


def test_an_accelerated_step_between_the_last_two_residuals_is_refused():
    # from 0.7 residuals are 0.2 and 0.12, and the line through both points vanishes at 0.45, where the residual is 0.15
    update = kinked(-0.9)
    _, history = solvers.anderson(update, np.array([0.7, 0.3]), 1e-13, max_iterations=1000)
    history = np.array(history)
    above_rounding = history[:-1] > 1e-13
    assert (history[1:] <= solvers.ACCEPTED * history[:-1])[above_rounding].all()


def test_after_refused_steps_nothing_from_before_is_remembered():
    # from 0.7 plain updates lead to 0.6, 0.54, 0.504, since 0.45 is refused each time, and across the kink to 0.4824
    _, history = solvers.anderson(kinked(-0.9), np.array([0.7, 0.3]), 1e-13, max_iterations=1000)
    _, later = solvers.anderson(kinked(-0.9), np.array([0.504, 0.496]), 1e-13, max_iterations=1000)
    # up to the first accelerated step: on a line more differences than one have no unique combination
    np.testing.assert_allclose(history[3:6], later[:3], rtol=0, atol=1e-14)  # rounding of shares, over the slopes


def test_residuals_of_fast_plain_updates_are_those_of_the_power_method():
    kernel = random_kernel(400, 1)  # second eigenvalue about 1 / sqrt(400)
    start = np.full(400, 1 / 400)
    _, history = solvers.anderson(lambda x: x @ kernel, start, 0.0, max_iterations=6)
    x, plain = start, []
    for _ in range(7):
        plain.append(np.abs(x @ kernel - x).sum())
        x = x @ kernel
    assert plain[-1] > 1e-12  # above rounding, some 1e-15
    np.testing.assert_allclose(history, plain, rtol=1e-3)


def test_a_first_step_below_the_tolerance_that_halves_the_residual_is_not_the_last():
    kernel = 0.2 * np.eye(5) + 0.8 * np.random.default_rng(0).dirichlet(np.ones(5))  # second eigenvalue 0.2
    tolerance = 0.5 * np.abs(kernel[0] - np.eye(5)[0]).sum()
    _, history = solvers.anderson(lambda x: x @ kernel, np.eye(5)[0], tolerance, max_iterations=1000)
    assert history[1] <= tolerance
    assert history[-1] <= 1e-15  # sums of five terms below 1


def test_a_residual_of_zero_meets_a_tolerance_of_zero():
    update, calls = counted(np.eye(2))
    assert solvers.anderson(update, np.array([0.5, 0.5]), 0.0, max_iterations=1000)[1] == [0.0]
    assert len(calls) == 1


def test_no_gain_has_no_value(iterative, monkeypatch):
    monkeypatch.setattr(scipy.sparse.linalg, "bicgstab", None)  # not to be called
    np.testing.assert_array_equal(solvers.discounted_sum(random_kernel(40, 0), 0.9, np.zeros(40)), 0.0)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_where_the_krylov_method_gains_nothing_the_contraction_takes_over(scale, iterative, monkeypatch):
    monkeypatch.setattr(
        scipy.sparse.linalg, "bicgstab", lambda system, right_side, **options: (np.zeros_like(right_side), 1)
    )
    kernel, gain = random_kernel(30, 0), scale * np.random.default_rng(0).normal(size=30)
    found = solvers.discounted_sum(kernel, 0.9, gain)
    expected = np.linalg.solve(np.eye(30) - 0.9 * kernel, gain)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13 * scale)  # rounding of values up to 10, over 1 - 0.9


@pytest.mark.parametrize(("residual", "refused"), [(10.0, False), (10.5, True)])
def test_a_system_is_solved_up_to_ten_times_its_tolerance(residual, refused, monkeypatch):
    tolerance = 2.0**-20  # so that no number is rounded
    monkeypatch.setattr(
        scipy.sparse.linalg, "gmres", lambda system, right_side, **options: (right_side * (1 + residual * tolerance),)
    )
    if refused:
        with pytest.raises(ConvergenceError, match="krylov_solve"):
            solvers.krylov_solve(lambda x: x, np.eye(3)[0], tolerance)
    else:
        assert solvers.krylov_solve(lambda x: x, np.eye(3)[0], tolerance)[0] == 1 + residual * tolerance


# --- elimination without subtractions


def birth_and_death(n_states, small):
    """Return a chain between two ends of which the middle is hardly ever left for, and its exact law."""
    up = [Fraction(1, 3) * (small if i < n_states // 3 else 1) for i in range(n_states - 1)]
    down = [Fraction(1, 5) * (small if i > n_states // 3 else 1) for i in range(n_states - 1)]
    weights = [Fraction(1)]
    for i in range(n_states - 1):
        weights.append(weights[-1] * up[i] / down[i])
    kernel = np.zeros((n_states, n_states))
    for i in range(n_states - 1):
        kernel[i, i + 1], kernel[i + 1, i] = float(up[i]), float(down[i])
    kernel[np.diag_indices(n_states)] = 1.0 - kernel.sum(axis=1)
    return kernel, np.array([float(w / sum(weights)) for w in weights])


@pytest.mark.parametrize("n_states", [6, 33, 80])
@pytest.mark.parametrize("small", [Fraction(1), Fraction(1, 1000), Fraction(1, 10**7)])
def test_every_entry_of_a_stationary_law_is_known_to_rounding_however_slowly_the_chain_mixes(n_states, small):
    kernel, expected = birth_and_death(n_states, small)
    order = np.random.default_rng(n_states).permutation(n_states)
    for places in (np.arange(n_states), order):
        found = solvers.Elimination(kernel[np.ix_(places, places)]).law(np.full(n_states, 1.0 / n_states))
        # S steps of a few roundings each, and those of the entries; what is smaller may underflow on the way
        some = expected[places] > 1e-150
        np.testing.assert_allclose(found[some], expected[places][some], rtol=8 * n_states * np.finfo(float).eps)


def test_each_class_has_the_mass_that_its_start_and_its_transient_states_give_it():
    kernel = np.zeros((6, 6))
    kernel[0, 1] = kernel[1, 0] = 1.0  # a cycle
    kernel[3, 3] = 1.0
    kernel[2, [0, 3, 4]] = [0.25, 0.25, 0.5]  # from 2 and 4 the cycle is reached with (1/4 + 1/2 a), a = 1/3 + 2/3 (..)
    kernel[4, [2, 0, 3]] = [0.5, 0.125, 0.375]
    kernel[5, 5], kernel[5, 0] = 1.0 - 2.0**-40, 2.0**-40
    start = np.array([0.1, 0.1, 0.2, 0.2, 0.2, 0.2])
    # x from 2 and y from 4: x = 1/4 + y/2, y = 1/8 + x/2, so x = 5/12 and y = 1/3; from 5 for certain
    cycle = 0.2 + 0.2 * 5 / 12 + 0.2 / 3 + 0.2
    chain = solvers.Elimination(kernel)
    assert chain.classes == 2
    assert chain.label.tolist() == [0, 0, -1, 1, -1, -1]
    np.testing.assert_allclose(chain.law(start), [cycle / 2, cycle / 2, 0, 1 - cycle, 0, 0], rtol=4e-16, atol=0)
    np.testing.assert_allclose(chain.masses(start), [cycle, 1 - cycle], rtol=4e-16)


def test_each_class_keeps_its_mass_whichever_of_its_states_an_elimination_begins_with():
    """Classes 0 (states 0 and 4), 1 (1 and 3) and 2 (state 2), begun with their heaviest states, 4, 3 and 2."""
    kernel = np.zeros((5, 5))
    kernel[0, 4] = kernel[1, 3] = kernel[2, 2] = 1.0
    kernel[4, [0, 4]] = kernel[3, [1, 3]] = [0.25, 0.75]
    start = np.array([0.0, 0.2, 0.25, 0.3, 0.25])
    chain = solvers.Elimination(kernel, masses=start)
    assert chain.label.tolist() == [0, 1, 2, 1, 0]
    np.testing.assert_allclose(chain.masses(start), [0.25, 0.5, 0.25], rtol=4e-16)
    np.testing.assert_allclose(chain.law(start), [0.05, 0.1, 0.25, 0.4, 0.2], rtol=4e-16)


def test_a_deviation_solves_its_equation_and_moves_no_mass_between_classes():
    rng = np.random.default_rng(3)
    kernel = np.zeros((70, 70))
    kernel[:30, :30], kernel[30:60, 30:60] = (rng.dirichlet(np.full(30, 0.3), size=30) for _ in range(2))
    kernel[60:] = rng.dirichlet(np.full(70, 0.3), size=10)
    start = rng.dirichlet(np.ones(70))
    chain = solvers.Elimination(kernel)
    law = chain.law(start)
    found = chain.deviation(start @ kernel - start)
    # both are exact to rounding of some 70 terms below 1: these chains mix at once
    np.testing.assert_allclose(found, law - start, rtol=0, atol=1e-14)
    np.testing.assert_allclose(chain.masses(found), 0.0, rtol=0, atol=1e-14)


def test_a_class_may_begin_with_a_state_that_has_next_to_no_mass():
    tiny = 1e-200
    kernel = np.array([[0.0, 1.0, 0.0], [tiny, 1.0 - tiny, 0.0], [0.0, 0.0, 1.0]])
    kernel = np.array([[0.0, 1.0, 0.0], [tiny, 1.0, tiny], [0.0, tiny**0.5, 1.0]])
    # mass of 2 is tiny / tiny^(1/2) of that of 1, and of 0 tiny
    for places in itertools.permutations(range(3)):
        found = solvers.Elimination(kernel[np.ix_(places, places)]).law(np.full(3, 1.0 / 3.0))
        np.testing.assert_allclose(found, np.array([tiny, 1.0, tiny**0.5])[list(places)], rtol=1e-15, atol=0)


def test_rounding_that_joins_no_states_joins_no_classes():
    kernel = np.array([[1.0, 1e-17], [1e-300, 1.0]])
    assert solvers.Elimination(kernel).classes == 1
    apart = solvers.Elimination(kernel, np.eye(2, dtype=bool))
    np.testing.assert_array_equal(apart.law(np.array([0.25, 0.75])), [0.25, 0.75])
