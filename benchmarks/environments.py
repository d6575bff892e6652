"""Time the environment of arrays against others, all in this run: writes benchmarks/environments.md (`make bench`).

The work is one step of a game of ten states in which every agent is moved by an action that is given, and drawn at
random beforehand. All sides have the same game, the chain of Lasry and Lions:

- *library*: `simulation.environment`, with 64-bit and with 8-bit states and actions;
- *and draws*: the same, with actions drawn from a policy by the environment, as in a `rollout`;
- *alias tables*: the library without its own way of moving few agents (docs/theory, section 10.14), where it has one;
- *numpy*: whole-array operations over agents, with the library's alias tables (the fastest form we know);
- *PettingZoo*: `interop.pettingzoo.parallel_env`, dictionaries with an entry for each agent;
- *Bench-MFG*: the Gymnasium environment of that library, if it is installed. It holds one agent at a fixed mean field,
  and so does less.

Sides alternate, and medians of ratios are reported. Nothing is asserted here.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from timing import alternating, median_ratio

from pma_mfg import games, operators, simulation
from pma_mfg.games import MeanFieldGame
from pma_mfg.interop.pettingzoo import parallel_env
from pma_mfg.simulation import agents, alias_kernels, environment_kernels

try:
    from benchmfg.envs.lasry_lions_chain.lasry_lions_chain import LasryLionsChain
    from benchmfg.rl import FixedMeanFieldEnv
except ImportError:
    FixedMeanFieldEnv = None

N_STATES = 10
#: Numbers of replicates and of agents.
SHAPES = [(1, 100), (1000, 100), (1, 10**4), (100, 10**4), (1, 10**6)]
#: Agents that a side moves in a timed call, at least; those that hold objects move fewer.
MOVES, FEWER_MOVES = 4 * 10**6, 10**4

Run = Callable[[int], int]


def make() -> tuple[MeanFieldGame, MeanFieldGame]:
    """Return the game of all sides, and one in which transitions depend on the mean field too."""
    planted = {"n_states": N_STATES, "n_actions": 3, "discount": 0.9, "seed": 1, "strength": 0.1}
    return games.make("lasry_lions_chain", n_states=N_STATES), games.make("planted_smooth", **planted)


def library(
    game: MeanFieldGame, shape: tuple[int, int], dtype: Any, *, draws: bool = False, few: int = environment_kernels.FEW
) -> Run:
    """Return steps of the library's environment; those with draws take no actions from outside."""
    n_replicates, n_agents = shape
    environment_kernels.FEW, held = few, environment_kernels.FEW
    crowd = simulation.environment(game, n_agents, n_replicates, seed=0, dtype=dtype)
    environment_kernels.FEW = held
    actions = np.random.default_rng(0).integers(game.n_actions, size=shape).astype(dtype)
    policy, steps = operators.uniform_policy(game), max(1, MOVES // (n_agents * n_replicates))

    def run(seed: int) -> int:
        for _ in range(steps):
            crowd.step(crowd.draw_actions(policy) if draws else actions)
        return steps * n_agents * n_replicates

    return run


def numpy_step(
    game: MeanFieldGame, states: np.ndarray, actions: np.ndarray, rng: np.random.Generator
) -> tuple[Any, ...]:
    """Return next states (N,), rewards (N,) and the next mean field, by whole-array operations."""
    size, n_agents = game.n_states, len(states)
    alias, reward = np.empty((size * game.n_actions, size), dtype=np.uint64), np.empty((size, game.n_actions))
    mean_field = np.bincount(states, minlength=size) / n_agents
    alias_kernels.prepare(mean_field, agents.dense_tables(game), alias, reward)
    share = (alias >> np.uint64(16)).astype(np.float32).ravel() / np.float32(2.0**33)
    other = (alias & np.uint64(2**16 - 1)).astype(np.int64).ravel()
    pairs = states * game.n_actions + actions
    x = rng.random(n_agents, dtype=np.float32) * np.float32(size)
    column = np.minimum(x.astype(np.int64), size - 1)
    entry = pairs * size + column
    after = np.where(x - column < share.take(entry), column, other.take(entry))
    return after, reward.ravel().take(pairs), np.bincount(after, minlength=size) / n_agents


def with_numpy(game: MeanFieldGame, n_agents: int) -> Run:
    """Return steps of `numpy_step`."""
    rng = np.random.Generator(np.random.SFC64(0))
    actions = rng.integers(game.n_actions, size=n_agents)
    states, steps = rng.integers(game.n_states, size=n_agents), max(1, MOVES // 10 // n_agents)

    def run(seed: int) -> int:
        nonlocal states
        for _ in range(steps):
            states = numpy_step(game, states, actions, rng)[0]
        return steps * n_agents

    return run


def with_pettingzoo(game: MeanFieldGame, n_agents: int) -> Run:
    """Return steps of the environment with an entry for each agent."""
    crowd = parallel_env(game, n_agents, horizon=10**9)
    crowd.reset(seed=0)
    chosen = np.random.default_rng(0).integers(game.n_actions, size=n_agents).tolist()
    actions, steps = dict(zip(crowd.agents, chosen, strict=True)), max(1, FEWER_MOVES // n_agents)

    def run(seed: int) -> int:
        for _ in range(steps):
            crowd.step(actions)
        return steps * n_agents

    return run


def with_bench_mfg(game: MeanFieldGame) -> Run:
    """Return steps of Bench-MFG's environment of one agent, in the same game at the uniform mean field."""
    uniform, noise = np.full(N_STATES, 1.0 / N_STATES), np.array([0.025, 0.95, 0.025])
    constants = {"crowd_penalty_coefficient": 40.0, "movement_penalty": 2.0, "center_attraction": 3.0}
    chain = LasryLionsChain(
        N_STATES, 3, 3, horizon=10**9, mean_field=uniform, noise_prob=noise, gamma=game.discount, **constants
    )
    alone = FixedMeanFieldEnv(chain, uniform)
    alone.reset(seed=0)
    actions = np.random.default_rng(0).integers(3, size=FEWER_MOVES).tolist()

    def run(seed: int) -> int:
        for action in actions:
            alone.step(action)
        return len(actions)

    return run


def sides(game: MeanFieldGame, shape: tuple[int, int]) -> dict[str, Run]:
    """Return all sides that can do a number of replicates and agents."""
    found = {"library": library(game, shape, np.int64), "library, 8 bits": library(game, shape, np.uint8)}
    found["and draws"] = library(game, shape, np.int64, draws=True)
    few = shape[1] < environment_kernels.FEW * game.n_states * game.n_actions
    if few and len(game.transition_terms):
        found["alias tables"] = library(game, shape, np.int64, few=0)
    if shape[0] == 1:
        found["numpy"] = with_numpy(game, shape[1])
        if shape[1] <= 10**4:
            found["PettingZoo"] = with_pettingzoo(game, shape[1])
        if FixedMeanFieldEnv is not None and game.family == "lasry_lions_chain":
            found["Bench-MFG"] = with_bench_mfg(game)
    return found


def processor() -> str:
    """Return the processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main() -> None:
    """Print the page: one row for each number of replicates and agents."""
    chain, coupled = make()
    names = list(sides(chain, SHAPES[0]) | sides(coupled, SHAPES[0]))
    missing = "" if FixedMeanFieldEnv is not None else " Bench-MFG is not installed: see benchmarks/README.md."
    head = [
        f"Written by `benchmarks/environments.py` (`make bench`), on one core of {processor()}: nanoseconds of "
        f"processor time for a move of one agent in games of {N_STATES} states, median of alternating runs; in "
        f"brackets how many times the library's (median of the ratios).{missing} In the second game transitions depend "
        f"on the mean field through {N_STATES} features. The last column is what the library does in a second.",
        "",
        f"| game | R | N | {' | '.join(names)} | million moves a second |",
        f"|{'---|' * (len(names) + 4)}",
    ]
    print("\n".join(head))
    for game, shape in [(chain, shape) for shape in SHAPES] + [(coupled, shape) for shape in SHAPES]:
        times = alternating(sides(game, shape), clock=time.process_time)
        cells = []
        for name in names:
            ratio = (
                ""
                if name == "library" or name not in times
                else f" ({median_ratio(times[name], times['library']):.3g}x)"
            )
            cells.append(f"{1e3 * statistics.median(times[name]):,.3g}{ratio}" if name in times else "")
        rate = 1.0 / statistics.median(times["library"])
        print(f"| `{game.family}` | {shape[0]:,} | {shape[1]:,} | {' | '.join(cells)} | {rate:,.0f} |")


if __name__ == "__main__":
    main()
