"""Games as environments of MFGLib: the same tables, the same exploitability, and its methods run on them.

Only with MFGLib (make test-interop). Its numbers come from code that shares nothing with the library's.
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.references import (
    CURVED_LINKS,
    FAMILY_PARAMETERS,
    SYMMETRIC_PARAMETERS,
    all_games,
    curved_game,
    family_game,
    random_policy,
    sparse_copy,
)

from pma_mfg import equilibrium, games, operators
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games import FunctionGame, MeanFieldGame
from pma_mfg.regularizers import Entropy

pytestmark = pytest.mark.interop
WHY = "MFGLib is not installed: make test-interop"
torch = pytest.importorskip("torch", reason=WHY)
pytest.importorskip("mfglib", reason=WHY)

from mfglib.alg import MFOMO, OnlineMirrorDescent  # noqa: E402
from mfglib.env import Environment  # noqa: E402
from mfglib.policy import Policy  # noqa: E402
from mfglib.scoring import exploitability_score  # noqa: E402

from pma_mfg.interop import mfglib  # noqa: E402

HORIZON, DISCOUNT = 400, 0.9  # 0.9^401 sp(R) / (1 - 0.9) is below 1e-16 for every sp(R) < 20
NAMED = {**FAMILY_PARAMETERS, **SYMMETRIC_PARAMETERS}


@pytest.fixture(autouse=True)
def float64():
    """Set MFGLib's precision as a user does, and give it back; one thread, because small tensors gain from no more."""
    before, threads = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    yield
    torch.set_default_dtype(before)
    torch.set_num_threads(threads)


def function_game(game: MeanFieldGame) -> FunctionGame:
    """Return the same game, given by functions."""
    return FunctionGame(game.discount, game.transition, game.reward, n_states=game.n_states, n_actions=game.n_actions)


def both_exploitabilities(game: MeanFieldGame, policy: np.ndarray) -> tuple[float, float]:
    mean_field = operators.stable_population(game, policy)
    environment = mfglib.environment(game, HORIZON, mean_field)
    theirs = exploitability_score(environment, mfglib.policy(policy).build(environment))
    return equilibrium.exploitability(game, policy), theirs


def distance_allowed(game: MeanFieldGame) -> float:
    """1e-9, and 1e-12 of the values' size where that is more: a sum of 400 terms of that size is not known better."""
    size = mfglib.environment(game, 1).r_max / (1.0 - game.discount)
    return max(1e-9, 1e-12 * size)


@pytest.mark.parametrize("name", [*NAMED, *(f"link {link}" for link in CURVED_LINKS)])
@pytest.mark.parametrize("seed", [0, 1])
def test_exploitability_is_that_of_mfglib(name: str, seed: int) -> None:
    game = curved_game(name.split()[1], discount=DISCOUNT) if " " in name else family_game(name, discount=DISCOUNT)
    ours, theirs = both_exploitabilities(game, random_policy(game, seed, 1.0))
    assert ours > 1e-3  # there is something to compare
    assert abs(ours - theirs) <= 1e-9


#: Families without defaults, which are not of the literature.
GENERATED = {"planted_coupled", "planted_rare"}


@pytest.mark.parametrize("family", sorted(set(games.families()) - set(NAMED) - GENERATED))
def test_exploitability_is_that_of_mfglib_in_games_of_the_literature(family: str) -> None:
    game = games.make(family)
    policy = random_policy(game, 0, 1.0)
    try:
        mean_field = operators.stable_population(game, policy)
    except ConvergenceError:
        pytest.skip(f"{family} has no stable population that is found, so nothing to start MFGLib's flow from")
    jacobian = operators.population_jacobian(game.dense("tests"), mean_field, policy)
    if game.discount * np.abs(np.linalg.eigvals(jacobian)).max() >= 1.0:
        pytest.skip(f"rounding drives MFGLib's flow away from the stable population of {family} (section 16.1)")
    assert game.discount == DISCOUNT
    ours, theirs = both_exploitabilities(game, policy)
    assert abs(ours - theirs) <= distance_allowed(game)


