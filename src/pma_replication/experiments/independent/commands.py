"""The step of the experiment: `pma-replicate independent measure`."""

from __future__ import annotations

import argparse
from typing import Any

from pma_mfg.commands import arguments, inputs, output, schedules, step_sizes
from pma_mfg.errors import InputError
from pma_replication.runs import outputs

SOURCE = "pma-replicate independent measure"


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.on_equilibrium(
        "measure",
        _measure,
        "run independent learning (Algorithm 3), agent by agent",
        group="steps",
        examples=("game.npz --strength 0.1 --agents 100 --step-size 0.5 --epochs 5 --updates 500 --replicates 2",),
    )
    arguments.add_agents(step, nargs="+")
    step.add_argument("--step-size", type=arguments.step, nargs="+", required=True, help=arguments.ETA)
    step.add_argument(
        "--epsilon", type=arguments.positive, nargs="+", help="accuracies of tuned schedules, as in `samples tuned`"
    )
    step.add_argument(
        "--td-constant", type=arguments.positive, default=9.0, help="M_td = (this / epsilon)^2 (default 9)"
    )
    step.add_argument(
        "--waiting-constant", type=arguments.positive, default=0.5, help="M_mix = this log(1/epsilon) (default 0.5)"
    )
    step.add_argument("--epochs", type=arguments.integer(1), help="K, without --epsilon")
    step.add_argument(
        "--start-left",
        type=arguments.positive,
        help="in place of --epochs: what K epochs leave of the first distance, a share, at the rate at the equilibrium",
    )
    step.add_argument("--updates", type=arguments.integer(1), nargs="+", help="M_td, without --epsilon")
    step.add_argument("--waiting", type=arguments.integer(0), default=1, help="M_mix, without --epsilon (default 1)")
    step.add_argument(
        "--replicates",
        type=arguments.integer(1),
        nargs="+",
        default=[16],
        help="independent runs (default 16), of each N",
    )
    step.add_argument("--sweep", default="alone", help="what the runs are for, in table and seeds")
    step.add_argument(
        "--unequal-starts", action="store_true", help="a first policy of its own for every agent, drawn uniformly"
    )
    outputs.add_out(step)
    outputs.add_table(step, "--out-learning", "in the columns of `samples tuned`", required=False)


def _measure(options: argparse.Namespace) -> None:
    import pandas as pd

    from pma_replication.experiments.independent import measure

    game, found, regularizer = inputs.game_and_equilibrium(options)
    step_sizes.choose(options, game, found, regularizer=regularizer)
    replicates = options.replicates * len(options.agents) if len(options.replicates) == 1 else options.replicates
    if len(replicates) != len(options.agents):
        raise InputError(SOURCE, "--replicates", replicates, "one number, or one for each of --agents")
    planned = _planned(options, game, found, regularizer)
    runs = [
        measure.IndependentRuns(n_agents, schedule, count, epsilon, options.unequal_starts)
        for n_agents, count in zip(options.agents, replicates, strict=True)
        for epsilon, schedule in planned
    ]
    total = sum(setting.n_replicates * setting.schedule.n_epochs for setting in runs)
    with outputs.checkpoint(options) as checkpoint:
        with output.progress(total, "epochs") as advance:
            table = measure.independent_errors(
                game,
                regularizer,
                found.policy,
                name=inputs.game_name(options),
                sweep=options.sweep,
                settings=runs,
                seed=options.seed,
                after_epoch=advance,
                checkpoint=checkpoint,
            )
        if options.start_left:
            parts = [rows for _, rows in table.groupby("step_size", sort=False)]
            table = pd.concat(
                [measure.dividing_line(rows, game, regularizer, equilibrium=found.policy) for rows in parts]
            )
        outputs.write(options, table)
        if options.out_learning:
            outputs.write_to(options.out_learning, measure.independent_learning_errors(table))


def _planned(options: argparse.Namespace, game: Any, found: Any, regularizer: Any) -> list[tuple[float, Any]]:
    """Return the accuracies and schedules of a run; nan is the accuracy of a schedule that is made for none."""
    from pma_mfg.learning.schedules import Schedule, practical_schedule, td_scale, td_start
    from pma_replication.experiments.independent import measure

    planned = []
    for step_size in options.step_size:
        for epsilon in options.epsilon or []:
            schedules.refuse_divergent(step_size, game, found, regularizer=regularizer, program=options.program)
            schedule = practical_schedule(
                game,
                regularizer,
                found.policy,
                step_size=step_size,
                epsilon=epsilon,
                td_constant=options.td_constant,
                waiting_constant=options.waiting_constant,
            )
            planned.append((epsilon, schedule))
        for updates in options.updates or []:
            epochs = options.epochs
            if options.start_left:
                slowest = max(measure.rates(game, regularizer, found.policy, step_size=step_size))
                epochs = measure.epochs_to_settle(options.start_left, slowest)
            if not epochs:
                raise InputError(SOURCE, "--epochs", None, "a number of epochs beside --updates, or --start-left")
            scale = td_scale(game, found.policy)
            lengths = (epochs, updates, options.waiting)
            planned.append((float("nan"), Schedule(*lengths, step_size, scale, scale, td_start(game, regularizer))))
    if not planned:
        raise InputError(SOURCE, "--epsilon", None, "an accuracy, or --epochs and --updates")
    for _, schedule in planned:
        schedules.tell(schedule, game, found)
    return planned
