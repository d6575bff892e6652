"""Settings of how samples to an accuracy grow along lines of games."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from pma_replication.experiments.scaling.lines import FAMILY
from pma_replication.settings import (
    Agents,
    Chosen,
    Count,
    Distinct,
    Fraction,
    Name,
    Parameter,
    Positive,
    Positives,
    Refuse,
    Replicates,
    Section,
    Settings,
    key,
    make_game,
)


class Line(Settings):
    """Games of the family `planted_rare` that differ in one parameter."""

    along: Literal["n_states", "n_actions", "discount", "rare_action", "rare_state"] = key("the parameter that moves")
    values: Annotated[Distinct[Parameter], Field(min_length=2)] = key("its values")
    parameters: dict[str, Parameter] = key("all others; the strength is that of the entropy, too")
    epsilon: Fraction = key("mean distance to the equilibrium that samples are counted to")
    step_size: Positive = key("η", "1/ρ")
    n_epochs: Count = key("K")


class Scaling(Section):
    """C4-scaling: how samples to an accuracy grow with the size of a game, its horizon and its rare events.

    A line makes its own games; one job each. M_td is counted in units of what exact moments of TD learning say that
    the accuracy takes, and no steps wait.
    """

    lines: Annotated[dict[Name, Line], Field(min_length=1)] = key("lines of games, by their names in tables")
    factors: Annotated[Positives, Field(min_length=2)] = key("M_td, in units of what the exact moments say")
    n_last: Count = key("epochs whose distances are averaged: the K-th, and those after it")
    n_agents: Agents = key("N")
    n_replicates: Replicates = key("independent runs per game and M_td")

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse lines with a game that the family does not accept."""
        for name, line in self.lines.items():
            if line.along in line.parameters:
                refuse(f"lines.{name}.parameters", line.along, "parameters that do not move along the line")
            for value in line.values:
                make_game(FAMILY, line.parameters | {line.along: value}, refuse, place=f"lines.{name}")


SECTIONS = {"scaling": Scaling}
