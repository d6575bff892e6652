"""Who hears whom in networked learning, and whom agents adopt: graphs, the law of adoption, and checks of settings.

docs/theory, sections 20.1 and 20.3. Nothing here needs compiled code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pma_mfg.errors import InputError
from pma_mfg.games.functions import Game

#: The name of the learner in messages.
SOURCE = "learning.networked"

#: Kinds of graphs; those with a parameter are written as in "radius:0.4".
GRAPHS = ("none", "complete", "ring", "radius", "erdos_renyi")

#: What the number after the colon must be.
PARAMETERS = {"radius": "in (0, 1], a fraction of the layout's diameter", "erdos_renyi": "in [0, 1], a probability"}

#: How a graph is written, in words.
ALLOWED = "one of " + ", ".join(
    f"{name}:x with x {PARAMETERS[name]}" if name in PARAMETERS else name for name in GRAPHS
)

SCORES = ("return", "random", "value", "index")

#: Who hears whom: the group of each agent, (N,); agents heard[starts[g]], ..., heard[starts[g + 1] - 1] are heard by
#: every agent of the group g, itself among them, in increasing order.
Audience = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Graph:
    """A communication graph, which may change with the agents' states and from round to round.

    Parameters
    ----------
    kind : str
        Of `GRAPHS`.
    parameter : float
        Of "radius": agents hear each other up to this fraction of the largest distance of two states in the game's
        layout. Of "erdos_renyi": the probability of a link, drawn anew in every round.
    """

    kind: str
    parameter: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in GRAPHS:
            raise InputError(SOURCE, "graph", self.kind, ALLOWED)
        if not (0.0 < self.parameter <= 1.0 or (self.kind == "erdos_renyi" and self.parameter == 0.0)):
            words = f"{self.kind}:{self.parameter:g}"
            raise InputError(SOURCE, "graph", words, f"{self.kind}: a number {PARAMETERS.get(self.kind, '1')}")

    @classmethod
    def parse(cls, text: str, source: str = SOURCE) -> Graph:
        """Return the graph that is written as in "complete" or "radius:0.4", or refuse it."""
        kind, _, number = str(text).partition(":")
        try:
            parameter = float(number) if number else 1.0
        except ValueError:
            parameter = float("nan")
        if (kind in PARAMETERS) != bool(number):
            raise InputError(source, "graph", text, ALLOWED)
        try:
            return cls(kind, parameter)
        except InputError as error:
            raise InputError(source, "graph", text, error.allowed) from None

    def near(self, game: Game) -> np.ndarray:
        """Return which states hear each other, shape (S, S); of use for "radius" only."""
        if self.kind != "radius":
            return np.ones((1, 1), dtype=bool)
        if game.layout is None:
            raise InputError(SOURCE, "graph", f"radius:{self.parameter:g}", "a game with a layout: a grid or a chain")
        distances = np.linalg.norm(game.layout[:, None] - game.layout[None], axis=2)
        return np.asarray(distances <= self.parameter * distances.max() * (1.0 + 1e-12))

    def audience(self, states: np.ndarray, near: np.ndarray, rng: np.random.Generator) -> Audience:
        """Return who hears whom in a round.

        Parameters
        ----------
        states : ndarray of int, shape (N,)
        near : ndarray of bool, shape (S, S)
            Of `near`.
        rng : numpy.random.Generator
            Draws the links of "erdos_renyi".
        """
        n_agents = len(states)
        everyone = np.arange(n_agents)
        if self.kind == "complete" or (self.kind == "ring" and n_agents <= 3):
            return np.zeros(n_agents, dtype=np.int64), np.array([0, n_agents]), everyone
        if self.kind == "none":
            return everyone, np.arange(n_agents + 1), everyone
        if self.kind == "ring":
            beside = np.sort((everyone[:, None] + np.array([-1, 0, 1])) % n_agents, axis=1)
            return everyone, np.arange(0, 3 * n_agents + 1, 3), beside.ravel()
        if self.kind == "radius":
            occupied, member = np.unique(states, return_inverse=True)
            hears = near[occupied][:, states]
        else:
            member = everyone
            above = np.triu(rng.random((n_agents, n_agents)) < self.parameter, 1)
            hears = above | above.T | np.eye(n_agents, dtype=bool)
        return member, np.concatenate([[0], np.cumsum(hears.sum(axis=1))]), np.nonzero(hears)[1]


def adopted(scores: np.ndarray, audience: Audience, *, temperature: float, rng: np.random.Generator) -> np.ndarray:
    """Draw whose policy each agent adopts: j among those heard with probability proportional to exp(score_j / tau).

    Parameters
    ----------
    scores : ndarray, shape (N,)
        Finite.
    audience : tuple
        Of `Graph.audience`.
    temperature : float
        tau >= 0. With 0 the highest score is adopted, of several the first agent's; with infinity any, evenly.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int, shape (N,)
    """
    member, starts, heard = audience
    of_heard, lengths = scores[heard], np.diff(starts)
    best = np.maximum.reduceat(of_heard, starts[:-1])
    if temperature == 0.0:
        winners = np.flatnonzero(of_heard == np.repeat(best, lengths))
        return np.asarray(heard[winners[np.searchsorted(winners, starts[:-1])]][member])
    sums = np.cumsum(np.exp((of_heard - np.repeat(best, lengths)) / temperature))
    before = np.concatenate([[0.0], sums])[starts]
    drawn = before[member] + rng.random(len(scores)) * np.diff(before)[member]
    # the last index of a group is there for rounding alone
    places = np.clip(np.searchsorted(sums, drawn, side="right"), starts[member], starts[member + 1] - 1)
    return np.asarray(heard[places])


def check_settings(
    *,
    rounds: int,
    temperature: float | Sequence[float],
    score: str,
    evaluation_steps: int,
    failure: float,
    source: str = SOURCE,
) -> None:
    """Refuse settings of `networked` that are out of range, before anything is learned."""
    for name, value in (("rounds", rounds), ("evaluation_steps", evaluation_steps)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise InputError(source, name, value, "an integer >= 0")
    if not (np.asarray(temperature, dtype=float) >= 0.0).all():
        raise InputError(source, "temperature", temperature, "numbers >= 0, of which 0 takes the highest score")
    if score not in SCORES:
        raise InputError(source, "score", score, f"one of {', '.join(SCORES)}")
    if score == "return" and evaluation_steps == 0:
        raise InputError(source, "evaluation_steps", evaluation_steps, "an integer >= 1 for the score 'return'")
    if not 0.0 <= failure <= 1.0:
        raise InputError(source, "failure", failure, "a probability")
