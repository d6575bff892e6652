"""Mutation testing of one module (docs/mutation.md): `make mutation MODULE=operators`, or of a sample: SAMPLE=200.

mutmut works on a copy below results/mutation. A verdict stands while the function is unchanged, but survivors
are tried again: after a new test, the same command tells whether it kills them. Mutants are tried in random order, so
that those that a run has tried when it is stopped are a sample.
"""

from __future__ import annotations

import ast
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import libcst as cst
from mutmut import __main__ as mutmut
from mutmut.configuration import reset_config
from mutmut.mutation.diff_apply import read_functions_from_index
from mutmut.stats import status_by_exit_code
from mutmut.workers.isolation import ForkRunner
from scipy.stats import binomtest

ROOT = Path(__file__).resolve().parents[2]
#: What is to kill the mutants of a module: files, and tests of others that meet more of it.
TESTS = {
    "operators": [
        "tests/test_operators.py",
        "tests/test_solvers.py::test_anderson_and_newton_reach_the_same_stable_population",
        "tests/test_solvers.py::test_sparse_tables_change_no_operator",
        "tests/test_solvers.py::test_products_with_the_jacobian_are_those_of_the_matrix",
    ],
    **{
        f"regularizers/{module}": [
            "tests/test_regularizers.py",
            "tests/test_own_regularizers.py",
            "tests/test_extremes.py::test_best_responses_at_extremes_are_the_maximizers",
            "tests/test_extremes.py::test_derivatives_and_spans_at_extremes_are_numbers_or_infinite",
            "tests/test_extremes.py::test_steps_under_a_floor_at_extremes_are_the_constrained_maximizers",
        ]
        for module in ("files", "floors", "kinds", "weighted")
    },
    "solvers": [
        "tests/test_solvers.py",
        "--deselect=tests/test_solvers.py::test_sparse_tables_change_no_operator",
        "--deselect=tests/test_solvers.py::test_products_with_the_jacobian_are_those_of_the_matrix",
    ],
    **{
        f"equilibrium/{module}": [
            "tests/test_equilibrium.py",
            "tests/test_extremes.py::test_ties_next_to_the_regularizer_end_policy_iteration",
        ]
        for module in (
            "best_responses",
            "conditions",
            "continuation",
            "damped",
            "files",
            "newton_in_policy",
            "newton_in_population",
            "search",
            "solution",
        )
    },
    "learning/schedules": ["tests/test_schedules.py"],
    "learning/algorithms": [
        "tests/test_learning.py",
        "tests/games/test_functions.py::test_trajectories_of_a_wrapped_game_are_the_same_draw_by_draw",
        "tests/games/test_functions.py::test_td_learning_of_a_wrapped_game_in_pieces_is_bitwise_that_in_one",
        "tests/test_agents.py::test_a_run_interrupted_anywhere_goes_on_bitwise",
    ],
    "simulation/exchangeable": [
        "tests/test_simulation.py",
        "tests/games/test_functions.py::test_trajectories_of_a_wrapped_game_are_the_same_draw_by_draw",
        "tests/test_learning.py::test_one_td_update_is_the_stated_one",
    ],
    "simulation/agents": [
        "tests/test_agents.py",
        "tests/games/test_functions.py::test_independent_learners_of_a_wrapped_game_are_the_same",
    ],
    "simulation/exchangeable_kernels": [
        *(
            f"tests/test_simulation.py::test_{name}"
            for name in (
                "compiled_features_are_those_of_the_game",
                "draws_have_the_given_law_and_no_index_of_probability_zero",
                "counts_are_conserved_for_every_row_whatever_its_rounding",
                "moved_counts_have_multinomial_means_and_covariances",
                "policy_tables_are_averages_over_the_policy",
                "alias_tables_hold_the_rows_exactly",
                "binomials_have_their_law[0.3-20]",
                "binomials_have_their_law[0.83-1000]",
                "counts_move_like_agents_one_by_one[counts-3]",
                "counts_move_like_agents_one_by_one[counts-30]",
                "counts_move_like_agents_one_by_one[agents-3]",
                "a_state_that_is_never_visited_has_no_conditional_features",
                "the_correction_of_stirlings_formula_is_that_of_fifty_digits",
                "a_proposal_is_accepted_up_to_the_ratio_of_probabilities_that_it_must_not_exceed",
                "averages_over_one_step_are_those_of_its_mean_field",
                "streams_are_those_of_xoshiro",
                "with_one_state_nobody_leaves",
                "few_agents_take_the_numbers_of_the_stream_one_after_the_other",
            )
        ),
        "tests/test_learning.py::test_one_td_update_is_the_stated_one",
        "tests/test_learning.py::test_snapshots_are_the_estimates_of_shorter_runs_bitwise",
        "tests/test_learning.py::test_learning_starts_from_the_stated_q",
    ],
    "simulation/agent_kernels": [
        f"tests/test_agents.py::test_{name}"
        for name in (
            "alias_tables_hold_the_transitions_of_every_game",
            "td_updates_are_the_stated_ones",
            "every_agent_plays_the_action_of_its_own_policy_in_its_own_state",
            "agents_draw_actions_and_states_from_the_bits_of_xoshiro",
            "every_agent_makes_its_own_mirror_ascent_step",
            "wright_omega_is_scipys",
        )
    ],
}
#: Of the games that a test is repeated for these will do; what takes seconds is left out.
SELECTED = (
    "power or not (link or planted_smooth or crowd_averse or coordination or garnet or cournot"
    " or 2000 or _large_ or iterative_path or best_responses_alone or thousand or quantecon or not_negative or bias_of"
    " or is_detected or are_detected or cheap_bound or by_definition or tends_to or square_root or comes_close"
    " or sweeps or prescribed or proof_says)"
)
#: Compiled modules: their kernels are mutated and run as plain Python, a hundred times slower. What survives that is
#: compiled, half a minute each, and meets these tests.
COMPILED = {
    "simulation/exchangeable_kernels": [
        "tests/test_simulation.py",
        "tests/test_learning.py",
        "tests/test_extremes.py::test_counts_move_where_probability_is_extreme",
    ],
    "simulation/agent_kernels": [
        "tests/test_agents.py",
        "tests/test_extremes.py::test_compiled_steps_at_extremes_are_the_maximizers",
        "tests/games/test_functions.py::test_independent_learners_of_a_wrapped_game_are_the_same",
    ],
}
#: Seconds after which a compiled mutant is taken not to end.
PATIENCE = 900
CONFIGURATION = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/pma_mfg/{module}.py"]
do_not_mutate_patterns = ['raise \\w+Error\\(']  # what a message says is not a result
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = {options}
timeout_multiplier = 4.0  # of the time of the tests without a mutant, on a machine that others use too
timeout_constant = 10.0
use_setproctitle = false
"""
OPTIONS = ["-o", "addopts=", "-p", "no:cacheprovider", "-p", "tests.mutation.quick"]
DEAD, ALIVE = ("killed", "timeout", "segfault", "suspicious"), ("survived", "no tests")


def interpreted(source: str) -> str:
    """Return a module with its kernels as plain functions: out of the `with kernel_cache` block, not decorated."""
    tree, body = ast.parse(source), []
    for node in tree.body:
        for function in node.body if isinstance(node, ast.With) else ():
            assert isinstance(function, ast.FunctionDef)
            function.decorator_list = []
        body += node.body if isinstance(node, ast.With) else [node]
    # an instruction of the processor, without an effect on any result
    tree.body = [*body, *ast.parse("def prefetch(array, index): pass").body]
    return ast.unparse(tree)


def prepare(module: str, folder: Path) -> None:
    """Copy what mutmut needs into the folder, with times kept, from which it sees what has changed."""
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, folder / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    options = OPTIONS
    if module in COMPILED:
        path = folder / "src" / "pma_mfg" / f"{module}.py"
        path.write_text(interpreted(path.read_text(encoding="utf-8")), encoding="utf-8")
        shutil.copystat(ROOT / "src" / "pma_mfg" / f"{module}.py", path)
        # unsigned integers wrap around, as they must, and numpy says so
        options = [*OPTIONS, "-W", "ignore::RuntimeWarning"]
    tests = json.dumps([*TESTS[module], "-k", SELECTED])
    configuration = CONFIGURATION.format(module=module, tests=tests, options=json.dumps(options))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(project + configuration, encoding="utf-8")
    # which tests meet a function is measured at every run: they may be other ones now
    (folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)


def with_kernel(module: str, kernel: ast.FunctionDef | None) -> str:
    """Return the source of a compiled module with one kernel in the place of its own, or as it is."""
    tree = ast.parse((ROOT / "src" / "pma_mfg" / f"{module}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if kernel is not None and isinstance(node, ast.FunctionDef) and node.name == kernel.name:
            node.args, node.body = kernel.args, kernel.body
    return ast.unparse(tree)


def compiled_verdict(module: str, kernel: ast.FunctionDef | None) -> str:
    """Compile a module with one kernel changed, and run its tests."""
    copy = Path("compiled").resolve()
    shutil.rmtree(copy, ignore_errors=True)
    for part in ("src", "tests"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / "src" / "pma_mfg" / f"{module}.py").write_text(with_kernel(module, kernel), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-o",
        "addopts=",
        "-p",
        "no:cacheprovider",
        *COMPILED[module],
    ]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "NUMBA_CACHE_DIR": str(copy / "kernels")}
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return "timeout"
    return "killed" if done.returncode else "survived"


def try_compiled(module: str, names: list[str]) -> dict[str, str]:
    """Try mutants as compiled code; return the verdicts by name."""
    assert compiled_verdict(module, None) == "survived", "the tests fail without a mutant"
    verdicts = {}
    for name in names:
        functions = read_functions_from_index(name, mutmut.find_mutant(name).path)
        assert functions is not None
        mutant = ast.parse(cst.Module([functions[1]]).code).body[0]
        assert isinstance(mutant, ast.FunctionDef)
        verdicts[name] = compiled_verdict(module, mutant)
        print(f"compiled: {name}: {verdicts[name]}", flush=True)
    return verdicts


def run(module: str, sample: int | None) -> dict[str, str]:
    """Try all mutants, or a sample of them that is the same every time; return the verdicts by name."""
    everything = mutmut.collect_source_file_mutation_data
    chosen: list[str] = []

    def collect(*, mutant_names: list[str]) -> tuple[list[tuple], dict]:
        mutants, by_path = everything(mutant_names=())
        mutants.sort(key=lambda mutant: mutant[1])
        random.Random(0).shuffle(mutants)  # a smaller sample is the beginning of a larger one
        mutants = mutants[:sample]
        chosen.extend(name for _, name, _ in mutants)
        # tried again: survivors, for which there may be a new test, and what may have timed out only on a busy machine
        return [
            (data, name, code if status_by_exit_code[code] == "killed" else None) for data, name, code in mutants
        ], by_path

    shutil.copy = shutil.copy2  # in mutmut: kernels are compiled again if the time of their file is another one
    mutmut.collect_source_file_mutation_data = collect
    mutmut.estimated_worst_case_time = lambda name: 0.0  # keep the order
    ForkRunner.run_clean_tests = lambda self, tests: 0  # they passed just now, when it was measured what they meet
    mutmut._run((), max_children=1)
    verdicts = json.loads(Path(f"mutants/src/pma_mfg/{module}.py.meta").read_text(encoding="utf-8"))["exit_code_by_key"]
    return {name: status_by_exit_code[verdicts[name]] for name in chosen}


def main() -> None:
    """Print a row of the table in docs/mutation.md, and write the survivors as differences."""
    module, sample = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None
    folder = ROOT / "results" / "mutation"
    prepare(module, folder)
    os.chdir(folder)
    reset_config()  # mutmut read it when it was imported, in another folder
    main_process = os.getpid()

    def stop(*_: object) -> None:
        if os.getpid() != main_process:
            os._exit(2)  # a mutant is given up, without a verdict
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)  # with a report
    verdicts = {name: verdict for name, verdict in run(module, sample).items() if verdict in DEAD + ALIVE}
    if module in COMPILED:
        verdicts |= try_compiled(module, sorted(name for name, verdict in verdicts.items() if verdict in ALIVE))
    dead = sum(verdict in DEAD for verdict in verdicts.values())
    counts = ", ".join(f"{sum(v == kind for v in verdicts.values())} {kind}" for kind in DEAD + ALIVE)
    low, high = binomtest(dead, len(verdicts)).proportion_ci(method="wilson")
    rate = f"{dead / len(verdicts):.1%} dead, as a sample {low:.1%} to {high:.1%}"
    print(f"{module}: {len(verdicts)} mutants: {counts}; {rate}")
    survivors = sorted(name for name, verdict in verdicts.items() if verdict in ALIVE)
    differences = [mutmut.get_diff_for_mutant(name, path=mutmut.find_mutant(name).path) for name in survivors]
    text = "\n".join(f"# {name}\n{difference}" for name, difference in zip(survivors, differences, strict=True))
    Path(f"{module}.diff").parent.mkdir(exist_ok=True)
    Path(f"{module}.diff").write_text(text, encoding="utf-8")
    print(f"the survivors: results/mutation/{module}.diff")


if __name__ == "__main__":
    main()
