"""At the ends of every range a right answer or a clear error: never nan, never a warning (docs/theory, section 3.6).

Right is what fifty digits say (`high_precision`). A tolerance is EPS times the condition of the answer: slopes over
rho + 1/eta for a step, 1 / (1 - gamma) for values, 1 / (the share that leaves a state) for a stationary law.
"""

import itertools
from dataclasses import replace
from functools import partial

import mpmath
import numpy as np
import pytest
from mpmath import mpf
from tests import high_precision
from tests.references import curved_game, family_game, frozen_game, random_policy

from pma_mfg import equilibrium, jacobian, operators, solvers
from pma_mfg.equilibrium import solution
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games import Features
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning.schedules import Schedule
from pma_mfg.populations import deviators, finite_population, fluctuations, gap_constants
from pma_mfg.regularizers import Entropy, Quadratic, floors
from pma_mfg.simulation import agent_kernels, agents
from pma_mfg.simulation import exchangeable as simulation
from pma_mfg.theory import attraction, certificates, invariant_sets, lipschitz, prescription

EPS = float(np.finfo(float).eps)
KINDS = {"entropy": Entropy, "quadratic": Quadratic}
MIRRORS = ("euclidean", "kl")
STRENGTHS = STEP_SIZES = (1e-8, 1.0, 1e8)
MORE = (1e-8, 1e-6, 1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6, 1e8)
Q = {
    "no difference": [0.0, 0.0, 0.0],
    "of order one": [1.0, 0.3, -0.5],
    "tiny": [1e-12, 0.0, -2e-12],
    "huge": [1e12, 0.3e12, -1e12],
    "a huge tie": [1e12, 1e12, 0.0],
    "a far tie": [-1e12, -1e12, -1e12],
    "nearly a far tie": [1e4 + 1e-4, 1e4, 1e4 - 1e-3],
}
POLICIES = {
    "uniform": [1 / 3, 1 / 3, 1 / 3],
    "a vertex": [1.0, 0.0, 0.0],
    "next to a vertex": [1.0, 1e-300, 1e-8],
    "an edge": [0.5, 0.5, 0.0],
}

kinds = pytest.mark.parametrize("kind", KINDS)
mirrors = pytest.mark.parametrize("mirror", MIRRORS)


def distance(found, expected):
    """Return the largest difference of doubles and exact numbers."""
    return max(float(abs(mpf(float(x)) - y)) for x, y in zip(np.ravel(found), expected, strict=True))


def result_or_none(words, compute, *arguments, **more):
    """Return a result, or None where a clear error with these words said that there is none."""
    try:
        return compute(*arguments, **more)
    except (ConvergenceError, InputError) as error:
        if words not in str(error):
            raise
        return None


def flat(table):
    return [entry for row in table for entry in row]


def on_the_simplex(u):
    return bool((u >= 0.0).all() and np.abs(u.sum(axis=-1) - 1.0).max() <= 1e-12)


# --- regularizers


def step_tolerance(strength, q, step_size=np.inf):
    """Return 8 units in the last place of the slopes over rho + 1/eta; those of q count up to `floors.FAR`."""
    inverse = 1.0 / step_size
    return 8 * EPS * (2.0 + min(floors.FAR, np.abs(q).max() / (strength + inverse)))


def step_errors(kind, mirror, strengths, step_sizes):
    """Yield the case, the error and the tolerance of every proximal step of the grid."""
    for strength, step_size, (name, q), (start, policy) in itertools.product(
        strengths, step_sizes, Q.items(), POLICIES.items()
    ):
        found = KINDS[kind](strength).proximal_step(np.array(q), np.array(policy), step_size, mirror=mirror)
        expected = high_precision.step(kind, strength, q, policy, step_size, mirror)
        assert on_the_simplex(found), (strength, step_size, name, start, found)
        yield (strength, step_size, name, start), distance(found, expected), step_tolerance(strength, q, step_size)


@kinds
@mirrors
def test_proximal_steps_at_extremes_are_the_maximizers(kind, mirror):
    for case, error, tolerance in step_errors(kind, mirror, STRENGTHS, STEP_SIZES):
        assert error <= tolerance, case


@pytest.mark.long
@kinds
@mirrors
def test_proximal_steps_on_a_wide_grid_are_the_maximizers(kind, mirror):
    for case, error, tolerance in step_errors(kind, mirror, MORE, MORE):
        assert error <= tolerance, case


