"""Bad input gives one clear message that names the place, before any job starts."""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pma_mfg import games
from pma_mfg.errors import InputError, InputErrors
from pma_replication import configuration

ROOT = Path(__file__).resolve().parents[2]
SMOKE = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())

Change = Callable[[dict[str, Any]], Any]


def parameters(content: dict[str, Any]) -> dict[str, Any]:
    return content["games"]["smooth"]["parameters"]


LARGE = {
    "family": "crowd_averse",
    "parameters": {"n_states": 10_000, "n_actions": 7, "n_successors": 2, "discount": 0.5, "seed": 1},
    "regularizer": "entropy",
    "strength": 1.0,
}
BAD: dict[str, tuple[Change, tuple[str, ...]]] = {
    "unknown key": (lambda c: c.update(sead=1), ("(top level)", "sead", "only the keys", "seed")),
    "unknown key below": (lambda c: c["ctd"].update(burn_in=1), ("ctd", "burn_in", "n_waiting")),
    "missing key": (lambda c: c.pop("seed"), ("no key seed",)),
    "wrong type": (lambda c: c.update(seed="one"), ("seed", "'one'", "integer")),
    "a fraction of a replicate": (lambda c: c["ctd"].update(n_replicates=2.5), ("ctd.n_replicates", "2.5", "integer")),
    "discount of one": (lambda c: parameters(c).update(discount=1.0), ("games.smooth", "discount", "1.0", "[0, 1)")),
    "negative discount": (lambda c: parameters(c).update(discount=-0.1), ("discount", "-0.1", "[0, 1)")),
    "strength zero": (lambda c: c["games"]["smooth"].update(strength=0), ("games.smooth.strength", "0", "> 0")),
    "negative planted strength": (lambda c: parameters(c).update(strength=-1.0), ("strength", "-1.0", "> 0")),
    "one agent": (
        lambda c: c["populations_bias"].update(populations=[1, 10, 100]),
        ("populations_bias.populations[0]", "1", ">= 2"),
    ),
    "one agent in TD": (lambda c: c["ctd"].update(populations=[10, 1]), ("ctd.populations[1]", "1", ">= 2")),
    "no agents to deviate": (lambda c: c["nash"].update(populations=[]), ("nash.populations", "entries")),
    "the bias of an epidemic that dies out": (
        lambda c: (
            c["games"].update(epidemic={**c["games"]["smooth"], "family": "sis_epidemic", "parameters": {}}),
            c["populations_bias"].update(games=["epidemic"], populations=[10, 100, 1000]),
        ),
        (
            "populations_bias.populations[0]",
            "10, of whom none is in state",
            "of epidemic",
            "states that are all visited for ever",
        ),
    ),
    "unknown game in the agreement": (
        lambda c: c["populations_agreement"].update(games=["x"]),
        ("populations_agreement.games[0]", "'x'"),
    ),
    "unknown family": (
        lambda c: c["games"]["smooth"].update(family="planted"),
        ("family", "planted", "planted_smooth"),
    ),
    "missing parameter": (lambda c: parameters(c).pop("discount"), ("games.smooth", "discount", "nothing", "requires")),
    "unknown parameter": (lambda c: parameters(c).update(states=3), ("games.smooth", "states", "n_states")),
    "text for a number": (lambda c: parameters(c).update(n_states="3"), ("n_states", "'3'", "integer >= 1")),
    "NaN parameter": (
        lambda c: parameters(c).update(coupling=float("nan")),
        ("parameters.coupling", "nan", "finite"),
    ),
    "unknown regularizer": (lambda c: c["games"]["smooth"].update(regularizer="l1"), ("regularizer", "l1", "entropy")),
    "unknown game": (lambda c: c["ctd"].update(games=["smoth"]), ("ctd.games[0]", "smoth", "smooth")),
    "unknown game in the dynamics": (
        lambda c: c["basins"].update(games=["crowd"]),
        ("basins.games[0]", "coordination"),
    ),
    "strength zero in damping": (
        lambda c: c["orbit"]["games"].update(cycling=[1.0, 0]),
        ("orbit.games.cycling[1]", "0", "> 0"),
    ),
    "no iterations": (lambda c: c["dynamics"].update(max_iterations=0), ("dynamics.max_iterations", "0", ">= 1")),
    "name that is a path": (lambda c: c["games"].update({"../x": c["games"]["smooth"]}), ("games", "../x", "letters")),
    "family and file": (lambda c: c["games"]["smooth"].update(file="x.npz"), ("games.smooth", "either family", "file")),
    "accuracy above one": (
        lambda c: c["samples_tuned"]["games"]["smooth"].update(epsilons=[0.1, 0.2, 1.5]),
        ("epsilons[2]", "1.5", "< 1"),
    ),
    "grid upside down": (
        lambda c: c["phase"]["strengths"].update(low=1000.0),
        ("phase.strengths", "1000.0", "low below high"),
    ),
    "grid of one": (lambda c: c["phase"]["strengths"].update(count=1), ("phase.strengths.count", "1", ">= 2")),
    "updates in disorder": (lambda c: c["ctd"].update(n_updates=[100, 10, 1000]), ("ctd.n_updates", "increasing")),
    "exact updates in disorder": (
        lambda c: c["ctd"].update(exact_updates=[100, 10]),
        ("ctd.exact_updates", "increasing"),
    ),
    "unknown game to prescribe for": (
        lambda c: c["samples_prescribed"].update(games={"smoth": [0.1]}),
        ("samples_prescribed.games[0]", "smoth", "smooth"),
    ),
    "prescription without accuracy": (
        lambda c: c["samples_prescribed"].update(games={"smooth": []}),
        ("samples_prescribed.games.smooth", "[]", "at least 1"),
    ),
    "neither a game nor an atlas": (
        lambda c: (c.clear(), c.update(seed=0, results="r", figures="f", games={})),
        ("games", "at least one game, or a section that makes its own: atlas, networked"),
    ),
    "unknown family in the atlas": (
        lambda c: c["atlas"]["grids"]["garnet"].update(family="garnett"),
        ("atlas.grids.garnet", "family", "garnett", "garnet"),
    ),
    "a bad corner of the atlas": (
        lambda c: c["atlas"]["grids"]["garnet"]["parameters"].update(n_successors=[3, 4]),
        ("atlas.grids.garnet", "n_successors", "4", "at most n_states, 3"),
    ),
    "a seed among the parameters of the atlas": (
        lambda c: c["atlas"]["grids"]["garnet"]["parameters"].update(seed=[1]),
        ("atlas.grids.garnet", "seed", "n_seeds"),
    ),
    "an axis of the atlas that is no list": (
        lambda c: c["atlas"]["grids"]["garnet"]["parameters"].update(discount=0.5),
        ("atlas.grids.garnet.parameters.discount", "0.5", "array"),
    ),
    "a population that is too large for the exact chain": (
        lambda c: c["populations_exact"].update(games=["smooth"], populations=[2, 3, 10_000]),
        ("populations_exact.populations[2]", "10000, with which smooth has 150015000 states", "at most 200000"),
    ),
    "a deviator among too many": (
        lambda c: c["nash"]["populations"].append(100_001),
        ("nash.populations", "100001, with which two_states_", "200002 states", "at most 200000"),
    ),
    "a comparison of simulated and exact numbers among too many": (
        lambda c: c["populations_agreement"]["populations"].append(10**15),
        ("populations_agreement.populations", "1000000000000000, with which", "at most 200000"),
    ),
    "a comparison with another regularizer": (
        lambda c: (c["games"][c["comparison"]["games"][0]].update(regularizer="quadratic"), c.pop("one_trajectory")),
        ("comparison.games[0]", "quadratic", "entropy"),
    ),
    "replicates for other populations": (
        lambda c: c["independent"]["population_replicates"].append(8),
        ("independent.population_replicates", "one number for each of the populations"),
    ),
    "too few replicates for an interval of independent learners": (
        lambda c: c["independent_games"].update(n_replicates=7),
        ("independent_games.n_replicates", "7", "a number >= 8"),
    ),
    "no second half of the epochs": (
        lambda c: c["populations_learned"].update(n_epochs=1),
        ("populations_learned.n_epochs", "1", ">= 2"),
    ),
    "too many independent learners": (
        lambda c: c["independent"].update(n_agents=10**7 + 1),
        ("independent.n_agents", "10000001", "a number <= 10000000"),
    ),
    "a population twice": (
        lambda c: c["populations_bias"].update(populations=[2, 10, 10]),
        ("populations_bias.populations", "differ"),
    ),
    "too many pairs for independent learning": (
        lambda c: (c["games"].update(large=LARGE), c["independent"].update(games=["large"])),
        ("independent.games[0]", "large, 10000 states and 7 actions", "at most 65536 pairs"),
    ),
    "more updates than can be counted": (
        lambda c: next(iter(c["samples_tuned"]["games"].values())).update(td_constant=1e8),
        ("samples_tuned.games.", "td_constant", "100000000.0 for epsilon 0.", "1e+15 updates"),
    ),
    "more updates than can be counted, among independent learners": (
        lambda c: c["independent"].update(td_constant=1e8),
        ("independent.td_constant", "100000000.0 for epsilon 0.", "1e+15 updates"),
    ),
    "a game that the theorem does not cover": (
        lambda c: c["samples_prescribed"]["games"].update(kinked=[0.1, 0.3]),
        ("samples_prescribed.games.kinked", "affine in the mean field"),
    ),
    "a game that is not certified to contract": (
        lambda c: c["games"]["certified"].update(strength=1e-3),
        ("samples_prescribed.games.certified", "L_Gamma_eta", "a bound < 1", "not certified"),
    ),
    "no games in a batch of the atlas": (lambda c: c["atlas"].update(batch_size=0), ("atlas.batch_size", "0", ">= 1")),
    "not a mapping": (lambda c: c.clear(), ("(top level)", "no key seed")),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_configuration_is_refused_with_its_place_and_what_is_allowed(case: str) -> None:
    change, words = BAD[case]
    content = copy.deepcopy(SMOKE)
    change(content)
    with pytest.raises(InputError) as refused:
        configuration.check(content, "mine.yaml")
    message = str(refused.value)
    assert message.startswith("mine.yaml")
    assert "\n" not in message
    for word in words:
        assert word in message


def test_all_problems_are_said_at_once_each_with_its_place() -> None:
    content = copy.deepcopy(SMOKE)
    content["sead"] = 1
    content["figures"] = content["results"]
    parameters(content).update(discount=2, coupling=float("nan"))
    content["games"]["kinked"]["parameters"].update(n_state=3, n_actions=0)
    content["games"]["kinked"]["parameters"].pop("n_states")
    content["games"]["certified"].update(family="affin", regularizer="entropie")
    content["games"]["own"] = {"file": "nosuch.npz", "regularizer": "entropy", "strength": 0}
    content["ctd"].update(games=["smoth"], n_updates=[100, 10, 1000], n_replicate=2)
    content["nash"]["games"].append("kinkd")
    content["phase"]["strengths"].update(low=1e6)
    with pytest.raises(InputErrors) as refused:
        configuration.check(content, "mine.yaml")
    *lines, last = str(refused.value).splitlines()
    places = [line.partition(": got ")[0].removeprefix("mine.yaml: ") for line in lines]
    assert sorted(places) == [
        "(top level)",
        "ctd",
        "ctd.games[0]",
        "ctd.n_updates",
        "figures",
        "games.certified.regularizer",
        "games.certified: family",
        "games.kinked: n_actions",
        "games.kinked: n_state",
        "games.kinked: n_states",
        "games.own.file, nosuch.npz",
        "games.own.strength",
        "games.smooth.parameters.coupling",
        f"nash.games[{len(content['nash']['games']) - 1}]",
        "phase.strengths",
    ]
    for meant in ("seed", "n_replicates", "smooth", "entropy", "affine", "n_states", "kinked"):
        assert f"did you mean {meant}?" in str(refused.value)
    assert last == f"mine.yaml: {len(lines)} problems"
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("seed: 010", "seed: got 010, expected no leading zero, which YAML takes for base 8 (8): write 10"),
        ("seed: -0017", "seed: got -0017, expected no leading zero, which YAML takes for base 8 (-15): write 17"),
        ("seed: 1:30", "seed: got 1:30, expected no colon, which YAML takes for base 60: write 90, or quote a text"),
        (
            "ctd: {games: [a, 2:00]}",
            "ctd.games[1]: got 2:00, expected no colon, which YAML takes for base 60: write 120",
        ),
    ],
)
def test_a_number_that_yaml_reads_otherwise_is_refused_with_what_to_write(
    written: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(written, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(words)):
        configuration.read(path)
    with pytest.raises(InputErrors, match=re.escape(words)):  # beside what else is wrong
        configuration.load(path)
    path.write_text("seed: 0\nx: [10, 0x10, 0.5, 1_000, '010', 1:30 h, 00:x]", encoding="utf-8")
    configuration.read(path)


@pytest.mark.parametrize("name", ["config.yaml", "smoke.yaml", "atlas.yaml", "networked.yaml"])
def test_shipped_configurations_are_accepted(name: str) -> None:
    configuration.load(ROOT / "config" / name)


def stored_game(path: Path, **changes: Any) -> Path:
    game = games.make("planted_smooth", n_states=3, n_actions=2, discount=0.5, seed=0, strength=0.1)
    arrays = {
        "discount": np.array(game.discount),
        "base_transition": game.base_transition.copy(),
        "base_reward": game.base_reward.copy(),
    }
    for name, value in changes.items():
        if callable(value):
            value(arrays[name])
        else:
            arrays[name] = value
    np.savez(path, **arrays)
    return path


def negative(transition: np.ndarray) -> None:
    transition[1, 0] = [-0.25, 0.75, 0.5]


def too_much(transition: np.ndarray) -> None:
    transition[1, 0, 2] += 0.125


def not_a_number(reward: np.ndarray) -> None:
    reward[2, 1] = np.nan


BAD_FILES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "negative probability": ({"base_transition": negative}, ("next=0|state=1, action=0", "-0.25", ">= 0")),
    "rows that do not sum to one": ({"base_transition": too_much}, ("state=1, action=0", "1.125", "sum to 1")),
    "NaN": ({"base_reward": not_a_number}, ("base_reward[2, 1]", "nan", "finite")),
    "shapes that do not fit": ({"base_reward": np.zeros((3, 4))}, ("base_transition", "(3, 2, 3)", "(3, 4, 3)")),
    "discount of one": ({"discount": np.array(1.0)}, ("discount", "1.0", "[0, 1)")),
}


