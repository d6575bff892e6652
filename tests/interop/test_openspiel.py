"""Policies of OpenSpiel's mean field games, read by the labels of states and actions (make test-interop)."""

import re

import numpy as np
import pytest

from pma_mfg import games
from pma_mfg.errors import InputError

pytestmark = pytest.mark.interop
pyspiel = pytest.importorskip("pyspiel", reason="OpenSpiel is not installed: make test-interop")

from open_spiel.python import policy as spiel_policies  # noqa: E402
from open_spiel.python.mfg.algorithms import mirror_descent  # noqa: E402
from open_spiel.python.mfg.games import crowd_modelling  # noqa: E402, F401  # enters its game in OpenSpiel's registry

from pma_mfg.interop.openspiel import stationary_policy  # noqa: E402

SIZE, HORIZON = 5, 4
BEACH = games.make("beach_bar", n_states=SIZE)
MOVES = {"-1": "left", "0": "stay", "1": "right"}


def beach(size=SIZE, name="python_mfg_crowd_modelling", horizon=HORIZON):
    return pyspiel.load_game(name, {"size": size, "horizon": horizon})


class Fixed(spiel_policies.Policy):
    """The rule of a table (T, S, A), or of one for all times, (S, A)."""

    def __init__(self, game, table):
        super().__init__(game, [0])
        self.table = table

    def action_probabilities(self, state, player_id=None):
        x, t = map(int, re.findall(r"\d+", str(state)))
        row = self.table[x] if self.table.ndim == 2 else self.table[t, x]
        return {action: row[action] for action in state.legal_actions()}


@pytest.mark.parametrize("name", ["python_mfg_crowd_modelling", "mfg_crowd_modelling"])
def test_a_stationary_policy_is_read_by_labels_in_any_order(name):
    table = np.random.default_rng(0).dirichlet(np.ones(3), size=SIZE)
    spiel = beach(name=name)
    np.testing.assert_array_equal(stationary_policy(Fixed(spiel, table), spiel, BEACH, actions=MOVES), table)
    names = {str(s): f"place {s}" for s in range(SIZE)}
    order = [3, 0, 4, 1, 2]
    shuffled = games.from_functions(
        BEACH.transition,
        BEACH.reward,
        0.9,
        state_labels=[names[str(s)] for s in order],
        action_labels=["stay", "right", "left"],
    )
    found = stationary_policy(Fixed(spiel, table), spiel, shuffled, actions=MOVES, states=names)
    np.testing.assert_array_equal(found, table[order][:, [1, 2, 0]])


def test_the_rule_of_one_time_of_what_mirror_descent_returns_is_its_own():
    spiel = beach()
    learner = mirror_descent.MirrorDescent(spiel)
    for _ in range(5):
        learner.iteration()
    policy = learner.get_policy()
    found = stationary_policy(policy, spiel, BEACH, time=0, actions=MOVES)
    for s in range(SIZE):
        row = policy.action_probabilities(spiel.new_initial_state().child(s))
        np.testing.assert_array_equal(found[s], [row[a] for a in range(3)])
    with pytest.raises(InputError, match=r"policy at time \d: got another rule than at time 0 in state \d, by 0\.\d+"):
        stationary_policy(policy, spiel, BEACH, actions=MOVES)


def test_a_tabular_policy_is_read():
    spiel = beach(horizon=2)
    tabular = spiel_policies.UniformRandomPolicy(spiel).to_tabular()
    tabular.action_probability_array[:] = [0.5, 0.25, 0.25]
    np.testing.assert_array_equal(
        stationary_policy(tabular, spiel, BEACH, actions=MOVES), np.tile([0.5, 0.25, 0.25], (SIZE, 1))
    )


def test_what_does_not_match_is_one_clear_error():
    spiel = beach()
    uniform = spiel_policies.UniformRandomPolicy(spiel)
    wrong = np.full((SIZE, 3), 1.0 / 3.0)
    wrong[2] = 0.25
    for policy, game, arguments, message in [
        (uniform, BEACH, {}, "action label: got '-1', expected one of the game's, or a mapping: left, stay, right"),
        (uniform, games.make("beach_bar", n_states=4), {"actions": MOVES}, "state label: got '4', expected one of the"),
        (uniform, games.make("beach_bar", n_states=6), {"actions": MOVES}, "state label: got no '5', expected each"),
        (uniform, BEACH, {"actions": MOVES, "time": HORIZON}, "time: got 4, expected a time from 0 to 3"),
        (Fixed(spiel, wrong), BEACH, {"actions": MOVES}, "policy: row 2: got the sum 0.75, off by -0.25"),
    ]:
        with pytest.raises(InputError, match=re.escape(message)):
            stationary_policy(policy, spiel, game, **arguments)
