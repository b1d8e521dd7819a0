"""What Assumptions 2 and 3 say of the data, measured.

Assumption 2: the tokens of each sample are of full row rank. Assumption 3: similarities
‖X_n X_mᵀ‖_F² of two samples exceed t with probability exp(−t^ĉ), for all t > 0; they are bounded
away from 0, so below their minimum it fails. Lemma 15 rests on the rank of the token means.

Source: arXiv 2311.01575, Assumptions 2 and 3, Lemma 15.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ntkbound.machine.parallel import Workers, partition
from ntkbound.theorems.encoder_only.problem import Problem
from ntkbound.theorems.encoder_only.tangent import NOISE, TILE


def similarity(problem: Problem, workers: Workers) -> dict[str, float]:
    """Least and median similarity of two samples (none of one sample alone), the least rank of a
    sample's tokens and the rank of the token means."""
    found = {
        "row_rank": int(_ranks(problem.X).min()),
        "token_mean_rank": int(_ranks(problem.X.mean(dim=1))),
    }
    if problem.N < 2:
        return dict(found)
    pairs = similarities(problem, workers)
    return {"min": float(pairs.min()), "median": float(np.median(pairs)), **found}


def similarities(problem: Problem, workers: Workers) -> np.ndarray:
    """‖X_n X_mᵀ‖_F² for all n < m."""
    tokens = problem.X.flatten(0, 1)

    def rows(part: slice) -> Tensor:
        products = (problem.X[part].flatten(0, 1) @ tokens.mT).square_()
        return products.reshape(-1, problem.ds, problem.N, problem.ds).sum(dim=(1, 3))

    size = max(1, TILE // (problem.ds**2 * problem.N))
    whole = torch.cat(list(workers.map(rows, partition(problem.N, size))))
    return np.asarray(whole.numpy()[np.triu_indices(problem.N, 1)])


def _ranks(matrices: Tensor) -> Tensor:
    """Singular values above 1e-10 of the largest, of each matrix."""
    values = torch.linalg.svdvals(matrices)
    found: Tensor = (values > NOISE * values[..., :1]).sum(dim=-1)
    return found
