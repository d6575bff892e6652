"""Closed forms for large N against exact chains, quadrature and simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, norm
from tests.statistical import Level

from pma_mfg import games, operators, seeds
from pma_mfg.errors import InputError
from pma_mfg.games import Features, MeanFieldGame
from pma_mfg.populations import fluctuations, gaussian_averages
from pma_mfg.regularizers import Entropy
from pma_mfg.simulation import exchangeable as simulation

ENTROPY = Entropy(0.1)


def planted(family: str, n_states: int = 3) -> MeanFieldGame:
    return games.make(family, n_states=n_states, n_actions=2, discount=0.6, seed=3, strength=0.1)


def exact_two_state_q(game: MeanFieldGame, policy: np.ndarray, n_agents: int) -> tuple[np.ndarray, float]:
    """The limit of TD learning with N agents and two states, exactly, and E||mu_hat - mu_pi||_1.

    The number of agents in state 1 is a Markov chain on 0..N; given k, two binomials move on.
    """
    counts = np.arange(n_agents + 1)
    fields = np.stack([1.0 - counts / n_agents, counts / n_agents], axis=1)
    chain = np.empty((n_agents + 1, n_agents + 1))
    for k, field in enumerate(fields):
        kernel = operators.policy_kernel(game.transition(field), policy)
        from_zero = binom.pmf(np.arange(n_agents - k + 1), n_agents - k, kernel[0, 1])
        from_one = binom.pmf(np.arange(k + 1), k, kernel[1, 1])
        chain[k] = np.convolve(from_zero, from_one)
    system = np.vstack([chain.T - np.eye(n_agents + 1), np.ones(n_agents + 1)])
    law = np.linalg.lstsq(system, np.append(np.zeros(n_agents + 1), 1.0), rcond=None)[0]
    weights = law[:, None] * fields
    weights /= weights.sum(axis=0)  # the law of the field given an agent's own state
    process = fluctuations.decision_process(
        game,
        weights.T @ game.transition_features.values(fields),
        weights.T @ game.reward_features.values(fields),
    )
    stable = operators.stable_population(game, policy)
    deviation = float(law @ np.abs(fields - stable).sum(axis=1))
    return operators.q_of_decision_process(*process, game.discount, policy=policy, regularizer=ENTROPY), deviation


@pytest.mark.parametrize(("family", "order"), [("planted_smooth", 2.0), ("planted_kinked", 1.5)])
def test_predicted_bias_differs_from_the_exact_chain_by_higher_orders(family: str, order: float) -> None:
    game = planted(family, n_states=2)
    assert game.planted is not None
    policy = game.planted.policy
    truth = operators.q_values(game, policy, game.planted.mean_field, regularizer=ENTROPY)
    errors, biases = [], []
    sizes = [50, 100, 200]
    for n_agents in sizes:
        exact, _ = exact_two_state_q(game, policy, n_agents)
        errors.append(
            float(np.abs(fluctuations.large_population_q(game, policy, n_agents, regularizer=ENTROPY) - exact).max())
        )
        biases.append(float(np.abs(exact - truth).max()))
    slopes = np.diff(np.log(errors)) / np.diff(np.log(sizes))
    # docs/theory, section 9.4: the error is of order N^-2 (smooth), N^-3/2 (kinked); 0.3 for the next order at N = 50
    assert (slopes < -order + 0.3).all()
    assert errors[-1] < 0.01 * biases[-1]


def test_deviation_constant_agrees_with_the_exact_chain() -> None:
    game = planted("planted_smooth", n_states=2)
    assert game.planted is not None
    policy = game.planted.policy
    exact = exact_two_state_q(game, policy, 400)[1] * np.sqrt(400)
    # relative corrections are O(1/N)
    assert fluctuations.expected_deviation(game, policy) == pytest.approx(exact, rel=0.01)


def test_covariance_solves_its_equation_and_is_tangent() -> None:
    game = planted("planted_smooth", n_states=4)
    assert game.planted is not None
    policy = game.planted.policy
    sigma = fluctuations.stationary_covariance(game, policy)
    mean_field = operators.stable_population(game, policy)
    rows = operators.policy_kernel(game.transition(mean_field), policy)
    noise = sum(mean_field[s] * (np.diag(rows[s]) - np.outer(rows[s], rows[s])) for s in range(4))
    jacobian = operators.population_jacobian(game, mean_field, policy)
    # rounding of a few dozen operations on entries below 1
    np.testing.assert_allclose(sigma, jacobian @ sigma @ jacobian.T + noise, atol=1e-13)
    np.testing.assert_allclose(sigma.sum(axis=1), 0.0, atol=1e-13)
    np.testing.assert_allclose(sigma, sigma.T, atol=1e-14)


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="a deviation off by 3 %")
def test_covariance_agrees_with_a_simulated_trajectory(level: Level) -> None:
    game = planted("planted_smooth", n_states=3)
    assert game.planted is not None
    policy, n_agents = game.planted.policy, 10_000
    ratios = []
    for replicate in range(32):
        rng = seeds.generator(0, "covariance", replicate)
        found = simulation.ergodic_averages(
            game, policy, n_agents, n_steps=5000, rng=rng, n_burn_in=200, centre=game.planted.mean_field
        )
        ratios.append(found.deviation * np.sqrt(n_agents) / fluctuations.expected_deviation(game, policy))
    level.means(np.reshape(ratios, (-1, 1)), 1.0, bias=1e-3, planted=1.03)  # O(1/N)


@pytest.mark.parametrize(
    ("link", "parameter"),
    [("absolute", 0.0), ("positive", 0.0), ("minimum", 0.0), ("log", 0.2), ("reciprocal", 2.0), ("exponential", 0.0)],
)
@pytest.mark.parametrize("offset", [0.0, 0.05])
def test_average_of_every_link_agrees_with_numerical_integration(link: str, parameter: float, offset: float) -> None:
    kink = 1.0 if link == "minimum" else 0.0
    features = Features.build([[1.0, 0.0]], kink - 0.5 + offset, link, parameter=parameter)
    covariance = 0.01 * np.array([[1.0, -1.0], [-1.0, 1.0]])
    found = gaussian_averages.averaged_features(features, np.array([[0.5, 0.5]]), covariance)[0, 0]
    x = np.linspace(-0.45, 0.45, 200_001)  # 4.5 standard deviations to each side, inside the simplex
    values = features.link_values((kink + offset + x)[:, None])[:, 0] if link != "log" else np.log(0.5 + x + offset)
    if link == "log":
        features = Features.build([[1.0, 0.0]], offset, link, parameter=0.0001)
        found = gaussian_averages.averaged_features(features, np.array([[0.5, 0.5]]), 0.1 * covariance)[0, 0]
        x = np.linspace(-0.3, 0.3, 200_001)
        values = np.log(0.5 + x + offset + 0.0001)
        density = norm.pdf(x, scale=np.sqrt(0.001))
    else:
        density = norm.pdf(x, scale=0.1)
    # the tails cut off weigh 7e-6 and hold values below 0.5; the trapezoid rule errs by 1e-10
    assert found == pytest.approx(float(np.trapezoid(values * density, x)), abs=1e-5)


def test_growing_fluctuations_and_kinked_transitions_are_refused() -> None:
    kinked = replace(
        planted("planted_smooth", n_states=2),
        base_transition=np.full((2, 2, 2), 0.5),
        transition_terms=0.2 * np.array([[[[1.0, -1.0]] * 2, [[-1.0, 1.0]] * 2]]),
        transition_features=Features.build([[1.0, 0.0]], -0.5, "absolute"),
    )
    with pytest.raises(InputError, match="kink at the stable population"):
        fluctuations.stationary_covariance(kinked, operators.uniform_policy(kinked))


def test_an_averaged_population_that_moves_slowly_settles_where_plain_updates_do(monkeypatch):
    # nine tenths stay in their place whatever they do: a tenth of the distance is left after some twenty updates
    game = games.make("planted_smooth", n_states=3, n_actions=2, discount=0.5, seed=1, strength=0.1)
    moving = 0.05
    stays = (1.0 - moving) * np.eye(3)[:, None, :]
    slow = replace(
        game,
        base_transition=moving * game.base_transition + stays,
        transition_terms=moving * game.transition_terms,
        planted=None,
    )
    policy, updates = operators.uniform_policy(slow), 0
    averaged = fluctuations.decision_process

    def counted(*of):
        nonlocal updates
        updates += 1
        return averaged(*of)

    monkeypatch.setattr(fluctuations, "decision_process", counted)
    found, counts = [], []
    for plain in (fluctuations.PLAIN_UPDATES, 10_000):
        monkeypatch.setattr(fluctuations, "PLAIN_UPDATES", plain)
        updates = 0
        found.append(fluctuations.large_population_q(slow, policy, 10, regularizer=ENTROPY))
        counts.append(updates)
    assert counts[0] < 100 + 40 < 0.5 * counts[1]
    # both end where an update changes 1e-14; what is left of the way is that over a rate of a twentieth
    assert np.abs(found[0] - found[1]).max() < 1e-11
