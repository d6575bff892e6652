"""Blind learning uses the trajectory alone, learns where best response cycles, and says whether it reached epsilon."""

import contextlib
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.references import family_game, frozen_game

from pma_mfg import cli, equilibrium, games, jacobian, operators, policy_files
from pma_mfg.commands import learn
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games import MeanFieldGame
from pma_mfg.games.features import Features, autonomous, own_state_terms
from pma_mfg.games.functions import FunctionGame
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import schedules
from pma_mfg.regularizers import Entropy, Quadratic
from pma_mfg.simulation import exchangeable as simulation
from pma_mfg.simulation import exchangeable_kernels
from pma_mfg.theory import lipschitz, prescription
from pma_replication import cli as replication_cli
from pma_replication.runs import tables as parquet

COUPLED = games.make("crowd_averse", n_states=4, n_actions=3, discount=0.9, seed=1, coupling=4.0)
CROWD = games.make("crowd_averse", n_states=5, n_actions=3, discount=0.9, seed=1, coupling=4.0)
PLANTED = family_game("planted_smooth", n_states=3, n_actions=2, discount=0.5, strength=0.3, seed=1)
WEAK = Entropy(0.05)


def run(game, regularizer, seed=0, budget=3000, n_agents=100):
    return list(learning.blind(game, n_agents, regularizer, rng=np.random.default_rng(seed), budget=budget))


# --- what it may know


