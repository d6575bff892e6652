"""Experiment: best response and mirror ascent while the regularizer weakens."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, table

EXPERIMENT = Experiment(
    title="best response and mirror ascent while the regularizer weakens",
    place=5,
    tables={
        "damping": table("orbit", "damping/{game}"),
        "attractors": table("orbit", "attractors/{game}"),
    },
    figures={"orbit": ("orbits", "attractors")},
    claims={
        "C2-failure": Claim(
            words="best response fails where its Jacobian's spectral radius exceeds 1",
            judge="best_response_fails",
            tables=("damping",),
            steps=("orbit",),
            figure="orbit",
            more=("dynamics",),
        ),
        "C2-cycle": Claim(
            words="where best response fails, PMA with a moderate step converges",
            judge="damped",
            tables=("damping",),
            steps=("orbit",),
            figure="orbit",
            more=("dynamics",),
        ),
        "C2-fastest": Claim(
            words="so does PMA with the step that is fastest near the equilibrium",
            judge="damped_fastest",
            tables=("damping",),
            steps=("orbit",),
            figure="orbit",
            more=("dynamics",),
        ),
    },
)
