"""The methods on one trajectory: their settings, and what they are called. Nothing compiled is loaded for it."""

from __future__ import annotations

from collections.abc import Callable

#: What is allowed for a number of a setting, in words and as a test.
Range = tuple[str, Callable[[float], bool]]

#: For the settings of a user's own method.
ANYTHING: Range = ("a finite number", lambda x: True)

_POSITIVE: Range = ("a number > 0", lambda x: x > 0.0)
_AT_LEAST_ONE: Range = ("a number >= 1", lambda x: x >= 1.0)
_SHARE: Range = ("a number in (0, 1]", lambda x: 0.0 < x <= 1.0)
_UNIT: Range = ("a number in [0, 1]", lambda x: 0.0 <= x <= 1.0)
_NOT_NEGATIVE: Range = ("a number >= 0", lambda x: x >= 0.0)
_COUNT: Range = ("a whole number >= 1", lambda x: x >= 1.0 and float(x).is_integer())

_EPOCHS: dict[str, Range] = {"step_size": _POSITIVE, "first": _AT_LEAST_ONE, "growth": _AT_LEAST_ONE}
_GREEDY: dict[str, Range] = {"step_size": _SHARE, "exponent": _UNIT, "exploration": _UNIT}

#: Method -> its settings, and what is allowed for each. The functions are `pma_mfg.learning.trajectory.METHODS`.
SETTINGS: dict[str, dict[str, Range]] = {
    "pma": _EPOCHS | {"constant": _POSITIVE},
    "pma_kept": _EPOCHS | {"exponent": _UNIT},
    "softmax_sarsa": _GREEDY,
    "softmax_q_learning": _GREEDY,
    "slow_policy": {"exponent": _UNIT, "policy_step": _SHARE, "policy_exponent": _UNIT},
    "actor_critic": {"exponent": _UNIT, "policy_step": _POSITIVE, "policy_exponent": _UNIT},
    "pma_pooled": _EPOCHS | {"constant": _POSITIVE},
    "pma_independent": _EPOCHS | {"constant": _POSITIVE},
    "pma_buffered": _EPOCHS | {"constant": _POSITIVE, "passes": _COUNT},
    "pma_networked": _EPOCHS | {"constant": _POSITIVE, "temperature": _NOT_NEGATIVE},
}

#: Titles of methods in tables and figures. A method that is missing here goes by its name.
TITLES = {
    "pma": "PMA in epochs",
    "pma_kept": "PMA, Q kept",
    "softmax_sarsa": "softmax SARSA",
    "softmax_q_learning": "softmax Q-learning",
    "slow_policy": "slow policy",
    "actor_critic": "actor-critic",
    "pma_pooled": "PMA, pooled critic",
    "pma_independent": "independent PMA",
    "pma_buffered": "PMA, buffer",
    "pma_networked": "networked PMA",
}


def title(method: str) -> str:
    """Return what a method is called in tables and figures."""
    return TITLES.get(method, method.replace("_", " "))


def ordered(methods: list[str]) -> list[str]:
    """Return methods in the order of `TITLES`, then others in theirs."""
    return sorted(methods, key=lambda method: list(TITLES).index(method) if method in TITLES else len(TITLES))
