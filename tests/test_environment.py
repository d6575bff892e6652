"""The environment is the same for pip and conda users, complete, verified by hash, and free of addresses.

It belongs to one checkout and one interpreter, and two set-ups at once make one of it: shown with a stub of Python.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pma_mfg

ROOT = Path(__file__).resolve().parents[1]

# What would tie an installation to one package index: an option, a setting, or the address itself.
INDEX = re.compile(
    r"--(extra-)?index-url\b|--find[-]links\b|\b(extra-)?index-url\s*=|\bregistry\s*="
    r"|\b(https?|file)://\S*/simple(/|[\"'`]|\s|$)",
    re.IGNORECASE | re.MULTILINE,
)


def read_lock() -> list[tuple[Requirement, list[str]]]:
    """Return each pin of requirements.lock with its hashes."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", " ")
    entries = [line.split(" --hash=") for line in text.splitlines() if not line.startswith("#")]
    return [(Requirement(pin), [digest.strip() for digest in hashes]) for pin, *hashes in entries]


#: Extras that are not locked, because of their size, and the file that pins what they are tested with.
UNLOCKED = dict.fromkeys(["mfglib", "openspiel"], "tests/interop/requirements.txt")


def declared_requirements() -> list[Requirement]:
    """Return every requirement that pyproject.toml names, for building, running and testing; not the `UNLOCKED`."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = document["project"]
    lists = [
        document["build-system"]["requires"],
        project["dependencies"],
        *(listed for extra, listed in project["optional-dependencies"].items() if extra not in UNLOCKED),
        *document["dependency-groups"].values(),
    ]
    return [Requirement(text) for requirements in lists for text in requirements]


def test_conda_environment_pins_exactly_what_the_lock_pins():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (pip_section,) = (entry["pip"] for entry in conda["dependencies"] if isinstance(entry, dict))
    # Sorted texts: name, version, marker and multiplicity must agree.
    assert sorted(str(Requirement(pin)) for pin in pip_section) == sorted(str(pin) for pin, _ in read_lock())


def test_lock_pins_one_exact_version_of_each_package():
    pins = [pin for pin, _ in read_lock()]
    assert [pin for pin in pins if not re.fullmatch(r"==[^,*]+", str(pin.specifier))] == []
    names = [canonicalize_name(pin.name) for pin in pins]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("requirement", declared_requirements(), ids=str)
def test_declared_requirement_is_pinned_to_an_allowed_version(requirement):
    pins = {canonicalize_name(pin.name): pin for pin, _ in read_lock()}
    (specifier,) = pins[canonicalize_name(requirement.name)].specifier
    assert requirement.specifier.contains(specifier.version)


def pins_of(path: str) -> dict[str, Requirement]:
    """Return the pins of a requirements file that is not the lock, by name."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(pin.name): pin for pin in map(Requirement, (x for x in lines if not x.startswith("#")))}


@pytest.mark.parametrize(("extra", "pins"), UNLOCKED.items())
def test_an_extra_that_is_not_locked_is_pinned_where_it_is_tested(extra, pins):
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = pins_of(pins)
    for requirement in map(Requirement, document["project"]["optional-dependencies"][extra]):
        (specifier,) = pinned[canonicalize_name(requirement.name)].specifier
        assert requirement.specifier.contains(specifier.version)


@pytest.mark.parametrize("folder", ["article", "benchmarks", "tests/dist", "tests/interop", "tests/mutation"])
def test_an_environment_on_top_of_the_lock_pins_exact_versions_and_nothing_twice(folder):
    pinned = pins_of(f"{folder}/requirements.txt")
    assert all(re.fullmatch(r"==[^,*]+", str(pin.specifier)) for pin in pinned.values())
    assert not pinned.keys() & {canonicalize_name(pin.name) for pin, _ in read_lock()}


def test_every_pin_has_sha256_hashes():
    digest = re.compile(r"sha256:[0-9a-f]{64}")
    for pin, hashes in read_lock():
        assert hashes, pin
        assert all(digest.fullmatch(text) for text in hashes), pin


@pytest.mark.parametrize("name", ["requirements.lock", "environment.yml"])
def test_pins_name_no_address(name):
    assert "://" not in (ROOT / name).read_text(encoding="utf-8")


