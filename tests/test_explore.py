"""The explorable part of the report: its numbers are the library's, and its controls move them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests import browser

from pma_mfg import equilibrium, games, jacobian, operators, regularizers
from pma_mfg.games import files
from pma_mfg.games.features import LINKS, Features
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.populations import fluctuations
from pma_replication import explore

#: Numbers of the page and of the library differ in rounding errors only: elimination and the order of sums differ.
ROUNDING = 1e-9

N_STEPS, N_AGENTS = 6, 1000

RANDOM = {"n_states": 5, "n_actions": 3, "discount": 0.8}
ZOO = {
    "affine": games.make("affine", n_states=4, n_actions=3, discount=0.9, seed=2),
    "kinked": games.make("planted_kinked", **RANDOM, seed=1, strength=0.1),
    "crowd": games.make("crowd_averse", n_states=4, n_actions=3, discount=0.9, seed=1, coupling=4.0),
    "seeking": games.make("coordination", n_states=3, discount=0.9, attraction=1.0),
    "curved": games.make("planted_coupled", **RANDOM, seed=0, strength=0.1, best_response_radius=1.5, link="power"),
    "logarithm": games.make("beach_bar"),
    "no_interaction": games.make("no_interaction"),
}
SETTINGS: list[dict[str, Any]] = [
    {"regularizer": "entropy", "strength": 0.5, "step": 2.0, "mirror": "euclidean"},
    {"regularizer": "entropy", "strength": 1.0, "step": 0.3, "mirror": "kl"},
    {"regularizer": "quadratic", "strength": 2.0, "step": 0.5, "mirror": "euclidean"},
    {"regularizer": "quadratic", "strength": 3.0, "step": 1.0, "mirror": "kl"},
]
CASES = [(name, setting) for name in ZOO for setting in SETTINGS if name != "logarithm" or setting["strength"] >= 1.0]

#: What is asked of the page: every number that it shows, of each game with each setting.
ASK = """
JSON.stringify(%s.map(([name, given]) => {
  const game = zoo[name], setting = { ...given, start: "tilted", agents: %d }, best = { ...setting, step: Infinity };
  const seen = experiment(game, setting, %d);
  const found = seen.equilibrium;
  return {
    pma: seen.pma, best: seen.bestResponse, equilibrium: found && found.policy, radius: seen.radius,
    best_radius: seen.bestRadius, deviation: seen.deviation, bias: seen.bias, distances: seen.distances,
  };
}))
"""


def page(folder: Path, zoo: list[dict[str, Any]]) -> Path:
    """Write a page that holds nothing but the explorable part."""
    path = folder / "page.html"
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    icon = '<title>x</title><link rel="icon" href="data:,">'
    path.write_text(f'{head}{icon}<section class="explore">{explore.section(zoo)}</section>', encoding="utf-8")
    return path


def data(name: str, strength: float = 0.05) -> dict[str, Any]:
    return {"name": name, **explore.as_data(ZOO[name]), "regularizer": "entropy", "strength": strength}


def tilted(game: MeanFieldGame) -> np.ndarray:
    """The policy that the page starts from."""
    policy = np.ones((game.n_states, game.n_actions))
    policy[np.arange(game.n_states), np.arange(game.n_states) % game.n_actions] = 2.0
    return policy / (game.n_actions + 1)


@pytest.mark.skipif(browser.executable() is None, reason=browser.MISSING)
def test_every_number_of_the_page_is_the_librarys(tmp_path: Path) -> None:
    every = f"const zoo = {json.dumps({name: explore.as_data(game) for name, game in ZOO.items()})};"
    ask = f"{every} {ASK % (json.dumps(CASES), N_AGENTS, N_STEPS)}"
    seen = browser.look(page(tmp_path, [data("crowd")]), 1280, 900, tmp_path / "profile", patience=60, ask=ask)
    answers = json.loads(seen.answer)
    assert len(answers) == len(CASES)
    for (name, setting), found in zip(CASES, answers, strict=True):
        game, told = ZOO[name], f"{name}, {setting}"
        regularizer = regularizers.make(setting["regularizer"], setting["strength"])
        step: dict[str, Any] = {"regularizer": regularizer, "mirror": setting["mirror"]}
        for orbit, eta in ((found["pma"], setting["step"]), (found["best"], np.inf)):
            # each iterate from the one before: in an unstable game rounding grows along the orbit
            expected = tilted(game)
            assert len(orbit) == N_STEPS + 1
            for iterate in orbit:
                policy = np.array(iterate["policy"])
                assert np.abs(policy - expected).max() < ROUNDING, told
                mean_field = operators.stable_population(game, policy)
                assert np.abs(np.array(iterate["meanField"]) - mean_field).max() < ROUNDING, told
                expected = operators.policy_mirror_ascent(game, policy, eta, **step)
        policy = np.array(found["equilibrium"])
        assert operators.policy_distance(operators.best_response_step(game, policy, regularizer), policy) < ROUNDING
        away = [operators.policy_distance(np.array(iterate["policy"]), policy) for iterate in found["pma"]]
        np.testing.assert_allclose(found["distances"], away, atol=ROUNDING)
        for key, eta, mirror in (("radius", setting["step"], setting["mirror"]), ("best_radius", np.inf, "euclidean")):
            if mirror == "kl" and policy.min() == 0.0:  # where there is no Jacobian
                assert found[key] is None, told
                continue
            matrix = jacobian.jacobian(game, policy, eta, **step | {"mirror": mirror})
            exact = jacobian.spectral_radius(matrix)
            if name == "no_interaction" and key == "best_radius":
                exact = 0.0  # the envelope theorem; eigenvalues of a matrix of rounding errors are not small themselves
            assert found[key] == pytest.approx(exact, rel=ROUNDING, abs=ROUNDING), told
        deviation = fluctuations.expected_deviation(game, policy) / np.sqrt(N_AGENTS)
        assert found["deviation"] == pytest.approx(deviation, rel=ROUNDING, abs=ROUNDING), told
        mean_field = operators.stable_population(game, policy)
        links = {*game.transition_features.links.tolist(), *game.reward_features.links.tolist()}
        known = links <= {LINKS.index("identity")} and mean_field.min() > 0.0
        assert (found["bias"] is not None) == known, told
        if known:
            q = fluctuations.large_population_q(game, policy, N_AGENTS, regularizer=regularizer)
            q -= operators.q_values(game, policy, mean_field, regularizer=regularizer)
            assert found["bias"] == pytest.approx(np.abs(q).max(), abs=ROUNDING), told


@pytest.mark.skipif(browser.executable() is None, reason=browser.MISSING)
def test_every_link_and_its_slope_are_the_librarys(tmp_path: Path) -> None:
    parameter, points = 0.3, np.array([-0.2, 0.0, 0.2, 0.31, 0.9, 1.0, 1.7])
    evaluate = f"[name, ...f.map(g => {points.tolist()}.map(x => g(x, {parameter})))]"
    ask = f"JSON.stringify(Object.entries(LINKS).map(([name, f]) => {evaluate}))"
    answer = json.loads(browser.look(page(tmp_path, [data("crowd")]), 800, 600, tmp_path / "profile", ask=ask).answer)
    assert [name for name, *_ in answer] == list(LINKS)
    for name, values, slopes in answer:
        for x, value, slope in zip(points, values, slopes, strict=True):
            feature = Features.build(np.ones((1, 1)), 0.0, name, parameter=parameter)
            assert value == pytest.approx(feature.values(np.array([x]))[0], rel=1e-14), (name, x)
            assert slope == pytest.approx(feature.gradients(np.array([x]))[0, 0], rel=1e-14), (name, x)


#: Moves the controls as a reader does, and tells what the page then says.
MOVE = """
(async () => {
  const get = id => document.getElementById(`explore-${id}`);
  const shown = ["pma", "best", "radius", "best-radius", "deviation", "bias", "told", "iteration-shown"];
  const told = () => Object.fromEntries(shown.map(id => [id, get(id).textContent]));
  const seen = [told()];
  const move = async (id, value, event) => {
    get(id).value = value;
    get(id).dispatchEvent(new Event(event));
    await new Promise(done => setTimeout(done, 60));  // later than the page's own timer
    seen.push(told());
  };
  await move("step", 1.5, "input");
  await move("agents", 5, "input");
  await move("iteration", 3, "input");
  await move("game", "seeking (3 states, 3 actions)", "change");
  const controls = [...document.querySelectorAll(".explore select, .explore input")];
  const unnamed = controls.filter(control => control.labels.length !== 1).map(control => control.id);
  const drawn = document.querySelectorAll("#explore-populations rect").length;
  // at the ends of the sliders, where probabilities vanish: nothing may fail, and no drawing may lack a number
  let broken = 0;
  for (const name of ["no_interaction (7 states, 3 actions)", "crowd (4 states, 3 actions)"]) {
    await move("game", name, "change");
    for (const [regularizer, mirror, strength, step] of
      [["entropy", "kl", -1, 2], ["quadratic", "kl", 1, -2], ["quadratic", "euclidean", -1, 2]]) {
      Object.assign(get("mirror"), { value: mirror });
      Object.assign(get("strength"), { value: strength });
      Object.assign(get("step"), { value: step });
      await move("regularizer", regularizer, "change");
      broken += document.querySelector(".views").innerHTML.includes("NaN");
    }
  }
  return JSON.stringify({ seen: seen.slice(0, 5), unnamed, broken, drawn });
})()
"""


@pytest.mark.skipif(browser.executable() is None, reason=browser.MISSING)
def test_the_controls_move_what_the_page_says_and_fit_a_narrow_screen(tmp_path: Path) -> None:
    zoo = [data("crowd"), data("seeking", 0.1), data("no_interaction", 0.2)]
    looked = browser.look(page(tmp_path, zoo), 390, 844, tmp_path / "profile", patience=60, ask=MOVE)
    assert {name: value for name, value in looked.faults().items() if value} == {}
    answer = json.loads(looked.answer)
    assert answer["unnamed"] == []
    assert answer["broken"] == 0
    assert answer["drawn"] == 2 * ZOO["seeking"].n_states
    first, larger_step, more_agents, later, other = answer["seen"]
    game, regularizer = ZOO["crowd"], regularizers.make("entropy", 0.05)
    policy = equilibrium.solve(game, regularizer).policy
    # the slider holds a power of ten, relative to 1 / strength, and numbers are shown to three digits
    for told, eta in ((first, 10.0**-0.5 / 0.05), (larger_step, 10.0**1.5 / 0.05)):
        radius = jacobian.spectral_radius(jacobian.jacobian(game, policy, eta, regularizer=regularizer))
        assert float(told["radius"].split(":")[0]) == pytest.approx(radius, rel=0.005)
    assert first["best-radius"].endswith("errors grow")
    assert first["pma"].startswith("is within 10⁻⁶ of the equilibrium")
    assert larger_step["pma"].startswith("does not arrive")
    assert first["best"].startswith("does not arrive")
    assert float(more_agents["deviation"]) == pytest.approx(0.1 * float(larger_step["deviation"]), rel=0.01)
    assert [told["iteration-shown"] for told in (more_agents, later, other)] == ["0", "3", "0"]
    assert other["radius"] != later["radius"]


def test_the_page_has_the_small_games_of_a_run_once_and_to_the_last_bit(tmp_path: Path) -> None:
    large = games.make("garnet")
    for name, game in {**ZOO, "again": ZOO["crowd"], "large": large}.items():
        files.save(game, tmp_path / f"{name}.npz")
    settings = {name: {"regularizer": "entropy", "strength": 0.5} for name in (*ZOO, "again", "large", "lost")}
    settings["affine"] = {"regularizer": {"weights": "x"}, "strength": 1.0}  # not one of the two that the page knows
    shown = explore.zoo(tmp_path, settings)
    assert [each["name"] for each in shown] == [name.replace("_", " ") for name in ZOO if name != "affine"]
    read = json.loads(json.dumps(shown))
    for each, game in zip(read, (game for name, game in ZOO.items() if name != "affine"), strict=True):
        assert np.array_equal(np.array(each["P"]["base"]).reshape(game.base_transition.shape), game.base_transition)
        assert np.array_equal(np.array(each["R"]["terms"]).reshape(game.reward_terms.shape), game.reward_terms)
    one_action = dataclasses.replace(
        ZOO["no_interaction"],
        base_transition=ZOO["no_interaction"].base_transition[:, :1],
        base_reward=ZOO["no_interaction"].base_reward[:, :1],
        transition_terms=ZOO["no_interaction"].transition_terms[:, :, :1],
        reward_terms=ZOO["no_interaction"].reward_terms[:, :, :1],
        action_labels=(),
    )
    assert explore.small(one_action) is None
    assert explore.section([]) == ""
