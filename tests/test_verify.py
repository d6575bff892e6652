"""One claim on one game: every claim is offered, sizes fit the game, verdicts are those of the pipeline."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.units import TIMES, units_of

from pma_mfg import cli, equilibrium, games, operators, regularizers, storage
from pma_mfg.errors import InputError
from pma_mfg.games.model import MOST_LUMPED_STATES, n_lumped_states
from pma_mfg.theory import lipschitz
from pma_replication import configuration, cost, plan, registry, statistics, verify
from pma_replication.experiments.ctd import sizes as ctd_sizes
from pma_replication.experiments.nash import sizes as nash_sizes
from pma_replication.plan import Settings, Subject
from pma_replication.runs import tables as parquet

ROOT = Path(__file__).resolve().parents[1]
#: Sections that make their own games, and so have no sizes for a game of the user's.
OWN_GAMES = {"atlas", "scaling", "networked", "paths_generated"}
#: The source of all judges.
JUDGES = "".join(path.read_text() for path in (ROOT / "src/pma_replication/experiments").rglob("judge.py"))
#: Two of three shares multiply: no sum of links.
UNRECOGNIZED = """import numpy as np

discount, n_states = 0.5, 3


def transition(mean_field):
    stay = 0.3 + 0.3 * mean_field[0] * mean_field[1]
    leave, move = np.full((3, 3), (1 - stay) / 3) + stay * np.eye(3), np.full((3, 3), 0.2 / 3)
    return np.stack([leave, move + 0.8 * np.roll(np.eye(3), 1, axis=1)], axis=1)


def reward(mean_field):
    return -np.stack([mean_field, mean_field + 0.2], axis=1) * (1 + mean_field[0] * mean_field[1])
"""


#: Three towns between which people hardly ever move.
SLOW = """import numpy as np

discount, n_states = 0.99, 3
wages = np.array([0.2, 0.5, 0.9])


def transition(mean_field):
    return np.array([[(1 - rate) * row + rate / 3 for rate in (1e-6, 1e-5)] for row in np.eye(3)])


def reward(mean_field):
    return np.stack([wages - mean_field, wages - mean_field - 0.01], axis=1)
"""
#: A ring of eight places, one step at a time.
RING = """import numpy as np

discount, n_states = 0.8, 8


def transition(mean_field):
    return np.stack([0.5 * np.eye(8) + 0.5 * np.roll(np.eye(8), step, axis=1) for step in (1, -1)], axis=1)


def reward(mean_field):
    return -np.stack([mean_field, mean_field], axis=1) - np.linspace(0.0, 0.5, 8)[:, None]
"""


def subject(strength: float = 0.3, name: str = "small", n_states: int = 2) -> Subject:
    parameters = {"n_states": n_states, "n_actions": 2, "discount": 0.5, "seed": 1, "strength": 0.3}
    game, regularizer = games.make("planted_smooth", **parameters), regularizers.Entropy(strength)
    return Subject(game, regularizer, "entropy", name, equilibrium.solve(game, regularizer).policy)


@pytest.fixture(autouse=True)
def hardly_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Predicted times are compared with nothing: operations are timed for 3 ms each."""
    monkeypatch.setattr(cost, "TIMED", 0.003)


@pytest.fixture(scope="module")
def small() -> Subject:
    return subject()


@pytest.fixture(scope="module")
def all_of_small(small: Subject) -> tuple[dict[str, Settings], dict[str, str]]:
    return plan.all_settings(small)


def test_what_is_said_of_a_claim_stands_with_the_experiment_whose_judge_gives_it_its_name() -> None:
    for name, experiment in registry.experiments().items():
        judges = ROOT / f"src/pma_replication/experiments/{name}/judge.py"
        text = judges.read_text(encoding="utf-8") if judges.exists() else ""
        named = {claim for line in re.findall(r'"id": .*', text) for claim in re.findall(r"C\d[\w-]*", line)}
        named |= set(re.findall(r'^    "(C\d[\w-]*)": ', text, re.MULTILINE))  # a judge of several claims
        named |= set(re.findall(r'"(C\d[\w-]*)", (?:less|tolerance)=', text))  # what several of them share
        assert set(experiment.claims) == named
        for claim in experiment.claims.values():
            assert f"def {claim.judge}(" in text
            assert set(claim.tables) <= registry.tables().keys()


