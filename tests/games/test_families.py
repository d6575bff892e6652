"""Generated games keep their promises: target constants, planted equilibria, rewards in [0, 1]."""

import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import issparse
from tests.references import FAMILY_PARAMETERS, SYMMETRIC_PARAMETERS, all_games, family_game, left_eigenvector

from pma_mfg import equilibrium, games, jacobian, operators
from pma_mfg.errors import InputError
from pma_mfg.games import benchmarks, coupled, literature, registry
from pma_mfg.regularizers import Entropy, Quadratic

TARGET_NAMES = ("K_mu", "K_s", "K_a", "L_mu", "L_s", "L_a")


def brute_force_constants(game, seed, pairs=300):
    """Return the six constants as the largest ratios seen over pairs of mean fields, states and actions.

    Pairs of vertices are among the mean fields: for an affine game the largest ratio is at one of them.
    """
    size = game.n_states
    rng = np.random.default_rng(seed)
    inside = rng.dirichlet(np.full(size, 0.5), size=(pairs, 2))
    vertices = np.array([[x, y] for x in np.eye(size) for y in np.eye(size) if (x != y).any()]).reshape(-1, 2, size)
    seen = dict.fromkeys(TARGET_NAMES, 0.0)
    for mu, nu in [*vertices, *inside]:
        P, R = game.transition(mu), game.reward(mu)
        distance = np.abs(mu - nu).sum()
        seen["K_mu"] = max(seen["K_mu"], np.abs(P - game.transition(nu)).sum(axis=2).max() / distance)
        seen["L_mu"] = max(seen["L_mu"], np.abs(R - game.reward(nu)).max() / distance)
        seen["K_s"] = max(seen["K_s"], np.abs(P[:, None] - P[None]).sum(axis=3).max())
        seen["K_a"] = max(seen["K_a"], np.abs(P[:, :, None] - P[:, None]).sum(axis=3).max())
        seen["L_s"] = max(seen["L_s"], np.abs(R[:, None] - R[None]).max())
        seen["L_a"] = max(seen["L_a"], np.abs(R[:, :, None] - R[:, None]).max())
    return seen


# rounding: a ratio of two sums of rounded terms, over mean fields at least 1e-2 apart
ROUNDING = 1e-12


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    n_states=st.integers(2, 6),
    n_actions=st.integers(1, 4),
    targets=st.tuples(*[st.one_of(st.just(0.0), st.floats(0.0, 2.0))] * 6),
)
def test_no_constant_of_an_affine_game_exceeds_its_target(seed, n_states, n_actions, targets):
    targets = dict(zip(TARGET_NAMES, targets, strict=True))
    game = games.make("affine", n_states=n_states, n_actions=n_actions, discount=0.5, seed=seed, **targets)
    seen = brute_force_constants(game, seed, pairs=40)
    for name, target in targets.items():
        assert seen[name] <= target + ROUNDING, name


DEFAULTS = {"K_mu": 0.3, "K_s": 0.6, "K_a": 0.6, "L_mu": 0.3, "L_s": 0.5, "L_a": 0.5}
TARGETS = {
    "defaults": DEFAULTS,
    "small": {"K_mu": 0.01, "K_s": 0.02, "K_a": 0.03, "L_mu": 0.001, "L_s": 0.002, "L_a": 0.003},
    "only through the mean field": {"K_mu": 0.1, "K_s": 0.0, "K_a": 0.0, "L_mu": 0.02, "L_s": 0.0, "L_a": 0.0},
    "no mean field": {"K_mu": 0.0, "K_s": 0.2, "K_a": 0.2, "L_mu": 0.0, "L_s": 0.05, "L_a": 0.05},
    "nothing moves": dict.fromkeys(TARGET_NAMES, 0.0),
    "uneven": {"K_mu": 0.5, "K_s": 0.01, "K_a": 0.9, "L_mu": 0.3, "L_s": 0.01, "L_a": 0.4},
    "beyond reach": dict.fromkeys(TARGET_NAMES, 2.0),
}


