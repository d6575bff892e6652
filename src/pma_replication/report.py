"""One HTML page that shows a whole replication, and opens offline: the answer, claims, figures, data, how it was made.

It computes nothing, but for the part in which a reader tries games (explore): verdicts, tables, figures and times are
those of the pipeline, words are in report.yaml and in each experiment's words.yaml, the layout in report.html.
Snakemake's own report, `snakemake --report`, has the same words as captions (workflow/report), but no front page with
claims and verdicts, and keeps every figure behind clicks.
"""

from __future__ import annotations

import base64
import io
import math
import os
import platform
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup
from PIL.Image import open as open_image

from pma_mfg import __version__, storage
from pma_mfg.errors import Description, InputError
from pma_replication import configuration, experiments, explore, findings, judging, registry, sections, verdicts
from pma_replication.experiments.comparison import judge as comparison_judge
from pma_replication.experiments.equilibria import judge as equilibria_judge
from pma_replication.experiments.literature import judge as literature_judge
from pma_replication.experiments.networked import judge as networked_judge
from pma_replication.experiments.one_trajectory import judge as one_trajectory_judge
from pma_replication.experiments.paths import judge as paths_judge
from pma_replication.experiments.scaling import judge as scaling_judge
from pma_replication.judging import VERDICTS
from pma_replication.runs import tables as parquet
from pma_replication.runs import times

WORDS: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))

#: The verdicts that leave a claim open.
_OPEN = ("vacuous", "inconclusive")

#: All verdicts, in the order in which a reader is told of them.
_OPEN_FIRST = ("not confirmed", *_OPEN, "confirmed")

#: What kind of statement a claim is -> what readers are told.
_NATURES = {"test": "", "identity": "follows from definitions", "check": "checks our own method"}


