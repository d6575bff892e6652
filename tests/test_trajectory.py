"""Methods on one trajectory: special cases that are known already, what they end at, and the comparison of them."""

from __future__ import annotations

import inspect
import itertools
import math
import re
import tracemalloc
import types
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.special import logsumexp, softmax

from pma_mfg import equilibrium, games, jacobian, operators
from pma_mfg.errors import InputError
from pma_mfg.learning import algorithms, method_files, networks, replay
from pma_mfg.learning.generative import Task
from pma_mfg.learning.trajectory import METHODS, Trajectory, epochs, loops, trajectory_kernels
from pma_mfg.regularizers import Entropy
from pma_mfg.simulation.exchangeable import initial_population
from pma_replication import configuration, judging
from pma_replication.experiments.comparison import measure as comparison
from pma_replication.experiments.one_trajectory import draw, judge, measure, names, settings

ENTROPY = Entropy(0.1)
#: One setting of each method, with which it learns a small planted game in some thousand steps.
SETTINGS: dict[str, dict[str, float]] = {
    "pma": {"step_size": 1.0, "first": 30.0, "growth": 1.2, "constant": 1.0},
    "pma_kept": {"step_size": 0.3, "first": 10.0, "growth": 1.05, "exponent": 0.8},
    "softmax_sarsa": {"step_size": 0.3, "exponent": 0.6, "exploration": 0.0},
    "softmax_q_learning": {"step_size": 0.3, "exponent": 0.6, "exploration": 0.0},
    "slow_policy": {"exponent": 0.8, "policy_step": 0.1, "policy_exponent": 0.2},
    "actor_critic": {"exponent": 0.8, "policy_step": 0.3, "policy_exponent": 0.2},
    "pma_pooled": {"step_size": 1.0, "first": 30.0, "growth": 1.1, "constant": 1.0},
    "pma_independent": {"step_size": 1.0, "first": 30.0, "growth": 1.2, "constant": 1.0},
    "pma_buffered": {"step_size": 0.3, "first": 30.0, "growth": 1.2, "constant": 1.0, "passes": 5.0},
    "pma_networked": {"step_size": 1.0, "first": 30.0, "growth": 1.2, "constant": 1.0, "temperature": 0.0},
}
OWN = Path(__file__).resolve().parents[1] / "config" / "example_method.py"


def planted(**changes: Any) -> games.MeanFieldGame:
    return games.make("planted_smooth", n_states=3, n_actions=2, discount=0.5, seed=1, strength=0.1, **changes)


def task(game: games.MeanFieldGame, seed: int = 0, budget: int = 10_000, n_agents: int = 1000) -> Task:
    return Task(game, ENTROPY, np.random.default_rng(seed), budget, n_agents)


def test_sarsa_with_a_frozen_policy_is_conditional_td_learning_bit_for_bit() -> None:
    # without the mean field in the transitions both average them over the policy in the same order
    game = games.make("no_interaction")
    learner, n_steps = loops.Learned(task(game)), 3000
    scale = learner.q.size / (1.0 - game.discount)
    learner.learn(n_steps, target_rule=trajectory_kernels.SARSA, critic=(1.0, 1.0))
    population, policy = initial_population(game, 1000, np.random.default_rng(0)), operators.uniform_policy(game)
    population.tagged[1] = algorithms.random_numbers.draw(population.stream, policy[population.tagged[0]].copy())
    q = algorithms.ctd(
        game,
        policy,
        1000,
        regularizer=ENTROPY,
        n_updates=n_steps,
        n_waiting=0,
        td_scale=scale,
        td_offset=scale,
        rng=np.random.default_rng(1),
        population=population,
        start=task(game).start,
    )
    np.testing.assert_array_equal(learner.q, q)
    np.testing.assert_array_equal(learner.path.population.others, population.others)
    assert not np.allclose(q, task(game).start)


