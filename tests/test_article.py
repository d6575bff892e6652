"""The article prints what the verdicts say, and no number of its own."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from article import build

from pma_replication import configuration, registry, report
from pma_replication.judging import VERDICTS

TEMPLATE = Path(build.__file__).with_name("article.typ")
ROOT = TEMPLATE.parents[1]


def numbers_in_prose(text: str) -> list[str]:
    """Lines of text, not of layout, with a digit that is not read from the data."""
    _, body = text.split("#align(center)", 1)
    lines = [line for line in body.splitlines() if not line.startswith(("#", "  #text", "  #v"))]
    # what is printed from the data, and what is code
    calls = r'#[\w.]+(?:\.at\("[^"]*"\))?(?:\((?:"[^"]*"|[\w.]*)\))?'
    return [line for line in (re.sub(calls, "", line) for line in lines) if re.search(r"\d", line)]


def test_the_template_types_no_number() -> None:
    text = TEMPLATE.read_text()
    assert numbers_in_prose(text) == []
    assert len(numbers_in_prose(text.replace("= Limits\n", "= Limits\n\nOf 388 verdicts most hold.\n"))) == 1


def test_a_sentence_of_the_findings_keeps_its_words_and_loses_its_links() -> None:
    line = (
        "**Samples** ([figure](figures/a.png), [more](b.md)): 1.98 to *two* in `smooth`, see [verdicts](c.md), 2 * 3."
    )
    pieces = build.typst_text(line)
    assert "".join(piece["text"] for piece in pieces) == "Samples: 1.98 to two in smooth, see verdicts, 2 * 3."
    assert [piece["text"] for piece in pieces if piece["style"] != "plain"] == ["Samples", "two", "smooth"]


def test_the_counts_of_the_claims_are_those_of_the_verdicts() -> None:
    power = {"confirmed": 0.9, "not confirmed": 0.5, "vacuous": None, "inconclusive": None}
    records = [{"id": "C7", "game": name, "verdict": name, "power": power[name]} for name in VERDICTS]
    groups = build.claim_rows([*records, {**records[0], "id": "C1c"}, {**records[0], "id": "C10-fold"}])
    assert groups["C7"][0]["verdicts"] == dict.fromkeys(VERDICTS, 1)
    assert groups["C7"][0]["power"] == "0.50"
    assert groups["C1"][0]["verdicts"]["confirmed"] == 1
    assert groups["C10"][0]["verdicts"]["confirmed"] == 1


def test_all_that_the_template_prints_is_found_and_every_group_of_claims_has_a_title() -> None:
    printed = build.data(configuration.load(ROOT / "config/smoke.yaml"), [], "a commit")
    used = set(re.findall(r"\bdata\.(\w+)", TEMPLATE.read_text())) - {"at"}
    assert len(used) > 5
    assert used <= set(printed)
    assert {registry.group(claim) for claim in registry.claims()} <= set(report.group_titles())


def test_a_section_on_published_experiments_types_no_number_but_those_of_its_source() -> None:
    for path in (ROOT / "src/pma_replication/experiments").glob("*/article.yaml"):
        words = yaml.safe_load(path.read_text())
        prose = [*words["introduction"], *words["unmatched"], words["beyond"], *words["statements"].values()]
        prose += [re.sub(r"{[^}]*}", "", ours) for *_, ours in words["settings"]]
        assert len(prose) > 10
        assert [text for text in prose if re.search(r"\d", re.sub(r"\bC\d+-[a-z]+", "", text))] == []
        assert set(words["stated"]) <= set(words["statements"]) <= set(registry.claims())


def test_the_section_on_networked_learning_prints_settings_and_verdicts_of_the_run() -> None:
    settings = configuration.load(ROOT / "config/config.yaml")
    record = {"id": "C9-independent", "game": "cluster", "estimate": 0.5, "interval": [0.4, 0.6], "verdict": "vacuous"}
    records = [record, {**record, "game": "dynamics_3", "verdict": "confirmed"}]
    (part,) = build.parts(settings, records)
    assert part["settings"][1]["ours"] == str(settings["networked"]["n_agents"])
    assert part["games"] == ["cluster", "dynamics_3"]
    assert part["cells"][0][0] == {"verdict": "vacuous", "text": "0.5 [0.4, 0.6]"}
    assert part["cells"][0][1]["verdict"] == ""
    assert part["stated"]["counts"] == dict.fromkeys(VERDICTS, 0) | {"vacuous": 1}  # of their tasks
    assert build.parts(settings, [{**record, "id": "C7"}]) == []  # nothing of it was run
    (smaller,) = build.parts(configuration.load(ROOT / "config/smoke.yaml"), records)
    assert smaller["settings"][0]["ours"] == "–" != smaller["settings"][1]["ours"]  # it has other tasks
