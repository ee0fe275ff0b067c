"""Vector registers as Numba values: a register of float32 that kernels load, combine and store.

Plain Python syntax in kernels (``a + b``, ``fma(a, b, c)``), LLVM vector instructions in the machine code.
Addresses are integers, in bytes; nothing here checks them.
"""

from __future__ import annotations

import operator
from functools import cache, reduce
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

from ..isa import DOTS, ISA, LANES

F32 = ir.FloatType()
F64 = ir.DoubleType()
I32 = ir.IntType(32)
I64 = ir.IntType(64)
REGISTER = ir.VectorType(F32, LANES)
INTS = ir.VectorType(I32, LANES)
SHORTS = ir.VectorType(ir.IntType(16), LANES)


class _Bfloat(ir.Type):
    """LLVM's bfloat, which llvmlite does not name."""

    def _to_string(self) -> str:
        return "bfloat"


# The type that LLVM's instruction takes for pairs of bfloat16.
PAIRS = ir.VectorType(_Bfloat(), 2 * LANES) if llvm.llvm_version_info[0] >= 16 else INTS


class _Equal(ir.Constant):
    """A constant of equal lanes, written as one word: lists of them would be most of a module's text."""

    def __init__(self, kind: Any, lane: Any, word: str) -> None:
        super().__init__(kind, lane)
        self._word = word

    def _get_reference(self) -> str:
        return self._word


UNDEFINED, ZEROS = _Equal(REGISTER, ir.Undefined, "undef"), _Equal(REGISTER, 0.0, "zeroinitializer")
NANS = ir.Constant(REGISTER, [float("nan")] * LANES)
_FIRST = _Equal(INTS, 0, "zeroinitializer")
_CURRENT_ROUNDING = I32(4)  # for instructions that take a rounding mode


class Vector(types.Type):
    """Numba's type of a register of `LANES` float32."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


vector = Vector()


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, REGISTER)


def pointer(build: Any, address: Any, kind: Any = REGISTER) -> Any:
    """The LLVM pointer to `kind` at an integer address."""
    return build.inttoptr(address, kind.as_pointer())


def splat(build: Any, scalar: Any) -> Any:
    """A register with `scalar` in every lane."""
    return build.shuffle_vector(build.insert_element(UNDEFINED, scalar, I32(0)), UNDEFINED, _FIRST)


def multiply_add(build: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once."""
    signature = ir.FunctionType(REGISTER, [REGISTER] * 3)
    return build.call(cgutils.get_or_insert_function(build.module, signature, f"llvm.fma.v{LANES}f32"), [a, b, c])


