"""`pma-mfg verify`, `pma-mfg config`: claims and experiments on one game of a person's own.

They are commands of `pma-mfg`, to which this distribution offers them through the entry point `pma_mfg.commands`.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from pma_mfg import command_line
from pma_mfg.commands import arguments, inputs, output
from pma_mfg.errors import Description, InputError

log = logging.getLogger("pma_mfg")


def add(commands: arguments.Commands) -> None:
    """Add these commands."""
    verify = commands.add(
        "verify",
        _verify,
        "check one claim of the theory on one game: runs, verdict, picture",
        group="check a claim",
        examples=(
            "--list",
            "C1c game.npz --strength 0.1 --plot rate.png",
            "C7-order game.npz --strength 0.1 --json",
        ),
    )
    verify.add_argument("claim", nargs="?", help="such as C1c; --list tells them all")
    verify.add_argument("game", nargs="?", help=arguments.GAME)
    verify.add_argument(
        "--list",
        action="store_true",
        help="list the claims in plain words, and what each costs; on a GAME if one is named",
    )
    arguments.add_regularizer(verify)
    verify.add_argument("--name", help="the game's name in tables and seeds (default: the file's)")
    arguments.add_seed(verify)
    verify.add_argument("--plot", metavar="FILE.png", help="picture of the claim to write, also as SVG")
    verify.add_argument("--out", dest="folder", metavar="FOLDER", help="folder for the tables and the verdict")
    arguments.add_json(verify)

    config = commands.add(
        "config",
        _config,
        "write a configuration of the whole pipeline that fits a game",
        group="check a claim",
        examples=("game.npz --strength 0.1 --out my.yaml",),
    )
    config.add_argument("game", help=arguments.GAME)
    arguments.add_regularizer(config)
    config.add_argument("--name", help="the game's name in the configuration (default: the file's)")
    config.add_argument("--out", type=arguments.file(".yaml", ".yml"), help="YAML file to write (without it: print it)")


def _verify(options: argparse.Namespace) -> int:
    from pma_mfg import storage
    from pma_replication import plan, verify

    if options.list:
        _list_claims(options)
        return 0
    if options.claim is None or options.game is None:
        raise InputError("pma-mfg verify", "arguments", Description("no claim and game"), "both, or --list")
    claim, name = verify.named(options.claim), inputs.game_name(options)
    _check_picture(options.plot)
    if options.folder:
        Path(options.folder).mkdir(parents=True, exist_ok=True)
    subject = _subject(options, name)
    subject.announce = log.info
    try:
        chosen = verify.settings(verify.steps(claim, bool(options.plot)), subject)
    except plan.BeyondBudget as refused:
        record = verify.beyond_budget(claim, subject, refused)
        told = [f"claim      {record['id']}: {record['statement']}", f"rival      {record['rival']}"]
        told.append(verify.last_line(record, record["how"]))
        output.print_json(record) if options.json else output.print("\n".join(told))
        return 1
    from pma_replication import cost, style  # a second or two, after what may be refused
    from pma_replication.runs import tables as parquet

    units = cost.measure(subject.game, subject.regularizer, subject.policy)
    seconds = sum(verify.STEPS[step].seconds(units, sizes) for step, sizes in chosen.items())
    log.info("%s on %s: %s of processor time (predicted)", claim, name, cost.in_words(seconds))
    with output.progress(sum(verify.STEPS[step].ticks(sizes) for step, sizes in chosen.items()), claim) as advance:
        tables = verify.run(chosen, subject, options.seed, advance=advance)
    record = verify.judge(claim, tables)
    if options.folder:
        for table, rows in tables.items():
            parquet.write_table(Path(options.folder, f"{table}.parquet"), rows)
        storage.write_json(Path(options.folder, "claims.json"), [record])
        log.info("tables and verdict: %s", options.folder)
    if options.plot:
        style.save(verify.picture(claim, tables), Path(options.plot).with_suffix(""))
        log.info("picture: %s", options.plot)
    if options.json:
        output.print_json(record)
    else:
        output.print("\n".join(verify.in_words(record, subject)))
    return 0 if record["verdict"] == "confirmed" else 1


def _check_picture(path: str | None) -> None:
    """Refuse a picture that cannot be written, before anything is computed."""
    if path is None:
        return
    if Path(path).suffix != ".png":
        raise InputError("pma-mfg", "--plot", path, "a file called something.png (and something.svg beside it)")
    command_line.check_outputs(argparse.Namespace(program="pma-mfg", out_plot=path))


def _list_claims(options: argparse.Namespace) -> None:
    """Print every claim in plain words, with its predicted time on the game given, or on one of five states."""
    from pma_replication import cost, plan, verify

    source = options.claim  # with --list the first argument is the game
    if source is None:
        subject = verify.reference()
    else:
        options.game = source
        subject = _subject(options, inputs.game_name(options))
    units = cost.measure(subject.game, subject.regularizer, subject.policy)
    with output.progress(len(plan.sections()), "sections") as advance:
        listed = verify.listing(subject, units, advance)
    if options.json:
        output.print_json(listed)
        return
    width = max(len(row["claim"]) for row in listed)
    output.print(f"{'claim':{width}}{'seconds':>9}{'with --plot':>13}   what it says")
    for row in listed:
        times = (row["reason"] and ("-", "-")) or tuple(f"{row[key]:.0f}" for key in ("seconds", "seconds_with_plot"))
        output.print(f"{row['claim']:{width}}{times[0]:>9}{times[1]:>13}   {row['words']}")
        if row["reason"]:
            output.print(f"{'':{width + 25}}not on this game: {row['reason']}")
    output.print(f"\nnot about one game: {', '.join(verify.MANY_GAMES)} (`pma-replicate`)")
    told = "a game of 5 states and 3 actions; `--list GAME` says it of yours" if source is None else source
    output.print(
        f"seconds: predicted processor time for {told}, from a timing of its operations here (docs/performance.md)"
    )


def _config(options: argparse.Namespace) -> None:
    from pma_mfg import regularizers, storage
    from pma_replication import configure, cost, plan

    if ":" in options.regularizer:
        allowed = "entropy or quadratic, which a configuration knows"
        raise InputError("pma-mfg config", "--regularizer", options.regularizer, allowed)
    name = configure.game_name(inputs.game_name(options))
    subject = _subject(options, name)
    if Path(options.game).exists():
        inside = Path("Snakefile").exists() and Path(options.game).resolve().is_relative_to(Path.cwd())
        described: dict[str, Any] = {"file": str(Path(options.game) if inside else Path(options.game).resolve())}
    else:
        described = {"family": options.game, "parameters": {}}
    with output.progress(len(plan.sections()), "sections") as advance:
        made, left_out = configure.settings(subject, described, advance)
    units = {}
    with output.progress(len(made["games"]), "equilibria") as advance:
        for of, entry in made["games"].items():
            units[of] = cost.measure(subject.game, regularizers.make(entry["regularizer"], entry["strength"]))
            advance()
    with output.progress(len(plan.sections()), "predicting times") as advance:
        seconds = cost.predicted(made, units, advance)
    strength = f"--strength {subject.regularizer.strength:g} --regularizer {subject.kind}"
    text = configure.text(made, left_out, f"pma-mfg config {options.game} {strength}", seconds=seconds)
    for section, reason in left_out.items():
        log.info("%s is left out: %s", section, reason)
    total = sum(seconds.values())
    count = f"{len(plan.sections()) - len(left_out)} of {len(plan.sections())} experiments on {name}"
    told = f"{cost.in_words(total / 2)} on two cores (predicted: {total:.0f} s of processor time)"
    if not options.out:
        output.print(text, end="")
        log.info("%s: %s", count, told)
        return
    storage.write_text(options.out, text)
    shown = options.out if Path("Snakefile").exists() else Path(options.out).resolve()  # make is called in a clone
    output.print(f"{options.out}: {count}\nmake replicate CONFIG={shown} runs them: {told}")


def _subject(options: argparse.Namespace, name: str) -> Any:
    """Return a game with its equilibrium, for --strength, by default a tenth of the rewards' range."""
    from pma_mfg import equilibrium
    from pma_replication import plan

    game = inputs.load_game(options.game)
    strength = options.strength or plan.rounded(inputs.default_strength(game), 2)
    if not options.strength:
        log.info("strength %g, a tenth of the rewards' range; --strength sets it", strength)
    regularizer = inputs.load_regularizer(options.regularizer, strength)
    found = equilibrium.planted_or_found(game, regularizer)
    for warning in found.warnings:
        log.warning("warning: %s", warning)
    return plan.Subject(game, regularizer, options.regularizer, name, found.policy)
