"""Constants are exact or bounds, the contraction bound bounds, and the Jacobian is the derivative of PMA."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.references import CURVED_LINKS, FAMILY_PARAMETERS, all_games, curved_game, family_game, random_policy

from pma_mfg import equilibrium, games, jacobian, operators
from pma_mfg.games import Features
from pma_mfg.regularizers import Entropy, Quadratic
from pma_mfg.theory import invariant_sets, lipschitz

GAMES = all_games()
NAMES = ("K_mu", "K_s", "K_a", "L_mu", "L_s", "L_a")
CERTIFIED = {
    "n_states": 4,
    "n_actions": 2,
    "discount": 0.5,
    "K_mu": 0.1,
    "K_s": 0.3,
    "K_a": 0.2,
    "L_mu": 0.01,
    "L_s": 0.01,
    "L_a": 0.01,
}


def observed_ratios(game, mean_fields):
    """Return the largest ratio seen for each constant, loop by loop over mean fields, states and actions."""
    states, actions = game.n_states, game.n_actions
    seen = dict.fromkeys((*NAMES, "delta"), 0.0)

    def see(name, ratio):
        seen[name] = max(seen[name], float(ratio))

    for mu, nu in zip(mean_fields, np.roll(mean_fields, 1, axis=0), strict=True):
        P, R = game.transition(mu), game.reward(mu)
        distance = np.abs(mu - nu).sum()
        see("K_mu", np.abs(P - game.transition(nu)).sum(axis=2).max() / distance)
        see("L_mu", np.abs(R - game.reward(nu)).max() / distance)
        for s, a, t in np.ndindex(states, actions, states):
            see("K_s", np.abs(P[s, a] - P[t, a]).sum())
            see("L_s", abs(R[s, a] - R[t, a]))
            see("delta", 0.5 * np.abs(P[s, a] - P[t]).sum(axis=1).max())
        for s, a, b in np.ndindex(states, actions, actions):
            see("K_a", np.abs(P[s, a] - P[s, b]).sum())
            see("L_a", abs(R[s, a] - R[s, b]))
    return seen


def mean_fields_of(game, seed, count=30):
    """Return random mean fields between vertices: every vertex has every other as a neighbour."""
    size = game.n_states
    vertices = np.array([e for i in range(size) for j in range(i) for e in (np.eye(size)[i], np.eye(size)[j])])
    inside = np.random.default_rng(seed).dirichlet(np.full(size, 0.5), size=count)
    near = inside + 1e-4 * (np.roll(inside, 1, axis=0) - inside)
    # a vertex, a close pair, ... and all pairs of vertices as neighbours
    return np.vstack([vertices.reshape(-1, size), np.stack([inside, near], axis=1).reshape(-1, size)])


# --- constants


@pytest.mark.parametrize("name", GAMES)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=5)
def test_no_pair_of_mean_fields_states_or_actions_beats_the_constants(name, seed):
    game = GAMES[name]
    constants = lipschitz.constants(game)
    for key, ratio in observed_ratios(game, mean_fields_of(game, seed)).items():
        # rounding 1e-16 over pairs of mean fields that are 1e-4 of a random distance apart
        assert ratio <= getattr(constants, key) + 1e-10, key


@pytest.mark.parametrize("family", FAMILY_PARAMETERS)
@pytest.mark.parametrize("seed", range(3))
def test_constants_of_games_with_affine_links_are_exact(family, seed):
    game = family_game(family, seed=seed)
    constants = lipschitz.constants(game)
    exact = family != "planted_kinked"
    assert constants.kind["K_mu"] == "exact"  # the transitions of every family are affine
    assert constants.kind["L_mu"] == ("exact" if exact else "upper bound")
    seen = observed_ratios(game, mean_fields_of(game, seed))
    for key, ratio in seen.items():
        if exact or key in ("K_mu", "K_s", "K_a", "delta"):
            # rounding 1e-16 over pairs of mean fields that are 1e-4 of a random distance apart
            assert ratio == pytest.approx(getattr(constants, key), abs=1e-10), key


@pytest.mark.parametrize("link", CURVED_LINKS)
@pytest.mark.parametrize("seed", range(3))
def test_bounds_of_games_with_curved_links_are_of_the_right_size(link, seed):
    game = curved_game(link, seed)
    constants = lipschitz.constants(game)
    assert set(constants.kind.values()) == {"upper bound"}
    for key, ratio in observed_ratios(game, mean_fields_of(game, seed)).items():
        # two features that peak at different mean fields: a bound that was ten times too large would be a mistake
        assert getattr(constants, key) <= 10 * ratio, key


def test_the_constants_of_a_square_root_at_zero_are_infinite():
    game = curved_game("power")
    rooted = replace(
        game,
        reward_terms=np.ones((1, 4, 3)),
        reward_features=Features.build([[1.0, 0.0, 0.0, 0.0]], 0.0, "power", parameter=0.5),
    )
    tiny = np.array([1e-12, 1 - 1e-12, 0, 0])
    change = np.abs(rooted.reward(tiny) - rooted.reward(np.array([0.0, 1.0, 0, 0]))).max()
    assert change / 2e-12 > 1e5  # the ratio has no bound
    assert lipschitz.constants(rooted).L_mu == np.inf


@pytest.mark.parametrize("name", GAMES)
def test_derived_constants_follow_from_the_six(name):
    c, gamma = lipschitz.constants(GAMES[name]), GAMES[name].discount
    # the same products in the same double precision, up to a few roundings
    assert c.L_pop == pytest.approx(c.K_mu + c.delta, rel=1e-14)
    assert c.L_h == pytest.approx(c.L_a + gamma * c.K_a * c.L_s / (2 - gamma * c.K_s), rel=1e-14)
    assert 0 <= c.delta <= min(1.0, (c.K_s + c.K_a) / 2) + 1e-14


@pytest.mark.parametrize("name", GAMES)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_the_population_update_is_lipschitz_with_the_stated_constants(name, seed):
    game = GAMES[name]
    c = lipschitz.constants(game)
    rng = np.random.default_rng(seed)
    mu, nu = rng.dirichlet(np.full(game.n_states, 0.5), size=2)
    policy, other = random_policy(game, seed, 0.5), random_policy(game, seed + 1, 0.5)
    # rounding of sums
    moved = np.abs(operators.population_update(game, mu, policy) - operators.population_update(game, nu, policy)).sum()
    assert moved <= c.L_pop * np.abs(mu - nu).sum() + 1e-14
    moved = np.abs(operators.population_update(game, mu, policy) - operators.population_update(game, mu, other)).sum()
    assert moved <= 0.5 * c.K_a * operators.policy_distance(policy, other) + 1e-14


@pytest.mark.parametrize("name", [name for name in GAMES if lipschitz.constants(GAMES[name]).L_pop < 1])
@given(seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_the_stable_population_is_lipschitz_with_the_stated_constant(name, seed):
    game = GAMES[name]
    bound = lipschitz.contraction_bound(game, Entropy(1.0), 1.0).stable_population
    policy, other = random_policy(game, seed, 0.3), random_policy(game, seed + 1, 0.3)
    moved = np.abs(operators.stable_population(game, policy) - operators.stable_population(game, other)).sum()
    # each is known to 1e-13 / (1 - L_pop)
    assert moved <= bound * operators.policy_distance(policy, other) + 1e-11


@pytest.mark.parametrize("name", GAMES)
def test_rows_are_compared_as_one_by_one_however_many_at_a_time(name, monkeypatch):
    game = GAMES[name].dense("test")
    least = np.full(game.n_states, 0.1 / game.n_actions)
    vertices = invariant_sets.vertices_above(np.full(game.n_states, 0.2 / game.n_states))
    weighted = [(lipschitz.reward_rows(game, least), 1.0), (lipschitz.transition_rows(game), 0.3)]
    found = [lipschitz.row_distances(rows, vertices) for rows, _ in weighted]
    found.append(invariant_sets.row_spread(weighted, vertices))
    # row by row: the l1 distance with affine features on the vertices, others in the middle of their ranges, and so on
    for rows, distances in zip((rows for rows, _ in weighted), found, strict=False):
        base, terms, features = rows
        affine, (low, high) = features.links == 0, features.ranges(vertices)
        for i, j in np.ndindex(distances.shape):
            apart, changes = base[j] - base[i], terms[:, j] - terms[:, i]
            phi = np.where(affine, features.values(vertices), 0.5 * (low + high))
            expected = max(np.abs(apart + one @ changes).sum() for one in phi)
            expected += (0.5 * (high - low) * np.abs(changes).sum(axis=1))[~affine].sum()
            assert distances[i, j] == pytest.approx(expected, rel=1e-12, abs=1e-14)
    for i in range(len(found[-1])):
        alone = [((base, terms - terms[:, [i]], features), weight) for (base, terms, features), weight in weighted]
        total = sum(weight * lipschitz.steepness(rows, vertices) for rows, weight in alone)
        np.testing.assert_array_equal(found[-1][i], total.max(axis=0, initial=0.0))
    monkeypatch.setattr(lipschitz, "COMPARED", 1)
    for rows, distances in zip((rows for rows, _ in weighted), found, strict=False):
        np.testing.assert_array_equal(lipschitz.row_distances(rows, vertices), distances)
    np.testing.assert_array_equal(invariant_sets.row_spread(weighted, vertices), found[-1])


def test_some_games_satisfy_the_assumption_on_the_stable_population():
    assert sum(lipschitz.constants(game).L_pop < 1 for game in GAMES.values()) >= 3


@pytest.mark.parametrize("regularizer", [Entropy(0.2), Quadratic(0.2), Entropy(2.0)], ids=str)
@pytest.mark.parametrize("name", GAMES)
def test_an_optimal_regularized_policy_lies_above_the_floor(name, regularizer):
    game = GAMES[name]
    floor = lipschitz.policy_floor(game, regularizer)
    for mean_field in np.random.default_rng(0).dirichlet(np.full(game.n_states, 0.5), size=5):
        policy = equilibrium.best_response(
            game.transition(mean_field), game.reward(mean_field), game.discount, regularizer=regularizer
        )
        assert (regularizer.value(policy) >= floor - 1e-12).all()  # rounding of h


# --- the contraction bound


def policies_above(floor, regularizer, game, rng, count):
    """Return policies above the floor, each state's somewhere on a random ray from the uniform distribution."""
    uniform = operators.uniform_policy(game)
    found = []
    for _ in range(count):
        end = rng.dirichlet(np.full(game.n_actions, 0.3), size=game.n_states)
        low, high = np.zeros((game.n_states, 1)), np.ones((game.n_states, 1))
        for _ in range(60):
            middle = 0.5 * (low + high)
            inside = (regularizer.value(uniform + middle * (end - uniform)) >= floor)[:, None]
            low, high = np.where(inside, middle, low), np.where(inside, high, middle)
        found.append(uniform + low * rng.uniform(size=(game.n_states, 1)) * (end - uniform))
    return found


