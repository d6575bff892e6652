"""The parsers of both programs: commands in groups, each with examples, and the arguments that many of them take.

An example is a line that can be typed. It is run in a folder with the files that the examples before it write, so that
all of them can be typed one after the other.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from pma_mfg.errors import InputError

Run = Callable[[argparse.Namespace], int | None]

REGULARIZER = "entropy (the default), quadratic, or FILE.py:CLASS, a class of your own in a file (which is run)"

ETA = "eta in units of 1 / rho, or auto: the one with the smallest spectral radius at the equilibrium"

GAME = "a game's file, .npz or .py (which is run), or a family's name"

EPILOG = """GAME is a file, .npz or .py (Python code, which is run), or a family: the game with its default parameters.
exit codes: 0 done; 1 no convergence, `learn` missed epsilon, `path` ended before the lowest strength, or `verify` did
not confirm a claim; 2 bad input; 130 interrupted"""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help that lists commands in groups."""

    groups: dict[str, list[str]]

    def _format_action(self, action: argparse.Action) -> str:
        if not isinstance(action, argparse._SubParsersAction):
            return super()._format_action(action)
        told = {name: choice.help for choice in action._choices_actions for name in _names(choice)}
        lines = []
        for group, names in self.groups.items():
            lines += [f"\n{group}:", *(f"  {name:16}{told[name]}" for name in names)]
        return "\n".join(lines).lstrip("\n") + "\n"


def _names(choice: argparse.Action) -> list[str]:
    """Return the names of a command, with its aliases: "games (families)" is both."""
    return str(choice.metavar).replace("(", "").replace(")", "").replace(",", "").split()


class Parser(argparse.ArgumentParser):
    """A parser that answers an unknown command with the nearest ones.

    Attributes
    ----------
    groups : dict of str to list of str
        Heading -> commands under it.
    examples : tuple of str
    """

    def __init__(self, **settings: Any) -> None:
        self.groups: dict[str, list[str]] = {}
        self.examples: tuple[str, ...] = ()
        super().__init__(**{"formatter_class": _Formatter, **settings})

    def _get_formatter(self) -> argparse.HelpFormatter:
        formatter = super()._get_formatter()
        if isinstance(formatter, _Formatter):
            formatter.groups = self.groups
        return formatter

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            near = difflib.get_close_matches(value, action.choices, 3, 0.5)
            nearest = f"the nearest: {', '.join(near)}; " if near else ""
            message = f"unknown command {value[:40]!r}; {nearest}`{self.prog} --help` lists all"
            raise argparse.ArgumentError(None, message)
        super()._check_value(action, value)


class Commands:
    """The commands of a program, or the steps of an experiment, while their parsers are made.

    Parameters
    ----------
    parser : Parser
        Of the program or the experiment.
    program : str
        The program's name, for messages.
    kind : str
        What they are called in the usage.
    """

    def __init__(self, parser: Parser, program: str, kind: str = "COMMAND") -> None:
        self.parser, self.program = parser, program
        self._added = parser.add_subparsers(required=True, metavar=kind, title="commands")

    def add(
        self, name: str, run: Run, text: str, *, group: str, examples: Sequence[str] = (), aliases: Sequence[str] = ()
    ) -> Parser:
        """Add a command.

        Parameters
        ----------
        name : str
        run : callable
            From the options to the exit code, None for 0.
        text : str
            What it does, in a line.
        group : str
            The heading that the help lists it under.
        examples : sequence of str
            Its arguments in lines that can be typed, without the program and the command.
        aliases : sequence of str
            Further names.

        Returns
        -------
        Parser
            To which its arguments are added.
        """
        lines = tuple(f"{self.parser.prog} {name} {line}".rstrip() for line in examples)
        shown = "examples:\n" + "".join(f"  {line}\n" for line in lines)
        added = self._added.add_parser(name, aliases=aliases, help=text, description=text, epilog=f"{shown}\n{EPILOG}")
        added.examples = lines
        added.set_defaults(run=run, program=self.program)
        added.add_argument("--log", metavar="FILE", help="also write messages to this file")
        self.parser.groups.setdefault(group, []).append(name)
        return added

    def on_equilibrium(
        self, name: str, run: Run, text: str, *, group: str, examples: Sequence[str] = (), seeded: bool = True
    ) -> Parser:
        """Add a command that takes a game and its equilibrium, or a strength to find it for."""
        added = self.add(name, run, text, group=group, examples=examples)
        added.add_argument("game", help=GAME)
        added.add_argument("equilibrium", nargs="?", help="its equilibrium's .npz file, from `pma-mfg solve`; or:")
        add_regularizer(added)
        added.add_argument("--name", help="the game's name in tables and seeds (default: the file's)")
        if seeded:
            add_seed(added)
        return added

    def experiment(self, name: str, text: str, *, group: str) -> Commands:
        """Add an experiment, and return its steps."""
        added = self._added.add_parser(name, help=text, description=text, epilog=EPILOG)
        self.parser.groups.setdefault(group, []).append(name)
        return Commands(added, self.program, "STEP")


