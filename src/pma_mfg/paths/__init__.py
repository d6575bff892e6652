"""The path of equilibria from a strong regularizer to none, and all equilibria along it (docs/theory, section 19).

Under a strong regularizer there is one equilibrium; it is followed as the regularizer weakens, exactly, through folds
and to the branches that cross it. One idea each: `system` (the equations and their derivative), `following`
(continuation), `branching` (other branches), `path` (from a game to its path), `results` (paths and their points),
`limit` (the game without a regularizer).
"""

from __future__ import annotations

from pma_mfg.paths.limit import Polished, polish, price
from pma_mfg.paths.path import all_equilibria, equilibrium_path, equilibrium_paths
from pma_mfg.paths.results import Path, Point

__all__ = ["Path", "Point", "Polished", "all_equilibria", "equilibrium_path", "equilibrium_paths", "polish", "price"]
