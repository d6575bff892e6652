"""Whatever a configuration, a game's file or a command holds: it is refused in one line, or it runs.

Mutations are drawn from a fixed seed (tests/conftest.py), so that CI tries the same inputs each time; longer runs by
hand draw others: FUZZ_EXAMPLES=10000 pytest tests/fuzz, which make fuzz calls.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fuzz import cases, targets, write_input

from pma_mfg import cli, games, storage
from pma_mfg.commands import arguments as command_arguments
from pma_mfg.errors import InputError
from pma_replication import cli as replicate
from pma_replication import configuration
from pma_replication.runs import checkpoints

BY_HAND = "FUZZ_EXAMPLES" in os.environ


def examples(in_ci: int) -> Any:
    """Return settings: so many examples in CI, and FUZZ_EXAMPLES others by hand."""
    count = int(os.environ.get("FUZZ_EXAMPLES", in_ci))
    shared = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]  # the folder is shared, the files are not
    return settings(max_examples=count, derandomize=not BY_HAND, suppress_health_check=shared, deadline=None)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_page_of_messages_is_what_the_cases_say() -> None:
    """Every case is refused with one line, nothing is run or unpickled (write_input), and docs/input.md shows it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, of users' functions
        page = write_input.page()
    assert page == write_input.PAGE.read_text(encoding="utf-8"), "python tests/fuzz/write_input.py"


# Configurations

ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2, 3, 10**15, 10**16, 10**400, -(10**30)]),
    st.sampled_from([0.0, -0.0, 0.5, 1.0, 1e-20, 1e20, 1e-300, 1e308, 5e-324, float("nan"), float("inf")]),
    st.text(max_size=8),
    st.sampled_from(["a", "b", "../a", "a; touch pwned", "$(id)", "\u202e", "x" * 5000, "/dev/zero", "1e-3", "~"]),
    st.lists(st.integers(-2, 5), max_size=3),
    st.dictionaries(st.one_of(st.text(max_size=3), st.integers(), st.none()), st.integers(), max_size=2),
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) of nested mappings and lists."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [place for key in keys for place in ((value, key), *places(value[key]))]


@st.composite
def configurations(draw: st.DrawFn) -> Any:
    """Draw a small valid configuration with one to three keys deleted, added, renamed, repeated, or of another kind."""
    content = yaml.safe_load(draw(st.sampled_from(list(targets.small_configurations().values()))))
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(places(content)))
        match draw(st.sampled_from(["delete", "replace", "replace", "replace", "rename", "add", "swap"])):
            case "delete":
                del container[key]
            case "rename" if isinstance(container, dict):
                container[draw(st.one_of(st.text(max_size=4), st.integers(), st.none()))] = container.pop(key)
            case "add" if isinstance(container, dict):
                container[draw(st.text(max_size=4))] = draw(ODD_VALUES)
            case "swap":
                other, name = draw(st.sampled_from(places(content)))
                container[key] = copy.deepcopy(other[name])
            case _:
                container[key] = draw(ODD_VALUES)
    return content


@examples(60)
@given(content=configurations())
def test_a_changed_configuration_is_refused_in_one_line_or_all_its_games_are_made(content: Any) -> None:
    Path("mine.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    message = targets.check_configuration(Path("mine.yaml"))
    if message is None:  # everything that the workflow asks of it
        accepted = configuration.read("mine.yaml")
        assert set(configuration.studied(accepted)) <= set(accepted["games"])
        assert configuration.tables(accepted)
    assert not Path("pwned").exists()


@examples(60)
@given(data=st.data())
def test_a_configuration_with_changed_characters_is_refused_in_one_line_or_read(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(list(targets.small_configurations().values()))).decode()
    odd = st.sampled_from(["&a ", "*a", "<<: ", "!!set ", "? ", "\ufeff", "\x85", "\t", "- ", "{", ": ", "|\n", "\x00"])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text)))
        text = (
            text[:place] + data.draw(st.one_of(odd, st.text(max_size=3))) + text[place + data.draw(st.integers(0, 3)) :]
        )
    Path("mine.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    targets.check_configuration(Path("mine.yaml"))


def test_a_merge_that_multiplies_is_refused_and_an_honest_one_is_read() -> None:
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 12)]
    Path("mine.yaml").write_text("\n".join(lines))
    with pytest.raises(InputError, match="at most 100000 values"):
        configuration.read("mine.yaml")
    Path("mine.yaml").write_text("base: &base {x: 1, y: 1}\na: &a {<<: *base, x: 2}\nb: {<<: *a}\n")
    assert configuration.read("mine.yaml") == {"base": {"x": 1, "y": 1}, "a": {"x": 2, "y": 1}, "b": {"x": 2, "y": 1}}


