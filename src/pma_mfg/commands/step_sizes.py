"""Step sizes outside the library: in units of 1 / rho, with rho the strong concavity of the regularizer.

The library's functions take absolute ones. Commands, experiments and `verify` convert theirs with `absolute`, so that
equal settings are the same step size everywhere, to the last bit.
"""

from __future__ import annotations

import argparse
import logging
from typing import Any

log = logging.getLogger("pma_mfg")


def absolute(step_size: float, regularizer: Any) -> float:
    """Return the step size that the library takes, from one in units of 1 / rho."""
    return step_size * (1.0 / float(regularizer.rho))


def choose(options: argparse.Namespace, game: Any, found: Any, *, regularizer: Any) -> None:
    """Replace each step size of the options by the absolute one.

    "auto" is the one with the smallest spectral radius of PMA at the equilibrium.
    """
    from pma_mfg import iterations

    def chosen(step_size: Any) -> Any:
        if isinstance(step_size, list):
            return [chosen(one) for one in step_size]
        if step_size != "auto":
            return absolute(step_size, regularizer)
        best, radius = iterations.step_size("pma_euclidean", game, regularizer, policy=found.policy)
        told = "step size auto: %.6g / rho = %.6g (spectral radius of PMA at the equilibrium: %.4g)"
        log.info(told, best * regularizer.rho, best, radius)
        return best

    for name in {"step_size", "step_sizes"} & vars(options).keys():
        setattr(options, name, chosen(getattr(options, name)))
