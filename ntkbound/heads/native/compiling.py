"""Which kernels a run needs, and how those that are missing are compiled: side by side, once.

    python -m ntkbound.heads.native.compiling step:8:float32 labels:8:float32

compiles the named parts into ``cache.folder()`` and leaves a mark there for each. Nothing depends
on it: a kernel that was not compiled ahead is compiled when it is first called.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ntkbound.heads.native.cache import folder
from ntkbound.heads.native.kernel import NativeKernel, chunk_rows
from ntkbound.heads.native.passes import add_squares, project
from ntkbound.heads.native.recurrent import RecurrentKernel
from ntkbound.heads.native.search import Rule, Searcher


class Part(NamedTuple):
    """Kernels that are compiled together. Of d only the shape of its vectors counts."""

    kind: str
    rows: int  # token coordinates in registers at a time; 0 where it does not matter
    dtype: str

    def __str__(self) -> str:
        return ":".join(map(str, self))


def parts(model: str, d: int, dtype: str) -> list[Part]:
    """What one run of a model takes."""
    rows = chunk_rows(d)
    if model == "indrnn":
        trained = [Part("recurrent", rows, dtype), Part("recurrent", rows, "float64")]
    else:
        trained = [Part("step", rows, dtype), Part("measured", rows, "float64")]
        trained.append(Part("search", 0, "float64"))
    return list(dict.fromkeys([Part("labels", rows, "float32"), *trained]))


def missing(wanted: Iterable[Part]) -> list[Part]:
    """Those that nobody has compiled here yet; none where nothing can be kept."""
    kept = folder()
    return [] if kept is None else [part for part in wanted if not _mark(kept, part).exists()]


def _mark(kept: Path, part: Part) -> Path:
    return kept / "-".join(map(str, part))


def compile_side_by_side(wanted: Iterable[Part]) -> None:
    """In processes of their own, one for every dtype and one for the search.

    Should one of them fail, its kernels are compiled where they are called, and the reason is told.
    """

    def common(part: Part) -> tuple[bool, str]:
        return part.kind == "search", part.dtype

    if not sys.executable or getattr(sys, "frozen", False):
        return  # no interpreter that could be started
    # The same package from the same place, whatever the working folder holds.
    path = [str(Path(__file__).parents[3]), *filter(None, sys.path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    command = [sys.executable, "-P", "-m", "ntkbound.heads.native.compiling"]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for _, together in groupby(sorted(wanted, key=common), common):
            arguments = [*command, *map(str, together)]
            nothing = subprocess.DEVNULL
            child = subprocess.Popen(arguments, env=environment, stdin=nothing, stdout=nothing)
            running.append(child)
        for process in running:
            process.wait()
    finally:  # an interruption may have reached this process alone
        for process in running:
            if process.poll() is None:
                process.terminate()
                process.wait()


def _step(d: int, dtype: str) -> None:
    kernel, params = _tiny(d, dtype), _parameters(d, dtype)
    kernel.loss_and_gradient(params, np.empty((1, 1), dtype), _parameters(d, dtype))
    flat = np.zeros((1, 2, d), dtype)
    whole = flat.astype(np.float64)
    project(whole, flat, whole, (np.ones(1), np.ones(1), 0.0), np.zeros(1), flat)
    add_squares(flat, np.zeros(1))


def _labels(d: int, dtype: str) -> None:
    params = _parameters(d, dtype)
    _tiny(d, dtype).tangent_sums(params, params, np.empty((1, 4, 1)))


def _measured(d: int, dtype: str) -> None:
    _labels(d, dtype)
    params = _parameters(d, dtype)
    _tiny(d, dtype).backward(params, np.empty((1, 1), dtype), params)


def _search(d: int, dtype: str) -> None:
    x, vectors, points = np.ones((1, 1, d), dtype), np.ones((1, 2, d)), np.ones((2, 1, 1, 2, d))
    searcher = Searcher(x, "tanh", change=False, points=points, steps=1, rule=Rule(*[1.0] * 4))
    heads = (np.ones((1, 2)), vectors, vectors)
    searcher.search(0, 0, 2, (*heads, *[np.ones((1, 2))] * 3), heads, np.empty((2, 2, 1, 2)))


def _recurrent(d: int, dtype: str) -> None:
    x, y = np.ones((1, 1, d), dtype), np.zeros(1, dtype)
    kernel = RecurrentKernel(x, y, heads=2, runs=1, activation="tanh", threads=1)
    c, u, _ = _parameters(d, dtype)
    params, grads = (c, u, c.copy()), (c.copy(), u.copy(), c.copy())
    kernel.loss_and_gradient(params, np.empty((1, 1), dtype), grads)
    kernel.tangent_sums(params, params, np.empty((1, 4, 1)))


def _tiny(d: int, dtype: str) -> NativeKernel:
    x = np.ones((1, 1, d), dtype)
    return NativeKernel(x, x[:, 0], np.zeros(1, dtype), heads=2, dtype=dtype)


def _parameters(d: int, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.ones((1, 2), dtype), np.ones((1, 2, d), dtype), np.ones((1, 2, d, d), dtype)


KINDS: Mapping[str, Callable[[int, str], None]] = {
    "step": _step,
    "labels": _labels,
    "measured": _measured,
    "search": _search,
    "recurrent": _recurrent,
}


def main(names: Iterable[str]) -> None:
    for name in names:
        kind, rows, dtype = name.split(":")
        KINDS[kind](int(rows) or 1, dtype)
        if kept := folder():
            _mark(kept, Part(kind, int(rows), dtype)).touch()


if __name__ == "__main__":
    main(sys.argv[1:])
