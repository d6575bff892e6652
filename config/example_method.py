"""Batches: fitted Q on the transitions that were seen last, then a step of mirror ascent."""

import numpy as np

from pma_mfg import operators
from pma_mfg.learning.trajectory import Trajectory


def learn(task, *, batch, step_size):
    regularizer, path = task.regularizer, Trajectory(task)
    policy = operators.uniform_policy(task.game)
    q = np.full(policy.shape, task.start)
    while path.samples + batch <= task.budget:
        seen = path.play(policy, int(batch))  # all N agents play the policy; the transitions are one agent's
        value = (policy * q).sum(axis=1) + regularizer.value(policy)
        totals, visits = np.zeros(q.shape), np.zeros(q.shape)
        np.add.at(totals, (seen.states, seen.actions), seen.rewards + task.game.discount * value[seen.successors])
        np.add.at(visits, (seen.states, seen.actions), 1)
        q = np.where(visits > 0, (q + totals) / (1 + visits), q)
        policy = operators.mirror_ascent_step(q, policy, step_size / regularizer.rho, regularizer=regularizer)
        yield path.samples, policy
