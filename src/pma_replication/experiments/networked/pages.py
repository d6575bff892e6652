"""What agents play who pass their policies on, as a page for readers: every arm, and the sweep over its settings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from pma_replication.experiments.networked.arms import CENTRALIZED, INDEPENDENT, Setting, swept
from pma_replication.experiments.networked.judge import (
    MEASURES,
    TABLE,
    compared,
    curves,
    improvements,
    in_words,
    late,
    networked_cells,
)
from pma_replication.judging import titled_table
from pma_replication.statistics import Estimate

#: What the tables of a sweep mean.
SWEEP = (
    "Rows are radii and numbers of rounds C, columns temperatures of adoption in units of the game's; in each cell the "
    "mean over the second half of the run, and over runs, with its 95 % interval. **Bold**: better than independent "
    "agents; *italic*: worse; where the interval of the difference leaves out zero, for each cell alone, so that one "
    "cell of twenty is marked by chance where there is no difference. All have the same samples, those of scores and "
    "rounds among them. The best setting is chosen by one half of the runs and measured by the other, so that it is "
    "not the best by luck."
)

#: What each part of a setting is called.
AXES = ("radius", "C", "temperature")

#: What agents want, by the kind of the game.
AIMS = {"coordination": "gain by coming to one place", "competition": "avoid each other"}


def markdown(table: pd.DataFrame, confidence: float) -> str:
    """Return the page.

    Parameters
    ----------
    table : DataFrame
        Of `measure.measure`, all games together.
    confidence : float
        Of the intervals.
    """
    alone = table["arm"].map(swept).isna()
    text = f"Written by the pipeline. {TABLE}"
    page = titled_table("# Agents that pass their policies on", text, networked_cells(table[alone], confidence))
    if alone.all():
        return page
    parts = [page, f"## Radius, rounds and temperature\n\n{SWEEP}\n"]
    for game, rows in table.groupby("game", sort=False):
        if found := settings(rows):
            differences = {arm: _more(rows, arm, confidence) for arm in found.values()}
            title = f"### {str(game).replace('_', ' ')}"
            parts.append(f"{title}\n\n{told(rows, found, differences, confidence=confidence)}\n")
            parts.append(cells(rows, found, differences, confidence=confidence))
    return "\n".join(parts)


def settings(rows: pd.DataFrame) -> dict[Setting, str]:
    """Return the arms of the sweep of one game by radius, rounds and temperature."""
    found = {swept(arm): arm for arm in rows["arm"].drop_duplicates()}
    return {setting: arm for setting, arm in found.items() if setting is not None}


def cells(
    rows: pd.DataFrame, found: Mapping[Setting, str], differences: Mapping[str, Estimate], *, confidence: float
) -> str:
    """Return one game's sweep as a table: a row for each radius and number of rounds, a column for each temperature."""
    heats = sorted({heat for _, _, heat in found})
    lines = [
        f"| {' | '.join(['radius', 'C', *(f'temperature × {heat:g}' for heat in heats)])} |",
        f"|{'---|' * (2 + len(heats))}",
    ]
    for radius, rounds in sorted({(radius, rounds) for radius, rounds, _ in found}):
        line = [f"{radius:g}", f"{rounds}"]
        for heat in heats:
            arm = found[radius, rounds, heat]
            mark = "**" if differences[arm].low > 0.0 else "*" if differences[arm].high < 0.0 else ""
            line.append(f"{mark}{_mean(rows, arm, confidence)}{mark}")
        lines.append(f"| {' | '.join(line)} |")
    return "\n".join(lines) + "\n"


def told(
    rows: pd.DataFrame, found: Mapping[Setting, str], differences: Mapping[str, Estimate], *, confidence: float
) -> str:
    """Return what the sweep of one game shows, in sentences."""
    better = sum(difference.low > 0.0 for difference in differences.values())
    worse = sum(difference.high < 0.0 for difference in differences.values())
    improved = {setting: late(improvements(rows, arm)) for setting, arm in found.items()}
    half = rows["replicate"].nunique() // 2
    best = max(improved, key=lambda setting: float(improved[setting][:half].mean()))
    measured = _mean(rows[rows["replicate"] >= half], found[best], confidence)
    means = {setting: float(late(curves(rows, arm, _column(rows))).mean()) for setting, arm in found.items()}
    averages = [
        f"{axis} "
        + ", ".join(
            f"{level:g}: {np.mean([mean for setting, mean in means.items() if setting[i] == level]):.3g}"
            for level in sorted({setting[i] for setting in means})
        ).replace("-", "−")
        for i, axis in enumerate(AXES)
    ]
    kind = str(rows["kind"].iloc[0])
    sense = "more" if kind == "coordination" else "less"
    alone, central = (_mean(rows, arm, confidence) for arm in (INDEPENDENT, CENTRALIZED))
    return (
        f"Agents {AIMS[kind]}; numbers are {MEASURES[kind]} ({sense} is better). Settings: {len(found)}; better than "
        f"independent agents: {better}; worse: {worse}. Best by half of the runs: radius {best[0]:g}, "
        f"C = {best[1]}, temperature × {best[2]:g}, with {measured} in the other half; independent agents {alone}, a "
        f"central learner {central}. Means over the other two of radius, C and temperature: {'; '.join(averages)}."
    )


def _column(rows: pd.DataFrame) -> str:
    """Return the column by which learning is measured in a game."""
    return "returns" if rows["kind"].iloc[0] == "coordination" else "exploitability"


def _more(rows: pd.DataFrame, arm: str, confidence: float) -> Estimate:
    """Return by how much more an arm improves late in the run than independent agents."""
    groups = [late(improvements(rows, each)) for each in (arm, INDEPENDENT)]
    return compared(
        rows, f"networked {arm} more", groups, statistic=lambda one, other: one - other, confidence=confidence
    )


def _mean(rows: pd.DataFrame, arm: str, confidence: float) -> str:
    """Return what is measured of an arm late in the run, with its interval."""
    values = late(curves(rows, arm, _column(rows)))
    return in_words(compared(rows, f"networked {arm} mean", [values], statistic=float, confidence=confidence))
