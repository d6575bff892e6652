"""What the documentation says runs, findings hold no typed number, and an installed package needs no repository."""

import doctest
import importlib
import json
import math
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import jinja2
import pytest
import yaml

import pma_mfg
import pma_replication
from pma_mfg.errors import InputError
from pma_replication import experiments, findings, judging, registry, verdicts
from pma_replication.experiments.one_trajectory import judge as one_trajectory_judge

ROOT = Path(__file__).resolve().parents[1]
#: The source of all judges.
JUDGES = "".join(path.read_text() for path in (ROOT / "src/pma_replication/experiments").rglob("judge.py"))
TEMPLATE = ROOT / "src/pma_replication/findings.md.jinja"
#: Modules that need what is not locked, and whose examples are run by `make test-interop`.
EXTRAS = ("pma_mfg.interop.mfglib", "pma_mfg.interop.openspiel")
#: Packages that say what they offer under their own name.
PACKAGES = ("pma_mfg.games", "pma_mfg.equilibrium", "pma_mfg.paths", "pma_mfg.plotting", "pma_mfg.regularizers")
WITH_EXAMPLES = [
    ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    for path in sorted((ROOT / "src").rglob("*.py"))
    if re.search(r"^ +>>> ", path.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("module", [name for name in WITH_EXAMPLES if name not in EXTRAS])
def test_examples_in_docstrings_print_what_they_say(module: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried
    assert failed == 0


def test_examples_in_the_guide_print_what_they_say() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/guide.md").read_text(), re.DOTALL)
    examples = doctest.DocTestParser().get_doctest(
        "\n".join(block + "\n" for block in blocks), {}, "guide", "docs/guide.md", 0
    )
    assert len(examples.examples) > 5
    assert doctest.DocTestRunner().run(examples).failed == 0


def readme() -> str:
    return (ROOT / "README.md").read_text()


def test_the_documentation_is_built_and_its_notebooks_run_without_a_warning() -> None:
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "docs", "site"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_is_a_page() -> None:
    text = readme()
    assert len(text.splitlines()) <= 110
    assert len(text.split()) <= 1000
    assert max(map(len, text.splitlines())) <= 200


def test_the_readme_cites_what_the_citation_file_names() -> None:
    cited = readme().partition("```bibtex\n")[2]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    (paper,) = citation["references"]
    assert citation["version"] == pma_mfg.__version__
    for text in (citation["title"], citation["version"], citation["authors"][0]["name"], paper["title"]):
        assert f"{{{text}}}" in cited
    people = " and ".join(f"{each['family-names']}, {each['given-names']}" for each in paper["authors"])
    pages, volume, year = f"{paper['start']}--{paper['end']}", paper["volume"], paper["year"]
    for text in (people, paper["collection-title"], pages, volume, year, paper["publisher"]["name"]):
        assert f"{{{text}}}" in cited


def test_links_of_the_readme_lead_to_files_and_sections_that_exist() -> None:
    links = re.findall(r"\]\((?!https:)([^)#]*)(?:#([^)]*))?\)", readme())
    assert len(links) > 20
    missing = [
        (path, section)
        for path, section in links
        if not (ROOT / path).is_file()
        or (section and section not in {anchor(title) for _, title in headings(ROOT / path)})
    ]
    assert missing == []


def test_every_public_module_is_in_the_reference() -> None:
    pages = "".join(path.read_text() for path in (ROOT / "docs/api").glob("*.md"))
    described = set(re.findall(r"automodule:: (\S+)", pages))
    modules = {
        module.name
        for package in (pma_mfg, pma_replication)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not module.name.startswith(f"{experiments.__name__}.")  # listed when the page is built
        if not module.ispkg or module.name in PACKAGES
    }
    assert described == modules


def test_files_and_commands_that_contributors_are_told_of_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"(?:src|tests|workflow|config|docs)/[\w/.]*\w", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


# Findings


def verdicts_as_printed() -> list[judging.Claim]:
    """The records behind figures/verdicts.md, with the digits that it shows."""

    def number(text: str) -> float | None:
        return None if text == "–" else float(text)

    records, heading, source = [], ("", ""), ("", "", "")
    for line in (ROOT / "figures/verdicts.md").read_text().splitlines():
        if line.startswith("## "):
            heading = tuple(line[3:].split(": ", 1))
        elif " Quantity: " in line:
            source = re.fullmatch(
                r"(.*?)\.(?: (?:It follows|A check) .*)? Quantity: (.*?)\. Rival: (.*?)\.(?: Settled after a .*)?", line
            ).groups()
        elif "**" in line:
            cells = [cell.replace("\\|", "|") for cell in re.split(r"(?<!\\) \| ", line[2:-2])]
            game, verdict, estimate, interval, expected, prediction, power, how = cells
            records.append(
                {
                    "id": heading[0],
                    "statement": heading[1],
                    "standing": registry.claims()[heading[0]].standing,
                    "nature": registry.claims()[heading[0]].nature,
                    "source": source[0],
                    "game": game,
                    "quantity": source[1],
                    "estimate": number(estimate),
                    "interval": [number(end) for end in interval.split(" … ")],
                    "expected": [number(end) for end in expected.split(" … ")],
                    "verdict": verdict.strip("*"),
                    "rival": source[2],
                    "rival_prediction": prediction,
                    "power": number(power),
                    "how": how,
                    "too_small": how.startswith("too small a range"),
                    "own": False,
                    "settled": "after a first look" if "settled" in verdicts.EXPECTED[heading[0]] else "before",
                }
            )
    return records


def test_the_findings_are_those_of_the_verdicts_that_are_shown() -> None:
    records = verdicts_as_printed()
    assert verdicts.markdown(records) == (ROOT / "figures/verdicts.md").read_text()
    assert findings.markdown(records, "figures", "docs") == (ROOT / "docs/findings.md").read_text()


def test_the_readme_tells_what_the_shown_verdicts_say() -> None:
    records, text = verdicts_as_printed(), (ROOT / "README.md").read_text()
    assert findings.readme(text, records) == text
    assert findings.readme(findings.readme(text, []), records) == text
    nothing = findings.readme(text, []).partition(findings.MARKS[0])[2].partition(findings.MARKS[1])[0]
    assert nothing.split()[:3] == ["Of", "0", "verdicts,"]
    assert "Contraction" not in nothing
    assert len(re.findall(r"^- \*\*", findings.readme("\n".join(findings.MARKS), records), re.MULTILINE)) == 5
    held, refuted = (
        findings.readme(text, [record | {"verdict": verdict} for record in records]).partition(findings.MARKS[0])[2]
        for verdict in ("confirmed", "not confirmed")
    )
    for support in ("in 12 of 12 games", "times what is needed", "of the difference", "less reward for"):
        assert support in held
        assert support not in refuted
    # what is said of a report by others was measured on the tasks of that report, and on no other
    theirs = yaml.safe_load((ROOT / "src/pma_replication/experiments/networked/article.yaml").read_text())["tasks"]
    alone = [record for record in records if record["id"] == "C9-independent"]
    of_theirs, of_ours = ([r for r in alone if (r["game"] in theirs) == told] for told in (True, False))
    assert of_theirs
    assert of_ours
    sentence = text[text.index("  [Others]") : text.index(" as one learner")]
    assert sentence in findings.readme(text, [r for r in records if r not in of_ours])
    assert "[Others]" not in findings.readme(text, [r for r in records if r not in of_theirs])
    with pytest.raises(InputError, match="no place for what was found"):
        findings.readme(text.replace(findings.MARKS[1], ""), records)


def test_findings_in_short_say_nothing_that_the_verdicts_do_not() -> None:
    held, refuted, undecided = (
        findings.markdown([record | {"verdict": verdict} for record in verdicts_as_printed()], "figures", "docs")
        for verdict in ("confirmed", "not confirmed", "inconclusive")
    )
    said = ("reaches it there", "1/N only", "at least like 1/√N", "without a free", "weaker by a", "No pair")
    for support in (*said, "learns on one trajectory"):
        assert support in held.partition("## Claim by claim")[0]
        for page in (refuted, undecided):
            assert support not in page.partition("## Claim by claim")[0]


def test_the_table_for_a_reviewer_is_that_of_the_verdicts() -> None:
    page = findings.reviewer(verdicts_as_printed(), "figures", "docs", results="results/full")
    assert page == (ROOT / "docs/reviewer.md").read_text()


def test_the_concordance_is_that_of_the_verdicts_and_has_every_claim() -> None:
    records = verdicts_as_printed()
    page = findings.concordance(records, "figures", "docs")
    assert page == (ROOT / "docs/concordance.md").read_text()
    rows = dict(re.findall(r"^\| (C\S+) \| (.*) \|$", page, re.MULTILINE))
    claims = registry.claims()
    assert {name for name, claim in claims.items() if claim.standing != "ours"} <= rows.keys() <= claims.keys()
    assert len(re.findall(r"^\| C", page, re.MULTILINE)) == len(rows)  # each once
    for name, row in rows.items():
        assert row.startswith(findings.STANDINGS[claims[name].standing])
        found = [record["verdict"] for record in records if record["id"] == name]
        assert row.endswith(", ".join(f"{found.count(v)} {v}" for v in judging.VERDICTS if v in found) or "not run")


def typed_numbers(template: str) -> list[str]:
    """Digits of a template that are no claim, section, theorem or part of a formula."""
    text = re.sub(r"\{#.*?#\}", "", template, flags=re.DOTALL)
    named = r"C\d+[a-z]?\b(-[a-z]+)*|sections? \d+(\.\d+)*|ICML 2023|arxiv\.org/abs/[\d.]+|\$[^$]*\$|== 0|length > 1"
    return re.findall(r"\S*\d\S*", re.sub(named, "", text))


def test_no_number_is_typed_into_the_findings() -> None:
    assert typed_numbers(TEMPLATE.read_text()) == []
    assert typed_numbers(re.sub("1/√?N", "", TEMPLATE.with_name("found.md.jinja").read_text())) == []
    assert typed_numbers(TEMPLATE.with_name("readme.md.jinja").read_text()) == []
    assert typed_numbers("as loose as 12.5 in C1a, section 5.2, $1/N$") == ["12.5"]


def test_every_claim_is_told_of() -> None:
    told = set(re.findall(r'"(C\d[\w-]*)"', TEMPLATE.read_text()))
    judged = set(re.findall(r'"id": "(C\d[\w-]*)"', JUDGES))
    judged |= {"C5", "C5-starts", "C5-excess", "C6-kinked", "C6-smooth"}  # named by what several of them share
    judged |= set(one_trajectory_judge.COMPARED)
    assert told <= judged | {"C1a", "C1b-radius"}  # of C1a there is one for each operator
    assert judged - told <= {"C1b-search"}  # a check of our own search


def test_words_follow_the_verdicts() -> None:
    records = verdicts_as_printed()
    assert "**not confirmed** in `kinked`" not in findings.markdown(records, "figures", "docs")
    refuted = [record | {"verdict": "not confirmed"} if record["id"] == "C6-kinked" else record for record in records]
    text = findings.markdown(refuted, "figures", "docs")
    assert "(C6-kinked) **not confirmed** in `kinked`" in text
    assert "right order where the reward has a kink" not in text
    assert "smooth games forgive" not in text
    without = findings.markdown([record for record in records if record["id"][:2] != "C6"], "figures", "docs")
    assert "C6" not in without
    assert "Every verdict" not in without
    nothing = findings.markdown([], "figures", "docs")
    assert re.findall(r"C\d", nothing) == []
    everything = [record | {"verdict": "confirmed"} for record in records]
    assert "Every verdict is *confirmed*" in findings.markdown(everything, "figures", "docs")


def test_a_game_of_ones_own_is_spoken_of_itself_and_not_of_the_paper() -> None:
    records = verdicts_as_printed()
    assert "your own" not in findings.markdown(records, "figures", "docs")
    own = [record | {"own": True, "too_small": True} for record in records if record["game"] == "smooth"]
    text = findings.markdown(own, "figures", "docs")
    confirmed = sum(record["verdict"] == "confirmed" for record in own)
    assert f"In the game `smooth`, which is one of your own, {confirmed} of {len(own)} statements are confirmed" in text
    assert f"too small to see a limit: {len(own)}." in text
    assert "What holds" not in text


def test_what_is_missing_from_a_record_is_an_error_and_not_an_empty_word() -> None:
    record = {key: value for key, value in verdicts_as_printed()[0].items() if key != "statement"}
    with pytest.raises(jinja2.UndefinedError):
        findings.markdown([record], "figures", "docs")


def test_numbers_are_rounded_as_in_the_table_of_verdicts() -> None:
    assert findings.number(-0.5) == "−0.5"
    assert findings.number(math.pi * 1e6) == "3,140,000"


# Packaging


def test_a_wheel_works_outside_the_repository(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    for path in (ROOT / "src").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path):
            copy = source / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "wheel", *offline, "-w", tmp_path, source], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"pma_mfg-{pma_mfg.__version__}-py3-none-any.whl"
    installed = tmp_path / "installed"
    subprocess.run([*pip, "install", *offline, "--target", installed, wheel], check=True, capture_output=True)
    (tmp_path / "claims.json").write_text(json.dumps(verdicts_as_printed()))
    for path in installed.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)  # as a package that another user installed

    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"NUMBA_DISABLE_JIT": "1"}  # whether kernels compile is known elsewhere, and takes long

    def run(package: str, *arguments: str) -> str:
        command = [sys.executable, "-m", f"{package}.cli", *arguments]
        return subprocess.check_output(command, cwd=tmp_path, env=environment, text=True)

    where = subprocess.check_output(
        [sys.executable, "-c", "import pma_mfg; print(pma_mfg.__file__)"], cwd=tmp_path, env=environment, text=True
    )
    assert Path(where.strip()).is_relative_to(installed)
    assert run("pma_mfg", "--version") == f"pma-mfg {pma_mfg.__version__}\n"
    assert json.loads(run("pma_mfg", "solve", "contraction_game", "--strength", "1.2", "--json"))
    run("pma_replication", "findings", "claims.json", "--figures", ".", "--out", "findings.md")
    assert (tmp_path / "findings.md").read_text().startswith("# Findings")
    assert (installed / "pma_mfg/py.typed").exists()
    words = {
        "findings.md.jinja",
        "found.md.jinja",
        "concordance.md.jinja",
        "expected.yaml",
        "explore.html",
        "explore_page.js",
        "explore_solver.js",
        "py.typed",
        "readme.md.jinja",
        "report.html",
        "report.yaml",
        "reviewer.md.jinja",
        "times.yaml",
    }
    assert {path.name for path in (installed / "pma_replication").iterdir()} >= words
    told = "experiments/*/words.yaml"
    assert len(list((installed / "pma_replication").glob(told))) == len(list((ROOT / "src/pma_replication").glob(told)))


