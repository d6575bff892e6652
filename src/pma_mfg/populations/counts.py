"""Counts of N exchangeable agents: their lattice, and which states the agents leave for good.

See docs/theory, section 9.6. Nothing here is compiled: a configuration is checked with it. The law of the counts is in
`populations.lattice` and `populations.finite_population`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb

import numpy as np

from pma_mfg import operators, solvers
from pma_mfg.arrays import accepts
from pma_mfg.errors import Description, InputError
from pma_mfg.games.model import MOST_LUMPED_STATES, MeanFieldGame, check_n_agents, n_lumped_states

SOURCE = "finite_population"

#: Largest number of states for which the 2^S patterns of occupied states are examined.
PATTERN_STATES = 10

#: Bytes of rows computed at a time.
BLOCK = 2**26


def n_points(n_agents: int, n_states: int) -> int:
    """Return C(n + S - 1, S - 1), the number of counts of n agents in S states."""
    return comb(n_agents + n_states - 1, n_states - 1)


def points(n_agents: int, n_states: int) -> np.ndarray:
    """Return all counts of n agents, shape (L, S), ordered by the number outside state 0, then lexicographically."""
    levels = [np.zeros((1, 0), dtype=np.int64)] * (n_agents + 1) if n_states == 1 else None
    if levels is None:
        # of[t]: the ways to put t agents into the last k states, in lexicographic order
        of = [np.full((1, 1), t, dtype=np.int64) for t in range(n_agents + 1)]
        for _ in range(n_states - 2):
            of = [
                np.vstack([np.insert(of[t - first], 0, first, axis=1) for first in range(t + 1)])
                for t in range(n_agents + 1)
            ]
        outside = np.vstack(of)
    else:
        outside = levels[0]
    return np.ascontiguousarray(np.insert(outside, 0, n_agents - outside.sum(axis=1), axis=1))


@accepts(inner=True)
def averaged_kernels(game: MeanFieldGame, policy: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return mean fields (B, S) -> P_pi(y|s) at each, shape (B, S, S), of a dense game and a policy (S, A)."""
    base = operators.policy_kernel(game.base_transition, policy)
    terms = np.einsum("sa,ksay->ksy", policy, game.transition_terms)
    features = game.transition_features
    return lambda fields: np.asarray(base + np.tensordot(features.values(fields), terms, axes=1))


def check_size(game: MeanFieldGame, n_agents: int) -> int:
    """Return N, or raise an `InputError` if an agent and the others have more than `MOST_LUMPED_STATES` states."""
    n_agents = check_n_agents(n_agents)
    size = n_lumped_states(game.n_states, n_agents)
    if size > MOST_LUMPED_STATES:
        described = Description(f"{n_agents}, with {size:.12g} states of the agent and the counts of the others")
        raise InputError(SOURCE, "n_agents", described, f"a number of agents with at most {MOST_LUMPED_STATES} of them")
    return n_agents


