"""Replicates of the N-agent game side by side: which of them can move together, and their tables for the kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pma_mfg.simulation import lockstep_kernels
from pma_mfg.simulation.exchangeable import Tables
from pma_mfg.simulation.registers import WIDTH

#: Replicates that move together at most; they take as long as some three that move one after the other.
TOGETHER = WIDTH

#: From so many on, replicates move together; the places of missing ones are filled by copies that are thrown away.
WORTHWHILE = 4

#: States up to which agents that move one by one do it together: they are looked for state by state. By
#: `exchangeable.AGENTS_PER_ENTRY` fewer than 512 agents do, all of whom `move_agents` moves with one block of numbers.
FEW_STATES = 13


def interleave(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return what the kernels read of an array of every replicate: entry i of replicate r at 8 i + r.

    Parameters
    ----------
    arrays : sequence of ndarray
        Of one shape, at most `TOGETHER`; the first one stands for those that are missing.

    Returns
    -------
    ndarray
        One axis, of 8 times the size of an array.
    """
    filled = [*arrays, *(arrays[0] for _ in range(TOGETHER - len(arrays)))]
    return np.ascontiguousarray(np.stack(filled, axis=-1)).ravel()


def separate(together: np.ndarray, arrays: Sequence[np.ndarray]) -> None:
    """Write what `interleave` returned, and kernels moved on, back to the arrays of every replicate."""
    for r, array in enumerate(arrays):
        array[...] = together.reshape(-1, TOGETHER)[:, r].reshape(array.shape)


def shared_tables(shared: Sequence[Tables]) -> Tables | None:
    """Return the tables of `policy_tables` of replicates that move together, or None if they cannot.

    They can if P_pi has the same entries in all: a policy without zeros never makes a difference between them. Agents
    who move one by one do it together in games with few states that all can be reached from each.

    Parameters
    ----------
    shared : sequence of tables
        Of every replicate; a single one if all hold the same policy.

    Returns
    -------
    tables or None
        pi (8, S, A), h(pi(s)) (8, S), P_pi, and its alias tables.
    """
    slots = [tables[2] for tables in shared]
    order, starts, successors, base, (dense, features, entries, values) = slots[0]
    size, by_agents = len(order), len(shared[0][3][2]) > 0
    if by_agents and (size > FEW_STATES or len(successors) < size**2):
        return None
    for other in slots[1:]:
        pairs = zip((*slots[0][:3], *slots[0][4][1:3]), (*other[:3], *other[4][1:3]), strict=True)
        if other[4][0].shape != dense.shape or not all(np.array_equal(a, b) for a, b in pairs):
            return None
    if len(shared) == 1:
        by_entry = np.ascontiguousarray(dense.T).ravel()
    else:
        by_entry = interleave([of[4][0].T for of in slots])
        base, values = interleave([of[3] for of in slots]), interleave([of[4][3] for of in slots])
    filled = [shared[r] if r < len(shared) else shared[0] for r in range(TOGETHER)]
    policies, entropies = (np.stack([tables[i] for tables in filled]) for i in (0, 1))
    nothing = np.zeros((0, 0))
    aliases = [(of[3][2], of[3][3][:, 1::2].astype(float)) if by_agents else (nothing, nothing) for of in shared]
    together = tuple(interleave([of[i] for of in aliases]) for i in (0, 1))
    return policies, entropies, (order, starts, successors, base, (by_entry, features, entries, values)), together


def learn(
    populations: Sequence[dict[str, np.ndarray]],
    tables: Tables,
    shared: Tables,
    *,
    first: int,
    last: int,
    n_waiting: int,
    scale: float,
    offset: float,
    discount: float,
    checkpoints: np.ndarray,
) -> None:
    """Make the updates first, ..., last - 1 of `exchangeable_kernels.learn` in every replicate, in place.

    Parameters
    ----------
    populations : sequence of dict
        others (S,), tagged (2,), stream (32,), q (S, A) and snapshots (C, S, A) of every replicate; of exploring
        learners also behaviour and visits (S, A).
    tables, shared
        Of `exchangeable.game_tables` and `shared_tables`.
    first, last : int
    n_waiting : int
        M_mix.
    scale, offset : float
        c and m_0 of the steps c / (m + m_0).
    discount : float
    checkpoints : ndarray of int64, shape (C,)
        After how many updates q is written to the snapshots.
    """
    of = {name: [population[name] for population in populations] for name in populations[0]}
    n_agents = float(of["others"][0].sum() + 1)
    others = interleave([counts.astype(float) for counts in of["others"]])
    streams, tagged = interleave(of["stream"]), interleave(of["tagged"]).reshape(2, TOGETHER)
    none = np.zeros((0, *of["q"][0].shape))
    q, snapshots, behaviour, visits = (
        np.stack([*of[name], *(of[name][0] for _ in range(TOGETHER - len(populations)))]) if name in of else none
        for name in ("q", "snapshots", "behaviour", "visits")
    )
    lockstep_kernels.learn_together(
        *(streams, others, tagged, tables, shared, n_agents, discount, q),
        *(first, last, n_waiting, scale, offset, checkpoints, snapshots, behaviour, visits),
    )
    for name, moved in (("others", others), ("stream", streams), ("tagged", tagged)):
        separate(moved, of[name])
    for r, population in enumerate(populations):
        population["q"][...] = q[r]
        population["snapshots"][...] = snapshots[r]
        if "visits" in population:
            population["visits"][...] = visits[r]
