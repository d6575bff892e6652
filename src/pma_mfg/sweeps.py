"""Learning sweeps: replicated runs of the N-agent game, one tidy table per point (claims C3, C4, C6).

Docs/theory.md, sections 9 to 12. Every replicate has its own generator, named by experiment, game, N, epsilon and its
number, so a table is bitwise the same in any order and on any number of cores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pma_mfg import agents as independents
from pma_mfg import equilibrium as exact
from pma_mfg import (
    finite_population,
    fluctuations,
    learning,
    lipschitz,
    operators,
    schedules,
    seeds,
    simulation,
    spread,
    td_moments,
)
from pma_mfg.agents import Agents
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MOST_LUMPED_STATES, MeanFieldGame, n_lumped_states
from pma_mfg.regularizers import Regularizer
from pma_mfg.schedules import Schedule
from pma_mfg.storage import Checkpoint


@accepts()
def ctd_errors(
    game: Game,
    regularizer: Regularizer,
    policy: np.ndarray,
    name: str,
    n_agents: int,
    n_updates: Sequence[int],
    n_waiting: Sequence[int],
    n_replicates: Sequence[int],
    seed: int,
    after_replicate: Callable[[], None] = lambda: None,
    checkpoint: Checkpoint | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure the error of TD learning of a fixed policy after growing numbers of updates (claim C3).

    The step sizes are c / (m + c) with c = 1 / ((1 - gamma) d), d the least visit probability of a state-action pair.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
        Held by all agents.
    name : str
        The game's name in tables and seeds.
    n_agents : int
    n_updates : sequence of int
        M_td, increasing.
    n_waiting : sequence of int
        M_mix.
    n_replicates : sequence of int
        Of each M_mix.
    seed : int
        Root seed.
    after_replicate : callable
        Called after each replicate.
    checkpoint : storage.Checkpoint, optional
        Where the state is kept, and taken up if there is one; to be discarded once the table is written.

    Returns
    -------
    errors : DataFrame
        Columns game, n_agents, n_waiting, replicate, n_updates, samples, error (sup norm of Q - Gamma_q(pi, mu_pi)),
        mean_square (of its entries), predicted_mean_square (of the entries of its limit for N agents, exact where the
        lumped chain is small enough, else the large-N closure).
    floor : DataFrame
        After the last update with the first M_mix, entry by entry: game, n_agents, n_waiting, n_updates, replicate,
        state, action, q_error (signed), predicted_q_error (of the limit for N agents).
    """
    mean_field = operators.stable_population(game, policy)
    truth = operators.q_values(game, policy, mean_field, regularizer)
    if isinstance(game, MeanFieldGame) and n_lumped_states(game.n_states, n_agents) <= MOST_LUMPED_STATES:
        predicted = finite_population.learning_limit(game, policy, n_agents, regularizer) - truth
    else:
        predicted = fluctuations.large_population_q(game, policy, n_agents, regularizer) - truth
    scale = schedules.td_scale(game, policy)
    runs = [(wait, i) for wait, count in zip(n_waiting, n_replicates, strict=True) for i in range(count)]

    def run(index: int, resume: _State | None, save: learning.Save) -> np.ndarray:
        wait, replicate = runs[index]
        rng = seeds.generator(seed, "ctd", name, n_agents, wait, replicate)
        estimates = learning.ctd(
            game,
            policy,
            n_agents,
            regularizer,
            n_updates,
            wait,
            scale,
            scale,
            rng,
            resume=resume,
            save=None if checkpoint is None else save,
        )
        after_replicate()
        return np.asarray(estimates - truth)

    rows, floors = [], []
    limit = float((predicted**2).mean())
    state, action = (index.ravel() for index in np.indices(truth.shape))
    for (wait, replicate), errors in zip(runs, _replicates(run, len(runs), checkpoint), strict=True):
        for updates, error in zip(n_updates, errors, strict=True):
            measured = float(np.abs(error).max()), float((error**2).mean())
            rows.append((name, n_agents, wait, replicate, updates, updates * (wait + 1), *measured, limit))
        if wait == n_waiting[0]:
            floors.append(
                pd.DataFrame(
                    {
                        "game": name,
                        "n_agents": n_agents,
                        "n_waiting": wait,
                        "n_updates": n_updates[-1],
                        "replicate": replicate,
                        "state": state,
                        "action": action,
                        "q_error": errors[-1].ravel(),
                        "predicted_q_error": predicted.ravel(),
                    }
                )
            )
    columns = ["game", "n_agents", "n_waiting", "replicate", "n_updates", "samples", "error"]
    table = pd.DataFrame(rows, columns=[*columns, "mean_square", "predicted_mean_square"])
    return table, pd.concat(floors, ignore_index=True)


