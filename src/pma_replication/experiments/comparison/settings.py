"""Settings of PMA beside methods with a generative model, tuned by one rule for all (docs/theory, section 17.4)."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from pma_mfg.errors import Description
from pma_replication.settings import (
    Agents,
    Chosen,
    Count,
    Distinct,
    Games,
    Positive,
    Positives,
    Refuse,
    Replicates,
    Section,
    Settings,
    Steps,
    bounded,
    key,
    optional,
    refused,
)

AtLeastOne = Annotated[float, Field(ge=1), bounded]
Share = Annotated[float, Field(gt=0, le=1), bounded]
Probability = Annotated[float, Field(ge=0, le=1), bounded]

First = Annotated[
    Distinct[AtLeastOne],
    Field(min_length=1, description="visits of every pair in the first round; TD updates over S·A for PMA"),
]
Growth = Annotated[
    Distinct[AtLeastOne], Field(min_length=1, description="factor of the visits from one round to the next")
]
Constant = Annotated[Positives, Field(description="constant of the steps of Q- and TD learning")]
Calls = Annotated[Positives, Field(description="calls of the simulator that move the population, per call that learns")]


class Pma(Settings):
    """PMA on one trajectory."""

    step_size: Positives = key("η", "1/ρ")
    first: First
    growth: Growth
    constant: Constant


class Generative(Settings):
    """A method with a generative model."""

    first: First
    growth: Growth
    constant: Constant
    share: Calls


class FittedQ(Settings):
    """Fitted Q iteration."""

    first: First
    growth: Growth
    share: Calls


class MirrorDescent(Generative):
    """Online mirror descent."""

    step_size: Annotated[Distinct[Share], Field(min_length=1)] = key("η", "1/ρ")


class TwoTimescale(Settings):
    """The two-timescale method."""

    first: First
    growth: Growth
    q_exponent: Annotated[Distinct[Share], Field(min_length=1)] = key("exponent of the steps of Q")
    mean_field_exponent: Annotated[Distinct[Share], Field(min_length=1)] = key(
        "exponent of the steps of the population"
    )
    exploration: Annotated[Distinct[Probability], Field(min_length=1)] = key("probability of a random action")


class Methods(Settings):
    """Values of each argument: the grid of settings that is tuned."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 2})

    pma: Pma = key("PMA on one trajectory")
    gmf_q: Generative = optional("Q-learning, best response after each round")
    fitted_q: FittedQ = optional("fitted Q iteration")
    fictitious_play: Generative = optional("fictitious play")
    online_mirror_descent: MirrorDescent = optional("online mirror descent")
    two_timescale: TwoTimescale = optional("learning of Q and of the population at two speeds")

    @model_validator(mode="after")
    def _are_compared(self) -> Self:
        if len(self.model_fields_set) < 2:
            raise refused("pma and at least one other method")
        return self


class Comparison(Section):
    """C8: PMA on one trajectory beside methods with a generative model.

    Each method has arguments with a list of values each: the grid of settings, tuned by one rule for all methods
    (docs/theory, section 17.4). Round k has first · growth^k visits of every pair.
    """

    needs_features = True

    games: Games = key("names of games whose regularizer is the entropy")
    methods: Methods = key("the grid of settings of each method")
    n_agents: Agents = key("N of PMA's trajectory")
    budget: Steps = key("samples of a run that is reported")
    pilot_budget: Steps = key("samples of a run that tunes")
    per_decade: Count = key("numbers of samples at which exploitability is measured, per factor of ten")
    target: Positive = key("accuracy that is tuned for", "range of rewards")
    accuracies: Positives = key(
        "accuracies to which samples are counted, in these units and in those of the game's rewards", "range of rewards"
    )
    n_pilots: Count = key("runs of each setting, with seeds of their own; the two best settings are run in full")
    n_replicates: Replicates = key("independent runs per point")

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse games with another regularizer than the entropy."""
        for i, name in enumerate(self.games):
            if name in chosen and chosen[name].regularizer != "entropy":
                refuse(f"games[{i}]", Description(f"{name}, {chosen[name].regularizer}"), "entropy")


SECTIONS = {"comparison": Comparison}
