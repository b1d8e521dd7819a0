"""``diff A B`` and ``check --baseline``, through the real command on real records."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ntkbound.cli.sweeps import Place, run_missing
from ntkbound.core.preset import load_preset
from ntkbound.runs.record import sealed

SMOKE = "least-squares/smoke"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "old"
    run_missing(load_preset(SMOKE), Place(out, 1), True)
    return out


@pytest.fixture
def old(made, folder, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return Path(shutil.copytree(made, folder / "old"))


def changed(old: Path, change=lambda data: None) -> Path:
    """A copy of a results folder beside it, with ``change(run.json)`` applied to every record; a
    record is left out where that says False."""
    new = Path(shutil.copytree(old, old.with_name("new")))
    for path in sorted(new.glob("*/run.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        del data["sha256"]
        if change(data) is False:
            shutil.rmtree(path.parent)
        else:
            path.write_text(sealed(data), encoding="utf-8")
    return new


def gap(data):
    return data["terms"]["suboptimality"]["final"]


def two_per_cent(data):
    gap(data)["gap"] *= 1.02


def test_equal_folders_are_no_change(command, old):
    code, out, err = command("diff", old, changed(old))
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].endswith("no change")
    assert command("diff", old, old.with_name("new"), "--quiet") == (0, out, "")


def test_the_same_runs_made_again_are_the_same_to_the_bit(command, old):
    assert command("sweep", SMOKE, "--out", "again", "--jobs", 1, "--quiet")[0] == 0
    code, out, _ = command("diff", old, "again", "--json")
    told = json.loads(out)
    assert (code, told["runs"], told["changed"], told["numbers"]) == (0, 25, False, [])


def test_a_shifted_level_is_found_though_the_claim_still_holds(command, old):
    code, out, _ = command("diff", old, changed(old, two_per_cent), "--json")
    told = json.loads(out)
    assert (code, told["changed"], told["verdicts"]) == (1, True, [])
    (number,) = told["numbers"]
    assert number["ratio"] == pytest.approx(1.02)
    assert number["drift"]["found"] is True
    code, out, _ = command("diff", old, old.with_name("new"))
    assert code == 1
    assert "25 of 25" in out and "×1.02" in out and "all 5 arms" in out


def test_the_tolerance_is_an_option(command, old):
    new = changed(old, lambda data: gap(data).update(gap=gap(data)["gap"] * (1 + 1e-7)))
    assert command("diff", old, new)[0] == 1
    _, out, _ = command("diff", old, new, "--tolerance", 1e-6, "--json")
    assert json.loads(out)["numbers"][0]["changed"] == 0


def test_a_flipped_verdict_is_told(command, old):
    def flat(data):
        gap(data)["gap"] = 1.0 + data["config"]["seed"] / 100

    code, out, _ = command("diff", old, changed(old, flat))
    (row,) = [line for line in out.splitlines() if line.startswith("claim")]
    assert code == 1
    assert "faster" in row and "violated" in row


def test_config_and_missing_runs_are_told(command, old):
    def change(data):
        data["config"]["d"] = 21
        return data["config"]["steps"] != 8 or data["config"]["seed"] != 3

    code, out, _ = command("diff", old, changed(old, change))
    assert code == 1
    assert "config d: 20 → 21 (least-squares, 24 runs" in out
    (line,) = [line for line in out.splitlines() if "only on the old side" in line]
    assert "(seed=3, steps=8)" in line


def test_single_records_are_compared(command, old):
    new = changed(old, two_per_cent)
    first, second = sorted(path.parent.name for path in old.glob("*/run.json"))[:2]
    assert command("diff", old / first, new / first / "run.json")[0] == 1
    code, out, _ = command("diff", old / first, old / second)
    assert code == 1 and "config steps: " in out


def test_text_from_files_is_shown_as_it_is(command, old):
    def change(data):
        data["config"]["note"] = "[red]a|b\n\x1b[2J<b>[x](y)"
        data["terms"]["[bold]"] = {"p|q": {"<s>\n": 1.0}}

    new = changed(old, change)
    code, out, _ = command("diff", old, new, "--markdown", "a.md")
    assert code == 1
    assert "[red]a|b" in out and "\x1b" not in out
    assert "[bold]" in out
    text = Path("a.md").read_text(encoding="utf-8")
    assert "<b>" not in text and "<s>" not in text and "[x](y)" not in text
    (row,) = [line for line in text.splitlines() if "[bold]" in line]
    assert row.replace(r"\|", "").count("|") == 8


def test_the_summary_goes_where_github_shows_it(command, old, folder, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "step.md"))
    command("diff", old, changed(old, two_per_cent), "--quiet")
    assert Path("step.md").read_text(encoding="utf-8").startswith("## ntkbound: changed\n")


def test_bad_input_is_one_line(refused, old, folder):
    assert "nowhere: no such results folder" in refused("diff", old, "nowhere")
    (folder / "empty").mkdir()
    assert "no complete records" in refused("diff", "empty", old)
    assert "tolerance" in refused("diff", old, old, "--tolerance", "nan")
    assert "tolerance" in refused("diff", old, old, "--tolerance=-1")

    def later(data):
        data["config"]["seed"] += 5

    assert "differ only in seed" in refused("diff", old, changed(old, later))


def test_damaged_and_failed_runs_are_named(command, old):
    new = changed(old)
    path = min(new.glob("*/run.json"))
    path.write_text("{}", encoding="utf-8")
    failed = json.dumps({"schema": 2, "reason": "[red]out of memory"})
    (new / "ls-x.failed.json").write_text(failed, encoding="utf-8")
    code, out, err = command("diff", old, new)
    assert code == 1
    assert f"left out {path.parent.name} of {new}: " in err
    assert f"left out ls-x of {new}: [red]out of memory" in err
    assert "1 run on the old side alone" in " ".join(out.split())


def test_records_of_an_earlier_version_of_the_theorem_are_a_baseline(command, old, folder):
    def earlier(data):
        data["version"] = 0

    baseline = changed(old, earlier)
    code, out, err = command("diff", baseline, old)
    assert (code, err) == (0, "")
    assert "version: 0 → 1 (least-squares, 25 runs; not counted)" in out
    assert command("check", old, "--baseline", baseline, "--quiet")[0] == 0
    # Where a folder has both, the later ones count.
    for record in sorted(path for path in old.iterdir() if path.joinpath("run.json").is_file()):
        shutil.copytree(record, baseline / f"{record.name}-later")
    assert "version" not in command("diff", baseline, old)[1]


def test_records_of_another_schema_are_named(command, old):
    new = changed(old, lambda data: data.update(schema=2 - (data["config"]["seed"] < 1)))
    code, _, err = command("diff", old, new)
    assert code == 1
    assert err.count("left out least-squares-s0-") == 5


def test_a_theorem_that_is_not_known_is_compared_by_raw_names(command, old):
    def foreign(data):
        data["theorem"] = "foreign"

    new = changed(old, foreign)
    moved = Path(shutil.copytree(new, "moved"))
    path = min(moved.glob("*/run.json"))
    data = json.loads(path.read_text(encoding="utf-8"))
    del data["sha256"]
    two_per_cent(data)
    path.write_text(sealed(data), encoding="utf-8")
    code, out, err = command("diff", new, moved, "--json")
    assert code == 1
    assert [one["changed"] for one in json.loads(out)["numbers"]] == [1]
    assert "theorem 'foreign', which is not installed: compared by raw names, not judged" in err
    assert command("diff", new, new, "--quiet")[0] == 0


def test_claims_of_a_preset_are_judged_on_both_sides(command, old):
    preset = Path("p.toml")
    preset.write_text(
        '[run]\ntheorem = "least-squares"\n[sweep]\nsteps = [4, 8]\n[[claim]]\n'
        'term = "suboptimality"\nprobe = "final"\nstatistic = "gap"\naxis = "steps"\n'
        'kind = "lower"\nexponent = -20\n',
        encoding="utf-8",
    )

    def steep(data):
        gap(data)["gap"] = data["config"]["steps"] ** -25.0 * (1e30 + data["config"]["seed"] * 1e28)

    code, out, _ = command("diff", old, changed(old, steep), "--claims", preset, "--json")
    (change,) = [one for one in json.loads(out)["verdicts"] if one["kind"] == "claim"]
    assert code == 1
    assert (change["old"]["verdict"], change["new"]["verdict"]) == ("holds", "violated")


def test_check_passes_where_nothing_changed_since_the_baseline(command, old):
    code, out, _ = command("check", changed(old), "--baseline", old, "--junit", "a.xml")
    assert code == 0
    (case,) = ET.parse("a.xml").findall("testcase[@classname='baseline']")
    assert len(case) == 0
    assert "no change" in out and out.splitlines()[-1].endswith("holds")


def test_check_fails_where_a_number_changed_since_the_baseline(command, old):
    options = ("--baseline", old, "--junit", "a.xml", "--markdown", "a.md")
    new = changed(old, two_per_cent)
    assert command("check", new)[0] == 0
    code, out, _ = command("check", new, *options, "--json")
    told = json.loads(out)
    assert (code, told["verdict"], told["changes"]["changed"]) == (1, "holds", True)
    suite = ET.parse("a.xml").getroot()
    (failure,) = suite.findall("testcase[@classname='baseline']/failure")
    assert failure.get("message").startswith("changed: 25 runs on both sides")
    assert suite.get("failures") == "1"
    text = Path("a.md").read_text(encoding="utf-8")
    assert text.startswith("## ntkbound: holds\n") and "## ntkbound: changed\n" in text


def test_a_preset_is_run_and_compared_with_the_baseline(command, old):
    options = ("--out", "fresh", "--jobs", 1, "--quiet")
    assert command("check", SMOKE, "--baseline", old, *options)[0] == 0
    assert command("check", SMOKE, "--baseline", changed(old, two_per_cent), *options)[0] == 1


def test_a_tolerance_of_the_baseline(command, old):
    new = changed(old, lambda data: gap(data).update(gap=gap(data)["gap"] * (1 + 1e-10)))
    assert command("check", new, "--baseline", old)[0] == 0
    assert command("check", new, "--baseline", old, "--tolerance", 0)[0] == 1


def test_a_baseline_is_no_folder_that_is_judged(refused, old):
    assert "is what is judged" in refused("check", old, "--baseline", old)
    assert "is what is judged" in refused("check", SMOKE, "--out", old, "--baseline", old)
    assert "only with a baseline" in refused("check", old, "--tolerance", 1e-3)
    assert "no such results folder" in refused("check", old, "--baseline", "nowhere")
