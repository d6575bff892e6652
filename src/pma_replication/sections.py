"""Sections of docs/theory that a text names, and where the built documentation has them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup, escape

_NUMBER = r"\d+(?:\.\d+)*"

#: "section 3.7", which a number of something else may follow, or "sections 3, 5.2 and 7 to 9".
NAMED = re.compile(rf"(?:[Ss]ection\s+{_NUMBER}|[Ss]ections\s+{_NUMBER}(?:(?:,|,?\s+and|\s+to)\s+{_NUMBER})*)(?!\.?\d)")

#: The heading of a section in a page of the built documentation, with its anchor.
_HEADING = re.compile(r'<h[12]>(\d+(?:\.\d+)?)\.? .*?<a class="headerlink" href="(#[^"]+)"')


def addresses(site: Path, folder: Path) -> dict[str, str]:
    """Return the address of each section of docs/theory, for a page in a folder.

    Parameters
    ----------
    site : Path
        The documentation that `make docs` builds.
    folder : Path

    Returns
    -------
    dict of str
        By the number of the section; empty if the documentation is not built.
    """
    found = {}
    for page in sorted((site / "theory").glob("[0-9]*.html")):
        address = quote(Path(os.path.relpath(page, folder)).as_posix())
        for number, anchor in _HEADING.findall(page.read_text(encoding="utf-8")):
            found[number] = address + anchor
    return found


def linked(text: str, where: Mapping[str, str]) -> Markup:
    """Return a text as HTML, in which the numbers of sections are links as far as it is known where they are.

    Examples
    --------
    >>> linked("a < b by section 5.1, 12 times", {"5.1": "theory.html#bound"})
    Markup('a &lt; b by section <a href="theory.html#bound">5.1</a>, 12 times')
    """

    def link(number: re.Match[str]) -> str:
        return f'<a href="{escape(where[number[0]])}">{number[0]}</a>' if number[0] in where else number[0]

    return Markup(NAMED.sub(lambda named: re.sub(_NUMBER, link, named[0]), str(escape(text))))
