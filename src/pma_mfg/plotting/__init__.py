"""Pictures of a game with an equilibrium, and of an audit. They need matplotlib: `pip install "pma-mfg[plot]"`.

Nothing else of `pma_mfg` imports them, but for the commands that draw. One idea each: `look` (style, text, axes),
`layouts` (population and policy on the states), `pictures` (whole figures), `paths` (paths of equilibria).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pma_mfg.plotting.look import png, save
    from pma_mfg.plotting.paths import plot_path
    from pma_mfg.plotting.pictures import plot, plot_audit

__all__ = ["plot", "plot_audit", "plot_path", "png", "save"]


def __getattr__(name: str) -> Any:
    """Return what the package offers, from its module: matplotlib is loaded when something of it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    module = {"png": "look", "save": "look", "plot_path": "paths"}.get(name, "pictures")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
