"""Compiled inner loops of the methods with a generative model (docs/theory.md, section 17).

A kernel draws nothing itself: it is given uniform numbers, one or two per call of the simulator, so that what was drawn
can be counted and repeated outside. Other compiled code is in `kernels`; `compilation` says how the cache works.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numba import types

from pma_mfg.compilation import kernel_cache

_f8, _i8, _none = types.float64, types.int64, types.void

_vector, _matrix, _cube = _f8[::1], _f8[:, ::1], _f8[:, :, ::1]

_integers = _i8[::1]

_tuple: Any = types.Tuple  # which numba leaves untyped

# weights (K, S), offsets (K,), links (K,), parameters (K,)
_features = _tuple((_matrix, _vector, _integers, _vector))

# P0 (S A, S), P_k (K, S A, S), their features; R0 (S A,), R_l (L, S A), their features
_game = _tuple((_matrix, _cube, _features, _vector, _matrix, _features))


with kernel_cache(Path(__file__)) as kernel:

    @kernel(_none(_matrix, _integers, _integers, _vector, _vector, _f8, _matrix, _vector, _f8, _i8, _f8, _matrix))
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

    @kernel(_f8(_features, _i8, _vector))
    def feature(features: Any, k: Any, mean_field: Any) -> Any:
        """Return phi_k(mu) = g_k(<w_k, mu> + b_k), the links by their codes in `games.features.LINKS`."""
        weights, offsets, links, parameters = features
        x = offsets[k]
        for s in range(len(mean_field)):
            x += weights[k, s] * mean_field[s]
        link, parameter = links[k], parameters[k]
        if link == 1:
            x = abs(x)
        elif link == 2:
            x = np.log(x + parameter)
        elif link == 3:
            x = min(1.0, x)
        elif link == 4:
            x = max(0.0, x)
        elif link == 5:
            x = max(0.0, x) ** parameter
        elif link == 6:
            x = np.log(max(x, parameter))
        elif link == 7:
            x = 1.0 / (x + parameter)
        elif link == 8:
            x = np.exp(x)
        return x

    @kernel(_none(_matrix, _game, _f8, _f8, _f8, _f8, _f8, _i8, _integers, _vector, _matrix, _matrix))
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
            action, u = 0, uniforms[t, 0]
            while action < n_actions - 1 and u >= weights[action]:
                u -= weights[action]
                action += 1
            pair = s * n_actions + action
            reward = reward_base[pair]
            for k in range(len(reward_terms)):
                if reward_terms[k, pair] != 0.0:
                    reward += reward_terms[k, pair] * feature(reward_features, k, mean_field)
            for y in range(size):
                row[y] = base[pair, y]
            for k in range(len(terms)):
                phi = feature(transition_features, k, mean_field)
                for y in range(size):
                    row[y] += phi * terms[k, pair, y]
            total = 0.0
            for y in range(size):
                row[y] = max(0.0, row[y])
                total += row[y]
            u = uniforms[t, 1] * total
            last = 0  # what rounding leaves over goes to the last state of positive probability
            for y in range(size):
                if row[y] > 0.0:
                    last = y
                    if u < row[y]:
                        break
                    u -= row[y]
            y = last
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
