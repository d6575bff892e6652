"""Compiled draws from binomial laws, whose cost does not depend on the number of trials (docs/theory, section 9.1)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from pma_mfg.compilation import BORROWED, FLOAT, INTEGER, NONE, VECTOR, kernel_cache
from pma_mfg.simulation.random_numbers import STREAM, uniform

#: log k! - ((k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2), the error of Stirling's formula, for k = 0, ..., 15.
_CORRECTIONS = np.array(
    [math.lgamma(k + 1) - (k + 0.5) * math.log(k + 1) + (k + 1) - 0.5 * math.log(2.0 * math.pi) for k in range(16)]
)

#: 1 / k for k = 1, ..., 110: a multiplication takes less time than a division.
_RECIPROCALS = np.array([0.0, *(1.0 / k for k in range(1, 111))])


with kernel_cache(Path(__file__)) as kernel:

    @kernel(FLOAT(FLOAT), **BORROWED)
    def stirling_correction(k: Any) -> Any:
        """Return log k! - ((k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2), for k = 0, 1, ..."""
        if k < 16.0:
            return _CORRECTIONS[int(k)]
        x = 1.0 / (k + 1.0)
        y = x * x
        return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - y / 1188) * y) * y) * y) * x

    @kernel(FLOAT(STREAM, FLOAT, FLOAT, FLOAT), **BORROWED)
    def binomial_by_inversion(stream: Any, n: Any, p: Any, u: Any) -> Any:
        """Return the Binomial(n, p) quantile of a uniform u, for n p < 10 and p <= 1/2."""
        q = 1.0 - p
        odds = p / q
        none = np.exp(n * (np.log(q) + ((1.0 - q) - p) / q))  # log1p(-p), of which the libraries' is slow
        top = min(n, 110.0)
        while True:
            probability, k, weight = none, 0, n * odds
            while u >= probability and k < top:
                u -= probability
                k += 1
                probability *= weight * _RECIPROCALS[k]
                weight -= odds
            if u < probability:
                return float(k)
            u = uniform(stream)  # beyond the top lies what rounding left over, of probability 1e-15

    @kernel(FLOAT(STREAM, FLOAT, FLOAT, FLOAT, FLOAT), **BORROWED)
    def binomial_by_rejection(stream: Any, n: Any, p: Any, u: Any, v: Any) -> Any:
        """Draw from Binomial(n, p), n p >= 10 and p <= 1/2, by transformed rejection, from uniforms u, v on.

        W. Hormann, The generation of binomial random variates, J. Statist. Comput. Simul. 46 (1993), algorithm BTRS,
        with the bounds of docs/theory, section 9.1, before the logarithms of the exact test.
        """
        q = 1.0 - p
        deviation = np.sqrt(n * p * q)
        b = 1.15 + 2.53 * deviation
        a = -0.0873 + 0.0248 * b + 0.01 * p
        centre = n * p + 0.5
        squeeze = 0.92 - 4.2 / b
        scale = (2.83 + 5.1 / b) * deviation
        mode = np.floor((n + 1.0) * p)
        fraction = (n + 1.0) * p - mode
        inverse = 1.0 / ((n + 1.0) * p * q)
        while True:
            u -= 0.5
            inside = 0.5 - abs(u)
            k = np.floor((2.0 * a / inside + b) * u + centre)
            if inside >= 0.07 and v <= squeeze:
                return k
            if 0.0 <= k <= n:
                height = np.log(v * scale * inside * inside / (a + b * inside * inside))
                steps = k - mode
                distance = abs(steps)
                # log P(k) / P(mode) = sum_i log(1 - y_i) - log(1 + z_i): three orders, and a bound of the rest
                mean = 0.5 * (distance + 1.0) - (fraction if steps > 0.0 else 1.0 - fraction)
                spread = (distance * distance - 1.0) / 12.0
                skew = 1.0 - 2.0 * p if steps > 0.0 else 2.0 * p - 1.0
                ratio = distance * inverse
                bend = mean * mean
                series = -ratio * (
                    mean
                    - inverse
                    * (
                        0.5 * skew * (bend + spread)
                        - (1.0 - 3.0 * p * q) / 3.0 * inverse * mean * (bend + 3.0 * spread)
                    )
                )
                reach = (distance + 0.5) * inverse
                rest = 2 / 15 * (distance + 0.5) * (reach * reach) * (reach * reach)
                near = ratio <= 0.5
                if near and height <= series - rest:
                    return k
                if not near or height <= series + rest:
                    # the same from differences that lose no digits at any n
                    at_mode, other = mode + 1.0, n - mode + 1.0
                    exact = (
                        steps * np.log(p / q * other / at_mode)
                        - (k + 0.5) * np.log1p(steps / at_mode)
                        - (n - k + 0.5) * np.log1p(-steps / other)
                        + stirling_correction(mode)
                        + stirling_correction(n - mode)
                        - stirling_correction(k)
                        - stirling_correction(n - k)
                    )
                    if height <= exact:
                        return k
            u, v = uniform(stream), uniform(stream)

    @kernel(NONE(INTEGER, INTEGER, VECTOR, VECTOR, VECTOR, VECTOR, INTEGER, VECTOR), **BORROWED)
    def propose(lanes: Any, entry: Any, left: Any, kept: Any, rest: Any, uniforms: Any, first: Any, drawn: Any) -> None:
        """Write the first proposal of `binomial_by_rejection` where it is accepted at once, as most are, else -1.

        Free of branches and of calls, so that it is compiled to vector instructions.
        """
        for i in range(lanes):
            p, q = kept[entry + i], rest[entry + i]
            share = min(p, q) / (p + q)
            mean = left[i] * share
            b = 1.15 + 2.53 * np.sqrt(mean * (1.0 - share))
            a = -0.0873 + 0.0248 * b + 0.01 * share
            u = uniforms[first + i] - 1.5
            inside = 0.5 - abs(u)
            k = np.floor((2.0 * a / inside + b) * u + (mean + 0.5))
            accepted = (mean >= 10.0) & (inside >= 0.07) & (uniforms[first + lanes + i] - 1.0 <= 0.92 - 4.2 / b)
            drawn[i] = k if accepted else -1.0

    @kernel(NONE(STREAM, INTEGER, INTEGER, VECTOR, VECTOR, VECTOR, VECTOR, INTEGER, VECTOR), **BORROWED)
    def binomials(
        stream: Any,
        lanes: Any,
        entry: Any,
        left: Any,
        kept: Any,
        rest: Any,
        uniforms: Any,
        first: Any,
        drawn: Any,
    ) -> None:
        """Draw Binomial(left[i], kept[e] / (kept[e] + rest[e])), e = entry + i, into drawn[i], i = 0..lanes-1.

        Uses the doubles in [1, 2) uniforms[first], ..., uniforms[first + 2 lanes - 1], and the stream where they do not
        suffice.
        """
        propose(lanes, entry, left, kept, rest, uniforms, first, drawn)
        for i in range(lanes):
            n, k = left[i], drawn[i]
            p, q = kept[entry + i], rest[entry + i]
            if k < 0.0:
                if n > 0.0:
                    share = min(p, q) / (p + q)
                    u = uniforms[first + i] - 1.0
                    if n * share < 10.0:
                        k = binomial_by_inversion(stream, n, share, u)
                    else:
                        k = binomial_by_rejection(stream, n, share, u, uniforms[first + lanes + i] - 1.0)
                else:
                    k = 0.0
            drawn[i] = n - k if p > q else k
