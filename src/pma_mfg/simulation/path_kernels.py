"""Compiled kernels for what agents do with their paths besides TD learning: keep them, add up rewards, learn anew.

For the replay buffer (`learning.replay`) and the scores of networked learning (`learning.networks`). Agents move as in
`simulation.agent_kernels`.
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
from pma_mfg.simulation.agent_kernels import BLOCK, MOVE, RECORD, WALKERS, learn_block
from pma_mfg.simulation.alias_kernels import prepare_rewards, prepare_transitions
from pma_mfg.simulation.exchangeable_kernels import GAME, SHARED, learn_steps, room_of
from pma_mfg.simulation.links import DENSE_GAME
from pma_mfg.simulation.random_numbers import STREAM, advance

_32 = np.uint64(32)

# as in `agent_kernels`: Q, h(pi^i(s))
_learners = TUPLE((CUBE, MATRIX))

_pairs = types.uint16[:, ::1]


with kernel_cache(Path(__file__)) as kernel:

    @kernel(NONE(INTEGER, INTEGER, INTEGER, WALKERS, _learners, DENSE_GAME, TUPLE((_pairs, _pairs, CUBE)), MATRIX))
    def walk(
        first: Any, n_steps: Any, n_waiting: Any, walkers: Any, learners: Any, game: Any, kept: Any, present: Any
    ) -> None:
        """Move the agents by the steps first, ..., first + n_steps - 1 of an epoch, and keep what is learnt from.

        kept is begun (M, N), reached (M, N) and rewards (M, S, A): the m-th transition begins at the step
        m (n_waiting + 1) + n_waiting, in the pair begun[m, i] with the rewards rewards[m], and leads to reached[m, i],
        recorded one step later; the last one is recorded by the caller. present (S, A) is overwritten with the last
        step's rewards.
        """
        states, pairs, _, _, generators = walkers
        begun, reached, rewards = kept
        n_states, n_actions = present.shape
        counts, mean_field = np.zeros(n_states, dtype=np.int64), np.empty(n_states)
        for i in range(len(states)):
            counts[np.int64(states[i])] += 1
        alias = np.empty((n_states * n_actions, n_states), dtype=np.uint64)
        for t in range(first, first + n_steps):
            for s in range(n_states):
                mean_field[s] = counts[s] / len(states)
            if t == first or len(game[1]) > 0:  # without terms of the mean field, transitions stay as they are
                prepare_transitions(mean_field, game, alias)
            prepare_rewards(mean_field, game, present)
            counts[:] = 0
            for block in range(len(generators)):
                learn_block(block, walkers, learners, alias, present, 0.0, 0.0, RECORD + MOVE, counts)
            m, wait = t // (n_waiting + 1), t % (n_waiting + 1)
            if wait == 0 and 0 < m <= len(reached):
                reached[m - 1] = pairs
            if wait == n_waiting and m < len(begun):
                begun[m] = pairs
                rewards[m] = present

    @kernel(NONE(STREAM, INTEGERS, INTEGERS, GAME, SHARED, INTEGER, INTEGER, INTEGER, TUPLE((_pairs, _pairs, VECTOR))))
    def walk_tagged(
        stream: Any,
        others: Any,
        tagged: Any,
        game: Any,
        shared: Any,
        first: Any,
        end: Any,
        n_waiting: Any,
        kept: Any,
    ) -> None:
        """Move N agents who all hold one policy, and keep the transitions first, ..., end - 1 of the tagged one.

        kept is begun (M, 1), reached (M, 1) and rewards (M,), as in `walk`: n_waiting steps pass before each.
        """
        begun, reached, rewards = kept
        n_actions = shared[0].shape[1]
        read = np.zeros(shared[0].shape)
        checkpoints, nothing = np.zeros(0, dtype=np.int64), np.zeros((0, n_actions))
        snapshots = np.zeros((0, read.shape[0], n_actions))
        room = room_of(others, game, shared)
        for m in range(first, end):
            for _ in range(n_waiting + 1):
                pair = tagged[0] * n_actions + tagged[1]
                read[tagged[0], tagged[1]] = 0.0
                # with the step 1 / (0 + 1) and the discount 0, an update writes the reward of the pair that was left
                learn_steps(
                    stream,
                    others,
                    tagged,
                    game,
                    shared,
                    0.0,
                    read,
                    0,
                    1,
                    0,
                    1.0,
                    1.0,
                    checkpoints,
                    snapshots,
                    nothing,
                    nothing,
                    room,
                )
            begun[m, 0], rewards[m] = pair, read[pair // n_actions, pair % n_actions]
            reached[m, 0] = tagged[0] * n_actions + tagged[1]

    @kernel(NONE(_pairs, CUBE, MATRIX, FLOAT, VECTOR), **BORROWED)
    def add_up(begun: Any, rewards: Any, entropies: Any, discount: Any, returns: Any) -> None:
        """Add sum_t discount^t (R(s_t, a_t, mu_t) + h(pi^i(s_t))) over the kept steps to returns (N,).

        begun (M, N) and rewards (M, S, A) as in `walk`, without waiting; entropies (N, S) are h(pi^i(s)).
        """
        n_actions, factor = rewards.shape[2], 1.0
        for t in range(len(begun)):
            for i in range(begun.shape[1]):
                state, action = begun[t, i] // n_actions, begun[t, i] % n_actions
                returns[i] += factor * (rewards[t, state, action] + entropies[i, state])
            factor *= discount

    @kernel(NONE(_pairs, _pairs, MATRIX, UNSIGNED[:, ::1], _learners, FLOAT, INTEGER, FLOAT, FLOAT, INTEGER, INTEGER))
    def replay(
        begun: Any,
        reached: Any,
        rewards: Any,
        generators: Any,
        learners: Any,
        discount: Any,
        n_passes: Any,
        scale: Any,
        offset: Any,
        first: Any,
        end: Any,
    ) -> None:
        """Learn Q^i (N, S, A), in place, of agents first, ..., end - 1 from the kept transitions of `walk`.

        rewards (M, S A) are those of `walk`, or (M, 1) those of the pairs in which transitions of one agent begin.
        Every agent shuffles its transitions anew in each pass. The m-th update, m = 0, 1, ... over all passes, has the
        step scale / (m + offset).
        """
        q, entropies = learners
        length = begun.shape[0]
        n_actions = q.shape[2]
        order = np.empty(length, dtype=np.int64)
        for i in range(first, end):
            block = i // BLOCK
            a0, a1, a2, a3 = generators[block, 0], generators[block, 1], generators[block, 2], generators[block, 3]
            for m in range(length):
                order[m] = m
            own, h = q[i].reshape(-1), entropies[i]
            updates = 0
            for _ in range(n_passes):
                for last in range(length - 1, 0, -1):
                    bits, a0, a1, a2, a3 = advance(a0, a1, a2, a3)
                    place = np.int64(((bits >> _32) * np.uint64(last + 1)) >> _32)
                    order[last], order[place] = order[place], order[last]
                for k in range(length):
                    m = order[k]
                    pair, after = np.int64(begun[m, i]), np.int64(reached[m, i])
                    target = rewards[m, pair % rewards.shape[1]]
                    target += discount * (own[after] + h[after // n_actions])
                    own[pair] += scale / (updates + offset) * (target - own[pair])
                    updates += 1
            generators[block, 0], generators[block, 1], generators[block, 2], generators[block, 3] = a0, a1, a2, a3
