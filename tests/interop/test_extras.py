"""Nothing needs the other libraries, and who asks for them without having them is told what to install."""

import subprocess
import sys

import pytest

IMPORT_ALL = """
import importlib, pkgutil, sys
import pma_mfg
for module in pkgutil.walk_packages(pma_mfg.__path__, "pma_mfg."):
    if not module.name.startswith("pma_mfg.interop."):
        importlib.import_module(module.name)
print(sorted({"torch", "mfglib", "pettingzoo", "gymnasium", "jax", "pyspiel"} & set(sys.modules)))
"""


def test_importing_the_library_imports_none_of_the_other_libraries() -> None:
    assert subprocess.check_output([sys.executable, "-c", IMPORT_ALL], text=True) == "[]\n"


@pytest.mark.parametrize(
    ("extra", "missing"),
    [
        ("mfglib", "torch"),
        ("mfglib", "mfglib"),
        ("pettingzoo", "pettingzoo"),
        ("gymnasium", "gymnasium"),
        ("openspiel", "pyspiel"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(extra: str, missing: str) -> None:
    code = f"import sys; sys.modules['{missing}'] = None; import pma_mfg.interop.{extra}"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].endswith(f'pip install "pma-mfg[{extra}]"')
