"""Games as mean field games of OpenSpiel: finite horizon, the discount folded into the rewards; and the way back.

See docs/theory, sections 16.5 to 16.7. OpenSpiel: M. Lanctot et al., *OpenSpiel: a framework for reinforcement
learning in games*, arXiv:1908.09453. Its states and actions have texts, which are the labels of ours.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pma_mfg.arrays import TOLERANCE, accepts, probabilities
from pma_mfg.errors import Description, InputError, nearest
from pma_mfg.games.files import from_functions
from pma_mfg.games.functions import Game
from pma_mfg.interop import stationarity
from pma_mfg.policy_files import labels
from pma_mfg.theory import lipschitz

try:
    import pyspiel
except ImportError as error:
    raise ImportError('pma_mfg.interop.openspiel needs OpenSpiel: pip install "pma-mfg[openspiel]"') from error

SOURCE = "interop.openspiel.stationary_policy"

_TYPE = pyspiel.GameType(
    short_name="pma_mfg",
    long_name="A stationary mean field game, cut at a horizon",
    dynamics=pyspiel.GameType.Dynamics.MEAN_FIELD,
    chance_mode=pyspiel.GameType.ChanceMode.EXPLICIT_STOCHASTIC,
    information=pyspiel.GameType.Information.PERFECT_INFORMATION,
    utility=pyspiel.GameType.Utility.GENERAL_SUM,
    reward_model=pyspiel.GameType.RewardModel.REWARDS,
    max_num_players=1,
    min_num_players=1,
    provides_information_state_string=True,
    provides_information_state_tensor=False,
    provides_observation_string=True,
    provides_observation_tensor=False,
    parameter_specification={},
)

#: Nodes that one time may have between an action and the next time.
LONGEST = 10_000

#: What OpenSpiel's mean field games call a state at a time: "(3, 7)" is the state "3" at time 7, "(2, 1, 7)" is "2, 1".
_AT_A_TIME = re.compile(r"\((?P<label>.+), *\d+\)")


class _Rules:
    """What the nodes of a game share: its tables at a mean field, labels, the horizon and the initial law."""

    def __init__(self, game: Game, horizon: int, start: np.ndarray) -> None:
        self.game, self.horizon, self.start = game, horizon, tuple(start.tolist())
        self.states, self.actions = labels(game)
        # a depth-first walk comes back to the mean field of every time
        self.tables = functools.lru_cache(maxsize=2 * horizon + 2)(self._tables)

    def __deepcopy__(self, memo: Any) -> _Rules:
        return self  # a node is cloned with all that it holds

    def _tables(self, mean_field: tuple[float, ...]) -> tuple[list[Any], list[Any]]:
        """Return P and R at a mean field as nested lists, whose entries are Python's numbers."""
        given = np.array(mean_field)
        return self.game.transition(given).tolist(), self.game.reward(given).tolist()


class _SpielGame(pyspiel.Game):  # type: ignore[misc]
    """A game as `mean_field_game` returns it."""

    def __init__(self, rules: _Rules) -> None:
        game, horizon = rules.game, rules.horizon
        low, high = lipschitz.reward_range(game)
        duration = (1.0 - game.discount**horizon) / (1.0 - game.discount)
        info = pyspiel.GameInfo(
            num_distinct_actions=game.n_actions,
            max_chance_outcomes=game.n_states,
            num_players=1,
            min_utility=low * duration,
            max_utility=high * duration,
            utility_sum=None,
            max_game_length=horizon,
        )
        super().__init__(_TYPE, info, {})
        self.rules = rules

    def new_initial_state(self) -> _Node:
        """Return the chance node at which the initial state is drawn."""
        return _Node(self)

    def max_chance_nodes_in_history(self) -> int:
        """Return the number of chance nodes that are passed."""
        return self.rules.horizon + 1

    def make_py_observer(self, iig_obs_type: Any = None, params: Any = None) -> _Observer:
        """Return what observes a node: its text."""
        return _Observer()


