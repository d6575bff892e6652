"""Sizes that fit one game: TD learning of a fixed policy."""

from __future__ import annotations

import math

from pma_mfg.populations import td_moments
from pma_replication.experiments.ctd.judge import LEFT_OF_MODE
from pma_replication.plan import BUDGET, MANY_AGENTS, Settings, Subject, spread_over, step_seconds

#: The slope of the TD error is fitted over at least this factor in M_td.
FITTED_FACTOR = 20.0

#: Fewest replicates.
FEWEST = 24

#: Shares of the largest M_td at which the error is measured, and largest one of it up to which it is computed exactly.
SHARES, EXACT_SHARE = (100, 50, 20, 10, 5, 2, 1), 5

#: Seconds of an update of the exact moments on the reference machine, for each of eight waiting times: at all, and for
#: the fourth power of the pairs. For sizes, which must not depend on a clock; `cost.Units.update` is timed.
UPDATE, UPDATE_PAIRS = 8e-6, 5e-10

#: Least share of `plan.BUDGET` for the exact moments, whatever the measurement takes.
MOMENTS_SHARE = 0.2


def _ctd(subject: Subject) -> Settings:
    """Return M_td of which the slope is fitted, a factor of 20, from `Subject.settled` on.

    Exact are the three largest of them, up to a fifth of the largest, that the moments reach in the time that is left.
    If they reach none, the error is measured where they end, too.
    """
    if not subject.least > 0.0:
        subject.need_learning("ctd")
    small = spread_over(subject.populations, 4)[:2] if subject.game.has_features else []
    populations = [*small, MANY_AGENTS] if len(small) == 2 else [10, 100, MANY_AGENTS]
    # three populations with all replicates, of which only the largest has them side by side; and there for the second
    # M_mix two steps in a quarter of the replicates
    alone, together = (step_seconds(subject.game, n) for n in (1, FEWEST))
    per_update = (len(populations) - 1) * alone + 1.5 * together
    fewest = FITTED_FACTOR * subject.settled
    n_replicates = int(min(64.0, BUDGET / (per_update * fewest)))
    if n_replicates < FEWEST:
        raise subject.too_long("ctd", FEWEST * per_update * fewest)
    largest = max(2000, math.ceil(min(4.0 * fewest, BUDGET / (per_update * n_replicates))))
    waiting = [0, *_waiting_times(td_moments.forgetting_rate(subject.game, subject.policy))]
    left = max(MOMENTS_SHARE * BUDGET, BUDGET - n_replicates * per_update * largest)
    # with independent samples
    reached = int(left / ((1 + len(waiting)) * (UPDATE + UPDATE_PAIRS * subject.policy.size**4)))
    exact = [largest // share for share in SHARES if share >= EXACT_SHARE and largest // share <= reached]
    exact = exact[-3:] or [max(10, reached)]
    return {
        "populations": populations,
        "n_updates": sorted({*exact, *(largest // share for share in SHARES)}),
        "n_waiting": [0, 1],
        "n_replicates": n_replicates,
        "other_replicates": 8,
        "exact_updates": exact,
        "exact_waiting": waiting,
    }


def _waiting_times(rate: float) -> list[int]:
    """Return M_mix over which a mode of this rate falls from a twentieth to 1e-7: faster ones are gone by then."""
    if not 1e-6 < rate < 0.999:
        return [1, 2, 3]
    first, last = (math.log(share) / math.log(rate) for share in (LEFT_OF_MODE, 1e-7))
    least = math.ceil(first)
    return spread_over(list(range(least, max(least + 2, int(last)) + 1)), 6)


SIZES = {"ctd": _ctd}
