"""Experiment: how many samples an accuracy costs."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, Settings, Table, table


def _tuned(settings: Settings) -> list[str]:
    games = settings["samples_tuned"]["games"]
    return [f"samples_tuned/{game}_{epsilon}" for game, tuned in games.items() for epsilon in tuned["epsilons"]]


def _prescribed(settings: Settings) -> list[str]:
    games = settings["samples_prescribed"]["games"]
    return [f"samples_prescribed/{game}_{epsilon}" for game, epsilons in games.items() for epsilon in epsilons]


EXPERIMENT = Experiment(
    title="how many samples an accuracy costs",
    place=8,
    tables={
        "samples_tuned": Table("samples_tuned", _tuned),
        "samples_schedules": table("samples_prescribed", "samples_schedules/{game}"),
        "samples_prescribed": Table("samples_prescribed", _prescribed),
    },
    figures={"samples": ("samples_schedules", "samples_tuned", "samples_prescribed", "independent_epsilon")},
    spare={"samples_schedules": ("epsilon",), "samples_prescribed": ()},
    claims={
        "C4": Claim(
            words="half the error costs learning at most four times the samples (and logarithms)",
            rival="the samples grow like 1 over the error to the power 4, or 1, as while the start fades",
            standing="paper",
            judge="samples_slope",
            tables=("samples_tuned",),
            tolerance="samples_slope_tolerance",
            steps=("samples_tuned",),
            figure="samples",
        ),
        "C4-accuracy": Claim(
            words="learning ends within the accuracy that it was tuned for",
            rival="nothing is learned: the error stays what it is at the start",
            standing="sharpened",
            judge="accuracy",
            tables=("samples_tuned",),
            steps=("samples_tuned",),
            figure="samples",
        ),
        "C4-prescribed": Claim(
            words="run exactly as the theorem prescribes, learning ends within its accuracy",
            rival="nothing is learned: the error stays what it is at the start",
            standing="sharpened",
            judge="prescribed",
            tables=("samples_prescribed",),
            steps=("samples_prescribed",),
            figure="samples",
        ),
        "C4-conservative": Claim(
            words="the theorem asks for more samples than are needed",
            rival="the theorem's constants are right within a factor of 2",
            standing="ours",
            judge="conservative",
            tables=("samples_tuned", "samples_prescribed"),
            steps=("samples_tuned", "samples_prescribed"),
            figure="samples",
        ),
    },
)
