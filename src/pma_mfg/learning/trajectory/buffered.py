"""PMA on one trajectory with a replay buffer (docs/theory, sections 20.5 and 21.3)."""

from __future__ import annotations

import numpy as np

from pma_mfg import operators
from pma_mfg.learning import replay
from pma_mfg.learning.generative import Learner, Task
from pma_mfg.learning.trajectory.epochs import schedules
from pma_mfg.learning.trajectory.path import Trajectory


def pma_buffered(
    task: Task, *, step_size: float, first: float, growth: float, constant: float, passes: float
) -> Learner:
    """PMA with a buffer: an epoch's transitions are kept, and learned from in several shuffled passes.

    Parameters
    ----------
    task : Task
    step_size, first, growth, constant : float
        As in `learning.generative.pma`; the TD steps count the updates of all passes.
    passes : float
        L, a whole number >= 1.

    Raises
    ------
    InputError
        For a game with more pairs than the buffer numbers.
    """
    replay.check_pairs(task.game, "pma_buffered")
    game, path = task.game, Trajectory(task)
    policy = operators.uniform_policy(game)
    for schedule in schedules(task, step_size=step_size, first=first, growth=growth, constant=constant):
        if path.samples + schedule.n_updates > task.budget:
            return
        seen = path.play(policy, schedule.n_updates)
        # the action in the last state is drawn already, and is not played if the policy changes
        states, actions = path.population.tagged
        begun = np.append(seen.states * game.n_actions + seen.actions, states * game.n_actions + actions)
        pairs = begun.astype(np.uint16)[:, None]
        q = replay.over(
            game,
            policy,
            task.regularizer,
            kept=(pairs[:-1], pairs[1:], seen.rewards),
            population=path.population,
            schedule=schedule,
            passes=int(passes),
        )
        policy = operators.mirror_ascent_step(q, policy, schedule.step_size, regularizer=task.regularizer)
        yield path.samples, policy
