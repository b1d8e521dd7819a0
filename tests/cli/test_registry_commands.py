"""Theorems that are broken, absent or of another version: a line, and nothing else stops."""

from __future__ import annotations

import csv
import json
import shutil
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from ntkbound import configure, find, read, run
from ntkbound.core.errors import InputError, StaleError
from ntkbound.core.registry import names
from ntkbound.machine.ranks import Ranks
from ntkbound.runs.execute import Execution, check_used
from ntkbound.runs.record import read_run_json
from ntkbound.runs.store import survey
from tests.support.problems import tamper

SMALL = {"theorem": "least-squares", "n": 12, "d": 3}
SHIPPED = names()
COPY = "from dataclasses import replace\nfrom ntkbound.theorems.least_squares import THEOREM\n"
GONE = "theorem 'gone', which is not installed"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Five points of the axis by five seeds of the smallest theorem."""
    out = tmp_path_factory.mktemp("made")
    for steps in (4, 8, 16, 32, 64):
        for seed in range(5):
            config = configure({**SMALL, "steps": steps, "seed": seed})
            run(config, Execution(out, save_params=False))
    return out


@pytest.fixture
def results(made, folder):
    return shutil.copytree(made, folder / "results")


def some(results, seed):
    """The records of one seed."""
    return sorted(results.glob(f"least-squares-s{seed}-*"))


# Records of a theorem that is not installed.


@pytest.fixture
def foreign(results):
    """Those of seed 0, in every field."""
    for path in some(results, 0):
        config = json.loads((path / "run.json").read_text())["config"]
        tamper(path, theorem="gone", config=config | {"theorem": "gone"})
    return results


def test_a_check_leaves_unknown_records_out_and_cannot_pass(command, foreign, folder):
    assert command("check", "results")[0] == 3
    code, out, err = command("check", "results", "--json", "--junit=j.xml", "--markdown=m.md")
    told = json.loads(out)
    assert err == f"5 records of {GONE}: not judged\n"
    assert (code, told["verdict"]) == (3, "holds")
    assert told["unknown"] == {"gone": "5 records of this theorem"}
    assert [fit["seeds"] for fit in told["fits"]] == [4]
    assert [bound["runs"] for bound in told["bounds"]] == [20, 20]
    assert "- not judged: gone (5 records of this theorem)" in (folder / "m.md").read_text()
    (case,) = ET.parse(folder / "j.xml").getroot().iterfind("testcase/error/..")
    assert case.get("name") == "gone"


def test_a_check_of_unknown_records_alone_is_inconclusive(command, foreign):
    for seed in range(1, 5):
        for path in some(foreign, seed):
            shutil.rmtree(path)
    code, out, err = command("check", "results")
    assert (code, err) == (3, f"5 records of {GONE}: not judged\n")
    assert out == "0 claims: 0 judged: inconclusive\n"
    assert command("check", "results", "--claims=smoke")[0] == 3


def test_slopes_show_unknown_records_by_raw_names(command, foreign):
    for path in some(foreign, 1):
        config = json.loads((path / "run.json").read_text())["config"]
        tamper(path, theorem="gone", config=config | {"theorem": "gone"})
    code, out, err = command("slopes", "results", "--json")
    assert (code, err) == (0, f"10 records of {GONE}: shown by raw names, not judged\n")
    judged, raw = json.loads(out)["fits"]
    assert (judged["seeds"], judged["claimed"]) == (3, -1)
    assert (raw["axis"], raw["seeds"], raw["claimed"], raw["p"]) == ("steps", 2, None, None)
    assert raw["reason"].endswith("; of theorem 'gone'")
    assert command("slopes", "results", "--strict")[0] == 3
    code, out, _ = command("slopes", "results", "--axis=steps")
    assert out.count("suboptimality / final / gap") == 2
    assert command("slopes", "results", "--axis=width")[0] == 2


def test_verify_and_show_go_on_without_the_theorem(command, foreign):
    unknown, known = some(foreign, 0)[0], some(foreign, 1)[0]
    code, out, err = command("verify", unknown, known)
    assert (code, err) == (3, f"1 record of {GONE}: not verified\n")
    assert out.startswith(known.name) and "agrees" in out
    assert list(json.loads(command("verify", known, unknown, "--json")[1])) == [known.name]
    code, out, _ = command("show", unknown)
    assert code == 0
    assert out.count("measured") == 1, "no header without rows"
    assert "gone: no such theorem here" in out


def test_status_counts_them_and_the_stale(command, foreign):
    for path in some(foreign, 1):
        tamper(path, version=6)
    tamper(some(foreign, 2)[0], schema=1)
    code, out, _ = command("status", "results")
    assert code == 3
    assert out.startswith("14 complete (0 of them diverged), 0 failed, 0 damaged, 6 of another ver")
    assert out.count("version 6 is not 1; run it again") == 5
    assert out.count("schema 1 is not 2; run it again") == 1
    assert out.endswith(f"5 records of {GONE}\n")
    told = json.loads(command("status", "results", "--json")[1])
    assert len(told["stale"]) == 6 and set(told["unknown"].values()) == {"gone"}
    assert command("status", "results", "-q")[0] == 3


def test_a_folder_of_unknown_records_is_complete(command, foreign):
    assert command("status", "results")[0] == 0


def test_an_unknown_theorem_in_a_config_file_is_told_with_the_file(refused, foreign):
    path = some(foreign, 0)[0] / "run.json"
    for name in ("train", "audit"):
        told = refused(name, "--config", path)
        assert told.startswith(f"--config {path}: theorem: 'gone' is unknown; accepted: ")
        assert "least-squares" in told


# Records of another version.


def test_records_of_another_version_are_not_judged_with_todays(command, results):
    for path in some(results, 0):
        tamper(path, version=6)
    code, out, err = command("check", "results", "--json")
    assert err == "left out 5 records of results: version 6 is not 1; run it again\n"
    assert code == 0
    assert [fit["seeds"] for fit in json.loads(out)["fits"]] == [4]
    path = some(results, 0)[0]
    with pytest.raises(StaleError, match=r"run\.json: version 6 is not 1; run it again"):
        read_run_json(path / "run.json")
    with pytest.raises(StaleError):
        read(path)
    code, out, err = command("show", path)
    assert (code, err) == (2, f"ntkbound: {path}/run.json: version 6 is not 1; run it again\n")
    assert len(survey(results).stale) == 5


# Theorems that cannot be loaded.


def test_a_broken_theorem_stops_only_itself(command, refused, plant):
    plant("torn", "import no_such_module")
    reason = (
        "'torn' cannot be loaded: torn.py, line 1: ModuleNotFoundError: "
        "No module named 'no_such_module'"
    )
    for arguments in (["train"], ["train", "--help"], ["check"]):
        told = refused(*arguments, "--theorem=torn")
        assert told.startswith(f"--theorem: {reason}")
    code, out, _ = command("theorems")
    assert code == 0
    assert f"broken: {reason}" in " ".join(out.split())
    told = json.loads(command("theorems", "--json")[1])
    assert list(told["broken"]) == ["torn"]
    assert [one["name"] for one in told["theorems"]] == SHIPPED
    for arguments in (["presets"], ["--help"], ["study", "--list"], ["train", "--help"]):
        assert command(*arguments)[0] == 0, arguments
    assert command("check", "--theorem=least-squares", "--jobs=1", "-q")[0] == 0
    assert "No such command 'trian'" in refused("trian")


def test_a_broken_default_theorem_leaves_the_others(command, refused, monkeypatch):
    monkeypatch.setattr("ntkbound.core.registry.DEFAULT", "gone")
    monkeypatch.setattr("ntkbound.cli.options.DEFAULT", "gone")
    assert refused("train").startswith("--theorem: 'gone' is unknown")
    assert command("theorems")[0] == 0
    assert command("train", "--theorem=least-squares", "-q")[0] == 0


def brought(name, module, word="measure"):
    """A theorem that brings a command, which prints the theorem's name."""
    return (
        f"{COPY}from ntkbound.core.theorem import Command\n"
        "from pydantic import create_model\n"
        f"def command():\n    print({name!r})\n"
        f"COMMANDS = (Command({word!r}, {module!r}, 'ntkbound {word}'),)\n"
        f"CONFIG = create_model('C', __base__=THEOREM.config, theorem=(str, {name!r}))\n"
        f"THEOREM = replace(THEOREM, name={name!r}, config=CONFIG, presets={{}}, commands=COMMANDS)"
    )


