"""The command line `pma-mfg`: one subcommand per step of the pipeline, and nothing but reading, calling and writing.

Exit codes: 0 done; 1 a computation did not converge, `learn` missed its accuracy, or `verify` did not confirm a claim;
2 bad input (a line on stderr says where, and what is allowed); 130 interrupted. A progress bar appears when stderr is a
terminal.
"""

from __future__ import annotations

import argparse
import builtins
import difflib
import hashlib
import io
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

from pma_mfg import __version__, commands, processes
from pma_mfg.errors import ConvergenceError, Description, InputError, is_plain, one_line

# Subcommands import what they need: --help is instant, and `solve` never loads a compiled kernel.
log = logging.getLogger("pma_mfg")

EPILOG = """GAME is a file, .npz or .py (Python code, which is run), or a family: the game with its default parameters.
exit codes: 0 done; 1 no convergence, `learn` missed epsilon, or `verify` did not confirm a claim; 2 bad input;
130 interrupted"""

REGULARIZER = "entropy (the default), quadratic, or FILE.py:CLASS, a class of your own in a file (which is run)"

ETA = "eta, or auto: the one with the smallest spectral radius at the equilibrium"

GAME = "a game's file, .npz or .py (which is run), or a family's name"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Parameters
    ----------
    arguments : sequence of str, optional
        The process's own by default.

    Returns
    -------
    int
        The exit code.
    """
    processes.die_with_parent()
    for stream in (sys.stdout, sys.stderr):  # a terminal that has no ε shows an escape
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() not in ("utf-8", "utf8"):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args((sys.argv[1:] if arguments is None else arguments) or ["--help"])
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[logging.StreamHandler()], force=True)
    with _results_alone_on_stdout():
        return _run(options)


#: Where results are printed, the innermost run last.
_results: list[TextIO] = []


@contextmanager
def _results_alone_on_stdout() -> Iterator[None]:
    """Send to stderr what anything but this module prints, such as a game's file: stdout holds results, or JSON."""
    _results.append(sys.stdout)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = _results.pop()


def print(*values: object, end: str = "\n", file: TextIO | None = None) -> None:
    """Print results to the standard output of the process."""
    builtins.print(*values, end=end, file=file or (_results[-1] if _results else None))


def _run(options: argparse.Namespace) -> int:
    """Run the subcommand that was asked for, and return the exit code."""
    try:
        _check_outputs(options)
        if options.log:
            Path(options.log).parent.mkdir(parents=True, exist_ok=True)
            logging.getLogger().addHandler(_LogFile(options.log, mode="w", encoding="utf-8"))
        return options.run(options) or 0
    except InputError as error:
        for line in str(error).splitlines():
            log.error("pma-mfg: error: %s", line)
        return 2
    except ConvergenceError as error:
        log.error("pma-mfg: no convergence: %s", error)
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("pma_mfg", "pma_replication"):
            raise
        log.error("pma-mfg: error: environment: got no %s, expected pip install 'pma-mfg[replication]'", error.name)
        return 2
    except BrokenPipeError:  # whoever read what is printed has stopped: nothing is left to say, nor at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), _results[-1].fileno())
        return 2
    except OSError as error:
        # to the terminal alone: the log may be the file that cannot be written
        where = error.filename2 or error.filename or options.log or "system"
        print(f"pma-mfg: error: {where}: {error.strerror or error}", file=sys.stderr)
        return 2
    except MemoryError as error:
        log.error("pma-mfg: error: the game and its settings need more memory than there is (%s)", error or "Python")
        return 2
    except KeyboardInterrupt:
        log.error("pma-mfg: interrupted; no partial file is left")
        return 130


class _LogFile(logging.FileHandler):
    """A log file; that it cannot be written ends the command, as with any other file."""

    def handleError(self, record: logging.LogRecord) -> None:
        raise


#: The options that name files to read.
INPUTS = ("game", "equilibrium", "tables", "claims", "config", "rulegraph")


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuse files that cannot be written, or are read, or written twice, before anything is computed."""
    taken: dict[str, str] = {}
    for name in INPUTS:
        value = getattr(options, name, None)
        for path in [value] if isinstance(value, str) else value or ():
            if os.path.isfile(path):
                taken |= dict.fromkeys(_places(path), f"it is read ({name})")
    for name, value in vars(options).items():
        if not (name == "log" or name.startswith("out")) or value is None:
            continue
        option, path = f"--{name.replace('_', '-')}", Path(value)
        device = name != "log" and path.exists() and not path.is_file()
        if not is_plain(path.name) or path.is_dir() or device:
            raise InputError("pma-mfg", option, value, "a file to write, whose name can be printed")
        there = next(parent for parent in path.absolute().parents if parent.exists())
        if not (there.is_dir() and os.access(there, os.W_OK)):
            raise InputError("pma-mfg", option, value, f"a file in a folder that can be written, which {there} is not")
        if used := next((taken[place] for place in _places(path) if place in taken), None):
            raise InputError("pma-mfg", option, value, f"another file: {used}")
        taken |= dict.fromkeys(_places(path), f"{option} writes it")


def _places(path: str | Path) -> list[str]:
    """Return what tells a file from others, whatever links lead to it: its path, and its number if it is there."""
    there = Path(path)
    number = [f"{(found := there.stat()).st_dev}:{found.st_ino}"] if there.exists() else []
    return [os.path.realpath(path), *number]


@contextmanager
def _progress(total: int, label: str) -> Iterator[Callable[..., None]]:
    """Yield a function that advances a bar by one, whatever its arguments; silent unless stderr is a terminal."""
    with _bar(total, label) as bar:
        yield lambda *_: (bar.update(1), None)[1]


def _bar(total: int, label: str, **looks: Any) -> Any:
    """Return a bar of tqdm, and without tqdm one that shows nothing."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        silent = SimpleNamespace(update=lambda n: None, set_postfix_str=lambda text: None, disable=True)
        return nullcontext(silent)
    return tqdm(total=total, desc=label, disable=None, leave=False, **looks)


def _games(options: argparse.Namespace) -> None:
    from pma_mfg import games

    names = [options.family] if options.family else games.families()
    described = {name: games.describe(name) for name in names}
    if options.json:
        _print_json(described)
        return
    if not options.family:
        width = max(map(len, names))
        print("\n".join(f"{name:{width}}  {described[name]['summary']}" for name in names))
        return
    print(described[options.family]["description"], "\n\nDefaults:")
    for name, parameter in described[options.family]["parameters"].items():
        print(f"  {name} = {'(required)' if parameter['required'] else parameter['default']}  ({parameter['allowed']})")


def _generate(options: argparse.Namespace) -> None:
    from pma_mfg import games

    parameters = _parameters(options.parameters, "pma-mfg generate")
    games.check_parameters(options.family, parameters, "pma-mfg generate")
    games.save(games.make(options.family, **parameters), options.out)


def _parameters(settings: Sequence[str], source: str) -> dict[str, Any]:
    """Return the parameters of a family from name=value pairs."""
    parameters: dict[str, Any] = {}
    for setting in settings:
        name, separator, value = setting.partition("=")
        if not separator:
            raise InputError(source, "parameter", setting, "name=value")
        parameters[name] = _value(value)
    return parameters


def _validate(options: argparse.Namespace) -> None:
    from pma_mfg import games
    from pma_mfg.games import files, functions, recognition
    from pma_mfg.games.model import in_words

    _tell_of_code(options.game)
    given = functions.load_functions(options.game) if Path(options.game).suffix == ".py" else None
    if given is not None or Path(options.game).suffix == ".npz":
        found = functions.problems(given) if given is not None else files.problems(options.game)
        for problem in found:
            log.error("%s: %s", options.game, problem)
        if found:
            count = Description(f"{len(found)} problem{'s' * (len(found) > 1)}")
            raise InputError(options.game, "game", count, "none; see above")
    if given is not None and Path(options.out or "").suffix == ".py":  # a step of the pipeline, as those below
        games.save(given, options.out, options.inputs)
        return
    if given is not None:
        game: Any = recognition.examined(given)
    else:
        game = games.load(options.game) if Path(options.game).exists() else _load_game(options.game)
    if options.out:  # the pipeline computes the rest elsewhere
        games.save(game, options.out)
        return
    report = _report(game, options)
    if options.json:
        _print_json(report)
        return
    print(f"{options.game}: {game.family}, S = {game.n_states}, A = {game.n_actions}, gamma = {game.discount:g}: sound")
    if isinstance(game, games.FunctionGame):
        print(
            "examined at the vertices of the simplex and at random mean fields, which is no proof; the functions are\n"
            f"not recognized as features (docs/theory.md, 1.3): {game.reason};\n"
            "so no bound is proved and all constants are estimates"
        )
    elif Path(options.game).suffix == ".py":
        links = {name: in_words(getattr(game, f"{name}_features")) for name in ("transition", "reward")}
        print(
            f"recognized: transitions {links['transition']}, rewards {links['reward']}, to rounding at all "
            "mean fields tried;"
        )
        print("what follows is proved of the game with exactly these features (docs/theory.md, 1.3)")
    for name, constant in report["constants"].items():
        value = "infinite" if constant["value"] is None else f"{constant['value']:.6g}"
        more = "" if len(report["constants"]) > 1 else "; the other constants of so large a game:"
        print(f"{name} = {value} ({constant['kind']}){more}{' pma_mfg.theory.lipschitz.constants' if more else ''}")
    for line in report["assumptions"]:
        print(line)
    found = report["equilibrium"]
    if found is None:
        return
    print(f"equilibrium with {found['regularizer']} of strength {found['strength']:g} ({found['chosen']}):")
    for row in found["states"]:
        played = ", ".join(f"{action} {p:.4f}" for action, p in row["policy"].items())
        print(f"  {row['state']}: population {row['population']:.4f}; plays {played}")
    print(f"  exploitability (regularized) {found['exploitability']:.1e}; largest residual {found['residual']:.1e}")
    for warning in found["warnings"]:
        print(f"  warning: {warning}")