@kinds
def test_best_responses_at_extremes_are_the_maximizers(kind):
    for strength, (name, q) in itertools.product(MORE, Q.items()):
        h = KINDS[kind](strength)
        found, expected = h.best_response(np.array(q)), high_precision.step(kind, strength, q)
        assert on_the_simplex(found), (strength, name)
        assert distance(found, expected) <= step_tolerance(strength, q), (strength, name)
        # the optimum is a sum of terms of the size of q and h
        value = {"entropy": high_precision.entropy, "quadratic": high_precision.quadratic}[kind]
        with mpmath.workdps(high_precision.DIGITS):
            best = mpmath.fdot(expected, high_precision.row(q)) + value(mpf(strength), expected)
        assert abs(float(mpf(float(h.optimum(np.array(q)))) - best)) <= 8 * EPS * (np.abs(q).max() + 2 * strength)


@kinds
@pytest.mark.parametrize(("strength", "step_size"), [(1e-8, 1e8), (1.0, 1.0), (1e8, 1e-8), (1e-8, None)])
@pytest.mark.parametrize("share", [1e-6, 0.999])
def test_steps_under_a_floor_at_extremes_are_the_constrained_maximizers(kind, strength, step_size, share):
    h, uniform = KINDS[kind](strength), np.full(3, 1 / 3)
    floor = float(h.value(uniform)) - share * h.span(3)
    for name in ("of order one", "tiny", "huge", "a huge tie"):
        q = Q[name]
        row, start = np.array(q), np.array(POLICIES["a vertex"])
        if step_size is None:
            found, expected = h.best_response(row, floor), high_precision.step(kind, strength, q, floor=floor)
        else:
            found = h.proximal_step(row, start, step_size, floor=floor)
            expected = high_precision.step(kind, strength, q, start, step_size, floor=floor)
        assert on_the_simplex(found), name
        # h is known to some EPS of its size, and near its maximum it is flat: |u - uniform|^2 is known to EPS
        tolerance = 64 * EPS / np.sqrt(share) + step_tolerance(strength, q, step_size or np.inf)
        assert distance(found, expected) <= tolerance, name


@kinds
@pytest.mark.parametrize("strength", STRENGTHS)
def test_compiled_steps_at_extremes_are_the_maximizers(kind, strength):
    game = frozen_game(np.ones((1, 3, 1)), np.zeros((1, 3)), 0.5)
    rows = list(itertools.product(Q.values(), POLICIES.values()))
    policies = np.array([policy for _, policy in rows])[:, None]
    policies = policies / policies.sum(axis=2, keepdims=True)
    for step_size in (1e-8, 1.0, 1e8):
        h = KINDS[kind](strength)
        population = agents.initial_agents(game, len(rows), h, rng=np.random.default_rng(0), start=policies)
        population.q[:] = np.array([q for q, _ in rows])[:, None]
        kept = population.policies()
        agents.finish_epoch(game, population, h, step_size=step_size, share=0.0)
        found = population.policies()
        assert (found >= 0.0).all()
        assert (found.sum(axis=2) == 1.0).all()
        assert np.isfinite(population.values).all()
        for i, (q, _) in enumerate(rows):
            expected = high_precision.step(kind, strength, q, kept[i, 0], step_size)
            # cumulated probabilities are rounded to multiples of 2^-31
            tolerance = 1.01 / agent_kernels.UNITS + step_tolerance(strength, q, step_size)
            assert distance(found[i, 0], expected) <= tolerance, (q, kept[i, 0], step_size)


def test_compiled_and_plain_steps_centre_the_same_rows():
    assert agent_kernels.FAR == floors.FAR


@kinds
@pytest.mark.parametrize("strength", [1e-8, 1e8])
def test_derivatives_and_spans_at_extremes_are_numbers_or_infinite(kind, strength):
    h, u = KINDS[kind](strength), np.array([[1.0, 0.0, 0.0], [1.0, 1e-300, 5e-324], [1 / 3, 1 / 3, 1 / 3]])
    for values in (h.value(u), h.gradient(u), h.curvature(u)):
        assert not np.isnan(values).any()
    assert (h.curvature(u) >= h.rho).all()
    for actions, gap in itertools.product((1, 2, 3, 1000), (0.0, 1e-12, 1e-3, 1.0, 1e12)):
        assert 0.0 <= h.gradient_span(actions, gap) <= (np.inf if kind == "entropy" else strength)


# --- populations


