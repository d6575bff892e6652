"""What a line of games is: its family, and the parameter that moves along it."""

from __future__ import annotations

#: The family of all games of a line: each of its parameters below moves one of the quantities alone.
FAMILY = "planted_rare"

#: Parameter of the family that moves along a line -> the column of the table that samples are fitted against.
QUANTITIES = {
    "n_states": "n_states",
    "n_actions": "n_actions",
    "discount": "horizon",
    "rare_action": "inverse_action",
    "rare_state": "inverse_state",
}
