"""The descent as on a GPU, without one: a device that torch only pretends to have.

Tensors on it have shapes but no numbers, any operation between it and the CPU raises, and what is
asked back from it is counted: every such question makes a program wait for its GPU. Run as a
script, for the device stays with the process; prints ``case: questions per step``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.heads.indrnn import IndRNN
from ntkbound.heads.model import HeadModel, Inputs
from ntkbound.heads.training.choose import objective_for
from ntkbound.heads.training.descent import Batches, Schedule, Watcher, descend
from ntkbound.heads.training.step import Rule
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers
from ntkbound.machine.ranks import ALONE, Ranks

DEVICE = "pretended"
NUMPY = {torch.float32: np.float32, torch.float64: np.float64, torch.bool: np.bool_}


def numpy_of(tensor: torch.Tensor, *arguments: object, **options: object) -> np.ndarray:
    """A fake tensor on the CPU has no numbers: ones stand for them."""
    if isinstance(tensor, FakeTensor):
        assert tensor.device.type == "cpu", f"numpy() of a tensor on {tensor.device}"
        return np.ones(tuple(tensor.shape), NUMPY[tensor.dtype])
    return true_numpy(tensor, *arguments, **options)


class Questions(TorchDispatchMode):
    """Counts what leaves the device."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if str(function).startswith("aten._local_scalar_dense"):
            self.count[str(function)] += args[0].device.type == DEVICE
            return args[0].dtype == torch.bool or 0.5
        out = function(*args, **(kwargs or {}))
        given = {a.device.type for a in args if isinstance(a, torch.Tensor)}
        if DEVICE in given and isinstance(out, torch.Tensor) and out.device.type == "cpu":
            self.count[str(function)] += 1
        return out


class TwoRanks(Ranks):
    """The first of two; what the other would add is as fake as all else."""

    index, count = 0, 2


def questions(
    model: HeadModel,
    tau: int,
    *,
    method="projgd",
    runs=1,
    dtype=torch.float32,
    ranks=ALONE,
    batch=0,
) -> Counter[str]:
    """What a descent of τ steps asks of the device."""
    n, T, d, m, workers = 300, 16, model.blocks["U"][0], 32, Workers(2, ranks)
    with FakeTensorMode(allow_non_fake_inputs=True):
        X, q, y = (torch.empty(s, dtype=dtype, device=DEVICE) for s in ((n, T, d), (n, d), (n,)))
        initial = {
            b: torch.empty(runs, m, *shape, dtype=dtype, device=DEVICE)
            for b, shape in model.blocks.items()
        }
        radii = {b: torch.empty(runs, dtype=dtype, device=DEVICE) for b in initial}
        inputs = Inputs(X, q)
        batches = None
        if batch:
            small = objective_for(model, inputs.rows(slice(0, batch)), y[:batch], m, workers)

            def draw(step: int) -> None:
                rows = torch.arange(batch).to(DEVICE)
                small.load(inputs.rows(rows), y[rows])

            batches = Batches(small, draw)
        rule = Rule(
            torch.full((runs,), 0.1, dtype=torch.float64),
            radii if method == "projgd" else None,
            0.01 if method == "decay" else 0.0,
        )
        objective = objective_for(model, inputs, y, m, workers, runs)
        with Questions() as asked:
            descend(
                objective, initial, rule, Schedule(tau, [0, tau], batches),
                Watcher(lambda *_: None), ranks,
            )  # fmt: skip
    return asked.count


def cases() -> Iterator[tuple[str, HeadModel, dict]]:
    tanh = ACTIVATIONS["tanh"]
    last, fixed = ShallowTransformer(8, tanh), ShallowTransformer(8, tanh, fixed_query=True)
    yield "last query", last, {}
    yield "fixed query", fixed, {}
    yield "decay", ShallowTransformer(8, ACTIVATIONS["erf"]), {"method": "decay"}
    yield "plain", ShallowTransformer(8, ACTIVATIONS["bump"]), {"method": "gd"}
    yield "mini-batches", last, {"batch": 16}
    yield "three runs in float64", last, {"runs": 3, "dtype": torch.float64}
    yield "two ranks", last, {"ranks": TwoRanks()}
    yield "a recurrence", IndRNN(8, tanh, 0.9), {}
    yield "a recurrence on two ranks", IndRNN(8, tanh, 0.9), {"ranks": TwoRanks(), "runs": 2}


if __name__ == "__main__":
    _setup_privateuseone_for_python_backend(DEVICE)
    true_numpy = torch.Tensor.numpy
    torch.Tensor.numpy = numpy_of  # type: ignore[method-assign]
    for name, model, options in cases():
        few, many = (questions(model, tau, **options) for tau in (4, 8))
        print(f"{name}: {(many.total() - few.total()) / 4:g}")
