"""Coupled games have the equilibrium and the best response's radius that they promise, or are refused."""

import itertools
import re

import numpy as np
import pytest

from pma_mfg import equilibrium, games, iterations, jacobian, operators
from pma_mfg.errors import InputError
from pma_mfg.games import coupled
from pma_mfg.regularizers import Entropy
from pma_mfg.theory import assumptions, lipschitz

TAU = 0.1
BASE = {"n_states": 4, "n_actions": 3, "discount": 0.8, "seed": 0, "strength": TAU, "best_response_radius": 0.7}
#: Every channel, sign and link.
KINDS = [
    {"channel": channel, "sign": sign, "link": link}
    for channel, sign, link in itertools.product(coupled.CHANNELS, coupled.SIGNS, coupled.COUPLING_LINKS)
]
SMOOTH = [kind for kind in KINDS if kind["link"] != "absolute"]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))


def coupled_game(**changes):
    return games.make("planted_coupled", **(BASE | changes))


def best_response(game, policy):
    """Return softmax(q/tau) for the q of a policy and its population, by nothing but sums and one linear solve."""
    mean_field = game.planted.mean_field
    for _ in range(100):  # L_pop^100 is below rounding for the games that are differentiated here
        kernel = np.einsum("sa,say->sy", policy, game.transition(mean_field))
        mean_field = mean_field @ kernel
        mean_field /= mean_field.sum()
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    gain = (policy * (reward - TAU * np.log(policy))).sum(axis=1)
    kernel = np.einsum("sa,say->sy", policy, transition)
    value = np.linalg.solve(np.eye(game.n_states) - game.discount * kernel, gain)
    logits = (reward + game.discount * transition @ value) / TAU
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def directions(game):
    """Return a basis of the directions of a policy, (n, S, A): probability from the last action to another."""
    states, actions = game.n_states, game.n_actions
    basis = np.zeros((states, actions - 1, states, actions))
    for s, a in np.ndindex(states, actions - 1):
        basis[s, a, s, [a, -1]] = 1.0, -1.0
    return basis.reshape(-1, states, actions)


def eigenvalues(columns):
    """Return the eigenvalues of the map whose values on `directions` are given, (n, S, A)."""
    # a change of a policy has its first A - 1 entries in each state as coordinates
    return np.linalg.eigvals(columns[:, :, :-1].reshape(len(columns), -1).T)


def is_led_by(found, leading, tolerance):
    """Return whether the eigenvalue of the largest size is `leading`, and all are real and of its sign."""
    largest = found[np.abs(found).argmax()]
    return (
        abs(largest - leading) < tolerance
        and np.abs(found.imag).max() < tolerance
        and (found.real * np.sign(leading) > -tolerance).all()
    )


# --- the radius


@pytest.mark.parametrize("kind", SMOOTH, ids=lambda kind: "-".join(kind.values()))
def test_differences_of_the_best_response_have_the_leading_eigenvalue_that_was_asked_for(kind):
    game = coupled_game(**kind)
    policy, step = game.planted.policy, 1e-4

    def central(direction, h):
        return (best_response(game, policy + h * direction) - best_response(game, policy - h * direction)) / (2 * h)

    # Richardson's extrapolation: errors of h^4, and of rounding over h
    columns = [(4 * central(d, step / 2) - central(d, step)) / 3 for d in directions(game)]
    leading = 0.7 if kind["sign"] == "seeking" else -0.7
    # rounding, 1e-14 of logits near 50 over the step, is 1e-10; seen: 4e-11
    assert is_led_by(eigenvalues(np.array(columns)), leading, 1e-8)


