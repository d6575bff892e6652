"""Compiled alias tables of the transitions at a mean field, and rewards there, for the kernels that move agents.

A table is Walker's: in each column the share of the column itself and its alias. `simulation.agent_kernels` draws from
it. Where the states are few, eight rows are written side by side (`registers`), each bitwise as it would be alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numba
import numpy as np

from pma_mfg.compilation import BORROWED, INTEGERS, MATRIX, NONE, TUPLE, UNSIGNED, VECTOR, kernel_cache
from pma_mfg.simulation.links import DENSE_GAME, feature_values
from pma_mfg.simulation.registers import WIDTH, as_words, bits, choose, load, shifted, spread, store

#: Type of alias tables of P(.|s,a,mu), one row of S entries for each pair, (S A, S): see `alias_row`.
ALIAS = UNSIGNED[:, ::1]

# which sets its attributes at run time
_settings: Any = numba.config

#: States up to which rows are written side by side, by some S^2 operations for eight of them; without a compiler none.
SIDE_BY_SIDE = 0 if _settings.DISABLE_JIT else 16

#: Shares in alias tables are stored as multiples of 1 / _COLUMN_UNITS.
_COLUMN_UNITS = 2.0**33

# all replicates of a register, as the bits of an integer
_ALL = 2**WIDTH - 1

_16 = np.uint64(16)

# P0 and P_k by column, then by pair, the last pair repeated up to a multiple of 8 (1 + K, S * pairs); laws at the mean
# field, of the same order; columns in the order in which they are dealt with, their probabilities, and the place of
# each, (8 S,); entries and columns to be written, (8,) each; entries of columns that keep all to themselves (S A S,)
_columns = TUPLE((MATRIX, VECTOR, VECTOR, VECTOR, VECTOR, UNSIGNED[::1], UNSIGNED[::1], UNSIGNED[::1]))


with kernel_cache(Path(__file__)) as kernel:

    @kernel(NONE(VECTOR, UNSIGNED[::1], INTEGERS), **BORROWED)
    def alias_row(probabilities: Any, out: Any, stack: Any) -> None:
        """Write Walker's alias table of a law, shape (S,): in column j, the share of j itself in 2^-33, and its alias.

        The share occupies the upper bits of an entry and the alias the lower 16. probabilities and stack (S,) are
        used up.
        """
        size = len(probabilities)
        total = 0.0
        for y in range(size):
            probabilities[y] = max(0.0, probabilities[y])
            total += probabilities[y]
        scale = size / total
        full = np.uint64(_COLUMN_UNITS) << _16
        small, large = 0, size  # columns below 1 from the left, the others from the right
        for y in range(size):
            probabilities[y] *= scale
            out[y] = full | np.uint64(y)  # stays where nothing is given: there it is 1 up to rounding
            # written at both ends, and kept at one: a branch would be mispredicted half of the time
            below = int(probabilities[y] < 1.0)
            stack[small] = y
            stack[large - 1] = y
            small += below
            large += below - 1
        done = 0
        while done < small and large < size:
            giver, column = stack[large], stack[done]
            done += 1
            out[column] = (np.uint64(probabilities[column] * _COLUMN_UNITS + 0.5) << _16) | np.uint64(giver)
            rest = probabilities[giver] - (1.0 - probabilities[column])
            probabilities[giver] = rest
            below = int(rest < 1.0)
            stack[small] = giver  # small <= large: the giver's own place at the latest
            small += below
            large += below

    @kernel(NONE(MATRIX, ALIAS))
    def alias_rows(laws: Any, alias: Any) -> None:
        """Write the alias table of the law in each row; laws are used up."""
        stack = np.empty(laws.shape[1], dtype=np.int64)
        for row in range(len(laws)):
            alias_row(laws[row], alias[row], stack)

    @kernel(_columns(DENSE_GAME))
    def columns_of(game: Any) -> Any:
        """Return what `alias_tables` reads and works on."""
        base, terms = game[0], game[1]
        size, n_actions = base.shape[0], base.shape[1]
        n_rows = size * n_actions
        padded = (n_rows + WIDTH - 1) // WIDTH * WIDTH
        tables = np.empty((1 + len(terms), size * padded))
        full = np.empty(n_rows * size, dtype=np.uint64)
        for row in range(padded):
            pair = min(row, n_rows - 1)
            s, a = pair // n_actions, pair % n_actions
            for y in range(size):
                tables[0, y * padded + row] = base[s, a, y]
                for k in range(len(terms)):
                    tables[1 + k, y * padded + row] = terms[k, s, a, y]
                full[pair * size + y] = (np.uint64(_COLUMN_UNITS) << _16) | np.uint64(y)
        order, probabilities, places = np.empty(WIDTH * size), np.empty(WIDTH * size), np.empty(WIDTH * size)
        entries, columns = np.empty(WIDTH, dtype=np.uint64), np.empty(WIDTH, dtype=np.uint64)
        return tables, np.empty(size * padded), order, probabilities, places, entries, columns, full

    @kernel(NONE(VECTOR, _columns, ALIAS), **BORROWED)
    def alias_tables(phi: Any, of: Any, alias: Any) -> None:
        """Write the alias tables of P(.|s,a,mu) at the features phi, shape (S A, S), as `alias_row` does.

        That asks at every column whether its probability is below 1 and goes on accordingly. Here every place of the
        order is looked at in place of that, for eight rows together.
        """
        tables, laws, order, probabilities, places, entries, columns, full = of
        n_rows, size = alias.shape
        padded = len(laws) // size
        table = alias.reshape(-1)
        for j in range(len(laws)):
            laws[j] = tables[0, j]
        for k in range(len(phi)):
            weight = phi[k]
            for j in range(len(laws)):
                laws[j] += weight * tables[1 + k, j]
        for j in range(len(full)):
            table[j] = full[j]
        zero, all_columns = spread(0.0), spread(float(size))
        for row in range(0, padded, WIDTH):
            total = zero
            for y in range(size):
                p = load(laws, y * padded + row)
                p = choose(p > 0.0, p, zero)
                store(laws, y * padded + row, p)
                total = total + p
            scale = all_columns / total
            small, large = zero, all_columns
            for y in range(size):
                p = load(laws, y * padded + row) * scale
                store(laws, y * padded + row, p)
                below, last = p < 1.0, large - 1.0
                store(places, WIDTH * y, choose(below, small, last))
                small, large = choose(below, small + 1.0, small), choose(below, large, last)
            giver, rest = zero, zero
            for place in range(size):
                column, p = zero, zero
                for y in range(size):
                    here = load(places, WIDTH * y) == float(place)
                    column = choose(here, spread(float(y)), column)
                    p = choose(here, load(laws, y * padded + row), p)
                store(order, WIDTH * place, column)
                store(probabilities, WIDTH * place, p)
                here = large == float(place)
                giver, rest = choose(here, column, giver), choose(here, p, rest)
            for done in range(size - 1):
                active = (small > float(done)) & (large < float(size))
                if bits(active) == 0:
                    break
                p = load(probabilities, WIDTH * done)
                store(entries, 0, shifted(as_words(p * _COLUMN_UNITS + 0.5), _16) | as_words(giver))
                store(columns, 0, as_words(load(order, WIDTH * done)))
                if bits(active) == _ALL and row + WIDTH <= n_rows:
                    for r in range(WIDTH):
                        table[np.uint64((row + r) * size) + columns[r]] = entries[r]
                else:
                    for r in range(min(WIDTH, n_rows - row)):
                        if (bits(active) >> r) & 1:
                            table[np.uint64((row + r) * size) + columns[r]] = entries[r]
                rest = rest - (1.0 - p)
                spent = active & (rest < 1.0)
                after = large + 1.0
                next_giver, next_rest = giver, rest
                for place in range(done + 1, size):
                    column, p = load(order, WIDTH * place), load(probabilities, WIDTH * place)
                    here = spent & (after == float(place))
                    next_giver, next_rest = choose(here, column, next_giver), choose(here, p, next_rest)
                    here = spent & (small == float(place))
                    store(order, WIDTH * place, choose(here, giver, column))
                    store(probabilities, WIDTH * place, choose(here, rest, p))
                giver, rest = next_giver, next_rest
                small, large = choose(spent, small + 1.0, small), choose(spent, after, large)

    @kernel(NONE(VECTOR, DENSE_GAME, ALIAS))
    def prepare_transitions(mean_field: Any, game: Any, alias: Any) -> None:
        """Write the alias tables of P(.|s,a,mu), shape (S A, S)."""
        transition_base, transition_terms, transition_features = game[:3]
        n_states = transition_base.shape[2]
        phi = np.empty(len(transition_features[4]))
        feature_values(mean_field, transition_features, phi)
        laws = transition_base.copy().reshape(-1)
        terms = transition_terms.reshape((len(phi), len(laws)))
        whole = len(phi) - len(phi) % 4
        for k in range(0, whole, 4):  # four at a time, one after the other: laws is read and written less often
            w, x, y, z = phi[k], phi[k + 1], phi[k + 2], phi[k + 3]
            for j in range(len(laws)):
                first = laws[j] + w * terms[k, j] + x * terms[k + 1, j]
                laws[j] = first + y * terms[k + 2, j] + z * terms[k + 3, j]
        for k in range(whole, len(phi)):
            for j in range(len(laws)):
                laws[j] += phi[k] * terms[k, j]
        stack = np.empty(n_states, dtype=np.int64)
        for pair in range(len(alias)):
            alias_row(laws[pair * n_states : (pair + 1) * n_states], alias[pair], stack)

    @kernel(NONE(VECTOR, DENSE_GAME, VECTOR, MATRIX), **BORROWED)
    def rewards_at(mean_field: Any, game: Any, phi: Any, reward: Any) -> None:
        """Write R(s,a,mu), shape (S, A); phi (L,) is for work."""
        reward_base, reward_terms, reward_features = game[3:]
        n_states, n_actions = reward.shape
        feature_values(mean_field, reward_features, phi)
        for s in range(n_states):
            for a in range(n_actions):
                reward[s, a] = reward_base[s, a]
        for k in range(len(phi)):
            for s in range(n_states):
                for a in range(n_actions):
                    reward[s, a] += phi[k] * reward_terms[k, s, a]

    @kernel(NONE(VECTOR, DENSE_GAME, MATRIX))
    def prepare_rewards(mean_field: Any, game: Any, reward: Any) -> None:
        """Write R(s,a,mu), shape (S, A)."""
        rewards_at(mean_field, game, np.empty(len(game[5][4])), reward)

    @kernel(NONE(VECTOR, DENSE_GAME, ALIAS, MATRIX))
    def prepare(mean_field: Any, game: Any, alias: Any, reward: Any) -> None:
        """Write the alias tables of P(.|s,a,mu), shape (S A, S), and R(s,a,mu), shape (S, A)."""
        prepare_transitions(mean_field, game, alias)
        prepare_rewards(mean_field, game, reward)