def _figures() -> dict[str, dict[str, Any]]:
    """Return the words of the figures, of each experiment's words.yaml, in the order in which they are shown.

    The claims of a figure are those that name it, where it does not name others.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in Path(str(experiments.__file__)).parent.glob("*/words.yaml"):
        found |= yaml.safe_load(path.read_text(encoding="utf-8"))
    claims = registry.claims().items()
    first, last = WORDS["first"], WORDS["last"]
    between = [name for name in registry.figures() if name in found and name not in (*first, *last)]
    return {
        name: {"claims": [claim for claim, of in claims if of.figure == name], **found[name]}
        for name in (*first, *between, *last)
    }


#: Figure -> its title, axes, what to see, what would refute, and claims.
FIGURES = _figures()

#: Where `make docs` builds the documentation, in whose pages of the theory the report's readers may look sections up.
SITE = Path("site")

#: A table is in the page as CSV up to this many bytes; beyond it the page links to its file, so as to open at once.
LARGEST_CSV = 40_000


def write(config: str | Path, rulegraph: str, out: str | Path | None = None) -> Path:
    """Write the report of a finished run.

    Parameters
    ----------
    config : path-like
        The configuration, whose `results` and `figures` say where everything is.
    rulegraph : str
        What ``snakemake --rulegraph`` prints for it.
    out : path-like, optional
        ``report.html`` in the results by default.

    Returns
    -------
    Path
        Where the report is.

    Raises
    ------
    InputError
        If the run is not finished: verdicts, a table or a figure are missing.
    """
    settings = configuration.finished(config)
    results, figures = Path(settings["results"]), Path(settings["figures"])
    target = Path(out) if out else results / "report.html"
    records = storage.read_json(results / "claims.json")
    tables = {name: parquet.read_table(results / f"tables/{name}.parquet") for name in configuration.tables(settings)}
    shown = [name for name in FIGURES if name in registry.drawn(tables)]
    others = any(not record.get("own") for record in records) or not records
    words = {name: FIGURES[name] if others else FIGURES[name] | FIGURES[name].get("own", {}) for name in shown}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["linked"] = partial(sections.linked, where=sections.addresses(SITE, target.parent))
    text = environment.get_template("report.html").render(
        answer=answer(records),
        open=unconfirmed(records),
        untested=untested(records),
        own=[_name(game) for game in _by([record for record in records if record.get("own")], "game")],
        others=others,
        groups=_groups(records, shown),
        paper=judging.PAPER,
        results=results.as_posix(),
        figures=[
            {
                "name": name,
                **words[name],
                "claims": [claim for claim in words[name]["claims"] if claim in _by(records, "id")],
                "tables": [table for table in registry.figures()[name] if table in tables],
                **_picture(figures / f"{name}.png", target.parent),
            }
            for name in shown
        ],
        cells={
            name: {"text": text.replace("*", ""), "rows": _cells(make(tables[name]))}
            for name, text, make in (
                ("assumptions", equilibria_judge.ASSUMPTIONS, equilibria_judge.assumptions_cells),
                ("literature", literature_judge.GAMES.format("the table of assumptions"), literature_judge.games_cells),
                ("literature_equilibria", literature_judge.SEVERAL, literature_judge.equilibria_cells),
                ("samples_to_accuracy", comparison_judge.COMPARISON, comparison_judge.comparison_cells),
                ("one_trajectory_samples", one_trajectory_judge.TABLE, one_trajectory_judge.cells),
                ("scaling", scaling_judge.TABLE, scaling_judge.scaling_cells),
                ("networked", networked_judge.TABLE, networked_judge.networked_cells),
                ("paths_equilibria", paths_judge.TABLE, paths_judge.paths_cells),
            )
            if name in tables
        },
        explore=explore.section(explore.zoo(results / "games", _cycling_first(settings))),
        data=[_download(results / f"tables/{name}.parquet", table, target.parent) for name, table in tables.items()],
        rulegraph=Markup(draw_graph(*read_graph(rulegraph))),
        times=_cells(run_times(results / "benchmarks")),
        versions=versions(),
        configuration={"path": Path(config).name, "text": Path(config).read_text(encoding="utf-8")},
        built=f"{datetime.now(UTC):%Y-%m-%d}",
    )
    storage.write_text(target, text)
    return target


def _cycling_first(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the games of a configuration; where best response cycles in most configurations comes first."""
    games: dict[str, Any] = settings["games"]
    first = [name for name in settings.get("dynamics", {}).get("games", [])[:1] if name in games]
    return {name: games[name] for name in [*first, *games]}


def answer(records: Sequence[judging.Claim]) -> list[str]:
    """Return sentences on whether the theory holds: on the paper's own statements, on what sharpens them, on own games.

    Games of the user's own say nothing of the paper, whose assumptions they may not meet: they have a sentence each.

    Parameters
    ----------
    records : list of dict
        Of `verdicts.evaluate`.

    Returns
    -------
    list of str
    """
    theirs = [record for record in records if not record.get("own")]
    own = [record for record in records if record.get("own")]
    sentences = [_of_game(game, rows) for game, rows in _by(own, "game").items()]
    return [*_of_paper(theirs), *sentences] if theirs or not own else sentences


def _of_paper(records: Sequence[judging.Claim]) -> tuple[str, str]:
    """Return a sentence on the paper's own statements, and one on those of ours."""
    paper = [record for record in records if _of_the_paper(record)]
    rest = [record for record in records if not _of_the_paper(record)]
    first, second = "Nothing of the paper was tested.", "Nothing that goes beyond the paper was tested."
    if paper:
        found = {record["verdict"] for record in paper}
        start = "This run cannot tell" if found <= set(_OPEN) else "Yes, as far as it could be tested"
        start = "Not everywhere" if "not confirmed" in found else start
        first = f"{start}: of {_verdicts(paper)} that the paper itself is known to make, {_counted(paper)}."
    if rest:
        second = f"Of {_verdicts(rest)} of ours, that sharpen or surround it, {_counted(rest)}."
    return first, second


