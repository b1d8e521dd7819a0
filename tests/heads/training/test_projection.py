"""Π: feasible, idempotent, non-expansive, the nearest point, and never skipped."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntkbound import run
from ntkbound.heads.training.projection import boundary_fraction, displacement_norms, project_
from ntkbound.heads.training.step import NativeStep, TorchStep
from ntkbound.runs.execute import Execution
from ntkbound.theorems.shallow_transformer.config import Config
from tests.support.checks import check_descent, check_projection
from tests.support.problems import SMALL_RUN, make_model

DTYPES = (torch.float32, torch.float64)
RADII = st.one_of(st.just(0.0), st.floats(1e-3, 10), st.sampled_from([1e-15, 1e-9]))


@st.composite
def projections(draw):
    """(φ_0, two points around it, radii): R runs, m heads, per-block and per-run radii."""
    query, d = draw(st.sampled_from(["last", "fixed"])), draw(st.integers(1, 4))
    runs, m = draw(st.integers(1, 2)), draw(st.integers(1, 5))
    model = make_model("tanh", query, d)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = [10 ** draw(st.floats(-3, 2)) for _ in range(2)]

    def around(size: float):
        shapes = {b: (runs, m, *s) for b, s in model.blocks.items()}
        return {
            b: torch.from_numpy(np.array(size * rng.standard_normal(s))) for b, s in shapes.items()
        }

    centre = around(1.0)
    points = [{b: centre[b] + v for b, v in around(size).items()} for size in sizes]
    radii = {b: torch.tensor([draw(RADII) for _ in range(runs)]).double() for b in model.blocks}
    return centre, *points, radii


@given(projections())
def test_feasible_idempotent_nearest_and_pinned(problem):
    centre, params, _, radii = problem
    check_projection(centre, params, radii)


@given(projections())
def test_non_expansive(problem):
    """Step (1) of the proof: projecting brings no two points further apart."""
    centre, a, b, radii = problem
    for block in centre:
        before = (a[block].double() - b[block].double()).flatten(2 if a[block].ndim > 2 else 1)
        pa, pb = check_projection(centre, a, radii), check_projection(centre, b, radii)
        after = (pa[block].double() - pb[block].double()).flatten(2 if a[block].ndim > 2 else 1)
        size = float(a[block].abs().max() + b[block].abs().max())
        rounding = 32 * torch.finfo(a[block].dtype).eps * size * math.sqrt(after.shape[-1])
        assert bool((after.norm(dim=-1) <= before.norm(dim=-1) + rounding).all()), block


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rho", [0.0, 0.02, 0.5, 50.0])
@pytest.mark.parametrize("step", [NativeStep, TorchStep])
def test_descent_is_projected_step_by_step(rho, dtype, step):
    check_descent(rho, dtype, step=step)


@pytest.mark.parametrize("step", [NativeStep, TorchStep])
def test_plain_descent_is_not_projected(step):
    check_descent(0.02, torch.float64, method_projects=False, step=step)


@pytest.mark.parametrize("method", ["projgd", "projsgd"])
@pytest.mark.parametrize("rho", ["0", "c=0,U=0.01", "W=0,c=0.02", "0.05"])
def test_no_radius_and_no_method_skips_the_projection(method, rho):
    """Published code skips it when a radius is 0 or absent: the displacement would show it."""
    batch = {"batch": 4} if method == "projsgd" else {}
    config = Config(**SMALL_RUN, method=method, eta=5.0, rho=rho, **batch)
    with tempfile.TemporaryDirectory() as out:
        record = run(config, Execution(Path(out)))
    binding = False
    for block, radius in config.rho.items():
        largest = record.trace[f"displacement/trajectory/{block}"].max()
        assert largest <= radius * (1 + 1e-15), block  # of √m times a norm that is at most ρ/√m
        if radius == 0:
            assert largest == 0, block
        binding |= 0 < radius <= largest * (1 + 1e-9)
    assert binding or rho == "0", "no ball was reached: the test proves nothing"


def test_boundary_fraction_counts_heads_on_the_sphere():
    centre = {"c": torch.zeros(4), "U": torch.zeros(4, 2)}
    params = {"c": torch.tensor([0.5, -0.5, 0.1, 0.0]), "U": torch.eye(4, 2)}
    norms = displacement_norms(params, centre, lead=0)
    assert boundary_fraction(norms, {"c": 0.5, "U": 1.0}) == {"c": 0.5, "U": 0.5}


def test_radii_of_each_run_are_its_own():
    centre = {"U": torch.zeros(2, 3, 2, dtype=torch.float64)}
    params = {"U": torch.ones(2, 3, 2, dtype=torch.float64)}
    project_(params, centre, {"U": torch.tensor([0.1, 3.0], dtype=torch.float64)})
    norms = params["U"].norm(dim=2)
    assert torch.allclose(norms[0], torch.full((3,), 0.1, dtype=torch.float64))
    assert torch.allclose(norms[1], torch.full((3,), math.sqrt(2), dtype=torch.float64))
