"""Settings of independent learning."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

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
    Section,
    Settings,
    SingleAgents,
    TdConstant,
    bounded,
    increasing,
    key,
    refused,
)

# the fewest from which an interval is computed (docs/theory, section 11)
Replicates = Annotated[int, Field(ge=8), bounded]


def _one_for_each_population(counts: list[int], info: ValidationInfo) -> list[int]:
    if len(counts) != len(info.data.get("populations", counts)):
        raise refused("one number for each of the populations")
    return counts


def _check_sizes(names: Iterable[str], chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
    """Refuse games that are too large for agents who learn alone."""
    for i, name in enumerate(names):
        if name in chosen:
            n_states, n_actions = chosen[name].game.n_states, chosen[name].game.n_actions
            if n_states * n_actions > MOST_PAIRS:
                told = Description(f"{name}, {n_states} states and {n_actions} actions")
                refuse(f"games[{i}]", told, f"at most {MOST_PAIRS} pairs of both")


class Independent(Section):
    """C5-eta, C5-worst: every agent learns alone, and what it depends on."""

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
    n_agents: SingleAgents = key("N of the sweeps over η and ε")
    n_replicates: Replicates = key("independent runs per point of these sweeps")
    step_sizes: Annotated[Distinct[Positive], Field(min_length=3)] = key(
        "η; the slope is fitted to the three smallest", "1/ρ"
    )
    step_epochs: Count = key("K of the runs over η")
    epsilons: Annotated[Distinct[Fraction], Field(min_length=3)] = key("accuracies ε")
    td_constant: TdConstant = key("M_td = (td_constant / ε)² of the runs over ε")
    waiting_constant: NonNegative = key("M_mix = waiting_constant · log(1/ε), rounded up, of the runs over ε")

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse games that are too large for agents who learn alone."""
        _check_sizes(self.games, chosen, refuse)


class Alone(Settings):
    """How agents learn alone in a game."""

    step_size: Positive = key("η, with which PMA contracts at the equilibrium", "1/ρ")
    updates: Annotated[Distinct[Count], Field(min_length=3), AfterValidator(increasing)] = key(
        "M_td; the slope of C5-updates is fitted to the three largest"
    )
    starts: Annotated[Distinct[Literal["equal", "unequal"]], Field(min_length=1)] = key(
        "first policies: uniform play for all agents, or one of its own for each, drawn uniformly"
    )


class IndependentGames(Section):
    """C5: what accuracy costs agents who each learn alone, game by game."""

    games: Annotated[dict[str, Alone], Field(min_length=1)] = key("for each game how its agents learn")
    populations: Annotated[Distinct[SingleAgents], Field(min_length=2), AfterValidator(increasing)] = key(
        "numbers of agents; claims are judged at the largest, the others show the noise of the mean field itself"
    )
    n_waiting: Natural = key("M_mix")
    start_left: Fraction = key(
        "K are the epochs after which this share of the first distance is left, at the rate at the equilibrium"
    )
    n_replicates: Replicates = key("independent runs per number of agents and M_td")

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse games that are too large for agents who learn alone."""
        _check_sizes(self.games, chosen, refuse)


SECTIONS = {"independent": Independent, "independent_games": IndependentGames}
