"""Which of its iterates a descent remembers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ntkbound.heads.training.descent import Schedule, Watcher, descend
from ntkbound.heads.training.objective import Objective
from ntkbound.heads.training.step import Rule


class Bowl(Objective):
    """R̂(φ) = Σ_i c_i², whose step of size η multiplies c by 1 − 2η."""

    dtype = torch.float64

    def evaluate(self, params, grads):
        grads["c"].copy_(2 * params["c"])
        return params["c"].square().sum(1)

    def load(self, inputs, y):
        raise NotImplementedError


def descended(eta, tau=4):
    """Two runs, the second with a step that turns back and grows."""
    initial = {"c": torch.tensor([[1.0, -1.0], [1.0, -1.0]])}
    rule = Rule(torch.tensor([eta, 1.1], dtype=torch.float64), None)
    seen = []
    watcher = Watcher(lambda step, params, norms: seen.append((step, norms.copy())))
    return descend(Bowl(), initial, rule, Schedule(tau, [0]), watcher), seen


def test_the_minimum_is_over_the_last_iterate_too():
    found, seen = descended(0.25)
    assert found.best_step.tolist() == [4, 0]
    assert found.best["c"][0].tolist() == found.final["c"][0].tolist() == [0.5**4, -(0.5**4)]
    assert found.best["c"][1].tolist() == [1.0, -1.0]
    assert [step for step, _ in seen] == [0, 4]


def test_the_mean_is_over_the_steps_of_the_theorem():
    """It sums over s < τ: φ_τ is where the last of its steps arrives."""
    found, _ = descended(0.25)
    assert found.mean_mse[0] == pytest.approx(np.mean([2 * 0.25**s for s in range(4)]))


def test_the_largest_gradient_is_over_the_same_steps_as_the_minimum():
    found, seen = descended(0.25)
    assert found.gradient_norm_max[1] == pytest.approx(seen[-1][1][1]), "the last is the largest"
    assert found.gradient_norm_max[0] == pytest.approx(seen[0][1][0])
