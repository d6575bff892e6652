"""What `pma-mfg verify` runs on one game, and what it costs: the plane of strength and step size."""

from __future__ import annotations

from pma_replication import plan
from pma_replication.experiments.phase import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _phase(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    game = subject.game.with_features(subject.name)
    strengths, step_sizes = (plan.grid(settings[axis]) for axis in ("strengths", "step_sizes"))
    found = measure.phase_diagram(
        game,
        subject.name,
        strengths,
        relative_step_sizes=step_sizes,
        n_probes=settings["n_probes"],
        seed=seed,
        after_strength=advance,
    )
    return {"phase": found}


def _strengths(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return {"certified_strengths": measure.certified_strengths(subject.need_features("phase"), subject.name)}


STEPS = {
    "phase": Step(
        section="phase",
        ticks=lambda s: 2 * int(s["strengths"]["count"]),
        run=_phase,
        seconds=lambda u, s: (
            2 * s["strengths"]["count"] * (u.solution + 12 * (2 + s["step_sizes"]["count"]) * u.jacobian)
        ),
    ),
    "strengths": Step(
        section="phase",
        ticks=lambda s: 0,
        run=_strengths,
        seconds=lambda u, s: 200 * (u.solution + 4 * u.jacobian),
        jobs=lambda s: 0,
    ),
}
