"""The source files that a job depends on: the module of its step, and all that this imports from the two packages."""

from __future__ import annotations

import ast
import functools
from pathlib import Path


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


def _file(root: Path, module: str) -> Path:
    """Return the file of a module; of a package its `__init__`."""
    path = root.joinpath("src", *module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def _imported(root: Path, path: Path) -> frozenset[str]:
    """Return the modules of the two packages that a file imports; it is parsed once for all rules."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(("pma_mfg", "pma_replication")):
            for name in (f"{node.module}.{alias.name}" for alias in node.names):
                names.add(name if _file(root, name).exists() else node.module)
    return frozenset(names)
