"""The environment is the same for pip and conda users, complete, verified by hash, and free of addresses."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
UNLOCKED = {"mfglib": "tests/interop/requirements.txt"}


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


@pytest.mark.parametrize("folder", ["benchmarks", "tests/interop", "tests/mutation"])
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
