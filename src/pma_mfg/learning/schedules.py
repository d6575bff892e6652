"""Schedules of learning: numbers of epochs, updates and waiting steps, and step sizes (docs/theory, section 10).

`practical_schedule` has the theorem's orders in epsilon and tuned constants; the schedule that the theorem prescribes
is in `theory.prescription`. Functions whose names begin with `blind` are the rules of `learning.algorithms.blind`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pma_mfg import jacobian, operators
from pma_mfg.arrays import accepts
from pma_mfg.errors import InputError
from pma_mfg.games.functions import Game
from pma_mfg.regularizers import Regularizer, with_strength
from pma_mfg.theory import lipschitz

#: Blind learning (docs/theory, section 10.11): updates of the first epoch, in units of S A / (1 - gamma).
FIRST_EPOCH = 2.0

#: Blind learning: samples of a run by default, in units of S A / (1 - gamma).
DEFAULT_BUDGET = 500.0

#: Blind learning: each epoch is longer than the one before by this factor.
GROWTH = 1.05

#: Blind learning: share of the learner's actions that are drawn uniformly, for exploration.
EXPLORATION = 0.5

#: Blind learning: a policy that turns back lowers the step size by this many epochs more than one that turns aside.
TURN = 5.0

#: Most TD updates per epoch: larger counts are not exact as floating-point numbers.
MAX_UPDATES = 10**15


@dataclass(frozen=True)
class Schedule:
    """Lengths and step sizes of a run of learning.

    Parameters
    ----------
    n_epochs : int
        K, policy updates, >= 1.
    n_updates : int
        M_td, TD updates per epoch, >= 1.
    n_waiting : int
        M_mix, steps that pass before each TD update, >= 0.
    step_size : float
        eta > 0 of the mirror ascent step; infinity makes every step a best response.
    td_scale, td_offset : float
        c > 0 and m_0 >= c: the m-th TD update (m = 0, 1, ...) has the step c / (m + m_0) <= 1.
    start : float
        Q_0(s,a), with which every epoch's TD learning starts.

    Raises
    ------
    InputError
        If a value is out of range.
    """

    n_epochs: int
    n_updates: int
    n_waiting: int
    step_size: float
    td_scale: float
    td_offset: float
    start: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("n_epochs", 1), ("n_updates", 1), ("n_waiting", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError("Schedule", name, value, f"an integer >= {least}")
        if not self.step_size > 0.0:
            raise InputError("Schedule", "step_size", self.step_size, "a number > 0, or infinity for best response")
        check_td("Schedule", self.td_scale, self.td_offset, start=self.start)

    @property
    def n_samples(self) -> int:
        """Environment steps of the whole run, K M_td (M_mix + 1)."""
        return self.n_epochs * self.n_updates * (self.n_waiting + 1)


def by_epoch(
    regularizer: Regularizer, schedule: Schedule, *, strengths: Sequence[float] | None, starts: Sequence[float] | None
) -> list[tuple[Regularizer, Schedule]]:
    """Return the regularizer and the schedule of each epoch of `learning.algorithms.centralized`.

    Parameters
    ----------
    regularizer, schedule, strengths, starts
        As there.

    Returns
    -------
    list of K tuples of Regularizer and Schedule

    Raises
    ------
    InputError
        As there.
    """
    weights, first_q = (
        np.atleast_1d([] if given is None else np.asarray(given, dtype=float)).tolist() for given in (strengths, starts)
    )
    count = schedule.n_epochs
    if strengths is not None and not (len(weights) == count and all(0.0 < x < np.inf for x in weights)):
        raise InputError("learning.centralized", "strengths", strengths, f"{count} finite numbers > 0")
    if starts is not None and not (len(first_q) == count and np.isfinite(first_q).all()):
        raise InputError("learning.centralized", "starts", starts, f"{count} finite numbers")
    regularizers = [regularizer] * count if strengths is None else [with_strength(regularizer, x) for x in weights]
    changed = [schedule] * count if starts is None else [replace(schedule, start=x) for x in first_q]
    return list(zip(regularizers, changed, strict=True))


def check_td(source: str, td_scale: float, td_offset: float, *, start: float) -> None:
    """Refuse TD steps c / (m + m_0) outside of (0, 1], with which estimates may diverge, and an infinite Q_0."""
    if not 0.0 < td_scale < np.inf:
        raise InputError(source, "td_scale", td_scale, "a finite number > 0")
    if not td_scale <= td_offset < np.inf:
        raise InputError(source, "td_offset", td_offset, f"a finite number >= td_scale = {td_scale}")
    if not np.isfinite(start):
        raise InputError(source, "start", start, "a finite number")


@accepts()
def practical_schedule(
    game: Game,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    *,
    step_size: float,
    epsilon: float,
    td_constant: float,
    waiting_constant: float,
) -> Schedule:
    """Return a schedule with the theorem's dependence on epsilon and tuned constants.

    K = log(2 / epsilon) / log(1 / r) with r the spectral radius of PMA at the equilibrium, M_td = (td_constant /
    epsilon)^2, M_mix = waiting_constant log(1 / epsilon), c = m_0 = 1 / ((1 - gamma) d) with d the least visit
    probability of a state-action pair at the equilibrium, Q_0 the value of the middle reward with the largest h
    (docs/theory, section 10.6).

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy.
    step_size : float
        eta > 0.
    epsilon : float
        In (0, 1).
    td_constant : float
        > 0.
    waiting_constant : float
        >= 0.

    Returns
    -------
    Schedule

    Raises
    ------
    InputError
        If PMA does not contract at the equilibrium with this step size, or a state or action is never visited there.
    """
    source = "schedules.practical_schedule"
    if not 0.0 < epsilon < 1.0:
        raise InputError(source, "epsilon", epsilon, "a number in (0, 1)")
    if not (td_constant / epsilon) ** 2 <= MAX_UPDATES:
        raise InputError(source, "epsilon", epsilon, f"one with (td_constant / epsilon)^2 <= {MAX_UPDATES:.0e} updates")
    rate = jacobian.spectral_radius(jacobian.jacobian(game, equilibrium, step_size, regularizer=regularizer))
    if not rate < 1.0:
        raise InputError(source, "step_size", step_size, f"one at which PMA contracts (spectral radius {rate:.3f} < 1)")
    scale = td_scale(game, equilibrium)
    return Schedule(
        n_epochs=_at_least_one(np.log(2.0 / epsilon) / -np.log(max(rate, 1e-12))),
        n_updates=_at_least_one((td_constant / epsilon) ** 2),
        n_waiting=int(np.ceil(waiting_constant * np.log(1.0 / epsilon))),
        step_size=step_size,
        td_scale=scale,
        td_offset=scale,
        start=td_start(game, regularizer),
    )


def td_start(game: Game, regularizer: Regularizer) -> float:
    """Return the value of the middle reward with the largest h at every step, a Q_0 that leaves little to learn.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer

    Returns
    -------
    float
    """
    lowest, highest = lipschitz.reward_range(game)
    h_max = float(regularizer.value(np.full(game.n_actions, 1.0 / game.n_actions)))
    middle = 0.5 * (lowest + highest)
    return (middle + game.discount * h_max) / (1.0 - game.discount)


@accepts()
def td_scale(game: Game, policy: np.ndarray) -> float:
    """Return c = 1 / ((1 - gamma) d), d the least probability of a state-action pair under the policy.

    The steps c / (m + c) then shrink the slowest mode of TD learning at the rate 1/m (docs/theory, section 10).

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)

    Returns
    -------
    float

    Raises
    ------
    InputError
        If some state or action is never visited.
    """
    least = float((operators.stable_population(game, policy)[:, None] * policy).min())
    if not least > 0.0:
        raise InputError("schedules.td_scale", "policy", least, "a policy that visits every state and action")
    return 1.0 / ((1.0 - game.discount) * least)


@dataclass(frozen=True)
class BlindSchedule:
    """What is fixed of a run of `learning.algorithms.blind` before it starts; made by `blind_schedule`.

    Parameters
    ----------
    n_updates : tuple of int
        M_td of every epoch. The first is the pilot, which only averages rewards; each is an environment step.
    step_size : float
        The first eta; the next ones follow from how the policy moves (`blind_step_size`).
    td_scale : float
        c: a pair that was visited n times before is updated with the step c / (n + c).
    """

    n_updates: tuple[int, ...]
    step_size: float
    td_scale: float

    @property
    def n_samples(self) -> int:
        """Environment steps of the whole run, the pilot's included."""
        return sum(self.n_updates)