def small_chains():
    """Return transitions (S, A, S) at the ends of what a chain can be, and the share that leaves a state at least."""
    rng = np.random.default_rng(0)
    plain = rng.dirichlet(np.ones(3), size=(3, 2))
    absorbing, unreachable = plain.copy(), plain.copy()
    absorbing[2] = [0.0, 0.0, 1.0]
    unreachable[:, :, 2] = 0.0
    unreachable /= unreachable.sum(axis=2, keepdims=True)
    cycle = np.zeros((3, 2, 3))
    cycle[[0, 1, 2], :, [1, 2, 0]] = 1.0
    found = {"plain": (plain, 0.1), "absorbing": (absorbing, 0.1), "unreachable": (unreachable, 0.1)}
    found |= {"a cycle": (cycle, 1.0), "one action": (plain[:, :1], 0.1)}
    found |= {"one state": (np.ones((1, 2, 1)), 1.0), "one of both": (np.ones((1, 1, 1)), 1.0)}
    for share in (1e-3, 1e-6, 1e-9):
        slow = (1.0 - share) * np.eye(3)[:, None] + share * rng.dirichlet(np.ones(3), size=(3, 2))
        found[f"leaving with {share:g}"] = slow, share
    return found


CHAINS = small_chains()
chains = pytest.mark.parametrize("name", CHAINS)


def extreme_policies(states, actions):
    vertex = np.eye(actions)[np.arange(states) % actions]
    inside = np.full((states, actions), 1.0 / actions)
    return {"uniform": inside, "vertex": vertex, "next to it": np.maximum(vertex, 1e-300)}


@chains
def test_stable_populations_at_extremes_are_the_stationary_laws(name):
    transition, share = CHAINS[name]
    game = frozen_game(transition, np.zeros(transition.shape[:2]), 0.5)
    for policy in extreme_policies(*transition.shape[:2]).values():
        found = operators.stable_population(game, policy)
        expected = high_precision.stationary(high_precision.kernel(transition, policy))
        assert on_the_simplex(found)
        # rows are known to EPS, next to what leaves; a few times that
        assert distance(found, expected) <= 1024 * EPS / share


@pytest.mark.parametrize("size", [1e-9, 1e-15, 1e-300])
def test_a_population_at_the_boundary_keeps_the_digits_of_its_small_entries(size):
    transition = np.array([[[1.0 - size, size]], [[0.5, 0.5]]])
    found = operators.stable_population(frozen_game(transition, np.zeros((2, 1)), 0.5), np.ones((2, 1)))
    expected = high_precision.stationary(high_precision.kernel(transition, np.ones((2, 1))))
    # one Newton step on the tangent space: rows that sum to one keep entries to EPS, not to EPS of themselves
    assert distance(found, expected) <= 4 * EPS


@pytest.mark.parametrize("curve", ["power", "log", "floored_log", "absolute"])
def test_populations_at_the_boundary_of_a_game_with_curved_links_are_fixed_points(curve):
    game = curved_game(curve)
    for mean_field in np.eye(4):
        for policy in extreme_policies(4, 3).values():
            updated = operators.population_update(game, mean_field, policy)
            assert on_the_simplex(updated)
            found = operators.stable_population(game, policy, start=mean_field)
            assert np.abs(operators.population_update(game, found, policy) - found).sum() <= 1e-13
            assert np.isfinite(operators.population_jacobian(game, mean_field, policy)).all()


@pytest.mark.parametrize("excess", [1e-8, -1e-8, 5e-6, np.nan])
def test_rows_that_miss_one_by_more_than_rounding_are_refused(excess):
    game = family_game("affine")
    policy = operators.uniform_policy(game)
    policy[1, 0] += excess
    with pytest.raises(InputError, match=r"policy: row 1.*: got .* rows of probabilities that sum to 1"):
        operators.stable_population(game, policy)


# --- values


SIZES = (1e-12, 1.0, 1e12)
DISCOUNTS = (0.0, 0.9, 0.9999)


def rewards_of(transition, size, seed=0):
    """Return rewards of a size, and the same rounded to halves of it, which tie, both away from zero."""
    reward = np.random.default_rng(seed).uniform(size=transition.shape[:2])
    return {"plain": size * (reward - 3.0), "tied": size * np.round(2.0 * reward) / 2.0}


def value_size(reward, regularizer, actions, discount):
    largest = float(np.abs(reward).max()) + (0.0 if regularizer is None else regularizer.span(actions))
    return (largest + (0.0 if regularizer is None else regularizer.strength)) / (1.0 - discount)


