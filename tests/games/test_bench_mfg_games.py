"""The games of Bench-MFG, entry by entry against their formulas, written here as loops over states and actions."""

import inspect
from math import log

import numpy as np
import pytest

from pma_mfg import equilibrium, games, operators
from pma_mfg.errors import InputError
from pma_mfg.games import benchmarks, grids, registry
from pma_mfg.regularizers import Entropy

NAMES = [name for name, found in registry.FAMILIES.items() if found.function.__module__ == benchmarks.__name__]
#: Sums of at most five probabilities, and products of rewards with features: a few roundings.
ROUNDING = 1e-14


def mean_fields(size):
    """Return every vertex of the simplex (or 12 of them), the uniform distribution and random ones."""
    rng = np.random.default_rng(size)
    vertices = np.eye(size)[:: max(1, size // 12)]
    return [*vertices, np.full(size, 1.0 / size), *rng.dirichlet(np.full(size, 0.3), size=3)]


def clip(x, low, high):
    return min(max(x, low), high)


def chain_transition(s, a, mu):
    chances = np.zeros(7)
    for noise, chance in ((-1, 0.025), (0, 0.95), (1, 0.025)):
        chances[clip(s + (a - 1) + noise, 0, 6)] += chance
    return chances


def contraction_transition(s, a, mu):
    return [[1, 0], [0, 1]][s if a == 0 else 1 - s]


def sis_transition(s, a, mu):
    if s == 1:
        return [0.1, 0.9]
    infected = 0.8 * (a / 4) * mu[1]
    return [1.0 - infected, infected]


STEPS = [(1, 0), (0, 1), (-1, 0), (0, -1), (0, 0)]


def kinetic_transition(s, a, mu):
    row, column = s // 5 + STEPS[a][0], s % 5 + STEPS[a][1]
    target = 5 * clip(row, 0, 4) + clip(column, 0, 4)
    chances = np.zeros(25)
    success = 1.0 - min(1.0, mu[target] / 0.18)
    chances[target] += success
    chances[s] += 1.0 - success
    return chances


DOORS = [(2, 5), (8, 5), (5, 8), (5, 2)]


def is_wall(row, column):
    return (row == 5 or column == 5) and (row, column) not in DOORS


def rooms_transition(s, a, mu):
    chances = np.zeros(121)
    if is_wall(s // 11, s % 11):
        free = [z for z in range(121) if not is_wall(z // 11, z % 11)]
        chances[free] = 1 / len(free)
        return chances
    for noise in STEPS:
        row, column = s // 11 + STEPS[a][0] + noise[0], s % 11 + STEPS[a][1] + noise[1]
        allowed = 0 <= row <= 10 and 0 <= column <= 10 and not is_wall(row, column)
        chances[11 * row + column if allowed else s] += 0.2
    return chances


RULES = {
    "contraction_game": (contraction_transition, lambda s, a, mu: -2.0 * (a == 1) - 2.0 * mu[s]),
    "rock_paper_scissors": (
        lambda s, a, mu: np.eye(3)[a],
        lambda s, a, mu: float(mu[(s + 2) % 3] - mu[(s + 1) % 3]),  # rock beats scissors and loses to paper
    ),
    "lasry_lions_chain": (
        chain_transition,
        lambda s, a, mu: -2.0 * abs(a - 1) - 3.0 * (s - 3) ** 2 - 40.0 * mu[s],
    ),
    "multiple_equilibria": (
        chain_transition,
        lambda s, a, mu: -4.0 * abs(a - 1) - 20.0 * min(abs(s - 2), abs(s - 4)) + 5.0 * mu[s],
    ),
    "no_interaction": (chain_transition, lambda s, a, mu: -0.1 * abs(a - 1) + s),
    "sis_epidemic": (sis_transition, lambda s, a, mu: a / 4 - 10.0 * (s == 1)),
    "kinetic_congestion": (kinetic_transition, lambda s, a, mu: -1.0 * (s != 24) - 0.1 * (a != 4)),
    "four_rooms": (rooms_transition, lambda s, a, mu: -log(max(mu[s], 1e-12))),
}
SIZES = {"contraction_game": (2, 2), "rock_paper_scissors": (3, 3), "sis_epidemic": (2, 5)}
SIZES |= dict.fromkeys(("lasry_lions_chain", "multiple_equilibria", "no_interaction"), (7, 3))
SIZES |= {"kinetic_congestion": (25, 5), "four_rooms": (121, 5)}


def test_every_family_is_tested():
    assert sorted(RULES) == sorted(SIZES) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_tables_equal_their_formulas(name):
    game = games.make(name)
    transition, reward = RULES[name]
    assert (game.n_states, game.n_actions) == SIZES[name]
    assert game.discount == 0.9
    for mu in mean_fields(game.n_states):
        P, R = game.transition(mu), game.reward(mu)
        for s in range(game.n_states):
            for a in range(game.n_actions):
                np.testing.assert_allclose(P[s, a], transition(s, a, mu), rtol=0, atol=ROUNDING)
                assert R[s, a] == pytest.approx(reward(s, a, mu), rel=ROUNDING, abs=ROUNDING)


@pytest.mark.parametrize("name", NAMES)
def test_games_are_drawn_labelled_and_made_from_numbers_alone(name):
    game = games.make(name)
    assert len(game.state_labels) == game.n_states
    assert len(game.action_labels) == game.n_actions
    assert len(np.unique(game.layout, axis=0)) == game.n_states
    assert {p.annotation for p in inspect.signature(getattr(benchmarks, name)).parameters.values()} <= {"int", "float"}


@pytest.mark.parametrize(
    ("name", "changes", "at", "expected"),
    [
        ("contraction_game", {"switching_cost": 5.0, "coupling": 3.0}, (1, 1), -5.0 - 3.0 * 0.75),
        ("rock_paper_scissors", {"coupling": 4.0}, (0, 0), 4.0 * (0.5 - 0.25)),
        ("lasry_lions_chain", {"n_states": 2, "coupling": 8.0, "centring": 4.0}, (0, 2), -2.0 - 1.0 - 8.0 * 0.25),
        ("multiple_equilibria", {"n_states": 2, "separation": 1.0, "attraction": 7.0}, (0, 1), 7.0 * 0.25),
        ("multiple_equilibria", {"n_states": 2, "separation": 0.0, "remoteness_cost": 2.0}, (0, 1), -1.0 + 5.0 * 0.25),
        ("no_interaction", {"n_states": 2, "movement_cost": 2.5}, (1, 0), 1.0 - 2.5),
        ("sis_epidemic", {"n_actions": 3, "infection_cost": 4.0}, (1, 1), 0.5 - 4.0),
        ("kinetic_congestion", {"rows": 1, "columns": 2, "movement_cost": 0.3}, (0, 1), -1.3),
        ("four_rooms", {"rows": 3, "columns": 3, "coupling": 2.0}, (0, 1), -2.0 * log(0.25)),
    ],
)
def test_parameters_enter_the_reward(name, changes, at, expected):
    game = games.make(name, **changes)
    mu = np.zeros(game.n_states)
    mu[:2] = 0.25, 0.75
    if name == "rock_paper_scissors":
        mu = np.array([0.25, 0.25, 0.5])
    assert game.reward(mu)[at] == pytest.approx(expected, rel=ROUNDING)


@pytest.mark.parametrize(
    ("name", "changes", "at", "expected"),
    [
        ("no_interaction", {"n_states": 3, "slip": 0.5}, (0, 0), [0.75 + 0.25 * 0.0 + 0.25, 0.0, 0.0]),
        ("no_interaction", {"n_states": 3, "slip": 0.5}, (1, 2), [0.0, 0.25, 0.75]),
        ("no_interaction", {"n_states": 1}, (0, 2), [1.0]),
        ("sis_epidemic", {"n_actions": 2, "infection_rate": 0.4, "recovery": 0.3}, (0, 1), [0.7, 0.3]),
        ("sis_epidemic", {"recovery": 0.3}, (1, 1), [0.3, 0.7]),
        ("kinetic_congestion", {"rows": 1, "columns": 2, "capacity": 1.0}, (0, 1), [0.75, 0.25]),
    ],
)
def test_parameters_enter_the_transitions(name, changes, at, expected):
    game = games.make(name, **changes)
    mu = np.array([0.25, 0.75]) if game.n_states == 2 else np.full(game.n_states, 1.0 / game.n_states)
    np.testing.assert_allclose(game.transition(mu)[at], expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(("rows", "columns"), [(11, 11), (3, 3), (4, 7), (8, 5)])
def test_four_rooms_of_any_size_are_four_rooms_joined_by_four_doors(rows, columns):
    walls = benchmarks.four_rooms_walls(rows, columns)
    assert walls.sum() == rows + columns - 1 - 4
    game = games.make("four_rooms", rows=rows, columns=columns)
    kernel = operators.policy_kernel(game.base_transition, operators.uniform_policy(game))
    (recurrent,) = operators.recurrent_classes(kernel)
    assert recurrent.tolist() == np.flatnonzero(~walls.ravel()).tolist()


def test_nobody_enters_a_wall_and_none_is_left_there():
    game = games.make("four_rooms")
    walls = np.flatnonzero([is_wall(s // 11, s % 11) for s in range(121)])
    entered = game.base_transition.copy()
    entered[walls, :, walls] = 0.0  # staying is not entering
    assert (entered[:, :, walls] == 0.0).all()
    rng = np.random.default_rng(0)
    for policy in (operators.uniform_policy(game), rng.dirichlet(np.full(5, 0.3), size=121)):
        population = operators.stable_population(game, policy)
        assert population[walls].max() <= 1e-13  # the solver's residual: walls lose all they have in a step
        assert np.delete(population, walls).min() > 1e-6


def test_kinetic_congestion_never_moves_more_than_it_may():
    game = games.make("kinetic_congestion")
    assert grids.MOVES["up"] == STEPS[0]  # row 0 is at the bottom, as in Bench-MFG
    full = np.zeros(25)
    full[24] = 1.0
    assert (game.transition(full)[19, 0] == np.eye(25)[19]).all()  # a full cell cannot be entered
    assert (game.transition(np.eye(25)[0])[19, 0] == np.eye(25)[24]).all()  # an empty one can


@pytest.mark.parametrize(
    ("name", "changes", "field"),
    [
        ("four_rooms", {"rows": 2}, "rows, columns"),
        ("four_rooms", {"floor": 0.0}, "floor"),
        ("kinetic_congestion", {"capacity": 0.0}, "capacity"),
        ("sis_epidemic", {"infection_rate": 1.5}, "infection_rate"),
        ("lasry_lions_chain", {"slip": -0.1}, "slip"),
        ("multiple_equilibria", {"separation": -1}, "separation"),
        ("rock_paper_scissors", {"n_states": 3}, "n_states"),
    ],
)
def test_parameters_out_of_range_are_refused(name, changes, field):
    with pytest.raises(InputError, match=field):
        games.make(name, **changes)


def test_the_crowd_of_four_rooms_spreads_evenly():
    """Every free cell has as many neighbours as it is one of: moves at random keep the uniform law, which suits all."""
    game = games.make("four_rooms")
    found = equilibrium.solve(game, Entropy(0.3))
    free = found.mean_field > 1e-6
    np.testing.assert_allclose(found.mean_field[free], 1 / 104, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.policy[free], 0.2, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("name", "strength"), [("sis_epidemic", 0.1), ("lasry_lions_chain", 0.2)])
def test_equilibria_that_no_step_size_of_mirror_ascent_reaches_are_followed_from_a_strong_regularizer(name, strength):
    found = equilibrium.solve(games.make(name), Entropy(strength))
    assert max(map(abs, found.residuals.values())) < 1e-10
