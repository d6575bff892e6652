"""Compiled kernels of the N-agent game in which every agent has a policy and a Q-function of its own.

Agents are moved one by one, in blocks with a generator each (docs/theory, section 10.8). One 64-bit draw serves an
agent's step: 31 bits for the action, by comparison with the cumulated probabilities, 33 for the next state, by an alias
table of P(.|s,a,mu) that is rebuilt at every step. The state is known before the draw, so the one access to memory that
is large, the agent's row of its policy, does not wait for anything; the upper 16 bits of the probabilities, which
decide nearly all draws, are stored apart from the others, so that half as much memory is read.

Where rebuilding the tables would take longer than moving the agents, and transitions are affine in the mean field, the
next state is drawn from tables that never change: one of what all vertices of the simplex have in common, and one for
each vertex of what is its own (`compose`, docs/theory, section 10.8).

A game enters as plain dense arrays (`simulation.agents.dense_tables`). `compilation` says how kernels are compiled and
where they are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numba import types

from pma_mfg.compilation import (
    BORROWED,
    CUBE,
    FLOAT,
    INTEGER,
    INTEGERS,
    MATRIX,
    NONE,
    TUPLE,
    UNSIGNED,
    VECTOR,
    kernel_cache,
)
from pma_mfg.simulation.alias_kernels import (
    ALIAS,
    SIDE_BY_SIDE,
    alias_row,
    alias_tables,
    columns_of,
    prepare_transitions,
    rewards_at,
)
from pma_mfg.simulation.intrinsics import add_at_once, prefetch, sched_yield
from pma_mfg.simulation.links import DENSE_GAME, feature_values
from pma_mfg.simulation.random_numbers import advance

#: Agents that share one generator and are always moved by the same thread.
BLOCK = 4096

#: Cumulated probabilities of actions are multiples of 1 / UNITS, stored as the two parts u <= LAST_UPPER and l of
#: u LOWER + l.
UNITS, LOWER, LAST_UPPER = 2**31, 2**15, 2**16 - 1

#: What `learn_block` does with every agent: update Q, record the pair, move the agent. Numbers to be added.
UPDATE, RECORD, MOVE = 1, 2, 4
EVERYTHING = 7

#: Rows of Q with |Q| > FAR (tau + 1 / eta) are centred first, to avoid cancellation, as in `regularizers.FAR`; a test
#: compares the two.
FAR = 1e6

_16, _33, _48, _63 = np.uint64(16), np.uint64(33), np.uint64(48), np.uint64(63)

_0, _1 = np.uint64(0), np.uint64(1)

_LOW_15, _LOW_16, _LOW_33 = np.uint64(2**15 - 1), np.uint64(2**16 - 1), np.uint64(2**33 - 1)

#: Agents by which memory is asked for ahead of its use: for some hundred nanoseconds, the way to memory and back.
AHEAD, AHEAD_LEARNING = np.uint64(128), np.uint64(32)

#: Bytes of policies and Q-functions up to which they are near enough to be read without asking for them ahead.
NEAR = 2**20

#: States up to which agents are counted state by state, many at a time, in place of agent by agent.
FEW_STATES = 32

# numbers of actions, less one, for which the comparisons with the thresholds are written out
_1_LIMIT, _2_LIMITS, _3_LIMITS, _4_LIMITS = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)

_u2 = types.uint16

# a composition: alias tables of each pair, (S A, S + 1), in which the outcome S stands for a draw at a vertex; an
# alias table of the mean field, (S,); those of each pair at each vertex, (S A S, S); and memory for the agents of a
# block who wait for such a draw, (BLOCK,) each.
_mixture = TUPLE((ALIAS, UNSIGNED[::1], ALIAS, UNSIGNED[::1], UNSIGNED[::1], UNSIGNED[::1]))

#: Types of states (N,), pairs (N,), upper and lower parts of thresholds (N, S, A-1), and generators (B, 4).
WALKERS = TUPLE((_u2[::1], _u2[::1], _u2[:, :, ::1], _u2[:, :, ::1], UNSIGNED[:, ::1]))

# Q (N, S, A), h(pi^i(s)) (N, S)
_learners = TUPLE((CUBE, MATRIX))

_choices = types.boolean, types.boolean


with kernel_cache(Path(__file__)) as kernel:

    @kernel(UNSIGNED(UNSIGNED, UNSIGNED, _u2[::1], _u2[::1], UNSIGNED, UNSIGNED), forceinline=True, **BORROWED)
    def pair_played(bits: Any, pair: Any, upper: Any, lower: Any, first: Any, n_limits: Any) -> Any:
        """Return the pair s A + a of the action a that the upper 31 of 64 random bits choose; `pair` is s A.

        The action is the number of thresholds first, ..., first + n_limits - 1 that the bits reach. The lower parts of
        the thresholds are read only if one of the upper parts is met exactly.
        """
        level, met = np.uint16(bits >> _48), False
        for j in range(n_limits):
            limit = upper[first + j]
            pair += np.uint64(level > limit)
            met |= level == limit
        if met:
            rest = np.uint16((bits >> _33) & _LOW_15)
            for j in range(n_limits):
                pair += np.uint64((level == upper[first + j]) & (rest >= lower[first + j]))
        return pair

    @kernel(UNSIGNED(UNSIGNED, UNSIGNED), forceinline=True, **BORROWED)
    def column_or_alias(x: Any, entry: Any) -> Any:
        """Return the column in the upper 31 bits of x, or the alias in its entry, as the lower 33 bits of x say."""
        other = entry & _LOW_16
        # without a branch, which would be mispredicted half of the time
        stays = _0 - np.uint64((x & _LOW_33) < (entry >> _16))
        return other ^ ((other ^ (x >> _33)) & stays)

    @kernel(_u2(UNSIGNED, UNSIGNED[::1], UNSIGNED, UNSIGNED), forceinline=True, **BORROWED)
    def successor(bits: Any, table: Any, pair: Any, n_states: Any) -> Any:
        """Return the next state that the lower 33 of 64 random bits choose from the alias table of a pair."""
        x = (bits & _LOW_33) * n_states
        return np.uint16(column_or_alias(x, table[pair * n_states + (x >> _33)]))

    @kernel(_u2(UNSIGNED, UNSIGNED[::1], UNSIGNED, UNSIGNED), forceinline=True, **BORROWED)
    def successor_or_wait(bits: Any, table: Any, pair: Any, n_states: Any) -> Any:
        """Return the next state that a mixture gives a pair, or S plus the pair if it is to wait for `compose`."""
        x = (bits & _LOW_33) * (n_states + _1)
        after = column_or_alias(x, table[pair * (n_states + _1) + (x >> _33)])
        # n_states - 1 - after wraps around at S; of a comparison the compiler would make a branch
        return np.uint16(after + (pair & (_0 - ((n_states - _1 - after) >> _63))))

    @kernel(NONE(INTEGER, WALKERS, _mixture, INTEGERS), **BORROWED)
    def compose(block: Any, walkers: Any, mixture: Any, counts: Any) -> None:
        """Move the agents of one block who wait, by a draw at a vertex drawn from the mean field, and count all.

        Their states are S + the pair s A + a. All entries of tables are asked for before one is read: the tables of all
        vertices are too large for the nearer caches.
        """
        states, generators = walkers[0], walkers[4]
        _, field, vertices, waiting, places, levels = mixture
        n_states, table, count = np.uint64(len(field)), vertices.reshape(-1), _0
        low, high = np.uint64(block * BLOCK), np.uint64(min((block + 1) * BLOCK, len(states)))
        for i in range(low, high):
            state = np.uint64(states[i])
            waiting[count] = (i << _16) | state
            count += np.uint64(state >= n_states)
        a0, a1, a2, a3 = generators[block, 0], generators[block, 1], generators[block, 2], generators[block, 3]
        for j in range(count):
            bits, a0, a1, a2, a3 = advance(a0, a1, a2, a3)
            vertex = np.uint64(successor(bits, field, _0, n_states))
            bits, a0, a1, a2, a3 = advance(a0, a1, a2, a3)
            x = (bits & _LOW_33) * n_states
            place = (((waiting[j] & _LOW_16) - n_states) * n_states + vertex) * n_states + (x >> _33)
            prefetch(table, place)
            places[j] = place
            levels[j] = x
        generators[block, 0], generators[block, 1], generators[block, 2], generators[block, 3] = a0, a1, a2, a3
        for j in range(count):
            states[waiting[j] >> _16] = np.uint16(column_or_alias(levels[j], table[places[j]]))
        for i in range(low, high):
            counts[np.uint64(states[i])] += 1

    @kernel(NONE(_u2[::1], UNSIGNED, UNSIGNED, INTEGERS), **BORROWED)
    def count_states(states: Any, low: Any, high: Any, counts: Any) -> None:
        """Add the agents low, ..., high - 1 up by state."""
        if len(counts) <= FEW_STATES:
            for s in range(len(counts)):
                state, found = np.uint16(s), np.uint16(0)
                for i in range(low, high):
                    found += np.uint16(states[i] == state)
                counts[s] += np.int64(found)
        else:
            for i in range(low, high):
                counts[np.uint64(states[i])] += 1

    @kernel(NONE(INTEGER, WALKERS, ALIAS, INTEGERS, UNSIGNED, types.boolean), forceinline=True, **BORROWED)
    def _move_agents(block: Any, walkers: Any, alias: Any, counts: Any, n_limits: Any, waits: Any) -> None:
        """As `move_block`, with A - 1 thresholds in a row: a constant lets the compiler write out the comparisons.

        If `waits`, a constant too, alias is that of a mixture, and `compose` is to follow, which counts.
        """
        states, _, thresholds, rests, generators = walkers
        n_states = np.uint64(thresholds.shape[1])
        upper, lower, table = thresholds.reshape(-1), rests.reshape(-1), alias.reshape(-1)
        a0, a1, a2, a3 = generators[block, 0], generators[block, 1], generators[block, 2], generators[block, 3]
        low, high, last = np.uint64(block * BLOCK), np.uint64(min((block + 1) * BLOCK, len(states))), len(states) - 1
        for i in range(low, high):
            ahead = min(i + AHEAD, np.uint64(last))
            prefetch(upper, (ahead * n_states + np.uint64(states[ahead])) * n_limits)
            bits, a0, a1, a2, a3 = advance(a0, a1, a2, a3)
            state = np.uint64(states[i])
            pair = pair_played(bits, state * (n_limits + _1), upper, lower, (i * n_states + state) * n_limits, n_limits)
            if waits:
                states[i] = successor_or_wait(bits, table, pair, n_states)
            else:
                states[i] = successor(bits, table, pair, n_states)
        generators[block, 0], generators[block, 1], generators[block, 2], generators[block, 3] = a0, a1, a2, a3
        if not waits:
            count_states(states, low, high, counts)

    @kernel(NONE(INTEGER, WALKERS, ALIAS, INTEGERS), **BORROWED)
    def move_block(block: Any, walkers: Any, alias: Any, counts: Any) -> None:
        """Move the agents of one block by one step, and add them up by state in counts (S,)."""
        n_limits = np.uint64(walkers[2].shape[2])
        if n_limits == _1_LIMIT:
            _move_agents(block, walkers, alias, counts, _1_LIMIT, False)
        elif n_limits == _2_LIMITS:
            _move_agents(block, walkers, alias, counts, _2_LIMITS, False)
        elif n_limits == _3_LIMITS:
            _move_agents(block, walkers, alias, counts, _3_LIMITS, False)
        elif n_limits == _4_LIMITS:
            _move_agents(block, walkers, alias, counts, _4_LIMITS, False)
        else:
            _move_agents(block, walkers, alias, counts, n_limits, False)

    @kernel(NONE(INTEGER, WALKERS, _mixture, INTEGERS), **BORROWED)
    def move_block_by_composition(block: Any, walkers: Any, mixture: Any, counts: Any) -> None:
        """As `move_block`, without tables of P(mu)."""
        n_limits = np.uint64(walkers[2].shape[2])
        if n_limits == _4_LIMITS:  # as in grids
            _move_agents(block, walkers, mixture[0], counts, _4_LIMITS, True)
        else:
            _move_agents(block, walkers, mixture[0], counts, n_limits, True)
        compose(block, walkers, mixture, counts)

    @kernel(
        NONE(INTEGER, WALKERS, _learners, ALIAS, MATRIX, FLOAT, FLOAT, INTEGER, INTEGERS, UNSIGNED, *_choices),
        forceinline=True,
        **BORROWED,
    )
    def _learn(
        block: Any,
        walkers: Any,
        learners: Any,
        alias: Any,
        reward: Any,
        discount: Any,
        share: Any,
        what: Any,
        counts: Any,
        n_limits: Any,
        waits: Any,
        far: Any,
    ) -> None:
        """As `learn_block`, with A - 1 thresholds in a row, and rows of agents asked for ahead of their use if `far`.

        If `waits`, a constant, alias is that of a mixture, and `compose` is to follow.
        """
        states, pairs, thresholds, rests, generators = walkers
        n_states = np.uint64(thresholds.shape[1])
        n_actions = n_limits + _1
        upper, lower, table = thresholds.reshape(-1), rests.reshape(-1), alias.reshape(-1)
        q, entropy, rewards = learners[0].reshape(-1), learners[1].reshape(-1), reward.reshape(-1)
        a0, a1, a2, a3 = generators[block, 0], generators[block, 1], generators[block, 2], generators[block, 3]
        low, high, last = np.uint64(block * BLOCK), np.uint64(min((block + 1) * BLOCK, len(states))), len(states) - 1
        for i in range(low, high):
            if far:
                ahead = min(i + AHEAD_LEARNING, np.uint64(last))
                row = ahead * n_states + np.uint64(states[ahead])
                prefetch(upper, row * n_limits)
                if what & UPDATE:
                    prefetch(q, row * n_actions)
                    prefetch(q, ahead * n_states * n_actions + np.uint64(pairs[ahead]))
                    prefetch(entropy, row)
            bits, a0, a1, a2, a3 = advance(a0, a1, a2, a3)
            state = np.uint64(states[i])
            row = i * n_states + state
            pair = pair_played(bits, state * n_actions, upper, lower, row * n_limits, n_limits)
            if what & UPDATE:
                past = np.uint64(pairs[i])
                first = i * n_states * n_actions
                target = rewards[past] + discount * (q[first + pair] + entropy[row])
                q[first + past] += share * (target - q[first + past])
            if what & RECORD:
                pairs[i] = np.uint16(pair)
            if what & MOVE:
                if waits:
                    states[i] = successor_or_wait(bits, table, pair, n_states)
                else:
                    states[i] = successor(bits, table, pair, n_states)
        generators[block, 0], generators[block, 1], generators[block, 2], generators[block, 3] = a0, a1, a2, a3
        if what & MOVE and not waits:
            count_states(states, low, high, counts)

    @kernel(types.boolean(WALKERS, _learners), forceinline=True, **BORROWED)
    def is_far(walkers: Any, learners: Any) -> Any:
        """Return whether what belongs to all agents does not fit into a processor's nearer caches."""
        return 2 * walkers[2].size + 8 * (learners[0].size + learners[1].size) > NEAR

    @kernel(NONE(INTEGER, WALKERS, _learners, ALIAS, MATRIX, FLOAT, FLOAT, INTEGER, INTEGERS), **BORROWED)
    def learn_block(
        block: Any,
        walkers: Any,
        learners: Any,
        alias: Any,
        reward: Any,
        discount: Any,
        share: Any,
        what: Any,
        counts: Any,
    ) -> None:
        """As `move_block`, and learn: `what` is the sum of UPDATE, RECORD and MOVE.

        An update moves Q(s, a) of the pair recorded one step before towards r + gamma (Q(s', a') + h(pi(s'))) by
        `share`, where s' is the present state, a' the action drawn now, and r is in `reward` (S, A).
        """
        n_limits, far = np.uint64(walkers[2].shape[2]), is_far(walkers, learners)
        # what is a constant needs no instructions
        if what == EVERYTHING and n_limits == _1_LIMIT:
            _learn(block, walkers, learners, alias, reward, discount, share, EVERYTHING, counts, _1_LIMIT, False, far)
        elif what == EVERYTHING and n_limits == _2_LIMITS:
            _learn(block, walkers, learners, alias, reward, discount, share, EVERYTHING, counts, _2_LIMITS, False, far)
        elif what == EVERYTHING and n_limits == _3_LIMITS:
            _learn(block, walkers, learners, alias, reward, discount, share, EVERYTHING, counts, _3_LIMITS, False, far)
        elif what == EVERYTHING and n_limits == _4_LIMITS:
            _learn(block, walkers, learners, alias, reward, discount, share, EVERYTHING, counts, _4_LIMITS, False, far)
        else:
            _learn(block, walkers, learners, alias, reward, discount, share, what, counts, n_limits, False, far)

    @kernel(NONE(INTEGER, WALKERS, _learners, _mixture, MATRIX, FLOAT, FLOAT, INTEGER, INTEGERS), **BORROWED)
    def learn_block_by_composition(
        block: Any,
        walkers: Any,
        learners: Any,
        mixture: Any,
        reward: Any,
        discount: Any,
        share: Any,
        what: Any,
        counts: Any,
    ) -> None:
        """As `learn_block`, without tables of P(mu); `what` includes MOVE."""
        n_limits, far = np.uint64(walkers[2].shape[2]), is_far(walkers, learners)
        _learn(block, walkers, learners, mixture[0], reward, discount, share, what, counts, n_limits, True, far)
        compose(block, walkers, mixture, counts)

    @kernel(NONE(INTEGERS, INTEGER), **BORROWED)
    def meet(arrivals: Any, n_threads: Any) -> None:
        """Wait until all threads have arrived as often as this one.

        arrivals (1,) counts arrivals, from 0 on; nobody waits while it is negative.
        """
        expected = (add_at_once(arrivals, 1) // n_threads + 1) * n_threads
        while 0 <= add_at_once(arrivals, 0) < expected:
            sched_yield()

    @kernel(
        NONE(
            INTEGER,
            INTEGER,
            INTEGER,
            INTEGER,
            INTEGER,
            INTEGERS,
            INTEGER[:, :, ::1],
            WALKERS,
            _learners,
            DENSE_GAME,
            TUPLE((ALIAS, ALIAS)),
            MATRIX,
            FLOAT,
            INTEGER,
            FLOAT,
            FLOAT,
        )
    )
    def run(
        first: Any,
        n_steps: Any,
        thread: Any,
        low: Any,
        high: Any,
        arrivals: Any,
        counts: Any,
        walkers: Any,
        learners: Any,
        game: Any,
        fixed: Any,
        reward: Any,
        discount: Any,
        n_waiting: Any,
        scale: Any,
        offset: Any,
    ) -> None:
        """Run steps first, ..., first + n_steps - 1 of an epoch for the blocks low, ..., high - 1 (Algorithm 3).

        The step t reads the counts at t from counts[t % 2], one row per thread, and leaves those of its own blocks at
        t + 1 in counts[(t + 1) % 2, thread]; counts has shape (2, T, S). All T threads meet after every step, by
        arrivals (1,). Every (n_waiting + 1)-th step is recorded, and
        learnt from at the next. reward (S, A) is that of the recorded pairs. fixed has the tables of
        `agents.composition`; if they are empty, tables are written anew at every step.
        """
        n_states, n_actions = reward.shape
        mean_field, stack = np.empty(n_states), np.empty(n_states, dtype=np.int64)
        composed = len(fixed[0]) > 0
        alias = np.empty((0 if composed else n_states * n_actions, n_states), dtype=np.uint64)
        field, waiting = np.empty(n_states, dtype=np.uint64), np.empty((3, BLOCK), dtype=np.uint64)
        mixture = fixed[0], field, fixed[1], waiting[0], waiting[1], waiting[2]
        present = np.empty_like(reward)
        phi, reward_phi = np.empty(len(game[2][4])), np.empty(len(game[5][4]))
        together = not composed and n_states <= SIDE_BY_SIDE
        if together:
            columns = columns_of(game)
        n_agents = len(walkers[0])
        for t in range(first, first + n_steps):
            now, after = counts[t % 2], counts[(t + 1) % 2, thread]
            for s in range(n_states):
                total = 0
                for other in range(len(now)):
                    total += now[other, s]
                mean_field[s] = total / n_agents
                after[s] = 0
            rewards_at(mean_field, game, reward_phi, present)
            if composed:
                alias_row(mean_field, field, stack)
            elif t == first or len(game[1]) > 0:  # without terms of the mean field, transitions stay as they are
                if together:
                    feature_values(mean_field, game[2], phi)
                    alias_tables(phi, columns, alias)
                else:
                    prepare_transitions(mean_field, game, alias)
            wait = t % (n_waiting + 1)
            what = (UPDATE if wait == 0 and t > 0 else 0) + (RECORD if wait == n_waiting else 0)
            m = t // (n_waiting + 1) - 1
            for block in range(low, high):
                share = scale / (m + offset) if what & UPDATE else 0.0
                if what and composed:
                    learn_block_by_composition(
                        block, walkers, learners, mixture, reward, discount, share, what + MOVE, after
                    )
                elif what:
                    learn_block(block, walkers, learners, alias, reward, discount, share, what + MOVE, after)
                elif composed:
                    move_block_by_composition(block, walkers, mixture, after)
                else:
                    move_block(block, walkers, alias, after)
            if what & RECORD:
                for s in range(n_states):
                    for a in range(n_actions):
                        reward[s, a] = present[s, a]
            meet(arrivals, len(now))

    @kernel(FLOAT(FLOAT), **BORROWED)
    def wright_omega(x: Any) -> Any:
        """Solve w + log w = x, by the iteration of Fritsch, Shafer and Crowley (1973), of fourth order."""
        if x < -2.0:
            w = np.exp(x)
            w = w * (1.0 - w + 1.5 * w * w)
        elif x < 4.0:
            w = 1.0 + 0.5 * (x - 1.0) + 0.0625 * (x - 1.0) ** 2
        else:
            w = x - np.log(x) * (1.0 - 1.0 / x)
        if w < 1e-290:  # next to underflow w = e^x
            return w
        for _ in range(4):
            residual = x - w - np.log(w)
            factor = (1.0 + w) * (1.0 + w + residual * (2.0 / 3.0))
            w *= 1.0 + residual / (1.0 + w) * (factor - 0.5 * residual) / (factor - residual)
            if abs(residual) < 1e-4:  # the next one would be some 1e-16
                break
        return w

    @kernel(NONE(VECTOR, FLOAT, VECTOR), **BORROWED)
    def entropy_maximizer(target: Any, scale: Any, u: Any) -> None:
        """Write the u of the simplex with u_a / scale + log u_a = target_a - m, for some m, into u, shape (A,)."""
        n_actions, highest = len(u), -np.inf
        for a in range(n_actions):
            highest = max(highest, target[a])
        multiplier = highest - 1.0 / scale
        for _ in range(100):
            excess, slope = -1.0, 0.0
            for a in range(n_actions):
                omega = wright_omega(target[a] - multiplier - np.log(scale))
                u[a] = scale * omega
                excess += u[a]
                slope += u[a] / (1.0 + omega)
            multiplier += max(excess / slope, 0.0)
            if excess <= 4e-16 * n_actions:
                break

    @kernel(NONE(VECTOR, VECTOR, VECTOR), **BORROWED)
    def nearest_law(target: Any, ordered: Any, u: Any) -> None:
        """Write the point of the simplex next to the target into u, shape (A,); ordered (A,) is for work."""
        n_actions = len(u)
        for a in range(n_actions):
            place = a  # sorted by insertion
            while place > 0 and ordered[place - 1] < target[a]:
                ordered[place] = ordered[place - 1]
                place -= 1
            ordered[place] = target[a]
        total, threshold = 0.0, 0.0
        for a in range(n_actions):
            total += ordered[a]
            if ordered[a] > (total - 1.0) / (a + 1.0):
                threshold = (total - 1.0) / (a + 1.0)
        for a in range(n_actions):
            u[a] = max(target[a] - threshold, 0.0)

    @kernel(NONE(INTEGER, INTEGER, INTEGER, _u2[:, :, :, ::1], _learners, FLOAT, FLOAT, FLOAT, types.boolean[:, ::1]))
    def renew(
        first: Any,
        last: Any,
        kind: Any,
        thresholds: Any,
        learners: Any,
        strength: Any,
        step_size: Any,
        floor: Any,
        refused: Any,
    ) -> None:
        """Give the agents first, ..., last - 1 their next policy, Gamma_md^eta(Q^i, pi^i).

        kind 0 is the entropy, 1 the quadratic regularizer (`regularizers`, the same equations). A row that would have
        h(u) < floor is left as it is, and refused[i, s] set.
        """
        q, entropies = learners
        n_states, n_actions = q.shape[1], q.shape[2]
        target, u, ordered = np.empty(n_actions), np.empty(n_actions), np.empty(n_actions)
        limits = np.empty(n_actions - 1, dtype=np.int64)
        upper, lower = thresholds[0], thresholds[1]
        scale = strength * step_size
        for i in range(first, last):
            for s in range(n_states):
                before = 0.0
                for a in range(n_actions):
                    until = float(UNITS)
                    if a < n_actions - 1:
                        until = float(upper[i, s, a]) * LOWER + float(lower[i, s, a])
                    u[a] = (until - before) / UNITS
                    before = until
                centre = q[i, s].max() if np.abs(q[i, s]).max() > FAR * (strength + 1.0 / step_size) else 0.0
                if kind == 0:
                    for a in range(n_actions):
                        target[a] = (q[i, s, a] - centre) / strength + u[a] / scale
                    entropy_maximizer(target, scale, u)
                else:
                    for a in range(n_actions):
                        target[a] = (step_size * (q[i, s, a] - centre) + u[a]) / (1.0 + scale)
                    nearest_law(target, ordered, u)
                total = u.sum()
                reached, before, value = 0.0, 0.0, 0.0
                for a in range(n_actions):
                    reached += u[a] / total
                    until = min(np.floor(reached * UNITS + 0.5), float(UNITS)) if a < n_actions - 1 else float(UNITS)
                    share = (until - before) / UNITS  # the probability that the agent plays
                    if a < n_actions - 1:
                        limits[a] = np.int64(until)
                    before = until
                    if kind == 0:
                        value -= strength * share * np.log(share) if share > 0.0 else 0.0
                    else:
                        value -= 0.5 * strength * share * share
                if value < floor:
                    refused[i, s] = True
                    continue
                for a in range(n_actions - 1):
                    part = min(limits[a] // LOWER, LAST_UPPER)
                    upper[i, s, a], lower[i, s, a] = np.uint16(part), np.uint16(limits[a] - part * LOWER)
                entropies[i, s] = value