def affine_constants(seed, targets):
    game = games.make("affine", n_states=5, n_actions=3, discount=0.9, seed=seed, **targets)
    return brute_force_constants(game, seed, pairs=20)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("targets", [TARGETS[name] for name in ("small", "no mean field", "nothing moves")])
def test_targets_far_below_what_was_drawn_are_met_within_one_percent(targets, seed):
    seen = affine_constants(seed, targets)
    for name, target in targets.items():
        assert 0.99 * target - ROUNDING <= seen[name] <= target + ROUNDING, name


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
def test_a_target_of_an_affine_game_is_missed_only_where_lifting_it_does_not_help(targets, seed):
    # the other targets average the raw draw, and what is left may be flatter than the target in question
    seen = affine_constants(seed, targets)
    for name, target in targets.items():
        if seen[name] < 0.99 * target:
            assert seen[name] >= 0.99 * affine_constants(seed, targets | {name: 2.0})[name], name


@pytest.mark.parametrize("name", ["affine", "planted_smooth", "planted_kinked"])
@pytest.mark.parametrize("seed", range(5))
def test_rewards_lie_in_the_unit_interval_at_every_mean_field(name, seed):
    for changes in ({}, {"n_states": 9, "n_actions": 2, "discount": 0.99}, {"n_states": 1, "n_actions": 1}):
        for extra in ({}, {"strength": 2.0}) if name != "affine" else ({},):
            game = family_game(name, seed=seed, **changes, **extra)
            inside = np.random.default_rng(seed).dirichlet(np.full(game.n_states, 0.3), size=200)
            for mean_field in [*np.eye(game.n_states), *inside]:
                reward = game.reward(mean_field)
                # the construction scales to the closed interval; sums of a few terms round
                assert reward.min() >= -1e-12
                assert reward.max() <= 1.0 + 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_transitions_of_planted_games_meet_their_mean_field_target(seed):
    game = family_game("planted_smooth", seed=seed, K_mu=0.15)
    seen = brute_force_constants(game, seed)
    assert 0.99 * 0.15 <= seen["K_mu"] <= 0.15 + ROUNDING


@pytest.mark.parametrize("seed", range(5))
def test_the_planted_kinked_reward_has_kinks_at_the_equilibrium_and_the_smooth_one_has_none(seed):
    step = 1e-5
    direction = step * np.array([1.0, -0.5, -0.25, -0.25])
    jumps = {}
    for family in ("planted_smooth", "planted_kinked"):
        game = family_game(family, seed=seed, strength=0.1)
        centre = game.planted.mean_field
        second = game.reward(centre + direction) + game.reward(centre - direction) - 2 * game.reward(centre)
        jumps[family] = np.abs(second).max() / step
        # away from the equilibrium both are smooth
        away = np.random.default_rng(seed).dirichlet(np.ones(4))
        second = game.reward(away + direction) + game.reward(away - direction) - 2 * game.reward(away)
        assert np.abs(second).max() / step < 1e-9  # rounding of rewards, 1e-16 / 1e-5
    assert jumps["planted_smooth"] < 1e-9
    # a kink of weight W gives 2 W per unit step; the couplings are uniform draws up to 0.3 before scaling
    assert jumps["planted_kinked"] > 0.05


@pytest.mark.parametrize("family", ["planted_smooth", "planted_kinked"])
@pytest.mark.parametrize("changes", [{}, {"n_states": 7, "n_actions": 2}, {"strength": 2.0}, {"discount": 0.0}])
def test_planted_equilibria_satisfy_the_definition(family, changes):
    game = family_game(family, **changes)
    policy, mean_field, tau = game.planted.policy, game.planted.mean_field, game.planted.strength
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    kernel = np.einsum("sa,say->sy", policy, transition)
    # rounding of sums and logarithms near 1, amplified by at most 1 / (1 - discount) = 10
    np.testing.assert_allclose(left_eigenvector(kernel), mean_field, rtol=0, atol=1e-13)
    # optimal: the soft Bellman equation of the frozen game, tau log pi = Q - V with V = tau logsumexp(Q / tau)
    entropy = -tau * (policy * np.log(policy)).sum(axis=1)
    value = np.linalg.solve(np.eye(len(kernel)) - game.discount * kernel, (policy * reward).sum(axis=1) + entropy)
    q = reward + game.discount * transition @ value
    np.testing.assert_allclose(tau * np.log(np.exp(q / tau - q.max() / tau).sum(axis=1)) + q.max(), value, atol=2e-13)
    np.testing.assert_allclose(tau * np.log(policy), q - value[:, None], rtol=0, atol=2e-13)


