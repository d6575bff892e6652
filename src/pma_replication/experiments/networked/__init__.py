"""Experiment: agents that pass their policies on."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, Settings, Table


def _games(settings: Settings) -> list[str]:
    return [f"networked/{game}" for game in settings["networked"]["tasks"]]


#: "Hardly learns" means at most this share of what a central learner improves.
HARDLY = 0.25


def _claim(words: str, rival: str, judge: str, tolerance: float = 0.0) -> Claim:
    return Claim(
        words=words,
        rival=rival,
        standing="ours",
        judge=judge,
        tables=("networked",),
        tolerance=tolerance,
        figure="networked",
    )


EXPERIMENT = Experiment(
    title="agents that pass their policies on",
    place=11,
    tables={"networked": Table("networked", _games)},
    figures={"networked": ("networked",)},
    claims={
        "C10-independent": _claim(
            "independent agents hardly learn (Benjamin and Abate): less than a quarter of what a central learner does",
            "they learn as much as a central learner",
            "independent_hardly",
            HARDLY,
        ),
        "C10-buffer": _claim(
            "independent agents hardly learn, also with a replay buffer",
            "they learn as much as a central learner with a buffer",
            "buffered_hardly",
            HARDLY,
        ),
        "C10-between": _claim(
            "networked agents learn in a number of samples between independent agents and a central learner",
            "to pass policies on changes nothing",
            "between",
        ),
        "C10-faster": _claim(
            "networked agents learn faster than a central learner (Benjamin and Abate)",
            "they learn as fast",
            "faster",
        ),
        "C10-scores": _claim(
            "agents that adopt by returns learn faster than those that adopt by chance",
            "the scores play no role",
            "scores",
        ),
        "C10-agreement": _claim(
            "agreement helps or hurts as the Jacobians say: by the size of the step against the strength of the game",
            "agreement changes nothing",
            "agreement",
        ),
    },
)
