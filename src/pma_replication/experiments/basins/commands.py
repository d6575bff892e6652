"""The step of the experiment: `pma-replicate basins measure`."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, inputs, output, step_sizes
from pma_replication.runs import outputs


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.on_equilibrium(
        "measure",
        _measure,
        "find whether a step size holds PMA, and where it goes",
        group="steps",
        examples=(
            "game.npz equilibrium.npz --step-sizes 0.1 1 --starts 1 --max-iterations 300"
            " --out-departures departures.parquet --out-basins basins.parquet --out-several several.parquet",
        ),
    )
    step.add_argument("--step-sizes", type=arguments.step, nargs="+", required=True, help=arguments.ETA)
    arguments.add_runs(step, 3000)
    outputs.add_table(step, "--out-departures", "of runs that start next to the equilibrium")
    outputs.add_table(step, "--out-basins", "of the equilibrium that each random start reaches")
    outputs.add_table(step, "--out-several", "of the equilibria found")


def _measure(options: argparse.Namespace) -> None:
    from pma_replication.experiments.basins import measure

    game, found, regularizer = inputs.game_and_equilibrium(options)
    step_sizes.choose(options, game, found, regularizer=regularizer)
    with output.progress(2 * len(options.step_sizes) + 3, "step sizes and methods") as advance:
        tables = measure.basins(
            game,
            regularizer,
            found.policy,
            name=inputs.game_name(options),
            step_sizes=options.step_sizes,
            n_starts=options.starts,
            max_iterations=options.max_iterations,
            seed=options.seed,
            after_run=advance,
        )
    for table in tables:
        outputs.write_to(getattr(options, f"out_{table}"), tables[table])
