"""The library stands alone: it needs numpy, scipy and numba, and knows nothing of the replication."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OTHERS = ["jinja2", "jsonschema", "matplotlib", "pandas", "pma_replication", "pyarrow", "pydantic"]
OTHERS += ["seaborn", "snakemake", "tqdm"]
#: Imports all modules of the library but those for other libraries and pictures; prints which of `OTHERS` that loads.
IMPORT_ALL = f"""
import importlib, json, pkgutil, sys
import pma_mfg
for module in pkgutil.walk_packages(pma_mfg.__path__, "pma_mfg."):
    if "interop" not in module.name and "plotting" not in module.name:
        importlib.import_module(module.name)
print(json.dumps(sorted(set({OTHERS!r}) & sys.modules.keys())))
"""
#: What the exact half of the library needs rarely, or only once it computes, and takes longer to import than all of it.
SLOW = ["llvmlite", "numba", "scipy.linalg", "scipy.optimize", "scipy.sparse.csgraph", "scipy.sparse.linalg"]
SLOW += ["scipy.special", "scipy.stats"]


def test_no_module_of_the_library_loads_what_only_the_replication_needs() -> None:
    loaded = subprocess.check_output([sys.executable, "-c", IMPORT_ALL], text=True)
    assert json.loads(loaded) == []


def test_the_distribution_without_extras_needs_numpy_scipy_and_numba_only() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {re.split(r"[<>=]", name)[0] for name in project["dependencies"]} == {"numba", "numpy", "scipy"}


def test_messages_name_functions_that_there_are() -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "src/pma_mfg").rglob("*.py")}
    known: dict[str, set[str]] = {}  # by module or package: its modules, functions and methods
    texts = set()
    for path, tree in trees.items():
        nodes = list(ast.walk(tree))
        texts |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        names = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
        known.setdefault(path.stem, set()).update(names)
        known.setdefault(path.parent.name, set()).update(names | {path.stem})
    known["pma_mfg"] |= {path.name for path in (ROOT / "src/pma_mfg").iterdir()}
    named = [found for text in texts if (found := re.fullmatch(r"([a-z_]+)\.([a-z_]+)", text)) and found[1] in known]
    assert len(named) > 20
    assert {found[0] for found in named if found[2] not in known[found[1]]} == set()


def test_the_library_never_imports_the_replication() -> None:
    importing = [
        path.name
        for path in (ROOT / "src/pma_mfg").rglob("*.py")
        if re.search(r"^\s*(from|import) pma_replication", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert importing == []


def test_the_packages_import_their_own_modules_in_the_form_that_tells_the_pipeline_what_a_job_depends_on() -> None:
    unseen = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src").rglob("*.py")
        if re.search(r"^\s*import pma_(mfg|replication)\.", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert unseen == set()


#: Runs `pma-mfg` as if what only the replication needs were not installed; prints the exit code of each line.
WITHOUT = f"""
import shlex, sys
for name in {[name for name in OTHERS if name != "pma_replication"]!r}:
    sys.modules[name] = None
from pma_mfg.cli import main
for line in sys.argv[1:]:
    print(main(shlex.split(line)), file=sys.stderr)
