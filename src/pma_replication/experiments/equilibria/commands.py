"""The steps of the experiment: `pma-replicate equilibria solve`, `pma-replicate equilibria assumptions`."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, inputs, solve, step_sizes
from pma_replication.runs import outputs


def add(steps: arguments.Commands) -> None:
    """Add the steps."""
    solved = steps.add(
        "solve",
        _solve,
        "find the mean field Nash equilibrium of a game, exactly",
        group="steps",
        examples=("game.npz --strength 0.1 --out equilibrium.npz --out-table equilibrium.parquet",),
    )
    solved.add_argument("game", help=arguments.GAME)
    arguments.add_regularizer(solved, required=True)
    solved.add_argument("--name", help="the game's name in the table (default: the file's name)")
    solved.add_argument("--out", required=True, type=arguments.file(".npz"), help="equilibrium file (.npz) to write")
    outputs.add_table(solved, "--out-table", "of policy, mean field and Q")

    assumptions = steps.on_equilibrium(
        "assumptions",
        _assumptions,
        "compute what the paper assumes of a game",
        group="steps",
        seeded=False,
        examples=("game.npz --strength 0.1 --step-size 1",),
    )
    assumptions.add_argument("--step-size", type=arguments.step, required=True, help=arguments.ETA)
    outputs.add_out(assumptions)


def _solve(options: argparse.Namespace) -> None:
    from pma_mfg import equilibrium
    from pma_replication.experiments.equilibria import measure

    regularizer = inputs.load_regularizer(options.regularizer, options.strength)
    found = equilibrium.planted_or_found(inputs.load_game(options.game), regularizer)
    equilibrium.save(found, regularizer, options.out)
    outputs.write_to(options.out_table, measure.table(found, inputs.game_name(options)))
    solve.tell(found)


def _assumptions(options: argparse.Namespace) -> None:
    from pma_replication.experiments.equilibria import measure

    game, found, regularizer = inputs.game_and_equilibrium(options)
    step_sizes.choose(options, game, found, regularizer=regularizer)
    name = inputs.game_name(options)
    outputs.write(options, measure.assumptions_table(game, regularizer, name, step_size=options.step_size))
