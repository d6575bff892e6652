"""Experiment: what one would run on one trajectory of N agents."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, table


def _claim(words: str, rival: str) -> Claim:
    return Claim(
        words=words,
        rival=rival,
        standing="ours",
        judge="fewer_samples",
        tables=("one_trajectory",),
        steps=("one_trajectory",),
        figure="one_trajectory",
    )


EXPERIMENT = Experiment(
    title="many methods on one trajectory",
    place=14,
    tables={
        "one_trajectory": table("one_trajectory", "one_trajectory/{game}"),
        "one_trajectory_samples": table("one_trajectory", "one_trajectory_samples/{game}"),
    },
    figures={"one_trajectory": ("one_trajectory",)},
    claims={
        "C8-kept": _claim(
            "PMA that keeps Q from epoch to epoch needs at most half the samples of PMA that starts each anew",
            "it needs as many",
        ),
        "C8-one-loop": _claim(
            "one loop with a slow policy needs at most half the samples of PMA in epochs",
            "it needs as many",
        ),
        "C8-slow": _claim(
            "a policy that follows Q slowly needs at most half the samples of one that follows at once",
            "it needs as many",
        ),
        "C8-pooled": _claim(
            "a critic of all agents' transitions needs at most a tenth of the steps of a critic of one agent's",
            "it needs a third",
        ),
    },
)
