"""Experiment: equilibria and assumptions."""

from __future__ import annotations

from pma_replication.experiment import Experiment, Settings, Table


def _studied(settings: Settings) -> list[str]:
    from pma_replication import configuration

    return configuration.studied(settings)


EXPERIMENT = Experiment(
    title="equilibria and assumptions",
    place=0,
    tables={
        "equilibria": Table(None, lambda settings: [f"equilibria/{game}" for game in _studied(settings)]),
        "assumptions": Table(None, lambda settings: [f"assumptions/{game}" for game in _studied(settings)]),
    },
    figures={"equilibria": ("equilibria",)},
)
