"""A job depends on the modules that its step imports and on the code that builds its arguments, and on nothing else."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pma_replication import registry
from pma_replication.runs import sources

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = "pma_replication.experiments"
#: Loads what the steps of an experiment load, and prints the files of the two packages among it.
LOAD = """
import importlib, json, sys
for part in ("commands", "measure"):
    importlib.import_module(f"pma_replication.experiments.{sys.argv[1]}.{part}")
modules = [module for name, module in sys.modules.items() if name.split(".")[0] in ("pma_mfg", "pma_replication")]
print(json.dumps([module.__file__ for module in modules]))
"""


@pytest.mark.parametrize("name", registry.experiments())
def test_a_measuring_step_depends_on_what_it_measures_and_on_its_arguments_alone(name: str) -> None:
    files = sources.library(ROOT, f"{EXPERIMENTS}.{name}.commands")
    folder = f"src/pma_replication/experiments/{name}"
    assert {f"{folder}/commands.py", f"{folder}/measure.py"} <= set(files)
    assert "src/pma_mfg/commands/arguments.py" in files
    # neither the programs nor what is said, judged or drawn of the experiments
    others = {"pma_mfg/cli.py", "pma_mfg/command_line.py"}
    others |= {f"pma_replication/{name}.py" for name in ("cli", "registry", "experiment", "configuration")}
    assert {f"src/{other}" for other in others}.isdisjoint(files)
    assert {"judge.py", "draw.py"}.isdisjoint(Path(file).name for file in files)
    assert not [file for file in files if "experiments" in file and file.endswith("__init__.py")]


@pytest.mark.parametrize("name", ["nash", "atlas"])
def test_no_module_that_a_step_loads_is_missing_from_what_it_depends_on(name: str) -> None:
    printed = subprocess.check_output([sys.executable, "-c", LOAD, name], text=True, cwd=ROOT)
    loaded = {str(Path(path).relative_to(ROOT)) for path in json.loads(printed)}
    missing = loaded - set(sources.library(ROOT, f"{EXPERIMENTS}.{name}.commands"))
    # what packages say of themselves, and the class in which experiments do
    told = {file for file in missing if file.endswith("__init__.py")} | {"src/pma_replication/experiment.py"}
    assert missing <= told


def test_imports_are_found_in_the_text_as_the_parser_finds_them() -> None:
    paths = [path for package in ("pma_mfg", "pma_replication") for path in (ROOT / "src" / package).rglob("*.py")]
    paths += (ROOT / "workflow").rglob("*.py")
    found = 0
    for path in paths:
        text, parsed = path.read_text(), list[tuple[str, str]]()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):  # of which only the text of `from` is looked at
                assert not [alias.name for alias in node.names if alias.name.startswith("pma_")], path
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
                module = str(node.module)
                parsed += [(module, alias.name) for alias in node.names if module.startswith("pma_")]
        read = [(module, re.sub("#.*", "", names)) for module, names in sources.IMPORT.findall(text)]
        each = [(module, name) for module, names in read for name in re.findall(r"(\w+)(?: as \w+)?", names)]
        assert sorted(each) == sorted(parsed), path
        found += len(parsed)
    assert found > 500


def test_imports_within_functions_and_of_names_count_and_those_of_others_do_not(tmp_path: Path) -> None:
    package = tmp_path / "src/pma_mfg"
    package.mkdir(parents=True)
    for name, text in {
        "__init__": "VERSION = 1",
        "first": "import numpy\ndef f():\n    from pma_mfg import (  # a word\n        second as it,\n    )\n",
        "second": "from pma_mfg.third import X\nfrom other.pma_mfg import unseen\n",
        "third": "from pma_mfg import VERSION\nX = VERSION\n",
        "unseen": "",
    }.items():
        (package / f"{name}.py").write_text(text)
    files = sources.library(tmp_path, "pma_mfg.first")
    assert files == [f"src/pma_mfg/{name}.py" for name in ("__init__", "first", "second", "third")]
