"""The ranges of src/pma_replication/expected.yaml, which were written down before the runs, beside those of records."""

import math
from collections.abc import Mapping
from typing import Any

from pma_replication import verdicts


def kinds_expected(record: Mapping[str, Any], tolerance: float) -> set[str]:
    """Return the kinds of games for which the range of a record is written down ("" if it is for all), if any."""
    ranges = verdicts.EXPECTED[record["id"]]["range"]
    if isinstance(ranges, str):
        return {ranges}  # words say how the range depends on the game
    kinds = ranges if isinstance(ranges, dict) else {"": ranges}
    return {
        kind
        for kind, ends in kinds.items()
        if all(_same(found, _end(end, tolerance)) for found, end in zip(record["expected"], ends, strict=True))
    }


def _end(text: float | str, tolerance: float) -> float:
    """Return an end of a range, such as "-0.5 - t", with a tolerance."""
    number, sign, _ = str(text).partition(" + t" if "+" in str(text) else " - t")
    return tolerance if number == "t" else float(number) + tolerance * {" + t": 1, " - t": -1, "": 0}[sign]


def _same(found: float | None, written: float) -> bool:
    return math.isinf(written) if found is None else math.isclose(found, written, rel_tol=1e-12, abs_tol=0.0)
