"""What `pma-mfg verify` runs on one game, and what it costs: exact methods side by side."""

from __future__ import annotations

from pma_mfg import iterations
from pma_replication.experiments.dynamics import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _dynamics(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    of = (subject.game, subject.regularizer, subject.policy, subject.name)
    return measure.compare(*of, settings["n_starts"], settings["max_iterations"], seed, advance)


STEPS = {
    "dynamics": Step(
        section="dynamics",
        ticks=lambda s: s["n_starts"] * len(iterations.METHODS),
        run=_dynamics,
        seconds=lambda u, s: s["n_starts"] * (s["max_iterations"] * 1.5 * (u.pma + u.exploitability)) + 60 * u.jacobian,
    ),
}
