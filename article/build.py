"""Make the article of a finished run: article.pdf in its results.

    python article/build.py config/config.yaml

Every number in it comes from the verdicts, through what is written into article.json; the template, article.typ, holds
none. Exit code 2: the run is not finished.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from pma_mfg import __version__, storage
from pma_mfg.errors import InputError
from pma_replication import configuration, experiments, findings, judging, registry, report
from pma_replication.judging import VERDICTS
from pma_replication.runs import sources

HERE = Path(__file__).resolve().parent


def typst_text(markdown: str) -> list[dict[str, str]]:
    """Return a sentence of the findings as pieces with a style, which the template sets; links keep their text only."""
    # a group of links in brackets leads nowhere on paper
    plain = re.sub(r" ?\((?:\[[^\]]*\]\([^)]*\)(?:, )?)+\)", "", markdown)
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", plain)
    pieces = re.split(r"(\*\*[^*]+\*\*|\*[^*]+\*|`[^`]+`)", plain)
    styles = {"**": "strong", "*": "emph", "`": "code"}
    found = []
    for piece in filter(None, pieces):
        mark = next((mark for mark in styles if piece.startswith(mark) and piece.endswith(mark)), "")
        text = piece[len(mark) : len(piece) - len(mark)]
        found.append({"style": styles.get(mark, "plain") if len(piece) > 1 else "plain", "text": text or piece})
    return found


def claim_rows(records: list[judging.Claim]) -> dict[str, list[dict[str, Any]]]:
    """Return a row for each claim by its group (C1 to C10): statement, rival, games and power, verdicts."""
    claims = registry.claims()
    groups: dict[str, list[dict[str, Any]]] = {}
    for name in dict.fromkeys(record["id"] for record in records):
        of = [record for record in records if record["id"] == name]
        counts = Counter(record["verdict"] for record in of)
        powers = sorted(record["power"] for record in of if record["power"] is not None)
        row = {
            "id": name,
            "words": claims[name].words,
            "rival": claims[name].rival,
            "standing": {"paper": "paper", "sharpened": "sharpened", "ours": "ours"}[claims[name].standing],
            "verdicts": {verdict: counts[verdict] for verdict in VERDICTS},
            "power": f"{powers[0]:.2f}" if powers else "–",
        }
        groups.setdefault(registry.group(name), []).append(row)
    return groups


def parts(settings: dict[str, Any], records: list[judging.Claim]) -> list[dict[str, Any]]:
    """Return the sections on published experiments: those of article.yaml in an experiment's folder, if it was run."""
    found = []
    for path in sorted(Path(str(experiments.__file__)).parent.glob("*/article.yaml")):
        words, own = yaml.safe_load(path.read_text(encoding="utf-8")), settings.get(path.parent.name)
        if own is None or not any(record["id"] in words["statements"] for record in records):
            continue
        of = {name: [record for record in records if record["id"] == name] for name in words["statements"]}
        games = list(dict.fromkeys(record["game"] for each in of.values() for record in each))
        known = own | {"games": ", ".join(games), "confidence": confidence(settings)}
        rows = [
            {"what": what, "theirs": published, "known": known_by, "ours": _filled(ours, known)}
            for what, published, known_by, ours in words["settings"]
        ]
        cells = [[_cell(of[name], game) for name in of] for game in games]
        prose = {key: [typst_text(text) for text in words[key]] for key in ("introduction", "unmatched")}
        prose["beyond"] = typst_text(words["beyond"])
        tallies = [
            {"claim": name, "words": words["statements"][name], "tally": findings.tally(of[name])} for name in of
        ]
        theirs = (record for name in words["stated"] for record in of[name] if record["game"] in words["tasks"])
        stated = Counter(record["verdict"] for record in theirs)
        counted = {"sum": stated.total(), "counts": {verdict: stated[verdict] for verdict in VERDICTS}}
        fixed = {key: words[key] for key in ("title", "source", "cite", "bibtex", "rules", "figure")}
        tables = {"settings": rows, "statements": tallies, "games": games, "cells": cells}
        found.append({**fixed, **prose, **tables, "stated": counted})
    return found


def _filled(text: str, known: dict[str, Any]) -> str:
    """Return a text with settings of a run in place of their names in braces; a dash if it has not all of them."""
    try:
        return text.format(**known)
    except KeyError:
        return "–"


def _cell(records: list[judging.Claim], game: str) -> dict[str, str]:
    """Return what was measured for one claim in one game, with its verdict; nothing if it was not tested there."""
    for record in records:
        if record["game"] == game:
            low, high = record["interval"] or (None, None)
            interval = "" if record["estimate"] is None else f" [{findings.number(low)}, {findings.number(high)}]"
            return {"verdict": record["verdict"], "text": findings.number(record["estimate"]) + interval}
    return {"verdict": "", "text": "–"}


def confidence(settings: dict[str, Any]) -> str:
    """Return the confidence of intervals in percent."""
    return f"{100 * settings['claims']['confidence']:.0f}"


def data(settings: dict[str, Any], records: list[judging.Claim], commit: str) -> dict[str, Any]:
    """Return all that the template prints."""
    counts = Counter(record["verdict"] for record in records)
    _, *lines = findings.items("found.md.jinja", records, settings["figures"], folder=".")
    tables = configuration.tables(settings)
    return {
        "version": __version__,
        "commit": commit,
        "results": settings["results"],
        "seed": settings["seed"],
        "counts": {verdict: counts[verdict] for verdict in VERDICTS},
        "n_verdicts": len(records),
        "n_claims": len({record["id"] for record in records}),
        "n_games": len({record["game"] for record in records}),
        "of_the_paper": sum(record["standing"] == "paper" for record in records),
        "confidence": confidence(settings),
        "parts": parts(settings, records),
        "found": [[typst_text(line) for line in item] for item in lines],
        "groups": [
            {"id": group, "title": report.group_titles().get(group, group), "claims": rows}
            for group, rows in claim_rows(records).items()
        ],
        "figures": {
            name: {
                "title": words["title"],
                "axes": words["axes"],
                "see": words["see"],
                "refuted": words["refuted"],
                "tables": list(registry.figures()[name]),
                "claims": words["claims"],
            }
            for name, words in report.FIGURES.items()
            if name in registry.drawn(tables)
        },
    }


def main(config: str) -> int:
    """Write the article, and say where it is."""
    try:
        settings = configuration.finished(config)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    import typst  # of .venv-article

    results, figures = Path(settings["results"]), Path(settings["figures"])
    records = storage.read_json(results / "claims.json")
    folder = results / "article"
    folder.mkdir(exist_ok=True)
    shutil.copy(HERE / "article.typ", folder)
    for path in figures.glob("*.svg"):
        shutil.copy(path, folder)
    storage.write_json(folder / "article.json", data(settings, records, sources.commit(HERE, 12)))
    pages = typst.compile(folder / "article.typ", format="png", ppi=72.0)
    typst.compile(folder / "article.typ", output=results / "article.pdf")
    print(f"article: {results / 'article.pdf'} ({len(pages) if isinstance(pages, list) else 1} pages)")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