def _report(game: Any, options: argparse.Namespace) -> dict[str, Any]:
    """Return what `validate` tells of a sound game, ready for JSON."""
    from pma_mfg import equilibrium
    from pma_mfg.theory import assumptions, lipschitz

    report: dict[str, Any] = {"game": options.game, "n_states": game.n_states, "n_actions": game.n_actions}
    report |= {"discount": game.discount, "constants": {}, "assumptions": [], "equilibrium": None}
    if not lipschitz.is_small(game):
        L_pop, kind = lipschitz.population_contraction(game)
        report["constants"]["L_pop"] = {"value": L_pop, "kind": kind}
        return report
    lowest, highest = lipschitz.reward_range(game)
    # a tenth of what is at stake in one step
    strength = options.strength or 0.1 * ((highest - lowest) or 1.0)
    regularizer = _load_regularizer(options.regularizer, strength)
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
        "warnings": found.warnings,
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


def _print_json(content: dict[str, Any]) -> None:
    print(json.dumps(content, indent=2, allow_nan=False))


def _solve(options: argparse.Namespace) -> None:
    from pma_mfg import equilibrium
    from pma_replication.experiments.equilibria import measure as equilibria_measure
    from pma_replication.runs import tables as parquet

    game = _load_game(options.game)
    regularizer = _load_regularizer(options.regularizer, options.strength)
    found = equilibrium.solve(game, regularizer)
    if options.out:
        equilibrium.save(found, regularizer, options.out)
    summary = {
        "game": _name(options),
        "regularizer": options.regularizer,
        "strength": options.strength,
        "iterations": found.iterations,
        "residuals": found.residuals,
        "exploitability_without_regularizer": equilibrium.exploitability(game, found.policy),
        "warnings": found.warnings,
        **{name: getattr(found, name).tolist() for name in ("mean_field", "policy", "q")},
    }
    if options.json:
        _print_json(summary)
    elif not options.out:
        print("state, its share of the population, and its policy:")
        labels = game.state_labels or tuple(map(str, range(game.n_states)))
        width = max(map(len, labels))
        for label, share, row in zip(labels, found.mean_field, found.policy, strict=True):
            print(f"{label:>{width}}  {share:.8f}   {'  '.join(f'{x:.6f}' for x in row)}")
        bias = summary["exploitability_without_regularizer"]
        print(f"exploitability without the regularizer: {bias:.6g}")
    if options.out_table:
        parquet.write_table(options.out_table, equilibria_measure.table(found, _name(options)))
    log.info("solved in %d iterations", found.iterations)
    for name, value in found.residuals.items():
        log.info("  %s: %.1e", "exploitability (regularized)" if name == "exploitability" else name, value)
    for warning in found.warnings:
        log.warning("warning: %s", warning)


def _subject(options: argparse.Namespace, name: str) -> Any:
    """Return a game with its equilibrium, for --strength, by default a tenth of the rewards' range."""
    from pma_mfg import equilibrium
    from pma_replication import plan

    game = _load_game(options.game)
    strength = options.strength or plan.default_strength(game)
    if not options.strength:
        log.info("strength %g, a tenth of the rewards' range; --strength sets it", strength)
    regularizer = _load_regularizer(options.regularizer, strength)
    found = equilibrium.solve(game, regularizer)
    for warning in found.warnings:
        log.warning("warning: %s", warning)
    return plan.Subject(game, regularizer, options.regularizer, name, found.policy)


def _verify(options: argparse.Namespace) -> int:
    from pma_mfg import storage
    from pma_replication import cost, style, verify
    from pma_replication.runs import tables as parquet

    if options.list:
        _list_claims(options)
        return 0
    if options.claim is None or options.game is None:
        raise InputError("pma-mfg verify", "arguments", Description("no claim and game"), "both, or --list")
    claim, name = verify.named(options.claim), _name(options)
    _check_picture(options.plot)
    if options.folder:
        Path(options.folder).mkdir(parents=True, exist_ok=True)
    subject = _subject(options, name)
    chosen = verify.settings(verify.steps(claim, bool(options.plot)), subject)
    units = cost.measure(subject.game, subject.regularizer, subject.policy)
    seconds = sum(cost.step_seconds(step, sizes, units) for step, sizes in chosen.items())
    log.info("%s on %s: %s of processor time (predicted)", claim, name, cost.in_words(seconds))
    with _progress(sum(verify.STEPS[step].ticks(sizes) for step, sizes in chosen.items()), claim) as advance:
        tables = verify.run(chosen, subject, options.seed, advance)
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
        _print_json(record)
    else:
        print("\n".join(verify.in_words(record, subject)))
    return 0 if record["verdict"] == "confirmed" else 1


def _check_picture(path: str | None) -> None:
    """Refuse a picture that cannot be written, before anything is computed."""
    if path is None:
        return
    if Path(path).suffix != ".png":
        raise InputError("pma-mfg", "--plot", path, "a file called something.png (and something.svg beside it)")
    _check_outputs(argparse.Namespace(out_plot=path))


def _list_claims(options: argparse.Namespace) -> None:
    """Print every claim in plain words, with its predicted time on the game given, or on one of five states."""
    from pma_replication import cost, verify

    source = options.claim  # with --list the first argument is the game
    if source is None:
        subject = verify.reference()
    else:
        options.game = source
        subject = _subject(options, _name(options))
    listed = verify.listing(subject, cost.measure(subject.game, subject.regularizer, subject.policy))
    if options.json:
        print(json.dumps(listed, indent=2))
        return
    print(f"{'claim':17}{'seconds':>8}{'with --plot':>13}   what it says")
    for row in listed:
        times = (row["reason"] and ("-", "-")) or tuple(f"{row[key]:.0f}" for key in ("seconds", "seconds_with_plot"))
        print(f"{row['claim']:17}{times[0]:>8}{times[1]:>13}   {row['words']}")
        if row["reason"]:
            print(f"{'':41}not on this game: {row['reason']}")
    print(f"\nnot about one game: {', '.join(verify.MANY_GAMES)} (`pma-mfg atlas`)")
    told = "a game of 5 states and 3 actions; `--list GAME` says it of yours" if source is None else source
    print(f"seconds: predicted processor time for {told}, from a timing of its operations here (docs/performance.md)")


def _config(options: argparse.Namespace) -> None:
    from pma_mfg import regularizers, storage
    from pma_replication import configure, cost, plan

    if ":" in options.regularizer:
        allowed = "entropy or quadratic, which a configuration knows"
        raise InputError("pma-mfg config", "--regularizer", options.regularizer, allowed)
    name = configure.game_name(_name(options))
    subject = _subject(options, name)
    if Path(options.game).exists():
        inside = Path("Snakefile").exists() and Path(options.game).resolve().is_relative_to(Path.cwd())
        described: dict[str, Any] = {"file": str(Path(options.game) if inside else Path(options.game).resolve())}
    else:
        described = {"family": options.game, "parameters": {}}
    with _progress(len(plan.SECTIONS), "sections") as advance:
        made, left_out = configure.settings(subject, described, advance)
    units = {
        of: cost.measure(subject.game, regularizers.make(entry["regularizer"], entry["strength"]))
        for of, entry in made["games"].items()
    }
    strength = f"--strength {subject.regularizer.strength:g} --regularizer {subject.kind}"
    text = configure.text(made, left_out, f"pma-mfg config {options.game} {strength}", units)
    for section, reason in left_out.items():
        log.info("%s is left out: %s", section, reason)
    total = sum(cost.predicted(made, units).values())
    count = f"{len(plan.SECTIONS) - len(left_out)} of {len(plan.SECTIONS)} experiments on {name}"
    told = f"{cost.in_words(total / 2)} on two cores (predicted: {total:.0f} s of processor time)"
    if not options.out:
        print(text, end="")
        log.info("%s: %s", count, told)
        return
    storage.write_text(options.out, text)
    print(f"{options.out}: {count}\nmake replicate CONFIG={options.out} runs them: {told}")


def _check(options: argparse.Namespace) -> None:
    from pma_replication.experiments.bounds import measure as bounds_measure

    game, _, regularizer = _game_and_equilibrium(options)
    with _progress(3 + 4 * len(options.step_sizes), "operators") as advance:
        table = bounds_measure.operator_ratios(
            game,
            regularizer,
            _name(options),
            options.step_sizes,
            options.pairs,
            options.ascents,
            options.seed,
            advance,
        )
    _write(options, table)


def _converge(options: argparse.Namespace) -> None:
    from pma_replication.experiments.contraction import measure as contraction_measure
    from pma_replication.runs import tables as parquet

    game, found, regularizer = _game_and_equilibrium(options)
    with _progress(options.starts * len(options.step_sizes), "runs") as advance:
        iterates, rates = contraction_measure.pma_convergence(
            game,
            regularizer,
            found.policy,
            _name(options),
            options.step_sizes,
            options.starts,
            options.max_iterations,
            options.seed,
            advance,
        )
    parquet.write_table(options.out_iterates, iterates)
    parquet.write_table(options.out_rates, rates)
    if options.out_certified:
        settings = (options.step_sizes, options.starts, options.max_iterations, options.seed)
        certified = contraction_measure.certified_convergence(
            game, regularizer, found.policy, _name(options), *settings
        )
        parquet.write_table(options.out_certified, certified)