#: What a verdict means, in words that need no theory.
_MEANING = {
    "confirmed": "confirmed (it is as the statement says, and not as it would be if its idea were wrong)",
    "not confirmed": "not confirmed (it is otherwise)",
    "vacuous": "vacuous (it is as the statement says, but would be so anyway)",
    "inconclusive": "inconclusive (too much noise, too small a run, or nothing to test)",
}


def _verdicts(records: Sequence[judging.Claim]) -> str:
    """Return "5 verdicts on 3 statements (C4, C7, C8)", with the names where they are few."""
    names = list(_by(records, "id"))
    named = f" ({', '.join(names)})" if len(names) <= 4 else ""
    n, k = len(records), len(names)
    return f"{n} verdict{'s' * (n > 1)} on {k} statement{'s' * (k > 1)}{named}"


def _counted(records: Sequence[judging.Claim]) -> str:
    """Return how many verdicts there are of each kind, and what they mean; those that contradict with their games."""
    said = []
    for verdict in _OPEN_FIRST:
        rows = [record for record in records if record["verdict"] == verdict]
        if not rows:
            continue
        named = ""
        if verdict == "not confirmed" and len(rows) <= 4:
            named = ": " + ", ".join(f"{row['id']} in {_name(row['game'])}" for row in rows)
        said.append(f"{len(rows)} {'is' if len(rows) == 1 else 'are'} {_MEANING[verdict]}{named}")
    return "; ".join(said)


def _of_game(game: str, rows: Sequence[judging.Claim]) -> str:
    """Return a sentence on one of the user's own games: what holds in it, what does not, what could not be seen."""
    names = {verdict: [row["id"] for row in rows if row["verdict"] == verdict] for verdict in VERDICTS}
    small = [row["id"] for row in rows if row.get("too_small")]
    said = [f"In the game {_name(game)} {len(names['confirmed'])} of {len(rows)} statements were tested and hold"]
    if names["not confirmed"]:
        said.append(f"{_count(names['not confirmed'])} contradicted there")
    else:
        said.append("none is contradicted")
    if names["vacuous"]:
        said.append(f"{_count(names['vacuous'])} vacuous, for what would be true without them is not excluded")
    if small:
        said.append(f"{_count(small)} undecided, for the range that was run is too small")
    if untested := [name for name in names["inconclusive"] if name not in small]:
        said.append(f"{_count(untested)} undecided for other reasons: a wide interval, or nothing to test")
    return f"{'; '.join(said)}."


def _of_the_paper(record: judging.Claim) -> bool:
    """Whether a record is evidence on a statement that the paper makes."""
    return bool(record["standing"] == "paper" and record["nature"] == "test")


def _name(game: str) -> str:
    return game.replace("_", " ")


def _count(names: Sequence[str]) -> str:
    """Return "3 are", with the names where they are few."""
    named = f" ({', '.join(names)})" if 0 < len(names) <= 4 else ""
    return f"{len(names)}{named} {'is' if len(names) == 1 else 'are'}"


def overall(rows: Sequence[judging.Claim]) -> str:
    """Return the verdict on a claim over all games: one that contradicts decides, then one that confirms."""
    found = {row["verdict"] for row in rows}
    return next(verdict for verdict in ("not confirmed", "confirmed", "vacuous", "inconclusive") if verdict in found)


#: Claims whose verdicts are each about many games: a grid, a line, or a family of them.
_OF_SETS = {claim for name in ("atlas", "scaling", "paths") for claim in registry.experiments()[name].claims}


def in_words(rows: Sequence[judging.Claim], first: str = "") -> str:
    """Return in how many games there is each verdict: first the one that is named, or else the one that decides.

    Examples
    --------
    >>> in_words([{"verdict": verdict} for verdict in ("confirmed", "inconclusive", "inconclusive")])
    'confirmed in 1 of 3 games, inconclusive in 2'
    """
    found, first = Counter(row["verdict"] for row in rows), first or overall(rows)
    one, many = ("set of games", "sets of games") if rows[0].get("id") in _OF_SETS else ("game", "games")
    if len(found) == 1:
        return f"{first} in the one {one} of this test" if len(rows) == 1 else f"{first} in all {len(rows)} {many}"
    others = [f"{verdict} in {found[verdict]}" for verdict in _OPEN_FIRST if verdict in found and verdict != first]
    return ", ".join([f"{first} in {found[first]} of {len(rows)} {many}", *others])


