"""What `pma-mfg verify` runs on one game, and what it costs: the path of equilibria, and its branches."""

from __future__ import annotations

from pma_replication.plan import Step

STEPS = {
    # only the pipeline runs it; a path has some twenty points of three Newton steps each, a random start some ten
    "paths": Step(
        section="paths",
        seconds=lambda u, s: (100 + 20 * len(s["strengths"]) * s["games"]["n_starts"]) * u.jacobian,
    ),
}
