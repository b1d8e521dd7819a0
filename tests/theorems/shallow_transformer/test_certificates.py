"""Certificates: valid under attack, tighter than the closed forms, and seen to fail when wrong."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkbound.core.outcome import Certificate
from ntkbound.heads.activations import ACTIVATIONS
from ntkbound.theorems.shallow_transformer import certificates
from ntkbound.theorems.shallow_transformer.bounds import OUTSIDE
from ntkbound.theorems.shallow_transformer.certificates import a_priori, exchangeable, geometry
from ntkbound.theorems.shallow_transformer.certificates.suprema import _Pair
from ntkbound.theorems.shallow_transformer.problem import Norms, Problem
from tests.support.certificate_checks import check_below_closed_form, check_suprema
from tests.support.checks import ONE
from tests.support.problems import BOUNDED, BoundCase
from tests.theorems.shallow_transformer.test_bounds import CASES

SCALES = st.sampled_from([0.0, 1.0, 1.0, 30.0])


@settings(max_examples=25)
@given(CASES, SCALES)
def test_no_certificate_is_exceeded(case, scale):
    check_suprema(case, scale=scale)
    check_below_closed_form(case)


@pytest.mark.attack
@settings(max_examples=1500)
@given(CASES, SCALES)
def test_no_certificate_is_exceeded_attack(case, scale):
    check_suprema(case, restarts=4, steps=30, scale=scale)
    check_below_closed_form(case)


@pytest.mark.parametrize("name", BOUNDED)
def test_second_and_third_derivatives_of_the_activation(name):
    activation = ACTIVATIONS[name]
    z = torch.linspace(-8, 8, 160_001, dtype=torch.float64)
    value = activation.value(z)
    slope, curvature = activation.slope(z, value), activation.curvature(z, value)
    step = float(z[1] - z[0])
    between = (curvature[1:] + curvature[:-1]) / 2
    assert float((slope.diff() / step - between).abs().max()) <= 1e-8
    assert float((curvature.diff() / step).abs().max()) == pytest.approx(activation.third, rel=1e-6)


def nearly_tight() -> dict[str, float]:
    """Small radii, so that remainders vanish and only the leading terms are left."""
    case = BoundCase(
        "tanh", "last", 3, 4, 2, 64, (0.2, 0.2, 0.2), (0.2, 0.2, 0.2), 1.0, "sphere", 3
    )
    return check_suprema(case, restarts=6, steps=40)


def test_certificates_are_within_twice_the_searched_worst_case():
    ratios = nearly_tight()
    assert ratios["linearization"] >= 0.5
    assert ratios["change_of_feature"] >= 0.5


MUTANTS = {
    "a(w) − a dropped": (geometry.Reach, "attention_change"),
    "bound on ξ dropped": (geometry.Reach, "remainder_of_pair"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_dropped_term_is_caught(name, monkeypatch):
    """Only U and W move together: then the mixed second derivative is all there is."""
    case = BoundCase("tanh", "last", 3, 2, 1, 64, (0, 1.0, 1.0), (0, 0, 0), 1.0, "antipodal", 5)
    check_suprema(case, restarts=4, steps=30)
    owner, attribute = MUTANTS[name]
    monkeypatch.setattr(owner, attribute, property(lambda self: 0.0 * self.variance))
    with pytest.raises(AssertionError, match="exceeds its certificate"):
        check_suprema(case, restarts=4, steps=30)


def test_a_dropped_transport_is_caught(monkeypatch):
    monkeypatch.setattr(_Pair, "toward", lambda self, v, inputs: torch.zeros_like(self.Z))
    with pytest.raises(AssertionError, match="change_of_feature exceeds"):
        nearly_tight()


def coverage(runs: int, pairs: int, seed: int) -> float:
    """Share of draws whose student mean leaves the bound; skewed, heavy-tailed values, n = 1.

    Vectorised: every row of the pool is an independent experiment with its own union over one.
    """
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(rng.standard_normal((runs, pairs + 300)) ** 3 + rng.random((runs, 1)))
    student, fresh = values[:, :pairs], values[:, pairs:]
    bound = (1 + pairs / 300) * exchangeable.deviation(student, fresh, math.log(2 / 0.05))
    return float(((student.mean(1) - fresh.mean(1)).abs() > bound).double().mean())


def test_the_exchangeable_bound_covers():
    assert coverage(2000, 8, 0) <= 0.05


@pytest.mark.attack
@pytest.mark.parametrize("pairs", [1, 2, 8, 32, 128])
def test_the_exchangeable_bound_covers_attack(pairs):
    assert coverage(20_000, pairs, pairs) <= 0.05


def test_the_exchangeable_bound_fails_without_its_confidence_term():
    rng = np.random.default_rng(1)
    values = torch.from_numpy(rng.standard_normal((2000, 264)))
    bound = exchangeable.deviation(values[:, :64], values[:, 64:], math.log(2 / 0.99))
    over = (values[:, :64].mean(1) - values[:, 64:].mean(1)).abs() > bound
    assert float(over.double().mean()) > 0.05


PROBLEM = Problem(
    n=50, m=64, d=4, T=6, activation="tanh", rho=Norms(1, 1, 1), nu=Norms(1, 1, 1), eta=1e-3,
    tau=10**6, delta=0.05,
)  # fmt: skip


def test_the_mean_over_chi_norms_is_bounded_with_its_probability():
    """mean u² over the pairs against the certified bound, over 4,000 draws of the pairs."""
    bound = a_priori._mean_of(replace(PROBLEM, m=32), lambda u: u**2)
    draws = np.random.default_rng(0).chisquare(4, (4000, 16)).mean(1)
    failures = (draws > bound).mean()
    assert 0 < failures <= 0.05
    assert bound <= 2 * np.quantile(draws, 0.95)


@pytest.mark.parametrize("name", BOUNDED)
def test_a_priori_bounds_are_above_what_is_realised(name):
    """A priori does not know φ_0, inputs or transport: it must be above a posteriori."""
    for seed in range(5):
        case = BoundCase(name, "last", 4, 6, 3, 64, (1, 1, 1), (1, 1, 1), 1.0, "ball", seed)
        p = replace(PROBLEM, activation=name, d=3, n=4)
        ratios = check_suprema(case)
        assert set(ratios) == {"linearization", "change_of_feature", "combined", "feature_norm"}
        radii = case.radii(case.rho)
        found = certificates.suprema(case.model, case.initial, radii, case.inputs, ONE)
        assert float(found.linearization.max()) <= certificates.linearization(p)
        norm = float(found.squared_feature_norm.max())
        assert norm <= certificates.squared_feature_norm(p)


def test_the_a_priori_third_cumulant_is_attained_and_never_exceeded():
    rng = np.random.default_rng(0)
    x, p = rng.uniform(-1, 1, (200_000, 3)), rng.dirichlet([0.5] * 3, 200_000)
    x[:100_000, :2] = [-1, 1]
    mean = (p * x).sum(1)
    third = np.abs((p * (x - mean[:, None]) ** 3).sum(1))
    share = third / a_priori._third_cumulant(np.abs(mean))
    assert share.max() <= 1 + 1e-12
    assert share.max() >= 0.95


def test_rates_a_priori():
    four = replace(PROBLEM, m=4 * 4096)
    base = replace(PROBLEM, m=4096)
    for term in (certificates.linearization, certificates.change_of_feature,
                 certificates.approximation):  # fmt: skip
        assert term(base) / term(four) == pytest.approx(2, rel=0.15)
    assert certificates.training_rmse(base).value > 0
    outside = replace(base, nu=Norms(2, 1, 1))
    assert certificates.training_rmse(outside) == OUTSIDE


def test_an_estimate_is_never_a_bound():
    rows = [
        Certificate("approximation", level, value, "test")
        for level, value in (("closed-form", 3.0), ("estimate", 0.1), ("a-priori", 0.5))
    ]
    assert certificates.tightest(rows, "approximation") == 3.0
    rows.append(dataclasses.replace(rows[0], level="a-posteriori", value=0.7))
    assert certificates.tightest(rows, "approximation") == 0.7
    assert certificates.tightest(rows, "linearization") is None


def test_a_record_holds_its_certificates(finished):
    found = finished.certificates
    assert {row.term for row in found} >= {"linearization", "approximation"}
    for row in found:
        if row.level == "a-posteriori":
            assert finished.bounds.get(row.term, row.value) == row.value


def test_a_priori_bounds_scale_with_the_tokens_as_the_norms_of_the_heads_do():
    """U·a and U scale by B_x, X W q by B_x B_q: the smallest power in ρ_w² is U (B_x B_q ρ_w)²."""
    only_w = replace(PROBLEM, rho=Norms(0, 0, 1e-3), nu=Norms(0, 0, 1e-3))
    doubled = replace(only_w, B_x=2.0)
    growth = certificates.a_priori.linearization(doubled) / certificates.a_priori.linearization(
        only_w
    )
    assert growth >= 2**3 * (1 - 1e-6)
    toward = [certificates.a_priori.approximation(p) for p in (only_w, doubled)]
    assert toward[1] >= 2**2 * (1 - 1e-6) * toward[0]
