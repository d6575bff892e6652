"""Settings of independent learning."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from pma_mfg.errors import Description
from pma_mfg.games.model import MOST_PAIRS
from pma_replication.settings import (
    Chosen,
    Count,
    Distinct,
    Fraction,
    Games,
    Natural,
    NonNegative,
    Positive,
    Refuse,
    Replicates,
    Section,
    SingleAgents,
    TdConstant,
    key,
    refused,
)


def _one_for_each_population(counts: list[int], info: ValidationInfo) -> list[int]:
    if len(counts) != len(info.data.get("populations", counts)):
        raise refused("one number for each of the populations")
    return counts


class Independent(Section):
    """C5: every agent learns alone."""

    games: Games
    step_size: Positive = key("η of every run that does not vary it", "1/ρ")
    n_waiting: Natural = key("M_mix of every run that does not vary it")
    n_epochs: Count = key("K of every run that does not vary it")
    n_updates: Count = key("M_td of every run that does not vary it")
    populations: Annotated[Distinct[SingleAgents], Field(min_length=1)] = key(
        "numbers of agents; each agent is simulated"
    )
    population_replicates: Annotated[
        list[Replicates], Field(min_length=1), AfterValidator(_one_for_each_population)
    ] = key("independent runs at each of them")
    n_agents: SingleAgents = key("N of the sweeps over M_td, η and ε")
    n_replicates: Replicates = key("independent runs per point of these sweeps")
    updates: Annotated[Distinct[Count], Field(min_length=3)] = key("M_td; the slope is fitted to the three largest")
    step_sizes: Annotated[Distinct[Positive], Field(min_length=3)] = key(
        "η; the slope is fitted to the three smallest", "1/ρ"
    )
    step_epochs: Count = key("K of the runs over η")
    epsilons: Annotated[Distinct[Fraction], Field(min_length=3)] = key("accuracies ε")
    td_constant: TdConstant = key("M_td = (td_constant / ε)² of the runs over ε")
    waiting_constant: NonNegative = key("M_mix = waiting_constant · log(1/ε), rounded up, of the runs over ε")

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse games that are too large for agents who learn alone."""
        for i, name in enumerate(self.games):
            if name in chosen:
                n_states, n_actions = chosen[name].game.n_states, chosen[name].game.n_actions
                if n_states * n_actions > MOST_PAIRS:
                    told = Description(f"{name}, {n_states} states and {n_actions} actions")
                    refuse(f"games[{i}]", told, f"at most {MOST_PAIRS} pairs of both")


SECTIONS = {"independent": Independent}
