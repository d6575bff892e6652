"""The search finds known constants, radii for all step sizes come from one Jacobian, and regions predict PMA."""

import itertools

import numpy as np
import pandas as pd
import pytest
from tests.references import family_game, frozen_game

from pma_mfg import equilibrium, games, jacobian, operators, regularizers
from pma_mfg.errors import ConvergenceError
from pma_mfg.regularizers import Entropy, Quadratic
from pma_mfg.theory import invariant_sets, lipschitz, search
from pma_replication.experiments.bounds import measure as bounds_measure
from pma_replication.experiments.contraction import measure as contraction_measure
from pma_replication.experiments.equilibria import measure as equilibria_measure
from pma_replication.experiments.phase import measure as phase_measure

CERTIFIED = {"n_states": 3, "n_actions": 2, "discount": 0.5, "seed": 1}
CERTIFIED |= {"K_mu": 0.1, "K_s": 0.3, "K_a": 0.2, "L_mu": 0.01, "L_s": 0.02, "L_a": 0.05}


@pytest.fixture(scope="module")
def ratios():
    return bounds_measure.operator_ratios(
        family_game("affine"), Entropy(0.5), "affine", step_sizes=[2.0], n_pairs=100, n_ascents=1, seed=0
    )


def test_ascent_beats_random_pairs_and_no_pair_beats_the_norm_it_found(ratios):
    assert (ratios["largest_ratio"] >= ratios["random_ratio"]).all()
    pma = ratios[ratios["operator"] == "policy_mirror_ascent"]
    assert (pma["largest_ratio"] > 1.02 * pma["random_ratio"]).any()
    assert (ratios["largest_ratio"].iloc[:3] > 1.1 * ratios["random_ratio"].iloc[:3]).all()
    # pairs that stand for a derivative carry six digits
    assert (ratios["largest_ratio"] <= ratios["jacobian_norm"] * (1 + 1e-6)).all()
    assert (ratios["jacobian_norm"] <= ratios["jacobian_upper"]).all()
    interior = ratios[ratios["within"] != "U"]  # this U reaches the boundary of the simplex, where norms are infinite
    assert (interior["largest_ratio"] > 0.999 * interior["jacobian_norm"]).all()


def test_search_finds_the_known_constant_of_a_game_without_mean_field():
    rng = np.random.default_rng(4)
    transition = rng.dirichlet(np.full(4, 0.5), size=(4, 3))
    table = bounds_measure.operator_ratios(
        frozen_game(transition, rng.uniform(size=(4, 3)), 0.5),
        Quadratic(1.0),
        "frozen",
        step_sizes=[1.0],
        n_pairs=20,
        n_ascents=1,
        seed=0,
    ).set_index("operator")
    pairs = itertools.combinations(range(4), 2)
    # two states, and the action that a policy takes in each
    known = max(0.5 * np.abs(transition[s, :, None] - transition[t, None]).sum(axis=-1).max() for s, t in pairs)
    found = table["jacobian_norm"]["population_update_in_mean_field"]
    assert found == pytest.approx(known, rel=1e-9)  # vertices are kept 1e-12 away from the faces
    differences = np.abs(transition[:, :, None] - transition[:, None]).sum(axis=-1)
    # everybody in one state
    assert table["jacobian_norm"]["population_update_in_policy"] == pytest.approx(0.5 * differences.max(), rel=1e-9)
    # the projection of the quadratic regularizer attains the bound
    assert table["largest_ratio"]["mirror_ascent_step"] == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("eta", [0.1, 1.0, 30.0])
def test_the_entropys_step_is_steepest_between_two_equal_actions(eta):
    table = bounds_measure.operator_ratios(
        family_game("affine"), Entropy(0.5), "affine", step_sizes=[eta], n_pairs=20, n_ascents=0, seed=0
    )
    row = table.set_index("operator").loc["mirror_ascent_step"]
    # -h'' = tau / u is at least 2 tau on directions that sum to zero, attained at u = (1/2, 1/2, 0)
    known = (1 + 0.5 * eta) / (1 + 2 * 0.5 * eta)
    assert row["jacobian_norm"] == pytest.approx(known, rel=1e-3)  # the ascent stops at gains of a thousandth
    assert row["jacobian_norm"] <= known * (1 + 1e-12)
    assert row["largest_ratio"] == pytest.approx(row["jacobian_norm"], rel=1e-6)


def test_random_policies_lie_in_the_invariant_set():
    game, regularizer = games.make("affine", **CERTIFIED), Entropy(1.0)
    inside = search.in_invariant_set(game, regularizer, "euclidean")
    rng = np.random.default_rng(0)
    assert inside(operators.uniform_policy(game)).all()
    drawn = [search.random_policy(game, rng, inside) for _ in range(20)]
    assert all(inside(policy).all() for policy in drawn)
    bounds = invariant_sets.invariant_set(game, regularizer)
    assert max(np.ptp(policy, axis=1).max() for policy in drawn) > 0.99 * bounds.difference.max()  # to its edge


