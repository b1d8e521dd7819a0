"""AR(L) and CSV series: the process, windows, the split in time, and every defect's one line."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from ntkbound.core.errors import InputError
from ntkbound.core.registry import configure, find
from ntkbound.heads.tasks.series import autoregressive, position_channels, read_series, windows
from ntkbound.theorems.shallow_transformer.data import prepare
from tests.support.problems import parts

MODEL = ["--model=indrnn", "--m=4", "--tau=5", "--search-steps=2", "--threads=1"]


def load(**fields):
    config, digest, make = parts(prepare(configure(fields)))
    return config, digest, make(None, None, None)


@pytest.mark.parametrize("lag", [1, 3, 16])
def test_autocovariance(lag):
    """γ(kL) = 0.9^k and 0 between; from the first value on."""
    x = autoregressive(lag, 200_000, seed=1).values
    error = 4 * math.sqrt((1 + 0.81) / (1 - 0.81) / len(x))
    for shift in range(2 * lag + 1):
        found = float(np.mean(x[: len(x) - shift] * x[shift:]))
        expected = 0.9 ** (shift // lag) if shift % lag == 0 else 0.0
        assert abs(found - expected) < error, f"lag {lag}, shift {shift}"
    noise = x[lag:] - 0.9 * x[:-lag]
    assert float(np.var(noise)) == pytest.approx(0.19, abs=5e-3)
    starts = np.array([autoregressive(lag, lag, seed).values[0] for seed in range(3000)])
    assert float(np.var(starts)) == pytest.approx(1.0, abs=0.12), "stationary at once"


def test_a_longer_series_begins_with_the_shorter_one():
    short, long = (autoregressive(5, count, seed=3).values for count in (301, 900))
    assert np.array_equal(short, long[:301])
    assert not np.array_equal(short, autoregressive(5, 301, seed=4).values)


@pytest.mark.parametrize("lag", [1, 4])
def test_windows_equal_a_loop(lag):
    series = np.random.default_rng(0).standard_normal(13)
    X, y = windows(series, lag)
    expected = [(series[i : i + lag + 1], series[i + lag + 1]) for i in range(13 - lag - 1)]
    assert len(X) == len(y) == len(expected)
    for row, label, (tokens, target) in zip(X, y, expected, strict=True):
        assert np.array_equal(row, tokens)
        assert label == target


def test_the_useful_token_is_the_second_oldest():
    _, _, task = load(task="ar", lag=7, n=4000, positions="none")
    residual = task.y - 0.9 * task.inputs.X[:, 1, 0]
    assert float(residual.square().mean()) == pytest.approx(0.19, abs=0.02)
    assert task.noise_floor == pytest.approx(0.19)


def test_positions():
    channels = position_channels("sincos", 50)
    for t in (0, 1, 49):
        for k in range(8):
            angle = 2 * math.pi * t / (32 * 2**k)
            assert channels[t, k] == pytest.approx(math.sin(angle), abs=1e-12)
            assert channels[t, 8 + k] == pytest.approx(math.cos(angle), abs=1e-12)
    assert 32 * 2**7 == 4096
    assert np.array_equal(position_channels("onehot", 3), np.eye(3))
    for kind, d in (("sincos", 17), ("onehot", 5), ("none", 1)):
        config, _, task = load(task="ar", lag=3, n=9, positions=kind)
        assert (config.T, config.d) == (4, d) == tuple(task.inputs.X.shape[1:])
        largest = float(task.inputs.X.norm(dim=2).max())
        assert task.token_norm == pytest.approx(largest)


def test_the_query_scale_scales_every_score_and_is_in_the_norm():
    (_, _, one), (_, _, three) = (load(task="ar", lag=2, n=9, query_scale=s) for s in (1, 3))
    assert torch.equal(three.inputs.q, 3 * one.inputs.q)
    assert three.query_norm == 3 * one.query_norm
    assert float(three.inputs.q.norm(dim=1).max()) <= three.query_norm


def write(folder, lines):
    path = folder / "s.csv"
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("header", [[], ["value"]])
def test_a_csv_series_is_split_in_time_without_leakage(tmp_path, header):
    values = np.cumsum(np.random.default_rng(1).standard_normal(60))
    path = write(tmp_path, [*header, *map(repr, values.tolist()), ""])
    config, digest, task = load(task=f"series:{path}", lag=4, positions="none")
    assert (config.n, config.T, config.d, config.n_train) == (55, 5, 1, 44)
    assert digest is not None
    seen = values[: 44 + 5]  # up to the last training label
    scaled = (values - seen.mean()) / seen.std()
    assert np.allclose(task.y.numpy(), scaled[5:])
    assert np.allclose(task.inputs.X[:, :, 0].numpy(), windows(scaled, 4)[0])
    later = values.copy()
    later[49:] += 1e3  # only held-out labels change: nothing that training sees may
    path = write(tmp_path, [*header, *map(repr, later.tolist())])
    _, _, other = load(task=f"series:{path}", lag=4, positions="none")
    assert torch.equal(other.y[:44], task.y[:44])
    assert torch.equal(other.inputs.X[:44], task.inputs.X[:44])
    assert not torch.equal(other.y[44:], task.y[44:])


def test_a_series_counts_by_content(tmp_path):
    write(tmp_path, [str(v * v % 7) for v in range(40)])
    config, digest, _ = load(task=f"series:{tmp_path / 's.csv'}", lag=2)
    elsewhere = configure({**config.model_dump(), "task": "series:other/name.csv"})
    identity = find(config.theorem).identity
    assert identity(config, digest) == identity(elsewhere, digest) != identity(config, "00")
    table = configure({"task": "s.csv", "n": 5, "T": 3, "d": 17, "validation": 0.2})
    assert identity(table, digest) != identity(config, digest)
    assert elsewhere.portable()["task"].startswith("series:/")


@pytest.mark.parametrize(("lines", "text"), [
    (["value", "1", "two"], "line 3 holds 'two', which is no number"),
    (["1", "2,3"], "line 2 has 2 fields; one column is needed"),
    (["1", "", "3"], "line 2 is empty; a series has no gaps"),
    (["1", "nan"], "line 2 holds nan; values must be finite and at most 1e+12"),
    (["1", "1e300"], "line 2 holds 1e300; values must be finite"),
    (["1", "2", "3"], "holds 3 values; lag 2 needs at least 4"),
    (["value"], "holds 0 values; lag 2 needs at least 4"),
    (["5"] * 30, "the 25 training values are equal"),
], ids=str)  # fmt: skip
def test_bad_series_are_one_line(refused, folder, lines, text):
    write(folder, lines)
    message = refused("train", "--task=series:s.csv", "--lag=2", *MODEL)
    assert message.startswith("--task series:s.csv: ")
    assert text in message


def test_bad_series_options(refused):
    assert refused("train", "--task=series:absent.csv", *MODEL).startswith(
        "--task series:absent.csv: cannot be read (No such file"
    )
    assert refused("train", "--task=ar", "--lag=4", "--T=9", *MODEL) == (
        "--T: 9 contradicts the data, which has T = 5"
    )


def test_series_are_read_as_bytes_of_text(tmp_path):
    path = tmp_path / "s.csv"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"not a readable CSV"):
        read_series(path)


def test_the_command_on_a_series(command, folder):
    write(folder, ["v", *(f"{math.sin(t / 3):.6f}" for t in range(60))])
    code, out, err = command(
        "train", "--task=series:s.csv", "--lag=1", "--positions=onehot", *MODEL, "--json", "--quiet"
    )
    assert (code, err) == (0, "")
    data = json.loads(out)
    assert data["id"].startswith("indrnn-s-L1-m4-")
    assert data["config"]["n"] == 58
    training = data["terms"]["optimization"]["training"]
    assert "noise_floor" not in training
    assert training["min_validation_mse"] > 0
    assert any("standardised by mean" in note for note in data["notes"])