@pytest.mark.parametrize("sign", coupled.SIGNS)
@pytest.mark.parametrize("channel", coupled.CHANNELS)
def test_at_a_kink_the_differences_on_both_sides_have_the_leading_eigenvalue_that_was_asked_for(channel, sign):
    game = coupled_game(channel=channel, sign=sign, link="absolute")
    policy, step = game.planted.policy, 1e-5
    features = game.reward_features if channel == "rewards" else game.transition_features
    along = features.weights[-1]
    basis = directions(game)

    def crossing(direction):  # of the population along the leading direction
        moved = operators.stable_population(game, policy + step * direction)
        return float((moved - game.planted.mean_field) @ along)

    def one_sided(direction):
        f0, f1, f2 = (best_response(game, policy + k * step * direction) for k in range(3))
        return (4 * f1 - 3 * f0 - f2) / (2 * step)

    # the side that a direction leads to is that of its sign
    sides = np.array([np.sign(crossing(d)) for d in basis])
    right, left = (np.array([k * one_sided(k * d) for k, d in zip(t * sides, basis, strict=True)]) for t in (1, -1))
    leading = 0.7 if sign == "seeking" else -0.7
    for columns in (right, left):
        # rounding over the step, 1e-9, and errors of h^2 = 1e-10 times a third derivative of some hundred; seen: 4e-9
        assert is_led_by(eigenvalues(columns), leading, 1e-6)
    assert np.abs(right - left).max() > 0.01  # a kink it is


@pytest.mark.parametrize(
    "changes",
    [
        {"best_response_radius": 0.0},
        {"best_response_radius": 0.04},
        {"best_response_radius": 3.0, "channel": "rewards"},
        {"best_response_radius": 40.0, "channel": "rewards"},
        {"n_states": 2, "n_actions": 2},
        {"n_states": 3, "n_actions": 5, "seed": 4},
        {"n_states": 12, "n_actions": 4, "discount": 0.95},
        {"strength": 2.0, "seed": 7},
        {"stay": 0.9, "best_response_radius": 0.1},
    ],
    ids=str,
)
@every_kind
def test_the_jacobian_has_the_radius_and_the_planted_equilibrium_is_one(kind, changes):
    game = coupled_game(**(kind | changes))
    planted, regularizer = game.planted, Entropy(game.planted.strength)
    found = np.linalg.eigvals(jacobian.jacobian(game, planted.policy, np.inf, regularizer=regularizer))
    radius = game.parameters["best_response_radius"]
    # rounding, times the condition of the eigenvalues
    assert is_led_by(found, radius if kind["sign"] == "seeking" else -radius, 1e-8)
    residuals = equilibrium.residuals(game, planted.policy, planted.mean_field, regularizer=regularizer)
    # of values up to 40 strengths over 1 - discount
    assert max(abs(residual) for residual in residuals.values()) < 1e-12


@every_kind
def test_games_of_one_ladder_differ_in_the_coupling_of_rewards_or_in_what_is_at_stake_alone(kind):
    none, weak, strong = (coupled_game(**kind, best_response_radius=radius) for radius in (0.0, 0.3, 0.9))
    away = np.random.default_rng(0).dirichlet(np.ones(4))
    changes = []
    for mean_field in (none.planted.mean_field, away):
        for game in (weak, strong):
            assert game.planted == none.planted
            np.testing.assert_array_equal(game.transition(mean_field), none.transition(mean_field))
        small, large = (game.reward(mean_field) - none.reward(mean_field) for game in (weak, strong))
        # rounding of rewards near 8
        np.testing.assert_allclose(large, 3.0 * small, rtol=0, atol=1e-13)
        changes.append(large)
    at_equilibrium, elsewhere = changes
    assert np.abs(elsewhere).max() > 0.01
    expected = 0.0 if kind["channel"] == "rewards" else elsewhere
    np.testing.assert_allclose(at_equilibrium, np.broadcast_to(expected, elsewhere.shape), rtol=0, atol=1e-14)


