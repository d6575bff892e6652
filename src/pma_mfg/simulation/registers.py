"""Eight numbers side by side in a vector register, as types that kernels compute with.

Whether a compiler turns a loop into vector instructions is left to its heuristics, and loops over eight numbers are too
short for them. Here the vectors are types: `FLOATS` holds eight doubles, `WORDS` eight 64-bit integers and `MASK` eight
truth values, with the usual operators and the functions below. Every operation is the one of single numbers, rounded
alike and never fused, so that lane i of a result is bitwise what a kernel of single numbers computes. Processors with
shorter registers take two or four for a vector.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.core.typing import templates
from numba.extending import models, register_model

#: Numbers in a vector.
WIDTH = 8

# numba leaves these untyped, or gives them the types of calls within the compiler
intrinsic: Callable[[Callable[..., Any]], Callable[..., Any]] = extending.intrinsic
lower_builtin: Any = extending.lower_builtin
infer_global: Any = templates.infer_global
signature: Any = templates.signature
declared: Any = cgutils.get_or_insert_function


class Lanes(types.Type):
    """Type of `WIDTH` numbers side by side."""

    def __init__(self, name: str, element: ir.Type) -> None:
        self.vector = ir.VectorType(element, WIDTH)
        super().__init__(name=name)


FLOATS, WORDS, MASK = Lanes("floats", ir.DoubleType()), Lanes("words", ir.IntType(64)), Lanes("mask", ir.IntType(1))


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, of: Lanes) -> None:
        super().__init__(manager, of, of.vector)  # type: ignore[no-untyped-call]


def _repeat(builder: ir.IRBuilder, value: ir.Value, vector: ir.VectorType) -> ir.Value:
    """Return a vector all of whose numbers are one value; a vector as it is."""
    if value.type == vector:
        return value
    single = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(single, ir.Constant(vector, ir.Undefined), zeros)


def _operator(symbol: Callable[..., Any], of: Lanes, result: Lanes, emit: Callable[..., ir.Value]) -> None:
    """Let kernels apply an operator to two vectors, or to a vector and a number."""
    number = types.float64 if of is FLOATS else types.uint64

    @infer_global(symbol)
    class Template(templates.AbstractTemplate):
        def generic(self, arguments: Any, keywords: Any) -> Any:
            if not keywords and len(arguments) == 2 and of in arguments:
                return signature(result, *(of if argument == of else number for argument in arguments))
            return None

    def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
        return emit(builder, *(_repeat(builder, argument, of.vector) for argument in arguments))

    for pair in ((of, of), (of, number), (number, of)):
        lower_builtin(symbol, *pair)(generate)


for _symbol, _name in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_symbol, FLOATS, FLOATS, getattr(ir.IRBuilder, _name))
_COMPARED = (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.gt, ">"),
    (operator.ge, ">="),
    (operator.eq, "=="),
)
for _symbol, _sign in _COMPARED:
    _operator(_symbol, FLOATS, MASK, lambda builder, a, b, sign=_sign: builder.fcmp_ordered(sign, a, b))
for _symbol, _name in ((operator.add, "add"), (operator.xor, "xor"), (operator.or_, "or_")):
    _operator(_symbol, WORDS, WORDS, getattr(ir.IRBuilder, _name))
for _symbol, _name in ((operator.and_, "and_"), (operator.or_, "or_")):
    _operator(_symbol, MASK, MASK, getattr(ir.IRBuilder, _name))


def _function(name: str) -> Any:
    """Return one of the compiler's own functions of doubles, applied to each of a vector."""

    def typed(typing_context: Any, a: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
            kind = ir.FunctionType(FLOATS.vector, [FLOATS.vector])
            function = declared(builder.module, kind, f"llvm.{name}.v{WIDTH}f64")
            return builder.call(function, arguments)

        return FLOATS(FLOATS), generate

    return intrinsic(typed)


root, floor, magnitude = (_function(name) for name in ("sqrt", "floor", "fabs"))


def _pointer(context: Any, builder: ir.IRBuilder, array_type: Any, array: Any, start: Any) -> tuple[ir.Value, Lanes]:
    of = FLOATS if array_type.dtype == types.float64 else WORDS
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [start]), of.vector.as_pointer()), of


@intrinsic
def load(typing_context: Any, array: Any, start: Any) -> Any:
    """Return the vector of array[start], ..., array[start + WIDTH - 1]."""

    def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
        return builder.load(_pointer(context, builder, array, *arguments)[0], align=8)

    return (FLOATS if array.dtype == types.float64 else WORDS)(array, types.int64), generate


