"""Python functions recognized as features: the same game as the family's, and nothing that is not of the form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pma_mfg import games, lipschitz
from pma_mfg.games import recognition
from pma_mfg.games.functions import sample_mean_fields

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
    return games.FunctionGame(0.5, lambda mu: P, lambda mu: R @ mu + extra(mu)[:, None], n_states, 2)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_functions_of_a_family_are_recognized_with_its_constants(family: str) -> None:
    game = games.make(family, **FAMILIES[family])
    wrapped = games.FunctionGame(game.discount, game.transition, game.reward, game.n_states, game.n_actions)
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
        lambda mu: 1e-6 * np.exp(mu),  # its curvature is 1e-6
        lambda mu: 1e-6 * np.sin(7.0 * mu),
        lambda mu: np.maximum(0.0, mu - 0.4) * mu,
        lambda mu: 1.0 / (0.5 + mu),
        lambda mu: 1e-9 * (mu > 0.3),
    ],
    ids=["exponential", "sine", "bent twice", "reciprocal", "jump"],
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
    ],
    ids=["a little square", "logarithm", "kink", "products"],
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