@chains
@pytest.mark.parametrize("iterative", [False, True], ids=["elimination", "iteration"])
def test_values_at_extremes_are_those_of_fifty_digits(name, iterative, monkeypatch):
    if iterative:
        monkeypatch.setattr(solvers, "DIRECT_SIZE", 0)
    transition, _ = CHAINS[name]
    for size, discount in itertools.product(SIZES, DISCOUNTS):
        reward = rewards_of(transition, size)["plain"]
        for policy in extreme_policies(*transition.shape[:2]).values():
            found = operators.q_of_decision_process(transition, reward, discount, policy=policy, regularizer=None)
            value = high_precision.values(transition, reward, discount, policy)
            expected = flat(high_precision.q_of(transition, reward, discount, value))
            # the condition of I - gamma P, at most 2 / (1 - gamma)
            tolerance = 16 * EPS * value_size(reward, None, 1, discount) / (1.0 - discount)
            assert distance(found, expected) <= tolerance, (size, discount)


REGULARIZERS = [None, *(kind(strength) for kind in KINDS.values() for strength in (1e-8, 1.0, 1e8))]


def gap_errors(name, sizes, discounts):
    """Yield the case, the exploitability, what it should be and the tolerance."""
    transition, _ = CHAINS[name]
    states, actions = transition.shape[:2]
    mean_field = np.full(states, 1.0 / states)
    for size, discount, regularizer in itertools.product(sizes, discounts, REGULARIZERS):
        kind = None if regularizer is None else type(regularizer).__name__.lower()
        strength = 1.0 if regularizer is None else regularizer.strength
        for (which, reward), (start, policy) in itertools.product(
            rewards_of(transition, size).items(), extreme_policies(states, actions).items()
        ):
            game = frozen_game(transition, reward, discount)
            found = equilibrium.exploitability(game, policy, regularizer, mean_field=mean_field)
            expected = high_precision.exploitability(transition, reward, discount, policy, mean_field, kind, strength)
            case = (size, discount, str(regularizer), which, start)
            # one-step advantages are known to EPS of the values, and summed up over 1 - gamma
            scale = value_size(reward, regularizer, actions, discount) / (1.0 - discount)
            yield case, found, expected, 16 * EPS * scale


@pytest.mark.parametrize("name", ["absorbing", "leaving with 1e-06", "one state", "one action"])
def test_exploitability_at_extremes_is_that_of_fifty_digits(name):
    for case, found, expected, tolerance in gap_errors(name, (1e-12, 1e12), (0.9999,)):
        assert abs(float(mpf(found) - expected)) <= tolerance, case


@pytest.mark.long
@chains
def test_exploitability_on_a_wide_grid_is_that_of_fifty_digits(name):
    for case, found, expected, tolerance in gap_errors(name, SIZES, DISCOUNTS):
        assert abs(float(mpf(found) - expected)) <= tolerance, case


# --- equilibria


def in_units(game, size, discount):
    """Return a game with its rewards times a size, and with another discount."""
    rewards = {name: size * getattr(game, name) for name in ("base_reward", "reward_terms")}
    return replace(game, discount=discount, planted=None, **rewards)


GAMES = {
    "smooth": family_game("planted_smooth", n_states=3, n_actions=2),
    "crowd": family_game("crowd_averse", n_states=3, n_actions=2),
    "coordination": family_game("coordination"),
    "one state": family_game("affine", n_states=1),
    "one action": family_game("affine", n_actions=1),
}


def certified(game, found, regularizer):
    """Return the residuals of an equilibrium in fifty digits: of its policy, and its exploitability over the values."""
    kind, strength = type(regularizer).__name__.lower(), regularizer.strength
    transition, reward = game.transition(found.mean_field), game.reward(found.mean_field)
    h = {"entropy": high_precision.entropy, "quadratic": high_precision.quadratic}[kind]
    value = high_precision.values(transition, reward, game.discount, found.policy, lambda u: h(mpf(strength), u))
    q = high_precision.q_of(transition, reward, game.discount, value)
    moved = 0.0
    with mpmath.workdps(high_precision.DIGITS):
        for s, row in enumerate(q):
            exact = [x - max(row) for x in row]  # doubles again: differences are known to EPS of themselves
            step = high_precision.step(kind, strength, [float(x) for x in exact], found.policy[s], 1.0 / strength)
            moved = max(moved, sum(abs(mpf(float(p)) - u) for p, u in zip(found.policy[s], step, strict=True)))
    gap = high_precision.exploitability(
        transition, reward, game.discount, found.policy, found.mean_field, kind, strength
    )
    return float(moved), float(gap)


