"""Compiled loops of the methods on one trajectory of N agents whose policy may change at every step.

The game enters as in `simulation.exchangeable_kernels`, and all draws are made as there: others move as counts, in the
exact law (docs/theory, sections 9.1 and 21.1). `compilation` says how kernels are compiled and where they are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pma_mfg.compilation import BORROWED, FLOAT, INTEGER, INTEGERS, MATRIX, NONE, TUPLE, VECTOR, kernel_cache
from pma_mfg.simulation.exchangeable_kernels import (
    GAME,
    WORK,
    _terms,
    move_counts,
    next_of_pair,
    probabilities,
    reward_of_pair,
    work_space,
)
from pma_mfg.simulation.links import feature_values
from pma_mfg.simulation.random_numbers import STREAM, draw

# where each entry of the transitions by pair goes in those averaged over the policy (nnz,); slots of the averages: the
# order of states, where slots start, successors, what the features add (nothing)
_live = TUPLE((INTEGERS, TUPLE((INTEGERS, INTEGERS, INTEGERS, _terms))))

# steps of a recursion: a, c, w of the share a (c / (m + c))^w in update m
_share = TUPLE((FLOAT, FLOAT, FLOAT))

# memory for a call of `walk` or `one_loop`: mean field, features, a row of P, P by pair and averaged over the policy,
# counts before and after a step, a change of logits, and what a step works on
_room = TUPLE((*(VECTOR,) * 8, WORK))

#: How `one_loop` values the next state: by the action drawn there, or by all actions.
SARSA, Q_LEARNING = 0, 1

#: How `one_loop` changes the policy of a state that was left: not at all, towards the softmax of Q, up the gradient.
FROZEN, SOFTMAX, GRADIENT = 0, 1, 2


with kernel_cache(Path(__file__)) as kernel:

    @kernel(NONE(GAME, _live, MATRIX, VECTOR, VECTOR, VECTOR), **BORROWED)
    def average(game: Any, live: Any, policy: Any, phi: Any, entries: Any, averaged: Any) -> None:
        """Write P at the features phi into entries (nnz,), and its average over the policy into averaged."""
        starts, _, base, terms, _ = game[0]
        place, n_actions = live[0], policy.shape[1]
        probabilities(base, terms, phi, entries)
        for i in range(len(averaged)):
            averaged[i] = 0.0
        for s in range(policy.shape[0]):
            for a in range(n_actions):
                pair = s * n_actions + a
                for e in range(starts[pair], starts[pair + 1]):
                    averaged[place[e]] += policy[s, a] * entries[e]

    @kernel(FLOAT(VECTOR, FLOAT), **BORROWED)
    def soft_maximum(x: Any, tau: Any) -> Any:
        """Return tau log sum exp(x / tau)."""
        highest, total = x[0], 0.0
        for a in range(1, len(x)):
            highest = max(highest, x[a])
        for a in range(len(x)):
            total += np.exp((x[a] - highest) / tau)
        return highest + tau * np.log(total)

    @kernel(FLOAT(VECTOR, VECTOR), **BORROWED)
    def softmax(logits: Any, law: Any) -> Any:
        """Write the softmax into law, and return its Shannon entropy."""
        normalizer, entropy = soft_maximum(logits, 1.0), 0.0
        for a in range(len(logits)):
            law[a] = np.exp(logits[a] - normalizer)
            entropy -= law[a] * (logits[a] - normalizer)
        return entropy

    @kernel(_room(INTEGERS, GAME, _live, MATRIX))
    def room_of(others: Any, game: Any, live: Any, policy: Any) -> Any:
        """Return memory for a call of `walk` or `one_loop`."""
        order, starts, columns, nothing = live[1]
        size, averaged = len(others), np.empty(len(columns))
        return (
            np.empty(size),
            np.empty(len(game[1][4])),
            np.empty(size),
            np.empty(len(game[0][1])),
            averaged,
            np.empty(size),
            np.empty(size),
            np.empty(policy.shape[1]),
            work_space((order, starts, columns, averaged, nothing)),
        )

    @kernel(
        NONE(STREAM, INTEGERS, INTEGERS, GAME, _live, MATRIX, INTEGERS, INTEGERS, VECTOR, INTEGERS, _room), **BORROWED
    )
    def walk_steps(
        stream: Any,
        others: Any,
        tagged: Any,
        game: Any,
        live: Any,
        policy: Any,
        states: Any,
        actions: Any,
        rewards: Any,
        successors: Any,
        room: Any,
    ) -> None:
        """As `walk`, with room to work in."""
        features, (order, starts, columns, nothing) = game[1], live[1]
        size, n_actions = policy.shape
        n_agents = others.sum() + 1
        mean_field, phi, row, entries, averaged, here, moved, _, work = room
        for s in range(size):
            here[s] = float(others[s])
        state, action = tagged[0], tagged[1]
        for t in range(len(states)):
            for s in range(size):
                mean_field[s] = here[s] / n_agents
            mean_field[state] = (here[state] + 1.0) / n_agents
            feature_values(mean_field, features, phi)
            average(game, live, policy, phi, entries, averaged)
            pair = state * n_actions + action
            next_state = next_of_pair(stream, game[0], pair, phi, row)
            next_action = draw(stream, policy[next_state])
            move_counts(stream, here, phi, (order, starts, columns, averaged, nothing), work, moved)
            here, moved = moved, here
            states[t], actions[t], successors[t] = state, action, next_state
            rewards[t] = reward_of_pair(game, pair, mean_field)
            state, action = next_state, next_action
        tagged[0], tagged[1] = state, action
        for s in range(size):
            others[s] = int(here[s])

    @kernel(NONE(STREAM, INTEGERS, INTEGERS, GAME, _live, MATRIX, INTEGERS, INTEGERS, VECTOR, INTEGERS))
    def walk(
        stream: Any,
        others: Any,
        tagged: Any,
        game: Any,
        live: Any,
        policy: Any,
        states: Any,
        actions: Any,
        rewards: Any,
        successors: Any,
    ) -> None:
        """Record transitions of the tagged agent while all N agents play one policy, as many as arrays have places.

        stream, others (S,) and tagged (2,) = (state, action) are moved on in place, as by `exchangeable_kernels.learn`.
        """
        walk_steps(
            stream,
            others,
            tagged,
            game,
            live,
            policy,
            states,
            actions,
            rewards,
            successors,
            room_of(others, game, live, policy),
        )

    @kernel(
        NONE(
            STREAM,
            INTEGERS,
            INTEGERS,
            GAME,
            _live,
            FLOAT,
            FLOAT,
            MATRIX,
            MATRIX,
            MATRIX,
            VECTOR,
            INTEGER,
            INTEGER,
            INTEGER,
            INTEGER,
            _share,
            _share,
            FLOAT,
            _room,
        ),
        **BORROWED,
    )
    def one_loop_steps(
        stream: Any,
        others: Any,
        tagged: Any,
        game: Any,
        live: Any,
        discount: Any,
        tau: Any,
        q: Any,
        logits: Any,
        policy: Any,
        entropy: Any,
        first: Any,
        last: Any,
        target_rule: Any,
        policy_rule: Any,
        critic: Any,
        actor: Any,
        exploration: Any,
        room: Any,
    ) -> None:
        """As `one_loop`, with room to work in."""
        features, (order, starts, columns, nothing) = game[1], live[1]
        size, n_actions = policy.shape
        n_agents = others.sum() + 1
        mean_field, phi, row, entries, averaged, here, moved, change, work = room
        for s in range(size):
            here[s] = float(others[s])
        state, action = tagged[0], tagged[1]
        for m in range(first, last):
            for s in range(size):
                mean_field[s] = here[s] / n_agents
            mean_field[state] = (here[state] + 1.0) / n_agents
            feature_values(mean_field, features, phi)
            average(game, live, policy, phi, entries, averaged)
            pair = state * n_actions + action
            next_state = next_of_pair(stream, game[0], pair, phi, row)
            next_action = draw(stream, policy[next_state])
            move_counts(stream, here, phi, (order, starts, columns, averaged, nothing), work, moved)
            here, moved = moved, here
            reward = reward_of_pair(game, pair, mean_field)
            if target_rule == SARSA:
                target = reward + discount * (q[next_state, next_action] + entropy[next_state])
            else:
                target = reward + discount * soft_maximum(q[next_state], tau)
            share = critic[0] * (critic[1] / (m + critic[1])) ** critic[2]
            q[state, action] += share * (target - q[state, action])
            if policy_rule != FROZEN:
                share = actor[0] * (actor[1] / (m + actor[1])) ** actor[2]
                if policy_rule == SOFTMAX:
                    for a in range(n_actions):
                        logits[state, a] += share * (q[state, a] / tau - logits[state, a])
                else:
                    value, normalizer = entropy[state], soft_maximum(logits[state], 1.0)
                    for a in range(n_actions):
                        value += policy[state, a] * q[state, a]
                    for a in range(n_actions):
                        advantage = q[state, a] - tau * (logits[state, a] - normalizer) - value
                        change[a] = share * policy[state, a] * advantage / tau
                    for a in range(n_actions):
                        logits[state, a] += change[a]
                entropy[state] = tau * softmax(logits[state], policy[state])
                for a in range(n_actions):
                    policy[state, a] = (1.0 - exploration) * policy[state, a] + exploration / n_actions
            state, action = next_state, next_action
        tagged[0], tagged[1] = state, action
        for s in range(size):
            others[s] = int(here[s])

    # slots of counts by state over their pairs, and of counts by pair over their entries
    _slots = TUPLE((INTEGERS, INTEGERS, INTEGERS, VECTOR, _terms))

    @kernel(
        NONE(
            STREAM,
            INTEGERS,
            INTEGERS,
            GAME,
            _live,
            FLOAT,
            FLOAT,
            MATRIX,
            MATRIX,
            MATRIX,
            VECTOR,
            INTEGER,
            INTEGER,
            INTEGER,
            INTEGER,
            _share,
            _share,
            FLOAT,
        )
    )
    def one_loop(
        stream: Any,
        others: Any,
        tagged: Any,
        game: Any,
        live: Any,
        discount: Any,
        tau: Any,
        q: Any,
        logits: Any,
        policy: Any,
        entropy: Any,
        first: Any,
        last: Any,
        target_rule: Any,
        policy_rule: Any,
        critic: Any,
        actor: Any,
        exploration: Any,
    ) -> None:
        """Learn at every step, and let all agents play the new policy at once: the updates m = first, ..., last - 1.

        Update m moves q(s, a) towards r + gamma v(s') by the share `critic`; v(s') is q(s', a') + h(pi(s')) (`SARSA`)
        or tau log sum exp(q(s') / tau) (`Q_LEARNING`). With a = `actor` the logits of s then change by a (q(s) / tau -
        logits(s)) (`SOFTMAX`) or a pi(s) A(s) / tau with the advantages A(s) (`GRADIENT`), and all agents play the
        softmax of the logits, with probability `exploration` a uniform action. stream, others (S,), tagged (2,), q,
        logits, policy (S, A), what is played, and entropy (S,), h of the softmax, are moved on in place.
        """
        one_loop_steps(
            stream,
            others,
            tagged,
            game,
            live,
            discount,
            tau,
            q,
            logits,
            policy,
            entropy,
            first,
            last,
            target_rule,
            policy_rule,
            critic,
            actor,
            exploration,
            room_of(others, game, live, policy),
        )

    @kernel(
        NONE(STREAM, VECTOR, GAME, _slots, _slots, INTEGERS, MATRIX, VECTOR, FLOAT, MATRIX, INTEGER, INTEGER, FLOAT)
    )
    def pooled(
        stream: Any,
        counts: Any,
        game: Any,
        by_action: Any,
        by_successor: Any,
        slot_of: Any,
        policy: Any,
        entropy: Any,
        discount: Any,
        q: Any,
        first: Any,
        last: Any,
        scale: Any,
    ) -> None:
        """Learn from the transitions of all N agents at every step, while they play one policy.

        In step m = first, ..., last - 1 every q(s, a) with agents there moves, by the share scale / (m + scale),
        towards the mean over these agents of r + gamma v(s'), v = <pi, q> + h(pi) before the step. counts (S,) and q
        (S, A) are moved on in place; slot_of (nnz,) says where an entry of the transitions stands in by_successor.
        """
        features, (starts, successors, base, terms, _) = game[1], game[0]
        order, slot_starts, columns, averaged, nothing = by_successor
        size, n_actions = policy.shape
        n_agents = counts.sum()
        mean_field, phi, value = np.empty(size), np.empty(len(features[4])), np.empty(size)
        entries, acting = np.empty(len(base)), np.empty(size * n_actions)
        moved = np.empty(max(len(base), size * n_actions))
        action_work, successor_work = work_space(by_action), work_space(by_successor)
        for m in range(first, last):
            for s in range(size):
                mean_field[s] = counts[s] / n_agents
                value[s] = entropy[s]
                for a in range(n_actions):
                    value[s] += policy[s, a] * q[s, a]
            feature_values(mean_field, features, phi)
            probabilities(base, terms, phi, entries)
            for e in range(len(base)):
                averaged[slot_of[e]] = entries[e]
            for i in range(len(acting)):
                acting[i] = 0.0
            move_counts(stream, counts, phi, by_action, action_work, acting)
            for i in range(len(moved)):
                moved[i] = 0.0
            move_counts(stream, acting, phi, (order, slot_starts, columns, averaged, nothing), successor_work, moved)
            for s in range(size):
                counts[s] = 0.0
            share = scale / (m + scale)
            for s in range(size):
                for a in range(n_actions):
                    pair = s * n_actions + a
                    total = 0.0
                    for e in range(starts[pair], starts[pair + 1]):
                        total += moved[e] * value[successors[e]]
                        counts[successors[e]] += moved[e]
                    if acting[pair] > 0.0:
                        target = reward_of_pair(game, pair, mean_field) + discount * total / acting[pair]
                        q[s, a] += share * (target - q[s, a])