def test_a_byte_order_mark_is_read_over() -> None:
    Path("mine.yaml").write_bytes(b"\xef\xbb\xbf" + cases.SMALL.encode())
    assert targets.check_configuration(Path("mine.yaml")) is None
    Path("game.py").write_bytes(b"\xef\xbb\xbf" + cases.BODY.encode())
    assert targets.check_game(Path("game.py")) is None


@pytest.mark.parametrize("folder", ["../elsewhere", "results/with space", "results/a;b'c\"d$(e)", "figures"])
def test_results_may_be_any_folder_that_is_not_the_repositorys_own(folder: str) -> None:
    content = yaml.safe_load(cases.SMALL) | {"results": folder}
    configuration.check(content, "mine.yaml")


@pytest.mark.parametrize("folder", ["file", "file/below"])
def test_results_in_a_file_are_refused(folder: str, tmp_path: Path) -> None:
    Path("file").write_text("")
    content = yaml.safe_load(cases.SMALL) | {"results": str(tmp_path / folder)}
    with pytest.raises(InputError, match=r"results: .* expected a folder"):
        configuration.check(content, "mine.yaml")


def test_a_link_into_the_sources_is_no_way_into_them() -> None:
    Path("link").symlink_to(targets.ROOT / "src")
    content = yaml.safe_load(cases.SMALL) | {"results": str(Path("link/x").absolute())}
    with pytest.raises(InputError, match="not one of its sources"):
        configuration.check(content, "mine.yaml")


# Arrays

DTYPES = ["<f2", "<f4", ">f8", "<f8", "g", "<i8", "|u1", "|b1", "<c16", "<U3", "|S2", "<M8[s]", "|V4"]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, 1e50, 1e51, 1e308, 5e-324, 1e-300, float("nan"), float("inf"), 7.0, 1e15]
VALID = targets.valid_games()


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """Draw the file of a sound game with one to three arrays left out, added, or of other type, shape or numbers."""
    arrays = dict(VALID[draw(st.sampled_from(list(VALID)))])
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from([*arrays, "layout", "planted_policy", "reward_terms_indptr"]))
        array = arrays.get(name, np.zeros((2, 2)))
        match draw(st.sampled_from(["drop", "dtype", "shape", "number", "number", "number", "reorder"])):
            case "drop":
                arrays.pop(name, None)
            case "dtype":
                with np.errstate(all="ignore"), warnings.catch_warnings(), contextlib.suppress(TypeError, ValueError):
                    warnings.simplefilter("ignore")
                    arrays[name] = array.astype(draw(st.sampled_from(DTYPES)))
            case "shape":
                shape = draw(st.sampled_from([(), (0,), (1,), array.shape[:-1], (*array.shape, 1), array.shape[::-1]]))
                arrays[name] = np.resize(array, shape)
            case "reorder":
                arrays[name] = np.asfortranarray(array)
            case _ if array.size and array.dtype.kind in "fiu":
                changed = array.copy()
                with np.errstate(all="ignore"), contextlib.suppress(ValueError, OverflowError):
                    changed.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from(NUMBERS))
                arrays[name] = changed
    return targets.packed({f"{name}.npy": array for name, array in arrays.items()})