# The theory


def headings(page: Path) -> list[tuple[int, str]]:
    return [(len(level), title) for level, title in re.findall(r"^(#+) (.+)$", page.read_text(), re.MULTILINE)]


def anchor(title: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_the_contents_of_the_theory_list_every_section_of_every_page_in_order() -> None:
    folder = ROOT / "docs/theory"
    expected = []
    for page in sorted(folder.glob("*.md")):
        if page.name != "index.md":
            for level, title in headings(page):
                link = page.name if level == 1 else f"{page.name}#{anchor(title)}"
                expected.append("  " * (level - 1) + f"- [{title}]({link})")
    assert len(expected) > 80
    contents = (folder / "index.md").read_text().split("## Contents\n")[1]
    assert re.findall(r"^ *- \[.*$", contents, re.MULTILINE) == expected


def test_sections_of_the_theory_are_numbered_without_a_gap() -> None:
    pages = sorted(page for page in (ROOT / "docs/theory").glob("*.md") if page.name != "index.md")
    for number, page in enumerate(pages, start=1):
        titles = headings(page)
        assert page.name.startswith(f"{number:02d}_")
        assert [title for level, title in titles if level == 1] == [titles[0][1]]
        assert titles[0][1].startswith(f"{number}. ")
        sections = [title for level, title in titles if level == 2]
        assert [title.split()[0] for title in sections] == [f"{number}.{i + 1}" for i in range(len(sections))]


#: "docs/theory, section 3.7" and "docs/theory, sections 4, 5.1 and 7 to 9", also where a line ends between the words.
NAMED = r"docs/theory,\s+(?:#:?\s+)?sections?\s+(?:#:?\s+)?(\d+(?:\.\d+)*(?:(?:,|,? and| to) \d+(?:\.\d+)*)*)"


def test_sections_of_the_theory_that_code_and_documents_name_exist() -> None:
    pages = (ROOT / "docs/theory").glob("*.md")
    numbers = {re.split(r"\.? ", title)[0] for page in pages for _, title in headings(page)}
    assert {"1", "3.7", "10.11"} <= numbers
    named = 0
    missing = []
    for folder in ("src", "tests", "docs", "config", "benchmarks", "workflow"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".md", ".jinja", ".yaml", ".smk"}:
                for found in re.findall(NAMED, path.read_text()):
                    cited = re.findall(r"\d+(?:\.\d+)*", found)
                    named += len(cited)
                    missing += [(path.name, number) for number in cited if number not in numbers]
    assert missing == []
    assert named


# Names in documents

#: Dotted names in documents that are not ours.
OF_OTHERS = {"JobScheduler.schedule", "jax.random.binomial", "lax.scan", "pandas.read_parquet"}
#: Files of a reader's own, in examples.
OF_READERS = {"mine.py", "road.py"}


def documents() -> list[Path]:
    return [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "experiments"),  # written by a build
        *(ROOT / "benchmarks").glob("*.md"),
    ]


