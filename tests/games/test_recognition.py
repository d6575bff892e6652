"""Python functions recognized as features: the same game as the family's, and nothing that is not of the form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pma_mfg import games
from pma_mfg.games import recognition
from pma_mfg.games.functions import sample_mean_fields
from pma_mfg.theory import lipschitz

ROOT = Path(__file__).resolve().parents[2]
RANDOM = {"n_states": 3, "n_actions": 2, "discount": 0.5, "seed": 1}
FAMILIES: dict[str, dict[str, Any]] = {
    "affine": RANDOM,
    "beach_bar": {},
    "contraction_game": {},
    "kinetic_congestion": {"rows": 3, "columns": 3},
    "planted_kinked": RANDOM | {"strength": 0.1},
    "sis_epidemic": {},
}
CONSTANTS = ("K_mu", "K_s", "K_a", "L_mu", "L_s", "L_a")


def with_reward(extra: Callable[[np.ndarray], np.ndarray], n_states: int = 3) -> games.FunctionGame:
    """Return a game whose rewards are affine but for a term in the mean field."""
    P = np.full((n_states, 2, n_states), 1.0 / n_states)
    R = np.random.default_rng(1).uniform(size=(n_states, 2, n_states))
    return games.FunctionGame(0.5, lambda mu: P, lambda mu: R @ mu + extra(mu)[:, None], n_states=n_states, n_actions=2)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_functions_of_a_family_are_recognized_with_its_constants(family: str) -> None:
    game = games.make(family, **FAMILIES[family])
    wrapped = games.FunctionGame(
        game.discount, game.transition, game.reward, n_states=game.n_states, n_actions=game.n_actions
    )
    found = recognition.recognized(wrapped)
    assert found is not None
    for mean_field in np.random.default_rng(5).dirichlet(np.full(game.n_states, 0.5), size=100):  # none of those tried
        for of in ("transition", "reward"):
            expected, seen = getattr(game, of)(mean_field), getattr(found, of)(mean_field)
            np.testing.assert_allclose(seen, expected, rtol=0, atol=1e-12 * max(1.0, np.abs(expected).max()))
    constants = [lipschitz.constants(g) for g in (game, found)]
    assert constants[0].kind == constants[1].kind
    np.testing.assert_allclose(*([getattr(c, name) for name in CONSTANTS] for c in constants), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n_states", [2, 3])
@pytest.mark.parametrize(
    "extra",
    [
        lambda mu: 1e-6 * np.sin(7.0 * mu),  # its curvature is 5e-5
        lambda mu: np.maximum(0.0, mu - 0.4) * mu,
        lambda mu: np.exp(-mu) / (0.5 + mu),
        lambda mu: np.exp(mu) - np.exp(3.0 * mu[::-1]),
        lambda mu: 1e-9 * (mu > 0.3),
    ],
    ids=["sine", "bent twice", "two curves multiplied", "two curves added", "jump"],
)
def test_functions_of_no_known_form_are_not_recognized(
    extra: Callable[[np.ndarray], np.ndarray], n_states: int
) -> None:
    assert recognition.recognized(with_reward(extra, n_states)) is None


@pytest.mark.parametrize(
    ("extra", "links"),
    [
        (lambda mu: 1e-6 * mu**2, {"identity", "power"}),
        (lambda mu: np.log(mu + 2e-5), {"identity", "log"}),
        (lambda mu: np.abs(mu - 0.3), {"identity", "positive"}),  # the affine part absorbs the other side
        (lambda mu: mu * mu[::-1], {"identity", "power"}),
        (lambda mu: np.log(mu + 1e-20), {"identity", "log"}),
        (lambda mu: np.log(np.maximum(mu, 1e-20)), {"identity", "floored_log"}),
        (lambda mu: np.clip(mu, 0.2, 0.6), {"identity", "positive"}),
        (lambda mu: np.full(3, np.clip(mu @ [0.1, 0.7, 0.3], 0.3, 0.5)), {"identity", "positive"}),
        (lambda mu: 0.05 / (0.05 + mu), {"identity", "reciprocal"}),
        (lambda mu: np.arange(3) / (1.0 + mu @ [0.1, 0.7, 0.3]), {"identity", "reciprocal"}),
        (lambda mu: np.exp(-3.0 * mu), {"identity", "exponential"}),
        (lambda mu: np.full(3, np.exp(mu @ [0.5, 1.0, 0.0])), {"identity", "exponential"}),
    ],
    ids=[
        "a little square",
        "logarithm",
        "kink",
        "products",
        "shift of 1e-20",
        "floor of 1e-20",
        "clip",
        "clip of a sum",
        "reciprocal",
        "reciprocal of a sum",
        "exponential",
        "exponential of a sum",
    ],
)
def test_what_departs_from_affine_by_a_known_form_keeps_it(extra: Callable[..., np.ndarray], links: set[str]) -> None:
    game = with_reward(extra)
    found = recognition.recognized(game)
    assert found is not None
    assert {games.LINKS[link] for link in found.reward_features.links} == links
    for mean_field in sample_mean_fields(3):
        np.testing.assert_allclose(found.reward(mean_field), game.reward(mean_field), rtol=0, atol=2e-11)


def test_the_example_is_read_with_features_and_its_constants_are_exact() -> None:
    game = games.load(ROOT / "config/example_game.py")
    assert isinstance(game, games.MeanFieldGame)
    constants = lipschitz.constants(game)
    assert set(constants.kind.values()) == {"exact"}
    # by hand: diverted shares move 2/3 of 0.2 mu(a) twice, against changes of mu that sum to zero
    assert constants.delta == pytest.approx(0.8, abs=1e-12)
    assert game.state_labels == ("highway", "bridge", "back road")


@pytest.mark.parametrize("log", [lambda mu: np.log(mu + 1e-20), lambda mu: np.log(np.maximum(mu, 1e-20))])
def test_logarithms_are_told_apart_at_the_shares_where_they_differ(log: Callable[[np.ndarray], np.ndarray]) -> None:
    game = with_reward(log, n_states=30)
    found = recognition.recognized(game)
    assert found is not None
    for share in (1e-21, 1e-20, 1e-19):
        mean_field = np.full(30, (1.0 - share) / 29)
        mean_field[17] = share
        # some hundred roundings of the largest value, 46
        np.testing.assert_allclose(found.reward(mean_field), game.reward(mean_field), rtol=0, atol=1e-11)


def test_the_reason_names_the_entry_and_the_shares() -> None:
    def reward(mu: np.ndarray) -> np.ndarray:
        return np.array([[0.0, 1.0], [0.0, np.tanh(mu[2])], [0.0, 0.0]])

    game = games.FunctionGame(0.5, lambda mu: np.full((3, 2, 3), 1.0 / 3.0), reward, n_states=3, n_actions=2)
    assert (
        recognition.examined(game).reason == "reward[1,1] depends on mu[2] in a way that no one kind of link explains"
    )


def test_a_game_with_many_states_is_recognized_from_few_evaluations() -> None:
    calls, n_states = [], 200
    P = np.full((n_states, 2, n_states), 1.0 / n_states)

    def reward(mu: np.ndarray) -> np.ndarray:
        calls.append(1)
        return np.tile(-np.log(mu + 1e-10)[:, None], (1, 2))

    found = recognition.recognized(games.FunctionGame(0.5, lambda mu: P, reward, n_states=n_states, n_actions=2))
    assert found is not None
    assert len(found.reward_features.links) == n_states
    assert len(calls) < 60 * n_states  # not of the order of S^2


def test_products_of_what_is_recognized_with_an_action_are_recognized_in_both_functions() -> None:
    supply = np.array([0.04, 0.1, 0.3])

    def served(mu: np.ndarray) -> np.ndarray:
        return supply / (supply + mu)

    def transition(mu: np.ndarray) -> np.ndarray:
        leave = served(mu)[:, None, None]
        return leave / 3.0 + (1.0 - leave) * np.tile(np.roll(np.eye(3), 1, axis=0), (3, 1, 1)).swapaxes(0, 1)

    game = games.from_functions(transition, lambda mu: np.outer(served(mu), [1.0, 0.5, 0.25]), 0.9, n_states=3)
    assert isinstance(game, games.MeanFieldGame)
    for features in (game.transition_features, game.reward_features):
        assert {games.LINKS[link] for link in features.links} == {"reciprocal"}
        np.testing.assert_allclose(np.sort(features.parameters), supply, rtol=0, atol=1e-9)
    for mean_field in sample_mean_fields(3):
        np.testing.assert_allclose(game.transition(mean_field), transition(mean_field), rtol=0, atol=1e-12)
    constants = lipschitz.constants(game)
    # by hand: 1 / supply at most for the share of the least supply, of which a mass of one moves 2/3 of the row twice
    assert constants.L_mu >= 0.5 / 0.04
    assert np.isfinite(constants.K_mu)
