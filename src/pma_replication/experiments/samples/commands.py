"""The steps of the experiment: `pma-replicate samples tuned`, `samples prescribed`, `samples schedules`."""

from __future__ import annotations

import argparse
from typing import Any

from pma_mfg.commands import arguments, inputs, output, schedules, step_sizes
from pma_replication.runs import outputs


def add(steps: arguments.Commands) -> None:
    """Add the steps."""
    tuned = steps.on_equilibrium(
        "tuned",
        _tuned,
        "run centralized learning (Algorithm 2) with tuned constants for an accuracy",
        group="steps",
        examples=(
            "game.npz equilibrium.npz --agents 1000 --epsilon 0.2 --replicates 2 --out runs.parquet",
            "game.npz equilibrium.npz --agents 1000 --epsilon 0.2 --dry-run",
        ),
    )
    _add_learning(tuned)
    tuned.add_argument(
        "--td-constant", type=arguments.positive, default=7.0, help="M_td = (this / epsilon)^2 (default 7)"
    )
    tuned.add_argument(
        "--waiting-constant", type=arguments.positive, default=0.5, help="M_mix = this log(1/epsilon) (default 0.5)"
    )

    prescribed = steps.on_equilibrium(
        "prescribed",
        _prescribed,
        "run centralized learning (Algorithm 2) as the theorem prescribes for an accuracy",
        group="steps",
        examples=("certified.npz --strength 1 --agents 1000 --epsilon 0.1 --step-size 1 --dry-run",),
    )
    _add_learning(prescribed)

    told = steps.on_equilibrium(
        "schedules",
        _schedules,
        "compute what the theorem prescribes for each accuracy",
        group="steps",
        seeded=False,
        examples=("certified.npz --strength 1 --epsilons 0.1 0.01 --step-size 1",),
    )
    told.add_argument("--epsilons", type=arguments.positive, nargs="+", required=True, help="accuracies")
    told.add_argument("--step-size", type=arguments.step, required=True, help=arguments.ETA)
    outputs.add_out(told)


def _add_learning(to: argparse.ArgumentParser) -> None:
    arguments.add_agents(to)
    to.add_argument("--epsilon", type=arguments.positive, required=True, help="accuracy that the schedule is for")
    to.add_argument("--step-size", type=arguments.step, default=0.5, help=f"{arguments.ETA} (default 0.5)")
    to.add_argument("--dry-run", action="store_true", help="print the schedule and its samples, and stop")
    arguments.add_replicates(to)
    outputs.add_out(to)


def _tuned(options: argparse.Namespace) -> None:
    game, found, regularizer = inputs.game_and_equilibrium(options)
    step_sizes.choose(options, game, found, regularizer=regularizer)
    schedule = schedules.tuned(options, game, found, regularizer=regularizer)
    _learn(options, game, found, regularizer, schedule, kind="tuned")


def _prescribed(options: argparse.Namespace) -> None:
    from pma_mfg.theory import prescription

    game, found, regularizer = inputs.game_and_equilibrium(options, features=True)
    step_sizes.choose(options, game, found, regularizer=regularizer)
    schedule = prescription.theorem_schedule(game, regularizer, options.step_size, epsilon=options.epsilon)
    _learn(options, game, found, regularizer, schedule, kind="theorem")


def _learn(options: argparse.Namespace, game: Any, found: Any, regularizer: Any, schedule: Any, *, kind: str) -> None:
    """Run centralized learning with a schedule and write its errors, unless --dry-run is given."""
    from pma_replication.experiments.samples import measure

    schedules.tell(schedule, game, found)
    if options.dry_run:
        return
    with outputs.checkpoint(options) as checkpoint:
        with output.progress(options.replicates * schedule.n_epochs, "epochs") as advance:
            table = measure.learning_errors(
                game,
                regularizer,
                found.policy,
                name=inputs.game_name(options),
                n_agents=options.agents,
                epsilon=options.epsilon,
                schedule=schedule,
                n_replicates=options.replicates,
                seed=options.seed,
                after_epoch=advance,
                kind=kind,
                checkpoint=checkpoint,
            )
        outputs.write(options, table)


def _schedules(options: argparse.Namespace) -> None:
    from pma_replication.experiments.samples import measure

    game, found, regularizer = inputs.game_and_equilibrium(options, features=True)
    step_sizes.choose(options, game, found, regularizer=regularizer)
    name = inputs.game_name(options)
    table = measure.theorem_schedules(game, regularizer, name, epsilons=options.epsilons, step_size=options.step_size)
    outputs.write(options, table)
