"""The same instructions on every processor: what the jobs of a run tell numpy and the linear algebra library.

Both choose their instructions by the processor, and different ones round differently: last bits of a result, and so
now and then a digit of a table, would depend on the machine. All x86-64 processors of the last ten years have the level
x86-64-v3 (AVX2, and fused multiplication and addition; the first was Intel's Haswell), which is what is asked for. One
thread, since how many share a sum decides in which order it is added up.

Compiled kernels need nothing: their compiler neither fuses operations nor adds in another order unless it is told to
(``fastmath``), so that they round alike with the instructions of any processor. Nor does the library of C: what it has
for exp and log it chooses within the level.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Mapping

# it has no public name
_NUMPY = importlib.import_module("numpy._core._multiarray_umath")

#: The features for which numpy has code of its own.
DISPATCHED: tuple[str, ...] = tuple(_NUMPY.__cpu_dispatch__)

#: Feature -> whether this processor has it, and numpy was not told to do without.
HAS: dict[str, bool] = _NUMPY.__cpu_features__

#: What numpy calls the level, and what of its code for single processors is not above that.
LEVEL, WITHIN = "X86_V3", ("X86_V2", "X86_V3")


def environment(
    machine: str = platform.machine(),
    dispatched: tuple[str, ...] = DISPATCHED,
    has: Mapping[str, bool] = HAS,
) -> dict[str, str]:
    """Return the variables that fix the level; of another kind of processor, or one below the level, only the threads.

    Parameters
    ----------
    machine : str, optional
        The kind of processor, this one by default.
    dispatched : tuple of str, optional
        As `DISPATCHED`.
    has : mapping of str to bool, optional
        As `HAS`.
    """
    found = {"OPENBLAS_NUM_THREADS": "1"}
    if machine not in ("x86_64", "AMD64") or not has.get(LEVEL, False):
        return found
    above = [name for name in dispatched if name not in WITHIN and has.get(name, False)]
    found["OPENBLAS_CORETYPE"] = "Haswell"
    return found | ({"NPY_DISABLE_CPU_FEATURES": " ".join(above)} if above else {})


def words() -> str:
    """Return a line on what is fixed."""
    if "OPENBLAS_CORETYPE" in environment():
        return "processor: instructions of x86-64-v3, so that the numbers are the same on every processor that has them"
    return f"processor: {platform.machine()}, its own instructions: last digits may differ from those of x86-64-v3"
