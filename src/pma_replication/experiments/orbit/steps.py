"""What `pma-mfg verify` runs on one game, and what it costs: best response and PMA as the regularizer weakens."""

from __future__ import annotations

from pma_replication.experiments.orbit import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _orbit(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    table, attractors = measure.damping(
        subject.game,
        subject.regularizer,
        subject.name,
        strengths=settings["games"],
        shares=settings["step_shares"],
        n_starts=settings["n_starts"],
        max_iterations=settings["max_iterations"],
        seed=seed,
        after_run=advance,
    )
    return {"damping": table, "attractors": attractors}


STEPS = {
    "orbit": Step(
        section="orbit",
        ticks=lambda s: s["n_starts"] * len(s["games"]) * (1 + 2 * len(s["step_shares"])),
        run=_orbit,
        seconds=lambda u, s: (
            len(s["games"])
            * (s["n_starts"] * 0.07 * s["max_iterations"] * (1 + 2 * len(s["step_shares"])) * u.pma + 120 * u.jacobian)
        ),
    ),
}
