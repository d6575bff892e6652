"""The look of all figures, and the pieces that they are drawn with."""

from __future__ import annotations

import itertools
import logging
import textwrap
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from pma_mfg import seeds
from pma_mfg.plotting.look import COLOURS as COLOURS  # written so, they can be imported from here too
from pma_mfg.plotting.look import STYLE as STYLE
from pma_mfg.plotting.look import WIDTH as WIDTH
from pma_mfg.plotting.look import is_drawable, shortened
from pma_mfg.plotting.look import label_decades as label_decades
from pma_mfg.plotting.look import log_log as log_log
from pma_mfg.plotting.look import save as save
from pma_mfg.plotting.look import styled as styled
from pma_mfg.plotting.look import text_width as text_width
from pma_replication import statistics

log = logging.getLogger("pma_mfg")

MARKERS = ("^", "D", "v", "<", ">", "s", "o")

#: Line styles of the first seven games of a figure, of the next seven, and so on.
STYLES: tuple[Any, ...] = ("solid", (0, (5, 1.5)), (0, (4, 1.5, 1, 1.5)), (0, (2, 1)))

#: Height of a figure over its width at which it still fits a page.
PAGE = 1.4

#: Width in inches of a figure with a single column of panels.
SINGLE = 0.6 * WIDTH

#: Largest width in inches of a game's name or of a label in a legend.
NAME_WIDTH = 1.5

DOTTED: dict[str, Any] = {"color": "0.35", "linewidth": 0.9, "linestyle": (0, (1, 1.2))}

DASHED: dict[str, Any] = {"color": "black", "linewidth": 0.8, "linestyle": (0, (4, 2))}

#: Distances to an equilibrium below the first number are rounding errors and not drawn; a predicted line goes through
#: the measured point nearest to the second number.
ROUNDED_DISTANCE, ANCHOR = 1e-11, 1e-6

FITTED = "fitted slope [95 % interval]"


