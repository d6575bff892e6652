"""Regularizers of users' own Python files, and the names by which results tell of a regularizer."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from pma_mfg.errors import Description, InputError
from pma_mfg.regularizers.floors import check_strength
from pma_mfg.regularizers.kinds import kind, make
from pma_mfg.regularizers.protocol import MEMBERS, Regularizer

#: Modules that `load` makes of files are called this and a hash of the file's path.
_LOADED = "pma_mfg_regularizer_"


def name_of(regularizer: Regularizer) -> str:
    """Return the kind of a regularizer, "FILE.py:NAME" if `load` took it from a file, or else its class in full."""
    if (known := kind(regularizer)) is not None:
        return known
    described = type(regularizer)
    module = sys.modules.get(described.__module__)
    place = module.__file__ if module is not None and described.__module__.startswith(_LOADED) else None
    return f"{place}:{described.__qualname__}" if place else f"{described.__module__}.{described.__qualname__}"


def load(described: str, strength: float) -> Regularizer:
    """Return a regularizer by its name, or of a class in a Python file, which is run.

    Parameters
    ----------
    described : str
        "entropy", "quadratic", or "FILE.py:NAME": NAME is a class in the file with the members of `Regularizer`, made
        as NAME(strength). The file is run as it stands, with all that it does: load only files that you trust.
    strength : float
        > 0.

    Returns
    -------
    Regularizer

    Raises
    ------
    InputError
        If there is no such file or class, the file does not run, the class is not made from a strength, or it lacks
        members; all that are missing are named.
    """
    path, separator, name = described.rpartition(":")
    if not separator:
        return make(described, strength)
    allowed = "FILE.py:NAME, a Python file and a class in it, or entropy or quadratic"
    if not path.endswith(".py") or not name.isidentifier():
        raise InputError("regularizers.load", "regularizer", described, allowed)
    check_strength("load", strength)
    if not Path(path).is_file():
        raise InputError(path, "file", Description("nothing"), "an existing Python file with a regularizer")
    # as an import would run it, which dataclasses and pickle rely on; but no compiled file is left beside it
    module = ModuleType(_LOADED + hashlib.sha256(str(Path(path).resolve()).encode()).hexdigest()[:16])
    module.__file__ = path
    before = sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        with _running(path, "file"):
            exec(compile(Path(path).read_bytes(), path, "exec", dont_inherit=True), module.__dict__)
        found = module.__dict__.get(name)
        if not isinstance(found, type):
            classes = [key for key, value in module.__dict__.items() if isinstance(value, type)]
            raise InputError(path, name, Description("no such class"), f"one of {', '.join(classes) or 'its classes'}")
        with _running(path, f"{name}({strength:g})"):
            made: Regularizer = found(strength)
            missing = [member for member in MEMBERS if not hasattr(made, member)]
        if missing:
            needed = f"all of pma_mfg.regularizers.Regularizer, also {', '.join(missing)}"
            raise InputError(path, name, Description("a class without some members"), needed)
    except BaseException:
        if before is None:
            del sys.modules[module.__name__]
        else:
            sys.modules[module.__name__] = before
        raise
    return made


@contextmanager
def _running(path: str, what: str) -> Iterator[None]:
    """Turn whatever a user's code raises into an `InputError`."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit is no Exception
        words = Description(f"{type(error).__name__}: {error}")
        raise InputError(path, what, words, "code that runs") from error
