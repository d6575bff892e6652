"""Pictures of a game with an equilibrium, and of an audit. It needs matplotlib: `pip install "pma-mfg[plot]"`.

Nothing else of `pma_mfg` imports it, but for the commands that draw. One idea each: `look` (style, text, axes),
`layouts` (population and policy on the states), `pictures` (whole figures).
"""

from __future__ import annotations

from pma_mfg.plotting.look import png, save
from pma_mfg.plotting.pictures import plot, plot_audit

__all__ = ["plot", "plot_audit", "png", "save"]
