"""`pma-mfg audit`: how good a policy is, in the mean field and among N agents."""

from __future__ import annotations

import argparse
import logging
import math
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from pma_mfg.commands import arguments, audit_report, inputs, output
from pma_mfg.errors import InputError

log = logging.getLogger("pma_mfg")

#: Numbers of agents if none are given.
AGENTS = (10, 100, 10_000)


def add(commands: arguments.Commands) -> None:
    """Add the command."""
    audit = commands.add(
        "audit",
        _audit,
        "say how good a policy is: exploitability, the nearest equilibrium, what one of N agents gains by deviating",
        group="a game of N agents",
        examples=(
            "game.npz equilibrium.npz --agents 10 1000",
            "game.npz equilibrium.npz --agents 10 1000 --json",
            "game.npz equilibrium.npz --agents 20 --plot audit.png --report audit.html",
        ),
    )
    audit.add_argument("game", help=arguments.GAME)
    audit.add_argument(
        "policy",
        help="an equilibrium's .npz, a .npy of shape (S, A), the JSON of `pma-mfg solve --json`, the .csv of "
        "`pma-mfg learn --out-policies`, or one with a row per state and a column per action, each with its label, or "
        "with numbers alone",
    )
    audit.add_argument(
        "--replicate",
        type=arguments.integer(0),
        metavar="R",
        help="whose policy to take, of a .csv of `pma-mfg learn --out-policies` with several runs",
    )
    audit.add_argument(
        "--agents",
        type=arguments.integer(2),
        nargs="+",
        default=list(AGENTS),
        metavar="N",
        help=f"numbers of agents (default {' '.join(map(str, AGENTS))})",
    )
    arguments.add_regularizer(audit)
    audit.add_argument("--name", help="the policy's name in what is told (default: the file's name)")
    arguments.add_seed(audit)
    audit.add_argument("--plot", metavar="FILE.png", help="picture to write (and .svg beside it)")
    audit.add_argument("--report", metavar="FILE.html", help="page to write, with all numbers and the picture in it")
    arguments.add_json(audit)
    audit.set_defaults(extra="plot")


def _audit(options: argparse.Namespace) -> None:
    program = "pma-mfg audit"
    inputs.check_picture(program, "--plot", options.plot)
    if options.report is not None and Path(options.report).suffix not in (".html", ".htm"):
        raise InputError(program, "--report", options.report, "a file called something.html")
    if options.plot or options.report:
        from pma_mfg.plotting import plot_audit, png, save  # what is missing is told before anything is computed
    from pma_mfg import policy_files, storage
    from pma_mfg.audit import audit

    game = inputs.load_game(options.game)
    policy = policy_files.load(options.policy, game, replicate=options.replicate)
    regularizer, chosen = _regularizer(options, game)
    with output.progress(len(options.agents), "populations") as advance:
        found = audit(game, policy, regularizer, n_agents=options.agents, seed=options.seed, after_population=advance)
    name = options.name or Path(options.policy).name
    lines = audit_report.in_words(found, game, name=name, of=f"{options.game}, {chosen}")
    if options.json:
        told = {"game": options.game, "policy_file": options.policy, "regularizer": chosen, "verdict": lines[-1]}
        output.print_json(told | finite(found))
    else:
        output.print("\n".join(lines))
    if options.plot or options.report:
        picture = plot_audit(game, found, title=f"{name} on {Path(options.game).name}")
        if options.plot:
            save(picture, Path(options.plot).with_suffix(""))
            log.info("picture: %s", options.plot)
        if options.report:
            page = audit_report.page(found, game, picture=png(picture), title=f"Audit of {name}", lines=lines)
            storage.write_text(options.report, page)
            log.info("report: %s", options.report)


def _regularizer(options: argparse.Namespace, game: Any) -> tuple[Any, str]:
    """Return the regularizer and where it comes from: the options, the policy's file, or the rewards' range."""
    from pma_mfg import policy_files

    name, strength, why = options.regularizer, options.strength, ""
    recorded = policy_files.regularizer_of(options.policy)
    if strength is None and recorded is not None and (name in ("entropy", recorded[0]) or ":" in name):
        name, strength = name if ":" in name else recorded[0], recorded[1]
        why = " (of the policy's file; --strength sets it)"
    if strength is None:
        strength, why = inputs.default_strength(game), " (a tenth of the rewards' range; --strength sets it)"
    return inputs.load_regularizer(name, strength), f"{name} of strength {strength:g}{why}"


def finite(value: Any) -> Any:
    """Return a result as JSON has it: dataclasses as objects, arrays as lists, None for what is not finite."""
    if is_dataclass(value):
        return {of.name: finite(getattr(value, of.name)) for of in fields(value)}
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
