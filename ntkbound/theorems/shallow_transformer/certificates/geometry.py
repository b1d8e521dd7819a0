"""What attention does to one sample at φ_0, and how far it can change over a ball around it.

Symmetric pairs share U and W, so everything here is per sample and *pair*. With w = δW q of norm
at most r_k and s = r_k R, R = max_t ‖X_t − a‖, the softmax weights at any point of the ball obey

    p_t(w) = p_t e^{w·(X_t − a)} / Σ_t p_t e^{w·(X_t − a)} ≤ e^s p_t                       (tilt)

because the denominator is at least 1 (Jensen). Every variance under p(w) is therefore at most e^s
times the one at φ_0, and the cumulants of the tokens follow (docs/certificates.md §2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ntkbound.heads.model import Inputs, Params
from ntkbound.heads.transformer import ShallowTransformer

THIRD_CUMULANT = 4 / (3 * math.sqrt(3))  # largest |κ₃| of a variable on [−1, 1]
FOURTH_CUMULANT = 2.0  # largest |κ₄|, at a fair sign


@dataclass(frozen=True)
class Radii:
    """How far one head may move: |δc|, ‖δU‖ and ‖δW q‖ (rows, 1); already divided by √m."""

    c: float
    u: float
    k: Tensor


@dataclass(frozen=True)
class Geometry:
    """One block of samples × pairs at φ_0. Arrays are (rows, pairs) unless said otherwise."""

    U: Tensor  # (pairs, d)
    z: Tensor
    a: Tensor  # attention output, (rows, d, pairs)
    b: Tensor  # M U, (rows, d, pairs)
    p: Tensor  # softmax weights, (rows, T, pairs)
    weighted: Tensor  # p_t (v_t − z) with v_t = U·X_t, (rows, T, pairs)
    a_norm: Tensor
    b_norm: Tensor
    u_norm: Tensor  # (pairs,)
    M_norm: Tensor  # of M = Σ p_t (X_t − a)(X_t − a)ᵀ: ‖M‖ … d^{1/4}‖M‖
    K_norm: Tensor  # Frobenius norm of K = Σ p_t (v_t − z)(X_t − a)(X_t − a)ᵀ
    variance: Tensor  # Var_p(U·X_t)
    spread: Tensor  # R
    tokens: Tensor  # max_t ‖X_t‖, (rows, 1)


def geometry(model: ShallowTransformer, base: Params, inputs: Inputs) -> Geometry:
    """Geometry of heads ``base`` (block → (pairs, *shape)) at some samples."""
    X = inputs.X
    p, v = model.attention(base, inputs)  # (rows, T, pairs)
    z = (p * v).sum(-2)
    weighted = p * (v - z.unsqueeze(-2))
    a, b = X.mT @ p, X.mT @ weighted
    d = X.shape[-1]
    i, j = torch.triu_indices(d, d)
    once = (i == j).double().reshape(-1, 1)
    products = (X[..., i] * X[..., j]).mT  # (rows, d(d+1)/2, T)
    K = products @ weighted - a[:, i] * b[:, j] - b[:, i] * a[:, j]
    M = products @ p - a[:, i] * a[:, j]
    lengths = X.square().sum(2)
    # ‖X_t − a‖² = ‖X_t‖² − 2 X_t·a + ‖a‖²
    distances = lengths.unsqueeze(2) - 2 * X @ a + a.square().sum(1).unsqueeze(1)
    return Geometry(
        U=base["U"],
        z=z,
        a=a,
        b=b,
        p=p,
        weighted=weighted,
        a_norm=norm(a),
        b_norm=norm(b),
        u_norm=norm(base["U"]),
        M_norm=_schatten(_square(M, d)),
        K_norm=(K.square() * (2 - once)).sum(1).sqrt(),
        variance=(base["U"].mT * b).sum(1).clamp(min=0),
        spread=distances.amax(1).clamp(min=0).sqrt(),
        tokens=lengths.amax(1, keepdim=True).sqrt(),
    )


def norm(v: Tensor) -> Tensor:
    """Euclidean norm along axis 1, several times faster than ``Tensor.norm`` on a strided axis."""
    return v.square().sum(1).sqrt()


def _square(upper: Tensor, d: int) -> Tensor:
    """Symmetric matrices (rows, pairs, d, d) from their upper triangles (rows, d(d+1)/2, pairs)."""
    i, j = torch.triu_indices(d, d)
    where = torch.empty(d, d, dtype=torch.long)
    where[i, j] = where[j, i] = torch.arange(len(i))
    return upper.mT[..., where]


def _schatten(M: Tensor) -> Tensor:
    """(tr M⁴)^{1/4}, between ‖M‖ and d^{1/4}‖M‖, of M (rows, pairs, d, d)."""
    # tr M keeps the powers in range; it rounds to zero where the softmax sits on one token.
    scale = torch.diagonal(M, dim1=-2, dim2=-1).sum(-1).clamp(min=1e-30)
    small = M / scale[..., None, None]
    return scale * (small @ small).square().sum((-2, -1)) ** 0.25


@dataclass(frozen=True)
class Reach:
    """Bounds that hold over the whole ball of ``radii`` around φ_0, (rows, pairs) each.

    For a displacement Δ of those radii and another one x of radii (x_u, x_k), at every point:
    |Dz[x]| ≤ ``first``, |D²z[Δ, x]| ≤ ``second``, |D³z[Δ, Δ, x]| ≤ ``third``.
    """

    geometry: Geometry
    radii: Radii
    tilt: Tensor  # e^s
    variance: Tensor  # ≥ ‖M(w)‖
    k3: Tensor  # ≥ |κ₃(û; w, x)| of unit vectors
    k4: Tensor  # ≥ |κ₄(û; w, w, x)| of unit vectors
    K3: Tensor  # ≥ |κ₃(U'; w, x)| for the moved U'
    K4: Tensor  # ≥ |κ₄(U; w, w, x)| for the initial U

    @classmethod
    def over(cls, g: Geometry, radii: Radii) -> Reach:
        B = g.tokens
        tilt = torch.exp(radii.k * g.spread)
        variance = torch.minimum(tilt * g.M_norm, B**2)
        far = torch.minimum(g.spread + variance * radii.k, 2 * B)  # ≥ ‖X_t − a(w)‖
        shape = torch.maximum(far**2, 3 * variance)
        k3 = torch.minimum(far * variance, THIRD_CUMULANT * B**3)
        k4 = torch.minimum(variance * shape, FOURTH_CUMULANT * B**4)
        along = torch.minimum(tilt * g.variance, (g.u_norm * B) ** 2)  # Var(U·X_t)
        K4 = torch.minimum((along * variance).sqrt() * shape, g.u_norm * FOURTH_CUMULANT * B**4)
        moved = g.u_norm + radii.u
        K3 = torch.minimum(g.K_norm + radii.k * K4 + radii.u * k3, moved * THIRD_CUMULANT * B**3)
        return cls(g, radii, tilt, variance, k3, k4, K3, K4)

    def first(self, u: Tensor | float, k: Tensor) -> Tensor:
        g, B = self.geometry, self.geometry.tokens
        grown = u * g.a_norm + k * g.b_norm + self.second(u, k)
        return torch.minimum(grown, u * B + k * B**2 * (g.u_norm + self.radii.u))

    def second(self, u: Tensor | float, k: Tensor) -> Tensor:
        r = self.radii
        return (r.u * k + u * r.k) * self.variance + r.k * k * self.K3

    def third(self, u: Tensor | float, k: Tensor) -> Tensor:
        r = self.radii
        bent = r.k**2 * k * (self.K4 + r.u * self.k4)
        return self.k3 * (2 * r.u * r.k * k + u * r.k**2) + bent

    @property
    def attention_change(self) -> Tensor:
        """≥ ‖a(w) − a‖ = ‖∫ M(tw) w dt‖; the mean of e^{ts} over t is at most (1 + e^s)/2."""
        g = self.geometry
        mean = torch.minimum(g.M_norm * (1 + self.tilt) / 2, g.tokens**2)
        return self.radii.k * mean

    @property
    def bend(self) -> Tensor:
        """Fourth-order part of U·(a(w) − a − M w) beyond K[w, w]/2."""
        return self.radii.k**3 * self.K4 / 6

    @property
    def remainder(self) -> Tensor:
        """ξ̄ ≥ |ξ| for ξ = ζ − Dz[Δ], where ζ = z(θ + Δ) − z(θ)."""
        g, r = self.geometry, self.radii
        bent = r.k**2 * g.K_norm / 2 + self.bend
        return r.u * self.attention_change + torch.minimum(bent, self._worst_bend)

    @property
    def remainder_of_pair(self) -> Tensor:
        """≥ sup ξ + sup(−ξ): K cannot be ±K_norm in both signs, its two extremes share K_norm."""
        g, r = self.geometry, self.radii
        bent = r.k**2 * g.K_norm / math.sqrt(2) + 2 * self.bend
        return 2 * r.u * self.attention_change + torch.minimum(bent, 2 * self._worst_bend)

    @property
    def _worst_bend(self) -> Tensor:
        g = self.geometry
        return g.u_norm * THIRD_CUMULANT * g.tokens**3 * self.radii.k**2 / 2

    @property
    def late_remainder(self) -> Tensor:
        """≥ |∫₀¹ t D²z(θ + tΔ)[Δ, Δ] dt| = |Dz(θ + Δ)[Δ] − ζ|."""
        g, r = self.geometry, self.radii
        # ∫ 2t e^{ts} dt ≤ (1 + 2e^s)/3 by convexity
        mixed = torch.minimum(g.M_norm * (1 + 2 * self.tilt) / 3, g.tokens**2)
        bent = g.K_norm / 2 + (r.k * self.K4 + r.u * self.k3) / 3
        worst = (g.u_norm + r.u) * THIRD_CUMULANT * g.tokens**3 / 2
        return r.u * r.k * mixed + r.k**2 * torch.minimum(bent, worst)

    @property
    def score(self) -> Tensor:
        """Z ≥ |ζ|."""
        g, r, B = self.geometry, self.radii, self.geometry.tokens
        close = r.u * g.a_norm + r.k * g.b_norm + self.remainder
        far = r.u * B + g.u_norm * torch.minimum(r.k * B**2, 2 * B)
        return torch.minimum(close, far)
