"""Settings of what a deviator gains."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from pma_replication.settings import (
    Agents,
    Chosen,
    Count,
    Distinct,
    ExactPopulations,
    Games,
    Positive,
    Refuse,
    Replicates,
    Section,
    check_exact,
    key,
)


class Nash(ExactPopulations):
    """C7: what one of N agents gains by deviating, exactly."""

    needs_features = True


class NashLearned(Section):
    """C7-learned: what one of N agents gains by deviating from a policy learned from them."""

    needs_features = True

    games: Games
    n_agents: Agents = key("N, for which the N-agent game is solved exactly, as in `nash`")
    updates: Annotated[Distinct[Count], Field(min_length=3)] = key("M_td")
    n_epochs: Count = key("K")
    step_size: Positive = key("η of centralized learning", "1/ρ")
    n_replicates: Replicates = key("independent runs for each M_td")

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse populations that are too large, and games in which N agents leave states for good."""
        check_exact(
            self.games, [self.n_agents], chosen, refuse=lambda _, told, allowed: refuse("n_agents", told, allowed)
        )


SECTIONS = {"nash": Nash, "nash_learned": NashLearned}
