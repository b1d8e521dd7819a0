"""The command ``report``, and the pages of ``check`` and ``study``."""

from __future__ import annotations

import json
import shutil

import pytest

import ntkbound
from ntkbound.cli.sweeps import Place, run_missing
from ntkbound.core.preset import load_preset
from ntkbound.core.registry import find
from ntkbound.report.html import pictures
from ntkbound.runs.record import sealed
from ntkbound.studies import load
from tests.cli.test_slopes_and_check import PRESET
from tests.support.pages import Page, reaches_out

STUDY = "width"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A preset with its results: six runs."""
    folder = tmp_path_factory.mktemp("report")
    few = PRESET.replace("to = 128", "to = 64").replace("to = 4 }", "to = 1 }")
    (folder / "p.toml").write_text(few, encoding="utf-8")
    run_missing(load_preset(str(folder / "p.toml")), Place(folder / "results", 1), True)
    return folder


@pytest.fixture(autouse=True)
def _few_figures(monkeypatch):
    """The other tests of the page draw them all."""
    monkeypatch.setattr(pictures, "ROOM", 1)


@pytest.fixture
def results(made, folder):
    return shutil.copytree(made / "results", folder / "results")


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    """The runs of a study at its smallest size."""
    folder = tmp_path_factory.mktemp("study")
    run_missing(load(STUDY, "smoke").preset, Place(folder, 1), True)
    return folder


def page(path) -> Page:
    text = path.read_text(encoding="utf-8")
    assert reaches_out(text) == []
    return Page(text)


def change(record, **changes) -> None:
    """The record rewritten, with its checksum."""
    data = json.loads((record / "run.json").read_text(encoding="utf-8"))
    del data["sha256"]
    (record / "run.json").write_text(sealed(data | changes), encoding="utf-8")


def test_a_page_of_a_folder(results, command, folder):
    code, out, err = command("report", "results", "-o", "page.html")
    assert (code, err) == (0, "")
    assert out == "page.html: 6 runs, inconclusive\n"
    found = page(folder / "page.html")
    assert found.texts("h1") == ["Report on results"]
    assert "ntkbound report results --output page.html" in found.texts("dd")
    assert "linearization / worst / max" in found.section("claims")
    assert "transport known 6 0 0" in found.section("assumptions")
    theorem = find("shallow-transformer")
    assert f"{theorem.name} {theorem.version} {theorem.source}" in found.section("provenance")
    before = (folder / "page.html").read_bytes()
    command("report", "results", "-o", "page.html", "--quiet")
    assert (folder / "page.html").read_bytes() == before


def test_json_and_quiet(results, command):
    _code, out, _ = command("report", "results", "--json")
    assert json.loads(out) == {"page": "report.html", "runs": 6, "verdict": "inconclusive"}
    assert command("report", "results", "--quiet") == (0, "", "")
    assert command("report", "results", "--quiet", "--strict")[0] == 3


def test_from_python(results, folder):
    ntkbound.load("results").report("own.html", title="Mine")
    found = page(folder / "own.html")
    assert (found.texts("h1"), found.texts("dt")[:2]) == (["Mine"], ["Runs", "With"])
    assert "linearization / worst / max" in found.section("claims")


def test_claims_of_a_preset_and_a_title(results, made, command, folder):
    command("report", "results", "--claims", made / "p.toml", "--title", "Widths <1>")
    found = page(folder / "report.html")
    assert found.texts("h1") == ["Widths <1>"]
    assert len(found.all("article")) == 1, "one claim, and not the theorem's own"


def test_single_records_and_several_paths(results, command, folder):
    one, two, *_ = sorted(results.glob("st-*"))
    command("report", one, two, "-o", "two.html")
    assert "2 of shallow-transformer" in page(folder / "two.html").texts("dd")
    command("report", one, "results", "-o", "all.html")
    assert "6 of shallow-transformer" in page(folder / "all.html").texts("dd")


def test_what_is_no_record_that_counts_is_named(results, command, folder):
    damaged, stale, diverged, foreign, *_ = sorted(results.glob("st-*"))
    (damaged / "run.json").write_text("{}")
    change(stale, version=1)
    change(diverged, status="diverged")
    change(foreign, theorem="of-nobody")
    failure = {"schema": 2, "id": "gone", "config": {}, "reason": "no <memory>"}
    (results / "gone.failed.json").write_text(json.dumps(failure))
    assert command("report", "results")[0] == 0
    found = page(folder / "report.html")
    unknown = "1 record of theorem 'of-nobody', which is not installed"
    named = (damaged.name, stale.name, "version 1 is not", diverged.name, "diverged 1", unknown)
    for word in (*named, "gone no <memory>"):
        assert word in found.section("judged"), word
    assert "2 of shallow-transformer" in found.texts("dd")


def test_a_page_that_cannot_be_written_is_said_before_anything_is_read(command, folder):
    (folder / "file").write_text("")
    for option, words in {"file/page.html": "file is not a folder", ".": "is a folder"}.items():
        code, out, err = command("report", "nowhere", "-o", option)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert words in err and "--output" in err
    for arguments in (["check", "smoke"], ["study", STUDY, "--size", "smoke"]):
        code, out, err = command(*arguments, "--report", "file/page.html")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "--report" in err
    assert [path.name for path in folder.iterdir()] == ["file"], "nothing was run"


def test_bad_input_is_one_line(results, command, folder):
    (folder / "empty").mkdir()
    for arguments, words in {
        ("nowhere",): "no such results folder",
        ("empty",): "no complete records",
        ("results", "--study", "widht"): "did you mean",
        ("results", "--study", STUDY): f"no run of study {STUDY} at size small",
        ("results", "--study", STUDY, "--claims", "smoke"): "--claims",
        ("results", "results/width.md"): "one study, one report",
    }.items():
        code, out, err = command("report", *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), arguments
        assert words in err, arguments
    assert not (folder / "report.html").exists()


def test_a_check_writes_its_page(results, made, command, folder):
    code = command("check", made / "p.toml", "--report", "check.html", "--quiet")[0]
    found = page(folder / "check.html")
    assert found.texts("h1") == [f"Check of {made / 'p.toml'}"]
    assert found.all("article")[0][1].split()[:5] == ["linearization", "/", "worst", "/", "max"]
    assert code == 3
    assert "inconclusive" in found.texts("title")[0]


def test_a_table_of_ones_own_has_a_page_too(command, folder):
    rows = [f"{n},{s},{n**-0.5 * (1 + 0.01 * s)}" for n in (8, 16, 32, 64, 128) for s in range(5)]
    (folder / "own.csv").write_text("\n".join(["n,seed,error", *rows]))
    claim = "[[claim]]\ncolumn = 'error'\naxis = 'n'\nkind = 'upper'\nexponent = -0.5\n"
    (folder / "c.toml").write_text(claim)
    code = command("check", "own.csv", "--claims", "c.toml", "--report", "own.html", "-q")[0]
    assert code == 0
    assert "tight" in page(folder / "own.html").section("summary")


def test_a_study_has_its_question_answer_and_figures(studied, command, folder):
    shutil.copytree(studied, folder / "s")
    arguments = ["study", STUDY, "--size", "smoke", "--out", "s", "--report", "a.html", "-q"]
    assert command(*arguments)[0] == 0
    assert command("report", "s", "--study", STUDY, "--size", "smoke", "-o", "b.html")[0] == 0
    assert command("report", "s/width.md", "--size", "smoke", "-o", "c.html")[0] == 0
    study = load(STUDY, "smoke").study
    pages = [page(folder / name) for name in ("a.html", "b.html", "c.html")]
    for found in pages:
        assert study.question in found.section("study")
        assert "What it does not show" in found.section("study")
        assert "Measured (medians over seeds)" in found.section("evidence")
        assert "**" not in found.section("study") and "`" not in found.section("evidence")
    assert len({found.section("study") for found in pages}) == 1
    assert "ntkbound study width --size smoke --out s --report a.html" in pages[0].texts("dd")


def test_runs_of_a_study_that_are_missing_are_told(studied, command, folder):
    shutil.copytree(studied, folder / "s")
    gone = sorted((folder / "s").glob("st-*"))[0]
    shutil.rmtree(gone)
    assert command("report", "s/width.md", "--size", "smoke", "-o", "c.html")[0] == 0
    assert f"{gone.name} was not run" in page(folder / "c.html").section("judged")
