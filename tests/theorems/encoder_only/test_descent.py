"""Step rules, what is recorded of a descent, and the numbers made of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ntkbound.core.errors import InputError
from ntkbound.machine.tools import Tools
from ntkbound.theorems.encoder_only import measure, tangent
from ntkbound.theorems.encoder_only.config import Config
from ntkbound.theorems.encoder_only.descent import GROW, SHRINK
from ntkbound.theorems.encoder_only.measure import STOP, linearized_ratio, rate, terms
from ntkbound.theorems.encoder_only.run import outcome_of, train
from ntkbound.theorems.encoder_only.start import Source, start
from ntkbound.theorems.encoder_only.watch import spectral_norms
from tests.theorems.encoder_only.support import WORKERS, descended, loss

SMALL = {"dm": 24, "N": 6, "ds": 3, "d": 5, "tau": 40, "records": 9}


def trained(*groups, **fields):
    """Runs of one descent: one for every group of fields."""
    starts = [start(Config(**{**SMALL, **fields, **one}), Source(), WORKERS)
              for one in groups or [{}]]  # fmt: skip
    found = train(starts, Tools(WORKERS))
    return found if groups else found[0]


@pytest.mark.parametrize("fields", [
    {}, {"loss": "sum"}, {"pooling": "sum"}, {"init": "ntk", "scaling": "one"},
    {"tokens": "raw", "step": "fixed", "gamma": 0.01}, {"tokens": "centred", "init": "he"},
], ids=str)  # fmt: skip
def test_a_run_is_plain_descent(fields):
    run = trained(**fields)
    begin, series = run.start, run.series
    expected = descended(begin.problem, begin.initial, 40, begin.gamma)
    blocks = [getattr(expected, block) for block in "QKVO"]
    assert series.loss[-1] == pytest.approx(loss(begin.problem, *blocks).item(), rel=1e-8)
    for block in "QKVO":
        torch.testing.assert_close(
            getattr(series.weights, block), getattr(expected, block), rtol=1e-8, atol=1e-10
        )
    assert np.all(series.gamma == begin.gamma)


def test_the_kernel_step_is_a_share_of_the_largest_eigenvalue():
    for fields in ({}, {"loss": "sum"}, {"gamma": 0.3}):
        run = trained(**fields).start
        largest = tangent.kernel(run.problem, run.initial, WORKERS).largest
        assert run.gamma * run.problem.weight * largest == pytest.approx(fields.get("gamma", 1))


def test_the_step_may_follow_the_kernel_of_the_other_scaling():
    half, one, shared = (
        trained(scaling=scaling, gamma_of=of, tokens="centred").start
        for scaling, of in (("half", "own"), ("one", "one"), ("one", "half"))
    )
    assert shared.gamma == half.gamma
    assert one.gamma > 1.05 * half.gamma
    assert torch.equal(shared.kernel.whole, one.kernel.whole)


def test_an_adaptive_step_never_lets_the_loss_rise():
    run = trained(step="adaptive", gamma=40.0, tau=60)
    series = run.series
    kept = series.gamma > 0
    assert not kept.all()
    assert kept.any()
    assert np.all(np.diff(series.loss) <= 0)
    assert np.all(np.diff(series.loss)[~kept] == 0)
    size = run.start.gamma
    for taken in series.gamma:
        assert taken in (0, size)
        size *= GROW if taken else SHRINK
    assert run.ratios.min() > 0
    blocks = [getattr(series.weights, block) for block in "QKVO"]
    assert loss(run.start.problem, *blocks).item() == pytest.approx(series.loss[-1], rel=1e-10)


def test_adaptive_runs_beside_change_no_number():
    """One that refuses a step stands beside one that takes it."""
    groups = [{"seed": 0, "gamma": 60.0}, {"seed": 1, "gamma": 1.0}, {"seed": 2, "gamma": 30.0}]
    together = trained(*groups, step="adaptive")
    assert len({tuple(run.series.gamma > 0) for run in together}) > 1
    for run, one in zip(together, groups, strict=True):
        alone = trained(step="adaptive", **one)
        assert np.array_equal(alone.series.loss, run.series.loss)
        assert np.array_equal(alone.series.gamma, run.series.gamma)
        assert torch.equal(alone.series.weights.V, run.series.weights.V)


def test_a_diverged_run_says_what_is_known_and_leaves_its_neighbours_alone():
    wild, calm = trained({"seed": 0, "gamma": 1e6}, {"seed": 1, "gamma": 0.1}, step="fixed",
                         tau=200)  # fmt: skip
    outcome = outcome_of(wild)
    assert outcome.status == "diverged"
    assert wild.series.steps < 200
    assert np.isfinite(wild.series.loss).all()
    assert "drift" not in outcome.terms
    assert "loss_ratio" not in outcome.terms["optimization"]["training"]
    assert outcome.terms["kernel"]["initial"]["lambda_max"] > 0
    assert not [name for name in outcome.params if name.startswith("final")]
    assert np.array_equal(calm.series.loss, trained(seed=1, gamma=0.1, step="fixed",
                                                    tau=200).series.loss)  # fmt: skip
    assert outcome_of(calm).status == "complete"


def test_no_kernel_no_step():
    with pytest.raises(InputError, match="step: the initial kernel is zero"):
        trained(ds=1, tokens="centred")


def test_the_rate_is_that_of_the_last_three_quarters_above_rounding():
    t = np.arange(401)
    early = np.where(t < 120, np.exp(-0.5 * t), np.exp(-60 - 0.03 * (t - 120)))
    assert rate(early * 1e30)[0] == pytest.approx(-0.5)  # 1e-24 is reached within the early part
    slow = np.where(t < 100, 1.0, np.exp(-0.03 * (t - 100)))
    assert rate(slow) == (pytest.approx(-0.03), pytest.approx(1.0))
    noise = np.where(np.exp(-0.4 * t) > STOP, np.exp(-0.4 * t), 1e-33)
    assert rate(noise)[0] == pytest.approx(-0.4)
    assert rate(np.array([1.0, 1e-30]))[0] is None


def test_a_lazy_run_is_its_linearised_model():
    """Far into the kernel regime the loss is predicted by K_0; whatever the weight of the loss."""
    for weight in ("mean", "sum"):
        run = trained(init="ntk", scaling="one", dm=4000, loss=weight, gamma=0.5, tau=15)
        found = terms(run)["optimization"]["training"]
        assert found["linearized_ratio"] == pytest.approx(found["loss_ratio"], rel=0.05)
        assert found["loss_ratio"] < 0.5
        assert found["normalised_step"] == pytest.approx(0.5)


def test_numbers_of_the_training():
    run = trained(tau=300, dm=64)
    found, kernel = terms(run)["optimization"]["training"], run.start.kernel
    step = run.start.gamma * run.start.problem.weight
    series = run.series.loss
    assert found["loss_ratio"] == series[-1] / series[0]
    assert found["log_loss_ratio"] == pytest.approx(math.log10(found["loss_ratio"]))
    assert found["rate_paper"] == pytest.approx(-math.log(1 - step * kernel.alpha_squared / 2))
    assert found["rate_proof"] == pytest.approx(-math.log(1 - step * kernel.alpha_squared / 4))
    assert found["rate_over_alpha"] == pytest.approx(found["rate"] / -found["rate_paper"])
    assert found["rate_over_kernel"] == pytest.approx(found["rate"] / (-2 * step * kernel.smallest))
    reached = found["steps_to_1e-2"]
    assert series[reached] <= 1e-2 * series[0] < series[reached - 1]
    whole = kernel.whole
    left = torch.linalg.matrix_power(torch.eye(6, dtype=whole.dtype) - step * whole, 300)
    residual = torch.from_numpy(run.series.residual)
    expected = (left @ residual).square().sum() / residual.square().sum()
    assert linearized_ratio(run) == pytest.approx(expected.item(), rel=1e-6)


def test_what_needs_one_step_size_is_absent_for_an_adaptive_one():
    found = terms(trained(step="adaptive"))["optimization"]["training"]
    absent = ("linearized_ratio", "rate_over_alpha", "rate_over_kernel", "normalised_step",
              "rate_paper", "rate_proof")  # fmt: skip
    assert not set(absent) & set(found)
    assert {"loss_ratio", "rate"} <= set(found)


def test_too_few_rows_have_no_alpha():
    found = terms(trained(dm=4))["optimization"]["training"]
    assert found["rate_paper"] == 0
    assert "rate_over_alpha" not in found
    assert "sigma_over_alpha_min" not in terms(trained(dm=4))["descent"]["training"]


def test_the_loss_obeys_its_exact_identity():
    """ℓ_{t+1} = ℓ_t(1 − 2 D_t γw κ_t), κ_t = ‖∇ℓ‖²/(2wℓ)."""
    run = trained()
    t, series, w = run.taken, run.series, run.start.problem.weight
    kappa = run.squares[t] / (2 * w * series.loss[t])
    factor = 1 - 2 * run.ratios * series.gamma[t] * w * kappa
    assert series.loss[t + 1] == pytest.approx(series.loss[t] * factor, rel=1e-9)


def test_drift_is_the_distance_from_the_start():
    run = trained()
    found, begin, end = terms(run)["drift"], run.start.initial, run.series.weights
    for block in "OVQK":
        moved, first = getattr(end, block) - getattr(begin, block), getattr(begin, block)
        assert found[block]["absolute"] == pytest.approx(moved.norm().item())
        assert found[block]["relative"] == pytest.approx((moved.norm() / first.norm()).item())
        spectral = [one.norm() if one.ndim == 1 else torch.linalg.matrix_norm(one, 2)
                    for one in (moved, first)]  # fmt: skip
        assert found[block]["spectral_over_C"] == pytest.approx((spectral[0] / spectral[1]).item())
    absolute = [found[block]["absolute"] for block in "OVQK"]
    assert found["all"]["absolute"] == pytest.approx(math.hypot(*absolute))
    norms = spectral_norms(begin, WORKERS)
    assert norms[2] == pytest.approx(torch.linalg.matrix_norm(begin.Q, 2).item())


@pytest.mark.parametrize("fields", [{}, {"loss": "sum", "pooling": "sum"}, {"init": "ntk"}],
                         ids=str)  # fmt: skip
def test_lemma_12_bounds_every_gradient(fields):
    run = trained(**fields)
    ratios = measure.lemma12(run)
    assert ratios.shape == (len(run.watch.steps), 4)
    assert 0 < ratios.max() <= 1
    assert terms(run)["descent"]["training"]["lemma12_max"] == ratios.max()


def test_alignment_is_at_least_one():
    along = measure.alignment(trained(dm=64))
    assert np.all(along >= 1 - 1e-9)


def test_kernels_are_measured_where_asked_for():
    run = trained(kernel_every=10)
    assert run.watch.kernel_steps == [0, 10, 20, 30, 40]
    found = measure.kernel_terms(run)["kernel"]
    end = tangent.kernel(run.start.problem, run.series.weights, WORKERS).whole
    assert found["final"]["distance"] == pytest.approx(
        tangent.distance(end, run.start.kernel.whole), rel=1e-6
    )
    assert found["trajectory"]["distance_max"] >= found["final"]["distance"]
    ends = trained()
    assert ends.watch.kernel_steps == [0, 40]
    assert "trajectory" not in measure.kernel_terms(ends)["kernel"]
