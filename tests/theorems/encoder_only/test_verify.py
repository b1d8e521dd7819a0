"""Verification: agrees with every kind of record, and sees each number changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ntkbound.core.errors import InputError
from ntkbound.core.record import Record
from ntkbound.machine.parallel import Workers
from ntkbound.machine.tools import Tools
from ntkbound.theorems.encoder_only import THEOREM
from ntkbound.theorems.encoder_only.config import Config

SMALL = {"dm": 24, "N": 6, "ds": 3, "d": 5, "tau": 20}


def record(**fields):
    prepared = THEOREM.prepare(Config(**SMALL | fields))
    found = THEOREM.run(prepared.config, Tools(Workers(1), data=prepared.data))
    return Record(
        id="one", theorem=THEOREM.name, version=1, config=prepared.config.model_dump(),
        terms=found.terms, status=found.status, trace=found.trace,
        arrays={**found.params, **found.inputs},
    )  # fmt: skip


def differing(one):
    return {found.quantity for found in THEOREM.verify(one) if not found.agrees}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"init": "he", "scaling": "one", "pooling": "sum", "loss": "sum", "gamma": 0.3},
        {"init": "ntk", "tokens": "raw", "step": "adaptive"},
        {"step": "fixed", "gamma": 0.01, "tokens": "centred", "dm": 4},
        {"step": "fixed", "gamma": 1e3, "tau": 60},  # diverges
    ],
    ids=str,
)
def test_every_number_agrees(fields):
    one = record(**fields)
    found = THEOREM.verify(one)
    assert all(line.agrees for line in found), [line for line in found if not line.agrees]
    assert len(found) >= (8 if one.status == "diverged" else 11)


def test_a_wide_record_is_verified_without_its_jacobian(monkeypatch):
    monkeypatch.setattr("ntkbound.theorems.encoder_only.verify.LARGEST", 100)
    names = {line.quantity for line in THEOREM.verify(record())}
    assert "loss at the end" in names and not any("kernel" in name for name in names)


@pytest.mark.parametrize(
    ("term", "probe", "statistic", "label"),
    [
        ("optimization", "training", "loss_ratio", "loss ratio"),
        ("kernel", "initial", "trace_O", "kernel / trace_O"),
        ("kernel", "initial", "trace_Q", "kernel / trace_Q"),
        ("kernel", "initial", "lambda_min", "kernel / λ_min/λ_max"),
        ("kernel", "initial", "lambda_max", "kernel / λ_max"),
        ("kernel", "initial", "alpha_squared", "kernel / α²/λ_max"),
        ("kernel", "final", "distance", "1 − cosine of the kernels"),
    ],
)
def test_a_number_changed_is_seen(term, probe, statistic, label):
    one = record()
    one.terms[term][probe][statistic] *= 1 + 1e-5
    assert label in differing(one)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("final.W_V", "loss at the end"),
        ("initial.W_Q", "loss at step 1, by autograd"),
        ("y", "loss at the start"),
    ],
)
def test_an_array_changed_is_seen(name, label):
    one = record()
    arrays = dict(one.arrays)
    arrays[name] = np.array(arrays[name]) * 1.01
    assert label in differing(replace(one, arrays=arrays))


def test_what_was_not_saved_is_named():
    one = record()
    with pytest.raises(InputError, match=r"saved without initial\.W_Q"):
        THEOREM.verify(replace(one, arrays={"X": one.arrays["X"], "y": one.arrays["y"]}))