@pytest.mark.parametrize("regularizer", [WEAK, Quadratic(0.3)], ids=str)
def test_blind_learning_asks_for_nothing_but_the_trajectory(regularizer, monkeypatch):
    def forbidden(*arguments, **more):
        raise AssertionError("the exact game was used")

    for module, names in (
        (equilibrium, ("solve", "exploitability", "best_response")),
        (operators, ("stable_population", "population_update", "q_values", "q_of_decision_process", "state_values")),
        (jacobian, ("jacobian",)),
        (lipschitz, ("reward_range", "constants", "reward_rows", "mixing")),
        (schedules, ("td_scale", "td_start", "practical_schedule")),
        (prescription, ("theorem_schedule",)),
        (MeanFieldGame, ("transition", "reward")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, forbidden)
    epochs = run(COUPLED, regularizer)
    assert epochs[-1].samples == 3000
    assert np.abs(epochs[-1].policy - epochs[0].policy).max() > 0.1


@pytest.mark.parametrize(("shift", "scale"), [(7.0, 1.0), (0.0, 4.0)])
def test_blind_learning_is_the_same_in_another_unit_and_from_another_zero_of_rewards(shift, scale):
    other = MeanFieldGame(
        discount=COUPLED.discount,
        base_transition=COUPLED.base_transition,
        base_reward=scale * (COUPLED.base_reward + shift),
        transition_terms=COUPLED.transition_terms,
        transition_features=COUPLED.transition_features,
        reward_terms=scale * COUPLED.reward_terms,
        reward_features=COUPLED.reward_features,
    )
    ours, theirs = run(COUPLED, WEAK), run(other, Entropy(scale * 0.05))
    # the same draws as long as no probability crosses one: rounding of Q, 1e-15 of 70 / tau, and what epochs make of it
    for first, second in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(first.policy, second.policy, rtol=0, atol=1e-8)
        np.testing.assert_allclose(first.step_size, scale * second.step_size, rtol=1e-6)


def test_blind_learning_has_the_same_bits_for_the_same_seed_and_any_chunk(monkeypatch):
    ours, other = run(COUPLED, WEAK), run(COUPLED, WEAK, seed=1)
    now = iter(range(10**6))
    monkeypatch.setattr(simulation.time, "monotonic", lambda: float(next(now)))  # every chunk seems slow: none grows
    again = run(COUPLED, WEAK)
    for first, second in zip(ours, again, strict=True):
        np.testing.assert_array_equal(first.policy, second.policy)
    assert np.abs(ours[-1].policy - other[-1].policy).max() > 0


def test_blind_learning_of_a_wrapped_game_is_the_same():
    wrapped = FunctionGame(PLANTED.discount, PLANTED.transition, PLANTED.reward, n_states=3, n_actions=2)
    pairs = zip(run(PLANTED, WEAK, budget=600), run(wrapped, WEAK, budget=600), strict=True)
    for first, second in pairs:
        # the same draws; rows of all entries are summed in another order, a rounding of Q / tau
        np.testing.assert_allclose(first.policy, second.policy, rtol=0, atol=1e-8)
        np.testing.assert_array_equal(first.visits, second.visits)


# --- the pieces


def test_epochs_use_the_budget_up_and_grow():
    for budget in (1000, 1234, 10**6):
        lengths = schedules.blind_schedule(CROWD, WEAK, budget=budget).n_updates
        assert sum(lengths) == budget
        assert lengths[0] == lengths[1] == 300
        assert (np.diff(lengths) >= 0).all()
        # each a twentieth longer than the one before, and the last takes less than what one more would have
        assert lengths[-1] < (1.05 + 1.05**2) * lengths[-2] + 1
    default = schedules.blind_schedule(CROWD, WEAK)
    assert default.n_samples == 75_000
    assert default.td_scale == pytest.approx(10.0)  # 1 / (1 - gamma)
    assert default.step_size == 20.0  # 1 / rho
    with pytest.raises(InputError, match=r"budget: got 599, expected from 2 \* 2 S A / \(1 - gamma\) = 600"):
        schedules.blind_schedule(CROWD, WEAK, budget=599)
    with pytest.raises(InputError, match="n_agents: got 1, expected an integer from 2"):
        next(learning.blind(COUPLED, 1, WEAK, rng=np.random.default_rng(0)))


def test_the_step_size_stays_on_a_straight_way_and_falls_faster_where_the_policy_turns_back():
    along, across, still = np.array([[1.0, -1.0, 0.0]]), np.array([[1.0, 1.0, -2.0]]), np.zeros((1, 3))
    aside = across / np.sqrt(6.0)
    for before, slower in (
        (3 * along, 0.0),
        (aside + along / np.sqrt(2.0), 1.0 - 1.0 / np.sqrt(2.0)),  # an angle of 45 degrees
        (across, 1.0),
        (still, 1.0),
        (aside - along / np.sqrt(2.0), 1.0 + schedules.TURN / np.sqrt(2.0)),  # of 135 degrees
        (-3 * along, 1.0 + schedules.TURN),
    ):
        expected = 1.0 / (2.0 * (3.0 + slower))  # equation (10.9), from 1 / eta = 3 rho
        assert schedules.blind_step_size(1 / 6, along, before, rho=2.0) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_policy_does_steps_do_not_grow_and_add_up_to_infinity(seed):
    steps = np.array([epoch.step_size for epoch in run(COUPLED, WEAK, seed=seed)[1:]]) * WEAK.rho
    epochs = np.arange(len(steps))
    assert len(steps) > 5
    # Proposition 10.10b, up to rounding
    assert (np.diff(steps) <= 0.0).all()
    assert (steps >= (1.0 - 1e-12) / (1.0 + (1.0 + schedules.TURN) * epochs)).all()
    assert steps[0] == 1.0


def test_visits_and_steps_of_exploring_learners_are_counted_by_pair():
    rewards = np.array([[-1.0, 0.5], [0.25, 3.0]])
    game = frozen_game(np.full((2, 2, 2), 0.5), rewards, 0.8)
    population = simulation.initial_population(game, 10, np.random.default_rng(0))
    policy = np.array([[1.0, 0.0], [1.0, 0.0]])  # the second action is seen by exploring only
    q, visits = np.zeros((2, 2)), np.zeros((2, 2))
    steps = learning.Exploration(policy, population, q, visits, n_updates=200, scale=1.0, discount=0.0)
    learning.explore(game, Entropy(1.0), steps)
    np.testing.assert_allclose(q, rewards, rtol=1e-14)  # the mean of rewards that are always the same
    assert visits.sum() == 200
    assert (visits > 0).all()  # a pair is missed with probability 0.875^200, 3e-12


def test_one_update_by_visits_is_the_stated_one():
    game = frozen_game(np.array([[[0.0, 1.0]] * 2, [[1.0, 0.0]] * 2]), np.array([[1.0, 2.0], [3.0, 4.0]]), 0.5)
    policy, q = np.array([[0.3, 0.7], [0.6, 0.4]]), np.array([[10.0, 20.0], [30.0, 40.0]])
    expected, visits = q.copy(), np.array([[2.0, 5.0], [0.0, 0.0]])
    entropy = Entropy(0.2)
    target = 2.0 + 0.5 * (0.6 * 30.0 + 0.4 * 40.0 + float(entropy.value(policy[1])))
    expected[0, 1] += 3.0 / (5.0 + 4.0) * (target - 20.0)  # c / (n + n_0)
    tables, shared = simulation.game_tables(game), simulation.policy_tables(game, policy, entropy)
    stream, tagged = simulation.random_stream(np.random.default_rng(0)), np.array([0, 1])
    none = np.zeros(0, dtype=np.int64), np.zeros((0, 2, 2))
    others, behaviour = np.array([1, 1]), np.array([[1.0, 0.0], [0.0, 1.0]])
    exchangeable_kernels.learn(
        stream, others, tagged, tables, shared, 0.5, q, 0, 1, 0, 3.0, 4.0, *none, behaviour, visits
    )
    np.testing.assert_allclose(q, expected, rtol=1e-15)
    np.testing.assert_array_equal(visits, [[2.0, 6.0], [0.0, 0.0]])
    np.testing.assert_array_equal(tagged, [1, 1])  # the behaviour's action, not the policy's


def test_a_state_that_nobody_reaches_keeps_its_policy_and_is_told():
    moves = np.zeros((3, 2, 3))
    moves[:, 0, 0] = moves[:, 1, 1] = 1.0  # nobody enters the last state
    game = frozen_game(moves, np.array([[0.0, 1.0], [0.5, 0.0], [0.0, 9.0]]), 0.5)
    last = run(game, Entropy(0.1))[-1]
    np.testing.assert_array_equal(last.visits[2], 0.0)
    np.testing.assert_array_equal(last.policy[2], 0.5)
    assert last.policy[0, 1] > 0.9


# --- does it learn?


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="the Q-function of the policy that explores")
def test_an_exploring_learner_learns_the_q_of_the_policy_that_it_does_not_play(level):
    moves = np.random.default_rng(0).dirichlet([0.3] * 3, size=(3, 2))
    game = frozen_game(moves, np.tile([1.0, 0.0], (3, 1)), 0.8)
    policy, entropy = np.tile([0.1, 0.9], (3, 1)), Entropy(0.3)
    mean_field = operators.stable_population(game, policy)
    behaviour = 0.5 * policy + 0.25
    expected = operators.q_values(game, policy, mean_field, regularizer=entropy)
    planted = operators.q_values(game, behaviour, mean_field, regularizer=entropy)
    learned = []
    for replicate in range(12):
        rng = np.random.default_rng([5, replicate])
        population = simulation.initial_population(game, 10, rng)
        q, visits = np.full((3, 2), expected.mean()), np.zeros((3, 2))
        steps = learning.Exploration(policy, population, q, visits, n_updates=50_000, scale=5.0, discount=0.8)
        learning.explore(game, entropy, steps)
        learned.append(q.ravel())
    # what is left of the start after n visits of every pair falls like c / n, and visits depend on what was learned
    level.means(np.array(learned), expected.ravel(), bias=5e-3, planted=planted.ravel())


