"""Experiment: games from the literature."""

from __future__ import annotations

from pma_replication.experiment import Experiment, table

EXPERIMENT = Experiment(
    title="games from the literature",
    place=13,
    tables={
        "zoo": table("zoo", "zoo/{game}"),
        "zoo_equilibria": table("zoo", "zoo_equilibria/{game}"),
        "zoo_states": table("zoo", "zoo_states/{game}"),
    },
    figures={"gallery": ("zoo", "zoo_states")},
)
