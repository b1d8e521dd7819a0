"""The studies of this theorem at their smallest size, and what they draw and tabulate."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ntkbound.core.preset import load_preset
from ntkbound.core.record import Record
from ntkbound.studies import studies
from ntkbound.studies.study import Evidence
from ntkbound.theorems.encoder_only import THEOREM, curves
from ntkbound.theorems.encoder_only.config import Config
from ntkbound.theorems.encoder_only.studies import encoder_only_width

OWN = [name for name, study in studies().items() if study.theorem == THEOREM.name]
FIGURES = ("Figure 2: ℓ_t/ℓ_0", "Figure 2: ‖θ_{t+1} − θ_t‖", "Figure 9: 1 − cos(K_0, K_t)",
           "Figure 5: ℓ_t/ℓ_0", "Figure 3: ℓ_t/ℓ_0")  # fmt: skip


def test_there_are_six():
    ends = ("", "-drift", "-images", "-kernel", "-scaling", "-width")
    assert [f"encoder-only{end}" for end in ends] == OWN


@pytest.mark.parametrize("name", OWN)
def test_each_has_a_preset_of_every_size(name):
    for size in ("smoke", "small", "paper"):
        assert studies()[name].at(name, size).preset.claims


QUICK = ("encoder-only-images", "encoder-only-kernel")
RUN = [pytest.param(name, marks=() if name in QUICK else pytest.mark.attack) for name in OWN]


@pytest.mark.parametrize("name", RUN)
def test_each_runs(command, folder, name):
    code, out, _ = command("study", name, "--size=smoke", "--jobs=1", "--json", "--out=found")
    assert code == 0
    told = json.loads(out)
    assert told["study"] == name
    assert set(told["lost"].values()) <= {"diverged"}
    page = (folder / "found" / f"{name}.md").read_text()
    assert "## What it shows" in page
    assert (folder / "found" / f"{name}.pdf").is_file()


def test_the_papers_settings():
    configs = load_preset("encoder-only/paper/encoder-only").configs()
    widths = {(c.dm, c.scaling) for c in configs if c.init == "lecun" and c.step == "fixed"}
    assert widths == {(dm, s) for dm in (10, 100, 1000, 4000) for s in ("half", "one")}
    figures = [config for config in configs if config.tokens == "unit"]
    assert {c.N for c in figures} == {100} and {c.tau for c in figures} == {400}
    assert {(c.ds, c.d) for c in figures} == {(10, 100), (1, 100), (100, 1)}
    assert {c.gamma for c in configs if c.init == "ntk" and c.step == "fixed"} == {1.0, 10.0}


def record(ratio=None, conditions=None, trace=None, **fields):
    config = Config(**({"N": 8, "ds": 2, "d": 3} | fields)).model_dump()
    terms = {"optimization": {"training": {} if ratio is None else {"loss_ratio": ratio}},
             "condition": {"prop1_one": conditions or {}, "prop1_init": {}}}  # fmt: skip
    name = f"{fields}"
    return Record(name, THEOREM.name, 1, config, terms, trace=trace or {})


def test_the_width_needed_is_the_median_over_seeds_of_the_smallest():
    reached = {0: 4, 1: 8, 2: 32}  # seed → smallest width that is enough
    runs = [record(1e-3 if dm >= reached[seed] else 0.5, dm=dm, seed=seed, tau=9)
            for seed in reached for dm in (4, 8, 16, 32)]  # fmt: skip
    runs += [record(0.5, dm=dm, seed=seed, tau=9, init="ntk") for seed in reached
             for dm in (4, 8, 16, 32)]  # fmt: skip
    runs += [record(1e-3 if dm >= 2 * reached[seed] else 0.5, dm=dm, seed=seed, tau=9, N=16)
             for seed in reached for dm in (4, 8, 16, 32, 64)]  # fmt: skip
    found = encoder_only_width.widths(Evidence(runs, []))
    table, (panel,) = found.tables[0], found.panels
    assert [row[:3] for row in table.rows] == [
        ["lecun half", "8", "8"], ["lecun half", "16", "16"], ["ntk half", "8", "> 64"]
    ]  # fmt: skip
    assert [(line.label, list(line.y)) for line in panel.lines] == [
        ("lecun half", [8, 16]), ("N", [8, 16]), ("N²", [64, 256]), ("N³", [512, 4096])
    ]  # fmt: skip
    assert table.rows[0][3:] == ["8", "64", "512"]


def test_conditions_are_extrapolated_along_their_line():
    runs = [record(conditions={"ratio2": 1e-4 * dm, "ratio3": 1e-2 / dm}, dm=dm, seed=s, tau=1)
            for dm in (512, 1024, 2048) for s in range(2)]  # fmt: skip
    table = encoder_only_width.widths(Evidence(runs, [])).tables[1]
    rows = {row[2]: row[3:] for row in table.rows}
    assert rows["(2), C = 1"] == ["2048", "0.205", "1", "1e+04"]
    assert rows["(3), C = 1"][2:] == ["-1", "never"]
    assert rows["(2), C = norms"] == ["–"] * 4


def test_lines_are_medians_over_the_steps_that_all_have():
    runs = [
        record(dm=8, seed=seed, trace={"step": np.array(steps), "a/b/c": np.array(values)})
        for seed, steps, values in (
            (0, [0, 1, 2, 4], [9.0, 1.0, 2.0, 3.0]), (1, [0, 1, 3, 4], [9.0, 3.0, 5.0, 7.0])
        )
    ]  # fmt: skip
    (line,) = curves.lines(runs, "a/b/c", "one: two").lines
    assert (line.label, line.x, line.y) == ("lecun half, dm 8", [1, 4], [2.0, 5.0])
    assert (line.low, line.high) == ([1.0, 3.0], [3.0, 7.0])


def test_the_length_of_a_step():
    trace = {"step": np.array([0, 1, 2, 3]), "descent/ratio/step": np.array([1, 2]),
             "descent/ratio/gamma": np.array([0.5, 2.0]),
             "descent/training/gradient_norm": np.array([7.0, 4.0, 3.0, 1.0])}  # fmt: skip
    (line,) = curves.moved([record(dm=8, trace=trace)], "moved").lines
    assert (line.x, line.y) == ([1, 2], [2.0, 6.0])


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "lecun half"),
        ({"tokens": "raw", "init": "ntk", "scaling": "one"}, "ntk one raw"),
        ({"step": "fixed", "gamma": 10.0}, "lecun half γ = 10"),
        ({"step": "adaptive"}, "lecun half adaptive"),
        ({"gamma_of": "half", "scaling": "one"}, "lecun one γ of half"),
        ({"ds": 1}, "lecun half ds = 1"),
    ],
)
def test_arms_are_told_by_what_is_not_unasked(fields, words):
    assert curves.arm(record(dm=8, **fields)) == words
    assert curves.sized(record(dm=8, **fields)) == f"{words}, N 8, d 3"
