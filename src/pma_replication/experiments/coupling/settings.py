"""Settings of mirror ascent and best response on one trajectory, over the strength of the coupling."""

from typing import Annotated

from pydantic import Field

from pma_replication.settings import (
    Agents,
    Count,
    Distinct,
    Fraction,
    Name,
    Natural,
    Positive,
    Replicates,
    Section,
    Settings,
    key,
)


class Rung(Settings):
    """A game that is learned in with both methods."""

    line: Name = key("what it is drawn with: games of one line differ in how strongly they are coupled")
    updates: Annotated[Distinct[Count], Field(min_length=2)] = key("M_td of best response and of the fastest step")


class Coupling(Section):
    """C4-coupled: mirror ascent and best response with the same regularizer and TD budget."""

    games: Annotated[dict[str, Rung], Field(min_length=1)] = key("for each game what learning takes")
    n_agents: Agents = key("N")
    n_waiting: Natural = key("M_mix")
    n_epochs: Annotated[Count, Field(ge=10)] = key("K of best response and of the fastest step")
    step_size: Positive = key("η of mirror ascent, the same in every game", "1/ρ")
    split: Count = key("mirror ascent has K times this many epochs, of M_td over this many updates")
    accuracy: Fraction = key("exploitability that counts as reached, in units of that of the uniform policy")
    n_replicates: Replicates = key("independent runs per method and M_td")


SECTIONS = {"coupling": Coupling}
