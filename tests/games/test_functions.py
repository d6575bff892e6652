"""Games given by functions: the same answers as the data games they wrap, and clear words about wrong ones."""

from __future__ import annotations

import copy
import functools
import inspect
import json
import multiprocessing
import os
import pickle
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pma_mfg import cli, equilibrium, games, jacobian, seeds
from pma_mfg.errors import InputError
from pma_mfg.games import functions
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import schedules
from pma_mfg.populations import fluctuations
from pma_mfg.regularizers import Entropy
from pma_mfg.simulation import exchangeable as simulation
from pma_mfg.theory import assumptions, lipschitz
from pma_replication import cli as replicate
from pma_replication import configuration

ROOT = Path(__file__).resolve().parents[2]
ENTROPY = Entropy(0.1)
SOUND = """import numpy as np
discount = 0.8
state_labels = ["left", "right"]
action_labels = ["stay", "go"]

def transition(mean_field):
    stay = 0.9 - 0.3 * mean_field**2
    P = np.zeros((2, 2, 2))
    P[0, 0] = stay[0], 1 - stay[0]
    P[1, 0] = 1 - stay[1], stay[1]
    P[:, 1] = P[:, 0, ::-1]
    return P

def reward(mean_field):
    return -np.tanh(mean_field)[:, None] - np.array([0.0, 0.1])
"""


def pair(family: str = "planted_smooth") -> tuple[games.MeanFieldGame, games.FunctionGame]:
    parameters: dict[str, Any] = {"strength": 0.1} if family.startswith("planted") else {}
    game = games.make(family, n_states=3, n_actions=2, discount=0.5, seed=1, **parameters)
    return game, games.FunctionGame(game.discount, game.transition, game.reward, n_states=3, n_actions=2)


@pytest.mark.parametrize("family", ["planted_smooth", "affine"])
def test_a_wrapped_game_has_the_same_equilibrium_derivatives_and_closed_forms(family: str) -> None:
    game, wrapped = pair(family)
    found, other = equilibrium.solve(game, ENTROPY), equilibrium.solve(wrapped, ENTROPY)
    np.testing.assert_allclose(other.policy, found.policy, rtol=0, atol=1e-12)
    assert max(map(abs, other.residuals.values())) < 1e-11
    jacobians = [jacobian.jacobian(g, found.policy, 1.0, regularizer=ENTROPY) for g in (game, wrapped)]
    np.testing.assert_allclose(jacobians[1], jacobians[0], rtol=0, atol=1e-9)  # differences: some 1e-10, section 1.2
    for n_agents in (10, 1000):
        q, other_q = (
            fluctuations.large_population_q(g, found.policy, n_agents, regularizer=ENTROPY) for g in (game, wrapped)
        )
        np.testing.assert_allclose(other_q, q, rtol=0, atol=1e-9)
    assert any("estimate" in warning for warning in other.warnings)


@pytest.mark.parametrize("n_agents", [1000, 10**6])
@pytest.mark.parametrize("waiting", [0, 2])
def test_trajectories_of_a_wrapped_game_are_the_same_draw_by_draw(n_agents: int, waiting: int) -> None:
    policy = np.array([[0.3, 0.7], [0.5, 0.5], [0.9, 0.1]])
    ends = []
    for game in pair():
        population = simulation.initial_population(game, n_agents, seeds.generator(0, "start"))
        q = learning.ctd(
            game,
            policy,
            n_agents,
            regularizer=ENTROPY,
            n_updates=[30, 200],
            n_waiting=waiting,
            td_scale=5.0,
            td_offset=5.0,
            rng=seeds.generator(0),
            population=population,
        )
        ends.append((population, q))
    for name in ("others", "tagged", "stream"):
        np.testing.assert_array_equal(getattr(ends[0][0], name), getattr(ends[1][0], name))
    np.testing.assert_allclose(ends[1][1], ends[0][1], rtol=0, atol=1e-12)


