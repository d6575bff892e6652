"""Measure how the cost of the pipeline grows with S, A, N and 1/epsilon, and what large runs cost: `make scaling`.

Prints the page benchmarks/scaling.md, which docs/cluster.md shows. Every operation that dominates a rule is swept in
one size at a time, by the library's own functions; the points of a sweep take turns, so that a machine whose speed
drifts bends no line. Times are processor times of this process. Nothing is asserted here.

    OPENBLAS_NUM_THREADS=1 python benchmarks/scaling.py results/full

takes the rules' own times and memory from the benchmark files of a finished run of config/config.yaml. With more
threads the linear algebra library's waiting would count as processor time.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from pma_mfg import equilibrium, games, jacobian, seeds
from pma_mfg.commands import step_sizes
from pma_mfg.games import MeanFieldGame
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import schedules
from pma_mfg.learning.schedules import Schedule
from pma_mfg.populations import finite_population, td_moments
from pma_mfg.regularizers import Entropy
from pma_mfg.simulation import agents
from pma_mfg.theory import prescription
from pma_replication.runs import times as recorded
from pma_replication.statistics import Estimate, slope_interval

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 5
#: A timed call is repeated until it takes this long, in seconds of the processor.
LEAST = 0.05
REGULARIZER = Entropy(0.1)
STEP_SIZE = 1.0 / REGULARIZER.rho

#: Does an operation some number of times.
Run = Callable[[int], object]


def planted(n_states: int, n_actions: int) -> MeanFieldGame:
    """Return a game with dense transitions and as many features as states."""
    return games.make("planted_smooth", n_states=n_states, n_actions=n_actions, discount=0.8, seed=1, strength=0.1)


def trajectory_step(n_states: int = 10, n_actions: int = 3, n_agents: int = 10**6) -> Run:
    """Return thousands of steps of the N-agent game in which all agents share a policy, with a TD update each."""
    game = planted(n_states, n_actions)
    return shared_steps(game, REGULARIZER, game.planted.policy, n_agents)


def shared_steps(game: MeanFieldGame, regularizer: Entropy, policy: np.ndarray, n_agents: int) -> Run:
    """Return thousands of steps with a TD update each: tables are built once per call, as once per epoch."""
    rng = np.random.default_rng(0)
    return lambda count: learning.ctd(
        game,
        policy,
        n_agents,
        regularizer=regularizer,
        n_updates=1000 * count,
        n_waiting=0,
        td_scale=1e3,
        td_offset=1e3,
        rng=rng,
    )


def independent_step(n_states: int = 10, n_actions: int = 3, n_agents: int = 10**4) -> Run:
    """Return steps of the N-agent game in which every agent learns for itself."""
    game = planted(n_states, n_actions)
    population = agents.initial_agents(game, n_agents, REGULARIZER, rng=np.random.default_rng(0))

    def run(count: int) -> None:
        population.progress[1] = 0
        agents.advance(game, population, count, n_waiting=0, scale=1e3, offset=1e3)

    return run


def learning_run(inverse_epsilon: int, n_agents: int = 10**6, independent: bool = False) -> Run:
    """Return whole runs of learning with the tuned schedule for an accuracy, S = 5 and A = 2."""
    game = planted(5, 2)
    schedule = schedules.practical_schedule(
        game,
        REGULARIZER,
        game.planted.policy,
        step_size=STEP_SIZE,
        epsilon=1.0 / inverse_epsilon,
        td_constant=9.0,
        waiting_constant=0.5,
    )
    learn = learning.independent if independent else learning.centralized
    return lambda count: [learn(game, n_agents, REGULARIZER, schedule, np.random.default_rng(0)) for _ in range(count)]


def independent_run(inverse_epsilon: int) -> Run:
    """Return the same with a thousand agents that learn independently."""
    return learning_run(inverse_epsilon, 1000, independent=True)


def solve(n_states: int = 10, n_actions: int = 3) -> Run:
    """Return solutions of the mean field game."""
    game = planted(n_states, n_actions)
    return lambda count: [equilibrium.solve(game, REGULARIZER) for _ in range(count)]


def jacobians(n_states: int = 10, n_actions: int = 3) -> Run:
    """Return Jacobians of PMA."""
    game = planted(n_states, n_actions)
    policy = game.planted.policy
    return lambda count: [jacobian.jacobian(game, policy, STEP_SIZE, regularizer=REGULARIZER) for _ in range(count)]


def moments_update(n_states: int = 5, n_actions: int = 3) -> Run:
    """Return hundreds of updates of the exact moments of TD learning."""
    game = planted(n_states, n_actions)
    policy = game.planted.policy
    return lambda count: td_moments.moments(
        game, policy, REGULARIZER, n_updates=[100 * count], n_waiting=1, td_scale=1e3, td_offset=1e3
    )


def lattice(n_states: int = 3, n_actions: int = 3, n_agents: int = 20) -> Run:
    """Return stationary laws of the N-agent game, solved exactly."""
    game = planted(n_states, n_actions)
    policy = game.planted.policy
    return lambda count: [finite_population.stationary_counts(game, policy, n_agents) for _ in range(count)]


#: operation -> (function, rules it dominates, argument -> sizes)
OPERATIONS: dict[str, tuple[Callable[..., Run], str, dict[str, tuple[int, ...]]]] = {
    "1000 steps of the N-agent game, shared policy": (
        trajectory_step,
        "ctd_errors, samples_tuned, populations_learned, samples_prescribed, populations_bias, comparison_measure, "
        "coupling_measure, nash_learned, scaling_measure, one_trajectory_measure, "
        "networked_measure, regularization_anneal",
        {"n_states": (5, 10, 20, 40), "n_actions": (2, 4, 8, 16), "n_agents": (10**4, 10**6, 10**8, 10**10)},
    ),
    "a step of N independent learners": (
        independent_step,
        "independent_measure, independent_epsilons, independent_games",
        {"n_states": (5, 10, 20, 40), "n_actions": (2, 4, 8, 16), "n_agents": (10**3, 10**4, 10**5, 10**6)},
    ),
    "learning to accuracy ε, shared policy, S = 5": (
        learning_run,
        "samples_tuned, populations_learned, samples_prescribed",
        {"inverse_epsilon": (4, 8, 16, 32)},
    ),
    "learning to accuracy ε, 1000 independent learners, S = 5": (
        independent_run,
        "independent_epsilons",
        {"inverse_epsilon": (4, 8, 16)},
    ),
    "an equilibrium": (
        solve,
        "equilibria_solve, contraction_measure, dynamics_measure, orbit_measure, basins_measure, literature_measure, "
        "regularization_measure, paths_follow, paths_generated",
        {"n_states": (5, 10, 20, 40), "n_actions": (2, 4, 8)},
    ),
    "a Jacobian of PMA": (
        jacobians,
        "bounds_measure, phase_measure, equilibria_assumptions, samples_schedules, atlas_measure",
        {"n_states": (5, 10, 20, 40), "n_actions": (2, 4, 8)},
    ),
    "100 updates of the exact moments": (
        moments_update,
        "ctd_moments",
        {"n_states": (4, 6, 9), "n_actions": (2, 3, 5)},
    ),
    "the N-agent game solved exactly, S = 3": (
        lattice,
        "populations_exact, populations_agreement, nash_measure",
        {"n_actions": (2, 4, 8), "n_agents": (10, 20, 40, 80)},
    ),
}


def repetitions(run: Run) -> int:
    """Return how often an operation is done for a call to take `LEAST`; the first call, which may compile, is extra."""
    run(1)
    count = 1
    while True:
        start = time.process_time()
        run(count)
        if time.process_time() - start >= LEAST:
            return count
        count *= 2


def seconds(runs: Sequence[Run], repeats: int = REPEATS) -> list[np.ndarray]:
    """Return the processor time of one operation, for each of several sizes an array of shape (repeats,)."""
    counts = [repetitions(run) for run in runs]
    times = np.empty((len(runs), repeats))
    for k, (i, run) in itertools.product(range(repeats), enumerate(runs)):
        start = time.process_time()
        run(counts[i])
        times[i, k] = (time.process_time() - start) / counts[i]
    return list(times)


def exponent(sizes: Sequence[float], times: Sequence[np.ndarray]) -> tuple[Estimate, float]:
    """Return the exponent fitted to median times with its 95 % interval, and that between the two largest sizes."""
    fitted = slope_interval(
        sizes, times, seeds.generator(0, "scaling"), summary=lambda group: float(np.median(group)), paired=False
    )
    last, largest = (float(np.median(group)) for group in times[-2:])
    return fitted, float(np.log(largest / last) / np.log(sizes[-1] / sizes[-2]))


def exponents() -> Iterator[str]:
    """Yield the table of exponents, line by line as they are measured."""
    names = {"n_states": "S", "n_actions": "A", "n_agents": "N", "inverse_epsilon": "1/ε"}
    yield "| operation | rules | in | from … to | exponent (95 % interval) | at the large end | time at the large end |"
    yield "|---|---|---|---|---|---|---|"
    for operation, (make, rules, sweeps) in OPERATIONS.items():
        for argument, sizes in sweeps.items():
            times = seconds([make(**{argument: size}) for size in sizes])
            fitted, end = exponent(sizes, times)
            yield (
                f"| {operation} | {rules} | {names[argument]} | {sizes[0]:,} … {sizes[-1]:,} | "
                f"{fitted.value:.2f} ({fitted.low:.2f} … {fitted.high:.2f}) | {end:.2f} | "
                f"{duration(float(np.median(times[-1])))} |"
            )


def hours(amount: float) -> str:
    """Return seconds as core-hours with two digits."""
    return f"{amount / 3600.0:,.0f}" if amount >= 36_000.0 else f"{amount / 3600.0:.2g}"


def duration(amount: float) -> str:
    """Return seconds in a unit that suits them."""
    for unit, name in ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms")):
        if amount >= unit:
            return f"{amount / unit:,.3g} {name}"
    return f"{amount * 1e6:,.3g} µs"


@dataclass(frozen=True)
class Case:
    """A game of the configuration with its equilibrium."""

    game: MeanFieldGame
    regularizer: Entropy
    policy: np.ndarray

    @classmethod
    def of(cls, settings: dict[str, Any], name: str) -> Case:
        """Make and solve it."""
        entry = settings["games"][name]
        game = games.make(entry["family"], **entry["parameters"])
        regularizer = Entropy(entry["strength"])
        return cls(game, regularizer, equilibrium.solve(game, regularizer).policy)

    def practical(self, tuned: dict[str, Any], epsilon: float) -> Schedule:
        """Return the tuned schedule."""
        return schedules.practical_schedule(
            self.game,
            self.regularizer,
            self.policy,
            step_size=step_sizes.absolute(tuned["step_size"], self.regularizer),
            epsilon=epsilon,
            td_constant=tuned["td_constant"],
            waiting_constant=tuned["waiting_constant"],
        )

    def shared_step(self, n_agents: int) -> float:
        """Return the processor time of a step when all share the equilibrium."""
        (times,) = seconds([shared_steps(self.game, self.regularizer, self.policy, n_agents)])
        return float(np.median(times)) / 1000.0

    def independent_step(self, n_agents: int) -> tuple[float, float]:
        """Return the processor time of a step of independent learners, and their memory in bytes."""
        population = agents.initial_agents(
            self.game, n_agents, self.regularizer, rng=np.random.default_rng(0), start=self.policy
        )

        def run(count: int) -> None:
            population.progress[1] = 0
            agents.advance(self.game, population, count, n_waiting=0, scale=1e3, offset=1e3)

        (times,) = seconds([run])
        return float(np.median(times)), float(sum(array.nbytes for array in population.arrays().values()))


def large_runs(settings: dict[str, Any]) -> list[str]:
    """Return the costs of small epsilon and of many independent learners, as tables."""
    tuned_runs, many = settings["samples_tuned"], settings["independent"]
    lines = [
        "| learning to accuracy ε, one run | ε | samples | exponent in 1/ε at this ε | core-hours |",
        "|---|---|---|---|---|",
    ]

    def rows(name: str, schedule: Callable[[float], Schedule], step: float, of: str) -> None:
        for epsilon in (0.1, 0.01, 0.001):
            samples, more = (schedule(value).n_samples for value in (epsilon, epsilon / 2.0))
            lines.append(
                f"| `{name}`, {of} | {epsilon:g} | {samples:.2g} | {np.log2(more / samples):.2f} | "
                f"{hours(samples * step)} |"
            )

    for name, tuned in tuned_runs["games"].items():
        case = Case.of(settings, name)
        step = case.shared_step(tuned_runs["n_agents"])
        rows(name, lambda epsilon, case=case, tuned=tuned: case.practical(tuned, epsilon), step, "tuned schedule")
    for name in settings["samples_prescribed"]["games"]:
        case = Case.of(settings, name)
        step = case.shared_step(settings["samples_prescribed"]["n_agents"])
        eta = step_sizes.absolute(settings["samples_prescribed"]["step_size"], case.regularizer)

        def theorem(epsilon: float, case: Case = case, eta: float = eta) -> Schedule:
            return prescription.theorem_schedule(case.game, case.regularizer, eta, epsilon=epsilon)

        rows(name, theorem, step, "the theorem's schedule")

    case = Case.of(settings, many["games"][0])
    n_agents = 10**6
    step, memory = case.independent_step(n_agents)
    configured = many["n_epochs"] * many["n_updates"] * (many["n_waiting"] + 1)
    title = f"10⁶ independent learners in `{many['games'][0]}`, one run, {memory / 2**20:,.0f} MiB"
    lines += [
        "",
        f"| {title} | steps | core-hours |",
        "|---|---|---|",
        f"| K and M_td as configured | {configured:.2g} | {hours(configured * step)} |",
    ]
    for epsilon in (0.1, 0.01, 0.001):
        steps = case.practical(many, epsilon).n_samples
        lines.append(f"| schedule for ε = {epsilon:g} | {steps:.2g} | {hours(steps * step)} |")
    return lines


def rules(run: Path, names: Sequence[str]) -> list[str]:
    """Return what each rule of a finished run took, and would take for a thousand games, as a table.

    Parameters
    ----------
    run : Path
        Folder of the results.
    names : sequence of str
        Of the games.
    """
    found = []
    for path in sorted((run / "benchmarks").rglob("*.tsv")):
        rule = path.relative_to(run / "benchmarks").parts[0].removesuffix(".tsv")
        games_named = [] if rule == "table" else [name for name in names if f"{path.stem}_".startswith(f"{name}_")]
        found.append((rule, max(games_named, key=len, default=None), *recorded.used(path)))
    if not found:
        raise SystemExit(f"error: {run / 'benchmarks'}: no times of a finished run; make replicate writes them")
    table = pd.DataFrame(found, columns=["rule", "game", "cpu", "memory"])
    lines = [
        "| step | jobs | processor time | share | longest job | most memory | core-hours of 1000 games |",
        "|---|---|---|---|---|---|---|",
    ]
    thousand, total = 0.0, table["cpu"].sum()
    by_rule = sorted(table.groupby("rule"), key=lambda item: -item[1]["cpu"].sum())
    for rule, jobs in by_rule:
        cost = 0.0
        if n_games := jobs["game"].nunique():
            cost = 1000.0 * jobs["cpu"].sum() / n_games
            thousand += cost
        lines.append(
            f"| {rule} | {len(jobs)} | {duration(jobs['cpu'].sum())} | {100 * jobs['cpu'].sum() / total:.1f} % | "
            f"{duration(jobs['cpu'].max())} | {jobs['memory'].max():,.0f} MiB | {hours(cost) if cost else ''} |"
        )
    memory = table["memory"].max()
    return [*lines, f"| all | {len(table)} | {duration(total)} | | | {memory:,.0f} MiB | {hours(thousand)} |"]


def page(settings: dict[str, Any], run: Path | None) -> Iterator[str]:
    """Yield the page, line by line."""
    yield (
        f"Written by `benchmarks/scaling.py` (`make scaling`): processor times, median of {REPEATS} rounds in which "
        "the sizes take turns; other sizes S = 10, A = 3, N = 10⁶ for a shared policy and 10⁴ for independent "
        "learners, S = 5 for moments, S = 3 and N = 20 for the exact game. The exponent is the slope of log time "
        "against log size over all sizes, its interval a bootstrap over the rounds: it holds timing noise, and not "
        "that the line may be bent, for which the exponent between the two largest sizes stands beside it.\n"
    )
    yield from exponents()
    yield "\nSamples are those of the schedules, times those of a step in the game that is named.\n"
    yield from large_runs(settings)
    if run is not None:
        yield f"\nOf the jobs of `{run}`, by the benchmark files that Snakemake wrote:\n"
        yield from rules(run, list(settings["games"]))


def main() -> None:
    """Print the page."""
    settings = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    for line in page(settings, Path(sys.argv[1]) if len(sys.argv) > 1 else None):
        print(line, flush=True)


if __name__ == "__main__":
    main()
