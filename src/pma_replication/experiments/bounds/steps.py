"""What `pma-mfg verify` runs on one game, and what it costs: the search for pairs that beat a Lipschitz bound."""

from __future__ import annotations

from pma_replication.experiments.bounds import measure
from pma_replication.plan import Advance, Settings, Step, Subject, Tables


def _bounds(subject: Subject, settings: Settings, seed: int, advance: Advance) -> Tables:
    return {
        "bounds": measure.operator_ratios(
            subject.game,
            subject.regularizer,
            subject.name,
            step_sizes=subject.step_sizes(settings),
            n_pairs=settings["n_pairs"],
            n_ascents=settings["n_ascents"],
            seed=seed,
            after_operator=advance,
        )
    }


STEPS = {
    "bounds": Step(
        section="bounds",
        ticks=lambda s: 5 + 4 * len(s["step_sizes"]),
        run=_bounds,
        seconds=lambda u, s: (
            (5 + 3 * len(s["step_sizes"]))
            * ((s["n_ascents"] + 1) * 6 * u.n_states * u.n_actions * u.jacobian + s["n_pairs"] * 2 * u.pma)
        ),
    ),
}
