"""The experiments by their names: a folder of `pma_replication.experiments` is one, and says of itself what it is.

Its `EXPERIMENT` is read here, and nothing that computes is imported before it is asked for by `load`: Snakemake reads
the registry whenever it reads the rules.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import re
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING

from pma_replication import experiments as folder
from pma_replication.experiment import Claim, Experiment, Settings, Table

if TYPE_CHECKING:
    import pandas as pd


@functools.cache
def experiments() -> dict[str, Experiment]:
    """Return the experiments by their names, in the order in which they are told."""
    found = {
        module.name: importlib.import_module(f"{folder.__name__}.{module.name}").EXPERIMENT
        for module in pkgutil.iter_modules(folder.__path__)
        if module.ispkg
    }
    return dict(sorted(found.items(), key=lambda item: item[1].place))


def load(name: str, part: str) -> ModuleType:
    """Import a part of an experiment: "commands", "measure", "judge" or "draw"."""
    return importlib.import_module(f"{folder.__name__}.{name}.{part}")


def tables() -> dict[str, Table]:
    """Return all tables by their names."""
    return {name: table for each in experiments().values() for name, table in each.tables.items()}


def sections() -> dict[str, tuple[str, ...]]:
    """Return the sections of a configuration that are experiments, each with the names of its tables."""
    found: dict[str, tuple[str, ...]] = {}
    for name, table in tables().items():
        if table.section is not None:
            found[table.section] = (*found.get(table.section, ()), name)
    return found


def points(settings: Settings) -> dict[str, list[str]]:
    """Return the tables that a configuration makes, each with the files that it joins (see `experiment.Table`)."""
    made = {
        name: table.points(settings)
        for name, table in tables().items()
        if table.section is None or settings.get(table.section)
    }
    return {name: files for name, files in made.items() if files or tables()[name].section is not None}


def figures() -> dict[str, tuple[str, ...]]:
    """Return the figures by their names, each with the names of the tables that it is drawn from."""
    return {name: of for each in experiments().values() for name, of in each.figures.items()}


def spare() -> dict[str, tuple[str, ...]]:
    """Return the tables that a figure is drawn without, each with the columns that are looked at."""
    return {name: columns for each in experiments().values() for name, columns in each.spare.items()}


def empty(name: str) -> pd.DataFrame:
    """Return a table without rows, for a figure to be drawn without it."""
    import pandas as pd

    return pd.DataFrame({column: [] for column in ("game", *spare().get(name, ()))})


def drawn(made: Iterable[str]) -> list[str]:
    """Return the names of the figures that can be drawn from tables of these names."""
    known, beside = set(made), set(spare())
    return [name for name, of in figures().items() if known & set(of) and known | beside >= set(of)]


def drawing(figure: str) -> str:
    """Return the name of the experiment whose draw.py draws a figure."""
    return next(name for name, each in experiments().items() if figure in each.figures)


def draw(figure: str) -> ModuleType:
    """Import what draws a figure: `data` makes the numbers of its tables, and `figure` draws these."""
    return load(drawing(figure), "draw")


@functools.cache
def claims() -> dict[str, Claim]:
    """Return the claims by their names, in the order of their numbers and letters."""
    every = [(name, claim) for each in experiments().values() for name, claim in each.claims.items()]
    return dict(sorted(every, key=lambda item: number(item[0])))


def number(claim: str) -> tuple[int, str]:
    """Return the number and the letter by which claims are in order: 1 and "c" of C1c, 10 and "" of C10-fold."""
    found = re.match(r"C(\d+)([a-z]?)", claim)
    assert found is not None
    return int(found[1]), found[2]


def group(claim: str) -> str:
    """Return the group of a claim, such as C1 of C1c."""
    return f"C{number(claim)[0]}"


def judges() -> list[tuple[str, Claim]]:
    """Return the experiment and the claim of every judge, in the order of the claims.

    A judge that decides which of several claims a game is about is there once.
    """
    found: dict[tuple[str, str], Claim] = {}
    for name, claim in claims().items():
        experiment = next(each for each, of in experiments().items() if name in of.claims)
        found.setdefault((experiment, claim.judge), claim)
    return [(experiment, claim) for (experiment, _), claim in found.items()]


def judged() -> list[str]:
    """Return the names of the tables that claims are judged by."""
    return list(dict.fromkeys(name for claim in claims().values() for name in claim.tables))
