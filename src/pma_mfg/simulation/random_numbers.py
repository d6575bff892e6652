"""Compiled random numbers of the simulators: the generator xoshiro256++, uniform numbers, draws from a law.

D. Blackman and S. Vigna, Scrambled linear pseudorandom number generators, ACM Trans. Math. Software 47 (2021). A
generator's state is four 64-bit integers. A stream is `LANES` generators side by side, so that many numbers can be
drawn at once in vector instructions; it is an array that the kernels move on in place, so that a run which was stopped
goes on bit for bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pma_mfg.compilation import BORROWED, FLOAT, INTEGER, NONE, TUPLE, UNSIGNED, VECTOR, kernel_cache

#: Generators of a stream. Numbers drawn one at a time come from the first.
LANES = 8

#: Type of a stream: word w of generator i is at LANES w + i.
STREAM = UNSIGNED[::1]

#: Type of an array of random bits.
BITS = UNSIGNED[::1]

# the bits of the floating-point number 1: with 52 random bits in the places below them, a number in [1, 2)
_ONE = np.uint64(0x3FF0000000000000)

_12, _17, _19, _23, _41, _45 = (np.uint64(shift) for shift in (12, 17, 19, 23, 41, 45))


with kernel_cache(Path(__file__)) as kernel:

    @kernel(TUPLE((UNSIGNED,) * 5)(UNSIGNED, UNSIGNED, UNSIGNED, UNSIGNED), **BORROWED)
    def advance(a: Any, b: Any, c: Any, d: Any) -> Any:
        """Return the 64 random bits of a generator in the state (a, b, c, d), and its next state."""
        x = a + d
        bits = ((x << _23) | (x >> _41)) + a
        shifted = b << _17
        c ^= a
        d ^= b
        return bits, a ^ d, b ^ c, c ^ shifted, (d << _45) | (d >> _19)

    @kernel(NONE(STREAM, BITS, INTEGER), **BORROWED)
    def fill(stream: Any, bits: Any, count: Any) -> None:
        """Fill `bits` with at least `count` random doubles in [1, 2), to be read through a view; up to 7 more."""
        rounds = (count + LANES - 1) // LANES
        for lane in range(LANES):
            a, b, c, d = stream[lane], stream[LANES + lane], stream[2 * LANES + lane], stream[3 * LANES + lane]
            for i in range(rounds):
                drawn, a, b, c, d = advance(a, b, c, d)
                bits[rounds * lane + i] = (drawn >> _12) | _ONE
            stream[lane], stream[LANES + lane], stream[2 * LANES + lane], stream[3 * LANES + lane] = a, b, c, d

    @kernel(FLOAT(STREAM), **BORROWED)
    def uniform(stream: Any) -> Any:
        """Draw a double in [0, 1)."""
        bits, a, b, c, d = advance(stream[0], stream[LANES], stream[2 * LANES], stream[3 * LANES])
        stream[0], stream[LANES], stream[2 * LANES], stream[3 * LANES] = a, b, c, d
        return np.int64(bits >> _12) * 2.0**-52

    @kernel(INTEGER(FLOAT, VECTOR), **BORROWED)
    def quantile(u: Any, weights: Any) -> Any:
        """Return the index i at which the sum of the weights 0, ..., i exceeds u, for u below the sum of all weights.

        Where rounding makes u reach the sum, that is the last index of positive weight.
        """
        last = 0
        for i in range(len(weights)):
            w = weights[i]
            if w > 0.0:
                last = i
                if u < w:
                    return i
                u -= w
        return last

    @kernel(INTEGER(STREAM, VECTOR), **BORROWED)
    def draw(stream: Any, probabilities: Any) -> Any:
        """Draw an index from probabilities that sum up to 1."""
        return quantile(uniform(stream), probabilities)
