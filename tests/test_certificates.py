"""Certificates of contraction: sets that PMA keeps, constants that no pair beats, convergence where it is certified."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import curved_game, family_game, frozen_game
from scipy.special import expit

from pma_mfg import equilibrium, games, jacobian, operators
from pma_mfg.games import Features, MeanFieldGame
from pma_mfg.regularizers import Entropy, Quadratic
from pma_mfg.theory import attraction, certificates, invariant_sets, lipschitz

GAMES = {
    "affine": family_game("affine"),
    "smooth": family_game("planted_smooth"),
    "kinked": family_game("planted_kinked"),
    "crowd": family_game("crowd_averse", coupling=0.2),
    "two actions": family_game("affine", n_actions=2, seed=5),
    "log": curved_game("log"),
    "power": curved_game("power"),
}
SETTINGS = [
    (Entropy(0.4), "euclidean"),
    (Entropy(3.0), "euclidean"),
    (Quadratic(2.0), "euclidean"),
    (Quadratic(20.0), "euclidean"),
    (Entropy(0.4), "kl"),
    (Entropy(3.0), "kl"),
]
STEPS = (0.3, 3.0, np.inf)  # in units of 1 / rho


@cache
def invariant(name, regularizer, mirror):
    return invariant_sets.invariant_set(GAMES[name], regularizer, mirror)


def policies_in(found, regularizer, mirror, game, seed, count=12):
    """Return policies of the set: corners, edges and random points inside."""
    rng = np.random.default_rng(seed)
    states, actions = game.n_states, game.n_actions
    policies = []
    for _ in range(count):
        if mirror == "kl":
            corner = rng.integers(2, size=(states, actions)) * found.q_span[:, None] / regularizer.strength
            x = rng.choice([1.0, rng.uniform()]) * corner
            policy = np.exp(x - x.max(axis=1, keepdims=True))
        else:
            spread = [
                invariant_sets._spread_out(*bounds, actions) for bounds in zip(found.least, found.most, strict=True)
            ]
            policy = np.array([rng.permutation(row) for row in spread])
            inside = np.minimum(1.0, found.difference / np.maximum(np.ptp(policy, axis=1), 1e-300))
            policy = 1 / actions + rng.choice([1.0, rng.uniform()]) * inside[:, None] * (policy - 1 / actions)
        policies.append(policy / policy.sum(axis=1, keepdims=True))
    return policies


def outside(found, regularizer, mirror, policy):
    """Return by how much a policy violates the set."""
    difference = np.ptp(policy, axis=1) - found.difference
    excess = [found.least - policy.min(axis=1), policy.max(axis=1) - found.most, difference]
    if mirror == "kl":
        excess.append(np.ptp(np.log(policy), axis=1) - found.q_span / regularizer.strength)
    return np.max(excess)


# --- the invariant set


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize(("regularizer", "mirror"), SETTINGS, ids=str)
def test_policies_of_the_set_have_the_stated_values_and_stay_in_it(name, regularizer, mirror):
    game, found = GAMES[name], invariant(name, regularizer, mirror)
    policies = policies_in(found, regularizer, mirror, game, seed=1)
    slopes = [regularizer.gradient(policy) for policy in policies]
    for policy in policies:
        assert outside(found, regularizer, mirror, policy) < 1e-12
        mean_field = operators.stable_population(game, policy)
        q = operators.q_values(game, policy, mean_field, regularizer)
        assert (np.ptp(q, axis=1) <= found.q_span + 1e-12).all()
        assert (mean_field >= found.least_mean_field - 1e-12).all()
        assert np.ptp(operators.state_values(game, policy, mean_field, regularizer)) <= found.value_span + 1e-12
        for slope in slopes:
            assert (np.ptp(q + slope, axis=1) <= found.gap + 1e-9).all()
        for step in STEPS:
            updated = operators.mirror_ascent_step(q, policy, step / regularizer.rho, regularizer, mirror=mirror)
            assert outside(found, regularizer, mirror, updated) < 1e-9, step


def set_of_one_state(span, regularizer, n_actions, mirror):
    """Return the set that steps with sp(q) <= span keep, and a game of its shape."""
    bounds = invariant_sets.policy_set(np.array([span]), regularizer, n_actions, mirror)
    zero = np.zeros(1)
    found = invariant_sets.InvariantSet(*bounds, np.array([span]), zero, zero, 0.0, zero, 0.0, 0.0, zero, 0.0)
    return found, frozen_game(np.ones((1, n_actions, 1)), np.zeros((1, n_actions)), 0.0)


@pytest.mark.parametrize("kind", [Entropy, Quadratic])
@pytest.mark.parametrize("mirror", ["euclidean", "kl"])
@given(seed=st.integers(0, 10**6), n_actions=st.integers(2, 6), span=st.floats(0.01, 30), step=st.floats(0.01, 100))
@settings(max_examples=60, deadline=None)
def test_a_step_with_a_bounded_q_keeps_the_set(kind, mirror, seed, n_actions, span, step):
    """The worst q of a given span is one of two values per action; steps from corners of the set try to leave it."""
    regularizer = kind(1.0)
    rng = np.random.default_rng(seed)
    found, game = set_of_one_state(span, regularizer, n_actions, mirror)
    for policy in policies_in(found, regularizer, mirror, game, seed, count=8):
        q = span * rng.integers(2, size=(1, n_actions)).astype(float)
        updated = regularizer.proximal_step(q, policy, step, mirror=mirror)
        if mirror == "kl" and kind is Quadratic:
            assert (found.least == 0).all()
            assert (found.most == 1).all()
        else:
            assert outside(found, regularizer, mirror, updated) < 1e-9


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize(("regularizer", "mirror"), SETTINGS, ids=str)
def test_the_set_holds_the_uniform_policy_and_the_equilibrium(name, regularizer, mirror):
    game, found = GAMES[name], invariant(name, regularizer, mirror)
    policy = equilibrium.solve(game, regularizer).policy
    assert outside(found, regularizer, mirror, operators.uniform_policy(game)) <= 1e-12
    assert outside(found, regularizer, mirror, policy) <= 1e-9


@given(
    seed=st.integers(0, 10**6),
    n_actions=st.integers(2, 6),
    room=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 1)),
)
@settings(max_examples=80, deadline=None)
def test_no_distribution_within_the_bounds_has_a_lower_value(seed, n_actions, room):
    least, most = room[0] / n_actions, 1 / n_actions + room[1] * (1 - 1 / n_actions)
    difference = room[2]
    rng = np.random.default_rng(seed)
    u = rng.dirichlet(np.full(n_actions, rng.choice([0.05, 0.5, 2.0])), size=300)
    u = u[(u.min(axis=1) >= least) & (u.max(axis=1) <= most) & (np.ptp(u, axis=1) <= difference)]
    for regularizer in (Entropy(1.0), Quadratic(1.0)):
        lowest = invariant_sets._lowest(regularizer, least, most, difference, n_actions)
        assert (regularizer.value(u) >= lowest - 1e-12).all()


# --- the certificate


def distances(norm, weights, regularizer, first, second):
    """Return the distance of two policies in a certificate's norm."""
    if norm == "log-span":
        rows = regularizer.strength * np.ptp(np.log(first) - np.log(second), axis=1)
    else:
        rows = np.linalg.norm(first - second, ord=int(norm[1]), axis=1)
    return (rows / weights).max()


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize(("regularizer", "mirror"), SETTINGS, ids=str)
@pytest.mark.parametrize("step", STEPS)
def test_no_pair_of_policies_beats_the_certificate(name, regularizer, mirror, step):
    game, found = GAMES[name], invariant(name, regularizer, mirror)
    eta = step / regularizer.rho
    certified = certificates.certificate(game, regularizer, eta, mirror)
    policies = policies_in(found, regularizer, mirror, game, seed=2)
    policies += [p + 1e-3 * (policies[0] - p) for p in policies[1:6]]  # W is convex; for KL not exactly, yet within
    policies = [p for p in policies if outside(found, regularizer, mirror, p) <= 1e-12]
    updated = [operators.policy_mirror_ascent(game, p, eta, regularizer, mirror=mirror) for p in policies]
    worst = 0.0
    for i in range(len(policies)):
        for j in range(i):
            apart = distances(certified.norm, certified.weights, regularizer, policies[i], policies[j])
            if apart > 1e-6:
                moved = distances(certified.norm, certified.weights, regularizer, updated[i], updated[j])
                worst = max(worst, moved / apart)
    assert worst > 0
    assert worst <= certified.L_gamma + 1e-8


