"""The program `pma-mfg`: what a person does with a game. It finds a command by its name; `command_line` runs it.

Commands that need the replication, such as `verify`, are offered by its distribution through the entry points
`pma_mfg.commands`: each names a module whose function `add` takes the `Commands`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points

from pma_mfg import __version__, command_line
from pma_mfg.commands import arguments, audit, games, learn, path, plot, populations, solve

#: The entry points through which other packages offer commands.
OFFERED = "pma_mfg.commands"


def main(given: Sequence[str] | None = None) -> int:
    """Run one command, of the process's own arguments by default, and return the exit code."""
    return command_line.main(parser(), given)


@functools.cache  # to make it takes longer than many a command
def parser() -> arguments.Parser:
    """Return the parser of all commands."""
    made = arguments.Parser(
        prog="pma-mfg",
        description="Policy mirror ascent in stationary mean field games: exact solvers, learning, verdicts.\n"
        "`pma-mfg COMMAND --help` explains a command, with examples.",
        epilog=arguments.EPILOG,
    )
    made.add_argument("--version", action="version", version=f"pma-mfg {__version__}")
    commands = arguments.Commands(made, "pma-mfg")
    for module in (games, solve, path, plot, learn, audit, populations):
        module.add(commands)
    for offered in sorted(entry_points(group=OFFERED), key=lambda entry: entry.name):
        offered.load().add(commands)
    return made


if __name__ == "__main__":
    sys.exit(main())
