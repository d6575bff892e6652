"""The game, the regularizer and the equilibrium that the options of a command name."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pma_mfg.commands.checking import tell_of_code
from pma_mfg.errors import Description, InputError

# Modules that compute are imported where they are used: `--help` and a refused option never wait for them.


def load_game(name: str) -> Any:
    """Return the game of a file, or else of a family with its default parameters."""
    from pma_mfg import games

    if not Path(name).exists() and name in games.families():
        return games.make(name)
    tell_of_code(name)
    return games.load(name)


def load_regularizer(name: str, strength: float) -> Any:
    """Return a regularizer by its name or of a file, which is run."""
    from pma_mfg import regularizers

    tell_of_code(name.rpartition(":")[0])
    return regularizers.load(name, strength)


def default_strength(game: Any) -> float:
    """Return the strength of a regularizer where none is given: a tenth of what is at stake in one step."""
    from pma_mfg.theory import lipschitz

    lowest, highest = lipschitz.reward_range(game)
    return 0.1 * ((highest - lowest) or 1.0)


def game_and_equilibrium(options: argparse.Namespace, *, features: bool = False) -> tuple[Any, Any, Any]:
    """Return a game, its equilibrium and the regularizer; the equilibrium is found first if it is in no file.

    Parameters
    ----------
    options : Namespace
        With game, equilibrium, regularizer and strength.
    features : bool
        Refuse a game whose transitions and rewards are not known as features of the mean field.
    """
    from pma_mfg import equilibrium

    game = load_game(options.game)
    if features:
        game = game.with_features(options.program)
    check_regularizer(options)
    if options.equilibrium is not None:
        return game, *load_equilibrium(options, game)
    regularizer = load_regularizer(options.regularizer, options.strength)
    return game, equilibrium.planted_or_found(game, regularizer), regularizer


def no_population(source: str) -> InputError:
    """Return the error of an equilibrium whose own policy does not lead the population to it."""
    why = "agents who play the equilibrium's policy, and whose population does not settle"
    allowed = "a population that returns to the equilibrium's, without which no simulation stays there: a larger "
    return InputError(source, "population", Description(why), f"{allowed}--strength, or moves that react less abruptly")


def load_equilibrium(options: argparse.Namespace, game: Any) -> tuple[Any, Any]:
    """Return an equilibrium from its file, and its regularizer, which may be of a class in a file of its own."""
    from pma_mfg import equilibrium

    recorded, strength = equilibrium.recorded_regularizer(options.equilibrium)
    name = options.regularizer if ":" in options.regularizer else recorded  # the file may have been moved
    own = load_regularizer(name, strength) if ":" in name else None
    return equilibrium.load(options.equilibrium, game, own)


def check_picture(program: str, option: str, path: str | None) -> None:
    """Refuse a picture whose name does not end in .png, before anything is computed."""
    if path is not None and Path(path).suffix != ".png":
        raise InputError(program, option, path, "a file called something.png (and something.svg beside it)")


def check_regularizer(options: argparse.Namespace) -> None:
    """Refuse options that name both an equilibrium and a strength, or neither."""
    if (options.equilibrium is None) == (options.strength is None):
        given = "nothing" if options.strength is None else f"both {options.equilibrium} and a strength"
        raise InputError(options.program, "equilibrium", Description(given), "an equilibrium's file, or --strength")


def game_name(options: argparse.Namespace) -> str:
    """Return the game's name in tables and seeds: --name, or the file's name without its suffix."""
    return options.name or Path(options.game).stem
