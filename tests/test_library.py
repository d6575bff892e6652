"""The library stands alone: it needs numpy, scipy and numba, and knows nothing of the replication."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OTHERS = ["jinja2", "jsonschema", "matplotlib", "pandas", "plotly", "pma_replication", "pyarrow", "pydantic"]
OTHERS += ["seaborn", "snakemake", "tqdm"]
#: Imports all modules of the library but those for other libraries, and prints which of `OTHERS` that loads.
IMPORT_ALL = f"""
import importlib, json, pkgutil, sys
import pma_mfg
for module in pkgutil.walk_packages(pma_mfg.__path__, "pma_mfg."):
    if "interop" not in module.name:
        importlib.import_module(module.name)
print(json.dumps(sorted(set({OTHERS!r}) & sys.modules.keys())))
"""


def test_no_module_of_the_library_loads_what_only_the_replication_needs() -> None:
    loaded = subprocess.check_output([sys.executable, "-c", IMPORT_ALL], text=True)
    assert json.loads(loaded) == []


def test_making_games_loads_no_compiler_and_of_scipy_only_the_sparse_matrices() -> None:
    code = "import json, sys, pma_mfg.games; print(json.dumps(list(sys.modules)))"
    loaded = set(json.loads(subprocess.check_output([sys.executable, "-c", code], text=True)))
    assert "scipy.sparse" in loaded
    heavy = {"numba", "llvmlite", "scipy.linalg", "scipy.optimize", "scipy.special", "scipy.sparse.linalg"}
    assert not heavy & loaded


def test_the_distribution_without_extras_needs_numpy_scipy_and_numba_only() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {re.split(r"[<>=]", name)[0] for name in project["dependencies"]} == {"numba", "numpy", "scipy"}


def test_the_library_never_imports_the_replication_but_for_commands() -> None:
    importing = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src/pma_mfg").rglob("*.py")
        if re.search(r"^\s*(from|import) pma_replication", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert importing == {"pma_mfg/cli.py"}


def test_the_packages_import_their_own_modules_in_the_form_that_tells_the_pipeline_what_a_job_depends_on() -> None:
    unseen = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src").rglob("*.py")
        if re.search(r"^\s*import pma_(mfg|replication)\.", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert unseen == set()
