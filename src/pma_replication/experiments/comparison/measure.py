"""Measurements: one trajectory against methods with a generative model.

From one game to tables (docs/theory, section 12).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import operators, seeds
from pma_mfg.errors import InputError
from pma_mfg.games.model import MeanFieldGame, check_n_agents
from pma_mfg.learning import generative
from pma_mfg.learning.generative import METHODS, SOURCE, Learner, Setting, Task, check_entropy
from pma_mfg.regularizers import Entropy
from pma_replication import statistics, unsettled
from pma_replication.experiments.comparison.medians import slower_median, stays_below, tuned_median
from pma_replication.experiments.ctd import measure as ctd_measure
from pma_replication.unsettled import reward_range

#: Number of settings of each method that are run in full: the best of the pilot runs, since other runs may order these
#: differently.
CONTENDERS = 2


def settings(method: str, grid: Mapping[str, Sequence[float]], source: str = SOURCE) -> list[dict[str, float]]:
    """Return every combination of a grid, whatever the order of its arguments.

    Parameters
    ----------
    method : str
        One of `METHODS`.
    grid : mapping of str to sequence of float
        For each keyword argument of the method, the values to try.
    source : str
        For messages.

    Returns
    -------
    list of dict

    Raises
    ------
    InputError
        For another method, an argument it does not have or that is missing, or a value out of range.
    """
    if method not in METHODS:
        raise InputError(source, "method", method, f"one of {', '.join(METHODS)}")
    names = generative.settings(method)
    if not names:  # a method of the user's, whose settings stand among its other arguments
        allowed = "a method with settings after a * in its arguments"
        raise InputError(source, "method", method, allowed)
    if set(grid) != set(names):
        raise InputError(source, f"{method}: settings", sorted(grid), f"exactly {', '.join(names)}")
    for name, values in grid.items():
        allowed, holds = names[name]
        if len(values) == 0:
            raise InputError(source, f"{method}: {name}", list(values), "at least one value")
        for value in values:
            if not (np.isfinite(value) and holds(value)):
                raise InputError(source, f"{method}: {name}", value, allowed)
    return combinations(grid)


def combinations(grid: Mapping[str, Sequence[float]]) -> list[dict[str, float]]:
    """Return every combination of a grid, whatever the order of its settings; one without settings has one."""
    grid = dict(sorted(grid.items()))
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def _settled(game: MeanFieldGame, regularizer: Entropy, policy: np.ndarray) -> float:
    """Return the updates after which TD learning settles, M_0 of `experiments.ctd.measure.settled`; infinite for never.

    It never does where a state or an action is not visited.
    """
    try:
        return ctd_measure.settled(game, policy, regularizer)
    except InputError:
        return math.inf


def checkpoints(budget: int, per_decade: int) -> np.ndarray:
    """Return the numbers of samples at which exploitability is measured, from 10 to the budget, evenly in their log.

    Parameters
    ----------
    budget : int
        >= 100.
    per_decade : int
        Numbers per factor of ten, >= 1.

    Returns
    -------
    ndarray of int64, increasing
    """
    count = max(2, 1 + round(per_decade * np.log10(budget / 10.0)))
    return np.unique(np.round(np.geomspace(10.0, budget, count)).astype(np.int64))


def exploitabilities(learner: Learner, game: MeanFieldGame, regularizer: Entropy, *, samples: np.ndarray) -> np.ndarray:
    """Return the exact exploitability of what a learner has after each number of samples.

    That is E_h of its last policy yielded by then, of the uniform one before any; the population frozen at the policy's
    own stable population (`equilibrium.exploitability`); `unsettled.worst` where it does not settle.

    Parameters
    ----------
    learner : iterator of (int, ndarray)
    game : MeanFieldGame
    regularizer : Entropy
    samples : ndarray of int, increasing

    Returns
    -------
    ndarray, shape (samples,)
    """
    found = np.empty(len(samples))
    policy, measured, i = operators.uniform_policy(game), np.nan, 0
    ended = (np.iinfo(np.int64).max, policy)
    for used, learned in itertools.chain(learner, [ended]):
        while i < len(samples) and samples[i] < used:
            if np.isnan(measured):
                measured = max(unsettled.exploitability(game, policy, regularizer), np.finfo(float).tiny)
            found[i] = measured
            i += 1
        if i == len(samples):
            break
        policy, measured = learned, np.nan
    return found


def compare(
    game: MeanFieldGame,
    regularizer: Any,
    name: str,
    *,
    policy: np.ndarray,
    grids: Mapping[str, Mapping[str, Sequence[float]]],
    n_agents: int,
    budget: int,
    pilot_budget: int,
    per_decade: int,
    target: float,
    n_pilots: int,
    n_replicates: int,
    seed: int,
    after_run: Callable[[], None] = lambda: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tune every method on its grid by one rule, and measure exploitability against samples (claim C8).

    The rule (docs/theory, section 17.4): a setting costs the mean over runs of `tuning_cost`, the logarithm of the
    samples after which exploitability stays below `target`. The `CONTENDERS`, those that cost least in pilot runs, are
    run in full, and a replicate that is reported is one of the setting that costs least in all other replicates: no run
    takes part in its own choice. Exploitability is in units of `reward_range`.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Entropy
    name : str
        The game's name in tables and seeds.
    policy : ndarray, shape (S, A)
        Of the equilibrium, at which the updates are counted after which TD learning settles; no method sees it.
    grids : mapping of str to mapping of str to sequence of float
        For each method, of `METHODS`, the grid of its settings. The order of neither matters.
    n_agents : int
        N of PMA's trajectory, from 2 to 10^15.
    budget, pilot_budget : int
        Samples of a run that is reported, and of one that tunes, >= 100.
    per_decade : int
        Numbers of samples at which exploitability is measured, per factor of ten.
    target : float
        The exploitability that methods are tuned for, > 0.
    n_pilots, n_replicates : int
        Pilot runs of every setting, and runs of every contender, as many as are reported.
    seed : int
        Root seed.
    after_run : callable
        Called after each run.

    Returns
    -------
    comparison : DataFrame
        Columns game, method, setting (in words), replicate, cost (of the run), chosen (whether the run is reported: one
        setting for every replicate), samples, exploitability, reward_range, settled (M_0 of
        `experiments.ctd.measure.settled`; infinite where a state or an action is never visited), and
        `judging.UNSETTLED` where that happened.
    tuning : DataFrame
        Columns game, method, setting, replicate, samples_to_target (infinite if not below it at the end),
        final_exploitability, contender.

    Raises
    ------
    InputError
        For another regularizer, or a setting out of range.
    """
    check_entropy(regularizer)
    check_n_agents(n_agents)
    if min(budget, pilot_budget) < 100:
        raise InputError(SOURCE, "budget", min(budget, pilot_budget), "an integer >= 100")
    choices = {method: settings(method, grid) for method, grid in sorted(grids.items())}
    rows, pilots, unit = [], [], reward_range(game)
    for method, tried in choices.items():

        def run(
            setting: Setting, experiment: str, replicate: int, budget: int
        ) -> tuple[np.ndarray, np.ndarray, float, float]:
            """Return numbers of samples, exploitability after each, samples to the target and the run's cost."""
            rng = seeds.generator(seed, experiment, name, method, _words(setting), replicate)  # noqa: B023
            learner = METHODS[method](Task(game, regularizer, rng, budget, n_agents), **setting)  # noqa: B023
            samples = checkpoints(budget, per_decade)
            curve = exploitabilities(learner, game, regularizer, samples=samples) / unit
            after_run()
            reached = statistics.samples_to_stay(target, list(samples), list(curve))
            return samples, curve, reached, tuning_cost(reached, curve[-1], target, budget=budget)

        tuned = [[run(setting, "comparison pilot", k, pilot_budget) for k in range(n_pilots)] for setting in tried]
        costs = np.array([[cost for *_, cost in of_setting] for of_setting in tuned])
        order = costs.mean(axis=1).argsort(kind="stable")
        kept = sorted(map(int, order[: CONTENDERS if n_replicates > 1 else 1]))
        for i, of_setting in enumerate(tuned):
            for replicate, (_, curve, reached, _) in enumerate(of_setting):
                pilots.append((name, method, _words(tried[i]), replicate, reached, float(curve[-1]), i in kept))
        full = {i: [run(tried[i], "comparison", replicate, budget) for replicate in range(n_replicates)] for i in kept}
        chosen = chosen_by_others(np.array([[cost for *_, cost in full[i]] for i in kept]))
        for i, of_setting in full.items():
            for replicate, (samples, curve, _, cost) in enumerate(of_setting):
                of_run = (name, method, _words(tried[i]), replicate, cost, kept[chosen[replicate]] == i)
                rows += [(*of_run, *point) for point in zip(samples, curve, strict=True)]
    columns = ["game", "method", "setting", "replicate"]
    comparison = pd.DataFrame(rows, columns=[*columns, "cost", "chosen", "samples", "exploitability"])
    tuning = pd.DataFrame(pilots, columns=[*columns, "samples_to_target", "final_exploitability", "contender"])
    comparison = comparison.assign(reward_range=unit, settled=_settled(game, regularizer, policy))
    return unsettled.marked(comparison, unsettled.worst(game, regularizer) / unit), tuning


