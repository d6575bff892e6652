"""Learners with a generative model: their limits without noise, their samples, and the planted equilibrium."""

from itertools import islice, pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp, softmax
from scipy.stats import binom, norm
from tests.references import CURVED_LINKS, curved_game, family_game, random_policy, sparse_copy
from tests.statistical import of_normals

from pma_mfg import equilibrium, games, iterations, operators, seeds
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import generative, schedules
from pma_mfg.learning import generative as baselines
from pma_mfg.learning import generative_kernels as baseline_kernels
from pma_mfg.regularizers import Entropy, Quadratic
from pma_replication import statistics
from pma_replication.experiments.comparison import draw as comparison_draw
from pma_replication.experiments.comparison import judge as comparison_judge
from pma_replication.experiments.comparison import measure as comparison_measure
from pma_replication.experiments.comparison import medians

REGULARIZER = Entropy(0.1)
SETTINGS = {
    "pma": {"step_size": 1.0, "first": 10.0, "growth": 1.5, "constant": 1.0},
    "gmf_q": {"first": 10.0, "growth": 1.5, "constant": 1.0, "share": 1.0},
    "fitted_q": {"first": 10.0, "growth": 1.5, "share": 1.0},
    "fictitious_play": {"first": 10.0, "growth": 1.2, "constant": 1.0, "share": 1.0},
    "online_mirror_descent": {"step_size": 0.5, "first": 10.0, "growth": 1.3, "constant": 1.0, "share": 1.0},
    "two_timescale": {
        "first": 10.0,
        "growth": 1.5,
        "q_exponent": 0.6,
        "mean_field_exponent": 0.9,
        "exploration": 0.1,
    },
}


def planted():
    return games.make("planted_smooth", n_states=3, n_actions=2, discount=0.5, seed=1, strength=0.1)


def learner(method, game, seed=0, budget=10_000, n_agents=1000, **changes):
    rng = np.random.default_rng(seed)
    task = generative.Task(game, REGULARIZER, rng, budget, n_agents)
    return generative.METHODS[method](task, **(SETTINGS[method] | changes))


@pytest.mark.statistical(false_alarm=1e-6, power=0.999, against="policies that stay uniform")
@pytest.mark.parametrize("method", generative.METHODS)
def test_every_method_reaches_the_planted_equilibrium(method, level):
    game = planted()
    *_, (samples, policy) = learner(method, game, 1, 600_000, 10**6)
    assert 0.3 * 600_000 < samples <= 600_000
    # Every last estimate of Q rests on at least 600000 / 2 / 6 (0.2 / 1.2) = 8000 draws per pair, each with a standard
    # deviation below gamma sp(V) / (2 (1 - gamma)) = 0.101, for the span of V* is 0.202: 0.0011 for the mean, twice
    # that for what the method's own steps weigh unequally, and at most half of twice that over tau in l1. Fictitious
    # play is off by O(1 / rounds) besides, 1/45. One of six entries decides, and is larger for both signs.
    deviation, bias = 0.0022 / 0.1, 1 / 45 if method == "fictitious_play" else 0.0
    uniform, found = (
        operators.policy_distance(x, game.planted.policy) - bias for x in (operators.uniform_policy(game), policy)
    )
    level.accept(6 * of_normals(max(found, 0.0), 0.0, deviation))
    level.show(norm.cdf(uniform / deviation - norm.isf(level.false_alarm / 12)))


@pytest.mark.parametrize("method", generative.METHODS)
def test_the_same_generator_gives_the_same_run(method):
    game = planted()
    first, again, other = (list(learner(method, game, seed)) for seed in (5, 5, 6))
    assert [samples for samples, _ in first] == [samples for samples, _ in again]
    for (_, policy), (_, same) in zip(first, again, strict=True):
        np.testing.assert_array_equal(policy, same)
    assert not np.array_equal(first[-1][1], other[-1][1])