@pytest.mark.parametrize(("kind", "mirror"), [(Entropy, "euclidean"), (Entropy, "kl"), (Quadratic, "euclidean")])
@given(seed=st.integers(0, 10**6), n_actions=st.integers(2, 5), step=st.floats(0.01, 100))
@settings(max_examples=60, deadline=None)
def test_one_step_is_lipschitz_in_every_norm_used(kind, mirror, seed, n_actions, step):
    regularizer, rng = kind(0.7), np.random.default_rng(seed)
    span = rng.uniform(0.1, 5.0)
    found, game = set_of_one_state(span, regularizer, n_actions, mirror)
    first, second = policies_in(found, regularizer, mirror, game, seed, count=2)
    q = span * rng.uniform(size=(2, 1, n_actions))
    q[1] = q[0] + rng.choice([1.0, 1e-3]) * (q[1] - q[0])
    u, v = (regularizer.proximal_step(*x, step, mirror=mirror) for x in ((q[0], first), (q[1], second)))
    change = np.ptp(q[0] - q[1], axis=1)
    for norm, bound in certificates.steps(found, regularizer, step, mirror, n_actions).items():
        before, after = (np.atleast_1d(distances(norm, 1.0, regularizer, *pair)) for pair in ((first, second), (u, v)))
        assert (after <= bound(before, change) + 1e-10).all(), norm


