"""The step of the experiment: `pma-replicate literature measure`."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, inputs, output, step_sizes
from pma_replication.runs import outputs


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.on_equilibrium(
        "measure",
        _measure,
        "say what the theory knows of a game: constants, assumptions, equilibria",
        group="steps",
        examples=("game.npz --strength 0.1 --step-size 1 --starts 1",),
    )
    step.add_argument(
        "--starts", type=arguments.integer(0), default=4, help="of the search for other equilibria (default 4)"
    )
    step.add_argument("--step-size", type=arguments.step, required=True, help=arguments.ETA)
    outputs.add_out(step)
    outputs.add_table(step, "--out-equilibria", "of the equilibria found, one by one", required=False)
    outputs.add_table(step, "--out-states", "of the equilibria found, state by state", required=False)


def _measure(options: argparse.Namespace) -> None:
    from pma_replication.experiments.literature import measure

    game, found, regularizer = inputs.game_and_equilibrium(options)
    step_sizes.choose(options, game, found, regularizer=regularizer)
    with output.progress(options.starts, "starts") as advance:
        facts, equilibria, states = measure.table(
            game,
            regularizer,
            found,
            name=inputs.game_name(options),
            step_size=options.step_size,
            n_starts=options.starts,
            seed=options.seed,
            after_start=advance,
        )
    outputs.write(options, facts)
    outputs.write_to(options.out_equilibria, equilibria)
    outputs.write_to(options.out_states, states)
