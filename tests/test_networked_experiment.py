"""The experiment on agents that pass their policies on: its table, its verdicts, its configuration, its command."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from pma_mfg import equilibrium, games, jacobian, operators
from pma_mfg.errors import InputError
from pma_mfg.populations import own_policies
from pma_mfg.regularizers import Entropy
from pma_replication import cli, configuration, statistics
from pma_replication.experiments.networked import arms, draw, judge, measure, pages
from pma_replication.experiments.networked.arms import Arm
from pma_replication.judging import verdict
from pma_replication.runs import tables as parquet

SMOKE = yaml.safe_load((Path(__file__).resolve().parents[1] / "config/smoke.yaml").read_text(encoding="utf-8"))
#: Improvements of arms of which every claim holds in a game of coordination.
HOLDS = {
    "independent": 0.5,
    "independent_buffer": 1.0,
    "centralized": 6.0,
    "centralized_buffer": 6.5,
    "networked": 4.0,
    "networked_random": 2.0,
}


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 100)


def table(improved: Mapping[str, float], kind: str = "coordination", noise: float = 0.1, **more: Any) -> pd.DataFrame:
    """Return a table in which arms improve by so much on a first policy that earns -10 and leaves a gain of 10."""
    rng, rows = np.random.default_rng(0), []
    for arm, by in improved.items():
        for replicate in range(10):
            for epoch in range(5):
                gained = (by + noise * rng.normal()) if epoch else 0.0
                rows.append((arm, replicate, epoch, 100 * epoch, 10.0 - gained, -10.0 + gained))
    found = pd.DataFrame(rows, columns=["arm", "replicate", "epoch", "samples", "exploitability", "returns"])
    return found.assign(game="g", kind=kind, disagreement=0.5, agreement=np.nan, distance=np.nan).assign(**more)


def judged(found: Mapping[str, Any] | list[Any], tolerance: float = 0.0) -> str:
    record: Mapping[str, Any] = found[0] if isinstance(found, list) else found
    if record.get("too_small"):
        return str(record["too_small"])
    interval, rival = (record["estimate"].low, record["estimate"].high), record["rival"]
    return verdict(interval, record["expected"], rival.not_rejecting(record["expected"], tolerance))


@pytest.mark.parametrize("kind", ["coordination", "competition"])
def test_what_is_claimed_of_agents_that_pass_policies_on_is_confirmed_where_it_holds(kind: str) -> None:
    rows = table(HOLDS, kind)
    assert judged(judge.independent_hardly(rows, 0.25, 0.95), 0.25) == "confirmed"
    assert judged(judge.buffered_hardly(rows, 0.25, 0.95), 0.25) == "confirmed"
    assert judged(judge.between(rows, 0.0, 0.95)) == "confirmed"
    assert judged(judge.scores(rows, 0.1, 0.95), 0.1) == "confirmed"
    assert judged(judge.faster(rows, 0.0, 0.95)) == "not confirmed"
    assert judged(judge.faster(table(HOLDS | {"networked": 7.0}, kind), 0.1, 0.95), 0.1) == "confirmed"
    assert judged(judge.faster(table(HOLDS | {"networked": 6.2}, kind), 0.1, 0.95), 0.1) == "vacuous"


def test_and_refuted_or_left_open_where_it_does_not() -> None:
    well = table(HOLDS | {"independent": 5.0, "independent_buffer": 5.0})
    assert judged(judge.independent_hardly(well, 0.25, 0.95), 0.25) == "not confirmed"
    assert judged(judge.buffered_hardly(well, 0.25, 0.95), 0.25) == "not confirmed"
    assert judged(judge.between(table(HOLDS | {"networked": 7.0}), 0.0, 0.95)) == "not confirmed"
    assert judged(judge.between(table(HOLDS | {"networked": 0.5}), 0.0, 0.95)) in ("inconclusive", "vacuous")
    assert judged(judge.scores(table(HOLDS | {"networked_random": 5.0}), 0.0, 0.95)) == "not confirmed"
    assert "not told apart" in judged(judge.between(table(HOLDS | {"independent": 6.0}), 0.0, 0.95))
    assert "does not improve" in judged(judge.independent_hardly(table(HOLDS | {"centralized": -1.0}), 0.25, 0.95))
    assert "does not improve" in judged(judge.faster(table(HOLDS | {"centralized": -1.0}), 0.0, 0.95))
    without = table({arm: HOLDS[arm] for arm in ("independent", "centralized", "networked")})
    assert judge.scores(without, 0.0, 0.95) == judge.buffered_hardly(without, 0.25, 0.95) == []
    assert judge.agreement(without, 0.0, 0.95) == []


def test_the_cost_of_agreement_is_compared_with_the_exact_one() -> None:
    rows = table({"independent": 9.0, "agreed": 7.0}, "competition", distance=0.1)  # exploitabilities of 1 and 3
    rows.loc[rows["epoch"] == 0, "distance"] = 1.0
    for predicted, found in ((3.0, "confirmed"), (1.1, "not confirmed"), (30.0, "not confirmed")):
        assert judged(judge.agreement(rows.assign(agreement=predicted), 0.3, 0.95), 0.3) == found
    less = table({"independent": 8.0, "agreed": 7.0}, "competition", distance=0.1, agreement=1.5)  # 2 and 3
    less.loc[less["epoch"] == 0, "distance"] = 1.0
    assert judged(judge.agreement(less, 0.3, 0.95), 0.3) == "vacuous"
    assert "PMA is unstable" in judged(judge.agreement(rows.assign(agreement=np.inf), 0.3, 0.95))
    assert "of 0.1 at the start" in judged(judge.agreement(rows.assign(agreement=3.0, distance=0.1), 0.3, 0.95))


def test_agreement_costs_nothing_without_a_game_and_much_in_a_strong_one() -> None:
    def ratio(radius: float, n_agents: int = 50) -> float:
        game = games.make(
            "planted_coupled",
            n_states=3,
            n_actions=2,
            discount=0.5,
            seed=0,
            strength=0.1,
            best_response_radius=radius,
            channel="rewards",
            sign="averse",
        )
        assert game.planted is not None
        return measure.agreement(game, Entropy(0.1), game.planted.policy, step_size=0.1, n_agents=n_agents)

    assert ratio(0.001) == pytest.approx(1.0, abs=0.01)
    assert ratio(10.0, 1) == pytest.approx(1.0, rel=1e-12)  # one agent agrees with itself
    assert 1.0 < ratio(3.0) < ratio(10.0)
    assert ratio(10.0, 10) < ratio(10.0, 100)


def test_what_agents_lose_by_their_errors_is_the_stated_quadratic_form() -> None:
    game = games.make(
        "planted_coupled",
        n_states=3,
        n_actions=2,
        discount=0.5,
        seed=0,
        strength=0.1,
        best_response_radius=3.0,
        channel="rewards",
        sign="averse",
    )
    assert game.planted is not None
    policy, mean_field, entropy = game.planted.policy, game.planted.mean_field, Entropy(0.1)
    basis, size = jacobian.tangent_basis(2), 3
    x = np.random.default_rng(0).normal(size=(4, size, 1))
    answer = jacobian.jacobian(game, policy, np.inf, regularizer=entropy)
    lost = []
    for small in (1e-2, 1e-3):
        policies = policy + small * x @ basis
        mean = small * x.mean(axis=0).ravel()
        predicted = 0.0
        for one in small * x:
            apart = (one.ravel() - answer @ mean).reshape(size, 1) @ basis
            predicted += float((mean_field[:, None] * entropy.curvature(policy) * apart**2).sum()) / (2.0 * 4 * 0.5)
        found = own_policies.evaluate(game, policies, entropy).exploitability
        lost.append(found / predicted)
    np.testing.assert_allclose(lost[1], 1.0, atol=2e-2)  # the next order is of relative size 1e-3, times the coupling
    assert abs(lost[1] - 1.0) < abs(lost[0] - 1.0)


def test_all_arms_take_the_same_samples_and_the_start_is_the_first_policy() -> None:
    game, entropy = games.make("target_agreement", rows=2, columns=3), Entropy(0.05)
    runs = measure.Runs("coordination", "radius:0.5", 0.1, 0.1, 60, 4, 5.0, 10.0, 10, 8, 2, 2)
    chosen = {
        "independent": Arm(),
        "buffer": Arm(passes=3),
        "centralized": Arm(learner="centralized"),
        "networked": Arm(rounds=3),
        "index": Arm(rounds=3, score="index", n_after=5),
    }
    rows = measure.measure(game, entropy, "meeting", arms=chosen, runs=runs, seed=0)
    assert len(rows) == 5 * 2 * 3
    np.testing.assert_array_equal(rows["samples"], 60 * rows["epoch"])
    assert sorted(set(rows["epoch"])) == [0, 2, 4]
    uniform = operators.uniform_policy(game)
    start = rows[rows["epoch"] == 0]
    np.testing.assert_allclose(start["exploitability"], equilibrium.exploitability(game, uniform, entropy), atol=1e-9)
    assert (rows[rows["arm"] == "centralized"]["disagreement"] == 0.0).all()
    assert rows["distance"].isna().all()
    bare = games.make("crowd_averse", n_states=3, n_actions=2, discount=0.5, seed=0)
    far = {"independent": Arm(), "near": Arm(rounds=1, graph="radius:0.5")}
    runs = measure.Runs("competition", "ring", 0.1, 0.1, 30, 1, 5.0, 10.0, 10, 8, 2, 1)
    assert set(measure.measure(bare, entropy, "bare", arms=far, runs=runs, seed=0)["arm"]) == {"independent"}


def test_a_temperature_is_annealed_by_one_factor_per_epoch_and_ends_where_it_is_said_to() -> None:
    np.testing.assert_allclose(Arm(heat=1000.0, heat_last=1.0).heats(4), [1000.0, 100.0, 10.0, 1.0], rtol=1e-14)
    assert Arm(heat=0.3).heats(3) == [0.3, 0.3, 0.3]
    assert Arm(heat=0.3, heat_last=3.0).heats(1) == [0.3]
    # in the first epoch policies are adopted by chance, so that several are left, in the last one all adopt the best
    game, entropy = games.make("target_agreement", rows=2, columns=3), Entropy(0.05)
    runs = measure.Runs("coordination", "complete", 1.0, 0.1, 60, 2, 5.0, 10.0, 10, 8, 2, 2)
    cooled = {"cooled": Arm(rounds=1, heat=1e9, heat_last=1e-9)}
    rows = measure.measure(game, entropy, "meeting", arms=cooled, runs=runs, seed=0).set_index("epoch")
    assert (rows.loc[1, "disagreement"] > 0.0).all()
    assert (rows.loc[2, "disagreement"] == 0.0).all()


def test_the_figure_and_the_table_tell_of_the_arms() -> None:
    rows = pd.concat([table(HOLDS), table(HOLDS, "competition").assign(game="h")], ignore_index=True)
    drawn = draw.data(rows)
    late = drawn[(drawn["panel"] == "returns") & (drawn["series"] == "networked") & (drawn["x"] == 400.0)]
    np.testing.assert_allclose(late["value"], -6.0, atol=0.2)
    assert (drawn.loc[drawn["x"] == 0.0, ["low", "high"]].nunique() <= 3).all()
    cells = judge.networked_cells(rows)
    assert len(cells) == 2 * len(HOLDS)
    assert cells.loc[0, "arm"] == "independent"


def changed(**changes: Any) -> dict[str, Any]:
    content = {name: copy.deepcopy(SMOKE[name]) for name in ("seed", "results", "figures", "networked")}
    content["games"] = {}
    section = content["networked"]
    section["arms"] |= changes.pop("arms", {})
    section["tasks"]["target_agreement"] |= changes.pop("task", {})
    section |= changes
    return content


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"task": {"graph": "star"}}, "tasks.target_agreement.graph: got 'star', expected one of none, complete"),
        ({"task": {"graph": "radius:1.5"}}, r"expected radius: a number in \(0, 1\]"),
        ({"arms": {"near": {"graph": "radius:0"}}}, r"arms.near.graph: got 'radius:0', expected radius: a number in"),
        ({"arms": {"networked": {"rounds": -1}}}, "rounds"),
        ({"task": {"temperature": -0.5}}, "temperature"),
        ({"arms": {"networked": {"failure": 1.5}}}, "failure"),
        (
            {"arms": {"near": {"heat": 0, "heat_last": 2}}},
            "arms.near.heat_last: got 2.0, expected 0, no change, or a heat",
        ),
        ({"arms": {"near": {"n_after": 1}}}, "arms.near.n_after: got 1, expected 0, no change, or at least 2 agents"),
        (
            {"sweep": {"radii": [1], "rounds": [1], "heat": [1]}},
            r"got \['heat'\], expected only the keys .* did you mean heats",
        ),
        ({"task": {"n_samples": 20}}, "n_samples: got 20, expected more than"),
        ({"task": {"arms": ["independent", "centralized", "mine"]}}, "mine"),
        ({"task": {"arms": ["independent", "centralized", "agreed"]}}, "the arm networked among them"),
        ({"task": {"td_offset": 1.0}}, "td_offset: got 1.0, expected at least td_scale = 50"),
        ({"sweep": {"radii": [0.2, 1.2], "rounds": [1], "heats": [1.0]}}, r"sweep.radii: 1.2: got 'radius:1.2'"),
    ],
)
def test_wrong_settings_are_refused_before_any_job(wrong: dict[str, Any], words: str) -> None:
    configuration.check(changed(), "mine.yaml")
    with pytest.raises(InputError, match=words):
        configuration.check(changed(**wrong), "mine.yaml")


def test_a_sweep_is_told_with_its_best_setting_and_what_is_better_and_worse_than_no_adoption() -> None:
    improved = {"r0p2_c1_t1": 7.0, "r0p2_c1_t1000": 2.0, "r1_c1_t1": 0.1, "r1_c1_t1000": 2.0}
    counted = "Settings: 4; better than independent agents: 3; worse: 1. Best by half of the runs: radius 0.2, C = 1"
    for kind, sign in (("coordination", "−"), ("competition", "")):
        page = pages.markdown(table(HOLDS | improved, kind), 0.95)
        assert counted in page
        assert f"| 0.2 | 1 | **{sign}2.9" in page
        assert f"| 1 | 1 | *{sign}9.8" in page
        assert page.count("networked random") == 1
        assert "r0p2" not in page
    assert "Radius" not in pages.markdown(table(HOLDS), 0.95)


def test_a_sweep_adds_all_combinations_to_the_arms_of_games_without_a_list() -> None:
    section = changed(sweep={"radii": [0.2, 1.0], "rounds": [1, 5], "heats": [0.0]})["networked"]
    listed = arms.arms_of(section, "target_agreement")
    assert "r0p2_c5_t0 graph=radius:0.2 rounds=5 heat=0.0" in listed
    assert len(listed) == len(section["arms"]) + 4
    found = {arms.swept(arm.split()[0]) for arm in listed} - {None}
    assert found == {(radius, rounds, 0.0) for radius in (0.2, 1.0) for rounds in (1, 5)}
    section["tasks"]["target_agreement"]["arms"] = ["independent", "centralized", "networked"]
    assert len(arms.arms_of(section, "target_agreement")) == 3


def test_the_command_learns_and_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = "meeting target_agreement rows=2 columns=3 --strength 0.02 --kind coordination --samples 60"
    settings += " --evaluation-steps 10 --epochs 2 --measured 1 --agents 10 --replicates 2"
    command = ["networked", "measure", *settings.split(), "--out", str(tmp_path / "meeting.parquet"), "--arms"]
    assert cli.main([*command, "independent", "networked rounds=3", "central learner=centralized passes=2"]) == 0
    found = parquet.read_table(tmp_path / "meeting.parquet")
    assert found["arm"].drop_duplicates().tolist() == ["independent", "networked", "central"]
    for wrong, words in (
        ("mine rounds=-1", "rounds: got -1"),
        ("mine graph=star", "graph: got 'star'"),
        ("mine heat=-2", "temperature"),
        ("mine heat=0 heat_last=2", "heat_last: got 2"),
        ("mine learner=me", "networked or centralized"),
        ("mine rounds=1.5", "a value of type int"),
        ("mine round=1", "expected one of learner, graph"),
        ("mine rounds=50", "more than evaluation steps and rounds"),
    ):
        assert cli.main([*command, wrong]) == 2
        assert words in capsys.readouterr().err
