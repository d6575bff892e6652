"""Sizes of the experiments that fit one game: what `pma-mfg verify` runs, and what `pma-mfg config` writes.

Every section of a configuration (config/README.md) has a function here, from a game with its equilibrium to settings at
which the section's claims can be decided within a minute or two (docs/theory.md, section 12.1), or to an `InputError`
that says why the game cannot enter it and what would do. Nothing depends on time or load: two calls give the same
settings. What the settings cost is predicted by `pma_replication.cost`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pma_mfg import equilibrium, iterations, jacobian, operators, regularizers
from pma_mfg.errors import ConvergenceError, Description, InputError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MOST_PAIRS, MeanFieldGame, n_lumped_states
from pma_mfg.learning import schedules
from pma_mfg.populations import td_moments
from pma_mfg.regularizers import Entropy, Regularizer
from pma_mfg.theory import lipschitz, prescription
from pma_replication.experiments.ctd import judge as ctd_judge
from pma_replication.experiments.orbit import measure as orbit_measure
from pma_replication.experiments.samples import measure as samples_measure

Settings = dict[str, Any]

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

#: A population that stands for infinitely many agents: what it adds is below all noise.
MANY_AGENTS = 10**6

#: States of the exact N-agent game that take seconds; `MOST_LUMPED_STATES` take minutes.
LUMPED_STATES = 20_000

#: Populations that the exact N-agent game is tried at.
LADDER = (2, 3, 4, 5, 7, 10, 15, 20, 30, 40, 60, 80, 100, 200, 500, 1000, 2000, 5000)

#: Seconds on the reference machine that a section may take, and the pilot run of learning.
BUDGET, PILOT_BUDGET = 90.0, 10.0

#: Seconds of a step of a game given by functions on the reference machine: two calls of Python.
FUNCTION_STEP = 5e-5

#: Updates of the exact moments of TD learning times the square of the pairs: seconds.
MOMENTS = 400_000

#: What is left of the start of TD learning, in units of its noise, at the least M_td that a slope is fitted to.
START_SHARE = 0.5

#: Factor between two accuracies of learning, and how many there are.
ACCURACY_FACTOR, N_ACCURACIES = 2.0, 3


def step_seconds(game: Game) -> float:
    """Return seconds of one step of the N-agent game on the reference machine, by its number of states alone.

    A fit to benchmarks/scaling.md, rounded up, for sizes that must not depend on a clock.
    """
    if not game.has_features:
        return FUNCTION_STEP
    return 1e-6 * (0.5 + 0.1 * game.n_states + 0.03 * game.n_states**2)


def default_strength(game: Game) -> float:
    """Return a tenth of the rewards' range, rounded to two digits: a tenth of what is at stake in one step."""
    lowest, highest = lipschitz.reward_range(game)
    return _rounded(0.1 * ((highest - lowest) or 1.0), 2)


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
    """

    game: Game
    regularizer: Regularizer
    kind: str
    name: str
    policy: np.ndarray

    def __post_init__(self) -> None:
        """Refuse an equilibrium at which PMA has no Jacobian, from which nearly all sizes follow."""
        # one best response: actions that are not played then have no probability at all, as in `iterations.step_size`
        policy = operators.best_response_step(self.game, self.policy, self.regularizer)
        try:
            jacobian.jacobian(self.game, policy, 1.0 / self.regularizer.rho, regularizer=self.regularizer)
        except np.linalg.LinAlgError:
            why, allowed = "states that never reach each other", "one from each of which the others are reached"
            raise self.refused("population", why, f"{allowed}: else the stable population is not unique") from None

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
    def step_size(self) -> float:
        """Return eta of learning: 1 / rho, or three tenths of the locally fastest one if that is smaller."""
        best, _ = iterations.step_size("pma_euclidean", self.game, self.regularizer, policy=self.policy, share=0.3)
        return _rounded(min(1.0 / self.regularizer.rho, best), 3)

    @cached_property
    def rate(self) -> float:
        """Return the spectral radius of PMA at the equilibrium with `step_size`."""
        matrix = jacobian.jacobian(self.game, self.policy, self.step_size, regularizer=self.regularizer)
        return jacobian.spectral_radius(matrix)

    def need_learning(self, section: str) -> None:
        """Refuse a game in which PMA does not contract, or a pair of state and action is never seen."""
        if not self.rate < 1.0:
            why = f"a spectral radius of PMA of {self.rate:.3g} at this equilibrium"
            raise self.refused(section, why, "one below 1, without which learning does not settle; a larger --strength")
        if not self.least > 0.0:
            raise self.refused(section, "a state or action that is never visited", "all of them to be seen")

    @cached_property
    def least(self) -> float:
        """Return the least probability of a state and action under the equilibrium."""
        return float((operators.stable_population(self.game, self.policy)[:, None] * self.policy).min())

    @cached_property
    def td_scale(self) -> float:
        """Return c of the steps c / (m + c) of TD learning: it has started up after several times c updates."""
        return schedules.td_scale(self.game, self.policy)

    @cached_property
    def settled(self) -> float:
        """Return the updates M from which on the error of TD learning is noise, and falls with their root.

        At least 5 c, when the steps c / (m + c) are near c / m; and so many that what is left of the start is at most
        `START_SHARE` of the noise, which bends a slope of -1/2 a little (docs/theory.md, 12.1). The first falls as
        1 / M and the second as 1 / sqrt(M) from where the exact moments end.
        """
        scale, pairs = self.td_scale, self.policy.size
        updates = int(max(10, min(math.ceil(5.0 * scale), MOMENTS // pairs**2)))
        found = td_moments.moments(
            self.game,
            self.policy,
            self.regularizer,
            n_updates=[updates],
            n_waiting=np.inf,
            td_scale=scale,
            td_offset=scale,
        )
        start, square = float(np.abs(found.mean).max()), float(found.mean_square.max())
        noise = math.sqrt(max(square - start**2, 1e-300))
        return max(5.0 * scale, updates * (start / (START_SHARE * noise)) ** 2)

    def n_epochs(self, share: float) -> int:
        """Return the epochs after which this share of the first distance to the equilibrium is left."""
        return max(1, math.ceil(math.log(share) / math.log(min(max(self.rate, 1e-6), 0.9999))))

    def too_rare(self, section: str, seconds: float, most: float = BUDGET) -> InputError:
        """Return the error of a game in which learning takes too long."""
        why = f"some {seconds / 60.0:.2g} minutes, as a state and action is seen once in {1.0 / self.least:,.0f} steps"
        allowed = f"at most {most / 60.0:g}; a larger --strength, with which no action is rare"
        if not self.game.has_features:
            why += ", each of which calls Python functions"
            allowed += ", or functions that are recognized (docs/theory.md, 1.3)"
        return self.refused(section, why, allowed)

    @cached_property
    def td_constant(self) -> float:
        """Return kappa with which the error after (kappa / epsilon)^2 updates is below epsilon, from a pilot run.

        The run has four times `settled` updates an epoch, as many epochs as leave a fiftieth of the first distance, and
        two replicates.
        Its mean last error is nearly all noise, which falls with the root of the updates. Of epsilon the start leaves
        half of its distance, by the practical schedule (docs/theory.md, 10.6); noise gets the rest, and a tenth less.
        """
        self.need_learning("learning")
        n_epochs, n_updates = self.n_epochs(0.02), math.ceil(4.0 * self.settled)
        seconds = 4.0 * n_epochs * n_updates * step_seconds(self.game)
        if seconds > PILOT_BUDGET:
            raise self.too_rare("learning", seconds * BUDGET / PILOT_BUDGET)
        first = schedules.td_start(self.game, self.regularizer)
        lengths = (n_epochs, n_updates, 1)
        schedule = schedules.Schedule(*lengths, self.step_size, self.td_scale, self.td_scale, first)
        table = samples_measure.learning_errors(
            self.game, self.regularizer, self.policy, "pilot", MANY_AGENTS, 0.5, schedule, 2, 0
        )
        error = float(table.loc[table["epoch"] == n_epochs, "error"].mean())
        start = float(table.loc[table["epoch"] == 0, "error"].mean())
        return _rounded(1.1 * error * math.sqrt(n_updates) / max(0.3, 1.0 - 0.5 * start), 2)

    def accuracies(self, count: int) -> list[float]:
        """Return accuracies of learning, decreasing; the coarsest has `settled` updates, or is a half."""
        coarsest = min(0.5, self.td_constant / math.sqrt(max(self.settled, 300.0)))
        return [_rounded(coarsest / ACCURACY_FACTOR**i, 2) for i in range(count)]

    def learning_steps(self, epsilon: float) -> float:
        """Return the environment steps of one run to an accuracy by the practical schedule."""
        per_epoch = (self.td_constant / epsilon) ** 2 * (1 + math.ceil(WAITING_CONSTANT * math.log(1.0 / epsilon)))
        return per_epoch * self.n_epochs(0.5 * epsilon)

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
            raise self.refused(section, why, f"at most {LUMPED_STATES:,}: a game with fewer states")


#: M_mix is this times log(1 / epsilon).
WAITING_CONSTANT = 0.2


def _rounded(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")


def _spread_over(values: list[int], count: int) -> list[int]:
    """Return at most `count` of increasing values, evenly, the ends included."""
    chosen = np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int)
    return [values[i] for i in chosen]


def _operator_checks(subject: Subject) -> Settings:
    return {"relative_step_sizes": [1.0], "n_pairs": 100, "n_ascents": 1}


def _convergence(subject: Subject) -> Settings:
    """Return step sizes at which PMA takes tens of iterations, so that a rate can be fitted, in halves."""
    rho = subject.regularizer.rho
    best, _ = iterations.step_size("pma_euclidean", subject.game, subject.regularizer, policy=subject.policy)
    largest = min(0.2, 0.3 * best * rho)
    return {
        "relative_step_sizes": [_rounded(largest * share, 2) for share in (0.25, 0.5, 1.0)],
        "n_starts": 6,
        # the slowest of the three falls by twelve decades at 1 / (1 + relative) without any coupling; twice that
        "max_iterations": math.ceil(2.0 * 12.0 * math.log(10.0) / math.log1p(0.25 * largest)),
    }


def _phase(subject: Subject) -> Settings:
    subject.need_features("phase")
    strength = subject.regularizer.rho
    return {
        "strengths": {"low": _rounded(0.1 * strength, 2), "high": _rounded(1e4 * strength, 2), "count": 11},
        "relative_step_sizes": {"low": 0.01, "high": 100, "count": 7},
        "n_probes": 4,
    }


def _dynamics(subject: Subject) -> Settings:
    return {"n_starts": 2, "max_iterations": 500}


def _damping(subject: Subject) -> Settings:
    """Return strengths from ten times the game's own down, as far as equilibria are found and PMA reaches them in time.

    Near an equilibrium the cautious step needs log(accuracy) / log(radius) iterations; all runs get three times that of
    the last strength.
    """
    strengths: list[float] = []
    longest = 200.0
    policy: np.ndarray | None = None
    for share in (10.0, 3.0, 1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01):
        strength = _rounded(share * subject.regularizer.rho, 2)
        weaker = regularizers.load(subject.kind, strength)
        try:
            policy = equilibrium.solve(subject.game, weaker, policy, max_iterations=500).policy
        except ConvergenceError:
            break
        radii = [
            iterations.step_size(method, subject.game, weaker, policy=policy, share=STEP_SHARES[0])[1]
            for method in ("pma_euclidean", "pma_kl")
        ]
        if not (needed := math.log(orbit_measure.ARRIVED) / math.log(min(max(*radii, 1e-6), 1.0 - 1e-9))) < 500.0:
            break
        strengths, longest = [*strengths, strength], max(longest, needed)
    if not strengths:
        why = "no equilibrium that PMA reaches at ten times this strength"
        raise subject.refused("damping", why, "one to start from; a larger --strength")
    return {
        "strengths": strengths,
        "step_shares": list(STEP_SHARES),
        "n_starts": 4,
        "max_iterations": math.ceil(3.0 * longest),
    }


#: Of the step size that is fastest near the equilibrium, in `damping`.
STEP_SHARES = (0.3, 1.0)


def _basins(subject: Subject) -> Settings:
    """Return the sweep of step sizes, for a game whose best response has an eigenvalue above 1."""
    matrix = jacobian.jacobian(subject.game, subject.policy, np.inf, regularizer=subject.regularizer)
    lead = float(np.linalg.eigvals(matrix).real.max(initial=-np.inf))
    if not lead > 1.0:
        why = f"no eigenvalue of the best response above {max(lead, 0.0):.3g} at this equilibrium"
        raise subject.refused("basins", why, "one above 1: a game in which agents gather, with several equilibria")
    return {"relative_step_sizes": [0.01, 0.1, 1.0, 10.0, 100.0], "n_starts": 8, "max_iterations": 3000}


def _ctd(subject: Subject) -> Settings:
    """Return M_td of which the slope is fitted, a factor of 20, from `Subject.settled` on."""
    if not subject.least > 0.0:
        subject.need_learning("ctd")
    small = _spread_over(subject.populations, 4)[:2] if subject.game.has_features else []
    populations = [*small, MANY_AGENTS] if len(small) == 2 else [10, 100, MANY_AGENTS]
    # three populations with all replicates, and a quarter more for the second M_mix
    per_update = (len(populations) + 0.5) * step_seconds(subject.game)
    fewest = ctd_judge.FITTED_FACTOR * subject.settled
    n_replicates = int(min(64.0, BUDGET / (per_update * fewest)))
    if n_replicates < 24:
        raise subject.too_rare("ctd", 24.0 * per_update * fewest)
    largest = max(2000, math.ceil(min(4.0 * fewest, BUDGET / (per_update * n_replicates))))
    exact = [largest // share for share in (20, 10, 5)]
    pairs = subject.policy.size
    return {
        "populations": populations,
        "n_updates": [largest // share for share in (100, 50, 20, 10, 5, 2, 1)],
        "n_waiting": [0, 1],
        "n_replicates": n_replicates,
        "other_replicates": 8,
        # the exact recursion costs as the square of the pairs, and its bias of waiting does not depend on M_td much
        "exact_updates": sorted({max(10, min(updates, MOMENTS // pairs**2)) for updates in exact}),
        "exact_waiting": [0, *_waiting_times(td_moments.forgetting_rate(subject.game, subject.policy))],
    }


def _waiting_times(rate: float) -> list[int]:
    """Return M_mix over which a mode of this rate falls from a twentieth to 1e-7: faster ones are gone by then."""
    if not 1e-6 < rate < 0.999:
        return [1, 2, 3]
    first, last = (math.log(share) / math.log(rate) for share in (0.05, 1e-7))
    least = math.ceil(first)
    return _spread_over(list(range(least, max(least + 2, int(last)) + 1)), 6)


def _epsilon_sweep(subject: Subject) -> Settings:
    subject.need_learning("epsilon_sweep")
    accuracies = subject.accuracies(N_ACCURACIES)
    seconds = sum(map(subject.learning_steps, accuracies)) * step_seconds(subject.game)
    if (n_replicates := int(min(48.0, BUDGET / seconds))) < 8:
        raise subject.too_rare("epsilon_sweep", 8.0 * seconds)
    return {
        "games": {
            "epsilons": accuracies,
            "step_size": subject.step_size,
            "td_constant": subject.td_constant,
            "waiting_constant": WAITING_CONSTANT,
        },
        "n_agents": MANY_AGENTS,
        "n_replicates": n_replicates,
    }


def _prescribed(subject: Subject) -> Settings:
    """Return accuracies for which the theorem's own schedule is short enough to be run."""
    game = subject.need_features("prescribed")
    step_size = PRESCRIBED_STEP / subject.regularizer.strength
    most = BUDGET / (PRESCRIBED_REPLICATES * step_seconds(subject.game))
    chosen: list[float] = []
    start = operators.policy_distance(operators.uniform_policy(subject.game), subject.policy)
    for share in (0.5, 0.25, 0.1, 0.03):  # of the first distance: larger accuracies ask for nothing
        epsilon = _rounded(min(0.5, share * start), 2)
        try:
            schedule = prescription.theorem_schedule(game, subject.regularizer, step_size, epsilon=epsilon)
        except InputError as refused:
            told = f"{refused.field} {refused.value}"
            raise subject.refused("prescribed", told, refused.allowed) from None
        if schedule.n_samples > most:
            why = f"{schedule.n_samples:.2g} samples that the theorem asks for at epsilon = {epsilon:g}"
            if not chosen:
                raise subject.refused("prescribed", why, f"at most {most:.2g} in a minute; a larger --strength")
            break
        most -= schedule.n_samples
        chosen.append(epsilon)
    return {
        "games": chosen,
        "n_agents": 10**9,
        "epsilons": sorted({*chosen, _rounded(chosen[-1] / 2, 2), _rounded(chosen[-1] / 5, 2)}, reverse=True),
        "n_replicates": PRESCRIBED_REPLICATES,
        "relative_step_size": PRESCRIBED_STEP,
    }


