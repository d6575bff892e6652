"""What `pma-mfg verify` runs on one game, and what it costs: exact PMA from several starts."""

from __future__ import annotations

from pma_replication.experiments.contraction import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _contraction(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    iterates, rates = measure.pma_convergence(
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
    certified = measure.certified_convergence(
        subject.game,
        subject.regularizer,
        subject.policy,
        name=subject.name,
        step_sizes=subject.step_sizes(settings),
        n_starts=settings["n_starts"],
        max_iterations=settings["max_iterations"],
        seed=seed,
    )
    advance()
    return {"iterates": iterates, "rates": rates, "certified": certified}


STEPS = {
    "contraction": Step(
        section="contraction",
        ticks=lambda s: 1 + s["n_starts"] * len(s["step_sizes"]),
        run=_contraction,
        seconds=lambda u, s: (
            s["n_starts"] * u.pma * sum(min(s["max_iterations"], 25 / u.decay(x)) for x in s["step_sizes"])
        ),
    ),
}
