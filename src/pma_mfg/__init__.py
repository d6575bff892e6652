"""Policy mirror ascent in stationary mean field games: exact solvers, a fast simulator, and the claims of the theory.

The reference is Yardim, Cayci, Geist and He, *Policy Mirror Ascent for Efficient and Independent Learning in Mean Field
Games* (ICML 2023). The parts, in the order of the computation: `games`, `regularizers`, `operators`, `equilibrium`,
`jacobian`, `paths`, `iterations`, `theory`, `populations`, `simulation`, `learning`, `interop`; the command line is
`cli`, its commands are in `commands`. What is measured, judged and drawn with them is the package `pma_replication`.
Symbols and equation numbers are those of docs/theory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pma_mfg.paths import all_equilibria, equilibrium_path

__version__ = "0.1.0"

__all__ = ["all_equilibria", "equilibrium_path"]


def __getattr__(name: str) -> Any:
    """Return what the package offers itself, which is loaded when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from pma_mfg import paths

    return getattr(paths, name)