def _phase(options: argparse.Namespace) -> None:
    from pma_mfg.games import functions
    from pma_replication.experiments.phase import measure as phase_measure
    from pma_replication.runs import tables as parquet

    game = functions.with_features(_load_game(options.game), "pma-mfg phase")
    strengths, step_sizes = (_grid("pma-mfg phase", *grid) for grid in (options.strengths, options.relative_step_sizes))
    with _progress(2 * len(strengths), "strengths") as advance:
        table = phase_measure.phase_diagram(
            game, _name(options), strengths, step_sizes, options.probes, options.seed, advance
        )
    parquet.write_table(options.out, table)
    parquet.write_table(options.out_strengths, phase_measure.certified_strengths(game, _name(options)))


def _assumptions(options: argparse.Namespace) -> None:
    from pma_replication.experiments.equilibria import measure as equilibria_measure

    game, _, regularizer = _game_and_equilibrium(options)
    _write(options, equilibria_measure.assumptions_table(game, regularizer, _name(options), options.step_size))


def _dynamics(options: argparse.Namespace) -> None:
    from pma_mfg import iterations
    from pma_replication.experiments.dynamics import measure as dynamics_measure
    from pma_replication.runs import tables as parquet

    game, found, regularizer = _game_and_equilibrium(options)
    with _progress(options.starts * len(iterations.METHODS), "runs") as advance:
        tables = dynamics_measure.compare(
            game,
            regularizer,
            found.policy,
            _name(options),
            options.starts,
            options.max_iterations,
            options.seed,
            advance,
        )
    for table in tables:
        parquet.write_table(getattr(options, f"out_{table}"), tables[table])


def _damping(options: argparse.Namespace) -> None:
    from pma_replication.experiments.orbit import measure as orbit_measure
    from pma_replication.runs import tables as parquet

    game, _, regularizer = _game_and_equilibrium(options)
    with _progress(options.starts * len(options.strengths) * (1 + 2 * len(options.step_shares)), "runs") as advance:
        table, attractors = orbit_measure.damping(
            game,
            regularizer,
            _name(options),
            options.strengths,
            options.step_shares,
            options.starts,
            options.max_iterations,
            options.seed,
            advance,
        )
    parquet.write_table(options.out, table)
    parquet.write_table(options.out_attractors, attractors)


def _basins(options: argparse.Namespace) -> None:
    from pma_replication.experiments.basins import measure as basins_measure
    from pma_replication.runs import tables as parquet

    game, found, regularizer = _game_and_equilibrium(options)
    with _progress(2 * len(options.step_sizes) + 3, "step sizes and methods") as advance:
        tables = basins_measure.basins(
            game,
            regularizer,
            found.policy,
            _name(options),
            options.step_sizes,
            options.starts,
            options.max_iterations,
            options.seed,
            advance,
        )
    for table in tables:
        parquet.write_table(getattr(options, f"out_{table}"), tables[table])


def _ctd(options: argparse.Namespace) -> None:
    from pma_replication.experiments.ctd import measure as ctd_measure
    from pma_replication.runs import tables as parquet

    game, found, regularizer = _game_and_equilibrium(options)
    checkpoint = _checkpoint(options)
    others = options.other_replicates or options.replicates
    replicates = [options.replicates, *([others] * (len(options.waiting) - 1))]
    with _progress(sum(replicates), "replicates") as advance:
        table, floor = ctd_measure.ctd_errors(
            game,
            regularizer,
            found.policy,
            _name(options),
            options.agents,
            options.updates,
            options.waiting,
            replicates,
            options.seed,
            advance,
            checkpoint,
        )
    _write(options, table)
    if options.out_floor:
        parquet.write_table(options.out_floor, floor)
    if checkpoint is not None:
        checkpoint.discard()


def _moments(options: argparse.Namespace) -> None:
    from pma_replication.experiments.ctd import measure as ctd_measure

    game, found, regularizer = _game_and_equilibrium(options)
    with _progress(1 + len(options.waiting), "waiting times") as advance:
        table = ctd_measure.ctd_moments(
            game, regularizer, found.policy, _name(options), options.updates, options.waiting, advance
        )
    _write(options, table)


def _schedules(options: argparse.Namespace) -> None:
    from pma_replication.experiments.samples import measure as samples_measure

    game, _, regularizer = _game_and_equilibrium(options, features=True)
    table = samples_measure.theorem_schedules(game, regularizer, _name(options), options.epsilons, options.step_size)
    _write(options, table)


def _centralized(options: argparse.Namespace) -> None:
    _scheduled(options, printed=True)


def _scheduled(options: argparse.Namespace, printed: bool) -> Any:
    """Run centralized learning with a schedule made for an epsilon; return the table, or None of a dry run.

    The table is printed if that is wanted and no file is asked for.
    """
    from pma_mfg.games import functions
    from pma_mfg.learning import schedules
    from pma_mfg.theory import prescription
    from pma_replication.experiments.samples import measure as samples_measure

    game, found, regularizer = _game_and_equilibrium(options)
    if options.schedule == "theorem":
        game = functions.with_features(game, "pma-mfg centralized --schedule theorem")
        schedule = prescription.theorem_schedule(game, regularizer, options.step_size, options.epsilon)
    else:
        _refuse_step(options.step_size, game, found, regularizer)
        schedule = schedules.practical_schedule(
            game,
            regularizer,
            found.policy,
            step_size=options.step_size,
            epsilon=options.epsilon,
            td_constant=options.td_constant,
            waiting_constant=options.waiting_constant,
        )
    log.info("%s: %d samples per replicate", schedule, schedule.n_samples)
    _warn_of_short_epochs(schedule, game, found)
    if options.dry_run:
        return None
    checkpoint = _checkpoint(options)
    with _progress(options.replicates * schedule.n_epochs, "epochs") as advance:
        table = samples_measure.learning_errors(
            game,
            regularizer,
            found.policy,
            _name(options),
            options.agents,
            options.epsilon,
            schedule,
            options.replicates,
            options.seed,
            advance,
            options.schedule,
            checkpoint,
        )
    if printed or options.out or options.json:
        _write(options, table)
    if checkpoint is not None:
        checkpoint.discard()
    return table


def _learn(options: argparse.Namespace) -> int:
    """Learn a game: 0 if the accuracy was reached, 1 if not."""
    source = "pma-mfg learn"
    given = [name for name in ("step_size", "td_constant", "waiting_constant") if getattr(options, name) is not None]
    if options.dry_run:
        given.append("dry_run")
    schedule = options.schedule or ("tuned" if given else "auto")
    if schedule == "auto":
        if given:
            option, value = f"--{given[0].replace('_', '-')}", getattr(options, given[0])
            raise InputError(source, option, value, "nothing: --schedule auto chooses all; tuned and theorem take it")
        return _learn_blindly(options)
    for option, needed in (("--budget", False), ("--out-policies", False), ("--epsilon", True)):
        value = getattr(options, option[2:].replace("-", "_"))
        if (value is not None) != needed:
            allowed = "an accuracy" if needed else "nothing, unless --schedule auto"
            raise InputError(source, option, value, f"{allowed} (--schedule {schedule})")
    defaults = {"step_size": 5.0, "td_constant": 7.0, "waiting_constant": 0.5, "replicates": 16}
    for name, default in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, default)
    options.schedule = schedule
    table = _scheduled(options, printed=False)  # every epoch of every run is no answer to a person
    if table is None:
        return 0
    first, last = (table[table["epoch"] == epoch] for epoch in (0, table["epoch"].max()))
    error, reached = float(last["error"].mean()), bool(last["error"].mean() <= options.epsilon)
    log.info(
        "%s epsilon = %.4g: distance to the equilibrium %.4g; exploitability (regularized) %.4g at the start, %.4g at "
        "the end, after %d samples (means of %d runs)",
        "reached" if reached else "missed",
        options.epsilon,
        error,
        first["exploitability"].mean(),
        last["exploitability"].mean(),
        last["samples"].iloc[0],
        len(last),
    )
    return 0 if reached else 1


