"""Sizes that fit one game: what regularization costs, and learning with less and less of it."""

from __future__ import annotations

from pma_mfg import operators, solvers
from pma_mfg.errors import Description
from pma_mfg.learning import schedules
from pma_replication.plan import BUDGET, MANY_AGENTS, BeyondBudget, Settings, Subject, step_seconds

#: Epochs, pilots and runs of learning, and the step sizes that are tried.
N_EPOCHS, N_PILOTS, N_REPLICATES = 30, 2, 12
TRIED = [0.1, 0.3, 1.0, 3.0, 10.0]

#: M_td of learning, in units of the time in which the rarest pair is learned.
UPDATES = 4.0


def need_jacobian(subject: Subject, section: str) -> None:
    """Refuse a game whose derivatives, or whose spectra, do not fit."""
    if not (subject.game.has_derivatives() and subject.game.n_states <= solvers.DIRECT_SIZE):
        allowed = f"a game with derivatives and at most {solvers.DIRECT_SIZE} states"
        raise subject.refused(section, "no spectrum of best response", allowed)


def _regularization(subject: Subject) -> Settings:
    need_jacobian(subject, "regularization")
    return {}


def _annealing(subject: Subject) -> Settings:
    """Return runs of thirty epochs, each of which sees every pair under the uniform policy."""
    need_jacobian(subject, "regularization_annealing")
    scale = schedules.td_scale(subject.game, operators.uniform_policy(subject.game))
    n_runs = 2 * (len(TRIED) * N_PILOTS + N_REPLICATES)
    seconds = n_runs * N_EPOCHS * UPDATES * scale * step_seconds(subject.game)
    if seconds > BUDGET:
        rarest = scale * (1.0 - subject.game.discount)
        told = f"{seconds:.0f} s of learning, since the rarest pair is seen once in {rarest:.0f} steps"
        raise BeyondBudget(subject.name, "regularization_annealing", Description(told), f"{BUDGET:g} s")
    return {
        "accuracies": [0.1, 0.03, 0.01],
        "ascent_steps": TRIED,
        "n_epochs": N_EPOCHS,
        "relative_updates": UPDATES,
        "n_agents": MANY_AGENTS,
        "n_pilots": N_PILOTS,
        "n_replicates": N_REPLICATES,
    }


SIZES = {"regularization": _regularization, "regularization_annealing": _annealing}
