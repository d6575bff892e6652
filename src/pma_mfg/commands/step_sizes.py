"""The step sizes that the options of a command name: for "auto" the one with the smallest spectral radius."""

from __future__ import annotations

import argparse
import logging
from typing import Any

log = logging.getLogger("pma_mfg")


def choose(options: argparse.Namespace, game: Any, found: Any, *, regularizer: Any) -> None:
    """Replace each step size "auto" by the one with the smallest spectral radius of PMA at the equilibrium."""
    from pma_mfg import iterations

    def chosen(step_size: Any) -> Any:
        if isinstance(step_size, list):
            return [chosen(one) for one in step_size]
        if step_size != "auto":
            return step_size
        best, radius = iterations.step_size("pma_euclidean", game, regularizer, policy=found.policy)
        log.info("step size auto: eta = %.6g (spectral radius of PMA at the equilibrium: %.4g)", best, radius)
        return best

    for name in {"step_size", "step_sizes"} & vars(options).keys():
        setattr(options, name, chosen(getattr(options, name)))