@pytest.mark.parametrize("method", generative.METHODS)
def test_every_call_of_the_simulator_is_counted(method, monkeypatch):
    calls = [0]

    def counting(module, name, number):
        original = getattr(module, name)

        def counted(*arguments, **named):
            calls[0] += number(*arguments, **named)
            return original(*arguments, **named)

        monkeypatch.setattr(module, name, counted)

    counting(baseline_kernels, "sweeps", lambda uniforms, *_: uniforms.size)
    counting(baseline_kernels, "two_timescale", lambda uniforms, *_: len(uniforms))
    # one draw of a successor for each that is counted; how the initial agents are drawn from mu is no call
    counting(baselines, "_multinomial", lambda n, rows, _: int(np.broadcast_to(n, rows.shape[:-1]).sum()))
    counting(
        baseline_kernels, "settle", lambda rng, steps, rows, base, terms, features, counts, _: steps * counts.sum()
    )
    counting(learning, "ctd", lambda *_, n_updates, n_waiting, **__: n_updates * (n_waiting + 1))
    budget, before = 5000, 0
    fewer = {"share": 0.3} if "share" in SETTINGS[method] else {}
    for samples, policy in learner(method, planted(), budget=budget, **fewer):
        assert samples == calls[0] > before
        assert samples <= budget
        np.testing.assert_allclose(policy.sum(axis=1), 1.0, atol=1e-12)
        before = samples
    assert calls[0] == before  # the round that the budget cannot pay for takes nothing
    assert before > budget / 4


def test_steps_of_pma_on_one_trajectory_are_one_transition_of_the_tagged_agent_each():
    game = planted()
    population = generative.initial_population(game, 50, np.random.default_rng(0))
    visited = []
    policy = operators.uniform_policy(game)
    for _ in range(200):
        before = population.tagged.copy()
        learning.ctd(
            game,
            policy,
            50,
            regularizer=REGULARIZER,
            n_updates=1,
            n_waiting=0,
            td_scale=5.0,
            td_offset=5.0,
            rng=np.random.default_rng(1),
            population=population,
        )
        visited.append((before[0], population.tagged[0]))
    assert all(later[0] == earlier[1] for earlier, later in pairwise(visited))
    moves = pd.Series(visited).value_counts()
    assert len(moves) > 5  # and it moves


# ------------------------------------------------------------------------------------------- limits without noise


@pytest.fixture
def noiseless(monkeypatch):
    """Put the exact Q-function, the exact step and the exact stable population in place of what is sampled."""

    def exact_q(transition, reward, discount, *, regularizer, policy, **_):
        if policy is not None:
            return operators.q_of_decision_process(transition, reward, discount, policy=policy, regularizer=regularizer)
        q = np.zeros_like(reward)
        for _ in range(2000):  # 0.9^2000 is below rounding
            q = reward + discount * transition @ (regularizer.strength * logsumexp(q / regularizer.strength, axis=1))
        return q

    monkeypatch.setattr(generative, "sampled_q", exact_q)
    monkeypatch.setattr(
        generative, "moved", lambda game, mu, policy, **_: operators.population_update(game, mu, policy)
    )
    monkeypatch.setattr(generative, "settled", lambda game, mu, policy, **_: operators.stable_population(game, policy))
    monkeypatch.setattr(generative, "_multinomial", lambda n, rows, _: np.asarray(n)[..., None] * rows)
    monkeypatch.setattr(
        learning,
        "ctd",
        lambda game, policy, n, *, regularizer, **_: operators.q_values(
            game, policy, operators.stable_population(game, policy), regularizer=regularizer
        ),
    )


def policies(method, game, count, **changes):
    return [policy for _, policy in islice(learner(method, game, budget=10**6, **changes), count)]


@pytest.mark.parametrize(
    ("method", "exact", "changes", "step_size"),
    [
        ("pma", "pma_euclidean", {"step_size": 0.7}, 7.0),
        ("online_mirror_descent", "online_mirror_descent", {"step_size": 0.3}, 3.0),
        ("online_mirror_descent", "best_response", {"step_size": 1.0}, 0.0),
        ("fictitious_play", "fictitious_play", {}, 0.0),
    ],
)
@pytest.mark.parametrize("family", ["planted_kinked", "crowd_averse"])
def test_without_noise_methods_are_the_exact_iterations(method, exact, changes, step_size, family, noiseless):
    game = family_game(family)
    start = operators.uniform_policy(game)
    expected = islice(iterations.iteration(exact, game, REGULARIZER, start=start, step_size=step_size), 1, 11)
    for found, wanted in zip(policies(method, game, 10, **changes), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9)  # of Q / tau, Q from solvers accurate to 1e-12