@pytest.mark.parametrize("family", ["planted_kinked", "affine"])
def test_with_the_mean_field_in_the_game_the_path_and_q_are_those_of_conditional_td_learning(family: str) -> None:
    """Sums in another order may move a number by some 1e-16 each, and a count only if a draw falls between the two."""
    parameters = {"n_states": 4, "n_actions": 3, "discount": 0.8, "seed": 3}
    game = games.make(family, **parameters, **({"strength": 0.1} if family == "planted_kinked" else {}))
    learner = loops.Learned(task(game))
    learner.learn(2000, target_rule=trajectory_kernels.SARSA, critic=(1.0, 1.0))
    population, policy = initial_population(game, 1000, np.random.default_rng(0)), operators.uniform_policy(game)
    population.tagged[1] = algorithms.random_numbers.draw(population.stream, policy[population.tagged[0]].copy())
    scale = policy.size / (1.0 - game.discount)
    td = {"td_scale": scale, "td_offset": scale, "start": task(game).start}
    common = {"regularizer": ENTROPY, "n_updates": 2000, "n_waiting": 0, "rng": np.random.default_rng(1)}
    q = algorithms.ctd(game, policy, 1000, population=population, **common, **td)
    np.testing.assert_array_equal(learner.path.population.tagged, population.tagged)
    np.testing.assert_array_equal(learner.path.population.others, population.others)
    np.testing.assert_allclose(learner.q, q, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("target", "rule", "actor", "exploration"),
    [
        (trajectory_kernels.SARSA, trajectory_kernels.SOFTMAX, (1.0, 0.0), 0.2),
        (trajectory_kernels.Q_LEARNING, trajectory_kernels.SOFTMAX, (0.1, 0.5), 0.0),
        (trajectory_kernels.SARSA, trajectory_kernels.GRADIENT, (0.5, 0.3), 0.0),
    ],
)
def test_every_step_of_a_loop_is_the_recursion_of_theory(
    target: int, rule: int, actor: tuple[float, float], exploration: float
) -> None:
    """Section 21.2 in plain Python, on the transitions that the kernel makes one by one."""
    game = planted()
    learner, critic = loops.Learned(task(game)), (0.8, 0.6)
    q, logits = learner.q.copy(), learner.logits.copy()
    offset = q.size / (1.0 - game.discount)
    for m in range(300):
        population = learner.path.population
        (s, a), mean_field = population.tagged.tolist(), population.mean_field
        learner.learn(1, target_rule=target, policy_rule=rule, critic=critic, actor=actor, exploration=exploration)
        y, b = population.tagged.tolist()
        policy = softmax(logits, axis=1)
        value = 0.1 * logsumexp(q[y] / 0.1)
        if target == trajectory_kernels.SARSA:
            value = q[y, b] - 0.1 * (policy[y] * np.log(policy[y])).sum()
        share = critic[0] * (offset / (m + offset)) ** critic[1]
        q[s, a] += share * (game.reward(mean_field)[s, a] + game.discount * value - q[s, a])
        share = actor[0] * (offset / (m + offset)) ** actor[1]
        if rule == trajectory_kernels.SOFTMAX:
            logits[s] += share * (q[s] / 0.1 - logits[s])
        else:
            advantage = q[s] - 0.1 * np.log(policy[s])
            logits[s] += share / 0.1 * policy[s] * (advantage - policy[s] @ advantage)
        np.testing.assert_allclose(learner.q, q, rtol=0, atol=1e-11)
        np.testing.assert_allclose(learner.logits, logits, rtol=0, atol=1e-9)
        np.testing.assert_allclose(
            learner.policy, (1 - exploration) * softmax(logits, axis=1) + exploration / 2, rtol=0, atol=1e-9
        )


def test_a_policy_that_follows_at_once_is_softmax_q_learning() -> None:
    game = planted()
    at_once = list(METHODS["softmax_q_learning"](task(game), step_size=1.0, exponent=0.8, exploration=0.0))
    slow = list(METHODS["slow_policy"](task(game), exponent=0.8, policy_step=1.0, policy_exponent=0.0))
    for (samples, policy), (again, same) in zip(at_once, slow, strict=True):
        assert samples == again
        np.testing.assert_array_equal(policy, same)


