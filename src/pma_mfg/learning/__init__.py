"""Algorithms 1 to 3 of the paper and what is built on them, their schedules, and methods with a generative model.

The algorithms are loaded when they are first used: schedules need no compiled code.
"""

from typing import Any

__all__ = ["blind", "centralized", "ctd", "independent", "networked"]


def __getattr__(name: str) -> Any:
    """Return an algorithm of `algorithms` or `networks`."""
    if name == "networked":
        from pma_mfg.learning import networks

        return networks.networked
    if name in __all__:
        from pma_mfg.learning import algorithms

        return getattr(algorithms, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