@pytest.mark.parametrize("mirror", regularizers.MIRRORS)
@pytest.mark.parametrize("regularizer", [Entropy(0.3), Entropy(0.05), Quadratic(2.0), Quadratic(0.1)], ids=str)
@pytest.mark.parametrize("family", ["affine", "planted_smooth", "crowd_averse"])
def test_radii_from_one_jacobian_are_those_of_the_jacobian_at_each_step_size(family, regularizer, mirror):
    game = family_game(family)
    q = equilibrium.solve(game, regularizer).q
    policy = regularizer.best_response(q)
    steps = [relative / regularizer.rho for relative in (0.01, 0.3, 2.0, 50.0)]
    radii = phase_measure.spectral_radii(game, policy, regularizer, step_sizes=steps, mirror=mirror)
    # with KL an action without mass is the limit of one with little
    at = policy if mirror == "euclidean" else np.maximum(policy, 1e-13) / np.maximum(policy, 1e-13).sum(axis=1)[:, None]
    for eta, radius in zip(steps, radii, strict=True):
        exact = jacobian.spectral_radius(jacobian.jacobian(game, at, eta, regularizer=regularizer, mirror=mirror))
        assert radius == pytest.approx(exact, abs=1e-9)  # the solution's 1e-12 through derivatives of size 1e2


def test_some_of_these_equilibria_do_without_an_action():
    game = family_game("crowd_averse")
    assert (equilibrium.solve(game, Quadratic(0.1)).policy < 1e-9).any()
    assert (equilibrium.solve(game, Quadratic(2.0)).policy > 1e-3).all()


CROWD = {"n_states": 4, "n_actions": 3, "discount": 0.9, "seed": 3, "coupling": 4.0}


@pytest.fixture(scope="module")
def crowd_phase():
    game = games.make("crowd_averse", **CROWD)
    return game, phase_measure.phase_diagram(
        game, "crowd", [0.03, 0.3, 3.0], relative_step_sizes=[0.05, 1.0, 100.0], n_probes=2, seed=0
    )


def test_phase_diagram_has_a_row_for_every_point_and_names_its_region(crowd_phase):
    _, table = crowd_phase
    assert len(table) == 2 * 2 * 3 * 3
    assert not table.duplicated(["regularizer", "mirror", "strength", "relative_step_size"]).any()
    certified = table["certificate"] < 1
    assert (table["region"] == "certified").eq(certified).all()
    assert (table["region"] == "attracting").eq(~certified & (table["attraction"] < 1)).all()
    rest = table[~certified & (table["attraction"] >= 1)]
    assert (rest["region"] == np.where(rest["spectral_radius"] < 1, "locally contractive", "divergent")).all()
    assert {"locally contractive", "divergent"} <= set(table["region"])
    assert (table["spectral_radius"] <= table[["certificate", "paper_bound", "attraction"]].min(axis=1)).all()


def test_pma_returns_where_the_radius_is_below_one_and_not_above(crowd_phase):
    game, table = crowd_phase
    run = table[table["returned"].notna()]
    assert set(run["region"]) == set(table["region"])
    assert ((run["returned"] == 1) == (run["spectral_radius"] < 1)).all()
    # the same by plain iteration, without the library's criterion
    for region in ("locally contractive", "divergent"):
        row = table[(table["region"] == region) & (table["mirror"] == "euclidean")].iloc[0]
        regularizer = regularizers.make(row["regularizer"], row["strength"])
        solution = equilibrium.solve(game, regularizer).policy
        policy = 0.999 * solution + 0.001 / game.n_actions
        for _ in range(300):
            policy = operators.policy_mirror_ascent(
                game, policy, row["relative_step_size"] / row["strength"], regularizer=regularizer
            )
        assert (operators.policy_distance(policy, solution) < 1e-8) == (region == "locally contractive")


def test_paper_bound_of_the_plane_is_the_contraction_bound(crowd_phase):
    game, table = crowd_phase
    for row in table[table["mirror"] == "euclidean"].itertuples():
        regularizer = regularizers.make(row.regularizer, row.strength)
        bound = lipschitz.contraction_bound(game, regularizer, row.relative_step_size / row.strength).L_gamma
        assert row.paper_bound == bound or row.paper_bound == pytest.approx(bound, rel=1e-12)  # rounding
    assert (table[table["mirror"] == "kl"]["paper_bound"] == np.inf).all()


def test_a_strength_without_equilibrium_is_shown_as_unsolved(monkeypatch):
    solve = equilibrium.solve

    def failing(game, regularizer, start=None, **options):
        if regularizer.strength < 1:
            raise ConvergenceError("it cycles", [1.0])
        return solve(game, regularizer, start, **options)

    monkeypatch.setattr(equilibrium, "solve", failing)
    table = phase_measure.phase_diagram(
        family_game("crowd_averse"), "cycling", [0.5, 2.0], relative_step_sizes=[1.0], n_probes=1, seed=0
    )
    weak = table[table["strength"] == 0.5]
    assert set(weak["region"]) == {"unsolved"}
    assert weak[["spectral_radius", "returned"]].isna().all(axis=None)
    assert table[table["strength"] == 2.0]["spectral_radius"].notna().all()


