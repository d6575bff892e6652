"""What `pma-mfg verify` runs on one game, and what it costs: the table of games."""

from __future__ import annotations

from pma_replication.plan import Step

STEPS = {
    # only the pipeline runs it
    "literature": Step(
        section="literature", seconds=lambda u, s: (s["n_starts"] + 1) * 3 * u.solution + 20 * u.jacobian
    ),
}
