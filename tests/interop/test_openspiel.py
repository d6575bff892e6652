"""Games as mean field games of OpenSpiel, the way back, and its policies, matched by labels (make test-interop).

OpenSpiel's numbers come from code that shares nothing with the library's.
"""

import re

import numpy as np
import pytest
from tests.references import curved_game, family_game, random_policy

from pma_mfg import equilibrium, games, operators
from pma_mfg.errors import InputError

pytestmark = pytest.mark.interop
pyspiel = pytest.importorskip("pyspiel", reason="OpenSpiel is not installed: make test-interop")

from open_spiel.python import policy as spiel_policies  # noqa: E402
from open_spiel.python.mfg.algorithms import fictitious_play, mirror_descent, nash_conv  # noqa: E402
from open_spiel.python.mfg.games import crowd_modelling, predator_prey  # noqa: E402, F401  # they register games

from pma_mfg.interop.openspiel import mean_field_game, stationary_game, stationary_policy  # noqa: E402

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


# Games of ours there

GAMES = {
    "labels": games.make("contraction_game"),
    "crowd": family_game("crowd_averse", discount=0.5),
    "curved": curved_game("log"),
    "kinked": games.make("planted_kinked", n_states=3, n_actions=2, discount=0.6, seed=3, strength=0.1),
    # its transitions depend on the mean field
    "epidemic": games.make("sis_epidemic"),
}


def stationary(spiel, game, policy):
    """Return a policy of ours as a tabular one of OpenSpiel, by the labels."""
    tabular = spiel_policies.UniformRandomPolicy(spiel).to_tabular()
    named = list(game.state_labels or map(str, range(game.n_states)))
    for key, row in tabular.state_lookup.items():
        tabular.action_probability_array[row] = policy[named.index(key.strip("()").rsplit(", ", 1)[0])]
    return tabular


def exploitability_until(game, policy, horizon, start):
    """Return what a deviator gains along the flow of the mean field, by backward induction."""
    flow = [start]
    for _ in range(horizon - 1):
        flow.append(np.einsum("s,sa,say->y", flow[-1], policy, game.transition(flow[-1])))
    kept = best = np.zeros(game.n_states)
    for mean_field in reversed(flow):
        transition, reward = game.transition(mean_field), game.reward(mean_field)
        kept = (policy * (reward + game.discount * transition @ kept)).sum(axis=1)
        best = (reward + game.discount * transition @ best).max(axis=1)
    return float(start @ (best - kept))


@pytest.mark.parametrize("name", GAMES)
def test_exploitability_is_openspiel_s_to_the_horizon_and_ours_beyond_it(name):
    game, horizon = GAMES[name], 12
    policy = random_policy(game, 1, 1.0)
    mean_field = operators.stable_population(game, policy)
    for start in (np.arange(1.0, game.n_states + 1.0) / sum(range(1, game.n_states + 1)), mean_field):
        spiel = mean_field_game(game, horizon, start)
        theirs = nash_conv.NashConv(spiel, stationary(spiel, game, policy)).nash_conv()
        assert theirs == pytest.approx(exploitability_until(game, policy, horizon, start), rel=0.0, abs=1e-9)
    reward = game.reward(mean_field)
    bound = game.discount**horizon * np.ptp(reward) / (1.0 - game.discount)
    assert abs(theirs - equilibrium.exploitability(game, policy)) <= bound


def test_with_a_long_horizon_the_two_exploitabilities_are_the_same():
    game = GAMES["crowd"]
    policy = random_policy(game, 1, 1.0)
    spiel = mean_field_game(game, 36, operators.stable_population(game, policy))
    found = nash_conv.NashConv(spiel, stationary(spiel, game, policy)).nash_conv()
    assert found == pytest.approx(equilibrium.exploitability(game, policy), rel=0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("learner", "share"),
    [(fictitious_play.FictitiousPlay, 0.3), (lambda of: mirror_descent.MirrorDescent(of, lr=1.0), 0.3)],
)
def test_openspiel_s_learners_lower_the_exploitability_of_a_game_of_ours(learner, share):
    spiel = mean_field_game(GAMES["crowd"], 4)
    found = learner(spiel)
    before = nash_conv.NashConv(spiel, found.get_policy()).nash_conv()
    for _ in range(10):
        found.iteration()
    assert nash_conv.NashConv(spiel, found.get_policy()).nash_conv() < share * before


def test_a_policy_of_a_game_of_ours_comes_back_without_a_mapping():
    game = GAMES["labels"]
    policy, spiel = random_policy(game, 2), mean_field_game(game, 3)
    np.testing.assert_array_equal(stationary_policy(stationary(spiel, game, policy), spiel, game), policy)
    assert play(spiel).current_player() == pyspiel.PlayerId.TERMINAL


