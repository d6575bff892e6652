"""Sizes of the experiments that fit one game: what `pma-mfg verify` runs, and what `pma-mfg config` writes.

Every section of a configuration (config/README.md) has a function in its experiment's `sizes.py`, from a game with its
equilibrium to settings at which the section's claims can be decided within a minute or two (docs/theory, section
12.1), or to an `InputError` that says why the game cannot enter it and what would do. Here is what they share. Nothing
depends on time or load: two calls give the same settings. `STEPS` in an experiment's `steps.py` says how the parts of
its sections are run on one game, and what they cost, which `pma_replication.cost` predicts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pma_mfg import iterations, jacobian, operators
from pma_mfg.commands import inputs, step_sizes
from pma_mfg.errors import ConvergenceError, Description, InputError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MeanFieldGame, n_lumped_states
from pma_mfg.learning import schedules
from pma_mfg.regularizers import Regularizer
from pma_mfg.simulation.lockstep import TOGETHER
from pma_replication import experiments
from pma_replication.experiments.ctd import measure as ctd_measure
from pma_replication.experiments.samples import measure as samples_measure

if TYPE_CHECKING:
    from pma_replication.cost import Units

Settings = dict[str, Any]

Tables = dict[str, pd.DataFrame]

Advance = Callable[..., None]

#: Arguments of `verdicts.evaluate`, and the section `claims` of a configuration. Wider than those of the full
#: replication, in which runs of an hour narrow the intervals.
TOLERANCES = {
    "confidence": 0.95,
    "rate_tolerance": 0.02,
    "slope_tolerance": 0.1,
    "samples_slope_tolerance": 0.5,
    "constant_tolerance": 0.05,
    "independent_tolerance": 0.2,
}

#: Number of agents that stands for infinitely many: the bias that it leaves is below the noise of every run.
MANY_AGENTS = 10**6

#: Most states of an exact N-agent game that is put into a configuration: it takes seconds, and one of
#: `MOST_LUMPED_STATES` states takes minutes.
LUMPED_STATES = 20_000

#: Numbers of agents of which the exact N-agent game is solved, as far as `LUMPED_STATES` allows.
LADDER = (2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 60, 80, 100, 200, 500, 1000, 2000, 5000)

#: Seconds on the reference machine that a section is sized for; that learning and exact gaps may take at their smallest
#: size, about two minutes as they are rounded up; and that the pilot run may take, a tenth of what needs it or less.
BUDGET, MOST_SECONDS, PILOT_BUDGET = 90.0, 180.0, 15.0

#: A state's average of the simulation needs so many visits: with 30 a replicate that sees none has probability e^-30.
FEWEST_VISITS = 30.0

#: Seconds of an environment step in a game given by Python functions, on the reference machine.
FUNCTION_STEP = 5e-5

#: Seconds of a step in each of `TOGETHER` replicates that move side by side, in those of one alone: at most 0.45
#: (benchmarks/simulator.md), and more where some are left over.
SIDE_BY_SIDE = 0.5

#: Factor between two accuracies of learning, how many there are, and their shares of the coarsest.
ACCURACY_FACTOR, N_ACCURACIES = 2.0, 3
SHARES = [ACCURACY_FACTOR**-place for place in range(N_ACCURACIES)]


class BeyondBudget(InputError):
    """A game that could enter a section, at a size that takes longer than is allowed: nothing is known of its claim."""


def step_seconds(game: Game, n_replicates: int = 1) -> float:
    """Return seconds of one step of the N-agent game on the reference machine, by its states and possible moves alone.

    With several replicates it is a step of each, of many agents in runs that move side by side where they are enough.

    A fit to benchmarks/scaling.md, rounded up, for sizes that must not depend on a clock. Moves are the pairs of states
    of which the second follows the first with some action: from each state a binomial is drawn for each.
    """
    if not game.has_features:
        return FUNCTION_STEP
    uniform = np.full(game.n_states, 1.0 / game.n_states)
    n_moves = int((operators.policy_kernel(game.transition(uniform), operators.uniform_policy(game)) > 0.0).sum())
    alone = 1e-6 * (0.5 + 0.1 * game.n_states + 0.03 * n_moves)
    return alone * (SIDE_BY_SIDE if n_replicates >= TOGETHER else 1.0)


@dataclass
class Subject:
    """A game with its regularizer and equilibrium, and what several sections ask of them, computed once.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    kind : str
        The regularizer's name in a configuration.
    name : str
        The game's name in tables, seeds and messages.
    policy : ndarray, shape (S, A)
        Of the equilibrium.
    announce : callable
        Called with words on what is about to take seconds.
    """

    game: Game
    regularizer: Regularizer
    kind: str
    name: str
    policy: np.ndarray
    announce: Callable[[str], None] = lambda message: None

    def __post_init__(self) -> None:
        """Refuse an equilibrium at which the population does not stay, or at which PMA has no Jacobian."""
        # after one best response actions that are not played have no probability at all, as in `iterations.step_size`
        try:
            self.near.jacobian(1.0 / self.regularizer.rho)
        except ConvergenceError:
            raise inputs.no_population(self.name) from None
        except np.linalg.LinAlgError:
            why, allowed = "states that never reach each other", "one from each of which the others are reached"
            raise self.refused("population", why, f"{allowed}: else the stable population is not unique") from None

    def step_sizes(self, settings: Settings) -> list[float]:
        """Return the absolute step sizes of a section: they are configured in units of 1 / rho."""
        return [step_sizes.absolute(step_size, self.regularizer) for step_size in settings["step_sizes"]]

    def refused(self, section: str, why: str, allowed: str) -> InputError:
        """Return the error that says why a section is left out, and what would do."""
        return InputError(self.name, section, Description(why), allowed)

    def need_features(self, section: str) -> MeanFieldGame:
        """Return the game, or refuse one of Python functions that were not recognized."""
        try:
            return self.game.with_features(self.name)
        except InputError as refused:
            raise self.refused(section, "Python functions", refused.allowed) from None

    @cached_property
    def near(self) -> iterations.Local:
        """Return spectral radii near the equilibrium, whose cost the sections share."""
        return iterations.Local(self.game, self.regularizer, self.policy)

    @cached_property
    def _jacobian(self) -> Callable[..., np.ndarray]:
        """Return the Jacobians of PMA at the equilibrium as it is."""
        return jacobian.at_step_sizes(self.game, self.policy, self.regularizer)

    @cached_property
    def relative_step_size(self) -> float:
        """Return eta of learning in units of 1 / rho: 1, or three tenths of the locally fastest if that is smaller.

        Where PMA comes back with much smaller steps only, three tenths of the largest of them that is tried.
        """
        return rounded(min(1.0, 0.3 * self.near.settling() * self.regularizer.rho), 3)

    @property
    def step_size(self) -> float:
        """Return eta of learning."""
        return step_sizes.absolute(self.relative_step_size, self.regularizer)

    @cached_property
    def rate(self) -> float:
        """Return the spectral radius of PMA at the equilibrium with `step_size`."""
        return self.rate_at(self.relative_step_size)

    def rate_at(self, relative_step_size: float) -> float:
        """Return the spectral radius of PMA at the equilibrium with a step size in units of 1 / rho."""
        step_size = step_sizes.absolute(relative_step_size, self.regularizer)
        return jacobian.spectral_radius(self._jacobian(step_size))

    def need_learning(self, section: str) -> None:
        """Refuse a game in which PMA does not contract, or a pair of state and action is never seen."""
        if not self.rate < 1.0:
            why = (
                f"a spectral radius of PMA of {self.rate:.3g} at this equilibrium, and none below 1 with smaller steps"
            )
            raise self.refused(section, why, "one below 1, without which learning does not settle; a larger --strength")
        if not self.least > 0.0:
            raise self.refused(section, "a state or action that is never visited", "all of them to be seen")

    @cached_property
    def least(self) -> float:
        """Return the least probability of a state and action under the equilibrium."""
        return float((operators.stable_population(self.game, self.policy)[:, None] * self.policy).min())

    @cached_property
    def rarest(self) -> float:
        """Return the least share of a state under the equilibrium."""
        return float(operators.stable_population(self.game, self.policy).min())

    def too_rare(self, section: str, n_agents: int, n_steps: int) -> BeyondBudget:
        """Return the error of a game with a state that a simulation of so many agents and steps hardly visits."""
        why = f"a state in which an agent is once in {1.0 / max(self.rarest, 1e-300):,.3g} steps"
        allowed = f"{FEWEST_VISITS:.0f} visits in the {n_steps:,} steps of {n_agents:,} agents; a larger --strength"
        return BeyondBudget(self.name, section, Description(why), allowed)

    @cached_property
    def td_scale(self) -> float:
        """Return c of the steps c / (m + c) of TD learning: it has started up after several times c updates."""
        return schedules.td_scale(self.game, self.policy)

    @cached_property
    def settled(self) -> float:
        """Return the updates M_0 from which on the error of TD learning is noise, and falls with their root."""
        return ctd_measure.settled(self.game, self.policy, self.regularizer)

    def n_epochs(self, share: float) -> int:
        """Return the epochs after which this share of the first distance to the equilibrium is left."""
        return max(1, math.ceil(math.log(share) / math.log(min(max(self.rate, 1e-6), 0.9999))))

    def need_time(self, section: str, n_steps: float, most: float = MOST_SECONDS, *, n_replicates: int = 1) -> None:
        """Refuse a game in which so many environment steps, the fewest that will do, take too long.

        They are those of all replicates, of which so many move side by side.
        """
        if (seconds := n_steps * step_seconds(self.game, n_replicates)) > most:
            raise self.too_long(section, seconds, most)

    def too_long(self, section: str, seconds: float, most: float = BUDGET) -> BeyondBudget:
        """Return the error of a game in which learning takes too long."""
        why = (
            f"some {duration(seconds)}, as a state and action is seen once in {1.0 / self.least:,.0f} steps "
            f"and TD learning settles after {self.settled:,.0f} updates"
        )
        slow = section != "ctd" and SLOW < self.rate < 1.0  # where the policy stays, no step of PMA is made
        if slow:
            why += f"; PMA contracts by {self.rate:.5g} an epoch, with steps of {self.relative_step_size:g} / rho"
        allowed = f"at most {duration(most)}"
        if self.policy.min() < RARE / self.policy.shape[1]:
            allowed += "; a larger --strength, with which no action is rare"
        elif slow:
            allowed += "; a larger --strength, with which PMA contracts faster"
        if not self.game.has_features:
            why += ", each of which calls Python functions"
            allowed += ", or functions that are recognized (docs/theory, section 1.3)"
        return BeyondBudget(self.name, section, Description(why), allowed)

    @cached_property
    def td_constant(self) -> float:
        """Return kappa with which the error after (kappa / epsilon)^2 updates is below epsilon, from a pilot run.

        The run has four times `settled` updates an epoch, as many epochs as leave a fiftieth of the first distance, and
        two replicates.
        Its mean last error is nearly all noise, which falls with the root of the updates. Of epsilon the start leaves
        half of its distance, by the practical schedule (docs/theory, section 10.6); noise gets the rest, and a tenth
        less.
        """
        self.need_learning("learning")
        n_epochs, n_updates = self.n_epochs(0.02), math.ceil(4.0 * self.settled)
        seconds = 4.0 * n_epochs * n_updates * step_seconds(self.game)
        if seconds > PILOT_BUDGET:
            raise self.too_long("learning", seconds * MOST_SECONDS / PILOT_BUDGET, MOST_SECONDS)
        if seconds > 1.0:
            self.announce(f"a pilot run of learning, from which sizes follow: about {seconds:.0f} s (predicted)")
        first = schedules.td_start(self.game, self.regularizer)
        lengths = (n_epochs, n_updates, 1)
        schedule = schedules.Schedule(*lengths, self.step_size, self.td_scale, self.td_scale, first)
        table = samples_measure.learning_errors(
            self.game,
            self.regularizer,
            self.policy,
            name="pilot",
            n_agents=MANY_AGENTS,
            epsilon=0.5,
            schedule=schedule,
            n_replicates=2,
            seed=0,
        )
        error = float(table.loc[table["epoch"] == n_epochs, "error"].mean())
        start = float(table.loc[table["epoch"] == 0, "error"].mean())
        return rounded(1.1 * error * math.sqrt(n_updates) / max(0.3, 1.0 - 0.5 * start), 2)

    def accuracies(self, count: int) -> list[float]:
        """Return accuracies of learning, decreasing; the coarsest has `settled` updates, or is a half."""
        coarsest = min(0.5, self.td_constant / math.sqrt(max(self.settled, 300.0)))
        return [rounded(coarsest / ACCURACY_FACTOR**i, 2) for i in range(count)]

    def learning_steps(self, epsilon: float) -> float:
        """Return the environment steps of one run to an accuracy by the practical schedule."""
        return self._steps((self.td_constant / epsilon) ** 2, epsilon)

    def least_learning_steps(self, share: float) -> float:
        """Return a lower bound on the steps of one run to this share of the coarsest of `accuracies`, before any run.

        The coarsest has at least `settled` updates an epoch and is at most a half.
        """
        return self._steps(max(self.settled, 300.0) / share**2, 0.5 * share)

    def _steps(self, n_updates: float, epsilon: float) -> float:
        """Return the environment steps of one run by the practical schedule with so many updates an epoch."""
        waiting = math.ceil(WAITING_CONSTANT * math.log(1.0 / epsilon))
        return n_updates * (1 + waiting) * self.n_epochs(0.5 * epsilon)

    @cached_property
    def populations(self) -> list[int]:
        """Return the N at which the exact N-agent game takes seconds."""
        return [n for n in LADDER if n_lumped_states(self.game.n_states, n) <= LUMPED_STATES]

    def need_populations(self, section: str, count: int = 3) -> None:
        """Refuse a game with so many states that the exact N-agent game is too large."""
        self.need_features(section)
        if len(self.populations) < count:
            n_agents = LADDER[count - 1]
            size = n_lumped_states(self.game.n_states, n_agents)
            why = f"{size:,} states of an agent and the counts of the {n_agents - 1} others ({self.game.n_states} each)"
            most = feasible_states(lambda n_states: n_lumped_states(n_states, n_agents) <= LUMPED_STATES)
            allowed = f"at most {LUMPED_STATES:,}: a game with at most {most} states"
            raise BeyondBudget(self.name, section, Description(why), allowed)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A part of a section of the configuration: how it is run on one game, and what it costs.

    Parameters
    ----------
    section : str
        Whose settings it takes.
    seconds : callable
        From `cost.Units` and settings to predicted processor seconds in one process that is running.
    run : callable, optional
        From a subject, settings, the root seed and ``advance`` to tables, by their names in the pipeline; None for what
        only the pipeline runs.
    ticks : callable
        From settings to how often `run` calls ``advance``.
    jobs : callable
        From settings to the jobs that it is in the pipeline; by default one.
    """

    section: str
    seconds: Callable[[Units, Settings], float]
    run: Callable[[Subject, Settings, int, Advance], Tables] | None = None
    ticks: Callable[[Settings], int] = lambda settings: 0
    jobs: Callable[[Settings], int] = lambda settings: 1


