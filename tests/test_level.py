"""What a run prints does not depend on which instructions the processor has."""

from __future__ import annotations

import re

import numba
import pytest

from pma_mfg import compilation
from pma_mfg.learning import generative_kernels
from pma_mfg.learning.trajectory import trajectory_kernels
from pma_mfg.populations import lattice
from pma_mfg.simulation import (
    agent_kernels,
    environment_kernels,
    exchangeable_kernels,
    lockstep_kernels,
    path_kernels,
)
from pma_replication.runs import level

SIMULATION = (exchangeable_kernels, agent_kernels, environment_kernels, lockstep_kernels, path_kernels)
MODULES = (*SIMULATION, generative_kernels, trajectory_kernels, lattice)


def test_only_a_processor_that_has_the_level_is_told_to_use_it_and_only_what_it_has_is_turned_off() -> None:
    dispatched = ("X86_V3", "X86_V4", "AVX512_ICL", "AVX512_SPR")
    new = {"X86_V3": True, "X86_V4": True, "AVX512_ICL": True, "AVX512_SPR": False}
    assert level.environment("x86_64", dispatched, new)["NPY_DISABLE_CPU_FEATURES"] == "X86_V4 AVX512_ICL"
    assert "NPY_DISABLE_CPU_FEATURES" not in level.environment("x86_64", dispatched, {"X86_V3": True})
    assert level.environment("x86_64", dispatched, {"X86_V3": False}).keys() == {"OPENBLAS_NUM_THREADS"}
    assert level.environment("arm64", dispatched, new).keys() == {"OPENBLAS_NUM_THREADS"}


def fuses(**settings: bool) -> bool:
    """Whether a product and a sum are compiled into one instruction, which rounds once."""
    kernel = numba.njit(compilation.FLOAT(compilation.VECTOR, compilation.VECTOR), **compilation.SETTINGS, **settings)
    compiled = kernel(lambda x, y: x[0] * y[0] + x[1])
    (code,) = compiled.inspect_asm().values()
    return re.search(r"\bv?f(n?m(add|sub|la|ls))", code) is not None


def test_compiled_kernels_neither_fuse_operations_nor_add_in_another_order() -> None:
    kernels = [value for module in MODULES for value in vars(module).values() if hasattr(value, "targetoptions")]
    assert len(kernels) > 10
    assert not any(kernel.targetoptions.get("fastmath") for kernel in kernels)
    assert not fuses()


@pytest.mark.skipif(not level.HAS.get("FMA3", False), reason="the processor has no such instruction")
def test_a_compiler_that_may_fuse_operations_does() -> None:
    assert fuses(fastmath=True)
