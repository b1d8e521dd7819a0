"""What constants of a head of one's own imply, stated or searched: never a bound."""

from __future__ import annotations

import math

import pytest
import torch

from ntkbound import configure, run
from ntkbound.core import userfile
from ntkbound.core.outcome import Certificate
from ntkbound.heads.model import symmetric_init
from ntkbound.heads.own import OwnHead
from ntkbound.heads.written import WrittenHead
from ntkbound.runs.execute import Execution
from ntkbound.theorems.shallow_transformer.certificates.any_head import norms
from tests.support.problems import SMALL_RUN, make_inputs

pytestmark = pytest.mark.usefixtures("own_code")

# h = c tanh(U·x̄) with ‖x̄‖ ≤ B_x, |tanh'| ≤ 1 and |tanh''| ≤ 0.77: the Hessian is
# [[0, tanh' x̄ᵀ], [tanh' x̄, c tanh'' x̄ x̄ᵀ]].
HEAD = """
import torch

class Own:
    def blocks(self, d):
        return {"U": (d,)}

    def f(self, theta, X, q):
        return torch.tanh(X.mean(0) @ theta["U"])
"""
STATED = """
    def suprema(self, theta, radii, B_x, B_q):
        C = theta["c"].abs() + radii["c"]
        return (1 + (C * B_x) ** 2) ** 0.5, B_x + 0.77 * C * B_x**2
"""
SERIES = {"task": "ar", "n": 40, "lag": 4, "query": "fixed", "transport": "computed",
          "ridge": 0.1, "rho": 30.0, "m": 32, "tau": 400, "eta_scale": 0.1, "rescale": True,
          "search_steps": 5, "search_samples": 2, "records": 4}  # fmt: skip


@pytest.fixture
def made(tmp_path, own_code):
    def make(text, **fields):
        own_code()
        path = tmp_path / "own.py"
        path.write_text(text)
        model = f"{userfile.name(path)}:Own"
        return run(configure({"model": model, **fields}), Execution(tmp_path, threads=1))

    return make


def by_term(record, level):
    assert {row.level for row in record.certificates} == {level}
    return {row.term: row.value for row in record.certificates}


def test_the_norms_are_those_of_gradient_and_hessian(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(HEAD)
    model = OwnHead(WrittenHead.of(f"{userfile.name(path)}:Own"), 3)
    theta, inputs = symmetric_init(model, 4, 0, torch.float64), make_inputs(2, 3, 3, "last", 0)
    gradient, curvature = norms(model, theta, inputs)
    for j in range(2):
        for i in range(4):

            def h(flat, j=j):
                single = {"c": flat[:1], "U": flat[None, 1:]}
                return model.h(single, inputs.rows(slice(j, j + 1)))[0, 0]

            at = torch.cat([theta["c"][i : i + 1], theta["U"][i]])
            slope = torch.autograd.functional.jacobian(h, at).norm()
            bend = torch.linalg.eigvalsh(torch.autograd.functional.hessian(h, at)).abs().max()
            torch.testing.assert_close(gradient[j, i], slope)
            assert 0.9 * bend <= curvature[j, i] <= bend * (1 + 1e-12)


def test_stated_constants_imply_what_is_written(made):
    record = made(HEAD + STATED, **SMALL_RUN)
    found = by_term(record, "user")
    m = SMALL_RUN["m"]
    C = 1 + 1 / math.sqrt(m)
    assert found["linearization"] == pytest.approx(2 * (1 + 0.77 * C) / (2 * math.sqrt(m)))
    assert found["feature_norm"] == pytest.approx(math.sqrt(1 + C**2))
    assert set(found) == {"linearization", "feature_norm"}  # no φ̃ is known
    assert record.terms["linearization"]["worst"]["max"] <= found["linearization"]
    assert record.terms["gradient"]["training"]["feature_norm_max"] <= found["feature_norm"]


def test_neither_level_is_proved_nor_a_bound(made):
    for text, level in ((HEAD + STATED, "user"), (HEAD, "estimate")):
        record = made(text, **SMALL_RUN)
        by_term(record, level)
        assert not any(row.proved for row in record.certificates)
        assert {row.bound for row in record.checks} == {None}
        assert {row.verdict for row in record.checks} == {"not-defined"}
    assert Certificate("x", "a-posteriori", 1.0, "").proved


def test_searched_constants_are_below_true_ones(made):
    stated, searched = (by_term(made(HEAD + more, **SMALL_RUN), level)
                        for more, level in ((STATED, "user"), ("", "estimate")))  # fmt: skip
    assert set(stated) == set(searched)
    for term, value in searched.items():
        assert 0.1 * stated[term] < value <= stated[term], term


def test_with_a_map_there_is_a_change_of_feature_and_a_training_bound(made):
    record = made(HEAD + STATED, **SERIES)
    found = by_term(record, "user")
    assert set(found) >= {"linearization", "feature_norm", "change_of_feature"}
    assert record.terms["change_of_feature"]["worst"]["max"] <= found["change_of_feature"]
    rho = math.hypot(*record.config["rho"].values())
    # ε_cof/ε_lin = 2(‖ρ‖ + ‖ν‖)/‖ρ‖, and ν ≤ ρ where the target is inside
    ratio = found["change_of_feature"] / found["linearization"]
    assert 2 < ratio <= 4
    assert ratio == pytest.approx(2 + 2 * _nu(record) / rho, rel=1e-6)
    assert found["training_rmse"] >= record.terms["optimization"]["training"]["min_rmse"]


def _nu(record):
    """‖ν‖ of the computed map: √m times the farthest that it moves a head, block by block."""
    a = record.arrays
    moved = (a[f"transported.{b}"] - a[f"initial.{b}"] for b in record.config["rho"])
    far = (abs(v).max() if v.ndim == 1 else ((v**2).sum(1) ** 0.5).max() for v in moved)
    return math.sqrt(record.config["m"]) * math.hypot(*far)


WRONG = {
    "one": ("return 1.0", "expected two: of ‖∇h‖ and of ‖∇²h‖"),
    "text": ('return "a", 1', "expected a number, or one per head (8)"),
    "shape": ("return [1, 2, 3]", "expected two"),
    "heads": ("return theta['c'][:3], 1", "expected a number, or one per head (8)"),
    "negative": ("return -1.0, 1.0", "a constant is negative or not finite"),
    "infinite": ("return 1.0, float('inf')", "a constant is negative or not finite"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_wrong_constants_are_one_line(made, fault):
    body, reason = WRONG[fault]
    text = f"{HEAD}\n    def suprema(self, theta, radii, B_x, B_q):\n        {body}\n"
    with pytest.raises(userfile.UserCodeError, match=r"own\.py, line 11: Own\.suprema: ") as told:
        made(text, **SMALL_RUN)
    assert reason in str(told.value)


def test_bounds_switched_off_leave_none(made):
    record = made(HEAD + STATED, **SMALL_RUN, bounds=False)
    assert record.certificates == ()
