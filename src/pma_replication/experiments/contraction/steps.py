"""What `pma-mfg verify` runs on one game, and what it costs: exact PMA from several starts."""

from __future__ import annotations

from pma_replication.experiments.contraction import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _contraction(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    solved = subject.game, subject.regularizer, subject.policy
    sizes = {key: settings[key] for key in ("n_starts", "max_iterations")} | {"seed": seed}
    runs = {"name": subject.name, "step_sizes": subject.step_sizes(settings), **sizes}
    iterates, rates = measure.pma_convergence(*solved, **runs, after_run=advance)
    certified = measure.certified_convergence(*solved, **runs)
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
