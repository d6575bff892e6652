"""The step of the experiment: `pma-replicate dynamics measure`."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, inputs, output
from pma_replication.runs import outputs


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.on_equilibrium(
        "measure",
        _measure,
        "run exact PMA, best response and others side by side",
        group="steps",
        examples=(
            "game.npz equilibrium.npz --starts 1 --max-iterations 200 --out-histories histories.parquet"
            " --out-outcomes outcomes.parquet --out-orbits orbits.parquet --out-seconds seconds.parquet",
        ),
    )
    arguments.add_runs(step, 2000)
    for table in ("histories", "outcomes", "orbits", "seconds"):
        outputs.add_table(step, f"--out-{table}", f"of {table}")


def _measure(options: argparse.Namespace) -> None:
    from pma_mfg import iterations
    from pma_replication.experiments.dynamics import measure

    game, found, regularizer = inputs.game_and_equilibrium(options)
    with output.progress(options.starts * len(iterations.METHODS), "runs") as advance:
        tables = measure.compare(
            game,
            regularizer,
            found.policy,
            name=inputs.game_name(options),
            n_starts=options.starts,
            max_iterations=options.max_iterations,
            seed=options.seed,
            after_run=advance,
        )
    for table in tables:
        outputs.write_to(getattr(options, f"out_{table}"), tables[table])