@pytest.mark.statistical(false_alarm=1e-6, power=0.999, against="policies that stay uniform")
def test_a_game_in_which_best_response_cycles_is_learned(level):
    nash = equilibrium.solve(COUPLED, WEAK)
    assert jacobian.spectral_radius(jacobian.jacobian(COUPLED, nash.policy, np.inf, regularizer=WEAK)) > 2.0
    assert jacobian.spectral_radius(jacobian.jacobian(COUPLED, nash.policy, 1.0 / WEAK.rho, regularizer=WEAK)) > 1.0
    shares = []
    for replicate in range(8):
        last = run(COUPLED, WEAK, seed=[1, replicate], budget=20_000, n_agents=1000)[-1]
        shares.append(equilibrium.exploitability(COUPLED, last.policy, WEAK))
    start = equilibrium.exploitability(COUPLED, operators.uniform_policy(COUPLED), WEAK)
    # 1.6 at the start; at the end some 0.002, and 0.03 in the worst of 24 runs
    level.means(np.array(shares)[:, None] / start, 0.0, bias=0.03, planted=1.0)


@pytest.mark.statistical(false_alarm=1e-7, power=0.999, against="policies that stay uniform")
def test_a_nearly_deterministic_game_with_a_large_radius_is_learned(level):
    moves = np.full((5, 3, 5), 0.02 / 5)
    for s in range(5):
        for a, by in enumerate((-1, 0, 1)):
            moves[s, a, min(4, max(0, s + by))] += 0.98
    game = MeanFieldGame(
        discount=0.9,
        base_reward=np.repeat([[0.9], [0.1], [0.0], [0.2], [0.5]], 3, axis=1) - [0.05, 0.0, 0.05],
        reward_terms=-2.0 * own_state_terms(5, 3),
        reward_features=Features.build(np.eye(5)),
        **autonomous(moves),
    )
    entropy = Entropy(0.1)
    nash = equilibrium.solve(game, entropy).policy
    assert jacobian.spectral_radius(jacobian.jacobian(game, nash, np.inf, regularizer=entropy)) > 20.0
    start = equilibrium.exploitability(game, operators.uniform_policy(game), entropy)
    ends = [run(game, entropy, seed=[2, replicate], budget=75_000, n_agents=1000)[-1].policy for replicate in range(8)]
    shares = [equilibrium.exploitability(game, policy, entropy) / start for policy in ends]
    # 0.0006 on average, 0.0025 in the worst of 32 runs; with steps that may fall geometrically 0.18 and 0.91
    level.means(np.array(shares)[:, None], 0.0, bias=0.01, planted=1.0)


