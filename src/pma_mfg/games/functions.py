"""Mean field games given by two Python functions (docs/theory, section 1.2).

Functions whose form `recognition` recognizes become a `MeanFieldGame`; this module is for all others. A `FunctionGame`
is solved exactly, simulated and learnt in by the code that serves a `MeanFieldGame`, but it has no features: nothing
about it is proved, its Lipschitz constants are estimates, and derivatives come from differences.

Functions that take both kinds are annotated with `Game`, and use what both classes have: `transition`, `reward`,
`linearized`, `differentiable_at`, `has_derivatives`, `depends_on_population`, `without_rewards`, `dense`. What needs
features calls `with_features`, or looks at `has_features`, which tells the type checker as well which game it has.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import logging
import math
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, fields, replace
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, ClassVar, Literal, NoReturn, TypeGuard

import numpy as np

from pma_mfg.errors import Description, InputError, is_plain
from pma_mfg.games.features import Features, same_content
from pma_mfg.games.model import DENSE_ENTRIES, MOST_LUMPED_STATES, MeanFieldGame, n_lumped_states, repeated
from pma_mfg.storage import regular_file

#: Step h of the one-sided differences: (6 u)^(1/3) with u = 1.1e-16, where the truncation error h^2 / 3 and the
#: rounding error 4 u / h balance (docs/theory, section 1.2).
DIFFERENCE_STEP = 1e-5

#: A game counts as differentiable at mu if the average of the directional derivatives D_z over mu is at most this share
#: of the largest of them (or of 1, if that is larger). At such a point the average is 0, up to the error of the
#: differences, some 1e-10 for functions of order one.
KINK_TOLERANCE = 1e-6

#: Number of random mean fields at which a game is examined, in addition to the vertices and the uniform one.
POINTS = 64

#: Entries of one function that are computed to examine it, which takes about a second: the larger a table, the fewer
#: mean fields.
EXAMINED = 10**8

#: Names that a game's file must define, and those that it may define; no other name is read.
NEEDED_NAMES = ("discount", "transition", "reward")
OPTIONAL_NAMES = ("n_states", "state_labels", "action_labels", "layout")

#: Likeness (of `difflib`) from which on a name that is not read may be meant for one that is.
LIKENESS = 0.65

log = logging.getLogger("pma_mfg")

Function = Callable[[np.ndarray], Any]


class Linearization(MeanFieldGame):
    """Tables and derivatives of a game at one mean field; at other mean fields the rows need not be distributions."""

    def validate(self, source: str) -> None:
        """Check nothing, since rows are distributions at one mean field only."""


@dataclass(frozen=True, eq=False, repr=False)
class FunctionGame:
    """A stationary, discounted mean field game given by two functions of the mean field.

    Made by `games.load` or `games.from_functions`, which examine it. A game that was read from a file is pickled by its
    text and rebuilt from it; another one by its functions, which then are to be importable. Two games are equal if
    their texts are, or, without a text, their functions are the same objects, and all else agrees.

    Parameters
    ----------
    discount : float
        gamma, in [0, 1).
    transition_function : callable
        From mu, shape (S,), to P(s'|s,a,mu), shape (S, A, S).
    reward_function : callable
        From mu, shape (S,), to R(s,a,mu), shape (S, A).
    n_states, n_actions : int
    state_labels, action_labels : tuple of str
        S and A names, or none.
    layout : ndarray, shape (S, 2), or None
        As in `MeanFieldGame`.
    source : str
        The file, for messages.
    text : str
        What the file holds; `games.save` writes it.
    reason : str
        Why the functions are not features (`recognition`), where that was looked into.
    """

    discount: float
    transition_function: Function
    reward_function: Function
    _: KW_ONLY
    n_states: int
    n_actions: int
    state_labels: tuple[str, ...] = ()
    action_labels: tuple[str, ...] = ()
    layout: np.ndarray | None = None
    source: str = "function game"
    text: str = ""
    reason: str = ""

    has_features: ClassVar[Literal[False]] = False

    def __eq__(self, other: object) -> bool:
        from_files = bool(self.text) and isinstance(other, FunctionGame) and bool(other.text)
        functions = ("transition_function", "reward_function") if from_files else ()
        return same_content(self, other, made_by=("source", "reason", *functions))

    __hash__ = None  # type: ignore[assignment]  # the layout is an array

    def __repr__(self) -> str:
        shape = f"S = {self.n_states}, A = {self.n_actions}, gamma = {self.discount:g}"
        return f"<FunctionGame {self.source}: {shape}; two Python functions without features>"

    def __reduce__(self) -> tuple[Any, ...]:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        if self.text:
            del values["transition_function"], values["reward_function"]
        return _unpickled, (values,)

    @property
    def family(self) -> str:
        """The family's name, as of a `MeanFieldGame`."""
        return "functions"

    @property
    def depends_on_population(self) -> bool:
        """True, since transitions given by a function may depend on the mean field."""
        return True

    def transition(self, mean_field: np.ndarray) -> np.ndarray:
        """Return P(s'|s,a,mu), shape (S, A, S), for a mean field of shape (S,)."""
        shape = (self.n_states, self.n_actions, self.n_states)
        return _called(self.transition_function, "transition", mean_field, shape, self.source)

    def reward(self, mean_field: np.ndarray) -> np.ndarray:
        """Return R(s,a,mu), shape (S, A), for a mean field of shape (S,)."""
        return _called(self.reward_function, "reward", mean_field, (self.n_states, self.n_actions), self.source)

    def dense(self, source: str) -> FunctionGame:
        """Return this game, whose tables are dense; `source` as in `MeanFieldGame.dense`."""
        return self

    def with_features(self, source: str) -> NoReturn:
        """Raise an `InputError` that says why this game will not do for `source`, which needs features."""
        because = self.reason or "no sum of links was recognized in these functions"
        allowed = f"a game with features: {because} (docs/theory, section 1.3)"
        raise InputError(source, "game", Description(self.source), allowed)

    def without_rewards(self) -> FunctionGame:
        """Return the game with the same transitions and the reward 0."""
        nothing = np.zeros((self.n_states, self.n_actions))
        return replace(self, reward_function=lambda mean_field: nothing, text="")

    def has_derivatives(self) -> bool:
        """Return whether the tables of `linearized` fit into memory: S tables of R, and S of P unless P is constant."""
        if self.n_states**3 * self.n_actions <= DENSE_ENTRIES:
            return True
        uniform = np.full(self.n_states, 1.0 / self.n_states)
        return self.n_states**2 * self.n_actions <= DENSE_ENTRIES and is_constant_near(self.transition, uniform)

    def linearized(self, mean_field: np.ndarray) -> MeanFieldGame:
        """Return the tables at a mean field with their derivatives, by one-sided second-order differences.

        With D_z the derivative in the direction e_z - mu, which stays in the simplex, P(mu + x) = P(mu) + sum_z x(z)
        D_z + O(x^2) for every x that sums to zero; the error is in docs/theory, section 1.2. A function that
        `is_constant_near` the mean field has no such terms, and is called three times only.

        Parameters
        ----------
        mean_field : ndarray, shape (S,)

        Returns
        -------
        MeanFieldGame
            For derivatives at `mean_field`; not stochastic elsewhere.
        """
        moving = Features.build(np.eye(self.n_states), -np.asarray(mean_field, dtype=float))
        base, terms, features = [], [], []
        for of in (self.transition, self.reward):
            if is_constant_near(of, mean_field):
                base.append(of(mean_field))
                terms.append(np.zeros((0, *base[-1].shape)))
                features.append(Features.none(self.n_states))
            else:
                here, found = differences(of, mean_field)
                base.append(here)
                terms.append(found)
                features.append(moving)
        return Linearization(
            self.discount,
            *base,
            transition_terms=terms[0],
            transition_features=features[0],
            reward_terms=terms[1],
            reward_features=features[1],
            family=self.family,
        )

    def differentiable_at(self, mean_field: np.ndarray) -> bool:
        """Return whether transitions and rewards are differentiable at a mean field, up to `KINK_TOLERANCE`."""
        for of in (self.transition, self.reward):
            terms = differences(of, mean_field)[1]
            if np.abs(np.tensordot(mean_field, terms, axes=1)).max() > KINK_TOLERANCE * max(1.0, np.abs(terms).max()):
                return False
        return True


#: A game of either kind.
Game = MeanFieldGame | FunctionGame


def is_lumpable(game: Game, n_agents: int, most: int = MOST_LUMPED_STATES) -> TypeGuard[MeanFieldGame]:
    """Return whether N agents are computed exactly (`populations.finite_population`).

    Parameters
    ----------
    game : Game
    n_agents : int
        N >= 1.
    most : int
        Largest number of states of the game of N agents (`games.model.n_lumped_states`) that is asked for.

    Returns
    -------
    bool
        Whether the game has features, and no more states than that.
    """
    return game.has_features and n_lumped_states(game.n_states, n_agents) <= most


def differences(
    function: Function, mean_field: np.ndarray, states: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return f(mu) and its derivatives in the directions e_z - mu along a new first axis, for all z or those given."""
    here, step = function(mean_field), DIFFERENCE_STEP
    vertices = np.eye(len(mean_field))[slice(None) if states is None else states]
    found = np.empty((len(vertices), *here.shape))
    for z, vertex in enumerate(vertices):
        near, far = (function((1.0 - t) * mean_field + t * vertex) for t in (step, 2.0 * step))
        found[z] = (4.0 * (near - here) - (far - here)) / (2.0 * step)
    return here, found


def is_constant_near(function: Function, mean_field: np.ndarray) -> bool:
    """Return whether a function keeps its value, bitwise, as the mean field moves by `DIFFERENCE_STEP` at random.

    Then all its derivatives are zero, since a random direction is orthogonal to no other derivative.
    """
    other = np.random.default_rng(0).dirichlet(np.ones(len(mean_field)))
    moved = function((1.0 - DIFFERENCE_STEP) * mean_field + DIFFERENCE_STEP * other)
    return bool(np.array_equal(moved, function(mean_field)))


def sample_mean_fields(n_states: int, count: int = POINTS) -> np.ndarray:
    """Return the uniform mean field, the vertices and random ones near the boundary and inside, shape (M, S)."""
    rng = np.random.default_rng(0)
    inside = [rng.dirichlet(np.full(n_states, shape), size=count // 2) for shape in (0.3, 1.0)]
    return np.concatenate([np.full((1, n_states), 1.0 / n_states), np.eye(n_states), *inside])


def _called(function: Function, name: str, mean_field: np.ndarray, shape: tuple[int, ...], source: str) -> np.ndarray:
    """Call a user's function, and say in one line what went wrong."""
    table = returned(function, name, mean_field, source=source)
    if table.shape != shape:
        raise InputError(source, name, Description(f"an array of shape {table.shape}"), f"shape {shape}")
    return table


def returned(function: Function, name: str, mean_field: np.ndarray, *, source: str, copy: bool = True) -> np.ndarray:
    """Return the value of a user's function as an array of floats.

    It is a copy unless `copy` is false, as the function may write to its own array at the next call.
    """
    with running(source, name):
        given = function(np.array(mean_field, dtype=float))
        found, masked = np.asarray(given), np.ma.is_masked(given)
        if found.dtype.kind in "fiubO" and not masked:
            return found.astype(float, copy=copy)
    shown = "masked values" if masked else f"values of type {found.dtype}"
    raise InputError(source, name, Description(shown), "real numbers")


@contextmanager
def running(source: str, name: str) -> Iterator[None]:
    """Run a user's code: whatever it raises becomes an InputError."""
    try:
        yield
    except (KeyboardInterrupt, InputError):
        raise
    except BaseException as error:  # whatever a user's code raises; SystemExit is no Exception
        raise _failure(source, name, error) from None


def _failure(source: str, name: str, error: BaseException) -> InputError:
    """Return an exception of the user's code as an InputError with the line of the file."""
    line = error.lineno if isinstance(error, SyntaxError) else None
    if line is None:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source]
        line = lines[-1] if lines else None
    place = f", line {line}" if line else ""
    words = error.msg if isinstance(error, SyntaxError) else error
    return InputError(source, f"{name}{place}", Description(f"{type(error).__name__}: {words}"), "code that runs")


def load_functions(path: str | Path) -> Game:
    """Run a Python file and return the game that it defines; functions are not checked yet (`function_checks`).

    The file is run as it stands, with all that it does: load only files that you trust. It may import installed
    packages, and read files next to it (`__file__` is its path). It defines `discount`; `transition(mean_field)` and
    `reward(mean_field)`; `state_labels` or `n_states`; `action_labels` and `layout` if it likes. Or it defines `game`,
    a game of the library, as `games.from_functions` returns; then the others are not read. Other names are its own;
    one that looks like a slip for a name that is missing is told in a warning.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    MeanFieldGame or FunctionGame
        The first only as the file's `game`.

    Raises
    ------
    InputError
        If the file does not run, or lacks something; with the line.
    """
    source = str(path)
    try:
        text = regular_file(path, "an existing Python file").read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(source, "file", Description(error), "a Python file in UTF-8") from None
    return _defined(text, source)


def _defined(text: str, source: str) -> Game:
    """Return the game that a text defines, run as Python runs a module."""
    copied = _COPIED.search(text)
    path = copied["path"] if copied else source
    # a name of its own, under which the classes that it defines find their module
    module = ModuleType(f"{Path(path).stem}_{hashlib.sha256(text.encode()).hexdigest()[:16]}")
    module.__file__ = path
    found = module.__dict__
    with running(source, "file"):
        code: CodeType = compile(text, source, "exec", dont_inherit=True)
        sys.modules[module.__name__] = module
        exec(code, found)
    game = found.get("game")
    if isinstance(game, MeanFieldGame):
        return game
    if isinstance(game, FunctionGame):
        return replace(game, source=source, text=text)
    for name in ("transition", "reward"):
        if not callable(found.get(name)):
            allowed = f"a function {name}(mean_field) in the file, or game = games.from_functions(...)"
            raise InputError(source, name, Description("nothing"), allowed)
    if slips := _slips(found):
        told = ", ".join(f"{name} (did you mean {meant}?)" for name, meant in slips.items())
        _warn(f"warning: {source}: names that are not read: {told}")
    return replace(_described(found, source), text=text)


def _slips(found: Mapping[str, Any]) -> dict[str, str]:
    """Return the public variables of a file that may be meant for a name that it does not define, and that name."""
    missing = [name for name in OPTIONAL_NAMES if name not in found]
    if "state_labels" in found:  # which gives the number of states
        missing = [name for name in missing if name != "n_states"]
    slips = {}
    for name, value in found.items():
        if name in (*NEEDED_NAMES, *OPTIONAL_NAMES) or name.startswith("_") or callable(value):
            continue
        # constants of a module are upper case by custom, and no slip unless they are the very word
        kind = [meant for meant in missing if _is_of_kind(value, meant)]
        near = [name.lower()] if name.lower() in missing else difflib.get_close_matches(name, kind, 1, LIKENESS)
        if near and not isinstance(value, ModuleType):
            slips[name] = near[0]
    return slips


def _is_of_kind(value: Any, name: str) -> bool:
    """Return whether a value is of the kind that an optional name has: a number, names, or places."""
    if name == "n_states":
        return isinstance(value, Integral) and not isinstance(value, bool)
    several = isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)
    items = list(value) if several else []
    names = bool(items) and all(isinstance(item, str) for item in items)
    return names if name in ("state_labels", "action_labels") else bool(items) and not names


