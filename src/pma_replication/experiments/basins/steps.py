"""What `pma-mfg verify` runs on one game, and what it costs: games with several equilibria."""

from __future__ import annotations

from pma_replication.experiments.basins import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _basins(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return measure.basins(
        subject.game,
        subject.regularizer,
        subject.policy,
        name=subject.name,
        step_sizes=subject.step_sizes(settings),
        n_starts=settings["n_starts"],
        max_iterations=settings["max_iterations"],
        seed=seed,
        after_run=advance,
    )


STEPS = {
    "basins": Step(
        section="basins",
        ticks=lambda s: 2 * len(s["step_sizes"]) + 3,
        run=_basins,
        seconds=lambda u, s: 2 * len(s["step_sizes"]) * s["n_starts"] * 0.2 * s["max_iterations"] * u.pma,
    ),
}
