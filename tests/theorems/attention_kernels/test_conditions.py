"""Ranks, PL factors, conditions in logarithms, bounds, and the links of the proofs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.theorems.attention_kernels import statement
from ntkbound.theorems.attention_kernels.audit import audit
from ntkbound.theorems.attention_kernels.bounds import judge, met
from ntkbound.theorems.attention_kernels.measure import terms
from ntkbound.theorems.attention_kernels.spectrum import Spectrum
from tests.theorems.attention_kernels.support import many, one

KAPPA_OF = {"sq": 0.02, "kernel": "gaussian", "train": "Q", "labels": "near"}


def judged(run):
    return judge(run, terms(run))


@pytest.mark.parametrize(
    ("kernel", "ranks"),
    [
        ("softmax", (4, 9, 16, 36, 60, 64, 64)),
        ("gaussian", (7, 15, 26, 47, 64, 64, 64)),
    ],
)
def test_ranks_against_the_embedding(kernel, ranks):
    for D, expected in zip((2, 3, 4, 6, 8, 12, 16), ranks, strict=True):
        for run in many(3, kernel=kernel, D=D, tau=1):
            assert run.spectrum.rank_J == expected
    for (D, d), expected in {(16, 2): 32, (16, 4): 64, (64, 1): 16}.items():
        assert one(kernel=kernel, D=D, d=d, tau=1).spectrum.rank_J == expected
    found = terms(one(kernel=kernel, tau=1))["rank"]["dC_dQ"]
    assert found["needed"] == (48 if kernel == "softmax" else 64)


def test_the_least_rank_of_heads_counts():
    spectrum = one(H=3, D=4, tau=1).spectrum
    assert spectrum.delta == 0.0 and len(spectrum.of_J) == 3  # Dd = 32 < 64
    wide = one(H=3, tau=1).spectrum
    assert wide.delta == min(float(s[-1]) for s in wide.of_J) > 0


def test_the_conditions_without_logarithms():
    """Where nothing underflows the logarithms are those of the formulas."""
    run = one(**KAPPA_OF, H=2, tau=1)
    w, X, config = run.problem.start, run.problem.X, run.config
    lam_Q, lam_K = ([np.linalg.norm(W, 2) for W in part] for part in (w.W_Q, w.W_K))
    lam_V = 2 / 3 * (1 + max(np.linalg.norm(W, 2) for W in w.W_V))
    norm_X, W_O = np.linalg.norm(X), np.linalg.norm(w.W_O)
    r, sigma = np.linalg.norm(run.problem.initial.residual), run.spectrum.sigma_B
    N, n, H = config.N, config.n, config.H
    left = n**2 * math.sqrt(N * H) * norm_X**5 * sum(np.square(lam_Q) + np.square(lam_K)) * lam_V
    left *= r / (W_O * sigma**2 * min(*lam_Q, *lam_K, sigma))
    assert run.left.theorem2() == pytest.approx(math.log10(left))
    kappa = math.exp(-9 / 4 * norm_X**2 * max(np.square(lam_Q) + np.square(lam_K)))
    delta, v = run.spectrum.delta, np.abs(run.problem.initial.v).min()
    left = 8 * n * norm_X**5 * W_O * lam_V * max(np.add(lam_Q, lam_K)) / kappa * r
    left /= delta**2 * v**2 * min(delta, *lam_Q)
    assert run.left.theorem3() == pytest.approx(math.log10(left))
    assert run.left.theorem3_corrected() == pytest.approx(math.log10(left / kappa))
    gamma = delta**2 * kappa**2 * v**2 / 2
    assert run.left.log_gamma() == pytest.approx(math.log(gamma))
    assert kappa <= run.problem.initial.S.min()


def test_no_start_meets_the_conditions():
    for fields in ({}, {"D": 64}, {"so": 100.0, "sv": 0.01}):
        left = [run.left.theorem2() for run in many(5, tau=1, **fields)]
        assert 8 < min(left) < np.median(left) < 20
    small = [run.left.theorem3_corrected() for run in many(5, tau=1, **KAPPA_OF)]
    usual = [run.left.theorem3_corrected() for run in many(5, tau=1, kernel="gaussian")]
    assert 11 < np.median(small) < 16 and np.median(usual) > 1000  # κ is far below 1e-308
    found = terms(one(kernel="gaussian", tau=1))["condition"]
    assert set(found) == {"theorem2", "theorem3", "theorem3_corrected"}
    assert "theorem2" not in terms(one(D=8, tau=1))["condition"]  # σ_B = 0: infinite


@given(st.sampled_from(["softmax", "gaussian", "linear", "normalised-gaussian"]),
       st.sampled_from(["Q", "QK"]), st.integers(1, 2), st.integers(0, 99))  # fmt: skip
def test_pl_factors(kernel, train, H, seed):
    """‖∇_Q f‖²/(2f) is their product, each above what is proved of it."""
    run = one(kernel=kernel, train=train, H=H, seed=seed, tau=1)
    found = terms(run)["pl"]["initial"]
    product = found["jacobian_factor"] * found["residual_factor"]
    if train == "Q":
        assert product == pytest.approx(found["ratio_min"])
    else:
        assert product <= found["ratio_min"] * (1 + 1e-12)
    assert found["jacobian_factor"] >= run.spectrum.delta**2 * (1 - 1e-9)
    S, v = run.problem.initial.S, run.problem.initial.v[:, :, None, :]
    shape = run.problem.kernel.shape
    if shape == "softmax":
        v = v - (S * v).sum(axis=-1, keepdims=True)
    rows = np.square(v if shape == "identity" else S * v).sum(axis=-1)
    rows = np.broadcast_to(rows, S.shape[:3]).sum(axis=0)
    assert found["residual_factor"] >= rows.min() * (1 - 1e-9)


def test_softmax_has_a_pl_inequality_too():
    """Labels near the start, W_Q alone: softmax is not worse along the descent."""
    medians = {
        kernel: np.median([terms(run)["pl"]["trajectory"]["ratio_min"]
                           for run in many(20, kernel=kernel, labels="near", train="Q")])
        for kernel in ("softmax", "gaussian")
    }  # fmt: skip
    assert medians["softmax"] > medians["gaussian"] > 1e-4


def test_the_bounds():
    run = one(train="V", method="fixed", H=2, tau=500)
    rows = judged(run).checks
    assert [row.verdict for row in rows] == [
        "condition-not-met", "holds", "holds", "condition-not-met", "condition-not-met"
    ]  # fmt: skip
    assert rows[2].slack == pytest.approx(1, abs=1e-6)  # the law is exact
    assert rows[1].slack > 1.1
    assert statement.ONE_ALPHA in rows[0].reason
    dense = judged(one(train="V", method="fixed", H=2, tau=500, values="dense")).checks
    assert [row.verdict for row in dense[:3]] == ["holds"] * 3
    far = judged(one(train="V", method="fixed", eta=0.2, tau=50))
    assert far.conditions[statement.SMALL_STEP] is False
    assert far.checks[2].verdict == "holds"  # whatever the step
    for fields in ({}, {"train": "Q", "kernel": "gaussian"}):
        verdicts = {row.verdict for row in judged(one(method="fixed", tau=5, **fields)).checks}
        assert verdicts == {"condition-not-met"}


def test_a_wrong_alpha_is_violated(monkeypatch):
    run = one(train="V", method="fixed", tau=2000, D=32)
    assert judged(run).checks[0].verdict == "holds"
    monkeypatch.setattr(Spectrum, "alpha", property(lambda self: float(self.of_G[0][-1]) / 50))
    assert judged(run).checks[0].verdict == "bound-violated"
    assert [link.verdict for link in audit(run) if link.key == "gram_paper"] == ["violated"]


def test_theorem_3_binds_where_its_condition_holds(monkeypatch):
    """With the condition taken as met the bound is judged, at the γ/2 of the proof."""
    run = one(method="fixed", tau=5, eta=0.01, **KAPPA_OF)
    monkeypatch.setattr("ntkbound.theorems.attention_kernels.conditions.RIGHT_3", 1e9)
    assert met(run)[statement.THEOREM_3] is True
    row = judged(run).checks[4]
    assert row.verdict in ("holds", "vacuous") and row.bound <= 1 + 1e-8


def test_the_audit_of_each_theorem():
    values = audit(one(train="V", method="fixed", H=2, tau=500))
    assert [link.key for link in values] == ["descent", "pl_gram", "gram_paper", "gram_corrected"]
    assert [link.verdict for link in values] == ["holds", "holds", "condition-not-met", "holds"]
    assert values[0].worst <= 1 and 0.9 < values[1].worst <= 1
    everything = audit(one(method="fixed", tau=200, eta=0.01))
    assert [link.key for link in everything] == [
        "descent", "pl_gram", "gram_along", "sigma_along", "weights_Q", "weights_K", "weights_V"
    ]  # fmt: skip
    assert everything[1].holds and not any(link.proved for link in everything[2:])
    queries = audit(one(method="fixed", tau=200, eta=0.01, **KAPPA_OF))
    assert [link.key for link in queries] == ["descent", "jacobian", "residual", "weights_Q"]
    assert all(link.holds for link in queries)


def test_the_identity_of_descent():
    """f_{t+1} = f_t (1 − 2 D_t η m_t), and D_t is 1/2 for small steps."""
    run = one(method="fixed", tau=300, eta=1e-5)
    link = next(link for link in audit(run) if link.key == "descent")
    assert link.right == pytest.approx(1, abs=0.01)  # first order: f falls by η‖∇f‖²
    t = np.arange(run.steps)
    m = run.squared_gradient[t] / (2 * run.losses[t])
    D = (run.losses[t] - run.losses[t + 1]) / (1e-5 * run.squared_gradient[t])
    np.testing.assert_allclose(run.losses[t] * (1 - 2 * D * 1e-5 * m), run.losses[t + 1])
