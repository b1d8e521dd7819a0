"""exp, tanh, erf and their kin on vectors, accurate to a few units in the last place."""

# numba infers the types of kernels: they carry no annotations
# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir

from ntkbound.heads.native.vectors import Lanes, Pointer, Rows, llvm_vector, vector_op


def _fit(function: Callable[[float], float], low: float, high: float, degree: int) -> Any:
    """Chebyshev interpolant (near-minimax) of the function on [low, high], in u in [-1, 1]."""
    return np.polynomial.chebyshev.chebinterpolate(
        lambda nodes: np.array([function(low + (high - low) * (u + 1) / 2) for u in nodes]), degree
    )


def _clenshaw(u: Lanes, coefficients: Any) -> Lanes:
    """Sum of Chebyshev polynomials at u in [-1, 1], by Clenshaw's recurrence."""
    after, now, twice = u.splat(0.0), u.splat(float(coefficients[-1])), u + u
    for coefficient in reversed(coefficients[1:-1]):
        after, now = now, twice.fma(now, u.splat(float(coefficient)) - after)
    return u.fma(now, u.splat(float(coefficients[0])) - after)


class _Format(NamedTuple):
    """What exp and erf need to know of a floating-point format."""

    mantissa: int
    lowest: float  # smallest exponent used: 2^lowest is about the smallest normal number
    exp_degree: int
    erf_degrees: tuple[int, int]


_FORMATS = {32: _Format(23, -125.0, 4, (6, 12)), 64: _Format(52, -1021.0, 10, (14, 30))}


def _exp2_polynomial(x: Lanes) -> Any:
    """Coefficients of (2^f - 1)/f on |f| <= 1/2, lowest first."""
    degree = _FORMATS[x.vec.dtype.bitwidth].exp_degree
    curve = _fit(lambda f: math.expm1(f * math.log(2)) / f if f else math.log(2), -0.5, 0.5, degree)
    return np.polynomial.chebyshev.cheb2poly(curve) * 2.0 ** np.arange(degree + 1)


def _exp2_parts(x: Lanes) -> tuple[Any, Lanes]:
    """(n, u) with 2^x = 2^n (1 + u), |u| <= 0.42; n an integer shifted to the exponent's place.

    x <= 0 is raised to the smallest normal exponent: the error is below 1e-37 (1e-307) of 1.
    """
    fmt = _FORMATS[x.vec.dtype.bitwidth]
    x = x.at_least(fmt.lowest)
    magic = 1.5 * 2.0**fmt.mantissa  # adding it rounds x to an integer, left in the low bits
    shifted = x + magic
    fraction = x - (shifted - magic)
    powers = _exp2_polynomial(x)
    value = x.splat(float(powers[-1]))
    for coefficient in reversed(powers[:-1]):
        value = value.fma(fraction, float(coefficient))
    return _shift_left(shifted), fraction * value


def _integers(x: Lanes) -> ir.VectorType:
    return ir.VectorType(ir.IntType(x.vec.dtype.bitwidth), x.vec.lanes)


def _shift_left(x: Lanes) -> Any:
    kind = _integers(x)
    count = ir.Constant(
        kind, [ir.Constant(kind.element, _FORMATS[x.vec.dtype.bitwidth].mantissa)] * kind.count
    )
    return x.builder.shl(x.builder.bitcast(x.value, kind), count)


def _scale(x: Lanes, exponent: Any) -> Lanes:
    """x 2^n for the n of `_exp2_parts`, by adding to the exponent bits."""
    total_bits = x.builder.add(x.builder.bitcast(x.value, _integers(x)), exponent)
    return x.make(x.builder.bitcast(total_bits, llvm_vector(x.vec)))


