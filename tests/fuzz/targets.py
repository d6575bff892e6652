"""What is fed with hostile input, and what may come of it: a solved game, or one line.

Both fuzzers call these: Hypothesis with structured mutations (test_*.py), atheris with bytes (coverage_guided.py).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import yaml

from pma_mfg import equilibrium, games, regularizers
from pma_mfg.errors import ConvergenceError, InputError, InputErrors
from pma_mfg.games import files
from pma_mfg.games import functions as game_functions
from pma_replication import configuration

ROOT = Path(__file__).resolve().parents[2]
#: Entries of the largest table of a generated game while fuzzing: what is accepted is made, thousands of times.
SMALL_TABLES = 2000
#: States and actions up to which an accepted game is solved while fuzzing.
SOLVED_ENTRIES = 200

Arrays = dict[str, np.ndarray]


def refusal(run: Callable[[], Any]) -> str | None:
    """Run something and return None, or the line with which it refuses; everything else that it raises is a finding."""
    try:
        run()
    except (InputError, ConvergenceError) as error:
        message = str(error)
        *lines, last = message.splitlines()
        n_problems = len(error.problems) if isinstance(error, InputErrors) else 0
        assert len(lines) == n_problems  # one problem is one line
        assert not lines or last.endswith(f": {n_problems} problems")
        lines = lines or [last]
        for line in (*lines, last):
            assert line.isprintable(), line  # nothing that a terminal would obey
            assert len(line) < 4000
        if isinstance(error, InputError):
            for line in lines:
                assert ": got " in line, line
                assert ", expected " in line, line
        return message
    return None


def small_tables(entries: int = SMALL_TABLES) -> Any:
    """Return a context in which generated games are small."""
    return mock.patch("pma_mfg.games.registry.LARGEST_TABLE", entries)


def check_configuration(path: Path, largest_table: int = SMALL_TABLES) -> str | None:
    """Read a configuration as `make replicate` does, and make all its games; return the line of a refusal."""
    with small_tables(largest_table):
        return refusal(lambda: configuration.load(path))


def check_game(path: Path) -> str | None:
    """Load a game, and solve what is accepted; return the line of a refusal."""
    made: list[games.Game] = []
    message = refusal(lambda: made.append(games.load(path)))
    told: list[list[str]] = []
    refused = refusal(lambda: told.append(files.problems(path)))
    assert (message is None) == (refused is None and told == [[]]), (message, refused, told)  # load and validate agree
    assert all(line.isprintable() for lines in told for line in lines)
    if message is None and made[0].n_states ** 2 * made[0].n_actions <= SOLVED_ENTRIES:
        with np.errstate(all="ignore"):  # overflow on the way to "no convergence" is no finding
            message = refusal(lambda: solved(made[0]))
    return message


def solved(game: games.Game) -> equilibrium.Equilibrium:
    """Solve a game, and check that what is called an equilibrium is one."""
    points = game_functions.sample_mean_fields(game.n_states, 2)
    strength = 0.1 * max(1e-3, max(float(np.ptp(game.reward(point))) for point in points))
    found = equilibrium.solve(game, regularizers.Entropy(strength), max_iterations=200)
    assert np.isfinite(found.policy).all()
    assert found.residuals["fixed_point_large_step"] < 1e-6
    return found


def packed(members: dict[str, bytes | np.ndarray], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive of members, arrays among them in the .npy format, as numpy.savez writes it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content if isinstance(content, bytes) else npy(content))
    return buffer.getvalue()


def npy(array: np.ndarray) -> bytes:
    """Return an array in the .npy format."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def stored(game: games.MeanFieldGame) -> Arrays:
    """Return the arrays of a game's file."""
    buffer: dict[str, np.ndarray] = {}
    with mock.patch.object(files, "write_arrays", lambda path, arrays, metadata: buffer.update(arrays)):
        games.save(game, "game.npz")
    return buffer


def valid_games() -> dict[str, Arrays]:
    """Return the arrays of some small games: dense, sparse, planted, with every kind of feature but few."""
    return {
        "dense": stored(games.make("planted_kinked", n_states=2, n_actions=2, discount=0.5, seed=1, strength=0.1)),
        "floored": stored(games.make("beach_bar", n_states=3)),
        "sparse": stored(games.make("crowd_averse", n_states=3, n_actions=2, discount=0.5, seed=1, n_successors=2)),
    }


def small_configurations() -> dict[str, bytes]:
    """Return a configuration for every experiment, with two small games and nothing else."""
    smoke = yaml.safe_load((ROOT / "config/smoke.yaml").read_text())
    of_game = {"n_states": 2, "n_actions": 2, "discount": 0.5, "seed": 1}
    game = {"family": "crowd_averse", "parameters": of_game, "regularizer": "entropy", "strength": 1.0}
    bar = {"family": "beach_bar", "parameters": {"n_states": 3}, "regularizer": "entropy", "strength": 0.5}
    made: dict[str, bytes] = {}
    for section in configuration.SECTIONS:
        settings = {**smoke[section]}
        if names := settings.get("games"):  # the atlas makes its own
            settings["games"] = {"a": next(iter(names.values()))} if isinstance(names, dict) else ["a", "b"]
        content = {"seed": 1, "results": "results/x", "figures": "results/x/figures", "games": {"a": game, "b": bar}}
        made[section] = yaml.safe_dump(
            {**content, section: settings}, default_flow_style=None, sort_keys=False
        ).encode()
    return made
