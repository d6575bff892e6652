"""Whether the file of a game is sound."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pma_mfg.errors import Description, InputError, one_line

log = logging.getLogger("pma_mfg")


def functions_of_sound(path: str) -> Any:
    """Log all that is wrong with a game's file, and refuse it then.

    Parameters
    ----------
    path : str

    Returns
    -------
    MeanFieldGame or FunctionGame or None
        The game of a Python file, not examined for features; None for every other.

    Raises
    ------
    InputError
        If anything is wrong; or if there is no such file.
    """
    from pma_mfg.games import files, function_checks, functions

    tell_of_code(path)
    given = functions.load_functions(path) if Path(path).suffix == ".py" else None
    if given is None and Path(path).suffix != ".npz":
        return None
    found = function_checks.problems(given) if given is not None else files.problems(path)
    for problem in found:
        log.error("%s: %s", path, problem)
    if found:
        count = Description(f"{len(found)} problem{'s' * (len(found) > 1)}")
        raise InputError(path, "game", count, "none; see above")
    return given


def tell_of_code(name: str) -> None:
    """Log that a file is about to be run, if it is Python."""
    if Path(name).suffix == ".py":
        log.info("running %s, which is Python code and may do anything", one_line(name))
