"""The cache of compiled kernels is never stale, survives processes that start together, and may be unwritable.

A tiny module stands for the module of kernels: a helper, its caller and two more functions under the same decorator.
"""

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from numba import types

from pma_mfg import compilation
from pma_mfg.simulation import agent_kernels, exchangeable_kernels, links, lockstep_kernels, random_numbers

MODULE = """
from pathlib import Path

from numba import types

from pma_mfg.compilation import kernel_cache

with kernel_cache(Path(__file__)) as kernel:

    @kernel(types.float64(types.float64))
    def helper(x):
        return x + 1.0

    @kernel(types.float64(types.float64))
    def caller(x):
        return 10.0 * helper(x)

    @kernel(types.float64(types.float64, types.int64))
    def power(x, n):
        y = 1.0
        for _ in range(n):
            y *= helper(x)
        return y

    @kernel(types.int64(types.int64))
    def triangle(n):
        total = 0
        for i in range(n + 1):
            total += i
        return total
"""
CALLS = {"helper(1.0)": "2.0", "caller(1.0)": "20.0", "power(1.0, 5)": "32.0", "triangle(4)": "10"}


FUNCTIONS = ("helper", "caller", "power", "triangle")


def start(folder, cache, expressions, **surroundings):
    """Start a process that imports the module in `folder`, and prints values and how many functions it compiled."""
    values = ", ".join(f"tiny.{expression}" for expression in expressions)
    compiled = " + ".join(f"sum(tiny.{name}.stats.cache_misses.values())" for name in FUNCTIONS)
    without_locks = "import fcntl; fcntl.flock = lambda *_: open('/no locks'); " if surroundings.get("LOCKS") else ""
    code = f"{without_locks}import tiny; print({values}, {compiled})"
    # Python's own bytecode cache would take a file of the same length and time for the same file
    own = {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    environment = os.environ | own | surroundings
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process, warning=""):
    """Return the values and the number of functions that the process compiled; a pattern of all that it says."""
    out, err = process.communicate(timeout=3600)  # only a fault takes so long
    assert process.returncode == 0, err
    assert re.fullmatch(warning, err), err
    *values, compiled = out.split()
    return values, int(compiled)


def compiled_files(cache):
    """Return the compiled code and its indices, with the time of their last change."""
    return {path: path.stat().st_mtime_ns for path in Path(cache).rglob("*.nb[ci]")}


@pytest.fixture
def module(tmp_path):
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "tiny.py").write_text(MODULE)
    return folder


def test_an_edited_helper_is_seen_through_its_callers(module, tmp_path):
    cache = tmp_path / "cache"
    assert finish(start(module, cache, ["helper(1.0)", "caller(1.0)"])) == (["2.0", "20.0"], 4)
    before = compiled_files(cache)
    source = module / "tiny.py"
    moment = source.stat().st_mtime_ns
    # the same length and the same time of change: only the content tells
    source.write_text(MODULE.replace("x + 1.0", "x + 7.0"))
    os.utime(source, ns=(moment, moment))
    assert finish(start(module, cache, ["helper(1.0)", "caller(1.0)"])) == (["8.0", "80.0"], 4)
    # the old code is left for whoever still runs it
    after = compiled_files(cache)
    assert {path: after[path] for path in before} == before


def test_a_copy_of_the_source_elsewhere_uses_what_the_first_has_compiled(module, tmp_path):
    cache, other = tmp_path / "cache", tmp_path / "other" / "module"
    assert finish(start(module, cache, CALLS)) == (list(CALLS.values()), 4)
    before = compiled_files(cache)
    shutil.copytree(module, other)
    shutil.rmtree(module)
    os.utime(other / "tiny.py")
    assert finish(start(other, cache, CALLS)) == (list(CALLS.values()), 0)
    assert compiled_files(cache) == before


def test_many_processes_on_a_cold_cache_are_all_right_and_leave_a_good_cache(module, tmp_path):
    cache = tmp_path / "cache"
    calls = [(list(CALLS)[i:] + list(CALLS)[:i])[: 1 + i] for i in range(4)]
    running = [start(module, cache, expressions) for expressions in calls]
    finished = [finish(process) for process in running]
    for expressions, (values, _) in zip(calls, finished, strict=True):
        assert values == [CALLS[expression] for expression in expressions]
    # each function was compiled once, by whoever came first, and never at the same time by two
    assert sorted(compiled for _, compiled in finished) == [0] * 3 + [4]
    after = compiled_files(cache)
    assert finish(start(module, cache, CALLS)) == (list(CALLS.values()), 0)
    assert compiled_files(cache) == after


def test_an_unwritable_cache_folder_costs_only_compilation(module, tmp_path):
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    said = r"warning: .*: Not a directory: kernels are compiled anew; NUMBA_CACHE_DIR names another folder\n"
    values, _ = finish(start(module, blocked / "cache", CALLS), said)
    assert values == list(CALLS.values())
    assert blocked.read_text() == "in the way"