def solved(name, size, discount, regularizer):
    """Return a solution's residuals and what they may be, or None where a clear error says that there is none."""
    game = in_units(GAMES[name], size, discount)
    words = "equilibrium.solve: no equilibrium found"
    if (found := result_or_none(words, equilibrium.solve, game, regularizer, max_iterations=300)) is None:
        return None
    assert on_the_simplex(found.policy)
    assert on_the_simplex(found.mean_field)
    assert np.isfinite(list(found.residuals.values())).all()
    moved, gap = certified(game, found, regularizer)
    tolerance = max(1e-12, min(solution.COARSEST, 64 * EPS * np.abs(found.q).max() / regularizer.rho))
    # a policy that is off by r in l1 loses r times the span of the slopes, and values are known to EPS, at every step
    slopes = float(np.ptp(found.q, axis=1).max()) + strength_of_values(regularizer, game)
    loss = 4 * tolerance * slopes + 64 * EPS * (np.abs(found.q).max() + strength_of_values(regularizer, game))
    # the solver's residual is that of a q known to EPS; what that moves may be more than the tolerance
    rounding = 4 * EPS * np.abs(found.q).max() / regularizer.rho
    return (moved, 2 * tolerance + rounding), (gap, loss / (1.0 - discount))


def strength_of_values(regularizer, game):
    """Return the size of h and of its slopes where they are finite."""
    return regularizer.span(game.n_actions) + regularizer.strength


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("size", [1e-12, 1e12])
@kinds
def test_equilibria_at_extremes_are_certified_by_fifty_digits_or_refused(name, size, kind):
    for strength in (1e-8, 1e8):
        if (outcome := solved(name, size, 0.9999, KINDS[kind](strength))) is not None:
            for found, allowed in outcome:
                assert found <= allowed, strength


@pytest.mark.long
@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("size", [1e-12, 1e-6, 1.0, 1e6, 1e12])
@kinds
def test_equilibria_on_a_wide_grid_are_certified_by_fifty_digits_or_refused(name, size, kind):
    for strength, discount in itertools.product((1e-8, 1e-4, 1.0, 1e4, 1e8), DISCOUNTS):
        if (outcome := solved(name, size, discount, KINDS[kind](strength))) is not None:
            for found, allowed in outcome:
                assert found <= allowed, (strength, discount)


def two_crowded_states(size):
    """Return a game in which everybody chooses the next state, one of which is a little better: both are visited."""
    return replace(
        frozen_game(0.1 + 0.8 * np.broadcast_to(np.eye(2), (2, 2, 2)), size * np.array([[0.0, 0.0], [0.3, 0.3]]), 0.9),
        reward_terms=-size * np.broadcast_to(np.eye(2)[:, :, None], (2, 2, 2)),
        reward_features=Features.build(np.eye(2)),
    )


@kinds
def test_a_regularizer_below_the_rounding_of_rewards_is_refused_and_not_solved_by_any_policy(kind):
    # 64 EPS |q| / rho is 1e7: that a residual of 2 is below it says nothing
    game, regularizer = two_crowded_states(1e12), KINDS[kind](1e-8)
    words = r"so weak, that policies are known to [\de+.]+ only"
    with pytest.raises(ConvergenceError, match="equilibrium.solve: no equilibrium found .*" + words):
        equilibrium.solve(game, regularizer, max_iterations=50)
    with pytest.raises(ConvergenceError, match=r"equilibrium\.from_population: no equilibrium found"):
        equilibrium.from_population(game, regularizer, np.array([0.9, 0.1]), max_iterations=20)
    # with a regularizer of the size of rewards it is a game like any other
    assert equilibrium.solve(game, KINDS[kind](1e12)).residuals["fixed_point_large_step"] < 1e-11


@pytest.mark.parametrize("strength", [1e-8, 1.0])
def test_ties_next_to_the_regularizer_end_policy_iteration(strength):
    # all actions equal in exact arithmetic: 1e12 / (1 - gamma) is rounded by more than the strength
    game = in_units(GAMES["coordination"], 1e12, 0.9999)
    for kind in KINDS.values():
        gap = equilibrium.exploitability(game, operators.uniform_policy(game), kind(strength))
        assert abs(gap) <= 64 * EPS * 1e16 / 1e-4


