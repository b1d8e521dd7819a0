"""W_V alone: the exact law, Theorem 1 as stated and corrected; and what its mutations show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.theorems.attention_kernels.measure import terms
from ntkbound.theorems.attention_kernels.spectrum import Spectrum, gram
from tests.theorems.attention_kernels.support import many, one

ALONE = {"train": "V", "method": "fixed"}


@given(st.sampled_from(["softmax", "gaussian", "linear", "normalised-gaussian"]),
       st.integers(1, 3), st.integers(1, 9), st.booleans(), st.integers(0, 99))  # fmt: skip
def test_the_exact_law(kernel, H, D, dense, seed):
    run = one(kernel=kernel, H=H, D=D, seed=seed, tau=300, N=2, n=3, d=3,
              values="dense" if dense else "block", **ALONE)  # fmt: skip
    found = terms(run)["law"]["value_only"]
    assert found["deviation"] < 1e-9
    if H * D >= 6:
        assert found["over_corrected"] <= 1 + 1e-9
        if H == 1 or dense:
            assert found["over_paper"] <= 1 + 1e-9


def test_theorem_1_of_several_heads():
    """D = 32, 2000 steps: four heads violate the paper's α, the corrected one holds."""
    for kernel in ("softmax", "gaussian"):
        found = [terms(run) for run in many(10, kernel=kernel, D=32, H=4, tau=2000, **ALONE)]
        laws = [one["law"]["value_only"] for one in found]
        assert sum(law["over_paper"] > 1 + 1e-9 for law in laws) >= 7
        assert max(law["over_corrected"] for law in laws) <= 1 + 1e-9
        ratios = [one["spectrum"]["gram"]["over_alpha"] for one in found]
        assert np.median(ratios) == pytest.approx(0.23, abs=0.04)
        rates = [law["rate_over_law"] for law in laws]
        assert np.median(rates) == pytest.approx(1.0, abs=0.02)


def test_one_head_has_the_paper_alpha():
    for run in many(5, D=32, tau=300, **ALONE):
        assert terms(run)["spectrum"]["gram"]["over_alpha"] == pytest.approx(1, rel=1e-9)


def test_the_law_knows_its_step():
    """A law of another step size, or of another Gram matrix, is not that of the run."""
    run = one(H=2, tau=200, **ALONE)
    law = run.law
    assert law.eta == pytest.approx(1 / np.linalg.eigvalsh(gram(run.problem.initial))[-1])
    other = law.__class__(law.spectrum, 0.9 * law.eta, law.steps)
    assert other.deviation(run.losses) > 1e-3 > law.deviation(run.losses)
    told = terms(run)["law"]["value_only"]["deviation"]
    assert told == law.deviation(run.losses) > 0
    dense = Spectrum(run.problem.at(run.problem.start.as_dense()))
    assert law.__class__(dense, law.eta, law.steps).deviation(run.losses) > 1e-3
    assert one(train="V", tau=3).law is None and one(train="QV", method="fixed", tau=3).law is None


def test_small_eigenvalues_keep_their_digits():
    """λ_min(G) from singular values, where eigenvalues of G itself are rounding."""
    spectrum = Spectrum(one(tau=1, seed=0).problem.initial)
    assert float(spectrum.of_G[0][0]) == pytest.approx(spectrum.alpha, rel=1e-9)
    assert (np.diff(spectrum.of_G[0]) >= 0).all()
    values, vectors = spectrum.of_G
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T,
                               gram(spectrum.state), atol=1e-12)  # fmt: skip