class _Node(pyspiel.State):  # type: ignore[misc]
    """A node: an agent's state (at None, before it is drawn), its action if it has acted, the time and the mean field.

    Within a time the kinds follow each other: "population", where the mean field of that time is registered (at time 0
    it is the initial law, and there is no such node); "decision"; "reward", which pays R(s, a, mu); "chance". The node
    that pays is one of the mean field's, at which there is nothing to register, because OpenSpiel's algorithms count
    the rewards of all nodes but chance nodes, and a decision node would ask for another action.
    """

    def __init__(self, game: _SpielGame) -> None:
        super().__init__(game)
        self.rules = game.rules
        self.kind, self.time, self.place, self.action = "chance", 0, -1, -1
        self.mean_field, self.earned = self.rules.start, 0.0

    def current_player(self) -> Any:
        """Return who moves here."""
        if self.is_terminal():
            return pyspiel.PlayerId.TERMINAL
        player = {"chance": pyspiel.PlayerId.CHANCE, "decision": pyspiel.PlayerId.DEFAULT_PLAYER_ID}
        return player.get(self.kind, pyspiel.PlayerId.MEAN_FIELD)

    def is_terminal(self) -> bool:
        """Return whether the time is the horizon."""
        return bool(self.time >= self.rules.horizon)

    def _legal_actions(self, player: Any) -> list[int]:
        return list(range(len(self.rules.actions))) if player >= 0 else []

    def chance_outcomes(self) -> list[tuple[int, float]]:
        """Return all states with their probabilities, those with the probability 0 too: every policy knows them."""
        law = self.rules.start if self.place < 0 else self.rules.tables(self.mean_field)[0][self.place][self.action]
        return list(enumerate(law))

    def _apply_action(self, action: int) -> None:
        if self.kind == "decision":
            self.kind, self.action = "reward", action
            return
        self.kind, self.time = ("decision", 0) if self.place < 0 else ("population", self.time + 1)
        self.place, self.action = action, -1

    def distribution_support(self) -> list[str]:
        """Return the texts of the nodes whose probabilities the algorithm is to register."""
        if self.kind == "reward":
            return []
        return [f"{self._at(place)}_mu" for place in range(len(self.rules.states))]

    def update_distribution(self, distribution: Sequence[float]) -> None:
        """Register the mean field; a node that pays, has paid."""
        if self.kind == "reward":
            self.earned += self.rewards()[0]
            self.kind = "chance"
            return
        # sums of products of probabilities, which rounding lets drift
        total = sum(distribution)
        self.mean_field, self.kind = tuple(share / total for share in distribution), "decision"

    def rewards(self) -> list[float]:
        """Return what is earned at this node."""
        if self.kind != "reward":
            return [0.0]
        discount = self.rules.game.discount**self.time
        return [discount * self.rules.tables(self.mean_field)[1][self.place][self.action]]

    def returns(self) -> list[float]:
        """Return what has been earned up to this node and at it."""
        return [self.earned + self.rewards()[0]]

    def _action_to_string(self, player: Any, action: int) -> str:
        return str(self.rules.actions[action] if player >= 0 else self.rules.states[action])

    def _at(self, place: int) -> str:
        return f"({self.rules.states[place]}, {self.time})"

    def __str__(self) -> str:
        if self.place < 0:
            return "initial"
        suffix = {"population": "_mu", "decision": ""}
        acted = f"_{self.kind}_{self.rules.actions[self.action]}" if self.action >= 0 else suffix[self.kind]
        return self._at(self.place) + acted


class _Observer:
    """What an agent observes of a node: all of it, as a text."""

    tensor = None
    dict: Mapping[str, Any] = {}

    def set_from(self, state: _Node, player: int) -> None:
        """Do nothing: there are no tensors."""

    def string_from(self, state: _Node, player: int) -> str:
        """Return the node's text."""
        return str(state)


@accepts()
def mean_field_game(game: Game, horizon: int, mean_field: np.ndarray | None = None) -> Any:
    """Return the game of the times 0..T - 1, with rewards gamma^t R, as a mean field game of OpenSpiel.

    At the stable population of a stationary policy its NashConv and our exploitability differ by at most
    gamma^T sp(R) / (1 - gamma) (docs/theory, Proposition 16.3). There is no regularizer. OpenSpiel's tabular algorithms
    run on it; its `rl_environment` does not, which sees rewards only at nodes where an agent acts. They are recursive,
    some ten calls deep for each time: ``sys.setrecursionlimit`` for a horizon above 80.

    Parameters
    ----------
    game : Game
        A sparse one is made dense.
    horizon : int
        T >= 1, the number of times at which agents act.
    mean_field : ndarray, shape (S,), optional
        mu_0, uniform by default; `operators.stable_population` gives that of a policy.

    Returns
    -------
    pyspiel.Game
        Texts of states and actions are the game's labels, their numbers where it has none.

    Raises
    ------
    InputError
        If the horizon is not an integer >= 1, the mean field is no probability vector, or a sparse game is too large to
        be made dense.

    Examples
    --------
    >>> from pma_mfg import games
    >>> spiel = mean_field_game(games.make("contraction_game"), 10)
    >>> str(spiel.new_initial_state().child(0))
    '(first, 0)'
    """
    source = "interop.openspiel.mean_field_game"
    if not isinstance(horizon, int | np.integer) or isinstance(horizon, bool) or horizon < 1:
        raise InputError(source, "horizon", horizon, "an integer >= 1")
    start = np.full(game.n_states, 1.0 / game.n_states) if mean_field is None else mean_field
    return _SpielGame(_Rules(game.dense(source), int(horizon), start))


