"""The studies of this theorem: run by one command, concluded from their verdicts alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from ntkbound import studies
from ntkbound.cli import main
from ntkbound.core.claim import Claim
from ntkbound.core.outcome import Bound, check
from ntkbound.core.quantity import Key
from ntkbound.core.record import Record
from ntkbound.report import study_files
from ntkbound.report.study_page import Figure, as_markdown
from ntkbound.studies.evaluate import evaluate, read_records
from ntkbound.studies.study import SIZES, Evidence
from ntkbound.theorems.shallow_transformer.statement import (
    APPROXIMATION,
    FEATURE_NORM,
    MIN_MSE,
    MIN_RMSE,
    VALIDATION,
)
from ntkbound.theorems.shallow_transformer.studies import (
    lag,
    membership,
    projection,
    regime,
    samples,
    seq_length,
)
from tests.support.planted import planted

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
UNDRAWN = Figure(reason="not asked for")
RATIOS = [0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0]
STEEP = Claim(
    term="linearization", probe="worst", statistic="max", axis="m", kind="upper", exponent=-1.0
)


@pytest.fixture(scope="module")
def width(tmp_path_factory):
    """The study `width` at smoke, through the command; its folder."""
    out = tmp_path_factory.mktemp("study")
    with pytest.raises(SystemExit) as stopped:
        main(["study", "width", "--size", "smoke", "--out", str(out), "--jobs", "1", "--quiet"])
    assert stopped.value.code == 0
    return out


def outcome_of(out, claims=None):
    edition = studies.load("width", "smoke")
    if claims is not None:
        edition = replace(edition, preset=replace(edition.preset, claims=claims))
    identifiers = sorted(path.parent.name for path in out.glob("*/run.json"))
    return evaluate(edition, read_records(out, identifiers), {})


def record(config: dict, numbers: dict[Key, float]) -> Record:
    """One complete run with these fields and numbers."""
    terms: dict = {}
    for key, number in numbers.items():
        terms.setdefault(key.term, {}).setdefault(key.probe, {})[key.statistic] = float(number)
    name = "-".join(map(str, config.values()))
    return Record(name, "shallow-transformer", 1, config, terms)


# The command.


def test_the_list_names_every_study(command):
    code, out, _ = command("study", "--list", "--json")
    assert code == 0
    found = json.loads(out)
    known = studies.studies()
    assert [study["name"] for study in found] == list(known)
    own = [name for name, study in known.items() if study.theorem == "shallow-transformer"]
    assert own == NAMES
    assert all(study["question"].endswith("?") for study in found)
    assert all(name in command("study", "--list")[1] for name in NAMES)


def test_a_study_leaves_page_figure_and_records(width):
    page = (width / "width.md").read_text(encoding="utf-8")
    assert "ntkbound study width --size smoke" in page
    assert "![Width](width.png)" in page and "[width.pdf](width.pdf)" in page
    assert (width / "width.png").read_bytes().startswith(b"\x89PNG")
    assert (width / "width.pdf").read_bytes().startswith(b"%PDF")
    for heading in ("Measured", "Rates", "Verdicts", "What it shows", "What it does not show"):
        assert f"\n## {heading}" in page
    assert "| linearization / worst / max: exactly m^−0.5 | tight |" in page
    assert "| optimization / training / min_mse: no rate claimed in m | not-defined |" in page
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
    assert stopped.value.code == 3  # four seeds are too few for some rate
    told = json.loads(capsys.readouterr().out)
    assert (told["study"], told["verdict"], told["lost"]) == ("width", "inconclusive", {})
    assert {fit["axis"] for fit in told["fits"]} == {"m"}
    after = {path: path.stat().st_mtime_ns for path in width.glob("*/run.json")}
    assert [path for path in before if after[path] != before[path]] == [gone]
    assert (width / "width.svg").exists()


def test_without_claims_every_command_judges_those_of_the_theorem(width, command):
    assert not studies.load("width", "smoke").preset.claims
    commands = (
        ("study", "width", "--size", "smoke", "--out", width, "--json"),
        ("check", "smoke/width", "--out", width, "--json"),
        ("check", width, "--claims", "smoke/width", "--json"),
        ("slopes", width, "--claims", "smoke/width", "--all", "--json"),
    )
    found = [json.loads(command(*arguments)[1])["fits"] for arguments in commands]
    judged = [[fit for fit in fits if fit["claimed"] is not None] for fits in found]
    assert len(judged[0]) == 8
    assert judged[0] == judged[1] == judged[2] == judged[3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["widht"], "study 'widht' is unknown; accepted: attention-"),
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
@pytest.mark.parametrize("size", SIZES)
def test_every_size_of_every_study_is_a_valid_preset(name, size):
    edition = studies.load(name, size)
    configs = edition.preset.configs()
    seeds = {config.seed for config in configs}
    assert len(seeds) >= (3 if size != "paper" else 10)
    assert len(configs) > len(seeds)
    assert edition.study.theorem == configs[0].theorem


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "count", "where"),
    [
        ("horizon", 1, {"model": "transformer"}),
        ("input-norm", 0, {}),
        ("lag", 0, {}),
        ("membership", 0, {}),
        ("projection", 0, {}),
        ("regime", 0, {}),
        ("samples", 1, {}),
        ("seq-length", 8, {"model": "transformer"}),
        ("width", 8, {"model": "transformer"}),
    ],
)
def test_what_each_study_claims(name, count, where, size):
    edition = studies.load(name, size)
    claims = edition.claims([record(c.model_dump(), {}) for c in edition.preset.configs()])
    assert len(claims) == count
    assert all(claim.axis == edition.study.axis for claim in claims)
    assert all(claim.where == where for claim in claims)


# Conclusions.


def test_a_violated_claim_changes_what_the_page_concludes(width):
    true, false = outcome_of(width), outcome_of(width, (STEEP,))
    assert (true.verdict, false.verdict) == ("inconclusive", "violated")
    statement = "linearization / worst / max: at most m^−1"
    assert f"- **Contradicted**: {statement}. slope" in as_markdown(false, "", UNDRAWN)
    assert "**Contradicted**" not in as_markdown(true, "", UNDRAWN)


def test_strict_turns_the_verdict_into_an_exit_code(width, capsys, monkeypatch):
    edition = studies.load("width", "smoke")
    steep = replace(edition, preset=replace(edition.preset, claims=(STEEP,)))
    monkeypatch.setattr(studies, "load", lambda name, size: steep)
    for extra, expected in (([], 0), (["--strict"], 1)):
        with pytest.raises(SystemExit) as stopped:
            main(["study", "width", "--size", "smoke", "--out", str(width), "-q", *extra])
        assert stopped.value.code == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_study_whose_runs_all_failed_says_so(name):
    outcome = evaluate(studies.load(name, "smoke"), [], {"x": "out of memory"})
    assert outcome.verdict == "inconclusive"
    page = as_markdown(outcome, "", UNDRAWN)
    assert "Nothing was judged" in page and "out of memory" in page


def test_without_matplotlib_the_page_says_so(width, tmp_path, monkeypatch):
    monkeypatch.setattr(study_files, "find_spec", lambda name: None)
    page = study_files.write_study(
        outcome_of(width), tmp_path, study_files.Drawing(), "ntkbound study width"
    )
    assert study_files.NO_MATPLOTLIB.reason in page.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [page]


# Evaluations of single studies, on planted data.


def in_ball(ratio, seed, error, least=None, bound=None):
    """One run at ρ/ν with its smallest RMSE, and what is proved below and above it."""
    numbers = {MIN_RMSE.key: error} | ({membership.LEAST.key: least} if least else {})
    config = {"rho": dict.fromkeys("cUW", ratio), "nu": dict.fromkeys("cUW", 1.0), "seed": seed}
    absent = Bound(bound, absent="condition-not-met")
    return replace(record(config, numbers), checks=[check(MIN_RMSE, error, absent)])


@pytest.mark.parametrize(
    ("scale", "above", "below"),
    [(1.0, "holds", "holds"), (0.3, "holds", "bound-violated"), (3.0, "bound-violated", "holds")],
)
def test_membership_judges_what_is_proved_and_nothing_else(scale, above, below):
    curve = {0.5: (0.2, 0.1, None), 0.7: (0.1, None, None), 1.0: (0.02, None, 0.05),
             2.0: (0.01, None, 0.06)}  # fmt: skip
    runs = [
        in_ball(ratio, seed, scale * error * 1.01**seed, least, bound)
        for ratio, (error, least, bound) in curve.items()
        for seed in range(3)
    ]
    found = membership.judge(Evidence(runs, []))
    upper, lower, curve_found = found.findings
    assert (upper.verdict, lower.verdict) == (above, below)
    assert "a bound in 6 of 12 runs, from ρ/ν = 1 on" in upper.reason
    assert "positive in 3 of 12 runs, up to ρ/ν = 0.5" in lower.reason
    assert curve_found.verdict == "not-defined"
    assert "error at ρ/ν = 2 over that at 1: 0.5 [0.5, 0.5]" in curve_found.reason
    assert [row[1] for row in found.tables[0].rows] == ["0.5", "0.7", "1", "2"]
    assert found.tables[0].rows[0][3:] == ["0.1", "–", "–"]
    assert found.tables[0].rows[2][4:] == ["0.05", "0.2 [0.2, 0.2]"]


def test_membership_without_bounds_says_why():
    runs = [in_ball(ratio, seed, 0.1) for ratio in (0.5, 0.7) for seed in range(3)]
    upper, lower = membership.judge(Evidence(runs, [])).findings
    assert (upper.verdict, lower.verdict) == ("condition-not-met", "vacuous")
    void = [check(MIN_RMSE, 0.1, Bound(None, absent="vacuous"))]
    runs[-1] = replace(runs[-1], checks=void)
    upper, _ = membership.judge(Evidence(runs, [])).findings
    assert (upper.verdict, upper.reason) == ("vacuous", "a bound in 0 of 6 runs")


@pytest.mark.parametrize("grid", [(0.25, 0.5, 0.7, 1.0, 1.4, 2.0), (0.5, 0.9, 1.0, 1.1, 3.0)])
def test_no_grid_of_ratios_changes_a_verdict_of_membership(grid):
    runs = [
        in_ball(x, seed, 1 / (1 + x**2), 0.2 if x < 0.6 else None, 2.0 if x >= 1 else None)
        for x in grid
        for seed in range(3)
    ]
    verdicts = [finding.verdict for finding in membership.judge(Evidence(runs, [])).findings]
    assert verdicts == ["holds", "holds", "not-defined"]


@pytest.mark.parametrize("curve", [lambda T: np.exp(0.2 * T), lambda T: T**2])
def test_growth_of_the_recurrence_on_independent_tokens_is_an_observation(curve):
    lengths = [4, 8, 16, 32]
    series = planted(lengths, curve)
    runs = [
        record(
            {"model": "indrnn", "omega": omega, "T": T, "seed": seed},
            {FEATURE_NORM.key: series.values[seed, j]},
        )
        for omega in (1.1, 1.5)
        for j, T in enumerate(lengths)
        for seed in range(4)
    ]
    found = seq_length.judge(Evidence(runs, [])).findings
    assert [finding.verdict for finding in found] == ["not-defined", "not-defined"]
    assert all("is about AR(L): tokens here are independent" in f.reason for f in found)


def test_the_reading_of_lag_says_where_it_differs_from_the_published_runs():
    for difference in ("split in time", "split at random", "standardise the targets only"):
        assert difference in lag.STUDY.reading


def test_a_kernel_that_moved_in_some_seeds_is_not_said_never_to_move():
    drifts = {1.0: (0.01, 0.02, 0.01), 3.0: (0.02, 0.03, 0.82), 9.0: (0.5, 0.6, 0.7)}
    runs = [
        record({"eta": eta, "m": 16, "seed": seed}, {regime.DRIFT.key: drift, MIN_MSE.key: 0.1})
        for eta, values in drifts.items()
        for seed, drift in enumerate(values)
    ]
    (finding,) = regime.judge(Evidence(runs, [])).findings
    assert finding.reason.startswith(
        "drift above 0.1 in 1 of 3 runs at η = 3 (mean 0.29), in 3 of 3 runs at η = 9 (mean 0.6); "
    )
    (still,) = regime.judge(Evidence(runs[:3], [])).findings
    assert still.reason.startswith("drift above 0.1 in no run; ")


def test_the_width_needed_is_where_the_power_law_meets_the_target():
    runs = [
        record({"n": n, "seed": seed, "m": m}, {APPROXIMATION.key: (np.log(n) / m) ** 0.5})
        for n in (100, 1000)
        for seed in range(2)
        for m in (32, 64, 128)
    ]
    found = samples.width_needed(runs)
    assert [fields for fields, _ in found] == [
        {"n": n, "seed": seed} for n in (100, 1000) for seed in range(2)
    ]
    for fields, numbers in found:
        heads = numbers[samples.NEEDED.key]
        assert heads == pytest.approx(np.log(fields["n"]) / samples.TARGET**2)


def test_the_growth_of_the_width_needed_is_judged():
    rng = np.random.default_rng(5)
    runs = [
        record(
            {"n": n, "seed": seed, "m": m},
            {APPROXIMATION.key: (np.log(n) / m) ** 0.5 * np.exp(0.01 * rng.standard_normal())},
        )
        for n in (32, 128, 512, 2048)
        for seed in range(4)
        for m in (32, 64, 128)
    ]
    found = samples.judge(Evidence(runs, []))
    (fit,) = found.fits
    assert (fit.verdict, fit.points, fit.seeds) == ("holds", 4, 4)
    assert found.findings[0].statement == "growth of the width needed with n: log"
    assert [line.label for line in found.panels[0].lines] == ["median", "∝ log n", "∝ √n"]


def test_a_projection_that_changes_free_runs_is_caught():
    def run(loss):
        return record({}, {projection.FINAL_MSE.key: loss, projection.FARTHEST.key: 1.0})

    same = projection.same_where_free(4.0, {0: run(0.5)}, {0: run(0.5)})
    other = projection.same_where_free(4.0, {0: run(0.5)}, {0: run(0.6)})
    bound = projection.same_where_free(0.5, {0: run(0.5)}, {0: run(0.6)})
    assert [f.verdict for f in (same, other, bound)] == ["holds", "violated", "condition-not-met"]


@pytest.mark.parametrize(
    ("recurrent", "attention", "verdict"),
    [((0.2, 0.3), (0.4, 0.5), "holds"), ((0.4, 0.5), (0.2, 0.3), "violated"),
     ((0.2, 0.5), (0.3, 0.4), "inconclusive")],
)  # fmt: skip
def test_the_shortest_lag_is_judged_by_seeds_that_do_not_overlap(recurrent, attention, verdict):
    runs = [
        record(
            {"model": model, "lag": 4, "positions": "sincos", "seed": seed},
            {VALIDATION.key: value},
        )
        for model, values in (("indrnn", recurrent), ("transformer", attention))
        for seed, value in enumerate(values)
    ]
    (finding,) = lag.judge(Evidence(runs, [])).findings
    assert finding.verdict == verdict


@pytest.mark.parametrize(
    ("model", "power", "verdict"),
    [("indrnn", 1.0, "holds"), ("indrnn", 0.0, "violated"),
     ("transformer", 0.0, "holds"), ("transformer", 1.0, "violated")],
)  # fmt: skip
def test_growth_with_the_lag_is_judged_as_published(model, power, verdict):
    series = planted([2, 4, 8, 16], lambda L: L**power)
    runs = [
        record({"model": model, "lag": L, "seed": seed}, {VALIDATION.key: series.values[seed, j]})
        for j, L in enumerate((2, 4, 8, 16))
        for seed in range(4)
    ]
    (finding,) = lag.judge(Evidence(runs, [])).findings
    assert finding.statement.startswith(f"{model}: best validation MSE ")
    assert finding.verdict == verdict


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
