"""Settings of the path of equilibria, and its branches."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from pma_replication.settings import (
    Chosen,
    Count,
    Distinct,
    Fraction,
    Fractions,
    Name,
    Natural,
    Parameter,
    Refuse,
    Section,
    Settings,
    check_parameters,
    key,
    make_game,
)


class Diagram(Settings):
    """How far the branches of one game are followed."""

    lowest: Fraction = key("strength at which its branches end", "range of the rewards")
    n_starts: Natural = key("random mean fields from which other equilibria are looked for at each strength")


class Paths(Section):
    """Bifurcation diagrams: the equilibria of a game against the strength, with all branches that are found."""

    games: Annotated[dict[str, Diagram], Field(min_length=1)] = key(
        "games of those under `games`, each with its diagram"
    )
    strengths: Fractions = key("at which equilibria are counted, where branches come so far", "range of the rewards")


class PathGrid(Settings):
    """Games of one family of which one parameter, the coupling, is varied."""

    family: str = key("a family of generated games: `pma-mfg games` lists them")
    along: str = key("the parameter that is the coupling")
    values: Annotated[Distinct[Parameter], Field(min_length=2)] = key("its values")
    parameters: dict[str, Parameter] = key("all others but the seed")
    n_seeds: Count = key("how many seeds of the family are used for each value: 0, 1, ...")


class PathsGenerated(Section):
    """C10-fold, C10-coupling: the paths of many generated games, under the entropy.

    A grid makes its own games; one job each.
    """

    grids: Annotated[dict[Name, PathGrid], Field(min_length=1)] = key("grids of games, by their names in tables")

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse grids with a game that the family does not accept."""
        for name, grid in self.grids.items():
            place = f"grids.{name}"
            for taken in {grid.along, "seed"} & grid.parameters.keys():
                refuse(f"{place}.parameters", taken, "parameters that do not move in the grid")
            for value in grid.values:
                parameters = {**grid.parameters, grid.along: value, "seed": 0}
                # the largest coupling of a planted game depends on the draw
                make = make_game if grid.family.startswith("planted") else check_parameters
                make(grid.family, parameters, refuse, place=place)


SECTIONS = {"paths": Paths, "paths_generated": PathsGenerated}
