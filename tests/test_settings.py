"""Settings as typed models: what is generated from them is current, and they hold what a file says."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pma_mfg.errors import InputError
from pma_replication import configuration, registry, schema

ROOT = Path(__file__).resolve().parents[1]
SMOKE = yaml.safe_load((ROOT / "config/smoke.yaml").read_text(encoding="utf-8"))
#: Prints which of some libraries, each of which takes a second or more, the check of a configuration loads: it is made
#: at every start of the pipeline, twice.
LOADED = """
import json, sys
from pma_replication import configuration
configuration.load("config/smoke.yaml")
print(json.dumps(sorted({"numba", "pandas", "pyarrow", "matplotlib", "seaborn"} & sys.modules.keys())))
"""


def test_the_schema_for_editors_is_that_of_the_models() -> None:
    assert json.loads(schema.SCHEMA.read_text(encoding="utf-8")) == schema.schema()


def test_the_page_of_keys_is_that_of_the_models() -> None:
    text = schema.PAGE.read_text(encoding="utf-8")
    assert schema.page(text) == text
    assert "`step_shares`" in text


def test_every_key_is_explained() -> None:
    made = schema.schema()
    for name, model in ({"Configuration": made} | made["$defs"]).items():
        assert model["description"], name
        for key, rules in model["properties"].items():
            assert "$ref" in rules or rules.get("description"), f"{name}.{key}"


def test_every_step_size_has_one_name_and_one_unit() -> None:
    rows = re.findall(r"^\| `([\w.*]+)` \|.*\| ([^|]*) \|$", schema.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    units = {(key.rpartition(".")[2], unit) for key, unit in rows if "step_size" in key}
    assert units == {("step_size", "1/ρ"), ("step_sizes", "1/ρ")}


def test_sections_and_figures_have_the_names_of_their_experiments() -> None:
    for name, experiment in registry.experiments().items():
        assert set(experiment.figures) <= {name}
        sections = {table.section for table in experiment.tables.values()} - {None, name}
        assert all(str(section).startswith(f"{name}_") for section in sections)


def test_a_configuration_is_checked_without_compiler_tables_and_figures() -> None:
    assert json.loads(subprocess.check_output([sys.executable, "-c", LOADED], text=True, cwd=ROOT)) == []


@pytest.mark.parametrize("name", ["config.yaml", "smoke.yaml", "atlas.yaml", "networked.yaml"])
def test_the_models_hold_what_the_file_says_and_nothing_is_added(name: str) -> None:
    path = ROOT / "config" / name
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert configuration.read(path) == content
    assert configuration.MODEL.model_validate(content).model_dump(exclude_unset=True) == content


def changed(section: str, key: str, value: Any) -> dict[str, Any]:
    content = {name: SMOKE[name] for name in ("seed", "results", "figures", "games", section)}
    content[section] = copy.deepcopy(content[section]) | {key: value}
    return content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (SMOKE | {"literature": None}, "literature: got None, expected a value of type object"),
        (changed("comparison", "methods", {"pma": SMOKE["comparison"]["methods"]["pma"]}), "at least one other method"),
        (changed("nash", "populations", [2, 3]), "nash.populations: got [2, 3], expected at least 3 entries"),
        (changed("literature", 1, 2), "literature: got 1, expected keys that are texts"),
        (changed("literature", "n_starts", True), "literature.n_starts: got True, expected a value of type integer"),
        (changed("literature", "games", ["a", "a"]), "literature.games: got ['a', 'a'], expected entries that differ"),
        (changed("literature", "n_starts", 10**15 + 1), "expected an integer of at most 1000000000000000 in size"),
        (
            changed("atlas", "grids", {"g": SMOKE["atlas"]["grids"]["garnet"] | {"parameters": {"a": [float("nan")]}}}),
            "atlas.grids.g.parameters.a[0]: got nan, expected a finite number",
        ),
        (
            SMOKE | {"games": SMOKE["games"] | {"x": {"regularizer": "entropy", "strength": 1.0}}},
            "games.x: got ['regularizer', 'strength'], expected either family and parameters, or file",
        ),
        (
            SMOKE | {"games": SMOKE["games"] | {"smooth": SMOKE["games"]["smooth"] | {"inputs": []}}},
            "games.smooth: got inputs, expected inputs beside a Python file only",
        ),
    ],
)
def test_what_no_model_accepts_is_refused_with_its_place(content: Any, words: str) -> None:
    with pytest.raises(InputError) as refused:
        configuration.check(content, "mine.yaml")
    assert words in str(refused.value)