def test_the_crowd_averse_reward_falls_with_the_crowd_in_the_own_state_only():
    game = family_game("crowd_averse", coupling=1.5)
    base = game.reward(np.full(4, 0.25))
    more = game.reward(np.array([0.35, 0.15, 0.25, 0.25]))
    # two products and a sum
    np.testing.assert_allclose(more - base, np.outer([-0.15, 0.15, 0, 0], np.ones(3)), rtol=0, atol=1e-15)
    assert (game.transition(np.eye(4)[0]) == game.transition(np.eye(4)[1])).all()


@pytest.mark.parametrize("family", sorted(FAMILY_PARAMETERS))
def test_the_same_parameters_give_bitwise_the_same_game_and_another_seed_another(family):
    game, again, other = family_game(family), family_game(family), family_game(family, seed=99)
    for name in ("base_transition", "base_reward", "transition_terms", "reward_terms"):
        assert getattr(game, name).tobytes() == getattr(again, name).tobytes()
    assert np.abs(game.base_transition - other.base_transition).max() > 0.01
    assert (game.family, game.parameters) == (family, FAMILY_PARAMETERS[family])


def test_every_family_is_listed_and_tested():
    generated = set(FAMILY_PARAMETERS | SYMMETRIC_PARAMETERS)
    papers = (benchmarks.__name__, coupled.__name__, literature.__name__)
    tested = {name for name, found in registry.FAMILIES.items() if found.function.__module__ in papers}
    assert games.families() == sorted(generated | tested)
    assert generated < set(all_games())


def test_a_function_with_the_decorator_is_made_checked_and_described_by_its_name(monkeypatch):
    monkeypatch.setattr(registry, "FAMILIES", dict(registry.FAMILIES))
    odd = registry.Range(lambda x: x % 2 == 1, "an odd integer")
    small = registry.Limit(lambda p: p["width"] < p["n_states"], "less than n_states = {n_states}")

    @registry.family(width=odd, limits={"width": small}, entries=lambda p: p["n_states"] ** 4)
    def narrow(*, n_states: int, width: int = 1) -> games.MeanFieldGame:
        """Return a narrow game."""
        return family_game("crowd_averse", n_states=n_states, coupling=float(width))

    assert games.make("narrow", n_states=4, width=3).parameters == {"n_states": 4, "width": 3}
    assert "narrow" in games.families()
    told = games.describe("narrow")
    assert told["summary"] == "a narrow game."
    assert told["parameters"]["width"] == {"allowed": "an odd integer", "required": False, "default": 1}
    for parameters, message in (
        ({"n_states": 4, "width": 2}, "width: got 2, expected an odd integer"),
        ({"n_states": 4, "width": 5}, "width: got 5, expected less than n_states = 4"),
        ({"n_states": 100}, "n_states: got 100, expected a game whose largest table has at most 2e+07 entries"),
    ):
        with pytest.raises(InputError, match=re.escape(message)):
            games.make("narrow", **parameters)


@pytest.mark.parametrize("ranges", [{}, {"width": registry.COUNT, "height": registry.COUNT}])
def test_a_family_whose_parameters_and_ranges_differ_is_refused_when_it_is_entered(monkeypatch, ranges):
    monkeypatch.setattr(registry, "FAMILIES", dict(registry.FAMILIES))

    def narrow(*, n_states, width):
        return family_game("crowd_averse", n_states=n_states, coupling=width)

    with pytest.raises(TypeError, match=r"narrow: parameters and ranges differ in (width|height)"):
        registry.family(**ranges)(narrow)
    assert "narrow" not in registry.FAMILIES


