"""The steps of the experiment: `pma-replicate regularization measure` and `pma-replicate regularization anneal`."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, inputs, output
from pma_replication.runs import outputs


def add(steps: arguments.Commands) -> None:
    """Add the steps."""
    step = steps.add(
        "measure",
        _measure,
        "follow the equilibrium from a strong regularizer to none, and say what regularization costs",
        group="steps",
        examples=("game.npz --out regularization.parquet --out-game regularization_games.parquet",),
    )
    step.add_argument("game", help=arguments.GAME)
    arguments.add_regularizer(step)
    step.add_argument("--name", help="the game's name in tables (default: the file's)")
    outputs.add_out(step)
    outputs.add_table(step, "--out-game", "of what the path says of the game")
    _add_anneal(steps)


def _add_anneal(steps: arguments.Commands) -> None:
    step = steps.add(
        "anneal",
        _anneal,
        "learn with a strength that falls from epoch to epoch, and with the last one from the start",
        group="steps",
        examples=("game.npz --accuracies 0.1 --ascent-steps 1 --epochs 4 --updates 1 --agents 1000 --replicates 2",),
    )
    step.add_argument("game", help=arguments.GAME)
    arguments.add_regularizer(step)
    step.add_argument("--name", help="the game's name in tables and seeds (default: the file's)")
    step.add_argument(
        "--accuracies", type=arguments.positive, nargs="+", required=True, help="over the range of the rewards"
    )
    step.add_argument(
        "--ascent-steps", type=arguments.positive, nargs="+", required=True, help="eta, times the range of the rewards"
    )
    step.add_argument("--epochs", type=arguments.integer(1), required=True, help="K")
    step.add_argument("--updates", type=arguments.positive, required=True, help="M_td, in units of 1 / ((1 - gamma) d)")
    step.add_argument("--pilots", type=arguments.integer(1), default=1, help="runs with each step size (default 1)")
    arguments.add_agents(step)
    arguments.add_replicates(step)
    arguments.add_seed(step)
    outputs.add_out(step)


def _measure(options: argparse.Namespace) -> None:
    from pma_replication.experiments.regularization import measure

    regularizer = inputs.load_regularizer(options.regularizer, options.strength or 1.0)
    tables = measure.cost(inputs.load_game(options.game), regularizer, inputs.game_name(options))
    outputs.write(options, tables["regularization"])
    outputs.write_to(options.out_game, tables["regularization_games"])


def _anneal(options: argparse.Namespace) -> None:
    from pma_replication.experiments.regularization import annealing

    game = inputs.load_game(options.game)
    runs = annealing.Runs(
        accuracies=options.accuracies,
        ascent_steps=options.ascent_steps,
        n_epochs=options.epochs,
        relative_updates=options.updates,
        n_agents=options.agents,
        n_pilots=options.pilots,
        n_replicates=options.replicates,
    )
    regularizer = inputs.load_regularizer(options.regularizer, options.strength or 1.0)
    name = inputs.game_name(options)
    with output.progress(2 * runs.count, "runs") as advance:
        table = annealing.measure(game, regularizer, name, runs=runs, seed=options.seed, after_run=advance)
    outputs.write(options, table)
