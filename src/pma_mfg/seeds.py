"""Random generators named by the coordinates of the work, never by the order of execution.

A generator is a function of the root seed and of what it is for: experiment, game, number of agents, epsilon,
replicate. So results are bitwise the same for any number of cores, any order and any subset of jobs.
"""

from __future__ import annotations

import hashlib

import numpy as np


def generator(root: int, *coordinates: str | int | float) -> np.random.Generator:
    """Return the generator of one piece of work.

    Parameters
    ----------
    root : int
        The root seed of the replication, >= 0.
    *coordinates : str, int or float
        What the stream is for, for example ``("ctd", "planted", 1000, 0)``. A float and an integer of equal value are
        the same coordinate, so that 1000 and 1e3 in a configuration mean the same.

    Returns
    -------
    numpy.random.Generator
        PCG64 seeded by the child of ``SeedSequence(root)`` whose spawn key is a digest of each coordinate.
    """
    key: list[int] = []
    for coordinate in coordinates:
        text = f"name {coordinate}" if isinstance(coordinate, str) else f"number {float(coordinate)!r}"
        digest = hashlib.sha256(text.encode()).digest()
        key += [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4)]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(root, spawn_key=key)))
