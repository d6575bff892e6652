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
from pma_mfg.simulation.binomials import binomial_by_inversion, binomial_by_rejection
from pma_mfg.simulation.exchangeable_kernels import AGENTS_PER_SUCCESSOR, GAME, reward_of_pair
from pma_mfg.simulation.links import FEATURES, linked
from pma_mfg.simulation.random_numbers import BITS, LANES, STREAM, fill
from pma_mfg.simulation.registers import (
    FLOATS,
    MASK,
    WIDTH,
    WORDS,
    as_doubles,
    bits,
    choose,
    floor,
    gather,
    load,
    lowest,
    magnitude,
    mask_of,
    root,
    rotated,
    shifted,
    spread,
    store,
)

#: All replicates, as the bits of an integer.
ALL = 2**WIDTH - 1

# words of a stream, and of those the ones from which numbers are drawn one at a time
_ALL_WORDS, _FIRST_GENERATOR = 1, LANES
# P_pi: base and P_k by entry, and by replicate unless all hold one policy; of the P_k that are listed one by one the
# features, entries and values
_terms = TUPLE((VECTOR, INTEGERS, INTEGERS, VECTOR))
# as the slots of `exchangeable_kernels`
_slots = TUPLE((INTEGERS, INTEGERS, INTEGERS, VECTOR, _terms))
# memory for one step: as there P_pi, its sums, random numbers, agents left and drawn; then rows whose first proposal
# failed, one list per replicate; row in work, its place in the list, and the list's length, (3 * 8,); numbers and
# stream of a single replicate, and random bits of it
_work = TUPLE((VECTOR, VECTOR, BITS, VECTOR, VECTOR, INTEGERS, INTEGERS, VECTOR, STREAM, BITS))

_17, _23, _45 = (np.uint64(n) for n in (17, 23, 45))


