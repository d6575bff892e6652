"""Replicates of a learning run, resumed where a checkpoint was saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pma_mfg.learning import algorithms as learning
from pma_replication.runs.checkpoints import Checkpoint

State = Mapping[str, np.ndarray]


def each_replicate(
    run: Callable[[int, State | None, learning.Save], np.ndarray], n_replicates: int, checkpoint: Checkpoint | None
) -> list[np.ndarray]:
    """Return what each replicate measured; with a checkpoint, go on from the replicate and the state saved there."""
    state = None if checkpoint is None else checkpoint.load()
    finished: list[np.ndarray] = [] if state is None else list(state["finished"])

    def save(inside: Callable[[], State]) -> None:
        if checkpoint is not None:
            checkpoint.save(lambda: {**inside(), "finished": np.array(finished)})

    while len(finished) < n_replicates:
        finished.append(run(len(finished), state if state is not None and "stream" in state else None, save))
        state = None
        save(dict)
    return finished
