"""The step of the experiment: `pma-replicate scaling measure`."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, output
from pma_mfg.errors import InputError
from pma_replication.experiments.scaling.lines import FAMILY, QUANTITIES
from pma_replication.runs import outputs

SOURCE = "pma-replicate scaling measure"


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.add(
        "measure",
        _measure,
        "learn the games of a line, in which one parameter moves, and count what exact moments and the theorem say",
        group="steps",
        examples=(
            "states n_states=2,4 n_actions=2 discount=0.2 strength=0.1 best_response_radius=0.01 --epsilon 0.05"
            " --agents 1000 --replicates 2",
        ),
    )
    step.add_argument("line", help="what the line is called in tables")
    step.add_argument(
        "parameters",
        nargs="+",
        metavar="parameter=value",
        help=f"of the family {FAMILY}; the one that moves has several values, with commas between them",
    )
    step.add_argument("--epsilon", type=arguments.positive, required=True, help="mean distance to the equilibrium")
    step.add_argument("--step-size", type=arguments.positive, default=10.0, help="eta in units of 1 / rho (default 10)")
    step.add_argument("--epochs", type=arguments.integer(1), default=3, help="K (default 3)")
    step.add_argument(
        "--last", type=arguments.integer(1), default=16, help="epochs, from the K-th on, that are averaged (default 16)"
    )
    step.add_argument(
        "--factors",
        type=arguments.positive,
        nargs="+",
        default=[0.7, 1.4],
        help="M_td, in units of what exact moments say (default 0.7 1.4)",
    )
    arguments.add_agents(step)
    arguments.add_replicates(step)
    arguments.add_seed(step)
    outputs.add_out(step)


def _measure(options: argparse.Namespace) -> None:
    from pma_mfg import games
    from pma_replication.experiments.scaling import measure

    several = [setting for setting in options.parameters if "," in setting]
    if len(several) != 1:
        raise InputError(
            SOURCE, "parameters", options.parameters, "exactly one with several values, as in n_states=2,4"
        )
    along, _, listed = several[0].partition("=")
    if along not in QUANTITIES:
        raise InputError(SOURCE, "parameters", along, f"one that may move: {', '.join(QUANTITIES)}")
    fixed = arguments.parameters([each for each in options.parameters if each not in several], SOURCE)
    values = [arguments.parameters([f"{along}={value}"], SOURCE)[along] for value in listed.split(",")]
    for value in values:
        games.check_parameters(FAMILY, {**fixed, along: value}, SOURCE)
    runs = measure.Runs(
        epsilon=options.epsilon,
        step_size=options.step_size,
        n_epochs=options.epochs,
        n_last=options.last,
        factors=options.factors,
        n_agents=options.agents,
        n_replicates=options.replicates,
    )
    with output.progress(len(values) * len(runs.factors) * runs.n_replicates, "runs") as advance:
        table = measure.measure(
            options.line, along, values, parameters=fixed, runs=runs, seed=options.seed, after_run=advance
        )
    outputs.write(options, table)
