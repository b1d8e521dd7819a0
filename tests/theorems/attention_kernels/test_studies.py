"""The studies of this theorem at their smallest size, the presets of every size, the claims."""

from __future__ import annotations

import json

import pytest

from ntkbound.core.preset import load_preset
from ntkbound.studies import studies
from ntkbound.theorems.attention_kernels import THEOREM
from ntkbound.theorems.attention_kernels.config import Config

ENDS = ("", "-digits", "-feasible", "-landscape", "-threshold", "-values")
OWN = [name for name, study in studies().items() if study.theorem == THEOREM.name]


def test_there_are_six():
    assert [f"attention-kernels{end}" for end in ENDS] == OWN


@pytest.mark.parametrize("name", OWN)
def test_each_has_a_preset_of_every_size(name):
    for size in ("smoke", "small", "paper"):
        configs = studies()[name].at(name, size).preset.configs()
        assert configs and all(isinstance(config, Config) for config in configs)


QUICK = ("attention-kernels-landscape", "attention-kernels-values")
RUN = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.attack) for name in OWN[1:]
]  # the first is the theorem's own smoke preset


@pytest.mark.parametrize("name", RUN)
def test_each_runs(command, folder, name):
    code, out, err = command("study", name, "--size=smoke", "--jobs=1", "--json", "--out=found")
    told = json.loads(out)
    assert code in (0, 3), err  # a few steps decide little
    assert told["study"] == name and not told["lost"]
    assert all(one["verdict"] != "violated" or one["status"] == "refuted"
               for one in told["findings"])  # fmt: skip
    page = (folder / "found" / f"{name}.md").read_text()
    assert "## What it shows" in page


def test_success_is_drawn_beside_feasibility(command, folder):
    from ntkbound.runs.record import read
    from ntkbound.studies.study import Evidence
    from ntkbound.theorems.attention_kernels.studies.attention_kernels_feasible import figures

    (folder / "runs.toml").write_text(
        "[run]\ntheorem = 'attention-kernels'\ntrain = 'Q'\nH = 2\ntau = 20\n"
        "[sweep]\nsv = [1.0, 3.0]\nkernel = ['gaussian']\nseed = {from = 0, to = 4}\n"
    )
    assert command("sweep", "runs.toml", "--jobs=1", "-q")[0] == 0
    records = [read(path) for path in folder.glob("results/*/run.json")]
    (panel,) = figures(Evidence(records, ())).panels
    share, feasible = panel.lines
    assert feasible.role == "upper" and list(feasible.x) == list(share.x) == [1.0, 3.0]
    for x, y, low, high in zip(share.x, share.y, share.low, share.high, strict=True):
        own = [r for r in records if r.config["sv"] == x]
        assert y == sum(r.terms["optimization"]["training"]["success"] for r in own) / 5
        assert low <= y <= high and high == (y or pytest.approx(1 - 0.025 ** (1 / 5)))
    assert (
        feasible.y[1]
        == sum(r.terms["floor"]["attainable"]["feasible"] for r in records if r.config["sv"] == 3)
        / 5
    )


def test_small_has_every_row_and_paper_more_seeds():
    def told(name):
        return load_preset(f"attention-kernels/{name}").configs()

    small, paper = told("attention-kernels"), told("paper/attention-kernels")
    assert len(small) == 1812 and not any(one.images for one in small)
    assert {one.seed for one in paper if not one.images} == set(range(50))
    digits = {(one.kernel, one.optimizer) for one in paper if one.images}
    assert digits == {(k, o) for k in ("softmax", "gaussian") for o in ("adam", "sgd")}
    for claim in THEOREM.claims:  # each is about some run of the largest study
        keys = {k: v for k, v in claim.where.items() if not isinstance(v, list | dict)}
        assert any(all(getattr(one, k) == v for k, v in keys.items()) for one in paper), claim


def test_what_is_false_as_stated_says_why():
    refuted = {one.label for one in THEOREM.claims if one.status == "refuted"}
    assert refuted == {
        "Theorem 1 as stated, four heads", "W_Q alone takes the Gaussian to zero",
        "W_Q alone does not take the softmax to zero", "Figure 4: softmax is rough",
        "Figures 2, 3: Gaussian ahead, by SGD",
    }  # fmt: skip
