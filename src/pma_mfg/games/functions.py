"""Mean field games given by two Python functions (docs/theory.md, section 1.2).

Functions that `recognition` knows become a `MeanFieldGame`; this is for the others. A `FunctionGame` is solved exactly,
simulated and learnt in by the code that serves a `MeanFieldGame`, but it has no features: nothing about it is proved,
its Lipschitz constants are estimates, and derivatives come from differences. Functions that take both kinds are
annotated with `Game`.
"""

from __future__ import annotations

import math
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from pma_mfg.errors import Description, InputError, is_plain, one_line
from pma_mfg.games.model import DENSE_ENTRIES, LARGEST_VALUE, ROW_SUM_TOLERANCE, Features, MeanFieldGame
from pma_mfg.storage import regular_file

#: Step of the one-sided differences: (6 u)^(1/3), which balances truncation h^2 / 3 with rounding 4 u / h (1.2).
DIFFERENCE_STEP = 1e-5
#: Sum over z of mu(z) D_z, in units of the largest D_z, above which a game counts as not differentiable at mu: it is 0
#: where it is differentiable, up to the error of the differences, some 1e-10 for functions of order one.
KINK_TOLERANCE = 1e-6
#: Random mean fields, beside the vertices and the uniform one, at which a game is examined.
POINTS = 64
#: Problems that are told of one function.
SHOWN = 8

Function = Callable[[np.ndarray], Any]


class Linearization(MeanFieldGame):
    """The first-order tables of a game at one mean field: right there and in the derivatives, no game elsewhere."""

    def validate(self, source: str) -> None:
        """Check nothing: the tangent of a stochastic table may leave the simplex at once."""


@dataclass(frozen=True)
class FunctionGame:
    """A stationary, discounted mean field game given by two functions of the mean field.

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
    """

    discount: float
    transition_function: Function
    reward_function: Function
    n_states: int
    n_actions: int
    state_labels: tuple[str, ...] = ()
    action_labels: tuple[str, ...] = ()
    layout: np.ndarray | None = None
    source: str = "function game"
    text: str = ""

    @property
    def family(self) -> str:
        """The family's name, as of a `MeanFieldGame`."""
        return "functions"

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

    def linearized(self, mean_field: np.ndarray) -> MeanFieldGame:
        """Return the tables at a mean field with their derivatives, by one-sided second-order differences.

        With D_z the derivative in the direction e_z - mu, which stays in the simplex, P(mu + x) = P(mu) + sum_z x(z)
        D_z + O(x^2) for every x that sums to zero; the error is in docs/theory.md, section 1.2. A function that
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
        tables = base[0], base[1], terms[0], features[0], terms[1], features[1]
        return Linearization(self.discount, *tables, self.family)

    def differentiable_at(self, mean_field: np.ndarray) -> bool:
        """Return whether the derivatives in the directions e_z - mu, whose mean is zero, have the mean zero."""
        for of in (self.transition, self.reward):
            terms = differences(of, mean_field)[1]
            if np.abs(np.tensordot(mean_field, terms, axes=1)).max() > KINK_TOLERANCE * max(1.0, np.abs(terms).max()):
                return False
        return True


#: What code takes that works for both kinds of games.
Game = MeanFieldGame | FunctionGame


def with_features(game: Game, source: str) -> MeanFieldGame:
    """Return a game as data, or raise an `InputError` that says why a game given by functions will not do.

    Parameters
    ----------
    game : Game
    source : str
        What needs features, for the message.

    Returns
    -------
    MeanFieldGame
    """
    if isinstance(game, FunctionGame):
        reason = "a game with features: no sum of links was recognized in these functions (docs/theory.md, 1.3)"
        raise InputError(source, "game", Description(game.source), reason)
    return game


def differences(function: Function, mean_field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return f(mu) and its derivatives in the directions e_z - mu, z = 0..S-1 along a new first axis."""
    here, step = function(mean_field), DIFFERENCE_STEP
    found = np.empty((len(mean_field), *here.shape))
    for z, vertex in enumerate(np.eye(len(mean_field))):
        near, far = (function((1.0 - t) * mean_field + t * vertex) for t in (step, 2.0 * step))
        found[z] = (4.0 * (near - here) - (far - here)) / (2.0 * step)
    return here, found


