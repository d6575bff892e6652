"""What an experiment says of itself, in the `__init__` of its folder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What the rest of the replication knows of an experiment.

    Parameters
    ----------
    title : str
        In plain words.
    place : int
        Among the experiments, as they are told.
    """

    title: str
    place: int