def test_softmax_q_learning_is_expected_sarsa() -> None:
    """Proposition 21.1, in numbers."""
    q = np.random.default_rng(0).normal(size=(50, 4))
    policy = ENTROPY.best_response(q)
    expected = (policy * q).sum(axis=1) + ENTROPY.value(policy)
    np.testing.assert_allclose(expected, 0.1 * logsumexp(q / 0.1, axis=1), rtol=0, atol=1e-12)


def test_an_actor_that_hardly_moves_leaves_a_critic_of_the_uniform_policy() -> None:
    game = planted()
    learner = loops.Learned(task(game, budget=10**6, n_agents=10**6))
    learner.learn(
        100_000,
        target_rule=trajectory_kernels.SARSA,
        policy_rule=trajectory_kernels.GRADIENT,
        critic=(1.0, 1.0),
        actor=(1e-12, 0.0),
    )
    policy = operators.uniform_policy(game)
    q = operators.q_values(game, policy, operators.stable_population(game, policy), regularizer=ENTROPY)
    # Q has no h at the first step, and 1e5 samples of 6 pairs leave 0.4 sp(V) / sqrt(1e5 / 6) = 0.003 sp(V)
    assert np.abs((learner.q - q) - (learner.q - q).mean()).max() < 0.02


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_a_planted_game_and_counts_its_steps(method: str) -> None:
    """From 0.0115 to below a tenth of it. With six seeds each method ended below 0.0001: others would do as well."""
    game, before = planted(), 0
    of = task(game, budget=30_000, n_agents=200 if method in ("pma_independent", "pma_networked") else 1000)
    start = equilibrium.exploitability(game, operators.uniform_policy(game), ENTROPY)
    run = list(METHODS[method](of, **SETTINGS[method]))
    for samples, _ in run:
        assert before < samples <= of.budget
        before = samples
    policy = run[-1][1]
    assert before > of.budget / 2
    np.testing.assert_allclose(policy.sum(axis=1), 1.0, atol=1e-12)
    assert equilibrium.exploitability(game, policy, ENTROPY) < 0.1 * start


@pytest.mark.parametrize("method", METHODS)
def test_the_same_generator_gives_the_same_run(method: str) -> None:
    game = planted()
    first, again = (list(METHODS[method](task(game, 5, 2000, 50), **SETTINGS[method])) for _ in range(2))
    assert len(first) == len(again) > 0
    for (samples, policy), (same_samples, same) in zip(first, again, strict=True):
        assert samples == same_samples
        np.testing.assert_array_equal(policy, same)


def test_with_many_agents_the_pooled_critic_is_the_recursion_along_the_population_s_own_flow() -> None:
    game, n_agents = games.make("affine", n_states=4, n_actions=3, discount=0.8, seed=3), 10**13
    length = 20
    of = task(game, budget=length, n_agents=n_agents)
    _, policy = next(METHODS["pma_pooled"](of, step_size=1.0, first=length, growth=1.0, constant=2.0))
    mean_field, uniform = np.full(4, 0.25), operators.uniform_policy(game)
    q, h = np.full((4, 3), of.start), ENTROPY.value(uniform)
    for m in range(length):
        value = (uniform * q).sum(axis=1) + h
        bellman = game.reward(mean_field) + game.discount * game.transition(mean_field) @ value
        q = q + 10.0 / (m + 10.0) * (bellman - q)
        mean_field = operators.population_update(game, mean_field, uniform)
    expected = operators.mirror_ascent_step(q, uniform, 10.0, regularizer=ENTROPY)
    # some 1 / sqrt(1e13 / 12) = 1e-6 in q, ten times that in the policy
    np.testing.assert_allclose(policy, expected, rtol=0, atol=1e-4)


