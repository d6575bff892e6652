"""The program `pma-replicate`: the steps of the replication. It finds them by their names; `command_line` runs them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pma_replication.runs import warm

if TYPE_CHECKING:
    from pma_mfg.commands import arguments

# All else is imported where it is used: a job of a run, which is done by another process (`runs.warm`), needs nothing.


def main(given: Sequence[str] | None = None) -> int:
    """Run one command, of the process's own arguments by default, and return the exit code."""
    if given is None and (code := warm.ask(sys.argv[1:])) is not None:
        return code
    from pma_mfg import command_line

    return command_line.main(parser(), given)


@functools.cache  # to make it takes longer than many a command
def parser() -> arguments.Parser:
    """Return the parser of all commands and of the steps of all experiments."""
    from pma_mfg import __version__
    from pma_mfg.commands import arguments
    from pma_replication import registry
    from pma_replication.commands import claims, collect, figure, findings, finished, game, warm_up

    made = arguments.Parser(
        prog="pma-replicate",
        description="The replication of policy mirror ascent in mean field games: experiments, verdicts, figures.\n"
        "`pma-replicate EXPERIMENT STEP --help` explains a step, with examples.",
        epilog=arguments.EPILOG,
    )
    made.add_argument("--version", action="version", version=f"pma-replicate {__version__}")
    commands = arguments.Commands(made, "pma-replicate")
    for module in (game, warm_up):
        module.add(commands)
    for name, experiment in registry.experiments().items():
        steps = commands.experiment(name, experiment.title, group="experiments")
        registry.load(name, "commands").add(steps)
    for module in (collect, claims, findings, figure, finished):
        module.add(commands)
    return made


if __name__ == "__main__":
    sys.exit(main())
