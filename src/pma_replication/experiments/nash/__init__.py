"""Experiment: what one agent among N gains by deviating."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, table

EXPERIMENT = Experiment(
    title="what one agent among N gains by deviating",
    place=11,
    tables={
        "nash": table("nash", "nash/{game}"),
    },
    figures={"nash": ("nash",)},
    claims={
        "C7": Claim(
            words="in the game of N agents, one who deviates gains at most of order 1/sqrt(N)",
            judge="gap_bound",
            tables=("nash",),
            tolerance="slope_tolerance",
            steps=("nash",),
            figure="nash",
        ),
        "C7-order": Claim(
            words="with a regularizer the gain is of order 1/N",
            judge="gap_order",
            tables=("nash",),
            tolerance="slope_tolerance",
            steps=("nash",),
            figure="nash",
        ),
        "C7-tight": Claim(
            words="without one, where all actions are equally good, it is of order 1/sqrt(N)",
            judge="gap_tight",
            tables=("nash",),
            tolerance="slope_tolerance",
            steps=("nash",),
            figure="nash",
        ),
        "C7-constant": Claim(
            words="the gain has the predicted constant",
            judge="gap_constant",
            tables=("nash",),
            tolerance="constant_tolerance",
            steps=("nash",),
            figure="nash",
        ),
    },
)