@pytest.mark.parametrize("name", ["affine", "smooth", "kinked", "two actions", "log"])
@pytest.mark.parametrize("mirror", ["euclidean", "kl"])
def test_where_it_is_certified_pma_reaches_the_one_equilibrium_at_the_certified_rate(name, mirror):
    game, regularizer = GAMES[name], Entropy(3.0)
    solution = equilibrium.solve(game, regularizer).policy
    found = invariant(name, regularizer, mirror)
    for step in STEPS:
        eta = step / regularizer.rho
        certified = certificates.certificate(game, regularizer, eta, mirror)
        assert certified.L_gamma < 1
        radius = jacobian.spectral_radius(jacobian.jacobian(game, solution, eta, regularizer, mirror))
        assert radius <= certified.L_gamma
        for policy in policies_in(found, regularizer, mirror, game, seed=4, count=4):
            before = distances(certified.norm, certified.weights, regularizer, policy, solution)
            for _ in range(5):
                policy = operators.policy_mirror_ascent(game, policy, eta, regularizer, mirror=mirror)
                after = distances(certified.norm, certified.weights, regularizer, policy, solution)
                assert after <= certified.L_gamma * before + 1e-11  # the equilibrium is known to 1e-12
                before = after


def smallest(certifies):
    """Return the smallest strength of a grid of factor 2 that is certified, with all larger ones."""
    strength = 1e6
    while strength > 1e-4 and certifies(strength / 2):
        strength /= 2
    return strength


@pytest.mark.parametrize("name", ["affine", "smooth", "two actions"])
def test_games_are_certified_at_a_hundredth_of_the_strength_that_the_theory_asks_for(name):
    game = GAMES[name]
    theory = smallest(lambda tau: lipschitz.contraction_bound(game, Entropy(tau), 1.0 / tau).L_gamma < 1)
    ours = smallest(lambda tau: certificates.certificate(game, Entropy(tau), 1.0 / tau).L_gamma < 1)
    assert ours < theory / 100


@pytest.mark.parametrize("kind", [Entropy, Quadratic])
def test_a_coordination_game_is_certified_wherever_the_theory_certifies_it_and_far_below(kind):
    """From all policies no invariant set would be found: the span of h grows with its strength."""
    game = games.make("coordination", n_states=3, discount=0.9, attraction=1.0)
    theory = smallest(lambda rho: lipschitz.contraction_bound(game, kind(rho), 1.0 / rho).L_gamma < 1)
    ours = smallest(lambda rho: certificates.certificate(game, kind(rho), 1.0 / rho).L_gamma < 1)
    assert theory < 1e4
    assert ours < theory / 100
    # the best response has the eigenvalue 0.9 * 0.9^2 / curvature: nothing can be certified where it exceeds 1
    assert kind(ours).curvature(np.full(1, 1 / 3))[0] > 0.9 * 0.9**2


def test_nothing_is_certified_where_nothing_is_known():
    assert certificates.certificate(GAMES["affine"], Quadratic(50.0), 1.0, "kl").L_gamma == np.inf
    wild = games.make("affine", n_states=4, n_actions=3, discount=0.9, seed=1, K_mu=2.0, K_s=2.0, K_a=2.0)
    assert lipschitz.constants(wild).L_pop >= 1
    assert certificates.certificate(wild, Entropy(0.01), 1.0).L_gamma >= 1