def test_an_epoch_with_a_buffer_is_one_of_centralized_learning_bit_for_bit() -> None:
    # without the mean field in the transitions both average them over the policy in the same order
    game = games.make("no_interaction")
    setting = {"step_size": 0.1, "first": 10.0, "growth": 1.0, "constant": 2.0, "passes": 3.0}
    _, learned = next(METHODS["pma_buffered"](task(game, budget=500), **setting))
    (schedule,) = itertools.islice(epochs.schedules(task(game), step_size=0.1, first=10.0, growth=1.0, constant=2.0), 1)
    rng = np.random.default_rng(0)
    both = algorithms.centralized(game, 1000, ENTROPY, schedule=schedule, rng=rng, passes=3)
    np.testing.assert_array_equal(learned, both[1])
    assert not np.allclose(learned, both[0])


def test_a_buffer_holds_one_reward_a_step_however_many_pairs_there_are() -> None:
    game = games.make("planted_smooth", n_states=20, n_actions=20, discount=0.5, seed=1, strength=0.1)
    setting = {"step_size": 0.1, "first": 20.0, "growth": 1.0, "constant": 1.0, "passes": 1.0}
    n_pairs, n_steps = 400, 8000

    def bytes_at_most(budget: int) -> int:
        run = METHODS["pma_buffered"](task(game, budget=budget), **setting)
        tracemalloc.start()
        try:
            assert len(list(run)) == budget // n_steps
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    bytes_at_most(n_steps)  # loads what is compiled
    # some ten numbers a step, 0.6 MB, beside 2 MB for the game, whose terms have 400 x 20 entries each; one table of
    # rewards a step would take 25.6 MB
    assert bytes_at_most(n_steps) < 8 * n_steps * n_pairs / 4


def test_a_game_with_more_pairs_than_a_buffer_numbers_is_refused_before_it_is_played() -> None:
    game = types.SimpleNamespace(n_states=2**15, n_actions=3)  # nothing else is asked for
    setting = {"step_size": 0.1, "first": 5.0, "growth": 1.0, "constant": 1.0, "passes": 1.0}
    with pytest.raises(InputError, match=re.escape("pma_buffered: game: got 98304 pairs, expected at most 65536")):
        next(METHODS["pma_buffered"](task(game), **setting))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=re.escape("learning.centralized: game: got 98304 pairs")):
        replay.check_pairs(game, "learning.centralized")  # type: ignore[arg-type]


def test_epochs_of_one_length_are_one_run_of_networked_learning_bit_for_bit() -> None:
    game, n_agents, n_epochs = planted(), 20, 3
    setting = {"step_size": 0.5, "first": 10.0, "growth": 1.0, "constant": 1.0}
    run = METHODS["pma_networked"](task(game, budget=10**4, n_agents=n_agents), **setting, temperature=0.5)
    found = list(itertools.islice(run, n_epochs))
    *_, schedule = itertools.islice(epochs.schedules(task(game), **setting), n_epochs)
    told: list[int] = []
    agents = networks.networked(
        game,
        n_agents,
        ENTROPY,
        schedule=schedule,
        rng=np.random.default_rng(0),
        graph="complete",
        rounds=1,
        temperature=0.5 * 0.1 / (1.0 - game.discount),
        evaluation_steps=6,
        after_epoch=lambda epoch, agents, samples: told.append(samples),
    )
    np.testing.assert_array_equal(found[-1][1], agents.policies()[0])
    assert [samples for samples, _ in found] == told


def configured(config: dict[str, Any], name: str) -> tuple[games.MeanFieldGame, Entropy]:
    """Return a game of a configuration and its regularizer."""
    of = config["games"][name]
    made = games.make(of["family"], **of["parameters"])
    assert isinstance(made, games.MeanFieldGame)
    return made, Entropy(of["strength"])


