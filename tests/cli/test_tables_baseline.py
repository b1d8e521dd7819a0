"""``diff`` and ``check --baseline`` on tables of somebody's own: a planted drift is found."""

from __future__ import annotations

import json

import pytest

from tests.support.own_tables import CLAIM, HEADER, planted, write


def scaled(factor: float) -> list[tuple[object, ...]]:
    return [(*row[:3], row[3] * factor, *row[4:]) for row in planted()]


@pytest.fixture
def claims(folder):
    path = folder / "claims.toml"
    path.write_text(CLAIM, encoding="utf-8")
    return path


@pytest.fixture
def old(folder):
    return write(folder / "old.csv", HEADER, planted())


def test_equal_numbers_are_no_change(command, folder, claims, old):
    new = write(folder / "new.csv", HEADER, list(reversed(planted())))
    assert command("diff", old, new, "--quiet")[0] == 0
    code, out, _ = command("check", new, "--claims", claims, "--baseline", old, "--json")
    assert (code, json.loads(out)["changes"]["changed"]) == (0, False)


def test_a_drift_that_leaves_the_slope_is_a_change(command, folder, claims, old):
    new = write(folder / "new.csv", HEADER, scaled(1.02))
    code, out, _ = command("check", new, "--claims", claims, "--baseline", old, "--json")
    told = json.loads(out)
    assert (code, told["verdict"]) == (1, "holds")
    (number,) = told["changes"]["numbers"]
    assert number["counts"] and told["changes"]["verdicts"] == []
    assert command("diff", old, new, "--tolerance", "0.05", "--json")[0] == 1, (
        "the drift over seeds"
    )
    assert "median ratio" in command("diff", old, new)[1]


def test_a_verdict_that_flips_is_told(command, folder, claims, old):
    new = write(folder / "new.csv", HEADER, planted(-0.2))
    code, out, _ = command("diff", old, new, "--claims", claims, "--json")
    flipped = json.loads(out)["verdicts"]
    assert code == 1
    assert [(one["old"]["verdict"], one["new"]["verdict"]) for one in flipped] == [
        ("tight", "violated")
    ] * 2


def test_runs_of_one_side_alone_are_told(command, folder, old):
    new = write(folder / "new.csv", HEADER, planted()[:-1])
    code, out, _ = command("diff", old, new, "--json")
    assert code == 1 and len(json.loads(out)["only_old"]) == 1


def test_what_cannot_be_a_baseline_is_one_line(command, folder, claims, old):
    for baseline in (old, folder / "nowhere.csv", folder / "claims.toml"):
        code, out, err = command("check", old, "--claims", claims, "--baseline", baseline)
        assert (code, out, err.count("\n")) == (2, "", 1), err
