"""Replicates of learning runs, several side by side, resumed where a checkpoint was saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pma_mfg.learning import algorithms as learning
from pma_mfg.simulation.lockstep import TOGETHER
from pma_replication.runs.checkpoints import Checkpoint

State = Mapping[str, np.ndarray]

#: Runs some replicates of a setting, by its number: what each measured.
Run = Callable[[int, range, State | None, learning.Save | None], Sequence[np.ndarray]]


def each_replicate(run: Run, n_replicates: Sequence[int], checkpoint: Checkpoint | None) -> list[np.ndarray]:
    """Return what each replicate measured, one setting after the other.

    At most `TOGETHER` replicates of a setting run at a time. With a checkpoint, go on from those that are saved there
    as finished, and from the state of those that were running.

    Parameters
    ----------
    run : callable
        As `Run`; the state to resume from, and how to save one.
    n_replicates : sequence of int
        Of every setting.
    checkpoint : Checkpoint or None

    Returns
    -------
    list of ndarray
    """
    state = None if checkpoint is None else checkpoint.load()
    finished: list[np.ndarray] = [] if state is None else list(state["finished"])

    def save(inside: Callable[[], State]) -> None:
        if checkpoint is not None:
            checkpoint.save(lambda: {**inside(), "finished": np.array(finished)})

    begin = 0
    for setting, count in enumerate(n_replicates):
        for first in range(0, count, TOGETHER):
            replicates = range(first, min(first + TOGETHER, count))
            if begin + first < len(finished):
                continue
            inside = state if state is not None and "stream" in state else None
            finished += run(setting, replicates, inside, None if checkpoint is None else save)
            state = None
            save(dict)
        begin += count
    return finished
