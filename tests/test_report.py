"""The report of a run: what it says, what it refuses, and that every figure and claim has its words.

That the page of a whole run opens offline is tested with the run, in workflow/test_pipeline.py.
"""

from __future__ import annotations

import base64
import contextlib
import inspect
import io
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from PIL import Image
from tests import browser

from pma_mfg import storage
from pma_mfg.errors import InputError
from pma_replication import cli, configuration, judging, registry, report, sections
from pma_replication.experiments.equilibria import judge as equilibria_judge
from pma_replication.runs import tables as parquet

RULEGRAPH = 'digraph snakemake_dag {\n0[label = "all", color = "0"];\n1[label = "claims"];\n1 -> 0\n}\n'
#: Claims that are the paper's own.
PAPER = [name for name, claim in registry.claims().items() if claim.standing == "paper"]
DATA = Path(__file__).with_name("figures") / "data"


def record(name: str, verdict: str, game: str = "g", **changes: Any) -> judging.Claim:
    return {
        "id": name,
        "statement": "a < b & c",
        "standing": registry.claims()[name].standing if name in registry.claims() else "ours",
        "nature": "test",
        "rival": "a > b",
        "rival_prediction": "2",
        "rejected": True,
        "power": 1.0,
        "settled": "before",
        "source": "Theorem 1",
        "game": game,
        "quantity": "ratio",
        "estimate": 0.5,
        "interval": [0.4, 0.6],
        "expected": [0.0, 1.0],
        "verdict": verdict,
        "how": "by hand",
        "own": False,
        "too_small": False,
        "tables": ["nash"],
        "code": "claims.f",
    } | changes


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small finished run, of the experiments `nash` and `phase`, and its configuration."""
    folder = tmp_path_factory.mktemp("run")
    settings = {"results": "results/r", "figures": "figures", "games": {"pair": {}}}
    settings |= {"nash": {"games": ["pair"]}, "nash_learned": {"games": ["pair"]}, "phase": {"games": ["pair"]}}
    with contextlib.chdir(folder):
        Path("run.yaml").write_text(yaml.safe_dump(settings))
        made = pd.DataFrame({"game": ["pair"], "value": [1.0]})
        for name in configuration.tables(settings):
            path = DATA / f"{name}.csv"
            parquet.write_table(f"results/r/tables/{name}.parquet", pd.read_csv(path) if path.exists() else made)
        assumptions = pd.DataFrame({"game": ["pair"], "quantity": ["K_mu"], "value": [0.5], "kind": ["exact"]})
        parquet.write_table("results/r/tables/assumptions.parquet", assumptions)
        storage.write_json("results/r/claims.json", [record("C7", "confirmed"), record("C7-order", "inconclusive")])
        assert cli.main(["figures", "run.yaml"]) == 0
    return folder


@pytest.fixture
def run(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same in a folder of its own, in which the test runs."""
    folder = shutil.copytree(drawn, tmp_path / "run")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(equilibria_judge, "assumptions_cells", lambda table: table.astype(str))
    return folder


def test_every_figure_and_no_other_has_words_with_claims_that_exist() -> None:
    assert set(report.FIGURES) == set(registry.figures())
    folder = Path(judging.__file__).with_name("experiments")
    text = "".join(path.read_text() for path in folder.rglob("judge.py"))
    for words in report.FIGURES.values():
        assert {"title", "axes", "see", "refuted", "claims"} <= set(words)
        assert all(f'"id": "{name}"' in text or f'"{name}"' in text for name in words["claims"])


def test_figures_are_redrawn_from_the_tables_to_the_same_bytes(run: Path) -> None:
    drawn = {path.name: path.read_bytes() for path in (run / "figures").iterdir()}
    assert set(drawn) == {f"{name}.{suffix}" for name in ("equilibria", "nash", "phase") for suffix in ("png", "svg")}
    (run / "figures/nash.svg").unlink()
    assert cli.main(["figures", "run.yaml"]) == 0
    assert {path.name: path.read_bytes() for path in (run / "figures").iterdir()} == drawn


def test_report_holds_claims_figures_and_data_and_escapes_what_it_shows(run: Path) -> None:
    text = report.write("run.yaml", RULEGRAPH).read_text()
    assert "a &lt; b &amp; c" in text
    for name in ("equilibria", "nash", "phase"):
        assert f'id="figure-{name}"' in text
        assert f'id="data-{name}"' in text
    assert "figure-samples" not in text
    links = set(re.findall(r'href="#([^"]+)"', text))
    assert links <= set(re.findall(r'id="([^"]+)"', text))


