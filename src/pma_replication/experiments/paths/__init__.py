"""Experiment: the path of equilibria, and its branches."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, Settings, Table, table


def _grids(settings: Settings) -> list[str]:
    return [f"paths_generated/{grid}" for grid in settings["paths_generated"]["grids"]]


EXPERIMENT = Experiment(
    title="the path of equilibria, and its branches",
    place=14,
    tables={
        "paths": table("paths", "paths/{game}"),
        "paths_equilibria": table("paths", "paths_equilibria/{game}"),
        "paths_generated": Table("paths_generated", _grids),
    },
    figures={"paths": ("paths",)},
    claims={
        "C10-fold": Claim(
            words="in most generated games the equilibrium of a strong regularizer is followed to none without a fold",
            rival="in every second game",
            standing="ours",
            judge="without_fold",
            tables=("paths_generated",),
            tolerance=0.2,
        ),
        "C10-coupling": Claim(
            words="a strong coupling makes folds of this path no more frequent",
            rival="it makes a fold in every second game more",
            standing="ours",
            judge="by_coupling",
            tables=("paths_generated",),
            tolerance=0.2,
        ),
    },
)
