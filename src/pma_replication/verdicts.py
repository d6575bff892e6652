"""From tables to verdicts: every claim of every experiment, and the table for readers (docs/theory.md, section 12)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping

import pandas as pd

from pma_replication.experiments.atlas.judge import (
    atlas_bias,
    atlas_bounds,
    atlas_convergence,
    atlas_learning,
    atlas_rate,
)
from pma_replication.experiments.basins.judge import left, not_held
from pma_replication.experiments.bounds.judge import (
    PAIR_ROUNDING,
    RATIO_ROUNDING,
    certified_norm,
    jacobian_norm,
    operator_bounds,
    pairs_below_norm,
)
from pma_replication.experiments.comparison.judge import no_generative_model
from pma_replication.experiments.contraction.judge import certified_convergence, certified_runs, linear_rate
from pma_replication.experiments.ctd.judge import MIXING_TOLERANCE, floor_rate, floor_reached, mixing, td_rate
from pma_replication.experiments.independent.judge import (
    independent_samples,
    independent_spread,
    independent_step,
    independent_updates,
    independent_worst,
)
from pma_replication.experiments.nash.judge import gap_bound, gap_constant, gap_order, gap_tight
from pma_replication.experiments.orbit.judge import best_response_fails, damped, damped_fastest
from pma_replication.experiments.phase.judge import certified_radius, certified_strengths, regions
from pma_replication.experiments.populations.judge import agreement, bias_constant, bias_slope, deviation_constant
from pma_replication.experiments.samples.judge import accuracy, conservative, prescribed, samples_slope
from pma_replication.judging import PAPER, Claim, three_intervals, verdict
from pma_replication.statistics import Estimate

Tables = Mapping[str, pd.DataFrame]

#: Tables that `evaluate` reads.
TABLES = (
    "ratios",
    "rates",
    "certified",
    "phase",
    "certified_strengths",
    "damping",
    "departures",
    "ctd",
    "ctd_floor",
    "moments",
    "epsilon",
    "prescribed",
    "independent",
    "independent_epsilon",
    "bias",
    "agreement",
    "nash",
    "comparison",
    "samples_to_accuracy",
    "atlas",
)

#: What `evaluate` joins for claims on several tables.
JOINED = {
    "runs": ("epsilon", "prescribed"),
    "compared": ("comparison", "samples_to_accuracy"),
    "faded": ("ctd_floor", "moments"),
}


def evaluate(
    tables: Tables,
    confidence: float,
    rate_tolerance: float,
    slope_tolerance: float,
    samples_slope_tolerance: float,
    constant_tolerance: float,
    independent_tolerance: float,
    own: Collection[str] = (),
) -> list[Claim]:
    """Return one record per claim and game.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        The tables `TABLES`, as measured, all games together. Claims on a table that is not there are left out.
    confidence : float
        Of every interval, in (0, 1).
    rate_tolerance : float
        Relative, on PMA's rate against the spectral radius.
    slope_tolerance : float
        Absolute, on the slopes of the TD error and of the finite-population bias, and on the floor of the TD error in
        units of the predicted one.
    samples_slope_tolerance : float
        Absolute, on the slope of samples against 1 / epsilon.
    constant_tolerance : float
        Relative, on a constant against its closed form.
    independent_tolerance : float
        On the spread of independent learners against its first-order prediction (relative), and on its slope.
    own : collection of str
        Games that are the user's own: what is said of them is said of them, and not of the paper.

    Returns
    -------
    list of dict
        With keys id, statement, source, game, own, quantity, estimate, interval, expected, verdict, too_small (whether
        it is inconclusive for the range that was run), how, tables (names of those it was computed from), code (the
        function). Numbers that do not exist are None.
    """
    records = []
    if "epsilon" in tables and "prescribed" in tables:
        runs = pd.concat([tables["epsilon"], tables["prescribed"]], ignore_index=True)
        both = runs.groupby("game")["schedule"].nunique() == 2
        tables = {**tables, "runs": runs[runs["game"].isin(both.index[both])]}
    if "comparison" in tables:
        comparison = tables["comparison"][tables["comparison"]["chosen"]]
        ends = [rows[rows["samples"].isin(three_intervals(rows["samples"]))] for _, rows in comparison.groupby("game")]
        tables = {**tables, "compared": pd.concat([*ends, tables["samples_to_accuracy"]], ignore_index=True)}
    if "ctd_floor" in tables:
        floor = tables["ctd_floor"].assign(mean_error=math.nan)
        moments = tables.get("moments", floor.iloc[:0])
        moments = moments[moments["game"].isin(floor["game"])]
        tables = {**tables, "faded": pd.concat([floor, moments], ignore_index=True)}
    for claim, table, tolerance in (
        (operator_bounds, "ratios", RATIO_ROUNDING),
        (jacobian_norm, "ratios", RATIO_ROUNDING),
        (certified_norm, "ratios", RATIO_ROUNDING),
        (pairs_below_norm, "ratios", PAIR_ROUNDING),
        (certified_radius, "phase", RATIO_ROUNDING),
        (linear_rate, "rates", rate_tolerance),
        (certified_convergence, "rates", 0.0),
        (certified_runs, "certified", 0.0),
        (regions, "phase", 0.0),
        (certified_strengths, "certified_strengths", 0.0),
        (best_response_fails, "damping", 0.0),
        (damped, "damping", 0.0),
        (damped_fastest, "damping", 0.0),
        (not_held, "departures", 0.0),
        (left, "departures", 0.0),
        (td_rate, "ctd", slope_tolerance),
        (mixing, "moments", MIXING_TOLERANCE),
        (floor_reached, "faded", slope_tolerance),
        (floor_rate, "ctd_floor", slope_tolerance),
        (samples_slope, "epsilon", samples_slope_tolerance),
        (accuracy, "epsilon", 0.0),
        (prescribed, "prescribed", 0.0),
        (conservative, "runs", 0.0),
        (independent_samples, "independent_epsilon", samples_slope_tolerance),
        (independent_updates, "independent", slope_tolerance),
        (independent_spread, "independent", independent_tolerance),
        (independent_step, "independent", independent_tolerance),
        (independent_worst, "independent", independent_tolerance),
        (bias_slope, "bias", slope_tolerance),
        (deviation_constant, "bias", constant_tolerance),
        (bias_constant, "bias", constant_tolerance),
        (agreement, "agreement", 0.0),
        (gap_bound, "nash", slope_tolerance),
        (gap_order, "nash", slope_tolerance),
        (gap_tight, "nash", slope_tolerance),
        (gap_constant, "nash", constant_tolerance),
        (no_generative_model, "compared", 0.0),
        (atlas_bounds, "atlas", RATIO_ROUNDING),
        (atlas_convergence, "atlas", 0.0),
        (atlas_rate, "atlas", rate_tolerance),
        (atlas_bias, "atlas", 0.0),
        (atlas_learning, "atlas", 0.0),
    ):
        make: Callable[[pd.DataFrame, float, float], Claim] = claim
        for game, rows in tables[table].groupby("game") if table in tables else ():
            record = make(rows, tolerance, confidence)
            origin = {"tables": list(JOINED.get(table, (table,))), "code": f"{make.__module__}.{make.__name__}"}
            records.append(_record(str(game), **record) | {"own": str(game) in own} | origin)
    return records


def _record(
    game: str,
    *,
    id: str,
    statement: str,
    source: str,
    quantity: str,
    estimate: Estimate,
    expected: tuple[float, float],
    how: str,
    too_small: str = "",
) -> Claim:
    def number(value: float) -> float | None:
        return float(value) if math.isfinite(value) else None

    return {
        "id": id,
        "statement": statement,
        "source": f"{PAPER}, {source}",
        "game": game,
        "quantity": quantity,
        "estimate": number(estimate.value),
        "interval": [number(estimate.low), number(estimate.high)],
        "expected": [number(end) for end in expected],
        "verdict": "inconclusive" if too_small else verdict((estimate.low, estimate.high), expected),
        "too_small": bool(too_small),
        "how": f"too small a range: {too_small}; {how}" if too_small else how,
    }


def markdown(records: list[Claim]) -> str:
    """Return the verdicts as a table for readers, one section per claim.

    Parameters
    ----------
    records : list of dict
        From `evaluate`.

    Returns
    -------
    str
        Markdown.
    """

    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:.4g}"

    lines = [
        "# Verdicts",
        "",
        "Written by the pipeline from its tables. *Confirmed*: the whole interval lies in the expected range; *not "
        "confirmed*: outside; *inconclusive*: across its border, or nothing could be tested, or the claim is on a "
        "limit and the range that was run too small to see it.",
    ]
    for claim in dict.fromkeys(record["id"] for record in records):
        rows = [record for record in records if record["id"] == claim]
        first = rows[0]
        lines += [
            "",
            f"## {claim}: {first['statement']}",
            "",
            f"{first['source']}. Quantity: {first['quantity']}.",
            "",
            "| game | verdict | estimate | interval | expected | how |",
            "|---|---|---|---|---|---|",
        ]
        for row in rows:
            interval, expected = (" … ".join(number(end) for end in row[key]) for key in ("interval", "expected"))
            cells = [row["game"], f"**{row['verdict']}**", number(row["estimate"]), interval, expected, row["how"]]
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"
