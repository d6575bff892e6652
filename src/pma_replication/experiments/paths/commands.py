"""The steps of the experiment: `pma-replicate paths follow`, `paths generated` and `paths anneal`."""

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
    _add_anneal(steps)


def _add_follow(steps: arguments.Commands) -> None:
    step = steps.add(
        "follow",
        _follow,
        "follow the equilibria of a game from a strong regularizer to none, with all branches",
        group="steps",
        examples=(
            "game.npz --lowest 0.01 --strengths 0.1 --starts 2 --out paths.parquet --out-game paths_games.parquet"
            " --out-branches paths_branches.parquet --out-equilibria paths_equilibria.parquet",
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
    outputs.add_table(step, "--out-game", "of what the path says of the game")
    outputs.add_table(step, "--out-branches", "of the points of all branches")
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


def _add_anneal(steps: arguments.Commands) -> None:
    step = steps.add(
        "anneal",
        _anneal,
        "learn with a strength that falls from epoch to epoch, and with the last one from the start",
        group="steps",
        examples=("game.npz --accuracies 0.1 --step-sizes 1 --epochs 4 --updates 1 --agents 1000 --replicates 2",),
    )
    step.add_argument("game", help=arguments.GAME)
    arguments.add_regularizer(step)
    step.add_argument("--name", help="the game's name in tables and seeds (default: the file's)")
    step.add_argument(
        "--accuracies", type=arguments.positive, nargs="+", required=True, help="over the range of the rewards"
    )
    step.add_argument(
        "--step-sizes", type=arguments.positive, nargs="+", required=True, help="eta, times the range of the rewards"
    )
    step.add_argument("--epochs", type=arguments.integer(1), required=True, help="K")
    step.add_argument(
        "--updates", type=arguments.positive, required=True, help="M_td, in units of 1 / ((1 - gamma) d)"
    )
    step.add_argument("--pilots", type=arguments.integer(1), default=1, help="runs with each step size (default 1)")
    arguments.add_agents(step)
    arguments.add_replicates(step)
    arguments.add_seed(step)
    outputs.add_out(step)


def _follow(options: argparse.Namespace) -> None:
    from pma_replication.experiments.paths import measure

    game = inputs.load_game(options.game)
    of = (game, inputs.load_regularizer(options.regularizer, options.strength or 1.0), inputs.game_name(options))
    with output.progress(2, "the path and its branches") as advance:
        tables = measure.follow(*of)
        advance()
        tables |= measure.diagram(
            *of, lowest=options.lowest, strengths=options.strengths, n_starts=options.starts, seed=options.seed
        )
        advance()
    outputs.write(options, tables["paths"])
    outputs.write_to(options.out_game, tables["paths_games"])
    outputs.write_to(options.out_branches, tables["paths_branches"])
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


def _anneal(options: argparse.Namespace) -> None:
    from pma_replication.experiments.paths import learn

    game = inputs.load_game(options.game)
    runs = learn.Runs(
        accuracies=options.accuracies,
        step_sizes=options.step_sizes,
        n_epochs=options.epochs,
        updates=options.updates,
        n_agents=options.agents,
        n_pilots=options.pilots,
        n_replicates=options.replicates,
    )
    regularizer = inputs.load_regularizer(options.regularizer, options.strength or 1.0)
    name = inputs.game_name(options)
    with output.progress(2 * runs.count, "runs") as advance:
        table = learn.measure(game, regularizer, name, runs=runs, seed=options.seed, after_run=advance)
    outputs.write(options, table)
