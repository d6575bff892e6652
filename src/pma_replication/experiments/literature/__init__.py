"""Experiment: games from the literature."""

from __future__ import annotations

from pma_replication.experiment import Experiment, table

EXPERIMENT = Experiment(
    title="games from the literature",
    place=14,
    tables={
        "literature": table("literature", "literature/{game}"),
        "literature_equilibria": table("literature", "literature_equilibria/{game}"),
        "literature_states": table("literature", "literature_states/{game}"),
    },
    figures={"literature": ("literature", "literature_states")},
)
