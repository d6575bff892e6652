"""What is asked of a game of one's own is computed once, and nothing else is: calls are counted, not times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.units import units_of

from pma_mfg import cli, equilibrium, games, iterations, jacobian, regularizers
from pma_mfg.games import MeanFieldGame
from pma_mfg.populations import td_moments
from pma_mfg.theory import attraction, certificates, invariant_sets, lipschitz, prescription
from pma_replication import cost, plan
from pma_replication.experiments.contraction import steps as contraction_steps
from pma_replication.experiments.ctd import measure as ctd_measure
from pma_replication.experiments.orbit import sizes as orbit_sizes
from pma_replication.experiments.paths import steps as paths_steps
from pma_replication.experiments.samples import sizes as samples_sizes

CERTIFIED = games.make(
    "affine", n_states=4, n_actions=2, discount=0.5, seed=1, K_mu=0.1, K_s=0.3, K_a=0.2, L_mu=0.01, L_s=0.02, L_a=0.05
)
#: States that have no successor in common, so that nothing is certified.
TORUS = games.make("crowd_modelling_2d", size=4)


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[tuple[Any, ...]]:
    """Return the arguments of all calls of a function from here on."""
    calls: list[tuple[Any, ...]] = []
    inner: Callable[..., Any] = getattr(module, name)

    def counting(*arguments: Any, **keywords: Any) -> Any:
        calls.append(arguments)
        return inner(*arguments, **keywords)

    monkeypatch.setattr(module, name, counting)
    return calls


def solved(game: MeanFieldGame, strength: float) -> plan.Subject:
    regularizer = regularizers.Entropy(strength)
    return plan.Subject(game, regularizer, "entropy", "own", equilibrium.solve(game, regularizer).policy)


@pytest.mark.parametrize("mirror", ["euclidean", "kl"])
@pytest.mark.parametrize(
    ("family", "parameters", "strength"),
    [
        ("crowd_modelling_2d", {"size": 4}, 3.0),
        ("crowd_modelling_2d", {"size": 4}, 0.3),
        ("beach_bar", {}, 0.1),
        ("lasry_lions_chain", {}, 0.1),
        ("multiple_equilibria", {}, 0.1),
        ("crowd_averse", {"n_states": 4, "n_actions": 3, "discount": 0.9, "seed": 1, "coupling": 4.0}, 0.1),
        ("garnet", {}, 0.1),
    ],
)
def test_bisection_finds_the_best_of_all_step_sizes_from_a_third_of_the_radii(
    family: str, parameters: dict[str, Any], strength: float, mirror: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    game, regularizer = games.make(family, **parameters), regularizers.Entropy(strength)
    policy = equilibrium.solve(game, regularizer).policy
    whole = iterations.step_size(f"pma_{mirror}", game, regularizer, policy=policy, share=0.3)
    monkeypatch.setattr(iterations, "WHOLE_GRID", 0)
    radii = counted(monkeypatch, jacobian, "spectral_radius")
    assert iterations.step_size(f"pma_{mirror}", game, regularizer, policy=policy, share=0.3) == whole
    assert len(radii) <= 13


def test_the_derivative_of_q_is_computed_once_for_all_methods_and_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    subject = solved(TORUS, 3.0)
    of = subject.game, subject.regularizer
    alone = [
        iterations.step_size(method, *of, policy=subject.policy, share=share)
        for method in iterations.METHODS
        for share in (0.3, 1.0)
    ]
    derivatives = counted(monkeypatch, jacobian, "q_derivative")
    step_size = iterations.step_sizes(*of, subject.policy)
    together = [step_size(method, share) for method in iterations.METHODS for share in (0.3, 1.0)]
    np.testing.assert_array_equal(together, alone)
    assert len(derivatives) == 1


def test_sections_share_the_derivatives_at_the_equilibrium(monkeypatch: pytest.MonkeyPatch) -> None:
    derivatives = counted(monkeypatch, jacobian, "q_derivative")
    regularizer = regularizers.Entropy(3.0)
    policy = equilibrium.solve(TORUS, regularizer).policy
    derivatives.clear()
    subject = plan.Subject(TORUS, regularizer, "entropy", "own", policy)
    assert subject.rate < 1.0
    subject.rate_at(0.01)
    plan.settings("contraction", subject)
    assert len(derivatives) == 2  # after a best response, and at the policy as it is


def test_the_orbit_asks_for_one_derivative_at_each_strength(monkeypatch: pytest.MonkeyPatch) -> None:
    near = counted(monkeypatch, iterations, "step_sizes")
    found = orbit_sizes.SIZES["orbit"](solved(CERTIFIED, 1.0))
    assert len(found["games"]) <= len(near) <= len(found["games"]) + 1  # that at which it stops


@pytest.mark.parametrize("game", [CERTIFIED, TORUS], ids=["certified", "torus"])
def test_the_moments_of_many_pairs_are_those_of_few(game: MeanFieldGame, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = solved(game, 3.0)
    of = subject.game, subject.policy, subject.regularizer
    few = ctd_measure.settled(*of)
    monkeypatch.setattr(ctd_measure, "MOST_ON_PAIRS", 0)
    on_pairs = counted(monkeypatch, td_moments, "moments")
    assert ctd_measure.settled(*of) == pytest.approx(few, rel=1e-9)
    assert not on_pairs


def test_the_theorems_constants_are_computed_once_for_all_accuracies(monkeypatch: pytest.MonkeyPatch) -> None:
    regularizer = regularizers.Entropy(4.0)
    step_size = 10.0 / regularizer.rho
    alone = [prescription.theorem_schedule(CERTIFIED, regularizer, step_size, epsilon=x) for x in (0.3, 0.1)]
    sets = counted(monkeypatch, invariant_sets, "noisy_set")
    schedule = prescription.theorem_schedules(CERTIFIED, regularizer, step_size)
    assert [schedule(x) for x in (0.3, 0.1)] == alone
    assert len(sets) == 1


def test_nothing_is_solved_where_no_strength_helps_the_theorem(monkeypatch: pytest.MonkeyPatch) -> None:
    subjects = [solved(TORUS, 3.0), solved(games.make("rock_paper_scissors"), 1.0)]  # not affine; L_pop = 1
    solutions = counted(monkeypatch, equilibrium, "solve")
    assert [samples_sizes.prescribed_strength(subject) for subject in subjects] == [None, None]
    assert not solutions
    assert samples_sizes.prescribed_strength(solved(CERTIFIED, 0.3)) is not None


def test_nothing_is_computed_for_a_certificate_where_the_population_need_not_settle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spreads = counted(monkeypatch, invariant_sets, "row_spread")
    regularizer = regularizers.Entropy(3.0)
    found = invariant_sets.invariant_set(TORUS, regularizer)
    assert found.L_pop >= 1.0
    assert certificates.certificate(TORUS, regularizer, 1.0, found=found).L_gamma == np.inf
    assert not spreads
    invariant_sets.invariant_set(CERTIFIED, regularizer)
    assert len(spreads) == 2


def test_large_games_are_predicted_from_counts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No certificate, and no path, is computed only to predict its time."""
    game, regularizer = games.make("crowd_modelling_2d", size=8), regularizers.Entropy(3.0)
    units = units_of(game, regularizer, np.full((64, 5), 0.2))
    searches = counted(monkeypatch, paths_steps, "random_equilibria")
    certified = counted(monkeypatch, attraction, "attraction")
    constants = counted(monkeypatch, lipschitz, "constants")
    steps = [0.05, 0.1]
    assert contraction_steps.runs(units, {"n_starts": 3, "step_sizes": steps}) == [3, 3]
    found = cost.section_seconds("paths", {"games": {"lowest": 0.005, "n_starts": 10}, "strengths": [0.1, 0.01]}, units)
    assert np.isfinite(found)
    assert found > 0.0
    assert not searches
    assert not certified
    assert not constants