def test_an_equilibrium_without_regularizer_is_one_for_mfglib_too() -> None:
    game = family_game("planted_smooth", discount=DISCOUNT)
    found = equilibrium.solve(game, Entropy(game.planted.strength))
    ours, theirs = both_exploitabilities(game, found.policy)
    assert 0.0 <= theirs <= game.planted.strength * np.log(game.n_actions) / (1.0 - DISCOUNT)  # Proposition 8.2
    assert abs(ours - theirs) <= 1e-9


def test_a_game_given_by_functions_has_the_environment_of_the_same_tables() -> None:
    game = curved_game("absolute", discount=DISCOUNT)
    policy = random_policy(game, 0, 1.0)
    mean_field = operators.stable_population(game, policy)
    one, other = (mfglib.environment(of, 20, mean_field) for of in (game, function_game(game)))
    scores = [exploitability_score(of, mfglib.policy(policy).build(of)) for of in (one, other)]
    assert scores[0] == scores[1]
    assert 0.5 * one.r_max < other.r_max <= one.r_max


def test_truncation_error_is_within_its_bound_and_of_its_size() -> None:
    game = family_game("crowd_averse", discount=DISCOUNT)
    policy = random_policy(game, 0, 1.0)
    mean_field = operators.stable_population(game, policy)
    reward = game.reward(mean_field)
    exact = equilibrium.exploitability(game, policy)
    errors = []
    for horizon in (1, 5, 20, 60):
        environment = mfglib.environment(game, horizon, mean_field)
        error = abs(exact - exploitability_score(environment, mfglib.policy(policy).build(environment)))
        assert error <= DISCOUNT ** (horizon + 1) * np.ptp(reward) / (1.0 - DISCOUNT)
        errors.append(error)
    assert errors[-1] > 1e-3 * DISCOUNT**61 * np.ptp(reward)  # a bound that is not idle: a horizon of 60 is too short


@pytest.mark.parametrize(("name", "game"), all_games().items(), ids=all_games().keys())
def test_tables_are_the_game_s_on_mfglib_s_axes(name: str, game: MeanFieldGame) -> None:
    environment = mfglib.environment(game, 10)
    joint = 1.7 * np.random.default_rng(0).dirichlet(np.ones(game.n_states * game.n_actions))  # a mass that drifted
    joint = joint.reshape(game.n_states, game.n_actions)
    mean_field = joint.sum(axis=1) / joint.sum()
    transition, reward = (of(3, torch.tensor(joint)).numpy() for of in (environment.prob, environment.reward))
    assert transition.dtype == reward.dtype == float
    # two roundings of sums of some ten terms below 3
    np.testing.assert_allclose(transition, np.moveaxis(game.transition(mean_field), 2, 0), atol=1e-14)
    np.testing.assert_allclose(reward, game.discount**3 * game.reward(mean_field), atol=1e-14)
    assert environment.r_max >= np.abs(game.reward(mean_field)).max() * (1.0 - 1e-15)


def test_sparse_games_give_the_environment_of_their_dense_copies() -> None:
    game = family_game("crowd_averse", discount=DISCOUNT)
    joint = torch.full((game.n_states, game.n_actions), 1.0 / game.base_reward.size)
    one, other = (mfglib.environment(of, 5) for of in (game, sparse_copy(game)))
    assert torch.equal(one.prob(0, joint), other.prob(0, joint))
    assert torch.equal(one.reward(0, joint), other.reward(0, joint))


