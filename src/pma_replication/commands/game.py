"""`pma-replicate game`: the file of a game as the experiments take it."""

from __future__ import annotations

import argparse
from pathlib import Path

from pma_mfg.commands import arguments, checking

SOURCE = "pma-replicate game"


def add(commands: arguments.Commands) -> None:
    """Add the command."""
    game = commands.add(
        "game",
        _game,
        "make a game of a family, or check a file and copy it",
        group="before the experiments",
        examples=(
            "planted_smooth n_states=3 n_actions=2 discount=0.5 seed=1 strength=0.1 --out game.npz",
            "game.npz --out copy.npz",
        ),
    )
    game.add_argument("game", help="a family, see `pma-mfg games`; or a game's file, .npz or .py (which is run)")
    game.add_argument("parameters", nargs="*", metavar="name=value", help="the family's parameters")
    game.add_argument("--inputs", nargs="*", default=(), help="files that a Python file reads")
    game.add_argument(
        "--out",
        required=True,
        type=arguments.file(".npz", ".py"),
        help="file to write: .npz, or .py for functions that stay functions",
    )


def _game(options: argparse.Namespace) -> None:
    from pma_mfg import games
    from pma_mfg.games import recognition

    if Path(options.game).suffix not in (".npz", ".py"):
        parameters = arguments.parameters(options.parameters, SOURCE)
        games.check_parameters(options.game, parameters, SOURCE)
        games.save(games.make(options.game, **parameters), options.out)
        return
    given = checking.functions_of_sound(options.game)
    if given is None or Path(options.out).suffix != ".py":
        given = games.load(options.game) if given is None else recognition.examined(given)
    games.save(given, options.out, options.inputs)