def test_the_contraction_bound_of_the_certified_game_has_its_known_value():
    bound = lipschitz.contraction_bound(games.make("affine", seed=0, **CERTIFIED), Entropy(1.0), 1.0)
    assert bound.L_gamma == pytest.approx(0.65, abs=0.01)  # the value that the design documents state, to two digits


@pytest.mark.parametrize("step_size", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("seed", range(3))
def test_no_pair_of_policies_beats_the_contraction_bound(seed, step_size):
    game, regularizer = games.make("affine", seed=seed, **CERTIFIED), Entropy(1.0)
    bound = lipschitz.contraction_bound(game, regularizer, step_size)
    floor = lipschitz.policy_floor(game, regularizer)
    assert bound.L_gamma < 1
    rng = np.random.default_rng(seed)
    policies = policies_above(floor, regularizer, game, rng, 30)
    updated = [
        operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer, floor=floor)
        for policy in policies
    ]
    ratios = [
        np.linalg.norm(updated[i] - updated[j], axis=1).max() / np.linalg.norm(policies[i] - policies[j], axis=1).max()
        for i in range(30)
        for j in range(i)
    ]
    assert max(ratios) <= bound.L_gamma
    # the strong concavity alone would give 1 / (1 + eta rho) if q stood still: the search sees at least half of that
    assert max(ratios) > 0.5 / (1 + step_size * regularizer.rho)


