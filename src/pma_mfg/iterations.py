"""Exact iterations of policies.

Mirror ascent, mirror descent, best response, fictitious play (docs/theory, section 13).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

import numpy as np
from scipy.special import softmax

from pma_mfg import equilibrium, jacobian, operators, regularizers
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Mirror, Regularizer

Ending = Literal["converged", "cycle", "neither", "unsettled"]

Orbit = Iterator[np.ndarray]

#: An orbit has settled when this many moves in a row are at most `SETTLED_MOVE` (sup_s of the l1 norm).
SETTLED_MOVES, SETTLED_MOVE = 10, 1e-10

#: Longest period looked for. Twice as many policies are compared, so that every period is seen equally often.
LONGEST_PERIOD = 32

#: Largest distance after one period, relative to the size of the cycle, at which an orbit counts as periodic.
RECURRENCE = 1e-6

#: Step sizes among which `step_size` chooses, in units of 1 / rho.
RELATIVE_STEP_SIZES = np.logspace(-2.0, 2.0, 41)

#: Smaller ones, tried where PMA comes back with none of these: with a weak regularizer they may be far below 1 / rho.
SMALLER_STEP_SIZES = 10.0 ** -np.arange(2.5, 8.1, 0.5)

#: Most directions of a policy, S (A - 1), with which the radius is computed at all of them; with more the place is
#: searched for from which on it grows. There is one such place where Proposition 7.4 holds, and with other mirror maps
#: and regularizers in every game tried (docs/theory, section 7.1).
WHOLE_GRID = 200

#: Perturbation of the equilibrium from which `basins` starts, and by which factor a run that leaves must exceed it.
PERTURBATION, DEPARTURE = 1e-3, 10.0


@accepts(start="policy")
def pma(
    game: Game, regularizer: Regularizer, start: np.ndarray, *, step_size: float, mirror: Mirror = "euclidean"
) -> Orbit:
    """Yield pi_{k+1} = Gamma_eta(pi_k), equation (6); at eta = infinity the one-step regularized best response.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    start : ndarray, shape (S, A)
        pi_0, which is yielded first.
    step_size : float
        eta > 0, infinity included.
    mirror : {"euclidean", "kl"}

    Yields
    ------
    ndarray, shape (S, A)
        Without end.

    Raises
    ------
    ConvergenceError
        If a policy on the way has no stable population that is found.
    """
    policy, followed = start, dict[bytes, np.ndarray]()
    while True:
        yield policy
        bits = policy.tobytes()
        # where an orbit comes back to the same bits, as cycles and fixed points mostly do, nothing is computed again
        following = followed.pop(bits, None)
        if following is None:
            following = operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer, mirror=mirror)
        followed[bits] = following
        if len(followed) > LONGEST_PERIOD:
            del followed[next(iter(followed))]
        policy = following


@accepts(start="policy")
def online_mirror_descent(game: Game, regularizer: Regularizer, start: np.ndarray, *, step_size: float) -> Orbit:
    """Yield pi_{k+1} proportional to pi_k exp(eta (q_k + grad h(pi_k))), the explicit KL step, equation (13.1).

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    start : ndarray, shape (S, A)
        pi_0, which is yielded first.
    step_size : float
        eta > 0, finite.

    Yields
    ------
    ndarray, shape (S, A)
        Without end.

    Raises
    ------
    ConvergenceError
        As `pma`.
    """
    policy = start
    while True:
        yield policy
        q = operators.q_values(game, policy, operators.stable_population(game, policy), regularizer=regularizer)
        # an entry that underflowed to zero stands for a tiny one
        positive = np.maximum(policy, np.finfo(float).tiny)
        policy = softmax(np.log(positive) + step_size * (q + regularizer.gradient(positive)), axis=1)


@accepts(start="policy")
def fictitious_play(game: Game, regularizer: Regularizer, start: np.ndarray) -> Orbit:
    """Yield the averaged policies of fictitious play, equations (13.2) and (13.3).

    Round k plays the optimal policy against the average of the mean fields so far; the averaged policy weighs the
    policies played by their populations. A state that was never visited has the policy played last.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    start : ndarray, shape (S, A)
        The policy of the first round, which is yielded first.

    Yields
    ------
    ndarray, shape (S, A)
        Without end.

    Raises
    ------
    ConvergenceError
        As `pma`.
    """
    try:
        flow = operators.stable_population(game, start)[:, None] * start  # average of mu_j(s) pi_j(a|s)
    except ConvergenceError:
        yield start
        raise
    played, rounds = start, 1
    while True:
        mean_field = flow.sum(axis=1)
        visited = mean_field[:, None] > 0.0
        yield np.where(visited, flow / np.where(visited, mean_field[:, None], 1.0), played)
        mean_field = mean_field / mean_field.sum()
        transition, reward = game.transition(mean_field), game.reward(mean_field)
        played = equilibrium.best_response(transition, reward, game.discount, regularizer=regularizer)
        rounds += 1
        flow = flow + (operators.stable_population(game, played)[:, None] * played - flow) / rounds


class Local:
    """What step sizes of all methods follow from near an equilibrium, each part computed once.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
        The equilibrium.
    """

    def __init__(self, game: Game, regularizer: Regularizer, policy: np.ndarray) -> None:
        self.game, self.regularizer, self.policy = game, regularizer, policy
        self._radii: dict[tuple[float, Mirror], float] = {}

    @cached_property
    def jacobian(self) -> Callable[..., np.ndarray]:
        """Return `jacobian.at_step_sizes`, after a best response."""
        # one best response: tiny probabilities are then known to their last digits, as their logarithms must be
        policy = operators.best_response_step(self.game, self.policy, self.regularizer)
        return jacobian.at_step_sizes(self.game, policy, self.regularizer)

    def radius(self, eta: float, mirror: Mirror = "euclidean") -> float:
        """Return the spectral radius of PMA with a step size; of the best response where that is infinite."""
        if (eta, mirror) not in self._radii:
            self._radii[eta, mirror] = jacobian.spectral_radius(self.jacobian(eta, mirror))
        return self._radii[eta, mirror]

    def best(self, mirror: Mirror) -> float:
        """Return the best of `RELATIVE_STEP_SIZES` / rho, by spectral radius."""
        etas: list[float] = (RELATIVE_STEP_SIZES / self.regularizer.rho).tolist()
        if self.policy.size - len(self.policy) <= WHOLE_GRID:
            return min(etas, key=lambda eta: self.radius(eta, mirror))
        first, last = 0, len(etas) - 1
        while first < last:  # the radius falls up to the best one, and grows from there on
            middle = (first + last) // 2
            falls = self.radius(etas[middle + 1], mirror) < self.radius(etas[middle], mirror)
            first, last = (middle + 1, last) if falls else (first, middle)
        return etas[first]

    def settling(self) -> float:
        """Return the best of `RELATIVE_STEP_SIZES` / rho, or the largest of `SMALLER_STEP_SIZES` / rho that comes back.

        PMA comes back with small steps where the eigenvalues of the derivative of its direction have negative real
        parts, and leaves, whatever the step, where one is positive: then the best one is returned.
        """
        best = self.best("euclidean")
        smaller: list[float] = (SMALLER_STEP_SIZES / self.regularizer.rho).tolist()
        return next((eta for eta in (best, *smaller) if self.radius(eta) < 1.0), best)


def _pma_step_size(near: Local, share: float, *, mirror: Mirror) -> tuple[float, float]:
    """Return `share` times the best step size, and the radius there."""
    best = share * near.best(mirror)
    return best, near.radius(best, mirror)


def _mirror_descent_step_size(near: Local, share: float) -> tuple[float, float]:
    """Return eta / (1 + eta rho) for PMA's eta with KL: for the entropy the same iteration (Proposition 13.1)."""
    best, radius = _pma_step_size(near, 1.0, mirror="kl")
    known = regularizers.kind(near.regularizer) == "entropy"
    return best / (1.0 + best * near.regularizer.rho), radius if known else np.nan


