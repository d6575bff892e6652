"""Methods in one loop: the policy of all agents changes at every step (docs/theory, section 21.2)."""

from __future__ import annotations

import numpy as np

from pma_mfg import operators
from pma_mfg.learning.generative import Learner, Task, check_entropy, lengths
from pma_mfg.learning.trajectory import trajectory_kernels
from pma_mfg.learning.trajectory.path import Trajectory
from pma_mfg.learning.trajectory.trajectory_kernels import FROZEN, GRADIENT, Q_LEARNING, SARSA, SOFTMAX

#: a and w of the shares a (c / (m + c))^w, c = S A / (1 - gamma), in update m.
Share = tuple[float, float]


def softmax_sarsa(task: Task, *, step_size: float, exponent: float, exploration: float) -> Learner:
    """Softmax SARSA: q(s, a) follows the transition and the action drawn next, and all play softmax(q / tau) at once.

    Parameters
    ----------
    task : Task
    step_size, exponent : float
        In (0, 1] and [0, 1]: the steps are step_size (c / (m + c))^exponent, c = S A / (1 - gamma), in step m.
    exploration : float
        Probability, in [0, 1], with which every agent draws a uniform action; the policy yielded is the softmax.
    """
    critic, actor = (step_size, exponent), (1.0, 0.0)
    return one_loop(task, SARSA, SOFTMAX, critic=critic, actor=actor, exploration=exploration)


def softmax_q_learning(task: Task, *, step_size: float, exponent: float, exploration: float) -> Learner:
    """Softmax Q-learning: as `softmax_sarsa`, but the next state counts as tau log sum exp(q / tau).

    Parameters
    ----------
    task : Task
    step_size, exponent, exploration : float
        As in `softmax_sarsa`.
    """
    critic, actor = (step_size, exponent), (1.0, 0.0)
    return one_loop(
        task,
        Q_LEARNING,
        SOFTMAX,
        critic=critic,
        actor=actor,
        exploration=exploration,
    )


def slow_policy(task: Task, *, exponent: float, policy_step: float, policy_exponent: float) -> Learner:
    """Softmax Q-learning at two timescales: the logits of the policy follow q / tau more slowly than q is learned.

    With the policy of all agents its population is slow, too, which is the slow variable of Angiuli, Fouque and
    Lauriere (2022); at policy_step = 1 and policy_exponent = 0 it is softmax Q-learning.

    Parameters
    ----------
    task : Task
    exponent : float
        In [0, 1], of the steps of q, which begin at 1.
    policy_step, policy_exponent : float
        In (0, 1] and [0, 1], as step_size and exponent in `softmax_sarsa`, at visits of the state.
    """
    actor = (policy_step, policy_exponent)
    return one_loop(task, Q_LEARNING, SOFTMAX, critic=(1.0, exponent), actor=actor)


def actor_critic(task: Task, *, exponent: float, policy_step: float, policy_exponent: float) -> Learner:
    """Actor and critic: softmax policy gradient at the state that was left, with the TD critic of Algorithm 1.

    The logits of s move along pi(a|s) A(s, a), A(s, a) = q(s, a) - tau log pi(a|s) - v(s): the gradient of the
    regularized value over all actions, in place of the one that was drawn.

    Parameters
    ----------
    task : Task
    exponent : float
        In [0, 1], of the steps of the critic, which begin at 1.
    policy_step, policy_exponent : float
        > 0, in units of 1 / tau, and in [0, 1]: the actor's steps.
    """
    actor = (policy_step, policy_exponent)
    return one_loop(task, SARSA, GRADIENT, critic=(1.0, exponent), actor=actor)


def one_loop(
    task: Task, target_rule: int, policy_rule: int, *, critic: Share, actor: Share, exploration: float = 0.0
) -> Learner:
    """Learn at every step, and yield the policy after a number of steps that grows by a twentieth each time.

    Parameters
    ----------
    task : Task
    target_rule, policy_rule : int
        Of `trajectory_kernels`.
    critic, actor : tuple of float
        a and w of the shares a (c / (m + c))^w.
    exploration : float
        Probability of a uniform action.
    """
    check_entropy(task.regularizer)
    learner = Learned(task)
    for length in lengths(learner.q.size, 1.05):
        if learner.path.samples + length > task.budget:
            return
        learner.learn(
            length,
            target_rule=target_rule,
            policy_rule=policy_rule,
            critic=critic,
            actor=actor,
            exploration=exploration,
        )
        yield learner.path.samples, task.regularizer.best_response(task.regularizer.strength * learner.logits)


class Learned:
    """What a method in one loop has learned: Q and the policy of all agents, on a trajectory of its own.

    Parameters
    ----------
    task : Task

    Attributes
    ----------
    path : Trajectory
    q, logits, policy : ndarray, shape (S, A)
        Q starts at `Task.start`, the policy is uniform; it is what agents play, exploration included.
    """

    def __init__(self, task: Task) -> None:
        self.path, self.regularizer, self.discount = Trajectory(task), task.regularizer, float(task.game.discount)
        self.q, self.logits = np.full(task.game.base_reward.shape, task.start), np.zeros(task.game.base_reward.shape)
        self.play(operators.uniform_policy(task.game))

    def play(self, policy: np.ndarray) -> None:
        """Let all agents hold a policy from now on."""
        self.policy = np.array(policy)
        self.entropy = np.array(self.regularizer.value(policy))
        self.path.start_policy(self.policy)

    def learn(
        self,
        n_steps: int,
        *,
        target_rule: int,
        policy_rule: int = FROZEN,
        critic: Share,
        actor: Share = (0.0, 0.0),
        exploration: float = 0.0,
    ) -> None:
        """Learn from some more steps; the arguments are those of `one_loop`."""
        done, offset = self.path.samples, self.q.size / (1.0 - self.discount)
        of_critic, of_actor = ((float(step), offset, float(exponent)) for step, exponent in (critic, actor))

        def steps(begin: int, end: int) -> None:
            trajectory_kernels.one_loop(
                *self.path.moving,
                self.path.tables,
                self.path.live,
                self.discount,
                float(self.regularizer.strength),
                self.q,
                self.logits,
                self.policy,
                self.entropy,
                done + begin,
                done + end,
                target_rule,
                policy_rule,
                of_critic,
                of_actor,
                float(exploration),
            )

        self.path.run(steps, n_steps)
