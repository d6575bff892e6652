"""Verdicts: games from the literature. From tables to verdicts (docs/theory, section 12)."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from pma_replication.judging import SIGNS, titled_table

GAMES = (
    "S states, A actions; the "
    "largest residual of the equilibrium; equilibria found, from how many starts (there may be more); "
    "exploitability without the "
    "regularizer; L_pop and the spectral radii of PMA and of the best response at the equilibrium. ≤ marks a "
    "proven bound, ≈ an estimate. Assumptions shown, as in {}."
)


def games_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return what is known of the games from the literature as text for readers.

    Parameters
    ----------
    table : DataFrame
        Of `experiments.literature.measure.table`, all games together.

    Returns
    -------
    DataFrame
        Of str, a row for each game; `GAMES` says what it means, and wants the place of the assumptions.
    """
    found = []
    row: Any
    for row in table.itertuples():
        radius, best = (
            "–" if math.isnan(value) else f"{value:.3g}" for value in (row.radius, row.best_response_radius)
        )
        found.append(
            {
                "game": str(row.game).replace("_", " "),
                "S": f"{row.states:g}",
                "A": f"{row.actions:g}",
                "γ": f"{row.discount:g}",
                "regularizer": f"{row.regularizer} {row.strength:g}",
                "residual": f"{row.residual:.1e}",
                "equilibria": f"{row.equilibria} from {row.starts}",
                "exploitability without regularizer": f"{row.exploitability_unregularized:.3g}",
                "L_pop": f"{SIGNS[str(row.L_pop_kind)]}{row.L_pop:.3g}",
                "radius of PMA": radius,
                "of best response": best,
                "assumptions shown": str(row.assumptions),
                "remark": str(row.remark),
            }
        )
    return pd.DataFrame(found)


SEVERAL = (
    "Every equilibrium found (docs/theory, section 14.2); the first of a game is that of the table above. Mean "
    "field: the states with the largest shares. Starts: how many led to it. Stability under PMA and of the population "
    "while the policy is kept, each by its spectral radius; radii and index (14.3) have – at a kink."
)


def equilibria_cells(equilibria: pd.DataFrame) -> pd.DataFrame:
    """Return the equilibria of games that have several as text for readers.

    Parameters
    ----------
    equilibria : DataFrame
        Of `experiments.literature.measure.table`, all games together.

    Returns
    -------
    DataFrame
        Of str, a row for each equilibrium; `SEVERAL` says what it means. Empty if no game has several.
    """
    found = []
    row: Any
    for row in equilibria[equilibria.groupby("game", sort=False)["equilibrium"].transform("size") > 1].itertuples():
        radii = (row.radius, row.population_radius)
        leaves = [name for name, radius in zip(("PMA", "the population"), radii, strict=True) if radius > 1.0]
        stability = f"{' and '.join(leaves)} leave{'s' * (len(leaves) == 1)}" if leaves else "stable"
        if not leaves and not all(radius < 1.0 for radius in radii):
            stability = "–"
        of_policies, of_populations = ("–" if math.isnan(x) else f"{x:.3g}" for x in radii)
        found.append(
            {
                "game": str(row.game).replace("_", " "),
                "mean field": str(row.largest),
                "starts": str(row.reached),
                "residual": f"{row.residual:.1e}",
                "exploitability without regularizer": f"{row.exploitability_unregularized:.3g}",
                "radius of PMA": of_policies,
                "of the population": of_populations,
                "index": "–" if math.isnan(row.fixed_point_index) else f"{row.fixed_point_index:+g}",
                "stability": stability,
            }
        )
    return pd.DataFrame(found)


def games_markdown(table: pd.DataFrame, equilibria: pd.DataFrame) -> str:
    """Return `games_cells` and `equilibria_cells` of the same tables as Markdown."""
    text = "Written by the pipeline (docs/theory, section 14; equilibria: literature.png). "
    title = "# Games from the literature" if len(table) > 1 else "# The game"  # one alone is one's own
    games = titled_table(title, text + GAMES.format("assumptions.md"), games_cells(table))
    several = equilibria_cells(equilibria)
    return games if several.empty else games + "\n" + titled_table("## Where there are several", SEVERAL, several)
