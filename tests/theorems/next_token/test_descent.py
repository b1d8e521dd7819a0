"""Gradients against autograd and differences, and digits that plain arithmetic would lose."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch

from ntkbound.theorems.next_token import first_kernel, kernel, tasks
from ntkbound.theorems.next_token.config import Config
from ntkbound.theorems.next_token.second import classes_of, fixed, layout, work
from ntkbound.theorems.next_token.sentences import of_pairs
from tests.theorems.next_token.support import plain_loss, trained

NO_CLASSES = (np.empty(0), np.empty((0, 0)))
SINGLES = [((x,), (x + 1) % 4) for x in range(4)]
LONGER = [((0, 1, 0), 1), ((2, 0, 2, 0, 0), 1), ((0, 3, 3), 1), ((1, 1), 2)]
REPEATED = of_pairs(4, [*SINGLES, *LONGER])
DATA = {
    "rollout": tasks.rollout(Config(V=12, seed=3)),
    "free": tasks.free(Config(task="free", V=9, seed=1)),
    "repeated tokens": REPEATED,
}


def swept(data, W_ov, W_kq, by_classes=True):
    """Loss, excess, the gradient (V, V) of the kernel, and the floor. by_classes: where W_ov has
    the form for it."""
    packed = layout(data)
    first, floors = fixed(W_ov, data)
    theta, room = packed.of_matrix(W_kq), work(packed, data.V)
    gradient = np.empty_like(theta)
    weights = data.share[packed.kept]
    classes = classes_of(W_ov, data, packed) if by_classes else NO_CLASSES
    kernel.sweep(packed.packed, first, classes, weights, theta, gradient, room)
    told = room[0]
    alone = np.setdiff1d(np.arange(len(floors)), packed.kept)
    loss = weights @ told[0] + data.share[alone] @ floors[alone]
    return loss, weights @ told[1], packed.matrix(gradient, data.V), data.share @ floors


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_the_gradient_of_stage_2_is_that_of_autograd(name, scale):
    data, rng = DATA[name], np.random.default_rng(0)
    W_ov, W_kq = (scale * rng.standard_normal((data.V, data.V)) for _ in range(2))
    loss, excess, gradient, floor = swept(data, W_ov, W_kq)
    assert loss == pytest.approx(plain_loss(data, W_ov, W_kq), rel=1e-12)
    assert excess == pytest.approx(loss - floor, rel=1e-10)
    W, total = torch.from_numpy(W_kq).requires_grad_(), 0.0
    for share, sentence, target in zip(data.share, data.inputs, data.targets, strict=True):
        attention = torch.softmax(W[list(sentence), sentence[-1]], 0)
        z = torch.from_numpy(W_ov)[:, list(sentence)] @ attention
        total = total + float(share) * (torch.logsumexp(z, 0) - z[target])
    total.backward()
    np.testing.assert_allclose(gradient, W.grad.numpy(), atol=1e-13 * scale)


def test_the_gradient_of_stage_2_is_that_of_differences():
    data, rng = DATA["rollout"], np.random.default_rng(1)
    W_ov, W_kq, step = rng.standard_normal((12, 12)), rng.standard_normal((12, 12)), 1e-5
    _, _, gradient, _ = swept(data, W_ov, W_kq)
    for token, query in layout(data).cells[::7]:
        moved = np.zeros((12, 12))
        moved[token, query] = step
        slope = plain_loss(data, W_ov, W_kq + moved) - plain_loss(data, W_ov, W_kq - moved)
        assert gradient[token, query] == pytest.approx(slope / (2 * step), abs=1e-9)


@pytest.mark.parametrize("scale", [0.5, 5.0])
def test_the_gradient_of_stage_1_is_that_of_autograd(scale):
    rng = np.random.default_rng(2)
    W, weights = scale * rng.standard_normal((7, 7)), rng.random(7)
    after = np.array([3, -1, 5, 0, 1, 6, 2])
    gradient = np.empty((7, 7))
    loss, missed = first_kernel.sweep(np.ascontiguousarray(W.T), after, weights, gradient)
    known = np.flatnonzero(after >= 0)
    tensor = torch.from_numpy(W).requires_grad_()
    each = torch.nn.functional.cross_entropy(
        tensor[:, known].T, torch.from_numpy(after[known]), reduction="none"
    )
    total = torch.from_numpy(weights[known]) @ each
    total.backward()
    assert loss == pytest.approx(total.item(), rel=1e-13)
    np.testing.assert_allclose(gradient.T, tensor.grad.numpy(), atol=1e-14)
    right = np.exp(-each.detach().numpy())
    assert missed == pytest.approx(weights[known] @ (1 - right), rel=1e-12)


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_nothing_cancels_at_a_margin_of_60(noise):
    """Loss, excess and gradient to 12 digits where 1 − probability is 0 in float64."""
    data, mp = DATA["rollout"], mpmath.mp.clone()
    mp.dps = 60
    rng = np.random.default_rng(3)
    W_ov = np.zeros((12, 12))
    W_ov[data.next, np.arange(12)] = 60.0
    W_ov += noise * rng.standard_normal((12, 12))
    assert len(classes_of(W_ov, data, layout(data))[0]) == (12 if noise == 0 else 0)
    W_kq = np.zeros((12, 12))
    for query, order in data.order.items():
        W_kq[list(order.wins), query], W_kq[list(order.loses), query] = 15.0, -15.0
    _, excess, gradient, _ = swept(data, W_ov, W_kq)
    expected, slope = mp.mpf(0), {}
    for share, sentence, target, best in zip(
        data.share, data.inputs, data.targets, data.optimal, strict=True
    ):
        scores = [mp.exp(mp.mpf(W_kq[token, sentence[-1]])) for token in sentence]
        phi = [score / mp.fsum(scores) for score in scores]
        z = [mp.fsum(p * mp.mpf(W_ov[v, t]) for p, t in zip(phi, sentence, strict=True))
             for v in range(12)]  # fmt: skip
        p = [mp.exp(one - z[target]) for one in z]
        p = [one / mp.fsum(p) for one in p]
        perfect = mp.fsum(mp.exp(mp.mpf(W_ov[v, best]) - mp.mpf(W_ov[target, best]))
                          for v in range(12))  # fmt: skip
        expected += mp.mpf(float(share)) * (-mp.log(p[target]) - mp.log(perfect))
        p[target] -= 1
        g = [mp.fsum(p[v] * mp.mpf(W_ov[v, token]) for v in range(12)) for token in sentence]
        mean = mp.fsum(a * b for a, b in zip(phi, g, strict=True))
        for token, a, b in zip(sentence, phi, g, strict=True):
            key = (token, sentence[-1])
            slope[key] = slope.get(key, 0) + mp.mpf(float(share)) * a * (b - mean)
    assert 0 < excess < 1e-30
    assert excess == pytest.approx(float(expected), rel=1e-10, abs=0)
    for (token, query), value in slope.items():
        assert gradient[token, query] == pytest.approx(float(value), rel=1e-9, abs=1e-60)


START = {
    "uniform": {},
    "zipf": {"ov_weights": "zipf"},
    "a text": {"task": "text"},
    "free": {"task": "free", "keep": 0.5},
    "V = 2": {"task": "cyclic", "V": 2, "T0": 30},
}


@pytest.mark.parametrize("name", START)
def test_classes_of_tokens_are_what_all_tokens_come_to(name, tmp_path):
    """From zero W_ov has two values a column; summed by classes everything is as token by token."""
    fields = dict(START[name])
    if fields.get("task") == "text":  # "d" has no next word
        (tmp_path / "text.txt").write_text("a b\nb c\nc d\na b c\nb c d\na b c d d\n")
        fields["task"] = str(tmp_path / "text.txt")
    run = trained(**fields, tau=20)
    data, W_ov, rng = run.sentences, run.first.W, np.random.default_rng(4)
    assert len(classes_of(W_ov, data, layout(data))[0]) == data.V
    for size in (0.0, 1.0, 8.0):
        W_kq = size * rng.standard_normal((data.V, data.V))
        short, whole = swept(data, W_ov, W_kq), swept(data, W_ov, W_kq, by_classes=False)
        assert short[0] == pytest.approx(whole[0], rel=1e-13)
        assert short[1] == pytest.approx(whole[1], rel=1e-12, abs=0)
        np.testing.assert_allclose(short[2], whole[2], rtol=1e-10, atol=1e-14)


def test_another_start_has_no_classes():
    run = trained(ov_init=0.1, V=12, tau=1)
    assert len(classes_of(run.first.W, run.sentences, layout(run.sentences))[0]) == 0


def test_logits_that_would_overflow():
    data = DATA["rollout"]
    W_ov = np.zeros((12, 12))
    W_ov[data.next, np.arange(12)] = 3000.0
    loss, excess, gradient, _ = swept(data, W_ov, np.zeros((12, 12)))
    assert loss == pytest.approx(plain_loss(data, W_ov, np.zeros((12, 12))), rel=1e-12)
    assert excess == pytest.approx(loss, rel=1e-12)
    assert np.isfinite(gradient).all() and gradient.any()


def test_tokens_far_above_the_next_one_do_not_overflow():
    """W_ov that prefers other tokens by 430, and attention that adds to it."""
    run = trained(task="rollout", V=2, ov_init=1000.0, tau=5)
    W_kq = np.zeros((2, 2))
    expected = plain_loss(run.sentences, run.first.W, W_kq)
    assert run.second.of(kernel.LOSS)[0] == pytest.approx(expected, rel=1e-12)
    assert np.isfinite(run.second.series).all()


def test_a_vanished_gradient_stops_both_stages():
    run = trained(task="cyclic", V=2, T0=20_000, eta0=0.5, max_len=4, tau=3000, eta=1.0)
    assert run.first.steps < 20_000
    assert run.first.of(first_kernel.GRADIENT)[-1] < 1e-290
    assert run.first.of(first_kernel.GRADIENT)[-2] >= 1e-290
    assert np.isfinite(run.first.series[1:]).all()
    assert run.second.steps < 3000 and np.isfinite(run.second.series).all()


@pytest.mark.parametrize("method", ["ngd", "gd", "sgd", "adam"])
def test_every_method_descends(method):
    eta = {"ngd": 0.05, "gd": 1.0, "sgd": 1.0, "adam": 0.01}[method]
    run = trained(task="rollout", V=12, method=method, eta=eta, tau=400)
    loss, gap = run.second.of(kernel.LOSS), run.second.of(kernel.GAP)
    assert loss[-1] < 0.5 * loss[0]
    # Adam lowers the loss along another direction than that of largest Euclidean margin.
    assert (gap[-1] < gap[1]) == (method != "adam")


def test_methods_step_as_they_say():
    """Two steps of each by hand from the kernel's own gradient."""
    for method in ("ngd", "gd", "adam"):
        run = trained(task="rollout", V=12, method=method, eta=0.1, tau=2)
        data, W_ov, W = run.sentences, run.first.W, np.zeros((12, 12))
        first = second = 0.0
        for step in (1, 2):
            _, _, G, _ = swept(data, W_ov, W)
            if method == "adam":
                first, second = 0.9 * first + 0.1 * G, 0.999 * second + 0.001 * G**2
                top = first / (1 - 0.9**step)
                G = top / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
            W = W - 0.1 * (G / np.linalg.norm(G) if method == "ngd" else G)
        np.testing.assert_allclose(run.W_kq, W, rtol=1e-12, atol=1e-15)