@intrinsic
def store(typing_context: Any, array: Any, start: Any, vector: Any) -> Any:
    """Write a vector to array[start], ..., array[start + WIDTH - 1]."""

    def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
        builder.store(arguments[2], _pointer(context, builder, array, *arguments[:2])[0], align=8)
        return context.get_dummy_value()

    return types.void(array, types.int64, vector), generate


@intrinsic
def gather(typing_context: Any, array: Any, start: Any, indices: Any) -> Any:
    """Return the vector of array[start + indices[i]], i = 0, ..., WIDTH - 1; indices are integers >= 0, (WIDTH,)."""

    def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
        data = context.make_array(array)(context, builder, arguments[0]).data
        base = builder.gep(data, [arguments[1]])
        places = context.make_array(indices)(context, builder, arguments[2]).data
        vector = ir.Constant(FLOATS.vector, ir.Undefined)
        for i in range(WIDTH):
            lane = ir.Constant(ir.IntType(32), i)
            place = builder.load(builder.gep(places, [lane]))
            vector = builder.insert_element(vector, builder.load(builder.gep(base, [place])), lane)
        return vector

    return FLOATS(array, types.int64, indices), generate


@intrinsic
def pick(typing_context: Any, array: Any, indices: Any) -> Any:
    """Return the vector of array[indices], a vector of integers."""

    def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
        data = context.make_array(array)(context, builder, arguments[0]).data
        vector = ir.Constant(FLOATS.vector, ir.Undefined)
        for i in range(WIDTH):
            lane = ir.Constant(ir.IntType(32), i)
            number = builder.load(builder.gep(data, [builder.extract_element(arguments[1], lane)]))
            vector = builder.insert_element(vector, number, lane)
        return vector

    return FLOATS(array, WORDS), generate


@intrinsic
def spread(typing_context: Any, number: Any) -> Any:
    """Return the vector all of whose numbers are one double."""

    def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
        return _repeat(builder, arguments[0], FLOATS.vector)

    return FLOATS(types.float64), generate


@intrinsic
def choose(typing_context: Any, mask: Any, first: Any, second: Any) -> Any:
    """Return first where the mask is true, else second: two vectors of one type."""

    def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
        return builder.select(*arguments)

    return first(mask, first, first), generate


@intrinsic
def bits(typing_context: Any, mask: Any) -> Any:
    """Return a mask as an integer, bit i being lane i."""

    def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
        return builder.zext(builder.bitcast(arguments[0], ir.IntType(WIDTH)), ir.IntType(64))

    return types.int64(MASK), generate


@intrinsic
def mask_of(typing_context: Any, number: Any) -> Any:
    """Return the mask whose lane i is bit i of an integer."""

    def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
        return builder.bitcast(builder.trunc(arguments[0], ir.IntType(WIDTH)), MASK.vector)

    return MASK(types.int64), generate


@intrinsic
def lowest(typing_context: Any, number: Any) -> Any:
    """Return the lowest bit that is set in an integer other than 0."""

    def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


@intrinsic
def rotated(typing_context: Any, words: Any, places: Any) -> Any:
    """Return words whose bits are rotated to the left."""

    def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
        words, left = arguments[0], _repeat(builder, arguments[1], WORDS.vector)
        right = builder.sub(ir.Constant(WORDS.vector, [64] * WIDTH), left)
        return builder.or_(builder.shl(words, left), builder.lshr(words, right))

    return WORDS(WORDS, types.uint64), generate


@intrinsic
def shifted(typing_context: Any, words: Any, places: Any) -> Any:
    """Return words whose bits are shifted to the left."""

    def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
        return builder.shl(arguments[0], _repeat(builder, arguments[1], WORDS.vector))

    return WORDS(WORDS, types.uint64), generate


@intrinsic
def as_doubles(typing_context: Any, words: Any) -> Any:
    """Return the doubles in [1, 2) whose 52 random bits are the highest of the words."""

    def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
        twelve, one = (_repeat(builder, ir.Constant(ir.IntType(64), n), WORDS.vector) for n in (12, 0x3FF0000000000000))
        return builder.bitcast(builder.or_(builder.lshr(arguments[0], twelve), one), FLOATS.vector)

    return FLOATS(WORDS), generate


@intrinsic
def as_words(typing_context: Any, floats: Any) -> Any:
    """Return doubles in [0, 2^63) as integers, rounded down."""

    def generate(context: Any, builder: ir.IRBuilder, of_call: Any, arguments: Any) -> ir.Value:
        return builder.fptosi(arguments[0], WORDS.vector)

    return WORDS(FLOATS), generate
