"""`pma-mfg solve`: the mean field Nash equilibrium of a game."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from pma_mfg.commands import arguments, inputs, output

log = logging.getLogger("pma_mfg")


def add(commands: arguments.Commands) -> None:
    """Add the command."""
    solve = commands.add(
        "solve",
        _solve,
        "find the mean field Nash equilibrium of a game, exactly",
        group="your game",
        examples=("game.npz --strength 0.1", "game.npz --strength 0.1 --out equilibrium.npz"),
    )
    solve.add_argument("game", help=arguments.GAME)
    arguments.add_regularizer(
        solve, required=True, zero="the game without one, at the end of the path from a strong one"
    )
    solve.add_argument("--name", help="the game's name in what is printed (default: the file's name)")
    solve.add_argument(
        "--out", type=arguments.file(".npz"), help="equilibrium file (.npz) to write (without it and --json: print it)"
    )
    arguments.add_json(solve)


def _solve(options: argparse.Namespace) -> None:
    from pma_mfg import equilibrium

    game = inputs.load_game(options.game)
    if options.strength == 0.0:
        return _without_regularizer(options, game)
    regularizer = inputs.load_regularizer(options.regularizer, options.strength)
    found = equilibrium.solve(game, regularizer)
    if options.out:
        equilibrium.save(found, regularizer, options.out)
    summary = {
        "game": inputs.game_name(options),
        "regularizer": options.regularizer,
        "strength": options.strength,
        "iterations": found.iterations,
        "residuals": found.residuals,
        "exploitability_without_regularizer": equilibrium.exploitability(
            game, found.policy, mean_field=found.mean_field
        ),
        "warnings": found.warnings,
        **{name: getattr(found, name).tolist() for name in ("mean_field", "policy", "q")},
    }
    if options.json:
        output.print_json(summary)
    elif not options.out:
        _print(game, found.mean_field, found.policy)
        bias = summary["exploitability_without_regularizer"]
        output.print(f"exploitability without the regularizer: {bias:.6g}")
    tell(found)


def _without_regularizer(options: argparse.Namespace, game: Any) -> None:
    """Follow the path of equilibria to its end, and go on to an equilibrium without a regularizer."""
    from pma_mfg import paths, storage
    from pma_mfg.errors import ConvergenceError

    path = paths.equilibrium_path(game, inputs.load_regularizer(options.regularizer, 1.0))
    if not path.complete:
        history = [point.residual for point in path.points]
        raise ConvergenceError(f"the path to strength 0 is not complete: {path.ended}", history)
    found = paths.polish(game, path.last.policy, mean_field=path.last.mean_field)
    summary = {
        "game": inputs.game_name(options),
        "regularizer": options.regularizer,
        "strength": 0.0,
        "path": {"points": len(path.points), "folds": len(path.folds), "ended": path.ended},
        "residual": found.residual,
        "exploitability_without_regularizer": found.exploitability,
        "mixed_states": found.mixed,
        "mean_field": found.mean_field.tolist(),
        "policy": found.policy.tolist(),
    }
    if options.out:
        arrays = {"policy": found.policy, "mean_field": found.mean_field}
        kept = {key: value for key, value in summary.items() if key not in arrays}
        storage.write_arrays(options.out, arrays, kept)
    if options.json:
        output.print_json(summary)
        return
    if not options.out:
        _print(game, found.mean_field, found.policy)
    mixed = f"mixed in {found.mixed} of {game.n_states} states" if found.mixed else "deterministic"
    output.print(
        f"an equilibrium without a regularizer, {mixed}: residual {found.residual:.1e}, exploitability "
        f"{found.exploitability:.1e}, after {len(path.points)} points and {len(path.folds)} folds of the path"
    )


def _print(game: Any, mean_field: Any, policy: Any) -> None:
    """Print every state with its share of the population and its policy."""
    output.print("state, its share of the population, and its policy:")
    labels = game.state_labels or tuple(map(str, range(game.n_states)))
    width = max(map(len, labels))
    for label, share, row in zip(labels, mean_field, policy, strict=True):
        output.print(f"{label:>{width}}  {share:.8f}   {'  '.join(f'{x:.6f}' for x in row)}")


def tell(found: Any) -> None:
    """Log how an equilibrium was found, how good it is, and its warnings."""
    log.info("solved in %d iterations", found.iterations)
    for name, value in found.residuals.items():
        log.info("  %s: %.1e", "exploitability (regularized)" if name == "exploitability" else name, value)
    for warning in found.warnings:
        log.warning("warning: %s", warning)
