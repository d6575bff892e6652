"""Strongly concave regularizers h of a policy's action distribution (docs/theory.md, section 2).

Every method works on the last axis, the actions, and row by row: arrays of shape (..., A) in, (..., A) or (...,) out.
The two maps of interest are

    best_response(q)              = argmax_u <u, q> + h(u),
    proximal_step(q, policy, eta) = argmax_u <u, q> + h(u) - D(u, policy) / eta,

both over the simplex, or over U = {u : h(u) >= floor} when a floor is given. D is the divergence of the mirror map:
||u - policy||_2^2 / 2 (`euclidean`, the paper's) or sum_a u_a log(u_a / policy_a) (`kl`). Cost: a few dozen elementwise
operations.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path
from types import ModuleType
from typing import Literal, Protocol, get_args

import numpy as np
from scipy.optimize import brentq
from scipy.special import entr, logsumexp, softmax, wrightomega

from pma_mfg.errors import Description, InputError

#: The mirror map of a proximal step, by the name of its divergence.
Mirror = Literal["euclidean", "kl"]

#: Rows of q this many times farther from zero than policies can tell, rho + 1/eta, are centred before a step.
FAR = 1e6

#: Modules that `load` makes of files are called this and a hash of the file's path.
_LOADED = "pma_mfg_regularizer_"


class Regularizer(Protocol):
    """What the operators need of a regularizer h(u) = sum_a phi(u_a), with one concave function phi for all actions.

    So h is largest at the uniform distribution, and its Hessian is diagonal; whatever is computed from a regularizer
    rests on that, and on `rho`, `span` and `gradient_span` being what they say (docs/theory.md, section 2.5). Besides
    `Entropy` and `Quadratic` any class with these members will do; `load` takes one from a file.
    """

    @property
    def strength(self) -> float:
        """The weight tau > 0, in proportion to which h grows."""

    @property
    def rho(self) -> float:
        """Modulus of strong concavity with respect to the Euclidean norm."""

    def value(self, u: np.ndarray) -> np.ndarray:
        """Return h(u), shape (...,), for u of shape (..., A)."""

    def gradient(self, u: np.ndarray) -> np.ndarray:
        """Return the gradient of h, shape (..., A)."""

    def curvature(self, u: np.ndarray) -> np.ndarray:
        """Return the diagonal of the negative Hessian of h, shape (..., A); infinite where u leaves the support."""

    def span(self, n_actions: int) -> float:
        """Return h_max - h_min on the simplex."""

    def gradient_span(self, n_actions: int, gap: float) -> float:
        """Return a bound on max_a - min_a of the gradient over {u : h(u) >= h_max - gap}."""

    def optimum(self, q: np.ndarray) -> np.ndarray:
        """Return max_u <u, q> + h(u) over the simplex, shape (...,)."""

    def best_response(self, q: np.ndarray, floor: float | None = None) -> np.ndarray:
        """Return argmax_u <u, q> + h(u), shape (..., A); `step` asks no class but the two here for a floor."""

    def proximal_step(
        self,
        q: np.ndarray,
        policy: np.ndarray,
        step_size: float,
        floor: float | None = None,
        mirror: Mirror = "euclidean",
    ) -> np.ndarray:
        """Return argmax_u <u, q> + h(u) - D(u, policy) / step_size, shape (..., A).

        Other classes than the two here need neither a floor nor, unless it is used, the KL mirror map.
        """


def make(name: str, strength: float) -> Entropy | Quadratic:
    """Return the regularizer called "entropy" or "quadratic".

    Raises
    ------
    InputError
        For another name, or a strength that is not a positive number.
    """
    if name not in _KINDS:
        raise InputError("regularizers.make", "regularizer", name, f"one of {', '.join(_KINDS)}")
    return _KINDS[name](strength)


def kind(regularizer: Regularizer) -> str | None:
    """Return "entropy" or "quadratic" for an `Entropy` or a `Quadratic`, None for any other class.

    What is proved for one of the two is used only there: a class derived from one of them may be another function.
    """
    return next((name for name, known in _KINDS.items() if type(regularizer) is known), None)


def name_of(regularizer: Regularizer) -> str:
    """Return the kind of a regularizer, "FILE.py:NAME" if `load` took it from a file, or else its class in full."""
    if (known := kind(regularizer)) is not None:
        return known
    described = type(regularizer)
    module = sys.modules.get(described.__module__)
    place = module.__file__ if module is not None and described.__module__.startswith(_LOADED) else None
    return f"{place}:{described.__qualname__}" if place else f"{described.__module__}.{described.__qualname__}"


def load(described: str, strength: float) -> Regularizer:
    """Return a regularizer by its name, or of a class in a Python file, which is run.

    Parameters
    ----------
    described : str
        "entropy", "quadratic", or "FILE.py:NAME": NAME is a class in the file with the members of `Regularizer`, made
        as NAME(strength). The file is run as it stands, with all that it does: load only files that you trust.
    strength : float
        > 0.

    Returns
    -------
    Regularizer

    Raises
    ------
    InputError
        If there is no such file or class, the file does not run, the class is not made from a strength, or it lacks
        members; all that are missing are named.
    """
    path, separator, name = described.rpartition(":")
    if not separator:
        return make(described, strength)
    allowed = "FILE.py:NAME, a Python file and a class in it, or entropy or quadratic"
    if not path.endswith(".py") or not name.isidentifier():
        raise InputError("regularizers.load", "regularizer", described, allowed)
    _check_strength("load", strength)
    if not Path(path).is_file():
        raise InputError(path, "file", Description("nothing"), "an existing Python file with a regularizer")
    # as an import would run it, which dataclasses and pickle rely on; but no compiled file is left beside it
    module = ModuleType(_LOADED + hashlib.sha256(str(Path(path).resolve()).encode()).hexdigest()[:16])
    module.__file__ = path
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        with _running(path, "file"):
            exec(compile(Path(path).read_bytes(), path, "exec", dont_inherit=True), module.__dict__)
        found = module.__dict__.get(name)
        if not isinstance(found, type):
            classes = [key for key, value in module.__dict__.items() if isinstance(value, type)]
            raise InputError(path, name, Description("no such class"), f"one of {', '.join(classes) or 'its classes'}")
        with _running(path, f"{name}({strength:g})"):
            made: Regularizer = found(strength)
            missing = [member for member in _MEMBERS if not hasattr(made, member)]
        if missing:
            needed = f"all of pma_mfg.regularizers.Regularizer, also {', '.join(missing)}"
            raise InputError(path, name, Description("a class without some members"), needed)
    except BaseException:
        if before is None:
            del sys.modules[module.__name__]
        else:
            sys.modules[module.__name__] = before
        raise
    return made


@contextmanager
def _running(path: str, what: str) -> Iterator[None]:
    """Turn whatever a user's code raises into an `InputError`."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit is no Exception
        words = Description(f"{type(error).__name__}: {error}")
        raise InputError(path, what, words, "code that runs") from error