@accepts()
def ctd_moments(
    game: Game,
    regularizer: Regularizer,
    policy: np.ndarray,
    name: str,
    n_updates: Sequence[int],
    n_waiting: Sequence[int],
    after_waiting: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Compute the error of TD learning of a fixed policy exactly, with infinitely many agents (claim C3-mixing).

    Step sizes as in `ctd_errors`.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
    name : str
    n_updates : sequence of int
        M_td, increasing.
    n_waiting : sequence of int
        M_mix; independent samples from the stationary law are added as infinity.
    after_waiting : callable
        Called after each M_mix.

    Returns
    -------
    DataFrame
        Columns game, n_waiting, n_updates, mean_error (sup norm of E Q - Gamma_q), mean_square (mean over entries of E
        (Q - Gamma_q)^2), mixing_bias (sup norm of E Q minus E Q of independent samples), excess (of mean_square over
        that of independent samples), forgetting_rate (|lambda_2| of the learner's chain), L_pop.
    """
    scale = schedules.td_scale(game, policy)
    fixed = td_moments.forgetting_rate(game, policy), lipschitz.constants(game).L_pop
    independent: td_moments.Moments | None = None
    rows = []
    for waiting in (np.inf, *n_waiting):
        found = td_moments.moments(game, policy, regularizer, n_updates, waiting, scale, scale)
        independent = found if independent is None else independent
        for i, updates in enumerate(n_updates):
            mean, square = found.mean[i], float(found.mean_square[i].mean())
            bias = float(np.abs(mean - independent.mean[i]).max())
            excess = square - float(independent.mean_square[i].mean())
            rows.append((name, float(waiting), updates, float(np.abs(mean).max()), square, bias, excess, *fixed))
        after_waiting()
    columns = ["game", "n_waiting", "n_updates", "mean_error", "mean_square", "mixing_bias", "excess"]
    return pd.DataFrame(rows, columns=[*columns, "forgetting_rate", "L_pop"])


def theorem_schedules(
    game: MeanFieldGame, regularizer: Regularizer, name: str, epsilons: Sequence[float], step_size: float
) -> pd.DataFrame:
    """Return what the theorem prescribes for each accuracy (claim C4-prescribed).

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    name : str
    epsilons : sequence of float
    step_size : float
        eta > 0.

    Returns
    -------
    DataFrame
        Columns game, epsilon, samples, and the fields of `schedules.Schedule`.
    """
    prescribed = [schedules.theorem_schedule(game, regularizer, step_size, epsilon) for epsilon in epsilons]
    rows = [
        {"game": name, "epsilon": epsilon, "samples": float(schedule.n_samples), **vars(schedule)}
        for epsilon, schedule in zip(epsilons, prescribed, strict=True)
    ]
    return pd.DataFrame(rows)


def blind_learning(
    game: Game,
    regularizer: Regularizer,
    name: str,
    n_agents: int,
    budget: int | None,
    n_replicates: int,
    seed: int,
    after_epoch: Callable[[learning.Epoch], None] = lambda epoch: None,
    every_epoch: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run `learning.blind` and measure how exploitable its policies are; the measure has no influence on the run.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    name : str
        The game's name in tables and seeds.
    n_agents : int
    budget : int or None
        Samples of a replicate, `learning.blind`'s by default.
    n_replicates : int
    seed : int
        Root seed.
    after_epoch : callable
        Called with each epoch of each replicate.
    every_epoch : bool
        Measure after every epoch, not only at the start and the end.

    Returns
    -------
    table : DataFrame
        Columns game, algorithm ("centralized"), schedule ("auto"), n_agents, replicate, epoch (0: the pilot), samples,
        step_size (nan for the pilot), unseen (pairs that the learner did not see in this epoch), exploitability
        (regularized; nan if the policy has no stable population).
    policies : DataFrame
        Columns game, replicate, state, action, probability: those of the end.
    """

    def measured(policy: np.ndarray) -> float:
        try:
            return exact.exploitability(game, policy, regularizer)
        except ConvergenceError:
            return np.nan

    rows, entries = [], []
    for replicate in range(n_replicates):
        fixed = (name, "centralized", "auto", n_agents, replicate)
        rng = seeds.generator(seed, "blind", name, n_agents, replicate)
        last: tuple[int, learning.Epoch] | None = None
        for number, epoch in enumerate(learning.blind(game, n_agents, regularizer, rng, budget)):
            after_epoch(epoch)
            last, skipped = (number, epoch), last
            if skipped is not None and (every_epoch or skipped[0] == 0):
                rows.append((*fixed, *_blind_row(*skipped), measured(skipped[1].policy)))
        if last is not None:
            rows.append((*fixed, *_blind_row(*last), measured(last[1].policy)))
            entries += [(name, replicate, s, a, p) for (s, a), p in np.ndenumerate(last[1].policy)]
    columns = ["game", "algorithm", "schedule", "n_agents", "replicate"]
    columns += ["epoch", "samples", "step_size", "unseen", "exploitability"]
    policies = pd.DataFrame(entries, columns=["game", "replicate", "state", "action", "probability"])
    return pd.DataFrame(rows, columns=columns), policies


def _blind_row(number: int, epoch: learning.Epoch) -> tuple[int, int, float, int]:
    return number, epoch.samples, epoch.step_size, int((epoch.visits == 0.0).sum())


@accepts()
def learning_errors(
    game: Game,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    name: str,
    n_agents: int,
    epsilon: float,
    schedule: Schedule,
    n_replicates: int,
    seed: int,
    after_epoch: Callable[[], None] = lambda: None,
    kind: str = "tuned",
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Run centralized learning and measure the distance to the equilibrium after every epoch (claim C4).

    A tuned schedule is run over U, the theorem's as the theorem prescribes: without a floor.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy.
    name : str
        The game's name in tables and seeds.
    n_agents : int
    epsilon : float
        The accuracy that the schedule is for.
    schedule : Schedule
    n_replicates : int
    seed : int
        Root seed.
    after_epoch : callable
        Called after each epoch of each replicate.
    kind : {"tuned", "theorem"}
        Of schedule.
    checkpoint : storage.Checkpoint, optional
        Where the state is kept, and taken up if there is one; to be discarded once the table is written.

    Returns
    -------
    DataFrame
        Columns game, algorithm ("centralized"), schedule ("tuned" or "theorem"), n_agents, epsilon, n_epochs,
        n_updates, n_waiting, step_size, replicate, epoch, samples (environment steps up to here), error (sup_s l1
        distance of the policy to the equilibrium), exploitability (regularized).
    """
    floor = lipschitz.policy_floor(game, regularizer) if kind == "tuned" else None
    experiment = "learning" if kind == "tuned" else "prescribed"
    per_epoch = schedule.n_updates * (schedule.n_waiting + 1)
    fixed: tuple[object, ...] = (name, "centralized", kind, n_agents, epsilon)
    fixed += (schedule.n_epochs, schedule.n_updates, schedule.n_waiting, schedule.step_size)

    def run(replicate: int, resume: _State | None, save: learning.Save) -> np.ndarray:
        rng = seeds.generator(seed, experiment, name, n_agents, epsilon, replicate)
        policies = learning.centralized(
            game,
            n_agents,
            regularizer,
            schedule,
            rng,
            floor=floor,
            after_epoch=lambda epoch: after_epoch(),
            resume=resume,
            save=None if checkpoint is None else save,
        )
        distances = [operators.policy_distance(policy, equilibrium) for policy in policies]
        return np.array([distances, [exact.exploitability(game, policy, regularizer) for policy in policies]])

    rows = []
    for replicate, measured in enumerate(_replicates(run, n_replicates, checkpoint)):
        for epoch, (error, gain) in enumerate(measured.T.tolist()):
            rows.append((*fixed, replicate, epoch, epoch * per_epoch, error, gain))
    columns = ["game", "algorithm", "schedule", "n_agents", "epsilon"]
    columns += ["n_epochs", "n_updates", "n_waiting", "step_size"]
    return pd.DataFrame(rows, columns=[*columns, "replicate", "epoch", "samples", "error", "exploitability"])


_State = Mapping[str, np.ndarray]


def _replicates(
    run: Callable[[int, _State | None, learning.Save], np.ndarray], n_replicates: int, checkpoint: Checkpoint | None
) -> list[np.ndarray]:
    """Return what each replicate measured; with a checkpoint, go on from the replicate and the state saved there."""
    state = None if checkpoint is None else checkpoint.load()
    finished: list[np.ndarray] = [] if state is None else list(state["finished"])

    def save(inside: Callable[[], _State]) -> None:
        if checkpoint is not None:
            checkpoint.save(lambda: {**inside(), "finished": np.array(finished)})

    while len(finished) < n_replicates:
        finished.append(run(len(finished), state if state is not None and "stream" in state else None, save))
        state = None
        save(dict)
    return finished


@accepts()
def finite_population_bias(
    game: MeanFieldGame,
    regularizer: Regularizer,
    policy: np.ndarray,
    name: str,
    n_agents: int,
    n_steps: int,
    n_replicates: int,
    seed: int,
    after_replicate: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Measure the fluctuation of the mean field and the bias of what TD learning converges to at N agents (claim C6).

    The limit of TD learning is the Q of the averaged decision process. Only second moments are measured, along a
    trajectory of all agents; the mean follows from stationarity, so the relative precision does not depend on N
    (docs/theory.md, section 9.9).

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
        Held by all agents.
    name : str
        The game's name in tables and seeds.
    n_agents : int
    n_steps : int
        Averaged steps per replicate; a tenth of it passes before.
    n_replicates : int
    seed : int
        Root seed.
    after_replicate : callable
        Called after each replicate.

    Returns
    -------
    DataFrame
        Columns game, n_agents, replicate, state, action, q_error (signed), predicted_q_error (large-N closed form),
        deviation (E ||mu_hat - mu_pi||_1 of the replicate), predicted_deviation (large-N closed form).
    """
    mean_field = operators.stable_population(game, policy)
    truth = operators.q_values(game, policy, mean_field, regularizer)
    predicted = fluctuations.large_population_q(game, policy, n_agents, regularizer) - truth
    predicted_deviation = fluctuations.expected_deviation(game, policy) / np.sqrt(n_agents)
    state, action = (index.ravel() for index in np.indices(truth.shape))
    tables = []
    for replicate in range(n_replicates):
        rng = seeds.generator(seed, "bias", name, n_agents, replicate)
        averages = simulation.ergodic_averages(game, policy, n_agents, n_steps, rng, n_steps // 10, mean_field)
        limit = fluctuations.measured_q(game, policy, regularizer, averages)
        tables.append(
            pd.DataFrame(
                {
                    "game": name,
                    "n_agents": n_agents,
                    "replicate": replicate,
                    "state": state,
                    "action": action,
                    "q_error": (limit - truth).ravel(),
                    "predicted_q_error": predicted.ravel(),
                    "deviation": averages.deviation,
                    "predicted_deviation": predicted_deviation,
                }
            )
        )
        after_replicate()
    return pd.concat(tables, ignore_index=True)


@accepts()
def policy_limits(
    game: Game,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    name: str,
    populations: Sequence[int],
    step_size: float,
) -> pd.DataFrame:
    """Predict how far from the equilibrium learning ends with unlimited samples, for large N (claim C6).

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
    name : str
    populations : sequence of int
    step_size : float

    Returns
    -------
    DataFrame
        Columns game, n_agents, predicted_error.
    """
    rows = []
    for n_agents in populations:
        policy = fluctuations.large_population_policy(game, n_agents, regularizer, step_size, equilibrium)
        rows.append((name, n_agents, operators.policy_distance(policy, equilibrium)))
    return pd.DataFrame(rows, columns=["game", "n_agents", "predicted_error"])


@accepts()
def exact_limits(
    game: MeanFieldGame,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    name: str,
    populations: Sequence[int],
    step_size: float,
    after_population: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Solve the N-agent game exactly for several N: fluctuation, limit of TD learning, limit of the policy (claim C6).

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy.
    name : str
    populations : sequence of int
    step_size : float
        eta of the iteration to the policy's limit.
    after_population : callable
        Called after each N.

    Returns
    -------
    DataFrame
        Columns game, n_agents, deviation, q_error, policy_error: E ||mu_hat - mu_pi||_1, the largest error of the limit
        of TD learning, and the distance to the equilibrium of the policy at which centralized learning settles. Each
        also with the prefix predicted_, its closed form for large N.
    """
    mean_field = operators.stable_population(game, equilibrium)
    truth = operators.q_values(game, equilibrium, mean_field, regularizer)
    scale = fluctuations.expected_deviation(game, equilibrium)
    rows = []
    for n_agents in populations:
        law = finite_population.stationary_counts(game, equilibrium, n_agents)
        errors = [finite_population.deviation(game, equilibrium, law), scale / np.sqrt(n_agents)]
        for q in (
            finite_population.learning_limit(game, equilibrium, n_agents, regularizer),
            fluctuations.large_population_q(game, equilibrium, n_agents, regularizer),
        ):
            errors.append(float(np.abs(q - truth).max()))
        predicted = fluctuations.large_population_policy(game, n_agents, regularizer, step_size, equilibrium)
        settled = finite_population.policy_limit(game, n_agents, regularizer, step_size, predicted)
        errors += [operators.policy_distance(policy, equilibrium) for policy in (settled, predicted)]
        rows.append((name, n_agents, *errors))
        after_population()
    columns = [
        f"{prefix}{error}" for error in ("deviation", "q_error", "policy_error") for prefix in ("", "predicted_")
    ]
    return pd.DataFrame(rows, columns=["game", "n_agents", *columns])


@accepts()
def agreement(
    game: MeanFieldGame,
    regularizer: Regularizer,
    policy: np.ndarray,
    name: str,
    populations: Sequence[int],
    n_steps: int,
    n_replicates: int,
    seed: int,
    after_population: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Compare the simulated limit of TD learning with the exact one, in one number fixed in advance for each N (C3).

    The number is the inner product of Q with a unit vector drawn from the seed, before any simulation.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
        Held by all agents.
    name : str
        The game's name in tables and seeds.
    populations : sequence of int
    n_steps : int
        Averaged steps per replicate; a tenth of it passes before.
    n_replicates : int
    seed : int
        Root seed.
    after_population : callable
        Called after each N.

    Returns
    -------
    DataFrame
        Columns game, n_agents, exact, simulated (mean over replicates), standard_error, n_replicates.
    """
    mean_field = operators.stable_population(game, policy)
    rows = []
    for n_agents in populations:
        direction = seeds.generator(seed, "direction", name, n_agents).normal(size=policy.shape)
        direction /= np.sqrt((direction**2).sum())
        exact_q = finite_population.learning_limit(game, policy, n_agents, regularizer)
        simulated = []
        for replicate in range(n_replicates):
            rng = seeds.generator(seed, "agreement", name, n_agents, replicate)
            averages = simulation.ergodic_averages(game, policy, n_agents, n_steps, rng, n_steps // 10, mean_field)
            # the plain averages: nothing of the exact solution's identities enters but exchangeability
            process = fluctuations.decision_process(game, averages.transition_features, averages.reward_features)
            q = operators.q_of_decision_process(*process, game.discount, policy, regularizer)
            simulated.append(float((direction * q).sum()))
        standard_error = float(np.std(simulated, ddof=1) / np.sqrt(n_replicates))
        mean = float(np.mean(simulated))
        rows.append((name, n_agents, float((direction * exact_q).sum()), mean, standard_error, n_replicates))
        after_population()
    columns = ["game", "n_agents", "exact", "simulated", "standard_error", "n_replicates"]
    return pd.DataFrame(rows, columns=columns)


@accepts()
def nash_gaps(
    game: MeanFieldGame,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    name: str,
    populations: Sequence[int],
    after_population: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Compute what one of N agents gains by leaving the equilibrium, exactly, beside its limit for large N (claim C7).

    Twice: in the game with its regularizer, and without one in the game of `finite_population.indifferent_game`, in
    which all actions are equally good at the equilibrium.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy, positive.
    name : str
    populations : sequence of int
    after_population : callable
        Called after each N.

    Returns
    -------
    DataFrame
        Columns game, variant ("regularized" or "indifferent"), n_agents, gap, predicted (nan where no closed form is
        known: kinks with more than two states, and more than two states without a regularizer).
    """
    indifferent = finite_population.indifferent_game(game, equilibrium, regularizer)
    smooth = game.reward_features.differentiable_at(operators.stable_population(game, equilibrium))
    constants = {"regularized": np.nan, "indifferent": np.nan}
    if game.n_states == 2:
        constants["regularized"] = fluctuations.two_state_gap_constant(game, equilibrium, regularizer)
        constants["indifferent"] = fluctuations.two_state_gap_constant(indifferent, equilibrium, None)
    elif smooth:
        constants["regularized"] = fluctuations.regularized_gap_constant(game, equilibrium, regularizer)
    rows: list[tuple[object, ...]] = []
    for n_agents in populations:
        for variant, of, h, order in (
            ("regularized", game, regularizer, 1.0),
            ("indifferent", indifferent, None, 0.5),
        ):
            gap = finite_population.nash_gap(of, equilibrium, n_agents, h)
            rows.append((name, variant, n_agents, gap, constants[variant] / n_agents**order))
        after_population()
    return pd.DataFrame(rows, columns=["game", "variant", "n_agents", "gap", "predicted"])


#: What `independent_errors` measures after every epoch.
_INDEPENDENT = ("error", "median", "low", "high", "worst", "spread", "centre_error", "exploitability")


@dataclass(frozen=True)
class IndependentRuns:
    """Runs of independent learning with one setting.

    Parameters
    ----------
    n_agents : int
    schedule : Schedule
    n_replicates : int
    epsilon : float
        The accuracy that the schedule is for; nan for none.
    """

    n_agents: int
    schedule: Schedule
    n_replicates: int
    epsilon: float = float("nan")


@accepts()
def independent_errors(
    game: Game,
    regularizer: Regularizer,
    equilibrium: np.ndarray,
    name: str,
    sweep: str,
    settings: Sequence[IndependentRuns],
    seed: int,
    after_epoch: Callable[[], None] = lambda: None,
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Run independent learning over U and measure all agents after every epoch (claim C5).

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy.
    name : str
        The game's name in tables and seeds.
    sweep : str
        What the runs are for, in table and seeds.
    settings : sequence of IndependentRuns
    seed : int
        Root seed.
    after_epoch : callable
        Called after each epoch of each replicate.
    checkpoint : Checkpoint, optional
        Where to go on from, and to save to.

    Returns
    -------
    DataFrame
        Columns game, sweep, n_agents, epsilon, n_epochs, n_updates, n_waiting, step_size, predicted_spread,
        predicted_deviation (`spread.predicted_spread` after the last epoch), replicate, epoch, samples. Then, of the
        agents' distances sup_s ||pi^i - pi*||_1: error (mean), median, low and high (5 and 95 %), worst; spread, the
        mean of sup_s ||pi^i - pi_bar||_1 with pi_bar the mean policy; of pi_bar itself centre_error (its distance)
        and exploitability (regularized).
    """
    floor = lipschitz.policy_floor(game, regularizer)
    rows: list[list[float]] = []  # number of the setting, replicate, epoch, samples, measurements
    resumed: Agents | None = None
    first = (0, 0)
    if checkpoint is not None and (saved := checkpoint.load()) is not None:
        rows, resumed = saved["rows"].tolist(), Agents.restored(saved)
        first = (int(rows[-1][0]), int(rows[-1][1]))
    for work in ((i, replicate) for i, runs in enumerate(settings) for replicate in range(runs.n_replicates)):
        if work < first:
            continue
        runs, replicate = settings[work[0]], work[1]
        schedule = runs.schedule
        per_epoch = schedule.n_updates * (schedule.n_waiting + 1)
        coordinates = (runs.n_agents, schedule.n_epochs, schedule.n_updates, schedule.step_size, replicate)
        rng = seeds.generator(seed, "independent", sweep, name, *coordinates)
        agents, resumed = resumed, None
        if agents is None:
            agents = independents.initial_agents(game, runs.n_agents, regularizer, rng)
            rows.append([*work, 0, 0, *_measure_agents(game, regularizer, equilibrium, agents)])

        def measure(epoch: int, agents: Agents, work: tuple[int, int] = work, per_epoch: int = per_epoch) -> None:
            found = _measure_agents(game, regularizer, equilibrium, agents)
            rows.append([*work, epoch, epoch * per_epoch, *found])
            after_epoch()

        def save(agents: Agents) -> None:
            if checkpoint is not None:
                checkpoint.save(lambda: {**agents.arrays(), "rows": np.array(rows)})

        learning.independent(
            game,
            runs.n_agents,
            regularizer,
            schedule,
            rng,
            floor=floor,
            after_epoch=measure,
            after_chunk=save,
            agents=agents,
        )
    table = pd.DataFrame(rows, columns=["setting", "replicate", "epoch", "samples", *_INDEPENDENT])
    table = table.astype(dict.fromkeys(["setting", "replicate", "epoch", "samples"], "int64"))
    fixed = []
    for runs in settings:
        predicted = spread.predicted_spread(game, regularizer, equilibrium, runs.schedule)
        lengths = (runs.schedule.n_epochs, runs.schedule.n_updates, runs.schedule.n_waiting, runs.schedule.step_size)
        fixed.append((name, sweep, runs.n_agents, runs.epsilon, *lengths, predicted.mean, predicted.deviation))
    columns = ["game", "sweep", "n_agents", "epsilon", "n_epochs", "n_updates", "n_waiting", "step_size"]
    columns += ["predicted_spread", "predicted_deviation"]
    chosen = pd.DataFrame(fixed, columns=columns).iloc[table["setting"]].reset_index(drop=True)
    return pd.concat([chosen, table.drop(columns="setting")], axis=1)


def _measure_agents(game: Game, regularizer: Regularizer, equilibrium: np.ndarray, agents: Agents) -> tuple[float, ...]:
    """Return the numbers `_INDEPENDENT`; policies are expanded slice by slice."""
    n_agents = len(agents.states)
    starts = range(0, n_agents, independents.SLICE)
    centre, distances = np.zeros_like(equilibrium), np.empty(n_agents)
    for first in starts:
        policies = agents.policies(first, first + independents.SLICE)
        centre += policies.sum(axis=0) / n_agents
        distances[first : first + independents.SLICE] = np.abs(policies - equilibrium).sum(axis=2).max(axis=1)
    apart = 0.0
    for first in starts:
        policies = agents.policies(first, first + independents.SLICE)
        apart += float(np.abs(policies - centre).sum(axis=2).max(axis=1).sum()) / n_agents
    low, median, high = np.quantile(distances, [0.05, 0.5, 0.95])
    centre /= centre.sum(axis=1, keepdims=True)
    return (
        float(distances.mean()),
        float(median),
        float(low),
        float(high),
        float(distances.max()),
        apart,
        operators.policy_distance(centre, equilibrium),
        exact.exploitability(game, centre, regularizer),
    )


def independent_learning_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of `independent_errors` in the columns of `learning_errors`, with algorithm and schedule.

    The error is the mean over agents of the agent's, the exploitability that of the mean policy.

    Parameters
    ----------
    table : DataFrame

    Returns
    -------
    DataFrame
    """
    columns = ["game", "n_agents", "epsilon", "n_epochs", "n_updates", "n_waiting", "step_size"]
    columns += ["replicate", "epoch", "samples", "error", "exploitability"]
    return table[columns].assign(algorithm="independent", schedule="tuned")
