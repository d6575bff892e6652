"""What experiments cost: a prediction of processor time from their settings and a short timing of the game itself.

A section of a configuration is a number of operations of a few kinds: steps of the N-agent game, PMA iterations,
Jacobians, solutions. `Units` times each of them on the game at hand, in a second or so, which covers how a step grows
with the states (benchmarks/scaling.md), functions in Python, and the machine. The numbers of operations follow from the
settings; where an iteration stops by itself they are those of typical games. How well it predicts is in
docs/performance.md.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pma_mfg import equilibrium, games, jacobian, operators, regularizers, seeds
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import n_lumped_states
from pma_mfg.learning import algorithms as learning
from pma_mfg.populations import td_moments
from pma_mfg.regularizers import Regularizer
from pma_mfg.theory import prescription
from pma_replication import plan, registry
from pma_replication.configuration import studied, tables
from pma_replication.experiments.independent.sizes import AGENT_SECONDS, independent_steps

Settings = Mapping[str, Any]

#: Processor seconds of a job that does nothing: Python, imports, compiled kernels from the cache. Of a figure, a table,
#: and what is run once: compilation, verdicts, findings, Snakemake itself. From results/full/benchmarks.
JOB, FIGURE, TABLE, ONCE = 1.3, 5.0, 0.8, 15.0

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

    def decay(self, relative_step_size: float) -> float:
        """Return log(1 / r), r the spectral radius of PMA at `policy`; eta in units of 1 / rho."""
        eta = relative_step_size / self.regularizer.rho
        radius = jacobian.spectral_radius(jacobian.jacobian(self.game, self.policy, eta, regularizer=self.regularizer))
        return -math.log(min(max(radius, 1e-6), 0.99))

    def n_epochs(self, epsilon: float, step_size: float) -> float:
        """Return K of the practical schedule."""
        return max(1.0, math.log(2.0 / epsilon) / self.decay(step_size * self.regularizer.rho))

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

    def solve() -> None:
        with contextlib.suppress(ConvergenceError):
            equilibrium.solve(game, regularizer)

    return Units(
        game.n_states,
        game.n_actions,
        steps(plan.MANY_AGENTS),
        steps(10),
        _seconds(lambda: operators.policy_mirror_ascent(game, policy, eta, regularizer=regularizer)),
        _seconds(lambda: jacobian.jacobian(game, policy, eta, regularizer=regularizer)),
        _seconds(lambda: equilibrium.exploitability(game, policy, regularizer)),
        _seconds(solve),
        _seconds(
            lambda: td_moments.moments(
                game, policy, regularizer, n_updates=[100], n_waiting=1, td_scale=scale, td_offset=scale
            )
        )
        / 100,
        policy,
        game,
        regularizer,
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


def _learning(units: Units, tuned: Settings, epsilons: list[float], n_replicates: int) -> float:
    runs = 0.0
    for epsilon in epsilons:
        measured = units.exploitability * (1.0 + units.n_epochs(epsilon, tuned["step_size"]))
        runs += units.step * units.learning_steps(tuned, epsilon) + measured
    return n_replicates * runs


def _ctd(units: Units, settings: Settings, populations: list[int]) -> float:
    first, *others = (waiting + 1 for waiting in settings["n_waiting"])
    per_population = first * settings["n_replicates"] * settings["n_updates"][-1]
    seconds = sum(per_population * units.step_of(n) + _lattice(units.n_states, n) for n in populations)
    if max(settings["populations"]) in populations:
        seconds += sum(others) * settings["other_replicates"] * settings["n_updates"][-1] * units.step
    return float(seconds)


def _lattice(n_states: int, n_agents: int) -> float:
    """Return the seconds of one exact solution of the N-agent game; 0 where it is too large to be tried."""
    size = n_lumped_states(n_states, n_agents)
    # 9.9 thousand states, 10 successors each: a second (benchmarks/scaling.md)
    return 1.0 * (size / 9900) ** 1.5 if size <= 200_000 else 0.0


def _independent(sweep: str, units: Units, settings: Settings) -> float:
    steps = independent_steps(settings, lambda epsilon: units.learning_steps(settings, epsilon))[sweep]
    agents = settings["n_agents"]
    if sweep == "populations":
        agents = np.average(settings["populations"], weights=settings["population_replicates"])
    per_step = units.step + agents * AGENT_SECONDS * (units.n_states / 10) ** 0.5
    return float(steps * per_step) + 5.0 * units.update * 100


def _prescribed(units: Units, settings: Settings) -> float:
    chosen = settings["games"]
    epsilons = chosen if isinstance(chosen, list) else [epsilon for of_game in chosen.values() for epsilon in of_game]
    step_size, steps = settings["relative_step_size"] / units.regularizer.strength, 0.0
    game = units.game.with_features("cost")
    for epsilon in epsilons:
        try:
            steps += prescription.theorem_schedule(game, units.regularizer, step_size, epsilon=epsilon).n_samples
        except InputError:
            continue
    return float(settings["n_replicates"]) * steps * units.step + 0.3 * len(settings["epsilons"])


def _comparison(units: Units, settings: Settings) -> float:
    tried = sum(math.prod(len(values) for values in grid.values()) for grid in settings["methods"].values())
    pilots = tried * settings["n_pilots"]
    reported = len(settings["methods"]) * settings["n_replicates"]
    samples: float = pilots * settings["pilot_budget"] + reported * settings["budget"]
    measured: float = (pilots + reported) * (1 + settings["per_decade"] * math.log10(settings["budget"] / 10))
    return samples * 0.3 * units.step + measured * (units.exploitability + units.pma)


def _coupling(units: Units, settings: Settings) -> float:
    updates = settings["games"]["updates"]
    per_epoch = sum(updates) * (settings["n_waiting"] + 1) * units.step
    measured = len(updates) * (2 + settings["split"]) / 3 * units.exploitability
    return float(3 * settings["n_replicates"] * settings["n_epochs"] * (per_epoch + measured))


#: Step of `verify.STEPS`, or a part of a section that only the pipeline runs -> processor seconds, from its section's
#: settings.
STEPS: dict[str, Callable[[Units, Settings], float]] = {
    # ascents: 8 sweeps of S A norms each, of 3 operators and 3 for each step size; and random pairs
    "operators": lambda u, s: (
        (3 + 3 * len(s["relative_step_sizes"]))
        * ((s["n_ascents"] + 1) * 6 * u.n_states * u.n_actions * u.jacobian + s["n_pairs"] * 2 * u.pma)
    ),
    "convergence": lambda u, s: (
        s["n_starts"] * u.pma * sum(min(s["max_iterations"], 25 / u.decay(x)) for x in s["relative_step_sizes"])
    ),
    "phase": lambda u, s: (
        2 * s["strengths"]["count"] * (u.solution + 12 * (2 + s["relative_step_sizes"]["count"]) * u.jacobian)
    ),
    "strengths": lambda u, s: 200 * (u.solution + 4 * u.jacobian),
    "dynamics": lambda u, s: s["n_starts"] * (s["max_iterations"] * 1.5 * (u.pma + u.exploitability)) + 60 * u.jacobian,
    "damping": lambda u, s: (
        len(s["strengths"])
        * (s["n_starts"] * 0.07 * s["max_iterations"] * (1 + 2 * len(s["step_shares"])) * u.pma + 120 * u.jacobian)
    ),
    "basins": lambda u, s: 2 * len(s["relative_step_sizes"]) * s["n_starts"] * 0.2 * s["max_iterations"] * u.pma,
    "ctd_many": lambda u, s: _ctd(u, s, [max(s["populations"])]),
    "ctd_few": lambda u, s: _ctd(u, s, sorted(s["populations"])[:-1]),
    "moments": lambda u, s: (1 + len(s["exact_waiting"])) * s["exact_updates"][-1] * u.update,
    "epsilon": lambda u, s: sum(
        _learning(u, tuned, tuned["epsilons"], s["n_replicates"])
        for tuned in ([s["games"]] if "epsilons" in s["games"] else s["games"].values())
    ),
    "prescribed": _prescribed,
    "coupling": _coupling,
    "population": lambda u, s: len(s["populations"]) * _learning(u, s, [s["epsilon"]], s["n_replicates"]),
    "bias": lambda u, s: 1.1 * len(s["populations"]) * s["n_replicates"] * s["n_steps"] * 1.2 * u.step,
    "exact": lambda u, s: 20 * sum(_lattice(u.n_states, n) for n in s["populations"]),
    "agreement": lambda u, s: sum(
        1.1 * s["n_replicates"] * s["n_steps"] * 1.2 * u.step_of(n) + _lattice(u.n_states, n) for n in s["populations"]
    ),
    "nash": lambda u, s: 2 * sum(_lattice(u.n_states, n) for n in s["populations"]),
    **{
        f"independent_{sweep}": partial(_independent, sweep)
        for sweep in ("updates", "step_sizes", "populations", "epsilons")
    },
    "comparison": _comparison,
    "zoo": lambda u, s: (s["n_starts"] + 1) * 3 * u.solution + 20 * u.jacobian,
}

#: Section -> its steps and its jobs for one game.
PARTS: dict[str, tuple[tuple[str, ...], Callable[[Settings], int]]] = {
    "operator_checks": (("operators",), lambda s: 1),
    "convergence": (("convergence",), lambda s: 1),
    "phase": (("phase", "strengths"), lambda s: 1),
    "dynamics": (("dynamics",), lambda s: 1),
    "damping": (("damping",), lambda s: 1),
    "basins": (("basins",), lambda s: 1),
    "ctd": (("ctd_many", "ctd_few", "moments"), lambda s: 1 + len(s["populations"])),
    "epsilon_sweep": (("epsilon",), lambda s: 4),
    "prescribed": (("prescribed",), lambda s: 3),
    "coupling": (("coupling",), lambda s: 1),
    "population_sweep": (("population",), lambda s: 1 + len(s["populations"])),
    "bias": (("bias",), lambda s: len(s["populations"])),
    "exact": (("exact",), lambda s: 1),
    "agreement": (("agreement",), lambda s: 1),
    "nash": (("nash",), lambda s: 1),
    "independent": (
        ("independent_updates", "independent_step_sizes", "independent_populations", "independent_epsilons"),
        lambda s: 4,
    ),
    "comparison": (("comparison",), lambda s: 1),
    "zoo": (("zoo",), lambda s: 1),
}


def step_seconds(step: str, settings: Settings, units: Units) -> float:
    """Return the predicted processor seconds of a step of `verify.STEPS` in one process that is running."""
    return float(STEPS[step](units, settings))


def section_seconds(section: str, settings: Settings, units: Units) -> float:
    """Return the predicted processor seconds of a section for one game, its jobs' start included."""
    steps, jobs = PARTS[section]
    return float(sum(STEPS[step](units, settings) for step in steps) + JOB * jobs(settings))


