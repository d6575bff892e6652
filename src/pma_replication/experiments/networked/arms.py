"""What an arm of the experiment is: a way of learning, and how its settings are written on the command line."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Arm:
    """One way of learning; what is left out is that of the game.

    Parameters
    ----------
    learner : {"networked", "centralized"}
        "networked" with no rounds is independent learning.
    graph : str
        As `learning.graphs.Graph.parse` takes it; empty for the game's.
    rounds : int
        C.
    heat : float
        Factor of the game's temperature.
    heat_last : float
        `heat` in the last epoch, reached by the same factor in every epoch; 0 keeps `heat` throughout.
    score : str
        Of `learning.graphs.SCORES`.
    passes : int
        L of the replay buffer; 0 for none.
    failure : float
        Probability with which a mirror ascent step fails.
    n_after : int
        Number of agents from the middle of the run on; 0 for no change.
    """

    learner: str = "networked"
    graph: str = ""
    rounds: int = 0
    heat: float = 1.0
    heat_last: float = 0.0
    score: str = "return"
    passes: int = 0
    failure: float = 0.0
    n_after: int = 0

    def heats(self, n_epochs: int) -> list[float]:
        """Return the factor of the temperature in each epoch."""
        change = self.heat_last / self.heat if self.heat_last else 1.0
        return [self.heat * change ** (k / max(1, n_epochs - 1)) for k in range(n_epochs)]


#: What `heat_last` may be, in words. The temperature is multiplied by one factor per epoch, and no factor leads from 0
#: to another number.
ANNEALED = "0, no change, or a heat > 0 to begin with"


#: What `n_after` may be, in words.
FEWEST = "0, no change, or at least 2 agents"

#: Arms that claims compare.
INDEPENDENT, CENTRALIZED, NETWORKED = "independent", "centralized", "networked"
RANDOM, AGREED = "networked_random", "agreed"
BUFFERED = {INDEPENDENT: "independent_buffer", CENTRALIZED: "centralized_buffer"}


#: Radius, rounds and heat of an arm of a sweep.
Setting = tuple[float, int, float]


def swept(name: str) -> Setting | None:
    """Return the setting of an arm of a sweep by its name, as `arms_of` gives it; None for others."""
    found = re.fullmatch(r"r([\de+p-]+)_c(\d+)_t([\de+p-]+)", name)
    return (float(found[1].replace("p", ".")), int(found[2]), float(found[3].replace("p", "."))) if found else None


def written(name: str, arm: Mapping[str, Any]) -> str:
    """Return an arm as `pma-replicate networked measure` takes it."""
    return " ".join([name, *(f"{field.name}={arm[field.name]}" for field in fields(Arm) if field.name in arm)])


def arms_of(section: Mapping[str, Any], game: str) -> list[str]:
    """Return the arms that learn a game, as `written`; in a game without a list of its own those of the sweep too."""
    own = section["tasks"][game].get("arms")
    found = {name: dict(arm) for name, arm in section["arms"].items() if own is None or name in own}
    sweep = section.get("sweep") if own is None else None
    if sweep:
        for radius, rounds, heat in itertools.product(sweep["radii"], sweep["rounds"], sweep["heats"]):
            name = f"r{radius:g}_c{rounds}_t{heat:g}".replace(".", "p")
            found[name] = found[NETWORKED] | {"graph": f"radius:{radius:g}", "rounds": rounds, "heat": heat}
    return [written(name, arm) for name, arm in found.items()]
