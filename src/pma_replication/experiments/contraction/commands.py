"""The step of the experiment: `pma-replicate contraction measure`."""

from __future__ import annotations

import argparse
from typing import Any

from pma_mfg.commands import arguments, inputs, output, step_sizes
from pma_replication.runs import outputs


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.on_equilibrium(
        "measure",
        _measure,
        "run exact PMA from several starts, with the rate",
        group="steps",
        examples=(
            "game.npz --strength 0.1 --step-sizes 0.05 0.1 --starts 2 --out-iterates iterates.parquet"
            " --out-rates rates.parquet",
        ),
    )
    step.add_argument("--step-sizes", type=arguments.step, nargs="+", required=True, help=arguments.ETA)
    arguments.add_runs(step, 2000)
    outputs.add_table(step, "--out-iterates", "of distances")
    outputs.add_table(step, "--out-rates", "of rates")
    outputs.add_table(step, "--out-certified", "of runs from the certified set", required=False)


def _measure(options: argparse.Namespace) -> None:
    from pma_replication.experiments.contraction import measure

    game, found, regularizer = inputs.game_and_equilibrium(options)
    step_sizes.choose(options, game, found, regularizer=regularizer)
    of = (game, regularizer, found.policy)
    runs: dict[str, Any] = {
        "name": inputs.game_name(options),
        "step_sizes": options.step_sizes,
        "n_starts": options.starts,
        "max_iterations": options.max_iterations,
        "seed": options.seed,
    }
    with output.progress(options.starts * len(options.step_sizes), "runs") as advance:
        iterates, rates = measure.pma_convergence(*of, **runs, after_run=advance)
    outputs.write_to(options.out_iterates, iterates)
    outputs.write_to(options.out_rates, rates)
    if options.out_certified:
        outputs.write_to(options.out_certified, measure.certified_convergence(*of, **runs))
