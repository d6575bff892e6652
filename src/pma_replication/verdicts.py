"""From tables to verdicts: every claim of every experiment, and the table for readers (docs/theory, section 12)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from pma_replication import judging, registry
from pma_replication.judging import PAPER, Claim, Rival, three_intervals
from pma_replication.statistics import FEWEST_REPLICATES, Estimate

Tables = Mapping[str, pd.DataFrame]

#: From the rows of a game, a tolerance and a confidence to one record or several.
Judge = Callable[[pd.DataFrame, float, float], Claim | list[Claim]]

#: Whose statement it is -> how the line on its source begins.
STANDINGS = {"paper": f"{PAPER}, ", "sharpened": f"ours, sharpening {PAPER}: ", "ours": "ours: "}

#: Claim -> its expected range, its tolerance, and what was settled after a first look: written down before the run.
EXPECTED: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("expected.yaml").read_text(encoding="utf-8")
)


def evaluate(
    tables: Tables,
    confidence: float,
    rate_tolerance: float,
    *,
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
        The tables of the pipeline by their names, those of `registry.judged` at least, all games together. Claims on a
        table that is not there are left out.
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
        In the order of the claims. With keys id, statement, standing (whose statement it is) and nature (as in
        `experiment.Claim`), source, game, own, quantity, estimate, interval, expected, settled (whether claim and
        expected range were settled "before" its results were seen or "after a first look", as expected.yaml says),
        rival (what would be true instead), rival_prediction (what it predicts of the estimate, in words), rejected
        (whether the data reject the rival), power (as `judging.power`), verdict, too_small (whether it is inconclusive
        for the range or the replicates that were run), how, tables (names of those it was computed from), code (the
        function). Numbers that do not exist are None.
    """
    tolerances = {
        "rate_tolerance": rate_tolerance,
        "slope_tolerance": slope_tolerance,
        "samples_slope_tolerance": samples_slope_tolerance,
        "constant_tolerance": constant_tolerance,
        "independent_tolerance": independent_tolerance,
    }
    records = []
    for experiment, claim in registry.judges():
        if (read := _read(tables, claim.tables)) is None:
            continue
        make: Judge = getattr(registry.load(experiment, "judge"), claim.judge)
        tolerance = tolerances[claim.tolerance] if isinstance(claim.tolerance, str) else claim.tolerance
        for game, rows in read.groupby("game"):
            judged = make(rows, tolerance, confidence)
            origin = {"tables": list(claim.tables), "code": f"{make.__module__}.{make.__name__}"}
            told = judging.told_unsettled(rows)
            for record in judged if isinstance(judged, list) else [judged]:
                record["how"] += f"; {told}" if told else ""
                records.append(_record(str(game), tolerance, confidence, **record) | {"own": str(game) in own} | origin)
    places = {claim: place for place, claim in enumerate(registry.claims())}  # a judge may tell of several claims
    return sorted(records, key=lambda record: places[record["id"]])


def _read(tables: Tables, names: tuple[str, ...]) -> pd.DataFrame | None:
    """Return the rows that a judge reads, of one table or of several together; None without the first."""
    if names[0] not in tables:
        return None
    return tables[names[0]] if len(names) == 1 else _JOINED[names](tables)


def _both_schedules(tables: Tables) -> pd.DataFrame | None:
    """Return the runs of the games that are learned with a tuned schedule and with the theorem's."""
    if "samples_prescribed" not in tables:
        return None
    runs = pd.concat([tables["samples_tuned"], tables["samples_prescribed"]], ignore_index=True)
    both = runs.groupby("game")["schedule"].nunique() == 2
    return runs[runs["game"].isin(both.index[both])]


def _ends_and_accuracies(tables: Tables) -> pd.DataFrame:
    """Return the last three intervals of the chosen runs, and the samples to each accuracy."""
    comparison = tables["comparison"][tables["comparison"]["chosen"]]
    ends = [rows[rows["samples"].isin(three_intervals(rows["samples"]))] for _, rows in comparison.groupby("game")]
    return pd.concat([*ends, tables["samples_to_accuracy"]], ignore_index=True)


def _floor_and_moments(tables: Tables) -> pd.DataFrame:
    """Return the last estimates of TD learning, and the exact moments of the same games if there are any."""
    floor = tables["ctd_floor"].assign(mean_error=math.nan)
    moments = tables.get("moments", floor.iloc[:0])
    moments = moments[moments["game"].isin(floor["game"])]
    return pd.concat([floor, moments], ignore_index=True)