@pytest.mark.parametrize("method", ["gmf_q", "fitted_q"])
def test_without_noise_both_answer_the_population_and_move_it_once(method, noiseless):
    game = family_game("crowd_averse")
    mean_field = np.full(game.n_states, 1.0 / game.n_states)
    for found in policies(method, game, 10):
        frozen = game.transition(mean_field), game.reward(mean_field)
        policy = equilibrium.best_response(*frozen, game.discount, regularizer=REGULARIZER)
        np.testing.assert_allclose(found, policy, rtol=0, atol=1e-9)  # as above
        mean_field = operators.population_update(game, mean_field, policy)


# ------------------------------------------------------------------------------------------- the simulator


@pytest.mark.parametrize("followed", [False, True])
@pytest.mark.parametrize("chunk", [1, 2**18])
def test_q_learning_is_the_recursion_of_theory(followed, chunk, monkeypatch):
    """Equation (17.1) in plain Python on the same uniform numbers; how many are held at a time has no influence."""
    monkeypatch.setattr(generative, "CHUNK", chunk)
    game, rng = curved_game("absolute"), np.random.default_rng(3)
    mean_field = rng.dirichlet(np.ones(game.n_states))
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    policy = rng.dirichlet(np.ones(game.n_actions), size=game.n_states) if followed else None
    found = generative.sampled_q(
        transition,
        reward,
        0.8,
        regularizer=REGULARIZER,
        policy=policy,
        n_sweeps=50,
        constant=2.0,
        start=0.3,
        rng=np.random.default_rng(7),
    )
    uniforms = np.random.default_rng(7).random((50, game.n_states, game.n_actions))
    q = np.full(reward.shape, 0.3)
    for m in range(50):
        if policy is None:
            value = 0.1 * logsumexp(q / 0.1, axis=1)
        else:
            value = (policy * (q - 0.1 * np.log(policy))).sum(axis=1)
        successor = (uniforms[m][..., None] >= np.cumsum(transition, axis=2)).sum(axis=2)
        q = q + 10.0 / (m + 10.0) * (reward + 0.8 * value[successor] - q)
    np.testing.assert_allclose(found, q, rtol=0, atol=1e-12)  # rounding of 50 steps on numbers of order one


@pytest.mark.parametrize("link", CURVED_LINKS)
def test_the_two_timescale_path_is_that_of_theory(link):
    game = curved_game(link)
    samples, policy = next(
        generative.two_timescale(
            generative.Task(game, REGULARIZER, np.random.default_rng(4), 10_000, 2),
            first=25,
            growth=1.0,
            q_exponent=0.6,
            mean_field_exponent=0.9,
            exploration=0.2,
        )
    )
    rng = np.random.default_rng(4)
    s, q = int(rng.choice(game.n_states)), np.full(game.base_reward.shape, schedules.td_start(game, REGULARIZER))
    visits, mean_field = np.zeros(q.shape), np.full(game.n_states, 1.0 / game.n_states)
    uniforms = rng.random((25 * q.size, 2))
    for t, (u, v) in enumerate(uniforms):
        behaviour = 0.8 * softmax(q[s] / 0.1) + 0.2 / game.n_actions
        a = int((u >= np.cumsum(behaviour)).sum())
        y = int((v >= np.cumsum(game.transition(mean_field)[s, a])).sum())
        target = game.reward(mean_field)[s, a] + game.discount * 0.1 * logsumexp(q[y] / 0.1)
        q[s, a] += (1.0 + visits[s, a]) ** -0.6 * (target - q[s, a])
        visits[s, a] += 1
        mean_field += (t + 2.0) ** -0.9 * (np.eye(game.n_states)[y] - mean_field)
        s = y
    assert samples == 25 * q.size
    np.testing.assert_allclose(policy, softmax(q / 0.1, axis=1), rtol=0, atol=1e-9)  # rounding over tau, 300 steps


def test_the_two_timescale_path_is_the_same_in_chunks_of_any_length(monkeypatch):
    whole = list(learner("two_timescale", planted(), budget=500))
    monkeypatch.setattr(generative, "ENTRY_SECONDS", 1.0)  # one transition at a time
    for (samples, policy), (again, other) in zip(whole, learner("two_timescale", planted(), budget=500), strict=True):
        assert samples == again
        np.testing.assert_array_equal(policy, other)