@examples(80)
@given(content=archives())
def test_a_changed_game_is_refused_in_one_line_or_solved(content: bytes) -> None:
    Path("game.npz").write_bytes(content)
    targets.check_game(Path("game.npz"))


@examples(60)
@given(data=st.data())
def test_an_archive_with_changed_bytes_is_refused_in_one_line_or_solved(data: st.DataObject) -> None:
    members = {f"{name}.npy": targets.npy(array) for name, array in VALID["dense"].items()}
    whole = data.draw(st.booleans(), label="bytes of the archive, not of one array")
    name = data.draw(st.sampled_from(list(members)))
    content = targets.packed(dict(members)) if whole else members[name]
    for _ in range(data.draw(st.integers(1, 3))):
        place, width = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 4))
        content = content[:place] + data.draw(st.binary(max_size=4)) + content[place + width :]
    Path("game.npz").write_bytes(content if whole else targets.packed(members | {name: content}))
    targets.check_game(Path("game.npz"))


def test_numbers_of_any_width_and_byte_order_are_the_same_game() -> None:
    for kind in ("<f4", ">f8", "g", "<f2"):
        arrays = {name: array.astype(kind) for name, array in cases.ARRAYS.items()}
        Path("game.npz").write_bytes(targets.packed({f"{name}.npy": array for name, array in arrays.items()}))
        game = games.load("game.npz")
        assert game.base_reward.dtype == np.float64  # type: ignore[union-attr]
        np.testing.assert_array_equal(game.reward(np.array([0.5, 0.5])), cases.ARRAYS["base_reward"])


