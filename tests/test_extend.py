"""The worked examples of docs/extend.md, done as it says, in a copy of the project.

A block is what its first line says: "# FILE" is that file, "+++ FILE" are lines to add to it, and blocks of shell
commands are run, each of which must succeed.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def sections() -> dict[str, list[tuple[str, str]]]:
    """The blocks of each section, in order: language and text."""
    text = (ROOT / "docs/extend.md").read_text()
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    blocks = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return {title: blocks.findall(body) for title, body in zip(parts[1::2], parts[2::2], strict=True)}


def add(text: str, lines: str) -> str:
    """Add the lines that begin with + next to the others, which must be found together, once."""
    parts = [(line[:1], line[1:]) for line in lines.splitlines(keepends=True)]
    assert {sign for sign, _ in parts} <= {" ", "+", "\n"}
    before = "".join(line for sign, line in parts if sign == " ")
    after = "".join(line or sign for sign, line in parts)
    assert text.count(before) == 1, f"not found once: {before}"
    return text.replace(before, after)


def run(commands: str, folder: Path) -> str:
    """Run shell commands as in the activated environment, with the code of the folder where it has a copy."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    paths = os.pathsep.join(map(str, (folder / "src", folder)))
    environment = {**os.environ, "PATH": programs, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # plugins load slowly, and the examples' tests use none
    if (folder / "src").exists():
        environment |= {"NUMBA_DISABLE_JIT": "1"}  # to compile kernels anew, for another place, takes half a minute
    shell = ["bash", "-euo", "pipefail", "-c", commands]
    done = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_code(folder: Path) -> None:
    """Copy the project into a folder, to be changed there. It is done late: kernels are not compiled in a copy.

    Neither the tests nor their options: those of the examples need none of them.
    """
    if not (folder / "src").exists():
        for name in ("src", "config", "docs", "workflow"):
            # with its bytecode, but for what another process is about to write
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc.*", "*.egg-info"))
        for name in ("Snakefile", "environment.yml"):
            shutil.copy(ROOT / name, folder)


def named_file(folder: Path, text: str) -> Path:
    """Return the path of the file that the first line of a block names."""
    found = re.match(r"(?:# |\+\+\+ )([\w/.]+)\n", text)
    assert found is not None, text
    path = folder / found[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("title", sections())
def test_an_addition_does_what_the_documentation_says(title: str, tmp_path: Path) -> None:
    page = sections()
    for language, text in (block for blocks in page.values() for block in blocks):
        if language == "python" and not text.startswith("# src/"):  # a file of one section may be used in another
            named_file(tmp_path, text).write_text(text)
    assert "sh" in [language for language, _ in page[title]]
    for language, text in page[title]:
        if language == "diff":
            copy_code(tmp_path)
            path = named_file(tmp_path, text)
            path.write_text(add(path.read_text(), text.split("\n", 1)[1]))
        elif language in ("python", "yaml"):
            named_file(tmp_path, text).write_text(text)
        else:
            assert language == "sh"
            run(text, tmp_path)


def test_a_copy_is_run_once_there_is_one(tmp_path: Path) -> None:
    where = "python -c 'import pma_mfg; print(pma_mfg.__file__)'"
    assert not run(where, tmp_path).startswith(str(tmp_path))
    copy_code(tmp_path)
    assert run(where, tmp_path).startswith(str(tmp_path))


def test_lines_are_added_where_they_belong_or_not_at_all() -> None:
    assert add("a\nb\n", " a\n+x\n") == "a\nx\nb\n"
    assert add("a\nb\n", "+x\n+\n b\n") == "a\nx\n\nb\n"
    for text in ("b\n", "a\na\n"):
        with pytest.raises(AssertionError, match="not found once"):
            add(text, " a\n+x\n")
