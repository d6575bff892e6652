"""The steps of the experiment: `pma-replicate nash measure`, `learned`."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, inputs, output, step_sizes
from pma_replication.runs import outputs


def add(steps: arguments.Commands) -> None:
    """Add the steps."""
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

    learned = steps.on_equilibrium(
        "learned",
        _learned,
        "learn from N agents and compute what one of them then gains by deviating, exactly",
        group="steps",
        examples=("game.npz --strength 0.1 --agents 5 --updates 500 1000 --epochs 5 --step-size 0.3 --replicates 2",),
    )
    arguments.add_agents(learned)
    learned.add_argument(
        "--updates", type=arguments.integer(1), nargs="+", required=True, help="updates of an epoch, M_td"
    )
    learned.add_argument("--epochs", type=arguments.integer(1), required=True, help="policy updates, K")
    learned.add_argument("--step-size", type=arguments.step, required=True, help=arguments.ETA)
    arguments.add_replicates(learned)
    outputs.add_out(learned)


def _learned(options: argparse.Namespace) -> None:
    from pma_replication.experiments.nash import measure

    game, found, regularizer = inputs.game_and_equilibrium(options, features=True)
    step_sizes.choose(options, game, found, regularizer=regularizer)
    with output.progress(len(options.updates) * options.replicates, "runs") as advance:
        table = measure.learned_gaps(
            game,
            regularizer,
            found.policy,
            name=inputs.game_name(options),
            n_agents=options.agents,
            updates=options.updates,
            n_epochs=options.epochs,
            step_size=options.step_size,
            n_replicates=options.replicates,
            seed=options.seed,
            after_run=advance,
        )
    outputs.write(options, table)


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