@pytest.mark.parametrize("family", sorted(FAMILY_PARAMETERS))
@pytest.mark.parametrize(("n_states", "n_actions"), [(1, 1), (1, 3), (3, 1), (2, 2), (12, 5)])
def test_every_size_can_be_made(family, n_states, n_actions):
    game = family_game(family, n_states=n_states, n_actions=n_actions)
    assert (game.n_states, game.n_actions) == (n_states, n_actions)


@pytest.mark.parametrize(("n_states", "n_actions", "n_successors"), [(1, 1, 1), (5, 2, 1), (5, 3, 5), (300, 3, 7)])
@pytest.mark.parametrize("seed", range(3))
def test_a_sparse_crowd_has_as_many_successors_as_asked_for(n_states, n_actions, n_successors, seed):
    size = {"n_states": n_states, "n_actions": n_actions, "n_successors": n_successors}
    game = family_game("crowd_averse", **size, seed=seed, K_a=0.5)
    transition = game.base_transition
    assert (np.diff(transition.indptr) == n_successors).all()
    assert transition.has_canonical_format
    assert transition.data.min() >= 0.2 / n_successors * (1 - 1e-14)
    np.testing.assert_allclose(transition.sum(axis=1), 1.0, rtol=0, atol=1e-14)
    dense = transition.toarray().reshape(n_states, n_actions, n_states)
    # every policy visits every state: each has a way to the next
    assert (dense[np.arange(n_states), :, (np.arange(n_states) + 1) % n_states] > 0).all()
    # one rounding of a sum of distances
    assert np.abs(dense[:, :, None] - dense[:, None]).sum(axis=3).max() <= 0.5 * (1 + 1e-14)
    mean_field = np.random.default_rng(seed).dirichlet(np.ones(n_states))
    expected = game.base_reward - 2.0 * mean_field[:, None]
    np.testing.assert_allclose(game.reward(mean_field), expected, rtol=0, atol=1e-15)


def test_successors_left_out_leave_the_game_dense():
    assert not family_game("crowd_averse").is_sparse
    assert "n_successors" not in family_game("crowd_averse").parameters


# --- coordination


@pytest.mark.parametrize("n_states", [1, 2, 5])
def test_in_coordination_an_action_is_the_next_state_up_to_slips_and_a_state_is_worth_its_crowd(n_states):
    game = games.make("coordination", n_states=n_states, discount=0.5, attraction=-3.0, slip=0.25)
    mean_field = np.random.default_rng(0).dirichlet(np.ones(n_states))
    for s, a, y in np.ndindex(n_states, n_states, n_states):
        # sums of two terms
        expected = 0.75 * (y == a) + 0.25 / n_states
        assert game.transition(mean_field)[s, a, y] == pytest.approx(expected, rel=1e-15)
        assert game.reward(mean_field)[s, a] == pytest.approx(-3.0 * mean_field[s], rel=1e-15)


@pytest.mark.parametrize("attraction", [2.0, -2.0])
@pytest.mark.parametrize("regularizer", [Entropy(0.05), Entropy(1.0), Quadratic(0.2)], ids=str)
def test_everybody_going_everywhere_is_an_equilibrium_of_coordination(regularizer, attraction):
    game = family_game("coordination", attraction=attraction)
    uniform = operators.uniform_policy(game)
    found = equilibrium.residuals(game, uniform, np.full(4, 0.25), regularizer=regularizer)
    # rounding of values up to 2.5, over a strength of 0.05
    assert max(abs(residual) for residual in found.values()) < 1e-13


