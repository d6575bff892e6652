"""Settings of the atlas: grids of generated games."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from pma_mfg import games
from pma_replication.settings import (
    Agents,
    Chosen,
    Count,
    Distinct,
    Fraction,
    Name,
    Parameter,
    Positive,
    Positives,
    Refuse,
    Replicates,
    Section,
    Settings,
    Steps,
    check_parameters,
    key,
    make_game,
)


class GameGrid(Settings):
    """Games of one family: all combinations of some values of its parameters."""

    family: str = key("a family of generated games: `pma-mfg games` lists them")
    parameters: dict[str, Annotated[Distinct[Parameter], Field(min_length=1)]] = key(
        "a list of values for each parameter; `null` leaves it out"
    )
    strengths: Positives = key("strengths of the entropy; a planted game is planted with it", "reward")
    n_seeds: Count = key("how many seeds of the family are used: 0, 1, ...")


class Atlas(Section):
    """Many generated games, a row for each.

    `make replicate CONFIG=config/atlas.yaml` (docs/theory, section 18). A game is solved, checked, its bias
    measured, and learned once. Streams are named by a game's parameters, so that its row does not depend on the
    batches. One job takes `batch_size` games; a killed job loses its own batch only. All games of the first seed
    come before those of the second: more seeds leave the full batches alone.
    """

    batch_size: Count = key("games per job; 40 take about half a minute")
    step_size: Positive = key("η of PMA and of learning", "1/ρ")
    n_starts: Count = key("starts of exact PMA, the uniform policy first")
    max_iterations: Count = key("iterations from each start")
    n_agents: Agents = key("N of the bias and of learning")
    n_steps: Steps = key("averaged steps of each trajectory that measures the bias")
    n_replicates: Replicates = key("trajectories that measure the bias")
    epsilon: Fraction = key("accuracy that learning's practical schedule is for: K and M_mix")
    n_visits: Count = key("M_td is this over the least probability of a state and action at the equilibrium")
    waiting_constant: Positive = key("M_mix = waiting_constant · log(1/ε), rounded up")
    max_samples: Count = key("longer schedules are not run", "steps")
    grids: Annotated[dict[Name, GameGrid], Field(min_length=1)] = key(
        "grids of games, by a name that stands for all games of a grid in tables, verdicts and figures"
    )

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse grids in which a family does not accept a game."""
        for name, grid in self.grids.items():
            place = f"grids.{name}"
            taken = sorted({"seed", "strength"} & grid.parameters.keys())
            for parameter in taken:
                refuse(f"{place}: {parameter}", grid.parameters[parameter], "n_seeds and strengths in its place")
            # the largest coupling of a planted game depends on the draw
            drawn = grid.family.startswith("planted") and "coupling" in grid.parameters
            for seed in range(0 if taken else grid.n_seeds if drawn else 1):
                for parameters in members(grid.model_dump(), seed):
                    if grid.family in games.families() and "strength" not in games.describe(grid.family)["parameters"]:
                        del parameters["strength"]
                    (make_game if drawn else check_parameters)(grid.family, parameters, refuse, place=place)


def members(grid: Mapping[str, Any], seed: int) -> list[dict[str, Any]]:
    """Return the parameters of every game of a grid with one seed, the strength among them, in alphabetical order.

    One that is null is left out.
    """
    axes = {**grid["parameters"], "strength": grid["strengths"], "seed": [seed]}
    names = sorted(axes)
    combined = (dict(zip(names, values, strict=True)) for values in itertools.product(*(axes[name] for name in names)))
    return [{name: value for name, value in member.items() if value is not None} for member in combined]


def batches(settings: Mapping[str, Any]) -> list[list[str]]:
    """Return the games of the atlas as `pma-replicate atlas measure` takes them, in batches; none without an atlas.

    All games of a first seed come before those of a second: with more seeds all full batches stay as they are.

    Parameters
    ----------
    settings : mapping
        A configuration.

    Returns
    -------
    list of list of str
    """
    if not settings.get("atlas"):
        return []
    grids, size = settings["atlas"]["grids"], settings["atlas"]["batch_size"]
    described = [
        " ".join([name, grid["family"], *(f"{axis}={value}" for axis, value in member.items())])
        for seed in range(max(grid["n_seeds"] for grid in grids.values()))
        for name, grid in grids.items()
        if seed < grid["n_seeds"]
        for member in members(grid, seed)
    ]
    return [described[i : i + size] for i in range(0, len(described), size)]


SECTIONS = {"atlas": Atlas}
