"""Rounding is that of the quantity itself: of an amplitude, or of a square of one."""

import pytest

from ntkbound.core.tolerance import exceeds


@pytest.mark.parametrize(
    ("measured", "bound", "amplitude", "square"),
    [
        (1e-17, 0.0, False, True),
        (1e-29, 0.0, False, False),
        (3e-15, 1e-15, False, True),  # rounding of an amplitude; of a square 3 times the bound
        (3e-13, 1e-13, True, True),  # both hidden by a constant of 1e-12
        (1 + 1e-13, 1.0, False, False),
        (1 + 1e-6, 1.0, True, True),
        (1 + 1.5e-12, 1.0, True, False),
        (0.5, 1.0, False, False),
    ],
)
def test_what_is_above_a_bound(measured, bound, amplitude, square):
    assert exceeds(measured, bound) is amplitude
    assert exceeds(measured, bound, "square") is square
