"""Sizes that fit one game: centralized learning over the accuracy."""

from __future__ import annotations

from pma_mfg import equilibrium, operators, regularizers
from pma_mfg.commands import step_sizes
from pma_mfg.errors import ConvergenceError, Description, InputError
from pma_mfg.theory import prescription
from pma_replication.plan import (
    BUDGET,
    MANY_AGENTS,
    N_ACCURACIES,
    SHARES,
    WAITING_CONSTANT,
    BeyondBudget,
    Settings,
    Subject,
    rounded,
    step_seconds,
)

#: Step size of the theorem's schedule in units of 1 / rho, and the number of its runs.
PRESCRIBED_STEP, PRESCRIBED_REPLICATES = 10.0, 8

#: Fewest runs at each accuracy: with four of them Student's law makes the interval of a slope so wide that it decides
#: nothing (1.0 to 3.6 on a game of seven terraces), with eight half as wide.
FEWEST_REPLICATES = 8


def _tuned(subject: Subject) -> Settings:
    subject.need_learning("samples_tuned")
    least = sum(map(subject.least_learning_steps, SHARES))
    # before the pilot run
    subject.need_time("samples_tuned", FEWEST_REPLICATES * least, n_replicates=FEWEST_REPLICATES)
    accuracies = subject.accuracies(N_ACCURACIES)
    steps = sum(map(subject.learning_steps, accuracies))
    subject.need_time("samples_tuned", FEWEST_REPLICATES * steps, n_replicates=FEWEST_REPLICATES)
    seconds = steps * step_seconds(subject.game, FEWEST_REPLICATES)
    n_replicates = int(min(48.0, max(FEWEST_REPLICATES, BUDGET / seconds)))
    return {
        "games": {
            "epsilons": accuracies,
            "step_size": subject.relative_step_size,
            "td_constant": subject.td_constant,
            "waiting_constant": WAITING_CONSTANT,
        },
        "n_agents": MANY_AGENTS,
        "n_replicates": n_replicates,
    }


def _prescribed(subject: Subject) -> Settings:
    """Return accuracies for which the theorem's own schedule is short enough to be run (C4-prescribed).

    All lengths are the theorem's: it takes K from its contraction bound, M_mix from T_mix and delta_mix, M_td from the
    discount, p_inf and both. The accuracies are a half, a quarter, a tenth and 0.03 of the first distance, so that
    there is something to learn, and at most a half; as many are taken, the coarsest first, as fit into `plan.BUDGET`.
    """
    game = subject.need_features("samples_prescribed")
    step_size = step_sizes.absolute(PRESCRIBED_STEP, subject.regularizer)
    most = BUDGET / (PRESCRIBED_REPLICATES * step_seconds(subject.game, PRESCRIBED_REPLICATES))
    chosen: list[float] = []
    start = operators.policy_distance(operators.uniform_policy(subject.game), subject.policy)
    prescribed = prescription.theorem_schedules(game, subject.regularizer, step_size)
    for share in (0.5, 0.25, 0.1, 0.03):  # of the first distance: larger accuracies ask for nothing
        epsilon = rounded(min(0.5, share * start), 2)
        try:
            schedule = prescribed(epsilon)
        except InputError as refused:
            value = refused.value
            told = f"{refused.field} = {value:.4g}" if isinstance(value, float) else f"{refused.field}: {value}"
            raise subject.refused("samples_prescribed", told, refused.allowed) from None
        if schedule.n_samples > most:
            why = f"{schedule.n_samples:.2g} samples that the theorem asks for at epsilon = {epsilon:g}"
            if not chosen:
                allowed = f"at most {most:.2g} in a minute; a larger --strength"
                raise BeyondBudget(subject.name, "samples_prescribed", Description(why), allowed)
            break
        most -= schedule.n_samples
        chosen.append(epsilon)
    return {
        "games": chosen,
        "n_agents": 10**9,
        "epsilons": sorted({*chosen, rounded(chosen[-1] / 2, 2), rounded(chosen[-1] / 5, 2)}, reverse=True),
        "n_replicates": PRESCRIBED_REPLICATES,
        "step_size": PRESCRIBED_STEP,
    }


def prescribed_strength(subject: Subject) -> float | None:
    """Return the least of 4, 16, 64, ... times the game's strength at which `samples_prescribed` can be run, if any."""
    try:
        prescription.population_contraction(subject.need_features("samples_prescribed"), subject.regularizer)
    except InputError:  # whatever the strength
        return None
    for power in range(1, 8):
        strength = rounded(subject.regularizer.strength * 4.0**power, 2)
        regularizer = regularizers.load(subject.kind, strength)
        try:
            found = equilibrium.solve(subject.game, regularizer)
            _prescribed(Subject(subject.game, regularizer, subject.kind, subject.name, found.policy))
        except (InputError, ConvergenceError):
            continue
        return strength
    return None


SIZES = {"samples_tuned": _tuned, "samples_prescribed": _prescribed}
