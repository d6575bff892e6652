"""The steps of the experiment: `pma-replicate populations bias`, `learned`, `exact`, `agreement`."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, inputs, output, step_sizes
from pma_replication.runs import outputs


def add(steps: arguments.Commands) -> None:
    """Add the steps."""
    bias = steps.on_equilibrium(
        "bias",
        _bias,
        "measure fluctuations and the bias of what is learned from each number of agents",
        group="steps",
        examples=("game.npz equilibrium.npz --agents 100 1000 --steps 10000 --replicates 4 --out bias.parquet",),
    )
    arguments.add_agents(bias, nargs="+")
    bias.add_argument("--steps", type=arguments.integer(100), default=300_000, help="averaged steps per replicate")
    arguments.add_replicates(bias)
    outputs.add_out(bias)

    learned = steps.on_equilibrium(
        "learned",
        _learned,
        "learn from each number of agents, and measure where the policy ends in the mean over noise",
        group="steps",
        examples=("game.npz --strength 0.1 --agents 4 --updates 1000 --epochs 10 --step-size 0.5 --replicates 2",),
    )
    arguments.add_agents(learned, nargs="+")
    learned.add_argument("--updates", type=arguments.integer(1), required=True, help="updates of an epoch, M_td")
    learned.add_argument("--epochs", type=arguments.integer(2), required=True, help="policy updates, K")
    learned.add_argument("--step-size", type=arguments.step, required=True, help=arguments.ETA)
    arguments.add_replicates(learned)
    outputs.add_out(learned)

    exact = steps.on_equilibrium(
        "exact",
        _exact,
        "solve the game of N agents exactly: fluctuation, and what learning converges to",
        group="steps",
        seeded=False,
        examples=("game.npz --strength 0.1 --agents 5 10",),
    )
    arguments.add_agents(exact, nargs="+")
    exact.add_argument(
        "--step-size",
        type=arguments.step,
        default=0.5,
        help=f"of the iteration to the policy's limit: {arguments.ETA} (default 0.5)",
    )
    outputs.add_out(exact)

    agreement = steps.on_equilibrium(
        "agreement",
        _agreement,
        "compare the simulated limit of TD learning with the exact one",
        group="steps",
        examples=("game.npz --strength 0.1 --agents 2 5 --steps 1000 --replicates 4",),
    )
    arguments.add_agents(agreement, nargs="+")
    agreement.add_argument("--steps", type=arguments.integer(100), default=20_000, help="averaged steps per replicate")
    arguments.add_replicates(agreement)
    outputs.add_out(agreement)


def _bias(options: argparse.Namespace) -> None:
    from pma_replication.experiments.populations import measure

    game, found, regularizer = inputs.game_and_equilibrium(options, features=True)
    with output.progress(len(options.agents) * options.replicates, "replicates") as advance:
        table = measure.finite_population_bias(
            game,
            regularizer,
            found.policy,
            name=inputs.game_name(options),
            populations=options.agents,
            n_steps=options.steps,
            n_replicates=options.replicates,
            seed=options.seed,
            after_replicate=advance,
        )
    outputs.write(options, table)


def _learned(options: argparse.Namespace) -> None:
    from pma_replication.experiments.populations import measure

    game, found, regularizer = inputs.game_and_equilibrium(options)
    step_sizes.choose(options, game, found, regularizer=regularizer)
    with output.progress(len(options.agents) * options.replicates, "replicates") as advance:
        table = measure.learned_policies(
            game,
            regularizer,
            found.policy,
            name=inputs.game_name(options),
            populations=options.agents,
            n_updates=options.updates,
            n_epochs=options.epochs,
            step_size=options.step_size,
            n_replicates=options.replicates,
            seed=options.seed,
            after_replicate=advance,
        )
    outputs.write(options, table)


def _exact(options: argparse.Namespace) -> None:
    from pma_replication.experiments.populations import measure

    game, found, regularizer = inputs.game_and_equilibrium(options, features=True)
    step_sizes.choose(options, game, found, regularizer=regularizer)
    with output.progress(len(options.agents), "populations") as advance:
        table = measure.exact_limits(
            game,
            regularizer,
            found.policy,
            name=inputs.game_name(options),
            populations=options.agents,
            step_size=options.step_size,
            after_population=advance,
        )
    outputs.write(options, table)


def _agreement(options: argparse.Namespace) -> None:
    from pma_replication.experiments.populations import measure

    game, found, regularizer = inputs.game_and_equilibrium(options, features=True)
    with output.progress(len(options.agents), "populations") as advance:
        table = measure.agreement(
            game,
            regularizer,
            found.policy,
            name=inputs.game_name(options),
            populations=options.agents,
            n_steps=options.steps,
            n_replicates=options.replicates,
            seed=options.seed,
            after_population=advance,
        )
    outputs.write(options, table)
