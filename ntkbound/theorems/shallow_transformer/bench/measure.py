"""What a step costs on this machine: every way to compute ∇R̂, on the same inputs, in one run.

All implementations are first checked equal, then timed in interleaved repeats, so that a machine
whose speed drifts slows all of them. Times are per element: one (sample × token × head) of a step.
The floor is the arithmetic no implementation can avoid, at the matrix-multiply rate measured beside
it: 4d + (2d² + 2d)/T multiply-adds per element (scores, values and two moments per token; W q and
its gradient per sample), and nothing for the exponential.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntkbound.core.errors import InputError
from ntkbound.heads import native
from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.model import Inputs, Params, symmetric_init, together
from ntkbound.heads.tasks.task import query
from ntkbound.heads.training.blocked import BlockedObjective
from ntkbound.heads.training.fused import FusedObjective
from ntkbound.heads.training.objective import Objective
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers

NAMES = ("kernel", "blocked", "autograd", "compile", "jax")
TOLERANCE = {"float32": 1e-4, "float64": 1e-11}  # relative, per block, between implementations
REPEATS = 7
LEAST_SECONDS = 0.1  # a step is timed over as many calls, as a descent makes them, as this takes
GROWTH = tuple(4**k for k in range(6))  # times the smallest size: 2^10 to 2^20 elements
GPU_GROWTH = 1 << 8  # a GPU starts with so many times the samples: below, launches are all it does
Step = Callable[[], Mapping[str, Any]]  # block → gradient, an array of whatever library


@dataclass(frozen=True)
class Sizes:
    """One step of one run: n samples, T tokens, dimension d, m heads."""

    n: int = 4000
    T: int = 16
    d: int = 8
    m: int = 256

    @property
    def elements(self) -> int:
        return self.n * self.T * self.m

    @property
    def multiply_adds(self) -> float:
        """Per element, the least that loss and gradient need."""
        return 4 * self.d + (2 * self.d**2 + 2 * self.d) / self.T


@dataclass(frozen=True)
class Workload:
    """The same inputs for every implementation."""

    model: ShallowTransformer
    inputs: Inputs
    y: Tensor
    params: Params  # (m, …)


def bench(
    sizes: Sizes, dtype: str, threads: int, device: str, only: Sequence[str] = NAMES
) -> dict[str, Any]:
    """Medians in ns per element, ratios to the kernel, ceilings, and what could not be run."""
    problem = _problem(sizes, getattr(torch, dtype), device)
    workers = Workers(threads)
    steps: dict[str, Step] = {}
    absent: dict[str, str] = {}
    for name in (name for name in NAMES if name in only):
        try:
            steps[name] = _make(name, problem, workers, device)
            steps[name]()
        except _UnavailableError as reason:
            steps.pop(name, None)
            absent[name] = str(reason)
    _check_equal(steps, TOLERANCE[dtype])
    times: dict[str, list[float]] = {name: [] for name in steps}
    calls = {name: _calls(step, device) for name, step in steps.items()}
    peaks: list[float] = []
    for _ in range(REPEATS):
        for name, step in steps.items():
            times[name].append(_step_seconds(step, calls[name], device))
        peaks.append(_matmul_rate(dtype, device, threads))
    median = {name: statistics.median(values) for name, values in times.items()}
    per_element = {name: t / sizes.elements * 1e9 for name, t in median.items()}
    rate = statistics.median(peaks)
    floor = sizes.multiply_adds / rate * 1e9
    if not per_element:
        raise InputError(f"nothing to time ({'; '.join(absent.values())})", field="only")
    first = next(iter(per_element))
    return {
        "sizes": vars(sizes),
        "dtype": dtype,
        "threads": threads,
        "device": device,
        "ns_per_element": {name: per_element.get(name) for name in NAMES},
        "ratios": {
            name: value / per_element[first] for name, value in per_element.items() if first
        },
        "absent": absent,
        "ceilings": {
            "multiply_adds_per_second": rate,
            "exp_ns": _exp_time(dtype, device, threads),
            "copy_bytes_per_second": _copy_rate(device, threads),
        },
        "floor_ns": floor,
        "times_floor": per_element[first] / floor,
    }


def growth(d: int, dtype: str, threads: int, device: str) -> dict[str, Any]:
    """Seconds per step from 2^10 to 2^20 elements along n, m and T, and their log-log slopes.

    Each axis starts from n = 16, T = 4, m = 16, on a GPU from n = 4096, up to 2^28 elements; slopes
    are least squares, the median and extremes over interleaved repeats. The kernel is timed where
    there is one, else the blocked torch path.
    """
    workers = Workers(threads)
    name = "kernel" if device == "cpu" and native.available() else "blocked"
    axes: dict[str, Any] = {}
    for axis in ("n", "m", "T"):
        base = Sizes(n=16 * (1 if device == "cpu" else GPU_GROWTH), T=4, d=d, m=16)
        grown = [replace(base, **{axis: getattr(base, axis) * factor}) for factor in GROWTH]
        steps = [
            _make(name, _problem(sizes, getattr(torch, dtype), device), workers, device)
            for sizes in grown
        ]
        calls = [_calls(step, device) for step in steps]
        seconds = np.array(
            [
                [_step_seconds(step, k, device) for step, k in zip(steps, calls, strict=True)]
                for _ in range(REPEATS)
            ]
        )
        elements = np.array([sizes.elements for sizes in grown])
        slopes = np.polyfit(np.log(elements), np.log(seconds).T, 1)[0]
        axes[axis] = {
            "elements": elements.tolist(),
            "seconds": np.median(seconds, axis=0).tolist(),
            "slope": float(np.median(slopes)),
            "slope_range": [float(slopes.min()), float(slopes.max())],
        }
    return {"d": d, "dtype": dtype, "threads": threads, "device": device, "timed": name,
            "axes": axes}  # fmt: skip


class _UnavailableError(Exception):
    """This implementation cannot be run here, and why."""


def _problem(sizes: Sizes, dtype: torch.dtype, device: str) -> Workload:
    rng = np.random.default_rng(0)
    X = torch.from_numpy(rng.standard_normal((sizes.n, sizes.T, sizes.d)))
    X = X / X.norm(dim=2, keepdim=True).clamp(min=1)
    model = ShallowTransformer(sizes.d, ACTIVATIONS["tanh"])
    params = symmetric_init(model, sizes.m, 0, torch.float64)
    params = {
        b: v + 0.1 * torch.from_numpy(rng.standard_normal(v.shape)) for b, v in params.items()
    }
    y = torch.from_numpy(0.1 * rng.standard_normal(sizes.n))
    return Workload(
        model,
        Inputs(X, query("last", X, X[0, 0])).to(dtype, device),
        y.to(device, dtype),
        {b: v.to(device, dtype) for b, v in params.items()},
    )


def _make(name: str, problem: Workload, workers: Workers, device: str) -> Step:
    if name == "kernel":
        if device != "cpu":
            raise _UnavailableError("the native kernel runs on a CPU")
        if not native.available():
            raise _UnavailableError("numba cannot be imported")
        m = problem.params["c"].shape[0]
        objective = FusedObjective(problem.model, problem.inputs, problem.y, m, workers)
        return _stepper(objective, problem)
    if name == "blocked":
        m = problem.params["c"].shape[0]
        return _stepper(
            BlockedObjective(problem.model, problem.inputs, problem.y, m, workers), problem
        )
    if name == "jax":
        return _jax_step(problem, device, workers.threads)
    return _autograd_step(problem, workers.threads, compiled=name == "compile")


def _stepper(objective: Objective, problem: Workload) -> Step:
    params = together(problem.params)
    grads = {b: torch.empty_like(v) for b, v in params.items()}

    def step() -> Params:
        objective.evaluate(params, grads)
        return {b: g[0] for b, g in grads.items()}

    return step


def _plain_loss(c: Tensor, U: Tensor, W: Tensor, X: Tensor, q: Tensor, y: Tensor) -> Tensor:
    """The model as one writes it first."""
    k = torch.einsum("ne,mde->nmd", q, W)
    p = torch.softmax(torch.einsum("nmd,ntd->nmt", k, X), -1)
    a = torch.einsum("nmt,ntd->nmd", p, X)
    f = (c * torch.tanh((a * U).sum(-1))).sum(-1) / c.shape[0] ** 0.5
    loss: Tensor = ((f - y) ** 2).mean()
    return loss


def _autograd_step(problem: Workload, threads: int, *, compiled: bool) -> Step:
    loss: Any = _plain_loss
    if compiled:
        loss = torch.compile(_plain_loss)
    leaves = {b: v.clone().requires_grad_() for b, v in problem.params.items()}

    def step() -> Params:
        with _torch_threads(threads):
            value = loss(*leaves.values(), problem.inputs.X, problem.inputs.q, problem.y)
            grads = torch.autograd.grad(value, list(leaves.values()))
        return dict(zip(leaves, grads, strict=True))

    if compiled:
        try:
            step()
        except Exception as error:  # whatever the compiler chain raises where it is incomplete
            raise _UnavailableError(f"torch.compile failed ({type(error).__name__})") from error
    return step


def _jax_step(problem: Workload, device: str, threads: int) -> Step:
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # torch needs some, too
    os.environ["NPROC"] = str(threads)  # the one bound XLA knows for its threads: else all cores
    try:
        import jax as package
    except ImportError:
        raise _UnavailableError("jax is not installed") from None
    jax: Any = package
    jnp = jax.numpy
    if problem.y.dtype == torch.float64:
        jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    try:
        place = jax.devices("gpu" if device == "cuda" else "cpu")[0]
    except RuntimeError:
        raise _UnavailableError("jax has no GPU here") from None

    def put(value: Tensor) -> Any:
        return jax.device_put(jnp.asarray(value.cpu().numpy()), place)

    X, q, y = put(problem.inputs.X), put(problem.inputs.q), put(problem.y)

    def loss(params: Any) -> Any:
        k = jnp.einsum("mde,ne->nmd", params["W"], q)
        p = jax.nn.softmax(jnp.einsum("ntd,nmd->nmt", X, k), -1)
        a = jnp.einsum("nmt,ntd->nmd", p, X)
        z = (a * params["U"]).sum(-1)
        f = (params["c"] * jnp.tanh(z)).sum(-1) / params["c"].shape[0] ** 0.5
        return ((f - y) ** 2).mean()

    gradient = jax.jit(jax.grad(loss))
    params = {b: put(v) for b, v in problem.params.items()}

    return lambda: dict(jax.block_until_ready(gradient(params)))


def _check_equal(steps: dict[str, Step], tolerance: float) -> None:
    """Raises RuntimeError naming the pair if two implementations disagree."""
    found = {name: {b: _on_cpu(g) for b, g in step().items()} for name, step in steps.items()}
    for name, grads in found.items():
        other = next(iter(found))
        for block, g in grads.items():
            scale = float(found[other][block].abs().max())
            gap = float((g - found[other][block]).abs().max())
            if not gap <= tolerance * scale:
                raise RuntimeError(f"{name} and {other} differ in ∂R̂/∂{block} by {gap / scale:.1e}")


def _on_cpu(gradient: Any) -> Tensor:
    return gradient.cpu() if isinstance(gradient, Tensor) else torch.from_numpy(np.array(gradient))


def _seconds(step: Callable[[], object], device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _calls(step: Step, device: str) -> int:
    """How many calls in a row take LEAST_SECONDS."""
    step()
    return max(1, math.ceil(LEAST_SECONDS / _seconds(step, device)))


def _step_seconds(step: Step, calls: int, device: str) -> float:
    def repeated() -> None:
        for _ in range(calls):
            step()

    step()  # untimed: what ran before has left its threads spinning and the caches full
    return _seconds(repeated, device) / calls


def _matmul_rate(dtype: str, device: str, threads: int) -> float:
    """Multiply-adds per second of a square matrix product."""
    size = 768 if device == "cpu" else 8192 if dtype == "float32" else 4096
    a = torch.ones(size, size, dtype=getattr(torch, dtype), device=device)
    b, out = torch.ones_like(a), torch.empty_like(a)
    return size**3 / _quickest(lambda: torch.mm(a, b, out=out), device, threads)


def _exp_time(dtype: str, device: str, threads: int) -> float:
    """ns per exponential in an array that stays in cache."""
    count, calls = (threads << 18, 100) if device == "cpu" else (1 << 21, 100)
    x = torch.linspace(-5, 0, count, dtype=getattr(torch, dtype), device=device)
    out = torch.empty_like(x)

    def repeated() -> None:
        for _ in range(calls):
            torch.exp(x, out=out)

    return _quickest(repeated, device, threads) / calls / count * 1e9


def _copy_rate(device: str, threads: int) -> float:
    """Bytes read and written per second by a copy far larger than the cache."""
    x = torch.ones(1 << (25 if device == "cpu" else 27), device=device)
    out = torch.empty_like(x)
    return 2 * x.nbytes / _quickest(lambda: out.copy_(x), device, threads)


def _quickest(work: Callable[[], object], device: str, threads: int) -> float:
    """Seconds, of five repeats after one that is not counted."""
    with _torch_threads(threads):
        _seconds(work, device)
        return min(_seconds(work, device) for _ in range(5))


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    """Torch's own threads, which only plain torch code uses: Workers has set them to one."""
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(1)
