"""What settings are made of: their types, and the keys at the top of a configuration.

A section of a configuration is a `Section` in the `settings.py` of its experiment's folder: a line for each key, with
its type, what it means and its unit. `pma_replication.configuration` joins the sections and checks a file;
`pma_replication.schema` writes the JSON schema and the page of keys from them. What depends on several keys, or on the
games, is checked by a section's `check`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from pma_mfg import games
from pma_mfg.errors import Description, InputError, InputErrors, nearest
from pma_mfg.games.functions import is_lumpable
from pma_mfg.games.model import MOST_LUMPED_STATES, n_lumped_states
from pma_mfg.learning import schedules

#: Numbers above this or below its inverse are refused, so that quotients and squares of all others are finite.
LARGEST_NUMBER = 1e20

#: Called with a field, its value and what is allowed there, for each problem.
Refuse = Callable[[str, Any, str], None]


def refused(allowed: str, told: str = "") -> PydanticCustomError:
    """Return the error with which a validator says what is allowed in place of a value, and the value if told."""
    return PydanticCustomError("refused", "{allowed}", {"allowed": allowed, "told": told})


def key(meaning: str, unit: str = "", **rules: Any) -> Any:
    """Return the description of a key: what it means, its unit, and further arguments of `pydantic.Field`."""
    return Field(description=meaning, json_schema_extra={"unit": unit} if unit else {}, **rules)


def optional(meaning: str, unit: str = "") -> Any:
    """Return the description of a key that may be left out; null is not taken for it."""
    return key(meaning, unit, default=None)


# --- types


def _bounded(value: Any) -> Any:
    """Refuse numbers that are not finite, or too large for a loop or for a quotient of two."""
    if isinstance(value, int) and abs(value) > games.LARGEST_INTEGER:
        raise refused(f"an integer of at most {games.LARGEST_INTEGER} in size")
    if isinstance(value, float) and not math.isfinite(value):
        raise refused("a finite number")
    if isinstance(value, float) and value and not 1.0 / LARGEST_NUMBER <= abs(value) <= LARGEST_NUMBER:
        raise refused(f"0 or a number from {1.0 / LARGEST_NUMBER:g} to {LARGEST_NUMBER:g} in size, or its negative")
    return value


def _differ(entries: list[Any]) -> list[Any]:
    try:
        n_different = len(set(entries))
    except TypeError:  # lists among them
        n_different = len(set(map(repr, entries)))
    if n_different < len(entries):
        raise refused("entries that differ")
    return entries


def increasing(numbers: list[int]) -> list[int]:
    """Refuse numbers that do not increase."""
    if numbers != sorted(numbers):
        raise refused("increasing numbers")
    return numbers


def _can_be_counted(td_constant: float, info: ValidationInfo) -> float:
    """Refuse more updates of TD learning than can be counted, by the accuracies given before."""
    epsilons = info.data.get("epsilons", [info.data["epsilon"]] if "epsilon" in info.data else [])
    if epsilons and (td_constant / min(epsilons)) ** 2 > schedules.MAX_UPDATES:
        allowed = f"(td_constant / epsilon)^2 <= {schedules.MAX_UPDATES:.0e} updates"
        raise refused(allowed, f"{td_constant} for epsilon {min(epsilons)}")
    return td_constant


def _can_be_used(path: str) -> str:
    """Refuse a path that the pipeline would take for something else: an option, a home folder, a pattern."""
    if not (path.isprintable() and path == path.strip() and path[:1] not in ("-", "~") and not set("{}") & set(path)):
        raise refused(
            "a path of printable characters without { and }, that neither starts with - or ~ nor has space around it"
        )
    return path


_LARGEST = games.LARGEST_INTEGER
bounded = BeforeValidator(_bounded)

Natural = Annotated[int, Field(ge=0, le=_LARGEST), bounded]
Count = Annotated[int, Field(ge=1, le=_LARGEST), bounded]
Replicates = Annotated[int, Field(ge=2, le=_LARGEST), bounded]
Agents = Annotated[int, Field(ge=2, le=_LARGEST), bounded]
# a number of agents that are simulated one by one
SingleAgents = Annotated[int, Field(ge=2, le=10**7), bounded]
# the number of steps of a long average
Steps = Annotated[int, Field(ge=100, le=_LARGEST), bounded]

Positive = Annotated[float, Field(gt=0), bounded]
NonNegative = Annotated[float, Field(ge=0), bounded]
# an accuracy or a probability
Fraction = Annotated[float, Field(gt=0, lt=1), bounded]
# M_td = (td_constant / epsilon)^2; its key stands below `epsilon` or `epsilons`, whose values it checks
TdConstant = Annotated[Positive, AfterValidator(_can_be_counted)]
# the value of a parameter of a game; its range is checked by the game's family
Parameter = Annotated[Any, bounded]

T = TypeVar("T")
# a list without equal entries
Distinct = Annotated[list[T], Field(json_schema_extra={"uniqueItems": True}), AfterValidator(_differ)]
Positives = Annotated[Distinct[Positive], Field(min_length=1)]
Fractions = Annotated[Distinct[Fraction], Field(min_length=1)]
Naturals = Annotated[Distinct[Natural], Field(min_length=1)]
Populations = Annotated[Distinct[Agents], Field(min_length=1)]

# a name that becomes part of file names, tables, figures and seeds
Name = Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
File = Annotated[str, Field(min_length=1, json_schema_extra={"format": "path"}), AfterValidator(_can_be_used)]
Games = Annotated[Distinct[str], Field(min_length=1, description="names of games, of those under `games`")]


class Settings(BaseModel):
    """Settings that belong together: types as they are written, and no key beyond those that are known."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Grid(Settings):
    """A logarithmic grid."""

    low: Positive = key("its first number")
    high: Positive = key("its last number, above the first")
    count: Annotated[int, Field(ge=2, le=_LARGEST), bounded] = key("how many numbers it has")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.low >= self.high:
            raise refused("low below high")
        return self


