"""Experiment: many generated games."""

from __future__ import annotations

from pma_replication.experiment import RATIO_ROUNDING, Claim, Experiment, Settings, Table


def _batches(settings: Settings) -> list[str]:
    from pma_replication.experiments.atlas.settings import batches

    return [f"atlas/{batch}" for batch in range(len(batches(settings)))]


EXPERIMENT = Experiment(
    title="many generated games",
    place=15,
    tables={
        "atlas": Table("atlas", _batches),
    },
    figures={"atlas": ("atlas",)},
    claims={
        "C1b-atlas": Claim(
            words="in many games, the norm of the Jacobian at the equilibrium is below every bound",
            rival="the bounds could be half as large",
            standing="ours",
            judge="atlas_bounds",
            tables=("atlas",),
            tolerance=RATIO_ROUNDING,
        ),
        "C1d-atlas": Claim(
            words="in many games, PMA converges wherever a bound is below 1",
            rival="the bounds play no role: PMA converges as often in the games that they do not certify",
            standing="ours",
            judge="atlas_convergence",
            tables=("atlas",),
        ),
        "C1c-atlas": Claim(
            words="in many games, PMA approaches the equilibrium at the rate that its Jacobian predicts",
            rival="there is no game: the rate is that of one agent whose population stays at the equilibrium",
            standing="sharpened",
            judge="atlas_rate",
            tables=("atlas",),
            tolerance="rate_tolerance",
        ),
        "C6-atlas": Claim(
            words="in many games, finitely many agents shift what is learned as predicted",
            rival="the constant is off by a tenth",
            standing="sharpened",
            judge="atlas_bias",
            tables=("atlas",),
        ),
        "C4-atlas": Claim(
            words="in many games, learning ends within the accuracy that it was tuned for",
            rival="learning ends anywhere: better than the start in one game of two",
            standing="sharpened",
            judge="atlas_learning",
            tables=("atlas",),
        ),
    },
)
