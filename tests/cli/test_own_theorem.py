"""A theorem, a study, of the user's own: what is named runs, what is not stays closed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("own_code")

OWN = """
from typing import Literal
from pydantic import Field
from ntkbound import Bound, Claim, Config, Outcome, Quantity, Theorem, streams
from ntkbound.core.outcome import check

GAP = Quantity("gap", "final", "value", "gap", headline=True)

class Own(Config):
    theorem: Literal["own"] = Field("own", description="the theorem under test")
    n: int = Field(10, ge=1, description="samples")

def run(config, tools):
    noise = streams.generator(config.seed, "own").normal()
    value = (1 + 0.01 * noise) / config.n
    return Outcome({"gap": {"final": {"value": value}}}, [check(GAP, value, Bound(2 / config.n))])

CLAIM = Claim(term="gap", probe="final", statistic="value", axis="n", kind="tight", exponent=-1)
SMOKE = "[sweep]\\nn = [10, 20, 40, 80]\\nseed = { from = 0, to = 4 }"
THEOREM = Theorem(name="own", source="here", version=1, config=Own, quantities=(GAP,),
                  claims=(CLAIM,), run=run, axes=("n",), presets={"smoke": SMOKE})
"""
PRESET = '[run]\ntheorem = "own.py"\n[sweep]\nn = [10, 20, 40]\nseed = { from = 0, to = 3 }\n'


@pytest.fixture
def own(folder):
    path = folder / "own.py"
    path.write_text(OWN)
    return path


def test_it_trains_under_its_own_options_and_is_judged(command, own):
    code, out, err = command("train", "--theorem", "own.py", "--n", "20")
    assert (code, "holds" in out) == (0, True), err
    assert "--n" in command("train", "--theorem=own.py", "--help")[1]
    code, out, _ = command("check", "--theorem", "own.py", "--jobs=1")
    assert (code, "tight" in out) == (0, True)
    assert command("slopes", "results", "--theorem=own.py", "--strict")[0] == 0


def test_a_preset_names_it_from_its_own_folder(command, own, folder):
    (folder / "deep").mkdir()
    own.rename(folder / "deep" / "own.py")
    (folder / "deep" / "p.toml").write_text(PRESET)
    code, out, err = command("check", "deep/p.toml", "--jobs=1", "--quiet")
    assert code == 0, err
    assert out.endswith("1 claim: 1 judged, 1 held; 1 bound: 1 judged, 1 held: holds\n")
    assert command("train", "--config", "deep/p.toml", "--quiet")[0] == 0


def test_its_digest_is_part_of_the_identity(command, own, own_code):
    command("train", "--theorem=own.py", "--quiet")
    own_code()
    own.write_text(OWN + "# another\n")
    command("train", "--theorem=own.py", "--quiet")
    assert len(list(Path("results").glob("own-s0-*"))) == 2
    code, out, _ = command("status", "results", "--theorem=own.py")
    assert (code, "made by another file" in out) == (3, True)


def test_records_never_cause_it_to_run(command, own, own_code):
    command("train", "--theorem=own.py", "--quiet")
    own_code()
    own.write_text("raise SystemExit('executed')\n")
    missing = "which is of a file: add --theorem FILE.py"
    (record,) = Path("results").glob("own-*")
    for words in (("slopes", "results"), ("check", "results"), ("verify", record)):
        code, _, err = command(*words)
        assert missing in err and "executed" not in err
        assert code == (0 if words[0] == "slopes" else 3)
    assert command("status", "results")[0] == 0
    assert command("show", record)[0] == 0
    code, _, err = command("train", "--config", record / "run.json")
    assert (code, "executed" in err) == (2, False)


def test_verify_repeats_what_was_named(command, own):
    command("train", "--theorem=own.py", "--quiet")
    (record,) = Path("results").glob("own-*")
    code, out, _ = command("verify", record, "--theorem=own.py")
    assert (code, "agrees" in out) == (0, True)


BROKEN = {
    "no theorem": ("x = 1\n", "own.py defines no THEOREM, a Theorem"),
    "no Theorem": ("THEOREM = 3\n", "its THEOREM is a int, no Theorem"),
    "syntax": ("def (\n", "own.py, line 1: SyntaxError"),
    "raises": ("import os\n1 / 0\n", "own.py, line 2: ZeroDivisionError"),
    "taken": (OWN.replace('"own"', '"least-squares"'), "give it its own"),
    "claim": (OWN.replace('term="gap", p', 'term="gab", p'), "did you mean 'gap'?"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_wrong_file_is_one_line(refused, own, fault):
    text, reason = BROKEN[fault]
    own.write_text(text)
    assert reason in refused("train", "--theorem", "own.py")
    assert reason in refused("check", "--theorem", "own.py")


RUNS = {
    "raises": ("noise = ", "noise = 1 / 0 #", "line 14: ZeroDivisionError: division by zero"),
    "missing": ('{"gap": {"final": {"value": value}}}', '{"gap": {"final": {}}}',
                "gap / final / value is declared and missing"),
    "NaN": ('{"value": value}', '{"value": float("nan")}', "gap / final / value is nan"),
    "text": ('{"value": value}', '{"value": "much"}', "is a str, not a number"),
    "unknown bound": ("check(GAP", 'check(Quantity("gap", "other", "value")',
                      "a bound for gap / other / value, which is no declared Quantity"),
    "no outcome": ("return Outcome", "Outcome", "it is a NoneType"),
    "exits": ("noise = ", "raise SystemExit(0) #", "SystemExit: 0"),
    "file": ("noise = ", "open('gone') #", "FileNotFoundError"),
}  # fmt: skip


@pytest.mark.parametrize("fault", RUNS)
def test_a_run_that_goes_wrong_is_one_line(refused, command, own, fault):
    old, new, reason = RUNS[fault]
    own.write_text(OWN.replace(old, new, 1))
    told = refused("train", "--theorem", "own.py")
    assert reason in told and told.startswith("own.py, line ")
    Path("p.toml").write_text(PRESET)
    code, _, err = command("sweep", "p.toml", "--jobs=1", "--quiet")
    assert (code, err.count("failed own-s")) == (3, 12)
    assert reason in err


def test_the_traceback_is_shown_when_asked_for(own, folder, capsys):
    from ntkbound.cli import main

    own.write_text(OWN.replace("noise = ", "noise = 1 / 0 #", 1))
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--theorem", "own.py", "--debug"])
    err = capsys.readouterr().err
    assert stopped.value.code == 2
    assert "Traceback" in err and "in run" in err
    assert err.splitlines()[-1].startswith("ntkbound: own.py, line 14: ZeroDivisionError")


STUDY = """
from ntkbound import Quantity, Study
STUDY = Study(title="Own", question="Does it fall?", reading="Down is good.", theorem="own.py",
              axis="n", measured=(Quantity("gap", "final", "value", "gap"),), presets={
    "smoke": "[sweep]\\nn = [10, 20, 40]\\nseed = { from = 0, to = 3 }"})
