"""Experiment: the path of equilibria as the regularizer weakens."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, Settings, Table, table


def _grids(settings: Settings) -> list[str]:
    return [f"paths_generated/{grid}" for grid in settings["paths_generated"]["grids"]]


EXPERIMENT = Experiment(
    title="the path of equilibria as the regularizer weakens",
    place=14,
    tables={
        "paths": table("paths", "paths/{game}"),
        "paths_games": table("paths", "paths_games/{game}"),
        "paths_branches": table("paths", "paths_branches/{game}"),
        "paths_equilibria": table("paths", "paths_equilibria/{game}"),
        "paths_generated": Table("paths_generated", _grids),
        "paths_annealing": table("paths_annealing", "paths_annealing/{game}"),
    },
    figures={"paths": ("paths_branches",), "paths_cost": ("paths", "paths_games"), "paths_annealing": ("paths_annealing",)},
    claims={
        "C10-price": Claim(
            words="as the regularizer weakens, its cost tends to what the limit's own randomness costs, per unit of strength",
            rival="the cost is all of the bound",
            standing="ours",
            nature="check",
            judge="price_of_limit",
            tables=("paths_games",),
            tolerance=1e-3,
            steps=("paths",),
            figure="paths_cost",
        ),
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
        "C10-annealing": Claim(
            words="lowering the strength from epoch to epoch saves no samples against the final strength from the start",
            rival="it halves the samples",
            standing="ours",
            judge="annealing",
            tables=("paths_annealing",),
            tolerance=0.2,
            steps=("paths_annealing",),
            figure="paths_annealing",
        ),
    },
)