@pytest.mark.statistical(false_alarm=1e-6, power=0.999, against="agents who play uniformly")
def test_agents_are_moved_by_the_games_own_law(level):
    game = family_game("affine")
    rng = np.random.default_rng(0)
    mean_field, policy = np.array([0.4, 0.3, 0.2, 0.1]), random_policy(game, 0, 0.3)
    n = 10**12
    expected = operators.population_update(game, mean_field, policy)
    # standard deviations are at most 0.5 / sqrt(n) per state
    deviation = 0.5 / np.sqrt(n)
    level.accept(
        of_normals(generative.moved(game, mean_field, policy, n_agents=n, rng=rng), expected, deviation), share=1 / 3
    )
    path = mean_field
    late = []
    for step in range(generative.POPULATION_STEPS):
        path = operators.population_update(game, path, policy)
        late += [path] if step >= generative.POPULATION_STEPS // 2 else []
    # noise of 20 steps, each of that size, none amplified more than twice
    settled = generative.settled(game, mean_field, policy, n_agents=n, rng=rng)
    level.accept(of_normals(settled, np.mean(late, axis=0), 2 * np.sqrt(20) * deviation), share=1 / 3)
    few = [generative.moved(game, mean_field, policy, n_agents=10, rng=rng) for _ in range(8000)]
    planted = operators.population_update(game, mean_field, operators.uniform_policy(game))
    level.means(few, expected, planted=planted, share=1 / 3)


@pytest.mark.parametrize("n_agents", [1, 40, 10**6])
@pytest.mark.parametrize("game", [*map(curved_game, CURVED_LINKS), games.make("malware_spread")], ids=repr)
def test_agents_settle_by_the_draws_of_numpy(game, n_agents):
    rng, same = np.random.default_rng(6), np.random.default_rng(6)
    policy, flat = random_policy(game, 1, 0.3), np.full(game.n_states, 1.0 / game.n_states)
    settled = generative.settled(game, flat, policy, n_agents=n_agents, rng=rng)
    counts, late = same.multinomial(n_agents, flat), []
    for step in range(generative.POPULATION_STEPS):
        rows = operators.policy_kernel(game.transition(counts / n_agents), policy)
        counts = same.multinomial(counts, rows / rows.sum(axis=1, keepdims=True)).sum(axis=0)
        late += [counts] if step >= generative.POPULATION_STEPS // 2 else []
    np.testing.assert_array_equal(settled, np.sum(late, axis=0) / np.sum(late))
    assert rng.random() == same.random()
    other = generative.settled(sparse_copy(game), flat, policy, n_agents=n_agents, rng=np.random.default_rng(6))
    np.testing.assert_array_equal(settled, other)


def test_agents_do_not_settle_with_chances_that_are_no_numbers():
    game = planted()
    with pytest.raises(ValueError, match="not a number"):
        generative.settled(game, np.full(3, 1 / 3), np.full((3, 2), np.nan), n_agents=10, rng=np.random.default_rng(0))


# ------------------------------------------------------------------------------------------- measuring


def test_exploitability_is_that_of_the_last_policy_until_then():
    game = planted()
    uniform, other = operators.uniform_policy(game), game.planted.policy
    found = comparison_measure.exploitabilities(
        iter([(20, other), (70, uniform)]), game, REGULARIZER, samples=np.array([10, 20, 69, 70])
    )
    at_start = equilibrium.exploitability(game, uniform, REGULARIZER)
    np.testing.assert_allclose(found, [at_start, found[1], found[1], at_start], rtol=1e-12)
    assert found[1] < 1e-12


def test_checkpoints_run_from_ten_to_the_budget():
    np.testing.assert_array_equal(comparison_measure.checkpoints(10_000, 2), [10, 32, 100, 316, 1000, 3162, 10_000])


def test_samples_to_stay_forgets_a_visit():
    samples, errors = [10, 100, 1000, 10_000], [1.0, 0.01, 1.0, 0.01]
    assert statistics.samples_to_reach(0.1, samples, errors) == pytest.approx(10**1.5)
    assert statistics.samples_to_stay(0.1, samples, errors) == pytest.approx(10**3.5)
    assert statistics.samples_to_stay(0.1, samples[:3], errors[:3]) == np.inf
    assert statistics.samples_to_stay(2.0, samples, errors) == 10.0


