"""Compiled kernels of the N-agent game: one step, ergodic averages, and conditional temporal-difference learning.

All agents but one tagged learner hold the same policy and are exchangeable, so their counts per state are a Markov
chain of their own, with the exact law (docs/theory.md, section 9): from a state with n agents, Multinomial(n, P_pi(.|s,
mu)) of them move on. A step costs O(S^2 (K + one binomial)) whatever the number of agents.

A game enters as plain arrays, grouped in tuples (see `simulation.game_tables`). This module is the only one with
compiled code, and is importable at the cost of loading it; `compilation` says how the cache works.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numba import types

from pma_mfg.compilation import kernel_cache

_f8, _i8, _none = types.float64, types.int64, types.void
_vector, _matrix, _cube, _tensor = _f8[::1], _f8[:, ::1], _f8[:, :, ::1], _f8[:, :, :, ::1]
_integers = _i8[::1]
_rng = types.npy_rng
# weights (K, S), offsets (K,), links (K,), parameters (K,)
_tuple: Any = types.Tuple  # which numba leaves untyped
# weights (K, S), offsets (K,), links (K,), parameters (K,)
_features = _tuple((_matrix, _vector, _integers, _vector))
# P0 (S, A, S), P_k (K, S, A, S), their features; R0 (S, A), R_k (L, S, A), their features
_game = _tuple((_cube, _tensor, _features, _matrix, _cube, _features))
# phi(c) (K,), grad phi(c) (K, S): features expanded at a centre c
_expansion = _tuple((_vector, _matrix))
# pi (S, A), h(pi(s)) (S,), P0 averaged over pi (S, S), P_k averaged over pi (K, S, S)
_shared = _tuple((_matrix, _vector, _matrix, _cube))

with kernel_cache(Path(__file__)) as kernel:

    @kernel(_none(_vector, _features, _vector))
    def feature_values(mean_field: Any, features: Any, out: Any) -> None:
        """Write phi_k(mu) = g_k(<w_k, mu> + b_k) into out, shape (K,); link codes as in `games.model.LINKS`."""
        weights, offsets, links, parameters = features
        for k in range(len(links)):
            x = offsets[k]
            for z in range(len(mean_field)):
                x += weights[k, z] * mean_field[z]
            link = links[k]
            if link == 1:
                x = abs(x)
            elif link == 2:
                x = np.log(x + parameters[k])
            elif link == 3:
                x = min(1.0, x)
            elif link == 4:
                x = max(0.0, x)
            elif link == 5:
                x = max(0.0, x) ** parameters[k]
            out[k] = x

    @kernel(_i8(_rng, _vector))
    def draw(rng: Any, probabilities: Any) -> Any:
        """Draw an index; what rounding leaves over goes to the last index of positive probability."""
        u = rng.random()
        last = 0
        for i in range(len(probabilities)):
            p = probabilities[i]
            if p > 0.0:
                last = i
                if u < p:
                    return i
                u -= p
        return last

    @kernel(_none(_rng, _integers, _matrix, _integers))
    def move_counts(rng: Any, counts: Any, transition: Any, moved: Any) -> None:
        """Draw the counts after one step, moved[y] = sum_s Multinomial(counts[s], transition[s])[y], by binomials."""
        size = len(counts)
        moved[:] = 0
        for s in range(size):
            n = counts[s]
            if n == 0:
                continue
            last = size - 1
            while last > 0 and transition[s, last] <= 0.0:
                last -= 1
            remaining = 1.0
            for y in range(last):
                p = transition[s, y]
                if p <= 0.0:
                    continue
                share = p / remaining  # rounding can push it past 1
                k = n if share >= 1.0 else rng.binomial(n, share)
                moved[y] += k
                n -= k
                if n == 0:
                    break
                remaining -= p
            moved[last] += n

    @kernel(_none(_matrix, _cube, _vector, _matrix))
    def mixed_transition(base: Any, terms: Any, phi: Any, out: Any) -> None:
        """Write base + sum_k phi_k terms_k into out, shape (S, S)."""
        out[:] = base
        for k in range(len(phi)):
            for s in range(out.shape[0]):
                for y in range(out.shape[1]):
                    out[s, y] += phi[k] * terms[k, s, y]

    @kernel(_none(_vector, _features, _expansion, _vector, _vector))
    def feature_remainders(mean_field: Any, features: Any, expansion: Any, x: Any, out: Any) -> None:
        """Write phi_k(c + x) - phi_k(c) - <grad phi_k(c), x> into out, shape (K,), mean_field = c + x."""
        values, gradients = expansion
        feature_values(mean_field, features, out)
        for k in range(len(out)):
            out[k] -= values[k]
            for z in range(len(x)):
                out[k] -= gradients[k, z] * x[z]

    @kernel(
        _none(
            _rng,
            _integers,
            _game,
            _shared,
            _i8,
            _vector,
            _expansion,
            _expansion,
            _vector,
            _vector,
            _matrix,
            _matrix,
            _matrix,
        )
    )
    def average(
        rng: Any,
        counts: Any,
        game: Any,
        shared: Any,
        n_steps: Any,
        centre: Any,
        transition_expansion: Any,
        reward_expansion: Any,
        deviation: Any,
        mean_field_sum: Any,
        second_moments: Any,
        transition_sums: Any,
        reward_sums: Any,
    ) -> None:
        """Add up, over a trajectory of all agents, what the learner's limit is made of (docs/theory.md, section 9).

        With x = mu - centre: deviation[0] += ||x||_1, mean_field_sum += mu, second_moments += x x^T,
        transition_sums[s, k] += mu(s) times the remainder of phi_k at x, and the same for the reward's features: all
        that is added up shrinks with x, so that its relative precision does not depend on N. counts (S,) is moved on in
        place.
        """
        transition_features, reward_features = game[2], game[5]
        size = len(counts)
        n_agents = counts.sum()
        mean_field = np.empty(size)
        transition_phi = np.empty(len(transition_features[2]))
        reward_phi = np.empty(len(reward_features[2]))
        kernel_matrix = np.empty((size, size))
        moved = np.empty_like(counts)
        x = np.empty(size)
        for _ in range(n_steps):
            for s in range(size):
                mean_field[s] = counts[s] / n_agents
                x[s] = mean_field[s] - centre[s]
                deviation[0] += abs(x[s])
                mean_field_sum[s] += mean_field[s]
            feature_remainders(mean_field, transition_features, transition_expansion, x, transition_phi)
            feature_remainders(mean_field, reward_features, reward_expansion, x, reward_phi)
            for s in range(size):
                for z in range(size):
                    second_moments[s, z] += x[s] * x[z]
                for k in range(len(transition_phi)):
                    transition_sums[s, k] += mean_field[s] * transition_phi[k]
                for k in range(len(reward_phi)):
                    reward_sums[s, k] += mean_field[s] * reward_phi[k]
            feature_values(mean_field, transition_features, transition_phi)
            mixed_transition(shared[2], shared[3], transition_phi, kernel_matrix)
            move_counts(rng, counts, kernel_matrix, moved)
            counts[:] = moved

    @kernel(_none(_rng, _integers, _integers, _game, _shared, _f8, _matrix, _i8, _i8, _f8, _f8, _integers, _cube))
    def learn(
        rng: Any,
        others: Any,
        tagged: Any,
        game: Any,
        shared: Any,
        discount: Any,
        q: Any,
        n_updates: Any,
        n_waiting: Any,
        scale: Any,
        offset: Any,
        checkpoints: Any,
        snapshots: Any,
    ) -> None:
        """Run conditional temporal-difference learning on the trajectory of the N-agent game (Algorithm 1).

        One update: n_waiting steps pass, then the next transition (s, a, r, s', a') of the tagged agent moves q(s, a)
        towards r + gamma (q(s', a') + h(pi(s'))) by the share scale / (m + offset), m = 0, 1, ...; a' is played next.
        others (S,), tagged (2,) = (state, action) and q (S, A) are moved on in place; q after checkpoints[i] updates is
        written to snapshots[i], shape (C, S, A).
        """
        transition_base, transition_terms, transition_features, reward_base, reward_terms, reward_features = game
        policy, entropy, shared_base, shared_terms = shared
        size = len(others)
        n_agents = others.sum() + 1
        mean_field = np.empty(size)
        transition_phi = np.empty(len(transition_features[2]))
        reward_phi = np.empty(len(reward_features[2]))
        kernel_matrix = np.empty((size, size))
        row = np.empty(size)
        moved = np.empty_like(others)
        state, action = tagged[0], tagged[1]
        written = 0
        for m in range(n_updates):
            for wait in range(n_waiting + 1):
                for s in range(size):
                    mean_field[s] = (others[s] + (1 if s == state else 0)) / n_agents
                feature_values(mean_field, transition_features, transition_phi)
                for y in range(size):
                    row[y] = transition_base[state, action, y]
                    for k in range(len(transition_phi)):
                        row[y] += transition_phi[k] * transition_terms[k, state, action, y]
                next_state = draw(rng, row)
                next_action = draw(rng, policy[next_state])
                mixed_transition(shared_base, shared_terms, transition_phi, kernel_matrix)
                move_counts(rng, others, kernel_matrix, moved)
                others[:] = moved
                if wait == n_waiting:
                    feature_values(mean_field, reward_features, reward_phi)
                    reward = reward_base[state, action]
                    for k in range(len(reward_phi)):
                        reward += reward_phi[k] * reward_terms[k, state, action]
                    target = reward + discount * (q[next_state, next_action] + entropy[next_state])
                    q[state, action] += scale / (m + offset) * (target - q[state, action])
                state, action = next_state, next_action
            while written < len(checkpoints) and checkpoints[written] == m + 1:
                snapshots[written] = q
                written += 1
        tagged[0], tagged[1] = state, action