# --- the top of a configuration


class Game(Settings):
    """A game with its regularizer: made by a family of the library, or read from a file.

    Changing one game reruns what depends on it, and nothing else.

    An array file (`.npz`) is what `pma_mfg.games.load` reads. A Python file defines `discount`,
    `transition(mean_field)` of shape (S, A, S), `reward(mean_field)` of shape (S, A), `state_labels` or `n_states`, and
    `action_labels` and `layout` if you like; or else `game`, a game of the library. It is run. Functions that are
    affine in the mean field, or curved in single shares by a power, a logarithm or kinks, or in one sum of shares by
    1/x, exp(x) or kinks, are recognized (docs/theory, section 1.3) and become arrays once, when the game is made;
    others are run in every step, and may not appear in sections that need features. `pma-mfg validate my_game.py` says
    what is wrong with a file.

    Other files that a Python file reads when it is run or its functions are called, such as tables and modules next
    to it, are named in `inputs`. If one changes, what depends on the game is computed again. A file that is read
    and not named is refused, except for those of Python, of installed packages and of the system. Files that
    compiled code opens by itself (pyarrow, HDF5) are not noticed: name them. In the file, `__file__` is its own
    path, in every job. Environment variables are no inputs: a changed one reruns nothing.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["family", "parameters"], "properties": {"file": False, "inputs": False}},
                {"required": ["file"], "properties": {"family": False, "parameters": False}},
            ]
        }
    )

    family: str = optional("a family of generated games: `pma-mfg games` lists them")
    parameters: dict[str, Parameter] = optional("its parameters: `pma-mfg games FAMILY` explains them")
    file: File = optional("in place of the two: a game of yours, arrays (`.npz`) or Python functions (`.py`)")
    inputs: Distinct[File] = optional("beside a Python `file`: the other files that it reads, from the repository")
    regularizer: Literal["entropy", "quadratic"] = key("h, which is added to the reward")
    strength: Positive = key("its weight τ, of both also the modulus ρ of strong concavity", "reward")


class Claims(Settings):
    """Confidence of the intervals, and tolerances of the verdicts.

    A verdict compares a whole interval with what the claim expects, plus or minus a tolerance: inside it is
    *confirmed* (*vacuous* if the rival of the claim is not rejected), outside *not confirmed*, across the border
    *inconclusive*. The tolerances cover what theory neglects at the sizes configured, not Monte Carlo error, which the
    interval covers.
    """

    confidence: Fraction = key("of every bootstrap interval over replicates")
    rate_tolerance: Positive = key(
        "on PMA's observed linear rate against the spectral radius: faster modes and oscillation that remain in the "
        "fitted window",
        "relative",
    )
    slope_tolerance: Positive = key(
        "on the slope of the TD error (the start-up phase c/(m + c) at the small end), on its floor and the floor's "
        "slope (against the prediction) and of the bias against N (higher orders in 1/√N at the small end)",
        "absolute",
    )
    samples_slope_tolerance: Positive = key(
        "on the slope of samples against 1/ε: the contraction part of the error, which falls with K and not with M_td",
        "absolute",
    )
    constant_tolerance: Positive = key("on constants against their closed forms: higher orders in 1/√N", "relative")
    independent_tolerance: Positive = key(
        "on the spread of independent learners against its first-order prediction, and on its slope against η",
        "relative for the spread, absolute for the slope",
    )


class Top(Settings):
    """Configuration of a replication of pma-mfg."""

    seed: Natural = key(
        "root of all random streams. A stream is named by experiment, game, N, ε and replicate, so results do not "
        "depend on the number of cores or the order of jobs"
    )
    results: File = key(
        "folder of everything computed, relative to the repository or absolute; not the repository, a folder that "
        "contains it, or one of its sources"
    )
    figures: File = key(
        "folder of the figures, as `results`; not the results themselves, around them, or in their `benchmarks`, "
        "`equilibria`, `games`, `logs`, `points` or `tables`"
    )
    games: dict[Name, Game] = key("the games, by names of at most 64 letters, digits, `-` and `_`")
    claims: Claims = optional("intervals and tolerances of the verdicts; without it they are those of `config.yaml`")


# --- the sections of experiments


class Chosen(NamedTuple):
    """A game as a configuration has it."""

    game: games.Game
    regularizer: str
    strength: float


class Section(Settings):
    """The settings of an experiment, or of a part of one: a section of the configuration.

    Attributes
    ----------
    needs_features : bool
        Whether its games must have features, from which bounds are proved.
    """

    needs_features: ClassVar[bool] = False

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse what depends on the games.

        Parameters
        ----------
        chosen : mapping of str to Chosen
            The games that could be made; those of the section may be missing.
        refuse : callable
            Takes a field of the section, its value and what is allowed.
        """