def blind_schedule(game: Game, regularizer: Regularizer, *, budget: int | None = None) -> BlindSchedule:
    """Return a schedule from S, A, gamma and rho alone, which needs no equilibrium (docs/theory, section 10.11).

    Of the game it reads S, A and gamma, of the regularizer rho: no equilibrium, no visit probability, no Jacobian, no
    range of rewards. c = 1 / (1 - gamma) makes the slowest mode of TD learning fall like 1 / m where steps count visits
    of a pair (Proposition 10.10). The first epoch visits a pair 2 c times on average, which leaves a third of that
    mode's start; the pilot is as long. From there on each epoch is longer by `GROWTH`, so that the error of Q falls
    with all samples so far, and the last takes what the budget leaves. eta starts at a tenth of 1 / rho, the scale on
    which h alone would turn the policy.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    budget : int, optional
        Samples, the sum of all lengths; `DEFAULT_BUDGET` S A / (1 - gamma) by default.

    Returns
    -------
    BlindSchedule

    Raises
    ------
    InputError
        If the budget is not enough for the pilot and one epoch.
    """
    unit = game.n_states * game.n_actions / (1.0 - game.discount)
    budget = round(DEFAULT_BUDGET * unit) if budget is None else budget
    least = round(FIRST_EPOCH * unit)
    if not 2 * least <= budget <= MAX_UPDATES:
        allowed = f"from 2 * {FIRST_EPOCH:g} S A / (1 - gamma) = {2 * least} to {MAX_UPDATES:.0e} samples"
        raise InputError("schedules.blind_schedule", "budget", budget, allowed)
    lengths, following = [least, least], GROWTH * least
    while sum(lengths) + following <= budget:
        lengths.append(int(following))
        following *= GROWTH
    lengths[-1] += budget - sum(lengths)
    return BlindSchedule(tuple(lengths), 1.0 / regularizer.rho, 1.0 / (1.0 - game.discount))


