"""PMA on one trajectory by all agents: with one critic of all transitions, and each agent on its own (section 21.3)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pma_mfg import operators
from pma_mfg.learning import algorithms
from pma_mfg.learning.generative import Learner, Task, lengths
from pma_mfg.learning.schedules import Schedule
from pma_mfg.learning.trajectory import trajectory_kernels
from pma_mfg.learning.trajectory.loops import Learned
from pma_mfg.learning.trajectory.path import Trajectory, no_terms
from pma_mfg.simulation import agents as simulated
from pma_mfg.simulation.exchangeable import Tables, slot_tables


def pma_kept(task: Task, *, step_size: float, first: float, growth: float, exponent: float) -> Learner:
    """PMA that keeps Q: an epoch's TD learning goes on from the last one's estimate, with the steps that go on, too.

    Parameters
    ----------
    task : Task
    step_size, first, growth : float
        As in `learning.generative.pma`.
    exponent : float
        In [0, 1]: the TD steps are (c / (m + c))^exponent, c = S A / (1 - gamma), in step m of the whole run.
    """
    regularizer, learner = task.regularizer, Learned(task)
    for length in lengths(first, growth):
        n_steps = length * learner.q.size
        if learner.path.samples + n_steps > task.budget:
            return
        learner.learn(n_steps, target_rule=trajectory_kernels.SARSA, critic=(1.0, exponent))
        policy = operators.mirror_ascent_step(
            learner.q, learner.policy, step_size / regularizer.rho, regularizer=regularizer
        )
        learner.play(policy)
        yield learner.path.samples, policy


def pma_pooled(task: Task, *, step_size: float, first: float, growth: float, constant: float) -> Learner:
    """PMA with a pooled critic: a central learner sees the transitions of all N agents, N at every step.

    Parameters
    ----------
    task : Task
    step_size : float
        eta in units of 1 / tau.
    first, growth : float
        Epoch k has ceil(first growth^k) steps.
    constant : float
        The TD steps are c / (m + c), c = constant / (1 - gamma): at every step nearly every pair is visited.
    """
    game, regularizer, path = task.game, task.regularizer, Trajectory(task)
    counts = path.population.others.astype(float)
    counts[path.population.tagged[0]] += 1.0
    starts, *_ = path.tables[0]
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    order, slots, entries = slot_tables(rows, len(starts) - 1)
    slot_of = np.empty(len(entries), dtype=np.int64)
    slot_of[entries] = np.arange(len(entries))
    by_successor = (order, slots, entries, np.zeros(len(entries)), no_terms(len(entries)))
    states, action_slots, pairs = slot_tables(np.repeat(np.arange(game.n_states), game.n_actions), game.n_states)
    policy = operators.uniform_policy(game)
    scale = max(1.0, constant / (1.0 - game.discount))
    for length in lengths(first, growth):
        if path.samples + length > task.budget:
            return
        by_action = (states, action_slots, pairs, policy.ravel()[pairs], no_terms(len(pairs)))
        q, entropy = np.full(policy.shape, task.start), np.array(regularizer.value(policy))

        def learn(
            begin: int,
            end: int,
            by_action: Tables = by_action,
            learnt: tuple[np.ndarray, np.ndarray, np.ndarray] = (policy, entropy, q),
        ) -> None:
            trajectory_kernels.pooled(
                path.population.stream,
                counts,
                path.tables,
                by_action,
                by_successor,
                slot_of,
                learnt[0],
                learnt[1],
                float(game.discount),
                learnt[2],
                begin,
                end,
                scale,
            )

        path.run(learn, length)
        policy = operators.mirror_ascent_step(q, policy, step_size / regularizer.rho, regularizer=regularizer)
        yield path.samples, policy


def pma_independent(task: Task, *, step_size: float, first: float, growth: float, constant: float) -> Learner:
    """Independent PMA, Algorithm 3: every agent learns from its own path alone; the policy yielded is one agent's.

    Parameters
    ----------
    task : Task
    step_size, first, growth, constant : float
        As in `learning.generative.pma`.
    """
    agents, samples = simulated.initial_agents(task.game, task.n_agents, task.regularizer, rng=task.rng), 0
    for schedule in schedules(task, step_size=step_size, first=first, growth=growth, constant=constant):
        samples += schedule.n_updates
        if samples > task.budget:
            return
        algorithms.independent(
            task.game, task.n_agents, task.regularizer, schedule=schedule, rng=task.rng, agents=agents
        )
        yield samples, agents.policies(0, 1)[0]


def schedules(task: Task, *, step_size: float, first: float, growth: float, constant: float) -> Iterator[Schedule]:
    """Yield the schedule up to each epoch; epochs grow, and have the lengths and steps of `learning.generative.pma`.

    Parameters
    ----------
    task : Task
    step_size, first, growth, constant : float
        As in `learning.generative.pma`.

    Yields
    ------
    Schedule
        `n_epochs` counts all epochs so far; the other fields are those of the last of them.
    """
    pairs = task.game.n_states * task.game.n_actions
    scale = max(1.0, constant * pairs / (1.0 - task.game.discount))
    for epoch, length in enumerate(lengths(first, growth), start=1):
        yield Schedule(
            n_epochs=epoch,
            n_updates=length * pairs,
            n_waiting=0,
            step_size=step_size / task.regularizer.rho,
            td_scale=scale,
            td_offset=scale,
            start=task.start,
        )
