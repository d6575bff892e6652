"""The step of the experiment: `pma-replicate networked measure`."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from pma_mfg.commands import arguments, output
from pma_mfg.errors import InputError
from pma_replication.experiments.networked.arms import ANNEALED, FEWEST, Arm
from pma_replication.runs import outputs

SOURCE = "pma-replicate networked measure"

#: Options with positive integers -> the default, what they are.
COUNTS = {
    "samples": (500, "samples per epoch, of every arm"),
    "epochs": (20, "K"),
    "evaluation_steps": (100, "E, of the score 'return'"),
    "measured": (5, "how many times in a run what agents play is evaluated"),
}

#: Options with positive numbers -> the default, what they are.
NUMBERS = {
    "step_size": (0.1, "eta in units of 1 / rho"),
    "td_scale": (200.0, "c of the TD steps c / (m + m_0)"),
    "td_offset": (400.0, "m_0"),
}


def add(steps: arguments.Commands) -> None:
    """Add the step."""
    step = steps.add(
        "measure",
        _measure,
        "learn a game in several ways, passing policies on, and evaluate exactly what agents play",
        group="steps",
        examples=(
            "meeting target_agreement rows=2 columns=3 --strength 0.02 --kind coordination --samples 60"
            " --evaluation-steps 10 --epochs 2 --measured 1 --agents 10 --replicates 2"
            " --arms independent 'networked rounds=3' 'centralized learner=centralized'",
        ),
    )
    step.add_argument("name", help="what the game is called in tables")
    step.add_argument("family", help="of games: `pma-mfg games` lists them")
    step.add_argument("parameters", nargs="*", metavar="parameter=value", help="of the family")
    step.add_argument("--strength", type=arguments.positive, required=True, help="of the entropy")
    step.add_argument(
        "--kind",
        choices=("coordination", "competition"),
        required=True,
        help="measure learning by what agents earn, or by what a best response gains",
    )
    step.add_argument("--graph", default="complete", help="none, complete, ring, radius:x, erdos_renyi:p")
    step.add_argument("--temperature", type=float, default=0.1, help="of adoption, >= 0 (default 0.1)")
    for name, (default, text) in COUNTS.items():
        option = f"--{name.replace('_', '-')}"
        step.add_argument(option, type=arguments.integer(1), default=default, help=f"{text} (default {default})")
    for name, (number, text) in NUMBERS.items():
        option = f"--{name.replace('_', '-')}"
        step.add_argument(option, type=arguments.positive, default=number, help=f"{text} (default {number:g})")
    step.add_argument(
        "--arms",
        nargs="+",
        required=True,
        metavar="'NAME key=value ...'",
        help=f"ways of learning; keys are {', '.join(field.name for field in fields(Arm))}",
    )
    arguments.add_agents(step)
    arguments.add_replicates(step)
    arguments.add_seed(step)
    outputs.add_out(step)


def _measure(options: argparse.Namespace) -> None:
    from pma_mfg import games
    from pma_mfg.learning import graphs
    from pma_mfg.regularizers import Entropy
    from pma_replication.experiments.networked import measure

    parameters = arguments.parameters(options.parameters, SOURCE)
    games.check_parameters(options.family, parameters, SOURCE)
    arms = dict(_arm(described) for described in options.arms)
    graphs.Graph.parse(options.graph, SOURCE)
    for arm in arms.values():
        if arm.graph:
            graphs.Graph.parse(arm.graph, SOURCE)
        graphs.check_settings(
            rounds=arm.rounds,
            temperature=(arm.heat * options.temperature, arm.heat_last * options.temperature),
            score=arm.score,
            evaluation_steps=options.evaluation_steps,
            failure=arm.failure,
            source=SOURCE,
        )
        if arm.heat_last and not arm.heat:
            raise InputError(SOURCE, "heat_last", arm.heat_last, ANNEALED)
        if arm.n_after < 0 or arm.n_after == 1:
            raise InputError(SOURCE, "n_after", arm.n_after, FEWEST)
        if options.samples <= arm.rounds + options.evaluation_steps:
            raise InputError(SOURCE, "samples", options.samples, "more than evaluation steps and rounds together")
    runs = measure.Runs(
        kind=options.kind,
        graph=options.graph,
        temperature=options.temperature,
        step_size=options.step_size,
        n_samples=options.samples,
        n_epochs=options.epochs,
        td_scale=options.td_scale,
        td_offset=options.td_offset,
        evaluation_steps=options.evaluation_steps,
        n_agents=options.agents,
        n_replicates=options.replicates,
        n_measured=options.measured,
    )
    game = games.make(options.family, **parameters)
    with output.progress(len(arms) * runs.n_replicates, "runs") as advance:
        table = measure.measure(
            game, Entropy(options.strength), options.name, arms=arms, runs=runs, seed=options.seed, after_run=advance
        )
    outputs.write(options, table)


def _arm(described: str) -> tuple[str, Arm]:
    """Return the name and the settings of an arm, or refuse it."""
    name, *settings = described.split() or [""]
    chosen: dict[str, Any] = arguments.parameters(settings, SOURCE)
    known = {field.name: type(field.default) for field in fields(Arm)}
    for key, value in chosen.items():
        if key not in known:
            raise InputError(SOURCE, f"arm {name}", key, f"one of {', '.join(known)}")
        if not isinstance(value, (int, float) if known[key] is float else known[key]) or isinstance(value, bool):
            raise InputError(SOURCE, f"arm {name}: {key}", value, f"a value of type {known[key].__name__}")
    if chosen.get("learner", "networked") not in ("networked", "centralized"):
        raise InputError(SOURCE, f"arm {name}: learner", chosen["learner"], "networked or centralized")
    return name, Arm(**chosen)
