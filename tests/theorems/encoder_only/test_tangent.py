"""The kernel: the specification's fixture, the autograd Jacobian, blocks, threads, ranks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

from ntkbound.machine.parallel import Workers
from ntkbound.machine.ranks import Ranks
from ntkbound.theorems.encoder_only import tangent
from ntkbound.theorems.encoder_only.problem import Weights
from ntkbound.theorems.encoder_only.tangent import distance, kernel, output_kernel
from tests.theorems.encoder_only.support import (
    HALF,
    ONE,
    WORKERS,
    descended,
    drawn,
    fixture,
    jacobians,
    loss,
)

# §6: traces of the blocks, λ_min, λ_max, α², loss and its value after 10 steps of γ = 0.1, and the
# kernel's distance after them.
PINNED = {
    HALF: ((5.50590329, 1.31984064, 0.03103725, 0.02790467), 0.150631250, 3.52649549, 0.03285988,
           0.5338544097, 0.1101613481, 8.817036e-3),
    ONE: ((5.23066904, 1.42827318, 0.00272819, 0.00195758), 0.121045163, 3.31570116, 0.02282305,
          0.5925316595, 0.1413727251, 1.004174e-2),
}  # fmt: skip


@pytest.mark.parametrize("tau0", PINNED)
def test_fixture(tau0):
    problem, weights = fixture(tau0)
    traces, smallest, largest, alpha_squared, first, last, moved = PINNED[tau0]
    found = kernel(problem, weights, WORKERS)
    assert [float(block.trace()) for block in found.blocks.values()] == pytest.approx(
        traces, abs=6e-9
    )
    assert found.smallest == pytest.approx(smallest, rel=5e-9)
    assert found.largest == pytest.approx(largest, rel=5e-9)
    assert found.alpha_squared == pytest.approx(alpha_squared, rel=2e-7)
    assert found.rank == 6
    later = descended(problem, weights, 10, 0.1)
    blocks = [(one.Q, one.K, one.V, one.O) for one in (weights, later)]
    assert [float(loss(problem, *one)) for one in blocks] == pytest.approx([first, last], rel=1e-9)
    whole = kernel(problem, later, WORKERS).whole
    assert distance(found.whole, whole) == pytest.approx(moved, rel=1e-6)


def test_fixture_with_sum_pooling():
    problem, weights = fixture(HALF, "sum")
    assert kernel(problem, weights, WORKERS).smallest == pytest.approx(1.35568125, rel=1e-8)
    later = descended(problem, weights, 10, 0.1)
    assert float(loss(problem, later.Q, later.K, later.V, later.O)) == pytest.approx(
        0.0496955566, rel=1e-9
    )


def against_jacobian(problem, weights, workers=WORKERS):
    """The largest error of any block, relative to the block's largest entry."""
    found, expected = kernel(problem, weights, workers).blocks, jacobians(problem, weights)
    return max(float((found[name] - J @ J.T).abs().max() / (J @ J.T).abs().max())
               for name, J in expected.items())  # fmt: skip


@pytest.mark.parametrize("init", ["lecun", "he", "ntk"])
@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_blocks_are_those_of_the_jacobian(init, pooling):
    for seed in range(3):
        problem, weights = drawn(seed, init=init, pooling=pooling, weight=0.2)
        assert against_jacobian(problem, weights) < 1e-13


@pytest.mark.parametrize("shape", [{"N": 1}, {"ds": 1}, {"d": 1}, {"dm": 1}, {"N": 1, "ds": 1}])
def test_blocks_at_the_smallest_sizes(shape):
    problem, weights = drawn(3, **shape)
    found, J = kernel(problem, weights, WORKERS).blocks, jacobians(problem, weights)
    for name, rows in J.items():
        assert torch.allclose(found[name], rows @ rows.T, rtol=1e-12, atol=1e-15)


def test_blocks_and_tiles_change_nothing_but_rounding(monkeypatch):
    problem, weights = drawn(1, N=9, dm=23)
    monkeypatch.setattr(tangent, "BLOCK", 4)
    assert against_jacobian(problem, weights) < 1e-13
    monkeypatch.setattr(tangent, "TILE", 1)
    assert against_jacobian(problem, weights) < 1e-13
    monkeypatch.setattr(tangent, "TILE", 200)
    assert against_jacobian(problem, weights) < 1e-13


def test_bits_do_not_depend_on_threads():
    problem, weights = drawn(2, N=8, ds=4, d=6, dm=1500)
    found = [kernel(problem, weights, Workers(threads)).whole for threads in (1, 2, 3)]
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


def test_numbers_read_off_are_those_of_the_features():
    problem, weights = drawn(4, N=5, dm=40)
    found, F = kernel(problem, weights, WORKERS), jacobians(problem, weights)["O"]
    assert found.alpha_squared == pytest.approx(float(torch.linalg.svdvals(F)[-1]) ** 2, rel=1e-10)
    assert torch.equal(output_kernel(problem, weights, WORKERS), found.O)
    assert found.alpha_squared <= found.smallest
    narrow, weights = drawn(4, N=5, dm=4)
    found = kernel(narrow, weights, WORKERS)
    assert found.alpha_squared == 0.0 < found.smallest


def test_what_is_rounding_is_reported_as_zero():
    """Equal samples: two eigenvalues are 0, and what eigvalsh makes of them is not shown."""
    problem, weights = drawn(5, N=4, dm=30)
    problem.X[1:3] = problem.X[0]
    found = kernel(problem, weights, WORKERS)
    assert (found.rank, found.smallest, found.alpha_squared) == (2, 0.0, 0.0)
    assert abs(float(torch.linalg.eigvalsh(found.whole)[0])) > 0


def test_distance_has_no_cancellation():
    one = torch.eye(3, dtype=torch.float64)
    other = one.clone()
    other[0, 1] = 1e-9  # 1 − 1/√(1 + 1e-18/3)
    assert distance(one, other) == pytest.approx(1e-18 / 6, rel=1e-6)
    assert distance(one, 7 * one) < 1e-30
    assert distance(one, -one) == pytest.approx(2.0)


class Two(Ranks):
    """Two ranks as two threads that wait for each other at every sum."""

    count = 2

    def __init__(self, shared, meet):
        self.shared, self.meet = shared, meet

    def sum_(self, values):
        self.shared.append(values.clone())
        self.meet.wait()
        values.copy_(self.shared[-1] + self.shared[-2])
        self.meet.wait()
        return values


def test_rows_may_be_dealt_over_ranks():
    problem, weights = drawn(6, dm=12)
    shared, meet = [], Barrier(2, timeout=60)

    def rank(rows):
        held = Weights(weights.Q[rows], weights.K[rows], weights.V[rows], weights.O[rows])
        return kernel(problem, held, Workers(1, Two(shared, meet)))

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(rank, (slice(0, None, 2), slice(1, None, 2))))
    whole = kernel(problem, weights, WORKERS)
    for one in found:
        assert one.dm == 12
        assert torch.allclose(one.whole, whole.whole, rtol=1e-13)