def test_every_link_to_a_file_leads_to_it_from_wherever_the_page_is(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "LARGEST_CSV", 10)
    for out in (None, "elsewhere/deep/page.html"):
        page = report.write("run.yaml", RULEGRAPH, out)
        addresses = re.findall(r'href="([^"#:]+)"', page.read_text())
        assert {Path(address).name for address in addresses} >= {"phase.svg", "phase.parquet"}
        assert all((page.parent / address).is_file() for address in addresses)


def test_sections_of_the_theory_are_links_where_the_documentation_is_built_and_words_elsewhere(run: Path) -> None:
    assert "the bound of section 5.1 of docs/theory" in report.write("run.yaml", RULEGRAPH).read_text()
    heading = '<h2>5.1 The <math>x</math><a class="headerlink" href="#bound" title="Link">'
    storage.write_text(run / "site/theory/05_contraction.html", f'<section id="bound">\n<span></span>{heading}')
    page = report.write("run.yaml", RULEGRAPH)
    address = "../../site/theory/05_contraction.html#bound"
    assert f'the bound of section <a href="{address}">5.1</a> of docs/theory' in page.read_text()
    assert (page.parent / address.partition("#")[0]).is_file()
    where = {"5.1": "x", "5.3": "y"}
    assert (
        sections.linked("sections 5.1, 5.3 and 9", where) == 'sections <a href="x">5.1</a>, <a href="y">5.3</a> and 9'
    )
    assert sections.linked("by section 5.1, 5.3 times; sectional 5.1; section 5.12", where).count("<a") == 1


def test_a_figure_in_the_page_has_the_pixels_of_its_file(run: Path) -> None:
    text = report.write("run.yaml", RULEGRAPH).read_text()
    pictures = re.findall(r'src="data:image/webp;base64,([^"]+)" width="(\d+)" height="(\d+)"[^>]*alt="([^"]+)"', text)
    names = {words["title"]: name for name, words in report.FIGURES.items()}
    assert {names[title] for *_, title in pictures} == {"equilibria", "nash", "phase"}
    for content, width, height, title in pictures:
        with (
            Image.open(f"figures/{names[title]}.png") as drawn,
            Image.open(io.BytesIO(base64.b64decode(content))) as seen,
        ):
            assert drawn.size == seen.size == (int(width), int(height))
            assert drawn.convert("RGB").tobytes() == seen.convert("RGB").tobytes()


def test_what_is_not_confirmed_and_what_is_vacuous_comes_first_with_the_reason(run: Path) -> None:
    rows = [
        record("C7", "confirmed"),
        record("C7", "vacuous", "other_game"),
        record("C7-order", "confirmed"),
        record("C7-state", "confirmed"),
        record("C7-state", "not confirmed", "bad_game", how="it went the other way"),
    ]
    storage.write_json("results/r/claims.json", rows)
    text = report.write("run.yaml", RULEGRAPH).read_text()
    first = text[text.index('id="open"') : text.index("</section>")]
    assert text.index('id="open"') < text.index('id="claims"')
    assert re.findall(r'<li><a href="#claim-([^"]+)"', first) == ["C7-state", "C7"]
    assert "not confirmed in 1 of 2 games, confirmed in 1" in first
    assert (
        "In bad game the ratio is 0.5 (95 % interval 0.4 to 0.6), where 0 to 1 was expected: it went the other" in first
    )
    assert "vacuous in 1 of 2 games, confirmed in 1" in first
    assert "In other game it is as stated, but the measurement does not exclude the rival, that a &gt; b (" in first
    storage.write_json("results/r/claims.json", rows[:1])
    assert 'id="open"' not in report.write("run.yaml", RULEGRAPH).read_text()


