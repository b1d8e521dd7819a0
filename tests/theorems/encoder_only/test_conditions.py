"""Conditions of Proposition 1 and the assumptions: formulas written out, scale, and each met."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ntkbound.theorems.encoder_only import statement
from ntkbound.theorems.encoder_only.conditions import (
    INIT,
    ONE,
    UNIT,
    Constants,
    Facts,
    Norms,
    conditions,
)
from ntkbound.theorems.encoder_only.tangent import kernel
from ntkbound.theorems.encoder_only.watch import spectral_norms
from tests.theorems.encoder_only.support import WORKERS, drawn, jacobians, leaves, outputs

FULL = {"row_rank": 3, "min": 1.0}


def facts_of(problem, weights, gamma=1e-3):
    residual = outputs(problem, *leaves(weights)).detach() - problem.y
    norms = Norms(*map(float, spectral_norms(weights, WORKERS)))
    loss = problem.weight / 2 * float(residual.square().sum())
    return Facts(problem, kernel(problem, weights, WORKERS), norms, loss, gamma)


def written_out(problem, weights, C, gamma):
    """The three ratios as the docstring has them, in plain arithmetic; C: O, V, Q, K."""
    svd = torch.linalg.matrix_norm
    lam = [float(weights.O.norm()), *(float(svd(w, 2)) for w in (
        weights.V, weights.Q, weights.K))]  # fmt: skip
    C = lam if C is None else C
    O, V, Q, K = (one + c for one, c in zip(lam, C, strict=True))  # noqa: E741
    N, ds = problem.N, problem.ds
    C_x = max(float(x.norm()) for x in problem.X) / math.sqrt(ds)
    rho = math.sqrt(N) * ds**1.5 * problem.factor * C_x
    a = 2 * problem.tau0 * C_x**2 * ds
    F = jacobians(problem, weights)["O"]
    alpha = float(torch.linalg.svdvals(F)[-1])
    r = float((outputs(problem, *leaves(weights)).detach() - problem.y).norm())
    second = 8 * rho * max(V / C[0], O / C[1], a * K * V * O / C[2], a * Q * V * O / C[3]) * r
    z = O**2 * (1 + a**2 * V**2 * (Q**2 + K**2))
    third = 32 * rho**2 * z * r / O
    c1 = rho * (V + O * (1 + a * V * (Q + K)))
    c2 = rho * math.sqrt(O**2 + V**2 + (a * K * V * O) ** 2 + (a * Q * V * O) ** 2)
    return alpha**2 / second, alpha**3 / third, gamma * problem.weight * c1 * c2


@pytest.mark.parametrize("pooling", ["mean", "sum"])
@pytest.mark.parametrize("weight", [1.0, 0.2])
def test_formulas(pooling, weight):
    for seed in range(3):
        problem, weights = drawn(seed, dm=12, pooling=pooling, weight=weight)
        choices = facts_of(problem, weights).choices()
        for probe, radii in ((ONE, [1.0] * 4), (INIT, None)):
            found = choices[probe].numbers
            expected = written_out(problem, weights, radii, 1e-3)
            names = ("ratio2", "ratio3", "step_over_limit")
            assert [found[name] for name in names] == pytest.approx(expected, rel=1e-9)


def test_sides_by_block():
    """O has λ_V, V has λ_O, Q has λ_K and K has λ_Q; the largest slot need not be one of Q or K."""
    sides = Constants(math.log(11.0), math.log(13.0)).sides(Norms(O=2.0, V=3.0, Q=5.0, K=7.0))
    expected = {"O": 33, "V": 22, "Q": 11 * 13 * 7 * 6, "K": 11 * 13 * 5 * 6}
    assert {block: math.exp(one) for block, one in sides.items()} == pytest.approx(expected)
    problem, weights = drawn(1, dm=12, tau0=1e-9)
    weights = replace(weights, O=3 * weights.O)
    found = facts_of(problem, weights).choices()[INIT].ratio2
    assert found == pytest.approx(written_out(problem, weights, None, 1e-3)[0], rel=1e-9)


@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_each_side_bounds_the_jacobian(pooling):
    """Lemma 12 and c2: ρλ_V … lie above the norms of ∂f by block, for any weights and pooling."""
    for seed in range(20):
        problem, weights = drawn(seed, N=4, ds=2 + seed % 3, tau0=0.1 + seed / 5, pooling=pooling,
                                 init=("lecun", "he", "ntk")[seed % 3])  # fmt: skip
        norms = Norms(*map(float, spectral_norms(weights, WORKERS)))
        sides = Constants.of(problem).sides(norms)
        for block, J in jacobians(problem, weights).items():
            assert float(torch.linalg.matrix_norm(J)) <= math.exp(sides[block]) * (1 + 1e-12)


def test_a_common_scale_of_loss_and_step_changes_nothing():
    """Descent in w·ℓ with the step γ is descent in ℓ with the step γw."""
    problem, weights = drawn(1, dm=12)
    once = facts_of(problem, weights, 0.3).choices()
    again = facts_of(replace(problem, weight=0.1), weights, 3.0).choices()
    for probe, choice in once.items():
        assert list(again[probe].numbers.values()) == pytest.approx(
            list(choice.numbers.values()), rel=1e-12
        )


def test_numbers_of_any_size_stay_finite():
    problem, weights = drawn(2, dm=12)
    for scale in (1e-70, 1e70):
        found = facts_of(replace(problem, X=scale * problem.X), weights).choices()
        assert all(np.isfinite(value) for one in found.values() for value in one.numbers.values())


def test_what_there_is_not():
    problem, weights = drawn(3, dm=12)
    adaptive = facts_of(problem, weights, None).choice(UNIT)
    assert "step_over_limit" not in adaptive.numbers and not adaptive.sufficient
    exact = replace(facts_of(problem, weights), loss=0.0).choice(UNIT)
    assert set(exact.numbers) == {"step_over_limit"} and exact.wide
    narrow = facts_of(*drawn(3, dm=4)).choice(UNIT)  # dm < N: α = 0
    assert narrow.ratio2 == narrow.ratio3 == 0.0
    silent = replace(weights, O=torch.zeros_like(weights.O))  # C_O = 0 asks for too much
    assert facts_of(problem, silent).choices()[INIT].ratio2 == 0.0


def nearly_met(weight=1.0):
    """Targets so near to the outputs that (2) and (3) hold."""
    problem, weights = drawn(4, N=3, dm=40)
    f = outputs(problem, *leaves(weights)).detach()
    return replace(problem, y=f + 1e-10 * problem.y, weight=weight), weights


def test_conditions_flip_one_by_one():
    problem, weights = nearly_met()
    step = 0.5 / facts_of(problem, weights, 1.0).choice(UNIT).step_over_limit
    facts = facts_of(problem, weights, step)
    met = conditions(facts, FULL, 0.9)
    expected = dict.fromkeys(met, True) | {statement.ASSUMPTION_3: False}
    assert met == expected

    def changed(facts=facts, data=FULL, least=0.9):
        now = conditions(facts, data, least)
        return {name for name in now if now[name] != met[name]}

    assert changed(least=0.4) == changed(least=None) == {statement.PROP_1}
    # C = norms at init allows a shorter step than C = 1 here, so the longer one fails both.
    assert changed(replace(facts, gamma=1e3 * step)) == {statement.PROP_1}
    assert changed(data={"row_rank": 2, "min": 1.0}) == {statement.ASSUMPTION_2}
    assert changed(data={"row_rank": 3, "min": 0.0}) == {statement.ASSUMPTION_3}
    assert conditions(facts, {"row_rank": 3}, 0.9)[statement.ASSUMPTION_3] is None
    far = replace(facts, loss=1e18 * facts.loss)
    every = {statement.TWO_ONE, statement.TWO_INIT, statement.THREE_ONE, statement.THREE_INIT}
    assert changed(far) == {*every, statement.PROP_1}
    many, others = drawn(5, N=9, dm=8, d=4)
    found = conditions(replace(facts_of(many, others, 1e-30), loss=0.0), FULL, 0.9)  # α = 0
    assert not (found[statement.WIDE] or found[statement.FEW] or found[statement.PROP_1])


def test_numbers_of_the_specification():
    """§5: N = 8, ds = 10, d = 100, unit, sum pooling, C = 1, dm = 4096, LeCun: (2) 8.7e-4 and (3)
    5.6e-7 at τ0 half, 4.5e-3 and 4.3e-4 at one; other seeds are within a factor of two."""
    for tau0, expected in ((4096**-0.5, (8.7e-4, 5.6e-7)), (1 / 4096, (4.5e-3, 4.3e-4))):
        problem, weights = drawn(0, N=8, ds=10, d=100, dm=4096, tau0=tau0, pooling="sum")
        problem.X.div_(problem.X.norm(dim=2, keepdim=True))
        found = facts_of(problem, weights).choice(UNIT)
        for value, told in zip((found.ratio2, found.ratio3), expected, strict=True):
            assert 0.5 < value / told < 2