def test_what_never_arrives_has_infinite_samples_and_no_average():
    curves = {r: [1.0, 0.01 if r < 4 else 0.5] for r in range(10)}
    rows = [("g", "m", "x", r, n, e) for r, curve in curves.items() for n, e in zip([10, 1000], curve, strict=True)]
    columns = ["game", "method", "setting", "replicate", "samples", "exploitability"]
    curves = pd.DataFrame(rows, columns=columns).assign(reward_range=4.0, cost=1.0, chosen=True)
    table = comparison_measure.samples_to_accuracy(curves, [0.6, 0.1]).set_index(["unit", "accuracy"]).loc["range"]
    assert table.loc[0.6, "n_reached"] == 10
    assert np.isfinite(table.loc[0.6, ["samples", "low", "high"]].to_numpy(float)).all()
    assert table.loc[0.1, "n_reached"] == 4
    assert table.loc[0.1, "samples"] == table.loc[0.1, "high"] == np.inf
    assert table.loc[0.1, "low"] == pytest.approx(100.0)  # some resamples have a median that arrives
    few = comparison_measure.samples_to_accuracy(curves[curves["replicate"] < 7], [0.6])
    assert few[["low", "high"]].isna().all(axis=None)
    both = pd.concat([few.assign(method="pma"), few.assign(method="gmf_q")])
    assert comparison_judge.comparison_cells(both)["PMA, one trajectory"][0] == "17"  # without an interval


def test_plain_accuracies_are_in_units_of_the_rewards():
    curve = list(zip([10, 100, 1000, 10000], [1.0, 0.1, 0.01, 0.001], strict=True))
    columns = ["game", "method", "setting", "replicate", "samples", "exploitability"]
    curves = pd.DataFrame([("g", "m", "x", r, *point) for r in (0, 1) for point in curve], columns=columns)
    table = comparison_measure.samples_to_accuracy(curves.assign(reward_range=10.0, cost=1.0, chosen=True), [0.1, 0.01])
    table = table.set_index(["unit", "accuracy"])["samples"]
    assert table["range"].to_list() == pytest.approx([100.0, 1000.0])
    assert table["plain"].to_list() == pytest.approx([1000.0, 10000.0])


def test_the_unit_is_the_range_of_rewards():
    assert comparison_measure.reward_range(games.make("rock_paper_scissors")) == pytest.approx(2.0)
    assert comparison_measure.reward_range(games.make("lasry_lions_chain")) == pytest.approx(2.0 + 3.0 * 9.0 + 40.0)


GRIDS = {
    "fitted_q": {"first": [10], "growth": [1.0, 1.5], "share": [1.0]},
    "pma": {"step_size": [1.0], "first": [10], "growth": [1.5], "constant": [1.0]},
}


def compared(seed, regularizer=REGULARIZER, **changes):
    settings = {"grids": GRIDS, "n_agents": 100, "budget": 2000, "pilot_budget": 1000, "per_decade": 3}
    settings |= {"target": 0.003, "n_pilots": 2, "n_replicates": 3, "policy": np.full((3, 2), 0.5)} | changes
    return comparison_measure.compare(planted(), regularizer, "g", seed=seed, **settings)


def test_comparison_is_tidy_repeatable_in_any_order_of_its_grid_and_tuned_on_runs_of_its_own():
    comparison, tuning = compared(1)
    turned = {method: dict(reversed(grid.items())) for method, grid in reversed(GRIDS.items())}
    pd.testing.assert_frame_equal(comparison, compared(1, grids=turned)[0], check_exact=True)
    assert not comparison.equals(compared(2)[0])
    columns = ["game", "method", "setting", "replicate", "cost", "chosen", "samples", "exploitability", "reward_range"]
    assert list(comparison.columns) == [*columns, "settled"]
    assert (comparison.groupby(["method", "setting", "replicate"])["samples"].max() == 2000).all()
    # every replicate is reported once, of the setting that is cheapest in the others
    of_run = comparison[comparison["method"] == "fitted_q"].drop_duplicates(["setting", "replicate"])
    costs = of_run.pivot(index="setting", columns="replicate", values="cost")
    for replicate in costs:
        (setting,) = of_run.loc[of_run["chosen"] & (of_run["replicate"] == replicate), "setting"]
        assert setting == costs.drop(columns=replicate).mean(axis=1).idxmin()
    # no run that is reported is a pilot run: they differ already at the pilots' budget
    pilots = tuning[(tuning["method"] == "fitted_q") & (tuning["replicate"] == 0)].set_index("setting")
    for setting, run in comparison[comparison["replicate"] == 0].groupby("setting"):
        if setting in pilots.index:
            last = pilots.loc[setting, "final_exploitability"]
            assert not np.isclose(run["exploitability"], last, rtol=1e-9).any()


