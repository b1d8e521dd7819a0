"""A head of the user's own through the real command: whatever works for a shipped one, no bound."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_examples import edit

pytestmark = pytest.mark.usefixtures("own_code")

EXAMPLE = Path(__file__).parents[2] / "examples" / "my_head.py"
SMALL = {
    "n": 8, "T": 3, "d": 2, "tau": 6, "teacher_heads": 64, "records": 3,
    "search_samples": 2, "search_restarts": 2, "search_steps": 2,
}  # fmt: skip
OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
TRAIN = ["train", "--model=my_head.py:MyHead", "--m=8", "--threads=1", *OPTIONS]
RECORD = "myhead-st-m8-tau6-n8-s0-*"
FIELDS = "".join(f"{name} = {value}\n" for name, value in SMALL.items())
PRESET = f"""
[run]
model = "my_head.py:MyHead"
{FIELDS}
[sweep]
m = [8, 32, 128]
seed = {{ from = 0, to = 2 }}
[[claim]]
term = "linearization"
probe = "worst"
statistic = "max"
axis = "m"
kind = "tight"
exponent = -0.5
"""
STUDY = f"""
from ntkbound import Quantity, Study
STUDY = Study(title="Own", question="Does it fall?", reading="Down is good.", axis="m",
              theorem="shallow-transformer",
              measured=(Quantity("linearization", "worst", "max", "worst"),),
              presets={{"smoke": '''{PRESET}'''}})
"""


@pytest.fixture
def head(folder):
    path = folder / "my_head.py"
    path.write_text(EXAMPLE.read_text())
    return path


@pytest.fixture
def trained(command, head):
    code, _, err = command(*TRAIN, "--quiet")
    assert code == 0, err
    (record,) = Path("results").glob(RECORD)
    return record


def test_the_example_is_short():
    lines = EXAMPLE.read_text().split('"""\n', 1)[1].strip().splitlines()
    assert len(lines) <= 20


def test_it_has_every_term_and_no_bound(command, trained, own_code):
    run = json.loads((trained / "run.json").read_text())
    assert set(run["terms"]) == {"linearization", "optimization", "gradient"}
    assert set(run["terms"]["linearization"]) == {"random", "aligned", "trajectory", "worst"}
    assert set(run["terms"]["gradient"]["reach"]) == {"c", "U", "A"}
    assert all(value is None for value in run["bounds"].values())
    assert {row["verdict"] for row in run["checks"]} == {"not-defined"}
    assert {row["level"] for row in run["certificates"]} == {"estimate"}
    assert list(run["code"]) == ["model"]
    own_code()
    code, out, _ = command("show", trained, "--levels")
    assert (code, "not proved for this head" in out, "holds" in out) == (0, True, False)
    assert "my_head.py:MyHead" in out
    (levels,) = [line.split() for line in out.splitlines() if line.startswith("feature_norm ")]
    assert levels[1].startswith("(") and levels[1].endswith(")")


def test_a_record_never_executes_it(command, trained, head, own_code):
    edit(head, "import torch", "raise SystemExit('executed')")
    own_code()
    for words in (["show", trained], ["slopes", "results"], ["status", "results"]):
        assert command(*words)[0] == 0
    told = "was not named on this command line (--code FILE.py), so it is not executed"
    for words in (["verify", trained], ["kernel", trained], ["audit", trained],
                  ["train", "--config", trained / "run.json"]):  # fmt: skip
        code, _, err = command(*words)
        assert (code, told in err) == (2, True), err


def test_verify_kernel_and_audit_with_the_file(command, trained, head, own_code):
    own_code()
    code, out, _ = command("verify", trained, "--code", "my_head.py")
    assert (code, "worst / max" in out, "differs" in out) == (0, True, False)
    code, out, _ = command("kernel", trained, "--code=my_head.py", "--infinite-heads=64")
    assert (code, "tangent kernel" in out) == (0, True)
    code, out, _ = command("audit", trained, "--code=my_head.py", "--steps=2")
    assert (code, "measured values stand in" in out) == (0, True)
    own_code()
    edit(head, "torch.tanh", "torch.sin")
    code, _, err = command("verify", trained, "--code", "my_head.py")
    assert (code, "my_head.py is not the file that it was made with" in err) == (2, True)


def test_another_file_is_another_run(command, trained, head, own_code):
    own_code()
    edit(head, "torch.tanh", "torch.sin")
    assert command(*TRAIN, "--quiet")[0] == 0
    assert len(list(Path("results").glob(RECORD))) == 2