def test_a_configuration_is_predicted_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(cost, "TIMED", 0.001)
    games.save(CERTIFIED, tmp_path / "own.npz")
    predictions = counted(monkeypatch, cost, "predicted")
    assert cli.main(["config", str(tmp_path / "own.npz"), "--strength", "1", "--out", str(tmp_path / "own.yaml")]) == 0
    assert len(predictions) == 1
    assert "Predicted: " in (tmp_path / "own.yaml").read_text()


def test_a_game_in_which_pma_settles_with_small_steps_only_is_sized_by_them() -> None:
    """Stalls on a street whose customers share out: with 0.01 / rho PMA leaves, with 0.001 / rho it comes back."""
    customers = np.array([1.2, 0.4, 1.0, 0.6, 0.3])
    moves = np.zeros((5, 3, 5))
    for stall in range(5):
        for action, by in enumerate((0, 1, -1)):
            moves[stall, action, min(4, max(0, stall + by))] += 0.98
    cost_of_moving = np.array([0.0, 0.3, 0.3])
    own = games.from_functions(
        lambda mu: moves + 0.02 / 5, lambda mu: (customers / (0.2 + mu))[:, None] - cost_of_moving, 0.9, n_states=5
    )
    regularizer = regularizers.Entropy(0.1)
    policy = equilibrium.solve(own, regularizer).policy
    near = iterations.Local(own, regularizer, policy)
    assert near.radius(near.best("euclidean")) > 1.0 > near.radius(near.settling())
    subject = plan.Subject(own, regularizer, "entropy", "stalls", policy)
    assert 0.99 < subject.rate < 1.0
    subject.need_learning("coupling")  # which refused it, as if no step would do
    with pytest.raises(plan.BeyondBudget) as refused:
        plan.settings("coupling", subject)
    told = f"PMA contracts by {subject.rate:.5g} an epoch, with steps of {subject.relative_step_size:g} / rho"
    assert told in str(refused.value.value)
    assert told in str(subject.too_long("samples_tuned", 1e5).value)
    assert told not in str(subject.too_long("ctd", 1e5).value)  # whose policy stays