def test_an_equilibrium_of_large_rewards_is_saved_and_loaded(tmp_path):
    game, regularizer = in_units(GAMES["smooth"], 1e12, 0.9), Entropy(1e12)
    found = equilibrium.solve(game, regularizer)
    assert max(abs(found.residuals["bellman"]), abs(found.residuals["exploitability"])) > 1e-6  # of values near 1e13
    equilibrium.save(found, regularizer, tmp_path / "found.npz")
    np.testing.assert_array_equal(equilibrium.load(tmp_path / "found.npz", game)[0].policy, found.policy)
    other = replace(found, policy=random_policy(game, 0))
    equilibrium.save(other, regularizer, tmp_path / "other.npz")
    with pytest.raises(InputError, match=r"residuals: got .* an equilibrium of this very game"):
        equilibrium.load(tmp_path / "other.npz", game)


# --- derivatives, constants, certificates


@pytest.mark.parametrize("name", GAMES)
@kinds
def test_jacobians_at_extremes_are_finite_or_refused(name, kind):
    for size, strength, step_size in itertools.product((1e-12, 1e12), (1e-8, 1e8), (1e-8, 1e8, np.inf)):
        game, regularizer = in_units(GAMES[name], size, 0.9999), KINDS[kind](strength)
        for start, policy in extreme_policies(game.n_states, game.n_actions).items():
            matrix = jacobian.jacobian(game, policy, step_size, regularizer=regularizer)
            assert np.isfinite(matrix).all(), (size, strength, step_size, start)
            if policy.min() >= lipschitz.LEAST_KL:
                assert np.isfinite(
                    jacobian.jacobian(game, policy, step_size, regularizer=regularizer, mirror="kl")
                ).all()
            else:
                with pytest.raises(InputError, match=r"jacobian.jacobian: policy: got .* of 1e-290 or more"):
                    jacobian.jacobian(game, policy, step_size, regularizer=regularizer, mirror="kl")


@pytest.mark.parametrize("name", GAMES)
@kinds
def test_bounds_at_extremes_are_numbers_or_infinite(name, kind):
    for size, strength in itertools.product((1e-12, 1e12), (1e-8, 1e8)):
        game, regularizer = in_units(GAMES[name], size, 0.9999), KINDS[kind](strength)
        case = (size, strength)
        uniform = operators.uniform_policy(game)
        for mirror in MIRRORS:
            found = invariant_sets.invariant_set(game, regularizer, mirror)
            assert not any(np.isnan(value).any() for value in vars(found).values()), case
            best = regularizer.best_response(
                operators.q_values(game, uniform, np.full(game.n_states, 1.0 / game.n_states))
            )
            for rate in attraction.attraction(
                game, regularizer, [1e-8, 1e8, np.inf], equilibrium=best, mirror=mirror, found=found
            ):
                assert 0.0 <= rate < 1.0 or rate == np.inf, case
            for step_size in (1e-8, 1e8):
                assert (
                    certificates.certificate(game, regularizer, step_size, mirror=mirror, found=found).L_gamma >= 0.0
                ), case
        for step_size in (1e-8, 1e8):
            assert not any(
                np.isnan(value) for value in vars(lipschitz.contraction_bound(game, regularizer, step_size)).values()
            )
            least = invariant_sets.least_probability(game, regularizer, step_size)
            assert 0.0 <= least <= 1.0 / game.n_actions * (1.0 + EPS), case
            if kind == "entropy":
                words = "prescription.theorem_schedule: "
                schedule = result_or_none(
                    words, prescription.theorem_schedule, game, regularizer, step_size, epsilon=0.1
                )
                assert schedule is None or schedule.n_samples >= 1


@pytest.mark.parametrize("discount", [0.9, 0.9999, 1.0 - 1e-9])
def test_bounds_are_raised_by_more_than_their_rounding(discount):
    # two states, one of which is hardly left: delta next to 1, and 1 - gamma delta of the size of its rounding
    rng = np.random.default_rng(0)
    for _ in range(50):
        off = 1e-10 * rng.uniform(size=(2, 2))
        transition = np.stack([1.0 - off, off], axis=2)
        transition[1] = transition[1, :, ::-1]
        game = frozen_game(transition, rng.uniform(size=(2, 2)), discount)
        found = invariant_sets._facts(game, Entropy(1.0), (np.zeros(2), np.ones(2), np.ones(2)), np.zeros(2))
        rows = [[mpf(float(p)) for p in row] for row in transition.reshape(4, 2)]
        reward = [mpf(float(r)) for r in game.base_reward.ravel()]
        with mpmath.workdps(50):
            delta = max(sum(abs(x - y) for x, y in zip(a, b, strict=True)) / 2 for a in rows for b in rows)
            value_span = (max(reward) - min(reward) + mpmath.log(2)) / (1 - mpf(discount) * min(delta, mpf(1)))
            for s in range(2):
                steering = sum(abs(x - y) for x, y in zip(rows[2 * s], rows[2 * s + 1], strict=True))
                exact = abs(reward[2 * s] - reward[2 * s + 1]) + mpf(discount) * steering * value_span / 2
                assert found.q_span[s] >= exact


