"""The schedule of a command that learns: tuned for an accuracy, or the theorem's."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from pma_mfg.errors import Description, InputError

log = logging.getLogger("pma_mfg")


def tuned(options: argparse.Namespace, game: Any, found: Any, *, regularizer: Any) -> Any:
    """Return the schedule for --epsilon, --step-size, --td-constant and --waiting-constant."""
    from pma_mfg.learning import schedules

    refuse_divergent(options.step_size, game, found, regularizer=regularizer, program=options.program)
    return schedules.practical_schedule(
        game,
        regularizer,
        found.policy,
        step_size=options.step_size,
        epsilon=options.epsilon,
        td_constant=options.td_constant,
        waiting_constant=options.waiting_constant,
    )


def tell(schedule: Any, game: Any, found: Any) -> None:
    """Log a schedule, its samples, and a warning if its epochs are too short to learn the equilibrium's Q-function."""
    log.info("%s: %d samples per replicate", schedule, schedule.n_samples)
    warn_of_short_epochs(schedule, game, found)


def refuse_divergent(step_size: float, game: Any, found: Any, *, regularizer: Any, program: str) -> None:
    """Refuse an absolute step size at which PMA leaves the equilibrium, and say which would do."""
    from pma_mfg import iterations, jacobian

    radius = jacobian.spectral_radius(jacobian.jacobian(game, found.policy, step_size, regularizer=regularizer))
    if radius < 1.0:
        return
    best, least = iterations.step_size("pma_euclidean", game, regularizer, policy=found.policy)
    rho = regularizer.rho  # the option is in units of 1 / rho
    would = f"{best * rho:.4g} (in units of 1/rho; {least:.4g})"
    would = f"such as {would}" if least < 1.0 else f"which not even {would} is"
    allowed = f"one at which PMA contracts (spectral radius < 1, here {radius:.4g}), {would}"
    raise InputError(program, "--step-size", Description(f"{step_size * rho:.6g}"), allowed)


def warn_of_short_epochs(schedule: Any, game: Any, found: Any) -> None:
    """Log a warning if the epochs of a schedule are too short to learn the equilibrium's Q-function."""
    from pma_mfg.learning import schedules

    if (message := schedules.too_short(schedule, game, found.policy)) is not None:
        log.warning("warning: %s", message)
