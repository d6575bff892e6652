"""Time the simulator of independent agents against its baselines, both sides in this run: `make bench`.

The work is one step of the N-agent game in which every agent has a policy of its own, action and next state drawn for
each. Baselines do the same work: numpy vectorised over agents with 32-bit thresholds and the library's alias tables; a
plain compiled loop with cumulated probabilities in float64 and numba's own generator; and a floor, one 64-bit draw and
one access to the policies per agent, asked for as far ahead as the library does. Sides alternate, and medians of ratios
of processor times are reported. The tables of P(mu), which are built anew in every step, numpy takes from the library:
their share of a step has a column of its own. What a call of `agents.advance` does once, as counting the agents, is
shared by as many steps as such a call makes in learning. Nothing is asserted here.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from pma_mfg import games
from pma_mfg.games import MeanFieldGame
from pma_mfg.regularizers import Entropy
from pma_mfg.simulation import agent_kernels, agents, alias_kernels
from pma_mfg.simulation.agents import Agents
from pma_mfg.simulation.intrinsics import prefetch

#: From a game and its agents to a function that makes so many steps.
Side = Callable[[MeanFieldGame, Agents], Callable[[int], None]]

REPEATS = 7
N_ACTIONS = 5
SETTINGS = [(s, n) for s in (5, 10, 50) for n in (10**4, 10**5, 10**6) if s * n <= 10**7]
#: Agents beyond which policies of S states leave the second-level cache, in bytes.
CACHE = 512 * 1024


def make(n_states: int, n_agents: int, seed: int = 0) -> tuple[MeanFieldGame, Agents]:
    """Return a planted game and agents with random policies."""
    game = games.make("planted_smooth", n_states=n_states, n_actions=N_ACTIONS, discount=0.8, seed=1, strength=0.1)
    rng = np.random.default_rng(seed)
    start = rng.dirichlet(np.ones(N_ACTIONS), size=(n_agents, n_states))
    return game, agents.initial_agents(game, n_agents, Entropy(0.1), rng=rng, start=start)


def library(game: MeanFieldGame, population: Agents, threads: int = 1) -> Callable[[int], None]:
    """Return steps without learning: all of them wait."""

    def run(n_steps: int) -> None:
        population.progress[1] = 0
        agents.advance(game, population, n_steps, n_waiting=10**9, scale=1.0, offset=1.0, threads=threads)

    return run


def library_learning(game: MeanFieldGame, population: Agents, threads: int = 1) -> Callable[[int], None]:
    """Return steps with a TD update each."""

    def run(n_steps: int) -> None:
        population.progress[1] = 0
        agents.advance(game, population, n_steps, n_waiting=0, scale=100.0, offset=100.0, threads=threads)

    return run


def numpy_steps(game: MeanFieldGame, population: Agents) -> Callable[[int], None]:
    """Return steps vectorised over agents: flat gathers, 32-bit draws, the library's own alias tables."""
    n_agents, n_states, n_limits = population.thresholds.shape[1:]
    upper, lower = population.thresholds.astype(np.uint32)
    limits = (upper * np.uint32(agent_kernels.LOWER) + lower).reshape(-1, n_limits)
    first_rows = np.arange(n_agents, dtype=np.int64) * n_states
    states = population.states.astype(np.int64)
    rng = np.random.Generator(np.random.SFC64(0))
    tables = agents.dense_tables(game)
    alias, reward = np.empty((n_states * N_ACTIONS, n_states), dtype=np.uint64), np.empty((n_states, N_ACTIONS))

    def run(n_steps: int) -> None:
        nonlocal states
        for _ in range(n_steps):
            alias_kernels.prepare(np.bincount(states, minlength=n_states) / n_agents, tables, alias, reward)
            share = (alias >> np.uint64(16)).astype(np.float32).ravel() / np.float32(2.0**33)
            other = (alias & np.uint64(2**16 - 1)).astype(np.int64).ravel()
            level = rng.integers(2**31, size=n_agents, dtype=np.uint32)
            rows = limits.take(first_rows + states, axis=0)
            pair = states * N_ACTIONS
            for j in range(n_limits):
                pair += level >= rows[:, j]
            x = rng.random(n_agents, dtype=np.float32) * np.float32(n_states)
            column = np.minimum(x.astype(np.int64), n_states - 1)
            entry = pair * n_states + column
            states = np.where(x - column < share.take(entry), column, other.take(entry))

    return run


