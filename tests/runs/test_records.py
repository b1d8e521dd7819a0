"""Records: whole or not at all, exact, reused, verified, and a pure function of the config."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from ntkbound import read
from ntkbound.core.errors import InputError
from ntkbound.runs.execute import Audience, Execution, run
from ntkbound.runs.record import PARAMS, RUN, TRACE, write
from ntkbound.theorems.shallow_transformer.config import Config
from ntkbound.theorems.shallow_transformer.verify import verify
from tests.support.checks import assert_same
from tests.support.problems import SMALL_RUN, tamper

# Several blocks of samples, heads and teacher heads: threads have something to reorder.
SPREAD = {
    **SMALL_RUN, "m": 300, "n": 120, "T": 9, "d": 3, "tau": 6, "teacher_heads": 5000,
    "search_samples": 3, "search_steps": 2, "search_restarts": 2,
}  # fmt: skip


def numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [x for item in value for x in numbers(item)]
    return [value] if isinstance(value, float) else []


def test_a_record_comes_back_as_it_went(finished):
    again = read(finished.path)
    assert_same(finished, again)
    assert again.environment == finished.environment
    assert read(finished.path / RUN).as_json() == again.as_json()


def test_the_contract_of_run_json(finished):
    data = json.loads((finished.path / RUN).read_text())
    assert list(data)[:5] == ["schema", "id", "theorem", "version", "status"]
    assert data["status"] == "complete"
    assert data["config"] == Config(**SMALL_RUN).model_dump()
    statistics = {"max", "mean", "rms"}
    assert {p: set(v) for p, v in data["terms"]["linearization"].items()} == dict.fromkeys(
        ("random", "aligned", "trajectory", "worst", "transported"), statistics
    )
    assert set(data["terms"]["approximation"]["transported"]) == statistics | {"standard_error"}
    assert {p: set(v) for p, v in data["terms"]["change_of_feature"].items()} == dict.fromkeys(
        ("trajectory", "worst"), statistics
    )
    assert set(data["terms"]["optimization"]["training"]) >= {
        "min_mse", "min_rmse", "best_step", "final_mse",
    }  # fmt: skip
    assert set(data["terms"]["gradient"]) == {"training", "boundary_fraction", "reach"}
    assert set(data["bounds"]) == {
        "linearization", "approximation", "change_of_feature", "feature_norm",
        "optimization_mse", "training_rmse",
    }  # fmt: skip
    assert set(data["environment"]) == {
        "ntkbound", "python", "torch", "numpy", "platform", "cpu", "threads", "ranks", "device",
        "gpu", "git", "started", "seconds", "saved", "training_bytes",
    }  # fmt: skip
    for row in data["checks"]:
        assert set(row) == {
            "term", "probe", "statistic", "measured", "bound", "delta", "slack", "verdict",
            "reason",
        }  # fmt: skip
    levels = {c["level"] for c in data["certificates"] if c["term"] == "training_rmse"}
    assert "closed-form" not in levels, "vacuous: its L² is too large at this step size"
    assert data["bounds"]["training_rmse"] > 0, "the realised L² is not"


def test_the_contents_of_a_record(finished):
    params = load_file(finished.path / PARAMS)
    groups = {f"{g}.{b}" for g in ("initial", "final", "best", "transported") for b in "cUW"}
    assert set(params) == groups | {"X", "q", "y"}
    with np.load(finished.path / TRACE) as trace:
        steps = trace["step"]
        assert steps[0] == 0
        assert steps[-1] == SMALL_RUN["tau"]
        assert all(len(trace[name]) == len(steps) for name in trace.files)
        assert {
            *("optimization/training/mse", "displacement/trajectory/c"),
            *("linearization/trajectory/max", "change_of_feature/trajectory/rms"),
        } <= set(trace.files)
        training = finished.terms["optimization"]["training"]
        assert trace["optimization/training/mse"][-1] == pytest.approx(
            training["final_mse"], rel=1e-12
        )
        for statistic in ("max", "mean", "rms"):
            assert (
                trace[f"linearization/trajectory/{statistic}"].max()
                == finished.terms["linearization"]["trajectory"][statistic]
            )
    assert training["min_rmse"] == math.sqrt(training["min_mse"])
    assert 0 <= training["best_step"] <= SMALL_RUN["tau"], "minimum and best are over s ≤ τ"


@pytest.mark.parametrize("fields", [
    {"tau": 1, "n": 1, "T": 1, "d": 1, "m": 2, "records": 2},
    {"rho": 0, "nu": 0}, {"rho": 0.1}, {"method": "gd", "eta": 1e9},
    {"method": "decay", "eta": 2.0},
    {"method": "projsgd", "batch": 5, "validation": 0.3}, {"query": "fixed"}, {"bounds": False},
    {"activation": "relu", "bounds": False}, {"activation": "relu", "bounds": False,
    "transport": "constant"}, {"search_restarts": 1, "search_steps": 1, "search_samples": 99},
    {"activation": "bump", "transport": "anchors", "input_norm": 5}, {"nu": 30, "eta": 100.0},
], ids=str)  # fmt: skip
def test_no_number_is_ever_infinite(fields, tmp_path):
    record = run(Config(**{**SMALL_RUN, **fields}), Execution(tmp_path, threads=1))
    text = (record.path / RUN).read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in run.json"))
    assert all(math.isfinite(x) for x in numbers(found))
    for name, column in record.trace.items():
        assert np.isfinite(column).all(), name
    assert all(row.verdict != "bound-violated" for row in record.checks)
    nulls = [name for name, bound in record.bounds.items() if bound is None]
    assert not nulls or record.notes, "every null has its reason in the notes"


def test_divergence_keeps_what_was_recorded(tmp_path):
    config = Config(**{**SMALL_RUN, "method": "gd", "eta": 1e9})
    record = run(config, Execution(tmp_path, threads=1))
    assert record.status == "diverged"
    assert any(note.startswith("diverged: ") and "step 1" in note for note in record.notes)
    assert record.trace["step"].tolist() == [0]
    assert record.terms["optimization"]["training"]["best_step"] == 0


def test_a_nan_is_refused_before_anything_is_written(tmp_path, finished):
    with pytest.raises(ValueError, match="JSON"):
        write(replace(finished, terms={"x": math.nan}), tmp_path / "out")
    assert not list(tmp_path.rglob("*.*")), "neither a record nor a temporary file"


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_config_gives_the_same_bits(threads, tmp_path, spread):
    again = run(Config(**SPREAD), Execution(tmp_path, threads=threads))
    assert_same(spread, again)


@pytest.fixture(scope="module")
def spread(tmp_path_factory):
    return run(Config(**SPREAD), Execution(tmp_path_factory.mktemp("spread"), threads=1))


@pytest.mark.parametrize("fields", [
    {"method": "projsgd", "batch": 5}, {"query": "fixed"}, {"transport": "anchors"}, {"seed": 1},
], ids=str)  # fmt: skip
def test_every_kind_of_run_is_pure(fields, tmp_path):
    config = Config(**{**SMALL_RUN, **fields})
    assert_same(*[run(config, Execution(tmp_path / str(t), threads=t)) for t in (1, 2)])


def test_saving_less_changes_no_number(finished, tmp_path):
    bare = run(Config(**SMALL_RUN), Execution(tmp_path, threads=1, save_params=False))
    assert bare.arrays == {}
    assert bare.terms == finished.terms
    assert bare.id == finished.id
    some = run(Config(**SMALL_RUN), Execution(tmp_path / "b", threads=1, save_inputs=False))
    assert "X" not in some.arrays
    with pytest.raises(InputError, match=r"saved without X, q, y; run it again with its"):
        verify(some)


def test_reuse_and_force(tmp_path):
    config, told, calls = Config(**SMALL_RUN), [], []
    how = Execution(tmp_path, threads=1)
    first = run(config, how, Audience(reused=told.append))
    assert not told
    second = run(config, how, Audience(lambda *seen: calls.append(seen), told.append))
    assert told == [second]
    assert not calls, "a reused record is not trained again"
    assert_same(first, second)
    third = run(config, Execution(tmp_path, threads=1, force=True), Audience(reused=told.append))
    assert len(told) == 1
    assert_same(first, third)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", first.id]


def test_a_damaged_record_is_never_reused(copied):
    """A truncated file is noticed, and the run made again without --force."""
    (copied / TRACE).write_bytes((copied / TRACE).read_bytes()[:-50])
    told = []
    again = run(
        Config(**SMALL_RUN), Execution(copied.parent, threads=1), Audience(reused=told.append)
    )
    assert not told
    assert_same(again, read(copied))


@pytest.mark.parametrize("name", [RUN, TRACE, PARAMS])
@pytest.mark.parametrize("how", ["cut", "empty", "garbled"])
def test_reading_a_damaged_record_is_one_line(copied, name, how):
    whole = (copied / name).read_bytes()
    content = {"cut": whole[:-9], "empty": b"", "garbled": bytes(b ^ 85 for b in whole)}[how]
    (copied / name).write_bytes(content)
    with pytest.raises(InputError, match=name.replace(".", r"\.")) as caught:
        read(copied)
    assert "\n" not in str(caught.value)


def test_a_trace_with_a_flipped_bit_is_one_line(copied):
    """As long as it was written, but its checksum is not: a worn disk, a broken copy."""
    whole = bytearray((copied / TRACE).read_bytes())
    whole[200] ^= 1
    (copied / TRACE).write_bytes(whole)
    with pytest.raises(InputError, match=r"trace\.npz"):
        read(copied)


def test_records_of_another_schema(copied):
    tamper(copied, schema=999)
    with pytest.raises(InputError, match=r"schema 999 is not 2; run it again"):
        read(copied)


@pytest.mark.parametrize("content", ["[]", "{}", "3", '{"id": "x"}'])
def test_json_that_is_no_record(copied, content):
    (copied / RUN).write_text(content)
    with pytest.raises(InputError, match="not a record of ntkbound"):
        read(copied)