def test_a_command_of_two_theorems_asks_for_one(command, refused, plant):
    plant("first", brought("first", "ntkbound.theorems.first"))
    assert command("measure") == (0, "first\n", "")
    plant("second", brought("second", "ntkbound.theorems.second"))
    told = refused("measure", "--help")
    assert told == "measure is a command of first and of second; add --theorem NAME"


def test_a_command_of_the_engine_is_not_a_theorems(command, refused, plant):
    plant("greedy", brought("greedy", "ntkbound.theorems.greedy", "check"))
    told = refused("train", "--theorem=greedy")
    assert told == "theorem greedy brings a command 'check', which ntkbound has itself"
    assert command("check", "--theorem=least-squares", "--jobs=1", "-q")[0] == 0
    assert "No such command 'trian'" in refused("trian")


def test_a_command_that_cannot_be_loaded_stops_only_itself(command, refused, plant):
    plant("half", brought("half", "ntkbound.theorems.no_such_module"))
    told = refused("measure", "--anything=3")
    assert told.startswith("measure, a command of half, cannot be loaded: ModuleNotFoundError")
    assert command("train", "--theorem=half", "--help")[0] == 0


# What a theorem does not use.


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--threads=3", "--threads 3: least-squares runs on one thread"),
        ("--device=cuda", "--device cuda: least-squares runs on the cpu alone"),
    ],
)
def test_what_a_theorem_does_not_use_is_refused(refused, monkeypatch, option, told):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert refused("train", "--theorem=least-squares", option) == told


