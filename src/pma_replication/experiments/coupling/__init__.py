"""Experiment: mirror ascent and best response with one TD budget, over the strength of the coupling."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, table

EXPERIMENT = Experiment(
    title="mirror ascent and best response with one budget of samples, over the strength of the coupling",
    place=9,
    tables={"coupling": table("coupling", "coupling/{game}")},
    figures={"coupling": ("coupling",)},
    claims={
        "C4-coupled": Claim(
            words="mirror ascent learns the equilibrium, however strongly agents affect each other",
            rival="mirror ascent does not get away from where it starts",
            standing="sharpened",
            judge="mirror_ascent",
            tables=("coupling",),
            steps=("coupling",),
            figure="coupling",
        ),
        "C4-blind": Claim(
            words="mirror ascent learns the equilibrium also with a schedule that asks for nothing but the simulator",
            rival="mirror ascent with this schedule does not get away from where it starts",
            standing="ours",
            judge="blind",
            tables=("coupling",),
            steps=("coupling",),
            figure="coupling",
        ),
        "C4-coupled-slope": Claim(
            words="however strongly agents affect each other, half the error costs at most four times the samples",
            rival="half the error costs sixteen times the samples",
            standing="sharpened",
            judge="slope",
            tables=("coupling",),
            tolerance="samples_slope_tolerance",
            steps=("coupling",),
            figure="coupling",
        ),
        "C4-best-response": Claim(
            words="best response with the same samples learns the equilibrium just where its Jacobian's spectral "
            "radius is below 1",
            rival="best response does on the one side of 1 what it does on the other",
            standing="ours",
            judge="best_response",
            tables=("coupling",),
            steps=("coupling",),
            figure="coupling",
        ),
        "C4-price": Claim(
            words="mirror ascent saves over half of the samples where best response is unstable, and not elsewhere",
            rival="mirror ascent saves over half everywhere, or nowhere",
            standing="ours",
            judge="price",
            tables=("coupling",),
            tolerance=0.5,
            steps=("coupling",),
            figure="coupling",
        ),
    },
)
