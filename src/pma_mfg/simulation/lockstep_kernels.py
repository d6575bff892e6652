"""Compiled kernels that move eight replicates of the N-agent game side by side, each bitwise as it would move alone.

The kernels of `exchangeable_kernels`, with a vector of eight replicates (`registers`) in place of a number: what has
the place i there has the places 8 i, ..., 8 i + 7 here. Every replicate has a stream of its own, takes the same numbers
from it in the same order, and rounds every operation alike. One thing is decided otherwise: whether a proposed binomial
number is accepted takes a logarithm there, and here a polynomial with a bound of its error; where that leaves the
answer open, the kernel of single numbers is called (docs/theory, section 9.1).
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
from pma_mfg.simulation.exchangeable_kernels import AGENTS_PER_SUCCESSOR, GAME, reward_of_pair
from pma_mfg.simulation.links import FEATURES, linked
from pma_mfg.simulation.lockstep_draws import (
    ALL,
    ALL_WORDS,
    WORK,
    binomials_together,
    fill_together,
    put_back,
    take_out,
    uniforms_together,
)
from pma_mfg.simulation.random_numbers import BITS, LANES, STREAM, fill
from pma_mfg.simulation.registers import (
    WIDTH,
    as_words,
    bits,
    choose,
    floor,
    load,
    lowest,
    pick,
    spread,
    store,
)

# P_pi: base and P_k by entry, and by replicate unless all hold one policy; of the P_k that are listed one by one the
# features, entries and values
_terms = TUPLE((VECTOR, INTEGERS, INTEGERS, VECTOR))
# as the slots of `exchangeable_kernels`
_slots = TUPLE((INTEGERS, INTEGERS, INTEGERS, VECTOR, _terms))
# alias tables of P_pi at each vertex of the simplex, whose rows have all S successors: shares of the columns, and their
# aliases, by vertex, entry and replicate (8 V S^2,); empty if agents move as counts
_aliases = TUPLE((VECTOR, VECTOR))

# numbers, states before and after of `move_agents_together`
_agents_work = TUPLE((BITS, VECTOR, VECTOR))
# memory for a call of `learn_together`: counts before and after a step, mean fields, that of one replicate, a row of P,
# features, two uniform numbers of each replicate, and what a step works on
_room = TUPLE((*(VECTOR,) * 8, WORK, _agents_work))


with kernel_cache(Path(__file__)) as kernel:

    @kernel(NONE(VECTOR, _terms, VECTOR, VECTOR), **BORROWED)
    def probabilities_together(base: Any, terms: Any, phi: Any, out: Any) -> None:
        """Write P(mu) at every entry into out, as `probabilities` does.

        base has one number per entry if all replicates hold one policy, else one per entry and replicate; the P_k are
        by entry, then by k.
        """
        dense, features, entries, values = terms
        entries_all = len(out) // WIDTH
        n_dense = len(dense) // len(base)
        whole = n_dense - n_dense % 4
        if len(base) == entries_all:
            for e in range(entries_all):
                p = spread(base[e])
                at = e * n_dense
                for k in range(0, whole, 4):
                    p = p + (
                        load(phi, WIDTH * k) * dense[at + k]
                        + load(phi, WIDTH * (k + 1)) * dense[at + k + 1]
                        + load(phi, WIDTH * (k + 2)) * dense[at + k + 2]
                        + load(phi, WIDTH * (k + 3)) * dense[at + k + 3]
                    )
                for k in range(whole, n_dense):
                    p = p + load(phi, WIDTH * k) * dense[at + k]
                store(out, WIDTH * e, p)
            for i in range(len(values)):
                place = WIDTH * entries[i]
                store(out, place, load(out, place) + load(phi, WIDTH * features[i]) * values[i])
        else:
            for e in range(entries_all):
                p = load(base, WIDTH * e)
                at = WIDTH * e * n_dense
                for k in range(0, whole, 4):
                    here = at + WIDTH * k
                    p = p + (
                        load(phi, WIDTH * k) * load(dense, here)
                        + load(phi, WIDTH * (k + 1)) * load(dense, here + WIDTH)
                        + load(phi, WIDTH * (k + 2)) * load(dense, here + 2 * WIDTH)
                        + load(phi, WIDTH * (k + 3)) * load(dense, here + 3 * WIDTH)
                    )
                for k in range(whole, n_dense):
                    p = p + load(phi, WIDTH * k) * load(dense, at + WIDTH * k)
                store(out, WIDTH * e, p)
            for i in range(len(features)):
                place = WIDTH * entries[i]
                store(out, place, load(out, place) + load(phi, WIDTH * features[i]) * load(values, WIDTH * i))
        zero = spread(0.0)
        for e in range(entries_all):
            p = load(out, WIDTH * e)
            store(out, WIDTH * e, choose(p > zero, p, zero))

    @kernel(INTEGER(STREAM, INTEGER, _slots, WORK, VECTOR), **BORROWED)
    def move_few(streams: Any, r: Any, slots: Any, work: Any, moved: Any) -> Any:
        """Move the rows with few agents of a replicate agent by agent; return whether rows with many are left."""
        _, starts, successors, _, _ = slots
        kept, rest, _, left, _, _, _, drawn, alone, numbers = work
        uniforms = numbers.view(np.float64)
        n_slots = len(starts) - 1
        few, many = 0, 0
        for j in range(n_slots):
            ending = starts[j + 2] - starts[j + 1] if j + 1 < n_slots else 0
            for i in range(ending, starts[j + 1] - starts[j]):
                n = left[WIDTH * i + r]
                if n <= AGENTS_PER_SUCCESSOR * (j + 1):
                    few += int(n)
                else:
                    many = 1
        if few > 0:
            take_out(streams, r, alone, ALL_WORDS)
            fill(alone, numbers, few)
            put_back(streams, r, alone, ALL_WORDS)
            next_number, top = 0, 1
            for j in range(n_slots):
                ending = starts[j + 2] - starts[j + 1] if j + 1 < n_slots else 0
                while 2 * top <= j:
                    top *= 2
                for i in range(ending, starts[j + 1] - starts[j]):
                    if left[WIDTH * i + r] <= AGENTS_PER_SUCCESSOR * (j + 1):
                        total = kept[WIDTH * i + r] + rest[WIDTH * i + r]
                        for slot in range(j):
                            drawn[slot] = rest[WIDTH * (starts[slot] + i) + r]
                        for slot in range(j, 2 * top):
                            drawn[slot] = -1.0
                        for _ in range(int(left[WIDTH * i + r])):
                            u = (uniforms[next_number] - 1.0) * total
                            next_number += 1
                            slot, step = 0, top
                            while step > 0:
                                slot += step * int(u < drawn[slot + step - 1])
                                step //= 2
                            moved[WIDTH * successors[starts[slot] + i] + r] += 1.0
                        left[WIDTH * i + r] = 0.0
        return many

    @kernel(NONE(STREAM, VECTOR, VECTOR, _slots, WORK, VECTOR), **BORROWED)
    def move_counts_together(streams: Any, counts: Any, phi: Any, slots: Any, work: Any, moved: Any) -> None:
        """Draw the counts of every replicate after one step, as `move_counts` does."""
        order, starts, successors, base, terms = slots
        kept, rest, numbers, left, drawn = work[:5]
        n_slots = len(starts) - 1
        probabilities_together(base, terms, phi, kept)
        zero = spread(0.0)
        some_few = 0
        for s in range(len(order)):
            store(moved, WIDTH * s, zero)
        for j in range(n_slots - 1, -1, -1):
            entry, after = starts[j], starts[j + 1]
            going_on = starts[j + 2] - after if j + 1 < n_slots else 0
            for i in range(going_on):
                place = WIDTH * (after + i)
                store(rest, WIDTH * (entry + i), load(rest, place) + load(kept, place))
            for i in range(going_on, after - entry):
                store(rest, WIDTH * (entry + i), zero)
                n = load(counts, WIDTH * order[i])
                store(left, WIDTH * i, n)
                some_few |= bits((n <= AGENTS_PER_SUCCESSOR * (j + 1)) & (n > 0.0))
        moving = ALL
        while some_few != 0:
            r = lowest(some_few)
            some_few &= some_few - 1
            if move_few(streams, r, slots, work, moved) == 0:
                moving &= ~(1 << r)
        if moving == 0:
            return
        count = 2 * (len(kept) // WIDTH - len(order))
        resting = ALL & ~moving
        # streams of replicates with nothing left to draw stay where they are: moved on with the others, and put back
        saved = numbers[len(numbers) - 4 * LANES * WIDTH :]
        if resting != 0:
            for i in range(len(saved)):
                saved[i] = streams[i]
        fill_together(streams, numbers, count)
        while resting != 0:
            r = lowest(resting)
            resting &= resting - 1
            for i in range(4 * LANES):
                streams[WIDTH * i + r] = saved[WIDTH * i + r]
        first = 0
        for j in range(n_slots):
            entry = starts[j]
            rows = starts[j + 2] - starts[j + 1] if j + 1 < n_slots else 0
            binomials_together(streams, rows, entry, first, work)
            first += 2 * rows
            for i in range(rows):
                gone = load(drawn, WIDTH * i)
                store(left, WIDTH * i, load(left, WIDTH * i) - gone)
                to = WIDTH * successors[entry + i]
                store(moved, to, load(moved, to) + gone)
            for i in range(rows, starts[j + 1] - entry):
                to = WIDTH * successors[entry + i]
                store(moved, to, load(moved, to) + load(left, WIDTH * i))

    @kernel(NONE(STREAM, VECTOR, INTEGER_MATRIX, INTEGER, _aliases, _agents_work, VECTOR), **BORROWED)
    def move_agents_together(
        streams: Any, counts: Any, tagged: Any, n_others: Any, aliases: Any, work: Any, moved: Any
    ) -> None:
        """Draw the counts of every replicate after one step agent by agent, as `move_agents` does.

        In all replicates as many agents move, and take as many numbers. The first row of tagged has the states of the
        tagged agents; work has room for 2 N random numbers and for the states of all agents before and after, 8 N.
        """
        shares, others = aliases
        numbers, states, reached = work
        uniforms = numbers.view(np.float64)
        size = len(counts) // WIDTH
        n_entries = size * size
        mixed = len(shares) > WIDTH * n_entries
        zero, one, all_states = spread(0.0), spread(1.0), float(size)
        for i in range(n_others):
            state, until = zero, zero
            for s in range(size - 1):
                until = until + load(counts, WIDTH * s)
                state = state + choose(until <= float(i), one, zero)
            store(states, WIDTH * i, state)
        for r in range(WIDTH):
            states[WIDTH * n_others + r] = float(tagged[0, r])
            moved[r] = float(r)
        lane, here, n_agents = load(moved, 0), zero, float(n_others + 1)
        fill_together(streams, numbers, 2 * n_others)
        for i in range(n_others):
            entry = load(states, WIDTH * i) * all_states
            if mixed:
                here = floor((load(uniforms, WIDTH * 2 * i) - 1.0) * n_agents)
                vertex = pick(states, as_words(here * float(WIDTH) + lane))
                entry = vertex * float(n_entries) + entry
            u = (load(uniforms, WIDTH * (2 * i + 1)) - 1.0) * all_states
            column = floor(u)
            place = as_words((entry + column) * float(WIDTH) + lane)
            store(reached, WIDTH * i, choose(u - column >= pick(shares, place), pick(others, place), column))
        for s in range(size):
            arrived = zero
            for i in range(n_others):
                arrived = arrived + choose(load(reached, WIDTH * i) == float(s), one, zero)
            store(moved, WIDTH * s, arrived)

    @kernel(WORK(_slots))
    def work_together(slots: Any) -> Any:
        """Return the arrays that a step of all replicates works on."""
        size, entries = len(slots[0]), len(slots[2])
        count = 2 * entries + 2 * LANES + 4 * LANES
        return (
            np.empty(WIDTH * entries),
            np.empty(WIDTH * entries),
            np.empty(WIDTH * count, dtype=np.uint64),
            np.empty(WIDTH * size),
            np.empty(WIDTH * size),
            np.empty(WIDTH * (size + 1), dtype=np.int64),
            np.empty(3 * WIDTH, dtype=np.int64),
            np.empty(2 * size + 2 + 4 * WIDTH),
            np.empty(4 * LANES, dtype=np.uint64),
            np.empty(max(int(AGENTS_PER_SUCCESSOR * entries), 1024) + 2 * LANES, dtype=np.uint64),
        )

    @kernel(NONE(VECTOR, FEATURES, VECTOR), **BORROWED)
    def feature_values_together(mean_fields: Any, features: Any, out: Any) -> None:
        """Write phi_k(mu) of every replicate into out, as `feature_values` does."""
        starts, states, weights, offsets, links, parameters = features
        for k in range(len(offsets)):
            x = spread(offsets[k])
            for i in range(starts[k], starts[k + 1]):
                x = x + load(mean_fields, WIDTH * states[i]) * weights[i]
            store(out, WIDTH * k, x)
            if links[k] != 0:
                for r in range(WIDTH):
                    out[WIDTH * k + r] = linked(links[k], parameters[k], out[WIDTH * k + r])

    @kernel(INTEGER(FLOAT, VECTOR, INTEGER, INTEGER), inline="always", **BORROWED)
    def quantile_of_part(u: Any, weights: Any, begin: Any, width: Any) -> Any:
        """Return what `quantile` does of weights[begin : begin + width], without a view of them, which takes long."""
        last, found = 0, -1
        for i in range(width):
            w = weights[begin + i]
            if w > 0.0:
                last = i
                if u < w:
                    found = i
                    break
                u -= w
        return found if found >= 0 else last

    @kernel(INTEGER(GAME, INTEGER, VECTOR, INTEGER, FLOAT, VECTOR), inline="always", **BORROWED)
    def next_of_pair_together(game: Any, pair: Any, phi: Any, r: Any, u: Any, row: Any) -> Any:
        """Return the next state of a pair in replicate r, the quantile of a uniform u; row (S,) is for work."""
        starts, successors, base, (dense, features, entries, values), term_starts = game[0]
        begin, end = starts[pair], starts[pair + 1]
        for e in range(end - begin):
            row[e] = base[begin + e]
        for k in range(dense.shape[0]):
            weight = phi[WIDTH * k + r]
            for e in range(end - begin):
                row[e] += weight * dense[k, begin + e]
        for i in range(term_starts[pair], term_starts[pair + 1]):
            row[entries[i] - begin] += phi[WIDTH * features[i] + r] * values[i]
        return successors[begin + quantile_of_part(u, row, 0, end - begin)]

    @kernel(_room(VECTOR, GAME, TUPLE((CUBE, MATRIX, _slots, _aliases)), FLOAT))
    def room_together(others: Any, game: Any, shared: Any, n_agents: Any) -> Any:
        """Return memory for a call of `learn_together`."""
        size, n_features, slots = shared[0].shape[1], len(game[1][4]), shared[2]
        n_moved = int(n_agents) if len(shared[3][0]) > 0 else 0
        numbers = np.empty(WIDTH * (2 * n_moved + LANES), dtype=np.uint64)
        return (
            np.empty(len(others)),
            np.empty(len(others)),
            np.empty(len(others)),
            np.empty(size),
            np.empty(size),
            np.empty(WIDTH * n_features),
            np.empty(WIDTH),
            np.empty(WIDTH),
            work_together(slots),
            (numbers, np.empty(WIDTH * n_moved), np.empty(WIDTH * n_moved)),
        )

    @kernel(
        NONE(
            STREAM,
            VECTOR,
            INTEGER_MATRIX,
            GAME,
            TUPLE((CUBE, MATRIX, _slots, _aliases)),
            FLOAT,
            FLOAT,
            CUBE,
            INTEGER,
            INTEGER,
            INTEGER,
            FLOAT,
            FLOAT,
            INTEGERS,
            FLOAT[:, :, :, ::1],
            CUBE,
            CUBE,
            _room,
        ),
        **BORROWED,
    )
    def learn_together_steps(
        streams: Any,
        others: Any,
        tagged: Any,
        game: Any,
        shared: Any,
        n_agents: Any,
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
        """As `learn_together`, with room to work in."""
        by_visits = visits.shape[0] > 0
        transition_features = game[1]
        policy, entropy, slots, aliases = shared
        size, n_actions = policy.shape[1:]
        probabilities = (behaviour if by_visits else policy).reshape(-1)
        here, moved, mean_fields, mean_field, row, phi, first, second, work, agents_work = room
        n_others = int(n_agents) - 1 if len(aliases[0]) > 0 else 0
        for i in range(len(others)):
            here[i] = others[i]
        written = 0
        while written < len(checkpoints) and checkpoints[written] <= first_update:
            written += 1
        for m in range(first_update, n_updates):
            for wait in range(n_waiting + 1):
                for s in range(size):
                    store(mean_fields, WIDTH * s, load(here, WIDTH * s) / n_agents)
                for r in range(WIDTH):
                    place = WIDTH * tagged[0, r] + r
                    mean_fields[place] = (here[place] + 1.0) / n_agents
                feature_values_together(mean_fields, transition_features, phi)
                store(first, 0, uniforms_together(streams, ALL))
                store(second, 0, uniforms_together(streams, ALL))
                if n_others > 0:
                    move_agents_together(streams, here, tagged, n_others, aliases, agents_work, moved)
                else:
                    move_counts_together(streams, here, phi, slots, work, moved)
                here, moved = moved, here
                for r in range(WIDTH):
                    state, action = tagged[0, r], tagged[1, r]
                    pair = state * n_actions + action
                    next_state = next_of_pair_together(game, pair, phi, r, first[r], row)
                    held = (r * size + next_state) * n_actions
                    next_action = quantile_of_part(second[r], probabilities, held, n_actions)
                    if wait == n_waiting:
                        for s in range(size):
                            mean_field[s] = mean_fields[WIDTH * s + r]
                        reward = reward_of_pair(game, pair, mean_field)
                        if by_visits:
                            value = entropy[r, next_state]
                            for a in range(n_actions):
                                value += policy[r, next_state, a] * q[r, next_state, a]
                            share = scale / (visits[r, state, action] + offset)
                            q[r, state, action] += share * (reward + discount * value - q[r, state, action])
                            visits[r, state, action] += 1.0
                        else:
                            target = reward + discount * (q[r, next_state, next_action] + entropy[r, next_state])
                            q[r, state, action] += scale / (m + offset) * (target - q[r, state, action])
                    tagged[0, r], tagged[1, r] = next_state, next_action
            while written < len(checkpoints) and checkpoints[written] == m + 1:
                for r in range(WIDTH):
                    for s in range(size):
                        for a in range(n_actions):
                            snapshots[r, written, s, a] = q[r, s, a]
                written += 1
        for i in range(len(others)):
            others[i] = here[i]

    @kernel(
        NONE(
            STREAM,
            VECTOR,
            INTEGER_MATRIX,
            GAME,
            TUPLE((CUBE, MATRIX, _slots, _aliases)),
            FLOAT,
            FLOAT,
            CUBE,
            INTEGER,
            INTEGER,
            INTEGER,
            FLOAT,
            FLOAT,
            INTEGERS,
            FLOAT[:, :, :, ::1],
            CUBE,
            CUBE,
        )
    )
    def learn_together(
        streams: Any,
        others: Any,
        tagged: Any,
        game: Any,
        shared: Any,
        n_agents: Any,
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
        """Run conditional temporal-difference learning in every replicate, each as `learn` does.

        streams (8 * 32,), others (8 * S,), tagged (2, 8) and q (8, S, A) are moved on in place, snapshots (8, C, S, A)
        written. shared: pi (8, S, A), h(pi(s)) (8, S), P_pi and its alias tables. Behaviour and visits are (8, S, A),
        or (0, S, A) for none.
        """
        learn_together_steps(
            streams,
            others,
            tagged,
            game,
            shared,
            n_agents,
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
            room_together(others, game, shared, n_agents),
        )
