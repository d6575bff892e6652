"""Compiled inner loops of the methods with a generative model (docs/theory, section 17).

A kernel draws nothing itself: it is given uniform numbers, one or two per call of the simulator, so that what was drawn
can be counted and repeated outside. `compilation` says how kernels are compiled and where they are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pma_mfg.compilation import FLOAT, INTEGER, INTEGERS, MATRIX, NONE, VECTOR, kernel_cache
from pma_mfg.simulation.links import DENSE_GAME, feature_value
from pma_mfg.simulation.random_numbers import quantile

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