@pytest.mark.parametrize("attraction", [2.0, -5.0])
@pytest.mark.parametrize("n_states", [2, 3, 6])
def test_the_best_response_to_a_uniform_crowd_has_the_eigenvalues_of_the_closed_form(n_states, attraction):
    game = games.make("coordination", n_states=n_states, discount=0.7, attraction=attraction, slip=0.1)
    uniform = operators.uniform_policy(game)
    gain = 0.7 * 0.9**2 * attraction
    for regularizer, curvature in ((Entropy(0.3), 0.3 * n_states), (Quadratic(1.7), 1.7)):
        lead = gain / curvature
        expected = np.sort([lead] * (n_states - 1) + [0.0] * (n_states - 1) ** 2)
        found = np.linalg.eigvals(jacobian.jacobian(game, uniform, np.inf, regularizer=regularizer))
        # a symmetric matrix up to rounding: its eigenvalues are known to some eps
        np.testing.assert_allclose(np.sort(found.real), expected, rtol=0, atol=1e-12)
        assert np.abs(found.imag).max() < 1e-12
        for mirror, hessian in (("euclidean", 1.0), ("kl", n_states)):
            for step_size in (0.1, 2.0, 50.0):
                kappa = step_size * curvature / hessian
                matrix = jacobian.jacobian(game, uniform, step_size, regularizer=regularizer, mirror=mirror)
                mapped = np.sort((1 + kappa * expected) / (1 + kappa))
                np.testing.assert_allclose(np.sort(np.linalg.eigvals(matrix).real), mapped, rtol=0, atol=1e-12)


def pma_ends_near_the_uniform_policy(game, regularizer, mirror, step_size, n_iterations=600):
    policy = operators.uniform_policy(game) + 1e-5 * np.array([1.0, -1.0, 0.0])
    for _ in range(n_iterations):
        policy = operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer, mirror=mirror)
    return operators.policy_distance(policy, operators.uniform_policy(game)) < 1e-5


@pytest.mark.parametrize(("mirror", "hessian"), [("euclidean", 1.0), ("kl", 3.0)])
@pytest.mark.parametrize("regularizer", [Entropy(0.1), Quadratic(0.25)], ids=str)
def test_aversion_is_damped_below_exactly_the_step_size_of_the_closed_form(regularizer, mirror, hessian):
    game = games.make("coordination", n_states=3, discount=0.9, attraction=-1.5, slip=0.1)
    curvature = regularizer.curvature(np.array([1 / 3]))[0]
    lead = 0.9 * 0.9**2 * 1.5 / curvature
    assert lead > 1.5  # the best response overshoots
    threshold = 2.0 * hessian / (curvature * (lead - 1.0))  # kappa (lead - 1) = 2
    # 1 % below and above, the slowest mode changes by some 0.4 % per step, by a factor of ten in all
    assert pma_ends_near_the_uniform_policy(game, regularizer, mirror, 0.99 * threshold)
    assert not pma_ends_near_the_uniform_policy(game, regularizer, mirror, 1.01 * threshold)


@pytest.mark.parametrize("mirror", ["euclidean", "kl"])
@pytest.mark.parametrize("regularizer", [Entropy(0.1), Quadratic(0.3)], ids=str)
def test_coordination_is_lost_and_kept_on_either_side_of_the_eigenvalue_one(regularizer, mirror):
    critical = regularizer.curvature(np.array([1 / 3]))[0] / (0.9 * 0.9**2)
    for step_size in (0.5, 5.0, 500.0):
        for share in (0.9, 1.1):
            game = games.make("coordination", n_states=3, discount=0.9, attraction=share * critical, slip=0.1)
            kept = pma_ends_near_the_uniform_policy(game, regularizer, mirror, step_size / regularizer.rho)
            assert kept == (share < 1), (step_size, share)


