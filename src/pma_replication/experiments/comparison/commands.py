"""The step of the experiment: `pma-replicate comparison measure`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pma_mfg.commands import arguments, inputs, output
from pma_mfg.errors import InputError
from pma_replication.runs import outputs

SOURCE = "pma-replicate comparison measure"


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.on_equilibrium(
        "measure",
        _measure,
        "run PMA on one trajectory beside methods with a generative model",
        group="steps",
        examples=(
            "game.npz --strength 0.1 --agents 1e6 --budget 1000 --pilot-budget 1000 --replicates 2"
            " --grid pma.step_size=1,5 pma.first=30 pma.growth=1.1 pma.constant=1",
        ),
    )
    add_tuning(
        step,
        section=17,
        target=0.03,
        counts=(
            ("budget", 100, 1_000_000, "samples of a run (default 1e6)"),
            ("pilot-budget", 100, 100_000, "of one that tunes (default 1e5)"),
            ("per-decade", 1, 6, "measurements per factor 10 (default 6)"),
            ("pilots", 1, 2, "runs of each setting (default 2)"),
            ("replicates", 2, 8, "runs that are reported (default 8)"),
        ),
    )
    outputs.add_out(step)
    outputs.add_table(step, "--out-tuning", "of the pilot runs", required=False)
    outputs.add_table(step, "--out-accuracies", "of the samples to each accuracy", required=False)


def add_tuning(
    step: argparse.ArgumentParser, *, section: int, target: float, counts: Sequence[tuple[str, int, int, str]]
) -> None:
    """Add N, the grid that is tuned, numbers of runs and samples, and the accuracies to count samples to.

    Parameters
    ----------
    step : argparse.ArgumentParser
    section : int
        Of docs/theory, on the rule of tuning.
    target : float
        The default.
    counts : sequence of tuple
        Options with an integer: the name, the least and the default value, and what it is.
    """
    arguments.add_agents(step)
    step.add_argument(
        "--grid",
        nargs="+",
        required=True,
        metavar="METHOD.SETTING=VALUE,...",
        help=f"the settings of each method to tune over (docs/theory, section {section})",
    )
    for option, least, default, text in counts:
        step.add_argument(f"--{option}", type=arguments.integer(least), default=default, help=text)
    step.add_argument(
        "--target", type=arguments.positive, default=target, help=f"accuracy to tune for (default {target:g})"
    )
    step.add_argument(
        "--accuracies", type=arguments.positive, nargs="+", default=[0.1, 0.03, 0.01], help="to count samples to"
    )
    step.add_argument("--confidence", type=arguments.positive, default=0.95, help="of their intervals (default 0.95)")


def _measure(options: argparse.Namespace) -> None:
    from pma_replication.experiments.comparison import measure

    grids = parsed(options.grid, SOURCE)
    game, found, regularizer = inputs.game_and_equilibrium(options)
    tried = sum(len(measure.settings(method, grid, SOURCE)) for method, grid in grids.items())
    most = tried * options.pilots + measure.CONTENDERS * len(grids) * options.replicates
    with output.progress(most, "runs at most") as advance:
        comparison, tuning = measure.compare(
            game,
            regularizer,
            inputs.game_name(options),
            policy=found.policy,
            grids=grids,
            n_agents=options.agents,
            budget=options.budget,
            pilot_budget=options.pilot_budget,
            per_decade=options.per_decade,
            target=options.target,
            n_pilots=options.pilots,
            n_replicates=options.replicates,
            seed=options.seed,
            after_run=advance,
        )
    accuracies = measure.samples_to_accuracy(comparison, options.accuracies, options.confidence)
    outputs.write(options, comparison)
    outputs.write_to(options.out_tuning, tuning)
    outputs.write_to(options.out_accuracies, accuracies)


def parsed(settings: Sequence[str], source: str) -> dict[str, dict[str, list[float]]]:
    """Return the values to tune over, by method and setting."""
    grids: dict[str, dict[str, list[float]]] = {}
    for setting in settings:
        method, _, rest = setting.partition(".")
        name, _, values = rest.partition("=")
        try:
            grids.setdefault(method, {})[name] = [float(value) for value in values.split(",")]
        except ValueError:
            raise InputError(source, "--grid", setting, "method.setting=number,number,...") from None
    return grids