with kernel_cache(Path(__file__)) as kernel:

    @kernel(TUPLE((WORDS,) * 5)(WORDS, WORDS, WORDS, WORDS))
    def advance_together(a: Any, b: Any, c: Any, d: Any) -> Any:
        """Return what `random_numbers.advance` does, of eight generators."""
        drawn = rotated(a + d, _23) + a
        moved = shifted(b, _17)
        c = c ^ a
        d = d ^ b
        return drawn, a ^ d, b ^ c, c ^ moved, rotated(d, _45)

    @kernel(NONE(STREAM, BITS, INTEGER))
    def fill_together(streams: Any, numbers: Any, count: Any) -> None:
        """Fill numbers with at least `count` random doubles in [1, 2) of every replicate, as `fill` does."""
        rounds = (count + LANES - 1) // LANES
        doubles = numbers.view(np.float64)
        for lane in range(LANES):
            a = load(streams, WIDTH * lane)
            b = load(streams, WIDTH * (LANES + lane))
            c = load(streams, WIDTH * (2 * LANES + lane))
            d = load(streams, WIDTH * (3 * LANES + lane))
            for i in range(rounds):
                drawn, a, b, c, d = advance_together(a, b, c, d)
                store(doubles, WIDTH * (rounds * lane + i), as_doubles(drawn))
            store(streams, WIDTH * lane, a)
            store(streams, WIDTH * (LANES + lane), b)
            store(streams, WIDTH * (2 * LANES + lane), c)
            store(streams, WIDTH * (3 * LANES + lane), d)

    @kernel(FLOATS(STREAM, INTEGER))
    def uniforms_together(streams: Any, active: Any) -> Any:
        """Draw a double in [0, 1) for every replicate, as `uniform` does; only streams of the active move on."""
        one, two, three = WIDTH * LANES, 2 * WIDTH * LANES, 3 * WIDTH * LANES
        a, b, c, d = load(streams, 0), load(streams, one), load(streams, two), load(streams, three)
        drawn, e, f, g, h = advance_together(a, b, c, d)
        mask = mask_of(active)
        store(streams, 0, choose(mask, e, a))
        store(streams, one, choose(mask, f, b))
        store(streams, two, choose(mask, g, c))
        store(streams, three, choose(mask, h, d))
        return as_doubles(drawn) - 1.0

    @kernel(NONE(STREAM, INTEGER, STREAM, INTEGER))
    def take_out(streams: Any, r: Any, alone: Any, step: Any) -> None:
        """Copy the stream of a replicate, every step-th word of it."""
        for i in range(0, 4 * LANES, step):
            alone[i] = streams[WIDTH * i + r]

    @kernel(NONE(STREAM, INTEGER, STREAM, INTEGER))
    def put_back(streams: Any, r: Any, alone: Any, step: Any) -> None:
        """Copy it back."""
        for i in range(0, 4 * LANES, step):
            streams[WIDTH * i + r] = alone[i]

    @kernel(NONE(VECTOR, _terms, VECTOR, VECTOR))
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

    @kernel(FLOATS(FLOATS, FLOATS))
    def least(a: Any, b: Any) -> Any:
        """Return the smaller number of each replicate."""
        return choose(b < a, b, a)

    @kernel(FLOATS(FLOATS))
    def exponential(x: Any) -> Any:
        """Return exp(max(x, -16)) for x <= 1, with a relative error below 1e-9."""
        y = choose(x > -16.0, x, spread(-16.0)) * (1.0 / 64.0)
        # the sum of y^i / i! up to i = 8 in parts that do not wait for each other, as what comes next waits for it
        square = y * y
        fourth = square * square
        low = (1.0 + y) + square * (0.5 + y * (1 / 6))
        high = (1 / 24 + y * (1 / 120)) + square * (1 / 720 + y * (1 / 5040)) + fourth * (1 / 40320)
        e = low + fourth * high
        for _ in range(6):
            e = e * e
        return e

    @kernel(TUPLE((FLOATS, MASK, MASK))(FLOATS, FLOATS, FLOATS, FLOATS))
    def proposal(n: Any, p: Any, u: Any, v: Any) -> Any:
        """Return a proposal of `binomial_by_rejection`, whether it is certainly accepted, and certainly rejected.

        Of every replicate, for n p >= 10 and p <= 1/2, u in [-1/2, 1/2), v in [0, 1). The proposal is bitwise that one.
        So is what is accepted or rejected; neither is certain where the test there would take the exact ratio of
        probabilities, or nearly so (docs/theory, section 9.1).
        """
        q = 1.0 - p
        mean = n * p
        deviation = root(mean * q)
        b = 1.15 + 2.53 * deviation
        a = -0.0873 + 0.0248 * b + 0.01 * p
        inside = 0.5 - magnitude(u)
        k = floor((2.0 * a / inside + b) * u + (mean + 0.5))
        part = 4.2 / b
        at_once = (inside >= 0.07) & (v <= 0.92 - part)
        scale = (2.83 + (5.1 / 4.2) * part) * deviation  # not bitwise that one, far within the 1e-7 to spare
        mode = floor((n + 1.0) * p)
        fraction = (n + 1.0) * p - mode
        variance = (n + 1.0) * p * q
        inverse = 1.0 / variance
        square = inside * inside
        height = v * scale * square
        bound = a + b * square
        steps = k - mode
        away = magnitude(steps)
        cap = floor(least(0.25 * variance, 6.0 * deviation))
        distance = least(away, cap)
        up = steps > 0.0
        middle = 0.5 * (distance + 1.0) - choose(up, fraction, 1.0 - fraction)
        spreading = (distance * distance - 1.0) * (1.0 / 12.0)
        skew = choose(up, 1.0 - 2.0 * p, 2.0 * p - 1.0)
        bend = middle * middle
        cubic = (1.0 / 3.0 - p * q) * inverse * middle * (bend + 3.0 * spreading)
        series = distance * inverse * (inverse * (0.5 * skew * (bend + spreading) - cubic) - middle)
        reach = (distance + 0.5) * inverse
        square = reach * reach
        rest = 2 / 15 * (distance + 0.5) * square * square
        # the probabilities are logarithmically concave: past the cap their logarithm falls at least as fast as there
        beyond = (away - distance) * (distance - 1.0) * inverse
        likely = exponential(series - 0.8 * beyond) * bound
        inner = (k >= 0.0) & (k <= n)
        accepted = inner & (away <= cap) & (series > -16.0) & (height <= likely * (1.0 - 1e-7 - rest))
        rejected = (k < 0.0) | (k > n) | (height >= likely * (1.0 + 1e-7 + 2.0 * rest))
        return k, at_once | accepted, rejected

    @kernel(TUPLE((INTEGER, INTEGER))(INTEGER, INTEGER, INTEGER, _work), inline="always")
    def propose_together(rows: Any, entry: Any, first: Any, work: Any) -> Any:
        """Write the first proposals where they are accepted, and list all other rows, for every replicate.

        Return the replicates that have some, and those of them for which kernels of single numbers must be called.
        """
        kept, rest, numbers, left, drawn, failed, front, _, _, _ = work
        uniforms = numbers.view(np.float64)
        waiting = hard = 0
        for r in range(WIDTH):
            front[2 * WIDTH + r] = 0
        for i in range(rows):
            p, q = load(kept, WIDTH * (entry + i)), load(rest, WIDTH * (entry + i))
            n = load(left, WIDTH * i)
            share = least(p, q) / (p + q)
            u = load(uniforms, WIDTH * (first + i)) - 1.5
            v = load(uniforms, WIDTH * (first + rows + i)) - 1.0
            k, accepted, rejected = proposal(n, share, u, v)
            large, empty = n * share >= 10.0, n <= 0.0
            k = choose(empty, n, k)
            store(drawn, WIDTH * i, choose(p > q, n - k, k))
            bad = ALL & ~bits((large & accepted) | empty)
            if bad != 0:
                hard |= bad & ~bits(large & rejected)
                waiting |= bad
                while bad != 0:
                    r = lowest(bad)
                    bad &= bad - 1
                    failed[WIDTH * front[2 * WIDTH + r] + r] = WIDTH * i + r
                    front[2 * WIDTH + r] += 1
        return waiting, hard

    @kernel(NONE(STREAM, INTEGER, INTEGER, INTEGER, INTEGER, _work))
    def binomials_alone(streams: Any, r: Any, rows: Any, entry: Any, first: Any, work: Any) -> None:
        """Draw the listed rows of one replicate, as `binomials` does."""
        kept, rest, numbers, left, drawn, failed, front, _, alone, _ = work
        uniforms = numbers.view(np.float64)
        take_out(streams, r, alone, _FIRST_GENERATOR)
        for at in range(front[2 * WIDTH + r]):
            row = failed[WIDTH * at + r]
            p, q, n = kept[WIDTH * entry + row], rest[WIDTH * entry + row], left[row]
            share = min(p, q) / (p + q)
            u = uniforms[WIDTH * first + row] - 1.0
            if n * share < 10.0:
                k = binomial_by_inversion(alone, n, share, u)
            else:
                k = binomial_by_rejection(alone, n, share, u, uniforms[WIDTH * (first + rows) + row] - 1.0)
            drawn[row] = n - k if p > q else k
        put_back(streams, r, alone, _FIRST_GENERATOR)

    @kernel(NONE(STREAM, INTEGER, INTEGER, _work), inline="always")
    def reject_together(streams: Any, active: Any, entry: Any, work: Any) -> None:
        """Draw the listed rows of the active replicates, one proposal of each at a time until all are accepted."""
        kept, rest, _, left, drawn, failed, front, numbers, alone, _ = work
        for r in range(WIDTH):
            front[WIDTH + r] = 0
            front[r] = failed[r] if (active >> r) & 1 else r  # the others' results are not used
        while active != 0:
            p, q, n = gather(kept, WIDTH * entry, front), gather(rest, WIDTH * entry, front), gather(left, 0, front)
            share = least(p, q) / (p + q)
            u = uniforms_together(streams, active)
            v = uniforms_together(streams, active)
            k, accepted, rejected = proposal(n, share, u - 0.5, v)
            store(numbers, 0, choose(p > q, n - k, k))
            good = bits(accepted) & active
            unclear = active & ~good & ~bits(rejected)
            if unclear != 0:
                store(numbers, WIDTH, u)
                store(numbers, 2 * WIDTH, v)
                store(numbers, 3 * WIDTH, share)
                good |= unclear
            while unclear != 0:
                r = lowest(unclear)
                unclear &= unclear - 1
                place, trials = WIDTH * entry + front[r], left[front[r]]
                take_out(streams, r, alone, _FIRST_GENERATOR)
                single = binomial_by_rejection(
                    alone, trials, numbers[3 * WIDTH + r], numbers[WIDTH + r], numbers[2 * WIDTH + r]
                )
                put_back(streams, r, alone, _FIRST_GENERATOR)
                numbers[r] = trials - single if kept[place] > rest[place] else single
            while good != 0:
                r = lowest(good)
                good &= good - 1
                drawn[front[r]] = numbers[r]
                front[WIDTH + r] += 1
                if front[WIDTH + r] < front[2 * WIDTH + r]:
                    front[r] = failed[WIDTH * front[WIDTH + r] + r]
                else:
                    active ^= 1 << r

    @kernel(NONE(STREAM, INTEGER, INTEGER, INTEGER, _work))
    def binomials_together(streams: Any, rows: Any, entry: Any, first: Any, work: Any) -> None:
        """Draw what `binomials` draws, for every replicate."""
        waiting, hard = propose_together(rows, entry, first, work)
        active = waiting & ~hard
        while hard != 0:
            r = lowest(hard)
            hard &= hard - 1
            binomials_alone(streams, r, rows, entry, first, work)
        if active != 0:
            reject_together(streams, active, entry, work)

    @kernel(INTEGER(STREAM, INTEGER, _slots, _work, VECTOR))
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
            take_out(streams, r, alone, _ALL_WORDS)
            fill(alone, numbers, few)
            put_back(streams, r, alone, _ALL_WORDS)
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

    @kernel(NONE(STREAM, VECTOR, VECTOR, _slots, _work, VECTOR))
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
            saved[:] = streams
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

    @kernel(_work(_slots))
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

    @kernel(NONE(VECTOR, FEATURES, VECTOR))
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

    @kernel(INTEGER(FLOAT, VECTOR, INTEGER, INTEGER), inline="always")
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

    @kernel(INTEGER(GAME, INTEGER, VECTOR, INTEGER, FLOAT, VECTOR), inline="always")
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

    @kernel(
        NONE(
            STREAM,
            VECTOR,
            INTEGER_MATRIX,
            GAME,
            TUPLE((CUBE, MATRIX, _slots)),
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
        written. shared: pi (8, S, A), h(pi(s)) (8, S), P_pi. Behaviour and visits are (8, S, A), or (0, S, A) for none.
        """
        by_visits = visits.shape[0] > 0
        transition_features = game[1]
        policy, entropy, slots = shared
        size, n_actions = policy.shape[1:]
        probabilities = (behaviour if by_visits else policy).reshape(-1)
        mean_fields, mean_field, row = np.empty(WIDTH * size), np.empty(size), np.empty(size)
        phi = np.empty(WIDTH * len(transition_features[4]))
        first, second = np.empty(WIDTH), np.empty(WIDTH)
        work = work_together(slots)
        here, moved = others.copy(), np.empty(WIDTH * size)
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
                snapshots[:, written] = q
                written += 1
        others[:] = here
