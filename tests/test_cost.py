"""Predicted times: every section has one, and it grows with what the section does. No clock is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pma_mfg import games, regularizers
from pma_mfg.errors import ConvergenceError
from pma_replication import configuration, cost, plan

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def units() -> cost.Units:
    game = games.make("crowd_averse", n_states=3, n_actions=2, discount=0.5, seed=1)
    names = ("step", "step_of_few", "step_together", "pma", "jacobian", "exploitability", "solution", "update")
    timed = dict.fromkeys(names, 1e-4)
    return cost.Units(
        n_states=3, n_actions=2, **timed, policy=np.full((3, 2), 0.5), game=game, regularizer=regularizers.Entropy(0.5)
    )


def test_every_section_and_every_step_has_a_predicted_time(units: cost.Units) -> None:
    settings: dict[str, Any] = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    own_games = {"atlas", "scaling", "networked", "paths_generated"}  # these make their own games
    sections = set(configuration.SECTIONS) - own_games
    assert {step.section for step in plan.steps().values()} == set(plan.sections()) == sections
    found = cost.predicted(settings, dict.fromkeys(settings["games"], units))
    assert set(found) == {*sections, "rest"}
    assert all(np.isfinite(seconds) and seconds > 0.0 for seconds in found.values())


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("ctd", "n_replicates"),
        ("populations_bias", "n_steps"),
        ("samples_tuned", "n_replicates"),
        ("populations_agreement", "n_steps"),
    ],
)
def test_twice_the_runs_cost_about_twice_the_time(section: str, key: str, units: cost.Units) -> None:
    settings: dict[str, Any] = yaml.safe_load((ROOT / "config/example.yaml").read_text())[section]
    one = {
        **settings,
        "games": settings["games"] if isinstance(settings["games"], list) else settings["games"]["roads"],
    }
    step = next(step for step in plan.steps().values() if step.section == section)
    once, twice = (step.seconds(units, {**one, key: count * one[key]}) for count in (1, 2))
    # a part of the time does not depend on the runs: exact solutions, the second waiting time
    assert 1.5 * once < twice <= 2.0 * once * (1 + 1e-9)


@pytest.mark.parametrize("section", ["ctd", "samples_tuned", "coupling"])
def test_replicates_side_by_side_cost_what_a_step_of_theirs_does(section: str, units: cost.Units) -> None:
    settings: dict[str, Any] = yaml.safe_load((ROOT / "config/config.yaml").read_text())[section]
    chosen = settings["games"]
    one = {**settings, "games": next(iter(chosen.values())) if isinstance(chosen, dict) else chosen}
    for key in ("n_replicates", "other_replicates"):
        one |= {key: 16} if key in one else {}
    steps = [step for step in plan.steps().values() if step.section == section]

    def seconds(**changes: float) -> float:
        changed = cost.Units(**{**vars(units), **dict.fromkeys(("pma", "exploitability"), 0.0), **changes})
        return sum(step.seconds(changed, one) for step in steps)

    once = seconds()
    saved = once - seconds(step_together=0.4 * units.step)
    # all steps of many agents but those of few agents and of blind learning, which are a third and a fourth
    assert 0.6 * (1.0 - 1.0 / 3.0) * once < saved <= 0.6 * once * (1.0 + 1e-9)
    # none of 3 replicates move together, 4 as 8 do, and of 12 the last 4
    units = cost.Units(**{**vars(units), "step": 1.0, "step_together": 0.25})
    counts = (1, 3, 4, 7, 8, 11, 12, 16)
    assert [units.step_of_all(10**6, n) for n in counts] == [1.0, 3.0, 2.0, 2.0, 2.0, 5.0, 4.0, 4.0]
    assert units.step_of_all(10, 8) == 8.0 * units.step_of_few


def test_slower_steps_are_predicted_to_take_longer(units: cost.Units) -> None:
    slower = cost.Units(**{**vars(units), "step": 10 * units.step, "step_of_few": 10 * units.step})
    settings = yaml.safe_load((ROOT / "config/example.yaml").read_text())["populations_bias"]
    seconds = plan.steps()["populations_bias"].seconds
    assert seconds(slower, settings) == pytest.approx(10 * seconds(units, settings))


def test_the_time_of_a_run_is_announced_and_what_cannot_be_predicted_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings: dict[str, Any] = yaml.safe_load((ROOT / "config/example.yaml").read_text())
    chosen = {"games": {"roads": settings["games"]["roads"]}, "literature": settings["literature"]}
    chosen["games"]["roads"]["file"] = str(ROOT / "config/example_game.py")
    line = cost.announcement(chosen, 2)
    assert " on 2 cores, if nothing is done yet (predicted: " in line

    def stuck(settings: object) -> dict[str, cost.Units]:
        raise ConvergenceError("no equilibrium", [1.0])

    monkeypatch.setattr(cost, "measure_all", stuck)
    assert cost.announcement(chosen, 2).startswith("its time is not predicted: no equilibrium")


def test_times_are_told_in_words_of_two_digits() -> None:
    assert cost.in_words(0.2) == "about 1 s"
    assert cost.in_words(47.0) == "about 50 s"
    assert cost.in_words(371.0) == "about 6.2 minutes"
    assert cost.in_words(66_000.0) == "about 18 hours"
    assert cost.in_words(1e6) == "about 12 days"
    assert cost.in_words(2.3e11) == "about 7,300 years"
    assert cost.in_words(1e18) == "about 3e+10 years"
