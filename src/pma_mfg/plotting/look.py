"""The look of all pictures: one style, colours, logarithmic axes, and text that fits. It needs matplotlib."""

from __future__ import annotations

import bisect
import functools
import io
import unicodedata
from pathlib import Path
from typing import Any, cast

import matplotlib.font_manager
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pma_mfg import storage

STYLE = Path(__file__).with_suffix(".mplstyle")

#: Suffixes of what is saved, and what is left out of each file so that its bytes are the same every time.
FORMATS = {".png": {"Software": None}, ".svg": {"Date": None}}

#: Width of a page in inches.
WIDTH = 7.0

#: Seaborn's colour-blind safe palette without its light colours; games of the replication take them in this order.
COLOURS = ("#029e73", "#cc78bc", "#de8f05", "#56b4e9", "#949494", "#d55e00", "#0173b2")

styled = matplotlib.style.context(STYLE, after_reset=True)


def save(figure: Figure, path: str | Path) -> None:
    """Write a figure as ``path.png`` and ``path.svg``, each atomically and byte-identical between runs.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path-like
        Without suffix.
    """
    for suffix, metadata in FORMATS.items():
        with (
            storage.atomic_path(f"{path}{suffix}") as temporary,
            matplotlib.style.context(STYLE, after_reset=True),
        ):
            figure.savefig(temporary, metadata=cast(dict[str, Any], metadata))


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG."""
    stream = io.BytesIO()
    with matplotlib.style.context(STYLE, after_reset=True):
        figure.savefig(stream, format="png", metadata=cast(dict[str, Any], {"Software": None}))
    return stream.getvalue()


def log_log(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Set logarithmic axes with their labels."""
    ax.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    for axis in cast("tuple[Axis, Axis]", (ax.xaxis, ax.yaxis)):
        label_decades(axis)


def label_decades(axis: Axis) -> None:
    """Label a logarithmic axis; between the powers of ten as well where it has less than two decades."""
    low, high = axis.get_view_interval()
    if high < 100.0 * low:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda x, _: _short_number(x)))
    axis.set_minor_formatter(NullFormatter())


def _short_number(x: float) -> str:
    """Return a number in few enough characters for the margin: 2e-4, 0.02, 500, 5k."""
    if x < 0.001:
        return f"{x:.0e}".replace("e-0", "e-")
    return f"{x:g}" if x < 1000.0 else f"{x / 1000.0:g}k"


@functools.lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Return the width of text in the figures' font, in inches; mathematics between dollar signs as such."""
    properties = matplotlib.font_manager.FontProperties(family=_family(), size=size)
    ink = text.strip()
    # a letter's rightmost point is a vertex of its outline; to seek it on the curves between takes ten times as long
    return float(TextPath((0.0, 0.0), ink, prop=properties).vertices[:, 0].max()) / 72.0 if ink else 0.0


@functools.cache
def _family() -> str:
    return str(matplotlib.rc_params_from_file(STYLE, use_default_template=False)["font.family"][0])


@functools.cache
def _letters() -> frozenset[int]:
    """Return the code points for which the figures' font has glyphs."""
    path = matplotlib.font_manager.findfont(matplotlib.font_manager.FontProperties(family=_family()))
    return frozenset(matplotlib.font_manager.get_font(path).get_charmap())


def shortened(text: str, inches: float, size: float = 9.0) -> str:
    """Return text that is no wider than that many inches, with an ellipsis in place of its end."""
    if text_width(text, size) <= inches:
        return text

    def fits(kept: int) -> bool:
        return text_width(text[:kept].rstrip() + "…", size) <= inches

    if "$" in text:  # mathematics that is cut in its middle is wider than the whole
        kept = next((n for n in range(len(text), 0, -1) if fits(n)), 0)
    else:  # the more letters, the wider
        kept = bisect.bisect_left(range(1, len(text) + 1), True, key=lambda n: not fits(n))
    return text[:kept].rstrip() + "…" if kept else ""


def is_drawable(text: str) -> bool:
    """Whether the figures' font has a glyph for every letter, and none is written from right to left."""
    return all(
        ord(letter) in _letters() and unicodedata.bidirectional(letter) not in ("R", "AL", "AN") for letter in text
    )