@numba.njit(nogil=True)
def _plain(states: Any, policies: Any, transition: Any, moved: Any) -> None:
    for i in range(len(states)):
        s = states[i]
        u, a = np.random.random(), 0  # noqa: NPY002
        while a < policies.shape[2] - 1 and u >= policies[i, s, a]:
            u -= policies[i, s, a]
            a += 1
        u, y = np.random.random(), 0  # noqa: NPY002
        while y < transition.shape[2] - 1 and u >= transition[s, a, y]:
            u -= transition[s, a, y]
            y += 1
        states[i] = y
        moved[y] += 1


def plain_steps(game: MeanFieldGame, population: Agents) -> Callable[[int], None]:
    """Return steps of the plain compiled loop."""
    policies, states = population.policies(), population.states.astype(np.int64)
    counts = np.bincount(states, minlength=game.n_states)

    def run(n_steps: int) -> None:
        for _ in range(n_steps):
            transition = np.ascontiguousarray(game.transition(counts / len(states)))
            counts[:] = 0
            _plain(states, policies, transition, counts)

    return run


@numba.njit(nogil=True)
def _floor(states: Any, limits: Any, generators: Any, block: Any) -> Any:
    n_states, n_limits, total = np.uint64(limits.shape[1]), np.uint64(limits.shape[2]), np.uint64(0)
    flat, last = limits.reshape(-1), np.uint64(len(states) - 1)
    for b in range(len(generators)):
        a0, a1, a2, a3 = generators[b, 0], generators[b, 1], generators[b, 2], generators[b, 3]
        for i in range(np.uint64(b * block), np.uint64(min((b + 1) * block, len(states)))):
            ahead = min(i + agent_kernels.AHEAD, last)
            prefetch(flat, (ahead * n_states + np.uint64(states[ahead])) * n_limits)
            x = a0 + a3
            total += ((x << np.uint64(23)) | (x >> np.uint64(41))) + a0
            x = a1 << np.uint64(17)
            a2 ^= a0
            a3 ^= a1
            a1 ^= a2
            a0 ^= a3
            a2 ^= x
            a3 = (a3 << np.uint64(45)) | (a3 >> np.uint64(19))
            total += np.uint64(flat[(i * n_states + np.uint64(states[i])) * n_limits])
        generators[b, 0], generators[b, 1], generators[b, 2], generators[b, 3] = a0, a1, a2, a3
    return total


def floor(game: MeanFieldGame, population: Agents) -> Callable[[int], None]:
    """Return the floor: a draw and an access to the policies per agent, and nothing done with them."""

    def run(n_steps: int) -> None:
        for _ in range(n_steps):
            _floor(population.states, population.thresholds[0], population.generators, agent_kernels.BLOCK)

    return run


def tables_only(game: MeanFieldGame, population: Agents) -> Callable[[int], None]:
    """Return the build of the tables of a step, each at another mean field, as in the steps of a population."""
    n_agents, n_states = len(population.states), game.n_states
    tables, rng = agents.dense_tables(game), np.random.default_rng(0)
    fields = rng.multinomial(n_agents, np.full(n_states, 1.0 / n_states), size=32) / n_agents
    alias, reward = np.empty((n_states * N_ACTIONS, n_states), dtype=np.uint64), np.empty((n_states, N_ACTIONS))

    def run(n_steps: int) -> None:
        for t in range(n_steps):
            alias_kernels.prepare(fields[t % len(fields)], tables, alias, reward)

    return run


def nanoseconds(
    run: Callable[[int], None], n_agents: int, n_steps: int, clock: Callable[[], float] = time.process_time
) -> float:
    """Return the time per step and agent, of the processor by default."""
    start = clock()
    run(n_steps)
    return (clock() - start) / n_steps / n_agents * 1e9