@pytest.mark.parametrize("seed", range(3))
def test_no_pair_of_policies_beats_the_constants_of_q(seed):
    game, regularizer = games.make("affine", seed=seed, **(CERTIFIED | {"L_mu": 0.3, "L_s": 0.2})), Entropy(1.0)
    bound = lipschitz.contraction_bound(game, regularizer, 1.0)
    floor = lipschitz.policy_floor(game, regularizer)
    rng = np.random.default_rng(seed)
    mean_fields = rng.dirichlet(np.full(4, 0.5), size=20)
    policies = policies_above(floor, regularizer, game, rng, 20)
    for (mu, nu), (policy, other) in zip(
        zip(mean_fields, mean_fields[::-1], strict=True), zip(policies, policies[::-1], strict=True), strict=True
    ):
        q = operators.q_values(game, policy, mu, regularizer=regularizer)
        moved = np.abs(q - operators.q_values(game, policy, nu, regularizer=regularizer)).max()
        assert moved <= bound.q_mean_field * np.abs(mu - nu).sum() + 1e-14  # rounding of q
        moved = np.abs(q - operators.q_values(game, other, mu, regularizer=regularizer)).max()
        assert moved <= bound.q_policy * operators.policy_distance(policy, other) + 1e-14
        value = operators.state_values(game, policy, mu, regularizer=regularizer)
        assert value.max() - value.min() <= bound.value_span + 1e-14


