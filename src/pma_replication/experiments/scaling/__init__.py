"""Experiment: how samples to an accuracy grow with the size of a game, its horizon and its rare events."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, Settings, Table


def _lines(settings: Settings) -> list[str]:
    return [f"scaling/{line}" for line in settings["scaling"]["lines"]]


EXPERIMENT = Experiment(
    title="how samples grow with a game's size, its horizon and its rare events",
    place=8,
    tables={"scaling": Table("scaling", _lines)},
    figures={"scaling": ("scaling",)},
    claims={
        "C4-scaling": Claim(
            words="with a game's size, horizon and rare events, samples grow more slowly than the theorem's schedule",
            rival="they grow just as the theorem's schedule does",
            standing="sharpened",
            judge="below_theorem",
            tables=("scaling",),
            tolerance="samples_slope_tolerance",
            figure="scaling",
        ),
        "C4-scaling-exact": Claim(
            words="with a game's size, horizon and rare events, samples grow as the exact noise of TD learning says",
            rival="the exponent is off by a half",
            standing="ours",
            judge="as_exact",
            tables=("scaling",),
            tolerance="samples_slope_tolerance",
            figure="scaling",
        ),
    },
)
