"""What one would run on one trajectory of N agents: a small module for each kind of method (docs/theory, section 21).

All methods have one form, that of `learning.generative`: a generator function that takes a `Task` and its settings as
keyword arguments, and yields the steps so far and the policy learned. An entry in `METHODS` lets `pma-replicate
one_trajectory measure` find it by name; a file with a function `learn` of this form is a method as well.
"""

from __future__ import annotations

from collections.abc import Callable

from pma_mfg.learning.generative import Learner, Task, pma
from pma_mfg.learning.trajectory.buffered import pma_buffered
from pma_mfg.learning.trajectory.epochs import pma_independent, pma_kept, pma_pooled
from pma_mfg.learning.trajectory.loops import actor_critic, slow_policy, softmax_q_learning, softmax_sarsa
from pma_mfg.learning.trajectory.networked import pma_networked
from pma_mfg.learning.trajectory.path import Trajectory, Transitions

__all__ = ["METHODS", "Learner", "Task", "Trajectory", "Transitions"]

#: The methods on one trajectory by name.
METHODS: dict[str, Callable[..., Learner]] = {
    "pma": pma,
    "pma_kept": pma_kept,
    "softmax_sarsa": softmax_sarsa,
    "softmax_q_learning": softmax_q_learning,
    "slow_policy": slow_policy,
    "actor_critic": actor_critic,
    "pma_pooled": pma_pooled,
    "pma_independent": pma_independent,
    "pma_buffered": pma_buffered,
    "pma_networked": pma_networked,
}
