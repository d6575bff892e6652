"""Experiment: exact methods side by side."""

from __future__ import annotations

from pma_replication.experiment import Experiment, table

EXPERIMENT = Experiment(
    title="exact methods side by side",
    place=4,
    tables={
        "histories": table("dynamics", "histories/{game}"),
        "outcomes": table("dynamics", "outcomes/{game}"),
        "orbits": table("dynamics", "orbits/{game}"),
    },
    figures={"dynamics": ("histories", "outcomes")},
)
