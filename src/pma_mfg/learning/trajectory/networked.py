"""Networked PMA on one trajectory: agents pass their policies on (docs/theory, sections 20 and 21.3)."""

from __future__ import annotations

import math

from pma_mfg.learning import networks
from pma_mfg.learning.generative import Learner, Task
from pma_mfg.learning.trajectory.epochs import schedules
from pma_mfg.simulation import agents as simulated

#: Length of the return that is an agent's score, in units of 1 / (1 - gamma). Later rewards have the total weight e^-3,
#: a twentieth.
EVALUATION = 3.0


def pma_networked(
    task: Task, *, step_size: float, first: float, growth: float, constant: float, temperature: float
) -> Learner:
    """Networked PMA: Algorithm 3, and one round after every epoch in which all agents hear each other.

    The policy yielded is one agent's. The steps of evaluation and of the round are samples as well.

    Parameters
    ----------
    task : Task
    step_size, first, growth, constant : float
        As in `learning.generative.pma`.
    temperature : float
        >= 0, in units of tau / (1 - gamma): an agent adopts a policy with probability proportional to exp(return /
        temperature); with 0 all adopt the one with the highest return.
    """
    game, regularizer = task.game, task.regularizer
    agents, samples = simulated.initial_agents(game, task.n_agents, regularizer, rng=task.rng), 0
    horizon = 1.0 / (1.0 - game.discount)
    evaluation_steps = math.ceil(EVALUATION * horizon)
    for schedule in schedules(task, step_size=step_size, first=first, growth=growth, constant=constant):
        samples += schedule.n_updates + evaluation_steps + 1
        if samples > task.budget:
            return
        networks.networked(
            game,
            task.n_agents,
            regularizer,
            schedule=schedule,
            rng=task.rng,
            graph="complete",
            rounds=1,
            temperature=temperature * regularizer.strength * horizon,
            evaluation_steps=evaluation_steps,
            agents=agents,
        )
        yield samples, agents.policies(0, 1)[0]
