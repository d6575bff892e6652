"""Experiment: one trajectory against methods with a generative model."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, table

EXPERIMENT = Experiment(
    title="one trajectory against methods with a generative model",
    place=13,
    tables={
        "comparison": table("comparison", "comparison/{game}"),
        "tuning": table("comparison", "tuning/{game}"),
        "samples_to_accuracy": table("comparison", "samples_to_accuracy/{game}"),
    },
    figures={"comparison": ("comparison",)},
    claims={
        "C8": Claim(
            words="PMA learns the equilibrium on one trajectory, without resetting the population",
            rival="nothing is learned: PMA stays where it starts",
            standing="paper",
            judge="no_generative_model",
            tables=("comparison", "samples_to_accuracy"),
            steps=("comparison",),
            figure="comparison",
        ),
    },
)
