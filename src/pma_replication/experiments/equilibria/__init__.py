"""Experiment: equilibria and assumptions."""

from __future__ import annotations

from pma_replication.experiment import Experiment, Settings, Table


def _studied(settings: Settings) -> list[str]:
    from pma_replication import configuration

    return configuration.studied(settings)


def _drawn(settings: Settings) -> list[str]:
    """Return the games of the figure: those that are in `coupling` alone have the same equilibrium, line by line."""
    from pma_replication import configuration

    games_of = {section: set(settings.get(section, {}).get("games", ())) for section in configuration.SECTIONS}
    alike = games_of.pop("coupling").difference(*games_of.values())
    return [game for game in _studied(settings) if game not in alike]


EXPERIMENT = Experiment(
    title="equilibria and assumptions",
    place=0,
    tables={
        "equilibria": Table(None, lambda settings: [f"equilibria/{game}" for game in _drawn(settings)]),
        "assumptions": Table(None, lambda settings: [f"assumptions/{game}" for game in _studied(settings)]),
    },
    figures={"equilibria": ("equilibria",)},
)