def unconfirmed(records: Sequence[judging.Claim]) -> list[dict[str, Any]]:
    """Return what is not confirmed, then what is vacuous: a claim, its verdicts, and why, in sentences.

    Parameters
    ----------
    records : list of dict
        Of `verdicts.evaluate`.

    Returns
    -------
    list of dict
        With the keys id, statement, paper, verdict, words, and why, which is a list of str.
    """
    found = []
    for verdict, reasons in (("not confirmed", _contradictions), ("vacuous", _vacuities)):
        for name, rows in _by(records, "id").items():
            if open_rows := [row for row in rows if row["verdict"] == verdict]:
                found.append(
                    {
                        "id": name,
                        "statement": _plain(rows[0]),
                        "paper": _of_the_paper(rows[0]),
                        "verdict": verdict,
                        "words": in_words(rows, verdict),
                        "why": reasons(open_rows),
                    }
                )
    return found


def _contradictions(rows: Sequence[judging.Claim]) -> list[str]:
    """Return a sentence for each game in which a claim is contradicted: what was measured, expected, and how."""
    return [
        f"In {_name(row['game'])} the {row['quantity']} is {_interval(row)}, where {_range(row['expected'])} was "
        f"expected: {row['how']}."
        for row in rows
    ]


def _vacuities(rows: Sequence[judging.Claim]) -> list[str]:
    """Return a sentence for all games in which a claim is vacuous for the same reason."""
    said = []
    for rival, alike in _by(rows, "rival").items():
        games = findings.listed([_name(row["game"]) for row in alike])
        predictions = list(_by(alike, "rival_prediction"))
        predicted = f" (predicted then: {predictions[0]})" if len(predictions) == 1 else ""
        how = f": {alike[0]['how']}" if len(alike) == 1 else ""
        if alike[0]["nature"] == "identity":
            why = "this follows from definitions and could not have been otherwise"
        else:
            why = f"the measurement does not exclude the rival, that {rival}"
        said.append(f"In {games} it is as stated, but {why}{predicted}{how}.")
    return said


def _plain(row: judging.Claim) -> str:
    """Return a claim in words that need no symbols, as a sentence; as it is stated where there are none."""
    words = registry.claims()[row["id"]].words if row["id"] in registry.claims() else ""
    return f"{words[0].upper()}{words[1:]}." if words else row["statement"]


def _interval(row: judging.Claim) -> str:
    low, high = map(_number, row["interval"])
    return low if low == high else f"{_number(row['estimate'])} (95 % interval {low} to {high})"


def _by(records: Iterable[judging.Claim], key: str) -> dict[str, list[judging.Claim]]:
    rows: dict[str, list[judging.Claim]] = {}
    for record in records:
        rows.setdefault(record[key], []).append(record)
    return rows


def untested(records: Sequence[judging.Claim]) -> list[dict[str, str]]:
    """Return the claims, with their words, that can be tried in a user's game and of which there is no verdict."""
    there = {record["id"] for record in records}
    own = {name: claim.words for name, claim in registry.claims().items() if claim.steps and name not in there}
    return [{"id": name, "words": own[name]} for name in sorted(own, key=registry.number)]