def stationary_game(spiel_game: Any, discount: float) -> Game:
    """Return a mean field game of OpenSpiel, in Python or C++, as a game, if its dynamics are the same at all times.

    What a node pays at time t is taken to count discount^t, or to contain that factor already, whichever it is. A part
    of it that the last action earned belongs to that action, one time before, and so enters R times the discount
    (docs/theory, section 16.7). The last time, at which OpenSpiel's game ends, is not looked at.

    Parameters
    ----------
    spiel_game : pyspiel.Game
        With one population, every state reached from the initial law at time 1, and the same legal actions everywhere.
    discount : float
        gamma, in [0, 1). OpenSpiel's games have none.

    Returns
    -------
    MeanFieldGame or FunctionGame
        With features if they are recognized in the tables. Labels are OpenSpiel's texts, a state's without the time.

    Raises
    ------
    InputError
        If tables change with time (which entry, when, by how much), or for a game of another kind.
    """
    source = "interop.openspiel.stationary_game"
    if not 0.0 <= discount < 1.0:
        raise InputError(source, "discount", discount, "a number in [0, 1)")
    tree = _Tree(spiel_game, discount, source)
    tables = functools.lru_cache(maxsize=256)(lambda held: tree.tables(1, list(held)))
    start = np.array(tree.start)
    visits = [(start, range(tree.n_times))]
    visits += [(point, range(1, tree.n_times)) for point in stationarity.points(len(start))]
    named = tree.states, tree.actions
    fall = stationarity.folded(lambda t, mu: tree.tables(t, mu.tolist()), visits, discount, source=source, labels=named)
    weight = discount if fall else 1.0
    return from_functions(
        lambda mean_field: tables(tuple(mean_field.tolist()))[0],
        lambda mean_field: tables(tuple(mean_field.tolist()))[1] / weight,
        discount,
        state_labels=tree.states,
        action_labels=tree.actions,
    )


