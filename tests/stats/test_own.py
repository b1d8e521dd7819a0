"""Columns of somebody's own become runs: what each was taken for, and the table that is judged."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from ntkbound.core.claim import Claim
from ntkbound.core.errors import InputError
from ntkbound.core.frame import Frame
from ntkbound.core.quantity import Key
from ntkbound.runs.formats.gather import cells_of
from ntkbound.stats import fit_power_laws, judge_claims, observe
from ntkbound.stats.own import own_table
from ntkbound.stats.roles import Named, Roles, roles_of

SEEDS, WIDTHS = range(4), (8, 16, 32)


def frame(columns: Mapping[str, Sequence[Any]], settings: Sequence[str] = ()) -> Frame:
    count = len(next(iter(columns.values())))
    cells = {name: cells_of([str(cell) for cell in texts]) for name, texts in columns.items()}
    rows, file = np.arange(count) + 2, np.zeros(count, dtype=np.int32)
    return Frame(cells, rows, ("t.csv",), file, frozenset(settings))


def grid(**axes: Sequence[Any]) -> dict[str, list[Any]]:
    """Every combination, a column each, the last axis fastest."""
    columns = map(list, zip(*itertools.product(*axes.values()), strict=True))
    return dict(zip(axes, columns, strict=True))


def with_loss(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """A real-valued column, different in every row."""
    count = len(next(iter(columns.values())))
    return {**columns, "loss": [1 / (3 + k) for k in range(count)]}


def roles(
    columns: Mapping[str, Sequence[Any]], settings: Sequence[str] = (), **named: Any
) -> Roles:
    return roles_of(frame(columns, settings), Named(**named))


RUNS = with_loss(grid(method=["gd", "adam"], m=WIDTHS, seed=SEEDS))
STEPS = with_loss(grid(method=["gd", "adam"], m=WIDTHS, seed=SEEDS, step=[0, 10, 20]))


def test_a_row_a_run():
    assert roles(RUNS) == Roles(("loss",), ("m",), ("seed",), "", ("method",))


def test_a_row_a_step():
    assert roles(STEPS) == Roles(("loss",), ("m",), ("seed",), "step", ("method",))


@pytest.mark.parametrize("name", ["seed", "Seed", "run", "trial", "data_seed", "random_state"])
def test_seeds_by_name(name):
    columns = {name if key == "seed" else key: cells for key, cells in RUNS.items()}
    assert roles(columns).seeds == (name,)


@pytest.mark.parametrize("name", ["Step", "epoch", "iteration", "t", "global_step"])
def test_steps_by_name(name):
    columns = {name if key == "step" else key: cells for key, cells in STEPS.items()}
    assert roles(columns).step == name


def test_further_seed_columns_are_no_arms():
    columns = {**RUNS, "init_seed": [7 + seed for seed in RUNS["seed"]]}
    assert roles(columns).seeds == ("seed", "init_seed")


@pytest.mark.parametrize(
    ("name", "cells", "why"),
    [
        ("seconds", [0.5 + k for k in range(72)], None),  # measured, unless something else is named
        ("epoch", [k % 3 for k in range(72)], "another step column"),
        ("correct", [k * k for k in range(72)], "varies along the steps"),
        ("phase", ["warm" if k % 3 == 0 else "main" for k in range(72)], "varies along the steps"),
        ("name", [f"run-{k // 3}" for k in range(72)], "differs from run to run"),
        ("parameters", [7 * m for m in STEPS["m"]], "follows m"),
        ("offset", [3 - seed for seed in STEPS["seed"]], "follows seed"),
    ],
)
def test_what_is_no_arm_is_ignored_and_told(name, cells, why):
    found = roles({**STEPS, name: cells})
    assert found.axes == ("m",)
    assert found.arms == ("method",)
    assert found.ignored == ({name: why} if why else {})
    assert found.values == (("loss",) if why else ("loss", name))
    told = f"values {', '.join(found.values)}; arms: method"
    assert found.told() == "axis m, seed column seed, step column step, " + told + (
        f"; ignored: {name} ({why})" if why else ""
    )


@pytest.mark.parametrize("kind", [int, bool, lambda solved: "ok" if solved else "lost"])
def test_a_result_is_no_arm_and_a_method_with_seeds_of_its_own_is_one(kind):
    solved = [(m + seed) % 3 > 0 for m, seed in zip(RUNS["m"], RUNS["seed"], strict=True)]
    found = roles({**RUNS, "solved": list(map(kind, solved))})
    assert found.ignored == {"solved": "varies between seeds"}
    apart = [
        seed + 10 * (method == "gd")
        for method, seed in zip(RUNS["method"], RUNS["seed"], strict=True)
    ]
    assert roles({**RUNS, "seed": apart}).arms == ("method",)


def test_integers_text_and_flags_are_arms():
    columns = with_loss(grid(depth=[1, 2], ema=["True", "False"], m=WIDTHS, seed=SEEDS))
    assert roles(columns).arms == ("depth", "ema")


@pytest.mark.parametrize(
    "own", [{8: "a", 16: "a", 32: "b", 64: "b"}, {8: "a", 16: "b", 32: "c", 64: "d"}]
)
def test_methods_run_at_widths_of_their_own_stay_apart(own):
    """A word is no follower of the width: joined, two methods would make one line."""
    columns = with_loss(grid(m=(8, 16, 32, 64), seed=SEEDS))
    columns["method"] = [own[m] for m in columns["m"]]
    assert roles(columns).arms == ("method",)


def test_a_column_of_numbers_and_words_has_its_numbers_first():
    codes, values = cells_of(["x", "10", "2", "auto", "x"]).coded
    assert values == (2, 10, "auto", "x")
    assert codes.tolist() == [3, 1, 0, 2, 3]


def test_what_a_path_says_is_a_setting():
    columns = with_loss(grid(lr=[0.1, 0.25, 0.5], seed=SEEDS))
    assert roles(columns, ["lr"]).axes == ("lr",)
    with pytest.raises(InputError, match=r"they differ in lr, which is ignored"):
        own_table(frame(columns), Named(values=("loss",)))
    assert roles(columns, values=("loss",), axes=("lr",)).axes == ("lr",)


def test_what_never_varies_is_not_measured():
    found = roles({**RUNS, "lr": [0.25 for _ in RUNS["m"]]})
    assert (found.values, found.ignored) == (("loss",), {"lr": "real-valued"})


def test_what_claims_name():
    claim = Claim(column="loss", axis="m", kind="tight", exponent=-0.5, where={"lr": {"from": 0.2}})
    named = Named().and_of([claim, claim])
    assert named == Named(values=("loss",), axes=("m",), fields=("lr",))
    columns = {**RUNS, "lr": [0.5 for _ in RUNS["m"]], "seconds": RUNS["loss"]}
    found = roles_of(frame(columns), named)
    assert found.arms == ("lr", "method") or found.arms == ("method", "lr")
    assert found.ignored == {"seconds": "real-valued"}


def test_without_an_axis_runs_are_looked_at_along_their_steps():
    columns = with_loss(grid(seed=SEEDS, step=range(20)))
    assert roles(columns).axes == ("step",)


def test_runs_are_what_arms_axis_and_seed_tell_apart():
    order = np.random.default_rng(0).permutation(len(STEPS["m"]))
    shuffled = {name: [cells[k] for k in order] for name, cells in STEPS.items()}
    own = own_table(frame(shuffled), Named())
    (part,) = own.table.parts
    assert len(part.ids) == len(part.traces) == 24
    assert part.keys == (Key.of_column("loss"),)
    assert part.seeds == ["seed"]
    assert set(part.varying()) == {"method", "m"}
    names = ("method", "m", "seed", "step")
    loss = dict(zip(zip(*(STEPS[n] for n in names), strict=True), STEPS["loss"], strict=True))
    for row, trace in enumerate(part.traces):
        run = [part.fields[n].values[part.fields[n].codes[row]] for n in ("method", "m", "seed")]
        assert trace["step"].tolist() == [0, 10, 20]
        assert trace["loss"].tolist() == [loss[(*run, step)] for step in (0, 10, 20)]
        assert part.values[row, 0] == trace["loss"][-1]
        assert shuffled["loss"][int(part.ids[row].removeprefix("row ")) - 2] == trace["loss"][-1]


def test_runs_of_different_length_are_told():
    columns = {name: cells[:-1] for name, cells in STEPS.items()}
    assert own_table(frame(columns), Named()).notes == ("runs end at different steps, 10 to 20",)


def test_flags_are_numbers_where_they_are_measured():
    columns = {**RUNS, "success": ["True" if m > 8 else "False" for m in RUNS["m"]]}
    (part,) = own_table(frame(columns), Named(values=("success",))).table.parts
    assert part.values[:, 0].tolist() == [
        float(part.fields["m"].values[code] > 8) for code in part.fields["m"].codes
    ]


def test_the_table_recovers_what_was_planted():
    columns = grid(method=["a", "b"], m=(8, 16, 32, 64), seed=range(5))
    noise = np.random.default_rng(1).standard_normal(40)
    rate = {"a": -0.5, "b": -1.0}
    columns["loss"] = [
        m ** rate[method] * float(np.exp(0.02 * z))
        for method, m, z in zip(columns["method"], columns["m"], noise, strict=True)
    ]
    own = own_table(frame(columns), Named())
    for fit in fit_power_laws(observe(own.table)):
        assert fit.slope == pytest.approx(rate[dict(fit.series.arm)["method"]], abs=0.05)
    claim = Claim(column="loss", axis="m", kind="upper", exponent=-0.75)
    assert [v.verdict for v in judge_claims(own.table, [claim])] == ["violated", "faster"]


def test_a_ratio_of_two_columns_is_an_axis():
    columns = with_loss(grid(m=(8, 16, 32), n=(1, 2), seed=SEEDS))
    own = own_table(frame(columns), Named(axes=("m/n",), values=("loss",)))
    assert own.roles.arms == ()
    assert {series.axis for series in observe(own.table)} == {"m/n"}


@pytest.mark.parametrize(
    ("header", "named", "told"),
    [
        (("seed0", "seed1"), {}, "of value"),
        (("loss_0", "loss_1"), {}, "of loss"),
        (("loss0", "loss1"), {}, "of loss"),
        (("loss_seed0", "loss_seed1"), {}, "of loss"),
        (("loss (seed 0)", "loss (seed 1)"), {}, "of loss"),
        (("seed_0_loss", "seed_1_loss"), {}, "of loss"),
        (("0", "1"), {"values": ("loss",)}, "of loss"),
    ],
)
def test_one_column_per_seed(header, named, told):
    columns = {"m": [8, 16, 32], header[0]: [0.5, 0.25, 0.125], header[1]: [0.75, 0.3, 0.2]}
    own = own_table(frame(columns), Named(**named))
    (part,) = own.table.parts
    assert own.notes == (f"wide: columns {header[0]} … {header[1]} are 2 values of seed {told}",)
    assert own.roles.axes == ("m",)
    assert sorted(part.values[:, 0].tolist()) == [0.125, 0.2, 0.25, 0.3, 0.5, 0.75]
    (series,) = observe(own.table)
    assert series.values.tolist() == [[0.5, 0.25, 0.125], [0.75, 0.3, 0.2]]


@pytest.mark.parametrize("name", ["{}", "m{}", "m={}", "loss_m{}", "loss_{}", "loss m = {}"])
def test_one_column_per_axis_value(name):
    header = [name.format(m) for m in (8, 16, 32)]
    losses = ([0.5, 0.75], [0.25, 0.3], [0.125, 0.2])
    columns = {"seed": [0, 1], **dict(zip(header, losses, strict=True))}
    own = own_table(frame(columns), Named(axes=("m",), values=("loss",)))
    (series,) = observe(own.table)
    assert (series.axis, series.term) == ("m", "loss")
    assert series.points.tolist() == [8, 16, 32]
    assert series.values.tolist() == [[0.5, 0.25, 0.125], [0.75, 0.3, 0.2]]


def test_wide_values_keep_together():
    columns = {"m": [8, 16], "a_0": [0.1, 0.2], "b_0": [1.5, 2.5], "a_1": [0.3, 0.4]}
    told = "of a and b only one has a column for seed 1"
    with pytest.raises(InputError, match=told):
        own_table(frame(columns | {"b_2": [0.5, 0.5]}), Named())
    own = own_table(frame(columns | {"b_1": [3.5, 4.5]}), Named())
    assert own.roles.values == ("a", "b")


def test_a_long_table_stays_as_it_is():
    columns = {**RUNS, "layer_1": RUNS["loss"], "layer_2": RUNS["loss"]}
    own = own_table(frame(columns), Named())
    assert own.roles.values == ("loss", "layer_1", "layer_2")
    assert own.notes == ()