#: eta of the theorem's schedule in units of 1 / strength, and its runs.
PRESCRIBED_STEP, PRESCRIBED_REPLICATES = 10.0, 8


def prescribed_strength(subject: Subject) -> float | None:
    """Return the least of the strengths 4, 16, 64, ... times the game's at which `prescribed` can be run, if any."""
    for power in range(1, 8):
        strength = _rounded(subject.regularizer.strength * 4.0**power, 2)
        regularizer = regularizers.load(subject.kind, strength)
        try:
            found = equilibrium.solve(subject.game, regularizer)
            _prescribed(Subject(subject.game, regularizer, subject.kind, subject.name, found.policy))
        except (InputError, ConvergenceError):
            continue
        return strength
    return None


def _population_sweep(subject: Subject) -> Settings:
    subject.need_learning("population_sweep")
    epsilon = subject.accuracies(2)[1]
    seconds = 5.0 * subject.learning_steps(epsilon) * step_seconds(subject.game)
    if (n_replicates := int(min(8.0, BUDGET / seconds))) < 4:
        raise subject.too_rare("population_sweep", 4.0 * seconds)
    return {
        "populations": [10, 30, 100, 1000, 10_000],
        "epsilon": epsilon,
        "n_replicates": n_replicates,
        "step_size": subject.step_size,
        "td_constant": subject.td_constant,
        "waiting_constant": WAITING_CONSTANT,
    }