@pytest.mark.parametrize("link", CURVED_LINKS)
@pytest.mark.parametrize("by_functions", [False, True])
def test_derivatives_in_the_joint_law_are_those_of_finite_differences(link: str, by_functions: bool) -> None:
    game = function_game(curved_game(link)) if by_functions else curved_game(link)
    environment = mfglib.environment(game, 5)
    rng = np.random.default_rng(1)
    joint = torch.tensor(rng.dirichlet(np.ones(12)).reshape(4, 3))

    def weighted(law):
        return (weights[0] * environment.prob(2, law)).sum() + (weights[1] * environment.reward(2, law)).sum()

    weights = [torch.tensor(rng.normal(size=of.shape)) for of in (environment.prob(0, joint), joint)]
    variable = joint.clone().requires_grad_()
    weighted(variable).backward()
    direction = torch.tensor(rng.normal(size=joint.shape))
    step = 1e-5  # central differences: an error of order 1e-10, and rounding of order 1e-11
    difference = (weighted(joint + step * direction) - weighted(joint - step * direction)) / (2 * step)
    assert abs(float((variable.grad * direction).sum() - difference)) < 1e-7


def test_methods_of_mfglib_lower_the_exploitability() -> None:
    game = family_game("crowd_averse", discount=0.7)
    environment = mfglib.environment(game, 10)
    for method in (OnlineMirrorDescent(alpha=1.0), MFOMO()):
        _, scores, _ = method.solve(environment, max_iter=40, atol=None, rtol=None)
        assert min(scores) < 0.3 * scores[0]  # it has the right derivatives and tables, or it would not


def test_a_default_type_of_single_precision_is_refused() -> None:
    torch.set_default_dtype(torch.float32)
    with pytest.raises(InputError, match=re.escape("got torch.float32, expected torch.float64, by torch.set_default")):
        mfglib.environment(family_game("affine"), 10)