@cache
def _warn(message: str) -> None:
    """Log a warning once, however often a file is read."""
    log.warning("%s", message)


#: Pattern of the last line of a copied game file: the path of the original, which is its `__file__`, and the files that
#: it reads.
_COPIED = re.compile(r"^# pma-mfg: a copy of (?P<path>.*?)(?:; reads .*? \([0-9a-f]{64}\))*\n\Z", re.MULTILINE)


def copied_text(game: FunctionGame, inputs: Sequence[str | Path] = ()) -> str:
    """Return the text of a game for a copy of its file, with a last line that names the original and what it reads.

    The line is left out where the text does not use `__file__` and reads nothing. It holds the SHA-256 of each
    input, so that a copy differs where its inputs do.

    Parameters
    ----------
    game : FunctionGame
        Read from a file.
    inputs : sequence of path-like
        Other files that it reads.

    Returns
    -------
    str
    """
    if _COPIED.search(game.text) or not (inputs or "__file__" in game.text):
        return game.text
    read = "".join(f"; reads {path} ({hashlib.sha256(Path(path).read_bytes()).hexdigest()})" for path in inputs)
    return f"{game.text.rstrip(chr(10))}\n# pma-mfg: a copy of {game.source}{read}\n"


def _unpickled(values: dict[str, Any]) -> FunctionGame:
    """Return a game from what `__reduce__` gave."""
    if not values["text"]:
        return FunctionGame(**values)
    game = _defined(values["text"], values["source"])
    assert not game.has_features  # the same text gave functions before
    return replace(game, **values)