def test_a_claim_is_never_called_confirmed_without_its_number_of_games(run: Path) -> None:
    rows = [record("C7", "confirmed"), *(record("C7", "inconclusive", f"g{k}") for k in range(5))]
    assert report.in_words(rows) == "confirmed in 1 of 6 games, inconclusive in 5"
    assert report.in_words(rows[:1]) == "confirmed in the one game of this test"
    assert report.in_words([rows[0]] * 3) == "confirmed in all 3 games"
    assert (
        report.in_words([{"verdict": "confirmed", "id": "C10-fold"}])
        == "confirmed in the one set of games of this test"
    )
    storage.write_json("results/r/claims.json", rows)
    text = report.write("run.yaml", RULEGRAPH).read_text()
    (overall,) = re.findall(r'<tbody id="claim-C7">.*?<td><span class="badge confirmed">(.*?)</span>', text, re.DOTALL)
    assert overall == "confirmed in 1 of 6 games, inconclusive in 5"


@pytest.mark.parametrize("lost", ["claims.json", "tables/phase.parquet", "tables/assumptions.parquet"])
@pytest.mark.parametrize("command", [["figures", "run.yaml"], ["report", "run.yaml", "--rulegraph", "graph"]])
def test_a_run_that_is_not_finished_is_refused_by_the_name_of_what_is_missing(
    run: Path, lost: str, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("graph").write_text(RULEGRAPH)
    (run / "results/r" / lost).unlink()
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert cli.main(command) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.endswith(
        f"results/r: unfinished run: got no {lost}, expected all of them; make replicate CONFIG=run.yaml makes them"
    )
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_many_missing_tables_are_counted(run: Path) -> None:
    for path in (run / "results/r/tables").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"no tables/equilibria\.parquet and 5 more,"):
        configuration.finished("run.yaml")


def test_a_lost_figure_and_a_file_that_is_no_configuration_are_refused(run: Path) -> None:
    (run / "figures/phase.png").unlink()
    with pytest.raises(InputError, match=r"figures/phase\.png: file: got nothing there, expected a figure"):
        report.write("run.yaml", RULEGRAPH)
    Path("list.yaml").write_text("- 1\n")
    with pytest.raises(InputError, match=r"list\.yaml: file: got something else"):
        report.write("list.yaml", RULEGRAPH)
    with pytest.raises(InputError, match="--rulegraph"):
        report.read_graph("nothing")


def test_the_answer_counts_the_papers_own_statements() -> None:
    paper = PAPER[:2]
    yes = [record(name, "confirmed") for name in paper]
    assert report.answer(yes)[0].startswith("Yes, as far as it could be tested")
    assert report.answer([*yes, record(paper[0], "not confirmed", "h")])[0].startswith("Not everywhere")
    for verdict in ("inconclusive", "vacuous"):
        first = report.answer([record(paper[0], verdict), record(paper[1], "inconclusive")])[0]
        assert first.startswith("This run cannot tell: of 2 verdicts on 2 statements (")
        assert f" is {verdict} (" in first or f"are {verdict} (" in first
    assert report.answer([]) == ["Nothing of the paper was tested.", "Nothing that goes beyond the paper was tested."]
    contradicted = report.answer([*yes, record(paper[0], "not confirmed", "h"), record(paper[1], "vacuous", "h")])[0]
    assert f"1 is not confirmed (it is otherwise): {paper[0]} in h; 1 is vacuous (it is as the" in contradicted
    assert "of 4 verdicts on 2 statements" in contradicted
    assert report.overall([record("x", "confirmed"), record("x", "inconclusive")]) == "confirmed"
    assert report.overall([record("x", "vacuous"), record("x", "inconclusive")]) == "vacuous"
    identity = record(paper[0], "confirmed", nature="identity")
    assert report.answer([identity])[0] == "Nothing of the paper was tested."


def test_the_answer_on_a_game_of_ones_own_speaks_of_the_game_and_not_of_the_paper() -> None:
    paper = PAPER
    mine: dict[str, Any] = {"own": True, "game": "my_roads"}
    rows = [record(paper[0], "confirmed", **mine), record("C7-order", "inconclusive", too_small=True, **mine)]
    (sentence,) = report.answer(rows)
    assert sentence == (
        "In the game my roads 1 of 2 statements were tested and hold; none is contradicted; 1 (C7-order) is undecided, "
        "for the range that was run is too small."
    )
    rows += [record("C2-fastest", "not confirmed", **mine), record("C1b", "inconclusive", **mine)]
    (sentence,) = report.answer(rows)
    assert "1 (C2-fastest) is contradicted there" in sentence
    assert "1 (C1b) is undecided for other reasons" in sentence
    # beside games of the replication: these decide on the paper, whatever the own game does
    both = report.answer([*rows, record(paper[0], "confirmed", "smooth")])
    assert both[0].startswith("Yes, as far as it could be tested")
    assert both[2] == sentence


