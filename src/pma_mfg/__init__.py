"""Policy mirror ascent in stationary mean field games: exact solvers, a fast simulator, and the claims of the theory.

The reference is Yardim, Cayci, Geist and He, *Policy Mirror Ascent for Efficient and Independent Learning in Mean Field
Games* (ICML 2023). The modules, in the order of the computation: `games`, `regularizers`, `operators`, `equilibrium`,
`lipschitz`, `fluctuations`, `kernels`, `agents`, `learning`, `spread`, `checks`, `sweeps`, `statistics`, `claims`,
`plotting`; the command line is `cli`. Symbols and equation numbers are those of docs/theory.md.
"""

__version__ = "0.1.0"