#: An action is rare where its probability is below this share of what it would be if all had the same.
RARE = 0.2

#: Spectral radius of PMA above which it is one of the reasons why learning takes long: hundreds of epochs to settle.
SLOW = 0.99

#: M_mix is this times log(1 / epsilon).
WAITING_CONSTANT = 0.2


def feasible_states(feasible: Callable[[int], bool]) -> int:
    """Return the most states of a game that is feasible, as every game with fewer states is."""
    return next(n_states for n_states in itertools.count(1) if not feasible(n_states + 1))


def duration(seconds: float) -> str:
    """Return a predicted time in words, in the unit that fits, with the one or two digits that a prediction has."""
    if seconds < 100.0:
        return f"{max(1.0, float(f'{seconds:.1g}')):.0f} s"
    for unit, length, most in (("minutes", 60.0, 120.0), ("hours", 3600.0, 48.0), ("days", 86400.0, 730.0)):
        if seconds < most * length:
            return f"{float(f'{seconds / length:.2g}'):g} {unit}"
    years = seconds / (365.25 * 86400.0)
    return f"{float(f'{years:.2g}'):,.0f} years" if years < 1e6 else f"{years:.0e} years"


def rounded(value: float, digits: int) -> float:
    """Return a number rounded to so many digits."""
    return float(f"{value:.{digits}g}")


