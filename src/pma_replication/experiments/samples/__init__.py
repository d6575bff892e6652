"""Experiment: how many samples an accuracy costs."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, Settings, Table, table


def _tuned(settings: Settings) -> list[str]:
    games = settings["epsilon_sweep"]["games"]
    return [f"epsilon/{game}_{epsilon}" for game, tuned in games.items() for epsilon in tuned["epsilons"]]


def _prescribed(settings: Settings) -> list[str]:
    games = settings["prescribed"]["games"]
    return [f"prescribed/{game}_{epsilon}" for game, epsilons in games.items() for epsilon in epsilons]


EXPERIMENT = Experiment(
    title="how many samples an accuracy costs",
    place=8,
    tables={
        "epsilon": Table("epsilon_sweep", _tuned),
        "schedules": table("prescribed", "schedules/{game}"),
        "prescribed": Table("prescribed", _prescribed),
    },
    figures={"samples": ("schedules", "epsilon", "prescribed", "independent_epsilon")},
    claims={
        "C4": Claim(
            words="half the error costs learning at most four times the samples (and logarithms)",
            rival="the samples grow like 1 over the error to the power 4, or 1, as while the start fades",
            standing="paper",
            judge="samples_slope",
            tables=("epsilon",),
            tolerance="samples_slope_tolerance",
            steps=("epsilon",),
            figure="samples",
        ),
        "C4-accuracy": Claim(
            words="learning ends within the accuracy that it was tuned for",
            rival="nothing is learned: the error stays what it is at the start",
            standing="sharpened",
            judge="accuracy",
            tables=("epsilon",),
            steps=("epsilon",),
            figure="samples",
        ),
        "C4-prescribed": Claim(
            words="run exactly as the theorem prescribes, learning ends within its accuracy",
            rival="nothing is learned: the error stays what it is at the start",
            standing="sharpened",
            judge="prescribed",
            tables=("prescribed",),
            steps=("prescribed",),
            figure="samples",
        ),
        "C4-conservative": Claim(
            words="the theorem asks for more samples than are needed",
            rival="the theorem's constants are right within a factor of 2",
            standing="ours",
            judge="conservative",
            tables=("epsilon", "prescribed"),
            steps=("epsilon", "prescribed"),
            figure="samples",
        ),
    },
)
