"""Experiment: learners that share nothing."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, table

#: Sweeps of independent learning, by the setting that is varied; the others are as configured.
SWEEPS = ("populations", "updates", "step_sizes")

EXPERIMENT = Experiment(
    title="learners that share nothing",
    place=10,
    tables={
        "independent": table("independent", "independent/{game}_{sweep}", "independent/{game}_epsilons", sweep=SWEEPS),
        "independent_epsilon": table("independent", "independent_epsilon/{game}"),
    },
    figures={"independent": ("independent",)},
    claims={
        "C5": Claim(
            words="as C4, for agents who each learn alone",
            rival="learning alone costs more: the exponent is 2 + a with a of 1/4 or more",
            standing="ours",
            judge="independent_samples",
            tables=("independent_epsilon",),
            tolerance="samples_slope_tolerance",
            steps=("independent_epsilons",),
            figure="samples",
        ),
        "C5-updates": Claim(
            words="the error of a typical independent learner halves with four times the updates",
            rival="the error falls like the updates to the power -1/4, or like 1 over them, as what is left of the "
            "start does",
            standing="ours",
            judge="independent_updates",
            tables=("independent",),
            tolerance="slope_tolerance",
            steps=("independent_updates",),
            figure="independent",
            more=("independent_step_sizes", "independent_populations"),
        ),
        "C5-spread": Claim(
            words="independent learners disagree as much as noise predicts, and no more",
            rival="the disagreement is at least a quarter beside the predicted one",
            standing="ours",
            judge="independent_spread",
            tables=("independent",),
            tolerance="independent_tolerance",
            steps=("independent_updates",),
            figure="independent",
            more=("independent_step_sizes", "independent_populations"),
        ),
        "C5-eta": Claim(
            words="small steps damp their disagreement, with the root of the step size",
            rival="the disagreement does not depend on the step size, or is proportional to it",
            standing="ours",
            judge="independent_step",
            tables=("independent",),
            tolerance="independent_tolerance",
            steps=("independent_step_sizes",),
            figure="independent",
            more=("independent_updates", "independent_populations"),
        ),
        "C5-worst": Claim(
            words="the worst of N independent learners is off by a root of log N more than the typical one only",
            rival="the agents' errors have no normal tails: the worst of N is sqrt(N) deviations off (Chebyshev)",
            standing="ours",
            judge="independent_worst",
            tables=("independent",),
            tolerance="independent_tolerance",
            steps=("independent_populations",),
            figure="independent",
            more=("independent_updates", "independent_step_sizes"),
        ),
    },
)
