"""Settings of what finitely many agents do: to learning, to the population, and exactly."""

from typing import Annotated

from pydantic import Field

from pma_replication.settings import (
    Agents,
    Distinct,
    ExactPopulations,
    Fraction,
    Games,
    NonNegative,
    Populations,
    Positive,
    Replicates,
    Section,
    Steps,
    TdConstant,
    key,
)


class PopulationSweep(Section):
    """Centralized learning over N at one small epsilon (C6)."""

    games: Games
    populations: Populations = key("numbers of agents, one job each")
    epsilon: Fraction = key("the accuracy that every run's schedule is for: the floor of the sampling error")
    n_replicates: Replicates = key("independent runs per point")
    step_size: Positive = key("η of centralized learning, absolute", "1/reward")
    td_constant: TdConstant = key("M_td = (td_constant / ε)²")
    waiting_constant: NonNegative = key("M_mix = waiting_constant · log(1/ε), rounded up")


class Bias(Section):
    """Fluctuations and bias of the N-agent game (C6)."""

    needs_features = True

    games: Games
    populations: Annotated[Distinct[Agents], Field(min_length=3)] = key("numbers of agents, one job each")
    n_steps: Steps = key("averaged steps per replicate")
    n_replicates: Replicates = key("independent runs per point")


class Exact(ExactPopulations):
    """The N-agent game solved exactly (C3, C6)."""

    needs_features = True

    step_size: Positive = key(
        "η of the exact iteration to the policy's limit, which does not depend on it; absolute", "1/reward"
    )


class Agreement(ExactPopulations):
    """Simulation against the exact limit (C3)."""

    needs_features = True

    n_steps: Steps = key("averaged steps per replicate of the simulation")
    n_replicates: Replicates = key("independent runs per point")


SECTIONS = {"population_sweep": PopulationSweep, "bias": Bias, "exact": Exact, "agreement": Agreement}
