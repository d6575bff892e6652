"""Experiment: the error of temporal-difference learning."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, table

#: Relative tolerance on the exponent of the mixing bias: a complex pair of eigenvalues makes the bias oscillate around
#: its line, and faster modes still contribute at small M_mix.
MIXING_TOLERANCE = 0.1

EXPERIMENT = Experiment(
    title="the error of temporal-difference learning",
    place=7,
    tables={
        "ctd": table("ctd", "ctd/{game}_{n_agents}", n_agents="populations"),
        "ctd_floor": table("ctd", "ctd_floor/{game}_{n_agents}", n_agents="populations"),
        "moments": table("ctd", "moments/{game}"),
    },
    figures={"ctd": ("ctd", "moments")},
    claims={
        "C3": Claim(
            words="the error of TD learning halves with four times the updates",
            rival="the error falls like the updates to the power -1/4, or like 1 over them, as what is left of the "
            "start does",
            standing="paper",
            judge="td_rate",
            tables=("ctd",),
            tolerance="slope_tolerance",
            steps=("ctd_many",),
            figure="ctd",
            more=("ctd_few", "ctd_moments"),
        ),
        "C3-mixing": Claim(
            words="what is lost by not waiting between updates falls geometrically, at the predicted rate",
            rival="the bias fades at the rate L_pop of the worst case",
            standing="sharpened",
            judge="mixing",
            tables=("moments",),
            tolerance=MIXING_TOLERANCE,
            steps=("ctd_moments",),
            figure="ctd",
            more=("ctd_many", "ctd_few"),
        ),
        "C3-floor": Claim(
            words="with few agents the error of TD learning ends where predicted",
            rival="the error ends at nothing, or a tenth beside the predicted end",
            standing="sharpened",
            judge="floor_reached",
            tables=("ctd_floor", "moments"),
            tolerance="slope_tolerance",
            steps=("ctd_few", "ctd_moments"),
            figure="ctd",
            more=("ctd_many",),
        ),
        "C3-floor-rate": Claim(
            words="this end falls with the number of agents as predicted",
            rival="it falls with the other order, 1/N in place of 1/sqrt(N) or the reverse",
            standing="sharpened",
            judge="floor_rate",
            tables=("ctd_floor", "moments"),
            tolerance="slope_tolerance",
            steps=("ctd_few", "ctd_many", "ctd_moments"),
            figure="ctd",
        ),
    },
)
