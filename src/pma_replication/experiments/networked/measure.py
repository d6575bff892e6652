"""What is measured on agents that pass their policies on: from a game and ways of learning to a table.

docs/theory, sections 20 and 12.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import solve_discrete_lyapunov

from pma_mfg import jacobian, operators, seeds
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning import algorithms, networks, schedules
from pma_mfg.learning.graphs import Graph
from pma_mfg.populations import own_policies, td_moments
from pma_mfg.regularizers import Entropy
from pma_mfg.simulation.agents import Agents
from pma_mfg.theory import lipschitz
from pma_replication import unsettled
from pma_replication.experiments.networked.arms import Arm

#: The columns of `measure` that are evaluated.
MEASURED = ("exploitability", "returns", "disagreement", "distance")


@dataclass(frozen=True)
class Runs:
    """How a game is learned by every arm.

    Parameters
    ----------
    kind : {"coordination", "competition"}
        What learning is measured by: returns or exploitability.
    graph : str
        As `learning.graphs.Graph.parse` takes it.
    temperature : float
        tau of adoption.
    step_size : float
        eta in units of 1 / rho.
    n_samples : int
        Per epoch: TD updates, and where policies are passed on, evaluation and rounds as well.
    n_epochs : int
        K.
    td_scale, td_offset : float
        c and m_0.
    evaluation_steps : int
        E.
    n_agents, n_replicates : int
    n_measured : int
        How many times in a run what agents play is evaluated.
    """

    kind: str
    graph: str
    temperature: float
    step_size: float
    n_samples: int
    n_epochs: int
    td_scale: float
    td_offset: float
    evaluation_steps: int
    n_agents: int
    n_replicates: int
    n_measured: int

    @property
    def measured(self) -> list[int]:
        """Epochs after which what agents play is evaluated, evenly up to the last."""
        return sorted({round(self.n_epochs * (i + 1) / self.n_measured) for i in range(self.n_measured)} - {0})


@accepts()
def agreement(
    game: MeanFieldGame, regularizer: Entropy, policy: np.ndarray, *, step_size: float, n_agents: int
) -> float:
    """Return the exploitability of agents who agree over that of independent ones, in the long run.

    By (20.2) and (20.3) of docs/theory, section 20.4, with all modes, at a planted equilibrium; infinite if PMA is
    unstable there.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    policy : ndarray, shape (S, A)
        The equilibrium, interior.
    step_size : float
        eta.
    n_agents : int
        N.
    """
    n_states, n_actions = policy.shape
    basis, free = jacobian.tangent_basis(n_actions), n_actions - 1
    answer = np.zeros((n_states * free, policy.size))  # of the step to a change of q
    own = np.zeros((n_states * free, n_states * free))  # of the step to an agent's own policy, the mean field held
    weights = np.zeros_like(own)  # of what an agent loses by an error in its policy, in second order
    mean_field = operators.stable_population(game, policy)
    for s, curvature in enumerate(regularizer.curvature(policy)):
        rows, bent = slice(s * free, (s + 1) * free), (basis * curvature) @ basis.T
        weights[rows, rows] = mean_field[s] * bent
        inverse = np.linalg.inv(bent + np.eye(free) / step_size)
        answer[rows, s * n_actions : (s + 1) * n_actions] = inverse @ basis
        own[rows, rows] = inverse / step_size
    scale = schedules.td_scale(game, policy)
    covariance = td_moments.asymptotic_covariance(game, policy, regularizer, td_scale=scale)
    noise = answer @ covariance @ answer.T
    together = jacobian.jacobian(game, policy, step_size, regularizer=regularizer)
    if jacobian.spectral_radius(together) >= 1.0:
        return math.inf
    best = np.eye(len(together)) - jacobian.jacobian(game, policy, np.inf, regularizer=regularizer)
    common = float(np.trace(weights @ best @ solve_discrete_lyapunov(together, noise) @ best.T))
    alone = float(np.trace(weights @ solve_discrete_lyapunov(own, noise)))
    return common / (alone * (1.0 - 1.0 / n_agents) + common / n_agents)


def measure(
    game: MeanFieldGame,
    regularizer: Entropy,
    name: str,
    *,
    arms: Mapping[str, Arm],
    runs: Runs,
    seed: int,
    after_run: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Learn a game in several ways, and evaluate exactly what agents play.

    TD learning starts at the value of the first policy in its population, which a pilot would estimate. All arms have
    the same samples per epoch. An arm with a radius is left out in a game without a layout.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    name : str
        The game's name in tables and seeds.
    arms : mapping of str to Arm
    runs : Runs
    seed : int
        Root seed.
    after_run : callable
        Called after each run.

    Returns
    -------
    DataFrame
        Columns game, kind, arm, replicate, epoch, samples, exploitability, returns, disagreement (docs/theory, section
        20.2), distance (mean over agents of the squared l2 distance to the planted policy; nan if nothing is
        planted), agreement (the ratio of `agreement`; nan likewise), and
        `judging.UNSETTLED` where the population of the policies was not found. Epoch 0 is the first policy.
    """
    planted = None if game.planted is None else game.planted.policy
    step_size = runs.step_size / regularizer.rho
    ratio = math.nan
    if planted is not None:
        ratio = agreement(game, regularizer, planted, step_size=step_size, n_agents=runs.n_agents)
    first = _evaluated(game, regularizer, operators.uniform_policy(game)[None], planted)
    start = _start(game, regularizer)
    rows: list[tuple[Any, ...]] = []
    for arm_name, arm in arms.items():
        if game.layout is None and arm.graph.startswith("radius"):
            continue
        for replicate in range(runs.n_replicates):
            rng = seeds.generator(seed, "networked", name, arm_name, replicate)
            place = (name, runs.kind, arm_name, replicate)
            rows.append((*place, 0, 0, *first, ratio))
            found = _run(game, regularizer, arm, runs=runs, start=start, rng=rng, planted=planted)
            rows += [(*place, epoch, epoch * runs.n_samples, *values, ratio) for epoch, values in found.items()]
            after_run()
    columns = ["game", "kind", "arm", "replicate", "epoch", "samples", *MEASURED, "agreement"]
    return unsettled.marked(pd.DataFrame(rows, columns=columns), unsettled.worst(game, regularizer))