"""


def test_commands_of_the_library_need_no_extra_and_the_others_say_what_to_install(tmp_path: Path) -> None:
    lines = ["solve contraction_game --strength 1 --out nash.npz", "validate contraction_game --json"]
    lines += ["covariance contraction_game nash.npz", "nash-gap contraction_game nash.npz --agents 5"]
    lines += ["audit contraction_game nash.npz --agents 5 --json"]
    done = subprocess.run([sys.executable, "-c", WITHOUT, *lines], cwd=tmp_path, capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if line.isdigit()] == ["0"] * len(lines), done.stderr
    replication = dict.fromkeys(("verify C1c contraction_game", "config contraction_game"), "replication")
    for line, extra in (replication | {"plot contraction_game nash.npz --out nash.png": "plot"}).items():
        done = subprocess.run([sys.executable, "-c", WITHOUT, line], cwd=tmp_path, capture_output=True, text=True)
        message, code = done.stderr.splitlines()
        assert re.fullmatch(
            rf"pma-mfg: error: environment: got no \w+, expected pip install 'pma-mfg\[{extra}\]'", message
        )
        assert code == "2"


def test_importing_the_exact_half_loads_no_compiler_and_of_scipy_only_the_sparse_matrices() -> None:
    modules = "pma_mfg.games, pma_mfg.operators, pma_mfg.equilibrium"
    code = f"import json, sys, {modules}; print(json.dumps([m for m in {SLOW!r} if m in sys.modules]))"
    assert json.loads(subprocess.check_output([sys.executable, "-c", code], text=True)) == []


def test_the_programs_and_the_learning_of_one_policy_load_only_what_they_need() -> None:
    """Every job of the pipeline pays for it: a quarter of a second of numpy and scipy, or of kernels that it lacks."""
    slow = {
        "from pma_mfg import cli; cli.parser()": ["numpy"],
        "from pma_replication import cli; cli.parser()": ["numpy", "pydantic"],
        # judging and drawing would take a second longer with compiled code
        "from pma_replication import registry; "
        "[registry.load(e, 'judge') for e, _ in registry.judges()]; [registry.draw(f) for f in registry.figures()]": [
            "numba"
        ],
        "from pma_mfg.learning import algorithms": ["pma_mfg.simulation.agent_kernels", "pandas"],
    }
    for code, unneeded in slow.items():
        asked = f"import json, sys; {code}; print(json.dumps([m for m in {unneeded} if m in sys.modules]))"
        assert json.loads(subprocess.check_output([sys.executable, "-c", asked], text=True)) == []


def public_functions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the public functions of a module and methods of its classes; kernels are compiled inside a `with` block."""
    for node in body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield f"{prefix}.{node.name}", node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, f"{prefix}.{node.name}")


def test_no_public_function_takes_more_than_three_arguments_by_position() -> None:
    """Except compiled kernels (numba takes no keywords) and `data` of a figure, called with the list of its tables.

    What kernels are made of gets the compiler's context besides.
    """
    found, seen = [], 0
    for path in (ROOT / "src").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
        for name, function in public_functions(ast.parse(path.read_text(encoding="utf-8")).body, module):
            seen += 1
            given = [parameter.arg for parameter in function.args.posonlyargs + function.args.args]
            if len(given) - (given[:1] in (["self"], ["cls"], ["typing_context"])) > 3 and not name.endswith(
                ".draw.data"
            ):
                found.append(name)
    assert seen > 450
    assert found == []


def test_no_call_hands_over_more_than_seven_arguments_by_position() -> None:
    """Except to compiled kernels, since numba takes no keywords, and to the log, whose arguments follow its format."""
    found, seen = [], 0
    for path in (ROOT / "src").rglob("*.py"):
        compiled = path.stem.endswith("_kernels") or path.stem == "binomials"
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or compiled:
                continue
            seen += 1
            called = ast.unparse(call.func)
            if len(call.args) > 7 and not called.startswith("log.") and "_kernels." not in called:
                found.append(f"{path.relative_to(ROOT)}:{call.lineno}: {called}")
    assert seen > 5000
    assert found == []


def test_modules_and_functions_are_short_enough_to_be_held_in_mind() -> None:
    """At most 600 lines of a module, and 80 of a function besides its docstring, which is long where it explains."""
    found, seen = [], 0
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if (n_lines := text.count("\n")) > 600:
            found.append(f"{path.relative_to(ROOT)}: {n_lines} lines")
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef):
                continue
            seen += 1
            first, length = node.body[0], (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node) is not None:
                length -= (first.end_lineno or first.lineno) - first.lineno + 1
            if length > 80:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}: {length} lines")
    assert seen > 1000
    assert found == []
