"""Small fixed tables: ``<table>.csv`` are cut from real runs, ``<figure>_drawn.csv`` are thinned data of figures."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser

from pma_replication import registry
from pma_replication.statistics import FEWEST_REPLICATES

DATA = Path(__file__).with_name("data")


@pytest.fixture(scope="session", autouse=True)
def formulas_are_parsed_once() -> Iterator[None]:
    """Share what matplotlib makes of a formula among figures: to parse the same ones anew took a tenth of the tests."""
    parse: Any = MathTextParser._parse_cached.__wrapped__
    parsers = {"vector": MathTextParser("path"), "raster": MathTextParser("agg")}
    kept = functools.cache(lambda output, *described: parse(parsers[output], *described))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MathTextParser, "_parse_cached", lambda self, *described: kept(self._output_type, *described))
        yield


def _read(name: str) -> pd.DataFrame:
    table = pd.read_csv(DATA / f"{name}.csv")
    if "replicate" in table and (n := table["replicate"].nunique()) < FEWEST_REPLICATES:
        # the files are small: their replicates are repeated until there are enough for an interval
        copies = -(-FEWEST_REPLICATES // n)
        table = pd.concat(
            [table.assign(replicate=table["replicate"] + n * i) for i in range(copies)], ignore_index=True
        )
    return table.assign(game=table["game"].fillna(""))  # a line of no game


@pytest.fixture(scope="session")
def raw_tables() -> Callable[[str], list[pd.DataFrame]]:
    """The input tables of a figure."""
    return lambda figure: [_read(table) for table in registry.figures()[figure]]


@pytest.fixture
def drawn_table() -> Callable[[str], pd.DataFrame]:
    """What a figure draws."""
    return lambda figure: _read(f"{figure}_drawn")


@pytest.fixture(scope="session")
def drawing() -> Callable[[str], Figure]:
    """A figure that is drawn from its fixed table once for all tests that leave it as it is."""

    @functools.cache
    def draw(figure: str) -> Figure:
        return registry.draw(figure).figure(_read(f"{figure}_drawn"))

    return draw
