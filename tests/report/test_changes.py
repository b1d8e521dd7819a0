"""What changed, as a table, Markdown and a JUnit case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ntkbound.core import registry
from ntkbound.report.changes import as_case, as_markdown, print_changes
from ntkbound.report.summary import as_junit
from ntkbound.stats import check, compare_records
from tests.report.made_up import claim, find, planted, printed


@pytest.fixture(autouse=True)
def _theorem(monkeypatch):
    monkeypatch.setattr(registry, "find", find)


def scaled(record, factor):
    number = record.terms["excess"]["test"]["max"] * factor
    return replace(record, terms={**record.terms, "excess": {"test": {"max": number}}})


@pytest.fixture
def old():
    return planted(-1.0)


def shown(changes) -> str:
    return "\n".join(printed(print_changes, changes, width=140))


def test_no_change_is_one_line(old):
    changes = compare_records(old, old, [claim()])
    assert printed(print_changes, changes, width=140) == [
        "25 runs on both sides; 0 of 4 numbers changed beyond 1e-09: no change"
    ]
    assert as_markdown(changes).startswith("## ntkbound: no change\n\n25 runs on both sides;")
    assert len(as_case(changes)) == 0


def test_a_moved_number_has_its_ratio_its_shift_and_its_arms(old):
    new = [scaled(r, 1.02 if r.config["n"] in (16, 64) else 1) for r in old]
    text = shown(compare_records(old, new, [claim()]))
    assert "excess / test / max 10 of 25        ×1.02" in text
    assert "n=16 (×1.02); n=64" in text
    assert "+0.792 %" in text
    told = compare_records(old, [scaled(r, 1.02) for r in old], [claim()])
    assert "all 5 arms" in shown(told) and "+1.98 % [+1.98, +1.98]" in shown(told)
    assert told.moved[0].largest.run in as_markdown(told)


def test_other_bits_are_counted_in_the_last_line(old):
    text = shown(compare_records(old, [scaled(r, 1 + 1e-13) for r in old], []))
    assert text.endswith(
        "0 of 4 numbers changed beyond 1e-09, 1 more not equal to the bit: no change"
    )


def test_without_a_common_shift_the_table_says_so(old):
    new = [scaled(r, 1 + 0.02 * (-1) ** i) for i, r in enumerate(old)]
    assert "none found (p = 1)" in shown(compare_records(old, new, []))
    one = [r for r in old if r.config["seed"] == 0]
    assert "one seed" in shown(compare_records(one, [scaled(r, 2) for r in one], []))


def test_a_flipped_claim_has_both_estimates(old):
    new = [scaled(r, r.config["n"]) for r in old]
    (row,) = [x for x in shown(compare_records(old, new, [claim()])).splitlines() if "claim" in x]
    assert "excess / test / max against n" in row
    assert "faster" in row and "violated" in row and "−1.00 [" in row


def test_many_runs_of_one_side_are_counted(old):
    lines = shown(compare_records(old, old[:5], [])).splitlines()
    assert sum("only on the old side: ls-" in line for line in lines) == 5
    assert any("only on the old side: 15 more" in line for line in lines)


def test_text_of_a_record_is_no_markup(old):
    new = [replace(r, config={**r.config, "[red]x": "<b>|\n\x1b[31m"}) for r in old]
    changes = compare_records(old, new, [])
    assert "config [red]x: only on the new side, <b>|  [31m" in shown(changes)
    assert "&lt;b&gt;" in as_markdown(changes) and "<b>" not in as_markdown(changes)


def test_a_change_fails_one_case_of_the_suite(old):
    changes = compare_records(old, [scaled(r, 2) for r in old], [claim()])
    suite = as_junit(check(old, [claim()]), {}, changes)
    (case,) = suite.findall("testcase[@classname='baseline']")
    assert case[0].get("message").startswith("changed: 25 runs")
    assert suite.get("failures") == "1"
