"""The smallest theorem: its mathematics against closed forms, and every command on it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkbound.core.outcome import Bound
from ntkbound.core.registry import names
from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import Tools
from ntkbound.theorems import least_squares
from ntkbound.theorems.least_squares import GAP, THEOREM, LeastSquares

TOOLS = Tools(Workers(1))
SIZES = {"n": st.integers(1, 30), "d": st.integers(1, 12), "steps": st.integers(1, 60)}


def gaps_of(outcome):
    """R(w_s) − R* of every step by the eigenbasis of A, nothing iterated."""
    X, y = outcome.inputs["X"], outcome.inputs["y"]
    A = X.T @ X / len(y)
    values, vectors = np.linalg.eigh(A)
    values = np.maximum(values, 0)
    c = vectors.T @ np.linalg.lstsq(X, y, rcond=None)[0]
    s = outcome.trace["step"][:, None]
    return 0.5 * (values * (1 - values / values[-1]) ** (2 * s) * c**2).sum(1)


@given(**SIZES, seed=st.integers(0, 1000))
def test_the_descent_is_the_closed_form(n, d, steps, seed):
    outcome = THEOREM.run(LeastSquares(n=n, d=d, steps=steps, seed=seed), TOOLS)
    found, expected = outcome.trace["suboptimality/trajectory/gap"], gaps_of(outcome)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-12 * expected[0])
    X, y = outcome.inputs["X"], outcome.inputs["y"]
    R = ((X @ np.zeros(d) - y) ** 2).sum() / (2 * n)
    least = np.linalg.lstsq(X, y, rcond=None)[0]
    assert found[0] == pytest.approx(R - ((X @ least - y) ** 2).sum() / (2 * n), abs=1e-9)


@given(**SIZES, seed=st.integers(0, 1000))
def test_no_bound_is_exceeded(n, d, steps, seed):
    outcome = THEOREM.run(LeastSquares(n=n, d=d, steps=steps, seed=seed), TOOLS)
    assert [row.verdict for row in outcome.checks] == ["holds", "holds"]
    assert [row.delta for row in outcome.checks] == [0.0, 0.0]


def test_a_bound_too_small_is_violated(command, monkeypatch):
    monkeypatch.setattr(least_squares, "Bound", lambda value: Bound(value / 1e6))
    code, out, _ = command("train", "--theorem=least-squares", "--strict")
    assert code == 1
    assert "bound-violated" in out


def test_a_run_is_trained_shown_and_verified(command, folder):
    code, out, err = command("train", "--theorem", "least-squares", "--steps=50", "--seed=3")
    assert code == 0
    assert "steps = 50" in out and "suboptimality" in out
    (path,) = folder.glob("results/*/run.json")
    assert f"record written: results/{path.parent.name}" in err
    assert command("show", path) == (0, out, "")
    assert command("verify", path)[0] == 0
    data = json.loads(path.read_text())
    assert (data["theorem"], data["version"]) == ("least-squares", THEOREM.version)
    assert set(data["config"]) == {"theorem", "n", "d", "steps", "seed"}
    # The same options again through its run.json, one of them overridden.
    code, out, _ = command("train", f"--config={path}", "--steps=60", "--json", "--quiet")
    assert code == 0
    assert json.loads(out)["config"] == data["config"] | {"steps": 60}


def test_its_own_preset_is_swept_judged_and_reused(command, folder):
    code, out, err = command("check", "--theorem=least-squares", "--jobs=1")
    assert code == 0
    assert "faster" in out and "2 bounds: 2 judged, 2 held: holds" in out
    assert err.count("done least-squares-s") == 25
    code, out, _ = command("sweep", "least-squares/smoke")
    assert "0 done now, 25 complete before" in out
    code, out, _ = command("slopes", "results", "--json")
    (fit,) = json.loads(out)["fits"]
    assert fit["axis"] == "steps" and fit["term"] == GAP.term
    assert fit["claimed"] == -1 and fit["slope"] < -1


def test_what_is_claimed_falsely_is_violated(command, folder):
    command("sweep", "least-squares/smoke", "--jobs=1")
    (folder / "false.toml").write_text(
        "[[claim]]\nterm = 'suboptimality'\nprobe = 'final'\nstatistic = 'gap'\n"
        "axis = 'steps'\nkind = 'upper'\nexponent = -20\n"
    )
    # An exponential bends towards any power: that it is not reached yet is not refuted.
    assert command("check", "results", "--claims=false.toml")[0] == 3
    (folder / "lower.toml").write_text(
        "[[claim]]\nterm = 'suboptimality'\nprobe = 'final'\nstatistic = 'gap'\n"
        "axis = 'steps'\nkind = 'lower'\nexponent = -0.5\n"
    )
    assert command("check", "results", "--claims=lower.toml")[0] == 1


def test_its_options_are_its_own(refused):
    assert refused("train", "--theorem=least-squares", "--tau=3").startswith(
        "--tau: no such option"
    )
    told = refused("train", "--theorem=least-squares", "--n=0")
    assert told == "--n: input should be greater than or equal to 1, not 0"
    assert refused("train", "--theorem=least-sqares") == (
        f"--theorem: 'least-sqares' is unknown; accepted: {', '.join(names())}, FILE.py; "
        "did you mean 'least-squares'?"
    )


def test_another_version_is_another_run():
    config = LeastSquares()
    assert replace(THEOREM, version=2).identity(config) != THEOREM.identity(config)
