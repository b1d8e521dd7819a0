"""Every form of claim about a foreign table: once holding, once violated, once inconclusive."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support.own_tables import write

SEEDS = 6
STEPS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
HEADER = ("kernel", "m", "seed", "step", "loss", "gap", "accuracy", "solved", "rate")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A row a step. gap falls like 1/√step, loss like e^(−0.02·step) at the rate 0.02 it records;
    at the last step accuracy is about 0.95 and softmax loses a factor 2 to gaussian; gaussian
    solves all runs, softmax half of them."""
    rng = np.random.default_rng(11)
    rows = []
    for kernel, factor in (("gaussian", 1.0), ("softmax", 2.0)):
        for m in (16, 32, 64):
            for seed in range(SEEDS):
                noise = np.exp(0.03 * rng.standard_normal((len(STEPS), 2)))
                accuracy = 0.95 + 0.002 * rng.standard_normal()
                solved = kernel == "gaussian" or seed % 2 == 0
                for step, (a, b) in zip(STEPS, noise.tolist(), strict=True):
                    loss = factor * float(np.exp(-0.02 * step)) * a
                    row = (kernel, m, seed, step, loss, step**-0.5 * b, accuracy, solved, 0.02)
                    rows.append(row)
    return write(tmp_path_factory.mktemp("forms") / "metrics.csv", HEADER, rows)


RATE = 'column = "gap"\nform = "rate"\naxis = "step"\n'
EXPONENTIAL = 'column = "loss"\nform = "exponential"\naxis = "step"\nkind = "tight"\n'
LEVEL = 'column = "accuracy"\nform = "level"\n'
FRACTION = 'column = "solved"\nform = "fraction"\n'
ORDER = 'column = "{}"\nform = "order"\nsmaller = {{kernel = "{}"}}\nlarger = {{kernel = "{}"}}'


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (RATE + 'kind = "upper"\nexponent = -0.5', "tight"),
        (RATE + 'kind = "upper"\nexponent = -1.0', "violated"),
        (RATE + 'kind = "upper"\nexponent = -0.5\nstart = 300', "inconclusive"),
        (EXPONENTIAL + "rate = 0.02", "tight"),
        (EXPONENTIAL + 'rate = {column = "rate"}', "tight"),
        (EXPONENTIAL + "rate = 0.05", "violated"),
        (EXPONENTIAL + "rate = 0.02\nstop = 4", "inconclusive"),
        (LEVEL + 'kind = "lower"\nlevel = 0.9', "holds"),
        (LEVEL + 'kind = "upper"\nlevel = 0.9', "violated"),
        (LEVEL + 'kind = "lower"\nlevel = 0.95\nwhere = {m = 32}', "inconclusive"),
        (FRACTION + 'share = 1\nwhere = {kernel = "gaussian"}', "holds"),
        (FRACTION + 'share = 1\nwhere = {kernel = "softmax"}', "violated"),
        (FRACTION + 'share = 0.6\nwhere = {kernel = "softmax"}', "inconclusive"),
        (ORDER.format("loss", "gaussian", "softmax"), "holds"),
        (ORDER.format("loss", "softmax", "gaussian"), "violated"),
        (ORDER.format("accuracy", "softmax", "gaussian"), "inconclusive"),
    ],
)
def test_a_claim_of_every_form(command, folder, table, claim, expected):
    path = folder / "claims.toml"
    path.write_text(f"[[claim]]\n{claim}\n", encoding="utf-8")
    code, out, _ = command("check", table, "--claims", path, "--json")
    assert {fit["verdict"] for fit in json.loads(out)["fits"]} == {expected}
    assert code == {"violated": 1, "inconclusive": 3}.get(expected, 0)
