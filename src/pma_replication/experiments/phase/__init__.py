"""Experiment: which strengths and step sizes contract."""

from __future__ import annotations

from pma_replication.experiment import RATIO_ROUNDING, Claim, Experiment, table

EXPERIMENT = Experiment(
    title="which strengths and step sizes contract",
    place=3,
    tables={
        "phase": table("phase", "phase/{game}"),
        "certified_strengths": table("phase", "certified_strengths/{game}"),
    },
    figures={"phase": ("phase",)},
    claims={
        "C1b-radius": Claim(
            words="near the equilibrium PMA is no slower than any bound says, over strengths and step sizes",
            rival="the bounds could be half as large",
            standing="ours",
            judge="certified_radius",
            tables=("phase",),
            tolerance=RATIO_ROUNDING,
            steps=("phase",),
            figure="phase",
        ),
        "C1e": Claim(
            words="PMA comes back to the equilibrium from nearby exactly where theory says so",
            rival="there is no game: PMA comes back from everywhere nearby",
            standing="ours",
            judge="regions",
            tables=("phase",),
            steps=("phase",),
            figure="phase",
        ),
        "C1f": Claim(
            words="our certificate covers regularizers at least as weak as the bound of section 5.1 does",
            rival="the certificate covers no weaker regularizers than the bound does",
            standing="ours",
            judge="certified_strengths",
            tables=("certified_strengths",),
            steps=("strengths",),
            figure="phase",
            more=("phase",),
        ),
    },
)
