"""Studies: declared in one file, run by one command, concluded from their verdicts alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ntkbound import studies
from ntkbound.cli import main
from ntkbound.core.claim import Claim
from ntkbound.core.preset import load_preset
from ntkbound.report import study_files
from ntkbound.report.conclusions import conclude
from ntkbound.report.study_page import as_markdown
from ntkbound.stats import Series
from ntkbound.stats.segmented import fit_bend
from ntkbound.studies.evaluate import evaluate, read_records
from ntkbound.studies.growth import growth
from ntkbound.studies.study import Evidence, Finding
from ntkbound.theorems.shallow_transformer.studies import (
    lag,
    membership,
    projection,
    samples,
    seq_length,
)

NAMES = [
    "horizon",
    "input-norm",
    "lag",
    "membership",
    "projection",
    "regime",
    "samples",
    "seq-length",
    "width",
]
PAPER = Path(__file__).parents[3] / "presets" / "paper"


@pytest.fixture(scope="module")
def width(tmp_path_factory):
    """The study `width` at smoke, through the command; its folder."""
    out = tmp_path_factory.mktemp("study")
    with pytest.raises(SystemExit) as stopped:
        main(["study", "width", "--size", "smoke", "--out", str(out), "--jobs", "1", "--quiet"])
    assert stopped.value.code == 0
    return out


def outcome_of(out, study=None):
    identifiers = sorted(path.parent.name for path in out.glob("*/run.json"))
    records = read_records(out, identifiers)
    return evaluate("width", study or studies.load("width"), "smoke", records, {})


def planted(points, curve, seeds=4, noise=0.01):
    rng = np.random.default_rng(7)
    points = np.array(points, dtype=float)
    values = curve(points) * np.exp(noise * rng.standard_normal((seeds, len(points))))
    names = tuple(map(str, range(seeds)))
    return Series("T", "gradient", "training", "feature_norm_max", (), points, values, names)


# The command.


def test_the_list_names_every_study(command):
    code, out, _ = command("study", "--list", "--json")
    assert code == 0
    found = json.loads(out)
    assert [study["name"] for study in found] == NAMES
    assert all(study["question"].endswith("?") for study in found)
    assert all(name in command("study", "--list")[1] for name in NAMES)


def test_a_study_leaves_page_figure_and_records(width):
    page = (width / "width.md").read_text(encoding="utf-8")
    assert "ntkbound study width --size smoke" in page
    assert "![Width](width.pdf)" in page
    assert (width / "width.pdf").read_bytes().startswith(b"%PDF")
    for heading in ("Measured", "Rates", "Verdicts", "What it shows", "What it does not show"):
        assert f"\n## {heading}" in page
    assert "| linearization / worst / max: exactly m^−0.5 | tight |" in page
    assert len(list(width.glob("*/run.json"))) == 16


def test_a_study_resumes_and_speaks_json(width, capsys):
    before = {path: path.stat().st_mtime_ns for path in width.glob("*/run.json")}
    gone = min(before)
    for path in gone.parent.iterdir():
        path.unlink()
    gone.parent.rmdir()
    arguments = ["study", "width", "--size", "smoke", "--out", str(width), "--jobs", "1"]
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--json", "--strict", "--figure-format", "svg"])
    assert stopped.value.code == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["study"], told["verdict"], told["lost"]) == ("width", "holds", {})
    assert {fit["axis"] for fit in told["fits"]} == {"m"}
    after = {path: path.stat().st_mtime_ns for path in width.glob("*/run.json")}
    assert [path for path in before if after[path] != before[path]] == [gone]
    assert (width / "width.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["widht"], "study: 'widht' is unknown; accepted: horizon, "),
        (["widht"], "; did you mean 'width'?"),
        (["width", "--size", "smal"], "--size: 'smal' is unknown; accepted: smoke, small, paper"),
        (["width", "--figure-format", "gif"], "--figure-format: 'gif' is unknown; accepted: pdf"),
        ([], "study: give a NAME; ntkbound study --list names them"),
    ],
)
def test_mistakes_are_one_line(refused, arguments, message):
    assert message in refused("study", *arguments)


# Declarations.


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", ["smoke", "small", "paper"])
def test_every_size_of_every_study_is_a_valid_preset(name, size):
    study = studies.load(name)
    configs = study.preset(name, size).configs()
    seeds = {config.seed for config in configs}
    assert len(seeds) >= (3 if size != "paper" else 10)
    assert len(configs) > len(seeds)


@pytest.mark.parametrize("name", ["width", "horizon"])
def test_paper_is_the_published_preset(name):
    published = load_preset(PAPER / f"{name}.toml").configs()
    own = studies.load(name).preset(name, "paper").configs()
    assert {c.identity() for c in own} == {c.identity() for c in published}


def test_the_published_transformer_runs_are_in_seq_length():
    published = load_preset(PAPER / "seq-length.toml").configs()
    own = studies.load("seq-length").preset("seq-length", "paper").configs()
    assert {c.identity() for c in published} < {c.identity() for c in own}


def test_a_new_study_is_one_new_file(tmp_path, monkeypatch):
    source = (
        "from dataclasses import replace\n"
        "from ntkbound.theorems.shallow_transformer.studies.width import STUDY as WIDTH\n"
        "STUDY = replace(WIDTH, title='Mine')\n"
    )
    (tmp_path / "my_own.py").write_text(source, encoding="utf-8")
    from ntkbound.theorems.shallow_transformer import studies as shipped

    monkeypatch.setattr(shipped, "__path__", [*shipped.__path__, str(tmp_path)])
    assert studies.load("my-own").title == "Mine"


# Conclusions.


def test_a_violated_claim_changes_what_the_page_concludes(width):
    claim = Claim(
        term="linearization", probe="worst", statistic="max", axis="m", kind="upper", exponent=-1.0
    )
    true = outcome_of(width)
    false = outcome_of(width, replace(studies.load("width"), claims=[claim]))
    assert (true.verdict, false.verdict) == ("holds", "violated")
    assert "0 are contradicted" in conclude(true).headline
    assert "1 is contradicted" in conclude(false).headline
    statement = "linearization / worst / max: at most m^−1"
    assert f"- **Contradicted**: {statement}. slope" in as_markdown(false, "", "")
    assert "**Contradicted**" not in as_markdown(true, "", "")


def test_strict_turns_the_verdict_into_an_exit_code(width, capsys, monkeypatch):
    steep = Claim(
        term="linearization", probe="worst", statistic="max", axis="m", kind="upper", exponent=-1.0
    )
    planted = replace(studies.load("width"), claims=[steep])
    monkeypatch.setattr(studies, "load", lambda name: planted)
    for extra, expected in (([], 0), (["--strict"], 1)):
        with pytest.raises(SystemExit) as stopped:
            main(["study", "width", "--size", "smoke", "--out", str(width), "-q", *extra])
        assert stopped.value.code == expected


@pytest.mark.parametrize(
    ("verdict", "shown", "left_open"),
    [
        ("tight", "Agrees, and no smaller rate would do: S.", None),
        ("holds", "Agrees: S.", "That the claim is sharp: S."),
        ("faster", "Agrees, with a steeper decay than claimed: S.", "That the claimed rate is"),
        ("violated", "**Contradicted**: S. R.", None),
        ("bound-violated", "**The proved bound is exceeded**: S. R.", None),
        ("not-defined", "Measured, and judged by no claim: S. R.", None),
        ("inconclusive", None, "Undecided: S. R."),
        ("condition-not-met", None, "Not covered, its conditions are not met: S. R."),
        ("vacuous", None, "Not constrained, the bound says nothing here: S. R."),
    ],
)
def test_every_verdict_has_its_own_conclusion(width, verdict, shown, left_open):
    outcome = replace(outcome_of(width), findings=[Finding("S", verdict, "R")])
    said = conclude(outcome)
    assert [line for line in said.shows if "S" in line] == ([shown] if shown else [])
    about = [line for line in said.leaves_open if ": S." in line]
    assert len(about) == (left_open is not None)
    assert all(line.startswith(left_open) for line in about)
    assert said.leaves_open[-1].startswith("Anything outside the range measured: m = 16 … 128")


def test_lost_runs_are_told_and_leave_nothing_certain(width):
    records = read_records(width, sorted(p.parent.name for p in width.glob("*/run.json")))
    outcome = evaluate("width", studies.load("width"), "smoke", records, {"x": "out of memory"})
    assert outcome.verdict == "inconclusive"
    said = conclude(outcome).leaves_open[-1]
    assert said == "What 1 run would have said that did not finish: out of memory."


@pytest.mark.parametrize("name", NAMES)
def test_a_study_whose_runs_all_failed_says_so(name):
    outcome = evaluate(name, studies.load(name), "smoke", [], {"x": "out of memory"})
    assert outcome.verdict == "inconclusive"
    page = as_markdown(outcome, "", "No figure")
    assert "Nothing was judged" in page and "out of memory" in page


def test_without_matplotlib_the_page_says_so(width, tmp_path, monkeypatch):
    monkeypatch.setattr(study_files, "find_spec", lambda name: None)
    page = study_files.write_study(outcome_of(width), tmp_path, "pdf", "ntkbound study width")
    assert study_files.NO_MATPLOTLIB in page.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [page]


# Evaluations of single studies, on planted data.


@pytest.mark.parametrize(("where", "before"), [(0.7, -0.9), (1.0, -0.5), (1.6, -0.4)])
def test_a_planted_bend_is_found(where, before):
    series = planted(
        [0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8],
        lambda x: 0.1 + before * np.minimum(x - where, 0),
    )
    bend = fit_bend(series)
    assert bend.low <= where * 1.02 and bend.high >= where * 0.98
    assert bend.x == pytest.approx(where, rel=0.05)
    assert bend.before == pytest.approx(before, rel=0.05)
    assert bend.after == pytest.approx(0, abs=0.02)


def test_four_points_have_no_bend():
    bend = fit_bend(planted([1, 2, 3, 4], np.sqrt))
    assert np.isnan(bend.x) and bend.high == np.inf


@pytest.mark.parametrize(
    ("where", "verdict"), [(0.6, "holds"), (1.5, "violated"), (None, "inconclusive")]
)
def test_the_threshold_of_membership_is_judged(where, verdict):
    def loss(rho, rng):
        fall = rho - 3 if where is None else min(rho - where, 0)
        return float((0.1 - 0.3 * fall) * np.exp(0.01 * rng.standard_normal()))

    rng = np.random.default_rng(3)
    rows = [
        {
            "status": "complete",
            "config": {
                "rho": dict.fromkeys("cUW", rho),
                "nu": dict.fromkeys("cUW", 1.0),
                "seed": s,
            },
            "terms": {"optimization": {"training": {"min_mse": 0.0, "min_rmse": loss(rho, rng)}}},
        }
        for rho in membership.RATIOS
        for s in range(4)
    ]
    (finding,) = membership.judge(Evidence(rows, [])).findings
    assert finding.verdict == verdict, finding.reason


def test_an_unresolved_slope_is_neither_growth_nor_its_absence():
    found = growth(planted([4, 8, 16, 32], lambda T: T**0.3, noise=2.0))
    assert (found.grows, found.word) == (None, "undecided"), found.reason


@pytest.mark.parametrize(
    ("word", "curve"),
    [
        ("exponential", lambda T: np.exp(0.1 * T)),
        ("power", lambda T: T**1.5),
        ("log", lambda T: np.log(T)),
        ("none", lambda T: 1 + 0 * T),
        ("none", lambda T: T**-0.5),
    ],
)
def test_planted_growth_is_recognised(word, curve):
    found = growth(planted([4, 8, 16, 32, 64], curve))
    assert (found.word, found.grows) == (word, word != "none"), found.reason


@pytest.mark.parametrize(
    ("curve", "verdict"), [(lambda T: np.exp(0.2 * T), "holds"), (lambda T: T**2, "violated")]
)
def test_exponential_growth_of_the_recurrence_is_decided_by_fit(curve, verdict):
    series = planted([4, 8, 16, 32], curve)
    rows = [
        {
            "id": f"{omega}-{T}-{s}",
            "status": "complete",
            "config": {"model": "indrnn", "omega": omega, "T": T, "seed": s},
            "terms": {"gradient": {"training": {"feature_norm_max": float(series.values[s, j])}}},
        }
        for omega in (1.1, 1.5)
        for j, T in enumerate([4, 8, 16, 32])
        for s in range(4)
    ]
    found = seq_length.judge(Evidence(rows, [])).findings
    assert [finding.verdict for finding in found] == ["not-defined", verdict]


def test_the_width_needed_is_where_the_power_law_meets_the_target():
    rows = [
        {
            "config": {"n": n, "seed": s, "m": m},
            "terms": {"approximation": {"transported": {"max": (np.log(n) / m) ** 0.5}}},
        }
        for n in (100, 1000)
        for s in range(2)
        for m in (32, 64, 128)
    ]
    for row in samples.width_needed(rows):
        heads = row["terms"]["width_needed"]["approximation"]["heads"]
        assert heads == pytest.approx(np.log(row["config"]["n"]) / samples.TARGET**2)


def test_a_projection_that_changes_free_runs_is_caught():
    def row(loss):
        went = {"trajectory": {"block_max": 1.0}}
        return {"terms": {"optimization": {"training": {"final_mse": loss}}, "displacement": went}}

    same = projection.same_where_free(4.0, {0: row(0.5)}, {0: row(0.5)})
    other = projection.same_where_free(4.0, {0: row(0.5)}, {0: row(0.6)})
    bound = projection.same_where_free(0.5, {0: row(0.5)}, {0: row(0.6)})
    assert [f.verdict for f in (same, other, bound)] == ["holds", "violated", "condition-not-met"]


@pytest.mark.parametrize(
    ("recurrent", "attention", "verdict"),
    [((0.2, 0.3), (0.4, 0.5), "holds"), ((0.4, 0.5), (0.2, 0.3), "violated"),
     ((0.2, 0.5), (0.3, 0.4), "inconclusive")],
)  # fmt: skip
def test_the_shortest_lag_is_judged_by_seeds_that_do_not_overlap(recurrent, attention, verdict):
    rows = [
        {
            "status": "complete",
            "config": {"model": model, "lag": 4, "positions": "sincos", "seed": s},
            "terms": {"optimization": {"training": {"min_validation_mse": value}}},
        }
        for model, values in (("indrnn", recurrent), ("transformer", attention))
        for s, value in enumerate(values)
    ]
    (finding,) = lag.judge(Evidence(rows, [])).findings
    assert finding.verdict == verdict


@pytest.mark.parametrize(
    ("model", "power", "verdict"),
    [("indrnn", 1.0, "holds"), ("indrnn", 0.0, "violated"),
     ("transformer", 0.0, "holds"), ("transformer", 1.0, "violated")],
)  # fmt: skip
def test_growth_with_the_lag_is_judged_as_published(model, power, verdict):
    series = planted([2, 4, 8, 16], lambda L: L**power)
    assert lag._as_published(lag.VALIDATION, model, series).verdict == verdict


@pytest.mark.attack
@pytest.mark.parametrize("name", [name for name in NAMES if name != "width"])
def test_every_study_at_smoke(command, folder, name):
    code, out, _ = command("study", name, "--size", "smoke", "--jobs", 1, "--json")
    assert code == 0
    told = json.loads(out)
    assert told["findings"] and told["tables"][0]["rows"]
    assert not told["lost"]
    page = (folder / "results" / f"{name}.md").read_text(encoding="utf-8")
    assert "What it does not show" in page
    assert (folder / "results" / f"{name}.pdf").exists()
