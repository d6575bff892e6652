"""What experiments cost: a prediction of processor time from their settings and a short timing of the game itself.

A section of a configuration is a number of operations of a few kinds: steps of the N-agent game, PMA iterations,
Jacobians, solutions. `Units` times each of them on the game at hand, in a second or so, which covers how a step grows
with the states (benchmarks/scaling.md), functions in Python, and the machine. The numbers of operations follow from the
settings, as each experiment's `steps.py` says; where an iteration stops by itself they are those of typical games. How
well it predicts is in docs/performance.md.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pma_mfg import equilibrium, games, jacobian, operators, regularizers, seeds
from pma_mfg.arrays import accepts
from pma_mfg.commands import step_sizes
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import n_lumped_states
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import replicates
from pma_mfg.populations import finite_population, fluctuations, td_moments
from pma_mfg.regularizers import Regularizer
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


@dataclass(frozen=True)
class Units:
    """Processor seconds of the operations that experiments are made of, in one game.

    Parameters
    ----------
    n_states, n_actions : int
    step, step_of_few : float
        Of the N-agent game with a policy that all share, many agents or ten: counts of few are drawn faster.
    step_together : float
        Of many agents in one of `TOGETHER` replicates that move side by side.
    pma, jacobian, exploitability, solution : float
        Of one PMA iteration, one Jacobian, one exploitability, one equilibrium.
    update : float
        Of the exact moments of TD learning.
    rho : float
    policy : ndarray, shape (S, A)
        At which all was timed: the equilibrium, or the uniform one where none is at hand.
    game : Game
    regularizer : Regularizer
    """

    n_states: int
    n_actions: int
    step: float
    step_of_few: float
    step_together: float
    pma: float
    jacobian: float
    exploitability: float
    solution: float
    update: float
    policy: np.ndarray
    game: Game
    regularizer: Regularizer

    def step_of(self, n_agents: int) -> float:
        """Return the seconds of a step of so many agents."""
        return self.step_of_few if n_agents <= 100 else self.step

    def step_of_all(self, n_agents: int, n_replicates: int) -> float:
        """Return the seconds of a step in each of so many replicates, side by side where `learning.replicates` is."""
        if n_agents <= 100:  # few agents are drawn one by one, and their replicates run one after the other
            return n_replicates * self.step_of_few
        groups, left = divmod(n_replicates, TOGETHER)
        alone = left * self.step
        group = TOGETHER * self.step_together
        return groups * group + (min(alone, group) if left >= WORTHWHILE else alone)

    def radius(self, step_size: float) -> float:
        """Return the spectral radius of PMA at `policy`; eta in units of 1 / rho."""
        eta = step_sizes.absolute(step_size, self.regularizer)
        return jacobian.spectral_radius(jacobian.jacobian(self.game, self.policy, eta, regularizer=self.regularizer))

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
    """Time the operations on a game, at its equilibrium's policy, which is solved for if it is not given.

    Where none is found it is the uniform policy.
    """
    if policy is None:
        try:
            policy = equilibrium.solve(game, regularizer).policy
        except ConvergenceError:
            policy = operators.uniform_policy(game)
    eta, rng = 1.0 / regularizer.rho, seeds.generator(0, "cost")
    scale = 100.0  # any; the steps of TD learning cost the same
    n_steps = 5000 if game.has_features else 200

    def steps(n_agents: int) -> float:
        return (
            _seconds(
                lambda: learning.ctd(
                    game,
                    policy,
                    n_agents,
                    regularizer=regularizer,
                    n_updates=[n_steps],
                    n_waiting=0,
                    td_scale=scale,
                    td_offset=scale,
                    rng=rng,
                )
            )
            / n_steps
        )

    def together() -> float:
        rngs = [seeds.generator(0, "cost", r) for r in range(TOGETHER)]
        return _seconds(
            lambda: replicates.ctd(
                game,
                policy,
                plan.MANY_AGENTS,
                regularizer=regularizer,
                n_updates=[n_steps],
                n_waiting=0,
                td_scale=scale,
                td_offset=scale,
                rngs=rngs,
            )
        ) / (n_steps * TOGETHER)

    def solve() -> None:
        with contextlib.suppress(ConvergenceError):
            equilibrium.solve(game, regularizer)

    alone = steps(plan.MANY_AGENTS)
    return Units(
        n_states=game.n_states,
        n_actions=game.n_actions,
        step=alone,
        step_of_few=steps(10),
        step_together=together() if game.has_features else alone,
        pma=_seconds(lambda: operators.policy_mirror_ascent(game, policy, eta, regularizer=regularizer)),
        jacobian=_seconds(lambda: jacobian.jacobian(game, policy, eta, regularizer=regularizer)),
        exploitability=_seconds(lambda: equilibrium.exploitability(game, policy, regularizer)),
        solution=_seconds(solve),
        update=_seconds(
            lambda: td_moments.moments(
                game, policy, regularizer, n_updates=[100], n_waiting=1, td_scale=scale, td_offset=scale
            )
        )
        / 100,
        policy=policy,
        game=game,
        regularizer=regularizer,
    )


def _seconds(run: Callable[[], object]) -> float:
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


def exact_seconds(n_states: int, n_agents: int) -> float:
    """Return the seconds of one exact solution of the N-agent game; 0 where it is too large to be tried."""
    size = n_lumped_states(n_states, n_agents)
    # 9.9 thousand states, 10 successors each: a second (benchmarks/scaling.md); the smallest take a hundredth
    return 0.01 + 1.0 * (size / 9900) ** 1.5 if size <= 200_000 else 0.0


def limit_seconds(radius: float, n_states: int, populations: Sequence[int]) -> float:
    """Return the seconds of the exact limits of the policy of some N, from the spectral radius of PMA with the step."""
    tolerance = finite_population.LIMIT_TOLERANCE
    n_solutions = fluctuations.expected_iterations(min(max(radius, 1e-6), 0.999), tolerance)
    return n_solutions * sum(exact_seconds(n_states, n_agents) for n_agents in populations)


def section_seconds(section: str, settings: plan.Settings, units: Units) -> float:
    """Return the predicted processor seconds of a section for one game, its jobs' start included."""
    steps = [step for step in plan.steps().values() if step.section == section]
    return float(sum(step.seconds(units, settings) + JOB * step.jobs(settings) for step in steps))


def predicted(settings: Settings, units: Mapping[str, Units]) -> dict[str, float]:
    """Return the processor seconds of every section of a configuration, and of all else as "rest".

    Parameters
    ----------
    settings : mapping
        A configuration. Of sections that make their own games nothing is predicted.
    units : mapping of str to Units
        Of each of its games.

    Returns
    -------
    dict of str to float
    """
    found = {}
    for section in plan.sections():
        if chosen := settings.get(section):
            of_games = chosen["games"]
            found[section] = sum(section_seconds(section, _of_game(chosen, game), units[game]) for game in of_games)
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