def test_a_policy_whose_population_does_not_settle_counts_as_the_worst_and_ends_no_comparison(monkeypatch):
    game, exact, settled = planted(), equilibrium.exploitability, operators.stable_population
    uniform, other = np.full((3, 2), 0.5), np.tile([0.9, 0.1], (3, 1))

    def settles_for_the_uniform_policy_only(game, policy, **given):
        if (policy != uniform).any():
            raise ConvergenceError("no stable population", [])
        return settled(game, policy, **given)

    monkeypatch.setattr(operators, "stable_population", settles_for_the_uniform_policy_only)
    curve = comparison_measure.exploitabilities(
        iter([(50, other), (70, uniform)]), game, REGULARIZER, samples=np.array([10, 60, 80])
    )
    worst = (comparison_measure.reward_range(game) + 0.1 * np.log(2)) / 0.5
    np.testing.assert_allclose(curve, [exact(game, uniform, REGULARIZER), worst, exact(game, uniform, REGULARIZER)])
    monkeypatch.undo()
    assert exact(game, other, REGULARIZER) <= worst


@pytest.mark.parametrize("target", [0.003, 1e-9])  # the second is never reached: the last exploitability decides
def test_the_settings_that_cost_least_in_the_pilot_runs_are_run_in_full(target):
    grids = {"fitted_q": {"first": [2, 10], "growth": [1.0, 1.5], "share": [1.0]}}
    comparison, tuning = compared(1, grids=grids, target=target, n_replicates=2)
    assert np.isinf(tuning["samples_to_target"]).all() == (target < 1e-6)
    costs = np.log(tuning["final_exploitability" if target < 1e-6 else "samples_to_target"])
    costs = costs.where(np.isfinite(costs), np.log(1000 * tuning["final_exploitability"] / target))
    best = costs.groupby(tuning["setting"]).mean().nsmallest(comparison_measure.CONTENDERS).index
    assert set(tuning.loc[tuning["contender"], "setting"]) == set(comparison["setting"]) == set(best)


def test_the_cost_of_a_run_does_not_jump_where_it_just_misses_the_target():
    samples, errors = [10, 100, 1000], [1.0, 0.5]
    below, above = (
        comparison_measure.tuning_cost(
            statistics.samples_to_stay(0.1, samples, [*errors, last]), last, 0.1, budget=1000
        )
        for last in (0.1 * (1.0 - 1e-9), 0.1 * (1.0 + 1e-9))
    )
    assert below < np.log(1000) < above < below + 1e-7


def two_settings(costs, fine, target=0.03):
    """Runs of a method at two settings that reach 0.03 at exp(cost), and a finer accuracy at `fine` times that."""
    rows = []
    chosen = comparison_measure.chosen_by_others(costs)
    for k, (of_setting, factor) in enumerate(zip(costs, fine, strict=True)):
        for replicate, cost in enumerate(of_setting):
            of_run = ("g", "m", f"x={k}", replicate, cost, chosen[replicate] == k)
            reached = float(np.exp(cost))
            curve = [(10.0, 1.0), (reached, target), (factor * reached, 0.01), (1e9, 1e-3)]
            rows += [(*of_run, *point) for point in curve]
    columns = ["game", "method", "setting", "replicate", "cost", "chosen", "samples", "exploitability"]
    return pd.DataFrame(rows, columns=columns).assign(reward_range=1.0)


def samples_of(table):
    """The row of the accuracy 0.01, in units of the range, of curves on checkpoints of their own."""
    return table.set_index(["unit", "accuracy"]).loc[("range", 0.01), ["samples", "low", "high"]].to_numpy(float)


def accuracy_of(costs, fine):
    # a common grid of checkpoints: `samples_to_accuracy` wants one for all runs
    curves = two_settings(costs, fine)
    grid = np.geomspace(10.0, 1e9, 400)
    parts = []
    for _, run in curves.groupby(["setting", "replicate"], sort=False):
        errors = np.exp(np.interp(np.log(grid), np.log(run["samples"]), np.log(run["exploitability"])))
        first = run.iloc[:1].drop(columns=["samples", "exploitability"])
        parts.append(first.merge(pd.DataFrame({"samples": grid, "exploitability": errors}), how="cross"))
    return samples_of(comparison_measure.samples_to_accuracy(pd.concat(parts, ignore_index=True), [0.01]))


