"""Explicit vector registers inside numba: what the compiler may not round differently.

No libm and no fast-math flags: vector code is emitted explicitly (``vector_op``), with explicit
fused multiply-adds, so that two places that compute the same thing get the same bits.
"""

# numba infers the types of kernels: they carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.extending import intrinsic, lower_builtin, models, register_model
from numba.core.typing.templates import AbstractTemplate, Signature, infer_global

_WIDE = bool(binding.get_host_cpu_features().get("avx512f", False))
VECTOR_BYTES = 64 if _WIDE else 32


class Vec(types.Type):
    """Numba type of one vector register of `dtype`."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vec({dtype} x {self.lanes})")


def llvm_vector(vec: Vec) -> ir.VectorType:
    scalar = ir.FloatType() if vec.dtype.bitwidth == 32 else ir.DoubleType()
    return ir.VectorType(scalar, vec.lanes)


@register_model(Vec)
class _VecModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Vec) -> None:
        super().__init__(dmm, fe_type, llvm_vector(fe_type))


class Lanes:
    """A vector value while code is being emitted: arithmetic on it appends instructions."""

    def __init__(self, builder: Any, vec: Vec, value: Any) -> None:
        self.builder, self.vec, self.value = builder, vec, value

    def make(self, value: Any) -> Lanes:
        return Lanes(self.builder, self.vec, value)

    def splat(self, number: float) -> Lanes:
        kind = llvm_vector(self.vec)
        return self.make(ir.Constant(kind, [ir.Constant(kind.element, number)] * kind.count))

    def _other(self, other: Lanes | float) -> Any:
        return other.value if isinstance(other, Lanes) else self.splat(other).value

    def __add__(self, other: Lanes | float) -> Lanes:
        return self.make(self.builder.fadd(self.value, self._other(other)))

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self.make(self.builder.fsub(self.value, self._other(other)))

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self.make(self.builder.fmul(self.value, self._other(other)))

    def __truediv__(self, other: Lanes | float) -> Lanes:
        return self.make(self.builder.fdiv(self.value, self._other(other)))

    def fma(self, factor: Lanes | float, term: Lanes | float) -> Lanes:
        """self * factor + term, rounded once."""
        kind = llvm_vector(self.vec)
        name = f"llvm.fma.v{kind.count}f{self.vec.dtype.bitwidth}"
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(kind, [kind] * 3), name
        )
        return self.make(
            self.builder.call(function, [self.value, self._other(factor), self._other(term)])
        )

    def less(self, other: Lanes | float) -> Any:
        return self.builder.fcmp_ordered("<", self.value, self._other(other))

    def where(self, condition: Any, other: Lanes | float) -> Lanes:
        """self where the condition holds, else other."""
        return self.make(self.builder.select(condition, self.value, self._other(other)))

    def at_least(self, floor: Lanes | float) -> Lanes:
        """max(self, floor); a NaN in self stays, so that it is seen and not swallowed."""
        bound = self.make(self._other(floor))
        return bound.where(self.less(bound), self)

    def abs(self) -> Lanes:
        return (self.splat(0.0) - self).where(self.less(0.0), self)

    def sqrt(self) -> Lanes:
        """The correctly rounded square root."""
        kind = llvm_vector(self.vec)
        name = f"llvm.sqrt.v{kind.count}f{self.vec.dtype.bitwidth}"
        function = cgutils.get_or_insert_function(
            self.builder.module, ir.FunctionType(kind, [kind]), name
        )
        return self.make(self.builder.call(function, [self.value]))

    def like_sign(self, other: Lanes) -> Lanes:
        return (self.splat(0.0) - self).where(other.less(0.0), self)


def _vec_of(kind: Any) -> Vec | None:
    """The vector type behind a vector, a tuple of vectors or an array."""
    if isinstance(kind, Vec):
        return kind
    if isinstance(kind, types.Array):
        return Vec(kind.dtype)
    inner = getattr(kind, "dtype", None)
    return inner if isinstance(inner, Vec) else None


def vector_op(emit: Callable[..., Any]) -> Any:
    """Turn a Python function that emits vector code into a function callable from numba code.

    Numba values arrive as: Vec -> Lanes, tuple of Vec -> list of Lanes, array -> Pointer,
    integer or float -> LLVM value. The result (Lanes, a list of Lanes or None) goes back likewise.
    """

    def to_python(context: Any, builder: Any, kind: Any, value: Any) -> Any:
        if isinstance(kind, Vec):
            return Lanes(builder, kind, value)
        if isinstance(kind, types.UniTuple) and isinstance(kind.dtype, Vec):
            parts = cgutils.unpack_tuple(builder, value, kind.count)
            return [Lanes(builder, kind.dtype, part) for part in parts]
        if isinstance(kind, types.Array):
            data = context.make_array(kind)(context, builder, value).data
            return Pointer(builder, Vec(kind.dtype), data)
        return kind if isinstance(kind, types.UniTuple) else value

    def typer(typing_context: Any, *kinds: Any) -> Any:
        returns = emit.__annotations__["return"]
        vec = next(found for kind in kinds if (found := _vec_of(kind)) is not None)
        rows = next((kind.count for kind in kinds if isinstance(kind, types.UniTuple)), 2)
        result = {
            "None": types.void,
            "Lanes": vec,
            "Rows": types.UniTuple(vec, rows),
            "tuple[Lanes, Lanes]": types.UniTuple(vec, 2),
            "int": types.intp,
            "float": vec.dtype,
        }[returns]

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            values = [
                to_python(context, builder, k, a) for k, a in zip(signature.args, args, strict=True)
            ]
            out = emit(*values)
            if out is None:
                return context.get_dummy_value()
            if isinstance(out, Lanes):
                return out.value
            if isinstance(out, list | tuple):
                return context.make_tuple(
                    builder, signature.return_type, [part.value for part in out]
                )
            return out

        return result(*kinds), codegen

    # numba binds arguments by the signature: the emitter's own, after the typing context
    context = inspect.Parameter("typing_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [
        p.replace(annotation=p.empty) for p in inspect.signature(emit).parameters.values()
    ]
    typer.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    typer.__name__ = emit.__name__
    typer.__doc__ = emit.__doc__
    return intrinsic(typer)


class Pointer:
    """The data of a flat array while code is being emitted; offsets count elements."""

    def __init__(self, builder: Any, vec: Vec, data: Any) -> None:
        self.builder, self.vec, self.data = builder, vec, data

    def _address(self, offset: Any, step: int) -> Any:
        at = self.builder.gep(self.data, [offset])
        return self.builder.gep(at, [ir.Constant(ir.IntType(64), step)]) if step else at

    def _vector(self, offset: Any, row: int) -> Any:
        at = self._address(offset, row * self.vec.lanes)
        return self.builder.bitcast(at, llvm_vector(self.vec).as_pointer())

    def load(self, offset: Any, row: int = 0) -> Lanes:
        value = self.builder.load(self._vector(offset, row), align=self.vec.dtype.bitwidth // 8)
        return Lanes(self.builder, self.vec, value)

    def store(self, offset: Any, lanes: Lanes, row: int = 0) -> None:
        self.builder.store(
            lanes.value, self._vector(offset, row), align=self.vec.dtype.bitwidth // 8
        )

    def broadcast(self, offset: Any, step: int = 0) -> Lanes:
        return _splat(self, self.builder.load(self._address(offset, step)))


def _splat(array: Pointer, number: Any) -> Lanes:
    """All lanes equal to a scalar value."""
    kind, index = llvm_vector(array.vec), ir.IntType(32)
    empty = ir.Constant(kind, ir.Undefined)
    one = array.builder.insert_element(empty, number, ir.Constant(index, 0))
    mask = ir.Constant(ir.VectorType(index, kind.count), [0] * kind.count)
    return Lanes(array.builder, array.vec, array.builder.shuffle_vector(one, empty, mask))


Rows = list[Lanes]


@vector_op
def load(array: Pointer, at: Any) -> Lanes:
    return array.load(at)


@vector_op
def store(array: Pointer, at: Any, lanes: Lanes) -> None:
    array.store(at, lanes)


@vector_op
def width(array: Pointer) -> int:
    """Lanes per vector of the array's type (a compile-time constant)."""
    lanes: int = ir.Constant(ir.IntType(64), array.vec.lanes)
    return lanes