COMMON = {"n_states": 3, "n_actions": 2, "discount": 0.9, "seed": 0}
BAD_KEYWORDS = {
    "unknown family": ("afine", {}, "family: got 'afine', expected one of affine, beach_bar, cluster, "),
    "unknown parameter": ("affine", {"K_my": 0.3}, "K_my: got 0.3, expected a parameter of affine: n_states, n_"),
    "parameter of another family": ("affine", {"coupling": 0.3}, "coupling: got 0.3, expected a parameter of affine"),
    "missing parameter": ("planted_smooth", {}, "strength: got nothing, expected a value (a number > 0)"),
    "boolean": ("affine", {"n_states": True}, "n_states: got True, expected an integer >= 1"),
    "boolean float": ("affine", {"K_mu": True}, "K_mu: got True, expected a number in [0, 2]"),
    "string": ("affine", {"discount": "0.9"}, "discount: got '0.9', expected a number in [0, 1)"),
    "none": ("affine", {"seed": None}, "seed: got None, expected an integer >= 0"),
    "fractional size": ("affine", {"n_states": 3.5}, "n_states: got 3.5, expected an integer >= 1"),
    "size as a float": ("affine", {"n_states": 3.0}, "n_states: got 3.0, expected an integer >= 1"),
    "no states": ("affine", {"n_states": 0}, "n_states: got 0, expected an integer >= 1"),
    "no actions": ("affine", {"n_actions": 0}, "n_actions: got 0, expected an integer >= 1"),
    "negative seed": ("affine", {"seed": -1}, "seed: got -1, expected an integer >= 0"),
    "discount of one": ("affine", {"discount": 1.0}, "discount: got 1.0, expected a number in [0, 1)"),
    "NaN": ("affine", {"L_s": float("nan")}, "L_s: got nan, expected a number >= 0"),
    "infinity": ("affine", {"L_s": float("inf")}, "L_s: got inf, expected a number >= 0"),
    "K above two": ("affine", {"K_s": 2.1}, "K_s: got 2.1, expected a number in [0, 2]"),
    "negative K": ("affine", {"K_a": -0.1}, "K_a: got -0.1, expected a number in [0, 2]"),
    "zero strength": ("planted_kinked", {"strength": 0}, "strength: got 0, expected a number > 0"),
    "no successors": ("crowd_averse", {"n_successors": 0}, "n_successors: got 0, expected an integer >= 1"),
    "more successors than states": ("crowd_averse", {"n_successors": 7}, "n_successors: got 7, expected at most n_st"),
    "successors in words": ("crowd_averse", {"n_successors": "2"}, "n_successors: got '2', expected an integer >= 1"),
    "infinite attraction": ("coordination", {"attraction": float("inf")}, "attraction: got inf, expected a number"),
    "certain to slip": ("coordination", {"slip": 1.5}, "slip: got 1.5, expected a number in [0, 1]"),
    "negative coupling": ("crowd_averse", {"coupling": -1}, "coupling: got -1, expected a number >= 0"),
}


@pytest.mark.parametrize(("family", "changes", "message"), BAD_KEYWORDS.values(), ids=BAD_KEYWORDS)
def test_a_bad_keyword_is_refused_by_name_value_and_what_is_allowed(family, changes, message):
    with pytest.raises(InputError, match="^" + re.escape(f"games.make: {message}")):
        games.make(
            family,
            **(
                {name: COMMON[name] for name in ("n_states", "discount")} | changes
                if family == "coordination"
                else COMMON | changes
            ),
        )


def test_keywords_can_be_checked_in_the_name_of_their_source():
    with pytest.raises(InputError, match=r"^config\.yaml: seed: got -1"):
        games.check_parameters("affine", COMMON | {"seed": -1}, "config.yaml")
    games.check_parameters("affine", COMMON)


#: For families whose parameters are required, or where the default does not let another parameter matter.
BASES: dict[str, dict[str, object]] = {
    **{name: {"n_states": 4, "n_actions": 3, "discount": 0.8, "seed": 1} for name in ("affine", "crowd_averse")},
    **{
        f"planted_{kind}": {"n_states": 4, "n_actions": 3, "discount": 0.8, "seed": 1, "strength": 0.1}
        for kind in ("smooth", "kinked")
    },
    "coordination": {"n_states": 3, "discount": 0.8, "attraction": 1.0},
    "planted_coupled": {
        "n_states": 4,
        "n_actions": 3,
        "discount": 0.8,
        "seed": 1,
        "strength": 0.1,
        "best_response_radius": 0.5,
    },
    "planted_rare": {
        "n_states": 4,
        "n_actions": 3,
        "discount": 0.8,
        "strength": 0.1,
        "best_response_radius": 0.5,
    },
    "garnet": {"n_states": 6},
}
#: Other values, of those that cannot be found by halving and adding one.
OTHERS = {
    **{"interaction": "cyclic", "n_successors": 2, "bar": 0, "coupling": 0.05, "n_targets": 1},
    **{"channel": "dynamics", "sign": "seeking", "link": "absolute"},
}


