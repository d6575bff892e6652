"""An audit of a policy: its numbers by brute force, its routes against each other, and what it refuses."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from tests import browser
from tests.references import curved_game, deviators_gain, family_game, random_policy
from tests.statistical import Level

from pma_mfg import audit as audits
from pma_mfg import cli, equilibrium, games, jacobian, operators, policy_files, seeds, storage
from pma_mfg.audit import audit
from pma_mfg.commands import audit_report
from pma_mfg.errors import InputError
from pma_mfg.games import MeanFieldGame
from pma_mfg.games.functions import FunctionGame
from pma_mfg.populations import deviators, finite_population, simulated_gap
from pma_mfg.regularizers import Entropy, Quadratic, Regularizer

ENTROPY = Entropy(0.1)


def pair(family: str = "planted_smooth", n_states: int = 2) -> MeanFieldGame:
    return games.make(family, n_states=n_states, n_actions=2, discount=0.6, seed=3, strength=0.1)


def planted_policy(game: MeanFieldGame) -> np.ndarray:
    assert game.planted is not None
    return game.planted.policy


# Numbers by brute force


@pytest.mark.parametrize(
    "game",
    [family_game("planted_smooth", n_states=3, n_actions=2), curved_game("log", n_states=3, n_actions=2)],
    ids=["smooth", "curved"],
)
@pytest.mark.parametrize("regularizer", [ENTROPY, Quadratic(0.3)])
def test_gains_are_those_of_value_iteration_over_joint_states(game: MeanFieldGame, regularizer: Regularizer) -> None:
    policy = random_policy(game, 1)
    (gain,) = audit(game, policy, regularizer, n_agents=[3]).gains
    assert gain.route == "exact"
    # value iteration in the reference stops at 1e-11
    assert gain.regularized == pytest.approx(deviators_gain(game, policy, 3, regularizer), abs=1e-9)
    assert gain.unregularized == pytest.approx(deviators_gain(game, policy, 3, None), abs=1e-9)


def test_unregularized_exploitability_is_that_of_the_best_of_all_pure_policies() -> None:
    game = pair(n_states=3)
    policy = random_policy(game, 2)
    found = audit(game, policy, ENTROPY, n_agents=[])
    mean_field = found.mean_field
    transition, reward = game.transition(mean_field), game.reward(mean_field)

    def value(of: np.ndarray) -> float:
        kernel, gain = operators.policy_kernel(transition, of), (of * reward).sum(axis=1)
        return float(mean_field @ np.linalg.solve(np.eye(3) - game.discount * kernel, gain))

    best = max(value(np.eye(2)[list(actions)]) for actions in itertools.product(range(2), repeat=3))
    assert found.exploitability_unregularized == pytest.approx(best - value(policy), abs=1e-12)


@pytest.mark.parametrize("family", ["planted_smooth", "planted_kinked"])
def test_a_known_equilibrium_is_one_with_exploitability_zero(family: str) -> None:
    game = pair(family, 4)
    found = audit(game, planted_policy(game), ENTROPY, n_agents=[])
    assert abs(found.exploitability) <= 1e-10
    # the accuracy of a solution
    assert found.policy_distance <= 1e-10
    assert found.population_distance <= 1e-10


def test_a_planted_error_is_found_with_its_size() -> None:
    game = pair(n_states=3)
    wrong = planted_policy(game).copy()
    wrong[1] = wrong[1, ::-1]  # the actions of one state exchanged
    found = audit(game, wrong, ENTROPY, n_agents=[])
    size = np.abs(wrong - planted_policy(game)).sum(axis=1).max()
    assert size > 0.1
    assert found.policy_distance == pytest.approx(size, abs=1e-9)
    assert found.exploitability > 1e-3 * found.rewards_range


# The three routes


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="a gain off by 15 %")
@pytest.mark.parametrize(
    ("family", "n_agents"), [("planted_smooth", 12), ("planted_smooth", 30), ("planted_kinked", 12)]
)
def test_simulated_gains_are_the_exact_ones(family: str, n_agents: int, level: Level) -> None:
    game = pair(family, 3)
    policy = 0.7 * planted_policy(game) + 0.3 * random_policy(game, 5)
    regularizers = [ENTROPY, None]
    law = finite_population.stationary_counts(game, policy, n_agents)
    exact = np.array(deviators.nash_gaps(game, policy, deviators.others(game, policy, law), regularizers=regularizers))
    rng = seeds.generator(7, "gap", family, n_agents)
    found = simulated_gap.simulated_gap(game, policy, n_agents, regularizers=regularizers, rng=rng)
    errors = found.half_width / norm.isf(0.5 * (1.0 - simulated_gap.CONFIDENCE))
    # docs/theory, section 9.10: the horizon is cut, and the deviator is the best one up to the order 1 / N^2, with
    # ties of actions 1 / N
    bias = simulated_gap.LEFT_OUT * exact + exact / np.array([n_agents**2, n_agents])
    level.accept(2.0 * norm.sf(np.maximum(np.abs(found.gain - exact) - bias, 0.0) / errors))
    critical = norm.isf(0.5 * level.false_alarm / 2)
    level.show(float(norm.sf(critical - (0.15 * exact - bias) / errors).max()))


@pytest.mark.statistical(false_alarm=1e-9, power=1.0 - 1e-9, against="a planted error that is missed")
def test_others_who_move_by_another_law_are_seen_in_a_simulated_gain(
    level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = family_game("crowd_averse", n_states=3, n_actions=2)
    policy, n_agents = random_policy(game, 5), 6
    law = finite_population.stationary_counts(game, policy, n_agents)
    (exact,) = deviators.nash_gaps(game, policy, deviators.others(game, policy, law), regularizers=[ENTROPY])
    moved = simulated_gap._moved
    monkeypatch.setattr(simulated_gap, "_moved", lambda counts, rows, rng: moved(counts, 0.6 * rows + 0.4 / 3.0, rng))
    rng = seeds.generator(7, "another law")
    found = simulated_gap.simulated_gap(game, policy, n_agents, regularizers=[ENTROPY], rng=rng)
    error = found.half_width[0] / norm.isf(0.5 * (1.0 - simulated_gap.CONFIDENCE))
    level.detect(2.0 * norm.sf(abs(found.gain[0] - exact) / error), 1e-6)


def test_the_closed_form_agrees_with_the_exact_gain_where_both_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    game = pair()
    near = 0.995 * planted_policy(game) + 0.005 * random_policy(game, 4)
    assert 1e-3 < operators.policy_distance(near, planted_policy(game)) < audits.CLOSE
    for policy in (planted_policy(game), near):
        exact = audit(game, policy, ENTROPY, n_agents=[400]).gains[0]
        with monkeypatch.context() as patch:
            patch.setattr(audits, "MOST_LUMPED_STATES", 0)
            patch.setattr(simulated_gap, "WORK", 0)
            other = audit(game, policy, ENTROPY, n_agents=[400]).gains[0]
        assert (exact.route, other.route) == ("exact", "closed form")
        assert "not simulated" in other.why
        # docs/theory, section 9.10: relative errors of order 1 / N and of the distance to the equilibrium
        assert other.regularized == pytest.approx(exact.regularized, rel=0.02)
        assert other.own_state.regularized <= exact.regularized
        if policy is near:  # too far from the equilibrium for the constant of 1 / N^2
            assert other.own_state.route == "limit"
        else:
            assert other.own_state.route == "closed form"
            assert other.own_state.regularized == pytest.approx(exact.own_state.regularized, rel=0.02)
        np.testing.assert_allclose(other.mean_field, exact.mean_field, rtol=0.0, atol=0.005)
        # 1 / N, relative
        np.testing.assert_allclose(other.deviations, exact.deviations, rtol=0.01)


def test_gains_have_the_order_and_the_constant_that_is_told() -> None:
    for family in ("planted_smooth", "planted_kinked"):
        game = pair(family)
        found = audit(game, planted_policy(game), ENTROPY, n_agents=[3200])
        assert (found.order.exponent, found.order.own_state_exponent) == (
            (1.0, 2.0) if family == "planted_smooth" else (1.0, 1.0)
        )
        # corrections of order 1 / sqrt(N), as in the test of the constants themselves
        assert found.gains[0].regularized * 3200 == pytest.approx(found.order.constant, rel=0.01)
        own = found.gains[0].own_state
        assert own.route == "exact"
        assert own.regularized == pytest.approx(own.predicted, rel=0.01)
        assert own.predicted * 3200**found.order.own_state_exponent == pytest.approx(found.order.own_state_constant)
        indifferent = deviators.indifferent_game(game, planted_policy(game), ENTROPY)
        told = audit(indifferent, planted_policy(game), ENTROPY, n_agents=[3200])
        assert told.order_unregularized.exponent == 0.5
        gain = told.gains[0].unregularized * np.sqrt(3200)
        assert gain == pytest.approx(told.order_unregularized.constant, rel=0.01)
        told_own, constant = told.gains[0].own_state.unregularized, told.order_unregularized.own_state_constant
        if family == "planted_kinked":  # of a smooth game the constant of 1 / N is not known
            assert told_own * np.sqrt(3200) == pytest.approx(constant, rel=0.05)
        else:
            assert np.isnan(constant)
            assert 0.0 < told_own < 0.1 * told.gains[0].unregularized


def test_what_few_agents_add_to_an_exploitable_policy_falls_with_the_order_that_is_told() -> None:
    game = pair()
    policy = random_policy(game, 5)
    found = audit(game, policy, ENTROPY, n_agents=[200, 400])
    assert found.order.exponent == 1.0
    added = [each.regularized - found.exploitability for each in found.gains]
    assert found.exploitability > 100.0 * abs(added[0])
    assert added[0] / added[1] == pytest.approx(2.0, rel=0.05)  # the next term is of order 1 / N, relative


def test_who_sees_less_gains_less() -> None:
    game = curved_game("log", n_states=3, n_actions=2)
    for seed in range(3):
        (gain,) = audit(game, random_policy(game, seed), ENTROPY, n_agents=[4]).gains
        own = gain.own_state
        assert own.route == "exact"
        # the accuracy of policy iteration
        assert 0.0 < own.regularized <= gain.regularized * (1.0 + 1e-6)
        assert 0.0 < own.unregularized <= gain.unregularized * (1.0 + 1e-6)


def test_a_best_response_that_is_strict_is_left_for_nothing_however_few_the_agents() -> None:
    game = games.make("no_interaction")
    found = equilibrium.solve(game, Entropy(0.01))
    best = np.eye(game.n_actions)[
        equilibrium.best_response(
            game.transition(found.mean_field), game.reward(found.mean_field), game.discount
        ).argmax(axis=1)
    ]
    told = audit(game, best, Entropy(0.01), n_agents=[3])
    assert abs(told.exploitability_unregularized) <= 1e-10
    assert told.order_unregularized.exponent in (0.5, np.inf)  # as some actions tie or not
    assert abs(told.gains[0].unregularized) <= 1e-9


def test_a_route_that_is_closed_says_why_and_the_next_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    epidemic = games.make("sis_epidemic")  # with few agents the disease dies out
    monkeypatch.setattr(simulated_gap, "REPLICATES", (100, 100))
    found = audit(epidemic, operators.uniform_policy(epidemic), Entropy(1.0), n_agents=[1000])
    (gain,) = found.gains
    assert gain.route == "simulated"
    assert audit_report.in_words(found, epidemic, name="p", of="g")[-1].count("(simulated)") == 1
    assert "long run" in gain.why
    monkeypatch.setattr(simulated_gap, "GRADIENT_STATES", 2)
    game = pair(n_states=3)
    (gain,) = audit(game, random_policy(game, 0), ENTROPY, n_agents=[10**6]).gains
    assert gain.route == "limit"
    assert gain.why.endswith("not simulated: simulated_gap: n_states: got 3, expected at most 2")


def test_functions_without_features_are_audited_in_the_limit() -> None:
    game = pair()
    functions = FunctionGame(0.6, game.transition, game.reward, n_states=2, n_actions=2)
    policy = random_policy(game, 1)
    known, found = (audit(of, policy, ENTROPY, n_agents=[100]) for of in (game, functions))
    assert found.gains[0].route == "limit"
    # which is no answer for ten agents, and does not look like one
    lines = audit_report.in_words(found, game, name="p", of="g")
    assert any(line.endswith("the limit for large N; what N agents add to it is not known") for line in lines)
    (why,) = {line.partition("not known (")[2] for line in lines if "not known (" in line}
    assert why.startswith("audit: game: got function game, expected a game with features: ")
    assert why.count("expected") == 1  # said once, not for each way in which it is not computed
    assert "; what one of 100 agents gains is not known;" in lines[-1]
    assert "given by functions" in found.order.why
    assert found.certified == ()
    assert found.exploitability == pytest.approx(known.exploitability, rel=1e-9)
    assert found.policy_distance == pytest.approx(known.policy_distance, abs=1e-7)
    # derivatives by differences
    assert found.best_response_radius == pytest.approx(known.best_response_radius, rel=1e-4)


def test_each_unknown_constant_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    game = pair()
    near, far = (planted_policy(game) * (1.0 - t) + t * operators.uniform_policy(game) for t in (0.001, 0.1))

    def told(of: MeanFieldGame, policy: np.ndarray) -> tuple[str, list[str]]:
        found = audit(of, policy, ENTROPY, n_agents=[10])
        nan = np.isnan([found.order.constant, found.order.own_state_constant]).any()
        assert bool(found.order.why) == nan
        return found.order.why, audit_report.in_words(found, of, name="p", of="g")

    assert told(game, planted_policy(game))[0] == ""
    assert told(game, near)[0] == "the policy is no equilibrium to rounding"
    why, lines = told(game, far)
    assert why.endswith(" away from the equilibrium, closed forms hold within 0.01")
    assert sum(f"(no constant is known: {why})" in line for line in lines) == 1
    kinked = pair("planted_kinked", n_states=3)
    assert told(kinked, planted_policy(kinked))[0] == "the rewards have a kink there"
    monkeypatch.setattr(audits, "GRADIENT_STATES", 1)
    assert told(game, planted_policy(game))[0] == "closed forms take at most 1 states"
    monkeypatch.setattr(audits.solvers, "DIRECT_SIZE", 1)
    why, lines = told(game, planted_policy(game))
    assert why == "fluctuations are computed of at most 1 states"
    assert any(line.endswith(f"not known, as {why}") for line in lines)


def test_what_an_equilibrium_without_a_jacobian_does_not_allow_is_told_as_unknown() -> None:
    game = games.make("contraction_game")
    found = audit(game, [[1, 0], [1, 0]], Quadratic(0.1), n_agents=[5, 10**5])  # all stay: two recurrent classes
    assert np.isfinite(found.exploitability)
    assert [np.isfinite(each.regularized) for each in found.gains] == [True, True]
    assert np.isnan(found.order.exponent)
    assert "does not settle" in found.order.why or "spectral radius" in found.order.why
    assert found.gains[1].why.startswith("2e+05 states")
    assert any("not unique" in warning for warning in found.warnings)


def test_where_agents_gather_at_one_of_two_conventions_nothing_is_predicted_of_many() -> None:
    # the majority is followed: the share of state 0 ends at 0.1 or at 0.9, and 0.9 is worth more
    followed = games.Features.build([[5.0, 0.0], [5.0, 0.0]], [-2.0, -3.0], "positive")
    game = MeanFieldGame(
        discount=0.5,
        base_transition=np.broadcast_to([0.1, 0.9], (2, 1, 2)).copy(),
        base_reward=np.zeros((2, 1)),
        transition_terms=np.array([0.8, -0.8])[:, None, None, None] * np.array([1.0, -1.0]) * np.ones((2, 2, 1, 2)),
        transition_features=followed,
        reward_terms=np.eye(2)[:1, :, None] * np.ones((1, 2, 1)),
        reward_features=games.Features.build(np.eye(2)[:1]),
    )
    found = audit(game, np.ones((2, 1)), ENTROPY, n_agents=[10, 10**9])
    assert any("several stable populations" in warning for warning in found.warnings)
    assert np.isnan([found.order.exponent, found.order_unregularized.exponent]).all()
    lines = audit_report.in_words(found, game, name="p", of="g")
    assert sum("not known, as the population does not settle from every start" in line for line in lines) == 2
    assert not any("O(" in line or "the limit for large N" in line for line in lines)
    assert any(line.endswith("the mean field's; for N agents not known") for line in lines)
    # the same agents without the others in their transitions: one population, and an order
    alone = games.MeanFieldGame(
        discount=0.5,
        base_transition=np.broadcast_to([0.1, 0.9], (2, 1, 2)).copy(),
        base_reward=np.zeros((2, 1)),
        transition_terms=np.zeros((0, 2, 1, 2)),
        transition_features=games.Features.none(2),
        reward_terms=game.reward_terms,
        reward_features=game.reward_features,
    )
    assert np.isfinite(audit(alone, np.ones((2, 1)), ENTROPY, n_agents=[10]).order.exponent)


def test_best_response_that_cycles_is_told_to_leave_and_pma_to_come_back() -> None:
    game = games.make("rock_paper_scissors")
    found = audit(game, operators.uniform_policy(game), Entropy(0.1), n_agents=[])
    assert found.pma_radius < 1.0 < found.best_response_radius


# What is given


def test_a_policy_is_taken_as_it_comes() -> None:
    game = pair()
    policy = np.array([[0.25, 0.75], [0.5, 0.5]])
    expected = audit(game, policy, ENTROPY, n_agents=[5])
    read_only = policy.copy()
    read_only.flags.writeable = False
    for given in (
        policy.tolist(),
        policy.astype(np.float32),
        read_only,
        policy.astype(">f8"),
        np.asfortranarray(policy),
    ):
        found = audit(game, given, ENTROPY, n_agents=[5])
        assert found.exploitability == expected.exploitability
        assert found.gains[0].regularized == expected.gains[0].regularized
        simulated = simulated_gap.simulated_gap(
            game, given, 5, regularizers=[None], rng=seeds.generator(0, "as it comes")
        )
        assert np.isfinite(simulated.gain).all()


def test_what_is_no_policy_is_refused_with_its_row_and_by_how_much() -> None:
    with pytest.raises(InputError, match=r"audit: policy: row 1: got the sum 0.875, off by -0.12, expected rows"):
        audit(pair(), [[0.25, 0.75], [0.5, 0.375]], ENTROPY)
    with pytest.raises(InputError, match=r"n_agents: got 1, expected an integer from 2"):
        audit(pair(), [[0.25, 0.75], [0.5, 0.5]], ENTROPY, n_agents=[1])


@pytest.fixture
def bar(tmp_path: Path) -> tuple[MeanFieldGame, np.ndarray, Path]:
    game = games.make("contraction_game")
    return game, np.array([[0.2, 0.8], [0.4, 0.6]]), tmp_path


def test_a_policy_is_the_same_from_every_kind_of_file(bar: tuple[MeanFieldGame, np.ndarray, Path]) -> None:
    game, policy, folder = bar
    np.save(folder / "policy.npy", policy)
    storage.write_arrays(folder / "policy.npz", {"policy": policy}, {"regularizer": "entropy", "strength": 0.5})
    storage.write_text(folder / "policy.json", json.dumps({"policy": policy.tolist()}))
    storage.write_text(folder / "policy.csv", "state , switch,stay\nsecond,0.6,0.4\n\nfirst,0.8,0.2\n")
    for suffix in policy_files.SUFFIXES:
        np.testing.assert_array_equal(policy_files.load(folder / f"policy{suffix}", game), policy)
    np.savetxt(folder / "numbers.csv", policy, delimiter=",")
    np.testing.assert_array_equal(policy_files.load(folder / "numbers.csv", game), policy)
    assert policy_files.regularizer_of(folder / "policy.npz") == ("entropy", 0.5)
    assert policy_files.regularizer_of(folder / "policy.json") is None


def test_policies_of_several_runs_are_told_apart(bar: tuple[MeanFieldGame, np.ndarray, Path]) -> None:
    game, policy, folder = bar
    rows = [
        f"{replicate},{('first', 1)[s]},{a},{float((policy[s] if replicate else policy[s, ::-1])[a])!r}"
        for replicate in (0, 1)
        for s, a in itertools.product(range(2), repeat=2)
    ]
    path = folder / "runs.csv"
    path.write_text("\n".join(["replicate,state,action,probability", *rows]))
    np.testing.assert_array_equal(policy_files.load(path, game, replicate=1), policy)
    np.testing.assert_array_equal(policy_files.load(path, game, replicate=0), policy[:, ::-1])
    for replicate, told in (
        (None, r"replicate: got policies of 2 replicates, expected which one to take: 0, 1"),
        (2, r"replicate: got 2, expected one of the file's: 0, 1"),
    ):
        with pytest.raises(InputError, match=told):
            policy_files.load(path, game, replicate=replicate)


def test_single_precision_of_a_file_is_no_error(bar: tuple[MeanFieldGame, np.ndarray, Path]) -> None:
    game, policy, folder = bar
    np.save(folder / "single.npy", (policy / 3.0 * 3.0).astype(np.float32))
    found = policy_files.load(folder / "single.npy", game)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=0.0, atol=1e-15)
    np.testing.assert_allclose(found, policy, rtol=0.0, atol=1e-7)  # the rounding of the type


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("state,action,probability\n0,stay,1\n0,stay,1\n", r"state 0, action stay: got two rows, expected one row"),
        ("state,action,probability\n0,stay,1\n", r"state first, action switch: got no row, expected one row"),
        (
            "state,action,probability\n0,swich,1\n",
            r"action: got 'swich', expected one of the game's, or a number below 2",
        ),
        ("state,action,probability\n7,stay,1\n", r"state: got '7', expected one of the game's, or a number below 2"),
        ("state,action,probability\n0,stay,x\n", r"state 0, action stay: got 'x', expected a probability"),
        ("state,stay,swich\nfirst,1,0\nsecond,1,0\n", r"action label: got 'swich', expected .* did you mean switch\?"),
        ("state,stay\nfirst,1\nsecond,1\n", r"action label: got no 'switch', expected each action"),
        ("state,stay,switch\nfirst,1,0\nfirst,1,0\n", r"state label: got 'first' twice"),
        ("state,stay,switch\nfirst,1,0\n", r"state label: got no 'second'"),
        ("state,stay,switch\nfirst,1,0\nsecond,1\n", r"state second: got 1 values, expected 2"),
        ("state,stay,switch\nfirst,1,0\nsecond,1,x\n", r"state second, action switch: got 'x', expected a probability"),
        (
            "state,stay,switch\nsecond,1,0\nfirst,1,1e-3\n",
            r"policy: row 0 \(state first\): got the sum 1.001, off by 0.001",
        ),
        ("state,stay,switch\nsecond,1,0\nfirst,2,-1\n", r"policy: row 0 \(state first\), entry 1: got -1.0"),
        ("0.5,0.5\n0.5,half\n", r"state second, action switch: got 'half', expected a probability"),
        ("0.5,0.5\n0.5,0.25\n", r"policy: row 1 \(state second\): got the sum 0.75"),
        ("", r"file: got no line"),
    ],
)
def test_a_mismatch_of_labels_or_numbers_is_one_line(
    text: str, told: str, bar: tuple[MeanFieldGame, np.ndarray, Path]
) -> None:
    game, _, folder = bar
    (folder / "policy.csv").write_text(text)
    with pytest.raises(InputError, match=told) as raised:
        policy_files.load(folder / "policy.csv", game)
    assert "\n" not in str(raised.value)


def test_files_that_hold_no_policy_are_refused(bar: tuple[MeanFieldGame, np.ndarray, Path]) -> None:
    game, policy, folder = bar
    (folder / "policy.txt").write_text("0.5 0.5")
    (folder / "policy.npy").write_bytes(b"\x93NUMPY but no more")
    (folder / "policy.json").write_text("[1, 2]")
    np.save(folder / "three.npy", np.full((3, 2), 0.5))
    np.save(folder / "single.npy", (policy / 3.0 * 3.0001).astype(np.float32))
    for name, told in (
        ("policy.txt", r"got .txt, expected a policy: .npz, .npy, .csv, .json"),
        ("policy.npy", r"expected a complete .npy file"),
        ("policy.json", r"policy: got nothing, expected an entry `policy`"),
        ("three.npy", r"got shape \(3, 2\), expected shape \(2, 2\)"),
        ("single.npy", r"row \d \(state \w+\): .* these are of type float32"),
        ("nothing.csv", r"got nothing there"),
    ):
        with pytest.raises(InputError, match=told):
            policy_files.load(folder / name, game)


# The command


def run(line: str) -> int:
    return cli.main(shlex.split(line))


def test_the_command_ends_with_what_came_out_and_whether_it_is_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("solve contraction_game --strength 1 --out nash.npz") == 0
    (tmp_path / "bad.csv").write_text("state,stay,switch\nfirst,0.5,0.5\nsecond,0.25,0.75\n")
    capsys.readouterr()
    assert run("audit contraction_game nash.npz --agents 5 --plot a.png --report a.html") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "entropy of strength 1 (of the policy's file" in lines[0]
    assert lines[-1].startswith("good: nash.npz is an equilibrium, to rounding, of the regularized game")
    page = (tmp_path / "a.html").read_text()
    assert lines[-1].split(" (")[0] in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)  # all that the page needs is in it
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert run("audit contraction_game bad.csv --agents 5 --json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"].startswith("not good: bad.csv is no equilibrium")
    assert told["gains"][0]["route"] == told["gains"][0]["own_state"]["route"] == "exact"
    assert told["order"]["own_state_exponent"] in (0.5, 1.0, 2.0)
    assert told["nearest"]["policy"]
    expected = equilibrium.exploitability(games.make("contraction_game"), np.array([[0.5, 0.5], [0.25, 0.75]]))
    assert told["exploitability_unregularized"] == expected


def test_pma_leaves_only_where_it_leaves_with_small_steps_too() -> None:
    # so weak a regularizer that a hundredth of 1 / rho is too large a step (spectral radius 17)
    chain = games.make("lasry_lions_chain")
    found = audit(chain, operators.uniform_policy(chain), Entropy(0.5), n_agents=[])
    assert found.best_response_radius > 100.0
    assert found.pma_step_size * found.rho < 0.01
    assert found.nearest is not None
    matrix = jacobian.jacobian(chain, found.nearest.policy, found.pma_step_size, regularizer=Entropy(0.5))
    # to the rounding of the best response that is taken first
    assert found.pma_radius == pytest.approx(jacobian.spectral_radius(matrix), rel=1e-12)
    assert found.pma_radius < 1.0


@pytest.mark.skipif(browser.executable() is None, reason=browser.MISSING)
def test_the_page_fits_a_telephone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("a_policy_with_a_name_longer_than_a_line.npy", np.full((2, 2), 0.5))
    assert run("audit contraction_game a_policy_with_a_name_longer_than_a_line.npy --agents 5 --report a.html") == 0
    page = browser.look(tmp_path / "a.html", 390, 800, tmp_path / "profile", patience=1)
    assert page.measured["images"] == 1
    assert not any(page.faults().values()), page.faults()


def test_the_command_refuses_what_it_cannot_write_before_long_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("policy.npy", np.full((2, 2), 0.5))
    for options, told in (
        ("--plot a.pdf", "--plot: got 'a.pdf', expected a file called something.png"),
        ("--report a.txt", "--report: got 'a.txt', expected a file called something.html"),
        ("--plot no/folder/../policy.npy", "--plot"),
        ("--report policy.npy", "another file: it is read (policy)"),
    ):
        assert run(f"audit contraction_game policy.npy {options}") == 2
        assert told in capsys.readouterr().err
