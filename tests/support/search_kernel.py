"""The error and the gradient that the compiled search climbs by, one evaluation at a time."""

# numba infers the types of kernels: they carry no annotations

from __future__ import annotations

import inspect

import numpy as np
from numba import njit

from ntkbound.heads.native import search
from ntkbound.heads.native.vectors import VECTOR_BYTES, store
from ntkbound.heads.terms.ascent import ARMIJO, GROW, SHRINK, SPAN

UNCACHED = {"nogil": True, "_nrt": False}


def compiled(evaluate):
    """``evaluate``, the function that the search itself calls or a mutation of it, at ``plan.at``:
    the value to ``plan.end``, its gradient to ``plan.slope``."""

    @njit(**UNCACHED)
    def run(plan, xs, x, work):
        store(work, plan.end, evaluate(plan, plan.graded, xs, x, work, plan.at, plan.slope))

    return run


def mutated(line, wrong):
    """``_evaluate`` compiled with one expression of its source replaced."""
    source = inspect.getsource(search._evaluate.py_func)
    assert source.count(line) == 1, f"not one place: {line}"
    names = dict(vars(search), native=njit(**UNCACHED))
    exec(source.replace(line, wrong), names)
    return names["_evaluate"]


def value_and_gradient(run, activation, X, heads, radii, goal, xi, signs):
    """± the error of heads (c, U, k), each (h, …), at one sample X (T, d), at Δ = ρ_b ξ_b.

    Returns values (h,) and gradients in ξ_U, ξ_k, (h, 2, d); ξ is (h, 2, d). ``goal`` None: the
    linearization error. At most one vector of heads.
    """
    count, d = heads[1].shape
    lanes = VECTOR_BYTES // 8
    assert count <= lanes
    searcher = search.Searcher(
        X[None], activation, change=goal is not None, points=np.zeros((count, 1, 1, 2, d)),
        steps=1, rule=search.Rule(ARMIJO, SHRINK, GROW, SPAN),
    )  # fmt: skip
    plan, work = searcher._plan, np.zeros(searcher._work)
    tokens = searcher._by_step[0].reshape(-1), searcher._x[0].reshape(-1)
    one = tuple(np.ascontiguousarray(v[None]) for v in (*heads, *radii))
    target = one[:3] if goal is None else tuple(np.ascontiguousarray(v[None]) for v in goal)
    search._load_heads(plan, 0, 0, count, one, target, *tokens, work)

    def part(at):  # of the workspace: both blocks of a point, coordinates, heads side by side
        return work[at : at + 2 * plan.rows * lanes].reshape(2, plan.rows, lanes)[:, :d, :count]

    part(plan.at)[:] = np.moveaxis(xi, 0, 2)
    work[plan.head + search.SIGN * lanes :][:count] = signs
    run(plan, *tokens, work)
    return work[plan.end :][:count].copy(), np.moveaxis(part(plan.slope), 2, 0).copy()
