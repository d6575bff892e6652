"""The step of the experiment: `pma-replicate phase measure`."""

from __future__ import annotations

import argparse
from typing import Any

from pma_mfg.commands import arguments, inputs, output
from pma_mfg.errors import InputError
from pma_replication.runs import outputs

SOURCE = "pma-replicate phase measure"


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.add(
        "measure",
        _measure,
        "map where PMA is certified, locally contractive or divergent",
        group="steps",
        examples=(
            "game.npz --strengths 0.1 10 3 --step-sizes 0.1 10 3 --probes 1 --out phase.parquet"
            " --out-strengths certified_strengths.parquet",
        ),
    )
    step.add_argument("game", help=arguments.GAME)
    step.add_argument("--name", help="the game's name in tables and seeds (default: the file's name)")
    grid: dict[str, Any] = {"type": arguments.positive, "nargs": 3, "metavar": ("LOW", "HIGH", "COUNT")}
    step.add_argument("--strengths", required=True, help="weights of the regularizer, a logarithmic grid", **grid)
    step.add_argument("--step-sizes", required=True, help="eta in units of 1 / rho, a logarithmic grid", **grid)
    step.add_argument(
        "--probes", type=arguments.integer(0), default=2, help="points per region where PMA is run (default 2)"
    )
    arguments.add_seed(step)
    outputs.add_table(step, "--out", "of the plane")
    outputs.add_table(step, "--out-strengths", "of the smallest certified strengths")


def _measure(options: argparse.Namespace) -> None:
    from pma_replication.experiments.phase import measure

    game, name = inputs.load_game(options.game).with_features(SOURCE), inputs.game_name(options)
    strengths, step_sizes = (_grid(*grid) for grid in (options.strengths, options.step_sizes))
    with output.progress(2 * len(strengths), "strengths") as advance:
        table = measure.phase_diagram(
            game,
            name,
            strengths,
            relative_step_sizes=step_sizes,
            n_probes=options.probes,
            seed=options.seed,
            after_strength=advance,
        )
    outputs.write_to(options.out, table)
    outputs.write_to(options.out_strengths, measure.certified_strengths(game, name))


def _grid(low: float, high: float, count: float) -> list[float]:
    """Return `count` numbers from low to high, evenly spaced in their logarithm."""
    import numpy as np

    if not (low <= high and count == int(count) and count <= 10_000):
        raise InputError(SOURCE, "grid", (low, high, count), "LOW <= HIGH and an integer COUNT up to 10000")
    return [float(x) for x in np.geomspace(low, high, int(count))]
