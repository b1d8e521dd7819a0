"""A computed transport in a run, and the verdict on how displacements grow."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ntkbound import read, run
from ntkbound.machine.parallel import Workers
from ntkbound.runs.execute import Execution
from ntkbound.theorems.shallow_transformer.config import Config
from ntkbound.theorems.shallow_transformer.membership.verdict import Requirement, judge_membership
from ntkbound.theorems.shallow_transformer.verify import verify
from tests.support.problems import (
    small_arrays,
)
from tests.support.tolerances import ROUNDING

EXACT = ROUNDING[torch.float64]
ONE = Workers(1)


@pytest.fixture
def data(folder):
    path = folder / "data.npz"
    np.savez(path, **small_arrays())
    return path


@pytest.mark.parametrize("query", ["last", "fixed"])
def test_a_computed_transport_defines_the_terms_but_not_the_bounds(data, folder, query):
    fields = {"m": 8, "tau": 20, "records": 4, "search_steps": 5, "search_samples": 2, "rho": 2}
    config = Config(task=str(data), transport="computed", ridge=0.01, query=query, **fields)
    record = run(config, Execution(folder / "results", threads=1))
    checks = {(c.term, c.probe): c for c in record.checks}
    for term in ("approximation", "optimization"):
        probe = "transported" if term == "approximation" else "training"
        assert checks[term, probe].verdict == "condition-not-met"
        assert "computed from φ_0" in checks[term, probe].reason
    for probe in ("trajectory", "worst"):
        assert checks["change_of_feature", probe].verdict == "holds"
    assert checks["linearization", "transported"].verdict == "holds"
    assert record.bounds["approximation"] is record.bounds["training_rmse"] is None
    assert record.bounds["change_of_feature"] > 0
    (note,) = [n for n in record.notes if "kernel regression with ridge 0.01" in n]
    assert "depend on φ_0: the approximation bound does not apply" in note
    y, app = small_arrays()["y"], record.terms["approximation"]["transported"]
    residual = app["rms"] * math.sqrt(len(y)) / np.linalg.norm(y)
    assert f"(relative residual {residual:.3g}," in note
    assert [row.quantity for row in verify(read(record.path)) if not row.agrees] == []
    plain = run(Config(task=str(data), query=query, **fields), Execution(folder, threads=1))
    assert plain.id != record.id
    assert plain.terms["optimization"] == record.terms["optimization"], "training is the same"
    assert "approximation" not in plain.terms


def rows(growth, falling=0.0, spread=0.02, seeds=5, residual=0.0, bend=0.0):
    """‖Δ‖ = n^growth · (n/m)^falling · noise, on the grid of the command."""
    rng = np.random.default_rng(0)
    found = []
    for seed in range(seeds):
        for m, sizes in ((64, (100, 400)), (128, (200, 400)), (256, (50, 100, 200, 400))):
            for n in sizes:
                norm = n**growth * (n / m) ** falling * math.exp(spread * rng.standard_normal())
                norm *= math.exp(bend * math.log(n / 50) ** 2)
                nu = {"c": 2.0, "U": seed + 1.0}
                found.append(Requirement(m, n, seed, 0.0, norm, norm, residual, nu))
    return found


@pytest.mark.parametrize(("case", "verdict", "words"), [
    ({"growth": 0.0}, "inside", "inside F_ν for ν ≥ (c 2, U 5); every fit has |ν| ≥ 0.9"),
    ({"growth": 0.1}, "inside", "saturates with n, it grows like n^0.1"),
    ({"growth": 0.5}, "outside", "outside the class"),
    ({"growth": 1.3}, "outside", "‖Δ‖ grows like n^1.3"),
    ({"growth": 0.0, "falling": 0.6}, "inconclusive", "m is too small for this n; raise m"),
    ({"growth": 1.0, "falling": 0.4}, "outside", "with m in proportion to n like n^1.0"),
    ({"growth": 0.25, "spread": 0.1}, "inconclusive", "not clearly more or less than n^0.25"),
    ({"growth": 0.0, "bend": 0.09}, "inconclusive", "over the last two sizes, not clearly less"),
    ({"growth": 0.0, "residual": 0.2}, "inconclusive", "20.0% of the labels are left unfitted"),
    ({"growth": 1.0, "seeds": 2}, "inconclusive", "4 sizes and 2 seeds: needs at least 3 sizes"),
    ({"growth": 1.0, "seeds": 1}, "inconclusive", "4 sizes and 1 seed: needs at least"),
], ids=str)  # fmt: skip
def test_planted_growth_is_judged(case, verdict, words):
    found = judge_membership(rows(**case))
    assert found.verdict == verdict, found.reason
    assert words in found.reason


def test_one_size_is_no_growth():
    alone = [row for row in rows(0.0) if row.n == 400]
    assert judge_membership(alone).reason == "‖Δ‖ was measured at one n or m only"


def test_false_verdicts_are_rare():
    """At the threshold itself neither verdict may come often: 1 % outside, 2.5 % inside."""
    rng, counts = np.random.default_rng(1), {"inside": 0, "outside": 0, "inconclusive": 0}
    for _ in range(100):
        planted = rows(0.25, spread=0.0)
        slopes = {seed: 0.05 * rng.standard_normal() for seed in range(5)}
        planted = [
            replace(row, norm=row.norm * row.n ** slopes[row.seed] * math.exp(
                0.03 * rng.standard_normal()
            ))
            for row in planted
        ]  # fmt: skip
        counts[judge_membership(planted).verdict] += 1
    assert counts["outside"] <= 4 and counts["inside"] <= 8, counts