@every_kind
def test_rewards_are_in_units_of_the_strength(kind):
    game, other = coupled_game(**kind), coupled_game(**kind, strength=3.0 * TAU)
    away = np.random.default_rng(1).dirichlet(np.ones(4))
    np.testing.assert_allclose(other.reward(away), 3.0 * game.reward(away), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(other.transition(away), game.transition(away), rtol=0, atol=1e-14)


# --- what a coupling means


def test_a_crowded_state_is_worth_less_to_the_averse_and_more_to_those_who_seek():
    crowd = np.array([0.1, -0.05, -0.03, -0.02])
    changes = {}
    for sign in coupled.SIGNS:
        game = coupled_game(sign=sign, discount=0.99)
        mean_field = game.planted.mean_field
        changes[sign] = (game.reward(mean_field + crowd) - game.reward(mean_field)).mean(axis=1)
        # close to undiscounted, the rewards change by the crowd in the own state, up to 1 - gamma
        slope = changes[sign][0] / crowd[0]
        np.testing.assert_allclose(changes[sign], slope * crowd, rtol=0, atol=0.02 * abs(changes[sign][0]))
    assert changes["averse"][0] < 0.0
    np.testing.assert_allclose(changes["seeking"], -changes["averse"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("sign", coupled.SIGNS)
def test_a_crowd_in_the_first_half_weakens_what_actions_decide_and_this_half_is_worth_more_to_the_averse(sign):
    game = coupled_game(channel="dynamics", sign=sign)
    policy, mean_field = game.planted.policy, game.planted.mean_field
    crowd = np.array([0.05, 0.05, -0.05, -0.05])
    leads, before = (game.transition(m)[:, :, :2].sum(axis=2) for m in (mean_field + crowd, mean_field))
    # actions 0 and 2 lead to the first half, action 1 to the second
    spread, spread_before = (0.5 * (x[:, 0] + x[:, 2]) - x[:, 1] for x in (leads, before))
    assert (spread < spread_before).all()
    np.testing.assert_allclose((policy * (leads - before)).sum(axis=1), 0.0, rtol=0, atol=1e-15)
    value = operators.state_values(game, policy, mean_field, regularizer=Entropy(TAU))
    assert (
        (value[:2].mean() - value[2:].mean() > 1.0) if sign == "averse" else (value[2:].mean() - value[:2].mean() > 1.0)
    )


@every_kind
def test_the_absolute_link_alone_has_a_kink_and_the_power_alone_a_smooth_bend(kind):
    game = coupled_game(**kind)
    centre, of = game.planted.mean_field, game.reward if kind["channel"] == "rewards" else game.transition
    direction = np.array([0.6, 0.3, -0.5, -0.4])

    def bend(h):
        return np.abs(of(centre + h * direction) + of(centre - h * direction) - 2 * of(centre)).max()

    # a kink bends in proportion to h, a smooth curve to h^2, an affine game not at all
    order = np.log2(bend(2e-3) / bend(1e-3)) if bend(1e-3) > 1e-12 else 0.0
    assert order == pytest.approx({"identity": 0.0, "absolute": 1.0, "power": 2.0}[kind["link"]], abs=1e-6)


@pytest.mark.parametrize("channel", coupled.CHANNELS)
@pytest.mark.parametrize("stay", [0.3, 0.9])
def test_an_agent_that_stays_mixes_more_slowly_as_told(channel, stay):
    changes = {"channel": channel, "best_response_radius": 0.05, "n_actions": 2}
    kernels = [
        np.einsum("sa,say->sy", game.planted.policy, game.transition(game.planted.mean_field))
        for game in (coupled_game(**changes), coupled_game(**changes, stay=stay))
    ]
    before, after = (np.sort_complex(np.linalg.eigvals(kernel)) for kernel in kernels)
    np.testing.assert_allclose(after, stay + (1.0 - stay) * before, rtol=0, atol=1e-12)


# --- what it does to learning


def ends_at_the_equilibrium(game, step_size, start):
    orbit = iterations.pma(game, Entropy(TAU), start, step_size=step_size)
    last = next(itertools.islice(orbit, 150, None))
    return operators.policy_distance(last, game.planted.policy) < 1e-6


@pytest.mark.parametrize("channel", coupled.CHANNELS)
@pytest.mark.parametrize(("sign", "radius"), [("averse", 0.8), ("averse", 1.25), ("seeking", 0.8), ("seeking", 1.25)])
def test_best_response_returns_just_where_the_radius_is_below_one_and_mirror_ascent_damps_aversion(
    channel, sign, radius
):
    game = coupled_game(channel=channel, sign=sign, best_response_radius=radius)
    policy = game.planted.policy
    near = 0.9999 * policy + 1e-4 * np.random.default_rng(0).dirichlet(np.ones(3), size=4)
    # 0.8^150 is 1e-15 and 1.25^150 its inverse; the slowest rate of mirror ascent is (1 + 0.3 * 0.8) / 1.3, to 150 1e-3
    assert ends_at_the_equilibrium(game, np.inf, near) == (radius < 1.0)
    for step_size in (0.3 / TAU, 1.0 / TAU):
        assert ends_at_the_equilibrium(game, step_size, near) == (sign == "averse" or radius < 1.0)


# --- what is possible


@every_kind
def test_all_assumptions_of_the_paper_are_shown(kind):
    game = coupled_game(**kind)
    found = assumptions.assumptions(game, Entropy(TAU), 1.0 / TAU)
    assert [line.split(": ")[1] for line in assumptions.in_words(found)] == ["met"] * 4


def largest_possible(**changes):
    with pytest.raises(InputError, match=r"^games\.make: best_response_radius: got 1000000\.0, expected") as refused:
        coupled_game(best_response_radius=1e6, **changes)
    return float(re.search(r"from 0 to (\d+\.\d{6}), the largest possible with ", str(refused.value))[1])


@pytest.mark.parametrize("stay", [0.0, 0.5])
@pytest.mark.parametrize("n_states", [2, 3, 4])
@pytest.mark.parametrize("link", coupled.COUPLING_LINKS)
def test_dynamics_that_cannot_be_are_refused_with_the_largest_radius_which_is_possible(link, n_states, stay):
    changes = {"channel": "dynamics", "link": link, "n_states": n_states, "stay": stay}
    largest = largest_possible(**changes)
    assert largest > 0.2
    game = coupled_game(**changes, best_response_radius=largest)
    inside = np.random.default_rng(0).dirichlet(np.full(n_states, 0.3), size=200)
    rows = np.array([game.transition(mu) for mu in [*np.eye(n_states), *inside]])
    least = (rows / game.transition(game.planted.mean_field)).min()
    bound = lipschitz.constants(game).L_pop
    delta = lipschitz.constants(
        coupled_game(link=link, n_states=n_states, stay=stay)
    ).delta  # of the transitions without a crowd
    # rounding
    assert least > 0.1 - 1e-12
    assert bound < delta + coupled.LARGEST_USE * (1.0 - delta) + 1e-12
    with pytest.raises(InputError, match="L_pop < 1"):
        coupled_game(**changes, best_response_radius=largest + 2e-6)
    with pytest.raises(InputError, match="L_pop < 1"):
        coupled_game(**changes, best_response_radius=largest + 2e-6, sign="seeking")


@pytest.mark.parametrize("seed", range(20))
def test_the_dynamics_take_most_of_the_room_that_there_is(seed):
    changes = {"channel": "dynamics", "n_states": 5, "seed": seed}
    game = coupled_game(**changes)
    constants, without = lipschitz.constants(game), lipschitz.constants(coupled_game(n_states=5, seed=seed))
    # the bound (6.6) adds up maxima that different rows may attain
    assert constants.L_pop > without.delta + 0.7 * (1.0 - without.delta)


@pytest.mark.parametrize(
    "changes", [{"n_states": 1}, {"n_actions": 1}, {"channel": "dynamics", "discount": 0.0}], ids=str
)
@pytest.mark.parametrize("channel", coupled.CHANNELS)
def test_where_nobody_can_answer_the_only_radius_is_zero(changes, channel):
    changes = {"channel": channel} | changes
    assert largest_possible(**changes) == 0.0
    game = coupled_game(**changes, best_response_radius=0)
    assert (
        jacobian.spectral_radius(jacobian.jacobian(game, game.planted.policy, np.inf, regularizer=Entropy(TAU))) < 1e-12
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"best_response_radius": -0.1}, "best_response_radius: got -0.1, expected a number >= 0"),
        ({"channel": "reward"}, "channel: got 'reward', expected one of rewards, dynamics"),
        ({"sign": -1}, "sign: got -1, expected one of averse, seeking"),
        ({"link": "log"}, "link: got 'log', expected one of identity, absolute, power"),
        ({"stay": 1}, "stay: got 1, expected a number in [0, 1)"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_by_name(changes, message):
    with pytest.raises(InputError, match=re.escape(f"games.make: {message}")):
        coupled_game(**changes)


@every_kind
def test_the_same_parameters_give_bitwise_the_same_game_and_another_seed_another(kind):
    game, again, other = coupled_game(**kind), coupled_game(**kind), coupled_game(**kind, seed=2)
    assert game == again
    assert np.abs(game.planted.policy - other.planted.policy).max() > 0.01


def test_a_coupled_game_is_saved_with_its_equilibrium(tmp_path):
    for i, kind in enumerate(KINDS):
        game = coupled_game(**kind)
        games.save(game, tmp_path / f"{i}.npz")
        assert games.load(tmp_path / f"{i}.npz") == game


# --- rare states and actions

RARE = {"n_states": 4, "n_actions": 3, "discount": 0.8, "strength": TAU, "best_response_radius": 1.3}


@pytest.mark.parametrize(
    "changes",
    [
        *({}, {"n_states": 2}, {"n_states": 7}, {"n_actions": 2}, {"n_actions": 5}, {"discount": 0.3}, {"value": 2.0}),
        *({"rare_state": 0.05}, {"rare_action": 0.05}, {"rare_state": 1.0, "rare_action": 1.0}),
    ],
)
def test_one_state_and_one_action_are_as_rare_as_asked_for_and_nothing_else_moves_with_them(changes):
    parameters = {"rare_state": 0.5, "rare_action": 0.5} | RARE | changes
    game = games.make("planted_rare", **parameters)
    policy, mean_field = game.planted.policy, game.planted.mean_field
    assert policy.min() == pytest.approx(parameters["rare_action"] / parameters["n_actions"], rel=1e-12)
    assert mean_field.min() == pytest.approx(parameters["rare_state"] / parameters["n_states"], rel=1e-12)
    # an equilibrium: the population is stable, and the policy its own best response
    kernel = np.einsum("sa,say->sy", policy, game.transition(mean_field))
    np.testing.assert_allclose(mean_field @ kernel, mean_field, rtol=0, atol=1e-15)
    np.testing.assert_allclose(best_response(game, policy), policy, rtol=0, atol=1e-12)
    columns = np.array(
        [best_response(game, policy + 1e-6 * d) - best_response(game, policy - 1e-6 * d) for d in directions(game)]
    )
    found = eigenvalues(columns / 2e-6)
    assert found[np.abs(found).argmax()].real == pytest.approx(-1.3, rel=1e-5)
    assert lipschitz.constants(game).L_pop <= 0.5 + 1e-12


def test_rarity_needs_more_than_one_state_and_one_action():
    single = games.make("planted_rare", **(RARE | {"n_states": 1, "n_actions": 1, "best_response_radius": 0.0}))
    np.testing.assert_array_equal(single.planted.policy, [[1.0]])
    with pytest.raises(InputError, match=r"best_response_radius: got 1\.3"):
        games.make("planted_rare", **(RARE | {"n_actions": 1}))
    with pytest.raises(InputError, match=r"rare_state: got 0.0, expected a number in \(0, 1\]"):
        games.make("planted_rare", **(RARE | {"rare_state": 0.0}))