"""


def test_a_study_of_ones_own(command, own, folder, refused):
    (folder / "my_study.py").write_text(STUDY)
    code, out, err = command("study", "my_study.py", "--size=smoke", "--out=here", "--jobs=1")
    assert (code, "tight" in out) == (0, True), err
    assert (folder / "here" / "my-study.md").is_file()
    assert "no preset of size 'small'; accepted: smoke" in refused("study", "my_study.py")
    (folder / "bad.py").write_text("STUDY = 1\n")
    assert "its STUDY is a int, no Study" in refused("study", "bad.py")


def test_json_has_the_digest(command, own):
    record = json.loads(command("train", "--theorem=own.py", "--json")[1])
    assert list(record["code"]) == ["theorem"]
    assert len(record["code"]["theorem"]) == 64


def test_two_files_of_one_name(command, refused, own, folder):
    (folder / "other.py").write_text(OWN)
    both = '[sweep]\ntheorem = ["own.py", "other.py"]\nn = [10, 20, 40]\nseed = [0, 1, 2]\n'
    (folder / "both.toml").write_text(both)
    assert "other.py: its name 'own' is that of another file" in refused("sweep", "both.toml")


def test_a_worker_takes_what_came_with_the_task(own, own_code, folder):
    """The same path twice with different contents, as workers that outlive a sweep see it."""
    from ntkbound import find
    from ntkbound.core import userfile
    from ntkbound.core.registry import named
    from ntkbound.runs.work import Job, perform

    config = {"theorem": "own", "n": 10}
    for version in ("version=1", "version=2"):
        text = OWN.replace("version=1", version).encode()
        job = Job([config], str(folder), "streamed", False, {str(own): {"own.py": text}}, str(own))
        own.unlink(missing_ok=True)
        assert perform(job).reason == ""
        assert f"version={find('own').version}" == version
    assert named(str(own)).file is userfile.load(own)


@pytest.mark.attack
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_workers_of_a_cluster_get_the_bytes(command, own, folder):
    from distributed import LocalCluster

    (folder / "helper.py").write_text("SIZE = 2\n")
    own.write_text(
        OWN.replace("Bound(2 /", "Bound(SIZE /").replace(
            "\nGAP", "\nfrom helper import SIZE\nGAP", 1
        )
    )
    (folder / "p.toml").write_text(PRESET)
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        code, _, err = command("check", "p.toml", "--scheduler", address, "--quiet")
    assert (code, err) == (0, "")