def small_game(base, reward, discount, *, transition=None, reward_change=None):
    """Return a game of two states and actions from its rows; changes are (terms, features)."""
    terms, features = transition or (np.zeros((0, 2, 2, 2)), Features.none(2))
    own_terms, own_features = reward_change or (np.zeros((0, 2, 2)), Features.none(2))
    base, reward = np.asarray(base, dtype=float), np.asarray(reward, dtype=float)
    return MeanFieldGame(discount, base, reward, terms, features, own_terms, own_features)


def two_populations(slope):
    """P(1|0,a,mu) = a mu(1), P(0|1,.) = 0.7: staying in state 0 is stable, and so is going on. R(0,1) = slope mu(1)."""
    base = np.array([[[1, 0], [1, 0]], [[0.7, 0.3], [0.7, 0.3]]])
    terms = np.array([[[[0, 0], [-1, 1]], [[0, 0], [0, 0]]]], dtype=float)
    in_one = Features.build([[0.0, 1.0]])
    own = (np.array([[[0.0, slope], [0.0, 0.0]]]), in_one)
    return small_game(base, [[-0.5, 0.5], [0, 0]], 0.0, transition=(terms, in_one), reward_change=own)


# --- games that attain the bounds: a bound that were a few percent smaller would be beaten

NEAR = 1e-4  # of the way between two policies of a pair; what is quadratic in it is lost


def two_rooms(slip, discount, reward, reward_change=None):
    """States 0 and 1 keep an agent with probability (1 + slip)/2; in state 2 the action picks one of their rows."""
    rooms = np.array([[1 + slip, 1 - slip, 0], [1 - slip, 1 + slip, 0]]) / 2
    base = np.stack([np.stack([row, row]) for row in rooms] + [rooms])
    own_terms, own_features = reward_change or (np.zeros((0, 3, 2)), Features.none(3))
    terms, features = np.zeros((0, *base.shape)), Features.none(3)
    return MeanFieldGame(discount, base, np.asarray(reward, float), terms, features, own_terms, own_features)


def pair_near_corners(found, signs):
    """Return two policies, one at the corners of the set with the signs given and one slightly inside, or vice versa.

    In states with an even index the first policy is at the corner, in the others the second.
    """
    most = expit(found.q_span)  # a corner: the log-odds are the span
    corner = np.where(np.asarray(signs) > 0, most, 1 - most)
    inside = corner + NEAR * (0.5 - corner)
    even = np.arange(len(corner)) % 2 == 0
    first, second = np.where(even, corner, inside), np.where(even, inside, corner)
    return np.stack([first, 1 - first], axis=1), np.stack([second, 1 - second], axis=1)


def change_of_q(game, first, second):
    q = [operators.q_values(game, p, operators.stable_population(game, p), Entropy(1.0)) for p in (first, second)]
    return np.ptp(q[0] - q[1], axis=1)


@pytest.mark.parametrize(("slip", "discount"), [(0.3, 0.9), (0.8, 0.5)])
def test_a_game_attains_the_bound_on_how_values_move_q(slip, discount):
    """Policies that fight the reward lose it all when they give in: gap, delta, discount and steering at once."""
    game = two_rooms(slip, discount, [[0, 1], [0, 1], [0, 0]])
    found = invariant_sets.invariant_set(game, Entropy(1.0), "kl")
    np.testing.assert_allclose(found.gap[:2], 2.0, rtol=1e-9)
    first, second = pair_near_corners(found, [1, 1, 1])
    first[2] = second[2] = 0.5
    bound = certificates._change_between(game, found, np.abs(first - second).sum(axis=1))[2]
    assert 0.999 * bound <= change_of_q(game, first, second)[2] <= bound * (1 + 1e-9)  # rounding