def test_what_it_does_use_is_taken(command):
    code, out, _ = command(
        "train", "--theorem=least-squares", "--threads=1", "--device=cpu", "--json"
    )
    assert (code, json.loads(out)["environment"]["threads"]) == (0, 1)
    code, out, _ = command("train", "--theorem=least-squares", "--seed=2", "--json")
    assert json.loads(out)["environment"]["threads"] == 1, "not all cores: it uses one"


# Presets by name, and other lines.


def test_a_run_takes_the_fixed_fields_of_a_preset_by_name(command, refused, folder):
    (folder / "smoke").mkdir()  # a folder of that name hides no preset
    _, out, _ = command(
        "train", "--config=smoke", "--m=8", "--n=12", "--tau=5", "--teacher-heads=64", "--json"
    )
    config = json.loads(out)["config"]
    assert (config["T"], config["d"], config["inputs"], config["m"]) == (8, 4, "ball", 8)
    assert "did you mean 'smoke'?" in refused("train", "--config=smok")


def test_a_preset_of_many_runs_alone_is_no_run(refused, folder):
    (folder / "own.toml").write_text('title = "x"\n[sweep]\nm = [2, 4]\n')
    for name in ("least-squares/smoke", "own.toml"):
        told = "has no [run], so it says nothing of a single run: sweep it"
        assert refused("train", f"--config={name}") == f"--config {name}: {told}"


def test_check_says_what_it_accepts(refused):
    told = refused("check", "nope")
    assert told == (
        "preset 'nope' is unknown; accepted: a name that ntkbound presets lists, a file that ends "
        "in .toml, a results folder (there is none of this name)"
    )
    assert refused("check", "nope.toml") == "nope.toml: cannot be read (No such file or directory)"


def test_csv_tells_form_estimate_margin_and_where(command, results):
    _, out, _ = command("slopes", "results", "--csv")
    (row,) = csv.DictReader(out.splitlines())
    assert (row["form"], row["margin"], row["where"]) == ("rate", "0.15", "")
    assert row["estimate"] == row["slope"] != ""


@pytest.mark.parametrize("name", ["train", "check", "sweep", "slopes", "study", ""])
def test_help_fits_eighty_columns_and_breaks_no_line_early(command, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = command(*([name] if name else []), "--help")
    lines = [line.rstrip() for line in out.splitlines()]
    assert code == 0
    assert max(map(len, lines)) <= 80
    prose = lines[: next(i for i, line in enumerate(lines) if line.startswith("╭"))]
    for line, after in pairwise(prose):
        if line and after:
            assert len(line) + 1 + len(after.split()[0]) > 79, (line, after)


def test_ranks_are_refused_where_the_work_is_not_divided():
    two = type("Two", (Ranks,), {"count": 2})()
    check_used(find("shallow-transformer"), Execution(), two)
    with pytest.raises(InputError, match="least-squares is not divided over ranks"):
        check_used(find("least-squares"), Execution(), two)
