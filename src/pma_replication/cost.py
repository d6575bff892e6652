"""What experiments cost: a prediction of processor time from their settings and a short timing of the game itself.

A section of a configuration is a number of operations of a few kinds: steps of the N-agent game, PMA iterations,
Jacobians, solutions. `Units` times those that are asked for on the game at hand, which covers how a step grows with the
states (benchmarks/scaling.md), functions in Python, and the machine. The numbers of operations follow from the
settings, as each experiment's `steps.py` says; where an iteration stops by itself they are those of typical games. How
well it predicts is in docs/performance.md.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from scipy.special import chdtri

from pma_mfg import equilibrium, games, jacobian, operators, regularizers, seeds
from pma_mfg.arrays import accepts
from pma_mfg.commands import step_sizes
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MOST_PAIRS, MeanFieldGame, n_lumped_states
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import replicates, schedules
from pma_mfg.populations import counts, deviators, finite_population, fluctuations, lattice, td_moments
from pma_mfg.regularizers import Mirror, Regularizer
from pma_mfg.simulation.lockstep import TOGETHER, WORTHWHILE
from pma_replication import plan, registry
from pma_replication.configuration import studied, tables

Settings = Mapping[str, Any]

#: Processor seconds of a job that does nothing, as a copy of a process with all imports (`runs.warm`), with its shell
#: and Snakemake's part. Of a figure, a table, and what is run once: imports, verdicts, findings, Snakemake itself. From
#: the logs of a small run. Where every job loads what it needs by itself, each takes a second more.
JOB, FIGURE, TABLE, ONCE = 0.2, 1.0, 0.15, 15.0

#: Seconds that each kind of operation is timed for.
TIMED = 0.03

#: c and m_0 of the steps of the TD learning that is timed: with any it costs the same.
SCALE = 100.0

#: Of an exact solution of the N-agent game on the reference machine, seconds: of one with hardly any counts; of a row
#: of the chain, for a product where agents are added one by one, for a number of the transform's grid and for one that
#: is read from it; and of the applications of the chain to a law, some forty, for each of its numbers.
LAW, PRODUCT, CELL, READ, APPLIED = 4e-3, 1.1e-9, 2.6e-8, 5e-9, 2e-8

#: Seconds of an application of a deviator's chain on the reference machine, for each of its numbers and beside them;
#: most states of an N-agent game in which applications are counted, some tenths of a second.
CHAIN, APPLICATION, COUNTED_STATES = 1.2e-9, 5e-5, 1500

#: Most pairs of state and action of which updates of the exact moments are timed: their cost grows with the fourth
#: power of the pairs, and one update of 600 pairs takes twenty seconds.
TIMED_PAIRS = 40


@dataclass(frozen=True)
class Units:
    """Processor seconds of the operations that experiments are made of, in one game, each timed when it is asked for.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
        At which all is timed: the equilibrium, or the uniform one where none is at hand.
    """

    game: Game
    regularizer: Regularizer
    policy: np.ndarray

    @property
    def n_states(self) -> int:
        """S."""
        return self.game.n_states

    @property
    def n_actions(self) -> int:
        """A."""
        return self.game.n_actions

    @cached_property
    def step(self) -> float:
        """Of the N-agent game with a policy that all share, many agents."""
        return self._alone(plan.MANY_AGENTS)

    @cached_property
    def step_of_few(self) -> float:
        """Of the same with ten agents: counts of few are drawn faster."""
        return self._alone(10)

    @cached_property
    def step_together(self) -> float:
        """Of many agents, in one of `TOGETHER` replicates that move side by side."""
        return self._together(plan.MANY_AGENTS) if self.game.has_features else self.step

    @cached_property
    def few_together(self) -> float:
        """Of ten agents, in one of `TOGETHER` replicates that move side by side."""
        return self._together(10) if self.game.has_features else self.step_of_few

    @cached_property
    def pma(self) -> float:
        """Of one PMA iteration."""
        eta = 1.0 / self.regularizer.rho
        return timed(lambda: operators.policy_mirror_ascent(self.game, self.policy, eta, regularizer=self.regularizer))

    @cached_property
    def jacobian(self) -> float:
        """Of one Jacobian."""
        eta = 1.0 / self.regularizer.rho
        return timed(lambda: jacobian.jacobian(self.game, self.policy, eta, regularizer=self.regularizer))

    @cached_property
    def exploitability(self) -> float:
        """Of one exploitability."""
        return timed(lambda: equilibrium.exploitability(self.game, self.policy, self.regularizer))

    @cached_property
    def solution(self) -> float:
        """Of one equilibrium."""

        def solve() -> None:
            with contextlib.suppress(ConvergenceError):
                equilibrium.solve(self.game, self.regularizer)

        return timed(solve)

    @cached_property
    def update(self) -> float:
        """Of the exact moments of TD learning, for one of several waiting times."""
        n_pairs, n_updates = self.policy.size, 100
        if n_pairs > TIMED_PAIRS:
            matrix = np.full((n_pairs, n_pairs), 1.0 / n_pairs)
            return n_pairs * timed(lambda: matrix @ matrix)  # the chain of pairs, applied to their second moments
        waiting = range(8)
        return timed(
            lambda: td_moments.moments(
                self.game,
                self.policy,
                self.regularizer,
                n_updates=[n_updates],
                n_waiting=waiting,
                td_scale=SCALE,
                td_offset=SCALE,
            )
        ) / (n_updates * len(waiting))

    @cached_property
    def agent(self) -> float:
        """Of one of many independent learners in a step of the N-agent game."""
        if not (self.game.has_features and self.policy.size <= MOST_PAIRS):
            return self.step
        n_agents, lengths, rng = 2000, (100, 1100), seeds.generator(0, "cost")

        def run(n_updates: int) -> None:
            schedule = schedules.Schedule(1, n_updates, 0, 1.0 / self.regularizer.rho, SCALE, SCALE)
            learning.independent(self.game, n_agents, self.regularizer, schedule=schedule, rng=rng)

        short, long = (timed(partial(run, n_updates)) for n_updates in lengths)  # both begin and end an epoch
        return max(0.0, long - short) / (n_agents * (lengths[1] - lengths[0]))

    @property
    def _n_steps(self) -> int:
        """How many steps of TD learning are timed at a time."""
        return 5000 if self.game.has_features else 200

    @property
    def _td(self) -> dict[str, Any]:
        """Settings of the TD learning that is timed."""
        settings = {"n_updates": [self._n_steps], "n_waiting": 0, "td_scale": SCALE, "td_offset": SCALE}
        return {"regularizer": self.regularizer, **settings}

    def _alone(self, n_agents: int) -> float:
        rng = seeds.generator(0, "cost")
        seconds = timed(lambda: learning.ctd(self.game, self.policy, n_agents, rng=rng, **self._td))
        return seconds / self._n_steps

    def _together(self, n_agents: int) -> float:
        rngs = [seeds.generator(0, "cost", r) for r in range(TOGETHER)]
        seconds = timed(lambda: replicates.ctd(self.game, self.policy, n_agents, rngs=rngs, **self._td))
        return seconds / (self._n_steps * TOGETHER)

    def step_of(self, n_agents: int) -> float:
        """Return the seconds of a step of so many agents."""
        return self.step_of_few if n_agents <= 100 else self.step

    def step_of_all(self, n_agents: int, n_replicates: int) -> float:
        """Return the seconds of a step in each of so many replicates, side by side where `learning.replicates` is."""
        few = n_agents <= 100
        groups, left = divmod(n_replicates, TOGETHER)
        alone = left * self.step_of(n_agents)
        group = TOGETHER * (self.few_together if few else self.step_together)
        return groups * group + (min(alone, group) if left >= WORTHWHILE else alone)

    def radius(self, step_size: float, mirror: Mirror = "euclidean") -> float:
        """Return the spectral radius of PMA at `policy`; eta in units of 1 / rho."""
        eta = step_sizes.absolute(step_size, self.regularizer)
        return jacobian.spectral_radius(self._jacobian(eta, mirror=mirror))

    @cached_property
    def _jacobian(self) -> Callable[..., np.ndarray]:
        """Return the Jacobians of PMA at `policy`."""
        return jacobian.at_step_sizes(self.game, self.policy, self.regularizer)

    def decay(self, step_size: float) -> float:
        """Return log(1 / r), r the spectral radius of PMA at `policy`; eta in units of 1 / rho."""
        return -math.log(min(max(self.radius(step_size), 1e-6), 0.99))

    def n_epochs(self, epsilon: float, step_size: float) -> float:
        """Return K of the practical schedule."""
        return max(1.0, math.log(2.0 / epsilon) / self.decay(step_size))

    def learning_steps(self, tuned: Settings, epsilon: float) -> float:
        """Return the environment steps of one run by the practical schedule (docs/theory, section 10.6)."""
        waiting = math.ceil(tuned["waiting_constant"] * math.log(1.0 / epsilon))
        updates = float(tuned["td_constant"] / epsilon) ** 2
        return float(updates * (1 + waiting)) * self.n_epochs(epsilon, tuned["step_size"])


@accepts()
def measure(game: Game, regularizer: Regularizer, policy: np.ndarray | None = None) -> Units:
    """Return the times of the operations on a game, at its equilibrium's policy: solved for if it is not given.

    Where none is found it is the uniform policy.
    """
    if policy is None:
        try:
            policy = equilibrium.solve(game, regularizer).policy
        except ConvergenceError:
            policy = operators.uniform_policy(game)
    return Units(game, regularizer, policy)


def timed(run: Callable[[], object]) -> float:
    """Return the processor seconds of a call, the mean of as many as fit into `TIMED`.

    The first one, which may compile or load kernels, is not counted unless it takes a second.
    """
    start, count = time.process_time(), 0
    run()
    if (passed := time.process_time() - start) > 1.0:
        return passed
    start = time.process_time()
    while (passed := time.process_time() - start) < TIMED:
        run()
        count += 1
    return passed / count


def learning_seconds(units: Units, tuned: Settings, epsilons: list[float], *, n_replicates: int) -> float:
    """Return the seconds of centralized learning to some accuracies by the practical schedule."""
    step, seconds = units.step_of_all(plan.MANY_AGENTS, n_replicates), 0.0
    for epsilon in epsilons:
        measured = units.exploitability * (1.0 + units.n_epochs(epsilon, tuned["step_size"]))
        seconds += step * units.learning_steps(tuned, epsilon) + n_replicates * measured
    return seconds


def kept_points(n_states: int, n_agents: int) -> int:
    """Return about how many counts of the agents are kept in an exact solution (docs/theory, section 9.6).

    All of them up to `finite_population.WHOLE`; else those in an ellipsoid, of the volume that it has where every state
    has the same share.
    """
    points, k = counts.n_points(n_agents, n_states), n_states - 1
    if points <= finite_population.WHOLE:
        return points
    radius = 1.1 * float(chdtri(k, finite_population.LOST_MASS))
    volume = (math.pi * radius * n_agents) ** (0.5 * k) / math.gamma(0.5 * k + 1.0) * n_states ** (-0.5 * n_states)
    return int(min(points, volume))


def row_seconds(n_states: int, n_agents: int) -> float:
    """Return the seconds of the law of so many agents' counts after one step from one point (`populations.lattice`)."""
    if n_states > 3:
        return PRODUCT * n_states * (math.comb(n_agents + n_states, n_states) - 1)
    log_mass = math.log(2.0 / lattice.WINDOW_MASS)
    reach = log_mass / 3.0 + math.sqrt(log_mass**2 / 9.0 + 0.5 * log_mass * n_agents)
    cells: float = min(n_agents + 1.0, 2.0 * reach + 2.0) ** (n_states - 1)
    return CELL * cells + READ * kept_points(n_states, n_agents)