def is_constant_near(function: Function, mean_field: np.ndarray) -> bool:
    """Return whether no bit of a function changes as a mean field moves by `DIFFERENCE_STEP` to a random one.

    Then all derivatives are zero: a random direction is orthogonal to none of them.
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
    table = _returned(function, name, mean_field, source)
    if table.shape != shape:
        raise InputError(source, name, Description(f"an array of shape {table.shape}"), f"shape {shape}")
    return table


def _returned(function: Function, name: str, mean_field: np.ndarray, source: str) -> np.ndarray:
    """Return what a user's function does as an array of floats."""
    with _running(source, name):
        given = function(np.array(mean_field, dtype=float))
        found, masked = np.asarray(given), np.ma.is_masked(given)
        if found.dtype.kind in "fiubO" and not masked:
            return found.astype(float)
    shown = "masked values" if masked else f"values of type {found.dtype}"
    raise InputError(source, name, Description(shown), "real numbers")


@contextmanager
def _running(source: str, name: str) -> Iterator[None]:
    """Run a user's code: what it prints goes to stderr, and whatever it raises becomes an InputError."""
    try:
        with redirect_stdout(sys.stderr):
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


def load_functions(path: str | Path) -> FunctionGame:
    """Run a Python file and return the game that it defines; what it says of itself is checked, not the tables.

    The file is run as it stands, with all that it does: load only files that you trust. What it prints goes to stderr.
    It is to be self-contained (it may import installed packages), and defines `discount`; `transition(mean_field)` and
    `reward(mean_field)`; `state_labels` or `n_states`; `action_labels` and `layout` if it likes.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    FunctionGame

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
    found: dict[str, Any] = {"__name__": Path(path).stem, "__file__": source}
    with _running(source, "file"):
        code: CodeType = compile(text, source, "exec", dont_inherit=True)
        exec(code, found)
    for name in ("transition", "reward"):
        if not callable(found.get(name)):
            raise InputError(source, name, Description("nothing"), f"a function {name}(mean_field) in the file")
    discount = found.get("discount", Description("nothing"))
    if isinstance(discount, bool) or not isinstance(discount, Real) or not 0.0 <= float(discount) < 1.0:
        raise InputError(source, "discount", discount, "a number in [0, 1)")
    labels: dict[str, tuple[str, ...]] = {}
    for name in ("state_labels", "action_labels"):
        given = found.get(name, ())
        if not isinstance(given, list | tuple) or not all(map(is_plain, given)):
            raise InputError(source, name, given, "a list of texts that can be printed")
        labels[name] = tuple(given)
    n_states = found.get("n_states", len(labels["state_labels"]) or Description("nothing"))
    if isinstance(n_states, bool) or not isinstance(n_states, int | np.integer) or n_states < 1:
        raise InputError(source, "n_states", n_states, "n_states, an integer >= 1, or state_labels in the file")
    if n_states**2 > DENSE_ENTRIES:
        allowed = (
            f"at most {math.isqrt(DENSE_ENTRIES)}: P of one action alone would have more than {DENSE_ENTRIES} entries"
        )
        raise InputError(source, "n_states", n_states, allowed)
    reward = _returned(found["reward"], "reward", np.full(n_states, 1.0 / n_states), source)
    if reward.ndim != 2 or reward.shape[0] != n_states or reward.shape[1] < 1:
        shape = Description(f"an array of shape {reward.shape}")
        raise InputError(source, "reward", shape, f"shape (S, A) = ({n_states}, number of actions)")
    n_actions = reward.shape[1]
    for name, count in (("state_labels", n_states), ("action_labels", n_actions)):
        if labels[name] and len(labels[name]) != count:
            raise InputError(source, name, labels[name], f"{count} strings, or none")
    layout = found.get("layout")
    if layout is not None:
        with _running(source, "layout"):
            layout = np.asarray(layout, dtype=float)
        if layout.shape != (n_states, 2) or not np.isfinite(layout).all():
            raise InputError(source, "layout", Description(f"shape {layout.shape}"), f"shape ({n_states}, 2)")
    functions = found["transition"], found["reward"]
    settings: dict[str, Any] = {**labels, "layout": layout, "source": source, "text": text}
    return FunctionGame(float(discount), *functions, int(n_states), n_actions, **settings)


def problems(game: FunctionGame) -> list[str]:
    """Return what is wrong with a game's functions, in plain words; empty for a sound game.

    Examined at the uniform mean field, at the vertices of the simplex and at 64 random mean fields: no proof. Each kind
    of problem is told once per function, where it is worst, and at how many of the mean fields it appears.

    Parameters
    ----------
    game : FunctionGame

    Returns
    -------
    list of str
    """
    found: list[str] = []
    points = sample_mean_fields(game.n_states)
    for name in ("transition", "reward"):
        worst: dict[str, tuple[float, str, int]] = {}
        for mean_field in points:
            for kind, size, words in _problems_at(game, name, mean_field):
                known = worst.get(kind, (-1.0, "", 0))
                told = (size, words) if size > known[0] else known[:2]
                worst[kind] = (*told, known[2] + 1)
        for _, words, count in list(worst.values())[:SHOWN]:
            fine = f"; the other {len(points) - count} are fine" if count < len(points) else ""
            found.append(f"{name}: {words} (at {count} of {len(points)} mean fields tried{fine})")
    return found


def _problems_at(game: FunctionGame, name: str, mean_field: np.ndarray) -> list[tuple[str, float, str]]:
    """Return kind, size and words of each problem of one function at one mean field."""
    where = f"at {_named(mean_field)}"
    function = game.transition_function if name == "transition" else game.reward_function
    given = mean_field.copy()
    try:
        table = (game.transition if name == "transition" else game.reward)(mean_field)
        with _running(game.source, name):
            function(given)
        again = _returned(function, name, mean_field, game.source)
    except InputError as error:
        return [("fails", 0.0, one_line(f"{error.field}: {error.value}, expected {error.allowed}, {where}"))]
    found: list[tuple[str, float, str]] = []
    if not np.array_equal(given, mean_field):
        found.append(("modifies", 0.0, f"it modifies its argument {where}: it is to work on a copy"))
    if table.shape != again.shape or not np.array_equal(table, again, equal_nan=True):
        found.append(("random", 0.0, f"called twice, it returns two different arrays {where}: nothing may be drawn"))
    if not np.isfinite(table).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(table))[0])
        border = " (some states are empty there: mind divisions and logarithms)" if mean_field.min() == 0.0 else ""
        found.append(("finite", 0.0, f"{_entry(game, name, place)} = {table[place]} {where}, not finite{border}"))
        return found
    if np.abs(table).max() > LARGEST_VALUE:
        place = tuple(int(i) for i in np.unravel_index(int(np.abs(table).argmax()), table.shape))
        words = f"{_entry(game, name, place)} = {table[place]:.6g} {where}: more than {LARGEST_VALUE:g} in size"
        found.append(("large", float(np.abs(table).max()), words))
        return found
    if name == "transition":
        if table.min() < -ROW_SUM_TOLERANCE:
            place = tuple(int(i) for i in np.unravel_index(int(table.argmin()), table.shape))
            words = f"{_entry(game, name, place)} = {table[place]:.6g} {where}: a probability cannot be negative"
            found.append(("negative", -float(table.min()), words))
        excess = table.sum(axis=2) - 1.0
        if np.abs(excess).max() > ROW_SUM_TOLERANCE * max(1, game.n_states):
            s, a = (int(i) for i in np.unravel_index(int(np.abs(excess).argmax()), excess.shape))
            row = f"P(. | {_label(game.state_labels, s)}, {_label(game.action_labels, a)})"
            words = f"{row} sums to {1.0 + excess[s, a]:.9g} {where}: {excess[s, a]:+.3g} beside 1"
            found.append(("sum", float(np.abs(excess).max()), words))
    return found


def _label(labels: tuple[str, ...], i: int) -> str:
    return f"{i} '{labels[i]}'" if labels else str(i)


def _entry(game: FunctionGame, name: str, place: tuple[int, ...]) -> str:
    state, action = _label(game.state_labels, place[0]), _label(game.action_labels, place[1])
    if name == "reward":
        return f"R(state {state}, action {action})"
    return f"P(next state {_label(game.state_labels, place[2])} | state {state}, action {action})"


def _named(mean_field: np.ndarray) -> str:
    """Return a mean field in words."""
    if mean_field.max() == 1.0:
        return f"the vertex where all agents are in state {int(mean_field.argmax())}"
    if np.ptp(mean_field) == 0.0:
        return "the uniform mean field"
    shown = ", ".join(f"{x:.4g}" for x in mean_field[:8])
    return f"mean field ({shown}{', ...' if len(mean_field) > 8 else ''})"