def blind_step_size(step_size: float, change: np.ndarray, before: np.ndarray, *, rho: float) -> float:
    """Return eta of the next epoch from whether the policy goes on or turns back, equation (10.9).

    Parameters
    ----------
    step_size : float
        eta of the last epoch.
    change : ndarray, shape (S, A)
        What it changed, pi_{k+1} - pi_k.
    before : ndarray, shape (S, A)
        What the epoch before changed; zeros in the first.
    rho : float
        Modulus of strong concavity of the regularizer.

    Returns
    -------
    float
        1 / (1/eta + rho (1 - max(0, cos) + `TURN` max(0, -cos))), cos that of the angle between both changes.
    """
    lengths = float(np.linalg.norm(change) * np.linalg.norm(before))
    cosine = float((change * before).sum()) / lengths if lengths > 0.0 else 0.0
    slower = 1.0 - min(1.0, cosine) if cosine > 0.0 else 1.0 - TURN * cosine  # rounding may leave a cosine above 1
    return 1.0 / (1.0 / step_size + rho * slower)


@accepts()
def too_short(schedule: Schedule, game: Game, policy: np.ndarray) -> str | None:
    """Return one line of warning if the steps of TD learning do not even halve within an epoch, else None.

    Parameters
    ----------
    schedule : Schedule
    game : Game
    policy : ndarray, shape (S, A)
        At which visits are counted, the equilibrium's.

    Returns
    -------
    str or None
    """
    if schedule.n_updates >= schedule.td_scale:
        return None
    visited = operators.stable_population(game, policy)[:, None] * policy
    s, a = np.unravel_index(int(visited.argmin()), visited.shape)
    return (
        f"M_td = {schedule.n_updates} updates per epoch are fewer than c = {schedule.td_scale:.4g} of the steps "
        f"c / (m + m_0), which stay large: Q is mostly noise and what it started from. Expected visits of the rarest "
        f"pair, state {s} and action {a}: {visited.min() * schedule.n_updates:.3g} per epoch"
    )


def _at_least_one(value: float) -> int:
    return max(1, int(np.ceil(value)))
