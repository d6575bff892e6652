"""Experiment: learners that share nothing."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, Settings, Table, table

#: Sweeps of independent learning, by the setting that is varied; the others are as configured.
SWEEPS = ("populations", "step_sizes")


def _accuracies(settings: Settings) -> list[str]:
    """Return the runs over the accuracy, in the games in which the figure `samples` shows them beside others."""
    chosen, beside = settings["independent"]["games"], settings.get("samples_tuned", {}).get("games", {})
    return [f"independent_epsilon/{game}" for game in [name for name in chosen if name in beside] or chosen]


def _games(settings: Settings) -> list[str]:
    chosen = settings["independent_games"]["games"]
    return [f"independent_games/{game}_{starts}" for game, alone in chosen.items() for starts in alone["starts"]]


EXPERIMENT = Experiment(
    title="learners that share nothing",
    place=10,
    tables={
        "independent": table("independent", "independent/{game}_{sweep}", sweep=SWEEPS),
        "independent_epsilon": Table("independent", _accuracies),
        "independent_games": Table("independent_games", _games),
    },
    figures={"independent": ("independent", "independent_games")},
    spare={"independent": (), "independent_epsilon": (), "independent_games": ()},
    claims={
        "C5": Claim(
            words="half the error costs agents who each learn alone at most four times the samples",
            rival="half the error costs sixteen times the samples",
            standing="ours",
            judge="independent_samples",
            tables=("independent_games",),
            tolerance="samples_slope_tolerance",
            steps=("independent_games",),
            figure="independent",
            more=("independent_step_sizes", "independent_populations"),
        ),
        "C5-starts": Claim(
            words="learning alone, half the error costs at most four times the samples also from unequal starts",
            rival="half the error costs sixteen times the samples",
            standing="ours",
            judge="unequal_starts",
            tables=("independent_games",),
            tolerance="samples_slope_tolerance",
            steps=("independent_games",),
            figure="independent",
            more=("independent_step_sizes", "independent_populations"),
        ),
        "C5-excess": Claim(
            words="learning alone costs no more than noise: the exponent of the samples is 2, not 2 + a",
            rival="learning alone costs more: the exponent is 2 + a with a of 1/4 or more",
            standing="ours",
            judge="independent_excess",
            tables=("independent_games",),
            tolerance=0.125,
            steps=("independent_games",),
            figure="independent",
            more=("independent_step_sizes", "independent_populations"),
        ),
        "C5-updates": Claim(
            words="the error of a typical independent learner halves with four times the updates",
            rival="the error falls like the updates to the power -1/4, or like 1 over them, as what is left of the "
            "start does",
            standing="ours",
            judge="independent_updates",
            tables=("independent_games",),
            tolerance="slope_tolerance",
            steps=("independent_games",),
            figure="independent",
            more=("independent_step_sizes", "independent_populations"),
        ),
        "C5-spread": Claim(
            words="independent learners disagree as much as noise predicts, and no more",
            rival="the disagreement is at least a quarter beside the predicted one",
            standing="ours",
            judge="independent_spread",
            tables=("independent_games",),
            tolerance="independent_tolerance",
            steps=("independent_games",),
            figure="independent",
            more=("independent_step_sizes", "independent_populations"),
        ),
        "C5-eta": Claim(
            words="small steps damp the disagreement of independent learners, with the root of the step size",
            rival="the disagreement does not depend on the step size, or is proportional to it",
            standing="ours",
            judge="independent_step",
            tables=("independent",),
            tolerance="independent_tolerance",
            steps=("independent_step_sizes",),
            figure="independent",
            more=("independent_games", "independent_populations"),
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
            more=("independent_games", "independent_step_sizes"),
        ),
    },
)
