"""Both sides of a benchmark do the same work."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.statistical import Level

from pma_mfg import operators, solvers
from pma_mfg import simulation as simulation_package
from pma_mfg.simulation import exchangeable as simulation
from pma_mfg.simulation import exchangeable_kernels

SIMULATOR, SOLVERS, SCALING, ENVIRONMENTS = (
    Path(__file__).resolve().parents[1] / "benchmarks" / f"{name}.py"
    for name in ("simulator", "solvers", "scaling", "environments")
)


def load(path: Path) -> dict[str, Any]:
    """Return what a benchmark defines; benchmarks import each other as scripts do, from their own folder."""
    sys.path.insert(0, str(path.parent))
    try:
        return runpy.run_path(str(path))
    finally:
        sys.path.remove(str(path.parent))


@pytest.mark.statistical(false_alarm=1e-6, power=0.95, against="a Q-function off by a third of its largest entry")
def test_numpy_baseline_learns_the_same_q(level: Level) -> None:
    bench = load(SIMULATOR)
    game = bench["planted"](5)
    found = np.array(
        [
            [
                bench[name](game, game.planted.policy, 10**6, 300, np.random.default_rng([seed, i]))
                for seed in range(120)
            ]
            for i, name in enumerate(("numpy_loop", "compiled"))
        ]
    )
    # independent streams: the differences are independent rows
    level.means(found[0] - found[1], 0.0, planted=found.mean(axis=(0, 1)).max() / 3)


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="4 % of the moves replaced")
def test_the_environments_that_are_timed_move_agents_in_one_law(level: Level) -> None:
    pytest.importorskip("pettingzoo")
    bench = load(ENVIRONMENTS)
    game, n_agents = bench["make"]()[1], 20_000
    states, actions = np.full(n_agents, 3), np.full(n_agents, 2)
    after, rewards, mean_field = bench["numpy_step"](game, states, actions, np.random.default_rng(0))
    law, before = game.transition(np.eye(10)[3])[3, 2], np.eye(10)[3]
    np.testing.assert_allclose(rewards, game.reward(before)[3, 2], atol=1e-14)
    np.testing.assert_array_equal(mean_field, np.bincount(after, minlength=10) / n_agents)
    crowd = simulation_package.environment(game, n_agents, seed=0, mean_field=before)
    ours = crowd.step(np.full((1, n_agents), 2))[0][0]
    for moved in (after, ours):
        level.counts(np.bincount(moved, minlength=10), law, 0.96 * law + 0.04 * before, share=0.5)
    for name in ("library", "with_numpy", "with_pettingzoo"):
        arguments = ((1, 100), np.int64) if name == "library" else (100,)
        assert bench[name](game, *arguments)(0) % 100 == 0  # moves


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="moments off by 4 %")
def test_the_alternatives_move_counts_in_the_same_law(level: Level) -> None:
    bench = load(SIMULATOR)
    game, n_agents, steps = bench["planted"](5), 200, 3
    tables = bench["affine_tables"](game, game.planted.policy)
    start = np.array([n_agents, 0, 0, 0, 0])
    rng = np.random.default_rng(0)
    many = bench["numpy_replicates"](tables, start, steps, 4000, rng)
    single = np.array([bench["individuals"](tables, np.repeat(np.arange(5), start), steps, rng) for _ in range(4000)])
    shared = simulation.policy_tables(game, game.planted.policy, None)
    own, stream = np.tile(start, (4000, 1)), simulation.random_stream(rng)
    sums = (np.zeros(1), np.zeros(5), *np.zeros((3, 5, 5)), np.zeros((0, 0)))
    unused = np.zeros(5), np.zeros((5, 5))  # it also averages, which is not looked at
    for counts in own:
        exchangeable_kernels.average(
            stream, counts, simulation.game_tables(game), shared, steps, np.zeros(5), unused, unused, *sums
        )
    for other in (many, single):
        assert (other.sum(axis=1) == n_agents).all()
        moments = [np.hstack([x, *(x * x[:, [y]] for y in range(5))]) for x in (own, other)]  # 5 first, 25 second ones
        level.means(moments[0] - moments[1], 0.0, planted=0.04 * moments[0].mean(axis=0), share=0.5)


def test_times_are_taken_in_turn() -> None:
    timing = load(SIMULATOR.with_name("timing.py"))
    called = []
    sides = {name: lambda seed, name=name: called.append((name, seed)) or 10 for name in "ab"}
    times = timing["alternating"](sides, 2)
    assert called == [("a", 0), ("b", 0), ("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert {name: len(values) for name, values in times.items()} == {"a": 2, "b": 2}
    assert timing["line"]("S", {"library": [1.0, 2.0, 3.0], "loop": [2.0, 6.0, 3.0]}).endswith("library 2  loop 3 (2x)")


def test_both_sides_reach_the_same_stable_population() -> None:
    bench = runpy.run_path(str(SOLVERS))
    for game in (bench["sparse_crowd"](40, moving=0.1), bench["dense_crowd"](40, blocks=4, crossing=0.1)):
        update = operators.population_map(game, operators.uniform_policy(game))
        start = np.full(40, 1 / 40)
        plain, updates = bench["plain_iteration"](update, start)
        ours, history = solvers.anderson(update, start, bench["TOLERANCE"], max_iterations=updates)
        # residuals of 1e-13 on chains that lose a tenth of any difference in some steps
        np.testing.assert_allclose(ours, plain, rtol=0, atol=1e-11)
        assert len(history) < updates


def test_a_game_of_every_kind_is_measured() -> None:
    bench = runpy.run_path(str(SOLVERS))
    found = bench["measure"]("sparse, S = 10")
    assert abs(found["exploitability"]) < 1e-11
    assert bench["torus_walk"](5).is_sparse
    assert set(found) >= {"operator_s", "solve_s", "iterations", "peak_MiB", "ratio", "plain_updates", "anderson_steps"}


def test_a_power_of_the_size_has_its_exponent_within_the_interval() -> None:
    bench = load(SCALING)
    rng, sizes = np.random.default_rng(0), [10, 20, 40, 80]
    times = [1e-6 * size**1.7 * rng.lognormal(sigma=0.05, size=8) for size in sizes]
    fitted, end = bench["exponent"](sizes, times)
    # noise of 5 % in medians of 8: the exponent is known to 0.01, and that of two sizes to 0.05; five times that
    assert fitted.low <= 1.7 <= fitted.high
    assert abs(fitted.value - 1.7) < 0.05
    assert abs(end - 1.7) < 0.25


def test_the_sizes_of_a_sweep_take_turns() -> None:
    bench = load(SCALING)
    called: list[str] = []

    def run(name: str) -> Any:
        def spend(count: int) -> None:
            called.append(name)
            sum(range(200_000 * count))

        return spend

    bench["seconds"].__globals__["LEAST"] = 1e-4
    times = bench["seconds"]([run("small"), run("large")], 3)
    assert called[-6:] == ["small", "large"] * 3
    assert all((group > 0).all() for group in times)


def test_no_benchmark_is_named_as_a_module_that_is_looked_for() -> None:
    # a script's own folder comes first: numba imports `coverage` where there is one, and found a benchmark
    looked_for = {"coverage", *sys.stdlib_module_names}
    assert not looked_for & {path.stem for path in SCALING.parent.glob("*.py")}


def test_every_rule_that_computes_belongs_to_a_measured_operation() -> None:
    bench = load(SCALING)
    source = "".join(path.read_text() for path in (SCALING.parents[1] / "workflow/rules").glob("*.smk"))
    rules = set(re.findall(r"^(?:rule|use rule \w+ as) (\w+)\b", source, re.MULTILINE))
    told = {rule for _, names, _ in bench["OPERATIONS"].values() for rule in names.split(", ")}
    assert told <= rules
    assert rules - told == {"game", "game_functions", "warm_up", "table", "claims", "findings", "figure"}


def test_costs_are_told_rule_by_rule(tmp_path: Path) -> None:
    bench = load(SCALING)
    for rule, job, cpu in (
        ("ctd", "a_10", 30.0),
        ("ctd", "a_b_10", 12.0),
        ("ctd", "a_b_20", 18.0),
        ("table", "c", "-"),
    ):
        path = tmp_path / "benchmarks" / rule / f"{job}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\tmax_rss\tcpu_time\n50.0\t200.0\t{cpu}\n")
    lines = bench["rules"](tmp_path, ["a", "a_b"])
    assert "| ctd | 3 | 1 min | 100.0 % | 30 s | 200 MiB | 8.3 |" in lines  # 30 s for each of two games
    assert lines[-1] == "| all | 4 | 1 min | | | 200 MiB | 8.3 |"
