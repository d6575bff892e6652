"""Settings of what finitely many agents do: to learning, to the population, and exactly."""

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
    Steps,
    check_visited,
    key,
)


class PopulationsLearned(Section):
    """C6-learned: where the policy ends that is learned from few agents."""

    games: Games
    populations: Annotated[Distinct[Agents], Field(min_length=3)] = key("numbers of agents, all in one job of a game")
    n_updates: Count = key("M_td")
    n_epochs: Annotated[Count, Field(ge=2)] = key("K; the policies of the second half are averaged")
    step_size: Positive = key("η of centralized learning", "1/ρ")
    n_replicates: Replicates = key("independent runs per point")


class PopulationsBias(Section):
    """C6: what finitely many agents do to the population and to Q."""

    needs_features = True

    games: Games
    populations: Annotated[Distinct[Agents], Field(min_length=3)] = key("numbers of agents, all in one job of a game")
    n_steps: Steps = key("averaged steps per replicate")
    n_replicates: Replicates = key("independent runs per point")

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse games in which the fewest agents leave states for good: there learning has no limit."""
        check_visited(self.games, self.populations, chosen, refuse=refuse)


class PopulationsExact(ExactPopulations):
    """C6, a figure: the N-agent game solved exactly."""

    needs_features = True

    step_size: Positive = key("η of the exact iteration to the policy's limit, which does not depend on it", "1/ρ")


class PopulationsAgreement(ExactPopulations):
    """C3-exact: the simulator against the exact N-agent game."""

    needs_features = True

    n_steps: Steps = key("averaged steps per replicate of the simulation")
    n_replicates: Replicates = key("independent runs per point")


SECTIONS = {
    "populations_learned": PopulationsLearned,
    "populations_bias": PopulationsBias,
    "populations_exact": PopulationsExact,
    "populations_agreement": PopulationsAgreement,
}
