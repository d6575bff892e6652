"""Sphinx: a page for every experiment, a page that lists them, and the games of the glossary.

The pages of docs/experiments are written before Sphinx looks for pages, from what an experiment says of itself, the
words of its figures, the configurations, and the pictures, verdicts and times that the repository tracks. No finished
run is needed, and a new experiment has its page without a line of its own.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml
from sphinx.application import Sphinx

from pma_mfg import games
from pma_replication import configuration, findings, registry, report
from pma_replication.experiment import Claim
from pma_replication.judging import VERDICTS
from pma_replication.runs import times

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
#: The configurations, the full replication's first: an experiment is shown as the first one runs it that has it.
CONFIGURATIONS = sorted((ROOT / "config").glob("*.yaml"), key=lambda path: (path.stem != "config", path.stem))
#: Games that differ in at most so many settings are told by the difference.
FEW = 2

#: The formula of a reward in the first line of a family.
FORMULA = re.compile(r"(R(?:\(s,a,mu\))? = .+?)(?=, P |: |$)")


@cache
def settings(path: Path) -> dict[str, Any]:
    """Return a configuration as it is written."""
    read: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return read


def sections(name: str) -> list[str]:
    """Return the sections of a configuration that make the tables of an experiment."""
    found = (table.section for table in registry.experiments()[name].tables.values())
    return list(dict.fromkeys(section for section in found if section is not None))


def configured(name: str) -> Path:
    """Return the configuration that an experiment is shown of."""
    needed = set(sections(name))
    return next(path for path in CONFIGURATIONS if needed <= settings(path).keys())


def figures(name: str) -> list[str]:
    """Return the figures of an experiment, or if it draws none those that show its claims."""
    experiment = registry.experiments()[name]
    shown = experiment.figures or dict.fromkeys(claim.figure for claim in experiment.claims.values() if claim.figure)
    return sorted(shown, key=list(report.FIGURES).index)


def ordered() -> list[str]:
    """Return the names of the experiments, ordered as their figures are in the report; who draws a figure is first."""
    place = list(report.FIGURES).index
    every = registry.experiments()
    return sorted(every, key=lambda name: (min(map(place, figures(name))), not every[name].figures))


@dataclass(frozen=True)
class Outcome:
    """What verdicts.md says of a claim: its heading, the quantity that is measured, and the verdict in each game."""

    heading: str
    quantity: str
    verdicts: dict[str, str]

    @property
    def anchor(self) -> str:
        """The anchor of the heading."""
        return re.sub(r"[^\w\- ]", "", self.heading.lower()).replace(" ", "-")

    @property
    def counts(self) -> str:
        """How many games have each verdict, in words."""
        counted = Counter(self.verdicts.values())
        return ", ".join(f"{counted[verdict]} {verdict}" for verdict in VERDICTS if counted[verdict])

    @property
    def otherwise(self) -> str:
        """The games in which the claim is not confirmed, in words."""
        found = [game for game, verdict in self.verdicts.items() if verdict == "not confirmed"]
        return findings.listed([f"`{game}`" for game in found])


@cache
def outcomes(page: Path) -> dict[str, Outcome]:
    """Return what a page of verdicts says of each claim; nothing if there is no such page."""
    found = {}
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        quantity = re.search(r" Quantity: (.*?)\.(?: Rival: |$)", body, re.MULTILINE)
        rows = re.findall(r"^\| (.+?) \| \*\*(.+?)\*\* \|", body, re.MULTILINE)
        found[heading.split(":")[0]] = Outcome(heading, quantity[1] if quantity else "", dict(rows))
    return found


def commands(name: str) -> list[dict[str, Any]]:
    """Return the commands that compute the figures and claims of an experiment anew: what each shows, what it takes."""
    experiment, path = registry.experiments()[name], configured(name)
    where, took = settings(path), times.tracked()
    drawn = [
        (f"figure `{each}`", [f"{where['figures']}/{each}.png"], took["figures"].get(each))
        for each in experiment.figures
    ]
    judged = [
        (claim, times.targets(of, where["results"], where["figures"]), took["claims"].get(claim))
        for claim, of in experiment.claims.items()
        if of.figure
    ]
    option = "" if path.stem == "config" else f" --configfile {path.relative_to(ROOT).as_posix()}"
    found: dict[str, dict[str, Any]] = {}
    for shows, targets, cost in [*drawn, *judged]:
        command = f"snakemake{option} -F {' '.join(targets)}"
        entry = found.setdefault(command, {"command": command, "shows": [], "took": None})
        entry["shows"].append(shows)
        entry["took"] = entry["took"] or (cost if path.stem == "config" else None)
    return list(found.values())


def escaped(text: str) -> str:
    """Return words that are no Markdown as Markdown that shows them as they are."""
    return re.sub(r"([\\*_`$<>|\[\]])", r"\\\1", text)


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DOCS / "_pages"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # it is Markdown
    )
    environment.filters |= {"escaped": escaped, "listed": findings.listed, "standing": findings.STANDINGS.get}
    return environment.get_template(name)


def page(name: str) -> str:
    """Return the page of an experiment, as Markdown."""
    experiment, path = registry.experiments()[name], configured(name)
    chosen = settings(path)
    folder = ROOT / chosen["figures"]
    judged = outcomes(folder / "verdicts.md")
    claims: list[tuple[str, Claim, Outcome | None]] = [
        (claim, of, judged.get(claim)) for claim, of in experiment.claims.items()
    ]
    names = sections(name)
    played = [game for section in names for game in chosen[section].get("games", ())]
    return _template("experiment.md.jinja").render(
        name=name,
        experiment=experiment,
        configuration=path.relative_to(ROOT).as_posix(),
        measured={section: inspect.cleandoc(str(configuration.SECTIONS[section].__doc__)) for section in names},
        games=list(dict.fromkeys(game for game in played if game in chosen["games"])),
        results=chosen["results"],
        pictures=[
            {
                "file": f"../../{chosen['figures']}/{each}.png",
                "exists": (folder / f"{each}.png").exists(),
                "tables": registry.figures()[each],
                "drawn_by": registry.drawing(each),
                "words": report.FIGURES[each],
            }
            for each in figures(name)
        ],
        claims=claims,
        # the verdicts of the full replication have a page of their own; others are shown below
        included="" if path.stem == "config" else f"../../{chosen['figures']}/verdicts.md",
        commands=commands(name),
    )


def index() -> str:
    """Return the page that lists the experiments, as Markdown."""
    every = registry.experiments()
    rows = []
    for name in ordered():
        judged = outcomes(ROOT / settings(configured(name))["figures"] / "verdicts.md")
        counted = Counter(
            verdict for claim in every[name].claims if claim in judged for verdict in judged[claim].verdicts.values()
        )
        verdicts = ", ".join(f"{counted[verdict]} {verdict}" for verdict in VERDICTS if counted[verdict])
        none = "verdicts: not run yet" if every[name].claims else "no claim of its own"
        rows.append({"name": name, "title": every[name].title, "verdicts": verdicts or none})
    return _template("index.md.jinja").render(rows=rows)


def differences(game: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return what is different in a game than in another one of its family, each in words; parameters are code."""
    defaults = {key: known["default"] for key, known in games.describe(game["family"])["parameters"].items()}
    found = []
    for key in ("regularizer", "strength"):
        if game[key] != other[key]:
            found.append(f"{key} {game[key]} (there {other[key]})")
    ours, theirs = (defaults | each["parameters"] for each in (game, other))
    return found + [f"`{key}` {ours[key]} (there {theirs[key]})" for key in ours if ours[key] != theirs[key]]


