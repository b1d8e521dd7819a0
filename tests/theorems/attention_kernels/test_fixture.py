"""Numbers of an independent prototype (NumPy float64): the same problem, the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from ntkbound.theorems.attention_kernels import native
from ntkbound.theorems.attention_kernels.measure import terms
from ntkbound.theorems.attention_kernels.spectrum import Spectrum
from tests.theorems.attention_kernels.support import descended, fixture

TABLE = {
    (1, "softmax"): (
        1.0501659277, (0.1147622661, 0.0709370924, 1.6781810259),
        (9.52699431e-4, 1.88882212e-6, 1.88167341), 0.4019748340,
        (0.2301509477, 1.0253363335, 0.2251612370),
    ),
    (1, "gaussian"): (
        0.8990587874, (0.1082299596, 0.1091021041, 1.8486308374),
        (3.25046107e-3, 2.19871625e-5, 4.05286998), 0.3825421333,
        (0.3736373123, 0.8757888237, 0.3062269972),
    ),
    (2, "softmax"): (
        0.9919228921, (0.1563482162, 0.0913262647, 2.2018492637),
        (4.88153070e-2, 4.96336079e-3, 3.72706709), 0.1012620217,
        (0.1640284908, 0.9454516798, 0.1550455506),
    ),
    (2, "gaussian"): (
        0.6380580963, (0.1776984138, 0.2362779355, 2.3666198081),
        (7.07959456e-2, 1.04383394e-2, 9.91852897), 0.0167212078,
        (0.1068091510, 0.5781523367, 0.0762914456),
    ),
}  # fmt: skip
CASES = pytest.mark.parametrize(("H", "kernel"), TABLE)


def digits(value):
    """To the ten decimals that are printed."""
    return pytest.approx(value, rel=0, abs=5.1e-11)


@CASES
def test_losses_and_gradients(H, kernel):
    first, norms, _, _, after = TABLE[H, kernel]
    for train, expected in zip(("V", "Q", "QKV"), after, strict=True):
        run = descended(fixture(H, kernel, train))
        assert run.losses[0] == digits(first)
        assert run.losses[-1] == digits(expected)
        assert run.final.loss == pytest.approx(run.losses[-1], rel=1e-13)
    measured = np.sqrt(run.descent.series[0, [native.OF_Q, native.OF_K, native.OF_V]])
    assert measured == digits(norms)


@CASES
def test_spectra_and_the_floor(H, kernel):
    _, _, (sigma, least, largest), floor, _ = TABLE[H, kernel]
    found = terms(descended(fixture(H, kernel, "V")))
    assert found["spectrum"]["B"]["sigma_min"] == pytest.approx(sigma, rel=6e-9)
    assert found["spectrum"]["gram"]["lambda_min"] == pytest.approx(least, rel=6e-9)
    assert found["spectrum"]["gram"]["lambda_max"] == pytest.approx(largest, rel=6e-9)
    assert found["floor"]["attainable"]["value"] == digits(floor)
    assert found["rank"]["dC_dQ"]["value"] == 18


def test_alpha_of_two_heads():
    for kernel, alpha in (("softmax", 9.92262994e-3), ("gaussian", 2.08704358e-2)):
        spectrum = Spectrum(fixture(2, kernel).initial)
        assert spectrum.alpha == pytest.approx(alpha, rel=6e-9)
        ratio = float(spectrum.of_G[0][0]) / spectrum.alpha
        assert ratio == pytest.approx(0.5002, abs=6e-5)


@CASES
def test_one_matrix_of_values_has_the_alpha_of_the_paper(H, kernel):
    spectrum = Spectrum(fixture(H, kernel, dense=True).initial)
    assert float(spectrum.of_G[0][0]) == pytest.approx(spectrum.alpha, rel=1e-9)
    assert fixture(H, kernel, dense=True).initial.loss == digits(TABLE[H, kernel][0])
