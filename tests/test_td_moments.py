"""The moments of TD learning: against every path of a few updates, against simulation, and their limits."""

from itertools import pairwise, product

import numpy as np
import pytest
from tests.references import family_game, random_policy

from pma_mfg import games, operators
from pma_mfg.errors import InputError
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import schedules
from pma_mfg.populations import spread, td_moments
from pma_mfg.regularizers import Entropy
from pma_mfg.simulation.exchangeable import initial_population
from pma_replication.experiments.ctd import measure as ctd_measure

GAME = family_game("affine", n_states=2, n_actions=2, discount=0.6)
POLICY = random_policy(GAME, 0)
H = Entropy(0.3)


def truth(game, policy, regularizer):
    return operators.q_values(game, policy, operators.stable_population(game, policy), regularizer=regularizer)


def every_path(game, policy, regularizer, n_updates, n_waiting, scale, offset, start):
    """Return mean and mean square of the error from all paths of the learner, one by one."""
    mean_field = operators.stable_population(game, policy)
    transition, reward = game.transition(mean_field), game.reward(mean_field)
    pairs = list(product(range(game.n_states), range(game.n_actions)))
    mean, square, steps = 0.0, 0.0, n_updates * (n_waiting + 1)
    for path in product(pairs, repeat=steps + 1):
        probability = mean_field[path[0][0]] / game.n_actions
        for (s, a), (y, b) in pairwise(path):
            probability *= transition[s, a, y] * policy[y, b]
        q = np.full(policy.shape, start)
        for m in range(n_updates):
            here, (y, b) = path[(m + 1) * (n_waiting + 1) - 1], path[(m + 1) * (n_waiting + 1)]
            target = reward[here] + game.discount * (q[y, b] + regularizer.value(policy)[y])
            q[here] += scale / (m + offset) * (target - q[here])
        error = q - truth(game, policy, regularizer)
        mean, square = mean + probability * error, square + probability * error**2
    return mean, square


@pytest.mark.parametrize(("n_updates", "n_waiting"), [(1, 0), (3, 0), (2, 1), (1, 3)])
def test_moments_are_those_of_every_path(n_updates, n_waiting):
    mean, square = every_path(GAME, POLICY, H, n_updates, n_waiting, 1.5, 2.0, 0.3)
    found = td_moments.moments(
        GAME, POLICY, H, n_updates=[n_updates], n_waiting=n_waiting, td_scale=1.5, td_offset=2.0, start=0.3
    )
    # sums of 4^5 numbers of order 1
    np.testing.assert_allclose(found.mean[0], mean, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.mean_square[0], square, rtol=0, atol=1e-13)


def test_waiting_times_side_by_side_have_the_moments_of_each_alone():
    waits = np.array([[0.0, np.inf], [3.0, 1.0]])
    steps = {"n_updates": [2, 5], "td_scale": 1.5, "td_offset": 2.0, "start": 0.3}
    together = td_moments.moments(GAME, POLICY, H, n_waiting=waits, **steps)
    for place, wait in np.ndenumerate(waits):
        alone = td_moments.moments(GAME, POLICY, H, n_waiting=wait, **steps)
        np.testing.assert_array_equal(together.mean[place], alone.mean)
        np.testing.assert_array_equal(together.mean_square[place], alone.mean_square)


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="steps that are too large by 20 %")
@pytest.mark.parametrize("n_waiting", [0, 2])
def test_moments_are_those_of_simulated_learning(n_waiting, level):
    game = family_game("affine", n_states=3, n_actions=2, discount=0.5)
    policy, runs, n_agents = random_policy(game, 1), 2000, 10**9
    mean_field = operators.stable_population(game, policy)
    updates = [20, 200]
    scale = schedules.td_scale(game, policy)
    errors, q_true = np.empty((runs, 2, 3, 2)), truth(game, policy, H)
    for r in range(runs):
        rng = np.random.default_rng([5, r])
        population = initial_population(game, n_agents, rng, mean_field=mean_field)
        q = learning.ctd(
            game,
            policy,
            n_agents,
            regularizer=H,
            n_updates=updates,
            n_waiting=n_waiting,
            td_scale=scale,
            td_offset=scale,
            rng=rng,
            population=population,
            start=0.5,
        )
        errors[r] = q - q_true
    exact, wrong = (
        td_moments.moments(
            game,
            policy,
            H,
            n_updates=updates,
            n_waiting=n_waiting,
            td_scale=size * scale,
            td_offset=size * scale,
            start=0.5,
        )
        for size in (1.0, 1.2)
    )
    # the finite population moves Q by some 1e-5
    level.means(errors, exact.mean, 1e-5, wrong.mean, share=0.5)
    level.means(errors**2, exact.mean_square, 1e-5, share=0.5)


