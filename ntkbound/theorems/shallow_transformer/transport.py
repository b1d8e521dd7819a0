"""The transport maps v of targets in the class F_ν of arXiv 2601.16514.

c is a fair sign independent of (U, W), so for an odd σ v_c needs a part odd in U, v_u must be odd
in c and not odd in U, v_w odd in c with a part odd in U; for an even σ the U-parities swap. Every
map below carries the factor c where it is needed, so the integrand does not depend on c.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ntkbound.core import streams
from ntkbound.heads.model import Inputs, Params
from ntkbound.heads.transformer import ShallowTransformer
from ntkbound.heads.transport import Shape

RANDOM_FEATURES = 16
ANCHORS = 16


def rank_one(model: ShallowTransformer, e: Tensor) -> Shape:
    """v_c = sign(U·e), v_u = c e, v_w = c Û eᵀ with Û = U/‖U‖ and a fixed unit e (d,).

    For a fixed query e = q, so that v_k = v_w q = c Û.
    """

    def shape(theta: Params) -> Params:
        c, U = theta["c"], theta["U"]
        unit = e.to(U.dtype)
        signed = c[:, None] * U / torch.linalg.vector_norm(U, dim=1, keepdim=True)
        key = signed if model.key == "k" else signed[:, :, None] * unit
        return {"c": torch.sign(U @ unit), "U": c[:, None] * unit, model.key: key}

    return shape


def constant(model: ShallowTransformer, e: Tensor) -> Shape:
    """The same displacement for every head up to the sign c: v_c = 1, v_u = c e, v_w = c e eᵀ.

    Parts whose expectation vanishes by parity are zero: for an odd σ only v_u remains, for an even
    σ v_c and v_w.
    """
    parity = model.activation.parity

    def shape(theta: Params) -> Params:
        c = theta["c"]
        unit = e.to(c.dtype)
        key = unit if model.key == "k" else torch.outer(unit, unit)
        value = {
            "c": torch.ones_like(c),
            "U": c[:, None] * unit,
            model.key: c.reshape(-1, *[1] * key.ndim) * key,
        }
        vanishing = {-1: ("c", model.key), 1: ("U",), 0: ()}[parity]
        return {b: torch.zeros_like(v) if b in vanishing else v for b, v in value.items()}

    return shape


def random_feature(model: ShallowTransformer, seed: int) -> Shape:
    """v from a fixed random network of θ: ψ = tanh(A (U, W)/√dim + b), v_b = B_b ψ into its ball.

    The biases give every block both U-parities; v_u and v_w carry the factor c.
    """
    sizes = {b: int(np.prod(s)) for b, s in model.blocks.items() if b != "c"}
    dim = sum(sizes.values())
    rng = streams.generator(seed, "transport/random-feature")
    A = torch.from_numpy(rng.standard_normal((dim, RANDOM_FEATURES)) / np.sqrt(dim))
    bias = torch.from_numpy(rng.standard_normal(RANDOM_FEATURES))
    out = {
        b: torch.from_numpy(rng.standard_normal((RANDOM_FEATURES, k)) / np.sqrt(RANDOM_FEATURES))
        for b, k in {"c": 1, **sizes}.items()
    }

    def shape(theta: Params) -> Params:
        c = theta["c"]
        flat = torch.cat([theta[b].flatten(1) for b in sizes], dim=1)
        psi = torch.tanh(flat @ A.to(c.dtype) + bias.to(c.dtype))
        v = {"c": (psi @ out["c"].to(c.dtype))[:, 0]}
        for b in sizes:
            v[b] = c[:, None] * (psi @ out[b].to(c.dtype))
        return {b: value.reshape(-1, *model.blocks[b]) for b, value in v.items()}

    return shape


def anchors(
    model: ShallowTransformer, inputs: Inputs, nu: Mapping[str, float], token_norm: float, seed: int
) -> Shape:
    """S1's map through anchor inputs X_r with coefficients Σ|α_r| = 1:

    v_c = Σ α_r σ(z_r)/σ0, v_u = c Σ α_r σ'(z_r) a_r/(σ1 max(1, B_x)),
    v_w = c Σ α_r clip(σ'(z_r) (M U)_r qᵀ_r, ν_w)/ν_w, each inside its unit ball since Σ|α_r| = 1.
    """
    rng = streams.generator(seed, "transport/anchors")
    drawn = rng.standard_normal(inputs.n)
    alpha = torch.from_numpy(drawn / np.abs(drawn).sum())
    s0, s1, _ = model.activation.suprema
    radius = nu[model.key]

    def shape(theta: Params) -> Params:
        c = theta["c"]
        one = {**theta, "c": torch.ones_like(c)}
        grads = model.gradients(one, inputs.to(c.dtype))  # block → (anchors, heads, *shape)
        axes = tuple(range(2, grads[model.key].ndim))
        norms = grads[model.key].square().sum(axes, keepdim=True).sqrt()
        key = grads[model.key] / norms.clamp(min=radius) if radius else grads[model.key] * 0
        weighted = {
            "c": grads["c"] / s0,
            "U": grads["U"] / (s1 * max(1.0, token_norm)),
            model.key: key,
        }
        v = {b: torch.einsum("r,r...->...", alpha.to(c.dtype), g) for b, g in weighted.items()}
        return {b: g if b == "c" else c.reshape(-1, *[1] * (g.ndim - 1)) * g for b, g in v.items()}

    return shape