@vector_op
def constant(array: Pointer, number: Any) -> Lanes:
    """A vector with the array's type and all lanes equal to the (float64) number."""
    narrow = array.vec.dtype.bitwidth == 32
    return _splat(array, array.builder.fptrunc(number, ir.FloatType()) if narrow else number)


@vector_op
def load_rows(like: Any, array: Pointer, at: Any) -> Rows:
    """As many consecutive vectors as the tuple `like` is long."""
    return [array.load(at, row) for row in range(like.count)]


@vector_op
def add_rows(array: Pointer, at: Any, rows: Rows) -> None:
    """array rows += rows."""
    for row, lanes in enumerate(rows):
        array.store(at, array.load(at, row) + lanes, row)


@vector_op
def store_rows(array: Pointer, at: Any, rows: Rows) -> None:
    for row, lanes in enumerate(rows):
        array.store(at, lanes, row)


@vector_op
def subtract_scaled(rows: Rows, weight: Lanes, other: Rows) -> Rows:
    """rows - weight * other."""
    minus = weight.splat(0.0) - weight
    return [minus.fma(b, a) for a, b in zip(rows, other, strict=True)]


@vector_op
def zero_rows(like: Any, array: Pointer) -> Rows:
    return [Lanes(array.builder, array.vec, None).splat(0.0) for _ in range(like.count)]