def shrunk(section: str, sizes: Settings) -> Settings:
    """Settings of a section with hardly anything in it: only that all runs is looked at."""
    least: dict[str, Any] = {
        "n_pairs": 3,
        "n_ascents": 0,
        "n_starts": 1,
        "max_iterations": 70,
        "n_probes": 1,
        "n_replicates": 2,
        "other_replicates": 2,
        "n_steps": 200,
        "n_updates": [20, 30, 40],
        "updates": [20, 40, 80],
        "exact_updates": [20, 40],
        "n_epochs": 2,
        "step_epochs": 2,
        "n_agents": 50,
        "populations": [2, 3, 5],
        "population_replicates": [2, 2, 2],
        "budget": 200,
        "pilot_budget": 100,
        "td_constant": 1.0,
        "epsilons": [0.5, 0.4, 0.3],
    }
    chosen = {key: least.get(key, value) for key, value in sizes.items()}
    if section in ("independent", "populations_learned"):
        chosen["n_updates"] = 20
    if section == "phase":
        grid = {"low": 0.1, "high": 1e4, "count": 2}
        chosen |= {"strengths": grid, "step_sizes": grid}
    if section == "orbit":
        chosen["games"] = sizes["games"][:2]
    if section == "samples_tuned":
        chosen["games"] = sizes["games"] | {"epsilons": [0.5, 0.4, 0.3], "td_constant": 1.0}
    if section == "independent_games":
        chosen |= {"games": sizes["games"] | {"updates": [20, 40, 80]}, "populations": [10, 20], "start_left": 0.5}
        chosen["n_replicates"] = 8  # with fewer no slope is fitted
    if section == "coupling":
        chosen |= {"games": sizes["games"] | {"updates": [20, 40]}, "n_epochs": 10}
    if section == "comparison":
        chosen["methods"] = {m: {k: v[:1] for k, v in sizes["methods"][m].items()} for m in ("pma", "fitted_q")}
    return chosen


