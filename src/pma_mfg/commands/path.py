"""`pma-mfg path`: the equilibrium of a game from a strong regularizer to none."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from pma_mfg.commands import arguments, inputs, output
from pma_mfg.errors import ConvergenceError

log = logging.getLogger("pma_mfg")


def add(commands: arguments.Commands) -> None:
    """Add the command."""
    path = commands.add(
        "path",
        _path,
        "follow the equilibrium from a strong regularizer to none: folds, branches, what regularization costs; "
        "exit code 1: it ends before the lowest strength",
        group="your game",
        examples=("game.npz", "game.npz --strengths 1 0.001 --out path.npz", "game.npz --branches --plot path.png"),
    )
    path.add_argument("game", help=arguments.GAME)
    path.add_argument(
        "--regularizer", type=arguments.regularizer_name, default="entropy", metavar="NAME", help=arguments.REGULARIZER
    )
    path.add_argument(
        "--strengths",
        type=arguments.positive,
        nargs=2,
        metavar=("HIGH", "LOW"),
        help="from where to where (default: from nearly uniform policies to 1e-6 of the rewards' range)",
    )
    path.add_argument("--branches", action="store_true", help="also follow the branches that cross the path")
    path.add_argument("--name", help="title of the picture (default: the file's name)")
    path.add_argument("--out", type=arguments.file(".npz"), help="points of the path (.npz) to write")
    path.add_argument("--plot", metavar="FILE", help="picture to write, .png (and .svg beside it)")
    arguments.add_json(path)
    path.set_defaults(extra="plot")


def _path(options: argparse.Namespace) -> int:
    inputs.check_picture("pma-mfg path", "--plot", options.plot)
    if options.plot:
        from pma_mfg.plotting import plot_path, save  # what is missing is told before anything is computed
    from pma_mfg import paths

    game = inputs.load_game(options.game)
    regularizer = inputs.load_regularizer(options.regularizer, options.strengths[0] if options.strengths else 1.0)
    given = None if options.strengths is None else (options.strengths[0], options.strengths[1])
    path = paths.equilibrium_path(game, regularizer, strengths=given, branches=options.branches)
    summary = {"game": inputs.game_name(options), "regularizer": options.regularizer, **_told(path)}
    limit, code = "", 0 if path.complete else 1
    if path.complete:
        try:
            polished = paths.polish(game, path.last.policy, mean_field=path.last.mean_field)
            limit = (
                f"; next to its end an equilibrium without a regularizer, exploitability {polished.exploitability:.1e}"
            )
            summary["limit"] = {
                "policy": polished.policy.tolist(),
                "mean_field": polished.mean_field.tolist(),
                "residual": polished.residual,
                "exploitability": polished.exploitability,
                "mixed_states": polished.mixed,
            }
        except ConvergenceError as error:
            limit = f"; {error.message}"
    if options.out:
        _write(path, options.out)
    if options.plot:
        save(plot_path(path, title=inputs.game_name(options)), Path(options.plot).with_suffix(""))
    if options.json:
        output.print_json(summary)
        return code
    output.print(f"{'strength':>12}  {'E_0':>10}  {'r(J_inf)':>10}  {'residual':>8}")
    for point in path.points:
        told = f"{point.exploitability():10.3g}  {point.spectral_radius:10.3g}  {point.residual:8.1e}"
        output.print(f"{point.strength:12.6g}  {told}")
    for word, events in (("fold", path.folds), ("branch point", path.branch_points)):
        for event in events:
            output.print(f"{word} at the strength {event.strength:.10g}")
    for branch in path.branches:
        output.print(f"branch from the strength {branch.points[0].strength:.6g}: {branch.ended}")
    output.print(
        f"{len(path.points)} points, {len(path.folds)} folds, {len(path.branch_points)} branch points, "
        f"largest residual {max(point.residual for point in path.points):.1e}: {path.ended}{limit}"
    )
    return code


def _told(path: Any) -> dict[str, Any]:
    """Return a path as it goes into JSON."""

    def point(one: Any) -> dict[str, Any]:
        radius = one.spectral_radius
        return {
            "strength": one.strength,
            "mean_field": one.mean_field.tolist(),
            "policy": one.policy.tolist(),
            "residual": one.residual,
            "exploitability_without_regularizer": one.exploitability(),
            "spectral_radius": radius if radius == radius else None,
            "unstable": one.unstable,
        }

    return {
        "points": [point(one) for one in path.points],
        "folds": [point(one) for one in path.folds],
        "branch_points": [point(one) for one in path.branch_points],
        "branches": [_told(branch) for branch in path.branches],
        "ended": path.ended,
        "complete": path.complete,
    }


def _write(path: Any, file: str) -> None:
    """Write the points of a path and its branches, one row each."""
    import numpy as np

    from pma_mfg.storage import write_arrays

    everything = [path, *path.branches]
    points = [one for part in everything for one in part.points]
    arrays = {
        "branch": np.repeat(np.arange(len(everything)), [len(part.points) for part in everything]),
        "strength": np.array([one.strength for one in points]),
        "policy": np.array([one.policy for one in points]),
        "mean_field": np.array([one.mean_field for one in points]),
        "exploitability": np.array([one.exploitability() for one in points]),
        "spectral_radius": np.array([one.spectral_radius for one in points]),
        "unstable": np.array([one.unstable for one in points]),
        "residual": np.array([one.residual for one in points]),
        "folds": np.array([one.strength for one in path.folds]),
        "branch_points": np.array([one.strength for one in path.branch_points]),
    }
    write_arrays(file, arrays, {"ended": [part.ended for part in everything]})