# --- large populations


def test_the_covariance_of_fluctuations_at_extremes_is_that_of_fifty_digits():
    for name in ("plain", "absorbing", "one action", "one state", "leaving with 0.001", "leaving with 1e-06"):
        transition, share = CHAINS[name]
        states, actions = transition.shape[:2]
        game = frozen_game(transition, np.zeros((states, actions)), 0.5)
        policy = extreme_policies(states, actions)["next to it"]
        found = fluctuations.stationary_covariance(game, policy)
        # independent agents: the covariance of one agent's place
        law = high_precision.stationary(high_precision.kernel(transition, policy))
        expected = [law[i] * ((i == j) - law[j]) for i in range(states) for j in range(states)]
        # stationary laws as above, and once more a system with the condition 1 / share
        assert distance(found, expected) <= 4096 * EPS / share, name


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("n_agents", [2, 10**9])
def test_what_large_populations_learn_at_extremes_is_finite_or_refused(name, n_agents):
    for size, strength in itertools.product((1e-12, 1e12), (1e-8, 1e8)):
        game, regularizer = in_units(GAMES[name], size, 0.9999), Entropy(strength)
        for policy in extreme_policies(game.n_states, game.n_actions).values():
            for compute, *more in (
                (partial(fluctuations.large_population_q, regularizer=regularizer), n_agents),
                (fluctuations.smooth_bias, regularizer),
                (fluctuations.kinked_bias,),
                (gap_constants.regularized_gap_constant, regularizer),
            ):
                found = result_or_none("fluctuations: ", compute, game, policy, *more)
                assert found is None or np.isfinite(found).all()


def game_with_an_empty_state():
    """Return a game with mean-field rewards whose first state is left for good."""
    game = family_game("crowd_averse", n_states=2, n_actions=2)
    return replace(game, base_transition=np.broadcast_to([0.0, 1.0], (2, 2, 2)).copy())


def test_states_that_nobody_visits_have_no_features_and_no_measured_q():
    game = game_with_an_empty_state()
    policy = random_policy(game, 0)
    for centre in ([0.5, 0.5], [0.1, 0.9], [1e-12, 1.0 - 1e-12], [0.0, 1.0]):
        rng = np.random.default_rng(0)
        averages = simulation.ergodic_averages(
            game, policy, 2, n_steps=50, rng=rng, n_burn_in=10, centre=np.array(centre)
        )
        assert np.isnan(averages.reward_features[0]).all()
        assert np.isfinite(averages.reward_features[1]).all()
    with pytest.raises(InputError, match=r"mean field: got 0\.0, expected a policy under which every state is visited"):
        fluctuations.measured_q(game, policy, Entropy(1.0), averages=averages)


# --- simulation and learning


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (3, 1), (3, 2)])
@pytest.mark.parametrize("n_agents", [2, 10**9])
@pytest.mark.parametrize("strength", [1e-8, 1e8])
def test_learning_at_extremes_stays_in_its_range(shape, n_agents, strength):
    for size, discount in itertools.product((1e-12, 1e12), (0.0, 0.9999)):
        game = in_units(family_game("affine", n_states=shape[0], n_actions=shape[1]), size, discount)
        regularizer = Entropy(strength)
        schedule = Schedule(3, 20, 1, 1e8 if strength < 1 else 1e-8, 1e8, 1e8)
        policies = learning.centralized(game, n_agents, regularizer, schedule=schedule, rng=np.random.default_rng(0))
        assert on_the_simplex(policies)
        # no target is larger in size, up to rounding, and every share is in [0, 1]
        largest = max(map(abs, lipschitz.reward_range(game)))
        highest = (largest + regularizer.span(shape[1])) / (1.0 - discount) * (1.0 + 1e-12)
        for scale, offset in ((1e8, 1e8), (1e-8, 1e-8), (1e-8, 1e8), (1.0, 1.0)):
            q = learning.ctd(
                game,
                policies[-1],
                n_agents,
                regularizer=regularizer,
                n_updates=20,
                n_waiting=1,
                td_scale=scale,
                td_offset=offset,
                rng=np.random.default_rng(1),
            )
            assert np.isfinite(q).all()
            assert np.abs(q).max() <= highest
        if n_agents == 2:
            population = learning.independent(game, 2, regularizer, schedule=schedule, rng=np.random.default_rng(0))
            assert on_the_simplex(population.policies())
            assert np.isfinite(population.q).all()


