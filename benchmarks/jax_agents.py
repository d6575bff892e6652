"""The step of independent agents in JAX, for `benchmarks/jax_loops.py`: compiled, scanned, on the CPU.

JAX is no dependency of the library; only this benchmark needs it. Run as a script, it prints the ratio itself.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def jax_steps(game: Any, policies: np.ndarray, states: np.ndarray, seed: int = 0) -> Callable[[int], None]:
    """Return steps of N agents with policies (N, S, A) of their own, every link of the game being the identity.

    Cumulated probabilities in float32 and inversion, which compiles to fewer operations than alias tables: XLA has no
    cheap way to build those.
    """
    n_agents, n_states, n_actions = policies.shape
    limits = jnp.asarray(np.cumsum(policies, axis=2)[:, :, :-1], dtype=jnp.float32)
    features = game.transition_features
    weights, offsets = (jnp.asarray(x, dtype=jnp.float32) for x in (features.weights, features.offsets))
    base = jnp.asarray(game.base_transition, dtype=jnp.float32)
    terms = jnp.asarray(game.transition_terms, dtype=jnp.float32)
    rows = jnp.arange(n_agents)

    def step(carry: Any, _: None) -> Any:
        now, key = carry
        key, use = jax.random.split(key)
        u = jax.random.uniform(use, (2, n_agents), dtype=jnp.float32)
        mean_field = jnp.zeros(n_states, jnp.float32).at[now].add(1.0 / n_agents)
        phi = weights @ mean_field + offsets
        laws = jnp.cumsum(base + jnp.tensordot(phi, terms, axes=1), axis=2)[:, :, :-1].reshape(-1, n_states - 1)
        action = (u[0][:, None] >= limits[rows, now]).sum(axis=1)
        after = (u[1][:, None] >= laws[now * n_actions + action]).sum(axis=1)
        return (after, key), None

    scans: dict[int, Any] = {}
    carry = (jnp.asarray(states.astype(np.int32)), jax.random.PRNGKey(seed))

    def run(n_steps: int) -> None:
        nonlocal carry
        if n_steps not in scans:
            scans[n_steps] = jax.jit(lambda carry: jax.lax.scan(step, carry, None, length=n_steps)[0])
        carry = jax.block_until_ready(scans[n_steps](carry))

    return run


def main() -> None:
    """Print one line per setting."""
    import agents as bench

    print(f"independent agents, JAX {jax.__version__} on {jax.devices()[0].platform} against the library (goal 3x)")
    for n_states, n_agents in ((5, 10**4), (10, 10**5), (50, 10**5), (10, 10**6)):
        game, population = bench.make(n_states, n_agents)
        steps = max(2, 10**6 // n_agents)
        ours, theirs = bench.library(game, population), jax_steps(game, population.policies(), population.states)
        theirs(steps)  # compiles
        ours(2)
        pairs = []
        for _ in range(bench.REPEATS):
            start = time.perf_counter()
            theirs(steps)
            middle = time.perf_counter()
            ours(steps)
            pairs.append(((middle - start), (time.perf_counter() - middle)))
        ratio = statistics.median(a / b for a, b in pairs)
        per = statistics.median(a for a, _ in pairs) / steps / n_agents * 1e9
        print(f"  S = {n_states}, N = {n_agents}: JAX {per:.1f} ns per agent and step, {ratio:.1f}x the library's time")


if __name__ == "__main__":
    main()
