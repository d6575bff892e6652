"""The two ways of learning of the experiment by their names in tables. Nothing compiled is loaded for it."""

from __future__ import annotations

ANNEALED, SCRATCH = WAYS = ("annealed", "scratch")
