"""Every experiment has a page with its picture, caption, verdicts and command, and the glossary names every game."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from pma_replication import registry, report

ROOT = Path(__file__).resolve().parents[1]
GLOSSARY = (ROOT / "docs/glossary.md").read_text()


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("experiment_pages", ROOT / "docs/experiment_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def made(pages: ModuleType) -> dict[str, str]:
    return pages.pages()


def test_every_experiment_has_a_page_and_the_page_that_lists_them_begins_with_coupling_and_orbit(
    made: dict[str, str],
) -> None:
    every = registry.experiments()
    assert made.keys() == {"index.md", *(f"{name}.md" for name in every)}
    listed = re.findall(r"^- \[`(\w+)`\]\(\1\.md\)", made["index.md"], re.MULTILINE)
    assert sorted(listed) == sorted(every)
    assert listed[:2] == ["coupling", "orbit"]
    assert re.findall(r"^(\w+)$", made["index.md"].partition("{toctree}")[2], re.MULTILINE) == listed


@pytest.mark.parametrize("name", registry.experiments())
def test_a_page_has_the_picture_its_caption_every_claim_and_a_command(
    name: str, pages: ModuleType, made: dict[str, str]
) -> None:
    text, experiment = made[f"{name}.md"], registry.experiments()[name]
    assert pages.figures(name)
    for figure in pages.figures(name):
        words = report.FIGURES[figure]
        for part in ("axes", "see", "refuted"):
            assert pages.escaped(words[part].strip()) in text
        picture = ROOT / pages.settings(pages.configured(name))["figures"] / f"{figure}.png"
        shown = f"{{figure}} ../../{picture.relative_to(ROOT).as_posix()}"
        assert (shown in text) == picture.exists()
        assert ("no picture of it yet" in text) == (not picture.exists())
    for claim, of in experiment.claims.items():
        assert f"**{claim}**" in text
        assert pages.escaped(of.words) in text
        assert pages.escaped(of.rival) in text
    assert "snakemake" in text
    assert "[glossary](../glossary.md)" in text
    assert "None" not in text


def test_verdicts_of_a_page_are_those_that_are_tracked(pages: ModuleType) -> None:
    page = ROOT / "figures/verdicts.md"
    told = pages.outcomes(page)
    assert told.keys() <= registry.claims().keys()
    assert sum(len(outcome.verdicts) for outcome in told.values()) == page.read_text().count(" | **")
    assert all(outcome.quantity and outcome.counts for outcome in told.values())
    assert pages.outcomes(ROOT / "figures/none.md") == {}


def test_a_page_of_an_experiment_that_is_gone_is_removed_and_one_that_is_the_same_is_not_written(
    pages: ModuleType, tmp_path: Path
) -> None:
    pages.write(tmp_path, {"a.md": "a", "gone.md": "b"})
    before = (tmp_path / "a.md").stat().st_mtime_ns
    pages.write(tmp_path, {"a.md": "a", "new.md": "c"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.md", "new.md"]
    assert (tmp_path / "a.md").stat().st_mtime_ns == before


def test_the_glossary_names_every_game_that_is_configured(pages: ModuleType) -> None:
    configured = yaml.safe_load((ROOT / "config/config.yaml").read_text())["games"]
    assert "<!-- games -->\n" in GLOSSARY
    assert re.findall(r"^(\w+)$", pages.glossary(), re.MULTILINE) == list(configured)
    weaker = pages.glossary().partition("\ncertified_weak_regularizer\n")[2].partition("\n\n")[0]
    assert weaker.startswith("  As {term}`certified`, with strength 0.1 (there 1.0).")
    assert "[samples](experiments/samples.md)" in weaker
    assert "each other: `R(s,a,mu) = r(s,a) - coupling * mu(s)`, P free of the mean field." in pages.glossary()


def test_the_parts_of_names_that_the_glossary_explains_are_of_configured_games() -> None:
    configured = yaml.safe_load((ROOT / "config/config.yaml").read_text())["games"]
    rows = GLOSSARY.partition("## Why games are called so")[2].partition("\n## ")[0].splitlines()
    explained = [part for row in rows if row.startswith("| `") for part in re.findall(r"`(\w+)`", row.split(" | ")[0])]
    assert len(explained) > 15
    known = ["_" + "_".join(re.findall(r"[a-z]+|\d+", name)) + "_" for name in configured]
    assert [part for part in explained if not any(f"_{part}_" in name for name in known)] == []
