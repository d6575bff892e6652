"""The step of the experiment: `pma-replicate bounds measure`."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, inputs, output, step_sizes
from pma_replication.runs import outputs


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.on_equilibrium(
        "measure",
        _measure,
        "search for policy pairs that beat the theory's Lipschitz bounds",
        group="steps",
        examples=("game.npz --strength 0.1 --pairs 20",),
    )
    step.add_argument(
        "--step-sizes",
        type=arguments.step,
        nargs="+",
        default=[0.1, 1.0],
        help=f"{arguments.ETA} (default 0.1 and 1)",
    )
    step.add_argument("--pairs", type=arguments.integer(1), default=100, help="random pairs per operator (default 100)")
    step.add_argument("--ascents", type=arguments.integer(0), default=2, help="pairs to climb from (default 2)")
    outputs.add_out(step)


def _measure(options: argparse.Namespace) -> None:
    from pma_replication.experiments.bounds import measure

    game, found, regularizer = inputs.game_and_equilibrium(options)
    step_sizes.choose(options, game, found, regularizer=regularizer)
    with output.progress(5 + 4 * len(options.step_sizes), "operators") as advance:
        table = measure.operator_ratios(
            game,
            regularizer,
            inputs.game_name(options),
            step_sizes=options.step_sizes,
            n_pairs=options.pairs,
            n_ascents=options.ascents,
            seed=options.seed,
            after_operator=advance,
        )
    outputs.write(options, table)