def checked(
    transition: Function,
    reward: Function,
    discount: float,
    *,
    n_states: int | None,
    state_labels: Sequence[str],
    action_labels: Sequence[str],
    layout: Any,
    source: str,
) -> FunctionGame:
    """Return the game of two functions; their tables are not checked yet (`function_checks.problems`).

    Parameters
    ----------
    transition, reward, discount, n_states, state_labels, action_labels, layout
        As in `games.from_functions`.
    source : str
        Where they came from, for messages.

    Returns
    -------
    FunctionGame
    """
    found = {"transition": transition, "reward": reward, "discount": discount, "state_labels": state_labels}
    found |= {"action_labels": action_labels, "layout": layout}
    for name in ("transition", "reward"):
        if not callable(found[name]):
            raise InputError(source, name, found[name], f"a function {name}(mean_field)")
    return _described(found if n_states is None else found | {"n_states": n_states}, source)


def _described(found: Mapping[str, Any], source: str) -> FunctionGame:
    """Return the game of two functions and what a file or a caller says of them."""
    discount = found.get("discount", Description("nothing"))
    if isinstance(discount, bool) or not isinstance(discount, Real) or not 0.0 <= float(discount) < 1.0:
        raise InputError(source, "discount", discount, "a number in [0, 1)")
    labels: dict[str, tuple[str, ...]] = {}
    for name in ("state_labels", "action_labels"):
        given = found.get(name, ())
        if not isinstance(given, list | tuple) or not all(map(is_plain, given)):
            raise InputError(source, name, given, "a list of texts that can be printed")
        if twice := repeated(given):
            raise InputError(source, name, Description(f"'{twice}' twice"), "names that differ")
        labels[name] = tuple(given)
    n_states = found.get("n_states", len(labels["state_labels"]) or Description("nothing"))
    if isinstance(n_states, bool) or not isinstance(n_states, int | np.integer) or n_states < 1:
        raise InputError(source, "n_states", n_states, "n_states, an integer >= 1, or state_labels in the file")
    if n_states**2 > DENSE_ENTRIES:
        allowed = (
            f"at most {math.isqrt(DENSE_ENTRIES)}: P of one action alone would have more than {DENSE_ENTRIES} entries"
        )
        raise InputError(source, "n_states", n_states, allowed)
    n_actions = _number_of_actions(found, int(n_states), len(labels["action_labels"]), source)
    for name, count in (("state_labels", n_states), ("action_labels", n_actions)):
        if labels[name] and len(labels[name]) != count:
            raise InputError(source, name, labels[name], f"{count} strings, or none")
    layout = found.get("layout")
    if layout is not None:
        with running(source, "layout"):
            layout = np.asarray(layout, dtype=float)
        if layout.shape != (n_states, 2) or not np.isfinite(layout).all():
            raise InputError(source, "layout", Description(f"shape {layout.shape}"), f"shape ({n_states}, 2)")
    functions = found["transition"], found["reward"]
    settings: dict[str, Any] = {**labels, "layout": layout, "source": source}
    return FunctionGame(float(discount), *functions, n_states=int(n_states), n_actions=n_actions, **settings)


