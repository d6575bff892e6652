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
    figures={"orbit": ("orbits", "attractors", "damping")},
    claims={
        "C2-failure": Claim(
            words="best response fails where its Jacobian's spectral radius exceeds 1",
            rival="the spectral radius plays no role: best response fails as often where it is below 1",
            standing="ours",
            judge="best_response_fails",
            tables=("damping",),
            steps=("orbit",),
            figure="orbit",
            more=("dynamics",),
        ),
        "C2-cycle": Claim(
            words="where best response fails, PMA with a moderate step converges",
            rival="best response from the same starts does as well",
            standing="ours",
            judge="damped",
            tables=("damping",),
            steps=("orbit",),
            figure="orbit",
            more=("dynamics",),
        ),
        "C2-fastest": Claim(
            words="where best response fails, PMA with the step that is fastest near the equilibrium converges",
            rival="best response from the same starts does as well",
            standing="ours",
            judge="damped_fastest",
            tables=("damping",),
            steps=("orbit",),
            figure="orbit",
            more=("dynamics",),
        ),
    },
)
