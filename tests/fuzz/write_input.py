"""Write docs/input.md: what is refused, and with which words, from the cases of tests/fuzz/cases.py.

python tests/fuzz/write_input.py
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shlex
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fuzz import cases, targets

from pma_mfg import cli, games
from pma_mfg.games.model import DENSE_ENTRIES
from pma_replication import cli as replicate

PAGE = targets.ROOT / "docs/input.md"
HEAD = """# What is refused, and with which words

<!-- written by tests/fuzz/write_input.py from the cases in tests/fuzz/cases.py; a test compares -->

What a configuration, a game's file or a command cannot use is refused before any work starts: exit code 2, and one line
that names the file, the field, the value, and what is allowed. Of a configuration all problems are said at once, a line
each, and their number; a name that is nearly right is told. A game that is sound but has no equilibrium that the
solver finds ends with exit code 1. Besides,

- **arrays** (`.npz`) never run code: nothing is unpickled, and no array is unpacked before its header, its size and the
  machine's memory have been compared;
- **Python files** (`.py`) are code. They are run as they stand, with all that they do, and the command line says so
  each time. What they print goes to stderr. An equilibrium under a regularizer of your own (`--regularizer
  FILE.py:CLASS`) names its file, which commands that are given the equilibrium run. A function that never returns is
  not noticed: stop it with Ctrl-C;
- **YAML** makes numbers, texts, lists and mappings only. `make replicate` reads a configuration so before anything
  else does. `snakemake --configfile` reads it by itself first, and runs Python in files that ask for it
  (`__use_yte__`): call it on configurations that you trust;
- **folders** `results` and `figures` may be anywhere, but not the repository itself, a folder that contains it, or one
  of its sources; figures may be below the results, but not among the run's own files, nor around or instead of them.
  No command writes over a file that it reads, by whatever path or link, nor twice to one file. Names of games never
  become paths, and every path is quoted where a shell sees it;
- **numbers** of a configuration are 0 or from 1e-20 to 1e20 in size, integers up to 10¹⁵; the largest table of a
  generated game has up to 2·10⁷ entries.

`make fuzz` looks for inputs that are answered in another way.
"""


def answered(check: Callable[[Path], str | None], path: Path, what: str) -> str:
    """Return a row of a table: an input and the line of its refusal."""
    message = check(path)
    assert message is not None, f"accepted: {what}"
    return f"| {what} | {cell(message)} |"


def check_configuration(path: Path) -> str | None:
    """Read a configuration under the limit that everybody has, not that of the fuzzers."""
    return targets.check_configuration(path, DENSE_ENTRIES)


def cell(text: str) -> str:
    """Return a text as code in a cell of a Markdown table."""
    return "<br>".join("`" + line.replace("`", "'").replace("|", "\\|") + "`" for line in text.splitlines())


def command(line: str) -> tuple[int, str]:
    """Run a command and return its exit code and the last line that it wrote to stderr."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            program, *arguments = shlex.split(line)
            code = (cli if program == "pma-mfg" else replicate).main(arguments)
        except SystemExit as stopped:
            code = int(stopped.code or 0)
    logging.getLogger().handlers.clear()
    lines = said.getvalue().splitlines()
    assert not any("Traceback" in text for text in lines), said.getvalue()
    assert code in (1, 2), (line, code)
    return code, lines[-1]


def page() -> str:
    """Return the page; works in a folder of its own, so that the messages name no place of this machine."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return "\n".join([HEAD, *sections()]) + "\n"
        finally:
            os.chdir(here)


def sections() -> list[str]:
    """Return the tables."""
    lines = []
    for title, name, inputs, check in (
        ("Configurations", "mine.yaml", cases.CONFIGURATIONS, check_configuration),
        ("Arrays", "game.npz", cases.ARCHIVES, targets.check_game),
        ("Python files", "game.py", cases.PROGRAMS, targets.check_game),
    ):
        lines += [f"## {title}", "", "| input | answer |", "|---|---|"]
        for what, content in inputs.items():
            Path(name).write_bytes(content)
            lines.append(answered(check, Path(name), what))
        if name == "mine.yaml":
            lines += [answered(check, path, what) for what, path in cases.odd_files(Path()).items()]
        lines.append("")
    games.save(games.make("contraction_game"), "game.npz")
    Path("mine.yaml").write_text(cases.SMALL)
    assert cli.main(["solve", "game.npz", "--strength", "1", "--out", "nash.npz"]) == 0
    lines += [
        "## Commands",
        "",
        "With a sound `game.npz`, its equilibrium `nash.npz`, and a configuration `mine.yaml`:",
        "",
    ]
    lines += ["| command | exit code | answer |", "|---|---|---|"]
    for line in (*cases.COMMANDS, *cases.OPTIONS):
        code, told = command(line)
        lines.append(f"| {cell(line)} | {code} | {cell(told)} |")
    assert not Path("pwned").exists()
    return lines


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