@pytest.mark.parametrize(("step_size", "steps"), [(0.3, 150), (1.0, 60), (30.0, 25)])
def test_pma_converges_from_every_start_in_a_certified_game(step_size, steps):
    # the bound is 0.84, 0.65 and 0.33 per step: 2 bound^steps < 1e-10
    game, regularizer = games.make("affine", seed=0, **CERTIFIED), Entropy(1.0)
    solution = equilibrium.solve(game, regularizer).policy
    starts = [
        np.eye(2)[[0, 1, 0, 1]],
        np.array([1 - 1e-9, 1e-9]) * np.ones((4, 1)),
        *(random_policy(game, seed, 0.2) for seed in range(3)),
    ]
    for policy in starts:
        for _ in range(steps):
            policy = operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer)
        assert operators.policy_distance(policy, solution) < 1e-9


def test_the_contraction_bound_is_infinite_without_its_assumptions():
    game = family_game("affine", K_mu=1.0, K_s=1.5, K_a=1.5)
    assert lipschitz.constants(game).L_pop >= 1
    bound = lipschitz.contraction_bound(game, Entropy(0.1), 1.0)
    assert bound.stable_population == bound.L_theta == bound.L_gamma == np.inf


def test_with_one_action_there_is_nothing_to_contract():
    bound = lipschitz.contraction_bound(family_game("affine", n_actions=1), Entropy(1.0), 1.0)
    assert (bound.L_theta, bound.L_gamma) == (0.0, 0.5)


# --- the Jacobian


def jacobian_by_differences(game, policy, step_size, regularizer, mirror="euclidean", step=1e-5):
    basis = jacobian.tangent_basis(game.n_actions)
    columns = []
    for s in range(game.n_states):
        for direction in basis:
            change = np.zeros_like(policy)
            change[s] = step * direction
            ahead, behind = (
                operators.policy_mirror_ascent(game, moved, step_size, regularizer=regularizer, mirror=mirror)
                for moved in (policy + change, policy - change)
            )
            difference = ahead - behind
            columns.append((difference @ basis.T).ravel() / (2 * step))
    return np.array(columns).T


@pytest.mark.parametrize(
    ("step_size", "mirror"), [(0.3, "euclidean"), (10.0, "euclidean"), (np.inf, "euclidean"), (0.3, "kl"), (10.0, "kl")]
)
@pytest.mark.parametrize("regularizer", [Entropy(0.5), Quadratic(0.15), Quadratic(4.0)], ids=str)
@pytest.mark.parametrize("name", GAMES)
def test_the_jacobian_is_the_limit_of_differences(name, regularizer, step_size, mirror):
    game = GAMES[name]
    tested = 0
    for seed in range(4):
        policy = 0.9 * random_policy(game, seed, 5.0) + 0.1 / game.n_actions
        updated = operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer, mirror=mirror)
        if mirror == "euclidean" and ((updated > 0) & (updated < 1e-3)).any():
            continue  # the support of the quadratic's projection is about to change
        exact = jacobian.jacobian(game, policy, step_size, regularizer=regularizer, mirror=mirror)
        differences = jacobian_by_differences(game, policy, step_size, regularizer, mirror)
        # step^2 times a relative third derivative below 1e3, and rounding 1e-14 / 1e-5
        assert np.abs(exact - differences).max() <= 1e-6 * max(np.abs(exact).max(), 1e-3)
        tested += 1
        if tested == 2:  # of 225 games, regularizers and steps
            return
    assert tested == 1


