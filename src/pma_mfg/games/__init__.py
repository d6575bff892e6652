"""Mean field games as data, families of them, and their files."""

from pma_mfg.games.families import check_parameters, describe, families, make
from pma_mfg.games.files import load, save
from pma_mfg.games.model import LINKS, Features, MeanFieldGame, Planted

__all__ = [
    "LINKS",
    "Features",
    "MeanFieldGame",
    "Planted",
    "check_parameters",
    "describe",
    "families",
    "load",
    "make",
    "save",
]