def _learn_blindly(options: argparse.Namespace) -> int:
    from pma_mfg.learning import schedules
    from pma_mfg.theory import lipschitz
    from pma_replication.experiments.samples import measure as samples_measure
    from pma_replication.runs import tables as parquet

    game = _load_game(options.game)
    _check_regularizer(options)
    if options.equilibrium is not None:
        regularizer = _load_equilibrium(options, game)[1]
    else:
        regularizer = _load_regularizer(options.regularizer, options.strength)
    replicates = options.replicates or 1
    budget = sum(schedules.blind_epochs(game.n_states, game.n_actions, game.discount, budget=options.budget))
    epsilon = options.epsilon
    if epsilon is None:
        lowest, highest = lipschitz.reward_range(game)
        epsilon = 0.03 * ((highest - lowest) or regularizer.span(game.n_actions))
    written = bool(options.out or options.json)
    with _watch(replicates * budget, game, regularizer) as after_epoch:
        table, policies = samples_measure.blind_learning(
            game, regularizer, _name(options), options.agents, budget, replicates, options.seed, after_epoch, written
        )
    if written:
        _write(options, table)
    else:
        _print_policy(game, policies[policies["replicate"] == 0]["probability"].to_numpy())
    if options.out_policies:
        parquet.write_table(options.out_policies, policies)
    ends = table.groupby("replicate").tail(1)  # not last(), which skips nan
    worst = float(ends["exploitability"].max(skipna=False))
    unseen = int(ends["unseen"].max())
    if unseen:
        log.warning(
            "warning: %d of %d pairs of state and action were not seen in the last epoch: what is best there is not "
            "known; a larger --budget helps unless the population of %d agents never gets there",
            unseen,
            game.n_states * game.n_actions,
            options.agents,
        )
    reached = worst <= epsilon  # False for nan, a policy without a stable population
    log.info(
        "%s epsilon = %.4g: exploitability (regularized) %.4g at the start, %.4g at the end, after %d samples%s",
        "reached" if reached else "missed",
        epsilon,
        table["exploitability"].iloc[0],
        worst,
        budget,
        "" if replicates == 1 else f" (the worst of {replicates} runs)",
    )
    return 0 if reached else 1


@contextmanager
def _watch(total: int, game: Any, regularizer: Any) -> Iterator[Callable[[Any], None]]:
    """Yield a function of an epoch that shows samples and exploitability: a bar on a terminal, else a line at times.

    The exploitability is for the eye only, and takes a tenth of the time at most.
    """
    import time

    from pma_mfg import equilibrium

    samples, before, due = 0, 0, time.monotonic() + 1.0
    with _bar(total, "learning", unit=" samples", unit_scale=True) as bar:

        def after_epoch(epoch: Any) -> None:
            nonlocal samples, before, due
            new = epoch.samples - before if epoch.samples > before else epoch.samples
            before, samples = epoch.samples, samples + new
            bar.update(new)
            now = time.monotonic()
            if now < due:
                return
            try:
                present = f"{equilibrium.exploitability(game, epoch.policy, regularizer):.3g}"
            except ConvergenceError:
                present = "unknown"
            pause = 1.0 if not bar.disable else 5.0
            due = time.monotonic() + max(pause, 10.0 * (time.monotonic() - now))
            if bar.disable:
                log.info("%d of %d samples: exploitability (regularized) %s", samples, total, present)
            else:
                bar.set_postfix_str(f"exploitability (regularized) {present}")

        yield after_epoch


def _print_policy(game: Any, policy: Any) -> None:
    print("state, and its policy:")
    labels = game.state_labels or tuple(map(str, range(game.n_states)))
    width = max(map(len, labels))
    for label, row in zip(labels, policy.reshape(game.n_states, game.n_actions), strict=True):
        print(f"{label:>{width}}  {'  '.join(f'{x:.6f}' for x in row)}")


def _warn_of_short_epochs(schedule: Any, game: Any, found: Any) -> None:
    from pma_mfg.learning import schedules

    if (message := schedules.too_short(schedule, game, found.policy)) is not None:
        log.warning("warning: %s", message)


def _choose_steps(options: argparse.Namespace, game: Any, found: Any, regularizer: Any) -> None:
    """Replace each step size "auto" by the one with the smallest spectral radius of PMA at the equilibrium."""
    from pma_mfg import iterations

    def chosen(step_size: Any) -> Any:
        if isinstance(step_size, list):
            return [chosen(one) for one in step_size]
        if step_size != "auto":
            return step_size
        best, radius = iterations.step_size("pma_euclidean", game, regularizer, found.policy)
        log.info("step size auto: eta = %.6g (spectral radius of PMA at the equilibrium: %.4g)", best, radius)
        return best

    for name in {"step_size", "step_sizes"} & vars(options).keys():
        setattr(options, name, chosen(getattr(options, name)))


def _refuse_step(step_size: float, game: Any, found: Any, regularizer: Any) -> None:
    """Refuse a step size at which PMA leaves the equilibrium, and say which would do."""
    from pma_mfg import iterations, jacobian

    radius = jacobian.spectral_radius(jacobian.jacobian(game, found.policy, step_size, regularizer))
    if radius < 1.0:
        return
    best, least = iterations.step_size("pma_euclidean", game, regularizer, found.policy)
    would = f"such as {best:.4g} ({least:.4g})" if least < 1.0 else f"which not even {best:.4g} is ({least:.4g})"
    allowed = f"one at which PMA contracts (spectral radius < 1, here {radius:.4g}), {would}"
    raise InputError("pma-mfg", "--step-size", step_size, allowed)


def _bias(options: argparse.Namespace) -> None:
    from pma_replication.experiments.populations import measure as populations_measure

    game, found, regularizer = _game_and_equilibrium(options, features=True)
    with _progress(options.replicates, "replicates") as advance:
        table = populations_measure.finite_population_bias(
            game,
            regularizer,
            found.policy,
            _name(options),
            options.agents,
            options.steps,
            options.replicates,
            options.seed,
            advance,
        )
    _write(options, table)


def _limits(options: argparse.Namespace) -> None:
    from pma_replication.experiments.populations import measure as populations_measure

    game, found, regularizer = _game_and_equilibrium(options)
    table = populations_measure.policy_limits(
        game, regularizer, found.policy, _name(options), options.agents, options.step_size
    )
    _write(options, table)


def _learning_limit(options: argparse.Namespace) -> None:
    from pma_mfg.populations import finite_population
    from pma_replication.experiments.populations import measure as populations_measure
    from pma_replication.runs import tables as parquet

    game, found, regularizer = _game_and_equilibrium(options, features=True)
    if not options.out:
        for n_agents in options.agents:
            q = finite_population.learning_limit(game, found.policy, n_agents, regularizer)
            print(f"N = {n_agents}, Q in the limit of TD learning, a row per state:")
            _print_matrix(q)
        return
    with _progress(len(options.agents), "populations") as advance:
        table = populations_measure.exact_limits(
            game, regularizer, found.policy, _name(options), options.agents, options.step_size, advance
        )
    parquet.write_table(options.out, table)


def _agreement(options: argparse.Namespace) -> None:
    from pma_replication.experiments.populations import measure as populations_measure

    game, found, regularizer = _game_and_equilibrium(options, features=True)
    with _progress(len(options.agents), "populations") as advance:
        table = populations_measure.agreement(
            game,
            regularizer,
            found.policy,
            _name(options),
            options.agents,
            options.steps,
            options.replicates,
            options.seed,
            advance,
        )
    _write(options, table)


def _nash_gap(options: argparse.Namespace) -> None:
    from pma_replication.experiments.nash import measure as nash_measure
    from pma_replication.runs import tables as parquet

    game, found, regularizer = _game_and_equilibrium(options, features=True)
    with _progress(len(options.agents), "populations") as advance:
        table = nash_measure.nash_gaps(game, regularizer, found.policy, _name(options), options.agents, advance)
    for row in table.itertuples():
        print(f"N = {row.n_agents}, {row.variant}: gap {row.gap:.6g}, predicted {row.predicted:.6g}")
    if options.out:
        parquet.write_table(options.out, table)


def _covariance(options: argparse.Namespace) -> None:
    import numpy as np
    import pandas as pd

    from pma_mfg.populations import fluctuations
    from pma_replication.runs import tables as parquet

    game, found, _ = _game_and_equilibrium(options)
    covariance = fluctuations.stationary_covariance(game, found.policy)
    print("limit of N Cov(mu_hat):")
    _print_matrix(covariance)
    print(f"limit of sqrt(N) E||mu_hat - mu||_1: {fluctuations.expected_deviation(game, found.policy):.6g}")
    if options.out:
        state, other = (index.ravel() for index in np.indices(covariance.shape))
        columns = {"game": _name(options), "state": state, "other": other, "covariance": covariance.ravel()}
        parquet.write_table(options.out, pd.DataFrame(columns))


def _print_matrix(matrix: Any) -> None:
    for row in matrix:
        print("  ".join(f"{entry:12.8f}" for entry in row))


def _independent(options: argparse.Namespace) -> None:
    from pma_mfg.learning import schedules
    from pma_replication.experiments.independent import measure as independent_measure
    from pma_replication.runs import tables as parquet

    source = "pma-mfg independent"
    game, found, regularizer = _game_and_equilibrium(options)
    replicates = options.replicates * len(options.agents) if len(options.replicates) == 1 else options.replicates
    if len(replicates) != len(options.agents):
        raise InputError(source, "--replicates", replicates, "one number, or one for each of --agents")
    planned = []
    for step_size in options.step_size:
        for epsilon in options.epsilon or []:
            _refuse_step(step_size, game, found, regularizer)
            schedule = schedules.practical_schedule(
                game,
                regularizer,
                found.policy,
                step_size=step_size,
                epsilon=epsilon,
                td_constant=options.td_constant,
                waiting_constant=options.waiting_constant,
            )
            planned.append((epsilon, schedule))
        for updates in options.updates or []:
            if not options.epochs:
                raise InputError(source, "--epochs", None, "a number of epochs beside --updates")
            scale = schedules.td_scale(game, found.policy)
            lengths = (options.epochs, updates, options.waiting)
            first = schedules.td_start(game, regularizer)
            planned.append((float("nan"), schedules.Schedule(*lengths, step_size, scale, scale, first)))
    if not planned:
        raise InputError(source, "--epsilon", None, "an accuracy, or --epochs and --updates")
    runs = [
        independent_measure.IndependentRuns(n_agents, schedule, count, epsilon)
        for n_agents, count in zip(options.agents, replicates, strict=True)
        for epsilon, schedule in planned
    ]
    for setting in runs:
        log.info("%s: %d samples per replicate", setting, setting.schedule.n_samples)
    for _, schedule in planned:
        _warn_of_short_epochs(schedule, game, found)
    checkpoint = _checkpoint(options)
    with _progress(sum(setting.n_replicates * setting.schedule.n_epochs for setting in runs), "epochs") as advance:
        name, seed = _name(options), options.seed
        table = independent_measure.independent_errors(
            game, regularizer, found.policy, name, options.sweep, runs, seed, advance, checkpoint
        )
    _write(options, table)
    if options.out_learning:
        parquet.write_table(options.out_learning, independent_measure.independent_learning_errors(table))
    if checkpoint is not None:
        checkpoint.discard()