def _start(game: MeanFieldGame, regularizer: Entropy) -> float:
    """Return the value of the uniform policy in its population, with which TD learning starts."""
    return float(own_policies.evaluate(game, operators.uniform_policy(game)[None], regularizer).values[0])


def _run(
    game: MeanFieldGame,
    regularizer: Entropy,
    arm: Arm,
    *,
    runs: Runs,
    start: float,
    rng: np.random.Generator,
    planted: np.ndarray | None,
) -> dict[int, tuple[float, ...]]:
    """Run one arm once, and return what is measured after each of the epochs `Runs.measured`."""
    spent = arm.rounds + (runs.evaluation_steps if arm.rounds and arm.score == "return" else 0)
    schedule = schedules.Schedule(
        runs.n_epochs,
        runs.n_samples - spent,
        0,
        runs.step_size / regularizer.rho,
        runs.td_scale,
        runs.td_offset,
        start,
    )
    found: dict[int, tuple[float, ...]] = {}
    if arm.learner == "centralized":
        policies = algorithms.centralized(
            game, runs.n_agents, regularizer, schedule=schedule, rng=rng, passes=arm.passes
        )
        return {epoch: _evaluated(game, regularizer, policies[epoch][None], planted) for epoch in runs.measured}

    def after(epoch: int, agents: Agents, samples: int) -> None:
        if epoch in runs.measured:
            assert samples == epoch * runs.n_samples
            found[epoch] = _evaluated(game, regularizer, agents.policies(), planted)

    networks.networked(
        game,
        runs.n_agents,
        regularizer,
        schedule=schedule,
        rng=rng,
        graph=Graph.parse(arm.graph or runs.graph),
        rounds=arm.rounds,
        temperature=[heat * runs.temperature for heat in arm.heats(runs.n_epochs)],
        score=arm.score,
        evaluation_steps=runs.evaluation_steps,
        passes=arm.passes,
        failure=arm.failure,
        population={max(1, runs.n_epochs // 2): arm.n_after} if arm.n_after else None,
        after_epoch=after,
    )
    return found


def _evaluated(
    game: MeanFieldGame, regularizer: Entropy, policies: np.ndarray, planted: np.ndarray | None
) -> tuple[float, ...]:
    """Return the numbers of `MEASURED`, the worst that there can be where no population of the policies is found."""
    distance = math.nan if planted is None else float(((policies - planted) ** 2).sum(axis=(1, 2)).mean())
    try:
        made = own_policies.evaluate(game, policies, regularizer)
    except ConvergenceError:
        largest = unsettled.worst(game, regularizer)
        least = lipschitz.reward_range(game)[0] / (1.0 - game.discount)  # h is not negative
        return largest, least, own_policies.disagreement(game, policies), distance
    return made.exploitability, float(made.returns.mean()), made.disagreement, distance
