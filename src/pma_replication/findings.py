"""What was found, in words: a template filled with the verdicts, so that no number and no verdict is typed by hand.

The template, findings.md.jinja, holds the sentences; which of them are printed depends on the verdicts. A claim that
the configuration leaves out is not mentioned.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import jinja2

from pma_mfg.errors import Description, InputError
from pma_replication import registry
from pma_replication.judging import VERDICTS, Claim
from pma_replication.runs import times

#: A bound of which at least this share is attained is called tight.
TIGHT = 0.9

#: Digits of a number in verdicts.md, and in a sentence: rounding twice makes the sentences agree with the table.
TABLE_DIGITS, DIGITS = 4, 3


#: Whose statement a claim is -> what readers are told.
STANDINGS = {"paper": "the paper's", "sharpened": "sharpens the paper", "ours": "ours"}


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": number, "game": game, "listed": listed, "inverse": inverse}
    environment.filters |= {"cost_of_half": cost_of_half, "left_by_four": left_by_four}
    return environment.from_string(resources.files("pma_replication").joinpath(name).read_text(encoding="utf-8"))


def _clean(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"


def concordance(records: list[Claim], figures: str | Path, folder: str | Path) -> str:
    """Return what the paper states beside what is tested in its place, and the verdicts; arguments as `markdown`."""
    claims = registry.claims()

    def verdicts(name: str) -> str:
        return tally([record for record in records if record["id"] == name]) or "not run"

    return _clean(
        _template("concordance.md.jinja").render(
            figures=Path(os.path.relpath(figures, folder)).as_posix(),
            named=lambda prefixes: [name for name in claims if name.startswith(tuple(prefixes))],
            standing=lambda name: STANDINGS[claims[name].standing],
            words=lambda name: claims[name].words,
            verdicts=verdicts,
        )
    )


def reviewer(records: list[Claim], figures: str, folder: str | Path, *, results: str) -> str:
    """Return how to compute each claim alone, how long it takes, and what came out, as a page; the cheapest come first.

    Parameters
    ----------
    records : list of dict
        From `verdicts.evaluate`, of the full replication.
    figures : str
        The folder of its figures.
    folder : path
        Where the text will be: links are relative to it.
    results : str
        The folder of its results.

    Returns
    -------
    str
        Markdown.
    """
    claims, took = registry.claims(), times.tracked()["claims"]
    rows = []
    for name in dict.fromkeys(record["id"] for record in records):
        if not (claim := claims[name]).figure:
            continue
        known = took.get(name, {"jobs": "–", "minutes": "–"})
        rows.append(
            {
                "id": name,
                "words": claim.words,
                "standing": STANDINGS[claim.standing],
                "figure": claim.figure,
                "command": f"snakemake -F {' '.join(times.targets(claim, results, figures))}",
                "tables": [f"{results}/tables/{table}.parquet" for table in claim.tables],
                "verdicts": tally([record for record in records if record["id"] == name]),
                **known,
            }
        )
    rows.sort(key=lambda row: (row["minutes"] == "–", row["minutes"], row["figure"]))
    # all claims of a figure once: what fits into an hour of two cores
    costs = {row["command"]: row["minutes"] for row in rows if row["minutes"] != "–"}
    fitting, most = 0.0, 0.0
    for minutes in sorted(costs.values()):
        fitting += minutes
        most = minutes if fitting <= 120.0 else most
    groups = [
        (command, [row for row in rows if row["command"] == command])
        for command in dict.fromkeys(row["command"] for row in rows)
    ]
    page = {"rows": rows, "groups": groups, "most": most, "figures": Path(os.path.relpath(figures, folder)).as_posix()}
    return _clean(_template("reviewer.md.jinja").render(page))


def markdown(records: list[Claim], figures: str | Path, folder: str | Path) -> str:
    """Return the findings.

    Parameters
    ----------
    records : list of dict
        From `verdicts.evaluate`.
    figures : path
        The folder of the figures and of verdicts.md, which are linked.
    folder : path
        Where the text will be: links are relative to it.

    Returns
    -------
    str
        Markdown.
    """
    return _render("findings.md.jinja", records, figures, folder)


def _render(template: str, records: list[Claim], figures: str | Path, folder: str | Path) -> str:
    """Return a template filled with the verdicts."""

    def of(*ids: str) -> list[Claim]:
        return [record for record in records if record["id"] in ids]

    def ids(start: str) -> list[str]:
        """Return the names of the claims that begin so, each once; C10 does not begin with C1."""
        begins = re.compile(rf"{re.escape(start)}(?!\d)")
        return list(dict.fromkeys(record["id"] for record in records if begins.match(record["id"])))

    def tested(*ids: str) -> list[Claim]:
        return [record for record in of(*ids) if record["estimate"] is not None]

    def confirmed(*ids: str) -> bool:
        """Whether each of these claims is confirmed in a game, and holds in every one in which it was tested."""
        found = [{record["verdict"] for record in tested(id)} for id in ids]
        return all("confirmed" in verdicts <= {"confirmed", "vacuous"} for verdicts in found)

    text = _template(template).render(
        records=records,
        of=of,
        ids=ids,
        tested=tested,
        confirmed=confirmed,
        outcome=lambda *ids: outcome(of(*ids)),
        tally=lambda *ids: tally(of(*ids)),
        short=lambda: items("found.md.jinja", records, figures, folder=folder)[1:],
        pictures=lambda *ids: list(
            dict.fromkeys(figure for record in of(*ids) if (figure := registry.claims()[record["id"]].figure))
        ),
        counts=Counter(record["verdict"] for record in records),
        figures=Path(os.path.relpath(figures, folder)).as_posix(),
        tight=TIGHT,
        verdicts=VERDICTS,
    )
    return _clean(text)


#: Lines of README.md between which `readme` writes.
MARKS = ("<!-- found: start, written by pma-replicate findings -->", "<!-- found: end -->")


def readme(text: str, records: list[Claim]) -> str:
    """Return the text of README.md with what was found between its marks.

    Raises
    ------
    InputError
        If a mark is not there, once, in this order.
    """
    before, start, between = text.partition(MARKS[0])
    _, end, after = between.partition(MARKS[1])
    if not (start and end) or MARKS[0] in after or MARKS[1] in before + after:
        raise InputError("README.md", "text", Description("no place for what was found"), " and ".join(MARKS))
    head, *rest = items("readme.md.jinja", records, "figures", folder=".")
    lines = [f"{'  ' if i else '- '}{line}" for item in rest for i, line in enumerate(item)]
    return "\n".join([before + start, "", *head, "", *lines, "", end + after])


def items(template: str, records: list[Claim], figures: str | Path, *, folder: str | Path) -> list[list[str]]:
    """Return a filled template as lines of Markdown: those before its list first, then those of each item.

    The other arguments are those of `markdown`.
    """
    found: list[list[str]] = [[]]
    for line in _render(template, records, figures, folder).splitlines():
        # a sentence that the verdicts do not support leaves nothing: neither a line, nor spaces
        if text := re.sub(r" {2,}", " ", line.strip()):
            if text.startswith("- "):
                found.append([])
            found[-1].append(text.removeprefix("- "))
    return found


def moved(runs: Mapping[int, list[Claim]]) -> list[tuple[str, str]]:
    """Return the claims and games whose verdict is not the same at all seeds.

    Parameters
    ----------
    runs : mapping of int to list of dict
        Seed -> the records of a run with it.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for records in runs.values():
        for record in records:
            found.setdefault((record["id"], record["game"]), []).append(record["verdict"])
    return [key for key, verdicts in found.items() if len(set(verdicts)) > 1 or len(verdicts) < len(runs)]