@pytest.mark.parametrize("steering", [0.2, 0.8])
def test_a_game_attains_the_bound_on_how_populations_move_q(steering):
    """The action decides the next state; in each state the policy holds on to it, or in both it lets go."""
    rows = np.array([[1 + steering, 1 - steering], [1 - steering, 1 + steering]]) / 2
    own = (np.array([[[0, 1.0], [0, 0]]]), Features.build([[1.0, 0.0]]))
    game = small_game(np.stack([rows, rows]), [[0, 0], [1, 0]], 0.0, reward_change=own)
    found = invariant_sets.invariant_set(game, Entropy(1.0), "kl")
    corner = np.array([expit(found.q_span[0]), expit(-found.q_span[1])])
    # equal l1 moves in both states, in one direction
    first, second = (np.stack([p, 1 - p], axis=1) for p in (corner, corner - NEAR * np.array([1.0, 1.0])))
    bound = certificates._change_between(game, found, np.abs(first - second).sum(axis=1))[0]
    assert 0.999 * bound <= change_of_q(game, first, second)[0] <= bound * (1 + 1e-9)


def test_a_game_attains_the_bound_on_the_loss_around_an_equilibrium():
    """State 0 alone leaves the equilibrium, where both actions are equally good: its loss is the divergence."""
    own = (np.array([[[0, 1.0], [0, 0], [0, 0]]]), Features.build([[1.0, 0.0, 0.0]], -0.5))
    game = two_rooms(0.4, 0.9, np.zeros((3, 2)), own)
    regularizer = Entropy(1.0)
    uniform = operators.uniform_policy(game)
    np.testing.assert_allclose(equilibrium.solve(game, regularizer).policy, uniform, rtol=0, atol=1e-12)
    found = invariant_sets.invariant_set(game, regularizer, "kl")
    policy = uniform.copy()
    policy[0] = expit(0.05), expit(-0.05)
    assert found.q_span[0] > 0.1
    for norm, distance in (("log-span", 0.05), ("l2", np.linalg.norm(policy[0] - 0.5)), ("l1", np.ptp(policy[0]))):
        mirror = "kl" if norm == "log-span" else "euclidean"
        compared = attraction._comparison(game, regularizer, found, uniform, mirror)
        for change in compared[norm][1:]:
            bound = change(np.array([distance, 0.0, 0.0]))[2]
            if norm == "log-span":
                assert 0.99 * bound <= change_of_q(game, policy, uniform)[2] <= bound
            else:  # the chi-square distance is twice the divergence
                assert 0.49 * bound <= change_of_q(game, policy, uniform)[2] <= bound


