"""Experiment: how loose the Lipschitz bounds are."""

from __future__ import annotations

from pma_replication.experiment import RATIO_ROUNDING, Claim, Experiment, table

#: A pair that stands for a derivative lies 1e-5 apart, so its ratio carries some six digits next to the exact norm.
PAIR_ROUNDING = 1e-6

EXPERIMENT = Experiment(
    title="how loose the Lipschitz bounds are",
    place=1,
    tables={
        "bounds": table("bounds", "bounds/{game}"),
    },
    figures={"bounds": ("bounds",)},
    claims={
        "C1a": Claim(
            words="the maps that learning is made of stretch distances by no more than the stated constants",
            judge="operator_bounds",
            tables=("bounds",),
            tolerance=RATIO_ROUNDING,
            steps=("bounds",),
            figure="bounds",
        ),
        "C1b": Claim(
            words="one step of PMA stretches distances by no more than the paper's bound",
            judge="jacobian_norm",
            tables=("bounds",),
            tolerance=RATIO_ROUNDING,
            steps=("bounds",),
            figure="bounds",
        ),
        "C1b-certificate": Claim(
            words="nor by more than our sharper certificate, among the policies that PMA reaches",
            judge="certified_norm",
            tables=("bounds",),
            tolerance=RATIO_ROUNDING,
            steps=("bounds",),
            figure="bounds",
        ),
        "C1b-search": Claim(
            words="the search behind these two misses no pair (a check of the search itself)",
            judge="pairs_below_norm",
            tables=("bounds",),
            tolerance=PAIR_ROUNDING,
            steps=("bounds",),
            figure="bounds",
        ),
    },
)
