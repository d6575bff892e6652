"""`pma-mfg plot`: an equilibrium of a game, and the way there, as a picture."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from pma_mfg.commands import arguments, inputs, output
from pma_mfg.errors import InputError, nearest

log = logging.getLogger("pma_mfg")


def add(commands: arguments.Commands) -> None:
    """Add the command."""
    plot = commands.add(
        "plot",
        _plot,
        "draw an equilibrium on the game's layout, and the ways of the population and of PMA to it",
        group="your game",
        examples=("game.npz --strength 0.1 --out game.png", "game.npz equilibrium.npz --out game.png"),
    )
    plot.add_argument("game", help=arguments.GAME)
    plot.add_argument(
        "equilibrium", nargs="?", help="its equilibrium's .npz file, from `pma-mfg solve` (default: solve)"
    )
    arguments.add_regularizer(plot)
    plot.add_argument("--name", help="title of the picture (default: the file's name)")
    plot.add_argument(
        "--start",
        metavar="STATE",
        help="label of the state in which all agents start (default: the one with the smallest share)",
    )
    plot.add_argument("--out", required=True, help="picture to write, .png (and .svg beside it)")
    plot.set_defaults(extra="plot")


def _plot(options: argparse.Namespace) -> None:
    inputs.check_picture("pma-mfg plot", "--out", options.out)
    from pma_mfg import equilibrium
    from pma_mfg.plotting import plot, save  # what is missing is told before anything is computed

    game = inputs.load_game(options.game)
    start = None if options.start is None else _start(game, options.start)
    if options.equilibrium is not None:
        inputs.check_regularizer(options)
        found, regularizer = inputs.load_equilibrium(options, game)
    else:
        strength = options.strength or inputs.default_strength(game)
        if not options.strength:
            log.info("strength %g, a tenth of the rewards' range; --strength sets it", strength)
        regularizer = inputs.load_regularizer(options.regularizer, strength)
        found = equilibrium.solve(game, regularizer)
    picture = plot(game, found, regularizer, start=start, title=inputs.game_name(options))
    save(picture, Path(options.out).with_suffix(""))
    for warning in found.warnings:
        log.warning("warning: %s", warning)
    fullest = int(found.mean_field.argmax())
    label = game.state_labels[fullest] if game.state_labels else str(fullest)
    output.print(
        f"{options.out}: equilibrium with {100.0 * found.mean_field[fullest]:.3g} % of the agents in state {label}, "
        f"exploitability (regularized) {found.residuals['exploitability']:.1e}"
    )


def _start(game: Any, label: str) -> Any:
    """Return the mean field with all agents in one state, named by its label."""
    import numpy as np

    from pma_mfg import policy_files

    states = policy_files.labels(game)[0]
    if label not in states:
        shown = ", ".join(states[:12]) + (", ..." if len(states) > 12 else "")
        raise InputError("pma-mfg plot", "--start", label, f"a state: {shown}{nearest(label, states)}")
    return np.eye(game.n_states)[states.index(label)]
