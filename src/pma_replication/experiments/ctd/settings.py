"""Settings of TD learning of a fixed policy."""

from typing import Annotated

from pydantic import AfterValidator, Field

from pma_replication.settings import (
    Agents,
    Count,
    Distinct,
    Games,
    Natural,
    Naturals,
    Replicates,
    Section,
    increasing,
    key,
)


class Ctd(Section):
    """C3: the error of TD learning of the equilibrium's Q-function on one trajectory."""

    games: Games
    populations: Annotated[Distinct[Agents], Field(min_length=2)] = key(
        "numbers of agents, one job each; the slope is fitted in the largest, the floor in the others"
    )
    n_updates: Annotated[Distinct[Count], Field(min_length=3), AfterValidator(increasing)] = key(
        "numbers of TD updates M_td at which the error is measured, increasing; the slope is fitted to those from M_0 "
        "on (docs/theory, section 12.1)"
    )
    n_waiting: Naturals = key(
        "M_mix, steps that pass before each update: the first in every population, the others in the largest only"
    )
    n_replicates: Replicates = key("independent runs per point of the first M_mix")
    other_replicates: Replicates = key("runs per point of all other M_mix, which are drawn, and judged nowhere")
    exact_updates: Annotated[Distinct[Count], Field(min_length=1), AfterValidator(increasing)] = key(
        "M_td at which the error is computed exactly with infinitely many agents, increasing; cost (SA)⁴ per update"
    )
    exact_waiting: Annotated[Distinct[Natural], Field(min_length=3)] = key("M_mix of the exact error")


SECTIONS = {"ctd": Ctd}