@pytest.mark.parametrize("n_actions", range(2, 6))
def test_distances_turn_into_l1_by_factors_that_are_attained(n_actions):
    regularizer = Entropy(0.7)
    # in logarithms: half of the probability rises against the other half
    half = np.arange(n_actions) < 1
    policy = np.where(half, 0.5, 0.5 / (n_actions - 1))
    moved = policy * np.exp(1e-3 * half)
    moved /= moved.sum()
    distance = regularizer.strength * np.ptp(np.log(moved / policy))
    factor = certificates._as_l1(np.ones(1), "log-span", regularizer, n_actions)[0]
    assert 0.999 * factor * distance <= np.abs(moved - policy).sum() <= factor * distance
    signs = np.where(np.arange(n_actions) < n_actions // 2, 1.0 / (n_actions // 2), -1.0 / (n_actions - n_actions // 2))
    factor = certificates._as_l1(np.ones(1), "l2", regularizer, n_actions)[0]
    assert np.abs(signs).sum() == pytest.approx(factor * np.linalg.norm(signs), rel=1e-14)


def test_a_game_almost_attains_the_bound_on_populations_around_an_equilibrium():
    rows = np.array([[1.1, 0.9], [0.9, 1.1]]) / 2
    own = (np.array([[[0, 1.0], [0, 0]]]), Features.build([[1.0, 0.0]], -0.5))
    game = small_game(np.stack([rows, rows]), np.zeros((2, 2)), 0.0, reward_change=own)
    uniform = operators.uniform_policy(game)
    found = invariant_sets.invariant_set(game, Entropy(1.0), "kl")
    free = attraction._comparison(game, Entropy(1.0), found, uniform, "kl")["log-span"][2]
    policy = np.stack([expit([0.01, 0.01]), expit([-0.01, -0.01])], axis=1)
    bound = free(np.array([0.01, 0.01]))[0]
    # L_pop, some 0.05 here, is the set's and not the equilibrium's
    assert 0.9 * bound <= change_of_q(game, policy, uniform)[0] <= bound


#: Games with several fixed points, or stable populations, that a careless bound would certify.
SEVERAL = {
    "every population is stable": small_game(
        np.repeat(np.eye(2)[:, None], 2, axis=1),
        np.zeros((2, 2)),
        0.5,
        reward_change=(np.array([[[0, 5.0], [0, 0]]]), Features.build([[1.0, 0.0]])),
    ),
    "two stable populations": two_populations(14.0),
    "two stable populations, almost the same policy": two_populations(1e-9),
    "a square root moves transitions, without discount": small_game(
        np.array([[[0.9, 0.1], [0.1, 0.9]]] * 2),
        np.array([[0, -6.0]] * 2),
        0.0,
        transition=(
            np.array([[[[-0.1, 0.1]] * 2] * 2]),
            Features.build([[1.0, 0.0]], -0.5, "power", 0.5),
        ),
        reward_change=(np.array([[[0, 12.0]] * 2]), Features.build([[0.0, 1.0]])),
    ),
}


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("mirror", ["euclidean", "kl"])
def test_games_with_several_equilibria_are_not_certified(name, mirror):
    game, regularizer = SEVERAL[name], Entropy(1.0)
    for step in STEPS:
        assert certificates.certificate(game, regularizer, step, mirror).L_gamma >= 1
    policy = operators.uniform_policy(game)
    assert (attraction.attraction(game, regularizer, STEPS, policy, mirror) == np.inf).all()
    assert not lipschitz.contraction_bound(game, regularizer, 1.0).L_gamma < 1


@pytest.mark.parametrize("mirror", ["euclidean", "kl"])
def test_attraction_ends_where_one_state_cannot_steer_and_the_other_does_not_contract(mirror):
    base = np.array([[[0.5, 0.5], [0.5, 0.5]], [[0.9, 0.1], [0.1, 0.9]]])
    own = (np.array([[[0, 0], [0, 20.0]]]), Features.build([[0.0, 1.0]]))
    game = small_game(base, [[0, 1], [0, -10]], 0.5, reward_change=own)
    solution = equilibrium.solve(game, Entropy(1.0)).policy
    assert (attraction.attraction(game, Entropy(1.0), [1.0], solution, mirror) == np.inf).all()


@pytest.mark.parametrize("mirror", ["euclidean", "kl"])
def test_a_game_without_rewards_is_attracted_to_the_uniform_policy(mirror):
    game = small_game(np.full((2, 2, 2), 0.5), np.zeros((2, 2)), 0.5)
    rates = attraction.attraction(game, Entropy(1.0), STEPS, operators.uniform_policy(game), mirror)
    for step, rate in zip(STEPS, rates, strict=True):
        assert 0 <= rate <= certificates.certificate(game, Entropy(1.0), step, mirror).L_gamma + 1e-6


@pytest.mark.parametrize("span", [1.0, 20.0, 36.6, 100.0, 600.0])
def test_the_least_probability_of_two_actions_keeps_its_digits(span):
    least, most, _ = invariant_sets.policy_set(np.array([span]), Entropy(1.0), 2, "euclidean")
    assert least[0] == pytest.approx(np.exp(-span) / (1 + np.exp(-span)), rel=1e-11)
    assert least[0] <= np.exp(-span) / (1 + np.exp(-span))
    assert most[0] == pytest.approx(1 / (1 + np.exp(-span)), rel=1e-15)


def test_the_distance_to_an_almost_deterministic_equilibrium_is_not_cut_short():
    """tau log pi* has the span of q, 1, where pi* itself underflows."""
    game = frozen_game(np.ones((1, 2, 1)), np.array([[0.0, 1.0]]), 0.0)
    regularizer = Entropy(1e-3)
    solution = operators.best_response_step(game, operators.uniform_policy(game), regularizer)
    assert solution.min() == 0
    found = invariant_sets.invariant_set(game, regularizer, "kl")
    start = attraction._comparison(game, regularizer, found, solution, "kl")["log-span"][0]
    assert start == pytest.approx(2.0, rel=1e-9)


def test_a_game_without_a_choice_contracts_at_once():
    game = family_game("affine", n_actions=1)
    assert certificates.certificate(game, Entropy(1.0), 1.0).L_gamma == 0
    assert attraction.attraction(game, Entropy(1.0), [1.0], operators.uniform_policy(game)) == [0]


# --- attraction to a computed equilibrium


@pytest.mark.parametrize("name", ["affine", "smooth", "kinked", "two actions", "crowd", "log"])
@pytest.mark.parametrize("mirror", ["euclidean", "kl"])
def test_attraction_is_finite_only_where_pma_converges_and_no_slower_than_stated(name, mirror):
    game = GAMES[name]
    finite = 0
    for strength in (0.1, 0.5, 3.0):
        regularizer = Entropy(strength)
        solution = equilibrium.solve(game, regularizer).policy
        etas = [step / strength for step in STEPS]
        for eta, rate in zip(etas, attraction.attraction(game, regularizer, etas, solution, mirror), strict=True):
            if rate < 1:
                finite += 1
                radius = jacobian.spectral_radius(jacobian.jacobian(game, solution, eta, regularizer, mirror))
                assert radius <= rate + 1e-9
                found = invariant_sets.invariant_set(game, regularizer, mirror)
                for policy in policies_in(found, regularizer, mirror, game, seed=5, count=2):
                    left = 300
                    while left and operators.policy_distance(policy, solution) > 1e-10:
                        policy = operators.policy_mirror_ascent(game, policy, eta, regularizer, mirror=mirror)
                        left -= 1
                    assert left
    assert finite > 0


@pytest.mark.parametrize("regularizer", [Quadratic(3.0), Quadratic(0.3)], ids=str)
def test_attraction_of_a_quadratic_game_holds_on_the_boundary_too(regularizer):
    game = GAMES["affine"]
    solution = equilibrium.solve(game, regularizer).policy
    (rate,) = attraction.attraction(game, regularizer, [1.0 / regularizer.rho], solution)
    radius = jacobian.spectral_radius(jacobian.jacobian(game, solution, 1.0 / regularizer.rho, regularizer))
    assert radius <= rate


@pytest.mark.parametrize("name", ["affine", "smooth", "two actions"])
def test_a_computed_equilibrium_certifies_more(name):
    game = GAMES[name]

    def attracted(strength):
        solution = equilibrium.solve(game, Entropy(strength)).policy
        return attraction.attraction(game, Entropy(strength), [1.0 / strength], solution, "kl")[0] < 1

    strengths = np.geomspace(0.02, 2.0, 15)
    ours = [s for s in strengths if certificates.certificate(game, Entropy(s), 1.0 / s, "kl").L_gamma < 1]
    assert min(s for s in strengths if attracted(s)) < min(ours)


# --- Assumptions 3 and 4


@given(seed=st.integers(0, 10**6), step=st.floats(0.05, 50))
@settings(max_examples=50, deadline=None)
def test_learning_keeps_every_action_at_the_stated_probability(seed, step):
    game, regularizer = family_game("affine", discount=0.3), Entropy(0.8)
    rng = np.random.default_rng(seed)
    least = invariant_sets.least_probability(game, regularizer, step)
    span = lipschitz.q_range(game, regularizer)
    policy = operators.uniform_policy(game)
    assert 0 < least < 1 / game.n_actions
    for _ in range(30):
        q = span * rng.integers(2, size=policy.shape)  # the worst estimates that fit
        policy = regularizer.proximal_step(q, policy, step)
        assert policy.min() >= least * (1 - 1e-12)


def test_states_are_reached_with_the_stated_probability():
    game = family_game("affine")
    rng = np.random.default_rng(0)
    n_steps, probability = lipschitz.mixing(game, 0.05)
    assert n_steps == 1
    assert probability > 0
    reached = []
    for _ in range(200):
        policy = 0.05 + (1 - 0.05 * game.n_actions) * np.eye(game.n_actions)[rng.integers(game.n_actions, size=4)]
        reached.append(operators.policy_kernel(game.transition(np.eye(4)[rng.integers(4)]), policy).min())
    assert min(reached) >= probability - 1e-15
    assert min(reached) == pytest.approx(probability, rel=1e-12)  # affine games attain it


def test_mixing_takes_as_many_steps_as_the_chain_needs():
    """From state s an agent may stay or go on to s + 1: after two steps all of a cycle of three has been reached."""
    cycle = np.zeros((3, 2, 3))
    cycle[:, 0, :] = np.eye(3)
    cycle[:, 1, :] = np.roll(np.eye(3), 1, axis=1)
    game = frozen_game(cycle, np.zeros((3, 2)), 0.5)
    # two moves at 0.1 each, or one move and one stay in either order, or two stays
    assert lipschitz.mixing(game, 0.1) == (2, pytest.approx(0.1**2, rel=1e-12))
    assert lipschitz.mixing(game, 0.0) == (5, 0.0)
    apart = np.zeros((2, 1, 2))
    apart[:, 0, :] = np.eye(2)
    assert lipschitz.mixing(frozen_game(apart, np.zeros((2, 1)), 0.5), 1.0) == (2, 0.0)


# --- PMA with a learned Q


NEARLY_TRIVIAL = {"discount": 0.5, "K_mu": 0.1, "K_s": 0.3, "K_a": 0.2, "L_mu": 0.01, "L_s": 0.02, "L_a": 0.05}


@pytest.mark.parametrize(("n_actions", "strength"), [(2, 0.05), (3, 0.1), (4, 1.0)])
def test_no_estimate_in_the_range_leads_out_of_the_noisy_set(n_actions, strength):
    game, regularizer = family_game("affine", n_actions=n_actions, **NEARLY_TRIVIAL), Entropy(strength)
    found, rng = invariant_sets.noisy_set(game, regularizer), np.random.default_rng(0)
    least, most = found.policies.least[0], found.policies.most[0]
    h_max = regularizer.value(np.full(n_actions, 1.0 / n_actions))
    rewards = [game.reward(vertex) for vertex in np.eye(game.n_states)]  # affine: extreme at the vertices
    policy, lowest = operators.uniform_policy(game), h_max
    for step in 10.0 ** rng.uniform(-2, 3, size=300) / strength:
        q = rng.choice([found.low, found.high], size=policy.shape)  # the worst estimates that fit
        policy = regularizer.proximal_step(q, policy, step)
        assert policy.min() >= least * (1 - 1e-12)
        assert policy.max() <= most * (1 + 1e-12)
        lowest = min(lowest, regularizer.value(policy).min())
    # the range holds every target of these policies, and is not much larger
    lower = np.min(rewards) + game.discount * (found.low + lowest)
    upper = np.max(rewards) + game.discount * (found.high + h_max)
    assert found.low - 1e-12 <= lower <= found.low + 0.3 * (found.high - found.low)
    assert upper == pytest.approx(found.high, rel=1e-12)
    assert game.discount * (found.high - found.low + h_max - lowest) <= found.target_span * (1 + 1e-9)


def test_stable_populations_of_the_noisy_set_are_above_its_floor():
    game, regularizer = family_game("affine", n_actions=2, **NEARLY_TRIVIAL), Entropy(0.05)
    found, rng = invariant_sets.noisy_set(game, regularizer).policies, np.random.default_rng(0)
    lowest = np.ones(game.n_states)
    for _ in range(100):
        extreme = np.where(rng.random((game.n_states, 1)) < 0.5, [[0.0, 1.0]], [[1.0, 0.0]])
        policy = found.least[:, None] + (1.0 - 2.0 * found.least[:, None]) * extreme
        lowest = np.minimum(lowest, operators.stable_population(game, policy))
    assert (lowest >= found.least_mean_field).all()
    assert (lowest <= 2.0 * found.least_mean_field).all()  # nor far above
    assert found.least_mean_field.min() > lipschitz.mixing(game, found.least.min())[1]


@pytest.mark.parametrize("relative_step", [0.5, 10.0])
@pytest.mark.parametrize("n_actions", [2, 3])
def test_noise_moves_pma_no_further_than_stated(n_actions, relative_step):
    game, regularizer = family_game("affine", n_actions=n_actions, **NEARLY_TRIVIAL), Entropy(0.1)
    noisy, rng, size = invariant_sets.noisy_set(game, regularizer), np.random.default_rng(0), 0.01
    step = relative_step / regularizer.strength
    rate, start, weight = certificates.noisy_contraction(game, regularizer, step, noisy)
    assert rate < 1.0
    target = equilibrium.solve(game, regularizer).policy
    policy = operators.uniform_policy(game)
    bound, worst = start, 0.0
    assert operators.policy_distance(policy, target) <= bound
    for _ in range(60):
        noise = rng.normal(size=policy.shape)
        noise *= size / np.linalg.norm(noise, axis=1, keepdims=True)
        q = operators.q_values(game, policy, operators.stable_population(game, policy), regularizer) + noise
        policy = operators.mirror_ascent_step(q, policy, step, regularizer)
        bound = rate * bound + weight * size
        worst = max(worst, operators.policy_distance(policy, target) / bound)
    assert 0.1 < worst <= 1.0