def spread_over(values: list[int], count: int) -> list[int]:
    """Return at most `count` of increasing values, evenly, the ends included."""
    chosen = np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int)
    return [values[i] for i in chosen]


@cache
def sections() -> dict[str, Callable[[Subject], Settings]]:
    """Return the function that makes the settings of each section.

    `atlas`, `scaling`, `networked` and `paths_generated` are not among them: they make their own games.
    """
    return experiments.joined("sizes", "SIZES")


@cache
def steps() -> dict[str, Step]:
    """Return the parts of all sections by their names, from each experiment's `steps.py`."""
    return experiments.joined("steps", "STEPS")


def settings(section: str, subject: Subject) -> Settings:
    """Return the settings of a section that fit a game, as in a configuration, but for the names of games.

    The game's own settings stand under ``games`` where a configuration maps games to settings.

    Parameters
    ----------
    section : str
        One of `sections`.
    subject : Subject

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If the game cannot enter the section; it says why, and what would do.
    """
    return sections()[section](subject)


def with_game(section: str, chosen: Settings, name: str) -> Settings:
    """Return the settings of a section with the name of its game, as a configuration has them."""
    own = chosen.get("games")
    return {"games": [name] if own is None else {name: own}, **{k: v for k, v in chosen.items() if k != "games"}}


def all_settings(
    subject: Subject, after_section: Callable[[], None] = lambda: None
) -> tuple[dict[str, Settings], dict[str, str]]:
    """Return the settings of every section that a game can enter, and why it cannot enter the others."""
    chosen, left_out = {}, {}
    for section in sections():
        try:
            chosen[section] = settings(section, subject)
        except BeyondBudget as refused:
            left_out[section] = f"{refused.value}; allowed is {refused.allowed}"
        except InputError as refused:
            left_out[section] = f"{refused.value}; it takes {refused.allowed}"
        except ConvergenceError as error:
            left_out[section] = f"its sizes do not follow from a policy on the way: {error.message}"
        after_section()
    return chosen, left_out


def grid(axis: Mapping[str, float]) -> list[float]:
    """Return the numbers of a logarithmic grid of a configuration: its low end, high end and count."""
    return [float(x) for x in np.geomspace(axis["low"], axis["high"], int(axis["count"]))]
