"""``check --until-decided``: stops at a clear case, at the last seed on a hopeless one, resumes."""

from __future__ import annotations

import json
import shutil

import pytest

from ntkbound import configure, run
from ntkbound.runs.execute import Execution

STEPS, SEEDS = (2, 4, 8, 16), 9
HEAD = f"""
[run]
theorem = "least-squares"
n = 12
d = 3
[sweep]
steps = {list(STEPS)}
seed = {{ from = 0, to = 3 }}
"""


def level(at: int, most: float) -> str:
    return f"""
[[claim]]
term = "suboptimality"
probe = "final"
statistic = "gap"
form = "level"
kind = "upper"
level = {most}
where = {{ steps = {at} }}
"""


CLEAR = level(16, 1.0)  # the gap there is 0.002
HOPELESS = level(2, 0.12)  # it is 0.12 with a standard deviation of 0.13
ALL_LOOKS = [{"seeds": seeds, "share": share / 9} for seeds, share in ((4, 4), (6, 2), (9, 3))]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Nine seeds of the four points, as the command makes them."""
    out = tmp_path_factory.mktemp("made")
    for steps in STEPS:
        for seed in range(SEEDS):
            fields = {"theorem": "least-squares", "n": 12, "d": 3, "steps": steps, "seed": seed}
            run(configure(fields), Execution(out, save_params=False))
    return out


@pytest.fixture
def results(made, folder):
    """The four seeds of the preset alone."""
    for path in made.iterdir():
        if path.is_dir() and json.loads((path / "run.json").read_text())["config"]["seed"] < 4:
            shutil.copytree(path, folder / "results" / path.name)
    return folder / "results"


@pytest.fixture
def every(made, folder):
    return shutil.copytree(made, folder / "results")


def until_decided(command, folder, claims, most=9, *options):
    (folder / "p.toml").write_text(HEAD + claims, encoding="utf-8")
    call = ("check", "p.toml", "--until-decided", "--max-seeds", most, "--jobs", 1)
    return command(*call, *options)


def runs(results):
    return sorted(path.parent.name for path in results.glob("*/run.json"))


def test_a_clear_case_stops_at_the_first_look(command, results, folder):
    code, out, err = until_decided(command, folder, CLEAR, 9, "--json")
    told = json.loads(out)
    assert (code, told["verdict"]) == (0, "holds")
    assert told["looks"] == ALL_LOOKS[:1]
    assert len(runs(results)) == 4 * len(STEPS)
    assert err.splitlines() == [
        "looks at 4, 6, 9 seeds, which may spend 44.4, 22.2, 33.3 % of the error rates of a check",
        "4 seeds: 1 of 1 claims decided, 0 need more",
    ]


def test_a_hopeless_case_ends_at_the_last_look_and_what_was_decided_stays(command, results, folder):
    code, out, err = until_decided(command, folder, CLEAR + HOPELESS, 9, "--json")
    told = json.loads(out)
    assert (code, told["verdict"]) == (3, "inconclusive")
    assert told["looks"] == ALL_LOOKS
    assert [(fit["verdict"], fit["seeds"]) for fit in told["fits"]] == [
        ("holds", 4),
        ("inconclusive", 9),
    ]
    assert "interval at 97.78 %" in told["fits"][0]["reason"]  # 1 − 0.05·4/9
    assert "interval at 98.33 %" in told["fits"][1]["reason"]
    assert len(runs(results)) == SEEDS * len(STEPS)
    assert [bound["runs"] for bound in told["bounds"]] == [36, 36]
    assert err.splitlines()[-1] == "9 seeds: 1 of 2 claims decided, 1 need more"


def test_a_later_counter_example_refutes_what_was_accepted(command, every, folder):
    """No gap of seeds 0 to 3 is above 0.12 at 4 steps; that of seed 4 is."""
    all_below = """
[[claim]]
term = "suboptimality"
probe = "final"
statistic = "gap"
form = "fraction"
share = 1
below = 0.12
where = { steps = 4 }
"""
    for claims, code, verdict, seeds in (
        (all_below, 0, "holds", 4),
        (all_below + HOPELESS, 1, "violated", 9),
    ):
        found, out, _ = until_decided(command, folder, claims, 9, "--json")
        fits = {fit["form"]: fit for fit in json.loads(out)["fits"]}
        assert found == code
        assert (fits["fraction"]["verdict"], fits["fraction"]["seeds"]) == (verdict, seeds)


def test_killed_and_repeated_it_says_the_same(command, every, folder):
    first = until_decided(command, folder, CLEAR + HOPELESS)
    for name in runs(every)[::7]:
        shutil.rmtree(every / name)
    again = until_decided(command, folder, CLEAR + HOPELESS)
    assert again[:2] == first[:2]
    assert "interval" in first[1]
    assert "95 %" not in first[1]


def test_with_all_seeds_made_earlier_it_still_stops_early(command, every, folder):
    """Only the runs of a look are judged by it, whatever else lies in the folder."""
    code, out, _ = until_decided(command, folder, CLEAR, 9, "--json")
    (fit,) = json.loads(out)["fits"]
    assert (code, fit["seeds"]) == (0, 4)


def test_as_many_seeds_as_the_preset_has_are_one_plain_check(command, every, folder):
    _, out, _ = until_decided(command, folder, CLEAR + HOPELESS, 4, "--json")
    plain = json.loads(command("check", "p.toml", "--json")[1])
    told = json.loads(out)
    assert told.pop("looks") == [{"seeds": 4, "share": 1.0}]
    assert told == plain


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("results", "--until-decided", "--max-seeds", 9), "a results folder or a table cannot"),
        (("own.csv", "--until-decided", "--max-seeds", 9), "a results folder or a table cannot"),
        (("p.toml", "--until-decided", "--max-seeds", 3), "p.toml has 4 seeds already"),
        (("p.toml", "--until-decided"), "--max-seeds: say how many"),
        (("p.toml", "--max-seeds", 9), "--max-seeds: is for --until-decided"),
    ],
    ids=["folder", "table", "few", "without", "alone"],
)
def test_what_cannot_grow_is_refused(refused, folder, arguments, message):
    (folder / "results").mkdir()
    (folder / "own.csv").write_text("m,seed,loss\n1,0,1\n", encoding="utf-8")
    (folder / "p.toml").write_text(HEAD + CLEAR, encoding="utf-8")
    assert message in refused("check", *arguments)