def across_seeds(runs: Mapping[int, list[Claim]]) -> str:
    """Return a table of the verdicts that move from seed to seed, as Markdown; `runs` as in `moved`."""

    def cell(records: list[Claim], key: tuple[str, str]) -> str:
        record = next((record for record in records if (record["id"], record["game"]) == key), None)
        if record is None:
            return "not there"
        low, high = map(number, record["interval"])
        return f"**{record['verdict']}**: {number(record['estimate'])} [{low}, {high}]"

    keys = dict.fromkeys((record["id"], record["game"]) for records in runs.values() for record in records)
    moving, each = moved(runs), {seed: Counter(record["verdict"] for record in runs[seed]) for seed in runs}
    against = [
        key
        for key in moving
        if {"confirmed", "not confirmed"}
        <= {
            record["verdict"]
            for records in runs.values()
            for record in records
            if (record["id"], record["game"]) == key
        }
    ]
    lines = [
        "# Verdicts at other seeds",
        "",
        f"Written by `make replicate-seeds`: the same configuration, run at {len(runs)} seeds. Of {len(keys)} "
        f"verdicts, one for each claim and game, {len(keys) - len(moving)} are the same at all of them, and "
        f"{len(moving)} are not. Confirmed at one and contradicted at another: {len(against)}.",
        "",
        f"| seed | {' | '.join(VERDICTS)} |",
        f"|---|{'---|' * len(VERDICTS)}",
        *(f"| {seed} | {' | '.join(str(each[seed][verdict]) for verdict in VERDICTS)} |" for seed in runs),
    ]
    if moving:
        lines += [
            "",
            f"| claim | game | {' | '.join(f'seed {seed}' for seed in runs)} |",
            f"|---|---|{'---|' * len(runs)}",
        ]
        lines += [f"| {key[0]} | {key[1]} | {' | '.join(cell(runs[seed], key) for seed in runs)} |" for key in moving]
    return "\n".join(lines) + "\n"