def _check_strength(name: str, strength: float) -> None:
    if not (isinstance(strength, float | int) and not isinstance(strength, bool) and 0.0 < strength < np.inf):
        raise InputError(f"regularizers.{name}", "strength", strength, "a finite number > 0")


def _check_step(
    regularizer: Regularizer, policy: np.ndarray, step_size: float, floor: float | None, mirror: Mirror
) -> None:
    if not 0.0 < step_size < np.inf:
        raise InputError(
            "proximal_step", "step_size", step_size, "a finite number > 0 (use best_response for infinity)"
        )
    if mirror not in get_args(Mirror):
        raise InputError("proximal_step", "mirror", mirror, f"one of {', '.join(get_args(Mirror))}")
    if mirror == "kl" and floor is not None and not (policy > 0.0).all():
        taken = (policy > 0.0) / (policy > 0.0).sum(axis=-1, keepdims=True)
        if (highest := float(regularizer.value(taken).min())) < floor:
            raise InputError(
                "proximal_step", "floor", floor, f"at most h_max of the actions that the policy takes, {highest}"
            )


def step(
    regularizer: Regularizer,
    q: np.ndarray,
    policy: np.ndarray,
    step_size: float,
    floor: float | None = None,
    mirror: Mirror = "euclidean",
) -> np.ndarray:
    """Return argmax_u <u, q> + h(u) - D(u, policy) / step_size over h(u) >= floor, shape (..., A), for any regularizer.

    A class of the user's need not know of floors: with k h in place of h its step is that from q / k at step size k eta
    (docs/theory.md, section 2.5), which is all that a floor takes.

    Parameters
    ----------
    regularizer : Regularizer
    q, policy : ndarray, shape (..., A)
    step_size : float
        eta > 0, or infinity for the best response.
    floor : float, optional
    mirror : {"euclidean", "kl"}

    Returns
    -------
    ndarray, shape (..., A)

    Raises
    ------
    InputError
        For a floor that no distribution reaches, another mirror map, or one that the class does not take or refuses.
        What else a class of the user's own raises is not caught.
    """
    if kind(regularizer) is not None:
        if step_size == np.inf:
            return regularizer.best_response(q, floor)
        return regularizer.proximal_step(q, policy, step_size, floor, mirror)
    if step_size == np.inf:
        return _with_floor(lambda kappa, q: regularizer.best_response(q / (1.0 + kappa)), regularizer, floor, q)
    _check_step(regularizer, policy, step_size, floor, mirror)

    called = f"{type(regularizer).__name__}.proximal_step"
    taken = signature(regularizer.proximal_step).parameters.values()
    if mirror != "euclidean" and not any(p.name == "mirror" or p.kind is Parameter.VAR_KEYWORD for p in taken):
        raise InputError("proximal_step", "mirror", mirror, f"euclidean: {called} takes no other mirror map")

    def weighted(kappa: float, q: np.ndarray, policy: np.ndarray) -> np.ndarray:
        k = 1.0 + kappa
        if mirror == "euclidean":
            return regularizer.proximal_step(q / k, policy, k * step_size)
        try:
            return regularizer.proximal_step(q / k, policy, k * step_size, mirror=mirror)
        except (AssertionError, NotImplementedError) as error:  # a class may say so that it knows no such map
            raised = f"{type(error).__name__}{f': {error}' if str(error) else ''}"
            allowed = f"euclidean: {called} raises {raised} with mirror={mirror!r}"
            raise InputError("proximal_step", "mirror", mirror, allowed) from error

    return _with_floor(weighted, regularizer, floor, q, policy)