def tuning_cost(reached: float, final: float, target: float, *, budget: int) -> float:
    """Return the logarithm of the samples that a run needs to the target.

    Beyond the budget it is as if the last error fell on in proportion to 1 / samples, so that the cost is a continuous
    function of where the run ends.

    Examples
    --------
    >>> [round(float(np.exp(tuning_cost(*run, target=0.1, budget=1000)))) for run in ((300.0, 0.05), (np.inf, 0.2))]
    [300, 2000]
    """
    return float(np.log(reached) if np.isfinite(reached) else np.log(budget) + np.log(final / target))


def chosen_by_others(costs: np.ndarray) -> np.ndarray:
    """Return for each replicate the setting that costs least in the mean over all other replicates.

    Parameters
    ----------
    costs : ndarray, shape (settings, replicates)
        At least two replicates, unless there is one setting only.

    Returns
    -------
    ndarray of int, shape (replicates,)
    """
    others = costs.sum(axis=1, keepdims=True) - costs
    return np.asarray(others.argmin(axis=0))


def samples_to_accuracy(
    comparison: pd.DataFrame, accuracies: Sequence[float], confidence: float = 0.95, *, plain: bool = True
) -> pd.DataFrame:
    """Return the samples after which each method stays below each accuracy: the median replicate, and its interval.

    The interval is a bootstrap of tuning and measuring: in every resample the setting is chosen anew, by resampled
    costs, and the median is that of resampled runs of it (docs/theory, section 17.4).
    Every accuracy is taken twice: in units of `reward_range`, and plain, in the units of the game's own rewards.

    Parameters
    ----------
    comparison : DataFrame
        Of `compare`.
    accuracies : sequence of float
        > 0.
    confidence : float
        Of the bootstrap interval.
    plain : bool
        Whether accuracies are also taken in the units of the game's own rewards.

    Returns
    -------
    DataFrame
        Columns game, method, unit ("range" or "plain"), accuracy, samples, low, high (infinite: above the accuracy at
        the end of the budget; the ends nan with too few replicates for an interval), n_reached, n_replicates.
    """
    rows = []
    for (game, method), runs in comparison.groupby(["game", "method"], sort=False):
        units = {"range": 1.0} | ({"plain": float(runs["reward_range"].iloc[0])} if plain else {})
        settings_run = [
            table.pivot(index="replicate", columns="samples", values="exploitability")
            for _, table in runs.groupby("setting", sort=False)
        ]
        of_run = runs.drop_duplicates(["setting", "replicate"])
        costs, chosen = (
            [table[column].to_numpy() for _, table in of_run.groupby("setting", sort=False)]
            for column in ("cost", "chosen")
        )
        for (unit, size), accuracy in itertools.product(units.items(), accuracies):
            stays = [stays_below(size * curves, accuracy) for curves in settings_run]
            reported = np.concatenate([of[which] for of, which in zip(stays, chosen, strict=True)])
            rng = seeds.generator(0, "samples to accuracy", str(game), str(method), unit, accuracy)
            # rates, since quantiles interpolate between numbers, and not with infinity
            rates = [1.0 / of for of in stays]
            groups = [*rates, *costs] if len(rates) > 1 else rates
            rate = statistics.bootstrap(groups, tuned_median, rng, confidence=confidence, along_last=True)
            with np.errstate(divide="ignore"):
                middle, low, high = 1.0 / np.array([slower_median(1.0 / reported), rate.high, rate.low])
            n_reached = int(np.isfinite(reported).sum())
            # the interval is extended to contain the reported value, whose settings the resamples may all miss
            if not math.isnan(low):  # there are replicates enough for an interval
                low, high = min(low, middle), max(high, middle)
            rows.append((game, method, unit, accuracy, middle, low, high, n_reached, len(reported)))
    columns = ["game", "method", "unit", "accuracy", "samples", "low", "high", "n_reached", "n_replicates"]
    return pd.DataFrame(rows, columns=columns)


def _words(setting: Setting) -> str:
    return " ".join(f"{name}={value:g}" for name, value in setting.items())
