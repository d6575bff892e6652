"""Compiled kernels of the N-agent game: one step, ergodic averages, and conditional temporal-difference learning.

All agents but one tagged learner hold the same policy and are exchangeable, so their counts per state are a Markov
chain of their own, with the exact law (docs/theory.md, section 9.1): from a state with n agents, Multinomial(n, P_pi(.|
s, mu)) of them move on. A step costs one binomial per state and successor, whatever the number of agents; a row with
few agents, or a small population, is moved agent by agent instead, in the same law.

A game enters as plain arrays, grouped in tuples (see `simulation.exchangeable.game_tables`); whatever is zero is left
out of them. Random numbers come from a stream of our own, 8 interleaved xoshiro256++ generators (see
`simulation.exchangeable.random_stream`): the state is an array that is carried from call to call, so a run can be
stopped and gone on with, bit for bit. Other compiled code is in `simulation.agent_kernels` and `populations.lattice`;
`compilation` says how the cache works.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numba import types

from pma_mfg.compilation import kernel_cache

_f8, _i8, _u8, _none = types.float64, types.int64, types.uint64, types.void

_vector, _matrix, _cube = _f8[::1], _f8[:, ::1], _f8[:, :, ::1]

_integers, _integer_matrix = _i8[::1], _i8[:, ::1]

_stream = _bits = _u8[::1]

_tuple: Any = types.Tuple  # which numba leaves untyped

# entries of feature k: starts[k]..starts[k+1] (K+1,), states, weights; offsets (K,), links (K,), parameters (K,)
_features = _tuple((_integers, _integers, _vector, _vector, _integers, _vector))

# what P_k adds to entries: dense (K or 0, entries); features, entries and values of the rest, one by one
_terms = _tuple((_matrix, _integers, _integers, _vector))

# pair s A + a: starts (S A + 1,), successors, P0; the terms, and where the pair's single ones start (S A + 1,)
_pairs = _tuple((_integers, _integers, _vector, _terms, _integers))

# pair s A + a: starts (S A + 1,), features, values
_reward_terms = _tuple((_integers, _integers, _vector))

# transitions, their features; R0 (S A,), R_l, their features
_game = _tuple((_pairs, _features, _vector, _reward_terms, _features))

# phi(c) (K,), grad phi(c) (K, S): features expanded at a centre c
_expansion = _tuple((_vector, _matrix))

# states by falling number of successors (S,); starts of the slots (D+1,), successors, P0 and P_k averaged over pi
_slots = _tuple((_integers, _integers, _integers, _vector, _terms))

# state s: starts (S+1,), successors; alias tables at each vertex: share kept (V, entries), and by turns the entry's own
# and its other successor (V, 2 entries)
_aliases = _tuple((_integers, _integers, _matrix, _integer_matrix))

# pi (S, A), h(pi(s)) (S,), the averaged transitions twice
_shared = _tuple((_matrix, _vector, _slots, _aliases))

# probability of every entry, and of the slots after it (entries,); random bits; agents in the row, drawn (S,)
_work = _tuple((_vector, _vector, _bits, _vector, _vector))

#: Interleaved generators of a stream. Numbers drawn one at a time come from the first.
LANES = 8

#: A row with at most this many agents per successor is moved agent by agent.
AGENTS_PER_SUCCESSOR = 2.0

#: log k! = (k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2 + the correction, tabulated here.
_CORRECTIONS = np.array(
    [math.lgamma(k + 1) - (k + 0.5) * math.log(k + 1) + (k + 1) - 0.5 * math.log(2.0 * math.pi) for k in range(16)]
)

_RECIPROCALS = np.array([0.0, *(1.0 / k for k in range(1, 111))])

# bits of the double 1.0: with 52 random bits below them, a number in [1, 2)
_ONE = np.uint64(0x3FF0000000000000)

_12, _17, _19, _23, _41, _45 = (np.uint64(shift) for shift in (12, 17, 19, 23, 41, 45))


with kernel_cache(Path(__file__)) as kernel:

    @kernel(_none(_stream, _bits, _i8))
    def fill(stream: Any, bits: Any, count: Any) -> None:
        """Fill `bits` with at least `count` random doubles in [1, 2), to be read through a view; up to 7 more."""
        rounds = (count + LANES - 1) // LANES
        for lane in range(LANES):
            a, b, c, d = stream[lane], stream[LANES + lane], stream[2 * LANES + lane], stream[3 * LANES + lane]
            for i in range(rounds):
                x = a + d
                bits[rounds * lane + i] = ((((x << _23) | (x >> _41)) + a) >> _12) | _ONE
                shifted = b << _17
                c ^= a
                d ^= b
                b ^= c
                a ^= d
                c ^= shifted
                d = (d << _45) | (d >> _19)
            stream[lane], stream[LANES + lane], stream[2 * LANES + lane], stream[3 * LANES + lane] = a, b, c, d

    @kernel(_f8(_stream))
    def uniform(stream: Any) -> Any:
        """Draw a double in [0, 1)."""
        a, b, c, d = stream[0], stream[LANES], stream[2 * LANES], stream[3 * LANES]
        x = a + d
        x = (((x << _23) | (x >> _41)) + a) >> _12
        shifted = b << _17
        c ^= a
        d ^= b
        stream[LANES] = b ^ c
        stream[0] = a ^ d
        stream[2 * LANES] = c ^ shifted
        stream[3 * LANES] = (d << _45) | (d >> _19)
        return np.int64(x) * 2.0**-52

    @kernel(_i8(_stream, _vector))
    def draw(stream: Any, probabilities: Any) -> Any:
        """Draw an index; what rounding leaves over goes to the last index of positive probability."""
        u = uniform(stream)
        last = 0
        for i in range(len(probabilities)):
            p = probabilities[i]
            if p > 0.0:
                last = i
                if u < p:
                    return i
                u -= p
        return last

    @kernel(_f8(_i8, _f8, _f8))
    def linked(link: Any, parameter: Any, x: Any) -> Any:
        """Return g(x) of a link, by its code in `games.features.LINKS`."""
        if link == 1:
            x = abs(x)
        elif link == 2:
            x = np.log(x + parameter)
        elif link == 3:
            x = min(1.0, x)
        elif link == 4:
            x = max(0.0, x)
        elif link == 5:
            x = max(0.0, x) ** parameter
        elif link == 6:
            x = np.log(max(x, parameter))
        elif link == 7:
            x = 1.0 / (x + parameter)
        elif link == 8:
            x = np.exp(x)
        return x

    @kernel(_f8(_features, _i8, _vector))
    def feature_value(features: Any, k: Any, mean_field: Any) -> Any:
        """Return phi_k(mu) = g_k(<w_k, mu> + b_k)."""
        starts, states, weights, offsets, links, parameters = features
        x = offsets[k]
        for i in range(starts[k], starts[k + 1]):
            x += weights[i] * mean_field[states[i]]
        return linked(links[k], parameters[k], x)

    @kernel(_none(_vector, _features, _vector))
    def feature_values(mean_field: Any, features: Any, out: Any) -> None:
        """Write phi_k(mu) into out, shape (K,)."""
        starts, states, weights, offsets, links, parameters = features
        for k in range(len(out)):
            x = offsets[k]
            for i in range(starts[k], starts[k + 1]):
                x += weights[i] * mean_field[states[i]]
            out[k] = x if links[k] == 0 else linked(links[k], parameters[k], x)

    # --- binomials

    @kernel(_f8(_f8))
    def stirling_correction(k: Any) -> Any:
        """Return log k! - ((k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2), for k = 0, 1, ..."""
        if k < 16.0:
            return _CORRECTIONS[int(k)]
        x = 1.0 / (k + 1.0)
        y = x * x
        return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - y / 1188) * y) * y) * y) * x

    @kernel(_f8(_stream, _f8, _f8, _f8))
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

    @kernel(_f8(_stream, _f8, _f8, _f8, _f8))
    def binomial_by_rejection(stream: Any, n: Any, p: Any, u: Any, v: Any) -> Any:
        """Draw from Binomial(n, p), n p >= 10 and p <= 1/2, by transformed rejection, from uniforms u, v on.

        W. Hormann, The generation of binomial random variates, J. Statist. Comput. Simul. 46 (1993), algorithm BTRS,
        with the bounds of docs/theory.md, section 9.1, before the logarithms of the exact test.
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

    @kernel(_none(_i8, _i8, _vector, _vector, _vector, _vector, _i8, _vector))
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

    @kernel(_none(_stream, _i8, _i8, _vector, _vector, _vector, _vector, _i8, _vector))
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

    # --- one step

    @kernel(_none(_vector, _terms, _vector, _vector))
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

    @kernel(_none(_stream, _vector, _vector, _slots, _work, _vector))
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

    @kernel(_none(_stream, _vector, _i8, _aliases, _work, _integers, _vector))
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

    @kernel(_none(_integers, _integers, _matrix, _matrix, _integer_matrix))
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

    @kernel(_work(_slots))
    def work_space(slots: Any) -> Any:
        """Return the arrays that a step works on."""
        size, entries = len(slots[0]), len(slots[3])
        bits = np.empty(max(int(AGENTS_PER_SUCCESSOR * entries), 1024) + 2 * LANES, dtype=np.uint64)
        return np.empty(entries), np.empty(entries), bits, np.empty(size), np.empty(2 * size + 2)

    # --- trajectories

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
            _stream,
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
    ) -> None:
        """Add up, over a trajectory of all agents, what the learner's limit is made of (docs/theory.md, section 9).

        With x = mu - centre: deviation[0] += ||x||_1, mean_field_sum += mu, second_moments += x x^T,
        transition_sums[s, k] += mu(s) times the remainder of phi_k at x, and the same for the reward's features: all
        that is added up shrinks with x, so that its relative precision does not depend on N. counts (S,) is moved on in
        place.
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
            if by_agents:
                move_agents(stream, here, -1, aliases, work, states, moved)
            else:
                feature_values(mean_field, transition_features, transition_phi)
                move_counts(stream, here, transition_phi, slots, work, moved)
            here, moved = moved, here
        for s in range(size):
            counts[s] = int(here[s])

    @kernel(
        _none(
            _stream,
            _integers,
            _integers,
            _game,
            _shared,
            _f8,
            _matrix,
            _i8,
            _i8,
            _i8,
            _f8,
            _f8,
            _integers,
            _cube,
            _matrix,
            _matrix,
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
        by_visits = visits.shape[0] > 0
        pairs, transition_features, reward_base, reward_terms, reward_features = game
        pair_starts, pair_successors, pair_base, pair_terms, pair_term_starts = pairs
        dense, term_features, term_entries, term_values = pair_terms
        reward_starts, reward_which, reward_values = reward_terms
        policy, entropy, slots, aliases = shared
        by_agents = aliases[2].shape[0] > 0
        size, n_actions = policy.shape
        n_agents = others.sum() + 1
        mean_field = np.empty(size)
        phi = np.empty(len(transition_features[4]))
        row = np.empty(size)
        work = work_space(slots)
        states = np.empty(n_agents if by_agents else 0, dtype=np.int64)
        here, moved = others.astype(np.float64), np.empty(size)
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
                begin, end = pair_starts[pair], pair_starts[pair + 1]
                for e in range(end - begin):
                    row[e] = pair_base[begin + e]
                for k in range(dense.shape[0]):
                    for e in range(end - begin):
                        row[e] += phi[k] * dense[k, begin + e]
                for i in range(pair_term_starts[pair], pair_term_starts[pair + 1]):
                    row[term_entries[i] - begin] += phi[term_features[i]] * term_values[i]
                next_state = pair_successors[begin + draw(stream, row[: end - begin])]
                next_action = draw(stream, behaviour[next_state] if by_visits else policy[next_state])
                if by_agents:
                    move_agents(stream, here, state, aliases, work, states, moved)
                else:
                    move_counts(stream, here, phi, slots, work, moved)
                here, moved = moved, here
                if wait == n_waiting:
                    reward = reward_base[pair]
                    for i in range(reward_starts[pair], reward_starts[pair + 1]):
                        reward += reward_values[i] * feature_value(reward_features, reward_which[i], mean_field)
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
                snapshots[written] = q
                written += 1
        tagged[0], tagged[1] = state, action
        for s in range(size):
            others[s] = int(here[s])
