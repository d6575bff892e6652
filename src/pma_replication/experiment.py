"""What an experiment says of itself, in the `__init__` of its folder: its tables, its figures, its claims."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Settings = Mapping[str, Any]

#: Relative rounding error by which a ratio may exceed its bound: differences of some 1e-6 carry ten digits.
RATIO_ROUNDING = 1e-9


@dataclass(frozen=True)
class Table:
    """A table of the results, and the files that it joins.

    Parameters
    ----------
    section : str or None
        The section of the configuration that makes it; None: every configuration with a game that is studied.
    points : callable
        From a configuration to the names of the files, below the folder of points and without their suffix, in the
        order in which they are joined.
    """

    section: str | None
    points: Callable[[Settings], list[str]]


def table(section: str, *patterns: str, **axes: str | Sequence[str]) -> Table:
    """Return a table with a file for each game of a section, and for each value of further axes.

    Parameters
    ----------
    section : str
    patterns : str
        Names of files, such as ``"ctd/{game}_{n_agents}"``.
    axes : str or sequence of str
        Each in the patterns: the key of the section that holds its values, or its values.
    """

    def points(settings: Settings) -> list[str]:
        chosen = settings[section]
        values = [chosen[axis] if isinstance(axis, str) else axis for axis in axes.values()]
        found = [
            pattern.format(game=game, **dict(zip(axes, point, strict=True)))
            for pattern in patterns
            for game in chosen["games"]
            for point in itertools.product(*values)
        ]
        return list(dict.fromkeys(found))  # a pattern without one of the axes names a file once

    return Table(section, points)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What is known of a claim before it is tested.

    Parameters
    ----------
    words : str
        What it says, in plain words.
    rival : str
        The statement that would be true if the claim's idea were wrong, in one line.
    standing : {"paper", "sharpened", "ours"}
        Whose statement it is: one that the paper is known to make, ours of a statement of theirs, or ours alone.
    nature : {"test", "identity", "check"}
        "identity" if it follows from the definitions of what is computed, and cannot fail but by an error of the code;
        "check" if it compares two of our own methods. Neither is evidence for the paper.
    judge : str
        The function of the experiment's judge.py, from the rows of one game, a tolerance and a confidence to a record,
        or to a list of them.
    tables : tuple of str
        That it reads together.
    tolerance : str or float
        A setting of `claims`, or a number.
    steps : tuple of str
        Of `steps.py`, that make what it reads of one game; none for a claim on many games.
    figure : str
        That shows it.
    more : tuple of str
        Further steps, for the figure.
    """

    words: str
    rival: str
    standing: Literal["paper", "sharpened", "ours"]
    nature: Literal["test", "identity", "check"] = "test"
    judge: str
    tables: tuple[str, ...]
    tolerance: str | float = 0.0
    steps: tuple[str, ...] = ()
    figure: str = ""
    more: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What the rest of the replication knows of an experiment.

    Parameters
    ----------
    title : str
        In plain words.
    place : int
        Among the experiments, as they are told.
    tables : mapping of str to Table
    figures : mapping of str to tuple of str
        Figure, drawn by draw.py -> the tables that it is drawn from, also of other experiments.
    spare : mapping of str to tuple of str
        Tables that a figure is drawn without where a configuration does not make them -> the columns that are looked at
        where there is no row.
    claims : mapping of str to Claim
        By their names, in the order in which they are told.
    """

    title: str
    place: int
    tables: Mapping[str, Table]
    figures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    spare: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)