@pytest.mark.parametrize("case", [*BAD_FILES, "cut short", "missing"])
def test_bad_game_file_is_refused_with_its_array_and_place(case: str, tmp_path: Path) -> None:
    changes, words = BAD_FILES.get(case, ({}, ("mine.npz",)))
    path = stored_game(tmp_path / "mine.npz", **changes)
    if case == "cut short":
        path.write_bytes(path.read_bytes()[:-200])
    if case == "missing":
        path.unlink()
    content = copy.deepcopy(SMOKE)
    content["games"]["smooth"] = {"file": str(path), "regularizer": "entropy", "strength": 0.1}
    with pytest.raises(InputError) as refused:
        configuration.check(content, "mine.yaml")
    assert "mine.npz" in str(refused.value)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize("entry", [("workflow/run.py",), ("-m", "snakemake", "--configfile")])
def test_bad_configuration_starts_no_job(entry: tuple[str, ...], fresh_copy: Path, run: Callable[..., Any]) -> None:
    content = copy.deepcopy(SMOKE)
    content["games"]["smooth"]["strength"] = 0
    (fresh_copy / "bad.yaml").write_text(yaml.safe_dump(content))
    done = run(fresh_copy, *entry, "bad.yaml")
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "bad.yaml: games.smooth.strength: got 0, expected a number > 0" in output
    assert "Traceback" not in output
    assert not (fresh_copy / "results").exists()


