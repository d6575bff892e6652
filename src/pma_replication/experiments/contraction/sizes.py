"""Sizes that fit one game: exact PMA from several starts."""

from __future__ import annotations

import math

from pma_replication.plan import Settings, Subject, rounded

#: Most iterations of a run: with smaller steps than a hundredth of 1 / rho a run would take minutes.
LONGEST = 20_000


def _contraction(subject: Subject) -> Settings:
    """Return step sizes at which PMA takes tens of iterations, so that a rate can be fitted, in halves."""
    rho = subject.regularizer.rho
    largest = min(0.2, 0.3 * subject.near.best("euclidean") * rho)
    # the slowest of the three falls by twelve decades at 1 / (1 + relative) without any coupling; twice that
    enough = 2.0 * 12.0 * math.log(10.0) / math.log1p(0.25 * largest)
    return {
        "step_sizes": [rounded(largest * share, 2) for share in (0.25, 0.5, 1.0)],
        "n_starts": 6,
        "max_iterations": min(LONGEST, math.ceil(enough)),
    }


SIZES = {"contraction": _contraction}
