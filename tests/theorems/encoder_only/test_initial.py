"""Weights and data come from streams: the same whatever the width, the samples or the ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ntkbound.core.errors import InputError
from ntkbound.machine.ranks import ALONE, Ranks
from ntkbound.theorems.encoder_only import initial
from ntkbound.theorems.encoder_only.config import Config
from ntkbound.theorems.encoder_only.tasks import gaussian


class Rank(Ranks):
    def __init__(self, index, count):
        self.index, self.count = index, count


@pytest.mark.parametrize("init", ["lecun", "he", "ntk"])
def test_variances(init):
    weights = initial.drawn(Config(init=init, dm=4000, d=50), ALONE)
    factor = {"lecun": 1, "he": 2}.get(init)
    output, matrix = (1, 1) if factor is None else (factor / 4000, factor / 50)
    assert weights.O.var().item() == pytest.approx(output, rel=0.1)
    for block in "QKV":
        assert getattr(weights, block).var().item() == pytest.approx(matrix, rel=0.02)
    assert not torch.equal(weights.Q, weights.K)
    assert initial.output_scale(init, 4000) == pytest.approx(4000**-0.5 if init == "ntk" else 1)


@pytest.mark.parametrize("dm", [1, 7, 256, 300])
def test_rows_are_the_same_whatever_the_width(dm):
    some, all_ = (initial.drawn(Config(init="ntk", dm=width, d=5), ALONE) for width in (dm, 600))
    for block in "QKVO":
        assert torch.equal(getattr(some, block), getattr(all_, block)[:dm])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_ranks_hold_the_rows_of_one_process(count):
    config = Config(dm=12, d=5)
    whole = initial.drawn(config, ALONE)
    parts = [initial.drawn(config, Rank(index, count)) for index in range(count)]
    for block in "QKVO":
        halves = [getattr(part, block).chunk(2) for part in parts]
        joined = torch.cat([half[side] for side in (0, 1) for half in halves])
        assert torch.equal(joined, getattr(whole, block))


def test_rows_that_cannot_be_dealt_are_refused():
    with pytest.raises(InputError, match="dm 7: is odd, and 2 ranks"):
        initial.held(7, Rank(0, 2))
    with pytest.raises(InputError, match="dm 6: 3 pairs cannot be dealt evenly to 2 ranks"):
        initial.held(6, Rank(0, 2))
    assert initial.held(7, ALONE) == [slice(0, 7)]


def test_samples_are_the_same_whatever_their_number():
    few, many = gaussian(5, 3, 4, seed=7), gaussian(40, 3, 4, seed=7)
    assert np.array_equal(few.X, many.X[:5])
    assert np.array_equal(few.y, many.y[:5])
    other = gaussian(5, 3, 4, seed=8)
    assert not np.array_equal(few.X, other.X)
    assert abs(many.X.mean()) < 0.2
    assert many.X.std() == pytest.approx(1, rel=0.1)


def test_data_and_weights_have_seeds_of_their_own():
    one, other = Config(seed=1, dm=4, d=3), Config(seed=2, init_seed=1, dm=4, d=3)
    assert torch.equal(initial.drawn(one, ALONE).V, initial.drawn(other, ALONE).V)
    assert (other.data_seed, other.init_seed) == (2, 1)