def test_radii_are_spelled_by_its_own_blocks(command, refused, head):
    for given in ("2", "3,2,2", "A=2,U=2,c=3"):
        assert command(*TRAIN, f"--rho={given}", "--quiet")[0] == 0
    found = [json.loads(p.read_text())["config"]["rho"] for p in Path("results").glob("*/run.json")]
    assert sorted(rho["c"] for rho in found) == [2, 3]  # the last two are one run
    assert {(rho["U"], rho["A"]) for rho in found} == {(2, 2)}
    told = "--rho: block 'W' is unknown; accepted: one number, 3 numbers, or pairs for c, U, A"
    assert told in refused(*TRAIN, "--rho=W=2", "--out=other")
    assert "accepted: one number, 3 numbers" in refused(*TRAIN, "--rho=1,1,1,1", "--out=other")


def test_a_sweep_is_judged_by_its_own_claims(command, head, folder, own_code):
    (folder / "deep").mkdir()
    head.rename(folder / "deep" / "my_head.py")
    preset = folder / "deep" / "p.toml"
    preset.write_text(PRESET)
    code, out, err = command("check", "deep/p.toml", "--jobs=1")
    assert (code, "tight" in out, "1 judged, 1 held" in out) == (0, True, True), err
    own_code()
    code, out, _ = command("slopes", "results")
    assert (code, "linearization / worst / max" in out) == (0, True)
    preset.write_text(PRESET.replace("exponent = -0.5", "exponent = -1.5"))
    code, out, _ = command("check", "deep/p.toml", "--jobs=1")
    assert (code, "violated" in out) == (1, True)
    (folder / "deep" / "my_study.py").write_text(STUDY)
    code, out, err = command("study", "deep/my_study.py", "--size=smoke", "--out=here", "--jobs=1")
    assert (code, "tight" in out) == (0, True), err


def test_in_a_sweep_a_wrong_head_is_a_failed_run(command, head):
    edit(head, "return torch.tanh(", "return torch.nan * torch.tanh(")
    Path("p.toml").write_text(PRESET.replace("to = 2", "to = 0"))
    code, _, err = command("sweep", "p.toml", "--jobs=1", "--quiet")
    assert (code, err.count("failed myhead-st")) == (3, 3)
    assert "my_head.py, line 13: MyHead.f: not finite at initial parameters" in err


def test_new_writes_one_that_trains(command, folder):
    code, _, err = command("new", "head", "two-gates")
    assert (code, "--model two_gates.py:TwoGates" in err) == (0, True)
    assert command("train", "--model=two_gates.py:TwoGates", "--m=8", *OPTIONS, "-q")[0] == 0


WRONG = {
    "no class": ("class MyHead", "class Other", "--model: my_head.py defines no MyHead, a class"),
    "no blocks": ("def blocks", "def block", "--model: my_head.py: MyHead is not a class with"),
    "no f": ("def f(", "def g(", "MyHead is not a class with blocks(d) and either f(theta"),
    "syntax": ("class MyHead:", "class MyHead(:", "my_head.py, line "),
    "raises": ("def blocks", "def __init__(self):\n        1 / 0\n\n    def blocks",
               "ZeroDivisionError"),
    "kind": ('{"U": (d,), "A": (d, d)}', '{"U": "d"}', "the shape of U is 'd', not a tuple"),
    "shape": ('pooled @ theta["U"])', 'pooled)', "MyHead.f: shape (2,), dtype float"),
    "names": ('theta["A"]', 'theta["B"]', "KeyError: 'B'"),
    "NaN": ("return torch.tanh(", "return torch.nan * torch.tanh(", "not finite at initial"),
    "odd": ("return {", 'return {"c": (), ', "'c' is the output weight, which is added"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_file_is_one_line(refused, head, fault):
    old, new, reason = WRONG[fault]
    edit(head, old, new)
    assert reason in refused(*TRAIN)


def test_a_wrong_reference_is_one_line(refused, head):
    model = {
        "my_head.py": "--model: names no class; write my_head.py:Class",
        "gone.py:MyHead": "gone.py: no such file",
        "my_head.py:torch": "--model: my_head.py: torch is a module, not a class with",
        "transformr": "--model: 'transformr' is unknown; accepted: transformer, indrnn, "
        "FILE.py:Class; did you mean 'transformer'?",
    }
    for reference, reason in model.items():
        assert reason in refused("train", f"--model={reference}", *OPTIONS)
