"""Recorded steps: both ends, no more than asked for, geometric between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ntkbound.core.steps import recorded_steps


@given(st.integers(1, 10**6), st.integers(2, 80))
def test_both_ends_are_among_at_most_so_many(last, count):
    found = recorded_steps(last, count)
    assert found[0] == 0 and found[-1] == last
    assert found == sorted(set(found)) and len(found) <= count


def test_they_are_geometric():
    assert recorded_steps(1, 32) == [0, 1]
    assert recorded_steps(1000, 2) == [0, 1000]
    assert recorded_steps(1000, 5) == [0, 1, 10, 100, 1000]
    assert len(recorded_steps(4000, 12)) == 12
