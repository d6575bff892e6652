"""The N-agent game on the lattice of counts against brute force over all joint states, and limits in N."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, combine_pvalues, f
from tests.references import (
    CURVED_LINKS,
    all_games,
    curved_game,
    deviators_gain,
    family_game,
    joint_learning_limit,
    random_policy,
    sparse_copy,
)
from tests.statistical import Level, of_means

from pma_mfg import equilibrium, games, jacobian, operators, seeds, solvers
from pma_mfg.errors import InputError
from pma_mfg.games import MeanFieldGame
from pma_mfg.games.model import MOST_LUMPED_STATES, n_lumped_states
from pma_mfg.populations import counts, deviators, finite_population, fluctuations, gap_constants, lattice
from pma_mfg.regularizers import Entropy, Quadratic, Regularizer
from pma_mfg.simulation import exchangeable as simulation
from pma_replication.experiments.populations import measure as populations_measure

ENTROPY = Entropy(0.1)
#: Families, curved links and numbers of states, at sizes where all joint states can be visited.
SMALL = {
    "affine": (family_game("affine", n_states=2, n_actions=2), 5),
    "planted smooth": (family_game("planted_smooth", n_states=3, n_actions=2), 4),
    "planted kinked": (family_game("planted_kinked", n_states=3, n_actions=2), 3),
    "crowd averse": (family_game("crowd_averse", n_states=4, n_actions=2), 3),
    "coordination": (family_game("coordination", n_states=2), 4),
    **{f"link {link}": (curved_game(link, n_states=3, n_actions=2), 3) for link in CURVED_LINKS},
}


def pair(family: str, n_states: int = 2) -> MeanFieldGame:
    return games.make(family, n_states=n_states, n_actions=2, discount=0.6, seed=3, strength=0.1)


@pytest.mark.parametrize("name", SMALL)
def test_limit_of_learning_is_that_of_all_joint_states(name: str) -> None:
    game, n_agents = SMALL[name]
    policy = random_policy(game, 1)
    expected = joint_learning_limit(game, policy, n_agents, ENTROPY.value(policy))
    found = finite_population.learning_limit(game, policy, n_agents, regularizer=ENTROPY)
    # a stationary law to 1e-13, on values below 10
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-11)


@pytest.mark.parametrize("name", ["affine", "planted smooth", "planted kinked", "crowd averse", "link log"])
@pytest.mark.parametrize("regularizer", [None, ENTROPY, Quadratic(0.3)])
def test_nash_gap_is_that_of_value_iteration_over_joint_states(name: str, regularizer: Regularizer | None) -> None:
    game, n_agents = SMALL[name]
    policy = random_policy(game, 1)
    expected = deviators_gain(game, policy, min(n_agents, 3), regularizer)
    found = deviators.nash_gap(game, policy, min(n_agents, 3), regularizer=regularizer)
    # value iteration in the reference stops at 1e-11
    assert found == pytest.approx(expected, abs=1e-9)
    assert found > 0.0


@pytest.mark.parametrize(("n_states", "n_agents"), [(1, 4), (2, 9), (3, 7), (4, 6), (5, 4)])
def test_lattice_holds_every_count_once_and_finds_its_neighbours(n_states: int, n_agents: int) -> None:
    points = lattice.points(n_agents, n_states)
    assert len({tuple(point) for point in points}) == len(points) == lattice.n_points(n_agents, n_states)
    assert (points.sum(axis=1) == n_agents).all()
    below = lattice.points_below(points)
    for y in range(n_states - 1):
        some = points[:, y + 1] > 0
        moved = points[some].copy()
        moved[:, y + 1] -= 1
        moved[:, 0] += 1
        np.testing.assert_array_equal(points[below[some, y]], moved)
        assert (below[~some, y] == len(points)).all()


@pytest.mark.parametrize("n_agents", [300, 5000])
def test_rows_in_windows_are_convolutions_of_binomials(n_agents: int) -> None:
    columns = np.arange(n_agents + 1)
    starts = np.stack([n_agents - columns, columns], axis=1)[:: n_agents // 7]
    kernels = np.broadcast_to([[0.7, 0.3], [0.1, 0.9]], (len(starts), 2, 2))
    found = lattice.Rows(lattice.points(n_agents, 2), columns)(starts, np.ascontiguousarray(kernels))
    for (left, right), row in zip(starts, found, strict=True):
        expected = np.convolve(binom.pmf(range(left + 1), left, 0.3), binom.pmf(range(right + 1), right, 0.9))
        # rounding to the power N: 1e-16 N, spread over some hundred points; scipy's binomials have 1e-13
        np.testing.assert_allclose(row, expected, rtol=0.0, atol=1e-13)


def test_rows_of_four_states_are_the_same_in_blocks_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    points = lattice.points(6, 4)
    rows = lattice.Rows(points, np.arange(len(points)))
    kernels = np.random.default_rng(0).dirichlet(np.ones(4), size=(len(points), 4))
    whole = rows(points, kernels)
    monkeypatch.setattr(lattice, "PRODUCTS", 1)
    np.testing.assert_array_equal(rows(points, kernels), whole)


@pytest.mark.parametrize(("n_states", "n_agents", "whole"), [(2, 3000, 500), (3, 48, 300), (4, 16, 900)])
def test_restricted_lattice_gives_the_limit_of_the_whole_one(
    n_states: int, n_agents: int, whole: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = pair("planted_smooth", n_states)
    assert game.planted is not None
    monkeypatch.setattr(finite_population, "WHOLE", 10**6)
    expected = finite_population.learning_limit(game, game.planted.policy, n_agents, regularizer=ENTROPY)
    monkeypatch.setattr(finite_population, "WHOLE", whole)
    law = finite_population.stationary_counts(game, game.planted.policy, n_agents)
    # all of so small a tetrahedron matters; its rows still come anew at every application below
    assert (len(law.counts) < lattice.n_points(n_agents, n_states)) == (n_states < 4)
    assert law.lost <= finite_population.LOST_MASS
    monkeypatch.setattr(finite_population, "MEMORY", 0)  # rows are computed at every application
    found = finite_population.learning_limit(game, game.planted.policy, n_agents, regularizer=ENTROPY)
    # docs/theory, section 9.6: a few times the mass lost per step, over 1 - L_pop and 1 - gamma
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=1e-11)


def test_sparse_game_has_the_limit_and_the_gap_of_its_dense_copy() -> None:
    for name in ("affine", "planted_kinked", "crowd_averse"):
        game = all_games()[name]
        policy = random_policy(game, 1)
        for solve in (finite_population.learning_limit, deviators.nash_gap):
            # the same tables after `dense`: bitwise but for the order of sums
            np.testing.assert_allclose(
                solve(sparse_copy(game), policy, 4, regularizer=ENTROPY),
                solve(game, policy, 4, regularizer=ENTROPY),
                atol=1e-11,
            )


@pytest.mark.parametrize("n_states", [2, 3])
def test_bias_has_its_constant_in_the_limit(n_states: int) -> None:
    game = pair("planted_smooth", n_states)
    assert game.planted is not None
    policy = game.planted.policy
    truth = operators.q_values(game, policy, game.planted.mean_field, regularizer=ENTROPY)
    constant = fluctuations.smooth_bias(game, policy, ENTROPY)
    few, many = ((finite_population.learning_limit(game, policy, n, regularizer=ENTROPY) - truth) * n for n in (40, 80))
    # Richardson: what is left of the expansion c + d/N + e/N^2 is of order 1/N^2; the second term is larger
    assert np.abs(2.0 * many - few - constant).max() < 1e-4 * np.abs(constant).max()
    assert np.abs(many - constant).max() > 1e-3 * np.abs(constant).max()


def test_bias_of_curved_transitions_and_rewards_has_its_constant() -> None:
    for link in ("log", "power"):
        game = curved_game(link, n_states=2, n_actions=2)
        policy = random_policy(game, 2)
        truth = operators.q_values(game, policy, operators.stable_population(game, policy), regularizer=ENTROPY)
        constant = fluctuations.smooth_bias(game, policy, ENTROPY)
        few, many = (
            (finite_population.learning_limit(game, policy, n, regularizer=ENTROPY) - truth) * n for n in (400, 800)
        )
        assert np.abs(2.0 * many - few - constant).max() < 1e-3 * np.abs(constant).max()


def test_kinked_bias_has_its_constant_in_the_limit() -> None:
    game = pair("planted_kinked")
    assert game.planted is not None
    policy = game.planted.policy
    truth = operators.q_values(game, policy, game.planted.mean_field, regularizer=ENTROPY)
    constant = fluctuations.kinked_bias(game, policy)
    errors = [
        np.abs(
            (finite_population.learning_limit(game, policy, n, regularizer=ENTROPY) - truth) * np.sqrt(n) - constant
        ).max()
        for n in (50, 800)
    ]
    # docs/theory, section 9.5: relative corrections of order 1/sqrt(N)
    assert errors[1] < 0.6 * errors[0]
    assert errors[1] < 0.01 * np.abs(constant).max()
    assert np.abs(fluctuations.kinked_bias(pair("planted_smooth"), policy)).max() == 0.0


@pytest.mark.parametrize("family", ["planted_smooth", "planted_kinked"])
@pytest.mark.parametrize(("regularizer", "order"), [(ENTROPY, 1.0), (None, 0.5)])
def test_nash_gap_has_its_order_and_its_constant(family: str, regularizer: Regularizer | None, order: float) -> None:
    game = pair(family)
    assert game.planted is not None
    policy = game.planted.policy
    if regularizer is None:
        game = deviators.indifferent_game(game, policy, ENTROPY)
    constant = gap_constants.two_state_gap_constant(game, policy, regularizer)
    errors = [
        abs(deviators.nash_gap(game, policy, n, regularizer=regularizer) * n**order / constant - 1.0)
        for n in (200, 3200)
    ]
    # docs/theory, section 9.8: relative corrections of order 1/sqrt(N) or smaller, 1/4 between the two; the grid has
    # 1e-4
    assert errors[1] < 0.01
    assert errors[1] < 0.4 * errors[0] + 2e-4


@pytest.mark.parametrize("n_states", [2, 3])
def test_constant_of_the_regularized_gap_agrees_for_every_number_of_states(n_states: int) -> None:
    game = pair("planted_smooth", n_states)
    assert game.planted is not None
    constant = gap_constants.regularized_gap_constant(game, game.planted.policy, ENTROPY)
    gap = deviators.nash_gap(game, game.planted.policy, 40, regularizer=ENTROPY) * 40
    assert gap == pytest.approx(constant, rel=0.02)  # corrections of order 1/N
    if n_states == 2:
        other = gap_constants.two_state_gap_constant(game, game.planted.policy, ENTROPY)
        assert other == pytest.approx(constant, rel=1e-6)  # of a Gaussian, summed on a grid


@pytest.mark.parametrize("regularizer", [ENTROPY, Quadratic(3.0)])
def test_indifferent_game_keeps_values_and_makes_actions_equal(regularizer: Regularizer) -> None:
    game = family_game("affine")
    policy = equilibrium.solve(game, regularizer).policy
    assert policy.min() > 0.0
    mean_field = operators.stable_population(game, policy)
    indifferent = deviators.indifferent_game(game, policy, regularizer)
    q = operators.q_values(indifferent, policy, mean_field)
    value = operators.state_values(game, policy, mean_field, regularizer=regularizer)
    np.testing.assert_allclose(q, np.broadcast_to(value[:, None], q.shape), atol=1e-9)  # the equilibrium's accuracy


def test_limit_of_the_policy_does_not_depend_on_the_step_size_and_tends_to_the_closed_form() -> None:
    game = pair("planted_smooth", 3)
    assert game.planted is not None
    start = game.planted.policy
    small, large = (
        finite_population.policy_limit(game, 12, ENTROPY, step_size=eta, start=start) for eta in (2.0, 20.0)
    )
    np.testing.assert_allclose(small, large, atol=1e-8)  # each to 1e-10, over 1 - rate
    errors = []
    for n_agents in (12, 24):
        exact = finite_population.policy_limit(game, n_agents, ENTROPY, step_size=5.0, start=start)
        closed = fluctuations.large_population_policy(game, n_agents, ENTROPY, step_size=5.0, start=start)
        errors.append(operators.policy_distance(exact, closed))
    assert errors[1] < 0.35 * errors[0]  # order 1/N^2


def crowded_rooms() -> games.Game:
    """Return six rooms on a ring, which people leave the more the fuller theirs is: strongly coupled by a logarithm."""
    moves = np.full((6, 3, 6), 0.15 / 6)
    for room, action in np.ndindex(6, 3):
        moves[room, action, (room + action - 1) % 6] += 0.85
    music = np.array([0.0, 0.3, 0.1, 0.0, 0.2, 0.5])
    return games.from_functions(
        lambda mu: moves, lambda mu: np.tile((music - np.log(mu + 0.02))[:, None], 3), 0.9, n_states=6
    )


@pytest.mark.parametrize("relative", [0.02, 0.005])
@pytest.mark.parametrize("n_agents", [2, 4])
def test_slow_limits_of_the_policy_are_found_in_as_many_solutions_as_predicted(
    relative: float, n_agents: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    game, regularizer = crowded_rooms().with_features("test"), Entropy(0.2)
    start = equilibrium.solve(game, regularizer).policy
    step_size = relative / regularizer.rho
    rate = jacobian.spectral_radius(jacobian.jacobian(game, start, step_size, regularizer=regularizer))
    solutions, solve = [], finite_population._law_and_chain
    monkeypatch.setattr(finite_population, "_law_and_chain", lambda *args: solutions.append(1) or solve(*args))
    limit = finite_population.policy_limit(game, n_agents, regularizer, step_size=step_size, start=start)
    plain = np.log(1e-10) / np.log(rate)
    expected = fluctuations.expected_iterations(rate, 1e-10)
    assert expected < plain / 4.0  # else nothing is tested
    assert expected / 3.0 <= len(solutions) <= expected * 3.0
    # it rests: with no acceleration
    q = finite_population.learning_limit(game, limit, n_agents, regularizer=regularizer)
    moved = operators.mirror_ascent_step(q, limit, step_size, regularizer=regularizer)
    assert operators.policy_distance(moved, limit) <= 1e-10
    far = operators.best_response_step(game, start, regularizer)
    assert operators.policy_distance(limit, far) > 1e-3  # and is not the equilibrium


@pytest.mark.parametrize("n_agents", [2, 6])
def test_fast_limits_of_the_policy_are_iterated_plainly_in_as_many_solutions_as_predicted(n_agents: int) -> None:
    game = pair("planted_smooth", 3)
    assert game.planted is not None
    start, step_size = game.planted.policy, 0.5 / ENTROPY.rho
    limit = finite_population.policy_limit(game, n_agents, ENTROPY, step_size=step_size, start=start)
    rate = jacobian.spectral_radius(jacobian.jacobian(game, start, step_size, regularizer=ENTROPY))
    policy, count = start, 0
    while True:
        q = finite_population.learning_limit(game, policy, n_agents, regularizer=ENTROPY)
        before, count = policy, count + 1
        policy = operators.mirror_ascent_step(q, policy, step_size, regularizer=ENTROPY)
        if operators.policy_distance(policy, before) <= 1e-10:
            break
    assert np.array_equal(limit, policy)  # to the last bit, since tables of the replication are made of it
    expected = fluctuations.expected_iterations(rate, 1e-10)
    assert expected / 3.0 <= count <= expected * 3.0


@pytest.mark.parametrize(
    ("n_states", "n_agents", "states"), [(2, 100_001, 200_002), (3, 365, 200_385), (5, 30, 204_600)]
)
def test_too_many_states_are_refused_by_number(n_states: int, n_agents: int, states: int) -> None:
    game = family_game("affine", n_states=n_states)
    with pytest.raises(InputError, match=f"n_agents: got .*{states} states.* at most 200000"):
        finite_population.learning_limit(game, random_policy(game, 0), n_agents, regularizer=ENTROPY)
    with pytest.raises(InputError, match="integer from 2"):
        deviators.nash_gap(game, random_policy(game, 0), 1)


@pytest.mark.statistical(false_alarm=1e-6, power=0.999, against="the mean field's Q in place of that of N agents")
def test_simulation_agrees_with_the_exact_limit(level: Level) -> None:
    """20 pairs of a game and N, each one projection of Q against 24 replicates."""
    drawn = {name: game for name, game in all_games().items() if name != "link power"}
    pairs = [(name, game, n) for name, game in drawn.items() for n in (2, 6)] + [
        (f"pair {family}", pair(family), n) for family in ("planted_smooth", "planted_kinked") for n in (10, 60)
    ]
    assert len(pairs) >= 20
    limits, infinite, simulated = [], [], []
    for name, game, n_agents in pairs:
        policy = random_policy(game, 4)
        direction = seeds.generator(0, "direction", name, n_agents).normal(size=policy.shape)
        centre = operators.stable_population(game, policy)
        limits.append((direction * finite_population.learning_limit(game, policy, n_agents, regularizer=ENTROPY)).sum())
        infinite.append((direction * operators.q_values(game, policy, centre, regularizer=ENTROPY)).sum())
        simulated.append([])
        for replicate in range(24):
            rng = seeds.generator(0, "test agreement", name, n_agents, replicate)
            found = simulation.ergodic_averages(
                game, policy, n_agents, n_steps=3000, rng=rng, n_burn_in=300, centre=centre
            )
            process = fluctuations.decision_process(game, found.transition_features, found.reward_features)
            q = operators.q_of_decision_process(*process, game.discount, policy=policy, regularizer=ENTROPY)
            simulated[-1].append((direction * q).sum())
    samples = np.transpose(simulated)
    level.means(samples, limits, planted=infinite, share=0.5)
    # many small errors, by the product of the p-values (Fisher)
    level.accept(combine_pvalues(of_means(samples, limits)).pvalue, share=0.5)


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="a bias off by 30 %")
@pytest.mark.parametrize("family", ["planted_smooth", "planted_kinked"])
def test_measured_bias_is_as_precise_for_a_billion_agents_as_for_a_hundred(family: str, level: Level) -> None:
    game = pair(family, 3)
    assert game.planted is not None
    policy, centre = game.planted.policy, game.planted.mean_field
    truth = operators.q_values(game, policy, centre, regularizer=ENTROPY)
    precisions = []
    for n_agents in (100, 10**9):
        predicted = fluctuations.large_population_q(game, policy, n_agents, regularizer=ENTROPY) - truth
        ratios = []
        for replicate in range(16):
            rng = seeds.generator(0, "precision", family, n_agents, replicate)
            averages = simulation.ergodic_averages(
                game, policy, n_agents, n_steps=5000, rng=rng, n_burn_in=500, centre=centre
            )
            bias = fluctuations.measured_q(game, policy, ENTROPY, averages=averages) - truth
            ratios.append(float((bias * predicted).sum() / (predicted**2).sum()))
        precisions.append(np.var(ratios, ddof=1))
        # higher orders at N = 100 are below 2 %
        level.means(np.reshape(ratios, (-1, 1)), 1.0, 0.02 if n_agents == 100 else 0.0, planted=1.3, share=1 / 3)
    # a variance of at most twice the other's, by the F statistic
    level.accept(f.sf(precisions[1] / (2.0 * precisions[0]), 15, 15), share=1 / 3)


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="the closed form for many agents, of order 1/N")
def test_measured_limit_is_unbiased_for_curved_features_and_few_agents(level: Level) -> None:
    game, n_agents = SMALL["link log"]
    policy = random_policy(game, 1)
    exact = finite_population.learning_limit(game, policy, n_agents, regularizer=ENTROPY)
    centre = operators.stable_population(game, policy)
    found = []
    for replicate in range(24):
        rng = seeds.generator(0, "curved", replicate)
        averages = simulation.ergodic_averages(
            game, policy, n_agents, n_steps=5000, rng=rng, n_burn_in=500, centre=centre
        )
        found.append(fluctuations.measured_q(game, policy, ENTROPY, averages=averages))
    level.means(found, exact, planted=fluctuations.large_population_q(game, policy, n_agents, regularizer=ENTROPY))


def test_the_states_of_an_agent_and_the_others_are_counted_and_beyond_all_use_at_least_told_to_be_many() -> None:
    for n_states in (1, 2, 3, 7, 30):
        for n_agents in (2, 3, 5, 15):
            expected = n_states * lattice.n_points(n_agents - 1, n_states)
            assert n_lumped_states(n_states, n_agents) == expected
    for n_states, n_agents in ((22, 22), (10**6, 10**15)):
        assert n_lumped_states(n_states, n_agents) > 10**11 > MOST_LUMPED_STATES


# --- states that are left for good


def infection() -> MeanFieldGame:
    """Return a disease that is caught from others only, and got over."""
    base = np.zeros((2, 1, 2))
    base[0, 0, 0], base[1, 0] = 1.0, [0.3, 0.7]
    terms = np.zeros((1, 2, 1, 2))
    terms[0, 0, 0] = [-0.8, 0.8]
    return MeanFieldGame(
        discount=0.9,
        base_transition=base,
        base_reward=np.zeros((2, 1)),
        transition_terms=terms,
        transition_features=games.Features.build([[0.0, 1.0]], [0.0]),
        reward_terms=np.zeros((0, 2, 1)),
        reward_features=games.Features.none(2),
    )


@pytest.mark.parametrize("n_agents", [2, 50, 1000])
def test_a_disease_that_dies_out_has_no_limit_of_learning_and_that_is_said(n_agents: int) -> None:
    game, policy = infection(), np.ones((2, 1))
    # with infinitely many agents it stays: 0.8 mu(0) mu(1) = 0.3 mu(1)
    assert operators.stable_population(game, policy)[1] == pytest.approx(1.0 - 0.3 / 0.8, rel=1e-14)
    assert counts.never_visited(game, policy, n_agents).tolist() == [1]
    for limit in (finite_population.learning_limit, deviators.nash_gap):
        with pytest.raises(InputError, match=f"n_agents: got {n_agents}, of whom none is in state 1 in the long run"):
            limit(game, policy, n_agents, regularizer=ENTROPY)


def test_more_states_than_patterns_are_examined_for_are_told_by_the_law_itself() -> None:
    # the disease of `infection` in one of eleven places, the other ten of which are alike
    n_states = counts.PATTERN_STATES + 1
    base = np.full((n_states, 1, n_states), 1.0 / (n_states - 1))
    base[:, :, -1] = 0.0
    base[-1] = [*np.full(n_states - 1, 0.3 / (n_states - 1)), 0.7]
    terms = np.zeros((1, n_states, 1, n_states))
    terms[0, :-1, 0] = [*np.full(n_states - 1, -0.8 / (n_states - 1)), 0.8]
    game = MeanFieldGame(
        discount=0.9,
        base_transition=base,
        base_reward=np.zeros((n_states, 1)),
        transition_terms=terms,
        transition_features=games.Features.build(np.eye(n_states)[[-1]], [0.0]),
        reward_terms=np.zeros((0, n_states, 1)),
        reward_features=games.Features.none(n_states),
    )
    policy = np.ones((n_states, 1))
    for n_agents in (2, 4):
        with pytest.raises(InputError, match=f"n_agents: got {n_agents}, of whom none is in state 10 in the long run"):
            finite_population.learning_limit(game, policy, n_agents, regularizer=ENTROPY)


def test_the_simulated_bias_of_a_disease_that_dies_out_is_refused() -> None:
    # a simulation cannot tell a state that was left for good from a rare one
    with pytest.raises(
        InputError, match="n_agents: got 4, of whom none was in state 1 in 2,000 steps, expected more steps"
    ):
        populations_measure.finite_population_bias(
            infection(),
            ENTROPY,
            np.ones((2, 1)),
            name="infection",
            populations=[4],
            n_steps=2000,
            n_replicates=1,
            seed=0,
        )


@pytest.mark.parametrize("seed", range(40))
def test_states_left_for_good_are_those_outside_all_recurrent_classes_of_the_counts(seed: int) -> None:
    rng, n_states, n_agents = np.random.default_rng(seed), 3, 3
    # sparse rows, and others that a crowd in one state leads to
    rows = rng.dirichlet(np.ones(n_states), size=(2, n_states)) * (rng.random((2, n_states, n_states)) < 0.4)
    rows[:, np.arange(n_states), rng.integers(0, n_states, size=n_states)] += 0.1
    rows /= rows.sum(axis=2, keepdims=True)
    rates = rng.random(n_states) < 0.7
    game = MeanFieldGame(
        discount=0.5,
        base_transition=rows[0][:, None],
        base_reward=np.zeros((n_states, 1)),
        transition_terms=(rates[:, None] * (rows[1] - rows[0]))[None, :, None],
        transition_features=games.Features.build(np.eye(n_states)[[rng.integers(n_states)]], [0.0]),
        reward_terms=np.zeros((0, n_states, 1)),
        reward_features=games.Features.none(n_states),
    )
    points = lattice.points(n_agents, n_states)
    kernels = np.array([operators.policy_kernel(game.transition(n / n_agents), np.ones((3, 1))) for n in points])
    chain = lattice.Rows(points, np.arange(len(points)))(points, kernels)
    recurrent = np.concatenate(operators.recurrent_classes(chain))
    expected = np.flatnonzero((points[recurrent] == 0).all(axis=0))
    assert counts.never_visited(game, np.ones((3, 1)), n_agents).tolist() == expected.tolist()


# --- how far the law of the counts may be off


def habits(slope: float, centre: float, low: float, high: float) -> MeanFieldGame:
    """Return two habits: the second is taken up with the chance 1/2 + slope (share - centre), cut at low and high."""
    # clip(t, low, high) = (low + high + |t - low| - |t - high|) / 2
    base, terms = np.zeros((2, 1, 2)), np.zeros((2, 2, 1, 2))
    base[:, 0] = [1.0 - 0.5 * (low + high), 0.5 * (low + high)]
    terms[0, :, 0], terms[1, :, 0] = [-0.5, 0.5], [0.5, -0.5]
    offsets = 0.5 - slope * centre - np.array([low, high])
    return MeanFieldGame(
        discount=0.9,
        base_transition=base,
        base_reward=np.zeros((2, 1)),
        transition_terms=terms,
        transition_features=games.Features.build([[0.0, slope]] * 2, offsets, "absolute"),
        reward_terms=np.zeros((0, 2, 1)),
        reward_features=games.Features.none(2),
    )


def eliminated(chain: np.ndarray) -> np.ndarray:
    """Return the stationary law by elimination without subtractions, which loses no digits however slow the chain."""
    chain, size = chain.copy(), len(chain)
    for k in range(size - 1, 0, -1):
        chain[:k, k] /= chain[k, :k].sum()
        chain[:k, :k] += np.outer(chain[:k, k], chain[k, :k])
    law = np.ones(size)
    for k in range(1, size):
        law[k] = law[:k] @ chain[:k, k]
    return law / law.sum()


@pytest.mark.parametrize(
    ("slope", "centre", "low", "high", "n_agents", "least_error"),
    # habits that nobody keeps; two conventions that are left now and then; seldom; and never within any run, where the
    # law found is that of the convention next to the start and the law itself that of the other one
    [
        (0.5, 0.5, 0.1, 0.9, 30, 0.0),
        (3.0, 0.5, 0.1, 0.9, 12, 0.0),
        (3.0, 0.46, 0.02, 0.85, 30, 1e-8),
        (3.0, 0.46, 0.02, 0.85, 80, 1.0),
    ],
)
def test_a_law_of_the_counts_is_no_further_off_than_is_said_and_where_that_is_much_a_warning_says_so(
    slope: float,
    centre: float,
    low: float,
    high: float,
    n_agents: int,
    least_error: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    law = finite_population.stationary_counts(habits(slope, centre, low, high), np.ones((2, 1)), n_agents)
    shares = np.arange(n_agents + 1) / n_agents
    chances = np.clip(0.5 + slope * (shares - centre), low, high)
    chain = binom.pmf(np.arange(n_agents + 1), n_agents, chances[:, None])
    found = law.probabilities[np.argsort(law.counts[:, 1])]
    assert np.abs(found @ chain - found).sum() < 1e-12
    error = np.abs(found - eliminated(chain)).sum()
    assert least_error <= error <= law.error
    assert (law.error > finite_population.COUNTS_ERROR) == (least_error > 0.0)
    assert ("warning: the counts of" in caplog.text) == (least_error > 0.0)


def test_the_slowest_change_of_agents_who_move_on_their_own_is_that_of_one_of_them() -> None:
    # shares are an eigenvector of the chain of counts, to the second eigenvalue of the chain of one: 1 - 3e-6
    kernel = np.array([[1.0 - 1e-6, 1e-6], [2e-6, 1.0 - 2e-6]])
    counts = np.arange(21)
    chain = np.array(
        [
            np.convolve(binom.pmf(counts[: 21 - n], 20 - n, 1e-6), binom.pmf(counts[: n + 1], n, 1.0 - 2e-6))
            for n in counts
        ]
    )
    law = binom.pmf(counts, 20, 1.0 / 3.0)
    slowest = solvers.slowest_change(lambda x: x @ chain, law, law * (counts - 20 / 3.0), iterations=3)
    assert slowest == pytest.approx(3e-6, rel=1e-6)
    assert np.linalg.eigvals(kernel).min() == pytest.approx(1.0 - 3e-6, rel=1e-12)


def test_a_curved_link_away_from_its_kink_has_the_constant_of_smooth_games() -> None:
    game = games.make(
        "planted_coupled",
        n_states=2,
        n_actions=2,
        discount=0.8,
        seed=0,
        strength=0.1,
        best_response_radius=1.5,
        channel="dynamics",
        link="power",
    )
    assert game.planted is not None
    found = gap_constants.two_state_gap_constant(game, game.planted.policy, ENTROPY)
    smooth = gap_constants.regularized_gap_constant(game, game.planted.policy, ENTROPY)
    assert found == pytest.approx(smooth, rel=1e-6)  # of a Gaussian, summed on a grid