def _best_response_rate(near: Local, share: float) -> tuple[float, float]:
    """Return an infinite step size, and the spectral radius of the best response's Jacobian."""
    return np.inf, near.radius(np.inf)


def _unknown(near: Local, share: float) -> tuple[float, float]:
    """Return nan twice: there is no step size, and no rate is predicted."""
    return np.nan, np.nan


@dataclass(frozen=True)
class Method:
    """An exact iteration that is compared with the others.

    Parameters
    ----------
    words : str
        Its name for readers, in figures.
    orbit : callable
        (game, regularizer, start, step_size=...) -> `Orbit`, whose first policy is the start.
    step_size : callable
        (what is known near the equilibrium, share) -> the step size that it is run with, and the linear rate predicted
        for it: what the function `step_size` returns.
    """

    words: str
    orbit: Callable[..., Orbit]
    step_size: Callable[[Local, float], tuple[float, float]] = _unknown


#: All iterations that are compared, by name. Adding one is its function and its line here.
METHODS: dict[str, Method] = {
    "pma_euclidean": Method("PMA, Euclidean", pma, partial(_pma_step_size, mirror="euclidean")),
    "pma_kl": Method("PMA, KL", partial(pma, mirror="kl"), partial(_pma_step_size, mirror="kl")),
    "online_mirror_descent": Method("online mirror descent", online_mirror_descent, _mirror_descent_step_size),
    "best_response": Method(
        "best response", lambda *given, step_size: pma(*given, step_size=np.inf), _best_response_rate
    ),
    "fictitious_play": Method("fictitious play", lambda *of, step_size: fictitious_play(*of)),
}


