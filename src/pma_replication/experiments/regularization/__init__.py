"""Experiment: what regularization costs, and learning with less and less of it."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, table

EXPERIMENT = Experiment(
    title="what regularization costs",
    place=14,
    tables={
        "regularization": table("regularization", "regularization/{game}"),
        "regularization_games": table("regularization", "regularization_games/{game}"),
        "annealing": table("regularization_annealing", "annealing/{game}"),
    },
    figures={"regularization": ("regularization", "regularization_games", "annealing")},
    spare={"annealing": ()},
    claims={
        "C10-price": Claim(
            words="as a regularizer weakens, its cost per unit of strength tends to that of the limit's randomness",
            rival="the cost is all of the bound",
            standing="ours",
            nature="check",
            judge="price_of_limit",
            tables=("regularization_games",),
            tolerance=1e-3,
            steps=("regularization",),
            figure="regularization",
            more=("annealing",),
        ),
        "C10-annealing": Claim(
            words="lowering the strength from epoch to epoch saves no samples against the last one from the start",
            rival="it halves the samples",
            standing="ours",
            judge="annealing",
            tables=("annealing",),
            tolerance=0.2,
            steps=("annealing",),
            figure="regularization",
            more=("regularization",),
        ),
    },
)
