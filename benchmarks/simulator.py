"""Time the counts simulator against its alternatives, all in one run: `make bench`, into benchmarks/simulator.md.

Nothing is asserted here.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numba import njit
from timing import alternating, line, median_ratio

from pma_mfg import games, operators
from pma_mfg.games import MeanFieldGame
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import replicates
from pma_mfg.regularizers import Entropy
from pma_mfg.simulation import exchangeable as simulation
from pma_mfg.simulation.exchangeable import initial_population

try:
    import jax_loops
except ImportError:
    jax_loops = None

REGULARIZER = Entropy(0.1)
REPLICATES = 64


def numpy_loop(
    game: MeanFieldGame, policy: np.ndarray, n_agents: int, n_updates: int, rng: np.random.Generator
) -> np.ndarray:
    """TD learning without waiting steps, one numpy step at a time; returns Q, shape (S, A)."""
    population = initial_population(game, n_agents, rng)
    others, (state, action) = population.others, population.tagged.tolist()
    last_state, last_action = game.n_states - 1, game.n_actions - 1
    # every link of this family is the identity: features are affine, and tables flat for one product
    (W_P, b_P), (W_R, b_R) = ((f.weights, f.offsets) for f in (game.transition_features, game.reward_features))
    shared_base = np.einsum("sa,say->sy", policy, game.base_transition)
    shared_terms = np.einsum("sa,ksay->ksy", policy, game.transition_terms).reshape(len(b_P), -1)
    rows_base, rewards_base = game.base_transition, game.base_reward.tolist()
    rows_terms = np.ascontiguousarray(np.moveaxis(game.transition_terms, 0, 2))
    rewards_terms = np.ascontiguousarray(np.moveaxis(game.reward_terms, 0, 2))
    entropy, cumulative_policy = REGULARIZER.value(policy).tolist(), policy.cumsum(axis=1)
    scale, discount = 1.0, game.discount
    q = np.zeros_like(policy)
    for m in range(n_updates):
        mean_field = others / n_agents
        mean_field[state] += 1.0 / n_agents
        phi = W_P @ mean_field + b_P
        row = rows_base[state, action] + phi @ rows_terms[state, action]
        first, second = rng.random(2)
        next_state = min(int(row.cumsum().searchsorted(first)), last_state)
        next_action = min(int(cumulative_policy[next_state].searchsorted(second)), last_action)
        kernel = shared_base + (phi @ shared_terms).reshape(shared_base.shape)
        others = rng.multinomial(others, kernel).sum(axis=0)
        reward = rewards_base[state][action] + (W_R @ mean_field + b_R) @ rewards_terms[state, action]
        target = reward + discount * (q[next_state, next_action] + entropy[next_state])
        q[state, action] += scale / (m + scale) * (target - q[state, action])
        state, action = next_state, next_action
    return q


def compiled(
    game: MeanFieldGame, policy: np.ndarray, n_agents: int, n_updates: int, rng: np.random.Generator
) -> np.ndarray:
    """The same work by the library; returns Q, shape (S, A)."""
    return learning.ctd(
        game,
        policy,
        n_agents,
        regularizer=REGULARIZER,
        n_updates=n_updates,
        n_waiting=0,
        td_scale=1.0,
        td_offset=1.0,
        rng=rng,
    )


def compiled_replicates(
    game: MeanFieldGame, policy: np.ndarray, n_agents: int, n_updates: int, rng: np.random.Generator
) -> np.ndarray:
    """The same in many replicates, as sweeps have them; returns Q, shape (replicates, S, A)."""
    return replicates.ctd(
        game,
        policy,
        n_agents,
        regularizer=REGULARIZER,
        n_updates=n_updates,
        n_waiting=0,
        td_scale=1.0,
        td_offset=1.0,
        rngs=rng.spawn(REPLICATES),
    )


def affine_tables(game: MeanFieldGame, policy: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return weights (K, S) and offsets (K,) of affine features, and P0 and the P_k averaged over the policy."""
    features = game.transition_features
    base = np.einsum("sa,say->sy", policy, game.base_transition)
    terms = np.einsum("sa,ksay->ksy", policy, game.transition_terms)
    return features.weights, features.offsets, base, terms


