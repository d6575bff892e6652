"""Experiment: how fast exact policy mirror ascent converges."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, table

EXPERIMENT = Experiment(
    title="how fast exact policy mirror ascent converges",
    place=2,
    tables={
        "iterates": table("contraction", "iterates/{game}"),
        "rates": table("contraction", "rates/{game}"),
        "certified": table("contraction", "certified/{game}"),
    },
    figures={"contraction": ("iterates", "rates")},
    claims={
        "C1c": Claim(
            words="PMA approaches the equilibrium by a constant factor per step, the one that its Jacobian predicts",
            judge="linear_rate",
            tables=("rates",),
            tolerance="rate_tolerance",
            steps=("contraction",),
            figure="contraction",
        ),
        "C1d": Claim(
            words="where the paper's bound is below 1, PMA converges from everywhere",
            judge="certified_convergence",
            tables=("rates",),
            steps=("contraction",),
            figure="contraction",
        ),
        "C1d-certificate": Claim(
            words="where our certificate is below 1, PMA converges from everywhere in its set",
            judge="certified_runs",
            tables=("certified",),
            steps=("contraction",),
            figure="contraction",
        ),
    },
)