def test_td_learning_of_a_wrapped_game_in_pieces_is_bitwise_that_in_one() -> None:
    _, wrapped = pair()
    policy = np.array([[0.3, 0.7], [0.5, 0.5], [0.9, 0.1]])
    steps = {"n_updates": [1200, 2500], "n_waiting": 0, "td_scale": 5.0, "td_offset": 5.0}
    learn, saved = functools.partial(learning.ctd, wrapped, policy, 100, regularizer=ENTROPY, **steps), []
    whole = learn(rng=seeds.generator(0))
    pieces = learn(rng=seeds.generator(0), save=lambda state: saved.append(int(state()["updates"])))
    np.testing.assert_array_equal(pieces, whole)
    assert 0 < saved[0] < 2500


@pytest.mark.parametrize("threads", [1, 2])
def test_independent_learners_of_a_wrapped_game_are_the_same(threads: int) -> None:
    schedule = schedules.Schedule(2, 20, 1, 1.0, 5.0, 5.0)
    runs = [
        learning.independent(
            g, 9000, ENTROPY, schedule=schedule, rng=seeds.generator(0), threads=threads
        )  # several blocks
        for g in pair()
    ]
    np.testing.assert_array_equal(runs[0].states, runs[1].states)
    np.testing.assert_allclose(runs[1].q, runs[0].q, rtol=0, atol=1e-12)


def test_estimates_lie_below_the_constants_and_are_never_taken_for_bounds() -> None:
    game, wrapped = pair()
    exact, estimated = lipschitz.constants(game), lipschitz.constants(wrapped)
    assert set(estimated.kind.values()) == {"estimate"}
    for name in exact.kind:
        assert getattr(estimated, name) <= getattr(exact, name) + 1e-9
    assert lipschitz.contraction_bound(wrapped, ENTROPY, 1.0).L_gamma == np.inf
    assert lipschitz.policy_floor(wrapped, ENTROPY) == -np.inf
    words = assumptions.in_words(assumptions.assumptions(wrapped, ENTROPY, 1.0))
    assert len(words) == 4
    assert not [line for line in words if line.endswith(": met")]


def test_a_kink_is_seen_where_it_is_and_nowhere_else() -> None:
    kinked = games.make("planted_kinked", n_states=3, n_actions=2, discount=0.5, seed=1, strength=0.1)
    assert kinked.planted is not None
    wrapped = games.FunctionGame(kinked.discount, kinked.transition, kinked.reward, n_states=3, n_actions=2)
    assert not wrapped.differentiable_at(kinked.planted.mean_field)
    assert wrapped.differentiable_at(np.array([0.2, 0.3, 0.5]))


