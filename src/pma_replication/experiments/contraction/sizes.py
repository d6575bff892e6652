"""Sizes that fit one game: exact PMA from several starts."""

from __future__ import annotations

import math

from pma_replication.plan import Settings, Subject, rounded


def _contraction(subject: Subject) -> Settings:
    """Return step sizes at which PMA takes tens of iterations, so that a rate can be fitted, in halves."""
    rho = subject.regularizer.rho
    largest = min(0.2, 0.3 * subject.near.best("euclidean") * rho)
    return {
        "step_sizes": [rounded(largest * share, 2) for share in (0.25, 0.5, 1.0)],
        "n_starts": 6,
        # the slowest of the three falls by twelve decades at 1 / (1 + relative) without any coupling; twice that
        "max_iterations": math.ceil(2.0 * 12.0 * math.log(10.0) / math.log1p(0.25 * largest)),
    }


SIZES = {"contraction": _contraction}
