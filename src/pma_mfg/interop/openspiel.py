"""Policies of OpenSpiel's mean field games, as policies of a game of ours: states and actions matched by their labels.

See docs/theory, section 16.5. OpenSpiel: M. Lanctot et al., *OpenSpiel: a framework for reinforcement learning in
games*, arXiv:1908.09453.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pma_mfg.arrays import TOLERANCE, probabilities
from pma_mfg.errors import Description, InputError, nearest
from pma_mfg.games.functions import Game

try:
    import pyspiel
except ImportError as error:
    raise ImportError('pma_mfg.interop.openspiel needs OpenSpiel: pip install "pma-mfg[openspiel]"') from error

SOURCE = "interop.openspiel.stationary_policy"

#: What OpenSpiel's mean field games call a state at a time: "(3, 7)" is the state "3" at time 7, "(2, 1, 7)" is "2, 1".
_AT_A_TIME = re.compile(r"\((?P<label>.+), *\d+\)")


def stationary_policy(
    policy: Any,
    spiel_game: Any,
    game: Game,
    *,
    time: int | None = None,
    states: Mapping[str, str] | None = None,
    actions: Mapping[str, str] | None = None,
) -> np.ndarray:
    """Return a policy of a mean field game of OpenSpiel as a policy of a game, (S, A).

    OpenSpiel's policies are for a finite horizon. One that is the same at all times is taken as it is; of another one
    the rule of one time.

    Parameters
    ----------
    policy : open_spiel.python.policy.Policy
        A `TabularPolicy`, what an algorithm returns, or anything else with `action_probabilities(state)`.
    spiel_game : pyspiel.Game
        The mean field game that it was made for. Its tree is walked once, each state at each time.
    game : Game
    time : int, optional
        Whose rule to take, from 0; without it the policy must not change with time.
    states, actions : mapping of str to str, optional
        The game's labels of OpenSpiel's. The label of a state is its text without the time, that of an action
        what `action_to_string` says. Labels that are not mapped, and all by default, are the same in both.

    Returns
    -------
    ndarray, shape (S, A)

    Raises
    ------
    InputError
        For labels that do not match, times that the game does not have, a policy that changes with time where no time
        is given (when and by how much), or a row that is no distribution.
    """
    labels = (
        game.state_labels or tuple(map(str, range(game.n_states))),
        game.action_labels or tuple(map(str, range(game.n_actions))),
    )
    rules = [_rule(policy, nodes, states or {}, actions or {}) for nodes in _decisions(spiel_game)]
    if time is not None and (isinstance(time, bool) or time not in range(len(rules))):
        raise InputError(SOURCE, "time", time, f"a time from 0 to {len(rules) - 1}")
    tables = [_table(rule, labels) for rule in (rules if time is None else [rules[time]])]
    for t, table in enumerate(tables):
        change = np.abs(table - tables[0]).max(axis=1)
        if change.max() > TOLERANCE:
            s = int(change.argmax())
            told = Description(f"another rule than at time 0 in state {labels[0][s]}, by {change[s]:.2g}")
            raise InputError(SOURCE, f"policy at time {t}", told, "the same at all times, or `time`")
    return probabilities(tables[0], (game.n_states, game.n_actions), SOURCE, field="policy")


def _decisions(spiel_game: Any) -> list[list[Any]]:
    """Return the states in which an agent acts, by time, each once."""
    found, level = [], [spiel_game.new_initial_state()]
    while level:
        following: dict[str, Any] = {}
        acting = []
        for node in level:
            if node.is_terminal():
                continue
            if node.current_player() == pyspiel.PlayerId.MEAN_FIELD:
                after = node.clone()
                support = node.distribution_support()
                after.update_distribution([1.0 / len(support)] * len(support))  # policies do not see it
                following[str(after)] = after
                continue
            if not node.is_chance_node():
                acting.append(node)
            for action in node.legal_actions():
                after = node.child(action)
                following[str(after)] = after
        if acting:
            found.append(acting)
        level = list(following.values())
    return found


def _rule(
    policy: Any, nodes: Sequence[Any], states: Mapping[str, str], actions: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """Return probabilities by the game's labels of states and actions, at one time."""
    found: dict[str, dict[str, float]] = {}
    # a `TabularPolicy` knows a state by one history that leads to it
    known = {str(node): node for node in getattr(policy, "states", ())}
    for node in nodes:
        matched = _AT_A_TIME.fullmatch(str(node))
        label = matched["label"] if matched else str(node)
        row = policy.action_probabilities(known.get(str(node), node))
        names = {action: node.action_to_string(node.current_player(), action) for action in node.legal_actions()}
        found[states.get(label, label)] = {
            actions.get(name, name): float(row.get(action, 0.0)) for action, name in names.items()
        }
    return found


def _table(rule: dict[str, dict[str, float]], labels: tuple[tuple[str, ...], tuple[str, ...]]) -> np.ndarray:
    """Return a rule in the game's order; an action that is not legal in a state has the probability 0."""
    given = list(rule), list({action: None for row in rule.values() for action in row})
    for kind, ours, theirs in zip(("state", "action"), labels, given, strict=True):
        shown = ", ".join(ours[:12]) + (", ..." if len(ours) > 12 else "")
        for label in theirs:
            if label not in ours:
                hint = nearest(label, ours)
                raise InputError(SOURCE, f"{kind} label", label, f"one of the game's, or a mapping: {shown}{hint}")
        if missing := [label for label in ours if label not in theirs]:
            raise InputError(SOURCE, f"{kind} label", Description(f"no '{missing[0]}'"), f"each of the game's: {shown}")
    return np.array([[rule[state].get(action, 0.0) for action in labels[1]] for state in labels[0]])
