"""Sizes that fit one game: what finitely many agents do."""

from __future__ import annotations

import math

from pma_mfg.errors import Description
from pma_mfg.games.model import n_lumped_states
from pma_replication.cost import limit_seconds
from pma_replication.plan import (
    BUDGET,
    FEWEST_VISITS,
    LUMPED_STATES,
    BeyondBudget,
    Settings,
    Subject,
    duration,
    spread_over,
    step_seconds,
)
from pma_replication.statistics import FEWEST_REPLICATES

#: Fewest epochs of C6-learned and C6-learned-limit, and the share of the first distance that may be left after half.
N_EPOCHS, LEFT = 30, 1e-3


def _learned(subject: Subject) -> Settings:
    """Return the sizes at which C6-learned and C6-learned-limit can be decided.

    M_td is fifty times the updates M_0 from which on TD learning errs by noise alone, since noise shifts the mean
    policy by its square, in proportion to 1 / M_td. The policies of the second half of the epochs are averaged; the
    first half is so long that by the spectral radius a thousandth of the start is left after it.
    """
    subject.need_learning("populations_learned")
    populations, n_replicates = [4, 8, 16, 32], FEWEST_REPLICATES
    n_epochs = max(N_EPOCHS, 2 * subject.n_epochs(LEFT))
    n_updates = math.ceil(50.0 * subject.settled)
    subject.need_time("populations_learned", len(populations) * n_replicates * n_epochs * n_updates, BUDGET)
    return {
        "populations": populations,
        "n_updates": n_updates,
        "n_epochs": n_epochs,
        "step_size": subject.relative_step_size,
        "n_replicates": n_replicates,
    }


def _bias(subject: Subject) -> Settings:
    subject.need_features("populations_bias")
    populations = [100, 1000, 10_000, 100_000, 10**6, 10**8]
    n_steps = int(min(1e5, 0.5 * BUDGET / (1.1 * 16 * len(populations) * step_seconds(subject.game))))
    if n_steps < 5000:
        seconds = 5000 * 1.1 * 16 * len(populations) * step_seconds(subject.game)
        why = f"{subject.game.n_states} states: some {duration(seconds)} of averages"
        allowed = "at most one minute; a game with fewer states"
        raise BeyondBudget(subject.name, "populations_bias", Description(why), allowed)
    n_steps = _round_down(n_steps)
    enough = [n for n in populations if n * n_steps * subject.rarest >= FEWEST_VISITS]
    if len(enough) < 3:
        raise subject.too_rare("populations_bias", populations[-3], n_steps)
    return {"populations": enough, "n_steps": n_steps, "n_replicates": 16}


def _exact(subject: Subject) -> Settings:
    subject.need_populations("populations_exact")
    subject.need_learning("populations_exact")
    n_states = subject.game.n_states
    # the limit of the policy takes tens of solutions, or more than a hundred
    small = [n for n in subject.populations if n_lumped_states(n_states, n) <= LUMPED_STATES // 10]
    chosen = spread_over(small if len(small) >= 3 else subject.populations[:3], 4)
    if (seconds := limit_seconds(subject.rate, n_states, chosen)) > BUDGET:
        told = ", ".join(map(str, chosen))
        why = (
            f"some {duration(seconds)} of exact solutions with {told} agents, as mirror ascent contracts by "
            f"{subject.rate:.3g} an iteration"
        )
        allowed = f"at most {duration(BUDGET)}; a game with fewer states, or a larger --strength"
        raise BeyondBudget(subject.name, "populations_exact", Description(why), allowed)
    return {"populations": chosen, "step_size": subject.relative_step_size}


def _agreement(subject: Subject) -> Settings:
    subject.need_populations("populations_agreement")
    populations = spread_over([n for n in subject.populations if n <= 20], 4)
    n_steps = _round_down(int(min(2e4, 0.5 * BUDGET / (1.1 * 32 * len(populations) * step_seconds(subject.game)))))
    if not populations[0] * n_steps * subject.rarest >= FEWEST_VISITS:
        raise subject.too_rare("populations_agreement", populations[0], n_steps)
    return {"populations": populations, "n_steps": n_steps, "n_replicates": 32}


def _round_down(value: float) -> int:
    """Return a number with its last digits zero, two of them left."""
    power = int(10 ** max(0, len(str(int(value))) - 2))
    return int(value) // power * power


SIZES = {
    "populations_learned": _learned,
    "populations_bias": _bias,
    "populations_exact": _exact,
    "populations_agreement": _agreement,
}
