"""Exact iterations are what their equations say, endings are told apart, and C2's predictions hold on solved games."""

from itertools import islice, pairwise

import numpy as np
import pandas as pd
import pytest
from tests.references import family_game, left_eigenvector, random_policy

from pma_mfg import equilibrium, games, iterations, jacobian, operators
from pma_mfg.errors import InputError
from pma_mfg.regularizers import Entropy, Quadratic
from pma_replication.experiments.basins import measure as basins_measure
from pma_replication.experiments.dynamics import measure as dynamics_measure
from pma_replication.experiments.orbit import measure as orbit_measure

CROWD = {"n_states": 4, "n_actions": 3, "discount": 0.9, "seed": 1, "coupling": 4.0}


def orbit_of(method, game, regularizer, start, step_size, n):
    return list(islice(iterations.iteration(method, game, regularizer, start=start, step_size=step_size), n + 1))


# --- the iterations


@pytest.mark.parametrize("method", iterations.METHODS)
@pytest.mark.parametrize("regularizer", [Entropy(0.3), Quadratic(2.0)], ids=str)
def test_every_method_starts_at_its_start_and_stays_at_an_equilibrium(method, regularizer):
    game = family_game("affine")
    start = random_policy(game, 0)
    policies = orbit_of(method, game, regularizer, start, 0.5, 3)
    # fictitious play multiplies by the population and divides by it
    np.testing.assert_allclose(policies[0], start, rtol=1e-14)
    assert operators.policy_distance(policies[1], start) > 1e-3
    found = equilibrium.solve(game, regularizer).policy
    for policy in orbit_of(method, game, regularizer, found, 0.5, 5):
        assert operators.policy_distance(policy, found) < 1e-10  # solved to 1e-12


def test_an_unknown_method_is_refused():
    game = family_game("affine")
    with pytest.raises(InputError, match=r"method: got 'q_learning', expected one of pma_euclidean, "):
        iterations.iteration("q_learning", game, Entropy(1.0), start=operators.uniform_policy(game), step_size=1.0)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_mirror_descent_with_the_entropy_is_pma_with_kl_at_a_larger_step(share):
    game, tau = games.make("crowd_averse", **CROWD), 0.2
    explicit, implicit = share / tau, share / (1 - share) / tau
    start = random_policy(game, 3)
    for one, other in zip(
        orbit_of("online_mirror_descent", game, Entropy(tau), start, explicit, 20),
        orbit_of("pma_kl", game, Entropy(tau), start, implicit, 20),
        strict=True,
    ):
        # rounding of logarithms over tau, not expanded by an iteration that converges
        assert operators.policy_distance(one, other) < 1e-10


def test_mirror_descent_with_the_quadratic_is_another_iteration_than_pma_to_second_order():
    game, regularizer, start = family_game("affine"), Quadratic(2.0), random_policy(family_game("affine"), 3)
    gaps = []
    for eta in (1e-2, 1e-3):
        one, other = (orbit_of(m, game, regularizer, start, eta, 1)[1] for m in ("online_mirror_descent", "pma_kl"))
        gaps.append(operators.policy_distance(one, other))
    assert gaps[0] / gaps[1] == pytest.approx(100, rel=0.1)  # higher orders in 1e-2