def exact_seconds(n_states: int, n_agents: int) -> float:
    """Return the seconds of one exact solution of the N-agent game; 0 where it is too large to be tried.

    Rows of the chain of counts, and applications of it, mostly twice where not all counts are kept at first.
    """
    if n_lumped_states(n_states, n_agents) > 200_000:
        return 0.0
    kept = kept_points(n_states, n_agents)
    rounds = 1 if counts.n_points(n_agents, n_states) <= finite_population.WHOLE else 2
    return LAW + rounds * kept * (row_seconds(n_states, n_agents) + APPLIED * kept)


def limit_seconds(radius: float, n_states: int, populations: Sequence[int]) -> float:
    """Return the seconds of the exact limits of the policy of some N, from the spectral radius of PMA with the step."""
    tolerance = finite_population.LIMIT_TOLERANCE
    n_solutions = fluctuations.expected_iterations(min(max(radius, 1e-6), 0.999), tolerance)
    return n_solutions * sum(exact_seconds(n_states, n_agents) for n_agents in populations)


def limit_work(units: Units, step_size: float, n_agents: int) -> tuple[int, float]:
    """Return how many exact solutions the limit of the policy takes, and the seconds of the start of their search.

    The solutions are counted with so many agents, on whom they hardly depend. One or two suffice where the closed form
    for large N, which is the start, is exact: with transitions that do not depend on the mean field, say, and rewards
    that are affine in it.
    """
    game, regularizer, found = units.game.with_features("cost"), units.regularizer, 0

    def learned(policy: np.ndarray) -> np.ndarray:
        nonlocal found
        found += 1
        return finite_population.learning_limit(game, policy, n_agents, regularizer=regularizer)

    eta, starts = step_sizes.absolute(step_size, regularizer), list[np.ndarray]()

    def closed_form() -> None:
        start = fluctuations.large_population_policy(game, n_agents, regularizer, step_size=eta, start=units.policy)
        starts.append(start)

    seconds = timed(closed_form)
    fluctuations.fixed_point_of_learning(
        lambda q, policy: operators.mirror_ascent_step(q, policy, eta, regularizer=regularizer),
        learned,
        starts[0],
        tolerance=finite_population.LIMIT_TOLERANCE,
        max_iterations=500,
        source="cost",
    )
    return found, seconds