def _compare(options: argparse.Namespace) -> None:
    from pma_replication.experiments.comparison import measure as comparison_measure
    from pma_replication.runs import tables as parquet

    grids: dict[str, dict[str, list[float]]] = {}
    for setting in options.grid:
        method, _, rest = setting.partition(".")
        name, _, values = rest.partition("=")
        try:
            grids.setdefault(method, {})[name] = [float(value) for value in values.split(",")]
        except ValueError:
            raise InputError("pma-mfg compare", "--grid", setting, "method.argument=number,number,...") from None
    game, _, regularizer = _game_and_equilibrium(options)
    settings = sum(len(comparison_measure.settings(method, grid, "pma-mfg compare")) for method, grid in grids.items())
    most = settings * options.pilots + comparison_measure.CONTENDERS * len(grids) * options.replicates
    with _progress(most, "runs at most") as advance:
        comparison, tuning = comparison_measure.compare(
            game,
            regularizer,
            _name(options),
            grids,
            options.agents,
            options.budget,
            options.pilot_budget,
            options.per_decade,
            options.target,
            options.pilots,
            options.replicates,
            options.seed,
            advance,
        )
    accuracies = comparison_measure.samples_to_accuracy(comparison, options.accuracies, options.confidence)
    _write(options, comparison)
    for path, table in ((options.out_tuning, tuning), (options.out_accuracies, accuracies)):
        if path:
            parquet.write_table(path, table)


def _collect(options: argparse.Namespace) -> None:
    import pandas as pd

    from pma_replication.runs import tables as parquet

    tables = [parquet.read_table(path) for path in options.tables]
    for path, table in zip(options.tables, tables, strict=True):
        if list(table.columns) != list(tables[0].columns):
            raise InputError(path, "columns", list(table.columns), f"those of {options.tables[0]}")
    parquet.write_table(options.out, pd.concat(tables, ignore_index=True))


def _claims(options: argparse.Namespace) -> None:
    from pma_mfg import storage
    from pma_replication import verdicts
    from pma_replication.experiments.comparison import judge as comparison_judge
    from pma_replication.experiments.equilibria import judge as equilibria_judge
    from pma_replication.experiments.literature import judge as literature_judge
    from pma_replication.runs import tables as parquet

    paths = {Path(path).stem: path for path in options.tables}
    if unknown := sorted(paths.keys() - (known := {*verdicts.TABLES, "assumptions", "zoo", "zoo_equilibria"})):
        raise InputError("pma-mfg claims", "--tables", unknown, f"files called {', '.join(sorted(known))}")
    tables = {name: parquet.read_table(paths[name]) for name in verdicts.TABLES if name in paths}
    with _written_by(" ".join(options.tables), "tables that the pipeline writes"):
        records = verdicts.evaluate(
            tables,
            options.confidence,
            options.rate_tolerance,
            options.slope_tolerance,
            options.samples_slope_tolerance,
            options.constant_tolerance,
            options.independent_tolerance,
            options.own,
        )
    storage.write_json(options.out, records)
    if options.out_markdown:
        storage.write_text(options.out_markdown, verdicts.markdown(records))
    if options.out_comparison:
        text = "Methods are not compared in this configuration.\n"
        if "samples_to_accuracy" in tables:
            text = comparison_judge.comparison_markdown(tables["samples_to_accuracy"])
        storage.write_text(options.out_comparison, text)
    if options.out_assumptions:
        text = "No games are listed in this configuration.\n"
        if "assumptions" in paths:
            text = equilibria_judge.assumptions_markdown(parquet.read_table(paths["assumptions"]))
        storage.write_text(options.out_assumptions, text)
    if options.out_games:
        text = "No games are surveyed in this configuration.\n"
        if "zoo" in paths:
            if "zoo_equilibria" not in paths:
                raise InputError("pma-mfg claims", "--tables", list(paths), "also zoo_equilibria.parquet")
            text = literature_judge.games_markdown(
                *(parquet.read_table(paths[name]) for name in ("zoo", "zoo_equilibria"))
            )
        storage.write_text(options.out_games, text)
    for record in records:
        estimate = "-" if record["estimate"] is None else f"{record['estimate']:.4g}"
        log.info("%-13s %-12s %-17s %s: %s", *(record[key] for key in ("verdict", "id", "game", "quantity")), estimate)


def _findings(options: argparse.Namespace) -> None:
    from pma_mfg import storage
    from pma_replication import findings

    records = storage.read_json(options.claims)
    with _written_by(options.claims, "the JSON file that `pma-mfg claims` writes"):
        text = findings.markdown(records, options.figures, Path(options.out).parent)
    storage.write_text(options.out, text)


def _figure(options: argparse.Namespace) -> None:
    from pma_replication import catalogue, style
    from pma_replication.runs import tables as parquet

    names, data, draw = catalogue.FIGURES[options.name]
    tables = [parquet.read_table(Path(options.tables, f"{name}.parquet")) for name in names]
    with _written_by(options.tables, "tables that the pipeline writes"):
        drawn = draw(data(*tables))
    style.save(drawn, options.out)


def _redraw(options: argparse.Namespace) -> None:
    from pma_replication import catalogue, configuration, style
    from pma_replication.runs import tables as parquet

    settings = configuration.finished(options.config)
    tables, figures = Path(settings["results"], "tables"), Path(settings["figures"])
    for name in catalogue.drawn(configuration.tables(settings)):
        names, data, draw = catalogue.FIGURES[name]
        style.save(draw(data(*(parquet.read_table(tables / f"{table}.parquet") for table in names))), figures / name)
        log.info("%s", figures / f"{name}.png")


def _build_report(options: argparse.Namespace) -> None:
    try:
        from pma_replication import report
    except ModuleNotFoundError as error:
        raise InputError(
            "pma-mfg report", "environment", Description(f"no {error.name}"), 'pip install "pma-mfg[replication]"'
        ) from None

    try:
        graph = sys.stdin.read() if options.rulegraph == "-" else Path(options.rulegraph).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(options.rulegraph, "file", Description(error), "what snakemake --rulegraph prints") from None
    log.info("report: %s", report.write(options.config, graph, options.out))


@contextmanager
def _written_by(source: str, allowed: str) -> Iterator[None]:
    """Turn what a file lacks, a column or a key, into an `InputError`; the cause stays with it."""
    import jinja2

    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, jinja2.UndefinedError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(source, "content", Description(f"{type(error).__name__} {error}"), allowed) from error


def _survey(options: argparse.Namespace) -> None:
    from pma_replication.experiments.literature import measure as literature_measure
    from pma_replication.runs import tables as parquet

    game, found, regularizer = _game_and_equilibrium(options)
    with _progress(options.starts, "starts") as advance:
        facts, equilibria, states = literature_measure.survey(
            game, regularizer, found, _name(options), options.step_size, options.starts, options.seed, advance
        )
    _write(options, facts)
    if options.out_equilibria:
        parquet.write_table(options.out_equilibria, equilibria)
    if options.out_states:
        parquet.write_table(options.out_states, states)


def _atlas(options: argparse.Namespace) -> None:
    from pma_mfg import games
    from pma_replication.experiments.atlas import measure as atlas_measure

    source, members = "pma-mfg atlas", []
    for described in options.games:
        name, _, rest = described.partition(" ")
        family, *settings = rest.split() or [""]
        accepted = games.describe(family, source)["parameters"]
        parameters = _parameters(settings, source)
        strength = parameters.get("strength")
        if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0.0 < strength < float("inf"):
            raise InputError(source, "strength", strength, "a finite number > 0, for the regularizer")
        if "strength" not in accepted:
            del parameters["strength"]
        games.check_parameters(family, parameters, source)
        members.append((name, family, parameters, float(strength)))
    kept = vars(options).keys() - {"run", "log", "games", "out", "json"}
    chosen = {name: getattr(options, name) for name in kept}
    with _progress(len(members), "games") as advance:
        _write(options, atlas_measure.table(members, advance, **chosen))


def _warm_up(options: argparse.Namespace) -> None:
    from pma_mfg import storage
    from pma_mfg.learning import generative_kernels as baseline_kernels
    from pma_mfg.populations import lattice
    from pma_mfg.simulation import agent_kernels
    from pma_mfg.simulation import exchangeable_kernels as kernels

    if options.out:
        modules = (kernels, lattice, agent_kernels, baseline_kernels)
        storage.write_text(options.out, "".join(f"{module.__name__} compiled\n" for module in modules))