def every_parameter() -> list[tuple[str, str]]:
    return [(family, name) for family in games.families() for name in games.describe(family)["parameters"]]


def stored(game: games.MeanFieldGame) -> list[bytes]:
    """Return what is saved of a game's arrays."""
    tables = [game.base_transition, game.base_reward, game.transition_terms, game.reward_terms, np.array(game.discount)]
    for features in (game.transition_features, game.reward_features):
        tables += [features.weights, features.offsets, features.links, features.parameters]
    dense = (table.toarray() if issparse(table) else np.asarray(table) for table in tables)
    return [str(table.shape).encode() + table.tobytes() for table in dense]


@pytest.mark.parametrize(("family", "name"), every_parameter())
def test_no_parameter_is_without_effect(family, name):
    base = BASES.get(family, {})
    described = games.describe(family)["parameters"][name]
    value = base.get(name, described["default"])
    if name in OTHERS:
        other = OTHERS[name]
    elif isinstance(value, bool):
        other = not value
    elif isinstance(value, int) and name not in ("coupling", "attraction", "strength"):
        other = value + 1
    else:
        other = 0.5 * value if value else 0.5
    assert stored(games.make(family, **base)) != stored(games.make(family, **(base | {name: other})))


@pytest.mark.parametrize("strength", [0.03, 0.3, 30.0])
def test_no_bit_of_a_planted_game_depends_on_the_populations_that_need_not_be_computed(strength, monkeypatch):
    parameters = {"n_states": 4, "n_actions": 3, "discount": 0.9, "seed": 0, "strength": strength}
    quick = games.make("planted_smooth", **parameters)
    # the population of every scale is computed
    monkeypatch.setattr(sys.modules["pma_mfg.games.families"], "ROUNDING", np.inf)
    full = games.make("planted_smooth", **parameters)
    np.testing.assert_array_equal(quick.base_reward, full.base_reward)
    np.testing.assert_array_equal(quick.planted.policy, full.planted.policy)
    np.testing.assert_array_equal(quick.planted.mean_field, full.planted.mean_field)


@pytest.mark.parametrize("family", ["planted_smooth", "planted_kinked"])
def test_a_planted_coupling_is_reached_or_refused_with_the_largest_that_is_possible(family):
    base = BASES[family]
    for coupling in (0.5, 30.0):
        with pytest.raises(InputError, match=r"coupling: got .*, expected a number from 0 to 0\.\d+") as refused:
            games.make(family, **base, coupling=coupling)
    largest = float(str(refused.value).split("from 0 to ")[1].split(",")[0])
    full, most, half = (
        games.make(family, **base, **given) for given in ({}, {"coupling": largest}, {"coupling": largest / 2})
    )
    # it is told to 8 decimals
    np.testing.assert_allclose(most.reward_terms, full.reward_terms, rtol=0, atol=1e-8)
    np.testing.assert_allclose(half.reward_terms, 0.5 * most.reward_terms, rtol=0, atol=1e-15)
    inside = np.random.default_rng(0).dirichlet(np.full(4, 0.3), size=500)
    assert all(full.reward(mu).min() >= 0.0 and full.reward(mu).max() <= 1.0 for mu in [*np.eye(4), *inside])


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match=r"did you mean crowd_averse\?"):
        games.make("crowd_avers")
    with pytest.raises(InputError, match=r"got 0\.3, expected a parameter of .*; did you mean coupling\?"):
        games.make("crowd_averse", n_states=2, n_actions=2, discount=0.5, seed=0, couplin=0.3)


@pytest.mark.parametrize("family", ["malware_spread", "cournot_investment"])
def test_states_of_a_large_game_have_names_of_their_own(family):
    labels = games.make(family, n_states=1500).state_labels
    assert len(set(labels)) == 1500