@vector_op
def dot(rows: Rows, x: Pointer, at: Any) -> Lanes:
    """sum_c rows[c] * x[at + c], in two chains to halve the latency."""
    chains: list[Lanes] = []
    for step, row in enumerate(rows):
        value = x.broadcast(at, step)
        if step < 2:
            chains.append(row * value)
        else:
            chains[step % 2] = row.fma(value, chains[step % 2])
    return chains[0] + chains[1] if len(chains) == 2 else chains[0]


@vector_op
def add_outer(rows: Rows, weight: Lanes, x: Pointer, at: Any) -> Rows:
    """rows[c] + weight * x[at + c]."""
    return [weight.fma(x.broadcast(at, step), row) for step, row in enumerate(rows)]


@vector_op
def add_scaled(rows: Rows, weight: Lanes, array: Pointer, at: Any) -> Rows:
    """rows[c] + weight * array[at + c], the array's rows being vectors."""
    return [weight.fma(array.load(at, step), row) for step, row in enumerate(rows)]


@vector_op
def fma(a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    return a.fma(b, c)


@vector_op
def maximum(a: Lanes, b: Lanes) -> Lanes:
    return a.at_least(b)


@vector_op
def absolute(a: Lanes) -> Lanes:
    return a.abs()


@vector_op
def square_root(a: Lanes) -> Lanes:
    return a.sqrt()


@vector_op
def where_less(a: Lanes, b: Lanes, yes: Lanes, no: Lanes) -> Lanes:
    """yes where a < b, else no: also where a or b is NaN."""
    return yes.where(a.less(b), no)


@vector_op
def total(lanes: Lanes) -> float:
    """Sum of the lanes, by halves."""
    builder, value, count = lanes.builder, lanes.value, lanes.vec.lanes
    index = ir.IntType(32)
    while count > 1:
        count //= 2
        halves = []
        for first in (0, count):
            order = [ir.Constant(index, first + i) for i in range(count)]
            mask = ir.Constant(ir.VectorType(index, count), order)
            halves.append(builder.shuffle_vector(value, value, mask))
        value = builder.fadd(*halves)
    result: float = builder.extract_element(value, ir.Constant(index, 0))
    return result


def _binary(symbol: Any) -> None:
    """Teach numba a binary operator on vectors: lowered directly, which compiles fastest."""

    @infer_global(symbol)
    class _Typing(AbstractTemplate):
        def generic(self, args: Any, kwargs: Any) -> Any:
            if len(args) == 2 and isinstance(args[0], Vec) and args[0] == args[1]:
                return Signature(args[0], args, None)
            return None

    @lower_builtin(symbol, Vec, Vec)
    def _lower(context: Any, builder: Any, types_: Any, values: Any) -> Any:
        return symbol(*(Lanes(builder, types_.return_type, value) for value in values)).value


for _symbol in (operator.add, operator.sub, operator.mul, operator.truediv):
    _binary(_symbol)
