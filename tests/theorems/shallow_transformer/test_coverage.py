"""Bounds that hold with probability 1 − δ, against thousands of real initialisations of one task.

The student's φ_0 is drawn anew each time; inputs, transport map and teacher labels stay, as the
statements ask. δ is large, so that a bound only somewhat too small is seen.
"""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binom

from ntkbound.heads.linearized import Linearized
from ntkbound.heads.model import symmetric_init
from ntkbound.heads.terms.approximation import approximation_errors
from ntkbound.heads.terms.linearization import linearization_errors
from ntkbound.heads.terms.probes import aligned_probe
from ntkbound.heads.transport import transported_parameters
from ntkbound.theorems.shallow_transformer.certificates import a_priori, exchangeable
from ntkbound.theorems.shallow_transformer.start import Start, start
from tests.support.checks import ONE
from tests.theorems.shallow_transformer.test_transport import make_task

DELTA, HEADS = 0.3, 32


def excesses(runs: int) -> tuple[dict[str, float], dict[str, float]]:
    """Share of initialisations beyond each bound, and the largest measured/bound."""
    config, model, task = make_task(n=1, T=4, d=2, m=HEADS, teacher_heads=8192)
    config = config.model_copy(update={"delta": DELTA})
    known = start(config, model, task, ONE).problem
    before = {
        "approximation": a_priori.approximation(known),
        "linearization": a_priori.linearization(known),
    }
    ratios: dict[str, list[float]] = {"exchangeable": [], "approximation": [], "linearization": []}
    for seed in range(runs):
        initial = symmetric_init(model, HEADS, seed, torch.float64)
        moved = transported_parameters(initial, task.transport)
        lin = Linearized(model, initial, task.inputs, ONE)
        app = approximation_errors(lin, moved, task.y).abs()
        drawn = config.model_copy(update={"init_seed": seed})
        begun = Start(drawn, lin, task, moved)
        own, _ = exchangeable.approximation_bound(begun, moved, task.transport)
        errors = linearization_errors(lin, aligned_probe(lin, config.radii)).abs()
        ratios["exchangeable"].append(float((app / own).max()))
        ratios["approximation"].append(float(app.max()) / before["approximation"])
        ratios["linearization"].append(float(errors.max()) / before["linearization"])
    found = {name: torch.tensor(values) for name, values in ratios.items()}
    shares = {name: float((values > 1).double().mean()) for name, values in found.items()}
    return shares, {name: float(values.max()) for name, values in found.items()}


def check_coverage(runs: int) -> None:
    shares, largest = excesses(runs)
    for name, share in shares.items():
        # Were the true probability δ, more than this would happen once in a thousand suites.
        limit = float(binom.isf(1e-3, runs, DELTA)) / runs
        assert share <= limit, f"{name}: {share:.3f} of the initialisations beyond, δ = {DELTA}"
    assert largest["exchangeable"] > 0.5, "so loose that nothing was tested"


@pytest.mark.attack
def test_probable_bounds_cover_real_initialisations():
    check_coverage(2000)


@pytest.mark.attack
@pytest.mark.parametrize("factor", [0.33, 0.0])
def test_too_small_a_deviation_is_caught(factor, monkeypatch):
    """A third of it, or none: what remains of the bound is the distance of the labels."""
    true = exchangeable.deviation
    monkeypatch.setattr(exchangeable, "deviation", lambda *a: factor * true(*a))
    with pytest.raises(AssertionError, match="exchangeable: "):
        check_coverage(200)


@pytest.mark.attack
@pytest.mark.parametrize(("name", "factor"), [("approximation", 0.02), ("linearization", 0.05)])
def test_too_small_a_bound_a_priori_is_caught(name, factor, monkeypatch):
    true = getattr(a_priori, name)
    monkeypatch.setattr(a_priori, name, lambda *a: factor * true(*a))
    with pytest.raises(AssertionError, match=f"{name}: "):
        check_coverage(200)
