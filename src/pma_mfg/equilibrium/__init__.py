"""Exact equilibria and exact exploitability (docs/theory, sections 3 and 8).

A mean field Nash equilibrium (pi, mu) is a stable population mu = Gamma_pop(mu, pi) and a policy pi that is the
regularized best response to it; equivalently, a fixed point of PMA at every step size. `solve` iterates PMA and
finishes with Newton's method on the exact Jacobian, then checks the result in four independent ways; where PMA leads
nowhere, policy and population are moved together, the population in damped steps. One idea each: `search` (the order
in which they are tried), `newton_in_policy`, `newton_in_population`, `continuation`, `damped`, `solution` (residuals),
`conditions` (what the theory asks for), `best_responses` (and exploitability), `files`.
"""

from __future__ import annotations

from pma_mfg.equilibrium.best_responses import best_response, exploitability
from pma_mfg.equilibrium.conditions import other_populations, shortcomings
from pma_mfg.equilibrium.files import load, recorded_regularizer, save
from pma_mfg.equilibrium.newton_in_population import from_population
from pma_mfg.equilibrium.search import planted_or_found, solve
from pma_mfg.equilibrium.solution import Equilibrium, residuals

__all__ = [
    "Equilibrium",
    "best_response",
    "exploitability",
    "from_population",
    "load",
    "other_populations",
    "planted_or_found",
    "recorded_regularizer",
    "residuals",
    "save",
    "shortcomings",
    "solve",
]
