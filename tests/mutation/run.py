"""Mutation testing of one module (docs/mutation.md): `make mutation MODULE=operators`, or with a sample: SAMPLE=200.

mutmut works on a copy below results/mutation/MODULE: the sources, the tests of the module, and nothing else that could
fail. Mutants already judged keep their verdict while their function is unchanged; survivors are tried again.
"""

from __future__ import annotations

import ast
import json
import os
import random
import shutil
import sys
from pathlib import Path

from mutmut import __main__ as mutmut
from mutmut.configuration import reset_config
from mutmut.stats import status_by_exit_code
from scipy.stats import binomtest

ROOT = Path(__file__).resolve().parents[2]
#: What kills the mutants of a module: files, and tests of others that meet more of it.
TESTS = {
    "operators": [
        "tests/test_operators.py",
        "tests/test_solvers.py::test_anderson_and_newton_reach_the_same_stable_population",
        "tests/test_solvers.py::test_sparse_tables_change_no_operator",
        "tests/test_solvers.py::test_products_with_the_jacobian_are_those_of_the_matrix",
    ],
    "regularizers": ["tests/test_regularizers.py"],
    "solvers": ["tests/test_solvers.py"],
    "equilibrium": ["tests/test_equilibrium.py"],
    "learning": ["tests/test_learning.py"],
    "agents": ["tests/test_agents.py"],
    "simulation": ["tests/test_simulation.py"],
}
#: Of the games that a test is repeated for, these do; and no large ones, which take seconds.
SELECTED = (
    "power or not (link or planted_smooth or crowd_averse or coordination or garnet or cournot"
    " or 100 or 2000 or large or iterative_path or best_responses_alone or thousand)"
)
#: Compiled modules. Their kernels are mutated and run as plain Python, a hundred times slower.
COMPILED = ("kernels", "agent_kernels")
CONFIGURATION = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/pma_mfg/{module}.py"]
do_not_mutate_patterns = ['raise \\w+Error\\(']  # what a message says is not a result
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-o", "addopts=", "-p", "no:cacheprovider", "-p", "tests.mutation.few_examples"{more}]
timeout_multiplier = 3.0  # of the time of the tests without a mutant, on a machine that others use too
timeout_constant = 10.0
use_setproctitle = false
"""


def interpreted(source: str) -> str:
    """Return a module with its kernels as plain functions: out of the `with kernel_cache` block, not decorated."""
    tree, body = ast.parse(source), []
    for node in tree.body:
        if not isinstance(node, ast.With):
            body.append(node)
            continue
        for function in node.body:
            assert isinstance(function, ast.FunctionDef)
            function.decorator_list = []
            body.append(function)
    # `prefetch` is an instruction of the processor, without an effect on any result
    tree.body = body + ast.parse("def prefetch(array, index): pass").body
    return ast.unparse(tree)


def prepare(module: str, folder: Path) -> None:
    """Copy what mutmut needs into the folder, with times kept, from which it sees what has changed."""
    shutil.copytree(ROOT / "src", folder / "src", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", folder / "tests", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    # the tests may have changed: which of them meet a function is measured again
    (folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    more = ""
    if module in COMPILED:
        path = folder / "src" / "pma_mfg" / f"{module}.py"
        path.write_text(interpreted(path.read_text(encoding="utf-8")), encoding="utf-8")
        shutil.copystat(ROOT / "src" / "pma_mfg" / f"{module}.py", path)
        # unsigned integers wrap around, as they must, and numpy says so
        more = ', "-W", "ignore::RuntimeWarning"'
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    configuration = CONFIGURATION.format(module=module, tests=json.dumps([*TESTS[module], "-k", SELECTED]), more=more)
    (folder / "pyproject.toml").write_text(project + configuration, encoding="utf-8")


def run(sample: int | None) -> dict[str, str]:
    """Test all mutants, or a sample of them that is the same every time; return the verdicts by name."""
    everything = mutmut.collect_source_file_mutation_data
    chosen: list[str] = []

    def collect(*, mutant_names: list[str]) -> tuple[list[tuple], dict]:
        mutants, by_path = everything(mutant_names=())
        if sample is not None and sample < len(mutants):
            mutants.sort(key=lambda mutant: mutant[1])
            random.Random(0).shuffle(mutants)  # a smaller sample is the beginning of a larger one
            mutants = mutants[:sample]
        for data, name, verdict in mutants:
            if status_by_exit_code[verdict] in ("survived", "no tests"):
                data.exit_code_by_key[name] = None
        chosen.extend(name for _, name, _ in mutants)
        return [(data, name, data.exit_code_by_key[name]) for data, name, _ in mutants], by_path

    mutmut.collect_source_file_mutation_data = collect
    mutmut._run((), max_children=1)
    verdicts = {}
    for path in Path("mutants", "src").rglob("*.meta"):
        verdicts |= json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return {name: status_by_exit_code[verdicts[name]] for name in chosen}


def main() -> None:
    """Print a row of the table in docs/mutation.md, and write the survivors as differences."""
    module, sample = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None
    folder = ROOT / "results" / "mutation" / module
    prepare(module, folder)
    os.chdir(folder)
    reset_config()  # it was read when mutmut was imported, in another folder
    verdicts = run(sample)
    count = {kind: list(verdicts.values()).count(kind) for kind in sorted(set(verdicts.values()))}
    dead = len(verdicts) - sum(count.get(kind, 0) for kind in ("survived", "no tests", "not checked"))
    low, high = binomtest(dead, len(verdicts)).proportion_ci(method="wilson")
    interval = f" (95 %: {low:.1%} to {high:.1%})" if sample else ""
    print(f"{module}: {len(verdicts)} mutants, {count}, killed {dead / len(verdicts):.1%}{interval}")
    survivors = [name for name, kind in sorted(verdicts.items()) if kind in ("survived", "no tests")]
    differences = (mutmut.get_diff_for_mutant(name, path=mutmut.find_mutant(name).path) for name in survivors)
    text = "\n".join(f"# {name}\n{difference}" for name, difference in zip(survivors, differences, strict=True))
    Path("survivors.diff").write_text(text, encoding="utf-8")
    print(f"the survivors: {folder.relative_to(ROOT) / 'survivors.diff'}")


if __name__ == "__main__":
    main()