def test_the_averaged_policy_of_fictitious_play_has_the_averaged_mean_field_where_dynamics_are_free_of_it():
    game, regularizer = games.make("crowd_averse", **CROWD), Entropy(0.05)
    start = random_policy(game, 0)
    played, mean_fields = [start], [operators.stable_population(game, start)]
    averaged = orbit_of("fictitious_play", game, regularizer, start, np.nan, 6)
    for k in range(1, 7):
        mean_field = np.mean(mean_fields, axis=0)
        played.append(
            equilibrium.best_response(
                game.transition(mean_field), game.reward(mean_field), 0.9, regularizer=regularizer
            )
        )
        mean_fields.append(operators.stable_population(game, played[-1]))
        weights = np.array(mean_fields)[:, :, None]
        by_hand = (weights * np.array(played)).sum(axis=0) / weights.sum(axis=0)
        # sums of a few terms, policies known to rounding over tau
        np.testing.assert_allclose(averaged[k], by_hand, rtol=0, atol=1e-12)
        kernel = np.einsum("sa,say->sy", averaged[k], game.base_transition)
        np.testing.assert_allclose(left_eigenvector(kernel), np.mean(mean_fields, axis=0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("tau", [0.05, 0.3])
def test_fictitious_play_approaches_as_one_over_k_whether_or_not_best_response_cycles(tau):
    game, regularizer = games.make("crowd_averse", **CROWD), Entropy(tau)
    found = equilibrium.solve(game, regularizer).policy
    policies = orbit_of("fictitious_play", game, regularizer, random_policy(game, 0), np.nan, 400)
    k = np.arange(100, 401)
    distances = [operators.policy_distance(policies[i], found) for i in k]
    # slower than geometric, and 1/k up to the modes that die faster
    assert np.polyfit(np.log(k), np.log(distances), 1)[0] == pytest.approx(-1, abs=0.1)


@pytest.mark.parametrize("regularizer", [Entropy(0.2), Quadratic(4.0)], ids=str)
@pytest.mark.parametrize("family", ["crowd_averse", "affine", "planted_smooth"])
def test_one_step_and_full_best_response_share_their_nonzero_eigenvalues_at_an_equilibrium(family, regularizer):
    game = family_game(family)
    found = equilibrium.solve(game, regularizer)
    assert (found.policy > 1e-6).all()
    basis = jacobian.tangent_basis(game.n_states)

    def reply(mean_field):
        transition, reward = game.transition(mean_field), game.reward(mean_field)
        best = equilibrium.best_response(transition, reward, game.discount, regularizer=regularizer)
        return operators.stable_population(game, best)

    step = 1e-5
    differences = [
        (reply(found.mean_field + step * x) - reply(found.mean_field - step * x)) / (2 * step) for x in basis
    ]
    full = np.linalg.eigvals(np.array(differences) @ basis.T)
    one_step = np.linalg.eigvals(jacobian.jacobian(game, found.policy, np.inf, regularizer=regularizer))
    largest = one_step[np.argsort(-np.abs(one_step))][: game.n_states - 1]
    # rounding 1e-13 / 1e-5 of differences; coefficients of the characteristic polynomial do not depend on the order
    np.testing.assert_allclose(np.poly(full), np.poly(largest), rtol=0, atol=1e-6)
    assert np.abs(np.sort(np.abs(one_step))[: -(game.n_states - 1)]).max() < 1e-7


# --- endings


def orbit_from(angles):
    """Return policies of one state and three actions on a circle in the simplex, at these angles."""
    angles = np.asarray(angles)[:, None] + 2 * np.pi / 3 * np.arange(3)
    return (1 / 3 + 0.2 * np.cos(angles))[:, None, :]


N_TAIL = 2 * iterations.LONGEST_PERIOD


@pytest.mark.parametrize("period", [2, 3, 8, 31, iterations.LONGEST_PERIOD])
def test_a_cycle_is_found_with_its_smallest_period(period):
    turns = 1 + period // 2 if np.gcd(1 + period // 2, period) == 1 else 1
    assert iterations.ending(orbit_from(2 * np.pi * turns / period * np.arange(N_TAIL))) == ("cycle", period)


def test_a_period_too_long_for_the_tail_is_no_cycle():
    angles = 2 * np.pi / (iterations.LONGEST_PERIOD + 1) * np.arange(N_TAIL)
    assert iterations.ending(orbit_from(angles)) == ("neither", 0)


def test_a_quasi_periodic_orbit_is_neither():
    golden = np.pi * (3 - np.sqrt(5))
    for n in (N_TAIL, 10 * N_TAIL):
        assert iterations.ending(orbit_from(golden * np.arange(n))) == ("neither", 0)
    # close to period 2, and drifting
    assert iterations.ending(orbit_from((np.pi + 1e-4) * np.arange(N_TAIL))) == ("neither", 0)


@pytest.mark.parametrize(
    ("rate", "ends"), [(0.5, "converged"), (-0.6, "converged"), (0.999, "neither"), (-0.999, "neither")]
)
def test_an_orbit_converges_once_it_has_settled_and_a_slow_oscillation_is_no_cycle(rate, ends):
    angles = rate ** np.arange(N_TAIL)
    assert iterations.ending(orbit_from(angles))[0] == ends


def test_a_short_orbit_that_has_not_settled_is_neither():
    assert iterations.ending(orbit_from([0.0, 1.0])) == ("neither", 0)


@pytest.mark.parametrize(
    ("iteration", "expected"), [(0, True), (99, True), (101, False), (110, True), (1230, False), (1300, True)]
)
def test_measured_iterations_have_two_digits(iteration, expected):
    assert dynamics_measure.two_digits(iteration) == expected


def test_a_run_reports_exact_measures_and_only_the_iterations_time():
    game, regularizer = games.make("crowd_averse", **CROWD), Entropy(0.3)
    found = equilibrium.solve(game, regularizer).policy
    start = random_policy(game, 0)
    seen = dynamics_measure.run(
        iterations.pma(game, regularizer, start, step_size=5.0), game, regularizer, reference=found, max_iterations=500
    )
    assert (seen.outcome.ending, seen.outcome.period, seen.outcome.amplitude) == ("converged", 1, 0.0)
    assert seen.history["iteration"].iloc[-1] == seen.iterations < 100
    for k, policy in enumerate(islice(iterations.pma(game, regularizer, start, step_size=5.0), 5)):
        row = seen.history.iloc[k]
        assert row["distance"] == operators.policy_distance(policy, found)
        assert row["exploitability"] == equilibrium.exploitability(game, policy, regularizer)
    assert seen.history["seconds"].is_monotonic_increasing
    assert seen.history["distance"].iloc[-1] < orbit_measure.ARRIVED


def test_a_cycling_best_response_is_reported_with_the_width_of_its_cycle():
    game, regularizer = games.make("crowd_averse", **CROWD), Entropy(0.1)
    found = equilibrium.solve(game, regularizer).policy
    seen = dynamics_measure.run(
        iterations.pma(game, regularizer, random_policy(game, 0), step_size=np.inf),
        game,
        regularizer,
        reference=found,
        max_iterations=500,
    )
    assert (seen.outcome.ending, seen.outcome.period) == ("cycle", 2)
    ends = [operators.stable_population(game, policy) for policy in seen.policies[-2:]]
    assert seen.outcome.amplitude == pytest.approx(np.abs(ends[0] - ends[1]).sum(), rel=1e-12)
    assert seen.outcome.amplitude > 0.5
    back = operators.best_response_step(
        game, operators.best_response_step(game, seen.policies[-1], regularizer), regularizer
    )
    assert operators.policy_distance(back, seen.policies[-1]) < 1e-6


# --- step sizes


@pytest.mark.parametrize("method", ["pma_euclidean", "pma_kl", "online_mirror_descent"])
@pytest.mark.parametrize("tau", [0.05, 0.3])
def test_the_predicted_rate_is_the_observed_one_and_no_step_size_on_the_grid_is_predicted_faster(method, tau):
    game, regularizer = games.make("crowd_averse", **CROWD), Entropy(tau)
    found = equilibrium.solve(game, regularizer).policy
    eta, rate = iterations.step_size(method, game, regularizer, policy=found)
    policies = orbit_of(method, game, regularizer, 0.99 * found + 0.01 * random_policy(game, 0), eta, 40)
    distances = np.array([operators.policy_distance(policy, found) for policy in policies])
    late = np.flatnonzero((distances < 1e-4) & (distances > 1e-11))
    observed = (distances[late[-1]] / distances[late[0]]) ** (1 / (late[-1] - late[0]))
    # at the best step size two modes have the same modulus, and interfere over some twenty iterations
    assert observed == pytest.approx(rate, rel=0.15)
    if method.startswith("pma"):
        for multiple in (0.5, 2.0):
            matrix = jacobian.jacobian(
                game, found, multiple * eta, regularizer=regularizer, mirror=method.removeprefix("pma_")
            )
            assert jacobian.spectral_radius(matrix) > rate


def test_methods_without_a_step_size_say_so():
    game, regularizer = games.make("crowd_averse", **CROWD), Entropy(0.1)
    found = equilibrium.solve(game, regularizer).policy
    eta, rate = iterations.step_size("best_response", game, regularizer, policy=found)
    assert (eta, rate > 1) == (np.inf, True)
    assert np.isnan(iterations.step_size("fictitious_play", game, regularizer, policy=found)).all()
    assert iterations.step_size("pma_kl", game, regularizer, policy=found, share=0.25)[0] == pytest.approx(
        0.25 * iterations.step_size("pma_kl", game, regularizer, policy=found)[0], rel=1e-15
    )


# --- the experiments


def test_methods_are_compared_from_the_same_starts():
    game, regularizer = games.make("crowd_averse", **CROWD), Entropy(0.1)
    found = equilibrium.solve(game, regularizer).policy
    tables = dynamics_measure.compare(game, regularizer, found, name="crowd", n_starts=2, max_iterations=150, seed=0)
    first = tables["histories"].query("iteration == 0").pivot_table(index="start", columns="method", values="distance")
    assert (first.max(axis=1) - first.min(axis=1) < 1e-12).all()
    assert first[first.columns[0]].nunique() == 2
    outcomes = tables["outcomes"].set_index(["method", "start"])
    assert set(outcomes.loc["best_response", "ending"]) == {"cycle"}
    assert outcomes.loc["best_response", "iterations_to_accuracy"].isna().all()
    for method in ("pma_euclidean", "pma_kl", "online_mirror_descent"):
        assert set(outcomes.loc[method, "ending"]) == {"converged"}
        assert (outcomes.loc[method, "iterations_to_accuracy"] < 100).all()
    orbits = tables["orbits"]
    assert (orbits.groupby(["method", "part", "iteration"])["mean_field"].sum() - 1).abs().max() < 1e-12
    again = dynamics_measure.compare(game, regularizer, found, name="crowd", n_starts=2, max_iterations=150, seed=0)
    for name in ("histories", "outcomes", "orbits"):
        pd.testing.assert_frame_equal(tables[name], again[name], check_exact=True)
    assert (tables["seconds"]["seconds"] > 0).all()


def test_damping_finds_the_strength_below_which_only_pma_converges():
    game = games.make("coordination", n_states=2, discount=0.9, attraction=-1.0, slip=0.1)
    critical = 0.9 * 0.9**2 / 2  # the closed form: lambda = -1
    strengths = [1.3 * critical, 0.7 * critical]
    table, attractors = orbit_measure.damping(
        game, Entropy(1.0), "aversion", strengths=strengths, shares=[0.5, 1.0], n_starts=3, max_iterations=400, seed=0
    )
    radii = table.groupby("strength")["best_response_radius"].first()
    assert radii[strengths[0]] == pytest.approx(1 / 1.3, rel=1e-9)
    assert radii[strengths[1]] == pytest.approx(1 / 0.7, rel=1e-9)
    arrived = table.groupby(["strength", "method"])["arrived"].mean()
    assert arrived[strengths[0]].eq(1).all()
    assert arrived[strengths[1]].to_dict() == {"best_response": 0.0, "pma_euclidean": 1.0, "pma_kl": 1.0}
    tail = attractors.query("part == 'tail'").groupby("strength")["iteration"].nunique()
    assert (tail[strengths[0]], tail[strengths[1]]) == (1, 2)  # a point, and a cycle of two


def test_damping_asks_about_the_planted_equilibrium_where_a_game_has_several():
    wanted = {"strength": 0.1, "best_response_radius": 1.5, "channel": "rewards", "sign": "seeking"}
    game = games.make("planted_coupled", n_states=5, n_actions=3, discount=0.8, seed=0, **wanted)  # type: ignore[arg-type]
    table, attractors = orbit_measure.damping(
        game, Entropy(0.1), "seeking", strengths=[0.3, 0.1], shares=[0.3], n_starts=1, max_iterations=200, seed=0
    )
    here = table[table["strength"] == 0.1]
    assert here["best_response_radius"].to_numpy() == pytest.approx(1.5, rel=1e-8)
    assert (here["predicted_rate"] > 1.0).all()  # an eigenvalue above 1: no step helps
    assert not here["arrived"].any()
    population = attractors.query("part == 'equilibrium' and strength == 0.1")["mean_field"]
    assert population.to_numpy() == pytest.approx(game.planted.mean_field, abs=1e-12)


def test_basins_leave_the_symmetric_equilibrium_of_a_coordination_game_for_the_gathering_ones():
    game, regularizer = games.make("coordination", n_states=3, discount=0.9, attraction=1.0), Entropy(0.1)
    uniform = operators.uniform_policy(game)
    tables = basins_measure.basins(
        game, regularizer, uniform, name="gather", step_sizes=[1.0, 100.0], n_starts=4, max_iterations=500, seed=0
    )
    departures = tables["departures"]
    lead = 0.9 * 0.9**2 / (0.1 * 3)
    assert departures["best_response_lead"].to_numpy() == pytest.approx(lead, rel=1e-9)
    for (mirror, eta), rows in departures.groupby(["mirror", "step_size"]):
        kappa = eta * 0.1 * (3 if mirror == "euclidean" else 1)
        assert rows["radius"].iloc[0] == pytest.approx((1 + kappa * lead) / (1 + kappa), rel=1e-9)
        assert rows["left"].all()
    several = tables["several"]
    assert several["exploitability"].abs().max() < 1e-12  # rounding of values up to 10
    crowds = several.groupby("equilibrium")["mean_field"].max()
    assert crowds[0] == pytest.approx(1 / 3, rel=1e-12)
    assert (crowds[1:] > 0.9).all()
    assert set(tables["basins"]["equilibrium"]) == set(crowds.index[1:])
    stable = several.groupby("equilibrium")["best_response_lead"].first() < 1
    assert list(stable) == [False] + [True] * (len(stable) - 1)


def test_basins_keep_an_equilibrium_that_attracts():
    game, regularizer = games.make("coordination", n_states=3, discount=0.9, attraction=1.0), Entropy(0.5)
    tables = basins_measure.basins(
        game,
        regularizer,
        operators.uniform_policy(game),
        name="gather",
        step_sizes=[1.0],
        n_starts=2,
        max_iterations=300,
        seed=0,
    )
    assert not tables["departures"]["left"].any()
    assert set(tables["basins"]["equilibrium"]) == {0}


@pytest.mark.parametrize(("period", "computed"), [(1, 11), (2, 12), (32, 42), (33, 199)])
def test_an_orbit_that_returns_to_the_same_bits_is_not_computed_again(period, computed, monkeypatch):
    game = games.make("crowd_averse", **CROWD)
    on_the_way, calls = [random_policy(game, seed) for seed in range(10 + period)], []
    following = {one.tobytes(): other for one, other in pairwise([*on_the_way, on_the_way[10]])}

    def counted(game, policy, *_, **__):
        calls.append(policy)
        return following[policy.tobytes()].copy()

    monkeypatch.setattr(operators, "policy_mirror_ascent", counted)
    seen = list(islice(iterations.pma(game, Entropy(0.1), on_the_way[0], step_size=1.0), 200))
    expected = on_the_way + [on_the_way[10 + k % period] for k in range(200)]
    np.testing.assert_array_equal(seen, expected[:200])
    assert len(calls) == computed  # a longer period than is looked for is computed again
