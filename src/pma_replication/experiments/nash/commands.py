"""The step of the experiment: `pma-replicate nash measure`."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, inputs, output
from pma_replication.runs import outputs


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.on_equilibrium(
        "measure",
        _measure,
        "compute what one of N agents gains by deviating, exactly, and what is predicted for large N",
        group="steps",
        seeded=False,
        examples=("game.npz --strength 0.1 --agents 5 10 20",),
    )
    arguments.add_agents(step, nargs="+")
    outputs.add_out(step)


def _measure(options: argparse.Namespace) -> None:
    from pma_replication.experiments.nash import measure

    game, found, regularizer = inputs.game_and_equilibrium(options, features=True)
    with output.progress(len(options.agents), "populations") as advance:
        table = measure.nash_gaps(
            game,
            regularizer,
            found.policy,
            name=inputs.game_name(options),
            populations=options.agents,
            after_population=advance,
        )
    outputs.write(options, table)