def predicted(settings: Settings, units: Mapping[str, Units]) -> dict[str, float]:
    """Return the processor seconds of every section of a configuration, and of all else as "rest".

    Parameters
    ----------
    settings : mapping
        A configuration. Of an atlas nothing is predicted.
    units : mapping of str to Units
        Of each of its games.

    Returns
    -------
    dict of str to float
    """
    found = {}
    for section in PARTS:
        if chosen := settings.get(section):
            of_games = chosen["games"]
            found[section] = sum(section_seconds(section, _of_game(chosen, game), units[game]) for game in of_games)
    made = tables(settings)
    games_made = 2 * len(settings["games"]) + len(studied(settings))  # made and solved, and assumptions
    solved = sum(units[game].solution for game in settings["games"])
    found["rest"] = ONCE + JOB * games_made + solved + TABLE * len(made) + FIGURE * len(registry.drawn(made))
    return found


def _of_game(chosen: Settings, game: str) -> Settings:
    """Return the settings of a section for one of its games."""
    games = chosen["games"]
    return {**chosen, "games": games[game]} if isinstance(games, dict) else chosen


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
    if seconds < 100.0:
        return f"about {max(1.0, float(f'{seconds:.1g}')):.0f} s"
    return f"about {float(f'{seconds / 60.0:.2g}'):g} minutes"


def announcement(settings: Settings, n_cores: int) -> str:
    """Return a line that says how long a whole run of a configuration takes on so many cores."""
    try:
        total = sum(predicted(settings, measure_all(settings)).values())
    except (InputError, ConvergenceError, np.linalg.LinAlgError) as error:
        return f"its time is not predicted: {error}"
    atlas = " without the atlas" if settings.get("atlas") else ""
    return (
        f"{in_words(total / n_cores)} on {n_cores} core{'s' * (n_cores > 1)}{atlas}, if nothing is done yet "
        f"(predicted: {total:.0f} s of processor time, from a timing of the game)"
    )
