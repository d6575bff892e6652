"""What kernels ask of the processor and numba has no word for: memory ahead of its use, and threads that meet."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pma_mfg.compilation import INTEGER, INTEGERS

#: The C library's: let other threads run.
sched_yield = types.ExternalFunction("sched_yield", types.int32())


def _prefetch(context: Any, array: Any, index: Any) -> Any:
    """Ask for array[index] to be brought into the cache, without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, integer = ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, integer, integer, integer])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        builder.call(function, [place, integer(0), integer(3), integer(1)])  # to read, and again, as data
        return context.get_dummy_value()

    return types.void(array, index), generate


def _add_at_once(context: Any, total: Any, number: Any) -> Any:
    """Add a number to total[0], after all that the thread has written, and return what was there before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", data, arguments[1], "seq_cst")

    return INTEGER(INTEGERS, INTEGER), generate


prefetch: Any = intrinsic(_prefetch)

add_at_once: Any = intrinsic(_add_at_once)