def test_no_file_names_a_package_index():
    try:
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a git checkout")
    files = [ROOT / name for name in listing.split("\0") if name]
    found = {
        f"{path.relative_to(ROOT)}: {match.group().strip()}"
        for path in files
        if path.is_file()
        for match in INDEX.finditer(path.read_text(encoding="utf-8", errors="ignore"))
    }
    assert found == set()


# How it is cited and listed


def test_what_names_the_version_agrees_with_the_library_which_alone_sets_it():
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in document["project"]
    assert document["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "pma_mfg.__version__"}
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == pma_mfg.__version__


def test_the_archive_and_the_citation_say_the_same():
    archived = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (archived["title"], archived["license"]) == (cited["title"], cited["license"])
    assert [author["name"] for author in archived["creators"]] == [author["name"] for author in cited["authors"]]
    assert set(cited["keywords"]) <= set(archived["keywords"])


# Its set-up

#: Stands for Python, venv and pip: notes what it is asked for, and takes as long over a venv as a file `hold` is there.
STUB = """#!/bin/sh
echo "$*" >> calls
case "$*" in
  "-m venv .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python; while [ -e hold ]; do sleep 0.05; done ;;
  *"print(os.path.realpath(sys.executable))"*) echo "$0" ;;
esac
"""
#: Seconds after which a test gives up. Only a fault takes so long.
PATIENCE = 600

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what make sets an environment up from, and a stub of Python beside it."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy2(ROOT / name, folder)
    for name in ("python", "another"):
        (tmp_path / name).write_text(STUB)
        (tmp_path / name).chmod(0o755)
    return folder


def command(folder: Path, *arguments: str, python: str = "python") -> list[str]:
    return ["make", "-C", str(folder), *arguments, f"PYTHON={folder.parent / python}"]


def calls(folder: Path) -> list[str]:
    """What the stub was asked for, but for questions of make."""
    lines = (folder / "calls").read_text().splitlines()
    return [line for line in lines if line.startswith("-m ")]


def is_ready(folder: Path, python: str = "python") -> bool:
    return subprocess.run(command(folder, "-q", ".venv/.project", python=python)).returncode == 0


@needs_make
def test_the_two_halves_are_the_whole_lock_and_no_package_needs_what_is_not_in_it(checkout: Path) -> None:
    subprocess.run(command(checkout, "environment"), check=True)
    halves = [checkout / f".venv/half-{i}.txt" for i in range(2)]
    installed = [checkout / line.split(" -r ")[1] for line in calls(checkout) if "--no-deps --require-hashes" in line]
    assert sorted(installed) == halves
    pins = [re.split(r"\n(?=\S)", path.read_text().rstrip()) for path in (ROOT / "requirements.lock", *halves)]
    assert sorted(pins[1] + pins[2]) == sorted(pins[0])
    subprocess.run([sys.executable, "-m", "pip", "check"], check=True)


@needs_make
def test_a_copied_checkout_sets_up_an_environment_of_its_own(checkout: Path) -> None:
    assert not is_ready(checkout)
    subprocess.run(command(checkout, "environment"), check=True)
    assert is_ready(checkout)
    assert calls(checkout).count("-m venv .venv") == 1
    copy = shutil.copytree(checkout, checkout.parent / "copy", symlinks=True)
    moved = checkout.rename(checkout.parent / "moved")
    for folder in (copy, moved):
        assert not is_ready(folder)
        subprocess.run(command(folder, "environment"), check=True)
        assert is_ready(folder)
        assert calls(folder).count("-m venv .venv") == 2
        assert (folder / ".venv/.project").read_text().splitlines()[0] == str(folder)


@needs_make
def test_another_interpreter_or_one_that_is_gone_sets_the_environment_up_again(checkout: Path) -> None:
    subprocess.run(command(checkout, "environment"), check=True)
    assert not is_ready(checkout, "another")
    subprocess.run(command(checkout, "environment", python="another"), check=True)
    assert is_ready(checkout, "another")
    (checkout.parent / "another").unlink()
    unnamed = ["make", "-C", str(checkout), "-q", ".venv/.project", "PYTHON="]
    assert subprocess.run(unnamed).returncode == 1


@needs_make
def test_an_edited_project_is_installed_again_into_the_same_environment(checkout: Path) -> None:
    subprocess.run(command(checkout, "environment"), check=True)
    later = time.time() + 10.0
    os.utime(checkout / "pyproject.toml", (later, later))
    before = calls(checkout)
    subprocess.run(command(checkout, "environment"), check=True)
    assert calls(checkout)[len(before) :] == ["-m pip install -qq --no-deps --no-build-isolation -e ."]


@needs_make
def test_of_two_set_ups_at_once_one_waits_and_finds_the_work_done(checkout: Path) -> None:
    (checkout / "hold").touch()
    first = subprocess.Popen(command(checkout, "environment"), stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + PATIENCE
    while not (checkout / ".venv/bin/python").exists():
        assert time.monotonic() < until
        assert first.poll() is None
        time.sleep(0.05)
    second = subprocess.Popen(command(checkout, "environment"), stdout=subprocess.PIPE, text=True)
    assert second.stdout is not None
    said = ""
    while "waiting for another set-up (process " not in said:
        line = second.stdout.readline()
        assert line, said
        said += line
    (checkout / "hold").unlink()
    for started in (first, second):
        started.communicate(timeout=PATIENCE)
        assert started.returncode == 0
    assert calls(checkout).count("-m venv .venv") == 1
    assert len([line for line in calls(checkout) if line.endswith("-e .")]) == 1
    assert is_ready(checkout)
    assert not (checkout / ".venv-lock").is_symlink()


@needs_make
def test_a_set_up_that_was_killed_keeps_nobody_out(checkout: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    (checkout / ".venv-lock").symlink_to(f"{os.uname().nodename}:{dead.pid}")
    subprocess.run(command(checkout, "environment"), check=True, timeout=PATIENCE)
    assert is_ready(checkout)
    assert not (checkout / ".venv-lock").is_symlink()


@needs_make
def test_what_is_set_for_pip_elsewhere_does_not_reach_it(checkout: Path) -> None:
    (checkout / "show.mk").write_text("include Makefile\nshow:\n\t@env\n")
    names = ("TARGET", "PREFIX", "ROOT", "USER", "NO_DEPS", "DRY_RUN", "REQUIRE_VIRTUALENV", "CONSTRAINT")
    elsewhere = {f"PIP_{name}": "elsewhere" for name in names} | {"PYTHONPATH": "elsewhere", "HOME": "/proc/nowhere"}
    shown = subprocess.check_output(
        [*command(checkout, "-f", "show.mk"), "show"], env={**os.environ, **elsewhere}, text=True
    )
    kept = [line for line in shown.splitlines() if line.endswith("=elsewhere")]
    assert kept == []
    assert "PIP_USER=0" in shown.splitlines()
    assert re.search(rf"^(XDG_CACHE_HOME)={re.escape(str(checkout))}/", shown, re.MULTILINE) or os.environ.get(
        "XDG_CACHE_HOME"
    )


# Its language


def without_encoding(tree: ast.AST) -> list[int]:
    """Lines that read or write text in whatever encoding the terminal has."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(keyword.arg == "encoding" for keyword in node.keywords):
            continue
        function = ast.unparse(node.func)
        binary = any(isinstance(word, ast.Constant) and "b" in str(word.value) for word in node.args)
        own = function.startswith(("storage.", "os.", "archive."))  # ours is UTF-8, and the others are binary
        if not own and (
            function.endswith((".read_text", ".write_text")) or (re.search(r"(^|\.)open$", function) and not binary)
        ):
            found.append(node.lineno)
    return found


def test_no_text_is_read_or_written_in_the_terminals_encoding() -> None:
    bad = ["open('a')", "Path('a').open()", "Path('a').read_text()", "Path('a').write_text('x')"]
    assert [len(without_encoding(ast.parse(text))) for text in bad] == [1, 1, 1, 1]
    found = {}
    for path in [*(ROOT / "src").rglob("*.py"), ROOT / "workflow/run.py"]:
        lines = without_encoding(ast.parse(path.read_text(encoding="utf-8")))
        found |= {str(path.relative_to(ROOT)): lines} if lines else {}
    assert found == {}
    rules = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "workflow/rules").glob("*.smk"))
    assert re.findall(r"\b(?:open|read_text|write_text)\((?!.*encoding=).*", rules) == []
