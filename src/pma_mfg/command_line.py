"""How both programs, `pma-mfg` and `pma-replicate`, run a command: outputs checked, messages, exit codes.

Exit codes: 0 done; 1 a computation did not converge, `learn` missed its accuracy, or `verify` did not confirm a claim;
2 bad input (a line on stderr says where, and what is allowed); 130 interrupted.
"""

from __future__ import annotations

import argparse
import builtins
import contextlib
import io
import logging
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

from pma_mfg import processes
from pma_mfg.commands import output
from pma_mfg.errors import ConvergenceError, InputError, is_plain

log = logging.getLogger("pma_mfg")

#: The options that name files to read.
INPUTS = ("game", "equilibrium", "policy", "tables", "claims", "config", "rulegraph")


def main(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> int:
    """Run one command of a program.

    Parameters
    ----------
    parser : ArgumentParser
        Whose commands set `run`, a function of the options.
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
    options = parser.parse_args((sys.argv[1:] if arguments is None else arguments) or ["--help"])
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[logging.StreamHandler()], force=True)
    with output.results_alone_on_stdout():
        code = _run(options)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _LogFile):  # there is none if the file was refused
            _tell_use(handler)
    return code


def _tell_use(to: _LogFile) -> None:
    """Add to a log what this process has used: who started it may not see that (`pma_replication.runs.warm`)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    memory = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    if to.stream is None:
        return
    with contextlib.suppress(OSError):
        to.stream.write(f"used {used.ru_utime + used.ru_stime:.2f} s of the processor and {memory:.0f} MB of memory\n")
        to.flush()


def _run(options: argparse.Namespace) -> int:
    """Run the command that was asked for, and return the exit code."""
    program = options.program
    try:
        check_outputs(options)
        if options.log:
            Path(options.log).parent.mkdir(parents=True, exist_ok=True)
            logging.getLogger().addHandler(_LogFile(options.log, mode="w", encoding="utf-8"))
        return options.run(options) or 0
    except InputError as error:
        for line in str(error).splitlines():
            log.error("%s: error: %s", program, line)
        return 2
    except ConvergenceError as error:
        log.error("%s: no convergence: %s", program, error)
        return 1
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name in ("pma_mfg", "pma_replication"):
            raise
        extra = getattr(options, "extra", "replication")
        log.error("%s: error: environment: got no %s, expected pip install 'pma-mfg[%s]'", program, name, extra)
        return 2
    except BrokenPipeError:  # whoever read what is printed has stopped: nothing is left to say, nor at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), output.stdout().fileno())
        return 2
    except OSError as error:
        # to the terminal alone: the log may be the file that cannot be written
        where = error.filename2 or error.filename or options.log or "system"
        builtins.print(f"{program}: error: {where}: {error.strerror or error}", file=sys.stderr)
        return 2
    except MemoryError as error:
        allowed = "the game and its settings need more memory than there is"
        log.error("%s: error: %s (%s)", program, allowed, error or "Python")
        return 2
    except KeyboardInterrupt:
        log.error("%s: interrupted; no partial file is left", program)
        return 130


class _LogFile(logging.FileHandler):
    """A log file; an error in writing it ends the command, as with any other file."""

    def handleError(self, record: logging.LogRecord) -> None:
        raise


def check_outputs(options: argparse.Namespace) -> None:
    """Refuse files that cannot be written, or are read, or written twice, before anything is computed."""
    program, taken = options.program, {}  # type: str, dict[str, str]
    for name in INPUTS:
        value = getattr(options, name, None)
        for path in [value] if isinstance(value, str) else value or ():
            if os.path.isfile(path):
                taken |= dict.fromkeys(_places(path), f"it is read ({name})")
    for name, value in vars(options).items():
        if not (name in ("log", "plot", "report") or name.startswith("out")) or value is None:
            continue
        option, path = f"--{name.replace('_', '-')}", Path(value)
        device = name != "log" and path.exists() and not path.is_file()
        if not is_plain(path.name) or path.is_dir() or device:
            raise InputError(program, option, value, "a file to write, whose name can be printed")
        there = next(parent for parent in path.absolute().parents if parent.exists())
        if not (there.is_dir() and os.access(there, os.W_OK)):
            raise InputError(program, option, value, f"a file in a folder that can be written, which {there} is not")
        if used := next((taken[place] for place in _places(path) if place in taken), None):
            raise InputError(program, option, value, f"another file: {used}")
        if (endings := getattr(value, "endings", ())) and path.suffix not in ("", *endings):
            raise InputError(program, option, value, f"a file called {' or '.join(f'something{e}' for e in endings)}")
        taken |= dict.fromkeys(_places(path), f"{option} writes it")


def _places(path: str | Path) -> list[str]:
    """Return what tells a file from others, whatever links lead to it: its path, and its number if it is there."""
    there = Path(path)
    number = [f"{(found := there.stat()).st_dev}:{found.st_ino}"] if there.exists() else []
    return [os.path.realpath(path), *number]