def test_the_games_of_the_literature_are_those_that_the_stated_rule_chooses() -> None:
    """Section 21.4: uniform play gains more than 0.1 of the range, agents interact; the six with the fewest pairs."""
    config = yaml.safe_load((OWN.parent / "config.yaml").read_text())
    without = ("planted", "affine", "crowd_averse", "coordination", "no_interaction")  # generated, or agents are alone
    sizes: dict[str, int] = {}
    for name, of in config["games"].items():
        if of["family"].startswith(without) or of["regularizer"] != "entropy":
            continue
        game, entropy = configured(config, name)
        gain = equilibrium.exploitability(game, operators.uniform_policy(game), entropy)
        if gain > 0.1 * comparison.reward_range(game):
            sizes[name] = game.n_states * game.n_actions
    compared = [
        name for name in config["one_trajectory"]["games"] if not config["games"][name]["family"].startswith(without)
    ]
    assert compared == sorted(sizes, key=lambda name: sizes[name])[:6]


def test_every_step_size_of_the_methods_in_epochs_is_too_long_for_the_epidemic() -> None:
    """Section 21.4, "a grid may miss a game": the exact criterion of section 7; a tenth of them is short enough."""
    config = yaml.safe_load((OWN.parent / "config.yaml").read_text())
    steps = {x for method, of in config["one_trajectory"]["methods"].items() if "first" in of for x in of["step_size"]}
    game, entropy = configured(config, "sis_epidemic")
    nash = equilibrium.solve(game, entropy).policy
    radii = {
        eta: jacobian.spectral_radius(jacobian.jacobian(game, nash, eta / entropy.rho, regularizer=entropy))
        for eta in (0.003, 0.006, *sorted(steps), np.inf)
    }
    assert radii[0.006] < 1.0 < min(radii[eta] for eta in steps)
    # as section 21.4 has them, rounded to one digit after the point, the first to two
    np.testing.assert_allclose([radii[0.003], radii[0.006]], [0.99, 0.98], rtol=0, atol=0.005)
    assert config["one_trajectory"]["shorter"] * 0.03 == pytest.approx(0.003)
    policy, far = operators.uniform_policy(game), []
    for _ in range(56):
        mean_field = operators.stable_population(game, policy)
        far.append(equilibrium.exploitability(game, policy, entropy) > 0.01 * comparison.reward_range(game))
        q = operators.q_values(game, policy, mean_field, regularizer=entropy)
        policy = operators.mirror_ascent_step(q, policy, 0.003 / entropy.rho, regularizer=entropy)
    assert far == [True] * 55 + [False]
    np.testing.assert_allclose([radii[eta] for eta in (0.01, 0.03, np.inf)], [1.2, 3.7, 19.8], rtol=0, atol=0.05)


def test_a_trajectory_s_transitions_are_one_path_with_the_rewards_of_the_mean_field() -> None:
    game = planted()
    path = Trajectory(task(game, n_agents=3))
    policy = np.array([[0.9, 0.1]] * 3)
    for _ in range(30):
        mean_field, state = path.population.mean_field, path.population.tagged[0]
        seen = path.play(policy, 1)
        assert seen.states[0] == state
        assert seen.rewards[0] == pytest.approx(game.reward(mean_field)[state, seen.actions[0]], rel=1e-14)
        assert seen.successors[0] == path.population.tagged[0]
    longer = path.play(policy, 500)
    np.testing.assert_array_equal(longer.states[1:], longer.successors[:-1])
    assert path.samples == 530
    assert path.population.n_agents == 3


def test_settings_that_configurations_may_name_are_those_of_the_functions() -> None:
    assert names.SETTINGS.keys() == METHODS.keys() == names.TITLES.keys() == draw.LOOKS.keys()
    for method, learner in METHODS.items():
        arguments = inspect.signature(learner).parameters.values()
        assert list(names.SETTINGS[method]) == [x.name for x in arguments if x.kind is x.KEYWORD_ONLY]


# ------------------------------------------------------------------------------------------- the experiment

