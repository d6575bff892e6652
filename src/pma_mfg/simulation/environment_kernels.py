"""Compiled kernels of the environment of arrays: agents are moved by actions that somebody else has chosen.

States and actions are 16-bit integers of shape (R, N), one row for each replicate, with a generator of its own
(docs/theory, section 10.14). Tables of the game, the draw of a next state and the form of policies are those of
`simulation.agent_kernels`. A step costs 2 to 4 ns for each agent, and for each replicate the time in which the tables
are written, in the order of K S A S operations. Where transitions depend on the mean field and a replicate has few
agents, writing alias tables would take most of it: there `move_few` draws by inversion, from cumulated laws.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numba import types

from pma_mfg.compilation import MATRIX, NONE, UNSIGNED, VECTOR, kernel_cache
from pma_mfg.simulation.agent_kernels import pair_played, successor
from pma_mfg.simulation.alias_kernels import alias_row, prepare_rewards, prepare_transitions
from pma_mfg.simulation.intrinsics import prefetch
from pma_mfg.simulation.links import DENSE_GAME, feature_values
from pma_mfg.simulation.random_numbers import advance

#: Agents of a replicate for each pair of state and action below which `move_few` is faster than `move`.
FEW = 8

_0, _LOW_33 = np.uint64(0), np.uint64(2**33 - 1)

# agents by which a row of a policy is asked for ahead of its use
_AHEAD = np.uint64(32)

# states or actions of all agents (R, N), and generators (R, 4)
_agents, _generators = types.uint16[:, ::1], UNSIGNED[:, ::1]


with kernel_cache(Path(__file__)) as kernel:

    @kernel(NONE(types.uint16[::1], VECTOR))
    def write_mean_field(states: Any, mean_field: Any) -> None:
        """Write the shares of the agents in each state into mean_field, shape (S,)."""
        counts = np.zeros(len(mean_field), dtype=np.int64)
        for i in range(len(states)):
            counts[np.uint64(states[i])] += 1
        for s in range(len(mean_field)):
            mean_field[s] = counts[s] / len(states)

    @kernel(NONE(_agents, _generators, VECTOR, MATRIX))
    def place(states: Any, generators: Any, law: Any, mean_fields: Any) -> None:
        """Draw the states of all agents independently from a law, shape (S,), which is used up; write the mean fields.

        mean_fields has shape (R, S).
        """
        n_states = np.uint64(len(law))
        alias = np.empty(len(law), dtype=np.uint64)
        alias_row(law, alias, np.empty(len(law), dtype=np.int64))
        for r in range(len(states)):
            own = states[r]
            a0, a1, a2, a3 = generators[r, 0], generators[r, 1], generators[r, 2], generators[r, 3]
            for i in range(len(own)):
                bits, a0, a1, a2, a3 = advance(a0, a1, a2, a3)
                own[i] = successor(bits, alias, _0, n_states)
            generators[r, 0], generators[r, 1], generators[r, 2], generators[r, 3] = a0, a1, a2, a3
            write_mean_field(own, mean_fields[r])

    @kernel(NONE(_agents, _agents, _generators, types.uint16[:, :, :, ::1]))
    def choose(states: Any, actions: Any, generators: Any, thresholds: Any) -> None:
        """Draw the actions of all agents from their policies, in the form of `simulation.agents.Agents.thresholds`.

        thresholds has shape (2, N, S, A - 1), or (2, 1, S, A - 1) for a policy that all share.
        """
        n_states, n_limits = np.uint64(thresholds.shape[2]), np.uint64(thresholds.shape[3])
        upper, lower = thresholds[0].reshape(-1), thresholds[1].reshape(-1)
        last = np.uint64(states.shape[1] - 1)
        stride = n_states if thresholds.shape[1] > 1 else _0
        for r in range(len(states)):
            own, chosen = states[r], actions[r]
            a0, a1, a2, a3 = generators[r, 0], generators[r, 1], generators[r, 2], generators[r, 3]
            for i in range(np.uint64(len(own))):
                ahead = min(i + _AHEAD, last)
                prefetch(upper, (ahead * stride + np.uint64(own[ahead])) * n_limits)
                bits, a0, a1, a2, a3 = advance(a0, a1, a2, a3)
                row = i * stride + np.uint64(own[i])
                chosen[i] = np.uint16(pair_played(bits, _0, upper, lower, row * n_limits, n_limits))
            generators[r, 0], generators[r, 1], generators[r, 2], generators[r, 3] = a0, a1, a2, a3

    @kernel(NONE(_agents, _agents, _generators, DENSE_GAME, MATRIX, MATRIX))
    def move(states: Any, actions: Any, generators: Any, game: Any, mean_fields: Any, rewards: Any) -> None:
        """Move all agents by one step, in place: write rewards, shape (R, N), next states and their mean fields (R, S).

        Rewards and moves are those at the mean field of each replicate before the step.
        """
        n_states, n_actions = game[3].shape
        alias = np.empty((n_states * n_actions, n_states), dtype=np.uint64)
        reward = np.empty((n_states, n_actions))
        table, earned = alias.reshape(-1), reward.reshape(-1)
        size, width = np.uint64(n_states), np.uint64(n_actions)
        for r in range(len(states)):
            own, chosen, paid = states[r], actions[r], rewards[r]
            if r == 0 or len(game[1]) > 0:  # transitions without terms are the same in all replicates
                prepare_transitions(mean_fields[r], game, alias)
            prepare_rewards(mean_fields[r], game, reward)
            a0, a1, a2, a3 = generators[r, 0], generators[r, 1], generators[r, 2], generators[r, 3]
            for i in range(len(own)):
                bits, a0, a1, a2, a3 = advance(a0, a1, a2, a3)
                pair = np.uint64(own[i]) * width + np.uint64(chosen[i])
                paid[i] = earned[pair]
                own[i] = successor(bits, table, pair, size)
            generators[r, 0], generators[r, 1], generators[r, 2], generators[r, 3] = a0, a1, a2, a3
            write_mean_field(own, mean_fields[r])

    @kernel(NONE(_agents, _agents, _generators, DENSE_GAME, MATRIX, MATRIX))
    def move_few(states: Any, actions: Any, generators: Any, game: Any, mean_fields: Any, rewards: Any) -> None:
        """Do as `move` for a game whose transition tables are cumulated along their last axis, by inversion.

        P(.|s,a,mu) is a sum of tables, so that the cumulated law is the sum of the cumulated tables: nothing but that
        sum is written for each replicate. The next state is the number of its entries, the last one left out, that
        the lower 33 of 64 random bits reach; half a unit is added, so that rounding makes no impossible move possible.
        """
        transition_base, transition_terms, transition_features = game[:3]
        n_states, n_actions = game[3].shape
        reward, laws = np.empty((n_states, n_actions)), np.empty(transition_base.size)
        base, terms = transition_base.reshape(-1), transition_terms.reshape((len(transition_terms), len(laws)))
        phi, earned = np.empty(len(terms)), reward.reshape(-1)
        width, size, limits = np.uint64(n_actions), np.uint64(n_states), np.uint64(n_states - 1)
        for r in range(len(states)):
            own, chosen, paid = states[r], actions[r], rewards[r]
            feature_values(mean_fields[r], transition_features, phi)
            laws[:] = base
            for k in range(len(phi)):
                for j in range(len(laws)):
                    laws[j] += phi[k] * terms[k, j]
            prepare_rewards(mean_fields[r], game, reward)
            a0, a1, a2, a3 = generators[r, 0], generators[r, 1], generators[r, 2], generators[r, 3]
            for i in range(len(own)):
                bits, a0, a1, a2, a3 = advance(a0, a1, a2, a3)
                pair = np.uint64(own[i]) * width + np.uint64(chosen[i])
                paid[i] = earned[pair]
                level, first = (np.float64(np.int64(bits & _LOW_33)) + 0.5) * 2.0**-33, pair * size
                after: Any = 0
                for j in range(limits):
                    after += np.int64(level >= laws[first + j])
                own[i] = np.uint16(after)
            generators[r, 0], generators[r, 1], generators[r, 2], generators[r, 3] = a0, a1, a2, a3
            write_mean_field(own, mean_fields[r])