class ExactPopulations(Section):
    """A section in which the N-agent game is solved exactly."""

    games: Games
    populations: Annotated[Distinct[Agents], Field(min_length=3)] = key(
        "numbers of agents for which the N-agent game is solved exactly, up to S·C(N+S−2, S−1) = 200 000 states: N ≤ "
        "10⁵ for S = 2, 364 for 3, 65 for 4, 29 for 5"
    )

    def check(self, chosen: Mapping[str, Chosen], refuse: Refuse) -> None:
        """Refuse populations that are too large, and games in which N agents leave states for good."""
        check_exact(self.games, self.populations, chosen, refuse=refuse)


# --- what a section's check may use


def check_exact(
    names: Sequence[str], populations: Sequence[int], chosen: Mapping[str, Chosen], *, refuse: Refuse
) -> None:
    """Refuse populations that are too large to be solved exactly, and games in which N agents leave states for good."""
    shapes = {name: chosen[name].game.n_states for name in names if name in chosen}
    for i, n_agents in enumerate(populations):
        sizes = {name: n_lumped_states(n_states, n_agents) for name, n_states in shapes.items()}
        if large := [name for name, size in sizes.items() if size > MOST_LUMPED_STATES]:
            told = f"{n_agents}, with which {large[0]} has {sizes[large[0]]:.12g} states of an agent and the others"
            refuse(f"populations[{i}]", Description(told), f"at most {MOST_LUMPED_STATES} of them")
    check_visited(names, populations, chosen, refuse=refuse)


def check_visited(
    names: Sequence[str], populations: Sequence[int], chosen: Mapping[str, Chosen], *, refuse: Refuse
) -> None:
    """Refuse games in which N agents leave states for good, where limits of learning for N agents are asked for.

    For policies that take every action; of others, and of larger populations, the jobs say so themselves.
    """
    n_agents = min(populations)
    for name in names:
        game = chosen[name].game if name in chosen else None
        if game is None or not is_lumpable(game, n_agents):
            continue
        # which import scipy
        from pma_mfg import operators
        from pma_mfg.populations import counts

        try:
            counts.check_visited(game, operators.uniform_policy(game), n_agents)
        except InputError as left:
            where = f"populations[{populations.index(n_agents)}]"
            refuse(where, Description(f"{left.value} of {name}"), left.allowed)


@contextmanager
def noted(refuse: Refuse, place: str) -> Iterator[None]:
    """Note what is refused within, with its place before the field, and go on after it."""
    try:
        yield
    except InputError as problem:
        for one in problem.problems if isinstance(problem, InputErrors) else (problem,):
            refuse(f"{place}: {one.field}", one.value, one.allowed)


def check_parameters(family: str, parameters: Mapping[str, Any], refuse: Refuse, *, place: str) -> bool:
    """Note every parameter that a family does not accept, and return whether there is none.

    `games.check_parameters` stops at the first.
    """
    try:
        accepted = games.describe(family)["parameters"]
    except InputError as unknown:
        likely = "" if "did you mean" in unknown.allowed else nearest(family, games.families())
        refuse(f"{place}: {unknown.field}", unknown.value, unknown.allowed + likely)
        return False
    sound, left = True, dict(parameters)
    while True:
        try:
            games.check_parameters(family, left)
        except InputError as wrong:
            if wrong.field in left:
                likely = "" if wrong.field in accepted else nearest(wrong.field, accepted)
                likely = "" if "did you mean" in wrong.allowed else likely
                refuse(f"{place}: {wrong.field}", wrong.value, wrong.allowed + likely)
                sound = False
                del left[wrong.field]
                continue
            if wrong.field not in accepted:
                refuse(f"{place}: {wrong.field}", wrong.value, wrong.allowed)
                sound = False
        break
    for name, parameter in accepted.items():
        if parameter["required"] and name not in parameters:
            needed = f"a value ({parameter['allowed']}): {family} requires it"
            refuse(f"{place}: {name}", Description("nothing"), needed)
            sound = False
    return sound


def make_game(family: str, parameters: Mapping[str, Any], refuse: Refuse, *, place: str) -> games.MeanFieldGame | None:
    """Return the game of a family, or note what only its tables show, or what the family does not accept."""
    if check_parameters(family, parameters, refuse, place=place):
        with noted(refuse, place):
            return games.make(family, **parameters)
    return None