def gap_seconds(n_states: int, n_agents: int, applications: float) -> float:
    """Return the seconds of what deviators gain among N agents, who apply their chain so often, all together."""
    columns = kept_points(n_states, n_agents - 1)
    rows = n_states * columns
    # rows that do not fit are computed at every application
    computed = 1.0 if 8 * rows * columns <= finite_population.MEMORY else 1.0 + applications
    seconds = exact_seconds(n_states, n_agents) + computed * rows * row_seconds(n_states, n_agents - 1)
    return seconds + applications * (APPLICATION + CHAIN * rows * columns)


def gaps_seconds(units: Units, populations: Sequence[int]) -> float:
    """Return the seconds of what deviators gain among each of some N, of both kinds and with and without a regularizer.

    The law of the counts and the others' moves are computed once for all of them.
    """
    applications = gap_applications(units, populations)
    return sum(gap_seconds(units.n_states, n_agents, applications) for n_agents in populations)


def gap_applications(of: Units | plan.Subject, populations: Sequence[int]) -> int:
    """Return how often `nash_gap` applies the chain, counted, of both kinds of deviators in both games.

    Counted with the largest of these N that is small, or the smallest.
    """
    game = of.game.with_features("cost")
    small = [n for n in populations if n_lumped_states(game.n_states, n) <= COUNTED_STATES]
    n_agents = max(small, default=min(populations))
    indifferent = deviators.indifferent_game(game, of.policy, of.regularizer)
    variants: list[tuple[MeanFieldGame, Regularizer | None]] = [(game, of.regularizer), (indifferent, None)]
    kinds: tuple[deviators.Sees, ...] = ("counts", "state")
    return sum(
        deviators.n_applications(played, of.policy, n_agents, regularizer=h, sees=sees)
        for played, h in variants
        for sees in kinds
    )


