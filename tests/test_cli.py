"""Both programs, `pma-mfg` and `pma-replicate`: what a person types, what they answer, and their exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.statistical import Level

from pma_mfg import __version__, cli, equilibrium, games
from pma_mfg.commands.arguments import Parser
from pma_mfg.populations import finite_population
from pma_mfg.simulation import exchangeable
from pma_replication import cli as replicate
from pma_replication import registry
from pma_replication.runs import checkpoints
from pma_replication.runs import tables as parquet

ROOT = Path(__file__).resolve().parents[1]
SMALL = ["n_states=3", "n_actions=2", "discount=0.5", "seed=1", "strength=0.1"]


def run(line: str) -> int:
    """Run a line as it is typed, and return the exit code."""
    program, *arguments = shlex.split(line, comments=True)
    return {"pma-mfg": cli, "pma-replicate": replicate}[program].main(arguments)


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a game, planted.npz, and its equilibrium, nash.npz."""
    folder = tmp_path_factory.mktemp("cli")
    game, nash = str(folder / "planted.npz"), str(folder / "nash.npz")
    assert cli.main(["generate", "planted_smooth", *SMALL, "--out", game]) == 0
    assert (
        run(f"pma-replicate equilibria solve {game} --strength 0.1 --out {nash} --out-table {folder / 'nash.parquet'}")
        == 0
    )
    return folder


def test_solve_writes_the_planted_equilibrium(solved: Path) -> None:
    game = games.load(solved / "planted.npz")
    found, regularizer = equilibrium.load(solved / "nash.npz", game)
    assert game.planted is not None
    # the accuracy of a solve
    np.testing.assert_allclose(found.policy, game.planted.policy, rtol=0, atol=1e-10)
    assert regularizer.strength == 0.1
    table = parquet.read_table(solved / "nash.parquet")
    assert set(table["game"]) == {"planted"}
    np.testing.assert_array_equal(table["probability"], found.policy.ravel())


STEPS = {
    "bounds measure": "--step-sizes 0.1 --pairs 5 --out {out}",
    "contraction measure": "--step-sizes 0.1 0.5 --starts 2 --out-iterates {out} --out-rates {2}",
    "dynamics measure": "--starts 1 --max-iterations 20 --out-histories {out} --out-outcomes {2} --out-orbits {3}"
    " --out-seconds {4}",
    "orbit measure": "--strengths 0.1 1 --step-shares 0.5 1 --starts 1 --max-iterations 20"
    " --out {out} --out-attractors {2}",
    "basins measure": "--step-sizes 0.1 --starts 1 --max-iterations 20 --out-departures {out}"
    " --out-basins {2} --out-several {3}",
    "equilibria assumptions": "--step-size 0.5 --out {out}",
    "ctd errors": "--agents 1e6 --updates 10 20 30 --waiting 1 0 --replicates 2 --other-replicates 1 --out {out}"
    " --out-floor {2}",
    "ctd moments": "--updates 10 20 --waiting 0 1 --out {out}",
    "samples tuned": "--agents 100 --epsilon 0.3 --step-size 0.5 --replicates 2 --out {out}",
    "coupling measure": "--agents 100 --updates 20 40 --epochs 10 --replicates 2 --out {out}",
    "populations bias": "--agents 10 --steps 100 --replicates 2 --out {out}",
    "populations exact": "--agents 2 5 --step-size 0.5 --out {out}",
    "populations agreement": "--agents 2 5 --steps 100 --replicates 2 --out {out}",
    "nash measure": "--agents 2 5 --out {out}",
    "literature measure": "--starts 1 --step-size 0.5 --out {out} --out-equilibria {2} --out-states {3}",
    "independent measure": "--agents 10 20 --epochs 2 --updates 10 20 --step-size 0.5 --replicates 2 --out {out}",
    "comparison measure": "--agents 100 --grid pma.step_size=1 pma.first=3,10 pma.growth=1.5 pma.constant=1"
    " fitted_q.first=10 fitted_q.growth=1 fitted_q.share=1 --budget 1000 --pilot-budget 500 --replicates 2 --out {out}"
    " --out-tuning {2} --out-accuracies {3}",
    "one_trajectory measure": "--agents 100 --grid pma.step_size=1 pma.first=3 pma.growth=1.5 pma.constant=1"
    " mine.batch=20 mine.step_size=0.1 --file mine=config/example_method.py --budget 500 --replicates 2 --out {out}"
    " --out-samples {2}",
}


