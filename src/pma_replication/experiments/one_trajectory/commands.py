"""The step of the experiment: `pma-replicate one_trajectory measure`."""

from __future__ import annotations

import argparse
import math
from typing import Any

from pma_mfg.commands import arguments, inputs, output
from pma_mfg.errors import InputError
from pma_replication.runs import outputs

SOURCE = "pma-replicate one_trajectory measure"


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.on_equilibrium(
        "measure",
        _measure,
        "run many methods on one trajectory of N agents, tuned by one rule",
        group="steps",
        examples=(
            "game.npz --strength 0.1 --agents 100 --budget 1000 --replicates 2"
            " --grid pma.step_size=0.1 pma.first=10 pma.growth=1.1 pma.constant=1"
            " slow_policy.exponent=0.7 slow_policy.policy_step=0.01 slow_policy.policy_exponent=0,0.5",
        ),
    )
    arguments.add_agents(step)
    step.add_argument(
        "--grid",
        nargs="+",
        required=True,
        metavar="METHOD.SETTING=VALUE,...",
        help="the settings of each method to tune over (docs/theory, section 21)",
    )
    step.add_argument(
        "--file", nargs="+", default=[], metavar="METHOD=FILE.py", help="methods of your own, each with its file"
    )
    for option, least, default, text in (
        ("budget", 100, 12_000, "steps of a run (default 12000)"),
        ("per-decade", 1, 3, "measurements per factor 10 (default 3)"),
        ("replicates", 2, 8, "runs of every setting (default 8)"),
    ):
        step.add_argument(f"--{option}", type=arguments.integer(least), default=default, help=text)
    step.add_argument("--target", type=arguments.positive, default=0.01, help="accuracy to tune for (default 0.01)")
    step.add_argument(
        "--accuracies", type=arguments.positive, nargs="+", default=[0.1, 0.03, 0.01], help="to count samples to"
    )
    step.add_argument("--confidence", type=arguments.positive, default=0.95, help="of their intervals (default 0.95)")
    outputs.add_out(step)
    outputs.add_table(step, "--out-samples", "of the samples to each accuracy", required=False)


def _measure(options: argparse.Namespace) -> None:
    from pma_replication.experiments.comparison import measure as comparison
    from pma_replication.experiments.one_trajectory import measure

    grids, files = parsed(options.grid, options.file)
    game, _, regularizer = inputs.game_and_equilibrium(options)
    n_runs = options.replicates * sum(math.prod(map(len, grid.values())) for grid in grids.values())
    with output.progress(n_runs, "runs") as advance:
        table = measure.compare(
            game,
            regularizer,
            inputs.game_name(options),
            grids=grids,
            files=files,
            n_agents=options.agents,
            budget=options.budget,
            per_decade=options.per_decade,
            target=options.target,
            n_replicates=options.replicates,
            seed=options.seed,
            after_run=advance,
        )
    samples = comparison.samples_to_accuracy(table, options.accuracies, options.confidence, plain=False)
    outputs.write(options, table)
    outputs.write_to(options.out_samples, samples)


def parsed(settings: list[str], files: list[str]) -> tuple[dict[str, dict[str, list[float]]], dict[str, str]]:
    """Return the values to tune over, by method and setting, and the files of methods, both checked."""
    from pma_replication.experiments.one_trajectory.settings import check_method

    grids: dict[str, dict[str, Any]] = {}
    for own in files:
        method, _, path = own.partition("=")
        grids[method] = {"file": path}
    for setting in settings:
        method, _, rest = setting.partition(".")
        name, _, values = rest.partition("=")
        try:
            grids.setdefault(method, {})[name] = [float(value) for value in values.split(",")]
        except ValueError:
            raise InputError(SOURCE, "--grid", setting, "method.setting=number,number,...") from None
    for method, grid in grids.items():
        check_method(method, grid, f"{SOURCE}: {method}")
    return grids, {method: grid.pop("file") for method, grid in grids.items() if "file" in grid}