def add_regularizer(to: argparse.ArgumentParser, *, required: bool = False, zero: str = "") -> None:
    """Add --regularizer and --strength; with words for what 0 means, 0 is allowed."""
    to.add_argument("--regularizer", type=regularizer_name, default="entropy", metavar="NAME", help=REGULARIZER)
    told = f"weight of the regularizer, > 0{zero and f'; 0: {zero}'}"
    to.add_argument("--strength", type=positive_or_zero if zero else positive, required=required, help=told)


def add_seed(to: argparse.ArgumentParser) -> None:
    """Add --seed."""
    to.add_argument("--seed", type=integer(0), default=0, help="root seed (default 0)")


def add_json(to: argparse.ArgumentParser) -> None:
    """Add --json."""
    to.add_argument("--json", action="store_true", help="print the result as JSON")


def add_agents(to: argparse.ArgumentParser, **more: Any) -> None:
    """Add --agents, one number or, with ``nargs="+"``, several."""
    to.add_argument("--agents", type=integer(2), required=True, help="N, the number of agents", **more)


def add_replicates(to: argparse.ArgumentParser) -> None:
    """Add --replicates."""
    to.add_argument("--replicates", type=integer(1), default=16, help="independent runs (default 16)")


def add_runs(to: argparse.ArgumentParser, iterations: int) -> None:
    """Add --starts and --max-iterations of runs of an exact method."""
    to.add_argument("--starts", type=integer(1), default=8, help="random initial policies (default 8)")
    to.add_argument("--max-iterations", type=integer(1), default=iterations, help=f"per run (default {iterations})")


class File(str):
    """The name of a file to write, which knows the endings that tell what is written."""

    endings: tuple[str, ...] = ()


def file(*endings: str) -> Callable[[str], File]:
    """Return the function that reads the name of a file to write (`command_line.check_outputs` checks the ending)."""

    def parse(text: str) -> File:
        name = File(text)
        name.endings = endings
        return name

    return parse


#: Pages that the replication writes.
MARKDOWN = file(".md")


def integer(least: int, most: int = 10**15) -> Callable[[str], int]:
    """Return the function that reads an integer option, of at most 10^15: larger ones are not exact as floats."""

    def parse(text: str) -> int:
        try:
            value = float(text) if "e" in text.lower() else int(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most or value != int(value):
            raise argparse.ArgumentTypeError(f"got {text[:40]!r}, expected an integer from {least} to {most}")
        return int(value)

    return parse


def positive(text: str) -> float:
    """Return a number from 1e-50 to 1e50, so that squares and quotients of two are finite."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 1e-50 <= value <= 1e50:
        raise argparse.ArgumentTypeError(f"got {text[:40]!r}, expected a number > 0, from 1e-50 to 1e50")
    return value


def positive_or_zero(text: str) -> float:
    """Return 0, or a number as `positive` does."""
    try:
        # a decimal: as a float 1e-400 is zero too
        return 0.0 if Decimal(text.strip()) == 0 else positive(text)
    except (InvalidOperation, argparse.ArgumentTypeError):
        expected = "expected 0, or a number from 1e-50 to 1e50"
        raise argparse.ArgumentTypeError(f"got {text[:40]!r}, {expected}") from None


def step(text: str) -> float | str:
    """Return a step size in units of 1 / rho: a number > 0, or "auto"."""
    return text if text == "auto" else positive(text)


def regularizer_name(text: str) -> str:
    """Return the name of a regularizer, or of a class in a file."""
    if text not in ("entropy", "quadratic") and not re.fullmatch(r".+\.py:\w+", text):
        raise argparse.ArgumentTypeError(f"got {text[:80]!r}, expected entropy, quadratic or FILE.py:CLASS")
    return text


def value(text: str) -> bool | int | float | str:
    """Return true, false or a number if the text is one, else the text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def parameters(settings: Sequence[str], source: str) -> dict[str, Any]:
    """Return the parameters of a family from name=value pairs.

    Raises
    ------
    InputError
        If one has no "=".
    """
    found: dict[str, Any] = {}
    for setting in settings:
        name, separator, text = setting.partition("=")
        if not separator:
            raise InputError(source, "parameter", setting, "name=value")
        found[name] = value(text)
    return found
