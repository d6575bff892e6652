"""What `pma-mfg verify` runs on one game, and what it costs: exact methods side by side."""

from __future__ import annotations

from pma_mfg import iterations
from pma_replication.experiments.dynamics import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _dynamics(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return measure.compare(
        subject.game,
        subject.regularizer,
        subject.policy,
        name=subject.name,
        n_starts=settings["n_starts"],
        max_iterations=settings["max_iterations"],
        seed=seed,
        after_run=advance,
    )


STEPS = {
    "dynamics": Step(
        section="dynamics",
        ticks=lambda s: s["n_starts"] * len(iterations.METHODS),
        run=_dynamics,
        seconds=lambda u, s: s["n_starts"] * (s["max_iterations"] * 1.5 * (u.pma + u.exploitability)) + 60 * u.jacobian,
    ),
}
