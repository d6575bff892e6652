"""Settings of mirror ascent and best response on one trajectory, over the strength of the coupling."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from pma_mfg import regularizers
from pma_mfg.learning import schedules
from pma_replication.settings import (
    Agents,
    Chosen,
    Count,
    Distinct,
    Fraction,
    Name,
    Natural,
    Positive,
    Refuse,
    Replicates,
    Section,
    Settings,
    key,
    noted,
)


class Rung(Settings):
    """A game that is learned in with every method."""

    line: Name = key("what it is drawn with: games of one line differ in how strongly they are coupled")
    updates: Annotated[Distinct[Count], Field(min_length=1)] = key(
        "M_td of best response and of the fastest step; C4-coupled-slope needs three"
    )


class Coupling(Section):
    """C4-coupled, C4-blind: mirror ascent and best response with the same regularizer and TD budget."""

    games: Annotated[dict[str, Rung], Field(min_length=1)] = key("for each game what learning takes")
    n_agents: Agents = key("N")
    n_waiting: Natural = key("M_mix")
    n_epochs: Annotated[Count, Field(ge=10)] = key("K of best response and of the fastest step")
    step_size: Positive = key("η of mirror ascent, the same in every game", "1/ρ")
    split: Count = key("mirror ascent has K times this many epochs, of M_td over this many updates")
    accuracy: Fraction = key("exploitability that counts as reached, in units of that of the uniform policy")
    n_replicates: Replicates = key("independent runs per method and M_td")

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse budgets that are not enough for the schedule from the simulator alone."""
        for name, rung in self.games.items():
            if name in chosen:
                regularizer = regularizers.make(chosen[name].regularizer, chosen[name].strength)
                budget = self.n_epochs * min(rung.updates) * (self.n_waiting + 1)
                with noted(refuse, f"games.{name}"):
                    schedules.blind_schedule(chosen[name].game, regularizer, budget=budget)


SECTIONS = {"coupling": Coupling}
