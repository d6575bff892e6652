"""The same code paths on every processor: what the jobs of a run tell their linear algebra, numpy and numba.

These choose their instructions by the processor, and different ones round differently: last bits of a result, and so
now and then a digit of a table, would depend on the machine. All x86-64 processors of the last ten years have the level
x86-64-v3 (AVX2 and fused multiplication and addition; the first was Intel's Haswell), which is what is asked for.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Mapping

#: What numpy knows of its own code and of the processor; it has no public name.
_NUMPY = importlib.import_module("numpy._core._multiarray_umath")

#: What numpy calls the level, and code of its own for what is below it.
LEVEL, BELOW = "X86_V3", ("X86_V2", "X86_V3")


def environment(
    machine: str = platform.machine(),
    dispatched: tuple[str, ...] = tuple(_NUMPY.__cpu_dispatch__),
    has: Mapping[str, bool] = _NUMPY.__cpu_features__,
) -> dict[str, str]:
    """Return the variables that fix the level; none on another kind of processor, or on one that is below it.

    Parameters
    ----------
    machine : str, optional
        This one by default, as are its features.
    dispatched : tuple of str, optional
        The features for which numpy has code of its own.
    has : mapping of str to bool, optional
        Feature -> whether the processor has it.
    """
    if machine not in ("x86_64", "AMD64") or not has.get(LEVEL, False):
        return {}
    above = [name for name in dispatched if name not in BELOW and has.get(name, False)]
    found = {"OPENBLAS_CORETYPE": "Haswell", "NUMBA_CPU_NAME": "haswell"}
    return found | ({"NPY_DISABLE_CPU_FEATURES": " ".join(above)} if above else {})


def words() -> str:
    """Return a line on what is fixed."""
    if environment():
        return "processor: code paths of x86-64-v3, so that results are the same on every such machine"
    return f"processor: {platform.machine()}, its own code paths; last digits may differ from those of x86-64-v3"