@pytest.mark.parametrize(
    ("surroundings", "reason"),
    [
        ({"NUMBA_CACHE_DIR": "", "XDG_CACHE_HOME": "", "HOME": "/dev/null"}, "Not a directory"),
        ({"LOCKS": "none"}, "No such file or directory"),
    ],
)
def test_a_home_that_cannot_be_written_or_locked_costs_compilation_and_one_line(module, tmp_path, surroundings, reason):
    said = rf"warning: .*: {reason}: kernels are compiled anew; NUMBA_CACHE_DIR names another folder\n"
    values, _ = finish(start(module, tmp_path / "cache", CALLS, **surroundings), said)
    assert values == list(CALLS.values())


def test_no_folder_is_made_for_a_home_that_is_unknown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="no home folder"):
        compilation._locked(Path("~/.cache/pma-mfg/kernels"))
    assert not list(tmp_path.iterdir())


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the library's source in place of the library, for the name of the cache folder."""
    copy = tmp_path / "pma_mfg"
    shutil.copytree(Path(compilation.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(compilation, "__file__", str(copy / "compilation.py"))
    compilation._sources.cache_clear()
    yield copy
    compilation._sources.cache_clear()


def test_the_library_s_kernels_share_one_cache_folder_below_the_one_that_is_set(copied):
    folders = {compilation.cache_folder(path) for path in compilation._sources()}
    assert len(folders) == 1
    assert folders.pop().parent == copied.parent / "cache"


@pytest.mark.parametrize(
    "edited", ["simulation/links.py", "simulation/random_numbers.py", "simulation/registers.py", "compilation.py"]
)
def test_an_edit_of_what_a_kernel_of_another_module_calls_names_another_cache_folder(copied, edited):
    before = compilation.cache_folder(copied / "simulation" / "agent_kernels.py")
    with (copied / edited).open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    assert compilation.cache_folder(copied / "simulation" / "agent_kernels.py") != before


def test_an_edit_of_a_module_without_kernels_keeps_the_cache_folder(copied):
    before = compilation.cache_folder(copied / "simulation" / "agent_kernels.py")
    (copied / "operators.py").write_text("x = 1\n")
    assert compilation.cache_folder(copied / "simulation" / "agent_kernels.py") == before


def test_the_cache_folder_of_a_module_outside_the_library_is_named_by_its_own_content_too(tmp_path):
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("x = 1")
    two.write_text("x = 1")
    assert compilation.cache_folder(one) == compilation.cache_folder(two)
    two.write_text("x = 2")
    assert compilation.cache_folder(one) != compilation.cache_folder(two)


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "HOME"])
def test_without_a_setting_the_cache_is_in_the_user_s_cache_folder(tmp_path, monkeypatch, variable):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    parent = tmp_path if variable == "XDG_CACHE_HOME" else tmp_path / ".cache"
    assert compilation.cache_folder(Path(__file__)).parent == parent / "pma-mfg"


def test_the_project_s_kernels_are_compiled_for_one_signature_each():
    for function in (
        links.feature_values,
        random_numbers.draw,
        random_numbers.advance,
        agent_kernels.learn_block,
        exchangeable_kernels.move_counts,
        exchangeable_kernels.average,
        exchangeable_kernels.learn,
        lockstep_kernels.learn_together,
    ):
        assert len(function.signatures) == 1


def holds_an_array(kind):
    parts = kind.types if isinstance(kind, types.BaseTuple) else [kind]
    return any(isinstance(part, types.Array) or (part is not kind and holds_an_array(part)) for part in parts)


def test_kernels_that_count_no_references_call_none_that_returns_an_array():
    root = Path(compilation.__file__).parents[1]
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in compilation._sources()]
    found = [kernel for name in names for kernel in vars(importlib.import_module(name)).values()]
    kernels = {kernel for kernel in found if isinstance(kernel, numba.core.dispatcher.Dispatcher)}
    making = {kernel for kernel in kernels if any(holds_an_array(of.return_type) for of in kernel.nopython_signatures)}
    borrowing = {kernel for kernel in kernels if kernel.targetoptions.get("_nrt") is False}
    assert exchangeable_kernels.room_of in making
    assert exchangeable_kernels.learn_steps in borrowing
    for kernel in borrowing:
        function = kernel.py_func
        named = [function.__globals__.get(name) for name in function.__code__.co_names]
        assert not [one for one in named if isinstance(one, numba.core.dispatcher.Dispatcher) and one in making], (
            function
        )


def test_numba_s_own_cache_setting_is_left_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    before = numba.config.CACHE_DIR
    with compilation.kernel_cache(Path(__file__)):
        assert str(tmp_path) in numba.config.CACHE_DIR
    assert before == numba.config.CACHE_DIR
