"""Files that another step has written: what they lack is bad input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pma_mfg.errors import Description, InputError


@contextmanager
def written_by(source: str, allowed: str) -> Iterator[None]:
    """Turn what a file lacks, a column or a key, into an `InputError`; the cause stays with it."""
    import jinja2

    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError, jinja2.UndefinedError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(source, "content", Description(f"{type(error).__name__} {error}"), allowed) from error