def number(value: float | None) -> str:
    """Return a number as a sentence shows it, with three digits of the four that verdicts.md has.

    Examples
    --------
    >>> number(0.123456), number(166049.0), number(2.0), number(None)
    ('0.123', '166,000', '2', '–')
    """
    if value is None:
        return "–"
    rounded = float(f"{float(f'{value:.{TABLE_DIGITS}g}'):.{DIGITS}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 10**DIGITS else f"{rounded:.{DIGITS}g}".replace("-", "−")


def inverse(value: float) -> float:
    """Return 1 over a number as verdicts.md shows it."""
    return 1.0 / float(f"{value:.{TABLE_DIGITS}g}")


def cost_of_half(slope: float) -> float:
    """Return how many times as much half the error costs, by the slope of cost against accuracy that verdicts.md shows.

    Examples
    --------
    >>> cost_of_half(2.0)
    4.0
    """
    return float(2.0 ** float(f"{slope:.{TABLE_DIGITS}g}"))


def left_by_four(slope: float) -> float:
    """Return what four times as many agents leave of an error, by the slope against N that verdicts.md shows.

    Examples
    --------
    >>> left_by_four(-0.5)
    0.5
    """
    return float(4.0 ** float(f"{slope:.{TABLE_DIGITS}g}"))


def tally(records: list[Claim]) -> str:
    """Return how many verdicts there are of each kind.

    Examples
    --------
    >>> tally([{"verdict": "confirmed"}, {"verdict": "inconclusive"}, {"verdict": "confirmed"}])
    '2 confirmed, 1 inconclusive'
    """
    counts = Counter(record["verdict"] for record in records)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])


def game(name: str) -> str:
    """Return the name of a game as code.

    Examples
    --------
    >>> game("crowd_cycling")
    '`crowd_cycling`'
    """
    return f"`{name}`"


def listed(items: list[str]) -> str:
    """Return a list in words.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def outcome(records: list[Claim]) -> str:
    """Return the verdicts of one claim in words, with the games where it is not confirmed by name.

    Examples
    --------
    >>> outcome([{"game": "smooth", "verdict": "confirmed"}, {"game": "crowd", "verdict": "inconclusive"}])
    '**confirmed** in `smooth`; **inconclusive** in `crowd`'
    """
    parts = []
    for verdict in VERDICTS:
        games = [game(record["game"]) for record in records if record["verdict"] == verdict]
        if games:
            everywhere = verdict == "confirmed" and len(games) == len(records) > 2
            parts.append(f"**{verdict}** in " + (f"all {len(games)} games" if everywhere else listed(games)))
    return "; ".join(parts)
