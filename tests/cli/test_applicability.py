"""``check`` on runs that a claim is not about: presets swept and judged by the real command."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from tests.support.problems import small_arrays

SMALL = """
tau = 20
records = 3
search_samples = 1
search_restarts = 1
search_steps = 3

[sweep]
m = { from = 16, to = 128, factor = 2 }
seed = { from = 0, to = 2 }
"""
DIGITS = f"""
[run]
task = "digits"
transport = "computed"
n = 16
{SMALL}"""
OWN = f"""
[run]
task = "data.npz"
{SMALL}"""
UNPROJECTED = f"""
[run]
n = 12
T = 3
d = 2
teacher_heads = 256
method = "gd"
rho = 0.01
{SMALL}"""


def claimed(term: str, probe: str, statistic: str, exponent: float, kind: str = "upper") -> str:
    return (
        f'[[claim]]\nterm = "{term}"\nprobe = "{probe}"\nstatistic = "{statistic}"\n'
        f'axis = "m"\nkind = "{kind}"\nexponent = {exponent}\n'
    )


WORST = claimed("linearization", "worst", "max", -0.5, "tight")


@pytest.fixture
def judged(command, folder):
    """Sweeps and judges a preset: exit code, `--json` and the JUnit tags by class name."""

    def call(preset: str) -> tuple[int, dict, dict[str, list[str]]]:
        (folder / "p.toml").write_text(preset, encoding="utf-8")
        code, out, err = command("check", "p.toml", "--jobs=1", "--json", "--junit=j.xml")
        assert out, err
        cases = ET.parse(folder / "j.xml").getroot()
        tags = {case.get("classname"): [child.tag for child in case] for case in cases}
        return code, json.loads(out), tags

    return call


def test_a_claim_on_runs_outside_the_theorem_is_skipped_and_nothing_is_concluded(judged):
    """Descent without projection, and a false rate."""
    code, told, tags = judged(UNPROJECTED + claimed("optimization", "training", "min_mse", -3.0))
    (fit,) = told["fits"]
    assert (fit["verdict"], fit["p"], fit["slope"] > -3) == ("condition-not-met", None, True)
    assert "full-batch projected descent" in fit["reason"]
    assert {bound["verdict"] for bound in told["bounds"]} >= {"holds", "condition-not-met"}
    assert (code, told["verdict"]) == (3, "inconclusive")
    assert tags["optimization.training.min_mse"] == tags["check"] == ["skipped"]


def test_rates_of_a_map_computed_from_the_initialisation_are_never_violated(judged):
    """Digits: approximation does not fall with m there, and nothing says that it should."""
    code, told, tags = judged(DIGITS)
    fits = {(fit["term"], fit["probe"]): fit for fit in told["fits"]}
    apart = {key for key in fits if key[0] in ("approximation", "change_of_feature")}
    apart.add(("linearization", "transported"))
    assert len(apart) == 4
    for key, fit in fits.items():
        assert (fit["verdict"] == "condition-not-met") == (key in apart), key
    assert "independent of the initialisation" in fits["approximation", "transported"]["reason"]
    assert fits["approximation", "transported"]["slope"] > -0.2
    assert fits["linearization", "worst"]["verdict"] == "tight"
    assert tags["approximation.transported.max"] == ["skipped"]
    # Not by them: two of the other claims want more than three seeds.
    others = {fit["verdict"] for key, fit in fits.items() if key not in apart}
    assert (code, told["verdict"]) == (3, "inconclusive") and "inconclusive" in others


def test_what_cannot_exist_without_a_transport_costs_no_exit_code(judged, folder):
    np.savez(folder / "data.npz", **small_arrays(16))
    code, told, tags = judged(OWN + WORST + claimed("approximation", "transported", "max", -0.5))
    worst, absent = told["fits"]
    assert (worst["verdict"], absent["verdict"], absent["points"]) == (
        "tight",
        "condition-not-met",
        0,
    )
    assert absent["reason"] == "12 of 12 runs: condition not met: transport known"
    assert (code, told["verdict"]) == (0, "holds")
    assert tags["approximation.transported.max"] == ["skipped"]