@pytest.mark.parametrize(
    ("horizon", "mean_field", "message"),
    [
        (0, None, "horizon: got 0, expected an integer >= 1"),
        (2.5, None, "horizon: got 2.5"),
        (5, np.ones(4), "mean_field: got the sum 4.0, off by 3, expected a distribution: probabilities that sum to 1"),
        (5, np.ones(3) / 3, "mean_field: got shape (3,), expected shape (4,)"),
        (5, np.array([np.nan, 1.0, 0.0, 0.0]), "mean_field: entry 0: got nan, expected a distribution"),
    ],
)
def test_bad_input_is_refused(horizon: int, mean_field: np.ndarray | None, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        mfglib.environment(family_game("affine"), horizon, mean_field)


def test_the_documented_example_runs(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/libraries.md").read_text()
    code = next(
        block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "interop.mfglib import" in block
    )
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True)
    ours, theirs = map(float, printed.split())
    assert abs(ours - theirs) <= 1e-9


def test_a_policy_of_mfglib_comes_back_as_it_went():
    game = family_game("crowd_averse")
    held, environment = random_policy(game, 0), mfglib.environment(game, 5)
    for given in (mfglib.policy(held), mfglib.policy(held).build(environment), np.tile(held, (6, 1, 1)).tolist()):
        np.testing.assert_array_equal(mfglib.stationary_policy(given, game, environment=environment), held)
    grid = Environment.beach_bar(T=3, n=4)
    uniform = mfglib.stationary_policy(Policy.uniform(), games.make("beach_bar", n_states=4), environment=grid)
    np.testing.assert_array_equal(uniform, np.full((4, 3), 1.0 / 3.0))


def test_of_a_policy_of_mfglib_that_changes_the_time_is_to_be_said():
    game = family_game("crowd_averse")
    environment = mfglib.environment(game, 20)
    found = OnlineMirrorDescent().solve(environment, max_iter=5)[0][-1]
    np.testing.assert_array_equal(mfglib.stationary_policy(found, game, time=3), found[3].numpy())
    with pytest.raises(InputError, match=r"policy at time \d+: got another rule than at time 0 in state \d, by \d"):
        mfglib.stationary_policy(found, game)
    wrong = found.numpy().copy()
    wrong[3, 1] = 0.25
    for given, arguments, message in [
        (mfglib.policy(random_policy(game, 0)), {}, "environment: got nothing, expected the environment of the policy"),
        (found[:, :, :2], {}, "policy: got shape (21, 4, 2), expected shape (T + 1, 4, 3)"),
        (found, {"time": 21}, "time: got 21, expected a time from 0 to 20"),
        (wrong, {"time": 3}, "policy: row 1: got the sum 0.75, off by -0.25"),
    ]:
        with pytest.raises(InputError, match=re.escape(message)):
            mfglib.stationary_policy(given, game, **arguments)


@pytest.mark.parametrize("family", ["crowd_averse", "affine"])
def test_a_game_of_ours_comes_back_from_mfglib_entry_by_entry(family):
    game = family_game(family, discount=DISCOUNT)
    found = mfglib.stationary_game(mfglib.environment(game, 6), DISCOUNT)
    for mean_field in np.random.default_rng(0).dirichlet(np.ones(game.n_states), size=3):
        np.testing.assert_allclose(found.transition(mean_field), game.transition(mean_field), rtol=0.0, atol=1e-12)
        np.testing.assert_allclose(found.reward(mean_field), game.reward(mean_field), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("beach_bar", {"n": 5}),
        ("susceptible_infected", {}),
        ("building_evacuation", {"n_floor": 2, "floor_l": 2, "floor_w": 2}),
    ],
)
def test_environments_of_mfglib_become_games_entry_by_entry(name, arguments):
    environment = getattr(Environment, name)(**arguments)
    game = mfglib.stationary_game(environment, DISCOUNT)
    joint = np.random.default_rng(2).dirichlet(np.ones(game.n_states * game.n_actions))
    law = torch.tensor(joint).reshape(*environment.S, *environment.A)
    mean_field = joint.reshape(game.n_states, game.n_actions).sum(axis=1)
    for time in (0, environment.T):
        theirs = environment.prob(time, law).reshape(game.n_states, game.n_states, game.n_actions).numpy()
        np.testing.assert_allclose(game.transition(mean_field), np.moveaxis(theirs, 0, 2), rtol=0.0, atol=1e-12)
        rewards = environment.reward(time, law).reshape(game.n_states, -1).numpy()
        np.testing.assert_allclose(
            game.reward(mean_field), np.broadcast_to(rewards, (game.n_states, game.n_actions)), atol=1e-12
        )
    assert game.state_labels[:2] == (("0, 0, 0", "0, 0, 1") if name == "building_evacuation" else ())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "conservative_treasure_hunting",
            r"transition of state 0, action 0, next state 0: got 0.51\d* at time 1 and 1 at time 0",
        ),
        ("linear_quadratic", r"reward of state 0, action 2: got -12.5 at time 3 and -0.625 at time 0"),
        ("random_linear", r"got a change by 0.\d+ with the population's actions, expected none"),
    ],
)
def test_environments_that_are_no_stationary_games_are_refused_with_the_entry(name, message):
    with pytest.raises(InputError, match=message) as raised:
        mfglib.stationary_game(getattr(Environment, name)(), DISCOUNT)
    assert "\n" not in str(raised.value)


def read_only(array):
    locked = array.copy()
    locked.flags.writeable = False
    return locked


@pytest.mark.parametrize(
    "form", [np.ndarray.tolist, lambda x: x.astype(np.float32), lambda x: x.astype(">f8"), read_only]
)
def test_a_policy_and_a_mean_field_are_taken_as_they_come(form):
    game, policy = family_game("affine"), np.array([[0.25, 0.5, 0.25]] * 4)
    environment = mfglib.environment(game, 3, form(np.array([0.25, 0.5, 0.125, 0.125])))
    assert environment.mu0.tolist() == [0.25, 0.5, 0.125, 0.125]
    sent = mfglib.policy(form(policy)).build(environment)
    np.testing.assert_array_equal(sent.numpy(), np.tile(policy, (4, 1, 1)))
    np.testing.assert_array_equal(mfglib.stationary_policy(form(sent.numpy()), game), policy)
    with pytest.raises(InputError, match=r"probabilities: row 2: got the sum 0\.75, off by -0\.25"):
        mfglib.policy(form(policy * np.array([[1.0], [1.0], [0.75], [1.0]])))
