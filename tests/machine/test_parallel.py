"""Work over blocks: every result in its place, whatever the threads."""

from __future__ import annotations

import pytest
import torch

from ntkbound.machine.parallel import Workers, partition, side_by_side

NUMBERS = torch.arange(22.0).reshape(2, 11)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [1, 4, 11, 20])
def test_parts_stand_side_by_side_in_their_order(threads, size):
    blocks = partition(11, size)
    parts = Workers(threads).map(lambda block: NUMBERS[:, block], blocks)
    assert torch.equal(side_by_side(iter(parts), blocks), NUMBERS)


def test_a_part_that_is_missing_is_noticed():
    blocks = partition(11, 4)
    with pytest.raises(ValueError, match="shorter"):
        side_by_side(iter([NUMBERS[:, :4], NUMBERS[:, 4:8]]), blocks)