@pytest.fixture
def fewer_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 400)


def test_a_tie_that_rounding_decides_neither_moves_the_estimate_by_a_factor_nor_the_interval(fewer_resamples):
    # two settings that need the same samples to the target in the mean, one of them three times as many to a finer one
    spread = np.random.default_rng(0).normal(scale=0.3, size=(2, 8))
    costs = np.log(3000.0) + spread - spread.mean(axis=1, keepdims=True)
    fine = (2.0, 6.0)
    old = {}
    for sign in (-1.0, 1.0):  # the rule before: the smaller mean cost wins, and its interval is the only one
        moved = costs * (1.0 + sign * 1e-9 * np.array([[1.0], [-1.0]]))
        k = int(moved.mean(axis=1).argmin())
        old[sign] = accuracy_of(np.stack([moved[k], moved[k] + 50.0]), (fine[k], fine[k]))
    assert old[1.0][0] / old[-1.0][0] > 2.0
    assert old[-1.0][2] < old[1.0][0]
    reference = accuracy_of(costs, fine)
    for size in (1e-12, 1e-9, 1e-6):
        for sign in (-1.0, 1.0):
            found = accuracy_of(costs * (1.0 + sign * size * np.array([[1.0], [-1.0]])), fine)
            np.testing.assert_allclose(found, reference, rtol=1e-3)
    assert reference[1] < old[-1.0][0] < old[1.0][0] < reference[2]


def test_a_setting_that_is_clearly_worse_leaves_the_estimate_and_the_interval_alone(fewer_resamples):
    costs = np.log(3000.0) + np.random.default_rng(0).normal(scale=0.3, size=(2, 8))
    alone = accuracy_of(costs[:1], (2.0,))
    beside = accuracy_of(costs + np.array([[0.0], [3.0]]), (2.0, 50.0))
    assert beside[0] == alone[0]
    np.testing.assert_allclose(beside, alone, rtol=0.1)  # other draws of the bootstrap


def test_swapping_the_settings_of_a_near_tie_changes_nothing_that_is_reported():
    rng = np.random.default_rng(1)
    costs = rng.normal(size=(2, 8))
    np.testing.assert_array_equal(
        comparison_measure.chosen_by_others(costs), 1 - comparison_measure.chosen_by_others(costs[::-1])
    )
    # the choice for a replicate does not look at the replicate's own runs
    changed = costs.copy()
    changed[:, 3] = rng.normal(size=2)
    assert comparison_measure.chosen_by_others(costs)[3] == comparison_measure.chosen_by_others(changed)[3]


@pytest.mark.statistical(false_alarm=1e-6, power=0.999, against="the interval of the chosen setting alone")
def test_intervals_contain_what_tuning_and_measuring_again_would_find(level, monkeypatch):
    """Twelve settings of which two tie; another processor is another draw of all runs."""
    monkeypatch.setattr(statistics, "RESAMPLES", 100)
    rng = np.random.default_rng(2)
    means = np.array([0.0, 0.0, *np.linspace(1.5, 4.0, 10)])
    finer = np.array([0.0, np.log(3.0), *np.zeros(10)])

    def again():
        pilots = means + rng.normal(scale=0.5, size=(2, 12)).mean(axis=0)
        kept = np.sort(pilots.argsort()[: comparison_measure.CONTENDERS])
        costs = means[kept, None] + rng.normal(scale=0.5, size=(len(kept), 8))
        rates = np.exp(-costs - finer[kept, None] - rng.normal(scale=0.1, size=costs.shape))
        chosen = comparison_measure.chosen_by_others(costs)
        interval = statistics.bootstrap([*rates, *costs], medians.tuned_median, rng)
        return medians.slower_median(rates[chosen, np.arange(8)]), interval

    n_pairs = 300
    pairs = [(again()[0], again()[1]) for _ in range(n_pairs)]
    containing = sum(interval.low <= rate <= interval.high for rate, interval in pairs)
    # the interval of a median holds another run's median with probability 0.83 or so; 0.75 is asked for
    asked = binom(n_pairs, 0.75)
    level.accept(asked.cdf(containing))
    # one setting alone: the same one is chosen twice with probability 1/2, and the other one's interval is far off
    level.show(binom(n_pairs, 0.5).cdf(asked.ppf(level.false_alarm) - 1))


