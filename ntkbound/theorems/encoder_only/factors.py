"""Queries and keys of a descent, without their rows.

∇Q = W_K Gᵀ and ∇K = W_Q G are products from the right, so all that descent ever does to the rows is

    W_Q = [W_Q(0) W_K(0)] L,   W_K = [W_Q(0) W_K(0)] R,   L, R (2d, d),

and the loss sees them through P = W_QᵀW_K, G through W_QᵀW_Q and W_KᵀW_K, which descend by
themselves. With Γ = γG a step is

    P − W_QᵀW_Q Γ − Γ W_KᵀW_K + Γ Pᵀ Γ,   W_QᵀW_Q − P Γᵀ − Γ Pᵀ + Γ W_KᵀW_K Γᵀ,   …

whatever dm: 11 d³ multiply-adds in place of 3 d² dm, and no gradient of dm·d numbers. Derived in
E11 of docs/encoder-only.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Factors:
    """Of R runs: P, QQ = W_QᵀW_Q, KK = W_KᵀW_K (R, d, d) each, L and R (R, 2d, d)."""

    P: Tensor
    QQ: Tensor
    KK: Tensor
    L: Tensor
    R: Tensor

    @classmethod
    def of(cls, P: Tensor, QQ: Tensor, KK: Tensor) -> Factors:
        """At the start."""
        d = P.shape[-1]
        both = torch.eye(2 * d, dtype=P.dtype).expand(len(P), -1, -1)
        return cls(P, QQ, KK, both[..., :d].contiguous(), both[..., d:].contiguous())

    def squares(self, G: Tensor) -> tuple[Tensor, Tensor]:
        """‖∇Q‖² = tr(G W_KᵀW_K Gᵀ) and ‖∇K‖² = tr(Gᵀ W_QᵀW_Q G), (R,) each."""
        of_Q, of_K = torch.bmm(G, self.KK) * G, torch.bmm(self.QQ, G) * G
        return of_Q.flatten(1).sum(1), of_K.flatten(1).sum(1)

    def moved(self, G: Tensor, gamma: Tensor) -> Factors:
        """After a step of size γ (R,) along −∇."""
        step = G * gamma[:, None, None]
        left, right = torch.bmm(step, self.KK), torch.bmm(self.QQ, step)
        across, along = torch.bmm(self.P, step.mT), torch.bmm(step.mT, self.P)
        return Factors(
            torch.baddbmm(self.P - left - right, across.mT, step),
            torch.baddbmm(self.QQ - across - across.mT, left, step.mT),
            torch.baddbmm(self.KK - along - along.mT, step.mT, right),
            torch.baddbmm(self.L, self.R, step.mT, alpha=-1),
            torch.baddbmm(self.R, self.L, step, alpha=-1),
        )

    def rows(self, start: tuple[Tensor, Tensor], run: int) -> tuple[Tensor, Tensor]:
        """W_Q and W_K (rows, d) of one run, from where all runs started."""
        d = self.P.shape[-1]
        Q, K, L, R = start[0][run], start[1][run], self.L[run], self.R[run]
        return Q @ L[:d] + K @ L[d:], Q @ R[:d] + K @ R[d:]