def _certified_and_rates(tables: Tables) -> pd.DataFrame:
    """Return the runs in the certificate's set, and those of the same games from everywhere if there are any."""
    certified = tables["certified"].assign(converged=math.nan)
    rates = tables.get("rates", certified.iloc[:0].assign(bound=math.nan))
    return pd.concat([certified, rates[rates["game"].isin(certified["game"])]], ignore_index=True)


#: Tables that a judge reads together -> what makes one of them.
_JOINED: dict[tuple[str, ...], Callable[[Tables], pd.DataFrame | None]] = {
    ("samples_tuned", "samples_prescribed"): _both_schedules,
    ("comparison", "samples_to_accuracy"): _ends_and_accuracies,
    ("ctd_floor", "moments"): _floor_and_moments,
    ("certified", "rates"): _certified_and_rates,
}


def _record(
    game: str,
    tolerance: float,
    confidence: float,
    *,
    id: str,
    statement: str,
    source: str,
    quantity: str,
    estimate: Estimate,
    expected: judging.Range,
    rival: Rival,
    how: str,
    too_small: str = "",
) -> Claim:
    def number(value: float) -> float | None:
        return float(value) if math.isfinite(value) else None

    claim = registry.claims()[id]
    interval = (estimate.low, estimate.high)
    ranges = rival.not_rejecting(expected, tolerance)
    found = judging.verdict(interval, expected, ranges)
    if estimate.replicates < FEWEST_REPLICATES:
        too_small = f"{estimate.replicates:g} replicates, {FEWEST_REPLICATES} are needed"
    elif too_small:
        too_small = f"too small a range: {too_small}"
    measured = not math.isnan(estimate.value) and not too_small
    rejected = not judging.meets(interval, ranges) if measured and ranges else None
    power = judging.power(estimate, expected, rival, tolerance=tolerance, confidence=confidence) if measured else None
    if claim.nature == "identity" and measured:
        found, rejected, power = "vacuous" if found == "confirmed" else found, False, 0.0
    return {
        "id": id,
        "statement": statement,
        "standing": claim.standing,
        "nature": claim.nature,
        "source": f"{STANDINGS[claim.standing]}{source}",
        "game": game,
        "quantity": quantity,
        "estimate": number(estimate.value),
        "interval": [number(estimate.low), number(estimate.high)],
        "expected": [number(end) for end in expected],
        "settled": "after a first look" if EXPECTED.get(id, {}).get("settled") else "before",
        "rival": claim.rival,
        "rival_prediction": rival.prediction if ranges or not rival.values else "nothing that was run can show it",
        "rejected": rejected,
        "power": power,
        "verdict": "inconclusive" if too_small else found,
        "too_small": bool(too_small),
        "how": f"{too_small}; {how}" if too_small else how,
    }


#: What a claim is, if it is no test of the paper -> how readers are told.
_NATURES = {
    "test": "",
    "identity": " It follows from the definitions of what is computed: no evidence for the paper.",
    "check": " A check of one method of ours by another: no evidence for the paper.",
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
        "Written by the pipeline from its tables. *Confirmed*: the whole interval lies in the expected range, and the "
        "data reject the rival, which is what would be true if the claim's idea were wrong; *vacuous*: it lies there, "
        "but the rival is not rejected, or the statement follows from definitions and could not have failed; *not "
        "confirmed*: it lies outside; *inconclusive*: across its border, or nothing could be tested, or the claim is "
        "on a limit and the range that was run too small to see it. *Power*: the probability that the verdict would "
        "have told if the rival were true (docs/theory, section 11).",
    ]
    for claim in dict.fromkeys(record["id"] for record in records):
        rows = [record for record in records if record["id"] == claim]
        first, looked = rows[0], EXPECTED.get(claim, {}).get("settled")
        settled = f" Settled after a first look: {looked} (docs/theory, section 12)." if looked else ""
        lines += [
            "",
            f"## {claim}: {first['statement']}",
            "",
            f"{first['source'][:1].upper()}{first['source'][1:]}.{_NATURES[first['nature']]} "
            f"Quantity: {first['quantity']}. Rival: {first['rival']}.{settled}",
            "",
            "| game | verdict | estimate | interval | expected | the rival predicts | power | how |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for row in rows:
            interval, expected = (" … ".join(number(end) for end in row[key]) for key in ("interval", "expected"))
            cells = [row["game"], f"**{row['verdict']}**", number(row["estimate"]), interval, expected]
            cells += [row["rival_prediction"], number(row["power"]), row["how"]]
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"