def _bias(subject: Subject) -> Settings:
    subject.need_features("bias")
    populations = [100, 1000, 10_000, 100_000, 10**6, 10**8]
    n_steps = int(min(1e5, 0.5 * BUDGET / (1.1 * 16 * len(populations) * step_seconds(subject.game))))
    if n_steps < 5000:
        seconds = 5000 * 1.1 * 16 * len(populations) * step_seconds(subject.game)
        why = f"{subject.game.n_states} states: some {seconds / 60.0:.0f} minutes of averages"
        raise subject.refused("bias", why, "at most one minute; a game with fewer states")
    return {"populations": populations, "n_steps": _round_down(n_steps), "n_replicates": 16}


def _round_down(value: float) -> int:
    """Return a number with its last digits zero, two of them left."""
    power = int(10 ** max(0, len(str(int(value))) - 2))
    return int(value) // power * power


def _exact(subject: Subject) -> Settings:
    subject.need_populations("exact")
    subject.need_learning("exact")
    # the limit of the policy takes tens of solutions
    small = [n for n in subject.populations if n_lumped_states(subject.game.n_states, n) <= LUMPED_STATES // 10]
    chosen = _spread_over(small if len(small) >= 3 else subject.populations[:3], 4)
    return {"populations": chosen, "step_size": subject.step_size}


def _agreement(subject: Subject) -> Settings:
    subject.need_populations("agreement")
    populations = _spread_over([n for n in subject.populations if n <= 20], 4)
    n_steps = int(min(2e4, 0.5 * BUDGET / (1.1 * 32 * len(populations) * step_seconds(subject.game))))
    return {"populations": populations, "n_steps": _round_down(n_steps), "n_replicates": 32}


def _nash(subject: Subject) -> Settings:
    subject.need_populations("nash")
    if not (subject.policy > 0.0).all():
        why = "an equilibrium that leaves out an action"
        raise subject.refused("nash", why, "one that plays all: --regularizer entropy")
    large = [n for n in subject.populations if n >= 10]  # an order in N shows at large N only
    return {"populations": _spread_over(large if len(large) >= 3 else subject.populations[-3:], 8)}


def _independent(subject: Subject) -> Settings:
    subject.need_learning("independent")
    if subject.policy.size > MOST_PAIRS:
        raise subject.refused("independent", f"{subject.policy.size} pairs", f"at most {MOST_PAIRS} of them")
    if not subject.game.has_features and subject.settled > 500.0:
        raise subject.too_rare("independent", 4e3 * subject.settled * FUNCTION_STEP)
    accuracies, first = subject.accuracies(3), max(subject.settled, 100.0)
    # what the last epoch leaves of the start is a tenth of the noise at the largest M_td
    start = operators.policy_distance(operators.uniform_policy(subject.game), subject.policy)
    noise = subject.td_constant / math.sqrt(16.0 * first)
    n_epochs = min(60, subject.n_epochs(min(0.05, 0.1 * noise / max(start, 1e-12))))
    updates = [math.ceil(first * factor) for factor in (1, 4, 16)]
    relative = (0.05, 0.1, 0.2)
    settings = {
        "step_size": subject.step_size,
        "n_waiting": 0,
        "n_epochs": n_epochs,
        "n_updates": math.ceil(2.0 * first),
        "populations": [500, 1500, 5000],
        "population_replicates": [8, 6, 4],
        # so many that what each hears of the others' fluctuations is little beside its own noise; their mean is precise
        "n_agents": 4000,
        "n_replicates": 3,
        "updates": updates,
        "step_sizes": [_rounded(x / subject.regularizer.rho, 3) for x in relative],
        # after them the smallest step has forgotten nine tenths of its start
        "step_epochs": math.ceil(math.log(10.0) / math.log1p(relative[0])),
        "epsilons": accuracies,
        "td_constant": subject.td_constant,
        "waiting_constant": WAITING_CONSTANT,
    }
    seconds = sum(independent_steps(settings, subject.learning_steps).values())
    seconds *= step_seconds(subject.game) + 4000 * AGENT_SECONDS * math.sqrt(subject.game.n_states / 10)
    if seconds > 3.0 * BUDGET:
        raise subject.too_rare("independent", seconds, 3.0 * BUDGET)
    return settings


#: Seconds that one of N independent learners adds to a step at 10 states, on the reference machine; they grow with the
#: root of the states (benchmarks/scaling.md).
AGENT_SECONDS = 1.2e-8


def independent_steps(settings: Mapping[str, Any], learning_steps: Callable[[float], float]) -> dict[str, float]:
    """Return the environment steps of each sweep of the section `independent`, over all of its runs."""
    waiting, count = settings["n_waiting"] + 1, settings["n_replicates"]
    return {
        "updates": settings["n_epochs"] * sum(settings["updates"]) * waiting * count,
        "step_sizes": settings["step_epochs"] * settings["n_updates"] * waiting * count * len(settings["step_sizes"]),
        "populations": settings["n_epochs"] * settings["n_updates"] * waiting * sum(settings["population_replicates"]),
        "epsilons": count * sum(map(learning_steps, settings["epsilons"])),
    }


def _comparison(subject: Subject) -> Settings:
    subject.need_features("comparison")
    if not isinstance(subject.regularizer, Entropy):
        raise subject.refused("comparison", f"the regularizer {subject.kind}", "--regularizer entropy")
    return {
        "methods": {
            "pma": {"step_size": [0.1, 0.4, 2.0], "first": [30, 300], "growth": [1.05], "constant": [1.0, 3.0]},
            "gmf_q": {"first": [10, 100, 1000], "growth": [1.2], "constant": [1.0], "share": [1.0]},
            "fitted_q": {"first": [10, 100, 1000], "growth": [1.2], "share": [1.0]},
            "fictitious_play": {"first": [10, 100], "growth": [1.1], "constant": [1.0], "share": [1.0]},
            "online_mirror_descent": {
                "step_size": [0.2, 0.7],
                "first": [10, 100],
                "growth": [1.05],
                "constant": [1.0],
                "share": [1.0],
            },
            "two_timescale": {
                "first": [10],
                "growth": [1.2],
                "q_exponent": [0.55, 0.75],
                "mean_field_exponent": [0.85],
                "exploration": [0.1],
            },
        },
        "n_agents": MANY_AGENTS,
        "budget": 300_000,
        "pilot_budget": 100_000,
        "per_decade": 4,
        "target": 0.03,
        "accuracies": [0.1, 0.03, 0.01],
        "n_pilots": 2,
        "n_replicates": 8,
    }


def _zoo(subject: Subject) -> Settings:
    subject.need_features("zoo")
    return {"n_starts": 4, "relative_step_size": 1.0}


#: Section of a configuration -> what makes its settings, in the order in which they are written. `atlas` makes its own
#: games.
SECTIONS: dict[str, Callable[[Subject], Settings]] = {
    "operator_checks": _operator_checks,
    "convergence": _convergence,
    "phase": _phase,
    "dynamics": _dynamics,
    "damping": _damping,
    "basins": _basins,
    "ctd": _ctd,
    "epsilon_sweep": _epsilon_sweep,
    "prescribed": _prescribed,
    "population_sweep": _population_sweep,
    "bias": _bias,
    "exact": _exact,
    "agreement": _agreement,
    "nash": _nash,
    "independent": _independent,
    "comparison": _comparison,
    "zoo": _zoo,
}


def settings(section: str, subject: Subject) -> Settings:
    """Return the settings of a section that fit a game, as in a configuration, but for the names of games.

    The game's own settings stand under ``games`` where a configuration maps games to settings.

    Parameters
    ----------
    section : str
        One of `SECTIONS`.
    subject : Subject

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If the game cannot enter the section; it says why, and what would do.
    """
    return SECTIONS[section](subject)


def with_game(section: str, chosen: Settings, name: str) -> Settings:
    """Return the settings of a section with the name of its game, as a configuration has them."""
    own = chosen.get("games")
    return {"games": [name] if own is None else {name: own}, **{k: v for k, v in chosen.items() if k != "games"}}


def all_settings(
    subject: Subject, after_section: Callable[[], None] = lambda: None
) -> tuple[dict[str, Settings], dict[str, str]]:
    """Return the settings of every section that a game can enter, and why it cannot enter the others."""
    chosen, left_out = {}, {}
    for section in SECTIONS:
        try:
            chosen[section] = settings(section, subject)
        except (InputError, ConvergenceError) as refused:
            left_out[section] = (
                f"{refused.value}; it takes {refused.allowed}" if isinstance(refused, InputError) else str(refused)
            )
        after_section()
    return chosen, left_out


def grid(axis: Mapping[str, float]) -> list[float]:
    """Return the numbers of a logarithmic grid of a configuration: its low end, high end and count."""
    return [float(x) for x in np.geomspace(axis["low"], axis["high"], int(axis["count"]))]
