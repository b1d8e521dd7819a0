"""A run of this theorem in words."""

from __future__ import annotations

import pytest

from ntkbound.core.record import Record
from ntkbound.theorems.shallow_transformer.show import facts, headline

CONFIG = {
    "m": 64, "tau": 100, "n": 32, "T": 4, "d": 3, "task": "teacher", "lag": None,
    "positions": None, "transport": "rank-one", "activation": "tanh", "query": "last",
    "model": "transformer", "omega": None, "rho": {"c": 1.0, "W": 2.5}, "method": "projgd",
    "eta": 0.012345, "seed": 7, "dtype": "float32",
}  # fmt: skip
TRAINING = {"min_mse": 0.00123456, "best_step": 98, "final_mse": None}


def made(training=(), **config) -> Record:
    terms = {
        "optimization": {"training": {**TRAINING, **dict(training)}},
        "gradient": {
            "training": {"loss_gradient_norm_max": 0.5},
            "boundary_fraction": {"c": 0.25, "W": 0.0},
            "reach": {"c": 1.0, "W": 0.123456},
        },
    }
    return Record("st", "shallow-transformer", 6, CONFIG | config, terms)


def test_sizes_then_what_and_how():
    assert headline(made()).splitlines() == [
        "m = 64  τ = 100  n = 32  T = 4  d = 3",
        "teacher, rank-one, tanh, query last, projgd, η = 0.0123, ρ_c = 1 ρ_W = 2.5, seed 7",
    ]


@pytest.mark.parametrize(
    ("config", "opening"),
    [
        ({"query": None}, "teacher, rank-one, tanh, projgd"),
        ({"omega": 0.5, "model": "indrnn"}, "indrnn ω = 0.5, teacher, rank-one"),
        ({"lag": 8, "positions": "onehot"}, "teacher, lag 8, positions onehot, rank-one"),
        ({"task": "[red].npz"}, "[red].npz, rank-one"),
    ],
)
def test_only_what_there_is_is_named(config, opening):
    assert headline(made(**config)).splitlines()[1].startswith(opening)


def test_facts_of_training():
    told = [
        "minimum MSE 0.00123 at step 98, final –",
        "heads on the boundary of Ω_ρ at the end: c 25.0%, W 0.0%",
        "farthest any head went, in units of 1/√m: c 1, W 0.123",
        "largest ‖∇R̂‖ 0.5",
    ]
    assert facts(made()) == told
    assert facts(made({"min_validation_mse": 0.25})) == [*told, "minimum validation MSE 0.25"]


@pytest.mark.parametrize(
    ("dtype", "rmse", "told"),
    [
        ("float32", 7e-5, "minimum RMSE 7e-05 is less than 10 times the noise floor of float32, "
                          "7.63e-06: rounding may limit it"),
        ("float32", 8e-5, None),
        ("float64", 7e-5, None),
        ("float64", 1e-13, "minimum RMSE 1e-13 is less than 10 times the noise floor of float64, "
                           "1.42e-14: rounding may limit it"),
    ],
)  # fmt: skip
def test_a_minimum_near_the_noise_floor_is_told(dtype, rmse, told):
    found = [fact for fact in facts(made({"min_mse": rmse**2}, dtype=dtype)) if "noise" in fact]
    assert found == ([] if told is None else [told])