def told(name: str, every: dict[str, Any]) -> str:
    """Return what a game of a configuration is, in a sentence: by what it differs in from an earlier one, if little."""
    game = every[name]
    earlier = [each for each in list(every)[: list(every).index(name)] if every[each]["family"] == game["family"]]
    nearest = min(earlier, key=lambda each: len(differences(game, every[each])), default=None)
    if nearest and len(changed := differences(game, every[nearest])) <= FEW:
        return f"As {{term}}`{nearest}`, with {findings.listed(changed)}."
    summary = games.describe(game["family"])["summary"].rstrip(".")
    parameters = ", ".join(f"`{key}` {value}" for key, value in game["parameters"].items())
    pieces = re.split(FORMULA, summary[0].upper() + summary[1:])  # every second one is a formula, set as code
    words = "".join(f"`{piece}`" if i % 2 else escaped(piece) for i, piece in enumerate(pieces))
    told = [f"{words}.", f"With {parameters}." if parameters else ""]
    return " ".join([*filter(None, told), f"Regularizer {game['regularizer']}, strength {game['strength']}."])


def users(game: str, chosen: dict[str, Any]) -> Iterator[str]:
    """Yield the experiments in which a game of the full replication is."""
    for name in ordered():
        if any(game in chosen.get(section, {}).get("games", ()) for section in sections(name)):
            yield name


def glossary() -> str:
    """Return the games of the full replication as a Sphinx glossary, in the order of the configuration."""
    chosen = settings(CONFIGURATIONS[0])
    every = chosen["games"]
    lines = ["```{glossary}"]
    for name in every:
        links = [f"[{user}](experiments/{user}.md)" for user in users(name, chosen)]
        family = f" Family `{every[name]['family']}`." if every[name]["family"] != name else ""
        used = f" In {findings.listed(links)}." if links else ""
        lines += [name, f"  {told(name, every)}{family}{used}", ""]
    return "\n".join([*lines[:-1], "```", ""])


def pages() -> dict[str, str]:
    """Return the pages of docs/experiments, by the names of their files."""
    return {"index.md": index(), **{f"{name}.md": page(name) for name in registry.experiments()}}


def write(folder: Path, made: dict[str, str]) -> None:
    """Write pages that are new or have changed, and remove others: what has not changed is not built again."""
    folder.mkdir(exist_ok=True)
    for path in set(folder.glob("*.md")) - {folder / name for name in made}:
        path.unlink()
    for name, text in made.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def prepare(app: Sphinx) -> None:
    """Write the pages of the experiments."""
    write(Path(app.srcdir) / "experiments", pages())


def add_games(app: Sphinx, name: str, source: list[str]) -> None:
    """Put the games into the glossary, where its mark is."""
    if name == "glossary":
        source[0] = source[0].replace("<!-- games -->\n", glossary())


def always_read(app: Sphinx, *changes: Iterable[str]) -> list[str]:
    """Read the glossary in every build: its games are of the configuration."""
    return ["glossary"]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the functions above."""
    app.connect("builder-inited", prepare)
    app.connect("env-get-outdated", always_read)
    app.connect("source-read", add_games)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
