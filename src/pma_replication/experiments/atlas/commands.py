"""The step of the experiment: `pma-replicate atlas measure`."""

from __future__ import annotations

import argparse
from typing import Any

from pma_mfg.commands import arguments, output
from pma_mfg.errors import InputError
from pma_replication.runs import outputs

SOURCE = "pma-replicate atlas measure"

#: Options with integers -> the least, the default, what they are.
COUNTS = {
    "starts": (1, 2, "starts of exact PMA"),
    "agents": (2, 10**6, "N, of the bias and of learning"),
    "steps": (100, 1000, "averaged steps of a trajectory that measures the bias"),
    "replicates": (2, 16, "such trajectories"),
    "visits": (1, 100, "M_td is this over the least probability of a state and action"),
}

#: Options with the arguments of `measure.table` that are not counts.
OTHERS = ("relative_step_size", "max_iterations", "epsilon", "waiting_constant", "max_samples", "seed")


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.add(
        "measure",
        _measure,
        "solve, check, measure and learn many generated games, a row for each",
        group="steps",
        examples=("'mine garnet n_states=3 n_actions=2 discount=0.5 seed=1 strength=0.5' --max-samples 1000",),
    )
    step.add_argument(
        "games",
        nargs="+",
        metavar="'NAME FAMILY parameter=value ... strength=value'",
        help="a game: what its row is called, its family, its parameters, and the strength of the entropy",
    )
    step.add_argument(
        "--step-size", dest="relative_step_size", type=arguments.positive, default=0.15, help="eta in units of 1 / rho"
    )
    for option, (least, default, text) in COUNTS.items():
        step.add_argument(
            f"--{option}",
            dest=f"n_{option}",
            type=arguments.integer(least),
            default=default,
            help=f"{text} (default {default})",
        )
    step.add_argument("--max-iterations", type=arguments.integer(1), default=500, help="of exact PMA (default 500)")
    step.add_argument(
        "--epsilon", type=arguments.positive, default=0.1, help="accuracy that the schedule is for (default 0.1)"
    )
    step.add_argument("--waiting-constant", type=arguments.positive, default=0.5, help="M_mix = this log(1/epsilon)")
    step.add_argument("--max-samples", type=arguments.integer(1), default=200_000, help="longer schedules are not run")
    arguments.add_seed(step)
    outputs.add_out(step)


def _measure(options: argparse.Namespace) -> None:
    from pma_replication.experiments.atlas import measure

    members = [_member(described) for described in options.games]
    chosen = {name: getattr(options, name) for name in (*(f"n_{count}" for count in COUNTS), *OTHERS)}
    with output.progress(len(members), "games") as advance:
        outputs.write(options, measure.table(members, advance, **chosen))


def _member(described: str) -> tuple[str, str, dict[str, Any], float]:
    """Return the name, the family, the parameters and the strength of a game, or refuse it."""
    from pma_mfg import games

    name, _, rest = described.partition(" ")
    family, *settings = rest.split() or [""]
    accepted = games.describe(family, SOURCE)["parameters"]
    parameters = arguments.parameters(settings, SOURCE)
    strength = parameters.get("strength")
    if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0.0 < strength < float("inf"):
        raise InputError(SOURCE, "strength", strength, "a finite number > 0, for the regularizer")
    if "strength" not in accepted:
        del parameters["strength"]
    games.check_parameters(family, parameters, SOURCE)
    return name, family, parameters, float(strength)
