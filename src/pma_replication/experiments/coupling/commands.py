"""The step of the experiment: `pma-replicate coupling measure`."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, inputs, output
from pma_replication.runs import outputs


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.on_equilibrium(
        "measure",
        _measure,
        "learn with mirror ascent and with best response on the same budget of samples",
        group="steps",
        examples=(
            "game.npz equilibrium.npz --agents 1000 --updates 1000 2000 --epochs 10 --split 2 --replicates 2"
            " --out coupling.parquet",
        ),
    )
    arguments.add_agents(step)
    step.add_argument("--line", default="", help="what the game is drawn with (default: its name)")
    step.add_argument(
        "--updates", type=arguments.integer(1), nargs="+", required=True, help="M_td, one or more numbers"
    )
    step.add_argument("--epochs", type=arguments.integer(10), default=20, help="K (default 20)")
    step.add_argument("--waiting", type=arguments.integer(0), default=0, help="M_mix (default 0)")
    step.add_argument(
        "--step-size",
        type=arguments.positive,
        default=0.025,
        help="eta of mirror ascent, in units of 1 / rho (default 0.025)",
    )
    step.add_argument(
        "--split", type=arguments.integer(1), default=4, help="epochs of mirror ascent in one of the others (default 4)"
    )
    step.add_argument(
        "--accuracy",
        type=arguments.positive,
        default=0.1,
        help="in units of the uniform policy's exploitability (default 0.1)",
    )
    arguments.add_replicates(step)
    outputs.add_out(step)


def _measure(options: argparse.Namespace) -> None:
    from pma_replication.experiments.coupling import measure, names

    game, found, regularizer = inputs.game_and_equilibrium(options)
    name = inputs.game_name(options)
    runs = len(names.METHODS) * len(options.updates) * options.replicates
    with outputs.checkpoint(options) as checkpoint:
        with output.progress(runs, "runs") as advance:
            table = measure.compare(
                game,
                regularizer,
                found.policy,
                name=name,
                line=options.line or name,
                updates=options.updates,
                n_epochs=options.epochs,
                n_waiting=options.waiting,
                step_size=options.step_size,
                split=options.split,
                accuracy=options.accuracy,
                n_agents=options.agents,
                n_replicates=options.replicates,
                seed=options.seed,
                after_run=advance,
                checkpoint=checkpoint,
            )
        outputs.write(options, table)