def _method(name: str) -> Method:
    if name not in METHODS:
        raise InputError("iterations", "method", name, f"one of {', '.join(METHODS)}")
    return METHODS[name]


@accepts(start="policy")
def iteration(method: str, game: Game, regularizer: Regularizer, *, start: np.ndarray, step_size: float) -> Orbit:
    """Return the iteration called `method`, one of `METHODS`; those without a step size ignore it.

    Parameters
    ----------
    method : str
    game : Game
    regularizer : Regularizer
    start : ndarray, shape (S, A)
    step_size : float
        eta > 0, absolute.

    Returns
    -------
    iterator of ndarray, shape (S, A)

    Raises
    ------
    InputError
        For another method.
    """
    return _method(method).orbit(game, regularizer, start, step_size=step_size)


@accepts()
def step_size(
    method: str, game: Game, regularizer: Regularizer, *, policy: np.ndarray, share: float = 1.0
) -> tuple[float, float]:
    """Return the step size of a method, and the linear rate at an equilibrium that the theory predicts for it.

    That of PMA minimizes the spectral radius of its exact Jacobian at the equilibrium over `RELATIVE_STEP_SIZES`
    (docs/theory, Propositions 7.3 and 7.4); nothing is tuned to runs.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    game : Game
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
        The equilibrium.
    share : float
        Of the minimizing step size, for PMA: less than 1 is more cautious.

    Returns
    -------
    step_size : float
        nan for fictitious play, infinity for the best response.
    rate : float
        nan where none is predicted.

    Raises
    ------
    InputError
        For another method.
    """
    return step_sizes(game, regularizer, policy)(method, share)


@accepts()
def step_sizes(game: Game, regularizer: Regularizer, policy: np.ndarray) -> Callable[[str, float], tuple[float, float]]:
    """Return (method, share) -> `step_size` at an equilibrium, for several of them at the cost of little more than one.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
        The equilibrium.

    Returns
    -------
    callable
    """
    near = Local(game, regularizer, policy)
    return lambda method, share: _method(method).step_size(near, share)


@dataclass(frozen=True)
class Outcome:
    """How an orbit ends.

    Parameters
    ----------
    ending : str
        "converged": the last `SETTLED_MOVES` moves are at most `SETTLED_MOVE`. "cycle": the last policies return after
        `period` steps, up to `RECURRENCE` of the orbit's size. "neither": still moving when stopped, be it slowly.
        "unsettled": it met a policy whose population does not settle, after which the iteration is not defined.
    period : int
        1 if converged, 0 if neither or unsettled.
    amplitude : float
        Largest l1 distance between two populations of the cycle (of the last 2 `LONGEST_PERIOD` if neither; of those
        whose population settles).
    """

    ending: Ending
    period: int
    amplitude: float


def ending(policies: np.ndarray) -> tuple[Ending, int]:
    """Return how an orbit ends that goes on for ever, and its period: 1 if converged, 0 if neither.

    Parameters
    ----------
    policies : ndarray, shape (K, S, A)
        Its last policies, in order; a cycle is looked for if there are 2 `LONGEST_PERIOD` or more.

    Returns
    -------
    ending : str
        As in `Outcome`.
    period : int
    """
    tail = policies[-2 * LONGEST_PERIOD :]
    moves = pairwise_distances(tail[1:], tail[:-1])
    if len(moves) >= SETTLED_MOVES and moves[-SETTLED_MOVES:].max() <= SETTLED_MOVE:
        return "converged", 1
    if len(tail) == 2 * LONGEST_PERIOD:
        size = pairwise_distances(tail, tail[-1:]).max()
        for period in range(2, LONGEST_PERIOD + 1):
            later = tail[period : period + LONGEST_PERIOD]
            if pairwise_distances(later, tail[:LONGEST_PERIOD]).max() <= RECURRENCE * size:
                return "cycle", period
    return "neither", 0


def pairwise_distances(policies: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return sup_s of the l1 norm, policy by policy, shape (K,)."""
    return np.asarray(np.abs(policies - others).sum(axis=2).max(axis=1))


def amplitude(populations: np.ndarray) -> float:
    """Return how far apart two of the populations are at most, in the l1 norm."""
    return float(np.abs(populations[:, None] - populations[None]).sum(axis=2).max(initial=0.0))