def play(spiel):
    """Return the last node of a play, whose returns are the sum of all that its nodes paid."""
    node, paid = spiel.new_initial_state(), 0.0
    while not node.is_terminal():
        paid += node.rewards()[0]
        if node.current_player() == pyspiel.PlayerId.MEAN_FIELD:
            support = node.distribution_support()
            node.update_distribution([1.0 / max(len(support), 1)] * len(support))
        else:
            node.apply_action(node.legal_actions()[-1])
    assert node.returns()[0] == pytest.approx(paid, rel=1e-12)
    return node


@pytest.mark.parametrize(
    ("horizon", "start", "message"),
    [
        (0, None, "horizon: got 0, expected an integer >= 1"),
        (3, [0.5, 0.75], "mean_field: got the sum 1.25, off by 0.25"),
    ],
)
def test_what_is_no_horizon_or_no_mean_field_is_refused(horizon, start, message):
    with pytest.raises(InputError, match=re.escape(message)):
        mean_field_game(GAMES["labels"], horizon, start)


# The way back


@pytest.mark.parametrize("name", ["labels", "crowd", "epidemic"])
def test_a_game_of_ours_comes_back_entry_by_entry(name):
    game = GAMES[name]
    found = stationary_game(mean_field_game(game, 5), game.discount)
    for mean_field in np.random.default_rng(0).dirichlet(np.ones(game.n_states), size=3):
        np.testing.assert_allclose(found.transition(mean_field), game.transition(mean_field), rtol=0.0, atol=1e-12)
        np.testing.assert_allclose(found.reward(mean_field), game.reward(mean_field), rtol=1e-12, atol=1e-12)
    assert found.state_labels == (game.state_labels or tuple(map(str, range(game.n_states))))


@pytest.mark.parametrize(("name", "size"), [("mfg_crowd_modelling", 5), ("python_mfg_crowd_modelling", 3)])
def test_crowd_modelling_becomes_the_game_of_its_article(name, size):
    """Perrin et al. (2020), section 4.2, with the cost of a move paid one time later, as OpenSpiel does."""
    found = stationary_game(beach(size, name, 5), 0.9)
    transition, reward = np.zeros((size, 3, size)), np.empty((size, 3))
    mean_field = np.random.default_rng(1).dirichlet(np.ones(size))
    for s in range(size):
        for a in range(3):
            for noise in range(3):
                transition[s, a, (s + a - 1 + noise - 1) % size] += 1.0 / 3.0
            reward[s, a] = 1.0 - abs(s - size // 2) / (size // 2) - np.log(mean_field[s]) - 0.9 * abs(a - 1) / size
    np.testing.assert_allclose(found.transition(mean_field), transition, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(found.reward(mean_field), reward, rtol=0.0, atol=1e-12)
    assert found.action_labels == ("-1", "0", "1")


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("python_mfg_predator_prey", {}, "spiel_game: got 3 populations, expected one"),
        ("mfg_dynamic_routing", {}, "spiel_game: got the agent acts again at "),
        ("mfg_crowd_modelling", {"size": 3, "horizon": 3}, "got a horizon of 3, expected at least 4 times"),
    ],
)
def test_a_game_of_another_kind_is_refused(name, parameters, message):
    with pytest.raises(InputError, match=re.escape(message)):
        stationary_game(pyspiel.load_game(name, parameters), 0.9)


def test_dynamics_that_change_with_time_are_refused_with_the_entry_and_by_how_much(monkeypatch):
    moves = crowd_modelling.MFGCrowdModellingState
    chances, rewards = moves.chance_outcomes, moves._rewards

    def later(state):
        return [(0, 0.0), (1, 0.5), (2, 0.5)] if state.t == 2 and not state._is_chance_init else chances(state)

    with monkeypatch.context() as patch:
        patch.setattr(moves, "chance_outcomes", later)
        message = r"transition of state 0, action -1, next state 1: got 0 at time 2 and 0.333333 at time 0"
        with pytest.raises(InputError, match=message) as raised:
            stationary_game(beach(3, horizon=5), 0.9)
    assert "\n" not in str(raised.value)
    monkeypatch.setattr(moves, "_rewards", lambda state: (1.0 + state.t) * rewards(state))
    with pytest.raises(InputError, match=r"reward of state \d, action -?\d: got \S+ at time \d and \S+ at time \d"):
        stationary_game(beach(3, horizon=5), 0.9)


def read_only(array):
    locked = array.copy()
    locked.flags.writeable = False
    return locked


@pytest.mark.parametrize("form", [list, lambda x: x.astype(np.float32), lambda x: x.astype(">f8"), read_only])
def test_a_mean_field_is_taken_as_it_comes(form):
    root = mean_field_game(GAMES["labels"], 3, form(np.array([0.25, 0.75]))).new_initial_state()
    assert root.chance_outcomes() == [(0, 0.25), (1, 0.75)]
