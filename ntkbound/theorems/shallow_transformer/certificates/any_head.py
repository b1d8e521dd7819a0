"""What is known of any head that is linear in c: no proof for the class, but what constants imply.

With S1_i ≥ ‖∇h(X; θ)‖ and S2_i ≥ ‖∇²h(X; θ)‖ for every θ of head i's ball and every sample, and
‖ρ‖² = Σ_b ρ_b² (docs/own-heads.md has the proofs, three lines each),

    |f − f_lin| ≤ ‖ρ‖²/(2√m) · mean_i S2_i,        ‖∇f‖² ≤ mean_i S1_i²,
    |⟨∇f(φ) − ∇f(φ_0), φ − φ̃⟩| ≤ ‖ρ‖(‖ρ‖ + ‖ν‖)/√m · mean_i S2_i.

The constants are the user's own (level ``user``: whether they are suprema, nobody here has checked)
or searched (level ``estimate``: the largest values met). Neither is proved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ntkbound.core.outcome import Certificate
from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import Inputs, Params
from ntkbound.heads.own import OwnHead
from ntkbound.heads.sums import CHUNK_HEADS, measured, squared_distance
from ntkbound.heads.terms.approximation import approximation_errors
from ntkbound.heads.terms.probes import random_probe
from ntkbound.machine.parallel import partition
from ntkbound.theorems.shallow_transformer.bounds import rmse_root
from ntkbound.theorems.shallow_transformer.certificates.certificate import Level
from ntkbound.theorems.shallow_transformer.config import known
from ntkbound.theorems.shallow_transformer.start import Start

PROOFS = "docs/own-heads.md"
SUPREMA = "suprema"  # the method of the user's class
POINTS, POWERS = 4, 12  # of every ball that are tried; steps of the power iteration for ‖∇²h‖


class Suprema(NamedTuple):
    """S1 and S2 of every head, (m,) each."""

    gradient: Tensor
    curvature: Tensor


def of_any_head(start: Start, model: OwnHead) -> list[Certificate]:
    """What the constants of the user's class imply, or searched ones."""
    if model.written.has(SUPREMA):
        sure, source = _given(start, model), f"suprema of {model.written.name}"
        return list(_certificates(start, sure, "user", f"{PROOFS}, {source}: not checked"))
    found = _searched(start, model)
    return list(_certificates(start, found, "estimate", f"{PROOFS}, searched suprema: not proved"))


def _certificates(
    start: Start, suprema: Suprema, level: Level, source: str
) -> Iterator[Certificate]:
    rho = math.hypot(*start.config.rho.values())
    curvature, root = float(suprema.curvature.mean()), math.sqrt(start.config.m)
    lin = rho**2 * curvature / (2 * root)
    L2 = float(suprema.gradient.square().mean())
    yield Certificate("linearization", level, lin, source)
    yield Certificate("feature_norm", level, math.sqrt(L2), source)
    mapping, transported = start.task.transport, start.transported
    if mapping is None or transported is None:
        return
    cof = rho * (rho + math.hypot(*mapping.nu.values())) * curvature / root
    yield Certificate("change_of_feature", level, cof, source)
    if not (start.projected and start.contains(mapping)):
        return
    app = approximation_errors(start.lin, transported, start.task.y).abs()
    epsilon = float((lin + cof + app).square().mean().sqrt())
    distance = squared_distance(start.model, transported, start.initial, start.workers)
    rmse = rmse_root(epsilon, L2, distance, start.step_size, start.config.tau)
    if math.isfinite(rmse):
        yield Certificate("training_rmse", level, rmse, f"{source}, in exact arithmetic")


def _given(start: Start, model: OwnHead) -> Suprema:
    """The constants of the user's class, at the heads as they were drawn."""
    theta, radii = {b: v.clone() for b, v in start.initial.items()}, dict(start.radii)
    task = start.task
    given = model.written.call(SUPREMA, theta, radii, task.token_norm, task.query_norm)
    if not (isinstance(given, tuple) and len(given) == len(Suprema._fields)):
        raise model.written.wrong(SUPREMA, "expected two: of ‖∇h‖ and of ‖∇²h‖")
    heads = start.lin.heads
    return Suprema(*(_per_head(start, model, value, heads) for value in given))


def _per_head(start: Start, model: OwnHead, value: Any, heads: int) -> Tensor:
    """One constant for all heads, or one for each, over all ranks."""
    try:
        found = torch.as_tensor(np.asarray(value, dtype=np.float64)).expand(heads)
    except (TypeError, ValueError, RuntimeError):
        told = f"expected a number, or one per head ({heads}), not {value!r:.60}"
        raise model.written.wrong(SUPREMA, " ".join(told.split())) from None
    if not (found.isfinite() & (found >= 0)).all():
        raise model.written.wrong(SUPREMA, "a constant is negative or not finite")
    return start.workers.ranks.gather(found.contiguous())


def _searched(start: Start, model: OwnHead) -> Suprema:
    """The largest ‖∇h‖ and ‖∇²h‖ met at φ_0 and at random points of Ω_ρ, over a few samples."""
    few = start.lin.rows(slice(0, start.config.search_samples))
    seed = known(start.config.init_seed, "init_seed")
    points = [few.initial, *(random_probe(few, start.radii, seed + k) for k in range(1, POINTS))]
    parts = []
    for heads in partition(few.heads, max(1, CHUNK_HEADS // few.inputs.n)):
        met = [_at(few, model, measured(point, heads, model)) for point in points]
        parts.append(torch.stack(met).amax(0))
    gradient, curvature = torch.cat(parts, 1)
    gather = start.workers.ranks.gather
    return Suprema(gather(gradient.contiguous()), gather(curvature.contiguous()))


def _at(few: Linearized, model: OwnHead, theta: Params) -> Tensor:
    """‖∇h‖ and ‖∇²h‖ of every head, largest over samples, (2, heads)."""
    return torch.stack([one.amax(0) for one in norms(model, theta, few.inputs)])


def norms(model: OwnHead, theta: Params, inputs: Inputs) -> tuple[Tensor, Tensor]:
    """‖∇h(X_j; θ_i)‖ and, by power iteration from ∇h, ‖∇²h(X_j; θ_i)‖ from below, (n, m)."""
    spread = {b: v.expand(inputs.n, *v.shape).clone().requires_grad_() for b, v in theta.items()}
    single = Inputs(inputs.X.unsqueeze(-3), inputs.q.unsqueeze(-2))  # every sample its own θ
    with torch.enable_grad():
        grads = model.gradients(spread, single)
        flat = _flat({b: g.squeeze(1) for b, g in grads.items()})
        gradient = flat.detach().norm(dim=-1)
        v = torch.ones_like(flat).detach()
        size = gradient
        for _ in range(POWERS):
            v = v / v.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(v.dtype).tiny)
            products = torch.autograd.grad(
                (flat * v).sum(), list(spread.values()), retain_graph=True
            )
            v = _flat(dict(zip(spread, products, strict=True)))
            size = v.norm(dim=-1)
    return gradient, size


def _flat(blocks: Mapping[str, Tensor]) -> Tensor:
    """(n, m, numbers of one head)."""
    return torch.cat([v.reshape(*v.shape[:2], -1) for v in blocks.values()], -1)
