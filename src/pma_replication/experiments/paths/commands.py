"""The steps of the experiment: `pma-replicate paths follow` and `pma-replicate paths generated`."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments, inputs, output
from pma_mfg.errors import InputError
from pma_replication.runs import outputs

SOURCE = "pma-replicate paths"


def add(steps: arguments.Commands) -> None:
    """Add the steps."""
    _add_follow(steps)
    _add_generated(steps)


def _add_follow(steps: arguments.Commands) -> None:
    step = steps.add(
        "follow",
        _follow,
        "follow the equilibria of a game from a strong regularizer to a weak one, with all branches",
        group="steps",
        examples=(
            "game.npz --lowest 0.01 --strengths 0.1 --starts 2 --out paths.parquet"
            " --out-equilibria paths_equilibria.parquet",
        ),
    )
    step.add_argument("game", help=arguments.GAME)
    arguments.add_regularizer(step)
    step.add_argument("--name", help="the game's name in tables (default: the file's)")
    arguments.add_seed(step)
    step.add_argument(
        "--lowest", type=arguments.positive, required=True, help="where branches end, over the range of the rewards"
    )
    step.add_argument(
        "--strengths", type=arguments.positive, nargs="+", required=True, help="at which equilibria are counted"
    )
    step.add_argument("--starts", type=arguments.integer(0), default=20, help="random mean fields (default 20)")
    outputs.add_out(step)
    outputs.add_table(step, "--out-equilibria", "of how many equilibria paths and random starts find")


def _add_generated(steps: arguments.Commands) -> None:
    step = steps.add(
        "generated",
        _generated,
        "follow the paths of many generated games, of which the coupling is varied",
        group="steps",
        examples=(
            "mine planted_coupled n_states=2 n_actions=2 discount=0.5 strength=0.1 sign=seeking"
            " best_response_radius=0.5,2 --seeds 1",
        ),
    )
    step.add_argument("grid", help="what the games are called in tables")
    step.add_argument("family", help="of generated games")
    step.add_argument(
        "parameters",
        nargs="+",
        metavar="parameter=value",
        help="of the family; the coupling has several values, with commas between them",
    )
    step.add_argument("--seeds", type=arguments.integer(1), required=True, help="games of each coupling")
    outputs.add_out(step)


def _follow(options: argparse.Namespace) -> None:
    from pma_replication.experiments.paths import measure

    game = inputs.load_game(options.game)
    regularizer = inputs.load_regularizer(options.regularizer, options.strength or 1.0)
    tables = measure.diagram(
        game,
        regularizer,
        inputs.game_name(options),
        lowest=options.lowest,
        strengths=options.strengths,
        n_starts=options.starts,
        seed=options.seed,
    )
    outputs.write(options, tables["paths"])
    outputs.write_to(options.out_equilibria, tables["paths_equilibria"])


def _generated(options: argparse.Namespace) -> None:
    from pma_mfg import games
    from pma_mfg.regularizers import Entropy
    from pma_replication.experiments.paths import measure

    several = [setting for setting in options.parameters if "," in setting]
    if len(several) != 1:
        allowed = "exactly one with several values, as in best_response_radius=0.5,2"
        raise InputError(SOURCE, "parameters", options.parameters, allowed)
    along, _, listed = several[0].partition("=")
    fixed = arguments.parameters([each for each in options.parameters if each not in several], SOURCE)
    values = [arguments.parameters([f"{along}={value}"], SOURCE)[along] for value in listed.split(",")]
    for value in values:
        games.check_parameters(options.family, {**fixed, along: value, "seed": 0}, SOURCE)
    with output.progress(len(values) * options.seeds, "games") as advance:
        table = measure.generated(
            options.grid,
            options.family,
            along,
            values=values,
            parameters=fixed,
            regularizer=Entropy(1.0),
            n_seeds=options.seeds,
            after_game=advance,
        )
    outputs.write(options, table)
