"""Sizes that fit one game: the path of equilibria as the regularizer weakens."""

from __future__ import annotations

from pma_mfg import operators, solvers
from pma_mfg.learning import schedules
from pma_mfg.regularizers import kind
from pma_replication.plan import BUDGET, MANY_AGENTS, BeyondBudget, Settings, Subject, step_seconds

#: Epochs, pilots and runs of learning, and the step sizes that are tried.
N_EPOCHS, N_PILOTS, N_REPLICATES, STEP_SIZES = 30, 2, 12, [0.1, 0.3, 1.0, 3.0, 10.0]

#: M_td of learning, in units of the time in which the rarest pair is learned.
UPDATES = 4.0


def _paths(subject: Subject) -> Settings:
    """Return branches to a hundredth of the rewards, for a game that fits dense."""
    if not (subject.game.has_derivatives() and subject.game.n_states <= solvers.DIRECT_SIZE):
        raise subject.refused("paths", "no Jacobian that fits", f"a game of at most {solvers.DIRECT_SIZE} states")
    return {"games": {"lowest": 0.005, "n_starts": 10}, "strengths": [0.1, 0.01]}


def _annealing(subject: Subject) -> Settings:
    """Return runs of thirty epochs, each of which sees every pair under the uniform policy."""
    uniform = operators.uniform_policy(subject.game)
    scale = schedules.td_scale(subject.game, uniform)
    n_runs = 2 * (len(STEP_SIZES) * N_PILOTS + N_REPLICATES)
    seconds = n_runs * N_EPOCHS * UPDATES * scale * step_seconds(subject.game)
    if seconds > BUDGET:
        told = f"{seconds:.0f} s of learning, since the rarest pair is seen once in {scale * (1 - subject.game.discount):.0f} steps"
        raise BeyondBudget(subject.name, "paths_annealing", told, f"{BUDGET:g} s")
    if kind(subject.regularizer) not in ("entropy", "quadratic"):
        raise subject.refused("paths_annealing", "a regularizer of your own", "the entropy or the quadratic")
    return {
        "accuracies": [0.1, 0.03, 0.01],
        "step_sizes": STEP_SIZES,
        "n_epochs": N_EPOCHS,
        "updates": UPDATES,
        "n_agents": MANY_AGENTS,
        "n_pilots": N_PILOTS,
        "n_replicates": N_REPLICATES,
    }


SIZES = {"paths": _paths, "paths_annealing": _annealing}
