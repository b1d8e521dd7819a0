"""The studies of this theorem at their smallest size, and the presets of every size."""

from __future__ import annotations

import json

import pytest

from ntkbound.core.preset import load_preset
from ntkbound.studies import studies
from ntkbound.theorems.next_token import THEOREM
from ntkbound.theorems.next_token.config import Config

OWN = [name for name, study in studies().items() if study.theorem == THEOREM.name]


def test_there_are_five():
    assert [f"next-token{end}" for end in ("", "-margin", "-method", "-scale", "-shift")] == OWN


@pytest.mark.parametrize("name", OWN)
def test_each_has_a_preset_of_every_size(name):
    for size in ("smoke", "small", "paper"):
        edition = studies()[name].at(name, size)
        assert bool(edition.preset.claims) == (name != "next-token")  # that has the theorem's
        assert all(isinstance(config, Config) for config in edition.preset.configs())


@pytest.mark.parametrize("name", OWN)
def test_each_runs(command, folder, name):
    code, out, _ = command("study", name, "--size=smoke", "--jobs=1", "--json", "--out=found")
    assert code == 0
    told = json.loads(out)
    assert told["study"] == name and not told["lost"]
    assert all(one["verdict"] != "inconclusive" for one in told["findings"])
    page = (folder / "found" / f"{name}.md").read_text()
    assert "## What it shows" in page


@pytest.mark.parametrize("name", OWN)
def test_claims_of_the_theorem_are_written_once(name):
    """What a preset repeats of the theorem is the same in every word."""
    for claim in studies()[name].at(name, "paper").preset.claims:
        same = [one for one in THEOREM.claims if one.label == claim.label]
        assert claim in same or not same


def test_other_methods_are_compared_at_their_step_sizes():
    claims = studies()["next-token-method"].at("next-token-method", "small").preset.claims
    orders = [claim for claim in claims if claim.form == "order"]
    told = {(claim.larger["method"], claim.larger.get("eta")) for claim in orders}
    assert told == {("gd", None), ("sgd", None), ("adam", None), ("gd", 1.0), ("gd", 20.0),
                    ("sgd", 1.0), ("adam", 0.001)}  # fmt: skip
    assert {claim.smaller["method"] for claim in orders} == {"ngd"}


def test_the_papers_settings():
    configs = load_preset("next-token/paper/next-token").configs()
    assert len(configs) == 3
    for config in configs:
        assert (config.V, config.T0, config.tau, config.task) == (20, 900, 900, "rollout")
        assert config.eta0 == pytest.approx(0.2 / 20**0.5)
        assert config.eta == pytest.approx(0.05 / 20**0.5)
    scale = load_preset("next-token/next-token-scale").configs()
    assert {(config.V, config.T0) for config in scale} == {(V, 45 * V) for V in (10, 20, 40, 80)}
