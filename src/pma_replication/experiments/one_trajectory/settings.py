"""Settings of many methods on one trajectory, tuned by one rule for all (docs/theory, section 21.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from pma_mfg.errors import Description, InputError, nearest
from pma_mfg.learning import method_files
from pma_replication.experiments.one_trajectory.names import ANYTHING, SETTINGS, Range
from pma_replication.settings import (
    Chosen,
    Count,
    Fraction,
    Games,
    Name,
    Parameter,
    Positive,
    Positives,
    Refuse,
    Replicates,
    Section,
    SingleAgents,
    Steps,
    key,
    noted,
    optional,
)


class OneTrajectory(Section):
    """C8-kept, C8-one-loop, C8-slow, C8-pooled: what one would run on one trajectory of N agents.

    Each method has settings with a list of values each: the grid that is tuned, by one rule for all methods
    (docs/theory, section 21.4). A method of your own has a `file` beside its settings: a Python file with a function
    `learn(task, *, ...)`, whose names after the star are the settings (docs/guide.md).
    """

    needs_features = True

    games: Games = key("names of games whose regularizer is the entropy")
    methods: Annotated[dict[Name, dict[str, Parameter]], Field(min_length=2)] = key(
        "the grid of settings of each method, pma among them; `file` makes it one of your own"
    )
    n_agents: SingleAgents = key("N")
    budget: Steps = key("steps of a run")
    per_decade: Count = key("numbers of samples at which exploitability is measured, per factor of ten")
    target: Positive = key("accuracy that is tuned for, and that the claims count samples to", "range of rewards")
    accuracies: Positives = key("accuracies to which the table counts samples", "range of rewards")
    n_replicates: Replicates = key("independent runs of every setting")
    shorter: Fraction | None = optional(
        "factor of the further step sizes (`step_size`, `policy_step`) that are tried in a game where every setting of "
        "a method ends above the largest accuracy, in the median; by default none are"
    )

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse games with another regularizer than the entropy, and methods that are not there or lack settings."""
        for i, name in enumerate(self.games):
            if name in chosen and chosen[name].regularizer != "entropy":
                refuse(f"games[{i}]", Description(f"{name}, {chosen[name].regularizer}"), "entropy")
        if "pma" not in self.methods:
            refuse("methods", sorted(self.methods), "pma, which all others are compared with")
        for method, grid in self.methods.items():
            with noted(refuse, f"methods.{method}"):
                check_method(method, grid)


def check_method(method: str, grid: Mapping[str, Any], source: str = "methods") -> None:
    """Refuse a method that is not there, settings that it has not, and values out of range, in one line.

    Parameters
    ----------
    method : str
    grid : mapping
        Values of each setting; `file`, for a method of the user's own.
    source : str
        For messages.
    """
    values = {name: grid[name] for name in grid if name != "file"}
    if "file" in grid:
        path = grid["file"]
        if not isinstance(path, str) or Path(path).suffix != ".py":
            raise InputError(source, "file", path, "the path of a Python file (.py)")
        try:
            names: dict[str, Range] = dict.fromkeys(method_files.settings(path), ANYTHING)
        except InputError as wrong:
            raise InputError(source, f"file, {path}: {wrong.field}", wrong.value, wrong.allowed) from None
        if method in SETTINGS:
            raise InputError(source, "file", path, f"a name of its own: {method} is a method of the library")
    elif method not in SETTINGS:
        allowed = f"one of {', '.join(SETTINGS)}{nearest(method, SETTINGS)}, or a method with a file"
        raise InputError(source, "method", method, allowed)
    else:
        names = dict(SETTINGS[method])
    if values.keys() != names.keys():
        raise InputError(source, "settings", sorted(values), f"exactly {', '.join(names) or 'none'}")
    for name, tried in values.items():
        words, holds = names[name]
        if not isinstance(tried, Sequence) or isinstance(tried, str) or not tried:
            raise InputError(source, name, tried, "a list with at least one number")
        for value in tried:
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not number or not holds(value):
                raise InputError(source, name, value, words)
        if len(set(tried)) < len(tried):
            raise InputError(source, name, tried, "entries that differ")


SECTIONS = {"one_trajectory": OneTrajectory}
