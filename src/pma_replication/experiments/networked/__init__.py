"""Experiment: agents that pass their policies on."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, Settings, Table


def _games(settings: Settings) -> list[str]:
    return [f"networked/{game}" for game in settings["networked"]["tasks"]]


#: The exact ratio of two exploitabilities is met within this many powers of ten, a factor of two.
AGREEMENT = 0.3

#: A lead counts from this share on.
LEAD = 0.1

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
        "C9-independent": _claim(
            "independent agents hardly learn (Benjamin and Abate): less than a quarter of what a central learner does",
            "they learn as much as a central learner",
            "independent_hardly",
            HARDLY,
        ),
        "C9-buffer": _claim(
            "independent agents hardly learn, also with a replay buffer",
            "they learn as much as a central learner with a buffer",
            "buffered_hardly",
            HARDLY,
        ),
        "C9-between": _claim(
            "networked agents learn in a number of samples between independent agents and a central learner",
            "to pass policies on changes nothing",
            "between",
        ),
        "C9-faster": _claim(
            "networked agents learn faster than a central learner (Benjamin and Abate)",
            "they learn as fast",
            "faster",
            LEAD,
        ),
        "C9-scores": _claim(
            "agents that adopt by returns learn faster than those that adopt by chance",
            "the scores play no role",
            "scores",
            LEAD,
        ),
        "C9-agreement": _claim(
            "agents who agree on one learned policy are more exploitable than independent ones, by what Jacobians say",
            "agreement changes nothing",
            "agreement",
            AGREEMENT,
        ),
    },
)
