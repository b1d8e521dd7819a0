"""The measured rates of theory §4 on a small grid: not assumed, rediscovered.

n = 200, T = 8, d = 4, tokens uniform in the ball. Slopes are fitted to the mean over seeds of the
logarithm. Tolerances come from theory.md: the approximation slope varies by 0.13 between seeds, and
three widths leave about as much in the others.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from ntkbound import run
from ntkbound.runs.execute import Execution
from ntkbound.theorems.shallow_transformer.config import Config

WIDTHS, SEEDS = (16, 64, 256), (0, 1, 2)
GRID = {
    "n": 200, "T": 8, "d": 4, "inputs": "ball", "dtype": "float64", "tau": 60, "records": 6,
    "teacher_heads": 65536, "search_samples": 6, "search_steps": 25, "search_restarts": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """One teacher and one sample; the initialisation varies, so that labels are computed once."""
    out = tmp_path_factory.mktemp("rates")
    return {
        (m, seed): run(Config(**GRID, m=m, init_seed=seed), Execution(out, save_params=False))
        for m in WIDTHS
        for seed in SEEDS
    }


def slope(records, term, probe, statistic):
    logs = [
        np.mean([math.log(records[m, s].terms[term][probe][statistic]) for s in SEEDS])
        for m in WIDTHS
    ]
    return float(np.polyfit(np.log(WIDTHS), logs, 1)[0])


@pytest.mark.parametrize(("term", "probe", "statistic", "expected", "tolerance"), [
    ("approximation", "transported", "max", -0.50, 0.15),
    ("linearization", "worst", "max", -0.50, 0.07),
    ("linearization", "worst", "mean", -0.50, 0.07),
    ("linearization", "aligned", "mean", -0.50, 0.10),
    ("linearization", "random", "max", -1.00, 0.20),
    ("linearization", "trajectory", "max", -1.05, 0.20),
    ("linearization", "transported", "max", -1.12, 0.25),
    ("change_of_feature", "trajectory", "max", -1.03, 0.25),
    ("change_of_feature", "worst", "max", -0.50, 0.10),
])  # fmt: skip
def test_slopes_in_m(records, term, probe, statistic, expected, tolerance):
    found = slope(records, term, probe, statistic)
    assert found == pytest.approx(expected, abs=tolerance), f"{term} / {probe}: {found:.2f}"


@pytest.mark.parametrize(("m", "expected"), [(16, 0.20), (64, 0.10), (256, 0.048)])
def test_sizes_of_the_searched_worst_case(records, m, expected):
    """theory.md: 0.20, 0.10, 0.048 as the worst of 40 inputs; here of 6."""
    values = [records[m, s].terms["linearization"]["worst"]["max"] for s in SEEDS]
    assert np.mean(values) == pytest.approx(expected, rel=0.2)


def test_sizes_of_the_approximation_error(records):
    """theory.md: 0.34 at m = 16, falling like 1/√m."""
    values = [records[16, s].terms["approximation"]["transported"]["max"] for s in SEEDS]
    assert np.mean(values) == pytest.approx(0.34, rel=0.35)


def test_bounds_against_what_is_measured(records):
    """theory.md: ε_lin is 11–12 times the searched worst case, ε_app 31–37 times the measured; a
    posteriori both are within a factor of a few (docs/certificates.md)."""
    ratios = {"closed-form": [], "a-posteriori": []}
    for (m, _), record in records.items():
        assert {c.verdict for c in record.checks} <= {"holds", "vacuous"}
        worst = record.terms["linearization"]["worst"]["max"]
        app = record.terms["approximation"]["transported"]["max"]
        said = {(c.level, c.term): c.value for c in record.certificates}
        assert 9 < said["closed-form", "linearization"] / worst < 15, f"m = {m}"
        assert 1 <= said["a-posteriori", "linearization"] / worst < 2.2, f"m = {m}"
        assert said["a-posteriori", "linearization"] == record.bounds["linearization"]
        for level, values in ratios.items():
            values.append(said[level, "approximation"] / app)
    assert 20 < np.median(ratios["closed-form"]) < 55
    assert 1 < np.median(ratios["a-posteriori"]) < 5


def test_the_cancelling_probes_lie_far_below_the_worst_case(records):
    for (m, _), record in records.items():
        lin = record.terms["linearization"]
        assert lin["trajectory"]["max"] < lin["worst"]["max"] / 5, f"m = {m}"
        assert lin["random"]["max"] < lin["worst"]["max"], f"m = {m}"


@pytest.mark.attack
def test_the_loss_falls_faster_in_tau_than_claimed(tmp_path):
    """theory.md: about −0.86 to −0.9 from τ = 400 to 1600 at m = 256, claimed −1/2."""
    settings = {**GRID, "dtype": "float32", "search_samples": 1, "search_steps": 1, "m": 256}
    losses = [
        run(Config(**{**settings, "tau": tau}), Execution(tmp_path, save_params=False)).terms[
            "optimization"
        ]["training"]["min_mse"]
        for tau in (400, 800, 1600)
    ]
    found = float(np.polyfit(np.log([400, 800, 1600]), np.log(losses), 1)[0])
    assert found == pytest.approx(-0.88, abs=0.2)