def steps_of(side: Side, game: MeanFieldGame, population: Agents) -> int:
    """Return how many steps a run of a side makes."""
    n_agents = len(population.states)
    if side in (library, library_learning, floor):
        return agents.steps_per_call(game, population)
    return max(10, 10**6 // n_agents)


def median_ratio(numerators: list[float], denominators: list[float]) -> float:
    """Return the median of the ratios of runs that stood next to each other."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def peak_memory(n_agents: int, n_states: int) -> float:
    """Return the peak resident memory in GiB of a process that runs an epoch of learning (from /proc: Linux)."""
    program = (
        "import numpy as np\n"
        "from pma_mfg import games, learning\n"
        "from pma_mfg.learning import schedules\n"
        "from pma_mfg.regularizers import Entropy\n"
        f"game = games.make('planted_smooth', n_states={n_states}, n_actions={N_ACTIONS}, discount=0.8, seed=1, "
        "strength=0.1)\n"
        "schedule = schedules.Schedule(1, 2, 1, 1.0, 100.0, 100.0)\n"
        f"learning.independent(game, {n_agents}, Entropy(0.1), schedule=schedule, rng=np.random.default_rng(0))\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return int(run.stdout) / 2**20


def main() -> None:
    """Print the page: one line per comparison."""
    print(f"Written by `benchmarks/agents.py`: medians of {REPEATS} alternating runs, in nanoseconds of one thread for")
    print(f"one agent and step, A = {N_ACTIONS}.\n\n```text")
    sides: tuple[Side, ...] = (library, numpy_steps, plain_steps, floor, library_learning, tables_only)
    print("against numpy (goal 4x), a plain compiled loop (3x), and above a draw and an access (6x in cache, else 2x)")
    print(f"{'S':>4} {'N':>8} {'library':>9} {'numpy':>8} {'plain':>8} {'floor':>7}   ratios", end="")
    print(f"{'learning':>29} {'tables':>7}")
    for n_states, n_agents in SETTINGS:
        game, population = make(n_states, n_agents)
        runs = [side(game, population) for side in sides]
        n_steps = [steps_of(side, game, population) for side in sides]
        times: list[list[float]] = [[] for _ in sides]
        for run in runs:
            run(2)
        for _ in range(REPEATS):
            for run, found, steps in zip(runs, times, n_steps, strict=True):
                found.append(nanoseconds(run, n_agents, steps))
        ours, vectorised, plain, least = times[:4]
        medians = [statistics.median(found) for found in times]
        place = "cache " if population.thresholds[0].nbytes <= 2 * CACHE else "memory"
        print(
            f"{n_states:4d} {n_agents:8d} {medians[0]:9.1f} {medians[1]:8.1f} {medians[2]:8.1f} {medians[3]:7.1f}   "
            f"{median_ratio(vectorised, ours):4.1f}x {median_ratio(plain, ours):4.1f}x "
            f"{median_ratio(ours, least):4.1f}x ({place}) {medians[4]:8.1f} {medians[5]:7.1f}"
        )

    print("\ntwo threads against one, without and with learning (goal 1.5x at N = 10^5, on two idle cores)")
    for n_agents in (10**4, 10**5, 10**6):
        game, population = make(5, n_agents)
        steps, ratios = agents.steps_per_call(game, population), []
        for side in (library, library_learning):
            one, two = side(game, population), side(game, population, 2)
            one(2)
            pairs = [[nanoseconds(x, n_agents, steps, time.perf_counter) for x in (one, two)] for _ in range(REPEATS)]
            ratios.append(median_ratio(*map(list, zip(*pairs, strict=True))))
        print(f"  S = 5, N = {n_agents}: {ratios[0]:.2f}x, {ratios[1]:.2f}x")

    print(f"\npeak memory of learning, N = 10^6, S = 10: {peak_memory(10**6, 10):.2f} GiB (goal 2)\n```")


if __name__ == "__main__":
    main()
