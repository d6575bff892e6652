"""The two kinds of errors: input that cannot be used, and an iteration that does not converge.

The message of either is one line that can be understood by itself. The command line prints it and sets the exit code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

#: Largest number of problems of one input that are listed; of more, the first ones and their number.
MOST_PROBLEMS = 100


class Description(str):
    """Words that describe a value in the message of an `InputError`, shown without quotation marks."""

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
    """Return "; did you mean X?" with the choice that is most like a name, or an empty text if none is."""
    found = difflib.get_close_matches(name, list(choices), n=1)
    return f"; did you mean {found[0]}?" if found else ""


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

    def __reduce__(self) -> tuple[type[InputError], tuple[Any, ...]]:
        return type(self), (self.source, self.field, self.value, self.allowed)


class InputErrors(InputError):
    """Several problems of one input: a line for each of the first `MOST_PROBLEMS`, and a line with their number.

    Parameters
    ----------
    source : str
        The input.
    problems : sequence of InputError
    """

    def __init__(self, source: str, problems: Sequence[InputError]) -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} problems"
        super().__init__(source, "problems", Description(count), "none")
        told = f"{count}, the first {MOST_PROBLEMS} of them above" if len(problems) > MOST_PROBLEMS else count
        self.args = ("\n".join([*map(str, problems[:MOST_PROBLEMS]), one_line(f"{source}: {told}")]),)

    def __reduce__(self) -> tuple[type[InputError], tuple[Any, ...]]:
        return type(self), (self.source, self.problems)


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