@dataclass(frozen=True)
class Entropy:
    """h(u) = -tau sum_a u_a log u_a: 0 <= h <= tau log A, tau-strongly concave.

    Parameters
    ----------
    strength : float
        tau > 0.

    Examples
    --------
    >>> Entropy(0.5).best_response(np.array([1.0, 0.0])).round(3)
    array([0.881, 0.119])
    """

    strength: float

    def __post_init__(self) -> None:
        _check_strength("Entropy", self.strength)

    @property
    def rho(self) -> float:
        """Modulus of strong concavity, tau: -h'' = tau / u >= tau on the simplex."""
        return self.strength

    def value(self, u: np.ndarray) -> np.ndarray:
        """Return h(u), shape (...,), for u of shape (..., A)."""
        return np.asarray(self.strength * entr(u).sum(axis=-1))

    def gradient(self, u: np.ndarray) -> np.ndarray:
        """Return -tau (log u + 1), shape (..., A); +inf where u = 0."""
        with np.errstate(divide="ignore"):
            return np.asarray(-self.strength * (np.log(u) + 1.0))

    def curvature(self, u: np.ndarray) -> np.ndarray:
        """Return tau / u, shape (..., A); infinite where that is out of range."""
        with np.errstate(divide="ignore", over="ignore"):
            return np.asarray(self.strength / u)

    def span(self, n_actions: int) -> float:
        """Return h_max - h_min = tau log A."""
        return self.strength * float(np.log(n_actions))

    def gradient_span(self, n_actions: int, gap: float) -> float:
        """Return tau log(u_max / u_min) for the extreme entries of U = {h >= h_max - gap}; infinite if one can be 0.

        With one entry p, h is largest when the others are equal: p is in U iff tau H(p) >= h_max - gap, where
        H(p) = -p log p - (1-p) log((1-p)/(A-1)).
        """
        if n_actions == 1:
            return 0.0
        # a little more than the gap: rounding of the entropy must not make the set smaller than it is
        least = float(np.log(n_actions)) * (1.0 - 1e-15) - gap / self.strength
        if least <= np.log(n_actions - 1):
            return float("inf")

        def excess(p: float) -> float:
            return float(entr(p) + entr(1.0 - p) + (1.0 - p) * np.log(n_actions - 1)) - least

        uniform = 1.0 / n_actions
        # brentq's own error is far below the outward shift that keeps this a bound
        smallest = brentq(excess, 0.0, uniform, xtol=1e-300, rtol=1e-14) * (1.0 - 1e-12)
        largest = brentq(excess, uniform, 1.0, xtol=1e-300, rtol=1e-14) * (1.0 + 1e-12)
        return self.strength * float(np.log(largest / smallest))

    def optimum(self, q: np.ndarray) -> np.ndarray:
        """Return max_u <u, q> + h(u) = tau logsumexp(q / tau), shape (...,)."""
        return np.asarray(self.strength * logsumexp(q / self.strength, axis=-1))

    def best_response(self, q: np.ndarray, floor: float | None = None) -> np.ndarray:
        """Return softmax(q / tau), shape (..., A); with a floor, softmax(q / ((1 + kappa) tau)) where it binds."""
        q = _centred(q, self.strength)
        return _with_floor(lambda kappa, q: softmax(q / ((1.0 + kappa) * self.strength), axis=-1), self, floor, q)

    def proximal_step(
        self,
        q: np.ndarray,
        policy: np.ndarray,
        step_size: float,
        floor: float | None = None,
        mirror: Mirror = "euclidean",
    ) -> np.ndarray:
        """Return argmax_u <u, q> + h(u) - D(u, policy) / step_size, shape (..., A).

        Euclidean: stationarity reads tau log u + u / eta = q + policy / eta - tau - lambda, which `_log_plus_linear`
        solves. KL: the softmax of (eta q + log policy) / (1 + eta tau) (docs/theory.md, section 2).
        """
        _check_step(self, policy, step_size, floor, mirror)
        q = _centred(q, self.strength + 1.0 / step_size)

        def euclidean(kappa: float, q: np.ndarray, policy: np.ndarray) -> np.ndarray:
            tau = (1.0 + kappa) * self.strength
            return _log_plus_linear(q / tau + policy / (tau * step_size), tau * step_size)

        def kl(kappa: float, q: np.ndarray, policy: np.ndarray) -> np.ndarray:
            tau = (1.0 + kappa) * self.strength
            return np.asarray(softmax((step_size * q + _log(policy)) / (1.0 + step_size * tau), axis=-1))

        return _with_floor(kl if mirror == "kl" else euclidean, self, floor, q, policy)


