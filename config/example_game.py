"""Which road to take tomorrow? Roads slow down and divert traffic as they fill up, and changing your mind is a cost."""

import numpy as np

discount = 0.5
state_labels = action_labels = ("highway", "bridge", "back road")
EMPTY = np.array([0.2, 0.3, 0.6])  # hours on the empty road
DELAY = np.array([0.9, 0.6, 0.2])  # hours more if everybody takes it
HABIT = 0.05  # hours that it costs to change one's mind


def transition(mean_field):  # (S, A, S): from today's road and tomorrow's plan to tomorrow's road
    diverted = 0.2 + 0.2 * mean_field
    return np.tile(np.diag(1 - diverted) + diverted[:, None] / 3, (3, 1, 1))


def reward(mean_field):  # (S, A)
    return -(EMPTY + DELAY * mean_field)[:, None] - HABIT * (1 - np.eye(3))
