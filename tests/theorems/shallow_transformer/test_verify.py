"""``verify``: agrees with an honest record, notices every change."""

from __future__ import annotations

import pytest
from safetensors.numpy import load_file, save_file

from ntkbound import read, run
from ntkbound.core.errors import InputError
from ntkbound.runs.execute import Execution
from ntkbound.runs.record import PARAMS, RUN
from ntkbound.theorems.shallow_transformer.config import Config
from ntkbound.theorems.shallow_transformer.verify import verify
from tests.support.problems import SMALL_RUN, tamper


@pytest.mark.parametrize("fields", [
    {}, {"query": "fixed"}, {"query": "mean", "activation": "erf"}, {"dtype": "float64"},
    {"activation": "bump", "transport": "random-feature"}, {"method": "gd", "eta": 1e9},
    {"validation": 0.25, "method": "projsgd", "batch": 3},
], ids=str)  # fmt: skip
def test_verify_agrees_with_an_honest_record(fields, tmp_path):
    record = run(Config(**{**SMALL_RUN, **fields}), Execution(tmp_path, threads=1))
    rows = verify(read(record.path))
    assert [row.quantity for row in rows if not row.agrees] == []
    assert len(rows) > 10


@pytest.mark.parametrize("name", [
    "initial.c", "initial.U", "initial.W", "final.U", "best.W", "transported.U", "X", "q", "y",
])  # fmt: skip
def test_verify_notices_a_changed_parameter(copied, name):
    params = load_file(copied / PARAMS)
    params[name].flat[0] += 0.01
    save_file(params, copied / PARAMS)
    tamper(copied)
    assert not all(row.agrees for row in verify(read(copied)))


@pytest.mark.parametrize("path", [
    ("linearization", "random", "max"), ("linearization", "aligned", "mean"),
    ("linearization", "worst", "rms"), ("linearization", "transported", "max"),
    ("linearization", "trajectory", "max"), ("change_of_feature", "trajectory", "mean"),
    ("approximation", "transported", "max"), ("change_of_feature", "worst", "max"),
    ("optimization", "training", "min_mse"), ("optimization", "training", "min_rmse"),
    ("optimization", "training", "final_mse"), ("gradient", "training", "feature_norm_max"),
], ids="/".join)  # fmt: skip
def test_verify_notices_a_changed_number(copied, path):
    terms = read(copied).terms
    term, probe, statistic = path
    terms[term][probe][statistic] *= 1.001
    tamper(copied, terms=terms)
    assert not all(row.agrees for row in verify(read(copied)))


def test_an_edit_that_forgets_the_checksum_is_damage(copied):
    path = copied / RUN
    path.write_text(path.read_text().replace('"tau": 20', '"tau": 21'))
    with pytest.raises(InputError, match="does not match its checksum"):
        read(copied)


@pytest.mark.parametrize("name", [PARAMS, "trace.npz"])
def test_a_changed_file_is_damage_even_at_the_same_length(copied, name):
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(bytes(content))
    with pytest.raises(InputError, match="missing or damaged"):
        read(copied)