# --- the command


@pytest.fixture(scope="module")
def game_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blind") / "coupled.npz"
    games.save(COUPLED, path)
    return path


def test_learn_exits_with_0_if_epsilon_is_reached_and_with_1_if_it_is_missed(game_file, tmp_path, capsys):
    policies, epochs = tmp_path / "policies.csv", tmp_path / "epochs.csv"
    arguments = ["learn", str(game_file), "--strength", "0.05", "--agents", "100", "--budget", "3000"]
    arguments += ["--out", str(epochs)]
    for epsilon, code, word in (("100", 0, "reached"), ("1e-9", 1, "missed")):
        assert cli.main([*arguments, "--epsilon", epsilon, "--out-policies", str(policies)]) == code
        last = capsys.readouterr().err.splitlines()[-1]
        found = re.fullmatch(
            rf"{word} epsilon = {epsilon.replace('1e-9', '1e-09')}: exploitability \(regularized\) (\S+) at the start, "
            r"(\S+) at the end, after 3000 samples"
            r"(?:; (\S+) after (\d+) samples was the least, but the last policy is the one that learning returns)?",
            last,
        )
        assert found, last
        table = pd.read_csv(policies)
        learned = table.sort_values(["state", "action"])["probability"].to_numpy().reshape(4, 3)
        uniform = operators.uniform_policy(COUPLED)
        for shown, policy in zip(found.groups()[:2], (uniform, learned), strict=True):
            assert float(shown) == pytest.approx(equilibrium.exploitability(COUPLED, policy, WEAK), rel=1e-3)
        measured = pd.read_csv(epochs)[["exploitability", "samples"]]
        least = measured.loc[measured["exploitability"].idxmin()]
        before = word == "missed" and least.name < len(measured) - 1
        assert found.groups()[2:] == ((f"{least.iloc[0]:.4g}", f"{least.iloc[1]:.0f}") if before else (None, None))
    np.testing.assert_array_equal(policy_files.load(policies, COUPLED), learned)
    assert cli.main(["audit", str(game_file), str(policies), "--strength", "0.05", "--agents", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["exploitability"] == equilibrium.exploitability(COUPLED, learned, WEAK)


def test_a_policy_whose_exploitability_is_not_known_misses(game_file, capsys, monkeypatch):
    exact, calls = equilibrium.exploitability, []

    def known_at_the_start(*arguments):
        calls.append(arguments)
        if len(calls) > 1:
            raise ConvergenceError("no stable population", [])
        return exact(*arguments)

    monkeypatch.setattr(equilibrium, "exploitability", known_at_the_start)
    monkeypatch.setattr(learn, "_watch", lambda *_: contextlib.nullcontext(lambda epoch: None))
    arguments = ["--strength", "0.05", "--agents", "10", "--budget", "500", "--epsilon", "100"]
    assert cli.main(["learn", str(game_file), *arguments]) == 1
    told = r"missed epsilon = 100: .* at the start, unknown \(the population does not settle\) at the end"
    assert re.match(told, capsys.readouterr().err.splitlines()[-1])


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("seen", [0.0, 1.0])
def test_learn_says_where_a_run_that_missed_was_best_and_what_may_do_better(
    seen, written, game_file, tmp_path, monkeypatch, capsys
):
    uniform, best = operators.uniform_policy(COUPLED), equilibrium.solve(COUPLED, WEAK).policy
    far, near = np.tile([1.0, 0.0, 0.0], (4, 1)), 0.9 * best + 0.1 * uniform
    exact, measured = equilibrium.exploitability, []

    def exploitability(*arguments):
        measured.append(arguments)
        return exact(*arguments)

    monkeypatch.setattr(equilibrium, "exploitability", exploitability)
    monkeypatch.setattr(learn, "_watch", lambda *_: contextlib.nullcontext(lambda epoch: None))
    for policies, place in (([uniform, near, far, uniform], 1), ([uniform, far, uniform, near], None)):
        epochs = [
            learning.Epoch(100 * (k + 1), policy, 1.0, np.full((4, 3), seen)) for k, policy in enumerate(policies)
        ]
        monkeypatch.setattr(learning, "blind", lambda *_, epochs=epochs, **__: iter(epochs))
        more = ["--out", str(tmp_path / "epochs.csv")] if written else []
        measured.clear()
        arguments = ["learn", str(game_file), "--strength", "0.05", "--agents", "100", "--budget", "500", *more]
        assert cli.main([*arguments, "--epsilon", "1e-9"]) == 1
        assert len(measured) == len(epochs)  # each policy once
        *before, last = capsys.readouterr().err.splitlines()
        said = ("12 of 12 pairs of state and action were not seen", "a larger --budget, or a larger --strength")
        assert [any(words in line for line in before) for words in said] == [seen == 0.0, seen == 1.0]
        if place is None:
            assert "was the least" not in last
        else:
            least = exact(COUPLED, policies[place], WEAK)
            assert f"; {least:.4g} after {100 * (place + 1)} samples was the least, but the last policy" in last


def test_learn_tells_of_states_that_were_never_seen_and_misses_them(capsys):
    # with 100 agents the disease dies out, and what the infected should do stays unknown
    assert cli.main(["learn", "sis_epidemic", "--strength", "0.5", "--agents", "100", "--budget", "5000"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert "5 of 10 pairs of state and action were not seen in the last epoch" in said[-2]
    assert said[-1].startswith("missed epsilon = 0.33: ")


def test_an_explicit_schedule_warns_of_short_epochs_and_judges_the_distance(game_file, capsys):
    explicit = ["--strength", "0.3", "--agents", "100", "--epsilon", "0.9", "--replicates", "2"]
    steps = ["--step-size", "auto", "--td-constant"]
    assert cli.main(["learn", str(game_file), *explicit, *steps, "9"]) == 1
    said = capsys.readouterr().err
    assert re.search(r"step size auto: \S+ / rho = \S+ \(spectral radius of PMA at the equilibrium: 0\.41", said)
    assert re.search(r"warning: M_td = 100 updates per epoch are fewer than c = \S+ of the steps", said)
    assert re.search(r"missed epsilon = 0\.9: distance to the equilibrium \S+; exploitability \(regularized\)", said)
    # the pipeline's command measures: the same run, and 0
    assert replication_cli.main(["samples", "tuned", str(game_file), *explicit, *steps, "9"]) == 0
    assert "warning: M_td = 100" in capsys.readouterr().err
    assert cli.main(["learn", str(game_file), *explicit, *steps, "90"]) == 0
    said = capsys.readouterr().err
    assert "warning: M_td" not in said
    assert "reached epsilon = 0.9: " in said


def test_a_step_size_that_is_refused_comes_with_one_that_would_do(game_file, capsys):
    arguments = ["learn", str(game_file), "--strength", "0.1", "--agents", "100", "--epsilon", "0.5", "--dry-run"]
    assert cli.main([*arguments, "--step-size", "1000"]) == 2
    said = capsys.readouterr().err
    would = re.search(
        r"--step-size: got 1000, expected one at which PMA contracts .*, such as (\S+) \(in units of 1/rho; 0\.5", said
    )
    assert would, said
    assert cli.main([*arguments, "--step-size", would[1]]) == 0


def test_an_automatic_step_size_is_the_printed_one(game_file, tmp_path, capsys):
    tables = []
    chosen = "auto"
    for name in ("auto", "printed"):
        out = str(tmp_path / f"{name}.parquet")
        arguments = ["--strength", "0.1", "--agents", "5", "--step-size", chosen, "--out", out]
        assert replication_cli.main(["populations", "exact", str(game_file), *arguments]) == 0
        if name == "auto":
            [chosen] = re.findall(r"step size auto: (\S+) / rho = \S+ \(spectral radius", capsys.readouterr().err)
        tables.append(parquet.read_table(out))
    nash = equilibrium.solve(COUPLED, Entropy(0.1)).policy
    radii = [
        jacobian.spectral_radius(
            jacobian.jacobian(COUPLED, nash, factor * float(chosen) / 0.1, regularizer=Entropy(0.1))
        )
        for factor in (1.0, 0.7, 1.4)
    ]
    assert radii[0] < min(1.0, *radii[1:])
    numbers = [table.select_dtypes("number").to_numpy() for table in tables]
    np.testing.assert_allclose(numbers[0], numbers[1], rtol=1e-4)  # six digits are printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--schedule auto --step-size 2", "--step-size: got 2.0, expected nothing"),
        ("--step-size 2", "--epsilon: got None, expected an accuracy"),
        ("--step-size 2 --epsilon 0.2 --budget 10000", "--budget: got 10000, expected nothing"),
        ("--budget 10", "budget: got 10, expected from 2 * 2 S A / (1 - gamma) = 480"),
    ],
)
def test_options_of_the_two_kinds_of_schedule_do_not_mix(game_file, capsys, options, message):
    assert cli.main(["learn", str(game_file), "--strength", "0.1", "--agents", "10", *options.split()]) == 2
    assert message in capsys.readouterr().err
