"""The step of the experiment: `pma-replicate one_trajectory measure`."""

from __future__ import annotations

import argparse
import math

from pma_mfg.commands import arguments, inputs, output
from pma_replication.experiments.comparison.commands import add_tuning, parsed
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
    add_tuning(
        step,
        section=21,
        target=0.01,
        counts=(
            ("budget", 100, 12_000, "steps of a run (default 12000)"),
            ("per-decade", 1, 3, "measurements per factor 10 (default 3)"),
            ("replicates", 2, 8, "runs of every setting (default 8)"),
        ),
    )
    step.add_argument(
        "--shorter",
        type=_fraction,
        help="factor of further step sizes, tried where every setting of a method ends above the largest accuracy",
    )
    step.add_argument(
        "--file", nargs="+", default=[], metavar="METHOD=FILE.py", help="methods of your own, each with its file"
    )
    outputs.add_out(step)
    outputs.add_table(step, "--out-samples", "of the samples to each accuracy", required=False)


def _measure(options: argparse.Namespace) -> None:
    from pma_replication.experiments.comparison import measure as comparison
    from pma_replication.experiments.one_trajectory import measure

    grids, files = _checked(options.grid, options.file)
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
            shorter=options.shorter,
            far=max(options.accuracies),
            after_run=advance,
        )
    samples = comparison.samples_to_accuracy(table, options.accuracies, options.confidence, plain=False)
    outputs.write(options, table)
    outputs.write_to(options.out_samples, samples)


def _fraction(text: str) -> float:
    """Parse a number in (0, 1)."""
    number = arguments.positive(text)
    if number >= 1.0:
        raise argparse.ArgumentTypeError(f"got {text}, expected a number in (0, 1)")
    return number


def _checked(settings: list[str], files: list[str]) -> tuple[dict[str, dict[str, list[float]]], dict[str, str]]:
    """Return the values to tune over, by method and setting, and the files of methods, both checked."""
    from pma_replication.experiments.one_trajectory.settings import check_method

    own = {method: path for method, _, path in (file.partition("=") for file in files)}
    none: dict[str, dict[str, list[float]]] = {method: {} for method in own}
    grids = none | parsed(settings, SOURCE)
    for method, grid in grids.items():
        check_method(method, grid | ({"file": own[method]} if method in own else {}), f"{SOURCE}: {method}")
    return grids, own
