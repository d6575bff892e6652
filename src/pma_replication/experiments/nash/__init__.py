"""Experiment: what one agent among N gains by deviating."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, table

EXPERIMENT = Experiment(
    title="what one agent among N gains by deviating",
    place=12,
    tables={
        "nash": table("nash", "nash/{game}"),
    },
    figures={"nash": ("nash",)},
    claims={
        "C7": Claim(
            words="in the game of N agents, one who deviates gains at most of order 1/sqrt(N)",
            rival="the gain falls more slowly, as N^(-1/4)",
            standing="paper",
            judge="gap_bound",
            tables=("nash",),
            tolerance="slope_tolerance",
            steps=("nash",),
            figure="nash",
        ),
        "C7-order": Claim(
            words="with a regularizer the gain is of order 1/N",
            rival="the gain falls as 1/sqrt(N), as the paper's bound allows, or as 1/N^2",
            standing="sharpened",
            judge="gap_order",
            tables=("nash",),
            tolerance="slope_tolerance",
            steps=("nash",),
            figure="nash",
        ),
        "C7-tight": Claim(
            words="without one, where all actions are equally good, it is of order 1/sqrt(N)",
            rival="the gain falls as 1/N, or as 1/N^2",
            standing="sharpened",
            judge="gap_tight",
            tables=("nash",),
            tolerance="slope_tolerance",
            steps=("nash",),
            figure="nash",
        ),
        "C7-constant": Claim(
            words="the gain has the predicted constant",
            rival="the constant is off by a tenth",
            standing="sharpened",
            judge="gap_constant",
            tables=("nash",),
            tolerance="constant_tolerance",
            steps=("nash",),
            figure="nash",
        ),
    },
)
