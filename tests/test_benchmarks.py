"""Both sides of a benchmark do the same work."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.statistical import Level

from pma_mfg import kernels, operators, simulation, solvers

SIMULATOR, SOLVERS = (
    Path(__file__).resolve().parents[1] / "benchmarks" / f"{name}.py" for name in ("simulator", "solvers")
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
    sums = (np.zeros(1), np.zeros(5), np.zeros((5, 5)), np.zeros((5, 5)), np.zeros((5, 5)))
    unused = np.zeros(5), np.zeros((5, 5))  # it also averages, which is not looked at
    for counts in own:
        kernels.average(stream, counts, simulation.game_tables(game), shared, steps, np.zeros(5), unused, unused, *sums)
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
        ours, history = solvers.anderson(update, start, bench["TOLERANCE"], updates)
        # residuals of 1e-13 on chains that lose a tenth of any difference in some steps
        np.testing.assert_allclose(ours, plain, rtol=0, atol=1e-11)
        assert len(history) < updates


def test_a_game_of_every_kind_is_measured() -> None:
    bench = runpy.run_path(str(SOLVERS))
    found = bench["measure"]("sparse, S = 10")
    assert abs(found["exploitability"]) < 1e-11
    assert bench["torus_walk"](5).is_sparse
    assert set(found) >= {"operator_s", "solve_s", "iterations", "peak_MiB", "ratio", "plain_updates", "anderson_steps"}