def test_every_measuring_step_on_one_game_is_tried() -> None:
    measuring = {f"{name} {step}" for name in registry.experiments() for step in subcommands(steps_of(name))}
    # these take no equilibrium, write one, or need a game for which the theorem prescribes something
    others = {"equilibria solve", "phase measure", "atlas measure", "samples prescribed", "samples schedules"}
    others |= {"scaling measure", "networked measure", "paths follow", "paths generated"}
    others |= {"regularization measure", "regularization anneal"}
    assert measuring >= STEPS.keys() | others
    assert not (measuring - STEPS.keys() - others).intersection(NOT_RUN)  # what is not tried here is, as its example


@pytest.mark.parametrize("command", STEPS)
def test_every_step_writes_a_table_named_after_its_game(command: str, solved: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "out.parquet", tmp_path / "logs" / "step.log"
    options = re.sub(r"\{(\d)\}", rf"{tmp_path}/\1.parquet", STEPS[command]).format(out=out)
    files = f"{solved / 'planted.npz'} {solved / 'nash.npz'}"
    assert run(f"pma-replicate {command} {files} {options} --log {log}") == 0
    table = parquet.read_table(out)
    assert set(table["game"]) == {"planted"}
    assert log.exists()
    assert not list(tmp_path.glob(".*"))  # no temporary file is left


def test_step_sizes_are_given_in_units_of_one_over_rho_and_written_as_the_library_takes_them(
    solved: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bounds.parquet"
    files = f"{solved / 'planted.npz'} {solved / 'nash.npz'}"  # rho is 0.1
    assert run(f"pma-replicate bounds measure {files} --step-sizes 0.02 1 --pairs 1 --ascents 0 --out {out}") == 0
    assert set(parquet.read_table(out)["step_size"].dropna()) == {0.2, 10.0}


def test_phase_writes_the_plane_and_the_smallest_certified_strengths(solved: Path, tmp_path: Path) -> None:
    out, strengths = tmp_path / "phase.parquet", tmp_path / "strengths.parquet"
    grids = ["--strengths", "0.1", "10", "3", "--step-sizes", "1", "1", "1"]
    outs = ["--out", str(out), "--out-strengths", str(strengths)]
    assert replicate.main(["phase", "measure", str(solved / "planted.npz"), *grids, "--probes", "0", *outs]) == 0
    table = parquet.read_table(out)
    assert sorted(set(table["strength"])) == [0.1, 1.0, 10.0]
    assert set(table["game"]) == set(parquet.read_table(strengths)["game"]) == {"planted"}


def test_same_seed_same_table_another_seed_another(solved: Path, tmp_path: Path) -> None:
    tables = []
    for i, seed in enumerate(["3", "3", "4"]):
        out = tmp_path / f"{i}.parquet"
        arguments = ["--agents", "100", "--steps", "100", "--replicates", "2", "--seed", seed, "--out", str(out)]
        assert (
            replicate.main(["populations", "bias", str(solved / "planted.npz"), str(solved / "nash.npz"), *arguments])
            == 0
        )
        tables.append(parquet.read_table(out))
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    assert not tables[0].equals(tables[2])


def test_dry_run_prints_the_theorems_schedule_without_running_it(
    solved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    game = tmp_path / "certified.npz"
    bounds = ["K_mu=0.1", "K_s=0.3", "K_a=0.2", "L_mu=0.01", "L_s=0.01", "L_a=0.01"]
    assert cli.main(["generate", "affine", *SMALL[:4], *bounds, "--out", str(game)]) == 0
    assert cli.main(["solve", str(game), "--strength", "1", "--out", str(tmp_path / "nash.npz")]) == 0
    arguments = ["--agents", "1000", "--epsilon", "0.001", "--step-size", "1", "--dry-run"]
    assert replicate.main(["samples", "prescribed", str(game), str(tmp_path / "nash.npz"), *arguments]) == 0
    samples = int(re.findall(r"(\d+) samples per replicate", capsys.readouterr().err)[0])
    out = tmp_path / "schedules.parquet"
    arguments = ["--epsilons", "0.01", "0.001", "--step-size", "1", "--out", str(out)]
    assert replicate.main(["samples", "schedules", str(game), str(tmp_path / "nash.npz"), *arguments]) == 0
    assert parquet.read_table(out)["samples"].iloc[1] == samples


BAD = {
    "pma-mfg generate nosuch --out x.npz": "family: got 'nosuch', expected one of affine",
    "pma-mfg generate affine n_states=3 --out x.npz": "affine requires it",
    "pma-mfg generate affine n_states --out x.npz": "got 'n_states', expected name=value",
    "pma-mfg generate affine n_states=3 n_actions=2 seed=0 discount=1 --out x.npz": "discount: got 1, expected",
    "pma-mfg solve absent.npz --strength 1 --out x.npz": "absent.npz: file: got nothing there, expected an existing",
    "pma-mfg validate absent.npz": "absent.npz: file: got nothing there",
    "pma-replicate collect absent.parquet --out x.parquet": "absent.parquet: file: got nothing there",
}


@pytest.mark.parametrize("command", BAD)
def test_bad_input_is_one_line_and_exit_code_two(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(command) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"{command.split()[0]}: error: ")
    assert message.count("\n") == 1
    assert BAD[command] in message
    assert not list(tmp_path.iterdir())  # nothing is written


@pytest.mark.parametrize("way", ["the path", "another path", "a symbolic link", "a hard link"])
def test_no_command_writes_over_what_it_reads(
    way: str, solved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for source in solved.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    Path("own.py").write_text((ROOT / "config/example_game.py").read_text(encoding="utf-8"), encoding="utf-8")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for line, read in (
        ("pma-replicate game own.py --out {}", "own.py"),
        ("pma-mfg solve planted.npz --strength 0.1 --out {}", "planted.npz"),
        ("pma-replicate equilibria solve planted.npz --strength 0.1 --out x --out-table {}", "planted.npz"),
        ("pma-replicate populations exact planted.npz nash.npz --agents 10 --step-size 1 --out {}", "nash.npz"),
        ("pma-replicate populations exact planted.npz nash.npz --agents 10 --step-size 1 --log {}", "nash.npz"),
        ("pma-replicate collect nash.parquet nash.parquet --out {}", "nash.parquet"),
    ):
        link = Path(f"link-{line.count('--')}-{read}")
        link.unlink(missing_ok=True)
        if "link" in way:
            link.symlink_to(read) if way == "a symbolic link" else link.hardlink_to(read)
        written = {"the path": read, "another path": f"../{tmp_path.name}/{read}"}.get(way, str(link))
        assert run(line.format(shlex.quote(written))) == 2
        message = capsys.readouterr().err
        assert re.match(
            rf"(pma-\w+): error: \1: --[a-z-]+: got '{re.escape(written)}', expected another file: it is read",
            message,
        )
        assert message.count("\n") == 1
    assert {name: Path(name).read_bytes() for name in before} == before


def test_two_outputs_in_one_file_are_refused(
    solved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    game = str(solved / "planted.npz")
    for other in ("a", "./a", f"../{tmp_path.name}/a"):
        assert run(f"pma-replicate equilibria solve {game} --strength 0.1 --out a --out-table {other}") == 2
        assert "--out-table: got " in (message := capsys.readouterr().err)
        assert "expected another file: --out writes it" in message
    assert cli.main(["solve", game, "--strength", "0.1", "--out", "a", "--log", "a"]) == 2
    assert not list(tmp_path.iterdir())
    assert cli.main(["solve", game, "--strength", "0.1", "--out", "/dev/null"]) == 2
    assert "expected a file to write" in capsys.readouterr().err


def test_a_figure_may_have_the_name_of_a_folder_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("paths").mkdir()
    assert replicate.main(["figure", "paths", "--tables", ".", "--out", "paths"]) == 2
    assert "paths.parquet" in capsys.readouterr().err  # the table that is missing, which is looked for later
    Path("paths.png").mkdir()
    assert replicate.main(["figure", "paths", "--tables", ".", "--out", "paths"]) == 2
    assert "--out: got 'paths.png', expected a file to write" in capsys.readouterr().err


def test_a_terminal_without_greek_shows_escapes(tmp_path: Path) -> None:
    command = "from pma_mfg import cli; cli.main(['games', 'affine']); print('ε')"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    printed = subprocess.check_output([sys.executable, "-c", command], env=environment)
    assert printed.endswith(b"\\u03b5\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--agents", "1"], "--agents: got '1', expected an integer from 2 to 1"),
        (["--agents", "ten"], "--agents: got 'ten'"),
        (["--agents", "10", "--steps", "1e9.5"], "--steps: got '1e9.5'"),
        (["--agents", "10", "--seed", "-1"], "--seed: got '-1', expected an integer from 0 to 1"),
    ],
)
def test_options_out_of_range_are_refused_before_any_file_is_read(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        replicate.main(["populations", "bias", "absent.npz", "absent.npz", "--out", "x.parquet", *arguments])
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_equilibrium_of_another_game_is_refused(
    solved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.npz"
    settings = [setting.replace("seed=1", "seed=2") for setting in SMALL]
    assert cli.main(["generate", "planted_smooth", *settings, "--out", str(other)]) == 0
    arguments = ["--agents", "10", "--step-size", "1", "--out", str(tmp_path / "x.parquet")]
    assert replicate.main(["populations", "exact", str(other), str(solved / "nash.npz"), *arguments]) == 2
    assert "an equilibrium of this very game" in capsys.readouterr().err


def test_no_convergence_is_exit_code_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # an aversion this strong against a regularizer this weak: every step size of the solver cycles
    game = tmp_path / "cycling.npz"
    settings = ["n_states=4", "n_actions=3", "discount=0.9", "seed=1", "coupling=1e6"]
    assert cli.main(["generate", "crowd_averse", *settings, "--out", str(game)]) == 0
    assert cli.main(["solve", str(game), "--strength", "1e-3", "--out", str(tmp_path / "nash.npz")]) == 1
    message = capsys.readouterr().err
    assert message.startswith("pma-mfg: no convergence: ")
    assert "last residuals" in message
    assert not (tmp_path / "nash.npz").exists()


def subcommands(parser: Parser) -> dict[str, Parser]:
    """Return the parser of every command, aliases too; nothing if it has none."""
    actions = [action for action in parser._actions if isinstance(action.choices, dict)]
    return dict(actions[0].choices) if actions else {}


def steps_of(experiment: str) -> Parser:
    """Return the parser of an experiment."""
    return subcommands(replicate.parser())[experiment]


def commands_of(parser: Parser) -> list[Parser]:
    """Return the parsers of what can be run, in the order of the help."""
    below = subcommands(parser)
    ordered = [below[name] for names in parser.groups.values() for name in names]
    return [found for each in ordered for found in commands_of(each)] if ordered else [parser]


@pytest.mark.parametrize("program", [cli, replicate])
def test_every_command_is_in_one_group_and_has_examples_of_its_own(program: Any) -> None:
    parser = program.parser()
    for listed in [parser, *(each for each in subcommands(parser).values() if each.groups)]:
        grouped = [name for names in listed.groups.values() for name in names]
        assert sorted(grouped) == sorted(set(subcommands(listed)) - {"families"})  # which is another name of `games`
    for command in commands_of(parser):
        shown = " ".join(command.format_help().split())
        assert command.examples
        for line in command.examples:
            assert line.startswith(command.prog)
            assert " ".join(line.split()) in shown
            parser.parse_args(shlex.split(line)[1:])


#: Commands whose examples need a finished run of the pipeline, or take more than a second or two; see test_verify.py.
NOT_RUN = (
    "figures",
    "report",
    "verify",
    "config",
    "bounds measure",
    "phase measure",
    "comparison measure",
    "atlas measure",
)


def test_examples_run_as_they_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for command in [*commands_of(cli.parser()), *commands_of(replicate.parser())]:
        for line in command.examples if command.prog.partition(" ")[2] not in NOT_RUN else ():
            assert run(line) == 0, line
    assert (tmp_path / "contraction.png").exists()


@pytest.mark.parametrize("program", [cli, replicate])
@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_without_a_command_all_are_shown_in_groups(
    program: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        program.main(arguments)
    assert stopped.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    for group, names in program.parser().groups.items():
        start = lines.index(f"{group}:") + 1
        assert [line.split()[0] for line in lines[start : start + len(names)]] == list(names)
        assert all(len(line.split()) > 2 for line in lines[start : start + len(names)])  # each with what it does


def test_an_unknown_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, words in (
        ("pma-mfg sovle", "the nearest: solve"),
        ("pma-mfg verfy", "the nearest: verify"),
        ("pma-mfg xxxxxx", "--help` lists"),
        ("pma-replicate nahs", "the nearest: nash"),
        ("pma-replicate ctd erors", "the nearest: errors"),
    ):
        with pytest.raises(SystemExit) as stopped:
            run(wrong)
        assert stopped.value.code == 2
        assert words in capsys.readouterr().err


def test_version_and_families_are_printed_by_the_installed_command() -> None:
    command = Path(sys.executable).with_name("pma-mfg")
    assert subprocess.check_output([command, "--version"], text=True) == f"pma-mfg {__version__}\n"
    printed = subprocess.check_output([command, "games"], text=True).splitlines()
    assert [line.split()[0] for line in printed] == games.families()


def printed_json(arguments: list[str], capsys: pytest.CaptureFixture[str], program: Any = cli) -> Any:
    capsys.readouterr()
    assert program.main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_solution_is_printed_for_readers_and_as_json(solved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    game = games.load(solved / "planted.npz")
    arguments = ["solve", str(solved / "planted.npz"), "--strength", "0.1"]
    assert game.planted is not None
    answer = printed_json(arguments, capsys)
    np.testing.assert_allclose(answer["policy"], game.planted.policy, rtol=0, atol=1e-10)
    assert answer["residuals"]["exploitability"] < 1e-10
    bias = equilibrium.exploitability(game, np.array(answer["policy"]))
    assert answer["exploitability_without_regularizer"] == bias
    assert cli.main(arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    shown = np.array([row.split()[2:] for row in printed[1:-1]], dtype=float)
    np.testing.assert_allclose(shown, game.planted.policy, rtol=0, atol=5e-7)  # six digits are printed


def test_a_family_stands_for_its_game_with_default_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = printed_json(["solve", "rock_paper_scissors", "--strength", "0.5"], capsys)
    np.testing.assert_allclose(answer["mean_field"], 1 / 3, rtol=0, atol=1e-12)  # by symmetry
    assert cli.main(["solve", "rock_paper_scissors", "--strength", "0.5"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["rock", "0.33333333"]
    # a file of that name goes first, and a family that needs parameters says so
    assert cli.main(["generate", "sis_epidemic", "--out", "rock_paper_scissors"]) == 0
    assert printed_json(["solve", "rock_paper_scissors", "--strength", "0.5"], capsys)["policy"][0][4:]
    assert cli.main(["solve", "coordination", "--strength", "0.5"]) == 2
    assert "n_states: got nothing" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["bounds measure", "samples tuned", "equilibria assumptions"])
def test_a_strength_in_place_of_an_equilibrium_and_json_in_place_of_a_file(
    command: str, solved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    game, nash, out = str(solved / "planted.npz"), str(solved / "nash.npz"), tmp_path / "out.parquet"
    options = STEPS[command].split(" --out")[0].split()
    records = printed_json([*command.split(), game, "--strength", "0.1", *options], capsys, replicate)
    assert replicate.main([*command.split(), game, nash, *options, "--out", str(out)]) == 0
    written = parquet.read_table(out).replace(np.inf, np.nan)  # JSON has neither: null
    pd.testing.assert_frame_equal(pd.DataFrame(records), written, check_dtype=False, rtol=1e-9)
    assert replicate.main([*command.split(), game, nash, *options]) == 0
    assert f"\n{'planted':>4}" in capsys.readouterr().out.replace("\n   ", "\n")  # a table for readers
    for wrong in ([], [nash, "--strength", "0.1"]):
        assert replicate.main([*command.split(), game, *wrong, *options]) == 2
        assert "expected an equilibrium's file, or --strength" in capsys.readouterr().err


def test_families_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    described = printed_json(["games"], capsys)
    assert list(described) == games.families()
    assert described["coordination"]["parameters"]["slip"] == {
        "allowed": "a number in [0, 1]",
        "required": False,
        "default": 0.1,
    }
    assert cli.main(["games", "coordination"]) == 0
    assert "  n_states = (required)  (an integer >= 1)\n" in capsys.readouterr().out
    assert cli.main(["games", "nosuch"]) == 2
    assert "expected one of affine" in capsys.readouterr().err


def block(language: str, containing: str, page: str = "docs/guide.md") -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    return next(block for block in blocks if containing in block)


def test_the_guides_game_is_the_example_of_the_pipeline() -> None:
    assert block("python", "def transition") == (ROOT / "config/example_game.py").read_text()
    assert "CONFIG=config/example.yaml" in block("sh", "example.yaml")


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="a policy that stays where it starts")
def test_the_guides_python_example_runs_and_learns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], level: Level
) -> None:
    code = block("python", "learning.blind")
    assert len([line for line in code.splitlines() if line.strip()]) <= 13
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True)

    def left(text: str) -> float:
        distances = [float(x) for x in re.findall(r"[\d.]+(?:e-?\d+)?", text.split("equilibrium")[-1])]
        return distances[-1] / distances[0]

    ratios = [left(printed)]
    for seed in range(1, 8):
        exec(code.replace("seeds.generator(0,", f"seeds.generator({seed},"), {})
        ratios.append(left(capsys.readouterr().out))
    assert len(set(ratios)) == 8
    level.means([[ratio] for ratio in ratios], 0.0, bias=0.5, planted=1.0)


def test_the_guides_commands_run_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in block("sh", "pma-mfg generate").splitlines():
        assert run(line) == 0
    assert len(pd.read_csv("learning.csv")) > 0


def test_the_readmes_game_is_short_and_its_commands_run_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = block("python", "def reward", "README.md")
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    Path("road.py").write_text(code)
    for line in block("sh", "road.py", "README.md").splitlines():
        assert run(line) == 0


def test_a_game_without_a_contraction_is_solved_and_labelled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    game, nash = str(tmp_path / "crowd.npz"), str(tmp_path / "nash.npz")
    parameters = ["n_states=4000", "n_actions=2", "discount=0.8", "seed=0", "n_successors=3"]
    assert cli.main(["generate", "crowd_averse", *parameters, "--out", game]) == 0
    assert cli.main(["validate", game]) == 0
    assert "L_pop = 1 (upper bound); the other constants of so large a game:" in capsys.readouterr().out
    assert cli.main(["solve", game, "--strength", "0.5", "--out", nash]) == 0
    assert "warning: no contraction of the population is guaranteed: L_pop = 1 (upper bound)" in capsys.readouterr().err
    assert len(equilibrium.load(nash, games.load(game))[0].warnings) == 1


def test_a_killed_job_goes_on_from_its_checkpoint_to_the_same_table(
    solved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    game, nash = str(solved / "planted.npz"), str(solved / "nash.npz")
    for command, arguments in (
        # more replicates than move together: state is saved within a group of them, and after it
        ("ctd errors", "--agents 50 --updates 900 2500 --replicates 11"),
        ("samples tuned", "--agents 50 --epsilon 0.3 --step-size 0.5 --replicates 11"),
    ):
        whole, out = (tmp_path / f"{command}_{name}.parquet" for name in ("whole", "killed"))
        assert replicate.main([*command.split(), game, nash, *arguments.split(), "--out", str(whole)]) == 0
        save, saved = checkpoints.Checkpoint.save, []

        def killed(checkpoint: Any, state: Any, save: Any = save, saved: list[Path] = saved) -> None:
            save(checkpoint, state)
            saved.append(checkpoint.path)
            if len(saved) == 3:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.0)
            patch.setattr(exchangeable, "CHUNK_SECONDS", 1e-9)  # parts of 1 step, at most 8, at most 64, and so on
            patch.setattr(checkpoints.Checkpoint, "save", killed)
            assert replicate.main([*command.split(), game, nash, *arguments.split(), "--out", str(out)]) == 130
            assert saved[0].exists()
            assert not out.exists()
        assert replicate.main([*command.split(), game, nash, *arguments.split(), "--out", str(out)]) == 0
        assert not saved[0].exists()
        assert parquet.read_table(out).equals(parquet.read_table(whole))


def test_exact_answers_are_printed_for_a_reader(solved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(solved / f"{x}.npz") for x in ("planted", "nash")]
    game = games.load(files[0])
    found, regularizer = equilibrium.load(files[1], game)
    assert cli.main(["learning-limit", *files, "--agents", "5"]) == 0
    printed = re.findall(r"-?\d+\.\d{8}", capsys.readouterr().out)
    q = finite_population.learning_limit(game, found.policy, 5, regularizer=regularizer)
    np.testing.assert_allclose(np.array(printed, dtype=float), q.ravel(), atol=1e-8)  # eight digits are printed
    assert cli.main(["nash-gap", *files, "--agents", "5"]) == 0
    assert "N = 5: gap " in capsys.readouterr().out
    assert cli.main(["covariance", *files]) == 0
    assert "limit of sqrt(N) E||mu_hat - mu||_1: " in capsys.readouterr().out
    assert cli.main(["nash-gap", *files, "--agents", "1000"]) == 2
    assert "1501500 states" in capsys.readouterr().err  # 3 C(1001, 2)


@pytest.mark.parametrize(
    ("command", "option", "expected"),
    [
        ("pma-mfg generate sis_epidemic --out game.py", "--out", "something.npz"),
        ("pma-mfg solve sis_epidemic --strength 0.5 --out nash.csv", "--out", "something.npz"),
        ("pma-mfg solve sis_epidemic --strength 0 --out nash.json", "--out", "something.npz"),
        ("pma-mfg path sis_epidemic --out path.csv", "--out", "something.npz"),
        ("pma-mfg config sis_epidemic --strength 1 --out my.json", "--out", "something.yaml or something.yml"),
        ("pma-replicate game sis_epidemic --out game.csv", "--out", "something.npz or something.py"),
        (
            "pma-replicate equilibria assumptions sis_epidemic --strength 1 --step-size 1 --out a.csv",
            "--out",
            "something.parquet",
        ),
        (
            "pma-replicate equilibria solve sis_epidemic --strength 1 --out a.npz --out-table a.csv",
            "--out-table",
            "something.parquet",
        ),
        ("pma-replicate collect a.parquet --out all.csv", "--out", "something.parquet"),
        ("pma-replicate claims --tables a.parquet --out claims.md", "--out", "something.json"),
        ("pma-replicate claims --tables a.parquet --out c.json --out-games c.npz", "--out-games", "something.md"),
        ("pma-replicate findings claims.json --figures . --out findings.html", "--out", "something.md"),
        ("pma-replicate report c.yaml --rulegraph - --out page.pdf", "--out", "something.html or something.htm"),
    ],
)
def test_a_file_is_not_written_under_the_ending_of_another_kind(
    command: str, option: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(command) == 2
    message = capsys.readouterr().err
    program = command.split()[0]
    assert re.fullmatch(
        rf"{program}: error: {program}: {option}: got '.*', expected a file called {expected}\n", message
    )
    assert not list(tmp_path.iterdir())


def test_a_python_file_that_binds_a_game_of_arrays_has_no_copy_as_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.py").write_text("from pma_mfg import games\ngame = games.make('sis_epidemic')\n", encoding="utf-8")
    assert run("pma-replicate game x.py --out y.py") == 2
    told = "games.save: path: got 'y.py', expected a path ending in .npz, of a game of arrays"
    assert capsys.readouterr().err.strip().endswith(told)
    assert not Path("y.py").exists()
    assert run("pma-replicate game x.py --out y.npz") == 0
    assert games.load("y.npz").family == "sis_epidemic"
    assert run("pma-replicate game sis_epidemic --out z.py") == 2
    assert told.replace("y.py", "z.py") in capsys.readouterr().err
