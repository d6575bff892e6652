"""Settings of networked learning."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from pma_mfg.errors import InputError
from pma_mfg.learning.graphs import Graph
from pma_replication.experiments.networked.arms import ANNEALED, CENTRALIZED, FEWEST, INDEPENDENT, NETWORKED, swept
from pma_replication.settings import (
    Chosen,
    Count,
    Distinct,
    Name,
    Natural,
    NonNegative,
    Parameter,
    Positive,
    Refuse,
    Replicates,
    Section,
    Settings,
    SingleAgents,
    key,
    make_game,
    optional,
)

Probability = Annotated[float, Field(ge=0, le=1)]
AgentsOrNone = Annotated[int, Field(ge=0, le=10**7)]


class NetworkedTask(Settings):
    """A game, and how it is learned."""

    family: str = key("a family of games: `pma-mfg games` lists them")
    parameters: dict[str, Parameter] = key("its parameters")
    strength: Positive = key("τ of the entropy", "reward")
    kind: Literal["coordination", "competition"] = key(
        "what learning is measured by: what agents earn, or what a best response gains"
    )
    graph: str = key("who hears whom: none, complete, ring, radius:x, erdos_renyi:p")
    temperature: NonNegative = key("τ_k of adoption; 0 takes the highest score", "reward")
    step_size: Positive = key("η", "1/ρ")
    n_samples: Count = key("samples per epoch, of every arm: TD updates, evaluation, and rounds", "steps")
    n_epochs: Count = key("K")
    td_scale: Positive = key("c of the TD steps c/(m + m₀)")
    td_offset: Positive = key("m₀ >= c")
    arms: Annotated[Distinct[Name], Field(min_length=3)] | None = optional("those that learn this game; all by default")


class NetworkedArm(Settings):
    """A way of learning; keys that are left out have the values of independent learning."""

    learner: Literal["networked", "centralized"] = key("centralized: Algorithm 2", default="networked")
    graph: str = key("in place of the game's; a radius leaves out games without a layout", default="")
    rounds: Natural = key("C, after every epoch", default=0)
    heat: NonNegative = key("factor of the game's temperature", default=1.0)
    heat_last: NonNegative = key(
        "heat in the last epoch, reached by the same factor in every epoch; 0 keeps `heat` throughout", default=0.0
    )
    score: Literal["return", "random", "value", "index"] = key("σ", default="return")
    passes: Natural = key("L of the replay buffer, 0 for none", default=0)
    failure: Probability = key("probability with which an agent's mirror ascent step fails", default=0.0)
    n_after: AgentsOrNone = key("number of agents from the middle of the run on, 0 for no change", default=0)


class Sweep(Settings):
    """Arms that differ from `networked` in radius, rounds and temperature: all combinations, in games with a layout."""

    radii: Annotated[Distinct[Positive], Field(min_length=1)] = key("fractions of the layout's diameter, in (0, 1]")
    rounds: Annotated[Distinct[Count], Field(min_length=1)] = key("C")
    heats: Annotated[Distinct[NonNegative], Field(min_length=1)] = key("factors of the game's temperature")


class Networked(Section):
    """C9: agents that pass their policies on, beside independent agents and a central learner.

    The section makes its own games; one job each. The arms `independent`, `centralized` and `networked` are compared
    by the claims, and `networked_random`, `agreed`, `independent_buffer`, `centralized_buffer` where they are there.
    """

    tasks: Annotated[dict[Name, NetworkedTask], Field(min_length=1)] = key("games, by their names in tables")
    arms: Annotated[dict[Name, NetworkedArm], Field(min_length=3)] = key("ways of learning")
    sweep: Sweep | None = optional("further arms")
    n_agents: SingleAgents = key("N")
    evaluation_steps: Count = key("E, of the score `return`", "steps")
    n_measured: Count = key("how many times in a run what agents play is evaluated")
    n_replicates: Replicates = key("independent runs per game and arm")

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse graphs that are none, games that a family does not accept, and epochs without a TD update."""
        graphs = {f"tasks.{name}.graph": task.graph for name, task in self.tasks.items()}
        graphs |= {f"arms.{name}.graph": arm.graph for name, arm in self.arms.items() if arm.graph}
        if self.sweep:
            graphs |= {f"sweep.radii: {radius:g}": f"radius:{radius:g}" for radius in self.sweep.radii}
        for place, text in graphs.items():
            try:
                Graph.parse(text)
            except InputError as error:
                refuse(place, text, error.allowed)
        for name, described in self.arms.items():
            if described.heat_last and not described.heat:
                refuse(f"arms.{name}.heat_last", described.heat_last, ANNEALED)
            if swept(name):
                refuse("arms", name, "a name of another form: this one is of an arm of a sweep")
            if described.n_after == 1:
                refuse(f"arms.{name}.n_after", described.n_after, FEWEST)
        longest = max([arm.rounds for arm in self.arms.values()] + (self.sweep.rounds if self.sweep else []))
        for name, task in self.tasks.items():
            made = make_game(task.family, task.parameters, refuse, place=f"tasks.{name}")
            if task.graph.startswith("radius") and made is not None and made.layout is None:
                refuse(f"tasks.{name}.graph", task.graph, "a graph that needs no layout, which this game has not")
            for arm in {INDEPENDENT, CENTRALIZED, NETWORKED} & self.arms.keys():
                if self.arms[arm].graph.startswith("radius") and made is not None and made.layout is None:
                    allowed = f"a graph that needs no layout: {name} has none, and claims compare this arm"
                    refuse(f"arms.{arm}.graph", self.arms[arm].graph, allowed)
            for arm in set(task.arms or ()) - self.arms.keys():
                refuse(f"tasks.{name}.arms", arm, f"of the arms {', '.join(self.arms)}")
            for missing in {INDEPENDENT, CENTRALIZED, NETWORKED} - set(task.arms or self.arms):
                place = f"tasks.{name}.arms" if task.arms else "arms"
                refuse(place, task.arms or list(self.arms), f"the arm {missing} among them")
            if task.td_offset < task.td_scale:
                refuse(f"tasks.{name}.td_offset", task.td_offset, f"at least td_scale = {task.td_scale:g}")
            if task.n_samples <= longest + self.evaluation_steps:
                refuse(f"tasks.{name}.n_samples", task.n_samples, "more than evaluation_steps and all rounds together")


SECTIONS = {"networked": Networked}
