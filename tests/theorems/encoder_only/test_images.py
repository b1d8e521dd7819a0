"""Digits: the split, the model against one written out, training, and its record."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from ntkbound.machine.tools import Tools
from ntkbound.theorems.encoder_only import images
from ntkbound.theorems.encoder_only.config import Config

TRAIN = ("train", "--theorem=encoder-only", "--task=images", "--epochs=1")


@pytest.fixture(scope="module")
def digits():
    return images.digits("task")


def config(**fields):
    return Config(task="images", **({"dm": 8, "epochs": 1} | fields))


def test_patches_are_squares_of_two_by_two(digits):
    from sklearn.datasets import load_digits

    pixels = load_digits().images / 16
    assert digits.patches.shape == (1797, 16, 4)
    place = digits.patches[5].reshape(4, 4, 2, 2)  # row and column of a patch, then inside it
    assert np.array_equal(place[2, 1].numpy(), pixels[5, 4:6, 2:4])


def test_the_split_is_drawn_by_the_seed_and_holds_every_image_once(digits):
    one, same, other = (images.split(digits, seed) for seed in (3, 3, 4))
    assert (len(one.train), len(one.test)) == (1437, 360)
    assert torch.equal(one.test.patches, same.test.patches)
    assert not torch.equal(one.test.classes, other.test.classes)
    both = torch.cat([one.train.patches, one.test.patches]).flatten(1)
    assert torch.equal(both.sum(1).sort()[0], digits.patches.flatten(1).sum(1).sort()[0])


@pytest.mark.parametrize("scaling", ["half", "one"])
@pytest.mark.parametrize("init", ["lecun", "he", "ntk"])
@pytest.mark.parametrize("pooling", ["mean", "sum"])
def test_the_model_is_the_one_of_the_page(digits, scaling, init, pooling):
    made = config(scaling=scaling, init=init, pooling=pooling, dm=9, d=7)
    weights = {name: one.numpy() for name, one in images.initial(made).items()}
    found = images.forward(digits.patches[:2], images.initial(made), images.scale_of(made)).numpy()
    tau0 = 9**-0.5 if scaling == "half" else 1 / 9
    s = (9**-0.5 if init == "ntk" else 1) / (16 if pooling == "mean" else 1)
    for n in range(2):
        X = digits.patches[n].numpy() @ weights["E"] + weights["S"]
        out = np.zeros(10)
        for i in range(16):
            scores = tau0 * np.array([(weights["W_Q"] @ X[i]) @ (weights["W_K"] @ x) for x in X])
            share = np.exp(scores) / np.exp(scores).sum()
            out += s * weights["W_O"] @ np.maximum(weights["W_V"] @ (share @ X), 0)
        assert np.allclose(found[n], out, rtol=1e-12, atol=1e-14)


def test_variances(digits):
    made = config(dm=1024, init="he")
    weights = images.initial(made)
    for name, variance in (("E", 1 / 4), ("S", images.POSITION**2), ("W_V", 2 / 64),
                           ("W_O", 2 / 1024)):  # fmt: skip
        assert float(weights[name].square().mean()) == pytest.approx(variance, rel=0.25)


def test_a_step_is_that_of_torch(digits):
    made = config(lr=0.3, momentum=0.8)
    scale = images.scale_of(made)
    ours, theirs = images.initial(made), images.initial(made)
    leaves = {name: one.requires_grad_() for name, one in theirs.items()}
    optimiser = torch.optim.SGD(leaves.values(), lr=0.3, momentum=0.8)
    velocity = {name: torch.zeros_like(one) for name, one in ours.items()}
    for start in (0, 64, 128):
        part = digits.at(slice(start, start + 64))
        images.descend(part, ours, velocity, scale, (0.3, 0.8))
        optimiser.zero_grad()
        cross_entropy(images.forward(part.patches, leaves, scale), part.classes).backward()
        optimiser.step()
    assert all(torch.allclose(ours[name], leaves[name], rtol=1e-12) for name in ours)


def test_the_record(workers):
    found = images.run(config(epochs=2, dm=16), Tools(workers))
    steps = found.trace["step"]
    assert steps.tolist() == [0, 23, 46]
    assert found.trace["image/train/loss"][-1] == found.terms["image"]["train"]["loss"]
    assert found.trace["image/test/accuracy"][-1] == found.terms["image"]["test"]["accuracy"]
    again = images.run(config(epochs=2, dm=16, records=2), Tools(workers))
    assert again.terms == found.terms
    assert again.trace["step"].tolist() == [0, 46]


def test_a_step_that_is_too_large_diverges(workers):
    found = images.run(config(lr=1e6, epochs=3), Tools(workers))
    assert found.status == "diverged"
    assert "lr is too large" in found.notes[0]
    assert np.isfinite(found.trace["image/train/loss"]).all()


def test_training_learns_and_the_smaller_logits_are_slower(workers):
    half, one = (
        images.run(config(scaling=scaling, dm=128, epochs=3, lr=0.2), Tools(workers)).terms["image"]
        for scaling in ("half", "one")
    )
    assert half["train"]["loss"] < 1.7 < one["train"]["loss"]
    assert half["test"]["accuracy"] > 0.3 > one["test"]["accuracy"]


def test_a_run_is_trained_shown_and_verified(command, folder):
    code, out, _ = command(*TRAIN, "--dm=8", "--seed=2")
    assert code == 0
    assert "accuracy" in out
    (path,) = folder.glob("results/*/run.json")
    assert command("show", path) == (0, out, "")
    code, out, _ = command("verify", path)
    assert code == 0 and "test accuracy, by NumPy" in out and "differs" not in out
    data = json.loads(path.read_text())
    assert set(data["terms"]) == {"image"}
    data["terms"]["image"]["train"]["loss"] += 1e-3
    from ntkbound.runs.record import read

    record = read(path.parent)
    altered = record.__class__(**{**vars(record), "terms": data["terms"]})
    assert not all(row.agrees for row in images.verify(altered))


@pytest.mark.parametrize(
    "options",
    [
        ("--tau=5",), ("--N=5",), ("--gamma=2",), ("--tokens=raw",), ("--momentum=1",),
        ("--lr=0",), ("--batch=0",), ("--hessian",), ("--kernel-every=2",), ("--loss=sum",),
    ],
)  # fmt: skip
def test_options_of_the_other_tasks_are_refused(refused, options):
    assert options[0].split("=")[0] in refused(*TRAIN, "--dm=8", *options)


def test_its_options_are_refused_elsewhere(refused):
    assert "--lr" in refused("train", "--theorem=encoder-only", "--lr=0.1")
