"""What `pma-mfg verify` runs on one game, and what it costs: many methods on one trajectory."""

from __future__ import annotations

import math

from pma_replication import plan
from pma_replication.cost import Units
from pma_replication.experiments.comparison import measure as comparison
from pma_replication.experiments.one_trajectory import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _grids(settings: Settings) -> measure.Grids:
    """Return the values to tune over, without the files of methods."""
    return {
        method: {name: values for name, values in grid.items() if name != "file"}
        for method, grid in settings["methods"].items()
    }


def _one_trajectory(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    table = measure.compare(
        subject.need_features("one_trajectory"),
        subject.regularizer,
        subject.name,
        grids=_grids(settings),
        files={method: grid["file"] for method, grid in settings["methods"].items() if "file" in grid},
        n_agents=settings["n_agents"],
        budget=settings["budget"],
        per_decade=settings["per_decade"],
        target=settings["target"],
        n_replicates=settings["n_replicates"],
        seed=seed,
        shorter=settings.get("shorter"),
        far=max(settings["accuracies"]),
        after_run=advance,
    )
    samples = comparison.samples_to_accuracy(table, settings["accuracies"], plan.TOLERANCES["confidence"], plain=False)
    return {"one_trajectory": table, "one_trajectory_samples": samples}


def _runs(settings: Settings) -> int:
    tried = sum(math.prod(len(values) for values in grid.values()) for grid in _grids(settings).values())
    return int(tried * settings["n_replicates"])


def _seconds(units: Units, settings: Settings) -> float:
    measured = 1 + settings["per_decade"] * math.log10(settings["budget"] / 10)
    return float(
        _runs(settings) * (3 * settings["budget"] * units.step + measured * (units.exploitability + units.pma))
    )


STEPS = {
    "one_trajectory": Step(section="one_trajectory", ticks=_runs, run=_one_trajectory, seconds=_seconds),
}