def test_the_jacobian_is_tested_where_the_support_is_smaller_than_the_simplex():
    game = GAMES["affine"]
    policy = 0.9 * random_policy(game, 0, 5.0) + 0.1 / game.n_actions
    assert (operators.policy_mirror_ascent(game, policy, np.inf, regularizer=Quadratic(0.15)) == 0).any()
    assert (operators.policy_mirror_ascent(game, policy, np.inf, regularizer=Quadratic(4.0)) > 0).all()


@pytest.mark.parametrize("step_size", [1.0, 8.0])
def test_the_spectral_radius_at_the_equilibrium_is_the_rate_of_pma(step_size):
    game, regularizer = family_game("crowd_averse"), Entropy(0.5)
    solution = equilibrium.solve(game, regularizer).policy
    radius = jacobian.spectral_radius(jacobian.jacobian(game, solution, step_size, regularizer=regularizer))
    policy, distances = random_policy(game, 0), []
    while not distances or distances[-1] > 1e-9:
        policy = operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer)
        distances.append(operators.policy_distance(policy, solution))
    late = [distance for distance in distances if distance < 1e-4]
    rate = (late[-1] / late[0]) ** (1 / (len(late) - 1))
    assert len(late) >= 8
    assert rate == pytest.approx(radius, rel=0.02)  # the share of other eigenvalues, gone below distances of 1e-4


def equilibrium_of_a_random_game(seed, regularizer):
    game = family_game("affine", seed=seed) if seed % 2 else family_game("crowd_averse", seed=seed, coupling=4.0)
    found = equilibrium.solve(game, regularizer)
    # one best response: tiny probabilities are then known to their last digits
    return game, operators.best_response_step(game, found.policy, regularizer)


@pytest.mark.parametrize("step_size", [0.1, 2.0, 30.0, 1e4])
@pytest.mark.parametrize("seed", range(6))
def test_entropy_with_kl_maps_each_eigenvalue_of_the_best_response_by_the_formula(seed, step_size):
    tau = 0.2
    game, policy = equilibrium_of_a_random_game(seed, Entropy(tau))
    best = jacobian.jacobian(game, policy, np.inf, regularizer=Entropy(tau))
    found = jacobian.jacobian(game, policy, step_size, regularizer=Entropy(tau), mirror="kl")
    # the matrices agree, hence so do the eigenvalues; entries up to 10, the equilibrium known to 1e-12
    expected = (np.eye(len(best)) + step_size * tau * best) / (1 + step_size * tau)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("mirror", ["euclidean", "kl"])
@pytest.mark.parametrize("regularizer", [Entropy(0.3), Quadratic(4.0)], ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_the_jacobian_at_an_equilibrium_is_a_weighted_mean_of_identity_and_best_response(seed, regularizer, mirror):
    game, policy = equilibrium_of_a_random_game(seed, regularizer)
    assert (policy > 1e-6).all()  # the proposition is about interior equilibria
    basis, count = jacobian.tangent_basis(game.n_actions), game.n_actions - 1
    H, G = (np.zeros((game.n_states * count, game.n_states * count)) for _ in range(2))
    for s in range(game.n_states):
        block = slice(s * count, (s + 1) * count)
        H[block, block] = basis @ np.diag(regularizer.curvature(policy[s])) @ basis.T
        G[block, block] = basis @ np.diag(1.0 / policy[s] if mirror == "kl" else np.ones(game.n_actions)) @ basis.T
    best = jacobian.jacobian(game, policy, np.inf, regularizer=regularizer)
    for step_size in (0.2, 5.0, 200.0):
        expected = np.linalg.solve(H + G / step_size, H @ best + G / step_size)
        found = jacobian.jacobian(game, policy, step_size, regularizer=regularizer, mirror=mirror)
        # solves with a condition number up to max / min probability, 1e3
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_the_tangent_basis_is_orthonormal_and_sums_to_zero():
    for actions in (1, 2, 5):
        basis = jacobian.tangent_basis(actions)
        assert basis.shape == (actions - 1, actions)
        # rounding of square roots
        np.testing.assert_allclose(basis @ basis.T, np.eye(actions - 1), rtol=0, atol=1e-14)
        np.testing.assert_allclose(basis.sum(axis=1), 0.0, rtol=0, atol=1e-14)


def test_the_spectral_radius_is_the_largest_modulus():
    assert jacobian.spectral_radius(np.array([[0.0, -2.0], [2.0, 0.0]])) == pytest.approx(2.0, rel=1e-14)  # rounding
    assert jacobian.spectral_radius(np.zeros((0, 0))) == 0.0