def section_seconds(section: str, settings: plan.Settings, units: Units) -> float:
    """Return the predicted processor seconds of a section for one game, its jobs' start included."""
    steps = [step for step in plan.steps().values() if step.section == section]
    return float(sum(step.seconds(units, settings) + JOB * step.jobs(settings) for step in steps))


def predicted(
    settings: Settings, units: Mapping[str, Units], after_section: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Return the processor seconds of every section of a configuration, and of all else as "rest".

    Parameters
    ----------
    settings : mapping
        A configuration. Of sections that make their own games nothing is predicted.
    units : mapping of str to Units
        Of each of its games.
    after_section : callable
        Called after each section.

    Returns
    -------
    dict of str to float
    """
    found = {}
    for section in plan.sections():
        if chosen := settings.get(section):
            of_games = chosen["games"]
            found[section] = sum(section_seconds(section, _of_game(chosen, game), units[game]) for game in of_games)
        after_section()
    made = tables(settings)
    games_made = 2 * len(settings["games"]) + len(studied(settings))  # made and solved, and assumptions
    solved = sum(units[game].solution for game in settings["games"])
    found["rest"] = ONCE + JOB * games_made + solved + TABLE * len(made) + FIGURE * len(registry.drawn(made))
    return found


def _of_game(chosen: Settings, game: str) -> plan.Settings:
    """Return the settings of a section for one of its games."""
    games = chosen["games"]
    return {**chosen, "games": games[game] if isinstance(games, dict) else games}


def measure_all(settings: Settings) -> dict[str, Units]:
    """Return the units of every game of a configuration that has been checked."""
    units = {}
    for name, described in settings["games"].items():
        game = games.load(described["file"]) if "file" in described else None
        game = games.make(described["family"], **described["parameters"]) if game is None else game
        units[name] = measure(game, regularizers.make(described["regularizer"], described["strength"]))
    return units


def in_words(seconds: float) -> str:
    """Return a predicted time in words, rounded as its accuracy allows."""
    return f"about {plan.duration(seconds)}"


def announcement(settings: Settings, n_cores: int) -> str:
    """Return a line that says how long a whole run of a configuration takes on so many cores."""
    try:
        total = sum(predicted(settings, measure_all(settings)).values())
    except (InputError, ConvergenceError, np.linalg.LinAlgError) as error:
        return f"its time is not predicted: {error}"
    # sections that make their own games
    makers = {
        "atlas": "the atlas",
        "scaling": "the lines of games",
        "networked": "networked learning",
        "paths_generated": "the paths of generated games",
    }
    others = ", ".join(words for section, words in makers.items() if settings.get(section))
    without = f" without {others}" if others else ""
    return (
        f"{in_words(total / n_cores)} on {n_cores} core{'s' * (n_cores > 1)}{without}, if nothing is done yet "
        f"(predicted: {total:.0f} s of processor time, from a timing of the game)"
    )
