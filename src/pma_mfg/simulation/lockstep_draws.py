"""Compiled random and binomial numbers for eight replicates side by side, each bitwise what it would draw alone.

For the kernels of `lockstep_kernels`. Every replicate has a stream of its own, and takes the same numbers from it in
the same order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pma_mfg.compilation import BORROWED, INTEGER, INTEGERS, NONE, TUPLE, VECTOR, kernel_cache
from pma_mfg.simulation.binomials import binomial_by_inversion, binomial_by_rejection
from pma_mfg.simulation.random_numbers import BITS, LANES, STREAM
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

#: Words of a stream, and of those the ones from which numbers are drawn one at a time.
ALL_WORDS, FIRST_GENERATOR = 1, LANES

#: Type of the memory for one step: P_pi, its sums, random numbers, agents left and drawn; then rows whose first
#: proposal failed, one list per replicate; row in work, its place in the list, and the list's length, (3 * 8,); numbers
#: and stream of a single replicate, and random bits of it
WORK = TUPLE((VECTOR, VECTOR, BITS, VECTOR, VECTOR, INTEGERS, INTEGERS, VECTOR, STREAM, BITS))

_17, _23, _45 = (np.uint64(n) for n in (17, 23, 45))


with kernel_cache(Path(__file__)) as kernel:

    @kernel(TUPLE((WORDS,) * 5)(WORDS, WORDS, WORDS, WORDS), **BORROWED)
    def advance_together(a: Any, b: Any, c: Any, d: Any) -> Any:
        """Return what `random_numbers.advance` does, of eight generators."""
        drawn = rotated(a + d, _23) + a
        moved = shifted(b, _17)
        c = c ^ a
        d = d ^ b
        return drawn, a ^ d, b ^ c, c ^ moved, rotated(d, _45)

    @kernel(NONE(STREAM, BITS, INTEGER), **BORROWED)
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

    @kernel(FLOATS(STREAM, INTEGER), **BORROWED)
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

    @kernel(NONE(STREAM, INTEGER, STREAM, INTEGER), **BORROWED)
    def take_out(streams: Any, r: Any, alone: Any, step: Any) -> None:
        """Copy the stream of a replicate, every step-th word of it."""
        for i in range(0, 4 * LANES, step):
            alone[i] = streams[WIDTH * i + r]

    @kernel(NONE(STREAM, INTEGER, STREAM, INTEGER), **BORROWED)
    def put_back(streams: Any, r: Any, alone: Any, step: Any) -> None:
        """Copy it back."""
        for i in range(0, 4 * LANES, step):
            streams[WIDTH * i + r] = alone[i]

    @kernel(FLOATS(FLOATS, FLOATS), **BORROWED)
    def least(a: Any, b: Any) -> Any:
        """Return the smaller number of each replicate."""
        return choose(b < a, b, a)

    @kernel(FLOATS(FLOATS), **BORROWED)
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

    @kernel(TUPLE((FLOATS, MASK, MASK))(FLOATS, FLOATS, FLOATS, FLOATS), **BORROWED)
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

    @kernel(TUPLE((INTEGER, INTEGER))(INTEGER, INTEGER, INTEGER, WORK), inline="always", **BORROWED)
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

    @kernel(NONE(STREAM, INTEGER, INTEGER, INTEGER, INTEGER, WORK), **BORROWED)
    def binomials_alone(streams: Any, r: Any, rows: Any, entry: Any, first: Any, work: Any) -> None:
        """Draw the listed rows of one replicate, as `binomials` does."""
        kept, rest, numbers, left, drawn, failed, front, _, alone, _ = work
        uniforms = numbers.view(np.float64)
        take_out(streams, r, alone, FIRST_GENERATOR)
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
        put_back(streams, r, alone, FIRST_GENERATOR)

    @kernel(NONE(STREAM, INTEGER, INTEGER, WORK), inline="always", **BORROWED)
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
                take_out(streams, r, alone, FIRST_GENERATOR)
                single = binomial_by_rejection(
                    alone, trials, numbers[3 * WIDTH + r], numbers[WIDTH + r], numbers[2 * WIDTH + r]
                )
                put_back(streams, r, alone, FIRST_GENERATOR)
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

    @kernel(NONE(STREAM, INTEGER, INTEGER, INTEGER, WORK), **BORROWED)
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