def test_the_steps_of_every_claim_make_what_its_judge_and_its_figure_read(
    small: Subject, all_of_small: tuple[dict[str, Settings], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, _ = all_of_small
    monkeypatch.setattr(statistics, "RESAMPLES", 20)  # verdicts on runs of nearly no size say nothing anyway
    strong = subject(100.0)
    tables: verify.Tables = {}
    ticks: dict[str, int] = {}
    for name, step in verify.STEPS.items():
        if step.section == "basins":
            sizes: Settings = {"step_sizes": [1.0], "n_starts": 1, "max_iterations": 20}
        elif step.section == "samples_prescribed":
            sizes = {"games": [0.4], "n_agents": 100, "epsilons": [0.4, 0.3]}
            sizes |= {"n_replicates": 2, "step_size": 10.0}
        else:
            sizes = shrunk(step.section, chosen[step.section])

        def advance(name: str = name) -> None:
            ticks[name] = ticks.get(name, 0) + 1

        made = verify.run({name: sizes}, strong if name == "samples_prescribed" else small, 0, advance=advance)
        assert ticks.get(name, 0) == step.ticks(sizes), name
        for table, rows in made.items():
            assert table not in tables or list(tables[table].columns) == list(rows.columns)
            tables[table] = rows if table not in tables else pd.concat([tables[table], rows])
    drawn = set()
    for name, claim in verify.CLAIMS.items():
        made_by = [verify.STEPS[step].section for step in verify.steps(name, True)]
        needed = registry.figures()[claim.figure]
        assert set(claim.tables) <= set(tables)
        record = verify.judge(name, tables)
        assert record["id"] == name or {record["id"], name} == {"C6-smooth", "C6-kinked"}
        assert record["verdict"] in verify.in_words(record, small)[-1]
        if claim.figure not in drawn:
            made = {t for section in made_by for t in registry.sections()[section]}
            verify.picture(name, {table: tables[table] for table in tables if table in made & set(needed)})
            drawn.add(claim.figure)


def test_two_calls_choose_the_same_sizes(all_of_small: tuple[dict[str, Settings], dict[str, str]]) -> None:
    chosen, left_out = all_of_small
    assert (chosen, left_out) == plan.all_settings(subject())
    assert set(left_out) == {"basins", "samples_prescribed"}
    assert "with several equilibria" in left_out["basins"]
    assert set(chosen) | set(left_out) | OWN_GAMES == set(configuration.SECTIONS)


def test_configurations_and_single_claims_have_one_size_of_learning_and_it_fits_into_the_time(
    small: Subject, all_of_small: tuple[dict[str, Settings], dict[str, str]]
) -> None:
    strong = subject(100.0)
    for of, steps in ((small, ("coupling", "populations_learned")), (strong, ("samples_prescribed",))):
        monitored = {step: verify.STEPS[step] for step in steps}
        chosen = all_of_small[0] if of is small else {section: plan.settings(section, of) for section in steps}
        single = verify.settings(steps, of)
        step = plan.step_seconds(of.game)
        timed = dict.fromkeys(TIMES, 1e-5)
        together = plan.step_seconds(of.game, plan.TOGETHER)
        timed |= {"step": step, "step_of_few": step, "step_together": together, "few_together": together}
        units = units_of(of.game, of.regularizer, of.policy, **timed)
        for name, one in monitored.items():
            assert single[name] == chosen[one.section]
            assert 0.0 < one.seconds(units, single[name]) <= 1.1 * plan.BUDGET


@pytest.mark.parametrize("channel", ["seeking", "averse"])
def test_epochs_of_learning_leave_the_start_behind_by_the_slowest_mode(channel: str) -> None:
    parameters = {"n_states": 2, "n_actions": 2, "discount": 0.5, "seed": 0, "strength": 0.3, "channel": "rewards"}
    game = games.make("planted_coupled", **parameters, best_response_radius=0.95, sign=channel)
    assert isinstance(game, games.MeanFieldGame)
    assert game.planted is not None
    slow = Subject(game, regularizers.Entropy(0.3), "entropy", "slow", game.planted.policy)
    coupled = plan.settings("coupling", slow)
    n_epochs = coupled["n_epochs"] * coupled["split"]
    left = slow.rate_at(coupled["step_size"]) ** n_epochs
    assert left**2 <= coupled["accuracy"] / 4.0
    assert n_epochs == 80 or slow.rate_at(coupled["step_size"]) ** (n_epochs - coupled["split"]) > left
    try:
        learned = plan.settings("populations_learned", slow)
    except plan.BeyondBudget:  # more epochs than there is time for
        assert channel == "seeking"
    else:
        assert slow.rate ** (learned["n_epochs"] // 2) <= 1e-3


@pytest.mark.parametrize("command", [[], ["--regularizer", "quadratic"]])
def test_a_written_configuration_is_one_that_the_pipeline_accepts(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    game = subject().game
    assert isinstance(game, games.MeanFieldGame)
    games.save(game, "two states.npz")
    (tmp_path / "own.py").write_text(UNRECOGNIZED)
    sources = {"two states.npz": "two_states", "own.py": "own", "contraction_game": "contraction_game"}
    sources[str(ROOT / "config/example_game.py")] = "example_game"
    for source, name in sources.items() if not command else [("two states.npz", "two_states")]:
        assert cli.main(["config", source, *command, "--out", "my.yaml"]) == 0
        said = capsys.readouterr()
        settings = configuration.load("my.yaml")
        assert next(iter(settings["games"])) == name
        assert settings["results"] == f"results/{name}"
        assert (
            settings["seed"] == cli.parser().parse_args(["verify", "C1c", source]).seed
        )  # so that both draw the same runs
        written = (tmp_path / "my.yaml").read_text()
        missing = set(configuration.SECTIONS) - OWN_GAMES - set(settings)
        assert missing == set(re.findall(r"^# (\w+) is left out", written, re.MULTILINE))
        assert all(f"{section} is left out: " in said.err for section in missing)
        assert re.search(r"# Predicted: \d+ s of processor time", written)
        *_, last = said.out.splitlines()
        assert last.startswith(f"make replicate CONFIG={tmp_path / 'my.yaml'} runs them: ")  # from a clone
        assert "(predicted: " in last
        assert ("nash" in missing) == (name == "own")
        if command:
            assert {"comparison", "samples_prescribed"} <= missing


def test_strengths_end_where_an_action_is_too_rare_for_the_derivative_and_stronger_ones_stay() -> None:
    # values differ by 1 and more: at a hundredth of this strength the worse action's probability is e^-1000 or less
    game, regularizer = games.make("no_interaction", n_states=3, discount=0.9), regularizers.Entropy(0.1)
    chosen = Subject(game, regularizer, "entropy", "chain", equilibrium.solve(game, regularizer).policy)
    strengths = plan.settings("orbit", chosen)["games"]
    assert strengths == [1.0, 0.3, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005]
    for strength in (strengths[-1], 0.001):
        weaker = regularizers.Entropy(strength)
        played = operators.best_response_step(game, equilibrium.solve(game, weaker).policy, weaker)
        assert (played.min() >= lipschitz.LEAST_KL) == (strength > 0.001)


def test_a_state_that_a_simulation_would_not_visit_is_told_before_any_run_and_only_large_populations_stay() -> None:
    # the home of state 2 is left at once, and found again with probability 1e-6
    move = np.tile([[[0.5, 0.5 - 1e-6, 1e-6]], [[0.5, 0.5 - 1e-6, 1e-6]], [[0.5, 0.5, 0.0]]], (1, 2, 1))
    game = games.MeanFieldGame(
        discount=0.5,
        base_transition=move,
        base_reward=np.array([[0.1, 0.0]] * 3),
        transition_terms=np.zeros((0, 3, 2, 3)),
        transition_features=games.Features.none(3),
        reward_terms=-0.1 * np.einsum("ks,a->ksa", np.eye(3), np.ones(2)),
        reward_features=games.Features.build(np.eye(3)),
    )
    entropy = regularizers.Entropy(0.3)
    rare = Subject(game, entropy, "entropy", "rare", equilibrium.solve(game, entropy).policy)
    assert rare.rarest == pytest.approx(1e-6, rel=1e-5)
    sizes = plan.settings("populations_bias", rare)
    least, n_steps = sizes["populations"][0], sizes["n_steps"]
    assert len(sizes["populations"]) >= 3
    assert plan.FEWEST_VISITS <= least * n_steps * rare.rarest <= 10.0 * plan.FEWEST_VISITS
    with pytest.raises(plan.BeyondBudget, match=r"a state in which an agent is once in 1e\+06 steps"):
        plan.settings("populations_agreement", rare)


def test_pma_is_tuned_over_steps_with_which_it_contracts_however_strongly_a_game_answers(small: Subject) -> None:
    assert small.relative_step_size >= 0.1
    assert plan.settings("comparison", small)["methods"]["pma"]["step_size"] == [0.1, 0.4, 2.0]
    crowds = games.from_functions(
        lambda mu: np.full((3, 2, 3), 0.1) + 0.7 * np.stack([np.eye(3), np.roll(np.eye(3), 1, axis=1)], axis=1),
        lambda mu: -np.tile(np.log(mu + 0.02)[:, None], 2),
        0.9,
        n_states=3,
    )
    entropy = regularizers.Entropy(0.02)
    strong = Subject(crowds, entropy, "entropy", "crowds", equilibrium.solve(crowds, entropy).policy)
    assert not strong.rate_at(0.1) < 1.0
    tried = plan.settings("comparison", strong)["methods"]["pma"]["step_size"]
    assert strong.rate_at(tried[0]) < 1.0
    assert plan.settings("literature", strong)["step_size"] == strong.relative_step_size


def test_exact_limits_are_sized_by_the_rate_and_refused_where_they_take_too_long() -> None:
    game = games.make("crowd_averse", n_states=16, n_actions=2, discount=0.5, seed=1)
    entropy = regularizers.Entropy(0.5)
    subject = Subject(game, entropy, "entropy", "many", equilibrium.solve(game, entropy).policy)
    assert subject.rate < 0.6
    sizes = plan.settings("populations_exact", subject)
    assert sizes["populations"] == [2, 3, 4]
    predicted = cost.limit_seconds(subject.rate, 16, sizes["populations"])
    slow = Subject(game, entropy, "entropy", "slow", subject.policy)
    slow.__dict__["rate"] = 0.99  # as of a strongly coupled game
    too_long = cost.limit_seconds(slow.rate, 16, sizes["populations"])
    assert too_long > plan.BUDGET > predicted
    told = re.escape(f"{plan.duration(too_long)} of exact solutions with 2, 3, 4 agents")
    with pytest.raises(plan.BeyondBudget, match=told):
        plan.settings("populations_exact", slow)


def test_a_game_whose_states_never_meet_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    # with the quadratic regularizer agents of this game stay where they are
    assert cli.main(["config", "contraction_game", "--regularizer", "quadratic"]) == 2
    assert "population: got states that never reach each other" in capsys.readouterr().err.splitlines()[-1]


def test_exit_codes_say_whether_a_claim_is_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run, made = verify.run, dict[str, verify.Tables]()

    def once(chosen: dict[str, Settings], subject: Subject, seed: int, **more: Any) -> verify.Tables:
        """Run what was not run before, from one start: C1c and C1d are judged by the same runs of the same game."""
        chosen = {step: sizes | ({"n_starts": 1} if "n_starts" in sizes else {}) for step, sizes in chosen.items()}
        key = f"{subject.name} {chosen} {seed}"
        if key not in made:
            made[key] = run(chosen, subject, seed, **more)
        return made[key]

    monkeypatch.setattr(verify, "run", once)
    game = subject().game
    assert isinstance(game, games.MeanFieldGame)
    games.save(game, "game.npz")
    (tmp_path / "own.py").write_text(UNRECOGNIZED)
    arguments = ["game.npz", "--strength", "0.3"]
    # agents of this game hardly meet: the rate is that without a game, and nothing is shown of it
    assert cli.main(["verify", "c1c", *arguments, "--plot", "rate.png", "--out", "folder", "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert (record["id"], record["verdict"], record["game"]) == ("C1c", "vacuous", "game")
    assert storage.read_json("folder/claims.json") == [record]
    assert set(parquet.read_table("folder/rates.parquet")["game"]) == {"game"}
    assert Path("rate.png").stat().st_size > 1000
    assert cli.main(["verify", "C1a-step", *arguments]) == 0
    assert "rival      the constant could be half as large: no ratio above 0.5" in capsys.readouterr().out
    assert cli.main(["verify", "C1d", *arguments]) == 1
    assert len(made) == 2
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("verdict    inconclusive on game: ")
    assert re.search(r"--strength \S+ would do|no strength of this regularizer would do", last)
    for claim, source, words in (
        ("C2-coordination", "game.npz", "expected one above 1: a game in which agents gather, with several equilibria"),
        ("C7-order", "own.py", "expected a game with features"),
        ("C7order", "game.npz", "expected C7-order"),
        ("C1b-atlas", "game.npz", "a claim on one game; this one is about a grid of games"),
    ):
        assert cli.main(["verify", claim, source]) == 2
        assert words in capsys.readouterr().err.splitlines()[-1]
    assert cli.main(["verify", "C7"]) == 2
    assert cli.main(["verify", "C7", *arguments, "--plot", "rate.pdf"]) == 2
    assert "something.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("claim", "source", "words"),
    [
        (
            "C4",
            SLOW,
            r"not run: some \S+ \w+, .* settles after [\d,]+ updates; allowed is at most 3 minutes$",
        ),
        ("C4-accuracy", SLOW, r"not run: some \S+ \w+"),
        ("C5", SLOW, r"not run: some \S+ \w+, .*; allowed is at most 12 minutes$"),
        ("C7", RING, r"8 states, .* reaches N = 7 .*; allowed is N from 10 on: a game with at most 7 states$"),
    ],
)
def test_what_no_size_within_the_budget_decides_is_inconclusive_before_any_run(
    claim: str,
    source: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def never(*_: Any, **__: Any) -> None:
        pytest.fail("nothing is to be run")

    monkeypatch.setattr(plan.samples_measure, "learning_errors", never)
    monkeypatch.setattr(verify, "run", never)
    (tmp_path / "own.py").write_text(source)
    assert cli.main(["verify", claim, str(tmp_path / "own.py")]) == 1
    *_, rival, last = capsys.readouterr().out.splitlines()
    assert rival == f"rival      {registry.claims()[claim].rival}"
    assert last.startswith("verdict    inconclusive on own: not run: ")
    assert re.search(words, last)
    assert cli.main(["verify", claim, str(tmp_path / "own.py"), "--json"]) == 1
    record = json.loads(capsys.readouterr().out)
    assert (record["id"], record["game"], record["verdict"]) == (claim, "own", "inconclusive")


@pytest.mark.parametrize("strength", [0.3, 3.0])
def test_what_learning_takes_at_least_is_known_before_the_pilot_run_and_is_no_more_than_it_takes(
    strength: float,
) -> None:
    chosen = subject(strength)
    for share, epsilon in zip(plan.SHARES, chosen.accuracies(plan.N_ACCURACIES), strict=True):
        # accuracies are rounded to two digits, and updates are as their square
        assert chosen.least_learning_steps(share) <= 1.1 * chosen.learning_steps(epsilon)


def test_a_step_costs_by_its_possible_moves() -> None:
    sparse, dense = (games.make("garnet", n_states=20, n_actions=2, n_successors=n, seed=1) for n in (2, 20))
    assert plan.step_seconds(sparse) < 0.5 * plan.step_seconds(dense)


def test_a_step_of_replicates_costs_less_where_they_move_side_by_side() -> None:
    game = games.make("garnet", n_states=5, n_actions=2, n_successors=2, seed=1)
    alone, few, together = (plan.step_seconds(game, n) for n in (1, plan.TOGETHER - 1, plan.TOGETHER))
    assert alone == few > together


@pytest.mark.parametrize("slower", [1.0, 100.0, 1e4, 1e6])
def test_the_error_of_td_learning_is_measured_where_it_is_predicted_exactly(
    slower: float, small: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    # of a lift of seven floors it was predicted up to 907 updates and measured from 3502 on
    pairs = small.policy.size
    monkeypatch.setattr(ctd_sizes, "UPDATE_PAIRS", slower * ctd_sizes.UPDATE_PAIRS)
    sizes = plan.settings("ctd", small)
    exact, measured = sizes["exact_updates"], sizes["n_updates"]
    assert set(exact) <= set(measured)
    assert measured == sorted(measured)
    seconds = (1 + len(sizes["exact_waiting"])) * (ctd_sizes.UPDATE + ctd_sizes.UPDATE_PAIRS * pairs**4)
    assert exact[-1] * seconds <= plan.BUDGET or exact == [10]
    if slower == 1.0:
        assert exact == [measured[-1] // share for share in (20, 10, 5)]
    if slower == 1e6:
        assert len(exact) == 1
        assert exact[0] < measured[1]


@pytest.mark.parametrize("applications", [150, 450, 800])
def test_the_largest_populations_that_fit_are_those_that_are_predicted_to(applications: int) -> None:
    def seconds(n_states: int, chosen: list[int]) -> float:
        return sum(cost.gap_seconds(n_states, n_agents, applications) for n_agents in chosen)

    ends = []
    for n_states in range(3, 12):
        chosen = nash_sizes.three_largest(n_states, applications)
        least = chosen[-1] <= nash_sizes.RANGE_END
        assert seconds(n_states, chosen) <= (plan.MOST_SECONDS if least else plan.BUDGET)
        place = plan.LADDER.index(chosen[-1])
        assert chosen == list(plan.LADDER[place - 2 : place + 1])
        longer = list(plan.LADDER[place - 1 : place + 2])
        assert seconds(n_states, longer) > plan.BUDGET or n_lumped_states(n_states, longer[-1]) > MOST_LUMPED_STATES
        ends.append(chosen[-1])
    assert ends == sorted(ends, reverse=True)
    assert plan.feasible_states(lambda n_states: n_states <= 7) == 7


def test_nothing_is_counted_in_a_game_whose_gaps_take_too_long_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(*of: object) -> int:
        raise AssertionError("with some hundred states even the law of two agents takes minutes")

    monkeypatch.setattr(nash_sizes, "gap_applications", counted)
    with pytest.raises(plan.BeyondBudget, match="expected N from 10 on: a game with at most 7 states"):
        plan.settings("nash", subject(n_states=8))


@pytest.mark.parametrize(("applications", "largest"), [(450, 30), (800, 20)])
def test_gaps_are_sized_by_what_they_are_predicted_to_take(
    applications: int, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # four states: up to 30 agents, of which 30 alone take most of the time
    monkeypatch.setattr(nash_sizes, "gap_applications", lambda *of: applications)
    populations = plan.settings("nash", subject(n_states=4))["populations"]
    assert populations[-1] == largest
    assert sum(cost.gap_seconds(4, n_agents, applications) for n_agents in populations) <= plan.BUDGET


def test_the_list_has_every_claim_in_words_with_its_cost_or_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.py"
    own.write_text(UNRECOGNIZED)
    assert cli.main(["verify", "--list", str(own), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["claim"] for row in rows] == list(verify.CLAIMS)
    assert all((row["seconds"] is None) == (row["reason"] is not None) for row in rows)
    reasons = {row["claim"]: row["reason"] for row in rows}
    assert reasons["C1c"] is None
    assert "a game with features" in reasons["C7"]


def test_the_theorems_schedule_is_offered_at_a_strength_that_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "prescribed_strength", lambda subject: 12.5)
    with pytest.raises(InputError, match=r"--strength 12\.5 would do"):
        verify.settings(["samples_prescribed"], subject())


def test_an_undecided_verdict_says_which_reason_it_has(small: Subject) -> None:
    asked = {"verdict": "inconclusive", "id": "C7", "nature": "test", "game": "own", "statement": "", "quantity": ""}
    asked |= {"rival": "", "rival_prediction": "", "power": None, "expected": [0.9, 1.1]}
    said = {
        "too small a range: three N": {"too_small": True, "estimate": 0.8, "interval": [0.8, 0.8]},
        "nothing could be tested": {"too_small": False, "estimate": None, "interval": [None, None]},
        "the interval crosses a border of what is expected": {
            "too_small": False,
            "estimate": 0.8,
            "interval": [0.7, 1.0],
        },
    }
    for why, reason in said.items():
        how = f"{why}; exact" if reason["too_small"] else "exact"
        assert verify.in_words({**asked, **reason, "how": how}, small)[-1].endswith(f": undecided: {why}")
