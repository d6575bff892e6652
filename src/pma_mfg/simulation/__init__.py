"""The N-agent game, simulated in compiled code.

Agents that share a policy, and agents with one each (docs/theory, section 9); an environment of arrays for learners of
one's own, which is loaded when it is first used.
"""

from typing import Any

__all__ = ["Environment", "Rollout", "environment", "rollout"]


def __getattr__(name: str) -> Any:
    """Return what the package exports of `environments`."""
    if name in __all__:
        from pma_mfg.simulation import environments

        return getattr(environments, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
