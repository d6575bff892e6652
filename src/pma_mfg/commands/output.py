"""What a command shows: results on stdout, or as JSON, and progress where stderr is a terminal."""

from __future__ import annotations

import builtins
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any, TextIO

#: Where results are printed, the innermost run last.
_results: list[TextIO] = []


@contextmanager
def results_alone_on_stdout() -> Iterator[None]:
    """Send to stderr what anything but `print` here prints, such as a game's file: stdout holds results, or JSON."""
    _results.append(sys.stdout)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = _results.pop()


def stdout() -> TextIO:
    """Return where results are printed."""
    return _results[-1] if _results else sys.stdout


def print(*values: object, end: str = "\n") -> None:
    """Print results to the standard output of the process."""
    builtins.print(*values, end=end, file=stdout())


def print_json(content: Any) -> None:
    """Print a result as JSON."""
    print(json.dumps(content, indent=2, allow_nan=False))


def print_matrix(matrix: Any) -> None:
    """Print a matrix with eight digits, a line for each row."""
    for row in matrix:
        print("  ".join(f"{entry:12.8f}" for entry in row))


@contextmanager
def progress(total: int, label: str) -> Iterator[Callable[..., None]]:
    """Yield a function that advances a bar by one, whatever its arguments; silent unless stderr is a terminal."""
    with bar(total, label) as shown:
        yield lambda *_: (shown.update(1), None)[1]


def bar(total: int, label: str, **looks: Any) -> Any:
    """Return a bar of tqdm, and without tqdm one that shows nothing."""
    try:
        from tqdm import tqdm
    except ModuleNotFoundError:
        silent = SimpleNamespace(update=lambda n: None, set_postfix_str=lambda text: None, disable=True)
        return nullcontext(silent)
    return tqdm(total=total, desc=label, disable=None, leave=False, **looks)
