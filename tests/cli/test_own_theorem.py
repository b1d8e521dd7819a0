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
    "no key": (
        OWN.replace('term="gap", p', "p"),
        "ValidationError: term: is missing;",
    ),
    "default": (OWN.replace('Field("own"', 'Field("mine"'), "default of Own.theorem is 'mine'"),
    "path": (OWN.replace('"own"', '"../own"'), "its name '../own': lower-case letters"),
    "file name": (OWN.replace('"own"', '"own.py"'), "its name 'own.py': lower-case letters"),
    "version": (OWN.replace("version=1", 'version="1"'), "its version '1' is no integer"),
    "config": (OWN.replace("config=Own", "config=dict"), "is no class made from Config"),
    "code": (OWN.replace("    n: int", '    code = ("x",)\n    n: int'), "Own has no field 'x'"),
    "twice": (OWN.replace("(GAP,)", "(GAP, GAP)"), "two Quantities are gap / final / value"),
    "comma": (OWN.replace("(GAP,)", "(GAP)"), "its quantities: a tuple of Quantity is expected"),
    "axes": (OWN.replace('axes=("n",)', 'axes=("k",)'), "its axes: 'k' is no field of Own"),
    "preset": (OWN.replace("[sweep]", "[sweep"), "its preset 'smoke': Expected ']'"),
    "arguments": (OWN.replace("run(config, tools)", "run(config)"), "no function of 2 arguments"),
    "hook": (OWN.replace("run=run", "run=run, cost=3"), "its cost is no function of 1 argument"),
    "gives": (
        OWN.replace("run=run", "run=run, prepare=lambda c: None"),
        "prepare gives a None",
    ),
    "hook raises": (OWN.replace("run=run", "run=run, prepare=lambda c: 1 / 0"), "line 21: ZeroDiv"),
    "base": (OWN + "class Odd(BaseException): pass\nraise Odd(1)\n", "line 23: Odd: 1"),
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
    "status": ("Bound(2 / config.n))]", "Bound(2))], 'done'", "status 'done' is unknown"),
    "terms": ('{"gap": {"final": {"value": value}}}', '{"gap": value}', "terms is term → probe"),
    "check": ("[check(GAP, value, Bound(2 / config.n))]", "[GAP]", "a Quantity among checks"),
    "notes": ("config.n))]", "config.n))], notes='one'", "notes is no list of sentences"),
    "json": ("config.n))]", "config.n))], environment={'x': {1}}", "environment: {1} is no JSON"),
    "ragged": ("config.n))]", "config.n))], trace={'x': [[1], [1, 2]]}", "x is no array of numb"),
    "trace": ("config.n))]", "config.n))], trace={'step': [0, 1], 'x': [1.0]}",
              "trace x has 1 values, step 2"),
    "odd": ("noise = ", "raise GeneratorExit #", "GeneratorExit"),
    "late": ("noise = ", "import late #", "ImportError: import late.py at the top of own.py"),
    "no outcome": ("return Outcome", "Outcome", "it is a NoneType"),
    "exits": ("noise = ", "raise SystemExit(0) #", "SystemExit: 0"),
    "file": ("noise = ", "open('gone') #", "FileNotFoundError"),
}  # fmt: skip


@pytest.mark.parametrize("fault", RUNS)
def test_a_run_that_goes_wrong_is_one_line(refused, command, own, fault):
    old, new, reason = RUNS[fault]
    own.write_text(OWN.replace(old, new, 1))
    own.with_name("late.py").write_text("x = 1\n")
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


def test_what_raised_nothing_has_no_traceback(own, refused):
    own.write_text(OWN.replace("return Outcome", "Outcome"))
    for words in ((), ("--debug",)):
        assert refused("train", "--theorem=own.py", *words).endswith("it is a NoneType")


def test_numbers_of_numpy_are_recorded(command, own):
    text = OWN.replace("value = (", "import numpy as np\n    value = np.float32(")
    own.write_text(text.replace("config.n))]", "config.n))], conditions={'x': np.bool_(True)}"))
    record = json.loads(command("train", "--theorem=own.py", "--json", "-q")[1])
    assert 0 < record["terms"]["gap"]["final"]["value"] < 2
    assert record["conditions"] == {"x": True}


def test_a_file_that_changes_the_folder_changes_nothing(command, own, folder):
    own.write_text("import os\nos.chdir('/')\n" + OWN)
    assert command("train", "--theorem=own.py", "-q")[0] == 0
    assert Path.cwd() == folder and list(folder.glob("results/own-*"))


def test_runs_together_are_as_many_as_were_asked_for(own, folder):
    from ntkbound import Execution
    from ntkbound.core.registry import configure, named
    from ntkbound.core.userfile import UserCodeError
    from ntkbound.runs.execute import run_together

    some = "run=run, run_together=lambda cs, tools: [run(c, tools) for c in cs[1:]]"
    own.write_text(OWN.replace("run=run", some))
    named("own.py")
    configs = [configure({"theorem": "own", "seed": seed}) for seed in range(3)]
    with pytest.raises(UserCodeError, match="run_together gives 2 Outcomes of 3 runs"):
        run_together(configs, Execution(folder))


@pytest.mark.parametrize("name", ["evil.py", "../evil.py"])
def test_a_record_that_names_a_file_as_its_theorem_runs_nothing(command, own, own_code, name):
    from ntkbound.runs.record import sealed

    command("train", "--theorem=own.py", "-q")
    for place in (Path("evil.py"), Path("../evil.py")):
        place.write_text("open('ran', 'w')\n")
    (path,) = Path("results").glob("own-*/run.json")
    data = json.loads(path.read_text())
    data["theorem"] = data["config"]["theorem"] = name
    del data["sha256"]
    path.write_text(sealed(data))
    own_code()
    for words in (("train", "--config", path), ("show", path), ("verify", path),
                  ("check", "results"), ("slopes", "results"), ("status", "results")):  # fmt: skip
        assert command(*words)[0] in (0, 2, 3), words
    assert not Path("ran").exists()


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
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster:
        address = cluster.scheduler_address
        code, _, err = command("check", "p.toml", "--scheduler", address, "--quiet")
    assert (code, err) == (0, "")
