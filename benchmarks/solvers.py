"""Measure the solvers from S = 10 to S = 10^4: time, peak memory, iterations, and Anderson against plain iteration.

Every game runs in a process of its own, so that peak memory is that game's. Anderson acceleration and the plain
iteration of the population update apply the very same map, alternate, and stop at the same residual; the median of the
ratios is reported. Nothing is asserted here. With a game's name as argument: that game alone.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_array, eye_array
from timing import alternating, median_ratio

from pma_mfg import equilibrium, games, operators, solvers
from pma_mfg.games import Features, MeanFieldGame
from pma_mfg.regularizers import Entropy

REPEATS = 3
#: Iterations are repeated until they take so long, as some take a ten thousandth of a second.
SECONDS = 0.05
REGULARIZER = Entropy(0.1)
STEP_SIZE = 3.0 / REGULARIZER.rho
TOLERANCE = operators.STATIONARITY_TOLERANCE
PLAIN_LIMIT = 200_000


def sparse_crowd(n_states: int, moving: float = 1.0) -> MeanFieldGame:
    """Return a crowd-averse game with 10 successors per state; only a share of the agents moves in each step."""
    game = games.make(
        "crowd_averse",
        n_states=n_states,
        n_actions=3,
        discount=0.9,
        seed=0,
        coupling=n_states / 2,  # a crowd of twice the average costs 1, whatever S
        n_successors=min(10, n_states),
    )
    if moving == 1.0:
        return game
    stay = csr_array(eye_array(n_states))[np.repeat(np.arange(n_states), 3)]
    return _changed(game, csr_array(moving * game.base_transition + (1.0 - moving) * stay))


def dense_crowd(n_states: int, moving: float = 1.0, blocks: int = 1, crossing: float = 1.0) -> MeanFieldGame:
    """Return a crowd-averse game in which any state can follow: lazy, or in blocks that few agents leave."""
    rng = np.random.default_rng(1)
    rows = np.empty((n_states, 3, n_states))
    of_block = np.arange(n_states) * blocks // n_states
    for s in range(n_states):
        inside = of_block == of_block[s]
        rows[s] = crossing * rng.dirichlet(np.full(n_states, 0.5), size=3)
        rows[s, :, inside] += (1.0 - crossing) * rng.dirichlet(np.full(int(inside.sum()), 0.5), size=3).T
        rows[s] *= moving
        rows[s, :, s] += 1.0 - moving
    return _changed(sparse_crowd(n_states), rows)


def torus_walk(side: int) -> MeanFieldGame:
    """Return a crowd-averse game of random walks on a torus of side^2 states: slow in many directions at once."""
    rng = np.random.default_rng(2)
    size = side * side
    row, column = np.divmod(np.arange(size), side)
    around = [(row + r) % side * side + (column + c) % side for r, c in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))]
    columns = np.repeat(np.stack(around, axis=1), 3, axis=0).ravel()
    weights = rng.dirichlet(np.ones(5), size=3 * size).ravel()
    starts = np.arange(0, 15 * size + 1, 5)
    walk = csr_array((weights, columns, starts), shape=(3 * size, size))
    walk.sort_indices()
    return _changed(sparse_crowd(size), walk)


def _changed(game: MeanFieldGame, transition: Any) -> MeanFieldGame:
    sparse = isinstance(transition, csr_array)
    return MeanFieldGame(
        discount=game.discount,
        base_transition=transition,
        base_reward=game.base_reward,
        transition_terms=csr_array((0, transition.nnz)) if sparse else np.zeros((0, *transition.shape)),
        transition_features=game.transition_features,
        reward_terms=game.reward_terms,
        reward_features=Features.build(game.reward_features.weights),
    )


#: name -> (builder, whether the whole game is solved)
GAMES: dict[str, tuple[Callable[[], MeanFieldGame], bool]] = {
    **{f"sparse, S = {size}": (lambda size=size: sparse_crowd(size), True) for size in (10, 100, 1000, 10_000)},
    **{f"dense, S = {size}": (lambda size=size: dense_crowd(size), True) for size in (10, 100, 1000, 3000)},
    "dense, 2 % move, S = 1000": (lambda: dense_crowd(1000, moving=0.02), False),
    "dense, 2 % move, S = 3000": (lambda: dense_crowd(3000, moving=0.02), False),
    "dense, 4 blocks, S = 1000": (lambda: dense_crowd(1000, blocks=4, crossing=0.01), False),
    "dense, 4 blocks, S = 3000": (lambda: dense_crowd(3000, blocks=4, crossing=0.01), False),
    "sparse, 5 % move, S = 1000": (lambda: sparse_crowd(1000, moving=0.05), False),
    "sparse, 5 % move, S = 10000": (lambda: sparse_crowd(10_000, moving=0.05), False),
    "sparse torus, S = 900": (lambda: torus_walk(30), False),
    "sparse torus, S = 10000": (lambda: torus_walk(100), False),
}


def plain_iteration(update: Callable[[np.ndarray], np.ndarray], start: np.ndarray) -> tuple[np.ndarray, int]:
    """Iterate the population update, kept on the simplex, and stop as the library does; return also how many updates.

    It stops at the tolerance, but goes on while updates halve the residual.
    """
    mean_field, before = start, np.inf
    for iteration in range(1, PLAIN_LIMIT + 1):
        updated = update(mean_field)
        residual = np.abs(updated - mean_field).sum()
        if residual <= TOLERANCE and residual >= 0.5 * before:
            return mean_field, iteration
        before = residual
        mean_field = solvers.on_simplex(updated, mean_field)
    return mean_field, PLAIN_LIMIT


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Return the time of one call in seconds, and its result."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


def measure(name: str) -> dict[str, Any]:
    """Return every measurement of one game."""
    build, solved = GAMES[name]
    game = build()
    policy = operators.uniform_policy(game)
    found: dict[str, Any] = {"built_MiB": peak_memory()}
    times = [
        timed(lambda: operators.policy_mirror_ascent(game, policy, STEP_SIZE, regularizer=REGULARIZER))[0]
        for _ in range(3)
    ]
    found["operator_s"] = statistics.median(times)
    if solved:
        found["solve_s"], result = timed(lambda: equilibrium.solve(game, REGULARIZER))
        found["iterations"] = result.iterations
        found["residual"] = result.residuals["fixed_point_large_step"]
        found["exploitability"] = result.residuals["exploitability"]
    update = operators.population_map(game, policy)
    start = np.full(game.n_states, 1.0 / game.n_states)
    first, (_, found["plain_updates"]) = timed(lambda: plain_iteration(update, start))
    calls = max(1, round(SECONDS / first))

    def side(run: Callable[[], Any]) -> Callable[[int], int]:
        return lambda seed: len([run() for _ in range(calls)])

    def accelerated() -> tuple[np.ndarray, list[float]]:
        return solvers.anderson(update, start, TOLERANCE, max_iterations=PLAIN_LIMIT)

    times = alternating({"plain": side(lambda: plain_iteration(update, start)), "anderson": side(accelerated)}, REPEATS)
    found |= {f"{name}_s": statistics.median(each) / 1e6 for name, each in times.items()}
    found["ratio"] = median_ratio(times["plain"], times["anderson"])
    history = accelerated()[1]
    found |= {"anderson_steps": len(history), "anderson_residual": history[-1]}
    found["peak_MiB"] = peak_memory()
    return found


def peak_memory() -> float:
    """Return the peak memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def main() -> None:
    """Print the page, one line per game; or with a game's name its measurements as JSON."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
        return
    found = {}
    for name in GAMES:
        output = subprocess.run([sys.executable, __file__, name], check=True, capture_output=True, text=True).stdout
        found[name] = json.loads(output)
    print("Written by `benchmarks/solvers.py`: seconds on the clock, one thread.\n\n```text")
    print("The operator Gamma_eta and the solve of crowd-averse games, A = 3, gamma = 0.9, entropy 0.1")
    print(f"{'game':28} {'operator':>10} {'solve':>9} {'steps':>6} {'residual':>9} {'exploitab.':>10} {'peak MiB':>9}")
    for name, (_, solved) in GAMES.items():
        if solved:
            one = found[name]
            print(
                f"{name:28} {one['operator_s']:8.4f} s {one['solve_s']:7.2f} s {one['iterations']:6d} "
                f"{one['residual']:9.1e} {one['exploitability']:10.1e} {one['peak_MiB']:9.0f}"
            )
    print(f"\nAnderson against plain iteration of the population update, median of {REPEATS} alternating runs")
    print(f"(up to S = {solvers.DIRECT_SIZE} the library takes Newton's method instead; both stop at the tolerance,")
    print("but go on while steps halve the residual; where plain updates are fast Anderson makes the same updates)")
    print(f"{'game':28} {'plain':>10} {'updates':>8} {'Anderson':>10} {'steps':>6} {'ratio':>7}")
    for name, one in found.items():
        print(
            f"{name:28} {one['plain_s']:8.4f} s {one['plain_updates']:8d} {one['anderson_s']:8.4f} s "
            f"{one['anderson_steps']:6d} {one['ratio']:6.3g}x"
        )
    print("```")


if __name__ == "__main__":
    main()
