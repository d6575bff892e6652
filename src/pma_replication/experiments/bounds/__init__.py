"""Experiment: how loose the Lipschitz bounds are."""

from __future__ import annotations

from pma_replication.experiment import RATIO_ROUNDING, Claim, Experiment, table

#: A pair that stands for a derivative lies 1e-5 apart, so its ratio carries some six digits next to the exact norm.
PAIR_ROUNDING = 1e-6

#: Claim -> the map that it is about, in plain words.
OPERATORS = {
    "C1a-update-mean-field": "one step of the population, as a map of the population,",
    "C1a-update-policy": "one step of the population, as a map of the policy,",
    "C1a-stable": "the population that a policy leads to",
    "C1a-q-mean-field": "the value of actions, as a map of the population,",
    "C1a-q-policy": "the value of actions, as a map of the policy,",
    "C1a-step": "one step of mirror ascent, for given values of actions,",
    "C1a-ascent": "one step of PMA, by pairs of policies,",
}

EXPERIMENT = Experiment(
    title="how loose the Lipschitz bounds are",
    place=1,
    tables={
        "bounds": table("bounds", "bounds/{game}"),
    },
    figures={"bounds": ("bounds",)},
    claims={
        **{
            claim: Claim(
                words=f"{words} stretches distances by no more than the stated constant",
                rival="the constant could be half as large",
                standing="sharpened",
                judge="operator_bounds",
                tables=("bounds",),
                tolerance=RATIO_ROUNDING,
                steps=("bounds",),
                figure="bounds",
            )
            for claim, words in OPERATORS.items()
        },
        "C1b": Claim(
            words="one step of PMA stretches distances by no more than the bound of section 5.1",
            rival="the bound could be half as large",
            standing="sharpened",
            judge="jacobian_norm",
            tables=("bounds",),
            tolerance=RATIO_ROUNDING,
            steps=("bounds",),
            figure="bounds",
        ),
        "C1b-certificate": Claim(
            words="among the policies that PMA reaches, one step of PMA stretches distances by no more than our "
            "sharper certificate",
            rival="the certificate could be half as large",
            standing="ours",
            judge="certified_norm",
            tables=("bounds",),
            tolerance=RATIO_ROUNDING,
            steps=("bounds",),
            figure="bounds",
        ),
        "C1b-search": Claim(
            words="the search behind C1b and C1b-certificate misses no pair (a check of the search itself)",
            rival="the search stops short, and some pair has a larger ratio than every norm that it found",
            standing="ours",
            nature="check",
            judge="pairs_below_norm",
            tables=("bounds",),
            tolerance=PAIR_ROUNDING,
            steps=("bounds",),
            figure="bounds",
        ),
    },
)
