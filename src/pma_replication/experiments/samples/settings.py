"""Settings of centralized learning over the accuracy."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from pma_mfg import regularizers
from pma_mfg.commands import step_sizes
from pma_mfg.theory import prescription
from pma_replication.settings import (
    Agents,
    Chosen,
    Distinct,
    Fraction,
    Fractions,
    NonNegative,
    Positive,
    Refuse,
    Replicates,
    Section,
    Settings,
    TdConstant,
    key,
    noted,
)


class Tuned(Settings):
    """What learning of one game takes."""

    epsilons: Annotated[Distinct[Fraction], Field(min_length=3)] = key("accuracies ε, one job each")
    step_size: Positive = key("η of centralized learning", "1/ρ")
    td_constant: TdConstant = key("M_td = (td_constant / ε)²")
    waiting_constant: NonNegative = key("M_mix = waiting_constant · log(1/ε), rounded up")


class SamplesTuned(Section):
    """C4: how many samples an accuracy costs, agents sharing one policy."""

    games: Annotated[dict[str, Tuned], Field(min_length=1)] = key("for each game what learning takes")
    n_agents: Agents = key("N")
    n_replicates: Replicates = key("independent runs per point")


class SamplesPrescribed(Section):
    """C4-prescribed: learning with the theorem's own constants."""

    needs_features = True

    games: Annotated[dict[str, Fractions], Field(min_length=1)] = key(
        "for each game the accuracies ε at which the theorem's schedule is run, one job each; games must be certified"
    )
    n_agents: Agents = key("N")
    epsilons: Annotated[Distinct[Fraction], Field(min_length=2)] = key("accuracies for which its samples are computed")
    n_replicates: Replicates = key("independent runs per point")
    step_size: Positive = key("η of the theorem's schedule", "1/ρ")

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse games for which the theorem prescribes nothing."""
        for name, epsilons in self.games.items():
            if name in chosen and (game := chosen[name].game).has_features:
                regularizer = regularizers.make(chosen[name].regularizer, chosen[name].strength)
                step_size = step_sizes.absolute(self.step_size, regularizer)
                with noted(refuse, f"games.{name}"):
                    prescription.theorem_schedule(game, regularizer, step_size, epsilon=min(epsilons + self.epsilons))


SECTIONS = {"samples_tuned": SamplesTuned, "samples_prescribed": SamplesPrescribed}