class _Tree:
    """The nodes of a mean field game of OpenSpiel, one for each state and time, and the tables that they make."""

    def __init__(self, spiel_game: Any, discount: float, source: str) -> None:
        self.source, self.discount = source, discount
        if spiel_game.num_players() != 1:
            raise InputError(source, "spiel_game", Description(f"{spiel_game.num_players()} populations"), "one")
        root = spiel_game.new_initial_state()
        if not root.is_chance_node():
            raise InputError(source, "spiel_game", Description("no initial chance node"), "a draw of the initial state")
        first = [(root.child(action), share) for action, share in root.chance_outcomes()]
        levels = [first, *self._levels(first)]
        if len(levels) < 4:
            told = Description(f"a horizon of {len(levels)}")
            raise InputError(source, "spiel_game", told, "at least 4 times, to compare times")
        #: times whose moves do not end the game
        self.n_times = len(levels) - 1
        support = levels[1][0][0].distribution_support()
        nodes = {str(node): node for node, _ in levels[1]}
        if missing := [each for each in support if each not in nodes]:
            raise InputError(source, "spiel_game", Description(f"no {missing[0]}"), "every state reached at time 1")
        uniform = [1.0 / len(support)] * len(support)
        self.states = [_label(_registered(nodes[each], uniform)) for each in support]
        acting = first[0][0]
        self.actions = [acting.action_to_string(acting.current_player(), a) for a in acting.legal_actions()]
        shares = {_label(node): share for node, share in first}
        self.start = [float(shares.get(label, 0.0)) for label in self.states]
        # by time, the node of each state
        self.nodes: list[dict[str, Any]] = [{_label(node): node for node, _ in first}]
        self.nodes += [{_label(_registered(node, uniform)): node for node, _ in level} for level in levels[1:]]
        self.paid_first = {label: node.rewards()[0] for label, node in self.nodes[0].items()}
        if missing := [label for label in self.states if label not in self.paid_first]:
            raise InputError(source, "spiel_game", Description(f"no '{missing[0]}'"), "every state drawn at time 0")

    def _levels(self, level: list[tuple[Any, float]]) -> list[list[tuple[Any, float]]]:
        """Return for each later time the nodes at which the mean field is registered, each once."""
        found: list[list[tuple[Any, float]]] = []
        while True:
            following: dict[str, Any] = {}
            for node, _ in level:
                if node.current_player() == pyspiel.PlayerId.MEAN_FIELD:
                    support = node.distribution_support()
                    node = _registered(node, [1.0 / len(support)] * len(support))
                for action in node.legal_actions():
                    for after, _, _ in self._arrivals(node.child(action)):
                        following.setdefault(str(after), after)
            level = [(node, 0.0) for node in following.values()]
            if not level or level[0][0].is_terminal():
                return found
            found.append(level)

    def _arrivals(self, node: Any) -> list[tuple[Any, float, float]]:
        """Return the nodes of the next time with their probabilities, and what is paid on the way there."""
        found: list[tuple[Any, float, float]] = []
        waiting = [(node, 1.0, 0.0)]
        for _ in range(LONGEST):
            if not waiting:
                return found
            node, share, paid = waiting.pop()
            if node.is_chance_node():
                waiting += [(node.child(after), share * p, paid) for after, p in node.chance_outcomes()]
            elif node.is_terminal():
                found.append((node, share, paid))
            elif node.current_player() != pyspiel.PlayerId.MEAN_FIELD:
                told = Description(f"the agent acts again at {node}")
                raise InputError(self.source, "spiel_game", told, "a mean field between two actions")
            elif node.distribution_support():
                found.append((node, share, paid))
            else:  # a node of the mean field at which nothing is registered
                waiting.append((_registered(node, []), share, paid + node.rewards()[0]))
        raise InputError(self.source, "spiel_game", Description("a time without end"), "one move at each time")

    def tables(self, time: int, mean_field: list[float]) -> tuple[np.ndarray, np.ndarray]:
        """Return P and R at a time and a mean field, the initial one at time 0."""
        size, width = len(self.states), len(self.actions)
        places = {label: s for s, label in enumerate(self.states)}
        transition, reward = np.zeros((size, width, size)), np.zeros((size, width))
        here = self._paid(time, mean_field)
        arriving = here if time == 1 else self._paid(1, mean_field)
        for s, label in enumerate(self.states):
            node = self.nodes[time][label]
            node = node if time == 0 else _registered(node, mean_field)
            legal = [node.action_to_string(node.current_player(), a) for a in node.legal_actions()]
            if legal != self.actions:
                told = Description(", ".join(legal))
                raise InputError(self.source, f"actions in state {label}", told, f"those of all: {self.actions}")
            for a, action in enumerate(node.legal_actions()):
                reward[s, a] = here[label]
                for after, share, paid in self._arrivals(node.child(action)):
                    arrived = _registered(after, mean_field)
                    to = _label(arrived)
                    transition[s, a, places[to]] += share
                    # what of the next payment the action has earned
                    late = arrived.rewards()[0] - arriving[to]
                    reward[s, a] += share * (paid + self.discount * late)
        return transition, reward

    def _paid(self, time: int, mean_field: list[float]) -> dict[str, float]:
        """Return what the states pay at a time, without what the last action earned."""
        if time == 0:
            return self.paid_first
        found = {}
        for label, node in self.nodes[time].items():
            late = _registered(node, self.start).rewards()[0] - self.paid_first[label]
            found[label] = _registered(node, mean_field).rewards()[0] - late
        return found


def _registered(node: Any, mean_field: list[float]) -> Any:
    """Return the node that follows when a mean field is registered."""
    after = node.clone()
    after.update_distribution(mean_field)
    return after


def _label(node: Any) -> str:
    """Return the text of a node at which an agent acts, without the time."""
    matched = _AT_A_TIME.fullmatch(str(node))
    return matched["label"] if matched else str(node)


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
    named = labels(game)
    rules = [_rule(policy, nodes, states or {}, actions or {}) for nodes in _decisions(spiel_game)]
    if time is not None and (isinstance(time, bool) or time not in range(len(rules))):
        raise InputError(SOURCE, "time", time, f"a time from 0 to {len(rules) - 1}")
    tables = [_table(rule, named) for rule in (rules if time is None else [rules[time]])]
    for t, table in enumerate(tables):
        change = np.abs(table - tables[0]).max(axis=1)
        if change.max() > TOLERANCE:
            s = int(change.argmax())
            told = Description(f"another rule than at time 0 in state {named[0][s]}, by {change[s]:.2g}")
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
                after.update_distribution([1.0 / max(len(support), 1)] * len(support))  # policies do not see it
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
        label = _label(node)
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
