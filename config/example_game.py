"""Which road to take tomorrow? Congestion as in the BPR formula, a habit, and roads that divert traffic when full."""

import numpy as np

discount = 0.9
state_labels = action_labels = ("highway", "bridge", "back road")
HOURS = np.array([0.2, 0.3, 0.5])  # on the empty road
CAPACITY = np.array([0.3, 0.3, 0.6])  # share of the commuters
HABIT = 0.05  # hours that it costs to change one's mind


def transition(mean_field):  # (S, A, S): from today's road and tomorrow's plan to tomorrow's road
    diverted = 0.1 + 0.3 * mean_field**2
    return np.tile(np.diag(1 - diverted) + diverted[:, None] / 3, (3, 1, 1))


def reward(mean_field):  # (S, A)
    hours = HOURS * (1 + 0.15 * (mean_field / CAPACITY) ** 4)
    return -hours[:, None] - HABIT * (1 - np.eye(3))