GRIDS = {
    "pma": {key: [value] for key, value in SETTINGS["pma"].items()},
    "mine": {"batch": [20, 60], "step_size": [0.3]},
}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """The comparison of PMA and the documentation's example of a method of one's own."""
    sizes = {"n_agents": 1000, "budget": 3000, "per_decade": 3, "target": 0.02, "n_replicates": 8}
    return measure.compare(planted(), ENTROPY, "g", grids=GRIDS, files={"mine": str(OWN)}, **sizes, seed=1)


def test_a_method_of_one_s_own_enters_the_comparison_from_a_short_file(table: pd.DataFrame) -> None:
    assert len(OWN.read_text().splitlines()) <= 40
    assert set(table["setting"][table["method"] == "mine"]) == {"batch=20 step_size=0.3", "batch=60 step_size=0.3"}
    samples = comparison.samples_to_accuracy(table, [0.02], plain=False).set_index("method")
    assert samples.loc["mine", "n_reached"] == 8
    cells = judge.cells(samples.reset_index())
    assert list(cells) == ["game", "accuracy", "PMA in epochs", "mine"]
    assert judge.markdown(samples.reset_index()).startswith("# Many methods")
    (legend,) = draw.figure(draw.data(table)).legends
    assert [text.get_text() for text in legend.get_texts()] == ["PMA in epochs", "mine"]


def test_shorter_steps_are_tried_where_every_setting_ends_far_away_and_change_no_other_run() -> None:
    def compared(**rule: float) -> pd.DataFrame:
        sizes = {"n_agents": 100, "budget": 300, "per_decade": 2, "target": 0.01, "n_replicates": 2}
        grids = {"pma": {"step_size": [0.3, 3.0], "first": [3], "growth": [1.5], "constant": [1.0]}}
        return measure.compare(planted(), ENTROPY, "g", grids=grids, files={}, **sizes, seed=1, **rule)

    grid, near, far = compared(), compared(shorter=0.1, far=1e9), compared(shorter=0.1, far=0.0)
    pd.testing.assert_frame_equal(near, grid)
    steps = far["setting"].str.extract(r"step_size=(\S+)")[0].drop_duplicates()
    assert list(steps) == ["0.3", "3", "0.03"]  # 0.1 of 3 is in the grid already
    before = [column for column in grid if column != "chosen"]
    pd.testing.assert_frame_equal(far[before].iloc[: len(grid)], grid[before])


