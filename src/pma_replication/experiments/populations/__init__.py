"""Experiment: what a finite number of agents does to what is learned."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, table

EXPERIMENT = Experiment(
    title="what a finite number of agents does to what is learned",
    place=10,
    tables={
        "population": table("population_sweep", "population/{game}_{n_agents}", n_agents="populations"),
        "limits": table("population_sweep", "limits/{game}"),
        "bias": table("bias", "bias/{game}_{n_agents}", n_agents="populations"),
        "exact": table("exact", "exact/{game}"),
        "agreement": table("agreement", "agreement/{game}"),
    },
    figures={"populations": ("bias", "exact", "population", "limits")},
    claims={
        "C6-smooth": Claim(
            words="the bias from finitely many agents falls as 1/N in a smooth game",
            rival="the bias falls as 1/sqrt(N), as the paper's bound allows",
            standing="sharpened",
            judge="bias_slope",
            tables=("bias",),
            tolerance="slope_tolerance",
            steps=("bias",),
            figure="populations",
        ),
        "C6-kinked": Claim(
            words="the bias falls as 1/sqrt(N) where rewards have a kink at the equilibrium",
            rival="the bias falls as 1/N, as in a smooth game",
            standing="sharpened",
            judge="bias_slope",
            tables=("bias",),
            tolerance="slope_tolerance",
            steps=("bias",),
            figure="populations",
        ),
        "C6-deviation": Claim(
            words="the population fluctuates by the predicted constant over sqrt(N)",
            rival="the constant is off by a tenth",
            standing="sharpened",
            judge="deviation_constant",
            tables=("bias",),
            tolerance="constant_tolerance",
            steps=("bias",),
            figure="populations",
        ),
        "C6-constant": Claim(
            words="the bias has the predicted constant",
            rival="the constant is off by a tenth",
            standing="sharpened",
            judge="bias_constant",
            tables=("bias",),
            tolerance="constant_tolerance",
            steps=("bias",),
            figure="populations",
        ),
        "C3-exact": Claim(
            words="the simulator learns what the exact N-agent game says",
            rival="what is learned is the limit of infinitely many agents",
            standing="ours",
            nature="check",
            judge="agreement",
            tables=("agreement",),
            steps=("agreement",),
            figure="populations",
            more=("bias", "exact"),
        ),
    },
)