def _number_of_actions(found: Mapping[str, Any], n_states: int, n_labels: int, source: str) -> int:
    """Return A from the shape of the rewards; if transitions and labels agree on another number, refuse the rewards."""
    uniform = np.full(n_states, 1.0 / n_states)
    reward = returned(found["reward"], "reward", uniform, source=source)
    try:
        transition: tuple[int, ...] = returned(
            found["transition"], "transition", uniform, source=source, copy=False
        ).shape
    except InputError:  # told by `problems`, with the mean field
        transition = ()
    told = f", as transition returns shape {transition}" if transition else ""
    sound = len(transition) == 3 and transition[::2] == (n_states, n_states) and n_labels in (0, transition[1])
    actions = n_labels or (transition[1] if sound else "A")
    wrong = reward.ndim != 2 or reward.shape[0] != n_states or reward.shape[1] < 1
    if wrong or (sound and reward.shape[1] != transition[1]):
        shape = Description(f"an array of shape {reward.shape}")
        raise InputError(source, "reward", shape, f"shape (S, A) = ({n_states}, {actions}){told}")
    return int(reward.shape[1])


@contextmanager
def files_read() -> Iterator[set[Path]]:
    """Yield a set that collects the files which Python opens for reading while the context lasts.

    Files that compiled code opens by itself are not seen, nor are environment variables.
    """
    if not _watching:
        sys.addaudithook(_opened)  # for good: Python has no way to take one off
        _watching.append(set())
    _watching.append(set())
    try:
        yield _watching[-1]
    finally:
        _watching.pop()


