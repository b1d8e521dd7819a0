"""Atomic operations on int64 arrays inside numba, all sequentially consistent, and a pause."""

# numba infers the types of kernels: they carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.extending import intrinsic

_ORDER = "seq_cst"
_X86, _ARM = (
    binding.get_process_triple().startswith(names)
    for names in (("x86_64", "i"), ("aarch64", "arm64"))
)


def _operation(typer: Callable[..., Any]) -> Any:
    """numba's intrinsic; to mypy anything, since callers leave the typing context out."""
    return intrinsic(typer)


def _address(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    return builder.gep(data, [args[1]])


@_operation
def read(typing_context: Any, flags: Any, at: Any) -> Any:
    """flags[at]."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(_address(context, builder, signature, args), _ORDER, 8)

    return types.int64(flags, types.int64), codegen


@_operation
def write(typing_context: Any, flags: Any, at: Any, value: Any) -> Any:
    """flags[at] = value."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[2], _address(context, builder, signature, args), _ORDER, 8)
        return context.get_dummy_value()

    return types.void(flags, types.int64, types.int64), codegen


@_operation
def fetch_add(typing_context: Any, flags: Any, at: Any, value: Any) -> Any:
    """flags[at] += value; the value before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _address(context, builder, signature, args)
        return builder.atomic_rmw("add", place, args[2], _ORDER)

    return types.int64(flags, types.int64, types.int64), codegen


@_operation
def replace(typing_context: Any, flags: Any, at: Any, old: Any, new: Any) -> Any:
    """flags[at] = new if it is old; whether it was."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = _address(context, builder, signature, args)
        found = builder.cmpxchg(place, args[2], args[3], _ORDER)
        return builder.extract_value(found, 1)

    return types.boolean(flags, types.int64, types.int64, types.int64), codegen


@_operation
def pause(typing_context: Any) -> Any:
    """10 to 50 ns in which the other half of a core may run; nothing on other processors."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if _X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            name = "llvm.x86.sse2.pause"
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        elif _ARM:
            kind = ir.FunctionType(ir.VoidType(), [ir.IntType(32)])
            barrier = cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.isb")
            builder.call(barrier, [ir.Constant(ir.IntType(32), 15)])
        return context.get_dummy_value()

    return types.void(), codegen
