"""``slopes`` and ``check`` on real records: the theorem's table, its formats, its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ntkbound.cli import main
from ntkbound.cli.sweeps import Place, run_missing
from ntkbound.core.preset import load_preset
from ntkbound.runs.record import sealed

PRESET = """
[run]
n = 48
T = 4
d = 3
tau = 60
inputs = "ball"
teacher_heads = 2048
records = 4
search_samples = 2
search_restarts = 2
search_steps = 8

[sweep]
m = { from = 16, to = 128, factor = 2 }
seed = { from = 0, to = 4 }

[[claim]]
term = "linearization"
probe = "worst"
statistic = "max"
axis = "m"
kind = "tight"
exponent = -0.5
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rates")
    path = folder / "p.toml"
    path.write_text(PRESET, encoding="utf-8")
    run_missing(load_preset(str(path)), Place(folder / "out", 1), True)
    return path, folder / "out"


def call(arguments, capsys) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return caught.value.code, capsys.readouterr().out


def rewritten(results, tmp_path, change):
    """Copies of all records with ``change(data)`` applied."""
    mutant = tmp_path / "mutant"
    for path in results[1].glob("*/run.json"):
        data = json.loads(path.read_text(encoding="utf-8"))
        del data["sha256"]
        change(data)
        copy = mutant / path.parent.name
        copy.mkdir(parents=True)
        (copy / "run.json").write_text(sealed(data | {"files": {}}), encoding="utf-8")
    return mutant


def test_slopes_find_the_rates_of_the_theorem(results, capsys):
    code, out = call(["slopes", results[1], "--json"], capsys)
    assert code == 0
    fits = {(f["term"], f["probe"], f["statistic"]): f for f in json.loads(out)["fits"]}
    worst = fits["linearization", "worst", "max"]
    assert worst["verdict"] == "tight"
    assert worst["slope"] == pytest.approx(-0.5, abs=0.1)
    random = fits["linearization", "random", "max"]
    assert random["slope"] == pytest.approx(-1.0, abs=0.35)
    assert set(worst) == {
        *("axis", "term", "probe", "statistic", "form", "column", "label", "where", "points"),
        *("seeds", "slope", "estimate", "low", "high", "claimed", "kind", "margin", "p"),
        *("verdict", "reason"),
    }


def test_check_judges_a_preset_and_its_mutants(results, tmp_path, capsys):
    path, out = results
    assert call(["check", path, "--out", out, "--jobs", 1], capsys)[0] == 0
    steeper = tmp_path / "steeper.toml"
    steeper.write_text(
        "[[claim]]\nterm = 'linearization'\nprobe = 'worst'\nstatistic = 'max'\n"
        "axis = 'm'\nkind = 'upper'\nexponent = -1.0\n",
        encoding="utf-8",
    )
    code, text = call(["check", out, "--claims", steeper], capsys)
    assert code == 1
    assert "violated" in text
    code, text = call(["check", out, "--claims", steeper, "--json"], capsys)
    assert json.loads(text)["verdict"] == "violated"


def test_mislabelled_widths_are_caught(results, tmp_path, capsys):
    """The axis in the records is wrong: the verdict must flip."""

    def mislabel(data):
        data["config"]["m"] = 2048 // data["config"]["m"]

    assert call(["check", rewritten(results, tmp_path, mislabel)], capsys)[0] == 1


def test_an_exceeded_bound_is_told(results, tmp_path, capsys):
    def lower(data):
        for row in data["checks"]:
            if (row["term"], row["probe"]) == ("linearization", "worst"):
                row["bound"] = row["measured"] / 2

    code, text = call(["check", rewritten(results, tmp_path, lower)], capsys)
    assert code == 1
    assert "bound-violated" in text


def test_too_few_seeds_are_inconclusive(results, tmp_path, capsys):
    _, out = results
    few = tmp_path / "few"
    few.mkdir()
    for path in out.iterdir():
        if "-s0-" in path.name or "-s1-" in path.name:
            (few / path.name).symlink_to(path)
    code, text = call(["check", few], capsys)
    assert code == 3
    assert "seeds" in text


