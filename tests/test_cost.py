"""Predicted times: every section has one, and it grows with what the section does. No clock is compared with."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tests.units import given, units_of

from pma_mfg import equilibrium, games, operators, paths, regularizers
from pma_mfg.errors import ConvergenceError
from pma_mfg.populations import deviators, finite_population, fluctuations, lattice
from pma_replication import configuration, cost, plan, unsettled
from pma_replication.experiments.nash import measure
from pma_replication.experiments.paths import steps as paths_steps

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def units() -> cost.Units:
    game = games.make("crowd_averse", n_states=3, n_actions=2, discount=0.5, seed=1)
    return units_of(game, regularizers.Entropy(0.5), np.full((3, 2), 0.5))


def test_every_section_and_every_step_has_a_predicted_time(units: cost.Units) -> None:
    settings: dict[str, Any] = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    own_games = {"atlas", "scaling", "networked", "paths_generated"}  # these make their own games
    sections = set(configuration.SECTIONS) - own_games
    assert {step.section for step in plan.steps().values()} == set(plan.sections()) == sections
    for section in sections:  # with one game each
        of_games = settings[section]["games"]
        first = next(iter(of_games))
        settings[section]["games"] = {first: of_games[first]} if isinstance(of_games, dict) else [first]
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
        changed = given(units, **{**dict.fromkeys(("pma", "exploitability"), 0.0), **changes})
        return sum(step.seconds(changed, one) for step in steps)

    once = seconds()
    saved = once - seconds(step_together=0.4 * units.step)
    # all steps of many agents but those of few agents and of blind learning, which are a third and a fourth
    assert 0.6 * (1.0 - 1.0 / 3.0) * once < saved <= 0.6 * once * (1.0 + 1e-9)
    # none of 3 replicates move together, 4 as 8 do, and of 12 the last 4
    units = given(units, step=1.0, step_together=0.25, step_of_few=0.5, few_together=0.125)
    counts = (1, 3, 4, 7, 8, 11, 12, 16)
    assert [units.step_of_all(10**6, n) for n in counts] == [1.0, 3.0, 2.0, 2.0, 2.0, 5.0, 4.0, 4.0]
    assert [2.0 * units.step_of_all(10, n) for n in counts] == [units.step_of_all(10**6, n) for n in counts]


def at_equilibrium(game: games.MeanFieldGame, regularizer: regularizers.Regularizer) -> cost.Units:
    """Return units of a game at its equilibrium."""
    return units_of(game, regularizer, equilibrium.planted_or_found(game, regularizer).policy)


def test_numbers_of_the_deviators_chain_are_predicted_as_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # floors of a lift, with moves that nearly always go where they should: 2.5 times the time predicted was used
    moves = np.zeros((7, 3, 7)) + 0.02 / 7
    for floor, (action, step) in itertools.product(range(7), enumerate((-1, 0, 1))):
        moves[floor, action, min(6, max(0, floor + step))] += 0.98
    liked, effort = np.array([0.0, 0.1, 0.2, 0.9, 0.4, 0.3, 0.2]), np.array([0.05, 0.0, 0.05])
    own = games.from_functions(lambda mu: moves, lambda mu: (liked - 2.0 * mu)[:, None] - effort, 0.9, n_states=7)
    lift = own.with_features("lift")
    entropy = regularizers.Entropy(0.1)
    of_lift, populations = at_equilibrium(lift, entropy), [3, 4, 5]
    monkeypatch.setattr(cost, "COUNTED_STATES", 600)
    monkeypatch.setattr(cost, "exact_seconds", lambda *of: 0.0)
    monkeypatch.setattr(cost, "row_seconds", lambda *of: 0.0)
    monkeypatch.setattr(cost, "CHAIN", 1.0)  # for each number of the chain
    monkeypatch.setattr(cost, "APPLICATION", 0.0)
    counted_at, count = set(), deviators.n_applications

    def counted_with(game: games.MeanFieldGame, policy: np.ndarray, n_agents: int, **of: Any) -> int:
        counted_at.add(n_agents)
        return count(game, policy, n_agents, **of)

    monkeypatch.setattr(deviators, "n_applications", counted_with)
    predicted = plan.steps()["nash"].seconds(of_lift, {"populations": populations})
    assert counted_at == {4}  # and not at the largest

    read, blocks_of = 0, finite_population.row_blocks

    def counting(starts: np.ndarray, kernels: Any, rows: Any) -> Any:
        blocks = blocks_of(starts, kernels, rows)

        def counted() -> Any:
            nonlocal read
            read += len(starts) * len(rows.columns)
            return blocks()

        return counted

    monkeypatch.setattr(finite_population, "row_blocks", counting)
    measured = {n: finite_population.stationary_counts(lift, of_lift.policy, n) for n in populations}
    read = 0  # the laws themselves are not the deviator's
    games_of = [(lift, entropy), (deviators.indifferent_game(lift, of_lift.policy, entropy), None)]
    for law in measured.values():
        among = deviators.others(lift, of_lift.policy, law)
        for game, h in games_of:
            for sees in ("counts", "state"):
                deviators.nash_gaps(game, of_lift.policy, among, regularizers=[h], sees=sees)
    assert 0.9 * read < predicted < 1.1 * read


def test_laws_and_rows_that_the_gaps_of_one_population_share_are_predicted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    game = games.make("planted_smooth", n_states=3, n_actions=2, discount=0.5, seed=1, strength=0.1)
    entropy, populations = regularizers.Entropy(0.1), [5, 8]
    of_game = at_equilibrium(game, entropy)
    for constant in ("CHAIN", "APPLICATION"):
        monkeypatch.setattr(cost, constant, 0.0)
    monkeypatch.setattr(cost, "exact_seconds", lambda *of: 1e6)  # for each law
    monkeypatch.setattr(cost, "row_seconds", lambda *of: 1.0)  # for each row
    predicted = plan.steps()["nash"].seconds(of_game, {"populations": populations})

    laws, rows, law_of, compute = 0, 0, finite_population.stationary_counts, lattice.Rows.__call__

    def counted_law(*of: Any) -> Any:
        nonlocal laws, rows
        laws, before = laws + 1, rows
        found = law_of(*of)
        rows = before  # the rows of a law are its own
        return found

    def counted_rows(self: lattice.Rows, starts: np.ndarray, kernels: np.ndarray) -> np.ndarray:
        nonlocal rows
        rows += len(starts)
        return compute(self, starts, kernels)

    monkeypatch.setattr(finite_population, "stationary_counts", counted_law)
    monkeypatch.setattr(lattice.Rows, "__call__", counted_rows)
    measure.nash_gaps(game, entropy, of_game.policy, name="small", populations=populations)
    assert laws == len(populations)
    assert predicted == 1e6 * laws + rows
    # rows that do not fit are computed at every application, and to know what each of them keeps
    monkeypatch.setattr(finite_population, "MEMORY", 0)
    stored = rows
    predicted = plan.steps()["nash"].seconds(of_game, {"populations": populations}) - 1e6 * len(populations)
    rows = 0
    measure.nash_gaps(game, entropy, of_game.policy, name="small", populations=populations)
    assert rows > 100 * stored
    assert 0.9 * rows < predicted < 1.1 * rows


@pytest.mark.parametrize(("n_states", "strength", "attracts"), [(2, 0.2, False), (3, 0.2, False), (5, 0.5, True)])
def test_iterations_from_an_equilibrium_are_those_until_it_is_left_or_nothing_changes_any_more(
    n_states: int, strength: float, attracts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # of 0.2 of the longest runs from every start, which were predicted, those of a coordination game took a twentieth
    game = games.make("coordination", n_states=n_states, discount=0.8, attraction=1.0)
    of_game = at_equilibrium(game, regularizers.Entropy(strength))
    settings: dict[str, Any] = {"step_sizes": [0.1, 1.0, 10.0], "n_starts": 4, "max_iterations": 1000}
    assert (of_game.radius(0.1) < 1.0) == attracts
    predicted = plan.steps()["basins"].seconds(given(of_game, pma=1.0, jacobian=0.0), settings)
    count, step = 0, operators.policy_mirror_ascent

    def counting(*of: Any, **also: Any) -> np.ndarray:
        nonlocal count
        count += 1
        return step(*of, **also)

    monkeypatch.setattr(operators, "policy_mirror_ascent", counting)
    run = plan.steps()["basins"].run
    assert run is not None
    subject = plan.Subject(game, of_game.regularizer, "entropy", "small", of_game.policy)
    run(subject, settings, 0, lambda: None)
    assert count < 0.25 * 2 * 3 * 4 * 1000
    assert 0.6 * count < predicted < 1.2 * count


@pytest.mark.parametrize(("family", "branches"), [("coordination", 6), ("multiple_equilibria", 2), ("sis_epidemic", 0)])
def test_the_branches_that_leave_a_path_are_predicted_to_take_as_long_as_it(
    family: str, branches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the path alone was timed, down to a millionth of the rewards: 0.25 of what was used where branches leave it
    settings: dict[str, Any] = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    described = settings["games"][family]
    game = games.make(described["family"], **described["parameters"])
    of_game = at_equilibrium(game, regularizers.Entropy(described["strength"]))
    lowest, bounds, follow = 0.02, list[Any](), paths.equilibrium_path

    def counted(*of: Any, **also: Any) -> paths.Path:
        bounds.append(also.get("strengths"))
        return follow(*of, **also)

    monkeypatch.setattr(paths, "equilibrium_path", counted)
    monkeypatch.setattr(paths_steps, "timed", lambda run: (run(), 1.0)[1])
    one = {"games": {"lowest": lowest, "n_starts": 10}, "strengths": [0.1, 0.05, 0.01]}
    seconds = plan.steps()["paths"].seconds(of_game, one)
    # at 0.1 and 0.05: searches, the path, looking for its branches, and each of them
    assert seconds == 2 * (2 * 10 + 1 + 1 + branches)
    high, low = bounds[-1]
    assert low == pytest.approx(lowest * unsettled.reward_range(game))
    of_all = follow(game, of_game.regularizer, strengths=(high, low), branches=True)
    assert len(of_all.branches) == branches


@pytest.mark.parametrize("family", ["planted_smooth", "crowd_averse"])
def test_solutions_on_the_way_to_the_policys_limit_are_predicted_from_the_smallest_population(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = {"n_states": 3, "n_actions": 2, "discount": 0.5, "seed": 1}
    parameters |= {"strength": 0.1} if family == "planted_smooth" else {}
    game, entropy = games.make(family, **parameters), regularizers.Entropy(0.1)
    of_game = at_equilibrium(game, entropy)
    predicted, closed_form = cost.limit_work(of_game, 0.5, 2)
    assert closed_form > 0.0
    count, solve = 0, finite_population._law_and_chain

    def counting(*of: Any) -> Any:
        nonlocal count
        count += 1
        return solve(*of)

    monkeypatch.setattr(finite_population, "_law_and_chain", counting)
    eta = 0.5 / entropy.rho
    start = fluctuations.large_population_policy(game, 8, entropy, step_size=eta, start=of_game.policy)
    finite_population.policy_limit(game, 8, entropy, step_size=eta, start=start)
    assert abs(count - (1 + predicted)) <= 0.25 * count  # one more for its warning


def test_every_run_of_the_comparison_is_predicted() -> None:
    step, game = plan.steps()["comparison"], games.make("crowd_averse", n_states=2, n_actions=2, discount=0.5, seed=1)
    entropy = regularizers.Entropy(0.5)
    subject = plan.Subject(game, entropy, "entropy", "small", equilibrium.solve(game, entropy).policy)
    settings = plan.settings("comparison", subject)
    settings["methods"] = {name: settings["methods"][name] for name in ("gmf_q", "two_timescale")}
    settings |= {"budget": 300, "pilot_budget": 100, "per_decade": 1, "n_replicates": 2}
    calls: list[None] = []
    assert step.run is not None
    step.run(subject, settings, 0, lambda: calls.append(None))
    assert len(calls) == step.ticks(settings) == (3 + 2) * 2 + 2 * 2 * 2  # pilots, and two contenders of each method


@pytest.mark.parametrize(
    ("section", "simulated"), [("nash", False), ("phase", False), ("populations_bias", True), ("independent", True)]
)
def test_only_operations_that_an_experiment_is_made_of_are_timed(
    section: str, simulated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = yaml.safe_load((ROOT / "config/config.yaml").read_text())[section]
    one = {**settings, "games": next(iter(settings["games"])) if isinstance(settings["games"], list) else {}}
    one |= {"games": next(iter(settings["games"].values()))} if isinstance(settings["games"], dict) else {}
    game = games.make("crowd_averse", n_states=3, n_actions=2, discount=0.5, seed=1)
    asked: list[str] = []
    for module, name in ((cost.learning, "ctd"), (cost.learning, "independent"), (cost.replicates, "ctd")):
        monkeypatch.setattr(module, name, lambda *of, name=name, **also: asked.append(name))
    assert cost.section_seconds(section, one, cost.measure(game, regularizers.Entropy(0.5))) > 0.0
    assert bool(asked) == simulated


def test_slower_steps_are_predicted_to_take_longer(units: cost.Units) -> None:
    slower = given(units, step=10 * units.step, step_of_few=10 * units.step)
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