def _grid(source: str, low: float, high: float, count: float) -> list[float]:
    """Return `count` numbers from low to high, evenly spaced in their logarithm."""
    import numpy as np

    if not (low <= high and count == int(count) and count <= 10_000):
        raise InputError(source, "grid", (low, high, count), "LOW <= HIGH and an integer COUNT up to 10000")
    return [float(x) for x in np.geomspace(low, high, int(count))]


def _load_game(name: str) -> Any:
    """Return the game of a file, or else of a family with its default parameters."""
    from pma_mfg import games

    if not Path(name).exists() and name in games.families():
        return games.make(name)
    _tell_of_code(name)
    return games.load(name)


def _load_regularizer(name: str, strength: float) -> Any:
    """Return a regularizer by its name or of a file, which is run."""
    from pma_mfg import regularizers

    _tell_of_code(name.rpartition(":")[0])
    return regularizers.load(name, strength)


def _tell_of_code(name: str) -> None:
    """Log that a file is about to be run, if it is Python."""
    if Path(name).suffix == ".py":
        log.info("running %s, which is Python code and may do anything", one_line(name))


def _game_and_equilibrium(options: argparse.Namespace, features: bool = False) -> tuple[Any, Any, Any]:
    """Return a game, its equilibrium and the regularizer; the equilibrium is found first if it is in no file."""
    from pma_mfg import equilibrium
    from pma_mfg.games import functions

    game = _load_game(options.game)
    if features:
        game = functions.with_features(game, "pma-mfg")
    _check_regularizer(options)
    if options.equilibrium is not None:
        found, regularizer = _load_equilibrium(options, game)
    else:
        regularizer = _load_regularizer(options.regularizer, options.strength)
        found = equilibrium.solve(game, regularizer)
    _choose_steps(options, game, found, regularizer)
    return game, found, regularizer


def _load_equilibrium(options: argparse.Namespace, game: Any) -> tuple[Any, Any]:
    """Return an equilibrium from its file, and its regularizer, which may be of a class in a file of its own."""
    from pma_mfg import equilibrium

    recorded, strength = equilibrium.recorded_regularizer(options.equilibrium)
    name = options.regularizer if ":" in options.regularizer else recorded  # the file may have been moved
    own = _load_regularizer(name, strength) if ":" in name else None
    return equilibrium.load(options.equilibrium, game, own)


def _check_regularizer(options: argparse.Namespace) -> None:
    if (options.equilibrium is None) == (options.strength is None):
        given = "nothing" if options.strength is None else f"both {options.equilibrium} and a strength"
        raise InputError("pma-mfg", "equilibrium", Description(given), "an equilibrium's file, or --strength")


def _write(options: argparse.Namespace, table: Any) -> None:
    """Write a table to the file of --out; with --json print it as JSON (null: not finite), with neither as text."""
    from pma_replication.runs import tables as parquet

    if options.out:
        parquet.write_table(options.out, table)
    if options.json:
        print(table.to_json(orient="records", indent=2, double_precision=15))
    elif not options.out:
        print(table.to_string(index=False))


def _checkpoint(options: argparse.Namespace) -> Any:
    """Return where a run keeps its state: beside its output, under a key of all arguments and both files' content.

    A run without an output file keeps none.
    """
    from pma_replication.runs import checkpoints

    if not options.out:
        return None
    key = {
        name: value
        for name, value in vars(options).items()
        if name not in ("run", "log") and not name.startswith("out")
    }
    files = {
        name: hashlib.sha256(Path(key[name]).read_bytes()).hexdigest()
        for name in ("game", "equilibrium")
        if key[name] is not None and Path(key[name]).exists()  # not so for a family's name
    }
    if (source := Path(options.regularizer.rpartition(":")[0])).is_file():
        files["regularizer_file"] = hashlib.sha256(source.read_bytes()).hexdigest()
    return checkpoints.Checkpoint(options.out, {**key, **files, "name": _name(options)})