def _groups(records: Sequence[judging.Claim], shown: Sequence[str]) -> list[dict[str, Any]]:
    """Return the claims as the page shows them, in groups."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, rows in sorted(_by(records, "id").items(), key=lambda item: registry.number(item[0])):
        first = rows[0]
        estimates = [row["estimate"] for row in rows if row["estimate"] is not None]
        ranges = sorted({_range(row["expected"]) for row in rows})
        low, high = (_number(f(estimates)) if estimates else "–" for f in (min, max))
        claim = {
            "id": name,
            "paper": _of_the_paper(first),
            "standing": findings.STANDINGS[first["standing"]],
            "nature": _NATURES[first["nature"]],
            "rival": first["rival"],
            "settled": first["settled"],
            "statement": first["statement"],
            "source": first["source"].removeprefix(verdicts.STANDINGS[first["standing"]]),
            "verdict": overall(rows),
            "words": in_words(rows),
            "quantity": first["quantity"],
            "measured": low if low == high else f"{low} to {high}",
            "expected": "; ".join(ranges) if len(ranges) < 3 else "differs by game",
            "figures": [figure for figure in shown if name in FIGURES[figure]["claims"]],
            "tables": first["tables"],
            "code": first["code"],
            "games": [
                {
                    "game": _name(row["game"]),
                    "verdict": row["verdict"],
                    "estimate": _number(row["estimate"]),
                    "interval": " … ".join(map(_number, row["interval"])),
                    "expected": _range(row["expected"]),
                    "rival": row["rival_prediction"],
                    "power": _number(row["power"]),
                    "how": row["how"],
                }
                for row in rows
            ],
        }
        groups.setdefault(registry.group(name), []).append(claim)
    titles = group_titles()
    return [{"id": name, "title": titles.get(name, name), "claims": rows} for name, rows in groups.items()]


def group_titles() -> dict[str, str]:
    """Return what the claims of a group, such as C1, are on: an experiment's title, if report.yaml has no words."""
    every = registry.experiments().values()
    titles = {registry.group(claim): each.title.capitalize() for each in every for claim in each.claims}
    titles |= WORDS["groups"]
    return titles


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}".replace("-", "−")


def _range(ends: Sequence[float | None]) -> str:
    """Return the range that a claim allows, in words."""
    low, high = ends
    if low == high:
        return _number(low)
    if low is None or high is None:
        return f"at most {_number(high)}" if low is None else f"at least {_number(low)}"
    return f"{_number(low)} to {_number(high)}"


def _cells(table: pd.DataFrame) -> dict[str, list[Any]]:
    return {"columns": list(table.columns), "rows": table.to_numpy().tolist()}


def _link(path: Path, folder: Path) -> str:
    """Return the address of a file for a page in a folder."""
    return quote(Path(os.path.relpath(path, folder)).as_posix())


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _picture(path: Path, folder: Path) -> dict[str, Any]:
    """Return a figure for a page in a folder: the same pixels in less than half of the bytes, and its SVG as a link."""
    packed = io.BytesIO()
    try:
        with open_image(path) as image:
            width, height = image.size
            image.convert("RGB").save(packed, "webp", lossless=True, method=4)
    except FileNotFoundError:
        wanted = "a figure; make figures draws it"
        raise InputError(str(path), "file", Description("nothing there"), wanted) from None
    picture, drawing = _data_uri(packed.getvalue(), "image/webp"), _link(path.with_suffix(".svg"), folder)
    return {"picture": picture, "width": width, "height": height, "file": drawing}