def test_every_setting_is_run_as_often_and_no_run_takes_part_in_its_own_choice(table: pd.DataFrame) -> None:
    of_run = table.drop_duplicates(["method", "setting", "replicate"])
    assert (of_run.groupby(["method", "setting"]).size() == 8).all()
    mine = of_run[of_run["method"] == "mine"]
    costs, chosen = (mine.pivot(index="setting", columns="replicate", values=of) for of in ("cost", "chosen"))
    assert (chosen.sum() == 1).all()
    for replicate in range(8):
        others = costs.drop(columns=replicate).sum(axis=1)
        assert chosen[replicate].idxmax() == others.idxmin()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def learning(task): ...", "learn: got the functions learning, expected a function learn(task, *, ...)"),
        ("x = 1", "learn: got no function, expected a function learn(task, *, ...)"),
        ("def learn(task, rate): ...", "learn: got learn(task, rate), expected a function learn(task, *, ...)"),
        ("def learn(*, rate): ...", "learn: got learn(*, rate), expected a function learn(task, *, ...)"),
        ("def learn(task, *, **rest): ...", "file, line 1: got "),
        ("def learn(task, **rest): ...", "learn: got learn(task, **rest), expected"),
        ("def learn(", "file, line 1: got "),
        (None, "expected an existing Python file with a function learn"),
    ],
)
def test_a_method_s_file_that_is_wrong_is_told_in_one_line_before_any_job(
    text: str | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as refused:
        settings.check_method("mine", {"file": str(path), "rate": [0.1]}, "methods.mine")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("method", "grid", "message"),
    [
        ("slow_polcy", {}, "did you mean slow_policy?, or a method with a file"),
        ("slow_policy", {"exponent": [0.5]}, "settings: got ['exponent'], expected exactly exponent, policy_step, p"),
        ("softmax_sarsa", {"step_size": [2.0], "exponent": [0], "exploration": [0]}, "expected a number in (0, 1]"),
        ("softmax_sarsa", {"step_size": [], "exponent": [0], "exploration": [0]}, "at least one number"),
        ("softmax_sarsa", {"step_size": 0.1, "exponent": [0], "exploration": [0]}, "at least one number"),
        ("softmax_sarsa", {"step_size": [0.1, 0.1], "exponent": [0], "exploration": [0]}, "entries that differ"),
        ("softmax_sarsa", {"step_size": ["a"], "exponent": [0], "exploration": [0]}, "expected a number in (0, 1]"),
        (
            "pma_buffered",
            {"step_size": [1], "first": [9], "growth": [1], "constant": [1], "passes": [2.5]},
            "passes: got 2.5, expected a whole number >= 1",
        ),
        (
            "pma_networked",
            {"step_size": [1], "first": [9], "growth": [1], "constant": [1], "temperature": [-0.1]},
            "temperature: got -0.1, expected a number >= 0",
        ),
        ("mine", {"file": str(OWN), "batch": [10]}, "settings: got ['batch'], expected exactly batch, step_size"),
        ("mine", {"file": str(OWN), "batch": [True], "step_size": [1]}, "expected a finite number"),
        ("mine", {"file": "mine.txt"}, "the path of a Python file (.py)"),
        (
            "pma",
            {"file": str(OWN), "batch": [1], "step_size": [1]},
            "a name of its own: pma is a method of the l",
        ),
    ],
)
def test_settings_that_a_method_has_not_and_values_out_of_range_are_named(
    method: str, grid: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as refused:
        settings.check_method(method, grid)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("    yield 5", "samples so far and a policy, yielded together"),
        ("    yield 5, [[1.0, 0.0]]", "a policy of shape (3, 2)"),
        ("    yield 5, [[0.5, 0.6]] * 3", "rows that sum up to 1"),
        ("    yield 5, [[0.5, 0.5]] * 3\n    yield 4, [[0.5, 0.5]] * 3", "samples so far, at least the 5 of before"),
        ("    yield 1 / 0, None", "ZeroDivisionError"),
    ],
)
def test_what_a_method_of_one_s_own_yields_is_checked(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"def learn(task):\n{text}\n")
    run = method_files.load(tmp_path / "mine.py")(task(planted()))
    with pytest.raises(InputError, match=re.escape(message)):
        list(measure.checked(run, planted(), "mine.py"))


def runs(samples: dict[str, float], **changes: Any) -> pd.DataFrame:
    """Return a table in which every method has two settings, the second worse, and arrives after so many samples."""
    points, parts = np.geomspace(10, 10_000, 25).round().astype(int), []
    rng = np.random.default_rng(0)
    for method, at in samples.items():
        for setting, worse in (("a", 1.0), ("b", 3.0)):
            for replicate in range(8):
                arrives = at * worse * math.exp(0.1 * rng.standard_normal())
                curve = 0.01 * (arrives / points) if math.isfinite(at) else np.full(len(points), 0.5)
                cost = math.log(arrives) if math.isfinite(at) else 13.0 + worse
                of_run = {"game": "g", "method": method, "setting": setting, "replicate": replicate, "cost": cost}
                of_run |= {"chosen": setting == "a", "target": 0.01, "samples": points, "reward_range": 1.0}
                parts.append(pd.DataFrame(of_run | {"exploitability": curve} | changes))
    return pd.concat(parts, ignore_index=True)


def verdict(table: pd.DataFrame, claim: str) -> tuple[str, str]:
    (record,) = [record for record in judge.fewer_samples(table, 0.0, 0.95) if record["id"] == claim]
    interval = record["estimate"].low, record["estimate"].high
    rival = record["rival"].not_rejecting(record["expected"], 0.0)
    return judging.verdict(interval, record["expected"], rival), record["too_small"]