#: One set of files for each active `files_read`, the innermost last. The first set is never filled: it shows that the
#: audit hook is installed.
_watching: list[set[Path]] = []

_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr")


def _opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or len(_watching) < 2:
        return
    path, mode, flags = (*arguments, None, None)[:3]
    # `os.open` gives flags and no mode
    writes = set(mode) & set("wax+") if isinstance(mode, str) else isinstance(flags, int) and flags & os.O_ACCMODE
    if isinstance(path, str | bytes) and not writes:
        _watching[-1].add(Path(os.path.abspath(os.fsdecode(path))))


def unlisted(read: set[Path], listed: Sequence[str | Path], source: str) -> list[str]:
    """Return the files that a game has read and that are not listed as its inputs, sorted.

    Left out are the game's own file and those of Python, of installed packages, of this package, of the operating
    system, and of the user's caches and settings.
    """
    known = {Path(path).resolve() for path in (*listed, source)}
    own = (os.environ.get("XDG_CACHE_HOME"), os.environ.get("NUMBA_CACHE_DIR"), "~/.cache", "~/.config")
    folders = [Path(path).expanduser() for path in (*_SYSTEM, sys.prefix, sys.base_prefix, *filter(None, own))]
    folders.append(Path(__file__).resolve().parents[1])
    found = set()
    for path in read:
        if path.suffix == ".pyc" and path.parent.name == "__pycache__":
            path = Path(importlib.util.source_from_cache(str(path)))
        inside = any(path.is_relative_to(folder) or path.resolve().is_relative_to(folder) for folder in folders)
        if path.is_file() and not inside and path.resolve() not in known:
            near = os.path.relpath(path)
            found.add(str(path) if near.startswith("..") else near)
    return sorted(found)
