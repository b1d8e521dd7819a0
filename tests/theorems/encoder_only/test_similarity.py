"""Similarities and ranks of the data against sums written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ntkbound.theorems.encoder_only import similarity as module
from ntkbound.theorems.encoder_only.similarity import similarities, similarity
from tests.theorems.encoder_only.support import WORKERS, drawn


def test_similarity_of_every_pair(monkeypatch):
    problem, _ = drawn(0, N=7, ds=3, d=5)
    X = problem.X.numpy()
    expected = [np.square(X[n] @ X[m].T).sum() for n in range(7) for m in range(n + 1, 7)]
    assert np.allclose(similarities(problem, WORKERS), expected, rtol=1e-13)
    monkeypatch.setattr(module, "TILE", 1)
    assert np.allclose(similarities(problem, WORKERS), expected, rtol=1e-13)
    found = similarity(problem, WORKERS)
    assert found["min"] == pytest.approx(min(expected))
    assert found["median"] == pytest.approx(np.median(expected))


def test_ranks():
    problem, _ = drawn(1, N=6, ds=3, d=5)
    found = similarity(problem, WORKERS)
    assert (found["row_rank"], found["token_mean_rank"]) == (3, 5)
    problem.X[2, 1] = 2 * problem.X[2, 0]  # one sample is enough
    assert similarity(problem, WORKERS)["row_rank"] == 2
    problem.X[1:5] -= problem.X[1:5].mean(dim=1, keepdim=True)  # means of 0 to rounding
    assert similarity(problem, WORKERS)["token_mean_rank"] == 2


def test_one_sample_has_no_pairs():
    problem, _ = drawn(2, N=1)
    assert set(similarity(problem, WORKERS)) == {"row_rank", "token_mean_rank"}


def test_gaussian_tokens_keep_away_from_zero():
    """Unit tokens, ds = 10, d = 100: the prototype's least .55, median .99. Assumption 3 fails."""
    problem, _ = drawn(3, N=100, ds=10, d=100, dm=1)
    problem.X.div_(problem.X.norm(dim=2, keepdim=True))
    found = similarity(problem, WORKERS)
    assert 0.45 < found["min"] < 0.65 and found["median"] == pytest.approx(0.99, abs=0.02)
    apart = torch.eye(4, dtype=torch.float64)[:, None]
    orthogonal, _ = drawn(4, N=4, ds=1, d=4)
    orthogonal.X.copy_(apart)
    assert similarity(orthogonal, WORKERS)["min"] == 0.0
