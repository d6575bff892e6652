"""Mean field games as data, families of them, and their files."""

from __future__ import annotations

# these modules enter their games in the registry
from pma_mfg.games import benchmarks, coupled, literature  # noqa: F401
from pma_mfg.games import families as _families  # noqa: F401
from pma_mfg.games.features import LINKS, Features
from pma_mfg.games.files import from_functions, load, save
from pma_mfg.games.functions import FunctionGame, Game
from pma_mfg.games.model import MeanFieldGame, Planted
from pma_mfg.games.registry import LARGEST_INTEGER, check_parameters, describe, families, make

__all__ = [
    "LARGEST_INTEGER",
    "LINKS",
    "Features",
    "FunctionGame",
    "Game",
    "MeanFieldGame",
    "Planted",
    "check_parameters",
    "describe",
    "families",
    "from_functions",
    "load",
    "make",
    "save",
]
