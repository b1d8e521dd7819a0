"""The plane of Figure 4: the surface against the loss itself, and its three numbers."""

from __future__ import annotations

import numpy as np
import pytest

from ntkbound.theorems.attention_kernels import landscape as module
from ntkbound.theorems.attention_kernels.landscape import SIDE, Landscape, landscape
from ntkbound.theorems.attention_kernels.weights import Weights
from tests.theorems.attention_kernels.support import KERNELS, one


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_surface_is_the_loss_around_the_end(kernel):
    run = one(kernel=kernel, H=2, tau=20, N=2, n=3, D=5, d=4)
    surface, state = landscape(run.final).loss, run.final
    assert surface.shape == (50, 50)
    assert surface[24, 24] == pytest.approx(state.loss)  # r = s = 25
    W, seed = state.weights, run.config.init_seed
    d1, d2 = (module._direction(state, seed, name) for name in ("d1", "d2"))
    for h in range(2):
        for place, matrix in enumerate((W.W_Q, W.W_K)):
            assert np.linalg.norm(d1[place][h]) == pytest.approx(np.linalg.norm(matrix[h]))
    for r, s in ((1, 1), (50, 7), (20, 44)):
        a, b = 0.02 * (r - 25), 0.02 * (s - 25)
        moved = Weights(W.W_Q + a * d1[0] + b * d2[0], W.W_K + a * d1[1] + b * d2[1], W.W_V, W.W_O)
        assert surface[r - 1, s - 1] == pytest.approx(run.problem.at(moved).loss)


def test_minima_and_roughness():
    x = np.linspace(-1, 1, SIDE)
    bowl = Landscape(np.add.outer(x**2, x**2))
    assert bowl.grid_minima in (0, 1, 4)  # the centre lies between four equal points
    shifted = Landscape(np.add.outer((x - 0.3) ** 2, (x + 0.21) ** 2))
    assert shifted.grid_minima == 1
    assert shifted.laplacian == pytest.approx(4 * (x[1] - x[0]) ** 2 / shifted.range)
    waves = Landscape(np.add.outer(np.cos(2 * np.pi * 3 * (x + 0.013)), np.cos(2 * np.pi * x)))
    assert waves.grid_minima >= 6 and waves.laplacian > shifted.laplacian
    flat = Landscape(np.ones((SIDE, SIDE)))
    assert flat.terms == {"grid_minima": 0, "range": 0.0}
