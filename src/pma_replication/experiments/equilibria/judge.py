"""Verdicts: equilibria and assumptions. From tables to verdicts (docs/theory, section 12)."""

from __future__ import annotations

import math

import pandas as pd

from pma_replication.judging import SIGNS, titled_table

_SYMBOLS = {
    "K_mu": "K_μ",
    "K_s": "K_s",
    "K_a": "K_a",
    "L_mu": "L_μ",
    "L_s": "L_s",
    "L_a": "L_a",
    "delta": "δ",
    "L_pop": "L_pop",
    "L_h": "L_h",
    "p_inf": "p_inf",
    "T_mix": "T_mix",
    "delta_mix": "δ_mix",
}

ASSUMPTIONS = (
    "What the theory assumes of a game (docs/theory, section 4), for each game of the "
    "configuration, with step size 1 / strength for p_inf. A bare number is exact; ≤ and ≥ mark proven bounds, ≈ "
    "an estimate. Assumption 1: the six Lipschitz constants are finite. 2: L_pop < 1. 3: p_inf > 0. 4: δ_mix > 0. "
    "A bound that fails its condition shows that the assumption is not proven, not that it is false."
)


def assumptions_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return what the paper assumes of each game as text for readers.

    Parameters
    ----------
    table : DataFrame
        Of `theory.assumptions.assumptions`, all games together.

    Returns
    -------
    DataFrame
        Of str, a row for each game; `ASSUMPTIONS` says what it means.
    """
    found = []
    for game, rows in table.groupby("game"):
        values = rows.set_index("quantity")[["value", "kind"]]
        value = values["value"]
        shown = {
            "1": all(
                math.isfinite(value[name]) and values["kind"][name] != "estimate"
                for name in ("K_mu", "K_s", "K_a", "L_mu", "L_s", "L_a")
            ),
            "2": value["L_pop"] < 1.0 and values["kind"]["L_pop"] != "estimate",
            "3": value["p_inf"] > 0.0,
            "4": value["delta_mix"] > 0.0,
        }
        cells = {"game": str(game).replace("_", " ")}
        cells |= {symbol: f"{SIGNS[values['kind'][name]]}{value[name]:.3g}" for name, symbol in _SYMBOLS.items()}
        cells["assumptions shown"] = ", ".join(number for number, holds in shown.items() if holds) or "none"
        found.append(cells)
    return pd.DataFrame(found)


def assumptions_markdown(table: pd.DataFrame) -> str:
    """Return `assumptions_cells` of the same table as Markdown."""
    return titled_table("# Assumptions", f"Written by the pipeline. {ASSUMPTIONS}", assumptions_cells(table))