def test_chunks_leave_no_seam(monkeypatch):
    whole = trained(task="rollout", V=12, tau=700, method="sgd", eta=0.5)
    monkeypatch.setattr("ntkbound.theorems.next_token.first.CHUNK", 7)
    again = trained(task="rollout", V=12, tau=700, method="sgd", eta=0.5)
    assert (again.second.series == whole.second.series).all()
    assert (again.first.W == whole.first.W).all()
    assert math.isfinite(whole.second.series.sum())


@pytest.mark.parametrize("start", [0.0, 0.3])
@pytest.mark.parametrize("method", ["ngd", "gd", "sgd"])
def test_embeddings_change_nothing_but_rounding(method, start):
    fields = {"task": "rollout", "V": 9, "T0": 300, "tau": 300, "method": method, "eta": 0.2,
              "ov_weights": "zipf", "ov_init": start}  # fmt: skip
    plain, rotated = trained(**fields), trained(**fields, embedding="random")
    np.testing.assert_allclose(rotated.first.W, plain.first.W, atol=1e-11)
    np.testing.assert_allclose(rotated.W_kq, plain.W_kq, atol=1e-10)
    np.testing.assert_allclose(rotated.first.series, plain.first.series, rtol=1e-9)
    np.testing.assert_allclose(rotated.second.series, plain.second.series, rtol=1e-8, atol=1e-12)


def test_random_embeddings_are_another_basis():
    fields = {"task": "rollout", "V": 9, "tau": 50, "method": "adam", "eta": 0.05}
    plain, rotated = trained(**fields), trained(**fields, embedding="random")
    assert np.abs(rotated.W_kq - plain.W_kq).max() > 1e-3  # Adam is not invariant