def numpy_replicates(
    tables: tuple[np.ndarray, ...], counts: np.ndarray, n_steps: int, replicates: int, rng: np.random.Generator
) -> np.ndarray:
    """Move the counts of many replicates by n_steps steps, all in one numpy call; returns them, (replicates, S)."""
    weights, offsets, base, terms = tables
    flat, n_agents = terms.reshape(len(terms), -1), counts.sum()
    moving = np.tile(counts, (replicates, 1))
    for _ in range(n_steps):
        phi = (moving / n_agents) @ weights.T + offsets
        kernel = (phi @ flat).reshape(-1, *base.shape)
        kernel += base
        moving = rng.multinomial(moving, kernel).sum(axis=1)
    return moving


@njit
def individuals(
    tables: tuple[np.ndarray, ...], states: np.ndarray, n_steps: int, rng: np.random.Generator
) -> np.ndarray:
    """Move every agent on its own by n_steps steps, compiled; returns the counts, (S,)."""
    weights, offsets, base, terms = tables
    size = len(base)
    counts = np.bincount(states, minlength=size)
    for _ in range(n_steps):
        phi = weights @ (counts / len(states)) + offsets
        cumulative = base.copy()
        for k in range(len(phi)):
            cumulative += phi[k] * terms[k]
        for s in range(size):
            for y in range(1, size):
                cumulative[s, y] += cumulative[s, y - 1]
        counts[:] = 0
        for i in range(len(states)):
            u, s, y = rng.random(), states[i], 0
            while y < size - 1 and u >= cumulative[s, y]:
                y += 1
            states[i] = y
            counts[y] += 1
    return counts


def planted(n_states: int) -> MeanFieldGame:
    """Return a planted game with mean-field coupling in rewards and transitions: as many features as states."""
    return games.make("planted_smooth", n_states=n_states, n_actions=3, discount=0.8, seed=1, strength=0.1)


def sparse(n_states: int, n_successors: int) -> MeanFieldGame:
    """Return a crowd-averse game with few successors per state and action."""
    parameters = {"n_states": n_states, "n_actions": 3, "discount": 0.8, "seed": 0, "n_successors": n_successors}
    return games.make("crowd_averse", coupling=n_states / 2, **parameters)


def library(game: MeanFieldGame, n_agents: int, n_steps: int, by_counts: bool = False) -> Any:
    """Return a side that runs TD learning with the library; without the switch to single agents if so asked."""
    policy = game.planted.policy if game.planted is not None else operators.uniform_policy(game)

    def run(seed: int) -> int:
        kept = simulation.AGENTS_PER_ENTRY
        simulation.AGENTS_PER_ENTRY = 0.0 if by_counts else kept
        compiled(game, policy, n_agents, n_steps, np.random.default_rng(seed))
        simulation.AGENTS_PER_ENTRY = kept
        return n_steps

    return run


