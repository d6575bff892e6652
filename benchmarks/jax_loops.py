"""The simulators' loops as a user of JAX would write them: jit, lax.scan, float64, replicates by vmap."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

jax.config.update("jax_enable_x64", True)


@functools.partial(jax.jit, static_argnames=("n_steps",))
def counts_loop(key: Any, counts: Any, tables: Any, n_steps: int) -> Any:
    """Move the counts (S,) of agents who share a policy by n_steps steps of an affine game; return them.

    tables are weights (K, S), offsets (K,), and the transitions averaged over the policy, (S, S) and (K, S, S). Slot by
    slot, the numbers that move are binomial among those not yet moved.
    """
    weights, offsets, base, terms = tables
    n_agents = counts.sum()

    def step(carry: Any, _: None) -> Any:
        key, counts = carry
        key, used = jax.random.split(key)
        phi = weights @ (counts / n_agents) + offsets
        kernel = base + jnp.tensordot(phi, terms, axes=1)
        after = lax.cumsum(kernel, axis=1, reverse=True)

        def slot(left: Any, column: Any) -> Any:
            key, p, rest = column
            drawn = jax.random.binomial(key, left, jnp.clip(p / rest, 0.0, 1.0))
            return left - drawn, drawn.sum()

        columns = (jax.random.split(used, len(counts)), kernel.T, after.T)
        left, moved = lax.scan(slot, counts, columns)
        return (key, moved.at[-1].add(left.sum())), None

    (_, counts), _ = lax.scan(step, (key, counts), None, length=n_steps)
    return counts


def run_counts(tables: Any, counts: np.ndarray, n_steps: int, replicates: int, seed: int) -> np.ndarray:
    """Run `counts_loop` for one replicate, or for many by vmap; return the counts, (S,) or (replicates, S)."""
    key = jax.random.key(seed)
    start = jnp.asarray(counts, dtype=float)
    if replicates == 1:
        return np.asarray(counts_loop(key, start, tables, n_steps))
    many = jax.vmap(lambda key: counts_loop(key, start, tables, n_steps))
    return np.asarray(many(jax.random.split(key, replicates)))