def multiply_pairs(build: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c of pairs of bfloat16, summed up in float32."""
    if DOTS is not None:
        signature = ir.FunctionType(REGISTER, [REGISTER, PAIRS, PAIRS])
        function = cgutils.get_or_insert_function(build.module, signature, DOTS.multiply)
        return build.call(function, [c, build.bitcast(a, PAIRS), build.bitcast(b, PAIRS)])
    for part in (lambda x: build.shl(x, each(16)), lambda x: build.and_(x, each(0xFFFF0000))):
        first, second = (build.bitcast(part(build.bitcast(x, INTS)), REGISTER) for x in (a, b))
        c = multiply_add(build, first, second, c)
    return c


def narrow(build: Any, x: Any) -> Any:
    """A register's values in bfloat16, rounded to nearest, ties to even; NaN stays NaN."""
    if DOTS is not None:
        kind = ir.VectorType(_Bfloat(), LANES) if isinstance(PAIRS.element, _Bfloat) else SHORTS
        function = cgutils.get_or_insert_function(build.module, ir.FunctionType(kind, [REGISTER]), DOTS.narrow)
        return build.bitcast(build.call(function, [x]), SHORTS)
    bits = build.bitcast(x, INTS)
    odd = build.and_(build.lshr(bits, each(16)), each(1))
    rounded = build.add(bits, build.add(odd, each(0x7FFF)))  # a NaN's bits may overflow
    rounded = build.select(build.fcmp_unordered("uno", x, x), each(0x7FC00000), rounded)
    return build.trunc(build.lshr(rounded, each(16)), SHORTS)


def widen(build: Any, shorts: Any) -> Any:
    """A register of float32 from bfloat16."""
    return build.bitcast(build.shl(build.zext(shorts, INTS), each(16)), REGISTER)


@cache
def each(value: int) -> Any:
    """An integer in every lane."""
    return ir.Constant(INTS, [value] * LANES)


def prefetch(build: Any, address: Any) -> None:
    """Prefetch the cache line at an integer address, which need not be valid, into the L2 cache."""
    byte = ir.IntType(8).as_pointer()
    signature = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
    function = cgutils.get_or_insert_function(build.module, signature, "llvm.prefetch.p0i8")
    build.call(function, [build.inttoptr(address, byte), I32(0), I32(2), I32(1)])


def feed(entry: Any, loop: Any, *variables: tuple[Any, Any, Any]) -> None:
    """Give each variable of a loop its second value on entry from the block `entry`, and its third from `loop`."""
    for phi, start, following in variables:
        phi.add_incoming(start, entry)
        phi.add_incoming(following, loop)


def call_of(symbol: str, signature: Any) -> Any:
    """The code of an intrinsic that calls the function `symbol` of another module, which returns nothing."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        build.call(cgutils.get_or_insert_function(build.module, signature, symbol), args)
        return context.get_dummy_value()

    return codegen


@intrinsic
def prefetch_line(context: Any, address: Any) -> Any:
    """Prefetch the cache line at `address`, which need not be valid, into the L2 cache."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        prefetch(build, args[0])
        return context.get_dummy_value()

    return types.void(types.intp), codegen


@intrinsic
def load(context: Any, address: Any) -> Any:
    """The register at `address`."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return build.load(pointer(build, args[0]), align=4)

    return vector(types.intp), codegen


@intrinsic
def store(context: Any, address: Any, value: Any) -> Any:
    """Write the register `value` to `address`."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        build.store(args[1], pointer(build, args[0]), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, vector), codegen


@intrinsic
def store_narrow(context: Any, address: Any, value: Any) -> Any:
    """Write the register `value` to `address` in bfloat16, rounded to nearest, ties to even."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        build.store(narrow(build, args[1]), pointer(build, args[0], SHORTS), align=2)
        return context.get_dummy_value()

    return types.void(types.intp, vector), codegen


@intrinsic
def load_narrow(context: Any, address: Any) -> Any:
    """The register of bfloat16 at `address`."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return widen(build, build.load(pointer(build, args[0], SHORTS), align=2))

    return vector(types.intp), codegen


@intrinsic
def load_narrow_scalar(context: Any, address: Any) -> Any:
    """The bfloat16 at `address`."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        short = build.load(pointer(build, args[0], ir.IntType(16)), align=2)
        return build.bitcast(build.shl(build.zext(short, I32), I32(16)), F32)

    return types.float32(types.intp), codegen


@intrinsic
def load_scalar(context: Any, address: Any) -> Any:
    """The float32 at `address`."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return build.load(pointer(build, args[0], F32), align=4)

    return types.float32(types.intp), codegen


@intrinsic
def store_scalar(context: Any, address: Any, value: Any) -> Any:
    """Write the float32 `value` to `address`."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        build.store(args[1], pointer(build, args[0], F32), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.float32), codegen


@intrinsic
def broadcast(context: Any, value: Any) -> Any:
    """A register with the float32 `value` in every lane."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return splat(build, args[0])

    return vector(types.float32), codegen


@intrinsic
def fma(context: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return multiply_add(build, *args)

    return vector(vector, vector, vector), codegen


def _binary(function: Any, emit: Any) -> None:
    """Let the operator `function` work on two registers."""

    @intrinsic
    def combine(context: Any, a: Any, b: Any) -> Any:
        def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
            return emit(build, *args)

        return vector(vector, vector), codegen

    @overload(function)
    def implement(a, b):
        if isinstance(a, Vector) and isinstance(b, Vector):
            return lambda a, b: combine(a, b)
        return None


_binary(operator.add, lambda build, a, b: build.fadd(a, b))
_binary(operator.sub, lambda build, a, b: build.fsub(a, b))
_binary(operator.mul, lambda build, a, b: build.fmul(a, b))


@intrinsic
def maximum(context: Any, a: Any, b: Any) -> Any:
    """The larger of two registers, lane by lane; NaN where one is."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return emit_maximum(build, *args)

    return vector(vector, vector), codegen


def emit_maximum(build: Any, a: Any, b: Any) -> Any:
    """The larger of two registers, lane by lane; NaN where one is."""
    return build.select(build.or_(build.fcmp_ordered(">", b, a), build.fcmp_unordered("uno", b, b)), b, a)


def emit_largest(build: Any, values: list[Any]) -> Any:
    """The largest of an even number of registers, lane by lane; NaN where one of them is.

    One comparison checks two registers for NaN: half of what `emit_maximum` does for each.
    """
    spoilt = reduce(
        build.or_, [build.fcmp_unordered("uno", a, b) for a, b in zip(values[::2], values[1::2], strict=True)]
    )
    largest = reduce(lambda a, b: build.select(build.fcmp_ordered(">", a, b), a, b), values)
    return build.select(spoilt, NANS, largest)


@intrinsic
def activated(context: Any, x: Any, slope: Any) -> Any:
    """x > 0 ? x : slope * x, lane by lane; `slope` is a register."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        return slope_activation(build, *args)

    return vector(vector, vector), codegen


def slope_activation(build: Any, x: Any, slope: Any) -> Any:
    """x > 0 ? x : slope * x.

    The comparison is for the lanes that are multiplied, not for those that stay: with AVX-512 that saves an
    instruction, and depthwise 3 x 3 windows took 14 cycles instead of 18.
    """
    return build.select(build.fcmp_unordered("<=", x, ZEROS), build.fmul(x, slope), x)


def slope_activations(build: Any, values: list[Any], slope: Any) -> list[Any]:
    """x > 0 ? x : slope * x for several registers, with a branch for each kind of slope, a number from 0 to 1.

    A tile of 14 x 2 sums over 16 channels takes 580 cycles with a comparison for each, 60 fewer without, 30 fewer with
    a maximum.
    """
    entry, end = build.block, build.append_basic_block("activated")
    bent, rising, flat = (build.append_basic_block(name) for name in ("bent", "rising", "flat"))
    build.cbranch(build.fcmp_ordered("==", slope, F32(1)), end, bent)
    build.position_at_end(bent)
    slopes = splat(build, slope)
    build.cbranch(build.fcmp_ordered(">", slope, F32(0)), rising, flat)
    build.position_at_end(rising)
    products = [build.fmul(x, slopes) for x in values]
    larger = [build.select(build.fcmp_ordered(">", x, y), x, y) for x, y in zip(values, products, strict=True)]
    build.branch(end)
    build.position_at_end(flat)
    positive = [_relu(build, x) if ISA.fix_up else slope_activation(build, x, slopes) for x in values]
    build.branch(end)
    build.position_at_end(end)
    results = []
    for found in zip(values, larger, positive, strict=True):
        result = build.phi(REGISTER)
        for value, block in zip(found, (entry, rising, flat), strict=True):
            result.add_incoming(value, block)
        results.append(result)
    return results


# What `Isa.fix_up` makes of numbers, by kind, four bits each from the lowest on: quiet and signalling NaN, 0, 1, minus
# infinity, infinity, others below and above 0. 1 is the number itself, 2 the number as a quiet NaN, 3 NaN, 7 minus 0.
_RELU = 0x17131121


def _relu(build: Any, x: Any) -> Any:
    """x > 0 ? x : 0 * x."""
    return _call(build, ISA.fix_up, x, x, each(_RELU), I32(0))


def _call(build: Any, instruction: str, *operands: Any) -> Any:
    """The result of an instruction of `Isa`, in every lane."""
    arguments = [*operands, ir.Constant(ir.IntType(LANES), -1), _CURRENT_ROUNDING]
    signature = ir.FunctionType(REGISTER, [argument.type for argument in arguments])
    return build.call(cgutils.get_or_insert_function(build.module, signature, instruction), arguments)


def nearest(build: Any, x: Any) -> Any:
    """The integers nearest to the numbers of a register."""
    signature = ir.FunctionType(REGISTER, [REGISTER])
    return build.call(cgutils.get_or_insert_function(build.module, signature, f"llvm.nearbyint.v{LANES}f32"), [x])


def from_nearest(build: Any, x: Any) -> Any:
    """The numbers of a register less the integers nearest to them; 0 for infinities. By `Isa.reduce`."""
    return _call(build, ISA.reduce, x, I32(0), UNDEFINED)


def scale_by_power(build: Any, x: Any, n: Any) -> Any:
    """x * 2**n for integers n, even where it overflows or underflows. By `Isa.scale`."""
    return _call(build, ISA.scale, x, n, UNDEFINED)


@intrinsic
def take_equal(context: Any, x: Any, y: Any, value: Any) -> Any:
    """`value` in the lanes where x == y, 0 elsewhere."""

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        x, y, value = args
        return build.select(build.fcmp_ordered("==", x, y), value, ZEROS)

    return vector(vector, vector, vector), codegen