def test_independent_samples_are_the_limit_of_waiting():
    updates, rates = [10, 300], td_moments.forgetting_rate(GAME, POLICY)
    limit = td_moments.moments(GAME, POLICY, H, n_updates=updates, n_waiting=np.inf, td_scale=2.0, td_offset=4.0)
    gaps = []
    for n_waiting in (2, 4, 6):
        found = td_moments.moments(GAME, POLICY, H, n_updates=updates, n_waiting=n_waiting, td_scale=2.0, td_offset=4.0)
        gaps.append(
            [np.abs(x - y).max() for x, y in ((found.mean, limit.mean), (found.mean_square, limit.mean_square))]
        )
    # two states: one eigenvalue, so that the bias falls by its square at once, up to its own higher powers
    np.testing.assert_allclose(np.array(gaps[2]) / gaps[1], rates**2, rtol=0.1)
    assert rates == pytest.approx(
        abs(
            np.linalg.eigvals(td_moments.pair_chain(GAME, POLICY)[0])[
                np.argsort(-np.abs(np.linalg.eigvals(td_moments.pair_chain(GAME, POLICY)[0])))
            ][1]
        ),
        abs=1e-12,
    )


def test_learning_from_independent_samples_starts_from_the_true_q_without_a_mean_error():
    # an unbiased linear iteration: the mean error is a linear map of that of the start
    low, high = (
        td_moments.moments(
            GAME, POLICY, H, n_updates=[1, 5], n_waiting=np.inf, td_scale=2.0, td_offset=4.0, start=start
        ).mean
        for start in (-1.0, 1.0)
    )
    q = truth(GAME, POLICY, H)
    shrink = (high - low) / 2.0  # of a start that is one everywhere
    assert (shrink < 1.0).all()
    assert (shrink > 0.0).all()
    middle = td_moments.moments(
        GAME, POLICY, H, n_updates=[1, 5], n_waiting=np.inf, td_scale=2.0, td_offset=4.0, start=0.0
    ).mean
    np.testing.assert_allclose(middle, 0.5 * (low + high), rtol=0, atol=1e-14 * np.abs(q).max() * 10)


@pytest.mark.parametrize(
    ("field", "value"), [("n_updates", []), ("n_updates", [3, 3]), ("n_waiting", 1.5), ("n_waiting", -1)]
)
def test_numbers_that_make_no_sense_are_refused(field, value):
    good = {"n_updates": [1], "n_waiting": 0}
    with pytest.raises(InputError, match=field):
        td_moments.moments(GAME, POLICY, H, **(good | {field: value}), td_scale=1.0, td_offset=1.0)


def test_independent_samples_have_the_moments_of_infinite_waiting():
    """Two recursions on one law: of the pairs' moments given the pair, and of the covariance (10.6)."""
    game = family_game("planted_smooth")
    policy, regularizer = game.planted.policy, Entropy(game.planted.strength)
    of_pairs = td_moments.moments(
        game, policy, regularizer, n_updates=[1, 7, 60], n_waiting=np.inf, td_scale=9.0, td_offset=12.0, start=0.7
    )
    for i, n_updates in enumerate([1, 7, 60]):
        mean, covariance = spread.td_moments(
            game, policy, regularizer, n_updates=n_updates, scale=9.0, offset=12.0, start=0.7
        )
        # rounding of 60 products of 12 x 12 matrices
        np.testing.assert_allclose(of_pairs.mean[i].ravel(), mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(of_pairs.mean_square[i].ravel(), np.diag(covariance) + mean**2, rtol=0, atol=1e-12)


def test_from_the_settled_number_of_updates_on_the_start_is_at_most_half_of_the_noise_and_not_long_before():
    game = games.make("planted_smooth", n_states=5, n_actions=3, discount=0.8, seed=1, strength=0.1)
    policy, regularizer = game.planted.policy, Entropy(0.1)
    scale = schedules.td_scale(game, policy)
    first = ctd_measure.settled(game, policy, regularizer)
    assert first > 10.0 * scale  # not where the steps alone have settled, at 5 c
    updates = [int(first / 10), int(first)]
    found = td_moments.moments(
        game, policy, regularizer, n_updates=updates, n_waiting=np.inf, td_scale=scale, td_offset=scale
    )
    start = np.abs(found.mean).max(axis=(1, 2))
    noise = np.sqrt(found.mean_square.max(axis=(1, 2)) - start**2)
    before, after = start / noise
    assert after <= ctd_measure.START_SHARE < before
