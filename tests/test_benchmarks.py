"""Both sides of a benchmark do the same work."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

from pma_mfg import games, operators, solvers

SIMULATOR, SOLVERS = (
    Path(__file__).resolve().parents[1] / "benchmarks" / f"{name}.py" for name in ("simulator", "solvers")
)


def test_numpy_baseline_learns_the_same_q_from_the_same_stream() -> None:
    bench = runpy.run_path(str(SIMULATOR))
    game = games.make("planted_smooth", n_states=5, n_actions=3, discount=0.8, seed=1, strength=0.1)
    assert game.planted is not None
    loop, library = (
        bench[name](game, game.planted.policy, 10**6, 2000, np.random.default_rng(0))
        for name in ("numpy_loop", "compiled")
    )
    # one binomial stream serves both; probabilities are summed in another order, which rounding alone can tell
    np.testing.assert_allclose(loop, library, rtol=0, atol=1e-12)


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
