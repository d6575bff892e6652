"""What `pma-mfg verify` runs on one game, and what it costs: PMA beside methods with a generative model."""

from __future__ import annotations

import math

from pma_replication import plan
from pma_replication.cost import Units
from pma_replication.experiments.comparison import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _comparison(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    comparison, tuning = measure.compare(
        subject.need_features("comparison"),
        subject.regularizer,
        subject.name,
        policy=subject.policy,
        grids=settings["methods"],
        n_agents=settings["n_agents"],
        budget=settings["budget"],
        pilot_budget=settings["pilot_budget"],
        per_decade=settings["per_decade"],
        target=settings["target"],
        n_pilots=settings["n_pilots"],
        n_replicates=settings["n_replicates"],
        seed=seed,
        after_run=advance,
    )
    accuracies = measure.samples_to_accuracy(comparison, settings["accuracies"], plan.TOLERANCES["confidence"])
    return {"comparison": comparison, "tuning": tuning, "samples_to_accuracy": accuracies}


def _runs(settings: Settings) -> tuple[int, int]:
    """Return how many runs tune, and how many are run in full."""
    tried = [math.prod(len(values) for values in grid.values()) for grid in settings["methods"].values()]
    contenders = measure.CONTENDERS if settings["n_replicates"] > 1 else 1
    in_full = sum(min(of_method, contenders) for of_method in tried)
    return sum(tried) * settings["n_pilots"], in_full * settings["n_replicates"]


def _seconds(units: Units, settings: Settings) -> float:
    pilots, reported = _runs(settings)
    samples: float = pilots * settings["pilot_budget"] + reported * settings["budget"]
    measured: float = (pilots + reported) * (1 + settings["per_decade"] * math.log10(settings["budget"] / 10))
    return samples * 0.3 * units.step + measured * (units.exploitability + units.pma)


STEPS = {
    "comparison": Step(section="comparison", ticks=lambda s: sum(_runs(s)), run=_comparison, seconds=_seconds),
}
