"""Laws that every operator obeys for every input, checked on drawn games, policies and values (docs/theory.md, 2 to 8).

Where no tolerance but rounding is needed its size is stated: a sum of n terms of size m is known to some n EPS m, and a
maximizer to EPS times the size of its slopes, over rho + 1/eta (`rounding`).
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.references import CURVED_LINKS, curved_game, frozen_game, random_policy

from pma_mfg import equilibrium, jacobian, operators
from pma_mfg.games import Features
from pma_mfg.learning import algorithms as learning
from pma_mfg.regularizers import Entropy, Quadratic
from pma_mfg.simulation import agent_kernels, agents
from pma_mfg.simulation import exchangeable as simulation
from pma_mfg.theory import certificates, lipschitz

EPS = float(np.finfo(float).eps)
KINDS = (Entropy, Quadratic)

kinds = pytest.mark.parametrize("kind", KINDS)
mirrors = pytest.mark.parametrize("mirror", ["euclidean", "kl"])
few = settings(max_examples=25)
seeds = st.integers(0, 10**6)
strengths = st.floats(-8, 8).map(lambda x: 10.0**x)
step_sizes = st.floats(-8, 8).map(lambda x: 10.0**x)


def drawn_game(seed, frozen=False):
    """Return a game of up to four states and actions with any link, none if frozen, and a discount up to 0.99."""
    rng = np.random.default_rng([seed, 1])
    states, actions = rng.integers(1, 5, size=2)
    discount = float(rng.choice([0.0, 0.5, 0.9, 0.99]))
    game = curved_game(str(rng.choice(CURVED_LINKS)), seed, int(states), int(actions), discount)
    if rng.uniform() < 0.3:  # affine
        features = {
            f"{name}_features": Features.build(getattr(game, f"{name}_features").weights)
            for name in ("transition", "reward")
        }
        game = replace(game, **features)
    return (
        frozen_game(game.base_transition / game.base_transition.sum(axis=2, keepdims=True), game.base_reward, discount)
        if frozen
        else game
    )


def drawn_policy(game, seed):
    """Return a policy anywhere in the simplex, often on its boundary."""
    rng = np.random.default_rng([seed, 2])
    policy = rng.dirichlet(np.full(game.n_actions, rng.choice([0.02, 1.0, 20.0])), size=game.n_states)
    if rng.uniform() < 0.3:
        policy = np.eye(game.n_actions)[rng.integers(game.n_actions, size=game.n_states)]
    return policy


def drawn_mean_field(game, seed):
    """Return a mean field anywhere in the simplex, often at a vertex."""
    rng = np.random.default_rng([seed, 3])
    if rng.uniform() < 0.3:
        return np.eye(game.n_states)[rng.integers(game.n_states)]
    return rng.dirichlet(np.full(game.n_states, rng.choice([0.05, 1.0, 20.0])))


def drawn_rows(seed, positive=False, scale=1.0):
    """Return q and policies (3, A) for up to six actions, policies often on the boundary unless positive."""
    rng = np.random.default_rng([seed, 4])
    actions = int(rng.integers(1, 7))
    policy = rng.dirichlet(np.full(actions, rng.choice([0.05, 1.0, 10.0])), size=3)
    if positive:
        policy = (policy + 1e-9) / (policy + 1e-9).sum(axis=1, keepdims=True)
    elif rng.uniform() < 0.3:
        policy[0] = np.eye(actions)[rng.integers(actions)]
    return scale * rng.uniform(-1, 1, size=(3, actions)), policy


def rounding(h, q, step_size, policy=None):
    """Return what a unit in the last place of the slopes does to a maximizer, times a small constant.

    The slopes are q + policy / eta, or q + log(policy) / eta for the KL divergence; q counts by at most
    `regularizers.floors.FAR`, since rows further from zero are centred.
    """
    inverse = 1.0 / step_size
    size = 1.0 if policy is None else 1.0 + float(np.abs(np.log(np.maximum(policy, 1e-300))).max())
    return 64 * EPS * (2.0 + (np.abs(q).max() + size * inverse) / (h.rho + inverse))


# --- population


@given(seed=seeds)
def test_the_population_update_keeps_the_mass_and_no_state_below_zero(seed):
    game = drawn_game(seed)
    updated = operators.population_update(game, drawn_mean_field(game, seed), drawn_policy(game, seed))
    assert (updated >= 0.0).all()
    assert updated.sum() == pytest.approx(1.0, abs=1e-14)  # 16 terms


@given(seed=seeds, share=st.floats(0.0, 1.0))
def test_the_population_update_is_affine_in_the_policy(seed, share):
    game = drawn_game(seed)
    mean_field, one, other = drawn_mean_field(game, seed), drawn_policy(game, seed), drawn_policy(game, seed + 1)
    ends = [operators.population_update(game, mean_field, policy) for policy in (one, other)]
    between = operators.population_update(game, mean_field, share * one + (1.0 - share) * other)
    np.testing.assert_allclose(between, share * ends[0] + (1.0 - share) * ends[1], rtol=0, atol=1e-15)


@given(seed=seeds)
def test_a_frozen_population_update_expands_no_distance(seed):
    game = drawn_game(seed, frozen=True)
    policy = drawn_policy(game, seed)
    one, other = drawn_mean_field(game, seed), drawn_mean_field(game, seed + 1)
    moved = operators.population_update(game, one, policy) - operators.population_update(game, other, policy)
    assert np.abs(moved).sum() <= np.abs(one - other).sum() + 1e-15


@given(seed=seeds)
def test_the_stable_population_is_on_the_simplex_wherever_it_starts(seed):
    game = drawn_game(seed)
    policy = drawn_policy(game, seed)
    # transitions are at least 1 / (4 S) everywhere: one recurrent class, which forgets a quarter at each step
    found = [operators.stable_population(game, policy, start=start) for start in np.eye(game.n_states)]
    for mean_field in found:
        assert (mean_field >= 0.0).all()
        assert mean_field.sum() == pytest.approx(1.0, abs=1e-14)
    if (game.transition_features.links == 0).all():
        assert lipschitz.constants(game).L_pop < 1.0
        # residuals of 1e-13, over the share that is forgotten
        np.testing.assert_allclose(found, np.broadcast_to(found[0], np.shape(found)), rtol=0, atol=1e-12)


# --- Q evaluation


@given(seed=seeds)
def test_values_and_q_are_monotone_in_rewards_and_contract_as_one_over_one_minus_gamma(seed):
    game = drawn_game(seed, frozen=True)
    policy, regularizer = drawn_policy(game, seed), Entropy(0.3)
    mean_field = np.full(game.n_states, 1.0 / game.n_states)
    more = np.random.default_rng(seed).uniform(0.0, 1.0, size=policy.shape)
    q, raised = (
        operators.q_values(replace(game, base_reward=game.base_reward + added), policy, mean_field, regularizer)
        for added in (0.0, more)
    )
    slack = 16 * EPS * np.abs(raised).max() / (1.0 - game.discount)  # the condition of I - gamma P
    assert (raised - q >= more - slack).all()
    assert (raised - q <= more.max() / (1.0 - game.discount) + slack).all()


@given(seed=seeds)
def test_q_without_a_regularizer_lies_within_the_discounted_range_of_rewards(seed):
    game = drawn_game(seed)
    mean_field = drawn_mean_field(game, seed)
    q = operators.q_values(game, drawn_policy(game, seed), mean_field)
    low, high = (
        float(end) / (1.0 - game.discount) for end in (game.reward(mean_field).min(), game.reward(mean_field).max())
    )
    slack = 16 * EPS * max(abs(low), abs(high)) / (1.0 - game.discount)
    assert low - slack <= q.min()
    assert q.max() <= high + slack


@pytest.mark.parametrize("regularizer", [Entropy(0.3), Quadratic(0.5), Entropy(1e-8), Quadratic(1e8)], ids=str)
@given(seed=seeds)
@few
def test_the_bellman_operators_are_monotone_contractions_with_the_values_as_fixed_points(regularizer, seed):
    game = drawn_game(seed)
    policy, mean_field = drawn_policy(game, seed), drawn_mean_field(game, seed)
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    h = regularizer.value(policy)

    def evaluated(value):
        return (policy * (reward + game.discount * operators.next_value(transition, value))).sum(axis=1) + h

    def optimal(value):
        return regularizer.optimum(reward + game.discount * operators.next_value(transition, value))

    best = equilibrium.best_response(transition, reward, game.discount, regularizer)
    values = [operators.state_values(game, played, mean_field, regularizer) for played in (policy, best)]
    rng = np.random.default_rng(seed)
    value = rng.normal(size=game.n_states)
    higher = value + rng.uniform(0.0, 1.0, size=game.n_states)
    size = 1.0 + regularizer.span(game.n_actions) + regularizer.strength + max(np.abs(x).max() for x in values)
    slack = 16 * EPS * size
    for bellman, fixed in ((evaluated, values[0]), (optimal, values[1])):
        np.testing.assert_allclose(bellman(fixed), fixed, rtol=0, atol=slack / (1.0 - game.discount))
        gain = bellman(higher) - bellman(value)
        assert (gain >= -slack).all()
        assert gain.max() <= game.discount * (higher - value).max() + slack
    assert (values[1] >= values[0] - slack / (1.0 - game.discount)).all()  # no policy beats the best response
    assert (optimal(value) >= evaluated(value) - slack).all()


@pytest.mark.parametrize("regularizer", [Entropy(0.3), Quadratic(0.5)], ids=str)
@given(seed=seeds, size=st.floats(0.01, 100.0))
@few
def test_rewards_shaped_by_a_potential_move_q_by_it_and_no_policy(regularizer, seed, size):
    # R + c(s) - gamma sum_y P(y|s,a) c(y): V moves by c, which no difference of actions sees
    game = drawn_game(seed, frozen=True)
    potential = np.random.default_rng([seed, 5]).uniform(-size, size, size=game.n_states)
    shaped = game.base_reward + potential[:, None] - game.discount * game.base_transition @ potential
    other = replace(game, base_reward=shaped)
    policy = drawn_policy(game, seed)
    mean_field = operators.stable_population(game, policy)
    q, moved = (operators.q_values(g, policy, mean_field, regularizer) for g in (game, other))
    scale = 64 * EPS * (1.0 + size + np.abs(q).max()) / (1.0 - game.discount)
    np.testing.assert_allclose(moved, q + potential[:, None], rtol=0, atol=scale)
    for step_size in (0.5, np.inf):
        steps = [operators.policy_mirror_ascent(g, policy, step_size, regularizer) for g in (game, other)]
        np.testing.assert_allclose(*steps, rtol=0, atol=2.0 * scale / regularizer.rho)
    gaps = [equilibrium.exploitability(g, policy, regularizer) for g in (game, other)]
    assert gaps[0] == pytest.approx(gaps[1], abs=4.0 * scale / (1.0 - game.discount))


# --- mirror ascent steps


@kinds
@mirrors
@pytest.mark.parametrize("floored", [False, True])
@given(seed=seeds, strength=strengths, step_size=step_sizes)
@few
def test_the_proximal_step_is_strongly_monotone_and_a_contraction(kind, mirror, floored, seed, strength, step_size):
    h, inverse = kind(strength), 1.0 / step_size
    # of the size of h and of the divergence: with much larger q both steps are vertices
    q, policy = drawn_rows(seed, mirror == "kl", strength + inverse)
    rng = np.random.default_rng([seed, 6])
    other_q = q + (strength + inverse) * rng.normal(size=q.shape)
    other_policy = rng.permuted(policy, axis=1)
    floor = float(h.value(np.full(q.shape[1], 1.0 / q.shape[1]))) - 0.3 * h.span(q.shape[1]) if floored else None
    u, v = (h.proximal_step(*row, step_size, floor, mirror) for row in ((q, policy), (other_q, other_policy)))
    pushed = [policy, other_policy] if mirror == "euclidean" else [np.log(policy), np.log(other_policy)]
    slopes = (q - other_q) + inverse * (pushed[0] - pushed[1])
    moved = u - v
    # the floor's multiplier is found to 1e-14 in its logarithm, and h to EPS of its span
    error = rounding(h, other_q, step_size, policy if mirror == "kl" else None) + (1e-7 if floored else 0.0)
    norm = np.linalg.norm(moved, axis=1)
    scale = np.abs(slopes).max() + strength + inverse
    assert ((slopes * moved).sum(axis=1) >= (strength + inverse) * norm**2 - 8 * error * scale).all()
    if mirror == "euclidean":  # Lemma 2.2, which holds on every convex set
        reach = np.linalg.norm(policy - other_policy, axis=1) + step_size * np.linalg.norm(q - other_q, axis=1)
        assert (norm <= reach / (1.0 + step_size * strength) + 8 * error).all()


@kinds
@pytest.mark.parametrize("floored", [False, True])
@given(seed=seeds, strength=strengths)
@few
def test_the_best_response_is_lipschitz_in_q_with_the_constant_one_over_rho(kind, floored, seed, strength):
    h = kind(strength)
    q, _ = drawn_rows(seed, scale=strength)
    other = q + strength * np.random.default_rng([seed, 6]).normal(size=q.shape)
    floor = float(h.value(np.full(q.shape[1], 1.0 / q.shape[1]))) - 0.3 * h.span(q.shape[1]) if floored else None
    moved = h.best_response(q, floor) - h.best_response(other, floor)
    error = 1e-7 if floored else 1e-14  # as above
    assert (np.linalg.norm(moved, axis=1) <= np.linalg.norm(q - other, axis=1) / strength + error).all()
    assert (((q - other) * moved).sum(axis=1) >= strength * ((moved**2).sum(axis=1) - 10 * error)).all()


@kinds
@mirrors
@given(seed=seeds, strength=strengths, step_size=step_sizes, shift=st.floats(-1e6, 1e6))
@few
def test_a_constant_per_state_added_to_q_moves_no_step(kind, mirror, seed, strength, step_size, shift):
    h = kind(strength)
    q, policy = drawn_rows(seed, scale=strength + 1.0 / step_size)
    shifts = shift * np.array([[1.0], [-0.3], [1e3]])
    # what q + shift keeps of q, over rho + 1/eta
    error = rounding(h, q, step_size, policy[policy > 0] if mirror == "kl" else None)
    error = error + 8 * EPS * np.abs(shifts) / (strength + 1.0 / step_size)
    for step in (
        lambda q: h.proximal_step(q, policy, step_size, mirror=mirror),
        lambda q: h.best_response(q * strength * step_size / (1.0 + strength * step_size)),  # of the size of rho
    ):
        assert (np.abs(step(q + shifts) - step(q)) <= error).all()


@kinds
@mirrors
@given(seed=seeds, strength=strengths, step_size=step_sizes)
@few
def test_a_permutation_of_actions_permutes_every_step(kind, mirror, seed, strength, step_size):
    h = kind(strength)
    q, policy = drawn_rows(seed, scale=strength + 1.0 / step_size)
    order = np.random.default_rng(seed).permutation(q.shape[1])
    floor = float(h.value(np.full(q.shape[1], 1.0 / q.shape[1]))) - 0.5 * h.span(q.shape[1])
    # sums in another order
    error = rounding(h, q, step_size, policy[policy > 0] if mirror == "kl" else None)
    moved = [h.proximal_step(*row, step_size, mirror=mirror) for row in ((q, policy), (q[:, order], policy[:, order]))]
    np.testing.assert_allclose(moved[1], moved[0][:, order], rtol=0, atol=error)
    held = [h.best_response(row, floor) for row in (q, q[:, order])]
    np.testing.assert_allclose(held[1], held[0][:, order], rtol=0, atol=1e-7)  # as above


@kinds
@mirrors
@given(seed=seeds, strength=strengths, step_size=step_sizes)
@few
def test_steps_keep_the_order_of_actions_and_raise_an_action_with_its_own_q(kind, mirror, seed, strength, step_size):
    h = kind(strength)
    q, policy = drawn_rows(seed, scale=strength + 1.0 / step_size)
    q, policy = np.sort(q, axis=1), np.sort(policy, axis=1)
    u = h.proximal_step(q, policy, step_size, mirror=mirror)
    assert (np.diff(u, axis=1) >= -4 * EPS).all()  # an increasing function of the slope, up to its last place
    error = rounding(h, q, step_size, policy[policy > 0] if mirror == "kl" else None)
    raised = q.copy()
    raised[:, 0] += 0.5 * (strength + 1.0 / step_size)
    change = h.proximal_step(raised, policy, step_size, mirror=mirror) - u
    assert (change[:, 0] >= -error).all()
    assert (change[:, 1:] <= error).all()  # the others give way


@kinds
@given(seed=seeds, strength=strengths, step_size=step_sizes)
@few
def test_the_best_response_is_a_fixed_point_of_every_step(kind, seed, strength, step_size):
    h = kind(strength)
    q, _ = drawn_rows(seed, scale=strength)
    best = h.best_response(q)
    for mirror in ("euclidean", "kl"):
        error = rounding(h, q, step_size, best[best > 0] if mirror == "kl" else None)
        np.testing.assert_allclose(h.proximal_step(q, best, step_size, mirror=mirror), best, rtol=0, atol=error)


# --- units and labels


@kinds
@pytest.mark.parametrize("power", [-40, 40])
@given(seed=seeds)
@settings(max_examples=8)
def test_the_unit_of_rewards_changes_no_bit_of_a_policy(kind, power, seed):
    """Rewards, strength and 1/eta times a power of two: every operation of every operator is exact in it."""
    unit = 2.0**power
    game = drawn_game(seed)
    other = replace(game, base_reward=unit * game.base_reward, reward_terms=unit * game.reward_terms)
    h, scaled = kind(0.3), kind(0.3 * unit)
    policy = drawn_policy(game, seed)
    mean_field = operators.stable_population(game, policy)
    floor = float(h.value(np.full(game.n_actions, 1.0 / game.n_actions))) - 0.3 * h.span(game.n_actions)
    q = operators.q_values(game, policy, mean_field, h)
    np.testing.assert_array_equal(operators.q_values(other, policy, mean_field, scaled), unit * q)
    for mirror in ("euclidean", "kl"):
        np.testing.assert_array_equal(
            operators.policy_mirror_ascent(other, policy, 2.0 / unit, scaled, mirror=mirror),
            operators.policy_mirror_ascent(game, policy, 2.0, h, mirror=mirror),
        )
    np.testing.assert_array_equal(
        operators.policy_mirror_ascent(other, policy, np.inf, scaled, unit * floor),
        operators.policy_mirror_ascent(game, policy, np.inf, h, floor),
    )
    for pair in ((None, None), (h, scaled)):
        gaps = [equilibrium.exploitability(g, policy, of) for g, of in zip((game, other), pair, strict=True)]
        assert gaps[1] == unit * gaps[0]
    interior = random_policy(game, seed)
    np.testing.assert_array_equal(
        jacobian.jacobian(other, interior, 2.0 / unit, scaled), jacobian.jacobian(game, interior, 2.0, h)
    )
    bounds = [lipschitz.contraction_bound(*args).L_gamma for args in ((game, h, 2.0), (other, scaled, 2.0 / unit))]
    assert bounds[0] == bounds[1]
    certified = [certificates.certificate(*args).L_gamma for args in ((game, h, 2.0), (other, scaled, 2.0 / unit))]
    assert certified[0] == certified[1]
    np.testing.assert_array_equal(equilibrium.solve(other, scaled).policy, equilibrium.solve(game, h).policy)


@kinds
@given(seed=seeds)
@few
def test_relabelling_states_and_actions_changes_no_number_of_a_game(kind, seed):
    game, h = drawn_game(seed), kind(0.3)
    rng = np.random.default_rng(seed)
    states, actions = rng.permutation(game.n_states), rng.permutation(game.n_actions)
    other = replace(
        game,
        base_transition=game.base_transition[np.ix_(states, actions, states)],
        base_reward=game.base_reward[np.ix_(states, actions)],
        transition_terms=game.transition_terms[:, states][:, :, actions][..., states],
        reward_terms=game.reward_terms[:, states][:, :, actions],
        transition_features=replace(game.transition_features, weights=game.transition_features.weights[:, states]),
        reward_features=replace(game.reward_features, weights=game.reward_features.weights[:, states]),
    )
    policy = drawn_policy(game, seed)
    swapped = policy[np.ix_(states, actions)]
    # sums in another order, solves with other pivots, values up to 3 / (1 - gamma), over 1 - gamma once more
    tolerance = 1e-14 / (1.0 - game.discount) ** 2
    for regularizer in (None, h):
        one, two = (equilibrium.exploitability(g, p, regularizer) for g, p in ((game, policy), (other, swapped)))
        assert one == pytest.approx(two, abs=tolerance)
    for name in ("K_mu", "K_s", "K_a", "L_mu", "L_s", "L_a", "delta", "L_pop", "L_h"):
        one, two = (getattr(lipschitz.constants(g), name) for g in (game, other))
        assert one == pytest.approx(two, rel=1e-13)  # a sum, or a maximum of sums
    one, two = (lipschitz.contraction_bound(g, h, 2.0).L_gamma for g in (game, other))
    assert one == pytest.approx(two, rel=1e-11)  # their products and quotients, over 1 - gamma
    interior = random_policy(game, seed)
    one, two = (
        jacobian.spectral_radius(jacobian.jacobian(g, p, 2.0, h))
        for g, p in ((game, interior), (other, interior[np.ix_(states, actions)]))
    )
    # of a matrix that is not symmetric: an eigenvalue of multiplicity two moves by the square root of rounding
    assert one == pytest.approx(two, abs=1e-6)


@given(seed=seeds)
@few
def test_exploitability_is_what_the_best_deviator_gains_and_at_most_the_span_of_rewards(seed):
    game, regularizer = drawn_game(seed), Entropy(0.3)
    policy = drawn_policy(game, seed)
    mean_field = operators.stable_population(game, policy)
    gap = equilibrium.exploitability(game, policy, regularizer)
    own = mean_field @ operators.state_values(game, policy, mean_field, regularizer)
    slack = 1e-14 / (1.0 - game.discount) ** 2
    for deviation in (drawn_policy(game, seed + 1), random_policy(game, seed), operators.uniform_policy(game)):
        assert mean_field @ operators.state_values(game, deviation, mean_field, regularizer) - own <= gap + slack
    reward = game.reward(mean_field)
    assert -slack <= gap <= (np.ptp(reward) + regularizer.span(game.n_actions)) / (1.0 - game.discount) + slack


# --- compiled


@kinds
@given(seed=seeds, strength=strengths, step_size=step_sizes)
@few
def test_compiled_steps_are_those_of_the_regularizer_and_permute_with_the_actions(kind, seed, strength, step_size):
    h = kind(strength)
    q, policy = drawn_rows(seed, scale=strength + 1.0 / step_size)
    actions, order = q.shape[1], np.random.default_rng(seed).permutation(q.shape[1])
    game = frozen_game(np.full((1, actions, 1), 1.0), np.zeros((1, actions)), 0.5)
    stepped = []
    for columns in (np.arange(actions), order):
        start = policy[:, columns][:, None]
        population = agents.initial_agents(game, 3, h, np.random.default_rng(0), start)
        population.q[:] = q[:, columns][:, None]
        kept = population.policies()
        agents.finish_epoch(game, population, h, step_size, 0.0)
        found = population.policies()
        assert (found >= 0.0).all()
        assert (found.sum(axis=2) == 1.0).all()  # multiples of 2^-31
        np.testing.assert_allclose(population.values, h.value(found), rtol=1e-12, atol=1e-12 * strength)
        # two cumulated probabilities are rounded, by half a unit each
        expected = h.proximal_step(population.q, kept, step_size)
        error = 1.01 / agent_kernels.UNITS + rounding(h, q, step_size)
        np.testing.assert_allclose(found, expected, rtol=0, atol=error)
        stepped.append(found[:, 0])
    # the policies that they start from are rounded too, and a step expands nothing
    np.testing.assert_allclose(stepped[1], stepped[0][:, order], rtol=0, atol=8 * error)


def learned(game, policy, h, start, seed, n_agents=50, n_updates=200):
    return learning.ctd(game, policy, n_agents, h, n_updates, 0, 3.0, 3.0, np.random.default_rng(seed), start=start)


@given(seed=seeds, shift=st.floats(-100, 100))
@few
def test_td_learning_shifts_with_rewards_and_contracts_its_starts(seed, shift):
    """On one path, which does not depend on Q: Algorithm 1 is affine, monotone and nonexpansive in where it starts."""
    game, h = drawn_game(seed), Quadratic(0.5)
    policy = drawn_policy(game, seed)
    q = learned(game, policy, h, 0.0, seed)
    limit = shift / (1.0 - game.discount)
    shifted = learned(replace(game, base_reward=game.base_reward + shift), policy, h, limit, seed)
    # 200 updates with a share below 1 each, targets of the size of the shift
    np.testing.assert_allclose(shifted, q + limit, rtol=0, atol=200 * 4 * EPS * (np.abs(q).max() + abs(limit)))
    higher = learned(game, policy, h, 1.0, seed)
    assert (higher >= q - 1e-12).all()
    assert (higher <= q + 1.0 + 1e-12).all()


@given(seed=seeds, start=st.floats(-10, 10))
@few
def test_td_estimates_stay_within_the_range_of_targets(seed, start):
    game, h = drawn_game(seed), Entropy(0.3)
    policy = drawn_policy(game, seed)
    q = learned(game, policy, h, start, seed)
    low, high = lipschitz.reward_range(game)
    lowest = min(start, (low + game.discount * h.value(policy).min()) / (1.0 - game.discount))
    highest = max(start, (high + game.discount * h.value(policy).max()) / (1.0 - game.discount))
    slack = 200 * 4 * EPS * max(abs(lowest), abs(highest))
    assert lowest - slack <= q.min()
    assert q.max() <= highest + slack


@pytest.mark.parametrize("n_agents", [2, 3, 1000, 10**9, 10**15])
@given(seed=seeds)
@settings(max_examples=10)
def test_the_simulator_loses_no_agent(n_agents, seed):
    game = drawn_game(seed)
    policy, rng = drawn_policy(game, seed), np.random.default_rng(seed)
    population = simulation.initial_population(game, n_agents, rng, drawn_mean_field(game, seed))
    learning.ctd(game, policy, n_agents, Entropy(0.3), 5, 1, 1.0, 1.0, rng, population)
    assert population.others.sum() == n_agents - 1
    assert (population.others >= 0).all()
    averages = simulation.ergodic_averages(game, policy, n_agents, 5, rng, 1, drawn_mean_field(game, seed))
    assert averages.mean_field.sum() == pytest.approx(1.0, abs=1e-14)
