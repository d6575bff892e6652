"""The source files that a job depends on: the module of its step, and all that this imports; and the code's commit."""

from __future__ import annotations

import functools
import re
import subprocess
from pathlib import Path

#: An import from one of the two packages, and what is imported. It is looked for in the text, since every start of
#: Snakemake looks through all modules: to parse them would take a third of its processor time.
IMPORT = re.compile(r"^[ \t]*from ((?:pma_mfg|pma_replication)\b[\w.]*) import (\([^)]*\)|[^#\n]*)", re.MULTILINE)


def library(root: Path, *modules: str) -> list[str]:
    """Return the files of modules and of all that they import, directly or not, wherever in their code they do.

    A package's `__init__` counts only where a name that is no module is imported from it: it may say of an experiment
    what no step reads. What is imported by a name that is computed is not seen, and must be passed too.

    Parameters
    ----------
    root : Path
        The repository.
    modules : str
        Names such as ``"pma_replication.experiments.nash.commands"``.

    Returns
    -------
    list of str
        Paths relative to the repository, sorted.
    """
    found: set[Path] = set()
    waiting = set(modules)
    while waiting:
        path = _file(root, waiting.pop())
        if path not in found:
            found.add(path)
            waiting.update(_imported(root, path))
    return sorted(str(path.relative_to(root)) for path in found)


@functools.cache
def _file(root: Path, module: str) -> Path:
    """Return the file of a module; of a package its `__init__`."""
    path = root.joinpath("src", *module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def _imported(root: Path, path: Path) -> frozenset[str]:
    """Return the modules of the two packages that a file imports; it is read once for all rules."""
    found = set()
    for module, names in IMPORT.findall(path.read_text(encoding="utf-8")):
        for name in re.findall(r"(\w+)(?: as \w+)?", re.sub("#.*", "", names)):
            whole = f"{module}.{name}"
            found.add(whole if _file(root, whole).exists() else module)
    return frozenset(found)


def commit(root: Path, digits: int = 40) -> str:
    """Return the commit of the code, with a word if files that git knows have changed since; "unknown" without git.

    Parameters
    ----------
    root : Path
        The repository.
    digits : int
        How many digits of the commit are told, at least; a tag that names it goes before.

    Returns
    -------
    str
    """
    try:
        command = ["git", "describe", "--always", "--dirty", f"--abbrev={digits}"]
        said = subprocess.check_output(command, cwd=root, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.strip().replace("-dirty", ", with changes")