@pytest.mark.parametrize("claim", judge.COMPARED)
def test_a_method_that_needs_few_enough_samples_confirms_its_claim_and_the_rival_s_number_does_not(claim: str) -> None:
    fewer, more, most, rival, _ = judge.COMPARED[claim]
    assert verdict(runs({fewer: 4000 * most / 2, more: 4000}), claim) == ("confirmed", "")
    assert verdict(runs({fewer: 4000 * rival, more: 4000}), claim) == ("not confirmed", "")
    assert verdict(runs({fewer: 4000 * most, more: 4000}), claim) == ("inconclusive", "")


def test_a_ratio_is_an_upper_bound_where_the_slower_method_does_not_arrive() -> None:
    table = runs({"pma_kept": 500, "pma": math.inf, "slow_policy": 6000})
    assert verdict(table, "C8-kept") == ("confirmed", "")  # 500 of more than 10000
    assert verdict(table, "C8-one-loop") == ("inconclusive", "")  # 6000 of more than 10000: not known to be half
    assert verdict(runs({"pma_kept": math.inf, "pma": 500}), "C8-kept") == ("not confirmed", "")
    assert "neither" in verdict(runs({"pma_kept": math.inf, "pma": math.inf}), "C8-kept")[1]
    assert "nothing to learn" in verdict(runs({"pma_kept": 500, "pma": 1}), "C8-kept")[1]
    assert verdict(runs({"pma_pooled": 1, "pma": 500}), "C8-pooled") == ("confirmed", "")


@pytest.mark.parametrize("tie", [False, True])
def test_where_settings_tie_the_interval_holds_the_ratios_of_both(tie: bool) -> None:
    """Settings whose costs differ by less than their noise, and whose samples to the accuracy differ threefold."""
    table = runs({"pma_kept": 500, "pma": 4000})
    if tie:
        costs = {("a", r): 6.0 + 0.3 * (r % 2) for r in range(8)} | {("b", r): 6.0 + 0.3 * (r // 4) for r in range(8)}
        of = table["method"] == "pma_kept"
        table.loc[of, "cost"] = [costs[key] for key in zip(table["setting"][of], table["replicate"][of], strict=True)]
    estimate, _ = judge.ratio(table, "pma_kept", "pma", claim="C8-kept", confidence=0.95)
    assert estimate.low < 0.14
    assert (estimate.high > 0.3) == tie


def test_a_configuration_names_games_methods_and_files_that_are_wrong(tmp_path: Path) -> None:
    config = yaml.safe_load((Path(__file__).resolve().parents[1] / "config/smoke.yaml").read_text())
    methods = config["one_trajectory"]["methods"]
    methods["mine"] = {"file": "nowhere.py", "rate": [1.0]}
    methods["softmax_sarsa"]["exploration"] = [2]
    del methods["pma"]
    with pytest.raises(InputError) as refused:
        configuration.check(config, "mine.yaml")
    for message in (
        "one_trajectory.methods.mine: file, nowhere.py: file: got nothing there, expected an existing Python file",
        "one_trajectory.methods.softmax_sarsa: exploration: got 2, expected a number in [0, 1]",
        "expected pma, which all others are compared with",
    ):
        assert message in str(refused.value)


@pytest.mark.parametrize(
    ("policy", "n_steps", "words"),
    [
        (np.full((2, 9), 1 / 9), 3, "expected shape"),
        (np.full((3, 2), 0.4), 3, "sum to 1"),
        (np.full((3, 2), 0.5), -1, "n_steps: got -1"),
    ],
)
def test_what_is_no_policy_is_not_played(policy: np.ndarray, n_steps: int, words: str) -> None:
    path = Trajectory(task(games.make("affine", n_states=3, n_actions=2, discount=0.5, seed=0)))
    with pytest.raises(InputError, match=words):
        path.play(policy, n_steps)
