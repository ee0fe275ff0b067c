"""The GEMM micro-kernel: a tile of accumulators in vector registers, one rank-1 update per step.

As in BLIS; written in LLVM's terms, since no compiler keeps such a tile in registers by itself.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .isa import host_isa

ISA = host_isa()
MR, NR = ISA.mr, ISA.nr


@intrinsic
def multiply_tile(typing_context: Any, a: Any, b: Any, c: Any, depth: Any) -> Any:
    """c[MR, NR] = a[depth, MR]^T @ b[depth, NR]; a, b, c are addresses of contiguous float32."""
    signature = types.void(types.uintp, types.uintp, types.uintp, types.intp)

    def codegen(context: Any, build: Any, sig: Any, args: Any) -> Any:
        lanes, nv = ISA.lanes, ISA.nv
        f32, i32, i64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
        vector = ir.VectorType(f32, lanes)
        fma_type = ir.FunctionType(vector, [vector] * 3)
        fma = cgutils.get_or_insert_function(build.module, fma_type, f"llvm.fma.v{lanes}f32")
        a, b, c = (build.inttoptr(address, f32.as_pointer()) for address in args[:3])
        depth = args[3]

        def vector_at(base: Any, index: Any) -> Any:
            return build.bitcast(build.gep(base, [index]), vector.as_pointer())

        def broadcast(base: Any, index: Any) -> Any:
            undefined = ir.Constant(vector, ir.Undefined)
            lane0 = build.insert_element(undefined, build.load(build.gep(base, [index])), i32(0))
            return build.shuffle_vector(lane0, undefined, ir.Constant(ir.VectorType(i32, lanes), [0] * lanes))

        entry, loop, done = build.block, build.append_basic_block("k"), build.append_basic_block("done")
        build.branch(loop)
        build.position_at_end(loop)
        k = build.phi(i64)
        k.add_incoming(i64(0), entry)
        tile = [[build.phi(vector) for _ in range(nv)] for _ in range(MR)]
        row_of_b = build.mul(k, i64(NR))
        pixels = [build.load(vector_at(b, build.add(row_of_b, i64(j * lanes))), align=4) for j in range(nv)]
        row_of_a = build.mul(k, i64(MR))
        updated = []
        for i in range(MR):
            weight = broadcast(a, build.add(row_of_a, i64(i)))
            updated.append([build.call(fma, [weight, pixels[j], tile[i][j]]) for j in range(nv)])
        following = build.add(k, i64(1))
        k.add_incoming(following, loop)
        zero = ir.Constant(vector, [0.0] * lanes)
        for row, new in zip(tile, updated, strict=True):
            for phi, value in zip(row, new, strict=True):
                phi.add_incoming(zero, entry)
                phi.add_incoming(value, loop)
        build.cbranch(build.icmp_signed("<", following, depth), loop, done)
        build.position_at_end(done)
        for i in range(MR):
            for j in range(nv):
                build.store(updated[i][j], vector_at(c, i64(i * NR + j * lanes)), align=4)
        return context.get_dummy_value()

    return signature, codegen
