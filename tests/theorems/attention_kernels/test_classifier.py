"""The digits classifier: its model, its options, its numbers again."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ntkbound.runs.record import read
from ntkbound.theorems.attention_kernels import classifier, verify
from ntkbound.theorems.attention_kernels.config import Config
from tests.theorems.attention_kernels.support import MINE

IMAGES = ("train", "--theorem=attention-kernels", "--labels=images", "--steps=2", "--batch=16")


def first(folder):
    (path,) = folder.glob("results/*/run.json")
    return read(path)


def test_defaults():
    config = Config(labels="images")
    assert config.sizes == (1437, 16, 64, 64, 2)
    assert (config.layers, config.optimizer, config.lr) == (2, "adam", 2e-3)
    assert (config.batch, config.steps, config.eta) == (64, 400, None)
    assert Config(labels="images", optimizer="sgd").lr == 0.1
    assert Config(**config.model_dump()) == config


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"layers": 3}, "layers: only used by labels images"),
        ({"optimizer": "sgd"}, "optimizer: only used by labels images"),
        ({"labels": "images", "tau": 7}, "tau: not used by labels images"),
        ({"labels": "images", "train": "V"}, "train: not used"),
        ({"labels": "images", "eta": 0.1}, "eta: not used"),
        ({"labels": "images", "n": 4}, "n: labels images have n = 16"),
        ({"labels": "images", "batch": 1438}, "batch"),
        ({"labels": "images", "rho": 0.1}, "rho: only used by labels near"),
    ],
)
def test_what_is_refused(refused, fields, told):
    line = refused("train", "--theorem=attention-kernels", *(f"--{k}={v}" for k, v in
                                                             fields.items()))  # fmt: skip
    assert told in line.removeprefix("--")


@pytest.mark.parametrize("kernel", ["softmax", "gaussian", "normalised-gaussian"])
def test_a_run_verifies(command, folder, kernel):
    assert command(*IMAGES, f"--kernel={kernel}", "--layers=1", "--D=8", "--d=4", "-q")[0] == 0
    record = first(folder)
    assert all(row.agrees for row in verify.verify(record))
    arrays = {**record.arrays, "W_K.0": record.arrays["W_K.0"] + 0.05}
    altered = record.__class__(**{**vars(record), "arrays": arrays})
    assert not all(row.agrees for row in verify.verify(altered))
    assert record.trace["step"].tolist() == [0, 1, 2]
    assert record.trace["image/test/accuracy"][-1] == record.terms["image"]["test"]["accuracy"]


def test_the_model_by_hand():
    """One token attends with its kernel's weights to LayerNorm of all, and adds to itself."""
    config = Config(labels="images", kernel="gaussian", layers=1, D=6, d=3, H=2)
    w = {name: one.double() for name, one in classifier.initial(config).items()}
    patches = torch.rand(1, 16, 4, dtype=torch.float64)
    found = classifier.forward(patches, w, classifier.KERNELS["gaussian"])
    X = (patches[0] @ w["E"] + w["S"]).numpy()
    Z = (X - X.mean(1, keepdims=True)) / np.sqrt(X.var(1, keepdims=True) + 1e-5)
    out = X.copy()
    for h in range(2):
        q, k = Z @ w["W_Q.0"][h].numpy(), Z @ w["W_K.0"][h].numpy()
        S = np.exp(-((q[:, None] - k[None]) ** 2).sum(-1) / (2 * np.sqrt(3)))
        out += S @ Z @ w["W_V.0"][h].numpy() @ w["W_O.0"][h].numpy()
    expected = out.mean(0) @ w["head"].numpy() + w["bias"].numpy()
    np.testing.assert_allclose(found[0].numpy(), expected, rtol=1e-10)


def test_every_image_is_seen_once_a_pass():
    drawn = torch.cat(list(classifier.batches(0, 479, 6)))
    for half in (drawn[:1437], drawn[1437:]):
        assert sorted(half.tolist()) == list(range(1437))


def test_a_kernel_of_a_users_own(command, folder):
    (folder / "mine.py").write_text(MINE)
    small = ("--layers=1", "--D=8", "--d=4", "-q")
    assert command(*IMAGES, *small, "--kernel=mine.py:softmax")[0] == 0
    own = first(folder).terms
    (path,) = folder.glob("results/*")
    path.rename(folder / "own")
    assert command(*IMAGES, *small)[0] == 0
    shipped = first(folder).terms
    assert own["image"]["train"]["loss"] == pytest.approx(shipped["image"]["train"]["loss"], 1e-5)


def test_too_large_a_rate_diverges(command, folder):
    code, out, _ = command(*IMAGES, "--optimizer=sgd", "--lr=1e30", "--D=8", "--d=4", "--json")
    told = json.loads(out)
    assert code in (0, 1, 3) and told["status"] == "diverged"
