"""Both sides of a benchmark do the same work."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

from pma_mfg import games

SIMULATOR = Path(__file__).resolve().parents[1] / "benchmarks" / "simulator.py"


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