def _name(options: argparse.Namespace) -> str:
    """Return the game's name in tables and seeds: --name, or the file's name without its suffix."""
    return options.name or Path(options.game).stem


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help that lists the commands in the groups of `commands.GROUPS`."""

    def _format_action(self, action: argparse.Action) -> str:
        if not isinstance(action, argparse._SubParsersAction):
            return super()._format_action(action)
        told = {name: choice.help for choice in action._choices_actions for name in _names(choice)}
        lines = []
        for group, names in commands.GROUPS.items():
            lines += [f"\n{group}:", *(f"  {name:16}{told[name]}" for name in names)]
        return "\n".join(lines).lstrip("\n") + "\n"


def _names(choice: argparse.Action) -> list[str]:
    """Return the names of a command, with its aliases: "centralized (learn)" is both."""
    return str(choice.metavar).replace("(", "").replace(")", "").replace(",", "").split()


class _Parser(argparse.ArgumentParser):
    """A parser that answers an unknown command with the nearest ones."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            near = difflib.get_close_matches(value, action.choices, 3, 0.5)
            nearest = f"the nearest: {', '.join(near)}; " if near else ""
            message = f"unknown command {value[:40]!r}; {nearest}`pma-mfg --help` lists all"
            raise argparse.ArgumentError(None, message)
        super()._check_value(action, value)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pma-mfg",
        description="Policy mirror ascent in stationary mean field games: exact solvers, learning, verdicts.\n"
        "`pma-mfg COMMAND --help` explains a command, with examples.",
        epilog=EPILOG,
        formatter_class=_Formatter,
    )
    parser.add_argument("--version", action="version", version=f"pma-mfg {__version__}")
    added_commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")

    def command(
        name: str, run: Callable[[argparse.Namespace], int | None], text: str, aliases: Sequence[str] = ()
    ) -> argparse.ArgumentParser:
        shown = "".join(commands.examples(known) for known in (name, *aliases) if known in commands.EXAMPLES)
        added = added_commands.add_parser(
            name,
            aliases=aliases,
            help=text,
            description=text,
            epilog=f"{shown}\n{EPILOG}",
            formatter_class=_Formatter,
        )
        added.set_defaults(run=run)
        added.add_argument("--log", metavar="FILE", help="also write messages to this file")
        return added

    def on_equilibrium(
        name: str,
        run: Callable[[argparse.Namespace], int | None],
        text: str,
        seeded: bool = True,
        out: bool = True,
    ) -> argparse.ArgumentParser:
        added = command(name, run, text)
        added.add_argument("game", help=GAME)
        added.add_argument("equilibrium", nargs="?", help="its equilibrium's .npz file, from `pma-mfg solve`; or:")
        add_regularizer(added)
        added.add_argument("--name", help="the game's name in tables and seeds (default: the file's)")
        if seeded:
            added.add_argument("--seed", type=_integer(0), default=0, help="root seed (default 0)")
        if out:
            add_out(added)
        return added

    def add_regularizer(to: argparse.ArgumentParser, required: bool = False) -> None:
        to.add_argument("--regularizer", type=_regularizer_name, default="entropy", metavar="NAME", help=REGULARIZER)
        to.add_argument("--strength", type=_positive, required=required, help="weight of the regularizer, > 0")

    def add_json(to: argparse.ArgumentParser) -> None:
        to.add_argument("--json", action="store_true", help="print the result as JSON")

    def add_out(to: argparse.ArgumentParser) -> None:
        to.add_argument("--out", help="Parquet table to write (without it and --json: print the table)")
        add_json(to)

    def add_agents(to: argparse.ArgumentParser, **more: Any) -> None:
        to.add_argument("--agents", type=_integer(2), required=True, help="N, the number of agents", **more)

    def add_replicates(to: argparse.ArgumentParser) -> None:
        to.add_argument("--replicates", type=_integer(1), default=16, help="independent runs (default 16)")

    listed = command("games", _games, "list the families of games, or explain one", aliases=["families"])
    listed.add_argument("family", nargs="?", help="a family, to explain")
    add_json(listed)

    generate = command("generate", _generate, "generate a game of a family")
    generate.add_argument("family", help="see `pma-mfg games`")
    generate.add_argument("parameters", nargs="*", metavar="name=value", help="the family's parameters")
    generate.add_argument("--out", required=True, help="game file (.npz) to write")

    validate = command("validate", _validate, "say what is wrong with a game, or what the theory knows of it")
    validate.add_argument("game", help="a game's .npz file, or a Python file with its functions (which is run)")
    validate.add_argument("--regularizer", type=_regularizer_name, default="entropy", metavar="NAME", help=REGULARIZER)
    validate.add_argument("--strength", type=_positive, help="of the regularizer (default: 0.1 of the rewards' range)")
    validate.add_argument("--name", help=argparse.SUPPRESS)
    validate.add_argument("--json", action="store_true", help="print the same as JSON")
    validate.add_argument("--out", help="only check the game, and write it here")
    validate.add_argument("--inputs", nargs="*", default=(), help="files that the game's file reads, for --out")

    solve = command("solve", _solve, "find the mean field Nash equilibrium of a game, exactly")
    solve.add_argument("game", help=GAME)
    add_regularizer(solve, required=True)
    solve.add_argument("--name", help="the game's name in the table (default: the file's name)")
    solve.add_argument("--out", help="equilibrium file (.npz) to write (without it and --json: print it)")
    add_json(solve)
    solve.add_argument("--out-table", help="Parquet table of policy, mean field and Q to write")

    verify = command("verify", _verify, "check one claim of the theory on one game: runs, verdict, picture")
    verify.add_argument("claim", nargs="?", help="such as C1c; --list tells them all")
    verify.add_argument("game", nargs="?", help=GAME)
    verify.add_argument(
        "--list",
        action="store_true",
        help="list the claims in plain words, and what each costs; on a GAME if one is named",
    )
    add_regularizer(verify)
    verify.add_argument("--name", help="the game's name in tables and seeds (default: the file's)")
    verify.add_argument("--seed", type=_integer(0), default=0, help="root seed (default 0)")
    verify.add_argument("--plot", metavar="FILE.png", help="picture of the claim to write, also as SVG")
    verify.add_argument("--out", dest="folder", metavar="FOLDER", help="folder for the tables and the verdict")
    add_json(verify)

    config = command("config", _config, "write a configuration of the whole pipeline that fits a game")
    config.add_argument("game", help=GAME)
    add_regularizer(config)
    config.add_argument("--name", help="the game's name in the configuration (default: the file's)")
    config.add_argument("--out", help="YAML file to write (without it: print it)")

    check = on_equilibrium("check", _check, "search for policy pairs that beat the theory's Lipschitz bounds")
    check.add_argument("--step-sizes", type=_step, nargs="+", default=[1.0, 10.0], help=f"{ETA} (default 1 and 10)")
    check.add_argument("--pairs", type=_integer(1), default=100, help="random pairs per operator (default 100)")
    check.add_argument("--ascents", type=_integer(0), default=2, help="pairs to climb from (default 2)")

    converge = on_equilibrium("converge", _converge, "run exact PMA from several starts, with the rate", out=False)
    converge.add_argument("--step-sizes", type=_step, nargs="+", required=True, help=ETA)
    converge.add_argument("--starts", type=_integer(1), default=8, help="initial policies (default 8)")
    converge.add_argument("--max-iterations", type=_integer(1), default=2000, help="PMA steps (default 2000)")
    converge.add_argument("--out-iterates", required=True, help="Parquet table of distances to write")
    converge.add_argument("--out-rates", required=True, help="Parquet table of rates to write")
    converge.add_argument("--out-certified", help="Parquet table of runs from the certified set to write")

    phase = command("phase", _phase, "map where PMA is certified, locally contractive or divergent")
    phase.add_argument("game", help=GAME)
    phase.add_argument("--name", help="the game's name in tables and seeds (default: the file's name)")
    grid: dict[str, Any] = {"type": _positive, "nargs": 3, "metavar": ("LOW", "HIGH", "COUNT"), "required": True}
    phase.add_argument("--strengths", help="weights of the regularizer, a logarithmic grid", **grid)
    phase.add_argument("--relative-step-sizes", help="eta times the strength, a logarithmic grid", **grid)
    phase.add_argument("--probes", type=_integer(0), default=2, help="points per region where PMA is run (default 2)")
    phase.add_argument("--seed", type=_integer(0), default=0, help="root seed (default 0)")
    phase.add_argument("--out", required=True, help="Parquet table of the plane to write")
    phase.add_argument("--out-strengths", required=True, help="Parquet table of the smallest certified strengths")

    assumptions = on_equilibrium("assumptions", _assumptions, "compute what the paper assumes of a game", seeded=False)
    assumptions.add_argument("--step-size", type=_step, required=True, help=ETA)

    def add_runs(to: argparse.ArgumentParser, iterations: int) -> None:
        to.add_argument("--starts", type=_integer(1), default=8, help="random initial policies (default 8)")
        to.add_argument(
            "--max-iterations", type=_integer(1), default=iterations, help=f"per run (default {iterations})"
        )

    dynamics = on_equilibrium("dynamics", _dynamics, "run exact PMA, best response and others side by side", out=False)
    add_runs(dynamics, 2000)
    for table in ("histories", "outcomes", "orbits", "seconds"):
        dynamics.add_argument(f"--out-{table}", required=True, help=f"Parquet table of {table} to write")

    damping = on_equilibrium("damping", _damping, "run best response and PMA while the regularizer weakens")
    damping.add_argument("--strengths", type=_positive, nargs="+", required=True, help="of the regularizer")
    damping.add_argument(
        "--step-shares", type=_positive, nargs="+", default=[1.0], help="of the locally best eta (default 1)"
    )
    add_runs(damping, 600)
    damping.add_argument("--out-attractors", required=True, help="Parquet table of final populations to write")

    basins = on_equilibrium("basins", _basins, "find whether a step size holds PMA, and where it goes", out=False)
    basins.add_argument("--step-sizes", type=_step, nargs="+", required=True, help=ETA)
    add_runs(basins, 3000)
    for table, text in (
        ("departures", "runs that start next to the equilibrium"),
        ("basins", "the equilibrium that each random start reaches"),
        ("several", "the equilibria found"),
    ):
        basins.add_argument(f"--out-{table}", required=True, help=f"Parquet table of {text}, to write")

    ctd = on_equilibrium("ctd", _ctd, "measure the error of TD learning of the equilibrium policy (Algorithm 1)")
    add_agents(ctd)
    ctd.add_argument("--updates", type=_integer(1), nargs="+", required=True, help="M_td, increasing")
    ctd.add_argument("--waiting", type=_integer(0), nargs="+", default=[1], help="M_mix (default 1)")
    add_replicates(ctd)
    ctd.add_argument("--other-replicates", type=_integer(1), help="runs of all M_mix but the first (default: as many)")
    ctd.add_argument("--out-floor", help="Parquet table of the last estimates, entry by entry, of the first M_mix")

    moments = on_equilibrium(
        "moments", _moments, "compute the error of TD learning exactly, with infinitely many agents", seeded=False
    )
    moments.add_argument("--updates", type=_integer(1), nargs="+", required=True, help="M_td, increasing")
    moments.add_argument("--waiting", type=_integer(0), nargs="+", required=True, help="M_mix")

    centralized = on_equilibrium(
        "centralized", _centralized, "run centralized learning (Algorithm 2) for an accuracy epsilon", out=False
    )
    add_agents(centralized)
    centralized.add_argument("--epsilon", type=_positive, required=True, help="accuracy that the schedule is for")
    centralized.add_argument("--step-size", type=_step, default=5.0, help=f"{ETA} (default 5)")
    centralized.add_argument(
        "--schedule",
        choices=["tuned", "theorem"],
        default="tuned",
        help="tuned constants, or the theorem's for this game (see --dry-run)",
    )
    centralized.add_argument("--td-constant", type=_positive, default=7.0, help="M_td = (this / epsilon)^2 (default 7)")
    centralized.add_argument("--waiting-constant", type=_positive, default=0.5, help="M_mix = this log(1/epsilon)")
    centralized.add_argument("--dry-run", action="store_true", help="print the schedule and its samples, and stop")
    add_replicates(centralized)
    add_out(centralized)

    learn = on_equilibrium(
        "learn",
        _learn,
        "learn a game from one trajectory of N agents; exit code 0: epsilon reached, 1: missed",
        out=False,
    )
    add_agents(learn)
    learn.add_argument(
        "--epsilon",
        type=_positive,
        help="exploitability (regularized) to reach (default: 0.03 of the rewards' range); with --schedule tuned or "
        "theorem: the distance to the equilibrium that the schedule is for",
    )
    learn.add_argument(
        "--budget", type=_integer(1), help="samples of a run (default: 500 S A / (1 - gamma)), of --schedule auto"
    )
    learn.add_argument(
        "--schedule",
        choices=["auto", "tuned", "theorem"],
        help="auto: steps and epochs from what the learner sees alone; tuned, theorem: as in `centralized` (default: "
        "auto, or tuned if one of the next four options is given)",
    )
    learn.add_argument("--step-size", type=_step, help=f"{ETA} (default 5)")
    learn.add_argument("--td-constant", type=_positive, help="M_td = (this / epsilon)^2 (default 7)")
    learn.add_argument("--waiting-constant", type=_positive, help="M_mix = this log(1/epsilon) (default 0.5)")
    learn.add_argument("--dry-run", action="store_true", help="print the schedule and its samples, and stop")
    learn.add_argument(
        "--replicates", type=_integer(1), help="independent runs (default: 1, or 16 of a tuned or theorem's schedule)"
    )
    learn.add_argument("--out", help="Parquet table of every epoch to write")
    learn.add_argument("--out-policies", help="Parquet table of the policies learned by --schedule auto, to write")
    add_json(learn)

    schedules = on_equilibrium(
        "schedules", _schedules, "compute what the theorem prescribes for each accuracy", seeded=False
    )
    schedules.add_argument("--epsilons", type=_positive, nargs="+", required=True, help="accuracies")
    schedules.add_argument("--step-size", type=_step, required=True, help=ETA)

    bias = on_equilibrium("bias", _bias, "measure fluctuations and the bias of what is learned from N agents")
    add_agents(bias)
    bias.add_argument("--steps", type=_integer(100), default=300_000, help="averaged steps per replicate")
    add_replicates(bias)

    limits = on_equilibrium("limits", _limits, "predict where learning from N agents ends, for large N", seeded=False)
    add_agents(limits, nargs="+")
    limits.add_argument("--step-size", type=_step, required=True, help=ETA)

    learning_limit = on_equilibrium(
        "learning-limit", _learning_limit, "find what learning from N agents converges to, exactly", False, False
    )
    add_agents(learning_limit, nargs="+")
    learning_limit.add_argument(
        "--step-size", type=_step, default=1.0, help=f"of the iteration to the policy's limit: {ETA} (default 1)"
    )
    learning_limit.add_argument("--out", help="Parquet table of the errors to write, in place of printing Q")

    agreement = on_equilibrium("agreement", _agreement, "compare the simulated limit of TD learning with the exact one")
    add_agents(agreement, nargs="+")
    agreement.add_argument("--steps", type=_integer(100), default=20_000, help="averaged steps per replicate")
    add_replicates(agreement)

    nash_gap = on_equilibrium(
        "nash-gap", _nash_gap, "compute what one of N agents gains by deviating, exactly", seeded=False, out=False
    )
    add_agents(nash_gap, nargs="+")
    nash_gap.add_argument("--out", help="Parquet table to write")

    covariance = on_equilibrium(
        "covariance", _covariance, "print the covariance of the mean field's fluctuations", seeded=False, out=False
    )
    covariance.add_argument("--out", help="Parquet table to write")
    independent = on_equilibrium("independent", _independent, "run independent learning (Algorithm 3), agent by agent")
    add_agents(independent, nargs="+")
    independent.add_argument("--step-size", type=_step, nargs="+", required=True, help=ETA)
    independent.add_argument(
        "--epsilon", type=_positive, nargs="+", help="accuracies of tuned schedules, as in `learn`"
    )
    independent.add_argument("--td-constant", type=_positive, default=9.0, help="M_td = (this / epsilon)^2 (default 9)")
    independent.add_argument("--waiting-constant", type=_positive, default=0.5, help="M_mix = this log(1/epsilon)")
    independent.add_argument("--epochs", type=_integer(1), help="K, without --epsilon")
    independent.add_argument("--updates", type=_integer(1), nargs="+", help="M_td, without --epsilon")
    independent.add_argument("--waiting", type=_integer(0), default=1, help="M_mix, without --epsilon (default 1)")
    independent.add_argument(
        "--replicates", type=_integer(1), nargs="+", default=[16], help="independent runs (default 16), of each N"
    )
    independent.add_argument("--sweep", default="alone", help="what the runs are for, in table and seeds")
    independent.add_argument("--out-learning", help="also write the table in the columns of `learn`")

    compare = on_equilibrium("compare", _compare, "run PMA on one trajectory beside methods with a generative model")
    add_agents(compare)
    compare.add_argument(
        "--grid",
        nargs="+",
        required=True,
        metavar="METHOD.ARGUMENT=VALUE,...",
        help="the settings of each method to tune over (docs/theory.md, section 17)",
    )
    compare.add_argument("--budget", type=_integer(100), default=1_000_000, help="samples of a run (default 1e6)")
    compare.add_argument("--pilot-budget", type=_integer(100), default=100_000, help="of one that tunes (default 1e5)")
    compare.add_argument("--per-decade", type=_integer(1), default=6, help="measurements per factor 10 (default 6)")
    compare.add_argument("--target", type=_positive, default=0.03, help="accuracy to tune for (default 0.03)")
    compare.add_argument(
        "--accuracies", type=_positive, nargs="+", default=[0.1, 0.03, 0.01], help="to count samples to"
    )
    compare.add_argument("--confidence", type=_positive, default=0.95, help="of their intervals (default 0.95)")
    compare.add_argument("--pilots", type=_integer(1), default=2, help="runs of each setting (default 2)")
    compare.add_argument("--replicates", type=_integer(2), default=8, help="runs that are reported (default 8)")
    compare.add_argument("--out-tuning", help="Parquet table of the pilot runs to write")
    compare.add_argument("--out-accuracies", help="Parquet table of the samples to each accuracy to write")

    collect = command("collect", _collect, "join tables with the same columns")
    collect.add_argument("tables", nargs="+", help="Parquet tables")
    collect.add_argument("--out", required=True, help="Parquet table to write")

    claims = command("claims", _claims, "turn tables into verdicts on the paper's claims")
    claims.add_argument("--tables", required=True, nargs="+", help="the tables, by their names in the pipeline")
    claims.add_argument("--confidence", type=_positive, default=0.95, help="of every interval (default 0.95)")
    for option, default in (
        ("rate", 0.02),
        ("slope", 0.05),
        ("samples-slope", 0.2),
        ("constant", 0.02),
        ("independent", 0.1),
    ):
        text = f"see docs/theory.md, section 12 (default {default})"
        claims.add_argument(f"--{option}-tolerance", type=_positive, default=default, help=text)
    claims.add_argument(
        "--own", nargs="*", default=[], metavar="NAME", help="games of your own: words are about them, not the paper"
    )
    claims.add_argument("--out", required=True, help="JSON file to write")
    claims.add_argument("--out-markdown", help="the verdicts as a table for readers, to write")
    claims.add_argument("--out-comparison", help="samples to each accuracy as a table for readers, to write")
    claims.add_argument("--out-assumptions", help="the assumptions as a table for readers, to write")
    claims.add_argument("--out-games", help="the games from the literature as a table for readers, to write")

    findings = command("findings", _findings, "write what was found in words, from the verdicts")
    findings.add_argument("claims", help="JSON file of `claims`")
    findings.add_argument("--figures", required=True, help="folder of the figures and of verdicts.md, to link")
    findings.add_argument("--out", required=True, help="Markdown file to write")

    figure = command("figure", _figure, "draw one figure as PNG and SVG")
    figures = [
        "atlas",
        "bounds",
        "comparison",
        "contraction",
        "ctd",
        "dynamics",
        "equilibria",
        "independent",
        "nash",
        "orbit",
        "phase",
    ]
    figures += ["populations", "samples", "gallery"]
    figure.add_argument("name", choices=figures)
    figure.add_argument("--tables", required=True, help="folder of the tables")
    figure.add_argument("--out", required=True, help="path to write, without .png and .svg")

    redraw = command("figures", _redraw, "draw all figures of a finished run again, from its tables")
    redraw.add_argument("config", help="the run's configuration, YAML")

    report = command("report", _build_report, "write one HTML page of a finished run: verdicts, figures, data")
    report.add_argument("config", help="the run's configuration, YAML")
    report.add_argument("--rulegraph", required=True, help="file of what `snakemake --rulegraph` prints, - for stdin")
    report.add_argument("--out", help="HTML file to write (default: report.html in the run's results)")

    survey = on_equilibrium(
        "survey", _survey, "say what the theory knows of a game: constants, assumptions, equilibria"
    )
    survey.add_argument("--starts", type=_integer(0), default=4, help="of the search for other equilibria (default 4)")
    survey.add_argument("--step-size", type=_step, required=True, help=ETA)
    survey.add_argument("--out-equilibria", help="Parquet table of the equilibria found, one by one, to write")
    survey.add_argument("--out-states", help="Parquet table of the equilibria found, state by state, to write")

    atlas = command("atlas", _atlas, "solve, check, measure and learn many generated games, a row for each")
    atlas.add_argument(
        "games",
        nargs="+",
        metavar="'NAME FAMILY parameter=value ... strength=value'",
        help="a game: what its row is called, its family, its parameters, and the strength of the entropy",
    )
    atlas.add_argument("--relative-step-size", type=_positive, default=0.15, help="eta in units of 1 / strength")
    for option, least, default, text in (
        ("starts", 1, 2, "starts of exact PMA"),
        ("agents", 2, 10**6, "N, of the bias and of learning"),
        ("steps", 100, 1000, "averaged steps of a trajectory that measures the bias"),
        ("replicates", 2, 16, "such trajectories"),
        ("visits", 1, 100, "M_td is this over the least probability of a state and action"),
    ):
        text = f"{text} (default {default})"
        atlas.add_argument(f"--{option}", dest=f"n_{option}", type=_integer(least), default=default, help=text)
    atlas.add_argument("--max-iterations", type=_integer(1), default=500, help="of exact PMA (default 500)")
    atlas.add_argument("--epsilon", type=_positive, default=0.1, help="accuracy that the schedule is for (default 0.1)")
    atlas.add_argument("--waiting-constant", type=_positive, default=0.5, help="M_mix = this log(1/epsilon)")
    atlas.add_argument("--max-samples", type=_integer(1), default=200_000, help="longer schedules are not run")
    atlas.add_argument("--seed", type=_integer(0), default=0, help="root seed (default 0)")
    add_out(atlas)

    warm_up = command("warm-up", _warm_up, "compile the kernels once, before jobs run in parallel")
    warm_up.add_argument("--out", help="file to write when done")
    return parser


def _integer(least: int, most: int = 10**15) -> Callable[[str], int]:
    """Return what reads an integer; beyond 10^15 they are no longer exact as floating-point numbers."""

    def parse(text: str) -> int:
        try:
            value = float(text) if "e" in text.lower() else int(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most or value != int(value):
            raise argparse.ArgumentTypeError(f"got {text[:40]!r}, expected an integer from {least} to {most}")
        return int(value)

    return parse


def _value(text: str) -> bool | int | float | str:
    """Return true, false or a number if the text is one, else the text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _regularizer_name(text: str) -> str:
    if text not in ("entropy", "quadratic") and not re.fullmatch(r".+\.py:\w+", text):
        raise argparse.ArgumentTypeError(f"got {text[:80]!r}, expected entropy, quadratic or FILE.py:CLASS")
    return text


def _step(text: str) -> float | str:
    """Return a step size: a number > 0, or "auto"."""
    return text if text == "auto" else _positive(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 1e-50 <= value <= 1e50:  # squares and quotients of two are finite
        raise argparse.ArgumentTypeError(f"got {text[:40]!r}, expected a number > 0, from 1e-50 to 1e50")
    return value


if __name__ == "__main__":
    sys.exit(main())
