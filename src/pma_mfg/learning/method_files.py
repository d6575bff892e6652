"""A learner of a user's own in a Python file: what the file must hold, read without running it, and the learner itself.

The file defines `learn(task, *, ...)`, a generator function of the form of all methods (`learning.trajectory`): the
names after the star are its settings.
"""

from __future__ import annotations

import ast
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pma_mfg.errors import Description, InputError
from pma_mfg.storage import regular_file

#: What the function is called.
FUNCTION = "learn"

#: What its first line looks like, for messages.
FORM = f"a function {FUNCTION}(task, *, ...) whose settings stand after the star"


def settings(path: str | Path) -> list[str]:
    """Return the names of the settings of the learner in a file, which is read and not run.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If there is no such file, it is no Python, or it has no function of that form; one line.
    """
    source = str(path)
    file = regular_file(path, "an existing Python file with a function learn")
    try:
        tree = ast.parse(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(source, "file", Description(error), "a Python file in UTF-8") from None
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise InputError(source, f"file{line}", Description(error), "a file that Python can read") from None
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == FUNCTION]
    if not found:
        others = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        told = f"the functions {', '.join(others)}" if others else "no function"
        raise InputError(source, FUNCTION, Description(told), FORM)
    wanted = found[-1].args
    positional = [argument.arg for argument in (*wanted.posonlyargs, *wanted.args)]
    if len(positional) != 1 or wanted.defaults or wanted.vararg or wanted.kwarg:
        written = f"{FUNCTION}({ast.unparse(wanted)})"
        raise InputError(source, FUNCTION, Description(written), FORM)
    return [argument.arg for argument in wanted.kwonlyargs]


def load(path: str | Path) -> Callable[..., Iterator[tuple[int, np.ndarray]]]:
    """Run a file and return its learner.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    callable

    Raises
    ------
    InputError
        As `settings`, or if the file does not run; with the exception.
    """
    settings(path)
    try:
        found: Any = runpy.run_path(str(path))[FUNCTION]
    except Exception as error:  # whatever a user's code raises
        told = Description(f"{type(error).__name__}: {error}")
        raise InputError(str(path), "file", told, "code that runs") from None
    learner: Callable[..., Iterator[tuple[int, np.ndarray]]] = found
    return learner
