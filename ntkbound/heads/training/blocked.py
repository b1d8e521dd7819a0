"""Closed-form loss and gradient of the shallow Transformer in torch, over cache-sized blocks.

A block is a few samples with all heads; its weights and token products stay in cache between the
forward and the backward sweep, so exponentials are computed once and nothing of size n·m·T is ever
stored. Blocks form a fixed number of groups with their own partial gradients, reduced in order: the
bits do not depend on the number of threads.

Residual r_j known, g = 2 r_j c σ'(z)/(n√m) and w_t = g p_t, the gradients are weighted token sums:

    ∇_c = Σ_j 2 r_j σ(z)/(n√m),   ∇_U = Σ_j Σ_t w_t X_t,   ∇_W = Σ_j (Σ_t w_t (v_t − z) X_t) qᵀ
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ntkbound.heads.model import Inputs, Params
from ntkbound.heads.training.objective import Objective
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.machine.parallel import Workers, partition

BLOCK_ELEMENTS = 1 << 17  # sample × token × head elements: large enough to hide the calls' cost
# On a GPU a block must fill the device: four arrays of at most so many numbers (1 GB in float32).
# Gradients sum over its tokens in the training precision, which bounds those as well.
GPU_BLOCK_ELEMENTS, GPU_BLOCK_TOKENS = 1 << 26, 1 << 20
GROUPS = 4  # partial gradients, at most; fewer when the parameters are large
PARTIAL_BYTES = 32 << 20


@dataclass
class _Workspace:
    """Buffers of one group: (b, T, m) scores, token products and weights, and partial gradients."""

    scores: Tensor
    products: Tensor
    weights: Tensor
    keys: Tensor  # (b, d·m): W q, later Σ_t w_t (v_t − z) X_t
    grads: Params  # heads last, as in ``_heads_last``


class BlockedObjective(Objective):
    """R̂ and ∇R̂ by the closed form; (R, m, …) parameters, run by run."""

    def __init__(
        self, model: ShallowTransformer, inputs: Inputs, y: Tensor, m: int, workers: Workers
    ) -> None:
        self.model, self.workers, self.ranks = model, workers, workers.ranks
        self.scale = 1 / math.sqrt(workers.ranks.total(m))
        self.load(inputs, y)
        n, T, d = inputs.X.shape
        dtype, device = inputs.X.dtype, inputs.X.device
        self.dtype = dtype
        keyed = model.key != "k"  # W q of every sample is kept: d numbers a head
        size = BLOCK_ELEMENTS // (T * m)
        if device.type != "cpu":
            widest = max(T, d) if keyed else T
            size = min(GPU_BLOCK_ELEMENTS // (widest * m), GPU_BLOCK_TOKENS // T)
        size = max(1, size)
        blocks = partition(n, size)
        shapes = {b: (*reversed(shape), m) for b, shape in model.blocks.items()}
        bytes_each = sum(math.prod(s) for s in shapes.values()) * dtype.itemsize
        groups = max(1, min(GROUPS, len(blocks), PARTIAL_BYTES // bytes_each))
        if device.type != "cpu" or workers.ranks.count > 1:  # ranks exchange block after block
            groups = 1
        per_group = -(-len(blocks) // groups)
        self._groups = [blocks[part] for part in partition(len(blocks), per_group)]
        size = min(size, n)

        def buffer(*shape: int) -> Tensor:
            return torch.empty(shape, dtype=dtype, device=device)

        self._workspaces = [
            _Workspace(
                scores=buffer(size, T, m),
                products=buffer(size, T, m),
                weights=buffer(size, T, m),
                keys=buffer(size, d * m if keyed else 0),
                grads={b: buffer(*s) for b, s in shapes.items()},
            )
            for _ in self._groups
        ]

    def load(self, inputs: Inputs, y: Tensor) -> None:
        self.X, self.q, self.y = inputs.X.contiguous(), inputs.q.contiguous(), y

    def evaluate(self, params: Params, grads: Params) -> Tensor:
        runs = params["c"].shape[0]
        loss = torch.zeros(runs, dtype=torch.float64, device=self.X.device)
        # A GPU has its own queue, and is not to be waited for.
        run_all = self.workers.map if self.X.device.type == "cpu" else map
        for run in range(runs):
            one = {b: _heads_last(v[run]) for b, v in params.items()}

            def group(index: int, one: Params = one) -> Tensor:
                return self._group(one, self._groups[index], self._workspaces[index])

            loss[run] = torch.stack(list(run_all(group, range(len(self._groups))))).sum()
            for block, total in grads.items():
                target = total[run].permute(*reversed(range(total.ndim - 1)))
                target.copy_(self._workspaces[0].grads[block])
                for other in self._workspaces[1:]:
                    target += other.grads[block]
        return loss / len(self.y)

    def _group(self, params: Params, blocks: list[slice], work: _Workspace) -> Tensor:
        """Σ r² over the blocks of one group; its gradients are left in the workspace."""
        for partial in work.grads.values():
            partial.zero_()
        return torch.stack([self._block(params, rows, work) for rows in blocks]).sum()

    def _block(self, params: Params, rows: slice, work: _Workspace) -> Tensor:
        X, q, y = self.X[rows], self.q[rows], self.y[rows]
        b, T, d = X.shape
        m, key = len(params["c"]), self.model.key
        flat = X.reshape(b * T, d)
        scores, v, p = work.scores[:b], work.products[:b], work.weights[:b]
        keys = work.keys[:b]

        if key == "k":
            torch.mm(flat, params["k"], out=scores.view(b * T, m))
        else:
            torch.mm(q, params["W"].view(d, d * m), out=keys)
            torch.bmm(X, keys.view(b, d, m), out=scores)
        torch.mm(flat, params["U"], out=v.view(b * T, m))
        torch.softmax(scores, 1, out=p)
        torch.mul(p, v, out=scores)
        z = scores.sum(1)

        value = self.model.activation.value(z)
        slope = self.model.activation.slope(z, value)
        c = params["c"]
        residual = self.ranks.sum_(torch.mv(value, c)).mul_(self.scale).sub_(y)
        share = residual * (2 * self.scale / len(self.y))  # ∂R̂/∂(√m f) of each sample

        work.grads["c"].addmv_(value.mT, share)
        p *= slope.mul_(c).mul_(share[:, None])[:, None]
        work.grads["U"].addmm_(flat.mT, p.view(b * T, m))
        v -= z[:, None]
        p *= v
        if key == "k":
            work.grads["k"].addmm_(flat.mT, p.view(b * T, m))
        else:
            torch.bmm(X.mT, p, out=keys.view(b, d, m))
            work.grads["W"].view(d, d * m).addmm_(q.mT, keys)
        return residual.double().square().sum()


def _heads_last(value: Tensor) -> Tensor:
    """(m, *shape) as (*reversed shape, m): matrix products then run along contiguous heads."""
    return value.permute(*reversed(range(value.ndim))).contiguous()
