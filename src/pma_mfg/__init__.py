"""Policy mirror ascent in stationary mean field games: exact solvers, a fast simulator, and the claims of the theory.

The reference is Yardim, Cayci, Geist and He, *Policy Mirror Ascent for Efficient and Independent Learning in Mean Field
Games* (ICML 2023). The parts, in the order of the computation: `games`, `regularizers`, `operators`, `equilibrium`,
`jacobian`, `iterations`, `theory`, `populations`, `simulation`, `learning`, `interop`; the command line is `cli`, its
commands are in `commands`. What is measured, judged and drawn with them is the package `pma_replication`. Symbols
and equation numbers are those of docs/theory.
"""

from __future__ import annotations

__version__ = "0.1.0"