def by_game(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the games in order of their names, with their rows."""
    return [(str(game), rows) for game, rows in table.groupby("game", sort=True)]


def largest_population(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each game's largest population."""
    return table[table["n_agents"] == table.groupby("game")["n_agents"].transform("max")]


def grouped(table: pd.DataFrame, by: str, column: str) -> tuple[list[float], list[np.ndarray]]:
    """Return the values of `by` in order, and for each one the replicates of `column`."""
    groups = [(float(x), rows[column].to_numpy(float)) for x, rows in table.groupby(table[by].astype(float))]
    return [x for x, _ in groups], [values for _, values in groups]


def measured_points(
    panel: str,
    game: str,
    x: Sequence[float],
    *,
    groups: Sequence[np.ndarray],
    label: str = "",
    fit: bool = True,
    paired: bool = False,
    summary: Callable[[np.ndarray], float] | None = None,
) -> pd.DataFrame:
    """Return points with intervals over replicates, and with their fitted slope if there are two of them or more.

    Points are means of their groups where no `summary` of a group is given.
    """
    rng = seeds.generator(0, "figure", panel, game, label)
    options: dict[str, Any] = {"kind": "mean", "along_last": summary is None}
    of_group = summary or (lambda group: group.mean(axis=-1))
    estimates = [statistics.bootstrap([group], lambda drawn: of_group(drawn[0]), rng, **options) for group in groups]
    points = line_table(panel, game, "measured", x=x, value=[estimate.value for estimate in estimates])
    points["low"], points["high"] = [e.low for e in estimates], [e.high for e in estimates]
    fitted = statistics.slope_interval(x, groups, rng, summary=of_group, paired=paired) if fit and len(x) > 1 else None
    return with_slope(points, fitted)


def with_slope(points: pd.DataFrame, slope: statistics.Estimate | None) -> pd.DataFrame:
    """Return the points with the slope of their series beside each."""
    value, low, high = (slope.value, slope.low, slope.high) if slope else (np.nan, np.nan, np.nan)
    return points.assign(slope=value, slope_low=low, slope_high=high)


def line_table(panel: str, game: str, series: str, *, x: Iterable[float], value: Iterable[float]) -> pd.DataFrame:
    """Return the vertices of a line as rows of the module's table."""
    columns = {"x": np.array(list(x), dtype=float), "value": np.array(list(value), dtype=float)}
    nothing = dict.fromkeys(["low", "high", "slope", "slope_low", "slope_high"], np.nan)
    return pd.DataFrame({"panel": panel, "game": game, "series": series, **columns, **nothing})


def cell_edges(centres: np.ndarray) -> np.ndarray:
    """Return the edges of cells around points of a logarithmic grid."""
    if len(centres) == 1:
        return np.array([centres[0] / 2.0, centres[0] * 2.0])
    middles = np.sqrt(centres[:-1] * centres[1:])
    return np.concatenate([[centres[0] ** 2 / middles[0]], middles, [centres[-1] ** 2 / middles[-1]]])


def grid_shape(n: int) -> tuple[int, int]:
    """Return rows and columns for n panels."""
    n_columns = {1: 1, 2: 2, 4: 2}.get(n, 3)
    return -(-n // n_columns), n_columns


def make_panels(
    n: int,
    height: float,
    n_lines: int,
    *,
    title: str | None = None,
    handles: Sequence[Line2D | tuple[Line2D, ...]] = (),
    ncols: int = 0,
    sharey: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Return a figure and n axes of `height` inches, each with room for a legend of `n_lines` below it.

    The legend of `handles` has `ncols` columns, or all in one row, or as many as the page is wide enough for. Every
    length is fixed in inches here, so that neither a long legend nor a wide tick label squeezes the panels.
    """
    n_rows, n_columns = grid_shape(n)
    left, between, right, above, line = 0.62, 0.4 if sharey else 0.78, 0.12, 0.25, 0.16
    below = 0.55 + line * n_lines
    names = [str((handle[0] if isinstance(handle, tuple) else handle).get_label()) for handle in handles]
    n_shown = fitting_columns(names, ncols or len(names), WIDTH) if n_columns > 1 else 1
    title = short_heading(title, n_columns) if title else None
    top = above + (0.3 + line * title.count("\n") if title else 0.0)
    bottom = below + (0.35 + line * (-(-len(handles) // n_shown) - 1) if handles else 0.0)
    size = (
        WIDTH if n_columns > 1 else SINGLE,
        top + n_rows * height + (n_rows - 1) * (above + below) + bottom,
    )
    width = (size[0] - left - right - (n_columns - 1) * between) / n_columns
    figure = Figure(figsize=size)
    figure.subplots_adjust(
        left=left / size[0],
        right=1.0 - right / size[0],
        bottom=bottom / size[1],
        top=1.0 - top / size[1],
        wspace=between / width,
        hspace=(above + below) / height,
    )
    axes = figure.subplots(n_rows, n_columns, sharey=sharey, squeeze=False).ravel()
    for ax in axes[n:]:
        ax.remove()
    if title:
        figure.suptitle(title, x=0.5, y=1.0 - 0.08 / size[1], va="top")
    if handles:
        of_tuples: dict[type, Any] = {tuple: HandlerTuple(ndivide=None, pad=0.5)}
        figure.legend(
            handles=list(handles),
            labels=names,
            handler_map=of_tuples,
            loc="lower center",
            bbox_to_anchor=(0.5, 0.0),
            ncols=n_shown,
        )
    return figure, list(axes[:n])


def fitting_columns(labels: Sequence[str], most: int, inches: float) -> int:
    """Return the largest number of columns, up to `most`, with which a legend of these labels fits into a width."""
    letter = 9.0 / 72.0  # the style's handles, and what is between them and around them all, in units of its text
    # to whole pixels, letters may take a little more
    widths = np.array([text_width(label, 9.0) for label in labels]) + 2.6 * letter + 0.02
    for columns in range(most, 1, -1):
        if sum(part.max(initial=0.0) for part in np.array_split(widths, columns)) + (columns - 0.2) * letter <= inches:
            return columns
    return 1


def short_heading(title: str, n_columns: int) -> str:
    """Return a figure's title, on several lines where a single panel makes it narrow."""
    return title if n_columns > 1 else wrapped(title, SINGLE - 0.3, 10.0)


def wrapped(text: str, inches: float, size: float) -> str:
    """Return text in as few lines as fit into a width, and those as even as they can be."""
    breaks = [textwrap.wrap(text, most) for most in range(10, max(11, len(text) + 1))]
    fitting = [lines for lines in breaks if all(text_width(line, size) <= inches for line in lines)]
    fewest = min(fitting or breaks[:1], key=len)  # of several the first, which has the shortest lines
    return "\n".join(fewest)


def panel_title(ax: Axes, i: int, text: str, *, game: str = "") -> None:
    """Label a panel with its letter and say what it shows; `text` may have a place {} for the name of a game."""
    figure = cast(Figure, ax.get_figure())
    inches = ax.get_position().width * figure.get_figwidth() + 0.03
    letter = rf"$\mathbf{{{panel_letter(i)}}}$   "
    name = plain_name(game, max(0.3, inches - text_width(letter, 9.0) - 0.1 - text_width(text.replace("{}", ""), 9.0)))
    ax.set_title(letter + text.replace("{}", name))


def panel_letter(i: int) -> str:
    """Return a to z, then aa, ab and so on."""
    return (panel_letter(i // 26 - 1) if i >= 26 else "") + chr(ord("a") + i % 26)


def add_legend(ax: Axes, title: str | None, more: Sequence[Line2D] = (), *, ncols: int = 1) -> None:
    """Put the legend below the axis label, where it covers nothing."""
    figure = cast(Figure, ax.get_figure())
    below = ax.transAxes + ScaledTranslation(-0.45, -0.44, figure.dpi_scale_trans)
    ax.legend(
        handles=[*ax.get_legend_handles_labels()[0], *more],
        title=title,
        ncols=ncols,
        loc="upper left",
        alignment="left",
        bbox_to_anchor=(0.0, 0.0),
        bbox_transform=below,
        borderaxespad=0.0,
    )


def draw_line(ax: Axes, table: pd.DataFrame, series: str, **look: Any) -> None:
    """Draw one series as a line."""
    rows = table[table["series"] == series]
    ax.plot(rows["x"], rows["value"], **look)


def draw_points(ax: Axes, table: pd.DataFrame, series: str, *, label: str, **look: Any) -> None:
    """Draw one series as markers with intervals, hollow unless the look says otherwise, its slope in the legend."""
    rows = table[table["series"] == series]
    ax.vlines(rows["x"], rows["low"], rows["high"], color=look["color"], linewidth=1.0)
    look = {"markerfacecolor": "none", "linestyle": "none", **look}
    ax.plot(rows["x"], rows["value"], label=label + slope_text(rows), **look)


def slope_text(points: pd.DataFrame) -> str:
    """Return the fitted slope of a series and its interval, with the digits that the interval's width allows."""
    value, low, high = (float(points[column].iloc[0]) for column in ("slope", "slope_low", "slope_high"))
    if np.isnan(value):
        return ""
    if np.isnan(low):  # too few replicates for an interval
        return f"{value:.2f}".replace("-", "−")
    digits = 3 if high - low < 0.01 else 2
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]".replace("-", "−")


def plain_name(game: str, inches: float = NAME_WIDTH) -> str:
    """Return a game's name as words, shortened to a width."""
    return shortened(game.replace("_", " "), inches)


def drawable(labels: pd.Series, kind: str, numbers: pd.Series) -> pd.Series:
    """Return labels as they can be drawn: another one is its number, and one line warns of all of them."""
    labels = labels.astype(str)
    lost = ~labels.map(is_drawable)
    if lost.any():
        several = f" and {labels[lost].nunique() - 1} more" if labels[lost].nunique() > 1 else ""
        log.warning(
            "labels of %ss: the figures' font cannot draw %r%s: %s",
            kind,
            labels[lost].iloc[0],
            several,
            f"drawn as {kind} {numbers[lost].iloc[0]}{' and so on' if several else ''}",
        )
    # a dollar sign would begin mathematics
    return labels.str.replace("$", r"\$", regex=False).where(~lost, kind + " " + numbers.astype(str))


def game_looks(games: Iterable[str]) -> tuple[dict[str, str], dict[str, str], dict[str, Any]]:
    """Return a colour, a marker and a line style for each game, by its name's checksum; the next free one if taken.

    Of seven games or fewer no two share a colour, of 28 or fewer neither a marker in one colour nor a line in one.
    """
    n = len(COLOURS)
    taken: dict[str, int] = {}
    for game in sorted(set(games)):
        first = zlib.crc32(game.encode())
        slots = (n * (k // n) + (first + k) % n for k in itertools.count())
        taken[game] = next(i for i in slots if i not in taken.values())
    return (
        {game: COLOURS[i % n] for game, i in taken.items()},
        {game: MARKERS[(i + i // n) % len(MARKERS)] for game, i in taken.items()},
        {game: STYLES[i // n % len(STYLES)] for game, i in taken.items()},
    )


def legend_marks(markers: dict[str, str], **look: Any) -> tuple[Line2D, ...]:
    """Return a handle of a legend that shows the markers of the games, of the first three if they are more."""
    few = list(markers.values())[:3]
    return tuple(Line2D([], [], color="0.3", marker=marker, linestyle="none", **look) for marker in few)


def ordered_colours(values: Iterable[float]) -> dict[Any, str]:
    """Return a colour for each distinct value, dark to light in their order."""
    import seaborn  # a third of the time that a figure takes to start, for the few that have such colours

    ordered = sorted(set(values))
    return dict(zip(ordered, seaborn.color_palette("viridis", len(ordered)).as_hex(), strict=True))
