"""Compiled inner loops of the methods with a generative model (docs/theory, section 17).

A kernel that learns draws nothing itself: it is given uniform numbers, one or two per call of the simulator, so that
what was drawn can be counted and repeated outside. `settle`, which moves agents, draws from numpy's generator.
`compilation` says how kernels are compiled and where they are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numba import types

from pma_mfg.compilation import CUBE, FLOAT, INTEGER, INTEGERS, MATRIX, NONE, TUPLE, VECTOR, kernel_cache
from pma_mfg.simulation.links import DENSE_GAME, feature_value, linked
from pma_mfg.simulation.random_numbers import quantile

#: Type of numpy's random number generators.
GENERATOR = types.npy_rng

with kernel_cache(Path(__file__)) as kernel:

    @kernel(NONE(MATRIX, INTEGERS, INTEGERS, VECTOR, VECTOR, FLOAT, MATRIX, VECTOR, FLOAT, INTEGER, FLOAT, MATRIX))
    def sweeps(
        uniforms: Any,
        starts: Any,
        successors: Any,
        cumulative: Any,
        rewards: Any,
        discount: Any,
        policy: Any,
        entropy: Any,
        tau: Any,
        first: Any,
        scale: Any,
        q: Any,
    ) -> None:
        """Update q (S, A) in place by sweeps over all pairs of a frozen decision process, one row of uniforms each.

        In sweep m = first, first + 1, ... every pair moves by the share scale / (m + scale) towards r + gamma V(y), y
        drawn from its successors starts[pair]..starts[pair + 1] with the cumulative probabilities. V is that of the
        sweep's start: <pi, q> + h for a policy (S, A) with h (S,), and tau log sum exp(q / tau) if it has no rows.
        """
        size, n_actions = q.shape
        value = np.empty(size)
        for m in range(uniforms.shape[0]):
            for s in range(size):
                if policy.shape[0] > 0:
                    value[s] = entropy[s]
                    for a in range(n_actions):
                        value[s] += policy[s, a] * q[s, a]
                else:
                    highest = q[s].max()
                    total = 0.0
                    for a in range(n_actions):
                        total += np.exp((q[s, a] - highest) / tau)
                    value[s] = highest + tau * np.log(total)
            step = scale / (first + m + scale)
            for s in range(size):
                for a in range(n_actions):
                    pair = s * n_actions + a
                    e, last = starts[pair], starts[pair + 1] - 1
                    u = uniforms[m, pair]
                    while e < last and u >= cumulative[e]:
                        e += 1
                    q[s, a] += step * (rewards[pair] + discount * value[successors[e]] - q[s, a])

    @kernel(NONE(MATRIX, DENSE_GAME, FLOAT, FLOAT, FLOAT, FLOAT, FLOAT, INTEGER, INTEGERS, VECTOR, MATRIX, MATRIX))
    def two_timescale(
        uniforms: Any,
        game: Any,
        discount: Any,
        tau: Any,
        exploration: Any,
        q_exponent: Any,
        mean_field_exponent: Any,
        first: Any,
        state: Any,
        mean_field: Any,
        q: Any,
        visits: Any,
    ) -> None:
        """Update q (S, A) and the mean field (S,) in place along one path, a row of two uniforms per transition.

        In step t = first, first + 1, ...: a is drawn from softmax(q(s) / tau), with probability `exploration` uniformly
        instead, y from P(.|s, a, mean_field); q(s, a) moves towards R(s, a, mean_field) + gamma tau log sum exp(q(y) /
        tau) by the share (1 + visits(s, a))^-q_exponent, then the mean field towards e_y by the share (t +
        2)^-mean_field_exponent. state (1,) and visits (S, A) are moved on in place.
        """
        base, terms, transition_features, reward_base, reward_terms, reward_features = game
        size, n_actions = q.shape
        weights, row = np.empty(n_actions), np.empty(size)
        s = state[0]
        for t in range(uniforms.shape[0]):
            highest, total = q[s].max(), 0.0
            for a in range(n_actions):
                weights[a] = np.exp((q[s, a] - highest) / tau)
                total += weights[a]
            for a in range(n_actions):
                weights[a] = (1.0 - exploration) * weights[a] / total + exploration / n_actions
            action = quantile(uniforms[t, 0], weights)
            reward = reward_base[s, action]
            for k in range(len(reward_terms)):
                if reward_terms[k, s, action] != 0.0:
                    reward += reward_terms[k, s, action] * feature_value(reward_features, k, mean_field)
            for y in range(size):
                row[y] = base[s, action, y]
            for k in range(len(terms)):
                phi = feature_value(transition_features, k, mean_field)
                for y in range(size):
                    row[y] += phi * terms[k, s, action, y]
            total = 0.0
            for y in range(size):
                row[y] = max(0.0, row[y])
                total += row[y]
            y = quantile(uniforms[t, 1] * total, row)
            highest, total = q[y].max(), 0.0
            for a in range(n_actions):
                total += np.exp((q[y, a] - highest) / tau)
            target = reward + discount * (highest + tau * np.log(total))
            q[s, action] += (1.0 + visits[s, action]) ** -q_exponent * (target - q[s, action])
            visits[s, action] += 1.0
            share = (first + t + 2.0) ** -mean_field_exponent
            for z in range(size):
                mean_field[z] *= 1.0 - share
            mean_field[y] += share
            s = y
        state[0] = s

    @kernel(NONE(GENERATOR, INTEGER, MATRIX, MATRIX, CUBE, TUPLE((MATRIX, VECTOR, INTEGERS, VECTOR)), INTEGERS, VECTOR))
    def settle(
        rng: Any, n_steps: Any, rows: Any, base: Any, terms: Any, features: Any, counts: Any, total: Any
    ) -> None:
        """Move the agents counted per state (S,), in place; add up their counts after each step of the second half.

        The first step is with the chain `rows` (S, S), whose rows sum up to 1. Later ones, if there are features, with
        P0 + sum_k phi_k P_k, given averaged over the policy, `base` (S, S) and `terms` (K, S, S), at the agents' own
        mean field. The features are weights (K, S), offsets, links, parameters (K,).

        One multinomial draw per state, in the way of numpy's `Generator.multinomial`: of the numbers that are left a
        binomial one for every next state but the last.
        """
        weights, offsets, links, parameters = features
        size, n_agents = len(counts), counts.sum()
        after = np.empty(size, dtype=np.int64)
        for step in range(n_steps):
            if step > 0 and len(links) > 0:
                rows[:] = base
                for k in range(len(links)):
                    x = offsets[k]
                    for s in range(size):
                        x += weights[k, s] * (counts[s] / n_agents)
                    phi = linked(links[k], parameters[k], x)
                    for s in range(size):
                        for y in range(size):
                            rows[s, y] += phi * terms[k, s, y]
                for s in range(size):
                    mass = 0.0
                    for y in range(size):
                        rows[s, y] = max(rows[s, y], 0.0)
                        mass += rows[s, y]
                    for y in range(size):
                        rows[s, y] /= mass
            after[:] = 0
            for s in range(size):
                left, rest = counts[s], 1.0
                for y in range(size - 1):
                    if left == 0:
                        break
                    if not rows[s, y] >= 0.0:  # with which numba's draw would not end
                        raise ValueError("transitions are no probabilities: not a number")
                    moved = rng.binomial(left, rows[s, y] / rest)
                    after[y] += moved
                    left -= moved
                    rest -= rows[s, y]
                after[size - 1] += left
            counts[:] = after
            if step >= n_steps // 2:
                total += counts