@vector_op
def exp2_negative(rows: Rows, top: Lanes) -> Rows:
    """2^(x - top) for x <= top; each operation on all rows before the next, to hide latency."""
    fmt = _FORMATS[top.vec.dtype.bitwidth]
    xs = [row - top for row in rows]
    xs = [x.at_least(fmt.lowest) for x in xs]
    magic = 1.5 * 2.0**fmt.mantissa
    shifted = [x + magic for x in xs]
    whole = [x - magic for x in shifted]
    fraction = [x - y for x, y in zip(xs, whole, strict=True)]
    powers = _exp2_polynomial(top)
    values = [top.splat(float(powers[-1]))] * len(xs)
    for coefficient in reversed(powers[:-1]):
        values = [
            value.fma(f, float(coefficient)) for value, f in zip(values, fraction, strict=True)
        ]
    values = [value.fma(f, 1.0) for value, f in zip(values, fraction, strict=True)]
    return [_scale(value, _shift_left(x)) for value, x in zip(values, shifted, strict=True)]


@vector_op
def sum_rows(rows: Rows) -> Lanes:
    while len(rows) > 1:
        rows = [a + b for a, b in zip(rows[::2], rows[1::2], strict=True)]
    return rows[0]


@vector_op
def dot_rows(rows: Rows, array: Pointer, at: Any, value: Lanes) -> Lanes:
    for row, lanes in enumerate(rows):
        value = lanes.fma(array.load(at, row), value)
    return value


def _tanh(z: Lanes) -> tuple[Lanes, Lanes]:
    """With t = e^{-2|z|}: (1 - t)/(1 + t) and the slope 4t/(1 + t)^2, both to relative accuracy."""
    exponent, u = _exp2_parts(z.abs() * (-2.0 / math.log(2)))
    power = _scale(z.splat(1.0), exponent)
    minus = power.fma(u, power - 1.0)  # t - 1 without cancellation
    ratio = z.splat(1.0) / (minus + 2.0)
    value = (z.splat(0.0) - minus) * ratio
    return value.like_sign(z), power.fma(u, power) * ratio * ratio * 4.0


@vector_op
def act_tanh(z: Lanes) -> tuple[Lanes, Lanes]:
    return _tanh(z)


@vector_op
def act_sigmoid(z: Lanes) -> tuple[Lanes, Lanes]:
    value, slope = _tanh(z * 0.5)
    return value, slope * 0.5


def _gauss(z: Lanes, factor: float) -> Lanes:
    exponent, u = _exp2_parts(z * z * (-factor / math.log(2)))
    return _scale(u + 1.0, exponent)


@vector_op
def act_bump(z: Lanes) -> tuple[Lanes, Lanes]:
    value = _gauss(z, 0.5)
    return value, z.splat(0.0) - z * value


@vector_op
def act_relu(z: Lanes) -> tuple[Lanes, Lanes]:
    return z.at_least(0.0), z.splat(1.0).where(z.splat(0.0).less(z), 0.0)


@vector_op
def act_erf(z: Lanes) -> tuple[Lanes, Lanes]:
    """z P(z^2) up to |z| = 1, then 1 - e^{-z^2} Q((|z| - 3)/(|z| + 3)); 2/sqrt(pi) e^{-z^2}."""
    low, high = _FORMATS[z.vec.dtype.bitwidth].erf_degrees
    inner = _fit(
        lambda w: math.erf(math.sqrt(w)) / math.sqrt(w) if w else 1.1283791670955126, 0.0, 1.0, low
    )
    end = (6.0 - 3.0) / (6.0 + 3.0)
    outer = _fit(_scaled_erfc, -0.5, end, high)
    size = z.abs()
    near = _clenshaw((z * z).fma(2.0, -1.0), inner) * size
    gauss = _gauss(z, 1.0)
    u = (size - 3.0) / (size + 3.0)
    u = (u + 0.5) * (2.0 / (end + 0.5)) - 1.0
    u = u.where(u.less(1.0), 1.0)  # beyond |z| = 6 the value is 1 to rounding
    far = gauss.splat(1.0) - gauss * _clenshaw(u, outer)
    return near.where(size.less(1.0), far).like_sign(z), gauss * (2.0 / math.sqrt(math.pi))


def _scaled_erfc(u: float) -> float:
    """e^{x^2} erfc(x) at u = (x - 3)/(x + 3)."""
    x = 3.0 * (1.0 + u) / (1.0 - u)
    return math.exp(x * x) * math.erfc(x)