def _centred(q: np.ndarray, curvature: float) -> np.ndarray:
    """Return q, the rows of which that are far from zero have their largest entry subtracted, shape (..., A).

    A step is the same for q plus a constant, but q / rho is rounded next to that constant: by more than 1e-10 where |q|
    exceeds `FAR` (rho + 1/eta). Other rows are returned bit by bit (docs/theory.md, section 3.6).
    """
    far = np.abs(q).max(axis=-1, keepdims=True) > FAR * curvature
    return np.asarray(q - np.where(far, q.max(axis=-1, keepdims=True), 0.0)) if far.any() else q


def _log(policy: np.ndarray) -> np.ndarray:
    """Return log policy, -inf at zero: an action that the KL divergence never takes up again."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(policy))


def _log_plus_linear(target: np.ndarray, scale: float) -> np.ndarray:
    """Solve log u + u / scale = target - multiplier with sum(u) = 1 over the last axis, shape (..., A).

    u = scale omega(target - multiplier - log scale), omega the Wright omega function, and Newton's method in the
    multiplier (docs/theory.md, Proposition 2.1).
    """
    highest = target.max(axis=-1, keepdims=True)
    # At this multiplier the largest entry is 1, so sum(u) >= 1. sum(u) is convex and decreasing in the multiplier:
    # Newton's method started there never oversteps the root.
    multiplier = highest - 1.0 / scale
    log_scale = np.log(scale)
    u = np.empty_like(target)
    for _ in range(100):
        omega = wrightomega(target - multiplier - log_scale)
        u = scale * omega
        excess = u.sum(axis=-1, keepdims=True) - 1.0
        slope = (u / (1.0 + omega)).sum(axis=-1, keepdims=True)
        step = excess / slope
        multiplier = multiplier + np.maximum(step, 0.0)
        if (excess <= 4e-16 * u.shape[-1]).all():
            break
    return np.asarray(u / u.sum(axis=-1, keepdims=True))


@dataclass(frozen=True)
class Quadratic:
    """h(u) = -(rho/2) ||u||_2^2: -rho/2 <= h <= -rho/(2A), rho-strongly concave.

    Parameters
    ----------
    strength : float
        rho > 0.
    """

    strength: float

    def __post_init__(self) -> None:
        _check_strength("Quadratic", self.strength)

    @property
    def rho(self) -> float:
        """Modulus of strong concavity, the strength itself."""
        return self.strength

    def value(self, u: np.ndarray) -> np.ndarray:
        """Return h(u), shape (...,), for u of shape (..., A)."""
        return np.asarray(-0.5 * self.strength * (u**2).sum(axis=-1))

    def gradient(self, u: np.ndarray) -> np.ndarray:
        """Return -rho u, shape (..., A)."""
        return np.asarray(-self.strength * u)

    def curvature(self, u: np.ndarray) -> np.ndarray:
        """Return rho on the support of u and infinity off it, shape (..., A): a projection does not move zeros."""
        return np.where(u > 0.0, self.strength, np.inf)

    def span(self, n_actions: int) -> float:
        """Return h_max - h_min = rho (1 - 1/A) / 2."""
        return 0.5 * self.strength * (1.0 - 1.0 / n_actions)

    def gradient_span(self, n_actions: int, gap: float) -> float:
        """Return rho min(1, 2 sqrt(gap / rho)): u_a - u_b <= sqrt(2) ||u - 1/A||_2, and h falls by rho/2 its square."""
        return self.strength * min(1.0, 2.0 * float(np.sqrt(gap / self.strength))) if n_actions > 1 else 0.0

    def optimum(self, q: np.ndarray) -> np.ndarray:
        """Return max_u <u, q> + h(u), shape (...,)."""
        u = self.best_response(q)
        return np.asarray((u * q).sum(axis=-1) + self.value(u))

    def best_response(self, q: np.ndarray, floor: float | None = None) -> np.ndarray:
        """Return sparsemax(q / rho), the projection of q / rho on the simplex, shape (..., A)."""
        q = _centred(q, self.strength)
        return _with_floor(lambda kappa, q: _project(q / ((1.0 + kappa) * self.strength)), self, floor, q)

    def proximal_step(
        self,
        q: np.ndarray,
        policy: np.ndarray,
        step_size: float,
        floor: float | None = None,
        mirror: Mirror = "euclidean",
    ) -> np.ndarray:
        """Return argmax_u <u, q> + h(u) - D(u, policy) / step_size, shape (..., A).

        Euclidean: the projection of (eta q + policy) / (1 + eta rho) on the simplex. KL: stationarity reads
        log u + eta rho u = log policy + eta q - lambda, which `_log_plus_linear` solves (docs/theory.md, section 2).
        """
        _check_step(self, policy, step_size, floor, mirror)
        q = _centred(q, self.strength + 1.0 / step_size)

        def euclidean(kappa: float, q: np.ndarray, policy: np.ndarray) -> np.ndarray:
            return _project((step_size * q + policy) / (1.0 + step_size * (1.0 + kappa) * self.strength))

        def kl(kappa: float, q: np.ndarray, policy: np.ndarray) -> np.ndarray:
            scale = 1.0 / (step_size * (1.0 + kappa) * self.strength)
            return _log_plus_linear(_log(policy) + step_size * q, scale)

        return _with_floor(kl if mirror == "kl" else euclidean, self, floor, q, policy)


def _project(x: np.ndarray) -> np.ndarray:
    """Return the Euclidean projection of each row on the simplex, shape (..., A), by sorting."""
    x = x - x.max(axis=-1, keepdims=True)
    descending = -np.sort(-x, axis=-1)
    ranks = np.arange(1, x.shape[-1] + 1)
    thresholds = (np.cumsum(descending, axis=-1) - 1.0) / ranks
    support = (descending > thresholds).sum(axis=-1, keepdims=True)
    u = np.maximum(x - np.take_along_axis(thresholds, support - 1, axis=-1), 0.0)
    return np.asarray(u / u.sum(axis=-1, keepdims=True))


def _with_floor(
    solve: Callable[..., np.ndarray], regularizer: Regularizer, floor: float | None, *rows: np.ndarray
) -> np.ndarray:
    """Solve row by row under h(u) >= floor, where ``solve(kappa, *rows)`` weighs h by 1 + kappa.

    The constraint's multiplier kappa >= 0 is zero where the free solution obeys the floor; elsewhere h(u_kappa)
    increases with kappa to its maximum, and kappa is the root of h(u_kappa) = floor (docs/theory.md, section 2).

    Raises
    ------
    InputError
        If no distribution reaches the floor.
    """
    u = solve(0.0, *rows)
    if floor is None:
        return u
    uniform = np.full(u.shape[-1], 1.0 / u.shape[-1])
    highest = float(regularizer.value(uniform))
    if floor > highest:
        raise InputError("regularizers", "floor", floor, f"at most h_max = {highest}")
    for index in np.argwhere(regularizer.value(u) < floor):
        row = tuple(index)
        parts = [np.broadcast_to(part, u.shape)[row] for part in rows]

        def shortfall(log_kappa: float, parts: list[np.ndarray] = parts) -> float:
            return float(regularizer.value(solve(np.exp(log_kappa), *parts))) - floor

        low, high = -40.0, 0.0  # e^-40 is below rounding next to 1
        while shortfall(high) < 0.0 and high < 600.0:
            high += 10.0
        if shortfall(high) <= 0.0:
            u[row] = uniform  # the floor is h_max up to rounding
        elif shortfall(low) < 0.0:
            u[row] = solve(np.exp(brentq(shortfall, low, high, xtol=1e-14)), *parts)
    return u


@dataclass(frozen=True)
class Weighted:
    """k h for a regularizer h of any kind and k = strength / its strength (docs/theory.md, section 2.5).

    Parameters
    ----------
    base : Regularizer
        h.
    strength : float
        > 0.
    """

    base: Regularizer
    strength: float

    @property
    def factor(self) -> float:
        """The weight k of h."""
        return self.strength / self.base.strength

    @property
    def rho(self) -> float:
        """Modulus of strong concavity, k times that of h."""
        return self.factor * self.base.rho

    def value(self, u: np.ndarray) -> np.ndarray:
        """Return k h(u), shape (...,), for u of shape (..., A)."""
        return np.asarray(self.factor * self.base.value(u))

    def gradient(self, u: np.ndarray) -> np.ndarray:
        """Return k times the gradient of h, shape (..., A)."""
        return np.asarray(self.factor * self.base.gradient(u))

    def curvature(self, u: np.ndarray) -> np.ndarray:
        """Return k times the curvature of h, shape (..., A)."""
        return np.asarray(self.factor * self.base.curvature(u))

    def span(self, n_actions: int) -> float:
        """Return k times the span of h."""
        return self.factor * self.base.span(n_actions)

    def gradient_span(self, n_actions: int, gap: float) -> float:
        """Return k times the span of the gradient of h where k h >= k h_max - gap."""
        return self.factor * self.base.gradient_span(n_actions, gap / self.factor)

    def optimum(self, q: np.ndarray) -> np.ndarray:
        """Return max_u <u, q> + k h(u) = k max_u <u, q / k> + h(u), shape (...,)."""
        return np.asarray(self.factor * self.base.optimum(q / self.factor))

    def best_response(self, q: np.ndarray, floor: float | None = None) -> np.ndarray:
        """Return the best response under h to q / k, shape (..., A)."""
        return step(self.base, q / self.factor, q, np.inf, None if floor is None else floor / self.factor)

    def proximal_step(
        self,
        q: np.ndarray,
        policy: np.ndarray,
        step_size: float,
        floor: float | None = None,
        mirror: Mirror = "euclidean",
    ) -> np.ndarray:
        """Return the step under h with q / k and the step size k eta, shape (..., A)."""
        k = self.factor
        return step(self.base, q / k, policy, k * step_size, None if floor is None else floor / k, mirror)


def with_strength(regularizer: Regularizer, strength: float) -> Regularizer:
    """Return the same regularizer with another strength: an `Entropy`, a `Quadratic`, or else a `Weighted`."""
    known = kind(regularizer)
    return Weighted(regularizer, strength) if known is None else make(known, strength)


_MEMBERS = sorted(name for name in vars(Regularizer) if not name.startswith("_"))

_KINDS: dict[str, type[Entropy] | type[Quadratic]] = {"entropy": Entropy, "quadratic": Quadratic}

MIRRORS: tuple[Mirror, ...] = ("euclidean", "kl")