@accepts()
def never_visited(game: MeanFieldGame, policy: np.ndarray, n_agents: int) -> np.ndarray:
    """Return the states that N agents who all hold a policy leave for good, almost surely (docs/theory, section 9.6).

    Found from the patterns of occupied states, without the law: for every point of the lattice of counts, which moves
    are possible there. A state is left for good if from every pattern some moves that are possible at all its points
    lead to a pattern from which, whatever moves, the state is never reached again. Transitions below
    `operators.UNREACHABLE` do not count. Where transitions depend on the mean field and there are more than
    `PATTERN_STATES` states nothing is found: patterns are 2^S. There `learning_limit` finds them from the law itself.

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    n_agents : int
        As in `stationary_counts`.

    Returns
    -------
    ndarray of int
        In order; empty if every state is visited for ever, or where that is not known.
    """
    game = game.dense(SOURCE)
    n_agents, n_states = check_size(game, n_agents), game.n_states
    kernels = averaged_kernels(game, policy)
    if not game.depends_on_population:  # every agent moves as if alone
        chain = kernels(np.full((1, n_states), 1.0 / n_states))[0]
        return np.flatnonzero(solvers.closed_components(chain > operators.UNREACHABLE)[0] < 0)
    counts, bits = points(n_agents, n_states), 1 << np.arange(n_states)
    size = max(1, BLOCK // (8 * n_states**2))
    parts = [slice(start, start + size) for start in range(0, len(counts), size)]
    always = np.ones((n_states, n_states), dtype=bool)
    for part in parts:
        always &= (kernels(counts[part] / n_agents) > operators.UNREACHABLE).all(axis=0)
    # by moves that are always possible every agent gets everywhere, whatever the others do
    if n_states > PATTERN_STATES or (solvers.closed_components(always)[0] == 0).all():
        return np.zeros(0, dtype=np.int64)
    patterns = (counts > 0) @ bits
    possible = np.zeros((2**n_states, n_states, n_states), dtype=bool)
    certain = np.ones_like(possible)
    for part in parts:
        edges = kernels(counts[part] / n_agents) > operators.UNREACHABLE
        np.logical_or.at(possible, patterns[part], edges)
        np.logical_and.at(certain, patterns[part], edges)
    seen = np.unique(patterns)
    occupied = (np.arange(2**n_states)[:, None] & bits) > 0
    # where the agents of a pattern may be after one step, then those of all patterns within a set of states, then ever
    after = np.bitwise_or.reduce(np.where(occupied[:, :, None] & possible, bits, 0), axis=(1, 2))
    for bit in bits:
        inside = np.flatnonzero(np.arange(2**n_states) & bit)
        after[inside] |= after[inside ^ bit]
    ever = np.arange(2**n_states)
    while True:
        grown = ever | after[ever]
        if (grown == ever).all():
            break
        ever = grown
    images = {int(pattern): _images(np.where(certain[pattern], bits, 0)[occupied[pattern]]) for pattern in seen}
    found = []
    for state in range(n_states):
        lost = np.zeros(2**n_states, dtype=bool)
        lost[seen] = (ever[seen] & bits[state]) == 0
        count = -1
        while (now := int(lost.sum())) > count:
            count = now
            for pattern, reached in images.items():
                lost[pattern] = lost[pattern] or lost[reached].any()
        if lost[seen].all():
            found.append(state)
    return np.array(found, dtype=np.int64)


def _images(targets: np.ndarray) -> np.ndarray:
    """Return the patterns to which the agents of each state can move together: one target, a bit, from each row."""
    reached = np.zeros(1, dtype=np.int64)
    for row in targets:
        reached = np.unique(reached[:, None] | row[row > 0])
    return reached


@accepts()
def check_visited(game: MeanFieldGame, policy: np.ndarray, n_agents: int) -> None:
    """Raise an `InputError` if N agents leave some states for good: there learning has no limit.

    Parameters
    ----------
    game : MeanFieldGame
    policy : ndarray, shape (S, A)
    n_agents : int
    """
    lost = never_visited(game, policy, n_agents)
    if len(lost):
        raise unvisited(game, n_agents, lost)


def unvisited(game: MeanFieldGame, n_agents: int, states: np.ndarray, *, n_steps: int | None = None) -> InputError:
    """Return the error of states in which none of N agents is in the long run, or was in a simulation of n steps."""
    names = [f"{s} '{game.state_labels[s]}'" if game.state_labels else str(s) for s in states]
    shown = Description(f"{n_agents}, of whom none is in state {', '.join(names)} in the long run")
    allowed = "states that are all visited for ever: elsewhere TD learning has no limit (docs/theory, section 9.6)"
    if n_steps is not None:  # such a state may be rare, too
        shown = Description(f"{n_agents}, of whom none was in state {', '.join(names)} in {n_steps:,} steps")
        allowed = f"more steps or agents, or {allowed}"
    return InputError(SOURCE, "n_agents", shown, allowed)