def against_alternatives(n_states: int, n_agents: int = 10**6) -> dict[str, Any]:
    """Return the library and the ways to do without it, as sides of one comparison."""
    game = planted(n_states)
    policy, mean_field = game.planted.policy, game.planted.mean_field
    tables = affine_tables(game, policy)
    counts = np.random.default_rng(0).multinomial(n_agents, mean_field)
    steps = 200_000 // n_states**2 + 1000

    def loop(seed: int) -> int:
        numpy_loop(game, policy, n_agents, steps // 10, np.random.default_rng(seed))
        return steps // 10

    def together(seed: int) -> int:
        done = steps
        compiled_replicates(game, policy, n_agents, done, np.random.default_rng(seed))
        return done * REPLICATES

    def numpy_side(seed: int) -> int:
        done = max(10, steps // 100)
        numpy_replicates(tables, counts, done, REPLICATES, np.random.default_rng(seed))
        return done * REPLICATES

    sides: dict[str, Any] = {f"library x {REPLICATES}": together, "library": library(game, n_agents, steps)}
    sides |= {"numpy loop": loop, f"numpy x {REPLICATES}": numpy_side}
    if jax_loops is not None:
        for many in (1, REPLICATES):
            done = max(2, 100 // n_states // many)

            def jax_side(seed: int, many: int = many, done: int = done) -> int:
                jax_loops.run_counts(tables, counts, done, many, seed)
                return done * many

            sides["jax" if many == 1 else f"jax x {many}"] = jax_side
    return sides


def one_agent_at_a_time(n_states: int, n_agents: int, n_steps: int) -> Any:
    """Return the side that moves individual agents."""
    game = planted(n_states)
    tables = affine_tables(game, game.planted.policy)

    def run(seed: int) -> int:
        rng = np.random.default_rng(seed)
        individuals(tables, rng.choice(n_states, size=n_agents, p=game.planted.mean_field), n_steps, rng)
        return n_steps

    return run


def table(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table: the median time of each side, and how many times that of the first it is."""
    for number, (name, sides) in enumerate(settings.items()):
        times = alternating(sides, clock=time.process_time)
        ours = next(iter(sides))
        if number == 0:
            yield f"| | {' | '.join(sides)} |"
            yield "|---|" + "---|" * len(sides)
        cells = (
            f"{statistics.median(times[side]):.3g} ({median_ratio(times[side], times[ours]):.3g}x)" for side in sides
        )
        yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Print the page."""
    print(
        "Written by `benchmarks/simulator.py`: microseconds of the processor for a step of one trajectory, medians of"
    )
    print("alternating runs, and in brackets how many times that of the first column.\n")
    print(f"TD learning at N = 10^6; `x {REPLICATES}` are so many replicates at a time, where numpy and JAX only move")
    print("the counts. JAX alone only moves them too.\n")
    if jax_loops is None:
        print("(jax is not installed: skipped)\n")
    for row in table({f"S = {n_states}": against_alternatives(n_states) for n_states in (5, 10, 50)}):
        print(row, flush=True)

    print("\nAgainst single agents, compiled, N = 10^6:\n")
    for n_states in (5, 10):
        sides = {"library": library(planted(n_states), 10**6, 5000), "agents": one_agent_at_a_time(n_states, 10**6, 2)}
        print("-", line(f"S = {n_states}", alternating(sides, 3, time.process_time)).strip(), flush=True)

    print("\nAgainst the number of agents, N = 10^4 to 10^9 (ratio: to N = 10^4):\n")
    for n_states, steps in ((5, 20_000), (10, 8000), (50, 400)):
        game = planted(n_states)
        sides = {f"10^{power}": library(game, 10**power, steps) for power in range(4, 10)}
        print("-", line(f"S = {n_states}", alternating(sides, clock=time.process_time), "10^4").strip(), flush=True)

    print("\nSmall populations: with alias tables, and without (rows with few agents then still go agent by agent):\n")
    for n_states, n_agents in ((5, 20), (5, 75), (10, 100), (10, 300), (50, 20), (50, 100), (50, 400)):
        game, steps = planted(n_states), 2_000_000 // (n_states**2 + 5 * n_agents) + 500
        sides = {"library": library(game, n_agents, steps), "counts": library(game, n_agents, steps, True)}
        print(
            "-",
            line(f"S = {n_states}, N = {n_agents}", alternating(sides, clock=time.process_time)).strip(),
            flush=True,
        )

    print("\nAgainst the successors d per state and action, N = 10^6 (ratio: to the first):\n")
    for n_states, successors, steps in ((50, (2, 5, 10, 25, 50), 2000), (1000, (2, 5, 10, 50), 100), (2000, (5,), 100)):
        sides = {f"d = {d}": library(sparse(n_states, d), 10**6, steps) for d in successors}
        print(
            "-",
            line(f"S = {n_states}", alternating(sides, 3, time.process_time), f"d = {successors[0]}").strip(),
            flush=True,
        )


if __name__ == "__main__":
    main()
