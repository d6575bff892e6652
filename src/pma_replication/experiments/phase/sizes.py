"""Sizes that fit one game: the plane of strength and step size."""

from __future__ import annotations

from pma_replication.plan import Settings, Subject, rounded


def _phase(subject: Subject) -> Settings:
    subject.need_features("phase")
    strength = subject.regularizer.rho
    return {
        "strengths": {"low": rounded(0.1 * strength, 2), "high": rounded(1e4 * strength, 2), "count": 11},
        "step_sizes": {"low": 0.01, "high": 100, "count": 7},
        "n_probes": 4,
    }


SIZES = {"phase": _phase}
