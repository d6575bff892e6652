"""Games of the wider literature against their formulas, written here as loops, and their equilibria."""

import inspect
from itertools import pairwise
from math import log

import numpy as np
import pytest
from scipy.stats import chi2

from pma_mfg import equilibrium, games, operators
from pma_mfg.errors import InputError
from pma_mfg.games import literature, registry
from pma_mfg.regularizers import Entropy, Quadratic

NAMES = [name for name, found in registry.FAMILIES.items() if found.function.__module__ == literature.__name__]
#: Sums of at most 25 probabilities, and products of rewards with features: a few roundings.
ROUNDING = 1e-14
STEPS = [(1, 0), (0, 1), (-1, 0), (0, -1), (0, 0)]


def defaults(name, **changes):
    signature = inspect.signature(getattr(literature, name)).parameters
    return {key: parameter.default for key, parameter in signature.items()} | changes


def mean_fields(size):
    """Return every vertex of the simplex (or 12 of them), the uniform distribution and random ones."""
    rng = np.random.default_rng(size)
    vertices = np.eye(size)[:: max(1, size // 12)]
    return [*vertices, np.full(size, 1.0 / size), *rng.dirichlet(np.full(size, 0.3), size=3)]


# --- formulas: p are the parameters; a transition is a dict of next state -> probability


def add(chances, state, chance):
    chances[state] = chances.get(state, 0.0) + chance


def beach_transition(p, s, a):
    chances = {}
    for accident, chance in ((-1, p["noise"] / 2), (0, 1 - p["noise"]), (1, p["noise"] / 2)):
        place = s + (a - 1) + accident
        add(chances, place % p["n_states"] if p["ring"] else min(max(place, 0), p["n_states"] - 1), chance)
    return chances


def beach_reward(p, s, a, mu):
    size = p["n_states"]
    bar = size // 2 if p["bar"] is None else p["bar"]
    distance = min(abs(s - bar + turn * size) for turn in (-1, 0, 1)) if p["ring"] else abs(s - bar)
    crowd = log(max(mu[s], p["floor"]))
    return (
        p["attraction"] * (1 - distance / (size // 2))
        - p["movement_cost"] * (a != 1) / size
        - p["crowd_aversion"] * crowd
    )


def malware_transition(p, s, a):
    if a == 1:
        return {0: 1.0}
    return dict.fromkeys(range(s, p["n_states"]), 1 / (p["n_states"] - s))


def malware_reward(p, s, a, mu):
    top = p["n_states"] - 1
    average = sum(z / top * share for z, share in enumerate(mu))
    return -(p["vulnerability"] + p["contagion"] * average) * s / top - p["repair_cost"] * a


def torus_transition(p, s, a):
    size, chances = p["size"], {}
    for accident in range(5):
        chance = p["noise"] / 5 + (1 - p["noise"]) * (accident == 4)
        row = (s // size + STEPS[a][0] + STEPS[accident][0]) % size
        column = (s % size + STEPS[a][1] + STEPS[accident][1]) % size
        add(chances, size * row + column, chance)
    return chances


def torus_reward(p, s, a, mu):
    size = p["size"]
    position = sum(1 - 2 * abs(x - size // 2) / size for x in (s // size, s % size))
    moved = sum(map(abs, STEPS[a]))
    return (
        p["attraction"] * position
        - p["movement_cost"] * moved / size
        - p["crowd_aversion"] * log(max(mu[s], p["floor"]))
    )


def cournot_transition(p, s, a):
    success = p["effectiveness"] * a / (1 + p["effectiveness"] * a)
    chances = {}
    for gained, chance in ((1, success), (0, 1 - success)):
        for lost, other in ((1, p["depreciation"]), (0, 1 - p["depreciation"])):
            add(chances, min(max(s + gained - lost, 0), p["n_states"] - 1), chance * other)
    return chances


def cournot_reward(p, s, a, mu):
    top = p["n_states"] - 1
    supply = sum(z / top * share for z, share in enumerate(mu))
    return s / top * max(0.0, p["demand"] - p["price_slope"] * supply) - p["investment_cost"] * a


def grid_transition(p, s, a):
    chances = {}
    for move in range(5):
        row, column = s // p["columns"] + STEPS[move][0], s % p["columns"] + STEPS[move][1]
        inside = 0 <= row < p["rows"] and 0 <= column < p["columns"]
        add(chances, row * p["columns"] + column if inside else s, p["slip"] / 5 + (1 - p["slip"]) * (move == a))
    return chances


def target_reward(p, s, a, mu):
    right, top = p["columns"] - 1, p["rows"] - 1
    corners = [(0, 0), (top, right), (0, right), (top, 0)]
    return p["attraction"] * mu[s] * (divmod(s, p["columns"]) in corners[: p["n_targets"]])


RULES = {
    "beach_bar": (beach_transition, beach_reward),
    "malware_spread": (malware_transition, malware_reward),
    "crowd_modelling_2d": (torus_transition, torus_reward),
    "cournot_investment": (cournot_transition, cournot_reward),
    "cluster": (grid_transition, lambda p, s, a, mu: p["attraction"] * log(max(mu[s], p["floor"]))),
    "target_agreement": (grid_transition, target_reward),
}
CASES = [
    *((name, {}) for name in RULES),
    ("beach_bar", {"n_states": 7, "ring": False, "bar": 1, "noise": 0.2, "attraction": 3.0, "movement_cost": 2.5}),
    ("beach_bar", {"n_states": 5, "bar": 0, "crowd_aversion": 0.4, "floor": 1e-3}),
    ("malware_spread", {"n_states": 4, "vulnerability": 0.7, "contagion": 2.0, "repair_cost": 0.1}),
    ("crowd_modelling_2d", {"size": 3, "noise": 0.3, "attraction": 2.0, "movement_cost": 4.0}),
    ("crowd_modelling_2d", {"size": 4, "noise": 0.0, "crowd_aversion": 0.2, "floor": 0.01}),
    # a price that the kink of max(0, x) cuts off
    ("cournot_investment", {"n_states": 4, "n_actions": 5, "demand": 0.5, "price_slope": 1.7, "effectiveness": 0.3}),
    ("cournot_investment", {"n_states": 3, "depreciation": 0.9, "investment_cost": 2.0}),
    ("cluster", {"rows": 2, "columns": 3, "attraction": 2.0, "slip": 0.0, "floor": 0.01}),
    ("target_agreement", {"rows": 3, "columns": 2, "n_targets": 4, "attraction": -1.5, "slip": 0.5}),
    ("target_agreement", {"rows": 2, "columns": 4, "n_targets": 1}),
    ("target_agreement", {"rows": 3, "columns": 3, "n_targets": 3}),
]


def test_every_family_is_tested():
    assert sorted([*RULES, "garnet"]) == sorted(NAMES)


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_tables_equal_their_formulas(name, changes):
    game, p = games.make(name, **changes), defaults(name, **changes)
    transition, reward = RULES[name]
    assert game.discount == 0.9
    for mu in mean_fields(game.n_states):
        P, R = game.transition(mu), game.reward(mu)
        for s, a in np.ndindex(game.n_states, game.n_actions):
            expected = np.zeros(game.n_states)
            for y, chance in transition(p, s, a).items():
                expected[y] = chance
            np.testing.assert_allclose(P[s, a], expected, rtol=0, atol=ROUNDING)
            assert R[s, a] == pytest.approx(reward(p, s, a, mu), rel=ROUNDING, abs=ROUNDING)


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_states_and_actions_have_names_and_places(name, changes):
    game = games.make(name, **changes)
    assert len(set(game.state_labels)) == game.n_states
    assert len(set(game.action_labels)) == game.n_actions
    # unit cells around the states do not overlap; a rounding on the circle
    for s, place in enumerate(game.layout):
        assert (np.abs(np.delete(game.layout, s, axis=0) - place).max(axis=1) >= 1 - ROUNDING).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_policy_of_full_support_visits_every_state(name):
    game = games.make(name)
    rng = np.random.default_rng(0)
    policy = rng.dirichlet(np.full(game.n_actions, 0.3), size=game.n_states)
    for mu in mean_fields(game.n_states):
        (recurrent,) = operators.recurrent_classes(operators.policy_kernel(game.transition(mu), policy))
        assert len(recurrent) == game.n_states


@pytest.mark.parametrize("name", ["beach_bar", "malware_spread", "crowd_modelling_2d", "cournot_investment"])
def test_crowd_averse_games_are_monotone_and_their_transitions_free_of_the_mean_field(name):
    game = games.make(name, **({"size": 4} if name == "crowd_modelling_2d" else {}))
    assert len(game.transition_features.links) == 0
    rng = np.random.default_rng(1)
    for _ in range(50):
        mu, nu = rng.dirichlet(np.full(game.n_states, 0.5), size=2)
        # the same for every action: the interaction is in the state
        gap = (mu - nu) @ (game.reward(mu) - game.reward(nu))
        assert (gap < 0.0).all()
        assert np.ptp(gap) < 1e-12  # rounding of rewards up to some 30


# --- garnet


@pytest.mark.parametrize(("n_states", "n_actions", "n_successors"), [(1, 1, 1), (6, 2, 1), (6, 3, 6), (20, 4, 5)])
@pytest.mark.parametrize("interaction", ["potential", "cyclic"])
def test_a_garnet_has_as_many_successors_as_asked_for_and_the_interaction_that_it_says(
    n_states, n_actions, n_successors, interaction
):
    for seed in range(3):
        game = games.make(
            "garnet",
            n_states=n_states,
            n_actions=n_actions,
            n_successors=n_successors,
            seed=seed,
            interaction=interaction,
            coupling=2.0,
        )
        at_vertices = np.array([game.reward(vertex) for vertex in np.eye(n_states)])  # (Z, S, A)
        # R(e_z) - r = coupling M(., z), the same for every action
        matrix = (at_vertices - game.base_reward)[:, :, 0].T
        np.testing.assert_allclose(
            at_vertices - game.base_reward, np.repeat(matrix.T[:, :, None], n_actions, axis=2), rtol=0, atol=ROUNDING
        )
        sign = 1.0 if interaction == "potential" else -1.0
        np.testing.assert_allclose(matrix, sign * matrix.T, rtol=0, atol=ROUNDING)
        if n_states > 1:
            assert np.abs(matrix + sign * matrix.T).max() > 0.1  # and is not the other kind
        for mu in mean_fields(n_states):
            P = game.transition(mu)
            assert ((P > 0.0).sum(axis=2) == n_successors).all()
            assert P[P > 0.0].min() >= 0.2 / n_successors - ROUNDING
            assert (P[np.arange(n_states), :, (np.arange(n_states) + 1) % n_states] > 0.0).all()
            np.testing.assert_allclose(P.sum(axis=2), 1.0, rtol=0, atol=ROUNDING)


def test_a_garnet_moves_from_one_law_to_the_other_with_the_crowd_that_a_state_watches():
    game, free = (games.make("garnet", seed=4, transition_coupling=c) for c in (0.5, 0.0))
    weights = game.transition_features.weights
    assert (np.count_nonzero(weights, axis=1) == 5).all()
    assert weights.min() == 0.0 < weights.max() < 1.0
    full = games.make("garnet", seed=4, transition_coupling=1.0)
    for mu in mean_fields(20):
        share = weights @ mu
        first = free.transition(mu)
        np.testing.assert_array_equal(first, free.base_transition)
        other = first + full.transition_terms.sum(axis=0)  # every state reacts to its own feature only
        expected = (1 - 0.5 * share)[:, None, None] * first + (0.5 * share)[:, None, None] * other
        np.testing.assert_allclose(game.transition(mu), expected, rtol=0, atol=ROUNDING)
        np.testing.assert_allclose(other.sum(axis=2), 1.0, rtol=0, atol=ROUNDING)
        assert other.min() >= -ROUNDING
    for s, term in enumerate(full.transition_terms):
        assert np.count_nonzero(np.delete(term, s, axis=0)) == 0


def test_the_seed_alone_decides_a_garnet():
    first, again, other = (games.make("garnet", seed=seed) for seed in (7, 7, 8))
    for name in ("base_transition", "base_reward", "transition_terms", "reward_terms"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
        assert np.abs(getattr(first, name) - getattr(other, name)).max() > 0.01


def test_successors_of_a_garnet_are_drawn_uniformly():
    """Chi-square of 10 500 successors: false alarm 1e-6, seeded."""
    game = games.make("garnet", n_states=30, n_actions=25, n_successors=15, seed=11)
    s, _, y = np.nonzero(game.base_transition)
    reached = np.bincount((y - s - 1) % 30, minlength=30)
    assert reached[0] == 750  # the next state, always
    share = 14 / 29  # of each pair 14 of the 29 others, without replacement: counts negatively correlated
    statistic = ((reached[1:] - 750 * share) ** 2).sum() / (750 * share * (1 - share)) * 28 / 29
    assert chi2.ppf(5e-7, 28) < statistic < chi2.ppf(1 - 5e-7, 28)


def test_a_large_garnet_is_sparse_and_holds_the_same_numbers(monkeypatch):
    dense = games.make("garnet", n_states=12, n_actions=3, seed=2, interaction="cyclic")
    monkeypatch.setattr(literature, "GARNET_DENSE_ENTRIES", 0)
    sparse = games.make("garnet", n_states=12, n_actions=3, seed=2, interaction="cyclic")
    assert sparse.is_sparse
    assert not dense.is_sparse
    for mu in mean_fields(12):
        table = sparse.transition(mu).toarray().reshape(12, 3, 12)
        np.testing.assert_allclose(table, dense.transition(mu), rtol=0, atol=ROUNDING)
        np.testing.assert_allclose(sparse.reward(mu), dense.reward(mu), rtol=0, atol=ROUNDING)
    monkeypatch.undo()
    large = games.make("garnet", n_states=300)
    assert large.is_sparse
    assert (np.diff(large.base_transition.indptr) == 5).all()


# --- equilibria


def solved(name, strengths, **changes):
    """Return the game and its equilibrium at the last strength, each one started where the one before it ended."""
    game, policy = games.make(name, **changes), None
    for strength in strengths:
        found = equilibrium.solve(game, Entropy(strength), start=policy)
        policy = found.policy
    assert max(map(abs, found.residuals.values())) < 1e-10
    return game, found


@pytest.mark.parametrize(
    ("name", "strengths", "changes"),
    [
        ("malware_spread", [0.1], {}),
        ("cournot_investment", [0.1], {}),
        ("garnet", [0.1], {}),
        ("garnet", [0.1], {"interaction": "cyclic", "coupling": 5.0}),
        # -log(mu) has slope 1 / mu(s) of some S: best responses overshoot far more than any step size tried can damp
        ("beach_bar", [1.0, 0.5, 0.3, 0.2, 0.1], {}),
        ("beach_bar", [1.0, 0.5, 0.3, 0.2, 0.1], {"ring": False, "noise": 0.1}),
        ("crowd_modelling_2d", [1.0, 0.5, 0.3, 0.2, 0.1], {"size": 5, "noise": 0.2}),
    ],
)
def test_games_are_solved_and_agents_do_more_than_diffuse(name, strengths, changes):
    game, found = solved(name, strengths, **changes)
    assert found.policy.max() > 1.5 / game.n_actions
    assert found.mean_field.max() > 1.5 * found.mean_field.min()
    # one recurrent class, and P free of mu or (garnet) a unique population: only a contraction in one step is missing
    assert [warning.split(":")[0] for warning in found.warnings] == ["no contraction of the population is guaranteed"]


def test_the_beach_is_fullest_at_the_bar_and_symmetric_about_it():
    mu = solved("beach_bar", [1.0, 0.5])[1].mean_field
    assert mu.argmax() == 5
    np.testing.assert_allclose(mu[1:], mu[:0:-1], rtol=0, atol=1e-10)  # the solver's tolerance


def test_the_crowd_is_symmetric_under_the_exchange_of_rows_and_columns():
    mu = solved("crowd_modelling_2d", [1.0, 0.5], size=4)[1].mean_field.reshape(4, 4)
    assert np.unravel_index(mu.argmax(), mu.shape) == (2, 2)
    np.testing.assert_allclose(mu, mu.T, rtol=0, atol=1e-10)


def test_devices_are_repaired_the_more_the_worse_they_are():
    """Huang and Ma's threshold policy, smoothed by the entropy."""
    found = solved("malware_spread", [0.1])[1]
    assert all(x < y for x, y in pairwise(found.policy[:, 1]))


@pytest.mark.parametrize("name", ["malware_spread", "cournot_investment"])
@pytest.mark.parametrize("strength", [0.02, 0.1, 1.0])
def test_the_answer_to_a_higher_average_is_a_lower_one(name, strength):
    """At most one equilibrium between two points of the grid: docs/theory, section 15.2."""
    game = games.make(name)
    levels = np.arange(game.n_states) / (game.n_states - 1)
    answers = []
    for average in np.linspace(0.0, 1.0, 21):
        mean_field = np.zeros(game.n_states)
        mean_field[[0, -1]] = 1.0 - average, average
        reward = game.reward(mean_field)
        policy = equilibrium.best_response(game.base_transition, reward, game.discount, regularizer=Entropy(strength))
        answers.append(levels @ operators.stable_population(game, policy))
    assert (np.diff(answers) < 0.0).all()
    found = equilibrium.solve(game, Entropy(strength)).mean_field @ levels
    place = int(np.floor(20 * found))
    assert answers[place] >= found >= answers[place + 1]


def test_more_demand_means_more_capacity_and_a_steeper_price_less():
    def capacity(**changes):
        game, found = solved("cournot_investment", [0.1], **changes)
        return np.arange(game.n_states) @ found.mean_field

    assert capacity(demand=2.0) > capacity() > capacity(price_slope=3.0)


def towards(game, rows, columns, goal):
    """Return the policy that walks to a cell, mixed with a tenth of the uniform one."""
    row, column = divmod(goal, columns)
    policy = np.full((game.n_states, 5), 0.02)
    for s in range(game.n_states):
        r, c = divmod(s, columns)
        policy[s, 0 if r < row else 2 if r > row else 1 if c < column else 3 if c > column else 4] += 0.9
    return policy


@pytest.mark.parametrize(
    ("name", "goals", "least"), [("cluster", [0, 3, 12, 15, 5], 0.9), ("target_agreement", [0, 15], 0.9)]
)
def test_coordination_games_have_an_equilibrium_wherever_agents_can_meet(name, goals, least):
    game = games.make(name)
    for goal in goals:
        found = equilibrium.solve(game, Entropy(0.3), start=towards(game, 4, 4, goal))
        assert max(map(abs, found.residuals.values())) < 1e-10
        assert found.mean_field[goal] > least


@pytest.mark.parametrize("regularizer", [Entropy(0.05), Entropy(1.0), Quadratic(0.5)], ids=str)
def test_being_everywhere_is_an_equilibrium_of_the_cluster_task(regularizer):
    game = games.make("cluster", rows=3, columns=4)
    uniform = operators.uniform_policy(game)
    found = equilibrium.residuals(game, uniform, np.full(12, 1 / 12), regularizer=regularizer)
    # rounding of values up to 25 + 10 log 5, over a strength of 0.05
    assert max(map(abs, found.values())) < 1e-11


def test_two_symmetric_targets_share_the_agents_in_an_equilibrium_of_their_own():
    game = games.make("target_agreement")
    # the half-turn of the grid exchanges the two targets, and up with down, right with left
    turned = operators.uniform_policy(game)
    found = equilibrium.solve(game, Entropy(2.0), start=turned)
    np.testing.assert_allclose(found.mean_field, found.mean_field[::-1], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.policy, found.policy[::-1][:, [2, 3, 0, 1, 4]], rtol=0, atol=1e-10)
    # and the halves continue to lower strengths, where each target alone is one as well
    for strength in (1.0, 0.5, 0.3):
        found = equilibrium.solve(game, Entropy(strength), start=found.policy)
        assert max(map(abs, found.residuals.values())) < 1e-10
    assert found.mean_field[0] == pytest.approx(found.mean_field[15], abs=1e-9)


# --- bad input


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("beach_bar", {"bar": 10}, "bar: got 10, expected a state, less than n_states = 10"),
        ("beach_bar", {"bar": -1}, "bar: got -1, expected an integer >= 0"),
        ("beach_bar", {"ring": 1}, "ring: got 1, expected true or false"),
        ("beach_bar", {"noise": 1.5}, "noise: got 1.5, expected a number in [0, 1]"),
        ("beach_bar", {"floor": 0.0}, "floor: got 0.0, expected a number in (0, 1)"),
        ("malware_spread", {"contagion": -1.0}, "contagion: got -1.0, expected a number >= 0"),
        ("crowd_modelling_2d", {"size": 0}, "size: got 0, expected an integer >= 1"),
        ("cournot_investment", {"depreciation": 2}, "depreciation: got 2, expected a number in [0, 1]"),
        ("cournot_investment", {"price_slope": float("nan")}, "price_slope: got nan, expected a number >= 0"),
        ("target_agreement", {"n_targets": 5}, "n_targets: got 5, expected an integer from 1 to 4"),
        ("target_agreement", {"n_targets": 3, "rows": 1}, "n_targets: got 3, expected at most the number of corners"),
        ("garnet", {"interaction": "skew"}, "interaction: got 'skew', expected one of potential, cyclic"),
        ("garnet", {"n_states": 4}, "n_successors: got 5, expected at most n_states, 4"),
        ("garnet", {"n_successors": 21}, "n_successors: got 21, expected at most n_states, 20"),
        ("garnet", {"transition_coupling": 1.1}, "transition_coupling: got 1.1, expected a number in [0, 1]"),
    ],
)
def test_parameters_out_of_range_are_refused(name, changes, message):
    with pytest.raises(InputError) as refused:
        games.make(name, **changes)
    assert str(refused.value).startswith(f"games.make: {message}")


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_game_can_be_made(name):
    smallest = {"n_states": 1, "n_actions": 1, "size": 1, "rows": 1, "columns": 1, "n_targets": 1, "n_successors": 1}
    accepted = inspect.signature(getattr(literature, name)).parameters
    game = games.make(name, **{key: value for key, value in smallest.items() if key in accepted})
    assert game.n_states == 1
    assert np.isfinite(game.reward(np.ones(1))).all()