@pytest.mark.parametrize("step", [(1e-8, 1e8), (1e-8, 1e-8), (1.0, 1.0), (1e8, 1e8), (3.0, 1e8)])
def test_one_td_update_with_an_extreme_step_is_that_of_fifty_digits(step):
    scale, offset = step
    for size in (1e-12, 1e12):
        game = in_units(family_game("affine", n_states=3, n_actions=2), size, 0.9999)
        policy, start = random_policy(game, 0), size / 7.0
        for seed in range(5):
            rng = np.random.default_rng(seed)
            population = simulation.initial_population(game, 5, rng)
            (s, a), others = population.tagged.copy(), population.others.copy()
            mean_field = (others + np.eye(3)[s]) / 5
            q = learning.ctd(
                game,
                policy,
                5,
                regularizer=Entropy(1.0),
                n_updates=1,
                n_waiting=0,
                td_scale=scale,
                td_offset=offset,
                rng=rng,
                population=population,
                start=start,
            )
            entropy = float(Entropy(1.0).value(policy[population.tagged[0]]))
            with mpmath.workdps(50):
                target = mpf(float(game.reward(mean_field)[s, a])) + mpf(0.9999) * (mpf(start) + mpf(entropy))
                expected = mpf(start) + mpf(scale) / mpf(offset) * (target - mpf(start))
            assert abs(float(mpf(float(q[s, a])) - expected)) <= 8 * EPS * (size + 1.0)
            q[s, a] = start
            assert (q == start).all()


@pytest.mark.parametrize(
    ("scale", "offset", "start", "field"),
    [
        (2.0, 1.0, 0.0, "td_offset"),
        (0.0, 1.0, 0.0, "td_scale"),
        (np.inf, np.inf, 0.0, "td_scale"),
        (np.nan, 1.0, 0.0, "td_scale"),
        (1.0, np.nan, 0.0, "td_offset"),
        (1.0, 1.0, np.nan, "start"),
    ],
)
def test_td_steps_with_which_estimates_would_grow_are_refused(scale, offset, start, field):
    game = family_game("affine")
    with pytest.raises(InputError, match=rf"learning.ctd: {field}: got"):
        learning.ctd(
            game,
            random_policy(game, 0),
            5,
            regularizer=Entropy(1.0),
            n_updates=1,
            n_waiting=0,
            td_scale=scale,
            td_offset=offset,
            rng=np.random.default_rng(0),
            start=start,
        )


@pytest.mark.parametrize("n_agents", [2, 3, 10**9, 10**15])
def test_counts_move_where_probability_is_extreme(n_agents):
    # next to nobody leaves, and rounding leaves nobody over
    for small in (0.0, 1e-300, 1e-17, 1e-9):
        transition = np.array([[[1.0 - small, small, 0.0]], [[0.0, 1.0, 0.0]], [[small, 0.0, 1.0 - small]]])
        game = frozen_game(transition, np.zeros((3, 1)), 0.5)
        averages = simulation.ergodic_averages(
            game,
            np.ones((3, 1)),
            n_agents,
            n_steps=20,
            rng=np.random.default_rng(0),
            n_burn_in=0,
            centre=np.array([1.0, 0.0, 0.0]),
        )
        assert averages.mean_field.sum() == pytest.approx(1.0, abs=1e-14)
        assert averages.mean_field[2] == 0.0
        if small * n_agents < 1e-5:  # of 20 steps, with a false alarm below 1e-3, and a fixed seed
            assert averages.mean_field[0] == 1.0


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1)])
def test_two_agents_in_the_smallest_games_are_solved_exactly(shape):
    game = family_game("affine", n_states=shape[0], n_actions=shape[1])
    policy = operators.uniform_policy(game)
    for strength in (1e-8, 1e8):
        assert np.isfinite(finite_population.learning_limit(game, policy, 2, regularizer=Entropy(strength))).all()
        assert np.isfinite(deviators.nash_gap(game, policy, 2, regularizer=Entropy(strength)))
