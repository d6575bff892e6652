"""What is measured on how samples to an accuracy grow with a game: from lines of games to tables.

docs/theory, sections 10.15 and 12.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import games, jacobian, operators, seeds
from pma_mfg.arrays import accepts
from pma_mfg.errors import InputError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning import replicates, schedules
from pma_mfg.populations import td_moments
from pma_mfg.regularizers import Entropy, Regularizer
from pma_mfg.theory import invariant_sets, lipschitz, prescription
from pma_replication.experiments.scaling.lines import FAMILY

#: Gaussian draws behind an expected norm: known to half a percent.
DRAWS = 20_000


@dataclass(frozen=True)
class Runs:
    """How every game of a line is learned.

    Parameters
    ----------
    epsilon : float
        Mean distance to the equilibrium that is asked for.
    step_size : float
        eta in units of 1 / rho.
    n_epochs : int
        K.
    n_last : int
        Epochs whose distances are averaged: the K-th, and those after it, where nothing of the start is left either.
    factors : sequence of float
        M_td, in units of what exact moments say that epsilon takes.
    n_agents, n_replicates : int
    """

    epsilon: float
    step_size: float
    n_epochs: int
    n_last: int
    factors: Sequence[float]
    n_agents: int
    n_replicates: int


@accepts()
def policy_constant(
    game: Game, regularizer: Regularizer, equilibrium: np.ndarray, *, step_size: float, n_epochs: int
) -> float:
    """Return the limit of sqrt(M_td) times the mean distance of learning after K epochs, (10.18): exact, no samples.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    equilibrium : ndarray, shape (S, A)
        Its policy, interior.
    step_size : float
        eta > 0, infinite of best response.
    n_epochs : int
        K.

    Returns
    -------
    float
    """
    scale = schedules.td_scale(game, equilibrium)
    covariance = td_moments.asymptotic_covariance(game, equilibrium, regularizer, td_scale=scale)
    n_states, n_actions = equilibrium.shape
    basis, free = jacobian.tangent_basis(n_actions), n_actions - 1
    answer = np.zeros((n_states * free, equilibrium.size))  # of the step to a change of q
    for s, curvature in enumerate(regularizer.curvature(equilibrium)):
        of_state = np.linalg.solve((basis * curvature) @ basis.T + np.eye(free) / step_size, basis)
        answer[s * free : (s + 1) * free, s * n_actions : (s + 1) * n_actions] = of_state
    step = jacobian.jacobian(game, equilibrium, step_size, regularizer=regularizer)
    noise = answer @ covariance @ answer.T
    total = np.zeros_like(noise)
    for _ in range(n_epochs):
        total = step @ total @ step.T + noise
    values, vectors = np.linalg.eigh(total)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = seeds.generator(0, "scaling").standard_normal((DRAWS, len(values)))
    changes = (normal @ root.T).reshape(DRAWS, n_states, free) @ basis
    return float(np.abs(changes).sum(axis=2).max(axis=1).mean())


def mean_value(game: MeanFieldGame, regularizer: Entropy) -> float:
    """Return the mean of Q at the planted equilibrium, which the pilot of blind learning would estimate (10.11)."""
    assert game.planted is not None
    mean_field, policy = game.planted.mean_field, game.planted.policy
    rewards = float(mean_field @ (policy * game.reward(mean_field)).sum(axis=1))
    return (rewards + game.discount * float(mean_field @ regularizer.value(policy))) / (1.0 - game.discount)


@accepts()
def described(game: MeanFieldGame, regularizer: Entropy, *, runs: Runs) -> dict[str, float]:
    """Return a game's own quantities, what the theorem prescribes for it, and what exact moments say.

    Parameters
    ----------
    game : Game
        Planted.
    regularizer : Regularizer
    runs : Runs

    Returns
    -------
    dict
        The columns of `measure` that do not depend on runs.
    """
    if game.planted is None:
        raise InputError("scaling", "game", game.family, f"a game of the family {FAMILY}")
    policy, step_size = game.planted.policy, runs.step_size / regularizer.rho
    constant = policy_constant(game, regularizer, policy, step_size=step_size, n_epochs=runs.n_epochs)

    def radius(of: float) -> float:
        return float(jacobian.spectral_radius(jacobian.jacobian(game, policy, of, regularizer=regularizer)))

    noisy = invariant_sets.noisy_set(game, regularizer).policies
    with np.errstate(divide="ignore"):  # a probability that is too small for a floating-point number
        least = 1.0 / np.array([noisy.least.min(), noisy.least_mean_field.min()])
    try:
        theorem = float(prescription.theorem_schedule(game, regularizer, step_size, epsilon=runs.epsilon).n_samples)
    except InputError:
        theorem = math.nan  # an assumption fails, or nothing is certified
    return {
        "n_states": game.n_states,
        "n_actions": game.n_actions,
        "horizon": 1.0 / (1.0 - game.discount),
        "inverse_action": 1.0 / float(policy.min()),
        "inverse_state": 1.0 / float(game.planted.mean_field.min()),
        "L_pop": lipschitz.constants(game).L_pop,
        "best_response_radius": radius(math.inf),
        "radius": radius(step_size),
        "start": operators.policy_distance(operators.uniform_policy(game), policy),
        "td_scale": schedules.td_scale(game, policy),
        "theorem_samples": theorem,
        "theorem_inverse_action": float(least[0]),
        "theorem_inverse_state": float(least[1]),
        "exact_samples": runs.n_epochs * (constant / runs.epsilon) ** 2,
    }


def measure(
    line: str,
    along: str,
    values: Sequence[float],
    *,
    parameters: Mapping[str, Any],
    runs: Runs,
    seed: int,
    after_run: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Learn the games of a line, and count what the theorem and exact moments say of each.

    Parameters
    ----------
    line : str
        Its name in tables and seeds.
    along : str
        The parameter of the family that moves.
    values : sequence of float
        Its values.
    parameters : mapping
        All other parameters of `FAMILY`; its strength is that of the entropy.
    runs : Runs
    seed : int
        Root seed.
    after_run : callable
        Called after each run.

    Returns
    -------
    DataFrame
        Columns game (the line), along, value, n_states, n_actions, horizon (1 / (1 - gamma)), inverse_action and
        inverse_state (one over the least probability at the equilibrium), L_pop, best_response_radius, radius (of PMA),
        start (distance of the uniform policy), td_scale, theorem_samples (nan if nothing is prescribed),
        theorem_inverse_action and theorem_inverse_state (one over the theorem's p_inf and delta_mix), exact_samples,
        epsilon, step_size, n_epochs, n_updates, replicate, error (sup_s l1 distance to the equilibrium, the mean over
        `Runs.n_last` epochs from the K-th on).
    """
    parts = []
    for value in values:
        game = games.make(FAMILY, **{**parameters, along: value})
        regularizer = Entropy(float(parameters["strength"]))
        known, equilibrium = described(game, regularizer, runs=runs), game.planted.policy  # type: ignore[union-attr]
        scale = known["td_scale"]
        for factor in runs.factors:
            schedule = schedules.Schedule(
                n_epochs=runs.n_epochs + runs.n_last - 1,
                n_updates=max(1, math.ceil(factor * known["exact_samples"] / runs.n_epochs)),
                n_waiting=0,
                step_size=runs.step_size / regularizer.rho,
                td_scale=scale,
                td_offset=scale,
                start=mean_value(game, regularizer),
            )
            errors = []
            numbers = range(runs.n_replicates)
            rngs = [seeds.generator(seed, "scaling", line, value, factor, replicate) for replicate in numbers]
            for policies in replicates.centralized(game, runs.n_agents, regularizer, schedule=schedule, rngs=rngs):
                distances = [operators.policy_distance(policy, equilibrium) for policy in policies[runs.n_epochs :]]
                errors.append(float(np.mean(distances)))
                after_run()
            parts.append(
                pd.DataFrame(
                    {
                        "game": line,
                        "along": along,
                        "value": float(value),
                        **known,
                        "epsilon": runs.epsilon,
                        "step_size": runs.step_size,
                        "n_epochs": runs.n_epochs,
                        "n_updates": schedule.n_updates,
                        "replicate": np.arange(runs.n_replicates),
                        "error": errors,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)