def _download(path: Path, table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """Return what a page in a folder says of a table, with the table itself, or the address of its file, as a link."""
    text = table.to_csv(index=False).encode()
    inside = len(text) <= LARGEST_CSV
    return {
        "name": path.stem,
        "file": path.stem + (".csv" if inside else ".parquet"),
        "rows": f"{len(table):,}",
        "columns": ", ".join(table.columns),
        "inside": inside,
        "address": _data_uri(text, "text/csv") if inside else _link(path, folder),
    }


def run_times(folder: Path) -> pd.DataFrame:
    """Return the time and memory of each rule, from Snakemake's benchmark files.

    Parameters
    ----------
    folder : Path
        With a file for each job: ``<rule>.tsv``, or ``<rule>/<job>.tsv``.

    Returns
    -------
    DataFrame
        Of str, the longest rule first.
    """
    none = pd.DataFrame({"s": [], "memory": [], "rule": []}).astype({"rule": str})
    jobs = [none]
    for path in sorted(folder.rglob("*.tsv")):
        measured = pd.read_csv(path, sep="\t", na_values=["-", "NA"])[["s"]].astype(float)
        measured["memory"] = times.used(path)[1]
        jobs.append(measured.assign(rule=path.relative_to(folder).parts[0].removesuffix(".tsv")))
    rules = (
        pd.concat(jobs)
        .groupby("rule")
        .agg(jobs=("s", "size"), total=("s", "sum"), longest=("s", "max"), memory=("memory", "max"))
    )
    rules = rules.sort_values("total", ascending=False).reset_index()
    return pd.DataFrame(
        {
            "step": rules["rule"],
            "jobs": rules["jobs"].map(str),
            "seconds, all jobs": rules["total"].map("{:,.1f}".format),
            "longest job": rules["longest"].map("{:,.1f}".format),
            "most memory, MB": rules["memory"].map(lambda value: "–" if math.isnan(value) else f"{value:,.0f}"),
        }
    )


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package, and of what it and its pipeline need."""
    needed = [
        match[0]
        for requirement in metadata.requires("pma-mfg") or []
        if "extra" not in requirement or "pipeline" in requirement
        if (match := re.match(r"[\w.-]+", requirement))
    ]
    found = {"Python": platform.python_version(), "pma-mfg": __version__}
    found |= {name: metadata.version(name) for name in sorted(needed, key=str.lower)}
    return {"system": f"{platform.system()} on {platform.machine()}", **found}


def read_graph(dot: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Read the nodes and edges that ``snakemake --rulegraph`` prints.

    Parameters
    ----------
    dot : str
        In the language of Graphviz.

    Returns
    -------
    labels : dict of str
        The rule of each node.
    edges : list of tuple
        Pairs of nodes: the second uses what the first makes.

    Raises
    ------
    InputError
        If there is no rule in it.
    """
    labels = dict(re.findall(r'^\s*(\d+)\s*\[label = "(\w+)', dot, re.MULTILINE))
    edges = re.findall(r"^\s*(\d+) -> (\d+)", dot, re.MULTILINE)
    if not labels:
        raise InputError("pma-replicate report", "--rulegraph", dot, "what `snakemake --rulegraph` prints")
    return labels, edges


def draw_graph(labels: dict[str, str], edges: list[tuple[str, str]]) -> str:
    """Return an SVG of an acyclic graph from left to right: each node right of all that it uses.

    Parameters
    ----------
    labels, edges
        Of `read_graph`.

    Returns
    -------
    str
    """
    layer = dict.fromkeys(labels, 0)
    for _ in labels:
        for before, after in edges:
            layer[after] = max(layer[after], layer[before] + 1)
    width, height, across, down = 138, 22, 190, 30
    columns = [sorted(n for n in labels if layer[n] == k) for k in range(max(layer.values()) + 1)]
    tallest = max(map(len, columns))
    place = {}
    for k, column in enumerate(columns):
        column.sort(key=lambda node: labels[node])
        for i, node in enumerate(column):
            place[node] = (1 + k * across, 1 + (i + (tallest - len(column)) / 2) * down)
    size = (len(columns) * across - across + width + 2, tallest * down)
    parts = [f'<svg viewBox="0 0 {size[0]} {size[1]}" width="{size[0]}" role="img" aria-label="Graph of the rules">']
    for before, after in edges:
        (x0, y0), (x1, y1) = place[before], place[after]
        x0, y0, y1 = x0 + width, y0 + height / 2, y1 + height / 2
        middle = (x0 + x1) / 2
        parts.append(f'<path d="M{x0} {y0}C{middle} {y0} {middle} {y1} {x1} {y1}"/>')
    for node, (x, y) in place.items():
        parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="5"/>')
        parts.append(f'<text x="{x + width / 2}" y="{y + 15}">{labels[node]}</text>')
    return "".join([*parts, "</svg>"])
