"""The two ways a computation can refuse: bad input, and no convergence.

Both carry everything a reader of one line needs. The command line turns them into that line and an exit code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class Description(str):
    """Words about a value, shown without quotation marks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def one_line(text: str) -> str:
    r"""Return a text with line breaks and whatever else a terminal does not print as escapes, such as ``\n``."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def is_plain(text: Any) -> bool:
    """Return whether a value is a text, not empty and of at most 200 characters, all of which can be printed."""
    return isinstance(text, str) and 0 < len(text) <= 200 and text.isprintable()


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return '; did you mean X?' for the choice closest to a name, or an empty text."""
    close = difflib.get_close_matches(str(name), list(choices), n=1)
    return f"; did you mean {close[0]}?" if close else ""


class InputError(ValueError):
    """Input that cannot be used.

    Parameters
    ----------
    source : str
        Where the value came from: a file's path, a configuration file, or the name of a function.
    field : str
        The field, key or argument within the source.
    value : object
        The offending value (shortened in the message).
    allowed : str
        What would have been accepted.
    """

    def __init__(self, source: str, field: str, value: Any, allowed: str) -> None:
        self.source, self.field, self.value, self.allowed = source, field, value, allowed
        try:
            shown = repr(value)
        except ValueError:  # Python does not print integers of more than 4300 digits
            shown = f"{type(value).__name__} too long to print"
        shown, where = (
            text if len(text) <= most else text[: most - 3] + "..." for text, most in ((shown, 80), (field, 240))
        )
        super().__init__(one_line(f"{source}: {where}: got {shown}, expected {allowed}"))

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, Any, str]]:
        return type(self), (self.source, self.field, self.value, self.allowed)


class ConvergenceError(RuntimeError):
    """An iteration that did not reach its tolerance.

    Parameters
    ----------
    message : str
        What was tried and what was reached.
    history : list of float
        The residual after each iteration, for a plot or a diagnosis.
    """

    def __init__(self, message: str, history: list[float]) -> None:
        self.message, self.history = message, history
        tail = ", ".join(f"{residual:.2e}" for residual in history[-5:])
        super().__init__(one_line(f"{message} (last residuals: {tail})"))

    def __reduce__(self) -> tuple[type[ConvergenceError], tuple[str, list[float]]]:
        return type(self), (self.message, self.history)