def names_of_our_code() -> dict[str, object]:
    """All modules by their names with and without the package's, and the classes in them by theirs alone."""
    names: dict[str, object] = {"pma_mfg": pma_mfg, "pma_replication": pma_replication}
    for package in (pma_mfg, pma_replication):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name not in EXTRAS:
                imported = importlib.import_module(module.name)
                names[module.name] = names[module.name.split(".", 1)[1]] = imported
                names |= {name: value for name, value in vars(imported).items() if isinstance(value, type)}
    return names


def is_known(dotted: str, names: dict[str, object]) -> bool:
    first, *attributes = dotted.split(".")
    if first not in names:
        return False
    found = names[first]
    while attributes:
        attribute = attributes.pop(0)
        if attribute in getattr(found, "__dataclass_fields__", {}):
            return not attributes
        if not hasattr(found, attribute):
            return False
        found = getattr(found, attribute)
    return True


def test_modules_functions_and_classes_that_documents_name_exist() -> None:
    names = names_of_our_code()
    settings = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    keys = {
        f"{section}.{key}" for section in settings if isinstance(settings[section], dict) for key in settings[section]
    }
    files = r"\.(?:py|md|npz|yaml|json|txt|parquet|svg|png)$"
    unknown = []
    for page in documents():
        prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)  # examples make names
        for dotted in re.findall(r"`([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)`", prose):
            if not re.search(files, dotted) and dotted not in OF_OTHERS | keys and not is_known(dotted, names):
                unknown.append((page.name, dotted))
    assert unknown == []
    assert is_known("theory.lipschitz.Constants.kind", names)
    assert not is_known("sweeps.ctd_errors", names)


def test_files_that_documents_name_exist() -> None:
    known = {
        str(path.relative_to(ROOT))
        for folder in ("src", "tests", "benchmarks", "config", "docs", "profiles", "workflow", "figures")
        for path in (ROOT / folder).rglob("*")
    }
    missing = []
    for page in documents():
        for name in re.findall(
            r"`([\w/.-]+\.(?:py|smk|jinja)|(?:src|tests|workflow|config|docs|profiles|figures)/[\w/.-]+)`",
            page.read_text(),
        ):
            if name not in OF_READERS and not any(f"/{path}".endswith("/" + name.rstrip("/")) for path in known):
                missing.append((page.name, name))
    assert missing == []