def test_the_report_of_a_game_of_ones_own_is_headed_by_the_game(run: Path) -> None:
    storage.write_json("results/r/claims.json", [record("C7", "not confirmed", "my_pair", own=True)])
    text = report.write("run.yaml", RULEGRAPH).read_text()
    assert "What does policy mirror ascent do in my pair?" in text
    assert "Does the theory" not in text
    assert "Not everywhere" not in text
    assert "is about that game, not about the paper" in text
    # what the words of a figure expect is not what was seen in this game; what was not tried is told
    assert "<b>What to see.</b>" not in text
    assert text.count("<b>What should be seen.</b>") == text.count("<b>What would contradict it.</b>") > 0
    assert "has survived a test in this game" in text
    listed = re.findall(r"<li>(C\d[\w-]*): ", text.partition('<section id="untested">')[2].partition("</section>")[0])
    own = {name for name, claim in registry.claims().items() if claim.steps}
    assert set(listed) == own - {"C7"}
    assert listed == sorted(listed, key=registry.number)
    assert {"C3", "C4", "C5"} < set(listed)
    assert not {"C10-fold", "C6-atlas"} & set(listed)  # of generated games alone
    # nor of games that others have: captions, titles
    for name, words in report.FIGURES.items():
        said = " ".join(str(part) for part in (words | words.get("own", {})).values() if isinstance(part, str))
        assert not re.search(r"rock_paper|contraction_game|SIS|ladder|from the literature|planted", said), words[
            "title"
        ]
        if any(table in registry.spare() for table in registry.figures()[name]):  # panels may be left out
            assert not re.search(r"Left|Middle|Right|\((left|middle|right)\)|in the right panel", said), name
    assert "Games from the literature" not in text


def test_run_times_add_the_jobs_of_a_rule(tmp_path: Path) -> None:
    (tmp_path / "solve").mkdir()
    for name, seconds, memory in (("a", 1.0, "10"), ("b", 3.0, "30")):
        (tmp_path / f"solve/{name}.tsv").write_text(f"s\tmax_rss\n{seconds}\t{memory}\n")
    (tmp_path / "claims.tsv").write_text("s\tmax_rss\n0.5\t-\n")
    times = report.run_times(tmp_path)
    assert times.to_numpy().tolist() == [["solve", "2", "4.0", "3.0", "30"], ["claims", "1", "0.5", "0.5", "–"]]
    empty = report.run_times(tmp_path / "nothing")
    assert list(empty.columns) == list(times.columns)
    assert len(empty) == 0


@pytest.mark.skipif(browser.executable() is None, reason=browser.MISSING)
@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ('<img src="https://example.org/x.png" alt="lost">', "requests"),
        ('<script>fetch("http://127.0.0.1:9/")</script>', "requests"),
        ("<script>undefined_name()</script>", "errors"),
        ('<script>console.error("told")</script>', "errors"),
        ('<img src="data:image/png;base64,AAAA" alt="broken">', "broken"),
        ('<div class="plot" aria-label="empty"></div>', "empty"),
        ('<div style="width: 1500px">wide</div>', "overflow"),
        ('<a href="#nowhere">dead</a>', "dead"),
        ('<p style="font-size: 6px">small</p>', "small"),
        ("<p>nothing wrong</p>", ""),
    ],
)
def test_the_look_in_the_browser_sees_a_planted_fault(fault: str, seen: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(f'<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><p>text</p>{fault}')
    found = browser.look(page, 1280, 800, tmp_path / "profile", patience=1)
    faults = {name: value for name, value in found.faults().items() if value}
    if not seen:
        assert faults == {}
    else:
        assert seen in faults


def test_every_table_that_is_made_for_the_page_is_on_it() -> None:
    source = inspect.getsource(report.write)
    made = re.findall(r'\("(\w+)", \w+_judge\.', source)
    assert len(made) > 5
    page = (Path(report.__file__).parent / "report.html").read_text(encoding="utf-8")
    assert [name for name in made if f"cells.{name}" not in page] == []


def test_a_claim_of_group_ten_is_not_of_group_one() -> None:
    assert [registry.group(name) for name in ("C1c", "C10-fold", "C8")] == ["C1", "C10", "C8"]
