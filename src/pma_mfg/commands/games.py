"""`pma-mfg games`, `generate`, `validate`: the families of games, a game of one, and what is known of a game."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pma_mfg.commands import arguments, checking, inputs, output


def add(commands: arguments.Commands) -> None:
    """Add these commands."""
    group = "your game"
    listed = commands.add(
        "games",
        _games,
        "list the families of games, or explain one",
        group=group,
        aliases=["families"],
        examples=("", "crowd_averse"),
    )
    listed.add_argument("family", nargs="?", help="a family, to explain")
    arguments.add_json(listed)

    generate = commands.add(
        "generate",
        _generate,
        "generate a game of a family",
        group=group,
        examples=(
            "planted_smooth n_states=3 n_actions=2 discount=0.5 seed=1 strength=0.1 --out game.npz",
            "affine n_states=3 n_actions=2 discount=0.5 seed=1 K_mu=0.1 K_s=0.3 K_a=0.2 L_mu=0.01"
            " L_s=0.01 L_a=0.01 --out certified.npz",
        ),
    )
    generate.add_argument("family", help="see `pma-mfg games`")
    generate.add_argument("parameters", nargs="*", metavar="name=value", help="the family's parameters")
    generate.add_argument("--out", required=True, type=arguments.file(".npz"), help="game file (.npz) to write")

    validate = commands.add(
        "validate",
        _validate,
        "say what is wrong with a game, or what the theory knows of it",
        group=group,
        examples=("game.npz", "game.npz --strength 0.1 --json"),
    )
    validate.add_argument("game", help="a game's .npz file, or a Python file with its functions (which is run)")
    validate.add_argument(
        "--regularizer",
        type=arguments.regularizer_name,
        default="entropy",
        metavar="NAME",
        help=arguments.REGULARIZER,
    )
    validate.add_argument(
        "--strength", type=arguments.positive, help="of the regularizer (default: 0.1 of the rewards' range)"
    )
    validate.add_argument("--json", action="store_true", help="print the same as JSON")


def _games(options: argparse.Namespace) -> None:
    from pma_mfg import games

    names = [options.family] if options.family else games.families()
    described = {name: games.describe(name) for name in names}
    if options.json:
        output.print_json(described)
        return
    if not options.family:
        width = max(map(len, names))
        output.print("\n".join(f"{name:{width}}  {described[name]['summary']}" for name in names))
        return
    output.print(described[options.family]["description"], "\n\nDefaults:")
    for name, parameter in described[options.family]["parameters"].items():
        output.print(
            f"  {name} = {'(required)' if parameter['required'] else parameter['default']}  ({parameter['allowed']})"
        )


def _generate(options: argparse.Namespace) -> None:
    from pma_mfg import games

    parameters = arguments.parameters(options.parameters, "pma-mfg generate")
    games.check_parameters(options.family, parameters, "pma-mfg generate")
    games.save(games.make(options.family, **parameters), options.out)


def _validate(options: argparse.Namespace) -> None:
    from pma_mfg.games import recognition

    given = checking.functions_of_sound(options.game)
    game: Any = inputs.load_game(options.game) if given is None else recognition.examined(given)
    report = _report(game, options)
    if options.json:
        output.print_json(report)
        return
    _tell(report, game, options.game)


def _tell(report: dict[str, Any], game: Any, source: str) -> None:
    """Print a report for readers."""
    from pma_mfg.games.features import in_words

    output.print(
        f"{source}: {game.family}, S = {game.n_states}, A = {game.n_actions}, gamma = {game.discount:g}: sound"
    )
    if not game.has_features:
        output.print(
            "examined at the vertices of the simplex and at random mean fields, which is no proof; the functions are\n"
            f"not recognized as features (docs/theory, section 1.3): {game.reason};\n"
            "so no bound is proved and all constants are estimates"
        )
    elif Path(source).suffix == ".py" and game.family == "functions":
        links = {name: in_words(getattr(game, f"{name}_features")) for name in ("transition", "reward")}
        output.print(
            f"recognized: transitions {links['transition']}, rewards {links['reward']}, to rounding at all "
            "mean fields tried;"
        )
        output.print("what follows is proved of the game with exactly these features (docs/theory, section 1.3)")
    for name, constant in report["constants"].items():
        value = "infinite" if constant["value"] is None else f"{constant['value']:.6g}"
        more = "" if len(report["constants"]) > 1 else "; the other constants of so large a game:"
        output.print(
            f"{name} = {value} ({constant['kind']}){more}{' pma_mfg.theory.lipschitz.constants' if more else ''}"
        )
    for line in report["assumptions"]:
        output.print(line)
    found = report["equilibrium"]
    if found is None:
        return
    output.print(f"equilibrium with {found['regularizer']} of strength {found['strength']:g} ({found['chosen']}):")
    for row in found["states"]:
        played = ", ".join(f"{action} {p:.4f}" for action, p in row["policy"].items())
        output.print(f"  {row['state']}: population {row['population']:.4f}; plays {played}")
    output.print(
        f"  exploitability (regularized) {found['exploitability']:.1e}; largest residual {found['residual']:.1e}"
    )
    for warning in found["warnings"]:
        output.print(f"  warning: {warning}")


def _report(game: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Return what `validate` tells of a sound game, ready for JSON."""
    from pma_mfg import equilibrium
    from pma_mfg.equilibrium import conditions
    from pma_mfg.theory import assumptions, lipschitz

    report: dict[str, Any] = {"game": options.game, "n_states": game.n_states, "n_actions": game.n_actions}
    report |= {"discount": game.discount, "constants": {}, "assumptions": [], "equilibrium": None}
    if not lipschitz.is_small(game):
        L_pop, kind = lipschitz.population_contraction(game)
        report["constants"]["L_pop"] = {"value": L_pop, "kind": kind}
        return report
    strength = options.strength or inputs.default_strength(game)
    regularizer = inputs.load_regularizer(options.regularizer, strength)
    quantities = assumptions.assumptions(game, regularizer, 1.0 / regularizer.rho)
    for each in quantities:
        value = each.value if each.value < float("inf") else None
        report["constants"][each.quantity] = {"value": value, "kind": each.kind}
    report["assumptions"] = assumptions.in_words(quantities)
    found = equilibrium.solve(game, regularizer)
    actions = game.action_labels or [f"action {a}" for a in range(game.n_actions)]
    report["equilibrium"] = {
        "regularizer": options.regularizer,
        "strength": strength,
        "chosen": "as asked" if options.strength else "a tenth of the rewards' range; --strength sets it",
        "exploitability": found.residuals["exploitability"],
        "residual": max(map(abs, found.residuals.values())),
        # not of L_pop, whose estimate is among the constants
        "warnings": [warning for warning in found.warnings if warning != conditions.CONTRACTION_UNKNOWN],
        "states": [
            {
                "state": game.state_labels[s] if game.state_labels else f"state {s}",
                "population": float(found.mean_field[s]),
                "policy": dict(zip(actions, map(float, found.policy[s]), strict=True)),
            }
            for s in range(game.n_states)
        ],
    }
    return report
