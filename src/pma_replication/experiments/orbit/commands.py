"""The step of the experiment: `pma-replicate orbit measure`."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, inputs, output
from pma_replication.runs import outputs


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.on_equilibrium(
        "measure",
        _measure,
        "run best response and PMA while the regularizer weakens",
        group="steps",
        examples=(
            "game.npz equilibrium.npz --strengths 1 0.1 --starts 1 --out damping.parquet"
            " --out-attractors attractors.parquet",
        ),
    )
    step.add_argument("--strengths", type=arguments.positive, nargs="+", required=True, help="of the regularizer")
    step.add_argument(
        "--step-shares",
        type=arguments.positive,
        nargs="+",
        default=[1.0],
        help="of the locally best eta (default 1)",
    )
    arguments.add_runs(step, 600)
    outputs.add_out(step)
    outputs.add_table(step, "--out-attractors", "of final populations")


def _measure(options: argparse.Namespace) -> None:
    from pma_replication.experiments.orbit import measure

    game, _, regularizer = inputs.game_and_equilibrium(options)
    runs = options.starts * len(options.strengths) * (1 + 2 * len(options.step_shares))
    with output.progress(runs, "runs") as advance:
        table, attractors = measure.damping(
            game,
            regularizer,
            inputs.game_name(options),
            strengths=options.strengths,
            shares=options.step_shares,
            n_starts=options.starts,
            max_iterations=options.max_iterations,
            seed=options.seed,
            after_run=advance,
        )
    outputs.write(options, table)
    outputs.write_to(options.out_attractors, attractors)
