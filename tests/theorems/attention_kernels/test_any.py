"""Any run, down to one token and one dimension: every number is finite, and verifies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from ntkbound.core.errors import InputError
from ntkbound.core.record import Record
from ntkbound.theorems.attention_kernels import statement
from ntkbound.theorems.attention_kernels.config import Config
from ntkbound.theorems.attention_kernels.run import outcome_of, prepare
from ntkbound.theorems.attention_kernels.trained import train
from ntkbound.theorems.attention_kernels.verify import verify
from tests.theorems.attention_kernels.support import KERNELS, one


def recorded(config, outcome):
    return Record(
        id="any", theorem="attention-kernels", version=1, config=config.model_dump(),
        terms=outcome.terms, status=outcome.status, trace=outcome.trace,
        arrays={**outcome.params, **outcome.inputs},
    )  # fmt: skip


@given(
    st.sampled_from(KERNELS), st.sampled_from(["V", "Q", "K", "QK", "QKV"]),
    st.sampled_from(["random", "near", "teacher"]), st.sampled_from(["fixed", "monotone"]),
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 3), st.integers(1, 2),
    st.integers(0, 99),
)  # fmt: skip
def test_every_number_is_finite_and_verifies(kernel, train, labels, method, N, n, D, d, H, seed):
    run = one(kernel=kernel, train=train, labels=labels, method=method, N=N, n=n, D=D, d=d, H=H,
              seed=seed, tau=12)  # fmt: skip
    outcome = outcome_of(run)
    known = {quantity.key for quantity in statement.QUANTITIES}
    for term, probes in outcome.terms.items():
        for probe, values in probes.items():
            for name, value in values.items():
                assert (term, probe, name) in known
                assert math.isfinite(value), (term, probe, name)
    assert all(np.isfinite(series).all() for series in outcome.trace.values())
    assert all(value is None or math.isfinite(value) for value in outcome.bounds.values())
    assert "bound-violated" not in {row.verdict for row in outcome.checks}
    assert all(row.agrees for row in verify(recorded(run.config, outcome)))


def test_labels_that_are_the_output(tmp_path):
    """f_0 = 0: nothing to compare, and nothing fails."""
    first = one(tau=1)
    np.savez(tmp_path / "y.npz", X=first.problem.X, y=first.problem.initial.output)
    for fields in ({"train": "V", "method": "fixed"}, {}):
        prepared = prepare(Config(labels=str(tmp_path / "y.npz"), tau=3, **fields))
        (run,) = train([prepared.config], prepared.data, lambda *_: None)
        found = outcome_of(run).terms
        assert found["optimization"]["training"]["loss_final"] < 1e-25


def test_weights_of_zero(tmp_path):
    """G = 0: no step size follows from it."""
    arrays = {name: np.zeros((1, 3, 2)) for name in ("W_Q", "W_K", "W_V")} | {
        "W_O": np.zeros((1, 2))
    }
    save_file(arrays, tmp_path / "zero.safetensors")
    fields = {"initial": str(tmp_path / "zero.safetensors"), "tau": 3}
    assert outcome_of(one(**fields)).terms["spectrum"]["gram"]["lambda_max"] == 0
    with pytest.raises(InputError, match=r"^eta: 1/λ_max"):
        one(train="V", method="fixed", **fields)


def test_a_jacobian_that_is_too_large(monkeypatch):
    monkeypatch.setattr("ntkbound.theorems.attention_kernels.spectrum.LARGEST", 10)
    outcome = outcome_of(one(tau=2, kernel="gaussian", train="Q"))
    assert "rank" not in outcome.terms and set(outcome.terms["condition"]) == {"theorem2"}
    assert outcome.conditions[statement.THEOREM_3] is None
    assert any("too large" in note for note in outcome.notes)