def test_an_archive_that_unpacks_to_more_than_half_the_memory_is_refused_first(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("bomb.npz").write_bytes(cases.bomb(10**6))
    assert Path("bomb.npz").stat().st_size < 3000
    pages = {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 10**6}
    monkeypatch.setattr(storage.os, "sysconf", pages.__getitem__)
    monkeypatch.setattr(storage, "_member", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(InputError, match="bytes when unpacked, expected at most half of this machine's memory, 500000"):
        storage.read_arrays("bomb.npz")


def test_nothing_that_reads_arrays_unpickles(monkeypatch: pytest.MonkeyPatch) -> None:
    trap = targets.packed({"policy.npy": np.array([cases.Trap()], dtype=object)})
    for name in ("trap.npz", ".out.parquet.checkpoint.npz"):
        Path(name).write_bytes(trap)
    assert checkpoints.Checkpoint("out.parquet", {}).load() is None
    games.save(games.make("contraction_game"), "game.npz")
    for arguments in (
        ["validate", "trap.npz"],
        ["solve", "trap.npz", "--strength", "1"],
        ["covariance", "game.npz", "trap.npz"],
    ):
        assert cli.main(arguments) == 2
    assert not Path("pwned").exists()


def test_yaml_is_read_by_safe_loaders_only_and_arrays_by_storage_only() -> None:
    unsafe = ("yaml.load(", "yaml.full_load", "yaml.unsafe", "pickle.load", "np.load(", "allow_pickle=True", "eval(")
    for path in [*(targets.ROOT / "src").rglob("*.py"), *(targets.ROOT / "workflow").rglob("*.*")]:
        text = path.read_text(encoding="utf-8") if path.suffix in (".py", ".smk") else ""
        assert [word for word in unsafe if word in text] == [], path
    for value in ("!!python/name:os.system", "__import__('os').system('touch pwned')", "[1,2]", "&a"):
        assert command_arguments.value(value) == value


# Python files


def test_what_a_game_prints_never_gets_into_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    Path("game.py").write_text(
        cases.BODY.replace("def reward", "print('noise')\ndef reward").replace(
            "    return", "    print('more')\n    return"
        )
    )
    assert cli.main(["solve", "game.py", "--strength", "1", "--json"]) == 0
    answer = capsys.readouterr()
    assert json.loads(answer.out)["policy"]
    assert "noise" in answer.err
    assert "running game.py, which is Python code and may do anything" in answer.err


def test_the_help_says_that_python_files_are_run(capsys: pytest.CaptureFixture[str]) -> None:
    for program, command in ((cli, ["solve"]), (cli, ["validate"]), (replicate, ["populations", "bias"])):
        with pytest.raises(SystemExit):
            program.main([*command, "--help"])
        assert "which is run" in " ".join(capsys.readouterr().out.split())


# Commands

ARGUMENTS = [
    "0",
    "-1",
    "1",
    "2",
    "1e3",
    "1e15",
    "1e16",
    "1e400",
    "nan",
    "inf",
    "",
    "x",
    "-",
    "--",
    "\u0663",
    "1" * 5000,
]
ARGUMENTS += ["game.npz", "nash.npz", "text", "folder", "absent", "../x", "a\nb", "\x1b[2J"]


def parameters(family: str) -> st.SearchStrategy[list[str]]:
    names = list(games.describe(family)["parameters"])
    value = st.sampled_from([*ARGUMENTS[:16], "0.5", "3", "true", "cyclic"])
    return st.lists(st.tuples(st.sampled_from(names), value).map("=".join), max_size=6)


@examples(80)
@given(data=st.data())
def test_extreme_parameters_of_every_family_are_refused_in_one_line_or_make_a_game(data: st.DataObject) -> None:
    family = data.draw(st.sampled_from(games.families()))
    base = {"n_states": 2, "n_actions": 2, "discount": 0.5, "seed": 1, "strength": 0.1, "attraction": 1.0}
    known = [f"{name}={value}" for name, value in base.items() if name in games.describe(family)["parameters"]]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), targets.small_tables():
        given_parameters = [*known, *data.draw(parameters(family))]
        code = cli.main(["generate", family, *given_parameters, "--out", "made.npz"])
    assert code in (0, 2)
    if code:
        assert said.getvalue().count("\n") == 1
        assert said.getvalue().startswith("pma-mfg: error: ")
    else:
        assert isinstance(games.load("made.npz"), games.MeanFieldGame)


QUICK = {
    "validate": ("", []),
    "solve": ("", ["--strength"]),
    "equilibria assumptions": ("nash.npz", ["--step-size"]),
    "covariance": ("nash.npz", ["--name"]),
    "nash-gap": ("nash.npz", ["--agents"]),
    "samples schedules": ("nash.npz", ["--epsilons", "--step-size"]),
    "learn": ("nash.npz --dry-run", ["--agents", "--epsilon", "--step-size", "--td-constant", "--seed"]),
    "collect": ("--out x.parquet", []),
    "findings": ("--figures . --out x.md", []),
    "figures": ("", []),
}


@examples(80)
@given(data=st.data())
def test_commands_with_odd_arguments_answer_in_one_line_or_run(data: st.DataObject) -> None:
    if not Path("folder").exists():
        Path("folder").mkdir()
        Path("text").write_text("text")
        games.save(games.make("contraction_game"), "game.npz")
        assert cli.main(["solve", "game.npz", "--strength", "1", "--out", "nash.npz"]) == 0
    name = data.draw(st.sampled_from(list(QUICK)))
    program = cli if name in ("validate", "solve", "covariance", "nash-gap", "learn") else replicate
    fixed, varied = QUICK[name]
    first = data.draw(st.sampled_from(["game.npz", "game.npz", "game.npz", *ARGUMENTS[10:]]))
    options = [part for option in varied for part in (option, data.draw(st.sampled_from(ARGUMENTS)))]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        try:
            code = program.main([*name.split(), first, *fixed.split(), *options])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
            assert "error: " in said.getvalue().splitlines()[-1] or code == 0
        else:
            assert code in (0, 1, 2)
            errors = [line for line in said.getvalue().splitlines() if re.match("pma-(mfg|replicate): ", line)]
            assert len(errors) == (code != 0), said.getvalue()
    assert "Traceback" not in said.getvalue()