def test_a_kink_at_the_equilibrium_has_no_radius():
    game = family_game("planted_kinked")
    table = phase_measure.phase_diagram(
        game, "kinked", [game.planted.strength], relative_step_sizes=[1.0], n_probes=1, seed=0
    )
    entropy = table[table["regularizer"] == "entropy"]
    assert not entropy["differentiable"].any()
    # a certified attraction needs no derivative
    assert (entropy["region"] == np.where(entropy["attraction"] < 1, "attracting", "kink")).all()
    assert "kink" in set(entropy["region"])
    assert entropy["spectral_radius"].isna().all()


@pytest.mark.parametrize("regularizer", [Entropy(0.3), Quadratic(2.0), Quadratic(0.1)], ids=str)
@pytest.mark.parametrize("step_size", [0.1, 1.0, 30.0])
def test_the_rate_without_a_game_is_that_of_pma_where_the_population_plays_no_role(regularizer, step_size):
    rng = np.random.default_rng(4)
    game = frozen_game(rng.dirichlet(np.full(4, 0.5), size=(4, 3)), rng.uniform(size=(4, 3)), 0.5)
    policy = equilibrium.solve(game, regularizer).policy
    matrix = jacobian.jacobian(game, policy, step_size, regularizer=regularizer)
    rate = contraction_measure.no_game_rate(policy, regularizer, step_size)
    assert rate == pytest.approx(jacobian.spectral_radius(matrix), rel=1e-9, abs=1e-12)
    assert rate <= (1.0 + 1e-12) / (1.0 + step_size * regularizer.rho)


@pytest.mark.parametrize("threshold", [3e-4, 0.7, 123.0])
def test_bisection_finds_the_threshold(threshold):
    found = phase_measure.smallest_certified(lambda strength: strength >= threshold)
    assert threshold <= found <= 1.01 * threshold


def test_bisection_says_when_nothing_or_everything_is_certified():
    assert phase_measure.smallest_certified(lambda strength: False) == np.inf
    assert phase_measure.smallest_certified(lambda strength: True, low=0.01) <= 0.01


def test_the_bound_is_one_at_the_smallest_certified_strength():
    game = games.make("affine", **CERTIFIED)
    table = phase_measure.certified_strengths(game, "certified")
    assert len(table) == 2 * (1 + 2 * len(regularizers.MIRRORS))
    few = phase_measure.certified_strengths(game, "certified", kinds=["quadratic"], bounds=["certificate"])
    asked = (table["regularizer"] == "quadratic") & (table["bound"] == "certificate")
    pd.testing.assert_frame_equal(few, table[asked].reset_index(drop=True))
    for row in table[table["bound"] == "paper"].itertuples():
        for factor, certified in ((1.0, True), (0.99, False)):
            strength = factor * row.smallest_strength
            bound = lipschitz.contraction_bound(game, regularizers.make(row.regularizer, strength), 1.0 / strength)
            assert (bound.L_gamma < 1) == certified
        solution = equilibrium.solve(game, regularizers.make(row.regularizer, row.smallest_strength)).policy
        assert row.distance_from_uniform == operators.policy_distance(solution, operators.uniform_policy(game))


def test_certified_runs_start_where_something_is_certified_and_converge_there():
    game, regularizer = games.make("affine", **CERTIFIED), Entropy(1.0)
    solution = equilibrium.solve(game, regularizer).policy
    table = contraction_measure.certified_convergence(
        game, regularizer, solution, name="certified", step_sizes=[0.5, 5.0], n_starts=3, max_iterations=500, seed=0
    )
    assert set(table["mirror"]) == set(regularizers.MIRRORS)
    assert (table["n_starts"] == np.where(table[["certificate", "attraction"]].min(axis=1) < 1, 3, 0)).all()
    assert (table["n_converged"] == table["n_starts"]).all()
    assert table["n_starts"].sum() > 0
    hurried = contraction_measure.certified_convergence(
        game, regularizer, solution, name="certified", step_sizes=[0.5], n_starts=3, max_iterations=1, seed=0
    )
    assert hurried["n_converged"].sum() < hurried["n_starts"].sum()


@pytest.mark.parametrize("family", ["affine", "planted_kinked"])
def test_assumptions_are_the_constants_with_their_kinds(family):
    game = family_game(family)
    table = equilibria_measure.assumptions_table(game, Entropy(0.5), "game", step_size=2.0).set_index("quantity")
    constants = lipschitz.constants(game)
    for name in ("K_mu", "K_s", "K_a", "L_mu", "L_s", "L_a", "delta", "L_pop", "L_h"):
        assert table["value"][name] == getattr(constants, name)
        assert table["kind"][name] == constants.kind[name]
    p_inf = invariant_sets.least_probability(game, Entropy(0.5), 2.0)
    assert (table["value"]["p_inf"], table["kind"]["p_inf"]) == (p_inf, "lower bound")
    assert (table["value"]["T_mix"], table["value"]["delta_mix"]) == lipschitz.mixing(game, p_inf)