def test_reports_for_machines(results, tmp_path, capsys, monkeypatch):
    path, out = results
    junit, summary = tmp_path / "j.xml", tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert call(["check", path, "--out", out, "--junit", junit], capsys)[0] == 0
    suite = ET.parse(junit).getroot()
    assert suite.get("failures") == "0"
    assert int(suite.get("tests", "0")) == len(suite.findall("testcase")) > 1
    assert "## ntkbound: holds" in summary.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("flag", "expected"),
    [("--csv", "axis,term,probe,"), ("--markdown", "| axis |"), ("--latex", r"\begin{tabular}")],
)
def test_tables_for_papers(results, capsys, flag, expected):
    code, text = call(["slopes", results[1], flag], capsys)
    assert code == 0
    assert text.startswith(expected)


@pytest.mark.parametrize("suffix", [".pdf", ".svg", ".png"])
def test_figures(results, tmp_path, capsys, suffix):
    target = tmp_path / f"figure{suffix}"
    assert call(["slopes", results[1], "--plot", target, "-q"], capsys)[0] == 0
    assert target.stat().st_size > 1000


def test_a_figure_has_the_width_and_the_dots_asked_for(results, tmp_path, capsys):
    from matplotlib.image import imread

    target = tmp_path / "figure.png"
    arguments = ["--plot", target, "--width", "column", "--dpi", "100", "-q"]
    assert call(["slopes", results[1], *arguments], capsys)[0] == 0
    assert imread(target).shape[1] == 325


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--where", "m"], "'m' is not KEY=VALUE"),
        (["--where", "mm=3"], "no record has the config field 'mm'"),
        (["--where", "m=3"], "matches no record"),
        (["--plot", "x.gif"], "unknown format; accepted: .pdf, .svg, .png"),
        (["--width", "wide"], "--width: 'wide' is unknown; accepted: column, text, full"),
        (["--dpi", "9"], "--dpi: 9 is none of 50 … 1200 dots per inch"),
        (["--csv", "--json"], "exclude each other"),
    ],
)
def test_mistakes_are_one_line(results, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        main(["slopes", str(results[1]), *arguments])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_an_empty_folder_is_refused(tmp_path: Path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["slopes", str(tmp_path)])
    assert caught.value.code == 2
    assert "no complete records" in capsys.readouterr().err


def test_rounding_above_a_bound_of_zero_is_no_violation(results, tmp_path, capsys):
    def vanish(data):
        for row in data["checks"]:
            if row["term"] == "linearization":
                row["measured"], row["bound"] = 1e-17, 0.0

    mutant = rewritten(results, tmp_path, vanish)
    code, text = call(["check", mutant, "--claims", results[0]], capsys)
    assert "bound-violated" not in text
    assert code == 0


def test_diverged_runs_are_left_out_and_make_a_check_inconclusive(results, tmp_path, capsys):
    def diverge(data):
        if data["config"]["seed"] == 0:
            data["status"] = "diverged"

    code, text = call(["check", rewritten(results, tmp_path, diverge), "--json"], capsys)
    assert code == 3
    assert set(json.loads(text)["failed"].values()) == {"diverged"}


def test_a_check_of_diverged_runs_alone_is_inconclusive_and_reported(results, tmp_path, capsys):
    def diverge(data):
        data["status"] = "diverged"

    mutant, junit = rewritten(results, tmp_path, diverge), tmp_path / "j.xml"
    claimed = ["--claims", results[0], "--junit", junit]
    code, text = call(["check", mutant, "--json", *claimed], capsys)
    told = json.loads(text)
    assert (code, told["verdict"], told["bounds"]) == (3, "inconclusive", [])
    assert [fit["verdict"] for fit in told["fits"]] == ["inconclusive"]
    suite = ET.parse(junit).getroot()
    assert int(suite.get("errors")) == 1 + len(told["failed"]) and suite.get("failures") == "0"
    assert call(["slopes", mutant], capsys)[0] == 2


def test_claims_outside_the_theorem_are_not_judged(results, tmp_path, capsys):
    """A claim of the user's own, true of what was measured, and false a unit of slope further."""
    claims = tmp_path / "own.toml"
    text = PRESET[PRESET.index("[[claim]]") :].replace('"worst"', '"transported"')
    claims.write_text(text.replace('"tight"', '"upper"'), encoding="utf-8")

    def depend(data):
        data["conditions"]["transport independent of the initialisation"] = False

    mutant = rewritten(results, tmp_path, depend)
    for folder, verdict, exit_code in ((results[1], None, 0), (mutant, "condition-not-met", 3)):
        code, text = call(["check", folder, "--claims", claims, "--json"], capsys)
        (fit,) = json.loads(text)["fits"]
        assert code == exit_code
        assert (fit["p"] is None) == (verdict is not None)
        assert verdict in (None, fit["verdict"])
    text = claims.read_text(encoding="utf-8").replace("-0.5", "-3.0")
    claims.write_text(text, encoding="utf-8")
    assert call(["check", results[1], "--claims", claims], capsys)[0] == 1
    assert call(["check", mutant, "--claims", claims], capsys)[0] == 3


def test_one_exceedance_of_a_sure_training_bound_is_a_violation(results, tmp_path, capsys):
    def lower(data):
        if data["config"]["seed"] == 0 and data["config"]["m"] == 16:
            for row in data["checks"]:
                if row["statistic"] == "min_mse":
                    row |= {"bound": row["measured"] / 3, "delta": delta, "verdict": "holds"}

    for delta, expected in ((0.0, 1), (0.5, 0)):
        mutant = rewritten(results, tmp_path / str(delta), lower)
        assert call(["check", mutant, "--claims", results[0]], capsys)[0] == expected


def test_claims_of_another_file_are_read_before_anything_runs(results, tmp_path, capsys):
    path, out = tmp_path / "other.toml", tmp_path / "out"
    claims = PRESET[PRESET.index("[[claim]]") :]
    for text, told in (
        (claims.replace("worst", "wurst"), "did you mean 'worst'"),
        (claims.replace('"m"', '"tau"'), "'tau' does not vary here; varying: "),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SystemExit) as caught:
            main(["check", str(results[0]), "--claims", str(path), "--out", str(out)])
        assert caught.value.code == 2
        assert told in capsys.readouterr().err
    assert not out.exists()


def test_a_preset_without_claims_means_those_of_the_theorem(results, tmp_path, capsys):
    path = tmp_path / "bare.toml"
    path.write_text(PRESET[: PRESET.index("[[claim]]")], encoding="utf-8")
    found = [
        json.loads(call([*arguments, "--json"], capsys)[1])["fits"]
        for arguments in (
            ["check", path, "--out", results[1]],
            ["check", results[1], "--claims", path],
            ["slopes", results[1], "--claims", path],
        )
    ]
    claimed = [[fit["term"] for fit in fits if fit["claimed"] is not None] for fits in found]
    assert claimed[0] == claimed[1] == claimed[2]
    assert len(claimed[0]) > 5


@pytest.mark.parametrize("command", ["check", "sweep", "slopes"])
def test_a_claim_about_nothing_is_told_before_anything_runs(results, tmp_path, capsys, command):
    path, out = tmp_path / "typo.toml", tmp_path / "out"
    path.write_text(PRESET.replace('"linearization"', '"linearisation"'), encoding="utf-8")
    arguments = {"slopes": [results[1], "--claims", path]}.get(command, [path, "--out", out])
    with pytest.raises(SystemExit) as caught:
        main([command, *map(str, arguments)])
    assert caught.value.code == 2
    told = "[[claim]] term: 'linearisation' is unknown; did you mean 'linearization'?"
    assert told in capsys.readouterr().err
    assert not out.exists()


def test_a_check_that_judges_nothing_is_inconclusive(results, tmp_path, capsys):
    alone = tmp_path / "alone"
    alone.mkdir()
    path = next(results[1].glob("*/run.json")).parent
    (alone / path.name).symlink_to(path)
    assert call(["check", alone], capsys)[0] == 3


def test_an_unknown_axis_names_the_known_ones(results, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["slopes", str(results[1]), "--axis", "foo"])
    assert caught.value.code == 2
    assert "--axis: 'foo' is unknown; accepted: " in capsys.readouterr().err