def test_games_and_settings_out_of_range_are_named():
    with pytest.raises(InputError, match=r"regularizer.*the entropy"):
        compared(0, Quadratic(0.1), grids={})
    with pytest.raises(InputError, match="budget: got 50, expected an integer >= 100"):
        compared(1, budget=50)
    for method, grid, message in (
        ("nosuch", {}, "one of pma"),
        ("fitted_q", {"first": [1]}, "exactly first, growth, share"),
        ("fitted_q", {"first": [1], "growth": [0.5], "share": [1]}, "growth: got 0.5, expected a number >= 1"),
        ("fitted_q", {"first": [1], "growth": [], "share": [1]}, "at least one value"),
        (
            "online_mirror_descent",
            {"step_size": [1.5], "first": [1], "growth": [1], "constant": [1], "share": [1]},
            "in \\(0, 1\\]",
        ),
    ):
        with pytest.raises(InputError, match=message):
            comparison_measure.settings(method, grid)


def test_settings_are_all_combinations():
    found = comparison_measure.settings("fitted_q", {"first": [1, 2], "growth": [1.5], "share": [0.5, 1.0]})
    assert [tuple(setting.values()) for setting in found] == [
        (1, 1.5, 0.5),
        (1, 1.5, 1.0),
        (2, 1.5, 0.5),
        (2, 1.5, 1.0),
    ]


def test_seeds_of_replicates_do_not_depend_on_the_order_of_methods():
    rng = seeds.generator(3, "comparison", "g", "fitted_q", "first=10 growth=1.5 share=1", 0)
    samples = comparison_measure.checkpoints(2000, 3)
    game = planted()
    task = generative.Task(game, REGULARIZER, rng, 2000, 100)
    run = generative.fitted_q(task, first=10, growth=1.5, share=1.0)
    expected = comparison_measure.exploitabilities(
        run, game, REGULARIZER, samples=samples
    ) / comparison_measure.reward_range(game)
    grids = {"fitted_q": {"first": [10], "growth": [1.5], "share": [1.0]}}
    table = compared(3, grids=grids, target=0.05, n_pilots=1, n_replicates=1)[0]
    np.testing.assert_array_equal(table["exploitability"], expected)


def test_a_learner_of_one_s_own_is_compared_by_name(monkeypatch):
    def stays_uniform(task, *, first, patience):
        """Yield the uniform policy after every `first` samples."""
        for samples in range(int(first), task.budget + 1, int(first)):
            yield samples, operators.uniform_policy(task.game)

    monkeypatch.setitem(generative.METHODS, "stays_uniform", stays_uniform)
    assert comparison_measure.settings("stays_uniform", {"first": [10], "patience": [-3.0]})
    with pytest.raises(InputError, match=r"first: got 0\.5, expected a number >= 1"):
        comparison_measure.settings("stays_uniform", {"first": [0.5], "patience": [1.0]})
    with pytest.raises(InputError, match="patience: got nan, expected a finite number"):
        comparison_measure.settings("stays_uniform", {"first": [10], "patience": [np.nan]})
    game = planted()
    grids = {name: {key: [value] for key, value in SETTINGS[name].items()} for name in ("fitted_q", "pma")}
    grids = {"stays_uniform": {"first": [10], "patience": [0.0]}, **grids}
    table = compared(3, grids=grids, target=0.05, n_pilots=1, n_replicates=2)[0]
    flat = table.loc[table["method"] == "stays_uniform", "exploitability"]
    unit = comparison_measure.reward_range(game)
    assert flat.to_numpy() == pytest.approx(
        equilibrium.exploitability(game, operators.uniform_policy(game), REGULARIZER) / unit, rel=1e-12
    )
    cells = comparison_judge.comparison_cells(comparison_measure.samples_to_accuracy(table, [1e-9]))
    assert list(cells)[2:5] == ["PMA, one trajectory", "fitted Q", "stays uniform"]
    legend = comparison_draw.figure(comparison_draw.data(table)).legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["fitted Q", "PMA, one trajectory", "stays uniform"]
