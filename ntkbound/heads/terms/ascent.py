"""The ascent behind the worst-case search, for any head model: the rule, in torch.

Each head, sample and sign is a small problem of its own: the largest value F of ± its error over a
product of balls. Both errors are affine in δc, so δc = ±ρ_c is optimal at every point and is put
there; the other blocks are kept in unit balls (Δ_b = ρ_b ξ_b) and climb by projected gradients

    ξ' = Π(ξ + α g),   g = ∇F(ξ),   accepted if F(ξ') ≥ F(ξ) + ARMIJO ⟨g, ξ' − ξ⟩, else α ← SHRINK α

with α = 1/Σ‖g_b‖ at first and the spectral step −‖s‖²/⟨s, y⟩ after an accepted one (s = ξ' − ξ, y
the change of g; GROW α where F is convex along s), kept within a factor SPAN of the first. Every
start is the best of several candidates; the best end point climbs once more.

What is guaranteed: F never decreases, what is returned is attained in Ω_ρ, and as the number of
steps grows every accumulation point of an ascent is first-order stationary (docs/theory.md). It
need not be the global maximum: the search is a lower bound of the supremum.

Gradients are autograd's, whatever the model: this is the oracle of the native search, and what runs
without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from ntkbound.heads.model import Params

ARMIJO, SHRINK, GROW, SPAN = 1e-4, 0.25, 4.0, 1e6

Error = Callable[[Params], Tensor]  # Δ (…, samples, 2, starts, heads, *shape) → error of each head


class Ascent:
    """sup of +error and of −error; ``radii`` are (samples, 1, 1, heads) per block."""

    def __init__(self, error: Error, radii: Params, output_block: str) -> None:
        self._error, self._radii, self._output = error, radii, output_block

    def suprema(self, candidates: Iterable[Params], steps: int) -> Tensor:
        """Largest ±error found, and the gap Σ_b (‖g_b‖ − ⟨g_b, ξ_b⟩) there, (2, 2, samples, heads).

        The gap is max ⟨g, ξ' − ξ⟩ over the balls: to first order nothing more can be gained.

        Every candidate holds one point per start in unit balls, block → (samples, 2, starts,
        heads, *shape), for all blocks but the output block.
        """
        at: Params = {}
        top: Tensor | None = None
        for points in candidates:
            value = self._value(points)
            if top is None:
                at, top = points, value
            else:
                worse = value < top
                at = {b: _where(worse, v, points[b]) for b, v in at.items()}
                top = torch.where(worse, top, value)
        top, at, _ = self._climb(at, steps)
        best, at = _best(top, at)
        final, at, slopes = self._climb(at, steps)
        gap = sum(norms(g) for g in slopes.values()) - _inner(slopes, at)
        found = torch.stack([torch.maximum(best, final), gap.clamp(min=0)])
        return found.squeeze(3).transpose(1, 2)

    def _value(self, points: Params) -> Tensor:
        """± error at its best δc, (samples, 2, starts, heads)."""
        delta = {b: _like(self._radii[b], v) * v for b, v in points.items()}
        ends = torch.tensor([1.0, -1.0], dtype=torch.float64)
        delta[self._output] = ends.reshape(2, 1, 1, 1, 1) * self._radii[self._output]
        up, down = ends.reshape(2, 1, 1) * self._error(delta)
        return torch.where(up < down, down, up)

    def _slopes(self, points: Params) -> tuple[Tensor, Params]:
        leaves = {b: v.detach().requires_grad_() for b, v in points.items()}
        value = self._value(leaves)
        slopes = torch.autograd.grad(value.sum(), list(leaves.values()))
        return value.detach(), dict(zip(leaves, slopes, strict=True))

    def _climb(self, at: Params, steps: int) -> tuple[Tensor, Params, Params]:
        """Where the ascent ended: value, point and slopes."""
        value, slopes = self._slopes(at)
        alpha = 1 / sum(norms(g) for g in slopes.values()).clamp(min=1e-300)  # type: ignore[union-attr]
        longest, shortest = alpha * SPAN, alpha / SPAN
        for _ in range(steps):
            trial = {b: _into_unit_ball(v + _like(alpha, v) * slopes[b]) for b, v in at.items()}
            found, turned = self._slopes(trial)
            moved = {b: trial[b] - v for b, v in at.items()}
            gain, length = _inner(slopes, moved), _inner(moved, moved)
            bend = _inner({b: turned[b] - g for b, g in slopes.items()}, moved)
            needed = value + ARMIJO * gain
            spectral = torch.where(bend < 0, length / -bend, GROW * alpha)
            spectral = torch.minimum(torch.maximum(spectral, shortest), longest)
            refused = found < needed
            alpha = torch.where(refused, SHRINK * alpha, spectral)
            at = {b: _where(refused, v, trial[b]) for b, v in at.items()}
            slopes = {b: _where(refused, g, turned[b]) for b, g in slopes.items()}
            value = torch.where(refused, value, found)
        return value, at, slopes


LEAD = 4  # samples, signs, starts, heads: the axes before a block's own


def norms(v: Tensor) -> Tensor:
    """Norm of a block per point, (samples, 2, starts, heads)."""
    return v.abs() if v.ndim == LEAD else v.flatten(LEAD).norm(dim=-1)


def _like(weight: Tensor, v: Tensor) -> Tensor:
    """A number per point, with axes for the block's own shape."""
    return weight.reshape(*weight.shape, *[1] * (v.ndim - LEAD))


def _where(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(_like(condition, yes), yes, no)


def _into_unit_ball(v: Tensor) -> Tensor:
    return v / _like(norms(v).clamp(min=1.0), v)


def _inner(one: Params, two: Params) -> Tensor:
    products = [one[b] * two[b] for b in one]
    return torch.stack([p.flatten(LEAD).sum(-1) if p.ndim > LEAD else p for p in products]).sum(0)


def _best(value: Tensor, at: Params) -> tuple[Tensor, Params]:
    """The best of all starts, as the only one."""
    top, index = value.max(2, keepdim=True)
    return top, {
        b: v.gather(2, _like(index, v).expand(*index.shape, *v.shape[LEAD:])) for b, v in at.items()
    }
