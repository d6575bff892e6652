"""Compiled kernels of the N-agent game: one step, ergodic averages, and conditional temporal-difference learning.

All agents but one tagged learner hold the same policy and are exchangeable, so their counts per state are a Markov
chain of their own, with the exact law (docs/theory, section 9.1): from a state with n agents, Multinomial(n, P_pi(.|
s, mu)) of them move on. A step costs one binomial per state and successor, whatever the number of agents; a row with
few agents, or a small population, is moved agent by agent instead, in the same law.

A game enters as plain arrays, grouped in tuples (see `simulation.exchangeable.game_tables`); whatever is zero is left
out of them. `compilation` says how kernels are compiled and where they are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pma_mfg.compilation import (
    BORROWED,
    CUBE,
    FLOAT,
    INTEGER,
    INTEGER_MATRIX,
    INTEGERS,
    MATRIX,
    NONE,
    TUPLE,
    VECTOR,
    kernel_cache,
)
from pma_mfg.simulation.binomials import binomials
from pma_mfg.simulation.links import FEATURES, feature_value, feature_values
from pma_mfg.simulation.random_numbers import BITS, LANES, STREAM, draw, fill

# what the P_k add to the entries of a table: P_k of all entries (K or 0, entries) if most are not zero; else the
# features, entries and values of those that are not zero, one by one
_terms = TUPLE((MATRIX, INTEGERS, INTEGERS, VECTOR))

# P0 and P_k by pair s A + a: where the pair's entries start (S A + 1,), successors and P0 of the entries; the P_k;
# where the pair's part of what the P_k list one by one starts (S A + 1,)
_pairs = TUPLE((INTEGERS, INTEGERS, VECTOR, _terms, INTEGERS))

# R_l by pair s A + a: where the pair's entries start (S A + 1,), features, values
_reward_terms = TUPLE((INTEGERS, INTEGERS, VECTOR))

#: Type of a game: P0 and P_k, their features; R0 (S A,), R_l, their features.
GAME = TUPLE((_pairs, FEATURES, VECTOR, _reward_terms, FEATURES))

# features expanded at a mean field c: phi(c) (K,), grad phi(c) (K, S)
_expansion = TUPLE((VECTOR, MATRIX))

# P_pi, that is P0 and P_k averaged over pi. Slot j holds the j-th successor of every state that has so many, states in
# the order of falling numbers of successors: that order (S,), where slots start (D + 1,), successors, P0, P_k
_slots = TUPLE((INTEGERS, INTEGERS, INTEGERS, VECTOR, _terms))

# alias tables of P_pi at each vertex of the simplex: where the entries of a state start (S + 1,), successors; the share
# of a column that its own successor has (V, entries), and by turns the own and the other successor (V, 2 entries)
_aliases = TUPLE((INTEGERS, INTEGERS, MATRIX, INTEGER_MATRIX))

#: Type of what all agents share: pi (S, A), h(pi(s)) (S,), P_pi as slots and as alias tables.
SHARED = TUPLE((MATRIX, VECTOR, _slots, _aliases))

#: Type of the memory for one step: P_pi of every entry, and the sum of P_pi over the slots after it (entries,); random
#: bits; agents not moved yet, and drawn (S,).
WORK = TUPLE((VECTOR, VECTOR, BITS, VECTOR, VECTOR))

# memory for a call of `learn`: counts before and after a step, mean field, features, a row of P, what a step works on
_room = TUPLE((*(VECTOR,) * 5, WORK, INTEGERS))

#: A row with at most this many agents per successor is moved agent by agent.
AGENTS_PER_SUCCESSOR = 2.0


with kernel_cache(Path(__file__)) as kernel:
    # --- one step

    @kernel(NONE(VECTOR, _terms, VECTOR, VECTOR), **BORROWED)
    def probabilities(base: Any, terms: Any, phi: Any, out: Any) -> None:
        """Write P(mu) = P0 + sum_k phi_k(mu) P_k at every entry, at least 0, into out."""
        dense, features, entries, values = terms
        size = len(base)
        for e in range(size):
            out[e] = base[e]
        n_dense = dense.shape[0]
        for k in range(0, n_dense - 3, 4):  # four at a time: out is read and written less often
            w, x, y, z = phi[k], phi[k + 1], phi[k + 2], phi[k + 3]
            for e in range(size):
                out[e] += w * dense[k, e] + x * dense[k + 1, e] + y * dense[k + 2, e] + z * dense[k + 3, e]
        for k in range(n_dense - n_dense % 4, n_dense):
            w = phi[k]
            for e in range(size):
                out[e] += w * dense[k, e]
        for i in range(len(values)):
            out[entries[i]] += phi[features[i]] * values[i]
        for e in range(size):
            out[e] = max(0.0, out[e])

    @kernel(NONE(STREAM, VECTOR, VECTOR, _slots, WORK, VECTOR), **BORROWED)
    def move_counts(stream: Any, counts: Any, phi: Any, slots: Any, work: Any, moved: Any) -> None:
        """Draw the counts after one step, moved = sum_s Multinomial(counts[s], P_pi(.|s, mu)).

        The successors of a state are its slots; slot j of all states that have so many is drawn at once, the number
        that moves there being binomial among those not yet moved. The last slot takes all that are left.
        """
        order, starts, successors, base, terms = slots
        kept, rest, bits, left, drawn = work
        uniforms = bits.view(np.float64)
        n_slots = len(starts) - 1
        probabilities(base, terms, phi, kept)
        few, many = 0, False
        for i in range(len(order)):
            moved[i] = 0.0
        for j in range(n_slots - 1, -1, -1):
            entry, after = starts[j], starts[j + 1]
            going_on = starts[j + 2] - after if j + 1 < n_slots else 0
            for i in range(going_on):
                rest[entry + i] = rest[after + i] + kept[after + i]
            for i in range(going_on, after - entry):  # this is their last slot
                rest[entry + i] = 0.0
                n = counts[order[i]]
                left[i] = n
                if n <= AGENTS_PER_SUCCESSOR * (j + 1):
                    few += int(n)
                else:
                    many = True
        if few > 0:
            fill(stream, bits, few)
            next_number, top = 0, 1
            for j in range(n_slots):
                ending = starts[j + 2] - starts[j + 1] if j + 1 < n_slots else 0
                while 2 * top <= j:
                    top *= 2
                for i in range(ending, starts[j + 1] - starts[j]):
                    if left[i] <= AGENTS_PER_SUCCESSOR * (j + 1):
                        total = kept[i] + rest[i]
                        for slot in range(j):
                            drawn[slot] = rest[starts[slot] + i]
                        for slot in range(j, 2 * top):
                            drawn[slot] = -1.0
                        for _ in range(int(left[i])):
                            # the slot is the number of slots after which more than u is left; no branch to mispredict
                            u = (uniforms[next_number] - 1.0) * total
                            next_number += 1
                            slot, step = 0, top
                            while step > 0:
                                slot += step * int(u < drawn[slot + step - 1])
                                step //= 2
                            moved[successors[starts[slot] + i]] += 1.0
                        left[i] = 0.0
        if not many:
            return
        fill(stream, bits, 2 * (len(kept) - len(order)))
        first = 0
        for j in range(n_slots):
            entry = starts[j]
            lanes = starts[j + 2] - starts[j + 1] if j + 1 < n_slots else 0
            binomials(stream, lanes, entry, left, kept, rest, uniforms, first, drawn)
            first += 2 * lanes
            for i in range(lanes):
                left[i] -= drawn[i]
                moved[successors[entry + i]] += drawn[i]
            for i in range(lanes, starts[j + 1] - entry):
                moved[successors[entry + i]] += left[i]

    @kernel(NONE(STREAM, VECTOR, INTEGER, _aliases, WORK, INTEGERS, VECTOR), **BORROWED)
    def move_agents(stream: Any, counts: Any, tagged: Any, aliases: Any, work: Any, states: Any, moved: Any) -> None:
        """Draw the counts after one step agent by agent, for transitions that are affine in the mean field.

        Then P_pi(.|s, mu) is the mixture of P_pi(.|s, e_z) over the state z of an agent drawn uniformly: alias tables
        at the vertices e_z are built once per policy. tagged is the state of the tagged agent, or -1 if there is none;
        states (N,) is for work.
        """
        starts, _, shares, others = aliases
        bits = work[2]
        uniforms = bits.view(np.float64)
        size, place = len(counts), 0
        for s in range(size):
            moved[s] = 0.0
            for _ in range(int(counts[s])):
                states[place] = s
                place += 1
        n_others = place
        if tagged >= 0:
            states[place] = tagged
            place += 1
        mixed = shares.shape[0] > 1
        block = len(bits) // 2 - LANES
        for begin in range(0, n_others, block):
            end = min(begin + block, n_others)
            fill(stream, bits, 2 * (end - begin))
            for i in range(begin, end):
                vertex = states[int((uniforms[2 * (i - begin)] - 1.0) * place)] if mixed else 0
                s = states[i]
                start, width = starts[s], starts[s + 1] - starts[s]
                u = (uniforms[2 * (i - begin) + 1] - 1.0) * width
                slot = int(u)
                entry = start + slot
                moved[others[vertex, 2 * entry + np.int64(u - slot >= shares[vertex, entry])]] += 1.0

    @kernel(NONE(INTEGERS, INTEGERS, MATRIX, MATRIX, INTEGER_MATRIX))
    def build_aliases(starts: Any, successors: Any, transition: Any, shares: Any, others: Any) -> None:
        """Write alias tables of transition (V, entries), row by row: a slot's share, its own and its other successor.

        M. D. Vose, A linear algorithm for generating random numbers with a given distribution, IEEE Trans. Software
        Eng. 17 (1991).
        """
        widest = 0
        for s in range(len(starts) - 1):
            widest = max(widest, starts[s + 1] - starts[s])
        small, large = np.empty(widest, dtype=np.int64), np.empty(widest, dtype=np.int64)
        for v in range(transition.shape[0]):
            for s in range(len(starts) - 1):
                n_small = n_large = 0
                total = 0.0
                for e in range(starts[s], starts[s + 1]):
                    total += max(0.0, transition[v, e])
                for e in range(starts[s], starts[s + 1]):
                    shares[v, e] = max(0.0, transition[v, e]) * (starts[s + 1] - starts[s]) / total
                    others[v, 2 * e] = others[v, 2 * e + 1] = successors[e]
                    if shares[v, e] < 1.0:
                        small[n_small] = e
                        n_small += 1
                    else:
                        large[n_large] = e
                        n_large += 1
                while n_small > 0 and n_large > 0:
                    n_small -= 1
                    e, giver = small[n_small], large[n_large - 1]
                    others[v, 2 * e + 1] = successors[giver]
                    shares[v, giver] -= 1.0 - shares[v, e]
                    if shares[v, giver] < 1.0:
                        n_large -= 1
                        small[n_small] = giver
                        n_small += 1
                while n_small > 0:  # 1 but for rounding, or of probability zero
                    n_small -= 1
                    e = small[n_small]
                    if transition[v, e] > 0.0:
                        shares[v, e] = 1.0
                    else:
                        # rounding left no giver: any successor of positive probability
                        for giver in range(starts[s], starts[s + 1]):
                            if transition[v, giver] > 0.0:
                                others[v, 2 * e + 1] = successors[giver]
                        shares[v, e] = 0.0
                while n_large > 0:
                    n_large -= 1
                    shares[v, large[n_large]] = 1.0

    @kernel(WORK(_slots))
    def work_space(slots: Any) -> Any:
        """Return the arrays that a step works on."""
        size, entries = len(slots[0]), len(slots[3])
        bits = np.empty(max(int(AGENTS_PER_SUCCESSOR * entries), 1024) + 2 * LANES, dtype=np.uint64)
        return np.empty(entries), np.empty(entries), bits, np.empty(size), np.empty(2 * size + 2)

    # --- trajectories

    @kernel(NONE(VECTOR, FEATURES, _expansion, VECTOR, VECTOR), **BORROWED)
    def feature_remainders(mean_field: Any, features: Any, expansion: Any, x: Any, out: Any) -> None:
        """Write phi_k(c + x) - phi_k(c) - <grad phi_k(c), x> into out, shape (K,), mean_field = c + x."""
        values, gradients = expansion
        feature_values(mean_field, features, out)
        for k in range(len(out)):
            out[k] -= values[k]
            for z in range(len(x)):
                out[k] -= gradients[k, z] * x[z]

    @kernel(NONE(VECTOR, INTEGER, _slots, VECTOR, VECTOR, MATRIX, VECTOR, MATRIX), **BORROWED)
    def add_next_moments(
        mean_field: Any,
        n_agents: Any,
        slots: Any,
        entries: Any,
        centre: Any,
        law: Any,
        change: Any,
        out: Any,
    ) -> None:
        """Add the mean of x x^T after a step, x = mu - centre, given the mean field before it, to out (S, S).

        With p_s = P_pi(.|s, mu), in `entries` by slots, and u = sum_s mu(s) p_s it is (u - c) (u - c)^T plus
        sum_s mu(s) (diag(p_s) - p_s p_s^T) / N, since the agents of a state move multinomially. law (S, S) and change
        (S,) are for work.
        """
        order, starts, successors = slots[:3]
        size = len(mean_field)
        law[:] = 0.0
        for j in range(len(starts) - 1):
            for i in range(starts[j + 1] - starts[j]):
                law[order[i], successors[starts[j] + i]] = entries[starts[j] + i]
        for y in range(size):
            moved = 0.0
            for s in range(size):
                moved += mean_field[s] * law[s, y]
            out[y, y] += moved / n_agents
            change[y] = moved - centre[y]
        for y in range(size):
            for z in range(size):
                out[y, z] += change[y] * change[z]
        for s in range(size):
            share = mean_field[s] / n_agents
            for y in range(size):
                for z in range(size):
                    out[y, z] -= share * law[s, y] * law[s, z]

    @kernel(
        NONE(
            STREAM,
            INTEGERS,
            GAME,
            SHARED,
            INTEGER,
            VECTOR,
            _expansion,
            _expansion,
            VECTOR,
            VECTOR,
            MATRIX,
            MATRIX,
            MATRIX,
            MATRIX,
        )
    )
    def average(
        stream: Any,
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
        next_moments: Any,
    ) -> None:
        """Add up, over a trajectory of all agents, what the learner's limit is made of (docs/theory, section 9).

        With x = mu - centre: deviation[0] += ||x||_1, mean_field_sum += mu, second_moments += x x^T,
        transition_sums[s, k] += mu(s) times the remainder of phi_k at x, and the same for the reward's features: all
        that is added up shrinks with x, so that its relative precision does not depend on N. Unless next_moments is
        empty, it gets the mean of x x^T after the step, given the counts. counts (S,) is moved on in place.
        """
        transition_features, reward_features = game[1], game[4]
        slots, aliases = shared[2], shared[3]
        by_agents = aliases[2].shape[0] > 0
        size = len(counts)
        n_agents = counts.sum()
        mean_field = np.empty(size)
        transition_phi = np.empty(len(transition_features[4]))
        reward_phi = np.empty(len(reward_features[4]))
        work = work_space(slots)
        states = np.empty(n_agents if by_agents else 0, dtype=np.int64)
        here, moved = counts.astype(np.float64), np.empty(size)
        x = np.empty(size)
        law = np.empty((size if len(next_moments) > 0 else 0, size))
        for _ in range(n_steps):
            for s in range(size):
                mean_field[s] = here[s] / n_agents
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
            if len(law) > 0 or not by_agents:
                feature_values(mean_field, transition_features, transition_phi)
            if len(law) > 0:
                probabilities(slots[3], slots[4], transition_phi, work[0])
                add_next_moments(mean_field, n_agents, slots, work[0], centre, law, x, next_moments)
            if by_agents:
                move_agents(stream, here, -1, aliases, work, states, moved)
            else:
                move_counts(stream, here, transition_phi, slots, work, moved)
            here, moved = moved, here
        for s in range(size):
            counts[s] = int(here[s])

    @kernel(INTEGER(STREAM, _pairs, INTEGER, VECTOR, VECTOR), **BORROWED)
    def next_of_pair(stream: Any, pairs: Any, pair: Any, phi: Any, row: Any) -> Any:
        """Draw the next state of a state-action pair at the features phi; row (S,) is for work."""
        starts, successors, base, (dense, features, entries, values), term_starts = pairs
        begin, end = starts[pair], starts[pair + 1]
        for e in range(end - begin):
            row[e] = base[begin + e]
        for k in range(dense.shape[0]):
            for e in range(end - begin):
                row[e] += phi[k] * dense[k, begin + e]
        for i in range(term_starts[pair], term_starts[pair + 1]):
            row[entries[i] - begin] += phi[features[i]] * values[i]
        return successors[begin + draw(stream, row[: end - begin])]

    @kernel(FLOAT(GAME, INTEGER, VECTOR), inline="always", **BORROWED)
    def reward_of_pair(game: Any, pair: Any, mean_field: Any) -> Any:
        """Return R(s, a, mu) of a state-action pair."""
        base, (starts, which, values), features = game[2], game[3], game[4]
        reward = base[pair]
        for i in range(starts[pair], starts[pair + 1]):
            reward += values[i] * feature_value(features, which[i], mean_field)
        return reward

    @kernel(_room(INTEGERS, GAME, SHARED))
    def room_of(others: Any, game: Any, shared: Any) -> Any:
        """Return memory for a call of `learn`."""
        size, n_features = len(others), len(game[1][4])
        by_agents = shared[3][2].shape[0] > 0
        states = np.empty(others.sum() + 1 if by_agents else 0, dtype=np.int64)
        arrays = np.empty(size), np.empty(size), np.empty(size), np.empty(n_features), np.empty(size)
        return arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], work_space(shared[2]), states

    @kernel(
        NONE(
            STREAM,
            INTEGERS,
            INTEGERS,
            GAME,
            SHARED,
            FLOAT,
            MATRIX,
            INTEGER,
            INTEGER,
            INTEGER,
            FLOAT,
            FLOAT,
            INTEGERS,
            CUBE,
            MATRIX,
            MATRIX,
            _room,
        ),
        **BORROWED,
    )
    def learn_steps(
        stream: Any,
        others: Any,
        tagged: Any,
        game: Any,
        shared: Any,
        discount: Any,
        q: Any,
        first_update: Any,
        n_updates: Any,
        n_waiting: Any,
        scale: Any,
        offset: Any,
        checkpoints: Any,
        snapshots: Any,
        behaviour: Any,
        visits: Any,
        room: Any,
    ) -> None:
        """As `learn`, with room to work in."""
        by_visits = visits.shape[0] > 0
        pairs, transition_features = game[0], game[1]
        policy, entropy, slots, aliases = shared
        by_agents = aliases[2].shape[0] > 0
        size, n_actions = policy.shape
        n_agents = others.sum() + 1
        here, moved, mean_field, phi, row, work, states = room
        for s in range(size):
            here[s] = float(others[s])
        state, action = tagged[0], tagged[1]
        written = 0
        while written < len(checkpoints) and checkpoints[written] <= first_update:
            written += 1
        for m in range(first_update, n_updates):
            for wait in range(n_waiting + 1):
                for s in range(size):
                    mean_field[s] = here[s] / n_agents
                mean_field[state] = (here[state] + 1.0) / n_agents
                feature_values(mean_field, transition_features, phi)
                pair = state * n_actions + action
                next_state = next_of_pair(stream, pairs, pair, phi, row)
                next_action = draw(stream, behaviour[next_state] if by_visits else policy[next_state])
                if by_agents:
                    move_agents(stream, here, state, aliases, work, states, moved)
                else:
                    move_counts(stream, here, phi, slots, work, moved)
                here, moved = moved, here
                if wait == n_waiting:
                    reward = reward_of_pair(game, pair, mean_field)
                    if by_visits:
                        value = entropy[next_state]
                        for a in range(n_actions):
                            value += policy[next_state, a] * q[next_state, a]
                        share = scale / (visits[state, action] + offset)
                        q[state, action] += share * (reward + discount * value - q[state, action])
                        visits[state, action] += 1.0
                    else:
                        target = reward + discount * (q[next_state, next_action] + entropy[next_state])
                        q[state, action] += scale / (m + offset) * (target - q[state, action])
                state, action = next_state, next_action
            while written < len(checkpoints) and checkpoints[written] == m + 1:
                for s in range(size):
                    for a in range(n_actions):
                        snapshots[written, s, a] = q[s, a]
                written += 1
        tagged[0], tagged[1] = state, action
        for s in range(size):
            others[s] = int(here[s])

    @kernel(
        NONE(
            STREAM,
            INTEGERS,
            INTEGERS,
            GAME,
            SHARED,
            FLOAT,
            MATRIX,
            INTEGER,
            INTEGER,
            INTEGER,
            FLOAT,
            FLOAT,
            INTEGERS,
            CUBE,
            MATRIX,
            MATRIX,
        )
    )
    def learn(
        stream: Any,
        others: Any,
        tagged: Any,
        game: Any,
        shared: Any,
        discount: Any,
        q: Any,
        first_update: Any,
        n_updates: Any,
        n_waiting: Any,
        scale: Any,
        offset: Any,
        checkpoints: Any,
        snapshots: Any,
        behaviour: Any,
        visits: Any,
    ) -> None:
        """Run conditional temporal-difference learning on the trajectory of the N-agent game (Algorithm 1).

        One update: n_waiting steps pass, then the next transition (s, a, r, s', a') of the tagged agent moves q(s, a)
        towards r + gamma (q(s', a') + h(pi(s'))) by the share scale / (m + offset), m = first_update, ..., n_updates -
        1; a' is played next. stream, others (S,), tagged (2,) = (state, action) and q (S, A) are moved on in place, and
        are all that the next call needs to go on from n_updates; q after checkpoints[i] updates is written to
        snapshots[i], shape (C, S, A).

        With a behaviour and visits, both (S, A), the tagged agent draws its actions from the behaviour, q(s', .) is
        averaged over the policy that all others play, and the share is scale / (visits(s, a) + offset), of visits
        before this one, which are counted on. With none, both (0, A), the behaviour is the policy.
        """
        learn_steps(
            stream,
            others,
            tagged,
            game,
            shared,
            discount,
            q,
            first_update,
            n_updates,
            n_waiting,
            scale,
            offset,
            checkpoints,
            snapshots,
            behaviour,
            visits,
            room_of(others, game, shared),
        )