MINIMAL = """seed: SEED
results: results/x
figures: results/x/figures
games:
  NAME: {family: no_interaction, parameters: {}, regularizer: entropy, strength: 1.0}
"""


def test_a_run_called_from_elsewhere_without_a_home_and_in_plain_ascii_is_of_the_configuration_it_checked(
    fresh_copy: Path, tmp_path: Path
) -> None:
    for folder, name in ((tmp_path, "mine"), (fresh_copy, "another")):
        text = MINIMAL.replace("NAME", name).replace("SEED", "1")
        (folder / "mine.yaml").write_text(text, encoding="utf-8")
    surroundings = {"HOME": "/dev/null", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    environment = {**os.environ, "PYTHONPATH": str(fresh_copy / "src")} | surroundings
    environment.pop("XDG_CACHE_HOME", None)
    command = [sys.executable, str(fresh_copy / "workflow/run.py"), "mine.yaml", "--dry-run"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert re.search(r"Job \d+: Make the game mine\n", done.stdout + done.stderr)
    assert "game another" not in done.stdout + done.stderr
    said = [line for line in done.stdout.splitlines() if "home folder" in line]
    assert said == [f"the home folder /dev/null cannot be written: caches are kept in {fresh_copy}/.snakemake/cache"]


def test_plain_snakemake_says_in_one_line_what_is_wrong_with_a_target_or_a_number(
    fresh_copy: Path, run: Callable[..., Any]
) -> None:
    text = MINIMAL.replace("NAME", "crowd")
    (fresh_copy / "mine.yaml").write_text(text.replace("SEED", "1"), encoding="utf-8")
    done = run(fresh_copy, "-m", "snakemake", "results/x/equilibria/crowds.npz", "--configfile", "mine.yaml")
    assert done.returncode == 1
    wanted = "error: mine.yaml: games: got no game crowds, expected one of crowd; did you mean crowd?"
    assert done.stderr.splitlines().count(wanted) == 1
    assert "Traceback" not in done.stdout + done.stderr
    (fresh_copy / "mine.yaml").write_text(text.replace("SEED", "010"), encoding="utf-8")
    done = run(fresh_copy, "-m", "snakemake", "--configfile", "mine.yaml")
    assert done.returncode == 1
    assert "mine.yaml: seed: got 010, expected no leading zero" in done.stderr


def test_unreadable_yaml_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("seed: [1\ngames: 3")
    with pytest.raises(InputError, match=r"broken\.yaml: line 2: got .*, expected valid YAML"):
        configuration.load(tmp_path / "broken.yaml")
    with pytest.raises(InputError, match=r"absent\.yaml: file: got nothing there"):
        configuration.load(tmp_path / "absent.yaml")


def test_every_experiment_may_be_left_out() -> None:
    needed = ("seed", "results", "figures", "games")
    configuration.check({key: SMOKE[key] for key in needed}, "mine.yaml")
    for section in configuration.SECTIONS:
        configuration.check({key: SMOKE[key] for key in (*needed, section)}, "mine.yaml")
        configuration.check({key: value for key, value in SMOKE.items() if key != section}, "mine.yaml")


def test_one_game_and_one_experiment_run_to_their_tables_figures_and_claims_alone(
    fresh_copy: Path, run: Callable[..., Any]
) -> None:
    content = {key: SMOKE[key] for key in ("seed", "results", "figures")}
    content["games"] = {"certified": SMOKE["games"]["certified"]}
    content["contraction"] = {**SMOKE["contraction"], "games": ["certified"], "n_starts": 1}
    (fresh_copy / "mine.yaml").write_text(yaml.safe_dump(content))
    done = run(fresh_copy, "workflow/run.py", "mine.yaml", "--verbose")
    assert done.returncode == 0, done.stderr[-3000:]
    # jobs are selected at the start and when one has ended, and not all the time (docs/scheduler.md)
    told = done.stdout + done.stderr
    assert 0 < told.count("Ready jobs: ") <= 1 + told.count("Finished jobid: ")
    results = fresh_copy / SMOKE["results"]
    tables = {path.stem for path in (results / "tables").iterdir()}
    assert tables == {"equilibria", "assumptions", "iterates", "rates", "certified"}
    drawn = {path: path.read_bytes() for path in (results / "figures").glob("*.png")}
    assert {path.stem for path in drawn} == {"equilibria", "contraction"}
    drawn_again = run(fresh_copy, "-m", "pma_replication.cli", "figures", "mine.yaml")
    assert drawn_again.returncode == 0, drawn_again.stderr
    assert {path: path.read_bytes() for path in drawn} == drawn
    claimed = {record["id"] for record in json.loads((results / "claims.json").read_text())}
    assert claimed == {"C1c", "C1d", "C1d-certificate"}


#: Names that a shell would take apart, or run a part of, if they were not quoted.
FOLDER, FIGURES = "results/it's; touch pwned; $(touch pwned)", 'results/a "b" `touch pwned` & touch pwned'
FILES = (
    "a b;touch pwned.npz & $(touch pwned) 'c' \"d\".npz",
    "$(touch pwned) 'c' \"d\".npz",
    "x\\ && touch pwned #.npz",
)


def test_no_name_of_a_file_or_folder_reaches_a_shell_unquoted(fresh_copy: Path, run: Callable[..., Any]) -> None:
    content = copy.deepcopy(SMOKE) | {"results": FOLDER, "figures": FIGURES}
    certified = content["games"]["certified"]
    for name, file in zip(("smooth", "kinked", "certified"), FILES, strict=True):
        games.save(games.make(certified["family"], **certified["parameters"]), fresh_copy / file)
        content["games"][name] = {"file": file, "regularizer": "entropy", "strength": 1.0}
    (fresh_copy / "mine.yaml").write_text(yaml.safe_dump(content))
    made = f"{FOLDER}/equilibria/smooth.npz"  # one game is made and solved; of the others the commands are looked at
    snakemake = ("-m", "snakemake", "--configfile", "mine.yaml")
    done = run(fresh_copy, *snakemake, "--", made)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (fresh_copy / made).exists(), done.stderr[-3000:]
    shown = run(
        fresh_copy, "-m", "snakemake", "--configfile", "mine.yaml", "--dry-run", "--printshellcmds", "--forceall"
    )
    assert shown.returncode == 0, shown.stderr[-3000:]
    lines = [line.strip() for line in (shown.stdout + shown.stderr).splitlines()]
    lines = [line for line in lines if line.startswith(("Shell command: ", "pma-replicate "))]
    commands = [shlex.split(line.partition("pma-replicate ")[2]) for line in lines]
    told = {command[0] for command in commands if command}
    assert {"game", "equilibria", "bounds", "ctd", "independent", "comparison", "collect", "claims", "figure"} <= told
    for command in commands:
        for word in command:  # names arrive whole: as a path in one of the folders, or as one of the files
            assert "pwned" not in word or word in FILES or word.startswith((FOLDER, FIGURES)), word
    assert not list(fresh_copy.rglob("pwned"))
