"""The methods of the experiment by their names in tables. Nothing compiled is loaded for it."""

from __future__ import annotations

MIRROR_ASCENT, FASTEST, BEST_RESPONSE, BLIND = METHODS = ("mirror_ascent", "fastest", "best_response", "blind")

#: The column c of a table of which no epoch of mirror ascent has c updates.
TD_SCALE = "td_scale"

#: The column of a table in which it alone explains that a method ends far away: how far from the equilibrium the noise
#: of TD learning keeps policies, by (10.18).
NOISE = "noise"