WRONG = {
    "no discount": (("discount = 0.8\n", ""), "discount: got nothing"),
    "a syntax error": (("return P", "return P ="), "file, line 12: got SyntaxError"),
    "an exception": (("stay = 0.9", "stay = 1 / 0 + 0.9"), "transition, line 7: ZeroDivisionError"),
    "rows that do not sum to one": (("= stay[0], 1 - stay[0]", "= stay[0], 1.1 - stay[0]"), "sums to 1.1"),
    "negative where crowded": (("0.3 * mean_field**2", "mean_field"), "a probability cannot be negative"),
    "not finite at the boundary": (
        ("-np.tanh(mean_field)", "-np.log(mean_field)"),
        "not finite (some states are empty",
    ),
    "modifies its argument": (("    stay = 0.9", "    mean_field *= 0.5\n    stay = 0.9"), "modifies its argument"),
    "not deterministic": (("return -np.tanh", "return np.random.rand() - np.tanh"), "two different arrays"),
    "wrong shape": (("np.tanh(mean_field)[:, None]", "np.tanh(mean_field)[None, :, None]"), "shape (1, 2, 2)"),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("case", WRONG)
def test_validate_says_in_plain_words_what_is_wrong(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (old, new), words = WRONG[case]
    assert old in SOUND
    path = tmp_path / "mine.py"
    path.write_text(SOUND.replace(old, new))
    assert cli.main(["validate", str(path)]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    with pytest.raises(InputError, match=r"mine\.py"):
        games.load(path)


def test_validate_tells_the_equilibrium_of_a_sound_game_and_copies_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, made = tmp_path / "mine.py", tmp_path / "copy.py"
    path.write_text(SOUND)
    assert cli.main(["validate", str(path)]) == 0
    said = capsys.readouterr().out
    assert "left: population 0.5000; plays stay" in said  # by symmetry
    assert "L_pop = " in said
    assert "`pma-mfg validate` estimates" not in said  # which is what has just been done
    assert cli.main(["solve", str(path), "--strength", "0.1", "--out", str(tmp_path / "nash.npz")]) == 0
    assert "`pma-mfg validate` estimates L_pop" in capsys.readouterr().err
    assert cli.main(["validate", str(path), "--strength", "0.3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["constants"]["K_mu"]["kind"] == "estimate"
    assert told["equilibrium"]["strength"] == 0.3
    assert told["equilibrium"]["exploitability"] < 1e-10
    assert replicate.main(["game", str(path), "--out", str(made)]) == 0
    assert made.read_text() == SOUND


def test_a_section_that_needs_features_refuses_a_game_of_functions_before_any_job(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(SOUND)
    content = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    content["games"]["mine"] = {"file": str(tmp_path / "mine.py"), "regularizer": "entropy", "strength": 0.1}
    for section in configuration.SECTIONS:
        changed = copy.deepcopy(content)
        if "games" not in changed[section]:  # the atlas, which makes its own
            continue
        if isinstance(changed[section]["games"], list):
            changed[section]["games"].append("mine")
        else:
            changed[section]["games"]["mine"] = next(iter(changed[section]["games"].values()))
        if not configuration.SECTIONS[section].needs_features:
            configuration.check(changed, "mine.yaml")
            continue
        with pytest.raises(InputError, match=rf"{section}\.games.*a game with features"):
            configuration.check(changed, "mine.yaml")
    with pytest.raises(InputError, match="a game with features"):
        functions.load_functions(tmp_path / "mine.py").with_features("here")


def test_both_kinds_of_games_answer_the_same_calls() -> None:
    data, wrapped = pair()
    own = {field.name for field in fields(wrapped)}
    shared = {name for name in dir(games.FunctionGame) if not name.startswith("_")} - own
    assert {"transition", "reward", "linearized", "has_features", "without_rewards"} <= shared
    for name in shared:
        one, other = getattr(data, name), getattr(wrapped, name)
        if inspect.ismethod(other):
            assert inspect.signature(one).parameters == inspect.signature(other).parameters, name
    assert data.has_features
    assert not wrapped.has_features
    assert data.with_features("here") is data


def test_without_rewards_only_the_rewards_change() -> None:
    mean_field = np.array([0.2, 0.3, 0.5])
    for game in pair():
        bare = game.without_rewards()
        np.testing.assert_array_equal(bare.transition(mean_field), game.transition(mean_field))
        assert game.reward(mean_field).any()
        assert not bare.reward(mean_field).any()
        assert lipschitz.population_contraction(bare) == lipschitz.population_contraction(game)


# --- as values: pickled, compared, printed


def exact_rewards(mean_field: np.ndarray) -> np.ndarray:
    return -np.tanh(mean_field)[:, None] * np.array([1.0, 2.0])


def even_transitions(_: np.ndarray) -> np.ndarray:
    return np.full((2, 2, 2), 0.5)


def test_games_of_functions_survive_a_new_process(tmp_path: Path) -> None:
    (tmp_path / "delays.csv").write_text("0.5,0.25")
    (tmp_path / "mine.py").write_text(READS)
    read = games.load(tmp_path / "mine.py")
    made = games.from_functions(even_transitions, exact_rewards, 0.5, n_states=2)
    assert isinstance(read, games.FunctionGame)
    assert isinstance(made, games.FunctionGame)
    mean_field = np.array([0.3, 0.7])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for game in (read, made):
            np.testing.assert_array_equal(pool.apply(game_reward, (game, mean_field)), game.reward(mean_field))
    assert pickle.loads(pickle.dumps(read)) == read


def game_reward(game: games.Game, mean_field: np.ndarray) -> np.ndarray:
    return game.reward(mean_field)


def test_games_are_equal_if_their_content_is_and_their_repr_is_a_line() -> None:
    data = {seed: games.make("affine", n_states=3, n_actions=2, discount=0.5, seed=seed) for seed in (1, 2)}
    assert data[1] == games.make("affine", n_states=3, n_actions=2, discount=0.5, seed=1)
    assert data[1] != data[2]
    assert data[1] != replace(data[1], state_labels=("a", "b", "c"))
    sparse = [
        games.make("crowd_averse", n_states=5, n_actions=2, discount=0.5, seed=s, n_successors=2) for s in (1, 1, 2)
    ]
    assert sparse[0] == sparse[1]
    assert sparse[0] != sparse[2]
    one, two = (games.from_functions(even_transitions, exact_rewards, 0.5, n_states=2) for _ in range(2))
    assert one == two
    assert one != games.from_functions(even_transitions, exact_rewards, 0.6, n_states=2)
    for game in (data[1], sparse[0], one):
        assert "\n" not in repr(game)
        assert len(repr(game)) < 200
        with pytest.raises(TypeError, match="unhashable"):
            hash(game)


# --- what a file does while it is run


def test_what_a_file_prints_spoils_neither_json_nor_other_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOUND.replace("    stay = 0.9", "    print('called')\n    stay = 0.9") + "print('loaded')\n")
    before = sys.stdout
    assert cli.main(["validate", str(path), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["n_states"] == 2
    assert "loaded" in printed.err
    assert "called" in printed.err
    assert sys.stdout is before
    games.load(path)  # in a library of others, output stays where it is
    assert "loaded" in capsys.readouterr().out


def test_a_file_is_run_as_python_runs_a_module(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    head = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    path.write_text(head + "@dataclass\nclass Rate:\n    x: float = 1.0\n" + SOUND)
    assert games.load(path).n_states == 2


READS = SOUND.replace(
    "discount = 0.8",
    "from pathlib import Path\nTABLE = np.loadtxt(Path(__file__).parent / 'delays.csv', delimiter=',')\ndiscount = 0.8",
).replace("-np.tanh(mean_field)", "-np.tanh(TABLE * mean_field)")


def test_a_table_that_is_not_named_is_refused_and_a_copy_finds_it(tmp_path: Path) -> None:
    path, table, copy = tmp_path / "mine.py", tmp_path / "delays.csv", tmp_path / "elsewhere/copy.py"
    path.write_text(READS)
    table.write_text("0.5,0.25")
    copy.parent.mkdir()
    with pytest.raises(InputError, match=r"inputs: got a file that reads .*, expected .*inputs: \[.*delays\.csv\]"):
        games.load(path, inputs=[])
    game = games.load(path, inputs=[table])
    texts = []
    for content in ("0.5,0.25", "0.5,0.75"):
        table.write_text(content)
        assert replicate.main(["game", str(path), "--inputs", str(table), "--out", str(copy)]) == 0
        texts.append(copy.read_text())
        copied = games.load(copy)
        np.testing.assert_array_equal(
            copied.reward(np.array([0.5, 0.5])), games.load(path).reward(np.array([0.5, 0.5]))
        )
    assert texts[0] != texts[1]  # so that jobs that read the copy run again
    assert game != copied
    # of a game that is recognized too: what is read is known when its functions are called
    assert not functions.unlisted({Path(np.__file__), Path(os.__file__), Path("/dev/null")}, [], str(path))


def test_inputs_of_a_configuration_are_checked_before_any_job(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(READS)
    (tmp_path / "delays.csv").write_text("0.5,0.25")
    content = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    content["games"]["mine"] = {"file": str(tmp_path / "mine.py"), "regularizer": "entropy", "strength": 0.1}
    with pytest.raises(InputError, match=r"inputs: got a file that reads"):
        configuration.check(content, "mine.yaml")
    content["games"]["mine"]["inputs"] = [str(tmp_path / "delays.csv")]
    assert configuration.check(content, "mine.yaml") == {"mine"}
    content["games"]["mine"]["inputs"] = [str(tmp_path / "delay.csv")]
    with pytest.raises(InputError, match="nothing there"):
        configuration.check(content, "mine.yaml")


# --- who is blamed


def even(states: int, actions: int) -> Any:
    return lambda _: np.full((states, actions, states), 1.0 / states)


@pytest.mark.parametrize(
    ("transition", "reward", "labels", "words"),
    [
        (even(2, 2), np.zeros((2, 3)), (), r"reward: got an array of shape \(2, 3\).*\(2, 2\), as .* \(2, 2, 2\)"),
        (
            even(2, 2),
            np.zeros((2, 3)),
            ("a", "b"),
            r"reward: got an array of shape \(2, 3\).*\(2, 2\), as .*\(2, 2, 2\)",
        ),
        (
            even(2, 2),
            np.zeros((2, 3)),
            ("a", "b", "c"),
            r"transition: an array of shape \(2, 2, 2\), expected .*\(2, 3, 2\)",
        ),
        (even(3, 2), np.zeros((2, 2)), (), r"transition: an array of shape \(3, 2, 3\), expected shape \(2, 2, 2\)"),
        (even(2, 2), np.zeros((2, 2, 2)), (), r"reward: got an array of shape \(2, 2, 2\).*\(2, 2\)"),
    ],
)
def test_the_array_that_disagrees_with_the_others_is_blamed(
    transition: Any, reward: np.ndarray, labels: tuple[str, ...], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        games.from_functions(transition, lambda _: reward, 0.5, n_states=2, action_labels=labels)


def test_single_precision_is_told_and_whole_numbers_are_accepted() -> None:
    rows = np.array([0.1, 0.2, 0.7], dtype=np.float32)
    with pytest.raises(InputError, match=r"its numbers are float32: use P = P\.astype\(float\)"):
        games.from_functions(lambda _: np.tile(rows, (3, 1, 1)), lambda mu: -mu[:, None], 0.5, n_states=3)
    whole = games.from_functions(even(2, 2), lambda _: np.array([[0, 1], [2, 3]]), 0.5, n_states=2)
    assert isinstance(whole, games.MeanFieldGame)
    integers = games.make("contraction_game")
    np.testing.assert_array_equal(replace(integers, base_reward=np.array([[0, 1], [2, 3]])).base_reward[1], [2.0, 3.0])


def test_estimates_of_a_population_cost_evaluations_in_proportion_to_the_states() -> None:
    calls = []

    def transition(mean_field: np.ndarray) -> np.ndarray:
        calls.append(1)
        return np.tile(np.diag(0.5 + 0.3 * mean_field) + (0.5 - 0.3 * mean_field)[:, None] / 40, (2, 1, 1)).swapaxes(
            0, 1
        )

    game = games.FunctionGame(0.5, transition, lambda mu: np.zeros((40, 2)), n_states=40, n_actions=2)
    L_pop, kind = lipschitz.population_contraction(game)
    assert kind == "estimate"
    # K_mu: 0.3 (1 - 1/40) twice and half of it; delta: two rows of stay probability 0.5, up to 0.8 of one state
    assert L_pop == pytest.approx(0.3 * 39 / 40 + 0.8, abs=0.06)
    assert len(calls) <= 105 * (1 + 2 * 40)
    assert lipschitz.constants(game).K_mu == pytest.approx(0.3 * 39 / 40, rel=1e-6)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("actions = ['stay', 'go']", "actions (did you mean action_labels?)"),
        ("action_names = ['stay', 'go']", "action_names (did you mean action_labels?)"),
        ("ACTION_LABELS = ['stay', 'go']", "ACTION_LABELS (did you mean action_labels?)"),
        ("layouts = [[0, 0], [0, 1]]", "layouts (did you mean layout?)"),
        # what is meant is of the kind that the value has
        ("del state_labels\nn_states, states = 2, ['first', 'second']", "states (did you mean state_labels?)"),
        ("del state_labels\nn_states, states = 2, ('first', 'second')", "states (did you mean state_labels?)"),
        ("del state_labels\nn_states, states = 2, np.array(['a', 'b'])", "states (did you mean state_labels?)"),
        ("actions, states = 2, range(2)", ""),
        ("layouts = ['a', 'b']", ""),
        ("nstates = 2", ""),  # state_labels tell it
        ("rewards = np.zeros(2)", ""),  # the reward is there, and this is a variable of its own
        ("crowding, ACTIONS, _action_label, labels = 1.0, 2, [], 3", ""),
        ("def action_label(a): return 'a'", ""),
    ],
)
def test_a_name_that_is_not_read_and_looks_like_one_that_is_is_told_once(
    line: str, told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "game.py"
    path.write_text(SOUND.replace('action_labels = ["stay", "go"]\n', f"{line}\n"), encoding="utf-8")
    for _ in range(2):
        game = games.load(path)
    assert not game.action_labels
    lines = [record.getMessage() for record in caplog.records if "names that are not read" in record.getMessage()]
    assert lines == ([f"warning: {path}: names that are not read: {told}"] if told else [])


def test_a_number_may_be_meant_for_the_number_of_states(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "game.py"
    path.write_text(SOUND.replace('state_labels = ["left", "right"]\n', "states = 2\n"), encoding="utf-8")
    with pytest.raises(InputError, match="n_states"):
        games.load(path)
    assert "states (did you mean n_states?)" in caplog.text


#: What a file ends with that makes the game itself, and not from names of its own at the top: of `SOUND`, which is not
#: recognized; of two functions that are; and of a family.
MADE = {
    "functions": SOUND.replace("discount = 0.8\n", "from pma_mfg import games\nSLOW = 0.8\n")
    + "\ngame = games.from_functions(transition, reward, SLOW, n_states=2, action_labels=action_labels)\n",
    "recognized": "import numpy as np\nfrom pma_mfg import games\n"
    "game = games.from_functions(lambda m: np.full((2, 1, 2), 0.5), lambda m: -m[:, None], 0.9, n_states=2)\n",
    "family": "from pma_mfg import games\ngame = games.make('affine', n_states=3, n_actions=2, discount=0.5, seed=1)\n",
}


@pytest.mark.parametrize("made", MADE)
def test_the_game_of_a_file_that_binds_game_is_that_game(
    made: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, copied = tmp_path / "mine.py", tmp_path / "copy.py"
    path.write_text(MADE[made], encoding="utf-8")
    game = games.load(path)
    assert game.has_features == (made != "functions")
    assert cli.main(["validate", str(path)]) == 0
    said = capsys.readouterr().out
    assert ("recognized: " in said) == (made == "recognized")
    assert f"S = {game.n_states}, A = {game.n_actions}, gamma = {game.discount:g}: sound" in said
    if made == "family":
        assert game == games.make("affine", n_states=3, n_actions=2, discount=0.5, seed=1)
    if game.has_features:
        return
    assert not isinstance(game, games.MeanFieldGame)
    assert (game.source, game.text, game.discount) == (str(path), MADE[made], 0.8)
    again = pickle.loads(pickle.dumps(game))
    for mean_field in functions.sample_mean_fields(2, 4):
        np.testing.assert_array_equal(again.reward(mean_field), game.reward(mean_field))
    # of the same functions, the pipeline copies the file, and a copy is the same game
    assert replicate.main(["game", str(path), "--out", str(copied)]) == 0
    assert games.load(copied) == game


def test_the_functions_of_a_bound_game_are_examined_and_a_file_with_neither_says_what_to_write(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MADE["functions"].replace("1 - stay[0]", "0.5"), encoding="utf-8")
    with pytest.raises(InputError, match="sums to"):
        games.load(path)
    path.write_text(MADE["family"].replace("game =", "mine ="), encoding="utf-8")
    with pytest.raises(InputError, match=r"transition: got nothing, expected .* or game = games.from_functions"):
        games.load(path)
