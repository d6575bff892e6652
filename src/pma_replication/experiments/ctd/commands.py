"""The steps of the experiment: `pma-replicate ctd errors`, `pma-replicate ctd moments`."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, inputs, output
from pma_replication.runs import outputs


def add(steps: arguments.Commands) -> None:
    """Add the steps."""
    errors = steps.on_equilibrium(
        "errors",
        _errors,
        "measure the error of TD learning of the equilibrium policy (Algorithm 1)",
        group="steps",
        examples=("game.npz equilibrium.npz --agents 1e6 --updates 100 1000 10000 --replicates 4 --out ctd.parquet",),
    )
    arguments.add_agents(errors)
    errors.add_argument("--updates", type=arguments.integer(1), nargs="+", required=True, help="M_td, increasing")
    errors.add_argument("--waiting", type=arguments.integer(0), nargs="+", default=[1], help="M_mix (default 1)")
    arguments.add_replicates(errors)
    errors.add_argument(
        "--other-replicates", type=arguments.integer(1), help="runs of all M_mix but the first (default: as many)"
    )
    outputs.add_out(errors)
    outputs.add_table(
        errors, "--out-floor", "of the last estimates, entry by entry, of the first M_mix", required=False
    )

    moments = steps.on_equilibrium(
        "moments",
        _moments,
        "compute the error of TD learning exactly, with infinitely many agents",
        group="steps",
        seeded=False,
        examples=("game.npz --strength 0.1 --updates 100 1000 --waiting 0 1 2",),
    )
    moments.add_argument("--updates", type=arguments.integer(1), nargs="+", required=True, help="M_td, increasing")
    moments.add_argument("--waiting", type=arguments.integer(0), nargs="+", required=True, help="M_mix")
    outputs.add_out(moments)


def _errors(options: argparse.Namespace) -> None:
    from pma_replication.experiments.ctd import measure

    game, found, regularizer = inputs.game_and_equilibrium(options)
    others = options.other_replicates or options.replicates
    replicates = [options.replicates, *([others] * (len(options.waiting) - 1))]
    with outputs.checkpoint(options) as checkpoint:
        with output.progress(sum(replicates), "replicates") as advance:
            table, floor = measure.ctd_errors(
                game,
                regularizer,
                found.policy,
                name=inputs.game_name(options),
                n_agents=options.agents,
                n_updates=options.updates,
                n_waiting=options.waiting,
                n_replicates=replicates,
                seed=options.seed,
                after_replicate=advance,
                checkpoint=checkpoint,
            )
        outputs.write(options, table)
        outputs.write_to(options.out_floor, floor)


def _moments(options: argparse.Namespace) -> None:
    from pma_replication.experiments.ctd import measure

    game, found, regularizer = inputs.game_and_equilibrium(options)
    with output.progress(1 + len(options.waiting), "waiting times") as advance:
        table = measure.ctd_moments(
            game,
            regularizer,
            found.policy,
            name=inputs.game_name(options),
            n_updates=options.updates,
            n_waiting=options.waiting,
            after_waiting=advance,
        )
    outputs.write(options, table)
